//! Owns: the times by which waiting runs and arrays must start, and the end of those that have not.
//! Never: deciding on them (see `engine`).

use rusqlite::params;

use super::{Reader, StoreResult, Writer};
use crate::domain::{FireId, JobId, NewJob, Outcome, RunId, Timestamp};
use crate::engine::DeadlineFacts;

/// Why a run ends that has not begun in time.
pub(super) const TOO_LATE: &str = "still queued at the end of its `--start-by`";

/// Why a run ends at whose gate the time is over.
pub(super) const GATE_CLOSED: &str = "a gate was closed at the end of its `--if-timeout`";

/// How many one step reads: enough to share a commit, and few enough for constant memory.
const EXPIRED_MAX: usize = 1_000;

impl Reader<'_> {
    /// Returns the fires that should have started by `now`, runs before arrays.
    pub(super) fn expired_fires(&self, now: Timestamp) -> StoreResult<Vec<FireId>> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT job_id, number FROM run
             WHERE state = 'queued' AND keeper IS NULL AND attempt = 1 AND start_by <= ?1
             ORDER BY start_by",
        )?;
        let runs = statement
            .query_map([now], |row| Ok(FireId::Run(RunId { job: row.get(0)?, number: row.get(1)? })))?;
        let mut expired = runs.take(EXPIRED_MAX).collect::<rusqlite::Result<Vec<_>>>()?;
        expired.extend(self.all(
            "SELECT job_id, id FROM array WHERE rest > 0 AND start_by <= ?1 ORDER BY start_by",
            [now],
            |row| Ok(FireId::Array { job: row.get(0)?, array: row.get(1)? }),
        )?);
        Ok(expired)
    }

    /// Returns when the first of the waiting fires must have started.
    pub(super) fn next_missed_start(&self) -> StoreResult<Option<Timestamp>> {
        let of = |sql: &str| self.one(sql, [], |row| row.get::<_, Option<Timestamp>>(0));
        let run = of("SELECT min(start_by) FROM run
             WHERE state = 'queued' AND keeper IS NULL AND attempt = 1 AND start_by IS NOT NULL")?;
        let array = of("SELECT min(start_by) FROM array WHERE rest > 0 AND start_by IS NOT NULL")?;
        Ok([run, array].into_iter().flatten().min())
    }

    /// Returns the waiting fires that must start by some time.
    pub fn deadlines(&self) -> StoreResult<Vec<DeadlineFacts>> {
        let mut found = self.all(
            "SELECT run.job_id, number, start_by, start_by_us FROM run JOIN job ON job.id = run.job_id
             WHERE state = 'queued' AND keeper IS NULL AND attempt = 1 AND start_by IS NOT NULL
                AND start_by_us IS NOT NULL",
            [],
            |row| {
                let fire = FireId::Run(RunId { job: row.get(0)?, number: row.get(1)? });
                Ok(DeadlineFacts { fire, start_by: row.get(2)?, within: row.get(3)? })
            },
        )?;
        found.extend(self.all(
            "SELECT array.job_id, array.id, start_by, start_by_us FROM array JOIN job ON job.id = array.job_id
             WHERE rest > 0 AND start_by IS NOT NULL AND start_by_us IS NOT NULL",
            [],
            |row| {
                let fire = FireId::Array { job: row.get(0)?, array: row.get(1)? };
                Ok(DeadlineFacts { fire, start_by: row.get(2)?, within: row.get(3)? })
            },
        )?);
        Ok(found)
    }
}

impl Writer<'_> {
    /// Ends a run that has not started in time, or the indices of an array that have not.
    pub(super) fn miss(&self, fire: FireId, cause: &str, now: Timestamp) -> StoreResult<()> {
        match fire {
            FireId::Run(run) => self.finish(run, Outcome::Missed, Some(cause), now),
            FireId::Array { array, .. } => {
                self.drop_indices(array, (0, u32::MAX), (Outcome::Missed, Some(cause)), now).map(drop)
            }
        }
    }

    /// Sets the time by which a fire must have started.
    pub(super) fn set_deadline(&self, fire: FireId, at: Timestamp) -> StoreResult<()> {
        match fire {
            FireId::Run(run) => self.change(
                "UPDATE run SET start_by = ?3 WHERE job_id = ?1 AND number = ?2",
                params![run.job, run.number, at],
            ),
            FireId::Array { array, .. } => {
                self.change("UPDATE array SET start_by = ?2 WHERE id = ?1", params![array, at])
            }
        }
    }

    /// Gives the waiting fires of a job the deadline that it has now, from when each was queued.
    pub(super) fn set_deadlines(&self, id: JobId, job: &NewJob) -> StoreResult<()> {
        let within = params![id, job.policy.start_by];
        self.change(
            "UPDATE run SET start_by = queued_at + ?2
             WHERE job_id = ?1 AND state = 'queued' AND state <> 'finished' AND attempt = 1
                AND callback IS NULL",
            within,
        )?;
        self.change("UPDATE array SET start_by = queued_at + ?2 WHERE job_id = ?1 AND rest > 0", within)
    }
}
