//! Owns: the user's key, its text, and the data keys that it wraps.
//! Never: where the user's key is (see `system::key_file`), or where data keys are kept (see `store`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use super::cell::{self, CellPlace, OpenError};
use super::key_id::KeyId;
use super::output::OutputKeys;
use super::secret::{SECRET_BYTES, Secret};

/// The first word of the text of a key.
const TEXT_START: &str = "taskq-key-1";

/// The most bytes of a file with keys: two lines, and comments.
pub const KEY_TEXT_BYTES_MAX: u64 = 4096;

const NONCE_BYTES: usize = 24;

/// Tells keys of users apart, and gives nothing of them away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 8]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text is not that of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("line {0} is not `{TEXT_START}` and 64 hexadecimal digits")]
pub struct InvalidKeyText(usize);

/// The key of a user, which wraps data keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserKey(Arc<Secret>);

impl UserKey {
    pub fn random() -> Self {
        Self(Arc::new(Secret::random()))
    }

    /// Reads the keys of a text: a line each, the newest first. Empty lines and those with `#` are comments.
    ///
    /// # Errors
    /// The number of the line that is something else.
    pub fn all_of(text: &[u8]) -> Result<Vec<Self>, InvalidKeyText> {
        let mut keys = Vec::new();
        for (line, number) in text.split(|byte| *byte == b'\n').zip(1..) {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let digits = line.strip_prefix(TEXT_START.as_bytes()).map(<[u8]>::trim_ascii_start);
            keys.push(digits.and_then(Self::of_digits).ok_or(InvalidKeyText(number))?);
        }
        Ok(keys)
    }

    fn of_digits(digits: &[u8]) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        if digits.len() != 2 * SECRET_BYTES {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            *byte = u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).expect("it is below 256");
        }
        Some(Self(Arc::new(Secret::taken_from(&mut bytes))))
    }

    /// Returns the line of it in a text.
    pub fn line(&self) -> Zeroizing<String> {
        let mut line = Zeroizing::new(String::with_capacity(TEXT_START.len() + 2 + 2 * SECRET_BYTES));
        line.push_str(TEXT_START);
        line.push(' ');
        for byte in self.0.bytes() {
            for digit in [byte >> 4, byte & 15] {
                line.push(char::from_digit(u32::from(digit), 16).expect("it is below 16"));
            }
        }
        line.push('\n');
        line
    }

    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(derived(self.0.bytes(), "taskq fingerprint"))
    }

    pub fn is_locked(&self) -> bool {
        self.0.is_locked()
    }

    /// Wraps a data key.
    pub fn wrap(&self, id: KeyId, key: &DataKey) -> WrappedKey {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).expect("the system has random bytes");
        let payload = Payload { msg: key.secret.bytes(), aad: &wrapped_data(id) };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload).expect("it is short");
        WrappedKey { id, by: self.fingerprint(), bytes: [&nonce[..], &sealed].concat() }
    }

    /// Unwraps a data key that it has wrapped.
    ///
    /// # Errors
    /// `Damaged` if this is not its key, or not all of it.
    pub fn unwrap(&self, wrapped: &WrappedKey) -> Result<DataKey, OpenError> {
        let (nonce, sealed) = wrapped.bytes.split_first_chunk::<NONCE_BYTES>().ok_or(OpenError::Damaged)?;
        let payload = Payload { msg: sealed, aad: &wrapped_data(wrapped.id) };
        let opened = self.cipher().decrypt(&XNonce::from(*nonce), payload).map_err(|_| OpenError::Damaged)?;
        let opened = Zeroizing::new(opened);
        let mut bytes: [u8; SECRET_BYTES] = opened.as_slice().try_into().map_err(|_| OpenError::Damaged)?;
        Ok(DataKey::of(Secret::taken_from(&mut bytes)))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        let mut key: [u8; SECRET_BYTES] = derived(self.0.bytes(), "taskq wrap");
        let cipher = XChaCha20Poly1305::new((&key).into());
        key.zeroize();
        cipher
    }
}

fn wrapped_data(id: KeyId) -> Vec<u8> {
    [b"taskq data key ".as_slice(), &id.0.to_le_bytes()].concat()
}

/// Returns bytes that follow from a secret, for a purpose.
fn derived<const N: usize>(secret: &[u8; SECRET_BYTES], purpose: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let keys = Hkdf::<Sha256>::new(None, secret);
    keys.expand(purpose.as_bytes(), &mut bytes).expect("it is not too long");
    bytes
}

/// A data key as a store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    pub id: KeyId,
    /// The user's key that opens it.
    pub by: Fingerprint,
    pub bytes: Vec<u8>,
}

/// A data key, and those that follow from it.
#[derive(Clone, Debug)]
pub struct DataKey {
    secret: Arc<Secret>,
    cells: Arc<Secret>,
    outputs: Arc<Secret>,
    lookups: Arc<Secret>,
}

impl DataKey {
    pub fn random() -> Self {
        Self::of(Secret::random())
    }

    fn of(secret: Secret) -> Self {
        let part = |purpose| Arc::new(Secret::taken_from(&mut derived(secret.bytes(), purpose)));
        let (cells, outputs, lookups) = (part("taskq cells"), part("taskq outputs"), part("taskq lookups"));
        Self { secret: Arc::new(secret), cells, outputs, lookups }
    }
}

/// The data keys of a store.
#[derive(Clone, Debug)]
pub struct DataKeys {
    keys: BTreeMap<KeyId, DataKey>,
    newest: KeyId,
}

