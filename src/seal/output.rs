//! Owns: the sealed records of outputs.
//! Never: the files that they are in (see `keeper`).
//!
//! A segment is a STREAM of records: whoever writes an output begins one, and counts its records. A record
//! belongs to its output, by the key, and to its place there, by the associated data.

use std::sync::Arc;

use aead_stream::{NewStream, StreamBE32, StreamPrimitive};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use hkdf::Hkdf;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::cell::OpenError;
use super::key_id::KeyId;
use super::secret::{SECRET_BYTES, Secret};

/// By how much a record is longer than its bytes.
pub const RECORD_OVERHEAD: usize = 16;

/// The number of a segment: random.
pub type SegmentId = [u8; 19];

/// The keys of outputs, by the data key that they follow from. The last one is for new outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputKeys(Vec<(KeyId, Arc<Secret>)>);

impl OutputKeys {
    /// Takes the keys, the newest one last.
    pub(super) fn new(keys: Vec<(KeyId, Arc<Secret>)>) -> Self {
        Self(keys)
    }

    /// Returns the key for new outputs; `None`: outputs are not sealed.
    pub fn newest(&self) -> Option<KeyId> {
        self.0.last().map(|(id, _)| *id)
    }

    /// Returns the cipher of an output, which has this name.
    fn stream(&self, id: KeyId, output: &str, segment: &SegmentId) -> Result<Stream, OpenError> {
        let (_, secret) = self.0.iter().find(|(key, _)| *key == id).ok_or(OpenError::UnknownKey(id))?;
        let mut key = Zeroizing::new([0; SECRET_BYTES]);
        let keys = Hkdf::<Sha256>::from_prk(secret.bytes()).expect("it has the length of a hash");
        keys.expand(output.as_bytes(), key.as_mut()).expect("32 bytes are not too many");
        let cipher = XChaCha20Poly1305::new((&*key).into());
        Ok(StreamBE32::from_aead(cipher, &(*segment).into()))
    }
}

type Stream = StreamBE32<XChaCha20Poly1305>;

/// For the socket of the keeper, which is the user's alone.
impl Serialize for OutputKeys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let keys: Vec<(u32, &[u8; SECRET_BYTES])> =
            self.0.iter().map(|(id, secret)| (id.0, secret.bytes())).collect();
        keys.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for OutputKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut keys = Zeroizing::new(Vec::<(u32, [u8; SECRET_BYTES])>::deserialize(deserializer)?);
        if keys.is_empty() {
            return Err(D::Error::custom("no key"));
        }
        let taken = keys.iter_mut().map(|(id, bytes)| (KeyId(*id), Arc::new(Secret::taken_from(bytes))));
        Ok(Self(taken.collect()))
    }
}

/// A segment that is being written.
#[derive(Debug)]
pub struct Segment {
    keys: OutputKeys,
    key: KeyId,
    id: SegmentId,
    /// The name of the output.
    output: String,
    /// The number of the next record.
    next: u32,
}

impl Segment {
    /// Begins a segment of the output with this name, with the newest key.
    ///
    /// # Panics
    /// If there is no key.
    pub fn begin(keys: &OutputKeys, output: &str) -> Self {
        let mut id = SegmentId::default();
        getrandom::fill(&mut id).expect("the system has random bytes");
        let key = keys.newest().expect("outputs are sealed");
        Self { keys: keys.clone(), key, id, output: output.to_owned(), next: 0 }
    }

    /// Returns what `open_record` needs of it.
    pub fn id(&self) -> (KeyId, SegmentId) {
        (self.key, self.id)
    }

    /// Returns the number of the next record; `None`: another segment has to begin.
    pub fn next(&self) -> Option<u32> {
        (self.next < u32::MAX).then_some(self.next)
    }

    /// Seals the bytes, which are at this place of the output, as the next record.
    pub fn append(&mut self, place: u64, bytes: &[u8]) -> Vec<u8> {
        let stream = self.keys.stream(self.key, &self.output, &self.id).expect("the segment began with it");
        let mut record = Vec::with_capacity(bytes.len() + RECORD_OVERHEAD);
        record.extend_from_slice(bytes);
        let sealed = stream.encrypt_in_place(self.next, false, &place.to_le_bytes(), &mut record);
        sealed.expect("a record is shorter than 256 GB");
        self.next += 1;
        record
    }
}

/// Opens a record of an output, the `number`-th of its segment, in place.
///
/// # Errors
/// If the key is unknown, or something of it is not as it was sealed; the bytes are then of no use.
pub fn open_record(
    keys: &OutputKeys,
    output: &str,
    (key, segment): (KeyId, &SegmentId),
    number: u32,
    place: u64,
    record: &mut Vec<u8>,
) -> Result<(), OpenError> {
    let stream = keys.stream(key, output, segment)?;
    let opened = stream.decrypt_in_place(number, false, &place.to_le_bytes(), record);
    opened.map_err(|_| OpenError::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> OutputKeys {
        OutputKeys::new([1, 2].map(|id| (KeyId(id), Arc::new(Secret::random()))).to_vec())
    }

    #[test]
    fn a_record_opens_in_its_output_at_its_place_alone() {
        let keys = keys();
        let mut segment = Segment::begin(&keys, "12.3.1");
        let (key, id) = segment.id();
        assert_eq!((key, segment.next()), (KeyId(2), Some(0)));
        let first = segment.append(0, b"one");
        let record = segment.append(3, b"two");
        assert_eq!(record.len(), 3 + RECORD_OVERHEAD);
        let open = |keys: &OutputKeys, output: &str, key, id: &SegmentId, number, place, record: &[u8]| {
            let mut record = record.to_vec();
            open_record(keys, output, (key, id), number, place, &mut record).map(|()| record)
        };
        assert_eq!(open(&keys, "12.3.1", key, &id, 0, 0, &first), Ok(b"one".to_vec()));
        assert_eq!(open(&keys, "12.3.1", key, &id, 1, 3, &record), Ok(b"two".to_vec()));
        let damaged = Err(OpenError::Damaged);
        assert_eq!(open(&keys, "12.3.2", key, &id, 1, 3, &record), damaged, "another output");
        assert_eq!(open(&keys, "12.3.1", KeyId(1), &id, 1, 3, &record), damaged, "another key");
        assert_eq!(open(&keys, "12.3.1", key, &[0; 19], 1, 3, &record), damaged, "another segment");
        assert_eq!(open(&keys, "12.3.1", key, &id, 0, 3, &record), damaged, "another number");
        assert_eq!(open(&keys, "12.3.1", key, &id, 1, 0, &record), damaged, "another place");
        assert_eq!(open(&keys, "12.3.1", key, &id, 1, 3, &record[..18]), damaged, "a cut");
        assert_eq!(open(&keys, "12.3.1", KeyId(9), &id, 1, 3, &record), Err(OpenError::UnknownKey(KeyId(9))));
    }

    #[test]
    fn the_keys_come_out_of_a_message_as_they_went_in() {
        let keys = keys();
        let bytes = postcard::to_stdvec(&keys).expect("memory");
        assert_eq!(postcard::from_bytes::<OutputKeys>(&bytes), Ok(keys));
    }
}
