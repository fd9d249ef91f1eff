//! Owns: `taskq cancel`.
//! Never: sending a signal (see `keeper`).

use clap::{ArgGroup, Args};

use serde::Serialize;

use crate::cli::context::{Context, Failure};
use crate::cli::target::{self, Target};
use crate::cli::view::json::document;
use crate::daemon::{Stop, running_daemon, stop_at_once};
use crate::domain::{JobId, RunId, RunState, Tag, Timestamp};
use crate::error::{Error, Result};
use crate::keeper::protocol::Attempt;
use crate::store::{Cancelled, JobFilter, Reader, RunFilter, RunView, Writer};

/// What a cancel did.
#[derive(Debug, Default, Serialize)]
struct Report {
    jobs: Vec<JobId>,
    dropped: Vec<String>,
    stopping: Vec<String>,
    #[serde(skip)]
    stops: Vec<Stop>,
}

/// What the verb does, for errors.
pub const WHAT: &str = "cancel";

/// Cancel jobs or runs
///
/// A run that waits is dropped. One that runs gets TERM, its whole process
/// group, then KILL after its --kill-after. A job: that, and it fires no more.
/// What has finished already cannot be cancelled: that is an error.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    group = ArgGroup::new("which").args(["targets", "queue", "tag", "all"]).required(true).multiple(true),
    override_usage = "\
taskq cancel JOB|RUN... [--now] [--json]
       taskq cancel [--queue QUEUE] [--tag TAG] [--now] [--json]
       taskq cancel --all [--now] [--json]",
    after_help = "\
Examples:
  taskq cancel backup.3
  taskq cancel --tag nightly --now"
)]
pub struct CancelArgs {
    /// The jobs or runs, as in 12, backup, backup.3
    #[arg(value_name = "JOB|RUN", conflicts_with_all = ["queue", "tag", "all"])]
    pub targets: Vec<String>,

    /// All jobs of QUEUE; with --tag, those that match both
    #[arg(long, value_name = "QUEUE", conflicts_with = "all")]
    pub queue: Option<String>,

    /// All jobs with TAG
    #[arg(long, value_name = "TAG", conflicts_with = "all")]
    pub tag: Option<String>,

    /// All jobs
    #[arg(long)]
    pub all: bool,

    /// KILL at once, without TERM
    #[arg(long)]
    pub now: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Cancels what is named, or what is selected.
pub fn run(context: &Context<'_>, args: &CancelArgs) -> Result<u8> {
    let now = context.now();
    let tag =
        args.tag.as_ref().map(|tag| tag.parse::<Tag>()).transpose().map_err(|e| Error::usage(WHAT, e))?;
    let cancel = |writer: &Writer<'_>| {
        let mut report = Report::default();
        for target in &chosen(writer, args, tag.as_ref())? {
            match target {
                Chosen { target: Target::Job(job), text: Some(text) } => {
                    cancel_named_job(writer, *job, text, args.now, now, &mut report)?;
                }
                Chosen { target: Target::Job(job), text: None } => {
                    cancel_job(writer, *job, args.now, now, &mut report)?;
                }
                Chosen { target: Target::Run(run), .. } => {
                    cancel_named_run(writer, *run, args.now, now, &mut report)?;
                }
            }
        }
        Ok(report)
    };
    let report = match context.try_change(WHAT, cancel)? {
        Err(Failure::Store(error)) if error.is_passing() => {
            return stop_without_store(context, args, tag.as_ref(), error.during(WHAT));
        }
        written => written.map_err(|failure| failure.during(WHAT))?,
    };
    if args.json {
        context.output.json(&document(&report))?;
    } else if args.targets.is_empty() && report.jobs.is_empty() {
        context.output.talk("there is nothing to cancel");
    }
    if !report.stops.is_empty() && running_daemon(&context.dir).is_none() {
        // The keeper stops what runs; that it was wanted is on disk in any case.
        context.output.talk(match stop_at_once(&context.dir, &report.stops) {
            Ok(_) => "no daemon is running: the runs are being stopped, and the next daemon records it",
            Err(_) => "no daemon is running: what runs is stopped when one starts",
        });
    }
    Ok(0)
}

/// What is to be cancelled, with what a person called it.
struct Chosen<'a> {
    target: Target,
    text: Option<&'a str>,
}

