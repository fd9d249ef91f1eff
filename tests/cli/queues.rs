//! Owns: `queue`, and the order in which a queue starts what waits in it.
//! Never: policies that need a clock (see the simulations).

use nix::sys::signal::Signal;

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

/// Adds jobs that append their letter to a file, and returns the order in which they start.
fn order_of(home: &mut Home, jobs: &[(&str, &[&str])], then: &[&[&str]]) -> String {
    for (letter, options) in jobs {
        let script = format!("printf {letter} >> order");
        home.add(&[&["--queue", "q"], *options, &["-c", &script]].concat());
    }
    for command in then {
        assert_eq!(home.taskq(command).answer().status, 0);
    }
    home.start_daemon(&[]);
    home.taskq(&["wait", "--queue", "q"]).answer();
    home.file("order")
}

#[test]
fn waiting_makes_up_for_priority_unless_that_is_strict() {
    let jobs: [(&str, &[&str]); 3] = [("a", &[]), ("b", &["--priority", "1"]), ("c", &["--priority", "2"])];
    for (before, then, order) in
        [("1ms", "1ms", "abc"), ("1ms", "1h", "cba"), ("1h", "1ms", "abc"), ("1ms", "never", "cba")]
    {
        let mut home = Home::new();
        home.taskq(&["queue", "set", "q", "--slots", "1", "--aging", before]).gives(0, "", "");
        // What waits already is ordered anew.
        let set: &[&str] = &["queue", "set", "q", "--aging", then];
        assert_eq!(order_of(&mut home, &jobs, &[set]), order, "{before}, then {then}");
    }
}

#[test]
fn the_earliest_deadline_starts_first_in_a_queue_of_that_order() {
    let mut home = Home::new();
    home.taskq(&["queue", "set", "q", "--slots", "1", "--order", "deadline"]).gives(0, "", "");
    let jobs: [(&str, &[&str]); 5] = [
        ("a", &[]),
        ("b", &["--finish-by", "2h"]),
        ("c", &["--finish-by", "1m", "--priority", "-100"]),
        ("d", &["--finish-by", "2d"]),
        ("e", &["--finish-by", "1h"]),
    ];
    // Without one, a job has a day. The last one is changed while it waits.
    let set: &[&str] = &["set", "5", "--finish-by", "1s"];
    assert_eq!(order_of(&mut home, &jobs, &[set]), "ecbad");
}

#[test]
fn the_shortest_starts_first_by_what_is_learnt_or_declared() {
    let mut home = Home::new();
    home.taskq(&["queue", "set", "q", "--slots", "1", "--order", "shortest"]).gives(0, "", "");
    home.start_daemon(&[]);
    // A job with the same command was brief.
    home.add_and_wait(&["-c", "printf b >> order"]);
    home.stop_daemon(Signal::SIGTERM);
    let jobs: [(&str, &[&str]); 4] = [
        ("a", &["--expect", "1h"]),
        ("b", &[]),
        ("c", &["--expect", "1m"]),
        ("d", &["--expect", "1h", "--priority", "100"]),
    ];
    assert_eq!(order_of(&mut home, &jobs, &[]), "bbdca");
}

#[test]
fn a_queue_is_removed_when_nothing_needs_it() {
    let mut home = Home::new();
    home.taskq(&["queue", "set", "q", "--slots", "1"]).gives(0, "", "");
    home.add(&["--queue", "q", "true"]);
    let hint = "hint: move each with `taskq set 1 --queue default`, or cancel it\n";
    home.taskq(&["queue", "remove", "q"]).gives(
        1,
        "",
        &format!("error: cannot remove queue `q`: job 1 is in it, and not done\n{hint}"),
    );
    home.add(&["--queue", "q", "true"]);
    home.taskq(&["queue", "remove", "q"]).gives(
        1,
        "",
        &format!("error: cannot remove queue `q`: job 1 and 1 other are in it, and not done\n{hint}"),
    );
    home.start_daemon(&[]);
    home.taskq(&["wait", "--queue", "q"]).answer();
    home.taskq(&["queue", "remove", "q"]).gives(0, "", "");
    assert_eq!(home.json(&["queue"])["queues"].as_array().map(Vec::len), Some(1));
    assert_eq!(home.json(&["show", "1"])["job"]["queue"], "default");
    let refused: [&[&str]; 3] =
        [&["add", "--queue", "q", "true"], &["queue", "remove", "default"], &["queue", "remove", "q"]];
    for args in refused {
        assert_ne!(home.taskq(args).answer().status, 0, "{args:?}");
    }
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

#[test]
fn what_jobs_are_expected_to_take_counts_in_the_backlog_and_in_the_end_of_a_fire() {
    let home = Home::new();
    home.taskq(&["queue", "set", "q", "--slots", "2"]).gives(0, "", "");
    for _ in 0..3 {
        home.add(&["--queue", "q", "--expect", "10m", "true"]);
    }
    let backlog = |home: &Home| home.json(&["queue"])["queues"][1]["backlog_ms"].clone();
    assert_eq!(backlog(&home), 900_000);
    // Of this one nothing is known.
    let unknown = home.add(&["--queue", "q", "true"]);
    assert_eq!(backlog(&home), serde_json::Value::Null);
    home.taskq(&["cancel", &unknown]).gives(0, "", "");
    assert_eq!(backlog(&home), 900_000);
    home.add(&["--name", "a", "--at", "2099-01-01 10:00 UTC", "--expect", "90s", "true"]);
    home.add(&["--name", "b", "--at", "2099-01-01 11:00 UTC", "true"]);
    let fires = home.json(&["next"])["fires"].clone();
    let end = |index: usize| fires[index]["expected_end_at"].as_str().map(str::to_owned);
    assert!(end(0).is_some_and(|end| end.contains("10:01:30")), "{fires}");
    assert_eq!(end(1), None);
}
