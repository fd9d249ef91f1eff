//! Owns: when a job runs next, and until an instant.
//! Never: the coming fires of all jobs in their order (see `next`).

use crate::cli::zone::system_zone;
use crate::domain::{Span, Timestamp, TriggerSpec};
use crate::engine::{Compiled, NthFacts, Pending, coming_nth};
use crate::schedule::{Schedule, Zone};
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

/// Of more coming fires of a trigger than this, some are left out, evenly over the time.
const FIRES_MAX: u64 = 2_000;

/// Returns the coming fires of a job after `now` and before `until`, ascending.
pub fn fires_until(job: &JobView, now: Timestamp, until: Timestamp, system_zone: &Zone) -> Vec<Timestamp> {
    if job.paused_at.is_some() {
        return Vec::new();
    }
    let first = |trigger: &TriggerView| trigger.next_at.filter(|at| *at < until);
    let coming = job.triggers.iter().filter_map(|trigger| Some((first(trigger)?, &trigger.spec)));
    let compiled: Vec<(Timestamp, Compiled)> =
        coming.map(|(at, spec)| (at, schedule_of(spec, system_zone))).collect();
    let window = job.definition.window();
    let pending: Vec<Pending<'_>> = compiled
        .iter()
        .filter_map(|(next_at, compiled)| {
            let (schedule, zone) = compiled.as_ref().ok()?;
            Some(Pending { schedule, zone, next_at: *next_at, window, taken: &[] })
        })
        .collect();
    let mut fires: Vec<Timestamp> = match job.nth() {
        Some(facts) => {
            let fires = coming_nth(&pending, facts).map(|(_, at)| at);
            fires.take_while(|at| *at < until).take(FIRES_MAX as usize).collect()
        }
        None => pending.iter().flat_map(|pending| fires_of(pending, until)).collect(),
    };
    // One that is overdue has its run soon.
    fires.retain(|at| *at >= now);
    fires.sort_unstable();
    fires.dedup();
    if let Some(times) = job.definition.times {
        fires.truncate(times.saturating_sub(job.begun) as usize);
    }
    fires
}

fn fires_of(pending: &Pending<'_>, until: Timestamp) -> Vec<Timestamp> {
    let from = pending.next_at;
    // After the end of a run, the one after the next fire is not known.
    if matches!(pending.schedule, Schedule::AfterEnd { .. }) {
        return vec![from];
    }
    let just_before = until - Span::from_micros(1);
    let count = pending.count(just_before);
    let spacing = if count > FIRES_MAX { until.since(from).as_micros() / FIRES_MAX } else { 1 };
    let next = |at: &Timestamp| pending.next_after(*at + Span::from_micros(spacing - 1));
    std::iter::successors(Some(from), next).take_while(|at| *at < until).collect()
}