/// Returns what the arguments name or select.
fn chosen<'a>(
    reader: &Reader<'_>,
    args: &'a CancelArgs,
    tag: Option<&Tag>,
) -> Result<Vec<Chosen<'a>>, Failure> {
    let named = args.targets.iter().map(|text| {
        let target = target::find(reader, "cancel", text)?;
        Ok(Chosen { target, text: Some(text) })
    });
    let named = named.collect::<Result<Vec<_>, Failure>>()?;
    let queue = args.queue.as_ref().map(|queue| target::find_queue(reader, WHAT, queue)).transpose()?;
    if !named.is_empty() {
        return Ok(named);
    }
    let jobs = reader.jobs(&JobFilter { tag: tag.cloned(), queue, ..JobFilter::default() })?;
    Ok(jobs.into_iter().map(|job| Chosen { target: Target::Job(job.id), text: None }).collect())
}

/// Stops what runs although nothing can be recorded: the run may be what fills the disk. Anything else that a
/// cancel does has to be recorded, and `error` says why it is not.
fn stop_without_store(
    context: &Context<'_>,
    args: &CancelArgs,
    tag: Option<&Tag>,
    error: Error,
) -> Result<u8> {
    let (runs, is_more) = context.look(WHAT, |reader| {
        let (mut runs, mut is_more) = (Vec::new(), false);
        for Chosen { target, .. } in chosen(reader, args, tag)? {
            match target {
                Target::Run(run) => {
                    runs.extend(reader.run(run)?.filter(|run| run.state != RunState::Finished));
                }
                Target::Job(job) => {
                    let filter = RunFilter { job: Some(job), unfinished: true, ..RunFilter::default() };
                    runs.extend(reader.runs(&filter)?);
                    is_more |= reader.triggers(job)?.iter().any(|trigger| trigger.next_at.is_some());
                }
            }
        }
        Ok((runs, is_more))
    })?;
    let (running, waiting): (Vec<RunView>, Vec<RunView>) =
        runs.into_iter().partition(|run| run.state == RunState::Running);
    let stops: Vec<Stop> = running.iter().map(|run| stop(run.run, run.attempt, args.now)).collect();
    if stops.is_empty() || stop_at_once(&context.dir, &stops).is_err() {
        return Err(error);
    }
    let names = running.iter().map(|run| run.run.to_string()).collect::<Vec<_>>().join(", ");
    if is_more || !waiting.is_empty() {
        return Err(
            error.hint(format!("what ran is being stopped ({names}), the rest is as it was: try again"))
        );
    }
    context.output.talk(&format!("{}; stopping {names}, to be recorded later", error.cause));
    Ok(0)
}

fn stop(run: RunId, attempt: u32, now: bool) -> Stop {
    Stop { attempt: Attempt::of_run(run, attempt), now }
}

fn cancel_named_job(
    writer: &Writer<'_>,
    job: JobId,
    text: &str,
    kill_now: bool,
    now: Timestamp,
    report: &mut Report,
) -> Result<(), Failure> {
    if writer.is_done(job)? {
        return Err(Error::conflict(format!("cancel job `{text}`"), "it is already done").into());
    }
    cancel_job(writer, job, kill_now, now, report)
}

fn cancel_named_run(
    writer: &Writer<'_>,
    run: RunId,
    kill_now: bool,
    now: Timestamp,
    report: &mut Report,
) -> Result<(), Failure> {
    match writer.cancel_run(run, kill_now, now)? {
        Cancelled::Dropped => report.dropped.push(run.to_string()),
        Cancelled::Stopping => {
            report.stopping.push(run.to_string());
            report.stops.extend(writer.run(run)?.map(|view| stop(run, view.attempt, kill_now)));
        }
        Cancelled::AlreadyFinished => {
            return Err(Error::conflict(format!("cancel run `{run}`"), "it has already finished").into());
        }
    }
    Ok(())
}

/// Takes a job's fires and ends its runs.
fn cancel_job(
    writer: &Writer<'_>,
    job: JobId,
    kill_now: bool,
    now: Timestamp,
    report: &mut Report,
) -> Result<(), Failure> {
    writer.disarm(job)?;
    for (run, _) in writer.unfinished_runs(job)? {
        cancel_named_run(writer, run, kill_now, now, report)?;
    }
    report.jobs.push(job);
    Ok(())
}
