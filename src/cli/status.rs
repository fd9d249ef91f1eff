//! Owns: `taskq status`.
//! Never: anything that changes something.

use clap::Args;

/// Show the daemon, the queues and what comes next
///
/// The exit status is 3 if the daemon is not running.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq status
  taskq status --json | jq .queues"
)]
pub struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
