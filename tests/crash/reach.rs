//! Owns: clients and daemons that do not find each other, or that the system refuses what it takes to.
//! Never: processes that are killed.

use std::fs;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::check::all_is_well;
use crate::harness::{Beside, Daemon, MARKS, Store, open};
use crate::processes::{freeze, send};

/// A command line under limits that a shell sets.
fn limited(store: &Store, limits: &str, arguments: &[&str]) -> Command {
    let mut command = store.program("sh");
    command.args(["-c", &format!("{limits} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_taskq"), "--dir"]);
    command.arg(&store.dir).args(arguments);
    command
}

/// The clock ticks that a process has spent.
fn ticks(pid: Pid) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_ascii_whitespace().collect();
    fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum()
}

#[test]
fn a_full_table_pauses_accepting_instead_of_spinning_and_jobs_are_added_meanwhile() {
    for name in ["adds.sock"] {
        let store = Store::new();
        let mut daemon = Daemon::new(&mut limited(&store, "ulimit -n 32", &["daemon", "--slots", "2"]));
        daemon.line("serving");
        let idle: Vec<UnixStream> =
            (0..100).map(|_| UnixStream::connect(store.dir.join(name)).expect("it listens")).collect();
        let before = ticks(daemon.pid());
        let start = Instant::now();
        store.add(&[], &format!("{MARKS}exit 7"));
        // A client that the daemon does not answer waits for two seconds.
        assert!(start.elapsed() < Duration::from_secs(2), "{name}: {:?}", start.elapsed());
        store.add(&["--at", "now + 2 seconds"], &format!("{MARKS}exit 8"));
        assert_eq!([store.wait("1"), store.wait("2")], [7, 8], "{name}");
        let spent = ticks(daemon.pid()) - before;
        assert!(spent < 40, "{name}: {spent} ticks in {:?}", start.elapsed());
        drop(idle);
        store.round();
        all_is_well(&store);
        store.close(daemon);
    }
}

#[test]
fn a_daemon_raises_its_limit_of_descriptors_and_a_job_gets_the_one_that_it_was_started_with() {
    let store = Store::new();
    let mut daemon = Daemon::new(&mut limited(&store, "ulimit -S -n 100", &["daemon"]));
    daemon.line("serving");
    store.add(&[], &format!("{MARKS}ulimit -S -n"));
    assert_eq!(store.wait("1"), 0);
    assert_eq!(store.ok(&["log", "1"]), "100");
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).expect("it lives");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("it is limited");
    let numbers: Vec<&str> = line.split_ascii_whitespace().filter(|word| word.parse::<u64>().is_ok()).collect();
    assert_eq!(numbers[0], numbers[1], "{line}");
    store.close(daemon);
}

fn remove_sockets(store: &Store) {
    for name in ["daemon.sock", "turns.sock", "adds.sock"] {
        fs::remove_file(store.dir.join(name)).expect("it is there");
    }
}

#[test]
fn a_daemon_whose_sockets_are_removed_makes_them_again_for_the_next_client() {
    let store = Store::new();
    store.fifo("gate");
    let mut daemon = store.daemon();
    store.add(&[], &format!("{MARKS}read x <gate; exit 7"));
    let waiting = Beside::new(&mut store.command(&["wait", "1"]));
    let gate = store.gate("gate");
    store.subscribed(1);
    remove_sockets(&store);
    store.add(&[], &format!("{MARKS}exit 8"));
    daemon.line("were gone, and are there again");
    assert_eq!(store.wait("2"), 8);
    open(gate);
    assert_eq!(waiting.end().1, Some(7));
    remove_sockets(&store);
    store.ok(&["cancel", "--all"]);
    daemon.line("were gone, and are there again");
    all_is_well(&store);
    store.close(daemon);
}

#[test]
fn a_daemon_leaves_the_sockets_of_the_one_that_serves_the_store_in_its_place() {
    let store = Store::new();
    let old = store.daemon();
    freeze(old.pid());
    fs::remove_dir_all(&store.dir).expect("it is ours");
    let daemon = store.daemon();
    // By the time that it goes on it has been told to end.
    send(old.pid(), Signal::SIGTERM);
    assert_eq!(old.stop(Signal::SIGCONT), Some(0));
    store.add(&[], &format!("{MARKS}exit 7"));
    assert_eq!(store.wait("1"), 7);
    all_is_well(&store);
    drop(daemon);
}

#[test]
fn a_daemon_whose_lock_is_removed_ends_and_its_runs_are_the_next_ones() {
    for replaced in [false, true] {
        let store = Store::new();
        store.fifo("gate");
        let mut old = store.daemon();
        store.add(&[], &format!("{MARKS}read x <gate; exit 7"));
        let gate = store.gate("gate");
        let lock = store.dir.join("daemon.lock");
        fs::remove_file(&lock).expect("it is there");
        if replaced {
            fs::write(&lock, "another's").expect("the directory is ours");
        }
        store.add(&[], &format!("{MARKS}exit 8"));
        old.line("cannot serve the store: its lock in ");
        assert_eq!(old.ends(), Some(1));
        let daemon = store.daemon();
        open(gate);
        assert_eq!([store.wait("1"), store.wait("2")], [7, 8]);
        all_is_well(&store);
        store.close(daemon);
    }
}
