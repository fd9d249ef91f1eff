//! Owns: tests of `changed`, `created` and `deleted`.
//! Never: directories that come and go (see `directories`).

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::*;

#[test]
fn a_file_that_is_replaced_again_and_again_is_reported_each_time() {
    let mut world = World::new();
    world.write("site.conf", "one");
    world.listen_new(world.source("site.conf", PathChange::Changed));
    assert_eq!(world.events(), [""; 0]);
    for content in ["two", "three", "four"] {
        world.write(".site.conf.new", content);
        world.rename(".site.conf.new", "site.conf");
        assert_eq!(world.events(), ["changed site.conf"]);
    }
    world.write("other.conf", "x");
    assert_eq!(world.events(), [""; 0]);
}

#[test]
fn a_thousand_writes_are_one_change_when_the_file_is_closed() {
    let mut world = World::new();
    world.listen(world.source("*", PathChange::Changed));
    assert_eq!(world.events(), [""; 0]);
    let mut file = File::create(world.path("a")).expect("it can be made");
    for _ in 0..1_000 {
        file.write_all(b"line\n").expect("it can be written");
    }
    assert_eq!(world.events(), [""; 0]);
    assert!(world.is_asleep());
    drop(file);
    assert_eq!(world.events(), ["created a"]);
    drop(File::options().append(true).open(world.path("a")).expect("it is there"));
    // Nobody can know whether it was written with the same content.
    assert_eq!(world.events(), ["changed a"]);
    fs::read(world.path("a")).expect("it is there");
    assert!(world.is_asleep());
}

#[test]
fn what_needs_no_writer_has_changed_as_soon_as_it_is_made() {
    let mut world = World::new();
    world.write("a", "x");
    world.listen_new(world.source("*", PathChange::Changed));
    world.events();
    world.mkdir("dir");
    fs::hard_link(world.path("a"), world.path("hard")).expect("it can be linked");
    symlink("a", world.path("soft")).expect("it can be linked");
    symlink("nothing", world.path("dangling")).expect("it can be linked");
    assert_eq!(world.events(), ["created dir", "created hard", "created soft"]);
}

#[test]
fn a_mail_that_is_linked_into_its_directory_has_changed() {
    let mut world = World::new();
    world.mkdir("new");
    world.write("mail", "x");
    let past = std::time::SystemTime::UNIX_EPOCH + 1_000 * SECOND;
    let file = File::options().append(true).open(world.path("mail")).expect("it is there");
    file.set_modified(past).expect("it is ours");
    drop(file);
    world.listen(world.source("new/*", PathChange::Changed));
    world.events();
    fs::hard_link(world.path("mail"), world.path("new/mail")).expect("it can be linked");
    world.remove("mail");
    assert_eq!(world.events(), ["created new/mail"]);
}

#[test]
fn a_plain_directory_stands_for_its_entries() {
    let mut world = World::new();
    world.mkdir("inbox");
    world.write("inbox/old", "x");
    world.listen_new(world.source("inbox", PathChange::Changed));
    assert_eq!(world.events(), [""; 0]);
    world.write("inbox/old", "xy");
    world.write("inbox/.hidden", "x");
    world.rename("inbox/old", "inbox/new");
    world.remove("inbox/.hidden");
    assert_eq!(
        world.events(),
        [
            "changed inbox/old",
            "created inbox/.hidden",
            "deleted inbox/old",
            "created inbox/new",
            "deleted inbox/.hidden"
        ]
    );
}

#[test]
fn created_of_a_plain_path_is_about_that_path_alone() {
    let mut world = World::new();
    world.listen(world.source("inbox", PathChange::Created));
    world.mkdir("inbox");
    world.write("inbox/a", "x");
    assert_eq!(world.events(), ["created inbox"]);
    world.write("inbox/b", "x");
    assert_eq!(world.events(), [""; 0]);
}

#[test]
fn created_is_a_name_that_was_not_there() {
    let mut world = World::new();
    world.write("a.csv", "x");
    world.listen_new(world.source("*.csv", PathChange::Created));
    assert_eq!(world.events(), [""; 0]);
    world.write("a.csv", "xy");
    world.write("b.csv", "x");
    world.write("b.txt", "x");
    world.write(".c.csv", "x");
    world.rename("b.csv", "a.csv");
    assert_eq!(world.events(), ["created b.csv"]);
    world.remove("a.csv");
    world.write("a.csv", "x");
    assert_eq!(world.events(), ["created a.csv"]);
}

#[test]
fn a_file_that_has_come_and_gone_was_created() {
    let mut world = World::new();
    world.listen(world.source("*", PathChange::Created));
    world.events();
    world.write("a", "x");
    world.remove("a");
    world.write("a", "x");
    world.remove("a");
    assert_eq!(world.events(), ["created a", "created a"]);
    assert_eq!(world.marks[&TriggerId(1)].len(), 0);
}

