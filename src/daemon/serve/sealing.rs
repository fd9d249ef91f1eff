//! Owns: the part of the daemon's loop that has to do with sealed outputs.
//! Never: where the keys come from.

use super::Daemon;
use crate::keeper::{LOG_DIRECTORY, LogDirectory, Sealing};

impl Daemon<'_> {
    /// Returns the directory of the outputs of the store.
    pub(super) fn log(&self) -> LogDirectory {
        let sealing = Sealing::of(self.settings.output_keys.clone());
        LogDirectory::new(self.base.join(LOG_DIRECTORY), sealing)
    }

    /// Returns whether the store is sealed.
    pub(super) fn is_sealed(&self) -> bool {
        self.settings.output_keys.is_some()
    }
}
