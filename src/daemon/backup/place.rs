//! Owns: the place of a copy: whether one may be made there, and the scaffold beside it until it is whole.
//! Never: what is copied.
//!
//! The scaffold of `copy` is the directory `copy.new-NUMBER`. It has `store`, which is renamed to `copy`, and
//! `lock`, which a living process holds. So what a killed one has left can be told apart, and removed.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::daemon::random_id;
use crate::error::{self, Error, Result, describe};
use crate::keeper::lock::try_lock;
use crate::system::directory::FileId;
use crate::system::users::own_uid;

/// What stands between the name of a copy and the number of its scaffold.
const INFIX: &[u8] = b".new-";

const LOCK: &str = "lock";
const STORE: &str = "store";

/// How often a scaffold is made that other backups remove.
const TRIES_MAX: u32 = 5;

/// The hint for a directory that is taken.
const NEW: &str = "name a directory that does not exist yet";

/// A place where a copy may be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyPlace {
    /// The directory that it goes into, without symlinks.
    parent: PathBuf,
    name: OsString,
    shown: PathBuf,
}

impl CopyPlace {
    /// Looks at a place. `store`: the directory of the store. Nothing is changed.
    ///
    /// # Errors
    /// If `dir` is not free: it must not exist, or be an empty directory of this user. If it is in the store.
    pub fn find(dir: &Path, store: &Path, what: &str) -> Result<Self> {
        let failed = |error: io::Error| Error::io(what, &error);
        let shown = dir.to_owned();
        let path = std::path::absolute(dir).map_err(failed)?;
        let real = match fs::symlink_metadata(&path) {
            Ok(_) => Some(fs::canonicalize(&path).map_err(|error| refused(what, &shown, &error))?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(refused(what, &shown, &error)),
        };
        let place = match &real {
            Some(real) => real.clone(),
            None => {
                let parent = path.parent().expect("the root exists");
                let real = fs::canonicalize(parent).map_err(|error| missing_parent(what, parent, &error))?;
                // A name that does not exist is not `..`.
                real.join(path.file_name().unwrap_or_default())
            }
        };
        let store = fs::canonicalize(store).map_err(failed)?;
        if place.starts_with(&store) {
            let is = if place == store { "the store itself" } else { "in the store" };
            return Err(Error::usage(what, format!("`{}` is {is}", shown.display())).hint(NEW));
        }
        if real.is_some() {
            refuse_taken(&place, &shown, what)?;
        }
        let (parent, name) = (place.parent(), place.file_name());
        let (parent, name) = parent.zip(name).expect("the root is not empty");
        Ok(Self { parent: parent.to_owned(), name: name.to_owned(), shown })
    }

    /// Returns its name as it was given.
    pub fn shown(&self) -> std::path::Display<'_> {
        self.shown.display()
    }

    fn path(&self) -> PathBuf {
        self.parent.join(&self.name)
    }

    /// Returns the error of a full disk.
    pub(super) fn full(&self, what: &str) -> Error {
        let cause = format!("the disk of `{}` is full", self.shown());
        Error::new(error::ErrorKind::Io, what, cause)
            .hint("nothing of the copy is left; free some space, or name a directory on another disk")
    }

    /// Returns the error of a call that has failed.
    pub(super) fn failed(&self, what: &str, error: &io::Error) -> Error {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => self.full(what),
            _ => Error::io(what, error),
        }
    }

    /// Removes what copies to this place have left that were killed, and returns its names. One that is still
    /// being made stays.
    pub fn remove_left(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.parent).into_iter().flatten().flatten();
        let is_scaffold = |name: &OsStr| {
            let number = name.as_bytes().strip_prefix(self.name.as_bytes());
            number
                .and_then(|rest| rest.strip_prefix(INFIX))
                .is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_hexdigit))
        };
        let scaffolds = entries.filter(|entry| is_scaffold(&entry.file_name())).map(|entry| entry.path());
        scaffolds.filter(|path| remove_if_left(path)).collect()
    }
}

fn refused(what: &str, shown: &Path, error: &io::Error) -> Error {
    let shown = shown.display();
    match error.kind() {
        // Of a symlink.
        ErrorKind::NotFound => Error::conflict(what, format!("`{shown}` is not a directory")).hint(NEW),
        _ => Error::new(error::ErrorKind::Io, what, format!("`{shown}`: {}", describe(error))),
    }
}

fn missing_parent(what: &str, parent: &Path, error: &io::Error) -> Error {
    let shown = parent.display();
    match error.kind() {
        ErrorKind::NotFound => Error::not_found(what, format!("there is no directory `{shown}`"))
            .hint("make it first, or mount what belongs there"),
        _ => Error::new(error::ErrorKind::Io, what, format!("`{shown}`: {}", describe(error))),
    }
}

