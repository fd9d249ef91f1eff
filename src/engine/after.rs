//! Owns: the effects of the end of a run, for every way to end: exited, lost, missed, skipped, cancelled, not
//! started.
//! Never: applying them (see `store`).
//!
//! Every rule about the end of a run is an effect here, and every path that ends a run asks for the effects.

use super::callbacks::{CallbackFacts, callbacks_after};
use super::fires::{Planned, first_free_fire};
use crate::domain::{CallbackWhen, MailFormat, MailWhen, Outcome, Span, Timestamp, TriggerId};

/// The facts about a finished run that have effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunFacts {
    pub outcome: Outcome,
    /// When it ended; not after now.
    pub ended_at: Timestamp,
    /// How long its process ran; `None`: it had none.
    pub took: Option<Span>,
    pub output_bytes: u64,
    /// `None` if its job wants no mails.
    pub mail: Option<(MailWhen, MailFormat)>,
    /// The mean duration of the runs of its queue; `None` before the first one, and for a whole array.
    pub mean_run: Option<Span>,
    pub part: RunPart,
    /// The callbacks that its job has.
    pub callbacks: CallbackFacts,
}

/// What a run is of its fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunPart {
    /// The fire itself.
    Whole,
    /// One run of an array, whose end comes later.
    Index,
    /// An array, with all its runs.
    Array,
    /// A callback of another run.
    Callback,
}

impl RunPart {
    /// Returns whether it is the end of a fire, for all that follows such an end.
    fn ends_fire(self) -> bool {
        match self {
            Self::Whole | Self::Array => true,
            Self::Index | Self::Callback => false,
        }
    }
}

/// The facts about a job of which a run has begun or ended, or the coming fires were removed.
#[derive(Clone, Debug, PartialEq)]
pub struct EndFacts {
    /// The run that ended. `None` if something else happened.
    pub run: Option<RunFacts>,
    /// The job has an unfinished run.
    pub has_run: bool,
    /// The job has a coming fire of a trigger that is not one of `after_end`.
    pub has_fire: bool,
    /// Its triggers that fire after the end of its runs.
    pub after_end: Vec<Planned>,
    /// Beside a trigger of `after_end`: the job has an unfinished run or array that is not a callback.
    pub has_other: bool,
    /// How many of its runs may begin, and have begun; `None`: any number.
    pub times: Option<TimesFacts>,
    /// Another job depends on it.
    pub has_dependents: bool,
    /// Some trigger listens to the runs of other jobs.
    pub is_heard: bool,
}

/// The count of `--times`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimesFacts {
    pub times: u32,
    /// How many runs of its triggers have begun.
    pub begun: u32,
    /// How many more of them are unfinished and have not begun.
    pub waiting: u32,
}

impl TimesFacts {
    fn is_spent(self) -> bool {
        self.begun >= self.times
    }

    /// Returns how many more runs can be made, if all that wait will begin.
    pub fn left(self) -> u32 {
        self.times.saturating_sub(self.begun).saturating_sub(self.waiting)
    }
}

/// A change after the begin or the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Stores the new mean duration of the queue.
    Learn(Span),
    /// Queues a mail about the run.
    Mail,
    /// Removes the coming fires.
    Disarm,
    /// Sets the next fire of a trigger that fires after the end of a run; `None`: it fires no more.
    Rearm(TriggerId, Option<Timestamp>),
    /// Marks the job as done.
    Settle,
    /// Looks again at the runs that wait for the job.
    Wake,
    /// Queues a callback of the run.
    Call(CallbackWhen),
    /// Tells the triggers that listen to the job how the run has ended.
    Tell,
}

