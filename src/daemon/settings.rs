//! Owns: what a daemon is given at its start.
//! Never: where it comes from (see `cli`).

use std::path::PathBuf;

use crate::schedule::Zone;

/// What a daemon is told at its start.
pub struct Settings {
    pub dir: PathBuf,
    /// The program to start keepers with.
    pub exe: PathBuf,
    /// The slots of a queue that sets none.
    pub cpus: usize,
    /// New slots for the default queue.
    pub slots: Option<u32>,
    pub boot_id: String,
    /// Log lines start with their syslog level.
    pub with_levels: bool,
    /// The machine's name, for mails.
    pub host: String,
    /// The character set of the locale, for mails.
    pub charset: String,
    /// Reads the system's zone, with a text that changes when the zone does.
    pub read_zone: fn() -> (Zone, String),
}
