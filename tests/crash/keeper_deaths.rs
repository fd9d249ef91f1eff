//! Owns: deaths of the keeper, alone and together with the daemon.
//! Never: deaths that the keeper survives.

use std::fs;
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::check::{count, finish, run};
use crate::harness::{Beside, Daemon, MARKS, Store, bytes, gated, open, rest, served};
use crate::processes::{children, eventually, freeze, outlive, reaped, send};

pub const UNATTENDED: &str = "SELECT count(*) FROM run WHERE state = 'running' AND is_unattended = 1";

/// Kills the keeper, and waits until the next one has found and watches this many runs.
pub fn kill_keeper(store: &Store, daemon: &mut Daemon, runs: i64) {
    store.until_running(runs);
    let instance: i64 = store
        .database()
        .query_row("SELECT max(keeper) FROM run WHERE state = 'running'", [], |row| row.get(0))
        .expect("something runs");
    let keeper = store.keeper().expect("it runs something");
    send(keeper, Signal::SIGKILL);
    daemon.line("the keeper is gone");
    store.until(&format!("{UNATTENDED} AND keeper <> {instance}"), runs);
}

#[test]
fn a_run_whose_keeper_was_killed_is_unattended_keeps_its_slot_and_is_lost_when_it_ends() {
    let (store, mut daemon, gate) = gated("echo before; read x <gate; echo after");
    store.ok(&["queue", "set", "default", "--slots", "1"]);
    store.add(&[], MARKS);
    let keeper = store.keeper().expect("it runs something");
    kill_keeper(&store, &mut daemon, 1);
    assert!(store.ok(&["runs"]).contains("running (unattended)"));
    assert!(store.ok(&["runs", "--json"]).contains("\"unattended\":true"));
    assert_eq!(run(&store, "2.1").state, "queued");
    open(gate);
    assert_eq!(store.wait("1"), 125);
    assert_eq!(store.ok(&["log", "1"]), "before\nafter");
    assert_eq!(store.wait("2"), 0);
    assert_eq!(run(&store, "1.1").end(), ("lost", None, None));
    assert_eq!(run(&store, "2.1").end(), ("success", Some(0), None));
    assert_ne!(store.keeper(), Some(keeper));
    assert_eq!(store.markers(), ["1.1", "2.1"]);
    finish(&store, daemon);
}

#[test]
fn kill_9_of_both_leaves_what_ran_unattended_and_keeps_what_waited() {
    let (store, daemon, gate) = gated("read x <gate");
    store.ok(&["queue", "set", "default", "--slots", "1"]);
    store.add(&[], MARKS);
    store.daemon_and_keeper_die(daemon);
    let daemon = store.daemon();
    store.until(UNATTENDED, 1);
    open(gate);
    store.wait_all();
    assert_eq!(run(&store, "1.1").end(), ("lost", None, None));
    assert_eq!(run(&store, "2.1").end(), ("success", Some(0), None));
    finish(&store, daemon);
}

#[test]
fn a_run_that_ended_while_no_keeper_was_there_is_lost() {
    let (store, daemon, gate) = gated("echo before; read x <gate");
    store.until_running(1);
    let job = run(&store, "1.1").pid();
    store.daemon_and_keeper_die(daemon);
    open(gate);
    outlive("the job ends", job);
    let daemon = store.daemon();
    assert_eq!(store.wait("1"), 125);
    assert_eq!(run(&store, "1.1").end(), ("lost", None, None));
    assert_eq!(store.ok(&["log", "1"]), "before");
    finish(&store, daemon);
}

#[test]
fn results_that_no_daemon_had_taken_in_are_lost_with_the_keeper_and_no_outcome_is_invented() {
    let (store, daemon, gate) = gated("read x <gate; exit 3");
    store.until_running(1);
    freeze(daemon.pid());
    let job = run(&store, "1.1").pid();
    open(gate);
    reaped(job);
    store.daemon_and_keeper_die(daemon);
    let daemon = store.daemon();
    store.wait_all();
    assert_eq!(run(&store, "1.1").end(), ("lost", None, None));
    finish(&store, daemon);
}

