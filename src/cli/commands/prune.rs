//! Owns: `taskq prune`.
//! Never: what is kept (see `engine`), or the daily pass of the daemon.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use serde::Serialize;

use crate::cli::args::number;
use crate::cli::context::{Context, parse_failure};
use crate::cli::view::json::document;
use crate::cli::view::tables::pruned_table;
use crate::daemon::{
    ForgottenJob, PrunePlace, SurplusOutputs, find_forgotten, forget, prune_outputs, remove_files,
    surplus_outputs,
};
use crate::domain::{JobId, JobName, RunId, Size};
use crate::engine::Retention;
use crate::error::{Error, Result};
use crate::schedule::parse_span;
use crate::shown::{self, counted};

pub const WHAT: &str = "prune history";

/// How many rows a transaction looks at: it holds the write lock for some tens of milliseconds.
const ROWS_OF_A_STEP: usize = 2_000;

/// Forget old runs
///
/// Of each job, the runs that finished long ago go, and those beyond its latest.
/// A job that is not done keeps its latest run and its last failure. A done job
/// goes with its last run. The daemon does this once a day, with the defaults.
///
/// With --output-limit, outputs go too, first those of the runs that finished
/// first, until all outputs together have at most SIZE. The runs stay, and `taskq
/// log` says that the output was pruned. Unfinished runs keep their outputs, and
/// so do runs whose mail waits. The daemon prunes no outputs by itself: to keep
/// to a limit, add a job, as below.
///
/// Prints how many runs of each job were forgotten.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq prune --dry-run
  taskq prune --older 1w --keep 100
  taskq add --cron @daily -- taskq prune --output-limit 1G"
)]
pub struct PruneArgs {
    /// Forget runs that finished SPAN ago; default: 90d
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true)]
    pub older: Option<String>,

    /// Keep the latest N runs of each job; default: 1000
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = number(0..=u32::MAX)
    )]
    pub keep: Option<u32>,

    /// Prune the oldest outputs until SIZE is left
    ///
    /// SIZE is a number of bytes, or one with K, M, G or T, as in 500M.
    /// The database reuses the room that becomes free; its file does not
    /// become smaller. Default: no limit.
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, verbatim_doc_comment)]
    pub output_limit: Option<String>,

    /// Print what would be forgotten, and forget nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A job of which something is forgotten.
#[derive(Debug, Serialize)]
pub struct PrunedJson {
    pub id: JobId,
    pub name: Option<JobName>,
    /// How many of its runs.
    pub runs: usize,
    /// The job itself is removed.
    pub removed: bool,
}

#[derive(Debug, Serialize)]
struct PruneJson {
    dry_run: bool,
    jobs: Vec<PrunedJson>,
    /// `null` without `--output-limit`.
    outputs: Option<OutputsJson>,
}

#[derive(Debug, Serialize)]
struct OutputsJson {
    /// How many runs lose their outputs.
    runs: usize,
    bytes: u64,
    /// The size of the outputs that stay.
    left_bytes: u64,
}

impl OutputsJson {
    /// Returns what was done, or would be: `pruned the outputs of 12 runs, 4.2M; 995M left`.
    fn sentence(&self, dry_run: bool) -> String {
        let pruned = if dry_run { "would prune" } else { "pruned" };
        let (runs, bytes) = (counted(self.runs, "run"), shown::size(self.bytes));
        format!("{pruned} the outputs of {runs}, {bytes}; {} left\n", shown::size(self.left_bytes))
    }
}

