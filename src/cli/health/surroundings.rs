//! Owns: the findings about the store's files, the daemon, its service, and the machine.
//! Never: jobs (see `jobs`).

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::finding::Finding;
use crate::cli::systemd::systemctl::{UnitState, is_lingering, own_unit, unit_state};
use crate::daemon::{is_listening, running_daemon};
use crate::keeper::LOG_DIRECTORY;
use crate::process;
use crate::schedule::Zone;
use crate::shown::size;
use crate::store::{Reader, StoreError, StoreResult};
use crate::system::manager::Manager;
use crate::system::users;

const STORE: &str = "store";
const DISK: &str = "disk";
const DAEMON: &str = "daemon";
const SERVICE: &str = "service";
const CLOCK: &str = "clock";
const ZONE: &str = "zone";

/// Below this a run's output or a commit may not fit.
const FREE_MIN: u64 = 64 << 20;

/// Outputs beyond this are named.
const OUTPUTS_MAX: u64 = 1 << 30;

/// Looks at the content of the database, which takes about a second for a million runs.
///
/// # Errors
/// If it cannot be read.
pub fn of_database(reader: &Reader<'_>) -> StoreResult<Finding> {
    let problems = reader.integrity_problems()?;
    Ok(match problems.first() {
        None => Finding::ok(STORE, "the database is whole"),
        Some(first) => Finding::fault(
            STORE,
            format!("the database is damaged: {first}"),
            "stop the daemon, keep a copy, and restore a backup",
        ),
    })
}

/// Looks at the key of the store; `None`: the store is not sealed, and never was.
///
/// # Errors
/// If the store cannot be read.
pub fn of_key(reader: &Reader<'_>) -> StoreResult<Option<Finding>> {
    const KEY: &str = "key";
    if let Some(unfinished) = reader.unfinished_sealing()? {
        let verb = unfinished.verb();
        let remedy = format!("finish it with `taskq key {verb}`");
        return Ok(Some(Finding::fault(KEY, format!("`taskq key {verb}` was interrupted"), remedy)));
    }
    match reader.need_key() {
        Ok(()) if !reader.is_sealed() => Ok(None),
        Ok(()) => Ok(Some(Finding::ok(KEY, "the store is sealed, and the key opens it"))),
        Err(StoreError::Sealed(problem)) => {
            Ok(Some(Finding::fault(KEY, problem.to_string(), problem.hint())))
        }
        Err(error) => Err(error),
    }
}

/// Looks at who may read the store. To be called before it is opened, which closes it to others.
pub fn of_files(dir: &Path) -> Finding {
    let is_open = |path: &Path| fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0);
    let files = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_foreign = fs::metadata(dir).is_ok_and(|dir| dir.uid() != users::own_uid());
    let is_socket =
        |path: &Path| fs::symlink_metadata(path).is_ok_and(|file| !file.is_file() && !file.is_dir());
    let shown = dir.display();
    if is_foreign {
        return Finding::fault(STORE, format!("`{shown}` belongs to another user"), "run taskq as its owner");
    }
    if is_open(dir) {
        let text = format!("others could enter `{shown}` until now");
        return Finding::note(STORE, text, "it is closed; find out who has opened it");
    }
    match files.filter(|path| !is_socket(path)).find(|path| is_open(path)) {
        Some(path) => {
            let path = path.display();
            Finding::note(STORE, format!("`{path}` is open to others"), format!("`chmod go= {path}`"))
        }
        None => Finding::ok(STORE, format!("only its owner can enter `{shown}`")),
    }
}

/// Looks at the room that is left. `free_bytes`: of the store's file system.
pub fn of_disk(dir: &Path, free_bytes: u64, stored_bytes: u64) -> Vec<Finding> {
    let files = fs::read_dir(dir.join(LOG_DIRECTORY)).into_iter().flatten().flatten();
    let in_files: u64 = files.filter_map(|entry| entry.metadata().ok()).map(|file| file.len()).sum();
    let outputs = in_files + stored_bytes;
    let free = size(free_bytes);
    let mut findings = vec![match free_bytes < FREE_MIN {
        true => Finding::fault(
            DISK,
            format!("only {free} are free"),
            "make room: `taskq prune --output-limit SIZE`",
        ),
        false => Finding::ok(DISK, format!("{free} free, outputs take {}", size(outputs))),
    }];
    if outputs > OUTPUTS_MAX {
        let text = format!("outputs take {}", size(outputs));
        findings.push(Finding::note(DISK, text, "`taskq prune --output-limit 1G` drops the oldest"));
    }
    findings
}

