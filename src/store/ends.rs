//! Owns: the progress of claimed runs: started, unattended, ended; and applying the effects of an end.
//! Never: deciding on outcomes and effects (see `engine`).
//!
//! A writer keeps the ends of its transaction until `follow_up` is called. A commit without this call is a
//! bug.

use rusqlite::{Row, ToSql, named_params, params};

use super::job_events::FireNews;
use super::{Reader, StoreResult, Writer, codec};
use crate::domain::{
    ArrayId, EndNote, FireId, Happening, JobId, MailFormat, MailWhen, Outcome, Retry, RunId, Span, Timestamp,
    Usage,
};
use crate::engine::{
    AttemptOutcome, CallbackFacts, Conclusion, Effect, EndFacts, RunFacts, RunPart, TimesFacts,
};

/// How much earlier than its claim an unreported start may seem: the kernel counts hundredths of a second.
const TICKS: Span = Span::from_millis(100);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptEnd {
    pub run: RunId,
    pub attempt: u32,
    /// As of its `OpenAttempt`.
    pub recorded_start: Option<Timestamp>,
    /// The pid and the start of its process; `None` if there was none.
    pub started: Option<(u32, Timestamp)>,
    pub finished_at: Timestamp,
    /// `None` if nobody has seen its end.
    pub usage: Option<Usage>,
    /// The size of its output; `None` if nobody has looked.
    pub output_bytes: Option<u64>,
    pub output: EndedOutput,
    /// The result that it wrote, as JSON.
    pub result: Option<String>,
}

/// What a daemon has found out about the outputs of an attempt that has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndedOutput {
    /// The size of its standard error, if that was apart.
    pub stderr_bytes: Option<u64>,
    /// Its outputs, if they move into the run log.
    pub stored: Option<StoredOutput>,
}

/// The outputs of an attempt that are kept in the run log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOutput {
    pub stdout: StoredBytes,
    /// Its standard error, if that was apart.
    pub stderr: Option<StoredBytes>,
}

/// An output that is kept in the run log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredBytes {
    pub data: Vec<u8>,
    /// When its bytes were written, as the keeper stores it; `None`: at the start of the attempt.
    pub times: Option<Vec<u8>>,
}

/// An attempt whose result is not recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenAttempt {
    pub stop_wanted: bool,
    pub queue: String,
    pub retry: Retry,
    /// When it started, if that is recorded.
    pub recorded_start: Option<Timestamp>,
    /// Its standard error is apart.
    pub is_split: bool,
}

/// An event in this transaction whose effects are not applied yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PendingEnd {
    /// A run, and when it ended.
    Run(RunId, Timestamp),
    /// A run of a job has begun and is counted, or the job's definition was changed.
    Count(JobId),
    /// Coming fires of a job were removed.
    Fires(JobId),
    Array(ArrayId),
}

