//! Owns: the time that a wall clock shows, as a value and as text.
//! Never: instants. A reading is an instant only together with a zone, and in a gap not even then.

use std::fmt;

use serde::{Serialize, Serializer};

use super::calendar::{DAY, date_of, split, weekday_of};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The date and time that a wall clock shows, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reading(i64);

impl Reading {
    /// Returns the reading so many seconds after 1970-01-01 00:00:00 on the same clock.
    pub(super) fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Returns the seconds since 1970-01-01 00:00:00 on the same clock.
    pub fn as_seconds(self) -> i64 {
        self.0
    }

    /// Returns the day without its year: `Mar 29`.
    pub fn day(self) -> String {
        let (_, month, day) = date_of(self.0.div_euclid(DAY));
        format!("{} {day:02}", MONTHS[month as usize - 1])
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

    /// Returns it as short as it is clear to a person whose clock shows `now`: `14:02:07` today, `Mon 03:15`
    /// less than a week away, `Mar 02 03:15` in the same year, else the date.
    pub fn short(self, now: Self) -> String {
        let minute = &self.time()[..5];
        self.near(now, minute).unwrap_or_else(|| self.date())
    }

    /// Does the same without a loss: with the seconds where there are some, and with the time after a date.
    pub fn short_and_exact(self, now: Self) -> String {
        let time = self.time();
        let time = time.strip_suffix(":00").unwrap_or(&time);
        self.near(now, time).unwrap_or_else(|| format!("{} {time}", self.date()))
    }

    /// Returns it with `time` as its time of day if it is in the year of `now`, or near.
    fn near(self, now: Self, time: &str) -> Option<String> {
        let (day, today) = (self.0.div_euclid(DAY), now.0.div_euclid(DAY));
        let ((year, month, of_month), (this_year, ..)) = (date_of(day), date_of(today));
        match (day - today).abs() {
            0 => Some(self.time()),
            1..7 => Some(format!("{} {time}", self.weekday())),
            _ if year == this_year => Some(format!("{} {of_month:02} {time}", MONTHS[month as usize - 1])),
            _ => None,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::calendar::{day_of, join};

    #[test]
    fn a_time_is_as_short_as_it_is_clear() {
        let at = |date, time| Reading::from_seconds(join(day_of(date), time));
        // A Friday.
        let now = at((2026, 11, 20), (11, 23, 45));
        for (date, time, short, exact) in [
            ((2026, 11, 20), (14, 2, 7), "14:02:07", "14:02:07"),
            ((2026, 11, 20), (0, 0, 0), "00:00:00", "00:00:00"),
            ((2026, 11, 21), (3, 15, 0), "Sat 03:15", "Sat 03:15"),
            ((2026, 11, 26), (23, 59, 59), "Thu 23:59", "Thu 23:59:59"),
            ((2026, 11, 14), (0, 0, 10), "Sat 00:00", "Sat 00:00:10"),
            ((2026, 11, 27), (3, 15, 0), "Nov 27 03:15", "Nov 27 03:15"),
            ((2026, 11, 13), (3, 15, 0), "Nov 13 03:15", "Nov 13 03:15"),
            ((2026, 3, 2), (3, 15, 1), "Mar 02 03:15", "Mar 02 03:15:01"),
            ((2027, 1, 1), (0, 0, 0), "2027-01-01", "2027-01-01 00:00"),
            ((1999, 12, 31), (23, 59, 59), "1999-12-31", "1999-12-31 23:59:59"),
        ] {
            let reading = at(date, time);
            assert_eq!((reading.short(now).as_str(), reading.short_and_exact(now).as_str()), (short, exact));
        }
        let new_year = at((2026, 12, 30), (12, 0, 0));
        assert_eq!(at((2027, 1, 2), (9, 0, 0)).short(new_year), "Sat 09:00", "near, though in another year");
    }
}
