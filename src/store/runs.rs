//! Owns: the run log as it is read.
//! Never: changing it (see `apply`).

use rusqlite::{OptionalExtension, Row, ToSql, params};

use super::{Reader, StoreResult};
use crate::domain::{JobId, Outcome, QueueName, RunId, RunState, Span, Tag, Timestamp, TriggerKind};

/// One run, all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunView {
    /// Which run.
    pub run: RunId,
    /// The job's name.
    pub name: Option<String>,
    /// Which try.
    pub attempt: u32,
    /// What made it.
    pub trigger: TriggerKind,
    /// When it was due.
    pub scheduled_at: Timestamp,
    /// How many fires it stands for.
    pub fires: u64,
    /// Its queue.
    pub queue: String,
    /// Where it stands.
    pub state: RunState,
    /// It waits because its job is paused.
    pub held: bool,
    /// When it was made.
    pub queued_at: Timestamp,
    /// It is being stopped since then.
    pub stop_at: Option<Timestamp>,
    /// Its process.
    pub pid: Option<u32>,
    /// When that was started.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub finished_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Its exit status; for `spawn_failed`, what a shell would give.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why, where the rest does not say it.
    pub cause: Option<String>,
    /// Time in user mode.
    pub user: Option<Span>,
    /// Time in the kernel.
    pub system: Option<Span>,
    /// Largest resident set, in KiB.
    pub max_rss_kib: Option<i64>,
    /// How much it wrote.
    pub output_bytes: Option<i64>,
    /// Its keeper is gone, and another watches its processes, whose exit status nobody will know.
    pub unattended: bool,
}

impl RunView {
    /// Returns how long its process ran.
    pub fn duration(&self) -> Option<Span> {
        Some(self.finished_at?.since(self.started_at?))
    }
}

/// Which runs to return.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Of this job.
    pub job: Option<JobId>,
    /// With this outcome.
    pub outcome: Option<Outcome>,
    /// Made at or after this instant.
    pub since: Option<Timestamp>,
    /// Not finished.
    pub unfinished: bool,
    /// Made after this one, see `newest_run`.
    pub after: Option<i64>,
    /// Of this queue.
    pub queue: Option<QueueName>,
    /// Of jobs with this tag.
    pub tag: Option<Tag>,
    /// At most this many.
    pub limit: Option<usize>,
}

const COLUMNS: &str = "run.job_id, run.number, job.name, run.attempt, run.trigger, run.scheduled_at, run.fires, run.queue,
    run.state, run.held, run.queued_at, run.stop_at, run.pid, run.started_at, run.finished_at, run.outcome, run.exit_code,
    run.signal, run.cause, run.user_us, run.system_us, run.max_rss_kib, run.output_bytes,
    run.is_unattended";

fn view(row: &Row<'_>) -> rusqlite::Result<RunView> {
    Ok(RunView {
        run: RunId { job: row.get(0)?, number: row.get(1)? },
        name: row.get(2)?,
        attempt: row.get(3)?,
        trigger: row.get(4)?,
        scheduled_at: row.get(5)?,
        fires: row.get::<_, i64>(6)?.cast_unsigned(),
        queue: row.get(7)?,
        state: row.get(8)?,
        held: row.get(9)?,
        queued_at: row.get(10)?,
        stop_at: row.get(11)?,
        pid: row.get(12)?,
        started_at: row.get(13)?,
        finished_at: row.get(14)?,
        outcome: row.get(15)?,
        exit_code: row.get(16)?,
        signal: row.get(17)?,
        cause: row.get(18)?,
        user: row.get(19)?,
        system: row.get(20)?,
        max_rss_kib: row.get(21)?,
        output_bytes: row.get(22)?,
        unattended: row.get(23)?,
    })
}

