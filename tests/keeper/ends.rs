//! The end of a run that is stopped: nothing of it is left.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::libc::O_NONBLOCK;
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::Signal;
use taskq::domain::{End, Span, StopCause};
use taskq::keeper::protocol::{StartOrder, ToKeeper};

use crate::harness::{Keeper, attempt, connected, open_gate, read_to_end};
use crate::shared::await_ready;

/// The variables by which a keeper knows a process whose parents have ended.
const MARKS: [&str; 3] = ["TASKQ_RUN=1.1", "TASKQ_ATTEMPT=1", "TASKQ_SCHEDULED_AT=2026-03-02T02:15:00Z"];

/// Processes of several kinds that have left the group. Each holds descriptor 3 and says when it is there:
/// a child in a session of its own, its child, an orphan, and an orphan that has closed its output.
const LEAVERS: &str = "exec 3> held
    setsid sh -c 'sh -c \"$0\" & eval \"$0\"' \"$ACT\" &
    (setsid sh -c \"$ACT\" &)
    (setsid sh -c \"exec > /dev/null 2>&1; $ACT\" &)
    read word < gate; ";

/// A run that starts these processes, each of which does `act`.
fn leavers(keeper: &Keeper, act: &str, rest: &str) -> StartOrder {
    let order = keeper.sh(1, &format!("{LEAVERS}{rest}"));
    let marks = MARKS.iter().map(|mark| mark.as_bytes().to_vec());
    let act = format!("ACT={act}").into_bytes();
    StartOrder { env: order.env.iter().cloned().chain(marks).chain([act]).collect(), ..order }
}

/// Returns when a FIFO has had as many lines as there are leavers.
fn await_leavers(up: &Path) {
    let mut lines = [0; 8];
    std::fs::File::open(up).expect("the FIFO is there").read_exact(&mut lines).expect("each writes a line");
    assert_eq!(&lines, b"u\nu\nu\nu\n");
}

/// Returns whether no process can write to a FIFO.
fn is_free(fifo: &Path) -> bool {
    let mut file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(fifo).expect("it is there");
    file.read(&mut [0]).is_ok_and(|count| count == 0)
}

#[test]
fn a_cancel_ends_what_has_left_the_group_and_the_run_ends_with_the_last_of_it() {
    for (now, act, end) in [
        (false, "echo u > up; exec sleep 1000", End::Signaled(15)),
        (true, "trap '' TERM; echo u > up; exec sleep 1000", End::Signaled(9)),
    ] {
        let (keeper, mut daemon) = connected();
        let (held, up) = (keeper.fifo("held"), keeper.fifo("up"));
        keeper.fifo("gate");
        // One that keeps the FIFO open, so that each of the lines arrives.
        let reader = OpenOptions::new().read(true).write(true).open(&up).expect("it is there");
        let holder = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(&held).expect("it is there");
        daemon.start(leavers(&keeper, act, ""));
        daemon.started(1);
        await_leavers(&up);
        drop(reader);
        daemon.stop(1, now);
        let ended = daemon.finish();
        assert_eq!((ended.end, ended.stopped), (end, Some(StopCause::Cancelled)));
        assert!(!ended.is_output_open && is_free(&held), "nothing of it is left");
        drop(holder);
    }
}

#[test]
fn what_has_left_the_group_and_ignores_term_is_killed_at_the_end_of_kill_after() {
    let (keeper, mut daemon) = connected();
    let (held, up) = (keeper.fifo("held"), keeper.fifo("up"));
    keeper.fifo("gate");
    let reader = OpenOptions::new().read(true).write(true).open(&up).expect("it is there");
    let holder = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(&held).expect("it is there");
    let order = leavers(&keeper, "trap '' TERM; echo u > up; exec sleep 1000", "");
    daemon.start(StartOrder { kill_after: Span::from_millis(50), ..order });
    daemon.started(1);
    await_leavers(&up);
    daemon.stop(1, false);
    let ended = daemon.finish();
    // The first process has obeyed. The others were waited for.
    assert_eq!((ended.end, ended.stopped), (End::Signaled(15), Some(StopCause::Cancelled)));
    assert!(!ended.is_output_open && is_free(&held), "nothing of it is left");
    assert!(ended.finished_at.since(ended.started_at.expect("it ran")) >= Span::from_millis(50));
    drop((holder, reader));
}

#[test]
fn a_run_that_ends_by_itself_leaves_its_background_processes_alone_in_whatever_session() {
    let (keeper, mut daemon) = connected();
    let (held, gate) = (keeper.fifo("held"), keeper.fifo("gate"));
    daemon.start(keeper.sh(1, "exec 3> held; setsid sh -c 'read word < gate; echo late >&3' & exit 3"));
    let reader = std::thread::spawn(move || read_to_end(&held));
    assert_eq!(daemon.finish().end, End::Exited(3));
    open_gate(&gate);
    assert_eq!(reader.join().expect("it is read"), "late\n");
}

#[test]
fn a_process_that_forks_and_leaves_all_the_time_is_killed_with_all_that_it_has_started() {
    let (keeper, mut daemon) = connected();
    let held = keeper.fifo("held");
    let script = "exec 3> held; echo up >&3
        flee() { (setsid sh -c 'exec sleep 1000' &); setsid sh -c \"$FLEE\" & }; \
        FLEE='i=0; while [ $i -lt 40 ]; do (setsid sleep 1000 &); i=$((i+1)); done; exec setsid sleep 1000'; \
        export FLEE; flee; flee; flee; wait; sleep 1000";
    daemon.start(keeper.sh(1, script));
    daemon.started(1);
    let mut file = std::fs::File::open(&held).expect("it is there");
    file.read_exact(&mut [0; 3]).expect("it has begun");
    daemon.stop(1, true);
    let ended = daemon.finish();
    assert_eq!((ended.end, ended.stopped), (End::Signaled(9), Some(StopCause::Cancelled)));
    assert!(is_free(&held), "nothing of it is left");
}

#[test]
fn the_slot_of_a_stopped_run_is_free_when_its_last_process_has_ended() {
    let (keeper, mut daemon) = connected();
    let (gate, up) = (keeper.fifo("gate"), keeper.fifo("up"));
    // Each sleep is short, because one that is between fork(2) and execve(2) misses a TERM.
    let leaver = "trap \"read word < gate; exit\" TERM; echo up > up; while :; do sleep 0.01; done";
    let script = format!("setsid sh -c '{leaver}' & wait; sleep 1000");
    let narrow = |job, script| StartOrder { slots: 1, ..keeper.sh(job, script) };
    daemon.start(narrow(1, &script));
    daemon.started(1);
    assert_eq!(read_to_end(&up), "up\n");
    daemon.start(narrow(2, "exit 4"));
    daemon.stop(1, false);
    // It reads the gate only after its TERM, and when nothing else of the run is left but itself.
    open_gate(&gate);
    let mut ends = [daemon.ended(), daemon.ended()];
    // A result is reported when its output is in the file, so that the second may come first.
    ends.sort_by_key(|ended| ended.attempt);
    assert_eq!(ends[0].stopped, Some(StopCause::Cancelled));
    assert_eq!(ends[1].end, End::Exited(4));
    assert!(ends[0].finished_at <= ends[1].started_at.expect("it ran"));
    ends.iter().for_each(|ended| daemon.acknowledge(ended));
}

#[test]
fn a_signal_reaches_all_of_a_run_and_does_not_count_as_a_stop() {
    let (keeper, mut daemon) = connected();
    let (up, got) = (keeper.fifo("up"), keeper.fifo("got"));
    let act = "trap 'echo g > got; exit 3' USR1; echo u > up; while :; do sleep 0.01; done";
    let mut up = OpenOptions::new().read(true).write(true).open(&up).expect("it is there");
    let mut got = OpenOptions::new().read(true).write(true).open(&got).expect("it is there");
    let env = |mut order: StartOrder| {
        order.env.push(format!("ACT={act}").into_bytes());
        order
    };
    daemon.start(env(keeper.sh(1, "(setsid sh -c \"$ACT\" &); setsid sh -c \"$ACT\" & eval \"$ACT\"")));
    daemon.started(1);
    up.read_exact(&mut [0; 6]).expect("each of the three writes a line");
    let usr1 = Signal::SIGUSR1 as i32;
    daemon.send(ToKeeper::Signal { attempt: attempt(1), signal: usr1 });
    got.read_exact(&mut [0; 6]).expect("each of the three got it");
    let ended = daemon.finish();
    assert_eq!((ended.end, ended.stopped), (End::Exited(3), None));
    // It has ended: nobody gets it.
    daemon.send(ToKeeper::Signal { attempt: attempt(1), signal: usr1 });
    assert_eq!(daemon.run(keeper.sh(2, ":")).end, End::Exited(0));
}

#[test]
fn a_kill_by_signal_is_the_runs_own_end_and_leaves_nothing() {
    let (keeper, mut daemon) = connected();
    let (held, up) = (keeper.fifo("held"), keeper.fifo("up"));
    keeper.fifo("gate");
    let reader = OpenOptions::new().read(true).write(true).open(&up).expect("it is there");
    let mut holder = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(&held).expect("it is there");
    daemon.start(leavers(&keeper, "echo u > up; exec sleep 1000", ""));
    daemon.started(1);
    await_leavers(&up);
    daemon.send(ToKeeper::Signal { attempt: attempt(1), signal: Signal::SIGKILL as i32 });
    let ended = daemon.finish();
    assert_eq!((ended.end, ended.stopped), (End::Signaled(9), None));
    // The first process was the last to get it, and the others end in the same moment.
    let mut fds = [PollFd::new(holder.as_fd(), PollFlags::empty())];
    assert_eq!(await_ready(&mut fds, Duration::from_secs(20)), 1, "nothing of it is left");
    assert_eq!(holder.read(&mut [0]).expect("it is a FIFO"), 0);
    drop(reader);
}
