//! Owns: late fires, and what becomes of them; and what becomes of a fire while its job still runs.
//! Never: slots, SQL, the clock.
//!
//! Every fire from a trigger's `next_at` to now goes into exactly one of three heaps: on time, made up,
//! missed. The heaps are contiguous and in that order from now backwards, so that one `missed` row with a
//! count stands for its stretch.

use std::collections::HashMap;

use super::plan::{Fate, NewRun, Plan};
use super::snapshot::{Due, Unfinished};
use crate::domain::{JobId, Missed, MissedMode, Outcome, Overlap, Policy, Span, Timestamp};
use crate::schedule::{Schedule, Zone};

/// How many fires of one trigger may be on time at once: a grace of an hour at a fire a second is 3,600, a
/// mistake is more.
const ON_TIME_MAX: usize = 3_600;

/// Where every fire of a stretch went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounting {
    /// The first missed fire, and how many there are.
    pub missed: Option<(Timestamp, u64)>,
    /// Late fires that still run.
    pub made_up: Vec<Timestamp>,
    /// Fires within the grace.
    pub on_time: Vec<Timestamp>,
    /// The first fire after now.
    pub next_at: Option<Timestamp>,
}

/// A trigger's fires from the first that is not accounted for.
#[derive(Clone, Copy, Debug)]
pub struct Pending<'a> {
    /// Its instants.
    pub schedule: &'a Schedule,
    /// The zone they are read in.
    pub zone: &'a Zone,
    /// The first fire. It was planned and is owed, even if the system's zone has changed since and the
    /// schedule has it no more.
    pub next_at: Timestamp,
    /// Later instants that have a run already, ascending: there are some only where the clock was set back.
    /// They do not fire again.
    pub taken: &'a [Timestamp],
}

impl Pending<'_> {
    pub(super) fn count(&self, until: Timestamp) -> u64 {
        let fires = |at: &Timestamp| self.schedule.count(*at - Span::from_micros(1), *at, self.zone) > 0;
        let again = self.taken.iter().take_while(|at| **at <= until).filter(|at| fires(at)).count();
        1 + self.schedule.count(self.next_at, until, self.zone) - again as u64
    }

    /// Returns the last `n` fires in `(after, until]`, ascending.
    fn latest(&self, after: Timestamp, until: Timestamp, n: usize) -> Vec<Timestamp> {
        let n_and_taken = n + self.taken.len();
        let mut fires = self.schedule.latest(after.max(self.next_at), until, n_and_taken, self.zone);
        fires.retain(|at| self.taken.binary_search(at).is_err());
        if (after..until).contains(&(self.next_at - Span::from_micros(1))) {
            fires.insert(0, self.next_at);
        }
        fires.split_off(fires.len().saturating_sub(n))
    }

    pub(super) fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        first_free_fire(self.schedule, self.zone, None, now, self.taken)
    }
}

/// Accounts for every fire up to and at `now`.
pub fn account(now: Timestamp, pending: &Pending<'_>, missed: &Missed) -> Accounting {
    let before = pending.next_at - Span::from_micros(1);
    let graced = before.max(now - missed.grace - Span::from_micros(1));
    let on_time = pending.latest(graced, now, ON_TIME_MAX);
    let late_until = on_time.first().map_or(now, |first| *first - Span::from_micros(1));
    let late = pending.count(now) - on_time.len() as u64;
    let made_up = match (missed.mode, late) {
        (_, 0) | (MissedMode::Skip, _) => Vec::new(),
        // The fire that is on time stands in for the late ones: a second run at the same moment would help
        // nobody.
        (MissedMode::Once, _) if !on_time.is_empty() => Vec::new(),
        (MissedMode::Once, _) => within(now, missed, pending.latest(before, late_until, 1)),
        (MissedMode::All, _) => within(now, missed, pending.latest(before, late_until, Missed::RUNS_MAX)),
    };
    let count = late - made_up.len() as u64;
    Accounting {
        missed: (count > 0).then_some((pending.next_at, count)),
        made_up,
        on_time,
        next_at: pending.next_after(now),
    }
}

fn within(now: Timestamp, missed: &Missed, mut fires: Vec<Timestamp>) -> Vec<Timestamp> {
    if let Some(within) = missed.within {
        fires.retain(|fire| *fire >= now - within);
    }
    fires
}

/// Returns a trigger's first fire after `now` that is not before `start`.
pub fn first_fire(
    schedule: &Schedule,
    zone: &Zone,
    start: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    first_free_fire(schedule, zone, start, now, &[])
}

/// Returns the first of these fires that is not `taken`: instants, ascending, that have a run already.
pub fn first_free_fire(
    schedule: &Schedule,
    zone: &Zone,
    start: Option<Timestamp>,
    now: Timestamp,
    taken: &[Timestamp],
) -> Option<Timestamp> {
    let before_start = start.map(|start| start - Span::from_micros(1));
    let mut fire = schedule.next_after(before_start.map_or(now, |before| before.max(now)), zone);
    while let Some(at) = fire.filter(|at| taken.binary_search(at).is_ok()) {
        fire = schedule.next_after(at, zone);
    }
    fire
}