impl DataKeys {
    /// Takes the keys; `None` without one. What is sealed is sealed with the one of the highest number.
    pub fn new(keys: BTreeMap<KeyId, DataKey>) -> Option<Self> {
        let newest = *keys.last_key_value()?.0;
        Some(Self { keys, newest })
    }

    pub fn newest(&self) -> KeyId {
        self.newest
    }

    /// Returns the keys, the newest one last.
    pub fn iter(&self) -> impl Iterator<Item = (KeyId, &DataKey)> {
        self.keys.iter().map(|(id, key)| (*id, key))
    }

    fn newest_key(&self) -> &DataKey {
        &self.keys[&self.newest]
    }

    /// Seals a value for its place.
    pub fn seal(&self, place: CellPlace<'_>, value: &[u8]) -> Vec<u8> {
        cell::seal(self.newest, &self.newest_key().cells, place, value)
    }

    /// Opens a cell at its place.
    ///
    /// # Errors
    /// If it is no cell, or its key is not known, or something of it is not as it was sealed.
    pub fn open(&self, place: CellPlace<'_>, cell: &[u8]) -> Result<Vec<u8>, OpenError> {
        let id = cell::key_of(cell)?;
        let key = self.keys.get(&id).ok_or(OpenError::UnknownKey(id))?;
        cell::open(&key.cells, place, cell)
    }

    /// Returns a cell under the newest key: the same one if it is sealed with that already.
    ///
    /// # Errors
    /// As `open`.
    pub fn resealed(&self, place: CellPlace<'_>, cell: &[u8]) -> Result<Vec<u8>, OpenError> {
        let value = self.open(place, cell)?;
        Ok(if cell::key_of(cell)? == self.newest { cell.to_vec() } else { self.seal(place, &value) })
    }

    /// Returns the number by which a sealed value is found again. It says nothing about the value to whoever
    /// has no key, but that it is the same as another one.
    pub fn lookup(&self, value: &[u8]) -> i64 {
        let keys = Hkdf::<Sha256>::new(Some(self.newest_key().lookups.bytes()), value);
        let mut bytes = [0; 8];
        keys.expand(b"taskq lookup", &mut bytes).expect("it is not too long");
        i64::from_le_bytes(bytes)
    }

    /// Returns the keys of outputs.
    pub fn output_keys(&self) -> OutputKeys {
        OutputKeys::new(self.keys.iter().map(|(id, key)| (*id, Arc::clone(&key.outputs))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: CellPlace<'_> = CellPlace { column: "job.command", row: (1, 0) };

    fn keys(ids: &[u32]) -> DataKeys {
        let keys = ids.iter().map(|id| (KeyId(*id), DataKey::random())).collect();
        DataKeys::new(keys).expect("there are some")
    }

    #[test]
    fn the_text_of_a_key_reads_back_and_others_are_refused_by_line() {
        let (new, old) = (UserKey::random(), UserKey::random());
        let text = format!("# keys\n{}\n{}", *new.line(), *old.line());
        assert_eq!(UserKey::all_of(text.as_bytes()), Ok(vec![new, old]));
        assert_eq!(UserKey::all_of(b""), Ok(Vec::new()));
        for wrong in ["x", "taskq-key-1", "taskq-key-1 00", "taskq-key-2 00", &"taskq-key-1 zz".repeat(9)] {
            assert_eq!(UserKey::all_of(format!("\n{wrong}").as_bytes()), Err(InvalidKeyText(2)), "{wrong}");
        }
    }

    #[test]
    fn a_data_key_is_unwrapped_by_the_key_that_wrapped_it_alone() {
        let (key, data) = (UserKey::random(), DataKey::random());
        let wrapped = key.wrap(KeyId(1), &data);
        assert_eq!(wrapped.by, key.fingerprint());
        let unwrapped = key.unwrap(&wrapped).expect("it is its key");
        assert_eq!(unwrapped.secret, data.secret);
        assert!(UserKey::random().unwrap(&wrapped).is_err());
        assert!(key.unwrap(&WrappedKey { id: KeyId(2), ..wrapped.clone() }).is_err());
        assert!(key.unwrap(&WrappedKey { bytes: wrapped.bytes[..30].to_vec(), ..wrapped }).is_err());
    }

    #[test]
    fn values_are_sealed_with_the_newest_key_and_opened_with_any() {
        let old = keys(&[1]);
        let cell = old.seal(PLACE, b"value");
        let both = DataKeys::new(
            [(KeyId(1), old.keys[&KeyId(1)].clone()), (KeyId(2), DataKey::random())].into_iter().collect(),
        );
        let both = both.expect("there are two");
        assert_eq!(both.open(PLACE, &cell), Ok(b"value".to_vec()));
        assert_eq!(old.open(PLACE, &both.seal(PLACE, b"value")), Err(OpenError::UnknownKey(KeyId(2))));
        assert_eq!(old.open(PLACE, b"value"), Err(OpenError::NotSealed));
    }

    #[test]
    fn equal_values_are_found_again_with_the_same_key() {
        let (one, other) = (keys(&[1]), keys(&[1]));
        assert_eq!(one.lookup(b"value"), one.lookup(b"value"));
        assert_ne!(one.lookup(b"value"), one.lookup(b"valuf"));
        assert_ne!(one.lookup(b"value"), other.lookup(b"value"));
    }
}
