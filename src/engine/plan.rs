//! Owns: the plan: what one step changes, in the order of its fields.
//! Never: making it so (see `store` and `daemon`).
//!
//! A turn plans and applies in one transaction until nothing is left: first the fires that are due, then the
//! starts, so that a run made by the first step can be claimed by the second.

use crate::domain::{JobId, Outcome, RunId, Timestamp, TriggerId, TriggerKind};

/// What becomes of a new run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It waits for its turn.
    Queued,
    /// It is over before it began.
    Finished(Outcome),
}

/// A fire, or a stretch of missed ones, made concrete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRun {
    /// The job that fired.
    pub job: JobId,
    /// The trigger that fired; `None`: a person asked for it.
    pub trigger: Option<TriggerId>,
    /// Its kind.
    pub kind: TriggerKind,
    /// The fire's instant; of a stretch, the first.
    pub scheduled_at: Timestamp,
    /// How many fires it stands for.
    pub fires: u64,
    /// What becomes of it.
    pub fate: Fate,
    /// Why, where the outcome alone does not say.
    pub cause: Option<&'static str>,
}

/// What one step changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Waiting runs that end as `cancelled`.
    pub cancelled: Vec<RunId>,
    /// Claimed runs to be stopped.
    pub stopped: Vec<RunId>,
    /// Runs to be made.
    pub new_runs: Vec<NewRun>,
    /// Where each trigger goes on.
    pub advanced: Vec<(TriggerId, Option<Timestamp>)>,
    /// Jobs to be paused because their schedule cannot be read, each with the reason.
    pub broken: Vec<(JobId, String)>,
    /// Runs to be claimed for the keeper, in this order.
    pub claimed: Vec<RunId>,
    /// Runs that stand by in the keeper and shall not start now.
    pub unclaimed: Vec<RunId>,
    /// How wide each queue is in which runs stand by.
    pub widths: Vec<(String, usize)>,
    /// Something waits for a slot that is taken.
    pub waiting: bool,
    /// Something could start at once that this turn leaves to the next.
    pub has_room: bool,
    /// There may be more to plan in this turn.
    pub more: bool,
}
