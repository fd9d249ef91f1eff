//! Owns: which runs and jobs are forgotten.
//! Never: deleting them, SQL, the clock.

use crate::domain::{EventId, Span, Timestamp};

/// How much history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// A run that finished longer ago is forgotten.
    pub age_max: Span,
    /// How many of its latest runs each job keeps.
    pub runs_max: u64,
    /// An event that was recorded longer ago is forgotten.
    pub events_age_max: Span,
    /// How many of the latest events are kept.
    pub events_max: u64,
}

impl Default for Retention {
    /// A season to look back on, and at most a day of a job that runs each minute. That many events take
    /// about six megabytes.
    fn default() -> Self {
        let season = Span::from_seconds(90 * 86_400);
        Self { age_max: season, runs_max: 1_000, events_age_max: season, events_max: 200_000 }
    }
}

/// A finished run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastRun {
    pub number: i64,
    /// The number of its latest attempt.
    pub attempts: u32,
    pub queued_at: Timestamp,
    pub finished_at: Timestamp,
    /// A mail about it waits or is being sent.
    pub has_open_mail: bool,
}

/// A job, as far as its history depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastJob {
    /// `None` for a living job.
    pub done_at: Option<Timestamp>,
    /// The number of the last of its runs before the latest `Retention::runs_max`, finished or not. `None`:
    /// it has no more runs than those. Numbers alone do not say it, as later runs may be forgotten already.
    pub last_surplus: Option<i64>,
    /// Its latest finished run.
    pub last: Option<i64>,
    /// Its latest run that failed.
    pub last_failure: Option<i64>,
    /// A stored crontab has a line of it, or it was applied from a file: what is in the file is not new then.
    pub is_of_file: bool,
    /// A living job depends on it.
    pub is_depended_on: bool,
    /// A run of another job waits for one of its runs.
    pub is_awaited: bool,
}

/// The fate of a finished run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Forgotten,
    Kept,
    /// It is kept, and so are all runs with higher numbers.
    KeptWithLater,
}

impl Retention {
    /// Decides on a run. A living job, and one that a living job depends on, keeps its latest run
    /// and its last failure. A run keeps its mail.
    pub fn judge(&self, run: &PastRun, job: &PastJob, now: Timestamp) -> Verdict {
        let is_surplus = job.last_surplus.is_some_and(|last| run.number <= last);
        // Later runs were queued later, so they have not finished before this instant either.
        if job.is_awaited || !is_surplus && run.queued_at >= now - self.age_max {
            return Verdict::KeptWithLater;
        }
        let is_old = run.finished_at < now - self.age_max;
        let is_needed = (job.done_at.is_none() || job.is_depended_on)
            && [job.last, job.last_failure].contains(&Some(run.number));
        if (is_surplus || is_old) && !is_needed && !run.has_open_mail {
            Verdict::Forgotten
        } else {
            Verdict::Kept
        }
    }

    /// Decides on an event that was recorded at `at`; `last`: the latest one.
    pub fn forgets_event(&self, event: EventId, at: Timestamp, last: EventId, now: Timestamp) -> bool {
        at < now - self.events_age_max || last.0 - event.0 >= self.events_max
    }

    /// Decides on a job without a run that is kept. `has_lost`: a run of it is forgotten now. A done job goes
    /// with its last run, and one that never had a run when it has been done for as long.
    pub fn forgets_job(&self, job: &PastJob, has_lost: bool, now: Timestamp) -> bool {
        let is_over = |done_at| has_lost || done_at < now - self.age_max;
        !job.is_of_file && !job.is_depended_on && job.done_at.is_some_and(is_over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETENTION: Retention = Retention {
        age_max: Span::from_seconds(100),
        runs_max: 10,
        events_age_max: Span::from_seconds(100),
        events_max: 5,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(1_000 + second)
    }

    fn living(newest: i64) -> PastJob {
        let last_surplus = Some(newest - 10);
        PastJob {
            done_at: None,
            last_surplus,
            last: Some(newest),
            last_failure: None,
            is_of_file: false,
            is_depended_on: false,
            is_awaited: false,
        }
    }

    fn run(number: i64, queued: i64, finished: i64) -> PastRun {
        let (queued_at, finished_at) = (at(queued), at(finished));
        PastRun { number, attempts: 1, queued_at, finished_at, has_open_mail: false }
    }

    #[test]
    fn a_run_goes_when_it_is_too_old_or_one_too_many() {
        let verdict = |run: PastRun| RETENTION.judge(&run, &living(20), at(100));
        assert_eq!(verdict(run(10, 90, 91)), Verdict::Forgotten);
        assert_eq!(verdict(run(11, 90, 91)), Verdict::KeptWithLater);
        assert_eq!(verdict(run(11, -2, -1)), Verdict::Forgotten);
        assert_eq!(verdict(run(11, -2, 0)), Verdict::Kept, "it ran long");
        assert_eq!(verdict(run(11, 0, 0)), Verdict::KeptWithLater);
    }

    #[test]
    fn a_living_job_keeps_its_latest_run_and_its_last_failure() {
        let mut job = PastJob { last_failure: Some(3), ..living(20) };
        let verdict = |number, job: &PastJob| RETENTION.judge(&run(number, -50, -50), job, at(100));
        assert_eq!([3, 4, 19, 20].map(|number| verdict(number, &job)), {
            [Verdict::Kept, Verdict::Forgotten, Verdict::Forgotten, Verdict::Kept]
        });
        job.last = Some(18);
        assert_eq!(verdict(18, &job), Verdict::Kept, "the runs after it are unfinished");
        job.done_at = Some(at(-50));
        assert_eq!(verdict(20, &job), Verdict::Forgotten);
    }

    #[test]
    fn nothing_goes_of_a_job_for_which_a_run_waits() {
        let awaited = PastJob { is_awaited: true, ..living(20) };
        assert_eq!(RETENTION.judge(&run(1, -50, -50), &awaited, at(100)), Verdict::KeptWithLater);
    }

    #[test]
    fn an_event_goes_when_it_is_too_old_or_one_too_many() {
        let forgets =
            |event, second| RETENTION.forgets_event(EventId(event), at(second), EventId(9), at(100));
        assert_eq!([4, 5].map(|event| forgets(event, 50)), [true, false]);
        assert_eq!([-1, 0].map(|second| forgets(9, second)), [true, false]);
    }

    #[test]
    fn a_run_stays_until_its_mail_is_sent() {
        let open = PastRun { has_open_mail: true, ..run(1, -50, -50) };
        assert_eq!(RETENTION.judge(&open, &living(20), at(100)), Verdict::Kept);
    }

    #[test]
    fn a_done_job_goes_with_its_last_run_and_a_line_of_a_crontab_stays() {
        let done = PastJob { done_at: Some(at(50)), ..living(1) };
        assert!(RETENTION.forgets_job(&done, true, at(100)));
        assert!(!RETENTION.forgets_job(&done, false, at(100)), "it was cancelled before it ran");
        assert!(RETENTION.forgets_job(&done, false, at(151)));
        assert!(!RETENTION.forgets_job(&living(1), true, at(500)));
        assert!(!RETENTION.forgets_job(&PastJob { is_of_file: true, ..done }, true, at(500)));
        assert!(!RETENTION.forgets_job(&PastJob { is_depended_on: true, ..done }, true, at(500)));
    }
}