/// Refuses what exists, unless it is an empty directory that can be replaced.
fn refuse_taken(place: &Path, shown: &Path, what: &str) -> Result<()> {
    let failed = |error: io::Error| refused(what, shown, &error);
    let conflict = |cause: String| Err(Error::conflict(what, cause).hint(NEW));
    let shown = shown.display();
    let found = fs::metadata(place).map_err(failed)?;
    if !found.is_dir() {
        return conflict(format!("`{shown}` is not a directory"));
    }
    if found.uid() != own_uid() {
        return conflict(format!("`{shown}` belongs to user {}, not to user {}", found.uid(), own_uid()));
    }
    if fs::read_dir(place).map_err(failed)?.next().is_some() {
        let has = if place.join("taskq.db").exists() { "has a store already" } else { "is not empty" };
        return conflict(format!("`{shown}` {has}"));
    }
    let parent = place.parent().and_then(|parent| fs::metadata(parent).ok());
    if parent.is_some_and(|parent| parent.dev() != found.dev()) {
        return Err(Error::conflict(what, format!("`{shown}` is a mount point, which cannot be replaced"))
            .hint("name a new directory in it"));
    }
    Ok(())
}

/// Removes a scaffold that a killed process has left. Returns whether it was one.
fn remove_if_left(path: &Path) -> bool {
    let is_ours = |found: fs::Metadata| found.is_dir() && found.uid() == own_uid();
    if !fs::symlink_metadata(path).is_ok_and(is_ours) {
        return false;
    }
    let names: Vec<OsString> =
        fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
    if names.is_empty() {
        // Whoever has just made it makes another one.
        return fs::remove_dir(path).is_ok();
    }
    let is_known = |name: &OsString| name == LOCK || name == STORE;
    let Some(lock) = open_lock(path, false).ok().filter(|_| names.iter().all(is_known)) else { return false };
    try_lock(&lock).unwrap_or(false) && remove(path).is_ok()
}

/// Removes a scaffold. The lock is the last to go, so that the rest is known if this process is killed.
fn remove(scaffold: &Path) -> io::Result<()> {
    match fs::remove_dir_all(scaffold.join(STORE)) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    fs::remove_file(scaffold.join(LOCK))?;
    fs::remove_dir(scaffold)
}

fn open_lock(scaffold: &Path, is_new: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(is_new).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options.open(scaffold.join(LOCK))
}

/// A directory beside the place of a copy, in which the copy is made. It goes with this value.
#[derive(Debug)]
pub(super) struct Scaffold {
    dir: PathBuf,
    _lock: File,
}

impl Scaffold {
    pub(super) fn make(place: &CopyPlace, what: &str) -> Result<Self> {
        let failed = |error: io::Error| match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => place.full(what),
            _ => {
                let cause = format!("`{}`: {}", place.parent.display(), describe(&error));
                Error::new(error::ErrorKind::Io, what, cause)
            }
        };
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::try_make(place) {
                // Another backup to this place took it for one that was left.
                Err(error) if error.kind() == ErrorKind::NotFound && tries < TRIES_MAX => {}
                made => return made.map_err(failed),
            }
        }
    }

    fn try_make(place: &CopyPlace) -> io::Result<Self> {
        let number = format!("{:x}", random_id()?);
        let name = [place.name.as_bytes(), INFIX, number.as_bytes()].concat();
        let dir = place.parent.join(OsString::from_vec(name));
        DirBuilder::new().mode(0o700).create(&dir)?;
        let lock =
            fs::set_permissions(&dir, Permissions::from_mode(0o700)).and_then(|()| open_lock(&dir, true));
        // On a full disk there is no lock.
        let lock = lock.inspect_err(|_| drop(fs::remove_dir(&dir)))?;
        let locked = FileId::from(&lock.metadata()?);
        let is_ours = try_lock(&lock)? && FileId::from(&fs::metadata(dir.join(LOCK))?) == locked;
        is_ours.then(|| Self { dir, _lock: lock }).ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// Returns where the copy is made.
    pub(super) fn store(&self) -> PathBuf {
        self.dir.join(STORE)
    }

    /// Gives the copy, which is on disk, its name.
    pub(super) fn finish(self, place: &CopyPlace, what: &str) -> Result<()> {
        match fs::rename(self.store(), place.path()) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
                let cause = format!("`{}` is not empty any more", place.shown());
                return Err(Error::conflict(what, cause).hint(NEW));
            }
            renamed => renamed.map_err(|error| refused(what, &place.shown, &error))?,
        }
        let synced = File::open(&place.parent).and_then(|parent| parent.sync_all());
        synced.map_err(|error| place.failed(what, &error))
    }
}

