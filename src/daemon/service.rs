//! Owns: whether something can start the runs of a store.
//! Never: starting it.

use std::path::Path;

use super::lock::running_daemon;
use crate::domain::Requirement;
use crate::engine::Service;
use crate::keeper::lock::keeper_version;
use crate::keeper::protocol::KeeperId;

/// Returns the same of runs with this requirement. `service`: that of other runs.
pub fn service_for(service: Service, dir: &Path, requirement: &Requirement) -> Service {
    let is_special = !requirement.needs.is_empty() || requirement.scripts().next().is_some();
    let knows = |version| KeeperId { instance: 0, version }.knows_requirements(false);
    match service {
        Service::Ready if is_special && !keeper_version(dir).is_some_and(knows) => Service::OldKeeper,
        service => service,
    }
}

/// Returns whether a daemon and a keeper can start the runs of the store in `dir`, which is sealed or not.
pub fn service(dir: &Path, is_sealed: bool) -> Service {
    if running_daemon(dir).is_none() {
        return Service::NoDaemon;
    }
    match keeper_version(dir) {
        None => Service::NoKeeper,
        Some(version) if KeeperId { instance: 0, version }.takes_starts(is_sealed) => Service::Ready,
        Some(_) => Service::OldKeeper,
    }
}
