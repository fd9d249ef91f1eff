//! Runs of a store whose outputs are sealed.

use std::fs;
use std::io::Read;

use nix::sys::wait::{Id, WaitPidFlag, waitid};
use taskq::domain::End;
use taskq::keeper::protocol::{GivenOutput, StartExtras, ToKeeper};
use taskq::keeper::{LogDirectory, OutputView, Sealing};
use taskq::seal::{DataKey, DataKeys, KeyId, OutputKeys};

use crate::harness::{Daemon, Keeper, attempt, open_gate};

fn keys() -> OutputKeys {
    let keys = [(KeyId(1), DataKey::random())].into_iter().collect();
    DataKeys::new(keys).expect("there is one").output_keys()
}

/// Connects to a keeper, and gives it the keys.
fn connect(keeper: &Keeper, keys: &OutputKeys) -> Daemon {
    let mut daemon = keeper.daemon();
    daemon.link.send_secret(&ToKeeper::Seal(keys.clone())).expect("it is short enough");
    daemon
}

fn output(keeper: &Keeper, keys: &OutputKeys, job: i64) -> String {
    let log = LogDirectory::new(keeper.path("log"), Sealing::On(keys.clone()));
    let view = OutputView::open(&log, attempt(job).stdout()).expect("it is readable");
    let mut text = String::new();
    view.expect("the run had output").read_to_string(&mut text).expect("it opens");
    text
}

/// Checks that no file in the log directory has this text.
fn assert_nowhere(keeper: &Keeper, text: &str) {
    for entry in fs::read_dir(keeper.path("log")).expect("it is there").flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let bytes = fs::read(entry.path()).expect("ours");
            let is_there = bytes.windows(text.len()).any(|bytes| bytes == text.as_bytes());
            assert!(!is_there, "{}", entry.path().display());
        }
    }
}

#[test]
fn nothing_starts_before_the_keys_are_there() {
    let keeper = Keeper::start_sealed();
    let mut daemon = keeper.daemon();
    assert_eq!(daemon.run(keeper.sh(1, "echo one")).end, End::NotStarted);
    daemon.link.send_secret(&ToKeeper::Seal(keys())).expect("it is short enough");
    let ended = daemon.run(keeper.sh(2, "echo two"));
    assert_eq!((ended.end, ended.output_bytes), (End::Exited(0), 4));
}

#[test]
fn an_output_is_sealed_on_the_disk_and_read_by_another_run() {
    let keeper = Keeper::start_sealed();
    let keys = keys();
    let mut daemon = connect(&keeper, &keys);
    assert_eq!(daemon.run(keeper.sh(1, "echo the marker")).output_bytes, 11);
    assert_eq!(output(&keeper, &keys, 1), "the marker\n");
    let extras =
        |job| StartExtras { given: Some(GivenOutput::OfAttempt(attempt(job))), ..StartExtras::default() };
    daemon.send(ToKeeper::Start(keeper.sh(2, "tr a-z A-Z; ls -l /proc/self/fd/0 >where"), extras(1)));
    daemon.finish();
    assert_eq!(output(&keeper, &keys, 2), "THE MARKER\n");
    assert!(fs::read_to_string(keeper.path("where")).expect("it is there").contains("memfd:"));
    assert_nowhere(&keeper, "marker");
    assert_nowhere(&keeper, "MARKER");
    let path = keeper.output_path(1);
    let mut bytes = fs::read(&path).expect("it is there");
    *bytes.last_mut().expect("it is long") ^= 1;
    fs::write(&path, bytes).expect("ours");
    daemon.send(ToKeeper::Start(keeper.sh(3, "cat"), extras(1)));
    let End::SpawnFailed { cause, .. } = daemon.finish().end else { panic!("its input is damaged") };
    assert!(cause.contains("it is damaged, or belongs elsewhere"), "{cause}");
}

#[test]
fn a_keeper_that_is_killed_under_a_run_leaves_an_output_that_the_next_completes() {
    let mut keeper = Keeper::start_sealed();
    let keys = keys();
    let gate = keeper.fifo("gate");
    let mut daemon = connect(&keeper, &keys);
    daemon.start(keeper.sh(1, "echo begin; (read word < gate; seq 100000 300000) & exit 3"));
    // All that was written is in the file when the end is reported.
    assert_eq!(daemon.ended().output_bytes, 6);
    keeper.replace_sealed();
    drop(daemon);
    // This one never has the keys, so that the pipe stays full.
    drop(keeper.daemon());
    open_gate(&gate);
    keeper.replace_sealed();
    let daemon = connect(&keeper, &keys);
    drop(daemon);
    waitid(Id::Pid(keeper.pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).expect("it is our child");
    let lines: String = (100_000..=300_000).map(|line| format!("{line}\n")).collect();
    assert!(output(&keeper, &keys, 1) == format!("begin\n{lines}"));
    assert_nowhere(&keeper, "\n123456\n");
}
