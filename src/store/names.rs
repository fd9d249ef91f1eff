//! Owns: the names in the store that begin with a text, for completions.
//! Never: cost that grows with the store: each query reads a bounded number of rows.

use std::collections::BTreeSet;

use rusqlite::{Row, params};

use super::codec::command;
use super::{Reader, StoreResult};
use crate::domain::{CommandLine, JobId, JobName, Outcome, QueueName, RunState, Tag, Timestamp};

/// The most rows that one query looks at, and the most names that it returns.
const ROWS_MAX: i64 = 300;

/// Of more than this, a count is not exact.
pub const COUNT_MAX: u64 = 100;

/// A job, with as much of it as tells it from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownJob {
    pub id: JobId,
    /// `None` also if a later job has taken the name.
    pub name: Option<JobName>,
    pub command: CommandLine,
    pub is_paused: bool,
    pub is_done: bool,
}

/// A run of a known job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedRun {
    pub number: i64,
    pub state: RunState,
    pub outcome: Option<Outcome>,
    pub exit_code: Option<i32>,
    /// When it ended, else when it started, else when it was queued.
    pub at: Timestamp,
}

/// A queue with counts up to `COUNT_MAX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedQueue {
    pub name: QueueName,
    /// `None`: those that the daemon gives to such a queue.
    pub slots: Option<u32>,
    pub is_paused: bool,
    pub running: u64,
    pub waiting: u64,
}

const COLUMNS: &str = "id, iif(holds_name, name, NULL),
    shown('job.command', job.id, 0, job.command), is_script, paused_at IS NOT NULL,
    done_at IS NOT NULL";

fn job(row: &Row<'_>) -> rusqlite::Result<KnownJob> {
    Ok(KnownJob {
        id: row.get(0)?,
        name: row.get(1)?,
        command: command(row, 2)?,
        is_paused: row.get(4)?,
        is_done: row.get(5)?,
    })
}

/// Returns a text after all names that begin with `start`: names are ASCII.
fn end_of(start: &str) -> String {
    format!("{start}\u{7f}")
}

/// Returns the ranges of the numbers up to `last` whose digits begin with `start`: 12, 120-129, 1200-1299.
fn ranges(start: i64, last: i64) -> impl Iterator<Item = (i64, i64)> {
    let mut next = Some((start, start)).filter(|_| start > 0);
    std::iter::from_fn(move || {
        let range = next.take().filter(|(first, _)| *first <= last)?;
        next = range.0.checked_mul(10).zip(range.1.checked_mul(10).and_then(|end| end.checked_add(9)));
        Some(range)
    })
}