impl Writer<'_> {
    /// Records the process of an attempt. `pid`: 0 if nobody knows it.
    pub fn record_start(&self, run: RunId, attempt: u32, pid: u32, at: Timestamp) -> StoreResult<()> {
        let changed = self.changed(
            "UPDATE run SET state = 'running', pid = nullif(?4, 0), started_at = ?5, far_note = NULL
             WHERE job_id = ?1 AND number = ?2 AND attempt = ?3
                AND state = 'queued' AND keeper IS NOT NULL",
            params![run.job, run.number, attempt, pid, at],
        )?;
        if changed == 0 {
            return Ok(());
        }
        self.record(&Happening::Started { run, attempt, pid, started_at: at });
        self.count_begin(run)?;
        self.tell_start(run, attempt, at)?;
        self.start_run_timers(run)
    }

    /// Counts a run that has begun, if its job counts the runs of its triggers, and each only once.
    fn count_begin(&self, run: RunId) -> StoreResult<()> {
        let changed = self.changed(
            "UPDATE run SET is_counted = 1
             WHERE job_id = ?1 AND number = ?2 AND is_counted = 0 AND trigger_id IS NOT NULL
                AND (SELECT times FROM job WHERE id = ?1) IS NOT NULL",
            params![run.job, run.number],
        )?;
        // Of an array, the first run counts for all.
        let is_first = self.changed(
            "UPDATE array SET is_counted = 1 WHERE is_counted = 0
                AND id = (SELECT array_id FROM run WHERE job_id = ?1 AND number = ?2)",
            params![run.job, run.number],
        )? > 0;
        if changed > 0 && (is_first || !self.is_of_array(run)?) {
            self.change("UPDATE job SET begun = begun + 1 WHERE id = ?1", [run.job])?;
            self.has_changed(run.job);
        }
        Ok(())
    }

    /// Records that another keeper watches the processes of an attempt whose keeper is gone. If the start was
    /// not reported, `at` is the kernel's time in ticks, and may seem earlier than the claim.
    pub fn record_unattended(
        &self,
        run: RunId,
        attempt: u32,
        keeper: i64,
        pid: u32,
        at: Timestamp,
    ) -> StoreResult<()> {
        self.count_begin(run)?;
        let Some(open) = self.open_attempt(run, attempt)? else { return Ok(()) };
        let changed = self.changed(
            "UPDATE run SET state = 'running', pid = ?5, keeper = ?4, is_unattended = 1,
                started_at = coalesce(started_at, iif(claimed_at - ?6 BETWEEN 0 AND ?7, claimed_at, ?6))
             WHERE job_id = ?1 AND number = ?2 AND attempt = ?3
                AND state <> 'finished' AND keeper IS NOT NULL",
            params![run.job, run.number, attempt, keeper, pid, at, TICKS],
        )?;
        if changed > 0 {
            if open.recorded_start.is_none() {
                self.record(&Happening::Started { run, attempt, pid, started_at: at });
                self.tell_start(run, attempt, at)?;
            }
            self.record(&Happening::Unattended { run, attempt, pid });
            self.start_run_timers(run)?;
        }
        Ok(())
    }

    /// Records the end of an attempt, and what becomes of its run.
    pub fn record_end(&self, end: &AttemptEnd, conclusion: &Conclusion) -> StoreResult<()> {
        match conclusion {
            Conclusion::Requeued => self.requeue(end.run),
            Conclusion::Finished(verdict) => {
                self.record_last_attempt(end, verdict)?;
                self.record_unreported_start(end);
                self.record(&Happening::Finished { run: end.run, end: end.note(verdict) });
                // A run that was cancelled before it had a process has not begun.
                let has_begun = end.started.is_some() || verdict.outcome != Outcome::Cancelled;
                if has_begun {
                    self.count_begin(end.run)?;
                }
                self.tell_unreported_start(end)
            }
            Conclusion::Retrying { verdict, at } => {
                self.record_earlier_attempt(end, verdict, *at)?;
                self.record_unreported_start(end);
                let (run, end_note) = (end.run, end.note(verdict));
                self.record(&Happening::Retrying { run, end: end_note, retry_at: *at });
                self.count_begin(end.run)?;
                self.tell_unreported_start(end)
            }
        }
    }

    /// Records the start of an attempt of which a daemon has received nothing before its end.
    fn record_unreported_start(&self, end: &AttemptEnd) {
        if let (None, Some((pid, started_at))) = (end.recorded_start, end.started) {
            self.record(&Happening::Started { run: end.run, attempt: end.attempt, pid, started_at });
        }
    }

    /// Tells those that listen of such a start, after its end is recorded: they may cancel the run.
    fn tell_unreported_start(&self, end: &AttemptEnd) -> StoreResult<()> {
        match (end.recorded_start, end.started) {
            (None, Some((_, started_at))) => self.tell_start(end.run, end.attempt, started_at),
            _ => Ok(()),
        }
    }

    fn record_last_attempt(&self, end: &AttemptEnd, verdict: &AttemptOutcome) -> StoreResult<()> {
        let sql = "UPDATE run SET state = 'finished', finished_at = :finished_at, outcome = :outcome,
                exit_code = :exit_code, signal = :signal,
                cause = iif(:outcome = 'spawn_failed', sealed('run.cause', :job, :number, :cause), :cause),
                pid = coalesce(pid, :pid),
                started_at = coalesce(started_at, :started_at), user_us = :user, system_us = :system,
                max_rss_kib = :max_rss, output_bytes = :output_bytes, stderr_bytes = :stderr_bytes,
                result = sealed('run.result', :job, :number, :result)
             WHERE job_id = :job AND number = :number AND state <> 'finished'";
        let result = named_params! { ":result": end.result };
        with_values(end, verdict, |values| self.change(sql, &*[values, result].concat()))?;
        if let Some(StoredOutput { stdout, stderr }) = &end.output.stored {
            let stderr_times = stderr.as_ref().and_then(|stderr| stderr.times.as_ref());
            let stderr = stderr.as_ref().map(|stderr| &stderr.data);
            self.change(
                "INSERT OR REPLACE INTO output (run_id, data, times, stderr, stderr_times)
                 SELECT id, sealed('output.data', id, 0, ?3), ?4, sealed('output.stderr', id, 0, ?5), ?6
                 FROM run WHERE job_id = ?1 AND number = ?2",
                params![end.run.job, end.run.number, stdout.data, stdout.times, stderr, stderr_times],
            )?;
        }
        self.has_ended(end.run, end.finished_at);
        Ok(())
    }

    /// Records an attempt after which the run is tried again, at `at` or later.
    fn record_earlier_attempt(
        &self,
        end: &AttemptEnd,
        verdict: &AttemptOutcome,
        at: Timestamp,
    ) -> StoreResult<()> {
        let sql =
            "INSERT INTO attempt (run_id, number, pid, started_at, finished_at, outcome, exit_code, signal,
                cause, user_us, system_us, max_rss_kib, output_bytes, output,
                output_times, is_split, stderr_bytes, stderr, stderr_times)
             SELECT id, attempt, coalesce(pid, :pid), coalesce(started_at, :started_at), :finished_at,
                :outcome, :exit_code, :signal,
                iif(:outcome = 'spawn_failed', sealed('attempt.cause', id, attempt, :cause), :cause),
                :user, :system, :max_rss, :output_bytes, sealed('attempt.output', id, attempt, :output),
                :output_times, is_split, :stderr_bytes, sealed('attempt.stderr', id, attempt, :stderr),
                :stderr_times
             FROM run WHERE job_id = :job AND number = :number";
        let stdout = end.output.stored.as_ref().map(|stored| &stored.stdout);
        let stderr = end.output.stored.as_ref().and_then(|stored| stored.stderr.as_ref());
        let output = named_params! {
            ":output": stdout.map(|output| &output.data),
            ":output_times": stdout.and_then(|output| output.times.as_ref()),
            ":stderr": stderr.map(|output| &output.data),
            ":stderr_times": stderr.and_then(|output| output.times.as_ref()),
        };
        with_values(end, verdict, |values| self.change(sql, &*[values, output].concat()))?;
        self.end_run_timers_of_attempt(end.run)?;
        self.change(
            "UPDATE run SET state = 'retrying', attempt = attempt + 1, not_before = ?3, keeper = NULL,
                claimed_at = NULL, is_unattended = 0, pid = NULL, started_at = NULL, paused_at = NULL,
                pause_sent = 1, share = NULL, executor = NULL, host = NULL, far_note = NULL
             WHERE job_id = ?1 AND number = ?2",
            params![end.run.job, end.run.number, at],
        )
    }

    /// Ends a run that is not claimed.
    pub(super) fn cancel_waiting(&self, run: RunId, now: Timestamp) -> StoreResult<()> {
        self.finish(run, Outcome::Cancelled, None, now)
    }

    pub(super) fn finish(
        &self,
        run: RunId,
        outcome: Outcome,
        cause: Option<&str>,
        now: Timestamp,
    ) -> StoreResult<()> {
        let attempt = self.first(
            "UPDATE run SET state = 'finished', finished_at = ?3, outcome = ?4, cause = ?5, not_before = NULL,
                awaits = 0
             WHERE job_id = ?1 AND number = ?2 AND state <> 'finished' RETURNING attempt",
            params![run.job, run.number, now, outcome, cause],
            |row| row.get(0),
        )?;
        if let Some(attempt) = attempt {
            let (outcome, cause) = (outcome.as_str().into(), cause.map(str::to_owned));
            let (exit_code, signal, took) = (None, None, None);
            let end = EndNote { attempt, outcome, exit_code, signal, cause, finished_at: now, took };
            self.record(&Happening::Finished { run, end });
            self.has_ended(run, now);
        }
        Ok(())
    }

    pub(super) fn has_ended(&self, run: RunId, at: Timestamp) {
        self.pending_ends.borrow_mut().push(PendingEnd::Run(run, at));
    }

    pub(super) fn has_ended_whole(&self, array: ArrayId) {
        self.pending_ends.borrow_mut().push(PendingEnd::Array(array));
    }

    pub(super) fn has_changed(&self, job: JobId) {
        self.pending_ends.borrow_mut().push(PendingEnd::Count(job));
    }

    pub(super) fn has_lost_fires(&self, job: JobId) {
        self.pending_ends.borrow_mut().push(PendingEnd::Fires(job));
    }

    /// Applies the effects of the ends of this transaction, on which `after` decides.
    pub fn follow_up(&self, after: impl Fn(&EndFacts) -> Vec<Effect>, now: Timestamp) -> StoreResult<()> {
        loop {
            let mut ends = self.pending_ends.take();
            if ends.is_empty() {
                return Ok(());
            }
            // In the order of the ends, so that a trigger counts from the last one.
            ends.sort_by_key(|ended| match ended {
                PendingEnd::Run(_, at) => (*at).min(now),
                PendingEnd::Array(_) | PendingEnd::Count(_) | PendingEnd::Fires(_) => now,
            });
            ends.into_iter().try_for_each(|ended| self.follow_end(ended, &after, now))?;
        }
    }

    fn follow_end(
        &self,
        ended: PendingEnd,
        after: &impl Fn(&EndFacts) -> Vec<Effect>,
        now: Timestamp,
    ) -> StoreResult<()> {
        let (job, run) = match ended {
            PendingEnd::Run(run, _) => {
                let found = self.run_facts(run)?;
                self.drop_run_timers_at(found.id)?;
                if let Some(array) = found.array {
                    self.count_array_run(array, &found)?;
                }
                (run.job, Some(found))
            }
            PendingEnd::Array(array) => {
                let (job, found) = self.array_end(array)?;
                (job, Some(found))
            }
            PendingEnd::Fires(job) | PendingEnd::Count(job) => (job, None),
        };
        if run.is_some() {
            self.look_again(job)?;
        }
        let at = run.as_ref().map_or(now, |run| run.finished_at);
        let facts = run.as_ref().map(|run| RunFacts { ended_at: run.finished_at.min(now), ..run.facts });
        let facts = self.end_facts(job, facts)?;
        for effect in after(&facts) {
            match (effect, &run) {
                (Effect::Settle, _) => self.settle_job(job, at)?,
                (Effect::Disarm, _) => self.remove_fires(job)?,
                (Effect::Rearm(trigger, next_at), _) => self.rearm_trigger(trigger, next_at)?,
                (Effect::Wake, _) => self.wake_dependents(job)?,
                (Effect::Call(when), Some(run)) => self.queue_callback(job, when, run.parent, now)?,
                (Effect::Learn(mean), Some(run)) => self.set_mean_run(&run.queue, mean)?,
                (Effect::Tell, Some(run)) => {
                    let outcome = Some(run.facts.outcome);
                    let at = run.finished_at.min(now);
                    self.tell(&FireNews { fire: run.parent, at, outcome }, now)?;
                }
                (Effect::Mail, Some(run)) => self.queue_mail(run.id, run.user.as_deref(), at)?,
                (Effect::Learn(_) | Effect::Mail | Effect::Call(_) | Effect::Tell, None) => {
                    unreachable!("an effect of a run without a run")
                }
            }
        }
        Ok(())
    }

    /// Counts the end of a run of an array, and ends the array with its last one.
    fn count_array_run(&self, array: ArrayId, run: &FinishedRun) -> StoreResult<()> {
        if run.is_index {
            self.count_index(array, run.facts.outcome)?;
        }
        if let Some(outcome) = self.array_facts(array)?.outcome() {
            self.finish_array(array, outcome, run.finished_at)?;
        }
        Ok(())
    }

    fn settle_job(&self, job: JobId, at: Timestamp) -> StoreResult<()> {
        self.change("UPDATE job SET done_at = ?2 WHERE id = ?1 AND done_at IS NULL", params![job, at])
    }

    fn set_mean_run(&self, queue: &str, mean: Span) -> StoreResult<()> {
        self.change("UPDATE queue SET mean_run_us = ?2 WHERE name = ?1", params![queue, mean])
    }
}

