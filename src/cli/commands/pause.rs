//! Owns: `taskq pause`.
//! Never: sending a signal (see `keeper`).

use clap::Args;

use crate::cli::args::JobsOrQueue;
use crate::cli::context::Context;
use crate::cli::pausing::{Change, make};
use crate::daemon::can_signal;
use crate::error::{Error, Result};

pub const WHAT: &str = "pause";

/// Pause jobs or a queue
///
/// Until it is resumed, a paused job does not fire, and none of its waiting runs
/// starts. The jobs of a paused queue still fire, but nothing in it starts.
/// Running jobs continue; with --runs their processes are stopped too, and
/// continue at the resume. A stopped run keeps its slot, and its --timeout goes
/// on. The fires of the pause are recorded as skipped, in one row with their
/// count.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    override_usage = "taskq pause JOB...|--queue QUEUE|--all [--runs] [--json]",
    after_help = "\
Examples:
  taskq pause backup
  taskq pause --queue gpu --runs"
)]
pub struct PauseArgs {
    #[command(flatten)]
    pub which: JobsOrQueue,

    /// Stop the processes of running runs too, by STOP
    #[arg(long)]
    pub runs: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(context: &Context<'_>, args: &PauseArgs) -> Result<u8> {
    let now = context.now();
    if args.runs && can_signal(&context.dir) == Some(false) {
        return Err(Error::conflict(
            "pause running runs",
            "their keeper is an earlier taskq's, which cannot",
        )
        .hint("without `--runs`, they continue to their end"));
    }
    let change = Change {
        verb: WHAT,
        leaves_runs: true,
        already: "it is already paused",
        of_job: &|writer, job| {
            let runs = if args.runs { writer.pause_runs_of(job, now)? } else { Vec::new() };
            Ok((writer.pause_job(job, now)?, runs))
        },
        of_queue: &|writer, queue| {
            let runs = if args.runs { writer.pause_runs_in(queue, now)? } else { Vec::new() };
            Ok((writer.pause_queue(queue, Some(now))?, runs))
        },
    };
    make(context, &args.which, args.json, &change)
}
