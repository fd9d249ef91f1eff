//! Owns: expressions that are read, and the refusals of others.
//! Never: zones other than UTC.

use super::super::{Dialect, ParseError, Schedule, Zone, compile, fold_cron, parse_cron};
use super::{cron, instant, shown};
use crate::domain::{Span, Timestamp, TriggerSpec};

fn refusal(text: &str) -> ParseError {
    match parse_cron(text) {
        Ok(schedule) => panic!("{text} was read: {schedule:?}"),
        Err(refusal) => refusal,
    }
}

/// Returns our own reading and, for five fields, those of both crons.
fn all_readings(text: &str) -> Vec<Schedule> {
    let mut readings = vec![cron(text)];
    let fields: Vec<_> = text.split(' ').map(str::as_bytes).collect();
    if let Ok(fields) = <&[&[u8]; 5]>::try_from(&fields[..]) {
        for dialect in [Dialect::Debian, Dialect::Cronie] {
            let reading =
                dialect.read(fields, 0).unwrap_or_else(|bad| panic!("{dialect:?}: {text}: {bad:?}"));
            readings.push(reading.schedule().expect("it fires"));
        }
    }
    readings
}

#[test]
fn five_fields_fire_as_measured_with_debian_cron_and_cronie() {
    let check = |text: &str, expected: &[String]| {
        for schedule in all_readings(text) {
            let found = shown(&schedule, "2026-01-01T00:00:00Z", &Zone::utc(), expected.len());
            assert_eq!(found, expected, "{text}");
        }
    };
    for (text, expected) in [
        ("0 0 1,15 * 5", "01-02 01-09 01-15 01-16"),
        ("0 0 */2 * 1", "01-05 01-19 02-09 02-23"),
        ("0 0 *,10 * 1", "01-05 01-12 01-19 01-26"),
        ("0 0 10,* * 1", "01-02 01-03 01-04 01-05"),
        ("0 0 1-31 * 1", "01-02 01-03 01-04 01-05"),
        ("0 0 1 * 0-6", "01-02 01-03 01-04 01-05"),
        ("0 0 1-31/2 * 1", "01-03 01-05 01-07 01-09"),
        ("0 0 1 * */2", "02-01 03-01 08-01 09-01"),
        ("0 0 1-7 * */7", "01-04 02-01 03-01 04-05"),
        ("0 0 */32,1-7 * MON", "01-05 02-02 03-02 04-06"),
        ("0 0 */32 * 1", "06-01 02-01 03-01 11-01"),
        ("0 0 * * 5-7", "01-02 01-03 01-04 01-09"),
        ("0 0 * * 1-7/2", "01-02 01-04 01-05 01-07"),
        ("0 0 * * 0-7/3", "01-03 01-04 01-07 01-10"),
        ("0 0 29 2 *", "02-29 02-29"),
        ("0 0 30 2 1", "02-02 02-09 02-16 02-23"),
        ("0 0 31 * *", "01-31 03-31 05-31 07-31"),
        ("@weekly", "01-04 01-11"),
        ("@daily", "01-02 01-03"),
        ("@midnight", "01-02 01-03"),
        ("@monthly", "02-01 03-01"),
        ("@yearly", "01-01 01-01"),
        ("@annually", "01-01 01-01"),
        ("0 0 * * mon-fri/2", "01-02 01-05 01-07 01-09"),
        ("0 0 * * SUN-tue", "01-04 01-05 01-06 01-11"),
        ("0 0 1 JAN-mar/2 *", "03-01 01-01 03-01"),
        ("0 0 1 jan-3 *", "02-01 03-01 01-01"),
    ] {
        check(text, &expected.split(' ').map(|day| format!("{day} 00:00")).collect::<Vec<_>>());
    }
    for (text, expected) in [
        ("*/70 * * * *", "01:00 02:00 03:00 04:00"),
        ("*/13 */5 * * *", "00:13 00:26 00:39 00:52"),
        ("007 * * * *", "00:07 01:07 02:07"),
        ("@hourly", "01:00 02:00 03:00"),
    ] {
        check(text, &expected.split(' ').map(|time| format!("01-01 {time}")).collect::<Vec<_>>());
    }
}

