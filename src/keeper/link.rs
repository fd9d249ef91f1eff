//! Owns: the daemon's side: launching a keeper, and exchanging messages with it without ever blocking.
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
    /// Takes over a connected socket. If it ends before the keeper's `Hello`, that keeper was exiting.
    ///
    /// # Errors
    /// If the socket cannot be made non-blocking.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        Ok(Self { channel: Channel::new(stream)?, peer: Peer::Open })
    }

    /// Takes messages and writes as much as the socket has room for. The rest is kept: while `wants_write`,
    /// poll for POLLOUT and call `flush`. That the keeper is gone is an error of `receive`.
    ///
    /// # Errors
    /// `InvalidData` if a message is longer than `FRAME_BYTES_MAX`: then none of them is taken, and the
    /// link stays usable.
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
        // That the keeper reads no more is also found by `receive`.
        let _ = self.channel.flush();
    }

    /// Whether something is left to be written.
    pub fn wants_write(&self) -> bool {
        self.channel.wants_write()
    }

    /// Returns the messages that have arrived since the last call, without waiting.
    ///
    /// # Errors
    /// `UnexpectedEof` if the keeper is gone and all its messages were returned by earlier calls;
    /// `InvalidData` if it sent something that is not a message.
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
/// The listener becomes the keeper's standard input, for `adopt_stdin_listener`. Connections made from now
/// on wait in its backlog, so nothing is lost before the keeper is up.
///
/// The keeper is a child of the caller, which reaps it by waitpid(2) with WNOHANG once its link is gone,
/// and again whenever the next keeper is launched.
///
/// # Errors
/// If it cannot be started.
pub fn launch(exe: &Path, args: &[OsString], listener: UnixListener, stderr: Stdio) -> io::Result<u32> {
    listener.set_nonblocking(true)?;
    let mut command = Command::new(exe);
    command.args(args).stdin(OwnedFd::from(listener)).stdout(Stdio::null()).stderr(stderr);
    Ok(command.spawn()?.id())
}
