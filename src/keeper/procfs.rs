//! Owns: the facts in proc_pid(5) about processes that may not be children of the keeper.
//! Never: what follows from it.

use std::fs;
use std::io;
use std::iter::repeat_with;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

/// A process as proc_pid_stat(5) shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub pid: u32,
    pub parent: u32,
    pub group: u32,
    pub session: u32,
    /// It has ended and was not reaped.
    pub is_zombie: bool,
    /// When it was started, in ticks since the boot.
    pub start_ticks: u64,
    /// CPU time in ticks, with that of children that were waited for.
    pub cpu_ticks: u64,
    /// Its resident set.
    pub rss_pages: u64,
}

pub(super) fn processes() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| process(entry.file_name().to_str()?.parse().ok()?))
}

/// Returns the processes of a session that have not ended.
pub(super) fn processes_of_session(session: u32) -> impl Iterator<Item = Process> {
    processes().filter(move |process| process.session == session && !process.is_zombie)
}

/// Returns one process, if it is there.
pub(super) fn process(pid: u32) -> Option<Process> {
    // The name in it is of any bytes; the numbers after it are not.
    parse(&String::from_utf8_lossy(&fs::read(directory(pid).join("stat")).ok()?))
}

fn directory(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

/// Reads `pid (name) state ppid pgrp session …`, where the name may hold anything, `)` too.
fn parse(stat: &str) -> Option<Process> {
    let (before, after) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after.split_ascii_whitespace().collect();
    Some(Process {
        pid: before.split_once(' ')?.0.parse().ok()?,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        is_zombie: matches!(*fields.first()?, "Z" | "X"),
        start_ticks: fields.get(19)?.parse().ok()?,
        cpu_ticks: fields.get(11..15)?.iter().map(|ticks| ticks.parse().unwrap_or(0)).sum(),
        rss_pages: fields.get(21).and_then(|pages| pages.parse().ok()).unwrap_or(0),
    })
}

/// Returns the children of the main thread of this process, also those that have ended and were not reaped;
/// `None` if the kernel does not list them.
pub(super) fn own_children() -> Option<Vec<u32>> {
    let pid = std::process::id();
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    text.split_ascii_whitespace().map(|child| child.parse().ok()).collect()
}

/// How often an environment is read that seems empty.
const ENVIRONMENT_READS: usize = 500;

/// Returns the environment that a process was started with; empty if it may not be read.
///
/// It seems empty for a moment in execve(2), which is soon over.
pub fn environment(pid: u32) -> Vec<Vec<u8>> {
    let read = || fs::read(directory(pid).join("environ")).unwrap_or_default();
    let first = read();
    // Threads of the kernel and zombies have neither a program nor an environment.
    if !first.is_empty() || fs::read_link(directory(pid).join("exe")).is_err() {
        return variables(&first);
    }
    let again = repeat_with(|| {
        thread::yield_now();
        read()
    });
    variables(&again.take(ENVIRONMENT_READS).find(|text| !text.is_empty()).unwrap_or_default())
}

fn variables(text: &[u8]) -> Vec<Vec<u8>> {
    text.split(|byte| *byte == 0).filter(|variable| !variable.is_empty()).map(<[u8]>::to_vec).collect()
}

/// Returns the device and inode numbers of the FIFOs that a process has open; none if they may not be read.
pub(super) fn fifos(pid: u32) -> Vec<(u64, u64)> {
    let entries = fs::read_dir(directory(pid).join("fd")).into_iter().flatten().flatten();
    let open = entries.filter_map(|entry| fs::metadata(entry.path()).ok());
    open.filter(|found| found.mode() & libc::S_IFMT == libc::S_IFIFO)
        .map(|found| (found.dev(), found.ino()))
        .collect()
}

/// Returns the time since the boot. It includes suspends, as the ticks of `Process` do.
///
/// # Errors
/// If proc(5) is not mounted.
pub(super) fn since_boot() -> io::Result<Duration> {
    let text = fs::read_to_string("/proc/uptime")?;
    let seconds = text.split_ascii_whitespace().next().and_then(|text| text.parse::<f64>().ok());
    seconds.map(Duration::from_secs_f64).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Returns the time from the boot to a process's start.
pub(super) fn start_of(process: &Process) -> Duration {
    of_ticks(process.start_ticks)
}

/// Returns how long so many clock ticks are: sysconf(3), `_SC_CLK_TCK`.
pub(super) fn of_ticks(ticks: u64) -> Duration {
    let hertz = sysconf(SysconfVar::CLK_TCK).ok().flatten().filter(|hertz| *hertz > 0).unwrap_or(100);
    Duration::from_secs_f64(ticks as f64 / hertz as f64)
}

/// Returns the size of a page in bytes: sysconf(3), `_SC_PAGESIZE`.
pub(super) fn page_bytes() -> u64 {
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(4_096)
}

#[cfg(test)]
mod tests {
    use nix::unistd;

    use super::*;

    #[test]
    fn the_fields_are_found_after_any_name() {
        let stat = "7 (a) 9 9 (b) S 1 42 43 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 4711 0 33";
        let expected = Process {
            pid: 7,
            parent: 1,
            group: 42,
            session: 43,
            is_zombie: false,
            start_ticks: 4711,
            cpu_ticks: 26,
            rss_pages: 33,
        };
        assert_eq!(parse(stat), Some(expected));
        assert_eq!(parse("7 (cut"), None);
    }

    #[test]
    fn the_children_of_the_main_thread_are_listed() {
        // Tests run in other threads, whose children these are.
        assert_eq!(own_children().unwrap_or_default(), [] as [u32; 0]);
    }

    #[test]
    fn our_own_process_is_among_the_processes() {
        let own = processes().find(|process| process.pid == std::process::id()).expect("we run");
        assert_eq!(own.session.cast_signed(), unistd::getsid(None).expect("we have a session").as_raw());
        assert!(!own.is_zombie && start_of(&own) <= since_boot().expect("there is /proc"));
        assert!(!environment(own.pid).is_empty());
    }
}
