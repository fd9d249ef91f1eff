//! Owns: the header of a sealed ring, and which block is in which part of the file.
//! Never: the blocks (see `sealed_blocks`), or plain rings (see `output_files`).
//!
//! A ring is slots for blocks. A new block goes into the slot of the oldest one. It counts from the moment at
//! which the header counts it, so a killed keeper leaves a whole ring.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

use super::log_directory::SealedError;
use super::sealed_blocks::{BLOCK, BlockHeader};
use crate::domain::{Size, stable_hash};

/// The slots besides those of half of the limit: for a half that begins and ends within a block, and
/// `MARGIN`.
const SPARE: u64 = 2;

/// The blocks that a reader can be behind before it is overtaken, and as many that are not believed to be
/// there any more.
const MARGIN: u64 = 4;

/// The header of a sealed ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SealedRing {
    /// The log limit of the output.
    pub limit: Size,
    /// The place in the output of the first byte that came into the ring.
    pub start: u64,
    /// The bytes before this place are not needed, and their room may have been given back.
    pub floor: u64,
    /// The block with the floor.
    pub floor_block: u64,
    /// The place after the last byte.
    pub end: u64,
    /// How many blocks were begun.
    pub blocks: u64,
}

impl SealedRing {
    /// Marks a file as a ring of this form.
    const MAGIC: u64 = u64::from_le_bytes(*b"taskq r2");

    const NUMBERS: usize = 8;

    const HEADER_BYTES: usize = 8 * Self::NUMBERS;

    /// Where the first slot is in the file.
    pub const SLOTS_AT: u64 = 4096;

    /// Returns the header of a ring without a block.
    pub fn new(limit: Size) -> Self {
        Self { limit, start: 0, floor: 0, floor_block: 0, end: 0, blocks: 0 }
    }

    fn half(self) -> u64 {
        self.limit.as_bytes() / 2
    }

    /// Returns how many slots it has.
    pub fn slots(self) -> u64 {
        self.shown() + 2 * MARGIN
    }

    /// Returns how many of the last blocks are shown at most. An output in tiny writes has few bytes in each.
    fn shown(self) -> u64 {
        self.half().div_ceil(BLOCK) + SPARE
    }

    /// Returns the first block that is still there, and is not overwritten just now.
    pub fn first(self) -> u64 {
        self.floor_block.max(self.blocks.saturating_sub(self.slots() - MARGIN))
    }

    /// Returns the first block of which bytes are shown.
    pub fn first_shown(self) -> u64 {
        self.first().max(self.blocks.saturating_sub(self.shown()))
    }

    /// Returns the first place of the last half of the limit.
    pub fn last_half(self) -> u64 {
        self.end.saturating_sub(self.half()).max(self.start)
    }

    /// Returns where a block is in the file.
    pub fn offset(self, block: u64) -> u64 {
        Self::SLOTS_AT + block % self.slots() * BLOCK
    }

    /// Returns the first place that is in a block, or is needed of it.
    ///
    /// # Errors
    /// If it cannot be read, or is not a place in the ring.
    pub fn place_of(self, file: &File, block: u64) -> io::Result<u64> {
        if block == self.floor_block {
            return Ok(self.floor.max(self.start));
        }
        let place = BlockHeader::at(file, self.offset(block))?.place;
        let next = match block + 1 {
            next if next < self.blocks => BlockHeader::at(file, self.offset(next))?.place,
            _ => self.end,
        };
        if (self.start..next).contains(&place) { Ok(place) } else { Err(SealedError::DAMAGED.into()) }
    }

    pub fn to_bytes(self) -> [u8; Self::HEADER_BYTES] {
        let Self { limit, start, floor, floor_block, end, blocks } = self;
        let mut numbers =
            [Self::MAGIC, limit.as_bytes(), start, floor, floor_block, end, blocks, 0].map(u64::to_le_bytes);
        let [rest @ .., hash] = &mut numbers;
        *hash = stable_hash(0, rest.as_flattened()).to_le_bytes();
        let mut bytes = [0; Self::HEADER_BYTES];
        bytes.copy_from_slice(numbers.as_flattened());
        bytes
    }

