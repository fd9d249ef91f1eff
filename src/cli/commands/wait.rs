//! Owns: `taskq wait`.
//! Never: polling.

use clap::Args;

use crate::cli::args::Selection;
use crate::cli::context::{Context, Failure, parse_failure};
use crate::cli::target::{self, Target};
use crate::cli::view::ending::{Ended, answer_json, conclude};
use crate::cli::waiting::{Left, Waiting, unlearned};
use crate::domain::{JobId, JobKey, JobState, RunId, RunState, Span, Timestamp, TriggerKind};
use crate::error::{Error, Result};
use crate::schedule::parse_span;
use crate::store::{JobFilter, Reader, RunFilter, RunView, StoreResult};

pub const WHAT: &str = "wait";

/// The exit code after a timeout, as with timeout(1).
const TIMED_OUT: u8 = 124;

/// Wait until jobs or runs have ended
///
/// Waits until none of their runs is queued, running or retrying. For a named job
/// that runs once at a later time, it waits until that run has ended.
///
/// A named job, and each job with the TAG of --tag, is judged by its latest run,
/// also if that ended before. With --queue and --all, the runs are judged that
/// were unfinished at first, and those that came during the wait.
///
/// The exit status of one run is the run's own: its exit code, 128+N after
/// signal N, 124 timed out, 125 taskq could not run it, 126 not executable,
/// 127 not found, 130 cancelled. Of several runs it is 0 if all succeeded,
/// else 1, and a message names those that did not. After --timeout it is 124.
///
/// It is 3 if taskq cannot find out how a run ends: the daemon is not running
/// or cannot be reached, or the system refuses descriptors or memory. A message
/// says so; running jobs continue.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    override_usage = "\
taskq wait JOB|RUN... [--any] [--timeout SPAN] [--json]
       taskq wait [--queue QUEUE] [--tag TAG] [--any] [--timeout SPAN] [--json]
       taskq wait --all [--any] [--timeout SPAN] [--json]",
    after_help = "\
Examples:
  taskq wait $(taskq add make)
  taskq wait --queue gpu --timeout 2h"
)]
pub struct WaitArgs {
    #[command(flatten)]
    pub selection: Selection,

    /// Only until the first of them has ended, and print its id
    #[arg(long)]
    pub any: bool,

