//! Owns: how a client waits for the daemon's turns, and how the daemon tells them.
//! Never: what happened in a turn: clients read that from the database.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use inotify::{Inotify, WatchMask};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::sockets::{self, Bound};
use crate::domain::Span;

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The daemon has committed a turn, or one has come: read the database.
    Turn,
    /// The watched file has grown.
    File,
    /// The time was over.
    TimedOut,
    /// The daemon has gone away; the next wait is for another one.
    DaemonGone,
}

/// A client's place at the daemon's turns.
#[derive(Debug)]
pub struct Subscription {
    dir: PathBuf,
    stream: Option<UnixStream>,
    /// Watches the directory for the next daemon's socket, once one has gone.
    arrivals: Option<Inotify>,
    file: Option<Inotify>,
}

impl Subscription {
    /// Takes a place; without a daemon, one at the next.
    pub fn new(dir: &Path) -> io::Result<Self> {
        let mut subscription = Self { dir: dir.to_owned(), stream: None, arrivals: None, file: None };
        subscription.connect()?;
        Ok(subscription)
    }

    /// Tells whether there is a daemon.
    pub fn has_daemon(&self) -> bool {
        self.stream.is_some()
    }

    /// Wakes up as well whenever this file is written to. Replaces the file watched before.
    pub fn watch_file(&mut self, path: &Path) -> io::Result<()> {
        let inotify = Inotify::init()?;
        inotify.watches().add(path, WatchMask::MODIFY)?;
        self.file = Some(inotify);
        Ok(())
    }

    fn connect(&mut self) -> io::Result<()> {
        // Watch first, then try: a socket made in between is seen by one of the two.
        let arrivals = Inotify::init()?;
        arrivals.watches().add(&self.dir, WatchMask::CREATE | WatchMask::ATTRIB | WatchMask::MOVED_TO)?;
        if let Ok(stream) = sockets::connect(&self.dir, sockets::TURNS) {
            stream.set_nonblocking(true)?;
            self.stream = Some(stream);
            self.arrivals = None;
        } else {
            self.arrivals = Some(arrivals);
        }
        Ok(())
    }

    /// Waits for a turn, a file, or for `timeout` to pass; `None`: as long as it takes. A signal ends it like a turn.
    pub fn wait(&mut self, timeout: Option<Span>) -> io::Result<Wake> {
        let millis = timeout.map_or(PollTimeout::NONE, |span| {
            // Rounded up: a wait that ends early would be followed by a busy one.
            let millis = span.as_micros().div_ceil(1_000).min(i32::MAX as u64);
            PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
        });
        let main: BorrowedFd<'_> = match (&self.stream, &self.arrivals) {
            (Some(stream), _) => stream.as_fd(),
            (None, Some(arrivals)) => arrivals.as_fd(),
            (None, None) => unreachable!("a subscription waits for a daemon or at one"),
        };
        let mut fds = vec![PollFd::new(main, PollFlags::POLLIN)];
        if let Some(file) = &self.file {
            fds.push(PollFd::new(file.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut fds, millis) {
            Ok(0) => return Ok(Wake::TimedOut),
            Err(Errno::EINTR) => return Ok(Wake::Turn),
            Err(errno) => return Err(errno.into()),
            Ok(_) => {}
        }
        let ready = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
        let (main_ready, file_ready) = (ready(&fds[0]), fds.get(1).is_some_and(ready));
        if file_ready && let Some(file) = &mut self.file {
            drain(file)?;
        }
        if main_ready {
            return if self.stream.is_some() { self.read_turns() } else { self.read_arrivals() };
        }
        Ok(Wake::File)
    }

    fn read_turns(&mut self) -> io::Result<Wake> {
        let Some(stream) = &mut self.stream else { return Ok(Wake::DaemonGone) };
        let mut bytes = [0; 64];
        loop {
            match stream.read(&mut bytes) {
                Ok(0) => break,
                Ok(n) if n < bytes.len() => return Ok(Wake::Turn),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Wake::Turn),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.stream = None;
        self.connect()?;
        Ok(if self.stream.is_some() { Wake::Turn } else { Wake::DaemonGone })
    }

    fn read_arrivals(&mut self) -> io::Result<Wake> {
        if let Some(arrivals) = &mut self.arrivals {
            drain(arrivals)?;
        }
        self.connect()?;
        Ok(Wake::Turn)
    }
}

fn drain(inotify: &mut Inotify) -> io::Result<()> {
    let mut buffer = [0; 4096];
    match inotify.read_events(&mut buffer) {
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
        Ok(_) | Err(_) => Ok(()),
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

    /// Returns those who are in.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.streams.iter().map(AsFd::as_fd)
    }

    pub(super) fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Lets in everybody who has come and may. Each is told at once: the turn that it waits for may just have passed.
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

    /// Tells everybody that a turn is committed; forgets who has left. Whoever has bytes unread knows already.
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
