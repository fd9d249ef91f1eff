//! Owns: what becomes of promises when the power fails: real processes are recorded, and the record is cut.
//! Never: killed processes, under which the page cache survives (see tests/crash).
//!
//! Cuts are random, and their seed is printed: `TASKQ_POWER_SEED` takes it again. The record of a cut that
//! has lost something is kept, and `TASKQ_POWER_RECORD` takes it in place of a new one. `TASKQ_POWER_CUTS` is
//! how many random cuts are made at each point: a thousand for a long hunt.
#![allow(clippy::disallowed_types, reason = "tests start programs")]

mod check;
mod disk;
#[path = "../crash/harness.rs"]
#[expect(dead_code, reason = "most of it is for tests/crash")]
mod harness;
#[path = "../crash/processes.rs"]
#[expect(dead_code, reason = "most of it is for tests/crash")]
mod processes;
mod record;
#[path = "../shared/mod.rs"]
mod shared;

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::thread;

use check::{Cuts, Ignored, OPENING, STORE, read};
use disk::{Cut, Disk, Random, Record, Tree};
use record::World;
use rusqlite::Connection;
use shared::{note, setting};

/// Random cuts at each point.
const CUTS: usize = 12;

/// What a job begins with that says in the record that it has started: its start was promised to be on disk.
const STARTED: &str =
    r#"f="started $TASKQ_RUN"; printf 'facts 0 0 0 0 0 %d\n%s' ${#f} "$f" >>$TASKQ_RECORD; "#;

fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| setting("TASKQ_POWER_SEED").unwrap_or_else(|| RandomState::new().hash_one(0)))
}

/// Cuts the power everywhere in a record, after so many adds, and finds that nothing is lost.
fn survives(what: &str, bytes: &[u8], after: usize) {
    let (seed, random) = (seed(), setting("TASKQ_POWER_CUTS").unwrap_or(CUTS));
    note(&format!("{what}: TASKQ_POWER_SEED={seed}, {} records", Record::read_all(bytes).len()));
    let problems = Cuts { seed, random, after, ignored: |_, _| false }.problems(bytes);
    if !problems.is_empty() {
        let kept = format!("{}/{seed}.record", env!("CARGO_TARGET_TMPDIR"));
        fs::write(&kept, bytes).expect("there is room");
        panic!("{what}:\n{}\nTASKQ_POWER_SEED={seed} TASKQ_POWER_RECORD={kept}", problems.join("\n"));
    }
}

fn empty_disk() -> Tree {
    Tree::from([(String::new(), None)])
}

/// Adds a job without a run or with one, and returns its id.
fn add(world: &World, options: &[&str], script: &str) -> String {
    let output = world.add(&[&["add"], options, &["-c", script]].concat(), &[script.to_owned()], None);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("it is text").trim().to_owned()
}

fn add_batch(world: &World, scripts: &[String]) {
    let line = |script: &String| serde_json::json!({ "script": script, "hold": true }).to_string() + "\n";
    fs::write(world.store.path("jobs"), scripts.iter().map(line).collect::<String>()).expect("it is ours");
    let output = world.add(&["add", "--from", "jobs"], scripts, None);
    assert!(output.status.success(), "{output:?}");
}

/// What a store is for, first without a daemon, then with two, one after the other.
fn work(world: &World) {
    let batch = |name: &str| (0..8).map(|number| format!("echo {name} {number}")).collect::<Vec<_>>();
    thread::scope(|scope| {
        for number in 0..2 {
            scope.spawn(move || add(world, &["--hold"], &format!("echo first {number}")));
        }
    });
    add_batch(world, &batch("alone"));
    fs::write(world.store.path("crontab"), "A=b\n1 2 * * * echo one\n@daily echo two\n").expect("it is ours");
    world.ok(&["import", "crontab", "crontab"]);
    for held in ["1", "2"] {
        let daemon = world.store.daemon();
        let ends = add(world, &[], &format!("{STARTED}echo out; exit 3"));
        let long = add(world, &[], &format!("{STARTED}head -c 70000 /dev/zero"));
        let endless = add(world, &["--kill-after", "1ms"], "exec sleep 1000");
        assert_eq!((world.wait(&ends), world.wait(&long)), (3, 0));
        world.ok(&["cancel", held]);
        add_batch(world, &batch("served"));
        world.ok(&["cancel", &endless]);
        assert_eq!(world.wait(&endless), 130);
        world.store.close(daemon);
        world.look();
        add(world, &["--hold"], "echo afterwards");
    }
}

