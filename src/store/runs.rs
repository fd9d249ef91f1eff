//! Owns: reading the run log.
//! Never: changing it (see `apply` and `ends`).

use std::cmp::Reverse;
use std::collections::BTreeSet;

use rusqlite::{Row, ToSql, params};

use super::executors::Unreachable;
use super::{Reader, StoreResult, codec};
use crate::domain::{
    ArrayId, FarPlace, JobId, Outcome, OutputKind, QueueName, RunId, RunState, Share, Span, Tag, Timestamp,
    TriggerKind,
};

/// A row of the run log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunView {
    pub run: RunId,
    /// The name of the job.
    pub name: Option<String>,
    pub attempt: u32,
    pub trigger: TriggerKind,
    pub scheduled_at: Timestamp,
    /// The number of fires in its stretch, at least 1.
    pub fires: u64,
    pub queue: String,
    pub state: RunState,
    /// It waits because its job is paused.
    pub held: bool,
    /// It waits for runs of other jobs.
    pub blocked: bool,
    /// The runs that it waited for, as in `12.1 13.4`; `None` if its job depends on none.
    pub after_runs: Option<String>,
    /// What it wrote to `TASKQ_RESULT_FILE`, as JSON.
    pub result: Option<String>,
    /// What it has booked, or had when it ended; `None`: nothing.
    pub share: Option<Share>,
    pub array: Option<ArrayId>,
    /// Of a callback: the run that it follows, as in `12.3`; an array is its job.
    pub parent: Option<String>,
    /// Its index, if it is one of an array.
    pub index: Option<u32>,
    /// The item of that index, if its job has a list of them.
    pub item: Option<Vec<u8>>,
    pub queued_at: Timestamp,
    /// When its stop was requested.
    pub stop_at: Option<Timestamp>,
    pub pid: Option<u32>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub outcome: Option<Outcome>,
    /// The exit status; for `spawn_failed`, the one of a shell.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why, where the rest does not explain it.
    pub cause: Option<String>,
    pub user: Option<Span>,
    pub system: Option<Span>,
    /// The largest resident set, in KiB.
    pub max_rss_kib: Option<i64>,
    pub output_bytes: Option<i64>,
    /// Its standard error is apart, since it was claimed.
    pub is_split: bool,
    /// The size of its standard error, if that was apart.
    pub stderr_bytes: Option<i64>,
    /// While it is retrying: when its next attempt, which `attempt` counts already, is due.
    pub retry_at: Option<Timestamp>,
    /// The host of an executor on which it is, or has run; `None`: this machine.
    pub far: Option<FarView>,
    /// Its keeper is gone. Another one watches its processes, and cannot read their exit status.
    pub unattended: bool,
    /// Its output is gone: it was too old for the limit of `prune`.
    pub output_pruned: bool,
    /// It has a process, which is stopped until it is resumed.
    pub paused: bool,
}

/// Where a run is, if not on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FarView {
    pub place: FarPlace,
    /// The host does not answer, and the run has not ended.
    pub unreachable: Option<Unreachable>,
}

impl RunView {
    /// Returns how long its process ran; `None` if there was none, or it still runs.
    pub fn duration(&self) -> Option<Span> {
        Some(self.finished_at?.since(self.started_at?))
    }

    /// Returns the number of its latest attempt that has begun; 1 if none has.
    pub fn last_begun(&self) -> u32 {
        if self.present_attempt().is_some() { self.attempt } else { (self.attempt - 1).max(1) }
    }

    /// Returns the attempt that `attempt` counts, if it has begun: it has a process, had one, or was refused
    /// one.
    fn present_attempt(&self) -> Option<AttemptView> {
        let has_begun =
            self.started_at.is_some() || matches!(self.outcome, Some(Outcome::SpawnFailed | Outcome::Lost));
        has_begun.then(|| AttemptView {
            number: self.attempt,
            pid: self.pid,
            started_at: self.started_at,
            finished_at: self.finished_at,
            outcome: self.outcome,
            exit_code: self.exit_code,
            signal: self.signal,
            cause: self.cause.clone(),
            user: self.user,
            system: self.system,
            max_rss_kib: self.max_rss_kib,
            output_bytes: self.output_bytes,
            is_split: self.is_split,
            stderr_bytes: self.stderr_bytes,
        })
    }
}

/// An attempt of a run that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptView {
    /// From 1.
    pub number: u32,
    pub pid: Option<u32>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub outcome: Option<Outcome>,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub cause: Option<String>,
    pub user: Option<Span>,
    pub system: Option<Span>,
    pub max_rss_kib: Option<i64>,
    pub output_bytes: Option<i64>,
    /// Its standard error is apart.
    pub is_split: bool,
    pub stderr_bytes: Option<i64>,
}

