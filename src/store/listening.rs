//! Owns: events on their way to the triggers that hear them: counted, fired, and made runs, in one
//! transaction.
//! Never: deciding what an event does (see `engine`), or where it comes from (see `watch`).

use rusqlite::{Row, ToSql, params};

use super::codec::event_trigger;
use super::{Reader, StoreResult, Writer};
use crate::domain::{
    BundleId, EventName, EventTrigger, FireId, Happening, JobId, Occurrence, Outcome, Policy, RunId, Span,
    Timestamp, TriggerId, TriggerKind, Window,
};
use crate::engine::{
    Counting, EventFire, EventFireFacts, Fate, Heard, NewRun, SelfCaused, fire_by_events, hear,
    timeout_after_step_back,
};

/// An event that a trigger hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardEvent {
    pub occurrence: Occurrence,
    /// It is the opposite of what the trigger counts.
    pub is_opposite: bool,
    /// It is a level that still holds after the last run of the job.
    pub is_left_over: bool,
}

impl HeardEvent {
    /// Returns an event of the kind that is counted.
    pub fn of(occurrence: Occurrence) -> Self {
        Self { occurrence, is_opposite: false, is_left_over: false }
    }
}

/// A trigger that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub trigger: TriggerId,
    pub job: JobId,
    pub event: EventTrigger,
    /// Its job is paused: it counts nothing.
    pub held: bool,
    window: Window,
    counting: Option<BundleId>,
    timeout_at: Option<Timestamp>,
}

impl Listener {
    /// Returns when it fires if no event comes from now on; `None`: a silence is nothing to it.
    pub(super) fn silent_at(&self, now: Timestamp) -> Option<Timestamp> {
        let begin = self.window.start.map_or(now, |start| start.max(now));
        self.event.counter.absent.map(|absent| begin + absent)
    }
}

const COLUMNS: &str = "trigger.id, trigger.job_id,
    iif(kind = 'stream', opened_text('trigger.event', trigger.id, 0, event), event),
    trigger.held, trigger.counting,
    job.start_at, job.until_at, trigger.timeout_at FROM trigger JOIN job ON job.id = trigger.job_id";

fn listener(row: &Row<'_>) -> rusqlite::Result<Listener> {
    Ok(Listener {
        trigger: TriggerId(row.get(0)?),
        job: row.get(1)?,
        event: event_trigger(row, 2)?,
        held: row.get(3)?,
        counting: row.get(4)?,
        window: Window { start: row.get(5)?, until: row.get(6)? },
        timeout_at: row.get(7)?,
    })
}

