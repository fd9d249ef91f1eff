//! Owns: bundles of events: adding to them, joining them, reading and forgetting them.
//! Never: deciding which events go together (see `engine`).

use rusqlite::params;

use super::{Reader, StoreResult, Writer};
use crate::domain::{
    ArrayId, BundleId, FireId, JobId, Occurrence, RunId, Span, Timestamp, TriggerId, TriggerKind,
};

/// How far a bundle is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BundleFacts {
    pub(super) count: u64,
    pub(super) first_at: Option<Timestamp>,
}

/// The events of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsOfRun {
    /// How many there are, with those of which only the count was kept.
    pub count: u64,
    /// The place of the run in a chain of runs, each caused by an event of the one before: 1 for the first.
    pub depth: u32,
    /// The first and the last ones, in the order in which they came, each with its kind.
    pub occurrences: Vec<(TriggerKind, Occurrence)>,
}

impl Reader<'_> {
    pub(super) fn bundle_facts(&self, bundle: Option<BundleId>) -> StoreResult<BundleFacts> {
        let Some(bundle) = bundle else { return Ok(BundleFacts::default()) };
        self.one("SELECT count, first_at FROM bundle WHERE id = ?1", [bundle], |row| {
            Ok(BundleFacts { count: row.get::<_, i64>(0)?.cast_unsigned(), first_at: row.get(1)? })
        })
    }

    /// Returns the bundle of the latest array of a job.
    pub(super) fn bundle_of_latest_array(&self, job: JobId) -> StoreResult<Option<BundleId>> {
        self.first("SELECT bundle_id FROM array WHERE job_id = ?1 ORDER BY id DESC LIMIT 1", [job], |row| {
            row.get(0)
        })
        .map(Option::flatten)
    }

    /// Returns whether a run is for events.
    pub fn has_events(&self, run: RunId) -> StoreResult<bool> {
        Ok(self.bundle_of_run(run)?.is_some())
    }

    /// Returns the bundle of a run, or of the array that it belongs to.
    pub(super) fn bundle_of_run(&self, run: RunId) -> StoreResult<Option<BundleId>> {
        self.first(
            "SELECT coalesce(bundle_id, (SELECT bundle_id FROM array WHERE id = run.array_id)) FROM run
             WHERE job_id = ?1 AND number = ?2",
            params![run.job, run.number],
            |row| row.get(0),
        )
        .map(Option::flatten)
    }

    /// Returns the place of a run in a chain of runs, each caused by an event of the one before; 0: no event
    /// caused it.
    pub(super) fn depth_of_run(&self, run: RunId) -> StoreResult<u32> {
        let Some(bundle) = self.bundle_of_run(run)? else { return Ok(0) };
        self.one("SELECT depth + 1 FROM bundle WHERE id = ?1", [bundle], |row| row.get(0))
    }

    /// Returns the same of an array.
    pub(super) fn depth_of_array(&self, array: ArrayId) -> StoreResult<u32> {
        self.first(
            "SELECT bundle.depth + 1 FROM array JOIN bundle ON bundle.id = array.bundle_id
             WHERE array.id = ?1",
            [array],
            |row| row.get(0),
        )
        .map(|depth| depth.unwrap_or(0))
    }

    /// Returns the events of a run; `None` if no event made it or joined it.
    pub fn events_of_run(&self, run: RunId) -> StoreResult<Option<EventsOfRun>> {
        let Some(bundle) = self.bundle_of_run(run)? else { return Ok(None) };
        let (count, depth) = self.one("SELECT count, depth FROM bundle WHERE id = ?1", [bundle], |row| {
            Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, u32>(1)?))
        })?;
        let occurrences = self.all(
            "SELECT at, kind,
                iif(kind = 'stream',
                    ifnull(shown_text('occurrence.name', id, 0, name), '(sealed)'), name),
                iif(kind = 'job', data, shown_text('occurrence.data', id, 0, data)), count
             FROM occurrence WHERE bundle_id = ?1 ORDER BY place",
            [bundle],
            |row| {
                let occurrence = Occurrence {
                    at: row.get(0)?,
                    name: row.get(2)?,
                    data: row.get(3)?,
                    count: row.get::<_, i64>(4)?.cast_unsigned(),
                    depth,
                };
                Ok((row.get(1)?, occurrence))
            },
        )?;
        Ok(Some(EventsOfRun { count, depth: depth + 1, occurrences }))
    }
}

