//! Owns: the limit of open descriptors, of this process and of those that it starts.
//! Never: opening one.

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

/// A limit of descriptors that was raised.
#[derive(Clone, Copy, Debug)]
pub struct DescriptorLimit {
    /// The soft limit as it was.
    pub soft: rlim_t,
    hard: rlim_t,
}

impl DescriptorLimit {
    /// Sets the limit as it was. Safe between fork(2) and execve(2).
    pub(super) fn restore(self) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, self.soft, self.hard);
    }

    /// Sets the limit as it was until the guard is dropped.
    pub(super) fn lower(self) -> impl Drop {
        struct Lowered(rlim_t);
        impl Drop for Lowered {
            fn drop(&mut self) {
                let _ = setrlimit(Resource::RLIMIT_NOFILE, self.0, self.0);
            }
        }
        self.restore();
        Lowered(self.hard)
    }
}

/// Raises the soft limit of descriptors to the hard one. Returns `None` if nothing has changed. `soft` is the
/// limit before, if it is raised already.
///
/// The soft limit is low (1,024) for programs that use select(2), so it must be restored for programs that
/// this process starts.
pub fn raise_descriptor_limit(soft: Option<rlim_t>) -> Option<DescriptorLimit> {
    let (current, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let soft = soft.unwrap_or(current);
    let is_raised = soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
    is_raised.then_some(DescriptorLimit { soft, hard })
}

/// Returns how many descriptors this process may have open.
pub fn descriptor_limit() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1_024, |(soft, _)| soft);
    usize::try_from(limit).unwrap_or(usize::MAX)
}
