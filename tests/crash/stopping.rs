//! Owns: stopping runs across deaths of the daemon: timeouts and cancels.
//! Never: stopping a daemon or a keeper.

use nix::sys::signal::Signal;

use crate::check::{all_is_well, run};
use crate::harness::{MARKS, Store, open};
use crate::processes::{eventually, freeze, send};

/// A job that ignores TERM, and its child too; both hold the FIFO `alive` open.
const STUBBORN: &str =
    "trap '' TERM; exec 9>alive; (read x <never) & echo on >ready; wait; wait; read x <never";

#[test]
fn a_timeout_is_kept_while_no_daemon_is_there() {
    let store = Store::new();
    store.fifo("gate");
    store.fifo("alive");
    let daemon = store.daemon();
    store.add(&["--timeout", "1s"], &format!("{MARKS}exec 9>alive; read x <gate"));
    let alive = std::fs::File::open(store.path("alive")).expect("the job holds it");
    let gate = store.gate("gate");
    daemon.kill();
    // Ends when the job does, with its writing end.
    let ended = crate::processes::patiently("the job ends", move || {
        std::io::Read::read(&mut { alive }, &mut [0]).expect("a FIFO")
    });
    assert_eq!(ended, 0);
    let daemon = store.daemon();
    assert_eq!(store.wait("1"), 124);
    assert_eq!(run(&store, "1.1").end(), ("timed_out", None, Some(Signal::SIGTERM as i32)));
    drop(gate);
    all_is_well(&store);
    store.close(daemon);
}

#[test]
fn a_cancel_sends_term_which_a_run_may_use_to_tidy_up() {
    let store = Store::new();
    store.fifo("gate");
    let daemon = store.daemon();
    store.add(&[], &format!("{MARKS}trap 'echo tidied; exit 5' TERM; read x <gate; read x <gate"));
    let gate = store.gate("gate");
    store.ok(&["cancel", "1"]);
    assert_eq!(store.wait("1"), 130);
    assert_eq!(run(&store, "1.1").end(), ("cancelled", Some(5), None));
    assert_eq!(store.ok(&["log", "1"]), "tidied");
    drop(gate);
    all_is_well(&store);
    store.close(daemon);
}

#[test]
fn a_cancel_kills_a_tree_that_ignores_term() {
    for (option, kill_after) in [(None, "100ms"), (Some("--now"), "10m")] {
        let store = Store::new();
        for fifo in ["alive", "never", "ready"] {
            store.fifo(fifo);
        }
        let daemon = store.daemon();
        store.add(&["--kill-after", kill_after], &format!("{MARKS}{STUBBORN}"));
        let alive = std::fs::File::open(store.path("alive")).expect("the job holds it");
        assert_eq!(store.read_fifo("ready"), "on\n");
        store.ok(&[&["cancel"], option.as_slice(), &["1"]].concat());
        assert_eq!(store.wait("1"), 130);
        assert_eq!(run(&store, "1.1").end(), ("cancelled", None, Some(Signal::SIGKILL as i32)));
        // Not the leader alone.
        assert_eq!(
            crate::processes::patiently("all end", move || std::io::read_to_string(alive).expect("text")),
            ""
        );
        all_is_well(&store);
        store.close(daemon);
    }
}

#[test]
fn a_cancel_while_no_daemon_is_there_is_done_by_the_next() {
    let store = Store::new();
    for fifo in ["gate", "free"] {
        store.fifo(fifo);
    }
    let daemon = store.daemon();
    store.add_all(["gate", "free"].map(|gate| format!("{MARKS}read x <{gate}; exit 3")));
    let gates = ["gate", "free"].map(|gate| store.gate(gate));
    store.add(&[], MARKS);
    daemon.kill();
    store.ok(&["cancel", "1"]);
    store.ok(&["cancel", "3"]);
    let daemon = store.daemon();
    assert_eq!((store.wait("1"), store.wait("3")), (130, 130));
    let [_cancelled, free] = gates;
    open(free);
    assert_eq!(store.wait("2"), 3);
    assert_eq!(run(&store, "3.1").end(), ("cancelled", None, None));
    all_is_well(&store);
    store.close(daemon);
}

#[test]
fn a_cancel_of_a_run_that_the_keeper_has_not_heard_of_ends_it_cancelled() {
    let store = Store::new();
    let daemon = store.daemon();
    store.add(&[], MARKS);
    assert_eq!(store.wait("1"), 0);
    let keeper = store.keeper().expect("it has run something");
    freeze(keeper);
    store.fifo("gate");
    store.add(&[], &format!("{MARKS}read x <gate"));
    store.until("SELECT count(*) FROM run WHERE state = 'queued' AND keeper IS NOT NULL", 1);
    daemon.kill();
    store.ok(&["cancel", "2"]);
    let daemon = store.daemon();
    send(keeper, Signal::SIGCONT);
    assert_eq!(store.wait("2"), 130);
    all_is_well(&store);
    store.close(daemon);
}

#[test]
fn a_run_that_ended_before_its_cancel_keeps_its_own_outcome() {
    let store = Store::new();
    store.fifo("gate");
    let daemon = store.daemon();
    store.add(&[], &format!("{MARKS}read x <gate; exit 6"));
    let gate = store.gate("gate");
    store.until("SELECT count(*) FROM run WHERE state = 'running'", 1);
    freeze(daemon.pid());
    let job = run(&store, "1.1").pid();
    open(gate);
    eventually("the job is reaped", || !std::path::Path::new(&format!("/proc/{job}")).exists());
    store.ok(&["cancel", "1"]);
    daemon.kill();
    let daemon = store.daemon();
    assert_eq!(store.wait("1"), 6);
    all_is_well(&store);
    store.close(daemon);
}

#[test]
fn a_cancel_reaches_what_runs_while_no_daemon_is_there() {
    let store = Store::new();
    store.fifo("gate");
    let daemon = store.daemon();
    store.add(&[], &format!("{MARKS}exec 9>gate; exec sleep 1000"));
    let alive = std::fs::File::open(store.path("gate")).expect("the job opens it");
    daemon.kill();
    let cancelled = store.run(&["cancel", "1"]);
    let words = String::from_utf8_lossy(&cancelled.stderr).into_owned();
    assert_eq!(words, "no daemon is running: the runs are being stopped, and the next daemon records it\n");
    let ended = crate::processes::patiently("the job ends", move || {
        std::io::Read::read(&mut { alive }, &mut [0]).expect("a FIFO")
    });
    assert_eq!(ended, 0);
    let daemon = store.daemon();
    assert_eq!(store.wait("1"), 130);
    all_is_well(&store);
    store.close(daemon);
}
