//! Owns: kills of daemon and keeper while runs are tried again.
//! Never: the choice of what is retried (see `tests/sim`).

use std::collections::{HashMap, HashSet};

use crate::check::is_whole;
use crate::harness::Store;
use crate::storm::{Random, kill_daemons};

const RUNS: usize = 60;

/// Each attempt leaves a mark. The third succeeds.
const SCRIPT: &str = "echo $TASKQ_RUN $TASKQ_ATTEMPT >>marker; [ $TASKQ_ATTEMPT -ge 3 ]";

const RETRIES: i64 = 6;

/// An attempt in the database: its run, its number, its outcome.
type Attempt = (String, i64, String);

fn attempts(store: &Store) -> Vec<Attempt> {
    let database = store.database();
    let mut statement = database
        .prepare(
            "SELECT job_id || '.' || run.number, attempt.number, attempt.outcome
             FROM attempt JOIN run ON run.id = attempt.run_id
             UNION ALL SELECT job_id || '.' || number, attempt, outcome FROM run
             ORDER BY 1, 2",
        )
        .expect("the schema");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    rows.expect("the schema").map(|row| row.expect("every run has ended")).collect()
}

/// Checks that each attempt has at most one process, and that none is left out.
fn check(store: &Store) {
    is_whole(&store.database());
    let mut marked = HashSet::new();
    for mark in store.markers() {
        assert!(marked.insert(mark.clone()), "attempt {mark} ran twice");
    }
    let mut last: HashMap<String, (i64, String)> = HashMap::new();
    for (run, number, outcome) in attempts(store) {
        let before = last.insert(run.clone(), (number, outcome.clone())).map_or(0, |(number, _)| number);
        assert_eq!(number, before + 1, "attempts of run {run} are left out");
        let has_mark = marked.remove(&format!("{run} {number}"));
        assert!(has_mark || outcome == "lost", "attempt {number} of run {run} left no mark: {outcome}");
        assert!(outcome != "success" || number >= 3, "attempt {number} of run {run} cannot succeed");
    }
    assert_eq!(marked, HashSet::new(), "marks of attempts that nobody knows");
    assert_eq!(last.len(), RUNS);
    for (run, (number, outcome)) in last {
        assert!(outcome == "success" || number == RETRIES + 1, "run {run} was given up: {number} {outcome}");
    }
}

#[test]
fn no_attempt_is_doubled_or_left_out_while_daemon_and_keeper_are_killed() {
    let store = Store::new();
    let daemon = store.daemon();
    let line = serde_json::json!({
        "script": SCRIPT, "retries": RETRIES, "retry_delay": "10ms..40ms", "retry_on": "1-255,signal,lost",
    });
    store.add_lines(&format!("{line}\n").repeat(RUNS));
    let mut choice = Random::new(12);
    let victims = &mut |_: &Store| choice.below(3) == 0;
    let daemon = kill_daemons(&store, daemon, &mut Random::new(11), 20, victims);
    daemon.kill();
    let daemon = store.daemon();
    store.wait_all();
    check(&store);
    store.close(daemon);
}
