//! Owns: `taskq cancel`.
//! Never: sending a signal (see `keeper`).

use clap::Args;

use serde::{Serialize, Serializer};

use crate::cli::args::Selection;
use crate::cli::context::{Context, Failure};
use crate::cli::question::is_confirmed;
use crate::cli::target::{self, Target};
use crate::cli::view::json::document;
use crate::cli::waiting::{Waiting, all_finished};
use crate::daemon::{AtOnce, order_at_once, running_daemon};
use crate::domain::{FireId, JobId, RunId, RunState, Timestamp};
use crate::error::{Error, Result};
use crate::keeper::protocol::Attempt;
use crate::shown::counted;
use crate::store::{Cancelled, JobFilter, Reader, RunFilter, RunView, Writer};

pub const WHAT: &str = "cancel";

/// Cancel jobs or runs
///
/// A waiting run is dropped. All processes of a running run get TERM, and KILL
/// after its --kill-after; it ends when the last of them has ended. A cancelled
/// job also stops firing, and its name is free for another job. To cancel
/// something that has finished is an error.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    override_usage = "\
taskq cancel JOB|RUN... [--now] [--wait] [--json]
       taskq cancel [--queue QUEUE] [--tag TAG] [--now] [--wait] [--json]
       taskq cancel --all [--yes] [--now] [--wait] [--json]",
    after_help = "\
Examples:
  taskq cancel backup.3
  taskq cancel --tag nightly --now"
)]
pub struct CancelArgs {
    #[command(flatten)]
    pub selection: Selection,

    /// KILL at once, without TERM
    #[arg(long)]
    pub now: bool,

    /// Return when the running runs have ended
    #[arg(long)]
    pub wait: bool,

    /// With --all: cancel recurring jobs without a question
    #[arg(long, requires = "all")]
    pub yes: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Cancels the named jobs and runs, or the selected jobs.
pub fn run(context: &Context<'_>, args: &CancelArgs) -> Result<u8> {
    if args.selection.all && !args.yes && !may_cancel_all(context)? {
        return Ok(1);
    }
    // Before anything is cancelled, as the other means of a wait can be refused.
    let waiting = args.wait.then(|| Waiting::new(context, WHAT, None)).transpose()?;
    let now = context.now();
    let cancel = |writer: &Writer<'_>| {
        let mut cancel =
            Cancel { writer, kill_now: args.now, now, stops: Vec::new(), done: CancelJson::default() };
        for (target, text) in chosen(writer, &args.selection)? {
            match (target, text) {
                (Target::Run(run), _) => cancel.run(run)?,
                (Target::Indices(job, first, last), text) => {
                    cancel.indices(job, (first, last), text.unwrap_or_default())?;
                }
                (Target::Job(job), None) => cancel.job(job)?,
                (Target::Job(job), Some(text)) if writer.is_done(job)? => {
                    return Err(Error::conflict(format!("cancel job `{text}`"), "it is already done").into());
                }
                (Target::Job(job), Some(_)) => cancel.job(job)?,
            }
        }
        Ok((cancel.done, cancel.stops))
    };
    let (done, stops) = match context.try_change(WHAT, cancel)? {
        Err(Failure::Store(error)) if error.is_passing() => {
            return stop_without_store(context, args, error.during(WHAT));
        }
        written => written.map_err(|failure| failure.during(WHAT))?,
    };
    if args.json {
        context.output.json(&document(&done))?;
    } else if args.selection.targets.is_empty() && done.jobs.is_empty() {
        context.output.talk("there is nothing to cancel");
    } else {
        context.output.confirm(&done.sentence());
    }
    if !stops.is_empty() && running_daemon(&context.dir).is_none() {
        // The keeper stops them. The wish is on disk in any case.
        context.output.talk(match order_at_once(&context.dir, &stops) {
            Ok(_) => "no daemon is running: the runs are being stopped, and the next daemon records it",
            Err(_) => "no daemon is running: the runs are stopped when one starts",
        });
    }
    if let Some(mut waiting) = waiting {
        waiting.show_progress(done.stopping.len(), None);
        let stopping: Vec<FireId> = done.stopping.iter().map(|run| FireId::Run(*run)).collect();
        waiting.until(|reader| all_finished(reader, &stopping))?;
    }
    Ok(0)
}

/// Asks a person on a terminal before recurring jobs go, as nothing brings them back.
fn may_cancel_all(context: &Context<'_>) -> Result<bool> {
    let streams = context.output.streams();
    if !(streams.stdin_is_terminal && streams.stderr_is_terminal) {
        return Ok(true);
    }
    let jobs = context.read(WHAT, |reader| Ok(reader.jobs(&JobFilter::default())?))?;
    let recurring = jobs.iter().filter(|job| job.is_recurring()).count();
    if recurring == 0 {
        return Ok(true);
    }
    let question = format!("cancel {} for good? (y/n) ", counted(recurring, "recurring job"));
    is_confirmed(context.output, &question, |question| {
        context.output.prompt(question);
        Ok(())
    })
}

/// Returns the named jobs and runs, each with its text, or the selected jobs.
fn chosen<'a>(
    reader: &Reader<'_>,
    selection: &'a Selection,
) -> Result<Vec<(Target, Option<&'a str>)>, Failure> {
    if !selection.targets.is_empty() {
        let find = |text: &'a String| Ok((target::find(reader, "cancel", text)?, Some(text.as_str())));
        return selection.targets.iter().map(find).collect();
    }
    let (queue, tag) = selection.queue_and_tag(reader, WHAT)?;
    let jobs = reader.jobs(&JobFilter { tag, queue, ..JobFilter::default() })?;
    Ok(jobs.into_iter().map(|job| (Target::Job(job.id), None)).collect())
}

