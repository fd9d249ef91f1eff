//! Owns: calendar expressions: what is read and refused, the normal form, the fires, gaps and folds.
//! Never: a comparison with systemd (see tests/differential.rs).

use proptest::prelude::*;

use super::super::{Calendar, ClockEffect, Schedule, Zone, parse_calendar};
use super::properties::{agrees_with_its_fires, instants, minute_by_minute, zones};
use super::{fires, instant, shown, zone};
use crate::domain::{Span, Timestamp};

fn calendar(text: &str) -> Calendar {
    parse_calendar(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}"))
}

pub(super) fn schedule(text: &str) -> Schedule {
    Schedule::Calendar(Box::new(calendar(text)))
}

#[test]
fn a_calendar_has_the_normal_form_of_systemd() {
    for (text, normal) in [
        // The examples of systemd.time(7).
        ("Sat,Thu,Mon..Wed,Sat..Sun", "Mon..Thu,Sat,Sun *-*-* 00:00:00"),
        ("Mon,Sun 12-*-* 2,1:23", "Mon,Sun 2012-*-* 01,02:23:00"),
        ("Wed *-1", "Wed *-*-01 00:00:00"),
        ("Wed..Wed,Wed *-1", "Wed *-*-01 00:00:00"),
        ("Wed, 17:48", "Wed *-*-* 17:48:00"),
        ("Wed..Sat,Tue 12-10-16 1:2:3", "Tue..Sat 2012-10-16 01:02:03"),
        ("*-*-7 0:0:0", "*-*-07 00:00:00"),
        ("10-15", "*-10-15 00:00:00"),
        ("monday *-12-* 17:00", "Mon *-12-* 17:00:00"),
        ("Mon,Fri *-*-3,1,2 *:30:45", "Mon,Fri *-*-01,02,03 *:30:45"),
        ("12,14,13,12:20,10,30", "*-*-* 12,13,14:10,20,30:00"),
        ("12..14:10,20,30", "*-*-* 12..14:10,20,30:00"),
        ("mon,fri *-1/2-1,3 *:30:45", "Mon,Fri *-01/2-01,03 *:30:45"),
        ("03-05 08:05:40", "*-03-05 08:05:40"),
        ("08:05:40", "*-*-* 08:05:40"),
        ("05:40", "*-*-* 05:40:00"),
        ("Sat,Sun 12-05 08:05:40", "Sat,Sun *-12-05 08:05:40"),
        ("2003-03-05 05:40", "2003-03-05 05:40:00"),
        ("05:40:23.4200004/3.1700005", "*-*-* 05:40:23.420000/3.170001"),
        ("2003-02..04-05", "2003-02..04-05 00:00:00"),
        ("2003-03-05 05:40 UTC", "2003-03-05 05:40:00 UTC"),
        ("2003-03-05", "2003-03-05 00:00:00"),
        ("hourly", "*-*-* *:00:00"),
        ("daily", "*-*-* 00:00:00"),
        ("daily UTC", "*-*-* 00:00:00 UTC"),
        ("monthly", "*-*-01 00:00:00"),
        ("weekly", "Mon *-*-* 00:00:00"),
        ("weekly Pacific/Auckland", "Mon *-*-* 00:00:00 Pacific/Auckland"),
        ("yearly", "*-01-01 00:00:00"),
        ("annually", "*-01-01 00:00:00"),
        ("*:2/3", "*-*-* *:02/3:00"),
        // Others.
        ("  Mon..Sun  9:0 ", "*-*-* 09:00:00"),
        ("*-02~01..03 *:*:*", "*-02~01..03 *:*:*"),
        ("*-*~* 12:00", "*-*-* 12:00:00"),
        ("*-*-5..6/3", "*-*-05 00:00:00"),
        ("*-*-1..6/3", "*-*-01..04/3 00:00:00"),
        ("*:*:0..0.5/0.1", "*-*-* *:*:00..00.500000/0.100000"),
        ("89-1-1", "1989-01-01 00:00:00"),
        ("@1395716396", "2014-03-25 02:59:56 UTC"),
        ("Quarterly", "*-01,04,07,10-01 00:00:00"),
        ("minutely", "*-*-* *:*:00"),
    ] {
        assert_eq!(calendar(text).to_string(), normal, "{text}");
    }
}

