//! Owns: making plans and reports so.
//! Never: deciding on them.

use rusqlite::{OptionalExtension, Row, named_params, params};

use super::codec::{self, split};
use super::{Reader, StoreResult, Writer};
use crate::domain::{
    Execution, JobId, Outcome, Overlap, RunId, Span, Timestamp, TriggerId, TriggerKind, Usage,
};
use crate::engine::{Conclusion, Fate, LOST, NewRun, Plan};

/// Whom runs are claimed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimFor {
    /// The keeper's instance.
    pub keeper: i64,
    /// It makes a pipe before each start.
    pub has_pipe: bool,
}

/// The ticks of a start that nobody was told of may be so much earlier than the claim that came before it:
/// the kernel counts hundredths of a second.
const TICKS: Span = Span::from_millis(100);

/// What a turn changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Runs to be started, in this order.
    pub claimed: Vec<RunId>,
    /// Runs to be recalled.
    pub recalled: Vec<RunId>,
    /// How wide each queue is in which runs stand by.
    pub widths: Vec<(String, usize)>,
}

/// A run's attempt as it ended, and what that means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Result {
    /// Which run.
    pub run: RunId,
    /// Its process, where there was one.
    pub started: Option<(u32, Timestamp)>,
    /// When it ended.
    pub finished_at: Timestamp,
    /// What it used.
    pub usage: Usage,
    /// How much it wrote.
    pub output_bytes: u64,
    /// What it wrote, if that belongs into the run log.
    pub output: Option<Vec<u8>>,
}

/// An attempt whose result is not recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenAttempt {
    /// A stop was wanted.
    pub stop_wanted: bool,
    /// The queue whose slots it takes.
    pub queue: String,
}

/// Everything a keeper must know to start a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Which run.
    pub run: RunId,
    /// Which try.
    pub attempt: u32,
    /// What made it.
    pub kind: TriggerKind,
    /// When it was due.
    pub scheduled_at: Timestamp,
    /// The job's name.
    pub name: Option<String>,
    /// Its queue.
    pub queue: String,
    /// That queue's width; `None`: one slot per CPU.
    pub slots: Option<u32>,
    /// What to run, and where.
    pub execution: Execution,
    /// TERM after this long.
    pub timeout: Option<Span>,
    /// KILL this long after a TERM.
    pub kill_after: Span,
}

