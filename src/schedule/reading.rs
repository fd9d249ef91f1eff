//! Owns: what a clock on the wall shows, as a value and as text.
//! Never: instants: without a zone a reading is none, and in a gap it is none even with one.

use std::fmt;

use serde::{Serialize, Serializer};

use super::calendar::{DAY, date_of, weekday_of};

/// What a clock on the wall shows, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reading(i64);

impl Reading {
    /// Makes a reading of the seconds since 1970-01-01 00:00:00 of that wall.
    pub(super) fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Returns the date: `2026-03-29`.
    pub fn date(self) -> String {
        let (year, month, day) = date_of(self.0.div_euclid(DAY));
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// Returns the time of day: `02:30:00`.
    pub fn time(self) -> String {
        let of_day = self.0.rem_euclid(DAY);
        format!("{:02}:{:02}:{:02}", of_day / 3_600, of_day / 60 % 60, of_day % 60)
    }

    /// Returns the English name of the weekday, three letters: `Sun`.
    pub fn weekday(self) -> &'static str {
        ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][weekday_of(self.0.div_euclid(DAY)) as usize]
    }
}

/// `2026-03-29 02:30:00`.
impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.date(), self.time())
    }
}

/// ISO 8601 without an offset, for there is none: `2026-03-29T02:30:00`.
impl Serialize for Reading {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}T{}", self.date(), self.time()))
    }
}
