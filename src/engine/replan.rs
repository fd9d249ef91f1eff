//! Owns: coming fires that are planned anew: after a pause, in another zone, on a clock that was set back.
//! Never: late fires (see `misfire`).

use super::misfire::{Pending, first_free_fire};
use super::plan::{Fate, NewRun, Plan};
use super::snapshot::{Compiled, Due};
use crate::domain::{Outcome, Timestamp, TriggerId};
use crate::schedule::Schedule;

/// A trigger whose next fire is to come.
#[derive(Debug)]
pub struct Planned {
    /// Which trigger.
    pub trigger: TriggerId,
    /// Its instants, or why it has none any more.
    pub schedule: Compiled,
    /// The fire that is planned.
    pub next_at: Timestamp,
    /// No fire before then.
    pub start: Option<Timestamp>,
    /// Later instants that have a run already, ascending: they do not fire again.
    pub taken: Vec<Timestamp>,
}

/// Plans what a job missed while it was paused: the due fires of each recurring trigger are one `skipped` row
/// with their count. A due `--at` stays due: it runs late, if its misfire policy lets it.
///
/// # Errors
/// Returns why a schedule cannot be read any more.
pub fn resume(now: Timestamp, due: &[Due]) -> Result<Plan, String> {
    let mut plan = Plan::default();
    for due in due {
        let (schedule, zone) = due.schedule.as_ref().map_err(Clone::clone)?;
        let pending = Pending { schedule, zone, next_at: due.next_at, taken: &due.taken };
        match schedule {
            Schedule::At(_) => continue,
            Schedule::Cron(_) | Schedule::Every { .. } | Schedule::Reboot | Schedule::Delayed { .. } => {}
        }
        plan.new_runs.push(NewRun {
            job: due.job,
            trigger: Some(due.trigger),
            kind: due.kind,
            scheduled_at: due.next_at,
            fires: pending.count(now),
            fate: Fate::Finished(Outcome::Skipped),
            cause: Some("the job was paused"),
        });
        plan.advanced.push((due.trigger, pending.next_after(now)));
    }
    Ok(plan)
}

/// Plans the fires of triggers whose zone has become another one, which their schedules have already.
pub fn follow_zone(now: Timestamp, planned: &[Planned]) -> Plan {
    let advanced = planned.iter().filter_map(|planned| {
        // A schedule that cannot be read now could not be read when it was added, and has no fire to move.
        let (schedule, _) = planned.schedule.as_ref().ok()?;
        // A boot that has not fired yet fires in any zone.
        (*schedule != Schedule::Reboot).then(|| (planned.trigger, next_fire(now, planned)))
    });
    Plan { advanced: advanced.collect(), ..Plan::default() }
}

/// Plans the fires of recurring triggers on a clock that was set back far: those that come earlier now. An
/// instant that had its run before the step is passed over, so that no fire doubles.
pub fn after_step_back(now: Timestamp, planned: &[Planned]) -> Plan {
    let advanced = planned.iter().filter_map(|planned| {
        let next = match &planned.schedule {
            Ok((Schedule::Reboot, _)) => Some(now),
            Ok(_) => next_fire(now, planned),
            Err(_) => None,
        };
        next.filter(|next| *next < planned.next_at).map(|next| (planned.trigger, Some(next)))
    });
    Plan { advanced: advanced.collect(), ..Plan::default() }
}

fn next_fire(now: Timestamp, planned: &Planned) -> Option<Timestamp> {
    let (schedule, zone) = planned.schedule.as_ref().ok()?;
    first_free_fire(schedule, zone, planned.start, now, &planned.taken)
}
