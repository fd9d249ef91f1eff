//! Owns: what is under way in a store, and what a daemon leaves that serves only until nothing is.
//! Never: when that daemon exits.

use super::{Reader, StoreResult};
use crate::domain::{JobId, Timestamp};

/// How many jobs of a kind are named.
const NAMED: usize = 5;

/// What waits for something that may never come.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LeftWork {
    /// Jobs with runs that are paused, or whose queue is.
    pub paused: LeftJobs,
    /// Jobs with runs that wait for jobs without a run.
    pub awaiting: LeftJobs,
    /// Jobs with coming fires.
    pub coming: LeftJobs,
    /// Jobs that listen to events.
    pub listening: LeftJobs,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct LeftJobs {
    pub count: usize,
    /// The names, or else ids, of the first of them.
    pub first: Vec<String>,
}

impl Reader<'_> {
    /// Returns whether anything runs, can start, is tried again or is due, or a mail waits.
    ///
    /// What is paused, and runs that wait for others while nothing else is under way, are not.
    pub fn is_under_way(&self, now: Timestamp) -> StoreResult<bool> {
        self.one(
            "SELECT EXISTS (SELECT 1 FROM run
                    WHERE state <> 'finished' AND keeper IS NOT NULL AND paused_at IS NULL)
                OR EXISTS (SELECT 1 FROM queue WHERE paused_at IS NULL AND (
                    EXISTS (SELECT 1 FROM run WHERE run.queue = queue.name
                        AND state = 'queued' AND keeper IS NULL AND held = 0 AND awaits = 0)
                    OR EXISTS (SELECT 1 FROM array WHERE array.queue = queue.name
                        AND rest > 0 AND held = 0 AND awaits = 0)))
                OR EXISTS (SELECT 1 FROM run WHERE state = 'retrying' AND held = 0
                    AND NOT EXISTS (SELECT 1 FROM queue WHERE name = run.queue AND paused_at IS NOT NULL))
                OR EXISTS (SELECT 1 FROM trigger WHERE held = 0 AND next_at <= ?1)
                OR EXISTS (SELECT 1 FROM mail WHERE failed IS NULL)",
            [now],
            |row| row.get(0),
        )
    }

    /// Returns whether a run has failed since then: also by its timeout, because it could not start, or
    /// because it was lost. Callbacks do not count.
    pub fn has_failed_since(&self, since: Timestamp) -> StoreResult<bool> {
        self.one(
            "SELECT EXISTS (SELECT 1 FROM run WHERE callback IS NULL AND finished_at >= ?1
                AND outcome IN ('failed', 'timed_out', 'spawn_failed', 'lost'))",
            [since],
            |row| row.get(0),
        )
    }

    /// Returns what is left where nothing is under way.
    pub fn left_work(&self) -> StoreResult<LeftWork> {
        // Where nothing is under way, what does not wait for a run is paused.
        Ok(LeftWork {
            paused: self.left_jobs(
                "id IN (SELECT job_id FROM run WHERE state <> 'finished' AND awaits = 0)
                 OR id IN (SELECT job_id FROM array WHERE rest > 0 AND finished_at IS NULL AND awaits = 0)",
            )?,
            awaiting: self.left_jobs(
                "id IN (SELECT job_id FROM run WHERE state <> 'finished' AND awaits > 0)
                 OR id IN (SELECT job_id FROM array WHERE rest > 0 AND finished_at IS NULL AND awaits > 0)",
            )?,
            coming: self.left_jobs(
                "id IN (SELECT job_id FROM trigger WHERE next_at IS NOT NULL OR awaits_end IS NOT NULL)",
            )?,
            listening: self.left_jobs("id IN (SELECT job_id FROM trigger WHERE listens = 1)")?,
        })
    }

    fn left_jobs(&self, which: &str) -> StoreResult<LeftJobs> {
        let jobs: Vec<(JobId, Option<String>)> = self.all(
            &format!("SELECT id, name FROM job WHERE done_at IS NULL AND ({which}) ORDER BY id"),
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let name = |(id, name): &(JobId, Option<String>)| name.clone().unwrap_or_else(|| id.to_string());
        Ok(LeftJobs { count: jobs.len(), first: jobs.iter().take(NAMED).map(name).collect() })
    }
}
