//! Owns: frames: how messages become bytes of a stream, and bytes messages.
//! Never: sockets, or what the messages are.
//!
//! A frame is a little-endian u32 length and that many bytes of postcard.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroize;

/// The longest frame, without its length. Linux takes at most 6 MiB of arguments and environment together
/// (execve(2)), so no order that could be started is longer.
pub const FRAME_BYTES_MAX: usize = 8 << 20;

/// A buffer that grew beyond this gives its memory back once it is empty.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// The bytes of a frame's length.
const HEAD_BYTES: usize = 4;

/// Why bytes are not a message: a fragment for a person. Nothing after such bytes can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than `FRAME_BYTES_MAX`.
    #[error("a message of {0} bytes is longer than the {FRAME_BYTES_MAX} that one may have")]
    TooLong(usize),
    /// Not a message, or more than one.
    #[error("a message that is not one of the protocol's")]
    Corrupt,
}

impl From<FrameError> for io::Error {
    fn from(error: FrameError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// Appends `message` to `out` as one frame; on failure `out` is unchanged.
///
/// # Errors
/// `TooLong` if the other side would refuse it.
pub fn encode<T: Serialize>(message: &T, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let head = out.len();
    out.extend_from_slice(&[0; HEAD_BYTES]);
    let mut framed =
        postcard::to_extend(message, std::mem::take(out)).expect("writing to memory cannot fail");
    let length = framed.len() - head - HEAD_BYTES;
    if length > FRAME_BYTES_MAX {
        framed.truncate(head);
        *out = framed;
        return Err(FrameError::TooLong(length));
    }
    let length_field = u32::try_from(length).expect("FRAME_BYTES_MAX fits in a u32");
    framed[head..head + HEAD_BYTES].copy_from_slice(&length_field.to_le_bytes());
    *out = framed;
    Ok(())
}

/// Takes bytes as they arrive and returns messages as they become complete. It holds no more than it was
/// given: a length alone reserves nothing.
#[derive(Debug, Default)]
pub struct FrameReader {
    pub(super) bytes: Vec<u8>,
    /// Everything before this was read.
    start: usize,
}

impl FrameReader {
    /// Takes the next bytes, cut wherever they may be.
    pub fn push(&mut self, bytes: &[u8]) {
        // Moved down only when the consumed part outweighs the rest: each byte is moved at most once on
        // average.
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        extend_wiped(&mut self.bytes, bytes);
    }

    /// Wipes the messages that were taken out of memory.
    pub(super) fn wipe_taken(&mut self) {
        let rest = self.bytes[self.start..].to_vec();
        // Also what lies after the end, where bytes were before they were moved down.
        self.bytes.zeroize();
        (self.bytes, self.start) = (rest, 0);
    }

    /// Returns the next message, or `None` while it is incomplete.
    ///
    /// # Errors
    /// `TooLong` and `Corrupt`; no later message can be read then.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let unread = &self.bytes[self.start..];
        let Some((head, rest)) = unread.split_first_chunk::<HEAD_BYTES>() else {
            if unread.is_empty() {
                self.start = 0;
                recycle(&mut self.bytes);
            }
            return Ok(None);
        };
        let length = u32::from_le_bytes(*head) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(FrameError::TooLong(length));
        }
        let Some(frame) = rest.get(..length) else { return Ok(None) };
        let message = decode(frame).ok_or(FrameError::Corrupt)?;
        self.start += HEAD_BYTES + length;
        Ok(Some(message))
    }
}

/// Reads one value of postcard that takes up all the bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (value, left) = postcard::take_from_bytes(bytes).ok()?;
    left.is_empty().then_some(value)
}

/// Appends bytes. Memory that is given up for it is wiped, because there may be a key in it.
pub(super) fn extend_wiped(buffer: &mut Vec<u8>, bytes: &[u8]) {
    let length = buffer.len() + bytes.len();
    if length > buffer.capacity() {
        let mut larger = Vec::with_capacity(length.max(2 * buffer.capacity()));
        larger.extend_from_slice(buffer);
        buffer.zeroize();
        *buffer = larger;
    }
    buffer.extend_from_slice(bytes);
}

/// Empties a buffer for its next use, and gives its memory back if one large message had made it grow.
pub(super) fn recycle(buffer: &mut Vec<u8>) {
    if buffer.capacity() > KEPT_BYTES_MAX {
        *buffer = Vec::new();
    } else {
        buffer.clear();
    }
}
