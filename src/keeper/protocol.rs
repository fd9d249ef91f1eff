//! Owns: what daemon and keeper say to each other, and how it is framed.
//! Never: sockets (see `server`), or meaning (see `daemon`).
//!
//! A frame is a little-endian u32 length and that many bytes of postcard. A daemon of a later release must understand the
//! keeper that an earlier one left behind, so variants are only ever added at the end, and fields never change.

use serde::{Deserialize, Serialize};

use crate::domain::{End, RunId, Span, StopCause, Timestamp, Usage};

/// The version that both sides name in their `Hello`.
pub const PROTOCOL_VERSION: u32 = 1;

/// A keeper's identity: random, positive, new for each keeper process.
pub type KeeperInstance = i64;

/// One attempt of one run: what a start, a stop and a result are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attempt {
    /// The run.
    pub run: RunId,
    /// Which try of it, from 1.
    pub number: u32,
}

/// Everything needed to start an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartOrder {
    /// Which attempt.
    pub attempt: Attempt,
    /// The queue whose slots it needs.
    pub queue: String,
    /// It starts when fewer than this many runs of its queue have a process here; until then it stands by, in order of
    /// arrival.
    pub slots: u32,
    /// The program, looked up in the `PATH` of `env` as execvp(3) would, and its arguments.
    pub argv: Vec<Vec<u8>>,
    /// The whole environment, `NAME=VALUE`.
    pub env: Vec<Vec<u8>>,
    /// The working directory, absolute.
    pub cwd: Vec<u8>,
    /// The file mode creation mask.
    pub umask: u32,
    /// TERM to the process group this long after the start.
    pub timeout: Option<Span>,
    /// KILL to the process group this long after a TERM.
    pub kill_after: Span,
}

/// What the daemon says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToKeeper {
    /// The first message of a connection.
    Hello {
        /// The daemon's `PROTOCOL_VERSION`.
        version: u32,
    },
    /// Start this attempt. One that is already known is left as it is.
    Start(StartOrder),
    /// TERM, then KILL after the order's `kill_after`; with `now`, KILL at once. One that stands by is dropped. One that
    /// is not known is ignored: its result is on its way, or was acknowledged.
    Stop {
        /// Which attempt.
        attempt: Attempt,
        /// KILL at once.
        now: bool,
    },
    /// Drop this attempt if it stands by, and say `NotStarted`; else ignore it.
    Recall {
        /// Which attempt.
        attempt: Attempt,
    },
    /// These results are committed: forget them.
    Acknowledge {
        /// Which attempts.
        attempts: Vec<Attempt>,
    },
}

/// A process that a keeper has, or an order that stands by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Which attempt.
    pub attempt: Attempt,
    /// Its process and its start; `None` while it stands by.
    pub started: Option<(u32, Timestamp)>,
}

/// An attempt's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Which attempt.
    pub attempt: Attempt,
    /// Its process id, 0 where there was none.
    pub pid: u32,
    /// When its process was started; `None` where there was none.
    pub started_at: Option<Timestamp>,
    /// When its end was seen.
    pub finished_at: Timestamp,
    /// How it ended.
    pub end: End,
    /// Set if the keeper had sent it a signal before it ended, or had dropped it on a `Stop`.
    pub stopped: Option<StopCause>,
    /// What it used.
    pub usage: Usage,
    /// The size of its output file when it ended.
    pub output_bytes: u64,
    /// Others of its process group were alive then, and may still write to the output file.
    pub group_alive: bool,
}

/// What the keeper says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromKeeper {
    /// The answer to `Hello`. Every result that is not acknowledged follows as `Ended`.
    Hello {
        /// The keeper's `PROTOCOL_VERSION`.
        version: u32,
        /// Which keeper this is.
        instance: KeeperInstance,
        /// All that it runs or has standing by.
        known: Vec<Known>,
    },
    /// An attempt has a process.
    Started {
        /// Which attempt.
        attempt: Attempt,
        /// Its process id, also its process group.
        pid: u32,
        /// When.
        at: Timestamp,
    },
    /// An attempt is over.
    Ended(Ended),
}
