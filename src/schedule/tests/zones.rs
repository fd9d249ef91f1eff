//! Owns: fires around gaps, folds and skipped days, and in two zones.
//! Never: texts that are refused.

use super::super::{Schedule, Zone};
use super::{cron, fires, instant, shown, zone};
use crate::domain::{Span, Timestamp};

/// Returns the times of day of the fires in Berlin.
fn berlin(text: &str, from: &str, to: &str) -> Vec<String> {
    let (schedule, zone) = (cron(text), zone("Europe/Berlin"));
    let all = fires(&schedule, instant(from), &zone, 5_000);
    all.into_iter().filter(|at| *at <= instant(to)).map(|at| zone.show(at)[11..16].to_owned()).collect()
}

/// 01:30 to 04:30 on 2026-03-29, when 02:00 to 03:00 is a gap.
fn in_spring(text: &str) -> Vec<String> {
    berlin(text, "2026-03-29T00:29:59Z", "2026-03-29T02:30:00Z")
}

/// 01:30 to 03:30 on 2026-10-25, when 02:00 to 03:00 comes twice.
fn in_autumn(text: &str) -> Vec<String> {
    berlin(text, "2026-10-24T23:29:59Z", "2026-10-25T02:30:00Z")
}

#[test]
fn a_job_with_a_star_in_minute_or_hour_follows_real_time() {
    assert_eq!(in_spring("*/30 * * * *"), ["01:30", "03:00", "03:30", "04:00", "04:30"]);
    assert_eq!(in_autumn("*/30 * * * *"), ["01:30", "02:00", "02:30", "02:00", "02:30", "03:00", "03:30"]);
    assert_eq!(in_spring("30 * * * *"), ["01:30", "03:30", "04:30"]);
    assert_eq!(in_autumn("30 * * * *"), ["01:30", "02:30", "02:30", "03:30"]);
    assert_eq!(in_spring("*/15 * * * *").len(), 9, "01:30 and 01:45, then 03:00 to 04:30");
    assert_eq!(in_autumn("*/15 * * * *").len(), 13);
    assert_eq!(in_spring("* * * * *").len(), 121);
    assert_eq!(in_autumn("* * * * *").len(), 181);
    assert_eq!(in_spring("@hourly"), ["03:00", "04:00"]);
    assert_eq!(in_autumn("@hourly"), ["02:00", "02:00", "03:00"]);
    assert!(in_spring("*/10 2 * * *").is_empty());
    assert_eq!(in_autumn("*/10 2 * * *").len(), 12);
    assert_eq!(in_spring("30 */2 * * *"), ["04:30"]);
    assert_eq!(in_autumn("30 */2 * * *"), ["02:30", "02:30"]);
    assert!(in_spring("0 */10 2 * * *").is_empty());
    assert_eq!(in_autumn("0 */10 2 * * *").len(), 12);
}

#[test]
fn a_job_of_fixed_times_fires_once_for_each_time() {
    for text in ["0 2 * * *", "30 2 * * *", "59 2 * * *", "0 30 2 * * *"] {
        assert_eq!(in_spring(text), ["03:00"], "{text}");
        assert_eq!(in_autumn(text).len(), 1, "{text}");
    }
    assert_eq!(in_spring("0-59/10 2 * * *"), ["03:00"], "never twice in one minute");
    assert_eq!(in_autumn("0-59/10 2 * * *"), ["02:00", "02:10", "02:20", "02:30", "02:40", "02:50"]);
    assert_eq!(in_spring("0 3 * * *"), ["03:00"]);
    assert_eq!(in_spring("5 3 * * *"), ["03:05"]);
    assert_eq!(in_autumn("0 3 * * *"), ["03:00"]);
    assert_eq!(in_autumn("5 3 * * *"), ["03:05"]);
    assert_eq!(in_spring("30 0-23 * * *"), ["01:30", "03:00", "03:30", "04:30"]);
    assert_eq!(in_autumn("30 0-23 * * *"), ["01:30", "02:30", "03:30"]);
    let first = cron("30 2 * * *").next_after(instant("2026-10-24T12:00:00Z"), &zone("Europe/Berlin"));
    assert_eq!(first, Some(instant("2026-10-25T00:30:00Z")), "at the first of the two");
}

