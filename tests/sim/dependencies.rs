//! Owns: the dependencies of jobs in the simulation, and whether each run waits for the runs that it should.
//! It looks at all runs each time, to check the store and the engine, which look only at those that matter.

use std::collections::BTreeMap;

use taskq::domain::{
    After, AfterCondition, Array, Dependency, End, Indices, JobId, JobKey, Outcome, Timestamp,
};

use crate::chance::finish;
use crate::clients::{When, Wish};
use crate::keeper::Script;
use crate::rng::Rng;
use crate::rows::{ArrayRow, Row};
use crate::world::{DAY, HOUR, Trace, World};

/// The dependencies of one job.
#[derive(Clone, Debug)]
struct Model {
    after: After,
    has_triggers: bool,
}

/// The dependencies of all jobs that have some.
#[derive(Debug, Default)]
pub struct Dependencies(BTreeMap<i64, Model>);

/// A run that is not of an array, or an array.
#[derive(Clone, Debug)]
pub struct Fire {
    /// As in `TASKQ_AFTER_RUNS`.
    name: String,
    job: i64,
    is_of_trigger: bool,
    /// It is the first of its job.
    is_first: bool,
    scheduled_at: Timestamp,
    /// Its place among the fires of all jobs, in the order in which they were made.
    place: (i64, i64),
    outcome: Option<Outcome>,
    awaits: i64,
}

impl Fire {
    pub fn of_run(row: &Row) -> Self {
        Self {
            name: row.attempt().task.to_string(),
            job: row.job,
            is_of_trigger: row.trigger.is_some(),
            is_first: row.number == 1,
            scheduled_at: row.scheduled_at,
            place: (2 * row.id, 0),
            outcome: row.outcome,
            awaits: row.awaits,
        }
    }

    pub fn of_array(array: &ArrayRow, is_first: bool) -> Self {
        Self {
            name: array.job.to_string(),
            job: array.job,
            is_of_trigger: array.trigger.is_some(),
            is_first,
            scheduled_at: array.scheduled_at,
            place: (2 * array.place + 1, array.id),
            outcome: array.outcome,
            awaits: array.awaits,
        }
    }
}

/// What may become of a fire with dependencies.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// It has waited for these.
    Start(Vec<String>),
    Wait,
    Skip,
}

/// Returns random dependencies on some of these jobs.
pub fn random(rng: &mut Rng, jobs: &[i64]) -> After {
    if jobs.is_empty() || !rng.chance(350) {
        return After::default();
    }
    let on = |rng: &mut Rng| Dependency {
        on: JobKey::Id(JobId(*rng.pick(jobs))),
        condition: *rng.pick(AfterCondition::ALL),
        gives_stdin: false,
    };
    let count = *rng.pick(&[1, 1, 1, 2, 3]);
    After { dependencies: (0..count).map(|_| on(rng)).collect(), any: rng.chance(400) }
}

impl Dependencies {
    pub fn added(&mut self, job: i64, after: &After, has_triggers: bool) {
        if !after.dependencies.is_empty() {
            self.0.insert(job, Model { after: after.clone(), has_triggers });
        }
    }

    /// Returns whether a job has dependencies, or another one depends on it.
    pub fn concern(&self, job: i64) -> bool {
        self.0.contains_key(&job) || self.0.keys().any(|other| self.depends_on(*other, job))
    }

    /// Returns whether a job depends on another.
    pub fn depends_on(&self, job: i64, other: i64) -> bool {
        let is_on = |dependency: &Dependency| dependency.on == JobKey::Id(JobId(other));
        self.0.get(&job).is_some_and(|model| model.after.dependencies.iter().any(is_on))
    }

