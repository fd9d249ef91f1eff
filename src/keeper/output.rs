//! Owns: the output file of a task, and the mark in it for output that was dropped.
//! Never: the source of the bytes (see `drain`).
//!
//! A task never fails because of its output. What does not fit is dropped and counted. The store keeps a
//! reserve on its disk, so that a run that fills the disk can still be recorded and cancelled.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::statvfs::fstatvfs;
use nix::unistd;

use crate::error::errno_of;

/// The reserve on a disk for the database, in bytes. The log takes 4 MiB.
const RESERVE_BYTES_MAX: u64 = 16 << 20;

/// On a small disk the reserve is this part of it.
const RESERVE_PART: u64 = 8;

/// How much is written before the free room is checked again, in bytes: far less than the reserve.
const UNCHECKED_BYTES_MAX: u64 = 64 << 10;

/// An output file is its owner's alone.
const OUTPUT_MODE: u32 = 0o600;

/// How much of the output of background processes is kept after their run has ended, in bytes.
const BACKGROUND_BYTES_MAX: u64 = 10 << 20;

/// The reason why bytes are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lack {
    /// There is no room on the disk but the reserve.
    Room,
    /// `BACKGROUND_BYTES_MAX` is reached.
    Bound,
    /// The file cannot be written.
    File(Errno),
}

/// The output file of an attempt. It is made with the first byte.
#[derive(Debug)]
pub(super) struct OutputFile {
    path: PathBuf,
    file: Option<File>,
    /// Its length.
    bytes: u64,
    /// Written since the room was looked at.
    unchecked: u64,
    dropped: u64,
    lack: Option<Lack>,
    /// How many bytes may still come, once the task has ended.
    left: Option<u64>,
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
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            bytes: 0,
            unchecked: UNCHECKED_BYTES_MAX,
            dropped: 0,
            lack: None,
            left: None,
            room: Room::of,
        }
    }

    /// Appends bytes, or drops them where they cannot be kept.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if let Err(errno) = self.open() {
            self.drop_bytes(bytes.len(), Lack::File(errno));
            return;
        }
        let fits = self.fitting(bytes.len());
        if self.dropped > 0 && fits > 0 && self.lack != Some(Lack::Bound) {
            self.mark();
        }
        let written = self.append(&bytes[..fits]);
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(written as u64);
        }
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
        if self.left.is_some_and(|left| left < wanted as u64) {
            self.lack = Some(Lack::Bound);
            return self.left.and_then(|left| usize::try_from(left).ok()).unwrap_or(0);
        }
        self.unchecked += wanted as u64;
        if self.unchecked >= UNCHECKED_BYTES_MAX || self.lack.is_some() {
            let room = self.file.as_ref().and_then(self.room);
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
        let Some(file) = &mut self.file else { return 0 };
        let mut written = 0;
        while written < bytes.len() {
            match file.write(&bytes[written..]) {
                Ok(0) => break,
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.lack = Some(match errno_of(&error) {
                        Errno::ENOSPC | Errno::EDQUOT => Lack::Room,
                        errno => Lack::File(errno),
                    });
                    break;
                }
            }
        }
        self.bytes += written as u64;
        written
    }

    pub(super) fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Opens the file, and makes it if need be.
    pub(super) fn open(&mut self) -> Result<(), Errno> {
        if self.file.is_some() {
            return Ok(());
        }
        // Appending keeps what earlier keepers wrote.
        let mut options = OpenOptions::new();
        let file = options
            .append(true)
            .create(true)
            .mode(OUTPUT_MODE)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&self.path);
        let file = file.map_err(|error| errno_of(&error))?;
        self.bytes = file.metadata().map_or(0, |found| found.len());
        self.file = Some(file);
        Ok(())
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
            Some(Lack::Bound) => "more than 10 MiB came after the run had ended",
            Some(Lack::File(errno)) => errno.desc(),
            Some(Lack::Room) | None => "the disk was full",
        };
        let mark = format!("\n[taskq: {} bytes of output dropped here: {why}]\n", self.dropped);
        if self.append(mark.as_bytes()) == mark.len() {
            self.dropped = 0;
        }
    }

    /// The task has ended: marks what was dropped, and returns the length of the file. Background processes
    /// may go on writing, within bounds.
    pub(super) fn settle(&mut self) -> u64 {
        self.left = Some(BACKGROUND_BYTES_MAX);
        self.finish()
    }

    /// No process can write any more: marks what was dropped, and returns the length of the file.
    pub(super) fn finish(&mut self) -> u64 {
        if self.dropped > 0 {
            self.mark();
        }
        if self.file.is_none() {
            // An earlier keeper may have made it.
            self.bytes =
                std::fs::metadata(&self.path).ok().filter(Metadata::is_file).map_or(0, |found| found.len());
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;

    use super::*;

    thread_local! {
        static FREE: Cell<u64> = const { Cell::new(0) };
    }

    /// A disk with a reserve of 1,000 bytes.
    fn room(_: &File) -> Option<Room> {
        Some(Room { free: FREE.get(), reserve: 1_000 })
    }

    fn output() -> (tempfile::TempDir, OutputFile) {
        let dir = tempfile::tempdir().expect("a directory");
        let mut output = OutputFile::new(dir.path().join("1.1"));
        output.room = room;
        FREE.set(u64::MAX / 2);
        (dir, output)
    }

    fn text(output: &OutputFile) -> String {
        fs::read_to_string(&output.path).unwrap_or_default()
    }

    #[test]
    fn what_would_go_into_the_reserve_is_dropped_and_the_place_is_marked() {
        let (_dir, mut output) = output();
        output.write(b"one\n");
        // A check of the disk is due.
        output.unchecked = UNCHECKED_BYTES_MAX;
        FREE.set(1_003);
        output.write(b"two\n");
        FREE.set(1_999);
        output.write(b"more\n");
        assert_eq!(text(&output), "one\n");
        FREE.set(10_000);
        output.write(b"three\n");
        let expected = "one\n\n[taskq: 9 bytes of output dropped here: the disk was full]\nthree\n";
        assert_eq!((text(&output).as_str(), output.settle()), (expected, expected.len() as u64));
    }

    #[test]
    fn the_end_of_a_run_marks_what_was_dropped_last() {
        let (_dir, mut output) = output();
        FREE.set(1_000);
        output.write(b"two\n");
        output.settle();
        assert_eq!(text(&output), "\n[taskq: 4 bytes of output dropped here: the disk was full]\n");
    }

    #[test]
    fn background_output_is_kept_up_to_a_bound() {
        let (_dir, mut output) = output();
        let chunk = vec![b'x'; 1 << 20];
        output.write(&chunk);
        output.settle();
        for _ in 0..12 {
            output.write(&chunk);
        }
        output.finish();
        let text = text(&output);
        assert!(text.len() > 11 << 20 && text.len() < (11 << 20) + 100, "{}", text.len());
        let mark = "\n[taskq: 2097152 bytes of output dropped here: \
            more than 10 MiB came after the run had ended]\n";
        assert!(text.ends_with(mark), "{}", &text[text.len() - 100..]);
    }

    #[test]
    fn a_file_that_cannot_be_made_drops_everything() {
        let (dir, mut output) = output();
        fs::create_dir(dir.path().join("1.1")).expect("the name is new");
        output.write(b"lost");
        assert_eq!((output.dropped, output.lack), (4, Some(Lack::File(Errno::EISDIR))));
        output.settle();
    }

    #[test]
    fn without_output_there_is_no_file() {
        let (_dir, mut output) = output();
        assert_eq!(output.settle(), 0);
        assert!(!output.path.exists());
    }
}
