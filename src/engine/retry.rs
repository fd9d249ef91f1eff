//! Owns: the outcome of a run whose attempt has ended.
//! Never: how the keeper ends an attempt.

use crate::domain::{End, Outcome, StopCause};

/// The cause of the outcome `lost`.
pub const LOST: &str = "the keeper that ran it is gone, and its status with it";

/// The next state of a run whose attempt has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion {
    Finished {
        outcome: Outcome,
        exit_code: Option<i32>,
        signal: Option<i32>,
        /// Why, where the rest does not explain it.
        cause: Option<String>,
    },
    /// It was not started, and waits again.
    Requeued,
}

/// Decides on the run of an attempt that ended. `stop_wanted`: a stop of the run was requested.
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
        // A stop signal that was sent explains the end, although the exit status is unknown.
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
    fn a_status_decides_the_outcome_unless_taskq_stopped_the_run() {
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
    fn an_end_without_a_status_is_lost_unless_taskq_stopped_the_run() {
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
