//! Owns: the run log in numbers: rates, utilisation, waits, run times, success, the share of each job.
//! Never: reading the run log, showing numbers, the clock.
//!
//! The words are those of queueing theory. λ: runs that came in a second. μ: runs that one busy slot ends
//! in a second, 1 / the mean run time. ρ = λ / (slots · μ): utilisation (Kleinrock, Queueing Systems I,
//! 2.1). W: the mean response time. L: the mean number of runs that wait or run; by Little's law
//! (Operations Research 9:383, 1961) L = λW, once every run of the window has ended.

mod backlog;
mod hosts;
mod numbers;
#[cfg(test)]
mod tests;
mod totals;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use crate::domain::{FarPlace, JobId, Outcome, QueueName, Span, Timestamp};

pub use backlog::{Backlog, RunningWork, WaitingWork, Work, backlog};
pub use hosts::HostRuns;
pub use numbers::{Mean, MeanAndP95, ratio};
pub use totals::{Bucket, Histogram, Total, TotalKind, Totals};

/// The weight of a run of a job with this priority, from -100 to 100, in the weighted response time: 1 to
/// 201.
const WEIGHT_OF_PRIORITY_0: i64 = 101;

/// A row of the run log.
#[derive(Clone, Copy, Debug)]
pub struct RunSample<'a> {
    pub job: JobId,
    pub number: i64,
    pub is_callback: bool,
    pub queue: &'a str,
    pub outcome: Option<Outcome>,
    /// The number of fires that the row stands for, at least 1.
    pub fires: u64,
    /// The time of the fire.
    pub scheduled_at: Timestamp,
    pub queued_at: Timestamp,
    /// The start of its first attempt, if that had a process.
    pub first_started_at: Option<Timestamp>,
    /// The start of its latest attempt.
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// How long its earlier attempts had a process.
    pub earlier: Span,
    /// The host of an executor that has it, or has had it.
    pub place: Option<&'a FarPlace>,
}

/// The runs that count, and the period that they were queued in.
#[derive(Clone, Debug)]
pub struct Window {
    pub since: Timestamp,
    pub now: Timestamp,
    /// `None`: of all queues.
    pub queue: Option<QueueName>,
}

impl Window {
    pub fn length(&self) -> Span {
        self.now.since(self.since)
    }

    /// Returns a number of things by the second; `None` for an empty window.
    fn per_second(&self, count: u64) -> Option<f64> {
        ratio(count as f64, seconds(self.length()))
    }
}

/// Runs that came and ran.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flow {
    /// All but fires that were missed or skipped.
    pub runs: u64,
    /// Runs that wait, run, or have run.
    pub arrived: u64,
    pub wait: Mean,
    /// With all attempts.
    pub run_time: Mean,
    /// From queued to finished.
    pub response: Mean,
    /// The run times of the successful ones.
    pub success: Mean,
    pub failed: u64,
}

impl Flow {
    /// Returns which part of the runs succeeded, of those that succeeded or failed.
    pub fn success_rate(&self) -> Option<f64> {
        ratio(self.success.count as f64, (self.success.count + self.failed) as f64)
    }

    /// Returns λ / (slots · μ).
    pub fn utilisation(&self, window: &Window, slots: usize) -> Option<f64> {
        let busy = window.per_second(self.arrived)? * seconds(self.run_time.mean()?);
        ratio(busy, slots as f64)
    }
}

/// The runs of one job.
#[derive(Clone, Copy, Debug, Default)]
struct OfJob {
    flow: Flow,
    /// The first and the last number of its rows, and how many rows there are.
    first: i64,
    last: i64,
    rows: i64,
    /// When the first of them was queued.
    since: Timestamp,
}

/// What tells whether runs of a job were forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenJob {
    pub job: JobId,
    /// The number of the first run that was seen.
    pub first: i64,
    /// Numbers after that one are missing.
    pub has_gap: bool,
    /// The first run comes so late after the beginning of the window that one before it is to be expected.
    pub begins_late: bool,
}

/// Counts runs, one after the other.
#[derive(Clone, Debug)]
pub struct Tally {
    window: Window,
    /// Midnights, ascending.
    days: Vec<Timestamp>,
    runs_of_days: Vec<u64>,
    outcomes: BTreeMap<Outcome, u64>,
    unfinished: u64,
    waits: Vec<Span>,
    run_times: Vec<Span>,
    /// How long runs were waiting or running within the window, in microseconds.
    present_us: u128,
    queues: BTreeMap<String, Flow>,
    hosts: BTreeMap<FarPlace, HostRuns>,
    /// In boxes, because a table of a million large values is slow to grow.
    jobs: HashMap<JobId, Box<OfJob>>,
}

