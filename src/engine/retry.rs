//! Owns: what becomes of a run whose attempt has ended: it is finished, tried again, or queued again.
//! Never: how the keeper ends an attempt.

use super::plan::Plan;
use crate::domain::{End, Outcome, Retry, RunId, Span, StopCause, Timestamp};

/// The cause of the outcome `lost`.
const OUT_OF_MEMORY: &str = "the kernel ended it, because its control group was out of memory";

/// The signal by which the kernel does that, signal(7).
const KILL: i32 = 9;

pub const LOST: &str = "the keeper that ran it is gone, and its status with it";

/// The pauses before retries are lengthened by up to one part in so many.
const JITTER_PART: u64 = 10;

/// The facts about a run whose attempt has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptFacts {
    pub run: RunId,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    pub finished_at: Timestamp,
    /// A stop of the run was requested.
    pub stop_wanted: bool,
    pub retry: Retry,
}

/// How an attempt has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptOutcome {
    pub outcome: Outcome,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    /// Why, where the rest does not explain it.
    pub cause: Option<String>,
}

/// The next state of a run whose attempt has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion {
    Finished(AttemptOutcome),
    /// The next attempt starts at `at` or later.
    Retrying {
        verdict: AttemptOutcome,
        at: Timestamp,
    },
    /// It was not started, and waits again.
    Requeued,
}

/// Decides on the run of an attempt that ended. `stopped`: the keeper has stopped it.
pub fn conclude(end: &End, stopped: Option<StopCause>, facts: &AttemptFacts) -> Conclusion {
    let Some(verdict) = judge(end, stopped, facts.stop_wanted) else { return Conclusion::Requeued };
    let Retry { retries, on, .. } = facts.retry;
    // A user who stops a run wants no other attempt, even if this one ended before it could be stopped.
    let is_retried = facts.attempt <= retries
        && !facts.stop_wanted
        && match on {
            None => matches!(verdict.outcome, Outcome::Failed | Outcome::TimedOut | Outcome::SpawnFailed),
            Some(causes) => match verdict.outcome {
                Outcome::Failed | Outcome::SpawnFailed => {
                    verdict.exit_code.map_or(causes.signal, |status| causes.has_status(status))
                }
                Outcome::TimedOut => causes.timeout,
                Outcome::Lost => causes.lost,
                Outcome::Success | Outcome::Cancelled | Outcome::Missed | Outcome::Skipped => false,
            },
        };
    match is_retried {
        true => Conclusion::Retrying { at: facts.finished_at + pause(facts), verdict },
        false => Conclusion::Finished(verdict),
    }
}

/// Returns how an attempt has ended; `None` if it was not started, and is still wanted.
fn judge(end: &End, stopped: Option<StopCause>, stop_wanted: bool) -> Option<AttemptOutcome> {
    let stopped_outcome = stopped.map(|cause| match cause {
        StopCause::TimedOut => Outcome::TimedOut,
        StopCause::Cancelled => Outcome::Cancelled,
    });
    let verdict =
        |outcome, exit_code, signal, cause| Some(AttemptOutcome { outcome, exit_code, signal, cause });
    match end {
        End::NotStarted if stop_wanted || stopped.is_some() => {
            verdict(stopped_outcome.unwrap_or(Outcome::Cancelled), None, None, None)
        }
        End::NotStarted => None,
        End::Exited(status) => {
            let natural = if *status == 0 { Outcome::Success } else { Outcome::Failed };
            verdict(stopped_outcome.unwrap_or(natural), Some(*status), None, None)
        }
        End::Signaled(signal) => {
            verdict(stopped_outcome.unwrap_or(Outcome::Failed), None, Some(*signal), None)
        }
        End::OutOfMemory => {
            let cause = stopped.is_none().then(|| OUT_OF_MEMORY.to_owned());
            verdict(stopped_outcome.unwrap_or(Outcome::Failed), None, Some(KILL), cause)
        }
        // A stop signal that was sent explains the end, although the exit status is unknown.
        End::Lost => verdict(stopped_outcome.unwrap_or(Outcome::Lost), None, None, Some(LOST.to_owned())),
        End::LostThere(cause) => {
            verdict(stopped_outcome.unwrap_or(Outcome::Lost), None, None, Some(cause.clone()))
        }
        End::SpawnFailed { status, cause } => {
            verdict(Outcome::SpawnFailed, Some(*status), None, Some(cause.clone()))
        }
    }
}

/// Returns the pause after an attempt. It doubles with each attempt up to its longest, and is up to a tenth
/// longer, so that runs that failed together do not all come back together.
///
/// The same attempt always has the same pause: a decision that is taken again is the same.
fn pause(facts: &AttemptFacts) -> Span {
    let Retry { delay, delay_max, .. } = facts.retry;
    let doublings = (facts.attempt - 1).min(u64::BITS - 1);
    let doubled = delay.as_micros().saturating_mul(1 << doublings).min(delay_max.as_micros());
    let tenth = doubled / JITTER_PART;
    Span::from_micros(doubled.saturating_add(if tenth == 0 { 0 } else { seed(facts) % tenth }))
}

/// Returns a number that differs from attempt to attempt without a pattern (SplitMix64).
fn seed(facts: &AttemptFacts) -> u64 {
    let mix = |bits: u64| {
        let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    };
    let numbers = [facts.run.job.0.cast_unsigned(), facts.run.number.cast_unsigned(), facts.attempt.into()];
    numbers.into_iter().fold(0, |seed, number| mix(seed ^ number))
}

