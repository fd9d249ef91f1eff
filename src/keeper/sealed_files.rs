//! Owns: writing an output into sealed files.
//! Never: their form (see `sealed_blocks`), or what is kept and dropped (see `output`).
//!
//! Each writer begins a segment of its own, in a block of its own, so that a nonce is never used twice. The
//! log limit counts what is on the disk, so an output in very many tiny writes keeps fewer bytes.
//! Whoever can write the files can cut an output short, but not change it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::log_directory::{Sealing, sealed_errno};
use super::output_files::{CHUNK_BYTES_MAX, TailPlace};
use super::output_names::{OutputId, output_path, tail_path};
use super::sealed_blocks::{
    BLOCK, BLOCK_BYTES, BlockHeader, HEADER_BYTES, HeadEnd, RECORD_BYTES_MAX, RECORD_COST, record_head,
};
use super::sealed_ring::SealedRing;
use super::written_files::{WrittenFiles, give_back, options};
use crate::domain::{NewJob, Size};
use crate::seal::{KeyId, OutputKeys, Segment};

/// The room that a chunk takes at most, in bytes.
const CHUNK_ROOM: u64 = (CHUNK_BYTES_MAX + CHUNK_BYTES_MAX / 8) as u64;

#[derive(Debug)]
pub(super) struct SealedFiles {
    log_dir: PathBuf,
    output: OutputId,
    limit: Size,
    /// `None`: they are missing, and nothing can be written.
    keys: Option<OutputKeys>,
    head: Option<File>,
    head_end: HeadEnd,
    /// The ring, once the head is nearly full.
    tail: Option<(File, SealedRing)>,
    writer: BlockWriter,
}

/// The block that this keeper writes.
#[derive(Debug, Default)]
struct BlockWriter {
    segment: Option<Segment>,
    /// How much of the block is used; `None`: the next record begins a block.
    used: Option<usize>,
}

/// Returns how many of `wanted` bytes fit into a block of this size, of which so much is used: nothing, if it
/// is a new one. `None`: none fits.
fn fitting(used: Option<usize>, size: usize, wanted: usize) -> Option<usize> {
    let cost = used.unwrap_or(HEADER_BYTES) + RECORD_COST;
    let free = size.checked_sub(cost).filter(|free| *free > 0)?;
    Some(free.min(wanted))
}

impl BlockWriter {
    /// Seals the bytes, as the next record of the block or the first of a new one, and writes that. Returns
    /// how much of the block is used then.
    fn write(
        &mut self,
        file: &File,
        offset: u64,
        (keys, output): (&OutputKeys, OutputId),
        place: u64,
        bytes: &[u8],
    ) -> io::Result<usize> {
        // Taken away until the record is written: of one that was not, the nonce is used.
        let (segment, used) = (self.segment.take(), self.used.take());
        let mut segment = segment.unwrap_or_else(|| Segment::begin(keys, &output.sealed_name()));
        let mut written = Vec::with_capacity(HEADER_BYTES + RECORD_COST + bytes.len());
        if used.is_none() {
            let (key, id) = segment.id();
            let number = segment.next().expect("a segment with all of its records was given up");
            let header = BlockHeader { place, key, number, segment: id };
            written.extend_from_slice(&header.to_bytes());
        }
        let length = u16::try_from(bytes.len()).expect("it fits into a block");
        written.extend_from_slice(&record_head(length));
        written.extend_from_slice(&segment.append(place, bytes));
        let at = used.unwrap_or(0);
        file.write_all_at(&written, offset + at as u64)?;
        if segment.next().is_some() {
            (self.segment, self.used) = (Some(segment), Some(at + written.len()));
        }
        Ok(at + written.len())
    }

    /// Lets the next record begin a segment: this one has a record that was not written, or not counted.
    fn begin_anew(&mut self) {
        (self.segment, self.used) = (None, None);
    }
}

impl SealedFiles {
    pub fn new(log_dir: PathBuf, output: OutputId, limit: Size, sealing: &Sealing) -> Self {
        Self {
            log_dir,
            output,
            limit,
            keys: sealing.keys().cloned(),
            head: None,
            head_end: HeadEnd::default(),
            tail: None,
            writer: BlockWriter::default(),
        }
    }

