//! Owns: the part of the daemon's loop that has to do with a sealed store.
//! Never: where the user's key comes from (see `key_wait`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use log::{error, info};

use super::Daemon;
use crate::daemon::event_files;
use crate::daemon::settings::Settings;
use crate::keeper::{LOG_DIRECTORY, LogDirectory, Sealing};
use crate::seal::OutputKeys;
use crate::store::Reader;
use crate::system::directory::in_memory;

/// Returns the directory of the files with events: of a sealed store one that is no part of a disk.
pub(super) fn event_files_directory(
    settings: &Settings,
    base: &Path,
    is_sealed: bool,
) -> io::Result<PathBuf> {
    let boot = &settings.boot_directory;
    let boot = if is_sealed { in_memory(boot) } else { boot.clone() };
    Ok(event_files::directory(&boot, &fs::metadata(base)?))
}

/// Returns the directory of the files with results: that of outputs. They are plain, so those of a sealed
/// store are beside the files with events.
pub(super) fn results_directory(log: &Path, event_files: &Path, is_sealed: bool) -> io::Result<PathBuf> {
    if !is_sealed {
        return Ok(log.to_owned());
    }
    event_files::make_directory(event_files)?;
    Ok(event_files.to_owned())
}

impl Daemon<'_> {
    /// Returns the directory of the outputs of the store.
    pub(super) fn log(&self) -> LogDirectory {
        LogDirectory::new(self.base.join(LOG_DIRECTORY), Sealing::of(self.output_keys.clone()))
    }

    /// Returns whether the store is sealed.
    pub(super) fn is_sealed(&self) -> bool {
        self.output_keys.is_some()
    }

    /// Returns the directory of the files with results, by a path that other processes can use.
    pub(super) fn shown_results(&self) -> PathBuf {
        if self.is_sealed() { self.results.clone() } else { self.settings.dir.join(LOG_DIRECTORY) }
    }

    /// Removes the directory of the files with events, unless there is one, or a run may make one there.
    pub(super) fn remove_event_files(&self) {
        if !self.is_sealed() {
            event_files::remove_directory(&self.event_files);
        }
    }

    /// Gives the keeper the keys that the store has now, if those are others. To be called between the commit
    /// of a turn and its orders: what starts by them may write with the newest key alone.
    pub(super) fn renew_keys(&mut self) {
        let known = self.output_keys.as_ref().and_then(OutputKeys::newest);
        if self.store.newest_data_key() == known {
            return;
        }
        let read = |reader: &Reader<'_>| reader.output_keys();
        match self.store.read(read) {
            Ok(Some(keys)) => {
                info!("the store has a new key");
                if let Some(executing) = &mut self.executing {
                    executing.seal(&keys);
                }
                self.keeper.seal(keys.clone());
                self.output_keys = Some(keys);
            }
            // A store with a daemon is neither sealed nor unsealed.
            Ok(None) => {}
            Err(error) => error!("the keeper does not get the new key of the store: {error}"),
        }
    }
}
