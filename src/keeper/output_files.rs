//! Owns: the files of an output, and reading them as one text.
//! Never: writing them (see `output`).
//!
//! An output begins in the file `JOB.N`, its head, which has up to half of the log limit. The rest goes into
//! a ring, the file `JOB.N.ATTEMPT.tail`, that overwrites its oldest bytes. The header of the ring has all
//! that a later keeper or a reader needs. Places in the output count the dropped bytes too.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::log_directory::LogDirectory;
use super::output_names::{OutputId, output_path, tail_path};
use super::sealed_blocks::HeadEnd;
use super::sealed_reader::SealedReader;
use super::sealed_ring::SealedRing;
use crate::domain::Size;

/// The kept end of an output begins with a line, if that line begins within so many bytes.
const LINE_BYTES_MAX: usize = 4096;

/// The most bytes of one write into an output.
pub(super) const CHUNK_BYTES_MAX: usize = 256 << 10;

/// Returns the line that stands in an output for bytes that were dropped there.
pub(super) fn mark(dropped: u64, why: &str) -> String {
    format!("\n[taskq: {dropped} bytes of output dropped here: {why}]\n")
}

/// The header of a ring: five numbers of eight bytes. The data begin with the next block.
///
/// A byte at the place P of the output is at P - `start`, modulo the capacity, of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ring {
    /// The log limit of the output.
    pub limit: Size,
    /// The place in the output of the first byte that came into the ring: the length of the head.
    pub start: u64,
    /// The bytes before this place are not needed, and their room may have been given back.
    pub floor: u64,
    /// The place after the last byte. Set after the bytes were written.
    pub end: u64,
}

impl Ring {
    /// Marks a file as a ring of this form.
    const MAGIC: u64 = u64::from_le_bytes(*b"taskq r1");

    const HEADER_BYTES: usize = 40;

    /// Where the data begin in the file.
    pub const DATA_AT: u64 = 4096;

    /// Half of the limit, a chunk that is being written, and another for readers to get away with.
    pub fn capacity(self) -> u64 {
        self.limit.as_bytes() / 2 + 2 * CHUNK_BYTES_MAX as u64
    }

