//! Owns: the limits of a control group that hold an attempt to what it has booked of CPU and memory.
//! Never: making the group (see `cgroup`), or where one may be made (see `delegation`).

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use super::delegation::{Delegated, delegated_to};
use super::spawn_error::{NOT_APART, NOT_DELEGATED};
use crate::domain::{Needs, Portion, ResourceName, Share};

/// The period of `cpu.max`, the kernel's own, in microseconds.
const PERIOD_US: u64 = 100_000;

/// The limits of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    memory_bytes: Option<u64>,
    cpus: Option<u64>,
}

impl Limits {
    pub(super) fn of_share(share: Option<&Share>) -> Self {
        let amount = |name| share.and_then(|share| share.portion(&name)).map(Portion::amount);
        Self { memory_bytes: amount(ResourceName::mem()), cpus: amount(ResourceName::cpu()) }
    }

    fn of_needs(needs: &Needs) -> Self {
        let amount = |name| Some(needs.of(&name)).filter(|amount| *amount > 0);
        Self { memory_bytes: amount(ResourceName::mem()), cpus: amount(ResourceName::cpu()) }
    }

    /// The controllers that set the limits.
    fn controllers(self) -> impl Iterator<Item = &'static str> {
        [self.memory_bytes.map(|_| "memory"), self.cpus.map(|_| "cpu")].into_iter().flatten()
    }

    /// Returns the first controller that a list of them lacks.
    fn lacks(self, list: &str) -> Option<&'static str> {
        self.controllers().find(|name| !list.split_whitespace().any(|one| one == *name))
    }

    /// Makes the limits settable in groups below the delegated one.
    ///
    /// # Errors
    /// The group lacks a controller, or is not ours to change.
    pub(super) fn enable(self, delegated: &Path) -> io::Result<()> {
        let file = delegated.join("cgroup.subtree_control");
        if self.lacks(&fs::read_to_string(&file)?).is_none() {
            return Ok(());
        }
        let changes: Vec<String> = self.controllers().map(|name| format!("+{name}")).collect();
        write(&file, &changes.join(" "))
    }

    /// Sets the limits of a group without processes.
    ///
    /// # Errors
    /// One of them cannot be set. The group must not be used.
    pub(super) fn set(self, group: &Path) -> io::Result<()> {
        if let Some(bytes) = self.memory_bytes {
            write(&group.join("memory.max"), &bytes.to_string())?;
            // What swap holds would be beyond the limit. The file is missing where there is no swap. All of
            // the run is killed together, rather than one process without which the others wait.
            write_if_there(&group.join("memory.swap.max"), "0")?;
            write_if_there(&group.join("memory.oom.group"), "1")?;
        }
        if let Some(cpus) = self.cpus {
            write(&group.join("cpu.max"), &format!("{} {PERIOD_US}", cpus.saturating_mul(PERIOD_US)))?;
        }
        Ok(())
    }
}

/// Returns whether the kernel has killed a process of a group because there was no memory left for it.
pub(super) fn was_out_of_memory(group: &Path) -> bool {
    // The file is missing where the group has no controller of memory.
    let events = fs::read_to_string(group.join("memory.events")).unwrap_or_default();
    let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse::<u64>().ok());
    kills.is_some_and(|kills| kills > 0)
}

/// Writes to a file of the kernel's, and never makes one.
fn write(file: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(file)?.write_all(text.as_bytes())
}

fn write_if_there(file: &Path, text: &str) -> io::Result<()> {
    match write(file, text) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        written => written,
    }
}

/// Why runs cannot be held to what they have booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unenforceable {
    NotDelegated,
    NotApart,
    /// The delegated group does not have this controller.
    NoController(&'static str),
}

impl fmt::Display for Unenforceable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDelegated => f.write_str(NOT_DELEGATED),
            Self::NotApart => f.write_str(NOT_APART),
            Self::NoController(name) => {
                write!(f, "the delegated control group does not have the controller `{name}`")
            }
        }
    }
}