    fn half(&self) -> u64 {
        self.limit.as_bytes() / 2
    }

    fn needs_tail(&self) -> bool {
        self.tail.is_none() && self.half().saturating_sub(self.head_end.at) < CHUNK_ROOM
    }

    fn begin_tail(&mut self) -> Result<(), Errno> {
        let ring = SealedRing::new(self.limit);
        let path = tail_path(&self.log_dir, self.output);
        let made = options().read(true).write(true).create(true).truncate(true).open(path);
        let made = made.and_then(|file| file.write_all_at(&ring.to_bytes(), 0).map(|()| (file, ring)));
        self.tail = Some(made.map_err(|error| sealed_errno(&error))?);
        Ok(())
    }

    /// Makes the ring of a copy, whose next byte is the first of the kept end.
    pub fn begin_copied_tail(&mut self, tail: TailPlace) -> io::Result<()> {
        self.limit = tail.limit;
        self.begin_tail()?;
        let (_, ring) = self.tail.as_mut().expect("it was made");
        (ring.start, ring.floor, ring.end) = (tail.start, tail.shown, tail.shown);
        self.writer.used = None;
        Ok(())
    }

    /// Returns the keys with which the files of an output are sealed, each once.
    pub fn keys_of(log_dir: &Path, output: OutputId) -> io::Result<BTreeSet<KeyId>> {
        let open = |path| match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        };
        let mut keys = BTreeSet::new();
        if let Some(head) = open(output_path(log_dir, output))? {
            for block in 0..HeadEnd::of(&head)?.blocks {
                keys.insert(BlockHeader::at(&head, block * BLOCK)?.key);
            }
        }
        if let Some(tail) = open(tail_path(log_dir, output))?
            && let Some(ring) = SealedRing::of(&tail)?
        {
            for block in ring.first()..ring.blocks {
                keys.insert(BlockHeader::at(&tail, ring.offset(block))?.key);
            }
        }
        Ok(keys)
    }

    fn open_head(&mut self) -> io::Result<File> {
        let path = output_path(&self.log_dir, self.output);
        let head = options().read(true).write(true).create(true).truncate(false).open(path)?;
        // A record of which a killed keeper has written a part is nothing to anyone.
        if head.metadata()?.len() > self.head_end.at {
            head.set_len(self.head_end.at)?;
        }
        Ok(head)
    }

    /// Returns the block of the head that the next record goes into, how much of it is used, and how many of
    /// `wanted` bytes fit; `None`: the head is full.
    fn fit_in_head(&self, wanted: usize) -> Option<(u64, Option<usize>, usize)> {
        let fitting_in = |block: u64, used| {
            let size = self.half().saturating_sub(block * BLOCK).min(BLOCK);
            let count = fitting(used, usize::try_from(size).expect("it is at most a block"), wanted)?;
            Some((block, used, count))
        };
        let new = self.head_end.blocks;
        let same = self.writer.used.and_then(|used| fitting_in(new - 1, Some(used)));
        same.or_else(|| fitting_in(new, None))
    }

    fn append_to_head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (Some(head), Some(keys)) = (&self.head, &self.keys) else { return Ok(0) };
        let Some((block, used, count)) = self.fit_in_head(bytes.len()) else { return Ok(0) };
        self.writer.used = used;
        let place = self.head_end.place;
        let written = self.writer.write(head, block * BLOCK, (keys, self.output), place, &bytes[..count]);
        let used = written.inspect_err(|_| {
            let _ = head.set_len(self.head_end.at);
        })?;
        let at = block * BLOCK + used as u64;
        self.head_end = HeadEnd { blocks: block + 1, at, place: place + count as u64 };
        Ok(count)
    }

    fn append_to_ring(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (Some((file, ring)), Some(keys)) = (&mut self.tail, &self.keys) else { return Ok(0) };
        let mut next = *ring;
        if ring.blocks == 0 && ring.end == 0 {
            (next.start, next.end) = (self.head_end.place, self.head_end.place);
            // It may be that of the head.
            self.writer.used = None;
        }
        let writer = &mut self.writer;
        let same = writer.used.and_then(|used| fitting(Some(used), BLOCK_BYTES, bytes.len()));
        let count = same.unwrap_or_else(|| {
            writer.used = None;
            next.blocks += 1;
            bytes.len().min(RECORD_BYTES_MAX)
        });
        let offset = next.offset(next.blocks - 1);
        writer.write(file, offset, (keys, self.output), next.end, &bytes[..count])?;
        next.end += count as u64;
        // In this order: a reader, or a later keeper, believes the header.
        if let Err(error) = file.write_all_at(&next.to_bytes(), 0) {
            writer.begin_anew();
            return Err(error);
        }
        *ring = next;
        Ok(count)
    }
}

