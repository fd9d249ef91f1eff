//! Owns: our calendar lines against systemd-analyze(1), which checks hundreds in one call.
//! Never: unit files.

use std::collections::BTreeMap;
use std::process::Command;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::super::on_calendar::is_left_out;
use super::super::{Schedule, Zone, parse_cron};
use super::properties::{five_fields, seven_fields};
use super::shared::has;
use super::{cron, fires, instant, zone};
use crate::domain::{Span, Timestamp};

/// The number of compared elapses of each line.
const ELAPSES: usize = 8;

/// Returns the next elapses of many lines by systemd. `None` if it is not installed.
fn elapses(lines: &[String], from: &str) -> Option<Vec<Vec<Timestamp>>> {
    let mut command = Command::new("systemd-analyze");
    command.env("TZ", "UTC").env("LC_ALL", "C").env_remove("SYSTEMD_LOG_LEVEL").arg("calendar");
    command.args([format!("--iterations={ELAPSES}"), format!("--base-time={from}")]).args(lines);
    let output = command.output();
    if !has("systemd", output.is_ok()) {
        return None;
    }
    let output = output.expect("systemd-analyze ran");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("it is text");
    let answers: Vec<Vec<Timestamp>> = text
        .split("\n\n")
        .map(|block| {
            let found = block.lines().filter_map(|line| {
                let (head, at) = line.trim().split_once(": ")?;
                (head == "Next elapse" || head.starts_with("Iter")).then_some(at)
            });
            found.filter(|at| *at != "never").map(read).collect()
        })
        .collect();
    assert_eq!(answers.len(), lines.len(), "an answer for each line");
    Some(answers)
}

/// Reads `Thu 2026-01-01 00:03:17 UTC`, to the second.
fn read(shown: &str) -> Timestamp {
    let words: Vec<&str> = shown.split(' ').collect();
    assert_eq!(words.get(3), Some(&"UTC"), "{shown}");
    instant(&format!("{}T{}Z", words[1], words[2]))
}

/// Compares the next elapses of all lines of each schedule with its next fires, except for those that systemd
/// leaves out.
fn compare(schedules: &[(String, Schedule, Option<&Zone>)], from: &str) {
    let after = read(&format!("- {from}"));
    let all: Vec<(usize, String)> = schedules
        .iter()
        .enumerate()
        .flat_map(|(index, (text, schedule, zone))| {
            let lines =
                schedule.on_calendar(zone.map(Zone::name)).unwrap_or_else(|| panic!("{text} has lines"));
            lines.into_iter().map(move |line| (index, line))
        })
        .collect();
    let lines: Vec<String> = all.iter().map(|(_, line)| line.clone()).collect();
    let Some(answers) = elapses(&lines, from) else { return };
    for (index, (text, schedule, zone)) in schedules.iter().enumerate() {
        let of_it = || all.iter().zip(&answers).filter(|((other, _), _)| *other == index);
        let mut found: Vec<Timestamp> = of_it().flat_map(|(_, answer)| answer.iter().copied()).collect();
        found.sort();
        found.dedup();
        found.truncate(ELAPSES);
        let utc = Zone::utc();
        let zone = zone.unwrap_or(&utc);
        let next = |at: &Timestamp| schedule.next_after(*at, zone);
        let fires = std::iter::successors(next(&after), next).take(ELAPSES * 20);
        let elapsing = fires.filter(|fire| elapses_at(schedule, *fire, zone)).take(found.len().max(1));
        // systemd shows no fractions.
        let expected: Vec<_> = elapsing.map(|at| Timestamp::from_seconds(at.as_seconds())).collect();
        let lines: Vec<&str> = of_it().map(|((_, line), _)| line.as_str()).collect();
        let shown = |all: &[Timestamp]| all.iter().map(|at| zone.show(*at)).collect::<Vec<_>>();
        assert_eq!(shown(&found), shown(&expected), "{text} in {} as {lines:?}", zone.name());
    }
}

