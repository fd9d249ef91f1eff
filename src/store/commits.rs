//! Owns: the count of commits, in the database and in a note beside it, which shows that acknowledged commits
//! are lost.
//! Never: recovering them.
//!
//! Each commit counts itself in `meta`. After it is on disk, and before it is acknowledged, the count is
//! written to `taskq.db-commits`. So the note is never ahead of the database with its log, at whatever point
//! a process dies. A database with fewer commits than noted has lost its log, or the end of it. The note is
//! not synced: after a power failure it may be an earlier one, which finds fewer losses but never a false
//! one.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};

use nix::libc;
use rusqlite::{Connection, OptionalExtension};

use super::NOTE;
use super::directory::Directory;
use super::error::{StoreError, StoreResult};

/// The digits of the largest count.
const DIGITS: usize = 20;

/// The count twice, a line each. If a note is read while it is written, the lines differ.
const NOTE_BYTES: usize = 2 * (DIGITS + 1);

/// Returns the number of commits in the database.
pub(super) fn count(connection: &Connection) -> StoreResult<u64> {
    let mut statement =
        connection.prepare_cached("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'commits'")?;
    let count: i64 = statement.query_row([], |row| row.get(0)).optional()?.unwrap_or(0);
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Counts the commit of this transaction, and returns the new count.
pub(super) fn count_one_more(connection: &Connection) -> StoreResult<u64> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO meta (key, value) VALUES ('commits', '1')
         ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1",
    )?;
    statement.execute([])?;
    count(connection)
}

/// Returns the number of commits in the note; 0 if no note can be read.
///
/// Call it before the database is read: a later note may count later commits.
pub(super) fn noted(directory: &Directory) -> u64 {
    let mut bytes = [0; NOTE_BYTES];
    let read =
        open(directory, OpenOptions::new().read(true)).and_then(|note| note.read_exact_at(&mut bytes, 0));
    read.ok().and_then(|()| parse(&bytes)).unwrap_or(0)
}

/// Fails if the database has fewer commits than noted.
pub(super) fn check(connection: &Connection, noted: u64) -> StoreResult<()> {
    // Without a note there is nothing to compare. A store that is to be upgraded may not count yet.
    if noted == 0 {
        return Ok(());
    }
    let count = count(connection)?;
    if count < noted { Err(StoreError::LogLost { commits: noted - count }) } else { Ok(()) }
}

/// The note, kept open by a process that commits.
#[derive(Debug, Default)]
pub(super) struct CommitNote(Option<File>);

impl CommitNote {
    /// Notes that this many commits are on disk.
    ///
    /// If it cannot be written, the older note stays, which is correct too.
    pub(super) fn write(&mut self, directory: &Directory, commits: u64) {
        if self.0.is_none() {
            self.0 = open(directory, OpenOptions::new().write(true)).or_else(|_| make(directory)).ok();
        }
        if let Some(note) = &self.0 {
            let _ = note.write_all_at(text(commits).as_bytes(), 0);
        }
    }
}

fn open(directory: &Directory, options: &mut OpenOptions) -> io::Result<File> {
    options.custom_flags(libc::O_NOFOLLOW).open(directory.below(NOTE))
}

fn make(directory: &Directory) -> io::Result<File> {
    let note = open(directory, OpenOptions::new().write(true).create(true).truncate(false).mode(0o600))?;
    note.set_permissions(Permissions::from_mode(0o600))?;
    Ok(note)
}

fn text(commits: u64) -> String {
    format!("{commits:0DIGITS$}\n{commits:0DIGITS$}\n")
}

fn parse(bytes: &[u8]) -> Option<u64> {
    let (one, other) = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?.split_once('\n')?;
    if one == other { one.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{QueueName, Timestamp};
    use crate::store::QueueSettings;
    use crate::store::{Act, Store};

    #[test]
    fn a_commit_is_noted_and_a_write_without_changes_is_not() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let directory = Directory::make(dir.path()).expect("it is ours");
        let mut store = Store::open(dir.path()).expect("the directory is ours");
        let act = Act::of_daemon(Timestamp::default());
        store.write(act, |_| Ok::<_, StoreError>(())).expect("there is no other writer");
        assert!(!dir.path().join(NOTE).exists());
        for commits in 1..4 {
            store
                .write(act, |writer| writer.set_queue(&QueueName::default(), QueueSettings::slots(commits)))
                .expect("there is no other writer");
            assert_eq!(noted(&directory), u64::from(commits));
        }
    }

    #[test]
    fn a_whole_note_is_read_back_and_half_a_note_is_ignored() {
        for commits in [0, 1, 999, u64::MAX] {
            let text = text(commits);
            assert_eq!((text.len(), parse(text.as_bytes())), (NOTE_BYTES, Some(commits)));
        }
        let (before, after) = (text(999), text(1_000));
        for written in 1..NOTE_BYTES {
            let mixed = [&after.as_bytes()[..written], &before.as_bytes()[written..]].concat();
            assert!([None, Some(999), Some(1_000)].contains(&parse(&mixed)), "{written}");
        }
        assert_eq!(parse(&[0; NOTE_BYTES]), None);
    }
}
