//! Owns: waiting for the user's key before a sealed store is served.
//! Never: what is done without it: nothing fires, as while no daemon runs, and the next turn accounts for
//! what was missed by the policy of each job.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use inotify::{Inotify, WatchMask};
use log::{error, info};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sd_notify::NotifyState;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::signals::{drain, signal_pipe};
use crate::error::{Error, Result};
use crate::seal::OutputKeys;
use crate::store::{SealProblem, Store, StoreError};
use crate::system::key_file;

const WHAT: &str = "serve the store";

/// Waits until the key of a sealed store is there, and returns the keys of outputs, or `None` if it is told
/// to stop instead. A store that is not sealed has none. `hangup`: the pipe of SIGHUP, which makes it look
/// again.
///
/// # Errors
/// If the store cannot be read for another reason; also for this one if it serves `until_idle`.
pub(super) fn await_key(
    store: &mut Store,
    hangup: &mut UnixStream,
    until_idle: bool,
) -> Result<Option<Option<OutputKeys>>> {
    let watchdog = sd_notify::watchdog_enabled().map(|interval| interval / 2);
    let io = |error: io::Error| Error::io(WHAT, &error);
    let mut told = None;
    let stops = [signal_pipe(SIGTERM).map_err(io)?, signal_pipe(SIGINT).map_err(io)?];
    loop {
        // Before the look, so that what changes after it ends the wait.
        let watch = watch_places().map_err(io)?;
        let problem = match keys_of(store)? {
            Err(problem) => problem,
            Ok(keys) => {
                if told.is_some() {
                    info!("the key is there");
                    let _ = sd_notify::notify(&[NotifyState::Status("")]);
                }
                return Ok(Some(keys));
            }
        };
        if until_idle {
            return Err(StoreError::Sealed(problem).during(WHAT));
        }
        if told.as_ref() != Some(&problem) {
            error!("nothing starts until the key is there: {problem}; {}", problem.hint());
            let _ = sd_notify::notify(&[NotifyState::Ready, NotifyState::Status("waiting for the key")]);
            told = Some(problem);
        }
        if wait(&watch, hangup, &stops, watchdog).map_err(io)? {
            return Ok(None);
        }
    }
}

/// Watches the directories in which the key may appear, or the nearest ones above them that exist.
fn watch_places() -> io::Result<Inotify> {
    let inotify = Inotify::init()?;
    let changes = WatchMask::CREATE | WatchMask::MOVED_TO | WatchMask::CLOSE_WRITE | WatchMask::ATTRIB;
    for file in key_file::candidates() {
        let existing = file.path.ancestors().skip(1).find(|directory| directory.is_dir());
        // One that cannot be watched is looked at after a SIGHUP.
        let _ = existing.map(|directory| inotify.watches().add(directory, changes));
    }
    Ok(inotify)
}

/// Waits for a change, and feeds the watchdog meanwhile. Returns whether a stop was asked for.
fn wait(
    watch: &Inotify,
    hangup: &mut UnixStream,
    stops: &[UnixStream; 2],
    watchdog: Option<Duration>,
) -> io::Result<bool> {
    let timeout = watchdog
        .map_or(PollTimeout::NONE, |interval| PollTimeout::try_from(interval).unwrap_or(PollTimeout::MAX));
    loop {
        let fds = [watch.as_fd(), hangup.as_fd(), stops[0].as_fd(), stops[1].as_fd()];
        let mut fds = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut fds, timeout) {
            Ok(0) => {
                let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            }
            Err(Errno::EINTR) => {}
            ready => {
                ready?;
                let is_told = |fd: &PollFd<'_>| fd.any() == Some(true);
                let ends = fds[2..].iter().any(is_told);
                drain(hangup);
                return Ok(ends);
            }
        }
    }
}

/// Returns the keys of outputs, or why the store cannot be read, if that is for its key.
fn keys_of(store: &mut Store) -> Result<std::result::Result<Option<OutputKeys>, SealProblem>> {
    let found = store.read(|reader| Ok((reader.unfinished_sealing()?, reader.output_keys())));
    let (unfinished, keys) = found.map_err(|error: StoreError| error.during(WHAT))?;
    if let Some(unfinished) = unfinished {
        let verb = unfinished.verb();
        return Err(
            Error::conflict(WHAT, format!("`taskq key {verb}` was interrupted")).hint("call it again")
        );
    }
    match keys {
        Ok(keys) => Ok(Ok(keys)),
        Err(StoreError::Sealed(problem)) if problem.is_of_key() => Ok(Err(problem)),
        Err(error) => Err(error.during(WHAT)),
    }
}
