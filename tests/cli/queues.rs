//! Owns: `queue`, and the order in which a queue starts what waits in it.
//! Never: policies that need a clock (see the simulations).

use crate::harness::Home;

#[test]
fn queues_are_listed_and_set() {
    let home = Home::new();
    insta::assert_snapshot!(home.transcript(&[
        &["queue", "set", "default", "--slots", "3"],
        &["queue", "set", "gpu", "--slots", "1"],
        &["pause", "--queue", "gpu"],
        &["add", "--queue", "gpu", "true"],
        &["queue"],
        &["queue", "list"],
        &["queue", "set", "gpu", "--slots", "100000", "--json"],
        &["queue", "--json"],
        &["queue", "list", "--json"],
    ]));
}

#[test]
fn the_highest_priority_starts_first_and_among_equals_the_oldest() {
    let mut home = Home::new();
    home.taskq(&["queue", "set", "q", "--slots", "1"]).gives(0, "", "");
    for (name, priority) in [("a", "0"), ("b", "-5"), ("c", "7"), ("d", "0"), ("e", "7")] {
        home.add(&["--queue", "q", "--priority", priority, "-c", &format!("printf {name} >> order")]);
    }
    home.start_daemon(&[]);
    home.taskq(&["wait", "--queue", "q"]).answer();
    assert_eq!(home.file("order"), "ceadb");
}

#[test]
fn a_paused_queue_starts_nothing_until_it_is_resumed() {
    let home = Home::with_daemon();
    home.taskq(&["queue", "set", "q", "--slots", "1"]).gives(0, "", "");
    home.taskq(&["pause", "--queue", "q", "--json"]).gives(
        0,
        "{\"version\":1,\"jobs\":[],\"queues\":[\"q\"],\"runs\":[]}\n",
        "",
    );
    let id = home.add(&["--queue", "q", "touch", "started"]);
    // Another queue goes on: once its run has ended, the daemon has had its chance to start the other.
    home.add_and_wait(&["true"]);
    assert!(!home.work().join("started").exists());
    assert_eq!(home.json(&["show", &id])["job"]["state"], "blocked");
    home.taskq(&["resume", "--queue", "q"]).gives(0, "", "");
    home.taskq(&["wait", &id]).gives(0, "", "");
    assert!(home.work().join("started").exists());
}

#[test]
fn no_more_run_at_once_than_there_are_slots() {
    let mut home = Home::new();
    home.taskq(&["queue", "set", "q", "--slots", "2"]).gives(0, "", "");
    for _ in 0..6 {
        home.add(&["--queue", "q", "-c", "echo + >> log; ls /proc/self > /dev/null; echo - >> log"]);
    }
    home.start_daemon(&[]);
    home.taskq(&["wait", "--queue", "q"]).answer();
    let mut running = 0;
    for line in home.file("log").lines() {
        running += if line == "+" { 1 } else { -1 };
        assert!((0..=2).contains(&running), "{running}");
    }
}

#[test]
fn runs_of_one_job_come_one_after_the_other_unless_overlap_is_allowed() {
    let mut home = Home::new();
    let log = "echo +$TASKQ_RUN >> log; ls /proc/self > /dev/null; echo -$TASKQ_RUN >> log";
    home.add(&["-c", log]);
    // The first run of this one ends only if the second runs beside it.
    home.fifo("gate");
    home.add(&[
        "--overlap",
        "allow",
        "-c",
        "if [ $TASKQ_RUN = 2.1 ]; then echo > gate; else read line < gate; fi",
    ]);
    for id in ["1", "1", "2"] {
        home.taskq(&["run", id]).answer();
    }
    home.start_daemon(&["--slots", "8"]);
    home.taskq(&["wait", "--all"]).answer();
    assert_eq!(home.file("log"), "+1.1\n-1.1\n+1.2\n-1.2\n+1.3\n-1.3\n");
    assert_eq!(home.json(&["runs", "2", "--outcome", "success"])["runs"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_time_that_no_daemon_saw_is_made_up_for_or_missed() {
    let mut home = Home::new();
    for missed in ["once", "all", "skip", "once,1ms"] {
        home.add(&["--at", "now + 1 second", "--grace", "1ms", "--missed", missed, "true"]);
    }
    home.add(&["--at", "now + 1 second", "--missed", "skip", "true"]);
    // A clock that tests may wait for: a later job of another store.
    let clock = Home::with_daemon();
    clock.add(&["--at", "now + 1 second", "true"]);
    clock.taskq(&["wait", "1"]).gives(0, "", "");
    home.start_daemon(&[]);
    home.taskq(&["wait", "--all"]).answer();
    let outcome = |id: i64| home.json(&["runs", &id.to_string()])["runs"][0]["outcome"].clone();
    let outcomes: Vec<String> =
        (1..=5).map(|id| outcome(id).as_str().unwrap_or_default().to_owned()).collect();
    assert_eq!(outcomes, ["success", "success", "missed", "missed", "success"]);
    home.taskq(&["wait", "3"]).gives(125, "", "run 3.1: missed, found later than its grace\n");
}
