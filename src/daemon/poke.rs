//! Owns: pokes, by which a client announces a write, on both sides of the socket.
//! Never: the content of the write: the daemon reads that from the database.
//!
//! *Will write* makes the daemon look into the database a second later. *Wrote* ends its sleep at once. So a
//! client that dies between its commit and its *wrote* costs a second, and nothing wakes up regularly.

use std::io::{self, ErrorKind, IoSliceMut};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg};

use super::at_once::{self, AtOnce, DATAGRAM_BYTES_MAX};
use super::lock::wake_holder;
use super::sockets;

const WILL_WRITE: &[u8] = b"?";
const WROTE: &[u8] = b"!";

/// The announcement of a write: made before it, dropped after its commit.
#[derive(Debug)]
pub struct Poke<'a> {
    socket: UnixDatagram,
    dir: &'a Path,
}

impl<'a> Poke<'a> {
    /// Sends *will write* to the daemon of the store in `dir`, if one runs.
    ///
    /// # Errors
    /// The system has no descriptors or memory for it. Then nothing may be written, because the daemon would
    /// not notice.
    pub fn will_write(dir: &'a Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        let poke = Self { socket, dir };
        poke.send(WILL_WRITE)?;
        Ok(poke)
    }

    /// Returns whether a daemon receives it. A full queue is as good as a message in it, because the daemon
    /// has not looked yet.
    fn send(&self, bytes: &[u8]) -> io::Result<bool> {
        match sockets::send(&self.socket, self.dir, sockets::POKES, bytes) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
            Err(error) if sockets::is_exhaustion(&error) => Err(error),
            Err(_) => Ok(false),
        }
    }
}

impl Drop for Poke<'_> {
    /// Sends *wrote*, also if no daemon received *will write*: one that has started since then may have
    /// looked before the commit.
    fn drop(&mut self) {
        // If it cannot be sent, the daemon looks by itself a second after *will write*.
        if self.send(WROTE).is_ok_and(|is_received| !is_received) {
            // A daemon whose socket was removed may still run.
            wake_holder(self.dir);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientMessage {
    /// The client with this process id will write.
    WillWrite(i32),
    Wrote(i32),
    AtOnce(AtOnce),
}

fn read(pid: i32, datagram: &[u8]) -> Option<ClientMessage> {
    match datagram {
        WILL_WRITE => Some(ClientMessage::WillWrite(pid)),
        WROTE => Some(ClientMessage::Wrote(pid)),
        other => at_once::read(other).map(ClientMessage::AtOnce),
    }
}

/// Returns the messages that have arrived at the daemon's socket. Drops those of other users.
pub(super) fn receive(socket: &UnixDatagram) -> Vec<ClientMessage> {
    let mut messages = Vec::new();
    loop {
        let mut bytes = [0; DATAGRAM_BYTES_MAX];
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let mut control = cmsg_space!(UnixCredentials);
        let received =
            match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT) {
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
        if let Some(sender) = sender.filter(|sender| sockets::may_connect(sender.uid())) {
            messages.extend(read(sender.pid(), &bytes[..length]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_sends_that_it_will_write_and_that_it_wrote() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let socket = sockets::receive(dir.path(), sockets::POKES).expect("the name is new");
        let pid = i32::try_from(std::process::id()).expect("process ids fit");
        let poke = Poke::will_write(dir.path()).expect("there are descriptors");
        assert_eq!(receive(&socket), [ClientMessage::WillWrite(pid)]);
        drop(poke);
        assert_eq!(receive(&socket), [ClientMessage::Wrote(pid)]);
    }

    #[test]
    fn a_daemon_that_starts_between_will_write_and_the_commit_receives_wrote() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let poke = Poke::will_write(dir.path()).expect("there are descriptors");
        let socket = sockets::receive(dir.path(), sockets::POKES).expect("the name is new");
        assert_eq!(receive(&socket), []);
        drop(poke);
        assert!(matches!(receive(&socket)[..], [ClientMessage::Wrote(_)]));
    }
}
