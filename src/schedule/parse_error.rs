//! Owns: the error of a text that is not a schedule, a time, a span or a zone.
//! Never: the command line around it (see `cli`).

use std::fmt;

/// Why a text is not a schedule, a time, a span or a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// A fragment to follow `cannot …: `: ``minute `75` in `75 3 * * *` is outside 0-59``.
    pub cause: String,
    /// The column, in characters from 1, at which reading stopped.
    pub column: Option<usize>,
    /// One thing to do about it.
    pub hint: Option<String>,
}

impl ParseError {
    pub(super) fn new(cause: String) -> Self {
        Self { cause, column: None, hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}
