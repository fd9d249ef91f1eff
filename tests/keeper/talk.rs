//! Messages: waiting orders, known attempts, kept results, and broken connections.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use taskq::domain::{End, Span, StopCause};
use taskq::keeper::protocol::{FromKeeper, PROTOCOL_VERSION, StartExtras, StartOrder, ToKeeper};
use taskq::keeper::wire::encode;
use taskq::keeper::{attempts_with_pipes, exit_markers, remove_exit_markers};

use crate::harness::{
    Daemon, INSTANCE, Keeper, attempt, connected, daemon_process_command, open_gate, order, read_to_end,
};

fn framed(messages: &[ToKeeper]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        encode(message, &mut bytes).expect("short enough");
    }
    bytes
}

#[test]
fn a_queue_runs_as_many_as_it_has_slots_and_the_rest_in_order_of_arrival() {
    let (keeper, mut daemon) = connected();
    let gates: Vec<_> = (1..=3).map(|job| keeper.fifo(&format!("gate{job}"))).collect();
    for job in 1..=3 {
        daemon.start(StartOrder { slots: 1, ..keeper.sh(job, &format!(": < gate{job}")) });
    }
    daemon.start(StartOrder { slots: 1, queue: "other".to_owned(), ..keeper.sh(4, "exit 4") });
    daemon.started(1);
    daemon.started(4);
    assert_eq!(daemon.finish().end, End::Exited(4));
    for (job, gate) in (1..).zip(&gates) {
        open_gate(gate);
        if job < 3 {
            // The next has started by the time that the end is reported.
            daemon.started(job + 1);
        }
        assert_eq!(daemon.finish().attempt, attempt(job));
    }
}

#[test]
fn what_stands_by_can_be_recalled_or_stopped_without_a_process() {
    let (keeper, mut daemon) = connected();
    let gates = [keeper.fifo("gate1"), keeper.fifo("gate4")];
    for job in 1..=4 {
        daemon.start(StartOrder { slots: 1, ..keeper.sh(job, &format!(": < gate{job}")) });
    }
    daemon.started(1);
    for job in [1, 2, 99] {
        daemon.send(ToKeeper::Recall { attempt: attempt(job) });
    }
    let recalled = daemon.finish();
    assert_eq!((recalled.attempt, recalled.end, recalled.stopped), (attempt(2), End::NotStarted, None));
    assert_eq!((recalled.pid, recalled.started_at), (0, None));
    daemon.stop(3, false);
    daemon.stop(99, true);
    let stopped = daemon.finish();
    assert_eq!((stopped.attempt, stopped.end), (attempt(3), End::NotStarted));
    assert_eq!(stopped.stopped, Some(StopCause::Cancelled));
    open_gate(&gates[0]);
    daemon.started(4);
    assert_eq!(daemon.finish().attempt, attempt(1));
    open_gate(&gates[1]);
    assert_eq!(daemon.finish().attempt, attempt(4));
}

#[test]
fn a_start_that_is_sent_twice_happens_once() {
    let (keeper, mut daemon) = connected();
    let gates = [keeper.fifo("gate1"), keeper.fifo("gate2")];
    let twice = |daemon: &mut Daemon, job| {
        for _ in 0..2 {
            daemon.start(StartOrder { slots: 1, ..keeper.sh(job, &format!("echo ran; : < gate{job}")) });
        }
    };
    twice(&mut daemon, 1);
    daemon.started(1);
    twice(&mut daemon, 2);
    open_gate(&gates[0]);
    daemon.started(2);
    let first = daemon.ended();
    // Ended and not acknowledged is known, too.
    twice(&mut daemon, 1);
    open_gate(&gates[1]);
    let second = daemon.ended();
    assert_eq!((first.attempt, second.attempt), (attempt(1), attempt(2)));
    daemon.acknowledge(&first);
    daemon.acknowledge(&second);
    assert_eq!(daemon.run(keeper.sh(3, ":")).end, End::Exited(0));
    assert_eq!((keeper.output(1), keeper.output(2)), ("ran\n".to_owned(), "ran\n".to_owned()));
}

#[test]
fn a_start_with_an_extra_of_a_later_version_is_not_started() {
    let (keeper, mut daemon) = connected();
    let later = StartExtras { has_unknown: true, user: Some("nobody".to_owned()), ..StartExtras::default() };
    for _ in 0..2 {
        daemon.send(ToKeeper::Start(keeper.sh(1, "echo ran"), later.clone()));
        let ended = daemon.finish();
        assert_eq!((ended.end, ended.stopped, ended.pid), (End::NotStarted, None, 0));
    }
    // A keeper that can start it gets it again, as the same attempt.
    assert_eq!(daemon.run(keeper.sh(1, "echo ran")).end, End::Exited(0));
    assert_eq!(keeper.output(1), "ran\n");
}

