//! Owns: when a job runs next.
//! Never: the fires after that (see `next`).

use crate::cli::zone::system_zone;
use crate::domain::{Timestamp, TriggerSpec};
use crate::engine::{NthFacts, Pending, coming_nth};
use crate::store::{JobView, TriggerView, schedule_of};

/// Returns the next fire of a job that `--nth` does not pass over, and its trigger. A paused job has none.
pub fn next_run(job: &JobView) -> Option<(Timestamp, &TriggerSpec)> {
    coming_run(job).filter(|_| job.paused_at.is_none())
}

/// Returns the same, also of a paused job. With `--nth`, there is none if a trigger cannot be read.
pub fn coming_run(job: &JobView) -> Option<(Timestamp, &TriggerSpec)> {
    let coming: Vec<(&TriggerView, Timestamp)> =
        job.triggers.iter().filter_map(|trigger| Some((trigger, trigger.next_at?))).collect();
    match job.nth() {
        None => coming.iter().map(|(trigger, at)| (*at, &trigger.spec)).min_by_key(|(at, _)| *at),
        Some(facts) => next_nth(job, &coming, facts),
    }
}

fn next_nth<'a>(
    job: &JobView,
    coming: &[(&'a TriggerView, Timestamp)],
    facts: NthFacts,
) -> Option<(Timestamp, &'a TriggerSpec)> {
    let system_zone = system_zone().0;
    let compiled: Vec<_> = coming
        .iter()
        .map(|(trigger, _)| schedule_of(&trigger.spec, &system_zone).ok())
        .collect::<Option<_>>()?;
    let pending = coming.iter().zip(&compiled).map(|((_, next_at), (schedule, zone))| Pending {
        schedule,
        zone,
        next_at: *next_at,
        window: job.definition.window(),
        taken: &[],
    });
    let (index, at) = coming_nth(&pending.collect::<Vec<_>>(), facts).next()?;
    Some((at, &coming[index].0.spec))
}
