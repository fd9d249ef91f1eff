//! Owns: `taskq stats`.
//! Never: the arithmetic (see `engine::stats`), how it reads (see `view::stats`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use clap::Args;

use crate::cli::context::{Context, Failure, parse_failure};
use crate::cli::target::{find_job, find_queue};
use crate::cli::view::json::{document, slots};
use crate::cli::view::stats::{
    Periods, QueueNumbers, StatsView, facts, histogram, host_runs, job_shares, queue_numbers,
};
use crate::cli::view::stats_json::StatsJson;
use crate::cli::view::times::Times;
use crate::daemon::default_slots;
use crate::domain::{JobId, QueueName, Span, Timestamp};
use crate::engine::stats::{Backlog, Flow, JobStats, Tally, Window, backlog};
use crate::error::Result;
use crate::schedule::{Zone, parse_since};
use crate::store::{QueueView, Reader, Sampled};

pub const WHAT: &str = "show statistics";

/// The length of the window if none is given.
const USUAL_WINDOW: Span = Span::from_seconds(7 * 86_400);

/// JSON has so many jobs, those with the largest shares of the run time.
const JOBS_MAX: usize = 1_000;

/// Show rates, times and the backlog in numbers
///
/// Counts the runs that were queued since --since, or since the first run if
/// that was later. A run with retries is one run; callbacks do not count.
///
/// Arrivals is the rate at which runs come, and service the rate at which one
/// busy slot ends them. Utilisation is arrivals / (slots * service): from 100 %
/// on, the queue grows. L is the mean number of runs that wait or run, W the
/// mean time from queued to finished. Backlog is the work that waits for a
/// slot or runs, by the mean of the job's successful runs, or of its queue's.
///
/// On a terminal, also the runs of each day, or of each hour or minute if that
/// is all there is, and how many took how long.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq stats
  taskq stats backup --since '30 days ago'
  taskq stats --queue gpu --json | jq .utilisation"
)]
pub struct StatsArgs {
    /// Only runs of these jobs, by id or name
    #[arg(value_name = "JOB", conflicts_with = "queue")]
    pub jobs: Vec<String>,

    /// Only runs in QUEUE
    #[arg(long, value_name = "QUEUE")]
    pub queue: Option<String>,

    /// Runs since TIME, or of the last SPAN; default: 7 days
    #[arg(long, value_name = "TIME|SPAN", allow_hyphen_values = true)]
    pub since: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(context: &Context<'_>, args: &StatsArgs) -> Result<u8> {
    let (zone, _) = context.zone(WHAT)?;
    let now = context.now();
    let since = args.since.as_ref().map(|text| parse_since(text, now, &zone)).transpose();
    let since = since.map_err(|error| parse_failure(WHAT, error))?.unwrap_or(now - USUAL_WINDOW);
    let question = Question {
        since,
        now,
        default_slots: default_slots(&context.dir),
        // Only a terminal shows them.
        zone_of_days: context.output.streams().width.map(|_| &zone),
    };
    let view = context.read(WHAT, |reader| question.answer(reader, args))?;
    if args.json {
        context.output.json(&document(StatsJson::from(&view)))?;
        return Ok(0);
    }
    print(context, &view, &Times { zone: &zone, now, are_whole: false })?;
    Ok(0)
}

fn print(context: &Context<'_>, view: &StatsView, times: &Times<'_>) -> Result<()> {
    if view.stats.is_empty() && view.backlog.waiting + view.backlog.running == 0 {
        context.output.explain_empty("no runs in this time; see `--since`");
        return Ok(());
    }
    let width = context.output.streams().width;
    context.output.answer(&facts(view, times, width).into_text(width))?;
    let histogram = width.map(|width| histogram(&view.stats.run_times, width));
    // One queue, or one job, is what the lines above are about.
    let queues = (view.queues.len() > 1).then(|| queue_numbers(view));
    let jobs = (view.stats.jobs.len() > 1).then(|| job_shares(view));
    let hosts = (!view.stats.hosts.is_empty()).then(|| host_runs(view));
    for table in [histogram, queues, hosts, jobs].into_iter().flatten().filter(|table| !table.is_empty()) {
        context.output.answer("\n")?;
        context.output.table(&table)?;
    }
    Ok(())
}

/// The question, apart from the runs that it is about.
struct Question<'a> {
    since: Timestamp,
    now: Timestamp,
    default_slots: usize,
    zone_of_days: Option<&'a Zone>,
}

