//! Owns: the promise about callbacks: each that is due runs once, for the last attempt of its run.

use std::collections::{BTreeMap, BTreeSet};

use taskq::domain::{CallbackWhen, Callbacks, Outcome};

use crate::rng::Rng;
use crate::rows::{ArrayRow, Row};

/// The jobs with callbacks, and which.
#[derive(Debug, Default)]
pub struct CallbackModel {
    jobs: BTreeMap<i64, Callbacks>,
    /// Runs that were forgotten, and with them what is known of their callbacks.
    forgotten: BTreeSet<(i64, i64)>,
}

/// Returns random callbacks for every fifth job.
pub fn random(rng: &mut Rng) -> Callbacks {
    let mut callbacks = Callbacks::default();
    if rng.chance(200) {
        for when in CallbackWhen::ALL {
            *callbacks.get_mut(*when) = rng.chance(600).then(|| b"true".to_vec());
        }
    }
    callbacks
}

impl CallbackModel {
    pub fn added(&mut self, job: i64, callbacks: &Callbacks) {
        self.jobs.insert(job, callbacks.clone());
    }

    pub fn forgot(&mut self, row: &Row) {
        self.forgotten.insert((row.job, row.parent.unwrap_or(row.number)));
    }

    /// Compares the callbacks with the runs and arrays that have ended.
    pub fn check<'a>(&self, rows: &BTreeMap<i64, Row>, arrays: impl Iterator<Item = &'a ArrayRow>) {
        let mut found: BTreeMap<(i64, i64), Vec<&str>> = BTreeMap::new();
        for row in rows.values().filter(|row| row.callback.is_some()) {
            let parent = row.parent.unwrap_or_else(|| -row.parent_array.expect("one of the two"));
            found.entry((row.job, parent)).or_default().extend(row.callback.as_deref());
        }
        let runs = rows.values().filter(|row| row.array.is_none() && row.callback.is_none());
        for row in runs.filter(|row| !self.forgotten.contains(&(row.job, row.number))) {
            self.compare(
                row.job,
                row.outcome,
                row.started_at.is_some(),
                found.remove(&(row.job, row.number)),
            );
        }
        for array in arrays {
            let began = rows.values().any(|row| row.array == Some(array.id) && row.started_at.is_some());
            let is_whole = rows.values().filter(|row| row.array == Some(array.id)).count() as u64 > 0;
            let found = found.remove(&(array.job, -array.id));
            if is_whole && !self.forgotten.iter().any(|(job, _)| *job == array.job) {
                self.compare(array.job, array.outcome, began, found);
            }
        }
        found.retain(|key, _| !self.forgotten.contains(key) && key.1 > 0);
        assert!(found.is_empty(), "callbacks of nothing: {found:?}");
    }

    fn compare(&self, job: i64, outcome: Option<Outcome>, began: bool, found: Option<Vec<&str>>) {
        let mut found = found.unwrap_or_default();
        found.sort_unstable();
        let callbacks = self.jobs.get(&job).cloned().unwrap_or_default();
        let due = |when: CallbackWhen| {
            outcome.is_some_and(|outcome| match when {
                CallbackWhen::Success => outcome == Outcome::Success,
                CallbackWhen::Failure => outcome.is_failure(),
                CallbackWhen::Finish => {
                    outcome == Outcome::Success
                        || outcome.is_failure()
                        || matches!(outcome, Outcome::Cancelled | Outcome::Missed) && began
                }
            })
        };
        let wanted = CallbackWhen::ALL.iter().filter(|when| callbacks.get(**when).is_some() && due(**when));
        let mut wanted: Vec<&str> = wanted.map(|when| when.as_str()).collect();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "the callbacks of a run of job {job} that ended as {outcome:?}");
    }
}
