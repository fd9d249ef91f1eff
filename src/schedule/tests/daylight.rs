//! Owns: the reported effects of gaps and folds on fires.
//! Never: the fires (see `zones`).

use proptest::prelude::*;

use super::super::daylight::{Change, ClockEffect, Daylight, Readings};
use super::super::pattern::Follows;
use super::super::walk::highest_reading;
use super::super::{Schedule, Zone};
use super::calendars::{schedule, texts};
use super::properties::{five_fields, instants, pattern, seven_fields, zones};
use super::{cron, instant, zone};
use crate::domain::{Span, Timestamp};

fn span(readings: Readings) -> String {
    format!("{}-{}", &readings.first.time()[..5], &readings.last.time()[..5])
}

/// Returns the fires in `(from, to]` with their effects, and the gaps that skip fires.
fn effects(
    schedule: &Schedule,
    from: Timestamp,
    to: Timestamp,
    zone: &Zone,
) -> (Vec<(Timestamp, Option<Daylight>)>, Vec<Change>) {
    let fires = std::iter::successors(schedule.next_after(from, zone), |at| schedule.next_after(*at, zone));
    let fires = fires.take_while(|at| *at <= to).map(|at| (at, schedule.daylight(at, zone))).collect();
    let skips =
        std::iter::successors(schedule.skipped(from, to, zone), |skip| schedule.skipped(skip.at, to, zone));
    (fires, skips.collect())
}

/// Returns the marks in words: `moved to 03:00: 02:30-02:30`, `60 skipped: 02:00-02:59`, `6 once`.
fn marks(text: &str, from: &str, to: &str, zone: &Zone) -> String {
    let (fires, skips) = effects(&cron(text), instant(from), instant(to), zone);
    let count =
        |effect| fires.iter().filter(|(_, mark)| mark.is_some_and(|mark| mark.effect == effect)).count();
    let mut words: Vec<String> = skips
        .iter()
        .map(|skip| format!("{} skipped: {}", skip.daylight.readings.count, span(skip.daylight.readings)))
        .collect();
    for (at, mark) in &fires {
        let Some(Daylight { effect, readings }) = *mark else { continue };
        let at = &zone.show(*at)[11..16];
        match effect {
            ClockEffect::Moved => words.push(format!("moved to {at}: {}", span(readings))),
            ClockEffect::Merged { fires } => {
                words.push(format!("{fires} merged at {at}: {}", span(readings)));
            }
            ClockEffect::Once | ClockEffect::FirstOfTwo | ClockEffect::SecondOfTwo => {}
            ClockEffect::Skipped | ClockEffect::Twice => panic!("{effect:?} is not an effect on one fire"),
        }
    }
    let counted = [
        (ClockEffect::Once, "once"),
        (ClockEffect::FirstOfTwo, "first"),
        (ClockEffect::SecondOfTwo, "second"),
    ];
    words.extend(
        counted
            .iter()
            .map(|(effect, word)| (count(*effect), word))
            .filter(|(n, _)| *n > 0)
            .map(|(n, word)| format!("{n} {word}")),
    );
    words.join(", ")
}

/// Returns the effect of each transition: `6 twice: 02:00-02:50`.
fn changes(text: &str, from: &str, to: &str, zone: &Zone) -> Vec<String> {
    let word = |change: &Change| {
        let Daylight { effect, readings } = change.daylight;
        format!("{} {} {}: {}", &zone.show(change.at)[..16], readings.count, effect.as_str(), span(readings))
    };
    cron(text).changes(instant(from), instant(to), zone).iter().map(word).collect()
}

