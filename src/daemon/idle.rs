//! Owns: what the daemon does for its store when it is idle and when it ends: copying the log back, so that
//! `taskq.db` alone is whole.
//! Never: commits.
//!
//! A commit sets the timer: a daemon to which nothing happens does not wake up. The timer is set again only
//! for a log that a reader still needed, each time to twice the span.

use std::time::Duration;

use log::{info, warn};

use super::agenda::{Agenda, Timer};
use crate::clock::Clock;
use crate::store::{Store, StoreResult};

/// How long after the last commit the log is copied back: longer than a person takes between two commands.
const IDLE: Duration = Duration::from_secs(5);

/// The copying back of the log, when `Timer::Idle` is due.
#[derive(Debug, Default)]
pub(super) struct Idle {
    delay: Duration,
    /// The commits that the store had seen when it was last looked at.
    commits: u64,
}

impl Idle {
    /// Takes note of the commits that the store has seen; a new one means that it is not idle.
    pub(super) fn saw_commits(&mut self, commits: u64, agenda: &mut Agenda, clock: &dyn Clock) {
        if commits != self.commits {
            self.commits = commits;
            self.delay = IDLE;
            agenda.set_after(Timer::Idle, IDLE, clock);
        }
    }

    /// Takes note of an attempt to copy the log back.
    pub(super) fn copied(&mut self, copied: StoreResult<bool>, agenda: &mut Agenda, clock: &dyn Clock) {
        match copied {
            Ok(true) => {}
            Ok(false) => {
                self.delay = self.delay.saturating_mul(2);
                agenda.set_after(Timer::Idle, self.delay, clock);
            }
            // The next commit tries again, and fails where it matters.
            Err(error) => warn!("cannot copy the log back: {error}"),
        }
    }
}

/// Copies the log back at the daemon's end.
pub(super) fn finish(store: Store) {
    match store.finish() {
        Ok(true) => {}
        Ok(false) => info!("others read the store: `taskq.db` needs its log"),
        Err(error) => warn!("cannot copy the log back: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::FakeClock;
    use crate::domain::Timestamp;

    fn clock(seconds: u64) -> FakeClock {
        FakeClock::at(Timestamp::default(), Duration::from_secs(seconds))
    }

    /// Returns the second at which the timer is due.
    fn due(agenda: &Agenda) -> Option<u64> {
        agenda.next_wake(&clock(0)).monotonic.map(|at| at.as_secs())
    }

    #[test]
    fn a_commit_sets_the_timer_anew_and_a_turn_without_one_does_not() {
        let (mut idle, mut agenda) = (Idle::default(), Agenda::default());
        idle.saw_commits(1, &mut agenda, &clock(100));
        idle.saw_commits(1, &mut agenda, &clock(103));
        assert_eq!(due(&agenda), Some(105));
        idle.saw_commits(2, &mut agenda, &clock(104));
        assert_eq!(due(&agenda), Some(109));
    }

    #[test]
    fn once_the_log_is_copied_back_nothing_wakes_the_daemon_for_it() {
        let (mut idle, mut agenda) = (Idle::default(), Agenda::default());
        idle.saw_commits(1, &mut agenda, &clock(100));
        assert_eq!(agenda.take_due(&clock(105)), [Timer::Idle]);
        idle.copied(Ok(true), &mut agenda, &clock(105));
        idle.saw_commits(1, &mut agenda, &clock(200));
        assert_eq!(due(&agenda), None);
    }

    #[test]
    fn a_log_that_a_reader_needs_is_tried_again_after_twice_as_long_each_time() {
        let (mut idle, mut agenda) = (Idle::default(), Agenda::default());
        idle.saw_commits(1, &mut agenda, &clock(100));
        idle.copied(Ok(false), &mut agenda, &clock(105));
        assert_eq!(due(&agenda), Some(115));
        idle.copied(Ok(false), &mut agenda, &clock(115));
        assert_eq!(due(&agenda), Some(135));
        idle.saw_commits(2, &mut agenda, &clock(120));
        assert_eq!(due(&agenda), Some(125));
    }
}
