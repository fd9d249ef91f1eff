//! Owns: the lock that makes a daemon the only one of its store, the facts about the daemon in the lock's
//! file, and what other processes must not do to the store of a running daemon.
//! Never: sockets.
//!
//! It is a record lock (see `keeper::lock`). Others can test it without taking it, so `status` never keeps a
//! daemon from starting. The daemon opens the file only once, because closing any other descriptor of it
//! would release the lock.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;
use crate::error::{self, Error, Result, describe};
use crate::keeper::lock::{holder, try_lock};
use crate::store::{Store, StoreError};
use crate::system::directory::FileId;
use crate::system::machine;

const LOCK_FILE: &str = "daemon.lock";

/// The facts that a running daemon writes into its lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonInfo {
    pub pid: u32,
    /// When it started, in microseconds since the epoch.
    pub since_us: i64,
    pub version: String,
    /// The slots of a queue without a number of its own.
    pub default_slots: usize,
}

impl DaemonInfo {
    pub fn since(&self) -> Timestamp {
        Timestamp::from_micros(self.since_us)
    }
}

/// The lock while it is held. Dropping it releases the lock.
#[derive(Debug)]
pub(super) struct DaemonLock(File);

impl DaemonLock {
    /// Returns whether the lock's file in `dir` is still this one. If it is not, the store may be another one
    /// too, and another daemon may serve it.
    pub(super) fn is_in_place(&self, dir: &Path) -> bool {
        let Ok(own) = self.0.metadata() else { return true };
        match fs::metadata(dir.join(LOCK_FILE)) {
            Ok(found) => FileId::from(&found) == FileId::from(&own),
            // Any other error may be temporary.
            Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        }
    }
}

fn open(dir: &Path) -> std::io::Result<File> {
    open_file(&dir.join(LOCK_FILE))
}

fn open_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Takes the lock in `dir` for `info`. Errors show the store as `shown`.
///
/// # Errors
/// `Conflict`, naming the daemon that holds it.
fn acquire(dir: &Path, shown: &Path, info: &DaemonInfo) -> Result<DaemonLock> {
    const WHAT: &str = "start daemon";
    let failed = |error: std::io::Error| {
        Error::new(error::ErrorKind::Io, WHAT, format!("`{LOCK_FILE}`: {}", describe(&error)))
    };
    let mut file = open(dir).map_err(failed)?;
    if !try_lock(&file).map_err(failed)? {
        let holder = holder(&file).map_or("another process".to_owned(), |pid| format!("pid {pid}"));
        return Err(Error::conflict(
            WHAT,
            format!("{holder} already serves the store `{}`", shown.display()),
        )
        .hint("see it with `taskq status`"));
    }
    let text = serde_json::to_string(info).expect("plain fields make JSON");
    // Whatever the umask is: the store's user must be able to open the file, and nobody else.
    file.set_permissions(Permissions::from_mode(0o600))
        .and_then(|()| file.set_len(0))
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(text.as_bytes()))
        .map_err(failed)?;
    Ok(DaemonLock(file))
}

fn read_info(file: &mut File) -> Option<DaemonInfo> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut text)).ok()?;
    serde_json::from_str(&text).ok()
}

/// Opens the store and takes its lock. Upgrades the store only under the lock, because a daemon of an earlier
/// version cannot serve the new one.
pub(super) fn take_store(dir: &Path, info: &DaemonInfo, what: &str) -> Result<(Store, DaemonLock)> {
    let opened = match Store::open(dir) {
        Err(StoreError::Older) => None,
        opened => Some(opened.map_err(|error| error.during(what))?),
    };
    let opened_dir = opened.as_ref().and_then(Store::directory).map(|directory| directory.below(""));
    let lock = acquire(opened_dir.as_deref().unwrap_or(dir), dir, info)?;
    let store = opened.map_or_else(|| Store::upgrade(dir), Ok).map_err(|error| error.during(what))?;
    Ok((store, lock))
}

/// Returns the daemon that serves the store in `dir`, if one does.
pub fn running_daemon(dir: &Path) -> Option<DaemonInfo> {
    let mut file = OpenOptions::new().read(true).write(true).open(dir.join(LOCK_FILE)).ok()?;
    holder(&file)?;
    read_info(&mut file)
}

/// Returns the slots of a queue without a number of its own: as the running daemon was started, else one per
/// CPU.
pub fn default_slots(dir: &Path) -> usize {
    default_slots_of(running_daemon(dir).as_ref())
}

/// Returns the same where the running daemon is known; `None`: there is none.
pub fn default_slots_of(daemon: Option<&DaemonInfo>) -> usize {
    daemon.map_or_else(machine::cpus, |daemon| daemon.default_slots)
}

