//! Owns: the instants at which a clock shows a round time, for axes.
//! Never: which fires a schedule has.

use crate::domain::{Span, Timestamp};
use crate::schedule::Zone;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;

/// The distances between round times, in seconds. Those below a week divide a day.
const STEPS: [i64; 25] = [
    1,
    2,
    5,
    10,
    15,
    30,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    WEEK,
    2 * WEEK,
    4 * WEEK,
    13 * WEEK,
    52 * WEEK,
    520 * WEEK,
];

/// Longer than from the year 1 to 9999.
const LONGEST: i64 = 520 * WEEK * 1_100;

/// The clock's first Monday, in seconds after its 1970-01-01 00:00, a Thursday. Weeks are counted from it.
const MONDAY: i64 = 4 * DAY;

/// The distance between two round times of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step(i64);

impl Step {
    pub const MINUTE: Self = Self(MINUTE);
    pub const HOUR: Self = Self(HOUR);

    /// Returns the smallest step that is not shorter than a span.
    pub fn at_least(span: Span) -> Self {
        let seconds = i64::try_from(span.as_micros().div_ceil(1_000_000)).unwrap_or(i64::MAX);
        let listed = STEPS.into_iter().find(|step| *step >= seconds);
        // Millennia: with a date as a label, any number of weeks will do.
        Self(listed.unwrap_or_else(|| (seconds.min(LONGEST) + WEEK - 1) / WEEK * WEEK))
    }

    /// Returns how long it is on a day without a change of the clock.
    pub fn span(self) -> Span {
        Span::from_seconds(self.0.unsigned_abs())
    }

    /// Returns the columns of a label.
    pub fn label_width(self) -> usize {
        match self.0 {
            ..MINUTE => "11:23:45".len(),
            MINUTE..=WEEK => "Nov 20".len(),
            _ => "2026-11-20".len(),
        }
    }

    /// Returns what an axis shows at a round instant: the time of day, or the day at midnight.
    pub fn label(self, at: Timestamp, zone: &Zone) -> String {
        let reading = zone.reading(at);
        let is_midnight = reading.as_seconds().rem_euclid(DAY) == 0;
        match self.0 {
            ..MINUTE if !is_midnight => reading.time(),
            ..DAY if !is_midnight => reading.time()[..5].to_owned(),
            ..=WEEK => reading.day(),
            _ => reading.date(),
        }
    }

    /// Returns the first instant after `after` at which a clock in `zone` shows a round time. A round time
    /// that the clock leaves out has none, and one that it shows twice has two.
    pub fn after(self, after: Timestamp, zone: &Zone) -> Timestamp {
        let beyond = |at: i64| {
            let reading = zone.reading(Timestamp::from_seconds(at)).as_seconds();
            (reading - if self.0 >= WEEK { MONDAY } else { 0 }).rem_euclid(self.0)
        };
        let start = after.as_seconds();
        let mut at = start + self.0 - beyond(start);
        // Between the two, the clock may have changed.
        if beyond(at) != 0 {
            let earlier = at - beyond(at);
            at = if earlier > start && beyond(earlier) == 0 { earlier } else { at + self.0 - beyond(at) };
        }
        Timestamp::from_seconds(at)
    }

    /// Returns the round instants in `[from, to)`.
    pub fn within(self, from: Timestamp, to: Timestamp, zone: &Zone) -> impl Iterator<Item = Timestamp> {
        let first = self.after(from - Span::from_micros(1), zone);
        let next = move |at: &Timestamp| Some(self.after(*at, zone)).filter(|next| next > at);
        std::iter::successors(Some(first), next).take_while(move |at| *at < to).filter(move |at| *at >= from)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cli::view::samples::{at, berlin};

    fn labels(step: i64, from: &str, to: &str) -> Vec<String> {
        let zone = berlin();
        Step(step).within(at(from), at(to), &zone).map(|at| Step(step).label(at, &zone)).collect()
    }

    #[test]
    fn round_times_are_those_of_the_clock_also_when_it_changes() {
        assert_eq!(
            labels(6 * HOUR, "2026-11-20 05:00", "2026-11-21 07:00"),
            ["06:00", "12:00", "18:00", "Nov 21", "06:00"]
        );
        assert_eq!(
            labels(2 * HOUR, "2026-03-29 00:00", "2026-03-29 09:00"),
            ["Mar 29", "04:00", "06:00", "08:00"]
        );
        assert_eq!(
            labels(HOUR, "2026-10-25 00:30", "2026-10-25 04:30"),
            ["01:00", "02:00", "02:00", "03:00", "04:00"]
        );
        assert_eq!(labels(DAY, "2026-10-24 12:00", "2026-10-27 12:00"), ["Oct 25", "Oct 26", "Oct 27"]);
        assert_eq!(labels(WEEK, "2026-11-01", "2026-11-17"), ["Nov 02", "Nov 09", "Nov 16"], "Mondays");
        assert_eq!(
            labels(30, "2026-11-20 23:59:10", "2026-11-21 00:00:31"),
            ["23:59:30", "Nov 21", "00:00:30"]
        );
    }

    #[test]
    fn a_step_is_the_smallest_that_is_long_enough() {
        for (micros, seconds) in
            [(0, 1), (1_000_001, 2), (61_000_000, 120), (86_400_000_000, DAY), (u64::MAX, LONGEST)]
        {
            assert_eq!(Step::at_least(Span::from_micros(micros)), Step(seconds));
        }
    }

    proptest! {
        #[test]
        fn round_instants_ascend(
            from in -4_000_000_000_i64..10_000_000_000,
            index in 0..STEPS.len(),
            zone in 0..4_usize,
        ) {
            let zone = ["Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe"][zone];
            let zone = Zone::named(zone).expect("in every tzdata");
            let step = Step(STEPS[index]);
            let from = Timestamp::from_seconds(from);
            let to = from + Span::from_micros(step.span().as_micros() * 20);
            let found: Vec<Timestamp> = step.within(from, to, &zone).collect();
            prop_assert!(found.is_sorted() && found.len() <= 24, "{found:?}");
            prop_assert!(found.len() >= 15, "{found:?}");
            prop_assert!(found.iter().all(|at| *at >= from && *at < to));
        }
    }
}
