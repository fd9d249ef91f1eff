//! Owns: the way of mails through the keeper: which are given to it, and what becomes of them.
//! Never: their words (see `mail`).
//!
//! A mail is claimed, told and acknowledged like a run, so that no death of daemon or keeper loses it. Where
//! a run may have been started it is not started again; a mail is: better two than none.

use std::collections::HashSet;
use std::path::PathBuf;

use super::mail::{self, Sender};
use super::outputs::Excerpt;
use super::turn::{Done, Turn};
use crate::domain::{End, EnvVar, RunId, Span, Stdin, StopCause};
use crate::engine::pick_mails;
use crate::keeper::protocol::{Attempt, Ended, KeeperId, StartExtras, StartOrder, ToKeeper};
use crate::shown;
use crate::store::{MailToSend, StoreResult, Writer};
use crate::system::users::Person;

/// How much of an output a mail holds, in bytes; the middle of more is left out.
pub(super) const BODY_BYTES_MAX: u64 = 1 << 20;

/// How many mails are under way at once: each is a process, and up to `BODY_BYTES_MAX` of memory in the
/// keeper.
const AT_ONCE: u32 = 4;

/// How many of one user's, to whom their sendmail(8)s belong and who can hold them up: the others' go on
/// beside them.
const AT_ONCE_OF_USER: usize = 2;

/// The keeper's queue for them: no queue of a user's can have such a name.
const QUEUE: &str = "@mail";

/// How long sendmail(8) may take: it only has to queue the mail, and others of the user wait.
const SENDMAIL_MAX: Span = Span::from_seconds(10 * 60);

/// How long it then has to end by itself.
const KILL_AFTER: Span = Span::from_seconds(10);

/// Why nothing is sent from a machine that cannot.
const NO_SENDMAIL: &str = "there is no sendmail";

/// The longest part of what sendmail(8) said that is kept, in characters.
const SAID_MAX: usize = 200;

/// What it takes to send mails.
pub struct PostOffice<'a> {
    /// The machine's name.
    pub host: &'a str,
    /// The character set of the daemon's locale.
    pub charset: &'a str,
    /// Finds sendmail(8), if there is one.
    pub sendmail: &'a dyn Fn() -> Option<PathBuf>,
    /// Finds the user of a job; `None`: whose daemon this is.
    pub person: &'a dyn Fn(Option<&str>) -> Person,
    /// Returns what every session gets.
    pub login: &'a dyn Fn() -> Vec<EnvVar>,
    /// Returns a run's output that is in a file, or what fits of it.
    pub excerpt: &'a dyn Fn(RunId) -> Excerpt,
}

/// Takes up what a living keeper knows; mails that another one was told of are told again.
pub(super) fn meet(writer: &Writer<'_>, at_keeper: &HashSet<Attempt>) -> StoreResult<()> {
    for claimed in writer.claimed_mails()? {
        if !at_keeper.contains(&attempt(claimed.id)) {
            writer.release_mail(claimed.id)?;
        }
    }
    Ok(())
}

/// A mail that the keeper is to be told of.
#[derive(Debug)]
pub(super) struct Claimed {
    mail: MailToSend,
    /// What is in the run log; `None`: it may be in a file.
    output: Option<Vec<u8>>,
    sendmail: PathBuf,
}

/// Claims waiting mails for the keeper, or gives them up where there is no sendmail(8).
pub(super) fn claim(
    writer: &Writer<'_>,
    turn: &Turn<'_>,
    keeper: KeeperId,
    done: &mut Done,
) -> StoreResult<Vec<Claimed>> {
    let Some(office) = turn.post_office else { return Ok(Vec::new()) };
    if !writer.has_waiting_mail()? {
        return Ok(Vec::new());
    }
    let Some(sendmail) = (office.sendmail)() else {
        done.unsendable_mails = writer.waiting_mails_failed(NO_SENDMAIL)?;
        return Ok(Vec::new());
    };
    let picked = pick_mails(&writer.open_mails(AT_ONCE_OF_USER)?, AT_ONCE as usize, AT_ONCE_OF_USER);
    let mails = writer.claim_mails(&picked, keeper.instance)?;
    let with_output = |mail: MailToSend| {
        Ok(Claimed { output: writer.output(mail.run.run)?, mail, sendmail: sendmail.clone() })
    };
    mails.into_iter().map(with_output).collect()
}