/// Returns the last fire of a schedule before an instant.
fn last_before(schedule: &Schedule, end: Timestamp, zone: &Zone) -> Option<Timestamp> {
    let mut span = 1;
    while span < 400 * 86_400 {
        let from = Timestamp::from_seconds(end.as_seconds() - span);
        let found = fires(schedule, from, zone, 100).into_iter().take_while(|at| *at < end).last();
        if found.is_some() {
            return found;
        }
        span *= 2;
    }
    None
}

/// Compares the elapses of each schedule with its fires, from its last one in a year on. Returns how many
/// schedules were compared.
fn compare_at_the_end_of(year: i64, schedules: &[(String, Schedule, Option<&Zone>)]) -> usize {
    let end = instant(&format!("{}-01-01T00:00:00Z", year + 1));
    let utc = Zone::utc();
    let mut by_base: BTreeMap<i64, Vec<_>> = BTreeMap::new();
    for one in schedules {
        if let Some(last) = last_before(&one.1, end, one.2.unwrap_or(&utc)) {
            by_base.entry(last.as_seconds() - 1).or_default().push(one.clone());
        }
    }
    for (base, all) in &by_base {
        let from = utc.show(Timestamp::from_seconds(*base)).replace("+0000", "UTC");
        for part in all.chunks(200) {
            compare(part, &from);
        }
    }
    by_base.values().map(Vec::len).sum()
}

/// Returns whether a clock shows a fire's reading for the first time.
fn elapses_at(schedule: &Schedule, fire: Timestamp, zone: &Zone) -> bool {
    match schedule {
        Schedule::Cron(pattern) => !is_left_out(pattern, fire.as_seconds(), zone),
        Schedule::At(_)
        | Schedule::Calendar(_)
        | Schedule::Every { .. }
        | Schedule::Reboot
        | Schedule::AfterEnd { .. }
        | Schedule::Events
        | Schedule::Delayed { .. } => true,
    }
}

fn random(strategy: impl Strategy<Value = String>, count: usize) -> Vec<String> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut one = || strategy.new_tree(&mut runner).expect("few are filtered").current();
    std::iter::repeat_with(&mut one).take(count).collect()
}

fn lines(text: &str) -> Vec<String> {
    cron(text).on_calendar(None).expect("expressions have lines")
}

fn every(period: u64, anchor: &str) -> Schedule {
    Schedule::Every { period: Span::from_micros(period), anchor: instant(anchor) }
}

#[test]
fn an_expression_is_written_as_systemd_reads_it() {
    let cases: [(&str, &[&str]); 17] = [
        ("15 3 * * mon-fri", &["Mon..Fri *-*-* 03:15:00"]),
        ("*/15 * * * *", &["*-*-* *:00/15:00"]),
        ("* * * * *", &["*-*-* *:*:00"]),
        ("@weekly", &["Sun *-*-* 00:00:00"]),
        ("0 0 * * 5-7", &["Fri..Sun *-*-* 00:00:00"]),
        ("0 0 * * 0,1", &["Mon,Sun *-*-* 00:00:00"]),
        ("0 9-17 1 jan,mar-jun *", &["*-01,03..06-01 09..17:00:00"]),
        // One day is enough, so there are two lines. A star makes it one.
        ("0 0 1,15 * 5", &["*-*-01,15 00:00:00", "Fri *-*-* 00:00:00"]),
        ("0 0 1-7 * */7", &["Sun *-*-01..07 00:00:00"]),
        ("0 0 1 * 0-6", &["*-*-* 00:00:00"]),
        ("0 0 1-31 * 1", &["*-*-* 00:00:00"]),
        ("0 0 30 2 1", &["Mon *-02-* 00:00:00"]),
        ("30 0 0 1 1 * 2026-2028,2030", &["2026..2028,2030-01-01 00:00:30"]),
        ("*/30 * * * * MON", &["Mon *-*-* *:*:00,30"]),
        // At the end of a year systemd 252 loses values after a step that does not divide its field.
        ("*/7 */6 * * *", &["*-*-* 00/6:00,07,14,21,28,35,42,49,56:00"]),
        ("*/25 */5 * * * *", &["*-*-* *:00/5:00,25,50"]),
        ("0 0 */7 */4 *", &["*-01/4-01,08,15,22,29 00:00:00"]),
    ];
    for (text, expected) in cases {
        assert_eq!(lines(text), expected, "{text}");
    }
    assert_eq!(
        cron("@daily").on_calendar(Some("Europe/Paris")).expect("it has lines"),
        ["*-*-* 00:00:00 Europe/Paris"]
    );
}

