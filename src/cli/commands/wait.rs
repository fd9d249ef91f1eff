//! Owns: `taskq wait`.
//! Never: polling.

use clap::Args;

use crate::cli::args::Selection;
use crate::cli::context::{Context, parse_failure};
use crate::cli::target::{self, Target};
use crate::cli::view::ending::conclude;
use crate::cli::view::json::{RunJson, Runs, document};
use crate::cli::waiting::{Left, Waiting, unlearned};
use crate::domain::{JobId, RunId, RunState, Span};
use crate::error::Result;
use crate::schedule::parse_span;
use crate::store::{Reader, RunFilter, RunView, StoreResult};

pub const WHAT: &str = "wait";

/// The exit code after a timeout, as with timeout(1).
const TIMED_OUT: u8 = 124;

/// Wait until jobs or runs have ended
///
/// Waits until none of their runs is queued or running. For a named job that
/// runs once at a later time, it waits until that run has ended.
///
/// The exit status of one run is the run's own: its exit code, 128+N after
/// signal N, 124 timed out, 125 taskq could not run it, 126 not executable,
/// 127 not found, 130 cancelled. Of several runs it is 0 if all succeeded,
/// else 1. After --timeout it is 124.
///
/// It is 3 if taskq cannot find out how a run ends: the daemon is not running
/// or cannot be reached, or the system refuses descriptors or memory. A message
/// says so; running jobs continue.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
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
    #[command(flatten)]
    pub selection: Selection,

    /// Give up after SPAN, with exit status 124 (never)
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true)]
    pub timeout: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Waits, and returns the status of the runs.
pub fn run(context: &Context<'_>, args: &WaitArgs) -> Result<u8> {
    let timeout = args.timeout.as_ref().map(|text| parse_span(text)).transpose();
    let timeout = timeout.map_err(|error| parse_failure(WHAT, error))?;
    let waited = if args.selection.targets.is_empty() {
        wait_selected(context, args, timeout)
    } else {
        wait_named(context, args, timeout)
    };
    waited.map_err(unlearned)
}

fn wait_named(context: &Context<'_>, args: &WaitArgs, timeout: Option<Span>) -> Result<u8> {
    let targets: Vec<Target> = context.read(WHAT, |reader| {
        args.selection.targets.iter().map(|text| target::find(reader, "wait for", text)).collect()
    })?;
    let mut waiting = Waiting::new(context, WHAT, timeout)?;
    let obstacles = waiting.read(|reader| {
        let mut unfinished = Vec::new();
        let mut jobs = Vec::new();
        for target in &targets {
            match target {
                Target::Run(run) => {
                    unfinished.extend(reader.run(*run)?.filter(|run| run.state != RunState::Finished));
                }
                Target::Job(job) => {
                    unfinished.extend(reader.runs(&unfinished_of(*job))?);
                    jobs.push(*job);
                }
            }
        }
        obstacles(reader, &unfinished, &jobs)
    })?;
    waiting.tell_while_waiting(obstacles);
    waiting.show_progress(targets.len());
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
        Ok(if left == 0 { Left::Nothing(runs) } else { Left::Runs(left) })
    })?;
    answer(context, args.json, ended)
}

fn unfinished_of(job: JobId) -> RunFilter {
    RunFilter { job: Some(job), unfinished: true, ..RunFilter::default() }
}

/// Returns the latest run of a job; `None` while a run or a one-shot fire of it is still to come.
fn ended_job(reader: &Reader<'_>, job: JobId) -> StoreResult<Option<Option<RunView>>> {
    if reader.has_runs(&unfinished_of(job))? || reader.has_one_shot_fire(job)? {
        return Ok(None);
    }
    let filter = RunFilter { job: Some(job), limit: Some(1), ..RunFilter::default() };
    Ok(Some(reader.runs(&filter)?.pop()))
}

fn wait_selected(context: &Context<'_>, args: &WaitArgs, timeout: Option<Span>) -> Result<u8> {
    let filter = context.read(WHAT, |reader| {
        let (queue, tag) = args.selection.queue_and_tag(reader, WHAT)?;
        Ok(RunFilter { queue, tag, unfinished: true, ..RunFilter::default() })
    })?;
    if !context.has_store(WHAT)? {
        // There is no directory to wait in, and no run to wait for.
        return answer(context, args.json, Some(Vec::new()));
    }
    let mut waiting = Waiting::new(context, WHAT, timeout)?;
    let (first, newest, obstacles) = waiting.read(|reader| {
        let runs = reader.runs(&filter)?;
        let obstacles = obstacles(reader, &runs, &[])?;
        Ok((runs.iter().map(|run| run.run).collect::<Vec<RunId>>(), reader.newest_run()?, obstacles))
    })?;
    waiting.tell_while_waiting(obstacles);
    waiting.show_progress(first.len());
    let is_shown = waiting.is_progress_shown();
    let ended = waiting.until(|reader| {
        if reader.has_runs(&filter)? {
            // Counting takes time: only do it for a progress bar.
            return Ok(Left::Runs(if is_shown { reader.count_runs(&filter)? } else { 1 }));
        }
        // The runs from the beginning of the wait, and those that came later.
        let mut runs = Vec::new();
        for run in &first {
            runs.extend(reader.run(*run)?);
        }
        runs.extend(reader.runs(&RunFilter { after: Some(newest), unfinished: false, ..filter.clone() })?);
        Ok(Left::Nothing(runs))
    })?;
    answer(context, args.json, ended)
}

/// Returns a line for each paused job or queue that these runs, or the one-shot fires of these jobs, wait
/// for.
fn obstacles(reader: &Reader<'_>, runs: &[RunView], jobs: &[JobId]) -> StoreResult<Vec<String>> {
    const NAMED_MAX: usize = 5;
    let mut paused: Vec<JobId> = runs.iter().filter(|run| run.held).map(|run| run.run.job).collect();
    for job in jobs {
        if reader.is_paused(*job)? && reader.has_one_shot_fire(*job)? {
            paused.push(*job);
        }
    }
    paused.sort();
    paused.dedup();
    let mut lines = Vec::new();
    match paused.as_slice() {
        [] => {}
        [job] => lines.push(format!("job {job} is paused; resume it with `taskq resume {job}`")),
        jobs if jobs.len() <= NAMED_MAX => {
            let ids = jobs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            lines.push(format!("{} jobs are paused; resume them with `taskq resume {ids}`", jobs.len()));
        }
        jobs => lines.push(format!("{} jobs are paused; see `taskq list --state paused`", jobs.len())),
    }
    for queue in reader.queues()?.iter().filter(|queue| queue.paused_at.is_some()) {
        if runs.iter().any(|run| run.queue == queue.name && run.state == RunState::Queued) {
            lines.push(format!(
                "queue `{0}` is paused; resume it with `taskq resume --queue {0}`",
                queue.name
            ));
        }
    }
    Ok(lines)
}

fn answer(context: &Context<'_>, json: bool, ended: Option<Vec<RunView>>) -> Result<u8> {
    let Some(runs) = ended else {
        context.output.talk("timed out; the jobs keep running");
        return Ok(TIMED_OUT);
    };
    if json {
        context.output.json(&document(Runs { runs: runs.iter().map(RunJson::from).collect() }))?;
    }
    Ok(conclude(context, &runs))
}
