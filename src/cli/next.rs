//! Owns: `taskq next`.
//! Never: anything that changes a job.

use clap::{ArgGroup, Args};

/// Show the coming fires
///
/// Of all jobs, or of those named, in the order of their times. With --cron,
/// --at or --every no job is needed: see what a trigger means before you add it.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    group = ArgGroup::new("preview").args(["cron", "at", "every"]).conflicts_with("jobs"),
    override_usage = "\
taskq next [JOB]... [-n N] [--json]
       taskq next --cron EXPR|--at TIME|--every SPAN [--tz ZONE]
                  [--from TIME] [-n N] [--json]",
    after_help = "\
Examples:
  taskq next -n 5
  taskq next --cron '0 9 1-7 * mon' --tz Europe/Berlin"
)]
pub struct NextArgs {
    /// Only fires of these jobs, by id or name
    #[arg(value_name = "JOB")]
    pub jobs: Vec<String>,

    /// Preview a cron expression
    #[arg(long, value_name = "EXPR", help_heading = "Preview")]
    pub cron: Option<String>,

    /// Preview a time
    #[arg(long, value_name = "TIME", help_heading = "Preview")]
    pub at: Option<String>,

    /// Preview an interval
    #[arg(long, value_name = "SPAN", help_heading = "Preview")]
    pub every: Option<String>,

    /// Read the trigger in ZONE (the system's)
    #[arg(long, value_name = "ZONE", requires = "preview", help_heading = "Preview")]
    pub tz: Option<String>,

    /// Begin after TIME (now)
    #[arg(long, value_name = "TIME", requires = "preview", help_heading = "Preview")]
    pub from: Option<String>,

    /// At most N fires
    #[arg(short = 'n', value_name = "N", default_value_t = 10)]
    pub limit: u32,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
