//! Owns: the pauses of running runs, whose processes get STOP and CONT.
//! Never: the pauses of jobs and queues, which keep runs from starting (see `jobs` and `queues`).

use rusqlite::{Row, ToSql, params};

use super::{StoreResult, Writer};
use crate::domain::{Happening, JobId, QueueName, RunId, Timestamp};

/// A run that is to get STOP, or CONT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunPause {
    pub run: RunId,
    pub attempt: u32,
    /// It has a process, as far as is known.
    pub is_running: bool,
    pub is_paused: bool,
}

const COLUMNS: &str = "job_id, number, attempt, state = 'running', paused_at IS NOT NULL";

fn read(row: &Row<'_>) -> rusqlite::Result<RunPause> {
    Ok(RunPause {
        run: RunId { job: row.get(0)?, number: row.get(1)? },
        attempt: row.get(2)?,
        is_running: row.get(3)?,
        is_paused: row.get(4)?,
    })
}

impl Writer<'_> {
    /// Pauses the runs of a job that have a process, or may have one soon. Returns those that were not
    /// paused, the oldest first. A run that is being stopped is left alone.
    pub fn pause_runs_of(&self, job: JobId, now: Timestamp) -> StoreResult<Vec<RunPause>> {
        self.pause_runs("job_id = ?2 AND state <> 'finished'", &job, now)
    }

    /// The same for the runs of a queue.
    pub fn pause_runs_in(&self, queue: &QueueName, now: Timestamp) -> StoreResult<Vec<RunPause>> {
        self.pause_runs("queue = ?2 AND state <> 'finished'", &queue.as_str(), now)
    }

    fn pause_runs(&self, which: &str, of: &dyn ToSql, now: Timestamp) -> StoreResult<Vec<RunPause>> {
        let sql = format!(
            "UPDATE run SET paused_at = ?1, pause_sent = 0
             WHERE {which} AND keeper IS NOT NULL AND paused_at IS NULL AND stop_at IS NULL
             RETURNING {COLUMNS}"
        );
        let runs = self.sorted(&sql, &[&now, of])?;
        runs.iter().for_each(|pause| self.record(&Happening::RunPaused { run: pause.run }));
        Ok(runs)
    }

    /// Continues the paused runs of a job, and returns them.
    pub fn continue_runs_of(&self, job: JobId) -> StoreResult<Vec<RunPause>> {
        self.continue_runs("job_id = ?1 AND state <> 'finished'", &job)
    }

    /// Continues the paused runs of a queue, except those of paused jobs.
    pub fn continue_runs_in(&self, queue: &QueueName) -> StoreResult<Vec<RunPause>> {
        self.continue_runs("queue = ?1 AND state <> 'finished' AND held = 0", &queue.as_str())
    }

    fn continue_runs(&self, which: &str, of: &dyn ToSql) -> StoreResult<Vec<RunPause>> {
        let sql = format!(
            "UPDATE run SET paused_at = NULL, pause_sent = 0
             WHERE {which} AND keeper IS NOT NULL AND paused_at IS NOT NULL
             RETURNING {COLUMNS}"
        );
        let runs = self.sorted(&sql, &[of])?;
        runs.iter().for_each(|pause| self.record(&Happening::RunResumed { run: pause.run }));
        Ok(runs)
    }

    fn sorted(&self, sql: &str, values: &[&dyn ToSql]) -> StoreResult<Vec<RunPause>> {
        let mut runs = self.all(sql, values, read)?;
        runs.sort_by_key(|pause| pause.run);
        Ok(runs)
    }

    /// Returns the running runs whose STOP or CONT was not sent, and marks it as sent.
    pub fn take_pauses(&self) -> StoreResult<Vec<RunPause>> {
        let sql = format!("SELECT {COLUMNS} FROM run WHERE state = 'running' AND pause_sent = 0 ORDER BY id");
        let pauses = self.all(&sql, [], read)?;
        for RunPause { run, .. } in &pauses {
            self.change(
                "UPDATE run SET pause_sent = 1 WHERE job_id = ?1 AND number = ?2",
                params![run.job, run.number],
            )?;
        }
        Ok(pauses)
    }

    /// Marks the STOP of each paused run as not sent, because it may have been lost with a connection.
    pub fn resend_pauses(&self) -> StoreResult<()> {
        self.change(
            "UPDATE run SET pause_sent = 0
             WHERE state <> 'finished' AND keeper IS NOT NULL AND paused_at IS NOT NULL",
            [],
        )
    }
}
