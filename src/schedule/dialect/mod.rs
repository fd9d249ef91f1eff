//! Owns: five fields as Debian's cron and cronie read them, however odd, and their meaning in our grammar.
//! Never: lines of crontabs, nicknames, the grammar itself (see `vixie`).
//!
//! Both crons read byte by byte and stop early, so each has its own reader here, which takes the same steps.
//! The sets that result obey one day rule and one clock.

mod cronie;
mod debian;
mod oddity;
mod scan;
mod write;

use std::str;

use super::fires::Schedule;
use super::pattern::{ALL_DAYS, ALL_WEEKDAYS};
use super::vixie::{fold_sunday, parse_field, pattern_of};
pub use oddity::{Oddity, Quirk};
use scan::FieldScan;

/// A longer field is written anew: Debian's cron cannot read a number of 1,000 digits, even of zeros.
const KEPT_MAX: usize = 999;

/// The cron that reads the five fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Debian's cron 3.0pl1-162, which skips anything between a number and the next blank.
    Debian,
    /// cronie 1.7.2, with the later rule for ranges that end with 0. It refuses tails and has `~` for a
    /// random number.
    Cronie,
}

/// The field that a cron refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadField {
    /// Its place among the five, from 0.
    pub index: usize,
}

impl BadField {
    /// Returns the words of both crons: `bad day-of-month`.
    pub fn message(self) -> &'static str {
        ["bad minute", "bad hour", "bad day-of-month", "bad month", "bad day-of-week"][self.index]
    }
}

/// Five fields as a cron reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldsReading {
    fields: [FieldReading; 5],
    oddities: Vec<Oddity>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FieldReading {
    /// Bits are values; weekdays are 0-7.
    set: u64,
    /// The text begins with `*`.
    is_star: bool,
    /// The text, if it means the same in our grammar.
    strict: Option<String>,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: &'static [Self] = &[Self::Debian, Self::Cronie];

    /// Returns the word for it in columns and options.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debian => "debian",
            Self::Cronie => "cronie",
        }
    }

    /// Returns the dialect of a word of columns and options.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|dialect| dialect.as_str() == word)
    }

    /// Reads five fields, which the caller has split at blanks and tabs. The caller also removes a `-` before
    /// the first one, with which cronie turns off its log.
    ///
    /// `seed` decides the numbers that cronie draws for `~`. The same seed and text give the same numbers,
    /// and over all seeds each number is equally likely. A `~` with an end outside the field is refused here;
    /// cronie accepts it if the draw happens to fall inside.
    ///
    /// # Errors
    /// At the first field that this cron refuses.
    pub fn read(self, fields: &[&[u8]; 5], seed: u64) -> Result<FieldsReading, BadField> {
        let mut oddities = Vec::new();
        let mut read = |index: usize| {
            let mut scan = FieldScan::new(index, fields[index], seed);
            match self {
                Self::Debian => debian::read(&mut scan),
                Self::Cronie => cronie::read(&mut scan),
            }
            .ok_or(BadField { index })?;
            oddities.append(&mut scan.oddities);
            Ok(FieldReading {
                set: scan.set,
                is_star: fields[index].first() == Some(&b'*'),
                strict: strict(index, fields[index], scan.set),
            })
        };
        let fields = [read(0)?, read(1)?, read(2)?, read(3)?, read(4)?];
        Ok(FieldsReading { fields, oddities })
    }
}

/// Returns a field's text if all three grammars read this set in it.
fn strict(index: usize, field: &[u8], set: u64) -> Option<String> {
    let text = str::from_utf8(field).ok().filter(|text| text.len() <= KEPT_MAX)?;
    (parse_field(index, text) == Ok(set)).then(|| text.to_owned())
}

impl FieldsReading {
    /// Returns the instants. `None` if a set is empty or no date matches. Equal schedules mean the same.
    pub fn schedule(&self) -> Option<Schedule> {
        let sets = self.fields.each_ref().map(|field| field.set);
        let stars = self.fields.each_ref().map(|field| field.is_star);
        pattern_of(sets, stars).map(Schedule::Cron)
    }

    /// Returns five fields of our grammar with the same meaning in every cron. `None` if they never fire.
    ///
    /// A field keeps its text if possible.
    pub fn expression(&self) -> Option<String> {
        self.schedule()?;
        let fields = self.fields.iter().enumerate().map(|(index, field)| match (&field.strict, field.set) {
            (Some(text), _) => text.clone(),
            // An empty set that fires is a day field, and the other day field decides, as it does beside `*`.
            (None, 0) => "*".to_owned(),
            (None, set) if field.is_star => write::star(index, set),
            (None, set) => write::list(index, set),
        });
        Some(fields.collect::<Vec<_>>().join(" "))
    }

    /// Returns whether the minute or the hour begins with `*`: such a job follows real time when the clock
    /// changes.
    pub fn has_star_in_minute_or_hour(&self) -> bool {
        self.fields[0].is_star || self.fields[1].is_star
    }

    /// Returns whether neither day field begins with `*`: then a day in one of them is enough.
    pub fn either_day(&self) -> bool {
        !self.fields[2].is_star && !self.fields[4].is_star
    }

    /// Returns the day field, 2 or 4, that has every day but is not a star. If either is enough, every day
    /// matches.
    pub fn whole_day_field(&self) -> Option<usize> {
        let is_whole = |index: &usize| match index {
            2 => self.fields[2].set == ALL_DAYS,
            _ => fold_sunday(self.fields[4].set) == ALL_WEEKDAYS,
        };
        [2, 4].into_iter().find(is_whole)
    }

    /// Returns the parts that do not mean what they seem to, in the order of the text.
    pub fn oddities(&self) -> &[Oddity] {
        &self.oddities
    }
}