#[test]
fn the_effects_on_sixteen_jobs_in_berlin_are_those_of_debian() {
    let table = [
        ("* * * * *", "60 skipped: 02:00-02:59", "60 first, 60 second"),
        ("30 * * * *", "1 skipped: 02:30-02:30", "1 first, 1 second"),
        ("*/15 * * * *", "4 skipped: 02:00-02:45", "4 first, 4 second"),
        ("@hourly", "1 skipped: 02:00-02:00", "1 first, 1 second"),
        ("*/10 2 * * *", "6 skipped: 02:00-02:50", "6 first, 6 second"),
        ("30 */2 * * *", "1 skipped: 02:30-02:30", "1 first, 1 second"),
        ("0 */10 2 * * *", "6 skipped: 02:00-02:50", "6 first, 6 second"),
        ("0-59/10 2 * * *", "6 merged at 03:00: 02:00-02:50", "6 once"),
        ("0 2 * * *", "moved to 03:00: 02:00-02:00", "1 once"),
        ("30 2 * * *", "moved to 03:00: 02:30-02:30", "1 once"),
        ("59 2 * * *", "moved to 03:00: 02:59-02:59", "1 once"),
        ("0 3 * * *", "", ""),
        ("5 3 * * *", "", ""),
        ("30 0-23 * * *", "moved to 03:00: 02:30-02:30", "1 once"),
        ("0 0-23 * * *", "2 merged at 03:00: 02:00-02:00", "1 once"),
        ("@daily", "", ""),
    ];
    let berlin = zone("Europe/Berlin");
    for (text, spring, autumn) in table {
        assert_eq!(marks(text, "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z", &berlin), spring, "{text}");
        assert_eq!(marks(text, "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z", &berlin), autumn, "{text}");
        assert_eq!(marks(text, "2026-06-01T00:00:00Z", "2026-06-02T00:00:00Z", &berlin), "", "{text}");
        assert_eq!(marks(text, "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z", &Zone::utc()), "", "{text}");
    }
}

#[test]
fn a_gap_of_half_an_hour_leaves_out_half_as_much() {
    let lord_howe = zone("Australia/Lord_Howe");
    let spring = |text| marks(text, "2026-10-03T03:00:00Z", "2026-10-04T03:00:00Z", &lord_howe);
    assert_eq!(spring("* * * * *"), "30 skipped: 02:00-02:29");
    assert_eq!(spring("0-59/10 2 * * *"), "4 merged at 02:30: 02:00-02:20");
    assert_eq!(spring("45 2 * * *"), "");
    let autumn = |text| marks(text, "2026-04-04T03:00:00Z", "2026-04-05T03:00:00Z", &lord_howe);
    assert_eq!(autumn("*/15 * * * *"), "2 first, 2 second");
    assert_eq!(autumn("0,15,30,45 1 * * *"), "2 once");
}

#[test]
fn a_midnight_that_is_left_out_is_reported() {
    for (name, day) in
        [("America/Sao_Paulo", "2018-11-0"), ("Africa/Cairo", "2026-04-2"), ("Asia/Beirut", "2026-03-2")]
    {
        let zone = zone(name);
        let [from, to] = match name {
            "America/Sao_Paulo" => [3, 4],
            "Africa/Cairo" => [3, 4],
            _ => [8, 9],
        }
        .map(|last| format!("{day}{last}T12:00:00Z"));
        let at = |text| marks(text, &from, &to, &zone);
        assert_eq!(at("@daily"), "moved to 01:00: 00:00-00:00", "{name}");
        assert_eq!(at("*/20 0 * * *"), "3 skipped: 00:00-00:40", "{name}");
        assert_eq!(at("30 23 * * *"), "", "{name}");
    }
}

#[test]
fn a_day_that_was_skipped_is_reported_with_its_date() {
    let apia = zone("Pacific/Apia");
    let lost = cron("0,30 */12 * * *").skipped(
        instant("2011-12-29T00:00:00Z"),
        instant("2012-01-01T00:00:00Z"),
        &apia,
    );
    let lost = lost.expect("the 30th was left out");
    assert_eq!(lost.at, instant("2011-12-30T10:00:00Z"));
    let Readings { first, last, count } = lost.daylight.readings;
    assert_eq!(
        (first.to_string(), last.to_string(), count),
        ("2011-12-30 00:00:00".into(), "2011-12-30 12:30:00".into(), 4)
    );
}

