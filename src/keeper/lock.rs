//! Owns: record locks (fcntl(2)), and the lock by which a keeper without a socket is found, and its version.
//! Never: sockets.
//!
//! A record lock ends with its process, and others can ask for its holder without taking it. It belongs to
//! the process: a lock of the open file would live on in a child that has not yet come to execve(2) when
//! the keeper is killed. So the file is opened only once: closing any other descriptor of it would release
//! the lock.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use super::protocol::PROTOCOL_VERSION;

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

/// Takes the lock of an open file. Returns `false` if another process has it.
///
/// # Errors
/// Any other error of fcntl(2).
pub fn try_lock(file: &File) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_SETLK(&whole_file(libc::F_WRLCK))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Returns the process that has the lock of an open file. The content of the file may still be of the
/// previous holder.
pub fn holder(file: &File) -> Option<i32> {
    let mut lock = whole_file(libc::F_WRLCK);
    fcntl(file, FcntlArg::F_GETLK(&mut lock)).ok()?;
    (libc::c_int::from(lock.l_type) != libc::F_UNLCK).then_some(lock.l_pid)
}

/// Takes the lock of the keeper of the store in `dir`, held until the file is closed.
///
/// # Errors
/// `AlreadyExists` if another keeper has it.
pub(super) fn acquire(dir: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let mut file = options.open(dir.join(LOCK_FILE))?;
    if !try_lock(&file)? {
        return Err(io::Error::new(ErrorKind::AlreadyExists, "another keeper serves this store"));
    }
    // Without it, on a full disk, it counts as a keeper of an earlier version.
    let _ = file.write_all(PROTOCOL_VERSION.to_string().as_bytes());
    Ok(file)
}

/// Returns the protocol version of the keeper of the store in `dir`, if one lives; 0 if it does not say.
pub fn keeper_version(dir: &Path) -> Option<u32> {
    let mut file = OpenOptions::new().read(true).write(true).open(dir.join(LOCK_FILE)).ok()?;
    holder(&file)?;
    let mut text = String::new();
    Some(file.read_to_string(&mut text).ok().and_then(|_| text.parse().ok()).unwrap_or(0))
}

/// Returns the process of the keeper of the store in `dir`, if one lives.
pub fn running_keeper(dir: &Path) -> Option<i32> {
    holder(&OpenOptions::new().read(true).write(true).open(dir.join(LOCK_FILE)).ok()?)
}