#[test]
fn a_start_that_no_daemon_had_heard_of_is_found_again_by_its_pipe() {
    let store = Store::new();
    store.fifos(&["gate"]);
    let daemon = store.daemon();
    let keeper = store.frozen_keeper();
    store.add(&[], &format!("{MARKS}read x <gate"));
    store.until_prefetched(1);
    // The order has been sent.
    store.round();
    freeze(daemon.pid());
    send(keeper, Signal::SIGCONT);
    let gate = store.gate("gate");
    store.daemon_and_keeper_die(daemon);
    assert_eq!(run(&store, "2.1").state, "queued");
    let daemon = store.daemon();
    store.until(UNATTENDED, 1);
    open(gate);
    assert_eq!(store.wait("2"), 125);
    assert_eq!(run(&store, "2.1").end(), ("lost", None, None));
    assert_eq!(store.markers(), ["1.1", "2.1"]);
    finish(&store, daemon);
}

#[test]
fn orders_that_a_killed_keeper_had_not_read_are_given_to_the_next() {
    let (store, mut daemon) = served();
    let keeper = store.frozen_keeper();
    store.add_all(vec![MARKS.to_owned(); 4]);
    store.until_prefetched(2);
    store.round();
    send(keeper, Signal::SIGKILL);
    daemon.line("the keeper is gone");
    store.wait_all();
    assert_eq!(count(&store, "run WHERE outcome = 'success'"), 5, "none of them had begun");
    finish(&store, daemon);
}

#[test]
fn a_keeper_that_dies_again_and_again_is_replaced_each_time_and_finds_its_runs() {
    let (store, mut daemon, gate) = gated("read x <gate; echo at last");
    for _ in 0..5 {
        kill_keeper(&store, &mut daemon, 1);
    }
    open(gate);
    assert_eq!(store.wait("1"), 125);
    assert_eq!(store.ok(&["log", "1"]), "at last");
    assert_eq!(store.run_script(MARKS), 0);
    finish(&store, daemon);
}

#[test]
fn an_unattended_run_is_reached_by_cancel_and_by_its_timeout_and_counted_by_overlap() {
    let (store, mut daemon) = served();
    // A program that does not end by itself, and says when it is there.
    let script = format!("{MARKS}echo up >up$TASKQ_JOB; exec sleep 1000");
    store.fifos(&["up1", "up2"]);
    store.add(&["--every", "1000d"], &script);
    store.ok(&["run", "1"]);
    store.add(&["--timeout", "3s"], &script);
    for name in ["up1", "up2"] {
        assert_eq!(store.read_fifo(name), "up\n");
    }
    kill_keeper(&store, &mut daemon, 2);
    assert_eq!(store.wait("2"), 124, "its timeout holds");
    assert_eq!(run(&store, "2.1").end(), ("timed_out", None, None));
    store.ok(&["run", "1"]);
    assert_eq!(run(&store, "1.2").state, "queued", "it waits for the one that is unattended");
    store.ok(&["cancel", "1.2"]);
    store.ok(&["cancel", "1.1"]);
    assert_eq!(store.wait("1.1"), 130);
    store.ok(&["cancel", "1"]);
    finish(&store, daemon);
}

#[test]
fn a_cancel_of_an_unattended_run_ends_what_has_left_its_session_too() {
    let (store, mut daemon) = served();
    store.fifos(&["alive", "ready"]);
    let leave = "setsid sh -c 'exec >/dev/null 2>&1; echo up >ready; exec sleep 1000'";
    store.add(&[], &format!("{MARKS}exec 9>alive; ({leave} &); exec sleep 1000"));
    let alive = store.held("alive");
    assert_eq!(store.read_fifo("ready"), "up\n");
    kill_keeper(&store, &mut daemon, 1);
    store.ok(&["cancel", "--wait", "1"]);
    assert_eq!(rest(alive), "", "nothing of it is left");
    assert_eq!(run(&store, "1.1").end(), ("cancelled", None, None));
    finish(&store, daemon);
}

