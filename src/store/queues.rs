//! Owns: queues.
//! Never: deciding which runs start (see `engine`).

use rusqlite::params;

use super::{Reader, StoreResult, Writer};
use crate::domain::{Aging, Happening, JobId, QueueName, QueueOrder, QueueRule, Span, Timestamp};

/// A queue with the numbers of its runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueView {
    pub name: String,
    /// `None`: those that the daemon gives to such a queue.
    pub slots: Option<u32>,
    pub rule: QueueRule,
    pub paused_at: Option<Timestamp>,
    /// The number of runs with a process.
    pub running: u64,
    /// The number of runs without a process, of jobs that are not paused.
    pub waiting: u64,
    /// The mean duration of its latest runs.
    pub mean_run: Option<Span>,
    /// How many of the waiting runs are of jobs with `--expect`, and how long these take together.
    pub expecting: (u64, Span),
}

/// Of more jobs with `--expect`, it is not asked how long their latest runs took.
const ASKED_MAX: usize = 1_000;

/// What is set of a queue; `None`: it stays as it is, or is the default of a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueSettings {
    pub slots: Option<u32>,
    pub order: Option<QueueOrder>,
    pub aging: Option<Aging>,
}

impl QueueSettings {
    pub fn slots(slots: u32) -> Self {
        Self { slots: Some(slots), ..Self::default() }
    }
}

impl Reader<'_> {
    /// Returns all queues, sorted by name.
    pub fn queues(&self) -> StoreResult<Vec<QueueView>> {
        let mut queues = self.queues_alone()?;
        for (name, count, work) in self.expecting()? {
            if let Some(queue) = queues.iter_mut().find(|queue| queue.name == name) {
                let (counted, worked) = queue.expecting;
                queue.expecting =
                    (counted + count, Span::from_micros(worked.as_micros().saturating_add(work.as_micros())));
            }
        }
        Ok(queues)
    }

    /// Returns of each job with `--expect` and waiting runs its queue, how many wait, and how long they take
    /// together.
    fn expecting(&self) -> StoreResult<Vec<(String, u64, Span)>> {
        let waiting: Vec<(String, JobId, Span, u64)> = self.all(
            "SELECT queue, id, expect_us, waiting FROM (SELECT queue, id, expect_us,
                (SELECT count(*) FROM run WHERE run.job_id = job.id AND state <> 'finished'
                    AND state = 'queued' AND held = 0 AND awaits = 0 AND callback IS NULL)
                + (SELECT coalesce(sum(rest), 0) FROM array WHERE array.job_id = job.id
                    AND finished_at IS NULL AND held = 0 AND awaits = 0) AS waiting
             FROM job WHERE expect_us IS NOT NULL AND done_at IS NULL) WHERE waiting > 0",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, i64>(3)?.cast_unsigned())),
        )?;
        let asked = waiting.len() <= ASKED_MAX;
        let work = |(queue, job, declared, count): (String, JobId, Span, u64)| {
            let each = if asked { self.expected_of(job)?.unwrap_or(declared) } else { declared };
            Ok((queue, count, Span::from_micros(each.as_micros().saturating_mul(count))))
        };
        waiting.into_iter().map(work).collect()
    }

    fn queues_alone(&self) -> StoreResult<Vec<QueueView>> {
        self.all(
            "SELECT name, slots, paused_at, mean_run_us, ordering, aging_us,
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
                    expecting: (0, Span::ZERO),
                    rule: QueueRule { order: row.get(4)?, aging: row.get::<_, Option<Span>>(5)?.into() },
                    running: row.get::<_, i64>(6)?.cast_unsigned(),
                    waiting: row.get::<_, i64>(7)?.cast_unsigned(),
                })
            },
        )
    }
}

impl Writer<'_> {
    /// Sets up a queue, and makes it if it does not exist.
    pub fn set_queue(&self, queue: &QueueName, settings: QueueSettings) -> StoreResult<()> {
        let QueueSettings { slots, order, aging } = settings;
        if slots.is_some() || !self.has_queue(queue)? {
            self.record(&Happening::QueueSet { queue: queue.to_string(), slots });
            self.change(
                "INSERT INTO queue (name, slots) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET slots = coalesce(excluded.slots, slots)",
                params![queue.as_str(), slots],
            )?;
        }
        self.set_rule(queue, order, aging)
    }

    /// Removes a queue that nothing uses. Jobs that are done belong to the default queue from then on.
    pub fn remove_queue(&self, queue: &QueueName) -> StoreResult<()> {
        self.change(
            "UPDATE job SET queue = ?2 WHERE queue = ?1",
            params![queue.as_str(), QueueName::default().as_str()],
        )?;
        self.change("DELETE FROM queue WHERE name = ?1", [queue.as_str()])?;
        self.record(&Happening::QueueRemoved { queue: queue.to_string() });
        Ok(())
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
