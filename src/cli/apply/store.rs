//! Owns: making the jobs of the store as a file has them, in the transaction of the caller.
//! Never: deciding what is to be done (see `plan`).

use std::path::Path;

use super::compare::Compared;
use super::file::{Entry, File};
use super::plan::{Act, Changing, Plan};
use super::problem::Problem;
use crate::cli::changing::{follow_window, refuse_requirement, store as store_changed};
use crate::cli::context::Failure;
use crate::cli::import::diff::make_queue;
use crate::cli::job::enforce::refuse_unenforced;
use crate::cli::target::find_queue;
use crate::cli::view::changes::Change;
use crate::cli::zone::system_zone;
use crate::daemon::{Adding, NameClash, add_job, check_batch, check_triggers, free_name, resume_job};
use crate::domain::{
    CommandLine, Execution, JobId, JobKey, JobName, NewJob, QueueName, Requirement, TriggerKind, TriggerSpec,
    Word,
};
use crate::error::{Error, Result};
use crate::store::Writer;
use crate::system::machine;

/// Why a waiting run is cancelled.
const GONE: &str = "its job is no longer in its file";

/// Where a file is applied.
pub struct Place<'a> {
    /// The directory of the store.
    pub dir: &'a Path,
    /// End the jobs that are gone from the file.
    pub prune: bool,
}

/// Does what a plan says, and returns the ids of the jobs of the file. What cannot be done goes to
/// `problems`; then the caller has to roll back.
pub fn store(
    writer: &Writer<'_>,
    file: &File<'_>,
    plan: &Plan,
    place: &Place<'_>,
    problems: &mut Vec<Problem>,
) -> Result<Vec<JobId>, Failure> {
    if plan.is_empty(place.prune) {
        return Ok(Vec::new());
    }
    writer.has_applied(&file.source.shown());
    for gone in plan.gone.iter().filter(|gone| place.prune || gone.is_over) {
        if !gone.is_over {
            writer.retire_job(gone.id, GONE, file.here.now)?;
        }
        writer.drop_applied(gone.id)?;
    }
    // So that exported jobs of a crontab can be applied elsewhere.
    if file.entries.iter().any(|entry| entry.job.queue.as_str() == QueueName::CRON) {
        make_queue(writer)?;
    }
    for name in &file.broken {
        stand_in(writer, file, name)?;
    }
    let mut ids = Vec::with_capacity(plan.acts.len());
    let mut stored = Vec::new();
    for (entry, act) in file.entries.iter().zip(&plan.acts) {
        let (id, is_taken) = match act {
            Act::Keep(id) => (*id, plan.taken.contains(id)),
            Act::Add => {
                let mut job = entry.job.clone();
                job.hold = entry.hold.unwrap_or(false);
                let old = NewJob::of(job.execution.clone());
                if !has_all(writer, file, entry, (&old, &job), place, problems)? {
                    // Others may name it.
                    (job.queue, job.requirement) = (QueueName::default(), Requirement::default());
                }
                let Some(id) = note(file, entry, "", add(writer, file, entry, &job), problems)? else {
                    continue;
                };
                stored.push((id, entry));
                (id, true)
            }
            Act::Change(changing) => {
                let id = changing.old.id;
                let jobs = (&changing.old.definition, &entry.job);
                if has_all(writer, file, entry, jobs, place, problems)? {
                    note(file, entry, "", change(writer, file, entry, changing), problems)?;
                    stored.push((id, entry));
                }
                (id, plan.taken.contains(&id))
            }
        };
        if let Some(source) = file.source.key().filter(|_| is_taken) {
            writer.set_applied(id, source, &entry.name)?;
        }
        ids.push(id);
    }
    check_together(writer, file, &stored, problems)?;
    Ok(ids)
}

/// Stores a job in the place of one that cannot be read, which others may name. It is never committed.
fn stand_in(writer: &Writer<'_>, file: &File<'_>, name: &JobName) -> Result<(), Failure> {
    if writer.find_job(&JobKey::Name(name.clone()))?.is_none() {
        let mut job = NewJob::of(Execution::of(CommandLine::Script(b"true".to_vec())));
        job.name = Some(name.clone());
        writer.add_job(&job, &[], None, file.here.now)?;
    }
    Ok(())
}

/// Tells whether the store has what a job needs of it.
fn has_all(
    writer: &Writer<'_>,
    file: &File<'_>,
    entry: &Entry,
    (old, new): (&NewJob, &NewJob),
    place: &Place<'_>,
    problems: &mut Vec<Problem>,
) -> Result<bool, Failure> {
    let what = &file.source.what;
    let before = problems.len();
    let queue = find_queue(writer, what, new.queue.as_str());
    note(file, entry, "queue", queue, problems)?;
    note(file, entry, "needs", refuse_requirement(writer, (old, new), what), problems)?;
    if !old.enforce || old.requirement.needs != new.requirement.needs {
        let refused = refuse_unenforced(new, place.dir, what).map_err(Failure::from);
        note(file, entry, "enforce", refused, problems)?;
    }
    Ok(problems.len() == before)
}

