//! Owns: applying plans: runs are made, claimed, unclaimed, stopped.
//! Never: deciding on them (see `engine`).

use rusqlite::{Row, named_params, params};

use super::arrays::Place;
use super::claimant::Claimant;
use super::deadlines::{GATE_CLOSED, TOO_LATE};
use super::{Reader, StoreResult, Writer, codec};
use crate::domain::{FarPlace, FireId, Happening, JobId, Policy, RunId, Share, Timestamp, Word};
use crate::engine::{Claim, Fate, NewRun, Plan, Waiting};

/// The changes of a turn that the keeper must receive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Runs to start, in this order.
    pub claimed: Vec<RunId>,
    /// Runs that hosts of executors are to start.
    pub far: Vec<(RunId, FarPlace)>,
    /// What runs get that stand by in the keeper.
    pub given: Vec<(RunId, Share)>,
    /// Prefetched runs that must not start now.
    pub unclaimed: Vec<RunId>,
    /// The width of each queue with prefetched runs.
    pub widths: Vec<(String, usize)>,
}

impl Writer<'_> {
    /// Applies a plan, whose runs are claimed for `keeper`, an instance.
    pub fn apply(
        &self,
        plan: &Plan,
        keeper: Option<i64>,
        now: Timestamp,
        applied: &mut Applied,
    ) -> StoreResult<()> {
        for fire in &plan.expired {
            self.miss(*fire, TOO_LATE, now)?;
        }
        for fire in &plan.left_at_gates {
            self.miss(*fire, GATE_CLOSED, now)?;
        }
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
        for (job, passed) in &plan.passed {
            self.set_passed(*job, *passed)?;
            // The last fire of all may have been passed over, with no run whose end would say so.
            self.has_lost_fires(*job);
        }
        for trigger in &plan.awaiting_end {
            self.await_end(*trigger)?;
        }
        for trigger in &plan.ended {
            self.end_trigger(*trigger)?;
        }
        for trigger in &plan.timed_out {
            self.time_out(*trigger, now)?;
        }
        for job in &plan.rested {
            self.end_rest(*job, now)?;
        }
        plan.looks.iter().try_for_each(|look| self.look(look, now))?;
        for run in &plan.retried {
            self.queue_retry(*run)?;
        }
        for (run, at) in &plan.postponed {
            self.set_retry_time(*run, *at)?;
        }
        for (fire, at) in &plan.deadlines {
            self.set_deadline(*fire, *at)?;
        }
        for (fire, after) in &plan.released {
            self.release(*fire, after)?;
        }
        for (fire, why) in &plan.barred {
            self.bar(*fire, why, now)?;
        }
        for fire in &plan.awaiting {
            self.keep_awaiting(*fire)?;
        }
        for (job, reason) in &plan.broken {
            self.pause_broken(*job, reason, now)?;
        }
        for (run, share) in &plan.given {
            self.book(*run, share)?;
            applied.given.push((*run, share.clone()));
        }
        for claim in &plan.claimed {
            let keeper =
                keeper.expect("a snapshot without a keeper has no queues, so its plan claims nothing");
            self.apply_claim(claim, keeper, now, applied)?;
        }
        applied.unclaimed.extend(&plan.unclaimed);
        applied.widths.extend(plan.widths.iter().cloned());
        Ok(())
    }

    fn apply_claim(
        &self,
        claim: &Claim,
        keeper: i64,
        now: Timestamp,
        applied: &mut Applied,
    ) -> StoreResult<()> {
        let claimant = Claimant::of(keeper, claim.place.as_ref());
        let runs = match claim.what {
            Waiting::Run(run) => {
                self.claim(run, claimant, now)?;
                vec![run]
            }
            Waiting::Array { array, rest: count } => self.start_indices(array, count, claimant, now)?,
        };
        if let Some(share) = &claim.share {
            self.book(*runs.last().expect("a claim with a share is of one run"), share)?;
        }
        match &claim.place {
            None => applied.claimed.extend(runs),
            Some(place) => applied.far.extend(runs.into_iter().map(|run| (run, place.clone()))),
        }
        Ok(())
    }

    /// Makes a run, with the queue, rank and limit that its job has now; of a job with an array, an array.
    pub fn insert_run(&self, new: &NewRun, now: Timestamp) -> StoreResult<FireId> {
        let is_queued = new.fate == Fate::Queued;
        // Not by RETURNING, for which SQLite makes a table each time.
        self.change(
            "UPDATE job SET runs = runs + iif(array_first IS NULL OR NOT ?2, 1, 0), done_at = NULL
             WHERE id = ?1",
            params![new.job, is_queued],
        )?;
        let (number, place, array) = self.one(
            "SELECT runs, queue, overlap, EXISTS (SELECT 1 FROM dependency WHERE job_id = job.id),
                start_by_us, requirement_id, array_first, array_last, array_step, array_at_once
             FROM job WHERE id = ?1",
            [new.job],
            |row| Ok((row.get(0)?, place(row, 1)?, codec::array(row, 6)?)),
        )?;
        if let Some(array) = array.filter(|_| is_queued) {
            let place = Place { at_once: array.at_once, ..place };
            let id = self.insert_array(new, &[array.indices], &place, now)?;
            return Ok(FireId::Array { job: new.job, array: id });
        }
        let run = RunId { job: new.job, number };
        let (state, outcome) = match new.fate {
            Fate::Queued => ("queued", None),
            Fate::Finished(outcome) => ("finished", Some(outcome)),
        };
        self.change(
            "INSERT INTO run (job_id, number, trigger, trigger_id, scheduled_at, fires, queue, rank,
                requirement_id, at_once, state, queued_at, start_by, awaits, bundle_id, finished_at,
                outcome, cause)
             VALUES (:job, :number, :trigger, :trigger_id, :scheduled_at, :fires, :queue, :rank,
                :requirement, :at_once, :state, :now, :start_by, :awaits, :bundle,
                iif(:outcome IS NULL, NULL, :now), :outcome, :cause)",
            named_params! {
                ":job": run.job,
                ":number": run.number,
                ":trigger": new.kind,
                ":trigger_id": new.trigger.map(|trigger| trigger.0),
                ":scheduled_at": new.scheduled_at,
                ":fires": new.fires.cast_signed(),
                ":queue": place.queue,
                ":rank": self.rank_of(new.job)?.at(now, new.scheduled_at),
                ":requirement": place.requirement,
                ":at_once": place.at_once,
                ":state": state,
                ":now": now,
                ":start_by": place.start_within.filter(|_| is_queued).map(|within| now + within),
                ":awaits": if place.depends && outcome.is_none() && new.obeys_after { 2 } else { 0 },
                ":bundle": new.bundle,
                ":outcome": outcome,
                ":cause": new.cause,
            },
        )?;
        let (trigger, scheduled_at) = (new.kind.as_str().into(), new.scheduled_at);
        self.record(&match outcome {
            None => Happening::Queued { run, trigger, scheduled_at },
            Some(outcome) => {
                self.has_ended(run, now);
                let (outcome, cause) = (outcome.as_str().into(), new.cause.map(Word::Borrowed));
                Happening::Passed { run, outcome, trigger, scheduled_at, fires: new.fires, cause }
            }
        });
        Ok(FireId::Run(run))
    }

    /// Returns the place that the arrays of a job take now.
    pub(super) fn place_of(&self, job: JobId) -> StoreResult<Place> {
        self.one(
            "SELECT queue, overlap, EXISTS (SELECT 1 FROM dependency WHERE job_id = job.id),
                start_by_us, requirement_id, array_at_once FROM job WHERE id = ?1",
            [job],
            |row| Ok(Place { at_once: row.get(5)?, ..place(row, 0)? }),
        )
    }

    /// Queues a run whose next attempt is due.
    fn queue_retry(&self, run: RunId) -> StoreResult<()> {
        self.change(
            "UPDATE run SET state = 'queued', not_before = NULL
             WHERE job_id = ?1 AND number = ?2 AND state = 'retrying'",
            params![run.job, run.number],
        )
    }

    fn set_retry_time(&self, run: RunId, at: Timestamp) -> StoreResult<()> {
        self.change(
            "UPDATE run SET not_before = ?3 WHERE job_id = ?1 AND number = ?2 AND state = 'retrying'",
            params![run.job, run.number, at],
        )
    }

    fn claim(&self, run: RunId, claimant: Claimant<'_>, now: Timestamp) -> StoreResult<()> {
        let Claimant { keeper, executor, host } = claimant;
        let changed = self.changed(
            "UPDATE run SET keeper = ?3, claimed_at = ?4, executor = ?5, host = ?6,
                is_split = (SELECT split_output FROM job WHERE id = ?1)
             WHERE job_id = ?1 AND number = ?2 AND state = 'queued' AND keeper IS NULL",
            params![run.job, run.number, keeper, now, executor, host],
        )?;
        assert_eq!(changed, 1, "run {run} was a candidate in this transaction");
        Ok(())
    }

    /// Queues a claimed run again that has no process.
    pub fn requeue(&self, run: RunId) -> StoreResult<()> {
        self.end_run_timers_of_attempt(run)?;
        self.change(
            "UPDATE run SET keeper = NULL, claimed_at = NULL, stop_sent = 0, paused_at = NULL, pause_sent = 1,
                share = NULL, state = 'queued', pid = NULL, started_at = NULL, is_unattended = 0,
                executor = NULL, host = NULL, far_note = NULL
             WHERE job_id = ?1 AND number = ?2 AND state <> 'finished'",
            params![run.job, run.number],
        )
    }

    /// Returns the stops that were not sent to a keeper, and marks them as sent: the run, its attempt, and
    /// whether to send KILL at once.
    pub fn take_stops(&self) -> StoreResult<Vec<(RunId, u32, bool)>> {
        let stops = self.unsent_stops()?;
        for (run, ..) in &stops {
            self.change(
                "UPDATE run SET stop_sent = 1 WHERE job_id = ?1 AND number = ?2",
                params![run.job, run.number],
            )?;
        }
        Ok(stops)
    }

    /// Marks all stops as not sent, because a new connection must send them again.
    pub fn resend_stops(&self) -> StoreResult<()> {
        self.change(
            "UPDATE run SET stop_sent = 0
             WHERE state <> 'finished' AND keeper IS NOT NULL AND stop_at IS NOT NULL",
            [],
        )
    }
}

/// Reads the place of a run from five columns that start at `first`: queue, overlap, whether its job depends
/// on others, how long it may wait, and what it requires.
fn place(row: &Row<'_>, first: usize) -> rusqlite::Result<Place> {
    let policy = Policy { overlap: row.get(first + 1)?, ..Policy::default() };
    Ok(Place {
        queue: row.get(first)?,
        at_once: policy.at_once(),
        depends: row.get(first + 2)?,
        start_within: row.get(first + 3)?,
        requirement: row.get(first + 4)?,
    })
}

impl Reader<'_> {
    /// Returns the same stops as `take_stops`, and marks nothing: for a store that cannot be written.
    pub fn unsent_stops(&self) -> StoreResult<Vec<(RunId, u32, bool)>> {
        self.all(
            "SELECT job_id, number, attempt, stop_now FROM run
             WHERE state <> 'finished' AND stop_at IS NOT NULL AND stop_sent = 0 AND keeper IS NOT NULL",
            [],
            |row| Ok((RunId { job: row.get(0)?, number: row.get(1)? }, row.get(2)?, row.get(3)?)),
        )
    }
}
