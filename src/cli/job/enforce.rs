//! Owns: the refusals of `--enforce`.
//! Never: setting the limits of a run (see `keeper`).

use std::path::Path;

use crate::daemon::running_daemon;
use crate::domain::{NewJob, ResourceName};
use crate::error::{Error, Result};
use crate::keeper::check_enforceable;

/// Refuses `--enforce` for a job that books nothing of what can be limited.
pub fn refuse_unbooked(job: &NewJob, what: &str) -> Result<()> {
    let mut names = job.requirement.needs.iter().map(|(name, _)| name);
    if !job.enforce || names.any(ResourceName::is_enforceable) {
        return Ok(());
    }
    Err(Error::usage(what, "`--enforce` limits `cpu` and `mem`, and the job books neither")
        .hint("book what it may use, as in `-R cpu=2,mem=4G`"))
}

/// Refuses `--enforce` where the daemon of the store in `dir` cannot limit its runs. Without a daemon nobody
/// knows: then the start of the run fails.
pub fn refuse_unenforced(job: &NewJob, dir: &Path, what: &str) -> Result<()> {
    let Some(daemon) = job.enforce.then(|| running_daemon(dir)).flatten() else { return Ok(()) };
    check_enforceable(daemon.pid, &job.requirement.needs).map_err(|cause| {
        Error::conflict(what, format!("`--enforce`: {cause}")).hint(
            "run the daemon in a service of systemd 254 or later with `Delegate=yes` and \
             `DelegateSubgroup=taskq-main`",
        )
    })
}
