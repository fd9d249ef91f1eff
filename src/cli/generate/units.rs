//! Owns: the units that a package brings, by their place below `packaging/systemd` and `/usr/lib/systemd`.
//! Never: their words (see `cli/systemd/unit`).

use crate::cli::systemd::unit::{Scope, packaged_text};

/// Returns each unit with its directory there and its name.
pub fn units() -> [(&'static str, &'static str, String); 2] {
    [("user", Scope::User), ("system", Scope::System)]
        .map(|(directory, scope)| (directory, "taskq.service", packaged_text(scope)))
}
