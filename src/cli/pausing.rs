//! Owns: the state that `taskq pause` and `taskq resume` change, from either side.
//! Never: running runs, which continue.

use serde::Serialize;

use super::args::JobsOrQueue;
use super::context::{Context, Failure};
use super::target::{find_job, find_queue};
use super::view::json::document;
use crate::domain::{JobId, RunState, Timestamp};
use crate::error::{Error, Result};
use crate::shown::counted;
use crate::store::{JobFilter, Reader, RunFilter, Writer};

/// The jobs and queues that a pause or a resume changed.
#[derive(Debug, Default, Serialize)]
struct PauseJson {
    jobs: Vec<JobId>,
    queues: Vec<String>,
}

impl PauseJson {
    /// Returns how many running runs the pause leaves alone.
    fn running(&self, reader: &Reader<'_>) -> Result<usize, Failure> {
        let mut running = 0;
        for job in &self.jobs {
            let filter = RunFilter { job: Some(*job), unfinished: true, ..RunFilter::default() };
            running += reader.runs(&filter)?.iter().filter(|run| run.state == RunState::Running).count();
        }
        let queues = reader.queues()?;
        let of_queues = queues.iter().filter(|queue| self.queues.contains(&queue.name));
        Ok(running + of_queues.map(|queue| queue.running as usize).sum::<usize>())
    }

    /// Returns what was done, for a person: `paused 2 jobs; 1 running run continues`.
    fn sentence(&self, verb: &str, running: usize) -> String {
        let what = match (self.jobs.as_slice(), self.queues.as_slice()) {
            (_, [queue]) => format!("queue `{queue}`"),
            ([job], _) => format!("job {job}"),
            (jobs, _) => counted(jobs.len(), "job"),
        };
        let goes_on = match running {
            0 => String::new(),
            1 => "; 1 running run continues".to_owned(),
            runs => format!("; {runs} running runs continue"),
        };
        format!("{verb}d {what}{goes_on}")
    }
}

/// Changes the named jobs, the queue, or every job, and answers with them if `json` is wanted. A job that
/// needs no change is an error only if it is named.
pub fn change(
    context: &Context<'_>,
    verb: &str,
    (which, json): (&JobsOrQueue, bool),
    pause_at: Option<Timestamp>,
    act: impl Fn(&Writer<'_>, JobId) -> Result<bool, Failure>,
) -> Result<u8> {
    let already = if pause_at.is_some() { "it is already paused" } else { "it is not paused" };
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
            if !writer.pause_queue(&queue, pause_at)? {
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
    } else if context.output.streams().stderr_is_terminal {
        let running = match pause_at {
            Some(_) => context.read(verb, |reader| changed.running(reader))?,
            None => 0,
        };
        context.output.talk(&changed.sentence(verb, running));
    }
    Ok(0)
}
