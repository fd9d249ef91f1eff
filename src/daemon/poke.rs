//! Owns: how a client tells the daemon that it writes, on both sides of the socket.
//! Never: what was written: the daemon reads that from the database.
//!
//! *Will write* arms one check a second later, *wrote* ends the daemon's sleep: a client that dies between its commit and
//! its *wrote* costs a second, and nothing wakes up to look for it.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg, setsockopt, sockopt};

use super::sockets;

const WILL_WRITE: &[u8] = b"?";
const WROTE: &[u8] = b"!";

/// A client's side: made before it writes, dropped after its commit.
#[derive(Debug)]
pub struct Poke<'a> {
    socket: Option<UnixDatagram>,
    dir: &'a Path,
}

impl<'a> Poke<'a> {
    /// Says *will write* to the daemon of the store in `dir`, if there is one.
    pub fn will_write(dir: &'a Path) -> Self {
        let socket = UnixDatagram::unbound().ok().filter(|socket| {
            // A full queue is as good as a message in it: the daemon has yet to look.
            socket.set_nonblocking(true).is_ok()
                && match sockets::send(socket, dir, sockets::POKES, WILL_WRITE) {
                    Ok(()) => true,
                    Err(error) => error.kind() == io::ErrorKind::WouldBlock,
                }
        });
        Self { socket, dir }
    }
}

impl Drop for Poke<'_> {
    /// Says *wrote*. Where nobody listens any more, the next daemon reads the database anyway.
    fn drop(&mut self) {
        if let Some(socket) = &self.socket {
            let _ = sockets::send(socket, self.dir, sockets::POKES, WROTE);
        }
    }
}

/// What clients have said since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pokes {
    /// How many will write.
    pub will_write: usize,
    /// How many wrote.
    pub wrote: usize,
}

/// The daemon's side.
#[derive(Debug)]
pub(super) struct PokeSocket(UnixDatagram);

impl PokeSocket {
    pub(super) fn bind(dir: &Path) -> io::Result<Self> {
        let socket = sockets::receive(dir, sockets::POKES)?;
        setsockopt(&socket, sockopt::PassCred, &true)?;
        Ok(Self(socket))
    }

    /// Takes in every message that has come; those of other users are dropped.
    pub(super) fn drain(&self) -> Pokes {
        let mut pokes = Pokes::default();
        loop {
            let mut byte = [0];
            let mut parts = [IoSliceMut::new(&mut byte)];
            let mut control = cmsg_space!(UnixCredentials);
            let message =
                match recvmsg::<()>(self.0.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT) {
                    Ok(message) => message,
                    Err(Errno::EINTR) => continue,
                    Err(_) => return pokes,
                };
            let trusted = message.cmsgs().is_ok_and(|mut messages| {
                messages.any(|one| match one {
                    ControlMessageOwned::ScmCredentials(sender) => sockets::is_trusted(sender.uid()),
                    _ => false,
                })
            });
            match &byte[..] {
                b"?" if trusted => pokes.will_write += 1,
                b"!" if trusted => pokes.wrote += 1,
                _ => {}
            }
        }
    }
}

impl AsFd for PokeSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
