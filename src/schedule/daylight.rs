//! Owns: the effect of gaps and folds on the fires of a pattern, for reports.
//! Never: the fires (see `walk`), the words for the effect (see `cli`).
//!
//! Both kinds of pattern are compared with the highest reading so far. A reading that the clock jumps over is
//! left out. A reading that is not higher comes for the second time.

use super::pattern::{ALL_HOURS, Follows, HORIZON_YEARS, Pattern};
use super::reading::Reading;
use super::walk::highest_reading;
use super::zone::{MARGIN, Segment, Zone};
use crate::domain::{Span, Timestamp};

const HORIZON_SECONDS: i64 = HORIZON_YEARS * 366 * 86_400;

/// The matching readings of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readings {
    pub first: Reading,
    pub last: Reading,
    /// Not zero. A second in which a calendar fires several times counts once.
    pub count: u64,
}

/// The effect of a gap or a fold on one fire, or on several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Daylight {
    pub effect: ClockEffect,
    /// The readings that the clock leaves out, or shows twice.
    pub readings: Readings,
}

/// The fate of fires in a gap or a fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockEffect {
    /// The clock leaves out the reading, and the fire comes at the transition.
    Moved,
    /// The clock leaves out readings, whose fires come at the transition as one, with a fire that is due
    /// then.
    Merged {
        /// The number of fires in this one: at least two.
        fires: u64,
    },
    /// The clock leaves out the readings, and nothing fires in their place.
    Skipped,
    /// The clock shows the readings twice, and they fire the first time only.
    Once,
    /// The clock shows the readings twice, and they fire both times.
    Twice,
    /// The first of the two fires of a reading.
    FirstOfTwo,
    /// The second of the two fires of a reading.
    SecondOfTwo,
}

impl ClockEffect {
    /// Returns the word for it in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Merged { .. } => "merged",
            Self::Skipped => "skipped",
            Self::Once => "once",
            Self::Twice => "twice",
            Self::FirstOfTwo => "first_of_two",
            Self::SecondOfTwo => "second_of_two",
        }
    }
}

/// A gap or a fold that affects fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The transition of a gap, or the first instant whose reading comes again after a fold.
    pub at: Timestamp,
    pub daylight: Daylight,
}

impl Change {
    /// Returns it for a schedule that is delayed by so much.
    pub(super) fn delayed(self, by: Span) -> Self {
        Self { at: self.at + by, ..self }
    }
}

/// Returns the effect of a transition on a fire. All instants are seconds since the epoch.
pub(super) fn of_fire(pattern: &Pattern, fire: i64, zone: &Zone) -> Option<Daylight> {
    let reading = fire + zone.offset(fire);
    let effect = match pattern.follows {
        Follows::WallClock => {
            if let Some(left_out) = readings(pattern, highest_reading(fire - 1, zone) + 1, reading - 1) {
                return Some(at_gap(pattern, left_out, reading));
            }
            comes_again(reading, fire, zone).then_some(ClockEffect::Once)
        }
        Follows::FirstShown => comes_again(reading, fire, zone).then_some(ClockEffect::Once),
        Follows::RealTime if zone.reach(reading, i64::MIN) < fire => Some(ClockEffect::SecondOfTwo),
        Follows::RealTime => comes_again(reading, fire, zone).then_some(ClockEffect::FirstOfTwo),
    };
    Some(Daylight { effect: effect?, readings: readings(pattern, reading, reading)? })
}

/// Returns the first gap in `(after, until]` that skips fires for good. Looks no further than the search for
/// a fire.
pub(super) fn skipped(pattern: &Pattern, after: i64, until: i64, zone: &Zone) -> Option<Change> {
    match pattern.follows {
        Follows::WallClock => None,
        Follows::RealTime | Follows::FirstShown => transitions(pattern, after, until, zone)
            .filter(|(before, now)| now.offset > before.offset)
            .find_map(|(before, now)| in_gap(pattern, before.end, now, zone)),
    }
}

