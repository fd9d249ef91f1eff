//! Owns: the runs of a host of an executor in numbers.
//! Never: which hosts there are.

use super::{Mean, RunSample, ratio};
use crate::domain::{Outcome, Span};

/// The runs that a host has had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostRuns {
    pub runs: u64,
    succeeded: u64,
    failed: u64,
    /// Of their latest attempts: earlier ones may have been elsewhere.
    run_time: Mean,
}

impl HostRuns {
    pub(super) fn add(&mut self, run: &RunSample<'_>) {
        self.runs += 1;
        self.succeeded += u64::from(run.outcome == Some(Outcome::Success));
        self.failed += u64::from(run.outcome.is_some_and(Outcome::is_failure));
        let times = run.started_at.zip(run.finished_at);
        self.run_time.extend(times.map(|(started, finished)| finished.since(started)));
    }

    /// Returns which part of the runs succeeded, of those that succeeded or failed.
    pub fn success_rate(&self) -> Option<f64> {
        ratio(self.succeeded as f64, (self.succeeded + self.failed) as f64)
    }

    pub fn mean(&self) -> Option<Span> {
        self.run_time.mean()
    }
}
