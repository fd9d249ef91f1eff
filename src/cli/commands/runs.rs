//! Owns: `taskq runs`.
//! Never: the output of runs (see `log`).

use clap::Args;

use crate::cli::args::{number, words};
use crate::domain::Outcome;

use crate::cli::context::{Context, parse_failure};
use crate::cli::target::find_job;
use crate::cli::view::json::{RunJson, Runs, document};
use crate::cli::view::tables::run_table;
use crate::cli::view::times::Times;
use crate::cli::view::trend::trends;
use crate::error::Result;
use crate::schedule::parse_since;
use crate::store::RunFilter;

pub const WHAT: &str = "list runs";

/// List runs, the newest first
///
/// A run that has not ended has no OUTCOME yet. Missed and skipped fires have
/// rows too. On a terminal, jobs with several runs in the list have a line with
/// a bar for each: how long it took, or a sign if it did not succeed.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq runs backup
  taskq runs --failed --since 1h
  taskq runs --outcome failed,lost --since 2026-03-01 -n 100"
)]
pub struct RunsArgs {
    /// Only runs of these jobs, by id or name
    #[arg(value_name = "JOB")]
    pub jobs: Vec<String>,

    /// Only runs with these outcomes
    ///
    /// One or more of success, failed, timed_out, cancelled, missed,
    /// skipped, spawn_failed and lost, separated by commas.
    #[arg(
        long,
        value_name = "OUTCOME,...",
        value_delimiter = ',',
        value_parser = words(Outcome::ALL, Outcome::as_str, Outcome::from_word),
        hide_possible_values = true,
        verbatim_doc_comment
    )]
    pub outcome: Vec<Outcome>,

    /// Only runs that failed
    ///
    /// The same as --outcome failed,timed_out,spawn_failed,lost.
    #[arg(long, conflicts_with = "outcome")]
    pub failed: bool,

    /// Only runs since TIME, or of the last SPAN
    #[arg(long, value_name = "TIME|SPAN", allow_hyphen_values = true)]
    pub since: Option<String>,

    /// At most N runs; default: 20
    #[arg(
        short = 'n',
        value_name = "N",
        default_value = "20",
        hide_default_value = true,
        allow_negative_numbers = true,
        value_parser = number(0..=u32::MAX)
    )]
    pub limit: u32,

    /// Show whole times, and cut nothing
    #[arg(long)]
    pub full: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(context: &Context<'_>, args: &RunsArgs) -> Result<u8> {
    let (zone, _) = context.zone(WHAT)?;
    let now = context.now();
    let since = args.since.as_ref().map(|text| parse_since(text, now, &zone)).transpose();
    let filter = RunFilter {
        outcomes: if args.failed { Outcome::failures() } else { args.outcome.clone() },
        since: since.map_err(|error| parse_failure(WHAT, error))?,
        limit: Some(args.limit as usize),
        ..RunFilter::default()
    };
    let runs = context.read(WHAT, |reader| {
        let jobs: Result<Vec<_>, _> =
            args.jobs.iter().map(|job| find_job(reader, "list runs of", job)).collect();
        let jobs = jobs?;
        Ok(if jobs.is_empty() { reader.runs(&filter)? } else { reader.runs_of(&jobs, &filter)? })
    })?;
    if args.json {
        context.output.json(&document(Runs { runs: runs.iter().map(RunJson::from).collect() }))?;
        return Ok(0);
    }
    if runs.is_empty() {
        let is_narrowed = !filter.outcomes.is_empty() || filter.since.is_some();
        context.output.explain_empty(if is_narrowed { "no run matches" } else { "no runs" });
    }
    let times = Times { zone: &zone, now, are_whole: args.full };
    context.output.table(&run_table(&runs, &times))?;
    // Only a terminal shows bars.
    let bars = context.output.streams().width.map_or_else(String::new, |width| trends(&runs, width));
    if !bars.is_empty() {
        context.output.answer(&format!("\n{bars}"))?;
    }
    Ok(0)
}
