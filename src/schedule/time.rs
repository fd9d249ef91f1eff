//! Owns: the instant that a text of a time means, given the current time and a zone.
//! Never: the clock (`now` is an argument).

use std::cell::Cell;

use super::calendar::{DAY, date_of, day_of, days_in_month, weekday_of};
use super::grammar::{Day, Spec, parse};
use super::parse_error::ParseError;
use super::reading::Reading;
use super::span::parse_span;
use super::tokens::Unit;
use super::zone::Zone;
use crate::domain::{Span, Timestamp};

const EXAMPLES: &str = "write it as `2026-12-24 16:00`, `16:00`, `tomorrow 9am` or `now + 5 minutes`";

const SECOND: i64 = 1_000_000;

/// More days than from the year 1 to 9999. Any longer step leaves the range of a `Timestamp`.
const DAYS_MAX: i64 = 4_000_000;

/// More days than `YEARLY_MAX` years have.
const DAYS_LATER: u64 = 3_653;

/// A month and a day come again within this many years: 29 February does not come in 2100.
const YEARLY_MAX: i64 = 8;

/// Reads a TIME from now on.
///
/// The forms, in any case: RFC 3339; `YYYY-MM-DD [HH:MM[:SS]]`; `@EPOCH`; at(1)'s words, with the day before
/// or after the time of day. A text without an offset or `UTC` is read in `zone`.
///
/// - `HH:MM` is the next one.
/// - A month and a day without a year are in this year if that is today or later, otherwise in the next
///   (Debian's at). Today at a time of day that has passed is in the past.
/// - A weekday, with or without `next`, is one of the seven days after today: on a Friday, `friday` is a week
///   later (Debian's at). Steps are added to that day.
/// - A day without a time of day has that of `now`, like in at(1). But `YYYY-MM-DD` begins at midnight.
/// - `+ N days`, weeks, months and years follow the calendar of the zone. 31 January plus a month is the last
///   of February, while at(1) counts on into March. Hours and smaller units are real time, and added last.
/// - A time of day in a gap is the end of the gap. In a fold it is the first of the two.
///
/// # Errors
/// If the text is not understood as a whole (with the column where reading stopped), or is before `now`.
pub fn parse_time(text: &str, now: Timestamp, zone: &Zone) -> Result<Timestamp, ParseError> {
    let at = read(text, now, zone, |span| format!("did you mean `in {span}`?")).map_err(|error| {
        let hint = zone_hint(text, &error).or(error.hint);
        ParseError { hint, ..error }
    })?;
    if at < now {
        return Err(ParseError::new(format!("`{text}` is in the past (it was {})", zone.show(at))));
    }
    Ok(at)
}

/// Reads a TIME like `parse_time`, but also in the past, for `--since` and `--from`: `2 hours ago`,
/// `yesterday`, `-2h`. `HH:MM` is still the next one.
///
/// # Errors
/// If the text is not understood, or means a time outside the years 1 to 9999.
pub fn parse_instant(text: &str, now: Timestamp, zone: &Zone) -> Result<Timestamp, ParseError> {
    read(text, now, zone, |span| format!("write `{span} ago` or `in {span}`"))
}

/// Reads a TIME that means the same instant whenever it is read, also in the past, for a file that is read
/// again and again: RFC 3339, `YYYY-MM-DD [HH:MM[:SS]]` or `@EPOCH`.
///
/// # Errors
/// If the text is not understood, or depends on the current time.
pub fn parse_lasting(text: &str, now: Timestamp, zone: &Zone) -> Result<Timestamp, ParseError> {
    // Every day of the calendar has come again by then.
    let later = Span::from_seconds(DAYS_LATER * DAY.unsigned_abs());
    let at = read(text, now, zone, |span| format!("`in {span}` depends on the current time"))?;
    if parse_instant(text, now + later, zone) == Ok(at) {
        return Ok(at);
    }
    let whole = zone.show(at);
    let cause = format!("`{text}` is another time each time that the file is read");
    Err(ParseError::new(cause).hint(format!("write the day: `{}`", whole.get(..16).unwrap_or(&whole))))
}

/// Reads the beginning of a period up to now, for `--since`: a TIME like `parse_instant`, or a SPAN, which
/// means that long ago.
///
/// # Errors
/// As `parse_instant`.
pub fn parse_since(text: &str, now: Timestamp, zone: &Zone) -> Result<Timestamp, ParseError> {
    match parse_span(text) {
        Ok(span) => Ok(now - span),
        Err(_) => parse_instant(text, now, zone),
    }
}

