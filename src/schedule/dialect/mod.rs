//! Owns: what Debian's cron and cronie make of five fields, however odd, and the same meaning in our strict
//! grammar.
//! Never: lines of crontabs, nicknames, our own reading (see `vixie`).
//!
//! Both crons read byte by byte and stop early, so each has a reader of its own that takes the same steps;
//! the sets that come out obey the same day rule and the same clock.

mod cronie;
mod debian;
mod oddity;
mod reader;
mod write;

use std::fmt;
use std::str;

use super::Schedule;
use super::vixie::{self, VixieSchedule};
pub use oddity::{Oddity, Quirk};
use reader::Reader;

/// A field that is longer is written anew: Debian's cron reads no number of 1,000 digits, were they zeros.
const KEPT_MAX: usize = 999;

/// Whose reading of the five fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Debian's cron 3.0pl1-162: what follows a number is skipped up to the next blank.
    Debian,
    /// cronie 1.7.2, and its later reading of ranges that end with 0: strict tails, and `~` for a random
    /// number.
    Cronie,
}

/// The field that a cron refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadField {
    /// Which of the five, from 0.
    pub index: usize,
}

impl BadField {
    /// What both crons say about it: `bad day-of-month`.
    pub fn message(self) -> &'static str {
        ["bad minute", "bad hour", "bad day-of-month", "bad month", "bad day-of-week"][self.index]
    }
}

impl fmt::Display for BadField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for BadField {}

/// What a cron makes of five fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldsReading {
    fields: [FieldReading; 5],
    oddities: Vec<Oddity>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FieldReading {
    /// Bits are values; weekdays are 0-7.
    set: u64,
    /// Whether the text begins with `*`.
    is_star: bool,
    /// The text, where our grammar reads the same in it.
    strict: Option<String>,
}

impl Dialect {
    /// Both.
    pub const ALL: &'static [Self] = &[Self::Debian, Self::Cronie];

    /// Returns the word for it in columns and options.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debian => "debian",
            Self::Cronie => "cronie",
        }
    }

    /// Returns what the word stands for, if it is one of these.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|dialect| dialect.as_str() == word)
    }

    /// Reads five fields, which the caller has split at blanks and tabs. A `-` before the first one, with
    /// which cronie turns off the log, is the caller's too.
    ///
    /// `seed` decides the numbers that cronie draws for `~`: with the same seed the same text gives the same
    /// numbers, and over the seeds every number is as likely. cronie reads `~` with an end outside the field
    /// only when the draw happens to fall inside; here that is refused.
    ///
    /// # Errors
    /// At the first field that this cron refuses.
    pub fn read(self, fields: &[&[u8]; 5], seed: u64) -> Result<FieldsReading, BadField> {
        let mut oddities = Vec::new();
        let mut read = |index: usize| {
            let mut reader = Reader::new(index, fields[index], seed);
            match self {
                Self::Debian => debian::read(&mut reader),
                Self::Cronie => cronie::read(&mut reader),
            }
            .ok_or(BadField { index })?;
            oddities.append(&mut reader.oddities);
            Ok(FieldReading {
                set: reader.set,
                is_star: fields[index].first() == Some(&b'*'),
                strict: strict(index, fields[index], reader.set),
            })
        };
        let fields = [read(0)?, read(1)?, read(2)?, read(3)?, read(4)?];
        Ok(FieldsReading { fields, oddities })
    }
}

/// Returns a field's text if all three grammars read this set in it.
fn strict(index: usize, field: &[u8], set: u64) -> Option<String> {
    let text = str::from_utf8(field).ok().filter(|text| text.len() <= KEPT_MAX)?;
    (vixie::parse_field(index, text) == Some(set)).then(|| text.to_owned())
}

impl FieldsReading {
    /// Returns the instants; `None` if there are none, since a set is empty or no date matches. Equal
    /// schedules mean the same.
    pub fn schedule(&self) -> Option<Schedule> {
        let sets = self.fields.each_ref().map(|field| field.set);
        let stars = self.fields.each_ref().map(|field| field.is_star);
        VixieSchedule::of(sets, stars).map(Schedule::Vixie)
    }

    /// Returns the same meaning as five fields of our grammar, which both crons read the same; `None` if it
    /// never fires.
    ///
    /// A field stays as it was written where that is possible.
    pub fn expression(&self) -> Option<String> {
        self.schedule()?;
        let fields = self.fields.iter().enumerate().map(|(index, field)| match (&field.strict, field.set) {
            (Some(text), _) => text.clone(),
            // It still fires, so this is a day and the other day alone decides: beside `*` it does.
            (None, 0) => "*".to_owned(),
            (None, set) if field.is_star => write::star(index, set),
            (None, set) => write::list(index, set),
        });
        Some(fields.collect::<Vec<_>>().join(" "))
    }

    /// Tells whether the minute or the hour begins with `*`: such a job follows real time through changes of
    /// the clock.
    pub fn has_star_in_minute_or_hour(&self) -> bool {
        self.fields[0].is_star || self.fields[1].is_star
    }

    /// Tells whether neither day field begins with `*`: then a day that is in one of them suffices.
    pub fn either_day(&self) -> bool {
        !self.fields[2].is_star && !self.fields[4].is_star
    }

    /// Returns the day field, 2 or 4, that holds every day though it is no star: where either suffices, every
    /// day matches.
    pub fn whole_day_field(&self) -> Option<usize> {
        const EVERY_DAY: u64 = 0xffff_fffe;
        const EVERY_WEEKDAY: u64 = 0x7f;
        let weekdays = self.fields[4].set;
        let is_whole = |index: &usize| match index {
            2 => self.fields[2].set == EVERY_DAY,
            _ => (weekdays | weekdays >> 7) & EVERY_WEEKDAY == EVERY_WEEKDAY,
        };
        [2, 4].into_iter().find(is_whole)
    }

    /// Returns what a reader would not expect of these texts, in their order.
    pub fn oddities(&self) -> &[Oddity] {
        &self.oddities
    }
}
