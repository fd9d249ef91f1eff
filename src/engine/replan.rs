//! Owns: planning coming fires again: after a pause, in another zone or window, on a clock that was set back.
//! Never: late fires (see `misfire`).

use super::accounting::Pending;
use super::due_nth::nth_jobs;
use super::fires::{Planned, first_free_fire, just_before};
use super::plan::{Fate, NewRun, Plan};
use super::run_timers::{Look, RunTimer, Silence};
use super::snapshot::Due;
use crate::domain::{FireId, Outcome, Span, Timestamp, Window};
use crate::schedule::Schedule;

/// Plans the end of a pause: the due fires of each recurring trigger become one `skipped` run with their
/// count. A due `--at` stays due, and so does a fire after the end of a run: it runs late if its misfire
/// policy allows it.
///
/// # Errors
/// Returns why a schedule can no longer be read.
pub fn resume(now: Timestamp, due: &[Due]) -> Result<Plan, String> {
    let mut plan = Plan::default();
    for due in due {
        let (schedule, zone) = due.schedule.as_ref().map_err(Clone::clone)?;
        if stays_due(schedule) {
            continue;
        }
        let pending = Pending::of(due, schedule, zone);
        plan.advanced.push((due.trigger, pending.next_after(now)));
        if due.nth.is_none() {
            plan.new_runs.push(swallowed((due, due.next_at), pending.count(now)));
        }
    }
    let counted = due.iter().filter(|due| {
        due.nth.is_some() && due.schedule.as_ref().is_ok_and(|(schedule, _)| !stays_due(schedule))
    });
    for job in nth_jobs(counted) {
        let fires = job.fires(now)?;
        plan.new_runs.extend(fires.swallowed().map(|(first, count)| swallowed(job.fire(first), count)));
        plan.passed.push((job.first().job, fires.passed()));
    }
    Ok(plan)
}

/// Returns whether a due fire of this schedule outlives a pause.
fn stays_due(schedule: &Schedule) -> bool {
    match schedule {
        Schedule::At(_) | Schedule::AfterEnd { .. } => true,
        Schedule::Cron(_)
        | Schedule::Calendar(_)
        | Schedule::Every { .. }
        | Schedule::Reboot
        | Schedule::Events
        | Schedule::Delayed { .. } => false,
    }
}

/// Returns the run that stands for the fires from this one on during a pause.
fn swallowed((due, first): (&Due, Timestamp), fires: u64) -> NewRun {
    NewRun {
        job: due.job,
        trigger: Some(due.trigger),
        kind: due.kind,
        scheduled_at: first,
        fires,
        fate: Fate::Finished(Outcome::Skipped),
        cause: Some("the job was paused"),
        obeys_after: true,
        bundle: None,
    }
}

/// Plans the fires of triggers in a new zone, in which their schedules are compiled already.
pub fn follow_zone(now: Timestamp, planned: &[Planned]) -> Plan {
    let advanced = planned.iter().filter_map(|planned| {
        // A schedule that cannot be read has no other fire.
        let (schedule, _) = planned.schedule.as_ref().ok()?;
        // A fire of `@reboot` does not depend on the zone.
        (*schedule != Schedule::Reboot).then(|| (planned.trigger, next_fire(now, planned)))
    });
    Plan { advanced: advanced.collect(), ..Plan::default() }
}

/// Plans the fires of recurring triggers that come earlier on a clock that was set back far. An instant that
/// had a run before the step does not fire again.
pub fn after_step_back(now: Timestamp, planned: &[Planned]) -> Plan {
    let advanced = planned.iter().filter_map(|planned| {
        let next = match &planned.schedule {
            Ok((Schedule::Reboot, _)) => Some(planned.window.start.map_or(now, |start| start.max(now))),
            Ok(_) => next_fire(now, planned),
            Err(_) => None,
        };
        next.filter(|next| Some(*next) < planned.next_at).map(|next| (planned.trigger, Some(next)))
    });
    Plan { advanced: advanced.collect(), ..Plan::default() }
}

/// A fire that must start by some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadlineFacts {
    pub fire: FireId,
    pub start_by: Timestamp,
    /// From when it is queued to `start_by`.
    pub within: Span,
}

