//! Owns: late fires, and what becomes of them; and what becomes of a fire while its job still runs.
//! Never: slots, SQL, the clock.
//!
//! Every fire from a trigger's `next_at` to now goes into exactly one of three heaps: on time, made up, missed. The heaps
//! are contiguous and in that order from now backwards, so that one `missed` row with a count stands for its stretch.

use std::collections::HashMap;

use super::plan::{Fate, NewRun, Plan};
use super::snapshot::{Due, Unfinished};
use crate::domain::{JobId, Missed, MissedMode, Outcome, Overlap, Policy, Span, Timestamp};
use crate::schedule::{Schedule, Zone};

/// How many fires of one trigger may be on time at once: a grace of an hour at a fire a second is 3,600, a mistake is more.
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

/// Accounts for every fire from `next_at` up to and at `now`.
pub fn account(now: Timestamp, schedule: &Schedule, zone: &Zone, next_at: Timestamp, missed: &Missed) -> Accounting {
    let before = next_at - Span::from_micros(1);
    let total = schedule.count(before, now, zone);
    let graced = before.max(now - missed.grace - Span::from_micros(1));
    let on_time = schedule.latest(graced, now, ON_TIME_MAX, zone);
    let late_until = on_time.first().map_or(now, |first| *first - Span::from_micros(1));
    let late = total - on_time.len() as u64;
    let made_up = match (missed.mode, late) {
        (_, 0) | (MissedMode::Skip, _) => Vec::new(),
        // The fire that is on time stands in for the late ones: a second run at the same moment would help nobody.
        (MissedMode::Once, _) if !on_time.is_empty() => Vec::new(),
        (MissedMode::Once, _) => within(now, missed, schedule.latest(before, late_until, 1, zone)),
        (MissedMode::All, _) => within(now, missed, schedule.latest(before, late_until, Missed::RUNS_MAX, zone)),
    };
    let count = late - made_up.len() as u64;
    Accounting {
        missed: (count > 0).then_some((next_at, count)),
        made_up,
        on_time,
        next_at: schedule.next_after(now, zone),
    }
}

fn within(now: Timestamp, missed: &Missed, mut fires: Vec<Timestamp>) -> Vec<Timestamp> {
    if let Some(within) = missed.within {
        fires.retain(|fire| *fire >= now - within);
    }
    fires
}

/// Returns a trigger's first fire after `now` that is not before `start`.
pub fn first_fire(schedule: &Schedule, zone: &Zone, start: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let before_start = start.map(|start| start - Span::from_micros(1));
    schedule.next_after(before_start.map_or(now, |before| before.max(now)), zone)
}

/// Returns how many fires of a recurring trigger fell into a pause that ends now, and its next fire. An `at` is not
/// skipped: it runs late, if its misfire policy lets it.
pub fn skip_paused(
    now: Timestamp,
    schedule: &Schedule,
    zone: &Zone,
    next_at: Timestamp,
) -> Option<(u64, Option<Timestamp>)> {
    match schedule {
        Schedule::At(_) => None,
        Schedule::Vixie(_) | Schedule::Seconds(_) | Schedule::Every { .. } | Schedule::Reboot => {
            let count = schedule.count(next_at - Span::from_micros(1), now, zone);
            Some((count, schedule.next_after(now, zone)))
        }
    }
}

/// Plans the runs of every due trigger.
pub(super) fn fire(now: Timestamp, due: &[Due]) -> Plan {
    let mut plan = Plan { more: true, ..Plan::default() };
    // Several triggers of a job may be due, or one several times: each fire meets the runs that the earlier ones made.
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
            account(now, schedule, zone, due.next_at, &due.policy.missed)
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
        trigger: due.trigger,
        kind: due.kind,
        scheduled_at,
        fires,
        fate,
        cause,
    };
    if let Some((first, count)) = accounting.missed {
        plan.new_runs.push(new(first, count, Fate::Finished(Outcome::Missed), Some("found later than its grace")));
    }
    for at in &accounting.made_up {
        // Several made up at once run one after the other, whatever the job says of fires that are on time.
        let fate = if accounting.made_up.len() > 1 { job.queue(&due.policy) } else { job.meet(&due.policy, plan) };
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

    fn queue(&mut self, policy: &Policy) -> Fate {
        self.planned += 1;
        Fate::Queued { is_serial: policy.overlap != Overlap::Allow }
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
                self.queue(policy)
            }
            Overlap::Skip | Overlap::Wait | Overlap::Allow => self.queue(policy),
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
