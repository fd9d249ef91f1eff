//! Owns: what follows when a run ends, in whatever way: ended, lost, missed, skipped, cancelled, not started.
//! Never: making it so (see `store`).
//!
//! This is the one place for such rules: each is an effect, and every way in which a run ends asks for them.

use crate::domain::{MailFormat, MailWhen, Outcome, Span};

/// A finished run, as far as something follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of `run`")]
pub struct RunFacts {
    pub outcome: Outcome,
    /// How long its process ran; `None`: it had none.
    pub took: Option<Span>,
    pub output_bytes: u64,
    /// What its job says of mails; `None`: it wants none.
    pub mail: Option<(MailWhen, MailFormat)>,
    /// The mean duration of the runs of its queue, as far as it is known.
    pub mean_run: Option<Span>,
}

/// What is known where a job has lost a run or its coming fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndFacts {
    /// The run that ended; `None`: the job lost its coming fires.
    pub run: Option<RunFacts>,
    /// The job has an unfinished run or a coming fire.
    pub has_more: bool,
}

/// A change that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The queue of the run has this mean duration.
    Learn(Span),
    /// A mail about the run is queued.
    Mail,
    /// The job is done.
    Settle,
}

/// Decides what follows.
pub fn after_end(facts: &EndFacts) -> Vec<Effect> {
    let mut effects = Vec::new();
    if let Some(run) = &facts.run {
        effects.extend(learnt(run).map(Effect::Learn));
        if run.mail.is_some_and(|(when, format)| deserves_mail(run, when, format)) {
            effects.push(Effect::Mail);
        }
    }
    if !facts.has_more {
        effects.push(Effect::Settle);
    }
    effects
}

/// Returns the new mean duration: each run counts an eighth. Nobody saw when a lost run ended.
fn learnt(run: &RunFacts) -> Option<Span> {
    let took = run.took.filter(|_| run.outcome != Outcome::Lost)?;
    let mean = |mean: Span| Span::from_micros((mean.as_micros() * 7 + took.as_micros()) / 8);
    Some(run.mean_run.map_or(took, mean))
}

/// A mail in the form of a cron is an output; with cronie's `-n`, that of a failure. What kept a command from
/// starting, the crons write where the command would have written.
fn deserves_mail(run: &RunFacts, when: MailWhen, format: MailFormat) -> bool {
    let is_of_cron = match format {
        MailFormat::Taskq => false,
        MailFormat::Debian | MailFormat::Cronie => true,
    };
    let wrote = run.output_bytes > 0;
    let did_not_start = run.outcome == Outcome::SpawnFailed;
    match when {
        MailWhen::Output => wrote || did_not_start && is_of_cron,
        MailWhen::Failure => run.outcome.is_failure() && (!is_of_cron || wrote || did_not_start),
        MailWhen::Always => run.took.is_some() || did_not_start || run.outcome == Outcome::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: RunFacts =
        RunFacts { outcome: Outcome::Success, took: None, output_bytes: 0, mail: None, mean_run: None };

    fn after(run: RunFacts) -> Vec<Effect> {
        after_end(&EndFacts { run: Some(run), has_more: true })
    }

    #[test]
    fn a_job_is_done_when_it_has_neither_a_run_nor_a_fire_left() {
        for run in [None, Some(RUN)] {
            assert_eq!(after_end(&EndFacts { run, has_more: false }), [Effect::Settle]);
            assert_eq!(after_end(&EndFacts { run, has_more: true }), []);
        }
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
        // Forms that get a mail, for `output`, `failure` and `always`.
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
                [MailWhen::Output, MailWhen::Failure, MailWhen::Always].into_iter().zip(wanted)
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
