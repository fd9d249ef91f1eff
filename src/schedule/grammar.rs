//! Owns: the grammar of TIME: RFC 3339 and ISO dates, `@EPOCH`, the words of at(1).
//! Never: the instant of a text (see `time`).
//!
//! It follows at(1)'s yacc grammar (`/usr/share/doc/at/timespec`), and adds date and time of day in either
//! order, `in`, `at`, `on` and `ago`. A text that is not understood as a whole is refused at the first token
//! that does not fit.

use std::ops::RangeInclusive;

use super::calendar::days_in_month;
use super::parse_error::ParseError;
use super::tokens::{Kind, Token, Unit, stop, tokens, unit};
use super::vixie::{MONTHS, WEEKDAYS};

/// A day in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Day {
    /// `YYYY-MM-DD`, which begins at midnight if there is no time of day.
    Iso(i64, u32, u32),
    /// Any other date with a year.
    Dated(i64, u32, u32),
    /// The next such month and day.
    Yearly(u32, u32),
    /// A weekday after today, 0 = Sunday.
    Weekday(u32),
    FromToday(i64),
}

/// The parts of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spec {
    /// `@EPOCH`, in microseconds.
    pub(super) epoch: Option<i64>,
    pub(super) day: Option<Day>,
    /// Microseconds since midnight, up to a whole day, inclusive.
    pub(super) of_day: Option<i64>,
    /// Seconds ahead of UTC.
    pub(super) offset: Option<i64>,
    /// The text has `now`.
    pub(super) now: bool,
    /// Counts of units to add.
    pub(super) steps: Vec<(i64, Unit)>,
}

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// Any leap year.
const LEAP_YEAR: i64 = 2_000;

/// The largest count of units: enough for the years 1 to 9999 in seconds, and far from overflow.
const COUNT_MAX: i64 = 999_999_999_999;

