//! Owns: copies of the database, and stores that have lost their log or the end of it.
//! Never: a damaged database (see `refusals`).

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use inotify::{Inotify, WatchMask};
use nix::sys::signal::Signal;

use crate::check::run;
use crate::harness::{Daemon, MARKS, Store, bytes, gated, open, served};
use crate::processes::{eventually, freeze, is_asleep, patiently, send};

const LOG: &str = "taskq.db-wal";
const NOTE: &str = "taskq.db-commits";

/// Copies these files of a store into a new one.
fn copy(store: &Store, names: &[&str]) -> Store {
    let other = Store::new();
    fs::create_dir(&other.dir).expect("the name is new");
    for name in names {
        fs::copy(store.dir.join(name), other.dir.join(name)).expect("it is there");
    }
    other
}

/// The names of a store's jobs.
fn names(store: &Store) -> Vec<String> {
    let listed = store.ok(&["list", "--all", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let jobs = document["jobs"].as_array().expect("a list").iter();
    jobs.map(|job| job["name"].as_str().expect("each has one").to_owned()).collect()
}

fn add(store: &Store, name: &str) {
    store.add(&["--hold", "--name", name], MARKS);
}

/// Kills a daemon after it has stored these jobs.
fn killed_with(jobs: usize) -> Store {
    let (store, daemon) = served();
    for job in 0..jobs {
        add(&store, &format!("job-{job}"));
    }
    store.daemon_and_keeper_die(daemon);
    store
}

/// Asserts that nothing is answered, and that the words say why.
fn is_refused(store: &Store, words: &str) {
    let verbs: [&[&str]; 6] =
        [&["list", "--all"], &["runs"], &["status"], &["add", "true"], &["wait", "--all"], &["daemon"]];
    store.refuses(&verbs, words);
}

#[test]
fn after_a_daemon_was_stopped_the_database_alone_is_whole() {
    let store = Store::new();
    store.fifos(&["gate"]);
    let daemon = store.daemon();
    add(&store, "held");
    store.add(&["--name", "ran"], &format!("{MARKS}read x <gate; exit 7"));
    open(store.gate("gate"));
    assert_eq!(store.wait("ran"), 7);
    store.close(daemon);
    assert_eq!(bytes(&store.dir.join(LOG)), b"");
    let alone = copy(&store, &["taskq.db"]);
    assert_eq!(names(&alone), ["held", "ran"]);
    assert_eq!(alone.run(&["wait", "ran"]).status.code(), Some(7));
    // And so it is in its place, whatever becomes of the files beside it.
    fs::remove_file(store.dir.join(LOG)).expect("it is there");
    assert_eq!(names(&store), ["held", "ran"]);
    fs::remove_file(store.dir.join(NOTE)).expect("it is there");
    assert_eq!(names(&store), ["held", "ran"]);
}

#[test]
fn a_daemon_that_was_stopped_has_taken_in_what_its_keeper_had_said() {
    let (store, daemon, gate) = gated("read x <gate; exit 7");
    store.until_running(1);
    freeze(daemon.pid());
    open(gate);
    let keeper = store.keeper().expect("it was asked for");
    // Once it has nobody left to wait for, and neither it nor the thread that copies the output has anything
    // left to do, it has said so.
    eventually("the end is told", || {
        fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).is_ok_and(|text| text.is_empty())
            && is_asleep(keeper)
    });
    send(daemon.pid(), Signal::SIGTERM);
    send(daemon.pid(), Signal::SIGCONT);
    assert_eq!(daemon.ends(), Some(0));
    assert_eq!(run(&store, "1.1").end(), ("failed", Some(7), None));
    let status = store.run(&["status", "--json"]);
    let document: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert_eq!(document["queues"][0]["running"], 0);
}

#[test]
fn after_some_idle_seconds_the_database_alone_is_whole_under_a_living_daemon() {
    let (store, daemon) = served();
    let mut copied = Inotify::init().expect("Linux has inotify");
    copied.watches().add(store.dir.join("taskq.db"), WatchMask::MODIFY).expect("it is there");
    add(&store, "first");
    let first = patiently("the log is copied back", move || {
        copied.read_events_blocking(&mut [0; 1024]).expect("it is watched").count()
    });
    assert!(first > 0);
    let is_whole = || {
        let alone = copy(&store, &["taskq.db"]);
        alone.run(&["list", "--all"]).stdout.windows(5).any(|part| part == b"first")
    };
    eventually("the last page is copied", is_whole);
    store.close(daemon);
}

#[test]
fn a_log_that_is_lost_after_the_daemon_was_killed_is_an_error_and_not_an_empty_answer() {
    let store = killed_with(3);
    fs::remove_file(store.dir.join(LOG)).expect("it is there");
    is_refused(&store, "the log `taskq.db-wal` is damaged or gone: the last ");
    let text = store.refused(&["list"]);
    assert!(text.ends_with(
        "hint: put the log back, or remove `taskq.db-commits` to continue without these changes\n"
    ));
    fs::remove_file(store.dir.join(NOTE)).expect("it is there");
    assert_eq!(names(&store), [""; 0], "somebody has decided so");
}

#[test]
fn a_log_that_is_empty_after_the_daemon_was_killed_is_an_error_too() {
    let store = killed_with(3);
    fs::write(store.dir.join(LOG), "").expect("it is ours");
    is_refused(&store, "the log `taskq.db-wal` is damaged or gone: the last ");
    // Not even the last commit is missed, by whatever made the log shorter.
    let store = killed_with(3);
    let log = bytes(&store.dir.join(LOG));
    let frames = log[32..].chunks(24 + 4_096).take_while(|frame| frame[8..16] == log[16..24]).count();
    fs::write(store.dir.join(LOG), &log[..32 + (frames - 1) * (24 + 4_096)]).expect("it is ours");
    is_refused(&store, "the last change is not in the store");
}

#[test]
fn no_flipped_bit_in_the_log_makes_an_answer_shorter() {
    let store = killed_with(4);
    let whole = names(&copy(&store, &["taskq.db", LOG, NOTE]));
    let log = bytes(&store.dir.join(LOG));
    let used = 32
        + log[32..].chunks(24 + 4_096).take_while(|frame| frame[8..16] == log[16..24]).count() * (24 + 4_096);
    let (mut refused, mut random) = (0, 0x2545_f491_4f6c_dd1d_u64);
    for flip in 0..50 {
        // Marsaglia's xorshift64.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let bit = random as usize % (used * 8);
        let copy = copy(&store, &["taskq.db", LOG, NOTE]);
        let file = fs::OpenOptions::new().write(true).open(copy.dir.join(LOG)).expect("it is there");
        file.write_all_at(&[log[bit / 8] ^ 1 << (bit % 8)], (bit / 8) as u64).expect("it is ours");
        let listed = copy.run(&["list", "--all"]);
        match listed.status.code() {
            Some(0) => assert_eq!(names(&copy), whole, "flip {flip} of bit {bit}"),
            Some(1) => refused += 1,
            other => panic!("flip {flip} of bit {bit}: {other:?}"),
        }
    }
    assert!(refused > 40, "only what nothing is checked against may be flipped: {refused} of 50");
}

#[test]
fn wherever_everything_dies_the_store_opens_with_all_that_was_acknowledged() {
    let store = Store::new();
    let note = store.dir.join(NOTE);
    let opens = |at: &str, jobs: &[&str]| {
        let files: Vec<&str> =
            ["taskq.db", LOG, NOTE].into_iter().filter(|name| store.dir.join(name).exists()).collect();
        let dead = copy(&store, &files);
        assert_eq!(names(&dead), jobs, "{at}");
        // And goes on.
        add(&dead, "later");
        assert_eq!(names(&dead).len(), jobs.len() + 1, "{at}");
    };
    let checkpoint = |mode: &str| {
        let database = store.database();
        database.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(())).expect("nobody reads");
    };
    store.ok(&["queue", "set", "default", "--slots", "1"]);
    opens("with an empty store", &[]);
    // A commit, and no note of it yet: of the first one, and of a later one.
    fs::remove_file(&note).expect("it is there");
    opens("before the first note", &[]);
    add(&store, "a");
    let before = bytes(&note);
    add(&store, "b");
    let after = bytes(&note);
    fs::write(&note, &before).expect("it is ours");
    opens("before the note", &["a", "b"]);
    let mixed = [&after[..20], &before[20..]].concat();
    fs::write(&note, mixed).expect("it is ours");
    opens("in the middle of the note", &["a", "b"]);
    fs::write(&note, "").expect("it is ours");
    opens("with a note that the power failure has emptied", &["a", "b"]);
    fs::write(&note, &after).expect("it is ours");
    opens("after the note", &["a", "b"]);
    // The log is copied back: both are there, then the log is begun anew, or cut, or removed by another
    // program.
    let keeps_open = store.database();
    let log = bytes(&store.dir.join(LOG));
    checkpoint("PASSIVE");
    opens("after the log was copied back", &["a", "b"]);
    checkpoint("TRUNCATE");
    opens("after the log was cut", &["a", "b"]);
    fs::write(store.dir.join(LOG), &log).expect("it is ours");
    opens("before the log was cut", &["a", "b"]);
    fs::write(store.dir.join(LOG), "").expect("it is ours");
    drop(keeps_open);
    drop(store.database());
    opens("after another program was the last to close", &["a", "b"]);
}

#[test]
fn a_log_that_another_program_has_copied_back_and_removed_is_not_missed() {
    let store = killed_with(2);
    // As sqlite3(1) does when it is the last to close.
    let other = rusqlite::Connection::open(store.dir.join("taskq.db")).expect("it is there");
    let jobs: i64 = other.query_row("SELECT count(*) FROM job", [], |row| row.get(0)).expect("the schema");
    other.close().expect("nothing is open");
    assert_eq!((jobs, Path::new(&store.dir.join(LOG)).exists()), (2, false));
    assert_eq!(names(&store), ["job-0", "job-1"]);
}

#[test]
fn a_database_that_another_program_has_taken_the_log_from_gets_one_again() {
    let store = Store::new();
    add(&store, "a");
    let other = rusqlite::Connection::open(store.dir.join("taskq.db")).expect("it is there");
    let mode: String =
        other.query_row("PRAGMA journal_mode = delete", [], |row| row.get(0)).expect("nobody reads");
    assert_eq!(mode, "delete");
    other.close().expect("nothing is open");
    let daemon: Daemon = store.daemon();
    add(&store, "b");
    assert!(store.dir.join(LOG).exists());
    assert_eq!(names(&store), ["a", "b"]);
    store.close(daemon);
}
