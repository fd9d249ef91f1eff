//! Owns: tables for the parts of `crontab` together.
//! Never: real tables (see tests/corpus), random ones (see tests/differential.rs and fuzz/).

mod commands;
mod environments;
mod probes;
mod tables;
mod values;

use super::{Entry, Finding, Layout, Options, Verdict, read};
use crate::schedule::Dialect;

const USERS: [&[u8]; 2] = [b"root", b"nobody"];

fn findings(file: &[u8], origin: Dialect, layout: Layout) -> Vec<Finding<'_>> {
    read(file, &Options { origin, layout, host: 1 << 63, knows_user: &|name| USERS.contains(&name) })
}

/// Returns the entry of the last line.
fn last_entry(file: &str, origin: Dialect, layout: Layout) -> Option<Entry<'_>> {
    match findings(file.as_bytes(), origin, layout).pop()?.verdict {
        Verdict::Entry(entry) => Some(entry),
        Verdict::Nothing | Verdict::Variable(_) | Verdict::Refused { .. } => None,
    }
}

fn is_refused(finding: &Finding<'_>) -> bool {
    matches!(finding.verdict, Verdict::Refused { .. })
}

/// Returns whether this cron accepts every line.
fn is_accepted(file: &[u8], origin: Dialect, layout: Layout) -> bool {
    let is_noted = |finding: &Finding<'_>| finding.notes.iter().any(|note| note.refusal_by(origin).is_some());
    !findings(file, origin, layout).iter().any(|finding| is_refused(finding) || is_noted(finding))
}
