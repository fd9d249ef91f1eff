//! Owns: what a process says and how it ends that is refused memory.
//! Never: how much memory it takes.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};

use crate::harness::{Home, TASKQ, pid_of};

/// The sizes of the address space that are tried, in KiB: from where not even the program can be loaded to
/// where all works.
const SIZES: std::ops::Range<usize> = 14_000..45_000;
const STEP: usize = 500;

/// A command line with so many KiB of address space.
fn within(home: &Home, size: usize, args: &[&str]) -> Command {
    let mut command = home.shell("sh");
    command.args(["-c", &format!("ulimit -v {size}; exec \"$0\" \"$@\""), TASKQ]).args(args);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// The sizes in which the system can load the program: with less it is the loader that speaks, or the kernel.
fn sizes(home: &Home) -> Vec<usize> {
    let loads = |size: &usize| {
        let status = within(home, *size, &["--version"]).status().expect("there is a shell");
        matches!(status.code(), Some(0 | 1))
    };
    let sizes: Vec<usize> = SIZES.step_by(STEP).filter(loads).collect();
    assert!(sizes.len() > 10, "{sizes:?}");
    sizes
}

#[track_caller]
fn is_plain(said: &str, shown: &str) {
    for word in ["stack backtrace", "RUST_BACKTRACE", "panicked", "memory allocation of"] {
        assert!(!said.contains(word), "{shown}: {said}");
    }
}

#[test]
fn a_command_that_is_refused_memory_says_so_without_a_backtrace() {
    let home = Home::with_daemon();
    home.add_and_wait(&["-c", "seq 10000"]);
    let mut refusals = 0;
    for size in sizes(&home) {
        for args in [&["list"][..], &["status"], &["log", "1"], &["add", "--hold", "true"], &["next"]] {
            let output = within(&home, size, args).output().expect("there is a shell");
            let (said, shown) = (String::from_utf8_lossy(&output.stderr), format!("{args:?} in {size} KiB"));
            is_plain(&said, &shown);
            assert!(matches!(output.status.code(), Some(0 | 1)), "{shown}: {output:?}");
            refusals += usize::from(said.contains("out of memory"));
        }
    }
    assert!(refusals > 0, "nothing was ever refused memory");
}

#[test]
fn a_wait_that_is_refused_memory_ends_with_no_status_that_looks_like_the_runs() {
    let home = Home::with_daemon();
    home.add_and_wait(&["-c", "exit 7"]);
    for size in sizes(&home) {
        let output = within(&home, size, &["wait", "1"]).output().expect("there is a shell");
        let (said, shown) = (String::from_utf8_lossy(&output.stderr), format!("wait in {size} KiB"));
        is_plain(&said, &shown);
        assert!(matches!(output.status.code(), Some(7 | 3)), "{shown}: {output:?}");
    }
}

#[test]
fn a_daemon_that_is_refused_memory_says_so_without_a_backtrace() {
    let home = Home::new();
    for size in sizes(&home) {
        let mut child = within(&home, size, &["daemon"]).spawn().expect("there is a shell");
        let mut log = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut said = String::new();
        while !said.contains("serving") && log.read_line(&mut said).expect("the log is text") > 0 {}
        let _ = kill(pid_of(&child), Signal::SIGTERM);
        log.read_to_string(&mut said).expect("the log is text");
        is_plain(&said, &format!("daemon in {size} KiB"));
        let status = child.wait().expect("it is our child");
        assert!(matches!(status.code(), Some(0 | 1)), "daemon in {size} KiB: {status}: {said}");
    }
}
