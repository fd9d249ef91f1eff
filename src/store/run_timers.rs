//! Owns: the times at which triggers look at runs under way, and the events that they find.
//! Never: deciding what a look finds (see `engine`), or looking at the output (see `daemon`).

use rusqlite::{Row, named_params, params};
use serde_json::json;

use super::listening::{HeardEvent, Listener};
use super::{Reader, StoreResult, Writer};
use crate::domain::{
    EventSource, JobId, JobName, JobSource, JobStage, Occurrence, RunId, Span, Timestamp, TriggerId,
};
use crate::engine::{Look, RunTimer, Silence, USUAL_RUNS_MAX, usual_limit};

/// How many due ones one step reads: enough to share a commit, and few enough for constant memory.
const DUE_MAX: usize = 1_000;

/// The states of the data of the events.
const OVERDUE: &str = "overdue";
const SILENT: &str = "silent";

/// A run that has a process.
#[derive(Clone, Copy, Debug)]
struct RunningRow {
    id: i64,
    run: RunId,
    started_at: Timestamp,
}

const RUN_TIMER: &str = "SELECT run_timer.trigger_id, run.job_id, run.number, run.attempt, run_timer.at,
    run_timer.span_us, run_timer.quiet_since, run_timer.written_at, run_timer.is_told
    FROM run_timer JOIN run ON run.id = run_timer.run_id
    WHERE run_timer.at IS NOT NULL AND run_timer.at <= ?1 ORDER BY run_timer.at";

fn run_timer(row: &Row<'_>) -> rusqlite::Result<RunTimer> {
    let since: Option<Timestamp> = row.get(6)?;
    let (seen, is_told) = (row.get(7)?, row.get(8)?);
    Ok(RunTimer {
        trigger: TriggerId(row.get(0)?),
        run: RunId { job: row.get(1)?, number: row.get(2)? },
        attempt: row.get(3)?,
        at: row.get(4)?,
        span: row.get(5)?,
        silence: since.map(|since| Silence { since, seen, is_told }),
        written_at: None,
    })
}

impl Reader<'_> {
    /// Returns the triggers that are to look at a run now, the first ones of many. The files of its output
    /// are not looked at yet.
    pub fn due_run_timers(&self, now: Timestamp) -> StoreResult<Vec<RunTimer>> {
        let mut statement = self.transaction.prepare_cached(RUN_TIMER)?;
        let due = statement.query_map([now], run_timer)?;
        Ok(due.take(DUE_MAX).collect::<rusqlite::Result<_>>()?)
    }

    /// Returns all triggers that are to look at a run at some time.
    pub fn run_timers(&self) -> StoreResult<Vec<RunTimer>> {
        self.all(RUN_TIMER, [Timestamp::MAX], run_timer)
    }

    /// Returns when a trigger looks at a run next.
    pub fn next_run_timer(&self) -> StoreResult<Option<Timestamp>> {
        self.one("SELECT min(at) FROM run_timer WHERE at IS NOT NULL", [], |row| row.get(0))
    }

    /// Returns how long a run of a job may take, as its latest runs say; `None`: too few of them have
    /// succeeded.
    fn usual_limit_of(&self, job: JobId) -> StoreResult<Option<Span>> {
        let took: Vec<Span> = self.all(
            "SELECT max(finished_at - started_at, 0) FROM (
                SELECT started_at, finished_at, outcome FROM run WHERE job_id = ?1 AND callback IS NULL
                ORDER BY number DESC LIMIT ?2)
             WHERE outcome = 'success' AND started_at IS NOT NULL",
            params![job, i64::try_from(USUAL_RUNS_MAX).unwrap_or(i64::MAX)],
            |row| row.get(0),
        )?;
        Ok(usual_limit(&took))
    }

    fn occurrence_under_way(&self, run: RunId, state: &str, at: Timestamp) -> StoreResult<Occurrence> {
        let job_name = self.job_name(run.job)?;
        let started_at: Option<Timestamp> = self.one(
            "SELECT started_at FROM run WHERE job_id = ?1 AND number = ?2",
            params![run.job, run.number],
            |row| row.get(0),
        )?;
        let data = json!({
            "job_id": run.job,
            "job": job_name,
            "run": run.to_string(),
            "state": state,
            "running_ms": started_at.map(|started_at| at.since(started_at).as_millis()),
        });
        let shown = job_name.as_ref().map_or_else(|| run.job.to_string(), JobName::to_string);
        Ok(Occurrence {
            at,
            name: format!("{shown}.{}", run.number),
            data: Some(data.to_string()),
            count: 1,
            depth: self.depth_of_run(run)?,
        })
    }
}

