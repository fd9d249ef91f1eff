//! Owns: one end of the connection of daemon and keeper: frames in, frames out, neither ever blocking.
//! Never: what the messages mean.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::protocol::{self, FrameReader};

/// How much is read in one call: a few hundred messages of the usual size.
const READ_BYTES: usize = 16 << 10;

/// How much is read before the rest of the program gets its turn; what is left makes the next poll return at
/// once.
const READS_PER_FILL: usize = 16;

/// What a read found out about the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// It may say more.
    Open,
    /// It has said everything that it ever will. What it said is in the buffer.
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
    /// The other side reads no more. It may have said things before that; they are still read.
    deaf: bool,
}

impl Channel {
    /// Takes over a connected socket.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, reader: FrameReader::default(), out: Vec::new(), written: 0, deaf: false })
    }

    /// Reads what there is to read, up to a bound.
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

    /// Returns the next complete message that was read.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, protocol::FrameError> {
        self.reader.take()
    }

    /// Adds a message to what is to be written.
    pub fn queue<T: Serialize>(&mut self, message: &T) -> Result<(), protocol::FrameError> {
        if self.deaf { Ok(()) } else { protocol::encode(message, &mut self.out) }
    }

    /// Takes back what was queued since `out_len` was `length`.
    pub fn unqueue(&mut self, length: usize) {
        self.out.truncate(length);
    }

    /// Returns the length of the buffer of what is to be written.
    pub fn out_len(&self) -> usize {
        self.out.len()
    }

    /// Writes as much as the socket takes.
    ///
    /// # Errors
    ///
    /// Only the first time that the other side is found to read no more; from then on there is nothing to
    /// write.
    pub fn flush(&mut self) -> io::Result<()> {
        while self.written < self.out.len() {
            match (&self.stream).write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.deaf = true;
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
        protocol::recycle(&mut self.out);
    }

    /// Whether something waits for the socket to take more.
    pub fn wants_write(&self) -> bool {
        !self.out.is_empty()
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
