//! Owns: how a client tells the daemon that it writes, on both sides of the socket.
//! Never: what was written: the daemon reads that from the database.
//!
//! *Will write* arms one check a second later, *wrote* ends the daemon's sleep: a client that dies between
//! its commit and its *wrote* costs a second, and nothing wakes up to look for it.

use std::collections::HashSet;
use std::io::{self, ErrorKind, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg, setsockopt, sockopt};

use super::deaf;
use super::sockets::{self, Bound};
use super::stops::{self, DATAGRAM_BYTES_MAX, Stop};

const WILL_WRITE: &[u8] = b"?";
const WROTE: &[u8] = b"!";

/// A client's side: made before it writes, dropped after its commit.
#[derive(Debug)]
pub struct Poke<'a> {
    socket: UnixDatagram,
    dir: &'a Path,
}

impl<'a> Poke<'a> {
    /// Says *will write* to the daemon of the store in `dir`, if there is one.
    ///
    /// # Errors
    /// The system refuses what it takes: nothing must be written that the daemon is not told of.
    pub fn will_write(dir: &'a Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        let poke = Self { socket, dir };
        poke.say(WILL_WRITE)?;
        Ok(poke)
    }

    /// Returns whether anybody was there to be told. A full queue is as good as a message in it: the daemon
    /// has yet to look.
    fn say(&self, bytes: &[u8]) -> io::Result<bool> {
        match sockets::send(&self.socket, self.dir, sockets::POKES, bytes) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
            Err(error) if sockets::is_exhaustion(&error) => Err(error),
            Err(_) => Ok(false),
        }
    }
}

impl Drop for Poke<'_> {
    /// Says *wrote*, also where nobody heard *will write*: a daemon that came meanwhile may have looked
    /// before the commit.
    fn drop(&mut self) {
        // Where it cannot be said, the daemon looks for itself a second after *will write*.
        if self.say(WROTE).is_ok_and(|heard| !heard) {
            // There may be a daemon all the same: one whose socket was removed.
            deaf::wake(self.dir);
        }
    }
}

/// The clients that will write and have not said that they wrote, by their process ids: a *wrote* whose *will
/// write* was not heard must not stand for somebody else's.
#[derive(Debug, Default)]
pub(super) struct Writers(HashSet<i32>);

impl Writers {
    /// Those that a daemon begins with: whoever said *will write* to the one before it may die before it says
    /// *wrote*.
    pub(super) fn of_the_last_daemon() -> Self {
        // Process 0 is the kernel's, and says nothing.
        Self(HashSet::from([0]))
    }

    /// Takes in a message; tells whether something was written.
    fn hear(&mut self, pid: i32, message: &[u8]) -> bool {
        match message {
            WILL_WRITE => {
                self.0.insert(pid);
                false
            }
            WROTE => {
                self.0.remove(&pid);
                true
            }
            _ => false,
        }
    }

    /// Tells whether there is nobody to wait for.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets them all: they had their time.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The daemon's side.
#[derive(Debug)]
pub(super) struct PokeSocket {
    socket: UnixDatagram,
    bound: Bound,
}

impl PokeSocket {
    pub(super) fn bind(dir: &Path) -> io::Result<Self> {
        let socket = sockets::receive(dir, sockets::POKES)?;
        setsockopt(&socket, sockopt::PassCred, &true)?;
        Ok(Self { socket, bound: Bound::of(dir, sockets::POKES)? })
    }

    pub(super) fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Makes the socket again if its name is gone. Whoever said *wrote* at the old one had committed: the
    /// turn that follows sees it.
    pub(super) fn mend(&mut self, dir: &Path) -> io::Result<()> {
        if self.bound.is_gone() {
            *self = Self::bind(dir)?;
        }
        Ok(())
    }

    /// Takes in every message that has come, and tells whether something was written, and what is to be
    /// stopped; what other users say is dropped.
    pub(super) fn drain(&self, writers: &mut Writers) -> (bool, Vec<Stop>) {
        let (mut wrote, mut stops) = (false, Vec::new());
        loop {
            let mut bytes = [0; DATAGRAM_BYTES_MAX];
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let mut control = cmsg_space!(UnixCredentials);
            let message = match recvmsg::<()>(
                self.socket.as_raw_fd(),
                &mut parts,
                Some(&mut control),
                MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(message) => message,
                Err(Errno::EINTR) => continue,
                Err(_) => return (wrote, stops),
            };
            let length = message.bytes;
            let sender = message.cmsgs().ok().and_then(|mut messages| {
                messages.find_map(|one| match one {
                    ControlMessageOwned::ScmCredentials(sender) => Some(sender),
                    _ => None,
                })
            });
            if let Some(sender) = sender.filter(|sender| sockets::is_trusted(sender.uid())) {
                let datagram = &bytes[..length];
                stops.extend(stops::read(datagram));
                wrote |= writers.hear(sender.pid(), datagram);
            }
        }
    }
}

impl AsFd for PokeSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_comes_between_will_write_and_the_commit_is_told_of_it() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let poke = Poke::will_write(dir.path()).expect("there are descriptors");
        let socket = PokeSocket::bind(dir.path()).expect("the name is new");
        let mut writers = Writers::default();
        assert!(!socket.drain(&mut writers).0);
        drop(poke);
        assert!(socket.drain(&mut writers).0 && writers.is_empty());
    }

    #[test]
    fn a_client_is_waited_for_from_its_will_write_to_its_wrote() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let socket = PokeSocket::bind(dir.path()).expect("the name is new");
        let mut writers = Writers::default();
        let poke = Poke::will_write(dir.path()).expect("there are descriptors");
        assert!(!socket.drain(&mut writers).0 && !writers.is_empty());
        drop(poke);
        assert!(socket.drain(&mut writers).0 && writers.is_empty());
    }

    #[test]
    fn a_wrote_does_not_stand_for_another_client() {
        let mut writers = Writers::default();
        assert!(!writers.hear(1, WILL_WRITE));
        assert!(writers.hear(2, WROTE) && !writers.is_empty());
        assert!(writers.hear(1, WROTE) && writers.is_empty());
    }
}
