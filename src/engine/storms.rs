//! Owns: rests of a job whose runs cause the next one, over and over.
//! Never: what causes a run (see `event_fires`).
//!
//! Such a job is slowed down and never stopped, because the system does not say who wrote a file: it may be a
//! mistake, or a job that works in steps. A job that is merely busy is not slowed down: its events come from
//! elsewhere, so that some come while no run of it is under way.

use crate::domain::{Span, Timestamp};

/// How many runs in a row each have to be caused by the one before, until the job rests.
const RUNS_IN_A_ROW: u32 = 20;

/// They count only if they come within this time. A job that needs longer for them harms nobody.
const WITHIN: Span = Span::from_seconds(60);

const REST_MIN: Span = Span::from_seconds(1);
const REST_MAX: Span = Span::from_seconds(60);

/// How many runs of a job in a row were caused by the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SelfCaused {
    pub runs: u32,
    /// When the first of them was made; `None` if there is none.
    pub since: Option<Timestamp>,
    /// The latest rest; zero if there was none in this row.
    pub rest: Span,
    /// It rests until then.
    pub rests_until: Option<Timestamp>,
}

impl SelfCaused {
    /// Returns the row after a fire at `now`. `by_itself`: all its events are from the time of the run
    /// before.
    pub fn after_fire(self, by_itself: bool, now: Timestamp) -> Self {
        if !by_itself {
            return Self::default();
        }
        let since = self.since.unwrap_or(now);
        let is_fast = self.rest > Span::ZERO || now.since(since) <= WITHIN;
        let runs = self.runs.saturating_add(1);
        if runs < RUNS_IN_A_ROW {
            return Self { runs, since: Some(since), ..Self::default() };
        }
        if !is_fast {
            return Self { runs: 1, since: Some(now), ..Self::default() };
        }
        let rest = Span::from_micros(self.rest.as_micros() * 2).clamp(REST_MIN, REST_MAX);
        Self { runs, since: Some(since), rest, rests_until: Some(now + rest) }
    }

    /// Returns the row at the end of a rest.
    pub fn after_rest(self) -> Self {
        Self { rests_until: None, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(1_772_000_000 + second)
    }

    #[test]
    fn a_job_that_causes_itself_twenty_times_rests_for_twice_as_long_each_time() {
        let mut row = SelfCaused::default();
        let mut rests = Vec::new();
        let mut now = at(0);
        for _ in 0..30 {
            row = row.after_fire(true, now);
            if let Some(until) = row.rests_until {
                rests.push(until.since(now).as_millis() / 1_000);
                now = until;
                row = row.after_rest();
            }
        }
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]);
    }

    #[test]
    fn an_event_from_elsewhere_ends_the_row() {
        let mut row = SelfCaused::default();
        for _ in 0..25 {
            row = row.after_fire(true, at(0)).after_rest();
        }
        assert!(row.rest > Span::ZERO);
        assert_eq!(row.after_fire(false, at(1)), SelfCaused::default());
    }

    #[test]
    fn runs_that_come_slowly_are_no_storm() {
        let mut row = SelfCaused::default();
        for second in 0..1_000 {
            row = row.after_fire(true, at(second * 4));
            assert_eq!(row.rests_until, None);
        }
    }
}
