//! Owns: making plans so: runs made, claimed, unclaimed, stopped.
//! Never: deciding on them.

use rusqlite::{Row, named_params, params};

use super::{Reader, StoreResult, Writer};
use crate::domain::{Overlap, RunId, Timestamp, rank};
use crate::engine::{Fate, NewRun, Plan};

/// The keeper that runs are claimed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimFor {
    /// The keeper's instance.
    pub keeper: i64,
    /// It makes a pipe before each start.
    pub has_pipe: bool,
}

/// What a turn changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Runs to be started, in this order.
    pub claimed: Vec<RunId>,
    /// Runs to be unclaimed.
    pub unclaimed: Vec<RunId>,
    /// The width of each queue in which runs stand by.
    pub widths: Vec<(String, usize)>,
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
            self.cancel_waiting(*run, now)?;
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
        for run in &plan.claimed {
            let keeper =
                keeper.expect("nothing is claimed without a keeper: the snapshot has no queues then");
            self.claim(*run, keeper, now)?;
            applied.claimed.push(*run);
        }
        applied.unclaimed.extend(&plan.unclaimed);
        applied.widths.extend(plan.widths.iter().cloned());
        Ok(())
    }

    /// Makes a run. Its queue, rank and limit are those that its job has now.
    pub fn insert_run(&self, new: &NewRun, now: Timestamp) -> StoreResult<RunId> {
        let (number, queue, priority, overlap): (i64, String, i32, Overlap) = self
            .transaction
            .prepare_cached(
                "UPDATE job SET runs = runs + 1, done_at = NULL WHERE id = ?1
                 RETURNING runs, queue, priority, overlap",
            )?
            .query_row([new.job], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        let run = RunId { job: new.job, number };
        let (state, outcome) = match new.fate {
            Fate::Queued => ("queued", None),
            Fate::Finished(outcome) => ("finished", Some(outcome)),
        };
        self.transaction
            .prepare_cached(
                "INSERT INTO run (job_id, number, trigger, trigger_id, scheduled_at, fires, queue, rank, at_once,
                    state, queued_at, finished_at, outcome, cause)
                 VALUES (:job, :number, :trigger, :trigger_id, :scheduled_at, :fires, :queue, :rank, :at_once,
                    :state, :now, iif(:outcome IS NULL, NULL, :now), :outcome, :cause)",
            )?
            .execute(named_params! {
                ":job": run.job,
                ":number": run.number,
                ":trigger": new.kind,
                ":trigger_id": new.trigger.map(|trigger| trigger.0),
                ":scheduled_at": new.scheduled_at,
                ":fires": new.fires.cast_signed(),
                ":queue": queue,
                ":rank": rank(priority),
                ":at_once": overlap.at_once(),
                ":state": state,
                ":now": now,
                ":outcome": outcome,
                ":cause": new.cause,
            })?;
        if outcome.is_some() {
            self.has_ended(run);
        }
        Ok(run)
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

    /// Puts a claimed run that has no process back among the waiting.
    pub fn requeue(&self, run: RunId) -> StoreResult<()> {
        self.transaction
            .prepare_cached(
                "UPDATE run SET keeper = NULL, claimed_at = NULL, stop_sent = 0, state = 'queued', pid = NULL, started_at = NULL,
                    has_pipe = 0, is_unattended = 0
                 WHERE job_id = ?1 AND number = ?2 AND state <> 'finished'",
            )?
            .execute(params![run.job, run.number])?;
        Ok(())
    }

    /// Returns the claimed runs that are to be stopped and whose keeper was not told, each with its attempt
    /// and whether to KILL at once; from here on they count as told.
    pub fn take_stops(&self) -> StoreResult<Vec<(RunId, u32, bool)>> {
        let mut statement = self.transaction.prepare_cached(
            "UPDATE run SET stop_sent = 1
             WHERE state <> 'finished' AND stop_at IS NOT NULL AND stop_sent = 0 AND keeper IS NOT NULL
             RETURNING job_id, number, attempt, stop_now",
        )?;
        let stops = statement.query_map([], wanted_stop)?;
        Ok(stops.collect::<rusqlite::Result<_>>()?)
    }

    /// Forgets which stops the keeper was told of, so that a new connection tells them again.
    pub fn resend_stops(&self) -> StoreResult<()> {
        self.transaction.execute(
            "UPDATE run SET stop_sent = 0 WHERE state <> 'finished' AND keeper IS NOT NULL AND stop_at IS NOT NULL",
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
    pub fn unsent_stops(&self) -> StoreResult<Vec<(RunId, u32, bool)>> {
        let mut statement = self.transaction.prepare(
            "SELECT job_id, number, attempt, stop_now FROM run
             WHERE state <> 'finished' AND stop_at IS NOT NULL AND stop_sent = 0 AND keeper IS NOT NULL",
        )?;
        let stops = statement.query_map([], wanted_stop)?;
        Ok(stops.collect::<rusqlite::Result<_>>()?)
    }
}
