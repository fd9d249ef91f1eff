//! Owns: reading the run log for statistics, by indices.
//! Never: the statistics (see `engine::stats`).

use std::sync::LazyLock;

use rusqlite::{Row, params};

use super::codec::place_if_far;
use super::{Reader, StoreResult};
use crate::domain::{FarPlace, JobId, Span, Timestamp};
use crate::engine::stats::{RunSample, RunningWork, WaitingWork, Work};

/// `first_started_at` and `earlier` of most runs need no second look.
const SAMPLE: &str = "run.job_id, run.number, run.callback IS NOT NULL, run.queue, run.outcome, run.fires,
    run.scheduled_at, run.queued_at, iif(run.attempt > 1,
        (SELECT started_at FROM attempt WHERE run_id = run.id AND number = 1), run.started_at),
    run.started_at, run.finished_at, iif(run.attempt > 1,
        (SELECT coalesce(sum(max(finished_at - started_at, 0)), 0) FROM attempt WHERE run_id = run.id), 0),
    run.executor, run.host";

/// One row.
static AT: LazyLock<String> = LazyLock::new(|| format!("SELECT {SAMPLE} FROM run WHERE id = ?1"));

/// The runs of a queue that need nothing but a slot. The words of the conditions are those of the indices.
const WAITING: &str = "SELECT job_id, sum(runs), max(at_once) FROM (
        SELECT job_id, 1 AS runs, at_once FROM run WHERE queue = ?1
            AND state = 'queued' AND state <> 'finished' AND keeper IS NOT NULL AND callback IS NULL
        UNION ALL SELECT job_id, 1, at_once FROM run WHERE queue = ?1
            AND state = 'queued' AND keeper IS NULL AND held = 0 AND awaits = 0 AND callback IS NULL
        UNION ALL SELECT job_id, rest, at_once FROM array WHERE queue = ?1
            AND rest > 0 AND held = 0 AND awaits = 0)
     GROUP BY job_id";

/// The runs of a queue that have a process.
const RUNNING: &str = "SELECT job_id, started_at FROM run WHERE queue = ?1
        AND state = 'running' AND state <> 'finished' AND keeper IS NOT NULL AND callback IS NULL";

/// Rows of the run log that statistics read.
#[derive(Clone, Copy, Debug)]
pub enum Sampled<'a> {
    /// All of them.
    All,
    /// Those of these jobs, each named once.
    Of(&'a [JobId]),
    /// The newest, at most so many, the newest first.
    Newest(u32),
}

impl Sampled<'_> {
    fn sql(self) -> String {
        match self {
            Self::All => format!("SELECT {SAMPLE} FROM run WHERE id >= ?1 ORDER BY id"),
            Self::Newest(_) => format!("SELECT {SAMPLE} FROM run WHERE id >= ?1 ORDER BY id DESC LIMIT ?2"),
            // `+`: by the index of the job's numbers, which has the ids too, and not by ids alone.
            Self::Of(_) => {
                format!("SELECT {SAMPLE} FROM run WHERE job_id = ?2 AND +id >= ?1 ORDER BY number")
            }
        }
    }
}

fn sample<'row>(row: &'row Row<'_>, place: Option<&'row FarPlace>) -> rusqlite::Result<RunSample<'row>> {
    Ok(RunSample {
        job: row.get(0)?,
        number: row.get(1)?,
        is_callback: row.get(2)?,
        queue: row.get_ref(3)?.as_str()?,
        outcome: row.get(4)?,
        fires: row.get::<_, i64>(5)?.cast_unsigned(),
        scheduled_at: row.get(6)?,
        queued_at: row.get(7)?,
        first_started_at: row.get(8)?,
        started_at: row.get(9)?,
        finished_at: row.get(10)?,
        earlier: row.get(11)?,
        place,
    })
}