/// Looks whether the runs of a daemon can be held to these needs.
///
/// # Errors
/// The reason why they cannot.
pub fn check_enforceable(daemon: u32, needs: &Needs) -> Result<(), Unenforceable> {
    let Some(Delegated { directory, is_apart }) = delegated_to(daemon) else {
        return Err(Unenforceable::NotDelegated);
    };
    let there = fs::read_to_string(directory.join("cgroup.controllers")).unwrap_or_default();
    match Limits::of_needs(needs).lacks(&there) {
        _ if !is_apart => Err(Unenforceable::NotApart),
        Some(controller) => Err(Unenforceable::NoController(controller)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(text: &str) -> Share {
        serde_json::from_str(text).expect("a share")
    }

    const BOTH: &str = r#"{"cpu":{"indices":[0,3]},"mem":{"amount":4096},"gpu":{"indices":[1]}}"#;

    /// A directory with these files, as a group has them.
    fn group(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        files.iter().for_each(|file| fs::write(dir.path().join(file), "").expect("ours"));
        dir
    }

    fn read(group: &tempfile::TempDir, file: &str) -> String {
        fs::read_to_string(group.path().join(file)).expect(file)
    }

    #[test]
    fn a_run_is_held_to_its_share_of_cpu_and_memory_without_swap_and_dies_as_a_whole() {
        let group = group(&["memory.max", "memory.swap.max", "memory.oom.group", "cpu.max"]);
        Limits::of_share(Some(&share(BOTH))).set(group.path()).expect("all files are there");
        assert_eq!(read(&group, "memory.max"), "4096");
        assert_eq!(read(&group, "memory.swap.max"), "0");
        assert_eq!(read(&group, "memory.oom.group"), "1");
        assert_eq!(read(&group, "cpu.max"), "200000 100000");
    }

    #[test]
    fn what_was_not_booked_is_not_limited_and_a_kernel_without_swap_is_no_error() {
        let memory = Limits::of_share(Some(&share(r#"{"mem":{"amount":4096}}"#)));
        let group = group(&["memory.max"]);
        memory.set(group.path()).expect("the others are not needed");
        assert_eq!(read(&group, "memory.max"), "4096");
        assert_eq!(fs::read_dir(group.path()).expect("it is there").count(), 1, "no file is made");
    }

    #[test]
    fn a_group_says_whether_the_kernel_has_killed_in_it_for_memory() {
        let group = group(&[]);
        assert!(!was_out_of_memory(group.path()), "it has no controller of memory");
        for (kills, is_out) in [(0, false), (1, true), (12, true)] {
            let events = format!("low 0\nhigh 0\nmax 7\noom 3\noom_kill {kills}\noom_group_kill {kills}\n");
            fs::write(group.path().join("memory.events"), events).expect("ours");
            assert_eq!(was_out_of_memory(group.path()), is_out, "{kills}");
        }
    }

    #[test]
    fn a_limit_that_cannot_be_set_is_an_error() {
        let both = Limits::of_share(Some(&share(BOTH)));
        for files in [&["memory.max"][..], &["cpu.max"], &[]] {
            let set = both.set(group(files).path());
            assert_eq!(set.map_err(|error| error.kind()), Err(ErrorKind::NotFound), "{files:?}");
        }
    }

    #[test]
    fn controllers_are_enabled_once_and_only_those_that_are_needed() {
        let control = "cgroup.subtree_control";
        let both = Limits::of_needs(&"cpu=1,mem=1G,gpu=1".parse().expect("needs"));
        let group = group(&[control]);
        both.enable(group.path()).expect("ours");
        assert_eq!(read(&group, control), "+memory +cpu");
        fs::write(group.path().join(control), "io cpu pids\n").expect("ours");
        Limits::of_needs(&"cpu=1".parse().expect("needs")).enable(group.path()).expect("ours");
        assert_eq!(read(&group, control), "io cpu pids\n", "it has what is needed");
        assert_eq!((both.lacks("cpu cpuset"), both.lacks("memory cpu")), (Some("memory"), None));
    }
}
