//! Owns: the keeper's store directory: whether it is still there, and making the socket anew in it.
//! Never: what becomes of the runs.

use std::fs::{self, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::geteuid;

/// Where a keeper listens, in the store's directory.
pub const SOCKET: &str = "keeper.sock";

/// The store's directory, opened once: everything goes into the directory that was there at the start.
#[derive(Debug)]
pub(super) struct Place {
    /// Its name, which may lead elsewhere later.
    name: PathBuf,
    fd: OwnedFd,
    identity: (u64, u64),
}

impl Place {
    /// Opens the directory.
    ///
    /// # Errors
    /// `PermissionDenied` if it is another user's.
    pub(super) fn new(name: PathBuf) -> io::Result<Self> {
        let fd = open(&name, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        let found = fs::metadata(way(&fd))?;
        if found.uid() != geteuid().as_raw() {
            return Err(ErrorKind::PermissionDenied.into());
        }
        Ok(Self { name, fd, identity: identity(&found) })
    }

    /// Returns a path to the directory, valid as long as this lives.
    pub(super) fn base(&self) -> PathBuf {
        way(&self.fd)
    }

    /// Tells whether the store was removed, replaced or unmounted: no result will ever be fetched.
    pub(super) fn is_gone(&self) -> bool {
        match fs::metadata(&self.name) {
            Ok(found) => identity(&found) != self.identity,
            // Any other error may pass.
            Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        }
    }

    /// Makes the socket anew, for a daemon that finds the keeper's lock and no socket.
    pub(super) fn listen(&self) -> io::Result<UnixListener> {
        // Short, however long the name is: a socket address holds 107 bytes.
        let path = self.base().join(SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }
}

fn way(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

fn identity(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_gone_when_its_directory_is_removed_or_another() {
        let base = tempfile::tempdir().expect("a directory");
        let dir = base.path().join("store");
        fs::create_dir(&dir).expect("the name is new");
        let place = Place::new(dir.clone()).expect("it is there");
        assert!(!place.is_gone());
        fs::rename(&dir, base.path().join("old")).expect("ours");
        assert!(place.is_gone());
        fs::create_dir(&dir).expect("the name is free");
        assert!(place.is_gone());
    }
}
