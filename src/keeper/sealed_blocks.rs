//! Owns: the form of sealed output files: blocks, their headers, and the heads of records.
//! Never: sealing or opening a record (see `seal`); who writes and reads them (see `sealed_files` and
//! `sealed_reader`).
//!
//! A file is blocks of 64 KiB, each with a header and records. A record is a length, its complement, and the
//! sealed bytes; none crosses a block. The first place after a block is the place of the next one: so what a
//! killed keeper has left after its last whole record is known to be nothing.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

use super::log_directory::SealedError;
use crate::seal::{KeyId, RECORD_OVERHEAD, SegmentId};

pub(super) const BLOCK_BYTES: usize = 64 << 10;

/// The same, for places in files.
pub(super) const BLOCK: u64 = BLOCK_BYTES as u64;

/// Marks a block.
const MAGIC: &[u8; 8] = b"taskq s1";

/// Magic, place, key, number and segment; the rest is zero.
pub(super) const HEADER_BYTES: usize = 48;

/// The length of the plain bytes, and its complement: a flipped bit is no other length.
pub(super) const RECORD_HEAD_BYTES: usize = 4;

/// By how much a record is longer than its bytes.
pub(super) const RECORD_COST: usize = RECORD_HEAD_BYTES + RECORD_OVERHEAD;

/// The most bytes of a record: those of a block that has no other.
pub(super) const RECORD_BYTES_MAX: usize = BLOCK_BYTES - HEADER_BYTES - RECORD_COST;

/// The header of a block. It is not secret, and a record opens only if all of it is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHeader {
    /// The place in the output of its first byte.
    pub place: u64,
    pub key: KeyId,
    /// The number of its first record in the segment.
    pub number: u32,
    pub segment: SegmentId,
}

impl BlockHeader {
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&self.place.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.key.0.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..43].copy_from_slice(&self.segment);
        bytes
    }

    /// Reads the header of a block.
    ///
    /// # Errors
    /// `Damaged` if it is none.
    pub fn of(block: &[u8]) -> Result<Self, SealedError> {
        let bytes: &[u8; HEADER_BYTES] = block.first_chunk().ok_or(SealedError::DAMAGED)?;
        let four = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("it is four"));
        if !bytes.starts_with(MAGIC) {
            return Err(SealedError::DAMAGED);
        }
        Ok(Self {
            place: u64::from_le_bytes(bytes[8..16].try_into().expect("it is eight")),
            key: KeyId(four(16)),
            number: four(20),
            segment: bytes[24..43].try_into().expect("it is as long"),
        })
    }

    /// Reads the header of the block at an offset.
    pub fn at(file: &File, offset: u64) -> io::Result<Self> {
        let mut bytes = [0; HEADER_BYTES];
        match file.read_exact_at(&mut bytes, offset) {
            Ok(()) => Ok(Self::of(&bytes)?),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(SealedError::DAMAGED.into()),
            Err(error) => Err(error),
        }
    }
}

/// Returns the head of a record.
pub(super) fn record_head(bytes: u16) -> [u8; RECORD_HEAD_BYTES] {
    let [[a, b], [c, d]] = [bytes.to_le_bytes(), (!bytes).to_le_bytes()];
    [a, b, c, d]
}

/// Returns the number of plain bytes of the record at an offset of a block; `None` if there is no more, or
/// only a part of one at the end of the file.
///
/// # Errors
/// `Damaged` if it is neither.
pub(super) fn record_at(block: &[u8], at: usize) -> Result<Option<usize>, SealedError> {
    let rest = &block[at..];
    let head: [u8; RECORD_HEAD_BYTES] = match rest.first_chunk() {
        Some(head) if *head != [0; RECORD_HEAD_BYTES] => *head,
        Some(_) | None => return Ok(None),
    };
    let bytes = u16::from_le_bytes([head[0], head[1]]);
    if bytes == 0 || head != record_head(bytes) {
        return Err(SealedError::DAMAGED);
    }
    let bytes = usize::from(bytes);
    if bytes + RECORD_COST <= rest.len() {
        return Ok(Some(bytes));
    }
    if at + bytes + RECORD_COST > BLOCK_BYTES { Err(SealedError::DAMAGED) } else { Ok(None) }
}