/// Stops running runs although the store cannot be written: such a run may be filling the disk. Everything
/// else needs the store; `error` says why it cannot be written.
fn stop_without_store(context: &Context<'_>, args: &CancelArgs, error: Error) -> Result<u8> {
    let (runs, is_more) = context.read(WHAT, |reader| {
        let (mut runs, mut is_more) = (Vec::new(), false);
        for (target, _) in chosen(reader, &args.selection)? {
            match target {
                Target::Run(run) => {
                    runs.extend(reader.run(run)?.filter(|run| run.state != RunState::Finished));
                }
                Target::Indices(job, first, last) => {
                    for (_, run) in reader.runs_of_indices(job, first, last)? {
                        runs.extend(reader.run(run)?.filter(|run| run.state != RunState::Finished));
                    }
                    is_more |= reader.has_rest_within(job, first, last)?;
                }
                Target::Job(job) => {
                    let filter = RunFilter { job: Some(job), unfinished: true, ..RunFilter::default() };
                    runs.extend(reader.runs(&filter)?);
                    is_more |= reader.has_rest_within(job, 0, u32::MAX)?;
                    is_more |= reader.triggers(job)?.iter().any(|trigger| trigger.next_at.is_some());
                }
            }
        }
        Ok((runs, is_more))
    })?;
    let (running, waiting): (Vec<RunView>, Vec<RunView>) =
        runs.into_iter().partition(|run| run.state == RunState::Running);
    let stops: Vec<AtOnce> = running.iter().map(|run| stop(run.run, run.attempt, args.now)).collect();
    if stops.is_empty() || order_at_once(&context.dir, &stops).is_err() {
        return Err(error);
    }
    let names = running.iter().map(|run| run.run.to_string()).collect::<Vec<_>>().join(", ");
    if is_more || !waiting.is_empty() {
        return Err(error.hint(format!("only the running runs are being stopped ({names}): try again")));
    }
    context.output.talk(&format!("{}; stopping {names}, to be recorded later", error.cause));
    Ok(0)
}

fn stop(run: RunId, attempt: u32, now: bool) -> AtOnce {
    AtOnce::Stop { attempt: Attempt::of_run(run, attempt), now }
}

#[derive(Debug, Default, Serialize)]
struct CancelJson {
    jobs: Vec<JobId>,
    #[serde(serialize_with = "as_texts")]
    dropped: Vec<RunId>,
    #[serde(serialize_with = "as_texts")]
    stopping: Vec<RunId>,
    /// How many indices of arrays were dropped that had no run yet.
    indices: u32,
}

fn as_texts<S: Serializer>(runs: &[RunId], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_seq(runs.iter().map(ToString::to_string))
}

impl CancelJson {
    /// Returns what was done, for a person: `cancelled 3 jobs; 1 run is being stopped`.
    fn sentence(&self) -> String {
        let waiting = self.dropped.len() + self.indices as usize;
        let cancelled = match self.jobs.as_slice() {
            [] if waiting == 0 => None,
            [] => Some(counted(waiting, "waiting run")),
            [job] => Some(format!("job {job}")),
            jobs => Some(counted(jobs.len(), "job")),
        };
        let stopping = match self.stopping.as_slice() {
            [] => None,
            [run] => Some(format!("run {run} is being stopped")),
            runs => Some(format!("{} runs are being stopped", runs.len())),
        };
        let parts = [cancelled.map(|what| format!("cancelled {what}")), stopping];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

struct Cancel<'a> {
    writer: &'a Writer<'a>,
    kill_now: bool,
    now: Timestamp,
    stops: Vec<AtOnce>,
    done: CancelJson,
}

impl Cancel<'_> {
    fn run(&mut self, run: RunId) -> Result<(), Failure> {
        match self.writer.cancel_run(run, self.kill_now, self.now)? {
            Cancelled::Dropped => self.done.dropped.push(run),
            Cancelled::Stopping => {
                self.done.stopping.push(run);
                self.stops.extend(self.writer.run(run)?.map(|view| stop(run, view.attempt, self.kill_now)));
            }
            Cancelled::AlreadyFinished => {
                return Err(Error::conflict(format!("cancel run `{run}`"), "it has already finished").into());
            }
        }
        Ok(())
    }

    /// Ends the runs of indices, and drops those that have none yet.
    fn indices(&mut self, job: JobId, (first, last): (u32, u32), text: &str) -> Result<(), Failure> {
        let before = (self.done.dropped.len(), self.done.stopping.len());
        let dropped = self.writer.cancel_indices(job, (first, last), None, self.now)?;
        self.done.indices += dropped;
        for (run, _) in self.writer.unfinished_runs(job)? {
            let index = self.writer.run(run)?.and_then(|run| run.index);
            if index.is_some_and(|index| (first..=last).contains(&index)) {
                self.run(run)?;
            }
        }
        if dropped == 0 && before == (self.done.dropped.len(), self.done.stopping.len()) {
            return Err(Error::conflict(format!("cancel `{text}`"), "it has already finished").into());
        }
        Ok(())
    }

    /// Removes a job's fires and ends its runs.
    fn job(&mut self, job: JobId) -> Result<(), Failure> {
        self.writer.disarm(job)?;
        self.done.indices += self.writer.cancel_indices(job, (0, u32::MAX), None, self.now)?;
        for (run, _) in self.writer.unfinished_runs(job)? {
            self.run(run)?;
        }
        self.done.jobs.push(job);
        Ok(())
    }
}
