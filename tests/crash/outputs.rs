//! Owns: the outputs of runs, across restarts of the daemon.
//! Never: how they are shown (see `tests/cli`).

use std::fs;

use nix::sys::signal::Signal;

use crate::check::{count, finish};
use crate::harness::{MARKS, Store, bytes, gated, open, served};
use crate::keeper_deaths::{UNATTENDED, kill_keeper};
use crate::processes::{eventually, send};

/// Returns the lengths of the output files. Exit markers of keepers, in the same directory, do not count.
fn output_files(store: &Store) -> Vec<u64> {
    let entries = fs::read_dir(store.dir.join("log")).expect("it is there").flatten();
    let outputs = entries.filter(|entry| !entry.file_name().to_string_lossy().ends_with(".ended"));
    outputs.map(|entry| entry.metadata().expect("it is there").len()).collect()
}

#[test]
fn output_written_across_a_restart_is_whole_and_moves_into_the_run_log() {
    let (store, daemon, a) = gated("echo one; read x <a; echo two >&2; read x <b; echo three");
    daemon.kill();
    open(a);
    let b = store.gate("b");
    // Nobody serves, and the keeper copies what comes.
    eventually("the output is in its file", || bytes(&store.dir.join("log/1.1")) == b"one\ntwo\n");
    assert_eq!(store.ok(&["log", "1"]), "one\ntwo");
    let daemon = store.daemon();
    open(b);
    assert_eq!(store.wait("1"), 0);
    assert_eq!(store.ok(&["log", "1"]), "one\ntwo\nthree");
    assert_eq!(count(&store, "output"), 1);
    finish(&store, daemon);
    assert_eq!(output_files(&store), Vec::<u64>::new());
}

#[test]
fn output_of_up_to_64_kib_moves_into_the_run_log_and_more_stays_a_file() {
    let (store, daemon) = served();
    for bytes in [0, 65_536, 65_537] {
        store.add(&[], &format!("{MARKS}head -c {bytes} /dev/zero"));
    }
    store.wait_all();
    let lengths = ["1", "2", "3"].map(|job| store.run(&["log", job]).stdout.len());
    assert_eq!(lengths, [0, 65_536, 65_537]);
    assert_eq!(count(&store, "output"), 1);
    finish(&store, daemon);
    assert_eq!(output_files(&store), [65_537]);
}

#[test]
fn output_beyond_its_limit_goes_on_within_it_after_a_kill_9_of_the_keeper() {
    let (store, mut daemon) = served();
    let script = "seq -f %07.0f 0 99999; read x <gate; seq -f %07.0f 100000 199999";
    let gate = store.add_gated(&["--log-limit", "100000"], script);
    eventually("the output is in its files", || store.run(&["log", "1", "-n", "1"]).stdout == b"0099999\n");
    send(store.keeper().expect("it runs something"), Signal::SIGKILL);
    daemon.line("the keeper is gone");
    store.until(UNATTENDED, 1);
    open(gate);
    assert_eq!(store.wait("1"), 125);
    let lines =
        |range: std::ops::Range<u32>| -> String { range.map(|line| format!("{line:07}\n")).collect() };
    let mark = "\n[taskq: 1500000 bytes of output dropped here: more than the log limit of 100000]\n";
    let kept = format!("{}{mark}{}", lines(0..6_250), lines(193_750..200_000));
    assert!(store.run(&["log", "1"]).stdout == kept.into_bytes());
    finish(&store, daemon);
}

#[test]
fn two_outputs_go_on_apart_after_a_kill_9_of_the_keeper_and_of_the_next_one() {
    let (store, mut daemon) = served();
    let script = "echo one; echo error >&2; read x <gate; echo two; echo more >&2; \
        (read x <late; echo last >&2) >/dev/null &";
    let gate = store.add_gated(&["--split-output"], script);
    let log = |arguments: &[&str]| store.ok(&[&["log", "1"], arguments].concat());
    eventually("the outputs are in their files", || log(&[]) == "one" && log(&["--stderr"]) == "error");
    kill_keeper(&store, &mut daemon, 1);
    open(gate);
    eventually("the next keeper copies both", || {
        log(&[]) == "one\ntwo" && log(&["--stderr"]) == "error\nmore"
    });
    // Now the process in the background is all that is left, and it holds the second pipe alone.
    kill_keeper(&store, &mut daemon, 1);
    let late = store.gate("late");
    open(late);
    assert_eq!(store.wait("1"), 125);
    assert_eq!((log(&[]), log(&["--stderr"])), ("one\ntwo".to_owned(), "error\nmore\nlast".to_owned()));
    finish(&store, daemon);
    assert_eq!(output_files(&store), Vec::<u64>::new(), "both moved into the run log");
}

#[test]
fn the_files_of_a_run_that_is_not_in_the_store_go_at_the_next_start() {
    let (store, daemon) = served();
    store.close(daemon);
    let files =
        ["7.1.1.tail", "7.1.stderr", "7.2.2.stderr.times"].map(|name| store.dir.join("log").join(name));
    files.iter().for_each(|file| fs::write(file, "some").expect("it is our directory"));
    let daemon = store.daemon();
    assert_eq!(files.map(|file| file.exists()), [false; 3]);
    store.close(daemon);
}

#[test]
fn an_output_file_that_a_dead_daemon_left_beside_the_run_log_goes_at_the_next_start() {
    let (store, daemon) = served();
    store.add(&[], &format!("{MARKS}echo one"));
    store.wait_all();
    store.close(daemon);
    fs::write(store.dir.join("log/1.1"), "one\n").expect("it is our directory");
    let daemon = store.daemon();
    assert_eq!(store.ok(&["log", "1"]), "one");
    store.close(daemon);
    assert_eq!(output_files(&store), Vec::<u64>::new());
}
