//! Owns: `taskq pause`.
//! Never: running runs, which continue.

use clap::Args;

use crate::cli::args::JobsOrQueue;
use crate::cli::context::Context;
use crate::cli::pausing::change;
use crate::error::Result;

pub const WHAT: &str = "pause";

/// Pause jobs or a queue
///
/// Until it is resumed, a paused job does not fire, and none of its waiting runs
/// starts. The jobs of a paused queue still fire, but nothing in it starts.
/// Running jobs continue. The fires of the pause are recorded as skipped, in
/// one row with their count.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    override_usage = "taskq pause JOB...|--queue QUEUE|--all [--json]",
    after_help = "\
Examples:
  taskq pause backup
  taskq pause --queue gpu"
)]
pub struct PauseArgs {
    #[command(flatten)]
    pub which: JobsOrQueue,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(context: &Context<'_>, args: &PauseArgs) -> Result<u8> {
    let now = context.now();
    change(context, WHAT, (&args.which, args.json), Some(now), |writer, job| Ok(writer.pause_job(job, now)?))
}
