//! Owns: what both forms of output files have in common for their writer.
//! Never: the forms (see `plain_files` and `sealed_files`), or what is kept and dropped (see `output`).

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use crate::seal::OutputKeys;

/// An output file is its owner's alone.
const OUTPUT_MODE: u32 = 0o600;

/// The files of an output: the head, which has up to half of the log limit, and the ring for the rest.
pub(super) trait WrittenFiles: fmt::Debug + Send {
    /// Looks for what earlier keepers wrote.
    fn look(&mut self) -> Result<(), Errno>;

    /// Opens the files that the next chunk needs, and makes them if need be.
    fn open(&mut self) -> Result<(), Errno>;

    /// Returns whether a chunk can be written without a file being opened.
    fn is_open(&self) -> bool;

    /// Returns the head, once it is open.
    fn head(&self) -> Option<&File>;

    /// Appends some of the bytes, and returns how many; 0: there is no file for more.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Returns the place after the last byte.
    fn end(&self) -> u64;

    /// Returns the places between which bytes are not kept.
    fn dropped(&self) -> (u64, u64);

    /// Returns whether the ring has bytes.
    fn has_tail(&self) -> bool;

    /// Returns whether the ring has gone round once, and needs no more room.
    fn is_round(&self) -> bool;

    /// Lets later bytes be sealed with the newest of these keys, if the output is sealed.
    fn seal(&mut self, _keys: &OutputKeys) {}

    /// No process can write any more: removes a ring without bytes. Of another, gives back the room of the
    /// bytes before `tail_start`, which are not shown.
    fn finish(&mut self, tail_start: Option<u64>);
}

pub(super) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(OUTPUT_MODE).custom_flags(libc::O_NOFOLLOW);
    options
}

/// Gives back the room of a part of a file, if the file system can.
pub(super) fn give_back(file: &File, (at, bytes): (u64, u64)) {
    if let (Ok(at), Ok(bytes)) = (i64::try_from(at), i64::try_from(bytes)) {
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let _ = fallocate(file, flags, at, bytes);
    }
}
