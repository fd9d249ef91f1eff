//! Owns: `taskq run`.
//! Never: starting a process (see `keeper`).

use clap::Args;

use crate::cli::context::{Context, Failure};
use crate::cli::queued::{answer, names};
use crate::cli::target::find_job;
use crate::cli::view::ending::{answer_json, conclude};
use crate::cli::view::run_output::{Outputs, Style, follow, follow_indices};
use crate::cli::waiting::{Waiting, all_finished, unlearned, unlike_a_run};
use crate::domain::FireId;
use crate::error::{Error, Result};

pub const WHAT: &str = "run job";

/// Run jobs now, in addition to their schedule
///
/// Prints the name of each run, as in 12.3; of an array, its job. Each run waits
/// for a slot of its queue, but not for the jobs of --after.
///
/// With --wait or --follow on one job, the exit status is the run's own: its
/// exit code, 128+N after signal N, 124 timed out, 125 taskq could not run it,
/// 126 not executable, 127 not found, 130 cancelled. It is 3 if taskq cannot
/// find out how the run ends; a queued run continues even so.
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

    /// Print the output as it is written, until the run has ended
    ///
    /// Of a job with --split-output, its standard error goes to the standard
    /// error of this command.
    #[arg(long, verbatim_doc_comment)]
    pub follow: bool,

    /// Print JSON
    #[arg(long, conflicts_with = "follow")]
    pub json: bool,
}

/// Queues a run of each job, and prints their names; waits for their end if that is wanted.
pub fn run(context: &Context<'_>, args: &RunArgs) -> Result<u8> {
    if args.follow && args.jobs.len() > 1 {
        return Err(Error::usage(WHAT, "`--follow` takes one job").hint("wait for many with `--wait`"));
    }
    if !args.wait && !args.follow {
        let runs = queue(context, args)?;
        return answer(context, WHAT, &runs, args.json).map(|()| 0);
    }
    // Before the runs are queued: a command that fails here must not leave runs that no one waits for.
    let (waiting, runs) = Waiting::new(context, WHAT, None)
        .and_then(|mut waiting| waiting.need_daemon().map(|()| waiting))
        .and_then(|waiting| Ok((waiting, queue(context, args)?)))
        .map_err(unlike_a_run)?;
    wait_for(context, args, waiting, &runs).map_err(unlearned)
}

fn wait_for(context: &Context<'_>, args: &RunArgs, mut waiting: Waiting<'_>, runs: &[FireId]) -> Result<u8> {
    if args.follow {
        context.output.talk(&names(runs));
        let style = Style { outputs: Outputs::Both, ..Style::default() };
        return match runs[0] {
            FireId::Run(run) => follow(context, waiting, run, &style),
            FireId::Array { job, .. } => follow_indices(context, job, (0, u32::MAX), &style),
        };
    }
    if !args.json {
        context.output.answer(&names(runs))?;
    }
    waiting.show_progress(runs.len(), None);
    let ended = waiting.until(|reader| all_finished(reader, runs))?.unwrap_or_default();
    if args.json {
        answer_json(context, &ended)?;
    }
    Ok(conclude(context, &ended))
}

fn queue(context: &Context<'_>, args: &RunArgs) -> Result<Vec<FireId>> {
    let now = context.now();
    context.change(WHAT, |writer| {
        let runs: Result<Vec<FireId>, Failure> = args
            .jobs
            .iter()
            .map(|job| Ok(writer.add_manual_run(find_job(writer, "run", job)?, now)?))
            .collect();
        runs
    })
}
