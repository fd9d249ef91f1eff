//! Owns: `taskq import`, and which of its commands does what.
//! Never: the meaning of what is imported (see `crontab` and `cli::import`).

mod crontab;
mod others;

use clap::{Args, Subcommand};

pub use self::crontab::{CRONTAB, ImportCrontabArgs};
pub use self::others::{ANACRONTAB, AT, ImportAnacrontabArgs, ImportAtArgs, ImportSystemdArgs, SYSTEMD};
use crate::cli::context::Context;
use crate::error::Result;

pub const WHAT: &str = "import jobs";

/// Import jobs from elsewhere
#[derive(Args, Debug)]
#[command(
    disable_help_subcommand = true,
    subcommand_value_name = "COMMAND",
    override_usage = "taskq import COMMAND",
    after_help = "\
Examples:
  taskq import crontab --dry-run
  ssh old crontab -l | taskq import crontab -
  taskq import systemd backup.timer"
)]
pub struct ImportArgs {
    #[command(subcommand)]
    pub command: ImportCommand,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum ImportCommand {
    /// Import a crontab, and report each of its lines
    Crontab(ImportCrontabArgs),
    /// Import the jobs in the queue of at(1)
    At(ImportAtArgs),
    /// Import a table of anacron(8)
    Anacrontab(ImportAnacrontabArgs),
    /// Import timers of systemd with their services
    Systemd(ImportSystemdArgs),
}

/// Imports jobs, and reports each of them.
pub fn run(context: &Context<'_>, args: &ImportArgs) -> Result<u8> {
    match &args.command {
        ImportCommand::Crontab(args) => crontab::run(context, args),
        ImportCommand::At(args) => others::import_at(context, args),
        ImportCommand::Anacrontab(args) => others::import_anacrontab(context, args),
        ImportCommand::Systemd(args) => others::import_systemd(context, args),
    }
}
