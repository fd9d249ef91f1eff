//! Owns: the words for the effects of daylight saving on fires.
//! Never: the effects (see `schedule`).

use crate::domain::Timestamp;
use crate::schedule::{Change, ClockEffect, Daylight, Reading, Readings, Schedule, Zone};

/// In place of the offset of a skipped fire; as wide as most offsets.
const NO_OFFSET: &str = "-    ";

/// Returns the mark of a fire whose time is shown in the zone `shown`: `moved: the clock leaves out 02:30`.
///
/// The mark has no dates, unless they differ from the date in its line.
pub fn mark(daylight: Daylight, at: Timestamp, zone: &Zone, shown: &Zone) -> String {
    let Daylight { effect, readings } = daylight;
    let is_here = same_clock(zone, shown, at);
    let clock = if is_here { "the clock".to_owned() } else { format!("the clock of {}", zone.name()) };
    let fires = if readings.count == 1 { String::new() } else { format!("{} fires, ", readings.count) };
    // The line of skipped fires shows the first of their readings.
    let beside = if is_here && effect == ClockEffect::Skipped { readings.first } else { shown.reading(at) };
    let times = range(readings, beside);
    match effect {
        ClockEffect::Moved => format!("moved: {clock} leaves out {times}"),
        ClockEffect::Merged { fires } => format!("merged: {fires} fires in one, {clock} leaves out {times}"),
        ClockEffect::Skipped => format!("skipped: {fires}{clock} leaves out {times}"),
        ClockEffect::Once => format!("once: {fires}{clock} shows {times} twice"),
        ClockEffect::Twice if readings.count == 1 => format!("twice: {clock} shows {times} twice"),
        ClockEffect::Twice => {
            format!(
                "twice: {} fires instead of {}, {clock} shows {times} twice",
                readings.count * 2,
                readings.count
            )
        }
        ClockEffect::FirstOfTwo => "first of two".to_owned(),
        ClockEffect::SecondOfTwo => "second of two".to_owned(),
    }
}

/// Returns the mark in one word, with the number of fires if there are several: `skipped ×6`.
pub fn word(daylight: Daylight) -> String {
    let word = daylight.effect.as_str().replace('_', " ");
    let fires = match daylight.effect {
        ClockEffect::Merged { fires } => fires,
        ClockEffect::Moved
        | ClockEffect::Skipped
        | ClockEffect::Once
        | ClockEffect::Twice
        | ClockEffect::FirstOfTwo
        | ClockEffect::SecondOfTwo => daylight.readings.count,
    };
    if fires == 1 { word } else { format!("{word} ×{fires}") }
}

/// Returns the readings of skipped fires, which have no instant.
pub fn skipped(daylight: Option<Daylight>) -> Option<Readings> {
    daylight.filter(|daylight| daylight.effect == ClockEffect::Skipped).map(|daylight| daylight.readings)
}

/// Returns what a clock in the zone `shown` shows at a fire; for a skipped one what it leaves out.
pub fn reading(daylight: Option<Daylight>, at: Timestamp, zone: &Zone, shown: &Zone) -> Reading {
    left_out(daylight, at, zone, shown).unwrap_or_else(|| shown.reading(at))
}

/// Returns the line of a fire, with its mark at the end: `Sun 2026-03-29 03:00:00 +0200  moved: the clock
/// leaves out 02:30`. A skipped one has a `-` as its offset.
pub fn line(daylight: Option<Daylight>, at: Timestamp, zone: &Zone, shown: &Zone) -> String {
    let time = match left_out(daylight, at, zone, shown) {
        Some(reading) => format!("{reading} {NO_OFFSET}"),
        None => shown.show(at),
    };
    let mark = daylight.map_or_else(String::new, |daylight| format!("  {}", mark(daylight, at, zone, shown)));
    format!("{} {time}{mark}", reading(daylight, at, zone, shown).weekday())
}

/// Returns the reading of a skipped fire, if a clock in the zone `shown` leaves it out too.
fn left_out(daylight: Option<Daylight>, at: Timestamp, zone: &Zone, shown: &Zone) -> Option<Reading> {
    skipped(daylight).filter(|_| same_clock(zone, shown, at)).map(|readings| readings.first)
}

/// Returns the gaps that skip fires between an instant and the next fire. Without a next fire it returns the
/// first gap only: there may be very many.
pub fn skips(schedule: &Schedule, zone: &Zone, after: Timestamp, next: Option<Timestamp>) -> Vec<Change> {
    let until = next.unwrap_or(Timestamp::MAX);
    let first = schedule.skipped(after, until, zone);
    let skips = std::iter::successors(first, |skip| schedule.skipped(skip.at, until, zone));
    skips.take(if next.is_some() { usize::MAX } else { 1 }).collect()
}

/// Tells whether the clocks of two zones show the same before and after a change.
fn same_clock(one: &Zone, other: &Zone, at: Timestamp) -> bool {
    let before = Timestamp::from_seconds(at.as_seconds() - 1);
    one.reading(at) == other.reading(at) && one.reading(before) == other.reading(before)
}

/// Returns `02:30`, or `02:00 to 02:50`, with dates that differ from that of `beside`.
fn range(readings: Readings, beside: Reading) -> String {
    let first = short(readings.first, beside);
    if readings.first == readings.last {
        first
    } else {
        format!("{first} to {}", short(readings.last, readings.first))
    }
}

fn short(reading: Reading, beside: Reading) -> String {
    let time = reading.time();
    let time = time.strip_suffix(":00").unwrap_or(&time);
    if reading.date() == beside.date() { time.to_owned() } else { format!("{} {time}", reading.date()) }
}
