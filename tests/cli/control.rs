//! Owns: `cancel`, `pause` and `resume`.
//! Never: signals to processes (see the tests of the keeper).

use crate::harness::{Home, open_gate};

#[test]
fn a_run_that_waits_is_dropped_and_one_that_runs_is_stopped() {
    let home = Home::with_daemon();
    let gate = home.fifo("gate");
    home.taskq(&["queue", "set", "q", "--slots", "1"]).gives(0, "", "");
    home.add(&["--queue", "q", "-c", "read line < gate; exec sleep 600"]);
    open_gate(&gate);
    home.add(&["--queue", "q", "true"]);
    home.taskq(&["cancel", "2.1", "1.1", "--json"]).gives(
        0,
        "{\"version\":1,\"jobs\":[],\"dropped\":[\"2.1\"],\"stopping\":[\"1.1\"],\"indices\":0}\n",
        "",
    );
    home.taskq(&["wait", "1"]).gives(130, "", "run 1.1: cancelled\n");
    home.taskq(&["wait", "2"]).gives(130, "", "run 2.1: cancelled\n");
    let runs = home.json(&["runs"])["runs"].clone();
    assert_eq!((runs[0]["started_at"].is_null(), runs[1]["signal"].as_i64()), (true, Some(15)));
}

#[test]
fn now_means_kill() {
    let home = Home::with_daemon();
    let gate = home.fifo("gate");
    home.add(&["-c", "trap '' TERM; read line < gate; while :; do sleep 600; done"]);
    open_gate(&gate);
    home.taskq(&["cancel", "1", "--now"]).gives(0, "", "");
    home.taskq(&["wait", "1"]).gives(130, "", "run 1.1: cancelled\n");
    assert_eq!(home.json(&["runs"])["runs"][0]["signal"], 9);
}

#[test]
fn a_cancelled_job_fires_no_more() {
    let home = Home::new();
    home.add(&["--name", "daily", "--cron", "@daily", "true"]);
    home.taskq(&["cancel", "daily"]).gives(0, "", "");
    home.taskq(&["next"]).gives(0, "", "");
    assert_eq!(home.json(&["show", "daily"])["job"]["state"], "done");
}

#[test]
fn what_is_over_or_so_already_is_an_error() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--name", "over", "true"]);
    home.add(&["--name", "daily", "--cron", "@daily", "true"]);
    insta::assert_snapshot!(home.transcript(&[
        &["cancel", "over"],
        &["cancel", "over.1"],
        &["pause", "over"],
        &["resume", "over"],
        &["resume", "daily"],
        &["pause", "daily"],
        &["pause", "daily"],
        &["pause", "--queue", "default"],
        &["pause", "--queue", "default"],
        &["resume", "--queue", "default"],
        &["resume", "--queue", "default"],
        &["pause", "--all"],
        &["resume", "--all", "--json"],
        &["cancel", "--all"],
        &["cancel", "--all"],
        &["cancel", "--tag", "none"],
        &["cancel", "--all", "--json"],
    ]));
}

#[test]
fn cancel_selects_by_queue_and_tag() {
    let home = Home::new();
    home.taskq(&["queue", "set", "q", "--slots", "1"]).gives(0, "", "");
    home.add(&["--queue", "q", "--tag", "t", "true"]);
    home.add(&["--queue", "q", "true"]);
    home.add(&["--tag", "t", "true"]);
    let state = |id: &str| home.json(&["show", id])["job"]["state"].as_str().map(str::to_owned);
    home.taskq(&["cancel", "--queue", "q", "--tag", "t"]).gives(0, "", "");
    assert_eq!(["1", "2", "3"].map(state), ["done", "queued", "queued"].map(|state| Some(state.to_owned())));
    home.taskq(&["cancel", "--tag", "t"]).gives(0, "", "");
    home.taskq(&["cancel", "--queue", "q"]).gives(0, "", "");
    home.taskq(&["list"]).gives(0, "", "");
}

#[test]
fn a_paused_job_may_be_run_by_hand() {
    let home = Home::with_daemon();
    home.add(&["--name", "a", "--cron", "@daily", "true"]);
    home.taskq(&["pause", "a"]).gives(0, "", "");
    home.taskq(&["run", "a", "--wait"]).gives(0, "1.1\n", "");
    assert_eq!(home.json(&["show", "a"])["job"]["state"], "paused");
    home.taskq(&["resume", "a"]).gives(0, "", "");
    assert_eq!(home.json(&["show", "a"])["job"]["state"], "scheduled");
}

#[test]
fn without_a_daemon_the_keeper_stops_what_runs() {
    let mut home = Home::with_daemon();
    let gate = home.fifo("gate");
    home.add(&["-c", "read line < gate; exec sleep 600"]);
    open_gate(&gate);
    home.stop_daemon(nix::sys::signal::Signal::SIGTERM);
    home.taskq(&["cancel", "1"]).gives(
        0,
        "",
        "no daemon is running: the runs are being stopped, and the next daemon records it\n",
    );
    home.start_daemon(&[]);
    home.taskq(&["wait", "1"]).gives(130, "", "run 1.1: cancelled\n");
}
