//! Owns: what has to be done so that the jobs of the store are those of a file.
//! Never: doing it (see `store`).

use std::collections::{HashMap, HashSet};

use super::compare::{Compared, compare, is_coming, is_same_beside_delay};
use super::file::{Entry, File};
use super::problem::Problem;
use crate::cli::context::Failure;
use crate::cli::import::stored::refuse_line;
use crate::cli::job::first_fires::never_fires;
use crate::cli::view::changes::{Change, change, changes};
use crate::domain::{JobId, JobName, Timestamp, TriggerSpec};
use crate::store::{FirstFire, NamedJob, Reader};

/// What is to be done about a job of a file.
pub enum Act {
    Add,
    Change(Box<Changing>),
    Keep(JobId),
}

/// A stored job that is to be changed.
pub struct Changing {
    pub old: NamedJob,
    pub new: Compared,
    /// It is to be paused, or resumed.
    pub hold: Option<bool>,
    /// The options that differ, for a person.
    pub changes: Vec<Change>,
}

/// A job that is no longer in its file.
pub struct Gone {
    pub id: JobId,
    pub name: JobName,
    /// There is nothing left to end.
    pub is_over: bool,
}

/// What is to be done, for each job of the file, and for those that are gone from it.
pub struct Plan {
    pub acts: Vec<Act>,
    /// The jobs that were not applied from this file before.
    pub taken: HashSet<JobId>,
    pub gone: Vec<Gone>,
}

impl Plan {
    /// Tells whether the store is as the file has it. `prune`: what is gone is to be ended.
    pub fn is_empty(&self, prune: bool) -> bool {
        let keeps = |act: &Act| matches!(act, Act::Keep(_));
        self.acts.iter().all(keeps)
            && self.taken.is_empty()
            && !self.gone.iter().any(|gone| prune || gone.is_over)
    }
}

/// Compares a file with the store, from which it gets the values of variables that it keeps. What cannot be
/// done goes to `problems`.
pub fn plan(reader: &Reader<'_>, file: &mut File<'_>, problems: &mut Vec<Problem>) -> Result<Plan, Failure> {
    keep_variables(reader, file, problems)?;
    let file = &*file;
    let source = file.source.key();
    let mut plan =
        Plan { acts: Vec::with_capacity(file.entries.len()), taken: HashSet::new(), gone: Vec::new() };
    let mut found: HashSet<JobId> = HashSet::new();
    let mut known = source.map_or(Ok(HashMap::new()), |source| reader.living_applied(source))?;
    for entry in &file.entries {
        let old = match known.remove(&entry.name) {
            Some(old) => Some(old),
            None => stored_job(reader, source, entry)?,
        };
        let (id, is_taken) = match &old {
            Some(old) => (Some(old.id), source.is_some() && old.source.as_deref() != source),
            None => (None, false),
        };
        let act = act(reader, file, entry, old, problems)?;
        if let (Some(id), Act::Change(_) | Act::Keep(_)) = (id, &act) {
            found.insert(id);
            plan.taken.extend(is_taken.then_some(id));
        }
        plan.acts.push(act);
    }
    for applied in source.map_or(Ok(Vec::new()), |source| reader.applied_jobs(source))? {
        if !found.contains(&applied.id) {
            let name = applied.present_name.unwrap_or(applied.name);
            plan.gone.push(Gone { id: applied.id, name, is_over: applied.is_over });
        }
    }
    Ok(plan)
}

/// Gives the jobs of a file the stored values of the variables that they keep.
fn keep_variables(
    reader: &Reader<'_>,
    file: &mut File<'_>,
    problems: &mut Vec<Problem>,
) -> Result<(), Failure> {
    let source = file.source.key();
    for entry in file.entries.iter_mut().filter(|entry| !entry.kept.is_empty()) {
        let stored = stored_job(reader, source, entry)?;
        let known = stored.as_ref().map(|job| job.definition.execution.env.as_slice());
        let (env, problem) = entry.kept.environment(&entry.name, known);
        entry.job.execution.env = env;
        problems.extend(problem);
    }
    Ok(())
}

/// Finds the job that a job of a file is about: the one of its name, or one that was renamed since.
fn stored_job(
    reader: &Reader<'_>,
    source: Option<&[u8]>,
    entry: &Entry,
) -> Result<Option<NamedJob>, Failure> {
    let named = reader.named_job(&entry.name)?;
    if named.as_ref().is_some_and(|named| !named.is_over) {
        return Ok(named);
    }
    let renamed = source.map_or(Ok(None), |source| reader.renamed_job(source, &entry.name))?;
    Ok(renamed.or(named))
}