#[test]
fn an_interval_with_the_same_times_each_day_is_a_calendar() {
    let anchor = "2026-01-01T10:07:03.25Z";
    let cases: [(u64, &[&str]); 7] = [
        (86_400_000_000, &["*-*-* 10:07:03.25 UTC"]),
        (604_800_000_000, &["Thu *-*-* 10:07:03.25 UTC"]),
        (3_600_000_000, &["*-*-* *:07:03.25 UTC"]),
        (300_000_000, &["*-*-* *:02/5:03.25 UTC"]),
        (20_000_000, &["*-*-* *:*:03.25/20 UTC"]),
        (5_400_000_000, &["*-*-* 01/3:07:03.25 UTC", "*-*-* 02/3:37:03.25 UTC"]),
        (1_200_000, &["*-*-* *:*:00.85/1.2 UTC"]),
    ];
    for (period, expected) in cases {
        let mut found = every(period, anchor).on_calendar(None).expect("it has lines");
        found.sort();
        assert_eq!(found, expected, "{period}");
    }
    assert_eq!(
        every(1_000_000, "2026-01-01T00:00:00Z").on_calendar(None).expect("it has lines"),
        ["*-*-* *:*:* UTC"]
    );
    for period in [7_000_000, 2 * 86_400_000_000, 420_000_000, 1_000_007] {
        assert_eq!(every(period, anchor).on_calendar(None), None, "{period}");
    }
}

#[test]
fn an_instant_is_a_date_in_utc() {
    let line = |text: &str| Schedule::At(instant(text)).on_calendar(None);
    assert_eq!(line("2026-12-24T15:00:00Z"), Some(vec!["2026-12-24 15:00:00 UTC".to_owned()]));
    assert_eq!(line("2026-12-24T15:00:07.5Z"), Some(vec!["2026-12-24 15:00:07.5 UTC".to_owned()]));
    assert_eq!(line("2200-01-01T00:00:00Z"), None);
    assert_eq!(Schedule::Reboot.on_calendar(None), None);
}

#[test]
fn systemd_elapses_in_utc_when_we_fire() {
    let vectors = "0 0 1,15 * 5; 0 0 */2 * 1; 0 0 *,10 * 1; 0 0 10,* * 1; 0 0 1-31 * 1; 0 0 1 * 0-6; \
        0 0 1-31/2 * 1; 0 0 1 * */2; 0 0 1-7 * */7; 0 0 */32,1-7 * MON; 0 0 */32 * 1; 0 0 * * 5-7; \
        0 0 * * 1-7/2; 0 0 * * 0-7/3; 0 0 29 2 *; 0 0 30 2 1; */70 * * * *; */13 */5 * * *; 0 0 31 * *; \
        @weekly; @daily; @hourly; @yearly";
    let texts = vectors.split("; ").map(str::to_owned);
    let texts = texts.chain(random(five_fields(), 400)).chain(random(seven_fields(), 200));
    let mut schedules: Vec<_> =
        texts.filter_map(|text| parse_cron(&text).ok().map(|schedule| (text, schedule, None))).collect();
    for micros in
        [1_000_000, 20_000_000, 90_000_000, 300_000_000, 5_400_000_000, 86_400_000_000, 604_800_000_000]
    {
        schedules.push((format!("every {micros}"), every(micros, "2025-12-31T10:07:03.250001Z"), None));
    }
    schedules.push(("at".to_owned(), Schedule::At(instant("2031-02-28T23:59:59.999999Z")), None));
    for part in schedules.chunks(200) {
        compare(part, "2026-01-01 00:00:00 UTC");
    }
}

