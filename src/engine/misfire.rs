//! Owns: the runs of due fires, and which are skipped because their job still runs.
//! Never: which fires run and which are missed (see `accounting`), slots, SQL, the clock.

use std::collections::{BTreeMap, HashMap};

use super::accounting::{Accounting, Pending, account};
use super::after::TimesFacts;
use super::due_nth::DueNth;
use super::nth::{NthFacts, NthFire};
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
    for (job, due) in due_nth(due) {
        match fire_nth(now, &due, &mut plan) {
            Ok(()) => {}
            Err(reason) => plan.broken.push((job, reason)),
        }
    }
    plan
}

/// Returns the due triggers of each job with `--nth`, in the order in which they count.
pub(super) fn due_nth(due: &[Due]) -> BTreeMap<JobId, Vec<&Due>> {
    let mut jobs: BTreeMap<JobId, Vec<&Due>> = BTreeMap::new();
    for due in due.iter().filter(|due| due.nth.is_some()) {
        jobs.entry(due.job).or_default().push(due);
    }
    jobs.values_mut().for_each(|due| due.sort_by_key(|due| due.trigger));
    jobs
}

/// Returns the fires of these triggers of one job with `--nth`.
///
/// # Errors
/// Returns why a schedule can no longer be read.
pub(super) fn pending_nth<'a>(now: Timestamp, due: &[&'a Due]) -> Result<DueNth<'a>, String> {
    let pending = |due: &&'a Due| {
        let (schedule, zone) = due.schedule.as_ref().map_err(Clone::clone)?;
        Ok(Pending::of(due, schedule, zone))
    };
    let facts = due.iter().find_map(|due| due.nth).unwrap_or(NthFacts { nth: 1, passed: 0 });
    Ok(DueNth { pending: due.iter().map(pending).collect::<Result<_, String>>()?, facts, now })
}

/// Plans the runs of the due triggers of one job with `--nth`.
fn fire_nth(now: Timestamp, due: &[&Due], plan: &mut Plan) -> Result<(), String> {
    let Some(first) = due.first() else { return Ok(()) };
    let fires = pending_nth(now, due)?;
    let found = fires.account(&first.policy.missed);
    for (due, pending) in due.iter().zip(&fires.pending) {
        plan.advanced.push((due.trigger, pending.next_after(now)));
    }
    plan.passed.push((first.job, found.passed));
    let of_due = |fire: &NthFire| fire_of(due, *fire);
    let missed = found.missed.map(|(first, count)| (fire_of(due, first), count));
    let (made_up, on_time): (Vec<_>, Vec<_>) =
        (found.made_up.iter().map(of_due).collect(), found.on_time.iter().map(of_due).collect());
    place(missed, &made_up, &on_time, &mut Overlapping::new(first), plan);
    Ok(())
}

/// Returns a fire with its trigger. That of a boot was due with the boot.
pub(super) fn fire_of<'a>(due: &[&'a Due], (index, at): NthFire) -> (&'a Due, Timestamp) {
    let due = due[index];
    let is_boot = matches!(due.schedule, Ok((Schedule::Reboot, _)));
    (due, if is_boot { due.next_at } else { at })
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
        match policy.overlap {
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
