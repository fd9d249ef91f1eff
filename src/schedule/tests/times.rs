//! Owns: texts of times and spans, and the refusals of others.
//! Never: cron expressions.

use super::super::{ParseError, Zone, parse_instant, parse_since, parse_span, parse_time};
use super::{instant, zone};
use crate::domain::{Span, Timestamp};

/// A Friday, in Berlin 11:23:45 of winter time.
const NOW: &str = "2026-11-20T10:23:45.25Z";

fn berlin(text: &str) -> String {
    let zone = zone("Europe/Berlin");
    match parse_time(text, instant(NOW), &zone) {
        Ok(at) => zone.show(at)[..19].to_owned(),
        Err(refusal) => panic!("{refusal}"),
    }
}

fn refused(text: &str) -> String {
    match parse_time(text, instant(NOW), &zone("Europe/Berlin")) {
        Ok(at) => panic!("`{text}` was read as {at}"),
        Err(refusal) => refusal.cause,
    }
}

/// Checks that each text is refused at a column and a token, with the reason if it is given.
fn stops(rows: &[(&str, usize, &str)]) {
    for (text, column, at) in rows {
        let (at, why) = at.split_once(": ").unwrap_or((at, ""));
        let expected = format!("`{text}` is not a time: stopped reading at column {column} ({at})");
        let refusal = refused(text);
        assert!(
            refusal.starts_with(&expected) && refusal.ends_with(why),
            "{refusal} is not {expected}: {why}"
        );
    }
}

#[test]
fn the_words_of_at_mean_the_same_as_to_at() {
    for (text, expected) in [
        ("now", "2026-11-20 11:23:45"),
        ("now + 5 minutes", "2026-11-20 11:28:45"),
        ("now + 1 min", "2026-11-20 11:24:45"),
        ("NOW + 1 Hour", "2026-11-20 12:23:45"),
        ("now + 3 days", "2026-11-23 11:23:45"),
        ("now + 2 weeks", "2026-12-04 11:23:45"),
        ("now + 1 month", "2026-12-20 11:23:45"),
        ("now + 1 year", "2027-11-20 11:23:45"),
        ("noon", "2026-11-20 12:00:00"),
        ("midnight", "2026-11-21 00:00:00"),
        ("teatime", "2026-11-20 16:00:00"),
        ("9am", "2026-11-21 09:00:00"),
        ("2pm", "2026-11-20 14:00:00"),
        ("9:30 PM", "2026-11-20 21:30:00"),
        ("12am", "2026-11-21 00:00:00"),
        ("12pm", "2026-11-20 12:00:00"),
        ("12:30am", "2026-11-21 00:30:00"),
        ("1630", "2026-11-20 16:30:00"),
        ("0930", "2026-11-21 09:30:00"),
        ("24:00", "2026-11-21 00:00:00"),
        ("tomorrow", "2026-11-21 11:23:45"),
        ("9am tomorrow", "2026-11-21 09:00:00"),
        ("noon tomorrow", "2026-11-21 12:00:00"),
        ("midnight tomorrow", "2026-11-21 00:00:00"),
        ("17:00 today", "2026-11-20 17:00:00"),
        ("10:00 next monday", "2026-11-23 10:00:00"),
        ("10:00 monday", "2026-11-23 10:00:00"),
        ("monday", "2026-11-23 11:23:45"),
        ("friday", "2026-11-27 11:23:45"),
        ("10:00 friday", "2026-11-27 10:00:00"),
        ("next friday", "2026-11-27 11:23:45"),
        ("15:00 next friday", "2026-11-27 15:00:00"),
        ("5pm thu", "2026-11-26 17:00:00"),
        ("10am Jul 31", "2027-07-31 10:00:00"),
        ("10am July 31 2027", "2027-07-31 10:00:00"),
        ("10am July 31, 2027", "2027-07-31 10:00:00"),
        ("10am Jul 31 27", "2027-07-31 10:00:00"),
        ("10am 31 July", "2027-07-31 10:00:00"),
        ("Jul 31", "2027-07-31 11:23:45"),
        ("8:15 am 2027-01-15", "2027-01-15 08:15:00"),
        ("16:00 12/24/26", "2026-12-24 16:00:00"),
        ("16:00 12/24/2026", "2026-12-24 16:00:00"),
        ("31.12.2026", "2026-12-31 11:23:45"),
        ("10:00 31.12.26", "2026-12-31 10:00:00"),
        ("4pm + 3 days", "2026-11-23 16:00:00"),
        // at(1) adds to today's nine o'clock, and moves the sum to the next day only if it is past.
        ("9am + 3 days", "2026-11-23 09:00:00"),
        ("9am + 1 hour", "2026-11-21 10:00:00"),
        ("12:00 - 3 hours", "2026-11-21 09:00:00"),
        ("9am tomorrow - 2 hours", "2026-11-21 07:00:00"),
        ("next week", "2026-11-27 11:23:45"),
        ("next month", "2026-12-20 11:23:45"),
        ("next hour", "2026-11-20 12:23:45"),
        ("10:00 next week", "2026-11-27 10:00:00"),
        ("16:00 UTC", "2026-11-20 17:00:00"),
        ("16:00 UTC tomorrow", "2026-11-21 17:00:00"),
    ] {
        assert_eq!(berlin(text), expected, "{text}");
    }
}