impl Drop for Scaffold {
    fn drop(&mut self) {
        // The next backup to this place removes what stays.
        let _ = remove(&self.dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind as Kind;

    const WHAT: &str = "copy store";

    fn base() -> (tempfile::TempDir, PathBuf) {
        let base = tempfile::tempdir().expect("a directory");
        let store = base.path().join("store");
        fs::create_dir(&store).expect("the name is new");
        (base, store)
    }

    #[test]
    fn only_a_new_name_or_an_empty_directory_outside_of_the_store_is_a_place() {
        let (base, store) = base();
        let path = |name: &str| base.path().join(name);
        fs::create_dir(path("empty")).expect("new");
        fs::create_dir(path("full")).expect("new");
        fs::write(path("full/x"), "").expect("ours");
        fs::create_dir(path("other")).expect("new");
        fs::write(path("other/taskq.db"), "").expect("ours");
        for (link, to) in [("to-empty", "empty"), ("to-store", "store"), ("dangling", "nothing")] {
            std::os::unix::fs::symlink(path(to), path(link)).expect("new");
        }
        let find = |name: &str| CopyPlace::find(&path(name), &store, WHAT);
        for (name, place) in [("new", "new"), ("empty", "empty"), ("to-empty", "empty"), ("empty/", "empty")]
        {
            let found = find(name).expect(name);
            assert_eq!(found.path(), fs::canonicalize(base.path()).expect("there").join(place));
        }
        for (name, kind, cause) in [
            ("full", Kind::Conflict, "is not empty"),
            ("full/x", Kind::Conflict, "is not a directory"),
            ("other", Kind::Conflict, "has a store already"),
            ("dangling", Kind::Conflict, "is not a directory"),
            ("store", Kind::Usage, "is the store itself"),
            ("to-store", Kind::Usage, "is the store itself"),
            ("store/copy", Kind::Usage, "is in the store"),
            ("to-store/copy", Kind::Usage, "is in the store"),
        ] {
            let refused = find(name).expect_err(name);
            let shown = path(name);
            assert_eq!((refused.kind, refused.cause), (kind, format!("`{}` {cause}", shown.display())));
        }
        assert_eq!(find("no/copy").expect_err("it has no parent").kind, Kind::NotFound);
    }

    #[test]
    fn what_a_killed_backup_has_left_is_removed_and_nothing_else() {
        let (base, store) = base();
        let place = CopyPlace::find(&base.path().join("copy"), &store, WHAT).expect("it is new");
        let left = base.path().join("copy.new-12ab");
        fs::create_dir_all(left.join("store/log")).expect("new");
        assert_eq!(place.remove_left(), [""; 0].map(PathBuf::from), "it may be anybody's");
        fs::write(left.join("lock"), "").expect("ours");
        let empty = base.path().join("copy.new-0");
        fs::create_dir(&empty).expect("new");
        for other in ["copy.new-x", "copy.new-", "other.new-12"] {
            fs::create_dir(base.path().join(other)).expect("new");
            fs::write(base.path().join(other).join("lock"), "").expect("ours");
        }
        let strange = base.path().join("copy.new-99");
        fs::create_dir(&strange).expect("new");
        fs::write(strange.join("lock"), "").expect("ours");
        fs::write(strange.join("letter"), "").expect("ours");
        let mut removed = place.remove_left();
        removed.sort();
        assert_eq!(removed, [empty, left.clone()]);
        assert!(
            base.path().join("copy.new-x/lock").exists() && base.path().join("other.new-12/lock").exists()
        );
        assert!(!left.exists() && strange.exists());
    }

    #[test]
    fn a_scaffold_goes_with_its_value_and_the_copy_stays() {
        let (base, store) = base();
        let place = CopyPlace::find(&base.path().join("copy"), &store, WHAT).expect("it is new");
        let names = || fs::read_dir(base.path()).expect("it is there").count();
        let scaffold = Scaffold::make(&place, WHAT).expect("there is room");
        fs::create_dir(scaffold.store()).expect("new");
        drop(scaffold);
        assert_eq!(names(), 1);
        let scaffold = Scaffold::make(&place, WHAT).expect("there is room");
        fs::create_dir(scaffold.store()).expect("new");
        scaffold.finish(&place, WHAT).expect("the name is free");
        assert_eq!(names(), 2);
        // Somebody else was faster.
        fs::write(base.path().join("copy/x"), "").expect("ours");
        let scaffold = Scaffold::make(&place, WHAT).expect("there is room");
        fs::create_dir(scaffold.store()).expect("new");
        assert_eq!(scaffold.finish(&place, WHAT).expect_err("it is taken").kind, Kind::Conflict);
        assert_eq!(names(), 2);
    }
}
