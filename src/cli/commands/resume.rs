//! Owns: `taskq resume`.
//! Never: which fires of the pause are made up for (see `engine`).

use clap::Args;

use crate::cli::args::JobsOrQueue;
use crate::cli::context::Context;
use crate::cli::pausing::change;
use crate::cli::zone::system_zone;
use crate::daemon::resume_job;
use crate::error::{Error, Result};

pub const WHAT: &str = "resume";

/// Resume jobs or a queue
///
/// The end of `taskq pause`, and of `taskq add --hold`.
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
    change(context, WHAT, (&args.which, args.json), None, |writer, job| {
        resume_job(writer, job, &zone, now)?
            .map_err(|cause| Error::conflict(format!("resume job `{job}`"), cause).into())
    })
}
