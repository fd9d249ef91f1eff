//! Owns: what cannot be asked of a job that runs on an executor.
//! Never: whether the executor exists (see `daemon::resources`).

use crate::domain::NewJob;
use crate::error::{Error, Result};

/// Refuses the options that have to do with processes of this machine.
pub fn refuse_far(job: &NewJob, what: &str) -> Result<()> {
    if job.requirement.executor.is_none() {
        return Ok(());
    }
    let given = [
        (
            "--user",
            job.execution.user.is_some(),
            "name the user at the host: `taskq executor add --host USER@HOST`",
        ),
        ("--enforce", job.enforce, "the limits of a host are its own"),
    ];
    match given.into_iter().find(|(_, is_given, _)| *is_given) {
        Some((option, _, hint)) => {
            Err(Error::usage(what, format!("`{option}` and `--executor` exclude each other")).hint(hint))
        }
        None => Ok(()),
    }
}