/// Returns a value, or keeps the error of a job as a problem at one of its keys.
fn note<T>(
    file: &File<'_>,
    entry: &Entry,
    key: &str,
    done: Result<T, Failure>,
    problems: &mut Vec<Problem>,
) -> Result<Option<T>, Failure> {
    match done {
        Ok(value) => Ok(Some(value)),
        Err(Failure::Told(error)) => {
            problems.push(Problem::of(file.place(entry, key), error));
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

fn add(writer: &Writer<'_>, file: &File<'_>, entry: &Entry, job: &NewJob) -> Result<JobId, Failure> {
    let adding = Adding {
        what: &file.source.what,
        others: &[],
        // What is left of a job that was cancelled gives its name up.
        clash: NameClash::Replace,
        request: None,
        machine: &machine::size,
        now: file.here.now,
    };
    let job = NewJob { name: Some(entry.name.clone()), ..job.clone() };
    Ok(add_job(writer, &job, &entry.triggers, &adding)??)
}

fn change(writer: &Writer<'_>, file: &File<'_>, entry: &Entry, changing: &Changing) -> Result<(), Failure> {
    let Changing { old, new: Compared { triggers, has_same_triggers, .. }, hold, changes } = changing;
    let (id, job, now, what) = (old.id, &entry.job, file.here.now, &file.source.what);
    if old.definition.name.as_ref() != Some(&entry.name) {
        rename(writer, file, entry, changing)?;
    }
    let before = writer.job(id)?;
    let delay = triggers.iter().map(|first| first.spec.delay()).max();
    let is_delayed = delay != old.triggers.iter().map(TriggerSpec::delay).max();
    if let Some(delay) = delay.filter(|_| is_delayed) {
        writer.set_delay(id, delay)?;
    }
    // The others have events of their own.
    let is_option = |change: &&Change| !["name", "hold"].contains(&change.key);
    let options: Vec<Word> =
        changes.iter().filter(is_option).map(|change| change.key.replace('_', "-").into()).collect();
    let replaced = (!has_same_triggers).then(|| triggers.clone());
    if !options.is_empty() || replaced.is_some() {
        store_changed(writer, (id, old.definition.has_items), (job, options), replaced)?;
    }
    if !old.is_over && (old.definition.window() != job.window() || is_delayed) {
        follow_window(writer, &before, file.here, what)?;
    }
    match hold {
        Some(true) => drop(writer.pause_job(id, now)?),
        Some(false) => {
            let resumed = resume_job(writer, id, &system_zone().0, now)?;
            resumed.map_err(|cause| Error::conflict(what, cause))?;
        }
        None => {}
    }
    Ok(())
}

/// Gives a job the name back that it has in the file.
fn rename(writer: &Writer<'_>, file: &File<'_>, entry: &Entry, changing: &Changing) -> Result<(), Failure> {
    let id = changing.old.id;
    free_name(writer, &entry.name, NameClash::Replace, &[], file.here.now)?;
    if let Some(name) = &changing.old.definition.name
        && writer.find_job(&JobKey::Name(name.clone()))? == Some(id)
    {
        writer.rename_in_dependents(name, &entry.name)?;
    }
    Ok(writer.rename_job(id, &entry.name)?)
}

/// Checks what jobs say of each other, once all of them are stored.
fn check_together(
    writer: &Writer<'_>,
    file: &File<'_>,
    stored: &[(JobId, &Entry)],
    problems: &mut Vec<Problem>,
) -> Result<(), Failure> {
    let depends = |(_, entry): &&(JobId, &Entry)| !entry.job.after.dependencies.is_empty();
    let depending = stored.iter().filter(depends).copied().collect();
    check_each(file, depending, "after", problems, |jobs| Ok(check_batch(writer, jobs)?))?;
    let listens = |(_, entry): &&(JobId, &Entry)| {
        entry.triggers.iter().any(|trigger| trigger.spec.kind() == TriggerKind::Job)
    };
    let listening = stored.iter().filter(listens).copied().collect();
    check_each(file, listening, "on", problems, |jobs| Ok(check_triggers(writer, jobs)?))
}

/// Checks jobs together, and again those after one that is refused, so that each of these is told.
fn check_each(
    file: &File<'_>,
    mut jobs: Vec<(JobId, &Entry)>,
    key: &str,
    problems: &mut Vec<Problem>,
    check: impl Fn(&[(JobId, &str)]) -> Result<Result<()>, Failure>,
) -> Result<(), Failure> {
    loop {
        // The name says which job an error is about.
        let named: Vec<(JobId, &str)> = jobs.iter().map(|(id, entry)| (*id, entry.name.as_str())).collect();
        let Err(error) = check(&named)? else { return Ok(()) };
        let refused = jobs.iter().position(|(_, entry)| entry.name.as_str() == error.what);
        let refused = refused.expect("it is one of the jobs that were checked");
        problems.push(Problem::of(file.place(jobs[refused].1, key), error));
        jobs.drain(..=refused);
    }
}