impl Question<'_> {
    fn answer(&self, reader: &Reader<'_>, args: &StatsArgs) -> Result<StatsView, Failure> {
        let jobs: Result<BTreeSet<JobId>, Failure> =
            args.jobs.iter().map(|job| find_job(reader, "show statistics of", job)).collect();
        let jobs: Vec<JobId> = jobs?.into_iter().collect();
        let queue = args.queue.as_ref().map(|queue| find_queue(reader, WHAT, queue)).transpose()?;
        let since = reader.first_queued_at(&jobs)?.map_or(self.since, |first| first.max(self.since));
        let periods = self.zone_of_days.map(|zone| Periods::since(since, self.now, zone));
        let periods = periods.unwrap_or_default();
        let window = Window { since, now: self.now, queue: queue.clone() };
        let mut tally = Tally::new(window, periods.starts.clone());
        let which = if jobs.is_empty() { Sampled::All } else { Sampled::Of(&jobs) };
        reader.samples(which, reader.place_of(since)?, |run| tally.add(run))?;
        let cut_jobs = count_cut_jobs(reader, &tally)?;
        let priorities: HashMap<JobId, i64> = reader.priorities()?.into_iter().collect();
        let queues = self.queues(reader, &jobs, queue.as_ref(), &tally)?;
        let stats = tally.finish(JOBS_MAX, |job| priorities.get(&job).copied().unwrap_or_default());
        let names = names_of(reader, &stats.jobs)?;
        let none = Backlog { drained_in: Some(Span::ZERO), ..Backlog::default() };
        let backlog = queues.iter().fold(none, |all, queue| all.and(queue.backlog));
        let is_of_jobs = !jobs.is_empty();
        Ok(StatsView { stats, queues, backlog, periods, names, cut_jobs, is_of_jobs })
    }

    /// Returns the queues that have had runs, or have some now; or the one that was asked for.
    fn queues(
        &self,
        reader: &Reader<'_>,
        jobs: &[JobId],
        queue: Option<&QueueName>,
        tally: &Tally,
    ) -> Result<Vec<QueueNumbers>, Failure> {
        let mut found = Vec::new();
        for view in reader.queues()? {
            if queue.is_some_and(|queue| queue.as_str() != view.name) {
                continue;
            }
            let QueueView { name, paused_at, mean_run, .. } = &view;
            let slots = slots(&view, self.default_slots);
            let open = if paused_at.is_some() { 0 } else { slots };
            let work = reader.work(name, jobs, self.now)?;
            let backlog = backlog(&work, open, |job| tally.expected(job, name).or(*mean_run));
            let flow = tally.queue(name);
            if queue.is_some() || flow.is_some() || backlog.waiting + backlog.running > 0 {
                let flow: Flow = flow.unwrap_or_default();
                let is_paused = paused_at.is_some();
                found.push(QueueNumbers { name: name.clone(), slots, is_paused, flow, backlog });
            }
        }
        Ok(found)
    }
}

/// Returns how many jobs have had runs in the window that are forgotten since.
fn count_cut_jobs(reader: &Reader<'_>, tally: &Tally) -> Result<usize, Failure> {
    let mut count = 0;
    for seen in tally.seen() {
        let is_cut = seen.has_gap
            || seen.begins_late
                && seen.first > 1
                && reader.number_before(seen.job, seen.first)? + 1 < seen.first;
        count += usize::from(is_cut);
    }
    Ok(count)
}

type Names = BTreeMap<JobId, Option<String>>;

fn names_of(reader: &Reader<'_>, jobs: &[JobStats]) -> Result<Names, Failure> {
    let name = |job: &JobStats| -> Result<(JobId, Option<String>), Failure> {
        Ok((job.job, reader.name_of(job.job)?.map(|name| name.to_string())))
    };
    jobs.iter().map(name).collect()
}
