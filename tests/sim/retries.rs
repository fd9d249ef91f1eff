//! Owns: the invariants of attempts, and small worlds for their accidents.

use std::collections::BTreeMap;

use taskq::domain::{End, Outcome, Overlap, Retry, RetryCauses, Span, StopCause, Timestamp};
use taskq::keeper::protocol::{Attempt, Ended};

use crate::chance::finish;
use crate::clients::{When, Wish};
use crate::keeper::{Ledger, Script};
use crate::rows::{AttemptRow, Database, Row};
use crate::world::{DAY, HOUR, SECOND, Trace, World};

/// The policy of each job.
#[derive(Debug, Default)]
pub struct Retries(BTreeMap<i64, Retry>);

impl Retries {
    pub fn added(&mut self, job: i64, retry: Retry) {
        self.0.insert(job, retry);
    }

    /// Checks the step of a run from one attempt to the next, and a run that has ended.
    pub fn judge(&self, old: Option<&Row>, new: &Row, ledger: &Ledger, db: &Database) {
        // The job of a run that a client has just added is not in the model yet.
        if new.callback.is_some() {
            return assert_eq!(new.attempt, 1, "a callback is not tried again: {new:?}");
        }
        let Some(retry) = self.0.get(&new.job) else { return assert_eq!(new.attempt, 1, "{new:?}") };
        let before = old.map_or(1, |old| old.attempt);
        assert!(new.attempt == before || new.attempt == before + 1, "attempts are left out: {old:?} {new:?}");
        if let Some(old) = old.filter(|old| old.attempt < new.attempt) {
            self.judge_step(old, new, *retry, ledger, db);
        }
        if let (Some(old), Some(not_before)) = (old.filter(|old| old.attempt == new.attempt), new.not_before)
        {
            assert!(old.not_before.is_some_and(|at| not_before <= at), "put off: {old:?} {new:?}");
        }
        if let Some(outcome) = new.outcome {
            let is_over = new.attempt > retry.retries
                || new.stop_at.is_some()
                || !is_retried(*retry, outcome, new.exit_code, new.signal);
            assert!(is_over, "given up with attempts left: {new:?}");
        }
    }

    fn judge_step(&self, old: &Row, new: &Row, retry: Retry, ledger: &Ledger, db: &Database) {
        assert!(new.attempt <= 1 + retry.retries, "more attempts than allowed: {new:?}");
        assert!(old.stop_at.is_none(), "tried again after a cancel: {old:?}");
        let stored = db.attempts(new.id).pop().expect("the attempt before has a row");
        assert_eq!(stored.number, old.attempt);
        let AttemptRow { outcome, exit_code, signal, finished_at, .. } = stored;
        assert!(is_retried(retry, outcome, exit_code, signal), "tried again without need: {stored:?}");
        assert!(!ledger.orphans.contains_key(&old.attempt()), "its process lives: {old:?}");
        if let Some(not_before) = new.not_before {
            let (shortest, pause) = (shortest_pause(retry, old.attempt), not_before - finished_at);
            assert!((shortest..=shortest + shortest / 10).contains(&pause), "{pause} after {stored:?}");
        }
    }

    /// Checks that no attempt that a turn at `now` has queued comes before its time.
    pub fn check_time(&self, old: Option<&Row>, new: &Row, now: Timestamp, db: &Database) {
        if new.state == "retrying" || new.attempt == 1 || !new.is_open() {
            return;
        }
        match old.and_then(|old| old.not_before) {
            Some(at) => assert!(at <= now.as_micros(), "early: {old:?} {new:?}"),
            None if old.is_some_and(|old| old.attempt < new.attempt) => {
                let last = db.attempts(new.id).pop().expect("the attempt before has a row");
                let earliest = last.finished_at + shortest_pause(self.0[&new.job], last.number);
                assert!(earliest <= now.as_micros(), "early: {new:?} after {last:?}");
            }
            None => {}
        }
    }

