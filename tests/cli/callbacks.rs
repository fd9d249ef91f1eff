//! Owns: callbacks, as a user sees them.
//! Never: which end has which callback (see `engine` and `tests/sim`).

use serde_json::{Value, json};

use crate::harness::Home;

const FACTS: &str = "echo $TASKQ_TRIGGER of $TASKQ_PARENT_RUN $TASKQ_PARENT_OUTCOME $TASKQ_PARENT_EXIT_CODE";

/// Waits for a job, and returns the output of each callback, the oldest first.
fn outputs(home: &Home, job: &str) -> Vec<String> {
    home.taskq(&["wait", job]).answer();
    let runs = home.json(&["runs", job])["runs"].as_array().expect("a list").clone();
    let callbacks = runs.iter().rev().filter(|run| run["trigger"] == "callback");
    let output = |run: &Value| home.taskq(&["log", run["id"].as_str().expect("a text")]).answer().stdout;
    callbacks.map(output).collect()
}

#[test]
fn a_callback_is_a_run_that_knows_the_one_that_ended() {
    let home = Home::with_daemon();
    let failure = format!("echo failure: $({FACTS})");
    let callbacks = ["--on-success", "echo no", "--on-failure", &failure, "--on-finish", FACTS];
    home.add(&[&["--name", "a"], &callbacks[..], &["-c", "echo out; exit 7"]].concat());
    home.taskq(&["wait", "a"]).gives(7, "", "");
    assert_eq!(outputs(&home, "a"), ["failure: callback of 1.1 failed 7\n", "callback of 1.1 failed 7\n"]);
    home.taskq(&["log", "a"]).gives(0, "out\n", "");
    let job = home.json(&["show", "a"]);
    assert_eq!((&job["job"]["last_run"], &job["job"]["last_outcome"]), (&json!("1.1"), &json!("failed")));
    let run = home.json(&["runs", "a", "-n", "1"])["runs"][0].clone();
    assert_eq!((&run["parent"], &run["trigger"]), (&json!("1.1"), &json!("callback")));
    home.taskq(&["retry", "a"]).gives(0, "1.4\n", "");
}

#[test]
fn a_callback_comes_after_the_last_attempt_and_has_neither_callbacks_nor_retries() {
    let home = Home::with_daemon();
    let retries = ["--retries", "2", "--retry-delay", "1ms"];
    let callback = format!("{FACTS}; exit 3");
    home.add(&[&["--name", "a"], &retries[..], &["--on-failure", &callback, "-c", "exit 1"]].concat());
    assert_eq!(outputs(&home, "a"), ["callback of 1.1 failed 1\n"]);
    let failed = home.json(&["runs", "a"])["runs"][0].clone();
    assert_eq!((&failed["attempt"], &failed["outcome"]), (&json!(1), &json!("failed")));
    home.taskq(&["wait", "a"]).gives(1, "", "");
}

#[test]
fn an_array_has_one_callback_for_the_whole() {
    let home = Home::with_daemon();
    home.add(&["--name", "a", "--array", "1-4", "--on-finish", FACTS, "-c", "test $TASKQ_INDEX -ne 2"]);
    assert_eq!(outputs(&home, "a"), ["callback of 1 failed\n"]);
    home.taskq(&["wait", "a"]).gives(1, "", "1 of 4 runs did not succeed; see `taskq runs 1 --failed`\n");
}

#[test]
fn callbacks_are_changed_and_exported_like_other_options() {
    let home = Home::new();
    home.add(&["--name", "a", "--hold", "--on-success", "echo yes", "--", "true"]);
    let set = ["set", "a", "--unset", "on-success", "--on-finish", "echo end"];
    home.taskq(&set).gives(0, "on-success echo yes → none\non-finish none → echo end\n", "");
    let line = home.taskq(&["export", "json", "--with-environment", "a"]).answer().stdout;
    assert!(line.contains("\"on_finish\":\"echo end\"") && !line.contains("on_success"), "{line}");
    home.taskq(&["set", "a", "--on-failure", " "]).gives(
        2,
        "",
        "error: cannot set job `a`: the script is empty\n\
         hint: give a command: `taskq add -- COMMAND [ARG]...`\n",
    );
}
