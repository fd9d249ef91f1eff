//! Owns: how a client tells the daemon that it writes, on both sides of the socket.
//! Never: what was written: the daemon reads that from the database.
//!
//! *Will write* arms one check a second later, *wrote* ends the daemon's sleep: a client that dies between
//! its commit and its *wrote* costs a second, and nothing wakes up to look for it.

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientMessage {
    /// The client with this process id will write.
    WillWrite(i32),
    Wrote(i32),
    Stop(Stop),
}

fn read(pid: i32, datagram: &[u8]) -> Option<ClientMessage> {
    match datagram {
        WILL_WRITE => Some(ClientMessage::WillWrite(pid)),
        WROTE => Some(ClientMessage::Wrote(pid)),
        other => stops::read(other).map(ClientMessage::Stop),
    }
}

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

    /// Returns every message that has come; those of other users are dropped.
    pub(super) fn receive(&self) -> Vec<ClientMessage> {
        let mut messages = Vec::new();
        loop {
            let mut bytes = [0; DATAGRAM_BYTES_MAX];
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let mut control = cmsg_space!(UnixCredentials);
            let received = match recvmsg::<()>(
                self.socket.as_raw_fd(),
                &mut parts,
                Some(&mut control),
                MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(received) => received,
                Err(Errno::EINTR) => continue,
                Err(_) => return messages,
            };
            let length = received.bytes;
            let sender = received.cmsgs().ok().and_then(|mut parts| {
                parts.find_map(|part| match part {
                    ControlMessageOwned::ScmCredentials(sender) => Some(sender),
                    _ => None,
                })
            });
            if let Some(sender) = sender.filter(|sender| sockets::is_trusted(sender.uid())) {
                messages.extend(read(sender.pid(), &bytes[..length]));
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
    fn a_client_says_that_it_will_write_and_that_it_wrote() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let socket = PokeSocket::bind(dir.path()).expect("the name is new");
        let pid = i32::try_from(std::process::id()).expect("process ids fit");
        let poke = Poke::will_write(dir.path()).expect("there are descriptors");
        assert_eq!(socket.receive(), [ClientMessage::WillWrite(pid)]);
        drop(poke);
        assert_eq!(socket.receive(), [ClientMessage::Wrote(pid)]);
    }

    #[test]
    fn a_daemon_that_comes_between_will_write_and_the_commit_is_told_of_it() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let poke = Poke::will_write(dir.path()).expect("there are descriptors");
        let socket = PokeSocket::bind(dir.path()).expect("the name is new");
        assert_eq!(socket.receive(), []);
        drop(poke);
        assert!(matches!(socket.receive()[..], [ClientMessage::Wrote(_)]));
    }
}
