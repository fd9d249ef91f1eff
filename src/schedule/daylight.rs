//! Owns: what changes of a zone's clock do to the fires of a pattern, for telling a person.
//! Never: when it fires (see `walk`), the words for it (see `cli`).
//!
//! Both kinds of pattern are measured against the highest reading so far: what a clock leaps over without
//! having shown it is left out, and what it shows although it has shown it before comes a second time.

use super::pattern::{Follows, HORIZON_YEARS, Pattern};
use super::reading::Reading;
use super::walk::highest_reading;
use super::zone::{MARGIN, Segment, Zone};
use crate::domain::{Span, Timestamp};

const HORIZON_SECONDS: i64 = HORIZON_YEARS * 366 * 86_400;

const ALL_HOURS: u64 = (1 << 24) - 1;

/// Matching readings between two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readings {
    /// The first that matches.
    pub first: Reading,
    /// The last that matches.
    pub last: Reading,
    /// How many match; not zero.
    pub count: u64,
}

/// What a change of the clock does to one fire, or to those around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Daylight {
    /// What it does.
    pub effect: Effect,
    /// What the clock leaves out, or shows twice.
    pub readings: Readings,
}

/// What becomes of fires when the clock changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The clock leaves out its reading: it comes at the transition.
    Moved,
    /// The clock leaves out readings that come at the transition all at once, with what is due then anyway.
    Merged {
        /// How many fires have become this one; at least two.
        fires: u64,
    },
    /// The clock leaves them out, and nothing comes in their place.
    Skipped,
    /// The clock shows them twice, and they come the first time alone.
    Once,
    /// The clock shows them twice, and they come both times.
    Twice,
    /// The clock shows it twice, and this is the first time.
    FirstOfTwo,
    /// The clock shows it twice, and this is the second time.
    SecondOfTwo,
}

impl Effect {
    /// Returns the word for it, as documents have it.
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

/// A change of the clock that fires notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The transition of a gap; of a fold the first instant whose reading comes again.
    pub at: Timestamp,
    /// What becomes of the fires.
    pub daylight: Daylight,
}

impl Change {
    /// Returns it as the fires notice it that come so much later.
    pub(super) fn delayed(self, by: Span) -> Self {
        Self { at: self.at + by, ..self }
    }
}

/// Returns what a transition does to a fire; all instants are seconds since the epoch.
pub(super) fn of_fire(pattern: &Pattern, fire: i64, zone: &Zone) -> Option<Daylight> {
    let reading = fire + zone.offset(fire);
    let effect = match pattern.follows {
        Follows::WallClock => {
            if let Some(left_out) = readings(pattern, highest_reading(fire - 1, zone) + 1, reading - 1) {
                return Some(leapt(pattern, left_out, reading));
            }
            comes_again(reading, fire, zone).then_some(Effect::Once)
        }
        Follows::RealTime if zone.reach(reading, i64::MIN) < fire => Some(Effect::SecondOfTwo),
        Follows::RealTime => comes_again(reading, fire, zone).then_some(Effect::FirstOfTwo),
    };
    Some(Daylight { effect: effect?, readings: readings(pattern, reading, reading)? })
}

/// Returns the first gap in `(after, until]` that leaves out fires for good, looking no further than any fire
/// may be.
pub(super) fn skipped(pattern: &Pattern, after: i64, until: i64, zone: &Zone) -> Option<Change> {
    match pattern.follows {
        Follows::WallClock => None,
        Follows::RealTime => transitions(pattern, after, until, zone)
            .filter(|(before, now)| now.offset > before.offset)
            .find_map(|(before, now)| in_gap(pattern, before.end, now, zone)),
    }
}

/// Returns what fires notice of the transitions in `(after, until]`.
pub(super) fn changes(pattern: &Pattern, after: i64, until: i64, zone: &Zone) -> Vec<Change> {
    // What comes in real time every hour goes on coming so: its clock changes, its pace does not.
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

/// Returns the pairs of stretches whose second one begins in `(after, until]`.
fn transitions(
    pattern: &Pattern,
    after: i64,
    until: i64,
    zone: &Zone,
) -> impl Iterator<Item = (Segment, Segment)> {
    // After the last year there are transitions still, but nothing that they could do.
    let until = until.min(pattern.end().saturating_add(MARGIN)).min(after.saturating_add(HORIZON_SECONDS));
    let following = move |before: Segment| (before.end <= until).then(|| (before, zone.segment(before.end)));
    std::iter::successors(following(zone.segment(after)), move |(_, now)| following(*now))
}

fn in_gap(pattern: &Pattern, at: i64, now: Segment, zone: &Zone) -> Option<Change> {
    let reading = at + now.offset;
    let left_out = readings(pattern, highest_reading(at - 1, zone) + 1, reading - 1)?;
    let daylight = match pattern.follows {
        Follows::WallClock => leapt(pattern, left_out, reading),
        Follows::RealTime => Daylight { effect: Effect::Skipped, readings: left_out },
    };
    Some(Change { at: Timestamp::from_seconds(at), daylight })
}

fn in_fold(pattern: &Pattern, before: Segment, now: Segment, zone: &Zone) -> Option<Change> {
    let (from, to) = (before.end + now.offset, before.end - 1 + before.offset);
    let readings = readings(pattern, from, to)?;
    let first = zone.reach(pattern.next(from)?, i64::MIN);
    let effect = match pattern.follows {
        Follows::WallClock => Effect::Once,
        Follows::RealTime => Effect::Twice,
    };
    Some(Change { at: Timestamp::from_seconds(first), daylight: Daylight { effect, readings } })
}

/// Returns what becomes of fixed times that are left out, where the clock goes on with `reading`.
fn leapt(pattern: &Pattern, left_out: Readings, reading: i64) -> Daylight {
    let effect = match left_out.count + pattern.count(reading, reading) {
        1 => Effect::Moved,
        fires => Effect::Merged { fires },
    };
    Daylight { effect, readings: left_out }
}

/// Tells whether the clock shows `reading` once more after `fire`.
fn comes_again(reading: i64, fire: i64, zone: &Zone) -> bool {
    let mut from = zone.segment(fire).end;
    while from < fire + MARGIN {
        let later = zone.segment(from);
        if (from..later.end).contains(&(reading - later.offset)) {
            return true;
        }
        from = later.end;
    }
    false
}

/// Returns the matching readings in `from..=to`, if there are any.
fn readings(pattern: &Pattern, from: i64, to: i64) -> Option<Readings> {
    let count = pattern.count(from, to);
    if count == 0 {
        return None;
    }
    // The last one is the first end of which the count is already whole.
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