#[test]
fn a_date_forty_years_away_is_found() {
    // 29 February is a Sunday in 2088 and then not before 2128, because 2100 is not a leap year.
    let schedule = cron("0 0 29 2 */7");
    let next = |after| schedule.next_after(instant(after), &Zone::utc());
    assert_eq!(next("2060-03-01T00:00:00Z"), Some(instant("2088-02-29T00:00:00Z")));
    assert_eq!(next("2088-02-29T00:00:00Z"), Some(instant("2128-02-29T00:00:00Z")));
}

/// Expressions that Debian's cron, cronie or a newer dialect reads, and garbage.
const REFUSED: &str = "5* * * * *; 1.5 * * * *; 1-5-7 * * * *; *-5 * * * *; *5 * * * *; */5/2 * * * *; \
    * * * * 5#2; * * * * mon#1; 5a * * * *; +5 * * * *; -5 * * * *; 0x10 * * * *; * * L * *; * * 15W * *; \
    * * * * 5L; * * ? * *; H * * * *; R * * * *; 0~29 * * * *; ~ * * * *; 5/15 * * * *; 22-2 * * * *; \
    * 22-2 * * *; * * * nov-feb *; * * * * sat-sun; * * * * fri-mon; 1,,2 * * * *; ,1 * * * *; 1, * * * *; \
    , * * * *; \
    */0 * * * *; */-5 * * * *; */ * * * *; 1- * * * *; -1 * * * *; 60 * * * *; * 24 * * *; * * 0 * *; \
    * * 32 * *; * * * 0 *; * * * 13 *; * * * * 8; 4294967297 * * * *; */4294967297 * * * *; \
    99999999999999999999 * * * *; mon * * * *; * jan * * *; * * jan * *; * * * mon *; * * * * sunday; \
    * * * * su; * * * january *; 0 0 31 2 *; 0 0 30 2 *; 0 0 31 4,6,9,11 *; 0 0 31 */11,feb,4 */9,1-0; *; \
    * * * *; * * * * * * * *; @; @Daily; @REBOOT; @every 5m; @minutely; @daily x; @ daily; é * * * *; \
    \u{661} * * * *";

#[test]
fn expressions_of_only_some_crons_are_refused() {
    refusal("");
    for text in REFUSED.split("; ") {
        refusal(text);
    }
}

