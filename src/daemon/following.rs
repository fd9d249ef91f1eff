//! Owns: watching an output file, which may not exist yet, for growth.
//! Never: reading it.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use inotify::{Inotify, WatchDescriptor, WatchMask};

/// A file that is followed. It may not exist yet: a keeper makes an output file with the first byte.
#[derive(Debug)]
pub(super) struct Following {
    path: PathBuf,
    /// `None` if the system has no inotify(7) instance. Then the follower polls the file.
    watch: Option<Watch>,
}

#[derive(Debug)]
struct Watch {
    inotify: Inotify,
    /// The watched directory and the name in it, until the file exists.
    directory: Option<(WatchDescriptor, OsString)>,
}

impl Following {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), watch: Watch::new(path).ok() }
    }

    pub(super) fn is_of(&self, path: &Path) -> bool {
        self.path == path
    }

    /// Returns the descriptor to wait for, if the file can be watched.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(|watch| watch.inotify.as_fd())
    }

    /// Reads the events, and returns whether the file may have grown.
    pub(super) fn take(&mut self) -> bool {
        let Some(watch) = &mut self.watch else { return true };
        watch.take(&self.path).unwrap_or_else(|_| {
            self.watch = None;
            true
        })
    }
}

impl Watch {
    fn new(path: &Path) -> io::Result<Self> {
        let inotify = Inotify::init()?;
        let directory = match inotify.watches().add(path, WatchMask::MODIFY) {
            Ok(_) => None,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(error) };
                let made = inotify.watches().add(parent, WatchMask::CREATE | WatchMask::MOVED_TO)?;
                Some((made, name.to_owned()))
            }
            Err(error) => return Err(error),
        };
        let mut watch = Self { inotify, directory };
        // The file may have been made between the two calls.
        watch.move_to_file(path)?;
        Ok(watch)
    }

    /// Watches the file instead of its directory as soon as it exists.
    fn move_to_file(&mut self, path: &Path) -> io::Result<()> {
        if self.directory.is_none() {
            return Ok(());
        }
        match self.inotify.watches().add(path, WatchMask::MODIFY) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
        if let Some((made, _)) = self.directory.take() {
            self.inotify.watches().remove(made)?;
        }
        Ok(())
    }

    fn take(&mut self, path: &Path) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        let mut concerns = false;
        let events = match self.inotify.read_events(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            events => events?,
        };
        for event in events {
            // The files of other runs are in the same directory.
            concerns |= match &self.directory {
                Some((made, name)) if event.wd == *made => event.name == Some(OsStr::new(name)),
                Some(_) | None => true,
            };
        }
        if concerns {
            self.move_to_file(path)?;
        }
        Ok(concerns)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    /// Reads the events, and returns whether they concern the file; `None` if there are none.
    fn taken(following: &mut Following) -> Option<bool> {
        let ready = poll(
            &mut [PollFd::new(following.fd().expect("this system has inotify"), PollFlags::POLLIN)],
            PollTimeout::ZERO,
        );
        (ready == Ok(1)).then(|| following.take())
    }

    #[test]
    fn a_file_that_is_made_later_is_noticed_and_then_each_time_it_grows() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("1.1");
        let mut following = Following::new(&path);
        fs::write(dir.path().join("1.2"), "another run's").expect("the directory is ours");
        assert_eq!(taken(&mut following), Some(false));
        let mut file = OpenOptions::new().create_new(true).append(true).open(&path).expect("the name is new");
        assert_eq!(taken(&mut following), Some(true));
        for _ in 0..2 {
            file.write_all(b"more").expect("it is ours");
            while taken(&mut following) == Some(true) {}
            assert_eq!(taken(&mut following), None);
        }
        file.write_all(b"more").expect("it is ours");
        assert_eq!(taken(&mut following), Some(true));
        fs::write(dir.path().join("1.3"), "another run's").expect("the directory is ours");
        while taken(&mut following) == Some(true) {}
        fs::write(dir.path().join("1.4"), "another run's").expect("the directory is ours");
        assert_eq!(taken(&mut following), None, "the directory is not watched any more");
    }

    #[test]
    fn a_file_that_is_there_is_noticed_when_it_grows() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("1.1");
        fs::write(&path, "some").expect("the directory is ours");
        let mut following = Following::new(&path);
        assert_eq!(taken(&mut following), None);
        fs::write(&path, "more").expect("it is ours");
        assert_eq!(taken(&mut following), Some(true));
    }
}