#[test]
fn the_pipe_of_a_run_outlives_an_acknowledgement_from_before_its_start() {
    let (keeper, mut daemon) = connected();
    let gate = keeper.fifo("gate");
    // An earlier keeper reported that it had not started the run, and died. The turn of the daemon that
    // acknowledges this gives the run to the next keeper.
    let acknowledge = ToKeeper::Acknowledge { attempts: vec![attempt(1)] };
    let start = ToKeeper::Start(keeper.sh(1, ": < gate"), StartExtras::default());
    daemon.link.send(&[acknowledge, start]).expect("they are short enough");
    daemon.started(1);
    // The thread that removes pipes has obeyed all earlier requests when it reports an output.
    daemon.run(keeper.sh(2, "echo output"));
    assert!(attempts_with_pipes(&keeper.path("log")).contains(&attempt(1)), "it proves that the run began");
    open_gate(&gate);
    daemon.finish();
}

#[test]
fn results_are_kept_until_they_are_acknowledged() {
    let (keeper, mut daemon) = connected();
    daemon.start(keeper.sh(1, "exit 1"));
    daemon.start(keeper.sh(2, "exit 2"));
    let (first, second) = (daemon.ended(), daemon.ended());
    daemon.acknowledge(&first);
    drop(daemon);
    for _ in 0..2 {
        let mut daemon = Daemon::connect(&keeper.socket());
        assert_eq!(daemon.hello(), []);
        assert_eq!(daemon.ended(), second);
    }
    let mut daemon = keeper.daemon();
    let again = daemon.finish();
    assert_eq!(again, second);
}

#[test]
fn the_orders_of_a_dying_daemon_are_known_to_the_next() {
    let keeper = Keeper::start();
    let gate = keeper.fifo("gate");
    let mut dying = keeper.raw();
    let mut bytes = framed(&[ToKeeper::Hello { version: PROTOCOL_VERSION }]);
    for job in 1..=200 {
        let order = StartOrder { slots: 1, ..keeper.sh(job, ": < gate") };
        bytes.extend(framed(&[ToKeeper::Start(order, StartExtras::default())]));
    }
    let cut = framed(&[ToKeeper::Start(keeper.sh(999, ":"), StartExtras::default())]);
    bytes.extend(&cut[..cut.len() - 1]);
    dying.write_all(&bytes).expect("the keeper reads");
    // The next one connects, and says hello, before the last one is gone.
    let mut next = Daemon::connect(&keeper.socket());
    next.link.send(&[ToKeeper::Hello { version: PROTOCOL_VERSION }]).expect("short");
    drop(dying);
    let FromKeeper::Hello { known, .. } = next.next() else { panic!("hello comes first") };
    let jobs: Vec<i64> = known.iter().map(|known| known.attempt.run().expect("all are runs").job.0).collect();
    assert_eq!(jobs, (1..=200).collect::<Vec<_>>());
    assert!(known[0].started.is_some() && known[1..].iter().all(|known| known.started.is_none()));
    for job in 2..=200 {
        next.send(ToKeeper::Recall { attempt: attempt(job) });
        next.finish();
    }
    open_gate(&gate);
    assert_eq!(next.finish().end, End::Exited(0));
}

#[test]
fn jobs_survive_the_kill_of_the_daemon() {
    let keeper = Keeper::start();
    let gate = keeper.fifo("gate");
    let mut process = daemon_process_command(&keeper).spawn().expect("it starts");
    // The gate opens once the job is there.
    let opened = OpenOptions::new().write(true).open(&gate).expect("the FIFO is there");
    process.kill().expect("it waits for this");
    process.wait().expect("it is our child");
    let mut daemon = Daemon::connect(&keeper.socket());
    let known = daemon.hello();
    assert_eq!((known.len(), known[0].attempt), (1, attempt(1)));
    let (pid, at) = known[0].started.expect("it runs");
    drop(opened);
    let ended = daemon.finish();
    assert_eq!((ended.pid, ended.started_at, ended.end), (pid, Some(at), End::Exited(0)));
    assert_eq!(keeper.output(1), "before\nafter\n");
}

#[test]
fn a_timeout_holds_while_no_daemon_is_there() {
    let (keeper, mut daemon) = connected();
    let held = keeper.fifo("held");
    // Long enough for the job to have opened the FIFO.
    let timeout = Some(Span::from_seconds(1));
    daemon.start(StartOrder { timeout, ..keeper.sh(1, "exec sleep 1000 > held") });
    drop(daemon);
    read_to_end(&held);
    let ended = keeper.daemon().finish();
    assert_eq!((ended.end, ended.stopped), (End::Signaled(15), Some(StopCause::TimedOut)));
}

