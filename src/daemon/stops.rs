//! Owns: stops that do not wait for the daemon's next commit: because the store cannot be written, or because
//! no daemon runs.
//! Never: recording that a stop is wanted (see `store`).
//!
//! A stop that is told twice is one, so that whatever else tells the keeper does no harm. The result says
//! that the run was stopped, and is recorded like any other.

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use super::lock::running_daemon;
use super::sockets;
use crate::domain::{JobId, RunId};
use crate::keeper::SOCKET;
use crate::keeper::protocol::{Attempt, PROTOCOL_VERSION, ToKeeper, encode};

/// How long a keeper may take to read: one that is stopped reads nothing.
const PATIENCE: Duration = Duration::from_secs(2);

/// How a datagram begins that tells the daemon to pass a stop on.
const PASS_ON: u8 = b'x';

/// The longest datagram: four numbers.
pub(super) const DATAGRAM_BYTES_MAX: usize = 80;

/// An attempt that is to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Which attempt.
    pub attempt: Attempt,
    /// KILL at once.
    pub now: bool,
}

impl From<Stop> for ToKeeper {
    fn from(stop: Stop) -> Self {
        Self::Stop { attempt: stop.attempt, now: stop.now }
    }
}

/// Tells whoever can stop these attempts in the store in `dir`, past the database: the daemon, which passes
/// it on, or the keeper where no daemon runs.
///
/// # Errors
/// `NotFound` or `ConnectionRefused` if neither a daemon nor a keeper is there: nothing runs.
pub fn stop_at_once(dir: &Path, stops: &[Stop]) -> io::Result<()> {
    if running_daemon(dir).is_some() {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        for stop in stops {
            sockets::send(&socket, dir, sockets::POKES, &write(*stop))?;
        }
        return Ok(());
    }
    let mut keeper = sockets::connect(dir, SOCKET)?;
    keeper.set_write_timeout(Some(PATIENCE))?;
    let mut frames = Vec::new();
    encode(&ToKeeper::Hello { version: PROTOCOL_VERSION }, &mut frames)?;
    for stop in stops {
        encode(&ToKeeper::from(*stop), &mut frames)?;
    }
    // A keeper obeys everything that it was sent before the connection ended, and keeps what it has to say
    // for a daemon.
    keeper.write_all(&frames)
}

fn write(stop: Stop) -> Vec<u8> {
    let Attempt { run, number } = stop.attempt;
    format!("{}{} {} {number} {}", char::from(PASS_ON), run.job, run.number, u8::from(stop.now)).into_bytes()
}

/// Reads such a datagram; `None`: it is another.
pub(super) fn read(datagram: &[u8]) -> Option<Stop> {
    let (&PASS_ON, text) = datagram.split_first()? else { return None };
    let mut numbers = std::str::from_utf8(text).ok()?.split(' ');
    let mut next = || numbers.next()?.parse::<i64>().ok();
    let run = RunId { job: JobId(next()?), number: next()? };
    let attempt = Attempt { run, number: u32::try_from(next()?).ok()? };
    Some(Stop { attempt, now: next()? != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_comes_out_as_it_went_in() {
        let run = RunId { job: JobId(i64::MAX), number: i64::MAX };
        for now in [true, false] {
            let stop = Stop { attempt: Attempt { run, number: u32::MAX }, now };
            let datagram = write(stop);
            assert!(datagram.len() <= DATAGRAM_BYTES_MAX);
            assert_eq!(read(&datagram), Some(stop));
        }
        for other in [&b""[..], b"?", b"!", b"x", b"x1 2 3", b"x1 2 -3 0", b"xa b c d"] {
            assert_eq!(read(other), None);
        }
    }
}