#[test]
fn nicknames_other_than_hourly_are_fixed_times() {
    let cairo = zone("Africa/Cairo");
    // Midnight of 2026-04-24 does not exist there; that of 2026-10-29 ends with a second eleven o'clock.
    assert_eq!(shown(&cron("@daily"), "2026-04-23T12:00:00Z", &cairo, 2), ["04-24 01:00", "04-25 00:00"]);
    assert_eq!(shown(&cron("@daily"), "2026-10-29T12:00:00Z", &cairo, 2), ["10-30 00:00", "10-31 00:00"]);
    assert_eq!(shown(&cron("@hourly"), "2026-04-23T20:30:00Z", &cairo, 2), ["04-23 23:00", "04-24 01:00"]);
}

#[test]
fn a_gap_of_half_an_hour_is_a_gap() {
    let lord_howe = zone("Australia/Lord_Howe");
    assert_eq!(
        shown(&cron("15 2 * * *"), "2026-10-03T12:00:00Z", &lord_howe, 2),
        ["10-04 02:30", "10-05 02:15"]
    );
    assert_eq!(
        shown(&cron("*/15 * * * *"), "2026-10-03T15:14:00Z", &lord_howe, 3),
        ["10-04 01:45", "10-04 02:30", "10-04 02:45"]
    );
}

#[test]
fn a_day_that_was_skipped_fires_once_at_the_transition() {
    let apia = zone("Pacific/Apia");
    let after = "2011-12-29T00:00:00Z";
    assert_eq!(shown(&cron("0 12 * * *"), after, &apia, 3), ["12-29 12:00", "12-31 00:00", "12-31 12:00"]);
    assert_eq!(
        shown(&cron("*/30 12 * * *"), after, &apia, 4),
        ["12-29 12:00", "12-29 12:30", "12-31 12:00", "12-31 12:30"]
    );
    assert_eq!(shown(&cron("0 12 30 12 *"), after, &apia, 2), ["12-31 00:00", "12-30 12:00"]);
}

#[test]
fn a_schedule_that_always_falls_into_the_gap_never_fires_in_that_zone() {
    let schedule = cron("*/10 2 25-31 3 */7");
    assert_eq!(schedule.next_after(instant("2026-01-01T00:00:00Z"), &zone("Europe/Berlin")), None);
    assert!(schedule.next_after(instant("2026-01-01T00:00:00Z"), &Zone::utc()).is_some());
}

#[test]
fn a_period_counts_real_time_from_its_anchor() {
    let anchor = instant("2026-03-28T02:30:00Z");
    let schedule = Schedule::Every { period: Span::from_seconds(86_400), anchor };
    let berlin = zone("Europe/Berlin");
    let expected = [instant("2026-03-29T02:30:00Z"), instant("2026-03-30T02:30:00Z")];
    assert_eq!(fires(&schedule, Timestamp::MIN, &berlin, 2), expected);
    assert_eq!(fires(&schedule, anchor, &berlin, 2), expected);
    assert_eq!(schedule.count(Timestamp::MIN, expected[1], &berlin), 2);
    assert_eq!(schedule.latest(Timestamp::MIN, expected[1], 1, &berlin), [expected[1]]);
    assert_eq!(schedule.next_after(Timestamp::MAX, &berlin), None);
}

#[test]
fn one_instant_fires_once_and_reboot_never_fires() {
    let at = instant("2026-03-28T02:30:00Z");
    let schedule = Schedule::At(at);
    assert_eq!(schedule.next_after(at - Span::from_micros(1), &Zone::utc()), Some(at));
    assert_eq!(schedule.next_after(at, &Zone::utc()), None);
    assert_eq!(schedule.latest(Timestamp::MIN, Timestamp::MAX, 3, &Zone::utc()), [at]);
    assert_eq!(Schedule::Reboot.next_after(at, &Zone::utc()), None);
    assert_eq!(Schedule::Reboot.count(Timestamp::MIN, Timestamp::MAX, &Zone::utc()), 0);
}