    fn of_bytes(bytes: &[u8; Self::HEADER_BYTES]) -> Option<Self> {
        let (numbers, _) = bytes.as_chunks::<8>();
        let [magic, limit, start, floor, floor_block, end, blocks, hash] =
            *<&[_; Self::NUMBERS]>::try_from(numbers).ok()?;
        let [magic, limit, start, floor, floor_block, end, blocks, hash] =
            [magic, limit, start, floor, floor_block, end, blocks, hash].map(u64::from_le_bytes);
        let limit = Size::from_bytes(limit);
        let ring = Self { limit, start, floor, floor_block, end, blocks };
        let is_possible =
            limit <= Size::MAX && start <= end && floor <= end && floor_block <= blocks.saturating_sub(1);
        (magic == Self::MAGIC && hash == stable_hash(0, &bytes[..Self::HEADER_BYTES - 8]) && is_possible)
            .then_some(ring)
    }

    /// Reads the header of a ring; `None` while its keeper has not written it.
    ///
    /// # Errors
    /// If it cannot be read, is not sealed, or is damaged.
    pub fn of(file: &File) -> io::Result<Option<Self>> {
        let mut last = [0; Self::HEADER_BYTES];
        loop {
            let mut bytes = [0; Self::HEADER_BYTES];
            match file.read_exact_at(&mut bytes, 0) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Self::without_header(file),
                Err(error) => return Err(error),
            }
            if let Some(ring) = Self::of_bytes(&bytes) {
                return Ok(Some(ring));
            }
            // One that is being written can be read in part. It is another a moment later.
            if bytes == last {
                let is_ring = bytes.starts_with(&Self::MAGIC.to_le_bytes());
                return Err(if is_ring { SealedError::DAMAGED } else { SealedError::NOT_SEALED }.into());
            }
            last = bytes;
        }
    }

    /// Reads the header of a ring that has a block, the first place that is still there, and the first one
    /// that is in a block of which bytes are shown.
    ///
    /// # Errors
    /// As `of`, and `place_of`.
    pub fn with_places(file: &File) -> io::Result<Option<(Self, u64, u64)>> {
        loop {
            let Some(ring) = Self::of(file)?.filter(|ring| ring.blocks > 0) else { return Ok(None) };
            let kept = ring.place_of(file, ring.first());
            let shown = ring.place_of(file, ring.first_shown());
            // Else it was perhaps overwritten in this moment.
            if Self::of(file)?.is_some_and(|now| now.first() <= ring.first()) {
                return Ok(Some((ring, kept?, shown?)));
            }
        }
    }

    fn without_header(file: &File) -> io::Result<Option<Self>> {
        match file.metadata()?.len() {
            0 => Ok(None),
            length if length < Self::HEADER_BYTES as u64 => Err(SealedError::NOT_SEALED.into()),
            // It was written in this moment.
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RING: SealedRing = SealedRing {
        limit: Size::from_bytes(1 << 20),
        start: 1 << 19,
        floor: 7,
        floor_block: 2,
        end: 1 << 40,
        blocks: 99,
    };

    #[test]
    fn the_header_of_a_ring_reads_back_and_no_flipped_bit_makes_another() {
        let file = tempfile::tempfile().expect("a file");
        assert_eq!(SealedRing::of(&file).expect("it is empty"), None);
        file.write_all_at(&RING.to_bytes(), 0).expect("ours");
        assert_eq!(SealedRing::of(&file).expect("it is whole"), Some(RING));
        for bit in 0..8 * SealedRing::HEADER_BYTES {
            let mut bytes = RING.to_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            file.write_all_at(&bytes, 0).expect("ours");
            SealedRing::of(&file).expect_err("a bit is another");
        }
    }

    #[test]
    fn the_blocks_that_are_shown_are_those_of_half_of_the_limit_and_readers_have_a_margin() {
        assert_eq!((RING.slots(), RING.first(), RING.first_shown()), (18, 85, 89));
        let long = SealedRing { floor_block: 95, ..RING };
        assert_eq!((long.first(), long.first_shown()), (95, 95));
        let short = SealedRing { blocks: 3, floor_block: 0, ..RING };
        assert_eq!((short.first(), short.first_shown()), (0, 0));
    }
}
