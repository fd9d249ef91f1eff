//! Owns: reading the states `online`, `ac` and `battery` of the machine, and noticing that they change.
//! Never: `boot` and `start`, which only the daemon knows; what follows a change (see `engine`).
//!
//! Messages of netlink(7) say only that something may have changed. The present value is then read and
//! compared with the one before, so that a message that is lost or repeated does no harm.

mod netlink;
mod network;
mod power;
#[cfg(test)]
mod sandbox;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use crate::domain::MachineState;
use crate::error::{Error, Result};

use netlink::{DATAGRAM_BYTES_MAX, NetlinkSocket, Received};

/// The most datagrams that are taken in at once. The rest leaves the descriptor readable.
const DATAGRAMS_MAX: u32 = 1_000;

/// The states of a machine that can be read at any time.
#[derive(Clone, Debug)]
pub struct MachineStates {
    sys: PathBuf,
}

impl Default for MachineStates {
    fn default() -> Self {
        Self::below("/sys")
    }
}

impl MachineStates {
    /// Reads below `sys` instead of /sys. The network is always that of the calling thread.
    pub fn below(sys: impl Into<PathBuf>) -> Self {
        Self { sys: sys.into() }
    }

    /// Returns whether a state holds now; `None` for `boot` and `start`, which are instants.
    ///
    /// # Errors
    ///
    /// The machine does not say: the system refuses a socket, or a file of /sys.
    pub fn holds(&self, state: MachineState) -> Result<Option<bool>> {
        let Some(subject) = Subject::of(state) else { return Ok(None) };
        Ok(Some(subject.holds(state, self.read(subject)?)))
    }

    fn read(&self, subject: Subject) -> Result<bool> {
        let read = match subject {
            Subject::Network => network::read(),
            Subject::Power => power::read(&self.sys),
        };
        read.map_err(|error| Error::io(format!("read {}", subject.what()), &error))
    }
}

/// What is read and watched together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Network,
    Power,
}

impl Subject {
    const ALL: [Self; 2] = [Self::Network, Self::Power];

    fn of(state: MachineState) -> Option<Self> {
        match state {
            MachineState::Boot | MachineState::Start => None,
            MachineState::Online => Some(Self::Network),
            MachineState::Ac | MachineState::Battery => Some(Self::Power),
        }
    }

    /// Returns whether a state holds when this was read as `value`: online, or on mains power.
    fn holds(self, state: MachineState, value: bool) -> bool {
        debug_assert_eq!(Self::of(state), Some(self), "the state belongs to what was read");
        value != (state == MachineState::Battery)
    }

    fn what(self) -> &'static str {
        match self {
            Self::Network => "the state of the network",
            Self::Power => "the state of the power supplies",
        }
    }

    fn listen(self) -> io::Result<NetlinkSocket> {
        match self {
            Self::Network => network::listen(),
            Self::Power => power::listen(),
        }
    }
}

/// What a [`StateWatch`] has to report.
#[derive(Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct StateNews {
    /// The states that hold now and did not (`true`), or did and no longer do (`false`), in their order.
    pub changes: Vec<(MachineState, bool)>,
    /// Why a state cannot be read or watched. The others go on.
    pub problems: Vec<Error>,
}

/// Waits for changes of the states that are wanted, with at most two descriptors.
#[derive(Debug)]
pub struct StateWatch {
    states: MachineStates,
    /// Which uevents lead to a reading.
    subsystems: &'static [&'static str],
    wanted: BTreeSet<MachineState>,
    watched: BTreeMap<Subject, Watched>,
    seen: BTreeMap<MachineState, bool>,
}

#[derive(Debug)]
struct Watched {
    /// `None`: it could not be opened, or has failed.
    socket: Option<NetlinkSocket>,
    /// Something may have changed since the last reading.
    is_stale: bool,
}