#[test]
fn what_systemd_refuses_is_refused_with_the_part_and_the_reason() {
    let refusals: String = [
        "",
        "Mon 25:00",
        "*:60",
        "12:00:60",
        "2200-01-01",
        "1969-01-01",
        "*-13-01",
        "*-00-01",
        "*-*-32",
        "*-*~29",
        "*-*~01/1",
        "*-*-31/1",
        "9..5:00",
        "0/0:00",
        "*:*:5..5.5",
        "99999999999:00",
        "Fri..Mon",
        "Mon..",
        "Mon Tue",
        "12",
        "12:",
        "*~*~01",
        "*/15:00",
        "9-17:00",
        "9am",
        "10:30 CEST",
        "10:30 europe/berlin",
        "10:30 Europe/Berln",
        "Mon *-*-* 10:30 daily",
        "UTC",
        "@daily",
        "15 3 * * mon-fri",
        "*-02-30",
        "Mon 2026-03-03",
        "*:*:0/0.0001",
        "@99999999999",
        "10:30\u{e9}",
    ]
    .into_iter()
    .map(|text| {
        let refusal = parse_calendar(text).expect_err(text);
        let hint = refusal.hint.map_or(String::new(), |hint| format!("    {hint}\n"));
        format!("{text:?}: {}\n{hint}", refusal.cause)
    })
    .collect();
    insta::assert_snapshot!(refusals);
    assert!(parse_calendar("10:30\u{0}").is_err());
}

#[test]
fn a_calendar_fires_when_all_of_its_parts_match() {
    let utc = Zone::utc();
    for (text, after, expected) in [
        ("Sat *-*-1..7 18:00", "2026-01-01T00:00:00Z", ["01-03 18:00", "02-07 18:00", "03-07 18:00"]),
        ("*-*~01", "2028-01-31T00:00:00Z", ["02-29 00:00", "03-31 00:00", "04-30 00:00"]),
        ("*-*~03/2 12:00", "2026-02-01T00:00:00Z", ["02-26 12:00", "02-28 12:00", "03-29 12:00"]),
        ("*-02~01..03", "2026-01-01T00:00:00Z", ["02-26 00:00", "02-27 00:00", "02-28 00:00"]),
        ("Sun *-03~07/1 02:00", "2026-01-01T00:00:00Z", ["03-29 02:00", "03-28 02:00", "03-26 02:00"]),
        ("*-*-31", "2026-02-01T00:00:00Z", ["03-31 00:00", "05-31 00:00", "07-31 00:00"]),
        ("*-2-29", "2090-01-01T00:00:00Z", ["02-29 00:00", "02-29 00:00", "02-29 00:00"]),
        // systemd 252 loses these first instants after an open repetition.
        ("*-*-01/4", "2026-12-25T00:00:00Z", ["12-29 00:00", "01-01 00:00", "01-05 00:00"]),
        ("*:0/7", "2026-03-01T23:50:00Z", ["03-01 23:56", "03-02 00:00", "03-02 00:07"]),
        ("0/5:00", "2026-03-31T19:00:00Z", ["03-31 20:00", "04-01 00:00", "04-01 05:00"]),
    ] {
        assert_eq!(shown(&schedule(text), after, &utc, 3), expected, "{text}");
    }
    let last = schedule("2199-12-31 23:59:59");
    assert_eq!(last.next_after(instant("2026-01-01T00:00:00Z"), &utc), Some(instant("2199-12-31T23:59:59Z")));
    assert_eq!(schedule("yearly").next_after(instant("2199-06-01T00:00:00Z"), &utc), None);
    assert_eq!(schedule("2020-01-01").next_after(instant("2026-01-01T00:00:00Z"), &utc), None);
    assert_eq!(schedule("@7").next_after(Timestamp::MIN, &utc), Some(Timestamp::from_seconds(7)));
}

