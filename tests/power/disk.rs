//! Owns: a disk that loses power: what of the recorded calls may be on it afterwards.
//! Never: who made the calls (see `record`), and what the files mean (see `check`).
//!
//! What is assumed of a disk, and no more:
//! - fsync(2) and fdatasync(2) put the bytes and the length of a file on it, and of a directory the names in
//!   it; not the name of the file itself, nor that of the directory.
//! - Until then each sector of 512 bytes is as after any of the writes to it, whatever its neighbours are.
//!   Bytes outside of a write are not harmed (SQLite's "powersafe overwrite").
//! - A file may have its new length before its new bytes; zeros or old garbage are in their place.
//! - Each name is made and removed whole, and independent of all others.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

/// A disk writes this many bytes whole or not at all.
const SECTOR: usize = 512;

/// What is in new sectors that were never written.
const ZEROS: [u8; SECTOR] = [0; SECTOR];
const GARBAGE: [u8; SECTOR] = [0xa5; SECTOR];

/// A recorded call (see record.c), or what a test adds to the record: the scripts of the `jobs` whose ids a
/// process prints, and `facts` about the store that another process has seen, a line each.
#[derive(Clone, Copy, Debug, Default)]
pub struct Record<'a> {
    pub op: &'a str,
    pub pid: usize,
    pub inode: usize,
    pub parent: usize,
    pub offset: usize,
    pub name: &'a str,
    pub data: &'a [u8],
}

impl<'a> Record<'a> {
    pub fn bytes(&self) -> Vec<u8> {
        let Self { op, pid, inode, parent, offset, name, data } = self;
        let head = format!("{op} {pid} {inode} {parent} {offset} {} {}\n{name}", name.len(), data.len());
        [head.as_bytes(), data].concat()
    }

    pub fn read_all(mut bytes: &'a [u8]) -> Vec<Self> {
        let text = |bytes| std::str::from_utf8(bytes).expect("names are UTF-8");
        let mut records = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (op, numbers) = text(&bytes[..end]).split_once(' ').expect("a head");
            let numbers: Vec<usize> =
                numbers.split(' ').map(|number| number.parse().expect("a number")).collect();
            let [pid, inode, parent, offset, name, data] = numbers[..] else { panic!("{numbers:?}") };
            let (name, rest) = bytes[end + 1..].split_at(name);
            let (data, rest) = rest.split_at(data);
            records.push(Self { op, pid, inode, parent, offset, name: text(name), data });
            bytes = rest;
        }
        records
    }
}

/// A splitmix64 generator.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

/// What is left of that which was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Nothing,
    Everything,
    /// Names, and the lengths of files, but none of their bytes.
    Lengths,
    /// A part that is picked at random, for each file and directory in another way.
    Part,
}

#[derive(Debug)]
enum Change<'a> {
    Write { at: usize, data: &'a [u8] },
    Resize(usize),
}

/// A file or a directory: what is durable of it, and what was done since.
#[derive(Debug, Default)]
struct Node<'a> {
    /// Its first name.
    name: &'a str,
    is_directory: bool,
    bytes: Vec<u8>,
    changes: Vec<Change<'a>>,
    names: BTreeMap<&'a str, usize>,
    new_names: Vec<(&'a str, Option<usize>)>,
}

/// Files by their paths; a directory is `None`.
pub type Tree = BTreeMap<String, Option<Vec<u8>>>;

/// The disk. The first record makes its root.
#[derive(Debug, Default)]
pub struct Disk<'a> {
    nodes: Vec<Node<'a>>,
    /// The number of an inode is given again when its file is gone.
    of_inode: HashMap<usize, usize>,
}

