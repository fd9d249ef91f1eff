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
    home.taskq(&["pause", "--queue", "q", "--json"]).gives(0, "{\"version\":1,\"jobs\":[],\"queues\":[\"q\"]}\n", "");
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