impl Reader<'_> {
    /// Returns one run.
    pub fn run(&self, run: RunId) -> StoreResult<Option<RunView>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM run JOIN job ON job.id = run.job_id WHERE run.job_id = ?1 AND run.number = ?2"
        );
        Ok(self.transaction.prepare_cached(&sql)?.query_row(params![run.job, run.number], view).optional()?)
    }

    /// Returns the number of a job's latest run, 0 if it has none.
    pub fn latest_run(&self, job: JobId) -> StoreResult<i64> {
        Ok(self
            .transaction
            .prepare_cached("SELECT coalesce(max(number), 0) FROM run WHERE job_id = ?1")?
            .query_row([job], |row| row.get(0))?)
    }

    /// Returns runs, the latest made first.
    pub fn runs(&self, filter: &RunFilter) -> StoreResult<Vec<RunView>> {
        // Within a job the number is the order too, and its index has it.
        let order = if filter.job.is_some() { "run.number" } else { "run.id" };
        let limit = filter.limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        filter.select(|conditions, values| {
            let sql = format!(
                "SELECT {COLUMNS} FROM run JOIN job ON job.id = run.job_id WHERE {conditions} ORDER BY {order} DESC LIMIT {limit}"
            );
            let mut statement = self.transaction.prepare_cached(&sql)?;
            let runs = statement.query_map(values.as_slice(), view)?;
            Ok(runs.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Returns how many runs there are, without regard to the limit.
    pub fn count_runs(&self, filter: &RunFilter) -> StoreResult<usize> {
        filter.select(|conditions, values| {
            let sql = format!("SELECT count(*) FROM run WHERE {conditions}");
            let count: i64 =
                self.transaction.prepare_cached(&sql)?.query_row(values.as_slice(), |row| row.get(0))?;
            Ok(usize::try_from(count).unwrap_or(0))
        })
    }

    /// Tells whether there is such a run.
    pub fn has_runs(&self, filter: &RunFilter) -> StoreResult<bool> {
        filter.select(|conditions, values| {
            let sql = format!("SELECT 1 FROM run WHERE {conditions} LIMIT 1");
            Ok(self.transaction.prepare_cached(&sql)?.exists(values.as_slice())?)
        })
    }

    /// Returns the place of the latest run in the order in which runs were made.
    pub fn newest_run(&self) -> StoreResult<i64> {
        Ok(self
            .transaction
            .prepare_cached("SELECT coalesce(max(id), 0) FROM run")?
            .query_row([], |row| row.get(0))?)
    }

    /// Returns a run's output, if it is in the run log.
    pub fn output(&self, run: RunId) -> StoreResult<Option<Vec<u8>>> {
        Ok(self
            .transaction
            .prepare_cached(
                "SELECT data FROM output JOIN run ON run.id = output.run_id WHERE run.job_id = ?1 AND run.number = ?2",
            )?
            .query_row(params![run.job, run.number], |row| row.get(0))
            .optional()?)
    }
}

impl RunFilter {
    /// Makes the conditions, and the values of their parameters, and has them used.
    fn select<T>(&self, make: impl FnOnce(&str, Vec<&dyn ToSql>) -> StoreResult<T>) -> StoreResult<T> {
        let filter = self;
        let mut conditions = Vec::new();
        let mut values: Vec<&dyn ToSql> = Vec::new();
        let queue = filter.queue.as_ref().map(QueueName::as_str);
        let tag = filter.tag.as_ref().map(Tag::as_str);
        if let Some(job) = &filter.job {
            conditions.push("run.job_id = ?");
            values.push(job);
        }
        if let Some(outcome) = &filter.outcome {
            // Said twice where it helps: the index on outcomes leaves `success` out.
            conditions.push(match outcome {
                Outcome::Success => "run.outcome = ?",
                Outcome::Failed
                | Outcome::TimedOut
                | Outcome::Cancelled
                | Outcome::Missed
                | Outcome::Skipped
                | Outcome::SpawnFailed
                | Outcome::Lost => "run.outcome <> 'success' AND run.outcome = ?",
            });
            values.push(outcome);
        }
        if let Some(since) = &filter.since {
            conditions.push("run.queued_at >= ?");
            values.push(since);
        }
        if filter.unfinished {
            // Of all jobs, by way of the few: the order of the run log would lead through all of it.
            conditions.push(match self.job {
                Some(_) => "run.state <> 'finished'",
                None => "run.id IN (SELECT id FROM run WHERE state <> 'finished')",
            });
        }
        if let Some(queue) = &queue {
            conditions.push("run.queue = ?");
            values.push(queue);
        }
        if let Some(tag) = &tag {
            conditions.push("run.job_id IN (SELECT job_id FROM tag WHERE tag = ?)");
            values.push(tag);
        }
        if let Some(after) = &filter.after {
            conditions.push("run.id > ?");
            values.push(after);
        }
        let conditions = if conditions.is_empty() { "1".to_owned() } else { conditions.join(" AND ") };
        make(&conditions, values)
    }
}