/// Decides on the effects.
pub fn after_end(facts: &EndFacts) -> Vec<Effect> {
    let mut effects = Vec::new();
    if let Some(run) = &facts.run {
        effects.extend(new_mean(run).map(Effect::Learn));
        // A callback has none of its own, and an array has them at its end.
        if run.part.ends_fire() {
            let callbacks = callbacks_after(run.outcome, run.took.is_some(), run.callbacks);
            effects.extend(callbacks.into_iter().map(Effect::Call));
        }
        if run.part.ends_fire() && run.mail.is_some_and(|(when, format)| deserves_mail(run, when, format)) {
            effects.push(Effect::Mail);
        }
    }
    if facts.is_heard && facts.run.is_some_and(|run| run.part.ends_fire()) {
        effects.push(Effect::Tell);
    }
    let may_fire = facts.has_fire || !facts.after_end.is_empty();
    let mut has_fire = may_fire && !facts.times.is_some_and(TimesFacts::is_spent);
    if may_fire && !has_fire {
        effects.push(Effect::Disarm);
    }
    if let Some(run) = facts.run.filter(|run| run.part.ends_fire() && has_fire && !facts.has_other) {
        let rearmed: Vec<_> = facts.after_end.iter().map(|trigger| rearmed(trigger, run.ended_at)).collect();
        has_fire = facts.has_fire || rearmed.iter().any(|(_, next_at)| next_at.is_some());
        effects.extend(rearmed.into_iter().map(|(trigger, next_at)| Effect::Rearm(trigger, next_at)));
    }
    let has_callback = effects.iter().any(|effect| matches!(effect, Effect::Call(_)));
    if !facts.has_run && !has_fire && !has_callback {
        effects.push(Effect::Settle);
    }
    let is_end_of_fire = facts.run.is_some_and(|run| run.part.ends_fire());
    let is_over = is_end_of_fire || effects.contains(&Effect::Settle);
    if facts.has_dependents && is_over {
        effects.push(Effect::Wake);
    }
    effects
}

/// Returns the next fire of a trigger that counts from the end of a run, also if it had one already.
fn rearmed(trigger: &Planned, ended_at: Timestamp) -> (TriggerId, Option<Timestamp>) {
    let next_at = trigger.schedule.as_ref().ok().and_then(|(schedule, zone)| {
        first_free_fire(schedule, zone, trigger.window, ended_at, &trigger.taken)
    });
    (trigger.trigger, next_at)
}

/// Returns the new mean duration, in which the latest run counts an eighth. The end of a lost run is unknown.
fn new_mean(run: &RunFacts) -> Option<Span> {
    let is_one_run = match run.part {
        RunPart::Whole | RunPart::Index => true,
        RunPart::Array | RunPart::Callback => false,
    };
    let took = run.took.filter(|_| is_one_run && run.outcome != Outcome::Lost)?;
    Some(run.mean_run.map_or(took, |mean| decayed(mean, took)))
}

/// Returns a mean duration in which the latest run counts an eighth, the one before an eighth of the rest,
/// and so on; `None` if there are none. `took`: the oldest first.
pub fn decayed_mean(took: impl IntoIterator<Item = Span>) -> Option<Span> {
    took.into_iter().reduce(decayed)
}

fn decayed(mean: Span, took: Span) -> Span {
    Span::from_micros((mean.as_micros() * 7 + took.as_micros()) / 8)
}

