//! Owns: stores that this program cannot use, because they are damaged, of a later version or foreign.
//! Never: repairing one.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::harness::{MARKS, Store, bytes, chmod};

/// Every verb, with arguments that let it come as far as the store.
const VERBS: &[&[&str]] = &[
    &["add", "-c", "true"],
    &["list"],
    &["show", "1"],
    &["runs"],
    &["log", "1"],
    &["next"],
    &["run", "1"],
    &["cancel", "1"],
    &["pause", "1"],
    &["resume", "1"],
    &["wait", "1"],
    &["status"],
    &["queue"],
    &["queue", "set", "q", "--slots", "1"],
    &["daemon"],
];

/// A store with one job in it, its database whole in one file.
fn one_job() -> Store {
    let store = Store::new();
    store.add(&["--hold"], MARKS);
    let database = store.database();
    let left: i64 =
        database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).expect("it answers");
    assert_eq!(left, 0);
    store
}

/// The files that hold data, with their content.
fn files(store: &Store) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(&store.dir).expect("it is there").flatten().map(|entry| entry.path());
    let data = entries
        .filter(|path| path.is_file() && !path.ends_with("daemon.lock") && !path.ends_with("taskq.db-shm"));
    data.map(|path| (path.clone(), bytes(&path))).filter(|(_, bytes)| !bytes.is_empty()).collect()
}

/// Asserts that every verb fails with these words, and that nothing changes.
fn is_refused(store: &Store, words: &str) {
    let before = files(store);
    for verb in VERBS {
        store.refuses(&[verb], words);
        assert_eq!(files(store), before, "{verb:?} changed something");
    }
}

#[test]
fn an_empty_database_is_refused_by_every_verb_and_stays_empty() {
    let store = one_job();
    fs::write(store.dir.join("taskq.db"), "").expect("it is ours");
    is_refused(&store, "is empty: the store is damaged");
    assert_eq!(fs::metadata(store.dir.join("taskq.db")).expect("it is there").len(), 0);
}

#[test]
fn a_database_cut_short_is_refused_by_every_verb_and_stays_as_it_is() {
    let cuts =
        [(1, "is not a store of taskq"), (100, "is damaged"), (4_096, "is damaged"), (20_000, "is damaged")];
    for (length, words) in cuts {
        let store = one_job();
        let path = store.dir.join("taskq.db");
        let whole = bytes(&path);
        assert!(whole.len() > 20_480, "{}", whole.len());
        fs::write(&path, &whole[..length]).expect("it is ours");
        is_refused(&store, words);
    }
}

#[test]
fn a_database_of_other_bytes_is_refused_by_every_verb_and_stays_as_it_is() {
    let store = one_job();
    let path = store.dir.join("taskq.db");
    fs::write(&path, "not a database at all\n".repeat(1_000)).expect("it is ours");
    is_refused(&store, "`taskq.db` is not a database");
    // The header is whole, the pages are not.
    let store = one_job();
    let path = store.dir.join("taskq.db");
    let mut whole = bytes(&path);
    whole[100..].fill(0x5a);
    fs::write(&path, &whole).expect("it is ours");
    is_refused(&store, "damaged");
}

#[test]
fn a_database_that_is_gone_while_its_log_is_there_is_not_replaced_by_a_new_one() {
    let store = Store::new();
    store.add(&["--hold"], MARKS);
    assert!(!bytes(&store.dir.join("taskq.db-wal")).is_empty());
    fs::remove_file(store.dir.join("taskq.db")).expect("it is there");
    is_refused(&store, "damaged");
    assert!(!store.dir.join("taskq.db").exists());
}

#[test]
fn a_store_of_a_later_version_is_refused_and_stays_as_it_is() {
    let store = one_job();
    let database = store.database();
    database
        .execute_batch("PRAGMA user_version = 999; PRAGMA wal_checkpoint(TRUNCATE);")
        .expect("it is ours");
    is_refused(&store, "the store has schema 999, and this taskq reads schemas up to ");
}

#[test]
fn somebody_elses_database_is_refused_and_stays_as_it_is() {
    let store = Store::new();
    fs::create_dir(&store.dir).expect("the name is new");
    chmod(&store.dir, 0o700);
    let other = rusqlite::Connection::open(store.dir.join("taskq.db")).expect("the directory is ours");
    other
        .execute_batch("CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES ('bread')")
        .expect("it is new");
    other.close().expect("nothing is open");
    is_refused(&store, "`taskq.db` is not a store of taskq");
}
