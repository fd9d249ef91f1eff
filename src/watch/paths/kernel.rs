//! Owns: the inotify(7) instance of all path triggers: who holds which watch, and who is told of an event.
//! Never: deciding what to watch, or what an event means.
//!
//! The kernel has one watch for a directory, whoever asks for it by whatever path. So a watch has holders,
//! and its mask is what they need together.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use inotify::{Event, EventMask, Inotify, WatchDescriptor, WatchMask};

use super::names::Name;
use crate::domain::TriggerId;

/// How many bytes of events are read at once: some thousand.
const BUFFER_BYTES: usize = 64 << 10;

/// No more reads follow each other than a full queue needs, so that a writer who is faster cannot hold the
/// daemon: 16,384 events (fs.inotify.max_queued_events) of at most 272 bytes.
const READS_MAX: usize = 128;

/// Why a trigger watches a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Its files are in it, and these events of theirs are of interest.
    Entries(WatchMask),
    /// The file that a symbolic link leads to is in it, by the second name. The first is the link's.
    Target(WatchMask, Name, Name),
    /// It is one of the files, and its entries are its content.
    Inside(Name),
    /// This name in it is on the way to the directory, which is not there yet, or may lead elsewhere later.
    Search(Name),
    /// It has the directory, by this name.
    Parent(Name),
    /// It is above the directory.
    Ancestor,
}

impl Role {
    fn mask(&self) -> WatchMask {
        let itself = WatchMask::DELETE_SELF | WatchMask::MOVE_SELF;
        match self {
            Self::Entries(mask) | Self::Target(mask, ..) => itself | *mask,
            Self::Inside(_) => itself | WatchMask::CREATE | WatchMask::MOVED_TO,
            // ATTRIB: it may be readable from then on.
            Self::Search(_) => {
                itself
                    | WatchMask::CREATE
                    | WatchMask::MOVED_TO
                    | WatchMask::MOVED_FROM
                    | WatchMask::DELETE
                    | WatchMask::ATTRIB
            }
            // A directory that a process is in has no DELETE_SELF before that process leaves it.
            Self::Parent(_) => WatchMask::MOVE_SELF | WatchMask::DELETE,
            Self::Ancestor => WatchMask::MOVE_SELF,
        }
    }
}

/// What is told to a holder of a watch.
#[derive(Debug)]
pub(super) enum Notice<'a> {
    /// Events were lost, and nobody knows of which watches.
    Overflow,
    /// The watched directory itself is gone or was renamed.
    Lost { trigger: TriggerId },
    /// Something happened to an entry.
    Entry { trigger: TriggerId, role: &'a Role, mask: EventMask, name: &'a [u8] },
}

#[derive(Debug)]
struct Watch {
    mask: WatchMask,
    /// A path by which it was found.
    path: PathBuf,
    /// Each with the number of paths by which it is held.
    holders: BTreeMap<(TriggerId, Role), usize>,
}

/// The watches of one trigger.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Holds(Vec<(WatchDescriptor, Role)>);

#[derive(Debug)]
pub(super) struct Kernel {
    inotify: Inotify,
    watches: HashMap<WatchDescriptor, Watch>,
}