/// A mail in the form of a cron is sent for output only: with `Failed`, as with cronie's `-n`, for that of a
/// failed run. The crons write the reason why a command did not start to its output.
fn deserves_mail(run: &RunFacts, when: MailWhen, format: MailFormat) -> bool {
    let is_of_cron = match format {
        MailFormat::Taskq => false,
        MailFormat::Debian | MailFormat::Cronie => true,
    };
    let wrote = run.output_bytes > 0;
    let did_not_start = run.outcome == Outcome::SpawnFailed;
    match when {
        MailWhen::Output => wrote || did_not_start && is_of_cron,
        MailWhen::Failed => run.outcome.is_failure() && (!is_of_cron || wrote || did_not_start),
        MailWhen::Always => run.took.is_some() || did_not_start || run.outcome == Outcome::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Window;
    use crate::schedule::{Schedule, Zone};

    const RUN: RunFacts = RunFacts {
        outcome: Outcome::Success,
        ended_at: Timestamp::MIN,
        took: None,
        output_bytes: 0,
        mail: None,
        mean_run: None,
        part: RunPart::Whole,
        callbacks: CallbackFacts { success: false, failure: false, finish: false },
    };

    const BUSY: EndFacts = EndFacts {
        run: None,
        has_run: true,
        has_fire: true,
        after_end: Vec::new(),
        has_other: false,
        times: None,
        has_dependents: false,
        is_heard: false,
    };

    fn after(run: RunFacts) -> Vec<Effect> {
        after_end(&EndFacts { run: Some(run), ..BUSY })
    }

    #[test]
    fn a_job_is_done_when_it_has_neither_a_run_nor_a_fire_left() {
        for run in [None, Some(RUN)] {
            let idle = EndFacts { run, has_run: false, has_fire: false, ..BUSY };
            assert_eq!(after_end(&idle), [Effect::Settle]);
            assert_eq!(after_end(&EndFacts { has_run: true, ..idle.clone() }), []);
            assert_eq!(after_end(&EndFacts { has_fire: true, ..idle }), []);
        }
    }

    #[test]
    fn a_job_of_which_as_many_runs_have_begun_as_it_may_have_fires_no_more() {
        let after = |begun, has_run| {
            let times = Some(TimesFacts { times: 3, begun, waiting: 0 });
            after_end(&EndFacts { has_run, times, ..BUSY })
        };
        assert_eq!(after(2, false), []);
        assert_eq!(after(3, true), [Effect::Disarm]);
        assert_eq!(after(3, false), [Effect::Disarm, Effect::Settle]);
    }

    #[test]
    fn the_end_of_the_last_unfinished_run_arms_the_trigger_that_counts_from_it() {
        let armed = |has_run, has_fire, until: Option<i64>| {
            let window = Window { start: None, until: until.map(Timestamp::from_seconds) };
            let trigger = Planned {
                trigger: TriggerId(7),
                schedule: Ok((Schedule::AfterEnd { period: Span::from_seconds(60) }, Zone::utc())),
                next_at: None,
                window,
                taken: vec![Timestamp::from_seconds(1_060)],
            };
            let run = RunFacts { ended_at: Timestamp::from_seconds(1_000), ..RUN };
            EndFacts {
                run: Some(run),
                has_run,
                has_fire,
                after_end: vec![trigger],
                has_other: has_run,
                ..BUSY
            }
        };
        let next_at = Timestamp::from_micros(1_060_000_001);
        assert_eq!(after_end(&armed(false, false, None)), [Effect::Rearm(TriggerId(7), Some(next_at))]);
        assert_eq!(after_end(&armed(true, false, None)), []);
        assert_eq!(
            after_end(&armed(false, false, Some(1_060))),
            [Effect::Rearm(TriggerId(7), None), Effect::Settle]
        );
        assert_eq!(after_end(&armed(false, true, Some(1_060))), [Effect::Rearm(TriggerId(7), None)]);
        let times = Some(TimesFacts { times: 1, begun: 1, waiting: 0 });
        let spent = EndFacts { times, ..armed(false, false, None) };
        assert_eq!(after_end(&spent), [Effect::Disarm, Effect::Settle]);
        assert_eq!(after_end(&EndFacts { run: None, ..armed(false, false, None) }), []);
        let callback = armed(true, false, None);
        let run = callback.run.map(|run| RunFacts { part: RunPart::Callback, ..run });
        assert_eq!(after_end(&EndFacts { run, has_other: false, ..callback }), []);
    }

    #[test]
    fn the_end_of_a_run_or_of_a_job_wakes_the_runs_that_wait_for_it() {
        let named = EndFacts { has_dependents: true, ..BUSY };
        assert_eq!(after_end(&named), []);
        assert_eq!(after_end(&EndFacts { run: Some(RUN), ..named.clone() }), [Effect::Wake]);
        let idle = EndFacts { has_run: false, has_fire: false, ..named };
        assert_eq!(after_end(&idle), [Effect::Settle, Effect::Wake]);
    }

    #[test]
    fn an_array_has_one_end_and_each_of_its_runs_a_duration() {
        let took = Some(Span::from_seconds(8));
        let mail = Some((MailWhen::Always, MailFormat::Taskq));
        let effects = |part| {
            let run = RunFacts { took, mail, part, ..RUN };
            after_end(&EndFacts { run: Some(run), has_dependents: true, ..BUSY })
        };
        assert_eq!(effects(RunPart::Index), [Effect::Learn(Span::from_seconds(8))]);
        assert_eq!(effects(RunPart::Array), [Effect::Mail, Effect::Wake]);
        assert_eq!(effects(RunPart::Whole).len(), 3);
    }

    #[test]
    fn a_job_with_a_callback_to_run_is_not_done() {
        let callbacks = CallbackFacts { finish: true, ..CallbackFacts::default() };
        let idle = EndFacts { has_run: false, has_fire: false, ..BUSY };
        let run = RunFacts { callbacks, ..RUN };
        assert_eq!(
            after_end(&EndFacts { run: Some(run), ..idle.clone() }),
            [Effect::Call(CallbackWhen::Finish)]
        );
        let callback = RunFacts { part: RunPart::Callback, ..run };
        assert_eq!(after_end(&EndFacts { run: Some(callback), ..idle }), [Effect::Settle]);
    }

    #[test]
    fn runs_that_wait_are_among_those_that_may_begin() {
        let left = |begun, waiting| TimesFacts { times: 3, begun, waiting }.left();
        assert_eq!([left(0, 0), left(1, 1), left(2, 1), left(3, 0), left(3, 2)], [3, 1, 0, 0, 0]);
    }

    #[test]
    fn the_mean_duration_follows_each_run_by_an_eighth() {
        let ran = |seconds| RunFacts { took: Some(Span::from_seconds(seconds)), ..RUN };
        assert_eq!(after(ran(8)), [Effect::Learn(Span::from_seconds(8))]);
        let later = RunFacts { mean_run: Some(Span::from_seconds(8)), ..ran(16) };
        assert_eq!(after(later), [Effect::Learn(Span::from_seconds(9))]);
        assert_eq!(after(RunFacts { outcome: Outcome::Lost, ..later }), []);
    }

    #[test]
    fn a_mail_is_queued_about_the_runs_that_the_job_names() {
        let ran = RunFacts { took: Some(Span::from_seconds(1)), ..RUN };
        let with = |outcome, run| RunFacts { outcome, ..run };
        let wrote = RunFacts { output_bytes: 1, ..ran };
        // Forms that get a mail, for `output`, `failed` and `always`.
        for (run, wanted) in [
            (ran, ["", "", "taskq debian cronie"]),
            (wrote, ["taskq debian cronie", "", "taskq debian cronie"]),
            (with(Outcome::Failed, ran), ["", "taskq", "taskq debian cronie"]),
            (with(Outcome::TimedOut, wrote), ["taskq debian cronie"; 3]),
            (
                with(Outcome::SpawnFailed, RUN),
                ["debian cronie", "taskq debian cronie", "taskq debian cronie"],
            ),
            (with(Outcome::Lost, RUN), ["", "taskq", "taskq debian cronie"]),
            (with(Outcome::Cancelled, RUN), [""; 3]),
            (with(Outcome::Cancelled, ran), ["", "", "taskq debian cronie"]),
            (with(Outcome::Missed, RUN), [""; 3]),
            (with(Outcome::Skipped, RUN), [""; 3]),
        ] {
            for (when, wanted) in
                [MailWhen::Output, MailWhen::Failed, MailWhen::Always].into_iter().zip(wanted)
            {
                let is_mailed = |format: &&MailFormat| {
                    after(RunFacts { mail: Some((when, **format)), ..run }).contains(&Effect::Mail)
                };
                let mailed: Vec<&str> =
                    MailFormat::ALL.iter().filter(is_mailed).map(|format| format.as_str()).collect();
                assert_eq!(mailed.join(" "), wanted, "{when}: {run:?}");
            }
        }
    }
}
