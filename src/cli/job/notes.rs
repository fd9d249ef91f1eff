//! Owns: notes about a job that is added: what may be a slip. The job is stored in any case.
//! Never: errors (see `text`), or printing.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;

use crate::crontab::note_on_days;
use crate::domain::{CommandLine, Mail, NewJob, Timestamp};
use crate::error::describe_errno;
use crate::keeper::find_program;
use crate::schedule::{Zone, left_out_reading, parse_span};
use crate::shown::{escaped_bytes, quoted};
use crate::system::env::sendmail;

/// Returns the notes about a job, whose `--at` and `--cron` options had the texts `at` and `cron`.
pub fn notes(job: &NewJob, (at, cron): (&[String], &[String]), now: Timestamp, zone: &Zone) -> Vec<String> {
    let moved = at.iter().filter_map(|text| moved_note(text, now, zone));
    let of_days = cron.iter().filter_map(|text| Some(format!("`--cron '{text}'`: {}", note_on_days(text)?)));
    let of_times = moved.chain(of_days);
    command_note(job).into_iter().chain(of_times).chain(job.mail.as_ref().and_then(mail_note)).collect()
}

/// The program may not be there at the time of the run either. Of a script the shell reports it.
pub fn command_note(job: &NewJob) -> Option<String> {
    let CommandLine::Argv(words) = &job.execution.command else { return None };
    // What a host has, nobody knows here.
    if job.requirement.executor.is_some() {
        return None;
    }
    let (program, rest) = words.split_first()?;
    let cwd = Path::new(OsStr::from_bytes(&job.execution.cwd));
    let errno = find_program(program, &job.execution.env, cwd).err()?;
    let shown = escaped_bytes(program);
    if rest.is_empty() && program.contains(&b' ') {
        return Some(format!("`{shown}` is one word; a shell runs it with `-c {}`", quoted(program)));
    }
    let is_span = std::str::from_utf8(program).is_ok_and(|text| parse_span(text).is_ok());
    if is_span && !rest.is_empty() {
        return Some(format!("`{shown}` is taken as the program; `--at 'in {shown}'` runs the rest later"));
    }
    Some(match errno {
        Errno::ENOENT if program.contains(&b'/') => {
            format!("the program `{shown}` is not there, seen from `{}`", cwd.display())
        }
        Errno::ENOENT => format!("the program `{shown}` is not in the job's PATH"),
        errno => format!("the program `{shown}` cannot be started: {}", describe_errno(errno)),
    })
}

fn moved_note(text: &str, now: Timestamp, zone: &Zone) -> Option<String> {
    let (left_out, at) = left_out_reading(text, now, zone)?;
    let name = zone.name();
    Some(format!(
        "`--at {text}`: the clock of {name} leaves out {left_out}; the job runs at {}",
        zone.show(at)
    ))
}

fn mail_note(mail: &Mail) -> Option<String> {
    if sendmail().is_some() {
        return None;
    }
    Some(format!(
        "no sendmail(8) is there for the mail to `{}`; the daemon can be given one by `TASKQ_SENDMAIL`",
        mail.to
    ))
}
