//! Owns: a field of a calendar expression: its values, ranges and repetitions.
//! Never: the text around it (see `read`).
//!
//! The rules are those of `calendarspec.c` of systemd 252, oddities included.

use std::fmt;
use std::ops::Range;

/// The rules of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) low: i32,
    /// In microseconds for the second.
    pub(super) high: i32,
    /// What 1 in the text is: a million for the second, whose values are microseconds.
    pub(super) unit: i32,
    /// The digits of a value in the normal form.
    width: usize,
}

pub(super) const MICROS: i32 = 1_000_000;

pub(super) const YEAR: Field = Field { name: "year", low: 1970, high: 2199, unit: 1, width: 4 };
pub(super) const MONTH: Field = Field { name: "month", low: 1, high: 12, unit: 1, width: 2 };
pub(super) const DAY: Field = Field { name: "day", low: 1, high: 31, unit: 1, width: 2 };
/// A day that counts from the end of the month. Every month has 28.
pub(super) const DAY_FROM_END: Field = Field { name: "day from the end", high: 28, ..DAY };
pub(super) const HOUR: Field = Field { name: "hour", low: 0, high: 23, unit: 1, width: 2 };
pub(super) const MINUTE: Field = Field { name: "minute", low: 0, high: 59, unit: 1, width: 2 };
pub(super) const SECOND: Field =
    Field { name: "second", low: 0, high: 60 * MICROS - 1, unit: MICROS, width: 2 };

/// One item of a field: `start`, `start..stop`, `start/step` or `start..stop/step`.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) start: i32,
    pub(super) stop: Option<i32>,
    pub(super) step: Option<i32>,
    /// Where it stands in the text. Empty for what a text leaves out.
    pub(super) source: Range<usize>,
}

/// The items of a field. None: every value.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain(pub(super) Vec<Item>);

/// Why an item is refused.
pub(super) enum Misfit {
    /// A value is outside the field, which ends with this one here.
    Outside(i32),
    Backward,
    /// Its step leaves the field before it has a second value.
    LongStep,
}

impl Item {
    pub(super) fn value(start: i32) -> Self {
        Self { start, stop: None, step: None, source: 0..0 }
    }

    fn key(&self) -> (i32, Option<i32>, Option<i32>) {
        (self.start, self.stop, self.step)
    }

    fn normalise(&mut self) {
        let Some(stop) = &mut self.stop else { return };
        if *stop > self.start {
            *stop -= (*stop - self.start) % self.step.unwrap_or(1);
        }
        if *stop == self.start {
            (self.stop, self.step) = (None, None);
        }
    }

    fn check(&self, low: i32, high: i32, from_end: bool) -> Result<(), Misfit> {
        let is_inside = |value: i32| (low..=high).contains(&value);
        let step = self.step.unwrap_or(0);
        if !is_inside(self.start) {
            return Err(Misfit::Outside(high));
        }
        match self.stop {
            Some(stop) if !is_inside(stop) => Err(Misfit::Outside(high)),
            Some(stop) if stop < self.start => Err(Misfit::Backward),
            _ if step > high - low => Err(Misfit::LongStep),
            Some(_) => Ok(()),
            None if from_end && self.start - step < low => Err(Misfit::LongStep),
            None if !from_end && self.start + step > high => Err(Misfit::LongStep),
            None => Ok(()),
        }
    }

    /// Returns its values up to `high`.
    pub(super) fn values(&self, high: i32) -> impl Iterator<Item = i32> {
        let last = match (self.step, self.stop) {
            (None, _) => self.start,
            (Some(_), stop) => stop.map_or(high, |stop| stop.min(high)),
        };
        let step = self.step.map_or(1, |step| usize::try_from(step).expect("a step is positive"));
        (self.start..=last).step_by(step)
    }

    /// Returns the same item of a month with so many days, if its values count from the month's end.
    pub(super) fn counted_from_start(&self, days: i32) -> Self {
        let day = |from_end: i32| days + 1 - from_end;
        let (start, stop) = match self.stop {
            Some(stop) => (day(stop), Some(day(self.start))),
            None => (day(self.start), None),
        };
        Self { start, stop, ..self.clone() }
    }
}

impl Chain {
    pub(super) fn value(value: i32) -> Self {
        Self(vec![Item::value(value)])
    }

    pub(super) fn is_star(&self) -> bool {
        self.0.is_empty()
    }

    /// Sorts the items, ends each range with a value that it has, and drops doubles.
    pub(super) fn normalise(&mut self) {
        self.0.iter_mut().for_each(Item::normalise);
        self.0.sort_by_key(Item::key);
        self.0.dedup_by_key(|item| item.key());
    }

    /// Returns the first item that is refused.
    pub(super) fn misfit(&self, field: Field) -> Option<(&Item, Misfit)> {
        let mut high = field.high;
        for item in &self.0 {
            let checked = item.check(field.low, high, field == DAY_FROM_END);
            if let Err(misfit) = checked {
                return Some((item, misfit));
            }
            if field == DAY_FROM_END {
                // systemd takes the three days off again at each item.
                high -= 3;
            }
        }
        None
    }

    /// Returns a set of bits: bit n is the value `first` + n.
    pub(super) fn bits(&self, field: Field) -> u64 {
        if self.is_star() {
            return (field.low..=field.high).fold(0, |set, value| set | 1 << value);
        }
        self.0.iter().flat_map(|item| item.values(field.high)).fold(0, |set, value| set | 1 << value)
    }

    pub(super) fn shown(&self, field: Field) -> Shown<'_> {
        Shown { chain: self, field }
    }
}

/// A field in the normal form.
pub(super) struct Shown<'a> {
    chain: &'a Chain,
    field: Field,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Field { unit, width, .. } = self.field;
        let is_every_second = |item: &Item| item.key() == (0, None, Some(MICROS)) && unit == MICROS;
        if self.chain.is_star() || self.chain.0.iter().any(is_every_second) {
            return f.write_str("*");
        }
        for (index, item) in self.chain.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{:0width$}{}", item.start / unit, Fraction(item.start % unit))?;
            if let Some(stop) = item.stop {
                write!(f, "..{:0width$}{}", stop / unit, Fraction(stop % unit))?;
            }
            if let Some(step) = item.step.filter(|step| item.stop.is_none() || *step != unit) {
                write!(f, "/{}{}", step / unit, Fraction(step % unit))?;
            }
        }
        Ok(())
    }
}

/// Microseconds as decimals, six of them or none.
struct Fraction(i32);

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            micros => write!(f, ".{micros:06}"),
        }
    }
}
