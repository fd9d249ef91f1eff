//! Owns: the log that SQLite keeps beside the database (WAL): its length, and copying it back.
//! Never: what is in it.
//!
//! Until it is copied back, what was committed last is in the log alone. Commits copy it back when it is
//! long; the daemon does so when it has been idle for a while and when it ends, after which `taskq.db` alone
//! is whole.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::directory::{Directory, LOG};
use super::error::{StoreResult, unusable};

/// A page of the log with its header (<https://sqlite.org/fileformat2.html#walformat>).
const FRAME_BYTES: u64 = 24 + 4_096;

/// The frames after which the log is copied back and begun anew.
const FRAMES_MAX: u64 = 1_000;

/// The fewest frames that a log is given: a commit of ours has about ten.
const FRAMES_MIN: u64 = 16;

/// The log may take this part of the room that is left: the rest is for the database, and for outputs.
const PART_OF_FREE: u64 = 8;

/// How much is written at once where it is zeros.
const PIECE_BYTES: usize = 64 * 1024;

/// How long the end of a daemon waits for readers to go.
const READERS: Duration = Duration::from_millis(200);

/// Returns how many frames a log in this directory gets before it is copied back: fewer where there is little
/// room.
pub(super) fn frames(directory: &Directory) -> u64 {
    (directory.free_bytes() / PART_OF_FREE / FRAME_BYTES).clamp(FRAMES_MIN, FRAMES_MAX)
}

/// Gives the log the length that it has between two checkpoints, in zeros, which are no frames.
///
/// A commit that lengthens the log waits for the file system's journal, two to three times as long as one
/// that overwrites. What is there is not touched: zeros go behind the end of the file, and the write lock
/// keeps others from doing the same.
pub(super) fn lengthen(connection: &mut Connection, directory: &Directory) -> StoreResult<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let lengthened = OpenOptions::new().append(true).open(directory.below(LOG)).and_then(|mut log| {
        let length = log.metadata()?.len();
        let wanted = 32 + frames(directory) * FRAME_BYTES;
        let missing = wanted.saturating_sub(length).min(directory.free_bytes() / PART_OF_FREE);
        let written = write_zeros(&mut log, missing).and_then(|()| log.sync_all());
        // What little room there is belongs to commits.
        written.or_else(|error| log.set_len(length).and(Err(error)))
    });
    transaction.rollback()?;
    lengthened.map_err(|error| unusable(&directory.path().join(LOG), &error))
}

fn write_zeros(out: &mut impl Write, bytes: u64) -> io::Result<()> {
    let zeros = [0; PIECE_BYTES];
    let mut left = bytes;
    while left > 0 {
        let piece = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        out.write_all(&zeros[..piece])?;
        left -= piece as u64;
    }
    Ok(())
}

/// Copies the log back as far as no reader needs it; tells whether all of it is. Waits for nobody. The log
/// keeps its length, and the next commit begins it anew.
pub(super) fn copy_back(connection: &Connection) -> StoreResult<bool> {
    checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)")
}

/// The same, and cuts the log to nothing if nobody reads or writes.
pub(super) fn copy_back_and_cut(connection: &Connection) -> StoreResult<bool> {
    let is_whole = copy_back(connection)?;
    connection.busy_timeout(READERS)?;
    Ok(checkpoint(connection, "PRAGMA wal_checkpoint(TRUNCATE)")? || is_whole)
}

/// Copies a log back that has all the frames it is given, before a process writes for the first time: its
/// commit then begins the log anew.
///
/// SQLite copies a long log back after a commit, and leaves it to the next one to begin it anew. That this
/// may be done stands in the index alone, which the next process makes from the log again if no other has the
/// store open: without a daemon the log would grow for ever.
pub(super) fn copy_back_if_long(connection: &Connection, directory: &Directory) -> StoreResult<()> {
    let frames: i64 = connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1))?;
    if u64::try_from(frames).unwrap_or(0) >= self::frames(directory) {
        copy_back(connection)?;
    }
    Ok(())
}

fn checkpoint(connection: &Connection, pragma: &str) -> StoreResult<bool> {
    let (is_busy, frames, copied): (bool, i64, i64) =
        connection.query_row(pragma, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(!is_busy && frames == copied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_written_in_pieces_and_no_more_than_asked_for() {
        for bytes in [0, 1, 65_536, 65_537, 200_000] {
            let mut out = Vec::new();
            write_zeros(&mut out, bytes).expect("a Vec takes all");
            assert_eq!(out.len() as u64, bytes);
            assert!(out.iter().all(|byte| *byte == 0));
        }
    }
}