#[test]
fn deleted_is_a_name_that_is_there_no_more() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.write(name, "x");
    }
    world.listen_new(world.source("[ab]", PathChange::Deleted));
    assert_eq!(world.events(), [""; 0]);
    world.remove("a");
    world.rename("b", "other");
    world.remove("c");
    assert_eq!(world.events(), ["deleted a", "deleted b"]);
}

#[test]
fn opposites_are_handed_out_to_those_who_want_them() {
    for (change, expected) in [
        (PathChange::Created, ["created a", "-deleted a", "created b"]),
        (PathChange::Deleted, ["-created a", "deleted a", "-created b"]),
    ] {
        let mut world = World::new();
        world.listen(world.source("*", change));
        world.wanted[0].with_opposites = true;
        world.apply();
        world.events();
        world.write("a", "x");
        world.remove("a");
        world.write("b", "x");
        assert_eq!(world.events(), expected);
    }
}

#[test]
fn what_happened_while_the_daemon_was_down_is_found() {
    let mut world = World::new();
    for name in ["changed", "same", "gone"] {
        world.write(name, "x");
    }
    for change in [PathChange::Changed, PathChange::Created, PathChange::Deleted] {
        world.listen_new(world.source("*", change));
    }
    assert_eq!(world.events(), [""; 0]);
    assert!(world.wanted.iter().all(|wanted| !wanted.is_new));
    world.write("changed", "xyz");
    world.write("new", "x");
    world.remove("gone");
    world.restart();
    let mut events = world.events();
    events.sort();
    assert_eq!(events, ["changed changed", "created new", "created new", "deleted gone"]);
    world.restart();
    assert_eq!(world.events(), [""; 0]);
    assert!(world.is_asleep());
}

#[test]
fn what_a_comparison_finds_is_in_the_order_of_the_last_writes() {
    let mut world = World::new();
    world.listen(world.source("*", PathChange::Created));
    for (name, seconds) in [("c", 1_000), ("a", 3_000), ("b", 2_000), ("d", 2_000)] {
        world.write(name, "x");
        let file = File::options().append(true).open(world.path(name)).expect("it is there");
        let time = std::time::SystemTime::UNIX_EPOCH + seconds * SECOND;
        file.set_modified(time).expect("it is ours");
    }
    world.restart();
    assert_eq!(world.events(), ["created c", "created b", "created d", "created a"]);
}

#[test]
fn a_change_between_watch_and_comparison_is_reported_once() {
    for change in [PathChange::Changed, PathChange::Created] {
        let mut world = World::new();
        world.write("before", "x");
        world.listen(world.source("*", change));
        // The watch is there, and the marks are not compared yet.
        world.write("between", "x");
        let mut all = world.watch.news(world.now, Timestamp::from_seconds(7));
        let events: Vec<String> = all.remove(0).events.iter().map(|event| shown(event, &world.dir)).collect();
        assert_eq!(events.len(), 2, "{events:?}");
        assert_eq!(world.events(), [""; 0]);
        assert!(world.is_asleep());
    }
}

#[test]
fn a_name_that_is_not_utf_8_is_reported_lossily_and_remembered_as_it_is() {
    let mut world = World::new();
    world.listen(world.source("*.csv", PathChange::Created));
    world.events();
    let name = b"\xff.csv";
    fs::write(world.dir.join(OsStr::from_bytes(name)), "x").expect("it can be written");
    assert_eq!(world.events(), ["created \u{fffd}.csv"]);
    assert!(world.marks[&TriggerId(1)].contains_key(&name[..]));
    world.restart();
    assert_eq!(world.events(), [""; 0]);
}

#[test]
fn the_data_is_json_with_path_change_and_size() {
    let mut world = World::new();
    world.listen(world.source("a\"b", PathChange::Changed));
    world.events();
    world.write("a\"b", "12345");
    let news = world.news();
    let path = world.path("a\\\"b");
    assert_eq!(
        news[0].events[0].occurrence.data.as_deref(),
        Some(format!("{{\"path\":\"{}\",\"change\":\"created\",\"size\":5}}", path.display()).as_str())
    );
}

#[test]
fn a_file_behind_a_link_has_changed_when_it_was_written_there() {
    let mut world = World::new();
    world.mkdir("real");
    world.write("real/a", "x");
    symlink("real/a", world.path("link")).expect("it can be linked");
    world.listen_new(world.source("link", PathChange::Changed));
    world.events();
    world.write("real/a", "xy");
    assert_eq!(world.events(), ["changed link"]);
    world.write("real/b", "xyz");
    symlink("real/b", world.path("link.new")).expect("it can be linked");
    world.rename("link.new", "link");
    assert_eq!(world.events(), ["changed link"]);
    world.write("real/a", "x");
    assert_eq!(world.events(), [""; 0]);
    world.write("real/b", "x");
    assert_eq!(world.events(), ["changed link"]);
}
