//! Owns: the daemon's three sockets together: the number of connections, the pause when the system has no
//! more descriptors, and that clients find the sockets under their names as long as the daemon lives.
//! Never: the messages (see `poke`, `subscription` and `adding`).

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use log::{info, warn};

use super::adding::Adders;
use super::agenda::{Agenda, Timer};
use super::sockets::{self, ADDS, NamedSocket, POKES, TURNS};
use super::sources::{Source, Sources};
use super::subscription::Subscribers;
use crate::clock::Clock;
use crate::error::describe;
use crate::keeper::descriptor_limit;

/// The pause after the system had no descriptors or memory for a connection. The listener stays readable
/// during the pause, so it is not polled: the loop would spin.
const PAUSE: Duration = Duration::from_secs(1);

/// A failure is logged again if the last one is longer ago than this.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// The descriptors of a daemon without clients: store, keeper, and an output for a moment in a turn.
const OWN_DESCRIPTORS: usize = 24;

/// The most clients that add jobs at once. They stay for one turn, and more of them share a commit no better.
const ADDERS_MAX: usize = 256;

#[derive(Debug)]
pub(super) struct Doors {
    pub(super) pokes: NamedSocket<UnixDatagram>,
    pub(super) subscribers: Subscribers,
    pub(super) adders: Adders,
    /// The time of the last failure, if it is not long ago.
    failed_at: Option<Duration>,
}

/// Returns whether clients find the sockets of the daemon that serves the store in `dir`. Sends nothing.
pub fn is_listening(dir: &Path) -> bool {
    sockets::are_there(dir, POKES, &[TURNS, ADDS])
}

impl Doors {
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let (subscribers, adders) = places(descriptor_limit());
        Ok(Self {
            pokes: NamedSocket::new(dir, POKES, sockets::receive)?,
            subscribers: Subscribers::bind(dir, subscribers)?,
            adders: Adders::bind(dir, adders)?,
            failed_at: None,
        })
    }

    /// Registers the sockets and connections. New connections wait while `Timer::DoorsRetry` is set.
    pub(super) fn register<'a>(&'a self, agenda: &Agenda, sources: &mut Sources<'a>) {
        sources.add(Source::Pokes, self.pokes.as_fd());
        let is_open = !agenda.is_set(Timer::DoorsRetry);
        let listener = (is_open && self.subscribers.have_room()).then(|| self.subscribers.socket().as_fd());
        let subscribers = listener.into_iter().chain(self.subscribers.fds());
        subscribers.for_each(|fd| sources.add(Source::Subscribers, fd));
        let listener = is_open.then(|| self.adders.socket().as_fd());
        let adders = listener.into_iter().chain(self.adders.fds());
        adders.for_each(|fd| sources.add(Source::Adders, fd));
    }

    /// Accepts clients that wait for turns, and drops those that have left.
    pub(super) fn meet_subscribers(&mut self, agenda: &mut Agenda, clock: &dyn Clock) {
        // First those that have left, because they make room.
        self.subscribers.drop_departed();
        if !agenda.is_set(Timer::DoorsRetry) {
            let accepted = self.subscribers.accept();
            self.note(accepted, "let clients in", agenda, clock);
        }
    }

    /// Accepts clients that add jobs, and receives what they send. Returns whether a request is complete.
    pub(super) fn meet_adders(&mut self, agenda: &mut Agenda, clock: &dyn Clock) -> bool {
        self.adders.receive();
        if !agenda.is_set(Timer::DoorsRetry) {
            let accepted = self.adders.accept();
            self.note(accepted, "let clients in", agenda, clock);
        }
        self.adders.has_requests()
    }

    /// Makes sockets again whose files are gone: people and cleaners of temporary directories remove them.
    /// Leaves a file that another process has made with such a name.
    pub(super) fn mend(&mut self, agenda: &mut Agenda, clock: &dyn Clock) {
        let is_any_gone =
            self.pokes.is_gone() || self.subscribers.socket().is_gone() || self.adders.socket().is_gone();
        if agenda.is_set(Timer::DoorsRetry) || !is_any_gone {
            return;
        }
        let mended = self.mend_each();
        if mended.is_ok() {
            info!("the sockets were gone, and are there again");
        }
        self.note(mended, "make the sockets again", agenda, clock);
    }

    fn mend_each(&mut self) -> io::Result<()> {
        if self.pokes.is_gone() {
            // Nothing is lost with the old socket: a client sends *wrote* after its commit, and the turn that
            // follows sees that commit.
            self.pokes.renew()?;
        }
        self.subscribers.mend()?;
        self.adders.mend()
    }

    /// Removes the files of the sockets.
    pub(super) fn remove(&self) {
        self.pokes.remove();
        self.subscribers.socket().remove();
        self.adders.socket().remove();
    }

    fn note(&mut self, result: io::Result<()>, what: &str, agenda: &mut Agenda, clock: &dyn Clock) {
        let now = clock.monotonic();
        match result {
            Ok(()) => self.failed_at = self.failed_at.filter(|at| now < *at + FORGOTTEN),
            Err(error) => {
                agenda.set_after(Timer::DoorsRetry, PAUSE, clock);
                if self.failed_at.replace(now).is_none() {
                    warn!("cannot {what}: {}; trying again each second", describe(&error));
                }
            }
        }
    }
}

