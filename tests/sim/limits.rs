//! Owns: the promises about the limits of triggers, each in its own small world.
//! Never: random worlds (see `chance`).

use taskq::domain::{Array, Indices, MissedMode, Outcome, Overlap, Span, Timestamp};

use crate::clients::{When, Wish};
use crate::keeper::Script;
use crate::promises::{self, SUCCESS, log};
use crate::world::{HOUR, SECOND, World};

const MINUTE: u64 = 60 * SECOND;

/// A world in which runs last a second.
fn world() -> World {
    let mut world = promises::world();
    world.scripts.extend(vec![Script::lasting(1); 100]);
    world
}

fn after(world: &World, span: u64) -> Timestamp {
    world.now() + Span::from_micros(span)
}

fn is_done(world: &World, job: i64) -> bool {
    world.audit.db.done_jobs().contains(&job)
}

#[test]
fn a_job_is_done_after_its_last_fire_before_the_end() {
    let mut world = world();
    let mut wish = Wish::when(When::Every(3_600));
    wish.job.until = Some(after(&world, 3 * HOUR));
    let job = world.add(&wish);
    world.advance(HOUR);
    assert!(!is_done(&world, job));
    world.advance(HOUR + MINUTE);
    assert_eq!((log(&world, job), is_done(&world, job)), (vec![(60, 1, SUCCESS), (120, 1, SUCCESS)], true));
}

#[test]
fn a_fire_before_the_end_that_is_found_after_it_runs_by_the_policy_for_late_fires() {
    for (mode, expected) in [
        (MissedMode::Once, vec![(60, 1, Some(Outcome::Missed)), (120, 1, SUCCESS)]),
        (MissedMode::All, vec![(60, 1, SUCCESS), (120, 1, SUCCESS)]),
        (MissedMode::Skip, vec![(60, 2, Some(Outcome::Missed))]),
    ] {
        let mut world = world();
        let mut wish = Wish::when(When::Every(3_600));
        wish.job.until = Some(after(&world, 3 * HOUR));
        wish.job.policy.missed.mode = mode;
        let job = world.add(&wish);
        world.kill_daemon();
        world.advance(9 * HOUR);
        world.start_daemon();
        world.advance(HOUR);
        assert_eq!((log(&world, job), is_done(&world, job)), (expected, true));
    }
}

#[test]
fn a_job_of_each_boot_fires_only_inside_of_its_window_and_is_done_at_its_end() {
    let mut world = world();
    let mut wish = Wish::when(When::Cron("@reboot", None));
    (wish.job.start, wish.job.until) = (Some(after(&world, HOUR)), Some(after(&world, 3 * HOUR)));
    let job = world.add(&wish);
    let reboot = |world: &mut World, span| {
        world.reboot();
        world.start_daemon();
        world.advance(span);
    };
    reboot(&mut world, HOUR + MINUTE);
    assert_eq!(log(&world, job), []);
    // A boot before its start does not count later either.
    world.kill_daemon();
    world.start_daemon();
    assert_eq!(log(&world, job), []);
    reboot(&mut world, MINUTE);
    assert_eq!((log(&world, job), is_done(&world, job)), (vec![(61, 1, SUCCESS)], false));
    world.advance(2 * HOUR);
    assert!(is_done(&world, job));
    reboot(&mut world, MINUTE);
    assert_eq!(log(&world, job), [(61, 1, SUCCESS)]);
}

#[test]
fn a_new_end_moves_no_fire_and_fires_nothing_again() {
    let mut world = world();
    let when = vec![When::At(after(&world, MINUTE)), When::Every(3_600)];
    let mut wish = Wish { when, ..Wish::at_once() }.overlap(Overlap::Allow);
    wish.job.until = Some(after(&world, 2 * HOUR));
    world.scripts[1] = Script::lasting(5_400);
    let job = world.add(&wish);
    world.advance(30 * MINUTE);
    world.set_until(job, Some(after(&world, 10 * HOUR)));
    world.set_until(job, Some(after(&world, HOUR)));
    world.advance(HOUR);
    assert_eq!(log(&world, job), [(1, 1, SUCCESS), (60, 1, None)]);
    // The job has no fire left, and is not done while it runs.
    world.set_until(job, Some(after(&world, HOUR)));
    world.advance(2 * HOUR);
    assert_eq!(log(&world, job), [(1, 1, SUCCESS), (60, 1, SUCCESS), (120, 1, SUCCESS)]);
    assert!(is_done(&world, job));
}