    /// Compares the earlier attempts of a run with what really happened.
    pub fn at_the_end(&self, run: &Row, ledger: &Ledger, db: &Database) {
        let stored = db.attempts(run.id);
        let numbers: Vec<u32> = stored.iter().map(|attempt| attempt.number).collect();
        assert_eq!(numbers, (1..run.attempt).collect::<Vec<u32>>(), "the attempts of {run:?}");
        for row in stored.into_iter().filter(|row| row.outcome != Outcome::Lost) {
            let attempt = Attempt { number: row.number, ..run.attempt() };
            let ended = ledger.ends[&attempt].last().expect("an invented end");
            let (outcome, exit_code, signal) = truth(ended);
            let had_process = ended.started_at.is_some();
            let expected = AttemptRow {
                number: row.number,
                pid: had_process.then_some(ended.pid),
                started_at: ended.started_at.map(Timestamp::as_micros),
                finished_at: ended.finished_at.as_micros(),
                outcome,
                exit_code,
                signal,
                output: had_process.then(|| output_of(attempt)),
            };
            assert_eq!(row, expected);
        }
    }
}

/// Returns the output of an attempt in the simulation.
pub fn output_of(attempt: Attempt) -> Vec<u8> {
    format!("{} {}", attempt.task, attempt.number).into_bytes()
}

fn truth(ended: &Ended) -> (Outcome, Option<i32>, Option<i32>) {
    let (exit_code, signal) = match ended.end {
        End::Exited(status) | End::SpawnFailed { status, .. } => (Some(status), None),
        End::Signaled(signal) => (None, Some(signal)),
        End::OutOfMemory => (None, Some(9)),
        End::Lost | End::LostThere(_) | End::NotStarted => (None, None),
    };
    let outcome = match (&ended.end, ended.stopped) {
        (_, Some(StopCause::TimedOut)) => Outcome::TimedOut,
        (End::SpawnFailed { .. }, _) => Outcome::SpawnFailed,
        (_, _) => Outcome::Failed,
    };
    (outcome, exit_code, signal)
}

fn is_retried(retry: Retry, outcome: Outcome, exit_code: Option<i32>, signal: Option<i32>) -> bool {
    let is_failure = matches!(outcome, Outcome::Failed | Outcome::TimedOut | Outcome::SpawnFailed);
    let Some(causes) = retry.on else { return is_failure };
    match outcome {
        Outcome::Lost => causes.lost,
        Outcome::TimedOut => causes.timeout,
        _ if !is_failure => false,
        _ if signal.is_some() => causes.signal,
        _ => exit_code.is_some_and(|status| causes.has_status(status)),
    }
}

fn shortest_pause(retry: Retry, attempt: u32) -> i64 {
    let (mut pause, longest) = (retry.delay.as_micros(), retry.delay_max.as_micros());
    for _ in 1..attempt {
        pause = (pause * 2).min(longest);
    }
    pause.cast_signed()
}

/// Returns a random policy for the runs of a job.
pub fn random(world: &mut World) -> Retry {
    let rng = &mut world.rng;
    if rng.chance(500) {
        return Retry::default();
    }
    let delay = Span::from_micros(*rng.pick(&[0, SECOND / 10, SECOND, 10 * SECOND, HOUR]));
    let causes = ["1-255,signal", "timeout,lost", "1-255,signal,timeout,lost", "lost", "125-127"];
    let on = rng.chance(500).then(|| rng.pick(&causes).parse().expect("valid"));
    let delay_max = Span::from_micros(delay.as_micros() * *rng.pick(&[1, 3, 64]));
    Retry { retries: *rng.pick(&[1, 2, 3, 10]), delay, delay_max, on }
}

/// A world with a job whose runs are tried again twice, 10 and 20 seconds later.
fn retrying<const N: usize>(scripts: [Script; N], on: Option<&str>) -> (World, i64) {
    let mut world = World::new(1, "2026-06-01T00:00:00Z", Trace::default());
    world.start_daemon();
    world.scripts.extend(scripts);
    let mut wish = Wish::at_once();
    wish.job.retry = retry(on);
    let job = world.add(&wish);
    (world, job)
}

