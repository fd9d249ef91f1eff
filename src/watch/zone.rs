//! Owns: noticing that the system's zone may have changed.
//! Never: reading it (see `config`).

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use inotify::{Inotify, WatchMask};

/// Where localtime(5) lives. The directory is watched, not the link: a link is replaced, and a watch on it
/// would go with it.
const DIRECTORY: &str = "/etc";
const FILE: &str = "localtime";

/// An inotify(7) watch on localtime(5).
#[derive(Debug)]
pub struct ZoneWatch(Inotify);

impl ZoneWatch {
    /// Starts watching.
    pub fn new() -> io::Result<Self> {
        let inotify = Inotify::init()?;
        inotify.watches().add(
            DIRECTORY,
            WatchMask::CREATE | WatchMask::MOVED_TO | WatchMask::CLOSE_WRITE | WatchMask::DELETE,
        )?;
        Ok(Self(inotify))
    }

    /// Takes in what has come, and returns whether the zone may be another.
    pub fn take(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let mut changed = false;
        while let Ok(events) = self.0.read_events(&mut buffer) {
            for event in events {
                changed |= event.name.is_none_or(|name| name == FILE);
            }
        }
        changed
    }
}

impl AsFd for ZoneWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
