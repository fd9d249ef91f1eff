//! Owns: daemons whose sockets are gone: telling one so from outside.
//! Never: making sockets (see `doors`).

use std::path::Path;

use nix::sys::signal::{Signal, kill};

use super::lock;
use super::sockets::{self, ADDS, POKES, TURNS};

/// Tells the daemon of the store in `dir` to look after its sockets and to take a turn, if there is one.
///
/// The signal is SIGHUP: read everything again. A daemon takes it from before it holds its lock until it has
/// ended.
pub(super) fn wake(dir: &Path) {
    if let Some(pid) = lock::holder_to_signal(dir) {
        // A process that is gone meanwhile needs no waking.
        let _ = kill(pid, Signal::SIGHUP);
    }
}

/// Tells whether clients find the sockets of the daemon that serves the store in `dir`. Wakes nobody.
pub fn is_listening(dir: &Path) -> bool {
    sockets::are_there(dir, POKES, &[TURNS, ADDS])
}