/// Steps of every size in each field, and lists, ranges and weekdays beside them.
fn texts_of_every_step() -> Vec<String> {
    let of_31 = "0 0 */N * *; 30 6 2/N * *; */N * * * *; 0 0 3-29/N * *; 59 23 */N 1,12 *; 0 0 */N * 1; \
                 */N * * * * *";
    let of_12 = "0 0 1 */N *; 0 0 31 2-12/N *; 0 */N * * *; 15 1-23/N * * *; 0 0 */4 */N *; \
                 7/N * * * *; 0 */N */7 * *";
    let mut texts = Vec::new();
    for (patterns, last) in [(of_31, 31), (of_12, 12)] {
        for step in 2..=last {
            texts.extend(patterns.split("; ").map(|pattern| pattern.replace('N', &step.to_string())));
        }
    }
    let others =
        ["0 0 1 1 *", "0 0 31 12 *", "@yearly", "@monthly", "@weekly", "0 0 1-7 * */7", "0 0 28-31 * *"];
    texts.extend(others.map(str::to_owned));
    texts
}

#[test]
fn no_elapse_is_lost_at_the_end_of_a_year() {
    let berlin = zone("Europe/Berlin");
    let texts = texts_of_every_step().into_iter().chain(random(five_fields(), 100));
    let schedules: Vec<_> = texts
        .filter_map(|text| parse_cron(&text).ok().map(|schedule| (text, schedule)))
        .flat_map(|(text, schedule)| {
            [(text.clone(), schedule.clone(), None), (text, schedule, Some(&berlin))]
        })
        .collect();
    for year in [2027, 2028] {
        let compared = compare_at_the_end_of(year, &schedules);
        let all = schedules.len();
        assert!(compared > all * 3 / 4, "{compared} of {all} cross the end of {year}");
        eprintln!("{compared} of {all} cross the end of {year}");
    }
}

#[test]
fn around_transitions_systemd_leaves_out_the_reported_fires_and_no_others() {
    let zones = [
        "Europe/Berlin",
        "America/New_York",
        "Europe/Dublin",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "America/Santiago",
        "America/Havana",
        "Africa/Cairo",
    ]
    .map(zone);
    let fixed =
        ["30 2 * * *", "30 1 * * *", "*/20 * * * *", "0 0-4 * * *", "5 */2 * * *", "30 0 * * *", "0 0 * * *"];
    let texts: Vec<String> = fixed.into_iter().map(str::to_owned).chain(random(five_fields(), 16)).collect();
    for zone in &zones {
        let mut at = instant("2026-01-01T00:00:00Z").as_seconds();
        for _ in 0..2 {
            at = zone.segment(at).end;
            let all = texts.iter().map(|text| (text.clone(), cron(text), Some(zone)));
            let from = Timestamp::from_seconds(at - 4 * 3_600);
            let until = Timestamp::from_seconds(at + 3_600);
            let is_odd = |schedule: &Schedule| {
                let first = schedule.first_unlike_systemd(from, until, zone);
                first.is_some_and(|first| elapses_at(schedule, first, zone))
            };
            let schedules: Vec<_> = all.filter(|(_, schedule, _)| !is_odd(schedule)).collect();
            compare(&schedules, &Zone::utc().show(from).replace("+0000", "UTC"));
        }
    }
}

#[test]
fn the_first_fire_that_systemd_would_leave_out_is_found() {
    let berlin = zone("Europe/Berlin");
    let first = |text: &str, years: i64| {
        let from = instant("2026-01-01T00:00:00Z");
        let until = Timestamp::from_seconds(from.as_seconds() + years * 31_557_600);
        cron(text).first_unlike_systemd(from, until, &berlin).map(|at| berlin.show(at))
    };
    assert_eq!(first("30 2 * * *", 10), Some("2026-03-29 03:00:00 +0200".to_owned()));
    assert_eq!(first("30 * * * *", 10), Some("2026-10-25 02:30:00 +0100".to_owned()));
    assert_eq!(first("15 3 * * *", 10), None);
    // systemd also elapses at the transition itself.
    assert_eq!(first("0 0,3 * * *", 10), None);
    assert_eq!(first("30 2 29 3 *", 10), Some("2026-03-29 03:00:00 +0200".to_owned()));
    assert_eq!(first("30 2 28 3 *", 10), Some("2027-03-28 03:00:00 +0200".to_owned()));
    assert_eq!(first("30 2 1 1 *", 10), None);
    assert_eq!(Schedule::Reboot.first_unlike_systemd(Timestamp::MIN, Timestamp::MAX, &Zone::utc()), None);
}
