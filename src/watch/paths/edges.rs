//! Owns: which changes of a directory are events of `changed`, `created` and `deleted`.
//! Never: I/O. A look at a file is an argument.

use std::collections::{BTreeMap, HashMap};

use super::ledger::{Edge, EdgeKind, Heed, Ledger};
use super::look::{FileKind, Sight};
use super::names::Name;
use super::place::Scan;

/// What the kernel told of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) name: Name,
    pub(super) act: Act,
    /// It may have happened before the last scan, which has seen its result then.
    pub(super) is_doubtful: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// The name was made: a file that somebody may still write, a directory, a link.
    Made,
    /// A file was closed that somebody could have written.
    Written,
    /// A file was given this name, in the place of another that may have had it.
    Arrived,
    /// The name was removed, or given to nobody any more.
    Gone,
    /// An entry came into the directory of this name.
    Filled,
}

/// Which edges are events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EdgeRule {
    /// A file is new, was written and closed, or was replaced. Of a whole directory also: an entry is gone,
    /// as with PathChanged= of systemd.path(5).
    Changed {
        is_directory: bool,
    },
    Created,
    Deleted,
}

impl EdgeRule {
    /// Returns whether an edge is the opposite of an event; `None`: it is neither.
    pub(super) fn judge(self, kind: EdgeKind) -> Option<bool> {
        match (self, kind) {
            (Self::Changed { .. }, EdgeKind::Created | EdgeKind::Changed) => Some(false),
            (Self::Changed { is_directory }, EdgeKind::Deleted) => is_directory.then_some(false),
            (Self::Created, EdgeKind::Created) | (Self::Deleted, EdgeKind::Deleted) => Some(false),
            (Self::Created, EdgeKind::Deleted) | (Self::Deleted, EdgeKind::Created) => Some(true),
            (Self::Created | Self::Deleted, EdgeKind::Changed) => None,
        }
    }

    /// Returns whether a new file may still be in the hands of its writer, whose end of writing is the event.
    fn waits_for_writer(self, sight: Sight) -> bool {
        let is_unfinished = match sight {
            Sight::There(look) => look.kind == FileKind::Regular && !look.was_elsewhere,
            Sight::Dangling => false,
            Sight::Gone => true,
        };
        is_unfinished && self.heeds() == Heed::NamesAndContent
    }

    /// Compares all files with the marks.
    ///
    /// A directory that is gone says nothing about its files, because it may be unmounted: they are compared
    /// when it is back. Only for `deleted` they are gone.
    pub(super) fn compare(self, ledger: &mut Ledger, scan: &Scan) -> Vec<Edge> {
        match (scan, self) {
            (Scan::Found(found), _) => ledger.compare(found, self.heeds()),
            (Scan::Missing, Self::Deleted) => ledger.compare(&BTreeMap::new(), self.heeds()),
            (Scan::Missing, Self::Changed { .. } | Self::Created) | (Scan::Unreadable, _) => Vec::new(),
        }
    }

    /// Returns which files differ. For `created` and `deleted` a file that was written is no news, and its
    /// new mark is not worth a commit.
    fn heeds(self) -> Heed {
        match self {
            Self::Changed { .. } => Heed::NamesAndContent,
            Self::Created | Self::Deleted => Heed::Names,
        }
    }

    /// Takes what the kernel told one by one: each that is news of its name becomes an edge, also if another
    /// has undone it meanwhile.
    pub(super) fn follow(
        self,
        ledger: &mut Ledger,
        told: &[Told],
        look: &mut dyn FnMut(&[u8]) -> Sight,
    ) -> Vec<Edge> {
        let mut edges = Vec::new();
        let finished = self.finished(told);
        for (at, Told { name, act, .. }) in told.iter().enumerate() {
            if *act == Act::Gone {
                if ledger.remove(name).is_some() {
                    edges.push(Edge { name: name.clone(), kind: EdgeKind::Deleted, look: None });
                }
                continue;
            }
            let sight = look(name);
            let is_finished_later = finished.get(name).is_some_and(|last| *last > at);
            let is_unfinished = *act == Act::Made && (self.waits_for_writer(sight) || is_finished_later);
            if sight == Sight::Dangling || *act == Act::Filled || is_unfinished {
                continue;
            }
            let kind = match (ledger.get(name), self) {
                (None, _) => EdgeKind::Created,
                (Some(_), Self::Changed { .. }) => EdgeKind::Changed,
                (Some(_), Self::Created | Self::Deleted) => continue,
            };
            // Of a file that is gone again, it is remembered that it was there, until its end is told.
            ledger.set(name, sight.look().map(|look| look.mark()).unwrap_or_default());
            edges.push(Edge { name: name.clone(), kind, look: sight.look() });
        }
        edges
    }

    /// Returns for each name where the last of what was told is more than that it was made: the event of a
    /// new file is then not that it was made.
    fn finished(self, told: &[Told]) -> HashMap<&Name, usize> {
        let told = told.iter().enumerate().filter(|(_, told)| told.act != Act::Made);
        match self.heeds() {
            Heed::NamesAndContent => told.map(|(at, told)| (&told.name, at)).collect(),
            Heed::Names => HashMap::new(),
        }
    }

    /// Takes what the kernel told together: each name becomes at most one edge, in the order in which they
    /// were told of first. `is_missing`: the directory is gone by now, and says nothing about its files.
    pub(super) fn collapse(
        self,
        ledger: &mut Ledger,
        told: &[Told],
        is_missing: bool,
        look: &mut dyn FnMut(&[u8]) -> Sight,
    ) -> Vec<Edge> {
        let mut traces: Vec<Trace<'_>> = Vec::new();
        let mut places = BTreeMap::new();
        for Told { name, act, is_doubtful } in told {
            let place = *places.entry(name).or_insert(traces.len());
            let is_written = matches!(act, Act::Written | Act::Arrived) && !is_doubtful;
            match traces.get_mut(place) {
                Some(trace) => {
                    trace.last = *act;
                    trace.is_written |= is_written;
                }
                None => traces.push(Trace { name, last: *act, is_written }),
            }
        }
        let is_known = |trace: &&Trace<'_>| !is_missing || trace.last == Act::Gone;
        let known = traces.iter().filter(is_known);
        known.filter_map(|trace| self.settle(ledger, trace, look(trace.name))).collect()
    }

    /// Returns what came of a name in the end.
    fn settle(self, ledger: &mut Ledger, trace: &Trace<'_>, sight: Sight) -> Option<Edge> {
        let name = trace.name;
        let Some(look) = sight.look() else {
            let kind = ledger.remove(name).map(|_| EdgeKind::Deleted)?;
            return Some(Edge { name: name.clone(), kind, look: None });
        };
        if trace.last == Act::Made && self.waits_for_writer(sight) {
            return None;
        }
        let kind = match (ledger.get(name), self) {
            (None, _) => EdgeKind::Created,
            (Some(_), Self::Created | Self::Deleted) => return None,
            (Some(mark), Self::Changed { .. }) if *mark == look.mark() && !trace.is_written => return None,
            (Some(_), Self::Changed { .. }) => EdgeKind::Changed,
        };
        ledger.set(name, look.mark());
        Some(Edge { name: name.clone(), kind, look: Some(look) })
    }
}

/// What was told of one name.
struct Trace<'a> {
    name: &'a Name,
    last: Act,
    /// It was written or replaced, and that after the last scan.
    is_written: bool,
}
