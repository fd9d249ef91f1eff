//! Owns: the runs of due fires, and which are skipped because their job still runs.
//! Never: which fires run and which are missed (see `accounting`), slots, SQL, the clock.

use std::collections::HashMap;

use super::accounting::{Accounting, Pending, account};
use super::after::TimesFacts;
use super::due_nth::{NthFire, NthJob, nth_jobs};
use super::plan::{Fate, NewRun, Plan};
use super::snapshot::{Due, Unfinished};
use crate::domain::{JobId, Outcome, Overlap, Policy, Timestamp};
use crate::schedule::Schedule;

/// Plans the runs of every due trigger.
pub(super) fn fire(now: Timestamp, due: &[Due]) -> Plan {
    let mut plan = Plan { more: true, ..Plan::default() };
    // Several triggers of a job may be due, or one several times. Each fire overlaps with the runs that the
    // earlier fires made.
    let mut jobs: HashMap<JobId, Overlapping> = HashMap::new();
    for due in due.iter().filter(|due| due.nth.is_none()) {
        let (schedule, zone) = match &due.schedule {
            Ok(found) => found,
            Err(reason) => {
                plan.broken.push((due.job, reason.clone()));
                continue;
            }
        };
        // The schedule of `@reboot` has no instants: it fires once, now.
        let accounting = if matches!(schedule, Schedule::Reboot) {
            Accounting { missed: None, made_up: Vec::new(), on_time: vec![due.next_at], next_at: None }
        } else {
            let pending = Pending::of(due, schedule, zone);
            account(now, &pending, &due.policy.missed)
        };
        if matches!(schedule, Schedule::AfterEnd { .. }) {
            plan.awaiting_end.push(due.trigger);
        } else {
            plan.advanced.push((due.trigger, accounting.next_at));
        }
        let job = jobs.entry(due.job).or_insert_with(|| Overlapping::new(due));
        let of_due = |fires: &[Timestamp]| fires.iter().map(|at| (due, *at)).collect::<Vec<_>>();
        let missed = accounting.missed.map(|(first, count)| ((due, first), count));
        place(missed, &of_due(&accounting.made_up), &of_due(&accounting.on_time), job, &mut plan);
    }
    for job in nth_jobs(due.iter().filter(|due| due.nth.is_some())) {
        if let Err(reason) = fire_nth(now, &job, &mut plan) {
            plan.broken.push((job.first().job, reason));
        }
    }
    plan
}

/// Plans the runs of a job with `--nth`.
fn fire_nth(now: Timestamp, job: &NthJob<'_>, plan: &mut Plan) -> Result<(), String> {
    let fires = job.fires(now)?;
    let found = fires.account(&job.first().policy.missed);
    plan.advanced.extend(fires.advanced());
    plan.passed.push((job.first().job, found.passed));
    let of_due = |fires: &[NthFire]| fires.iter().map(|fire| job.fire(*fire)).collect::<Vec<_>>();
    let missed = found.missed.map(|(first, count)| (job.fire(first), count));
    let mut overlapping = Overlapping::new(job.first());
    place(missed, &of_due(&found.made_up), &of_due(&found.on_time), &mut overlapping, plan);
    Ok(())
}

/// Plans the runs of fires of one job, each with its trigger.
fn place(
    missed: Option<((&Due, Timestamp), u64)>,
    made_up: &[(&Due, Timestamp)],
    on_time: &[(&Due, Timestamp)],
    job: &mut Overlapping,
    plan: &mut Plan,
) {
    let new = |(due, scheduled_at): (&Due, Timestamp), fires, fate, cause| NewRun {
        job: due.job,
        trigger: Some(due.trigger),
        kind: due.kind,
        scheduled_at,
        fires,
        fate,
        cause,
        obeys_after: true,
        bundle: None,
    };
    if let Some((first, count)) = missed {
        plan.new_runs.push(new(
            first,
            count,
            Fate::Finished(Outcome::Missed),
            Some("found later than its grace"),
        ));
    }
    for fire in made_up {
        // Several made up at once are all queued: none is skipped because of the one before it.
        let placed = if made_up.len() > 1 { job.queue() } else { job.fire(&fire.0.policy, plan) };
        plan.new_runs.push(new(*fire, 1, placed.fate(), placed.cause()));
    }
    for fire in on_time {
        let placed = job.fire(&fire.0.policy, plan);
        plan.new_runs.push(new(*fire, 1, placed.fate(), placed.cause()));
    }
}

/// The decision about a fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placed {
    Queued,
    /// Another run of the job is unfinished.
    Overlaps,
    /// All the runs of `--times` are made.
    BeyondTimes,
}

impl Placed {
    fn fate(self) -> Fate {
        match self {
            Self::Queued => Fate::Queued,
            Self::Overlaps | Self::BeyondTimes => Fate::Finished(Outcome::Skipped),
        }
    }

    fn cause(self) -> Option<&'static str> {
        match self {
            Self::Queued => None,
            Self::Overlaps => Some("another run of the job was unfinished"),
            Self::BeyondTimes => Some("the last of the job's `--times` was waiting"),
        }
    }
}

/// The unfinished runs of a job, with which its next fire may overlap.
struct Overlapping {
    stored: Vec<Unfinished>,
    /// Runs that this plan has queued for the job.
    planned: usize,
    /// How many more runs of its triggers may begin; `None`: any number.
    left: Option<u32>,
}

impl Overlapping {
    fn new(due: &Due) -> Self {
        Self { stored: due.unfinished.clone(), planned: 0, left: due.times.map(TimesFacts::left) }
    }

    fn queue(&mut self) -> Placed {
        match &mut self.left {
            Some(0) => return Placed::BeyondTimes,
            Some(left) => *left -= 1,
            None => {}
        }
        self.planned += 1;
        Placed::Queued
    }

    /// Decides about one fire by the job's overlap policy.
    fn fire(&mut self, policy: &Policy, plan: &mut Plan) -> Placed {
        let waiting = self.planned + self.stored.iter().filter(|run| !run.begun).count();
        let unfinished = self.planned + self.stored.len();
        match policy.overlap_of_instants() {
            Overlap::Skip if unfinished > 0 => Placed::Overlaps,
            Overlap::Wait if waiting > 0 => Placed::Overlaps,
            // A fire of the same moment does not replace the run that has just replaced another.
            Overlap::Replace if self.planned > 0 => Placed::Overlaps,
            Overlap::Replace => {
                let placed = self.queue();
                if placed == Placed::Queued {
                    self.replace(plan);
                }
                placed
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
