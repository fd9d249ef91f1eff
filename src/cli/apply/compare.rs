//! Owns: whether a stored job is as its file has it, by what it means: `5m` is `300s`, `@daily` is `0 0 * *
//! *`.
//! Never: the store (see `plan`).

use super::file::Entry;
use crate::domain::{NewJob, Policy, Span, Timestamp, TriggerSpec};
use crate::schedule::compile;
use crate::store::{FirstFire, NamedJob};

/// How a job of a file differs from the stored job of its name.
pub struct Compared {
    /// Those of the file. One that is stored already is as it is stored.
    pub triggers: Vec<FirstFire>,
    pub has_same_definition: bool,
    pub has_same_triggers: bool,
}

/// Compares a job of a file with a stored one. What is stored in other words and means the same is then in
/// the words of the file.
pub fn compare(entry: &Entry, old: &mut NamedJob) -> Compared {
    let (new, stored) = (&entry.job, &mut old.definition);
    if has_same_overlap(new.policy, stored.policy, &old.triggers) {
        stored.policy.overlap = new.policy.overlap;
    }
    // Without retries, the pause before one means nothing.
    if new.retry.retries == 0 && stored.retry.retries == 0 {
        stored.retry = new.retry;
    }
    let (new_env, env) = (&new.execution.env, &mut stored.execution.env);
    if new_env != env && sorted(new_env) == sorted(env) {
        env.clone_from(new_env);
    }
    // Neither is a part of the definition.
    let (name, hold) = (stored.name.take(), stored.hold);
    (stored.name, stored.hold) = (new.name.clone(), new.hold);
    let has_same_definition = *new == *stored;
    (stored.name, stored.hold) = (name, hold);
    let triggers = as_stored(entry, &old.triggers);
    let is_stored = |new: &FirstFire| old.triggers.iter().any(|old| is_same_beside_delay(old, &new.spec));
    let has_same_triggers = triggers.len() == old.triggers.len() && triggers.iter().all(is_stored);
    Compared { triggers, has_same_definition, has_same_triggers }
}

fn sorted(vars: &[Vec<u8>]) -> Vec<&[u8]> {
    let mut vars: Vec<&[u8]> = vars.iter().map(Vec::as_slice).collect();
    vars.sort_unstable();
    vars
}

/// Tells whether two policies do the same at a fire during a run, one of which may be the default.
fn has_same_overlap(one: Policy, other: Policy, triggers: &[TriggerSpec]) -> bool {
    let is_event = |trigger: &TriggerSpec| trigger.event().is_some();
    let same_of_instants = one.overlap_of_instants() == other.overlap_of_instants();
    let same_of_events = one.overlap_of_events() == other.overlap_of_events();
    (same_of_instants || !triggers.is_empty() && triggers.iter().all(is_event))
        && (same_of_events || !triggers.iter().any(is_event))
}

/// Returns the triggers of a job, those that it has already as they are stored. A period without a beginning
/// in the file keeps its own.
fn as_stored(entry: &Entry, stored: &[TriggerSpec]) -> Vec<FirstFire> {
    let mut left: Vec<&TriggerSpec> = stored.iter().collect();
    let as_stored = |new: &FirstFire| {
        let delay = new.spec.delay();
        let is_meant = |old: &&TriggerSpec| {
            let old = (*old).clone().delayed(delay);
            has_same_meaning(&old, &new.spec) || !entry.has_anchor && has_same_period(&old, &new.spec)
        };
        match left.iter().position(is_meant) {
            Some(found) => FirstFire { spec: left.remove(found).clone().delayed(delay), ..new.clone() },
            None => new.clone(),
        }
    };
    entry.triggers.iter().map(as_stored).collect()
}

fn has_same_period(one: &TriggerSpec, other: &TriggerSpec) -> bool {
    match (one, other) {
        (TriggerSpec::Every { period, .. }, TriggerSpec::Every { period: other, .. }) => period == other,
        _ => false,
    }
}

/// Tells whether two triggers are the same but for the delay of `--jitter`.
pub fn is_same_beside_delay(one: &TriggerSpec, other: &TriggerSpec) -> bool {
    one == other || one.clone().delayed(Span::ZERO) == other.clone().delayed(Span::ZERO)
}

fn has_same_meaning(one: &TriggerSpec, other: &TriggerSpec) -> bool {
    one == other
        || zone(one) == zone(other)
            && one.kind() == other.kind()
            && one.event().is_none()
            && matches!((compile(one), compile(other)), (Ok(one), Ok(other)) if one == other)
}

fn zone(trigger: &TriggerSpec) -> Option<&String> {
    match trigger {
        TriggerSpec::Cron { zone, .. } | TriggerSpec::Calendar { zone, .. } => zone.as_ref(),
        TriggerSpec::At { .. }
        | TriggerSpec::Every { .. }
        | TriggerSpec::AfterEnd { .. }
        | TriggerSpec::Event(_) => None,
    }
}

/// Tells whether a trigger will fire, at a time or at an event.
pub fn is_coming(first: &FirstFire, job: &NewJob, now: Timestamp) -> bool {
    let at_event = first.boot_id.is_some() || first.spec.event().is_some();
    first.next_at.is_some() || at_event && !job.window().has_ended(now)
}