#[test]
fn a_thousand_runs_at_once_all_start_and_all_end() {
    let (keeper, mut daemon) = connected();
    // Open for both, so that no open blocks and no reader sees an end.
    let mut gate =
        OpenOptions::new().read(true).write(true).open(keeper.fifo("gate")).expect("the FIFO is there");
    let start = |job| ToKeeper::Start(keeper.sh(job, "read word < gate"), StartExtras::default());
    let orders: Vec<_> = (1..=1_000).map(start).collect();
    daemon.link.send(&orders).expect("each is short enough");
    for job in 1..=1_000 {
        daemon.started(job);
    }
    // A shell reads its line byte by byte, so that each takes one.
    gate.write_all(&[b'\n'; 1_000]).expect("the FIFO has room");
    let mut ended: Vec<_> = (1..=1_000).map(|_| daemon.finish()).collect();
    ended.sort_by_key(|ended| ended.attempt);
    assert!((1..=1_000).map(attempt).eq(ended.iter().map(|ended| ended.attempt)));
    assert!(ended.iter().all(|ended| ended.end == End::Exited(0)));
}

#[test]
fn neither_side_waits_for_the_other_to_read() {
    let (keeper, mut daemon) = connected();
    let count = 4_000;
    // Far more than the two sockets hold, in either direction.
    let start = |job| ToKeeper::Start(order(job, keeper.dir.path(), &["nosuch"]), StartExtras::default());
    let orders: Vec<_> = (1..=count).map(start).collect();
    daemon.link.send(&orders).expect("each is short enough");
    while daemon.link.wants_write() {
        daemon.wait_writable();
    }
    for job in 1..=count {
        assert_eq!(daemon.finish().attempt, attempt(job));
    }
}

#[test]
fn nonsense_ends_the_connection_and_nothing_else() {
    let (keeper, mut daemon) = connected();
    let gate = keeper.fifo("gate");
    daemon.start(keeper.sh(1, ": < gate"));
    daemon.started(1);
    drop(daemon);
    let hello = framed(&[ToKeeper::Hello { version: PROTOCOL_VERSION }]);
    let first_word_is_an_order = framed(&[ToKeeper::Stop { attempt: attempt(1), now: true }]);
    let nonsense: [Vec<u8>; 5] = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        first_word_is_an_order,
        [hello.clone(), vec![0xff; 64]].concat(),
        [hello.clone(), vec![1, 0, 0, 0, 0xff]].concat(),
        [hello.clone(), hello].concat(),
    ];
    for bytes in nonsense {
        let mut stranger: UnixStream = keeper.raw();
        stranger.write_all(&bytes).expect("the keeper reads");
        // Closed by the keeper; reset, where it left some of this unread.
        let _ = stranger.read_to_end(&mut Vec::new());
    }
    let mut daemon = Daemon::connect(&keeper.socket());
    assert_eq!(daemon.hello().len(), 1);
    open_gate(&gate);
    assert_eq!(daemon.finish().end, End::Exited(0));
}

#[test]
fn a_silent_connection_keeps_no_daemon_out() {
    let keeper = Keeper::start();
    let silent = keeper.raw();
    let mut daemon = keeper.daemon();
    assert_eq!(daemon.run(keeper.sh(1, ":")).end, End::Exited(0));
    drop(silent);
}

#[test]
fn the_keeper_outlives_the_signals_that_end_a_daemon() {
    let (keeper, mut daemon) = connected();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        kill(keeper.pid, signal).expect("it lives");
    }
    daemon.run(keeper.sh(1, "cut -d' ' -f6 /proc/$PPID/stat"));
    assert_eq!(keeper.output(1).trim(), keeper.pid.to_string(), "a session of its own");
}

#[test]
fn a_daemon_that_is_there_keeps_an_idle_keeper() {
    let keeper = Keeper::start();
    let mut first = keeper.daemon();
    let mut second = Daemon::connect(&keeper.socket());
    second.send(ToKeeper::Hello { version: PROTOCOL_VERSION });
    assert_eq!(first.run(keeper.sh(1, ":")).end, End::Exited(0));
    drop(first);
    assert!(matches!(second.next(), FromKeeper::Hello { known, .. } if known.is_empty()));
    assert_eq!(second.run(keeper.sh(2, ":")).end, End::Exited(0));
    second.send(ToKeeper::Hello { version: PROTOCOL_VERSION });
    second.expect_close();
}

#[test]
fn a_keeper_that_exits_in_order_leaves_a_marker() {
    let (keeper, mut daemon) = connected();
    let log = keeper.path("log");
    assert_eq!(daemon.run(keeper.sh(1, ":")).end, End::Exited(0));
    assert_eq!(exit_markers(&log), Vec::<i64>::new());
    drop(daemon);
    waitid(Id::Pid(keeper.pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).expect("it is our child");
    assert_eq!(exit_markers(&log), [INSTANCE]);
    remove_exit_markers(&log, &[INSTANCE]);
    assert_eq!(exit_markers(&log), Vec::<i64>::new());
}
