//! Owns: stopping runs across deaths of the daemon: timeouts and cancels.
//! Never: stopping a daemon or a keeper.

use nix::sys::signal::Signal;

use crate::check::{finish, run};
use crate::harness::{MARKS, Store, gated, open, rest, served, stderr};
use crate::processes::{freeze, reaped, send};

/// A job that ignores TERM, with a child that ignores it. Both hold the FIFO `alive` open.
const STUBBORN: &str =
    "trap '' TERM; exec 9>alive; (read x <never) & echo on >ready; wait; wait; read x <never";

#[test]
fn a_timeout_is_kept_while_no_daemon_is_there() {
    let store = Store::new();
    store.fifos(&["gate", "alive"]);
    let daemon = store.daemon();
    store.add(&["--timeout", "1s"], &format!("{MARKS}exec 9>alive; read x <gate"));
    let alive = store.held("alive");
    let gate = store.gate("gate");
    daemon.kill();
    assert_eq!(rest(alive), "", "the job has ended");
    let daemon = store.daemon();
    assert_eq!(store.wait("1"), 124);
    assert_eq!(run(&store, "1.1").end(), ("timed_out", None, Some(Signal::SIGTERM as i32)));
    drop(gate);
    finish(&store, daemon);
}

#[test]
fn a_cancel_sends_term_which_a_run_may_use_to_tidy_up() {
    let (store, daemon, gate) = gated("trap 'echo tidied; exit 5' TERM; read x <gate; read x <gate");
    store.ok(&["cancel", "1"]);
    assert_eq!(store.wait("1"), 130);
    assert_eq!(run(&store, "1.1").end(), ("cancelled", Some(5), None));
    assert_eq!(store.ok(&["log", "1"]), "tidied");
    drop(gate);
    finish(&store, daemon);
}

#[test]
fn a_cancel_kills_a_tree_that_ignores_term() {
    for (option, kill_after) in [(None, "100ms"), (Some("--now"), "10m")] {
        let store = Store::new();
        store.fifos(&["alive", "never", "ready"]);
        let daemon = store.daemon();
        store.add(&["--kill-after", kill_after], &format!("{MARKS}{STUBBORN}"));
        let alive = store.held("alive");
        assert_eq!(store.read_fifo("ready"), "on\n");
        store.ok(&[&["cancel"], option.as_slice(), &["1"]].concat());
        assert_eq!(store.wait("1"), 130);
        assert_eq!(run(&store, "1.1").end(), ("cancelled", None, Some(Signal::SIGKILL as i32)));
        assert_eq!(rest(alive), "", "not the leader alone has ended");
        finish(&store, daemon);
    }
}

#[test]
fn a_cancel_while_no_daemon_is_there_is_done_by_the_next() {
    let (store, daemon, _cancelled) = gated("read x <gate; exit 3");
    let free = store.add_gated(&[], "read x <free; exit 3");
    store.add(&[], MARKS);
    daemon.kill();
    store.ok(&["cancel", "1"]);
    store.ok(&["cancel", "3"]);
    let daemon = store.daemon();
    assert_eq!((store.wait("1"), store.wait("3")), (130, 130));
    open(free);
    assert_eq!(store.wait("2"), 3);
    assert_eq!(run(&store, "3.1").end(), ("cancelled", None, None));
    finish(&store, daemon);
}

#[test]
fn a_cancel_of_a_run_that_the_keeper_has_not_heard_of_ends_it_cancelled() {
    let (store, daemon) = served();
    let keeper = store.frozen_keeper();
    store.fifos(&["gate"]);
    store.add(&[], &format!("{MARKS}read x <gate"));
    store.until_prefetched(1);
    daemon.kill();
    store.ok(&["cancel", "2"]);
    let daemon = store.daemon();
    send(keeper, Signal::SIGCONT);
    assert_eq!(store.wait("2"), 130);
    finish(&store, daemon);
}

#[test]
fn a_run_that_ended_before_its_cancel_keeps_its_own_outcome() {
    let (store, daemon, gate) = gated("read x <gate; exit 6");
    store.until_running(1);
    freeze(daemon.pid());
    let job = run(&store, "1.1").pid();
    open(gate);
    reaped(job);
    store.ok(&["cancel", "1"]);
    daemon.kill();
    let daemon = store.daemon();
    assert_eq!(store.wait("1"), 6);
    finish(&store, daemon);
}

#[test]
fn a_cancel_reaches_what_runs_while_no_daemon_is_there() {
    let store = Store::new();
    store.fifos(&["gate"]);
    let daemon = store.daemon();
    store.add(&[], &format!("{MARKS}exec 9>gate; exec sleep 1000"));
    let alive = store.held("gate");
    daemon.kill();
    let cancelled = store.run(&["cancel", "1"]);
    let words = stderr(&cancelled);
    assert_eq!(words, "no daemon is running: the runs are being stopped, and the next daemon records it\n");
    assert_eq!(rest(alive), "", "the job has ended");
    let daemon = store.daemon();
    assert_eq!(store.wait("1"), 130);
    finish(&store, daemon);
}