impl Writer<'_> {
    /// Applies a plan; what it claims is claimed for a keeper.
    pub fn apply(
        &self,
        plan: &Plan,
        keeper: Option<ClaimFor>,
        now: Timestamp,
        applied: &mut Applied,
    ) -> StoreResult<()> {
        for run in &plan.cancelled {
            self.finish_unstarted(*run, Outcome::Cancelled, now)?;
        }
        for run in &plan.stopped {
            self.want_stop(*run, false, now)?;
        }
        for run in &plan.new_runs {
            self.insert_run(run, now)?;
        }
        for (trigger, next_at) in &plan.advanced {
            self.advance_trigger(*trigger, *next_at)?;
        }
        for (job, _) in &plan.broken {
            self.pause_job(*job, now)?;
        }
        // A job whose last fire was missed or skipped has nothing left to finish it.
        let mut settled: Option<JobId> = None;
        for run in plan.new_runs.iter().filter(|run| matches!(run.fate, Fate::Finished(_))) {
            if settled.replace(run.job) != Some(run.job) {
                self.settle_job(run.job, now)?;
            }
        }
        for run in &plan.claimed {
            let keeper =
                keeper.expect("nothing is claimed without a keeper: the snapshot has no queues then");
            self.claim(*run, keeper, now)?;
            applied.claimed.push(*run);
        }
        applied.recalled.extend(&plan.recalled);
        applied.widths.extend(plan.widths.iter().cloned());
        Ok(())
    }

    pub(super) fn next_number(&self, job: JobId) -> StoreResult<i64> {
        Ok(self
            .transaction
            .prepare_cached("UPDATE job SET runs = runs + 1 WHERE id = ?1 RETURNING runs")?
            .query_row([job], |row| row.get(0))?)
    }

    fn insert_run(&self, new: &NewRun, now: Timestamp) -> StoreResult<()> {
        let run = RunId { job: new.job, number: self.next_number(new.job)? };
        let trigger = (new.trigger, new.kind);
        let is_serial = match new.fate {
            Fate::Finished(outcome) => {
                return self.insert_finished(
                    run,
                    trigger,
                    new.scheduled_at,
                    new.fires,
                    outcome,
                    new.cause,
                    now,
                );
            }
            Fate::Queued { is_serial } => is_serial,
        };
        self.transaction
            .prepare_cached(
                "INSERT INTO run (job_id, number, trigger, trigger_id, scheduled_at, fires, queue, priority, is_serial,
                    state, queued_at)
                 SELECT id, ?2, ?3, ?4, ?5, ?6, queue, priority, ?7, 'queued', ?8 FROM job WHERE id = ?1",
            )?
            .execute(params![
                run.job,
                run.number,
                trigger.1,
                trigger.0.0,
                new.scheduled_at,
                new.fires.cast_signed(),
                is_serial,
                now
            ])?;
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the columns of a row that is over before it began")]
    pub(super) fn insert_finished(
        &self,
        run: RunId,
        (trigger, kind): (TriggerId, TriggerKind),
        scheduled_at: Timestamp,
        fires: u64,
        outcome: Outcome,
        cause: Option<&str>,
        now: Timestamp,
    ) -> StoreResult<()> {
        self.transaction
            .prepare_cached(
                "INSERT INTO run (job_id, number, trigger, trigger_id, scheduled_at, fires, queue, priority, is_serial,
                    state, queued_at, finished_at, outcome, cause)
                 SELECT id, ?2, ?3, ?4, ?5, ?6, queue, priority, overlap <> ?7, 'finished', ?8, ?8, ?9, ?10
                 FROM job WHERE id = ?1",
            )?
            .execute(params![
                run.job,
                run.number,
                kind,
                trigger.0,
                scheduled_at,
                fires.cast_signed(),
                Overlap::Allow,
                now,
                outcome,
                cause
            ])?;
        Ok(())
    }

    /// Ends a run that no keeper was told of.
    pub(super) fn finish_unstarted(&self, run: RunId, outcome: Outcome, now: Timestamp) -> StoreResult<()> {
        self.transaction
            .prepare_cached(
                "UPDATE run SET state = 'finished', finished_at = ?3, outcome = ?4
                 WHERE job_id = ?1 AND number = ?2 AND state = 'queued' AND keeper IS NULL",
            )?
            .execute(params![run.job, run.number, now, outcome])?;
        self.settle_job(run.job, now)
    }

    /// Marks a job done if it has neither a fire nor an unfinished run left.
    pub fn settle_job(&self, job: JobId, now: Timestamp) -> StoreResult<()> {
        self.transaction
            .prepare_cached(
                "UPDATE job SET done_at = ?2 WHERE id = ?1 AND done_at IS NULL
                 AND NOT EXISTS (SELECT 1 FROM run WHERE job_id = ?1 AND state <> 'finished')
                 AND NOT EXISTS (SELECT 1 FROM trigger WHERE job_id = ?1 AND (next_at IS NOT NULL OR boot_id IS NOT NULL))",
            )?
            .execute(params![job, now])?;
        Ok(())
    }

    fn claim(&self, run: RunId, keeper: ClaimFor, now: Timestamp) -> StoreResult<()> {
        let changed = self
            .transaction
            .prepare_cached(
                "UPDATE run SET keeper = ?3, claimed_at = ?4, has_pipe = ?5
                 WHERE job_id = ?1 AND number = ?2 AND state = 'queued' AND keeper IS NULL",
            )?
            .execute(params![run.job, run.number, keeper.keeper, now, keeper.has_pipe])?;
        assert_eq!(changed, 1, "run {run} was a candidate of this very transaction");
        Ok(())
    }

    /// Records that a run's attempt has a process.
    pub fn record_start(&self, run: RunId, attempt: u32, pid: u32, at: Timestamp) -> StoreResult<()> {
        self.transaction
            .prepare_cached(
                "UPDATE run SET state = 'running', pid = ?4, started_at = ?5
                 WHERE job_id = ?1 AND number = ?2 AND attempt = ?3 AND state = 'queued' AND keeper IS NOT NULL",
            )?
            .execute(params![run.job, run.number, attempt, pid, at])?;
        Ok(())
    }

    /// Records that the processes of a run's attempt, whose keeper is gone, are watched by another. Where
    /// nobody was told of the start, `at` is what the kernel's ticks say, and the claim came before it.
    pub fn record_unattended(
        &self,
        run: RunId,
        attempt: u32,
        keeper: i64,
        pid: u32,
        at: Timestamp,
    ) -> StoreResult<()> {
        self.transaction
            .prepare_cached(
                "UPDATE run SET state = 'running', pid = ?5, keeper = ?4, is_unattended = 1,
                    started_at = coalesce(started_at, iif(claimed_at - ?6 BETWEEN 0 AND ?7, claimed_at, ?6))
                 WHERE job_id = ?1 AND number = ?2 AND attempt = ?3 AND state <> 'finished' AND keeper IS NOT NULL",
            )?
            .execute(params![run.job, run.number, attempt, keeper, pid, at, TICKS])?;
        Ok(())
    }

    /// Returns an attempt that is not finished; `None` if there is none, or its result is recorded already.
    pub fn open_attempt(&self, run: RunId, attempt: u32) -> StoreResult<Option<OpenAttempt>> {
        Ok(self
            .transaction
            .prepare_cached(
                "SELECT stop_at IS NOT NULL, queue FROM run
                 WHERE job_id = ?1 AND number = ?2 AND attempt = ?3 AND state <> 'finished'",
            )?
            .query_row(params![run.job, run.number, attempt], |row| {
                Ok(OpenAttempt { stop_wanted: row.get(0)?, queue: row.get(1)? })
            })
            .optional()?)
    }

    /// Records how an attempt ended.
    pub fn record_end(&self, result: &Result, conclusion: &Conclusion) -> StoreResult<()> {
        let (outcome, exit_code, signal, cause) = match conclusion {
            Conclusion::Requeued => return self.requeue(result.run),
            Conclusion::Finished { outcome, exit_code, signal, cause } => (outcome, exit_code, signal, cause),
        };
        self.transaction
            .prepare_cached(
                "UPDATE run SET state = 'finished', finished_at = :finished_at, outcome = :outcome, exit_code = :exit_code,
                    signal = :signal, cause = :cause, pid = coalesce(pid, :pid), started_at = coalesce(started_at, :started_at),
                    user_us = :user, system_us = :system, max_rss_kib = :max_rss, output_bytes = :output_bytes
                 WHERE job_id = :job AND number = :number AND state <> 'finished'",
            )?
            .execute(named_params! {
                ":finished_at": result.finished_at,
                ":outcome": outcome,
                ":exit_code": exit_code,
                ":signal": signal,
                ":cause": cause,
                ":pid": result.started.map(|(pid, _)| pid),
                ":started_at": result.started.map(|(_, at)| at),
                ":user": result.usage.user,
                ":system": result.usage.system,
                ":max_rss": result.usage.max_rss_kib.cast_signed(),
                ":output_bytes": result.output_bytes.cast_signed(),
                ":job": result.run.job,
                ":number": result.run.number,
            })?;
        if let Some(output) = &result.output {
            self.transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO output (run_id, data)
                     SELECT id, ?3 FROM run WHERE job_id = ?1 AND number = ?2",
                )?
                .execute(params![result.run.job, result.run.number, output])?;
        }
        if let Some((_, started_at)) = result.started {
            self.learn_duration(result.run, result.finished_at.since(started_at))?;
        }
        self.queue_mail(result.run, result.finished_at)?;
        self.settle_job(result.run.job, result.finished_at)
    }

    /// Ends a run whose keeper is gone.
    pub fn record_lost(&self, run: RunId, now: Timestamp) -> StoreResult<()> {
        self.transaction
            .prepare_cached(
                "UPDATE run SET state = 'finished', finished_at = ?3, outcome = 'lost',
                    cause = ?4
                 WHERE job_id = ?1 AND number = ?2 AND state <> 'finished'",
            )?
            .execute(params![run.job, run.number, now, LOST])?;
        self.queue_mail(run, now)?;
        self.settle_job(run.job, now)
    }

    /// Puts a claimed run that has no process back among the waiting.
    pub fn requeue(&self, run: RunId) -> StoreResult<()> {
        self.transaction
            .prepare_cached(
                "UPDATE run SET keeper = NULL, claimed_at = NULL, stop_told = 0, state = 'queued', pid = NULL, started_at = NULL,
                    has_pipe = 0, is_unattended = 0
                 WHERE job_id = ?1 AND number = ?2 AND state <> 'finished'",
            )?
            .execute(params![run.job, run.number])?;
        Ok(())
    }

    /// Keeps the mean duration of a queue's runs: each new one counts an eighth.
    fn learn_duration(&self, run: RunId, took: Span) -> StoreResult<()> {
        self.transaction
            .prepare_cached(
                "UPDATE queue SET mean_run_us = coalesce((mean_run_us * 7 + ?3) / 8, ?3)
                 WHERE name = (SELECT queue FROM run WHERE job_id = ?1 AND number = ?2)",
            )?
            .execute(params![run.job, run.number, took])?;
        Ok(())
    }

    /// Returns the claimed runs that are to be stopped and whose keeper was not told, each with its attempt
    /// and whether to KILL at once; from here on they count as told.
    pub fn take_stops(&self) -> StoreResult<Vec<(RunId, u32, bool)>> {
        let mut statement = self.transaction.prepare_cached(
            "UPDATE run SET stop_told = 1
             WHERE state <> 'finished' AND stop_at IS NOT NULL AND stop_told = 0 AND keeper IS NOT NULL
             RETURNING job_id, number, attempt, stop_now",
        )?;
        let stops = statement.query_map([], wanted_stop)?;
        Ok(stops.collect::<rusqlite::Result<_>>()?)
    }

    /// Forgets which stops the keeper was told of, so that a new connection tells them again.
    pub fn forget_told_stops(&self) -> StoreResult<()> {
        self.transaction.execute(
            "UPDATE run SET stop_told = 0 WHERE state <> 'finished' AND keeper IS NOT NULL AND stop_at IS NOT NULL",
            [],
        )?;
        Ok(())
    }
}