impl Writer<'_> {
    pub(super) fn new_bundle(&self, job: JobId) -> StoreResult<BundleId> {
        self.change("INSERT INTO bundle (job_id, count, places, depth) VALUES (?1, 0, 0, 0)", [job])?;
        Ok(BundleId(self.transaction.last_insert_rowid()))
    }

    /// Adds `count` of the events of an occurrence, which is 0 for the end of a silence.
    pub(super) fn add_occurrence(
        &self,
        bundle: BundleId,
        kind: TriggerKind,
        occurrence: &Occurrence,
        count: u64,
    ) -> StoreResult<()> {
        if count == 0 {
            return Ok(());
        }
        let count = count.cast_signed();
        let places: i64 = self.one(
            "UPDATE bundle SET count = count + ?2, places = places + 1, depth = max(depth, ?3),
                first_at = coalesce(first_at, ?4), last_at = ?4
             WHERE id = ?1 RETURNING places",
            params![bundle, count, occurrence.depth, occurrence.at],
            |row| row.get(0),
        )?;
        self.change(
            "INSERT INTO occurrence (bundle_id, place, at, kind, name, data, count, id)
             VALUES (?1, ?2, ?3, ?4, iif(?4 = 'stream', sealed('occurrence.name', ?8, 0, ?5), ?5),
                iif(?4 = 'job', ?6, sealed('occurrence.data', ?8, 0, ?6)), ?7, ?8)",
            params![
                bundle,
                places,
                occurrence.at,
                kind,
                occurrence.name,
                occurrence.data,
                count,
                self.random_sealed_id()
            ],
        )
    }

    /// Forgets the events that are older than `within`. Returns whether there are some.
    pub(super) fn expire(&self, bundle: BundleId, within: Span, now: Timestamp) -> StoreResult<bool> {
        let expired: i64 = self.one(
            "SELECT coalesce(sum(count), 0) FROM occurrence WHERE bundle_id = ?1 AND at <= ?2",
            params![bundle, now - within],
            |row| row.get(0),
        )?;
        if expired == 0 {
            return Ok(false);
        }
        self.change(
            "DELETE FROM occurrence WHERE bundle_id = ?1 AND at <= ?2",
            params![bundle, now - within],
        )?;
        self.change(
            "UPDATE bundle SET count = count - ?2,
                first_at = (SELECT at FROM occurrence WHERE bundle_id = ?1 ORDER BY place LIMIT 1),
                last_at = (SELECT at FROM occurrence WHERE bundle_id = ?1 ORDER BY place DESC LIMIT 1)
             WHERE id = ?1",
            params![bundle, expired],
        )?;
        Ok(true)
    }

    /// Moves the events of a bundle behind those of another, and deletes it.
    pub(super) fn join_bundles(&self, into: BundleId, from: BundleId) -> StoreResult<()> {
        self.change(
            "UPDATE occurrence SET bundle_id = ?1,
                place = place + (SELECT places FROM bundle WHERE id = ?1) WHERE bundle_id = ?2",
            params![into, from],
        )?;
        self.change(
            "UPDATE bundle SET count = bundle.count + other.count, places = bundle.places + other.places,
                depth = max(bundle.depth, other.depth), first_at = coalesce(bundle.first_at, other.first_at),
                last_at = coalesce(other.last_at, bundle.last_at)
             FROM bundle AS other WHERE bundle.id = ?1 AND other.id = ?2",
            params![into, from],
        )?;
        self.change("DELETE FROM bundle WHERE id = ?1", [from])?;
        self.trim(into)
    }

    /// Keeps the first and the last rows of a bundle, and of those between only the count.
    pub(super) fn trim(&self, bundle: BundleId) -> StoreResult<()> {
        let kept = Occurrence::KEPT.cast_signed();
        let may_be_long =
            self.has("SELECT 1 FROM bundle WHERE id = ?1 AND places > 2 * ?2", params![bundle, kept])?;
        if !may_be_long {
            return Ok(());
        }
        // Without so many rows, the place is NULL, and nothing is between.
        self.change(
            "DELETE FROM occurrence WHERE bundle_id = ?1
                AND place > (SELECT place FROM occurrence WHERE bundle_id = ?1
                    ORDER BY place LIMIT 1 OFFSET ?2 - 1)
                AND place < (SELECT place FROM occurrence WHERE bundle_id = ?1
                    ORDER BY place DESC LIMIT 1 OFFSET ?2 - 1)",
            params![bundle, kept],
        )
    }

    /// Gives a bundle to a fire that has not begun. Returns the one that the fire has then.
    pub(super) fn give_bundle(&self, fire: FireId, bundle: BundleId) -> StoreResult<()> {
        let has: Option<BundleId> = match fire {
            FireId::Run(run) => self.bundle_of_run(run)?,
            FireId::Array { array, .. } => {
                self.one("SELECT bundle_id FROM array WHERE id = ?1", [array], |row| row.get(0))?
            }
        };
        match (has, fire) {
            (Some(has), _) => self.join_bundles(has, bundle),
            (None, FireId::Run(run)) => self.change(
                "UPDATE run SET bundle_id = ?3 WHERE job_id = ?1 AND number = ?2",
                params![run.job, run.number, bundle],
            ),
            (None, FireId::Array { array, .. }) => {
                self.change("UPDATE array SET bundle_id = ?2 WHERE id = ?1", params![array, bundle])
            }
        }
    }

    /// Lets the event triggers of a job fire no more, and forgets what they have counted.
    pub(super) fn stop_listening(&self, job: JobId) -> StoreResult<()> {
        let listening: Vec<TriggerId> = self.all(
            "SELECT id FROM trigger WHERE job_id = ?1 AND listens IS NOT NULL AND listens = 1",
            [job],
            |row| row.get(0).map(TriggerId),
        )?;
        if listening.is_empty() {
            return Ok(());
        }
        listening.into_iter().try_for_each(|trigger| self.end_listening(trigger))?;
        self.forget_gathered(job)
    }

    /// Lets an event trigger fire no more, and forgets what it has counted.
    pub(super) fn end_listening(&self, trigger: TriggerId) -> StoreResult<()> {
        self.restart_count(trigger)?;
        self.forget_marks(trigger)?;
        self.drop_run_timers_of(trigger)?;
        self.change(
            "UPDATE trigger SET listens = 0, timeout_at = NULL, is_stale = 0 WHERE id = ?1 AND listens = 1",
            [trigger.0],
        )
    }

    /// Forgets the events that have gathered for a run of a job.
    pub(super) fn forget_gathered(&self, job: JobId) -> StoreResult<()> {
        let gathered = self.take_gathered(job)?;
        gathered.into_iter().try_for_each(|bundle| self.drop_bundle(bundle))
    }

    /// Forgets the events that have gathered for a run of the job of a trigger, if none of its triggers
    /// listens any more.
    pub(super) fn forget_gathered_in_vain(&self, trigger: TriggerId) -> StoreResult<()> {
        let deaf: Option<JobId> = self.first(
            "SELECT job_id FROM trigger WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM trigger AS other
                WHERE other.job_id = trigger.job_id AND other.listens IS NOT NULL AND other.listens = 1)",
            [trigger.0],
            |row| row.get(0),
        )?;
        deaf.into_iter().try_for_each(|job| self.forget_gathered(job))
    }

    /// Takes the events that have gathered for a run of a job. Its triggers have not fired since.
    pub(super) fn take_gathered(&self, job: JobId) -> StoreResult<Option<BundleId>> {
        let gathered: Option<BundleId> =
            self.first("SELECT gathered FROM job WHERE id = ?1 AND gathered IS NOT NULL", [job], |row| {
                row.get(0)
            })?;
        if gathered.is_some() {
            self.change("UPDATE job SET gathered = NULL WHERE id = ?1", [job])?;
            self.change("UPDATE trigger SET has_fired = 0 WHERE job_id = ?1 AND has_fired = 1", [job])?;
        }
        Ok(gathered)
    }

    /// Begins the count of a trigger anew, also of those that have fired since the last run.
    pub(super) fn restart_count(&self, trigger: TriggerId) -> StoreResult<()> {
        self.change("UPDATE trigger SET has_fired = 0 WHERE id = ?1 AND has_fired = 1", [trigger.0])?;
        self.drop_counted(trigger)
    }

    /// Forgets what a trigger has counted towards its next fire.
    pub(super) fn drop_counted(&self, trigger: TriggerId) -> StoreResult<()> {
        let counting: Option<BundleId> =
            self.one("SELECT counting FROM trigger WHERE id = ?1", [trigger.0], |row| row.get(0))?;
        self.change("UPDATE trigger SET counting = NULL WHERE id = ?1", [trigger.0])?;
        counting.into_iter().try_for_each(|bundle| self.drop_bundle(bundle))
    }

    /// Deletes a trigger, and what it has counted.
    pub(super) fn delete_trigger(&self, trigger: TriggerId) -> StoreResult<()> {
        self.restart_count(trigger)?;
        self.forget_marks(trigger)?;
        self.drop_run_timers_of(trigger)?;
        self.change("DELETE FROM trigger WHERE id = ?1", [trigger.0])
    }

    fn drop_bundle(&self, bundle: BundleId) -> StoreResult<()> {
        self.change("DELETE FROM occurrence WHERE bundle_id = ?1", [bundle])?;
        self.change("DELETE FROM bundle WHERE id = ?1", [bundle])
    }

    /// Deletes the bundle of a forgotten run, unless a retry of it has the bundle too.
    pub(super) fn drop_unused_bundle(&self, bundle: BundleId) -> StoreResult<()> {
        let is_used = self.has(
            "SELECT 1 FROM run WHERE bundle_id = ?1 UNION ALL SELECT 1 FROM array WHERE bundle_id = ?1",
            [bundle],
        )?;
        if is_used { Ok(()) } else { self.drop_bundle(bundle) }
    }

    /// Deletes all bundles of a job without runs and triggers.
    pub(super) fn drop_bundles_of(&self, job: JobId) -> StoreResult<()> {
        self.change("UPDATE job SET gathered = NULL WHERE id = ?1 AND gathered IS NOT NULL", [job])?;
        self.change(
            "DELETE FROM occurrence WHERE bundle_id IN (SELECT id FROM bundle WHERE job_id = ?1)",
            [job],
        )?;
        self.change("DELETE FROM bundle WHERE job_id = ?1", [job])
    }
}