/// Returns the reading that a TIME means and the clock of `zone` leaves out, and the instant that it is read
/// as: the end of the gap. `None` if the clock shows the reading, or the text is not understood.
pub fn left_out_reading(text: &str, now: Timestamp, zone: &Zone) -> Option<(Reading, Timestamp)> {
    let spec = parse(text).ok().filter(|spec| spec.offset.is_none())?;
    let seen = TimeSeen { spec: &spec, now, wall: LocalClock::Zone(zone), left_out: Cell::default() };
    let at = seen.instant()?;
    Some((Reading::from_seconds(seen.left_out.get()?), at))
}

/// Reads a TIME. `meant` makes the hint for a text that is only a span, such as `90 minutes`.
fn read(text: &str, now: Timestamp, zone: &Zone, meant: fn(&str) -> String) -> Result<Timestamp, ParseError> {
    let spec = parse(text).map_err(|error| explained(text, error, meant))?;
    let wall = match spec.offset {
        Some(seconds) => LocalClock::Offset(seconds),
        None => LocalClock::Zone(zone),
    };
    TimeSeen { spec: &spec, now, wall, left_out: Cell::default() }
        .instant()
        .ok_or_else(|| ParseError::new(format!("`{text}` is outside the years 1 to 9999")))
}

/// Adds the hint to a refusal. A span alone is refused as such.
fn explained(text: &str, error: ParseError, meant: fn(&str) -> String) -> ParseError {
    const AHEAD: [&str; 2] = [" from now", " later"];
    let whole = text.trim();
    let span = AHEAD.iter().find_map(|end| whole.strip_suffix(end)).unwrap_or(whole);
    if parse(&format!("in {span}")).is_err() {
        return error.hint(EXAMPLES);
    }
    let error =
        if span == whole { ParseError::new(format!("`{text}` is a span, not a time")) } else { error };
    error.hint(meant(span))
}

/// Returns the hint for a time with a zone after it, `18:00 CET`. The zone has an option of its own.
fn zone_hint(text: &str, error: &ParseError) -> Option<String> {
    let (start, _) = text.char_indices().nth(error.column? - 1)?;
    let (time, zone) = text.split_at(start);
    parse(time).ok()?;
    let is_abbreviation = (3..=5).contains(&zone.len()) && zone.bytes().all(|byte| byte.is_ascii_uppercase());
    match Zone::find(zone).filter(|_| zone.contains('/')) {
        Some(zone) => Some(format!("write `{}` with `--tz {}`", time.trim_end(), zone.name())),
        None if is_abbreviation => Some("give the zone with `--tz`, as in `--tz Europe/Paris`".to_owned()),
        None => None,
    }
}

/// The wall clock by which a text is read.
#[derive(Clone, Copy)]
enum LocalClock<'a> {
    /// In the caller's zone.
    Zone(&'a Zone),
    /// So many seconds ahead of UTC.
    Offset(i64),
}

impl LocalClock<'_> {
    fn offset(self, at: i64) -> i64 {
        match self {
            Self::Zone(zone) => zone.offset(at),
            Self::Offset(offset) => offset,
        }
    }

    fn reach(self, reading: i64) -> i64 {
        match self {
            Self::Zone(zone) => zone.reach(reading, i64::MIN),
            Self::Offset(offset) => reading - offset,
        }
    }
}

/// A text, seen from the current time on a wall clock.
struct TimeSeen<'a> {
    spec: &'a Spec,
    now: Timestamp,
    wall: LocalClock<'a>,
    /// The reading, in seconds, if the clock jumps over it.
    left_out: Cell<Option<i64>>,
}

