//! Owns: whether the control group (cgroups(7), version 2) of a keeper is delegated to it, and where it is.
//! Never: the groups below it (see `cgroup`).
//!
//! Groups may be made in a group that its manager has delegated, and only there. The manager is systemd, that
//! of the system or that of the user. The first marks what it delegates. The second does not, so it is asked.
//! A group above ours that is delegated, as `user@1000.service` is, is the manager's and not ours. Save that
//! a keeper in a scope of its own, and `DelegateSubgroup=taskq-main`, make a group of this name below the one
//! that is ours.

use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};

use super::scope::{MAIN, Scope, group_of, manager_of, property};
use super::sys;
use crate::system::manager::Manager;

/// The attributes by which systemd marks what it has delegated.
const MARKS: [&CStr; 2] = [c"user.delegate", c"trusted.delegate"];

/// All processes of a group and of those below it get KILL if `1` is written to it, since Linux 5.14. The
/// root of the hierarchy has none.
pub(super) const KILL: &str = "cgroup.kill";

/// The processes of a group, one in a line.
const PROCESSES: &str = "cgroup.procs";

/// Returns the processes in a group, without those in the groups below it.
pub(super) fn processes(group: &Path) -> Vec<u32> {
    let text = fs::read_to_string(group.join(PROCESSES)).unwrap_or_default();
    // 0 stands for a process that is not in this pid namespace.
    text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect()
}

/// A group that is delegated.
#[derive(Debug)]
pub(super) struct Delegated {
    pub(super) directory: PathBuf,
    /// The process is in `MAIN` below it.
    pub(super) is_apart: bool,
}

/// Returns the group that is delegated to a process, if one is.
pub(super) fn delegated_to(pid: u32) -> Option<Delegated> {
    let mounts = fs::read(format!("/proc/{pid}/mountinfo")).ok()?;
    let group = group_of(pid)?;
    // Its mounts may be others than ours.
    let root = if pid == std::process::id() { "/".to_owned() } else { format!("/proc/{pid}/root") };
    let found = directories(&String::from_utf8_lossy(&mounts), &group)
        .into_iter()
        .map(|path| Path::new(&root).join(path.strip_prefix("/").unwrap_or(&path)));
    // Another file system may be mounted over one of them.
    let directory = found.into_iter().find(|path| processes(path).contains(&pid))?;
    let (directory, group, is_apart) = match group.strip_suffix(MAIN).and_then(|up| up.strip_suffix('/')) {
        Some(group) if !group.is_empty() => (directory.parent()?.to_owned(), group, true),
        _ => (directory, group.as_str(), false),
    };
    let is_usable = is_usable(&directory);
    let is_delegated = || is_marked(&directory) || unit_of_user(group).is_some_and(is_delegated_to_unit);
    (is_usable && is_delegated()).then_some(Delegated { directory, is_apart })
}

/// Moves this process, a keeper that is alone in its scope, into a group below that of the scope. So limits
/// can be set beside it, without `DelegateSubgroup=`, which scopes lack.
pub(super) fn step_aside() {
    let is_alone = |group: &Path| processes(group) == [std::process::id()];
    if Scope::own().is_none() {
        return;
    }
    let Some(Delegated { directory, is_apart: false }) = delegated_to(std::process::id()) else { return };
    let main = directory.join(MAIN);
    // Without it nothing can be limited, and `--enforce` is refused.
    if is_alone(&directory) && fs::create_dir(&main).is_ok() {
        let _ = fs::write(main.join(PROCESSES), std::process::id().to_string());
    }
}

/// Returns where a group should be, from proc_pid_mountinfo(5).
fn directories(mounts: &str, group: &str) -> Vec<PathBuf> {
    let directory = |line: &str| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (unescaped(fields.next()?), unescaped(fields.next()?));
        let is_version_2 = file_system.split(' ').next() == Some("cgroup2");
        // A part of the hierarchy may be mounted.
        let rest = Path::new(group).strip_prefix(root).ok().filter(|_| is_version_2)?;
        Some(Path::new(&point).join(rest))
    };
    mounts.lines().filter_map(directory).collect()
}

