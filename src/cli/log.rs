//! Owns: `taskq log`.
//! Never: changing a byte of the output.

use clap::Args;

/// Print the output of a run
///
/// What the run wrote to its standard output and standard error, in the order
/// of writing, byte for byte. A JOB means its latest run.
///
/// With --follow on one run, the exit status is the run's own: its exit code,
/// 128+N after signal N, 124 timed out, 130 cancelled.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq log backup --tail 20
  taskq log -f 12.3"
)]
pub struct LogArgs {
    /// The job (its latest run), or the run, as in backup.3
    #[arg(value_name = "JOB|RUN")]
    pub target: String,

    /// Go on until the run has ended
    #[arg(short, long)]
    pub follow: bool,

    /// Begin with the last N lines
    #[arg(long, value_name = "N")]
    pub tail: Option<u64>,

    /// The output of every run of the job, the oldest first
    #[arg(long, conflicts_with = "follow")]
    pub all: bool,
}