impl Reader<'_> {
    /// Passes the rows from a place in the order in which runs were made on to `look`.
    pub fn samples(
        &self,
        which: Sampled<'_>,
        from: i64,
        mut look: impl FnMut(&RunSample<'_>),
    ) -> StoreResult<()> {
        let sql = which.sql();
        match which {
            Sampled::All => self.each_sample(&sql, params![from], &mut look),
            Sampled::Newest(limit) => self.each_sample(&sql, params![from, limit], &mut look),
            Sampled::Of(jobs) => {
                jobs.iter().try_for_each(|job| self.each_sample(&sql, params![from, job], &mut look))
            }
        }
    }

    /// Passes the row at a place on to `look`.
    pub(super) fn sample_at(&self, place: i64, mut look: impl FnMut(&RunSample<'_>)) -> StoreResult<()> {
        self.each_sample(&AT, [place], &mut look)
    }

    fn each_sample(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        look: &mut impl FnMut(&RunSample<'_>),
    ) -> StoreResult<()> {
        let mut statement = self.transaction.prepare_cached(sql)?;
        let mut rows = statement.query(values)?;
        while let Some(row) = rows.next()? {
            let place = place_if_far(row, 12)?;
            look(&sample(row, place.as_ref())?);
        }
        Ok(())
    }

    /// Returns a place in the order in which runs were made, before which no run was queued at or after
    /// `since`.
    ///
    /// There is no index on times. Ids ascend with the time at which a row was made, so bisection finds the
    /// place. A row of an array is made later than it was queued, at the latest when it was claimed or
    /// ended.
    pub fn place_of(&self, since: Timestamp) -> StoreResult<i64> {
        let (mut before, mut end) = (0, self.newest_run()? + 1);
        while before + 1 < end {
            let middle = before + (end - before) / 2;
            let found: Option<(i64, bool)> = self.first(
                "SELECT id,
                    coalesce(iif(array_id IS NULL, queued_at, coalesce(claimed_at, finished_at)) >= ?2, 1)
                 FROM run WHERE id >= ?1 ORDER BY id LIMIT 1",
                params![middle, since],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            match found {
                Some((id, false)) => before = id,
                Some((_, true)) | None => end = middle,
            }
        }
        Ok(end)
    }

    /// Returns when the first run in the run log was queued: of these jobs, or of all if there are none.
    pub fn first_queued_at(&self, jobs: &[JobId]) -> StoreResult<Option<Timestamp>> {
        if jobs.is_empty() {
            return self.first("SELECT queued_at FROM run ORDER BY id LIMIT 1", [], |row| row.get(0));
        }
        let mut first: Option<Timestamp> = None;
        for job in jobs {
            let sql = "SELECT queued_at FROM run WHERE job_id = ?1 ORDER BY number LIMIT 1";
            let of_job = self.first(sql, [job], |row| row.get(0))?;
            first = first.into_iter().chain(of_job).min();
        }
        Ok(first)
    }

    /// Returns the number of the last run of a job before this one, 0 if there is none in the run log.
    pub fn number_before(&self, job: JobId, number: i64) -> StoreResult<i64> {
        let sql = "SELECT coalesce(max(number), 0) FROM run WHERE job_id = ?1 AND number < ?2";
        self.one(sql, params![job, number], |row| row.get(0))
    }

    /// Returns the jobs whose priority is not 0, with it.
    pub fn priorities(&self) -> StoreResult<Vec<(JobId, i64)>> {
        self.all("SELECT id, priority FROM job WHERE priority <> 0", [], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Returns the runs of a queue that have a process, or that need nothing but a slot, without callbacks.
    /// Empty `jobs`: of all jobs.
    pub fn work(&self, queue: &str, jobs: &[JobId], now: Timestamp) -> StoreResult<Work> {
        let is_meant = |job: &JobId| jobs.is_empty() || jobs.contains(job);
        let waiting = self.all(WAITING, [queue], |row| {
            let count = row.get::<_, i64>(1)?.cast_unsigned();
            Ok(WaitingWork { job: row.get(0)?, count, at_once: row.get(2)? })
        })?;
        let running = self.all(RUNNING, [queue], |row| {
            let started_at: Option<Timestamp> = row.get(1)?;
            let elapsed = started_at.map_or(Span::ZERO, |at| now.since(at));
            Ok(RunningWork { job: row.get(0)?, elapsed })
        })?;
        Ok(Work {
            waiting: waiting.into_iter().filter(|work| is_meant(&work.job)).collect(),
            running: running.into_iter().filter(|work| is_meant(&work.job)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema::query_plan;

    #[test]
    fn samples_are_searched_for_by_an_index() {
        let by_id = "SEARCH run USING INTEGER PRIMARY KEY (rowid>?)\n";
        let by_job = "SEARCH run USING INDEX run_number (job_id=?)\n";
        for (which, search) in
            [(Sampled::All, by_id), (Sampled::Newest(9), by_id), (Sampled::Of(&[]), by_job)]
        {
            let plan = query_plan(&which.sql());
            assert!(plan.starts_with(search) && !plan.contains("SCAN") && !plan.contains("TEMP"), "{plan}");
        }
        assert!(query_plan(&AT).starts_with("SEARCH run USING INTEGER PRIMARY KEY (rowid=?)\n"));
        for sql in [WAITING, RUNNING] {
            let plan = query_plan(sql);
            let is_search =
                |line: &str| !line.contains(" run ") || line.starts_with("SEARCH run USING INDEX run_");
            assert!(plan.lines().all(is_search), "{plan}");
        }
    }
}
