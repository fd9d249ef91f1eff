//! Owns: stores of another version, with and without a daemon.
//! Never: the steps between two versions.

use std::fs;

use nix::sys::signal::Signal;

use crate::harness::{MARKS, Store, chmod, gated, open, served};
use crate::processes::send;

/// Makes an empty store of the version before the first.
fn of_version_0(store: &Store) {
    fs::create_dir(&store.dir).expect("the name is new");
    chmod(&store.dir, 0o700);
    let old = rusqlite::Connection::open(store.dir.join("taskq.db")).expect("the directory is ours");
    old.execute_batch("PRAGMA application_id = 0x74736b71").expect("it is open");
}

fn version(store: &Store) -> i64 {
    store.database().pragma_query_value(None, "user_version", |row| row.get(0)).expect("it is open")
}

#[test]
fn a_store_of_an_earlier_version_is_brought_up_to_date_by_a_command_if_nobody_serves_it_and_by_a_daemon() {
    for arguments in [["add", "--hold", "true"].as_slice(), &["list"]] {
        let store = Store::new();
        of_version_0(&store);
        store.ok(arguments);
        assert_ne!(version(&store), 0, "{arguments:?}");
    }
    let store = Store::new();
    of_version_0(&store);
    let daemon = store.daemon();
    assert_eq!(store.run_script(MARKS), 0);
    store.close(daemon);
}

#[test]
fn no_command_brings_a_store_up_to_date_under_the_daemon_of_an_earlier_taskq() {
    let (store, daemon) = served();
    store.database().execute_batch("PRAGMA user_version = 0").expect("it is ours");
    for arguments in [["add", "--from", "-"].as_slice(), &["list"], &["status"]] {
        let words = store.refused(arguments);
        assert!(
            words.contains(&format!("pid {}, which serves the store ", daemon.pid())),
            "{arguments:?}: {words}"
        );
        assert!(
            words.contains("is of an earlier taskq\nhint: stop the daemon first"),
            "{arguments:?}: {words}"
        );
    }
    assert_eq!(version(&store), 0);
    assert_eq!(daemon.stop(Signal::SIGTERM), Some(0));
}

#[test]
fn a_daemon_whose_store_has_come_to_a_later_version_stops_and_leaves_what_runs_alone() {
    let (store, mut daemon, gate) = gated("read x <gate; exit 7");
    let known = version(&store);
    store.database().execute_batch("PRAGMA user_version = 999").expect("it is ours");
    send(daemon.pid(), Signal::SIGHUP);
    daemon
        .line("error: cannot serve the store: the store has schema 999, and this taskq reads schemas up to ");
    assert_eq!(daemon.ends(), Some(1));
    store.database().execute_batch(&format!("PRAGMA user_version = {known}")).expect("it is ours");
    let daemon = store.daemon();
    open(gate);
    assert_eq!(store.wait("1"), 7);
    assert_eq!(store.markers(), ["1.1"]);
    store.close(daemon);
}