/// Makes the daemon of the store in `dir` check its sockets and take a turn, if one runs.
///
/// It sends SIGHUP, which a daemon handles from before it takes its lock until it exits.
pub(super) fn wake_holder(dir: &Path) {
    if let Some(pid) = holder_to_signal(dir) {
        // A process that has just exited need not wake up.
        let _ = kill(pid, Signal::SIGHUP);
    }
}

/// Returns the process that holds the lock in `dir`, if the system and the file name the same one. On another
/// machine, or in another namespace of process ids, that id may belong to any process.
fn holder_to_signal(dir: &Path) -> Option<Pid> {
    let mut file = File::open(dir.join(LOCK_FILE)).ok()?;
    let holder = holder(&file).filter(|pid| *pid > 0)?;
    let info = read_info(&mut file)?;
    (i32::try_from(info.pid) == Ok(holder)).then(|| Pid::from_raw(holder))
}

/// Keeps daemons, or other verbs of the key, away from a store until it is dropped.
#[derive(Debug)]
pub struct StoreHold(#[expect(dead_code, reason = "dropping it releases the lock")] File);

/// Keeps daemons away from the store in `dir`, as long as the answer lives.
///
/// # Errors
/// `Conflict` if a daemon serves it.
pub fn hold_off_daemons(dir: &Path, what: &str) -> Result<StoreHold> {
    hold(dir, LOCK_FILE, what, |pid| {
        Error::conflict(what, format!("a daemon serves the store: pid {pid}"))
            .hint("stop it first: `systemctl --user stop taskq`, or end the process")
    })
}

/// Keeps other verbs that change the key away from the store in `dir`, as long as the answer lives.
///
/// # Errors
/// `Conflict` if one is at work.
pub fn hold_key(dir: &Path, what: &str) -> Result<StoreHold> {
    const FILE: &str = "key.lock";
    hold(dir, FILE, what, |pid| Error::conflict(what, format!("pid {pid} changes the key just now")))
}

fn hold(dir: &Path, name: &str, what: &str, held: impl Fn(i32) -> Error) -> Result<StoreHold> {
    let failed = |error: std::io::Error| {
        Error::new(error::ErrorKind::Io, what, format!("`{name}`: {}", describe(&error)))
    };
    let file = open_file(&dir.join(name)).map_err(failed)?;
    if !try_lock(&file).map_err(failed)? {
        return Err(held(holder(&file).unwrap_or(0)));
    }
    Ok(StoreHold(file))
}

/// Opens the store in `dir`. Upgrades a store of an earlier version unless a daemon serves it: a daemon of
/// that version would ignore what is new, and run as root what was added for another user. `what` is the
/// operation, for errors.
///
/// # Errors
/// `Conflict` if such a daemon serves it; `Io` if it cannot be opened.
pub fn open_store(dir: &Path, what: &str) -> Result<Store> {
    let opened = match Store::open(dir) {
        Err(StoreError::Older) => match open(dir).ok().and_then(|file| holder(&file)) {
            Some(pid) => {
                let cause =
                    format!("pid {pid}, which serves the store `{}`, is of an earlier taskq", dir.display());
                return Err(Error::conflict(what, cause)
                    .hint("stop the daemon first: the next one brings the store up to date"));
            }
            None => Store::upgrade(dir),
        },
        opened => opened,
    };
    opened.map_err(|error| error.during(what))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_that_inherits_the_file_does_not_inherit_the_lock() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let info = DaemonInfo { pid: 1, since_us: 0, version: String::new(), default_slots: 1 };
        let lock = acquire(dir.path(), dir.path(), &info).expect("nobody has it");
        let heir = lock.0.try_clone().expect("it is open");
        let mut child =
            Command::new("cat").stdin(Stdio::piped()).stdout(heir).spawn().expect("every system has cat");
        drop(lock);
        let taken = acquire(dir.path(), dir.path(), &info).map(|_| ());
        drop(child.stdin.take());
        child.wait().expect("it is ours");
        assert_eq!(taken, Ok(()));
    }

    #[test]
    fn a_lock_that_cannot_be_opened_is_an_error_in_our_words() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join(LOCK_FILE)).expect("it is empty");
        let info = DaemonInfo { pid: 1, since_us: 0, version: String::new(), default_slots: 1 };
        let error = acquire(dir.path(), dir.path(), &info).expect_err("a directory is no lock");
        assert_eq!(error.to_string(), "cannot start daemon: `daemon.lock`: is a directory");
    }
}
