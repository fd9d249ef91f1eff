//! Owns: checking that the files which SQLite has opened are, and stay, those of the store's directory.
//! Never: opening them.
//!
//! SQLite opens database, log and index by path, and resolves symlinks itself, also below `/proc/self/fd`.
//! The owner of a parent directory can make it open other files. So the descriptors of this process are
//! compared with the files in the directory: the database before it is read, log and index before they are
//! used.
//!
//! One effect remains: SQLite, as root, gives a new log or index to the owner of the database that it opened.
//! In a store of root the next opening corrects this.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::directory::{DATABASE, Directory, INDEX, LOG};
use super::error::{StoreError, StoreResult, unusable};
use crate::system::directory::FileId;

/// Held while SQLite opens files, because descriptors that another thread opens would look like ours.
static OPENING: Mutex<()> = Mutex::new(());

const DESCRIPTORS: &str = "/proc/self/fd";

/// An open descriptor of one of the three files of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Descriptor {
    number: String,
    name: &'static str,
    id: FileId,
}

/// Returns the descriptors of this process whose files have, or had, one of the three names.
fn descriptors() -> io::Result<Vec<Descriptor>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(DESCRIPTORS)?.flatten() {
        // Another thread may have closed it meanwhile.
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let Some(name) = name_of(&target) else { continue };
        let Ok(metadata) = fs::metadata(entry.path()) else { continue };
        let number = entry.file_name().to_string_lossy().into_owned();
        found.push(Descriptor { number, name, id: FileId::from(&metadata) });
    }
    Ok(found)
}

/// Returns the name of one of the three files, also after it was removed, which the kernel marks in the link.
fn name_of(target: &Path) -> Option<&'static str> {
    let name = target.file_name()?.to_str()?;
    let name = name.strip_suffix(" (deleted)").unwrap_or(name);
    [DATABASE, LOG, INDEX].into_iter().find(|known| *known == name)
}

/// Returns whether SQLite has the right file open under this name: it opened it now, or it opened none and
/// shares the one that it had open before.
fn is_right(name: &str, right: FileId, before: &[Descriptor], after: &[Descriptor]) -> bool {
    let mut of_name = after.iter().filter(|one| one.name == name);
    let is_new = |one: &Descriptor| !before.contains(one);
    let has_new_right = of_name.clone().any(|one| is_new(one) && one.id == right);
    let has_right = of_name.clone().any(|one| one.id == right);
    has_new_right || has_right && !of_name.any(is_new)
}

/// The state while SQLite opens a database.
#[derive(Debug)]
pub(super) struct Opening {
    before: Vec<Descriptor>,
    _alone: MutexGuard<'static, ()>,
}

impl Opening {
    /// Records the descriptors that are open already.
    pub(super) fn begin() -> StoreResult<Self> {
        let alone = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
        let before = descriptors().map_err(|error| unusable(Path::new(DESCRIPTORS), &error))?;
        Ok(Self { before, _alone: alone })
    }

    /// Returns the opened files of these names, and fails if one is not that of the directory. A name without
    /// a file is left out.
    pub(super) fn check(
        &self,
        directory: &Directory,
        names: &[&'static str],
    ) -> StoreResult<Vec<(&'static str, FileId)>> {
        let after = descriptors().map_err(|error| unusable(Path::new(DESCRIPTORS), &error))?;
        let has_opened_log = after.iter().any(|one| one.name == LOG && !self.before.contains(one));
        let mut files = Vec::new();
        for name in names {
            let metadata = match *name {
                DATABASE => directory.inspect_database()?,
                // SQLite ignores an empty log. A power failure can leave one beside a database without a log.
                LOG if !has_opened_log => directory.inspect_file(LOG)?.filter(|log| log.len() > 0),
                INDEX if !has_opened_log => None,
                _ => directory.inspect_file(name)?,
            };
            let is_in_order = match &metadata {
                Some(metadata) => is_right(name, FileId::from(metadata), &self.before, &after),
                None => !after.iter().any(|one| one.name == *name && !self.before.contains(one)),
            };
            if !is_in_order {
                return Err(StoreError::Unusable(format!(
                    "`{}` was exchanged for another file while it was opened",
                    directory.path().join(name).display()
                )));
            }
            files.extend(metadata.as_ref().map(|metadata| (*name, FileId::from(metadata))));
        }
        Ok(files)
    }
}

/// The files of an open database.
#[derive(Debug)]
pub(super) struct OpenFiles {
    files: Vec<(&'static str, FileId)>,
}

impl OpenFiles {
    /// Checks all three files. Call it after SQLite has read the database.
    pub(super) fn of(opening: &Opening, directory: &Directory) -> StoreResult<Self> {
        Ok(Self { files: opening.check(directory, &[DATABASE, LOG, INDEX])? })
    }

