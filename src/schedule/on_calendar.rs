//! Owns: schedules as calendar lines of systemd.time(7), and the fires at which systemd then differs.
//! Never: unit files (see `cli::export`).
//!
//! systemd requires both day fields to match, so cron's "either" becomes two lines: a timer elapses at the
//! earlier one. systemd 252 elapses once at each reading that a clock shows. It leaves out readings in a gap
//! and the second pass of a fold, with or without a star.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::calendar::{DAY, WEEKDAYS_OF_SYSTEMD, date_of, weekday_of};
use super::fires::Schedule;
use super::pattern::{ALL_DAYS, ALL_WEEKDAYS, Pattern, Years};
use super::reading::Reading;
use super::zone::Zone;
use crate::domain::{Span, Timestamp};

/// The years of systemd's calendar.
const YEARS: RangeInclusive<i64> = 1970..=2199;

/// An interval that needs more lines is not written as a calendar.
const LINES_MAX: usize = 24;

const DAY_MICROS: i64 = DAY * 1_000_000;

impl Schedule {
    /// Returns the values for `OnCalendar=` that together elapse when this fires, except for the fires that
    /// `first_unlike_systemd` finds. `zone` is the name to write after an expression, or `None` for the
    /// system's zone. Intervals and single instants are written in UTC.
    ///
    /// `None` for boots, delays, instants outside the years 1970 to 2199, and intervals that do not fall on
    /// the same times each day or each week.
    pub fn on_calendar(&self, zone: Option<&str>) -> Option<Vec<String>> {
        match self {
            Self::At(at) => single(*at).map(|line| vec![line]),
            Self::Cron(pattern) => {
                let suffix = zone.map_or(String::new(), |name| format!(" {name}"));
                Some(lines_of(pattern).into_iter().map(|line| line + &suffix).collect())
            }
            Self::Calendar(calendar) => {
                let zone = zone.filter(|_| calendar.zone().is_none());
                let suffix = zone.map_or(String::new(), |name| format!(" {name}"));
                Some(vec![format!("{calendar}{suffix}")])
            }
            Self::Every { period, anchor } => interval(*period, *anchor),
            Self::Reboot | Self::AfterEnd { .. } | Self::Events | Self::Delayed { .. } => None,
        }
    }

    /// Returns the first fire in `(from, until]` from which on systemd 252 does not elapse as this fires.
    ///
    /// At an ordinary transition that is a fire which a gap has moved, or one in the second pass of a fold.
    /// systemd loses more if a zone skips midnight (Chile), has its saving time in winter (Morocco) or
    /// changes its offset for good. There glibc's mktime(3) goes backwards, and systemd gives up the rest of
    /// the day, or everything after it. So any reading within the hours of such a transition counts as
    /// different.
    pub fn first_unlike_systemd(&self, from: Timestamp, until: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let Self::Cron(pattern) = self else { return None };
        let mut at = from.as_seconds();
        loop {
            let before = zone.segment(at);
            at = before.end;
            if at > until.as_seconds() {
                return None;
            }
            let transition = Transition { at, before: before.offset, after: zone.offset(at) };
            let found = match transition.is_ordinary(zone) {
                true => left_out(self, pattern, transition, zone),
                false if transition.touches(pattern) => self.next_after(transition.eve(), zone),
                false => None,
            };
            if found.is_some() {
                return found;
            }
        }
    }
}

/// Returns the first fire at an ordinary transition that systemd leaves out.
fn left_out(
    schedule: &Schedule,
    pattern: &Pattern,
    transition: Transition,
    zone: &Zone,
) -> Option<Timestamp> {
    let Transition { at, before, after } = transition;
    // It lies at the transition, or at most as far after it as the clock went back.
    let last = Timestamp::from_seconds(at + (before - after).max(1) - 1);
    let mut fire = schedule.next_after(transition.eve(), zone);
    while let Some(found) = fire.filter(|found| *found <= last) {
        if is_left_out(pattern, found.as_seconds(), zone) {
            return Some(found);
        }
        fire = schedule.next_after(found, zone);
    }
    None
}

