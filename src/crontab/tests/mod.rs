//! Owns: what the parts of `crontab` do together, as tables.
//! Never: what real tables look like (see tests/corpus), random ones (see tests/differential.rs and fuzz/).

mod commands;
mod environments;
mod probes;
mod tables;
mod values;

use super::{Finding, Layout, Options, Verdict, read};
use crate::schedule::Dialect;

const USERS: [&[u8]; 2] = [b"root", b"nobody"];

fn findings(file: &[u8], origin: Dialect, layout: Layout) -> Vec<Finding<'_>> {
    read(file, &Options { origin, layout, host: 1 << 63, knows_user: &|name| USERS.contains(&name) })
}

/// Tells whether nothing is found that this cron refuses.
fn is_taken(file: &[u8], origin: Dialect, layout: Layout) -> bool {
    findings(file, origin, layout).iter().all(|finding| {
        let is_refused = matches!(finding.verdict, Verdict::Refused { .. });
        let is_told = finding.notes.iter().any(|note| note.refusal_by(origin).is_some());
        !is_refused && !is_told
    })
}