#[test]
fn a_second_can_have_several_fires() {
    let utc = Zone::utc();
    let from = instant("2026-01-01T00:00:00Z");
    let micros = |text: &str, n| -> Vec<i64> {
        fires(&schedule(text), from, &utc, n)
            .into_iter()
            .map(|at| at.as_micros() - from.as_micros())
            .collect()
    };
    assert_eq!(micros("*:*:0.5", 2), [500_000, 60_500_000]);
    assert_eq!(micros("*:*:0/1.5", 3), [1_500_000, 3_000_000, 4_500_000]);
    assert_eq!(micros("*:*:0,0.25,58.9999995", 4), [250_000, 59_000_000, 60_000_000, 60_250_000]);
    assert_eq!(micros("*:*:59..59.2/0.1", 4), [59_000_000, 59_100_000, 59_200_000, 119_000_000]);
    // A minute has 86 of them, the first at 0 and the last at 59.5.
    let often = schedule("*:*:0/0.7");
    let until = |micros: u64| from + Span::from_micros(micros);
    assert_eq!(often.count(from, until(59_500_000), &utc), 85);
    assert_eq!(often.count(from, until(59_499_999), &utc), 84);
    assert_eq!(often.count(until(300_000), until(86_400_000_000), &utc), 86 * 1_440);
    assert_eq!(often.latest(from, until(60_000_000), 2, &utc), [until(59_500_000), until(60_000_000)]);
}

#[test]
fn a_time_in_a_gap_is_skipped_and_one_in_a_fold_fires_once() {
    let berlin = zone("Europe/Berlin");
    let half_past_two = schedule("02:30");
    assert_eq!(
        shown(&half_past_two, "2026-03-27T12:00:00Z", &berlin, 3),
        ["03-28 02:30", "03-30 02:30", "03-31 02:30"]
    );
    let fold = fires(&schedule("*:00/20"), instant("2026-10-25T00:30:00Z"), &berlin, 2);
    assert_eq!(fold, [instant("2026-10-25T00:40:00Z"), instant("2026-10-25T02:00:00Z")]);
    let (from, until) = (instant("2026-01-01T00:00:00Z"), instant("2027-01-01T00:00:00Z"));
    assert_eq!(half_past_two.count(from, until, &berlin), 364);
    let changes = half_past_two.changes(from, until, &berlin);
    let effects: Vec<ClockEffect> = changes.iter().map(|change| change.daylight.effect).collect();
    assert_eq!(effects, [ClockEffect::Skipped, ClockEffect::Once]);
    let skipped = half_past_two.skipped(from, until, &berlin).expect("the gap has one");
    assert_eq!(skipped.at, instant("2026-03-29T01:00:00Z"));
    let in_fold = instant("2026-10-25T00:30:00Z");
    assert_eq!(half_past_two.daylight(in_fold, &berlin).map(|it| it.effect), Some(ClockEffect::Once));
}

#[test]
fn a_time_that_falls_into_a_gap_each_year_never_fires() {
    let berlin = zone("Europe/Berlin");
    let from = instant("2026-01-01T00:00:00Z");
    assert_eq!(schedule("Sun *-03~07/1 02:30").next_after(from, &berlin), None);
    assert_eq!(schedule("Sun *-03~07/1 02:30").count(from, Timestamp::MAX, &berlin), 0);
    assert!(schedule("Sun *-03~07/1 03:00").next_after(from, &berlin).is_some());
}

#[test]
fn a_calendar_says_its_zone() {
    for (text, zone) in [
        ("daily", None),
        ("daily utc", Some("UTC")),
        ("Mon 10:00 America/Argentina/Buenos_Aires", Some("America/Argentina/Buenos_Aires")),
        ("12:00 CET", Some("CET")),
        ("@5", Some("UTC")),
        ("@5 Europe/Berlin", Some("UTC")),
    ] {
        assert_eq!(calendar(text).zone(), zone, "{text}");
    }
}

