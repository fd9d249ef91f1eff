//! Owns: writing the output of a task, within its limit, and the mark for output that was dropped.
//! Never: the source of the bytes (see `copier`), or reading them (see `output_files`).
//!
//! A task never fails because of its output. What does not fit is dropped and counted. The store keeps a
//! reserve on its disk, so that a run that fills the disk can still be recorded and cancelled.

use std::fs::File;
use std::io::ErrorKind;

use nix::errno::Errno;
use nix::sys::statvfs::fstatvfs;
use nix::unistd;

use super::log_directory::{LogDirectory, Sealing, sealed_errno};
use super::output_files::{mark, measure};
use super::output_names::{OutputId, times_path};
use super::output_times::TimesFile;
use super::plain_files::PlainFiles;
use super::sealed_files::SealedFiles;
use super::written_files::WrittenFiles;
use crate::domain::{Size, Timestamp};
use crate::seal::OutputKeys;

/// The reserve on a disk for the database, in bytes. The log takes 4 MiB.
const RESERVE_BYTES_MAX: u64 = 16 << 20;

/// On a small disk the reserve is this part of it.
const RESERVE_PART: u64 = 8;

/// How much is written before the free room is checked again, in bytes: far less than the reserve.
const UNCHECKED_BYTES_MAX: u64 = 64 << 10;

/// The reason why bytes are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lack {
    /// There is no room on the disk but the reserve.
    Room,
    /// The file cannot be written.
    File(Errno),
}

impl From<Errno> for Lack {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ENOSPC | Errno::EDQUOT => Self::Room,
            errno => Self::File(errno),
        }
    }
}

/// An output of an attempt. Its first file is made with the first byte.
#[derive(Debug)]
pub struct OutputFile {
    log_dir: LogDirectory,
    output: OutputId,
    files: Box<dyn WrittenFiles>,
    times: TimesFile,
    /// Written since the room was looked at.
    unchecked: u64,
    dropped: u64,
    lack: Option<Lack>,
    room: fn(&File) -> Option<Room>,
}

/// How full a disk is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    free: u64,
    reserve: u64,
}

impl Room {
    fn of(file: &File) -> Option<Self> {
        let found = fstatvfs(file).ok()?;
        // Root may use the blocks that are reserved for it.
        let free_blocks =
            if unistd::geteuid().is_root() { found.blocks_free() } else { found.blocks_available() };
        let bytes = |blocks: u64| blocks * found.fragment_size();
        let reserve = (bytes(found.blocks()) / RESERVE_PART).min(RESERVE_BYTES_MAX);
        Some(Self { free: bytes(free_blocks), reserve })
    }
}

impl OutputFile {
    /// `started_at`: of the attempt, if this keeper has started it.
    pub fn new(log_dir: &LogDirectory, output: OutputId, limit: Size, started_at: Option<Timestamp>) -> Self {
        let path = log_dir.path.clone();
        let files: Box<dyn WrittenFiles> = match &log_dir.sealing {
            Sealing::Off => Box::new(PlainFiles::new(path, output, limit)),
            sealing => Box::new(SealedFiles::new(path, output, limit, sealing)),
        };
        Self {
            log_dir: log_dir.clone(),
            output,
            files,
            times: TimesFile::new(times_path(&log_dir.path, output), limit.as_bytes(), started_at),
            unchecked: UNCHECKED_BYTES_MAX,
            dropped: 0,
            lack: None,
            room: Room::of,
        }
    }

