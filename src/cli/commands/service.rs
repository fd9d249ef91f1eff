//! Owns: `taskq service`.
//! Never: the unit's text, or how systemd is asked (see `cli/systemd`).

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::systemd::credential::Credential;
use crate::cli::systemd::systemctl::{UnitState, is_lingering, own_unit, systemctl, unit_state};
use crate::cli::systemd::unit::{Unit, is_ours};
use crate::cli::view::json::document;
use crate::daemon::{DaemonInfo, running_daemon};
use crate::error::{Error, Result};
use crate::shown::counted;
use crate::system::manager::Manager;
use crate::system::{env, key_file, machine, users};

pub const WHAT: &str = "show service";

/// What `service install` does, for errors.
pub const INSTALL: &str = "install service";

/// What `service uninstall` does, for errors.
pub const UNINSTALL: &str = "uninstall service";

/// What `service print` does, for errors.
pub const PRINT: &str = "print unit";

/// Run the daemon as a service of systemd
///
/// The service starts with the user's systemd: at the first login, or at boot
/// if the user lingers (`loginctl enable-linger`). Running jobs continue when
/// it stops or restarts. With --system, root's service of the system.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    subcommand_value_name = "COMMAND",
    after_help = "\
Examples:
  taskq service install
  taskq service print --system"
)]
pub struct ServiceArgs {
    #[command(subcommand)]
    pub command: ServiceCommand,

    /// Use a service of the system, which root runs
    #[arg(long, global = true)]
    pub system: bool,

    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum ServiceCommand {
    /// Write, enable and start the service
    Install(InstallArgs),
    /// Stop, disable and remove the service
    Uninstall(UninstallArgs),
    /// Print the unit, and install nothing
    Print(PrintArgs),
}

/// Write, enable and start the service
///
/// Does what is missing: run it again after an upgrade of taskq, and the
/// daemon is restarted. A store named by --dir has a service of its own.
/// A unit that a package has brought for this program and store is used.
/// Any other unit that taskq has not written is left as it is.
///
/// With --credential, the key of a sealed store is encrypted for this
/// machine (systemd-creds(1)), and the daemon gets it from systemd. Your
/// commands still read the file of the key. Give it again after
/// `taskq key rotate`.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq service install
  sudo taskq service install --system
  sudo taskq service install --system --credential"
)]
pub struct InstallArgs {
    /// Give the daemon the key as an encrypted credential
    #[arg(long)]
    pub credential: bool,
}

/// Stop, disable and remove the service
///
/// Running jobs continue, and the next daemon records how they end. The
/// store stays, and so does a unit that a package has brought.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq service uninstall
  taskq --dir /srv/jobs service uninstall"
)]
pub struct UninstallArgs {}

/// Print the unit, and install nothing
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  taskq service print
  taskq service print >~/.config/systemd/user/taskq.service")]
pub struct PrintArgs {}

#[derive(Debug, Serialize)]
struct ServiceJson<'a> {
    unit: &'a str,
    path: &'a Path,
    /// The unit was written, started or removed: something has changed.
    changed: bool,
    /// The daemon's process; `null` if it does not run.
    pid: Option<u32>,
    /// The service runs without a login session.
    lingering: bool,
    /// How many running jobs continue without a daemon.
    running: u64,
}

#[derive(Serialize)]
struct UnitJson<'a> {
    unit: &'a str,
    path: &'a Path,
    text: &'a str,
}

pub fn run(context: &Context<'_>, args: &ServiceArgs) -> Result<u8> {
    let what = match args.command {
        ServiceCommand::Install(_) => INSTALL,
        ServiceCommand::Uninstall(_) => UNINSTALL,
        ServiceCommand::Print(_) => PRINT,
    };
    let manager = if args.system { Manager::System } else { Manager::User };
    let no_home = || Error::usage(what, "there is no home directory").hint("set `HOME`");
    let unit = own_unit(manager, &context.dir).ok_or_else(no_home)?;
    match args.command {
        ServiceCommand::Print(_) => print(context, &unit, args.json),
        ServiceCommand::Install(InstallArgs { credential }) => install(context, &unit, credential, args.json),
        ServiceCommand::Uninstall(_) => uninstall(context, &unit, args.json),
    }
}

fn print(context: &Context<'_>, unit: &Unit, json: bool) -> Result<u8> {
    let Unit { name, text, .. } = unit;
    if json {
        context.output.json(&document(UnitJson { unit: name, path: unit.file(), text }))?;
    } else {
        context.output.answer(text)?;
    }
    Ok(0)
}

/// Refuses a unit of the system that is not root's business.
fn need_rights(unit: &Unit, what: &str) -> Result<()> {
    if unit.manager == Manager::User || users::is_root() {
        return Ok(());
    }
    Err(Error::conflict(what, "only root has services of the system").hint(
        "leave out `--system`: the service is then yours, and `loginctl enable-linger` starts it at boot",
    ))
}