impl Reader<'_> {
    /// Returns the triggers that hear events of `taskq emit` with this name.
    pub fn listeners_of_emit(&self, name: &EventName) -> StoreResult<Vec<Listener>> {
        self.listeners("trigger.kind = 'emit' AND trigger.event_key = ?1", &[&name.as_str()])
    }

    /// Returns whether a trigger hears events with this name, also of a paused job.
    pub fn has_listener_of_emit(&self, name: &EventName) -> StoreResult<bool> {
        self.has(
            "SELECT 1 FROM trigger WHERE kind = 'emit' AND event_key = ?1
                AND listens IS NOT NULL AND listens = 1",
            [name.as_str()],
        )
    }

    /// Returns a trigger, if it still listens.
    pub fn listener(&self, trigger: TriggerId) -> StoreResult<Option<Listener>> {
        let mut found = self.listeners("trigger.id = ?1", &[&trigger.0])?;
        Ok(found.pop())
    }

    pub(super) fn listeners(&self, condition: &str, values: &[&dyn ToSql]) -> StoreResult<Vec<Listener>> {
        let sql = format!(
            "SELECT {COLUMNS} WHERE trigger.listens IS NOT NULL AND trigger.listens = 1 AND {condition}
             ORDER BY trigger.id"
        );
        self.all(&sql, values, listener)
    }

    /// Returns the triggers that fire now because no event came.
    pub(super) fn due_timeouts(&self, now: Timestamp) -> StoreResult<Vec<TriggerId>> {
        self.all(
            "SELECT id FROM trigger WHERE timeout_at IS NOT NULL AND held = 0 AND timeout_at <= ?1
             ORDER BY timeout_at, id LIMIT 1000",
            [now],
            |row| row.get(0).map(TriggerId),
        )
    }

    /// Returns the jobs whose rest is over.
    pub(super) fn rested_jobs(&self, now: Timestamp) -> StoreResult<Vec<JobId>> {
        self.all(
            "SELECT id FROM job WHERE rests_until IS NOT NULL AND rests_until <= ?1 AND paused_at IS NULL
             ORDER BY rests_until",
            [now],
            |row| row.get(0),
        )
    }

    /// Returns when a trigger fires without an event, or a rest ends.
    pub(super) fn next_timeout(&self) -> StoreResult<Option<Timestamp>> {
        self.one(
            "SELECT min(at) FROM (
                SELECT min(timeout_at) AS at FROM trigger WHERE timeout_at IS NOT NULL AND held = 0
                UNION ALL SELECT min(rests_until) FROM job
                WHERE rests_until IS NOT NULL AND paused_at IS NULL)",
            [],
            |row| row.get(0),
        )
    }

    /// Returns the fire of a job that events can join: one that has not begun. A retry has its own events.
    fn joinable(&self, job: JobId) -> StoreResult<Option<FireId>> {
        let run = self.first(
            "SELECT number FROM run WHERE job_id = ?1 AND state <> 'finished' AND state = 'queued'
                AND keeper IS NULL AND attempt = 1 AND array_id IS NULL AND callback IS NULL
                AND trigger <> 'retry' ORDER BY number LIMIT 1",
            [job],
            |row| Ok(FireId::Run(RunId { job, number: row.get(0)? })),
        )?;
        if run.is_some() {
            return Ok(run);
        }
        self.first(
            "SELECT id FROM array WHERE job_id = ?1 AND finished_at IS NULL AND rest = total
                AND trigger <> 'retry' ORDER BY id LIMIT 1",
            [job],
            |row| Ok(FireId::Array { job, array: row.get(0)? }),
        )
    }

    fn event_fire_facts(&self, job: JobId, trigger: Option<TriggerId>) -> StoreResult<EventFireFacts> {
        let (policy, rests_until, is_counting, lacks_others) = self.one(
            "SELECT overlap, rests_until, times IS NOT NULL, all_of AND EXISTS (SELECT 1 FROM trigger
                WHERE job_id = job.id AND listens IS NOT NULL AND listens = 1 AND has_fired = 0
                    AND id IS NOT ?2)
             FROM job WHERE id = ?1",
            params![job, trigger.map(|trigger| trigger.0)],
            |row| {
                let policy = Policy { overlap: row.get(0)?, ..Policy::default() };
                Ok((policy, row.get(1)?, row.get(2)?, row.get(3)?))
            },
        )?;
        Ok(EventFireFacts {
            overlap: policy.overlap_of_events(),
            joinable: self.joinable(job)?,
            unfinished: self.unfinished(job)?,
            times: if is_counting { self.times_facts(job)? } else { None },
            lacks_others,
            rests_until,
        })
    }

    fn self_caused(&self, job: JobId) -> StoreResult<SelfCaused> {
        self.one("SELECT self_runs, self_since, rest_us, rests_until FROM job WHERE id = ?1", [job], |row| {
            Ok(SelfCaused {
                runs: row.get(0)?,
                since: row.get(1)?,
                rest: row.get(2)?,
                rests_until: row.get(3)?,
            })
        })
    }
}

/// A fire by events.
struct EventsFired<'a> {
    listener: &'a Listener,
    bundle: BundleId,
    at: Timestamp,
    is_left_over: bool,
}