    pub fn to_bytes(self) -> [u8; Self::HEADER_BYTES] {
        let mut bytes = [0; Self::HEADER_BYTES];
        let numbers = [Self::MAGIC, self.limit.as_bytes(), self.start, self.floor, self.end];
        for (at, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            at.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Reads the header of a ring; `None` if it has none, or one that cannot be.
    pub fn of(file: &File) -> Option<Self> {
        let mut bytes = [0; Self::HEADER_BYTES];
        file.read_exact_at(&mut bytes, 0).ok()?;
        let mut numbers =
            bytes.chunks_exact(8).map(|at| u64::from_le_bytes(at.try_into().expect("it is eight")));
        let mut next = || numbers.next().expect("there are five");
        let (magic, limit) = (next(), Size::from_bytes(next()));
        let ring = Self { limit, start: next(), floor: next(), end: next() };
        (magic == Self::MAGIC && limit <= Size::MAX && ring.start <= ring.end && ring.floor <= ring.end)
            .then_some(ring)
    }

    /// Returns the place of the first byte that is still there, and is not overwritten just now.
    pub fn kept_from(self) -> u64 {
        let kept = self.capacity() - CHUNK_BYTES_MAX as u64;
        self.start.max(self.floor).max(self.end.saturating_sub(kept))
    }

    /// Returns where in the file the byte at a place is, and how many of the next are beside it.
    pub fn locate(self, place: u64) -> (u64, u64) {
        let at = (place - self.start) % self.capacity();
        (Self::DATA_AT + at, self.capacity() - at)
    }

    /// Returns the parts of the file, as offset and length, that have no byte from `place` on.
    pub fn free_before(self, place: u64) -> Vec<(u64, u64)> {
        let ((from, _), (to, left)) = (self.locate(place), self.locate(self.end));
        let parts = if from <= to {
            vec![(Self::DATA_AT, from - Self::DATA_AT), (to, left)]
        } else {
            vec![(to, from - to)]
        };
        parts.into_iter().filter(|(_, bytes)| *bytes > 0).collect()
    }
}

/// The head of an output, as it was when it was opened.
#[derive(Debug)]
enum Head {
    Plain(File),
    Sealed(Box<SealedReader>),
}

/// The ring of an output, likewise.
#[derive(Debug)]
enum Tail {
    Plain(File, Ring),
    Sealed(Box<SealedTail>),
}

#[derive(Debug)]
struct SealedTail {
    reader: SealedReader,
    ring: SealedRing,
    kept_from: u64,
    /// The first place of which the limit allows to show bytes.
    shown_from: u64,
}

impl Tail {
    /// Returns `None` for a ring without a byte.
    fn open(file: File, log_dir: &LogDirectory, output: OutputId) -> io::Result<Option<Self>> {
        if !log_dir.sealing.is_on() {
            let ring = Ring::of(&file).filter(|ring| ring.end > ring.start);
            return Ok(ring.map(|ring| Self::Plain(file, ring)));
        }
        Ok(SealedRing::with_places(&file)?.map(|(ring, kept_from, shown_from)| {
            let reader = SealedReader::of_ring(file, ring, &log_dir.sealing, output);
            Self::Sealed(Box::new(SealedTail { reader, ring, kept_from, shown_from }))
        }))
    }

    fn limit(&self) -> Size {
        match self {
            Self::Plain(_, ring) => ring.limit,
            Self::Sealed(tail) => tail.ring.limit,
        }
    }

    /// Returns the place of the first byte that came into the ring.
    fn start(&self) -> u64 {
        match self {
            Self::Plain(_, ring) => ring.start,
            Self::Sealed(tail) => tail.ring.start,
        }
    }

    fn floor(&self) -> u64 {
        match self {
            Self::Plain(_, ring) => ring.floor,
            Self::Sealed(tail) => tail.ring.floor,
        }
    }

    /// Returns the place after the last byte.
    fn end(&self) -> u64 {
        match self {
            Self::Plain(_, ring) => ring.end,
            Self::Sealed(tail) => tail.ring.end,
        }
    }

    /// Returns the place of the first byte that is still there.
    fn kept_from(&self) -> u64 {
        match self {
            Self::Plain(_, ring) => ring.kept_from(),
            Self::Sealed(tail) => tail.kept_from,
        }
    }

    /// Returns where the tail of the log begins: with the last half of the limit, at the start of a line if
    /// possible. `None` if it continues the head.
    fn shown_from(&mut self) -> Option<u64> {
        let from = match self {
            Self::Plain(_, ring) => ring.kept_from(),
            Self::Sealed(tail) => tail.shown_from,
        };
        let start = from.max(self.end().saturating_sub(self.limit().as_bytes() / 2));
        // A floor is the result of an earlier call.
        let start = if start > self.floor() { self.line_start(start) } else { start };
        (start > self.start()).then_some(start)
    }

    /// Returns the first place from `start` on at which a line begins; `start`, if that is too far.
    fn line_start(&mut self, start: u64) -> u64 {
        let end = self.end();
        if start <= self.start() {
            return start;
        }
        // The byte before may be the end of a line.
        let mut buffer = [0; LINE_BYTES_MAX];
        let wanted = usize::try_from(end - start + 1).unwrap_or(LINE_BYTES_MAX).min(LINE_BYTES_MAX);
        let count = match self {
            Self::Plain(file, ring) => {
                let (at, beside) = ring.locate(start - 1);
                let wanted = usize::try_from(beside).unwrap_or(LINE_BYTES_MAX).min(wanted);
                file.read_at(&mut buffer[..wanted], at).unwrap_or(0)
            }
            Self::Sealed(tail) => tail.reader.read_some(&mut buffer[..wanted], start - 1),
        };
        let newline = buffer[..count].iter().position(|byte| *byte == b'\n');
        newline.map(|newline| start + newline as u64).filter(|line| *line < end).unwrap_or(start)
    }

    /// Reads bytes from a place on. Returns `None` if they are overwritten by now, and that is asked.
    fn read_at(&mut self, buffer: &mut [u8], place: u64, is_guarded: bool) -> io::Result<Option<usize>> {
        match self {
            Self::Plain(file, ring) => {
                let (offset, beside) = ring.locate(place);
                let wanted = usize::try_from(beside).unwrap_or(usize::MAX).min(buffer.len());
                let count = file.read_at(&mut buffer[..wanted], offset)?;
                let is_kept = || Ring::of(file).is_some_and(|now| now.kept_from() <= place);
                Ok((!is_guarded || is_kept()).then_some(count))
            }
            Self::Sealed(tail) => tail.reader.read_at(buffer, place),
        }
    }
}

/// The open files of an output, as they were when they were opened.
struct Files {
    head: Head,
    head_end: u64,
    /// If it has a byte.
    tail: Option<Tail>,
}

impl Files {
    fn open(log_dir: &LogDirectory, output: OutputId) -> io::Result<Option<Self>> {
        let open = |path| match File::open(path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        // The tail comes first: an output with a tail has the whole of its head.
        let tail = open(tail_path(&log_dir.path, output))?;
        let tail = tail.map(|file| Tail::open(file, log_dir, output)).transpose()?.flatten();
        let Some(head) = open(output_path(&log_dir.path, output))? else { return Ok(None) };
        let (head, head_end) = if log_dir.sealing.is_on() {
            let end = HeadEnd::of(&head)?;
            let reader = SealedReader::of_head(head, end, &log_dir.sealing, output);
            (Head::Sealed(Box::new(reader)), end.place)
        } else {
            let bytes = head.metadata()?.len();
            (Head::Plain(head), bytes)
        };
        Ok(Some(Self { head, head_end, tail }))
    }

    /// Returns where the tail of the log begins. `None` if there is no tail, or it continues the head.
    fn tail_start(&mut self) -> Option<u64> {
        self.tail.as_mut()?.shown_from()
    }
}

/// Bytes of a view.
#[derive(Debug)]
enum Source {
    /// Those of the head, from this place on.
    Head(Head, u64),
    Mark(Vec<u8>),
    /// Those of the tail, from this place on.
    Tail(Tail, u64),
}

/// An output as one text, as it was when it was opened. Where bytes were dropped for the log limit, it has a
/// line that says how many.
#[derive(Debug, Default)]
pub struct OutputView {
    /// Each with its length.
    parts: Vec<(Source, u64)>,
    position: u64,
    end: u64,
    is_guarded: bool,
}

impl OutputView {
    /// Opens the log of an output: its head, and as much of its tail as the limit allows. Returns `None` if
    /// there is no output.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn open(log_dir: &LogDirectory, output: OutputId) -> io::Result<Option<Self>> {
        let Some(mut files) = Files::open(log_dir, output)? else { return Ok(None) };
        let tail_start = files.tail_start();
        Ok(Some(Self::of(files, 0, tail_start)))
    }

    /// Opens all that is still there of an output from a place on, which is the `end` of an earlier view.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn open_from(log_dir: &LogDirectory, output: OutputId, place: u64) -> io::Result<Option<Self>> {
        Ok(Files::open(log_dir, output)?.map(|files| Self::of(files, place, None)))
    }

    fn of(Files { head, head_end, tail }: Files, place: u64, tail_start: Option<u64>) -> Self {
        let mut view = Self { end: place.max(head_end), ..Self::default() };
        if place < head_end {
            view.parts.push((Source::Head(head, place), head_end - place));
        }
        let Some(tail) = tail else { return view };
        let reached = place.max(tail.start());
        let start = reached.max(tail_start.unwrap_or(tail.kept_from()));
        if start > reached {
            view.parts.push(limit_mark(start - reached, tail.limit()));
        }
        let end = tail.end();
        view.parts.push((Source::Tail(tail, start), end.saturating_sub(start)));
        view.end = end.max(place);
        view
    }

    /// Makes reading stop with a mark where the writer has overwritten bytes since the view was opened.
    pub fn guard(&mut self) {
        self.is_guarded = true;
    }

    pub fn length(&self) -> u64 {
        self.parts.iter().map(|(_, length)| length).sum()
    }

    /// Returns the place in the output of the byte that is read next.
    pub fn place(&self) -> u64 {
        let mut before = 0;
        let mut dropped_to = None;
        for (source, length) in &self.parts {
            let at = self.position.saturating_sub(before);
            let is_next = at < *length;
            match source {
                Source::Head(_, from) | Source::Tail(_, from) if is_next || dropped_to.is_some() => {
                    return from + if is_next { at } else { 0 };
                }
                // A mark has the place of what comes after it.
                Source::Mark(_) if is_next => dropped_to = Some(()),
                Source::Head(..) | Source::Tail(..) | Source::Mark(_) => {}
            }
            before += length;
        }
        self.end
    }

    /// Returns whether the head has all of it, as it is.
    pub(super) fn is_in_one_file(&self) -> bool {
        self.parts.iter().all(|(source, _)| matches!(source, Source::Head(Head::Plain(_), 0)))
    }

    /// Returns whether bytes are missing in it.
    pub fn is_cut(&self) -> bool {
        self.parts.iter().any(|(source, _)| matches!(source, Source::Mark(_)))
    }

    /// Returns the place in the output after its last byte.
    pub fn end(&self) -> u64 {
        self.end
    }
}

/// Where the kept end of an output is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TailPlace {
    pub limit: Size,
    /// The place of the first byte after the head.
    pub start: u64,
    /// The place of the first byte of the end.
    pub shown: u64,
    /// The place after its last byte.
    pub end: u64,
}

