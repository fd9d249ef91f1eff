//! Owns: arrays, as a user sees them.
//! Never: which index runs when (see `tests/sim`).

use serde_json::json;

use crate::harness::{Home, open_gate};

/// Fails for the indices 3 and 4.
const SOME_FAIL: &str = "echo $TASKQ_INDEX; test $TASKQ_INDEX -ne 3 -a $TASKQ_INDEX -ne 4";

fn indices(home: &Home, job: &str) -> serde_json::Value {
    home.json(&["show", job])["job"]["indices"].clone()
}

#[test]
fn an_array_is_one_job_with_a_run_for_each_index() {
    let home = Home::with_daemon();
    home.add(&["--name", "a", "--array", "1-9:2%2", "-c", "echo $TASKQ_INDEX"]);
    home.taskq(&["wait", "a"]).gives(0, "", "");
    home.taskq(&["log", "a"]).gives(0, "1\n3\n5\n7\n9\n", "");
    home.taskq(&["log", "a/5-8"]).gives(0, "5\n7\n", "");
    let done = json!({"total": 5, "finished": 5, "failed": 0, "cancelled": 0, "missed": 0,
        "outcome": "success"});
    assert_eq!(indices(&home, "a"), done);
    let list = home.taskq(&["list", "-a"]).answer().stdout;
    assert!(list.contains("array 1-9:2%2, 5/5  "), "{list}");
    let runs = home.json(&["runs", "a"])["runs"].as_array().expect("a list").clone();
    let found: Vec<i64> = runs.iter().filter_map(|run| run["index"].as_i64()).collect();
    assert_eq!(found, [9, 7, 5, 3, 1]);
}

#[test]
fn an_array_fails_if_one_of_its_indices_does_and_only_those_are_retried() {
    let home = Home::with_daemon();
    home.add(&["--name", "a", "--array", "1-6", "-c", SOME_FAIL]);
    home.taskq(&["wait", "a"]).gives(1, "", "2 of 6 runs did not succeed; see `taskq runs 1 --failed`\n");
    assert!(home.taskq(&["list", "--failed"]).answer().stdout.contains("6/6, 2 failed"));
    home.taskq(&["set", "a", "--retries", "0"]).answer();
    home.taskq(&["retry", "--failed", "a"]).gives(0, "1\n", "");
    home.taskq(&["wait", "a"]).gives(1, "", "2 of 2 runs did not succeed; see `taskq runs 1 --failed`\n");
    let runs = home.json(&["runs", "a", "-n", "2"])["runs"].as_array().expect("a list").clone();
    let found: Vec<i64> = runs.iter().filter_map(|run| run["index"].as_i64()).collect();
    assert_eq!(found, [4, 3]);
    // What is not retried stays as it is, and counts.
    let listed = || home.taskq(&["list", "-a"]).answer().stdout;
    assert!(listed().contains("array 1-6, 6/6, 2 failed "), "{}", listed());
    home.taskq(&["retry", "a/1-2"]).gives(0, "1\n", "");
    home.taskq(&["wait", "a"]).gives(0, "", "");
    assert!(listed().contains("array 1-6, 6/6, 2 failed "), "{}", listed());
    let all = json!({"total": 6, "finished": 6, "failed": 2, "cancelled": 0, "missed": 0,
        "outcome": "success"});
    assert_eq!(indices(&home, "a"), all);
    home.taskq(&["retry", "--failed", "a/1-2"]).gives(0, "", "there is nothing to retry\n");
}

#[test]
fn each_index_is_retried_by_itself() {
    let home = Home::with_daemon();
    let script = "echo $TASKQ_INDEX.$TASKQ_ATTEMPT; test $TASKQ_ATTEMPT -ge $TASKQ_INDEX";
    let retries = ["--retries", "2", "--retry-delay", "1ms"];
    home.add(&[&["--name", "a", "--array", "1-3"], &retries[..], &["-c", script]].concat());
    home.taskq(&["wait", "a"]).gives(0, "", "");
    home.taskq(&["log", "a"]).gives(0, "1.1\n2.2\n3.3\n", "");
}

#[test]
fn what_runs_after_an_array_waits_for_all_of_it() {
    let home = Home::with_daemon();
    let gate = home.fifo("gate");
    home.taskq(&["queue", "set", "wide", "--slots", "9"]).answer();
    let script = "test $TASKQ_INDEX -eq 2 && read x <gate; true";
    home.add(&["--name", "a", "--queue", "wide", "--array", "1-3", "-c", script]);
    home.add(&["--name", "b", "--after", "a", "-c", "echo $TASKQ_AFTER_RUNS"]);
    home.taskq(&["wait", "a/3"]).gives(0, "", "");
    assert_eq!(home.json(&["show", "b"])["job"]["state"], "blocked");
    open_gate(&gate);
    home.taskq(&["wait", "b"]).gives(0, "", "");
    home.taskq(&["log", "b"]).gives(0, "1\n", "");
}

