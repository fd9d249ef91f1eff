//! Owns: queues.
//! Never: deciding which runs start (see `engine`).

use rusqlite::params;

use super::{Reader, StoreResult, Writer};
use crate::domain::{Happening, QueueName, Span, Timestamp};

/// A queue with the numbers of its runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueView {
    pub name: String,
    /// `None`: those that the daemon gives to such a queue.
    pub slots: Option<u32>,
    pub paused_at: Option<Timestamp>,
    /// The number of runs with a process.
    pub running: u64,
    /// The number of runs without a process, of jobs that are not paused.
    pub waiting: u64,
    /// The mean duration of its latest runs.
    pub mean_run: Option<Span>,
}

impl Reader<'_> {
    /// Returns all queues, sorted by name.
    pub fn queues(&self) -> StoreResult<Vec<QueueView>> {
        self.all(
            "SELECT name, slots, paused_at, mean_run_us,
                (SELECT count(*) FROM run WHERE run.queue = queue.name
                    AND state = 'running' AND state <> 'finished' AND keeper IS NOT NULL),
                (SELECT count(*) FROM run WHERE run.queue = queue.name
                    AND state = 'queued' AND state <> 'finished' AND keeper IS NOT NULL)
                + (SELECT count(*) FROM run WHERE run.queue = queue.name
                    AND state = 'queued' AND keeper IS NULL AND held = 0 AND awaits = 0)
                + (SELECT coalesce(sum(rest), 0) FROM array WHERE array.queue = queue.name
                    AND rest > 0 AND held = 0 AND awaits = 0)
             FROM queue ORDER BY name",
            [],
            |row| {
                Ok(QueueView {
                    name: row.get(0)?,
                    slots: row.get(1)?,
                    paused_at: row.get(2)?,
                    mean_run: row.get(3)?,
                    running: row.get::<_, i64>(4)?.cast_unsigned(),
                    waiting: row.get::<_, i64>(5)?.cast_unsigned(),
                })
            },
        )
    }
}

impl Writer<'_> {
    /// Sets the width of a queue, and makes the queue if it does not exist.
    pub fn set_queue(&self, queue: &QueueName, slots: Option<u32>) -> StoreResult<()> {
        self.record(&Happening::QueueSet { queue: queue.to_string(), slots });
        self.change(
            "INSERT INTO queue (name, slots) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET slots = coalesce(excluded.slots, slots)",
            params![queue.as_str(), slots],
        )
    }

    /// Pauses or resumes a queue, and returns whether this changed it.
    pub fn pause_queue(&self, queue: &QueueName, paused_at: Option<Timestamp>) -> StoreResult<bool> {
        let changed = self.changed(
            "UPDATE queue SET paused_at = ?2 WHERE name = ?1 AND (paused_at IS NULL) <> (?2 IS NULL)",
            params![queue.as_str(), paused_at],
        )?;
        if changed > 0 {
            let queue = queue.to_string();
            self.record(&match paused_at {
                Some(_) => Happening::QueuePaused { queue },
                None => Happening::QueueResumed { queue },
            });
        }
        Ok(changed > 0)
    }
}