impl Kernel {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { inotify: Inotify::init()?, watches: HashMap::new() })
    }

    /// Watches a directory for a trigger, and adds the watch to its holds.
    ///
    /// # Errors
    /// Those of inotify_add_watch(2), and that it is not a directory.
    pub(super) fn hold(
        &mut self,
        trigger: TriggerId,
        path: &Path,
        role: Role,
        holds: &mut Holds,
    ) -> io::Result<()> {
        let mask = role.mask();
        let descriptor = self.inotify.watches().add(path, mask | WatchMask::MASK_ADD | WatchMask::ONLYDIR)?;
        let watch = self.watches.entry(descriptor.clone()).or_insert_with(|| Watch {
            mask: WatchMask::empty(),
            path: path.to_owned(),
            holders: BTreeMap::new(),
        });
        watch.mask |= mask;
        *watch.holders.entry((trigger, role.clone())).or_default() += 1;
        holds.0.push((descriptor, role));
        Ok(())
    }

    /// Gives up the watches of a trigger, as far as nobody else holds them. New ones are taken before old
    /// ones are given up, so that a directory that is still wanted is watched without a gap.
    pub(super) fn release(&mut self, trigger: TriggerId, holds: Holds) {
        let mut narrowed = Vec::new();
        for (descriptor, role) in holds.0 {
            let Some(watch) = self.watches.get_mut(&descriptor) else { continue };
            let key = (trigger, role);
            match watch.holders.get_mut(&key) {
                Some(count) if *count > 1 => *count -= 1,
                Some(_) => {
                    watch.holders.remove(&key);
                    narrowed.push(descriptor);
                }
                None => {}
            }
        }
        for descriptor in narrowed {
            self.narrow(&descriptor);
        }
    }

    /// Watches no more than the holders need.
    fn narrow(&mut self, descriptor: &WatchDescriptor) {
        let Some(watch) = self.watches.get_mut(descriptor) else { return };
        let needed = watch.holders.keys().fold(WatchMask::empty(), |mask, (_, role)| mask | role.mask());
        let mut watches = self.inotify.watches();
        if needed.is_empty() {
            self.watches.remove(descriptor);
            // It fails if the directory is gone, and the watch with it.
            let _ = watches.remove(descriptor.clone());
        } else if needed != watch.mask {
            // The path may lead elsewhere by now. Then the mask stays as wide as it was.
            match watches.add(&watch.path, needed | WatchMask::ONLYDIR) {
                Ok(other) if other == *descriptor => watch.mask = needed,
                Ok(other) => self.repair(other),
                Err(_) => {}
            }
        }
    }

    /// Undoes the mask of a watch that was meant to be another one.
    fn repair(&mut self, descriptor: WatchDescriptor) {
        let mut watches = self.inotify.watches();
        match self.watches.get(&descriptor) {
            Some(watch) => {
                let _ = watches.add(&watch.path, watch.mask | WatchMask::MASK_ADD | WatchMask::ONLYDIR);
            }
            None => {
                let _ = watches.remove(descriptor);
            }
        }
    }

    /// Reads all that has come, without waiting, and tells those whom it concerns.
    pub(super) fn read(&mut self, tell: &mut dyn FnMut(Notice<'_>)) {
        let mut buffer = vec![0; BUFFER_BYTES];
        for _ in 0..READS_MAX {
            let Ok(events) = self.inotify.read_events(&mut buffer) else { return };
            for event in events {
                dispatch(&mut self.watches, &event, tell);
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        self.watches.len()
    }
}

fn dispatch(
    watches: &mut HashMap<WatchDescriptor, Watch>,
    event: &Event<&std::ffi::OsStr>,
    tell: &mut dyn FnMut(Notice<'_>),
) {
    let mask = event.mask;
    if mask.contains(EventMask::Q_OVERFLOW) {
        return tell(Notice::Overflow);
    }
    // The kernel has removed it: the directory is gone, or its file system.
    if mask.contains(EventMask::IGNORED) {
        if let Some(watch) = watches.remove(&event.wd) {
            watch.holders.keys().for_each(|(trigger, _)| tell(Notice::Lost { trigger: *trigger }));
        }
        return;
    }
    let Some(watch) = watches.get(&event.wd) else { return };
    let is_of_itself = EventMask::DELETE_SELF | EventMask::MOVE_SELF | EventMask::UNMOUNT;
    for (trigger, role) in watch.holders.keys() {
        if mask.intersects(is_of_itself) {
            tell(Notice::Lost { trigger: *trigger });
        } else if let Some(name) = event.name.filter(|_| role.mask().bits() & mask.bits() != 0) {
            tell(Notice::Entry { trigger: *trigger, role, mask, name: name.as_bytes() });
        }
    }
}

impl AsFd for Kernel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
