//! Owns: the triggers that fire after the end of a run: reading them for the engine.
//! Never: deciding when they fire (see `engine`).

use super::{Reader, StoreResult};
use crate::domain::{JobId, Timestamp, TriggerId, Window};
use crate::engine::Planned;
use crate::schedule::{Schedule, Zone};

impl Reader<'_> {
    /// Returns whether a job has an unfinished run or array that is not a callback.
    pub(super) fn has_unfinished_fire(&self, job: JobId) -> StoreResult<bool> {
        self.one(
            "SELECT EXISTS (SELECT 1 FROM run WHERE job_id = ?1 AND state <> 'finished' AND callback IS NULL)
                OR EXISTS (SELECT 1 FROM array WHERE job_id = ?1 AND finished_at IS NULL)",
            [job],
            |row| row.get(0),
        )
    }

    /// Returns the triggers of a job that fire after the end of its runs, unless the job was cancelled.
    /// `ended_at`: the end of a run.
    pub(super) fn planned_after_end(
        &self,
        job: JobId,
        ended_at: Option<Timestamp>,
    ) -> StoreResult<Vec<Planned>> {
        let mut planned = self.all(
            "SELECT trigger.id, trigger.period_us + trigger.delay_us, trigger.next_at, job.start_at,
                job.until_at
             FROM trigger JOIN job ON job.id = trigger.job_id
             WHERE trigger.job_id = ?1 AND awaits_end IS NOT NULL
                AND (next_at IS NOT NULL OR awaits_end = 1)",
            [job],
            |row| {
                Ok(Planned {
                    trigger: TriggerId(row.get(0)?),
                    schedule: Ok((Schedule::AfterEnd { period: row.get(1)? }, Zone::utc())),
                    next_at: row.get(2)?,
                    window: Window { start: row.get(3)?, until: row.get(4)? },
                    taken: Vec::new(),
                })
            },
        )?;
        for trigger in &mut planned {
            if let Some(ended_at) = ended_at {
                trigger.taken = self.taken_after(job, trigger.trigger, ended_at)?;
            }
        }
        Ok(planned)
    }
}
