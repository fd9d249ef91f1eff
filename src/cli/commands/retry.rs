//! Owns: `taskq retry`.
//! Never: attempts of one run, or starting a process (see `keeper`).

use std::collections::HashSet;

use clap::Args;

use crate::cli::context::{Context, Failure};
use crate::cli::queued::answer;
use crate::cli::target::{self, Target};
use crate::domain::{JobId, Outcome, RunId, RunState};
use crate::error::{Error, Result};
use crate::store::{JobFilter, Reader, RunFilter, RunView};

pub const WHAT: &str = "retry job";

/// Run finished jobs again
///
/// The work of a finished run is queued again, as a new run of its job with the
/// job's present options. Prints the name of each new run, as in 12.2. A job
/// that fires again and again is refused: `taskq run` runs it now.
///
/// With --failed, only what failed: of the named jobs and runs, or of all jobs
/// that do not fire again and again. To fail is what `taskq list --failed`
/// means: a cancelled job has not failed.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    override_usage = "\
taskq retry JOB|RUN... [--failed] [--json]
       taskq retry --failed [--json]",
    after_help = "\
Examples:
  taskq retry 12
  taskq retry --failed"
)]
pub struct RetryArgs {
    /// The jobs or runs, as in 12, backup, backup.3
    #[arg(value_name = "JOB|RUN", required_unless_present = "failed")]
    pub targets: Vec<String>,

    /// Only those that failed; without a JOB, of all jobs
    #[arg(long)]
    pub failed: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Queues the new runs, and prints their names.
pub fn run(context: &Context<'_>, args: &RetryArgs) -> Result<u8> {
    let now = context.now();
    let runs = context.change(WHAT, |writer| {
        let mut jobs = if args.targets.is_empty() { all_failed(writer)? } else { named(writer, args)? };
        // A job that was named twice, or by two of its runs, runs once.
        let mut seen = HashSet::new();
        jobs.retain(|job| seen.insert(*job));
        Ok(jobs.into_iter().map(|job| writer.add_retry(job, now)).collect::<Result<Vec<RunId>, _>>()?)
    })?;
    if runs.is_empty() && !args.json {
        context.output.talk("there is nothing to retry");
        return Ok(0);
    }
    answer(context, WHAT, &runs, args.json).map(|()| 0)
}

/// Returns the jobs that end for good, and whose latest run failed.
fn all_failed(reader: &Reader<'_>) -> Result<Vec<JobId>, Failure> {
    let filter = JobFilter { done_too: true, outcomes: Outcome::failures(), ..JobFilter::default() };
    let mut failed = Vec::new();
    for job in reader.jobs(&filter)? {
        if !job.is_recurring() && reader.unfinished_runs(job.id)?.is_empty() {
            failed.push(job.id);
        }
    }
    Ok(failed)
}

/// Returns the jobs of the named jobs and runs; with `--failed`, of those that failed.
fn named(reader: &Reader<'_>, args: &RetryArgs) -> Result<Vec<JobId>, Failure> {
    let mut jobs = Vec::new();
    for text in &args.targets {
        let target = target::find(reader, "retry", text)?;
        let run = finished_run(reader, target, text)?;
        if !args.failed || run.outcome.is_some_and(Outcome::is_failure) {
            jobs.push(run.run.job);
        }
    }
    Ok(jobs)
}

/// Returns the run that is to be done again: the named one, or the latest of the named job.
fn finished_run(reader: &Reader<'_>, target: Target, text: &str) -> Result<RunView, Failure> {
    let (job, what) = match target {
        Target::Run(run) => (run.job, format!("retry run `{text}`")),
        Target::Job(job) => (job, format!("{WHAT} `{text}`")),
    };
    if reader.job(job)?.is_recurring() {
        return Err(Error::conflict(what, "the job fires again and again")
            .hint(format!("run it now with `taskq run {job}`"))
            .into());
    }
    if let Some((run, _)) = reader.unfinished_runs(job)?.first() {
        return Err(Error::conflict(what, format!("run `{run}` has not finished"))
            .hint(format!("wait for it with `taskq wait {run}`, or end it with `taskq cancel {run}`"))
            .into());
    }
    let found = match target {
        Target::Run(run) => reader.run(run)?,
        Target::Job(job) => {
            let latest = RunFilter { job: Some(job), limit: Some(1), ..RunFilter::default() };
            reader.runs(&latest)?.pop()
        }
    };
    found.filter(|run| run.state == RunState::Finished).ok_or_else(|| {
        Error::conflict(what, "it has not run yet").hint(format!("run it now with `taskq run {text}`")).into()
    })
}