/// Returns whether no clock shows a fire's reading, or shows it for the second time.
pub(super) fn is_left_out(pattern: &Pattern, fire: i64, zone: &Zone) -> bool {
    let reading = fire + zone.offset(fire);
    pattern.count(reading, reading) == 0 || zone.reach(reading, i64::MIN) < fire
}

/// A change of a zone's offset.
#[derive(Clone, Copy)]
struct Transition {
    /// The first second of the new offset.
    at: i64,
    before: i64,
    after: i64,
}

impl Transition {
    fn eve(self) -> Timestamp {
        Timestamp::from_seconds(self.at) - Span::from_micros(1)
    }

    fn is_ordinary(self, zone: &Zone) -> bool {
        match self.before.cmp(&self.after) {
            Ordering::Less => {
                let (low, high) = (self.at + self.before, self.at + self.after);
                let skips_midnight = (high - 1).div_euclid(DAY) != (low - 1).div_euclid(DAY);
                zone.is_saving(self.at) && !skips_midnight
            }
            Ordering::Equal => true,
            Ordering::Greater => zone.is_saving(self.at - 1),
        }
    }

    /// Returns whether a pattern has a reading within the hours that are left out or come twice.
    fn touches(self, pattern: &Pattern) -> bool {
        const HOUR: i64 = 3_600;
        let low = self.at + self.before.min(self.after);
        let high = self.at + self.before.max(self.after);
        pattern.count(low.div_euclid(HOUR) * HOUR, (high + HOUR - 1).div_euclid(HOUR) * HOUR) > 0
    }
}

fn lines_of(pattern: &Pattern) -> Vec<String> {
    let both = Pattern { either_day: false, ..pattern.clone() };
    if !pattern.either_day {
        return vec![line_of(&both)];
    }
    let by_day = Pattern { weekdays: ALL_WEEKDAYS, ..both.clone() };
    let by_weekday = Pattern { days: ALL_DAYS, ..both };
    if pattern.days == ALL_DAYS || pattern.weekdays == ALL_WEEKDAYS {
        return vec![line_of(&Pattern { days: ALL_DAYS, ..by_day })];
    }
    // 30 February never comes, but its Mondays do.
    [by_day, by_weekday].iter().filter(|pattern| pattern.ever_matches()).map(line_of).collect()
}

fn line_of(pattern: &Pattern) -> String {
    // Our weeks begin with Sunday, systemd's with Monday.
    let weekdays = (pattern.weekdays >> 1 | pattern.weekdays << 6) & ALL_WEEKDAYS;
    let weekdays = match weekdays {
        ALL_WEEKDAYS => String::new(),
        set => runs(&members(set, 0, 6), |day| WEEKDAYS_OF_SYSTEMD[day as usize].to_owned()) + " ",
    };
    let years = match pattern.years {
        Years::All => "*".to_owned(),
        Years::Set { last, .. } => {
            let years: Vec<i64> = (Years::FIRST..=last).filter(|year| pattern.years.has(*year)).collect();
            let all = years.len() as i64 == last - Years::FIRST + 1;
            if all { "*".to_owned() } else { runs(&years, |year| year.to_string()) }
        }
    };
    format!(
        "{weekdays}{years}-{}-{} {}:{}:{}",
        field(pattern.months, 1, 12),
        field(pattern.days, 1, 31),
        field(pattern.hours, 0, 23),
        field(pattern.minutes, 0, 59),
        field(pattern.seconds, 0, 59),
    )
}

fn field(set: u64, low: i64, high: i64) -> String {
    list(&members(set, low, high), low..=high, 1, |value| format!("{value:02}"))
}

