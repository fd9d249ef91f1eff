//! Owns: a part of a run in the picture, and the window that it is in or not.
//! Never: which parts a run has (see `facts`).

use super::kind::Kind;
use crate::domain::{RunId, Timestamp};

/// The time that a picture is about: `[since, until)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub since: Timestamp,
    /// After `since`.
    pub until: Timestamp,
    pub now: Timestamp,
}

impl Window {
    fn has(&self, at: Timestamp) -> bool {
        (self.since..self.until).contains(&at)
    }
}

/// A part of a run: the process of an attempt, a time of waiting, or a fire without a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    pub from: Timestamp,
    /// The first instant after it; of a fire without a process, `from`.
    pub to: Timestamp,
    pub kind: Kind,
    /// How many fires, or waiting indices, it stands for.
    pub count: u64,
    /// `None`: indices without a run.
    pub run: Option<RunId>,
    /// From 1.
    pub attempt: u32,
}

impl Bar {
    /// Returns whether it is the time of a process.
    pub fn is_process(&self) -> bool {
        self.from < self.to && self.kind != Kind::Waiting
    }

    /// Returns whether a part of it is in the window.
    pub fn is_in(&self, window: &Window) -> bool {
        if self.from == self.to {
            window.has(self.from)
        } else {
            self.from < window.until && self.to > window.since
        }
    }

    /// Returns its part in the window.
    pub fn clipped(&self, window: &Window) -> (Timestamp, Timestamp) {
        (self.from.max(window.since), self.to.min(window.until))
    }
}
