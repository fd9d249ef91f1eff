//! Owns: the text of the mail about a run, and the arguments of sendmail(8). Pure.
//! Never: sending it (see `queue`).
//!
//! The forms of the two crons equal theirs to the byte, so that programs that read such mails keep working.

use crate::crontab::is_safe;
use crate::daemon::outputs::{Excerpt, Excerpts};
use crate::domain::{CommandLine, EnvVar, Execution, MailFormat, Outcome, Span, value_of};
use crate::schedule::{Dialect, Zone};
use crate::shown::{self, Facts, lossy};
use crate::store::{MailToSend, RunView};

/// The most lines of a script in a mail.
const SCRIPT_LINES_MAX: usize = 10;

/// The facts about user and machine in a mail.
#[derive(Clone, Debug)]
pub struct Sender<'a> {
    /// The user of the job.
    pub user: &'a str,
    pub host: &'a str,
    /// The character set of the daemon's locale, which the crons name for the output.
    pub charset: &'a str,
    /// The zone for times.
    pub zone: &'a Zone,
    /// The variables that pam_env(8) gives to every session. The crons do not list them.
    pub login: &'a [EnvVar],
}

/// A mail, ready for sendmail(8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The arguments after the program.
    pub arguments: Vec<Vec<u8>>,
    /// Its standard input: head, blank line, body.
    pub text: Vec<u8>,
}

/// Writes the mail about a run.
pub fn compose(mail: &MailToSend, output: &Excerpts, sender: &Sender<'_>) -> Message {
    let mut message = Vec::new();
    let arguments = match mail.mail.format {
        MailFormat::Debian => debian(mail, sender, &mut message),
        MailFormat::Cronie => cronie(mail, sender, &mut message),
        MailFormat::Taskq => taskq(mail, sender, &mut message),
    };
    message.push(b'\n');
    if mail.mail.format == MailFormat::Taskq {
        message.extend(summary(mail, sender.zone));
        if !output.stdout.head.is_empty() || !output.stderr.head.is_empty() {
            message.push(b'\n');
        }
    }
    let run = mail.run.run;
    push_output(&output.stdout, &run.to_string(), &mut message);
    if !output.stderr.head.is_empty() {
        if !output.stdout.head.is_empty() && !message.ends_with(b"\n") {
            message.push(b'\n');
        }
        // The crons know of no such line.
        if mail.mail.format == MailFormat::Taskq {
            message.extend_from_slice(b"[taskq: standard error]\n");
        }
        push_output(&output.stderr, &format!("{run} --stderr"), &mut message);
    }
    if mail.mail.format != MailFormat::Taskq && mail.run.outcome == Some(Outcome::SpawnFailed) {
        // The crons write such a message to the output.
        message.extend(mail.run.cause.iter().flat_map(|cause| [cause.as_bytes(), b"\n"].concat()));
    }
    Message { arguments: arguments.into_iter().map(String::into_bytes).collect(), text: message }
}

/// As Debian's cron 3.0pl1 does.
fn debian(mail: &MailToSend, sender: &Sender<'_>, message: &mut Vec<u8>) -> Vec<String> {
    let env = &mail.execution.env;
    let from = sender_address(env, Dialect::Debian).unwrap_or(b"root (Cron Daemon)");
    push_header(message, "From", from);
    push_header(message, "To", mail.mail.to.as_bytes());
    push_header(message, "Subject", &cron_subject(mail, sender));
    push_header(message, "MIME-Version", b"1.0");
    push_header(message, "Content-Type", &content_type(env, sender));
    push_header(
        message,
        "Content-Transfer-Encoding",
        value_of(env, "CONTENT_TRANSFER_ENCODING").unwrap_or(b"8bit"),
    );
    push_environment(message, env, sender.login);
    let words = ["-FCronDaemon", "-i", "-B8BITMIME", "-oem", &mail.mail.to];
    words.map(str::to_owned).to_vec()
}

fn cronie(mail: &MailToSend, sender: &Sender<'_>, message: &mut Vec<u8>) -> Vec<String> {
    let env = &mail.execution.env;
    let from = sender_address(env, Dialect::Cronie).map_or(sender.user.to_owned(), lossy);
    push_header(message, "From", format!("\"(Cron Daemon)\" <{from}>").as_bytes());
    push_header(message, "To", mail.mail.to.as_bytes());
    push_header(message, "Subject", &cron_subject(mail, sender));
    push_header(message, "MIME-Version", b"1.0");
    push_header(message, "Content-Type", &content_type(env, sender));
    if let Some(encoding) = value_of(env, "CONTENT_TRANSFER_ENCODING") {
        push_header(message, "Content-Transfer-Encoding", encoding);
    }
    push_header(message, "Auto-Submitted", b"auto-generated");
    push_header(message, "Precedence", b"bulk");
    push_environment(message, env, sender.login);
    let words = ["-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", &from];
    words.map(str::to_owned).to_vec()
}

/// Our own form. It leaves the environment out, because that may hold secrets.
fn taskq(mail: &MailToSend, sender: &Sender<'_>, message: &mut Vec<u8>) -> Vec<String> {
    let run = &mail.run;
    let job = run.name.clone().unwrap_or_else(|| run.run.job.to_string());
    let host = short(sender.host);
    push_header(message, "From", format!("{} (taskq)", sender.user).as_bytes());
    push_header(message, "To", mail.mail.to.replace(',', ", ").as_bytes());
    push_header(
        message,
        "Subject",
        format!("taskq <{}@{host}> {job}: {}", sender.user, ending(run)).as_bytes(),
    );
    push_header(message, "Auto-Submitted", b"auto-generated");
    push_header(message, "X-Taskq-Run", run.run.to_string().as_bytes());
    push_header(message, "MIME-Version", b"1.0");
    push_header(message, "Content-Type", b"text/plain; charset=UTF-8");
    push_header(message, "Content-Transfer-Encoding", b"8bit");
    // Not every sendmail(8) takes several addresses in one word.
    let addresses = mail.mail.to.split(',').map(str::to_owned);
    ["-i", "-B8BITMIME", "-oem"].map(str::to_owned).into_iter().chain(addresses).collect()
}