    /// Returns whether there is a log: SQLite keeps one for this database.
    pub(super) fn has_log(&self) -> bool {
        self.files.iter().any(|(name, _)| *name == LOG)
    }

    /// Returns the directory or file that was removed or replaced, as the beginning of an error text. A
    /// commit to a removed file is lost.
    pub(super) fn find_gone(&self, directory: &Directory) -> Option<String> {
        if !directory.is_in_place() {
            return Some(format!("the directory `{}` was removed or replaced", directory.path().display()));
        }
        self.files.iter().find_map(|(name, id)| {
            let found = directory.inspect(name).ok()?;
            let fate = match found.as_ref().map(FileId::from) {
                Some(found) if found == *id => return None,
                Some(_) => "replaced by another file",
                None => "removed",
            };
            Some(format!("`{}` was {fate}", directory.path().join(name).display()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(base: &Path, name: &str) -> FileId {
        let path = base.join(name);
        fs::write(&path, name).expect("it is ours");
        FileId::from(&fs::metadata(path).expect("it is there"))
    }

    fn descriptor(number: u32, id: FileId) -> Descriptor {
        Descriptor { number: number.to_string(), name: DATABASE, id }
    }

    #[test]
    fn a_file_is_right_if_it_was_opened_now_or_before_and_no_other_was() {
        let base = tempfile::tempdir().expect("a temporary directory");
        let (right, wrong) = (file(base.path(), "a"), file(base.path(), "b"));
        let (old, new) = (descriptor(5, right), descriptor(6, right));
        let (old_wrong, new_wrong) = (descriptor(7, wrong), descriptor(6, wrong));
        let judge = |before: &[&Descriptor], after: &[&Descriptor]| {
            let owned = |all: &[&Descriptor]| all.iter().map(|one| (*one).clone()).collect::<Vec<_>>();
            is_right(DATABASE, right, &owned(before), &owned(after))
        };
        assert!(judge(&[], &[&new]));
        assert!(judge(&[&old], &[&old]), "SQLite shares what it has open");
        assert!(judge(&[&old_wrong], &[&old_wrong, &new]), "another store of this process");
        assert!(!judge(&[], &[&new_wrong]));
        assert!(!judge(&[&old], &[&old, &new_wrong]), "the second time");
        assert!(!judge(&[&old_wrong], &[&old_wrong]), "nothing was opened");
    }

    #[test]
    fn a_removed_file_is_found_by_its_former_name() {
        for (target, name) in [
            ("/a b/taskq.db", Some(DATABASE)),
            ("/a/taskq.db-wal (deleted)", Some(LOG)),
            ("/taskq.db-shm", Some(INDEX)),
            ("/a/taskq.db-journal", None),
            ("socket:[1]", None),
            ("/", None),
        ] {
            assert_eq!(name_of(Path::new(target)), name, "{target}");
        }
    }

    #[test]
    fn a_database_opened_elsewhere_under_the_same_name_is_refused() {
        let base = tempfile::tempdir().expect("a temporary directory");
        let directory = Directory::make(&base.path().join("ours")).expect("the name is new");
        let other = Directory::make(&base.path().join("other")).expect("the name is new");
        for directory in [&directory, &other] {
            fs::write(directory.below(DATABASE), "").expect("it is ours");
        }
        let opening = Opening::begin().expect("there is /proc");
        let opened = fs::File::open(other.below(DATABASE)).expect("it is there");
        let refused = opening.check(&directory, &[DATABASE]).expect_err("it is another's").to_string();
        assert!(refused.contains("was exchanged for another file while it was opened"), "{refused}");
        assert!(opening.check(&other, &[DATABASE]).is_ok());
        drop(opened);
    }
}
