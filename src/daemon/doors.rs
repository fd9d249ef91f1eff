//! Owns: the daemon's sockets as one: how many come in, what becomes of them when the system has no more
//! descriptors, and that they are found under their names for as long as the daemon lives.
//! Never: what is said at them.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use log::{info, warn};

use super::adding::AddSocket;
use super::agenda::{Agenda, Timer};
use super::poke::PokeSocket;
use super::sockets::Bound;
use super::sources::{Source, Sources};
use super::subscription::Subscribers;
use crate::clock::Clock;
use crate::error::describe;
use crate::keeper::descriptor_limit;

/// The pause after something was refused for want of descriptors or memory. The listener stays readable
/// meanwhile: to poll it would be to spin.
const PAUSE: Duration = Duration::from_secs(1);

/// How long after the last refusal the next is news.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// What a daemon has open without any client, and opens for a moment in a turn: its store, its keeper, an
/// output.
const OWN_DESCRIPTORS: usize = 24;

/// Clients that add jobs are let in for the time of a turn; more of them share no commit any better.
const ADDS_MAX: usize = 256;

#[derive(Debug)]
pub(super) struct Doors {
    dir: PathBuf,
    pub(super) pokes: PokeSocket,
    pub(super) subscribers: Subscribers,
    pub(super) adds: AddSocket,
    /// When something was refused last, if that was logged and is not long ago.
    refused_at: Option<Duration>,
}

