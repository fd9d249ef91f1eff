//! Owns: the dependencies of jobs, and the fires that wait because of them.
//! Never: deciding whether a fire may start (see `engine`).

use rusqlite::params;

use super::codec::event_column;
use super::{Reader, StoreResult, Writer};
use crate::domain::{
    ArrayId, Dependency, EventSource, FireId, JobId, JobKey, JobName, JobPattern, Outcome, RunId, Timestamp,
};
use crate::engine::{Awaited, AwaitedFire, AwaitingFire};

/// How many waiting fires one step looks at.
const AWAITING_MAX: usize = 1_000;

impl Reader<'_> {
    /// Returns the dependencies of a job, in the order in which they were given.
    pub fn dependencies(&self, job: JobId) -> StoreResult<Vec<Dependency>> {
        self.all(
            "SELECT on_id, on_name, condition, gives_stdin FROM dependency WHERE job_id = ?1 ORDER BY place",
            [job],
            |row| {
                let (id, name): (Option<JobId>, Option<JobName>) = (row.get(0)?, row.get(1)?);
                let on = id.map(JobKey::Id).or(name.map(JobKey::Name)).expect("the schema checks it");
                Ok(Dependency { on, condition: row.get(2)?, gives_stdin: row.get(3)? })
            },
        )
    }

    /// Returns the living jobs that name a job by its id or by `name`, other than itself.
    pub fn dependents(&self, job: JobId, name: Option<&JobName>) -> StoreResult<Vec<JobId>> {
        self.all(
            "SELECT id FROM job WHERE done_at IS NULL AND id <> ?1 AND id IN (
                SELECT job_id FROM dependency WHERE on_id = ?1
                UNION SELECT job_id FROM dependency WHERE on_name = ?2
                UNION SELECT job_id FROM trigger WHERE kind = 'job' AND listens IS NOT NULL AND listens = 1
                    AND event_key IN (?3, ?2)) ORDER BY id",
            params![job, name.map(JobName::as_str), job.to_string()],
            |row| row.get(0),
        )
    }

    /// Returns whether a dependency names `name`.
    pub fn is_depended_on(&self, name: &JobName) -> StoreResult<bool> {
        self.has("SELECT 1 FROM dependency WHERE on_name = ?1", [name.as_str()])
    }

    /// Returns the fires whose dependencies may have been decided, the oldest first.
    pub(super) fn awaiting_fires(&self) -> StoreResult<Vec<AwaitingFire>> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT run.job_id, run.number, NULL, run.scheduled_at, job.after_any
             FROM run JOIN job ON job.id = run.job_id WHERE run.awaits = 2
             UNION ALL SELECT array.job_id, NULL, array.id, array.scheduled_at, job.after_any
             FROM array JOIN job ON job.id = array.job_id WHERE array.awaits = 2",
        )?;
        let mut rows = statement.query([])?;
        let mut awaiting = Vec::new();
        while let Some(row) = rows.next()?.filter(|_| awaiting.len() < AWAITING_MAX) {
            let job: JobId = row.get(0)?;
            let scheduled_at: Timestamp = row.get(3)?;
            let awaited = |dependency: Dependency| self.awaited(dependency, scheduled_at);
            awaiting.push(AwaitingFire {
                fire: fire_id(job, row.get(1)?, row.get(2)?),
                any: row.get(4)?,
                awaited: self.dependencies(job)?.into_iter().map(awaited).collect::<StoreResult<_>>()?,
            });
        }
        Ok(awaiting)
    }

    /// Finds the fire that a dependency means for a fire that was due at `at`: the latest that was due by
    /// then, else the first.
    pub(super) fn awaited(&self, dependency: Dependency, at: Timestamp) -> StoreResult<Awaited> {
        let Some(job) = self.find_job(&dependency.on)? else {
            return Ok(Awaited { dependency, fire: AwaitedFire::NoJob });
        };
        let made = |sql: &str| {
            self.first(sql, params![job, at], |row| {
                let fire = fire_id(job, row.get(0)?, row.get(1)?);
                Ok(AwaitedFire::Made { fire, outcome: row.get(2)? })
            })
        };
        let found = match made(&fires_in_order("scheduled_at <= ?2", "DESC"))? {
            Some(found) => Some(found),
            None => made(&fires_in_order("scheduled_at > ?2", "ASC"))?,
        };
        let fire = match found {
            Some(found) => found,
            None => AwaitedFire::NotMade { will_be: !self.is_done(job)? },
        };
        Ok(Awaited { dependency, fire })
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

fn fire_id(job: JobId, number: Option<i64>, array: Option<ArrayId>) -> FireId {
    match array {
        Some(array) => FireId::Array { job, array },
        None => FireId::Run(RunId { job, number: number.expect("a run has a number") }),
    }
}

/// Returns the query for the first fire of a job by time, in an order. The runs of an array are not fires. Of
/// fires at one instant, one that was skipped beside another is not meant.
fn fires_in_order(condition: &str, order: &str) -> String {
    format!(
        "SELECT number, array, outcome FROM (
            SELECT number, NULL AS array, outcome, scheduled_at AS at, 2 * id AS place FROM run
            WHERE job_id = ?1 AND {condition} AND array_id IS NULL AND trigger <> 'callback'
            UNION ALL SELECT NULL, id, outcome, scheduled_at, 2 * place + 1 FROM array
            WHERE job_id = ?1 AND {condition})
         ORDER BY at {order}, outcome IS 'skipped', place {order}, array {order} LIMIT 1"
    )
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
                "INSERT INTO dependency (job_id, place, on_id, on_name, condition, gives_stdin)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    job,
                    i64::try_from(place).unwrap_or(i64::MAX),
                    id,
                    name,
                    dependency.condition,
                    dependency.gives_stdin
                ],
            )?;
        }
        Ok(())
    }

    /// Lets dependencies and triggers that name a job follow it to its new name.
    pub fn rename_in_dependents(&self, old: &JobName, new: &JobName) -> StoreResult<()> {
        self.change(
            "UPDATE dependency SET on_name = ?2 WHERE on_name = ?1",
            params![old.as_str(), new.as_str()],
        )?;
        let named = self.listeners("trigger.kind = 'job' AND trigger.event_key = ?1", &[&old.as_str()])?;
        for mut listener in named {
            if let EventSource::Job(source) = &mut listener.event.source {
                source.jobs = JobPattern::One(JobKey::Name(new.clone()));
            }
            self.change(
                "UPDATE trigger SET event = ?2, event_key = ?3 WHERE id = ?1",
                params![listener.trigger.0, event_column(&listener.event), listener.event.key()],
            )?;
        }
        Ok(())
    }

    /// Lets the waiting fires of a job that have not begun wait for its present dependencies.
    pub(super) fn await_again(&self, job: JobId) -> StoreResult<()> {
        self.change(
            "UPDATE run SET awaits = iif(EXISTS (SELECT 1 FROM dependency WHERE job_id = ?1), 2, 0)
             WHERE job_id = ?1 AND state = 'queued' AND state <> 'finished' AND keeper IS NULL
                AND attempt = 1 AND array_id IS NULL",
            [job],
        )?;
        self.change(
            "UPDATE array SET awaits = iif(EXISTS (SELECT 1 FROM dependency WHERE job_id = ?1), 2, 0)
             WHERE job_id = ?1 AND finished_at IS NULL AND rest = total",
            [job],
        )
    }

    /// Lets the next step look at the fires that wait for a job.
    pub(super) fn wake_dependents(&self, job: JobId) -> StoreResult<()> {
        const DEPENDENTS: &str = "(SELECT job_id FROM dependency WHERE on_id = ?1
            UNION ALL SELECT job_id FROM dependency WHERE on_name = (SELECT name FROM job WHERE id = ?1))";
        for (table, is_open) in [("run", "state <> 'finished'"), ("array", "finished_at IS NULL")] {
            let sql = format!(
                "UPDATE {table} SET awaits = 2 WHERE awaits = 1 AND {is_open} AND job_id IN {DEPENDENTS}"
            );
            self.change(&sql, [job])?;
        }
        Ok(())
    }

    /// Lets a fire wait for a slot: it has waited for these.
    pub(super) fn release(&self, fire: FireId, after: &[FireId]) -> StoreResult<()> {
        let names: Vec<String> = after.iter().map(ToString::to_string).collect();
        self.set_awaits(fire, 0, Some(&names.join(" ")))
    }

    /// Lets a fire wait on, until a run that it waits for ends.
    pub(super) fn keep_awaiting(&self, fire: FireId) -> StoreResult<()> {
        self.set_awaits(fire, 1, None)
    }

    fn set_awaits(&self, fire: FireId, awaits: u8, after_runs: Option<&str>) -> StoreResult<()> {
        match fire {
            FireId::Run(run) => self.change(
                "UPDATE run SET awaits = ?3, after_runs = ?4 WHERE job_id = ?1 AND number = ?2",
                params![run.job, run.number, awaits, after_runs],
            ),
            FireId::Array { array, .. } => self.change(
                "UPDATE array SET awaits = ?2, after_runs = ?3 WHERE id = ?1",
                params![array, awaits, after_runs],
            ),
        }
    }

    /// Ends a fire that can never start.
    pub(super) fn bar(&self, fire: FireId, why: &str, now: Timestamp) -> StoreResult<()> {
        match fire {
            FireId::Run(run) => self.finish(run, Outcome::Skipped, Some(why), now),
            FireId::Array { array, .. } => {
                self.drop_indices(array, (0, u32::MAX), (Outcome::Skipped, Some(why)), now)?;
                self.finish_array(array, Outcome::Skipped, now)
            }
        }
    }
}
