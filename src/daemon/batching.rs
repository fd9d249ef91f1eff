//! Owns: how long reports of the keeper wait for each other, so that they share a commit.
//! Never: clocks, or the effect of a report on the store.

use std::time::Duration;

use crate::keeper::protocol::{FromKeeper, ToKeeper};

/// The batching delay of starts. The start of a run that is shorter costs no commit of its own.
const STARTED_DELAY: Duration = Duration::from_millis(20);

/// The batching delay of results. Safe only while prefetched runs keep every slot busy, or nothing waits.
const ENDED_DELAY: Duration = Duration::from_millis(5);

/// Returns how long these reports may wait to be recorded, all together; `None` if there are none.
///
/// `results_can_wait`: no run waits for a slot that the keeper cannot fill by itself, and no client waits.
pub(super) fn delay(reports: &[FromKeeper], results_can_wait: bool) -> Option<Duration> {
    let delay = |report: &FromKeeper| match report {
        FromKeeper::Started { .. } | FromKeeper::Delayed { .. } | FromKeeper::Holds { .. } => STARTED_DELAY,
        FromKeeper::Ended(_) if results_can_wait => ENDED_DELAY,
        FromKeeper::Ended(_) | FromKeeper::Unattended { .. } | FromKeeper::Hello { .. } => Duration::ZERO,
    };
    reports.iter().map(delay).min()
}

/// The starts that were sent and not reported. The keeper can fill free slots with them by itself.
#[derive(Debug, Default)]
pub(super) struct Prefetched {
    count: usize,
    /// With this many or fewer left, the next turn must not be late.
    refill_at: usize,
}

impl Prefetched {
    /// Counts orders that are sent to the keeper.
    pub(super) fn sent(&mut self, orders: &[ToKeeper]) {
        self.refill(self.count + orders.iter().filter(|order| matches!(order, ToKeeper::Start(..))).count());
    }

    /// Counts a report of the keeper.
    pub(super) fn received(&mut self, report: &FromKeeper) {
        match report {
            FromKeeper::Hello { known, .. } => {
                self.refill(known.iter().filter(|known| known.started.is_none()).count());
            }
            FromKeeper::Started { .. } => self.count = self.count.saturating_sub(1),
            FromKeeper::Ended(ended) if ended.started_at.is_none() => {
                self.count = self.count.saturating_sub(1);
            }
            FromKeeper::Ended(_)
            | FromKeeper::Unattended { .. }
            | FromKeeper::Delayed { .. }
            | FromKeeper::Holds { .. } => {}
        }
    }

    /// Returns whether the next turn can be late without a slot becoming idle.
    pub(super) fn is_plenty(&self) -> bool {
        self.count > self.refill_at
    }

    fn refill(&mut self, count: usize) {
        (self.count, self.refill_at) = (count, count / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{JobId, RunId, Timestamp};
    use crate::keeper::protocol::{Attempt, Known};

    fn attempt(number: i64) -> Attempt {
        Attempt::of_run(RunId { job: JobId(1), number }, 1)
    }

    fn started(number: i64) -> FromKeeper {
        FromKeeper::Started { attempt: attempt(number), pid: 1, at: Timestamp::default() }
    }

    #[test]
    fn a_hello_is_recorded_at_once_and_a_start_may_wait() {
        let hello = FromKeeper::Hello { version: 3, instance: 1, known: Vec::new(), ended: Vec::new() };
        assert_eq!(delay(&[], true), None);
        assert_eq!(delay(&[started(1)], false), Some(STARTED_DELAY));
        assert_eq!(delay(&[started(1), hello], true), Some(Duration::ZERO));
    }

    #[test]
    fn half_of_what_was_prefetched_is_plenty() {
        let known = (1..=6).map(|number| Known { attempt: attempt(number), started: None }).collect();
        let mut prefetched = Prefetched::default();
        assert!(!prefetched.is_plenty());
        prefetched.received(&FromKeeper::Hello { version: 3, instance: 1, known, ended: Vec::new() });
        for number in 1..=2 {
            prefetched.received(&started(number));
        }
        assert!(prefetched.is_plenty());
        prefetched.received(&started(3));
        assert!(!prefetched.is_plenty());
        prefetched.sent(&[]);
        assert!(prefetched.is_plenty(), "three of three");
    }
}