    /// Checks a run that has changed. `fires`: all fires.
    pub fn judge(&self, old: Option<&Row>, new: &Row, fires: &[Fire], jobs: &[i64], done: &[i64]) {
        // The runs of an array come once it has waited, and callbacks wait for nothing.
        if new.array.is_some() || new.callback.is_some() {
            return;
        }
        let Some(verdict) = self.verdict(&Fire::of_run(new), fires, jobs, done) else {
            assert!(new.awaits == 0 && new.after_runs.is_none(), "it waits for nothing: {new:?}");
            return;
        };
        let was_released = old.is_some_and(|old| old.after_runs.is_some());
        if let Some(after) = new.after_runs.as_ref().filter(|_| !was_released) {
            let after: Vec<String> = after.split_whitespace().map(str::to_owned).collect();
            assert_eq!(verdict, Verdict::Start(after), "released: {new:?}");
        }
        if new.is_barred() {
            assert_eq!(verdict, Verdict::Skip, "skipped: {new:?}");
        }
        if new.has_begun() {
            assert!(new.after_runs.is_some(), "it did not wait: {new:?}");
        }
    }

    /// Checks an array that has changed.
    pub fn judge_array(
        &self,
        old: Option<&ArrayRow>,
        (new, is_first): (&ArrayRow, bool),
        fires: &[Fire],
        jobs: &[i64],
        done: &[i64],
    ) {
        let Some(verdict) = self.verdict(&Fire::of_array(new, is_first), fires, jobs, done) else {
            return assert!(new.awaits == 0 && new.after_runs.is_none(), "it waits for nothing: {new:?}");
        };
        let was_released = old.is_some_and(|old| old.after_runs.is_some());
        if let Some(after) = new.after_runs.as_ref().filter(|_| !was_released) {
            let after: Vec<String> = after.split_whitespace().map(str::to_owned).collect();
            assert_eq!(verdict, Verdict::Start(after), "released: {new:?}");
        }
        if new.outcome == Some(Outcome::Skipped) && old.is_none_or(|old| old.outcome.is_none()) {
            assert_eq!(verdict, Verdict::Skip, "skipped: {new:?}");
        }
        let has_begun = new.rest < new.total && new.outcome != Some(Outcome::Skipped);
        let is_dropped = new.cancelled + new.missed == new.total - new.rest;
        assert!(!has_begun || is_dropped || new.after_runs.is_some(), "it did not wait: {new:?}");
    }

    /// Checks, after a turn, that each fire that waits has to.
    pub fn check_waiting(&self, fires: &[Fire], jobs: &[i64], done: &[i64]) {
        for fire in fires.iter().filter(|fire| fire.outcome.is_none() && fire.awaits > 0) {
            assert_eq!(fire.awaits, 1, "nobody has looked at it: {fire:?}");
            assert_eq!(self.verdict(fire, fires, jobs, done), Some(Verdict::Wait), "{fire:?}");
        }
    }

    /// Decides on a fire; `None` if it has no dependencies. `taskq run` waits for nothing.
    fn verdict(&self, fire: &Fire, fires: &[Fire], jobs: &[i64], done: &[i64]) -> Option<Verdict> {
        let model = self.0.get(&fire.job)?;
        if !fire.is_of_trigger && (model.has_triggers || !fire.is_first) {
            return None;
        }
        let (mut held, mut open, mut never) = (Vec::new(), 0, 0);
        for dependency in &model.after.dependencies {
            let JobKey::Id(JobId(on)) = dependency.on else { panic!("only ids are used") };
            let of_job = || fires.iter().filter(|other| other.job == on);
            let by_then = of_job().filter(|other| other.scheduled_at <= fire.scheduled_at);
            let runs = |other: &Fire| other.outcome != Some(Outcome::Skipped);
            let latest = by_then.max_by_key(|other| (other.scheduled_at, runs(other), other.place));
            let first = || of_job().min_by_key(|other| (other.scheduled_at, !runs(other), other.place));
            let meant = latest.or_else(first);
            match meant.map(|meant| (meant, meant.outcome)) {
                None if jobs.contains(&on) && !done.contains(&on) => open += 1,
                None => never += 1,
                Some((_, None)) => open += 1,
                Some((meant, Some(outcome))) if holds(dependency.condition, outcome) => {
                    held.push(meant.name.clone());
                }
                Some(_) => never += 1,
            }
        }
        Some(match model.after.any {
            true if !held.is_empty() => Verdict::Start(held),
            true if open > 0 => Verdict::Wait,
            true => Verdict::Skip,
            false if never > 0 => Verdict::Skip,
            false if open > 0 => Verdict::Wait,
            false => Verdict::Start(held),
        })
    }
}