impl StateWatch {
    /// Makes a watch for which nothing is wanted: it has no descriptor.
    pub fn new(states: MachineStates) -> Self {
        Self {
            states,
            subsystems: &power::SUBSYSTEMS,
            wanted: BTreeSet::new(),
            watched: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    /// Sets the value of a state that an earlier daemon saw last. Called before the first
    /// [`StateWatch::listen`], which then reports a difference.
    pub fn assume(&mut self, state: MachineState, held: bool) {
        self.seen.insert(state, held);
    }

    /// Sets the states of which changes are reported. A state that is new among them is read. Its first value
    /// is not a change, unless another was assumed.
    ///
    /// A socket that could not be opened, or has failed, is tried again.
    pub fn listen(&mut self, wanted: &BTreeSet<MachineState>) -> StateNews {
        let mut news = StateNews::default();
        self.wanted = wanted.iter().copied().filter(|state| Subject::of(*state).is_some()).collect();
        self.seen.retain(|state, _| wanted.contains(state));
        for subject in Subject::ALL {
            let mut states =
                self.wanted.iter().filter(|state| Subject::of(**state) == Some(subject)).peekable();
            if states.peek().is_none() {
                self.watched.remove(&subject);
                continue;
            }
            let is_unseen = states.any(|state| !self.seen.contains_key(state));
            let watched = self.watched.entry(subject).or_insert(Watched { socket: None, is_stale: true });
            watched.is_stale |= is_unseen || watched.socket.is_none();
            if watched.socket.is_none() {
                // Before the reading, so that no change is between the two.
                match subject.listen() {
                    Ok(socket) => watched.socket = Some(socket),
                    Err(error) => news.problems.push(cannot_watch(subject, &error)),
                }
            }
        }
        self.read_stale(&mut news);
        news
    }

    /// Returns the descriptors that become readable when a state may have changed.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.watched.values().filter_map(|watched| watched.socket.as_ref()).map(AsFd::as_fd)
    }

    /// Takes in what has come, without blocking.
    ///
    /// A reading that failed is tried again at the next call. A socket that fails is closed, and
    /// [`StateWatch::listen`] opens it again.
    pub fn take(&mut self) -> StateNews {
        let mut news = StateNews::default();
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        for (subject, watched) in &mut self.watched {
            let Some(socket) = &watched.socket else { continue };
            let concerns = |datagram: &[u8]| match subject {
                Subject::Network => network::concerns(datagram),
                Subject::Power => power::concerns(datagram, self.subsystems),
            };
            match drain(socket, &mut buffer, concerns) {
                Ok(is_stale) => watched.is_stale |= is_stale,
                Err(error) => {
                    *watched = Watched { socket: None, is_stale: true };
                    news.problems.push(cannot_watch(*subject, &error));
                }
            }
        }
        self.read_stale(&mut news);
        news
    }

    /// Returns what each wanted state was when it was last read.
    pub fn seen(&self) -> &BTreeMap<MachineState, bool> {
        &self.seen
    }

    fn read_stale(&mut self, news: &mut StateNews) {
        for (subject, watched) in self.watched.iter_mut().filter(|(_, watched)| watched.is_stale) {
            let value = match self.states.read(*subject) {
                Ok(value) => value,
                Err(error) => {
                    news.problems.push(error);
                    continue;
                }
            };
            watched.is_stale = false;
            for state in self.wanted.iter().filter(|state| Subject::of(**state) == Some(*subject)) {
                let holds = subject.holds(*state, value);
                if self.seen.insert(*state, holds).is_some_and(|held| held != holds) {
                    news.changes.push((*state, holds));
                }
            }
        }
    }
}

fn cannot_watch(subject: Subject, error: &io::Error) -> Error {
    Error::io(format!("watch {}", subject.what()), error)
}

/// Reads the datagrams that have come, and returns whether one is of concern, or is lost and may have been.
fn drain(socket: &NetlinkSocket, buffer: &mut [u8], concerns: impl Fn(&[u8]) -> bool) -> io::Result<bool> {
    let mut is_concerned = false;
    for _ in 0..DATAGRAMS_MAX {
        match socket.receive(buffer)? {
            Received::Datagram(datagram) => is_concerned |= concerns(datagram),
            Received::Lost => is_concerned = true,
            Received::Foreign => {}
            Received::Empty => break,
        }
    }
    Ok(is_concerned)
}
