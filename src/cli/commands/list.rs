//! Owns: `taskq list`.
//! Never: anything that changes a job.

use clap::Args;

use crate::cli::args::{number, words};
use crate::cli::context::Context;
use crate::cli::target::{find_job, find_queue};
use crate::cli::view::json::{JobJson, Jobs, document};
use crate::cli::view::tables::job_table;
use crate::cli::view::times::Times;
use crate::domain::{JobState, Outcome, Tag};
use crate::error::{Error, Result};
use crate::store::JobFilter;

pub const WHAT: &str = "list jobs";

/// List jobs
///
/// Without -a, only jobs that are not done. LEFT is the time until the next
/// fire, LAST the outcome of the last run. A job is shown if it matches all
/// filters. Jobs are in the order of their ids.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq list --queue gpu --state queued,running
  taskq ls --failed -n 10"
)]
pub struct ListArgs {
    /// Only these jobs, by id or name
    #[arg(value_name = "JOB")]
    pub jobs: Vec<String>,

    /// Also jobs that are done
    #[arg(short, long)]
    pub all: bool,

    /// Only jobs in these states
    ///
    /// One or more of scheduled, queued, blocked, running, paused and
    /// done, separated by commas.
    ///
    /// scheduled: waits for its next fire. queued: a run waits for a
    /// slot. blocked: its queue is paused. running: a run has a process.
    /// paused: no fires until it is resumed. done: it will not run
    /// again; this state implies -a.
    #[arg(
        long,
        value_name = "STATE,...",
        value_delimiter = ',',
        value_parser = words(JobState::ALL, JobState::as_str, JobState::from_word),
        hide_possible_values = true,
        verbatim_doc_comment
    )]
    pub state: Vec<JobState>,

    /// Only jobs with a running run, as --state running
    #[arg(long, conflicts_with = "state")]
    pub running: bool,

    /// Only jobs whose last run failed, also done ones
    ///
    /// LAST is failed, timed_out, spawn_failed or lost.
    #[arg(long)]
    pub failed: bool,

    /// Only jobs of QUEUE
    #[arg(long, value_name = "QUEUE")]
    pub queue: Option<String>,

    /// Only jobs with TAG
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,

    /// Only jobs whose name matches GLOB
    #[arg(long, value_name = "GLOB")]
    pub name: Option<String>,

    /// Only the newest N jobs; default: all
    #[arg(short = 'n', value_name = "N", allow_negative_numbers = true, value_parser = number(0..=u32::MAX))]
    pub limit: Option<u32>,

    /// Show whole times, and cut nothing
    #[arg(long)]
    pub full: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(context: &Context<'_>, args: &ListArgs) -> Result<u8> {
    let (zone, _) = context.zone(WHAT)?;
    let tag = args.tag.as_ref().map(|tag| tag.parse::<Tag>()).transpose();
    let states = if args.running { vec![JobState::Running] } else { args.state.clone() };
    let mut filter = JobFilter {
        jobs: Vec::new(),
        // A named job is shown even if it is done, and so is one that failed.
        done_too: args.all || args.failed || states.contains(&JobState::Done) || !args.jobs.is_empty(),
        states,
        queue: None,
        tag: tag.map_err(|error| Error::usage(WHAT, error))?,
        name: args.name.clone(),
        outcomes: if args.failed { Outcome::failures() } else { Vec::new() },
        limit: args.limit.map(|limit| limit as usize),
    };
    let (jobs, has_done) = context.read(WHAT, |reader| {
        filter.queue = args.queue.as_ref().map(|queue| find_queue(reader, WHAT, queue)).transpose()?;
        for job in &args.jobs {
            filter.jobs.push(find_job(reader, "list", job)?);
        }
        let jobs = reader.jobs(&filter)?;
        let any = JobFilter { done_too: true, limit: Some(1), ..JobFilter::default() };
        let has_done = jobs.is_empty() && !reader.jobs(&any)?.is_empty();
        Ok((jobs, has_done))
    })?;
    if args.json {
        context.output.json(&document(Jobs { jobs: jobs.iter().map(JobJson::from).collect() }))?;
        return Ok(0);
    }
    if jobs.is_empty() {
        context.output.explain_empty(match (filter == JobFilter::default(), has_done) {
            (true, true) => "no jobs that are not done; see `taskq list -a`",
            (false, true) => "no job matches",
            (_, false) => "no jobs; add one with `taskq add`",
        });
    }
    let times = Times { zone: &zone, now: context.now(), are_whole: args.full };
    context.output.table(&job_table(&jobs, &times))?;
    Ok(0)
}