    /// Give up after SPAN, with exit status 124; default: never
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

/// Returns how long a run takes yet, if it takes as long as is expected of its job and needs not wait.
fn expected_left(reader: &Reader<'_>, run: &RunView, now: Timestamp) -> StoreResult<Option<Span>> {
    let ran = run.started_at.map_or(Span::ZERO, |at| now.since(at));
    let left = |expected: Span| Span::from_micros(expected.as_micros().saturating_sub(ran.as_micros()));
    Ok(reader.expected_of(run.run.job)?.map(left))
}

fn wait_named(context: &Context<'_>, args: &WaitArgs, timeout: Option<Span>) -> Result<u8> {
    let targets: Vec<Target> = context.read(WHAT, |reader| {
        args.selection.targets.iter().map(|text| target::find(reader, "wait for", text)).collect()
    })?;
    let (mut waiting, now) = (Waiting::new(context, WHAT, timeout)?, context.now());
    let (obstacles, total, expected) = waiting.read(|reader| {
        let mut unfinished = Vec::new();
        let mut jobs = Vec::new();
        let mut total = 0;
        for target in &targets {
            match target {
                Target::Run(run) => {
                    unfinished.extend(reader.run(*run)?.filter(|run| run.state != RunState::Finished));
                    total += 1;
                }
                Target::Job(job) => {
                    unfinished.extend(reader.runs(&unfinished_of(*job))?);
                    jobs.push(*job);
                    total += (reader.open_indices(*job)? as usize).max(1);
                }
                Target::Indices(job, ..) => {
                    jobs.push(*job);
                    total += 1;
                }
            }
        }
        let expected = match unfinished.as_slice() {
            [run] if total == 1 => expected_left(reader, run, now)?,
            _ => None,
        };
        Ok((obstacles(reader, &unfinished, &jobs)?, total, expected))
    })?;
    waiting.tell_while_waiting(obstacles);
    waiting.show_progress(total, expected);
    let ended = waiting.until(|reader| {
        let mut ended = Vec::new();
        let mut left = 0;
        for target in &targets {
            let one = match target {
                Target::Run(run) => ended_run(reader, *run)?,
                Target::Job(job) => ended_job(reader, *job)?,
                Target::Indices(job, first, last) => {
                    ended_indices(reader, *job, (*first, *last), &mut ended)?
                }
            };
            match one {
                Standing::Ended(one) => ended.push(one),
                Standing::NothingToJudge => {}
                Standing::Unfinished(runs) => left += runs,
            }
        }
        Ok(if args.any && !ended.is_empty() {
            Left::Nothing(first_of(ended))
        } else if left == 0 {
            Left::Nothing(ended)
        } else {
            Left::Runs(left)
        })
    })?;
    answer(context, args, ended)
}

/// How far something is that is waited for.
enum Standing {
    /// So many runs have not ended.
    Unfinished(usize),
    Ended(Ended),
    /// It has no run, and none is to be waited for.
    NothingToJudge,
}

fn ended_run(reader: &Reader<'_>, run: RunId) -> StoreResult<Standing> {
    Ok(match reader.run(run)? {
        Some(view) if view.state == RunState::Finished => Standing::Ended(Ended::Run(Box::new(view))),
        Some(_) => Standing::Unfinished(1),
        None => Standing::NothingToJudge,
    })
}

/// Judges a job by its latest run, unless a run or a one-shot fire of it is still to come.
fn ended_job(reader: &Reader<'_>, job: JobId) -> StoreResult<Standing> {
    if reader.has_runs(&unfinished_of(job))? || reader.has_one_shot_fire(job)? {
        return Ok(Standing::Unfinished((reader.open_indices(job)? as usize).max(1)));
    }
    let filter = RunFilter { job: Some(job), no_callbacks: true, limit: Some(1), ..RunFilter::default() };
    Ok(match reader.runs(&filter)?.pop() {
        Some(run) => Standing::Ended(whole(reader, run)?),
        // It was removed.
        None if reader.find_job(&JobKey::Id(job))?.is_none() => Standing::NothingToJudge,
        None if reader.is_done(job)? => Standing::Ended(Ended::Cancelled(job)),
        None => Standing::NothingToJudge,
    })
}

/// Returns the array that a run belongs to, or the run itself.
fn whole(reader: &Reader<'_>, run: RunView) -> StoreResult<Ended> {
    let array = run.array.map_or(Ok(None), |array| reader.array(array))?;
    Ok(match array {
        Some(array) => Ended::Array(run.run.job, array),
        None => Ended::Run(Box::new(run)),
    })
}

/// Adds the latest runs of these indices to `ended`, if all of them have ended.
fn ended_indices(
    reader: &Reader<'_>,
    job: JobId,
    (first, last): (u32, u32),
    ended: &mut Vec<Ended>,
) -> StoreResult<Standing> {
    let mut runs = Vec::new();
    for (_, run) in reader.runs_of_indices(job, first, last)? {
        runs.extend(reader.run(run)?);
    }
    let unfinished = runs.iter().filter(|run| run.state != RunState::Finished).count();
    if unfinished > 0 || reader.has_rest_within(job, first, last)? {
        return Ok(Standing::Unfinished(unfinished.max(1)));
    }
    ended.extend(runs.into_iter().map(|run| Ended::Run(Box::new(run))));
    Ok(Standing::NothingToJudge)
}

/// Returns the one that ended first.
fn first_of(ended: Vec<Ended>) -> Vec<Ended> {
    let finished_at = |ended: &Ended| match ended {
        Ended::Run(run) => run.finished_at,
        Ended::Array(_, array) => array.finished_at,
        Ended::Cancelled(_) => None,
    };
    ended.into_iter().min_by_key(finished_at).into_iter().collect()
}

fn unfinished_of(job: JobId) -> RunFilter {
    RunFilter { job: Some(job), unfinished: true, ..RunFilter::default() }
}

/// The runs of a queue, of the jobs with a tag, or all.
struct Scope {
    unfinished: RunFilter,
    /// All jobs with the tag; `None`: no tag is given.
    tagged: Option<JobFilter>,
}

fn scope(reader: &Reader<'_>, selection: &Selection) -> Result<Scope, Failure> {
    let (queue, tag) = selection.queue_and_tag(reader, WHAT)?;
    let tagged = tag.clone().map(|tag| JobFilter {
        tag: Some(tag),
        queue: queue.clone(),
        done_too: true,
        ..JobFilter::default()
    });
    if let (Some(tagged), Some(tag)) = (&tagged, &tag)
        && reader.jobs(&JobFilter { limit: Some(1), ..tagged.clone() })?.is_empty()
    {
        return Err(Error::not_found(WHAT, format!("no job has the tag `{tag}`"))
            .hint("see the tags with `taskq list --all --json`")
            .into());
    }
    Ok(Scope { unfinished: RunFilter { queue, tag, unfinished: true, ..RunFilter::default() }, tagged })
}

fn wait_selected(context: &Context<'_>, args: &WaitArgs, timeout: Option<Span>) -> Result<u8> {
    let Scope { unfinished, tagged } = context.read(WHAT, |reader| scope(reader, &args.selection))?;
    if !context.has_store(WHAT)? {
        // There is no directory to wait in, and no run to wait for.
        return answer(context, args, Some(Vec::new()));
    }
    let mut waiting = Waiting::new(context, WHAT, timeout)?;
    let (first, newest, obstacles) = waiting.read(|reader| {
        let runs = reader.runs(&unfinished)?;
        let obstacles = obstacles(reader, &runs, &[])?;
        Ok((runs.iter().map(|run| run.run).collect::<Vec<RunId>>(), reader.newest_run()?, obstacles))
    })?;
    waiting.tell_while_waiting(obstacles);
    waiting.show_progress(first.len(), None);
    let is_shown = waiting.is_progress_shown();
    let ended_so_far = |reader: &Reader<'_>| match &tagged {
        Some(tagged) => judged(reader, tagged),
        None => {
            // The runs from the beginning of the wait, and those that came later.
            // They say nothing of their callbacks.
            let mut ended = ended_of(reader, &first)?;
            let later = RunFilter {
                after: Some(newest),
                unfinished: false,
                no_callbacks: true,
                ..unfinished.clone()
            };
            let later = reader.runs(&later)?.into_iter().filter(|run| run.state == RunState::Finished);
            ended.extend(later.map(|run| Ended::Run(Box::new(run))));
            Ok(ended)
        }
    };
    let ended = waiting.until(|reader| {
        if args.any {
            let ended = ended_so_far(reader)?;
            if !ended.is_empty() {
                return Ok(Left::Nothing(first_of(ended)));
            }
        }
        if reader.has_runs(&unfinished)? {
            // Counting takes time: only do it for a progress bar.
            return Ok(Left::Runs(if is_shown { reader.count_runs(&unfinished)? } else { 1 }));
        }
        Ok(Left::Nothing(ended_so_far(reader)?))
    })?;
    answer(context, args, ended)
}