/// Plans the runs of every due trigger.
pub(super) fn fire(now: Timestamp, due: &[Due]) -> Plan {
    let mut plan = Plan { more: true, ..Plan::default() };
    // Several triggers of a job may be due, or one several times: each fire meets the runs that the earlier
    // ones made.
    let mut jobs: HashMap<JobId, Overlapping> = HashMap::new();
    for due in due {
        let (schedule, zone) = match &due.schedule {
            Ok(found) => found,
            Err(reason) => {
                plan.broken.push((due.job, reason.clone()));
                continue;
            }
        };
        // An instant of `@reboot` is no instant of its schedule: it fires once, now.
        let accounting = if matches!(schedule, Schedule::Reboot) {
            Accounting { missed: None, made_up: Vec::new(), on_time: vec![due.next_at], next_at: None }
        } else {
            let pending = Pending { schedule, zone, next_at: due.next_at, taken: &due.taken };
            account(now, &pending, &due.policy.missed)
        };
        plan.advanced.push((due.trigger, accounting.next_at));
        let job = jobs.entry(due.job).or_insert_with(|| Overlapping::new(&due.unfinished));
        place(due, &accounting, job, &mut plan);
    }
    plan
}

fn place(due: &Due, accounting: &Accounting, job: &mut Overlapping, plan: &mut Plan) {
    let new = |scheduled_at, fires, fate, cause| NewRun {
        job: due.job,
        trigger: Some(due.trigger),
        kind: due.kind,
        scheduled_at,
        fires,
        fate,
        cause,
    };
    if let Some((first, count)) = accounting.missed {
        plan.new_runs.push(new(
            first,
            count,
            Fate::Finished(Outcome::Missed),
            Some("found later than its grace"),
        ));
    }
    for at in &accounting.made_up {
        // Several made up at once wait for one another, unless the job lets its runs overlap; none is skipped
        // for the next.
        let fate = if accounting.made_up.len() > 1 { job.queue() } else { job.meet(&due.policy, plan) };
        let cause = matches!(fate, Fate::Finished(_)).then_some(OVERLAP_CAUSE);
        plan.new_runs.push(new(*at, 1, fate, cause));
    }
    for at in &accounting.on_time {
        let fate = job.meet(&due.policy, plan);
        let cause = matches!(fate, Fate::Finished(_)).then_some(OVERLAP_CAUSE);
        plan.new_runs.push(new(*at, 1, fate, cause));
    }
}

const OVERLAP_CAUSE: &str = "another run of the job was unfinished";

/// The unfinished runs that a fire of their job meets.
struct Overlapping {
    stored: Vec<Unfinished>,
    /// Runs that this plan has queued for the job.
    planned: usize,
}

impl Overlapping {
    fn new(unfinished: &[Unfinished]) -> Self {
        Self { stored: unfinished.to_vec(), planned: 0 }
    }

    fn queue(&mut self) -> Fate {
        self.planned += 1;
        Fate::Queued
    }

    fn meet(&mut self, policy: &Policy, plan: &mut Plan) -> Fate {
        let waiting = self.planned + self.stored.iter().filter(|run| !run.claimed).count();
        let unfinished = self.planned + self.stored.len();
        match policy.overlap {
            Overlap::Skip if unfinished > 0 => Fate::Finished(Outcome::Skipped),
            Overlap::Wait if waiting > 0 => Fate::Finished(Outcome::Skipped),
            // The run that replaces is itself not replaced by a fire of the same moment.
            Overlap::Replace if self.planned > 0 => Fate::Finished(Outcome::Skipped),
            Overlap::Replace => {
                self.replace(plan);
                self.queue()
            }
            Overlap::Skip | Overlap::Wait | Overlap::Allow => self.queue(),
        }
    }

    fn replace(&mut self, plan: &mut Plan) {
        for run in self.stored.drain(..) {
            match (run.claimed, run.stopping) {
                (false, _) => plan.cancelled.push(run.run),
                (true, false) => plan.stopped.push(run.run),
                (true, true) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::parse_cron;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_seconds(1_772_323_200 + minute * 60)
    }

    fn accounted(now: i64, next_at: i64, taken: &[i64], mode: MissedMode) -> Accounting {
        let schedule = parse_cron("*/10 * * * *").expect("valid");
        let taken: Vec<Timestamp> = taken.iter().map(|minute| at(*minute)).collect();
        let pending =
            Pending { schedule: &schedule, zone: &Zone::utc(), next_at: at(next_at), taken: &taken };
        account(at(now), &pending, &Missed { mode, within: None, grace: Span::ZERO })
    }

    #[test]
    fn a_planned_fire_that_the_schedule_has_no_more_is_owed_still() {
        let found = accounted(25, 3, &[], MissedMode::All);
        assert_eq!((found.made_up, found.next_at), (vec![at(3), at(10), at(20)], Some(at(30))));
        let found = accounted(25, 3, &[], MissedMode::Once);
        assert_eq!((found.missed, found.made_up), (Some((at(3), 2)), vec![at(20)]));
        assert_eq!(accounted(3, 3, &[], MissedMode::Once).on_time, [at(3)]);
    }

    #[test]
    fn an_instant_that_has_a_run_does_not_fire_again_after_the_clock_was_set_back() {
        let found = accounted(45, 10, &[20, 25, 40, 50], MissedMode::All);
        assert_eq!((found.made_up, found.next_at), (vec![at(10), at(30)], Some(at(60))));
        assert_eq!(accounted(45, 10, &[20, 25, 40, 50], MissedMode::Skip).missed, Some((at(10), 2)));
    }
}