/// Calls `then` with the values of the columns that describe the end of an attempt.
fn with_values<T>(
    end: &AttemptEnd,
    verdict: &AttemptOutcome,
    then: impl FnOnce(&[(&str, &dyn ToSql)]) -> T,
) -> T {
    then(named_params! {
        ":job": end.run.job,
        ":number": end.run.number,
        ":pid": end.started.map(|(pid, _)| pid),
        ":started_at": end.started.map(|(_, at)| at),
        ":finished_at": end.finished_at,
        ":outcome": verdict.outcome,
        ":exit_code": verdict.exit_code,
        ":signal": verdict.signal,
        ":cause": verdict.cause,
        ":user": end.usage.map(|usage| usage.user),
        ":system": end.usage.map(|usage| usage.system),
        ":max_rss": end.usage.map(|usage| usage.max_rss_kib.cast_signed()),
        ":output_bytes": end.output_bytes.map(u64::cast_signed),
        ":stderr_bytes": end.output.stderr_bytes.map(u64::cast_signed),
    })
}

/// Reads which callbacks a job has from three columns that start at `first`.
fn callbacks(row: &Row<'_>, first: usize) -> rusqlite::Result<CallbackFacts> {
    Ok(CallbackFacts { success: row.get(first)?, failure: row.get(first + 1)?, finish: row.get(first + 2)? })
}

