//! Owns: the properties of every expression, text, zone and instant.
//! Never: single cases.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use proptest::prelude::*;

use super::super::pattern::{Follows, Pattern};
use super::super::{Schedule, Zone, fold_cron, parse_cron, parse_instant, parse_span, parse_time};
use super::{cron, fires, zone};
use crate::domain::{Span, Timestamp};

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/Santiago",
];

pub(super) fn zones() -> impl Strategy<Value = Zone> {
    proptest::sample::select(&ZONES[..]).prop_map(zone)
}

/// Instants of the years 1980 to 2040, and often around Apia's lost day.
pub(super) fn instants() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        4 => 315_532_800_i64..2_208_988_800,
        1 => 1_325_000_000_i64..1_325_400_000,
    ]
    .prop_map(Timestamp::from_seconds)
}

/// Instants, and the ends of time.
fn any_instants() -> impl Strategy<Value = Timestamp> {
    prop_oneof![4 => instants(), 1 => Just(Timestamp::MIN), 1 => Just(Timestamp::MAX)]
}

/// A field of crontab(5): a list of stars, values, ranges and steps.
fn field(low: u32, high: u32) -> impl Strategy<Value = String> {
    let value = low..=high;
    let item = prop_oneof![
        2 => Just("*".to_owned()),
        1 => (1_u32..70).prop_map(|step| format!("*/{step}")),
        3 => value.clone().prop_map(|value| value.to_string()),
        2 => (value.clone(), value.clone()).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => (value.clone(), value, 1_u32..9)
            .prop_map(|(a, b, step)| format!("{}-{}/{step}", a.min(b), a.max(b))),
    ];
    proptest::collection::vec(item, 1..3).prop_map(|items| items.join(","))
}

pub(super) fn five_fields() -> impl Strategy<Value = String> {
    (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7))
        .prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
        .prop_filter("it fires", |text| parse_cron(text).is_ok())
}

/// A field of six or seven, in which steps stay inside the field.
fn crate_field(low: u32, high: u32) -> impl Strategy<Value = String> {
    let value = low..=high;
    let step = 1..=high.min(70);
    let item = prop_oneof![
        2 => Just("*".to_owned()),
        1 => step.clone().prop_map(|step| format!("*/{step}")),
        3 => value.clone().prop_map(|value| value.to_string()),
        1 => (value.clone(), step).prop_map(|(from, step)| format!("{from}/{step}")),
        2 => (value.clone(), value).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
    ];
    proptest::collection::vec(item, 1..3).prop_map(|items| items.join(","))
}

pub(super) fn seven_fields() -> impl Strategy<Value = String> {
    let weekday =
        proptest::sample::select(&["*", "?", "MON-FRI", "Sat,sunday", "*/3", "TUE-SAT/2", "fri"][..]);
    let year = proptest::sample::select(&["", " *", " 2020-2030", " 2024/4", " 2040,2090"][..]);
    (
        crate_field(0, 59),
        crate_field(0, 59),
        crate_field(0, 23),
        crate_field(1, 31),
        crate_field(1, 12),
        weekday,
        year,
    )
        .prop_map(|(second, minute, hour, day, month, weekday, year)| {
            format!("{second} {minute} {hour} {day} {month} {weekday}{year}")
        })
        .prop_filter("it fires", |text| parse_cron(text).is_ok())
}

pub(super) fn pattern(schedule: &Schedule) -> &Pattern {
    match schedule {
        Schedule::Cron(pattern) => pattern,
        Schedule::Calendar(calendar) => &calendar.pattern,
        Schedule::At(_)
        | Schedule::Every { .. }
        | Schedule::Reboot
        | Schedule::AfterEnd { .. }
        | Schedule::Events
        | Schedule::Delayed { .. } => {
            panic!("not an expression")
        }
    }
}

/// Returns fires of whole minutes by a walk through the minutes, like Debian's main loop.
pub(super) fn minute_by_minute(schedule: &Schedule, from: i64, to: i64, zone: &Zone) -> Vec<Timestamp> {
    let pattern = pattern(schedule);
    // Three days earlier, no clock is ahead of its reading at `from`.
    let mut highest = i64::MIN;
    let mut found = Vec::new();
    for at in (from - 3 * 86_400..=to).step_by(60) {
        let reading = at + zone.offset(at);
        let matches = match pattern.follows {
            Follows::RealTime => pattern.count(reading, reading) > 0,
            Follows::WallClock => highest != i64::MIN && pattern.count(highest + 1, reading) > 0,
            Follows::FirstShown => reading > highest && pattern.count(reading, reading) > 0,
        };
        highest = highest.max(reading);
        if matches && at > from {
            found.push(Timestamp::from_seconds(at));
        }
    }
    found
}

