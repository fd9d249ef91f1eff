//! Owns: the execution of a service as that of a job.
//! Never: its commands (see `command`), its timer (see `timer`).

use std::path::Path;

use super::bus::{Bus, Unit};
use super::command::{command_of, is_renamed};
use super::unit_file::{others, values};
use crate::cli::import::items::ItemRefusal;
use crate::cli::import::planned::ImportContext;
use crate::domain::{EnvVar, Execution, NewJob, Person, Span, Stdin};
use crate::system::manager::Manager;

/// The keys of services that have a counterpart.
const KNOWN: [(&str, &[&str]); 3] = [
    ("Unit", &["Description", "Documentation"]),
    (
        "Service",
        &[
            "Type",
            "ExecStart",
            "Environment",
            "EnvironmentFile",
            "UnsetEnvironment",
            "WorkingDirectory",
            "User",
            "Nice",
            "UMask",
            "TimeoutSec",
            "TimeoutStartSec",
            "TimeoutStopSec",
            "RuntimeMaxSec",
            "StandardInput",
            "StandardInputText",
            "StandardInputData",
            "SyslogIdentifier",
        ],
    ),
    ("Install", &["*"]),
];

/// The settings of outputs whose effect taskq's log has too.
const LOGGED: [&str; 3] = ["journal", "inherit", "null"];

/// The variables that systemd sets for one process, and that are wrong for another.
const OF_A_PROCESS: [&str; 6] =
    ["INVOCATION_ID", "JOURNAL_STREAM", "LISTEN_FDS", "MANAGERPID", "NOTIFY_SOCKET", "SYSTEMD_EXEC_PID"];

/// Returns how a service starts its commands.
pub fn execution(
    service: &Unit,
    bus: &Bus,
    here: &ImportContext,
    notes: &mut Vec<String>,
) -> Result<Execution, ItemRefusal> {
    let properties = &service.properties;
    let commands = properties.commands();
    let command = command_of(&commands)
        .ok_or_else(|| ItemRefusal::of(format!("`{}` has no command that starts", service.name)))?;
    if let Some(renamed) = commands.iter().find(|command| is_renamed(command)) {
        let name = renamed.argv.first().map_or("", String::as_str);
        notes.push(format!("`{}` runs under this name, not as `{name}`", renamed.path));
    }
    let is_privileged = |flag: &String| ["privileged", "no-setuid", "ambient"].contains(&flag.as_str());
    if commands.iter().flat_map(|command| &command.flags).any(is_privileged) {
        notes.push("the prefixes `+` and `!` of its commands have no effect in taskq".to_owned());
    }
    let user = user(service, bus, here)?;
    let mut env = environment(service, bus, user.as_ref());
    let env_file = env_file(service, notes);
    env.retain(|var| !var.contains(&0));
    let (cwd, cwd_optional) = directory(service, bus, here, user.as_ref());
    Ok(Execution {
        cwd,
        cwd_optional,
        env,
        env_file,
        umask: u32::try_from(properties.number("UMask").unwrap_or(0o022)).unwrap_or(0o022),
        nice: properties.signed("Nice").filter(|nice| *nice != 0).and_then(|nice| i32::try_from(nice).ok()),
        stdin: stdin(service, notes),
        user: user.map(|user| user.name).filter(|name| *name != here.own.name),
        ..Execution::of(command)
    })
}

/// Returns the user that a service of the system names.
fn user(service: &Unit, bus: &Bus, here: &ImportContext) -> Result<Option<Person>, ItemRefusal> {
    let name = service.properties.text("User");
    if name.is_empty() || bus.manager == Manager::User {
        return Ok(None);
    }
    match (here.find_user)(name) {
        Some(user) => Ok(Some(user)),
        None => Err(ItemRefusal::of(format!("its user `{name}` is not there"))
            .hint("users that systemd makes for a service (`DynamicUser=`) are not for taskq")),
    }
}