#[test]
fn a_trigger_that_counts_from_the_end_of_a_run_counts_from_the_last_one() {
    let mut world = world();
    for (run, minutes) in [(0, 5), (1, 7), (2, 3)] {
        world.scripts[run] = Script::lasting(minutes * 60);
    }
    let job = world.add(&Wish::when(When::AfterEnd(600)));
    world.advance(16 * MINUTE);
    assert_eq!(log(&world, job), [(10, 1, SUCCESS)]);
    // The end of a run that the user asked for counts too: 16 + 7 + 10 minutes, not 15 + 10.
    world.run(job);
    world.advance(20 * MINUTE + MINUTE / 2);
    assert_eq!(log(&world, job), [(10, 1, SUCCESS), (16, 1, SUCCESS), (33, 1, SUCCESS)]);
    world.kill_daemon();
    world.advance(HOUR);
    world.start_daemon();
    world.advance(MINUTE);
    // 36 + 10 minutes were over while no daemon ran; 96 is now.
    assert_eq!(log(&world, job)[3], (46, 1, SUCCESS));
    let next = world.audit.triggers.values().find_map(|trigger| trigger.next).expect("it is armed");
    assert_eq!(next.since(world.now()).as_micros() / MINUTE, 9);
}

#[test]
fn a_fire_that_does_not_run_lets_the_next_one_count_from_it() {
    let mut world = world();
    world.scripts[0] = Script::lasting(3 * 3_600);
    let job = world.add(&Wish::when(When::AfterEnd(600)));
    world.run(job);
    world.advance(4 * HOUR);
    let skipped = (10, 1, Some(Outcome::Skipped));
    // While a run is unfinished, there is no second fire.
    assert_eq!(log(&world, job)[..3], [(0, 1, SUCCESS), skipped, (190, 1, SUCCESS)]);
}

#[test]
fn a_cancelled_job_does_not_fire_after_the_end_of_its_run() {
    let mut world = world();
    world.scripts[0] = Script { obeys_after: Some(5 * MINUTE), ..Script::lasting(3_600) };
    let mut wish = Wish::when(When::AfterEnd(600));
    wish.job.policy.kill_after = Span::from_seconds(600);
    let job = world.add(&wish);
    world.advance(11 * MINUTE);
    world.cancel_job(job);
    world.advance(HOUR);
    assert_eq!((log(&world, job), is_done(&world, job)), (vec![(10, 1, Some(Outcome::Cancelled))], true));
}

#[test]
fn a_trigger_that_counts_from_the_end_of_an_array_counts_from_its_last_index() {
    let mut world = world();
    let mut wish = Wish::when(When::AfterEnd(600));
    wish.job.array = Some(Array { indices: Indices::new(1, 3, 1).expect("three"), at_once: None });
    for (run, minutes) in [(0, 5), (1, 1), (2, 1)] {
        world.scripts[run] = Script::lasting(minutes * 60);
    }
    let job = world.add(&wish);
    world.advance(14 * MINUTE);
    let next = |world: &World| world.audit.triggers.values().find_map(|trigger| trigger.next);
    assert_eq!((world.audit.open_rows().count(), next(&world)), (1, None));
    world.advance(MINUTE + SECOND);
    let last = world.audit.rows.values().filter_map(|row| row.finished_at).max().expect("all have ended");
    assert_eq!(next(&world), Some(Timestamp::from_micros(last) + Span::from_micros(10 * MINUTE)));
    assert!(!is_done(&world, job));
}

#[test]
fn a_callback_does_not_move_the_fire_that_counts_from_the_end_of_its_run() {
    let mut world = world();
    let mut wish = Wish::when(When::AfterEnd(600));
    wish.job.callbacks.finish = Some(b"true".to_vec());
    world.scripts[1] = Script::lasting(300);
    let job = world.add(&wish);
    world.advance(22 * MINUTE);
    let due: Vec<i64> = log(&world, job).into_iter().map(|(minute, ..)| minute).collect();
    // The run, its callback, and a run ten minutes after the end of the first.
    assert_eq!(due[..3], [10, 10, 20]);
}
