//! Owns: the database: the only SQL in the program.
//! Never: decisions (see `engine`), processes, the current time.
//!
//! Whoever writes takes the write lock at the beginning, so that what was read still holds when it is
//! written.

mod apply;
mod codec;
mod commits;
mod crontabs;
mod definition;
mod directory;
mod ends;
mod error;
mod job_view;
mod jobs;
mod log;
mod mail;
mod open_files;
mod queues;
mod runs;
mod schema;
mod snapshot;

use std::cell::RefCell;
use std::ops::Deref;
use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use commits::CommitNote;
use ends::PendingEnd;
use open_files::OpenFiles;
use schema::Opened;

pub use apply::{Applied, ClaimFor};
pub use crontabs::{CrontabEntry, CrontabView};
pub use directory::Directory;
pub use ends::{AttemptEnd, OpenAttempt, Start};
pub use error::{StoreError, StoreResult};
pub use job_view::{JobFilter, JobView, TriggerView};
pub use jobs::{Cancelled, FirstFire};
pub use mail::{ClaimedMail, MailToSend, UnsentMail};
pub use queues::QueueView;
pub use runs::{RunFilter, RunView};
pub use snapshot::{ClaimedRun, Lookahead, MetaKey, PlannedAre, schedule_of};

/// The file beside the database that holds the number of its commits (see `commits`).
const NOTE: &str = "taskq.db-commits";

/// The largest output that moves into the run log when its run ends, in bytes; a longer one stays a file.
pub const OUTPUT_BYTES_MAX: u64 = 64 * 1024;

/// An open store.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    /// Where it is; one in memory is nowhere.
    place: Option<Location>,
    /// How many commits it had seen when this process wrote last.
    commits: u64,
    /// This process has written, or tried to.
    has_written: bool,
}

/// Where a store is.
#[derive(Debug)]
struct Location {
    directory: Directory,
    files: OpenFiles,
    note: CommitNote,
}

/// A consistent view of the store.
#[derive(Debug)]
pub struct Reader<'store> {
    transaction: Transaction<'store>,
}

/// The store, held against every other writer.
#[derive(Debug)]
pub struct Writer<'store> {
    reader: Reader<'store>,
    /// What has ended in this transaction, and was not followed up.
    ended: RefCell<Vec<PendingEnd>>,
}

impl<'store> Deref for Writer<'store> {
    type Target = Reader<'store>;

    fn deref(&self) -> &Reader<'store> {
        &self.reader
    }
}

/// Why a write came to nothing.
struct FailedWrite<E> {
    error: E,
    /// There was no room for it.
    is_full: bool,
}

impl<E: From<StoreError>, S: Into<StoreError>> From<S> for FailedWrite<E> {
    fn from(error: S) -> Self {
        let error = error.into();
        Self { is_full: error.is_full(), error: E::from(error) }
    }
}

impl Reader<'_> {
    /// Tells whether SQLite has given the transaction up by itself: it has run out of room, or the disk has
    /// failed.
    fn has_run_out(&self) -> bool {
        self.transaction.is_autocommit()
    }
}

impl Store {
    /// Opens the store in `dir`, and makes directory and database where there are none.
    ///
    /// # Errors
    /// Fails if directory or database belong to somebody else, or the database is damaged, has lost its log,
    /// is of a later version, or not ours; with `Older` if it is of an earlier version.
    pub fn open(dir: &Path) -> StoreResult<Self> {
        let directory = Directory::make(dir)?;
        schema::open(&directory).map(|opened| Self::of(opened, directory))
    }

    /// The same, and brings one of an earlier version up to date: not while a daemon of that version serves
    /// it.
    ///
    /// # Errors
    /// As `open`, without `Older`.
    pub fn upgrade(dir: &Path) -> StoreResult<Self> {
        let directory = Directory::make(dir)?;
        schema::open_upgraded(&directory).map(|opened| Self::of(opened, directory))
    }

    /// Tells whether there is a store in `dir`. Nothing is made or changed.
    ///
    /// # Errors
    /// Fails if the directory is somebody else's, or holds what is left of a store.
    pub fn exists(dir: &Path) -> StoreResult<bool> {
        Directory::open(dir)?.map_or(Ok(false), |directory| schema::exists(&directory))
    }

    /// Makes an empty store in memory, for whoever looks where nothing was stored yet.
    pub fn empty() -> StoreResult<Self> {
        Ok(Self { connection: schema::in_memory()?, place: None, commits: 0, has_written: false })
    }