#[test]
fn a_weekday_is_never_today() {
    // Measured with Debian's at 3.2.5 on the same Friday, 11:23.
    for (text, expected) in [
        ("friday", "2026-11-27 11:23:45"),
        ("next friday", "2026-11-27 11:23:45"),
        ("10:00 friday", "2026-11-27 10:00:00"),
        ("5pm friday", "2026-11-27 17:00:00"),
        ("5pm next friday", "2026-11-27 17:00:00"),
        ("friday + 1 week", "2026-12-04 11:23:45"),
        ("10:00 fri + 2 weeks", "2026-12-11 10:00:00"),
        ("5pm next friday + 1 week", "2026-12-04 17:00:00"),
        ("10:00 friday + 2 hours", "2026-11-27 12:00:00"),
        ("thursday + 1 day", "2026-11-27 11:23:45"),
        ("saturday + 1 week", "2026-11-28 11:23:45"),
        ("friday - 1 week", "2026-11-20 11:23:45"),
    ] {
        assert_eq!(berlin(text), expected, "{text}");
    }
    // A Thursday at the end of a year.
    let now = instant("2026-12-31T23:59:30Z");
    let read = |text: &str| parse_time(text, now, &Zone::utc()).map(|at| Zone::utc().show(at)).expect(text);
    assert_eq!(read("friday + 1 week"), "2027-01-08 23:59:30 +0000");
    assert_eq!(read("thursday + 1 day"), "2027-01-08 23:59:30 +0000");
    assert_eq!(read("23:59 thursday"), "2027-01-07 23:59:00 +0000");
}

#[test]
fn a_month_and_a_day_are_in_this_year_from_today_on_and_otherwise_in_the_next() {
    // Measured with Debian's at 3.2.5 on 20 November 2026, 11:23. at(1) compares the day of the sum.
    for (text, expected) in [
        ("10am Nov 19", "2027-11-19 10:00:00"),
        ("5pm Nov 20", "2026-11-20 17:00:00"),
        ("Nov 20", "2026-11-20 11:23:45"),
        ("10am Nov 21", "2026-11-21 10:00:00"),
        ("noon Dec 31", "2026-12-31 12:00:00"),
        ("noon Jan 1", "2027-01-01 12:00:00"),
        ("noon Nov 18 + 1 day", "2027-11-19 12:00:00"),
        ("noon Nov 18 + 2 days", "2026-11-20 12:00:00"),
        ("noon Nov 20 + 1 week", "2026-11-27 12:00:00"),
        ("noon Nov 20 - 1 day", "2027-11-19 12:00:00"),
        ("noon Dec 30 + 1 week", "2027-01-06 12:00:00"),
        ("noon Jan 5 + 1 year", "2027-01-05 12:00:00"),
        ("10am Nov 20 + 2 hours", "2026-11-20 12:00:00"),
        ("23:30 Nov 18 + 1 hour", "2027-11-19 00:30:00"),
    ] {
        assert_eq!(berlin(text), expected, "{text}");
    }
    for (text, was) in [
        ("10am Nov 20", "2026-11-20 10:00:00"),
        ("midnight 20 Nov", "2026-11-20 00:00:00"),
        ("Nov 20 11:23", "2026-11-20 11:23:00"),
        ("23:30 Nov 19 + 1 hour", "2026-11-20 00:30:00"),
        ("noon Jan 5 - 1 week", "2025-12-29 12:00:00"),
    ] {
        assert_eq!(refused(text), format!("`{text}` is in the past (it was {was} +0100)"));
    }
}

