//! Owns: whether a fire that waits for runs of other jobs may start, waits on, or can never start.
//! Never: which fire of a job is meant (see `store`).

use super::plan::Plan;
use crate::domain::{AfterCondition, Dependency, FireId, Outcome};

/// A fire with dependencies that has not begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwaitingFire {
    pub fire: FireId,
    /// One dependency is enough.
    pub any: bool,
    pub awaited: Vec<Awaited>,
}

/// A dependency, and the fire that it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    pub dependency: Dependency,
    pub fire: AwaitedFire,
}

/// The fire that a dependency means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwaitedFire {
    /// There is no such job.
    NoJob,
    /// The job has not fired. `will_be`: it is not done.
    NotMade { will_be: bool },
    Made {
        fire: FireId,
        /// `None`: it is not finished.
        outcome: Option<Outcome>,
    },
}

/// The state of one dependency.
enum Standing {
    Holds(FireId),
    Open,
    /// It can never hold, for this reason.
    Never(String),
}

/// Returns whether a dependency may hold later.
pub(super) fn is_open(awaited: &Awaited) -> bool {
    matches!(standing(awaited), Standing::Open)
}

fn standing(awaited: &Awaited) -> Standing {
    let Dependency { on, condition, .. } = &awaited.dependency;
    match awaited.fire {
        AwaitedFire::NoJob => Standing::Never(format!("there is no job `{on}` to run after")),
        AwaitedFire::NotMade { will_be: true } | AwaitedFire::Made { outcome: None, .. } => Standing::Open,
        AwaitedFire::NotMade { will_be: false } => {
            Standing::Never(format!("job `{on}` has no run, and will have none"))
        }
        AwaitedFire::Made { fire, outcome: Some(outcome) } if condition.holds(outcome) => {
            Standing::Holds(fire)
        }
        AwaitedFire::Made { fire, outcome: Some(outcome) } => {
            let wanted = match condition {
                AfterCondition::Success => "success",
                AfterCondition::Failed => "a failure",
                AfterCondition::Done => "success or a failure",
            };
            let fire = match fire {
                FireId::Run(run) => format!("run {run} of `{on}`"),
                FireId::Array { .. } => format!("array `{on}`"),
            };
            Standing::Never(format!("{fire} ended as `{outcome}`, and it waited for {wanted}"))
        }
    }
}

/// Decides on each fire.
pub(super) fn decide(awaiting: &[AwaitingFire]) -> Plan {
    let mut plan = Plan { more: true, ..Plan::default() };
    for waiting in awaiting {
        let (mut held, mut never, mut open) = (Vec::new(), Vec::new(), 0);
        for awaited in &waiting.awaited {
            match standing(awaited) {
                Standing::Holds(fire) => held.push(fire),
                Standing::Open => open += 1,
                Standing::Never(why) => never.push(why),
            }
        }
        let (may_start, is_barred) = match waiting.any {
            true => (!held.is_empty() || waiting.awaited.is_empty(), held.is_empty() && open == 0),
            false => (never.is_empty() && open == 0, !never.is_empty()),
        };
        if may_start {
            plan.released.push((waiting.fire, held));
        } else if is_barred {
            plan.barred.push((waiting.fire, never.swap_remove(0)));
        } else {
            plan.awaiting.push(waiting.fire);
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ArrayId, JobId, RunId};

    const WAITING: FireId = FireId::Run(RunId { job: JobId(9), number: 1 });

    fn awaited(text: &str, fire: AwaitedFire) -> Awaited {
        Awaited { dependency: text.parse().expect("valid"), fire }
    }

    fn made(outcome: Option<Outcome>) -> AwaitedFire {
        AwaitedFire::Made { fire: FireId::Run(RunId { job: JobId(1), number: 4 }), outcome }
    }

    /// Returns `start` with what it waited for, `wait`, or why it is skipped.
    fn decided(any: bool, awaited: Vec<Awaited>) -> String {
        let plan = decide(&[AwaitingFire { fire: WAITING, any, awaited }]);
        match (plan.released.as_slice(), plan.barred.as_slice(), plan.awaiting.as_slice()) {
            ([(WAITING, after)], [], []) => {
                format!("start {}", after.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
            }
            ([], [(WAITING, why)], []) => why.clone(),
            ([], [], [WAITING]) => "wait".to_owned(),
            other => panic!("more than one decision: {other:?}"),
        }
    }

    #[test]
    fn a_run_starts_after_all_that_it_waits_for_or_with_any_after_one() {
        let success = || awaited("a", made(Some(Outcome::Success)));
        let open = || awaited("b", made(None));
        let coming = || awaited("b", AwaitedFire::NotMade { will_be: true });
        let failed = || awaited("c", made(Some(Outcome::Failed)));
        let barred = "run 1.4 of `c` ended as `failed`, and it waited for success";
        assert_eq!(decided(false, vec![success(), success()]), "start 1.4 1.4");
        assert_eq!(decided(false, vec![success(), open()]), "wait");
        assert_eq!(decided(false, vec![success(), coming()]), "wait");
        assert_eq!(decided(false, vec![open(), failed()]), barred);
        assert_eq!(decided(true, vec![success(), open(), failed()]), "start 1.4");
        assert_eq!(decided(true, vec![failed(), open()]), "wait");
        assert_eq!(decided(true, vec![failed(), failed()]), barred);
        assert_eq!(decided(true, vec![]), "start ");
        assert_eq!(decided(false, vec![]), "start ");
    }

    #[test]
    fn a_run_that_can_never_start_is_skipped_with_the_reason() {
        let array = FireId::Array { job: JobId(3), array: ArrayId(1) };
        for (text, fire, why) in [
            ("a", AwaitedFire::NoJob, "there is no job `a` to run after"),
            ("7", AwaitedFire::NotMade { will_be: false }, "job `7` has no run, and will have none"),
            (
                "a:failed",
                made(Some(Outcome::Success)),
                "run 1.4 of `a` ended as `success`, and it waited for a failure",
            ),
            (
                "a:done",
                made(Some(Outcome::Missed)),
                "run 1.4 of `a` ended as `missed`, and it waited for success or a failure",
            ),
            (
                "3",
                AwaitedFire::Made { fire: array, outcome: Some(Outcome::Failed) },
                "array `3` ended as `failed`, and it waited for success",
            ),
        ] {
            assert_eq!(decided(false, vec![awaited(text, fire)]), why);
        }
    }
}
