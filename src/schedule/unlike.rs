//! Owns: the first fire at which a schedule differs between two zones.
//! Never: the effect of daylight saving within one zone (see `daylight`).

use super::calendar::{DAY, split};
use super::fires::Schedule;
use super::pattern::{ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS, Follows, Pattern, Years, has};
use super::walk::highest_reading;
use super::zone::Zone;
use crate::domain::Timestamp;

impl Schedule {
    /// Returns the first instant in `(after, until]` that is a fire in only one of two zones.
    pub fn first_unlike(
        &self,
        after: Timestamp,
        until: Timestamp,
        zone: &Zone,
        other: &Zone,
    ) -> Option<Timestamp> {
        let (pattern, _) = self.pattern()?;
        let mut at = after;
        loop {
            at = eve_of_change(pattern, at, zone, other).min(until);
            let (own, others) = (self.next_after(at, zone), self.next_after(at, other));
            let next = own.into_iter().chain(others).min().filter(|next| *next <= until)?;
            if own != others {
                return Some(next);
            }
            at = next;
        }
    }
}

/// Returns the last second before either zone's next transition if the pattern fires alike until then, and
/// otherwise `at`.
fn eve_of_change(pattern: &Pattern, at: Timestamp, zone: &Zone, other: &Zone) -> Timestamp {
    let second = at.as_seconds();
    let segments = [zone, other].map(|zone| zone.segment(second));
    // In a fold a wall-clock pattern does not fire until the clock shows new readings.
    let is_in_fold = |zone: &Zone, offset: i64| highest_reading(second, zone) > second + offset;
    let waits = pattern.follows != Follows::RealTime
        && (is_in_fold(zone, segments[0].offset) || is_in_fold(other, segments[1].offset));
    let eve = segments[0].end.min(segments[1].end) - 1;
    if waits || eve <= second || !is_alike_after(pattern, segments[1].offset - segments[0].offset) {
        return at;
    }
    Timestamp::from_seconds(eve)
}

/// Returns whether a shift by so many seconds maps the pattern onto itself.
fn is_alike_after(pattern: &Pattern, shift: i64) -> bool {
    let is_daily = pattern.days == ALL_DAYS
        && pattern.last_days.is_none()
        && pattern.weekdays == ALL_WEEKDAYS
        && pattern.months == ALL_MONTHS
        && pattern.years == Years::All;
    let matches = |reading: i64| {
        let (_, (hour, minute, _)) = split(reading);
        has(pattern.hours, hour) && has(pattern.minutes, minute)
    };
    let is_alike = |reading: i64| matches(reading) == matches(reading + shift);
    shift == 0 || is_daily && shift % 60 == 0 && (0..DAY).step_by(60).all(is_alike)
}
