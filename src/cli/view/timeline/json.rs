//! Owns: the picture as a JSON document: the runs of each job, its coming fires, and the busiest minute.
//! Never: cells and pixels.

use serde::Serialize;

use super::facts::{JobFacts, Picture};
use super::load::BusiestMinute;
use crate::domain::{JobId, Outcome, RunState, Timestamp};
use crate::store::{EarlierAttempt, TimelineRun};

#[derive(Serialize)]
pub struct TimelineJson<'a> {
    since_at: Timestamp,
    until_at: Timestamp,
    now_at: Timestamp,
    jobs: Vec<JobOfTime<'a>>,
    most_at_once: u32,
    busiest_minute: Option<MinuteJson>,
}

#[derive(Serialize)]
struct JobOfTime<'a> {
    job_id: JobId,
    name: Option<&'a str>,
    runs: Vec<RunOfTime>,
    /// Of arrays: the indices without a run.
    waiting_indices: u64,
    coming: Vec<ComingFire>,
    most_at_once: u32,
}

#[derive(Serialize)]
struct ComingFire {
    at: Timestamp,
}

#[derive(Serialize)]
struct RunOfTime {
    id: String,
    attempt: u32,
    state: RunState,
    outcome: Option<Outcome>,
    fires: u64,
    scheduled_at: Timestamp,
    queued_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    index: Option<u32>,
    unattended: bool,
    earlier_attempts: Vec<AttemptOfTime>,
}

#[derive(Serialize)]
struct AttemptOfTime {
    number: u32,
    outcome: Outcome,
    started_at: Option<Timestamp>,
    finished_at: Timestamp,
}

#[derive(Serialize)]
struct MinuteJson {
    at: Timestamp,
    starts: u32,
    at_once: u32,
}

impl<'a> TimelineJson<'a> {
    /// `jobs`: those of the lines of the picture, which has a line for each.
    pub fn new(picture: &Picture, jobs: &'a [JobFacts]) -> Self {
        let of_job = |(job, most_at_once): (&'a JobFacts, u32)| JobOfTime {
            job_id: job.id,
            name: job.label.name.as_deref(),
            runs: job.runs.iter().map(RunOfTime::from).collect(),
            waiting_indices: job.bars.iter().filter(|bar| bar.run.is_none()).map(|bar| bar.count).sum(),
            coming: job.coming.iter().map(|at| ComingFire { at: *at }).collect(),
            most_at_once,
        };
        let minute = |BusiestMinute { at, starts, at_once }| MinuteJson { at, starts, at_once };
        Self {
            since_at: picture.window.since,
            until_at: picture.window.until,
            now_at: picture.window.now,
            jobs: jobs.iter().map(|job| (job, job.most_at_once(&picture.window))).map(of_job).collect(),
            most_at_once: picture.load.most_at_once,
            busiest_minute: picture.load.busiest.map(minute),
        }
    }
}

impl From<&TimelineRun> for RunOfTime {
    fn from(run: &TimelineRun) -> Self {
        Self {
            id: run.run.to_string(),
            attempt: run.attempt,
            state: run.state,
            outcome: run.outcome,
            fires: run.fires,
            scheduled_at: run.scheduled_at,
            queued_at: run.queued_at,
            started_at: run.started_at,
            finished_at: run.finished_at,
            index: run.index,
            unattended: run.unattended,
            earlier_attempts: run.earlier.iter().map(AttemptOfTime::from).collect(),
        }
    }
}

impl From<&EarlierAttempt> for AttemptOfTime {
    fn from(attempt: &EarlierAttempt) -> Self {
        let EarlierAttempt { number, outcome, started_at, finished_at } = *attempt;
        Self { number, outcome, started_at, finished_at }
    }
}
