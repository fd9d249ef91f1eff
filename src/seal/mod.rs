//! Owns: sealing: what turns a plain value into one that only the holder of the key can read, and back.
//! Never: files, SQL, or which values are sealed (see `store` and `keeper`).
//!
//! A store has random *data keys*. Each is wrapped by the user's key, which is never in the store. From a
//! data key follow, by HKDF (RFC 5869), the keys of cells, of outputs and of lookups. The AEAD is
//! XChaCha20-Poly1305, for outputs in the construction STREAM (Hoang, Reyhanitabar, Rogaway and Vizár, 2015).

mod cell;
mod key_id;
mod keys;
mod output;
mod secret;

pub use cell::{CELL_OVERHEAD, CellPlace, OpenError};
pub use key_id::KeyId;
pub use keys::{DataKey, DataKeys, Fingerprint, InvalidKeyText, KEY_TEXT_BYTES_MAX, UserKey, WrappedKey};
pub use output::{OutputKeys, RECORD_OVERHEAD, Segment, SegmentId, open_record};
pub use secret::{SECRET_BYTES, Secret};