/// A text, the cause, the column (0: none), and how the hint begins.
const REFUSALS: &[(&str, &str, usize, &str)] = &[
    ("75 3 * * *", "minute `75` in `75 3 * * *` is outside 0-59", 1, ""),
    ("0 22-2 * * *", "hour `22-2` in `0 22-2 * * *` runs backwards", 3, "write `22-23,0-2`"),
    (
        "0 0 * * mon,sat-sun",
        "weekday `sat-sun` in `0 0 * * mon,sat-sun` runs backwards",
        13,
        "write `sat,sun`",
    ),
    (
        "0 0 * * fri-mon",
        "weekday `fri-mon` in `0 0 * * fri-mon` runs backwards",
        9,
        "write `fri-sat,sun-mon`",
    ),
    ("0 0 * * 7-2", "weekday `7-2` in `0 0 * * 7-2` runs backwards", 9, "write `0-2`"),
    ("0 0 1 nov-feb *", "month `nov-feb` in `0 0 1 nov-feb *` runs backwards", 7, "write `nov-dec,jan-feb`"),
    ("5/15 * * * *", "minute `5/15` in `5/15 * * * *` has a step after a single value", 1, "write `5-59/15`"),
    ("1,,2 * * * *", "minute `1,,2` in `1,,2 * * * *` has an empty item", 3, "a field is a list"),
    ("*/0 * * * *", "minute `*/0` in `*/0 * * * *` has step 0", 1, "a step is 1 or more"),
    ("* * L * *", "day of month `L` in `* * L * *` is not understood", 5, "a field is a list"),
    (
        "0 0 * * sunday",
        "weekday `sunday` in `0 0 * * sunday` is not understood",
        9,
        "names have three letters: `sun`",
    ),
    ("0 0 31 2 *", "`0 0 31 2 *` never fires: none of its months has such a day", 0, ""),
    ("* * *", "`* * *` has 3 fields", 0, "an expression has 5 fields"),
    ("0 /1 * * *", "hour `/1` in `0 /1 * * *` is not understood", 3, "did you mean `*/1`?"),
    ("/5 * * * *", "minute `/5` in `/5 * * * *` is not understood", 1, "did you mean `*/5`?"),
    ("/ * * * *", "minute `/` in `/ * * * *` is not understood", 1, "a field is a list"),
    ("0 0 /2 * * *", "hour `/2` in `0 0 /2 * * *` is not understood", 5, "did you mean `*/2`?"),
    ("0 0 1,/2 * * *", "hour `/2` in `0 0 1,/2 * * *` is not understood", 5, "did you mean `*/2`?"),
    ("-1 * * * *", "minute `-1` in `-1 * * * *` is not understood", 1, "a field is a list"),
    ("@Daily", "`@Daily` is not a nickname of crontab(5)", 1, "did you mean `@daily`?"),
    ("@REBOOT", "`@REBOOT` is not a nickname of crontab(5)", 1, "did you mean `@reboot`?"),
    ("daily", "`daily` has 1 field", 0, "did you mean `@daily`?"),
    ("Weekly", "`Weekly` has 1 field", 0, "did you mean `@weekly`?"),
    ("@every 5m", "`@every 5m` is not a nickname of crontab(5)", 1, "use `--every 5m`"),
    (
        "0 0 25 * * *",
        "hour `25` in `0 0 25 * * *` is outside 0-23",
        5,
        "six fields begin with the second; an hour is 0-23, `*`",
    ),
    ("0 0 0 ? * 1-5", "weekday `1-5` in `0 0 0 ? * 1-5` is a number", 11, "weekdays have names"),
    (
        "0 0 0 L * ?",
        "day of month `L` in `0 0 0 L * ?` is not understood",
        7,
        "six fields begin with the second; a day of month is 1-31, `*`",
    ),
    ("0 0 */24 * * ?", "hour `*/24` in `0 0 */24 * * ?` has a step outside 1-23", 5, "six fields begin"),
    ("0 0 0 30 feb ?", "`0 0 0 30 feb ?` never fires", 0, ""),
];

#[test]
fn a_refusal_has_cause_column_and_hint() {
    for (text, cause, column, hint) in REFUSALS.iter().copied() {
        let refusal = refusal(text);
        assert!(refusal.cause.starts_with(cause), "{refusal}");
        assert_eq!(refusal.column.unwrap_or(0), column, "{text}");
        assert!(refusal.hint.clone().unwrap_or_default().starts_with(hint), "{text}: {:?}", refusal.hint);
    }
}

#[test]
fn six_and_seven_fields_fire_on_seconds_and_in_years() {
    let utc = Zone::utc();
    let next = |text: &str, after| cron(text).next_after(instant(after), &utc).map(|at| at.to_string());
    let found = |text: &str| Some(text.to_owned());
    assert_eq!(next("*/10 * * * * *", "2026-01-01T00:00:00.5Z"), found("2026-01-01T00:00:10Z"));
    assert_eq!(next("0 30 9 ? * MON-FRI", "2026-01-02T10:00:00Z"), found("2026-01-05T09:30:00Z"));
    assert_eq!(next("0 0 0 13 * FRI", "2026-01-01T00:00:00Z"), found("2026-02-13T00:00:00Z"));
    assert_eq!(next("0 0 0 1 1 ? 2099", "1970-01-02T00:00:00Z"), found("2099-01-01T00:00:00Z"));
    assert_eq!(next("0 0 0 1 1 ? 2020", "2026-01-01T00:00:00Z"), None);
    assert_eq!(next("0 0 0 1 1 ?", "2100-01-01T00:00:00Z"), None);
    assert_eq!(next("59 59 23 31 12 ? 2100", "2026-01-01T00:00:00Z"), found("2100-12-31T23:59:59Z"));
}