/// Returns how many clients may wait for turns at once, and how many may add jobs. Neither takes descriptors
/// that the other, or the daemon's own work, needs.
fn places(limit: usize) -> (usize, usize) {
    let rest = limit.saturating_sub(OWN_DESCRIPTORS);
    let adders = (rest / 4).clamp(2, ADDERS_MAX);
    (rest.saturating_sub(adders).max(2), adders)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::clock::FakeClock;
    use crate::domain::Timestamp;

    /// Doors, with the arguments of their functions.
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

        /// Returns how many descriptors are polled for subscribers, and how many for adders.
        fn polled(&self) -> (usize, usize) {
            let mut sources = Sources::default();
            self.doors.register(&self.agenda, &mut sources);
            (sources.count(Source::Subscribers), sources.count(Source::Adders))
        }
    }

    #[test]
    fn a_listener_is_not_polled_while_there_is_no_room_for_another_client() {
        let mut place = Place::new();
        place.doors.subscribers = Subscribers::bind(place.dir.path(), 2).expect("the directory is ours");
        let mut clients: Vec<UnixStream> = (0..3).map(|_| place.connect(TURNS)).collect();
        place.meet_subscribers();
        assert_eq!(place.polled().0, 2);
        drop(clients.remove(0));
        place.meet_subscribers();
        assert_eq!(place.polled().0, 2, "the third in place of the first");
        drop(clients);
        place.meet_subscribers();
        assert_eq!(place.polled().0, 1, "the listener");
    }

    #[test]
    fn silent_clients_do_not_keep_out_a_client_that_adds_a_job() {
        let mut place = Place::new();
        place.doors.adders = Adders::bind(place.dir.path(), 2).expect("the directory is ours");
        let clients: Vec<UnixStream> = (0..9).map(|_| place.connect(ADDS)).collect();
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
    fn a_missing_socket_is_made_again_and_its_clients_stay() {
        let mut place = Place::new();
        let _client = place.connect(TURNS);
        place.meet_subscribers();
        for name in [POKES, TURNS, ADDS] {
            std::fs::remove_file(place.dir.path().join(name)).expect("it is there");
        }
        place.doors.mend(&mut place.agenda, &place.clock);
        assert!(sockets::are_there(place.dir.path(), POKES, &[TURNS, ADDS]));
        let _other = place.connect(TURNS);
        place.meet_subscribers();
        assert_eq!(place.polled().0, 3);
    }

    #[test]
    fn only_sockets_of_ones_own_are_removed() {
        let Place { dir, doors, .. } = Place::new();
        let path = dir.path().join(TURNS);
        std::fs::remove_file(&path).expect("it is there");
        let _new = sockets::listen(dir.path(), TURNS).expect("the directory is ours");
        doors.remove();
        assert!(path.exists() && !dir.path().join(POKES).exists());
    }

    #[test]
    fn the_places_leave_descriptors_for_the_daemons_own_work() {
        assert_eq!(places(20), (2, 2));
        assert_eq!(places(32), (6, 2));
        assert_eq!(places(1_024), (750, 250));
        let (subscribers, adders) = places(1_048_576);
        assert_eq!(subscribers + adders + OWN_DESCRIPTORS, 1_048_576);
    }
}