/// The lines above the output.
fn summary(mail: &MailToSend, zone: &Zone) -> Vec<u8> {
    let run = &mail.run;
    let name = run.name.as_ref().map_or(String::new(), |name| format!(" {name}"));
    let mut facts = Facts::default();
    facts.push("Run", format!("{}{name}", run.run));
    match &mail.execution.command {
        CommandLine::Argv(_) | CommandLine::Sealed => {
            facts.push("Command", shown::command(&mail.execution.command));
        }
        CommandLine::Script(script) => facts.push_lines("Script", script_lines(script)),
    }
    facts.push("Scheduled", zone.show(run.scheduled_at));
    facts.push_lines("Started", run.started_at.map(|at| zone.show(at)));
    facts.push_lines("Took", run.duration().map(shown_span));
    facts.push("Outcome", ending(run));
    facts.push_lines("Cause", run.cause.as_ref().map(|cause| shown::escaped(cause)));
    facts.into_text(None).into_bytes()
}

/// Returns the first lines of a script, and a line with the number of the others.
fn script_lines(script: &[u8]) -> impl Iterator<Item = String> {
    let all = script.trim_ascii_end().split(|byte| *byte == b'\n');
    let more = all.clone().count().saturating_sub(SCRIPT_LINES_MAX);
    let more = (more > 0).then(|| format!("… and {more} lines more"));
    all.take(SCRIPT_LINES_MAX).map(shown::escaped_bytes).chain(more)
}

/// Returns the end of a run in words: `failed, exit 3`.
fn ending(run: &RunView) -> String {
    let outcome = run.outcome.map_or(run.state.to_string(), |outcome| outcome.to_string());
    match (run.exit_code, run.signal) {
        (Some(code), _) => format!("{outcome}, exit {code}"),
        (None, Some(signal)) => format!("{outcome}, {}", shown::signal_name(signal)),
        (None, None) => outcome,
    }
}

/// Shows a span in seconds, or a short one in milliseconds.
fn shown_span(span: Span) -> String {
    let unit = if span < Span::from_seconds(10) { 1_000 } else { 1_000_000 };
    Span::from_micros(span.as_micros() / unit * unit).to_string()
}

/// Adds an output. `arguments`: of the `log` that prints the whole.
fn push_output(output: &Excerpt, arguments: &str, message: &mut Vec<u8>) {
    message.extend_from_slice(&output.head);
    if output.left_out > 0 {
        let bytes = output.left_out;
        let note = format!("\n[taskq: {bytes} bytes are left out here; `taskq log {arguments}` has them]\n");
        message.extend_from_slice(note.as_bytes());
        message.extend_from_slice(&output.tail);
    }
}

/// Adds a header. Bytes that would end it early become blanks. Keeps a carriage return at the end of the
/// value, as the crons do: a crontab with DOS line ends leaves it in its commands.
fn push_header(message: &mut Vec<u8>, name: &str, value: &[u8]) {
    let (value, carriage_return) = value.strip_suffix(b"\r").map_or((value, false), |value| (value, true));
    message.extend_from_slice(format!("{name}: ").as_bytes());
    message.extend(value.iter().map(|byte| if matches!(byte, b'\n' | b'\r' | 0) { b' ' } else { *byte }));
    message.extend_from_slice(if carriage_return { b"\r\n" } else { b"\n" });
}

/// Lists the variables of the table and of the cron itself, which come before those of the session.
fn push_environment(message: &mut Vec<u8>, env: &[EnvVar], login: &[EnvVar]) {
    let own = env.iter().rposition(|variable| !login.contains(variable)).map_or(0, |last| last + 1);
    for variable in env[..own].iter().filter(|variable| !variable.starts_with(b"TASKQ_")) {
        push_header(message, "X-Cron-Env", &[b"<", variable.as_slice(), b">"].concat());
    }
}

fn cron_subject(mail: &MailToSend, sender: &Sender<'_>) -> Vec<u8> {
    let mut subject = format!("Cron <{}@{}> ", sender.user, short(sender.host)).into_bytes();
    subject.extend(cron_command(&mail.execution));
    subject
}

/// Returns the command as it is written in a crontab, without the shell by which cron runs it.
fn cron_command(execution: &Execution) -> Vec<u8> {
    match &execution.command {
        CommandLine::Script(script) => script.clone(),
        CommandLine::Argv(argv) => match argv.as_slice() {
            [_, option, command] if option == b"-c" => command.clone(),
            _ => shown::command(&execution.command).into_bytes(),
        },
        CommandLine::Sealed => shown::command(&execution.command).into_bytes(),
    }
}

fn content_type(env: &[Vec<u8>], sender: &Sender<'_>) -> Vec<u8> {
    let default = || format!("text/plain; charset={}", sender.charset).into_bytes();
    value_of(env, "CONTENT_TYPE").map_or_else(default, <[u8]>::to_vec)
}

/// Returns `MAILFROM` if it is safe in a header and in an argument by the rule of this cron.
fn sender_address(env: &[Vec<u8>], dialect: Dialect) -> Option<&[u8]> {
    value_of(env, "MAILFROM").filter(|from| is_safe(from, dialect))
}

fn short(host: &str) -> &str {
    host.split('.').next().unwrap_or(host)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
