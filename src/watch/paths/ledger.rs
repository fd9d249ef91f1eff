//! Owns: the marks of a trigger, and what differs from them.
//! Never: I/O, and which differences are events.

use std::collections::{BTreeMap, BTreeSet};

use super::look::Look;
use super::names::Name;
use crate::domain::PathMark;

/// The marks of a trigger, and which of them are not handed out yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    marks: BTreeMap<Name, PathMark>,
    unstored: BTreeSet<Name>,
}

/// Which differences count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heed {
    /// That a name is new or gone.
    Names,
    /// Also inode, size and time.
    NamesAndContent,
}

/// What happened to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EdgeKind {
    Created,
    Changed,
    Deleted,
}

impl EdgeKind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Deleted => "deleted",
        }
    }
}

/// Something that happened to a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) name: Name,
    pub(super) kind: EdgeKind,
    /// How the file is now; `None`: it is gone.
    pub(super) look: Option<Look>,
}

impl Ledger {
    pub(super) fn new(marks: Vec<(Name, PathMark)>) -> Self {
        Self { marks: marks.into_iter().collect(), unstored: BTreeSet::new() }
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&PathMark> {
        self.marks.get(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.marks.keys()
    }

    /// Remembers a file, and returns its earlier mark.
    pub(super) fn set(&mut self, name: &[u8], mark: PathMark) -> Option<PathMark> {
        let before = self.marks.insert(name.to_vec(), mark);
        if before != Some(mark) {
            self.unstored.insert(name.to_vec());
        }
        before
    }

    /// Remembers a file until the daemon ends.
    pub(super) fn set_in_memory(&mut self, name: &[u8], mark: PathMark) {
        self.marks.insert(name.to_vec(), mark);
    }

    /// Forgets a file, and returns its mark.
    pub(super) fn remove(&mut self, name: &[u8]) -> Option<PathMark> {
        let before = self.marks.remove(name);
        if before.is_some() {
            self.unstored.insert(name.to_vec());
        }
        before
    }

    /// Forgets all files.
    pub(super) fn clear(&mut self) {
        let names = std::mem::take(&mut self.marks).into_keys();
        self.unstored.extend(names);
    }

    /// Takes what has to be stored: each name with its mark, or with `None` if it is forgotten.
    pub(super) fn take_unstored(&mut self) -> Vec<(Name, Option<PathMark>)> {
        let names = std::mem::take(&mut self.unstored).into_iter();
        names.map(|name| (name.clone(), self.marks.get(&name).copied())).collect()
    }

    /// Takes over what was found, and returns what differs: by time of the last write, then by name. What is
    /// gone counts with the time of its mark.
    pub(super) fn compare(&mut self, found: &BTreeMap<Name, Look>, heed: Heed) -> Vec<Edge> {
        let mut edges = Vec::new();
        let gone: Vec<Name> = self.marks.keys().filter(|name| !found.contains_key(*name)).cloned().collect();
        for name in gone {
            let before = self.remove(&name).expect("its name is among the marks");
            edges.push((before.modified_ns, Edge { name, kind: EdgeKind::Deleted, look: None }));
        }
        for (name, look) in found {
            if heed == Heed::Names && self.marks.contains_key(name) {
                continue;
            }
            let mark = look.mark();
            let kind = match self.set(name, mark) {
                None => EdgeKind::Created,
                Some(before) if before != mark => EdgeKind::Changed,
                Some(_) => continue,
            };
            edges.push((look.modified_ns, Edge { name: name.clone(), kind, look: Some(*look) }));
        }
        edges.sort_by(|(at, edge), (other_at, other)| (at, &edge.name).cmp(&(other_at, &other.name)));
        edges.into_iter().map(|(_, edge)| edge).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::look::FileKind;
    use super::*;

    fn look(inode: u64, size: u64, modified_ns: i64) -> Look {
        Look { inode, size, modified_ns, kind: FileKind::Regular, was_elsewhere: false }
    }

    fn found(looks: &[(&str, Look)]) -> BTreeMap<Name, Look> {
        looks.iter().map(|(name, look)| (name.as_bytes().to_vec(), *look)).collect()
    }

    fn kinds(edges: &[Edge]) -> Vec<(&str, EdgeKind)> {
        edges.iter().map(|edge| (std::str::from_utf8(&edge.name).expect("it is UTF-8"), edge.kind)).collect()
    }

    #[test]
    fn inode_size_and_time_make_a_difference_and_the_order_is_that_of_time() {
        let mut ledger = Ledger::default();
        let first = found(&[
            ("a", look(1, 1, 50)),
            ("b", look(2, 1, 40)),
            ("c", look(3, 1, 40)),
            ("d", look(4, 1, 60)),
        ]);
        let edges = ledger.compare(&first, Heed::NamesAndContent);
        assert_eq!(
            kinds(&edges),
            [
                ("b", EdgeKind::Created),
                ("c", EdgeKind::Created),
                ("a", EdgeKind::Created),
                ("d", EdgeKind::Created)
            ]
        );
        assert_eq!(ledger.take_unstored().len(), 4);
        assert_eq!(ledger.compare(&first, Heed::NamesAndContent), []);
        assert_eq!(ledger.take_unstored(), []);
        let second = found(&[("a", look(9, 1, 50)), ("b", look(2, 2, 40)), ("d", look(4, 1, 61))]);
        let edges = ledger.compare(&second, Heed::NamesAndContent);
        assert_eq!(
            kinds(&edges),
            [
                ("b", EdgeKind::Changed),
                ("c", EdgeKind::Deleted),
                ("a", EdgeKind::Changed),
                ("d", EdgeKind::Changed)
            ]
        );
        let unstored = ledger.take_unstored();
        assert_eq!(unstored.iter().filter(|(_, mark)| mark.is_none()).count(), 1);
        assert_eq!(unstored.len(), 4);
    }
}
