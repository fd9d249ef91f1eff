//! Owns: `taskq resume`.
//! Never: which fires of the pause are made up for (see `engine`).

use clap::Args;

use crate::cli::args::JobsOrQueue;
use crate::cli::context::Context;
use crate::cli::pausing::{Change, make};
use crate::cli::zone::system_zone;
use crate::daemon::resume_job;
use crate::error::{Error, Result};

pub const WHAT: &str = "resume";

/// Resume jobs or a queue
///
/// The end of `taskq pause`, and of `taskq add --hold`. Runs that were stopped by
/// --runs continue; those of a paused job do so only when the job is resumed.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    override_usage = "taskq resume JOB...|--queue QUEUE|--all [--json]",
    after_help = "\
Examples:
  taskq resume backup
  taskq resume --all"
)]
pub struct ResumeArgs {
    #[command(flatten)]
    pub which: JobsOrQueue,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(context: &Context<'_>, args: &ResumeArgs) -> Result<u8> {
    let now = context.now();
    let (zone, _) = system_zone();
    let change = Change {
        verb: WHAT,
        leaves_runs: false,
        already: "it is not paused",
        of_job: &|writer, job| {
            let runs = writer.continue_runs_of(job)?;
            let changed = resume_job(writer, job, &zone, now)?
                .map_err(|cause| Error::conflict(format!("resume job `{job}`"), cause))?;
            Ok((changed, runs))
        },
        of_queue: &|writer, queue| {
            let runs = writer.continue_runs_in(queue)?;
            Ok((writer.pause_queue(queue, None)?, runs))
        },
    };
    make(context, &args.which, args.json, &change)
}
