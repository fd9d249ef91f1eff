//! Owns: the effect of lines on the lines below: zones, variables, lengths.
//! Never: single lines.

use super::super::{Layout, Note, Verdict};
use super::{findings, last_entry};
use crate::schedule::Dialect;

/// The search for a similar zone, for the hint, takes a thousand times as long as reading a line.
#[test]
fn ten_thousand_lines_under_a_bad_zone_are_refused_at_once() {
    let table = ["CRON_TZ=Europe/Pariss\n".to_owned(), "0 4 * * * x\n".repeat(10_000)].concat();
    let found = findings(table.as_bytes(), Dialect::Cronie, Layout::User);
    let expected = "CRON_TZ above: `Europe/Pariss` is not a zone of this machine's tzdata";
    let is_expected =
        |verdict: &Verdict<'_>| matches!(verdict, Verdict::Refused { cause, .. } if cause == expected);
    assert!(found[1..].iter().all(|finding| is_expected(&finding.verdict)));
}

/// cronie reads it by strtol(3), which stops at the first other character.
#[test]
fn a_delay_is_the_number_at_the_beginning_of_its_value() {
    let delay = |value: &str| {
        let table = format!("RANDOM_DELAY={value}\n0 4 * * * x\n");
        let notes = &findings(table.as_bytes(), Dialect::Cronie, Layout::User)[0].notes;
        let is_bad = notes.iter().any(|note| matches!(note, Note::NoDelay(_)));
        let entry = last_entry(&table, Dialect::Cronie, Layout::User).expect("it is an entry");
        let delay = entry.timing.expect("it fires").delay;
        (!is_bad).then(|| delay.as_millis() / 60_000)
    };
    for value in ["60", "60 minutes", "60m", "+60", "\" 60 \"", "60.5"] {
        assert_eq!(delay(value), Some(30), "{value}");
    }
    assert_eq!(delay("1440"), Some(720));
    assert_eq!(delay("0"), Some(0));
    for value in ["1441", "-5", "m60", "\"\"", "99999999999999999999"] {
        assert_eq!(delay(value), None, "{value}");
    }
}

/// Otherwise the report of a table would be as long as the name, times the lines below it.
#[test]
fn a_long_name_is_shortened_in_a_refusal() {
    let long = "x".repeat(100_000);
    let causes = |table: String, origin, layout| {
        let found = findings(table.as_bytes(), origin, layout);
        let causes = found.iter().filter_map(|finding| match &finding.verdict {
            Verdict::Refused { cause, .. } => Some(cause.len()),
            Verdict::Nothing | Verdict::Variable(_) | Verdict::Entry(_) => None,
        });
        causes.collect::<Vec<_>>()
    };
    let zone = causes(format!("CRON_TZ={long}\n@daily x\n@daily x\n"), Dialect::Cronie, Layout::User);
    let user = causes(format!("@daily {long} x\n"), Dialect::Debian, Layout::System);
    let field = causes(format!("{long} * * * * x\n"), Dialect::Debian, Layout::User);
    let nickname = causes(format!("@{long} x\n"), Dialect::Debian, Layout::User);
    let all = [zone, user, field, nickname].concat();
    assert_eq!(all.len(), 5);
    assert!(all.iter().all(|length| *length < 200), "{all:?}");
}