/// The record of such work, on a disk with so little room that the log is copied back again and again.
fn worked() -> Option<&'static [u8]> {
    static RECORD: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    let record = || {
        if let Some(kept) = setting::<String>("TASKQ_POWER_RECORD") {
            return Some(fs::read(kept).expect("it was kept"));
        }
        let mut world = World::new(&empty_disk())?;
        world.has_room(1 << 20);
        work(&world);
        Some(world.end())
    };
    RECORD.get_or_init(record).as_deref()
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let Some(bytes) = worked() else { return };
    survives("a power cut", bytes, 0);
}

#[test]
fn a_power_cut_loses_nothing_after_the_process_that_made_the_store_was_killed() {
    let (add, script) = (["add", "--hold", "-c", "echo it"], ["echo it".to_owned()]);
    for records in 1.. {
        let Some(world) = World::new(&empty_disk()) else { return };
        let is_whole = world.add(&add, &script, Some(records)).status.success();
        assert!(world.add(&add, &script, None).status.success());
        survives(&format!("killed after {records} records"), &world.end(), usize::from(!is_whole));
        if is_whole {
            return;
        }
    }
}

#[test]
fn a_store_that_lost_power_serves_again_and_loses_nothing_at_the_next_cut() {
    let Some(bytes) = worked() else { return };
    let records = Record::read_all(bytes);
    let mut random = Random(seed());
    for _ in 0..2 {
        let mut disk = Disk::default();
        let first = records.iter().position(|record| record.op == "print").expect("something is printed");
        let point = first + random.below(records.len() - first);
        records[..=point].iter().for_each(|record| disk.apply(record));
        let Some(world) = World::new(&disk.cut(Cut::Part, &mut random)) else { return };
        let daemon = world.store.daemon();
        let id = add(&world, &[], "exit 4");
        assert_eq!(world.wait(&id), 4);
        world.store.close(daemon);
        survives(&format!("a second cut, the first after record {point}"), &world.end(), 0);
    }
}

#[test]
fn a_power_cut_loses_nothing_after_another_program_took_the_log_away() {
    for mode in ["wal", "delete"] {
        let store = harness::Store::at(&format!("disk{STORE}"));
        store.add(&["--hold"], "echo before");
        let alone = OPENING.lock();
        let other = Connection::open(store.dir.join("taskq.db")).expect("it is there");
        let sql = format!("PRAGMA journal_mode = {mode}");
        let found: String = other.query_row(&sql, [], |row| row.get(0)).expect("nobody reads");
        other.close().expect("nothing is open");
        drop(alone);
        assert_eq!((found.as_str(), store.dir.join("taskq.db-wal").exists()), (mode, false));
        let mut tree = Tree::new();
        read(&store.path("disk"), "", &mut tree);
        let Some(world) = World::new(&tree) else { return };
        for number in 0..2 {
            add(&world, &["--hold"], &format!("echo after {number}"));
        }
        survives(mode, &world.end(), 0);
    }
}

#[test]
fn a_disk_that_ignores_a_sync_is_found_out() {
    let Some(bytes) = worked() else { return };
    let ignored: [(&str, Ignored); 5] = [
        ("of the log", |name, _| name == "taskq.db-wal"),
        ("of a new database", |name, nth| name.starts_with("taskq.db.new") && nth == 0),
        ("of the database when the log is copied back", |name, nth| {
            name.starts_with("taskq.db.new") && nth > 0
        }),
        ("of the store's directory", |name, _| name == "taskq"),
        ("of the directory that the store is in", |name, _| name == "share"),
    ];
    for (what, ignored) in ignored {
        let problems = Cuts { seed: seed(), random: 3, after: 0, ignored }.problems(bytes);
        println!("{what}: {}", problems.len());
        assert!(!problems.is_empty(), "a sync {what} is not missed");
    }
}
