//! Owns: the count of `--nth` in the simulation: it orders the fires of all triggers of a job and counts them
//! one by one, to check the engine, which does not.

use std::collections::BTreeMap;

use taskq::domain::{JobId, MissedMode, NewJob, Outcome, Overlap, Span, Timestamp, TriggerSpec};
use taskq::store::FirstFire;

use crate::audit::Audit;
use crate::chance::finish;
use crate::clients::{When, Wish};
use crate::keeper::Script;
use crate::model::{Owed, owed_by};
use crate::promises::{self, SUCCESS, log};
use crate::world::{DAY, HOUR, SECOND, World};

/// The fires of one trigger.
type Due = (i64, Vec<Timestamp>);

/// The jobs with `--nth`: N, and how many fires were passed over since one ran.
#[derive(Debug, Default)]
pub struct Counts(BTreeMap<i64, (u32, u32)>);

impl Counts {
    pub fn added(&mut self, job: i64, nth: Option<u32>) {
        self.0.extend(nth.map(|nth| (job, (nth, 0))));
    }

    pub fn has(&self, job: i64) -> bool {
        self.0.contains_key(&job)
    }

    /// Counts these fires, in the order of their keys, and returns those that are not passed over.
    fn count<T>(&mut self, job: i64, mut fires: Vec<((Timestamp, i64), T)>) -> Vec<((Timestamp, i64), T)> {
        let (nth, passed) = self.0.get_mut(&job).expect("it has one");
        fires.sort_by_key(|(key, _)| *key);
        fires.retain(|_| {
            *passed += 1;
            let runs = *passed == *nth;
            *passed %= *nth;
            runs
        });
        fires
    }

    /// Compares the counts with those of the store.
    pub fn check(&self, stored: &BTreeMap<i64, u32>) {
        let counted: BTreeMap<i64, u32> = self
            .0
            .iter()
            .filter(|(job, _)| stored.contains_key(*job))
            .map(|(job, (_, passed))| (*job, *passed))
            .collect();
        assert_eq!(stored, &counted, "the fires that were passed over");
    }
}

impl Audit {
    /// Returns the rows that the due fires of a job with `--nth` make if they are found at `now`.
    pub fn owed_nth(&mut self, job: i64, due: Vec<Due>, now: Timestamp) -> BTreeMap<i64, Vec<Owed>> {
        let mut owed: BTreeMap<i64, Vec<Owed>> = due.iter().map(|(id, _)| (*id, Vec::new())).collect();
        let runs = self.counted(job, due, now);
        let Some(missed) = self.triggers.values().find(|trigger| trigger.job == job).map(|any| any.missed)
        else {
            return owed;
        };
        let keys: Vec<Timestamp> = runs.iter().map(|((at, _), _)| *at).collect();
        for (index, fires, is_missed) in owed_by(&missed, &keys, |at| at >= now - missed.grace, now) {
            let ((_, id), at) = runs[index];
            owed.entry(id).or_default().push((at, fires, is_missed));
        }
        owed
    }

    /// The same for a pause that ends.
    pub fn swallowed_nth(&mut self, job: i64, due: Vec<Due>, now: Timestamp) -> BTreeMap<i64, Vec<Owed>> {
        let runs = self.counted(job, due, now);
        let first = runs.first().map(|((_, id), at)| (*id, vec![(*at, runs.len() as u64, false)]));
        first.into_iter().collect()
    }

    /// Returns the fires that run, each with its key. A boot has no instant of its own: it counts as now.
    fn counted(&mut self, job: i64, due: Vec<Due>, now: Timestamp) -> Vec<((Timestamp, i64), Timestamp)> {
        let mut fires = Vec::new();
        for (id, due) in due {
            let is_boot = self.triggers[&id].boot.is_some();
            fires.extend(due.into_iter().map(|at| ((if is_boot { now } else { at }, id), at)));
        }
        self.counts.count(job, fires)
    }
}

const MINUTE: u64 = 60 * SECOND;

/// A world in which runs last a second, with a job of which every `nth` fire runs.
fn counting(nth: u32, when: Vec<When>, mode: MissedMode) -> (World, i64) {
    let mut world = promises::world();
    world.scripts.extend(vec![Script::lasting(1); 100]);
    let mut wish = Wish { when, ..Wish::at_once() }.overlap(Overlap::Allow);
    wish.job.nth = Some(nth);
    wish.job.policy.missed.mode = mode;
    let job = world.add(&wish);
    (world, job)
}

#[test]
fn every_other_monday_stays_every_other_monday_through_deaths_and_a_zone() {
    let (mut world, job) = counting(2, vec![When::Cron("0 9 * * 1", None)], MissedMode::Once);
    for week in 0..6 {
        world.advance(3 * DAY);
        world.kill_daemon();
        if week == 3 {
            world.set_zone("Europe/Berlin");
        }
        world.advance(DAY);
        world.start_daemon();
        world.advance(3 * DAY);
    }
    finish(&mut world);
    let days: Vec<i64> = log(&world, job).into_iter().map(|(minute, ..)| minute / 60 / 24).collect();
    // The first day is a Monday, and its fire is passed over.
    assert_eq!(days, [7, 21, 35]);
}

