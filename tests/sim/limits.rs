//! Owns: the promises about the limits of triggers, each in its own small world.
//! Never: random worlds (see `chance`).

use taskq::domain::{MissedMode, Outcome, Overlap, Span, Timestamp};

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
