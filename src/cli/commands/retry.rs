//! Owns: `taskq retry`.
//! Never: attempts of one run, or starting a process (see `keeper`).

use std::collections::HashSet;

use clap::Args;

use crate::cli::context::{Context, Failure};
use crate::cli::queued::answer;
use crate::cli::target::{self, Target};
use crate::domain::{FireId, Indices, JobId, Outcome, RunId, RunState, Timestamp};
use crate::error::{Error, Result};
use crate::store::{JobFilter, Reader, RunFilter, RunView, StoreResult, Writer};

pub const WHAT: &str = "retry job";

/// Run finished jobs again
///
/// The work of a finished run is queued again, as a new run of its job with the
/// job's present options. Prints the name of each new run, as in 12.2. A job
/// that fires again and again is refused: `taskq run` runs it now. But a run that
/// was for events can be retried: it gets the same events again.
///
/// With --failed, only what failed: of the named jobs and runs, or of all jobs
/// that do not fire again and again. To fail is what `taskq list --failed`
/// means: a cancelled job has not failed. Of an array, --failed takes the failed
/// indices; 12/7 and 12/5-9 are indices too.
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
    /// The jobs, runs or indices, as in 12, backup.3, 12/7
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
        let mut wanted = if args.targets.is_empty() { all_failed(writer)? } else { named(writer, args)? };
        // Work that was named twice, as a job and as one of its runs, is done once.
        let mut seen = HashSet::new();
        wanted.retain(|again| seen.insert(again.clone()));
        let queued = wanted.into_iter().map(|again| again.queue(writer, now));
        Ok(queued.collect::<Result<Vec<FireId>, _>>()?)
    })?;
    if runs.is_empty() && !args.json {
        context.output.talk("there is nothing to retry");
        return Ok(0);
    }
    answer(context, WHAT, &runs, args.json).map(|()| 0)
}

/// Work that is to be done again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Again {
    /// What a job did, without events.
    Job(JobId),
    /// The run of a job, with its events.
    Run(RunId),
    /// These indices of an array, ascending.
    Indices(JobId, Vec<u32>),
}

impl Again {
    fn queue(self, writer: &Writer<'_>, now: Timestamp) -> StoreResult<FireId> {
        match self {
            Self::Run(run) => writer.add_retry(run.job, Some(run), now),
            Self::Job(job) => writer.add_retry(job, None, now),
            Self::Indices(job, indices) => {
                let array = writer.add_array_retry(job, &Indices::parts(&indices), now)?;
                Ok(FireId::Array { job, array })
            }
        }
    }
}

/// Returns what failed of the jobs that end for good.
fn all_failed(reader: &Reader<'_>) -> Result<Vec<Again>, Failure> {
    let filter = JobFilter { done_too: true, outcomes: Outcome::failures(), ..JobFilter::default() };
    let mut failed = Vec::new();
    for job in reader.jobs(&filter)? {
        let unfinished = RunFilter { job: Some(job.id), unfinished: true, ..RunFilter::default() };
        if reader.has_runs(&unfinished)? {
            continue;
        }
        if job.definition.array.is_some() {
            let indices = indices_of(reader, job.id, (0, u32::MAX), true)?;
            failed.push(Again::Indices(job.id, indices));
        } else if !job.is_recurring() {
            failed.push(Again::Job(job.id));
        }
    }
    Ok(failed)
}

/// Returns the work of the named jobs, runs and indices; with `--failed`, of those that failed.
fn named(reader: &Reader<'_>, args: &RetryArgs) -> Result<Vec<Again>, Failure> {
    let mut wanted = Vec::new();
    for text in &args.targets {
        let target = target::find(reader, "retry", text)?;
        match part_of_array(reader, target)? {
            Some((job, range)) => {
                refuse_unfinished(reader, job, range, text)?;
                let is_whole = range == (0, u32::MAX);
                if is_whole && !args.failed {
                    wanted.push(Again::Job(job));
                    continue;
                }
                let indices = indices_of(reader, job, range, args.failed)?;
                if !indices.is_empty() {
                    wanted.push(Again::Indices(job, indices));
                }
            }
            None => {
                let run = finished_run(reader, target, text)?;
                if !args.failed || run.outcome.is_some_and(Outcome::is_failure) {
                    let has_events = reader.has_events(run.run)?;
                    wanted.push(if has_events { Again::Run(run.run) } else { Again::Job(run.run.job) });
                }
            }
        }
    }
    Ok(wanted)
}

/// Returns the job and the range of indices that a target means, if its job is an array.
fn part_of_array(reader: &Reader<'_>, target: Target) -> StoreResult<Option<(JobId, (u32, u32))>> {
    Ok(match target {
        Target::Indices(job, first, last) => Some((job, (first, last))),
        Target::Job(job) => reader.job(job)?.definition.array.map(|_| (job, (0, u32::MAX))),
        Target::Run(run) => {
            reader.run(run)?.and_then(|view| view.index).map(|index| (run.job, (index, index)))
        }
    })
}

/// Returns those of the indices that have a run; with `failed`, whose latest run has failed.
fn indices_of(
    reader: &Reader<'_>,
    job: JobId,
    (first, last): (u32, u32),
    failed: bool,
) -> Result<Vec<u32>, Failure> {
    let mut indices = Vec::new();
    for (index, run) in reader.runs_of_indices(job, first, last)? {
        let outcome = if failed { reader.run(run)?.and_then(|run| run.outcome) } else { None };
        if !failed || outcome.is_some_and(Outcome::is_failure) {
            indices.push(index);
        }
    }
    Ok(indices)
}

fn refuse_unfinished(
    reader: &Reader<'_>,
    job: JobId,
    (first, last): (u32, u32),
    text: &str,
) -> Result<(), Failure> {
    let mut is_open = reader.has_rest_within(job, first, last)?;
    for (run, _) in reader.unfinished_runs(job)? {
        let index = reader.run(run)?.and_then(|run| run.index);
        is_open |= index.is_some_and(|index| (first..=last).contains(&index));
    }
    if is_open {
        return Err(Error::conflict(format!("retry `{text}`"), "it has not finished")
            .hint(format!("wait for it with `taskq wait {text}`, or end it with `taskq cancel {text}`"))
            .into());
    }
    Ok(())
}

/// Returns the run that is to be done again: the named one, or the latest of the named job.
fn finished_run(reader: &Reader<'_>, target: Target, text: &str) -> Result<RunView, Failure> {
    let (job, what) = match target {
        Target::Run(run) => (run.job, format!("retry run `{text}`")),
        Target::Job(job) | Target::Indices(job, ..) => (job, format!("{WHAT} `{text}`")),
    };
    let found = match target {
        Target::Run(run) => reader.run(run)?,
        Target::Job(job) | Target::Indices(job, ..) => {
            let latest =
                RunFilter { job: Some(job), no_callbacks: true, limit: Some(1), ..RunFilter::default() };
            reader.runs(&latest)?.pop()
        }
    };
    // Its events are still there, whatever came since.
    if let Some(run) = found.as_ref().filter(|run| run.state == RunState::Finished)
        && reader.has_events(run.run)?
    {
        return Ok(run.clone());
    }
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
    found.filter(|run| run.state == RunState::Finished).ok_or_else(|| {
        Error::conflict(what, "it has not run yet").hint(format!("run it now with `taskq run {text}`")).into()
    })
}