fn chain(low: u32, high: u32) -> impl Strategy<Value = String> {
    let value = low..=high;
    let item = prop_oneof![
        3 => value.clone().prop_map(|value| value.to_string()),
        2 => (value.clone(), value.clone()).prop_map(|(a, b)| format!("{}..{}", a.min(b), a.max(b))),
        1 => (value.clone(), 1_u32..20).prop_map(|(from, step)| format!("{from}/{step}")),
        1 => (value.clone(), value, 1_u32..9).prop_map(|(a, b, n)| format!("{}..{}/{n}", a.min(b), a.max(b))),
    ];
    prop_oneof![
        2 => Just("*".to_owned()),
        3 => proptest::collection::vec(item, 1..3).prop_map(|items| items.join(",")),
    ]
}

pub(super) fn texts() -> impl Strategy<Value = String> {
    let weekdays =
        proptest::sample::select(&["", "", "Mon..Fri ", "Sat,Sun ", "wed,Fri.. sun ", "Thursday "][..]);
    let years = proptest::sample::select(&["", "*-", "2020..2040-", "2024/4-", "26,28-"][..]);
    let days = prop_oneof![
        3 => (chain(1, 12), chain(1, 31)).prop_map(|(month, day)| format!("{month}-{day}")),
        1 => (chain(1, 12), chain(1, 9)).prop_map(|(month, day)| format!("{month}~{day}")),
    ];
    let seconds = prop_oneof![
        2 => Just(String::new()),
        1 => chain(0, 59).prop_map(|seconds| format!(":{seconds}")),
        1 => Just(":0.25/0.75".to_owned()),
    ];
    (weekdays, years, days, chain(0, 23), chain(0, 59), seconds)
        .prop_map(|(weekdays, years, days, hours, minutes, seconds)| {
            format!("{weekdays}{years}{days} {hours}:{minutes}{seconds}")
        })
        .prop_filter("it is read", |text| parse_calendar(text).is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_fires_of_a_calendar_increase_and_are_counted_and_found_from_the_end(
        text in texts(), after in instants(), zone in zones(), n in 1_usize..40,
    ) {
        let schedule = schedule(&text);
        let all = fires(&schedule, after, &zone, 40);
        agrees_with_its_fires(&schedule, (after, &zone), &all, n)?;
    }

    #[test]
    fn the_normal_form_reads_back(text in texts()) {
        let calendar = calendar(&text);
        let again = parse_calendar(&calendar.to_string());
        prop_assert_eq!(again.as_ref(), Ok(&calendar));
    }

    #[test]
    fn a_calendar_fires_around_any_transition_like_a_walk_through_the_minutes(
        text in texts().prop_filter("whole minutes", |text| text.matches(':').count() == 1),
        near in instants(),
        zone in zones(),
    ) {
        let end = zone.segment(near.as_seconds()).end.min(near.as_seconds() + 400 * 86_400);
        let from = (end - 86_400).div_euclid(60) * 60;
        let to = from + 2 * 86_400;
        let schedule = schedule(&text);
        let mut found = fires(&schedule, Timestamp::from_seconds(from), &zone, 3_000);
        found.retain(|at| at.as_seconds() <= to);
        prop_assert_eq!(found, minute_by_minute(&schedule, from, to, &zone));
    }

    #[test]
    fn every_text_is_a_calendar_or_refused(
        pieces in proptest::collection::vec(proptest::sample::select(&[
            "Mon", "fri", "..", "-", "*", ":", "/", "~", ",", " ", "0", "7", "12", "2026", "@", ".",
            "99999999999", "daily", "UTC", "Europe/Berlin", "é", "+", "\u{0}", "Sunday", "0.5", "31",
        ][..]), 0..12),
        now in instants(),
        zone in zones(),
    ) {
        if let Ok(calendar) = parse_calendar(&pieces.concat()) {
            let next = Schedule::Calendar(Box::new(calendar)).next_after(now, &zone);
            prop_assert!(next.is_none_or(|at| at > now));
        }
    }
}
