//! Owns: the questions to systemd, and the orders to it, by systemctl(1).
//! Never: what they are for.

use std::fs;
use std::path::{Path, PathBuf};

use super::unit::Unit;
use crate::error::{Error, Result, describe};
use crate::process;
use crate::system::manager::Manager;
use crate::system::{env, machine, users};

/// Where logind keeps who lingers: a file for each user, empty.
const LINGERING: &str = "/var/lib/systemd/linger";

/// What systemd knows of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitState {
    /// Its file; `None`: there is none.
    pub fragment: Option<PathBuf>,
    /// Its main process, if it runs.
    pub main_pid: Option<u32>,
    /// As in `active`, `failed`.
    pub active: String,
    /// As in `enabled`, `disabled`.
    pub file_state: String,
}

/// Runs `systemctl` with these arguments, and returns its answer. Errors say that `what` was being done.
///
/// # Errors
/// `Io`, with systemd's own words.
pub fn systemctl(manager: Manager, args: &[&str], what: &str) -> Result<String> {
    let all: Vec<&str> = [manager.option(), "--no-pager", "--quiet"].iter().chain(args).copied().collect();
    let finished = process::run("systemctl", &all)
        .map_err(|error| no_systemd(what, format!("cannot run systemctl(1): {}", describe(&error))))?;
    if finished.status == 0 {
        return Ok(String::from_utf8_lossy(&finished.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&finished.stderr);
    let words: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let words = words.first().copied().unwrap_or("systemctl(1) failed");
    if words.contains("Failed to connect to bus") || words.contains("not been booted with systemd") {
        let whose = match manager {
            Manager::User => "the user's systemd",
            Manager::System => "systemd",
        };
        return Err(no_systemd(what, format!("{whose} does not answer: {words}")));
    }
    Err(Error::io(what, &std::io::Error::other(words.trim_end_matches('.').to_owned())))
}

fn no_systemd(what: &str, cause: String) -> Error {
    Error::io(what, &std::io::Error::other(cause))
        .hint("without systemd, start the daemon yourself: `taskq daemon`")
}

/// Returns what systemd knows of a unit.
///
/// # Errors
/// `Io` if systemd does not answer.
pub fn unit_state(manager: Manager, name: &str, what: &str) -> Result<UnitState> {
    let properties = "--property=FragmentPath,MainPID,ActiveState,UnitFileState";
    Ok(read_state(&systemctl(manager, &["show", properties, "--", name], what)?))
}

fn read_state(answer: &str) -> UnitState {
    let value = |key: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default()
    };
    UnitState {
        fragment: Some(value("FragmentPath")).filter(|path| !path.is_empty()).map(PathBuf::from),
        main_pid: value("MainPID").parse().ok().filter(|pid| *pid > 0),
        active: value("ActiveState").to_owned(),
        file_state: value("UnitFileState").to_owned(),
    }
}

/// Returns whether a manager runs without a login session: that of the system does, and that of a caller who
/// lingers.
pub fn is_lingering(manager: Manager) -> bool {
    manager == Manager::System || Path::new(LINGERING).join(users::person(None).name).exists()
}

/// Returns the unit that this program has, or would get, for the store in `dir`. `None`: there is no home
/// directory.
pub fn own_unit(manager: Manager, dir: &Path) -> Option<Unit> {
    let (config, home, exe) = (env::config_dir()?, env::home_dir()?, machine::own_program());
    let unit = Unit::of_store(manager, &exe, dir, env::default_dir().as_deref(), &config);
    Some(unit.or_packaged(&exe, dir, &home, |file| fs::read_to_string(file).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_without_a_file_or_a_process_is_known_as_such() {
        let state = read_state("MainPID=0\nActiveState=inactive\nFragmentPath=\nUnitFileState=\n");
        let none = UnitState { active: "inactive".to_owned(), ..UnitState::default() };
        assert_eq!(state, none);
        let state = read_state(
            "MainPID=812\nActiveState=active\nFragmentPath=/a b/taskq.service\nUnitFileState=enabled\n",
        );
        assert_eq!((state.main_pid, state.fragment), (Some(812), Some(PathBuf::from("/a b/taskq.service"))));
    }
}
