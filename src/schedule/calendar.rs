//! Owns: the arithmetic of the proleptic Gregorian calendar.
//! Never: zones.
//!
//! Days count from 1970-01-01. The two conversions are Howard Hinnant's `days_from_civil` and
//! `civil_from_days`, whose year begins in March so that the leap day comes last.

/// Seconds in a calendar day without a transition.
pub(super) const DAY: i64 = 86_400;

const DAYS_PER_ERA: i64 = 146_097;
const DAYS_TO_EPOCH: i64 = 719_468;

/// A calendar date: the year, the month 1-12, the day 1-31.
pub(super) type Date = (i64, u32, u32);

/// Returns the day number of a date; a day past the month's end runs on into the next month.
pub(super) fn day_of((year, month, day): Date) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = i64::from((153 * ((month + 9) % 12) + 2) / 5 + day) - 1;
    era * DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - DAYS_TO_EPOCH
}

/// Returns the date of a day number.
pub(super) fn date_of(day: i64) -> Date {
    let shifted = day + DAYS_TO_EPOCH;
    let era = shifted.div_euclid(DAYS_PER_ERA);
    let day_of_era = shifted.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, u32::try_from(month).expect("a month is 1-12"), u32::try_from(day).expect("a day is 1-31"))
}

/// Returns the weekday of a day number, 0 = Sunday, as crontab(5) counts.
pub(super) fn weekday_of(day: i64) -> u32 {
    u32::try_from((day + 4).rem_euclid(7)).expect("a remainder of seven is small")
}

/// Tells whether a year has a 29 February.
pub(super) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Returns the number of days of a month.
pub(super) fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 => 28 + u32::from(is_leap(year)),
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
