//! Owns: subscriptions, by which a client waits for the daemon's turns, on both sides of the socket.
//! Never: what a turn has changed: clients read that from the database.
//!
//! A client does not poll while a daemon runs, or while inotify(7) can show the start of the next one. It
//! polls after a pause only if the system has no descriptors, memory or inotify instances for that, or if the
//! daemon has no room for it.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use inotify::{Inotify, WatchMask};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::following::Following;
use super::lock::{running_daemon, wake_holder};
use super::sockets::{self, NamedSocket};
use crate::domain::Span;
use crate::error::describe;

/// The pause between two looks for a daemon that no event would announce.
const LOOK_AGAIN: Span = Span::from_millis(200);

/// The pause between two looks at a file that cannot be watched: too short for a person to notice.
const LOOK_AT_FILE: Span = Span::from_millis(50);

/// How often a client looks for a daemon that it has told of its missing sockets: for three seconds. The
/// daemon needs one turn.
const MENDING_LOOKS: u32 = 15;

/// The reason why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitEnd {
    /// The daemon has committed a turn, or a daemon has started: read the database.
    Turn,
    /// A followed file has grown.
    File,
    /// One of the other descriptors can be read.
    Other,
    /// The time has passed.
    TimedOut,
    /// The daemon has exited. The next wait is for another one.
    DaemonGone,
}

/// The reason why a client is not connected to the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unconnected {
    NotRunning,
    /// The process with this id holds the lock, and does not listen at the sockets.
    NotListening(u32),
    /// The system does not allow to find out, for this reason.
    Refused(String),
}

/// A client's connection to the daemon, for its turns.
#[derive(Debug)]
pub struct Subscription {
    dir: PathBuf,
    link: Link,
    following: Vec<Following>,
}

#[derive(Debug)]
enum Link {
    /// The daemon greets each client that it accepts. Before that it does not report its turns.
    Up { stream: UnixStream, greeted: bool },
    /// `arrivals` watches the directory for the next daemon's socket, if that can be watched.
    Down { why: Unconnected, arrivals: Option<Inotify> },
}

impl Subscription {
    /// Connects to the daemon, or prepares to wait for the next one. Wakes a daemon whose sockets are gone.
    pub fn new(dir: &Path) -> Self {
        let link = Link::Down { why: Unconnected::NotRunning, arrivals: None };
        let mut subscription = Self { dir: dir.to_owned(), link, following: Vec::new() };
        subscription.connect();
        subscription
    }

    pub fn has_daemon(&self) -> bool {
        matches!(self.link, Link::Up { .. })
    }