fn retry(on: Option<&str>) -> Retry {
    let on = on.map(|on| on.parse::<RetryCauses>().expect("valid"));
    Retry { retries: 2, on, ..Retry::default() }
}

fn failing() -> Script {
    Script { end: End::Exited(1), ..Script::lasting(1) }
}

fn run(world: &World, job: i64) -> Row {
    world.audit.rows.values().find(|row| row.job == job).expect("it has a run").clone()
}

/// Returns the state of the run of a job, with the number of its attempt.
fn state(world: &World, job: i64) -> (String, u32) {
    let run = run(world, job);
    (run.outcome.map_or(run.state, |outcome| outcome.to_string()), run.attempt)
}

fn is(state: &str, attempt: u32) -> (String, u32) {
    (state.to_owned(), attempt)
}

#[test]
fn a_run_is_tried_again_until_it_succeeds() {
    let (mut world, job) = retrying([failing(), failing(), Script::lasting(1)], None);
    for (seconds, expected) in [
        (2, is("retrying", 2)),
        (9, is("retrying", 2)),
        (2, is("retrying", 3)),
        (19, is("retrying", 3)),
        (4, is("success", 3)),
    ] {
        world.advance(seconds * SECOND);
        assert_eq!(state(&world, job), expected);
    }
    finish(&mut world);
}

#[test]
fn the_last_attempt_decides_on_the_outcome() {
    let last = Script { end: End::Signaled(9), ..Script::lasting(1) };
    let (mut world, job) = retrying([failing(), failing(), last], None);
    world.advance(HOUR);
    finish(&mut world);
    let run = run(&world, job);
    assert_eq!((run.outcome, run.signal, run.attempt), (Some(Outcome::Failed), Some(9), 3));
}

#[test]
fn a_restarted_daemon_keeps_the_time_of_the_next_attempt() {
    let (mut world, job) = retrying([failing(), Script::lasting(1)], None);
    world.advance(3 * SECOND);
    let before = run(&world, job).not_before;
    world.kill_daemon();
    world.kill_keeper();
    world.start_daemon();
    assert_eq!(run(&world, job).not_before, before);
    world.advance(12 * SECOND);
    assert_eq!(state(&world, job), is("success", 2));
    finish(&mut world);
}

#[test]
fn an_attempt_that_was_due_while_no_daemon_ran_comes_at_once() {
    let (mut world, job) = retrying([failing(), Script::lasting(HOUR)], None);
    world.kill_daemon();
    world.advance(HOUR);
    world.start_daemon();
    world.advance(SECOND);
    assert_eq!(state(&world, job), is("running", 2));
    finish(&mut world);
}

#[test]
fn a_run_that_waits_for_its_next_attempt_is_cancelled_at_once() {
    let (mut world, job) = retrying([failing()], None);
    world.advance(2 * SECOND);
    world.cancel_run(&run(&world, job), false);
    assert_eq!(state(&world, job), is("cancelled", 2));
    world.advance(DAY);
    finish(&mut world);
}

#[test]
fn a_cancelled_attempt_is_the_last_one_whatever_its_status() {
    let (mut world, job) = retrying([Script { end: End::Exited(1), ..Script::lasting(60) }], None);
    world.advance(SECOND);
    world.kill_daemon();
    world.cancel_run(&run(&world, job), false);
    // It ends by itself, before anything has stopped it.
    world.advance(HOUR);
    world.start_daemon();
    assert_eq!(state(&world, job), is("failed", 1));
    finish(&mut world);
}

