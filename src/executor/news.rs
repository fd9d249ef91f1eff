//! Owns: what is new of a host and its runs.
//! Never: how it was found out (see `link`).

use std::time::Duration;

use super::FarName;
use crate::domain::{End, OutputKind, Span, StopCause, Timestamp};

/// What is new of a host and its runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It has a process since then. `pid`: over there; 0 if nobody knows.
    Started {
        name: FarName,
        pid: u32,
        at: Timestamp,
    },
    /// What the host says of a run that waits there.
    Note {
        name: FarName,
        note: String,
    },
    /// The next bytes of an output.
    Output {
        name: FarName,
        kind: OutputKind,
        data: Vec<u8>,
    },
    Ended {
        name: FarName,
        end: FarEnd,
    },
    /// The host has removed what it had of a run whose end is recorded.
    Forgotten {
        name: FarName,
    },
    /// The host does not answer, and why; `None`: it answers again.
    Unreachable(Option<String>),
    /// Something to know that stops nobody.
    Warning(String),
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FarEnd {
    pub end: End,
    pub at: Timestamp,
    /// Its process and its start, if it had one.
    pub started: Option<(u32, Timestamp)>,
    pub stopped: Option<StopCause>,
    /// What it wrote to its result file.
    pub result: Option<Vec<u8>>,
    /// The host may have data of it.
    pub is_there: bool,
}

impl FarEnd {
    /// Returns the end of an attempt that had no process.
    pub fn before_start(end: End, at: Timestamp) -> Self {
        Self { end, at, started: None, stopped: None, result: None, is_there: false }
    }
}

/// The times of an answer: when it was heard, and how far the clock over there is ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hearing {
    pub now: Duration,
    pub wall: Timestamp,
    pub far_now: Option<Timestamp>,
}

impl Hearing {
    /// Returns an instant of the clock over there by the clock here; none is after now.
    pub fn here(&self, far: Timestamp) -> Timestamp {
        let ago = self.far_now.map_or(Span::ZERO, |now| now.since(far).max(Span::ZERO));
        self.wall - ago
    }
}
