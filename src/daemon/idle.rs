//! Owns: copying the log back when the daemon is idle and when it exits, so that `taskq.db` alone is
//! complete.
//! Never: commits.
//!
//! A commit sets the timer, so an idle daemon does not wake up again and again. Only if a reader still needs
//! the log, the timer is set again, each time to twice the span.

use std::time::Duration;

use log::{info, warn};

use super::agenda::{Agenda, Timer};
use crate::clock::Clock;
use crate::store::{Store, StoreResult};

/// How long after the last commit the log is copied back: longer than the pause between two commands that a
/// person types.
const IDLE: Duration = Duration::from_secs(5);

/// The copying of the log back while the daemon is idle.
#[derive(Debug, Default)]
pub(super) struct Idle {
    delay: Duration,
    /// The number of commits at the last turn.
    commits: u64,
}

impl Idle {
    /// Sets the timer anew if there are more commits than at the last turn.
    pub(super) fn saw_commits(&mut self, commits: u64, agenda: &mut Agenda, clock: &dyn Clock) {
        if commits != self.commits {
            self.commits = commits;
            self.delay = IDLE;
            agenda.set_after(Timer::Idle, IDLE, clock);
        }
    }

    /// Sets the timer again if an attempt has copied only a part of the log.
    pub(super) fn copied(&mut self, copied: StoreResult<bool>, agenda: &mut Agenda, clock: &dyn Clock) {
        match copied {
            Ok(true) => {}
            Ok(false) => {
                self.delay = self.delay.saturating_mul(2);
                agenda.set_after(Timer::Idle, self.delay, clock);
            }
            // It is tried again after the next commit, which fails itself if it matters.
            Err(error) => warn!("cannot copy the log back: {error}"),
        }
    }
}

/// Copies the log back when the daemon exits.
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