/// A run that waits for the time of its next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryingRun {
    /// Its last attempt.
    pub last: AttemptFacts,
    /// The time of the next.
    pub at: Timestamp,
}

/// Plans retries earlier on a clock that was set back far: none waits longer than its pause from now on.
pub fn retry_after_step_back(now: Timestamp, retrying: &[RetryingRun]) -> Plan {
    let sooner = retrying.iter().filter_map(|RetryingRun { last, at }| {
        let longest = now + pause(last);
        (longest < *at).then_some((last.run, longest))
    });
    Plan { postponed: sooner.collect(), ..Plan::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::JobId;

    fn facts(attempt: u32, retry: Retry) -> AttemptFacts {
        AttemptFacts {
            run: RunId { job: JobId(7), number: 3 },
            attempt,
            finished_at: Timestamp::from_seconds(1_000),
            stop_wanted: false,
            retry,
        }
    }

    fn outcome(end: &End, stopped: Option<StopCause>, stop_wanted: bool) -> Option<Outcome> {
        match conclude(end, stopped, &AttemptFacts { stop_wanted, ..facts(1, Retry::default()) }) {
            Conclusion::Finished(verdict) => Some(verdict.outcome),
            Conclusion::Requeued => None,
            Conclusion::Retrying { .. } => panic!("nothing is retried by default"),
        }
    }

    #[test]
    fn a_status_decides_the_outcome_unless_taskq_stopped_the_run() {
        assert_eq!(outcome(&End::Exited(0), None, false), Some(Outcome::Success));
        assert_eq!(outcome(&End::Exited(3), None, false), Some(Outcome::Failed));
        assert_eq!(outcome(&End::Signaled(9), None, false), Some(Outcome::Failed));
        assert_eq!(outcome(&End::OutOfMemory, None, false), Some(Outcome::Failed));
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

    fn is_retried(end: &End, stopped: Option<StopCause>, facts: &AttemptFacts) -> bool {
        matches!(conclude(end, stopped, facts), Conclusion::Retrying { .. })
    }

    #[test]
    fn the_list_decides_which_ends_are_retried_and_without_one_every_failure_is() {
        let spawn_failed = End::SpawnFailed { status: 127, cause: "not found".to_owned() };
        let timed_out = Some(StopCause::TimedOut);
        let cancelled = Some(StopCause::Cancelled);
        for (end, stopped, any, statuses, words) in [
            (&End::Exited(0), None, false, false, false),
            (&End::Exited(1), None, true, true, false),
            (&End::Exited(2), None, true, false, false),
            (&End::Signaled(9), None, true, false, true),
            (&spawn_failed, None, true, true, false),
            (&End::Exited(1), timed_out, true, false, true),
            (&End::Signaled(15), timed_out, true, false, true),
            (&End::Lost, None, false, false, true),
            (&End::Exited(1), cancelled, false, false, false),
            (&End::Lost, cancelled, false, false, false),
        ] {
            for (on, wanted) in [("", any), ("1,126-127", statuses), ("signal,timeout,lost", words)] {
                let on = (!on.is_empty()).then(|| on.parse().expect("valid"));
                let facts = facts(1, Retry { retries: 1, on, ..Retry::default() });
                assert_eq!(is_retried(end, stopped, &facts), wanted, "{end:?} {stopped:?} {on:?}");
                let unwanted = AttemptFacts { stop_wanted: true, ..facts };
                assert!(!is_retried(end, stopped, &unwanted), "{end:?} after a cancel");
            }
        }
    }

    #[test]
    fn the_last_of_the_attempts_finishes_the_run() {
        let failed = |attempt| facts(attempt, Retry { retries: 2, ..Retry::default() });
        let retried = [1, 2, 3, 4].map(|attempt| is_retried(&End::Exited(1), None, &failed(attempt)));
        assert_eq!(retried, [true, true, false, false]);
    }

    #[test]
    fn the_pause_doubles_up_to_its_longest_and_is_at_most_a_tenth_longer() {
        let retry = Retry { retries: 100, ..Retry::default() };
        for (attempt, seconds) in [(1, 10), (2, 20), (6, 320), (7, 600), (8, 600), (64, 600), (1_000, 600)] {
            let micros = pause(&facts(attempt, retry)).as_micros();
            assert!((seconds * 1_000_000..seconds * 1_100_000).contains(&micros), "{attempt}: {micros}");
        }
        let long = Retry { delay_max: Span::from_micros(u64::MAX), ..retry };
        assert!(pause(&facts(1_000, long)) > Span::from_seconds(1_000_000_000));
        assert_eq!(pause(&facts(9, Retry { delay: Span::ZERO, ..retry })), Span::ZERO);
    }

    #[test]
    fn the_pause_of_an_attempt_is_always_the_same_and_that_of_another_run_is_another() {
        let first = facts(1, Retry::default());
        assert_eq!(pause(&first), pause(&first));
        let other = AttemptFacts { run: RunId { number: 4, ..first.run }, ..first };
        assert_ne!(pause(&first), pause(&other));
    }

    #[test]
    fn on_a_clock_that_was_set_back_no_retry_waits_longer_than_its_pause() {
        let last = facts(1, Retry::default());
        let waits = |now: i64, at: i64| {
            let retrying = RetryingRun { last, at: Timestamp::from_seconds(at) };
            retry_after_step_back(Timestamp::from_seconds(now), &[retrying]).postponed
        };
        assert_eq!(waits(1_000, 1_010), []);
        assert_eq!(waits(0, 1_010), [(last.run, Timestamp::default() + pause(&last))]);
    }
}