/// Writes a claimed mail, once the claim is committed: users are looked up for it and files are read, for
/// which nobody is to be kept from the store.
pub(super) fn order(turn: &Turn<'_>, claimed: Claimed) -> ToKeeper {
    let Claimed { mail, output, sendmail } = claimed;
    let office = turn.post_office.expect("it was there when the mail was claimed");
    let output = output.map_or_else(|| (office.excerpt)(mail.run.run), Excerpt::from);
    let person = (office.person)(mail.execution.user.as_deref());
    let login = (office.login)();
    let sender = Sender {
        user: &person.name,
        host: office.host,
        charset: office.charset,
        zone: turn.system_zone,
        login: &login,
    };
    let letter = mail::compose(&mail, &output, &sender);
    let mut argv = vec![sendmail.as_os_str().as_encoded_bytes().to_vec()];
    argv.extend(letter.arguments);
    let order = StartOrder {
        attempt: attempt(mail.id),
        queue: QUEUE.to_owned(),
        slots: AT_ONCE,
        argv,
        env: environment(&person),
        cwd: b"/".to_vec(),
        umask: 0o022,
        timeout: Some(SENDMAIL_MAX),
        kill_after: KILL_AFTER,
    };
    let stdin = Stdin::Text(letter.message);
    ToKeeper::Start(order, StartExtras { stdin, user: mail.execution.user, ..StartExtras::default() })
}

fn attempt(mail: i64) -> Attempt {
    Attempt::of_mail(mail)
}

/// What some of the programs that stand in for sendmail(8) look for; nothing of the job's.
fn environment(person: &Person) -> Vec<Vec<u8>> {
    let name = person.name.as_bytes();
    vec![
        b"PATH=/usr/sbin:/usr/bin:/sbin:/bin".to_vec(),
        [b"HOME=", person.home.as_slice()].concat(),
        [b"LOGNAME=", name].concat(),
        [b"USER=", name].concat(),
    ]
}

/// Records what became of a mail. A result that comes again finds nothing to record.
pub(super) fn end(
    writer: &Writer<'_>,
    turn: &Turn<'_>,
    mail: i64,
    ended: &Ended,
    done: &mut Done,
) -> StoreResult<()> {
    match failure(ended) {
        Verdict::Sent => writer.mail_is_sent(mail)?,
        Verdict::NotTried => writer.release_mail(mail)?,
        Verdict::Failed(cause) => {
            let said = (turn.output)(ended).map_or(String::new(), |output| first_line(&output));
            let cause = if said.is_empty() { cause } else { format!("{cause}: {said}") };
            if let Some(run) = writer.mail_failed(mail, &cause)? {
                done.notices.push(format!("the mail about run {run} was not sent: {cause}"));
            }
        }
    }
    done.stored_outputs.push(ended.attempt.task);
    Ok(())
}

enum Verdict {
    Sent,
    NotTried,
    Failed(String),
}

fn failure(ended: &Ended) -> Verdict {
    let cause = match (&ended.end, ended.stopped) {
        (End::NotStarted, _) => return Verdict::NotTried,
        (End::Exited(0), _) => return Verdict::Sent,
        (End::Exited(_) | End::Signaled(_), Some(StopCause::TimedOut)) => {
            format!("sendmail did not end within {SENDMAIL_MAX}")
        }
        (End::Exited(status), _) => format!("sendmail ended with status {status}"),
        // A mail is no run that is looked for: it is sent again.
        (End::Lost, _) => return Verdict::NotTried,
        (End::Signaled(signal), _) => format!("{} ended sendmail", shown::signal_name(*signal)),
        (End::SpawnFailed { cause, .. }, _) => cause.clone(),
    };
    Verdict::Failed(cause)
}

fn first_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output.trim_ascii_start());
    let line = text.lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(SAID_MAX).collect::<String>().trim_end().to_owned()
}
