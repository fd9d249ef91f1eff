//! Owns: the file with the id of the last event that a consumer was given.
//! Never: which events follow (see `store`).
//!
//! The file is replaced at once and on disk: whatever dies, it holds the earlier id or the later one.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::domain::EventId;
use crate::error::{Error, Result};

/// A cursor, and the file that keeps it.
#[derive(Debug)]
pub struct Cursor {
    path: PathBuf,
    last: Option<EventId>,
}

impl Cursor {
    /// Reads the file. If there is none, the cursor is before all events.
    ///
    /// # Errors
    /// If the file cannot be read, or has something else in it.
    pub fn open(path: &Path) -> Result<Self> {
        let what = format!("read cursor `{}`", path.display());
        let text = match fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(Error::io(what, &error)),
        };
        let last = text.as_ref().map(|text| text.trim_end().parse::<EventId>()).transpose();
        let last = last.map_err(|error| {
            Error::usage(what, error).hint("give a file that only `taskq events --cursor` writes")
        })?;
        Ok(Self { path: path.to_owned(), last })
    }

    /// Returns the event after which to go on; `None`: there was no file.
    pub fn last(&self) -> Option<EventId> {
        self.last
    }

    pub fn shown(&self) -> String {
        format!("`{}`", self.path.display())
    }

    /// Writes the file anew.
    ///
    /// # Errors
    /// If it cannot be written; then it is as before.
    pub fn move_to(&mut self, last: EventId) -> Result<()> {
        let mut aside = OsString::from(&self.path);
        aside.push(".new");
        let written = File::create(&aside)
            .and_then(|mut file| {
                file.write_all(format!("{last}\n").as_bytes()).and_then(|()| file.sync_all())
            })
            .and_then(|()| fs::rename(&aside, &self.path))
            .and_then(|()| File::open(self.directory())?.sync_all());
        written.map_err(|error| Error::io(format!("write cursor {}", self.shown()), &error))?;
        self.last = Some(last);
        Ok(())
    }

    fn directory(&self) -> &Path {
        self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }
}
