//! Owns: the ground truth of Debian cron's own parser and main loop, of which every row must match (see
//! oracle/README.md).
//! Never: odd fields (see tests/differential.rs).

use taskq::domain::Timestamp;
use taskq::schedule::{Zone, parse_cron};

fn seconds(text: &str) -> Timestamp {
    Timestamp::from_seconds(text.parse().expect("epoch seconds"))
}

fn fires(text: &str) -> Vec<Timestamp> {
    text.split(',').filter(|text| *text != "NONE" && !text.is_empty()).map(seconds).collect()
}

#[test]
fn five_fields_fire_in_utc_exactly_when_debian_cron_would() {
    let zone = Zone::utc();
    for (number, row) in include_str!("oracle/crontab-utc.tsv").lines().enumerate() {
        let [after, expression, expected] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("row {number} has three columns");
        };
        let expected = fires(expected);
        let schedule = match parse_cron(expression) {
            Ok(schedule) => schedule,
            // We refuse entries that Debian's cron stores and never starts.
            Err(_) if expected.is_empty() => continue,
            Err(refusal) => panic!("row {number}: {refusal}"),
        };
        let mut at = seconds(after);
        for fire in &expected {
            at = schedule.next_after(at, &zone).expect("there are more fires");
            assert_eq!(at, *fire, "row {number}: {expression}");
        }
        if let Some(last) = expected.last() {
            assert_eq!(
                schedule.count(seconds(after), *last, &zone),
                expected.len() as u64,
                "row {number}: {expression}"
            );
            assert_eq!(
                schedule.latest(seconds(after), *last, 7, &zone),
                expected[expected.len().saturating_sub(7)..]
            );
        }
    }
}

#[test]
fn five_fields_fire_around_transitions_exactly_when_debian_cron_would() {
    for (number, row) in include_str!("oracle/crontab-dst.tsv").lines().enumerate() {
        let [zone, from, to, expression, expected] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("row {number} has five columns");
        };
        let zone = Zone::named(zone).expect("tzdata has it");
        let schedule = parse_cron(expression).unwrap_or_else(|refusal| panic!("row {number}: {refusal}"));
        let (from, to, expected) = (seconds(from), seconds(to), fires(expected));
        let mut at = from;
        let mut got = Vec::new();
        while let Some(fire) = schedule.next_after(at, &zone).filter(|fire| *fire <= to) {
            got.push(fire);
            at = fire;
        }
        assert_eq!(got, expected, "row {number}: {expression}");
        assert_eq!(schedule.count(from, to, &zone), expected.len() as u64, "row {number}: {expression}");
        assert_eq!(schedule.latest(from, to, 50, &zone), expected[expected.len().saturating_sub(50)..]);
    }
}
