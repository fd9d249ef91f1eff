//! Owns: which callbacks of a job run after the end of a run.
//! Never: starting them. They are runs, queued as an effect of the end.

use crate::domain::{CallbackWhen, Outcome};

/// Returns the callbacks that follow an end, of those that the job has. `has_begun`: it had a process.
pub(super) fn callbacks_after(
    outcome: Outcome,
    has_begun: bool,
    callbacks: CallbackFacts,
) -> Vec<CallbackWhen> {
    let is_due = |when: &CallbackWhen| match when {
        CallbackWhen::Success => outcome == Outcome::Success,
        CallbackWhen::Failure => outcome.is_failure(),
        CallbackWhen::Finish => match outcome {
            Outcome::Success | Outcome::Failed | Outcome::TimedOut | Outcome::SpawnFailed | Outcome::Lost => {
                true
            }
            // One that never began has done nothing that is to be followed up. Of an array, a part may have
            // begun.
            Outcome::Cancelled | Outcome::Missed => has_begun,
            Outcome::Skipped => false,
        },
    };
    CallbackWhen::ALL.iter().copied().filter(|when| callbacks.has(*when) && is_due(when)).collect()
}

/// The callbacks that a job has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallbackFacts {
    pub success: bool,
    pub failure: bool,
    pub finish: bool,
}

impl CallbackFacts {
    fn has(self, when: CallbackWhen) -> bool {
        match when {
            CallbackWhen::Success => self.success,
            CallbackWhen::Failure => self.failure,
            CallbackWhen::Finish => self.finish,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: CallbackFacts = CallbackFacts { success: true, failure: true, finish: true };

    fn after(outcome: Outcome, has_begun: bool, callbacks: CallbackFacts) -> String {
        let due = callbacks_after(outcome, has_begun, callbacks);
        due.iter().map(|when| when.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_end_decides_which_callbacks_run() {
        for (outcome, has_begun, due) in [
            (Outcome::Success, true, "success finish"),
            (Outcome::Failed, true, "failure finish"),
            (Outcome::TimedOut, true, "failure finish"),
            (Outcome::SpawnFailed, false, "failure finish"),
            (Outcome::Lost, true, "failure finish"),
            (Outcome::Cancelled, true, "finish"),
            (Outcome::Cancelled, false, ""),
            (Outcome::Missed, true, "finish"),
            (Outcome::Missed, false, ""),
            (Outcome::Skipped, false, ""),
        ] {
            assert_eq!(after(outcome, has_begun, ALL), due, "{outcome}");
            assert_eq!(after(outcome, has_begun, CallbackFacts::default()), "");
        }
    }
}
