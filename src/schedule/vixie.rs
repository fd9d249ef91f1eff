//! Owns: five fields and nicknames, as crontab(5) of Debian's cron 3.0pl1 means them.
//! Never: six and seven fields (see `seconds`), lines of a crontab (see `crontab`).
//!
//! The grammar accepts only what Debian's cron and cronie read alike. It refuses the rest: tails that one of
//! them skips, numbers that wrap, dates that never come.

use std::fmt;

use super::parse_error::ParseError;
use super::pattern::{ALL_DAYS, ALL_WEEKDAYS, Follows, Pattern, Years};

/// The rules of one of the five fields.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) low: u32,
    pub(super) high: u32,
    /// Names of the values from `names_from` on.
    pub(super) names: &'static [&'static str],
    pub(super) names_from: u32,
}

pub(super) const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
pub(super) const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

pub(super) const FIELDS: [Field; 5] = [
    Field { name: "minute", low: 0, high: 59, names: &[], names_from: 0 },
    Field { name: "hour", low: 0, high: 23, names: &[], names_from: 0 },
    Field { name: "day of month", low: 1, high: 31, names: &[], names_from: 0 },
    Field { name: "month", low: 1, high: 12, names: &MONTHS, names_from: 1 },
    Field { name: "weekday", low: 0, high: 7, names: &WEEKDAYS, names_from: 0 },
];

/// The nicknames, with their fields by crontab(5).
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    // It follows real time: Debian's cron sets HR_STAR for it, as for a star in the hour.
    ("@hourly", "0 * * * *"),
];

/// The largest number that is read: more than any step or value needs.
const NUMBER_MAX: u32 = 999_999_999;

const GRAMMAR: &str = "a field is a list by commas of `*`, `*/n`, `a`, `a-b` and `a-b/n`";

/// Reads a nickname other than `@reboot`.
pub(super) fn parse_nickname(text: &str) -> Result<Pattern, ParseError> {
    if let Some((_, fields)) = NICKNAMES.iter().find(|(name, _)| *name == text) {
        return parse(fields);
    }
    let hint = if let Some(hint) = meant_nickname(text) {
        hint
    } else if let Some(span) = text.to_ascii_lowercase().strip_prefix("@every ") {
        format!("use `--every {}`", span.trim())
    } else {
        "accepted are @yearly @annually @monthly @weekly @daily @midnight @hourly @reboot".to_owned()
    };
    let cause = format!("`{text}` is not a nickname of crontab(5)");
    Err(ParseError { cause, column: Some(1), hint: Some(hint) })
}

/// Returns the hint for a nickname in capitals, or without its `@`.
pub(super) fn meant_nickname(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let meant = format!("@{}", lower.strip_prefix('@').unwrap_or(&lower));
    let is_nickname = meant == "@reboot" || NICKNAMES.iter().any(|(name, _)| *name == meant);
    is_nickname.then(|| format!("did you mean `{meant}`?"))
}

/// Returns the hint for `/5`, a step without the star.
pub(super) fn meant_step(item: &str) -> Option<String> {
    let step = item.strip_prefix('/').filter(|step| number(step).is_some_and(|step| step > 0))?;
    Some(format!("did you mean `*/{step}`?"))
}

/// Reads five fields that are separated by single spaces.
///
/// The day rule is textual: a field is a star if its first character is `*`. So `*/2` and `*,1` are stars,
/// and `1-31` is not. If the day of month or the weekday is a star, both must match, otherwise one is enough.
pub(super) fn parse(text: &str) -> Result<Pattern, ParseError> {
    let mut sets = [0; 5];
    let mut stars = [false; 5];
    let mut before = 0;
    for (index, field) in text.split(' ').enumerate() {
        sets[index] = parse_field(index, field).map_err(|error| error.within(text, before))?;
        stars[index] = field.starts_with('*');
        before += field.chars().count() + 1;
    }
    pattern_of(sets, stars)
        .ok_or_else(|| ParseError::new(format!("`{text}` never fires: none of its months has such a day")))
}

/// Reads one field, the `index`th of the five, as a set of values.
///
/// # Errors
/// If the grammar does not accept it.
pub fn parse_field(index: usize, field: &str) -> Result<u64, FieldError> {
    let rules = &FIELDS[index];
    let mut set = 0;
    let mut column = 1;
    for text in field.split(',') {
        if text.is_empty() {
            return Err(Item { rules, text: field, column }.refuse("has an empty item", GRAMMAR.to_owned()));
        }
        set |= Item { rules, text, column }.read()?;
        column += text.chars().count() + 1;
    }
    Ok(set)
}

/// Returns a set of weekdays as bits 0-6: seven is Sunday too.
pub(super) fn fold_sunday(weekdays: u64) -> u64 {
    (weekdays | weekdays >> 7) & ALL_WEEKDAYS
}

