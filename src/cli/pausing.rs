//! Owns: the state that `taskq pause` and `taskq resume` change, from either side.
//! Never: which runs are paused with it (see the two verbs).

use serde::Serialize;

use super::args::JobsOrQueue;
use super::context::{Context, Failure};
use super::target::{find_job, find_queue};
use super::view::json::document;
use crate::daemon::{AtOnce, at_once_pause, can_signal, order_at_once, running_daemon};
use crate::domain::{JobId, QueueName, RunState};
use crate::error::{Error, Result};
use crate::shown::counted;
use crate::store::{JobFilter, Reader, RunFilter, RunPause, RunView, Writer};

/// Whether an act has changed the job or queue itself, and the running runs that it has changed.
pub type Acted = std::result::Result<(bool, Vec<RunPause>), Failure>;

/// A pause or a resume.
pub struct Change<'a> {
    pub verb: &'static str,
    /// It may leave running runs alone, which is worth a word.
    pub leaves_runs: bool,
    /// Why nothing was to be changed.
    pub already: &'static str,
    pub of_job: &'a dyn Fn(&Writer<'_>, JobId) -> Acted,
    pub of_queue: &'a dyn Fn(&Writer<'_>, &QueueName) -> Acted,
}

/// The jobs, queues and runs that a pause or a resume changed.
#[derive(Debug, Default, Serialize)]
struct PauseJson {
    jobs: Vec<JobId>,
    queues: Vec<String>,
    runs: Vec<String>,
}

impl PauseJson {
    /// Returns how many running runs the pause leaves alone.
    fn continuing(&self, reader: &Reader<'_>) -> Result<usize, Failure> {
        let is_left = |run: &RunView| run.state == RunState::Running && !run.paused;
        let mut left = 0;
        for job in &self.jobs {
            let filter = RunFilter { job: Some(*job), unfinished: true, ..RunFilter::default() };
            left += reader.runs(&filter)?.iter().filter(|run| is_left(run)).count();
        }
        for queue in &self.queues {
            let queue = find_queue(reader, "pause", queue)?;
            let filter = RunFilter { queue: Some(queue), unfinished: true, ..RunFilter::default() };
            left += reader.runs(&filter)?.iter().filter(|run| is_left(run)).count();
        }
        Ok(left)
    }

    /// Returns what was done, for a person: `paused 2 jobs and 1 running run; 1 running run continues`.
    fn sentence(&self, verb: &str, continuing: usize) -> String {
        let what = match (self.jobs.as_slice(), self.queues.as_slice()) {
            (_, [queue]) => format!("queue `{queue}`"),
            ([job], _) => format!("job {job}"),
            (jobs, _) => counted(jobs.len(), "job"),
        };
        let runs = match self.runs.len() {
            0 => String::new(),
            runs => format!(" and {}", counted(runs, "running run")),
        };
        let goes_on = match continuing {
            0 => String::new(),
            1 => "; 1 running run continues".to_owned(),
            runs => format!("; {runs} running runs continue"),
        };
        format!("{verb}d {what}{runs}{goes_on}")
    }
}

/// Makes a change to the named jobs, the queue, or every job, and answers with them if `json` is wanted. A
/// job that needs no change is an error only if it is named.
pub fn make(context: &Context<'_>, which: &JobsOrQueue, json: bool, change: &Change<'_>) -> Result<u8> {
    let verb = change.verb;
    let write = |writer: &Writer<'_>| choose(writer, which, change);
    // A queue exists before its first job.
    let (changed, runs) =
        if which.queue.is_some() { context.write(verb, write) } else { context.change(verb, write) }?;
    if !runs.is_empty() && running_daemon(&context.dir).is_none() {
        send_without_daemon(context, &runs);
    }
    if json {
        context.output.json(&document(changed))?;
    } else if context.output.streams().stderr_is_terminal {
        let continuing = match change.leaves_runs {
            true => context.read(verb, |reader| changed.continuing(reader))?,
            false => 0,
        };
        context.output.talk(&changed.sentence(verb, continuing));
    }
    Ok(0)
}

/// Changes what is meant. Returns it, with the runs.
fn choose(
    writer: &Writer<'_>,
    which: &JobsOrQueue,
    change: &Change<'_>,
) -> Result<(PauseJson, Vec<RunPause>), Failure> {
    let Change { verb, already, .. } = *change;
    let (mut changed, mut runs) = (PauseJson::default(), Vec::new());
    let mut take = |is_changed: bool, mut more: Vec<RunPause>| {
        let is_any = is_changed || !more.is_empty();
        runs.append(&mut more);
        is_any
    };
    for text in &which.jobs {
        let job = find_job(writer, verb, text)?;
        if writer.is_done(job)? {
            return Err(Error::conflict(format!("{verb} job `{text}`"), "it is done").into());
        }
        let (is_changed, more) = (change.of_job)(writer, job)?;
        if !take(is_changed, more) {
            return Err(Error::conflict(format!("{verb} job `{text}`"), already).into());
        }
        changed.jobs.push(job);
    }
    if let Some(text) = &which.queue {
        let what = format!("{verb} queue `{text}`");
        let queue = find_queue(writer, &what, text)?;
        let (is_changed, more) = (change.of_queue)(writer, &queue)?;
        if !take(is_changed, more) {
            return Err(Error::conflict(what, already).into());
        }
        changed.queues.push(queue.to_string());
    } else if which.all {
        for job in writer.jobs(&JobFilter::default())? {
            let (is_changed, more) = (change.of_job)(writer, job.id)?;
            if take(is_changed, more) {
                changed.jobs.push(job.id);
            }
        }
    }
    runs.retain(|pause| pause.is_running);
    changed.runs = runs.iter().map(|pause| pause.run.to_string()).collect();
    Ok((changed, runs))
}

/// Sends STOP or CONT by the keeper itself. The next daemon sends it again in any case.
fn send_without_daemon(context: &Context<'_>, runs: &[RunPause]) {
    let orders: Vec<AtOnce> = runs.iter().copied().map(at_once_pause).collect();
    let is_sent = can_signal(&context.dir) == Some(true) && order_at_once(&context.dir, &orders).is_ok();
    if !is_sent {
        context.output.talk("no daemon is running: the running runs follow when one starts");
    }
}