/// What is kept of an output that nobody writes any more.
pub(super) struct OutputParts {
    pub head: OutputView,
    pub tail: Option<(TailPlace, OutputView)>,
}

impl OutputParts {
    /// Opens an output; `None`: there is none.
    pub fn open(log_dir: &LogDirectory, output: OutputId) -> io::Result<Option<Self>> {
        let Some(mut files) = Files::open(log_dir, output)? else { return Ok(None) };
        let tail_start = files.tail_start();
        let Files { head, head_end, tail } = files;
        let view = |source, length| OutputView { parts: vec![(source, length)], ..OutputView::default() };
        let tail = tail.map(|tail| {
            let (limit, start, end) = (tail.limit(), tail.start(), tail.end());
            let shown = tail_start.unwrap_or(start);
            (TailPlace { limit, start, shown, end }, view(Source::Tail(tail, shown), end - shown))
        });
        Ok(Some(Self { head: view(Source::Head(head, 0), head_end), tail }))
    }
}

fn limit_mark(dropped: u64, limit: Size) -> (Source, u64) {
    let mark = mark(dropped, &format!("more than the log limit of {limit}")).into_bytes();
    let length = mark.len() as u64;
    (Source::Mark(mark), length)
}

impl Read for OutputView {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut before = 0;
        for index in 0..self.parts.len() {
            let (source, length) = &mut self.parts[index];
            let at = self.position.saturating_sub(before);
            if at >= *length {
                before += *length;
                continue;
            }
            let left = *length - at;
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let buffer = &mut buffer[..wanted];
            let count = match source {
                Source::Head(Head::Plain(file), from) => file.read_at(buffer, *from + at)?,
                // A head is never overwritten.
                Source::Head(Head::Sealed(reader), from) => reader.read_at(buffer, *from + at)?.unwrap_or(0),
                Source::Mark(mark) => {
                    let at = usize::try_from(at).expect("it is within the mark");
                    buffer.copy_from_slice(&mark[at..at + wanted]);
                    wanted
                }
                Source::Tail(tail, from) => {
                    let Some(count) = tail.read_at(buffer, *from + at, self.is_guarded)? else {
                        let mark = limit_mark(left, tail.limit());
                        *length = at;
                        self.parts.insert(index + 1, mark);
                        return self.read(buffer);
                    };
                    count
                }
            };
            self.position += count as u64;
            return Ok(count);
        }
        Ok(0)
    }
}

