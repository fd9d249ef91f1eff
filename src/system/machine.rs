//! Owns: what the machine is: its name, boot, zone, size and cron.
//! Never: the environment.

use std::fs;
use std::path::{Path, PathBuf};

/// localtime(5).
const LOCALTIME: &str = "/etc/localtime";

/// Returns the machine's name.
pub fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
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
    let name = fs::read_link(LOCALTIME)
        .ok()
        .and_then(|link| Some(link.to_str()?.split_once("zoneinfo/")?.1.to_owned()));
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

/// Returns the program to start keepers with: this one, even if an upgrade has replaced its file.
pub fn own_program() -> PathBuf {
    std::env::current_exe().ok().filter(|exe| exe.exists()).unwrap_or_else(|| PathBuf::from("/proc/self/exe"))
}

/// Returns what differs from machine to machine and stays, machine-id(5); empty if there is none.
pub fn machine_id() -> String {
    fs::read_to_string("/etc/machine-id").unwrap_or_default().trim().to_owned()
}

/// Returns the cron whose tables this machine most likely has: cronie where its crond(8) is installed and no
/// cron(8).
pub fn has_cronie() -> bool {
    Path::new("/usr/sbin/crond").exists() && !Path::new("/usr/sbin/cron").exists()
}
