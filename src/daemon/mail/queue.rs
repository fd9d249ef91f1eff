//! Owns: sending mails through the keeper: claims, orders and results.
//! Never: their text (see `compose`).
//!
//! A mail is claimed, ordered and acknowledged like a run, so that the death of a daemon or keeper loses no
//! mail. A run that may have started is not started again. A mail is, because two mails are better than none.

use std::collections::HashSet;
use std::path::PathBuf;

use super::compose::{Sender, compose};
use crate::daemon::outputs::Excerpts;
use crate::domain::{End, EnvVar, OutputKind, Person, Span, Stdin, StopCause};
use crate::engine::pick_mails;
use crate::keeper::protocol::{Attempt, Ended, KeeperInstance, StartExtras, StartOrder, ToKeeper};
use crate::schedule::Zone;
use crate::shown;
use crate::store::{MailToSend, StoreResult, Writer};

/// The most bytes of an output in a mail. The middle of a longer output is left out.
pub const BODY_BYTES_MAX: u64 = 1 << 20;

/// How many mails are sent at once. Each is a process, and takes up to `BODY_BYTES_MAX` of memory in the
/// keeper.
const AT_ONCE: u32 = 4;

/// How many mails of one user are sent at once. A user can delay its own sendmail(8) processes, but not those
/// of others.
const AT_ONCE_OF_USER: usize = 2;

/// The keeper's queue for mails. No queue of a user can have this name.
const QUEUE: &str = "@mail";

/// How long sendmail(8) may take. It only has to queue the mail, and other mails of the user wait.
const SENDMAIL_MAX: Span = Span::from_seconds(10 * 60);

/// How long it then has to exit by itself.
const KILL_AFTER: Span = Span::from_seconds(10);

/// The cause of failed mails on a machine without sendmail(8).
const NO_SENDMAIL: &str = "there is no sendmail";

/// The most characters of the output of sendmail(8) in a cause.
const SAID_MAX: usize = 200;

/// The facts about the machine that mails need.
pub struct Mailer<'a> {
    pub host: &'a str,
    /// The character set of the daemon's locale.
    pub charset: &'a str,
    /// Finds sendmail(8), if there is one.
    pub sendmail: &'a dyn Fn() -> Option<PathBuf>,
    /// Finds a user by name; `None` is the daemon's user.
    pub person: &'a dyn Fn(Option<&str>) -> Person,
    /// Returns the environment of every session.
    pub login: &'a dyn Fn() -> Vec<EnvVar>,
    /// Returns the parts of an attempt's output files that fit into a mail.
    pub excerpts: &'a dyn Fn(Attempt) -> Excerpts,
}

/// Releases claimed mails that no keeper has, to be sent again.
pub fn release_unknown(writer: &Writer<'_>, at_keeper: &HashSet<Attempt>) -> StoreResult<()> {
    for mail in writer.claimed_mails()? {
        if !at_keeper.contains(&Attempt::of_mail(mail)) {
            writer.release_mail(mail)?;
        }
    }
    Ok(())
}

/// The result of a claim of mails.
pub enum Claim {
    Mails(Vec<ClaimedMail>),
    /// There is no sendmail(8), and this many mails were given up.
    GivenUp(usize),
}

/// A mail that is claimed for the keeper.
#[derive(Debug)]
pub struct ClaimedMail {
    mail: MailToSend,
    /// The outputs in the run log; `None` if they may be in files.
    output: Option<Excerpts>,
    sendmail: PathBuf,
}

