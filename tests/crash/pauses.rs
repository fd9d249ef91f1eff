//! Owns: runs whose processes are stopped by `pause --runs`, across deaths of daemon and keeper.
//! Never: the texts (see `tests/cli`).

use std::fs;

use nix::unistd::Pid;

use crate::check::{finish, run};
use crate::harness::{MARKS, Store};
use crate::keeper_deaths::{UNATTENDED, kill_keeper};
use crate::processes::eventually;

/// A run with a child in a session of its own. Both say their numbers.
const SCRIPT: &str = "setsid sh -c 'echo $$ >child; exec sleep 1000' & echo $$ >leader; exec sleep 1000";

/// A store with such a run, and its two processes.
fn started() -> (Store, crate::harness::Daemon, [Pid; 2]) {
    let store = Store::new();
    store.fifos(&["child", "leader"]);
    let daemon = store.daemon();
    store.add(&[], &format!("{MARKS}{SCRIPT}"));
    let pid = |name: &str| Pid::from_raw(store.read_fifo(name).trim().parse().expect("a number"));
    let processes = [pid("leader"), pid("child")];
    store.until_running(1);
    (store, daemon, processes)
}

fn is_stopped(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is there");
    stat.rsplit(')').next().is_some_and(|after| after.trim_start().starts_with('T'))
}

fn until_stopped(processes: [Pid; 2], stopped: bool) {
    let what = if stopped { "both processes are stopped" } else { "both processes continue" };
    eventually(what, || processes.into_iter().all(|pid| is_stopped(pid) == stopped));
}

#[test]
fn a_pause_with_runs_stops_all_processes_and_a_resume_continues_them() {
    let (store, daemon, processes) = started();
    store.ok(&["pause", "--runs", "1"]);
    until_stopped(processes, true);
    store.ok(&["resume", "1"]);
    until_stopped(processes, false);
    store.ok(&["pause", "--runs", "--queue", "default"]);
    until_stopped(processes, true);
    store.ok(&["resume", "--queue", "default"]);
    until_stopped(processes, false);
    store.ok(&["cancel", "--wait", "1"]);
    finish(&store, daemon);
}

#[test]
fn a_pause_and_a_resume_outlive_daemon_and_keeper() {
    let (store, daemon, processes) = started();
    store.ok(&["pause", "--runs", "1"]);
    until_stopped(processes, true);
    daemon.kill();
    // By the keeper itself.
    store.ok(&["resume", "1"]);
    until_stopped(processes, false);
    store.ok(&["pause", "--runs", "1"]);
    until_stopped(processes, true);
    let mut daemon = store.daemon();
    daemon.line("runs adopted: 1");
    kill_keeper(&store, &mut daemon, 1);
    assert!(store.ok(&["runs", "1"]).contains("running (paused, unattended)"));
    store.daemon_and_keeper_die(daemon);
    let resumed = store.run(&["resume", "1"]);
    assert_eq!(
        crate::harness::stderr(&resumed),
        "no daemon is running: the running runs follow when one starts\n"
    );
    assert!(processes.into_iter().all(is_stopped), "nobody is there who could continue them");
    let daemon = store.daemon();
    store.until(UNATTENDED, 1);
    until_stopped(processes, false);
    store.ok(&["cancel", "--wait", "1"]);
    assert_eq!(run(&store, "1.1").end(), ("cancelled", None, None));
    finish(&store, daemon);
}
