//! Owns: launching a keeper, and what its process needs: session, signals, descriptors, umask, directory.
//! Never: the processes of runs.
#![expect(clippy::disallowed_types, reason = "the keeper itself is started here")]

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::prctl;
use nix::sys::signal::SigSet;
use nix::sys::socket::{getsockopt, sockopt};
use nix::sys::stat::{Mode, umask};
use nix::unistd;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGPIPE, SIGTERM};
use signal_hook::{flag, low_level};

use super::sys;

/// Nothing that a keeper makes is open to another user.
pub(super) const KEEPER_UMASK: Mode = Mode::S_IRWXG.union(Mode::S_IRWXO);

/// Starts a keeper, `exe` with `args`, that serves `listener`, and returns its process id.
///
/// The listener becomes the keeper's standard input, for `adopt_stdin_listener`. Connections made from now
/// on wait in its backlog, so nothing is lost before the keeper is up.
///
/// The keeper is a child of the caller, which reaps it by waitpid(2) with WNOHANG once its link is gone,
/// and again whenever the next keeper is launched.
///
/// # Errors
/// If it cannot be started.
pub fn launch(program: &Path, args: &[OsString], listener: UnixListener, stderr: Stdio) -> io::Result<u32> {
    listener.set_nonblocking(true)?;
    let mut command = Command::new(program);
    command.args(args).stdin(OwnedFd::from(listener)).stdout(Stdio::null()).stderr(stderr);
    Ok(command.spawn()?.id())
}

/// Takes the listening socket that the daemon left as standard input, and puts `/dev/null` in its place.
///
/// To be called by `taskq keeper` before it opens anything: every other descriptor above standard error is
/// closed.
///
/// # Errors
/// If standard input is not a listening socket.
pub fn adopt_stdin_listener() -> io::Result<UnixListener> {
    sys::close_inherited();
    let stdin = io::stdin();
    if !getsockopt(&stdin, sockopt::AcceptConn).unwrap_or(false) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "standard input is not a listening socket"));
    }
    let listener = UnixListener::from(stdin.as_fd().try_clone_to_owned()?);
    unistd::dup2_stdin(File::open("/dev/null")?)?;
    Ok(listener)
}

/// What wakes the keeper up.
#[derive(Debug)]
pub struct Signals {
    /// Readable when a child has ended, or on SIGHUP or SIGTERM.
    pub woken: UnixStream,
    hangup: Arc<AtomicBool>,
    termination: Arc<AtomicBool>,
}

impl Signals {
    /// Returns whether SIGHUP came since the last call.
    pub fn take_hangup(&self) -> bool {
        self.hangup.swap(false, Ordering::Relaxed)
    }

    /// Returns whether SIGTERM came since the last call.
    pub fn take_termination(&self) -> bool {
        self.termination.swap(false, Ordering::Relaxed)
    }

    /// Empties `woken`.
    pub fn drain(&self) {
        let mut bytes = [0; 64];
        while (&self.woken).read(&mut bytes).is_ok_and(|count| count == bytes.len()) {}
    }
}

/// Makes this process a keeper, and returns what wakes it up.
///
/// # Errors
/// If a handler cannot be installed or the process cannot be a subreaper: ends would then go unseen.
pub fn become_keeper() -> io::Result<Signals> {
    // A Ctrl-C in the daemon's terminal, or its hangup, is not for the keeper. EPERM: it already leads a
    // group, as under a shell's job control.
    let _ = unistd::setsid();
    umask(KEEPER_UMASK);
    // The only file system that it keeps mounted is the store's.
    let _ = std::env::set_current_dir("/");
    prctl::set_child_subreaper(true)?;
    SigSet::empty().thread_set_mask()?;
    let (woken, write_end) = UnixStream::pair()?;
    woken.set_nonblocking(true)?;
    low_level::pipe::register(SIGCHLD, write_end.try_clone()?)?;
    // In this order: whoever is woken finds the flag.
    let hangup = Arc::new(AtomicBool::new(false));
    flag::register(SIGHUP, Arc::clone(&hangup))?;
    low_level::pipe::register(SIGHUP, write_end.try_clone()?)?;
    let termination = Arc::new(AtomicBool::new(false));
    flag::register(SIGTERM, Arc::clone(&termination))?;
    low_level::pipe::register(SIGTERM, write_end)?;
    // Handled, not ignored: execve(2) resets a handler and leaves an ignored signal ignored, and jobs are
    // to get the defaults. So signals that the daemon inherited as ignored (by nohup(1)) get a handler too.
    let unread = Arc::new(AtomicBool::new(false));
    flag::register(SIGINT, Arc::clone(&unread))?;
    for signal in ignored_signals().filter(|signal| takes_handler(*signal)) {
        // Refused for those that the C library keeps for itself.
        let _ = flag::register(signal, Arc::clone(&unread));
    }
    Ok(Signals { woken, hangup, termination })
}

/// SIGPIPE stays ignored here, and is the default in what is spawned; signal-hook panics on the others.
fn takes_handler(signal: i32) -> bool {
    signal != SIGPIPE && !signal_hook::consts::FORBIDDEN.contains(&signal)
}

fn ignored_signals() -> impl Iterator<Item = i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = ignored_mask(&status);
    (1..=64).filter(move |signal| ignored & (1 << (signal - 1)) != 0)
}

fn ignored_mask(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read_from_proc() {
        assert_eq!(ignored_mask("SigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n"), 0x1001);
        assert_eq!(ignored_mask(""), 0);
    }
}