impl<'a> Disk<'a> {
    /// Returns the first name of a file or directory.
    pub fn name(&self, inode: usize) -> &'a str {
        self.nodes[self.of_inode[&inode]].name
    }

    fn node(&mut self, inode: usize) -> &mut Node<'a> {
        &mut self.nodes[self.of_inode[&inode]]
    }

    pub fn apply(&mut self, record: &Record<'a>) {
        let Record { inode, parent, name, offset: at, data, .. } = *record;
        match record.op {
            "create" | "mkdir" => {
                let is_directory = record.op == "mkdir";
                self.of_inode.insert(inode, self.nodes.len());
                self.nodes.push(Node { name, is_directory, ..Node::default() });
                if self.nodes.len() > 1 {
                    self.apply(&Record { op: "link", ..*record });
                }
            }
            "link" => {
                let node = self.of_inode[&inode];
                self.node(parent).new_names.push((name, Some(node)));
            }
            "unlink" => self.node(parent).new_names.push((name, None)),
            "write" => self.node(inode).changes.push(Change::Write { at, data }),
            "resize" => self.node(inode).changes.push(Change::Resize(at)),
            "sync" => {
                let node = self.node(inode);
                node.bytes = left_of_file(&node.bytes, &node.changes, Cut::Everything, &mut Random(0));
                node.names = left_of_names(&node.names, &node.new_names, Cut::Everything, &mut Random(0));
                node.changes.clear();
                node.new_names.clear();
            }
            op => assert!(["print", "jobs", "facts"].contains(&op), "`{op}` is not known"),
        }
    }

    /// Returns what is there after a cut.
    pub fn cut(&self, cut: Cut, random: &mut Random) -> Tree {
        let mut tree = Tree::new();
        self.walk(0, "", cut, random, &mut tree);
        tree
    }

    fn walk(&self, node: usize, path: &str, cut: Cut, random: &mut Random, tree: &mut Tree) {
        let node = &self.nodes[node];
        let bytes = || left_of_file(&node.bytes, &node.changes, cut, random);
        tree.insert(path.to_owned(), (!node.is_directory).then(bytes));
        for (name, node) in left_of_names(&node.names, &node.new_names, cut, random) {
            self.walk(node, &format!("{path}/{name}"), cut, random, tree);
        }
    }
}

fn left_of_names<'a>(
    names: &BTreeMap<&'a str, usize>,
    new_names: &[(&'a str, Option<usize>)],
    cut: Cut,
    random: &mut Random,
) -> BTreeMap<&'a str, usize> {
    let mut left = names.clone();
    let mut stopped = HashSet::new();
    let odds = random.below(9);
    for (name, node) in new_names {
        let is_kept = match cut {
            Cut::Nothing => false,
            Cut::Everything | Cut::Lengths => true,
            Cut::Part => random.below(8) < odds,
        };
        // A name that comes and goes is as after any of its changes.
        if !is_kept || stopped.contains(name) {
            stopped.insert(name);
        } else if let Some(node) = node {
            left.insert(name, *node);
        } else {
            left.remove(name);
        }
    }
    left
}

