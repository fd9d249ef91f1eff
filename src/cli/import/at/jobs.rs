//! Owns: making a job of a job of at(1), which runs as atd(8) would run it.
//! Never: reading the queue (see `queue`).

use std::path::Path;

use super::queue::QueuedJob;
use super::script::{AtHead, AtMail, AtSettings, head, settings};
use crate::cli::import::items::{ItemRefusal, ItemVerdict, PlannedItem, SourceItem, imported_job};
use crate::cli::import::place::Place;
use crate::cli::import::planned::ImportContext;
use crate::crontab::is_safe;
use crate::domain::{
    CommandLine, Execution, Gate, Mail, MailFormat, MailWhen, NewJob, Person, Requirement, Span, Stdin,
    TriggerSpec,
};
use crate::schedule::Dialect;
use crate::shown;
use crate::store::FirstFire;
use crate::system::{login, users};

/// The tag of its jobs.
const TAG: &str = "at";

/// The load average from which atd starts no batch job, unless its `-l` sets another.
const BATCH_GATE: &str = "load<1.5";

/// A longer script is given to a shell as its input: Linux takes no argument over 128 KiB.
const ARG_BYTES_MAX: usize = 100_000;

/// Makes a job of each job of at's queue.
pub fn at_items(jobs: &[QueuedJob], here: &ImportContext) -> Vec<SourceItem> {
    jobs.iter().map(|job| at_item(job, here)).collect()
}

fn at_item(queued: &QueuedJob, here: &ImportContext) -> SourceItem {
    let place = Place::AtJob(queued.number);
    let mut notes = Vec::new();
    match planned(queued, here, &mut notes) {
        Ok(planned) => {
            let text = shown::command(&planned.job.execution.command);
            SourceItem { place, text, verdict: ItemVerdict::Job(Box::new(planned)), notes }
        }
        Err(refusal) => {
            SourceItem { place, text: String::new(), verdict: ItemVerdict::Refused(refusal), notes }
        }
    }
}

fn planned(
    queued: &QueuedJob,
    here: &ImportContext,
    notes: &mut Vec<String>,
) -> Result<PlannedItem, ItemRefusal> {
    let text = queued.text.as_deref().map_err(|cause| ItemRefusal::of(cause.clone()))?;
    let (head, rest) =
        head(text).ok_or_else(|| ItemRefusal::of("its file does not begin with the head that at writes"))?;
    if text.contains(&b'\0') {
        return Err(ItemRefusal::of("its script has a NUL byte"));
    }
    if queued.uid.is_some_and(|uid| uid != head.uid) {
        return Err(ItemRefusal::of(format!(
            "its head names user {}, but its file belongs to another, so atd would not run it",
            head.uid
        )));
    }
    let user = owner(&head, here)?;
    if users::group_of(head.uid).is_some_and(|group| group != head.gid) {
        notes.push(format!("at would run it with group {}; taskq takes the user's own", head.gid));
    }
    let spec = TriggerSpec::At { at: queued.at, delay: Span::ZERO };
    let item = format!("{} at {}", queued.number, queued.at);
    Ok(PlannedItem {
        basis: item.clone(),
        item,
        is_once: true,
        job: job(queued, &head, (text, rest), &user, here, notes),
        triggers: vec![FirstFire { spec, next_at: Some(queued.at), boot_id: None, marks: None }],
        next_at: Some(queued.at),
    })
}

fn owner(head: &AtHead, here: &ImportContext) -> Result<Person, ItemRefusal> {
    let name = users::name_of(head.uid);
    let user = name.and_then(|name| (here.find_user)(&name));
    let user = user.ok_or_else(|| ItemRefusal::of(format!("its user, {}, is not there", head.uid)))?;
    if user.name != here.own.name && !here.is_root {
        let cause = format!("only root's daemon can run a job as `{}`", user.name);
        return Err(ItemRefusal::of(cause).hint("import it as root"));
    }
    Ok(user)
}

fn job(
    queued: &QueuedJob,
    head: &AtHead,
    (whole, after_head): (&[u8], &[u8]),
    user: &Person,
    here: &ImportContext,
    notes: &mut Vec<String>,
) -> NewJob {
    let mut execution = match settings(after_head) {
        Some(AtSettings { umask, env, cwd, commands }) => Execution { umask, env, cwd, ..shell(commands) },
        // Its own lines set umask, environment and directory.
        None => Execution { env: login::clean_environment(Some(user)), ..shell(whole) },
    };
    execution.user = Some(user.name.clone()).filter(|name| *name != here.own.name);
    execution.nice = Some(niceness(queued.queue));
    let job = imported_job(&format!("at-{}", queued.number), TAG, execution);
    let mut requirement = Requirement::default();
    if is_batch(queued.queue) {
        let gate = Gate::read(BATCH_GATE.as_bytes(), Path::new("/")).expect("it is a gate");
        requirement.gates.push(gate);
    }
    NewJob { requirement, mail: mail(head, notes), ..job }
}

/// Returns how a shell runs these commands.
fn shell(commands: &[u8]) -> Execution {
    if commands.len() <= ARG_BYTES_MAX {
        return Execution::of(CommandLine::Script(commands.to_vec()));
    }
    let stdin = Stdin::Text(commands.to_vec());
    Execution { stdin, ..Execution::of(CommandLine::Argv(vec![b"/bin/sh".to_vec()])) }
}

/// Returns the niceness that atd gives to a queue.
fn niceness(queue: char) -> i32 {
    let letter = i32::try_from(u32::from(queue.to_ascii_lowercase()) - u32::from('a')).unwrap_or(0);
    ((letter + 1) * 2).min(Execution::NICE_MAX)
}

fn is_batch(queue: char) -> bool {
    queue == 'b' || queue.is_ascii_uppercase()
}

fn mail(head: &AtHead, notes: &mut Vec<String>) -> Option<Mail> {
    let when = match head.mail {
        AtMail::Never => return None,
        AtMail::Output => MailWhen::Output,
        AtMail::Always => MailWhen::Always,
    };
    if !is_safe(head.mail_to.as_bytes(), Dialect::Debian) {
        notes.push(format!(
            "`{}` is not an address that taskq gives to sendmail: no mail is sent",
            head.mail_to
        ));
        return None;
    }
    Some(Mail { to: head.mail_to.clone(), when, format: MailFormat::Taskq })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_a_niceness_and_capitals_and_b_wait_for_a_low_load() {
        let found = ['a', 'b', 'c', 'D', 'Z'].map(|queue| (niceness(queue), is_batch(queue)));
        assert_eq!(found, [(2, false), (4, true), (6, false), (8, true), (19, true)]);
    }
}
