//! Owns: errors of the store, and their texts and hints for users.
//! Never: recovering from them.

use std::io;
use std::path::Path;

use rusqlite::ErrorCode;

use super::NOTE;
use super::seal_problem::SealProblem;
use crate::error::{Error, ErrorKind, describe};

/// A failure of the store, without the operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite or the file system failed.
    #[error("{}", sql_cause(.0))]
    Sql(#[from] rusqlite::Error),
    /// This program cannot use the store.
    #[error("{0}")]
    Unusable(String),
    /// A store of an earlier version.
    #[error("the store is of an earlier taskq")]
    Older,
    /// Commits are in no file any more.
    #[error("the log `taskq.db-wal` is damaged or gone: {} in the store", changes(.commits))]
    LogLost {
        /// At least this many.
        commits: u64,
    },
    /// The key is missing, or a cell does not open.
    #[error("{0}")]
    Sealed(SealProblem),
    /// An open file was removed or replaced.
    #[error("{0} while it was in use")]
    Gone(String),
}

fn changes(commits: &u64) -> String {
    match commits {
        1 => "the last change is not".to_owned(),
        _ => format!("the last {commits} changes are not"),
    }
}

/// Makes an error from the system's error about a file or directory.
pub(super) fn unusable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unusable(format!("`{}`: {}", path.display(), describe(error)))
}

/// A result inside the store.
pub type StoreResult<T> = Result<T, StoreError>;

fn sql_cause(error: &rusqlite::Error) -> String {
    let text = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full",
        Some(ErrorCode::ReadOnly) => "the store is read-only",
        Some(ErrorCode::DatabaseCorrupt) => "the database is damaged",
        Some(ErrorCode::NotADatabase) => "`taskq.db` is not a database",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "the database is locked by another program"
        }
        Some(ErrorCode::CannotOpen) => "`taskq.db` cannot be opened",
        Some(ErrorCode::SystemIoFailure) => "the disk failed to read or write",
        Some(ErrorCode::PermissionDenied) => "permission denied",
        _ => return error.to_string(),
    };
    text.to_owned()
}

impl StoreError {
    /// Returns whether the same operation may succeed later: for example on a full disk, or under a lock.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Sql(error) => matches!(
                error.sqlite_error_code(),
                Some(
                    ErrorCode::DiskFull
                        | ErrorCode::DatabaseBusy
                        | ErrorCode::SystemIoFailure
                        | ErrorCode::ReadOnly
                )
            ),
            Self::Sealed(problem) => problem.is_of_key(),
            Self::Unusable(_) | Self::Older | Self::LogLost { .. } | Self::Gone(_) => false,
        }
    }

    /// Returns whether the disk is full.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Sql(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull))
    }

    /// Returns the error for the operation `what`, with a hint where one helps.
    pub fn during(&self, what: impl Into<String>) -> Error {
        let error = Error::new(ErrorKind::Io, what, self);
        let code = match self {
            Self::Sql(error) => error.sqlite_error_code(),
            Self::LogLost { .. } => {
                return error
                    .hint(format!("put the log back, or remove `{NOTE}` to continue without these changes"));
            }
            Self::Sealed(problem) => return error.hint(problem.hint()),
            Self::Unusable(_) | Self::Older | Self::Gone(_) => None,
        };
        match code {
            Some(ErrorCode::DiskFull) => error.hint("free some space; nothing that was acknowledged is lost"),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                error.hint("keep the files as they are and try `sqlite3 taskq.db .recover` on a copy")
            }
            Some(ErrorCode::ReadOnly) => {
                error.hint("check the owner and the mode of the store's directory and files")
            }
            _ => error,
        }
    }
}
