//! Owns: facts about the machine: its name, boot, zone, size and cron.
//! Never: the environment.

use std::fs;
use std::path::{Path, PathBuf};

use crate::domain::MachineSize;

/// The file of localtime(5).
const LOCALTIME: &str = "/etc/localtime";

/// Returns the host name; `localhost` if it is unknown.
pub fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}

/// The zone of the system.
#[derive(Debug, Default)]
pub struct Localtime {
    /// The IANA name in the path of the link.
    pub name: Option<String>,
    /// The content of the file; empty if there is none.
    pub tzif: Vec<u8>,
}

/// Reads localtime(5).
pub fn localtime() -> Localtime {
    let name = fs::read_link(LOCALTIME)
        .ok()
        .and_then(|link| Some(link.to_str()?.split_once("zoneinfo/")?.1.to_owned()));
    Localtime { name, tzif: fs::read(LOCALTIME).unwrap_or_default() }
}

/// Returns an id of the current boot; `unknown` if there is none.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| "unknown".to_owned(), |id| id.trim().to_owned())
}

/// Returns how many CPUs this process may use, at least 1.
pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Returns how much of the machine runs can book: its CPUs, and nine tenths of its memory, so that something
/// is left for the system.
pub fn size() -> MachineSize {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
    let kib: u64 = total.and_then(|kib| kib.trim().parse().ok()).unwrap_or(0);
    MachineSize { cpus: cpus() as u64, memory: kib / 10 * 9 * 1_024 }
}

/// Returns the program that starts as a keeper: this one, even if an upgrade has replaced its file.
pub fn own_program() -> PathBuf {
    std::env::current_exe().ok().filter(|exe| exe.exists()).unwrap_or_else(|| PathBuf::from("/proc/self/exe"))
}

/// Returns the id of the machine, machine-id(5); empty if there is none.
pub fn machine_id() -> String {
    fs::read_to_string("/etc/machine-id").unwrap_or_default().trim().to_owned()
}

/// Returns whether the crontabs of this machine are most likely cronie's: its crond(8) is installed, and
/// cron(8) is not.
pub fn has_cronie() -> bool {
    Path::new("/usr/sbin/crond").exists() && !Path::new("/usr/sbin/cron").exists()
}
