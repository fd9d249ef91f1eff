//! Owns: the refusal to remove what jobs use.
//! Never: finding out who uses it (see `store`).

use crate::domain::JobId;
use crate::error::{Error, Result};
use crate::shown::counted;

/// Refuses to go on while there are users: how many jobs, and the first of them. `words`: what one does, and
/// what several do; `way`: what to do about each.
///
/// # Errors
/// There are users.
pub fn refuse_used(
    what: &str,
    (jobs, first): (u64, Option<JobId>),
    [one, several]: [&str; 2],
    way: impl FnOnce(JobId) -> String,
) -> Result<()> {
    let Some(first) = first else { return Ok(()) };
    let cause = match usize::try_from(jobs - 1).unwrap_or(usize::MAX) {
        0 => format!("job {first} {one}"),
        others => format!("job {first} and {} {several}", counted(others, "other")),
    };
    Err(Error::conflict(what, cause).hint(format!("{}, or cancel it", way(first))))
}
