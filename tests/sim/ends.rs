//! Owns: the model of triggers that count from the end of a run: which ends arm them.
//! Never: their fires (see `model`). Jobs with an array.

use std::collections::BTreeMap;

use taskq::domain::{Outcome, Timestamp};

use crate::audit::{Audit, Changes};
use crate::rows::Row;

impl Audit {
    /// Arms the triggers that count from the end of a run, if these changes have ended the last one.
    pub fn rearm(&mut self, changes: &Changes, now: Timestamp) {
        let is_open =
            |audit: &Self, job| audit.open_rows().any(|row| row.job == job && row.callback.is_none());
        self.rearm_beside(changes, is_open, now);
    }

    /// Does the same after the ends that a turn has ingested, and returns the changes that it has decided.
    pub fn rearm_reported(&mut self, changes: &Changes, now: Timestamp) -> Changes {
        let (reported, decided): (Changes, Changes) = changes.iter().cloned().partition(is_reported_end);
        self.rearm_beside(&reported, |audit, job| audit.was_open(job, &decided), now);
        decided
    }

    fn rearm_beside(&mut self, changes: &Changes, has_run: impl Fn(&Self, i64) -> bool, now: Timestamp) {
        let mut ends: BTreeMap<i64, Timestamp> = BTreeMap::new();
        for (_, row) in changes.iter().filter(|(_, row)| row.callback.is_none()) {
            let Some(at) = row.finished_at.map(Timestamp::from_micros) else { continue };
            let end = ends.entry(row.job).or_insert(Timestamp::MIN);
            *end = (*end).max(at.min(now));
        }
        ends.retain(|job, _| !has_run(self, *job));
        for trigger in self.triggers.values_mut() {
            if let Some(end) = ends.get(&trigger.job) {
                trigger.run_ended(*end);
            }
        }
    }

    /// Returns whether a job had an unfinished run before the decisions of a turn.
    fn was_open(&self, job: i64, decided: &Changes) -> bool {
        let is_old = |row: &Row| decided.iter().all(|(old, new)| new.id != row.id || old.is_some());
        let is_ended = |(old, new): &(Option<Row>, Row)| {
            old.is_some() && !new.is_open() && new.job == job && new.callback.is_none()
        };
        self.open_rows().any(|row| row.job == job && row.callback.is_none() && is_old(row))
            || decided.iter().any(is_ended)
    }
}

/// Returns whether a turn has ended a run because its keeper reported that, or because it did not start in
/// time: both come before the fires of the turn.
fn is_reported_end((old, new): &(Option<Row>, Row)) -> bool {
    if old.is_some() && new.outcome == Some(Outcome::Missed) {
        return true;
    }
    // A run that the keeper does not know is queued again. A fire of the same turn may then replace it.
    let is_reported = |old: &Row| old.keeper.is_some() && (new.keeper.is_some() || old.stop_at.is_some());
    !new.is_open() && old.as_ref().is_some_and(is_reported)
}
