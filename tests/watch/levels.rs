//! Owns: tests of `exists` and `nonempty`.
//! Never: `settle` (see `settling`).

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

#[test]
fn a_condition_is_reported_once_when_it_holds_and_again_when_asked() {
    let mut world = World::new();
    let trigger = world.listen_new(world.source("flag", PathChange::Exists));
    assert_eq!(world.news().iter().filter(|news| news.is_first_look).count(), 1);
    assert!(world.is_asleep());
    world.watch.recheck(trigger, world.now);
    assert_eq!(world.events(), [""; 0]);
    world.write("flag", "");
    assert_eq!(world.events(), ["exists flag"]);
    assert_eq!(world.events(), [""; 0]);
    world.watch.recheck(trigger, world.now);
    assert_eq!(world.watch.next_wake(), Some(world.now));
    assert_eq!(world.events(), ["exists flag"]);
    world.remove("flag");
    world.watch.recheck(trigger, world.now);
    assert_eq!(world.events(), [""; 0]);
    assert!(world.is_asleep());
}

#[test]
fn a_condition_that_holds_already_is_reported_when_it_is_listened_to() {
    let mut world = World::new();
    world.mkdir("inbox");
    world.write("inbox/a", "x");
    world.listen_new(world.source("inbox", PathChange::Nonempty));
    assert_eq!(world.events(), ["nonempty inbox"]);
    world.restart();
    assert_eq!(world.events(), ["nonempty inbox"]);
    assert_eq!(world.events(), [""; 0]);
}

#[test]
fn a_directory_is_not_empty_if_it_has_an_entry_that_is_not_hidden() {
    let mut world = World::new();
    world.mkdir("inbox");
    let trigger = world.listen(world.source("inbox", PathChange::Nonempty));
    world.write("inbox/.a.part", "x");
    assert_eq!(world.events(), [""; 0]);
    world.rename("inbox/.a.part", "inbox/a");
    assert_eq!(world.events(), ["nonempty inbox"]);
    world.write("inbox/b", "x");
    world.remove("inbox/a");
    assert_eq!(world.events(), ["nonempty inbox"]);
    // A job that empties it causes no run.
    world.remove("inbox/b");
    assert_eq!(world.events(), [""; 0]);
    world.watch.recheck(trigger, world.now);
    assert_eq!(world.events(), [""; 0]);
    world.mkdir("inbox/sub");
    assert_eq!(world.events(), ["nonempty inbox"]);
}

#[test]
fn a_file_is_not_empty_if_it_has_content() {
    let mut world = World::new();
    world.listen(world.source("*.csv", PathChange::Nonempty));
    world.write("a.csv", "");
    assert_eq!(world.events(), [""; 0]);
    world.write("a.csv", "x");
    assert_eq!(world.events(), ["nonempty a.csv"]);
    world.write("b.txt", "x");
    assert_eq!(world.events(), [""; 0]);
}

#[test]
fn a_directory_that_matches_a_pattern_is_not_empty_if_it_has_an_entry() {
    let mut world = World::new();
    world.mkdir("spool-a");
    world.listen(world.source("spool-*", PathChange::Nonempty));
    assert_eq!(world.events(), [""; 0]);
    world.write("spool-a/x", "");
    assert_eq!(world.events(), ["nonempty spool-a"]);
    world.mkdir("spool-b");
    assert_eq!(world.events(), [""; 0]);
    world.write("spool-b/x", "");
    assert_eq!(world.events(), ["nonempty spool-b"]);
}

#[test]
fn a_link_that_leads_nowhere_does_not_exist() {
    let mut world = World::new();
    let trigger = world.listen(world.source("link", PathChange::Exists));
    symlink("target", world.path("link")).expect("it can be linked");
    assert_eq!(world.events(), [""; 0]);
    world.write("target", "x");
    world.watch.recheck(trigger, world.now);
    assert_eq!(world.events(), ["exists link"]);
}

#[test]
fn what_comes_at_once_is_reported_once() {
    let mut world = World::new();
    world.listen(world.source("*", PathChange::Exists));
    for name in 0..100 {
        fs::write(world.path(&name.to_string()), "x").expect("it can be written");
    }
    assert_eq!(world.events().len(), 1);
    assert_eq!(world.events(), [""; 0]);
}
