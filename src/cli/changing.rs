//! Owns: storing the changed definition of a job, whose id, counters and history stay.
//! Never: what changes (see the verbs).

use super::context::Failure;
use super::job::first_fires::refused_end;
use super::job::text::Caller;
use super::zone::system_zone;
use crate::daemon::{follow_new_window, refused_requirement};
use crate::domain::{JobId, NewJob, Requirement, Word};
use crate::store::{FirstFire, JobView, TriggerView, Writer};
use crate::system::machine;

/// Refuses new needs that are more than there is, and a new executor that is not there. What a job has
/// required before is no reason to refuse another change.
pub fn refuse_requirement(
    writer: &Writer<'_>,
    (old, new): (&NewJob, &NewJob),
    what: &str,
) -> Result<(), Failure> {
    let part = |job: &NewJob| {
        let Requirement { needs, executor, host, .. } = &job.requirement;
        (needs.clone(), executor.clone(), host.clone())
    };
    if part(new) == part(old) {
        return Ok(());
    }
    match refused_requirement(writer, &new.requirement, &machine::size, what)? {
        Some(refused) => Err(refused.into()),
        None => Ok(()),
    }
}

/// Stores a changed job. Triggers that stay keep their next fires.
pub fn store(
    writer: &Writer<'_>,
    (id, had_items): (JobId, bool),
    (job, changed): (&NewJob, Vec<Word>),
    triggers: Option<Vec<FirstFire>>,
) -> Result<(), Failure> {
    match triggers {
        Some(triggers) => writer.change_job(id, job, &triggers, changed)?,
        None => writer.change_definition(id, job, changed)?,
    }
    writer.set_tags(id, &job.tags)?;
    if job.has_items != had_items || !job.items.is_empty() {
        writer.set_items(id, &job.items)?;
    }
    writer.set_dependencies(id, &job.after.dependencies)?;
    Ok(writer.requeue_waiting(id, job)?)
}

/// Plans the coming fires of a job again, which was `old` before and has another window now. Refuses a window
/// that leaves a trigger without a fire.
pub fn follow_window(writer: &Writer<'_>, old: &JobView, here: &Caller, what: &str) -> Result<(), Failure> {
    let (boot_id, zone) = (machine::boot_id(), system_zone().0);
    follow_new_window(writer, old.id, old.definition.window(), (&boot_id, &zone), here.now)?;
    let new = writer.triggers(old.id)?;
    for trigger in &old.triggers {
        let has_ended = |new: &TriggerView| new.id == trigger.id && new.next_at.is_none();
        if let Some(first) = trigger.next_at.filter(|_| new.iter().any(has_ended)) {
            return Err(refused_end(what, &trigger.spec, first, &here.zone).into());
        }
    }
    Ok(())
}
