//! Owns: the control groups (cgroups(7)) of attempts: their names, members and removal, and the KILL for all
//! of one.
//! Never: starting a process in one (see `process`), or when to kill (see `stopping`).
//!
//! No session, double fork, environment or user leads out of a control group, and the kernel kills all of it
//! at once. The keeper makes them below its own group, if that is delegated to it (see `delegation`).

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::delegation::{Delegated, KILL, delegated_to, processes};
use super::enforcement::{Limits, was_out_of_memory};
use super::protocol::Attempt;
use super::scope::is_scope_of_keeper;
use super::spawn_error::{SpawnError, Step};
use crate::error::errno_of;
use crate::system::directory::OpenDirectory;

/// How many groups with background processes are looked at in a turn.
const LOOKS_PER_TURN: usize = 16;

/// The groups of the attempts of one store, below the keeper's own.
#[derive(Debug, Default)]
pub(super) struct Cgroups {
    /// The group that is delegated to the keeper, if one is.
    own: Option<OpenDirectory>,
    /// The keeper is in a group below it, so that limits can be set below it.
    is_apart: bool,
    /// The begin of the names, which tells the stores apart whose keepers share a group.
    prefix: String,
    /// The attempts that have a group.
    held: HashSet<Attempt>,
    /// Where the groups are that a keeper with another scope has made.
    elsewhere: HashMap<Attempt, PathBuf>,
    /// Groups of which the run has ended and background processes have not.
    left: VecDeque<PathBuf>,
}

