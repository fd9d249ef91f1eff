//! Owns: how a client waits for the daemon's turns, and how the daemon tells them.
//! Never: what happened in a turn: clients read that from the database.
//!
//! Nobody polls while there is a daemon, or inotify(7) to watch for the next one. Only where the system
//! refuses what that takes (descriptors, memory, inotify instances), or the daemon lets nobody in, a client
//! looks again after a pause.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use inotify::{Inotify, WatchMask};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::deaf;
use super::following::Following;
use super::lock::running_daemon;
use super::sockets::{self, Bound};
use crate::domain::Span;
use crate::error::describe;

/// The pause between two looks where nothing would tell.
const LOOK_AGAIN: Span = Span::from_millis(200);

/// The pause between two looks at a file that cannot be watched: what is written is shown as fast as a person
/// sees it.
const LOOK_AT_FILE: Span = Span::from_millis(50);

/// How often a daemon that was told that nobody finds it is looked for: for three seconds if nothing is seen
/// of it. It needs one turn.
const DEAF_LOOKS: u32 = 15;

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The daemon has committed a turn, or one has come: read the database.
    Turn,
    /// The followed file has grown.
    File,
    /// The time was over.
    TimedOut,
    /// The daemon has gone away; the next wait is for another one.
    DaemonGone,
}

/// What a client knows of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    Connected,
    /// There is none.
    Absent,
    /// The process with this id holds the lock, and nobody listens at the sockets.
    Deaf(u32),
    /// The system refuses what it takes to find out, and says this.
    Unknown(String),
}

/// A client's place at the daemon's turns.
#[derive(Debug)]
pub struct Subscription {
    dir: PathBuf,
    place: Place,
    following: Option<Following>,
}

#[derive(Debug)]
enum Place {
    /// At the daemon's. It greets whom it lets in: until then its turns are not heard.
    Inside { stream: UnixStream, greeted: bool },
    /// Before the door. `arrivals` watches the directory for the next daemon's socket, where that can be
    /// watched.
    Outside { presence: Presence, arrivals: Option<Inotify> },
}

impl Subscription {
    /// Takes a place; without a daemon, one at the next. A daemon whose sockets are gone is told so.
    pub fn new(dir: &Path) -> Self {
        let outside = Place::Outside { presence: Presence::Absent, arrivals: None };
        let mut subscription = Self { dir: dir.to_owned(), place: outside, following: None };
        subscription.connect();
        subscription
    }

    /// Tells whether there is a daemon, and it is connected.
    pub fn has_daemon(&self) -> bool {
        matches!(self.place, Place::Inside { .. })
    }

    /// Returns what is known of the daemon. Gives one that was told of its missing sockets the time to make
    /// them again.
    pub fn presence(&mut self) -> Presence {
        for _ in 0..DEAF_LOOKS {
            let Place::Outside { presence: Presence::Deaf(_), arrivals } = &self.place else { break };
            let mut fds: Vec<_> =
                arrivals.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)).collect();
            // Whatever ends this pause, the daemon is looked for after it.
            let _ = poll(&mut fds, poll_timeout(LOOK_AGAIN));
            self.connect();
        }
        match &self.place {
            Place::Inside { .. } => Presence::Connected,
            Place::Outside { presence, .. } => presence.clone(),
        }
    }

    /// Wakes up as well whenever this file comes into being or is written to. Replaces the file followed
    /// before.
    pub fn follow(&mut self, path: &Path) {
        if !self.following.as_ref().is_some_and(|following| following.is_of(path)) {
            self.following = Some(Following::new(path));
        }
    }

    fn connect(&mut self) {
        let was_deaf = self.is_deaf();
        self.place = enter(&self.dir).unwrap_or_else(|presence| {
            // Watch first, then try again: a socket made in between is seen by one of the two.
            let arrivals = watch_arrivals(&self.dir).ok();
            match enter(&self.dir) {
                Ok(inside) => inside,
                // The watch may have taken the last descriptor.
                Err(Presence::Unknown(_)) => Place::Outside { presence, arrivals: None },
                Err(presence) => Place::Outside { presence, arrivals },
            }
        });
        // Once is enough: it may be about to make its sockets.
        if self.is_deaf() && !was_deaf {
            deaf::wake(&self.dir);
        }
    }

    fn is_deaf(&self) -> bool {
        matches!(self.place, Place::Outside { presence: Presence::Deaf(_), .. })
    }

    /// Returns after how long a look is due that nothing else would lead to.
    fn next_look(&self) -> Option<Span> {
        let unheard = match &self.place {
            Place::Inside { greeted, .. } => !greeted,
            Place::Outside { presence, arrivals } => arrivals.is_none() || *presence != Presence::Absent,
        };
        let unseen = self.following.as_ref().is_some_and(|following| following.fd().is_none());
        [unheard.then_some(LOOK_AGAIN), unseen.then_some(LOOK_AT_FILE)].into_iter().flatten().min()
    }

    /// Waits for a turn, a file, or for `timeout` to pass; `None`: as long as it takes. A signal ends it like
    /// a turn.
    ///
    /// # Errors
    /// If poll(2) fails.
    pub fn wait(&mut self, timeout: Option<Span>) -> io::Result<Wake> {
        loop {
            let look = self.next_look().filter(|look| timeout.is_none_or(|timeout| *look < timeout));
            let mut fds = Vec::with_capacity(2);
            let main: Option<BorrowedFd<'_>> = match &self.place {
                Place::Inside { stream, .. } => Some(stream.as_fd()),
                Place::Outside { arrivals, .. } => arrivals.as_ref().map(AsFd::as_fd),
            };
            let file = self.following.as_ref().and_then(Following::fd);
            fds.extend(main.iter().chain(&file).map(|fd| PollFd::new(*fd, PollFlags::POLLIN)));
            match poll(&mut fds, look.or(timeout).map_or(PollTimeout::NONE, poll_timeout)) {
                Ok(0) if look.is_some() => return Ok(self.look()),
                Ok(0) => return Ok(Wake::TimedOut),
                Err(Errno::EINTR) => return Ok(Wake::Turn),
                Err(errno) => return Err(errno.into()),
                Ok(_) => {}
            }
            let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
            let main_ready = main.is_some() && ready[0];
            let file_ready = file.is_some() && ready[ready.len() - 1];
            let has_grown = file_ready && self.following.as_mut().is_some_and(Following::take);
            if main_ready {
                return Ok(self.read_main());
            }
            // What happens to other files is nobody's business; a limited wait is not made longer by it.
            if has_grown || timeout.is_some() {
                return Ok(Wake::File);
            }
        }
    }

    /// Looks at what nothing tells of.
    fn look(&mut self) -> Wake {
        if !self.has_daemon() {
            self.connect();
        }
        Wake::Turn
    }

    fn read_main(&mut self) -> Wake {
        match &mut self.place {
            Place::Inside { stream, greeted } => {
                if has_bytes(stream) {
                    *greeted = true;
                    return Wake::Turn;
                }
                self.connect();
                if self.has_daemon() { Wake::Turn } else { Wake::DaemonGone }
            }
            Place::Outside { arrivals, .. } => {
                if let Some(arrivals) = arrivals {
                    // What has come is looked for in any case.
                    let _ = arrivals.read_events(&mut [0; 4096]).map(|_| ());
                }
                self.connect();
                Wake::Turn
            }
        }
    }
}

