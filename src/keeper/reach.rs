//! Owns: signals to all processes of a run, also to those that have left its process group.
//! Never: when to send them (see `stopping`), or which processes these are (see `search`).

use std::collections::HashMap;
use std::hash::Hash;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::procfs::Process;
use super::search::open;
use super::sys::signal_process;

/// How often a process that was forked meanwhile is looked for. Each look finds the children of processes
/// that had not stopped yet, so that a few are enough.
const LOOKS_MAX: usize = 50;

/// Signals the whole group of a run whose leader is a child of the keeper that was not reaped, so that its
/// number belongs to no other group.
pub fn signal_group(leader: u32, signals: &[Signal]) {
    let leader = Pid::from_raw(i32::try_from(leader).expect("Linux numbers processes below 2^22"));
    for signal in signals {
        // ESRCH is impossible. EPERM means that a member has changed its user and cannot be reached.
        let _ = killpg(leader, *signal);
    }
}

/// Signals each of these processes that has not ended.
pub fn signal_each<'a>(processes: impl IntoIterator<Item = &'a Process>, signals: &[Signal]) {
    for process in processes.into_iter().filter_map(open) {
        for signal in signals {
            let _ = signal_process(process.as_fd(), *signal);
        }
    }
}

/// The processes that were stopped, by number and start, each with its run; `None`: it was out of reach.
type Held<K> = HashMap<(u32, u64), Option<(K, OwnedFd)>>;

/// The processes that were killed, by run. Each is readable once it has ended.
pub type Killed<K> = HashMap<K, Vec<OwnedFd>>;

/// Kills the processes that `look` finds, each with its run, and those that they have forked meanwhile.
/// Returns those that it has reached: a process that has changed its user may be out of reach.
///
/// A stopped process cannot fork, and stays the parent of its children. So all are stopped before the first
/// is killed, and none can hide.
pub fn kill_all<K: Eq + Hash>(mut look: impl FnMut() -> Vec<(K, Process)>) -> Killed<K> {
    let mut held = Held::new();
    let mut is_killed = false;
    for _ in 0..LOOKS_MAX {
        let is_any_new = stop_new(look(), &mut held);
        if !is_any_new && (is_killed || held.is_empty()) {
            break;
        }
        if !is_any_new {
            kill(&held);
        }
        // One look more: a fork may have been under way when its process was stopped.
        is_killed = !is_any_new;
    }
    kill(&held);
    let mut killed = Killed::new();
    for (run, fd) in held.into_values().flatten() {
        killed.entry(run).or_default().push(fd);
    }
    killed
}

/// Stops the processes that `look` finds, and those that they have forked meanwhile.
pub fn stop_all<K>(mut look: impl FnMut() -> Vec<(K, Process)>) {
    let mut held = Held::new();
    // Two looks without a new one: a fork may be under way when its process is stopped.
    let mut calm = 0;
    for _ in 0..LOOKS_MAX {
        calm = if stop_new(look(), &mut held) { 0 } else { calm + 1 };
        if calm == 2 {
            return;
        }
    }
}

/// Stops those of these processes that are not held yet. Returns whether there was one.
fn stop_new<K>(found: Vec<(K, Process)>, held: &mut Held<K>) -> bool {
    let mut is_any_new = false;
    for (run, process) in found {
        held.entry((process.pid, process.start_ticks)).or_insert_with(|| {
            let fd = open(&process)?;
            signal_process(fd.as_fd(), Signal::SIGSTOP).ok()?;
            is_any_new = true;
            Some((run, fd))
        });
    }
    is_any_new
}

fn kill<K>(held: &Held<K>) {
    for (_, fd) in held.values().flatten() {
        // Whoever was reached by STOP is reached by KILL, unless it has ended.
        let _: Result<(), Errno> = signal_process(fd.as_fd(), Signal::SIGKILL);
    }
}
