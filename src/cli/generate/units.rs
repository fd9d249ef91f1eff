//! Owns: the units that a package brings, by their place below `packaging/systemd` and `/usr/lib/systemd`.
//! Never: their words (see `cli/systemd/unit`).

use crate::cli::systemd::unit::packaged_text;
use crate::system::manager::Manager;

/// Returns each unit with its directory there and its name.
pub fn units() -> [(&'static str, &'static str, String); 2] {
    [("user", Manager::User), ("system", Manager::System)]
        .map(|(directory, scope)| (directory, "taskq.service", packaged_text(scope)))
}
