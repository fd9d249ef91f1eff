//! Owns: what a trigger of `overdue` or `silent` finds when it looks at a run that is under way.
//! Never: looking at the output itself (see `daemon`), what the event does (see `listening`).
//!
//! The daemon does not see the output of a run. It looks when the run may have been silent long enough, and
//! waits anew if there was output in the meantime.

use crate::domain::{RunId, Span, Timestamp, TriggerId};

/// How many runs with success it takes to say how long a job usually runs.
const USUAL_RUNS_MIN: usize = 10;

/// How many of the latest runs of a job are asked how long they took.
pub const USUAL_RUNS_MAX: usize = 1_000;

/// The part of a silence that the next look may come later. New output during a silence that was told of is
/// noticed by looking again: at first after each span, and then ever more rarely.
const PART_OF_SILENCE: u64 = 10;

/// A trigger whose time has come to look at a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunTimer {
    pub trigger: TriggerId,
    pub run: RunId,
    pub attempt: u32,
    pub at: Timestamp,
    /// How long the run has to be under way, or silent.
    pub span: Span,
    /// `None`: it waits for the run to be overdue.
    pub silence: Option<Silence>,
    /// When the attempt has last written, as the files say now; `None`: it has written nothing, or `silence`
    /// is `None`.
    pub written_at: Option<Timestamp>,
}

/// The silence of a run, as it was at the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// The last output, or the start of the attempt. Never later than the look.
    pub since: Timestamp,
    /// What the files said. It tells new output from old also after a step of the clock.
    pub seen: Option<Timestamp>,
    /// The trigger has heard of it.
    pub is_told: bool,
}

/// What follows from a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub trigger: TriggerId,
    pub run: RunId,
    /// When the run became overdue, or was silent long enough; `None`: the trigger hears nothing.
    pub event_at: Option<Timestamp>,
    /// The next look; `None`: there is none.
    pub next_at: Option<Timestamp>,
    pub silence: Option<Silence>,
}

impl Silence {
    /// Returns the silence of an attempt that starts.
    pub fn from_start(started_at: Timestamp) -> Self {
        Self { since: started_at, seen: None, is_told: false }
    }

    fn at_look(self, written_at: Option<Timestamp>, now: Timestamp) -> Self {
        let since = self.since.min(now);
        match written_at {
            Some(written) if self.seen != written_at => {
                Self { since: written.min(now).max(since), seen: written_at, is_told: false }
            }
            Some(_) | None => Self { since, ..self },
        }
    }
}

/// Decides on a look at `now`.
pub(super) fn look(now: Timestamp, timer: &RunTimer) -> Look {
    let RunTimer { trigger, run, at, span, .. } = *timer;
    let Some(before) = timer.silence else {
        return Look { trigger, run, event_at: Some(at), next_at: None, silence: None };
    };
    let silence = before.at_look(timer.written_at, now);
    let silent_at = silence.since + span;
    if silent_at > now {
        let silence = Some(Silence { is_told: false, ..silence });
        return Look { trigger, run, event_at: None, next_at: Some(silent_at), silence };
    }
    let part = Span::from_micros(now.since(silence.since).as_micros() / PART_OF_SILENCE);
    Look {
        trigger,
        run,
        // Not before the trigger was there.
        event_at: (!silence.is_told).then(|| silent_at.max(at)),
        next_at: Some(now + span.max(part)),
        silence: Some(Silence { is_told: true, ..silence }),
    }
}