impl Tally {
    /// Begins to count. `days`: the starts of the days of which runs are counted apart, ascending.
    pub fn new(window: Window, days: Vec<Timestamp>) -> Self {
        Self {
            window,
            runs_of_days: vec![0; days.len()],
            days,
            outcomes: BTreeMap::new(),
            unfinished: 0,
            waits: Vec::new(),
            run_times: Vec::new(),
            present_us: 0,
            queues: BTreeMap::new(),
            hosts: BTreeMap::new(),
            jobs: HashMap::new(),
        }
    }

    /// Counts a row if it belongs to the window. Takes the rows in the order in which they were made, each
    /// once.
    pub fn add(&mut self, run: &RunSample<'_>) {
        let unseen = || Box::new(OfJob { first: run.number, since: run.queued_at, ..OfJob::default() });
        let job = self.jobs.entry(run.job).or_insert_with(unseen);
        job.since = job.since.min(run.queued_at);
        job.first = job.first.min(run.number);
        job.last = job.last.max(run.number);
        job.rows += 1;
        let is_of_queue = self.window.queue.as_ref().is_none_or(|queue| queue.as_str() == run.queue);
        if run.is_callback || run.queued_at < self.window.since || !is_of_queue {
            return;
        }
        match run.outcome {
            Some(outcome) => *self.outcomes.entry(outcome).or_default() += run.fires,
            None => self.unfinished += 1,
        }
        if let Some(day) = self.days.partition_point(|day| *day <= run.queued_at).checked_sub(1) {
            self.runs_of_days[day] += run.fires;
        }
        let times = RunTimes::of(run);
        self.waits.extend(times.wait);
        self.run_times.extend(times.run_time);
        if times.has_arrived {
            let until = run.finished_at.unwrap_or(self.window.now);
            self.present_us += u128::from(until.since(run.queued_at).as_micros());
        }
        times.count_into(&mut job.flow, run);
        if !self.queues.contains_key(run.queue) {
            self.queues.insert(run.queue.to_owned(), Flow::default());
        }
        let queue = self.queues.get_mut(run.queue).expect("it was inserted");
        times.count_into(queue, run);
        if let Some(place) = run.place {
            self.hosts.entry(place.clone()).or_default().add(run);
        }
    }

    /// Returns the jobs of which runs were seen, in no order.
    pub fn seen(&self) -> impl Iterator<Item = SeenJob> {
        self.jobs.iter().map(|(job, seen)| {
            let pause_us = self.window.now.since(seen.since).as_micros() / seen.rows.max(1).cast_unsigned();
            SeenJob {
                job: *job,
                first: seen.first,
                has_gap: seen.last - seen.first + 1 > seen.rows,
                begins_late: seen.since.since(self.window.since).as_micros() > pause_us,
            }
        })
    }

    /// Returns the mean run time of the successful runs of a job, or else of its queue.
    pub fn expected(&self, job: JobId, queue: &str) -> Option<Span> {
        let of_job = self.jobs.get(&job).and_then(|job| job.flow.success.mean());
        of_job.or_else(|| self.queues.get(queue)?.success.mean())
    }

    /// Returns the runs of a queue, if there are some.
    pub fn queue(&self, name: &str) -> Option<Flow> {
        self.queues.get(name).copied()
    }

    /// Ends the count. `jobs_max`: how many jobs are told apart, those with the largest share. `priority` is
    /// that of a job.
    pub fn finish(mut self, jobs_max: usize, priority: impl Fn(JobId) -> i64) -> Stats {
        let mut all = Flow::default();
        self.queues.values().for_each(|flow| all.add(flow));
        let seen = self.jobs.iter().filter(|(_, seen)| seen.flow.runs > 0);
        let mut order: Vec<(Reverse<Span>, JobId)> =
            seen.map(|(job, seen)| (Reverse(seen.flow.run_time.sum()), *job)).collect();
        let job_count = order.len();
        // There may be a million, of which few are wanted.
        if jobs_max < job_count {
            order.select_nth_unstable(jobs_max);
            order.truncate(jobs_max);
        }
        order.sort_unstable();
        let job = |(Reverse(run_time), job): &(Reverse<Span>, JobId)| JobStats {
            job: *job,
            flow: self.jobs[job].flow,
            share: ratio(seconds(*run_time), seconds(all.run_time.sum())),
        };
        let jobs = order.iter().map(job).collect();
        let (mut sum, mut weights) = (0, 0);
        for (job, seen) in &self.jobs {
            let weight = u128::try_from(WEIGHT_OF_PRIORITY_0 + priority(*job)).unwrap_or(0).max(1);
            sum += weight * seen.flow.response.sum_us();
            weights += weight * u128::from(seen.flow.response.count);
        }
        let weighted = sum.checked_div(weights).map(|mean| u64::try_from(mean).unwrap_or(u64::MAX));
        Stats {
            all,
            outcomes: self.outcomes,
            unfinished: self.unfinished,
            wait: MeanAndP95::of(&mut self.waits),
            run_time: MeanAndP95::of(&mut self.run_times),
            weighted_response: weighted.map(Span::from_micros),
            arrival_rate: self.window.per_second(all.arrived),
            service_rate: all.run_time.mean().and_then(|mean| ratio(1.0, seconds(mean))),
            mean_present: ratio(self.present_us as f64 / 1e6, seconds(self.window.length())),
            run_times: self.run_times,
            runs_of_days: self.runs_of_days,
            hosts: self.hosts,
            job_count,
            jobs,
            window: self.window,
        }
    }
}

