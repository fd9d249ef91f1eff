//! Owns: how many descriptors this process, and what it starts, may have open.
//! Never: opening one.

use std::os::fd::OwnedFd;

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

use super::sys;

/// Raises the soft limit of descriptors to the hard one, and returns what it was; `None`: it is as it was.
///
/// The soft limit is low (1,024) for programs that use select(2); whoever starts such programs must give it
/// back to them: see `set_descriptor_limit`.
pub fn raise_descriptor_limit() -> Option<rlim_t> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    (soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok()).then_some(soft)
}

/// Sets the soft limit of descriptors, as far as the hard one lets it.
pub fn set_descriptor_limit(soft: rlim_t) {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // A limit that is not above the hard one is never refused.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft.min(hard), hard);
    }
}

/// Moves a descriptor that stays open beyond those that a run may have, `soft` of them: posix_spawn(3) wants
/// the ones that it is given below the run's limit.
pub(super) fn out_of_the_way(fd: OwnedFd, soft: Option<rlim_t>) -> OwnedFd {
    match soft {
        Some(soft) => sys::move_up(fd, soft),
        None => fd,
    }
}

/// Returns how many descriptors this process may have open.
pub fn descriptor_limit() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1_024, |(soft, _)| soft);
    usize::try_from(limit).unwrap_or(usize::MAX)
}