fn left_of_file(bytes: &[u8], changes: &[Change<'_>], cut: Cut, random: &mut Random) -> Vec<u8> {
    let mut left = bytes.to_vec();
    let length = changes.iter().fold(left.len(), |length, change| match change {
        Change::Write { at, data } => length.max(at + data.len()),
        Change::Resize(length) => *length,
    });
    let filling = if cut == Cut::Part && random.below(2) == 0 { &GARBAGE } else { &ZEROS };
    for (change, kept) in changes.iter().zip(kept_parts(changes, cut, random)) {
        match change {
            Change::Resize(length) if kept[0] => {
                left.truncate(*length);
                lengthen(&mut left, *length, &ZEROS);
            }
            Change::Resize(_) => {}
            Change::Write { at, data } => {
                for (part, _) in sectors(*at, data.len()).zip(kept).filter(|(_, is_kept)| *is_kept) {
                    lengthen(&mut left, part.end, filling);
                    left[part.clone()].copy_from_slice(&data[part.start - at..part.end - at]);
                }
            }
        }
    }
    if cut == Cut::Lengths || cut == Cut::Part && random.below(2) == 0 {
        lengthen(&mut left, length, filling);
    }
    left
}

/// Returns which sectors of each write are kept, and whether each change of length is.
fn kept_parts(changes: &[Change<'_>], cut: Cut, random: &mut Random) -> Vec<Vec<bool>> {
    // Either each sector is kept at these odds, or all changes up to one, which is torn.
    let (odds, last, is_in_order) = (random.below(9), random.below(changes.len() + 1), random.below(2) == 0);
    let mut later = HashSet::new();
    let mut kept: Vec<Vec<bool>> = Vec::new();
    for (index, change) in changes.iter().enumerate().rev() {
        let mut is_kept = || match cut {
            Cut::Nothing | Cut::Lengths => false,
            Cut::Everything => true,
            Cut::Part if is_in_order && index != last => index < last,
            Cut::Part => random.below(8) < odds,
        };
        kept.push(match change {
            Change::Resize(_) => vec![is_kept()],
            Change::Write { at, data } if cut == Cut::Part => sectors(*at, data.len())
                .map(|part| {
                    // A sector has all that was written to it before, or nothing of it is there.
                    let sector = part.start / SECTOR;
                    let is_kept = is_kept() || later.contains(&sector);
                    if is_kept {
                        later.insert(sector);
                    }
                    is_kept
                })
                .collect(),
            Change::Write { at, data } => vec![is_kept(); sectors(*at, data.len()).count()],
        });
    }
    kept.reverse();
    kept
}

/// Returns what a write covers of each sector.
fn sectors(at: usize, bytes: usize) -> impl Iterator<Item = Range<usize>> {
    let all = at / SECTOR..(at + bytes).div_ceil(SECTOR);
    all.map(move |sector| at.max(sector * SECTOR)..(at + bytes).min((sector + 1) * SECTOR))
}

fn lengthen(bytes: &mut Vec<u8>, length: usize, filling: &[u8; SECTOR]) {
    while bytes.len() < length {
        bytes.extend_from_slice(&filling[..SECTOR.min(length - bytes.len())]);
    }
}

#[test]
fn a_disk_keeps_what_was_synced_and_any_sectors_of_the_rest() {
    let (old, new) = ([1; 3 * SECTOR], [2; 3 * SECTOR]);
    let record = |op, inode, data| Record { op, inode, data, name: "a", ..Record::default() };
    let calls = [("mkdir", 0, &[][..]), ("create", 1, &[]), ("write", 1, &old), ("sync", 1, &[])];
    let mut disk = Disk::default();
    calls.iter().for_each(|(op, inode, data)| disk.apply(&record(op, *inode, data)));
    assert_eq!(disk.cut(Cut::Nothing, &mut Random(0)).len(), 1, "its name is not synced");
    disk.apply(&record("sync", 0, &[]));
    disk.apply(&Record { offset: 2 * SECTOR, ..record("write", 1, &new) });
    let left = |cut, seed| disk.cut(cut, &mut Random(seed))["/a"].clone().expect("a file");
    assert_eq!(left(Cut::Nothing, 0), old);
    assert_eq!(left(Cut::Lengths, 0), [&old[..], &[0; 2 * SECTOR]].concat());
    assert_eq!(left(Cut::Everything, 0), [&old[..2 * SECTOR], &new].concat());
    let kinds = |bytes: Vec<u8>| bytes.chunks(SECTOR).map(|sector| sector[0]).collect::<Vec<_>>();
    let found: HashSet<_> = (0..200).map(|seed| kinds(left(Cut::Part, seed))).collect();
    for torn in [&[1, 1, 1, 0, 2][..], &[1, 1, 2], &[1, 1, 1, 2], &[1, 1, 2, 0xa5, 0xa5]] {
        assert!(found.contains(torn), "{torn:?} is not among {found:?}");
    }
}
