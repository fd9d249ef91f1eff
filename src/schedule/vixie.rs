//! Owns: five-field expressions and nicknames, read as crontab(5) of Debian's cron 3.0pl1 means them.
//! Never: six and seven fields (see `seconds`), command lines (see `crontab`).
//!
//! What is accepted is the part on which Debian's cron and cronie agree; where one of them skips a tail,
//! wraps a number or stores what never fires, this refuses.

use super::ParseError;
use super::pattern::{Follows, Pattern, Years};

/// A schedule in crontab(5)'s words: five fields, or a nickname other than `@reboot`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VixieSchedule {
    pub(super) pattern: Pattern,
}

/// One of the five fields.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) low: u32,
    pub(super) high: u32,
    /// Names for the values from `names_from` on.
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

/// The nicknames, as the fields that crontab(5) gives for them.
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    // Debian sets HR_STAR by hand, as the star does here: it follows real time.
    ("@hourly", "0 * * * *"),
];

/// The largest number that is read; more digits than a step or a value can need.
const NUMBER_MAX: u32 = 999_999_999;

const GRAMMAR: &str = "a field is a list by commas of `*`, `*/n`, `a`, `a-b` and `a-b/n`";

/// Reads a nickname; `@reboot` is the caller's.
pub(super) fn parse_nickname(text: &str) -> Result<VixieSchedule, ParseError> {
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
    Err(ParseError {
        cause: format!("`{text}` is not a nickname of crontab(5)"),
        column: Some(1),
        hint: Some(hint),
    })
}

/// Returns the hint for a nickname in capitals, or without its `@`.
pub(super) fn meant_nickname(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let meant = format!("@{}", lower.strip_prefix('@').unwrap_or(&lower));
    let is_nickname = meant == "@reboot" || NICKNAMES.iter().any(|(name, _)| *name == meant);
    is_nickname.then(|| format!("did you mean `{meant}`?"))
}

/// Returns the hint for `/5`, a step without the star in front.
pub(super) fn meant_step(item: &str) -> Option<String> {
    let step = item.strip_prefix('/').filter(|step| number(step).is_some_and(|step| step > 0))?;
    Some(format!("did you mean `*/{step}`?"))
}

/// Reads five fields that are separated by single spaces.
///
/// The day rule is textual: a field is a star if its first character is `*`, so `*/2` and `*,1` are and
/// `1-31` is not. If the day of month or the weekday is a star, both must match, else one of them suffices.
pub(super) fn parse(text: &str) -> Result<VixieSchedule, ParseError> {
    let mut sets = [0; 5];
    let mut stars = [false; 5];
    let mut column = 1;
    for (index, field) in text.split(' ').enumerate() {
        sets[index] = Reader { text, field, column, rules: &FIELDS[index] }.read()?;
        stars[index] = field.starts_with('*');
        column += field.chars().count() + 1;
    }
    VixieSchedule::of(sets, stars)
        .ok_or_else(|| ParseError::new(format!("`{text}` never fires: none of its months has such a day")))
}

/// Reads one field that stands alone, the `index`th of the five; `None` where the strict grammar has no place
/// for it.
pub(super) fn parse_field(index: usize, field: &str) -> Option<u64> {
    Reader { text: field, field, column: 1, rules: &FIELDS[index] }.read().ok()
}

/// Returns a set of weekdays as bits 0-6: seven is Sunday too.
pub(super) fn fold_sunday(weekdays: u64) -> u64 {
    (weekdays | weekdays >> 7) & 0x7f
}

impl VixieSchedule {
    /// Makes the schedule of five sets (bits are values, weekdays 0-7) and of whether each field's text
    /// begins with `*`; `None` if it never fires.
    ///
    /// The day rule is brought to one form, so that equal schedules are equal values: where either day
    /// suffices and one of them is any day, all days do; where one of them is none, the other alone decides.
    pub(super) fn of(sets: [u64; 5], stars: [bool; 5]) -> Option<Self> {
        const EVERY_DAY: u64 = 0xffff_fffe;
        const EVERY_WEEKDAY: u64 = 0x7f;
        let [minutes, hours, days, months, weekdays] = sets;
        let [minute_star, hour_star, day_star, _, weekday_star] = stars;
        let weekdays = fold_sunday(weekdays);
        let either = !day_star && !weekday_star;
        let (days, weekdays, either_day) = match (days, weekdays) {
            (0, weekdays) if either => (EVERY_DAY, weekdays, false),
            (days, 0) if either => (days, EVERY_WEEKDAY, false),
            (EVERY_DAY, _) | (_, EVERY_WEEKDAY) if either => (EVERY_DAY, EVERY_WEEKDAY, false),
            (days, weekdays) => (days, weekdays, either),
        };
        if minutes == 0 || hours == 0 {
            return None;
        }
        let follows = if minute_star || hour_star { Follows::RealTime } else { Follows::WallClock };
        let years = Years::All;
        let pattern =
            Pattern { seconds: 1, minutes, hours, days, months, weekdays, either_day, years, follows };
        pattern.ever_matches().then_some(Self { pattern })
    }
}