/// Rounded up: a wait that ends early would be followed by a busy one.
fn poll_timeout(span: Span) -> PollTimeout {
    let millis = span.as_micros().div_ceil(1_000).min(i32::MAX as u64);
    PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
}

/// Goes to the daemon; if it cannot be reached, returns what is known of it.
fn enter(dir: &Path) -> Result<Place, Presence> {
    let connected = sockets::connect(dir, sockets::TURNS).and_then(|stream| {
        stream.set_nonblocking(true)?;
        Ok(Place::Inside { stream, greeted: false })
    });
    connected.map_err(|refusal| {
        if sockets::is_absence(&refusal) {
            running_daemon(dir).map_or(Presence::Absent, |daemon| Presence::Deaf(daemon.pid))
        } else {
            Presence::Unknown(describe(&refusal))
        }
    })
}

fn watch_arrivals(dir: &Path) -> io::Result<Inotify> {
    let arrivals = Inotify::init()?;
    arrivals.watches().add(dir, WatchMask::CREATE | WatchMask::ATTRIB | WatchMask::MOVED_TO)?;
    Ok(arrivals)
}

/// Reads everything that was said; `false` if the other side has hung up.
fn has_bytes(stream: &mut UnixStream) -> bool {
    let mut bytes = [0; 64];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return false,
            Ok(length) if length < bytes.len() => return true,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

/// The daemon's side: everybody who waits for its turns.
#[derive(Debug)]
pub(super) struct Subscribers {
    listener: UnixListener,
    bound: Bound,
    streams: Vec<UnixStream>,
    /// How many are let in at once. The others wait at the listener, and look by themselves meanwhile.
    most: usize,
}

impl Subscribers {
    pub(super) fn bind(dir: &Path, most: usize) -> io::Result<Self> {
        let (listener, bound) = listen(dir)?;
        Ok(Self { listener, bound, streams: Vec::new(), most })
    }

    /// Tells whether anybody waits.
    pub(super) fn has_any(&self) -> bool {
        !self.streams.is_empty()
    }

    /// Returns where those come who want in, while there is room for them.
    pub(super) fn listener(&self) -> Option<BorrowedFd<'_>> {
        (self.streams.len() < self.most).then(|| self.listener.as_fd())
    }

    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.streams.iter().map(AsFd::as_fd)
    }

    pub(super) fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Lets in everybody who has come and may. Each is told at once: the turn that it waits for may just have
    /// passed.
    ///
    /// # Errors
    /// There are no descriptors, or no memory, for one more.
    pub(super) fn accept(&mut self) -> io::Result<()> {
        while self.streams.len() < self.most {
            let Some(mut stream) = sockets::accept(&self.listener)? else { break };
            if stream.write(b".").is_ok() {
                self.streams.push(stream);
            }
        }
        Ok(())
    }

    /// Listens again where the name is gone; whoever is in, or has come, stays.
    pub(super) fn mend(&mut self, dir: &Path) -> io::Result<()> {
        if self.bound.is_gone() {
            self.accept()?;
            (self.listener, self.bound) = listen(dir)?;
        }
        Ok(())
    }

    /// Tells everybody that a turn is committed; forgets who has left. Whoever has bytes unread knows
    /// already.
    pub(super) fn tell(&mut self) {
        self.streams.retain_mut(|stream| match stream.write(b".") {
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        });
    }

    /// Forgets who has left.
    pub(super) fn drop_departed(&mut self) {
        self.streams.retain_mut(|stream| match stream.read(&mut [0; 64]) {
            Ok(0) => false,
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        });
    }
}

fn listen(dir: &Path) -> io::Result<(UnixListener, Bound)> {
    let listener = sockets::listen(dir, sockets::TURNS)?;
    listener.set_nonblocking(true)?;
    Ok((listener, Bound::of(dir, sockets::TURNS)?))
}