/// Returns those of the runs that have ended.
fn ended_of(reader: &Reader<'_>, runs: &[RunId]) -> StoreResult<Vec<Ended>> {
    let mut ended = Vec::new();
    for run in runs {
        match ended_run(reader, *run)? {
            Standing::Ended(Ended::Run(run)) if run.trigger == TriggerKind::Callback => {}
            Standing::Ended(one) => ended.push(one),
            Standing::Unfinished(_) | Standing::NothingToJudge => {}
        }
    }
    Ok(ended)
}

/// Judges each job by its latest run. Leaves out jobs with an unfinished run, and jobs whose first run is
/// still to come.
fn judged(reader: &Reader<'_>, jobs: &JobFilter) -> StoreResult<Vec<Ended>> {
    let mut ended = Vec::new();
    for job in reader.jobs(jobs)? {
        match (job.state, job.last) {
            (JobState::Queued | JobState::Blocked | JobState::Running, _) => {}
            (_, Some((run, ..))) => {
                ended.extend(reader.run(run)?.map(|run| whole(reader, run)).transpose()?);
            }
            (JobState::Done, None) => ended.push(Ended::Cancelled(job.id)),
            (JobState::Scheduled | JobState::Paused, None) => {}
        }
    }
    Ok(ended)
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

fn answer(context: &Context<'_>, args: &WaitArgs, ended: Option<Vec<Ended>>) -> Result<u8> {
    let Some(ended) = ended else {
        context.output.talk("timed out; the jobs keep running");
        return Ok(TIMED_OUT);
    };
    if args.json {
        answer_json(context, &ended)?;
    } else if let (true, Some(first)) = (args.any, ended.first()) {
        context.output.answer(&match first {
            Ended::Run(run) => run.run.to_string(),
            Ended::Cancelled(job) | Ended::Array(job, _) => job.to_string(),
        })?;
    }
    Ok(conclude(context, &ended))
}
