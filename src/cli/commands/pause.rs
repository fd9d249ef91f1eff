//! Owns: `taskq pause` and `taskq resume`.
//! Never: running runs: they go on.

use clap::{ArgGroup, Args};

use serde::Serialize;

use crate::cli::context::{Context, Failure};
use crate::cli::target::{find_job, find_queue};
use crate::cli::view::json::document;
use crate::cli::zone::system_zone;
use crate::daemon::resume_job;
use crate::domain::{JobId, Timestamp};
use crate::error::{Error, Result};
use crate::store::{JobFilter, Writer};

/// What `pause` does, for errors.
pub const PAUSE: &str = "pause";

/// What `resume` does, for errors.
pub const RESUME: &str = "resume";

/// What a pause or a resume changed.
#[derive(Debug, Default, Serialize)]
struct Report {
    jobs: Vec<JobId>,
    queues: Vec<String>,
}

/// Pause jobs or a queue
///
/// A paused job does not fire, and what waits of it does not start, until it is
/// resumed; a paused queue starts nothing. What runs goes on. The fires of the
/// pause are recorded as skipped, in one row with their count.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    group = ArgGroup::new("which").args(["jobs", "queue", "all"]).required(true),
    override_usage = "taskq pause JOB...|--queue QUEUE|--all [--json]",
    after_help = "\
Examples:
  taskq pause backup
  taskq pause --queue gpu"
)]
pub struct PauseArgs {
    /// The jobs, by id or name
    #[arg(value_name = "JOB")]
    pub jobs: Vec<String>,

    /// The queue: its jobs still fire, but nothing starts
    #[arg(long, value_name = "QUEUE")]
    pub queue: Option<String>,

    /// All jobs
    #[arg(long)]
    pub all: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Resume jobs or a queue
///
/// The end of `taskq pause`, and of `taskq add --hold`.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    group = ArgGroup::new("which").args(["jobs", "queue", "all"]).required(true),
    override_usage = "taskq resume JOB...|--queue QUEUE|--all [--json]",
    after_help = "\
Examples:
  taskq resume backup
  taskq resume --all"
)]
pub struct ResumeArgs {
    /// The jobs, by id or name
    #[arg(value_name = "JOB")]
    pub jobs: Vec<String>,

    /// The queue
    #[arg(long, value_name = "QUEUE")]
    pub queue: Option<String>,

    /// All jobs
    #[arg(long)]
    pub all: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Pauses jobs or a queue.
pub fn pause(context: &Context<'_>, args: &PauseArgs) -> Result<u8> {
    let now = context.now();
    let report = change(context, PAUSE, (&args.jobs, args.queue.as_deref()), Some(now), |writer, job| {
        Ok(writer.pause_job(job, now)?)
    })?;
    answer(context, args.json, &report)
}

/// Resumes jobs or a queue.
pub fn resume(context: &Context<'_>, args: &ResumeArgs) -> Result<u8> {
    let now = context.now();
    let (zone, _) = system_zone();
    let report = change(context, RESUME, (&args.jobs, args.queue.as_deref()), None, |writer, job| {
        resume_job(writer, job, &zone, now)?
            .map_err(|cause| Error::conflict(format!("resume job `{job}`"), cause).into())
    })?;
    answer(context, args.json, &report)
}

fn answer(context: &Context<'_>, json: bool, report: &Report) -> Result<u8> {
    if json {
        context.output.json(&document(report))?;
    }
    Ok(0)
}

/// Changes the named jobs, the queue, or every job; something that is so already is an error only where it
/// was named.
fn change(
    context: &Context<'_>,
    verb: &str,
    (jobs, queue): (&[String], Option<&str>),
    queue_paused_at: Option<Timestamp>,
    act: impl Fn(&Writer<'_>, JobId) -> Result<bool, Failure>,
) -> Result<Report> {
    let already = if queue_paused_at.is_some() { "it is already paused" } else { "it is not paused" };
    let write = |writer: &Writer<'_>| {
        let mut report = Report::default();
        for text in jobs {
            let job = find_job(writer, verb, text)?;
            if writer.is_done(job)? {
                return Err(Error::conflict(format!("{verb} job `{text}`"), "it is done").into());
            }
            if !act(writer, job)? {
                return Err(Error::conflict(format!("{verb} job `{text}`"), already).into());
            }
            report.jobs.push(job);
        }
        if let Some(text) = queue {
            let what = format!("{verb} queue `{text}`");
            let queue = find_queue(writer, &what, text)?;
            if !writer.pause_queue(&queue, queue_paused_at)? {
                return Err(Error::conflict(what, already).into());
            }
            report.queues.push(queue.to_string());
        } else if jobs.is_empty() {
            for job in writer.jobs(&JobFilter::default())? {
                if act(writer, job.id)? {
                    report.jobs.push(job.id);
                }
            }
        }
        Ok(report)
    };
    // A queue is there before the first job is, and stays as it is set.
    if queue.is_some() { context.write(verb, write) } else { context.change(verb, write) }
}
