//! Owns: the ranks of what waits in queues, and what is known for them.
//! Never: what a rank means (see `domain`), which run starts (see `engine`).

use rusqlite::params;

use super::{Reader, StoreResult, Writer};
use crate::domain::{
    Aging, Happening, JobId, QueueName, QueueOrder, QueueRule, Rank, RankFacts, RankFrom, Span,
};
use crate::engine::decayed_mean;

/// How many of the latest runs of a job, or of the jobs with its command, are asked how long they took.
const ASKED: u32 = 16;

/// How many are looked at for those that succeeded.
const LOOKED_AT: u32 = 200;

/// A job, as far as the rank of its runs is concerned.
struct Ranked {
    rule: QueueRule,
    /// `expected`: as it was declared.
    facts: RankFacts,
    mean_of_queue: Option<Span>,
    has_earlier_runs: bool,
}

impl Reader<'_> {
    /// Returns the rank that the runs of a job get now.
    pub(super) fn rank_of(&self, job: JobId) -> StoreResult<Rank> {
        let ranked = self.ranked(job)?;
        let expected = match ranked.rule.order {
            QueueOrder::Shortest => self.expected(job, &ranked)?,
            QueueOrder::Fifo | QueueOrder::Deadline => None,
        };
        Ok(ranked.rule.rank(RankFacts { expected, ..ranked.facts }))
    }

    /// Returns how long a run of a job is expected to take; `None`: nothing is known.
    pub fn expected_of(&self, job: JobId) -> StoreResult<Option<Span>> {
        self.expected(job, &self.ranked(job)?)
    }

    fn ranked(&self, job: JobId) -> StoreResult<Ranked> {
        self.one(
            "SELECT ordering, aging_us, priority, expect_us, finish_by_us, mean_run_us, runs > 1
             FROM job JOIN queue ON queue.name = job.queue WHERE job.id = ?1",
            [job],
            |row| {
                let rule = QueueRule { order: row.get(0)?, aging: row.get::<_, Option<Span>>(1)?.into() };
                let (priority, expected, finish_by) = (row.get(2)?, row.get(3)?, row.get(4)?);
                let facts = RankFacts { priority, expected, finish_by };
                Ok(Ranked { rule, facts, mean_of_queue: row.get(5)?, has_earlier_runs: row.get(6)? })
            },
        )
    }

    /// Returns how long a run takes: as the latest runs of its job, else as it was declared, else as the
    /// latest jobs that are done with the same command, else as its queue's.
    fn expected(&self, job: JobId, ranked: &Ranked) -> StoreResult<Option<Span>> {
        const OWN: &str = "SELECT number, max(finished_at - started_at, 0) AS took FROM run
             WHERE job_id = ?1 AND outcome = 'success' AND callback IS NULL AND number > (
                SELECT runs FROM job WHERE id = ?1) - ?3
             ORDER BY number DESC LIMIT ?2";
        let own = if ranked.has_earlier_runs { self.took(OWN, job)? } else { None };
        if let Some(expected) = own.or(ranked.facts.expected) {
            return Ok(Some(expected));
        }
        let same = self.took(
            "SELECT other.id, (SELECT max(finished_at - started_at, 0) FROM run
                WHERE job_id = other.id AND outcome = 'success' AND callback IS NULL
                ORDER BY number DESC LIMIT 1) AS took
             FROM (SELECT id, is_script, done_at FROM job
                WHERE command_hash = (SELECT command_hash FROM job WHERE id = ?1)
                    AND done_at IS NOT NULL ORDER BY done_at DESC LIMIT ?3) AS other
                JOIN job ON job.id = ?1 AND job.is_script = other.is_script
             WHERE took IS NOT NULL ORDER BY other.done_at DESC LIMIT ?2",
            job,
        )?;
        Ok(same.or(ranked.mean_of_queue))
    }

    /// Returns the decayed mean of the second column of a query that has the latest first.
    fn took(&self, sql: &str, job: JobId) -> StoreResult<Option<Span>> {
        let latest: Vec<Span> = self.all(sql, params![job, ASKED, LOOKED_AT], |row| row.get(1))?;
        Ok(decayed_mean(latest.into_iter().rev()))
    }
}

impl Writer<'_> {
    /// Ranks anew the runs of a job in a queue.
    pub(super) fn rank_job_anew(&self, job: JobId, queue: &QueueName) -> StoreResult<()> {
        self.change("UPDATE queue SET is_reordered = 1 WHERE name = ?1", [queue.as_str()])?;
        self.rank_anew(job)
    }

    /// Ranks anew what is unfinished of a job, each run by its own times.
    fn rank_anew(&self, job: JobId) -> StoreResult<()> {
        let Rank { from, offset } = self.rank_of(job)?;
        let is_scheduled = from == RankFrom::ScheduledAt;
        self.change(
            "UPDATE run SET rank = iif(?2, scheduled_at, queued_at) + ?3
             WHERE job_id = ?1 AND state <> 'finished' AND callback IS NULL",
            params![job, is_scheduled, offset],
        )?;
        self.change(
            "UPDATE array SET rank = iif(?2, scheduled_at, queued_at) + ?3
             WHERE job_id = ?1 AND finished_at IS NULL",
            params![job, is_scheduled, offset],
        )
    }

    /// The runs in the hands of a keeper were recalled where their queue has another order.
    pub fn has_recalled(&self) -> StoreResult<()> {
        self.change("UPDATE queue SET is_reordered = 0 WHERE is_reordered = 1", [])
    }

    /// Ranks anew all that waits in a queue.
    fn rank_queue_anew(&self, queue: &QueueName) -> StoreResult<()> {
        let jobs: Vec<JobId> = self.all(
            "SELECT DISTINCT job_id FROM run WHERE queue = ?1 AND state <> 'finished' AND callback IS NULL
             UNION SELECT job_id FROM array WHERE queue = ?1 AND finished_at IS NULL",
            [queue.as_str()],
            |row| row.get(0),
        )?;
        jobs.into_iter().try_for_each(|job| self.rank_anew(job))
    }

    /// Sets how a queue orders what waits, as far as that is given, and ranks it anew if that is another way.
    pub(super) fn set_rule(
        &self,
        queue: &QueueName,
        order: Option<QueueOrder>,
        aging: Option<Aging>,
    ) -> StoreResult<()> {
        let aging_us = aging.map(Aging::span);
        let changed: Option<QueueRule> = self.first(
            "UPDATE queue SET ordering = coalesce(?2, ordering), aging_us = iif(?3, ?4, aging_us),
                is_reordered = 1
             WHERE name = ?1 AND (ordering IS NOT coalesce(?2, ordering)
                OR aging_us IS NOT iif(?3, ?4, aging_us)) RETURNING ordering, aging_us",
            params![queue.as_str(), order, aging_us.is_some(), aging_us.flatten()],
            |row| Ok(QueueRule { order: row.get(0)?, aging: row.get::<_, Option<Span>>(1)?.into() }),
        )?;
        let Some(QueueRule { order, aging }) = changed else { return Ok(()) };
        let (order, aging) = (order.as_str().into(), aging.span());
        self.record(&Happening::QueueOrdered { queue: queue.to_string(), order, aging });
        self.rank_queue_anew(queue)
    }
}