/// Returns the text of the unit's file; `None`: there is none.
///
/// # Errors
/// `Conflict` if taskq has not written it.
fn own_text(unit: &Unit, what: &str) -> Result<Option<String>> {
    match fs::read_to_string(&unit.path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(format!("{what}: read `{}`", unit.path.display()), &error)),
        Ok(text) if is_ours(&text) => Ok(Some(text)),
        Ok(_) => Err(Error::conflict(
            what,
            format!("`{}` is there, and taskq has not written it", unit.path.display()),
        )
        .hint("remove it, or keep it in place of this service")),
    }
}

/// Refuses to start a service beside another daemon of the store.
fn need_no_other(unit: &Unit, dir: &Path, state: &UnitState) -> Result<()> {
    let Some(other) = running_daemon(dir).filter(|daemon| Some(daemon.pid) != state.main_pid) else {
        return Ok(());
    };
    let cause = format!("another daemon, pid {}, serves `{}`", other.pid, dir.display());
    Err(Error::conflict(INSTALL, cause).hint(format!(
        "stop it with `kill {}`: its jobs continue, and `{}` takes them over",
        other.pid, unit.name
    )))
}

/// Returns the key of the store as the credential of a service.
fn credential_of(unit: &Unit, what: &str) -> Result<Credential> {
    let config = env::config_dir().ok_or_else(|| Error::usage(what, "there is no home directory"))?;
    Ok(Credential::of(unit, &config))
}

/// Gives the key of the store to the service.
fn give_key(context: &Context<'_>, unit: &Unit) -> Result<()> {
    let is_sealed = context.read(INSTALL, |reader| {
        reader.need_key()?;
        Ok(reader.is_sealed())
    })?;
    let Some(file) = key_file::find().filter(|_| is_sealed) else {
        return Err(Error::conflict(INSTALL, "the store is not sealed, and has no key")
            .hint("seal it with `taskq key init`, or leave out `--credential`"));
    };
    credential_of(unit, INSTALL)?.give(&file.path, INSTALL)
}

fn install(context: &Context<'_>, unit: &Unit, with_credential: bool, json: bool) -> Result<u8> {
    need_rights(unit, INSTALL)?;
    let before = own_text(unit, INSTALL)?;
    let state = unit_state(unit.manager, &unit.name, INSTALL)?;
    need_no_other(unit, &context.dir, &state)?;
    if with_credential {
        give_key(context, unit)?;
    }
    let change = Change::needed(unit, before.as_deref());
    apply(unit, change)?;
    let is_changed = change != Change::None || with_credential;
    let is_stale = is_changed || running_daemon(&context.dir).is_some_and(|daemon| is_outdated(&daemon));
    let started = start(unit, &state, change, (is_changed, is_stale));
    if started.is_err() && change != Change::None {
        undo(unit, before.as_deref());
    }
    let did = started?;
    let now = unit_state(unit.manager, &unit.name, INSTALL)?;
    let written = match (&before, change) {
        (_, Change::Remove) => "packaged, in place of your own",
        (_, Change::None) if unit.packaged.is_some() => "packaged",
        (_, Change::None) => "unchanged",
        (None, Change::Write) => "written",
        (Some(_), Change::Write) => "changed",
    };
    let lingering = is_lingering(unit.manager);
    let pid = now.main_pid.map_or_else(String::new, |pid| format!(", pid {pid}"));
    if json {
        let (name, path) = (unit.name.as_str(), unit.file());
        let changed = is_changed || state.file_state != now.file_state || did != Did::Nothing;
        context.output.json(&document(ServiceJson {
            unit: name,
            path,
            changed,
            pid: now.main_pid,
            lingering,
            running: 0,
        }))?;
    } else {
        let did = match did {
            Did::Nothing => "runs already",
            Did::Started => "started",
            Did::Restarted => "restarted",
        };
        context.output.answer(&format!("{}: {written}, enabled, {did}{pid}\n", unit.file().display()))?;
    }
    if !lingering {
        context.output.talk(
            "note: lingering is off: daemon and jobs stop at your last logout, and the daemon starts at the \
             next login",
        );
        context.output.hint("`loginctl enable-linger` lets them run from boot to shutdown");
    }
    Ok(0)
}

/// What has to happen to the file that taskq writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    Write,
    /// It would hide the unit of a package.
    Remove,
}

impl Change {
    fn needed(unit: &Unit, before: Option<&str>) -> Self {
        match (&unit.packaged, before) {
            (None, Some(text)) if text == unit.text => Self::None,
            (None, _) => Self::Write,
            (Some(_), None) => Self::None,
            (Some(_), Some(_)) => Self::Remove,
        }
    }
}

