//! Owns: tests of directories that are not there, are replaced, or cannot be read.
//! Never: the changes of files in them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

#[test]
fn a_directory_that_comes_is_compared_with_all_that_came_with_it() {
    let mut world = World::new();
    world.listen_new(world.source("a/b/inbox/*", PathChange::Created));
    assert!(world.news().iter().all(|news| news.events.is_empty()));
    assert!(world.is_asleep());
    fs::create_dir_all(world.path("a/b/inbox")).expect("it can be made");
    world.write("a/b/inbox/first", "x");
    assert_eq!(world.events(), ["created a/b/inbox/first"]);
    world.write("a/b/inbox/second", "x");
    assert_eq!(world.events(), ["created a/b/inbox/second"]);
    assert!(world.is_asleep());
}

#[test]
fn a_directory_can_come_step_by_step() {
    let mut world = World::new();
    world.listen(world.source("a/b/c", PathChange::Exists));
    for name in ["a", "a/b"] {
        world.mkdir(name);
        assert_eq!(world.events(), [""; 0]);
    }
    world.write("a/b/c", "x");
    assert_eq!(world.events(), ["exists a/b/c"]);
}

#[test]
fn a_directory_that_is_removed_and_made_again_is_watched_again() {
    for change in [PathChange::Changed, PathChange::Created] {
        let mut world = World::new();
        world.mkdir("inbox");
        world.listen(world.source("inbox/*", change));
        for round in ["one", "two", "three"] {
            world.write(&format!("inbox/{round}"), "x");
            assert_eq!(world.events(), [format!("created inbox/{round}")]);
            fs::remove_dir_all(world.path("inbox")).expect("it is there");
            assert_eq!(world.events(), [""; 0]);
            world.mkdir("inbox");
        }
    }
}

#[test]
fn a_directory_that_a_process_is_in_can_be_replaced() {
    let mut world = World::new();
    world.mkdir("inbox");
    let held = fs::File::open(world.path("inbox")).expect("it is there");
    world.listen(world.source("inbox/*", PathChange::Created));
    world.events();
    fs::remove_dir(world.path("inbox")).expect("it is empty");
    world.mkdir("inbox");
    world.write("inbox/a", "x");
    assert_eq!(world.events(), ["created inbox/a"]);
    drop(held);
    world.write("inbox/b", "x");
    assert_eq!(world.events(), ["created inbox/b"]);
}

#[test]
fn a_directory_that_is_renamed_away_is_not_listened_to_any_more() {
    let mut world = World::new();
    fs::create_dir_all(world.path("a/inbox")).expect("it can be made");
    world.listen(world.source("a/inbox/*", PathChange::Created));
    world.events();
    world.rename("a", "old");
    assert_eq!(world.events(), [""; 0]);
    world.write("old/inbox/x", "x");
    assert_eq!(world.events(), [""; 0]);
    fs::create_dir_all(world.path("a/inbox")).expect("it can be made");
    world.write("a/inbox/y", "y");
    assert_eq!(world.events(), ["created a/inbox/y"]);
}

#[test]
fn files_of_a_directory_that_is_away_are_not_new_when_it_is_back() {
    let mut world = World::new();
    world.mkdir("disk");
    world.write("disk/a", "x");
    world.listen_new(world.source("disk/*", PathChange::Changed));
    world.listen_new(world.source("disk/*", PathChange::Deleted));
    world.events();
    world.rename("disk", "away");
    assert_eq!(world.events(), ["deleted disk/a"]);
    world.write("away/b", "x");
    world.rename("away", "disk");
    assert_eq!(world.events(), ["created disk/b"]);
}

#[test]
fn files_of_a_directory_that_goes_away_before_they_settle_are_not_gone() {
    let mut world = World::new();
    world.mkdir("disk");
    world.write("disk/a", "x");
    world.write("disk/b", "x");
    let source = settled(world.source("disk/*", PathChange::Created), 2);
    world.listen_new(source);
    world.wanted[0].with_opposites = true;
    world.apply();
    world.events_after(2 * SECOND);
    world.write("disk/c", "x");
    assert_eq!(world.events(), [""; 0]);
    world.write("disk/a", "xy");
    world.remove("disk/b");
    world.rename("disk", "away");
    assert_eq!(world.events(), [""; 0]);
    assert_eq!(world.events_after(2 * SECOND), ["-deleted disk/b"]);
    world.rename("away", "disk");
    assert_eq!(world.events(), [""; 0]);
    assert_eq!(world.events_after(2 * SECOND), ["created disk/c"]);
}

#[test]
fn a_link_on_the_way_may_lead_elsewhere() {
    let mut world = World::new();
    for (dir, content) in [("one", "1"), ("two", "22")] {
        world.mkdir(dir);
        world.write(&format!("{dir}/conf"), content);
    }
    symlink("one", world.path("current")).expect("it can be linked");
    world.listen_new(world.source("current/conf", PathChange::Changed));
    world.events();
    symlink("two", world.path("next")).expect("it can be linked");
    world.rename("next", "current");
    assert_eq!(world.events(), ["changed current/conf"]);
    world.write("one/conf", "111");
    assert_eq!(world.events(), [""; 0]);
    world.write("two/conf", "222");
    assert_eq!(world.events(), ["changed current/conf"]);
}

#[test]
fn a_path_can_become_a_directory_and_a_file_again() {
    let mut world = World::new();
    world.listen_new(world.source("x", PathChange::Changed));
    world.events();
    world.mkdir("x");
    world.write("x/a", "x");
    assert_eq!(world.events(), ["created x/a"]);
    world.write("x/b", "x");
    assert_eq!(world.events(), ["created x/b"]);
    fs::remove_dir_all(world.path("x")).expect("it is there");
    let mut deleted = world.events();
    deleted.sort();
    assert_eq!(deleted, ["deleted x/a", "deleted x/b"]);
    world.write("x", "file");
    assert_eq!(world.events(), ["created x"]);
    world.write("x", "file 2");
    assert_eq!(world.events(), ["changed x"]);
}

#[test]
fn a_directory_that_cannot_be_read_is_read_when_it_can_be() {
    if nix::unistd::geteuid().is_root() {
        // Root can read everything.
        return;
    }
    let mut world = World::new();
    world.mkdir("inbox");
    world.write("inbox/old", "x");
    let set = |world: &World, mode| {
        fs::set_permissions(world.path("inbox"), Permissions::from_mode(mode)).expect("it is ours");
    };
    set(&world, 0o000);
    world.listen_new(world.source("inbox/*", PathChange::Created));
    world.listen_new(world.source("inbox", PathChange::Nonempty));
    assert_eq!(world.events(), [""; 0]);
    assert!(world.is_asleep());
    assert!(world.wanted[0].is_new);
    set(&world, 0o700);
    assert_eq!(world.events(), ["nonempty inbox"]);
    assert!(!world.wanted[0].is_new);
    world.write("inbox/new", "x");
    assert_eq!(world.events(), ["created inbox/new", "nonempty inbox"]);
}
