//! Owns: the database: the only SQL in the program.
//! Never: decisions (see `engine`), processes, the current time.
//!
//! A writer takes the write lock first, so that the facts it reads are still true when it writes.

/// The condition that a trigger will fire again. A macro, because `concat!` takes no constants.
macro_rules! will_fire {
    () => {
        "(next_at IS NOT NULL OR boot_id IS NOT NULL OR awaits_end = 1 OR listens = 1)"
    };
}

mod after_end;
mod applied;
mod apply;
mod arrays;
mod bundles;
mod callbacks;
mod claimant;
mod codec;
mod commits;
mod copy;
mod crontabs;
mod deadlines;
mod definition;
mod dependencies;
mod directory;
mod ends;
mod error;
mod events;
mod executors;
mod forget;
mod idleness;
mod imports;
mod integrity;
mod job_events;
mod job_health;
mod job_view;
mod jobs;
mod listening;
mod live;
mod log;
mod mail;
mod names;
mod open_files;
mod outputs;
mod pauses;
mod queues;
mod ranks;
mod rekey;
mod requirements;
mod run_timers;
mod runs;
mod schema;
mod seal_problem;
mod sealing;
mod snapshot;
mod sources;
mod starts;
mod stats;
mod timeline;
mod totals;
mod unmet;
mod users;
mod waiting;

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Params, Row, Transaction, TransactionBehavior};

use commits::CommitNote;
use directory::{DATABASE, LOG};
use ends::PendingEnd;
use events::StoredEvent;
use open_files::OpenFiles;
use schema::Opened;
use sealing::Sealing;

use crate::domain::Timestamp;
use crate::seal::{KeyId, UserKey};

pub use applied::{AppliedJob, NamedJob};
pub use apply::Applied;
pub use arrays::ArrayProgress;
pub use bundles::EventsOfRun;
pub use callbacks::ParentNote;
pub use crontabs::{CrontabEntry, CrontabView};
pub use directory::Directory;
pub use ends::{AttemptEnd, EndedOutput, OpenAttempt, StoredBytes, StoredOutput};
pub use error::{StoreError, StoreResult};
pub use events::{Act, EventFilter, EventRange, read_events};
pub use executors::{FarRun, Unreachable};
pub use idleness::{LeftJobs, LeftWork};
pub use imports::ImportedJob;
pub use job_health::JobHealth;
pub use job_view::{JobFilter, JobView, ListenerView, TriggerView};
pub use jobs::{Cancelled, FirstFire};
pub use listening::{HeardEvent, Listener};
pub use live::{LiveFilter, LiveFire, LiveJob, LiveWait, LiveWaiting};
pub use mail::{MailToSend, UnsentMail};
pub use names::{COUNT_MAX, KnownJob, NamedQueue, NamedRun};
pub use outputs::{OutputInFiles, StoredOutputs};
pub use pauses::RunPause;
pub use queues::{QueueSettings, QueueView};
pub use rekey::Unfinished;
pub use requirements::ResourceView;
pub use runs::{AttemptView, FarView, RunFilter, RunView};
pub use seal_problem::SealProblem;
pub use snapshot::{ClaimedRun, MetaKey, PlannedAre, Starter, schedule_of};
pub use sources::{SourceNews, SourceStamp};
pub use starts::{RunInput, Start};
pub use stats::Sampled;
pub use timeline::{EarlierAttempt, JobLabel, TimelineFilter, TimelineRun, WaitingIndices};
pub use users::{ResourceUsers, Users};

/// The file beside the database that holds the number of its commits (see `commits`).
const NOTE: &str = "taskq.db-commits";

/// The largest output that moves into the run log when its run ends, in bytes; a longer one stays a file.
pub const OUTPUT_BYTES_MAX: u64 = 64 * 1024;

/// An open store.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    sealing: Sealing,
    /// `None` for a store in memory, or one that is only looked at.
    location: Option<Location>,
    /// The number of commits at the last write of this process.
    commits: u64,
    /// This process has written, or tried to.
    has_written: bool,
}

/// The files of a store.
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
    sealing: Sealing,
}

/// The store under the write lock.
#[derive(Debug)]
pub struct Writer<'store> {
    reader: Reader<'store>,
    /// Ends whose effects are not applied yet.
    pending_ends: RefCell<Vec<PendingEnd>>,
    /// The events of the transaction, which its commit stores.
    events: RefCell<Vec<StoredEvent>>,
    /// The user who does what is recorded next; `None`: the daemon.
    by: Cell<Option<u32>>,
    at: Timestamp,
}

impl<'store> Deref for Writer<'store> {
    type Target = Reader<'store>;

    fn deref(&self) -> &Reader<'store> {
        &self.reader
    }
}

/// The error of a write that changed nothing.
struct FailedWrite<E> {
    error: E,
    /// The disk is full.
    is_full: bool,
}

impl<E: From<StoreError>, S: Into<StoreError>> From<S> for FailedWrite<E> {
    fn from(error: S) -> Self {
        let error = error.into();
        Self { is_full: error.is_full(), error: E::from(error) }
    }
}

