//! Owns: what a whole table does to its lines: zones, variables, lengths.
//! Never: single lines.

use super::super::{Layout, Verdict};
use super::findings;
use crate::schedule::Dialect;

/// Looking for the similar name that an unknown zone is refused with takes a thousand times as long as reading a line.
#[test]
fn ten_thousand_lines_under_a_zone_that_is_none_are_refused_at_once() {
    let table = ["CRON_TZ=Europe/Pariss\n".to_owned(), "0 4 * * * x\n".repeat(10_000)].concat();
    let found = findings(table.as_bytes(), Dialect::Cronie, Layout::User);
    let cause = "CRON_TZ above: `Europe/Pariss` is not a zone of this machine's tzdata";
    let refused = |verdict: &Verdict<'_>| matches!(verdict, Verdict::Refused { cause: told, .. } if told == cause);
    assert!(found[1..].iter().all(|finding| refused(&finding.verdict)));
}
