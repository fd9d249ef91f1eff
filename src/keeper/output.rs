//! Owns: writing the output of a task, within its limit, and the mark for output that was dropped.
//! Never: the source of the bytes (see `copier`), or reading them (see `output_files`).
//!
//! A task never fails because of its output. What does not fit is dropped and counted. The store keeps a
//! reserve on its disk, so that a run that fills the disk can still be recorded and cancelled.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statvfs::fstatvfs;
use nix::unistd;

use super::output_files::{CHUNK_BYTES_MAX, Ring, mark, measure};
use super::output_names::{OutputId, output_path, tail_path, times_path};
use super::output_times::TimesFile;
use crate::domain::{NewJob, Size, Timestamp};
use crate::error::errno_of;

/// The reserve on a disk for the database, in bytes. The log takes 4 MiB.
const RESERVE_BYTES_MAX: u64 = 16 << 20;

/// On a small disk the reserve is this part of it.
const RESERVE_PART: u64 = 8;

/// How much is written before the free room is checked again, in bytes: far less than the reserve.
const UNCHECKED_BYTES_MAX: u64 = 64 << 10;

/// An output file is its owner's alone.
const OUTPUT_MODE: u32 = 0o600;

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
    log_dir: PathBuf,
    output: OutputId,
    limit: Size,
    head: Option<File>,
    head_bytes: u64,
    /// The ring, once the head is nearly full.
    tail: Option<(File, Ring)>,
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
    pub fn new(log_dir: &Path, output: OutputId, limit: Size, started_at: Option<Timestamp>) -> Self {
        Self {
            log_dir: log_dir.to_owned(),
            output,
            limit,
            head: None,
            head_bytes: 0,
            tail: None,
            times: TimesFile::new(times_path(log_dir, output), limit.as_bytes(), started_at),
            unchecked: UNCHECKED_BYTES_MAX,
            dropped: 0,
            lack: None,
            room: Room::of,
        }
    }

    /// Appends up to `CHUNK_BYTES_MAX` bytes, or drops them where they cannot be kept.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if let Err(errno) = self.open() {
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
        if self.tail.as_ref().is_some_and(|(_, ring)| ring.end - ring.start >= ring.capacity()) {
            return wanted;
        }
        self.unchecked += wanted as u64;
        if self.unchecked >= UNCHECKED_BYTES_MAX || self.lack.is_some() {
            let room = self.head.as_ref().and_then(self.room);
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
            let rest = &bytes[written..];
            let left = usize::try_from(self.left_in_head()).unwrap_or(usize::MAX);
            let result = match (&mut self.head, &mut self.tail) {
                (Some(head), _) if left > 0 => {
                    let result = head.write(&rest[..left.min(rest.len())]);
                    self.head_bytes += result.as_ref().map_or(0, |count| *count as u64);
                    result
                }
                (_, Some((file, ring))) => write_into(file, ring, rest),
                (_, None) => break,
            };
            match result {
                Ok(0) => break,
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.lack = Some(errno_of(&error).into());
                    break;
                }
            }
        }
        written
    }

    /// Returns the place after the last byte.
    pub(super) fn end(&self) -> u64 {
        match &self.tail {
            Some((_, ring)) if ring.end > ring.start => ring.end,
            Some(_) | None => self.head_bytes,
        }
    }

    /// Records the time of the bytes that are written next, in microseconds. A follower who finds the bytes
    /// must find their time too.
    pub(super) fn record_time(&mut self, at: i64) {
        if self.head.is_some() {
            let dropped = self.tail.as_ref().map_or((0, 0), |(_, ring)| (ring.start, ring.kept_from()));
            self.times.record(self.end(), at, dropped);
        }
    }

    fn left_in_head(&self) -> u64 {
        (self.limit.as_bytes() / 2).saturating_sub(self.head_bytes)
    }

    /// Returns whether a chunk can be written without a file being opened.
    pub(super) fn is_open(&self) -> bool {
        self.head.is_some() && !self.needs_tail()
    }

    /// Opens the files that the next chunk needs, and makes them if need be.
    pub(super) fn open(&mut self) -> Result<(), Errno> {
        if self.head.is_none() {
            self.look()?;
            if self.tail.is_none() && self.limit != NewJob::LOG_LIMIT {
                // A keeper that takes over knows no other limit by itself.
                self.begin_tail()?;
            }
            // Appending keeps what earlier keepers wrote.
            let head = options().append(true).create(true).open(output_path(&self.log_dir, self.output));
            self.head = Some(head.map_err(|error| errno_of(&error))?);
        }
        if self.needs_tail() {
            self.begin_tail()?;
        }
        Ok(())
    }

    fn needs_tail(&self) -> bool {
        self.tail.is_none() && self.left_in_head() < CHUNK_BYTES_MAX as u64
    }

    fn begin_tail(&mut self) -> Result<(), Errno> {
        let start = self.head_bytes.max(self.limit.as_bytes() / 2);
        let ring = Ring { limit: self.limit, start, floor: 0, end: start };
        let path = tail_path(&self.log_dir, self.output);
        let made = options().read(true).write(true).create(true).truncate(true).open(path);
        let made = made.and_then(|file| file.write_all_at(&ring.to_bytes(), 0).map(|()| (file, ring)));
        self.tail = Some(made.map_err(|error| errno_of(&error))?);
        Ok(())
    }

    /// Looks for what earlier keepers wrote.
    pub(super) fn look(&mut self) -> Result<(), Errno> {
        let found = fs::symlink_metadata(output_path(&self.log_dir, self.output)).ok();
        self.head_bytes = found.filter(fs::Metadata::is_file).map_or(0, |found| found.len());
        let tail = options().read(true).write(true).open(tail_path(&self.log_dir, self.output));
        match tail {
            Ok(file) => {
                self.tail = Ring::of(&file).map(|ring| (file, ring));
                self.limit = self.tail.as_ref().map_or(self.limit, |(_, ring)| ring.limit);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(errno_of(&error)),
        }
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
        if self.head.is_none() {
            // Earlier keepers may have made it. If it cannot be opened, nothing is lost.
            let _ = self.look();
        }
        match &self.tail {
            Some((_, ring)) if ring.end > ring.start => {
                measure(&self.log_dir, self.output).map_or(self.head_bytes, |(length, _)| length)
            }
            Some(_) | None => self.head_bytes,
        }
    }

    /// No process can write any more: does the same, and gives back the room that is of no use now.
    pub fn finish(&mut self) -> u64 {
        let length = self.settle();
        match &mut self.tail {
            Some((_, ring)) if ring.end == ring.start => {
                self.tail = None;
                let _ = fs::remove_file(tail_path(&self.log_dir, self.output));
            }
            Some((file, ring)) => {
                if let Ok((_, Some(start))) = measure(&self.log_dir, self.output)
                    && ring.floor < start
                {
                    ring.floor = start;
                    give_back(file, *ring);
                }
            }
            None => {}
        }
        length
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(OUTPUT_MODE).custom_flags(libc::O_NOFOLLOW);
    options
}

/// Writes into a ring as much as is beside each other, and returns how much that was.
fn write_into(file: &File, ring: &mut Ring, bytes: &[u8]) -> io::Result<usize> {
    let (at, beside) = ring.locate(ring.end);
    let most = usize::try_from(beside).unwrap_or(usize::MAX).min(bytes.len()).min(CHUNK_BYTES_MAX);
    let count = file.write_at(&bytes[..most], at)?;
    let next = Ring { end: ring.end + count as u64, ..*ring };
    // In this order: a reader, or a later keeper, believes the header.
    file.write_all_at(&next.to_bytes(), 0)?;
    *ring = next;
    Ok(count)
}

/// Gives back the room of the bytes before the floor of a ring, if the file system can.
fn give_back(file: &File, ring: Ring) {
    if file.write_all_at(&ring.to_bytes(), 0).is_err() {
        return;
    }
    for (at, bytes) in ring.free_before(ring.floor) {
        if let (Ok(at), Ok(bytes)) = (i64::try_from(at), i64::try_from(bytes)) {
            let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            let _ = fallocate(file, flags, at, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::Read;
    use std::os::unix::fs::MetadataExt;

    use super::super::output_files::OutputView;
    use super::super::protocol::Attempt;
    use super::*;

    thread_local! {
        static FREE: Cell<u64> = const { Cell::new(0) };
    }

    /// A disk with a reserve of 1,000 bytes.
    fn room(_: &File) -> Option<Room> {
        Some(Room { free: FREE.get(), reserve: 1_000 })
    }

    fn id() -> OutputId {
        Attempt::of_mail(1).stdout()
    }

    fn output_of(dir: &tempfile::TempDir, limit: Size) -> OutputFile {
        let mut output = OutputFile::new(dir.path(), id(), limit, None);
        output.room = room;
        FREE.set(u64::MAX / 2);
        output
    }

    fn output() -> (tempfile::TempDir, OutputFile) {
        let dir = tempfile::tempdir().expect("a directory");
        let output = output_of(&dir, NewJob::LOG_LIMIT);
        (dir, output)
    }

    fn text(output: &OutputFile) -> String {
        let mut text = String::new();
        if let Some(mut view) = OutputView::open(&output.log_dir, id()).expect("it is readable") {
            view.read_to_string(&mut text).expect("it is text");
        }
        text
    }

    /// Lines of eight bytes, numbered from `first` on.
    fn lines(first: usize, bytes: usize) -> String {
        (first..first + bytes / 8).map(|line| format!("{line:07}\n")).collect()
    }

    fn disk_bytes(dir: &Path) -> u64 {
        let entries = fs::read_dir(dir).expect("it is there").flatten();
        let bytes = |entry: fs::DirEntry| {
            let found = entry.metadata().expect("it is there");
            if found.is_dir() { disk_bytes(&entry.path()) } else { found.blocks() * 512 }
        };
        entries.map(bytes).sum()
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
    fn of_more_than_the_limit_the_first_and_the_last_half_are_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut output = output_of(&dir, Size::from_bytes(1 << 20));
        let (mut line, mut most) = (0, 0);
        for _ in 0..200 {
            output.write(lines(line, 200_000).as_bytes());
            line += 25_000;
            most = most.max(disk_bytes(dir.path()));
        }
        assert!(most < 2_300_000, "{most} bytes on the disk");
        let (length, text) = (output.finish(), text(&output));
        assert_eq!(length, text.len() as u64);
        let cut = 40_000_000 - (1 << 20);
        let expected = format!(
            "{}\n[taskq: {cut} bytes of output dropped here: more than the log limit of 1M]\n{}",
            lines(0, 1 << 19),
            lines(line - (1 << 16), 1 << 19),
        );
        assert!(text == expected, "{} bytes: …{}", text.len(), &text[(1 << 19) - 20..(1 << 19) + 100]);
        // The file system may keep a few blocks of its own.
        let kept = disk_bytes(dir.path());
        assert!(kept < (1 << 20) + 20_000, "{kept} bytes stay");
    }

    #[test]
    fn the_kept_end_begins_with_a_line_unless_that_is_too_long() {
        let dir = tempfile::tempdir().expect("a directory");
        let limit = Size::from_bytes(20_000);
        let mut output = output_of(&dir, limit);
        output.write(&[b'a'; 10_000]);
        output.write(format!("{}\n{}\n", "b".repeat(3_000), "c".repeat(8_999)).as_bytes());
        let end = text(&output).split_off(10_000);
        let mark = |bytes| {
            format!("\n[taskq: {bytes} bytes of output dropped here: more than the log limit of 20000]\n")
        };
        assert!(end == format!("{}{}\n", mark(3_001), "c".repeat(8_999)));
        output.write(&[b'd'; 4_500]);
        let end = text(&output).split_off(10_000);
        assert!(end == format!("{}{}\n{}", mark(6_501), "c".repeat(5_499), "d".repeat(4_500)));
    }

    #[test]
    fn a_keeper_that_takes_over_at_any_moment_goes_on_within_the_limit() {
        for limit in [NewJob::LOG_LIMIT, Size::from_bytes(600_000)] {
            let dir = tempfile::tempdir().expect("a directory");
            let (mut line, mut text_of) = (0, String::new());
            for _ in 0..130 {
                // Each keeper is told the limit only at a start.
                let told = if line == 0 { limit } else { NewJob::LOG_LIMIT };
                let mut output = output_of(&dir, told);
                output.write(lines(line, 100_000).as_bytes());
                line += 12_500;
                text_of = text(&output);
            }
            let half = usize::try_from(limit.as_bytes() / 2).expect("it is small");
            let (head, rest) = text_of.split_at(half);
            assert!(head == lines(0, half));
            let cut = 13_000_000 - 2 * half;
            let mark = format!(
                "\n[taskq: {cut} bytes of output dropped here: more than the log limit of {limit}]\n"
            );
            assert_eq!(&rest[..mark.len()], mark);
            assert!(rest[mark.len()..] == lines(line - half / 8, half));
        }
    }

    #[test]
    fn a_chunk_whose_keeper_was_killed_before_it_was_counted_damages_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut output = output_of(&dir, Size::from_bytes(600_000));
        (0..12).for_each(|part| output.write(lines(part * 12_500, 100_000).as_bytes()));
        let whole = text(&output);
        let (file, ring) = output.tail.as_ref().expect("it is long");
        let mut uncounted = *ring;
        while uncounted.end < ring.end + CHUNK_BYTES_MAX as u64 {
            let (at, beside) = uncounted.locate(uncounted.end);
            let left = ring.end + CHUNK_BYTES_MAX as u64 - uncounted.end;
            let bytes = vec![b'?'; usize::try_from(beside.min(left)).expect("it is small")];
            file.write_all_at(&bytes, at).expect("ours");
            uncounted.end += bytes.len() as u64;
        }
        assert!(text(&output) == whole);
        let mut next = output_of(&dir, NewJob::LOG_LIMIT);
        next.write(b"more\n");
        assert!(text(&next).ends_with("0149999\nmore\n") && !text(&next).contains('?'));
    }

    #[test]
    fn a_reader_that_is_overtaken_is_told_how_much_it_missed() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut output = output_of(&dir, Size::from_bytes(1 << 20));
        (0..20).for_each(|part| output.write(lines(part * 25_000, 200_000).as_bytes()));
        let mut view = OutputView::open(dir.path(), id()).expect("it is readable").expect("it exists");
        view.guard();
        let whole = text(&output);
        let mut seen = vec![0; (1 << 19) + 100_000];
        view.read_exact(&mut seen).expect("there is more");
        (0..20).for_each(|part| output.write(lines(part * 25_000, 200_000).as_bytes()));
        let mut rest = String::new();
        view.read_to_string(&mut rest).expect("it is text");
        assert!(whole.as_bytes().starts_with(&seen));
        let missed = whole.len() - seen.len();
        assert_eq!(rest, mark(missed as u64, "more than the log limit of 1M"));
        assert_eq!(view.end(), 4_000_000);
    }

    #[test]
    fn a_limit_leaves_nothing_beside_a_short_output() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut output = output_of(&dir, Size::from_bytes(4_096));
        output.write(b"short\n");
        assert_eq!(output.settle(), 6);
        assert!(tail_path(dir.path(), id()).exists(), "a background process may write");
        assert_eq!((output.finish(), text(&output).as_str()), (6, "short\n"));
        assert!(!tail_path(dir.path(), id()).exists());
    }

    #[test]
    fn a_follower_gets_what_was_written_since_or_the_number_of_bytes_that_it_missed() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut output = output_of(&dir, Size::from_bytes(1 << 20));
        let since = |place| {
            let mut view =
                OutputView::open_from(dir.path(), id(), place).expect("it is readable").expect("it exists");
            let mut text = String::new();
            view.read_to_string(&mut text).expect("it is text");
            (text, view.end())
        };
        let (mut place, mut line) = (0, 0);
        for _ in 0..30 {
            output.write(lines(line, 200_000).as_bytes());
            let (text, end) = since(place);
            assert!(text == lines(line, 200_000));
            (place, line) = (end, line + 25_000);
        }
        for part in 0..20 {
            output.write(lines(line + part * 25_000, 200_000).as_bytes());
        }
        let (text, end) = since(place);
        let ring = output.tail.as_ref().expect("it is long").1;
        let oldest = end - (ring.capacity() - CHUNK_BYTES_MAX as u64);
        let mark = format!(
            "\n[taskq: {} bytes of output dropped here: more than the log limit of 1M]\n",
            oldest - place
        );
        assert!(text.starts_with(&mark), "{}", &text[..100]);
        assert_eq!((text.len() as u64 - mark.len() as u64, end), (end - oldest, place + 4_000_000));
    }

    #[test]
    fn a_file_that_cannot_be_made_drops_everything() {
        let (dir, mut output) = output();
        fs::create_dir(dir.path().join("mail-1")).expect("the name is new");
        output.write(b"lost");
        assert_eq!((output.dropped, output.lack), (4, Some(Lack::File(Errno::EISDIR))));
        output.settle();
    }

    #[test]
    fn without_output_there_is_no_file() {
        let (_dir, mut output) = output();
        assert_eq!(output.settle(), 0);
        assert_eq!(fs::read_dir(&output.log_dir).expect("it is there").count(), 0);
    }
}
