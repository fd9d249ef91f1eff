//! Owns: tests of `settle=` and `poll=`.
//! Never: the clock itself (see `settle`).

use std::fs::File;
use std::io::Write;

use super::*;

#[test]
fn changes_are_reported_together_when_nothing_has_changed_for_a_while() {
    let mut world = World::new();
    world.write("a", "x");
    world.listen_new(settled(world.source("*", PathChange::Changed), 2));
    // The first look does not wait: what comes after it counts.
    assert_eq!(world.news().iter().filter(|news| news.is_first_look).count(), 1);
    world.write("b", "x");
    assert_eq!(world.events(), [""; 0]);
    world.write("a", "xy");
    world.write("a", "xyz");
    world.write("passing", "x");
    world.remove("passing");
    assert_eq!(world.events_after(SECOND), [""; 0]);
    assert_eq!(world.watch.next_wake().map(|wake| wake <= world.now + 2 * SECOND), Some(true));
    assert_eq!(world.events_after(2 * SECOND), ["created b", "changed a"]);
    assert_eq!(world.events_after(SECOND), [""; 0]);
    assert!(world.is_asleep());
}

#[test]
fn constant_activity_delays_an_event_by_ten_times_the_span() {
    let mut world = World::new();
    world.listen(settled(world.source("*", PathChange::Created), 2));
    world.events_after(2 * SECOND);
    let begin = world.now;
    let mut reported = Vec::new();
    for n in 0..25 {
        world.write(&n.to_string(), "x");
        let events = world.events();
        if !events.is_empty() {
            reported.push((world.now - begin, events.len()));
        }
        world.now += SECOND;
    }
    assert_eq!(reported, [(20 * SECOND, 21)]);
}

#[test]
fn a_file_that_is_still_being_written_has_not_settled() {
    for change in [PathChange::Created, PathChange::Nonempty] {
        let mut world = World::new();
        world.listen(settled(world.source("*.iso", change), 5));
        world.events_after(5 * SECOND);
        let mut file = File::create(world.path("a.iso")).expect("it can be made");
        for _ in 0..10 {
            file.write_all(b"xx").expect("it can be written");
            assert_eq!(world.events_after(2 * SECOND), [""; 0]);
        }
        drop(file);
        assert_eq!(world.events(), [""; 0]);
        assert_eq!(world.events_after(5 * SECOND).len(), 1);
        assert_eq!(world.events(), [""; 0]);
        world.now += SECOND;
        world.events();
        assert!(world.is_asleep());
    }
}

#[test]
fn a_recheck_waits_too() {
    let mut world = World::new();
    world.mkdir("inbox");
    world.write("inbox/a", "x");
    let trigger = world.listen(settled(world.source("inbox", PathChange::Nonempty), 2));
    assert_eq!(world.events(), [""; 0]);
    assert_eq!(world.events_after(2 * SECOND), ["nonempty inbox"]);
    world.watch.recheck(trigger, world.now);
    assert_eq!(world.events(), [""; 0]);
    assert_eq!(world.events_after(SECOND), [""; 0]);
    assert_eq!(world.events_after(SECOND), ["nonempty inbox"]);
}

#[test]
fn a_path_that_is_polled_is_looked_at_as_often_and_not_watched() {
    let mut world = World::new();
    world.write("a", "x");
    world.listen_new(polled(world.source("*", PathChange::Changed), 60));
    world.listen_new(polled(world.source("*", PathChange::Created), 60));
    world.listen_new(polled(world.source("b", PathChange::Exists), 60));
    assert_eq!(world.events(), [""; 0]);
    assert_eq!(world.watch.watches(), 0);
    world.write("b", "x");
    assert!(!world.is_readable());
    assert_eq!(world.events_after(59 * SECOND), [""; 0]);
    assert_eq!(world.watch.next_wake(), Some(world.now + SECOND));
    assert_eq!(world.events_after(SECOND), ["created b", "created b", "exists b"]);
    // It still exists, but nothing has changed.
    assert_eq!(world.events_after(60 * SECOND), [""; 0]);
    world.write("a", "xyz");
    assert_eq!(world.events_after(60 * SECOND), ["changed a"]);
}

#[test]
fn a_polled_path_settles_if_two_looks_are_the_same() {
    let mut world = World::new();
    world.listen_new(polled(settled(world.source("*", PathChange::Created), 2), 10));
    assert_eq!(world.events(), [""; 0]);
    world.write("a", "x");
    assert_eq!(world.events_after(10 * SECOND), [""; 0]);
    world.write("a", "xy");
    assert_eq!(world.events_after(2 * SECOND), [""; 0]);
    assert_eq!(world.events_after(2 * SECOND), ["created a"]);
}
