//! Owns: the words of `why` for runs on executors.
//! Never: the other reasons (see `why`).

use super::times::Times;
use crate::engine::{FarWait, HostWait};
use crate::shown::escaped;
use crate::store::Unreachable;

/// Returns that a host does not answer.
pub(super) fn unreachable_text(unreachable: &Unreachable, times: &Times<'_>) -> String {
    let (since, cause) = (times.show(unreachable.since), escaped(&unreachable.cause));
    format!("its host has not answered since {since}: {cause}")
}

/// Returns the wait for an executor as a predicate.
pub(super) fn far_text(wait: &FarWait, times: &Times<'_>) -> String {
    match wait {
        FarWait::NoExecutor(name) => format!("cannot start: there is no executor `{name}` any more"),
        FarWait::Never(name) => format!("cannot start: no host of executor `{name}` has what it needs"),
        FarWait::Given { place, note, unreachable } => {
            let said = match (unreachable, note) {
                (Some((since, cause)), _) => {
                    format!(", which has not answered since {}: {}", times.show(*since), escaped(cause))
                }
                (None, Some(note)) => format!(": {}", escaped(note)),
                (None, None) => String::new(),
            };
            format!("waits for its start on `{place}`{said}")
        }
        FarWait::NoHost { name, hosts } => {
            let hosts: Vec<String> = hosts.iter().map(|(host, wait)| host_text(host, wait, times)).collect();
            format!("waits for executor `{name}`: {}", hosts.join("; "))
        }
    }
}

fn host_text(host: &str, wait: &HostWait, times: &Times<'_>) -> String {
    let host = if host.is_empty() { "it" } else { host };
    match wait {
        HostWait::Unreachable(since, cause) => {
            format!("{host} has not answered since {}: {}", times.show(*since), escaped(cause))
        }
        HostWait::Draining => format!("{host} is draining"),
        HostWait::Full(taken, slots) => format!("{host} has {taken} of {slots} runs"),
        HostWait::Lacks => format!("other runs have what it needs on {host}"),
    }
}

/// Returns the one thing to do about such a wait.
pub(super) fn far_hint(wait: &FarWait) -> Option<String> {
    match wait {
        FarWait::NoExecutor(name) => Some(format!("make it again with `taskq executor add {name}`")),
        FarWait::Never(name) => {
            Some(format!("see `taskq executor list`, and the needs of the job on `{name}`"))
        }
        FarWait::Given { place, unreachable: Some(_), .. } => {
            Some(format!("`taskq executor check {}` tries its hosts", place.executor))
        }
        FarWait::NoHost { name, hosts } => {
            let is_down = |(_, wait): &(String, HostWait)| matches!(wait, HostWait::Unreachable(..));
            hosts.iter().any(is_down).then(|| format!("`taskq executor check {name}` tries its hosts"))
        }
        FarWait::Given { unreachable: None, .. } => None,
    }
}
