//! Owns: what a run hands over by `TASKQ_RESULT_FILE`, as a user sees it.
//! Never: what is taken as a result (see `daemon/results.rs`).

use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::Home;

fn result_of(home: &Home, job: &str) -> Value {
    home.json(&["show", job])["last_runs"][0]["result"].clone()
}

/// The files for results that are left.
fn files(home: &Home) -> Vec<String> {
    let entries = fs::read_dir(home.store().join("log")).expect("the store has it");
    let names = entries.map(|entry| entry.expect("it is readable").file_name().into_string().expect("plain"));
    names.filter(|name| name.contains("result")).collect()
}

#[test]
fn the_json_that_a_run_writes_is_its_result() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--name", "a", "-c", "echo '{\"rows\": [1, 2]}' >$TASKQ_RESULT_FILE; exit 3"]);
    assert_eq!(result_of(&home, "a"), json!({"rows": [1, 2]}));
    assert_eq!(home.json(&["runs", "a"])["runs"][0]["result"], json!({"rows": [1, 2]}));
    let text = home.taskq(&["show", "a"]).answer().stdout;
    assert!(text.contains("Result:    {\"rows\":[1,2]}\n"), "{text}");
    home.add_and_wait(&["--name", "none", "--", "true"]);
    assert_eq!(result_of(&home, "none"), Value::Null);
    assert_eq!(files(&home), [""; 0]);
}

#[test]
fn the_last_attempt_has_the_result_of_its_run() {
    let home = Home::with_daemon();
    let script = "test $TASKQ_ATTEMPT = 2 || echo 1 >$TASKQ_RESULT_FILE; cat $TASKQ_RESULT_FILE; exit 1";
    home.add_and_wait(&["--name", "a", "--retries", "1", "--retry-delay", "1ms", "-c", script]);
    assert_eq!(result_of(&home, "a"), Value::Null, "the second wrote none");
    home.taskq(&["log", "a", "--attempt", "1"]).gives(0, "1\n", "");
    home.add_and_wait(&["--name", "each", "--array", "1-2", "-c", "echo $TASKQ_INDEX >$TASKQ_RESULT_FILE"]);
    let runs = home.json(&["runs", "each"])["runs"].as_array().expect("a list").clone();
    assert!(runs.iter().all(|run| run["result"] == run["index"] && run["index"].is_u64()), "{runs:?}");
}

#[test]
fn what_is_no_result_is_not_taken_and_the_daemon_says_so() {
    let mut home = Home::with_daemon();
    home.add_and_wait(&["--name", "text", "-c", "echo done >$TASKQ_RESULT_FILE"]);
    home.add_and_wait(&["--name", "link", "-c", "ln -s /etc/passwd $TASKQ_RESULT_FILE"]);
    home.add_and_wait(&["--name", "pipe", "-c", "mkfifo $TASKQ_RESULT_FILE"]);
    for job in ["text", "link", "pipe"] {
        assert_eq!(result_of(&home, job), Value::Null, "{job}");
        home.taskq(&["wait", job]).gives(0, "", "");
    }
    assert_eq!(files(&home), [""; 0]);
    let (_, log) = home.stop_daemon(Signal::SIGTERM);
    assert!(log.contains("the result of run 1.1 is not taken: it is not JSON: "), "{log}");
    assert!(log.contains("the result of run 3.1 is not taken: it is not a regular file\n"), "{log}");
}

#[test]
fn a_callback_reads_the_result_of_the_run_that_ended() {
    let home = Home::with_daemon();
    let callback = "cat $TASKQ_PARENT_RESULT_FILE; test ! -e $TASKQ_RESULT_FILE";
    home.add(&["--on-finish", callback, "-c", "echo '[1, \"a b\"]' >$TASKQ_RESULT_FILE"]);
    home.add(&["--on-finish", "echo ${TASKQ_PARENT_RESULT_FILE-none}", "--", "true"]);
    home.taskq(&["wait", "1", "2"]).gives(0, "", "");
    home.taskq(&["log", "1.2"]).gives(0, "[1,\"a b\"]\n", "");
    home.taskq(&["log", "2.2"]).gives(0, "none\n", "");
    assert_eq!(home.json(&["runs", "1", "-n", "1"])["runs"][0]["outcome"], "success");
    assert_eq!(files(&home), [""; 0]);
}