    /// Appends up to `CHUNK_BYTES_MAX` bytes, or drops them where they cannot be kept.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if let Err(errno) = self.files.open() {
            self.drop_bytes(bytes.len(), errno.into());
            return;
        }
        let fits = self.fitting(bytes.len());
        if self.dropped > 0 && fits > 0 {
            self.mark();
        }
        let written = self.append(&bytes[..fits]);
        let beyond = bytes.len() - written;
        if beyond > 0 {
            let lack = self.lack.unwrap_or(Lack::Room);
            self.drop_bytes(beyond, lack);
        } else {
            self.lack = None;
        }
    }

    /// Returns how many of `wanted` bytes may be written, and records why not all.
    fn fitting(&mut self, wanted: usize) -> usize {
        // A ring that has gone round once needs no more room.
        if self.files.is_round() {
            return wanted;
        }
        self.unchecked += wanted as u64;
        if self.unchecked >= UNCHECKED_BYTES_MAX || self.lack.is_some() {
            let room = self.files.head().and_then(self.room);
            // Writing resumes at twice the reserve: else each byte that becomes free would be taken, with a
            // mark of its own.
            let floor = |room: Room| if self.lack.is_some() { 2 * room.reserve } else { room.reserve };
            if room.is_some_and(|room| room.free < floor(room) + wanted as u64) {
                self.lack = Some(Lack::Room);
                return 0;
            }
            self.unchecked = 0;
        }
        wanted
    }

    /// Appends as much as the system takes, and returns how much that was.
    fn append(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match self.files.append(&bytes[written..]) {
                Ok(0) => break,
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.lack = Some(sealed_errno(&error).into());
                    break;
                }
            }
        }
        written
    }

    /// Lets later bytes be sealed with the newest of these keys, if the output is sealed.
    pub fn seal(&mut self, keys: &OutputKeys) {
        self.log_dir.sealing.take_keys(keys);
        self.files.seal(keys);
    }

    /// Returns the place after the last byte.
    pub(super) fn end(&self) -> u64 {
        self.files.end()
    }

    /// Records the time of the bytes that are written next, in microseconds. A follower who finds the bytes
    /// must find their time too.
    pub(super) fn record_time(&mut self, at: i64) {
        if self.files.head().is_some() {
            self.times.record(self.files.end(), at, self.files.dropped());
        }
    }

    /// Returns whether a chunk can be written without a file being opened.
    pub(super) fn is_open(&self) -> bool {
        self.files.is_open()
    }

    /// Opens the files that the next chunk needs, and makes them if need be.
    pub(super) fn open(&mut self) -> Result<(), Errno> {
        self.files.open()
    }

    /// Looks for what earlier keepers wrote.
    pub(super) fn look(&mut self) -> Result<(), Errno> {
        self.files.look()
    }

    fn drop_bytes(&mut self, count: usize, lack: Lack) {
        if count > 0 {
            self.dropped += count as u64;
            self.lack = Some(lack);
        }
    }

    /// Writes how much was dropped here. The mark may use the reserve.
    fn mark(&mut self) {
        let why = match self.lack {
            Some(Lack::File(errno)) => errno.desc(),
            Some(Lack::Room) | None => "the disk was full",
        };
        let mark = mark(self.dropped, why);
        if self.append(mark.as_bytes()) == mark.len() {
            self.dropped = 0;
        }
    }

    /// The task has ended: marks what was dropped, and returns the length of the log. Background processes
    /// may still write.
    pub(super) fn settle(&mut self) -> u64 {
        if self.dropped > 0 {
            self.mark();
        }
        if self.files.head().is_none() {
            // Earlier keepers may have made it. If it cannot be opened, nothing is lost.
            let _ = self.files.look();
        }
        match self.files.has_tail() {
            true => measure(&self.log_dir, self.output).map_or(self.files.end(), |(length, _)| length),
            false => self.files.end(),
        }
    }

    /// No process can write any more: does the same, and gives back the room that is of no use now.
    pub fn finish(&mut self) -> u64 {
        let length = self.settle();
        let measured = self.files.has_tail().then(|| measure(&self.log_dir, self.output));
        self.files.finish(measured.and_then(Result::ok).and_then(|(_, tail_start)| tail_start));
        length
    }
}

#[cfg(test)]
mod sealed_tests;
#[cfg(test)]
mod tests;