#[test]
fn the_29th_of_february_is_in_a_leap_year() {
    let read = |text: &str, now: &str| parse_time(text, instant(now), &Zone::utc()).map(|at| at.to_string());
    for (now, expected) in [
        ("2026-07-31T10:05:00Z", "2028-02-29T12:00:00Z"),
        ("2028-02-29T10:05:00Z", "2028-02-29T12:00:00Z"),
        ("2028-03-01T10:05:00Z", "2032-02-29T12:00:00Z"),
        ("2096-03-01T10:05:00Z", "2104-02-29T12:00:00Z"),
    ] {
        assert_eq!(read("noon Feb 29", now).as_deref(), Ok(expected), "{now}");
    }
    let past = read("noon Feb 29", "2028-02-29T12:05:00Z").map_err(|refusal| refusal.cause);
    assert_eq!(past, Err("`noon Feb 29` is in the past (it was 2028-02-29 12:00:00 +0000)".to_owned()));
}

#[test]
fn the_dates_and_times_of_the_manual_of_at_are_read() {
    for (text, expected) in [
        ("10:00 073127", "2027-07-31 10:00:00"),
        ("10:00 07312027", "2027-07-31 10:00:00"),
        ("10:00 27-07-31", "2027-07-31 10:00:00"),
        ("10:00 31.07.27", "2027-07-31 10:00:00"),
        ("10:00 07/31/2027", "2027-07-31 10:00:00"),
        ("0731 073127", "2027-07-31 07:31:00"),
        ("10 am 022928", "2028-02-29 10:00:00"),
        ("073127", "2027-07-31 11:23:45"),
        ("27-07-31", "2027-07-31 11:23:45"),
        ("073127 + 1 day", "2027-08-01 11:23:45"),
        ("27-07-31 - 1 week", "2027-07-24 11:23:45"),
        ("12.30", "2026-11-20 12:30:00"),
        ("9.30", "2026-11-21 09:30:00"),
        ("9.30pm", "2026-11-20 21:30:00"),
        ("12.30 31.12.2026", "2026-12-31 12:30:00"),
        ("24.00", "2026-11-21 00:00:00"),
        // at(1) itself requires the time of day first.
        ("073127 10:00", "2027-07-31 10:00:00"),
        ("27-07-31 1630", "2027-07-31 16:30:00"),
        ("31.12.26 12.30", "2026-12-31 12:30:00"),
        ("Dec 24 16.30", "2026-12-24 16:30:00"),
        ("24 Dec 16.30", "2026-12-24 16:30:00"),
        ("2026-12-24 16.30", "2026-12-24 16:30:00"),
    ] {
        assert_eq!(berlin(text), expected, "{text}");
    }
}

#[test]
fn forms_that_at_does_not_know_are_read_too() {
    for (text, expected) in [
        ("2026-11-20T16:00:00Z", "2026-11-20 17:00:00"),
        ("2026-11-20t16:00:00.5z", "2026-11-20 17:00:00"),
        ("2026-11-20T16:00:00+05:30", "2026-11-20 11:30:00"),
        ("2026-11-20 16:00:00 -0500", "2026-11-20 22:00:00"),
        ("2026-12-24", "2026-12-24 00:00:00"),
        ("2026-12-24 16:00", "2026-12-24 16:00:00"),
        ("2026-12-24T16:00:05", "2026-12-24 16:00:05"),
        ("2026-12-24 16:00 UTC", "2026-12-24 17:00:00"),
        ("2026-12-24 + 1 week", "2026-12-31 00:00:00"),
        ("11:23", "2026-11-21 11:23:00"),
        ("11:24", "2026-11-20 11:24:00"),
        ("11:23:46", "2026-11-20 11:23:46"),
        ("@1795173600", "2026-11-20 12:20:00"),
        ("tomorrow 9am", "2026-11-21 09:00:00"),
        ("tomorrow at 9am", "2026-11-21 09:00:00"),
        ("at 9am", "2026-11-21 09:00:00"),
        ("on friday at 5pm", "2026-11-27 17:00:00"),
        ("today 17:00", "2026-11-20 17:00:00"),
        ("next monday 10:00", "2026-11-23 10:00:00"),
        ("monday 10:00", "2026-11-23 10:00:00"),
        ("wednesday noon", "2026-11-25 12:00:00"),
        ("Jul 31 10am", "2027-07-31 10:00:00"),
        ("Jul 31 10:00", "2027-07-31 10:00:00"),
        ("31 Dec 16:30", "2026-12-31 16:30:00"),
        ("feb 29 10:00", "2028-02-29 10:00:00"),
        ("10am Jan 31 + 1 month", "2027-02-28 10:00:00"),
        ("in 2 hours", "2026-11-20 13:23:45"),
        ("in 1 hour 30 minutes", "2026-11-20 12:53:45"),
        ("in 2 days", "2026-11-22 11:23:45"),
        ("+90s", "2026-11-20 11:25:15"),
        ("+1h30m", "2026-11-20 12:53:45"),
        ("+ 1 day + 1 hour", "2026-11-21 12:23:45"),
        ("  noon\t", "2026-11-20 12:00:00"),
    ] {
        assert_eq!(berlin(text), expected, "{text}");
    }
}