/// Writes ascending values of a range as a star, as a first value and a step, or as a list.
///
/// A step is written only if it divides the range. Otherwise systemd 252 counts on past the end of the range,
/// and at the end of a year it keeps the result: after 29 December `*-*-01/7` elapses on 8 January, and after
/// 23:56 `*-*-* *:00/7:00` elapses at 00:07.
fn list(values: &[i64], range: RangeInclusive<i64>, unit: i64, show: impl Fn(i64) -> String) -> String {
    let (first, step) = match values {
        [first, second, _, ..] => (*first, second - first),
        _ => (0, 0),
    };
    let is_even = step > 0
        && (range.end() - range.start() + 1) % step == 0
        && values.windows(2).all(|pair| pair[1] - pair[0] == step)
        && first - step < *range.start()
        && values.last().is_some_and(|last| last + step > *range.end());
    match (is_even, step == unit) {
        (true, true) if first == *range.start() => "*".to_owned(),
        (true, _) => format!("{}/{}", show(first), show(step).trim_start_matches('0')),
        (false, _) => runs(values, show),
    }
}

fn members(set: u64, low: i64, high: i64) -> Vec<i64> {
    (low..=high).filter(|bit| set >> bit & 1 == 1).collect()
}

/// Writes ascending values as a list, with a range for three or more in a row.
fn runs(values: &[i64], show: impl Fn(i64) -> String) -> String {
    let mut items = Vec::new();
    for run in values.chunk_by(|one, other| one + 1 == *other) {
        match run {
            [first, _, .., last] => items.push(format!("{}..{}", show(*first), show(*last))),
            few => items.extend(few.iter().map(|value| show(*value))),
        }
    }
    items.join(",")
}

fn single(at: Timestamp) -> Option<String> {
    let (year, ..) = date_of(at.as_seconds().div_euclid(DAY));
    let reading = Reading::from_seconds(at.as_seconds());
    let second = second(at.as_micros().rem_euclid(60_000_000));
    YEARS.contains(&year).then(|| format!("{} {}:{second} UTC", reading.date(), &reading.time()[..5]))
}

fn interval(period: Span, anchor: Timestamp) -> Option<Vec<String>> {
    let period = i64::try_from(period.as_micros()).ok()?;
    let weekday = if period == 7 * DAY_MICROS {
        let day = weekday_of(anchor.as_seconds().div_euclid(DAY));
        format!("{} ", WEEKDAYS_OF_SYSTEMD[(day as usize + 6) % 7])
    } else if DAY_MICROS % period == 0 {
        String::new()
    } else {
        return None;
    };
    let step = usize::try_from(period.min(DAY_MICROS)).expect("a period is not negative");
    let first = anchor.as_micros().rem_euclid(period.min(DAY_MICROS));
    // The minutes of each hour, and the microseconds of each minute.
    let mut hours: BTreeMap<i64, BTreeMap<i64, Vec<i64>>> = BTreeMap::new();
    for of_day in (first..DAY_MICROS).step_by(step) {
        let minutes = hours.entry(of_day / 3_600_000_000).or_default();
        minutes.entry(of_day / 60_000_000 % 60).or_default().push(of_day % 60_000_000);
    }
    let mut lines = Vec::new();
    for (minutes, hours) in alike(hours) {
        for (seconds, minutes) in alike(minutes) {
            let two_digits = |value| format!("{value:02}");
            let hours = list(&hours, 0..=23, 1, two_digits);
            let minutes = list(&minutes, 0..=59, 1, two_digits);
            let seconds = list(&seconds, 0..=59_999_999, 1_000_000, second);
            lines.push(format!("{weekday}*-*-* {hours}:{minutes}:{seconds} UTC"));
        }
    }
    (lines.len() <= LINES_MAX).then_some(lines)
}

/// Inverts a map: each value with the keys that have it.
fn alike<T: Ord>(map: BTreeMap<i64, T>) -> BTreeMap<T, Vec<i64>> {
    let mut turned: BTreeMap<T, Vec<i64>> = BTreeMap::new();
    for (key, value) in map {
        turned.entry(value).or_default().push(key);
    }
    turned
}

/// Writes the second of so many microseconds, with its decimals.
fn second(micros: i64) -> String {
    let whole = format!("{:02}", micros / 1_000_000);
    match micros % 1_000_000 {
        0 => whole,
        fraction => format!("{whole}.{fraction:06}").trim_end_matches('0').to_owned(),
    }
}
