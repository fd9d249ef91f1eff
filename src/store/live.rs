//! Owns: reading what a live view shows: what runs, what waits, what fires next, what has just ended.
//! Never: cost that grows with the store: each query looks at a bounded number of rows.

use std::cell::RefCell;
use std::collections::HashSet;

use rusqlite::{Params, Row, params};

use super::codec::command;
use super::events::EventFilter;
use super::{Reader, RunView, StoreResult};
use crate::domain::{CommandLine, Happening, JobId, RunId, Timestamp};

/// A job in a live view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveJob {
    pub id: JobId,
    pub name: Option<String>,
    pub command: CommandLine,
    pub is_paused: bool,
    /// Not every fire of it has a run.
    pub has_nth: bool,
}

/// A job with its first coming fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveFire {
    pub job: LiveJob,
    pub at: Timestamp,
}

/// What waits for its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveWaiting {
    pub job: LiveJob,
    pub wait: LiveWait,
}

/// A run that waits, or the indices of an array that have no run yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveWait {
    Run(Box<RunView>),
    Indices { count: u64, queued_at: Timestamp },
}

/// Which jobs to show, and how many rows of each kind at most.
#[derive(Clone, Copy)]
pub struct LiveFilter<'a> {
    pub wants: &'a dyn Fn(&LiveJob) -> bool,
    pub rows_max: usize,
}

/// Of the latest events, so many are searched for ends. One transaction has at most one row of 500.
const EVENTS_MAX: usize = 2_000;

/// Of the rows of one query, so many are looked at for those that are wanted.
const LOOKS_MAX: usize = 20_000;

const COLUMNS: &str = "job.id, job.name, shown('job.command', job.id, 0, job.command), job.is_script,
    job.paused_at IS NOT NULL, job.nth IS NOT NULL";

fn job(row: &Row<'_>) -> rusqlite::Result<LiveJob> {
    Ok(LiveJob {
        id: row.get(0)?,
        name: row.get(1)?,
        command: command(row, 2)?,
        is_paused: row.get(4)?,
        has_nth: row.get(5)?,
    })
}

/// `+`: not by this column. The index of claimed runs has the few running ones.
fn running_sql() -> String {
    format!(
        "SELECT {COLUMNS}, run.number FROM run JOIN job ON job.id = run.job_id
         WHERE run.state = 'running' AND run.state <> 'finished' AND run.keeper IS NOT NULL
         ORDER BY run.started_at, run.id"
    )
}

fn coming_sql() -> String {
    format!(
        "SELECT {COLUMNS}, trigger.next_at FROM trigger JOIN job ON job.id = trigger.job_id
         WHERE trigger.held = 0 AND trigger.next_at IS NOT NULL ORDER BY trigger.next_at"
    )
}

/// Runs that wait for a slot: those that stand by in the keeper, and those of a queue with the same needs.
const STANDING_BY: &str = "run.state = 'queued' AND run.state <> 'finished' AND run.keeper IS NOT NULL
    ORDER BY run.rank, run.id";
const IN_QUEUE: &str = "run.queue = ?1 AND run.requirement_id = ?2 AND run.state = 'queued'
    AND run.keeper IS NULL AND run.held = 0 AND run.awaits = 0 ORDER BY run.rank, run.id";
const RETRYING: &str = "run.state = 'retrying' AND run.held = 0 ORDER BY run.not_before";
/// Runs that wait for those of other jobs. Only jobs with dependencies have them.
const BLOCKED: &str = "run.job_id IN (SELECT job_id FROM dependency) AND run.state <> 'finished'
    AND run.state = 'queued' AND run.keeper IS NULL AND run.held = 0 AND run.awaits > 0";

fn waiting_sql(condition: &str) -> String {
    format!(
        "SELECT {COLUMNS}, run.number, run.rank FROM run JOIN job ON job.id = run.job_id WHERE {condition}"
    )
}

