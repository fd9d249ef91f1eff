//! Owns: calendar expressions of systemd.time(7): their instants, and their normal form.
//! Never: their text (see `read`), gaps and folds (see `walk`).
//!
//! The readings of a clock are a pattern, as those of cron. Fires within a second are kept beside it.

mod chain;
mod read;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use self::chain::{Chain, DAY, HOUR, MICROS, MINUTE, MONTH, SECOND, YEAR};
use self::read::Expression;
pub use self::read::WORDS as CALENDAR_WORDS;
use super::parse_error::ParseError;
use super::pattern::{ALL_WEEKDAYS, Follows, Pattern, Years};
use super::walk;
use super::zone::Zone;
use crate::domain::Timestamp;

/// More fires within a minute than any job needs; they are listed.
const FIRES_A_MINUTE_MAX: usize = 60_000;

/// The lengths of months.
const MONTH_LENGTHS: Range<i32> = 28..32;

/// A calendar expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Its readings to the second.
    pub(super) pattern: Pattern,
    /// The microseconds of each minute, ascending, if not all are whole seconds.
    micros: Option<Arc<[u32]>>,
    zone: Option<String>,
    normal: String,
}

/// Reads a calendar expression exactly as systemd 252 does, with two exceptions: the zone after it is `UTC`
/// or a name of tzdata, never an abbreviation of the local time (`CEST`); and a repetition that fires more
/// than 60,000 times a minute is refused.
///
/// # Errors
/// If systemd refuses it too, and if no date ever matches.
pub fn parse_calendar(text: &str) -> Result<Calendar, ParseError> {
    let text = text.trim();
    let expression = read::read(text)?;
    let calendar = Calendar::of(expression, text)?;
    if !calendar.pattern.ever_matches() {
        let cause = format!("`{text}` never fires: no date matches all of its year, month, day and weekday");
        return Err(ParseError::new(cause));
    }
    Ok(calendar)
}

impl Calendar {
    fn of(expression: Expression, text: &str) -> Result<Self, ParseError> {
        let normal = expression.to_string();
        let Expression { weekdays, years, months, days, days_from_end, hours, minutes, seconds, zone } =
            expression;
        let micros = micros_of(&seconds, text)?;
        let whole_seconds = micros.iter().fold(0, |set, at| set | 1 << (at / MICROS.cast_unsigned()));
        let is_whole = micros.iter().all(|at| at % MICROS.cast_unsigned() == 0);
        let last_days = days_from_end.then(|| Box::new(by_length(&days)));
        let pattern = Pattern {
            seconds: whole_seconds,
            minutes: minutes.bits(MINUTE),
            hours: hours.bits(HOUR),
            days: last_days
                .as_ref()
                .map_or_else(|| days.bits(DAY), |sets| sets.iter().fold(0, |all, one| all | one)),
            last_days,
            months: months.bits(MONTH),
            // Our weeks begin with Sunday, systemd's with Monday.
            weekdays: if weekdays == 0 {
                ALL_WEEKDAYS
            } else {
                (weekdays << 1 | weekdays >> 6) & ALL_WEEKDAYS
            },
            either_day: false,
            years: years_of(&years),
            follows: Follows::FirstShown,
        };
        Ok(Self { pattern, micros: (!is_whole).then(|| micros.into()), zone, normal })
    }

    /// Returns the zone that the expression names.
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    pub(super) fn next_after(&self, after: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let second = after.as_seconds();
        if self.micros.is_some() && walk::next(&self.pattern, second - 1, zone) == Some(second) {
            let passed = after.as_micros().rem_euclid(i64::from(MICROS));
            let later = self.fires_in(second, zone).find(|micros| *micros > passed);
            if let Some(micros) = later {
                return Some(Timestamp::from_micros(second * i64::from(MICROS) + micros));
            }
        }
        let next = walk::next(&self.pattern, second, zone)?;
        let micros = self.fires_in(next, zone).next()?;
        let last = Timestamp::MAX.as_seconds();
        (next <= last).then(|| Timestamp::from_micros(next * i64::from(MICROS) + micros))
    }