impl Writer<'_> {
    /// Gives an event of `taskq emit` to all that listen to it. Returns their jobs, also paused ones.
    pub fn emit(&self, name: &EventName, occurrence: &Occurrence, now: Timestamp) -> StoreResult<Vec<JobId>> {
        let listeners = self.listeners_of_emit(name)?;
        self.record(&Happening::Emitted { name: name.to_string(), count: occurrence.count });
        for listener in &listeners {
            self.hear(listener, &HeardEvent::of(occurrence.clone()), now)?;
        }
        let mut jobs: Vec<JobId> = listeners.iter().map(|listener| listener.job).collect();
        jobs.sort_unstable();
        jobs.dedup();
        Ok(jobs)
    }

    /// Lets a trigger hear an event.
    pub fn hear(&self, listener: &Listener, event: &HeardEvent, now: Timestamp) -> StoreResult<()> {
        let Occurrence { at, count, .. } = event.occurrence;
        if listener.held || !listener.window.contains(at) {
            return Ok(());
        }
        if event.occurrence.depth >= Occurrence::DEPTH_MAX {
            let (job, trigger) = (self.job_note(listener.job)?, listener.event.kind().as_str().into());
            self.record(&Happening::TooDeep { job, trigger, event: event.occurrence.name.clone() });
            return Ok(());
        }
        let Some(listener) = &self.time_out_before(listener, at, now)? else { return Ok(()) };
        let counter = listener.event.counter;
        if let (Some(within), Some(bundle)) = (counter.within, listener.counting) {
            self.expire(bundle, within, at)?;
        }
        let facts = self.bundle_facts(listener.counting)?;
        let counting = Counting { counter, counted: facts.count, first_at: facts.first_at };
        match hear(&counting, at, count, event.is_opposite) {
            Heard::Nothing => Ok(()),
            Heard::Reset => {
                self.drop_counted(listener.trigger)?;
                self.set_timeout(listener.trigger, None)
            }
            // A late report of an earlier event makes no silence longer.
            Heard::Rearm(until) => self.set_timeout(listener.trigger, listener.timeout_at.max(Some(until))),
            Heard::Count(timeout_at) => {
                let bundle = self.counting_bundle(listener)?;
                self.add_occurrence(bundle, listener.event.kind(), &event.occurrence, count)?;
                if counter.within.is_none() {
                    self.trim(bundle)?;
                }
                self.set_timeout(listener.trigger, timeout_at)?;
                self.note_heard(listener, &event.occurrence, facts.count + count, None)
            }
            Heard::Fire { taken, left, timeout_at } => {
                let bundle = self.counting_bundle(listener)?;
                self.add_occurrence(bundle, listener.event.kind(), &event.occurrence, taken)?;
                let next = if left > 0 {
                    let next = self.new_bundle(listener.job)?;
                    self.add_occurrence(next, listener.event.kind(), &event.occurrence, left)?;
                    Some(next)
                } else {
                    None
                };
                self.set_counting(listener.trigger, next)?;
                self.set_timeout(listener.trigger, timeout_at)?;
                let is_left_over = event.is_left_over;
                let fire = self.fire_events(&EventsFired { listener, bundle, at, is_left_over }, now)?;
                self.note_heard(listener, &event.occurrence, left, Some(fire))
            }
        }
    }

    /// Lets a trigger fire first whose time came before an event at `at`, and was not noticed yet. Returns
    /// it as it is then, if it still listens.
    fn time_out_before(
        &self,
        listener: &Listener,
        at: Timestamp,
        now: Timestamp,
    ) -> StoreResult<Option<Listener>> {
        let mut found = Some(listener.clone());
        while let Some(trigger) = found
            .as_ref()
            .filter(|found| found.timeout_at.is_some_and(|due| due <= at))
            .map(|found| found.trigger)
        {
            self.time_out(trigger, now)?;
            found = self.listener(trigger)?;
        }
        Ok(found)
    }

    /// Fires a trigger because no event came in time.
    pub(super) fn time_out(&self, trigger: TriggerId, now: Timestamp) -> StoreResult<()> {
        let Some(listener) = self.listener(trigger)? else { return Ok(()) };
        let Some(at) = listener.timeout_at else { return Ok(()) };
        self.set_timeout(trigger, None)?;
        if !listener.window.contains(at) {
            return Ok(());
        }
        let counter = listener.event.counter;
        if let (Some(within), Some(bundle)) = (counter.within, listener.counting) {
            let has_expired = self.expire(bundle, within, at)?;
            let first_at = self.bundle_facts(Some(bundle))?.first_at;
            let later = first_at.zip(counter.or_after).map(|(first, span)| first + span);
            if first_at.is_none() || has_expired && later.is_some_and(|later| later > at) {
                return self.set_timeout(trigger, later);
            }
        }
        let bundle = self.counting_bundle(&listener)?;
        self.set_counting(trigger, None)?;
        let fired = EventsFired { listener: &listener, bundle, at, is_left_over: false };
        let fire = self.fire_events(&fired, now)?;
        let silence = counter.absent.map(|span| format!("absent={span}"));
        let name = silence.unwrap_or_else(|| format!("or-after={}", counter.or_after.unwrap_or(Span::ZERO)));
        let occurrence = Occurrence { at, name, data: None, count: 0, depth: 0 };
        self.note_heard(&listener, &occurrence, 0, Some(fire))
    }

    /// Makes the run for the events that have gathered while a job rested.
    pub(super) fn end_rest(&self, job: JobId, now: Timestamp) -> StoreResult<()> {
        let row = self.self_caused(job)?.after_rest();
        self.set_self_caused(job, row)?;
        self.release_gathered(job, now)
    }

    /// Makes the run for the events that have gathered if they wait for nothing any more. Without a trigger
    /// that listens, they are forgotten.
    pub fn release_gathered(&self, job: JobId, now: Timestamp) -> StoreResult<()> {
        let first = self.first(
            "SELECT id, kind FROM trigger WHERE job_id = ?1 AND listens IS NOT NULL AND listens = 1
             ORDER BY id LIMIT 1",
            [job],
            |row| Ok((TriggerId(row.get(0)?), row.get(1)?)),
        )?;
        let Some((trigger, kind)) = first else { return self.forget_gathered(job) };
        let facts = self.event_fire_facts(job, None)?;
        let rests = facts.rests_until.is_some_and(|until| now < until);
        if facts.lacks_others || rests || self.is_paused(job)? {
            return Ok(());
        }
        let Some(bundle) = self.take_gathered(job)? else { return Ok(()) };
        self.make_event_run(job, (trigger, kind), bundle, &facts, now, now).map(|_| ())
    }

    /// Begins the counts of a job's event triggers anew. Returns whether it has some.
    pub fn reset_counters(&self, job: JobId, now: Timestamp) -> StoreResult<bool> {
        let listeners = self.listeners("trigger.job_id = ?1", &[&job])?;
        for listener in &listeners {
            self.restart_count(listener.trigger)?;
            self.set_timeout(listener.trigger, listener.silent_at(now))?;
        }
        self.forget_gathered(job)?;
        self.set_self_caused(job, SelfCaused::default())?;
        Ok(!listeners.is_empty())
    }

    /// Lets the triggers of a job that resumes wait anew for silence: while it was paused, they heard
    /// nothing.
    pub fn rearm_silences(&self, job: JobId, now: Timestamp) -> StoreResult<()> {
        for listener in self.listeners("trigger.job_id = ?1", &[&job])? {
            if let Some(silent_at) = listener.silent_at(now) {
                self.set_timeout(listener.trigger, Some(silent_at))?;
            }
        }
        Ok(())
    }

    /// Lets no trigger wait longer than its span after the clock was set back.
    pub fn timeouts_after_step_back(&self, now: Timestamp) -> StoreResult<()> {
        for listener in self.listeners("trigger.timeout_at IS NOT NULL", &[])? {
            let begin = listener.window.start.map_or(now, |start| start.max(now));
            let sooner = |at| timeout_after_step_back(&listener.event.counter, at, begin);
            let at = listener.timeout_at.map(sooner);
            if at != listener.timeout_at {
                self.set_timeout(listener.trigger, at)?;
            }
        }
        // A rest is never longer than this.
        self.change(
            "UPDATE job SET rests_until = min(rests_until, ?1 + rest_us) WHERE rests_until IS NOT NULL",
            [now],
        )
    }

    fn counting_bundle(&self, listener: &Listener) -> StoreResult<BundleId> {
        match listener.counting {
            Some(bundle) => Ok(bundle),
            None => {
                let bundle = self.new_bundle(listener.job)?;
                self.set_counting(listener.trigger, Some(bundle))?;
                Ok(bundle)
            }
        }
    }

    fn set_counting(&self, trigger: TriggerId, bundle: Option<BundleId>) -> StoreResult<()> {
        self.change("UPDATE trigger SET counting = ?2 WHERE id = ?1", params![trigger.0, bundle])
    }

    pub(super) fn set_timeout(&self, trigger: TriggerId, at: Option<Timestamp>) -> StoreResult<()> {
        self.change("UPDATE trigger SET timeout_at = ?2 WHERE id = ?1", params![trigger.0, at])
    }

    /// Returns the fire that the events are for; `None` if they wait.
    fn fire_events(&self, fired: &EventsFired<'_>, now: Timestamp) -> StoreResult<Option<FireId>> {
        let EventsFired { listener, bundle, at, is_left_over } = *fired;
        let job = listener.job;
        if listener.event.counter.within.is_some() {
            self.trim(bundle)?;
        }
        let mut facts = self.event_fire_facts(job, Some(listener.trigger))?;
        if !facts.lacks_others {
            let is_under_way = facts.unfinished.iter().any(|run| run.begun);
            let row = self.self_caused(job)?;
            let by_itself = is_under_way || is_left_over;
            // What joins a run that waits counts with it, unless it shows that others cause runs too.
            let joins = facts.joinable.is_some() || row.rests_until.is_some();
            let after = if by_itself && joins { row } else { row.after_fire(by_itself, now) };
            if after != row {
                self.set_self_caused(job, after)?;
                if let Some(until) = after.rests_until {
                    self.record(&Happening::Rests { job: self.job_note(job)?, until });
                }
            }
            facts.rests_until = after.rests_until;
        }
        let kind = listener.event.kind();
        self.make_event_run(job, (listener.trigger, kind), bundle, &facts, at, now)
    }

    fn make_event_run(
        &self,
        job: JobId,
        (trigger, kind): (TriggerId, TriggerKind),
        bundle: BundleId,
        facts: &EventFireFacts,
        at: Timestamp,
        now: Timestamp,
    ) -> StoreResult<Option<FireId>> {
        let decided = fire_by_events(facts, now);
        if decided == EventFire::Gather {
            self.gather(job, trigger, bundle)?;
            return Ok(None);
        }
        let bundle = match self.take_gathered(job)? {
            Some(gathered) => {
                self.join_bundles(gathered, bundle)?;
                gathered
            }
            None => bundle,
        };
        let (fate, cause) = match decided {
            EventFire::Gather => unreachable!("it has returned"),
            EventFire::Join(fire) => {
                self.give_bundle(fire, bundle)?;
                return Ok(Some(fire));
            }
            EventFire::Run { replaces } => {
                if replaces {
                    for run in facts.unfinished.iter().filter(|run| !run.stopping) {
                        self.cancel_run(run.run, false, now)?;
                    }
                }
                (Fate::Queued, None)
            }
            EventFire::Skip(cause) => (Fate::Finished(Outcome::Skipped), Some(cause)),
        };
        let new = NewRun {
            job,
            trigger: Some(trigger),
            kind,
            scheduled_at: at,
            fires: 1,
            fate,
            cause,
            obeys_after: true,
            bundle: Some(bundle),
        };
        self.insert_run(&new, now).map(Some)
    }

    /// Lets the events of a trigger wait for the others of its job, or for the end of a rest.
    fn gather(&self, job: JobId, trigger: TriggerId, bundle: BundleId) -> StoreResult<()> {
        self.change("UPDATE trigger SET has_fired = 1 WHERE id = ?1", [trigger.0])?;
        let gathered: Option<BundleId> =
            self.one("SELECT gathered FROM job WHERE id = ?1", [job], |row| row.get(0))?;
        match gathered {
            Some(gathered) => self.join_bundles(gathered, bundle),
            None => self.change("UPDATE job SET gathered = ?2 WHERE id = ?1", params![job, bundle]),
        }
    }

    fn set_self_caused(&self, job: JobId, row: SelfCaused) -> StoreResult<()> {
        self.change(
            "UPDATE job SET self_runs = ?2, self_since = ?3, rest_us = ?4, rests_until = ?5 WHERE id = ?1",
            params![job, row.runs, row.since, row.rest, row.rests_until],
        )
    }

    /// Records that a trigger has heard an event. `counted`: how many count now; `fire`: it has fired, and
    /// its events are for this.
    fn note_heard(
        &self,
        listener: &Listener,
        occurrence: &Occurrence,
        counted: u64,
        fire: Option<Option<FireId>>,
    ) -> StoreResult<()> {
        self.record(&Happening::Heard {
            job: self.job_note(listener.job)?,
            trigger: listener.event.kind().as_str().into(),
            event: occurrence.name.clone(),
            count: occurrence.count,
            counted,
            needed: listener.event.counter.count,
            has_fired: fire.is_some(),
            fire: fire.flatten().map(|fire| fire.to_string()),
        });
        Ok(())
    }
}
