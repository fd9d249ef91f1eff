//! Owns: the record of events: adding to it, reading it, and shortening it at its old end.
//! Never: which events there are (see `domain`), or how long they are kept (see `engine`).
//!
//! A writer keeps the events of its transaction, and the commit stores them in one row. So ids increase in
//! the order of commits, without gaps, and a commit costs one row more, however many events it has. In that
//! row each event is bytes of its own: a reader passes over a kind that it does not know.

use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{AttemptEnd, Reader, StoreResult, Writer};
use crate::domain::{
    CommandLine, EndNote, Event, EventId, Happening, JobId, JobNote, Outcome, Timestamp, TriggerKind, Word,
};
use crate::engine::{AttemptOutcome, Retention};

/// The most events of a row, so that reading a few events of a long transaction costs little.
const EVENTS_OF_A_ROW: usize = 500;

/// When a transaction is, and who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Act {
    pub at: Timestamp,
    /// The user whose command it is; `None`: the daemon.
    pub by: Option<u32>,
}

impl Act {
    pub const fn of_daemon(at: Timestamp) -> Self {
        Self { at, by: None }
    }

    pub const fn of_person(uid: u32, at: Timestamp) -> Self {
        Self { at, by: Some(uid) }
    }
}

/// An event in a row.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredEvent {
    by: Option<u32>,
    /// Bytes of its own, because a kind that is not known makes the rest unreadable.
    what: Vec<u8>,
}

/// Conditions for events, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only events after this one.
    pub after: EventId,
    /// Recorded at or after this instant.
    pub since: Option<Timestamp>,
    /// About one of these jobs. Empty: about anything.
    pub jobs: Vec<JobId>,
}

impl EventFilter {
    fn takes(&self, event: &Event) -> bool {
        let is_about =
            || event.what.as_ref().and_then(Happening::job).is_some_and(|job| self.jobs.contains(&job));
        event.id > self.after
            && self.since.is_none_or(|since| event.at >= since)
            && (self.jobs.is_empty() || is_about())
    }
}

/// The first and the last event that the store still has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRange {
    pub first: EventId,
    pub last: EventId,
}

/// Reads the `count` events in the column `data` of a row, the earliest first.
pub fn read_events(first: EventId, at: Timestamp, count: u64, data: &[u8]) -> Vec<Event> {
    // Bytes in another form are events of unknown kinds: none is left out.
    let stored: Vec<StoredEvent> = postcard::from_bytes(data).unwrap_or_default();
    let unknown = std::iter::repeat_with(|| StoredEvent { by: None, what: Vec::new() });
    let event = |(id, stored): (u64, StoredEvent)| {
        let what = postcard::from_bytes(&stored.what).ok();
        Event { id: EventId(id), at, by: stored.by, what }
    };
    (first.0..first.0.saturating_add(count)).zip(stored.into_iter().chain(unknown)).map(event).collect()
}

impl AttemptEnd {
    /// Returns what the record of events has of it.
    pub(super) fn note(&self, verdict: &AttemptOutcome) -> EndNote {
        let started_at = self.recorded_start.or(self.started.map(|(_, at)| at));
        EndNote {
            attempt: self.attempt,
            outcome: verdict.outcome.as_str().into(),
            exit_code: verdict.exit_code,
            signal: verdict.signal,
            cause: verdict.cause.clone(),
            finished_at: self.finished_at,
            took: started_at.map(|started_at| self.finished_at.since(started_at)),
        }
    }
}

