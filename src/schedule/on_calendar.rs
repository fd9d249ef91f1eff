//! Owns: schedules in the words of systemd.time(7), and where systemd's clock then differs from ours.
//! Never: unit files (see `cli::export`).
//!
//! Of an expression's two day fields systemd wants both, so cron's "either" becomes two lines, of which a
//! timer takes whichever comes first. systemd 252 elapses at each reading that a clock shows, once: what lies
//! in a gap never comes, and the second pass of a fold is silent, stars or not.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::calendar::{DAY, date_of, weekday_of};
use super::pattern::{Pattern, Years};
use super::vixie::VixieSchedule;
use super::zone::Zone;
use super::{Schedule, SecondsSchedule};
use crate::domain::{Span, Timestamp};

/// The first and the last year that systemd's calendar knows.
const YEARS: RangeInclusive<i64> = 1970..=2199;

/// More lines for one interval would be no calendar any more.
const LINES_MAX: usize = 24;

const DAY_MICROS: i64 = DAY * 1_000_000;

/// As systemd counts them.
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl Schedule {
    /// Returns the values for `OnCalendar=` that together elapse when this fires, save for what
    /// `first_unlike_systemd` finds; `zone`: the name to write behind an expression, `None`: the system's
    /// zone. Intervals and single instants are written in UTC.
    ///
    /// `None` where there are none: for boots, delays, instants outside the years 1970 to 2199, and intervals
    /// that do not come at the same times each day or each week.
    pub fn on_calendar(&self, zone: Option<&str>) -> Option<Vec<String>> {
        match self {
            Self::At(at) => single(*at).map(|line| vec![line]),
            Self::Vixie(VixieSchedule { pattern }) | Self::Seconds(SecondsSchedule { pattern }) => {
                let suffix = zone.map_or(String::new(), |name| format!(" {name}"));
                Some(lines_of(pattern).into_iter().map(|line| line + &suffix).collect())
            }
            Self::Every { period, anchor } => interval(*period, *anchor),
            Self::Reboot | Self::Delayed { .. } => None,
        }
    }

    /// Returns the first fire in `(from, until]` from which on systemd 252 does not elapse as this fires.
    ///
    /// At an ordinary transition that is a fire which a gap has moved, or one in the second pass of a fold.
    /// Where a zone skips midnight (Chile), has its saving time in winter (Morocco) or changes its offset for
    /// good, systemd loses more: glibc's mktime(3) goes backwards there, and the rest of the day, or all that
    /// comes, is given up. There any reading within the transition's hours is taken to differ.
    pub fn first_unlike_systemd(&self, from: Timestamp, until: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let (Self::Vixie(VixieSchedule { pattern }) | Self::Seconds(SecondsSchedule { pattern })) = self
        else {
            return None;
        };
        let mut at = from.as_seconds();
        loop {
            let (before, transition) = (zone.segment(at), zone.segment(at).end);
            if transition > until.as_seconds() {
                return None;
            }
            let change = Change { transition, before: before.offset, after: zone.offset(transition) };
            let found = match change.is_ordinary(zone) {
                true => left_out(self, pattern, change, zone),
                false => change.is_touched(pattern).then(|| self.next_after(change.eve(), zone)).flatten(),
            };
            if found.is_some() {
                return found;
            }
            at = transition;
        }
    }
}

/// Returns the first fire that an ordinary transition keeps systemd from.
fn left_out(schedule: &Schedule, pattern: &Pattern, change: Change, zone: &Zone) -> Option<Timestamp> {
    // It lies at the transition, or as far behind it as the clock went back.
    let last = Timestamp::from_seconds(change.transition + (change.before - change.after).max(1) - 1);
    let mut fire = schedule.next_after(change.eve(), zone);
    while let Some(found) = fire.filter(|found| *found <= last) {
        if is_left_out(pattern, found.as_seconds(), zone) {
            return Some(found);
        }
        fire = schedule.next_after(found, zone);
    }
    None
}

/// Tells whether no clock shows a fire's reading, or shows it for the second time.
pub(super) fn is_left_out(pattern: &Pattern, fire: i64, zone: &Zone) -> bool {
    let reading = fire + zone.offset(fire);
    pattern.count(reading, reading) == 0 || zone.reach(reading, i64::MIN) < fire
}