fn holds(condition: AfterCondition, outcome: Outcome) -> bool {
    let is_failure = outcome.is_failure() || outcome == Outcome::Cancelled;
    match condition {
        AfterCondition::Success => outcome == Outcome::Success,
        AfterCondition::Failed => is_failure,
        AfterCondition::Done => is_failure || outcome == Outcome::Success,
    }
}

#[test]
fn two_nightly_jobs_pair_up_whichever_is_due_first_and_however_late() {
    let mut world = World::new(1, "2026-06-01T00:00:00Z", Trace::default());
    world.start_daemon();
    let failed = || Script { end: End::Exited(1), ..Script::lasting(60) };
    world.scripts.extend([Script::lasting(7_200), Script::lasting(60)]);
    let first = world.add(&Wish::when(When::Cron("0 3 * * *", None)));
    let mut wish = Wish::when(When::Cron("0 4 * * *", None));
    let on =
        Dependency { on: JobKey::Id(JobId(first)), condition: AfterCondition::Success, gives_stdin: false };
    wish.job.after = After { dependencies: vec![on], any: false };
    let second = world.add(&wish);
    world.advance(6 * HOUR);
    world.scripts.extend([failed(), Script::lasting(60), Script::lasting(60)]);
    world.advance(2 * DAY - 6 * HOUR);
    world.kill_daemon();
    world.advance(12 * HOUR);
    world.start_daemon();
    world.advance(HOUR);
    finish(&mut world);
    let of = |job: i64| {
        let rows = world.audit.rows.values().filter(|row| row.job == job);
        rows.map(|row| (row.outcome, row.after_runs.clone())).collect::<Vec<_>>()
    };
    let after = |run: &str| Some(run.to_owned());
    let outcomes: Vec<_> = of(first).into_iter().map(|(outcome, _)| outcome).collect();
    assert_eq!(outcomes, [Some(Outcome::Success), Some(Outcome::Failed), Some(Outcome::Success)]);
    assert_eq!(
        of(second),
        [
            (Some(Outcome::Success), after("1.1")),
            (Some(Outcome::Skipped), None),
            (Some(Outcome::Success), after("1.3"))
        ]
    );
}

#[test]
fn of_two_fires_at_one_instant_the_one_that_was_not_skipped_is_waited_for() {
    for array in [None, Some(Array { indices: Indices::new(1, 2, 1).expect("two"), at_once: None })] {
        let mut world = World::new(1, "2026-06-01T00:00:00Z", Trace::default());
        world.start_daemon();
        world.scripts.extend(vec![Script::lasting(60); 5]);
        let mut wish = Wish { when: vec![When::Every(3_600), When::Every(3_600)], ..Wish::at_once() };
        wish.job.array = array;
        let first = world.add(&wish);
        let mut wish = Wish::when(When::Every(3_600));
        let on = Dependency {
            on: JobKey::Id(JobId(first)),
            condition: AfterCondition::Success,
            gives_stdin: false,
        };
        wish.job.after = After { dependencies: vec![on], any: false };
        let second = world.add(&wish);
        world.advance(HOUR + HOUR / 2);
        let of = |job: i64| world.audit.rows.values().filter(move |row| row.job == job);
        assert!(of(first).any(|row| row.outcome == Some(Outcome::Skipped)));
        assert_eq!(of(second).map(|row| row.outcome).collect::<Vec<_>>(), [Some(Outcome::Success)]);
        finish(&mut world);
    }
}
