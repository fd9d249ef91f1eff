//! Owns: clients and daemons that do not find each other, or that lack the means of the system to do so.
//! Never: processes that are killed.

use std::fs;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::check::{count, finish};
use crate::harness::{Beside, Daemon, MARKS, Store, gated, open, served, stderr, tell};
use crate::processes::{freeze, output, send};
use crate::shared::{has, now};

/// Returns a command under limits that a shell sets.
fn limited(store: &Store, limits: &str, arguments: &[&str]) -> Command {
    let mut command = store.program("sh");
    command.args(["-c", &format!("{limits} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_taskq"), "--dir"]);
    command.arg(&store.dir).args(arguments);
    command
}

/// Returns a command that gets no inotify instance, because it runs in a user namespace with a limit of 0;
/// `None` if this system, or this user, has no such namespaces.
fn without_inotify(store: &Store, arguments: &[&str]) -> Option<Command> {
    let within = |script: &str| {
        let mut command = store.program("unshare");
        let script = format!("echo 0 >/proc/sys/user/max_inotify_instances && {script}");
        command.args(["--user", "--map-root-user", "sh", "-c", &script]);
        command
    };
    if !has("userns", output(&mut within("true")).status.success()) {
        return None;
    }
    let mut command = within("exec \"$0\" \"$@\"");
    command.arg(env!("CARGO_BIN_EXE_taskq")).arg("--dir").arg(&store.dir).args(arguments);
    Some(command)
}

#[test]
fn without_inotify_a_wait_ends_with_the_runs_status_and_a_log_is_followed() {
    let (store, daemon, a) = gated("echo one; read x <a; echo two $x; read x <b; exit 7");
    let Some(mut waiting) = without_inotify(&store, &["wait", "1"]) else { return };
    let mut following = without_inotify(&store, &["log", "-f", "1"]).expect("it worked before");
    let (waiting, mut following) = (Beside::new(&mut waiting), Beside::new(&mut following));
    assert_eq!(following.answer(4), b"one\n");
    store.subscribed(2);
    tell(a, "x\n");
    assert_eq!(following.answer(6), b"two x\n");
    let b = store.gate("b");
    // Nor can it watch for the next daemon.
    daemon.kill();
    assert_eq!(following.talk(), "the daemon is gone; waiting for the next one\n");
    open(b);
    let daemon = store.daemon();
    assert_eq!(following.end(), (String::new(), Some(7)));
    assert_eq!(waiting.end().1, Some(7));
    store.close(daemon);
}

#[test]
fn with_few_descriptors_a_wait_ends_with_the_runs_status_or_with_3_and_says_why() {
    let (store, daemon) = served();
    assert_eq!(store.run_script(&format!("{MARKS}exit 7")), 7);
    for descriptors in 4..16 {
        let limits = format!("ulimit -n {descriptors}");
        for arguments in
            [&["wait", "1"][..], &["log", "-f", "1"], &["run", "1", "--wait"], &["run", "1", "--follow"]]
        {
            let before = count(&store, "run");
            let ended = output(&mut limited(&store, &limits, arguments));
            let words = stderr(&ended);
            match ended.status.code() {
                Some(7) => {}
                Some(3) => {
                    assert!(words.contains("error: cannot "), "{descriptors} {arguments:?}: {words}");
                    assert_eq!(count(&store, "run"), before, "{descriptors} {arguments:?}: {words}");
                }
                // Not even the program could be loaded.
                Some(126 | 127) if words.contains("error while loading") => {}
                other => panic!("{descriptors} {arguments:?}: {other:?}: {words}"),
            }
        }
        // A job that is stored is one that the daemon is told of.
        let added = output(&mut limited(&store, &limits, &["add", "-c", MARKS]));
        assert_eq!(added.status.success(), !added.stdout.is_empty(), "{descriptors}: {added:?}");
    }
    assert!(count(&store, "job") > 3, "some of them could be added");
    store.wait_all();
    finish(&store, daemon);
}

#[test]
fn a_log_is_followed_from_before_its_run_begins() {
    let store = Store::new();
    // Two of them: a first that is still being closed would let the second reading pass.
    store.fifos(&["gate", "second"]);
    let daemon = store.daemon();
    store.ok(&["pause", "--queue", "default"]);
    store.add(&[], &format!("{MARKS}read x <gate; echo one; read x <second; exit 7"));
    let mut following = Beside::new(&mut store.command(&["log", "-f", "1"]));
    store.subscribed(1);
    store.ok(&["resume", "--queue", "default"]);
    open(store.gate("gate"));
    assert_eq!(following.answer(4), b"one\n");
    open(store.gate("second"));
    assert_eq!(following.end().1, Some(7));
    store.close(daemon);
}

/// The clock ticks that a process has spent.
fn ticks(pid: Pid) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_ascii_whitespace().collect();
    fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum()
}

