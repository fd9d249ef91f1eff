//! Owns: `taskq cancel`.
//! Never: sending a signal (see `keeper`).

use clap::Args;

use serde::Serialize;

use crate::cli::args::Selection;
use crate::cli::context::{Context, Failure};
use crate::cli::target::{self, Target};
use crate::cli::view::json::document;
use crate::daemon::{Stop, running_daemon, stop_at_once};
use crate::domain::{JobId, RunId, RunState, Timestamp};
use crate::error::{Error, Result};
use crate::keeper::protocol::Attempt;
use crate::store::{Cancelled, JobFilter, Reader, RunFilter, RunView, Writer};

pub const WHAT: &str = "cancel";

/// Cancel jobs or runs
///
/// A waiting run is dropped. The process group of a running run gets TERM, and
/// KILL after its --kill-after. A cancelled job also stops firing. To cancel
/// something that has finished is an error.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
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
    #[command(flatten)]
    pub selection: Selection,

    /// KILL at once, without TERM
    #[arg(long)]
    pub now: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Cancels the named jobs and runs, or the selected jobs.
pub fn run(context: &Context<'_>, args: &CancelArgs) -> Result<u8> {
    let now = context.now();
    let cancel = |writer: &Writer<'_>| {
        let mut cancel =
            Cancel { writer, kill_now: args.now, now, stops: Vec::new(), done: CancelJson::default() };
        for (target, text) in chosen(writer, &args.selection)? {
            match (target, text) {
                (Target::Run(run), _) => cancel.run(run)?,
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
    }
    if !stops.is_empty() && running_daemon(&context.dir).is_none() {
        // The keeper stops them. The wish is on disk in any case.
        context.output.talk(match stop_at_once(&context.dir, &stops) {
            Ok(_) => "no daemon is running: the runs are being stopped, and the next daemon records it",
            Err(_) => "no daemon is running: the runs are stopped when one starts",
        });
    }
    Ok(0)
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
        return Err(error.hint(format!("only the running runs are being stopped ({names}): try again")));
    }
    context.output.talk(&format!("{}; stopping {names}, to be recorded later", error.cause));
    Ok(0)
}

fn stop(run: RunId, attempt: u32, now: bool) -> Stop {
    Stop { attempt: Attempt::of_run(run, attempt), now }
}

#[derive(Debug, Default, Serialize)]
struct CancelJson {
    jobs: Vec<JobId>,
    dropped: Vec<String>,
    stopping: Vec<String>,
}

struct Cancel<'a> {
    writer: &'a Writer<'a>,
    kill_now: bool,
    now: Timestamp,
    stops: Vec<Stop>,
    done: CancelJson,
}

impl Cancel<'_> {
    fn run(&mut self, run: RunId) -> Result<(), Failure> {
        match self.writer.cancel_run(run, self.kill_now, self.now)? {
            Cancelled::Dropped => self.done.dropped.push(run.to_string()),
            Cancelled::Stopping => {
                self.done.stopping.push(run.to_string());
                self.stops.extend(self.writer.run(run)?.map(|view| stop(run, view.attempt, self.kill_now)));
            }
            Cancelled::AlreadyFinished => {
                return Err(Error::conflict(format!("cancel run `{run}`"), "it has already finished").into());
            }
        }
        Ok(())
    }

    /// Removes a job's fires and ends its runs.
    fn job(&mut self, job: JobId) -> Result<(), Failure> {
        self.writer.disarm(job)?;
        for (run, _) in self.writer.unfinished_runs(job)? {
            self.run(run)?;
        }
        self.done.jobs.push(job);
        Ok(())
    }
}
