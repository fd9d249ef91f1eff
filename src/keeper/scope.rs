//! Owns: the scope of systemd (systemd.scope(5)) in which a service's keeper runs: asking for it, and whether
//! it is being stopped.
//! Never: control groups (see `delegation` and `cgroup`).
//!
//! A keeper outlives its daemon. In the service's own control group systemd would warn of left-over
//! processes at each restart. In a scope it does not, the group of the scope is delegated, and at shutdown
//! systemd stops the scope before the service, so that the daemon still records how the runs ended.
#![expect(clippy::disallowed_types, reason = "systemctl(1) is started here")]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::read_to_string;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::geteuid;

use super::protocol::KeeperInstance;
use super::sys;
use crate::system::manager::Manager;

const PREFIX: &str = "taskq-keeper-";
const SUFFIX: &str = ".scope";

/// The group below the delegated one in which daemon and keeper are if that is to have limits below it: the
/// kernel sets none below a group with processes of its own.
pub(super) const MAIN: &str = "taskq-main";

/// How long the answer of systemctl(1) may take, in milliseconds. Until then nothing starts.
const ANSWER_MS: u16 = 2_000;

/// Returns whether this could be the group of a keeper's scope, by its name.
pub(super) fn is_scope_of_keeper(group: &Path) -> bool {
    group.file_name().and_then(OsStr::to_str).is_some_and(is_keepers_name)
}

fn is_keepers_name(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

/// Returns the manager that makes the groups in this one, a path in the hierarchy.
pub(super) fn manager_of(group: &str) -> Manager {
    let is_user = |part: &str| part.starts_with("user@") && part.ends_with(".service");
    if group.split('/').any(is_user) { Manager::User } else { Manager::System }
}

/// Returns a property of a unit; `None` without an answer in time.
pub(super) fn property(manager: Manager, unit: &str, property: &str) -> Option<String> {
    let mut command = Command::new("systemctl");
    command.args([manager.option(), "show", &format!("--property={property}"), "--value", "--", unit]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let is_over = sys::open_process(child.id()).is_ok_and(|process| {
        poll(&mut [PollFd::new(process.as_fd(), PollFlags::POLLIN)], PollTimeout::from(ANSWER_MS)) == Ok(1)
    });
    if !is_over {
        let _ = child.kill();
    }
    let _ = child.wait();
    let answer = child.stdout.filter(|_| is_over).and_then(|stdout| read_to_string(stdout).ok())?;
    Some(answer.trim_end().to_owned())
}

/// Returns the path of a process's group in the hierarchy of version 2, from proc_pid_cgroup(5).
pub(super) fn group_of(pid: u32) -> Option<String> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    own_group(&groups).map(str::to_owned)
}

fn own_group(groups: &str) -> Option<&str> {
    // A group outside of the cgroup namespace is shown as `/..`.
    groups.lines().find_map(|line| line.strip_prefix("0::")).filter(|path| !path.starts_with("/.."))
}

/// The service of systemd whose main process this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceUnit {
    manager: Manager,
    name: String,
}

impl ServiceUnit {
    /// Returns the service of this process. `main_pid`: the one that systemd has started, from
    /// `SYSTEMD_EXEC_PID` (systemd.exec(5), since 248).
    ///
    /// `None` for a process of another's service: its keeper must not leave that. `None` also for a service
    /// of the system that runs as a user, who may not make a scope.
    pub fn own(main_pid: Option<u32>) -> Option<Self> {
        if main_pid != Some(std::process::id()) {
            return None;
        }
        let unit = Self::of_group(&group_of(std::process::id())?)?;
        (unit.manager == Manager::User || geteuid().is_root()).then_some(unit)
    }

    fn of_group(group: &str) -> Option<Self> {
        let group = group.strip_suffix(MAIN).map_or(group, |up| up.trim_end_matches('/'));
        let name = group.rsplit('/').next().filter(|name| name.ends_with(".service"))?;
        // A name that could be a file of the kernel's has a `_` before it.
        let name = name.strip_prefix('_').unwrap_or(name);
        Some(Self { manager: manager_of(group), name: name.to_owned() })
    }