impl AttemptView {
    /// Returns how long its process ran; `None` if there was none, or it still runs.
    pub fn duration(&self) -> Option<Span> {
        Some(self.finished_at?.since(self.started_at?))
    }
}

/// Conditions for runs, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    pub job: Option<JobId>,
    /// One of these. Empty: any, or none yet.
    pub outcomes: Vec<Outcome>,
    /// Made at or after this instant.
    pub since: Option<Timestamp>,
    pub unfinished: bool,
    /// Leaves callbacks out.
    pub no_callbacks: bool,
    /// Made after the run in this place, see `newest_run`.
    pub after: Option<i64>,
    pub queue: Option<QueueName>,
    /// The job has this tag.
    pub tag: Option<Tag>,
    pub limit: Option<usize>,
}

const COLUMNS: &str = "run.job_id, run.number, job.name, run.attempt, run.trigger, run.scheduled_at,
    run.fires, run.queue, run.state, run.held, run.queued_at, run.stop_at, run.pid, run.started_at,
    run.finished_at, run.outcome, run.exit_code, run.signal,
    iif(run.outcome = 'spawn_failed', shown_text('run.cause', run.job_id, run.number, run.cause), run.cause),
    run.user_us, run.system_us,
    run.max_rss_kib, run.output_bytes, run.is_unattended, run.not_before,
    run.awaits > 0, run.after_runs, run.array_id, run.array_index,
    run.is_output_pruned, run.callback IS NOT NULL, run.parent_number,
    run.state = 'running' AND run.paused_at IS NOT NULL,
    shown_text('run.result', run.job_id, run.number, run.result), run.is_split, run.stderr_bytes,
    run.share, run.executor, run.host,
    (SELECT since FROM unreachable WHERE state <> 'finished' AND executor = run.executor AND host = run.host),
    (SELECT cause FROM unreachable WHERE state <> 'finished' AND executor = run.executor AND host = run.host),
    (SELECT shown('item.data', item.job_id, item.array_index, data) FROM item
        WHERE item.job_id = run.job_id AND item.array_index = run.array_index)";

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
        retry_at: row.get(24)?,
        blocked: row.get(25)?,
        after_runs: row.get(26)?,
        array: row.get(27)?,
        index: row.get(28)?,
        output_pruned: row.get(29)?,
        parent: parent(row, 30)?,
        paused: row.get(32)?,
        result: row.get(33)?,
        is_split: row.get(34)?,
        stderr_bytes: row.get(35)?,
        share: codec::share(row, 36)?,
        far: far(row, 37)?,
        item: row.get(41)?,
    })
}

