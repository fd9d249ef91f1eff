//! Owns: `taskq log`.
//! Never: changing a byte of the output.

use clap::Args;

use crate::cli::args::number;
use crate::cli::context::{Context, Failure};
use crate::cli::target::{self, Target};
use crate::cli::view::ending::ending;
use crate::cli::view::run_output::{
    FOLLOW, Kept, NOT_SPLIT, Outputs, Style, follow, follow_indices, not_split, point_to_stderr, print,
    pruned_text,
};
use crate::cli::waiting::{Waiting, unlearned};
use crate::domain::{JobId, Outcome, RunId};
use crate::error::{Error, Result as TaskResult};
use crate::keeper::protocol::Attempt;
use crate::shown::counted;
use crate::store::{AttemptView, Reader, RunFilter, RunView, Store};

pub const WHAT: &str = "show log";

/// Print the output of a run
///
/// Prints the standard output and standard error of the run, in the order of
/// writing, byte for byte. Of a run with --split-output, it is the standard
/// output alone, and with --stderr the standard error. A JOB means its latest
/// run; of an array, the latest run of each index, in their order. 12/7 is the
/// run of an index, 12/5-9 of several. Of a run with --retries, it is the output
/// of the latest attempt, and with --follow also of those to come. Several
/// outputs are headed as by tail(1), ==> 12.3 backup <==, but not those of an
/// array.
///
/// If the output of a named run was pruned, the command says so and exits with 1.
///
/// With --follow, the exit status is the run's own: its exit code, 128+N after
/// signal N, 124 timed out, 125 taskq could not run it, 126 not executable,
/// 127 not found, 130 cancelled. It is 3 if taskq cannot find out how the run
/// ends; the run continues.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq log backup -n 20
  taskq log -f 12.3"
)]
pub struct LogArgs {
    /// The jobs (of each its latest run), runs or indices
    #[arg(value_name = "JOB|RUN", required = true)]
    pub targets: Vec<String>,

    /// Print new output until the run has ended
    #[arg(short, long)]
    pub follow: bool,

    /// Begin with the last N lines
    #[arg(
        short = 'n',
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = number(0..=u32::MAX)
    )]
    pub tail: Option<u32>,

    /// Print the standard error of a run with --split-output
    #[arg(long)]
    pub stderr: bool,

    /// Begin each line with the time at which it was written
    ///
    /// In the zone of the caller, to the second.
    #[arg(long, verbatim_doc_comment)]
    pub timestamps: bool,

    /// Print the output of every run of a job, the oldest first
    #[arg(long, conflicts_with = "follow")]
    pub all: bool,

    /// Print the output of the N-th attempt of the run
    #[arg(
        long,
        value_name = "N",
        conflicts_with_all = ["follow", "all"],
        allow_negative_numbers = true,
        value_parser = number(1..=u32::MAX)
    )]
    pub attempt: Option<u32>,
}

pub fn run(context: &Context<'_>, args: &LogArgs) -> TaskResult<u8> {
    let shown = show(context, args);
    if args.follow { shown.map_err(unlearned) } else { shown }
}

fn show(context: &Context<'_>, args: &LogArgs) -> TaskResult<u8> {
    if args.follow && args.targets.len() > 1 {
        return Err(Error::usage(FOLLOW, "`--follow` follows one run"));
    }
    let zone = args.timestamps.then(|| context.zone(WHAT)).transpose()?;
    let outputs = if args.stderr { Outputs::Stderr } else { Outputs::Stdout };
    let style = Style { outputs, tail: args.tail, zone: zone.map(|(zone, _)| zone) };
    let mut store = context.open_to_look(WHAT)?;
    let found: Vec<Found> = store
        .read(|reader| args.targets.iter().map(|target| find(reader, target, args.all)).collect())
        .map_err(|failure: Failure| failure.during(WHAT))?;
    if let ([found], true) = (found.as_slice(), args.follow) {
        return match found {
            Found::Runs(runs) => follow(context, Waiting::new(context, FOLLOW, None)?, runs[0], &style),
            Found::Indices(job, range, _) => follow_indices(context, *job, *range, &style),
        };
    }
    print_runs(context, args, &mut store, &found, &style)
}

