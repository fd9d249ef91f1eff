//! Owns: events of runs that are under way, `--on job,overdue` and `silent`, as a job gets them.
//! Never: when they come (see `engine` and `daemon`).

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Home, open_gate};

/// A script that sends its events into the FIFO `bell`.
const RING: &str = "cat \"$TASKQ_EVENT_FILE\" > bell";

/// Waits for the next events, and returns the only one.
fn next_event(home: &Home) -> Value {
    let lines = fs::read_to_string(home.work().join("bell")).expect("a FIFO");
    serde_json::from_str(&lines).unwrap_or_else(|error| panic!("{error}: {lines}"))
}

#[test]
fn a_run_that_takes_too_long_is_told_while_it_is_under_way() {
    let home = Home::with_daemon();
    home.fifo("bell");
    let gate = home.fifo("gate");
    home.add(&["--name", "alarm", "--on", "job,overdue=200ms:*", "-c", RING]);
    home.add(&["--name", "work", "-c", "cat gate"]);
    let event = next_event(&home);
    assert_eq!(
        (&event["kind"], &event["name"], &event["count"]),
        (&json!("job"), &json!("work.1"), &json!(1))
    );
    let data = &event["data"];
    assert_eq!((&data["job"], &data["job_id"], &data["run"]), (&json!("work"), &json!(2), &json!("2.1")));
    assert_eq!((&data["state"], &data["running_ms"]), (&json!("overdue"), &json!(200)));
    assert_eq!(home.json(&["runs", "work"])["runs"][0]["state"], "running");
    open_gate(&gate);
    home.taskq(&["wait", "work"]).gives(0, "", "");
    assert_eq!(home.json(&["runs", "alarm"])["runs"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_run_without_output_is_told_and_again_after_new_output() {
    let home = Home::with_daemon();
    home.fifo("bell");
    let (gate, end) = (home.fifo("gate"), home.fifo("end"));
    home.add(&["--name", "work", "-c", "cat gate; echo out >&2; cat end"]);
    // It looks at the run that is under way already.
    home.add(&["--name", "alarm", "--on", "job,silent=200ms:work", "-c", RING]);
    let first = next_event(&home);
    assert_eq!((&first["name"], &first["data"]["state"]), (&json!("work.1"), &json!("silent")));
    open_gate(&gate);
    let second = next_event(&home);
    assert_eq!((&second["name"], &second["data"]["state"]), (&json!("work.1"), &json!("silent")));
    let running_ms = |event: &Value| event["data"]["running_ms"].as_u64().expect("a number");
    assert!(running_ms(&second) > running_ms(&first), "{first}: {second}");
    assert_eq!(home.taskq(&["log", "work"]).answer().stdout, "out\n");
    open_gate(&end);
    home.taskq(&["wait", "work"]).gives(0, "", "");
}
