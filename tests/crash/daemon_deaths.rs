//! Owns: deaths and exits of the daemon alone, in each state of a run.
//! Never: deaths of the keeper.

use nix::sys::signal::Signal;

use taskq::clock::{Clock, SystemClock};

use crate::check::{all_is_well, finish, run};
use crate::harness::{MARKS, gated, open, served};
use crate::processes::{eventually, freeze, outlive, reaped, send};

#[test]
fn running_jobs_survive_kill_9_of_the_daemon_and_the_next_daemon_records_their_ends() {
    let (store, daemon) = served();
    store.ok(&["queue", "set", "default", "--slots", "3"]);
    let scripts = ["read x <a; exit 0", "read x <b; exit 7", "read x <c; kill -USR1 $$"];
    let gates = scripts.map(|script| store.add_gated(&[], script));
    daemon.kill();
    let daemon = store.daemon();
    gates.into_iter().for_each(open);
    store.wait_all();
    assert_eq!(run(&store, "1.1").end(), ("success", Some(0), None));
    assert_eq!(run(&store, "2.1").end(), ("failed", Some(7), None));
    assert_eq!(run(&store, "3.1").end(), ("failed", None, Some(Signal::SIGUSR1 as i32)));
    assert_eq!([store.wait("1"), store.wait("2"), store.wait("3.1")], [0, 7, 128 + 10]);
    finish(&store, daemon);
}

#[test]
fn a_job_that_ended_while_no_daemon_was_there_keeps_its_status_and_its_end() {
    let (store, daemon, gate) = gated("read x <gate; date +%s%N >end; exit 7");
    daemon.kill();
    open(gate);
    let stamp = || std::fs::read_to_string(store.path("end")).unwrap_or_default();
    eventually("the job ends", || !stamp().trim().is_empty());
    let job = run(&store, "1.1").pid;
    eventually("the job is reaped", || {
        job.is_none_or(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())
    });
    let before = now_us();
    let daemon = store.daemon();
    assert_eq!(store.wait("1"), 7);
    let found = run(&store, "1.1");
    let wrote: i64 = stamp().trim().parse::<i64>().expect("nanoseconds") / 1_000;
    let finished_at = found.finished_at.expect("it is finished");
    assert_eq!(found.end(), ("failed", Some(7), None));
    // Where the daemon died before it had noted the start, nobody here knows when the process was reaped.
    assert!(
        wrote <= finished_at && (job.is_none() || finished_at <= before),
        "{wrote} {finished_at} {before}"
    );
    finish(&store, daemon);
}

fn now_us() -> i64 {
    SystemClock::new().now().as_micros()
}

#[test]
fn term_and_int_end_the_daemon_with_0_and_leave_runs_alive() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (store, daemon, gate) = gated("read x <gate; exit 7");
        assert_eq!(daemon.stop(signal), Some(0));
        let daemon = store.daemon();
        open(gate);
        assert_eq!(store.wait("1"), 7);
        finish(&store, daemon);
    }
}

#[test]
fn a_waiting_run_survives_kill_9_of_the_daemon() {
    let (store, daemon, gate) = gated("read x <gate");
    store.ok(&["queue", "set", "default", "--slots", "1"]);
    store.add(&[], MARKS);
    daemon.kill();
    store.add(&[], MARKS);
    let daemon = store.daemon();
    open(gate);
    store.wait_all();
    finish(&store, daemon);
}

#[test]
fn runs_that_are_claimed_when_the_keeper_has_heard_nothing_start_once() {
    let (store, daemon) = served();
    let keeper = store.frozen_keeper();
    store.add_all(vec![MARKS.to_owned(); 5]);
    store.until_prefetched(2);
    daemon.kill();
    // This one can say hello only to a keeper that does not answer; it must decide nothing without it.
    let daemon = store.daemon();
    store.add(&[], MARKS);
    daemon.kill();
    let daemon = store.daemon();
    send(keeper, Signal::SIGCONT);
    store.wait_all();
    assert_eq!(store.markers().len(), 7);
    finish(&store, daemon);
}

#[test]
fn results_that_pile_up_behind_a_stopped_daemon_are_recorded_by_the_next() {
    let (store, daemon, a) = gated("read x <a; exit 3");
    let b = store.add_gated(&[], "read x <b; exit 4");
    store.until_running(2);
    freeze(daemon.pid());
    let jobs = ["1.1", "2.1"].map(|name| run(&store, name).pid());
    open(a);
    open(b);
    for job in jobs {
        reaped(job);
    }
    daemon.kill();
    let daemon = store.daemon();
    store.wait_all();
    assert_eq!([store.wait("1"), store.wait("2")], [3, 4]);
    finish(&store, daemon);
}

#[test]
fn a_keeper_that_nothing_and_nobody_needs_ends_by_itself() {
    let (store, daemon, gate) = gated("read x <gate");
    let keeper = store.keeper().expect("it runs something");
    daemon.kill();
    open(gate);
    // Its result is not acknowledged: it stays for the next daemon, and ends after that one.
    let daemon = store.daemon();
    assert_eq!(store.wait("1"), 0);
    assert_eq!(store.keeper(), Some(keeper));
    // The daemon commits the result, then acknowledges it; killed in between, it leaves the keeper waiting
    // for the next.
    store.round();
    daemon.kill();
    assert_eq!(outlive("the keeper ends", keeper), nix::sys::wait::WaitStatus::Exited(keeper, 0));
    store.nothing_is_left();
    all_is_well(&store);
}
