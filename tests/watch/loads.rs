//! Owns: tests of many files, many directories and many triggers.
//! Never: what one file does.

use std::fs;

use super::*;

const MANY: usize = 20_000;

#[test]
fn twenty_thousand_files_that_are_made_at_once_are_all_created() {
    let mut world = World::new();
    world.listen(world.source("*", PathChange::Created));
    world.listen(world.source("*", PathChange::Changed));
    world.events();
    for n in 0..MANY {
        fs::write(world.path(&format!("{n}")), "").expect("there is room");
    }
    let mut created = BTreeMap::new();
    for _ in 0..10 {
        for event in world.events() {
            *created.entry(event).or_insert(0) += 1;
        }
    }
    assert_eq!(created.len(), MANY);
    assert!(created.values().all(|times| *times == 2));
    assert!(world.marks.values().all(|marks| marks.len() == MANY));
    assert!(world.is_asleep());
    world.write("0", "x");
    assert_eq!(world.events(), ["changed 0"]);
}

#[test]
fn a_job_that_empties_a_directory_ends_with_every_file_seen() {
    let mut world = World::new();
    world.mkdir("inbox");
    let trigger = world.listen(world.source("inbox", PathChange::Nonempty));
    world.events();
    let (mut seen, mut made) = (0, 0);
    while seen < MANY {
        // The writer is faster than the job, which takes a part each time.
        let until = (made + 7_000).min(MANY);
        for n in made..until {
            fs::write(world.path(&format!("inbox/{n}")), "").expect("there is room");
        }
        made = until;
        let events = world.events();
        assert_eq!(events, ["nonempty inbox"], "{seen} of {MANY} were seen");
        let entries: Vec<_> = fs::read_dir(world.path("inbox")).expect("it is there").take(3_000).collect();
        seen += entries.len();
        for entry in entries {
            fs::remove_file(entry.expect("it can be read").path()).expect("it is there");
        }
        world.watch.recheck(trigger, world.now);
    }
    assert_eq!(world.events(), [""; 0]);
    assert!(world.is_asleep());
}

#[test]
fn a_thousand_directories_are_watched() {
    let mut world = World::new();
    for n in 0..1_000 {
        world.mkdir(&n.to_string());
        let source = world.source(&format!("{n}/*"), PathChange::Created);
        world.wanted.push(PathListener {
            trigger: TriggerId(n),
            source,
            is_new: true,
            with_opposites: false,
        });
    }
    world.apply();
    assert_eq!(world.news().len(), 1_000);
    assert!(world.is_asleep());
    world.write("777/a", "x");
    assert_eq!(world.events(), ["created 777/a"]);
    world.wanted.clear();
    world.apply();
    assert_eq!(world.watch.watches(), 0);
    world.events();
    assert!(world.is_asleep());
}

#[test]
fn two_triggers_of_a_directory_share_its_watch() {
    let mut world = World::new();
    world.listen(world.source("*.csv", PathChange::Created));
    world.events();
    let count = world.watch.watches();
    world.listen(world.source("*.csv", PathChange::Changed));
    world.events();
    assert_eq!(world.watch.watches(), count);
    world.write("a.csv", "x");
    assert_eq!(world.events(), ["created a.csv", "created a.csv"]);
    world.wanted.remove(0);
    world.apply();
    world.write("b.csv", "x");
    assert_eq!(world.events(), ["created b.csv"]);
    assert_eq!(world.watch.watches(), count);
}

#[test]
fn events_that_nobody_wants_any_more_are_not_told() {
    let mut world = World::new();
    world.mkdir("dir");
    world.listen(world.source("dir/a", PathChange::Exists));
    world.listen(world.source("dir/*", PathChange::Changed));
    world.events();
    world.wanted.pop();
    world.apply();
    world.write("dir/a", "x");
    assert_eq!(world.events(), ["exists dir/a"]);
    // A write of a file that exists matters to the other trigger only.
    world.write("dir/a", "xy");
    assert!(!world.is_readable());
}

#[test]
fn what_happens_beside_and_above_a_directory_wakes_nobody() {
    let mut world = World::new();
    fs::create_dir_all(world.path("a/b")).expect("it can be made");
    world.listen(world.source("a/b/*", PathChange::Changed));
    world.events();
    world.write("x", "x");
    world.write("a/x", "x");
    world.mkdir("a/c");
    fs::read_dir(world.path("a/b")).expect("it is there").for_each(drop);
    assert!(world.is_asleep());
}

#[test]
fn a_source_that_is_another_now_is_listened_to_anew() {
    let mut world = World::new();
    world.write("a", "x");
    world.write("b", "x");
    world.listen(world.source("a", PathChange::Exists));
    assert_eq!(world.events(), ["exists a"]);
    world.apply();
    assert_eq!(world.events(), [""; 0]);
    world.wanted[0].source = world.source("b", PathChange::Exists);
    world.apply();
    assert_eq!(world.events(), ["exists b"]);
}
