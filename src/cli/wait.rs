//! Owns: `taskq wait`.
//! Never: polling.

use clap::{ArgGroup, Args};

use indicatif::{ProgressBar, ProgressStyle};

use super::context::{Context, Failure, parse_failure};
use super::report::{RunJson, Runs, document, exit_status};
use super::target::{self, Target};
use super::waiting::Waiting;
use crate::domain::{JobId, QueueName, RunId, RunState, Span, Tag};
use crate::error::{Error, Result};
use crate::schedule::parse_span;
use crate::store::{Reader, RunFilter, RunView, StoreResult};

/// The exit code where the time was over first, as timeout(1) has it.
const TIMED_OUT: u8 = 124;

/// Wait until jobs or runs have ended
///
/// Waits until none of their runs is queued or running. A job named here that
/// runs once, at a later time, is waited for until it has run.
///
/// The exit status is the run's own if there is one: its exit code, 128+N
/// after signal N, 124 timed out, 125 taskq could not run it, 126 not
/// executable, 127 not found, 130 cancelled. Of several: 0 if all succeeded,
/// else 1. When the --timeout is over: 124.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    group = ArgGroup::new("which").args(["targets", "queue", "tag", "all"]).required(true).multiple(true),
    override_usage = "\
taskq wait JOB|RUN... [--timeout SPAN] [--json]
       taskq wait [--queue QUEUE] [--tag TAG] [--timeout SPAN] [--json]
       taskq wait --all [--timeout SPAN] [--json]",
    after_help = "\
Examples:
  taskq wait $(taskq add make)
  taskq wait --queue gpu --timeout 2h"
)]
pub struct WaitArgs {
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

    /// Give up after SPAN, with exit status 124 (never)
    #[arg(long, value_name = "SPAN")]
    pub timeout: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Waits, and ends with the status of what was waited for.
pub fn run(context: &Context<'_>, args: &WaitArgs) -> Result<u8> {
    const WHAT: &str = "wait";
    let timeout = args.timeout.as_ref().map(|text| parse_span(text)).transpose();
    let timeout = timeout.map_err(|error| parse_failure(WHAT, error))?;
    if args.targets.is_empty() { wait_selected(context, args, timeout) } else { wait_named(context, args, timeout) }
}

fn wait_named(context: &Context<'_>, args: &WaitArgs, timeout: Option<Span>) -> Result<u8> {
    let targets = context.look("wait", |reader| {
        args.targets.iter().map(|text| target::find(reader, "wait for", text)).collect::<Result<Vec<Target>, Failure>>()
    })?;
    let mut waiting = Waiting::new(context, "wait", timeout)?;
    let bar = Bar::new(context, targets.len());
    let ended = waiting.until(|reader| {
        let mut runs = Vec::new();
        let mut left = 0;
        for target in &targets {
            match target {
                Target::Run(run) => match reader.run(*run)? {
                    Some(view) if view.state == RunState::Finished => runs.push(view),
                    Some(_) => left += 1,
                    None => {}
                },
                Target::Job(job) => match ended_job(reader, *job)? {
                    Some(last) => runs.extend(last),
                    None => left += 1,
                },
            }
        }
        bar.show(left);
        Ok((left == 0).then_some(runs))
    })?;
    bar.clear();
    answer(context, args.json, ended)
}

/// Returns the latest run of a job that has ended; `None` while it has a run, or a one-shot fire, to come.
fn ended_job(reader: &Reader<'_>, job: JobId) -> StoreResult<Option<Option<RunView>>> {
    let unfinished = RunFilter { job: Some(job), unfinished: true, ..RunFilter::default() };
    if reader.has_runs(&unfinished)? || reader.has_one_shot_fire(job)? {
        return Ok(None);
    }
    let filter = RunFilter { job: Some(job), limit: Some(1), ..RunFilter::default() };
    Ok(Some(reader.runs(&filter)?.pop()))
}

fn wait_selected(context: &Context<'_>, args: &WaitArgs, timeout: Option<Span>) -> Result<u8> {
    const WHAT: &str = "wait";
    let usage = |error| Error::usage(WHAT, error);
    let filter = RunFilter {
        queue: args.queue.as_ref().map(|queue| queue.parse::<QueueName>()).transpose().map_err(usage)?,
        tag: args.tag.as_ref().map(|tag| tag.parse::<Tag>()).transpose().map_err(usage)?,
        unfinished: true,
        ..RunFilter::default()
    };
    let mut waiting = Waiting::new(context, WHAT, timeout)?;
    let (first, newest) = waiting.read(|reader| {
        let runs: Vec<RunId> = reader.runs(&filter)?.iter().map(|run| run.run).collect();
        Ok((runs, reader.newest_run()?))
    })?;
    let bar = Bar::new(context, first.len());
    let ended = waiting.until(|reader| {
        if bar.is_visible() {
            bar.show(reader.count_runs(&filter)?);
        }
        if reader.has_runs(&filter)? {
            return Ok(None);
        }
        // Those that were there at the beginning, and those that came meanwhile.
        let mut runs = Vec::new();
        for run in &first {
            runs.extend(reader.run(*run)?);
        }
        runs.extend(reader.runs(&RunFilter { after: Some(newest), unfinished: false, ..filter.clone() })?);
        Ok(Some(runs))
    })?;
    bar.clear();
    answer(context, args.json, ended)
}

fn answer(context: &Context<'_>, json: bool, ended: Option<Vec<RunView>>) -> Result<u8> {
    let Some(runs) = ended else {
        context.output.talk("the time is over; what was waited for goes on");
        return Ok(TIMED_OUT);
    };
    if json {
        context.output.json(&document(Runs { runs: runs.iter().map(RunJson::from).collect() }))?;
    }
    Ok(match runs.as_slice() {
        [run] => exit_status(run),
        runs => u8::from(runs.iter().any(|run| exit_status(run) != 0)),
    })
}

/// The progress bar on a terminal; elsewhere nothing.
struct Bar(Option<ProgressBar>);

impl Bar {
    fn new(context: &Context<'_>, total: usize) -> Self {
        Self(context.output.streams().stderr_is_terminal.then(|| {
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {per_sec}, {eta} left")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total as u64).with_style(style)
        }))
    }

    fn is_visible(&self) -> bool {
        self.0.is_some()
    }

    fn show(&self, left: usize) {
        if let Some(bar) = &self.0 {
            let left = left as u64;
            // Runs may be added while this waits.
            bar.set_length(bar.length().unwrap_or(0).max(left));
            bar.set_position(bar.length().unwrap_or(0).saturating_sub(left));
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
