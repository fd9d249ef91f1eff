//! Owns: the death of a feeder whose daemon is killed, the signals that it gets from one, and its lines as
//! events.
//! Never: its outputs and its stop (see `src/keeper/feeder.rs`).

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use taskq::domain::{CommandLine, End, Execution, JobId, Span, StreamSource, Timestamp, TriggerId};
use taskq::keeper::{Feeder, FeederOrder};
use taskq::watch::{Streams, WantedStream};

use crate::harness::test_arguments;
use crate::shared::await_ready;

/// Not a test: a daemon with a feeder, until it is killed.
#[test]
#[ignore = "the body of a daemon process of the other tests"]
fn feeding_process() {
    let Some(dir) = std::env::args().find_map(|argument| argument.strip_prefix("dir=").map(PathBuf::from))
    else {
        return;
    };
    let script = std::fs::read_to_string(dir.join("script")).expect("the test has written it");
    let execution = Execution {
        cwd: dir.into_os_string().into_encoded_bytes(),
        env: vec![b"PATH=/usr/local/bin:/usr/bin:/bin".to_vec()],
        ..Execution::of(CommandLine::Argv(Vec::new()))
    };
    let kill_after = Span::from_seconds(600);
    let order = FeederOrder { script: &script, execution: &execution, variables: &[], kill_after };
    let _feeder = Feeder::start(&order, None, Duration::ZERO).expect("there is a shell");
    let _ = std::io::stdin().read(&mut [0]);
}

/// Starts a daemon with a feeder from a shell that runs `prelude` first. Returns it and the FIFO `life`, open
/// for reading.
fn feed(dir: &Path, prelude: &str, script: &str) -> (Child, BufReader<File>) {
    std::fs::write(dir.join("script"), script).expect("the directory is ours");
    mkfifo(&dir.join("life"), Mode::S_IRWXU).expect("the name is new");
    let daemon = Command::new("/bin/sh")
        .args(["-c", &format!("{prelude}; exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().expect("we run"))
        .args(test_arguments("feeder::feeding_process", &format!("dir={}", dir.display())))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("there is a shell");
    let life = File::open(dir.join("life")).expect("the FIFO is there");
    (daemon, BufReader::new(life))
}

#[test]
fn a_feeder_and_all_that_it_has_started_die_with_a_daemon_that_is_killed() {
    // The shell and its children hold the FIFO. They write nothing else, so that no SIGPIPE ends them.
    let dir = tempfile::tempdir().expect("a temporary directory");
    let script = "trap '' HUP TERM; exec 9> life; (sleep 1000 | sleep 1000) & sleep 1000 & echo up >&9; wait";
    let (mut daemon, mut life) = feed(dir.path(), ":", script);
    let mut line = String::new();
    life.read_line(&mut line).expect("it writes text");
    assert_eq!(line, "up\n");
    daemon.kill().expect("it is our child");
    // Blocks for as long as one of them lives.
    assert_eq!(life.read_line(&mut line).expect("it is a FIFO"), 0);
    daemon.wait().expect("it is our child");
}

#[test]
fn a_feeder_has_the_default_of_each_signal_whatever_its_daemon_ignores() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let script = "exec grep -E '^Sig(Blk|Ign)' /proc/self/status > life";
    let (mut daemon, mut life) = feed(dir.path(), "trap '' HUP QUIT USR1 PIPE CHLD", script);
    let mut text = String::new();
    life.read_to_string(&mut text).expect("it writes text");
    let masks: Vec<u64> = text
        .lines()
        .filter_map(|line| u64::from_str_radix(line.split_once('\t')?.1, 16).ok())
        // The C library has kept 32 and 33 for itself.
        .map(|mask| mask & !(0b11 << 31))
        .collect();
    assert_eq!(masks, [0, 0], "{text}");
    drop(daemon.stdin.take());
    daemon.wait().expect("it is our child");
}

#[test]
fn a_flood_of_lines_waits_in_the_pipe_and_all_of_it_is_events() {
    let command = "echo first; echo bad >&2; yes | head -n 50000; printf last; exit 3".to_owned();
    let env = vec![b"PATH=/usr/local/bin:/usr/bin:/bin".to_vec()];
    let wanted = WantedStream {
        trigger: TriggerId(1),
        job: JobId(7),
        job_name: None,
        source: StreamSource { command, pattern: None, restart: StreamSource::RESTART },
        execution: Execution { env, ..Execution::of(CommandLine::Argv(Vec::new())) },
        with_opposites: false,
    };
    let (trigger, now, at) = (wanted.trigger, Duration::ZERO, Timestamp::from_seconds(9));
    let mut streams = Streams::default();
    streams.listen(vec![wanted], now);
    let [started] = &streams.take_starts(now)[..] else { panic!("it is to be started") };
    let order = FeederOrder {
        script: &started.source.command,
        execution: &started.execution,
        variables: &[],
        kill_after: Span::from_seconds(5),
    };
    let mut feeder = Feeder::start(&order, None, now).expect("there is a shell");
    let (mut events, mut log) = (Vec::new(), Vec::new());
    let end = loop {
        let mut fds: Vec<_> = feeder.fds().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        assert_ne!(await_ready(&mut fds, Duration::from_secs(20)), 0, "it hangs");
        let read = streams.read(trigger, &mut feeder.stdout, at);
        assert!(read.len() <= 5_096, "{} lines at once", read.len());
        events.extend(read);
        log.extend(streams.read_errors(trigger, &mut feeder.stderr, now));
        if let Some(end) = feeder.advance(now) {
            break end;
        }
    };
    assert_eq!((end, events.len()), (End::Exited(3), 50_002));
    let data = [0, 1, 50_001].map(|n: usize| events[n].occurrence.data.as_deref().unwrap_or_default());
    assert_eq!(data, [r#"{"line":"first"}"#, r#"{"line":"y"}"#, r#"{"line":"last"}"#]);
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!(streams.ended(trigger, "exited with status 3", at, now).notices.len(), 1);
}