#[test]
fn six_fields_that_run_into_each_other_or_never_fire_are_refused() {
    for text in [
        "0 0 0 1 1 MON*",
        "1, 2 3 4 5 * MON",
        "1 ,2 3 4 5 * MON",
        "0***** * * * * *",
        "0 0 0 1 1 ? 2101",
        "0 0 0 1 1 ? 1969",
        "0 0 0 1 1 mon/2",
        "0 0 0 1 1 0",
        "0 0 0 * * sat-sun",
        "@daily * * * * *",
        "0 0 0 29 2 ? 2025-2027",
        "60 * * * * *",
        "* * * * * * *-",
        "0 0 0 99999999999 * ?",
    ] {
        refusal(text);
    }
}

#[test]
fn white_space_is_folded_and_has_no_meaning() {
    assert_eq!(fold_cron(" \t*/5  *\t* *   mon \n"), "*/5 * * * mon");
    assert_eq!(parse_cron("\t*/5  *\t* *   mon "), parse_cron("*/5 * * * mon"));
    assert_eq!(parse_cron(" @reboot "), Ok(Schedule::Reboot));
}

#[test]
fn a_stored_trigger_compiles_to_the_schedule_that_was_read() {
    let at = Timestamp::from_seconds(1);
    let day = Span::from_seconds(86_400);
    let cron_spec = |expr: &str| TriggerSpec::Cron { expr: expr.to_owned(), zone: None, delay: Span::ZERO };
    assert_eq!(compile(&TriggerSpec::At { at, delay: Span::ZERO }), Ok(Schedule::At(at)));
    assert_eq!(compile(&cron_spec("@daily")), Ok(cron("@daily")));
    assert_eq!(compile(&cron_spec("0 0 0 1 1 ? 2030")), Ok(cron("0 0 0 1 1 ? 2030")));
    let every = |period| compile(&TriggerSpec::Every { period, anchor: at, delay: Span::ZERO });
    assert_eq!(every(day), Ok(Schedule::Every { period: day, anchor: at }));
    assert!(every(Span::ZERO).is_err());
    assert!(compile(&cron_spec("0 0 31 2 *")).is_err());
}

#[test]
fn a_delayed_trigger_fires_so_much_after_each_instant_of_its_expression() {
    let by = Span::from_seconds(90 * 60);
    let spec = TriggerSpec::Cron { expr: "30 2 * * *".to_owned(), zone: None, delay: by };
    let delayed = compile(&spec).expect("it is an expression");
    let berlin = Zone::named("Europe/Berlin").expect("a zone");
    let after = instant("2026-03-28T00:00:00Z");
    let mut plain_fire = after;
    let mut fire = delayed.next_after(after, &berlin).expect("it fires");
    for _ in 0..3 {
        plain_fire = cron("30 2 * * *").next_after(plain_fire, &berlin).expect("it fires");
        assert_eq!(fire, plain_fire + by);
        assert_eq!(delayed.daylight(fire, &berlin), cron("30 2 * * *").daylight(plain_fire, &berlin));
        fire = delayed.next_after(fire, &berlin).expect("it fires");
    }
    assert_eq!(delayed.count(after, plain_fire + by, &berlin), 3);
    assert_eq!(delayed.latest(after, plain_fire, 9, &berlin).len(), 2);
    let reboot = TriggerSpec::Cron { expr: "@reboot".to_owned(), zone: None, delay: by };
    assert_eq!(compile(&reboot), Ok(Schedule::Reboot));
}