#[test]
fn fires_that_are_found_late_are_counted_and_those_that_are_passed_over_are_not_missed() {
    let missed = Some(Outcome::Missed);
    for (mode, expected) in [
        (MissedMode::Once, vec![(180, 1, missed), (360, 1, SUCCESS)]),
        (MissedMode::All, vec![(180, 1, SUCCESS), (360, 1, SUCCESS)]),
        (MissedMode::Skip, vec![(180, 2, missed)]),
    ] {
        let (mut world, job) = counting(3, vec![When::Every(3_600)], mode);
        world.kill_daemon();
        world.advance(7 * HOUR + MINUTE);
        world.start_daemon();
        world.advance(HOUR);
        assert_eq!(log(&world, job), expected);
        world.advance(HOUR);
        assert_eq!(log(&world, job)[expected.len()..], [(540, 1, SUCCESS)]);
        finish(&mut world);
    }
}

#[test]
fn the_fires_of_a_pause_are_counted() {
    let (mut world, job) = counting(2, vec![When::Every(3_600)], MissedMode::All);
    world.advance(90 * MINUTE);
    world.pause(job);
    world.advance(4 * HOUR);
    world.resume(job);
    world.advance(HOUR);
    // The fires of the pause are 2 to 5, of which 2 and 4 were to run.
    assert_eq!(log(&world, job), [(120, 2, Some(Outcome::Skipped)), (360, 1, SUCCESS)]);
    finish(&mut world);
}

#[test]
fn the_fires_of_all_triggers_count_together() {
    let when = vec![When::Every(2 * 3_600), When::Every(3 * 3_600)];
    let (mut world, job) = counting(3, when, MissedMode::All);
    world.advance(13 * HOUR);
    // 2 3 4, 6 6 8, 9 10 12, 12: the first trigger counts first.
    assert_eq!(log(&world, job), [(240, 1, SUCCESS), (480, 1, SUCCESS), (720, 1, SUCCESS)]);
    finish(&mut world);
}

#[test]
fn a_job_is_done_after_its_last_fire_also_if_that_was_passed_over() {
    let mut world = promises::world();
    world.scripts.extend(vec![Script::lasting(1); 5]);
    let mut wish = Wish::when(When::Every(3_600));
    wish.job.nth = Some(2);
    wish.job.until = Some(world.now() + Span::from_micros(4 * HOUR));
    let job = world.add(&wish);
    world.advance(3 * HOUR - MINUTE);
    assert!(!world.audit.db.done_jobs().contains(&job));
    world.advance(2 * MINUTE);
    assert!(world.audit.db.done_jobs().contains(&job));
    assert_eq!(log(&world, job), [(120, 1, SUCCESS)]);
    finish(&mut world);
}

#[test]
fn another_number_or_trigger_begins_the_count_anew() {
    let (mut world, job) = counting(3, vec![When::Every(3_600)], MissedMode::All);
    let id = JobId(job);
    let set = |world: &mut World, nth, triggers: Option<&[FirstFire]>| {
        world.write(|writer, _| {
            let new = NewJob { nth: Some(nth), ..writer.definition(id)?.0 };
            match triggers {
                None => writer.change_definition(id, &new, Vec::new()),
                Some(triggers) => writer.change_job(id, &new, triggers, Vec::new()),
            }
        });
        world.audit.db.passed()[&job]
    };
    world.advance(90 * MINUTE);
    assert_eq!(set(&mut world, 3, None), 1);
    let kept = world.store.read(|reader| reader.triggers(id)).expect("readable").remove(0);
    let kept = FirstFire { spec: kept.spec, next_at: kept.next_at, boot_id: None, marks: None };
    assert_eq!(set(&mut world, 3, Some(std::slice::from_ref(&kept))), 1);
    assert_eq!(set(&mut world, 4, Some(&[kept])), 0);
    world.audit.counts.added(job, Some(4));
    world.audit.scan(&world.ledger);
    world.advance(2 * HOUR);
    assert_eq!(world.audit.db.passed()[&job], 2);
    let at = world.now() + Span::from_micros(HOUR);
    let other = FirstFire {
        spec: TriggerSpec::At { at, delay: Span::ZERO },
        next_at: Some(at),
        boot_id: None,
        marks: None,
    };
    assert_eq!(set(&mut world, 4, Some(&[other])), 0);
}

#[test]
fn a_pause_in_which_only_a_single_time_came_leaves_the_count_as_it_is() {
    let mut world = promises::world();
    world.scripts.extend(vec![Script::lasting(1); 5]);
    let at = world.now() + Span::from_micros(90 * MINUTE);
    let mut wish = Wish { when: vec![When::Every(3_600), When::At(at)], ..Wish::at_once() };
    wish.job.nth = Some(3);
    let job = world.add(&wish);
    world.advance(70 * MINUTE);
    world.pause(job);
    world.advance(30 * MINUTE);
    world.resume(job);
    world.advance(HOUR);
    // 60, 90 (found at 100), 120
    assert_eq!(log(&world, job), [(120, 1, SUCCESS)]);
    finish(&mut world);
}
