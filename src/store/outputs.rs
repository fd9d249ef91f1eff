//! Owns: the outputs in the run log as a whole: their sizes, and deleting them to keep to a limit.
//! Never: outputs in files, or deciding which go (see `daemon::output_limit`).

use rusqlite::params;

use super::{Reader, StoreResult, Writer};
use crate::domain::{Happening, RunId, Timestamp};

/// A run with outputs in the run log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOutputs {
    pub run: RunId,
    /// `None` if it is unfinished.
    pub finished_at: Option<Timestamp>,
    /// The size of the outputs of all its attempts.
    pub bytes: u64,
    /// A mail about it waits or is being sent.
    pub has_open_mail: bool,
}

/// An attempt that has ended, whose outputs are in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutputInFiles {
    pub run: RunId,
    pub attempt: u32,
    /// The size of its standard output.
    pub output_bytes: u64,
    /// The size of its standard error, if that is apart.
    pub stderr_bytes: u64,
}

impl Reader<'_> {
    /// Returns the attempts that have ended and whose outputs are in files. Reads the whole run log.
    pub fn outputs_in_files(&self) -> StoreResult<Vec<OutputInFiles>> {
        self.all(
            "SELECT job_id, number, attempt, ifnull(output_bytes, 0), ifnull(stderr_bytes, 0) FROM run
             WHERE state = 'finished' AND is_output_pruned = 0 AND (output_bytes > 0 OR stderr_bytes > 0)
                AND NOT EXISTS (SELECT 1 FROM output WHERE run_id = run.id)
             UNION ALL SELECT run.job_id, run.number, attempt.number, ifnull(attempt.output_bytes, 0),
                ifnull(attempt.stderr_bytes, 0) FROM attempt JOIN run ON run.id = attempt.run_id
             WHERE run.is_output_pruned = 0 AND (attempt.output_bytes > 0 OR attempt.stderr_bytes > 0)
                AND attempt.output IS NULL",
            [],
            |row| {
                Ok(OutputInFiles {
                    run: RunId { job: row.get(0)?, number: row.get(1)? },
                    attempt: row.get(2)?,
                    output_bytes: row.get::<_, i64>(3)?.cast_unsigned(),
                    stderr_bytes: row.get::<_, i64>(4)?.cast_unsigned(),
                })
            },
        )
    }

    /// Returns whether the files of an attempt have its outputs: there is such a run, and they are neither in
    /// the run log nor pruned.
    pub fn needs_output_files(&self, run: RunId, attempt: u32) -> StoreResult<bool> {
        self.has(
            "SELECT 1 FROM run WHERE job_id = ?1 AND number = ?2 AND is_output_pruned = 0
                AND iif(attempt = ?3, NOT EXISTS (SELECT 1 FROM output WHERE run_id = run.id),
                    NOT EXISTS (SELECT 1 FROM attempt AS earlier
                        WHERE run_id = run.id AND earlier.number = ?3 AND output IS NOT NULL))",
            params![run.job, run.number, attempt],
        )
    }

    /// Returns the runs with outputs in the run log. Reads the sizes, and not the outputs.
    pub fn stored_outputs(&self) -> StoreResult<Vec<StoredOutputs>> {
        self.all(
            "SELECT run.job_id, run.number, run.finished_at, sum(stored.bytes),
                EXISTS (SELECT 1 FROM mail WHERE run_id = run.id AND failed IS NULL)
             FROM (SELECT run_id, length(data) + ifnull(length(stderr), 0) AS bytes FROM output
                UNION ALL SELECT run_id, length(output) + ifnull(length(stderr), 0) FROM attempt
                    WHERE output IS NOT NULL) AS stored
                JOIN run ON run.id = stored.run_id
             GROUP BY run.id",
            [],
            |row| {
                Ok(StoredOutputs {
                    run: RunId { job: row.get(0)?, number: row.get(1)? },
                    finished_at: row.get(2)?,
                    bytes: row.get::<_, i64>(3)?.cast_unsigned(),
                    has_open_mail: row.get(4)?,
                })
            },
        )
    }

    /// Returns the size of all outputs in the run log.
    pub fn stored_output_bytes(&self) -> StoreResult<u64> {
        self.one(
            "SELECT (SELECT ifnull(sum(length(data) + ifnull(length(stderr), 0)), 0) FROM output)
                + (SELECT ifnull(sum(length(output) + ifnull(length(stderr), 0)), 0) FROM attempt)",
            [],
            |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()),
        )
    }

    /// Returns the same of a run whose outputs are in files: without their size. `None`: there is no such
    /// run.
    pub fn without_stored_outputs(&self, run: RunId) -> StoreResult<Option<StoredOutputs>> {
        self.first(
            "SELECT finished_at, EXISTS (SELECT 1 FROM mail WHERE run_id = run.id AND failed IS NULL)
             FROM run WHERE job_id = ?1 AND number = ?2",
            params![run.job, run.number],
            |row| Ok(StoredOutputs { run, finished_at: row.get(0)?, bytes: 0, has_open_mail: row.get(1)? }),
        )
    }
}

impl Writer<'_> {
    /// Deletes the outputs of a finished run from the run log, and marks the run. Returns whether there is
    /// such a run. The caller records it, with others.
    pub fn prune_output(&self, run: RunId) -> StoreResult<bool> {
        let id: Option<i64> = self.first(
            "UPDATE run SET is_output_pruned = 1
             WHERE job_id = ?1 AND number = ?2 AND state = 'finished' RETURNING id",
            params![run.job, run.number],
            |row| row.get(0),
        )?;
        let Some(id) = id else { return Ok(false) };
        self.change("DELETE FROM output WHERE run_id = ?1", [id])?;
        self.change(
            "UPDATE attempt SET output = NULL, output_times = NULL, stderr = NULL, stderr_times = NULL
             WHERE run_id = ?1",
            [id],
        )?;
        Ok(true)
    }

    /// Records that the outputs of so many runs were deleted.
    pub fn has_pruned_outputs(&self, runs: u64, bytes: u64) {
        self.record(&Happening::OutputsPruned { runs, bytes });
    }
}
