//! Owns: errors as users read them, and the one match from kinds to exit codes.
//! Never: printing.

use std::{fmt, io};

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

/// The kind of a failure. Each kind has one exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorKind {
    /// The command line is wrong, or names something wrong. Nothing was stored.
    Usage,
    /// There is no such job, run, queue or file.
    NotFound,
    /// The present state does not allow it.
    Conflict,
    /// It needs a daemon, and none is running.
    Unavailable,
    /// The system refused.
    Io,
    /// A bug in taskq.
    Internal,
}

impl ErrorKind {
    /// Returns the exit code of the process: 2 for wrong usage, 3 if there is no daemon, 1 for the rest.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Unavailable => 3,
            Self::NotFound | Self::Conflict | Self::Io | Self::Internal => 1,
        }
    }
}

/// An error: `error: cannot WHAT: CAUSE`, then `hint: HINT`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    pub kind: ErrorKind,
    /// The operation that failed, as ``add job `backup` ``: verb, kind, name.
    pub what: String,
    /// Why it failed: lower case, no period, values in backticks.
    pub cause: String,
    /// One thing to do about it.
    pub hint: Option<String>,
}

/// A result whose error is shown to the user.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(kind: ErrorKind, what: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self { kind, what: what.into(), cause: cause.to_string(), hint: None }
    }

    pub fn usage(what: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Usage, what, cause)
    }

    /// Makes a `NotFound` error.
    pub fn not_found(what: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, what, cause)
    }

    pub fn conflict(what: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Conflict, what, cause)
    }

    pub fn io(what: impl Into<String>, error: &io::Error) -> Self {
        Self::new(ErrorKind::Io, what, describe(error))
    }

    /// Adds one thing to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the exit code of the process.
    pub fn exit_code(&self) -> u8 {
        self.kind.exit_code()
    }
}

/// Returns the system's reason in the form of our causes, without a capital letter or a number.
pub fn describe(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => describe_errno(Errno::from_raw(number)),
        None => error.to_string(),
    }
}

/// Returns the system's number for an error; `EINVAL` for one that is not the system's.
pub fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw)
}

/// Returns the text for an error number.
pub fn describe_errno(errno: Errno) -> String {
    let text = match errno {
        // The texts of the C library are clearer.
        Errno::EAGAIN => "resource temporarily unavailable",
        Errno::ENFILE => "too many open files in system",
        Errno::EIO => "input/output error",
        errno => errno.desc(),
    };
    text[..1].to_ascii_lowercase() + &text[1..]
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.what, self.cause)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_error_is_shown_without_capital_letter_and_number() {
        for (errno, text) in [
            (Errno::EACCES, "permission denied"),
            (Errno::EIO, "input/output error"),
            (Errno::EAGAIN, "resource temporarily unavailable"),
        ] {
            assert_eq!(describe(&errno.into()), text);
        }
        assert_eq!(describe(&io::Error::other("it is a FIFO")), "it is a FIFO");
    }
}
