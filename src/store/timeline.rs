//! Owns: reading the runs of a window of time, by indices.
//! Never: what the picture shows of them (see `cli::view::timeline`).

use std::collections::HashMap;

use rusqlite::{Row, params};

use super::codec::command;
use super::{Reader, StoreResult};
use crate::domain::{CommandLine, JobId, Outcome, RunId, RunState, Timestamp};

/// There is no index on the ends of runs, which each commit would pay for. A run that began before the window
/// and ended in it is found among so many runs that were made before the window. Ids ascend with the time at
/// which runs were made.
const LOOK_BACK: usize = 50_000;

/// The latest run that can be found.
const NEWEST: i64 = i64::MAX;

/// A run that was made, under way or due in a window of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineRun {
    pub run: RunId,
    /// Its place in the order in which runs were made.
    place: i64,
    pub attempt: u32,
    /// Of an array.
    pub index: Option<u32>,
    pub state: RunState,
    pub outcome: Option<Outcome>,
    /// The number of fires that it stands for, at least 1.
    pub fires: u64,
    pub unattended: bool,
    pub scheduled_at: Timestamp,
    pub queued_at: Timestamp,
    /// Of the latest attempt.
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub earlier: Vec<EarlierAttempt>,
}

/// An attempt that was followed by another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlierAttempt {
    pub number: u32,
    pub outcome: Outcome,
    /// `None`: it had no process.
    pub started_at: Option<Timestamp>,
    pub finished_at: Timestamp,
}

/// The indices of an array that have no run yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingIndices {
    pub job: JobId,
    pub queued_at: Timestamp,
    pub count: u64,
}

/// The name and the command of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobLabel {
    pub name: Option<String>,
    pub command: CommandLine,
}

/// The runs of which time, and of which jobs.
#[derive(Clone, Copy, Debug)]
pub struct TimelineFilter<'a> {
    pub since: Timestamp,
    /// After `since`.
    pub until: Timestamp,
    pub now: Timestamp,
    /// Each named once. Empty: all jobs.
    pub jobs: &'a [JobId],
}

const COLUMNS: &str = "run.id, run.finished_at, run.job_id, run.number, run.attempt, run.array_index,
    run.state, run.outcome, run.fires, run.is_unattended, run.scheduled_at, run.queued_at, run.started_at";

/// The rows of a window, of all jobs, or of the job `?2`.
#[derive(Clone, Copy, Debug)]
enum Rows {
    /// Those that were made before the place `?1`, the latest first.
    Made,
    /// The unfinished ones of these.
    Unfinished,
    /// Fires that were found at the place `?1` or later, missed or skipped.
    FoundLater,
}

impl Rows {
    fn sql(self, is_of_job: bool) -> String {
        // `+`: not by this column. A job's numbers have an index, which has the ids too; the few unfinished
        // or missed runs are searched for by theirs.
        let (condition, job, order) = match (self, is_of_job) {
            (Self::Made, false) => ("run.id < ?1", "", "run.id DESC"),
            (Self::Made, true) => ("+run.id < ?1", "run.job_id = ?2", "run.number DESC"),
            (Self::Unfinished, _) => {
                ("run.state <> 'finished' AND +run.id < ?1", "+run.job_id = ?2", "+run.id DESC")
            }
            (Self::FoundLater, _) => (
                "run.outcome IN ('missed', 'skipped') AND run.outcome <> 'success' AND run.id >= ?1",
                "+run.job_id = ?2",
                "+run.id DESC",
            ),
        };
        let job = if is_of_job { format!(" AND {job}") } else { String::new() };
        format!("SELECT {COLUMNS} FROM run WHERE {condition}{job} ORDER BY {order}")
    }
}