/// The times of a run.
struct RunTimes {
    /// It waits, runs, or has run: it is no fire that was missed or skipped, no run that was dropped, and
    /// none that could not be started.
    has_arrived: bool,
    /// The start of the first attempt that had a process.
    began: Option<Timestamp>,
    wait: Option<Span>,
    run_time: Option<Span>,
    response: Option<Span>,
}

impl RunTimes {
    fn of(run: &RunSample<'_>) -> Self {
        // The first attempt of a run that is retried may have been refused a process.
        let began = run.first_started_at.or(run.started_at);
        let ended = began.and(run.finished_at);
        let latest = |finished: Timestamp| run.started_at.map_or(Span::ZERO, |at| finished.since(at));
        let run_time = |finished| {
            Span::from_micros(run.earlier.as_micros().saturating_add(latest(finished).as_micros()))
        };
        Self {
            has_arrived: began.is_some() || run.finished_at.is_none(),
            began,
            wait: began.map(|at| at.since(run.queued_at)),
            run_time: ended.map(run_time),
            response: ended.map(|finished| finished.since(run.queued_at)),
        }
    }

    fn count_into(&self, flow: &mut Flow, run: &RunSample<'_>) {
        let outcome = run.outcome;
        flow.runs += if outcome.is_some_and(is_fire_alone) { 0 } else { run.fires };
        flow.arrived += u64::from(self.has_arrived);
        flow.wait.extend(self.wait);
        flow.run_time.extend(self.run_time);
        flow.response.extend(self.response);
        flow.failed += u64::from(outcome.is_some_and(Outcome::is_failure));
        flow.success.extend(self.run_time.filter(|_| outcome == Some(Outcome::Success)));
    }
}

impl Flow {
    fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.arrived += other.arrived;
        self.wait.add(other.wait);
        self.run_time.add(other.run_time);
        self.response.add(other.response);
        self.success.add(other.success);
        self.failed += other.failed;
    }
}

/// The run log of a window in numbers.
#[derive(Clone, Debug)]
pub struct Stats {
    pub window: Window,
    pub all: Flow,
    /// Of a fire that was missed, skipped or dropped: each counts.
    pub outcomes: BTreeMap<Outcome, u64>,
    pub unfinished: u64,
    pub wait: Option<MeanAndP95>,
    pub run_time: Option<MeanAndP95>,
    /// The mean response time, where each run has the weight 101 + the priority of its job.
    pub weighted_response: Option<Span>,
    /// λ, by the second.
    pub arrival_rate: Option<f64>,
    /// μ, by the second.
    pub service_rate: Option<f64>,
    /// L, as measured.
    pub mean_present: Option<f64>,
    /// In no order.
    pub run_times: Vec<Span>,
    pub runs_of_days: Vec<u64>,
    /// Those that have had runs.
    pub hosts: BTreeMap<FarPlace, HostRuns>,
    /// How many jobs have had runs.
    pub job_count: usize,
    /// Those with the largest share, the largest first.
    pub jobs: Vec<JobStats>,
}

impl Stats {
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.unfinished == 0
    }

    /// Returns how many runs have ended. A fire that was missed or skipped is not a run here.
    pub fn ended(&self) -> u64 {
        let is_run = |outcome: &Outcome| !is_fire_alone(*outcome);
        self.outcomes.iter().filter(|(outcome, _)| is_run(outcome)).map(|(_, count)| count).sum()
    }

    /// Returns λW, which Little's law compares with `mean_present`.
    pub fn little(&self) -> Option<f64> {
        Some(self.arrival_rate? * seconds(self.all.response.mean()?))
    }
}

/// Tells whether a fire with this outcome was never queued.
pub fn is_fire_alone(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Missed | Outcome::Skipped)
}

/// A job in numbers.
#[derive(Clone, Copy, Debug)]
pub struct JobStats {
    pub job: JobId,
    pub flow: Flow,
    /// Its part of the run time of all.
    pub share: Option<f64>,
}

/// Returns a span in seconds.
pub fn seconds(span: Span) -> f64 {
    span.as_micros() as f64 / 1e6
}
