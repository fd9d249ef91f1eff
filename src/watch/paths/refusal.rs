//! Owns: why a path cannot be listened to, in words.
//! Never: finding that out (see `check`).

use std::io::{self, ErrorKind};
use std::path::Path;

use nix::errno::Errno;

use crate::error::describe;

/// Why a path cannot be listened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRefusal {
    /// In the form of the cause of an `Error`.
    pub cause: String,
    /// One thing to do about it.
    pub hint: Option<String>,
}

impl PathRefusal {
    pub(super) fn new(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// Explains that a file or directory cannot be read.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> PathRefusal {
    PathRefusal::new(format!("cannot read `{}`: {}", path.display(), describe(error)))
}

/// Explains that there is no room for another instance of inotify(7).
pub(super) fn instance_refusal(error: &io::Error) -> PathRefusal {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EMFILE) => {
            let hint = "raise it with `sysctl fs.inotify.max_user_instances=1024`";
            PathRefusal::new("all inotify instances of this user are taken (fs.inotify.max_user_instances)")
                .hint(hint)
        }
        _ => PathRefusal::new(format!("cannot use inotify: {}", describe(error))),
    }
}

/// Explains that a directory cannot be watched.
pub(super) fn limit_refusal(path: &Path, error: &io::Error) -> PathRefusal {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOSPC) => {
            let hint = "raise it with `sysctl fs.inotify.max_user_watches=1048576`";
            PathRefusal::new("all inotify watches of this user are taken (fs.inotify.max_user_watches)")
                .hint(hint)
        }
        _ if error.kind() == ErrorKind::PermissionDenied => unreadable(path, error),
        _ => PathRefusal::new(format!("cannot watch `{}`: {}", path.display(), describe(error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_named_by_their_sysctl() {
        for (refusal, sysctl) in [
            (instance_refusal(&Errno::EMFILE.into()), "fs.inotify.max_user_instances"),
            (limit_refusal(Path::new("/x"), &Errno::ENOSPC.into()), "fs.inotify.max_user_watches"),
        ] {
            assert!(refusal.cause.contains(sysctl), "{refusal:?}");
            assert!(refusal.hint.is_some_and(|hint| hint.contains(sysctl)));
        }
        let refusal = limit_refusal(Path::new("/x"), &Errno::EACCES.into());
        assert_eq!(refusal.cause, "cannot read `/x`: permission denied");
    }
}
