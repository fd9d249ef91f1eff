//! Owns: how much work waits, and how long it takes.
//! Never: how long a run is expected to take (the caller says it), the clock.

use std::collections::BTreeMap;

use crate::domain::{JobId, Span};

/// Waiting runs of a job, in one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingWork {
    pub job: JobId,
    pub count: u64,
    /// The most claimed runs of the job; `None`: any number.
    pub at_once: Option<u32>,
}

/// A running run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunningWork {
    pub job: JobId,
    pub elapsed: Span,
}

/// The unfinished runs of a queue that need nothing but a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    pub waiting: Vec<WaitingWork>,
    pub running: Vec<RunningWork>,
}

/// An estimate of the work that is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    pub waiting: u64,
    pub running: u64,
    /// The runs of which nothing says how long they take. `work` leaves them out.
    pub unknown: u64,
    /// The running runs that take longer than expected. Nothing says how much longer: `work` has none of it.
    pub late: u64,
    /// Time of slots.
    pub work: Span,
    /// When all of it is done, if no more comes. `None` if that cannot be told, or no slot is open.
    pub drained_in: Option<Span>,
}

impl Backlog {
    /// Adds the backlog of another queue, which has slots of its own.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let drained_in = self.drained_in.zip(other.drained_in).map(|(own, other)| own.max(other));
        Self {
            waiting: self.waiting + other.waiting,
            running: self.running + other.running,
            unknown: self.unknown + other.unknown,
            late: self.late + other.late,
            work: Span::from_micros(self.work.as_micros().saturating_add(other.work.as_micros())),
            drained_in,
        }
    }
}

/// Estimates the work of one queue. `slots`: those that start runs, 0 if it is paused. `expected`: how long
/// a run of a job takes.
///
/// The time until it is drained is the larger of two bounds: all slots share the work; and the work of each
/// job is done by no more slots than it may use, and has runs for.
pub fn backlog(work: &Work, slots: usize, expected: impl Fn(JobId) -> Option<Span>) -> Backlog {
    let mut all = Backlog { drained_in: Some(Span::ZERO), ..Backlog::default() };
    let mut jobs: BTreeMap<JobId, OfJob> = BTreeMap::new();
    for RunningWork { job, elapsed } in &work.running {
        all.running += 1;
        let Some(span) = expected(*job) else {
            all.unknown += 1;
            continue;
        };
        all.late += u64::from(*elapsed > span);
        let of_job = jobs.entry(*job).or_default();
        of_job.runs += 1;
        of_job.work_us += u128::from(span.as_micros().saturating_sub(elapsed.as_micros()));
    }
    for WaitingWork { job, count, at_once } in &work.waiting {
        all.waiting += count;
        let Some(span) = expected(*job) else {
            all.unknown += count;
            continue;
        };
        let of_job = jobs.entry(*job).or_default();
        of_job.runs += count;
        of_job.at_once = *at_once;
        of_job.work_us += u128::from(span.as_micros()) * u128::from(*count);
    }
    let whole: u128 = jobs.values().map(|job| job.work_us).sum();
    all.work = span(whole);
    let slots = slots as u64;
    let by_jobs = jobs.values().map(|job| job.work_us.checked_div(job.lanes(slots).into()));
    let bounds: Option<Vec<u128>> = by_jobs.chain([whole.checked_div(slots.into())]).collect();
    let is_nothing = all.waiting + all.running == 0;
    // The end of late runs alone cannot be told. Where others wait, they are a small part.
    let is_told = all.unknown == 0 && whole > 0;
    all.drained_in = match bounds {
        _ if is_nothing => Some(Span::ZERO),
        Some(bounds) if is_told => bounds.into_iter().max().map(span),
        Some(_) | None => None,
    };
    all
}

/// The work of a job.
#[derive(Clone, Copy, Debug, Default)]
struct OfJob {
    runs: u64,
    at_once: Option<u32>,
    work_us: u128,
}

impl OfJob {
    /// Returns how many slots it can use.
    fn lanes(&self, slots: u64) -> u64 {
        slots.min(self.runs).min(self.at_once.map_or(u64::MAX, u64::from))
    }
}

fn span(micros: u128) -> Span {
    Span::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}
