//! Owns: the plan, with the changes of one step in the order of its fields.
//! Never: applying it (see `store` and `daemon`).
//!
//! A turn plans and applies in one transaction until nothing is left. Due fires come before starts, so that a
//! run that the first step makes can be claimed by the second.

use std::collections::BTreeSet;

use super::gates::AtGate;
use super::run_timers::Look;
use super::waiting::Waiting;
use crate::domain::{
    BundleId, FarPlace, FireId, JobId, Outcome, RequirementId, RunId, Share, Timestamp, TriggerId,
    TriggerKind,
};

/// The state in which a new run is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Queued,
    /// It never starts.
    Finished(Outcome),
}

/// The run of one fire, or of a stretch of missed fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRun {
    pub job: JobId,
    /// `None` if the user asked for the run.
    pub trigger: Option<TriggerId>,
    pub kind: TriggerKind,
    /// The instant of the fire; the first one of a stretch.
    pub scheduled_at: Timestamp,
    /// The number of fires in the stretch, at least 1.
    pub fires: u64,
    pub fate: Fate,
    /// Why, where the outcome alone does not explain it.
    pub cause: Option<&'static str>,
    /// It waits for the runs that its job depends on.
    pub obeys_after: bool,
    /// The events that it is for.
    pub bundle: Option<BundleId>,
}

impl NewRun {
    /// Returns a run that no trigger fired.
    pub fn by_hand(job: JobId, kind: TriggerKind, obeys_after: bool, now: Timestamp) -> Self {
        Self {
            job,
            trigger: None,
            kind,
            scheduled_at: now,
            fires: 1,
            fate: Fate::Queued,
            cause: None,
            obeys_after,
            bundle: None,
        }
    }
}

/// Runs that are claimed for the keeper, or for an executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Of an array, the first `rest` indices that have no run yet. They get one now.
    pub what: Waiting,
    /// What it books, if it is one run that starts at once and needs something.
    pub share: Option<Share>,
    /// The host of an executor on which it is to run; `None`: it runs on this machine.
    pub place: Option<FarPlace>,
}

/// The changes of one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Fires that end as `missed`, as far as they have not begun.
    pub expired: Vec<FireId>,
    /// Fires that end as `missed`, because a gate was closed for too long.
    pub left_at_gates: Vec<FireId>,
    /// Waiting runs that end with the outcome `cancelled`.
    pub cancelled: Vec<RunId>,
    /// Claimed runs that get a stop signal.
    pub stopped: Vec<RunId>,
    pub new_runs: Vec<NewRun>,
    /// The next fire of each trigger; `None` if there is none.
    pub advanced: Vec<(TriggerId, Option<Timestamp>)>,
    /// How many fires each job with `--nth` has passed over since the last one that ran.
    pub passed: Vec<(JobId, u32)>,
    /// Triggers that have fired, and fire again after the end of a run.
    pub awaiting_end: Vec<TriggerId>,
    /// Triggers of events and of `@reboot` that fire no more.
    pub ended: Vec<TriggerId>,
    /// Event triggers that fire without an event.
    pub timed_out: Vec<TriggerId>,
    /// Jobs whose gathered events get their run.
    pub rested: Vec<JobId>,
    /// What triggers have found at runs under way.
    pub looks: Vec<Look>,
    /// Runs whose next attempt is due: they are queued.
    pub retried: Vec<RunId>,
    /// The new time of the next attempt of a run.
    pub postponed: Vec<(RunId, Timestamp)>,
    /// The new time by which a fire must start.
    pub deadlines: Vec<(FireId, Timestamp)>,
    /// Jobs that are paused because their schedule cannot be read, each with the reason.
    pub broken: Vec<(JobId, String)>,
    /// Fires that have waited for the ones beside them, and now wait for a slot.
    pub released: Vec<(FireId, Vec<FireId>)>,
    /// Fires that end as `skipped`, because they can never start; each with the reason.
    pub barred: Vec<(FireId, String)>,
    /// Fires that wait on, until a run that they wait for ends.
    pub awaiting: Vec<FireId>,
    /// What runs get that stand by in the keeper, so that they can start.
    pub given: Vec<(RunId, Share)>,
    /// Runs that are claimed for the keeper, in this order.
    pub claimed: Vec<Claim>,
    /// Runs that the keeper has prefetched and must not start now.
    pub unclaimed: Vec<RunId>,
    /// Runs that wait at a gate alone: the first of each requirement.
    pub at_gates: Vec<AtGate>,
    /// The requirement of a claimed run that had to pass gates.
    pub passed_gate: Option<RequirementId>,
    /// Hosts that do not answer, and on which a waiting run could start.
    pub sought: BTreeSet<FarPlace>,
    /// The width of each queue with prefetched runs.
    pub widths: Vec<(String, usize)>,
    /// A run waits for a slot that is taken.
    pub waiting: bool,
    /// A slot is free that this turn leaves to the next.
    pub has_room: bool,
    /// There may be more to plan in this turn.
    pub more: bool,
}