#[test]
fn the_ends_of_time_are_reached_without_harm() {
    for zone in [Zone::utc(), zone("Europe/Berlin"), zone("America/New_York"), zone("Pacific/Apia")] {
        for text in ["* * * * *", "0 0 * * *", "0 0 29 2 *", "* * * * * *"] {
            let schedule = cron(text);
            assert_eq!(schedule.next_after(Timestamp::MAX, &zone), None, "{text}");
            assert!(schedule.latest(Timestamp::MIN, Timestamp::MAX, 3, &zone).len() == 3, "{text}");
            let first = schedule.next_after(Timestamp::MIN, &zone);
            assert!(first.is_none_or(|first| first > Timestamp::MIN), "{text}");
        }
    }
}

#[test]
fn a_year_of_seconds_is_counted_by_the_day() {
    let (from, until) = (instant("2026-01-01T00:00:00Z"), instant("2027-01-01T00:00:00Z"));
    assert_eq!(cron("* * * * * *").count(from, until, &zone("Europe/Berlin")), 365 * 86_400);
    // The fixed times in the gap fire at one instant, with three o'clock. Those in the fold fire once.
    assert_eq!(cron("0-59 0-59 0-23 * * *").count(from, until, &zone("Europe/Berlin")), 365 * 86_400 - 3_600);
}

/// Returns the first instant of `(after, after + days]` that is a fire in one zone only, from all fires of
/// both.
fn first_unlike_of_all(schedule: &Schedule, days: u64, one: &Zone, other: &Zone) -> Option<Timestamp> {
    let after = instant("2026-11-21T12:00:00Z");
    let until = after + Span::from_seconds(days * 86_400);
    let all = |zone| {
        let next = move |at: &Timestamp| schedule.next_after(*at, zone);
        std::iter::successors(next(&after), next).take_while(|at| *at <= until).collect::<Vec<_>>()
    };
    let (own, others) = (all(one), all(other));
    let found = schedule.first_unlike(after, until, one, other);
    let unlike = own.iter().filter(|at| others.binary_search(at).is_err());
    let unlike = unlike.chain(others.iter().filter(|at| own.binary_search(at).is_err())).min().copied();
    assert_eq!(found, unlike, "{schedule:?} in {} and {}", one.name(), other.name());
    found
}

#[test]
fn the_first_fire_in_only_one_of_two_zones_is_found() {
    let first = |text: &str, one: &str, other: &str| {
        let found = first_unlike_of_all(&cron(text), 400, &zone(one), &zone(other));
        found.map(|at| Zone::utc().show(at)[..16].to_owned())
    };
    let some = |text: &str| Some(text.to_owned());
    // A shift by whole hours does not affect a job that fires in every hour, a shift by half an hour does.
    for text in ["*/5 * * * *", "0 * * * *", "@hourly", "* * * * *"] {
        assert_eq!(first(text, "UTC", "Asia/Tokyo"), None, "{text}");
        assert_eq!(first(text, "America/New_York", "Europe/Berlin"), None, "{text}");
    }
    assert_eq!(first("*/30 * * * *", "UTC", "Asia/Kolkata"), None);
    assert_eq!(first("0 * * * *", "UTC", "Asia/Kolkata"), some("2026-11-21 12:30"));
    assert_eq!(first("0 9 * * *", "UTC", "Asia/Tokyo"), some("2026-11-22 00:00"));
    assert_eq!(first("0 */3 * * *", "UTC", "Asia/Tokyo"), None);
    assert_eq!(first("0 */2 * * *", "UTC", "Asia/Tokyo"), some("2026-11-21 13:00"));
    // The fires are the same until one clock changes.
    assert_eq!(first("0 9 * * *", "UTC", "Europe/London"), some("2027-03-28 08:00"));
    assert_eq!(first("0 9 * 1-2 *", "UTC", "Europe/London"), None);
    assert_eq!(first("0 9 * * *", "Europe/Berlin", "Europe/Paris"), None);
    // A job of fixed times fires once in a fold.
    assert_eq!(first("0 0-23 * * *", "UTC", "Europe/Berlin"), some("2027-10-31 01:00"));
    // A day begins at another time elsewhere.
    assert_eq!(first("* * 1 * *", "UTC", "Asia/Tokyo"), some("2026-11-30 15:00"));
    assert_eq!(first("0 0 * * *", "Pacific/Apia", "Pacific/Pago_Pago"), None);
    assert_eq!(first("0 0 29 2 *", "UTC", "Asia/Tokyo"), None);
}
