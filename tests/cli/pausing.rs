//! Owns: the texts of `pause --runs` and of the resume that follows.
//! Never: the processes (see `tests/crash`).

use nix::sys::signal::Signal;

use crate::harness::{Home, open_gate};

/// A home in which a run of the job `a` in the queue `q` is running.
fn running() -> Home {
    let home = Home::with_daemon();
    let gate = home.fifo("gate");
    home.taskq(&["queue", "set", "q", "--slots", "2"]).gives(0, "", "");
    home.add(&["--name", "a", "--queue", "q", "-c", "read line < gate; exec sleep 600"]);
    open_gate(&gate);
    // A start is recorded together with the ends that are reported later.
    home.add_and_wait(&["--name", "beside", "true"]);
    home
}

#[test]
fn a_pause_with_runs_is_shown_until_the_resume() {
    let home = running();
    let shown = |home: &Home| {
        let run = home.json(&["runs", "a"])["runs"][0].clone();
        let job = home.json(&["show", "a"])["job"].clone();
        (run["state"].clone(), run["paused"].clone(), job["state"].clone(), job["runs_paused"].clone())
    };
    home.taskq(&["pause", "a", "--runs", "--json"]).gives(
        0,
        "{\"version\":1,\"jobs\":[1],\"queues\":[],\"runs\":[\"1.1\"]}\n",
        "",
    );
    assert_eq!(shown(&home), ("running".into(), true.into(), "running".into(), true.into()));
    assert!(home.taskq(&["list"]).answer().stdout.contains("running (paused)"));
    assert!(home.taskq(&["runs"]).answer().stdout.contains("running (paused)"));
    assert!(home.taskq(&["show", "a"]).answer().stdout.contains("State:     running (paused) since "));
    home.taskq(&["pause", "a", "--runs"]).gives(1, "", "error: cannot pause job `a`: it is already paused\n");
    let kinds = |home: &Home| -> Vec<String> {
        let events = home.json(&["events", "-n", "2"])["events"].clone();
        let kind = |event: &serde_json::Value| event["kind"].as_str().expect("a word").to_owned();
        events.as_array().expect("a list").iter().map(kind).collect()
    };
    let mut seen = kinds(&home);
    seen.sort();
    assert_eq!(seen, ["paused", "run_paused"]);
    home.taskq(&["resume", "a", "--json"]).gives(
        0,
        "{\"version\":1,\"jobs\":[1],\"queues\":[],\"runs\":[\"1.1\"]}\n",
        "",
    );
    assert_eq!(shown(&home), ("running".into(), false.into(), "running".into(), false.into()));
    home.taskq(&["cancel", "a"]).gives(0, "", "");
}

#[test]
fn the_runs_of_a_paused_job_can_be_stopped_later_and_a_plain_pause_stops_none() {
    let home = running();
    let runs = |args: &[&str]| home.json(args)["runs"].as_array().map(Vec::len);
    assert_eq!(runs(&["pause", "a"]), Some(0));
    assert_eq!(home.json(&["runs", "a"])["runs"][0]["paused"], false);
    assert_eq!(runs(&["pause", "a", "--runs"]), Some(1));
    assert_eq!(runs(&["resume", "a"]), Some(1));
    home.taskq(&["cancel", "a"]).gives(0, "", "");
}

#[test]
fn a_queue_is_paused_with_its_runs_and_its_resume_leaves_those_of_paused_jobs_stopped() {
    let home = running();
    let paused = |home: &Home| home.json(&["runs", "a"])["runs"][0]["paused"].clone();
    home.taskq(&["pause", "--queue", "q", "--runs"]).gives(0, "", "");
    assert_eq!(paused(&home), true);
    home.taskq(&["resume", "--queue", "q"]).gives(0, "", "");
    assert_eq!(paused(&home), false);
    home.taskq(&["pause", "--all", "--runs"]).gives(0, "", "");
    home.taskq(&["pause", "--queue", "q", "--runs"]).gives(0, "", "");
    home.taskq(&["resume", "--queue", "q"]).gives(0, "", "");
    assert_eq!(paused(&home), true);
    // The job itself was resumed, or its queue: a resume of the job continues its runs in any case.
    home.taskq(&["resume", "--all"]).gives(0, "", "");
    assert_eq!(paused(&home), false);
    home.taskq(&["pause", "--queue", "q", "--runs"]).gives(0, "", "");
    home.taskq(&["resume", "a"]).gives(0, "", "");
    assert_eq!(paused(&home), false);
    home.taskq(&["cancel", "a"]).gives(0, "", "");
}

#[test]
fn a_cancel_of_a_paused_run_ends_it_by_term() {
    let home = running();
    home.taskq(&["pause", "a", "--runs"]).gives(0, "", "");
    home.taskq(&["cancel", "a"]).gives(0, "", "");
    assert_eq!(home.taskq(&["wait", "1.1"]).answer().status, 130);
    let run = home.json(&["runs", "a"])["runs"][0].clone();
    assert_eq!((run["signal"].as_i64(), run["paused"].as_bool()), (Some(15), Some(false)));
}

#[test]
fn a_timeout_goes_on_while_a_run_is_stopped() {
    let home = Home::with_daemon();
    let gate = home.fifo("gate");
    home.add(&["--name", "a", "--timeout", "1s", "-c", "read line < gate; exec sleep 600"]);
    open_gate(&gate);
    home.add_and_wait(&["true"]);
    home.taskq(&["pause", "a", "--runs"]).gives(0, "", "");
    assert_eq!(home.taskq(&["wait", "a"]).answer().status, 124);
}

#[test]
fn without_a_daemon_the_keeper_stops_the_runs_and_the_next_daemon_knows() {
    let mut home = running();
    home.stop_daemon(Signal::SIGTERM);
    home.taskq(&["pause", "a", "--runs"]).gives(0, "", "");
    home.start_daemon(&[]);
    assert_eq!(home.json(&["runs", "a"])["runs"][0]["paused"], true);
    home.taskq(&["cancel", "a"]).gives(0, "", "");
    assert_eq!(home.taskq(&["wait", "1.1"]).answer().status, 130);
}
