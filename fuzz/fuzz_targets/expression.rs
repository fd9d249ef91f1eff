//! Owns: the properties of every text that is read as an expression, by us and as both crons read it.
//! Never: lines of crontabs (see `table`).
//!
//! The input is a text up to the first newline. The bytes after it choose an instant and a zone. libFuzzer
//! checks that every search ends (`-timeout`).

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use taskq::domain::{Span, Timestamp};
use taskq::schedule::{Dialect, ParseError, Schedule, Zone, fold_cron, parse_cron};

/// Zones with gaps and folds of an hour, of half an hour, of two hours and of a day, and with many or none.
static ZONES: LazyLock<Vec<Zone>> = LazyLock::new(|| {
    let names = [
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Antarctica/Troll",
        "Pacific/Apia",
        "Africa/Casablanca",
        "Asia/Kolkata",
    ];
    names.iter().map(|name| Zone::named(name).expect("tzdata has it")).collect()
});

/// The number of fires from one start.
const FIRES: usize = 5;

/// Debian's cron cannot read a longer number, and we can.
const FIELD_MAX: usize = 999;

const DAY: Span = Span::from_seconds(86_400);

fuzz_target!(|input: &[u8]| {
    let (text, tail) = match input.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, &[][..]),
    };
    let from = instant(tail);
    let zone = &ZONES[usize::from(tail.last().copied().unwrap_or_default()) % ZONES.len()];
    let ours = std::str::from_utf8(text).ok().and_then(|text| read(text).map(|schedule| (text, schedule)));
    if let Some((text, schedule)) = &ours {
        assert_eq!(parse_cron(&fold_cron(text)).as_ref(), Ok(schedule), "white space has no meaning");
        fire(schedule, from, &Zone::utc());
        fire(schedule, from, zone);
    }
    let fields: Vec<&[u8]> =
        text.split(|byte| matches!(byte, b' ' | b'\t')).filter(|field| !field.is_empty()).collect();
    if let Ok(fields) = <[&[u8]; 5]>::try_from(fields) {
        let seed = u64::from(tail.first().copied().unwrap_or_default());
        for dialect in Dialect::ALL {
            read_as(*dialect, &fields, seed);
        }
    }
    let Some((text, schedule)) = ours else { return };
    let text = fold_cron(text);
    let fields: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
    if let Ok(fields) = <[&[u8]; 5]>::try_from(fields)
        && text.len() <= FIELD_MAX
    {
        agree(&fields, &schedule);
    }
});

/// Seconds since the epoch in up to four bytes, any instant in more.
fn instant(tail: &[u8]) -> Timestamp {
    let mut bytes = [0; 8];
    let length = tail.len().min(8);
    bytes[..length].copy_from_slice(&tail[..length]);
    let number = i64::from_le_bytes(bytes);
    match length {
        // The night before the clocks of Berlin go forward.
        0 => Timestamp::from_seconds(1_774_738_000),
        1..=4 => Timestamp::from_seconds(number),
        _ => {
            let (first, last) = (Timestamp::MIN.as_micros(), Timestamp::MAX.as_micros());
            Timestamp::from_micros(first + number.rem_euclid(last - first))
        }
    }
}

fn read(text: &str) -> Option<Schedule> {
    match parse_cron(text) {
        Ok(schedule) => Some(schedule),
        Err(error) => {
            let ParseError { cause, column, hint } = error;
            assert!(!cause.is_empty() && hint.is_none_or(|hint| !hint.is_empty()), "an error has words");
            let columns = fold_cron(text).chars().count() + 1;
            assert!(
                column.is_none_or(|column| (1..=columns).contains(&column)),
                "{text:?}: {column:?} of {columns}"
            );
            None
        }
    }
}

fn fire(schedule: &Schedule, from: Timestamp, zone: &Zone) {
    let mut fires: Vec<Timestamp> = Vec::new();
    while fires.len() < FIRES {
        let last = fires.last().copied().unwrap_or(from);
        let Some(next) = schedule.next_after(last, zone) else { break };
        assert!(next > last, "{next} is not after {last}");
        fires.push(next);
    }
    let _ = schedule.skipped(from, from + DAY, zone);
    let _ = schedule.changes(from, from + Span::from_seconds(400 * 86_400), zone);
    let Some(last) = fires.last().copied() else { return };
    assert_eq!(schedule.count(from, last, zone), fires.len() as u64, "fires are counted as they are found");
    assert_eq!(
        schedule.count(from, last - Span::from_micros(1), zone),
        fires.len() as u64 - 1,
        "the last one is last"
    );
    assert_eq!(
        schedule.latest(from, last, 2, zone),
        fires[fires.len().saturating_sub(2)..],
        "from the end as well"
    );
    for fire in &fires {
        let _ = schedule.daylight(*fire, zone);
    }
    let _ = schedule.count(from, from + Span::from_seconds(40 * 365 * 86_400), zone);
}

/// The stored expression of a cron's reading means the same to us, to that cron and to the other one.
fn read_as(dialect: Dialect, fields: &[&[u8]; 5], seed: u64) {
    let Ok(reading) = dialect.read(fields, seed) else { return };
    assert_eq!(dialect.read(fields, seed).as_ref(), Ok(&reading), "the same seed draws the same");
    for oddity in reading.oddities() {
        assert!(!oddity.to_string().is_empty(), "an oddity has words");
    }
    let schedule = reading.schedule();
    let Some(expression) = reading.expression() else {
        assert_eq!(schedule, None, "a schedule that fires can be written");
        return;
    };
    let schedule = schedule.expect("an expression fires");
    let fields: Vec<&[u8]> = expression.split(' ').map(str::as_bytes).collect();
    agree(&fields.try_into().expect("there are five"), &schedule);
    assert_eq!(parse_cron(&expression), Ok(schedule), "{expression}");
}

/// Both crons read the same in fields that we read.
fn agree(fields: &[&[u8]; 5], schedule: &Schedule) {
    for dialect in Dialect::ALL {
        let reading = dialect.read(fields, 0).expect("both crons read whatever we read");
        assert_eq!(reading.schedule().as_ref(), Some(schedule), "{dialect:?}");
    }
}
