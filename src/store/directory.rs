//! Owns: the directory of a store, opened once and checked by its descriptor, and the paths below it.
//! Never: the content of the database.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::statvfs::fstatvfs;
use nix::unistd::geteuid;

use super::error::{StoreError, StoreResult, unusable};
use crate::error::errno_of;
use crate::system::directory::{LOG_DIRECTORY, OpenDirectory};

/// The database, and the files of SQLite beside it: the log (WAL) and the index of the log (shared memory).
pub(super) const DATABASE: &str = "taskq.db";
pub(super) const LOG: &str = "taskq.db-wal";
pub(super) const INDEX: &str = "taskq.db-shm";

/// The directory of a store.
#[derive(Debug)]
pub struct Directory(OpenDirectory);

impl Directory {
    /// Opens the directory at `path`, which may be a symlink; `None` if it does not exist. Changes nothing.
    ///
    /// # Errors
    /// Fails if it is not a directory, or belongs to another user.
    pub fn open(path: &Path) -> StoreResult<Option<Self>> {
        let directory = match OpenDirectory::open(path) {
            Ok(directory) => directory,
            Err(error) => match errno_of(&error) {
                Errno::ENOENT => return Ok(None),
                Errno::ENOTDIR if path.exists() => return Err(not_a_directory(path)),
                _ => return Err(unusable(path, &error)),
            },
        };
        if directory.owner != geteuid().as_raw() {
            return Err(StoreError::Unusable(format!(
                "the store `{}` belongs to user {}, not to user {}",
                path.display(),
                directory.owner,
                geteuid()
            )));
        }
        Ok(Some(Self(directory)))
    }

