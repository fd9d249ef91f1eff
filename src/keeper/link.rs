//! Owns: the daemon's side: launching a keeper and talking to it without ever waiting for it.
//! Never: what its messages mean for the store.
#![expect(clippy::disallowed_types, reason = "the keeper itself is started here")]

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use super::channel::{Channel, Peer};
use super::protocol::{FromKeeper, ToKeeper};

/// A connection to a keeper.
#[derive(Debug)]
pub struct KeeperLink {
    channel: Channel,
    peer: Peer,
}

impl KeeperLink {
    /// Takes over a connected socket.
    ///
    /// A connection that ends before the keeper's `Hello` was made to one that was just ending: there is no
    /// keeper then.
    ///
    /// # Errors
    ///
    /// If the socket cannot be made non-blocking.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        Ok(Self { channel: Channel::new(stream)?, peer: Peer::Open })
    }

    /// Takes messages and writes as much as the socket has room for. The rest is kept: while `wants_write`,
    /// poll for POLLOUT and call `flush`.
    ///
    /// # Errors
    ///
    /// `InvalidData` if a message is longer than `FRAME_BYTES_MAX`: then none of them is taken, and the link
    /// is as good as before. A keeper that is gone is `receive`'s to report, after everything that it had
    /// said.
    pub fn send(&mut self, messages: &[ToKeeper]) -> io::Result<()> {
        let before = self.channel.out_len();
        for message in messages {
            if let Err(error) = self.channel.queue(message) {
                self.channel.unqueue(before);
                return Err(error.into());
            }
        }
        self.flush();
        Ok(())
    }

    /// Writes as much as the socket has room for.
    pub fn flush(&mut self) {
        // A keeper that reads no more is one that is gone, or is ending this connection: `receive` sees it.
        let _ = self.channel.flush();
    }

    /// Whether something waits for the socket to have room.
    pub fn wants_write(&self) -> bool {
        self.channel.wants_write()
    }

    /// Returns what the keeper has said since the last call, without waiting; nothing, if nothing.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the keeper is gone and everything that it said was returned by earlier calls;
    /// `InvalidData` when it talks nonsense.
    pub fn receive(&mut self) -> io::Result<Vec<FromKeeper>> {
        if self.peer == Peer::Open {
            self.peer = self.channel.fill();
        }
        let mut messages = Vec::new();
        loop {
            match self.channel.take() {
                Ok(Some(message)) => messages.push(message),
                // An error waits until everything before it was returned.
                Ok(None) | Err(_) if !messages.is_empty() => return Ok(messages),
                Ok(None) if self.peer == Peer::Open => return Ok(messages),
                Ok(None) => {
                    return Err(io::Error::new(ErrorKind::UnexpectedEof, "the keeper closed the connection"));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for KeeperLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

/// Starts a keeper, `exe` with `args`, that serves `listener`, and returns its process id.
///
/// The listener becomes the keeper's standard input, for `adopt_stdin_listener` to take; connections made
/// from now on wait in its backlog, so that nothing is lost before the keeper is up. The keeper enters a
/// session of its own by itself.
///
/// It is a child of the caller until the caller ends, and its own reaper's after that. A daemon that outlives
/// it (its link reports `UnexpectedEof`) reaps it with waitpid(2) on the returned id; WNOHANG, now and
/// whenever the next keeper is launched, is enough and never blocks.
///
/// # Errors
///
/// If it cannot be started.
pub fn launch(exe: &Path, args: &[OsString], listener: UnixListener, stderr: Stdio) -> io::Result<u32> {
    listener.set_nonblocking(true)?;
    let mut command = Command::new(exe);
    command.args(args).stdin(OwnedFd::from(listener)).stdout(Stdio::null()).stderr(stderr);
    Ok(command.spawn()?.id())
}
