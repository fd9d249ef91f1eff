//! Owns: `taskq remove`.
//! Never: ending runs (see `cancel`).

use clap::Args;
use serde::Serialize;

use crate::cli::context::{Context, Failure};
use crate::cli::import::stored::refuse_line;
use crate::cli::target::find_job;
use crate::cli::view::json::document;
use crate::daemon::remove_outputs;
use crate::domain::{JobId, JobName};
use crate::error::{Error, Result};
use crate::shown::counted;
use crate::store::{RunFilter, Writer};

pub const WHAT: &str = "remove job";

/// Remove jobs with their history
///
/// The runs, their outputs and unsent mails go too, and nothing brings them
/// back. The name is free for another job; the id is not used again. A job that
/// is running is refused: `taskq cancel` ends it. So is a line of a stored
/// crontab, which is removed from its table, and a job that another one runs
/// after.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq remove 12
  taskq remove backup nightly"
)]
pub struct RemoveArgs {
    /// The jobs, by id or name
    #[arg(value_name = "JOB", required = true)]
    pub jobs: Vec<String>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Serialize)]
struct RemoveJson {
    jobs: Vec<RemovedJson>,
}

#[derive(Debug, Serialize)]
struct RemovedJson {
    id: JobId,
    name: Option<JobName>,
    /// How many runs it had.
    runs: usize,
}

pub fn run(context: &Context<'_>, args: &RemoveArgs) -> Result<u8> {
    let jobs = context.change(WHAT, |writer| {
        let mut found: Vec<(JobId, &str)> = Vec::new();
        for text in &args.jobs {
            let job = find_job(writer, "remove", text)?;
            if found.iter().all(|(other, _)| *other != job) {
                found.push((job, text));
            }
        }
        let all: Vec<JobId> = found.iter().map(|(job, _)| *job).collect();
        found.into_iter().map(|named| remove(writer, named, &all)).collect::<Result<Vec<_>, _>>()
    })?;
    remove_outputs(&context.dir, |run| jobs.iter().any(|job| job.id == run.job));
    if args.json {
        context.output.json(&document(RemoveJson { jobs }))?;
    } else {
        context.output.confirm(&sentence(&jobs));
    }
    Ok(0)
}

fn remove(writer: &Writer<'_>, (id, text): (JobId, &str), removed: &[JobId]) -> Result<RemovedJson, Failure> {
    let what = format!("{WHAT} `{text}`");
    refuse_line(writer, id, &what, "remove the line from")?;
    if writer.unfinished_runs(id)?.iter().any(|(_, is_claimed)| *is_claimed) {
        return Err(Error::conflict(what, "it is running")
            .hint(format!("end it first: `taskq cancel --wait {text}`"))
            .into());
    }
    let name = writer.name_of(id)?;
    let dependents = writer.dependents(id, name.as_ref())?;
    if let Some(dependent) = dependents.into_iter().find(|job| !removed.contains(job)) {
        return Err(Error::conflict(what, format!("job {dependent} waits for it or listens to it"))
            .hint(format!("see what it needs with `taskq show {dependent}`, and change it with `taskq set`"))
            .into());
    }
    let runs = writer.count_runs(&RunFilter { job: Some(id), ..RunFilter::default() })?;
    writer.remove_job(id)?;
    Ok(RemovedJson { id, name, runs })
}

/// Returns what was done, for a person: ``removed job 3 `backup` with 12 runs``.
fn sentence(jobs: &[RemovedJson]) -> String {
    let runs = counted(jobs.iter().map(|job| job.runs).sum(), "run");
    match jobs {
        [RemovedJson { id, name: Some(name), .. }] => format!("removed job {id} `{name}` with {runs}"),
        [RemovedJson { id, name: None, .. }] => format!("removed job {id} with {runs}"),
        jobs => format!("removed {} with {runs}", counted(jobs.len(), "job")),
    }
}