/// Returns how long a run may take before it is overdue: twice the 95th percentile, by nearest rank, of what
/// the runs before it `took`; `None` if there are too few of them.
pub fn usual_limit(took: &[Span]) -> Option<Span> {
    if took.len() < USUAL_RUNS_MIN {
        return None;
    }
    let mut sorted = took.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * 95).div_ceil(100);
    Some(Span::from_micros(sorted[rank - 1].as_micros().saturating_mul(2)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::JobId;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(1_772_000_000 + second)
    }

    fn timer(second: i64, silence: Option<Silence>, written_at: Option<Timestamp>) -> RunTimer {
        RunTimer {
            trigger: TriggerId(7),
            run: RunId { job: JobId(1), number: 3 },
            attempt: 1,
            at: at(second),
            span: Span::from_seconds(60),
            silence,
            written_at,
        }
    }

    fn silence(since: i64, seen: Option<i64>, is_told: bool) -> Silence {
        Silence { since: at(since), seen: seen.map(at), is_told }
    }

    /// Looks at a silent run, and returns the event, the next look and the silence.
    fn looked(
        now: i64,
        before: Silence,
        written_at: Option<i64>,
    ) -> (Option<Timestamp>, Option<Timestamp>, Silence) {
        let look = look(at(now), &timer(now, Some(before), written_at.map(at)));
        (look.event_at, look.next_at, look.silence.expect("it is about a silence"))
    }

    #[test]
    fn a_run_is_overdue_once() {
        let look = look(at(75), &timer(60, None, None));
        assert_eq!((look.event_at, look.next_at, look.silence), (Some(at(60)), None, None));
    }

    #[test]
    fn output_before_the_look_makes_it_wait_from_the_output_on() {
        let start = silence(0, None, false);
        assert_eq!(looked(60, start, Some(45)), (None, Some(at(105)), silence(45, Some(45), false)));
        let wrote = silence(45, Some(45), false);
        assert_eq!(looked(105, wrote, Some(45)), (Some(at(105)), Some(at(165)), silence(45, Some(45), true)));
    }

    #[test]
    fn a_run_without_any_output_is_silent_from_its_start_on() {
        let start = silence(0, None, false);
        assert_eq!(looked(60, start, None), (Some(at(60)), Some(at(120)), silence(0, None, true)));
    }

    #[test]
    fn a_silence_is_told_once_and_looked_at_ever_more_rarely_until_there_is_output() {
        let told = silence(0, Some(0), true);
        assert_eq!(looked(120, told, Some(0)), (None, Some(at(180)), told));
        assert_eq!(looked(6_000, told, Some(0)), (None, Some(at(6_600)), told));
        assert_eq!(looked(180, told, Some(170)), (None, Some(at(230)), silence(170, Some(170), false)));
        // The second silence was over its span before the look.
        let again = silence(100, Some(100), true);
        assert_eq!(looked(180, told, Some(100)), (Some(at(180)), Some(at(240)), again));
    }

    #[test]
    fn output_from_a_future_that_a_step_of_the_clock_has_left_behind_is_no_news() {
        let stepped = silence(5_000, Some(5_000), false);
        let (event, next, now_silent) = looked(0, stepped, Some(5_000));
        assert_eq!((event, next, now_silent), (None, Some(at(60)), silence(0, Some(5_000), false)));
        assert_eq!(looked(60, now_silent, Some(5_000)).0, Some(at(60)));
    }

    #[test]
    fn a_run_is_overdue_after_twice_the_95th_percentile_of_ten_runs_or_more() {
        let took = |seconds: &[u64]| seconds.iter().copied().map(Span::from_seconds).collect::<Vec<_>>();
        let limit = |seconds: &[u64]| usual_limit(&took(seconds)).map(|span| span.as_micros() / 1_000_000);
        assert_eq!(limit(&[1; 9]), None);
        assert_eq!(limit(&[1; 10]), Some(2));
        // Of 10 and of 19, the greatest; of 20, the last but one.
        assert_eq!(limit(&[9, 1, 1, 1, 1, 1, 1, 1, 1, 1]), Some(18));
        assert_eq!(limit(&[[1; 18].as_slice(), &[9]].concat()), Some(18));
        assert_eq!(limit(&[[9, 8].as_slice(), &[1; 18]].concat()), Some(16));
        assert_eq!(limit(&(1..=100).rev().collect::<Vec<_>>()), Some(190));
        assert_eq!(limit(&(1..=1_000).collect::<Vec<_>>()), Some(1_900));
    }
}
