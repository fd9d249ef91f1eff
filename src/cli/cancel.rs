//! Owns: `taskq cancel`.
//! Never: sending a signal (see `keeper`).

use clap::{ArgGroup, Args};

/// Cancel jobs or runs
///
/// A run that waits is dropped. One that runs gets TERM, its whole process
/// group, then KILL after its --kill-after. A job: that, and it fires no more.
/// What has finished already cannot be cancelled: that is an error.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    group = ArgGroup::new("which").args(["targets", "queue", "tag", "all"]).required(true).multiple(true),
    override_usage = "\
taskq cancel JOB|RUN... [--now] [--json]
       taskq cancel [--queue QUEUE] [--tag TAG] [--now] [--json]
       taskq cancel --all [--now] [--json]",
    after_help = "\
Examples:
  taskq cancel backup.3
  taskq cancel --tag nightly --now"
)]
pub struct CancelArgs {
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

    /// KILL at once, without TERM
    #[arg(long)]
    pub now: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
