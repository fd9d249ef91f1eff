//! Owns: `taskq run`.
//! Never: starting a process (see `keeper`).

use clap::Args;

/// Run jobs now, besides their schedule
///
/// Prints the name of each run, as in backup.3. It waits for a slot of its
/// queue like any other.
///
/// With --wait or --follow on one job, the exit status is the run's own: its
/// exit code, 128+N after signal N, 124 timed out, 125 taskq could not run it,
/// 126 not executable, 127 not found, 130 cancelled.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq run backup
  taskq run --follow backup || echo failed"
)]
pub struct RunArgs {
    /// The jobs, by id or name
    #[arg(value_name = "JOB", required = true)]
    pub jobs: Vec<String>,

    /// Wait until they have ended
    #[arg(long)]
    pub wait: bool,

    /// Show the output as it comes, until they have ended
    #[arg(long)]
    pub follow: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
