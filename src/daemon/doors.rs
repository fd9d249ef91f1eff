//! Owns: the daemon's sockets as one: how many come in, what becomes of them when the system has no more
//! descriptors, and that they are found under their names for as long as the daemon lives.
//! Never: what is said at them.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use log::{info, warn};

use super::adding::AddSocket;
use super::poke::PokeSocket;
use super::sockets::Bound;
use super::subscription::Subscribers;
use crate::domain::{Span, Timestamp};
use crate::error::describe;
use crate::keeper::descriptor_limit;

/// The pause after something was refused for want of descriptors or memory. The listener stays readable
/// meanwhile: to poll it would be to spin.
const PAUSE: Span = Span::from_seconds(1);

/// How long after the last refusal the next is news.
const FORGOTTEN: Span = Span::from_seconds(60);

/// What a daemon has open without any client, and opens for a moment in a turn: its store, its keeper, an
/// output.
const OWN_DESCRIPTORS: usize = 24;

/// Clients that add jobs are let in for the time of a turn; more of them share no commit any better.
const ADDS_MAX: usize = 256;

/// The daemon's sockets.
#[derive(Debug)]
pub(super) struct Doors {
    dir: PathBuf,
    pub(super) pokes: PokeSocket,
    pub(super) subscribers: Subscribers,
    pub(super) adds: AddSocket,
    /// The end of a `PAUSE`.
    retry_at: Option<Timestamp>,
    /// When something was refused last, if that was said and is not long ago.
    refused_at: Option<Timestamp>,
}

impl Doors {
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let (subscribers, adds) = places(descriptor_limit());
        Ok(Self {
            dir: dir.to_owned(),
            pokes: PokeSocket::bind(dir)?,
            subscribers: Subscribers::bind(dir, subscribers)?,
            adds: AddSocket::bind(dir, adds)?,
            retry_at: None,
            refused_at: None,
        })
    }

    /// Returns when to try again what was refused.
    pub(super) fn retry_at(&self) -> Option<Timestamp> {
        self.retry_at
    }

    /// The pause is over.
    pub(super) fn retry(&mut self) {
        self.retry_at = None;
    }

    /// The wall clock is earlier than it was by so much.
    pub(super) fn clock_was_set_back(&mut self, by: Span) {
        for at in [&mut self.retry_at, &mut self.refused_at] {
            *at = at.map(|at| at - by);
        }
    }

    /// Returns what to wait for to hear of those who wait for turns.
    pub(super) fn subscriber_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.subscribers
            .listener()
            .filter(|_| self.retry_at.is_none())
            .into_iter()
            .chain(self.subscribers.fds())
    }

    /// Returns what to wait for to hear of those who add jobs.
    pub(super) fn adder_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let listener = self.retry_at.is_none().then(|| self.adds.listener());
        listener.into_iter().chain(self.adds.fds())
    }

    /// Lets in who waits for turns, and forgets who has left.
    pub(super) fn meet_subscribers(&mut self, now: Timestamp) {
        // First those who go: they make room.
        self.subscribers.drop_departed();
        if self.retry_at.is_none() {
            let met = self.subscribers.accept();
            self.note(met, "let clients in", now);
        }
    }

    /// Lets in who adds jobs, and takes in what they send. Returns whether a request is complete.
    pub(super) fn meet_adders(&mut self, now: Timestamp) -> bool {
        self.adds.receive();
        if self.retry_at.is_none() {
            let met = self.adds.accept();
            self.note(met, "let clients in", now);
        }
        self.adds.has_requests()
    }

    /// Makes sockets again whose names are gone, as cleaners of temporary directories and people remove them.
    /// What another process has made under such a name stays.
    pub(super) fn mend(&mut self, now: Timestamp) {
        let doors = [self.pokes.bound(), self.subscribers.bound(), self.adds.bound()];
        if self.retry_at.is_some() || !doors.iter().any(|bound| bound.is_gone()) {
            return;
        }
        let mended = self
            .pokes
            .mend(&self.dir)
            .and_then(|()| self.subscribers.mend(&self.dir))
            .and_then(|()| self.adds.mend(&self.dir));
        if mended.is_ok() {
            info!("the sockets were gone, and are there again");
        }
        self.note(mended, "make the sockets again", now);
    }

    /// Removes the sockets that are ours.
    pub(super) fn remove(&self) {
        [self.pokes.bound(), self.subscribers.bound(), self.adds.bound()].into_iter().for_each(Bound::remove);
    }

    fn note(&mut self, result: io::Result<()>, what: &str, now: Timestamp) {
        match result {
            Ok(()) => self.refused_at = self.refused_at.filter(|at| now < *at + FORGOTTEN),
            Err(error) => {
                self.retry_at = Some(now + PAUSE);
                if self.refused_at.replace(now).is_none() {
                    warn!("cannot {what}: {}; trying again each second", describe(&error));
                }
            }
        }
    }
}