#[test]
fn a_run_goes_on_writing_while_no_keeper_is_there_and_nothing_of_it_is_lost() {
    let (store, daemon, a) = gated("read x <a; seq 5000; read x <b; seq 5001 30000");
    store.daemon_and_keeper_die(daemon);
    open(a);
    // It has come so far without anybody who reads: its pipe holds that much.
    let b = store.gate("b");
    let daemon = store.daemon();
    store.until(UNATTENDED, 1);
    open(b);
    assert_eq!(store.wait("1"), 125);
    let expected: String = (1..=30_000).map(|number| format!("{number}\n")).collect();
    assert_eq!(store.run(&["log", "1"]).stdout, expected.as_bytes());
    store.close(daemon);
}

#[test]
fn a_background_process_is_drained_by_the_next_keeper_too() {
    let store = Store::new();
    store.fifos(&["gate"]);
    let mut daemon = store.daemon();
    assert_eq!(store.run_script(&format!("{MARKS}(read x <gate; seq 100000) & echo early")), 0);
    let gate = store.gate("gate");
    send(store.keeper().expect("a process still writes"), Signal::SIGKILL);
    daemon.line("the keeper is gone");
    open(gate);
    // More than a pipe holds: it ends because somebody reads.
    let expected =
        "early\n".to_owned() + &(1..=100_000).map(|number| format!("{number}\n")).collect::<String>();
    eventually("the output is whole", || bytes(&store.dir.join("log/1.1")).len() == expected.len());
    assert_eq!(store.run(&["log", "1"]).stdout, expected.as_bytes());
    assert_eq!(run(&store, "1.1").end(), ("success", Some(0), None));
    finish(&store, daemon);
}

#[test]
fn a_keeper_whose_socket_was_removed_is_found_by_its_lock() {
    let (store, daemon, gate) = gated("read x <gate; exit 6");
    let keeper = store.keeper();
    daemon.kill();
    fs::remove_file(store.dir.join("keeper.sock")).expect("it listens");
    let mut daemon = store.daemon();
    daemon.line("runs adopted: 1");
    assert_eq!(store.keeper(), keeper);
    open(gate);
    assert_eq!(store.wait("1"), 6);
    finish(&store, daemon);
}

#[test]
fn a_keeper_whose_store_is_gone_ends_with_the_last_that_it_runs() {
    let (store, daemon, gate) = gated("read x <gate");
    let keeper = store.keeper().expect("it runs something");
    daemon.kill();
    fs::remove_dir_all(&store.dir).expect("ours");
    open(gate);
    // A result is left that nobody will ever ask for; whoever looks for the keeper wakes it up.
    eventually("the run ends", || children(keeper).is_empty());
    send(keeper, Signal::SIGHUP);
    outlive("the keeper ends", keeper);
    store.nothing_is_left();
}

#[test]
fn a_log_directory_that_was_removed_holds_up_no_run() {
    let (store, daemon) = served();
    fs::remove_dir_all(store.dir.join("log")).expect("ours");
    assert_eq!(store.run_script(&format!("{MARKS}echo one")), 0);
    assert_eq!(store.ok(&["log", "1"]), "one");
    finish(&store, daemon);
}

#[test]
fn a_following_client_sees_output_while_a_keeper_is_replaced() {
    let (store, mut daemon, a) = gated("echo one; read x <a; echo two; read x <b");
    let mut follow = Beside::new(store.command(&["log", "-f", "1"]).stderr(Stdio::null()));
    assert_eq!(follow.answer(4), b"one\n");
    kill_keeper(&store, &mut daemon, 1);
    open(a);
    assert_eq!(follow.answer(4), b"two\n");
    open(store.gate("b"));
    assert_eq!(follow.end(), (String::new(), Some(125)));
    store.close(daemon);
}