    /// Returns the command, systemd-run(1) and its arguments, that starts a keeper in a scope of its own: the
    /// program `exe` with `args`. It becomes the keeper, so the process id is the same.
    pub fn in_scope(
        &self,
        instance: KeeperInstance,
        store: &Path,
        exe: &Path,
        args: Vec<OsString>,
    ) -> (PathBuf, Vec<OsString>) {
        let mut all: Vec<OsString> = vec![
            self.manager.option().into(),
            "--scope".into(),
            "--quiet".into(),
            "--collect".into(),
            "--slice-inherit".into(),
            format!("--unit={PREFIX}{instance:x}").into(),
            "--property=Delegate=yes".into(),
            // The limit of a unit is for one program. All that a keeper runs has the limits of its user.
            "--property=TasksMax=infinity".into(),
            // It is stopped before the service, and starts when that is ready.
            format!("--property=After={}", self.name).into(),
        ];
        let mut description = OsString::from("--description=taskq: runs of ");
        description.push(store);
        all.extend([description, "--".into(), exe.into()]);
        all.extend(args);
        ("systemd-run".into(), all)
    }
}

/// The scope of a keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    manager: Manager,
    name: String,
}

impl Scope {
    /// Returns the scope that was made for this process, if one was.
    pub(super) fn own() -> Option<Self> {
        Self::of_group(&group_of(std::process::id())?)
    }

    fn of_group(group: &str) -> Option<Self> {
        let name = group.split('/').find(|part| is_keepers_name(part))?.to_owned();
        Some(Self { manager: manager_of(group), name })
    }

    /// Returns whether systemd stops it: at shutdown, at the last logout of a user who does not linger, or
    /// because a person has said so.
    pub(super) fn is_stopping(&self) -> bool {
        property(self.manager, &self.name, "ActiveState").is_some_and(|state| state != "active")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "/user.slice/user-1000.slice/user@1000.service/app.slice";

    #[test]
    fn the_own_group_is_that_of_version_2_if_the_namespace_has_it() {
        assert_eq!(own_group("4:memory:/x\n1:name=systemd:/y\n0::/a b/c\n"), Some("/a b/c"));
        assert_eq!(own_group("0::/\n"), Some("/"));
        assert_eq!(own_group("4:memory:/x\n"), None);
        assert_eq!(own_group("0::/../other\n"), None);
    }

    #[test]
    fn a_service_is_known_by_its_group_and_its_manager_too() {
        let unit = |manager, name: &str| Some(ServiceUnit { manager, name: name.to_owned() });
        let of = ServiceUnit::of_group;
        assert_eq!(of(&format!("{USER}/taskq.service")), unit(Manager::User, "taskq.service"));
        assert_eq!(of("/system.slice/taskq.service/taskq-main"), unit(Manager::System, "taskq.service"));
        assert_eq!(of("/system.slice/_cpu.service"), unit(Manager::System, "cpu.service"));
        assert_eq!(of("/user.slice/user-1000.slice/session-2.scope"), None);
    }

    #[test]
    fn only_the_main_process_of_a_service_has_its_keeper_elsewhere() {
        assert_eq!(ServiceUnit::own(None), None);
        assert_eq!(ServiceUnit::own(Some(1)), None);
    }

    #[test]
    fn a_keeper_knows_its_scope_by_its_group() {
        let scope = Scope::of_group(&format!("{USER}/taskq-keeper-1f.scope/taskq-main"));
        assert_eq!(scope, Some(Scope { manager: Manager::User, name: "taskq-keeper-1f.scope".to_owned() }));
        assert_eq!(Scope::of_group(&format!("{USER}/run-1.scope")), None);
    }

    #[test]
    fn the_scope_of_a_keeper_stops_before_its_service() {
        let unit = ServiceUnit { manager: Manager::User, name: "taskq.service".to_owned() };
        let args = vec!["keeper".into()];
        let (program, args) = unit.in_scope(31, Path::new("/a b"), Path::new("/bin/taskq"), args);
        assert_eq!(program, Path::new("systemd-run"));
        for expected in ["--user", "--property=After=taskq.service", "--unit=taskq-keeper-1f"] {
            assert!(args.iter().any(|argument| argument == expected), "{args:?}");
        }
        assert_eq!(
            args[args.len() - 4..],
            ["--description=taskq: runs of /a b", "--", "/bin/taskq", "keeper"]
        );
    }
}
