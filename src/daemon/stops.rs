//! Owns: stops that do not wait for a commit of the daemon, because the store cannot be written or no daemon
//! runs.
//! Never: recording the request for a stop (see `store`).
//!
//! Two equal stops have the effect of one, so another stop of the same run does no harm. The result says that
//! the run was stopped, and is recorded like any other.

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lock::running_daemon;
use super::sockets;
use crate::keeper::SOCKET;
use crate::keeper::protocol::{Attempt, PROTOCOL_VERSION, ToKeeper};
use crate::keeper::wire::{decode, encode};

/// How long to wait for a reader. A stopped process does not read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// The first byte of a datagram that asks the daemon to pass a stop on.
const PASS_ON: u8 = b'x';

/// The longest datagram.
pub(super) const DATAGRAM_BYTES_MAX: usize = 80;

/// An attempt that is to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// What is to be stopped.
    pub attempt: Attempt,
    /// KILL at once.
    pub now: bool,
}

impl From<Stop> for ToKeeper {
    fn from(stop: Stop) -> Self {
        Self::Stop { attempt: stop.attempt, now: stop.now }
    }
}

/// Sends these stops past the database: to the daemon of the store in `dir`, which passes them on, or to
/// the keeper if no daemon runs.
///
/// # Errors
/// `NotFound` or `ConnectionRefused` if neither a daemon nor a keeper is there: nothing runs.
pub fn stop_at_once(dir: &Path, stops: &[Stop]) -> io::Result<()> {
    if running_daemon(dir).is_some() {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(WRITE_TIMEOUT))?;
        for stop in stops {
            sockets::send(&socket, dir, sockets::POKES, &write(*stop))?;
        }
        return Ok(());
    }
    let mut keeper = sockets::connect(dir, SOCKET)?;
    keeper.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let mut frames = Vec::new();
    encode(&ToKeeper::Hello { version: PROTOCOL_VERSION }, &mut frames)?;
    for stop in stops {
        encode(&ToKeeper::from(*stop), &mut frames)?;
    }
    // A keeper obeys everything that was sent before the connection ended, and keeps its reports for a
    // daemon.
    keeper.write_all(&frames)
}

fn write(stop: Stop) -> Vec<u8> {
    postcard::to_extend(&stop, vec![PASS_ON]).expect("writing to memory cannot fail")
}

/// Reads such a datagram; `None` if it is another one.
pub(super) fn read(datagram: &[u8]) -> Option<Stop> {
    datagram.strip_prefix(&[PASS_ON]).and_then(decode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{JobId, RunId};

    #[test]
    fn a_stop_comes_out_as_it_went_in() {
        let run = RunId { job: JobId(i64::MAX), number: i64::MAX };
        for now in [true, false] {
            let stop = Stop { attempt: Attempt::of_run(run, u32::MAX), now };
            let datagram = write(stop);
            assert!(datagram.len() <= DATAGRAM_BYTES_MAX);
            assert_eq!(read(&datagram), Some(stop));
            assert_eq!(read(&datagram[..datagram.len() - 1]), None);
            assert_eq!(read(&[datagram, vec![0]].concat()), None);
        }
        for other in [&b""[..], b"?", b"!", b"x"] {
            assert_eq!(read(other), None);
        }
    }
}