/// Undoes the octal escapes of proc(5): of space, tab, newline and backslash.
fn unescaped(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |field, (escape, text)| field.replace(escape, text))
}

/// Returns whether groups can be made in this one, processes started there, and killed together.
fn is_usable(group: &Path) -> bool {
    let may_write = |path: &Path| faccessat(AT_FDCWD, path, AccessFlags::W_OK, AtFlags::AT_EACCESS).is_ok();
    may_write(group) && may_write(&group.join(PROCESSES)) && group.join(KILL).exists()
}

fn is_marked(group: &Path) -> bool {
    let Ok(group) = CString::new(group.as_os_str().as_bytes()) else { return false };
    MARKS.iter().any(|mark| sys::attribute(&group, mark).is_some_and(|value| value == b"1"))
}

/// Returns the service or scope whose group this is, if it is one of a user's manager.
fn unit_of_user(group: &str) -> Option<&str> {
    let (above, unit) = group.rsplit_once('/')?;
    // A name that could be a file of the kernel's has a `_` before it.
    let unit = unit.strip_prefix('_').unwrap_or(unit);
    let is_unit = unit.ends_with(".service") || unit.ends_with(".scope");
    (is_unit && manager_of(above) == Manager::User).then_some(unit)
}

/// Asks the user's manager whether it has delegated the group of a unit.
fn is_delegated_to_unit(unit: &str) -> bool {
    property(Manager::User, unit, "Delegate").is_some_and(|answer| answer == "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: &str = "/user.slice/user-1000.slice/user@1000.service/app.slice/taskq.service";

    #[test]
    fn a_group_is_looked_for_in_each_mount_of_version_2_that_has_it() {
        let mounts = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
            31 22 0:27 / /sys/fs/cgroup rw,nosuid shared:9 master:1 - cgroup2 cgroup2 rw,nsdelegate\n\
            32 22 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
            33 22 0:27 /user.slice /mnt/a\\040b\\134c rw - cgroup2 none rw\n\
            34 22 0:27 /system.slice /mnt/system rw - cgroup2 none rw\n";
        let found = directories(mounts, UNIT);
        let rest = UNIT.strip_prefix("/user.slice").expect("it begins so");
        let places = [format!("/sys/fs/cgroup{UNIT}"), format!("/mnt/a b\\c{rest}")];
        assert_eq!(found, places.map(PathBuf::from));
        assert_eq!(directories("31 22 0:27 / /g rw - cgroup2 none rw", "/"), [PathBuf::from("/g")]);
        assert_eq!(directories("cut", "/"), [] as [PathBuf; 0]);
    }

    #[test]
    fn a_unit_of_a_users_manager_is_known_by_its_group() {
        assert_eq!(unit_of_user(UNIT), Some("taskq.service"));
        assert_eq!(unit_of_user("/x/user@1.service/_cpu.service"), Some("cpu.service"));
        assert_eq!(unit_of_user("/x/user@1.service/app.slice/t.scope"), Some("t.scope"));
        // Of the system, of a shell, the manager itself, and a group in the service's.
        assert_eq!(unit_of_user("/system.slice/taskq.service"), None);
        assert_eq!(unit_of_user("/user.slice/user-1000.slice/session-2.scope"), None);
        assert_eq!(unit_of_user("/user.slice/user-1000.slice/user@1000.service"), None);
        assert_eq!(unit_of_user(&format!("{UNIT}/a")), None);
    }

    #[test]
    fn a_directory_that_is_no_group_is_not_delegated() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(!is_usable(dir.path()) && !is_marked(dir.path()));
        assert!(!is_marked(&dir.path().join("absent")));
    }
}
