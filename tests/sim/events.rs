//! Owns: the promises about the record of events: its ids, and its agreement with the run log.
//! Never: the run log itself (see `audit`).

use std::collections::{BTreeMap, BTreeSet};

use taskq::domain::{EndNote, Event, Happening, RunId};

use crate::audit::Changes;
use crate::rows::{Database, Row};

/// The uid of the simulated user.
pub const PERSON: u32 = 1_000;

/// The state of a run by its events.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    /// It waits for this attempt.
    Waits(u32),
    /// This attempt has a process.
    Runs(u32),
    /// Ended so, in this attempt.
    Ended(String, u32),
}

impl Told {
    /// Returns whether the attempt may end so: one without a process has taken no time.
    fn ends_as(&self, end: &EndNote) -> bool {
        match self {
            Self::Waits(attempt) => *attempt == end.attempt && end.took.is_none(),
            Self::Runs(attempt) => *attempt == end.attempt && end.took.is_some(),
            Self::Ended(..) => false,
        }
    }
}

/// The events seen so far, and what they tell.
#[derive(Debug, Default)]
pub struct Record {
    /// Those of the last commit.
    pub latest: Vec<Event>,
    last: u64,
    runs: BTreeMap<(i64, i64), Told>,
    added: BTreeSet<i64>,
}

impl Record {
    /// Reads the new events, and compares them with the rows that changed.
    pub fn scan(&mut self, db: &Database, changes: &Changes) {
        self.latest = db.events_after(self.last).into_iter().flatten().collect();
        for event in std::mem::take(&mut self.latest) {
            assert_eq!(event.id.0, self.last + 1, "the ids have a gap, or one came twice: {event:?}");
            self.last = event.id.0;
            self.take(&event);
            self.latest.push(event);
        }
        for (_, row) in changes {
            let told = self.runs.get(&(row.job, row.number));
            assert_eq!(told, Some(&wanted(row)), "what the events tell of {row:?}");
        }
    }

    fn take(&mut self, event: &Event) {
        let what = event.what.as_ref().expect("this taskq recorded it");
        if let Happening::Added { job } = what {
            assert_eq!(event.by, Some(PERSON), "{event:?}");
            assert!(self.added.insert(job.job.0), "added twice: {event:?}");
        }
        let Some(RunId { job, number }) = what.run() else { return };
        let told = self.runs.remove(&(job.0, number));
        let next = match (what, &told) {
            (Happening::Queued { .. }, None) => Told::Waits(1),
            (Happening::Passed { outcome, .. }, None) => Told::Ended(outcome.to_string(), 1),
            (Happening::Started { attempt, .. }, Some(Told::Waits(waits))) if attempt == waits => {
                Told::Runs(*attempt)
            }
            (Happening::Unattended { attempt, .. }, Some(Told::Runs(runs))) if attempt == runs => {
                Told::Runs(*attempt)
            }
            (Happening::Retrying { end, .. }, Some(told)) if told.ends_as(end) => {
                Told::Waits(end.attempt + 1)
            }
            (Happening::Finished { end, .. }, Some(told)) if told.ends_as(end) => {
                Told::Ended(end.outcome.to_string(), end.attempt)
            }
            (
                Happening::Stopping { .. } | Happening::RunPaused { .. } | Happening::RunResumed { .. },
                Some(told @ (Told::Runs(_) | Told::Waits(_))),
            ) => told.clone(),
            (what, told) => panic!("event {} is out of order: {what:?} after {told:?}", event.id),
        };
        self.runs.insert((job.0, number), next);
    }

    pub fn forgot(&mut self, row: &Row) {
        self.runs.remove(&(row.job, row.number));
    }

    /// Checks that each of these jobs has left an event, and each of these runs.
    pub fn at_the_end<'a>(&self, jobs: &BTreeSet<i64>, rows: impl Iterator<Item = &'a Row>) {
        let missing: Vec<_> = jobs.difference(&self.added).collect();
        assert!(missing.is_empty(), "jobs without an event: {missing:?}");
        for row in rows {
            assert_eq!(self.runs.get(&(row.job, row.number)), Some(&wanted(row)), "{row:?}");
        }
    }
}

/// Returns what the events have to tell of a run.
fn wanted(row: &Row) -> Told {
    match (row.outcome, row.state.as_str()) {
        (Some(outcome), _) => Told::Ended(outcome.to_string(), row.attempt),
        (None, "running") => Told::Runs(row.attempt),
        (None, _) => Told::Waits(row.attempt),
    }
}