/// Prints the outputs of runs as they are now, and returns the exit status.
fn print_runs(
    context: &Context<'_>,
    args: &LogArgs,
    store: &mut Store,
    found: &[Found],
    style: &Style,
) -> TaskResult<u8> {
    let (mut shown, mut pruned, mut not_splits) = (0, 0, Vec::new());
    // The outputs of an array are one answer, in the order of the indices.
    let has_heads = found.len() > 1 || matches!(found, [Found::Runs(runs)] if runs.len() > 1);
    let runs = found.iter().flat_map(|found| match found {
        Found::Runs(runs) | Found::Indices(_, _, runs) => runs,
    });
    for run in runs {
        let Seen { view, number, attempt, kept } = store
            .read(|reader| look(reader, *run, args.attempt, style))
            .map_err(|failure: Failure| failure.during(WHAT))?;
        let is_pruned = view.as_ref().is_some_and(|view| view.output_pruned);
        if args.stderr && !is_pruned && attempt.as_ref().is_some_and(|attempt| !attempt.is_split) {
            not_splits.push(*run);
            continue;
        }
        if has_heads {
            let space = if shown == 0 { "" } else { "\n" };
            let name = view.as_ref().and_then(|view| view.name.as_ref());
            let name = name.map_or(String::new(), |name| format!(" {name}"));
            context.output.answer(&format!("{space}==> {run}{name} <==\n"))?;
        }
        shown += 1;
        if is_pruned {
            pruned += 1;
            if !args.all {
                context.output.talk(&pruned_text(*run));
            }
            continue;
        }
        let is_empty = print(context, Attempt::of_run(*run, number), kept, style)?;
        if !is_empty || args.all {
            continue;
        }
        if let (Some(view), Some(attempt), Outputs::Stdout) = (&view, &attempt, style.outputs) {
            point_to_stderr(context, view, attempt);
        }
        // No output: give the reason, if there is one.
        if args.attempt.is_none()
            && let Some(text) = view.as_ref().and_then(ending)
        {
            context.output.talk(&text);
        }
    }
    match not_splits.as_slice() {
        [] => {}
        [run, ..] if shown == 0 => return Err(not_split("show", *run)),
        [run] => context.output.talk(&format!("run {run}: {NOT_SPLIT}")),
        runs => context.output.talk(&format!("{} ran without `--split-output`", counted(runs.len(), "run"))),
    }
    if args.all && pruned > 0 {
        context.output.talk(&format!("the outputs of {} were pruned", counted(pruned, "run")));
    }
    Ok(u8::from(!args.all && (pruned > 0 || !not_splits.is_empty())))
}

/// An attempt of a run, and what the run log has of its output.
struct Seen {
    view: Option<RunView>,
    number: u32,
    /// The attempt, if it has begun.
    attempt: Option<AttemptView>,
    kept: Kept,
}

/// Reads an attempt of a run; without `wanted`, the latest one.
fn look(reader: &Reader<'_>, run: RunId, wanted: Option<u32>, style: &Style) -> Result<Seen, Failure> {
    let view = reader.run(run)?;
    let number = view.as_ref().map_or(Ok(1), |view| attempt_of(view, wanted))?;
    let attempt = view.as_ref().map_or(Ok(None), |view| reader.attempt(view, number))?;
    let kept = Kept::read(reader, run, number, style.outputs.answer(), style.zone.is_some())?;
    Ok(Seen { view, number, attempt, kept })
}

/// Returns the number of the attempt whose output is wanted: the latest one, if none is named.
fn attempt_of(run: &RunView, wanted: Option<u32>) -> Result<u32, Error> {
    let latest = run.last_begun();
    match wanted {
        None => Ok(latest),
        Some(number) if number <= latest => Ok(number),
        Some(number) => {
            let what = format!("show log of attempt {number} of run `{}`", run.run);
            Err(Error::not_found(what, format!("it has had {}", counted(latest as usize, "attempt"))))
        }
    }
}

/// The runs that a target means.
enum Found {
    Runs(Vec<RunId>),
    /// The latest run of each of these indices that has one.
    Indices(JobId, (u32, u32), Vec<RunId>),
}

/// Finds the runs that a target means: the run itself, the latest one or all of the job, or one of each
/// index.
fn find(reader: &Reader<'_>, text: &str, all: bool) -> Result<Found, Failure> {
    let (job, range) = match target::find(reader, "show log of", text)? {
        Target::Run(run) => return Ok(Found::Runs(vec![run])),
        Target::Job(job) if all => return all_runs(reader, job).map(Found::Runs),
        Target::Job(job) if reader.job(job)?.definition.array.is_none() => {
            return latest_run(reader, job, text).map(|run| Found::Runs(vec![run]));
        }
        Target::Job(job) => (job, (0, u32::MAX)),
        Target::Indices(job, first, last) => (job, (first, last)),
    };
    let runs = reader.runs_of_indices(job, range.0, range.1)?;
    Ok(Found::Indices(job, range, runs.into_iter().map(|(_, run)| run).collect()))
}

/// Returns the latest run that can have output: one that was neither missed nor skipped.
fn latest_run(reader: &Reader<'_>, job: JobId, text: &str) -> Result<RunId, Failure> {
    let never_began = |outcome| matches!(outcome, Some(Outcome::Missed | Outcome::Skipped));
    let mut filter =
        RunFilter { job: Some(job), no_callbacks: true, limit: Some(100), ..RunFilter::default() };
    let runs = reader.runs(&filter)?;
    if let Some(run) = runs.iter().find(|run| !never_began(run.outcome)) {
        return Ok(run.run);
    }
    filter.limit = None;
    let runs = reader.runs(&filter)?;
    runs.iter().find(|run| !never_began(run.outcome)).map(|run| run.run).ok_or_else(|| {
        Error::not_found(format!("show log of job `{text}`"), "it has not run yet")
            .hint(format!("see when it will with `taskq next {text}`"))
            .into()
    })
}

fn all_runs(reader: &Reader<'_>, job: JobId) -> Result<Vec<RunId>, Failure> {
    let filter = RunFilter { job: Some(job), ..RunFilter::default() };
    let mut runs: Vec<RunId> = reader.runs(&filter)?.iter().map(|run| run.run).collect();
    runs.reverse();
    Ok(runs)
}
