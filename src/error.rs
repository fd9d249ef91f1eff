//! Owns: what can go wrong as a person is told it, and the one match from kinds to exit codes.
//! Never: printing.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of failure it is; each has an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorKind {
    /// The command line, or what it names, is wrong: nothing was stored.
    Usage,
    /// There is no such job, run, queue, file.
    NotFound,
    /// It cannot be done as things stand.
    Conflict,
    /// The daemon is not running, and it takes one.
    Unavailable,
    /// The system refused.
    Io,
    /// A bug of ours.
    Internal,
}

impl ErrorKind {
    /// Returns the process's exit code: 2 for wrong usage, 3 where the daemon cannot be had, 1 for the rest.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Unavailable => 3,
            Self::NotFound | Self::Conflict | Self::Io | Self::Internal => 1,
        }
    }
}

/// A failure: `error: cannot WHAT: CAUSE`, then `hint: HINT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Which exit code it has.
    pub kind: ErrorKind,
    /// What was being done, ``add job `backup` ``: verb, kind, name.
    pub what: String,
    /// Why it cannot be: lower case, no period, values in backticks.
    pub cause: String,
    /// One thing to do about it.
    pub hint: Option<String>,
}

/// A result whose failure a person will read.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Makes a failure of this kind.
    pub fn new(kind: ErrorKind, what: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self { kind, what: what.into(), cause: cause.to_string(), hint: None }
    }

    /// Makes a `Usage` failure.
    pub fn usage(what: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Usage, what, cause)
    }

    /// Makes a `NotFound` failure.
    pub fn not_found(what: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, what, cause)
    }

    /// Makes a `Conflict` failure.
    pub fn conflict(what: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Conflict, what, cause)
    }

    /// Makes an `Io` failure.
    pub fn io(what: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Io, what, system_cause(&cause.to_string()))
    }

    /// Adds the one thing to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the process's exit code.
    pub fn exit_code(&self) -> u8 {
        self.kind.exit_code()
    }
}

/// Returns what the system said as our other causes read: no capital, and without the number that Rust puts
/// behind it.
pub fn system_cause(text: &str) -> String {
    let text = text.split(" (os error ").next().unwrap_or_default();
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if first.is_ascii_uppercase() && second.is_ascii_lowercase() => {
            first.to_ascii_lowercase().to_string() + &text[1..]
        }
        _ => text.to_owned(),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.what, self.cause)
    }
}

impl std::error::Error for Error {}
