//! Owns: queueing callbacks, and the facts about the runs that they follow.
//! Never: deciding which callbacks run (see `engine`).

use rusqlite::params;

use super::{Reader, StoreResult, Writer};
use crate::domain::{
    ArrayId, CALLBACK_RANK, CallbackWhen, CommandLine, FireId, Happening, JobId, NewJob, Outcome, RunId,
    Stdin, Timestamp, TriggerKind,
};

/// The facts about a run that a callback gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentNote {
    /// `12.3`; of an array, its job.
    pub run: String,
    /// `None`: it was forgotten.
    pub outcome: Option<Outcome>,
    pub exit_code: Option<i32>,
    /// Its result, as JSON.
    pub result: Option<String>,
}

/// Returns a job as one of its callbacks runs: only the script, where and as whom the job runs.
pub(super) fn as_callback(mut job: NewJob, when: CallbackWhen) -> NewJob {
    let script = job.callbacks.get_mut(when).take().unwrap_or_default();
    job.execution.command = CommandLine::Script(script);
    job.execution.stdin = Stdin::Null;
    job.policy.timeout = None;
    job
}

impl Reader<'_> {
    pub(super) fn parent_note(
        &self,
        job: JobId,
        number: Option<i64>,
        array: Option<ArrayId>,
    ) -> StoreResult<ParentNote> {
        let (run, found) = match number {
            Some(number) => (
                RunId { job, number }.to_string(),
                self.first(
                    "SELECT outcome, exit_code, opened_text('run.result', job_id, number, result) FROM run
                     WHERE job_id = ?1 AND number = ?2",
                    params![job, number],
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
                )?,
            ),
            None => (
                job.to_string(),
                self.first("SELECT outcome FROM array WHERE id = ?1", [array], |row| {
                    Ok((row.get(0)?, None, None))
                })?,
            ),
        };
        let (outcome, exit_code, result) = found.unwrap_or((None, None, None));
        Ok(ParentNote { run, outcome, exit_code, result })
    }
}

impl Writer<'_> {
    /// Queues a callback of a run, before all other runs of its queue.
    pub(super) fn queue_callback(
        &self,
        job: JobId,
        when: CallbackWhen,
        parent: FireId,
        now: Timestamp,
    ) -> StoreResult<()> {
        let (number, array) = match parent {
            FireId::Run(run) => (Some(run.number), None),
            FireId::Array { array, .. } => (None, Some(array)),
        };
        let run_number: i64 = self.one(
            "UPDATE job SET runs = runs + 1, done_at = NULL WHERE id = ?1 RETURNING runs",
            [job],
            |row| row.get(0),
        )?;
        self.change(
            "INSERT INTO run (job_id, number, trigger, callback, parent_number, parent_array, scheduled_at,
                queue, rank, state, queued_at)
             SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, queue, ?8, 'queued', ?7 FROM job WHERE id = ?1",
            params![job, run_number, TriggerKind::Callback, when, number, array, now, CALLBACK_RANK],
        )?;
        self.record(&Happening::Queued {
            run: RunId { job, number: run_number },
            trigger: TriggerKind::Callback.as_str().into(),
            scheduled_at: now,
        });
        Ok(())
    }
}