    fn of(opened: Opened, directory: Directory) -> Self {
        let place = Location { directory, files: opened.files, note: CommitNote::default() };
        Self { connection: opened.connection, place: Some(place), commits: 0, has_written: false }
    }

    /// Returns the directory that it is in; one in memory is in none.
    pub fn directory(&self) -> Option<&Directory> {
        self.place.as_ref().map(|place| &place.directory)
    }

    /// Looks whether directory, database and log are still those that were opened, and makes a missing
    /// directory of outputs again; returns whether it did. A few calls of stat(2).
    ///
    /// # Errors
    /// `Gone` if one of them was removed or replaced: what would be committed now would be lost.
    pub fn check_files(&self) -> StoreResult<bool> {
        let Some(place) = &self.place else { return Ok(false) };
        match place.files.find_gone(&place.directory) {
            Some(what) => Err(StoreError::Gone(what)),
            None => place.directory.make_outputs(),
        }
    }

    /// Reads in one transaction.
    pub fn read<T, E: From<StoreError>>(
        &mut self,
        read: impl FnOnce(&Reader<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let failed = |error| E::from(StoreError::Sql(error));
        let reader = Reader { transaction: self.connection.transaction().map_err(failed)? };
        let answer = read(&reader)?;
        reader.transaction.finish().map_err(failed)?;
        Ok(answer)
    }

    /// Writes in one transaction, on disk when this returns; nothing is changed if `write` fails, or the
    /// store is of a later version by now. On a full disk the log is copied back, and `write` gets a second
    /// chance: the log has room again then.
    pub fn write<T, E: From<StoreError>>(
        &mut self,
        mut write: impl FnMut(&Writer<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        if let Some(place) = self.place.as_ref().filter(|_| !self.has_written) {
            schema::sync_names(&place.directory)?;
            // Whatever keeps it from being copied back shows when something is written.
            let _ = log::copy_back_if_long(&self.connection, &place.directory);
            self.has_written = true;
        }
        match self.write_once(&mut write) {
            Err(FailedWrite { is_full: true, .. }) if self.copy_log_back().is_ok_and(|is_whole| is_whole) => {
                self.write_once(&mut write).map_err(|failed| failed.error)
            }
            written => written.map_err(|failed| failed.error),
        }
    }

    fn write_once<T, E: From<StoreError>>(
        &mut self,
        write: &mut impl FnMut(&Writer<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, FailedWrite<E>> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        schema::check_version(&transaction)?;
        let before = transaction.total_changes();
        let writer = Writer { reader: Reader { transaction }, ended: RefCell::default() };
        let answer = write(&writer).map_err(|error| FailedWrite { error, is_full: writer.has_run_out() })?;
        assert!(
            writer.ended.borrow().is_empty(),
            "what follows an end was not asked for: {:?}",
            writer.ended
        );
        let transaction = writer.reader.transaction;
        let is_changed = transaction.total_changes() != before;
        // Counted only where there is something to commit: a turn that changes nothing waits for no disk.
        let commits =
            if is_changed { commits::count_one_more(&transaction)? } else { commits::count(&transaction)? };
        transaction.commit()?;
        self.commits = commits;
        if let Some(place) = self.place.as_mut().filter(|_| is_changed) {
            place.note.write(&place.directory, commits);
        }
        Ok(answer)
    }

    /// Returns how many commits the store had seen when this process wrote last, or tried to and changed
    /// nothing.
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// Copies the log back into the database, as far as no reader needs it; tells whether `taskq.db` alone is
    /// whole now.
    pub fn copy_log_back(&mut self) -> StoreResult<bool> {
        log::copy_back(&self.connection)
    }

    /// The same, and cuts the log to nothing unless somebody reads or writes. For the end of whoever writes
    /// most.
    pub fn finish(self) -> StoreResult<bool> {
        log::copy_back_and_cut(&self.connection)
    }

    /// Prepares the log for commits that wait for nothing but their own bytes. For whoever makes many, after the
    /// first `write`.
    pub fn lengthen_log(&mut self) -> StoreResult<()> {
        match &self.place {
            Some(place) => log::lengthen(&mut self.connection, &place.directory),
            None => Ok(()),
        }
    }

    /// Sets a pragma. For simulations: of a disk that is never waited for, or is full.
    pub fn set_pragma(&mut self, pragma: &str, value: i64) -> StoreResult<()> {
        Ok(self.connection.pragma_update(None, pragma, value)?)
    }

    /// Sets how long a write waits for another's.
    pub fn set_busy_timeout(&mut self, timeout: std::time::Duration) -> StoreResult<()> {
        Ok(self.connection.busy_timeout(timeout)?)
    }
}