#[test]
fn now_is_this_very_instant() {
    assert_eq!(parse_time("now", instant(NOW), &Zone::utc()), Ok(instant(NOW)));
    assert_eq!(parse_time("today", instant(NOW), &Zone::utc()), Ok(instant(NOW)));
    assert_eq!(parse_time("now + 1 day", instant(NOW), &Zone::utc()), Ok(instant("2026-11-21T10:23:45.25Z")));
}

#[test]
fn days_go_by_the_calendar_and_hours_by_real_time() {
    let zone = zone("Europe/Berlin");
    // A day before the gap of 2026-03-29, at half past two.
    let now = instant("2026-03-28T01:30:00Z");
    let read = |text: &str| parse_time(text, now, &zone).map(|at| zone.show(at)).expect(text);
    assert_eq!(read("now + 1 day"), "2026-03-29 03:00:00 +0200");
    assert_eq!(read("now + 24 hours"), "2026-03-29 03:30:00 +0200");
    assert_eq!(read("now + 2 days"), "2026-03-30 02:30:00 +0200");
    assert_eq!(read("2026-03-29 02:15"), "2026-03-29 03:00:00 +0200");
    assert_eq!(read("2026-10-25 02:15"), "2026-10-25 02:15:00 +0200");
    assert_eq!(read("2026-10-25 02:15 +0100"), "2026-10-25 02:15:00 +0100");
    // In the second pass of a fold, a minute from now is in the same pass.
    let now = instant("2026-10-25T01:30:00Z");
    assert_eq!(parse_time("now + 1 minute", now, &zone), Ok(instant("2026-10-25T01:31:00Z")));
    assert_eq!(parse_time("02:40", now, &zone), Ok(instant("2026-10-26T01:40:00Z")));
}

#[test]
fn a_text_that_is_not_understood_as_a_whole_is_refused_where_reading_stopped() {
    stops(&[
        ("now + 3 dys", 9, "`dys`"),
        ("now + ", 6, "the end"),
        ("now +", 6, "the end"),
        ("now tomorrow", 5, "`tomorrow`"),
        ("now 9am", 5, "`9`"),
        ("9am 10am", 5, "`10`"),
        ("13pm", 1, "`13`: an hour before am or pm is 1 to 12"),
        ("0am", 1, "`0`"),
        ("25:00", 1, "`25`: an hour is 0 to 24"),
        ("24:01", 1, "`24`"),
        ("13:30 pm", 1, "`13`"),
        ("9:60", 3, "`60`: a minute is 0 to 59"),
        ("9:5", 3, "`5`"),
        ("1675", 1, "`1675`"),
        ("5", 2, "the end"),
        ("17", 3, "the end"),
        ("2026-02-29", 9, "`29`: month 2 of 2026 has 28 days"),
        ("2026-13-01", 6, "`13`"),
        ("2026-1-1", 6, "`1`"),
        ("31.11.2026", 1, "`31`"),
        ("13/24/26", 1, "`13`"),
        ("12/24", 6, "the end"),
        ("Feb 30", 5, "`30`"),
        ("next", 5, "the end"),
        ("next jul", 6, "`jul`"),
        ("tomorrow 9am please", 14, "`please`"),
        ("in two hours", 4, "`two`"),
        ("in 2", 5, "the end"),
        ("2 hours later", 9, "`later`"),
        ("@", 2, "the end"),
        ("@12x", 4, "`x`"),
        ("UTC", 1, "`UTC`"),
        ("2026-12-24T16:00:00ZZ", 20, "`ZZ`"),
        ("@1795170000 + 1 day", 13, "`+`"),
        ("+ 9999999999999 days", 3, "`9999999999999`"),
        ("früh", 1, "`früh`"),
        ("ä ö", 1, "`ä`"),
        ("never", 1, "`never`"),
    ]);
    assert_eq!(refused(""), "an empty text is not a time");
}