    /// Opens the directory at `path`, and makes it if it does not exist, with mode 0700 despite the umask.
    ///
    /// # Errors
    /// As `open`.
    pub fn make(path: &Path) -> StoreResult<Self> {
        if let Some(directory) = Self::open(path)? {
            return Ok(directory);
        }
        let failed = |error: io::Error| unusable(path, &error);
        if let Some(parent) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
        }
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        // A symlink to a missing target exists, but is not a directory.
        let directory = Self::open(path)?.ok_or_else(|| not_a_directory(path))?;
        directory.set_mode().map_err(failed)?;
        Ok(directory)
    }

    /// Returns the path that it was opened by, for messages.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Returns the path of a name in the directory. It is valid while this value lives.
    pub fn below(&self, name: &str) -> PathBuf {
        self.0.below(name)
    }

    /// Returns the metadata of a file in it, without following a symlink; `None` if it does not exist.
    pub(super) fn inspect(&self, name: &str) -> StoreResult<Option<fs::Metadata>> {
        match fs::symlink_metadata(self.below(name)) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(&self.path().join(name), &error)),
        }
    }

    /// Does the same for a file that must be regular.
    pub(super) fn inspect_file(&self, name: &str) -> StoreResult<Option<fs::Metadata>> {
        let found = self.inspect(name)?;
        if found.as_ref().is_some_and(|metadata| !metadata.is_file()) {
            return Err(StoreError::Unusable(format!(
                "`{}` is not a regular file",
                self.path().join(name).display()
            )));
        }
        Ok(found)
    }

    /// Does the same for the database, which must belong to this user too.
    pub(super) fn inspect_database(&self) -> StoreResult<Option<fs::Metadata>> {
        let Some(metadata) = self.inspect_file(DATABASE)? else { return Ok(None) };
        if metadata.uid() != geteuid().as_raw() {
            return Err(StoreError::Unusable(format!(
                "`{}` belongs to user {}, not to user {}",
                self.path().join(DATABASE).display(),
                metadata.uid(),
                geteuid()
            )));
        }
        Ok(Some(metadata))
    }

    /// Sets mode 0700. Fails if others have access and it holds files but no store: `--dir .` or `--dir /tmp`
    /// is a mistake, and must not close a directory that others share.
    pub(super) fn close_to_others(&self) -> StoreResult<()> {
        let failed = |error: io::Error| unusable(self.path(), &error);
        let metadata = fs::metadata(self.below("")).map_err(failed)?;
        if metadata.permissions().mode() & 0o077 == 0 {
            return Ok(());
        }
        let is_empty = fs::read_dir(self.below("")).map_err(failed)?.next().is_none();
        if !is_empty && self.inspect(DATABASE)?.is_none() && self.inspect(LOG)?.is_none() {
            return Err(StoreError::Unusable(format!(
                "`{}` holds other files and is open to others: a store needs its own directory (mode 700)",
                self.path().display()
            )));
        }
        self.set_mode().map_err(failed)
    }

    fn set_mode(&self) -> io::Result<()> {
        fs::set_permissions(self.below(""), Permissions::from_mode(0o700))
    }

    /// Makes the directory of the outputs if it does not exist, with mode 0700 despite the umask. Returns
    /// whether it did.
    ///
    /// # Errors
    /// Fails if another file has its name, or it cannot be made.
    pub fn make_outputs(&self) -> StoreResult<bool> {
        let outputs = self.below(LOG_DIRECTORY);
        let shown = self.path().join(LOG_DIRECTORY);
        if outputs.is_dir() {
            return Ok(false);
        }
        match DirBuilder::new().mode(0o700).create(&outputs) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists && outputs.is_dir() => return Ok(false),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(not_a_directory(&shown)),
            Err(error) => return Err(unusable(&shown, &error)),
        }
        fs::set_permissions(&outputs, Permissions::from_mode(0o700))
            .map_err(|error| unusable(&shown, &error))?;
        Ok(true)
    }

    /// Waits until the names in it are on disk.
    pub(super) fn sync(&self) -> StoreResult<()> {
        sync(&self.below(".")).map_err(|error| unusable(self.path(), &error))
    }

    /// Waits until the names in the directory of the outputs are on disk.
    pub(super) fn sync_outputs(&self) -> StoreResult<()> {
        let failed = |error: io::Error| unusable(&self.path().join(LOG_DIRECTORY), &error);
        sync(&self.below(LOG_DIRECTORY)).map_err(failed)
    }

    /// Waits until the names of its parent directories are on disk: those on this file system which this user
    /// may read.
    pub(super) fn sync_ancestors(&self) -> StoreResult<()> {
        let failed = |error: io::Error| unusable(self.path(), &error);
        let path = fs::canonicalize(self.below("")).map_err(failed)?;
        let device = fs::metadata(&path).map_err(failed)?.dev();
        let is_here =
            |ancestor: &&Path| fs::metadata(ancestor).is_ok_and(|metadata| metadata.dev() == device);
        for ancestor in path.ancestors().skip(1).take_while(is_here) {
            match sync(ancestor) {
                Err(error) if error.kind() == ErrorKind::PermissionDenied => break,
                synced => synced.map_err(failed)?,
            }
        }
        Ok(())
    }

    /// Returns whether its path still leads to it.
    pub(super) fn is_in_place(&self) -> bool {
        self.0.is_in_place()
    }

    /// Returns the free bytes of its file system for this user; `u64::MAX` if they are unknown.
    pub(super) fn free_bytes(&self) -> u64 {
        fstatvfs(&self.0)
            .map_or(u64::MAX, |stat| stat.blocks_available().saturating_mul(stat.fragment_size()))
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn not_a_directory(path: &Path) -> StoreError {
    StoreError::Unusable(format!("`{}` is not a directory", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_lead_to_the_opened_directory_also_after_a_rename() {
        let base = tempfile::tempdir().expect("a temporary directory");
        let (name, other) = (base.path().join("store"), base.path().join("other"));
        let directory = Directory::make(&name).expect("the name is new");
        fs::write(name.join(DATABASE), "ours").expect("it is ours");
        fs::create_dir(&other).expect("the name is new");
        fs::write(other.join(DATABASE), "another's").expect("it is ours");
        assert!(directory.is_in_place());
        fs::rename(&name, base.path().join("away")).expect("it is there");
        assert!(!directory.is_in_place());
        std::os::unix::fs::symlink(&other, &name).expect("the name is free");
        assert!(!directory.is_in_place());
        assert_eq!(fs::read(directory.below(DATABASE)).expect("it is there"), b"ours");
    }

    #[test]
    fn a_directory_opened_by_a_symlink_is_in_place() {
        let base = tempfile::tempdir().expect("a temporary directory");
        let (name, link) = (base.path().join("store"), base.path().join("link"));
        Directory::make(&name).expect("the name is new");
        std::os::unix::fs::symlink(&name, &link).expect("the name is new");
        let directory = Directory::make(&link).expect("it is a directory");
        assert!(directory.is_in_place());
    }

    #[test]
    fn a_file_is_refused_and_opening_a_missing_directory_does_not_make_it() {
        let base = tempfile::tempdir().expect("a temporary directory");
        let (file, nothing, dangling) = (base.path().join("f"), base.path().join("n"), base.path().join("d"));
        fs::write(&file, "").expect("it is ours");
        std::os::unix::fs::symlink(&nothing, &dangling).expect("the name is new");
        for path in [&file, &dangling] {
            let refused = Directory::make(path).expect_err("nothing can be in it").to_string();
            assert_eq!(refused, format!("`{}` is not a directory", path.display()));
        }
        assert!(
            Directory::open(&nothing).expect("a missing directory is not an error").is_none()
                && !nothing.exists()
        );
    }

    #[test]
    fn a_missing_directory_of_outputs_is_made_once() {
        let base = tempfile::tempdir().expect("a temporary directory");
        let directory = Directory::make(&base.path().join("store")).expect("the name is new");
        assert!(directory.make_outputs().expect("there is room"));
        assert!(!directory.make_outputs().expect("it is there"));
        let mode = fs::metadata(base.path().join("store/log")).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
