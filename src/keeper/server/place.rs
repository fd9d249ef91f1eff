//! Owns: where a keeper lives: whether its store is still there, and making its socket anew.
//! Never: what becomes of the runs then.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Where a keeper listens, in the store's directory.
pub const SOCKET: &str = "keeper.sock";

/// The store's directory as it was when the keeper started. It is not held open: that would keep its file system from being
/// unmounted.
#[derive(Debug)]
pub(super) struct Place {
    dir: PathBuf,
    identity: (u64, u64),
}

impl Place {
    pub(super) fn new(dir: PathBuf) -> io::Result<Self> {
        Ok(Self { identity: identity(&dir)?, dir })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Tells whether the store was removed, replaced or unmounted: nobody will ever ask for a result.
    pub(super) fn is_gone(&self) -> bool {
        match identity(&self.dir) {
            Ok(found) => found != self.identity,
            // Any other error may pass.
            Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        }
    }

    /// Makes the socket anew, for a daemon that finds the keeper's lock and no socket.
    pub(super) fn listen(&self) -> io::Result<UnixListener> {
        let dir = File::open(&self.dir)?;
        // Short, however long the path is: a socket address holds 107 bytes.
        let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd()));
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

fn identity(dir: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(dir).map(|found| (found.dev(), found.ino()))
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