/// Claims waiting mails for a keeper, or gives them up if there is no sendmail(8).
pub fn claim(writer: &Writer<'_>, keeper: KeeperInstance, mailer: &Mailer<'_>) -> StoreResult<Claim> {
    if !writer.has_waiting_mail()? {
        return Ok(Claim::Mails(Vec::new()));
    }
    let Some(sendmail) = (mailer.sendmail)() else {
        return Ok(Claim::GivenUp(writer.waiting_mails_failed(NO_SENDMAIL)?));
    };
    let picked = pick_mails(&writer.open_mails(AT_ONCE_OF_USER)?, AT_ONCE as usize, AT_ONCE_OF_USER);
    let mails = writer.claim_mails(&picked, keeper)?;
    let with_output = |mail: MailToSend| {
        let stored = |kind| writer.output(mail.run.run, mail.run.attempt, kind);
        let output = match stored(OutputKind::Stdout)? {
            Some(stdout) => {
                let stderr = stored(OutputKind::Stderr)?.unwrap_or_default();
                Some(Excerpts { stdout: stdout.into(), stderr: stderr.into() })
            }
            None => None,
        };
        Ok(ClaimedMail { output, mail, sendmail: sendmail.clone() })
    };
    Ok(Claim::Mails(mails.into_iter().map(with_output).collect::<StoreResult<_>>()?))
}

impl ClaimedMail {
    /// Composes the mail, as an order for the keeper.
    pub fn order(self, mailer: &Mailer<'_>, zone: &Zone) -> ToKeeper {
        let Self { mail, output, sendmail } = self;
        let output =
            output.unwrap_or_else(|| (mailer.excerpts)(Attempt::of_run(mail.run.run, mail.run.attempt)));
        let person = (mailer.person)(mail.execution.user.as_deref());
        let login = (mailer.login)();
        let sender =
            Sender { user: &person.name, host: mailer.host, charset: mailer.charset, zone, login: &login };
        let message = compose(&mail, &output, &sender);
        let mut argv = vec![sendmail.as_os_str().as_encoded_bytes().to_vec()];
        argv.extend(message.arguments);
        let order = StartOrder {
            attempt: Attempt::of_mail(mail.id),
            queue: QUEUE.to_owned(),
            slots: AT_ONCE,
            argv,
            env: environment(&person),
            cwd: b"/".to_vec(),
            umask: 0o022,
            timeout: Some(SENDMAIL_MAX),
            kill_after: KILL_AFTER,
        };
        let stdin = Stdin::Text(message.text);
        ToKeeper::Start(order, StartExtras { stdin, user: mail.execution.user, ..StartExtras::default() })
    }
}

/// Returns the variables that some implementations of sendmail(8) need. The job's variables are not among
/// them.
fn environment(person: &Person) -> Vec<Vec<u8>> {
    let name = person.name.as_bytes();
    vec![
        b"PATH=/usr/sbin:/usr/bin:/sbin:/bin".to_vec(),
        [b"HOME=", person.home.as_slice()].concat(),
        [b"LOGNAME=", name].concat(),
        [b"USER=", name].concat(),
    ]
}

/// Records the result of a mail, and returns a message for the log if it failed. A repeated result changes
/// nothing.
pub fn record_result(
    writer: &Writer<'_>,
    mail: i64,
    ended: &Ended,
    output: Option<&[u8]>,
) -> StoreResult<Option<String>> {
    let cause = match (&ended.end, ended.stopped) {
        (End::Exited(0), _) => return writer.mail_is_sent(mail).map(|()| None),
        // A mail whose processes were lost is not searched for: it is sent again.
        (End::NotStarted | End::Lost | End::LostThere(_), _) => {
            return writer.release_mail(mail).map(|()| None);
        }
        (End::Exited(_) | End::Signaled(_) | End::OutOfMemory, Some(StopCause::TimedOut)) => {
            format!("sendmail did not end within {SENDMAIL_MAX}")
        }
        (End::Exited(status), _) => format!("sendmail ended with status {status}"),
        (End::Signaled(signal), _) => format!("{} ended sendmail", shown::signal_name(*signal)),
        (End::SpawnFailed { cause, .. }, _) => cause.clone(),
        (End::OutOfMemory, _) => "sendmail was out of memory".to_owned(),
    };
    let said = output.map_or(String::new(), first_line);
    let cause = if said.is_empty() { cause } else { format!("{cause}: {said}") };
    let run = writer.mail_failed(mail, &cause)?;
    Ok(run.map(|run| format!("the mail about run {run} was not sent: {cause}")))
}

fn first_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output.trim_ascii_start());
    let line = text.lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(SAID_MAX).collect::<String>().trim_end().to_owned()
}
