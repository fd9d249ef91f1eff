//! Owns: the settings of a daemon process.
//! Never: where they come from (see `cli`).

use std::path::PathBuf;

use crate::domain::MachineSize;
use crate::keeper::ServiceUnit;
use crate::schedule::Zone;

/// The settings of a daemon process.
pub struct Settings {
    pub dir: PathBuf,
    /// The program to start keepers with.
    pub exe: PathBuf,
    /// The service of systemd whose main process this is.
    pub unit: Option<ServiceUnit>,
    /// The slots of a queue without a number of its own.
    pub default_slots: usize,
    /// How large the resources `cpu` and `mem` are, if nobody sets them.
    pub machine: MachineSize,
    pub boot_id: String,
    /// It exits when nothing is under way.
    pub until_idle: bool,
    /// Log lines start with their syslog level.
    pub with_levels: bool,
    /// The ends of runs are logged.
    pub logs_runs: bool,
    /// A directory for files that need not outlive this boot.
    pub boot_directory: PathBuf,
    /// The machine's name, for mails.
    pub host: String,
    /// The character set of the locale, for mails.
    pub charset: String,
    /// Reads the system's zone, with a text that changes when the zone does.
    pub read_zone: fn() -> (Zone, String),
}
