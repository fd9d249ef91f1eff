//! Owns: `taskq wait`.
//! Never: polling.

use clap::{ArgGroup, Args};

/// Wait until jobs or runs have ended
///
/// Waits until none of their runs is queued or running. A job named here that
/// runs once, at a later time, is waited for until it has run.
///
/// The exit status is the run's own if there is one: its exit code, 128+N
/// after signal N, 124 timed out, 125 taskq could not run it, 126 not
/// executable, 127 not found, 130 cancelled. Of several: 0 if all succeeded,
/// else 1. When the --timeout is over: 124.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    group = ArgGroup::new("which").args(["targets", "queue", "tag", "all"]).required(true).multiple(true),
    override_usage = "\
taskq wait JOB|RUN... [--timeout SPAN] [--json]
       taskq wait [--queue QUEUE] [--tag TAG] [--timeout SPAN] [--json]
       taskq wait --all [--timeout SPAN] [--json]",
    after_help = "\
Examples:
  taskq wait $(taskq add make)
  taskq wait --queue gpu --timeout 2h"
)]
pub struct WaitArgs {
    /// The jobs or runs, as in 12, backup, backup.3
    #[arg(value_name = "JOB|RUN", conflicts_with_all = ["queue", "tag", "all"])]
    pub targets: Vec<String>,

    /// All jobs of QUEUE; with --tag, those that match both
    #[arg(long, value_name = "QUEUE", conflicts_with = "all")]
    pub queue: Option<String>,

    /// All jobs with TAG
    #[arg(long, value_name = "TAG", conflicts_with = "all")]
    pub tag: Option<String>,

    /// All jobs
    #[arg(long)]
    pub all: bool,

    /// Give up after SPAN, with exit status 124 (never)
    #[arg(long, value_name = "SPAN")]
    pub timeout: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
