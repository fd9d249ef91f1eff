//! Owns: the number of a data key.
//! Never: the key.

use std::fmt;

use serde::Serialize;

/// The number of a data key of a store, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct KeyId(pub u32);

impl KeyId {
    pub const FIRST: Self = Self(1);
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
