//! Owns: the document of `stats --json`.
//! Never: the arithmetic (see `engine::stats`).
//!
//! Spans are seconds here, and rates by the second, because means are no whole milliseconds.

use std::collections::BTreeMap;

use serde::Serialize;

use super::stats::{QueueNumbers, StatsView, in_seconds};
use crate::domain::{ExecutorName, FarPlace, JobId, Outcome, Span, Timestamp};
use crate::engine::stats::{Backlog, HostRuns, JobStats, MeanAndP95, seconds};

#[derive(Serialize)]
pub struct StatsJson<'a> {
    since_at: Timestamp,
    until_at: Timestamp,
    outcomes: BTreeMap<&'static str, u64>,
    unfinished: u64,
    success_rate: Option<f64>,
    arrivals_per_s: Option<f64>,
    service_per_s: Option<f64>,
    slots: usize,
    utilisation: Option<f64>,
    wait_s: Option<MeanJson>,
    run_time_s: Option<MeanJson>,
    response_s: Option<f64>,
    weighted_response_s: Option<f64>,
    mean_in_system: Option<f64>,
    /// λW.
    little: Option<f64>,
    backlog: BacklogJson,
    /// How many jobs have had more runs in the window, which are forgotten.
    cut_jobs: usize,
    queues: Vec<OfQueue<'a>>,
    /// Of executors, those that have had runs.
    hosts: Vec<OfHost>,
    /// How many jobs have had runs.
    job_count: usize,
    /// Those with the largest shares.
    jobs: Vec<OfJob<'a>>,
}

#[derive(Serialize)]
struct MeanJson {
    mean: f64,
    p95: f64,
}

#[derive(Serialize)]
struct BacklogJson {
    waiting: u64,
    running: u64,
    unknown: u64,
    late: u64,
    work_s: f64,
    drained_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct OfHost {
    executor: ExecutorName,
    host: Option<String>,
    runs: u64,
    success_rate: Option<f64>,
    run_time_mean_s: Option<f64>,
}

impl OfHost {
    fn new((place, of): (&FarPlace, &HostRuns)) -> Self {
        Self {
            executor: place.executor.clone(),
            host: Some(place.host.clone()).filter(|host| !host.is_empty()),
            runs: of.runs,
            success_rate: of.success_rate(),
            run_time_mean_s: in_seconds(of.mean()),
        }
    }
}

#[derive(Serialize)]
struct OfQueue<'a> {
    name: &'a str,
    slots: usize,
    paused: bool,
    runs: u64,
    success_rate: Option<f64>,
    utilisation: Option<f64>,
    wait_mean_s: Option<f64>,
    run_time_mean_s: Option<f64>,
    backlog: BacklogJson,
}

#[derive(Serialize)]
struct OfJob<'a> {
    id: JobId,
    name: Option<&'a str>,
    runs: u64,
    success_rate: Option<f64>,
    run_time_mean_s: Option<f64>,
    run_time_total_s: f64,
    share: Option<f64>,
}

impl From<MeanAndP95> for MeanJson {
    fn from(times: MeanAndP95) -> Self {
        Self { mean: seconds(times.mean), p95: seconds(times.p95) }
    }
}

impl BacklogJson {
    fn new(backlog: &Backlog, now: Timestamp) -> Self {
        let Backlog { waiting, running, unknown, late, work, drained_in } = *backlog;
        let drained_at = drained_in.map(|span: Span| now + span);
        Self { waiting, running, unknown, late, work_s: seconds(work), drained_at }
    }
}

impl<'a> From<&'a StatsView> for StatsJson<'a> {
    fn from(view: &'a StatsView) -> Self {
        let stats = &view.stats;
        let now = stats.window.now;
        let count =
            |outcome: &Outcome| (outcome.as_str(), stats.outcomes.get(outcome).copied().unwrap_or_default());
        let queue = |queue: &'a QueueNumbers| OfQueue {
            name: &queue.name,
            slots: queue.slots,
            paused: queue.is_paused,
            runs: queue.flow.runs,
            success_rate: queue.flow.success_rate(),
            utilisation: queue.flow.utilisation(&stats.window, queue.slots),
            wait_mean_s: in_seconds(queue.flow.wait.mean()),
            run_time_mean_s: in_seconds(queue.flow.run_time.mean()),
            backlog: BacklogJson::new(&queue.backlog, now),
        };
        let job = |job: &JobStats| OfJob {
            id: job.job,
            name: view.names.get(&job.job).and_then(Option::as_deref),
            runs: job.flow.runs,
            success_rate: job.flow.success_rate(),
            run_time_mean_s: in_seconds(job.flow.run_time.mean()),
            run_time_total_s: seconds(job.flow.run_time.sum()),
            share: job.share,
        };
        Self {
            since_at: stats.window.since,
            until_at: now,
            outcomes: Outcome::ALL.iter().map(count).collect(),
            unfinished: stats.unfinished,
            success_rate: stats.all.success_rate(),
            arrivals_per_s: stats.arrival_rate,
            service_per_s: stats.service_rate,
            slots: view.slots(),
            utilisation: view.utilisation(),
            wait_s: stats.wait.map(MeanJson::from),
            run_time_s: stats.run_time.map(MeanJson::from),
            response_s: in_seconds(stats.all.response.mean()),
            weighted_response_s: in_seconds(stats.weighted_response),
            mean_in_system: stats.mean_present,
            little: stats.little(),
            backlog: BacklogJson::new(&view.backlog, now),
            cut_jobs: view.cut_jobs,
            queues: view.queues.iter().map(queue).collect(),
            hosts: view.stats.hosts.iter().map(OfHost::new).collect(),
            job_count: stats.job_count,
            jobs: stats.jobs.iter().map(job).collect(),
        }
    }
}
