//! Owns: the refusals of `--enforce`.
//! Never: setting the limits of a run (see `keeper`).

use std::path::Path;

use crate::daemon::running_daemon;
use crate::domain::{NewJob, ResourceName};
use crate::error::{Error, Result};
use crate::keeper::lock::running_keeper;
use crate::keeper::{Unenforceable, check_enforceable};

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
    // A keeper in a scope of its own has the group there.
    let keeper = running_keeper(dir).and_then(|pid| u32::try_from(pid).ok());
    check_enforceable(keeper.unwrap_or(daemon.pid), &job.requirement.needs)
        .map_err(|cause| Error::conflict(what, format!("`--enforce`: {cause}")).hint(hint(cause)))
}

fn hint(cause: Unenforceable) -> String {
    match cause {
        Unenforceable::NotDelegated | Unenforceable::NotApart => {
            "run the daemon as a service of systemd: `taskq service install`".to_owned()
        }
        Unenforceable::NoController(name) => format!(
            "leave `--enforce` out, or give the group `{name}` with Delegate= of systemd.resource-control(5)"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_advised_only_where_one_would_help() {
        assert!(hint(Unenforceable::NotDelegated).contains("`taskq service install`"));
        assert_eq!(
            hint(Unenforceable::NoController("memory")),
            "leave `--enforce` out, or give the group `memory` with Delegate= of systemd.resource-control(5)"
        );
    }
}
