//! Owns: what an attempt's end means for its run.
//! Never: the keeper's side of it.

use crate::domain::{End, Outcome, StopCause};

/// Why the status of a lost run is unknown.
pub const LOST: &str = "the keeper that ran it is gone, and its status with it";

/// What becomes of a run whose attempt is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// It is finished.
    Finished {
        /// How.
        outcome: Outcome,
        /// The exit status, where there was one.
        exit_code: Option<i32>,
        /// The signal that ended it, where one did.
        signal: Option<i32>,
        /// Why, where the rest does not say it.
        cause: Option<String>,
    },
    /// It never started: it waits again.
    Requeued,
}

/// Decides what an attempt's end means; `stop_wanted`: its run was to be stopped.
pub fn conclude(end: &End, stopped: Option<StopCause>, stop_wanted: bool) -> Conclusion {
    let stopped_outcome = stopped.map(|cause| match cause {
        StopCause::TimedOut => Outcome::TimedOut,
        StopCause::Cancelled => Outcome::Cancelled,
    });
    let finished =
        |outcome, exit_code, signal, cause| Conclusion::Finished { outcome, exit_code, signal, cause };
    match end {
        End::NotStarted if stop_wanted || stopped.is_some() => {
            finished(stopped_outcome.unwrap_or(Outcome::Cancelled), None, None, None)
        }
        End::NotStarted => Conclusion::Requeued,
        End::Exited(status) => {
            let natural = if *status == 0 { Outcome::Success } else { Outcome::Failed };
            finished(stopped_outcome.unwrap_or(natural), Some(*status), None, None)
        }
        End::Signaled(signal) => {
            finished(stopped_outcome.unwrap_or(Outcome::Failed), None, Some(*signal), None)
        }
        // A stop that was sent explains the end, although nobody saw the exit status.
        End::Lost => finished(stopped_outcome.unwrap_or(Outcome::Lost), None, None, Some(LOST.to_owned())),
        End::SpawnFailed { status, cause } => {
            finished(Outcome::SpawnFailed, Some(*status), None, Some(cause.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(end: &End, stopped: Option<StopCause>, stop_wanted: bool) -> Option<Outcome> {
        match conclude(end, stopped, stop_wanted) {
            Conclusion::Finished { outcome, .. } => Some(outcome),
            Conclusion::Requeued => None,
        }
    }

    #[test]
    fn a_status_speaks_for_itself_unless_taskq_stopped_the_run() {
        assert_eq!(outcome(&End::Exited(0), None, false), Some(Outcome::Success));
        assert_eq!(outcome(&End::Exited(3), None, false), Some(Outcome::Failed));
        assert_eq!(outcome(&End::Signaled(9), None, false), Some(Outcome::Failed));
        assert_eq!(outcome(&End::Exited(0), Some(StopCause::Cancelled), true), Some(Outcome::Cancelled));
        assert_eq!(outcome(&End::Signaled(15), Some(StopCause::TimedOut), false), Some(Outcome::TimedOut));
    }

    #[test]
    fn a_run_that_ended_before_its_cancel_arrived_keeps_its_own_outcome() {
        assert_eq!(outcome(&End::Exited(0), None, true), Some(Outcome::Success));
    }

    #[test]
    fn an_end_that_no_keeper_saw_is_lost_unless_taskq_stopped_the_run() {
        assert_eq!(outcome(&End::Lost, None, true), Some(Outcome::Lost));
        assert_eq!(outcome(&End::Lost, Some(StopCause::Cancelled), true), Some(Outcome::Cancelled));
        assert_eq!(outcome(&End::Lost, Some(StopCause::TimedOut), false), Some(Outcome::TimedOut));
    }

    #[test]
    fn a_run_that_never_started_waits_again_unless_it_was_cancelled() {
        assert_eq!(outcome(&End::NotStarted, None, false), None);
        assert_eq!(outcome(&End::NotStarted, None, true), Some(Outcome::Cancelled));
        assert_eq!(outcome(&End::NotStarted, Some(StopCause::Cancelled), true), Some(Outcome::Cancelled));
    }
}