#[test]
fn a_full_table_pauses_accepting_instead_of_spinning_and_jobs_are_added_meanwhile() {
    for name in ["turns.sock", "adds.sock"] {
        let store = Store::new();
        let mut daemon = Daemon::new(&mut limited(&store, "ulimit -n 32", &["daemon", "--slots", "2"]));
        daemon.line("serving");
        let idle: Vec<UnixStream> =
            (0..100).map(|_| UnixStream::connect(store.dir.join(name)).expect("it listens")).collect();
        let before = ticks(daemon.pid());
        let start = now();
        store.add(&[], &format!("{MARKS}exit 7"));
        // A client that the daemon does not answer waits for two seconds.
        assert!(start.elapsed() < Duration::from_secs(2), "{name}: {:?}", start.elapsed());
        store.add(&["--at", "now + 2 seconds"], &format!("{MARKS}exit 8"));
        assert_eq!([store.wait("1"), store.wait("2")], [7, 8], "{name}");
        let spent = ticks(daemon.pid()) - before;
        assert!(spent < 40, "{name}: {spent} ticks in {:?}", start.elapsed());
        drop(idle);
        store.round();
        finish(&store, daemon);
    }
}

#[test]
fn a_daemon_raises_its_limit_of_descriptors_and_a_job_gets_the_one_that_it_was_started_with() {
    let store = Store::new();
    let mut daemon = Daemon::new(&mut limited(&store, "ulimit -S -n 100", &["daemon"]));
    daemon.line("serving");
    assert_eq!(store.run_script(&format!("{MARKS}ulimit -S -n")), 0);
    assert_eq!(store.ok(&["log", "1"]), "100");
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).expect("it lives");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("it is limited");
    let numbers: Vec<&str> =
        line.split_ascii_whitespace().filter(|word| word.parse::<u64>().is_ok()).collect();
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
    let (store, mut daemon) = served();
    let gate = store.add_gated(&[], "read x <gate; exit 7");
    let waiting = Beside::new(&mut store.command(&["wait", "1"]));
    store.subscribed(1);
    remove_sockets(&store);
    store.add(&[], &format!("{MARKS}exit 8"));
    daemon.line("were gone, and are there again");
    assert_eq!(store.wait("2"), 8);
    // One that writes nothing finds it, too; and whoever was there before is still heard.
    remove_sockets(&store);
    let other = Beside::new(&mut store.command(&["wait", "1"]));
    daemon.line("were gone, and are there again");
    open(gate);
    assert_eq!([waiting.end().1, other.end().1], [Some(7), Some(7)]);
    remove_sockets(&store);
    store.ok(&["cancel", "--all"]);
    daemon.line("were gone, and are there again");
    remove_sockets(&store);
    assert_eq!(store.run(&["run", "2", "--wait"]).status.code(), Some(8));
    finish(&store, daemon);
}

#[test]
fn a_daemon_that_does_not_make_its_sockets_again_is_named() {
    let (store, daemon) = served();
    store.add(&["--hold"], MARKS);
    freeze(daemon.pid());
    remove_sockets(&store);
    let waited = store.run(&["run", "1", "--wait"]);
    let words = stderr(&waited);
    assert_eq!(waited.status.code(), Some(1), "{words}");
    let cause =
        format!("cannot run job: the daemon (pid {}) holds the lock but does not listen", daemon.pid());
    assert!(words.contains(&cause), "{words}");
    assert_eq!(count(&store, "run"), 1, "the one that is held");
    let status = store.run(&["status"]);
    assert_eq!(status.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&status.stdout).contains("does not listen"), "{status:?}");
    send(daemon.pid(), Signal::SIGCONT);
    assert_eq!(store.run(&["run", "1", "--wait"]).status.code(), Some(0));
    assert!(!store.ok(&["status"]).contains("does not listen"));
    store.close(daemon);
}

#[test]
fn a_daemon_leaves_the_sockets_of_the_one_that_serves_the_store_in_its_place() {
    let store = Store::new();
    let old = store.daemon();
    // Nothing comes into the directory any more, and nothing is left to be recorded: its keeper is up, and
    // was heard.
    assert_eq!(store.run_script(MARKS), 0);
    store.round();
    freeze(old.pid());
    fs::remove_dir_all(&store.dir).expect("it is ours");
    let daemon = store.daemon();
    // By the time that it goes on it has been told to end.
    send(old.pid(), Signal::SIGTERM);
    assert_eq!(old.stop(Signal::SIGCONT), Some(0));
    assert_eq!(store.run_script(&format!("{MARKS}exit 7")), 7);
    drop(daemon);
}

#[test]
fn a_daemon_whose_lock_is_removed_ends_and_its_runs_are_the_next_ones() {
    for replaced in [false, true] {
        let (store, mut old, gate) = gated("read x <gate; exit 7");
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
        finish(&store, daemon);
    }
}