impl WrittenFiles for SealedFiles {
    fn look(&mut self) -> Result<(), Errno> {
        self.head_end = match File::open(output_path(&self.log_dir, self.output)) {
            Ok(head) if head.metadata().is_ok_and(|found| found.is_file()) => {
                HeadEnd::of(&head).map_err(|error| sealed_errno(&error))?
            }
            Ok(_) | Err(_) => HeadEnd::default(),
        };
        let tail = options().read(true).write(true).open(tail_path(&self.log_dir, self.output));
        match tail {
            Ok(file) => {
                let ring = SealedRing::of(&file).map_err(|error| sealed_errno(&error))?;
                self.tail = ring.map(|ring| (file, ring));
                self.limit = self.tail.as_ref().map_or(self.limit, |(_, ring)| ring.limit);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(sealed_errno(&error)),
        }
    }

    fn open(&mut self) -> Result<(), Errno> {
        if self.keys.is_none() {
            return Err(Errno::ENOKEY);
        }
        if self.head.is_none() {
            self.look()?;
            if self.tail.is_none() && self.limit != NewJob::LOG_LIMIT {
                // A keeper that takes over knows no other limit by itself.
                self.begin_tail()?;
            }
            self.head = Some(self.open_head().map_err(|error| sealed_errno(&error))?);
        }
        if self.needs_tail() {
            self.begin_tail()?;
        }
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.head.is_some() && !self.needs_tail()
    }

    fn head(&self) -> Option<&File> {
        self.head.as_ref()
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.has_tail() {
            let count = self.append_to_head(bytes)?;
            if count > 0 {
                return Ok(count);
            }
        }
        self.append_to_ring(bytes)
    }

    fn end(&self) -> u64 {
        match &self.tail {
            Some((_, ring)) if ring.blocks > 0 => ring.end,
            Some(_) | None => self.head_end.place,
        }
    }

    fn dropped(&self) -> (u64, u64) {
        self.tail.as_ref().map_or((0, 0), |(_, ring)| (ring.start, ring.last_half()))
    }

    fn has_tail(&self) -> bool {
        self.tail.as_ref().is_some_and(|(_, ring)| ring.blocks > 0)
    }

    fn is_round(&self) -> bool {
        self.tail.as_ref().is_some_and(|(_, ring)| ring.blocks > ring.slots())
    }

    fn seal(&mut self, keys: &OutputKeys) {
        if self.keys.as_ref().and_then(OutputKeys::newest) != keys.newest() {
            self.writer.begin_anew();
        }
        self.keys = Some(keys.clone());
    }

    fn finish(&mut self, tail_start: Option<u64>) {
        if !self.has_tail() {
            if self.tail.take().is_some() {
                let _ = fs::remove_file(tail_path(&self.log_dir, self.output));
            }
            return;
        }
        let Some((file, ring)) = &mut self.tail else { return };
        let Some(start) = tail_start.filter(|start| ring.floor < *start) else { return };
        let first = ring.first();
        let starts = (first..ring.blocks).take_while(|block| {
            *block == first || ring.place_of(file, *block).is_ok_and(|place| place <= start)
        });
        let Some(floor_block) = starts.last() else { return };
        let oldest = ring.blocks.saturating_sub(ring.slots());
        (ring.floor, ring.floor_block) = (start, floor_block);
        if file.write_all_at(&ring.to_bytes(), 0).is_ok() {
            (oldest..floor_block).for_each(|block| give_back(file, (ring.offset(block), BLOCK)));
        }
    }
}
