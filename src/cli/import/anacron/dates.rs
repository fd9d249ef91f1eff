//! Owns: the dates on which lines of an anacrontab are due.
//! Never: the current time, the time of day.

use chrono::{Datelike, Days, Months, NaiveDate};

use super::table::Period;

/// The last day of the month that each month has.
const LAST_DAY: u32 = 28;

/// Reads a time stamp of anacron. One in the future is no stamp, as for anacron.
pub fn read_stamp(text: &str, today: NaiveDate) -> Option<NaiveDate> {
    let date = NaiveDate::parse_from_str(text.trim(), "%Y%m%d").ok()?;
    (date <= today).then_some(date)
}

/// Returns when a line is due that ran on this date: at once if that is over, or if it never ran.
pub fn due(period: Period, stamp: Option<NaiveDate>, today: NaiveDate) -> NaiveDate {
    let next = stamp.and_then(|stamp| match period {
        Period::Days(days) => stamp.checked_add_days(Days::new(days.into())),
        Period::Monthly => stamp.checked_add_months(Months::new(1)),
        Period::Yearly => stamp.checked_add_months(Months::new(12)),
    });
    next.map_or(today, |next| next.max(today))
}

/// Returns the same date or an earlier one, on a day that each month has.
pub fn of_each_month(date: NaiveDate) -> NaiveDate {
    date.with_day(date.day().min(LAST_DAY)).unwrap_or(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_due_a_period_after_its_stamp_or_today() {
        let date = |text: &str| text.parse::<NaiveDate>().expect("it is a date");
        let today = date("2026-03-31");
        let due = |period, stamp: &str| due(period, read_stamp(stamp, today), today).to_string();
        for (period, stamp, expected) in [
            (Period::Days(1), "20260331\n", "2026-04-01"),
            (Period::Days(1), "20260330\n", "2026-03-31"),
            (Period::Days(7), "20260329", "2026-04-05"),
            (Period::Days(7), "20250101", "2026-03-31"),
            (Period::Days(7), "20270101", "2026-03-31"),
            (Period::Days(7), "yesterday", "2026-03-31"),
            (Period::Monthly, "20260331", "2026-04-30"),
            (Period::Yearly, "20260110", "2027-01-10"),
        ] {
            assert_eq!(due(period, stamp), expected, "{period:?} after {stamp}");
        }
        assert_eq!(of_each_month(today).to_string(), "2026-03-28");
    }
}