/// A change of a zone's offset.
#[derive(Clone, Copy)]
struct Change {
    /// The first second of the new offset.
    transition: i64,
    before: i64,
    after: i64,
}

impl Change {
    fn eve(self) -> Timestamp {
        Timestamp::from_seconds(self.transition) - Span::from_micros(1)
    }

    fn is_ordinary(self, zone: &Zone) -> bool {
        match self.before.cmp(&self.after) {
            Ordering::Less => {
                let (low, high) = (self.transition + self.before, self.transition + self.after);
                let skips_midnight = (high - 1).div_euclid(DAY) != (low - 1).div_euclid(DAY);
                zone.is_saving(self.transition) && !skips_midnight
            }
            Ordering::Equal => true,
            Ordering::Greater => zone.is_saving(self.transition - 1),
        }
    }

    /// Tells whether a pattern has a reading within the hours that are left out or come twice.
    fn is_touched(self, pattern: &Pattern) -> bool {
        const HOUR: i64 = 3_600;
        let low = self.transition + self.before.min(self.after);
        let high = self.transition + self.before.max(self.after);
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
    // 30 February never comes, though its Mondays do.
    [by_day, by_weekday].iter().filter(|pattern| pattern.ever_matches()).map(line_of).collect()
}

const ALL_DAYS: u64 = 0xffff_fffe;
const ALL_WEEKDAYS: u64 = 0x7f;

fn line_of(pattern: &Pattern) -> String {
    // Ours begin with Sunday.
    let weekdays = (pattern.weekdays >> 1 | pattern.weekdays << 6) & ALL_WEEKDAYS;
    let weekdays = match weekdays {
        ALL_WEEKDAYS => String::new(),
        set => runs(&members(set, 0, 6), |day| WEEKDAYS[day as usize].to_owned()) + " ",
    };
    let years = match &pattern.years {
        Years::All => "*".to_owned(),
        Years::Set(_) => {
            let years: Vec<i64> =
                (Years::FIRST..=Years::LAST).filter(|year| pattern.years.has(*year)).collect();
            let all = years.len() as i64 == Years::LAST - Years::FIRST + 1;
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

/// Writes ascending values of a range as a star, as a first one and a step, or as a list.
///
/// A step is written only where it divides the range. From the last of such values systemd 252 counts on past
/// the end of the range, and at the end of a year keeps what it finds there: after 29 December `*-*-01/7`
/// elapses on 8 January, and after 23:56 `*-*-* *:00/7:00` at 00:07.
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

/// Writes ascending values as a list, three in a row or more as a range.
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
    let (year, month, day) = date_of(at.as_seconds().div_euclid(DAY));
    let of_day = at.as_micros().rem_euclid(DAY_MICROS);
    YEARS.contains(&year).then(|| {
        let (hour, minute, micros) = (of_day / 3_600_000_000, of_day / 60_000_000 % 60, of_day % 60_000_000);
        format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{} UTC", second(micros))
    })
}

fn interval(period: Span, anchor: Timestamp) -> Option<Vec<String>> {
    let period = i64::try_from(period.as_micros()).ok()?;
    let weekday = if period == 7 * DAY_MICROS {
        let day = weekday_of(anchor.as_seconds().div_euclid(DAY));
        format!("{} ", WEEKDAYS[(day as usize + 6) % 7])
    } else if DAY_MICROS % period == 0 {
        String::new()
    } else {
        return None;
    };
    let step = usize::try_from(period.min(DAY_MICROS)).expect("a period is not negative");
    let first = anchor.as_micros().rem_euclid(period.min(DAY_MICROS));
    // Of each hour the minutes, and of each minute the places in it.
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

/// Turns a map around: under each value the keys that have it.
fn alike<T: Ord>(map: BTreeMap<i64, T>) -> BTreeMap<T, Vec<i64>> {
    let mut turned: BTreeMap<T, Vec<i64>> = BTreeMap::new();
    for (key, value) in map {
        turned.entry(value).or_default().push(key);
    }
    turned
}

/// Writes a place in a minute, with the decimals that it has.
fn second(micros: i64) -> String {
    let whole = format!("{:02}", micros / 1_000_000);
    match micros % 1_000_000 {
        0 => whole,
        fraction => format!("{whole}.{fraction:06}").trim_end_matches('0').to_owned(),
    }
}
