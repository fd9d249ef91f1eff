//! Owns: the invariants of arrays: each index runs once, and the counts and the end of the whole are those of
//! its runs.

use std::collections::{BTreeMap, BTreeSet};

use taskq::domain::{Array, Indices, Outcome, Timestamp};

use crate::rng::Rng;
use crate::rows::{ArrayRow, Database, Row, is_event_kind};

/// The arrays as they were at the last look.
#[derive(Debug, Default)]
pub struct Arrays {
    rows: BTreeMap<i64, ArrayRow>,
    /// The first array of each job.
    first: BTreeMap<i64, i64>,
    /// Arrays of which runs were forgotten.
    incomplete: BTreeSet<i64>,
}

/// Returns a random array for every fifth job.
pub fn random(rng: &mut Rng) -> Option<Array> {
    if !rng.chance(200) {
        return None;
    }
    let (first, step) = (rng.below(4) as u32, 1 + rng.below(2) as u32);
    let last = first + rng.below(6) as u32;
    let indices = Indices::new(first, last, step).expect("it has the first");
    Some(Array { indices, at_once: rng.chance(400).then(|| 1 + rng.below(3) as u32) })
}

impl Arrays {
    /// Takes the present rows, and returns those that changed: as they were, unless they are new, and as they
    /// are.
    pub fn scan(&mut self, rows: Vec<ArrayRow>) -> Vec<(Option<ArrayRow>, ArrayRow)> {
        let before = self.rows.clone();
        for row in &rows {
            if let Some(old) = self.rows.get(&row.id) {
                let fixed =
                    |row: &ArrayRow| (row.job, row.trigger, row.scheduled_at, row.total, row.queued_at);
                assert_eq!(fixed(old), fixed(row), "the identity of an array changed");
                assert!(row.rest <= old.rest, "indices came back: {old:?} {row:?}");
                assert!(old.outcome.is_none() || old == row, "it was finished: {old:?} {row:?}");
            }
        }
        for row in &rows {
            self.first.entry(row.job).or_insert(row.id);
        }
        self.rows = rows.into_iter().map(|row| (row.id, row)).collect();
        let changed = self.rows.values().filter(|row| before.get(&row.id) != Some(row));
        changed.map(|row| (before.get(&row.id).cloned(), row.clone())).collect()
    }

    pub fn all(&self) -> impl Iterator<Item = &ArrayRow> {
        self.rows.values()
    }

    /// Returns whether it is the first of its job.
    pub fn is_first(&self, array: &ArrayRow) -> bool {
        self.first[&array.job] == array.id
    }

    pub fn get(&self, id: i64) -> &ArrayRow {
        &self.rows[&id]
    }

    /// Returns the unfinished arrays of a job.
    pub fn open_of(&self, job: i64) -> impl Iterator<Item = &ArrayRow> {
        self.rows.values().filter(move |row| row.job == job && row.outcome.is_none())
    }

    /// A run was forgotten.
    pub fn forgot(&mut self, row: &Row) {
        self.incomplete.extend(row.array);
    }

    /// Compares each array with its runs. `rows`: all runs.
    pub fn check(&self, rows: &BTreeMap<i64, Row>) {
        let mut runs: BTreeMap<i64, Vec<&Row>> = BTreeMap::new();
        for row in rows.values() {
            runs.entry(row.array.unwrap_or(0)).or_default().push(row);
        }
        for array in self.rows.values().filter(|array| !self.incomplete.contains(&array.id)) {
            let runs = runs.get(&array.id).map(Vec::as_slice).unwrap_or_default();
            let indices: BTreeSet<u32> = runs.iter().filter_map(|run| run.index).collect();
            let dropped_as = |is_missed: bool| -> u64 {
                let dropped = runs.iter().filter(|run| run.index.is_none());
                dropped
                    .filter(|run| (run.outcome == Some(Outcome::Missed)) == is_missed)
                    .map(|run| run.fires)
                    .sum()
            };
            let dropped = dropped_as(false) + dropped_as(true);
            let made = runs.iter().filter(|run| run.index.is_some()).count();
            assert_eq!(indices.len(), made, "an index ran twice: {array:?}");
            assert_eq!(made as u64 + dropped + array.rest, array.total, "indices of {array:?}: {runs:?}");
            let ended = |is_it: fn(Outcome) -> bool| {
                let of_index = runs.iter().filter(|run| run.index.is_some());
                of_index.filter(|run| run.outcome.is_some_and(is_it)).count() as u64
            };
            let succeeded = ended(|outcome| outcome == Outcome::Success);
            let failed = ended(Outcome::is_failure);
            let cancelled = ended(|outcome| outcome == Outcome::Cancelled) + dropped_as(false);
            let missed = ended(|outcome| outcome == Outcome::Missed) + dropped_as(true);
            assert_eq!(
                (array.succeeded, array.failed, array.cancelled, array.missed),
                (succeeded, failed, cancelled, missed),
                "the counts of {array:?}"
            );
            let is_over = succeeded + failed + cancelled + missed == array.total;
            assert_eq!(array.outcome.is_some(), is_over, "the end of {array:?}");
            let is_barred = runs.iter().any(|run| run.is_barred());
            let expected = match (failed, cancelled, missed) {
                _ if is_barred => Outcome::Skipped,
                (0, 0, 0) => Outcome::Success,
                (0, 0, _) => Outcome::Missed,
                (0, _, _) => Outcome::Cancelled,
                (_, _, _) => Outcome::Failed,
            };
            assert!(array.outcome.is_none_or(|outcome| outcome == expected), "the end of {array:?}");
        }
    }
}

/// The order in which a queue starts: rank, then the place.
pub type Order = (i64, i64);

/// Returns the order of an array, which waits behind the runs that were there before it.
pub fn order_of(array: &ArrayRow) -> Order {
    (array.rank, 2 * array.place + 1)
}

/// Returns the trigger of instants that has made the array, if one has, and the instant.
pub fn fire_of(array: &ArrayRow) -> (Option<i64>, Timestamp) {
    (array.trigger.filter(|_| !is_event_kind(&array.kind)), array.scheduled_at)
}

/// Returns whether a row is not above those of the last array beyond the latest `runs_max` ones. An array
/// counts as one, also if none of its indices has begun.
pub fn is_of_surplus_array<'a>(
    row: &Row,
    rows: impl Iterator<Item = &'a Row> + Clone,
    db: &Database,
    runs_max: u64,
) -> bool {
    let of_job = rows.filter(|other| other.job == row.job);
    let mut arrays: BTreeSet<i64> = of_job.clone().filter_map(|other| other.array).collect();
    arrays.extend(db.arrays().iter().filter(|array| array.job == row.job).map(|array| array.id));
    let surplus = arrays.into_iter().rev().nth(usize::try_from(runs_max).expect("small"));
    let mut of_surplus = of_job.filter(|other| surplus.is_some() && other.array == surplus);
    of_surplus.any(|other| other.number >= row.number)
}
