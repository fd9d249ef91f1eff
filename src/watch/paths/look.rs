//! Owns: looking at a file, without an answer that can fail the daemon.
//! Never: what follows from it.

use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::names::Names;
use crate::domain::PathMark;

/// A file as it was seen. Symbolic links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) inode: u64,
    pub(super) size: u64,
    pub(super) modified_ns: i64,
    pub(super) kind: FileKind,
    /// Its content is older than its name: it is a further link to a file that was written elsewhere.
    pub(super) was_elsewhere: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Regular,
    Directory,
    Other,
}

impl Look {
    fn of(metadata: &Metadata) -> Self {
        let kind = if metadata.is_file() {
            FileKind::Regular
        } else if metadata.is_dir() {
            FileKind::Directory
        } else {
            FileKind::Other
        };
        let modified_ns = nanoseconds(metadata.mtime(), metadata.mtime_nsec());
        let changed_ns = nanoseconds(metadata.ctime(), metadata.ctime_nsec());
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            modified_ns,
            kind,
            // A write sets both times to the same instant, and a link sets only the second.
            was_elsewhere: metadata.nlink() > 1 || changed_ns > modified_ns,
        }
    }

    /// Returns what is remembered of it. Of a directory, size and time are those of its list of entries,
    /// whose changes are no changes of the directory here: nothing tells of them while the daemon runs
    /// either.
    pub(super) fn mark(&self) -> PathMark {
        let (size, modified_ns) = match self.kind {
            FileKind::Regular | FileKind::Other => (self.size, self.modified_ns),
            FileKind::Directory => (0, 0),
        };
        PathMark { inode: self.inode, size, modified_ns, base: 0, lines: 0 }
    }

    /// Returns its size in bytes, if it is a file that has one.
    pub(super) fn bytes(&self) -> Option<u64> {
        (self.kind == FileKind::Regular).then_some(self.size)
    }
}

fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

/// One name, as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    There(Look),
    /// It is a symbolic link that leads nowhere, or what it leads to cannot be looked at.
    Dangling,
    Gone,
}

impl Sight {
    pub(super) fn look(self) -> Option<Look> {
        match self {
            Self::There(look) => Some(look),
            Self::Dangling | Self::Gone => None,
        }
    }
}

/// Looks at a path.
pub(super) fn look_at(path: &Path) -> Sight {
    match fs::metadata(path) {
        Ok(metadata) => Sight::There(Look::of(&metadata)),
        Err(_) if fs::symlink_metadata(path).is_ok() => Sight::Dangling,
        Err(_) => Sight::Gone,
    }
}

/// Returns whether a path is a directory, also through a symbolic link.
pub(super) fn is_directory(path: &Path) -> bool {
    look_at(path).look().is_some_and(|look| look.kind == FileKind::Directory)
}

/// Returns whether it is a file with content, or a directory with an entry that is not hidden.
pub(super) fn has_content(path: &Path, look: &Look) -> bool {
    match look.kind {
        FileKind::Regular => look.size > 0,
        FileKind::Directory => fs::read_dir(path).is_ok_and(|entries| {
            entries.flatten().any(|entry| Names::Visible.matches(entry.file_name().as_bytes()))
        }),
        FileKind::Other => false,
    }
}