/// Plans the times by which fires must start earlier on a clock that was set back far: none waits longer than
/// its span from now on.
pub fn deadlines_after_step_back(now: Timestamp, waiting: &[DeadlineFacts]) -> Plan {
    let sooner = waiting.iter().filter_map(|facts| {
        let latest = now + facts.within;
        (latest < facts.start_by).then_some((facts.fire, latest))
    });
    Plan { deadlines: sooner.collect(), ..Plan::default() }
}

/// Plans the looks that come earlier on a clock that was set back far: none waits longer than its span from
/// now on.
pub fn run_timers_after_step_back(now: Timestamp, waiting: &[RunTimer]) -> Plan {
    let sooner = waiting.iter().filter(|timer| timer.at > now + timer.span).map(|timer| Look {
        trigger: timer.trigger,
        run: timer.run,
        event_at: None,
        next_at: Some(now + timer.span),
        silence: timer.silence.map(|silence| Silence { since: silence.since.min(now), ..silence }),
    });
    Plan { looks: sooner.collect(), ..Plan::default() }
}

/// Plans the fires of a job whose window was `old` before. A trigger without a next fire gets one only if
/// the old window had none left for it. So an `--at` that has fired does not fire again, and a cancelled job
/// stays cancelled.
pub fn follow_window(now: Timestamp, old: Window, planned: &[Planned]) -> Plan {
    let advanced = planned.iter().filter_map(|planned| {
        let (schedule, zone) = planned.schedule.as_ref().ok()?;
        let had_fire = || first_free_fire(schedule, zone, old, now, &planned.taken).is_some();
        let from = match planned.next_at {
            _ if *schedule == Schedule::Reboot => return None,
            None if had_fire() => return None,
            // All fires of the old window are accounted for.
            None => now.max(old.capped(Timestamp::MAX)),
            Some(next_at) if let Schedule::AfterEnd { period } = schedule => {
                return Some((planned.trigger, moved(next_at, *period, old, planned.window, now)));
            }
            Some(_) if old.start != planned.window.start && old.start.is_some_and(|start| start > now) => now,
            // Fires between now and the planned one are accounted for, if the clock was set back a little.
            Some(next_at) if planned.window.contains(next_at) => return None,
            Some(next_at) => just_before(next_at),
        };
        Some((planned.trigger, next_fire(from, planned)))
    });
    Plan { advanced: advanced.collect(), ..Plan::default() }
}

/// Returns the fire of a trigger that counts from the end of a run, in a new window.
fn moved(next_at: Timestamp, period: Span, old: Window, new: Window, now: Timestamp) -> Option<Timestamp> {
    let is_first = old.start == Some(next_at);
    let fire = match new.start {
        None if is_first => now + period,
        Some(start) if is_first => start,
        start => start.map_or(next_at, |start| next_at.max(start)),
    };
    (!new.has_ended(fire)).then_some(fire)
}

fn next_fire(now: Timestamp, planned: &Planned) -> Option<Timestamp> {
    let (schedule, zone) = planned.schedule.as_ref().ok()?;
    first_free_fire(schedule, zone, planned.window, now, &planned.taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{JobId, RunId, TriggerId};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(1_772_000_000 + second)
    }

    fn timer(second: i64, silence: Option<Silence>) -> RunTimer {
        RunTimer {
            trigger: TriggerId(7),
            run: RunId { job: JobId(1), number: 3 },
            attempt: 1,
            at: at(second),
            span: Span::from_seconds(60),
            silence,
            written_at: None,
        }
    }

    #[test]
    fn a_clock_that_was_set_back_lets_no_look_wait_longer_than_its_span() {
        let timers = [timer(9_000, Some(Silence::from_start(at(8_940)))), timer(70, None)];
        let looks = run_timers_after_step_back(at(30), &timers).looks;
        let moved: Vec<_> = looks.iter().map(|look| (look.event_at, look.next_at, look.silence)).collect();
        assert_eq!(moved, [(None, Some(at(90)), Some(Silence::from_start(at(30))))]);
    }
}
