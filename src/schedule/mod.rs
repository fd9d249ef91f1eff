//! Owns: the instants behind a timestamp trigger: texts to schedules, schedules to fires, times of at(1),
//! spans, zones.
//! Never: the clock, the environment, storage. The one look outside is jiff's, at the system's tzdata.

mod calendar;
mod daylight;
mod dialect;
mod grammar;
mod on_calendar;
mod pattern;
mod reading;
mod seconds;
mod span;
#[cfg(test)]
mod tests;
mod time;
mod tokens;
mod unlike;
mod vixie;
mod walk;
mod zone;

use std::fmt;

pub use daylight::{Change, Daylight, Effect, Readings};
pub use dialect::{BadField, Dialect, FieldsReading, Oddity, Quirk};
pub use reading::Reading;
pub use seconds::SecondsSchedule;
pub use span::parse_span;
pub use time::{parse_instant, parse_time};
pub use vixie::VixieSchedule;
pub use zone::Zone;

use crate::domain::{Span, Timestamp, TriggerSpec};
use pattern::Pattern;

/// Why a text is not a schedule, a time, a span or a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// A fragment for behind `cannot …: `: ``minute `75` in `75 3 * * *` is outside 0-59``.
    pub cause: String,
    /// The column, in characters from 1, at which reading stopped.
    pub column: Option<usize>,
    /// One thing to do about it.
    pub hint: Option<String>,
}

impl ParseError {
    fn new(cause: String) -> Self {
        Self { cause, column: None, hint: None }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

impl std::error::Error for ParseError {}

/// A set of instants. Those of expressions lie on whole seconds, and depend on the zone they are asked in.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// One instant.
    At(Timestamp),
    /// Five fields or a nickname, as crontab(5).
    Vixie(VixieSchedule),
    /// Six or seven fields, as the `cron` crate reads them.
    Seconds(SecondsSchedule),
    /// `anchor` + n × `period` for n ≥ 1, in real time.
    Every {
        /// The distance of two fires; not zero.
        period: Span,
        /// Where the counting begins; itself not a fire.
        anchor: Timestamp,
    },
    /// `@reboot`: no instant at all; the daemon knows when the machine has started.
    Reboot,
    /// Every instant of another schedule, later.
    Delayed {
        /// The other.
        of: Box<Schedule>,
        /// How much later.
        by: Span,
    },
}

impl Schedule {
    /// Returns the first fire strictly after `after`, or `None` within 140 years.
    ///
    /// No expression leaves a longer pause: 29 February falls on a given weekday again after at most 40
    /// years, and the years of seven fields end with 2100. What a gap has swallowed 64 times in a row is
    /// taken to come no more.
    ///
    /// A reading inside a gap fires at the gap's end, one in a fold at the earlier instant; but an expression
    /// with a star in its minute or hour (or second) follows real time: nothing in a gap, both passes of a
    /// fold (Debian's cron(8)).
    pub fn next_after(&self, after: Timestamp, zone: &Zone) -> Option<Timestamp> {
        match self {
            Self::At(at) => (*at > after).then_some(*at),
            Self::Vixie(VixieSchedule { pattern }) | Self::Seconds(SecondsSchedule { pattern }) => {
                instant(walk::next(pattern, after.as_seconds(), zone)?)
            }
            Self::Every { period, anchor } => {
                let count = elapsed(*anchor, after) / u128::from(period.as_micros().max(1)) + 1;
                nth(*anchor, *period, count)
            }
            Self::Reboot => None,
            Self::Delayed { of, by } => of.next_after(after - *by, zone).map(|fire| fire + *by),
        }
    }

    /// Returns what a gap or a fold of the zone does to one of this expression's fires: every `Effect` but
    /// `Skipped` and `Twice`. `None` on ordinary days, and for schedules that follow no clock on a wall.
    pub fn daylight(&self, fire: Timestamp, zone: &Zone) -> Option<Daylight> {
        let (pattern, by) = self.pattern()?;
        daylight::of_fire(pattern, (fire - by).as_seconds(), zone)
    }

    /// Returns the first gap in `(after, until]` that leaves out fires with nothing in their place: those of
    /// expressions with a star in their minute or hour. Looks 140 years ahead at most, like `next_after`.
    pub fn skipped(&self, after: Timestamp, until: Timestamp, zone: &Zone) -> Option<Change> {
        let (pattern, by) = self.pattern()?;
        let change = daylight::skipped(pattern, (after - by).as_seconds(), (until - by).as_seconds(), zone)?;
        Some(change.delayed(by))
    }

    /// Returns what the transitions in `(after, until]` do to fires, one `Change` for each transition that
    /// does anything: every `Effect` but `FirstOfTwo` and `SecondOfTwo`. None for stars that fire in every
    /// hour: they go on so.
    pub fn changes(&self, after: Timestamp, until: Timestamp, zone: &Zone) -> Vec<Change> {
        let Some((pattern, by)) = self.pattern() else { return Vec::new() };
        let changes = daylight::changes(pattern, (after - by).as_seconds(), (until - by).as_seconds(), zone);
        changes.into_iter().map(|change| change.delayed(by)).collect()
    }

    /// Returns the readings of an expression, and how much later than they its fires come.
    fn pattern(&self) -> Option<(&Pattern, Span)> {
        match self {
            Self::Vixie(VixieSchedule { pattern }) | Self::Seconds(SecondsSchedule { pattern }) => {
                Some((pattern, Span::ZERO))
            }
            Self::Delayed { of, by } => of.pattern().map(|(pattern, _)| (pattern, *by)),
            Self::At(_) | Self::Every { .. } | Self::Reboot => None,
        }
    }

