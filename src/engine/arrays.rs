//! Owns: how an array ends.
//! Never: its indices one by one.

use crate::domain::Outcome;

/// How many indices of an array have ended, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArrayFacts {
    pub total: u32,
    pub succeeded: u32,
    pub failed: u32,
    /// Also those that were skipped before they had a run.
    pub cancelled: u32,
    /// Those that had no run in time.
    pub missed: u32,
}

impl ArrayFacts {
    /// Returns the count of the indices that ended so.
    pub fn of_mut(&mut self, outcome: Outcome) -> &mut u32 {
        match outcome {
            Outcome::Success => &mut self.succeeded,
            Outcome::Failed | Outcome::TimedOut | Outcome::SpawnFailed | Outcome::Lost => &mut self.failed,
            Outcome::Cancelled | Outcome::Skipped => &mut self.cancelled,
            Outcome::Missed => &mut self.missed,
        }
    }

    /// Returns the outcome of the whole: success if every index succeeded. `None`: not all have ended.
    pub fn outcome(&self) -> Option<Outcome> {
        if self.succeeded + self.failed + self.cancelled + self.missed < self.total {
            return None;
        }
        Some(match (self.failed, self.cancelled, self.missed) {
            (0, 0, 0) => Outcome::Success,
            (0, 0, _) => Outcome::Missed,
            (0, _, _) => Outcome::Cancelled,
            (_, _, _) => Outcome::Failed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_succeeds_if_every_index_did() {
        let outcome = |succeeded, failed, cancelled, missed| {
            ArrayFacts { total: 3, succeeded, failed, cancelled, missed }.outcome()
        };
        assert_eq!(outcome(2, 0, 0, 0), None);
        assert_eq!(outcome(3, 0, 0, 0), Some(Outcome::Success));
        assert_eq!(outcome(2, 0, 0, 1), Some(Outcome::Missed));
        assert_eq!(outcome(1, 0, 1, 1), Some(Outcome::Cancelled));
        assert_eq!(outcome(1, 1, 1, 0), Some(Outcome::Failed));
    }
}
