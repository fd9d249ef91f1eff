//! Owns: the times by which runs must start in the simulation, and whether those that have not are missed.

use std::collections::BTreeMap;

use taskq::domain::{Array, Indices, Outcome, Span, Timestamp};

use crate::chance::finish;
use crate::clients::{When, Wish};
use crate::keeper::Script;
use crate::promises::{SUCCESS, log, world};
use crate::requirements::Requirements;
use crate::rows::{ArrayRow, Row};
use crate::world::{DAY, HOUR, SECOND};

/// How long a run of each job may wait, in microseconds.
#[derive(Debug, Default)]
pub struct Deadlines(BTreeMap<i64, i64>);

impl Deadlines {
    /// A job was added, or its limit was changed.
    pub fn set(&mut self, job: i64, within: Option<Span>) {
        match within {
            Some(within) => self.0.insert(job, within.as_micros() as i64),
            None => self.0.remove(&job),
        };
    }

    /// Checks a run that has changed.
    pub fn judge(&self, old: Option<&Row>, new: &Row, requirements: &Requirements) {
        let is_made = old.is_none() && new.array.is_none() && new.is_open();
        if is_made {
            let within = self.0.get(&new.job).filter(|_| new.callback.is_none());
            assert_eq!(new.start_by, within.map(|within| new.queued_at + within), "{new:?}");
        }
        if new.outcome == Some(Outcome::Missed)
            && let Some(old) = old
        {
            // A claimed one that no keeper has started was queued again in the same turn.
            assert!(old.state == "queued" && old.attempt == 1, "missed, and it did not wait: {old:?}");
            let is_late = old.start_by.is_some_and(|by| Some(by) <= new.finished_at);
            let left_gate = || {
                let at = Timestamp::from_micros(new.finished_at.expect("it has ended"));
                requirements.has_rightly_left_gate(new, at)
            };
            assert!(is_late || left_gate(), "missed too early: {new:?}");
        }
    }

    /// Checks an array that has changed.
    pub fn judge_array(&self, old: Option<&ArrayRow>, new: &ArrayRow) {
        if old.is_none() {
            let within = self.0.get(&new.job);
            assert_eq!(new.start_by, within.map(|within| new.queued_at + within), "{new:?}");
        }
    }
}

/// Returns the times by which runs and arrays must start that wait for it.
pub fn coming<'a>(
    open: impl Iterator<Item = &'a Row>,
    arrays: impl Iterator<Item = &'a ArrayRow>,
) -> Vec<Timestamp> {
    let first = open.filter(|row| row.state == "queued" && row.waits() && row.attempt == 1);
    let arrays = arrays.filter(|array| array.rest > 0).filter_map(|array| array.start_by);
    first.filter_map(|row| row.start_by).chain(arrays).map(Timestamp::from_micros).collect()
}

const MINUTE: u64 = 60 * SECOND;

fn within(minutes: u64, when: Option<When>) -> Wish {
    let mut wish = when.map_or_else(Wish::at_once, Wish::when);
    wish.job.policy.start_by = Some(Span::from_micros(minutes * MINUTE));
    wish
}

#[test]
fn a_run_that_is_still_queued_after_its_time_is_missed_whatever_it_waits_for() {
    let missed = vec![(0, 1, Some(Outcome::Missed))];
    let mut world = world();
    world.default_slots = 1;
    world.scripts.extend([Script::lasting(3_600), Script::lasting(1)]);
    world.add(&Wish::at_once());
    let (late, early) = (world.add(&within(10, None)), world.add(&within(90, None)));
    let paused = world.add(&within(10, None));
    world.pause(paused);
    world.advance(9 * MINUTE);
    assert_eq!(log(&world, late), [(0, 1, None)]);
    world.advance(2 * MINUTE);
    assert_eq!((log(&world, late), log(&world, paused)), (missed.clone(), missed.clone()));
    // The daemon is away when the time of the next one is over.
    let third = world.add(&within(20, None));
    world.kill_daemon();
    world.advance(30 * MINUTE);
    world.start_daemon();
    assert_eq!(log(&world, third), [(11, 1, Some(Outcome::Missed))]);
    world.advance(HOUR);
    assert_eq!(log(&world, early), [(0, 1, SUCCESS)]);
    finish(&mut world);
}

#[test]
fn the_next_fire_does_not_overlap_with_a_run_that_was_missed_when_it_came() {
    let mut world = world();
    world.default_slots = 1;
    world.scripts.extend([Script::lasting(3_600 + 600), Script::lasting(1)]);
    world.add(&Wish::at_once());
    let job = world.add(&within(60, Some(When::Cron("@hourly", None))));
    world.advance(30 * MINUTE);
    world.kill_daemon();
    world.advance(31 * MINUTE);
    world.start_daemon();
    world.kill_daemon();
    world.advance(HOUR);
    world.start_daemon();
    world.advance(MINUTE);
    assert_eq!(log(&world, job), [(60, 1, Some(Outcome::Missed)), (120, 1, SUCCESS)]);
    finish(&mut world);
}

#[test]
fn the_indices_of_an_array_that_have_not_begun_in_time_are_missed() {
    let mut world = world();
    world.default_slots = 1;
    world.scripts.extend(vec![Script::lasting(240); 5]);
    let mut wish = within(10, None);
    wish.job.array = Some(Array { indices: Indices::new(1, 5, 1).expect("five"), at_once: None });
    let job = world.add(&wish);
    world.advance(HOUR);
    assert_eq!(log(&world, job).iter().map(|(_, fires, _)| fires).sum::<u64>(), 5);
    let last = log(&world, job).pop().expect("it has runs");
    assert_eq!(last, (0, 2, Some(Outcome::Missed)));
    let array = world.audit.arrays.all().next().expect("there is one");
    assert_eq!((array.succeeded, array.missed, array.outcome), (3, 2, Some(Outcome::Missed)));
    finish(&mut world);
}

#[test]
fn a_run_that_has_begun_may_wait_for_its_next_attempt() {
    let mut world = world();
    world.scripts.extend([Script { end: taskq::domain::End::Exited(1), ..Script::lasting(1) }]);
    world.scripts.extend([Script::lasting(1)]);
    let mut wish = within(10, None);
    wish.job.retry.retries = 1;
    wish.job.retry.delay = Span::from_seconds(3_600);
    wish.job.retry.delay_max = Span::from_seconds(3_600);
    let job = world.add(&wish);
    world.advance(DAY);
    assert_eq!(log(&world, job), [(0, 1, SUCCESS)]);
    finish(&mut world);
}

#[test]
fn a_clock_that_is_set_back_far_leaves_no_run_waiting_for_longer_than_its_span() {
    let mut world = world();
    world.default_slots = 1;
    world.scripts.extend([Script::lasting(DAY / SECOND)]);
    world.add(&Wish::at_once());
    let job = world.add(&within(10, None));
    world.step_clock(-10 * HOUR as i64);
    world.advance(11 * MINUTE);
    assert_eq!(log(&world, job), [(0, 1, Some(Outcome::Missed))]);
    finish(&mut world);
}
