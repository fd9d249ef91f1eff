//! Runs whose standard error has an output of its own.

use std::fs;

use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::geteuid;
use taskq::domain::{End, Size};
use taskq::keeper::protocol::{Ended, StartExtras, StartOrder, ToKeeper};

use crate::harness::{Daemon, Keeper, connected, open_gate, order};
use crate::shared::has;

fn start(daemon: &mut Daemon, order: StartOrder) {
    let extras = StartExtras { split_output: true, ..StartExtras::default() };
    daemon.send(ToKeeper::Start(order, extras));
}

fn run(daemon: &mut Daemon, order: StartOrder) -> Ended {
    start(daemon, order);
    daemon.finish()
}

/// Waits until the keeper has exited, and returns the names in its log directory.
fn left(keeper: &Keeper, daemon: Daemon) -> Vec<String> {
    drop(daemon);
    waitid(Id::Pid(keeper.pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).expect("it is our child");
    let entries = fs::read_dir(keeper.path("log")).expect("it is there").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| !name.ends_with(".ended")).collect();
    names.sort();
    names
}

#[test]
fn each_of_two_outputs_has_what_was_written_to_it_however_it_was_opened() {
    let (keeper, mut daemon) = connected();
    let script = "echo one; echo error >&2; echo two >/dev/stdout; echo again >/dev/stderr";
    let ended = run(&mut daemon, keeper.sh(1, script));
    assert_eq!((ended.end, ended.output_bytes, ended.is_output_open), (End::Exited(0), 8, false));
    assert_eq!((keeper.output(1), keeper.stderr(1)), ("one\ntwo\n".to_owned(), "error\nagain\n".to_owned()));
    // Another run of this keeper, without the option.
    daemon.run(keeper.sh(2, script));
    assert_eq!(keeper.output(2), "one\nerror\ntwo\nagain\n");
    assert_eq!(left(&keeper, daemon), ["1.1", "1.1.stderr", "2.1"]);
}

#[test]
fn another_user_can_open_both_outputs_once_more() {
    if !has("root", geteuid().is_root()) {
        return;
    }
    let (keeper, mut daemon) = connected();
    let script = "echo one >/dev/stdout; echo error >/dev/stderr";
    let order = order(1, std::path::Path::new("/"), &["sh", "-c", script]);
    let user = Some("nobody".to_owned());
    let extras = StartExtras { split_output: true, user, ..StartExtras::default() };
    daemon.send(ToKeeper::Start(order, extras));
    assert_eq!(daemon.finish().end, End::Exited(0));
    assert_eq!((keeper.output(1), keeper.stderr(1)), ("one\n".to_owned(), "error\n".to_owned()));
}

#[test]
fn a_run_that_writes_to_one_output_or_to_none_leaves_nothing_of_the_other() {
    let (keeper, mut daemon) = connected();
    for (job, script) in [(1, ":"), (2, "echo one"), (3, "echo error >&2"), (4, "exec >&- 2>&-")] {
        assert_eq!(run(&mut daemon, keeper.sh(job, script)).end, End::Exited(0));
    }
    let ended = run(&mut daemon, order(5, keeper.dir.path(), &["nosuch"]));
    assert!(matches!(ended.end, End::SpawnFailed { status: 127, .. }), "{ended:?}");
    assert_eq!(left(&keeper, daemon), ["2.1", "3.1.stderr"]);
}

#[test]
fn a_background_process_that_holds_one_output_alone_is_drained_and_the_pipe_goes_with_it() {
    for (redirection, held) in [(">/dev/null", "1.1.stderr"), ("2>/dev/null", "1.1")] {
        let (keeper, mut daemon) = connected();
        let gate = keeper.fifo("gate");
        let script = format!("(read word < gate; echo late; echo late >&2) {redirection} & exit 3");
        start(&mut daemon, keeper.sh(1, &script));
        let ended = daemon.finish();
        assert_eq!((ended.end, ended.is_output_open, ended.output_bytes), (End::Exited(3), true, 0));
        open_gate(&gate);
        assert_eq!(left(&keeper, daemon), [held], "{redirection}");
        assert_eq!(fs::read(keeper.path("log").join(held)).expect("it is there"), b"late\n");
    }
}

#[test]
fn the_limit_holds_for_each_output_by_itself() {
    let (keeper, mut daemon) = connected();
    let log_limit = Some(Size::from_bytes(4_096));
    let extras = StartExtras { split_output: true, log_limit, ..StartExtras::default() };
    let script = "seq 9; seq -f %07.0f 0 99999 >&2";
    daemon.send(ToKeeper::Start(keeper.sh(1, script), extras));
    assert_eq!(daemon.finish().output_bytes, 18);
    assert_eq!(keeper.stderr(1).len(), 2_048, "the first half");
    // On a busy machine it takes so long that times are stored too.
    let left: Vec<String> =
        left(&keeper, daemon).into_iter().filter(|name| !name.ends_with(".times")).collect();
    assert_eq!(left, ["1.1", "1.1.1.stderr.tail", "1.1.stderr"]);
}
