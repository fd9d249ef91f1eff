//! Owns: where the outputs of a store are, whether they are sealed, and why sealed ones cannot be read.
//! Never: the form of sealed files (see `sealed_blocks`), or whose keys these are (see `seal`).

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use nix::errno::Errno;
use thiserror::Error;

use crate::error::errno_of;
use crate::seal::{OpenError, OutputKeys};

/// Whether the outputs of a store are sealed: all are, or none is. No file says so by itself, because a job
/// can print anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sealing {
    /// Files have the bytes of outputs.
    #[default]
    Off,
    /// Outputs are sealed, and the keys are missing: lengths can be read, bytes cannot.
    Locked,
    On(OutputKeys),
}

impl Sealing {
    /// Returns the sealing of a store with these keys; `None`, or no key among them: outputs are not sealed.
    pub fn of(keys: Option<OutputKeys>) -> Self {
        keys.filter(|keys| keys.newest().is_some()).map_or(Self::Off, Self::On)
    }

    pub fn is_on(&self) -> bool {
        match self {
            Self::Off => false,
            Self::Locked | Self::On(_) => true,
        }
    }

    /// Takes other keys, if outputs are sealed.
    pub(super) fn take_keys(&mut self, keys: &OutputKeys) {
        if self.is_on() {
            *self = Self::On(keys.clone());
        }
    }

    /// Returns the keys, if they are there.
    pub(super) fn keys(&self) -> Option<&OutputKeys> {
        match self {
            Self::Off | Self::Locked => None,
            Self::On(keys) => Some(keys),
        }
    }
}

/// The directory with the outputs of a store.
#[derive(Clone, Debug)]
pub struct LogDirectory {
    pub path: PathBuf,
    pub sealing: Sealing,
}

impl LogDirectory {
    pub fn new(path: impl Into<PathBuf>, sealing: Sealing) -> Self {
        Self { path: path.into(), sealing }
    }

    /// Returns the directory of a store whose outputs are not sealed.
    pub fn plain(path: impl Into<PathBuf>) -> Self {
        Self::new(path, Sealing::Off)
    }
}

/// Why the bytes of a sealed output cannot be read. It is in an `io::Error`, and `of` finds it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealedError {
    #[error("it is sealed, and the key is missing")]
    KeyMissing,
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl SealedError {
    pub(super) const DAMAGED: Self = Self::Open(OpenError::Damaged);

    pub(super) const NOT_SEALED: Self = Self::Open(OpenError::NotSealed);

    /// Returns the one that an error is about.
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }

    /// Returns whether a key is missing, and nothing is known to be damaged.
    pub fn lacks_key(self) -> bool {
        match self {
            Self::KeyMissing | Self::Open(OpenError::UnknownKey(_)) => true,
            Self::Open(OpenError::NotSealed | OpenError::Damaged) => false,
        }
    }
}

impl From<SealedError> for io::Error {
    fn from(error: SealedError) -> Self {
        Self::new(ErrorKind::InvalidData, error)
    }
}

/// Returns the number of an error, where only a number can be passed on.
pub(super) fn sealed_errno(error: &io::Error) -> Errno {
    match SealedError::of(error) {
        Some(sealed) if sealed.lacks_key() => Errno::ENOKEY,
        Some(_) => Errno::EBADMSG,
        None => errno_of(error),
    }
}