/// What is being read, for reading it and for telling where it goes wrong.
struct Reader<'a> {
    text: &'a str,
    field: &'a str,
    column: usize,
    rules: &'a Field,
}

impl Reader<'_> {
    fn read(&self) -> Result<u64, ParseError> {
        let mut set = 0;
        let mut column = self.column;
        for item in self.field.split(',') {
            set |= self.item(item, column)?;
            column += item.chars().count() + 1;
        }
        Ok(set)
    }

    /// Reads `'*' ['/' n] | v ['-' v ['/' n]]`.
    fn item(&self, item: &str, column: usize) -> Result<u64, ParseError> {
        if item.is_empty() {
            return Err(self.refuse(self.field, column, "has an empty item", Some(GRAMMAR.to_owned())));
        }
        if let Some(hint) = meant_step(item) {
            return Err(self.refuse(item, column, "is not understood", Some(hint)));
        }
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(self.step(item, step, column)?)),
            None => (item, None),
        };
        let (low, high) = if range == "*" {
            (self.rules.low, self.rules.high)
        } else if let Some((low, high)) = range.split_once('-') {
            (self.value(item, low, column)?, self.value(item, high, column)?)
        } else {
            let value = self.value(item, range, column)?;
            if let Some(step) = step {
                let hint = format!("write `{value}-{}/{step}`", self.rules.high);
                return Err(self.refuse(item, column, "has a step after a single value", Some(hint)));
            }
            (value, value)
        };
        if low > high {
            return Err(self.refuse(item, column, "runs backwards", self.forwards(range, step)));
        }
        Ok((low..=high).step_by(step.unwrap_or(1) as usize).fold(0, |set, value| set | 1 << value))
    }

    fn step(&self, item: &str, step: &str, column: usize) -> Result<u32, ParseError> {
        match number(step) {
            Some(0) => Err(self.refuse(item, column, "has step 0", Some("a step is 1 or more".to_owned()))),
            Some(step) => Ok(step),
            None => Err(self.refuse(item, column, "is not understood", Some(GRAMMAR.to_owned()))),
        }
    }

    fn value(&self, item: &str, text: &str, column: usize) -> Result<u32, ParseError> {
        let Field { low, high, names, names_from, .. } = *self.rules;
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return number(text)
                .filter(|value| (low..=high).contains(value))
                .ok_or_else(|| self.refuse(item, column, &format!("is outside {low}-{high}"), None));
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
        Err(self.refuse(item, column, "is not understood", Some(hint)))
    }

    /// Returns how to write what a backward range was meant to say.
    fn forwards(&self, range: &str, step: Option<u32>) -> Option<String> {
        let (from, to) = range.split_once('-')?;
        if step.is_some() {
            return Some("write the values as a list".to_owned());
        }
        let name = |value: u32| match self.rules.names.get((value - self.rules.names_from) as usize) {
            Some(name) if from.starts_with(|c: char| c.is_ascii_alphabetic()) => (*name).to_owned(),
            _ => value.to_string(),
        };
        // A week ends with Saturday, 6, since 7 is Sunday again.
        let last = if self.rules.high == 7 { 6 } else { self.rules.high };
        let part = |from: &str, to: &str| if from == to { from.to_owned() } else { format!("{from}-{to}") };
        let upper = if number(from) == Some(7) {
            return Some(format!("write `0-{to}`"));
        } else {
            part(&from.to_ascii_lowercase(), &name(last))
        };
        Some(format!("write `{upper},{}`", part(&name(self.rules.low), &to.to_ascii_lowercase())))
    }

    fn refuse(&self, part: &str, column: usize, why: &str, hint: Option<String>) -> ParseError {
        let cause = format!("{} `{part}` in `{}` {why}", self.rules.name, self.text);
        ParseError { cause, column: Some(column), hint }
    }
}

/// Reads a number of digits only; `None` for anything else and for more than `NUMBER_MAX`.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|value| digits && *value <= NUMBER_MAX)
}