/// Returns the environment: that of the manager, of the user, and of the service.
fn environment(service: &Unit, bus: &Bus, user: Option<&Person>) -> Vec<EnvVar> {
    let mut env: Vec<EnvVar> = Vec::new();
    let mut set = |var: EnvVar| {
        let name = var.split(|byte| *byte == b'=').next().unwrap_or_default().to_vec();
        env.retain(|known| known.split(|byte| *byte == b'=').next() != Some(&name));
        env.push(var);
    };
    bus.env.iter().for_each(|var| set(var.clone().into_bytes()));
    if let Some(user) = user {
        for (name, value) in [
            ("HOME", user.home.as_slice()),
            ("LOGNAME", user.name.as_bytes()),
            ("USER", user.name.as_bytes()),
            ("SHELL", user.shell.as_slice()),
        ] {
            set([name.as_bytes(), b"=", value].concat());
        }
    }
    service.properties.texts("Environment").into_iter().for_each(|var| set(var.into_bytes()));
    let unset = service.properties.texts("UnsetEnvironment");
    let is_unset = |var: &EnvVar| {
        let text = String::from_utf8_lossy(var);
        let name = text.split('=').next().unwrap_or_default();
        OF_A_PROCESS.contains(&name) || unset.iter().any(|unset| unset == name || *unset == text)
    };
    env.retain(|var| !is_unset(var));
    env
}

fn env_file(service: &Unit, notes: &mut Vec<String>) -> Option<Vec<u8>> {
    let files = service.properties.environment_files();
    let (path, is_optional) = files.first()?;
    if files.len() > 1 {
        notes.push(format!("of its files of variables, only `{path}` is read"));
    }
    if path.contains(['*', '?', '[']) {
        notes.push(format!("EnvironmentFile=`{path}` is a pattern, which taskq does not read"));
        return None;
    }
    if *is_optional && !Path::new(path).exists() {
        notes.push(format!("EnvironmentFile=`{path}` is not there, and will not be read"));
        return None;
    }
    if *is_optional {
        notes.push(format!("EnvironmentFile=`{path}` may be missing for systemd, and may not for taskq"));
    }
    Some(path.clone().into_bytes())
}

/// Returns the directory, and whether `/` is taken in its place if it is missing.
fn directory(service: &Unit, bus: &Bus, here: &ImportContext, user: Option<&Person>) -> (Vec<u8>, bool) {
    let home = || user.unwrap_or(&here.own).home.clone();
    let text = service.properties.text("WorkingDirectory");
    let (text, is_optional) = text.strip_prefix('!').map_or((text, false), |text| (text, true));
    match text {
        "" if bus.manager == Manager::System => (b"/".to_vec(), false),
        "" => (home(), true),
        "~" => (home(), is_optional),
        path => (path.as_bytes().to_vec(), is_optional),
    }
}

fn stdin(service: &Unit, notes: &mut Vec<String>) -> Stdin {
    match service.properties.text("StandardInput") {
        "" | "null" => Stdin::Null,
        "data" => Stdin::Text(service.properties.bytes("StandardInputData")),
        "file" => {
            // systemd does not tell the path.
            let written = values(&service.settings, "Service", "StandardInput");
            let path = written.last().and_then(|value| value.strip_prefix("file:"));
            match path.filter(|path| path.starts_with('/') && !path.contains('%')) {
                Some(path) => Stdin::Path(path.as_bytes().to_vec()),
                None => {
                    notes.push("its file for standard input is not known: it reads nothing".to_owned());
                    Stdin::Null
                }
            }
        }
        other => {
            notes.push(format!("StandardInput=`{other}` has no counterpart: it reads nothing"));
            Stdin::Null
        }
    }
}

/// Gives a job the policies of its service, and names the settings that have no counterpart.
pub fn set_policies(job: &mut NewJob, service: &Unit, notes: &mut Vec<String>) {
    let properties = &service.properties;
    let kind = properties.text("Type");
    let timeout = if kind == "oneshot" { "TimeoutStartUSec" } else { "RuntimeMaxUSec" };
    job.policy.timeout = properties.number(timeout).filter(|micros| *micros > 0).map(Span::from_micros);
    if let Some(micros) = properties.number("TimeoutStopUSec") {
        job.policy.kill_after = Span::from_micros(micros);
    }
    if !["oneshot", "simple", "exec", ""].contains(&kind) {
        notes.push(format!("Type=`{kind}`: the run ends with its first process, whatever goes on behind it"));
    }
    let logged = |key: &str| {
        values(&service.settings, "Service", key).last().is_none_or(|value| LOGGED.contains(value))
    };
    let mut others = others(&service.settings, &KNOWN);
    others.retain(|key| {
        !["StandardOutput=", "StandardError="].contains(&key.as_str()) || !logged(key.trim_end_matches('='))
    });
    if !others.is_empty() {
        notes.push(format!("`{}` has settings without a counterpart: {}", service.name, others.join(", ")));
    }
}
