//! Owns: why something sealed cannot be read, and what to do about it.
//! Never: finding that out (see `sealing`).

use thiserror::Error;

use crate::seal::{Fingerprint, OpenError};
use crate::system::key_file::KeyFileError;

/// Why something sealed cannot be read, or something cannot be sealed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SealProblem {
    #[error("the store is sealed, and {0}")]
    NoKey(KeyFileError),
    #[error("the store is sealed with the key {}, and this one is {}", .of_store, shown_all(.found))]
    WrongKey { of_store: Fingerprint, found: Vec<Fingerprint> },
    #[error("`{column}` of row {row}: {error}")]
    Cell { column: String, row: i64, error: OpenError },
}

fn shown_all(found: &[Fingerprint]) -> String {
    found.iter().map(Fingerprint::to_string).collect::<Vec<_>>().join(", ")
}

impl SealProblem {
    /// Returns whether the key is what is missing.
    pub fn is_of_key(&self) -> bool {
        match self {
            Self::NoKey(_) | Self::WrongKey { .. } => true,
            Self::Cell { .. } => false,
        }
    }

    /// Returns what to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NoKey(error) => error.hint(),
            Self::WrongKey { .. } => "name the file of the right key with `TASKQ_KEY_FILE`".to_owned(),
            Self::Cell { .. } => "restore the store from a backup".to_owned(),
        }
    }
}
