//! Owns: signals to the process groups of runs.
//! Never: when to send them (see `stopping`).

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::procfs;
use super::stopping::StopSignal;

/// Sends to the whole group of a run whose leader has not been reaped, so that its number can be nobody
/// else's.
pub fn signal_group(leader: u32, signal: StopSignal) {
    // ESRCH cannot be, and EPERM is a member that changed its user: nothing to be done about it here.
    match signal {
        StopSignal::Terminate => {
            let _ = killpg(group(leader), Signal::SIGTERM);
            let _ = killpg(group(leader), Signal::SIGCONT);
        }
        StopSignal::Kill => {
            let _ = killpg(group(leader), Signal::SIGKILL);
        }
    }
}

/// Whether anyone is left of the group of a leader that was reaped. A number stays taken as long as a group
/// has it.
pub fn is_alive(leader: u32) -> bool {
    killpg(group(leader), None) != Err(Errno::ESRCH)
}

/// Kills what is left of the group of a leader that was reaped, if it is still ours.
///
/// Members that have another parent than the keeper can go unseen, and the number could then have come to
/// lead a stranger's group. A process group lies within one session, so one of ours is in that of the keeper
/// that started it.
pub fn kill_orphaned_group(leader: u32, session: i32) {
    if procfs::processes().any(|process| process.group == leader && process.session == session) {
        let _ = killpg(group(leader), Signal::SIGKILL);
    }
}

fn group(leader: u32) -> Pid {
    Pid::from_raw(i32::try_from(leader).expect("Linux numbers processes below 2^22"))
}
