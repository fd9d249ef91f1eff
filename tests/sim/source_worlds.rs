//! Owns: the promises about sources that a daemon listens to, one by one: paths, and the power supply. Every
//! invariant is checked in these worlds too.

use taskq::domain::{Counter, EventSource, EventTrigger, MachineState, PathChange, PathSource, Span};

use crate::chance::finish;
use crate::clients::{When, Wish};
use crate::folder::Act;
use crate::keeper::Script;
use crate::promises;
use crate::world::{HOUR, SECOND, World};

const MINUTE: u64 = 60 * SECOND;

/// A world in which runs last a second.
fn world() -> World {
    let mut world = promises::world();
    world.scripts.extend(vec![Script::lasting(1); 500]);
    world
}

fn on(source: EventSource) -> Wish {
    Wish::when(When::On(EventTrigger { source, counter: Counter::default() }))
}

fn on_path(world: &World, change: PathChange, names: &str) -> Wish {
    let path = format!("{}{names}", world.folder.path().display());
    on(EventSource::Path(PathSource { path, change, settle: None, poll: None }))
}

fn add_on_path(world: &mut World, change: PathChange, names: &str) -> i64 {
    let wish = on_path(world, change, names);
    world.add(&wish)
}

/// Returns the names in the events of each run of a job, without their directories.
fn told(world: &World, job: i64) -> Vec<Vec<String>> {
    let short = |name: String| name.rsplit('/').next().unwrap_or_default().to_owned();
    let runs = world.audit.rows.values().filter(|row| row.job == job);
    runs.map(|row| {
        let names = row.bundle.map(|bundle| world.audit.hearing.names_in_bundle(bundle));
        names.unwrap_or_default().into_iter().map(short).collect()
    })
    .collect()
}

#[test]
fn what_happens_to_files_while_no_daemon_runs_counts_once() {
    for change in [PathChange::Created, PathChange::Changed] {
        let mut world = world();
        let job = add_on_path(&mut world, change, "/*.in");
        world.kill_daemon();
        world.touch("a.in", Act::Created);
        world.touch("d.out", Act::Created);
        world.touch("b.in", Act::Created);
        world.touch("b.in", Act::Deleted);
        world.advance(HOUR);
        world.start_daemon();
        world.advance(MINUTE);
        world.kill_daemon();
        world.start_daemon();
        world.advance(MINUTE);
        assert_eq!(told(&world, job), [["a.in"]], "{change:?}");
        finish(&mut world);
    }
}

#[test]
fn a_daemon_that_dies_between_the_event_and_its_run_loses_nothing() {
    let mut world = world();
    let job = add_on_path(&mut world, PathChange::Created, "/*.in");
    world.advance(MINUTE);
    world.touch("a.in", Act::Created);
    // The watch has told it, and no turn has committed it.
    assert!(world.serve_paths());
    world.kill_daemon();
    world.touch("b.in", Act::Created);
    world.start_daemon();
    world.advance(MINUTE);
    assert_eq!(told(&world, job), [["a.in", "b.in"]]);
    finish(&mut world);
}

#[test]
fn each_file_is_found_after_the_memory_of_the_kernel_was_full() {
    let mut world = world();
    let job = add_on_path(&mut world, PathChange::Created, "/*.in");
    world.advance(MINUTE);
    world.touch("a.in", Act::Created);
    world.settle();
    let acts = [("b.in", Act::Created), ("a.in", Act::Changed), ("c.in", Act::Created)];
    world.flood_folder(&acts);
    world.advance(MINUTE);
    assert_eq!(told(&world, job).concat(), ["a.in", "b.in", "c.in"]);
    finish(&mut world);
}

#[test]
fn files_of_a_folder_that_was_away_are_compared_when_it_is_back() {
    let mut world = world();
    let created = add_on_path(&mut world, PathChange::Created, "/*.in");
    let deleted = add_on_path(&mut world, PathChange::Deleted, "/*.in");
    world.touch("a.in", Act::Created);
    world.advance(MINUTE);
    world.shift_folder();
    world.advance(MINUTE);
    world.touch("b.in", Act::Created);
    world.shift_folder();
    world.advance(MINUTE);
    assert_eq!(told(&world, created), [["a.in"], ["b.in"]]);
    assert_eq!(told(&world, deleted), [["a.in"]]);
    finish(&mut world);
}

#[test]
fn a_folder_with_files_is_looked_at_after_each_run_until_it_is_empty() {
    let mut world = world();
    let job = add_on_path(&mut world, PathChange::Nonempty, "");
    world.touch("a.in", Act::Created);
    world.advance(5 * SECOND);
    let runs = told(&world, job).len();
    assert!((4..=6).contains(&runs), "{runs}");
    world.clear_folder();
    world.advance(HOUR);
    assert!(told(&world, job).len() <= runs + 1);
    finish(&mut world);
}

#[test]
fn a_condition_that_holds_when_a_job_may_begin_makes_a_run() {
    for dies in [false, true] {
        let mut world = world();
        world.touch("a.in", Act::Created);
        let mut wish = on_path(&world, PathChange::Nonempty, "");
        wish.job.start = Some(world.now() + Span::from_micros(HOUR));
        let job = world.add(&wish);
        world.advance(HOUR / 2);
        assert_eq!(told(&world, job).len(), 0);
        if dies {
            world.kill_daemon();
            world.start_daemon();
        }
        world.advance(HOUR / 2 + SECOND / 2);
        assert_eq!(told(&world, job).len(), 1);
        world.clear_folder();
        finish(&mut world);
    }
}

#[test]
fn power_that_changes_while_no_daemon_runs_counts_and_a_restart_does_not() {
    let mut world = world();
    let job = world.add(&on(EventSource::State(MachineState::Battery)));
    world.advance(MINUTE);
    for _ in 0..2 {
        world.kill_daemon();
        world.start_daemon();
        world.advance(MINUTE);
    }
    assert_eq!(told(&world, job).len(), 0);
    world.kill_daemon();
    world.switch_power();
    world.start_daemon();
    world.advance(MINUTE);
    assert_eq!(told(&world, job), [["battery"]]);
    world.switch_power();
    world.switch_power();
    world.advance(MINUTE);
    assert_eq!(told(&world, job), [["battery"], ["battery"]]);
    finish(&mut world);
}