/// Reads a row, of which the first two columns were read.
fn view(row: &Row<'_>, place: i64, finished_at: Option<Timestamp>) -> rusqlite::Result<TimelineRun> {
    Ok(TimelineRun {
        run: RunId { job: row.get(2)?, number: row.get(3)? },
        place,
        attempt: row.get(4)?,
        index: row.get(5)?,
        state: row.get(6)?,
        outcome: row.get(7)?,
        fires: row.get::<_, i64>(8)?.cast_unsigned(),
        unattended: row.get(9)?,
        scheduled_at: row.get(10)?,
        queued_at: row.get(11)?,
        started_at: row.get(12)?,
        finished_at,
        earlier: Vec::new(),
    })
}

impl Reader<'_> {
    /// Passes the runs that may have been under way or due in a window to `look`, in no order. Some of them
    /// may have nothing in it.
    pub fn timeline(
        &self,
        filter: &TimelineFilter<'_>,
        mut look: impl FnMut(TimelineRun),
    ) -> StoreResult<()> {
        let first = self.place_of(filter.since)?;
        // What is made from now on is not made yet.
        let end = if filter.until > filter.now { NEWEST } else { self.place_of(filter.until)? };
        // They are passed once their earlier attempts are known.
        let mut retried = Vec::new();
        let mut sort = |run: TimelineRun| if run.attempt > 1 { retried.push(run) } else { look(run) };
        let each = filter.jobs.iter().copied().map(Some);
        let all = filter.jobs.is_empty().then_some(None);
        for job in each.chain(all) {
            self.each_run(filter, (first, end), job, &mut sort)?;
        }
        self.add_attempts(filter.since, &mut retried)?;
        retried.into_iter().for_each(look);
        Ok(())
    }

    fn each_run(
        &self,
        filter: &TimelineFilter<'_>,
        (first, end): (i64, i64),
        job: Option<JobId>,
        look: &mut impl FnMut(TimelineRun),
    ) -> StoreResult<()> {
        let mut looked_back = 0;
        let mut reached = first;
        self.each_row(Rows::Made, end, job, |row| {
            let (place, finished_at): (i64, Option<Timestamp>) = (row.get(0)?, row.get(1)?);
            reached = reached.min(place);
            looked_back += usize::from(place < first);
            if finished_at.is_none_or(|at| at >= filter.since) {
                look(view(row, place, finished_at)?);
            }
            Ok(looked_back < LOOK_BACK)
        })?;
        let mut look_at = |row: &Row<'_>| {
            look(view(row, row.get(0)?, row.get(1)?)?);
            Ok(true)
        };
        self.each_row(Rows::Unfinished, end.min(reached), job, &mut look_at)?;
        if end < NEWEST {
            self.each_row(Rows::FoundLater, end, job, &mut look_at)?;
        }
        Ok(())
    }

    /// Passes rows to `look` until that returns `false`.
    fn each_row(
        &self,
        rows: Rows,
        place: i64,
        job: Option<JobId>,
        mut look: impl FnMut(&Row<'_>) -> rusqlite::Result<bool>,
    ) -> StoreResult<()> {
        let mut statement = self.transaction.prepare_cached(&rows.sql(job.is_some()))?;
        let mut rows = match job {
            Some(job) => statement.query(params![place, job])?,
            None => statement.query(params![place])?,
        };
        while let Some(row) = rows.next()? {
            if !look(row)? {
                break;
            }
        }
        Ok(())
    }

    /// Adds the earlier attempts of runs that ended at or after `since`.
    fn add_attempts(&self, since: Timestamp, runs: &mut [TimelineRun]) -> StoreResult<()> {
        let places = runs.iter().enumerate().map(|(index, run)| (run.place, index));
        let retried: HashMap<i64, usize> = places.collect();
        let Some(first) = retried.keys().min() else { return Ok(()) };
        let mut statement = self.transaction.prepare_cached(ATTEMPTS)?;
        let mut rows = statement.query(params![first])?;
        while let Some(row) = rows.next()? {
            let finished_at: Timestamp = row.get(1)?;
            if finished_at < since {
                continue;
            }
            if let Some(index) = retried.get(&row.get::<_, i64>(0)?) {
                let (number, outcome, started_at) = (row.get(2)?, row.get(3)?, row.get(4)?);
                runs[*index].earlier.push(EarlierAttempt { number, outcome, started_at, finished_at });
            }
        }
        Ok(())
    }

    /// Returns the indices without a run of unfinished arrays.
    pub fn waiting_indices(&self) -> StoreResult<Vec<WaitingIndices>> {
        self.all(WAITING, [], |row| {
            let count = row.get::<_, i64>(2)?.cast_unsigned();
            Ok(WaitingIndices { job: row.get(0)?, queued_at: row.get(1)?, count })
        })
    }

    /// Returns the names and commands of jobs, in the same order, without those that are gone. `jobs`:
    /// ascending.
    pub fn job_labels(&self, jobs: &[JobId]) -> StoreResult<Vec<(JobId, JobLabel)>> {
        let mut labels = Vec::with_capacity(jobs.len());
        let (Some(first), Some(last)) = (jobs.first(), jobs.last()) else { return Ok(labels) };
        // One search for each is slower than a pass over a range of which most are wanted.
        let is_dense = (last.0 - first.0) / 4 < jobs.len() as i64;
        let searches = if is_dense { vec![(first, last)] } else { jobs.iter().zip(jobs).collect() };
        let mut wanted = jobs.iter().peekable();
        let mut statement = self.transaction.prepare_cached(LABELS)?;
        for (from, to) in searches {
            let mut rows = statement.query(params![from, to])?;
            while let Some(row) = rows.next()? {
                let id: JobId = row.get(0)?;
                while wanted.next_if(|job| **job < id).is_some() {}
                if wanted.next_if_eq(&&id).is_some() {
                    labels.push((id, JobLabel { name: row.get(1)?, command: command(row, 2)? }));
                }
            }
        }
        Ok(labels)
    }
}

