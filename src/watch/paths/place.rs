//! Owns: the files that a path trigger means, and looking at all of them.
//! Never: what follows from it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::look::{Look, Sight, is_directory, look_at};
use super::names::{Name, Names, read_names};
use crate::domain::{PathChange, PathSource};

/// Some names of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) dir: PathBuf,
    pub(super) names: Names,
}

/// The files of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    Found(BTreeMap<Name, Look>),
    /// There is no such directory.
    Missing,
    /// It could not be read, or not to its end.
    Unreadable,
}

impl Place {
    /// Returns the path of a file in it.
    pub(super) fn path(&self, name: &[u8]) -> PathBuf {
        self.dir.join(OsStr::from_bytes(name))
    }

    /// Looks at all of its files. One that vanishes meanwhile is not there.
    pub(super) fn scan(&self) -> Scan {
        let names = match self.present() {
            Ok(names) => names,
            Err(error) => {
                let is_missing = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
                return if is_missing { Scan::Missing } else { Scan::Unreadable };
            }
        };
        let looks = names.into_iter().filter_map(|name| Some((look_at(&self.path(&name)).look()?, name)));
        Scan::Found(looks.map(|(look, name)| (name, look)).collect())
    }

    /// Returns the names that are there, sorted.
    ///
    /// # Errors
    /// Those of opening and reading the directory.
    pub(super) fn present(&self) -> io::Result<Vec<Name>> {
        if let Names::One(name) = &self.names {
            return match fs::symlink_metadata(self.path(name)) {
                Ok(_) => Ok(vec![name.clone()]),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    fs::metadata(&self.dir).map(|_| Vec::new())
                }
                Err(error) => Err(error),
            };
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name().into_vec();
            if self.names.matches(&name) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// Returns the files that a source means. `changed` and `nonempty` of a directory mean its entries, as with
/// PathChanged= and DirectoryNotEmpty= of systemd.path(5); that stays so while it is gone.
pub(super) fn place_of(source: &PathSource, before: Option<&Place>) -> Place {
    let path = Path::new(&source.path);
    let inside = match source.change {
        PathChange::Changed => Some(Names::All),
        PathChange::Nonempty => Some(Names::Visible),
        PathChange::Created
        | PathChange::Deleted
        | PathChange::Exists
        | PathChange::Bytes(_)
        | PathChange::Lines(_) => None,
    };
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("..");
    let names = read_names(name).unwrap_or_else(|_| Names::One(name.as_bytes().to_vec()));
    let dir = path.parent().unwrap_or(path).to_owned();
    match (inside, &names) {
        (Some(inside), Names::One(_)) => {
            let was_inside = before.is_some_and(|before| before.names == inside);
            let is_inside = match look_at(path) {
                Sight::There(_) => is_directory(path),
                Sight::Dangling | Sight::Gone => was_inside,
            };
            if is_inside { Place { dir: path.to_owned(), names: inside } } else { Place { dir, names } }
        }
        (Some(_) | None, _) => Place { dir, names },
    }
}
