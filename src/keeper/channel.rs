//! Owns: one end of the connection between daemon and keeper: frames in, frames out, never blocking.
//! Never: what the messages mean.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::wire::{self, FrameError, FrameReader};

/// How much is read in one call: a few hundred messages of the usual size.
const READ_BYTES: usize = 16 << 10;

/// How many reads come before the rest of the program gets its turn; what is left makes the next poll
/// return at once.
const READS_PER_FILL: usize = 16;

/// What a read has found about the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// It may send more.
    Open,
    /// It will send no more. What it has sent is in the buffer.
    Gone,
}

/// A connected socket with a buffer on either side.
#[derive(Debug)]
pub struct Channel {
    stream: UnixStream,
    reader: FrameReader,
    out: Vec<u8>,
    /// Everything in `out` before this was written.
    written: usize,
    /// The other side reads no more. What it has sent before that is still read.
    is_shut: bool,
}

impl Channel {
    /// Takes over a connected socket.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, reader: FrameReader::default(), out: Vec::new(), written: 0, is_shut: false })
    }

    /// Reads what has arrived, up to a bound.
    pub fn fill(&mut self) -> Peer {
        let mut bytes = [0; READ_BYTES];
        for _ in 0..READS_PER_FILL {
            match (&self.stream).read(&mut bytes) {
                Ok(0) => return Peer::Gone,
                Ok(count) => self.reader.push(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Peer::Open,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // ECONNRESET: the other side died with unread messages of ours. Linux reports it only after
                // everything that the other side had written was read, so nothing is lost here.
                Err(_) => return Peer::Gone,
            }
        }
        Peer::Open
    }

    /// Returns the next complete message.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        self.reader.take()
    }

    /// Adds a message to what is to be written.
    pub fn queue<T: Serialize>(&mut self, message: &T) -> Result<(), FrameError> {
        if self.is_shut { Ok(()) } else { wire::encode(message, &mut self.out) }
    }

    /// Removes what was queued since `out_len` was `length`.
    pub fn unqueue(&mut self, length: usize) {
        self.out.truncate(length);
    }

    /// Returns how many bytes are queued.
    pub fn out_len(&self) -> usize {
        self.out.len()
    }

    /// Writes as much as the socket takes.
    ///
    /// # Errors
    /// Once, when the other side reads no more; from then on there is nothing to write.
    pub fn flush(&mut self) -> io::Result<()> {
        while self.written < self.out.len() {
            match (&self.stream).write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.is_shut = true;
                    self.forget_written();
                    return Err(error);
                }
            }
        }
        self.forget_written();
        Ok(())
    }

    fn forget_written(&mut self) {
        self.written = 0;
        wire::recycle(&mut self.out);
    }

    /// Whether something is left to be written.
    pub fn wants_write(&self) -> bool {
        !self.out.is_empty()
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