impl Reader<'_> {
    /// Returns whether SQLite has rolled the transaction back: the disk is full, or has failed.
    fn has_run_out(&self) -> bool {
        self.transaction.is_autocommit()
    }

    /// Returns the error of a statement. That of a function about sealed cells has its cause aside.
    fn failure(&self, error: rusqlite::Error) -> StoreError {
        self.sealing.take_problem().map_or_else(|| error.into(), StoreError::Sealed)
    }

    /// Returns all rows of a query.
    fn all<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> StoreResult<Vec<T>> {
        let mut statement = self.transaction.prepare_cached(sql)?;
        let rows = statement.query_map(values, read).and_then(Iterator::collect);
        rows.map_err(|error| self.failure(error))
    }

    /// Returns the first row of a query, if it has rows.
    fn first<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> StoreResult<Option<T>> {
        let found = self.transaction.prepare_cached(sql)?.query_row(values, read).optional();
        found.map_err(|error| self.failure(error))
    }

    /// Returns the first row of a query that always has one.
    fn one<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> StoreResult<T> {
        let found = self.transaction.prepare_cached(sql)?.query_row(values, read);
        found.map_err(|error| self.failure(error))
    }

    /// Returns whether a query has rows.
    fn has(&self, sql: &str, values: impl Params) -> StoreResult<bool> {
        Ok(self.transaction.prepare_cached(sql)?.exists(values)?)
    }
}

impl Writer<'_> {
    /// Runs a statement.
    fn change(&self, sql: &str, values: impl Params) -> StoreResult<()> {
        self.changed(sql, values).map(|_| ())
    }

    /// Runs a statement, and returns how many rows it has changed.
    fn changed(&self, sql: &str, values: impl Params) -> StoreResult<usize> {
        let changed = self.transaction.prepare_cached(sql)?.execute(values);
        changed.map_err(|error| self.failure(error))
    }
}

impl Store {
    /// Opens the store in `dir`, and makes directory and database if they do not exist.
    ///
    /// # Errors
    /// Fails if directory or database belong to another user, or the database is damaged, has lost its log,
    /// is of a later version, or is not a store. Fails with `Older` if it is of an earlier version.
    pub fn open(dir: &Path) -> StoreResult<Self> {
        let directory = Directory::make(dir)?;
        schema::open(&directory).and_then(|opened| Self::of(opened, directory))
    }

    /// Does the same, and upgrades a store of an earlier version, which no daemon of that version may serve.
    ///
    /// # Errors
    /// As `open`, without `Older`.
    pub fn upgrade(dir: &Path) -> StoreResult<Self> {
        let directory = Directory::make(dir)?;
        schema::open_upgraded(&directory).and_then(|opened| Self::of(opened, directory))
    }

    /// Returns whether there is a store in `dir`. Changes nothing.
    ///
    /// # Errors
    /// Fails if the directory belongs to another user, or holds only parts of a store.
    pub fn exists(dir: &Path) -> StoreResult<bool> {
        Directory::open(dir)?.map_or(Ok(false), |directory| schema::exists(&directory))
    }

    /// Returns the size of the database in `dir` with its log, in bytes; 0 if there is none.
    ///
    /// # Errors
    /// Fails if the directory belongs to another user, or cannot be read.
    pub fn size(dir: &Path) -> StoreResult<u64> {
        let Some(directory) = Directory::open(dir)? else { return Ok(0) };
        let size = |file| directory.inspect(file).map(|found| found.map_or(0, |found| found.len()));
        Ok(size(DATABASE)? + size(LOG)?)
    }

    /// Opens the store in `dir` for reading alone; `None` if there is none. Makes nothing, changes nothing,
    /// and hardly waits.
    ///
    /// # Errors
    /// As `open`.
    pub fn look(dir: &Path) -> StoreResult<Option<Self>> {
        let Some(directory) = Directory::open(dir)? else { return Ok(None) };
        let connection = schema::look(&directory)?;
        connection.map(|connection| Self::with(connection, None)).transpose()
    }

    /// Makes an empty store in memory, for reading where there is no store yet.
    pub fn empty() -> StoreResult<Self> {
        Self::with(schema::in_memory()?, None)
    }

    fn of(opened: Opened, directory: Directory) -> StoreResult<Self> {
        let location = Location { directory, files: opened.files, note: CommitNote::default() };
        Self::with(opened.connection, Some(location))
    }

    fn with(connection: Connection, location: Option<Location>) -> StoreResult<Self> {
        let sealing = Sealing::default();
        sealing.install(&connection)?;
        Ok(Self { connection, sealing, location, commits: 0, has_written: false })
    }

    /// Returns the newest data key, as of the latest transaction; `None`: the store is not sealed.
    pub fn newest_data_key(&self) -> Option<KeyId> {
        self.sealing.newest()
    }

    /// Takes these keys of the user, in place of those in their file.
    pub fn give_user_keys(&mut self, keys: Vec<UserKey>) {
        self.sealing.give_user_keys(keys);
    }

    /// Returns its directory; `None` for a store in memory.
    pub fn directory(&self) -> Option<&Directory> {
        self.location.as_ref().map(|location| &location.directory)
    }