    /// Returns the number of fires in `(after, until]`. A year of fires each second takes microseconds: days
    /// without a transition are multiplied, not walked.
    pub fn count(&self, after: Timestamp, until: Timestamp, zone: &Zone) -> u64 {
        if until <= after {
            return 0;
        }
        match self {
            Self::At(at) => u64::from(after < *at && *at <= until),
            Self::Vixie(VixieSchedule { pattern }) | Self::Seconds(SecondsSchedule { pattern }) => {
                walk::count(pattern, after.as_seconds(), until.as_seconds(), zone)
            }
            Self::Every { period, anchor } => {
                let upto = |at| elapsed(*anchor, at) / u128::from(period.as_micros().max(1));
                u64::try_from(upto(until) - upto(after))
                    .expect("no more than microseconds in the range of a Timestamp")
            }
            Self::Reboot => 0,
            Self::Delayed { of, by } => of.count(after - *by, until - *by, zone),
        }
    }

    /// Returns the last `n` fires in `(after, until]`, ascending. The work is bounded by `n` and by the time
    /// that they span, however far back `after` lies.
    pub fn latest(&self, after: Timestamp, until: Timestamp, n: usize, zone: &Zone) -> Vec<Timestamp> {
        if n == 0 || until <= after {
            return Vec::new();
        }
        let mut from = self.start_of_latest(after, until, n, zone);
        let mut fires = Vec::new();
        while let Some(fire) = self.next_after(from, zone).filter(|fire| *fire <= until) {
            fires.push(fire);
            from = fire;
        }
        fires
    }

    /// Returns an instant behind which exactly `n` fires lie up to `until`, or `after` if there are no more
    /// than that.
    fn start_of_latest(&self, after: Timestamp, until: Timestamp, n: usize, zone: &Zone) -> Timestamp {
        let enough = |from| self.count(from, until, zone) >= n as u64;
        // First double the stretch until it holds enough, then halve the doubt.
        let (mut many, mut few) = (until, until);
        let mut stretch = 60_000_000;
        while !enough(many) {
            if many == after {
                return after;
            }
            few = many;
            many = after.max(until - Span::from_micros(stretch));
            stretch *= 2;
        }
        while few.as_micros() - many.as_micros() > 1 {
            let middle = Timestamp::from_micros(many.as_micros() + (few.as_micros() - many.as_micros()) / 2);
            if enough(middle) {
                many = middle;
            } else {
                few = middle;
            }
        }
        many
    }
}

fn instant(seconds: i64) -> Option<Timestamp> {
    (seconds <= Timestamp::MAX.as_seconds()).then(|| Timestamp::from_seconds(seconds))
}

/// Returns the microseconds from `anchor` to `at`, zero where `at` is earlier.
fn elapsed(anchor: Timestamp, at: Timestamp) -> u128 {
    u128::from(at.since(anchor).as_micros())
}

fn nth(anchor: Timestamp, period: Span, n: u128) -> Option<Timestamp> {
    let micros = u64::try_from(n.checked_mul(u128::from(period.as_micros()))?).ok()?;
    let micros = anchor.as_micros().checked_add(i64::try_from(micros).ok()?)?;
    (micros <= Timestamp::MAX.as_micros()).then(|| Timestamp::from_micros(micros))
}

/// Makes the schedule of a stored trigger.
///
/// # Errors
/// Where the expression is not one, or the period is zero: a store that was not written by taskq.
pub fn compile(spec: &TriggerSpec) -> Result<Schedule, ParseError> {
    match spec {
        TriggerSpec::At { at } => Ok(Schedule::At(*at)),
        TriggerSpec::Cron { expr, zone: _, delay } => Ok(match parse_cron(expr)? {
            // A boot is not an instant that could be put off here.
            Schedule::Reboot => Schedule::Reboot,
            schedule if *delay == Span::ZERO => schedule,
            schedule => Schedule::Delayed { of: Box::new(schedule), by: *delay },
        }),
        TriggerSpec::Every { period: Span::ZERO, .. } => {
            Err(ParseError::new("a period of `0s` never passes".to_owned()))
        }
        TriggerSpec::Every { period, anchor } => Ok(Schedule::Every { period: *period, anchor: *anchor }),
    }
}

const FIELDS_ACCEPTED: &str =
    "an expression has 5 fields as in crontab(5), or 6 with seconds, or 7 with years too";

/// Reads a cron expression: five fields or a nickname as crontab(5), six or seven fields as the `cron` crate.
///
/// Five fields take names of three letters in any case, 0 and 7 for Sunday, lists, ranges and steps. The day
/// rule is
/// textual: where the day of month or the weekday begins with `*` both must match, else one suffices. Six
/// fields begin with the second and seven end with the year; there both days must match, and weekdays go by
/// name.
///
/// # Errors
/// Where a field is outside its range, runs backwards or is followed by anything, and where no date ever
/// matches.
pub fn parse_cron(text: &str) -> Result<Schedule, ParseError> {
    let text = fold_cron(text);
    if text == "@reboot" {
        return Ok(Schedule::Reboot);
    }
    if text.starts_with('@') {
        return vixie::parse_nickname(&text).map(Schedule::Vixie);
    }
    match text.split(' ').filter(|field| !field.is_empty()).count() {
        5 => vixie::parse(&text).map(Schedule::Vixie),
        6 | 7 => seconds::parse(&text).map(Schedule::Seconds),
        count => Err(ParseError {
            cause: format!("`{text}` has {count} field{}", if count == 1 { "" } else { "s" }),
            column: None,
            hint: Some(vixie::meant_nickname(&text).unwrap_or_else(|| FIELDS_ACCEPTED.to_owned())),
        }),
    }
}

/// Returns an expression as it is stored: no white space around it, single spaces inside.
pub fn fold_cron(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
