//! Owns: how long a change waits for the next one.
//! Never: what changed.

use std::time::Duration;

use crate::domain::Span;

/// Constant activity delays an event by no more than so many times its `settle`.
const CAP: u32 = 10;

/// Runs from a change until nothing has changed for its span. Without a span it ends at once.
///
/// Instants are of the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SettleClock {
    span: Duration,
    /// The first change and the last one.
    changes: Option<(Duration, Duration)>,
}

impl SettleClock {
    pub(super) fn new(settle: Option<Span>) -> Self {
        Self { span: settle.map_or(Duration::ZERO, Span::as_duration), changes: None }
    }

    /// Takes note of a change.
    pub(super) fn touch(&mut self, now: Duration) {
        self.changes = Some((self.changes.map_or(now, |(first, _)| first), now));
    }

    pub(super) fn stop(&mut self) {
        self.changes = None;
    }

    pub(super) fn is_running(&self) -> bool {
        self.changes.is_some()
    }

    /// Returns when the changes are due, or `None` if there are none.
    pub(super) fn due(&self) -> Option<Duration> {
        let (first, last) = self.changes?;
        let quiet = last.saturating_add(self.span);
        Some(quiet.min(first.saturating_add(self.span.saturating_mul(CAP))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn without_a_span_a_change_is_due_at_once() {
        let mut clock = SettleClock::new(None);
        assert_eq!(clock.due(), None);
        clock.touch(5 * SECOND);
        assert_eq!(clock.due(), Some(5 * SECOND));
        clock.stop();
        assert_eq!(clock.due(), None);
    }

    #[test]
    fn each_change_delays_the_end_but_not_beyond_ten_spans_after_the_first() {
        let mut clock = SettleClock::new(Some(Span::from_seconds(2)));
        clock.touch(100 * SECOND);
        for (at, due) in [(100, 102), (101, 103), (110, 112), (117, 119), (119, 120), (500, 120)] {
            clock.touch(at * SECOND);
            assert_eq!(clock.due(), Some(due * SECOND), "{at}");
        }
        clock.stop();
        clock.touch(900 * SECOND);
        assert_eq!(clock.due(), Some(902 * SECOND));
    }
}
