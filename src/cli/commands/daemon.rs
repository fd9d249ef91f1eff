//! Owns: `taskq daemon`.
//! Never: the loop itself (see `daemon`).

use clap::Args;

use crate::cli::args::number;
use crate::cli::context::Context;
use crate::cli::zone::system_zone;
use crate::daemon::{Settings, serve};
use crate::domain::QueueName;
use crate::error::Result;
use crate::keeper::ServiceUnit;
use crate::system::{env, machine, users};

pub const WHAT: &str = "start daemon";

/// Run the daemon, in the foreground
///
/// Starts runs when they are due, and records how they end. Each --dir has one
/// daemon; a second one is refused. On TERM or INT the daemon exits; running
/// jobs continue, and the next daemon records how they end. On HUP it reads
/// everything again, and makes its sockets again if they are gone.
///
/// It exits if its lock in the directory is removed or replaced, because
/// another daemon may then serve the directory.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq daemon
  taskq --dir /srv/jobs daemon --slots 8 --log-runs
  taskq add -- make && taskq daemon --until-idle"
)]
pub struct DaemonArgs {
    /// Give N slots to each queue without a number of its own
    ///
    /// `taskq queue set` gives a queue a number of its own, which this
    /// does not change. Default: one slot per CPU.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = number(1..=QueueName::SLOTS_MAX)
    )]
    pub slots: Option<u32>,

    /// Exit when nothing is queued, running or retrying
    ///
    /// The exit status is 1 if a run has failed meanwhile, else 0. Mails and
    /// callbacks are awaited. What may never come is not: paused jobs and
    /// queues, coming fires, events, and runs that wait for a job without
    /// a run. It logs which jobs it leaves. For containers, scripts, CI.
    #[arg(long, verbatim_doc_comment)]
    pub until_idle: bool,

    /// Log a line for each run that ends
    ///
    /// The line is like `run 12.3 backup failed, exit 2, took 3s:
    /// rsync -a src/ nas:src/`. Runs that were missed or skipped, and
    /// attempts after which the run is tried again, have lines too. For
    /// the journal, a failure has the level of warnings.
    #[arg(long, verbatim_doc_comment)]
    pub log_runs: bool,
}

/// Serves the store until a signal stops it.
pub fn run(context: &Context<'_>, args: &DaemonArgs) -> Result<u8> {
    let settings = Settings {
        dir: context.dir.clone(),
        exe: machine::own_program(),
        unit: ServiceUnit::own(env::started_by_systemd()),
        default_slots: args.slots.map_or_else(machine::cpus, |slots| slots as usize),
        machine: machine::size(),
        boot_id: machine::boot_id(),
        until_idle: args.until_idle,
        with_levels: env::logs_to_journal(),
        logs_runs: args.log_runs,
        boot_directory: env::boot_directory(users::is_root()),
        host: machine::host_name(),
        charset: env::charset(),
        read_zone: system_zone,
    };
    let has_failed = serve(settings, context.clock)?;
    Ok(u8::from(has_failed))
}