impl Seek for OutputView {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, by) = match to {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::End(by) => (self.length(), by),
            SeekFrom::Current(by) => (self.position, by),
        };
        self.position = base.checked_add_signed(by).ok_or(ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// Returns how many bytes `OutputView::open` would show, and from which place on those of the tail.
pub(super) fn measure(log_dir: &LogDirectory, output: OutputId) -> io::Result<(u64, Option<u64>)> {
    let Some(mut files) = Files::open(log_dir, output)? else { return Ok((0, None)) };
    let tail_start = files.tail_start();
    Ok((OutputView::of(files, 0, tail_start).length(), tail_start))
}

/// Returns the file that changes with the next byte of an output.
pub fn growing_path(log_dir: &LogDirectory, output: OutputId) -> PathBuf {
    let tail = tail_path(&log_dir.path, output);
    let has_bytes = File::open(&tail).is_ok_and(|file| match log_dir.sealing.is_on() {
        false => Ring::of(&file).is_some_and(|ring| ring.end > ring.start),
        true => matches!(SealedRing::of(&file), Ok(Some(ring)) if ring.blocks > 0),
    });
    if has_bytes { tail } else { output_path(&log_dir.path, output) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_a_ring_reads_back() {
        let file = tempfile::tempfile().expect("a file");
        assert_eq!(Ring::of(&file), None);
        let ring = Ring { limit: Size::from_bytes(1 << 20), start: 1 << 19, floor: 7, end: 1 << 40 };
        file.write_all_at(&ring.to_bytes(), 0).expect("ours");
        assert_eq!(Ring::of(&file), Some(ring));
        file.write_all_at(&[0], 0).expect("ours");
        assert_eq!(Ring::of(&file), None);
    }

    #[test]
    fn the_parts_of_a_ring_that_are_not_needed_are_those_outside_of_its_last_bytes() {
        let ring = |end| Ring { limit: Size::from_bytes(2_000), start: 1_000, floor: 0, end };
        let capacity = ring(0).capacity();
        let at = |offset| Ring::DATA_AT + offset;
        assert_eq!(ring(1_500).free_before(1_400), [(at(0), 400), (at(500), capacity - 500)]);
        let wrapped = ring(1_000 + capacity + 300);
        assert_eq!(wrapped.free_before(1_000 + capacity + 100), [(at(0), 100), (at(300), capacity - 300)]);
        assert_eq!(wrapped.free_before(1_000 + capacity - 100), [(at(300), capacity - 400)]);
    }
}