/// A finished run, with the columns that effects need.
struct FinishedRun {
    id: i64,
    queue: String,
    user: Option<String>,
    finished_at: Timestamp,
    array: Option<ArrayId>,
    /// It is the run of one index, not the row of indices that were dropped.
    is_index: bool,
    /// It, for its callbacks.
    parent: FireId,
    facts: RunFacts,
}

impl Reader<'_> {
    /// Returns an attempt; `None` if there is none, or its result is recorded already.
    pub fn open_attempt(&self, run: RunId, attempt: u32) -> StoreResult<Option<OpenAttempt>> {
        self.first(
            "SELECT run.stop_at IS NOT NULL, run.queue, iif(run.callback IS NULL, job.retries, 0),
                job.retry_delay_us,
                job.retry_delay_max_us, job.retry_on, run.started_at, run.is_split
             FROM run JOIN job ON job.id = run.job_id
             WHERE run.job_id = ?1 AND run.number = ?2 AND run.attempt = ?3
                AND run.state IN ('queued', 'running')",
            params![run.job, run.number, attempt],
            |row| {
                Ok(OpenAttempt {
                    stop_wanted: row.get(0)?,
                    queue: row.get(1)?,
                    retry: codec::retry(row, 2)?,
                    recorded_start: row.get(6)?,
                    is_split: row.get(7)?,
                })
            },
        )
    }

    fn end_facts(&self, job: JobId, run: Option<RunFacts>) -> StoreResult<EndFacts> {
        let (has_run, has_fire, is_counting) = self.one(
            concat!(
                "SELECT EXISTS (SELECT 1 FROM run WHERE job_id = job.id AND state <> 'finished')
                    OR EXISTS (SELECT 1 FROM array WHERE job_id = job.id AND finished_at IS NULL),
                    EXISTS (SELECT 1 FROM trigger WHERE job_id = job.id AND awaits_end IS NULL AND ",
                will_fire!(),
                "), times IS NOT NULL FROM job WHERE id = ?1"
            ),
            [job],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        let times = if is_counting { self.times_facts(job)? } else { None };
        let is_part = run.is_some_and(|run| run.part == RunPart::Index);
        let has_dependents = !is_part && self.has_dependents(job)?;
        let after_end = self.planned_after_end(job, run.map(|run| run.ended_at))?;
        let has_other = !after_end.is_empty() && self.has_unfinished_fire(job)?;
        let is_heard = run.is_some() && self.is_listened_to()?;
        Ok(EndFacts { run, has_run, has_fire, after_end, has_other, times, has_dependents, is_heard })
    }

    /// Returns how many runs of a job may begin and have begun; `None`: any number.
    pub(super) fn times_facts(&self, job: JobId) -> StoreResult<Option<TimesFacts>> {
        self.first(
            "SELECT times, begun, (SELECT count(*) FROM run WHERE job_id = job.id AND state <> 'finished'
                    AND trigger_id IS NOT NULL AND is_counted = 0 AND array_id IS NULL)
                + (SELECT count(*) FROM array WHERE job_id = job.id AND finished_at IS NULL
                    AND trigger_id IS NOT NULL AND is_counted = 0)
             FROM job WHERE id = ?1 AND times IS NOT NULL",
            [job],
            |row| Ok(TimesFacts { times: row.get(0)?, begun: row.get(1)?, waiting: row.get(2)? }),
        )
    }

    fn is_of_array(&self, run: RunId) -> StoreResult<bool> {
        self.one(
            "SELECT array_id IS NOT NULL FROM run WHERE job_id = ?1 AND number = ?2",
            params![run.job, run.number],
            |row| row.get(0),
        )
    }

    /// Returns the job of an array that has ended, and the facts about the whole. Its mail is about the first
    /// of its runs that did not succeed, else about the last.
    fn array_end(&self, array: ArrayId) -> StoreResult<(JobId, FinishedRun)> {
        self.one(
            "SELECT array.job_id, array.queue, array.queued_at, array.finished_at, array.outcome, job.user,
                job.mail_when, job.mail_format,
                (SELECT max(started_at) FROM run WHERE array_id = array.id AND array_index IS NOT NULL),
                (SELECT sum(output_bytes + ifnull(stderr_bytes, 0)) FROM run
                    WHERE array_id = array.id AND array_index IS NOT NULL),
                coalesce((SELECT id FROM run WHERE array_id = array.id AND array_index IS NOT NULL
                    ORDER BY outcome = 'success', iif(outcome = 'success', -number, number) LIMIT 1),
                    (SELECT max(id) FROM run WHERE job_id = array.job_id)),
                job.on_success IS NOT NULL, job.on_failure IS NOT NULL, job.on_finish IS NOT NULL
             FROM array JOIN job ON job.id = array.job_id WHERE array.id = ?1",
            [array],
            |row| {
                let (queued_at, finished_at): (Timestamp, Timestamp) = (row.get(2)?, row.get(3)?);
                let (when, format): (Option<MailWhen>, Option<MailFormat>) = (row.get(6)?, row.get(7)?);
                let started_at: Option<Timestamp> = row.get(8)?;
                let facts = RunFacts {
                    outcome: row.get(4)?,
                    ended_at: finished_at,
                    took: started_at.map(|_| finished_at.since(queued_at)),
                    output_bytes: row.get::<_, Option<i64>>(9)?.unwrap_or(0).cast_unsigned(),
                    mail: when.zip(format),
                    mean_run: None,
                    part: RunPart::Array,
                    callbacks: callbacks(row, 11)?,
                };
                let id = row.get(10)?;
                let parent = FireId::Array { job: row.get(0)?, array };
                let (queue, user) = (row.get(1)?, row.get(5)?);
                let ended =
                    FinishedRun { id, queue, user, finished_at, array: None, is_index: false, parent, facts };
                Ok((row.get(0)?, ended))
            },
        )
    }

    fn run_facts(&self, run: RunId) -> StoreResult<FinishedRun> {
        self.one(
            "SELECT run.id, run.queue, run.finished_at, run.outcome, run.started_at,
                run.output_bytes + ifnull(run.stderr_bytes, 0),
                job.user, job.mail_when, job.mail_format,
                (SELECT mean_run_us FROM queue WHERE name = run.queue), run.array_id, run.array_index,
                job.on_success IS NOT NULL, job.on_failure IS NOT NULL, job.on_finish IS NOT NULL,
                run.callback IS NOT NULL
             FROM run JOIN job ON job.id = run.job_id
             WHERE run.job_id = ?1 AND run.number = ?2 AND run.state = 'finished'",
            params![run.job, run.number],
            |row| {
                let finished_at: Timestamp = row.get(2)?;
                let started_at: Option<Timestamp> = row.get(4)?;
                let (when, format): (Option<MailWhen>, Option<MailFormat>) = (row.get(7)?, row.get(8)?);
                let array: Option<ArrayId> = row.get(10)?;
                let facts = RunFacts {
                    outcome: row.get(3)?,
                    ended_at: finished_at,
                    took: started_at.map(|started_at| finished_at.since(started_at)),
                    output_bytes: row.get::<_, Option<i64>>(5)?.unwrap_or(0).cast_unsigned(),
                    mail: when.zip(format),
                    mean_run: row.get(9)?,
                    part: match array {
                        _ if row.get(15)? => RunPart::Callback,
                        Some(_) => RunPart::Index,
                        None => RunPart::Whole,
                    },
                    callbacks: callbacks(row, 12)?,
                };
                Ok(FinishedRun {
                    id: row.get(0)?,
                    queue: row.get(1)?,
                    user: row.get(6)?,
                    finished_at,
                    array,
                    is_index: row.get::<_, Option<u32>>(11)?.is_some(),
                    parent: FireId::Run(run),
                    facts,
                })
            },
        )
    }

    /// Returns the number of a run's attempt.
    pub fn attempt_number(&self, run: RunId) -> StoreResult<u32> {
        self.one(
            "SELECT attempt FROM run WHERE job_id = ?1 AND number = ?2",
            params![run.job, run.number],
            |row| row.get(0),
        )
    }
}
