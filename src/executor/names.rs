//! Owns: the names of runs on a far side.
//! Never: which runs there are.

use std::fmt;
use std::str::FromStr;

use crate::domain::{JobId, RunId};

/// Why a text is not a token or a name of the far side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of a run on a far side")]
pub struct InvalidFarName(String);

/// A random number that a store draws once. It tells apart the runs of stores that share a run directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreToken(pub u64);

/// Sixteen hexadecimal digits.
impl fmt::Display for StoreToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for StoreToken {
    type Err = InvalidFarName;

    fn from_str(text: &str) -> Result<Self, InvalidFarName> {
        let is_plain = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let number = u64::from_str_radix(text, 16).ok().filter(|_| is_plain);
        number.map(Self).ok_or_else(|| InvalidFarName(text.to_owned()))
    }
}

/// An attempt of a run, as the far side knows it: `TOKEN.JOB.NUMBER.ATTEMPT`, the name of its run directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FarName {
    pub store: StoreToken,
    pub run: RunId,
    pub attempt: u32,
}

impl fmt::Display for FarName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.store, self.run, self.attempt)
    }
}

impl FromStr for FarName {
    type Err = InvalidFarName;

    fn from_str(text: &str) -> Result<Self, InvalidFarName> {
        let invalid = || InvalidFarName(text.to_owned());
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or_else(invalid);
        let store = next()?.parse()?;
        let job = next()?.parse().map_err(|_| invalid())?;
        let number = next()?.parse().map_err(|_| invalid())?;
        let attempt = next()?.parse().map_err(|_| invalid())?;
        let name = Self { store, run: RunId { job: JobId(job), number }, attempt };
        // Only the form that is written, so that a name has one directory.
        if name.to_string() == text { Ok(name) } else { Err(invalid()) }
    }
}