fn act(
    reader: &Reader<'_>,
    file: &File<'_>,
    entry: &Entry,
    old: Option<NamedJob>,
    problems: &mut Vec<Problem>,
) -> Result<Act, Failure> {
    let Some(mut old) = old else {
        refuse_without_fire(file, entry, &entry.triggers, &[], problems);
        return Ok(Act::Add);
    };
    let new = compare(entry, &mut old);
    if old.is_over && !is_complete(entry, &old, &new, file.here.now) {
        refuse_without_fire(file, entry, &entry.triggers, &[], problems);
        return Ok(Act::Add);
    }
    let hold = entry.hold.filter(|hold| !old.is_over && *hold != old.definition.hold);
    let is_renamed = old.definition.name.as_ref() != Some(&entry.name);
    if new.has_same_definition
        && new.has_same_triggers
        && hold.is_none()
        && !is_renamed
        && has_same_delay(&old, &new)
    {
        return Ok(Act::Keep(old.id));
    }
    if let Err(Failure::Told(error)) = refuse_line(reader, old.id, &file.source.what, "edit the line in") {
        problems.push(Problem::of(file.place(entry, ""), error));
    }
    if new.triggers.is_empty() && !old.triggers.is_empty() {
        let cause = format!(
            "job {} has a trigger, and a job without one runs once: cancel it first, or give this one \
             another name",
            old.id
        );
        problems.push(Problem::new(file.place(entry, ""), cause));
    }
    if !old.is_over {
        refuse_without_fire(file, entry, &new.triggers, &old.triggers, problems);
    }
    let zone = &file.here.zone;
    let specs: Vec<TriggerSpec> = new.triggers.iter().map(|first| first.spec.clone()).collect();
    let mut differ = changes((&old.definition, &old.triggers), (&entry.job, &specs), zone);
    if is_renamed {
        let name = |name: &JobName| Some(name.to_string().into());
        differ.insert(0, change("name", old.definition.name.as_ref().and_then(name), name(&entry.name)));
    }
    if let Some(hold) = hold {
        differ.push(change("hold", Some((!hold).into()), Some(hold.into())));
    }
    Ok(Act::Change(Box::new(Changing { old, new, hold, changes: differ })))
}

/// Tells whether a job that is over has done all that its file wants: it ran at its time, once, or so many
/// times. A job that was cancelled before has not.
fn is_complete(entry: &Entry, old: &NamedJob, new: &Compared, now: Timestamp) -> bool {
    let is_counted = entry.job.times.is_some_and(|times| old.begun >= times);
    let is_coming = |first: &_| is_coming(first, &entry.job, now);
    new.has_same_triggers && (is_counted || !new.triggers.iter().any(is_coming))
}

fn has_same_delay(old: &NamedJob, new: &Compared) -> bool {
    new.triggers.iter().all(|new| old.triggers.contains(&new.spec))
}

/// Refuses triggers that never fire, but for those in `known`, which have fired, and for times that have
/// passed beside one that has not.
fn refuse_without_fire(
    file: &File<'_>,
    entry: &Entry,
    triggers: &[FirstFire],
    known: &[TriggerSpec],
    problems: &mut Vec<Problem>,
) {
    let (now, zone, window) = (file.here.now, &file.here.zone, entry.job.window());
    let comes = |first: &FirstFire| is_coming(first, &entry.job, now);
    let is_known = |spec: &TriggerSpec| known.iter().any(|known| is_same_beside_delay(known, spec));
    let has_one = triggers.iter().any(comes);
    for FirstFire { spec, .. } in triggers.iter().filter(|first| !comes(first) && !is_known(&first.spec)) {
        let passed = |key: &str, at| {
            Problem::new(file.place(entry, key), format!("`{key}` is in the past (it was {})", zone.show(at)))
        };
        problems.push(match (spec, window.until) {
            (TriggerSpec::At { .. }, _) if has_one => continue,
            (TriggerSpec::At { at, .. }, _) => passed("at", *at),
            (_, Some(until)) if until <= now => passed("until", until),
            (spec, _) => {
                let error = never_fires(spec, zone, window, now, &file.source.what);
                Problem::of(file.place(entry, spec.kind().as_str()), error)
            }
        });
    }
}