#[test]
fn a_date_or_a_time_of_day_in_digits_is_not_read_in_part() {
    stops(&[
        ("31.12", 6, "the end: expected `.` and a year"),
        ("24.12", 1, "`24`: a day ends with 24:00"),
        ("9.5", 4, "the end"),
        ("9.60", 3, "`60`: a minute is 0 to 59"),
        ("12.30:15", 6, "`:`"),
        ("12:30.15", 6, "`.`"),
        ("12.30.", 4, "`30`"),
        ("1.30h", 5, "`h`"),
        ("on 10.12", 4, "`10`: expected a day"),
        ("133127", 1, "`13`: a month is 1 to 12"),
        ("10:00 073227", 9, "`32`: a day is 1 to 31"),
        ("10:00 02292027", 9, "`29`: month 2 of 2027 has 28 days"),
        ("07310000", 5, "`0000`"),
        ("20260731", 1, "`20`"),
        ("73127", 1, "`73127`"),
        ("0731270", 1, "`0731270`"),
        ("073127T10:00", 7, "`T`"),
        ("27-13-01", 4, "`13`: a month is 1 to 12"),
        ("27-02-29", 7, "`29`: month 2 of 2027 has 28 days"),
        ("27-7-31", 4, "`7`"),
        ("27-07", 6, "the end"),
        ("27-07-31T10:00", 9, "`T`"),
        ("10:00 27-07-31Z", 15, "`Z`"),
    ]);
}

#[test]
fn a_span_in_place_of_a_time_has_a_hint() {
    let hint = |refusal: Result<Timestamp, ParseError>| refusal.expect_err("no time").hint.expect("a hint");
    for (text, meant) in [
        ("90 minutes", "did you mean `in 90 minutes`?"),
        ("5 minutes", "did you mean `in 5 minutes`?"),
        ("1h", "did you mean `in 1h`?"),
        (" 1h30m ", "did you mean `in 1h30m`?"),
        ("2 months", "did you mean `in 2 months`?"),
        ("2 hours later", "did you mean `in 2 hours`?"),
        ("20 min from now", "did you mean `in 20 min`?"),
        ("2 hours please", "write it as `2026-12-24 16:00`, `16:00`, `tomorrow 9am` or `now + 5 minutes`"),
        ("90", "write it as `2026-12-24 16:00`, `16:00`, `tomorrow 9am` or `now + 5 minutes`"),
    ] {
        assert_eq!(hint(parse_time(text, instant(NOW), &Zone::utc())), meant, "{text}");
    }
    let past = hint(parse_instant("90 minutes", instant(NOW), &Zone::utc()));
    assert_eq!(past, "write `90 minutes ago` or `in 90 minutes`");
    assert_eq!(refused("20m"), "`20m` is a span, not a time");
}

