//! Owns: queues.
//! Never: which runs they start (see `engine`).

use rusqlite::params;

use super::{Reader, StoreResult, Writer};
use crate::domain::{QueueName, Span, Timestamp};

/// A queue and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueView {
    /// Its name.
    pub name: String,
    /// Its width; `None`: one slot per CPU.
    pub slots: Option<u32>,
    /// It starts nothing since then.
    pub paused_at: Option<Timestamp>,
    /// Runs with a process.
    pub running: u64,
    /// Runs without one, of jobs that are not paused.
    pub waiting: u64,
    /// How long its runs take, of late.
    pub mean_run: Option<Span>,
}

impl Reader<'_> {
    /// Returns all queues, by name.
    pub fn queues(&self) -> StoreResult<Vec<QueueView>> {
        let mut statement = self.transaction.prepare(
            "SELECT name, slots, paused_at, mean_run_us,
                (SELECT count(*) FROM run
                 WHERE run.queue = queue.name AND state = 'running' AND state <> 'finished' AND keeper IS NOT NULL),
                (SELECT count(*) FROM run
                 WHERE run.queue = queue.name AND state = 'queued' AND state <> 'finished' AND keeper IS NOT NULL)
                + (SELECT count(*) FROM run
                 WHERE run.queue = queue.name AND state = 'queued' AND keeper IS NULL AND held = 0)
             FROM queue ORDER BY name",
        )?;
        let queues = statement.query_map([], |row| {
            Ok(QueueView {
                name: row.get(0)?,
                slots: row.get(1)?,
                paused_at: row.get(2)?,
                mean_run: row.get(3)?,
                running: row.get::<_, i64>(4)?.cast_unsigned(),
                waiting: row.get::<_, i64>(5)?.cast_unsigned(),
            })
        })?;
        Ok(queues.collect::<rusqlite::Result<_>>()?)
    }
}

impl Writer<'_> {
    /// Sets a queue's width, and makes the queue where there is none.
    pub fn set_queue(&self, queue: &QueueName, slots: Option<u32>) -> StoreResult<()> {
        self.transaction.execute(
            "INSERT INTO queue (name, slots) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET slots = coalesce(excluded.slots, slots)",
            params![queue.as_str(), slots],
        )?;
        Ok(())
    }

    /// Pauses or resumes a queue, and returns whether that changed it.
    pub fn pause_queue(&self, queue: &QueueName, paused_at: Option<Timestamp>) -> StoreResult<bool> {
        let changed = self.transaction.execute(
            "UPDATE queue SET paused_at = ?2 WHERE name = ?1 AND (paused_at IS NULL) <> (?2 IS NULL)",
            params![queue.as_str(), paused_at],
        )?;
        Ok(changed > 0)
    }
}
