//! Owns: the state that `taskq pause` and `taskq resume` change, from either side.
//! Never: running runs, which continue.

use serde::Serialize;

use super::args::JobsOrQueue;
use super::context::{Context, Failure};
use super::target::{find_job, find_queue};
use super::view::json::document;
use crate::domain::{JobId, Timestamp};
use crate::error::{Error, Result};
use crate::store::{JobFilter, Writer};

/// The jobs and queues that a pause or a resume changed.
#[derive(Debug, Default, Serialize)]
struct PauseJson {
    jobs: Vec<JobId>,
    queues: Vec<String>,
}

/// Changes the named jobs, the queue, or every job, and answers with them if `json` is wanted. A job that
/// needs no change is an error only if it is named.
pub fn change(
    context: &Context<'_>,
    verb: &str,
    (which, json): (&JobsOrQueue, bool),
    queue_paused_at: Option<Timestamp>,
    act: impl Fn(&Writer<'_>, JobId) -> Result<bool, Failure>,
) -> Result<u8> {
    let already = if queue_paused_at.is_some() { "it is already paused" } else { "it is not paused" };
    let write = |writer: &Writer<'_>| {
        let mut changed = PauseJson::default();
        for text in &which.jobs {
            let job = find_job(writer, verb, text)?;
            if writer.is_done(job)? {
                return Err(Error::conflict(format!("{verb} job `{text}`"), "it is done").into());
            }
            if !act(writer, job)? {
                return Err(Error::conflict(format!("{verb} job `{text}`"), already).into());
            }
            changed.jobs.push(job);
        }
        if let Some(text) = &which.queue {
            let what = format!("{verb} queue `{text}`");
            let queue = find_queue(writer, &what, text)?;
            if !writer.pause_queue(&queue, queue_paused_at)? {
                return Err(Error::conflict(what, already).into());
            }
            changed.queues.push(queue.to_string());
        } else if which.all {
            for job in writer.jobs(&JobFilter::default())? {
                if act(writer, job.id)? {
                    changed.jobs.push(job.id);
                }
            }
        }
        Ok(changed)
    };
    // A queue exists before its first job.
    let changed =
        if which.queue.is_some() { context.write(verb, write) } else { context.change(verb, write) }?;
    if json {
        context.output.json(&document(changed))?;
    }
    Ok(0)
}
