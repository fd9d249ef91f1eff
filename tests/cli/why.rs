//! Owns: what `why` says of each state of a job or run that a user can bring about.
//! Never: the order of the conditions (see the unit tests of `engine`).

use nix::sys::signal::Signal;
use serde_json::json;

use crate::filter::squeezed;
use crate::harness::{Home, open_gate};

/// Returns what `why` prints, with what varies filtered.
fn why(home: &Home, target: &str) -> String {
    let answer = home.taskq(&["why", target]).answer();
    assert_eq!(answer.status, 0, "{answer:?}");
    assert_eq!(answer.stdout.lines().count(), 1, "{answer:?}");
    let shown = squeezed(&format!("{}{}", answer.stdout, answer.stderr));
    match shown.split_once(" with pid ") {
        Some((begin, rest)) => format!("{begin} with pid [pid]{}", rest.trim_start_matches(char::is_numeric)),
        None => shown,
    }
}

/// Adds a job whose runs last until the FIFO `gate` is opened, and waits until its run has begun.
fn busy(home: &Home, name: &str) {
    home.add(&["--name", name, "-c", "read x <gate; true"]);
    while home.json(&["show", name])["job"]["state"] != "running" {
        home.taskq(&["wait", name, "--timeout", "10ms"]).answer();
    }
}

/// A home whose one slot is taken by run 1.1 of `a`.
fn full() -> (Home, std::path::PathBuf) {
    let mut home = Home::new();
    home.start_daemon(&["--slots", "1"]);
    let gate = home.fifo("gate");
    busy(&home, "a");
    (home, gate)
}

const NO_DAEMON: &str = "no daemon is running: start one with `taskq service install`, or `taskq daemon &`";

#[test]
fn a_run_without_a_daemon_waits_for_one() {
    let home = Home::new();
    home.add(&["--name", "a", "true"]);
    let line = "run 1.1 waits for a daemon: none is running; queued at [time]\n";
    let hint = "hint: start one with `taskq service install`, or `taskq daemon &`\n";
    assert_eq!(why(&home, "a"), format!("{line}{hint}"));
    assert_eq!(why(&home, "a.1"), format!("{line}{hint}"));
    assert_eq!(home.json(&["why", "a"])["reason"], "no_daemon");
    home.add(&["--name", "b", "--hold", "--at", "2031-01-01", "true"]);
    assert_eq!(
        why(&home, "b"),
        "job `b` has been paused since [time]\nhint: resume it with `taskq resume 2`\n"
    );
    home.add(&["--at", "2031-01-01", "true"]);
    let line = "job 3 waits for its next fire at 2031-01-01, in [span]\n";
    assert_eq!(why(&home, "3"), format!("{line}hint: {NO_DAEMON}\n"));
}

#[test]
fn a_run_waits_for_a_slot_which_others_have() {
    let (home, _gate) = full();
    assert_eq!(why(&home, "a"), "run 1.1 has been running since [time] with pid [pid]\n");
    for name in ["b", "c"] {
        home.add(&["--name", name, "--start-by", "1h", "true"]);
    }
    assert_eq!(
        why(&home, "b"),
        "run 2.1 waits for a slot of queue `default`: 1 of 1 is taken by 1.1; it is next; queued at [time]; \
         it is missed if it has not started by [time]\n"
    );
    assert!(why(&home, "c").contains("taken by 1.1; 1 run is before it; queued at"));
    let found = home.json(&["why", "c.1"]);
    for (key, value) in [
        ("job", json!(3)),
        ("name", json!("c")),
        ("run", json!("3.1")),
        ("reason", json!("slot")),
        ("held_by", json!(["1.1"])),
        ("ahead", json!(1)),
        ("value", json!("1/1")),
        ("queue", json!("default")),
        ("expected_at", json!(null)),
    ] {
        assert_eq!(found[key], value, "{key}");
    }
    assert!(found["since"].is_string() && found["start_by"].is_string());
}