/// Returns an event without what a sealed store does not tell everyone: the cause of a failed start, which
/// names the program, and the script of a stream. `None`: it has nothing of that.
fn concealed(what: &Happening) -> Option<Happening> {
    let is_of_stream = |trigger: &Word| trigger == TriggerKind::Stream.as_str();
    let mut what = what.clone();
    match &mut what {
        Happening::Finished { end, .. } | Happening::Retrying { end, .. }
            if end.outcome == Outcome::SpawnFailed.as_str() && end.cause.is_some() =>
        {
            end.cause = None;
        }
        Happening::Heard { trigger, event, .. } | Happening::TooDeep { trigger, event, .. }
            if is_of_stream(trigger) =>
        {
            CommandLine::SEALED.clone_into(event);
        }
        _ => return None,
    }
    Some(what)
}

/// Does the same with the column `data` of a row.
fn concealed_row(data: &[u8]) -> Option<Vec<u8>> {
    let mut stored: Vec<StoredEvent> = postcard::from_bytes(data).ok()?;
    let mut has_changed = false;
    for event in &mut stored {
        let Ok(what) = postcard::from_bytes::<Happening>(&event.what) else { continue };
        if let Some(what) = concealed(&what) {
            event.what = postcard::to_stdvec(&what).expect("writing to memory cannot fail");
            has_changed = true;
        }
    }
    has_changed.then(|| postcard::to_stdvec(&stored).expect("writing to memory cannot fail"))
}

impl Writer<'_> {
    /// Removes from the record of events what a sealed store does not have there.
    pub(super) fn conceal_events(&self) -> StoreResult<()> {
        let mut after = i64::MIN;
        while let Some((first, data)) = self.first(
            "SELECT first_id, data FROM event WHERE first_id > ?1 ORDER BY first_id LIMIT 1",
            [after],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)),
        )? {
            if let Some(data) = concealed_row(&data) {
                self.change("UPDATE event SET data = ?2 WHERE first_id = ?1", params![first, data])?;
            }
            after = first;
        }
        Ok(())
    }

    /// Records an event of this transaction.
    pub fn record(&self, what: &Happening) {
        let concealed = if self.is_sealed() { concealed(what) } else { None };
        let what = concealed.as_ref().unwrap_or(what);
        let what = postcard::to_stdvec(what).expect("writing to memory cannot fail");
        self.events.borrow_mut().push(StoredEvent { by: self.by.get(), what });
    }

    /// Records what `write` does as done by another user.
    pub fn on_behalf_of<T>(&self, uid: u32, write: impl FnOnce() -> T) -> T {
        let by = self.by.replace(Some(uid));
        let answer = write();
        self.by.set(by);
        answer
    }

    /// Returns a job with its present name, for an event.
    pub(super) fn job_note(&self, job: JobId) -> StoreResult<JobNote> {
        Ok(JobNote { job, name: self.name_of(job)? })
    }

    /// Stores the events of this transaction. Returns whether there were any.
    pub(super) fn store_events(&self) -> StoreResult<bool> {
        let events = self.events.take();
        for part in events.chunks(EVENTS_OF_A_ROW) {
            let data = postcard::to_stdvec(part).expect("writing to memory cannot fail");
            let count = i64::try_from(part.len()).unwrap_or(i64::MAX);
            self.change(
                "INSERT INTO event (first_id, at, count, data) VALUES (coalesce(
                    (SELECT first_id + count FROM event ORDER BY first_id DESC LIMIT 1), 1), ?1, ?2, ?3)",
                params![self.at, count, data],
            )?;
        }
        Ok(!events.is_empty())
    }

    /// Deletes at most `rows_max` rows of the oldest events that are not kept. Returns whether there may be
    /// more of them.
    pub fn forget_events(&self, retention: &Retention, rows_max: usize, now: Timestamp) -> StoreResult<bool> {
        let Some(range) = self.event_range()? else { return Ok(false) };
        let rows = self.all(
            "SELECT first_id, at, count FROM event ORDER BY first_id LIMIT ?1",
            [i64::try_from(rows_max).unwrap_or(i64::MAX)],
            |row| Ok((id(row.get(0)?), row.get::<_, Timestamp>(1)?, id(row.get(2)?))),
        )?;
        // The latest row holds the place of the next id.
        let is_kept = |(first, at, count): &(u64, Timestamp, u64)| {
            let last = EventId(first + count - 1);
            last == range.last || !retention.forgets_event(last, *at, range.last, now)
        };
        let bound = rows.iter().find(|row| is_kept(row)).map(|(first, ..)| *first);
        let is_more = bound.is_none();
        let bound = bound.or_else(|| rows.last().map(|(first, _, count)| first + count)).unwrap_or(0);
        if rows.first().is_some_and(|(first, ..)| *first < bound) {
            self.change("DELETE FROM event WHERE first_id < ?1", [bound.cast_signed()])?;
        }
        Ok(is_more)
    }
}