#[test]
fn indices_that_have_not_begun_are_cancelled_as_one_row() {
    let home = Home::new();
    home.add(&["--name", "a", "--array", "1-100000", "--", "true"]);
    assert_eq!(home.json(&["runs", "a"])["runs"], json!([]), "they are made as they start");
    home.taskq(&["cancel", "a/500-600"]).gives(0, "", "");
    home.taskq(&["cancel", "a/550"]).gives(1, "", "error: cannot cancel `a/550`: it has already finished\n");
    home.taskq(&["cancel", "--json", "a"]).gives(
        0,
        "{\"version\":1,\"jobs\":[1],\"dropped\":[],\"stopping\":[],\"indices\":99899}\n",
        "",
    );
    let runs = home.json(&["runs", "a"])["runs"].as_array().expect("a list").clone();
    let rows: Vec<_> = runs.iter().map(|run| (run["outcome"].as_str(), run["fires"].as_u64())).collect();
    assert_eq!(rows, [(Some("cancelled"), Some(99_899)), (Some("cancelled"), Some(101))]);
    let all = json!({"total": 100000, "finished": 100000, "failed": 0, "cancelled": 100000,
        "missed": 0, "outcome": "cancelled"});
    assert_eq!(indices(&home, "a"), all);
    assert_eq!(home.json(&["show", "a"])["job"]["state"], "done");
}

#[test]
fn an_array_over_the_lines_of_a_file_gets_each_as_its_item() {
    let home = Home::with_daemon();
    let lines = "one\ntwo words\n\n$(four)";
    let command = ["sh", "-c", "echo \"$TASKQ_INDEX <$TASKQ_ITEM>\""];
    let add = [&["add", "--quiet", "--name", "a", "--each", "-", "--"], &command[..]].concat();
    home.taskq(&add).stdin(lines).gives(0, "1\n", "");
    home.taskq(&["wait", "a"]).gives(0, "", "");
    let expected = "1 <one>\n2 <two words>\n3 <>\n4 <$(four)>\n";
    home.taskq(&["log", "a"]).gives(0, expected, "");
    let line = home.taskq(&["export", "json", "--with-environment", "a"]).answer().stdout;
    home.taskq(&["add", "--quiet", "--replace", "--from", "-"]).stdin(line).gives(0, "2\n", "");
    home.taskq(&["wait", "a"]).gives(0, "", "");
    home.taskq(&["log", "a"]).gives(0, expected, "");
    home.taskq(&["log", "-f", "2/2-3"]).gives(0, "2 <two words>\n3 <>\n", "");
}

#[test]
fn an_array_of_none_of_too_many_or_that_replaces_itself_is_refused() {
    let home = Home::new();
    let refused = |args: &[&str], cause: &str| {
        let answer = home.taskq(&[&["add"], args, &["--", "true"]].concat()).answer();
        assert_eq!((answer.status, answer.stdout.as_str()), (2, ""), "{args:?}");
        let first = answer.stderr.lines().next().unwrap_or_default();
        assert_eq!(first, format!("error: cannot add job: {cause}"));
    };
    refused(&["--array", "5-1"], "`--array 5-1` has no index");
    refused(&["--array", "1-1000001"], "`--array 1-1000001` has 1000001 indices, 1000000 are allowed");
    let replace = ["--array", "1-3", "--overlap", "replace"];
    refused(&replace, "`--overlap replace` does not go together with an array");
    refused(&["--each", "/dev/null"], "`--each` has no index");
    refused(&["--array", "1-3", "--each", "x"], "`--array` and `--each` exclude each other");
    refused(&["--each", "gone"], "`--each gone`: no such file or directory");
    home.add(&["--name", "a", "--hold", "--array", "1-3", "--", "true"]);
    home.taskq(&["set", "a", "--overlap", "replace"]).gives(
        2,
        "",
        "error: cannot set job `a`: `--overlap replace` does not go together with an array\n\
         hint: let the next fire wait with `--overlap wait`\n",
    );
    assert_eq!(home.json(&["list", "-a"])["jobs"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_fire_of_an_array_is_one_fire() {
    let home = Home::with_daemon();
    home.add(&["--name", "a", "--every", "1d", "--times", "1", "--array", "1-3", "--", "true"]);
    home.taskq(&["run", "--wait", "a"]).gives(0, "1\n", "");
    let job = home.json(&["show", "a"])["job"].clone();
    assert_eq!((job["times_begun"].as_i64(), job["runs"].as_i64()), (Some(0), Some(3)));
}

#[test]
fn the_runs_of_an_array_have_their_items() {
    let home = Home::with_daemon();
    std::fs::write(home.work().join("hosts"), "alpha\nbeta\n").expect("it is writable");
    home.add(&["--name", "ping", "--each", "hosts", "-c", "test $TASKQ_ITEM = alpha"]);
    home.taskq(&["wait", "ping"]).answer();
    let shown = home.taskq(&["runs", "--failed"]).answer().stdout;
    let mut lines = shown.lines().map(|line| line.split_whitespace().take(4).collect::<Vec<_>>());
    assert_eq!(lines.next(), Some(vec!["RUN", "NAME", "INDEX", "ITEM"]), "{shown}");
    assert_eq!(lines.next().map(|row| row[1..].to_vec()), Some(vec!["ping", "2", "beta"]), "{shown}");
    let runs = home.json(&["runs", "--failed"])["runs"].clone();
    assert_eq!((&runs[0]["index"], &runs[0]["item"]), (&2.into(), &"beta".into()));
    home.add_and_wait(&["--name", "plain", "true"]);
    assert_eq!(home.json(&["runs", "plain"])["runs"][0]["item"], serde_json::Value::Null);
}
