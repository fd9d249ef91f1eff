//! Owns: the time that a wall clock shows, as a value and as text.
//! Never: instants. A reading is an instant only together with a zone, and in a gap not even then.

use std::fmt;

use serde::{Serialize, Serializer};

use super::calendar::{DAY, date_of, split, weekday_of};

/// The date and time that a wall clock shows, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reading(i64);

impl Reading {
    /// Returns the reading so many seconds after 1970-01-01 00:00:00 on the same clock.
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
        let (_, (hour, minute, second)) = split(self.0);
        format!("{hour:02}:{minute:02}:{second:02}")
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

/// ISO 8601 without an offset: `2026-03-29T02:30:00`.
impl Serialize for Reading {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}T{}", self.date(), self.time()))
    }
}
