//! Owns: orders to the keeper that do not wait for a commit of the daemon: stops, because the store cannot be
//! written or no daemon runs, and signals.
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
use crate::keeper::lock::keeper_version;
use crate::keeper::protocol::{Attempt, PROTOCOL_VERSION, ToKeeper, takes_signals};
use crate::keeper::wire::{decode, encode};

/// How long to wait for a reader. A stopped process does not read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// The first byte of a datagram that asks the daemon to pass an order on.
const PASS_ON: u8 = b'x';

/// The longest datagram.
pub(super) const DATAGRAM_BYTES_MAX: usize = 80;

/// An order about an attempt that has processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AtOnce {
    /// TERM, then KILL; with `now`, KILL at once.
    Stop { attempt: Attempt, now: bool },
    /// Any signal, to all its processes.
    Signal { attempt: Attempt, signal: i32 },
}

impl From<AtOnce> for ToKeeper {
    fn from(order: AtOnce) -> Self {
        match order {
            AtOnce::Stop { attempt, now } => Self::Stop { attempt, now },
            AtOnce::Signal { attempt, signal } => Self::Signal { attempt, signal },
        }
    }
}

/// Sends these orders past the database: to the daemon of the store in `dir`, which passes them on, or to
/// the keeper if no daemon runs. A keeper of an earlier version must not be sent a signal: see
/// `can_signal`.
///
/// # Errors
/// `NotFound` or `ConnectionRefused` if neither a daemon nor a keeper is there: nothing runs.
pub fn order_at_once(dir: &Path, orders: &[AtOnce]) -> io::Result<()> {
    if running_daemon(dir).is_some() {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(WRITE_TIMEOUT))?;
        for order in orders {
            sockets::send(&socket, dir, sockets::POKES, &write(*order))?;
        }
        return Ok(());
    }
    let mut keeper = sockets::connect(dir, SOCKET)?;
    keeper.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let mut frames = Vec::new();
    encode(&ToKeeper::Hello { version: PROTOCOL_VERSION }, &mut frames)?;
    for order in orders {
        encode(&ToKeeper::from(*order), &mut frames)?;
    }
    // A keeper obeys everything that was sent before the connection ended, and keeps its reports for a
    // daemon.
    keeper.write_all(&frames)
}

/// Returns whether the keeper of the store in `dir` can send any signal; `None` if there is no keeper.
pub fn can_signal(dir: &Path) -> Option<bool> {
    keeper_version(dir).map(takes_signals)
}

fn write(order: AtOnce) -> Vec<u8> {
    postcard::to_extend(&order, vec![PASS_ON]).expect("writing to memory cannot fail")
}

/// Reads such a datagram; `None` if it is another one.
pub(super) fn read(datagram: &[u8]) -> Option<AtOnce> {
    datagram.strip_prefix(&[PASS_ON]).and_then(decode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{JobId, RunId};

    #[test]
    fn an_order_comes_out_as_it_went_in() {
        let attempt = Attempt::of_run(RunId { job: JobId(i64::MAX), number: i64::MAX }, u32::MAX);
        let stops = [true, false].map(|now| AtOnce::Stop { attempt, now });
        let signals = [1, i32::MAX].map(|signal| AtOnce::Signal { attempt, signal });
        for order in stops.into_iter().chain(signals) {
            let datagram = write(order);
            assert!(datagram.len() <= DATAGRAM_BYTES_MAX);
            assert_eq!(read(&datagram), Some(order));
            assert_eq!(read(&datagram[..datagram.len() - 1]), None);
            assert_eq!(read(&[datagram, vec![0]].concat()), None);
        }
        for other in [&b""[..], b"?", b"!", b"x"] {
            assert_eq!(read(other), None);
        }
    }
}
