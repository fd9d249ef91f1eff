//! Owns: the write-ahead log (WAL) of SQLite: its length, and copying it back into the database.
//! Never: its content.
//!
//! The latest commits are only in the log until it is copied back. Commits copy it back when it is long. The
//! daemon does so when it has been idle for a while, and when it exits. Afterwards `taskq.db` alone is
//! complete.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::directory::{Directory, LOG};
use super::error::{StoreResult, unusable};

/// A page of the log with its header (<https://sqlite.org/fileformat2.html#walformat>).
const FRAME_BYTES: u64 = 24 + 4_096;

/// The number of frames after which the log is copied back and started again.
const FRAMES_MAX: u64 = 1_000;

/// The shortest log, in frames: a commit has about ten.
const FRAMES_MIN: u64 = 16;

/// The log may use one part in so many of the free space. The rest is for the database and the outputs.
const PART_OF_FREE: u64 = 8;

/// How many zeros are written at once.
const PIECE_BYTES: usize = 64 * 1024;

/// How long an exiting daemon waits for readers to finish.
const READERS: Duration = Duration::from_millis(200);

/// Returns after how many frames a log in this directory is copied back: fewer if there is little free space.
pub(super) fn frames(directory: &Directory) -> u64 {
    (directory.free_bytes() / PART_OF_FREE / FRAME_BYTES).clamp(FRAMES_MIN, FRAMES_MAX)
}

/// Lengthens the log to its full length with zeros, which are not frames.
///
/// A commit that makes the file longer waits for the file system's journal, two to three times as long as one
/// that overwrites. The zeros are appended under the write lock, so they change nothing that is in the log.
pub(super) fn lengthen(connection: &mut Connection, directory: &Directory) -> StoreResult<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let lengthened = OpenOptions::new().append(true).open(directory.below(LOG)).and_then(|mut log| {
        let length = log.metadata()?.len();
        let wanted = 32 + frames(directory) * FRAME_BYTES;
        let missing = wanted.saturating_sub(length).min(directory.free_bytes() / PART_OF_FREE);
        let written = write_zeros(&mut log, missing).and_then(|()| log.sync_all());
        // On a full disk the remaining space is for commits.
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

/// Copies the log back, except for frames that a reader needs, and returns whether all of it is copied. Does
/// not wait. The log keeps its length, and the next commit starts it again.
pub(super) fn copy_back(connection: &Connection) -> StoreResult<bool> {
    checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)")
}

/// Does the same, and truncates the log if there is no other reader or writer.
pub(super) fn copy_back_and_cut(connection: &Connection) -> StoreResult<bool> {
    let is_whole = copy_back(connection)?;
    connection.busy_timeout(READERS)?;
    Ok(checkpoint(connection, "PRAGMA wal_checkpoint(TRUNCATE)")? || is_whole)
}

/// Copies a log of full length back before the first write of a process, whose commit then starts the log
/// again.
///
/// SQLite copies a long log back after a commit, and the next commit starts it again. But SQLite notes the
/// copy only in the index, which a process builds again from the log if no other has the store open. So
/// without a daemon the log would grow for ever.
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
    fn zeros_are_written_in_pieces_up_to_the_wanted_number() {
        for bytes in [0, 1, 65_536, 65_537, 200_000] {
            let mut out = Vec::new();
            write_zeros(&mut out, bytes).expect("writing to a Vec cannot fail");
            assert_eq!(out.len() as u64, bytes);
            assert!(out.iter().all(|byte| *byte == 0));
        }
    }
}
