//! Owns: from the readings of a pattern to the instants of a zone, through gaps and folds.
//! Never: the text of the expression.
//!
//! A zone is a sequence of segments with one offset each. Real-time patterns are searched segment by segment,
//! and so are those that fire when a reading is shown first. Wall-clock patterns fire when the clock *first
//! reaches* a reading. The highest reading so far decides: a fold does not raise it, and a gap raises it at
//! once, so that readings in a gap fire at the transition.

use super::pattern::{Follows, Pattern};
use super::zone::{MARGIN, Segment, Zone};

/// The search ends after so many distant readings in a row that lie in gaps. A pattern that falls into a gap
/// every year, such as `*/10 2 25-31 3 */7` in Berlin, never fires.
const SWALLOWED_MAX: u32 = 64;

/// Returns the first fire strictly after `after`; all instants are seconds since the epoch.
pub(super) fn next(pattern: &Pattern, after: i64, zone: &Zone) -> Option<i64> {
    match pattern.follows {
        Follows::RealTime => next_real_time(pattern, after, zone),
        Follows::WallClock => next_wall_clock(pattern, after, zone),
        Follows::FirstShown => next_first_shown(pattern, after, zone),
    }
}

/// Returns the number of fires in `(after, until]`.
pub(super) fn count(pattern: &Pattern, after: i64, until: i64, zone: &Zone) -> u64 {
    // After the last year there are thousands of transitions, but no fires.
    let until = until.min(pattern.end().saturating_add(MARGIN));
    if until <= after {
        return 0;
    }
    match pattern.follows {
        Follows::RealTime => count_real_time(pattern, after, until, zone),
        Follows::WallClock => count_wall_clock(pattern, after, until, zone),
        Follows::FirstShown => count_first_shown(pattern, after, until, zone),
    }
}

fn next_real_time(pattern: &Pattern, after: i64, zone: &Zone) -> Option<i64> {
    let mut from = after + 1;
    let mut swallowed = 0;
    while swallowed < SWALLOWED_MAX {
        let segment = zone.segment(from);
        let reading = pattern.next(from + segment.offset)?;
        if reading - segment.offset < segment.end {
            return Some(reading - segment.offset);
        }
        if segment.end - from > MARGIN {
            // The transition is too far away to repeat readings before `from`. So nothing matches until
            // shortly before `reading`, over any number of segments.
            from = segment.end.max(reading - MARGIN);
            swallowed += 1;
        } else {
            from = segment.end;
        }
    }
    None
}

/// Returns the highest reading that clocks have shown up to `at`, inclusive.
pub(super) fn highest_reading(at: i64, zone: &Zone) -> i64 {
    let mut segment = zone.segment(at - MARGIN);
    let mut highest = i64::MIN;
    while segment.end <= at {
        highest = highest.max(segment.end - 1 + segment.offset);
        segment = zone.segment(segment.end);
    }
    highest.max(at + segment.offset)
}

fn next_wall_clock(pattern: &Pattern, after: i64, zone: &Zone) -> Option<i64> {
    let reading = pattern.next(highest_reading(after, zone) + 1)?;
    Some(zone.reach(reading, after + 1))
}

/// Needs no limit for readings in gaps, because its years end.
fn next_first_shown(pattern: &Pattern, after: i64, zone: &Zone) -> Option<i64> {
    let mut from = after + 1;
    loop {
        let segment = zone.segment(from);
        let unseen = highest_reading(from - 1, zone) + 1;
        let reading = pattern.next(unseen.max(from + segment.offset))?;
        if reading - segment.offset < segment.end {
            return Some(reading - segment.offset);
        }
        from = segment.end.max(reading - MARGIN);
    }
}

fn count_real_time(pattern: &Pattern, after: i64, until: i64, zone: &Zone) -> u64 {
    let segments = zone.segments(after + 1).take_while(|(from, _)| *from <= until);
    let count = |(from, segment): (i64, Segment)| {
        pattern.count(from + segment.offset, until.min(segment.end - 1) + segment.offset)
    };
    segments.map(count).sum()
}

fn count_wall_clock(pattern: &Pattern, after: i64, until: i64, zone: &Zone) -> u64 {
    let mut highest = highest_reading(after, zone);
    let mut count = 0;
    for (from, segment) in zone.segments(after + 1).take_while(|(from, _)| *from <= until) {
        let last = until.min(segment.end - 1);
        // All readings that the clock jumps over fire at this one instant.
        let reached = from + segment.offset;
        count += u64::from(pattern.count(highest + 1, reached) > 0);
        highest = highest.max(reached);
        count += pattern.count(highest + 1, last + segment.offset);
        highest = highest.max(last + segment.offset);
    }
    count
}

fn count_first_shown(pattern: &Pattern, after: i64, until: i64, zone: &Zone) -> u64 {
    let mut highest = highest_reading(after, zone);
    let mut count = 0;
    for (from, segment) in zone.segments(after + 1).take_while(|(from, _)| *from <= until) {
        let last = until.min(segment.end - 1) + segment.offset;
        count += pattern.count((highest + 1).max(from + segment.offset), last);
        highest = highest.max(last);
    }
    count
}