fn indices_sql() -> String {
    format!(
        "SELECT {COLUMNS}, array.rest, array.queued_at, array.rank
         FROM array JOIN job ON job.id = array.job_id
         WHERE array.queue = ?1 AND array.rest > 0 AND array.held = 0 AND array.awaits = 0
         ORDER BY array.rank, array.place, array.id"
    )
}

/// Jobs that are paused, or that fire at events or after the end of a run.
///
/// `+`: by the triggers of a job, and not by all that are due.
fn timeless_sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM job WHERE done_at IS NULL
            AND EXISTS (SELECT 1 FROM trigger WHERE trigger.job_id = job.id)
            AND NOT EXISTS (SELECT 1 FROM trigger
                WHERE trigger.job_id = job.id AND +held = 0 AND +next_at IS NOT NULL)
         ORDER BY id"
    )
}

/// What waits of a job, before its run is read.
enum Place {
    Run(i64),
    Indices { count: u64, queued_at: Timestamp },
}

impl Reader<'_> {
    /// Returns the running runs, the one that started first before the others.
    pub fn live_running(&self, filter: LiveFilter<'_>) -> StoreResult<Vec<(LiveJob, RunView)>> {
        let rows = self.live_rows(&running_sql(), [], filter, |row| row.get(6))?;
        let mut running = Vec::with_capacity(rows.len());
        for (job, number) in rows {
            if let Some(view) = self.run(RunId { job: job.id, number })? {
                running.push((job, view));
            }
        }
        Ok(running)
    }

    /// Returns what waits for a slot, a resource, a gate, an attempt or another job, in about the order in
    /// which it may start. Not all of a long queue is looked at.
    pub fn live_waiting(&self, filter: LiveFilter<'_>) -> StoreResult<Vec<LiveWaiting>> {
        let place = |row: &Row<'_>| Ok((row.get::<_, i64>(6)?, row.get::<_, i64>(7)?));
        let mut rows: Vec<(i64, LiveJob, Place)> = Vec::new();
        let mut add = |found: Vec<(LiveJob, (i64, i64))>| {
            rows.extend(found.into_iter().map(|(job, (number, rank))| (rank, job, Place::Run(number))));
        };
        add(self.live_rows(&waiting_sql(STANDING_BY), [], filter, place)?);
        let queues = self.all("SELECT name FROM queue", [], |row| row.get::<_, String>(0))?;
        for queue in &queues {
            for kind in self.waiting_kinds(queue)? {
                add(self.live_rows(&waiting_sql(IN_QUEUE), params![queue, kind], filter, place)?);
            }
        }
        for queue in &queues {
            let of = |row: &Row<'_>| Ok((row.get(6)?, row.get(7)?, row.get::<_, i64>(8)?));
            let found = self.live_rows(&indices_sql(), params![queue], filter, of)?;
            rows.extend(found.into_iter().map(|(job, (count, queued_at, rank)): (_, (i64, _, _))| {
                (rank, job, Place::Indices { count: count.cast_unsigned(), queued_at })
            }));
        }
        rows.sort_by_key(|(rank, ..)| *rank);
        for later in [RETRYING, BLOCKED] {
            let found = self.live_rows(&waiting_sql(later), [], filter, place)?;
            rows.extend(found.into_iter().map(|(job, (number, _))| (0, job, Place::Run(number))));
        }
        rows.truncate(filter.rows_max);
        let mut waiting = Vec::with_capacity(rows.len());
        for (_, job, place) in rows {
            let wait = match place {
                Place::Indices { count, queued_at } => Some(LiveWait::Indices { count, queued_at }),
                Place::Run(number) => {
                    self.run(RunId { job: job.id, number })?.map(|run| LiveWait::Run(Box::new(run)))
                }
            };
            waiting.extend(wait.map(|wait| LiveWaiting { job, wait }));
        }
        Ok(waiting)
    }

    /// Returns the jobs that fire next, each once, the soonest first. With `--nth` the fire may be passed
    /// over.
    pub fn live_coming(&self, filter: LiveFilter<'_>) -> StoreResult<Vec<LiveFire>> {
        let seen = RefCell::new(HashSet::new());
        let wants = |job: &LiveJob| (filter.wants)(job) && seen.borrow_mut().insert(job.id);
        let rows =
            self.live_rows(&coming_sql(), [], LiveFilter { wants: &wants, ..filter }, |row| row.get(6))?;
        Ok(rows.into_iter().map(|(job, at)| LiveFire { job, at }).collect())
    }

    /// Returns living jobs with triggers of which none has a coming instant, in the order of their ids.
    pub fn live_timeless(&self, filter: LiveFilter<'_>) -> StoreResult<Vec<LiveJob>> {
        let rows = self.live_rows(&timeless_sql(), [], filter, |_| Ok(()))?;
        Ok(rows.into_iter().map(|(job, ())| job).collect())
    }

    /// Returns the runs that ended last, the latest first, by the record of events.
    pub fn live_ended(&self, filter: LiveFilter<'_>) -> StoreResult<Vec<(LiveJob, RunView)>> {
        let events = self.latest_events(&EventFilter::default(), EVENTS_MAX)?;
        let ends = events.into_iter().rev().filter_map(|event| {
            let what = event.what?;
            matches!(what, Happening::Finished { .. } | Happening::Passed { .. }).then(|| what.run())?
        });
        let sql = format!("SELECT {COLUMNS} FROM job WHERE id = ?1");
        let mut ended = Vec::new();
        for run in ends {
            if ended.len() == filter.rows_max {
                break;
            }
            // It may have been removed since.
            if let Some(of) = self.first(&sql, [run.job], job)?.filter(|job| (filter.wants)(job))
                && let Some(view) = self.run(run)?
            {
                ended.push((of, view));
            }
        }
        Ok(ended)
    }

    /// Reads rows that begin with the columns of a job until there are enough that are wanted.
    fn live_rows<T>(
        &self,
        sql: &str,
        values: impl Params,
        filter: LiveFilter<'_>,
        rest: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> StoreResult<Vec<(LiveJob, T)>> {
        let mut found = Vec::new();
        let mut statement = self.transaction.prepare_cached(sql)?;
        let mut rows = statement.query(values)?;
        let mut looked_at = 0;
        while found.len() < filter.rows_max
            && looked_at < LOOKS_MAX
            && let Some(row) = rows.next()?
        {
            looked_at += 1;
            let job = job(row)?;
            if (filter.wants)(&job) {
                found.push((job, rest(row)?));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema::query_plan;

    #[test]
    fn a_live_view_reads_by_indices() {
        let plan = query_plan(&running_sql());
        assert!(plan.starts_with("SCAN run USING INDEX run_claimed"), "the few that are claimed: {plan}");
        let plan = query_plan(&timeless_sql());
        assert_eq!(plan.matches("INDEX trigger_job (job_id=?)").count(), 2, "of one job each: {plan}");
        let plan = query_plan(&coming_sql());
        assert!(plan.starts_with("SEARCH trigger USING COVERING INDEX trigger_due (held=?"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "in the order of the index: {plan}");
        for (condition, index) in [
            (STANDING_BY, "SCAN run USING INDEX run_claimed"),
            (IN_QUEUE, "SEARCH run USING INDEX run_waiting (queue=? AND requirement_id=?)"),
            (RETRYING, "SCAN run USING INDEX run_retrying"),
            (BLOCKED, "SEARCH run USING INDEX run_unfinished (job_id=?)"),
        ] {
            let plan = query_plan(&waiting_sql(condition));
            assert!(plan.contains(index), "{condition}: {plan}");
        }
        let plan = query_plan(&indices_sql());
        assert!(plan.starts_with("SEARCH array USING INDEX array_waiting (queue=?)"), "{plan}");
        let plan = query_plan(&waiting_sql(IN_QUEUE));
        assert!(!plan.contains("TEMP B-TREE"), "in the order of the index: {plan}");
    }
}
