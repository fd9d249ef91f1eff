//! Owns: whether something can start the runs of a store.
//! Never: starting it.

use std::path::Path;

use super::lock::running_daemon;
use crate::engine::Service;
use crate::keeper::lock::keeper_version;
use crate::keeper::protocol::VERSION_OF_STARTS;

/// Returns whether a daemon and a keeper can start the runs of the store in `dir`.
pub fn service(dir: &Path) -> Service {
    if running_daemon(dir).is_none() {
        return Service::NoDaemon;
    }
    match keeper_version(dir) {
        None => Service::NoKeeper,
        Some(version) if version < VERSION_OF_STARTS => Service::OldKeeper,
        Some(_) => Service::Ready,
    }
}
