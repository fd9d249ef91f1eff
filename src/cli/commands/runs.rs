//! Owns: `taskq runs`.
//! Never: the output of runs (see `log`).

use clap::Args;

use crate::cli::args::{number, words};
use crate::domain::Outcome;

use crate::cli::context::{Context, parse_failure};
use crate::cli::target::find_job;
use crate::cli::view::json::{RunJson, Runs, document};
use crate::cli::view::tables::run_table;
use crate::error::Result;
use crate::schedule::parse_instant;
use crate::store::RunFilter;

pub const WHAT: &str = "list runs";

/// List runs, the newest first
///
/// A run that has not ended has no OUTCOME yet. Missed and skipped fires have
/// rows too.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq runs backup
  taskq runs --outcome failed --since 2026-03-01 -n 100"
)]
pub struct RunsArgs {
    /// Only runs of this job, by id or name
    #[arg(value_name = "JOB")]
    pub job: Option<String>,

    /// Only runs with this outcome
    ///
    /// success, failed, timed_out, cancelled, missed, skipped,
    /// spawn_failed or lost.
    #[arg(
        long,
        value_name = "OUTCOME",
        value_parser = words(Outcome::ALL, Outcome::as_str, Outcome::from_word),
        hide_possible_values = true,
        verbatim_doc_comment
    )]
    pub outcome: Option<Outcome>,

    /// Only runs since TIME
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,

    /// At most N runs (20)
    #[arg(
        short = 'n',
        value_name = "N",
        default_value = "20",
        hide_default_value = true,
        allow_negative_numbers = true,
        value_parser = number(0..=u32::MAX)
    )]
    pub limit: u32,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(context: &Context<'_>, args: &RunsArgs) -> Result<u8> {
    let (zone, _) = context.zone(WHAT)?;
    let now = context.now();
    let since = args.since.as_ref().map(|text| parse_instant(text, now, &zone)).transpose();
    let mut filter = RunFilter {
        outcome: args.outcome,
        since: since.map_err(|error| parse_failure(WHAT, error))?,
        limit: Some(args.limit as usize),
        ..RunFilter::default()
    };
    let runs = context.read(WHAT, |reader| {
        filter.job = args.job.as_ref().map(|job| find_job(reader, "list runs of", job)).transpose()?;
        Ok(reader.runs(&filter)?)
    })?;
    if args.json {
        context.output.json(&document(Runs { runs: runs.iter().map(RunJson::from).collect() }))?;
    } else {
        context.output.table(&run_table(&runs, &zone, now))?;
    }
    Ok(0)
}
