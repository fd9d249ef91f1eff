//! Owns: the pipes by which a poll sees signals.
//! Never: what a signal means.

use std::io;
use std::os::unix::net::UnixStream;

use signal_hook::low_level::pipe;

/// Returns a pipe that becomes readable when the signal was received.
pub(super) fn signal_pipe(signal: i32) -> io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    pipe::register(signal, write)?;
    Ok(read)
}

/// Reads everything that a signal pipe holds.
pub(super) fn drain(pipe: &mut UnixStream) {
    let mut bytes = [0; 64];
    while io::Read::read(pipe, &mut bytes).is_ok_and(|n| n == bytes.len()) {}
}