/// Reads where a run is from four columns that start at `first`.
fn far(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<FarView>> {
    if row.get::<_, Option<String>>(first)?.is_none() {
        return Ok(None);
    }
    let since: Option<Timestamp> = row.get(first + 2)?;
    let cause: Option<String> = row.get(first + 3)?;
    let unreachable = since.zip(cause).map(|(since, cause)| Unreachable { since, cause });
    Ok(Some(FarView { place: codec::place(row, first)?, unreachable }))
}

/// Reads the run that a callback follows from two columns that start at `first`.
fn parent(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<String>> {
    let (is_callback, number): (bool, Option<i64>) = (row.get(first)?, row.get(first + 1)?);
    let job: JobId = row.get(0)?;
    let name = number.map_or_else(|| job.to_string(), |number| RunId { job, number }.to_string());
    Ok(is_callback.then_some(name))
}

impl Reader<'_> {
    /// Returns the outcomes of the latest `limit` finished runs of a job, the newest first, without
    /// callbacks.
    pub fn last_outcomes(&self, job: JobId, limit: usize) -> StoreResult<Vec<Outcome>> {
        self.all(
            "SELECT outcome FROM run WHERE job_id = ?1 AND state = 'finished' AND callback IS NULL
             ORDER BY number DESC LIMIT ?2",
            params![job, i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| row.get(0),
        )
    }

    /// Returns a run, if there is one.
    pub fn run(&self, run: RunId) -> StoreResult<Option<RunView>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM run JOIN job ON job.id = run.job_id
             WHERE run.job_id = ?1 AND run.number = ?2"
        );
        self.first(&sql, params![run.job, run.number], view)
    }

    /// Returns the number of the latest run of a job; 0 if there is none.
    pub fn latest_run(&self, job: JobId) -> StoreResult<i64> {
        self.one("SELECT coalesce(max(number), 0) FROM run WHERE job_id = ?1", [job], |row| row.get(0))
    }

    /// Returns runs, the latest first.
    pub fn runs(&self, filter: &RunFilter) -> StoreResult<Vec<RunView>> {
        self.merged(&filter.by_outcome(), filter.limit)
    }

    /// Returns the runs of several jobs, the latest first.
    pub fn runs_of(&self, jobs: &[JobId], filter: &RunFilter) -> StoreResult<Vec<RunView>> {
        let of = |job: &JobId| RunFilter { job: Some(*job), ..filter.clone() };
        let jobs: BTreeSet<&JobId> = jobs.iter().collect();
        self.merged(&jobs.into_iter().map(of).collect::<Vec<_>>(), filter.limit)
    }

    /// Returns the runs of filters that have none in common. Each filter is a query of its own, because an
    /// index has the order of the runs of one job, or of one outcome, but not of several.
    fn merged(&self, filters: &[RunFilter], limit: Option<usize>) -> StoreResult<Vec<RunView>> {
        let mut runs = Vec::new();
        for filter in filters {
            runs.append(&mut self.placed_runs(filter)?);
        }
        runs.sort_by_key(|(place, _)| Reverse(*place));
        runs.truncate(limit.unwrap_or(usize::MAX));
        Ok(runs.into_iter().map(|(_, run)| run).collect())
    }

    /// Returns runs, the latest first, each with its place in the order in which runs were made.
    fn placed_runs(&self, filter: &RunFilter) -> StoreResult<Vec<(i64, RunView)>> {
        // Within a job the order of the numbers is the same, and has an index.
        let order = if filter.job.is_some() { "run.number" } else { "run.id" };
        let limit = filter.limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        filter.select(|conditions, values| {
            let sql = format!(
                "SELECT {COLUMNS}, run.id FROM run JOIN job ON job.id = run.job_id
                 WHERE {conditions} ORDER BY {order} DESC LIMIT {limit}"
            );
            self.all(&sql, values.as_slice(), |row| Ok((row.get("id")?, view(row)?)))
        })
    }

    /// Returns the number of runs, with the indices that have none yet; ignores the limit.
    pub fn count_runs(&self, filter: &RunFilter) -> StoreResult<usize> {
        let runs = filter.select(|conditions, values| {
            let sql = format!("SELECT count(*) FROM run WHERE {conditions}");
            let count: i64 = self.one(&sql, values.as_slice(), |row| row.get(0))?;
            Ok(usize::try_from(count).unwrap_or(0))
        })?;
        Ok(runs + if filter.unfinished { self.count_rest(filter)? } else { 0 })
    }

    /// Returns whether there is such a run, or index that has none yet.
    pub fn has_runs(&self, filter: &RunFilter) -> StoreResult<bool> {
        let has_runs = filter.select(|conditions, values| {
            let sql = format!("SELECT 1 FROM run WHERE {conditions} LIMIT 1");
            self.has(&sql, values.as_slice())
        })?;
        Ok(has_runs || filter.unfinished && self.count_rest(filter)? > 0)
    }

    /// Returns the number of indices without a run.
    fn count_rest(&self, filter: &RunFilter) -> StoreResult<usize> {
        let count: i64 = self.one(
            "SELECT coalesce(sum(rest), 0) FROM array WHERE finished_at IS NULL
                AND (?1 IS NULL OR job_id = ?1) AND (?2 IS NULL OR queue = ?2)
                AND (?3 IS NULL OR job_id IN (SELECT job_id FROM tag WHERE tag = ?3))",
            params![
                filter.job,
                filter.queue.as_ref().map(QueueName::as_str),
                filter.tag.as_ref().map(Tag::as_str)
            ],
            |row| row.get(0),
        )?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Returns the place of the latest run in the order in which runs were made.
    pub fn newest_run(&self) -> StoreResult<i64> {
        self.one("SELECT coalesce(max(id), 0) FROM run", [], |row| row.get(0))
    }

    /// Returns an output of an attempt, if it is in the run log.
    pub fn output(&self, run: RunId, attempt: u32, kind: OutputKind) -> StoreResult<Option<Vec<u8>>> {
        let columns = match kind {
            OutputKind::Stdout => {
                ("opened('output.data', run_id, 0, data)", "opened('attempt.output', run_id, number, output)")
            }
            OutputKind::Stderr => (
                "opened('output.stderr', run_id, 0, stderr)",
                "opened('attempt.stderr', run_id, number, stderr)",
            ),
        };
        self.of_output(run, attempt, columns)
    }

    /// Returns the times of an output of an attempt, as the keeper stores them, if they are in the run log.
    pub fn output_times(&self, run: RunId, attempt: u32, kind: OutputKind) -> StoreResult<Option<Vec<u8>>> {
        let columns = match kind {
            OutputKind::Stdout => ("times", "output_times"),
            OutputKind::Stderr => ("stderr_times", "stderr_times"),
        };
        self.of_output(run, attempt, columns)
    }

    /// Returns the value of an expression in the table `output`, or, of an earlier attempt, in `attempt`.
    fn of_output(
        &self,
        run: RunId,
        attempt: u32,
        (of_latest, of_earlier): (&str, &str),
    ) -> StoreResult<Option<Vec<u8>>> {
        self.first(
            &format!(
                "SELECT iif(run.attempt = ?3, (SELECT {of_latest} FROM output WHERE run_id = run.id),
                    (SELECT {of_earlier} FROM attempt WHERE run_id = run.id AND number = ?3))
                 FROM run WHERE run.job_id = ?1 AND run.number = ?2"
            ),
            params![run.job, run.number, attempt],
            |row| row.get(0),
        )
        .map(Option::flatten)
    }

    /// Returns the attempts of a run that have started or ended, the first one first. `view`: the run.
    pub fn attempts(&self, view: &RunView) -> StoreResult<Vec<AttemptView>> {
        let mut attempts = self.all(
            "SELECT attempt.number, attempt.pid, attempt.started_at, attempt.finished_at, attempt.outcome,
                attempt.exit_code, attempt.signal, iif(attempt.outcome = 'spawn_failed',
                    shown_text('attempt.cause', run_id, attempt.number, attempt.cause), attempt.cause),
                attempt.user_us, attempt.system_us,
                attempt.max_rss_kib, attempt.output_bytes, attempt.is_split, attempt.stderr_bytes
             FROM attempt JOIN run ON run.id = attempt.run_id
             WHERE run.job_id = ?1 AND run.number = ?2 ORDER BY attempt.number",
            params![view.run.job, view.run.number],
            |row| {
                Ok(AttemptView {
                    number: row.get(0)?,
                    pid: row.get(1)?,
                    started_at: row.get(2)?,
                    finished_at: row.get(3)?,
                    outcome: row.get(4)?,
                    exit_code: row.get(5)?,
                    signal: row.get(6)?,
                    cause: row.get(7)?,
                    user: row.get(8)?,
                    system: row.get(9)?,
                    max_rss_kib: row.get(10)?,
                    output_bytes: row.get(11)?,
                    is_split: row.get(12)?,
                    stderr_bytes: row.get(13)?,
                })
            },
        )?;
        attempts.extend(view.present_attempt());
        Ok(attempts)
    }

    /// Returns one attempt of a run, if it has started or ended. `view`: the run.
    pub fn attempt(&self, view: &RunView, number: u32) -> StoreResult<Option<AttemptView>> {
        if number == view.attempt {
            return Ok(view.present_attempt());
        }
        Ok(self.attempts(view)?.into_iter().find(|attempt| attempt.number == number))
    }
}

