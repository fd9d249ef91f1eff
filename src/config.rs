//! Owns: what the program takes from its surroundings: environment, well-known files, the machine's size.
//! Never: the command line.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::domain::EnvVar;
use crate::error::{Error, Result};

/// localtime(5).
const LOCALTIME: &str = "/etc/localtime";

/// Returns the store's directory, absolute: `flag`, else `TASKQ_DIR`, else `taskq` in the user's data directory (XDG).
///
/// # Errors
/// `Usage` if there is no such directory to be had.
pub fn store_dir(flag: Option<&Path>) -> Result<PathBuf> {
    const WHAT: &str = "find the store";
    let named = flag
        .map(Path::to_owned)
        .or_else(|| std::env::var_os("TASKQ_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from));
    let dir = match named {
        Some(dir) if dir.as_os_str().is_empty() => return Err(Error::usage(WHAT, "`--dir` is empty")),
        Some(dir) => dir,
        None => dirs::data_dir()
            .ok_or_else(|| {
                Error::usage(WHAT, "there is no home directory").hint("name a directory with `--dir` or `TASKQ_DIR`")
            })?
            .join("taskq"),
    };
    std::path::absolute(&dir).map_err(|error| Error::io(WHAT, error))
}

/// Returns the caller's environment, in its order, without `_`, which names this very command.
pub fn environment() -> Vec<EnvVar> {
    std::env::vars_os()
        .filter(|(name, _)| name != "_")
        .map(|(name, value)| {
            let mut var = name.into_vec();
            var.push(b'=');
            var.extend(value.into_vec());
            var
        })
        .collect()
}

/// Returns the value of one variable of the caller's.
pub fn variable(name: &std::ffi::OsStr) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

/// Returns the bare environment that cron(8) gives its jobs.
pub fn clean_environment() -> Vec<EnvVar> {
    let home = dirs::home_dir().unwrap_or_else(|| PathBuf::from("/"));
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name);
    let mut env = vec![
        [b"HOME=".to_vec(), home.into_os_string().into_vec()].concat(),
        b"SHELL=/bin/sh".to_vec(),
        b"PATH=/usr/bin:/bin".to_vec(),
    ];
    env.extend(user.map(|user| format!("LOGNAME={user}").into_bytes()));
    env
}

/// Returns what `TZ` names, if anything. A leading colon is POSIX's, and means nothing here.
pub fn tz() -> Option<String> {
    let tz = std::env::var("TZ").ok()?;
    Some(tz.strip_prefix(':').unwrap_or(&tz).to_owned()).filter(|tz| !tz.is_empty())
}

/// localtime(5) as it is.
#[derive(Debug, Default)]
pub struct Localtime {
    /// The zone that the link names.
    pub name: Option<String>,
    /// The file's content; empty if there is none.
    pub tzif: Vec<u8>,
}

/// Reads the system's zone.
pub fn localtime() -> Localtime {
    let name =
        fs::read_link(LOCALTIME).ok().and_then(|link| Some(link.to_str()?.split_once("zoneinfo/")?.1.to_owned()));
    Localtime { name, tzif: fs::read(LOCALTIME).unwrap_or_default() }
}

/// Returns an identity of the machine's present boot.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| "unknown".to_owned(), |id| id.trim().to_owned())
}

/// Returns how many CPUs this process may use, at least 1.
pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Tells whether stderr goes to the journal, which wants levels (sd-daemon(3)).
pub fn logs_to_journal() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some()
}

/// Returns the program to start keepers with: this one, even if an upgrade has replaced its file.
pub fn own_program() -> PathBuf {
    std::env::current_exe().ok().filter(|exe| exe.exists()).unwrap_or_else(|| PathBuf::from("/proc/self/exe"))
}

/// Returns the caller's file mode creation mask.
pub fn umask() -> u32 {
    // There is no way to read it but to set it; this program has one thread, and nothing is made in between.
    let mask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    nix::sys::stat::umask(mask);
    mask.bits()
}
