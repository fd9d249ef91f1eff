//! Owns: a sealed cell: the value of one column in one row.
//! Never: which columns are sealed (see `store`).
//!
//! A cell is a version, the number of the key, a random nonce, and the sealed value with its tag. The tag
//! also covers the place of the cell: so one that is copied into another row or column does not open.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use thiserror::Error;

use super::key_id::KeyId;
use super::secret::Secret;

const VERSION: u8 = 1;

const NONCE_BYTES: usize = 24;

const TAG_BYTES: usize = 16;

/// Version, number of the key, nonce.
const HEAD_BYTES: usize = 1 + 4 + NONCE_BYTES;

/// By how much a cell is longer than its value, in bytes.
pub const CELL_OVERHEAD: usize = HEAD_BYTES + TAG_BYTES;

/// The place of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellPlace<'a> {
    /// Table and column, as in `job.command`.
    pub column: &'a str,
    /// The key of the row: two numbers at most, else the second is 0.
    pub row: (i64, i64),
}

impl CellPlace<'_> {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.column.len() + 17);
        bytes.extend_from_slice(self.column.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&self.row.0.to_le_bytes());
        bytes.extend_from_slice(&self.row.1.to_le_bytes());
        bytes
    }
}

/// Why a sealed value cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    #[error("it is not sealed, as all others are")]
    NotSealed,
    #[error("it is sealed with data key {0}, which this store does not have")]
    UnknownKey(KeyId),
    #[error("it is damaged, or belongs elsewhere")]
    Damaged,
}

/// Seals a value for its place.
pub fn seal(id: KeyId, key: &Secret, place: CellPlace<'_>, value: &[u8]) -> Vec<u8> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).expect("the system has random bytes");
    let cipher = XChaCha20Poly1305::new(key.bytes().into());
    let payload = Payload { msg: value, aad: &place.to_bytes() };
    let sealed = cipher.encrypt(&XNonce::from(nonce), payload).expect("a value is shorter than 256 GB");
    let mut cell = Vec::with_capacity(HEAD_BYTES + sealed.len());
    cell.push(VERSION);
    cell.extend_from_slice(&id.0.to_le_bytes());
    cell.extend_from_slice(&nonce);
    cell.extend_from_slice(&sealed);
    cell
}

/// Returns the number of the key of a cell.
///
/// # Errors
/// `NotSealed` if it cannot be a cell.
pub fn key_of(cell: &[u8]) -> Result<KeyId, OpenError> {
    match cell {
        [VERSION, a, b, c, d, ..] if cell.len() >= CELL_OVERHEAD => {
            Ok(KeyId(u32::from_le_bytes([*a, *b, *c, *d])))
        }
        _ => Err(OpenError::NotSealed),
    }
}

/// Opens a cell at its place.
///
/// # Errors
/// `Damaged` if key, place or bytes are not those with which it was sealed.
pub fn open(key: &Secret, place: CellPlace<'_>, cell: &[u8]) -> Result<Vec<u8>, OpenError> {
    let (head, sealed) = cell.split_at_checked(HEAD_BYTES).ok_or(OpenError::NotSealed)?;
    let nonce: [u8; NONCE_BYTES] = head[5..].try_into().expect("the head ends with it");
    let cipher = XChaCha20Poly1305::new(key.bytes().into());
    let payload = Payload { msg: sealed, aad: &place.to_bytes() };
    cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| OpenError::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: CellPlace<'_> = CellPlace { column: "job.command", row: (12, 0) };

    #[test]
    fn a_cell_opens_at_its_own_place_alone() {
        let key = Secret::random();
        let cell = seal(KeyId(3), &key, PLACE, b"echo secret");
        assert_eq!((cell.len(), key_of(&cell)), (11 + CELL_OVERHEAD, Ok(KeyId(3))));
        assert_eq!(open(&key, PLACE, &cell).as_deref(), Ok(&b"echo secret"[..]));
        for place in [
            CellPlace { column: "job.stdin_text", ..PLACE },
            CellPlace { row: (13, 0), ..PLACE },
            CellPlace { row: (12, 1), ..PLACE },
        ] {
            assert_eq!(open(&key, place, &cell), Err(OpenError::Damaged), "{place:?}");
        }
        assert_eq!(open(&Secret::random(), PLACE, &cell), Err(OpenError::Damaged));
        assert_ne!(seal(KeyId(3), &key, PLACE, b"echo secret"), cell, "each has a nonce of its own");
    }

    #[test]
    fn no_flipped_bit_and_no_cut_is_taken_for_a_value() {
        let key = Secret::random();
        let cell = seal(KeyId(1), &key, PLACE, b"value");
        for bit in 0..cell.len() * 8 {
            let mut flipped = cell.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let is_same_key = key_of(&flipped) == Ok(KeyId(1));
            assert!(!is_same_key || open(&key, PLACE, &flipped) == Err(OpenError::Damaged), "bit {bit}");
        }
        for length in 0..cell.len() {
            let cut = &cell[..length];
            assert!(key_of(cut).is_err() || open(&key, PLACE, cut).is_err(), "{length} bytes");
        }
    }
}