/// Looks at the daemon. `has_jobs`: there is something to fire.
pub fn of_daemon(dir: &Path, has_jobs: bool) -> Finding {
    const START: &str = "`taskq service install`, or `taskq daemon &`";
    let Some(daemon) = running_daemon(dir) else {
        return match has_jobs {
            true => Finding::fault(DAEMON, "none is running: no job fires", START),
            false => Finding::note(DAEMON, "none is running", START),
        };
    };
    let pid = daemon.pid;
    if !is_listening(dir) {
        let text = format!("pid {pid} does not listen");
        return Finding::fault(DAEMON, text, format!("`kill -HUP {pid}` makes its sockets again"));
    }
    if daemon.version != env!("CARGO_PKG_VERSION") {
        let text = format!("pid {pid} is taskq {}, this is {}", daemon.version, env!("CARGO_PKG_VERSION"));
        return Finding::note(DAEMON, text, "restart it: running jobs continue");
    }
    Finding::ok(DAEMON, format!("pid {pid}, version {}", daemon.version))
}

/// Looks at the service of systemd. It has none of its own findings if systemd does not answer.
pub fn of_service(dir: &Path, what: &str) -> Vec<Finding> {
    let manager = Manager::of_caller();
    let Some(unit) = own_unit(manager, dir) else { return Vec::new() };
    let install = match manager {
        Manager::User => "`taskq service install`",
        Manager::System => "`taskq service install --system`",
    };
    let state = match unit_state(manager, &unit.name, what) {
        Ok(state) => state,
        Err(error) => return vec![Finding::note(SERVICE, error.cause, "start the daemon in another way")],
    };
    let mut findings = vec![unit_finding(&unit.name, &state, install)];
    // A unit that a package has brought, and nobody has enabled, says nothing about sessions.
    let is_in_use = state.fragment.is_some() && state.file_state != "disabled";
    if is_in_use && !is_lingering(manager) {
        let text = "lingering is off: it stops at your last logout, and does not start at boot";
        findings.push(Finding::note(SERVICE, text, "`loginctl enable-linger`"));
    }
    findings
}

fn unit_finding(name: &str, state: &UnitState, install: &str) -> Finding {
    match (state.fragment.is_some(), state.active.as_str(), state.file_state.as_str()) {
        (false, ..) => Finding::note(SERVICE, format!("`{name}` is not installed"), install),
        (true, "failed", _) => Finding::fault(
            SERVICE,
            format!("`{name}` has failed"),
            format!("`journalctl --user -u {name}` says why (as root, without `--user`)"),
        ),
        (true, "active", "enabled") => Finding::ok(SERVICE, format!("`{name}` is enabled, and runs")),
        (true, "active", _) => {
            Finding::note(SERVICE, format!("`{name}` runs, and does not start at the next boot"), install)
        }
        (true, _, "disabled") => Finding::note(SERVICE, format!("`{name}` is not enabled"), install),
        (true, _, _) => Finding::note(SERVICE, format!("`{name}` does not run"), install),
    }
}

/// Looks at the clock, by timedatectl(1), and at the zones.
pub fn of_clock(caller: &Zone, tz: Option<&str>, system: &Zone) -> Vec<Finding> {
    let args = ["show", "--property=NTPSynchronized", "--value"];
    let answer = process::run("timedatectl", &args).ok().filter(|finished| finished.status == 0);
    let is_synchronized = answer.map(|finished| finished.stdout.starts_with(b"yes"));
    let clock = match is_synchronized {
        Some(true) => Finding::ok(CLOCK, "it is synchronised"),
        Some(false) => Finding::note(CLOCK, "it is not synchronised", "`timedatectl set-ntp true`"),
        None => Finding::note(
            CLOCK,
            "nobody tells whether it is synchronised",
            "install systemd-timesyncd or chrony",
        ),
    };
    let name = system.name();
    let zone = match tz {
        Some(tz) if caller.name() != name => Finding::note(
            ZONE,
            format!("`TZ` is `{tz}` here, and the system's zone is `{name}`"),
            "jobs added here without `--tz` have the first",
        ),
        Some(_) | None => Finding::ok(ZONE, format!("`{name}`")),
    };
    vec![clock, zone]
}
