//! Owns: jobs and their triggers: adding, finding, pausing, cancelling.
//! Never: the progress of their runs (see `ends`).

use std::sync::LazyLock;

use rusqlite::{ToSql, params};
use serde::{Deserialize, Serialize};

use super::codec::{command, event_column, join};
use super::{Reader, StoreResult, Writer, definition};
use crate::domain::{
    CALLBACK_RANK, CommandLine, EventTrigger, FireId, Happening, JobId, JobKey, JobName, JobNote, NewJob,
    Outcome, PathMark, RunId, Span, Tag, Timestamp, TriggerId, TriggerKind, TriggerSpec, Word,
};
use crate::engine::NewRun;

/// A trigger to be stored with its job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstFire {
    pub spec: TriggerSpec,
    /// Its first fire; of an event trigger, the one that comes unless an event comes first.
    pub next_at: Option<Timestamp>,
    /// For `@reboot`: the current boot, in which it does not fire.
    pub boot_id: Option<String>,
    /// Of a path trigger: the files that are there already; `None`: the daemon looks at them first.
    pub marks: Option<Vec<(Vec<u8>, PathMark)>>,
}

/// How many of the latest jobs are searched for a request: more than can be added while a client waits for
/// its answer.
const REQUESTS_LOOKED_AT: i64 = 100_000;