    /// Returns the number of fires in `(after, until]`.
    pub(super) fn count(&self, after: Timestamp, until: Timestamp, zone: &Zone) -> u64 {
        let (from, to) = (after.as_seconds(), until.as_seconds());
        let Some(micros) = &self.micros else {
            return walk::count(&self.pattern, from, to, zone);
        };
        // How many fires the seconds of a minute have, and which seconds have so many.
        let mut by_count: BTreeMap<usize, u64> = BTreeMap::new();
        for second in 0..60 {
            *by_count.entry(within(micros, second).len()).or_default() |= 1 << second;
        }
        by_count.remove(&0);
        let whole: u64 = by_count
            .into_iter()
            .map(|(fires, seconds)| {
                let pattern = Pattern { seconds, ..self.pattern.clone() };
                fires as u64 * walk::count(&pattern, from, to, zone)
            })
            .sum();
        whole + self.rest_of_second(after, zone) - self.rest_of_second(until, zone)
    }

    /// Returns the number of fires after an instant within its second.
    fn rest_of_second(&self, at: Timestamp, zone: &Zone) -> u64 {
        let second = at.as_seconds();
        if walk::next(&self.pattern, second - 1, zone) != Some(second) {
            return 0;
        }
        let passed = at.as_micros().rem_euclid(i64::from(MICROS));
        self.fires_in(second, zone).filter(|micros| *micros > passed).count() as u64
    }

    /// Returns the microseconds of the fires within a second that has some.
    fn fires_in(&self, second: i64, zone: &Zone) -> impl Iterator<Item = i64> {
        let of_minute = u32::try_from((second + zone.offset(second)).rem_euclid(60)).expect("it is below 60");
        let fires = match &self.micros {
            Some(micros) => within(micros, of_minute),
            None => &[0],
        };
        fires.iter().map(|at| i64::from(at % MICROS.cast_unsigned()))
    }
}

/// The normal form of systemd-analyze(1): `Mon..Fri *-*-* 09:00:00`.
impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.normal)
    }
}

/// Returns the microseconds of a minute that lie within one of its seconds.
fn within(micros: &[u32], second: u32) -> &[u32] {
    let unit = MICROS.cast_unsigned();
    let from = micros.partition_point(|at| *at < second * unit);
    let to = micros.partition_point(|at| *at < (second + 1) * unit);
    &micros[from..to]
}

/// Returns the microseconds of each minute at which it fires, ascending.
fn micros_of(seconds: &Chain, text: &str) -> Result<Vec<u32>, ParseError> {
    let of_item = |item| chain::Item::values(item, SECOND.high).map(i32::cast_unsigned);
    let all = || seconds.0.iter().flat_map(of_item);
    if all().take(FIRES_A_MINUTE_MAX + 1).count() > FIRES_A_MINUTE_MAX {
        let cause = format!("`{text}` fires more than 60,000 times a minute");
        return Err(ParseError::new(cause).hint("for more, add a command that loops by itself"));
    }
    let mut micros: Vec<u32> = all().collect();
    micros.sort_unstable();
    micros.dedup();
    Ok(micros)
}

/// Returns the days that count from the end of a month, for each length of a month.
fn by_length(days: &Chain) -> [u64; 4] {
    let mut sets = [0; 4];
    for (set, length) in sets.iter_mut().zip(MONTH_LENGTHS) {
        let days = days.0.iter().map(|item| item.counted_from_start(length));
        let values = days.flat_map(|item| item.values(length).collect::<Vec<_>>());
        *set = values.fold(0, |set, day| set | 1 << day);
    }
    sets
}

fn years_of(years: &Chain) -> Years {
    let all = [chain::Item { stop: Some(YEAR.high), step: Some(1), ..chain::Item::value(YEAR.low) }];
    let items = if years.is_star() { &all } else { years.0.as_slice() };
    let values = items.iter().flat_map(|item| item.values(YEAR.high));
    Years::set(values.map(i64::from), i64::from(YEAR.high))
}
