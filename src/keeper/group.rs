//! Owns: signals to the process groups of runs.
//! Never: when to send them (see `stopping`).

use std::fs;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{self, Pid};

use super::stopping::Blow;

/// Sends to the whole group of a run whose leader has not been reaped, so that its number can be nobody else's.
pub fn strike(leader: u32, blow: Blow) {
    // ESRCH cannot be, and EPERM is a member that changed its user: nothing to be done about it here.
    match blow {
        Blow::Terminate => {
            let _ = killpg(group(leader), Signal::SIGTERM);
            let _ = killpg(group(leader), Signal::SIGCONT);
        }
        Blow::Kill => {
            let _ = killpg(group(leader), Signal::SIGKILL);
        }
    }
}

/// Whether anyone is left of the group of a leader that was reaped. A number stays taken as long as a group has it.
pub fn is_alive(leader: u32) -> bool {
    killpg(group(leader), None) != Err(Errno::ESRCH)
}

/// Kills what is left of the group of a leader that was reaped, if it is still ours.
///
/// Members that have another parent than the keeper can go unseen, and the number could then have come to lead a
/// stranger's group. A process group lies within one session, so one of ours is in the keeper's.
pub fn kill_remains(leader: u32) {
    let session = unistd::getsid(None).map_or(0, Pid::as_raw);
    if processes().any(|stat| group_and_session(&stat) == Some((group(leader).as_raw(), session))) {
        let _ = killpg(group(leader), Signal::SIGKILL);
    }
}

fn group(leader: u32) -> Pid {
    Pid::from_raw(i32::try_from(leader).expect("Linux numbers processes below 2^22"))
}

fn processes() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbered = entries.filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit());
    numbered.filter_map(|entry| fs::read(entry.path().join("stat")).ok()).map(|stat| {
        // The name in it is of any bytes; the numbers behind it are not.
        String::from_utf8_lossy(&stat).into_owned()
    })
}

/// Reads proc_pid_stat(5): `pid (name) state ppid pgrp session …`, where the name may hold anything, `)` too.
fn group_and_session(stat: &str) -> Option<(i32, i32)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_and_session_are_found_behind_any_name() {
        assert_eq!(group_and_session("7 (a) 9 9 (b) S 1 42 43 0 -1"), Some((42, 43)));
        assert_eq!(group_and_session("7 (cut"), None);
    }

    #[test]
    fn our_own_process_is_among_the_processes() {
        let own = (unistd::getpgrp().as_raw(), unistd::getsid(None).expect("we have a session").as_raw());
        assert!(processes().any(|stat| group_and_session(&stat) == Some(own)));
    }
}
