//! Owns: whether the store agrees with the model of event triggers after a commit.
//! Never: the model itself (see `hearing`).

use std::collections::BTreeSet;

use taskq::domain::{Overlap, Span, Timestamp};

use crate::bundles::{Gathering, Header, Owner};
use crate::hearing::{DEPTH_MAX, Hearing};
use crate::listeners::{DeepPart, Part, events_in};
use crate::news::Commit;
use crate::rows::{ArrayRow, Database, Row, TriggerRow, is_event_kind};

/// A job rests only after so many fires of which each came while the run before was under way.
const ROW_OF_A_REST: u32 = 20;

/// The longest rest, in microseconds.
const REST_MAX: u64 = 60 * 1_000_000;

impl Hearing {
    /// Counts the fires in a row that came while a run of their job was under way.
    fn count_in_a_row(&mut self, commit: &Commit<'_>) {
        let new_runs = commit
            .changes
            .iter()
            .filter(|(old, row)| old.is_none() && row.is_of_events() && row.array.is_none());
        let new_arrays = commit.arrays.iter().filter(|(old, row)| old.is_none() && is_event_kind(&row.kind));
        let runs = new_runs.map(|(_, row)| (Owner::Run(row.id), row.job));
        let new: Vec<(Owner, i64)> =
            runs.chain(new_arrays.map(|(_, row)| (Owner::Array(row.id), row.job))).collect();
        for (owner, job) in new {
            let was_under_way = |(old, new): &(Option<Row>, Row)| {
                new.job == job
                    && old.as_ref().is_some_and(|old| old.is_open() && (old.has_begun() || new.has_begun()))
            };
            let is_beside = self.rested.contains(&owner)
                || self.left_over.contains(&job)
                || commit.changes.iter().any(was_under_way)
                || commit.open_throughout(job).any(Row::has_begun);
            let model = self.jobs.get_mut(&job).expect("known");
            model.in_a_row = if is_beside { model.in_a_row + 1 } else { 0 };
        }
        self.rested.clear();
        self.left_over.clear();
        self.given_back.clear();
    }

    /// Checks that the store agrees with the model, after a commit.
    pub fn check(&mut self, commit: &Commit<'_>, db: &Database) {
        if self.listeners.is_empty() && self.runs.is_empty() {
            return;
        }
        self.release(commit);
        assert!(self.notes.is_empty(), "recorded, and not so by the model: {:?}", self.notes);
        assert!(self.too_deep.is_empty(), "not too deep: {:?}", self.too_deep);
        let (triggers, gathering) = (db.triggers(), db.gathering());
        triggers.iter().for_each(|row| self.check_trigger(row));
        let bundle_of = |owner| self.bundles.of(owner);
        for (owner, parts) in &self.runs {
            let found = bundle_of(*owner).unwrap_or_else(|| panic!("{owner:?} has lost {parts:?}"));
            same(*owner, parts, found);
        }
        let of_runs = self.bundles.owners().filter(|owner| matches!(owner, Owner::Run(_) | Owner::Array(_)));
        let invented: Vec<Owner> = of_runs.filter(|owner| !self.runs.contains_key(owner)).collect();
        assert!(invented.is_empty(), "they have events of no fire: {invented:?}");
        self.count_in_a_row(commit);
        self.check_gathering(&gathering, commit.now);
        self.check_runs(commit);
        self.claimed.extend(commit.changes.iter().filter(|(_, row)| row.has_begun()).map(|(_, row)| row.id));
    }

    fn check_trigger(&self, row: &TriggerRow) {
        let Some(listens) = row.listens else { return };
        let listener = &self.listeners[&row.id];
        let stored = (listens, row.timeout_at, row.has_fired);
        let model = (listener.listens, listener.timeout_at, listener.has_fired);
        assert_eq!(stored, model, "of trigger {}: {listener:?}", row.id);
        match self.bundles.of(Owner::Counting(row.id)) {
            Some(found) => {
                same(Owner::Counting(row.id), &listener.counting, found);
                let first = listener.counting.first().map(|(first, _)| first.at);
                assert_eq!(found.0.first_at, first, "the first event of {listener:?}");
            }
            None => assert_eq!(listener.counting, [], "lost by trigger {}", row.id),
        }
    }

    fn check_gathering(&mut self, found: &[Gathering], now: Timestamp) {
        let ids: Vec<i64> = self.jobs.keys().copied().collect();
        for job in ids {
            let stored = found.iter().find(|found| found.job == job);
            let rests_until = stored.and_then(|stored| stored.rests_until);
            let model = self.jobs.get_mut(&job).expect("known");
            let is_new = rests_until.is_some_and(|until| model.rests_until.is_none_or(|known| known < until));
            model.rests_until = rests_until;
            if is_new {
                self.rests += 1;
                let in_a_row = model.in_a_row + 1;
                assert!(in_a_row >= ROW_OF_A_REST, "job {job} rests after {in_a_row} fires in a row");
                assert!(rests_until <= Some(now + Span::from_micros(REST_MAX)), "job {job} rests too long");
            }
            let bundle = self.bundles.of(Owner::Gathered(job));
            let Some(gathered) = &self.jobs[&job].gathered else {
                assert!(bundle.is_none(), "job {job} has gathered {bundle:?}");
                continue;
            };
            let bundle = bundle.unwrap_or_else(|| panic!("job {job} has lost {gathered:?}"));
            same(Owner::Gathered(job), gathered, bundle);
            let waits = self.lacks_others(job, None) || rests_until.is_some() || self.jobs[&job].is_paused;
            assert!(waits, "job {job} waits for nothing with {gathered:?}");
            assert!(self.listening().any(|(_, listener)| listener.job == job), "job {job} will never run");
        }
    }

