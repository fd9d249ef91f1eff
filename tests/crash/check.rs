//! Owns: the invariants of a store at rest.
//! Never: bringing it to rest.

use std::collections::HashMap;

use nix::unistd::Pid;
use rusqlite::Connection;

use crate::harness::{Daemon, Store};

/// A run as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub state: String,
    pub outcome: Option<String>,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub pid: Option<i32>,
    pub queued_at: i64,
    pub started_at: Option<i64>,
    pub finished_at: Option<i64>,
}

impl Run {
    /// Returns outcome, exit code and signal.
    pub fn end(&self) -> (&str, Option<i32>, Option<i32>) {
        (self.outcome.as_deref().unwrap_or("unfinished"), self.exit_code, self.signal)
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.pid.expect("it has a process"))
    }
}

/// All runs, by their names.
pub fn runs(database: &Connection) -> HashMap<String, Run> {
    let mut statement = database
        .prepare(
            "SELECT job_id || '.' || number, state, outcome, exit_code, signal, pid, queued_at, started_at,
                 finished_at
             FROM run",
        )
        .expect("the schema");
    let rows = statement
        .query_map([], |row| {
            let run = Run {
                state: row.get(1)?,
                outcome: row.get(2)?,
                exit_code: row.get(3)?,
                signal: row.get(4)?,
                pid: row.get(5)?,
                queued_at: row.get(6)?,
                started_at: row.get(7)?,
                finished_at: row.get(8)?,
            };
            Ok((row.get(0)?, run))
        })
        .expect("the schema");
    rows.map(|row| row.expect("the schema")).collect()
}

pub fn run(store: &Store, name: &str) -> Run {
    runs(&store.database()).remove(name).unwrap_or_else(|| panic!("there is no run {name}"))
}

/// Checks the store, as `all_is_well` does, and ends its processes.
pub fn finish(store: &Store, daemon: Daemon) {
    all_is_well(store);
    store.close(daemon);
}

/// Checks a store at rest in which every job begins with `MARKS`.
pub fn all_is_well(store: &Store) {
    let database = store.database();
    is_whole(&database);
    let runs = runs(&database);
    let mut marked: HashMap<String, usize> = HashMap::new();
    for line in store.markers() {
        *marked.entry(line).or_default() += 1;
    }
    for name in marked.keys() {
        assert!(runs.contains_key(name), "`{name}` ran, and nobody knows it");
    }
    for (name, run) in &runs {
        let starts = marked.get(name).copied().unwrap_or(0);
        assert_eq!(run.state, "finished", "{name}: {run:?}");
        match run.end() {
            ("success", code, None) => assert_eq!((code, starts), (Some(0), 1), "{name}: {run:?}"),
            ("failed" | "timed_out", Some(_), None) | ("failed" | "timed_out", None, Some(_)) => {
                assert_eq!(starts, 1, "{name}: {run:?}");
            }
            // Unattended: nobody saw the status.
            ("timed_out", None, None) => assert_eq!(starts, 1, "{name}: {run:?}"),
            ("cancelled", ..) => assert!(starts <= 1, "{name}: {run:?}"),
            ("lost", None, None) => assert!(starts <= 1, "{name} ran {starts} times: {run:?}"),
            _ => panic!("{name} has an outcome that nothing can have: {run:?}"),
        }
        if let Some(started_at) = run.started_at {
            assert!(run.queued_at <= started_at && Some(started_at) <= run.finished_at, "{name}: {run:?}");
        }
    }
}

/// Checks the database by the means of SQLite.
pub fn is_whole(database: &Connection) {
    let found: String =
        database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("it answers");
    assert_eq!(found, "ok");
    let strays: i64 = database
        .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
        .expect("it answers");
    assert_eq!(strays, 0);
}

pub fn count(store: &Store, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    store.database().query_row(&sql, [], |row| row.get(0)).expect("a table")
}
