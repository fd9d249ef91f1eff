//! Owns: `taskq list`.
//! Never: anything that changes a job.

use clap::{Args, ValueEnum};

/// List jobs
///
/// Without -a, only jobs that are not done. LEFT is the time until the next
/// fire, LAST the outcome of the last run. Several filters narrow the list:
/// a job is shown if it matches all of them.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq list --queue gpu --state queued
  taskq ls -a --failed -n 10"
)]
pub struct ListArgs {
    /// Only these jobs, by id or name
    #[arg(value_name = "JOB")]
    pub jobs: Vec<String>,

    /// Also jobs that are done
    #[arg(short, long)]
    pub all: bool,

    /// Only jobs in this state
    ///
    /// scheduled, queued, running, paused or done.
    ///
    /// scheduled: waits for its next fire. queued: a run waits for a
    /// slot. running: a run has a process. paused: no fires until it is
    /// resumed. done: it will not run again; implies -a.
    #[arg(long, value_name = "STATE", hide_possible_values = true, verbatim_doc_comment)]
    pub state: Option<StateArg>,

    /// Only jobs of QUEUE
    #[arg(long, value_name = "QUEUE")]
    pub queue: Option<String>,

    /// Only jobs with TAG
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,

    /// Only jobs whose name matches GLOB
    #[arg(long, value_name = "GLOB")]
    pub name: Option<String>,

    /// Only jobs whose last run did not succeed
    #[arg(long)]
    pub failed: bool,

    /// At most N jobs (all)
    #[arg(short = 'n', value_name = "N")]
    pub limit: Option<u32>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A job's state, as `--state` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StateArg {
    /// Waits for its next fire.
    Scheduled,
    /// A run waits for a slot.
    Queued,
    /// A run has a process.
    Running,
    /// No fires until it is resumed.
    Paused,
    /// Will not run again.
    Done,
}
