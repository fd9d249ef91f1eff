//! Owns: the fires of jobs with an array: their indices that have no run yet, their counts, their ends.
//! Never: the runs of indices once they are made (see `ends`), deciding which start (see `engine`).

use rusqlite::{Row, named_params, params};

use super::claimant::Claimant;
use super::codec::indices;
use super::{Reader, StoreResult, Writer};
use crate::domain::{
    ArrayId, FireId, Happening, Indices, JobId, Outcome, RequirementId, RunId, Span, Timestamp, TriggerKind,
    Word,
};
use crate::engine::{ArrayFacts, NewRun};

/// The part of a job that a new run or array takes over.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) queue: String,
    pub(super) at_once: Option<u32>,
    /// Its job depends on others.
    pub(super) depends: bool,
    pub(super) requirement: RequirementId,
    /// How long it may wait for its start.
    pub(super) start_within: Option<Span>,
}

/// A run of an array that is being made.
struct RunOfArray {
    run: RunId,
    trigger: Word,
    scheduled_at: Timestamp,
}

/// How far the latest array of a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrayProgress {
    pub total: u32,
    pub finished: u32,
    /// Those of `finished` that failed.
    pub failed: u32,
    /// Those of `finished` that were cancelled or skipped.
    pub cancelled: u32,
    /// Those of `finished` that had no run in time.
    pub missed: u32,
    pub outcome: Option<Outcome>,
    pub finished_at: Option<Timestamp>,
}

impl ArrayProgress {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let ArrayFacts { total, succeeded, failed, cancelled, missed } = array_facts(row)?;
        Ok(Self {
            total,
            finished: succeeded + failed + cancelled + missed,
            failed,
            cancelled,
            missed,
            outcome: row.get(5)?,
            finished_at: row.get(6)?,
        })
    }

    /// Returns how many of its indices ended in another way than success.
    pub fn unsuccessful(&self) -> u32 {
        self.failed + self.cancelled + self.missed
    }
}

/// Reads the counts of an array from the first five columns.
fn array_facts(row: &Row<'_>) -> rusqlite::Result<ArrayFacts> {
    Ok(ArrayFacts {
        total: row.get(0)?,
        succeeded: row.get(1)?,
        failed: row.get(2)?,
        cancelled: row.get(3)?,
        missed: row.get(4)?,
    })
}

