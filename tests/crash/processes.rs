//! Owns: finding, signalling and reaping processes, and waiting with a time limit.
//! Never: the purpose of the processes.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::shared::{await_ready, now};

/// The time limit: an action that takes this long has hung.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Runs an action that blocks. Panics if it takes longer than `PATIENCE`.
pub fn patiently<T: Send + 'static>(what: &str, act: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, waits) = mpsc::channel();
    thread::spawn(move || done.send(act()));
    waits.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("waited too long: {what}"))
}

/// Runs a command to its end.
pub fn output(command: &mut Command) -> Output {
    let what = format!("{command:?}");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be started");
    patiently(&what, move || child.wait_with_output().expect("it is our child"))
}

/// The processes that have `word` among their arguments, each with all of them.
pub fn with_argument(word: &Path) -> Vec<(Pid, Vec<String>)> {
    let word = word.as_os_str().as_bytes();
    let of = |pid: Pid| {
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
        let texts = words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        words.contains(&word).then_some((pid, texts))
    };
    all().into_iter().filter_map(of).collect()
}

/// The processes that have this in their environment.
pub fn with_variable(variable: &str) -> Vec<Pid> {
    let has = |pid: &Pid| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|bytes| bytes.split(|byte| *byte == 0).any(|one| one == variable.as_bytes()))
    };
    all().into_iter().filter(has).collect()
}

fn all() -> Vec<Pid> {
    let entries = fs::read_dir("/proc").expect("there is /proc").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw)).collect()
}

/// The parent of a process, if that is still there.
pub fn parent(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_ascii_whitespace().nth(1)?.parse().ok().map(Pid::from_raw)
}

/// The processes whose parent this is.
pub fn children(pid: Pid) -> Vec<Pid> {
    all().into_iter().filter(|child| parent(*child) == Some(pid)).collect()
}

pub fn send(pid: Pid, signal: Signal) {
    kill(pid, signal).expect("it is there");
}

/// Stops a process, and returns when it has stopped.
pub fn freeze(pid: Pid) {
    send(pid, Signal::SIGSTOP);
    eventually("it stops", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is there");
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
    });
}

/// Polls every millisecond for a state that no event announces. No other test code waits for time.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited too long: {what}");
        await_ready(&mut [], Duration::from_millis(1));
    }
}

/// Blocks until a process has ended and was reaped.
pub fn reaped(pid: Pid) {
    eventually("the job is reaped", || !fs::exists(format!("/proc/{pid}")).expect("there is /proc"));
}

/// Reaps a process whose parent is gone: it has become our child, because we are a subreaper.
pub fn outlive(what: &str, pid: Pid) -> WaitStatus {
    patiently(what, move || waitpid(pid, None).expect("it came to us"))
}

/// The inodes of the sockets that a process has open.
pub fn sockets(pid: i64) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    links
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect()
}

/// Returns whether all threads of a process sleep: none has run between two looks. A thread that was woken up
/// and has not run yet does not count as asleep.
pub fn is_asleep(pid: Pid) -> bool {
    let threads = || {
        let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let texts = entries.map(|entry| fs::read_to_string(entry.path().join("status")).unwrap_or_default());
        let lines = texts.flat_map(|text| {
            let is_wanted = |line: &&str| line.starts_with("State:") || line.contains("_ctxt_switches:");
            text.lines().filter(is_wanted).map(str::to_owned).collect::<Vec<_>>()
        });
        lines.collect::<Vec<String>>()
    };
    let before = threads();
    before.iter().filter(|line| line.starts_with("State:")).all(|line| line.contains("S (sleeping)"))
        && threads() == before
}
