//! Owns: asking the caller's systemd for timers and services, by busctl(1).
//! Never: the meaning of the answers.

use std::fs;

use super::properties::{Properties, first, list};
use super::unit_file::{Setting, settings};
use crate::error::{Error, Result, describe};
use crate::process;
use crate::system::manager::Manager;

const SERVICE: &str = "org.freedesktop.systemd1";
const MANAGER_OBJECT: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// The directories of unit files of packages.
const PACKAGES: [&str; 4] =
    ["/usr/lib/systemd/", "/lib/systemd/", "/usr/share/systemd/", "/usr/local/lib/systemd/"];

const SUFFIX: &str = ".timer";

/// The caller's systemd on its bus, busctl(1).
pub struct Bus {
    what: &'static str,
    pub manager: Manager,
    /// The environment of its services.
    pub env: Vec<String>,
}

/// A unit with its properties, and the settings in its files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unit {
    pub name: String,
    pub properties: Properties,
    pub settings: Vec<Setting>,
}

/// A timer with its service.
#[derive(Clone, Debug, PartialEq)]
pub struct TimerUnit {
    pub timer: Unit,
    /// `None` if what it starts is not a service that is there.
    pub service: Option<Unit>,
}

/// The timers to import.
#[derive(Default)]
pub struct FoundTimers {
    pub timers: Vec<TimerUnit>,
    /// The running timers of packages.
    pub of_packages: Vec<String>,
}

/// Finds the named timers; without names, all that run and that no package has brought. Errors say that
/// `what` was being done.
pub fn find_timers(names: &[String], what: &'static str) -> Result<(Bus, FoundTimers)> {
    let mut bus = Bus { what, manager: Manager::of_caller(), env: Vec::new() };
    let env = bus.ask(&["get-property", SERVICE, MANAGER_OBJECT, MANAGER, "Environment"])?;
    bus.env = list(&env).ok_or_else(|| bus.not_understood())?;
    let mut found = FoundTimers::default();
    if names.is_empty() {
        for name in bus.active_timers()? {
            let timer = bus.unit(&name, "Timer")?;
            let path = timer.properties.text("FragmentPath");
            if PACKAGES.iter().any(|directory| path.starts_with(directory)) {
                found.of_packages.push(name);
            } else {
                found.timers.push(bus.with_service(timer)?);
            }
        }
    }
    for name in names {
        let has_suffix =
            name.rsplit_once('.').is_some_and(|(_, suffix)| suffix.chars().all(char::is_alphabetic));
        let name = if has_suffix { name.clone() } else { format!("{name}{SUFFIX}") };
        if !name.ends_with(SUFFIX) {
            return Err(Error::usage(what, format!("`{name}` is not the name of a timer"))
                .hint("list the timers with `systemctl list-timers`"));
        }
        if found.timers.iter().all(|known| known.timer.name != name) {
            let timer = bus.unit(&name, "Timer")?;
            found.timers.push(bus.with_service(timer)?);
        }
    }
    Ok((bus, found))
}

impl Bus {
    fn ask(&self, args: &[&str]) -> Result<Vec<u8>> {
        let args = [&[self.manager.option(), "--json=short"], args].concat();
        let failure = |cause: String| {
            Error::not_found(self.what, cause).hint(format!("check `{} status`", self.manager.systemctl()))
        };
        let finished = process::run("busctl", &args)
            .map_err(|error| failure(format!("`busctl`, which asks systemd: {}", describe(&error))))?;
        if finished.status != 0 {
            let said = String::from_utf8_lossy(&finished.stderr);
            let said = said.lines().next().unwrap_or("`busctl` failed and said nothing").trim().to_owned();
            return Err(failure(format!("systemd does not answer: {said}")));
        }
        Ok(finished.stdout)
    }

    fn not_understood(&self) -> Error {
        Error::not_found(self.what, "the answer of `busctl` has another form than that of systemd 252")
    }

    /// Returns the names of the timers that run.
    fn active_timers(&self) -> Result<Vec<String>> {
        let answer = self.ask(&[
            "call",
            SERVICE,
            MANAGER_OBJECT,
            MANAGER,
            "ListUnitsByPatterns",
            "asas",
            "1",
            "active",
            "1",
            "*.timer",
        ])?;
        let rows = first(&answer).ok_or_else(|| self.not_understood())?;
        let rows = rows.as_array().ok_or_else(|| self.not_understood())?;
        let mut names: Vec<String> =
            rows.iter().filter_map(|row| Some(row.get(0)?.as_str()?.to_owned())).collect();
        names.sort();
        Ok(names)
    }

    /// Reads a unit. One that is not there has the `LoadState` `not-found`.
    fn unit(&self, name: &str, kind: &str) -> Result<Unit> {
        let answer = self.ask(&["call", SERVICE, MANAGER_OBJECT, MANAGER, "LoadUnit", "s", name])?;
        let object = first(&answer).and_then(|object| object.as_str().map(str::to_owned));
        let object = object.ok_or_else(|| self.not_understood())?;
        let mut properties = Properties::default();
        for interface in ["Unit", kind] {
            let interface = format!("{SERVICE}.{interface}");
            let answer = self.ask(&[
                "call",
                SERVICE,
                &object,
                "org.freedesktop.DBus.Properties",
                "GetAll",
                "s",
                &interface,
            ])?;
            properties.read(&answer).ok_or_else(|| self.not_understood())?;
        }
        let mut files = vec![properties.text("FragmentPath").to_owned()];
        files.extend(properties.texts("DropInPaths"));
        let files = files.iter().filter(|file| !file.is_empty());
        let settings =
            files.flat_map(|file| settings(&fs::read_to_string(file).unwrap_or_default())).collect();
        Ok(Unit { name: name.to_owned(), properties, settings })
    }

    fn with_service(&self, timer: Unit) -> Result<TimerUnit> {
        let name = timer.properties.text("Unit").to_owned();
        let service = if name.ends_with(".service") { Some(self.unit(&name, "Service")?) } else { None };
        let service = service.filter(|service| service.properties.text("LoadState") == "loaded");
        Ok(TimerUnit { timer, service })
    }
}