/// Returns the transitions in `(after, until]` that affect fires.
pub(super) fn changes(pattern: &Pattern, after: i64, until: i64, zone: &Zone) -> Vec<Change> {
    // A pattern in real time that fires in every hour keeps its pace in gaps and folds.
    if pattern.follows == Follows::RealTime && pattern.hours == ALL_HOURS {
        return Vec::new();
    }
    transitions(pattern, after, until, zone)
        .filter_map(|(before, now)| {
            if now.offset > before.offset {
                in_gap(pattern, before.end, now, zone)
            } else {
                in_fold(pattern, before, now, zone)
            }
        })
        .collect()
}

/// Returns the pairs of neighbouring segments whose second one begins in `(after, until]`.
fn transitions(
    pattern: &Pattern,
    after: i64,
    until: i64,
    zone: &Zone,
) -> impl Iterator<Item = (Segment, Segment)> {
    // After the last year there are transitions, but no fires.
    let until = until.min(pattern.end().saturating_add(MARGIN)).min(after.saturating_add(HORIZON_SECONDS));
    let following = move |before: Segment| (before.end <= until).then(|| (before, zone.segment(before.end)));
    std::iter::successors(following(zone.segment(after)), move |(_, now)| following(*now))
}

fn in_gap(pattern: &Pattern, at: i64, now: Segment, zone: &Zone) -> Option<Change> {
    let reading = at + now.offset;
    let left_out = readings(pattern, highest_reading(at - 1, zone) + 1, reading - 1)?;
    let daylight = match pattern.follows {
        Follows::WallClock => at_gap(pattern, left_out, reading),
        Follows::RealTime | Follows::FirstShown => {
            Daylight { effect: ClockEffect::Skipped, readings: left_out }
        }
    };
    Some(Change { at: Timestamp::from_seconds(at), daylight })
}

fn in_fold(pattern: &Pattern, before: Segment, now: Segment, zone: &Zone) -> Option<Change> {
    let (from, to) = (before.end + now.offset, before.end - 1 + before.offset);
    let readings = readings(pattern, from, to)?;
    let first = zone.reach(pattern.next(from)?, i64::MIN);
    let effect = match pattern.follows {
        Follows::WallClock | Follows::FirstShown => ClockEffect::Once,
        Follows::RealTime => ClockEffect::Twice,
    };
    Some(Change { at: Timestamp::from_seconds(first), daylight: Daylight { effect, readings } })
}

/// Returns the effect on fixed times that are left out by a gap that ends with `reading`.
fn at_gap(pattern: &Pattern, left_out: Readings, reading: i64) -> Daylight {
    let effect = match left_out.count + pattern.count(reading, reading) {
        1 => ClockEffect::Moved,
        fires => ClockEffect::Merged { fires },
    };
    Daylight { effect, readings: left_out }
}

/// Returns whether the clock shows `reading` again after `fire`.
fn comes_again(reading: i64, fire: i64, zone: &Zone) -> bool {
    let later = zone.segments(fire).skip(1).take_while(|(from, _)| *from < fire + MARGIN);
    later.into_iter().any(|(from, later)| (from..later.end).contains(&(reading - later.offset)))
}

/// Returns the matching readings in `from..=to`, if any.
fn readings(pattern: &Pattern, from: i64, to: i64) -> Option<Readings> {
    let count = pattern.count(from, to);
    if count == 0 {
        return None;
    }
    // The last one is the earliest end with the same count. Bisect for it.
    let (mut few, mut whole) = (from - 1, to);
    while whole - few > 1 {
        let middle = few + (whole - few) / 2;
        if pattern.count(from, middle) == count {
            whole = middle;
        } else {
            few = middle;
        }
    }
    let first = pattern.next(from)?;
    Some(Readings { first: Reading::from_seconds(first), last: Reading::from_seconds(whole), count })
}