    /// Returns why it is not connected; `None` if it is. Gives a daemon the time to make missing sockets
    /// again.
    pub fn unconnected(&mut self) -> Option<Unconnected> {
        for _ in 0..MENDING_LOOKS {
            let Link::Down { why: Unconnected::NotListening(_), arrivals } = &self.link else { break };
            let mut fds: Vec<_> =
                arrivals.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)).collect();
            // Whatever ends this pause, it looks for the daemon afterwards.
            let _ = poll(&mut fds, poll_timeout(LOOK_AGAIN));
            self.connect();
        }
        match &self.link {
            Link::Up { .. } => None,
            Link::Down { why, .. } => Some(why.clone()),
        }
    }

    /// Makes waits also end when one of these files is made or grows. Replaces the files followed before, and
    /// returns whether these are others.
    pub fn follow(&mut self, paths: &[PathBuf]) -> bool {
        let is_same = self.following.len() == paths.len()
            && self.following.iter().zip(paths).all(|(following, path)| following.is_of(path));
        if !is_same {
            let mut before = std::mem::take(&mut self.following);
            self.following = paths
                .iter()
                .map(|path| match before.iter().position(|following| following.is_of(path)) {
                    Some(same) => before.swap_remove(same),
                    None => Following::new(path),
                })
                .collect();
        }
        !is_same
    }

    fn connect(&mut self) {
        let was_silent = self.is_daemon_silent();
        self.link = connect(&self.dir).unwrap_or_else(|why| {
            // Watch first, then try again: one of the two finds a socket that is made in between.
            let arrivals = watch_arrivals(&self.dir).ok();
            match connect(&self.dir) {
                Ok(link) => link,
                // The watch may have taken the last descriptor.
                Err(Unconnected::Refused(_)) => Link::Down { why, arrivals: None },
                Err(why) => Link::Down { why, arrivals },
            }
        });
        // Once is enough: the daemon may be about to make its sockets.
        if self.is_daemon_silent() && !was_silent {
            wake_holder(&self.dir);
        }
    }

    fn is_daemon_silent(&self) -> bool {
        matches!(self.link, Link::Down { why: Unconnected::NotListening(_), .. })
    }

    /// Returns when to look for a daemon or a file that no event would announce.
    fn next_look(&self) -> Option<Span> {
        let is_unannounced = match &self.link {
            Link::Up { greeted, .. } => !greeted,
            Link::Down { why, arrivals } => arrivals.is_none() || *why != Unconnected::NotRunning,
        };
        let is_unwatched = self.following.iter().any(|following| following.fd().is_none());
        let looks = [is_unannounced.then_some(LOOK_AGAIN), is_unwatched.then_some(LOOK_AT_FILE)];
        looks.into_iter().flatten().min()
    }

    /// Waits for a turn, for a followed file, or until `timeout` has passed; `None` is no limit. A signal
    /// ends the wait like a turn.
    ///
    /// # Errors
    /// If poll(2) fails.
    pub fn wait(&mut self, timeout: Option<Span>) -> io::Result<WaitEnd> {
        self.wait_also(timeout, &[])
    }

    /// Does what `wait` does, and also ends when one of `others` can be read. That goes before a turn.
    ///
    /// # Errors
    /// If poll(2) fails.
    pub fn wait_also(&mut self, timeout: Option<Span>, others: &[BorrowedFd<'_>]) -> io::Result<WaitEnd> {
        loop {
            let look = self.next_look().filter(|look| timeout.is_none_or(|timeout| *look < timeout));
            let mut fds = Vec::with_capacity(3);
            let main: Option<BorrowedFd<'_>> = match &self.link {
                Link::Up { stream, .. } => Some(stream.as_fd()),
                Link::Down { arrivals, .. } => arrivals.as_ref().map(AsFd::as_fd),
            };
            let files = self.following.iter().filter_map(Following::fd);
            let all = others.iter().copied().chain(main).chain(files);
            fds.extend(all.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
            match poll(&mut fds, look.or(timeout).map_or(PollTimeout::NONE, poll_timeout)) {
                Ok(0) if look.is_some() => return Ok(self.look()),
                Ok(0) => return Ok(WaitEnd::TimedOut),
                Err(Errno::EINTR) => return Ok(WaitEnd::Turn),
                Err(errno) => return Err(errno.into()),
                Ok(_) => {}
            }
            let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
            let (of_others, ready) = ready.split_at(others.len());
            if of_others.contains(&true) {
                return Ok(WaitEnd::Other);
            }
            let (of_main, of_files) = ready.split_at(usize::from(main.is_some()));
            let main_ready = of_main.contains(&true);
            let watched = self.following.iter_mut().filter(|following| following.fd().is_some());
            let mut has_grown = false;
            for (following, _) in watched.zip(of_files).filter(|(_, is_ready)| **is_ready) {
                has_grown |= following.take();
            }
            if main_ready {
                return Ok(self.read_main());
            }
            // Other files do not end an unlimited wait. A limited one ends, so that they cannot prolong it.
            if has_grown || timeout.is_some() {
                return Ok(WaitEnd::File);
            }
        }
    }

    /// Waits until one of `others` can be read, or `timeout` has passed; not for turns: the next `wait`
    /// reports those of the meantime.
    ///
    /// # Errors
    /// If poll(2) fails.
    pub fn wait_only(timeout: Span, others: &[BorrowedFd<'_>]) -> io::Result<WaitEnd> {
        let mut fds: Vec<_> = others.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        match poll(&mut fds, poll_timeout(timeout)) {
            Ok(0) => Ok(WaitEnd::TimedOut),
            // A signal may have made one of them readable.
            Ok(_) | Err(Errno::EINTR) => Ok(WaitEnd::Other),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Looks for a daemon that no event announces.
    fn look(&mut self) -> WaitEnd {
        if !self.has_daemon() {
            self.connect();
        }
        WaitEnd::Turn
    }

    fn read_main(&mut self) -> WaitEnd {
        match &mut self.link {
            Link::Up { stream, greeted } => {
                if has_bytes(stream) {
                    *greeted = true;
                    return WaitEnd::Turn;
                }
                self.connect();
                if self.has_daemon() { WaitEnd::Turn } else { WaitEnd::DaemonGone }
            }
            Link::Down { arrivals, .. } => {
                if let Some(arrivals) = arrivals {
                    // Whatever the events are, it looks for the daemon.
                    let _ = arrivals.read_events(&mut [0; 4096]).map(|_| ());
                }
                self.connect();
                WaitEnd::Turn
            }
        }
    }
}

/// Returns a timeout of at least this span. A shorter one would make the next wait a busy one.
fn poll_timeout(span: Span) -> PollTimeout {
    let millis = span.as_micros().div_ceil(1_000).min(i32::MAX as u64);
    PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
}

/// Connects to the daemon.
fn connect(dir: &Path) -> Result<Link, Unconnected> {
    let connected = sockets::connect(dir, sockets::TURNS).and_then(|stream| {
        stream.set_nonblocking(true)?;
        Ok(Link::Up { stream, greeted: false })
    });
    connected.map_err(|error| {
        if sockets::is_absence(&error) {
            running_daemon(dir)
                .map_or(Unconnected::NotRunning, |daemon| Unconnected::NotListening(daemon.pid))
        } else {
            Unconnected::Refused(describe(&error))
        }
    })
}

fn watch_arrivals(dir: &Path) -> io::Result<Inotify> {
    let arrivals = Inotify::init()?;
    arrivals.watches().add(dir, WatchMask::CREATE | WatchMask::ATTRIB | WatchMask::MOVED_TO)?;
    Ok(arrivals)
}

/// Reads all bytes that have arrived. Returns `false` if the other side has hung up.
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

/// The clients that wait for the daemon's turns.
#[derive(Debug)]
pub(super) struct Subscribers {
    socket: NamedSocket<UnixListener>,
    streams: Vec<UnixStream>,
    most: usize,
}

impl Subscribers {
    /// Makes their socket. At most `most` clients are connected at once. The others wait at the listener, and
    /// poll the store meanwhile.
    pub(super) fn bind(dir: &Path, most: usize) -> io::Result<Self> {
        Ok(Self {
            socket: NamedSocket::new(dir, sockets::TURNS, sockets::listen)?,
            streams: Vec::new(),
            most,
        })
    }

    pub(super) fn socket(&self) -> &NamedSocket<UnixListener> {
        &self.socket
    }

    /// Returns whether a client waits.
    pub(super) fn has_any(&self) -> bool {
        !self.streams.is_empty()
    }

    /// Returns whether one more client can be accepted.
    pub(super) fn have_room(&self) -> bool {
        self.streams.len() < self.most
    }

    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.streams.iter().map(AsFd::as_fd)
    }

    /// Accepts clients while there is room. Greets each at once, because the turn that it waits for may have
    /// just passed.
    ///
    /// # Errors
    /// There are no descriptors, or no memory, for one more.
    pub(super) fn accept(&mut self) -> io::Result<()> {
        while self.have_room() {
            let Some(mut stream) = sockets::accept(&self.socket)? else { break };
            if stream.write(b".").is_ok() {
                self.streams.push(stream);
            }
        }
        Ok(())
    }

    /// Makes the socket again if its file is gone. The clients stay connected.
    pub(super) fn mend(&mut self) -> io::Result<()> {
        if self.socket.is_gone() {
            self.accept()?;
            self.socket.renew()?;
        }
        Ok(())
    }

    /// Reports a committed turn to all clients, and drops those that have left. A client with unread bytes
    /// knows already.
    pub(super) fn report(&mut self) {
        self.streams.retain_mut(|stream| match stream.write(b".") {
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        });
    }

    /// Drops the clients that have left.
    pub(super) fn drop_departed(&mut self) {
        self.streams.retain_mut(|stream| match stream.read(&mut [0; 64]) {
            Ok(0) => false,
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        });
    }
}