/// Reads the block at an offset into the buffer, or as much as there is of it.
pub(super) fn read_block(file: &File, offset: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.resize(BLOCK_BYTES, 0);
    let mut length = 0;
    while length < BLOCK_BYTES {
        match file.read_at(&mut buffer[length..], offset + length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(length);
    Ok(())
}

/// The end of the whole records of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HeadEnd {
    /// How many blocks it has.
    pub blocks: u64,
    /// The offset in the file after the last whole record.
    pub at: u64,
    /// The place in the output after it.
    pub place: u64,
}

impl HeadEnd {
    /// Finds it without any key.
    ///
    /// # Errors
    /// If the file cannot be read, is not sealed, or is damaged at its end.
    pub fn of(file: &File) -> io::Result<Self> {
        let mut blocks = file.metadata()?.len().div_ceil(BLOCK);
        let mut block = Vec::new();
        while let Some(last) = blocks.checked_sub(1) {
            read_block(file, last * BLOCK, &mut block)?;
            let magic = &block[..block.len().min(MAGIC.len())];
            if last == 0 && !MAGIC.starts_with(magic) {
                return Err(SealedError::NOT_SEALED.into());
            }
            // Its keeper was killed while it wrote the header, or the disk has never got it.
            if block.first_chunk::<HEADER_BYTES>().is_none_or(|header| *header == [0; HEADER_BYTES]) {
                blocks = last;
                continue;
            }
            let mut place = BlockHeader::of(&block)?.place;
            let mut at = HEADER_BYTES;
            while let Some(bytes) = record_at(&block, at)? {
                at += RECORD_COST + bytes;
                place += bytes as u64;
            }
            return Ok(Self { blocks, at: last * BLOCK + at as u64, place });
        }
        Ok(Self::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: BlockHeader = BlockHeader { place: 1 << 40, key: KeyId(3), number: 7, segment: [9; 19] };

    fn block(records: &[u16]) -> Vec<u8> {
        let mut block = HEADER.to_bytes().to_vec();
        for bytes in records {
            block.extend_from_slice(&record_head(*bytes));
            block.resize(block.len() + usize::from(*bytes) + RECORD_OVERHEAD, 1);
        }
        block
    }

    fn end_of(bytes: &[u8]) -> io::Result<HeadEnd> {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(bytes, 0).expect("ours");
        HeadEnd::of(&file)
    }

    #[test]
    fn the_header_of_a_block_reads_back() {
        assert_eq!(BlockHeader::of(&HEADER.to_bytes()), Ok(HEADER));
        assert_eq!(BlockHeader::of(&[0; HEADER_BYTES]), Err(SealedError::DAMAGED));
        assert_eq!(BlockHeader::of(&HEADER.to_bytes()[1..]), Err(SealedError::DAMAGED));
    }

    #[test]
    fn no_flipped_bit_of_a_length_is_another_length() {
        let whole = block(&[5]);
        for bit in 0..8 * RECORD_HEAD_BYTES {
            let mut flipped = whole.clone();
            flipped[HEADER_BYTES + bit / 8] ^= 1 << (bit % 8);
            assert_eq!(record_at(&flipped, HEADER_BYTES), Err(SealedError::DAMAGED), "bit {bit}");
        }
    }

    #[test]
    fn the_end_is_after_the_last_whole_record_at_whatever_byte_the_keeper_was_killed() {
        let first = block(&[5, 6]);
        for length in 0..=first.len() {
            let (at, bytes) = match length {
                0..48 => (0, 0),
                48..73 => (48, 0),
                73..99 => (73, 5),
                99.. => (99, 11),
            };
            let place = if at == 0 { 0 } else { HEADER.place + bytes };
            let expected = HeadEnd { blocks: u64::from(at > 0), at, place };
            assert_eq!(end_of(&first[..length]).expect("it is sound"), expected, "{length} bytes");
            // The same, in a second block.
            let mut both = block(&[100]);
            both.resize(BLOCK_BYTES, 0);
            both.extend_from_slice(&first[..length]);
            let expected = match at {
                0 => HeadEnd { blocks: 1, at: 48 + 120, place: HEADER.place + 100 },
                at => HeadEnd { blocks: 2, at: BLOCK + at, ..expected },
            };
            assert_eq!(end_of(&both).expect("it is sound"), expected, "{length} bytes");
        }
    }

    #[test]
    fn a_block_that_never_came_to_the_disk_is_not_there() {
        let mut bytes = block(&[100]);
        bytes.resize(2 * BLOCK_BYTES, 0);
        let expected = HeadEnd { blocks: 1, at: 48 + 120, place: HEADER.place + 100 };
        assert_eq!(end_of(&bytes).expect("it is sound"), expected);
        bytes[BLOCK_BYTES] = 1;
        end_of(&bytes).expect_err("it is damaged");
    }

    #[test]
    fn a_plain_file_is_not_a_sealed_one() {
        for bytes in [b"x".as_slice(), b"taskq", b"task s", &[0; 60]] {
            let found = end_of(bytes).map_err(|error| SealedError::of(&error));
            let is_beginning = MAGIC.starts_with(bytes);
            assert_eq!(found.err(), (!is_beginning).then_some(Some(SealedError::NOT_SEALED)), "{bytes:?}");
        }
    }
}
