//! Owns: `taskq show`.
//! Never: anything that changes a job.

use clap::Args;

/// Show all of one job
///
/// Its command, options, triggers with their next fires, and its last runs.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq show backup
  taskq show 12 --json"
)]
pub struct ShowArgs {
    /// The job, by id or name
    #[arg(value_name = "JOB")]
    pub job: String,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
