//! Owns: what the parts of `crontab` do together, as tables.
//! Never: what real tables look like (see tests/corpus), random ones (see tests/differential.rs and fuzz/).

mod tables;

use super::{Finding, Layout, Options, read};
use crate::schedule::Dialect;

const USERS: [&[u8]; 2] = [b"root", b"nobody"];

fn findings(file: &[u8], origin: Dialect, layout: Layout) -> Vec<Finding<'_>> {
    read(file, &Options { origin, layout, host: 1, knows_user: &|name| USERS.contains(&name) })
}