const ATTEMPTS: &str = "SELECT run_id, finished_at, number, outcome, started_at FROM attempt
    WHERE run_id >= ?1 ORDER BY run_id, number";

const WAITING: &str =
    "SELECT job_id, queued_at, rest FROM array WHERE finished_at IS NULL AND rest > 0 ORDER BY job_id, id";

const LABELS: &str = "SELECT id, name, shown('job.command', job.id, 0, job.command), is_script FROM job
    WHERE id BETWEEN ?1 AND ?2 ORDER BY id";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema::query_plan;

    #[test]
    fn the_runs_of_a_window_are_searched_for_by_an_index() {
        let by_id = "SEARCH run USING INTEGER PRIMARY KEY (rowid<?)\n";
        let by_number = "SEARCH run USING INDEX run_number (job_id=?)\n";
        let unsuccessful = "SEARCH run USING INDEX run_unsuccessful (outcome=? AND id>?)\n";
        for (sql, search) in [
            (Rows::Made.sql(false), by_id),
            (Rows::Made.sql(true), by_number),
            (Rows::FoundLater.sql(false), unsuccessful),
            (Rows::FoundLater.sql(true), unsuccessful),
        ] {
            let plan = query_plan(&sql);
            assert!(plan.starts_with(search), "{sql}: {plan}");
        }
        for is_of_job in [false, true] {
            let plan = query_plan(&Rows::Unfinished.sql(is_of_job));
            assert!(plan.starts_with("SCAN run USING INDEX run_"), "of the few that are unfinished: {plan}");
        }
        assert_eq!(query_plan(ATTEMPTS), "SEARCH attempt USING PRIMARY KEY (run_id>?)\n");
        assert_eq!(query_plan(LABELS), "SEARCH job USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)\n");
        assert!(
            query_plan(WAITING).starts_with("SCAN array USING INDEX array_unfinished"),
            "{}",
            query_plan(WAITING)
        );
    }
}