/// Returns the condition for one of these outcomes, with a parameter for each.
///
/// The index on outcomes leaves `success` out, and is used only if the query does so too.
pub(super) fn outcome_condition(outcomes: &[Outcome]) -> String {
    let listed = format!("run.outcome IN ({})", vec!["?"; outcomes.len()].join(", "));
    match outcomes.contains(&Outcome::Success) {
        true => listed,
        false => format!("run.outcome <> 'success' AND {listed}"),
    }
}

impl RunFilter {
    /// Splits a filter for runs of all jobs into one for each outcome. A filter for successes stays whole:
    /// nearly every run is one.
    fn by_outcome(&self) -> Vec<Self> {
        if self.job.is_some() || self.outcomes.is_empty() || self.outcomes.contains(&Outcome::Success) {
            return vec![self.clone()];
        }
        let of = |outcome: &Outcome| Self { outcomes: vec![*outcome], ..self.clone() };
        self.outcomes.iter().map(of).collect()
    }

    /// Calls `make` with the conditions and the values of their parameters.
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
        let outcomes = outcome_condition(&filter.outcomes);
        if !filter.outcomes.is_empty() {
            conditions.push(&outcomes);
            values.extend(filter.outcomes.iter().map(|outcome| outcome as &dyn ToSql));
        }
        if let Some(since) = &filter.since {
            conditions.push("run.queued_at >= ?");
            values.push(since);
        }
        if filter.unfinished {
            // Of all jobs: the unfinished runs first, because `ORDER BY id` alone would read the whole run
            // log.
            conditions.push(match self.job {
                Some(_) => "run.state <> 'finished'",
                None => "run.id IN (SELECT id FROM run WHERE state <> 'finished')",
            });
        }
        if filter.no_callbacks {
            conditions.push("run.callback IS NULL");
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
