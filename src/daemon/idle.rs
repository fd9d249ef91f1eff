//! Owns: what the daemon does for its store when it is idle and when it ends: copying the log back, so that
//! `taskq.db` alone is whole.
//! Never: commits.
//!
//! One timer, armed by a commit: a daemon to which nothing happens does not wake up. It runs again only for a
//! log that a reader still needed, each time after twice as long.

use log::{info, warn};

use crate::domain::{Span, Timestamp};
use crate::store::{Store, StoreResult};

/// How long after the last commit the log is copied back: longer than a person takes between two commands.
const IDLE: Span = Span::from_seconds(5);

/// When the log is to be copied back.
#[derive(Debug, Default)]
pub(super) struct Idle {
    at: Option<Timestamp>,
    patience: Span,
    /// The commits that the store had seen when it was last looked at.
    commits: u64,
}

impl Idle {
    /// Returns when to wake up.
    pub(super) fn at(&self) -> Option<Timestamp> {
        self.at
    }

    /// Takes note of the commits that the store has seen; a new one means that it is not idle.
    pub(super) fn saw_commits(&mut self, commits: u64, now: Timestamp) {
        if commits != self.commits {
            self.commits = commits;
            self.patience = IDLE;
            self.at = Some(now + IDLE);
        }
    }

    /// The wall clock is earlier than it was by so much.
    pub(super) fn clock_was_set_back(&mut self, by: Span) {
        self.at = self.at.map(|at| at - by);
    }

    /// Copies the log back if it is time.
    pub(super) fn tend(&mut self, store: &mut Store, now: Timestamp) {
        if self.at.is_some_and(|at| at <= now) {
            let copied = store.copy_log_back();
            self.take_note(copied, now);
        }
    }

    fn take_note(&mut self, copied: StoreResult<bool>, now: Timestamp) {
        self.at = None;
        match copied {
            Ok(true) => {}
            Ok(false) => {
                self.patience = Span::from_micros(self.patience.as_micros().saturating_mul(2));
                self.at = Some(now + self.patience);
            }
            // The next commit says it louder, and tries again.
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

    fn second(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_commit_arms_the_timer_anew_and_a_turn_without_one_does_not() {
        let mut idle = Idle::default();
        idle.saw_commits(1, second(100));
        idle.saw_commits(1, second(103));
        assert_eq!(idle.at(), Some(second(105)));
        idle.saw_commits(2, second(104));
        assert_eq!(idle.at(), Some(second(109)));
        idle.clock_was_set_back(Span::from_seconds(60));
        assert_eq!(idle.at(), Some(second(49)));
    }

    #[test]
    fn once_the_log_is_copied_back_nothing_wakes_the_daemon_for_it() {
        let mut idle = Idle::default();
        idle.saw_commits(1, second(100));
        idle.take_note(Ok(true), second(105));
        assert_eq!(idle.at(), None);
        idle.saw_commits(1, second(200));
        assert_eq!(idle.at(), None);
    }

    #[test]
    fn a_log_that_a_reader_needs_is_tried_again_after_twice_as_long_each_time() {
        let mut idle = Idle::default();
        idle.saw_commits(1, second(100));
        idle.take_note(Ok(false), second(105));
        assert_eq!(idle.at(), Some(second(115)));
        idle.take_note(Ok(false), second(115));
        assert_eq!(idle.at(), Some(second(135)));
        idle.saw_commits(2, second(120));
        assert_eq!(idle.at(), Some(second(125)));
    }
}
