//! Owns: the command line: its grammar, and which verb a command line runs.
//! Never: SQL, processes, or printing (see `output`).
//!
//! The doc comments of the argument structs are the help texts, the completions and the manual pages: they
//! are written for users. Each line of an option's text has at most 70 columns, because clap does not wrap.

mod apply;
mod args;
mod changing;
mod commands;
pub mod complete;
pub mod context;
mod cursor;
mod executors;
pub mod generate;
mod health;
pub mod import;
mod in_use;
mod job;
pub mod output;
mod pausing;
mod question;
mod queued;
mod sealing;
mod systemd;
mod target;
mod top;
pub mod usage;
mod view;
mod waiting;
mod zone;

use std::ffi::OsString;
use std::mem::ManuallyDrop;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use self::commands::{
    add, apply as apply_command, backup, cancel, complete as complete_command, crontab, daemon, doctor, emit,
    events, executor, export, help, import as import_command, keeper, key, list, log, metrics, next,
    overview, pause, prune, queue, remove, rename, resource, resume, retry, run, runs, service, set, show,
    signal, stats, status, timeline, top as top_command, version, wait, why,
};
use self::context::Context;
use self::generate::{completions, man};
use self::output::Color;
use crate::error::Result;

/// Run commands at times and in queues
///
/// taskq does the work of cron(8), at(1) and a job queue with one program and
/// one SQLite file. An added job is on disk. For every time at
/// which it was due, its history has a run or a reason.
#[derive(Debug, Parser)]
#[command(
    name = "taskq",
    bin_name = "taskq",
    version,
    verbatim_doc_comment,
    disable_help_subcommand = true,
    subcommand_value_name = "COMMAND",
    override_usage = "taskq [--dir DIR] [--color WHEN] COMMAND [ARG]...",
    after_help = TASKQ_EXAMPLES
)]
pub struct Cli {
    /// Keep jobs, history and output in DIR
    ///
    /// Two directories never disturb each other: each has jobs, queues
    /// and a daemon of its own. Default: $TASKQ_DIR, else taskq in the
    /// user's data directory (~/.local/share/taskq).
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        value_hint = clap::ValueHint::DirPath,
        display_order = 900,
        verbatim_doc_comment
    )]
    pub dir: Option<PathBuf>,

    /// Colour the output: auto, always, never
    ///
    /// `auto` colours on a terminal and obeys NO_COLOR, CLICOLOR_FORCE
    /// and TERM=dumb. Default: auto.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true,
        display_order = 901,
        verbatim_doc_comment
    )]
    pub color: Color,

    /// What to do; by default, show what there is.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const TASKQ_EXAMPLES: &str = "\
Examples:
  taskq add make -j8                        run it as soon as there is a slot
  taskq add --cron '15 3 * * *' -c backup   every night, as in crontab(5)
  taskq add --at 'tomorrow 9am' -- ./report once, as with at(1)
  taskq list                                the jobs, and when they run next

Exit status: 0 done, 1 failed, 2 wrong usage and nothing was stored, 3 the
daemon is not running and the command needs it.

taskq-recipes(7) has whole tasks, ready to paste.";

/// The verbs. The lines here are those of the list of verbs; each struct repeats its line.
///
/// `defer` defines the arguments of a verb when it is typed, which saves a third of the start-up.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Add a job
    Add(Box<add::AddArgs>),
    /// List jobs
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Show all of a job
    Show(show::ShowArgs),
    /// Explain why a job or a run does not start
    Why(why::WhyArgs),
    /// List runs, the newest first
    Runs(runs::RunsArgs),
    /// Print the output of a run
    Log(log::LogArgs),
    /// Show the coming fires
    Next(next::NextArgs),
    /// List events: what happened, and who did it
    Events(events::EventsArgs),
    /// Run jobs now, in addition to their schedule
    Run(run::RunArgs),
    /// Run finished jobs again
    Retry(retry::RetryArgs),
    /// Cancel jobs or runs
    Cancel(cancel::CancelArgs),
    /// Send a signal to running runs
    Signal(signal::SignalArgs),
    /// Change the options of a job
    Set(Box<set::SetArgs>),
    /// Make jobs as a TOML file has them
    Apply(apply_command::ApplyArgs),
    /// Send an event to the jobs that listen to it
    Emit(emit::EmitArgs),
    /// Give a job another name
    Rename(rename::RenameArgs),
    /// Remove jobs with their history
    Remove(remove::RemoveArgs),
    /// Forget old runs
    Prune(prune::PruneArgs),
    /// Pause jobs or a queue
    Pause(pause::PauseArgs),
    /// Resume jobs or a queue
    Resume(resume::ResumeArgs),
    /// Wait until jobs or runs have ended
    Wait(wait::WaitArgs),
    /// Show rates, times and the backlog in numbers
    Stats(stats::StatsArgs),
    /// Show runs as blocks along a time axis
    Timeline(timeline::TimelineArgs),
    /// Show the daemon, the queues and the next fire
    Status(status::StatusArgs),
    /// Show queues, runs and coming fires live, full screen
    Top(top_command::TopArgs),
    /// Print metrics for Prometheus, as OpenMetrics text
    Metrics(metrics::MetricsArgs),
    /// List the queues, or set one up
    Queue(queue::QueueArgs),
    /// List where else runs can run, or set that up
    Executor(executor::ExecutorArgs),
    /// List what jobs can book, or set how much there is
    Resource(resource::ResourceArgs),
    /// Install, list, edit or remove the crontab
    Crontab(crontab::CrontabArgs),
    /// Import jobs from elsewhere
    Import(import_command::ImportArgs),
    /// Print jobs as a crontab, systemd units, JSON or TOML
    Export(export::ExportArgs),
    /// Run the daemon, in the foreground
    Daemon(daemon::DaemonArgs),
    /// Run the daemon as a service of systemd
    Service(service::ServiceArgs),
    /// Seal the store with a key outside it, or look at that key
    Key(key::KeyArgs),
    /// Copy the store while the daemon works
    Backup(backup::BackupArgs),
    /// Check the store, the daemon and the machine
    Doctor(doctor::DoctorArgs),
    /// Show the help of taskq or of a command
    #[command(hide = true)]
    Help(help::HelpArgs),
    /// Print the version
    #[command(hide = true)]
    Version(version::VersionArgs),
    /// Start, reap and remember the processes of runs
    #[command(hide = true)]
    Keeper(keeper::KeeperArgs),
    /// Complete a command line, for the scripts of `completions`
    #[command(hide = true)]
    Complete(complete_command::CompleteArgs),
    /// Print the completions for a shell
    #[command(hide = true)]
    Completions(completions::CompletionsArgs),
    /// Write the manual pages to DIR, or print taskq(1)
    #[command(hide = true)]
    Man(man::ManArgs),
}

