//! Owns: the descriptors that the daemon's poll waits for, each of which belongs to a source of events.
//! Never: reading from them.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

/// A source of events for the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// This signal was received.
    Signal(i32),
    /// An instant of the wall clock is reached, or the clock was set.
    WallTimer,
    /// Clients that announce writes.
    Pokes,
    /// Clients that wait for turns.
    Subscribers,
    /// Clients that add jobs.
    Adders,
    Keeper,
    /// The system's zone may have changed.
    Zone,
    /// A state of the machine may have changed.
    States,
    /// Something happened in a directory that is watched.
    Paths,
    /// The command of a `stream` trigger has printed something, or has ended.
    Streams,
}

/// The descriptors of one wait.
#[derive(Debug, Default)]
pub(super) struct Sources<'fd> {
    sources: Vec<Source>,
    fds: Vec<PollFd<'fd>>,
}

impl<'fd> Sources<'fd> {
    /// Adds a descriptor, to wait until it is readable.
    pub(super) fn add(&mut self, source: Source, fd: BorrowedFd<'fd>) {
        self.add_for(PollFlags::POLLIN, source, fd);
    }

    pub(super) fn add_for(&mut self, flags: PollFlags, source: Source, fd: BorrowedFd<'fd>) {
        self.sources.push(source);
        self.fds.push(PollFd::new(fd, flags));
    }

    /// Waits until a descriptor is ready or `timeout` has passed. Returns the sources that are ready in the
    /// order in which they were added, and one of several neighbouring descriptors once.
    pub(super) fn wait(mut self, timeout: Option<Duration>) -> io::Result<Vec<Source>> {
        match ppoll(&mut self.fds, timeout.map(TimeSpec::from_duration), None) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Vec::new()),
            Err(errno) => return Err(errno.into()),
        }
        let ready = self.sources.into_iter().zip(&self.fds).filter(|(_, fd)| fd.any().unwrap_or(true));
        let mut ready: Vec<Source> = ready.map(|(source, _)| source).collect();
        ready.dedup();
        Ok(ready)
    }

    #[cfg(test)]
    pub(super) fn count(&self, source: Source) -> usize {
        self.sources.iter().filter(|other| **other == source).count()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn pairs() -> [(UnixStream, UnixStream); 4] {
        [(); 4].map(|()| UnixStream::pair().expect("there are descriptors"))
    }

    fn ready(pairs: &[(UnixStream, UnixStream); 4]) -> Vec<Source> {
        let sources = [Source::Signal(15), Source::Subscribers, Source::Subscribers, Source::Keeper];
        let mut waiting = Sources::default();
        sources.iter().zip(pairs).for_each(|(source, (ours, _))| waiting.add(*source, ours.as_fd()));
        waiting.wait(Some(Duration::ZERO)).expect("poll works")
    }

    #[test]
    fn the_sources_that_are_ready_are_returned_in_order_and_once() {
        let pairs = pairs();
        assert_eq!(ready(&pairs), []);
        for n in [3, 2, 1] {
            (&pairs[n].1).write_all(b"x").expect("it has room");
        }
        assert_eq!(ready(&pairs), [Source::Subscribers, Source::Keeper]);
    }

    #[test]
    fn a_source_that_has_hung_up_is_ready() {
        let mut pairs = pairs();
        pairs[0].1 = UnixStream::pair().expect("there are descriptors").0;
        assert_eq!(ready(&pairs), [Source::Signal(15)]);
    }

    #[test]
    fn a_source_that_has_room_is_ready_for_those_who_wait_for_that() {
        let (ours, _theirs) = UnixStream::pair().expect("there are descriptors");
        let mut sources = Sources::default();
        sources.add_for(PollFlags::POLLIN | PollFlags::POLLOUT, Source::Keeper, ours.as_fd());
        assert_eq!(sources.wait(None).expect("poll works"), [Source::Keeper]);
    }

    #[test]
    fn without_descriptors_the_time_passes() {
        let begin = std::time::Duration::from_millis(1);
        assert_eq!(Sources::default().wait(Some(begin)).expect("poll works"), []);
    }
}