impl Reader<'_> {
    /// Returns the progress of the latest array of a job. Of a retry, it has all indices, also those that
    /// were not retried.
    pub fn array_progress(&self, job: JobId) -> StoreResult<Option<ArrayProgress>> {
        self.first(
            "SELECT total + kept_succeeded + kept_failed + kept_cancelled + kept_missed,
                succeeded + kept_succeeded, failed + kept_failed, cancelled + kept_cancelled,
                missed + kept_missed, outcome, finished_at FROM array
             WHERE job_id = ?1 ORDER BY id DESC LIMIT 1",
            [job],
            ArrayProgress::read,
        )
    }

    /// Returns the outcome of the latest run of each index that is in `part` and has one that ended.
    fn outcomes_of_indices(&self, job: JobId, part: &Indices) -> StoreResult<Vec<Outcome>> {
        // Of a bare column beside max(), SQLite takes the value in the row of the maximum.
        self.all(
            "SELECT outcome FROM (SELECT array_index, max(number), outcome FROM run
                WHERE job_id = ?1 AND array_index BETWEEN ?2 AND ?3 AND (array_index - ?2) % ?4 = 0
                    AND state = 'finished'
                GROUP BY array_index)",
            params![job, part.first(), part.last(), part.step()],
            |row| row.get(0),
        )
    }

    /// Returns the progress of an array; `None` if it was removed.
    pub fn array(&self, array: ArrayId) -> StoreResult<Option<ArrayProgress>> {
        self.first(
            "SELECT total, succeeded, failed, cancelled, missed, outcome, finished_at FROM array
             WHERE id = ?1",
            [array],
            ArrayProgress::read,
        )
    }

    /// Returns how many indices of a job's unfinished arrays have not ended.
    pub fn open_indices(&self, job: JobId) -> StoreResult<u32> {
        self.one(
            "SELECT coalesce(sum(total - succeeded - failed - cancelled - missed), 0) FROM array
             WHERE job_id = ?1 AND finished_at IS NULL",
            [job],
            |row| row.get(0),
        )
    }

    /// Returns whether an index of a job that is at least `first` and at most `last` has no run yet.
    pub fn has_rest_within(&self, job: JobId, first: u32, last: u32) -> StoreResult<bool> {
        for array in self.open_arrays(job)? {
            if self.rest(array)?.iter().any(|part| part.within(first, last).is_some()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns what starts next of the indices of a job that are at least `first` and at most `last`, but for
    /// the run `beside`, and how many of them wait: those without a run, else those with a run that has not
    /// started, else those that are tried again.
    pub fn next_of_indices(
        &self,
        job: JobId,
        (first, last): (u32, u32),
        beside: RunId,
    ) -> StoreResult<Option<(FireId, u64)>> {
        let (mut next, mut count) = (None, 0);
        for array in self.open_arrays(job)? {
            let parts = self.rest(array)?;
            let within: u64 = parts
                .iter()
                .filter_map(|part| part.within(first, last))
                .map(|part| u64::from(part.count()))
                .sum();
            if within > 0 {
                next = next.or(Some(FireId::Array { job, array }));
                count += within;
            }
        }
        let queued: Vec<(RunId, bool)> = self.all(
            "SELECT number, state = 'queued' FROM run WHERE job_id = ?1 AND state <> 'finished'
                AND state <> 'running' AND number <> ?2 AND +array_index BETWEEN ?3 AND ?4
             ORDER BY state = 'retrying', keeper IS NULL, not_before, rank, id",
            params![job, beside.number, first, last],
            |row| Ok((RunId { job, number: row.get(0)? }, row.get(1)?)),
        )?;
        let fresh = queued.iter().filter(|(_, is_queued)| *is_queued).count();
        let of_runs = if next.is_none() && fresh == 0 { queued.len() } else { fresh };
        let next = next.or(queued.first().map(|(run, _)| FireId::Run(*run)));
        Ok(next.map(|fire| (fire, count + u64::try_from(of_runs).unwrap_or(u64::MAX))))
    }

    /// Returns the latest run of each index of a job that is at least `first` and at most `last`, in their
    /// order.
    pub fn runs_of_indices(&self, job: JobId, first: u32, last: u32) -> StoreResult<Vec<(u32, RunId)>> {
        self.all(
            "SELECT array_index, max(number) FROM run
             WHERE job_id = ?1 AND array_index BETWEEN ?2 AND ?3 AND array_index IS NOT NULL
             GROUP BY array_index ORDER BY array_index",
            params![job, first, last],
            |row| Ok((row.get(0)?, RunId { job, number: row.get(1)? })),
        )
    }

    /// Returns whether a job has an unfinished array.
    pub fn has_open_array(&self, job: JobId) -> StoreResult<bool> {
        self.has("SELECT 1 FROM array WHERE job_id = ?1 AND finished_at IS NULL", [job])
    }

    /// Returns the arrays of a job that are not finished, the oldest first.
    pub(super) fn open_arrays(&self, job: JobId) -> StoreResult<Vec<ArrayId>> {
        self.all("SELECT id FROM array WHERE job_id = ?1 AND finished_at IS NULL ORDER BY id", [job], |row| {
            row.get(0)
        })
    }

    /// Returns the item of an index.
    pub fn item(&self, job: JobId, index: u32) -> StoreResult<Option<Vec<u8>>> {
        self.first(
            "SELECT opened('item.data', job_id, array_index, data) FROM item
             WHERE job_id = ?1 AND array_index = ?2",
            params![job, index],
            |row| row.get(0),
        )
    }

    /// Returns all items of a job, in the order of their indices.
    pub fn items(&self, job: JobId) -> StoreResult<Vec<Vec<u8>>> {
        self.all(
            "SELECT opened('item.data', job_id, array_index, data) FROM item
             WHERE job_id = ?1 ORDER BY array_index",
            [job],
            |row| row.get(0),
        )
    }

    /// Returns the facts about an array of which something has ended.
    pub(super) fn array_facts(&self, array: ArrayId) -> StoreResult<ArrayFacts> {
        self.one(
            "SELECT total, succeeded, failed, cancelled, missed FROM array WHERE id = ?1",
            [array],
            array_facts,
        )
    }

    fn rest(&self, array: ArrayId) -> StoreResult<Vec<Indices>> {
        self.all(
            "SELECT first, last, step FROM array_rest WHERE array_id = ?1 ORDER BY first",
            [array],
            |row| indices([row.get(0)?, row.get(1)?, row.get(2)?]),
        )
    }
}

impl Writer<'_> {
    /// Gives a job these items in place of the ones it has.
    pub fn set_items(&self, job: JobId, items: &[Vec<u8>]) -> StoreResult<()> {
        self.change("DELETE FROM item WHERE job_id = ?1", [job])?;
        for (item, index) in items.iter().zip(1_u32..) {
            self.change(
                "INSERT INTO item (job_id, array_index, data)
                 VALUES (?1, ?2, sealed('item.data', ?1, ?2, ?3))",
                params![job, index, item],
            )?;
        }
        Ok(())
    }

    /// Makes an array of these indices, none of which has a run yet.
    pub(super) fn insert_array(
        &self,
        new: &NewRun,
        rest: &[Indices],
        place: &Place,
        now: Timestamp,
    ) -> StoreResult<ArrayId> {
        let total: u32 = rest.iter().map(Indices::count).sum();
        self.change(
            "INSERT INTO array (job_id, trigger, trigger_id, scheduled_at, place, queue, rank,
                requirement_id, at_once, queued_at, start_by, awaits, bundle_id, total, rest)
             VALUES (:job, :trigger, :trigger_id, :scheduled_at, (SELECT coalesce(max(id), 0) FROM run),
                :queue, :rank, :requirement, :at_once, :now, :start_by, :awaits, :bundle, :total, :total)",
            named_params! {
                ":job": new.job,
                ":trigger": new.kind,
                ":trigger_id": new.trigger.map(|trigger| trigger.0),
                ":scheduled_at": new.scheduled_at,
                ":queue": place.queue,
                ":rank": self.rank_of(new.job)?.at(now, new.scheduled_at),
                ":requirement": place.requirement,
                ":at_once": place.at_once,
                ":now": now,
                ":start_by": place.start_within.map(|within| now + within),
                ":awaits": if place.depends && new.obeys_after { 2 } else { 0 },
                ":bundle": new.bundle,
                ":total": total,
            },
        )?;
        let array = ArrayId(self.transaction.last_insert_rowid());
        let (trigger, scheduled_at) = (new.kind.as_str().into(), new.scheduled_at);
        let job = self.job_note(new.job)?;
        self.record(&Happening::ArrayQueued { job, trigger, scheduled_at, indices: total });
        rest.iter().try_for_each(|part| self.insert_rest(array, part))?;
        Ok(array)
    }

    fn insert_rest(&self, array: ArrayId, part: &Indices) -> StoreResult<()> {
        self.change(
            "INSERT INTO array_rest (array_id, first, last, step) VALUES (?1, ?2, ?3, ?4)",
            params![array, part.first(), part.last(), part.step()],
        )
    }

    /// Takes the first indices of an array that have no run, at most `count`.
    fn take_indices(&self, array: ArrayId, count: u32) -> StoreResult<Vec<u32>> {
        let mut taken = Vec::new();
        while taken.len() < count as usize {
            let first = self.first(
                "SELECT first, last, step FROM array_rest WHERE array_id = ?1 ORDER BY first LIMIT 1",
                [array],
                |row| indices([row.get(0)?, row.get(1)?, row.get(2)?]),
            )?;
            let Some(part) = first else { break };
            let wanted = count - u32::try_from(taken.len()).expect("no more than `count`");
            taken.extend(part.iter().take(wanted as usize));
            self.delete_rest(array, &part)?;
            part.after(wanted).map_or(Ok(()), |left| self.insert_rest(array, &left))?;
        }
        self.change(
            "UPDATE array SET rest = rest - ?2 WHERE id = ?1",
            params![array, i64::try_from(taken.len()).unwrap_or(i64::MAX)],
        )?;
        Ok(taken)
    }

    fn delete_rest(&self, array: ArrayId, part: &Indices) -> StoreResult<()> {
        self.change("DELETE FROM array_rest WHERE array_id = ?1 AND first = ?2", params![array, part.first()])
    }

    /// Takes the next number of the job of an array, for a run of it.
    fn number_run(&self, array: ArrayId) -> StoreResult<RunOfArray> {
        self.one(
            "UPDATE job SET runs = runs + 1 WHERE id = (SELECT job_id FROM array WHERE id = ?1)
             RETURNING id, runs, (SELECT trigger FROM array WHERE id = ?1),
                (SELECT scheduled_at FROM array WHERE id = ?1)",
            [array],
            |row| {
                let trigger: TriggerKind = row.get(2)?;
                Ok(RunOfArray {
                    run: RunId { job: row.get(0)?, number: row.get(1)? },
                    trigger: trigger.as_str().into(),
                    scheduled_at: row.get(3)?,
                })
            },
        )
    }

    /// Makes runs of the first indices without one, and claims them for a keeper.
    pub(super) fn start_indices(
        &self,
        array: ArrayId,
        count: u32,
        claimant: Claimant<'_>,
        now: Timestamp,
    ) -> StoreResult<Vec<RunId>> {
        let Claimant { keeper, executor, host } = claimant;
        let mut runs = Vec::new();
        for index in self.take_indices(array, count)? {
            let RunOfArray { run, trigger, scheduled_at } = self.number_run(array)?;
            self.change(
                "INSERT INTO run (job_id, number, trigger, trigger_id, scheduled_at, array_id, array_index,
                    queue, rank, requirement_id, at_once, state, held, queued_at, start_by, after_runs,
                    keeper, claimed_at, executor, host, is_split)
                 SELECT job_id, ?2, trigger, trigger_id, scheduled_at, id, ?3, queue, rank, requirement_id,
                    at_once, 'queued', held, queued_at, start_by, after_runs, ?4, ?5, ?6, ?7,
                    (SELECT split_output FROM job WHERE id = array.job_id)
                 FROM array WHERE id = ?1",
                params![array, run.number, index, keeper, now, executor, host],
            )?;
            self.record(&Happening::Queued { run, trigger, scheduled_at });
            runs.push(run);
        }
        Ok(runs)
    }

    /// Ends those indices of an array without a run that are at least `first` and at most `last`, and returns
    /// how many. They become one row of the run log.
    pub(super) fn drop_indices(
        &self,
        array: ArrayId,
        (first, last): (u32, u32),
        (outcome, cause): (Outcome, Option<&str>),
        now: Timestamp,
    ) -> StoreResult<u32> {
        let mut dropped = 0;
        for part in self.rest(array)? {
            let Some(gone) = part.within(first, last) else { continue };
            self.delete_rest(array, &part)?;
            let before = gone.first().checked_sub(1).and_then(|last| part.within(0, last));
            let after = gone.last().checked_add(1).and_then(|first| part.within(first, u32::MAX));
            before.iter().chain(&after).try_for_each(|left| self.insert_rest(array, left))?;
            dropped += gone.count();
        }
        if dropped == 0 {
            return Ok(0);
        }
        let RunOfArray { run, trigger, scheduled_at } = self.number_run(array)?;
        self.change(
            "INSERT INTO run (job_id, number, trigger, trigger_id, scheduled_at, array_id, fires, queue, rank,
                at_once, state, queued_at, finished_at, outcome, cause)
             SELECT job_id, ?2, trigger, trigger_id, scheduled_at, id, ?3, queue, rank, at_once, 'finished',
                queued_at, ?4, ?5, ?6 FROM array WHERE id = ?1",
            params![array, run.number, dropped, now, outcome, cause],
        )?;
        let column = if outcome == Outcome::Missed { "missed" } else { "cancelled" };
        self.change(
            &format!("UPDATE array SET rest = rest - ?2, {column} = {column} + ?2, awaits = 0 WHERE id = ?1"),
            params![array, dropped],
        )?;
        self.record(&Happening::Passed {
            run,
            outcome: outcome.as_str().into(),
            trigger,
            scheduled_at,
            fires: dropped.into(),
            cause: cause.map(|cause| cause.to_owned().into()),
        });
        self.has_ended(run, now);
        Ok(dropped)
    }

    /// Ends the indices of a job without a run that are at least `first` and at most `last`, as cancelled.
    /// Returns how many.
    pub fn cancel_indices(
        &self,
        job: JobId,
        range: (u32, u32),
        cause: Option<&str>,
        now: Timestamp,
    ) -> StoreResult<u32> {
        let mut dropped = 0;
        for array in self.open_arrays(job)? {
            dropped += self.drop_indices(array, range, (Outcome::Cancelled, cause), now)?;
        }
        Ok(dropped)
    }

    /// Queues these indices of a job again, as an array of their own.
    pub fn add_array_retry(&self, job: JobId, rest: &[Indices], now: Timestamp) -> StoreResult<ArrayId> {
        let bundle = self.bundle_of_latest_array(job)?;
        let new = NewRun { bundle, ..NewRun::by_hand(job, TriggerKind::Retry, true, now) };
        let place = self.place_of(job)?;
        let kept = self.kept_by_retry(job, rest)?;
        self.change("UPDATE job SET done_at = NULL WHERE id = ?1", [job])?;
        let array = self.insert_array(&new, rest, &place, now)?;
        self.change(
            "UPDATE array SET kept_succeeded = ?2, kept_failed = ?3, kept_cancelled = ?4, kept_missed = ?5
             WHERE id = ?1",
            params![array, kept.succeeded, kept.failed, kept.cancelled, kept.missed],
        )?;
        Ok(array)
    }

    /// Returns how the indices of a job have ended, without those that are about to be retried.
    fn kept_by_retry(&self, job: JobId, retried: &[Indices]) -> StoreResult<ArrayFacts> {
        let mut kept = self.array_progress(job)?.map_or(ArrayFacts::default(), |whole| ArrayFacts {
            total: whole.total,
            succeeded: whole.finished - whole.unsuccessful(),
            failed: whole.failed,
            cancelled: whole.cancelled,
            missed: whole.missed,
        });
        for part in retried {
            for outcome in self.outcomes_of_indices(job, part)? {
                let count = kept.of_mut(outcome);
                // Of a job whose indices were changed by `set`, some may not be among them.
                *count = count.saturating_sub(1);
            }
        }
        Ok(kept)
    }

    /// Counts the end of a run of an array.
    pub(super) fn count_index(&self, array: ArrayId, outcome: Outcome) -> StoreResult<()> {
        let column = match outcome {
            Outcome::Success => "succeeded",
            Outcome::Cancelled => "cancelled",
            // A run of an index that was queued again, because its keeper had not started it.
            Outcome::Missed => "missed",
            _ if outcome.is_failure() => "failed",
            _ => unreachable!("an index is not skipped"),
        };
        self.change(&format!("UPDATE array SET {column} = {column} + 1 WHERE id = ?1"), [array])
    }

    /// Ends an array.
    pub(super) fn finish_array(&self, array: ArrayId, outcome: Outcome, now: Timestamp) -> StoreResult<()> {
        let changed = self.changed(
            "UPDATE array SET finished_at = ?2, outcome = ?3 WHERE id = ?1 AND finished_at IS NULL",
            params![array, now, outcome],
        )?;
        if changed > 0 {
            let (job, indices): (JobId, u32) =
                self.one("SELECT job_id, total FROM array WHERE id = ?1", [array], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
            let (job, outcome) = (self.job_note(job)?, outcome.as_str().into());
            self.record(&Happening::ArrayFinished { job, outcome, indices });
            self.has_ended_whole(array);
        }
        Ok(())
    }
}