#[test]
fn each_transition_within_a_year_is_reported() {
    let berlin = zone("Europe/Berlin");
    let year = |text| changes(text, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", &berlin);
    assert_eq!(
        year("30 2 * * *"),
        ["2026-03-29 03:00 1 moved: 02:30-02:30", "2026-10-25 02:30 1 once: 02:30-02:30"]
    );
    assert_eq!(
        year("0-59/10 2 * * *"),
        ["2026-03-29 03:00 6 merged: 02:00-02:50", "2026-10-25 02:00 6 once: 02:00-02:50"]
    );
    assert_eq!(
        year("*/10 2 * * *"),
        ["2026-03-29 03:00 6 skipped: 02:00-02:50", "2026-10-25 02:00 6 twice: 02:00-02:50"]
    );
    assert_eq!(year("*/10 2 * 10 *"), ["2026-10-25 02:00 6 twice: 02:00-02:50"]);
    for text in ["15 3 * * *", "@daily", "30 2 * * mon-fri", "*/10 * * * *", "@hourly", "@reboot"] {
        assert_eq!(year(text), [""; 0], "{text}");
    }
}

#[test]
fn schedules_without_a_wall_clock_are_not_affected() {
    let (from, until) = (instant("2026-03-29T00:00:00Z"), instant("2027-01-01T00:00:00Z"));
    for schedule in [
        Schedule::At(from),
        Schedule::Every { period: Span::from_seconds(60), anchor: from },
        Schedule::Reboot,
    ] {
        let berlin = zone("Europe/Berlin");
        assert_eq!(schedule.daylight(instant("2026-03-29T01:00:00Z"), &berlin), None);
        assert_eq!(schedule.skipped(from, until, &berlin), None);
        assert_eq!(schedule.changes(from, until, &berlin), []);
    }
}

#[test]
fn a_search_for_skipped_fires_ends_at_the_end_of_time_and_of_the_years() {
    let berlin = zone("Europe/Berlin");
    for text in ["*/10 2 25-31 3 */7", "0 5 * * *", "*/5 5 * * *", "0 */10 2 * * * 2026"] {
        let schedule = cron(text);
        assert_eq!(schedule.skipped(Timestamp::MAX, Timestamp::MAX, &berlin), None, "{text}");
        assert_eq!(
            schedule.skipped(Timestamp::MIN, instant("1890-01-01T00:00:00Z"), &berlin),
            None,
            "{text}"
        );
        let skip = schedule.skipped(instant("2026-03-30T00:00:00Z"), Timestamp::MAX, &berlin);
        assert_eq!(skip.is_some(), text == "*/10 2 25-31 3 */7", "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_reading_fires_or_is_reported_as_merged_or_skipped(
        schedule in prop_oneof![
            5 => prop_oneof![five_fields(), seven_fields()].prop_map(|text| cron(&text)),
            2 => texts()
                .prop_filter("whole seconds", |text| !text.contains("0.25"))
                .prop_map(|text| schedule(&text)),
        ],
        near in instants(),
        zone in zones(),
    ) {
        // A day before the next change of the clock, and a day after it.
        let end = zone.segment(near.as_seconds()).end.min(near.as_seconds() + 400 * 86_400);
        let (from, to) = (end - 86_400, end + 86_400);
        let pattern = pattern(&schedule);
        let (fires, skips) =
            effects(&schedule, Timestamp::from_seconds(from), Timestamp::from_seconds(to), &zone);
        let marks = || fires.iter().filter_map(|(_, mark)| *mark);
        let count = |effect| marks().filter(|mark| mark.effect == effect).count() as u64;
        let merged: u64 = fires.iter().map(|(_, mark)| match mark.map(|mark| mark.effect) {
            Some(ClockEffect::Merged { fires }) => fires - 1,
            _ => 0,
        }).sum();
        let skipped: u64 = skips.iter().map(|skip| skip.daylight.readings.count).sum();
        let readings = pattern.count(highest_reading(from, &zone) + 1, highest_reading(to, &zone));
        prop_assert_eq!(fires.len() as u64 + merged + skipped, readings + count(ClockEffect::SecondOfTwo));
        match pattern.follows {
            Follows::WallClock => prop_assert_eq!((skipped, count(ClockEffect::SecondOfTwo)), (0, 0)),
            Follows::RealTime => {
                prop_assert_eq!((merged, count(ClockEffect::Moved), count(ClockEffect::Once)), (0, 0, 0));
            }
            Follows::FirstShown => {
                let second = count(ClockEffect::SecondOfTwo);
                prop_assert_eq!((merged, count(ClockEffect::Moved), second), (0, 0, 0));
            }
        }
    }
}
