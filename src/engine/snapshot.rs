//! Owns: the facts that a plan is made of.
//! Never: where they come from (see `store`).

use crate::domain::{JobId, Policy, RunId, Timestamp, TriggerId, TriggerKind};
use crate::schedule::{Schedule, Zone};

/// What there is to decide about, as one transaction saw it.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Triggers whose next fire has come, earliest first.
    pub due: Vec<Due>,
    /// Queues that have runs waiting or prefetched by. Not looked at while fires are due.
    pub queues: Vec<QueueState>,
}

/// A trigger's schedule and the zone it is read in, or why there is none.
pub type Compiled = Result<(Schedule, Zone), String>;

/// A trigger whose next fire has come.
#[derive(Debug)]
pub struct Due {
    /// Which trigger.
    pub trigger: TriggerId,
    /// Its kind.
    pub kind: TriggerKind,
    /// Its instants; `Err` says why its stored text has none any more, as when a zone left the machine's
    /// tzdata.
    pub schedule: Compiled,
    /// The first fire that is not accounted for.
    pub next_at: Timestamp,
    /// Later instants that have a run already, ascending, see `Pending`.
    pub taken: Vec<Timestamp>,
    /// Whose trigger it is.
    pub job: JobId,
    /// The job's policies.
    pub policy: Policy,
    /// The job's runs that are not finished, oldest first.
    pub unfinished: Vec<Unfinished>,
}

/// A run that is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Which run.
    pub run: RunId,
    /// A keeper was told to start it.
    pub claimed: bool,
    /// It was told to stop.
    pub stopping: bool,
}

/// A queue that has something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueState {
    /// Its name.
    pub name: String,
    /// Its width.
    pub slots: usize,
    /// It starts nothing.
    pub paused: bool,
    /// Its claimed runs: those with a process and those that stand by.
    pub claimed: usize,
    /// Of these, the ones without a process, latest claim first.
    pub prefetched: Vec<Prefetched>,
    /// How many more than `slots` may be claimed, to stand by in the keeper until a slot is free.
    pub lookahead: usize,
    /// Its waiting runs, first to start first; one more than fills `slots` and `lookahead`, if there is.
    pub candidates: Vec<Candidate>,
}

/// A claimed run without a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefetched {
    /// Which run.
    pub run: RunId,
    /// The lowest first.
    pub rank: i64,
    /// Its job was paused meanwhile.
    pub held: bool,
}

/// A run that could be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which run.
    pub run: RunId,
    /// The lowest first.
    pub rank: i64,
    /// How many runs of its job may be claimed at once, this one among them; `None`: any number.
    pub at_once: Option<u32>,
    /// How many others are, where `at_once` limits them.
    pub beside: u32,
}