    /// Checks that events make no run that they need not.
    fn check_runs(&self, commit: &Commit<'_>) {
        let mut waiting = BTreeSet::new();
        let waits =
            |row: &&Row| row.state == "queued" && row.waits() && row.attempt == 1 && row.array.is_none();
        let is_new = |row: &&Row| row.bundle.is_some() && !self.claimed.contains(&row.id);
        for row in commit.rows.values().filter(waits).filter(is_new) {
            assert!(waiting.insert(row.job), "a second run waits for events: {row:?}");
        }
        let arrays =
            commit.all_arrays.all().filter(|array| array.outcome.is_none() && array.bundle.is_some());
        for array in arrays.filter(|array| array.rest == array.total) {
            assert!(waiting.insert(array.job), "a second array waits for events: {array:?}");
        }
        let new = commit.changes.iter().filter(|(old, new)| old.is_none() && new.array.is_none());
        for (_, row) in new.filter(|(_, row)| row.is_of_events()) {
            let others: Vec<&Row> = commit.open_throughout(row.job).collect();
            let could_join = |other: &&&Row| {
                let before = commit.run(other.job, other.number).0.expect("it is not new");
                waits(&before) && before.kind != "retry"
            };
            let joinable = others.iter().find(could_join);
            assert!(joinable.is_none(), "{row:?} did not join {joinable:?}");
            let overlap = self.overlap(row.job);
            let cause = row.cause.as_deref().unwrap_or_default();
            if cause.contains("unfinished") {
                assert_eq!(overlap, Some(Overlap::Skip), "skipped for nothing: {row:?}");
            }
            match overlap {
                Some(Overlap::Skip) if row.is_open() => {
                    assert!(others.is_empty(), "{row:?} beside {others:?}");
                }
                Some(Overlap::Replace) if row.is_open() => {
                    let is_let_be = |other: &&&Row| other.stop_at.is_none();
                    let let_be = others.iter().find(is_let_be);
                    assert!(let_be.is_none(), "{row:?} did not replace {let_be:?}");
                }
                _ => {}
            }
        }
    }

    /// Returns when triggers fire without an event, or end, and when rests end.
    pub fn coming(&self) -> impl Iterator<Item = Timestamp> {
        let free = |job: i64| !self.jobs[&job].is_paused;
        let listening = self.listening().filter(move |(_, listener)| free(listener.job));
        let times = listening.flat_map(|(_, listener)| [listener.timeout_at, listener.window.until]);
        let rests = self.jobs.values().filter(|job| !job.is_paused).map(|job| job.rests_until);
        times.chain(rests).flatten()
    }

    /// Returns the triggers that hear what their sources tell.
    pub fn heard_now(&self) -> impl Iterator<Item = i64> {
        self.listening().filter(|(_, listener)| !self.jobs[&listener.job].is_paused).map(|(id, _)| id)
    }

    /// Checks that each condition that holds has led to a run, when there is nothing left to do. `holding`:
    /// the triggers of these. `busy`: the jobs with unfinished fires.
    pub fn quiet(&self, holding: impl Iterator<Item = i64>, busy: &BTreeSet<i64>, now: Timestamp) {
        for id in holding {
            let Some(listener) = self.listeners.get(&id) else { continue };
            let job = &self.jobs[&listener.job];
            let is_heard = listener.listens && !job.is_paused && listener.window.contains(now);
            let waits = busy.contains(&listener.job) || job.rests_until.is_some() || job.gathered.is_some();
            assert!(!is_heard || waits, "it holds, and nothing runs: {id} {listener:?}, {job:?}");
        }
    }

    /// Returns the names of the events in a bundle.
    pub fn names_in_bundle(&self, bundle: i64) -> Vec<String> {
        let found = self.bundles.get(bundle).map(|(_, parts)| parts.iter().map(|part| part.name.clone()));
        found.into_iter().flatten().collect()
    }

    pub fn forgot_run(&mut self, row: &Row) {
        self.forgot(Owner::Run(row.id), row.job);
    }

    /// An array is forgotten, with its last run.
    pub fn forgot_array(&mut self, array: &ArrayRow) {
        self.forgot(Owner::Array(array.id), array.job);
    }

    fn forgot(&mut self, owner: Owner, job: i64) {
        if let Some(parts) = self.runs.remove(&owner) {
            self.jobs.get_mut(&job).expect("known").forgotten += events_in(&parts);
        }
    }

    pub fn forgot_job(&mut self, job: i64) {
        self.listeners.retain(|_, listener| listener.job != job);
        self.jobs.remove(&job);
    }

    /// Checks that no event of any job was lost or counted twice.
    pub fn at_the_end(&mut self, db: &Database) {
        self.bundles.scan(db);
        self.bundles.at_the_end(db);
        for (id, job) in &self.jobs {
            let listeners = || self.listeners.values().filter(|listener| listener.job == *id);
            let heard = job.heard + listeners().map(|listener| listener.heard).sum::<u64>();
            let dropped = job.dropped + listeners().map(|listener| listener.dropped).sum::<u64>();
            let stored = self.bundles.events_of(*id);
            assert_eq!(heard, stored + dropped + job.forgotten, "the events that job {id} has heard");
        }
    }
}

/// Checks that a bundle has these events, and not more.
fn same(owner: Owner, parts: &[DeepPart], (header, found): &(Header, Vec<Part>)) {
    assert!(parts.iter().map(|(part, _)| part).eq(found), "of {owner:?}: {parts:?}, found: {found:?}");
    let deepest = parts.iter().map(|(_, depth)| *depth).max().unwrap_or(0);
    assert!((deepest..DEPTH_MAX).contains(&header.depth), "the depth of {header:?} of {owner:?}: {parts:?}");
}