#[test]
fn a_run_waits_for_others_of_its_job_and_for_those_of_other_jobs() {
    let (home, gate) = full();
    home.taskq(&["run", "a"]).gives(0, "1.2\n", "");
    assert_eq!(
        why(&home, "a.2"),
        "run 1.2 waits for the end of 1.1, because the job runs once at a time; queued at [time]\n"
    );
    assert!(why(&home, "a").starts_with("run 1.1 has been running"));
    home.add(&["--name", "b", "--after", "a:done", "true"]);
    assert_eq!(
        why(&home, "b"),
        "run 2.1 waits for the end of run 1.2 of `a`, which has not ended; queued at [time]\n\
         hint: see `taskq why a`\n"
    );
    let found = home.json(&["why", "b"]);
    assert_eq!((&found["held_by"], &found["waits_for"]), (&json!(["1.2"]), &json!(["a"])));
    home.taskq(&["cancel", "a.2"]).answer();
    open_gate(&gate);
    home.taskq(&["wait", "a"]).answer();
    assert!(why(&home, "a.1").starts_with("run 1.1 ended at [time]: success, took "));
}

#[test]
fn a_pause_of_the_job_or_of_the_queue_is_named_with_its_time() {
    let (home, _gate) = full();
    home.add(&["--name", "b", "true"]);
    home.taskq(&["pause", "--queue", "default"]).gives(0, "", "");
    assert_eq!(
        why(&home, "b"),
        "run 2.1 waits because queue `default` has been paused since [time]\n\
         hint: resume it with `taskq resume --queue default`\n"
    );
    home.taskq(&["pause", "b"]).gives(0, "", "");
    assert_eq!(
        why(&home, "b"),
        "run 2.1 waits because job 2 has been paused since [time]\nhint: resume it with `taskq resume 2`\n"
    );
    assert_eq!(home.json(&["why", "b"])["reason"], "job_paused");
    home.taskq(&["pause", "--runs", "a"]).answer();
    assert_eq!(
        why(&home, "a"),
        "run 1.1 has been running since [time] with pid [pid], and its processes have been paused since \
         [time]\nhint: continue them with `taskq resume 1`\n"
    );
    assert_eq!(home.json(&["why", "a"])["reason"], "run_paused");
}

#[test]
fn a_run_that_is_tried_again_waits_for_its_time() {
    let home = Home::with_daemon();
    home.add(&["--name", "r", "--retries", "3", "--retry-delay", "1d", "-c", "exit 3"]);
    while home.json(&["runs", "r"])["runs"][0]["state"] != "retrying" {
        home.taskq(&["wait", "r", "--timeout", "10ms"]).answer();
    }
    assert_eq!(why(&home, "r"), "run 1.1 waits for attempt 2 at [time], in 1d: attempt 1 ended at [time]\n");
    let found = home.json(&["why", "r"]);
    assert_eq!((&found["reason"], &found["attempt"]), (&json!("retry_delay"), &json!(2)));
    assert!(found["until"].is_string());
}

#[test]
fn a_job_without_a_run_waits_for_a_time_or_for_events() {
    let home = Home::with_daemon();
    home.add(&["--name", "later", "--at", "2031-01-01", "true"]);
    assert_eq!(why(&home, "later"), "job `later` waits for its next fire at 2031-01-01, in [span]\n");
    home.add(&["--name", "e", "--on", "emit,count=20:ping", "true"]);
    for _ in 0..3 {
        home.taskq(&["emit", "ping"]).gives(0, "", "");
    }
    assert_eq!(why(&home, "e"), "job `e` runs when event `ping` has been sent 20 times, 3/20\n");
    let found = home.json(&["why", "e"]);
    assert_eq!((&found["reason"], &found["value"]), (&json!("events"), &json!("3/20")));
    assert_eq!(found["triggers"][0]["on"], "emit,count=20:ping");
    home.add(&["--name", "absent", "--on", "emit,absent=1h:ping", "true"]);
    assert_eq!(
        why(&home, "absent"),
        "job `absent` runs when event `ping` has not been sent for [span] at [time] at the earliest\n"
    );
    home.add(&["--name", "c", "--cron", "15 3 * * *", "--on", "emit:ping", "true"]);
    assert_eq!(
        why(&home, "c"),
        "job `c` waits for its next fire at [time], in [span] (cron 15 3 * * *), or runs when event \
         `ping` is sent\n"
    );
    home.add(&["--name", "boot", "--cron", "@reboot", "true"]);
    assert_eq!(why(&home, "boot"), "job `boot` runs after the next boot\n");
    home.add(&["--name", "start", "--start", "2031-01-01", "--on", "emit:ping", "true"]);
    assert_eq!(
        why(&home, "start"),
        "job `start` counts no events before its start at 2031-01-01, in [span]\n"
    );
}