/// Reads a text into its parts.
pub(super) fn parse(text: &str) -> Result<Spec, ParseError> {
    let tokens = tokens(text);
    if tokens.is_empty() {
        return Err(ParseError::new("an empty text is not a time".to_owned()));
    }
    let mut parser = Parser { text, tokens, at: 0, spec: Spec::default() };
    parser.whole()?;
    match parser.peek(0) {
        Some(_) => Err(parser.stop(0, None)),
        None => Ok(parser.spec),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    spec: Spec,
}

/// A part that was read, or the error where reading stopped.
type Read<T = ()> = Result<T, ParseError>;

impl Parser<'_> {
    fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead)
    }

    fn stop(&self, ahead: usize, why: Option<&str>) -> ParseError {
        stop(self.text, "time", self.peek(ahead), why)
    }

    fn fail<T>(&self, why: &str) -> Read<T> {
        Err(self.stop(0, Some(why)))
    }

    fn is(&self, ahead: usize, text: &str) -> bool {
        self.peek(ahead).is_some_and(|token| token.text == text)
    }

    fn is_glued(&self, ahead: usize, text: &str) -> bool {
        self.peek(ahead).is_some_and(|token| token.glued && token.text == text)
    }

    fn word(&self, ahead: usize) -> Option<&str> {
        self.peek(ahead).filter(|token| token.kind == Kind::Word).map(|token| token.text.as_str())
    }

    /// Returns how many digits the number there has, or 0 if there is none.
    fn digits(&self, ahead: usize) -> usize {
        self.peek(ahead).filter(|token| token.kind == Kind::Number).map_or(0, |token| token.text.len())
    }

    fn unit(&self, ahead: usize) -> Option<Unit> {
        self.word(ahead).and_then(unit)
    }

    fn eat(&mut self, text: &str) -> bool {
        let eaten = self.is(0, text);
        self.at += usize::from(eaten);
        eaten
    }

    /// Reads a number of so many digits inside a range.
    fn number(&mut self, digits: RangeInclusive<usize>, range: RangeInclusive<i64>, what: &str) -> Read<i64> {
        if !digits.contains(&self.digits(0)) {
            return self.fail(&format!("expected {what}"));
        }
        match self.tokens[self.at].text.parse() {
            Ok(value) if range.contains(&value) => {
                self.at += 1;
                Ok(value)
            }
            Ok(_) | Err(_) => self.fail(&format!("{what} is {} to {}", range.start(), range.end())),
        }
    }

    fn whole(&mut self) -> Read {
        if self.eat("@") {
            return self.epoch();
        }
        if self.eat("in") {
            return self.steps(1);
        }
        if self.digits(0) > 0 && self.unit(1).is_some() {
            return self.ago();
        }
        while self.peek(0).is_some() && !self.is(0, "+") && !self.is(0, "-") {
            self.part()?;
        }
        match self.peek(0) {
            Some(_) => self.signed_steps(),
            None => Ok(()),
        }
    }

    fn epoch(&mut self) -> Read {
        let sign = if self.eat("-") { -1 } else { 1 };
        let seconds = self.number(1..=12, 0..=COUNT_MAX, "the seconds since 1970")?;
        let fraction = if self.is_glued(0, ".") { self.fraction()? } else { 0 };
        self.spec.epoch = Some(sign * (seconds * SECOND + fraction));
        Ok(())
    }

    /// Reads `.25` as microseconds. Digits after the sixth are dropped.
    fn fraction(&mut self) -> Read<i64> {
        self.at += 1;
        if self.digits(0) == 0 {
            return self.fail("expected decimals");
        }
        let digits: String = self.tokens[self.at].text.chars().chain("000000".chars()).take(6).collect();
        self.at += 1;
        Ok(digits.parse().expect("six digits are a number"))
    }

    fn ago(&mut self) -> Read {
        self.steps(-1)?;
        if self.eat("ago") {
            return Ok(());
        }
        Err(self.stop(0, None))
    }

    /// Reads `+ 3 days`, `+1h30m`, `+ 1 day - 2 hours`.
    fn signed_steps(&mut self) -> Read {
        while self.peek(0).is_some() {
            let sign = if self.eat("+") {
                1
            } else if self.eat("-") {
                -1
            } else {
                return Err(self.stop(0, None));
            };
            self.steps(sign)?;
        }
        Ok(())
    }

    /// Reads one or more counts of units.
    fn steps(&mut self, sign: i64) -> Read {
        loop {
            let count = self.number(1..=12, 0..=COUNT_MAX, "a count")?;
            let unit = self.unit(0).ok_or_else(|| self.stop(0, Some("expected a unit")))?;
            self.at += 1;
            self.spec.steps.push((sign * count, unit));
            if self.digits(0) == 0 {
                return Ok(());
            }
        }
    }

    /// Reads a day, a time of day, `now` or `UTC`. Each may come once.
    fn part(&mut self) -> Read {
        let alone = self.at == 0;
        if self.spec.day.is_none() && self.day()? || self.spec.of_day.is_none() && self.clock()? {
            if self.spec.now {
                self.at = 1;
                return Err(self.stop(0, None));
            }
            return Ok(());
        }
        if alone && self.eat("now") {
            self.spec.now = true;
        } else if !alone && !self.spec.now && self.spec.offset.is_none() && self.eat("utc") {
            self.spec.offset = Some(0);
        } else {
            return Err(self.stop(0, None));
        }
        Ok(())
    }

    fn clock(&mut self) -> Read<bool> {
        if self.is(0, "at") {
            self.at += 1;
            return if self.clock()? { Ok(true) } else { self.fail("expected a time of day") };
        }
        let named = match self.word(0) {
            Some("midnight") => Some(0),
            Some("noon") => Some(12),
            Some("teatime") => Some(16),
            _ => None,
        };
        if let Some(hour) = named {
            self.at += 1;
            self.spec.of_day = Some(hour * HOUR);
            return Ok(true);
        }
        let half_day = |ahead| matches!(self.word(ahead), Some("am" | "pm"));
        let of_day = match self.digits(0) {
            1 | 2 if self.is_glued(1, ":") || self.is_glued(1, ".") => self.parted_clock()?,
            1 | 2 if half_day(1) => {
                let hour = self.number(1..=2, 1..=12, "an hour before am or pm")?;
                self.half_day(hour * HOUR)?
            }
            4 => self.four_digits()?,
            1 | 2 => return Err(self.stop(1, Some("expected `:`, am or pm"))),
            _ => return Ok(false),
        };
        self.spec.of_day = Some(of_day);
        self.offset()?;
        Ok(true)
    }

    /// Reads `9:30`, `21:30:15.5`, `9:30 pm`, `9.30`. `24:00` ends the day (at(1)'s rule).
    fn parted_clock(&mut self) -> Read<i64> {
        let start = self.at;
        let takes_seconds = self.is(1, ":");
        let hour = self.number(1..=2, 0..=24, "an hour")?;
        self.at += 1;
        let mut of_day = hour * HOUR + self.number(2..=2, 0..=59, "a minute")? * MINUTE;
        if takes_seconds && self.is_glued(0, ":") {
            self.at += 1;
            of_day += self.number(2..=2, 0..=59, "a second")? * SECOND;
            if self.is_glued(0, ".") {
                of_day += self.fraction()?;
            }
        }
        if matches!(self.word(0), Some("am" | "pm")) {
            if !(1..=12).contains(&hour) {
                self.at = start;
                return self.fail("an hour before am or pm is 1 to 12");
            }
            return self.half_day(of_day);
        }
        if of_day > 24 * HOUR {
            self.at = start;
            return self.fail("a day ends with 24:00");
        }
        Ok(of_day)
    }

    /// Reads am or pm: 12am is midnight, 12pm noon.
    fn half_day(&mut self, of_day: i64) -> Read<i64> {
        let afternoon = self.is(0, "pm");
        self.at += 1;
        Ok(of_day % (12 * HOUR) + if afternoon { 12 * HOUR } else { 0 })
    }

    /// Reads `1630`.
    fn four_digits(&mut self) -> Read<i64> {
        let value = self.number(4..=4, 0..=2_400, "a time of day of four digits")?;
        if value % 100 > 59 {
            self.at -= 1;
            return self.fail("a minute is 0 to 59");
        }
        Ok(value / 100 * HOUR + value % 100 * MINUTE)
    }

    /// Reads RFC 3339's `Z` and `+01:00`, and `+0100`, which taskq displays.
    fn offset(&mut self) -> Read {
        if !matches!(self.spec.day, Some(Day::Iso(..))) {
            return Ok(());
        }
        if self.is_glued(0, "z") {
            self.at += 1;
            self.spec.offset = Some(0);
            return Ok(());
        }
        let colon = self.digits(1) == 2 && self.is_glued(2, ":");
        let plain = self.digits(1) == 4 && self.unit(2).is_none();
        if !(self.is(0, "+") || self.is(0, "-")) || !(colon || plain) {
            return Ok(());
        }
        let sign = if self.is(0, "-") { -1 } else { 1 };
        self.at += 1;
        let (hours, minutes) = if colon {
            let hours = self.number(2..=2, 0..=23, "an offset's hour")?;
            self.at += 1;
            (hours, self.number(2..=2, 0..=59, "an offset's minute")?)
        } else {
            let both = self.number(4..=4, 0..=2_359, "an offset")?;
            (both / 100, both % 100)
        };
        self.spec.offset = Some(sign * (hours * 3_600 + minutes * 60));
        Ok(())
    }

    fn day(&mut self) -> Read<bool> {
        if self.is(0, "on") {
            self.at += 1;
            return if self.day()? { Ok(true) } else { self.fail("expected a day") };
        }
        if self.digits(0) > 0 {
            return self.numeric_day();
        }
        let Some(word) = self.word(0) else { return Ok(false) };
        let day = match word {
            "today" => Day::FromToday(0),
            "tomorrow" => Day::FromToday(1),
            "yesterday" => Day::FromToday(-1),
            "next" => return self.next_day().map(|()| true),
            _ => match (weekday(word), month(word)) {
                (Some(weekday), _) => Day::Weekday(weekday),
                (None, Some(month)) => {
                    self.at += 1;
                    let day = self.day_of_month(month)?;
                    return self.with_year(month, day).map(|()| true);
                }
                (None, None) => return Ok(false),
            },
        };
        self.at += 1;
        self.spec.day = Some(day);
        Ok(true)
    }

    /// Reads `next monday`, or `next week`, which adds a week to the time of day or to now.
    fn next_day(&mut self) -> Read {
        self.at += 1;
        if let Some(weekday) = self.word(0).and_then(weekday) {
            self.spec.day = Some(Day::Weekday(weekday));
        } else if let Some(unit) = self.unit(0) {
            self.spec.day = Some(Day::FromToday(0));
            self.spec.steps.push((1, unit));
        } else {
            return self.fail("expected a weekday or a unit");
        }
        self.at += 1;
        Ok(())
    }

    /// Reads `2026-12-24`, `26-12-24`, `24.12.2026`, `12/24/26`, `122426` or `24 Dec`. Returns `false` for
    /// any other number.
    fn numeric_day(&mut self) -> Read<bool> {
        let digits = self.digits(0);
        let is_iso = digits == 4;
        let (year, month, day) = match digits {
            2 | 4 if self.is_glued(1, "-") => self.date("ymd", "-", 2..=2)?,
            6 | 8 => {
                self.split(&[2, 2]);
                self.date("mdy", "", 2..=2)?
            }
            1 | 2 if self.is_dotted_clock() => return Ok(false),
            1 | 2 if self.is_glued(1, ".") => self.date("dmy", ".", 1..=2)?,
            1 | 2 if self.is_glued(1, "/") => self.date("mdy", "/", 1..=2)?,
            1 | 2 => {
                let Some(month) = self.word(1).and_then(month) else { return Ok(false) };
                let day = self.day_of_month(month)?;
                self.at += 1;
                return self.with_year(month, day).map(|()| true);
            }
            _ => return Ok(false),
        };
        self.spec.day = Some(if is_iso { Day::Iso(year, month, day) } else { Day::Dated(year, month, day) });
        // RFC 3339 joins date and time with a `T`.
        let is_number = |token: &Token| token.glued && token.kind == Kind::Number;
        let is_joined = is_iso && self.is_glued(0, "t") && self.peek(1).is_some_and(is_number);
        self.at += usize::from(is_joined);
        Ok(true)
    }

    /// Returns whether this is at(1)'s time `12.30`, and not its date `31.12.26`. `31.12` is a date without a
    /// year.
    fn is_dotted_clock(&self) -> bool {
        let is_hour = self.peek(0).is_some_and(|hour| hour.text.parse().is_ok_and(|hour: u32| hour <= 24));
        is_hour && self.is_glued(1, ".") && self.digits(2) == 2 && !self.is_glued(3, ".")
    }

    /// Reads a date whose year, month and day come in some order, between separators.
    fn date(&mut self, order: &str, separator: &str, digits: RangeInclusive<usize>) -> Read<(i64, u32, u32)> {
        let (mut year, mut month, mut day, mut day_at) = (0, 0, 0, 0);
        for (index, part) in order.chars().enumerate() {
            if index > 0 && !separator.is_empty() {
                if !self.is_glued(0, separator) {
                    let year = if part == 'y' { " and a year" } else { "" };
                    return self.fail(&format!("expected `{separator}`{year}"));
                }
                self.at += 1;
            }
            match part {
                'y' => year = self.year()?,
                'm' => month = u32_of(self.number(digits.clone(), 1..=12, "a month")?),
                _ => {
                    day_at = self.at;
                    day = u32_of(self.number(digits.clone(), 1..=31, "a day")?);
                }
            }
        }
        if day > days_in_month(year, month) {
            self.at = day_at;
            return self.no_such_day(Some(year), month);
        }
        Ok((year, month, day))
    }

    /// Splits pieces of so many digits off the number there, each into its own token.
    fn split(&mut self, lengths: &[usize]) {
        for (index, length) in lengths.iter().enumerate() {
            let mut rest = self.tokens[self.at + index].clone();
            let mut piece = rest.clone();
            piece.text.truncate(*length);
            piece.shown.truncate(*length);
            rest.text.drain(..length);
            rest.shown.drain(..length);
            rest.column += length;
            rest.glued = true;
            self.tokens.splice(self.at + index..=self.at + index, [piece, rest]);
        }
    }

    /// Reads the year after a month and a day, if there is one.
    fn with_year(&mut self, month: u32, day: u32) -> Read {
        let start = self.at;
        let comma = self.eat(",");
        let is_clock =
            self.is_glued(1, ":") || self.is_glued(1, ".") || matches!(self.word(1), Some("am" | "pm"));
        if !comma && (is_clock || !matches!(self.digits(0), 2 | 4)) {
            self.spec.day = Some(Day::Yearly(month, day));
            return Ok(());
        }
        let year = self.year()?;
        if day > days_in_month(year, month) {
            self.at = start - 1;
            return self.no_such_day(Some(year), month);
        }
        self.spec.day = Some(Day::Dated(year, month, day));
        Ok(())
    }

    /// Reads a year of four digits, or of two in this century.
    fn year(&mut self) -> Read<i64> {
        match self.digits(0) {
            2 => Ok(2_000 + self.number(2..=2, 0..=99, "a year")?),
            _ => self.number(4..=4, 1..=9_999, "a year of two or four digits"),
        }
    }

    /// Reads a day that the month has in some year.
    fn day_of_month(&mut self, month: u32) -> Read<u32> {
        let day = u32_of(self.number(1..=2, 1..=31, "a day")?);
        if day > days_in_month(LEAP_YEAR, month) {
            self.at -= 1;
            return self.no_such_day(None, month);
        }
        Ok(day)
    }

    fn no_such_day<T>(&self, year: Option<i64>, month: u32) -> Read<T> {
        let days = days_in_month(year.unwrap_or(LEAP_YEAR), month);
        let year = year.map(|year| format!(" of {year}")).unwrap_or_default();
        self.fail(&format!("month {month}{year} has {days} days"))
    }
}

fn u32_of(value: i64) -> u32 {
    u32::try_from(value).expect("a number of two digits")
}

fn weekday(word: &str) -> Option<u32> {
    const FULL: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
    named(word, &WEEKDAYS, &FULL)
}

fn month(word: &str) -> Option<u32> {
    const FULL: &str =
        "january february march april may june july august september october november december";
    named(word, &MONTHS, &FULL.split(' ').collect::<Vec<_>>()).map(|index| index + 1)
}

fn named(word: &str, short: &[&str], full: &[&str]) -> Option<u32> {
    let index = short.iter().zip(full).position(|(short, full)| *short == word || *full == word)?;
    Some(u32::try_from(index).expect("a dozen names at most"))
}