impl Cgroups {
    /// Looks whether a group is delegated to the keeper, and for groups that earlier keepers of the store
    /// have left.
    pub(super) fn find(store: &OpenDirectory) -> Self {
        let own = delegated_to(std::process::id());
        let is_apart = own.as_ref().is_some_and(|own| own.is_apart);
        let own = own.and_then(|Delegated { directory, .. }| OpenDirectory::open(&directory).ok());
        let (Some(own), Ok(store)) = (own, fs::metadata(store.below(""))) else { return Self::default() };
        let prefix = format!("taskq-{:x}-{:x}-", store.dev(), store.ino());
        let is_ours = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.as_bytes().starts_with(prefix.as_bytes()))
        };
        let left = below(&own.below("")).filter(is_ours).filter(|path| !remove(path)).collect();
        Self { own: Some(own), is_apart, prefix, left, ..Self::default() }
    }

    fn path(&self, attempt: Attempt) -> Option<PathBuf> {
        Some(self.own.as_ref()?.below(&self.name(attempt)))
    }

    fn name(&self, Attempt { task, number }: Attempt) -> String {
        format!("{}{task}.{number}", self.prefix)
    }

    /// Makes the group of an attempt. `None`: it starts without one, because none may be made here or now.
    pub(super) fn make(&mut self, attempt: Attempt) -> Option<OwnedFd> {
        let path = self.path(attempt)?;
        self.make_at(attempt, &path).ok()
    }

    fn make_at(&mut self, attempt: Attempt, path: &Path) -> io::Result<OwnedFd> {
        match fs::create_dir(path) {
            // It was left by an earlier start of the attempt, or by a store that had this one's number.
            Err(error) if error.kind() == ErrorKind::AlreadyExists && remove(path) => {
                fs::create_dir(path)?;
            }
            made => made?,
        }
        self.held.insert(attempt);
        // A run of another user may read its own group.
        let _ = fs::set_permissions(path, Permissions::from_mode(0o755));
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(open(path, flags, Mode::empty())?)
    }

    /// Makes the group of an attempt that is held to these limits.
    ///
    /// # Errors
    /// The limits cannot be set. The attempt must not start.
    pub(super) fn make_limited(&mut self, attempt: Attempt, limits: &Limits) -> Result<OwnedFd, SpawnError> {
        let none = SpawnError { step: Step::Delegation, errno: Errno::ENOENT };
        let (own, path) = self.own.as_ref().zip(self.path(attempt)).ok_or(none)?;
        if !self.is_apart {
            return Err(SpawnError { step: Step::Subgroup, errno: Errno::EBUSY });
        }
        let failed = |step| move |error: io::Error| SpawnError::at(step)(errno_of(&error));
        limits.enable(&own.below("")).map_err(failed(Step::Controllers))?;
        let group = self.make_at(attempt, &path).map_err(failed(Step::Cgroup))?;
        limits.set(&path).map_err(failed(Step::Limits))?;
        Ok(group)
    }

    /// Takes the group over that another keeper of the store has made for an attempt, if there is one.
    pub(super) fn adopt(&mut self, attempt: Attempt) {
        if self.path(attempt).is_some_and(|path| path.is_dir()) {
            self.held.insert(attempt);
        } else if let Some(path) = self.in_other_scope(attempt) {
            self.elsewhere.insert(attempt, path);
            self.held.insert(attempt);
        }
    }

    /// Returns the group of an attempt in the scope of another keeper, which is beside the own one.
    fn in_other_scope(&self, attempt: Attempt) -> Option<PathBuf> {
        let (above, name) = (self.own.as_ref()?.below(".."), self.name(attempt));
        let scopes = below(&above).filter(|path| is_scope_of_keeper(path));
        scopes.map(|scope| scope.join(&name)).find(|path| path.is_dir())
    }

    fn held(&self, attempt: Attempt) -> Option<PathBuf> {
        let attempt = self.held.get(&attempt)?;
        self.elsewhere.get(attempt).cloned().or_else(|| self.path(*attempt))
    }

    /// Returns whether the kernel has killed a process of an attempt because there was no memory left for its
    /// group.
    pub(super) fn was_out_of_memory(&self, attempt: Attempt) -> bool {
        self.held(attempt).is_some_and(|path| was_out_of_memory(&path))
    }

    /// Returns the processes in the group of an attempt.
    pub(super) fn members(&self, attempt: Attempt) -> BTreeSet<u32> {
        let mut members = BTreeSet::new();
        let mut next: Vec<PathBuf> = self.held(attempt).into_iter().collect();
        while let Some(path) = next.pop() {
            members.extend(processes(&path));
            next.extend(below(&path));
        }
        members
    }

    /// Sends KILL to all processes in the group of an attempt. None of them can fork out of it.
    pub(super) fn kill(&self, attempt: Attempt) {
        // If it fails, they get their signals one by one.
        let _ = self.held(attempt).map(|path| fs::write(path.join(KILL), "1"));
    }

    /// An attempt has ended, or was not started: removes its group, now or when its last process has ended.
    pub(super) fn release(&mut self, attempt: Attempt) {
        let path = self.held(attempt);
        self.held.remove(&attempt);
        self.elsewhere.remove(&attempt);
        self.left.extend(path.filter(|path| !remove(path)));
        if self.held.is_empty() {
            self.held.shrink_to_fit();
        }
    }

    /// Removes groups that are empty by now, a few at a time.
    pub(super) fn sweep(&mut self) {
        for _ in 0..self.left.len().min(LOOKS_PER_TURN) {
            let path = self.left.pop_front();
            self.left.extend(path.filter(|path| !remove(path)));
        }
    }
}

/// Removes a group, and those that were made below it. Returns whether it is gone.
fn remove(path: &Path) -> bool {
    let is_gone = |removed: io::Result<()>| match removed {
        Err(error) => error.kind() == ErrorKind::NotFound,
        Ok(()) => true,
    };
    is_gone(fs::remove_dir(path)) || {
        let is_empty = fs::read_to_string(path.join("cgroup.events"))
            .is_ok_and(|events| events.lines().any(|line| line == "populated 0"));
        is_empty && below(path).all(|path| remove(&path)) && is_gone(fs::remove_dir(path))
    }
}

fn below(path: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}
