//! Owns: which systemd a unit belongs to: that of the system, or that of a user.
//! Never: asking it.

use super::users;

/// A manager of units (systemd(1)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    System,
    /// That of the caller.
    User,
}

impl Manager {
    /// Returns that of the system for root, else that of the user.
    pub fn of_caller() -> Self {
        if users::is_root() { Self::System } else { Self::User }
    }

    /// Returns the option of systemctl(1) and busctl(1) that means it.
    pub fn option(self) -> &'static str {
        match self {
            Self::System => "--system",
            Self::User => "--user",
        }
    }

    /// Returns systemctl(1) as a person types it for this manager.
    pub fn systemctl(self) -> &'static str {
        match self {
            Self::System => "systemctl",
            Self::User => "systemctl --user",
        }
    }
}