impl TimeSeen<'_> {
    /// Returns the instant, or `None` outside the range of a `Timestamp`.
    fn instant(&self) -> Option<Timestamp> {
        if let Some(epoch) = self.spec.epoch {
            return in_range(epoch);
        }
        let by_calendar = self.spec.steps.iter().any(|(_, unit)| !matches!(unit, Unit::Micros(_)));
        let seconds = self.now.as_seconds();
        let now = seconds + self.wall.offset(seconds);
        let today = now.div_euclid(DAY);
        let of_now = now.rem_euclid(DAY) * SECOND + self.now.as_micros().rem_euclid(SECOND);
        let Some(of_day) = self.spec.of_day else {
            return match self.spec.day {
                // Only real time is added. A wall clock is not used, because in a fold it could go back.
                None | Some(Day::FromToday(0)) if !by_calendar => {
                    self.add(self.now.as_micros(), self.elapsed())
                }
                None => self.at(today, of_now),
                Some(day @ Day::Iso(..)) => self.on(day, today, 0),
                Some(day) => self.on(day, today, of_now),
            };
        };
        match self.spec.day {
            None => self.at(today, of_day).filter(|at| *at > self.now).or_else(|| self.at(today + 1, of_day)),
            Some(day) => self.on(day, today, of_day),
        }
    }

    fn on(&self, day: Day, today: i64, of_day: i64) -> Option<Timestamp> {
        match day {
            Day::Iso(year, month, day) | Day::Dated(year, month, day) => {
                self.at(day_of((year, month, day)), of_day)
            }
            Day::FromToday(days) => self.at(today + days, of_day),
            Day::Weekday(weekday) => {
                let ahead = i64::from((weekday + 6 - weekday_of(today)) % 7 + 1);
                self.at(today + ahead, of_day)
            }
            Day::Yearly(month, day) => self.yearly(month, day, today, of_day),
        }
    }

    /// Returns a month and a day in this year, or in the next if the sum is on an earlier day of this year
    /// than today, at any time of day (Debian's at).
    fn yearly(&self, month: u32, day: u32, today: i64, of_day: i64) -> Option<Timestamp> {
        let year = date_of(today).0;
        let mut years = (year..=year + YEARLY_MAX).filter(|year| day <= days_in_month(*year, month));
        let mut next = || self.at(day_of((years.next()?, month, day)), of_day);
        let first = next()?;
        let seconds = first.as_seconds();
        let falls_on = (seconds + self.wall.offset(seconds)).div_euclid(DAY);
        if date_of(falls_on).0 == year && falls_on < today { next() } else { Some(first) }
    }

    /// Returns the instant of a time of day plus the steps of the text.
    fn at(&self, day: i64, of_day: i64) -> Option<Timestamp> {
        let mut total_months: i64 = 0;
        let mut total_days: i64 = 0;
        for (count, unit) in &self.spec.steps {
            match unit {
                Unit::Months(months) => {
                    total_months = total_months.checked_add(count.checked_mul(*months)?)?;
                }
                Unit::Days(days) => total_days = total_days.checked_add(count.checked_mul(*days)?)?,
                Unit::Micros(_) => {}
            }
        }
        let (year, month, of_month) = date_of(day);
        let months = (year * 12 + i64::from(month) - 1).checked_add(total_months)?;
        let (year, month) = (months.div_euclid(12), u32::try_from(months.rem_euclid(12)).ok()? + 1);
        if !(0..=10_000).contains(&year) || total_days.abs() > DAYS_MAX {
            return None;
        }
        let day = day_of((year, month, of_month.min(days_in_month(year, month)))) + total_days;
        let reading = day * DAY + of_day.div_euclid(SECOND);
        let at = self.wall.reach(reading);
        // The end of a gap does not have the fraction of a reading that was jumped over.
        let is_shown = at + self.wall.offset(at) == reading;
        self.left_out.set((!is_shown).then_some(reading));
        let fraction = if is_shown { of_day.rem_euclid(SECOND) } else { 0 };
        self.add(at * SECOND + fraction, self.elapsed())
    }

    /// Returns the real time that the text adds, in microseconds.
    fn elapsed(&self) -> i128 {
        let micros = |(count, unit): &(i64, Unit)| match unit {
            Unit::Micros(size) => i128::from(*count) * i128::from(*size),
            Unit::Days(_) | Unit::Months(_) => 0,
        };
        self.spec.steps.iter().map(micros).sum()
    }

    fn add(&self, micros: i64, elapsed: i128) -> Option<Timestamp> {
        in_range(i64::try_from(i128::from(micros) + elapsed).ok()?)
    }
}

fn in_range(micros: i64) -> Option<Timestamp> {
    (Timestamp::MIN.as_micros()..=Timestamp::MAX.as_micros())
        .contains(&micros)
        .then(|| Timestamp::from_micros(micros))
}
