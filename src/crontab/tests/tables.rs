//! Owns: what a whole table does to its lines: zones, variables, lengths.
//! Never: single lines.

use super::super::{Layout, Note, Verdict};
use super::findings;
use crate::schedule::Dialect;

/// Looking for the similar name that an unknown zone is refused with takes a thousand times as long as
/// reading a line.
#[test]
fn ten_thousand_lines_under_a_zone_that_is_none_are_refused_at_once() {
    let table = ["CRON_TZ=Europe/Pariss\n".to_owned(), "0 4 * * * x\n".repeat(10_000)].concat();
    let found = findings(table.as_bytes(), Dialect::Cronie, Layout::User);
    let cause = "CRON_TZ above: `Europe/Pariss` is not a zone of this machine's tzdata";
    let refused =
        |verdict: &Verdict<'_>| matches!(verdict, Verdict::Refused { cause: told, .. } if told == cause);
    assert!(found[1..].iter().all(|finding| refused(&finding.verdict)));
}

/// cronie reads it by strtol(3), which looks at no more than it needs.
#[test]
fn a_delay_is_the_number_that_its_value_begins_with() {
    let delay = |value: &str| {
        let table = format!("RANDOM_DELAY={value}\n0 4 * * * x\n");
        let found = findings(table.as_bytes(), Dialect::Cronie, Layout::User);
        let is_told = found[0].notes.iter().any(|note| matches!(note, Note::NoDelay(_)));
        let Verdict::Entry(entry) = &found[1].verdict else { panic!("{found:?}") };
        let delay = entry.timing.as_ref().expect("it fires").delay;
        (!is_told).then(|| delay.as_millis() / 60_000)
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

/// What is said of each line below a name would otherwise be as long as the name, times the lines.
#[test]
fn a_long_name_is_shortened_where_it_is_refused() {
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