/// Reads a run that is to be stopped: its attempt, and whether to KILL at once.
fn wanted_stop(row: &Row<'_>) -> rusqlite::Result<(RunId, u32, bool)> {
    Ok((RunId { job: row.get(0)?, number: row.get(1)? }, row.get(2)?, row.get(3)?))
}

impl Reader<'_> {
    /// Returns the stops that `take_stops` would, and leaves it at that: for a store that cannot be written.
    pub fn untold_stops(&self) -> StoreResult<Vec<(RunId, u32, bool)>> {
        let mut statement = self.transaction.prepare(
            "SELECT job_id, number, attempt, stop_now FROM run
             WHERE state <> 'finished' AND stop_at IS NOT NULL AND stop_told = 0 AND keeper IS NOT NULL",
        )?;
        let stops = statement.query_map([], wanted_stop)?;
        Ok(stops.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns what a keeper must know to start a run.
    pub fn start(&self, run: RunId) -> StoreResult<Start> {
        Ok(self
            .transaction
            .prepare_cached(
                "SELECT run.attempt, run.trigger, run.scheduled_at, job.name, run.queue, job.command, job.is_script,
                    job.cwd, environment.vars, job.umask, job.timeout_us, job.kill_after_us,
                    (SELECT slots FROM queue WHERE name = run.queue), job.stdin_path, job.stdin_text, job.user,
                    job.cwd_optional
                 FROM run JOIN job ON job.id = run.job_id JOIN environment ON environment.id = job.environment_id
                 WHERE run.job_id = ?1 AND run.number = ?2",
            )?
            .query_row(params![run.job, run.number], |row| {
                Ok(Start {
                    run,
                    attempt: row.get(0)?,
                    kind: row.get(1)?,
                    scheduled_at: row.get(2)?,
                    name: row.get(3)?,
                    queue: row.get(4)?,
                    execution: Execution {
                        command: codec::command(row.get(5)?, row.get(6)?),
                        cwd: row.get(7)?,
                        cwd_optional: row.get(16)?,
                        env: split(row.get_ref(8)?.as_blob()?),
                        umask: row.get(9)?,
                        stdin: codec::stdin(row, 13)?,
                        user: row.get(15)?,
                    },
                    timeout: row.get(10)?,
                    kill_after: row.get(11)?,
                    slots: row.get(12)?,
                })
            })?)
    }
}
