//! Owns: reading the bytes of a sealed output file by their places in the output.
//! Never: which places are shown (see `output_files`).
//!
//! A place is found by the headers of blocks and then by the lengths of records; nothing else is read or
//! opened. The records of a block must end where the next block begins, so nothing is left out unnoticed.

use std::fmt;
use std::fs::File;
use std::io;

use super::log_directory::{SealedError, Sealing};
use super::output_names::OutputId;
use super::sealed_blocks::{
    BLOCK, BlockHeader, HEADER_BYTES, HeadEnd, RECORD_COST, RECORD_HEAD_BYTES, read_block, record_at,
};
use super::sealed_ring::SealedRing;
use crate::seal::{OutputKeys, open_record};

/// Where the blocks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Head,
    Ring(SealedRing),
}

/// A block that was read.
struct OpenBlock {
    number: u64,
    header: BlockHeader,
    /// The place after its last byte.
    end: u64,
    bytes: Vec<u8>,
    /// The next record: its offset, its number in the segment, its place.
    next: (usize, u32, u64),
}

/// The place of the bytes of a record, and these.
#[derive(Default)]
struct OpenRecord {
    place: u64,
    bytes: Vec<u8>,
}

/// The bytes of a file, as far as they were written when it was opened.
pub(super) struct SealedReader {
    file: File,
    layout: Layout,
    /// The blocks from the first to the one after the last.
    blocks: (u64, u64),
    /// The place after the last byte.
    end: u64,
    keys: Option<OutputKeys>,
    name: String,
    block: Option<OpenBlock>,
    record: OpenRecord,
}

impl SealedReader {
    pub fn of_head(file: File, end: HeadEnd, sealing: &Sealing, output: OutputId) -> Self {
        Self::new(file, Layout::Head, ((0, end.blocks), end.place), sealing, output)
    }

    pub fn of_ring(file: File, ring: SealedRing, sealing: &Sealing, output: OutputId) -> Self {
        Self::new(file, Layout::Ring(ring), ((ring.first(), ring.blocks), ring.end), sealing, output)
    }

    fn new(
        file: File,
        layout: Layout,
        (blocks, end): ((u64, u64), u64),
        sealing: &Sealing,
        output: OutputId,
    ) -> Self {
        let (keys, name) = (sealing.keys().cloned(), output.sealed_name());
        Self { file, layout, blocks, end, keys, name, block: None, record: OpenRecord::default() }
    }

    /// Reads bytes from a place on, which is before the end. Returns `None` if the writer has overwritten
    /// them since the file was opened.
    ///
    /// # Errors
    /// If the file cannot be read, the key is missing, or something is not as it was sealed.
    pub fn read_at(&mut self, buffer: &mut [u8], place: u64) -> io::Result<Option<usize>> {
        if self.keys.is_none() {
            return Err(SealedError::KeyMissing.into());
        }
        if !self.record.has(place) {
            let has_block = self.block.as_ref().is_some_and(|block| block.has(place));
            if !has_block {
                // A block that is overwritten while it is read looks damaged.
                let loaded = self.load(place);
                if self.is_overtaken(place)? {
                    return Ok(None);
                }
                self.block = Some(loaded?);
            }
            self.open(place)?;
        }
        let from = usize::try_from(place - self.record.place).expect("it is within the record");
        let rest = &self.record.bytes[from..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(Some(count))
    }

    /// Fills the buffer from a place on, as far as bytes can be read, and returns how far that is.
    pub fn read_some(&mut self, buffer: &mut [u8], place: u64) -> usize {
        let mut length = 0;
        while length < buffer.len()
            && let Ok(Some(count)) = self.read_at(&mut buffer[length..], place + length as u64)
            && count > 0
        {
            length += count;
        }
        length
    }

    fn offset(&self, block: u64) -> u64 {
        match self.layout {
            Layout::Head => block * BLOCK,
            Layout::Ring(ring) => ring.offset(block),
        }
    }

    /// Returns the first place of a block.
    fn place_of(&self, block: u64) -> io::Result<u64> {
        Ok(BlockHeader::at(&self.file, self.offset(block))?.place)
    }

    /// Reads the block with a place.
    fn load(&mut self, place: u64) -> io::Result<OpenBlock> {
        let following = self.block.as_ref().filter(|block| block.end == place).map(|block| block.number + 1);
        let number = match following {
            Some(number) if number < self.blocks.1 => number,
            Some(_) | None => self.find(place)?,
        };
        let mut bytes = self.block.take().map(|block| block.bytes).unwrap_or_default();
        read_block(&self.file, self.offset(number), &mut bytes)?;
        let header = BlockHeader::of(&bytes)?;
        let end = if number + 1 < self.blocks.1 { self.place_of(number + 1)? } else { self.end };
        let block =
            OpenBlock { number, header, end, bytes, next: (HEADER_BYTES, header.number, header.place) };
        if block.has(place) { Ok(block) } else { Err(SealedError::DAMAGED.into()) }
    }

    /// Returns the last block that begins at a place or before.
    fn find(&self, place: u64) -> io::Result<u64> {
        let (mut first, mut after) = self.blocks;
        while first + 1 < after {
            let middle = first.midpoint(after);
            if self.place_of(middle)? <= place {
                first = middle;
            } else {
                after = middle;
            }
        }
        Ok(first)
    }

    /// Returns whether the block with a place may have been overwritten by now.
    fn is_overtaken(&self, place: u64) -> io::Result<bool> {
        let Layout::Ring(then) = self.layout else { return Ok(false) };
        let is_changed = SealedRing::of(&self.file)?.is_none_or(|now| now.first() > then.first());
        Ok(is_changed && SealedRing::with_places(&self.file)?.is_none_or(|(_, kept, _)| kept > place))
    }

    /// Opens the record with a place, of the block that was read.
    fn open(&mut self, place: u64) -> io::Result<()> {
        let (Some(block), Some(keys)) = (&mut self.block, &self.keys) else { return Ok(()) };
        if place < block.next.2 {
            block.next = (HEADER_BYTES, block.header.number, block.header.place);
        }
        self.record.bytes.clear();
        loop {
            let (at, number, first) = block.next;
            let bytes = record_at(&block.bytes, at)?.ok_or(SealedError::DAMAGED)?;
            let after = first + bytes as u64;
            if after > block.end {
                return Err(SealedError::DAMAGED.into());
            }
            let next = number.checked_add(1).ok_or(SealedError::DAMAGED)?;
            block.next = (at + RECORD_COST + bytes, next, after);
            if place < after {
                let sealed = &block.bytes[at + RECORD_HEAD_BYTES..at + RECORD_COST + bytes];
                self.record.bytes.extend_from_slice(sealed);
                self.record.place = first;
                let segment = (block.header.key, &block.header.segment);
                let opened = open_record(keys, &self.name, segment, number, first, &mut self.record.bytes);
                return opened.map_err(|error| {
                    self.record.bytes.clear();
                    SealedError::from(error).into()
                });
            }
        }
    }
}

impl OpenBlock {
    fn has(&self, place: u64) -> bool {
        (self.header.place..self.end).contains(&place)
    }
}

impl OpenRecord {
    fn has(&self, place: u64) -> bool {
        place.checked_sub(self.place).is_some_and(|from| from < self.bytes.len() as u64)
    }
}

impl fmt::Debug for SealedReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedReader").field("layout", &self.layout).field("name", &self.name).finish()
    }
}