#[test]
fn a_job_that_is_done_says_so_with_its_last_outcome() {
    let mut home = Home::with_daemon();
    home.add_and_wait(&["--name", "a", "-c", "exit 3"]);
    let line = "job `a` has been done since [time]; its last run 1.1 ended as `failed`\n";
    assert_eq!(why(&home, "a"), line);
    assert_eq!(why(&home, "a.1"), "run 1.1 ended at [time]: failed, exit 3, took [span]\n");
    home.add(&["--name", "b", "--at", "2031-01-01", "true"]);
    home.taskq(&["cancel", "b"]).gives(0, "", "");
    assert_eq!(why(&home, "b"), "job `b` has been done since [time]; it has never had a run\n");
    home.stop_daemon(Signal::SIGTERM);
    assert_eq!(why(&home, "a"), line, "a job that is done needs no daemon");
}

#[test]
fn an_index_of_an_array_is_explained_by_its_run_or_by_the_array() {
    let (home, _gate) = full();
    home.add(&["--name", "many", "--array", "1-100", "true"]);
    for target in ["many", "many/7"] {
        assert_eq!(
            why(&home, target),
            "array 2 waits for a slot of queue `default`: 1 of 1 is taken by 1.1; it is next; \
             queued at [time]\n"
        );
    }
}

#[test]
fn the_indices_that_wait_are_explained_beside_the_one_that_runs() {
    let mut home = Home::new();
    home.start_daemon(&["--slots", "4"]);
    home.taskq(&["resource", "set", "gpu=1"]).gives(0, "", "");
    home.fifo("gate");
    for (name, options, reason) in [
        (
            "at-most",
            &["--array", "1-50%1"][..],
            "waits for the end of 1.1, because the job runs once at a time",
        ),
        ("gpu", &["--array", "1-50", "-R", "gpu=1"], "waits for gpu=1: 0 of 1 is free, 2.1 has the rest"),
    ] {
        home.add(&[&["--name", name], options, &["-c", "read x <gate; true"]].concat());
        while home.json(&["show", name])["job"]["state"] != "running" {
            home.taskq(&["wait", name, "--timeout", "10ms"]).answer();
        }
        let id = home.json(&["show", name])["job"]["id"].clone();
        let said = squeezed(&home.taskq(&["why", name]).answer().stdout);
        let (first, second) = said.split_once('\n').expect("it has two lines");
        assert!(first.starts_with(&format!("run {id}.1 has been running since")), "{said}");
        assert_eq!(second, format!("49 other indices wait: array {id} {reason}; queued at [time]\n"));
        let found = home.json(&["why", name]);
        assert_eq!((&found["reason"], &found["waiting_indices"]), (&json!("running"), &json!(49)));
        assert!(["other_runs", "resource"].iter().any(|word| found["waiting"]["reason"] == *word), "{found}");
        assert!(
            squeezed(&home.taskq(&["why", &format!("{name}/1-9")]).answer().stdout).contains("\n8 other")
        );
        assert_eq!(why(&home, &format!("{id}.1")).lines().count(), 1, "a run is explained alone");
    }
    home.taskq(&["cancel", "--all", "--yes", "--now", "--wait"]).answer();
}

#[test]
fn what_is_not_there_cannot_be_explained() {
    let home = Home::new();
    home.add(&["--name", "backup", "--at", "2031-01-01", "true"]);
    let no_job = |name: &str| format!("error: cannot explain job `{name}`: there is no such job\n");
    let hint = "hint: did you mean `backup`?\n";
    home.taskq(&["why", "bakup"]).gives(1, "", &format!("{}{hint}", no_job("bakup")));
    home.taskq(&["why", "backup.4"]).gives(
        1,
        "",
        "error: cannot explain run `backup.4`: there is no such run\n\
         hint: see the job's runs with `taskq runs backup`\n",
    );
}
