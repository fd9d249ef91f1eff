//! Owns: days and dates of the proleptic Gregorian calendar. Days count from 1970-01-01.
//! Never: zones.

use chrono::{Datelike, NaiveDate};

/// Seconds in a calendar day without a transition.
pub(super) const DAY: i64 = 86_400;

/// The days of the week as systemd writes them, in its order.
pub(super) const WEEKDAYS_OF_SYSTEMD: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// A calendar date: the year, the month 1-12, the day 1-31.
pub(super) type Date = (i64, u32, u32);

/// A time of day: hour, minute, second.
pub(super) type Time = (u32, u32, u32);

/// The number of 1970-01-01 in chrono, which counts from 0000-12-31.
const EPOCH: i32 = 719_163;

/// Returns the day number of a date. A day after the end of the month counts on into the next month.
pub(super) fn day_of((year, month, day): Date) -> i64 {
    i64::from(first_of(year, month).num_days_from_ce() - EPOCH) + i64::from(day) - 1
}

fn first_of(year: i64, month: u32) -> NaiveDate {
    let first = i32::try_from(year).ok().and_then(|year| NaiveDate::from_ymd_opt(year, month, 1));
    first.expect("schedules do not leave the years of chrono, -262143 to 262142")
}

/// Returns the date of a day number.
pub(super) fn date_of(day: i64) -> Date {
    let date = i32::try_from(day).ok().and_then(|day| NaiveDate::from_num_days_from_ce_opt(day + EPOCH));
    let date = date.expect("schedules do not leave the years of chrono, -262143 to 262142");
    (i64::from(date.year()), date.month(), date.day())
}

/// Returns the day number and the time of day of a reading.
pub(super) fn split(reading: i64) -> (i64, Time) {
    let of_day = u32::try_from(reading.rem_euclid(DAY)).expect("a day has 86,400 seconds");
    (reading.div_euclid(DAY), (of_day / 3_600, of_day / 60 % 60, of_day % 60))
}

/// Returns the reading of a day number and a time of day.
pub(super) fn join(day: i64, (hour, minute, second): Time) -> i64 {
    day * DAY + i64::from(hour * 3_600 + minute * 60 + second)
}

/// Returns the weekday of a day number, 0 = Sunday as in crontab(5).
pub(super) fn weekday_of(day: i64) -> u32 {
    u32::try_from((day + 4).rem_euclid(7)).expect("a remainder of seven is small")
}

/// Returns the weekday of the first of a month, 0 = Sunday.
pub(super) fn first_weekday(year: i64, month: u32) -> u32 {
    first_of(year, month).weekday().num_days_from_sunday()
}

/// Returns the number of days of a month.
pub(super) fn days_in_month(year: i64, month: u32) -> u32 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_a_calendar_cycle_converts_both_ways() {
        let mut expected = (1900, 1, 1);
        for day in day_of(expected)..day_of((2301, 1, 1)) {
            assert_eq!(date_of(day), expected);
            assert_eq!(day_of(expected), day);
            let (year, month, _) = expected;
            assert_eq!(first_weekday(year, month), weekday_of(day_of((year, month, 1))));
            let (year, month, of_month) = expected;
            expected = match (month, of_month == days_in_month(year, month)) {
                (_, false) => (year, month, of_month + 1),
                (12, true) => (year + 1, 1, 1),
                (_, true) => (year, month + 1, 1),
            };
        }
    }

    #[test]
    fn weekdays_count_from_sunday() {
        assert_eq!(weekday_of(day_of((1970, 1, 1))), 4);
        assert_eq!(weekday_of(day_of((2026, 3, 29))), 0);
        assert_eq!(weekday_of(day_of((1, 1, 1))), 1);
    }
}
