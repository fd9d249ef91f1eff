//! Owns: tables and properties for the parts of `schedule` together.
//! Never: Debian's ground truth (see tests/oracle.rs).

mod calendars;
mod cron_texts;
mod daylight;
mod dialects;
mod on_calendar;
mod properties;
#[path = "../../../tests/shared/mod.rs"]
mod shared;
mod times;
mod zones;

use super::{Schedule, Zone, parse_cron};
use crate::domain::Timestamp;

fn zone(name: &str) -> Zone {
    Zone::named(name).expect("in every tzdata")
}

fn cron(text: &str) -> Schedule {
    parse_cron(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}"))
}

/// Reads RFC 3339 with a parser that is not ours.
fn instant(text: &str) -> Timestamp {
    let at = chrono::DateTime::parse_from_rfc3339(text).unwrap_or_else(|_| panic!("{text} is RFC 3339"));
    Timestamp::from_micros(at.timestamp_micros())
}

fn fires(schedule: &Schedule, after: Timestamp, zone: &Zone, n: usize) -> Vec<Timestamp> {
    let next = |at: &Timestamp| schedule.next_after(*at, zone);
    std::iter::successors(next(&after), next).take(n).collect()
}

/// Returns fires as a clock in the zone shows them, without year and seconds.
fn shown(schedule: &Schedule, after: &str, zone: &Zone, n: usize) -> Vec<String> {
    fires(schedule, instant(after), zone, n).into_iter().map(|at| zone.show(at)[5..16].to_owned()).collect()
}
