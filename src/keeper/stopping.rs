//! Owns: when a run gets which signal, and the reported cause.
//! Never: sending it, or reading a clock: it is pure.

use std::time::Duration;

use crate::domain::StopCause;

/// A signal that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// TERM, and CONT so that stopped processes see it.
    Terminate,
    Kill,
}

/// How far the stopping of a run has come. Times are monotonic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Untouched { timeout_at: Option<Duration> },
    Terminated { cause: StopCause, kill_at: Duration },
    Killed { cause: StopCause },
}

/// The stopping of one run. The first cause stays, whatever follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopping {
    kill_after: Duration,
    stage: Stage,
}

impl Stopping {
    /// Begins with a run that starts now.
    pub fn new(now: Duration, timeout: Option<Duration>, kill_after: Duration) -> Self {
        let timeout_at = timeout.map(|timeout| now.saturating_add(timeout));
        Self { kill_after, stage: Stage::Untouched { timeout_at } }
    }

    /// Returns when `expire` has something to do.
    pub fn deadline(&self) -> Option<Duration> {
        match self.stage {
            Stage::Untouched { timeout_at } => timeout_at,
            Stage::Terminated { kill_at, .. } => Some(kill_at),
            Stage::Killed { .. } => None,
        }
    }

    /// Returns why signals were sent, if any were.
    pub fn cause(&self) -> Option<StopCause> {
        match self.stage {
            Stage::Untouched { .. } => None,
            Stage::Terminated { cause, .. } | Stage::Killed { cause } => Some(cause),
        }
    }

    /// Returns whether KILL is due, or was sent.
    pub fn is_killed(&self) -> bool {
        matches!(self.stage, Stage::Killed { .. })
    }

    /// The run is cancelled; with `at_once`, without a chance to tidy up.
    pub fn cancel(&mut self, now: Duration, at_once: bool) -> Option<StopSignal> {
        match (self.stage, at_once) {
            (Stage::Untouched { .. }, false) => Some(self.terminate(now, StopCause::Cancelled)),
            (Stage::Untouched { .. }, true) => Some(self.kill(StopCause::Cancelled)),
            (Stage::Terminated { cause, .. }, true) => Some(self.kill(cause)),
            (Stage::Terminated { .. }, false) | (Stage::Killed { .. }, _) => None,
        }
    }

    /// The time has come to `now`.
    pub fn expire(&mut self, now: Duration) -> Option<StopSignal> {
        match self.stage {
            Stage::Untouched { timeout_at: Some(at) } if at <= now => {
                Some(self.terminate(now, StopCause::TimedOut))
            }
            Stage::Terminated { cause, kill_at } if kill_at <= now => Some(self.kill(cause)),
            Stage::Untouched { .. } | Stage::Terminated { .. } | Stage::Killed { .. } => None,
        }
    }

    fn terminate(&mut self, now: Duration, cause: StopCause) -> StopSignal {
        self.stage = Stage::Terminated { cause, kill_at: now.saturating_add(self.kill_after) };
        StopSignal::Terminate
    }

    fn kill(&mut self, cause: StopCause) -> StopSignal {
        self.stage = Stage::Killed { cause };
        StopSignal::Kill
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_timeout_terminates_and_kills_when_kill_after_is_over() {
        let mut run = Stopping::new(at(100), Some(at(30)), at(10));
        assert_eq!((run.deadline(), run.expire(at(129)), run.cause()), (Some(at(130)), None, None));
        assert_eq!(run.expire(at(130)), Some(StopSignal::Terminate));
        assert_eq!((run.deadline(), run.cause()), (Some(at(140)), Some(StopCause::TimedOut)));
        assert_eq!((run.expire(at(139)), run.expire(at(141))), (None, Some(StopSignal::Kill)));
        assert_eq!((run.deadline(), run.expire(at(999))), (None, None));
    }

    #[test]
    fn the_first_cause_stays() {
        let mut timed_out = Stopping::new(at(0), Some(at(1)), at(10));
        timed_out.expire(at(1));
        assert_eq!(timed_out.cancel(at(2), false), None);
        assert_eq!((timed_out.cause(), timed_out.deadline()), (Some(StopCause::TimedOut), Some(at(11))));
        let mut cancelled = Stopping::new(at(0), Some(at(5)), at(10));
        cancelled.cancel(at(4), false);
        assert_eq!((cancelled.expire(at(5)), cancelled.cause()), (None, Some(StopCause::Cancelled)));
    }

    #[test]
    fn a_stop_at_once_kills_whatever_came_before_and_only_once() {
        let mut fresh = Stopping::new(at(0), None, at(10));
        assert_eq!((fresh.cancel(at(1), true), fresh.cancel(at(1), true)), (Some(StopSignal::Kill), None));
        let mut terminated = Stopping::new(at(0), Some(at(1)), at(10));
        terminated.expire(at(1));
        assert_eq!(terminated.cancel(at(2), true), Some(StopSignal::Kill));
        assert_eq!((terminated.cause(), terminated.deadline()), (Some(StopCause::TimedOut), None));
    }

    #[test]
    fn endless_spans_do_not_wrap_around() {
        let run = Stopping::new(at(1), Some(Duration::MAX), Duration::MAX);
        assert_eq!(run.deadline(), Some(Duration::MAX));
    }
}
