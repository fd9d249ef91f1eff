//! Owns: what path triggers hand out.
//! Never: what becomes of it.

use std::path::Path;

use serde::Serialize;

use super::look::Look;
use super::names::Name;
use crate::domain::{Occurrence, PathMark, Timestamp, TriggerId};

/// What a trigger has to store and to count, in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathNews {
    pub trigger: TriggerId,
    /// In the order in which they happened, as far as that is known.
    pub events: Vec<PathEvent>,
    /// What is to be remembered of each of these files from now on; `None`: nothing.
    pub marks: Vec<(Name, Option<PathMark>)>,
    /// The trigger was new and has been looked at: it is not new any more, also if it has no marks.
    pub is_first_look: bool,
    /// A recheck has found that a condition still holds.
    pub is_left_over: bool,
}

impl PathNews {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.marks.is_empty() && !self.is_first_look
    }

    /// Adds what is known later of the same trigger.
    pub(super) fn append(&mut self, later: Self) {
        self.events.extend(later.events);
        self.marks.retain(|(name, _)| later.marks.iter().all(|(other, _)| other != name));
        self.marks.extend(later.marks);
        self.is_first_look |= later.is_first_look;
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathEvent {
    pub occurrence: Occurrence,
    /// It is the opposite of what the trigger waits for, for `consecutive`.
    pub is_opposite: bool,
}

/// The data of an occurrence. The order of the fields is that of the JSON.
#[derive(Serialize)]
struct Data<'a> {
    path: &'a str,
    change: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<u64>,
}

/// One thing that happened to a path.
pub(super) struct Incident<'a> {
    pub(super) path: &'a Path,
    /// The word of its kind.
    pub(super) change: &'a str,
    pub(super) look: Option<Look>,
    /// How many lines the file has.
    pub(super) lines: Option<u64>,
    /// For how many events it stands.
    pub(super) count: u64,
}

impl Incident<'_> {
    /// Makes the occurrence. A path that is not UTF-8 is written with U+FFFD in the place of what is not.
    pub(super) fn at(&self, at: Timestamp) -> Occurrence {
        let path = self.path.to_string_lossy();
        let size = self.look.and_then(|look| look.bytes());
        let data = Data { path: &path, change: self.change, size, lines: self.lines };
        let data = serde_json::to_string(&data).expect("strings and numbers are JSON");
        Occurrence { at, name: path.into_owned(), data: Some(data), count: self.count, depth: 0 }
    }
}
