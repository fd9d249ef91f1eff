//! Owns: which directories are watched for a path trigger, so that nothing is missed on the way to its files.
//! Never: what an event of theirs means.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use inotify::WatchMask;
use nix::errno::Errno;

use super::kernel::{Holds, Kernel, Role};
use super::look::is_directory;
use super::names::{Name, Names};
use super::place::Place;
use crate::domain::TriggerId;

/// How often the way to a directory is followed anew because it has changed meanwhile. A change after that is
/// told by the kernel.
const ROUNDS: usize = 16;

/// What a trigger wants to be told.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) trigger: TriggerId,
    pub(super) place: &'a Place,
    /// The events of the files.
    pub(super) mask: WatchMask,
    /// Also the entries of those files that are directories.
    pub(super) with_content: bool,
}

/// Returns whether the kernel has no room for another watch.
pub(super) fn is_limit(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::ENOSPC | Errno::ENOMEM | Errno::EMFILE))
}

impl Wanted<'_> {
    /// Watches the directory, or the nearest one above it that can be watched. A directory that cannot be
    /// read counts as one that is not there. Adds each watch to `holds`, also before an error.
    ///
    /// # Errors
    /// That the kernel has no room for another watch, or that not even `/` can be watched.
    pub(super) fn hold(&self, kernel: &mut Kernel, holds: &mut Holds) -> io::Result<()> {
        let dir = &self.place.dir;
        let mut last = None;
        for _ in 0..ROUNDS {
            let deepest = self.hold_deepest(kernel, holds)?;
            if deepest == dir {
                break;
            }
            // The next directory may have come before the watch was there.
            let next = dir.ancestors().take_while(|path| *path != deepest).last();
            if last == Some(deepest) || next.is_none_or(|next| !is_directory(next)) {
                break;
            }
            last = Some(deepest);
        }
        self.hold_links(kernel, holds)?;
        if self.with_content && !matches!(self.place.names, Names::One(_) | Names::All | Names::Visible) {
            self.hold_content(kernel, holds)?;
        }
        Ok(())
    }

    fn hold_deepest(&self, kernel: &mut Kernel, holds: &mut Holds) -> io::Result<&Path> {
        let mut role = Role::Entries(self.mask);
        let mut failure = None;
        for path in self.place.dir.ancestors() {
            match kernel.hold(self.trigger, path, role, holds) {
                Ok(()) => {
                    self.hold_above(kernel, path, holds)?;
                    return Ok(path);
                }
                Err(error) if is_limit(&error) => return Err(error),
                Err(error) => failure = Some(error),
            }
            role = Role::Search(name_of(path));
        }
        Err(failure.unwrap_or_else(|| Errno::ENOENT.into()))
    }

    /// Watches what is above a directory, to be told if it is renamed. What cannot be read is left out.
    fn hold_above(&self, kernel: &mut Kernel, path: &Path, holds: &mut Holds) -> io::Result<()> {
        let mut role = Role::Parent(name_of(path));
        for above in path.ancestors().skip(1) {
            if let Err(error) = kernel.hold(self.trigger, above, role, holds)
                && is_limit(&error)
            {
                return Err(error);
            }
            role = Role::Ancestor;
        }
        Ok(())
    }

    /// Watches the symbolic links on the way, which may lead elsewhere later, and the file that the last one
    /// leads to.
    fn hold_links(&self, kernel: &mut Kernel, holds: &mut Holds) -> io::Result<()> {
        let Place { dir, names } = self.place;
        let mut wanted = Vec::new();
        for path in dir.ancestors().filter(|path| is_link(path)) {
            wanted.extend(path.parent().map(|parent| (parent.to_owned(), Role::Search(name_of(path)))));
        }
        if let Names::One(name) = names
            && is_link(&self.place.path(name))
            && let Ok(target) = fs::canonicalize(self.place.path(name))
            && let Some(parent) = target.parent()
        {
            let role = Role::Target(self.mask, name.clone(), name_of(&target));
            wanted.push((parent.to_owned(), role));
        }
        self.hold_all(kernel, wanted, holds)
    }

    /// Watches those files that are directories.
    fn hold_content(&self, kernel: &mut Kernel, holds: &mut Holds) -> io::Result<()> {
        let present = self.place.present().unwrap_or_default();
        let directories = present.into_iter().map(|name| (self.place.path(&name), Role::Inside(name)));
        self.hold_all(kernel, directories.filter(|(path, _)| is_directory(path)).collect(), holds)
    }

    fn hold_all(
        &self,
        kernel: &mut Kernel,
        wanted: Vec<(std::path::PathBuf, Role)>,
        holds: &mut Holds,
    ) -> io::Result<()> {
        for (path, role) in wanted {
            if let Err(error) = kernel.hold(self.trigger, &path, role, holds)
                && is_limit(&error)
            {
                return Err(error);
            }
        }
        Ok(())
    }
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
}

/// Returns the last part of a path; `..` of one that ends so, which no event is of.
fn name_of(path: &Path) -> Name {
    path.file_name().unwrap_or(OsStr::new("..")).as_bytes().to_vec()
}
