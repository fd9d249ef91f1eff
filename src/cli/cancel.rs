//! Owns: `taskq cancel`.
//! Never: sending a signal (see `keeper`).

use clap::{ArgGroup, Args};

use serde::Serialize;

use super::context::{Context, Failure};
use super::report::document;
use super::target::{self, Target};
use crate::daemon::running_daemon;
use crate::domain::{JobId, RunId, Tag, Timestamp};
use crate::error::{Error, Result};
use crate::store::{Cancelled, JobFilter, Writer};

/// What a cancel did.
#[derive(Debug, Default, Serialize)]
struct Report {
    jobs: Vec<JobId>,
    dropped: Vec<String>,
    stopping: Vec<String>,
}

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
    const WHAT: &str = "cancel";
    let now = context.now();
    let mut filter = JobFilter {
        tag: args.tag.as_ref().map(|tag| tag.parse::<Tag>()).transpose().map_err(|e| Error::usage(WHAT, e))?,
        ..JobFilter::default()
    };
    let report = context.write(WHAT, |writer| {
        let mut report = Report::default();
        for text in &args.targets {
            match target::find(writer, "cancel", text)? {
                Target::Job(job) => cancel_named_job(writer, job, text, args.now, now, &mut report)?,
                Target::Run(run) => cancel_named_run(writer, run, args.now, now, &mut report)?,
            }
        }
        filter.queue = args.queue.as_ref().map(|queue| target::find_queue(writer, WHAT, queue)).transpose()?;
        if args.targets.is_empty() {
            for job in writer.jobs(&filter)? {
                cancel_job(writer, job.id, args.now, now, &mut report)?;
            }
        }
        Ok(report)
    })?;
    if args.json {
        context.output.json(&document(&report))?;
    } else if args.targets.is_empty() && report.jobs.is_empty() {
        context.output.talk("there is nothing to cancel");
    }
    if !report.stopping.is_empty() && running_daemon(&context.dir).is_none() {
        context.output.talk("no daemon is running: what runs is stopped when one starts");
    }
    Ok(0)
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
        Cancelled::Stopping => report.stopping.push(run.to_string()),
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
    writer.settle_job(job, now)?;
    report.jobs.push(job);
    Ok(())
}
