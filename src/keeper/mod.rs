//! Owns: the processes of runs: the only fork, signal and wait in the program.
//! Never: the database, schedules, or what a result means.

mod account;
mod channel;
mod farewell;
pub mod foreground;
mod group;
mod host;
mod input;
mod link;
mod lookup;
mod process;
pub mod protocol;
mod raw;
mod roster;
mod server;
mod stopping;

use std::path::{Path, PathBuf};

pub use farewell::{farewells, forget_farewells};
pub use host::adopt_stdin_listener;
pub use link::{KeeperLink, launch};
pub use server::{KeeperConfig, serve};

use crate::domain::RunId;

/// Returns where the output of a run's attempts goes: `JOB.N` in the log directory.
pub fn output_path(log_dir: &Path, run: RunId) -> PathBuf {
    log_dir.join(run.to_string())
}