impl Reader<'_> {
    /// Finds a job by id or name. A name finds the living job before one that is done, and its holder before
    /// one that gave it up.
    pub fn find_job(&self, key: &JobKey) -> StoreResult<Option<JobId>> {
        match key {
            JobKey::Id(id) => self.first("SELECT id FROM job WHERE id = ?1", [id], |row| row.get(0)),
            JobKey::Name(name) => self.first(
                "SELECT id FROM job WHERE name = ?1
                 ORDER BY done_at IS NOT NULL, holds_name DESC, id DESC LIMIT 1",
                [name.as_str()],
                |row| row.get(0),
            ),
        }
    }

    /// Returns the job that holds a name, and whether it still needs it: it has a coming fire, or a run that
    /// is not being stopped.
    pub fn name_holder(&self, name: &JobName) -> StoreResult<Option<(JobId, bool)>> {
        self.first(
            concat!(
                "SELECT id, EXISTS (SELECT 1 FROM run
                        WHERE job_id = job.id AND state <> 'finished' AND stop_at IS NULL)
                    OR EXISTS (SELECT 1 FROM array WHERE job_id = job.id AND rest > 0)
                    OR EXISTS (SELECT 1 FROM trigger WHERE job_id = job.id AND ",
                will_fire!(),
                ") FROM job WHERE name = ?1 AND iif(holds_name, 0, id) = 0"
            ),
            [name.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }

    /// Finds the job that a recent request has added.
    pub fn find_request(&self, request: i64) -> StoreResult<Option<JobId>> {
        // No index serves this. It is called only if a daemon did not answer, and reads only the latest jobs.
        self.first(
            "SELECT id FROM job WHERE id > (SELECT max(id) FROM job) - ?2 AND request = ?1",
            params![request, REQUESTS_LOOKED_AT],
            |row| row.get(0),
        )
    }

    /// Returns the name of a job; `None` if it has none, or there is no such job.
    pub fn job_name(&self, job: JobId) -> StoreResult<Option<JobName>> {
        self.first("SELECT name FROM job WHERE id = ?1", [job], |row| row.get(0)).map(Option::flatten)
    }

    /// Returns the name and the command of a job, if there is such a job.
    pub fn job_command(&self, job: JobId) -> StoreResult<Option<(Option<JobName>, CommandLine)>> {
        self.first(
            "SELECT name, shown('job.command', job.id, 0, job.command), is_script FROM job WHERE id = ?1",
            [job],
            |row| Ok((row.get(0)?, command(row, 1)?)),
        )
    }

    /// Returns the names of all jobs, sorted.
    pub fn names(&self) -> StoreResult<Vec<String>> {
        self.all("SELECT name FROM job WHERE name IS NOT NULL ORDER BY name", [], |row| row.get(0))
    }

    /// Returns how many jobs are not done.
    pub fn count_living_jobs(&self) -> StoreResult<usize> {
        let count: i64 = self.one("SELECT count(*) FROM job WHERE done_at IS NULL", [], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// Returns the unfinished runs of a job, oldest first, each with whether it is claimed.
    pub fn unfinished_runs(&self, job: JobId) -> StoreResult<Vec<(RunId, bool)>> {
        self.all(
            "SELECT number, keeper IS NOT NULL FROM run
             WHERE job_id = ?1 AND state <> 'finished' ORDER BY number",
            [job],
            |row| Ok((RunId { job, number: row.get(0)? }, row.get(1)?)),
        )
    }

    pub fn name_of(&self, job: JobId) -> StoreResult<Option<JobName>> {
        self.one("SELECT name FROM job WHERE id = ?1", [job], |row| row.get(0))
    }

    /// Returns whether a job will not fire again.
    pub fn is_done(&self, job: JobId) -> StoreResult<bool> {
        self.one("SELECT done_at IS NOT NULL FROM job WHERE id = ?1", [job], |row| row.get(0))
    }

    pub fn is_paused(&self, job: JobId) -> StoreResult<bool> {
        self.one("SELECT paused_at IS NOT NULL FROM job WHERE id = ?1", [job], |row| row.get(0))
    }
}

impl Writer<'_> {
    /// Stores a job with its triggers. A job without a trigger gets one run at once.
    pub fn add_job(
        &self,
        job: &NewJob,
        triggers: &[FirstFire],
        request: Option<i64>,
        now: Timestamp,
    ) -> StoreResult<JobId> {
        let id = self.insert_job(job, request, now)?;
        self.record(&Happening::Added { job: JobNote { job: id, name: job.name.clone() } });
        if !job.tags.is_empty() {
            self.set_tags(id, &job.tags)?;
        }
        if !job.items.is_empty() {
            self.set_items(id, &job.items)?;
        }
        if !job.after.dependencies.is_empty() {
            self.set_dependencies(id, &job.after.dependencies)?;
        }
        for trigger in triggers {
            self.insert_trigger(id, trigger, job.hold)?;
        }
        if triggers.iter().filter_map(|trigger| trigger.spec.event()).any(EventTrigger::watches_runs) {
            self.look_at_running(id, now)?;
        }
        if triggers.is_empty() {
            self.add_run(id, TriggerKind::Manual, true, now)?;
            if job.hold {
                self.hold(id, true)?;
            }
        }
        Ok(id)
    }

    fn insert_job(&self, job: &NewJob, request: Option<i64>, now: Timestamp) -> StoreResult<JobId> {
        static SQL: LazyLock<String> = LazyLock::new(|| {
            let (columns, values) = definition::assigned();
            format!(
                "INSERT INTO job (id, environment_id, {columns}, name, created_at, paused_at, request)
                 VALUES (?1, ?2, {values}, ?, ?, ?, ?)"
            )
        });
        let id: Option<i64> = self.next_sealed_id("job")?;
        let name = job.name.as_ref().map(JobName::as_str);
        let paused_at = job.hold.then_some(now);
        self.execute_with_definition(&SQL, &id, job, params![name, now, paused_at, request])?;
        let id = JobId(self.transaction.last_insert_rowid());
        if !job.requirement.is_none() {
            self.set_requirement(id, &job.requirement)?;
        }
        Ok(id)
    }

    /// Executes a statement whose parameters are `id`, `environment_id`, those of a definition, and `others`.
    /// They have no names, because SQLite would look for each of fifty names among all of them.
    pub(super) fn execute_with_definition(
        &self,
        sql: &str,
        id: &dyn ToSql,
        job: &NewJob,
        others: &[&dyn ToSql],
    ) -> StoreResult<()> {
        let environment = self.intern_environment(&join(&job.execution.env))?;
        let bound = definition::bound(job)?;
        let mut values: Vec<&dyn ToSql> = vec![id, &environment];
        values.extend(bound.iter().map(|value| value as &dyn ToSql));
        values.extend(others);
        self.change(sql, values.as_slice())
    }

    fn intern_environment(&self, vars: &[u8]) -> StoreResult<i64> {
        let found = self.first(
            "SELECT id FROM environment
             WHERE hash = lookup(?1) AND opened('environment.vars', id, 0, vars) = ?1",
            [vars],
            |row| row.get(0),
        )?;
        if let Some(id) = found {
            return Ok(id);
        }
        self.change(
            "INSERT INTO environment (id, hash, vars)
             VALUES (?1, lookup(?2), sealed('environment.vars', ?1, 0, ?2))",
            params![self.random_sealed_id(), vars],
        )?;
        Ok(self.transaction.last_insert_rowid())
    }

    pub(super) fn insert_trigger(&self, job: JobId, trigger: &FirstFire, held: bool) -> StoreResult<()> {
        let (expr, zone, at, period) = match &trigger.spec {
            TriggerSpec::At { at, .. } => (None, None, Some(*at), None),
            TriggerSpec::Cron { expr, zone, .. } | TriggerSpec::Calendar { expr, zone, .. } => {
                (Some(expr), zone.as_ref(), None, None)
            }
            TriggerSpec::Every { period, anchor, .. } => (None, None, Some(*anchor), Some(*period)),
            TriggerSpec::AfterEnd { period, .. } => (None, None, None, Some(*period)),
            TriggerSpec::Event(_) => (None, None, None, None),
        };
        let event = trigger.spec.event();
        let (text, key, listens) =
            (event.map(event_column), event.and_then(EventTrigger::key), event.map(|_| true));
        let delay = trigger.spec.delay();
        let awaits_end = matches!(trigger.spec, TriggerSpec::AfterEnd { .. }).then_some(0);
        let (kind, boot_id) = (trigger.spec.kind(), &trigger.boot_id);
        let (next_at, timeout_at) =
            if event.is_some() { (None, trigger.next_at) } else { (trigger.next_at, None) };
        self.change(
            "INSERT INTO trigger (job_id, kind, expr, zone, at, period_us, delay_us, next_at, held, boot_id,
                awaits_end, event, event_key, listens, timeout_at, is_stale, id)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,
                iif(?2 = 'stream', sealed('trigger.event', ?16, 0, ?12), ?12), ?13, ?14, ?15,
                ?2 = 'path' AND start_at IS NOT NULL, ?16 FROM job WHERE id = ?1",
            params![
                job,
                kind,
                expr,
                zone,
                at,
                period,
                delay,
                next_at,
                held,
                boot_id,
                awaits_end,
                text,
                key,
                listens,
                timeout_at,
                self.next_sealed_id("trigger")?
            ],
        )?;
        if let Some(marks) = &trigger.marks {
            self.set_first_marks(TriggerId(self.transaction.last_insert_rowid()), marks)?;
        }
        Ok(())
    }

    /// Queues a run that no trigger fired, and that waits for no other job.
    pub fn add_manual_run(&self, job: JobId, now: Timestamp) -> StoreResult<FireId> {
        self.add_run(job, TriggerKind::Manual, false, now)
    }

    /// Queues a run that does the work of a finished one again, with its events; without `run`, that of the
    /// job's latest array.
    pub fn add_retry(&self, job: JobId, run: Option<RunId>, now: Timestamp) -> StoreResult<FireId> {
        let bundle = match run {
            Some(run) => self.bundle_of_run(run)?,
            None => self.bundle_of_latest_array(job)?,
        };
        self.insert_run(&NewRun { bundle, ..NewRun::by_hand(job, TriggerKind::Retry, true, now) }, now)
    }

    fn add_run(
        &self,
        job: JobId,
        kind: TriggerKind,
        obeys_after: bool,
        now: Timestamp,
    ) -> StoreResult<FireId> {
        self.insert_run(&NewRun::by_hand(job, kind, obeys_after, now), now)
    }

    /// Pauses a job: its triggers do not fire and its waiting runs do not start. Returns whether this changed
    /// it.
    pub fn pause_job(&self, job: JobId, now: Timestamp) -> StoreResult<bool> {
        self.pause_because(job, None, now)
    }

    /// Pauses a job whose schedule cannot be read, for the reason `cause`.
    pub(super) fn pause_broken(&self, job: JobId, cause: &str, now: Timestamp) -> StoreResult<()> {
        self.pause_because(job, Some(cause), now).map(|_| ())
    }

    fn pause_because(&self, job: JobId, cause: Option<&str>, now: Timestamp) -> StoreResult<bool> {
        let changed = self.changed(
            "UPDATE job SET paused_at = ?2 WHERE id = ?1 AND paused_at IS NULL",
            params![job, now],
        )?;
        if changed > 0 {
            self.hold(job, true)?;
            let (job, cause) = (self.job_note(job)?, cause.map(str::to_owned));
            self.record(&Happening::Paused { job, cause });
        }
        Ok(changed > 0)
    }

    /// Resumes a job, and returns whether it was paused. The fires during its pause are still due.
    pub fn resume_job(&self, job: JobId) -> StoreResult<bool> {
        let changed =
            self.changed("UPDATE job SET paused_at = NULL WHERE id = ?1 AND paused_at IS NOT NULL", [job])?;
        if changed > 0 {
            self.hold(job, false)?;
            self.watch_anew(job)?;
            self.record(&Happening::Resumed { job: self.job_note(job)? });
            self.has_lost_fires(job);
        }
        Ok(changed > 0)
    }

    /// Gives a job these tags in place of the ones it has.
    pub fn set_tags(&self, job: JobId, tags: &[Tag]) -> StoreResult<()> {
        self.change("DELETE FROM tag WHERE job_id = ?1", [job])?;
        for tag in tags {
            self.change(
                "INSERT OR IGNORE INTO tag (job_id, tag) VALUES (?1, ?2)",
                params![job, tag.as_str()],
            )?;
        }
        Ok(())
    }

    /// Gives the waiting runs of a job the queue, rank, limits and dependencies that it has now.
    pub fn requeue_waiting(&self, id: JobId, job: &NewJob) -> StoreResult<()> {
        self.await_again(id)?;
        self.set_deadlines(id, job)?;
        let at_once = job.array.map_or(job.policy.at_once(), |array| array.at_once);
        let place = params![id, job.queue.as_str(), at_once];
        self.require_anew(id)?;
        self.change(
            "UPDATE run SET queue = ?2, at_once = ?3
             WHERE job_id = ?1 AND state <> 'finished' AND keeper IS NULL AND callback IS NULL",
            place,
        )?;
        self.change(
            "UPDATE array SET queue = ?2, at_once = ?3 WHERE job_id = ?1 AND finished_at IS NULL",
            place,
        )?;
        self.rank_job_anew(id, &job.queue)
    }

    fn hold(&self, job: JobId, held: bool) -> StoreResult<()> {
        self.change("UPDATE trigger SET held = ?2 WHERE job_id = ?1", params![job, held])?;
        self.change(
            "UPDATE array SET held = ?2 WHERE job_id = ?1 AND finished_at IS NULL",
            params![job, held],
        )?;
        // Also runs under way: if one is queued again, or fails and is retried, it waits too.
        self.change(
            "UPDATE run SET held = ?2 WHERE job_id = ?1 AND state <> 'finished' AND callback IS NULL",
            params![job, held],
        )
    }

    /// Puts the waiting runs of a job before all others that wait in its queue, but not before callbacks.
    /// Returns whether it has waiting runs.
    pub fn put_first(&self, job: JobId) -> StoreResult<bool> {
        let first: Option<i64> = self.one(
            "SELECT min(rank) FROM (
                SELECT min(rank) AS rank FROM run WHERE queue = (SELECT queue FROM job WHERE id = ?1)
                    AND state = 'queued' AND state <> 'finished' AND callback IS NULL
                UNION ALL SELECT min(rank) FROM array
                WHERE queue = (SELECT queue FROM job WHERE id = ?1) AND rest > 0)",
            [job],
            |row| row.get(0),
        )?;
        let rank = first.unwrap_or(0).saturating_sub(1).max(CALLBACK_RANK + 1);
        let runs = self.changed(
            "UPDATE run SET rank = ?2 WHERE job_id = ?1 AND state IN ('queued', 'retrying')
                AND state <> 'finished' AND keeper IS NULL AND callback IS NULL",
            params![job, rank],
        )?;
        let arrays =
            self.changed("UPDATE array SET rank = ?2 WHERE job_id = ?1 AND rest > 0", params![job, rank])?;
        Ok(runs + arrays > 0)
    }

    /// Sets how many fires a job with `--nth` has passed over since the last one that ran.
    pub fn set_passed(&self, job: JobId, passed: u32) -> StoreResult<()> {
        self.change("UPDATE job SET passed = ?2 WHERE id = ?1", params![job, passed])
    }

    /// Sets a trigger's next fire.
    pub fn advance_trigger(&self, trigger: TriggerId, next_at: Option<Timestamp>) -> StoreResult<()> {
        self.change("UPDATE trigger SET next_at = ?2 WHERE id = ?1", params![trigger.0, next_at])
    }

    /// Sets the next fire of a trigger that has waited for the end of a run.
    pub(super) fn rearm_trigger(&self, trigger: TriggerId, next_at: Option<Timestamp>) -> StoreResult<()> {
        self.change(
            "UPDATE trigger SET next_at = ?2, awaits_end = 0 WHERE id = ?1",
            params![trigger.0, next_at],
        )
    }

    /// Changes the delay of a job's triggers, but for `@reboot` and events, which have none. Nominal times
    /// that have fired do not fire again.
    pub fn set_delay(&self, job: JobId, delay: Span) -> StoreResult<()> {
        self.change(
            "UPDATE trigger SET next_at = next_at - delay_us + ?2, delay_us = ?2
             WHERE job_id = ?1 AND expr IS NOT '@reboot' AND event IS NULL",
            params![job, delay],
        )
    }

    /// Lets a trigger that has fired wait for the end of a run.
    pub(super) fn await_end(&self, trigger: TriggerId) -> StoreResult<()> {
        self.change("UPDATE trigger SET next_at = NULL, awaits_end = 1 WHERE id = ?1", [trigger.0])
    }

    /// Gives a job a name, which no other job may hold.
    pub fn rename_job(&self, job: JobId, name: &JobName) -> StoreResult<()> {
        let was = self.job_note(job)?.name;
        self.change("UPDATE job SET name = ?2, holds_name = 1 WHERE id = ?1", params![job, name.as_str()])?;
        self.record(&Happening::Renamed { job: self.job_note(job)?, was });
        Ok(())
    }

    /// Takes a job's name for another one. History still shows it.
    pub fn release_name(&self, job: JobId) -> StoreResult<()> {
        self.change("UPDATE job SET holds_name = 0 WHERE id = ?1", [job])
    }

    /// Removes a job's coming fires, and cancels its waiting runs for the reason `why`. Claimed runs
    /// continue.
    pub fn retire_job(&self, job: JobId, why: &'static str, now: Timestamp) -> StoreResult<()> {
        self.disarm_because(job, Some(why))?;
        self.cancel_indices(job, (0, u32::MAX), Some(why), now)?;
        for (run, is_claimed) in self.unfinished_runs(job)? {
            if !is_claimed {
                self.finish(run, Outcome::Cancelled, Some(why), now)?;
            }
        }
        Ok(())
    }

    /// Removes all coming fires of a job.
    pub fn disarm(&self, job: JobId) -> StoreResult<()> {
        self.disarm_because(job, None)
    }

    fn disarm_because(&self, job: JobId, cause: Option<&'static str>) -> StoreResult<()> {
        let (job_note, cause) = (self.job_note(job)?, cause.map(Word::Borrowed));
        self.record(&Happening::Cancelled { job: job_note, cause });
        self.remove_fires(job)?;
        self.has_lost_fires(job);
        Ok(())
    }

    pub(super) fn remove_fires(&self, job: JobId) -> StoreResult<()> {
        self.change(
            "UPDATE trigger SET next_at = NULL, boot_id = NULL,
                awaits_end = iif(awaits_end = 1, 0, awaits_end)
             WHERE job_id = ?1",
            [job],
        )?;
        self.stop_listening(job)
    }

    /// Ends a waiting run, or requests a stop of a claimed one. `kill_now`: the stop signal is KILL.
    pub fn cancel_run(&self, run: RunId, kill_now: bool, now: Timestamp) -> StoreResult<Cancelled> {
        let claimed: Option<bool> = self.first(
            "SELECT keeper IS NOT NULL FROM run
             WHERE job_id = ?1 AND number = ?2 AND state <> 'finished'",
            params![run.job, run.number],
            |row| row.get(0),
        )?;
        match claimed {
            None => Ok(Cancelled::AlreadyFinished),
            Some(false) => {
                self.cancel_waiting(run, now)?;
                Ok(Cancelled::Dropped)
            }
            Some(true) => {
                self.want_stop(run, kill_now, now)?;
                Ok(Cancelled::Stopping)
            }
        }
    }

    /// Stores the request to stop a claimed run, unless the same was requested before. A stop
    /// continues a paused run.
    pub(super) fn want_stop(&self, run: RunId, kill_now: bool, now: Timestamp) -> StoreResult<()> {
        let changed = self.changed(
            "UPDATE run SET stop_at = coalesce(stop_at, ?3), stop_now = ?4, stop_sent = 0,
                paused_at = NULL, pause_sent = 1
             WHERE job_id = ?1 AND number = ?2 AND state <> 'finished'
                AND (stop_at IS NULL OR stop_now < ?4)",
            params![run.job, run.number, now, kill_now],
        )?;
        if changed > 0 {
            self.record(&Happening::Stopping { run, now: kill_now });
        }
        Ok(())
    }
}

/// The result of a cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// The run waited, and is finished now.
    Dropped,
    /// The run is being stopped.
    Stopping,
    /// The run was finished before.
    AlreadyFinished,
}
