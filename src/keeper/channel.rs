//! Owns: one end of the connection between daemon and keeper. It never blocks.
//! Never: the meaning of messages.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::{Zeroize, Zeroizing};

use super::wire::{self, FrameError, FrameReader};

/// How much is read in one call: a few hundred messages of the usual size.
const READ_BYTES: usize = 16 << 10;

/// The longest message with a secret. A longer one would leave copies while it is made.
const SECRET_BYTES_MAX: usize = 16 << 10;

/// How many reads come before the rest of the program continues. The next poll returns at once if bytes are
/// left.
const READS_PER_FILL: usize = 16;

/// A connected socket with a buffer on either side.
#[derive(Debug)]
pub struct Channel {
    stream: UnixStream,
    reader: FrameReader,
    out: Vec<u8>,
    /// The bytes of `out` before this index are written.
    written: usize,
    /// There is a secret in `out`.
    is_secret: bool,
    /// The other side no longer reads. The bytes that it has sent are still read.
    is_shut: bool,
    /// The other side no longer sends. All that it has sent is in the buffer.
    is_ended: bool,
}

impl Channel {
    /// Takes over a connected socket.
    ///
    /// # Errors
    /// If the socket cannot be made non-blocking.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let (reader, out) = (FrameReader::default(), Vec::new());
        Ok(Self { stream, reader, out, written: 0, is_secret: false, is_shut: false, is_ended: false })
    }

    /// Returns whether the other side will send no more.
    pub(super) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Reads what has arrived, up to a bound.
    pub(super) fn fill(&mut self) {
        let mut bytes = [0; READ_BYTES];
        for _ in 0..READS_PER_FILL {
            if self.is_ended {
                return;
            }
            match (&self.stream).read(&mut bytes) {
                Ok(0) => self.is_ended = true,
                Ok(count) => {
                    self.reader.push(&bytes[..count]);
                    bytes[..count].zeroize();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // ECONNRESET: the other side died with unread messages of ours. Linux reports it only after
                // everything that the other side had written was read, so nothing is lost here.
                Err(_) => self.is_ended = true,
            }
        }
    }

    /// Returns the next complete message.
    pub(super) fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        self.reader.take()
    }

    /// Wipes the messages that were taken, one of which was a secret.
    pub(super) fn wipe_taken(&mut self) {
        self.reader.wipe_taken();
    }

    /// Returns the messages that have arrived since the last call, without waiting.
    ///
    /// # Errors
    /// `UnexpectedEof` if the other side is gone and all its messages were returned by earlier calls;
    /// `InvalidData` if it sent something that is not a message.
    pub fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Vec<T>> {
        self.fill();
        let mut messages = Vec::new();
        loop {
            match self.take() {
                Ok(Some(message)) => messages.push(message),
                // An error waits until everything before it was returned.
                Ok(None) | Err(_) if !messages.is_empty() => return Ok(messages),
                Ok(None) if !self.is_ended => return Ok(messages),
                Ok(None) => {
                    return Err(io::Error::new(ErrorKind::UnexpectedEof, "it closed the connection"));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes messages, for `flush` to write.
    ///
    /// # Errors
    /// If a message is longer than a frame may be: then none of them is taken, and the channel stays usable.
    pub(super) fn queue<T: Serialize>(&mut self, messages: &[T]) -> Result<(), FrameError> {
        if self.is_secret {
            return self.queue_wiped(messages);
        }
        let length = self.out.len();
        let queued = messages.iter().try_for_each(|message| wire::encode(message, &mut self.out));
        if queued.is_err() || self.is_shut {
            self.out.truncate(length);
        }
        queued
    }

    /// Does the same without leaving a copy of a secret in memory.
    fn queue_wiped<T: Serialize>(&mut self, messages: &[T]) -> Result<(), FrameError> {
        let mut more = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX));
        messages.iter().try_for_each(|message| wire::encode(message, &mut more))?;
        if !self.is_shut {
            wire::extend_wiped(&mut self.out, &more);
        }
        Ok(())
    }

    /// Sends a message, and wipes its bytes as soon as they are written.
    ///
    /// # Errors
    /// As `queue`.
    pub fn send_secret<T: Serialize>(&mut self, message: &T) -> Result<(), FrameError> {
        self.is_secret = true;
        self.send(std::slice::from_ref(message))
    }

    /// Takes messages and writes as much as the socket has room for. The rest is kept: while `wants_write`,
    /// poll for POLLOUT and call `flush`. That the other side is gone is an error of `receive`.
    ///
    /// # Errors
    /// As `queue`.
    pub fn send<T: Serialize>(&mut self, messages: &[T]) -> Result<(), FrameError> {
        self.queue(messages)?;
        self.flush();
        Ok(())
    }

    /// Writes as much as the socket has room for.
    pub fn flush(&mut self) {
        while self.written < self.out.len() {
            match (&self.stream).write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.is_shut = true;
                    break;
                }
            }
        }
        self.written = 0;
        if std::mem::take(&mut self.is_secret) {
            self.out.zeroize();
        }
        wire::recycle(&mut self.out);
    }

    /// Returns whether something is left to be written.
    pub fn wants_write(&self) -> bool {
        !self.out.is_empty()
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
