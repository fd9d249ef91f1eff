//! Owns: which paths cannot be listened to, and what to do about it.
//! Never: listening.

use std::fs;
use std::path::Path;

use inotify::{Inotify, WatchMask};
use nix::sys::statfs::{FsType, statfs};

use super::look::Look;
use super::names::{Name, Names, is_pattern, read_names};
use super::place::{Place, Scan, place_of};
use super::refusal::{PathRefusal, instance_refusal, limit_refusal, unreadable};
use crate::domain::{PathChange, PathMark, PathSource};

/// The file systems whose files others change without inotify(7) knowing: statfs(2), linux/magic.h.
const WITHOUT_INOTIFY: [(u32, &str); 19] = [
    (0x6969, "NFS"),
    (0x517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9p"),
    (0x5346_414F, "AFS"),
    (0x6B41_4653, "AFS"),
    (0x00C3_6400, "Ceph"),
    (0x7375_7245, "Coda"),
    (0x564C, "NCP"),
    (0x0BD0_0BD0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x7461_636F, "OCFS2"),
    (0x0116_1970, "GFS2"),
    (0x786F_4256, "VirtualBox shared folder"),
    (0xBACB_ACBC, "VMware shared folder"),
    (0x9FA0, "proc"),
    (0x6265_6572, "sysfs"),
];

/// Returns the name of a file system without inotify(7).
fn without_inotify(kind: FsType) -> Option<&'static str> {
    // The type of the number differs between machines, its 32 bits do not.
    let number = kind.0 as u32;
    WITHOUT_INOTIFY.iter().find(|(magic, _)| *magic == number).map(|(_, name)| *name)
}

/// Checks that a path can be listened to, by a trial. `store` is the directory of the store.
///
/// # Errors
/// The path is below the store, is no path that an event can be of, or the system cannot tell of its changes.
pub fn check_path(source: &PathSource, store: &Path) -> Result<(), PathRefusal> {
    check_pattern(source)?;
    let place = place_of(source, None);
    let existing = nearest(&place.dir);
    if !existing.is_dir() {
        return Err(PathRefusal::new(format!("`{}` is not a directory", existing.display())));
    }
    check_store(source, &place, existing, store)?;
    if let Err(error) = fs::read_dir(existing) {
        return Err(unreadable(existing, &error));
    }
    if source.poll.is_some() {
        return Ok(());
    }
    let kind = statfs(existing).map_err(|errno| unreadable(existing, &errno.into()))?.filesystem_type();
    if let Some(name) = without_inotify(kind) {
        let cause = format!("`{}` is on {name}, which does not report changes", existing.display());
        return Err(PathRefusal::new(cause).hint("add `poll=1m`, so that it is looked at each minute"));
    }
    let inotify = Inotify::init().map_err(|error| instance_refusal(&error))?;
    let trial = inotify.watches().add(existing, WatchMask::CREATE | WatchMask::ONLYDIR);
    trial.map(drop).map_err(|error| limit_refusal(existing, &error))
}

/// Returns the marks with which a trigger is not new: what is there now. `taskq add` can store them with the
/// trigger, so that what happens until the daemon listens counts too.
///
/// `None`: the files cannot be looked at, or there is nothing to remember, because the first look of the
/// daemon reports what is there.
pub fn first_marks(source: &PathSource) -> Option<Vec<(Name, PathMark)>> {
    match source.change {
        PathChange::Changed | PathChange::Created | PathChange::Deleted => {}
        PathChange::Exists | PathChange::Nonempty | PathChange::Bytes(_) | PathChange::Lines(_) => {
            return None;
        }
    }
    match place_of(source, None).scan() {
        Scan::Found(found) => {
            Some(found.into_iter().map(|(name, look): (Name, Look)| (name, look.mark())).collect())
        }
        Scan::Missing => Some(Vec::new()),
        Scan::Unreadable => None,
    }
}

fn check_pattern(source: &PathSource) -> Result<(), PathRefusal> {
    let path = Path::new(&source.path);
    if let Some(name) = path.file_name().and_then(|name| name.to_str())
        && read_names(name).is_err()
    {
        let cause = format!("`[` in `{name}` has no `]`");
        return Err(PathRefusal::new(cause).hint("write `[[]` for the character `[`"));
    }
    let above = path.parent().unwrap_or(path);
    let odd = above.ancestors().find(|part| {
        let is_pattern = part.file_name().and_then(|name| name.to_str()).is_some_and(is_pattern);
        is_pattern && !part.exists()
    });
    match odd {
        Some(odd) => Err(PathRefusal::new(format!(
            "`{}` is a pattern, and only the last part of a path may be one",
            odd.display()
        ))),
        None => Ok(()),
    }
}

/// Checks that an event is not of what taskq writes itself.
fn check_store(source: &PathSource, place: &Place, existing: &Path, store: &Path) -> Result<(), PathRefusal> {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let rest = place.dir.strip_prefix(existing).unwrap_or(Path::new(""));
    let is_below = real(existing).join(rest).starts_with(real(store))
        || match &place.names {
            Names::One(name) => real(&place.path(name)).starts_with(real(store)),
            Names::Matching(_) | Names::All | Names::Visible => false,
        };
    if is_below {
        let cause = format!("`{}` is in the store, which each run changes", source.path);
        return Err(PathRefusal::new(cause));
    }
    Ok(())
}

/// Returns the path, or the nearest one above it that exists.
fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"))
}
