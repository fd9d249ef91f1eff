//! Owns: from which fire on a schedule means other instants in another zone.
//! Never: other schedules, or what daylight saving does within one zone (see `daylight`).

use super::Schedule;
use super::calendar::DAY;
use super::pattern::{Follows, Pattern, Years};
use super::walk::highest_reading;
use super::zone::Zone;
use crate::domain::Timestamp;

const ALL_DAYS: u64 = 0xffff_fffe;
const ALL_MONTHS: u64 = 0x1ffe;
const ALL_WEEKDAYS: u64 = 0x7f;

impl Schedule {
    /// Returns the first instant in `(after, until]` that is a fire in one of two zones and none in the
    /// other.
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

/// Returns the last second before either zone's next change, if the pattern means the same in both until
/// then; else `at`.
fn eve_of_change(pattern: &Pattern, at: Timestamp, zone: &Zone, other: &Zone) -> Timestamp {
    let second = at.as_seconds();
    let segments = [zone, other].map(|zone| zone.segment(second));
    // In a fold a wall-clock pattern waits until the clock has caught up.
    let is_in_fold = |zone: &Zone, offset: i64| highest_reading(second, zone) > second + offset;
    let waits = pattern.follows == Follows::WallClock
        && (is_in_fold(zone, segments[0].offset) || is_in_fold(other, segments[1].offset));
    let eve = segments[0].end.min(segments[1].end) - 1;
    if waits || eve <= second || !is_alike_after(pattern, segments[1].offset - segments[0].offset) {
        return at;
    }
    Timestamp::from_seconds(eve)
}

/// Tells whether a pattern has a reading exactly where it has one `shift` seconds later.
fn is_alike_after(pattern: &Pattern, shift: i64) -> bool {
    let is_daily = pattern.days == ALL_DAYS
        && pattern.weekdays == ALL_WEEKDAYS
        && pattern.months == ALL_MONTHS
        && pattern.years == Years::All;
    let has = |second: i64| {
        let of_day = second.rem_euclid(DAY);
        pattern.hours >> (of_day / 3_600) & 1 == 1 && pattern.minutes >> (of_day / 60 % 60) & 1 == 1
    };
    let minutes = || (0..DAY).step_by(60);
    shift == 0 || is_daily && shift % 60 == 0 && minutes().all(|minute| has(minute) == has(minute + shift))
}
