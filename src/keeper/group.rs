//! Owns: signals to the process groups of runs.
//! Never: when to send them (see `stopping`).

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::procfs;
use super::stopping::StopSignal;

/// Signals the whole group of a run whose leader was not reaped, so that its number belongs to no other
/// group.
pub fn signal_group(leader: u32, signal: StopSignal) {
    let signals: &[Signal] = match signal {
        StopSignal::Terminate => &[Signal::SIGTERM, Signal::SIGCONT],
        StopSignal::Kill => &[Signal::SIGKILL],
    };
    for signal in signals {
        // ESRCH is impossible. EPERM means that a member has changed its user and cannot be reached.
        let _ = killpg(group(leader), *signal);
    }
}

/// Returns whether a group whose leader was reaped has members. Its number stays taken as long as it has.
pub fn is_alive(leader: u32) -> bool {
    killpg(group(leader), None) != Err(Errno::ESRCH)
}

/// Kills the members of a group whose leader was reaped.
///
/// Members whose parent is not the keeper can end unseen. The number could then belong to a stranger: to a
/// process, which our group no longer has, or to a group of another session, for a run leads its own.
pub fn kill_orphaned_group(leader: u32) {
    let mut is_ours = false;
    for process in procfs::processes() {
        if process.pid == leader {
            return;
        }
        is_ours |= process.group == leader && process.session == leader;
    }
    if is_ours {
        let _ = killpg(group(leader), Signal::SIGKILL);
    }
}

fn group(leader: u32) -> Pid {
    Pid::from_raw(i32::try_from(leader).expect("Linux numbers processes below 2^22"))
}