impl Writer<'_> {
    /// Lets the triggers that mean the job of a run look at the attempt that has started. A callback is no
    /// run of its own.
    pub(super) fn start_run_timers(&self, run: RunId) -> StoreResult<()> {
        if !self.is_listened_to()? {
            return Ok(());
        }
        let mut listeners = self.listeners_of_job(run.job)?;
        listeners.retain(|listener| listener.event.watches_runs());
        if listeners.is_empty() {
            return Ok(());
        }
        let started = self.first(
            "SELECT id, started_at FROM run WHERE job_id = ?1 AND number = ?2 AND callback IS NULL",
            params![run.job, run.number],
            |row| Ok(RunningRow { id: row.get(0)?, run, started_at: row.get(1)? }),
        )?;
        let Some(started) = started else { return Ok(()) };
        self.insert_run_timers(&listeners, started, started.started_at)
    }

    /// Lets the triggers of a new job look at the runs that are under way. One that is overdue already is
    /// told at once.
    pub(super) fn look_at_running(&self, listening: JobId, now: Timestamp) -> StoreResult<()> {
        // Few runs are claimed. By itself SQLite would read all that are queued, or the whole history.
        let running = self.all(
            "SELECT id, job_id, number, started_at FROM run INDEXED BY run_claimed
             WHERE state <> 'finished' AND keeper IS NOT NULL AND state = 'running' AND callback IS NULL
             ORDER BY id",
            [],
            |row| {
                let run = RunId { job: row.get(1)?, number: row.get(2)? };
                Ok(RunningRow { id: row.get(0)?, run, started_at: row.get(3)? })
            },
        )?;
        for row in running {
            let mut listeners = self.listeners_of_job(row.run.job)?;
            listeners.retain(|listener| listener.job == listening && listener.event.watches_runs());
            self.insert_run_timers(&listeners, row, now)?;
        }
        Ok(())
    }

    /// `from`: no trigger looks earlier.
    fn insert_run_timers(&self, listeners: &[Listener], row: RunningRow, from: Timestamp) -> StoreResult<()> {
        let stage_of = |listener: &Listener| match &listener.event.source {
            EventSource::Job(JobSource { stage, .. }) => Some(*stage),
            EventSource::Path(_) | EventSource::Emit(_) | EventSource::Stream(_) | EventSource::State(_) => {
                None
            }
        };
        let needs_usual = listeners.iter().any(|one| stage_of(one) == Some(JobStage::Overdue(None)));
        let usual = if needs_usual { self.usual_limit_of(row.run.job)? } else { None };
        for listener in listeners {
            let (span, silence) = match stage_of(listener) {
                Some(JobStage::Overdue(span)) => (span.or(usual), None),
                Some(JobStage::Silent(span)) => (Some(span), Some(Silence::from_start(row.started_at))),
                Some(JobStage::Done | JobStage::Success | JobStage::Failed | JobStage::Started) | None => {
                    continue;
                }
            };
            let Some(span) = span else { continue };
            // One that has told that the run is overdue stays as it is.
            self.change(
                "INSERT OR IGNORE INTO run_timer (trigger_id, run_id, span_us, at, quiet_since)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    listener.trigger.0,
                    row.id,
                    span,
                    (row.started_at + span).max(from),
                    silence.map(|silence| silence.since)
                ],
            )?;
        }
        Ok(())
    }

    /// Stores what a trigger has found at a run, and lets it hear of it.
    pub(super) fn look(&self, look: &Look, now: Timestamp) -> StoreResult<()> {
        let Look { trigger, run, silence, .. } = *look;
        let changed = self.changed(
            "UPDATE run_timer SET at = :at, quiet_since = :since, written_at = :seen, is_told = :is_told
             WHERE trigger_id = :trigger
                AND run_id = (SELECT id FROM run WHERE job_id = :job AND number = :number)",
            named_params! {
                ":at": look.next_at,
                ":since": silence.map(|silence| silence.since),
                ":seen": silence.and_then(|silence| silence.seen),
                ":is_told": silence.is_some_and(|silence| silence.is_told),
                ":trigger": trigger.0,
                ":job": run.job,
                ":number": run.number,
            },
        )?;
        let Some(at) = look.event_at.filter(|_| changed > 0) else { return Ok(()) };
        let Some(listener) = self.listener(trigger)? else { return Ok(()) };
        let state = if silence.is_some() { SILENT } else { OVERDUE };
        let occurrence = self.occurrence_under_way(run, state, at)?;
        self.hear(&listener, &HeardEvent::of(occurrence), now)
    }

    /// Lets no trigger look at a run without a process. Those that have told that it is overdue do not tell
    /// it of the next attempt.
    pub(super) fn end_run_timers_of_attempt(&self, run: RunId) -> StoreResult<()> {
        self.change(
            "DELETE FROM run_timer WHERE at IS NOT NULL
                AND run_id = (SELECT id FROM run WHERE job_id = ?1 AND number = ?2)",
            params![run.job, run.number],
        )
    }

    /// Lets no trigger look at a run that has ended, by its row.
    pub(super) fn drop_run_timers_at(&self, row: i64) -> StoreResult<()> {
        self.change("DELETE FROM run_timer WHERE run_id = ?1", [row])
    }

    /// Lets a trigger look at no run.
    pub(super) fn drop_run_timers_of(&self, trigger: TriggerId) -> StoreResult<()> {
        self.change("DELETE FROM run_timer WHERE trigger_id = ?1", [trigger.0])
    }
}