/// Returns the pattern of five sets (bits are values, weekdays 0-7), given which texts begin with `*`. `None`
/// if it never fires.
///
/// The day rule is brought to one form, so that equal schedules are equal values. If either day is enough and
/// one field has every day, so has the other. If one field has no day, only the other one decides.
pub(super) fn pattern_of(sets: [u64; 5], stars: [bool; 5]) -> Option<Pattern> {
    let [minutes, hours, days, months, weekdays] = sets;
    let [minute_star, hour_star, day_star, _, weekday_star] = stars;
    let weekdays = fold_sunday(weekdays);
    let either = !day_star && !weekday_star;
    let (days, weekdays, either_day) = match (days, weekdays) {
        (0, weekdays) if either => (ALL_DAYS, weekdays, false),
        (days, 0) if either => (days, ALL_WEEKDAYS, false),
        (ALL_DAYS, _) | (_, ALL_WEEKDAYS) if either => (ALL_DAYS, ALL_WEEKDAYS, false),
        (days, weekdays) => (days, weekdays, either),
    };
    if minutes == 0 || hours == 0 {
        return None;
    }
    let follows = if minute_star || hour_star { Follows::RealTime } else { Follows::WallClock };
    let years = Years::All;
    let pattern = Pattern {
        seconds: 1,
        minutes,
        hours,
        days,
        last_days: None,
        months,
        weekdays,
        either_day,
        years,
        follows,
    };
    pattern.ever_matches().then_some(pattern)
}

/// Why the grammar does not accept a field: ``minute `75` is outside 0-59``.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    name: &'static str,
    /// The part of it that is wrong.
    part: String,
    /// Where the part begins, in characters from 1.
    column: usize,
    why: String,
    /// One thing to do about it.
    pub hint: Option<String>,
}

impl FieldError {
    /// Returns it as an error of the expression that has so many characters before the field.
    fn within(self, text: &str, before: usize) -> ParseError {
        let cause = format!("{} `{}` in `{text}` {}", self.name, self.part, self.why);
        ParseError { cause, column: Some(before + self.column), hint: self.hint }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}` {}", self.name, self.part, self.why)
    }
}

/// An item of a field's list, and the rules by which it is read.
struct Item<'a> {
    rules: &'a Field,
    text: &'a str,
    /// Where it begins, in characters from 1.
    column: usize,
}

impl Item<'_> {
    /// Reads `'*' ['/' n] | v ['-' v ['/' n]]`.
    fn read(&self) -> Result<u64, FieldError> {
        if let Some(hint) = meant_step(self.text) {
            return Err(self.refuse("is not understood", hint));
        }
        let (range, step) = match self.text.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (self.text, None),
        };
        let (low, high) = if range == "*" {
            (self.rules.low, self.rules.high)
        } else if let Some((low, high)) = range.split_once('-') {
            (self.value(low)?, self.value(high)?)
        } else {
            let value = self.value(range)?;
            if let Some(step) = step {
                let hint = format!("write `{value}-{}/{step}`", self.rules.high);
                return Err(self.refuse("has a step after a single value", hint));
            }
            (value, value)
        };
        if low > high {
            return Err(self.refuse("runs backwards", self.forwards(range, step)));
        }
        Ok((low..=high).step_by(step.unwrap_or(1) as usize).fold(0, |set, value| set | 1 << value))
    }

    fn step(&self, step: &str) -> Result<u32, FieldError> {
        match number(step) {
            Some(0) => Err(self.refuse("has step 0", "a step is 1 or more".to_owned())),
            Some(step) => Ok(step),
            None => Err(self.refuse("is not understood", GRAMMAR.to_owned())),
        }
    }

    fn value(&self, text: &str) -> Result<u32, FieldError> {
        let Field { low, high, names, names_from, .. } = *self.rules;
        if is_digits(text) {
            let value = number(text).filter(|value| (low..=high).contains(value));
            return value.ok_or_else(|| self.refuse(&format!("is outside {low}-{high}"), None));
        }
        if let Some(index) = names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return Ok(u32::try_from(index).expect("there are twelve names at most") + names_from);
        }
        let lower = text.to_ascii_lowercase();
        let hint = match names.iter().find(|name| lower.starts_with(**name)) {
            Some(name) if lower.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
                format!("names have three letters: `{name}`")
            }
            _ if names.is_empty() => GRAMMAR.to_owned(),
            _ => format!("{GRAMMAR}, of {low}-{high} and `{}` … `{}`", names[0], names[names.len() - 1]),
        };
        Err(self.refuse("is not understood", hint))
    }

    /// Returns the hint for a backward range: the two forward ones that it probably means.
    fn forwards(&self, range: &str, step: Option<u32>) -> Option<String> {
        let (from, to) = range.split_once('-')?;
        if step.is_some() {
            return Some("write the values as a list".to_owned());
        }
        if number(from) == Some(7) {
            return Some(format!("write `0-{to}`"));
        }
        let name = |value: u32| match self.rules.names.get((value - self.rules.names_from) as usize) {
            Some(name) if from.starts_with(|c: char| c.is_ascii_alphabetic()) => (*name).to_owned(),
            _ => value.to_string(),
        };
        // A week ends with Saturday, 6, because 7 is Sunday again.
        let last = if self.rules.high == 7 { 6 } else { self.rules.high };
        let part = |from: &str, to: &str| if from == to { from.to_owned() } else { format!("{from}-{to}") };
        let upper = part(&from.to_ascii_lowercase(), &name(last));
        Some(format!("write `{upper},{}`", part(&name(self.rules.low), &to.to_ascii_lowercase())))
    }

    fn refuse(&self, why: &str, hint: impl Into<Option<String>>) -> FieldError {
        let Self { rules, text, column } = *self;
        FieldError { name: rules.name, part: text.to_owned(), column, why: why.to_owned(), hint: hint.into() }
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads a number of digits only, up to `NUMBER_MAX`.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|value| is_digits(text) && *value <= NUMBER_MAX)
}