fn id(column: i64) -> u64 {
    column.cast_unsigned()
}

impl Reader<'_> {
    /// Returns which events there are; `None` before the first one.
    pub fn event_range(&self) -> StoreResult<Option<EventRange>> {
        self.first(
            "SELECT (SELECT min(first_id) FROM event), first_id + count - 1 FROM event
             ORDER BY first_id DESC LIMIT 1",
            [],
            |row| Ok(EventRange { first: EventId(id(row.get(0)?)), last: EventId(id(row.get(1)?)) }),
        )
    }

    /// Returns the first `limit` events that match, the earliest first.
    pub fn events(&self, filter: &EventFilter, limit: usize) -> StoreResult<Vec<Event>> {
        let mut found = Vec::new();
        // From the row on that may hold the next event.
        self.each_event_row(
            "SELECT first_id, at, count, data FROM event
             WHERE first_id >= coalesce((SELECT max(first_id) FROM event WHERE first_id <= ?1), 0)
             ORDER BY first_id",
            filter.after.0.saturating_add(1),
            |events| {
                found.extend(events.into_iter().filter(|event| filter.takes(event)));
                found.len() < limit
            },
        )?;
        found.truncate(limit);
        Ok(found)
    }

    /// Returns the last `limit` events that match, the earliest first.
    pub fn latest_events(&self, filter: &EventFilter, limit: usize) -> StoreResult<Vec<Event>> {
        let mut found = Vec::new();
        self.each_event_row(
            "SELECT first_id, at, count, data FROM event WHERE first_id + count > ?1 ORDER BY first_id DESC",
            filter.after.0.saturating_add(1),
            |events| {
                found.extend(events.into_iter().rev().filter(|event| filter.takes(event)));
                found.len() < limit
            },
        )?;
        found.truncate(limit);
        found.reverse();
        Ok(found)
    }

    /// Passes the events of each row to `look`, until it returns false.
    fn each_event_row(
        &self,
        sql: &str,
        after: u64,
        mut look: impl FnMut(Vec<Event>) -> bool,
    ) -> StoreResult<()> {
        let mut statement = self.transaction.prepare_cached(sql)?;
        let mut rows = statement.query([i64::try_from(after).unwrap_or(i64::MAX)])?;
        while let Some(row) = rows.next()? {
            let data: Vec<u8> = row.get(3)?;
            if !look(read_events(EventId(id(row.get(0)?)), row.get(1)?, id(row.get(2)?), &data)) {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{QueueName, Span};
    use crate::store::QueueSettings;
    use crate::store::{Store, StoreError};

    const RETENTION: Retention = Retention {
        age_max: Span::ZERO,
        runs_max: 0,
        events_age_max: Span::from_seconds(100),
        events_max: 4,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(1_000 + second)
    }

    /// Makes a store with a row of two events at each of these seconds.
    fn store_with(seconds: &[i64]) -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut store = Store::open(dir.path()).expect("the directory is ours");
        for second in seconds {
            let write = |writer: &Writer<'_>| {
                writer.set_queue(&QueueName::default(), QueueSettings::slots(1))?;
                writer.set_queue(&QueueName::default(), QueueSettings::slots(2))
            };
            store.write(Act::of_daemon(at(*second)), write).expect("there is no other writer");
        }
        (dir, store)
    }

    /// Forgets step by step at this second, and returns the steps and what is left.
    fn forgotten(store: &mut Store, rows_max: usize, second: i64) -> (usize, Option<(u64, u64)>) {
        let mut steps = 1;
        let forget = |writer: &Writer<'_>| writer.forget_events(&RETENTION, rows_max, at(second));
        while store.write(Act::of_daemon(at(second)), forget).expect("there is no other writer") {
            steps += 1;
        }
        let both = |range: EventRange| (range.first.0, range.last.0);
        let left = store.read(|reader| reader.event_range().map(|range| range.map(both)));
        (steps, left.expect("readable"))
    }

    #[test]
    fn the_oldest_events_are_forgotten_in_steps_and_the_latest_row_stays() {
        let (_dir, mut store) = store_with(&[0, 1, 2, 3, 4]);
        assert_eq!(forgotten(&mut store, 10, 4), (1, Some((7, 10))), "four of them are kept");
        assert_eq!(forgotten(&mut store, 10, 103), (1, Some((7, 10))));
        assert_eq!(forgotten(&mut store, 10, 104), (1, Some((9, 10))), "they are too old");
        assert_eq!(forgotten(&mut store, 10, 9_999), (1, Some((9, 10))), "it has the next id");
        let (_dir, mut store) = store_with(&[0, 1, 2, 3, 4]);
        assert_eq!(forgotten(&mut store, 1, 9_999), (5, Some((9, 10))));
        let (_dir, mut store) = store_with(&[]);
        assert_eq!(forgotten(&mut store, 1, 0), (1, None));
    }

    #[test]
    fn events_are_read_from_the_middle_of_a_row_and_in_parts() {
        let (_dir, mut store) = store_with(&[0, 1, 2]);
        let mut read = |after, limit| {
            let filter = EventFilter { after: EventId(after), ..EventFilter::default() };
            let ids = |events: Vec<Event>| events.iter().map(|event| event.id.0).collect::<Vec<u64>>();
            let both = |reader: &Reader<'_>| {
                Ok::<_, StoreError>((
                    ids(reader.events(&filter, limit)?),
                    ids(reader.latest_events(&filter, limit)?),
                ))
            };
            store.read(both).expect("readable")
        };
        assert_eq!(read(0, 9), (vec![1, 2, 3, 4, 5, 6], vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(read(0, 3), (vec![1, 2, 3], vec![4, 5, 6]));
        assert_eq!(read(3, 9), (vec![4, 5, 6], vec![4, 5, 6]));
        assert_eq!(read(3, 1), (vec![4], vec![6]));
        assert_eq!(read(6, 9), (vec![], vec![]));
    }

    #[test]
    fn a_long_transaction_has_several_rows_and_no_gap_in_its_ids() {
        let (_dir, mut store) = store_with(&[0]);
        let write = |writer: &Writer<'_>| {
            (0..=EVENTS_OF_A_ROW)
                .try_for_each(|_| writer.set_queue(&QueueName::default(), QueueSettings::slots(1)))
        };
        store.write(Act::of_person(7, at(1)), write).expect("there is no other writer");
        let all = store.read(|reader| reader.events(&EventFilter::default(), usize::MAX)).expect("readable");
        assert!(all.iter().map(|event| event.id.0).eq(1..=EVENTS_OF_A_ROW as u64 + 3));
        assert_eq!((all[1].by, all[2].by), (None, Some(7)));
    }

    #[test]
    #[should_panic(expected = "a change without an event")]
    fn a_change_of_a_person_without_an_event_is_a_bug() {
        let (_dir, mut store) = store_with(&[]);
        let forgotten =
            store.write(Act::of_person(7, at(0)), |writer| writer.change("UPDATE queue SET slots = 3", []));
        drop(forgotten);
    }
}
