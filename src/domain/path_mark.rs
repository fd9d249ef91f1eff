//! Owns: what is remembered of a file from one look at it to the next.
//! Never: looking (see `watch`), storing.

use serde::{Deserialize, Serialize};

/// A file at the last look at it. It outlives the daemon, so that what happens meanwhile counts too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PathMark {
    pub inode: u64,
    /// In bytes; 0 for a directory. For `lines=`: how far the file was read.
    pub size: u64,
    /// Nanoseconds since the epoch; 0 for a directory.
    pub modified_ns: i64,
    /// How many bytes, or lines, were reported; 0 unless the trigger counts these.
    pub base: u64,
    /// How many lines the first `size` bytes have; 0 unless the trigger counts lines.
    pub lines: u64,
}
