//! Owns: the tools that a test may miss on this machine, the settings of a test run, and the wait for a
//! descriptor.
//! Never: what is tested.
#![allow(dead_code, reason = "each test program uses its part")]
#![allow(clippy::disallowed_methods, clippy::print_stderr, reason = "their one home in tests")]

use std::fmt::Debug;
use std::str::FromStr;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollTimeout, poll};

/// What tests use beyond Linux and a Rust toolchain, by the words of `TASKQ_REQUIRE`.
const TOOLS: [&str; 24] = [
    "bash",
    "busybox",
    "cc",
    "cgroup2",
    "cron",
    "cronie",
    "cronsim",
    "dpkg",
    "fish",
    "git",
    "machine",
    "mandoc",
    "mount",
    "nobody",
    "perl",
    "prometheus",
    "python3",
    "root",
    "script",
    "slurm",
    "sshd",
    "systemd",
    "userns",
    "zsh",
];

/// Returns whether a test can use `tool`. A missing tool is printed; if `TASKQ_REQUIRE` lists it, the test
/// fails.
pub fn has(tool: &str, is_there: bool) -> bool {
    let list: String = setting("TASKQ_REQUIRE").unwrap_or_default();
    let required: Vec<&str> = list.split(',').filter(|word| !word.is_empty()).collect();
    for word in required.iter().chain([&tool]) {
        assert!(TOOLS.contains(word), "`{word}` is not one of {TOOLS:?}");
    }
    assert!(
        is_there || !required.contains(&tool),
        "`{tool}` is required, but this machine does not offer it"
    );
    if !is_there {
        note(&format!("skipped: this machine does not offer `{tool}`"));
    }
    is_there
}

/// Prints what a test found out, for whoever runs it with `--nocapture`.
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// Returns the time from which a test measures how long something takes.
pub fn now() -> Instant {
    Instant::now()
}

/// Waits until one of the descriptors is ready, and returns how many are: 0 if none is in time. A signal to
/// the test program does not end the wait. At most 24 days.
pub fn await_ready(fds: &mut [PollFd<'_>], patience: Duration) -> i32 {
    let deadline = now() + patience;
    loop {
        let left = deadline.saturating_duration_since(now());
        // A part of a millisecond counts as one.
        let left = PollTimeout::try_from(left + Duration::from_micros(999)).expect("it is not that long");
        match poll(fds, left) {
            Err(Errno::EINTR) => {}
            ready => return ready.expect("the descriptors are open"),
        }
    }
}

/// Reads a variable of the test run; `None` if it is not set.
pub fn setting<T: FromStr<Err: Debug>>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("`{name}={text}`: {error:?}")))
}