fn apply(unit: &Unit, change: Change) -> Result<()> {
    let (verb, done) = match change {
        Change::None => return Ok(()),
        Change::Write => ("write", write_unit(&unit.path, &unit.text)),
        Change::Remove => ("remove", fs::remove_file(&unit.path)),
    };
    done.map_err(|error| Error::io(format!("{INSTALL}: {verb} `{}`", unit.path.display()), &error))
}

/// What had to be done for the service to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Did {
    Nothing,
    Started,
    Restarted,
}

/// Returns whether a daemon is of another taskq than this one.
fn is_outdated(daemon: &DaemonInfo) -> bool {
    let exe = fs::read_link(format!("/proc/{}/exe", daemon.pid)).ok();
    // A program that was replaced has ` (deleted)` after its path.
    daemon.version != env!("CARGO_PKG_VERSION") || exe.is_some_and(|exe| exe != machine::own_program())
}

/// Enables the service and lets it run. `is_changed`: systemd has to read its files again; `is_stale`: the
/// daemon that runs is not as they say.
fn start(
    unit: &Unit,
    state: &UnitState,
    change: Change,
    (is_changed, is_stale): (bool, bool),
) -> Result<Did> {
    let order = |args: &[&str]| systemctl(unit.manager, args, INSTALL);
    if is_changed {
        order(&["daemon-reload"])?;
    }
    // The link of an enabled unit names its file, which may have been another.
    let enable = if change == Change::Remove { "reenable" } else { "enable" };
    order(&[enable, "--", &unit.name])?;
    let (verb, did) = match (state.active.as_str(), is_stale) {
        ("active", false) => return Ok(Did::Nothing),
        ("active", true) => ("restart", Did::Restarted),
        _ => ("start", Did::Started),
    };
    let journal = match unit.manager {
        Manager::User => "journalctl --user",
        Manager::System => "journalctl",
    };
    order(&[verb, "--", &unit.name])
        .map_err(|error| error.hint(format!("`{journal} -u {}` has its messages", unit.name)))?;
    Ok(did)
}

/// Puts everything back that a failed `install` has written.
fn undo(unit: &Unit, before: Option<&str>) {
    // What fails here has failed above, and is reported.
    match before {
        Some(text) => {
            let _ = write_unit(&unit.path, text);
        }
        None => {
            let _ = systemctl(unit.manager, &["disable", "--now", "--", &unit.name], INSTALL);
            let _ = fs::remove_file(&unit.path);
        }
    }
    let _ = systemctl(unit.manager, &["daemon-reload"], INSTALL);
}

/// Replaces the file in one step: systemd may read it at any time.
fn write_unit(path: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    fs::write(&new, text)?;
    fs::rename(&new, path)
}

fn uninstall(context: &Context<'_>, unit: &Unit, json: bool) -> Result<u8> {
    need_rights(unit, UNINSTALL)?;
    let is_written = own_text(unit, UNINSTALL)?.is_some();
    if !is_written && !is_in_use(unit)? {
        let cause = format!("`{}` is not installed", unit.name);
        return Err(Error::not_found(UNINSTALL, cause).hint("`taskq status` says which daemon runs"));
    }
    let running: u64 =
        context.read(UNINSTALL, |reader| Ok(reader.queues()?.iter().map(|queue| queue.running).sum()))?;
    systemctl(unit.manager, &["disable", "--now", "--", &unit.name], UNINSTALL)?;
    let had_key = credential_of(unit, UNINSTALL)?.take_away(UNINSTALL)?;
    if is_written {
        fs::remove_file(&unit.path)
            .map_err(|error| Error::io(format!("{UNINSTALL}: remove `{}`", unit.path.display()), &error))?;
    }
    if is_written || had_key {
        systemctl(unit.manager, &["daemon-reload"], UNINSTALL)?;
    }
    let path = if is_written { unit.path.as_path() } else { unit.file() };
    let name = unit.name.as_str();
    if json {
        let lingering = is_lingering(unit.manager);
        let done = ServiceJson { unit: name, path, changed: true, pid: None, lingering, running };
        context.output.json(&document(done))?;
        return Ok(0);
    }
    let continues = match running {
        0 => String::new(),
        1 => "; 1 running job continues".to_owned(),
        many => format!("; {} continue", counted(usize::try_from(many).unwrap_or(usize::MAX), "running job")),
    };
    let removed = if is_written { ", removed" } else { "" };
    context.output.answer(&format!("{}: stopped, disabled{removed}{continues}\n", path.display()))?;
    Ok(0)
}

/// Returns whether the unit of a package is enabled or runs.
fn is_in_use(unit: &Unit) -> Result<bool> {
    if unit.packaged.is_none() {
        return Ok(false);
    }
    let state = unit_state(unit.manager, &unit.name, UNINSTALL)?;
    Ok(state.file_state == "enabled" || state.main_pid.is_some())
}