/// Returns how many may wait for turns, and how many add jobs, at once: none of them takes the descriptors
/// that the others, or the daemon's own work, need.
fn places(limit: usize) -> (usize, usize) {
    let rest = limit.saturating_sub(OWN_DESCRIPTORS);
    let adds = (rest / 4).clamp(2, ADDS_MAX);
    (rest.saturating_sub(adds).max(2), adds)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::daemon::sockets;

    fn now() -> Timestamp {
        Timestamp::from_micros(0)
    }

    fn doors(dir: &Path) -> Doors {
        Doors::open(dir).expect("the directory is ours")
    }

    #[test]
    fn a_listener_is_not_polled_while_the_table_is_full_and_is_again_once_somebody_leaves() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut doors = doors(dir.path());
        doors.subscribers = Subscribers::bind(dir.path(), 2).expect("the directory is ours");
        let mut clients: Vec<UnixStream> =
            (0..3).map(|_| sockets::connect(dir.path(), sockets::TURNS).expect("it listens")).collect();
        doors.meet_subscribers(now());
        assert_eq!(doors.subscriber_fds().count(), 2);
        drop(clients.remove(0));
        doors.meet_subscribers(now());
        assert_eq!(doors.subscriber_fds().count(), 2, "the third came in for the first");
        drop(clients);
        doors.meet_subscribers(now());
        assert_eq!(doors.subscriber_fds().count(), 1, "the listener");
    }

    #[test]
    fn silent_clients_do_not_keep_out_who_adds_a_job() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut doors = doors(dir.path());
        doors.adds = AddSocket::bind(dir.path(), 2).expect("the directory is ours");
        let clients: Vec<UnixStream> =
            (0..9).map(|_| sockets::connect(dir.path(), sockets::ADDS).expect("it listens")).collect();
        assert!(!doors.meet_adders(now()));
        assert_eq!(doors.adder_fds().count(), 3);
        let mut buffer = [0];
        let hung_up = clients.iter().filter(|client| {
            client.set_nonblocking(true).expect("it is a socket");
            std::io::Read::read(&mut &**client, &mut buffer).is_ok()
        });
        assert_eq!(hung_up.count(), 7);
    }

    #[test]
    fn a_refusal_stops_the_listeners_for_a_second() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut doors = doors(dir.path());
        doors.note(Err(io::Error::from_raw_os_error(24)), "let clients in", now());
        assert_eq!((doors.subscriber_fds().count(), doors.adder_fds().count()), (0, 0));
        assert_eq!(doors.retry_at(), Some(now() + PAUSE));
        doors.retry();
        assert_eq!((doors.subscriber_fds().count(), doors.adder_fds().count()), (1, 1));
    }

    #[test]
    fn a_missing_socket_is_made_again_and_keeps_who_is_in() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut doors = doors(dir.path());
        let _client = sockets::connect(dir.path(), sockets::TURNS).expect("it listens");
        doors.meet_subscribers(now());
        for name in [sockets::POKES, sockets::TURNS, sockets::ADDS] {
            std::fs::remove_file(dir.path().join(name)).expect("it is there");
        }
        doors.mend(now());
        assert!(sockets::are_there(dir.path(), sockets::POKES, &[sockets::TURNS, sockets::ADDS]));
        let _other = sockets::connect(dir.path(), sockets::TURNS).expect("it listens");
        doors.meet_subscribers(now());
        assert_eq!(doors.subscriber_fds().count(), 3);
    }

    #[test]
    fn only_sockets_of_ones_own_are_removed() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let old = doors(dir.path());
        let path = dir.path().join(sockets::TURNS);
        std::fs::remove_file(&path).expect("it is there");
        let _new = sockets::listen(dir.path(), sockets::TURNS).expect("the directory is ours");
        old.remove();
        assert!(path.exists() && !dir.path().join(sockets::POKES).exists());
    }

    #[test]
    fn the_places_leave_descriptors_for_the_daemons_own_work() {
        assert_eq!(places(20), (2, 2));
        assert_eq!(places(32), (6, 2));
        assert_eq!(places(1_024), (750, 250));
        let (subscribers, adds) = places(1_048_576);
        assert_eq!(subscribers + adds + OWN_DESCRIPTORS, 1_048_576);
    }
}
