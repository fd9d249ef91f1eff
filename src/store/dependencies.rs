//! Owns: the dependencies of jobs, and the runs that wait because of them.
//! Never: deciding whether a run may start (see `engine`).

use rusqlite::params;

use super::{Reader, StoreResult, Writer};
use crate::domain::{AfterCondition, Dependency, JobId, JobKey, JobName, RunId, Timestamp};
use crate::engine::{Awaited, AwaitedRun, AwaitingRun};

/// How many waiting runs one step looks at.
const AWAITING_MAX: usize = 1_000;

impl Reader<'_> {
    /// Returns the dependencies of a job, in the order in which they were given.
    pub fn dependencies(&self, job: JobId) -> StoreResult<Vec<Dependency>> {
        self.all(
            "SELECT on_id, on_name, condition FROM dependency WHERE job_id = ?1 ORDER BY place",
            [job],
            |row| {
                let (id, name): (Option<JobId>, Option<JobName>) = (row.get(0)?, row.get(1)?);
                let on = id.map(JobKey::Id).or(name.map(JobKey::Name)).expect("the schema checks it");
                Ok(Dependency { on, condition: row.get::<_, AfterCondition>(2)? })
            },
        )
    }

    /// Returns the living jobs that name a job by its id or by `name`, other than itself.
    pub fn dependents(&self, job: JobId, name: Option<&JobName>) -> StoreResult<Vec<JobId>> {
        self.all(
            "SELECT id FROM job WHERE done_at IS NULL AND id <> ?1 AND id IN (
                SELECT job_id FROM dependency WHERE on_id = ?1
                UNION SELECT job_id FROM dependency WHERE on_name = ?2) ORDER BY id",
            params![job, name.map(JobName::as_str)],
            |row| row.get(0),
        )
    }

    /// Returns whether a dependency names `name`.
    pub fn is_depended_on(&self, name: &JobName) -> StoreResult<bool> {
        self.has("SELECT 1 FROM dependency WHERE on_name = ?1", [name.as_str()])
    }

    /// Returns the runs whose dependencies may have been decided, the oldest first.
    pub(super) fn awaiting_runs(&self) -> StoreResult<Vec<AwaitingRun>> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT run.job_id, run.number, run.scheduled_at, job.after_any
             FROM run JOIN job ON job.id = run.job_id WHERE run.awaits = 2 ORDER BY run.id",
        )?;
        let mut rows = statement.query([])?;
        let mut awaiting = Vec::new();
        while let Some(row) = rows.next()?.filter(|_| awaiting.len() < AWAITING_MAX) {
            let run = RunId { job: row.get(0)?, number: row.get(1)? };
            let scheduled_at: Timestamp = row.get(2)?;
            let awaited = |dependency: Dependency| self.awaited(dependency, scheduled_at);
            awaiting.push(AwaitingRun {
                run,
                any: row.get(3)?,
                awaited: self.dependencies(run.job)?.into_iter().map(awaited).collect::<StoreResult<_>>()?,
            });
        }
        Ok(awaiting)
    }

    /// Finds the run that a dependency means for a run that was due at `at`: the latest that was due by then,
    /// else the first.
    fn awaited(&self, dependency: Dependency, at: Timestamp) -> StoreResult<Awaited> {
        let Some(job) = self.find_job(&dependency.on)? else {
            return Ok(Awaited { dependency, run: AwaitedRun::NoJob });
        };
        let by_then = self.first(
            "SELECT number, outcome FROM run
             WHERE job_id = ?1 AND scheduled_at <= ?2 AND trigger <> 'callback'
             ORDER BY scheduled_at DESC, number DESC LIMIT 1",
            params![job, at],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let found = match by_then {
            Some(found) => Some(found),
            None => self.first(
                "SELECT number, outcome FROM run WHERE job_id = ?1 AND trigger <> 'callback'
                 ORDER BY scheduled_at, number LIMIT 1",
                [job],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?,
        };
        let run = match found {
            Some((number, outcome)) => AwaitedRun::Made { run: RunId { job, number }, outcome },
            None => AwaitedRun::NotMade { will_be: !self.is_done(job)? },
        };
        Ok(Awaited { dependency, run })
    }

    /// Returns whether a dependency names a job by its id or its name.
    pub(super) fn has_dependents(&self, job: JobId) -> StoreResult<bool> {
        self.one(
            "SELECT EXISTS (SELECT 1 FROM dependency WHERE on_id = ?1)
                OR EXISTS (SELECT 1 FROM dependency WHERE on_name = (SELECT name FROM job WHERE id = ?1))",
            [job],
            |row| row.get(0),
        )
    }
}

impl Writer<'_> {
    /// Gives a job these dependencies in place of the ones it has.
    pub fn set_dependencies(&self, job: JobId, dependencies: &[Dependency]) -> StoreResult<()> {
        self.change("DELETE FROM dependency WHERE job_id = ?1", [job])?;
        for (place, dependency) in dependencies.iter().enumerate() {
            let (id, name) = match &dependency.on {
                JobKey::Id(id) => (Some(id), None),
                JobKey::Name(name) => (None, Some(name.as_str())),
            };
            self.change(
                "INSERT INTO dependency (job_id, place, on_id, on_name, condition)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![job, i64::try_from(place).unwrap_or(i64::MAX), id, name, dependency.condition],
            )?;
        }
        Ok(())
    }

    /// Lets dependencies that name a job follow it to its new name.
    pub fn rename_in_dependencies(&self, old: &JobName, new: &JobName) -> StoreResult<()> {
        self.change(
            "UPDATE dependency SET on_name = ?2 WHERE on_name = ?1",
            params![old.as_str(), new.as_str()],
        )
    }

    /// Lets the waiting runs of a job that have not begun wait for its present dependencies.
    pub(super) fn await_again(&self, job: JobId) -> StoreResult<()> {
        self.change(
            "UPDATE run SET awaits = iif(EXISTS (SELECT 1 FROM dependency WHERE job_id = ?1), 2, 0)
             WHERE job_id = ?1 AND state = 'queued' AND state <> 'finished' AND keeper IS NULL
                AND attempt = 1",
            [job],
        )
    }

    /// Lets the next step look at the runs that wait for a job.
    pub(super) fn wake_dependents(&self, job: JobId) -> StoreResult<()> {
        self.change(
            "UPDATE run SET awaits = 2 WHERE awaits = 1 AND state <> 'finished' AND job_id IN (
                SELECT job_id FROM dependency WHERE on_id = ?1
                UNION ALL SELECT job_id FROM dependency
                    WHERE on_name = (SELECT name FROM job WHERE id = ?1))",
            [job],
        )
    }

    /// Lets a run wait for a slot: it has waited for these runs.
    pub(super) fn release(&self, run: RunId, after: &[RunId]) -> StoreResult<()> {
        let names: Vec<String> = after.iter().map(ToString::to_string).collect();
        self.change(
            "UPDATE run SET awaits = 0, after_runs = ?3 WHERE job_id = ?1 AND number = ?2",
            params![run.job, run.number, names.join(" ")],
        )
    }

    /// Lets a run wait on, until a run that it waits for ends.
    pub(super) fn keep_awaiting(&self, run: RunId) -> StoreResult<()> {
        self.change(
            "UPDATE run SET awaits = 1 WHERE job_id = ?1 AND number = ?2",
            params![run.job, run.number],
        )
    }
}