#[test]
fn a_zone_after_a_time_has_a_hint() {
    let examples = "write it as `2026-12-24 16:00`, `16:00`, `tomorrow 9am` or `now + 5 minutes`";
    for (text, expected) in [
        ("18:00 CET", "give the zone with `--tz`, as in `--tz Europe/Paris`"),
        ("tomorrow 9am PDT", "give the zone with `--tz`, as in `--tz Europe/Paris`"),
        ("18:00 europe/berlin", "write `18:00` with `--tz Europe/Berlin`"),
        ("18:00 Mars/Olympus", examples),
        ("18:00 please", examples),
        ("CET", examples),
    ] {
        let refusal = parse_time(text, instant(NOW), &Zone::utc()).expect_err(text);
        assert_eq!(refusal.hint.as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn a_time_in_the_past_is_refused_with_the_time() {
    assert_eq!(refused("2020-01-01"), "`2020-01-01` is in the past (it was 2020-01-01 00:00:00 +0100)");
    assert_eq!(refused("9am today"), "`9am today` is in the past (it was 2026-11-20 09:00:00 +0100)");
    for text in
        ["yesterday", "-2h", "2 hours ago", "@0", "9am - 3 days", "2026-11-20 11:23:45", "Jul 31 2026"]
    {
        assert!(refused(text).contains("is in the past (it was 20") || text == "@0", "{}", refused(text));
    }
    for text in ["now + 9000 years", "now + 999999999999 months", "now + 999999999999 weeks", "@999999999999"]
    {
        assert_eq!(refused(text), format!("`{text}` is outside the years 1 to 9999"));
    }
}

#[test]
fn an_instant_may_be_in_the_past() {
    let zone = zone("Europe/Berlin");
    let read = |text: &str| parse_instant(text, instant(NOW), &zone).map(|at| zone.show(at)).expect(text);
    assert_eq!(read("2 hours ago"), "2026-11-20 09:23:45 +0100");
    assert_eq!(read("1h30m ago"), "2026-11-20 09:53:45 +0100");
    assert_eq!(read("-2h"), "2026-11-20 09:23:45 +0100");
    assert_eq!(read("now - 1 week"), "2026-11-13 11:23:45 +0100");
    assert_eq!(read("yesterday"), "2026-11-19 11:23:45 +0100");
    assert_eq!(read("yesterday 9am"), "2026-11-19 09:00:00 +0100");
    assert_eq!(read("2020-01-01"), "2020-01-01 00:00:00 +0100");
    assert_eq!(read("@0"), "1970-01-01 01:00:00 +0100");
    assert_eq!(read("@-1"), "1970-01-01 00:59:59 +0100");
    assert_eq!(read("9am"), "2026-11-21 09:00:00 +0100", "still the next one");
}

#[test]
fn a_span_as_a_beginning_is_that_long_ago() {
    let zone = zone("Europe/Berlin");
    let read = |text: &str| parse_since(text, instant(NOW), &zone).map(|at| zone.show(at)).expect(text);
    assert_eq!(read("1h"), "2026-11-20 10:23:45 +0100");
    assert_eq!(read("1 week"), "2026-11-13 11:23:45 +0100");
    assert_eq!(read("36525d"), "1926-11-20 11:23:45 +0100");
    assert_eq!(read("1h ago"), read("1h"));
    assert_eq!(read("2020-01-01"), "2020-01-01 00:00:00 +0100");
    let refusal = parse_since("1 moon", instant(NOW), &zone).expect_err("not a span");
    assert!(refusal.hint.is_some(), "{refusal}");
}

#[test]
fn spans_are_read_with_their_units() {
    for (text, seconds) in [
        ("90s", 90),
        ("5m", 300),
        ("1h30m", 5_400),
        ("1h 30m", 5_400),
        ("2d", 172_800),
        ("1 week", 604_800),
        ("1w2d", 777_600),
        ("2 Hours", 7_200),
        ("10min", 600),
        ("0h5m", 300),
        ("36525d", 3_155_760_000),
    ] {
        assert_eq!(parse_span(text), Ok(Span::from_seconds(seconds)), "{text}");
    }
    assert_eq!(parse_span("500ms"), Ok(Span::from_millis(500)));
    assert_eq!(parse_span("250ms7us"), Ok(Span::from_micros(250_007)));
}

#[test]
fn a_text_that_is_not_a_span_is_refused_with_its_cause() {
    for (text, cause) in [
        ("", "an empty text is not a span"),
        ("0s", "`0s` is zero"),
        ("-5m", "`-5m` is negative"),
        ("90", "`90` has no unit"),
        ("1h30", "`1h30` has no unit after `30`"),
        ("1 month", "`1 month` is not a span: a month has no fixed length"),
        ("2y", "`2y` is not a span: a year has no fixed length"),
        ("36526d", "`36526d` is longer than a hundred years"),
        ("99999999999999999999d", "`99999999999999999999d` is longer than a hundred years"),
        ("5x", "`5x` is not a span: stopped reading at column 2 (`x`): expected a unit"),
        ("s5", "`s5` is not a span: stopped reading at column 1 (`s`): expected a number"),
        ("1.5h", "`1.5h` is not a span: stopped reading at column 2 (`.`): expected a unit"),
        (
            "30m1h",
            "`30m1h` is not a span: stopped reading at column 5 (`h`): units go from large to small, \
             each once",
        ),
    ] {
        let refusal = parse_span(text).expect_err(text);
        assert_eq!(refusal.cause, cause);
        assert!(refusal.hint.is_some(), "{text}");
    }
}