/// Checks that the first fires after an instant increase, and are counted and found from the end.
pub(super) fn agrees_with_its_fires(
    schedule: &Schedule,
    (after, zone): (Timestamp, &Zone),
    all: &[Timestamp],
    n: usize,
) -> Result<(), TestCaseError> {
    let mut last = after;
    for fire in all {
        prop_assert!(*fire > last, "{} is not after {}", fire, last);
        last = *fire;
    }
    prop_assert_eq!(schedule.count(after, last, zone), all.len() as u64);
    prop_assert_eq!(schedule.latest(after, last, n, zone), &all[all.len().saturating_sub(n)..]);
    // There is no fire between two fires, from any instant.
    if let [.., one, two] = *all {
        let between = Timestamp::from_micros(one.as_micros() + (two.as_micros() - one.as_micros()) / 2);
        prop_assert_eq!(schedule.next_after(between, zone), Some(two));
        prop_assert_eq!(schedule.next_after(two - Span::from_micros(1), zone), Some(two));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn fires_increase_and_are_counted_and_found_from_the_end(
        text in prop_oneof![five_fields(), seven_fields()],
        after in instants(),
        zone in zones(),
        n in 1_usize..40,
    ) {
        let schedule = cron(&text);
        let all = fires(&schedule, after, &zone, 40);
        agrees_with_its_fires(&schedule, (after, &zone), &all, n)?;
    }

    #[test]
    fn a_count_is_the_sum_of_its_parts(
        text in prop_oneof![five_fields(), seven_fields()],
        mut cuts in (instants(), instants(), instants()).prop_map(|(a, b, c)| [a, b, c]),
        zone in zones(),
    ) {
        cuts.sort();
        let schedule = cron(&text);
        let count = |from: usize, to: usize| schedule.count(cuts[from], cuts[to], &zone);
        prop_assert_eq!(count(0, 1) + count(1, 2), count(0, 2));
    }

    #[test]
    fn six_and_seven_fields_fire_in_utc_like_the_crate(text in seven_fields(), after in instants()) {
        let whole = if text.split(' ').count() == 6 { format!("{text} *") } else { text.clone() };
        let theirs = cron::Schedule::from_str(&whole).expect("the crate reads whatever we read");
        let from: DateTime<Utc> = DateTime::from_timestamp(after.as_seconds(), 0).expect("in range");
        let theirs = theirs.after(&from).take(8).map(|at| Timestamp::from_seconds(at.timestamp()));
        let theirs: Vec<_> = theirs.collect();
        prop_assert_eq!(fires(&cron(&text), after, &Zone::utc(), 8), theirs);
    }

    #[test]
    fn every_text_is_read_or_refused(text in "\\PC{0,40}", now in any_instants(), zone in zones()) {
        let _ = parse_cron(&text);
        let _ = parse_span(&text);
        let _ = parse_instant(&text, now, &zone);
        let _ = Zone::posix(&text);
    }

    #[test]
    fn every_text_of_plausible_pieces_is_read_or_refused(
        pieces in proptest::collection::vec(proptest::sample::select(&[
            "now", "+", "-", "3", "12", "2026", "2026-02-29", "9am", ":", "30", "days", "next", "monday",
            "Jul", "31", ".", "/", "@", "*", ",", "UTC", "in", "at", "on", "99999999999999999999",
            "99999999999", "hours", "m", "T", "Z", "years", "noon", "24", "00", "*/5", "1-5", "?", "MON", " ",
            "073127", "07312027", "27-07-31", "12.30",
        ][..]), 0..9),
        joint in proptest::sample::select(&["", " "][..]), now in any_instants(), zone in zones(),
    ) {
        let text = pieces.join(joint);
        let _ = parse_span(&text);
        if let Ok(schedule) = parse_cron(&text) {
            prop_assert!(schedule.next_after(now, &zone).is_none_or(|at| at > now));
            prop_assert_eq!(parse_cron(&fold_cron(&text)), Ok(schedule));
        }
        if let Ok(at) = parse_time(&text, now, &zone) {
            prop_assert!(at >= now);
        }
    }

    #[test]
    fn the_texts_of_instants_and_spans_read_back(
        at in instants(),
        zone in zones(),
        micros in 1_u64..1 << 50,
    ) {
        prop_assert_eq!(parse_instant(&zone.show(at), at, &Zone::utc()), Ok(at));
        prop_assert_eq!(parse_instant(&at.to_string(), at, &zone), Ok(at));
        prop_assert_eq!(parse_span(&Span::from_micros(micros).to_string()), Ok(Span::from_micros(micros)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn five_fields_fire_around_any_transition_like_a_walk_through_the_minutes(
        text in five_fields(), near in instants(), zone in zones(),
    ) {
        // A day before the next change of the clock.
        let end = zone.segment(near.as_seconds()).end.min(near.as_seconds() + 400 * 86_400);
        let from = (end - 86_400).div_euclid(60) * 60;
        let to = from + 2 * 86_400;
        let schedule = cron(&text);
        let mut found = fires(&schedule, Timestamp::from_seconds(from), &zone, 3_000);
        found.retain(|at| at.as_seconds() <= to);
        prop_assert_eq!(found, minute_by_minute(&schedule, from, to, &zone));
    }
}
