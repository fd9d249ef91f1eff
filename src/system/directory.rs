//! Owns: a directory that is opened once, and the paths into it by its descriptor.
//! Never: what is in it.
//!
//! A name can lead elsewhere at its next use. So checks are made of the opened directory, and paths below it
//! go through `/proc/self/fd`.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::statfs::{FsType, TMPFS_MAGIC, statfs};

/// The directory of outputs and pipes in a store's directory.
pub const LOG_DIRECTORY: &str = "log";

/// `RAMFS_MAGIC` of linux/magic.h, where systemd keeps credentials.
const RAMFS_MAGIC: libc::__fsword_t = 0x8584_58f6;

/// A directory in memory for everyone, on most systems (shm_overview(7)).
const SHARED_MEMORY: &str = "/dev/shm";

/// Returns the preferred directory if its files are in memory, else one of which that is so, if there is one.
pub fn in_memory(preferred: &Path) -> PathBuf {
    const IN_MEMORY: [FsType; 2] = [TMPFS_MAGIC, FsType(RAMFS_MAGIC)];
    let is_in_memory =
        |path: &&Path| statfs(*path).is_ok_and(|found| IN_MEMORY.contains(&found.filesystem_type()));
    [preferred, Path::new(SHARED_MEMORY)].into_iter().find(is_in_memory).unwrap_or(preferred).to_owned()
}

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl From<&Metadata> for FileId {
    fn from(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

#[derive(Debug)]
pub struct OpenDirectory {
    fd: OwnedFd,
    path: PathBuf,
    id: FileId,
    /// The user that it belongs to.
    pub owner: u32,
}

impl OpenDirectory {
    /// Opens the directory at `path`, which may be a symlink.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open(path: &Path) -> io::Result<Self> {
        let fd = open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        let found = fs::metadata(by_descriptor(&fd))?;
        Ok(Self { fd, path: path.to_owned(), id: FileId::from(&found), owner: found.uid() })
    }

    /// Returns the path by which it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path to `name` in it, valid as long as this value lives.
    pub fn below(&self, name: &str) -> PathBuf {
        by_descriptor(&self.fd).join(name)
    }

    /// Returns whether its path still leads to it.
    pub fn is_in_place(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|found| FileId::from(&found) == self.id)
    }

    /// Returns whether it was removed, replaced or unmounted.
    pub fn is_gone(&self) -> bool {
        match fs::metadata(&self.path) {
            Ok(found) => FileId::from(&found) != self.id,
            // Any other error may pass.
            Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        }
    }
}

impl AsFd for OpenDirectory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn by_descriptor(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_gone_when_it_is_removed_or_another_has_its_name() {
        let base = tempfile::tempdir().expect("a directory");
        let path = base.path().join("store");
        fs::create_dir(&path).expect("the name is new");
        let directory = OpenDirectory::open(&path).expect("it is there");
        assert!(!directory.is_gone() && directory.is_in_place());
        fs::rename(&path, base.path().join("old")).expect("ours");
        assert!(directory.is_gone() && !directory.is_in_place());
        fs::create_dir(&path).expect("the name is free");
        assert!(directory.is_gone() && !directory.is_in_place());
    }
}