/// Reads a command line, which begins with the program's name.
///
/// # Errors
///
/// Clap's error, also for `--help` and `--version`. `usage::complain` prints it and returns the exit code.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> std::result::Result<Cli, clap::Error> {
    // The definition is some thousand blocks of memory. The process ends soon, and frees them all at once.
    let mut definition = ManuallyDrop::new(Cli::command());
    let mut matches = definition.try_get_matches_from_mut(args)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut definition))
}

/// Runs a verb, and returns the exit code.
///
/// # Errors
///
/// The verb's error; its kind has an exit code.
pub fn dispatch(context: &Context<'_>, command: Option<Command>) -> Result<u8> {
    let Some(command) = command else { return overview::run(context) };
    match command {
        Command::Add(args) => add::run(context, *args),
        Command::List(args) => list::run(context, &args),
        Command::Show(args) => show::run(context, &args),
        Command::Why(args) => why::run(context, &args),
        Command::Runs(args) => runs::run(context, &args),
        Command::Log(args) => log::run(context, &args),
        Command::Next(args) => next::run(context, &args),
        Command::Events(args) => events::run(context, &args),
        Command::Run(args) => run::run(context, &args),
        Command::Retry(args) => retry::run(context, &args),
        Command::Cancel(args) => cancel::run(context, &args),
        Command::Signal(args) => signal::run(context, &args),
        Command::Set(args) => set::run(context, *args),
        Command::Apply(args) => apply_command::run(context, &args),
        Command::Emit(args) => emit::run(context, &args),
        Command::Rename(args) => rename::run(context, &args),
        Command::Remove(args) => remove::run(context, &args),
        Command::Prune(args) => prune::run(context, &args),
        Command::Pause(args) => pause::run(context, &args),
        Command::Resume(args) => resume::run(context, &args),
        Command::Wait(args) => wait::run(context, &args),
        Command::Stats(args) => stats::run(context, &args),
        Command::Timeline(args) => timeline::run(context, &args),
        Command::Status(args) => status::run(context, &args),
        Command::Top(args) => top_command::run(context, &args),
        Command::Metrics(args) => metrics::run(context, &args),
        Command::Queue(args) => queue::run(context, &args),
        Command::Executor(args) => executor::run(context, &args),
        Command::Key(args) => key::run(context, &args),
        Command::Resource(args) => resource::run(context, &args),
        Command::Crontab(args) => crontab::run(context, &args),
        Command::Import(args) => import_command::run(context, &args),
        Command::Export(args) => export::run(context, &args),
        Command::Backup(args) => backup::run(context, &args),
        Command::Doctor(args) => doctor::run(context, &args),
        Command::Service(args) => service::run(context, &args),
        Command::Daemon(args) => daemon::run(context, &args),
        Command::Help(args) => help::run(context, &args, Cli::command()),
        Command::Version(_) => version::run(context, &Cli::command()),
        Command::Keeper(args) => keeper::run(context, &args),
        Command::Complete(args) => complete_command::run(context, &args, &Cli::command()),
        Command::Completions(args) => completions::run(context, &args, &Cli::command()),
        Command::Man(args) => man::run(context, &args, &Cli::command()),
    }
}

#[cfg(test)]
mod tests;
