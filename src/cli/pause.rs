//! Owns: `taskq pause` and `taskq resume`.
//! Never: running runs: they go on.

use clap::{ArgGroup, Args};

/// Pause jobs or a queue
///
/// A paused job does not fire until it is resumed; a paused queue starts
/// nothing. What runs goes on.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    group = ArgGroup::new("which").args(["jobs", "queue", "all"]).required(true),
    override_usage = "taskq pause JOB...|--queue QUEUE|--all [--json]",
    after_help = "\
Examples:
  taskq pause backup
  taskq pause --queue gpu"
)]
pub struct PauseArgs {
    /// The jobs, by id or name
    #[arg(value_name = "JOB")]
    pub jobs: Vec<String>,

    /// The queue: its jobs still fire, but nothing starts
    #[arg(long, value_name = "QUEUE")]
    pub queue: Option<String>,

    /// All jobs
    #[arg(long)]
    pub all: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Resume jobs or a queue
///
/// The end of `taskq pause`, and of `taskq add --hold`.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    group = ArgGroup::new("which").args(["jobs", "queue", "all"]).required(true),
    override_usage = "taskq resume JOB...|--queue QUEUE|--all [--json]",
    after_help = "\
Examples:
  taskq resume backup
  taskq resume --all"
)]
pub struct ResumeArgs {
    /// The jobs, by id or name
    #[arg(value_name = "JOB")]
    pub jobs: Vec<String>,

    /// The queue
    #[arg(long, value_name = "QUEUE")]
    pub queue: Option<String>,

    /// All jobs
    #[arg(long)]
    pub all: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