pub fn run(context: &Context<'_>, args: &PruneArgs) -> Result<u8> {
    let limit = args.output_limit.as_ref().map(|text| text.parse::<Size>()).transpose();
    let limit = limit.map_err(|cause| Error::usage(WHAT, cause))?;
    let forgotten = if args.dry_run { find_all(context, args) } else { forget_all(context, args) }?;
    let outputs = limit.map(|limit| keep_to_limit(context, args, limit, &forgotten)).transpose()?;
    let jobs: Vec<PrunedJson> = forgotten
        .into_values()
        .map(|job| PrunedJson { id: job.job, name: job.name, runs: job.runs.len(), removed: job.is_whole })
        .collect();
    if args.json {
        context.output.json(&document(PruneJson { dry_run: args.dry_run, jobs, outputs }))?;
        return Ok(0);
    }
    let outputs = outputs.filter(|outputs| outputs.runs > 0);
    if jobs.is_empty() && outputs.is_none() {
        context.output.explain_empty("there is nothing to forget");
    }
    let rows = jobs.iter().map(|job| (job.id, job.name.as_ref(), job.runs, job.removed));
    context.output.table(&pruned_table(rows))?;
    if let Some(outputs) = outputs {
        context.output.answer(&outputs.sentence(args.dry_run))?;
    }
    Ok(0)
}

/// Prunes outputs in several transactions, or only finds them for a dry run.
fn keep_to_limit(
    context: &Context<'_>,
    args: &PruneArgs,
    limit: Size,
    forgotten: &Forgotten,
) -> Result<OutputsJson> {
    let gone: BTreeSet<RunId> = forgotten.values().flat_map(ForgottenJob::run_ids).collect();
    let surplus: SurplusOutputs =
        context.read(WHAT, |reader| Ok(surplus_outputs(reader, &context.log_directory(), limit, &gone)?))?;
    if !args.dry_run {
        for part in surplus.runs.chunks(ROWS_OF_A_STEP) {
            context.change(WHAT, |writer| Ok(prune_outputs(writer, part)?))?;
            remove_files(&context.dir, part);
        }
    }
    Ok(OutputsJson { runs: surplus.runs.len(), bytes: surplus.bytes(), left_bytes: surplus.left })
}

fn retention(args: &PruneArgs) -> Result<Retention> {
    let older = args.older.as_ref().map(|text| parse_span(text)).transpose();
    let older = older.map_err(|error| parse_failure(WHAT, error))?;
    let default = Retention::default();
    Ok(Retention {
        age_max: older.unwrap_or(default.age_max),
        runs_max: args.keep.map_or(default.runs_max, u64::from),
        ..default
    })
}

type Forgotten = BTreeMap<JobId, ForgottenJob>;

fn find_all(context: &Context<'_>, args: &PruneArgs) -> Result<Forgotten> {
    let (retention, now) = (retention(args)?, context.now());
    context.read(WHAT, |reader| {
        let mut forgotten = Forgotten::new();
        let mut place = Some(PrunePlace::BEGINNING);
        while let Some(from) = place {
            let step = find_forgotten(reader, &retention, from, ROWS_OF_A_STEP, now)?;
            merge(&mut forgotten, step.jobs);
            place = step.next;
        }
        Ok(forgotten)
    })
}

/// Forgets in several transactions, between which the daemon can write.
fn forget_all(context: &Context<'_>, args: &PruneArgs) -> Result<Forgotten> {
    let (retention, now) = (retention(args)?, context.now());
    let mut forgotten = Forgotten::new();
    let mut place = Some(PrunePlace::BEGINNING);
    while let Some(from) = place {
        let step = context
            .change(WHAT, |writer| Ok(forget(writer, &retention, from.clone(), ROWS_OF_A_STEP, now)?))?;
        step.remove_outputs(&context.dir);
        merge(&mut forgotten, step.jobs);
        place = step.next;
    }
    Ok(forgotten)
}

/// Adds the jobs of a step. A job with many runs takes several steps.
fn merge(forgotten: &mut Forgotten, jobs: Vec<ForgottenJob>) {
    for mut job in jobs {
        if let Some(earlier) = forgotten.remove(&job.job) {
            job.runs.extend(earlier.runs);
        }
        forgotten.insert(job.job, job);
    }
}