#[test]
fn a_lost_run_is_tried_again_only_if_the_list_says_so_and_after_its_process_has_ended() {
    for (on, expected) in [(None, is("lost", 1)), (Some("lost"), is("success", 2))] {
        let (mut world, job) = retrying([Script::lasting(600), Script::lasting(1)], on);
        world.kill_keeper();
        world.advance(500 * SECOND);
        assert_eq!(state(&world, job), is("running", 1));
        world.advance(120 * SECOND);
        assert_eq!(state(&world, job), expected);
        finish(&mut world);
    }
}

#[test]
fn a_run_that_went_down_with_the_machine_is_tried_again_only_if_the_list_says_so() {
    for (on, expected) in [(None, is("lost", 1)), (Some("lost"), is("retrying", 2))] {
        let (mut world, job) = retrying([Script::lasting(600), Script::lasting(1)], on);
        world.advance(SECOND);
        world.reboot();
        world.start_daemon();
        assert_eq!(state(&world, job), expected);
        world.advance(HOUR);
        finish(&mut world);
    }
}

#[test]
fn a_timeout_is_that_of_each_attempt() {
    let mut world = World::new(1, "2026-06-01T00:00:00Z", Trace::default());
    world.start_daemon();
    world.scripts.extend([Script::lasting(600), Script::lasting(50)]);
    let mut wish = Wish::at_once();
    wish.job.retry = retry(Some("timeout"));
    wish.job.policy.timeout = Some(Span::from_seconds(60));
    let job = world.add(&wish);
    world.advance(HOUR);
    assert_eq!(state(&world, job), is("success", 2));
    finish(&mut world);
}

#[test]
fn a_paused_job_is_not_tried_again_until_it_is_resumed() {
    let (mut world, job) = retrying([failing(), Script::lasting(1)], None);
    world.pause(job);
    world.advance(HOUR);
    assert_eq!(state(&world, job), is("retrying", 2));
    world.resume(job);
    world.advance(2 * SECOND);
    assert_eq!(state(&world, job), is("success", 2));
    finish(&mut world);
}

#[test]
fn a_retrying_run_is_unfinished_for_the_overlap_of_the_next_fire() {
    let skipped = Some(Outcome::Skipped);
    let (success, cancelled) = (Some(Outcome::Success), Some(Outcome::Cancelled));
    for (overlap, expected) in [
        (Overlap::Skip, vec![success, skipped]),
        (Overlap::Wait, vec![success, success]),
        (Overlap::Replace, vec![cancelled, success]),
    ] {
        let mut world = World::new(1, "2026-06-01T00:00:00Z", Trace::default());
        world.start_daemon();
        world.scripts.extend([failing(), Script::lasting(1), Script::lasting(1)]);
        let mut wish = Wish::when(When::Every(60)).overlap(overlap);
        let delay = Span::from_seconds(100);
        wish.job.retry = Retry { retries: 1, delay, delay_max: delay, on: None };
        let job = world.add(&wish);
        // The first attempt ends a second after the first fire. The second fire comes before the retry.
        world.advance(130 * SECOND);
        let rows: Vec<Row> = world.audit.rows.values().filter(|row| row.job == job).cloned().collect();
        assert_eq!(rows.len(), 2, "{overlap}");
        if overlap == Overlap::Wait {
            assert_eq!((rows[1].state.as_str(), rows[1].started_at), ("queued", None), "beside a retry");
        }
        // No further fires: only what waits is left.
        world.pause(job);
        world.resume(job);
        world.advance(49 * SECOND);
        finish(&mut world);
        let rows = world.audit.rows.values().filter(|row| row.job == job);
        assert_eq!(rows.map(|row| row.outcome).take(2).collect::<Vec<_>>(), expected, "{overlap}");
    }
}

#[test]
fn a_clock_set_back_far_does_not_put_a_retry_off() {
    let (mut world, job) = retrying([failing(), Script::lasting(1)], None);
    world.advance(2 * SECOND);
    world.step_clock(-(DAY as i64));
    world.advance(13 * SECOND);
    assert_eq!(state(&world, job), is("success", 2));
    finish(&mut world);
}