impl Doors {
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let (subscribers, adds) = places(descriptor_limit());
        Ok(Self {
            dir: dir.to_owned(),
            pokes: PokeSocket::bind(dir)?,
            subscribers: Subscribers::bind(dir, subscribers)?,
            adds: AddSocket::bind(dir, adds)?,
            refused_at: None,
        })
    }

    /// Registers everything that clients can reach. Who wants in waits while `Timer::DoorsRetry` is set.
    pub(super) fn register<'a>(&'a self, agenda: &Agenda, sources: &mut Sources<'a>) {
        sources.add(Source::Pokes, self.pokes.as_fd());
        let is_open = !agenda.is_set(Timer::DoorsRetry);
        let subscribers = self.subscribers.listener().filter(|_| is_open);
        let subscribers = subscribers.into_iter().chain(self.subscribers.fds());
        subscribers.for_each(|fd| sources.add(Source::Subscribers, fd));
        let adders = is_open.then(|| self.adds.listener()).into_iter().chain(self.adds.fds());
        adders.for_each(|fd| sources.add(Source::Adders, fd));
    }

    /// Lets in who waits for turns, and forgets who has left.
    pub(super) fn meet_subscribers(&mut self, agenda: &mut Agenda, clock: &dyn Clock) {
        // First those who go: they make room.
        self.subscribers.drop_departed();
        if !agenda.is_set(Timer::DoorsRetry) {
            let met = self.subscribers.accept();
            self.note(met, "let clients in", agenda, clock);
        }
    }

    /// Lets in who adds jobs, and takes in what they send. Returns whether a request is complete.
    pub(super) fn meet_adders(&mut self, agenda: &mut Agenda, clock: &dyn Clock) -> bool {
        self.adds.receive();
        if !agenda.is_set(Timer::DoorsRetry) {
            let met = self.adds.accept();
            self.note(met, "let clients in", agenda, clock);
        }
        self.adds.has_requests()
    }

    /// Makes sockets again whose names are gone, as cleaners of temporary directories and people remove them.
    /// What another process has made under such a name stays.
    pub(super) fn mend(&mut self, agenda: &mut Agenda, clock: &dyn Clock) {
        let doors = [self.pokes.bound(), self.subscribers.bound(), self.adds.bound()];
        if agenda.is_set(Timer::DoorsRetry) || !doors.iter().any(|bound| bound.is_gone()) {
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
        self.note(mended, "make the sockets again", agenda, clock);
    }

    /// Removes the sockets that are ours.
    pub(super) fn remove(&self) {
        [self.pokes.bound(), self.subscribers.bound(), self.adds.bound()].into_iter().for_each(Bound::remove);
    }

    fn note(&mut self, result: io::Result<()>, what: &str, agenda: &mut Agenda, clock: &dyn Clock) {
        let now = clock.monotonic();
        match result {
            Ok(()) => self.refused_at = self.refused_at.filter(|at| now < *at + FORGOTTEN),
            Err(error) => {
                agenda.set_after(Timer::DoorsRetry, PAUSE, clock);
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
    use crate::clock::FakeClock;
    use crate::daemon::sockets;
    use crate::domain::Timestamp;

    /// Doors with what they are given at each call.
    struct Place {
        dir: tempfile::TempDir,
        doors: Doors,
        agenda: Agenda,
        clock: FakeClock,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let doors = Doors::open(dir.path()).expect("the directory is ours");
            let clock = FakeClock::at(Timestamp::default(), PAUSE);
            Self { dir, doors, agenda: Agenda::default(), clock }
        }

        fn connect(&self, name: &str) -> UnixStream {
            sockets::connect(self.dir.path(), name).expect("it listens")
        }

        fn meet_subscribers(&mut self) {
            self.doors.meet_subscribers(&mut self.agenda, &self.clock);
        }

        /// Returns how many descriptors are polled for those who wait for turns, and for those who add jobs.
        fn polled(&self) -> (usize, usize) {
            let mut sources = Sources::default();
            self.doors.register(&self.agenda, &mut sources);
            (sources.count(Source::Subscribers), sources.count(Source::Adders))
        }
    }

    #[test]
    fn a_listener_is_not_polled_while_the_table_is_full_and_is_again_once_somebody_leaves() {
        let mut place = Place::new();
        place.doors.subscribers = Subscribers::bind(place.dir.path(), 2).expect("the directory is ours");
        let mut clients: Vec<UnixStream> = (0..3).map(|_| place.connect(sockets::TURNS)).collect();
        place.meet_subscribers();
        assert_eq!(place.polled().0, 2);
        drop(clients.remove(0));
        place.meet_subscribers();
        assert_eq!(place.polled().0, 2, "the third came in for the first");
        drop(clients);
        place.meet_subscribers();
        assert_eq!(place.polled().0, 1, "the listener");
    }

    #[test]
    fn silent_clients_do_not_keep_out_who_adds_a_job() {
        let mut place = Place::new();
        place.doors.adds = AddSocket::bind(place.dir.path(), 2).expect("the directory is ours");
        let clients: Vec<UnixStream> = (0..9).map(|_| place.connect(sockets::ADDS)).collect();
        assert!(!place.doors.meet_adders(&mut place.agenda, &place.clock));
        assert_eq!(place.polled().1, 3);
        let mut buffer = [0];
        let hung_up = clients.iter().filter(|client| {
            client.set_nonblocking(true).expect("it is a socket");
            std::io::Read::read(&mut &**client, &mut buffer).is_ok()
        });
        assert_eq!(hung_up.count(), 7);
    }

    #[test]
    fn a_refusal_stops_the_listeners_for_a_second() {
        let mut place = Place::new();
        let refused = Err(io::Error::from_raw_os_error(24));
        place.doors.note(refused, "let clients in", &mut place.agenda, &place.clock);
        assert_eq!(place.polled(), (0, 0));
        place.clock.advance(PAUSE);
        assert_eq!(place.agenda.take_due(&place.clock), [Timer::DoorsRetry]);
        assert_eq!(place.polled(), (1, 1));
    }

    #[test]
    fn a_missing_socket_is_made_again_and_keeps_who_is_in() {
        let mut place = Place::new();
        let _client = place.connect(sockets::TURNS);
        place.meet_subscribers();
        for name in [sockets::POKES, sockets::TURNS, sockets::ADDS] {
            std::fs::remove_file(place.dir.path().join(name)).expect("it is there");
        }
        place.doors.mend(&mut place.agenda, &place.clock);
        assert!(sockets::are_there(place.dir.path(), sockets::POKES, &[sockets::TURNS, sockets::ADDS]));
        let _other = place.connect(sockets::TURNS);
        place.meet_subscribers();
        assert_eq!(place.polled().0, 3);
    }

    #[test]
    fn only_sockets_of_ones_own_are_removed() {
        let Place { dir, doors, .. } = Place::new();
        let path = dir.path().join(sockets::TURNS);
        std::fs::remove_file(&path).expect("it is there");
        let _new = sockets::listen(dir.path(), sockets::TURNS).expect("the directory is ours");
        doors.remove();
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
