//! Owns: record locks (fcntl(2)), and the lock by which a keeper is found whatever became of its socket.
//! Never: sockets.
//!
//! A record lock dies with its process, and others can ask for its holder without taking it. It is the
//! process's own: a lock of the open file would live on in a child that was made and has not yet come to
//! execve(2) when the keeper is killed. For that the file is opened once only: closing any other descriptor
//! of it would give the lock up.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use serde::{Deserialize, Serialize};

use super::protocol::KeeperInstance;
use super::setup;

const LOCK_FILE: &str = "keeper.lock";

fn whole_file(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: libc::c_short::try_from(kind).expect("lock types are small numbers"),
        l_whence: libc::c_short::try_from(libc::SEEK_SET).expect("SEEK_SET is 0"),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// Takes the lock of an open file; `false`: another process has it.
///
/// # Errors
/// Whatever else fcntl(2) has.
pub fn try_lock(file: &File) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_SETLK(&whole_file(libc::F_WRLCK))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Returns the process that has the lock of an open file. What the file says may still be the word of the one
/// before it.
pub fn holder(file: &File) -> Option<i32> {
    let mut lock = whole_file(libc::F_WRLCK);
    fcntl(file, FcntlArg::F_GETLK(&mut lock)).ok()?;
    (libc::c_int::from(lock.l_type) != libc::F_UNLCK).then_some(lock.l_pid)
}

/// What a keeper says about itself in its lock file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeeperInfo {
    /// Who it is.
    pub instance: KeeperInstance,
    /// The session of all that it starts.
    pub session: i32,
}

/// The lock of the keeper of a store, held as long as this lives.
#[derive(Debug)]
pub(super) struct KeeperLock {
    #[expect(dead_code, reason = "closing the file gives the lock up")]
    file: File,
    /// What the keeper before said, if that can be read.
    pub before: Option<KeeperInfo>,
}

/// Takes the lock of the store in `dir`.
///
/// # Errors
/// `AlreadyExists` if another keeper has it.
pub(super) fn acquire(dir: &Path, instance: KeeperInstance) -> io::Result<KeeperLock> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let mut file = options.open(dir.join(LOCK_FILE))?;
    if !try_lock(&file)? {
        return Err(io::Error::new(ErrorKind::AlreadyExists, "another keeper serves this store"));
    }
    let mut text = String::new();
    let before = file.read_to_string(&mut text).ok().and_then(|_| serde_json::from_str(&text).ok());
    let info = KeeperInfo { instance, session: setup::session() };
    let text = serde_json::to_string(&info).expect("plain fields make JSON");
    // On a full disk the lock holds all the same; only a successor would look longer for what this one
    // started.
    let _ = file
        .rewind()
        .and_then(|()| file.write_all(text.as_bytes()))
        .and_then(|()| file.set_len(text.len() as u64));
    Ok(KeeperLock { file, before })
}

/// Returns the process of the keeper of the store in `dir`, if one lives.
pub fn running_keeper(dir: &Path) -> Option<i32> {
    holder(&OpenOptions::new().read(true).write(true).open(dir.join(LOCK_FILE)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keeper_finds_what_the_one_before_said_about_itself() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = acquire(dir.path(), 7).expect("nobody has it");
        assert_eq!(first.before, None);
        drop(first);
        let second = acquire(dir.path(), 8).expect("nobody has it");
        assert_eq!(second.before.map(|info| info.instance), Some(7));
    }
}
