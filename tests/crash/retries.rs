//! Owns: kills of daemon and keeper while runs are tried again.
//! Never: the choice of what is retried (see `tests/sim`).

use std::collections::{HashMap, HashSet};

use crate::check::{is_whole, run};
use crate::harness::{Store, open, served};
use crate::keeper_deaths::kill_keeper;
use crate::processes::outlive;
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

/// Its first attempt leaves three processes, each of which waits at a gate of its own: one in its group, one
/// in a session of its own with its output, and one in a session of its own that has closed its output. The
/// second attempt fails if one of them is there.
const LEAVERS: &str = "
    if [ $TASKQ_ATTEMPT = 2 ]; then [ ! -e busy1 ] && [ ! -e busy2 ] && [ ! -e busy3 ]; exit; fi
    stay() { mkdir busy$1; echo up >ready$1; read x <stay$1; rmdir busy$1; }
    stay 1 &
    export STAY='mkdir busy$N; echo up >ready$N; read x <stay$N; rmdir busy$N'
    (N=2 setsid sh -c \"$STAY\" &)
    (N=3 setsid sh -c \"exec >/dev/null 2>&1; $STAY\" &)
    read x <gate";

#[test]
fn a_run_is_not_tried_again_before_the_last_of_its_unattended_processes_has_ended() {
    let (store, mut daemon) = served();
    let gates = ["stay1", "stay2", "stay3", "gate"];
    store.fifos(&gates);
    store.fifos(&["ready1", "ready2", "ready3"]);
    store.add(&["--retries", "1", "--retry-on", "lost", "--retry-delay", "1ms"], LEAVERS);
    for name in ["ready1", "ready2", "ready3"] {
        assert_eq!(store.read_fifo(name), "up\n");
    }
    let [stay1, stay2, stay3, gate] = gates.map(|name| store.gate(name));
    kill_keeper(&store, &mut daemon, 1);
    let leader = run(&store, "1.1").pid();
    open(gate);
    outlive("the first process ends", leader);
    for stay in [stay1, stay2, stay3] {
        // One that nobody watches any more would be tried again before this has run.
        assert_eq!(store.run_script("true"), 0);
        assert!(store.ok(&["runs", "1"]).contains("running (unattended)"), "{}", store.ok(&["runs", "1"]));
        open(stay);
    }
    assert_eq!(store.wait("1"), 0, "the second attempt found none of the first");
    store.close(daemon);
}