impl Reader<'_> {
    /// Returns jobs whose name, or id, begins with `start`. Living ones come first, and among these those
    /// with a name, sorted; the others are the newest first. Ids are looked for only if `start` is a number
    /// or empty.
    pub fn jobs_like(&self, start: &str) -> StoreResult<Vec<KnownJob>> {
        let mut jobs = match start.parse() {
            Ok(number) => self.jobs_of_number(number)?,
            Err(_) if start.is_empty() => [self.living_jobs("")?, self.newest_jobs()?].concat(),
            Err(_) => self.living_jobs(start)?,
        };
        jobs.extend(self.jobs_of_name(start)?);
        let mut seen = BTreeSet::new();
        jobs.retain(|job| seen.insert(job.id));
        jobs.sort_by(|a, b| {
            let rank = |job: &KnownJob| (job.is_done, job.name.is_none());
            rank(a).cmp(&rank(b)).then_with(|| match a.is_done {
                false => a.name.cmp(&b.name).then(b.id.cmp(&a.id)),
                true => b.id.cmp(&a.id),
            })
        });
        Ok(jobs)
    }

    fn jobs_of_number(&self, start: i64) -> StoreResult<Vec<KnownJob>> {
        let last: i64 = self.one("SELECT ifnull(max(id), 0) FROM job", [], |row| row.get(0))?;
        let sql = format!("SELECT {COLUMNS} FROM job WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT ?3");
        let mut jobs = Vec::new();
        for (first, last) in ranges(start, last) {
            jobs.extend(self.all(&sql, params![first, last, ROWS_MAX], job)?);
        }
        Ok(jobs)
    }

    fn jobs_of_name(&self, start: &str) -> StoreResult<Vec<KnownJob>> {
        self.all(
            &format!(
                "SELECT {COLUMNS} FROM job WHERE name >= ?1 AND name < ?2 AND holds_name = 1
                 ORDER BY name LIMIT ?3"
            ),
            params![start, end_of(start), ROWS_MAX],
            job,
        )
    }

    /// Returns jobs that are not done. With `start`: those among them whose name begins with it.
    fn living_jobs(&self, start: &str) -> StoreResult<Vec<KnownJob>> {
        // As `LIVE` of `job_view`, and each part ends after so many rows.
        self.all(
            &format!(
                "SELECT {COLUMNS} FROM job WHERE id IN (
                    SELECT * FROM (SELECT job_id FROM run WHERE state <> 'finished'
                        ORDER BY job_id DESC LIMIT ?3)
                    UNION ALL SELECT * FROM (SELECT job_id FROM array WHERE finished_at IS NULL
                        ORDER BY job_id DESC LIMIT ?3)
                    UNION ALL SELECT * FROM (SELECT job_id FROM trigger WHERE next_at IS NOT NULL LIMIT ?3)
                    UNION ALL SELECT * FROM (SELECT job_id FROM trigger WHERE boot_id IS NOT NULL LIMIT ?3)
                    UNION ALL SELECT * FROM (SELECT job_id FROM trigger
                        WHERE awaits_end IS NOT NULL AND awaits_end = 1 LIMIT ?3)
                    UNION ALL SELECT * FROM (SELECT job_id FROM trigger
                        WHERE listens IS NOT NULL AND listens = 1 LIMIT ?3))
                 AND (?1 = '' OR name >= ?1 AND name < ?2)
                 ORDER BY id DESC LIMIT ?3"
            ),
            params![start, end_of(start), ROWS_MAX],
            job,
        )
    }

    fn newest_jobs(&self) -> StoreResult<Vec<KnownJob>> {
        let sql = format!("SELECT {COLUMNS} FROM job ORDER BY id DESC LIMIT ?1");
        self.all(&sql, [ROWS_MAX], job)
    }

    /// Returns the jobs with a running run, the newest first.
    pub fn running_jobs(&self) -> StoreResult<Vec<KnownJob>> {
        self.all(
            &format!(
                "SELECT {COLUMNS} FROM job WHERE id IN (SELECT job_id FROM run
                    WHERE state = 'running' AND state <> 'finished' AND keeper IS NOT NULL)
                 ORDER BY id DESC LIMIT ?1"
            ),
            [ROWS_MAX],
            job,
        )
    }

    /// Returns runs of a job whose number begins with `start`, the latest first; `unfinished`: only those
    /// without an outcome.
    pub fn runs_like(&self, job: JobId, start: &str, unfinished: bool) -> StoreResult<Vec<NamedRun>> {
        let last: Option<i64> = self.first("SELECT runs FROM job WHERE id = ?1", [job], |row| row.get(0))?;
        let all = start.is_empty().then_some((1, i64::MAX));
        let with_start = start.parse().into_iter().flat_map(|start| ranges(start, last.unwrap_or(0)));
        // The `+` leaves the choice to the index on unfinished runs, which are few.
        let condition = if unfinished { "+number BETWEEN ?2 AND ?3 AND state <> 'finished'" } else { NUMBER };
        let sql = format!(
            "SELECT number, state, outcome, exit_code, coalesce(finished_at, started_at, queued_at)
             FROM run WHERE job_id = ?1 AND {condition} ORDER BY number DESC LIMIT ?4"
        );
        let mut runs = Vec::new();
        for (first, last) in all.into_iter().chain(with_start) {
            runs.extend(self.all(&sql, params![job, first, last, ROWS_MAX], |row| {
                Ok(NamedRun {
                    number: row.get(0)?,
                    state: row.get(1)?,
                    outcome: row.get(2)?,
                    exit_code: row.get(3)?,
                    at: row.get(4)?,
                })
            })?);
        }
        runs.sort_by_key(|run| std::cmp::Reverse(run.number));
        Ok(runs)
    }

    /// Returns the queues whose name begins with `start`, sorted.
    pub fn queues_like(&self, start: &str) -> StoreResult<Vec<NamedQueue>> {
        self.all(
            &format!(
                "SELECT name, slots, paused_at IS NOT NULL,
                    (SELECT count(*) FROM (SELECT 1 FROM run WHERE run.queue = queue.name
                        AND state = 'running' AND state <> 'finished' AND keeper IS NOT NULL
                        LIMIT {COUNT_MAX})),
                    (SELECT count(*) FROM (SELECT 1 FROM run WHERE run.queue = queue.name
                        AND state = 'queued' AND keeper IS NULL AND held = 0 AND awaits = 0
                        LIMIT {COUNT_MAX}))
                    + (SELECT coalesce(sum(rest), 0) FROM (SELECT rest FROM array
                        WHERE array.queue = queue.name AND rest > 0 AND held = 0 AND awaits = 0
                        LIMIT {COUNT_MAX}))
                 FROM queue WHERE name >= ?1 AND name < ?2 ORDER BY name LIMIT ?3"
            ),
            params![start, end_of(start), ROWS_MAX],
            |row| {
                Ok(NamedQueue {
                    name: row.get(0)?,
                    slots: row.get(1)?,
                    is_paused: row.get(2)?,
                    running: row.get::<_, i64>(3)?.cast_unsigned(),
                    waiting: row.get::<_, i64>(4)?.cast_unsigned().min(COUNT_MAX),
                })
            },
        )
    }

    /// Returns the tags that begin with `start`, sorted, each with the number of its jobs, up to `COUNT_MAX`.
    pub fn tags_like(&self, start: &str) -> StoreResult<Vec<(Tag, u64)>> {
        // A step for each tag, not for each job that has it.
        self.all(
            &format!(
                "WITH RECURSIVE one (tag) AS (
                    SELECT min(tag) FROM tag WHERE tag >= ?1 AND tag < ?2
                    UNION ALL
                    SELECT (SELECT min(tag) FROM tag WHERE tag > one.tag AND tag < ?2) FROM one
                    WHERE one.tag IS NOT NULL LIMIT ?3)
                 SELECT tag, (SELECT count(*) FROM (SELECT 1 FROM tag WHERE tag.tag = one.tag
                    LIMIT {COUNT_MAX})) FROM one WHERE tag IS NOT NULL"
            ),
            params![start, end_of(start), ROWS_MAX],
            |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())),
        )
    }

    /// Returns the names of events that jobs listen to and that begin with `start`, sorted, each with one
    /// of these jobs.
    pub fn event_names_like(&self, start: &str) -> StoreResult<Vec<(String, JobId)>> {
        const LISTENS: &str = "kind = 'emit' AND listens IS NOT NULL AND listens = 1";
        self.all(
            &format!(
                "WITH RECURSIVE one (name) AS (
                    SELECT min(event_key) FROM trigger
                    WHERE {LISTENS} AND event_key >= ?1 AND event_key < ?2
                    UNION ALL
                    SELECT (SELECT min(event_key) FROM trigger
                        WHERE {LISTENS} AND event_key > one.name AND event_key < ?2) FROM one
                    WHERE one.name IS NOT NULL LIMIT ?3)
                 SELECT name, (SELECT job_id FROM trigger WHERE {LISTENS} AND event_key = one.name LIMIT 1)
                 FROM one WHERE name IS NOT NULL"
            ),
            params![start, end_of(start), ROWS_MAX],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }
}

const NUMBER: &str = "number BETWEEN ?2 AND ?3";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_begin_with_digits_are_ranges() {
        let all: Vec<_> = ranges(12, 5_000).collect();
        assert_eq!(all, [(12, 12), (120, 129), (1_200, 1_299)]);
        assert_eq!(ranges(0, 5_000).count(), 0);
        assert_eq!(ranges(i64::MAX / 5, i64::MAX).count(), 1);
    }
}
