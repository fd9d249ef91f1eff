//! Owns: `taskq prune`.
//! Never: what is kept (see `engine`), or the daily pass of the daemon.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use crate::cli::args::number;
use crate::cli::context::{Context, parse_failure};
use crate::cli::view::json::document;
use crate::cli::view::tables::pruned_table;
use crate::daemon::{ForgottenJob, PrunePlace, find_forgotten, forget};
use crate::domain::{JobId, JobName};
use crate::engine::Retention;
use crate::error::Result;
use crate::schedule::parse_span;

pub const WHAT: &str = "prune history";

/// How many rows a transaction looks at: it holds the write lock for some tens of milliseconds.
const ROWS_OF_A_STEP: usize = 2_000;

/// Forget old runs
///
/// Of each job, the runs that finished long ago go, and those beyond its latest.
/// A job that is not done keeps its latest run and its last failure. A done job
/// goes with its last run. The daemon does this once a day, with the defaults.
///
/// Prints how many runs of each job were forgotten.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq prune --dry-run
  taskq prune --older 1w --keep 100"
)]
pub struct PruneArgs {
    /// Forget runs that finished before SPAN ago; default: 90d
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
}

pub fn run(context: &Context<'_>, args: &PruneArgs) -> Result<u8> {
    let forgotten = if args.dry_run { find_all(context, args) } else { forget_all(context, args) }?;
    let jobs: Vec<PrunedJson> = forgotten
        .into_values()
        .map(|job| PrunedJson { id: job.job, name: job.name, runs: job.runs.len(), removed: job.is_whole })
        .collect();
    if args.json {
        context.output.json(&document(PruneJson { dry_run: args.dry_run, jobs }))?;
    } else if jobs.is_empty() {
        context.output.explain_empty("there is nothing to forget");
    } else {
        let rows = jobs.iter().map(|job| (job.id, job.name.as_ref(), job.runs, job.removed));
        context.output.table(&pruned_table(rows))?;
    }
    Ok(0)
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