    /// Checks that directory, database and log are those that were opened. Makes a missing directory of
    /// outputs again, and returns whether it did. Costs a few calls of stat(2).
    ///
    /// # Errors
    /// `Gone` if one of them was removed or replaced: the next commit would be lost.
    pub fn check_files(&self) -> StoreResult<bool> {
        let Some(location) = &self.location else { return Ok(false) };
        match location.files.find_gone(&location.directory) {
            Some(what) => Err(StoreError::Gone(what)),
            None => location.directory.make_outputs(),
        }
    }

    /// Reads in one transaction.
    pub fn read<T, E: From<StoreError>>(
        &mut self,
        read: impl FnOnce(&Reader<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let failed = |error| E::from(StoreError::Sql(error));
        let transaction = self.connection.transaction().map_err(failed)?;
        self.sealing.begin(&transaction).map_err(failed)?;
        let reader = Reader { transaction, sealing: self.sealing.clone() };
        let answer = read(&reader)?;
        reader.transaction.finish().map_err(failed)?;
        Ok(answer)
    }

    /// Writes in one transaction, which is on disk when this returns. Changes nothing if `write` fails, or
    /// another process has upgraded the store. On a full disk the log is copied back, which makes room in it,
    /// and `write` is called once more.
    ///
    /// Panics if a person's command has changed something and recorded no event of it.
    pub fn write<T, E: From<StoreError>>(
        &mut self,
        act: Act,
        mut write: impl FnMut(&Writer<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        if let Some(location) = self.location.as_ref().filter(|_| !self.has_written) {
            schema::sync_names(&location.directory)?;
            // A failure is not an error here: the write reports it if it matters.
            let _ = log::copy_back_if_long(&self.connection, &location.directory);
            self.has_written = true;
        }
        match self.write_once(act, &mut write) {
            Err(FailedWrite { is_full: true, .. }) if self.copy_log_back().is_ok_and(|is_whole| is_whole) => {
                self.write_once(act, &mut write).map_err(|failed| failed.error)
            }
            written => written.map_err(|failed| failed.error),
        }
    }

    fn write_once<T, E: From<StoreError>>(
        &mut self,
        act: Act,
        write: &mut impl FnMut(&Writer<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, FailedWrite<E>> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        schema::check_version(&transaction)?;
        self.sealing.begin(&transaction)?;
        let before = transaction.total_changes();
        let writer = Writer {
            reader: Reader { transaction, sealing: self.sealing.clone() },
            pending_ends: RefCell::default(),
            events: RefCell::default(),
            by: Cell::new(act.by),
            at: act.at,
        };
        let answer = write(&writer).map_err(|error| FailedWrite { error, is_full: writer.has_run_out() })?;
        assert!(
            writer.pending_ends.borrow().is_empty(),
            "`follow_up` was not called: {:?}",
            writer.pending_ends
        );
        let has_events = writer.store_events()?;
        let transaction = writer.reader.transaction;
        let is_changed = transaction.total_changes() != before;
        assert!(has_events || act.by.is_none() || !is_changed, "a change without an event");
        // A transaction without changes is not counted, so that its commit does not wait for the disk.
        let commits =
            if is_changed { commits::count_one_more(&transaction)? } else { commits::count(&transaction)? };
        transaction.commit()?;
        self.commits = commits;
        if let Some(location) = self.location.as_mut().filter(|_| is_changed) {
            location.note.write(&location.directory, commits);
        }
        Ok(answer)
    }

    /// Returns the number of commits at the last write of this process, with or without changes.
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// Returns the free bytes of its file system for this user; `u64::MAX` if they are unknown.
    pub fn free_bytes(&self) -> u64 {
        self.directory().map_or(u64::MAX, Directory::free_bytes)
    }

    /// Copies the log back into the database, except for frames that a reader needs. Returns whether
    /// `taskq.db` alone is complete now.
    pub fn copy_log_back(&mut self) -> StoreResult<bool> {
        log::copy_back(&self.connection)
    }

    /// Does the same, and truncates the log if there is no other reader or writer. For the exit of the
    /// daemon.
    pub fn finish(self) -> StoreResult<bool> {
        log::copy_back_and_cut(&self.connection)
    }

    /// Lengthens the log, so that later commits only overwrite it and are faster. For a process with many
    /// commits, after its first `write`.
    pub fn lengthen_log(&mut self) -> StoreResult<()> {
        match &self.location {
            Some(location) => log::lengthen(&mut self.connection, &location.directory),
            None => Ok(()),
        }
    }

    /// Sets a pragma. For simulations of a full disk, and of one that is never waited for.
    pub fn set_pragma(&mut self, pragma: &str, value: i64) -> StoreResult<()> {
        Ok(self.connection.pragma_update(None, pragma, value)?)
    }

    /// Sets how long a write waits for the write lock.
    pub fn set_busy_timeout(&mut self, timeout: std::time::Duration) -> StoreResult<()> {
        Ok(self.connection.busy_timeout(timeout)?)
    }
}
