//! Owns: the facts from which a plan is made.
//! Never: reading them (see `store`).

use std::collections::BTreeMap;

use super::after::TimesFacts;
use super::dependencies::AwaitingFire;
use super::fires::Compiled;
use super::gates::GateFacts;
use super::nth::NthFacts;
use super::placing::FarExecutor;
use super::run_timers::RunTimer;
use super::supply::Supply;
use super::waiting::Waiting;
use crate::domain::{
    ExecutorName, FireId, JobId, Needs, Policy, Requirement, RequirementId, RunId, Timestamp, TriggerId,
    TriggerKind, Window,
};

/// The facts for one decision, read in one transaction.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Fires that have waited for their start too long. While there are some, nothing else is here: with them
    /// goes what a fire of their job may overlap with.
    pub expired: Vec<FireId>,
    /// Triggers whose next fire has come, earliest first.
    pub due: Vec<Due>,
    /// Runs whose next attempt is due, earliest first.
    pub due_retries: Vec<RunId>,
    /// Triggers of events and of `@reboot` whose window has ended.
    pub ended: Vec<TriggerId>,
    /// Event triggers that fire because no event came in time, earliest first.
    pub timed_out: Vec<TriggerId>,
    /// Jobs whose rest is over.
    pub rested: Vec<JobId>,
    /// Triggers that are to look at a run under way, earliest first.
    pub run_timers: Vec<RunTimer>,
    /// Fires whose dependencies may have been decided. Empty while fires or retries are due, so that all
    /// fires of an instant are made before.
    pub awaiting: Vec<AwaitingFire>,
    /// What may start. Empty while fires or retries are due, or some are `awaiting`.
    pub dispatch: Dispatch,
}

impl Snapshot {
    /// Returns whether something is to be done before runs are started.
    pub fn has_due(&self) -> bool {
        !(self.due.is_empty()
            && self.due_retries.is_empty()
            && self.ended.is_empty()
            && self.timed_out.is_empty()
            && self.rested.is_empty()
            && self.run_timers.is_empty())
    }
}

/// A trigger whose next fire has come.
#[derive(Debug)]
pub struct Due {
    pub trigger: TriggerId,
    pub kind: TriggerKind,
    pub schedule: Compiled,
    /// The first fire that is not accounted for.
    pub next_at: Timestamp,
    /// Later instants that have a run already, ascending, see `Pending`.
    pub taken: Vec<Timestamp>,
    pub window: Window,
    pub job: JobId,
    pub policy: Policy,
    /// The count of its fires, if only every so many of them run.
    pub nth: Option<NthFacts>,
    /// The count of its runs, if it fires only so many times.
    pub times: Option<TimesFacts>,
    /// The job's runs that are not finished, oldest first. An array stands as one.
    pub unfinished: Vec<Unfinished>,
}

/// A run that is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Of an array, which no fire replaces, the number is 0.
    pub run: RunId,
    /// A keeper is to start it, or has started it.
    pub claimed: bool,
    /// It is claimed, or an attempt of it has failed: it does not wait for its first start.
    pub begun: bool,
    /// A stop was requested.
    pub stopping: bool,
}

/// The facts by which waiting runs start.
#[derive(Clone, Debug, Default)]
pub struct Dispatch {
    /// Queues with waiting or prefetched runs.
    pub queues: Vec<QueueState>,
    /// What runs require, of those that require something.
    pub requirements: BTreeMap<RequirementId, Requirement>,
    pub gates: GateFacts,
    /// The executors on which waiting runs are to run.
    pub executors: BTreeMap<ExecutorName, FarExecutor>,
    /// The names of jobs whose runs wait for an executor with a sticky placement.
    pub keys: BTreeMap<JobId, String>,
    /// The resources. Nothing is there while the keeper is an earlier taskq's, which knows none.
    pub supply: Supply,
}

impl Dispatch {
    /// Returns the resources that the runs of a requirement need.
    pub(super) fn needs(&self, id: RequirementId) -> Option<&Needs> {
        self.requirements.get(&id).map(|requirement| &requirement.needs).filter(|needs| !needs.is_empty())
    }

    /// Returns the requirement of runs that run on an executor.
    pub(super) fn far(&self, id: RequirementId) -> Option<&Requirement> {
        self.requirements.get(&id).filter(|requirement| requirement.executor.is_some())
    }

    /// Returns what the order of hosts follows for the runs of a job.
    pub(super) fn key_of(&self, job: JobId) -> &str {
        self.keys.get(&job).map_or("", String::as_str)
    }

    /// Returns a requirement with gates.
    pub(super) fn gated(&self, id: RequirementId) -> Option<&Requirement> {
        self.requirements.get(&id).filter(|requirement| !requirement.gates.is_empty())
    }
}

/// A queue with waiting or prefetched runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueState {
    pub name: String,
    pub slots: usize,
    pub paused: bool,
    /// It starts in another order since the last turn.
    pub is_reordered: bool,
    /// The number of claimed runs, with a process or prefetched.
    pub claimed: usize,
    /// The different requirements of the claimed runs.
    pub claimed_requirements: Vec<RequirementId>,
    /// The claimed runs without a process, latest claim first.
    pub prefetched: Vec<Prefetched>,
    /// How many runs more than those that start at once may be claimed. The keeper holds them until a slot is
    /// free.
    pub prefetch_max: usize,
    /// The first waiting runs, in the order of their start: of each requirement one more than fits, if there
    /// are so many.
    pub candidates: Vec<Candidate>,
}

/// A claimed run without a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefetched {
    pub run: RunId,
    /// The queue starts the lowest first.
    pub rank: i64,
    /// Its job was paused after the claim.
    pub held: bool,
    pub requirement: RequirementId,
    /// It has booked what it needs. One that needs something and has not stands by for the share of a run
    /// of its queue.
    pub has_share: bool,
    pub queued_at: Timestamp,
}

/// A run that could be started, or an array of which runs could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub job: JobId,
    pub waiting: Waiting,
    /// The queue starts the lowest first.
    pub rank: i64,
    pub requirement: RequirementId,
    pub queued_at: Timestamp,
    /// How many runs of its job may be under way at once, with those of this one; `None`: any number.
    pub at_once: Option<u32>,
    /// How many other runs of its job are claimed, or between two attempts; 0 where `at_once` is `None`.
    pub beside: u32,
    /// It has had an attempt, so that it is among those `beside` the others already.
    pub begun: bool,
    /// It is missed if it does not start in time. So it is never prefetched: the keeper would start it
    /// whenever a slot is free.
    pub has_deadline: bool,
}

impl Candidate {
    /// Returns how many runs there are, and how many of them may be under way at once now. `of_job`: how many
    /// of its job were claimed since the facts were read.
    pub(super) fn wanted(&self, of_job: u32) -> (u32, u32) {
        let allowed = self
            .at_once
            .map_or(u32::MAX, |at_once| at_once.saturating_sub(self.beside).saturating_sub(of_job));
        (self.waiting.count(), allowed)
    }
}
