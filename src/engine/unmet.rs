//! Owns: the first condition that keeps a fire from starting, or a job from firing.
//! Never: starting anything (see `admit`), or words for people.
//!
//! The conditions stand in the order in which a turn checks them. A new one is a variant, its facts, and a
//! line of `first_unmet` or `first_idle`.

mod far;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::dependencies::{Awaited, AwaitingFire, is_open};
pub use far::{FarFacts, FarWait, HostWait};

use super::supply::Supply;
use crate::domain::{
    ArrayId, FireId, Gate, GateReading, GateTimeout, Needs, Requirement, ResourceName, RunId, Share, Span,
    Timestamp,
};

/// With more runs before it, the expected start of a run is not computed.
const AHEAD_MAX: u64 = 10_000;

/// Whether something can start runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    NoDaemon,
    /// The daemon has not started its keeper yet.
    NoKeeper,
    /// The keeper is an earlier taskq's. It starts nothing, and is replaced when its last run has ended.
    OldKeeper,
    Ready,
}

/// The facts about a fire that has not started, or has no process between two attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmetFacts {
    /// Its dependencies are in `awaiting`, if it waits for them still.
    pub fire: FireId,
    pub service: Service,
    pub queued_at: Timestamp,
    /// It is missed if it has not started by then.
    pub start_by: Option<Timestamp>,
    pub attempt: u32,
    /// The end of the attempt before.
    pub attempt_ended_at: Option<Timestamp>,
    /// Its attempt does not start before then.
    pub not_before: Option<Timestamp>,
    /// It waits because its job is paused.
    pub held: bool,
    pub job_paused_at: Option<Timestamp>,
    pub awaiting: Option<AwaitingFire>,
    /// The keeper is told to start it, so that only a slot may be missing.
    pub claimed: bool,
    /// An earlier array of its job has not ended, and its job lets no two of them run side by side.
    pub earlier_array: Option<ArrayId>,
    /// How many runs of its job may be under way at once; `None`: any number.
    pub at_once: Option<u32>,
    /// The other runs of its job that are claimed, or between two attempts.
    pub beside: Vec<RunId>,
    pub requirement: Requirement,
    /// The present readings of its gates.
    pub readings: BTreeMap<Gate, GateReading>,
    pub resources: UnmetResources,
    pub queue: UnmetQueue,
    /// If it runs on an executor.
    pub far: Option<FarFacts>,
}

/// The resources, as far as a fire needs some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnmetResources {
    pub supply: Supply,
    /// What runs have booked, the oldest first.
    pub shares: Vec<(RunId, Share)>,
    /// The first waiting fires with other needs that were queued before it, the oldest first.
    pub earlier: Vec<(FireId, Needs)>,
}

/// The queue of a fire that has not started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnmetQueue {
    pub name: String,
    pub slots: usize,
    pub paused_at: Option<Timestamp>,
    /// The number of runs with a process.
    pub running: usize,
    /// The number of claimed runs before this one, with a process or without.
    pub claimed: usize,
    /// The first of the claimed runs: those with a process, then those that start next.
    pub holders: Vec<Holder>,
    /// The number of waiting runs before this one that are not claimed.
    pub waiting: u64,
    /// The mean duration of its latest runs.
    pub mean_run: Option<Span>,
}

/// A run that has a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    pub run: RunId,
    pub started_at: Option<Timestamp>,
    /// Its processes are stopped until it is resumed.
    pub paused: bool,
    /// How long it is expected to take; `None`: nothing is known.
    pub usual: Option<Span>,
}

/// A condition that keeps a fire from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmet {
    NoDaemon,
    JobPaused,
    RetryDelay {
        until: Timestamp,
    },
    /// One of these has to end, or with `any` not, before it starts.
    Dependencies {
        open: Vec<Awaited>,
        any: bool,
    },
    NoKeeper,
    OldKeeper,
    QueuePaused {
        since: Timestamp,
    },
    NoSlots,
    EarlierArray,
    /// So many runs of its job are under way, and no more may be.
    OtherRuns {
        at_once: u32,
    },
    /// A gate is closed. `until`: then it starts all the same, or is missed.
    Gate {
        gate: Gate,
        reading: GateReading,
        until: Option<Timestamp>,
    },
    /// It needs more than there is of a resource.
    TooLarge {
        resource: ResourceName,
        needed: u64,
        total: u64,
    },
    Resource(ResourceWait),
    Slot(SlotWait),
    /// It runs on an executor, and waits there or for it.
    Far(FarWait),
}

/// A wait for a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceWait {
    pub resource: ResourceName,
    pub needed: u64,
    pub free: u64,
    pub total: u64,
    pub held_by: Vec<RunId>,
    /// What is free is kept for this fire, which is before it.
    pub kept_for: Option<FireId>,
}

/// A wait for a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotWait {
    /// How many slots are taken. More than the queue has, if it had more before.
    pub taken: usize,
    /// The runs that have them: all, or the first ones.
    pub held_by: Vec<RunId>,
    /// How many runs start before it.
    pub ahead: u64,
    /// When it starts if all runs take as long as usual; `None` if too little is known.
    pub expected_at: Option<Timestamp>,
}

/// Returns the first condition that keeps a fire from starting; `None` if it starts in a moment.
pub fn first_unmet(facts: &UnmetFacts, now: Timestamp) -> Option<Unmet> {
    if facts.service == Service::NoDaemon {
        return Some(Unmet::NoDaemon);
    }
    if facts.held {
        return Some(Unmet::JobPaused);
    }
    if let Some(until) = facts.not_before.filter(|until| now < *until) {
        return Some(Unmet::RetryDelay { until });
    }
    if let Some(awaiting) = &facts.awaiting {
        let open: Vec<Awaited> = awaiting.awaited.iter().filter(|one| is_open(one)).cloned().collect();
        // If none is open, the next turn releases the fire, or ends it.
        return (!open.is_empty()).then_some(Unmet::Dependencies { open, any: awaiting.any });
    }
    match facts.service {
        Service::NoKeeper => return Some(Unmet::NoKeeper),
        Service::OldKeeper => return Some(Unmet::OldKeeper),
        Service::NoDaemon | Service::Ready => {}
    }
    if let Some(since) = facts.queue.paused_at {
        return Some(Unmet::QueuePaused { since });
    }
    if facts.queue.slots == 0 {
        return Some(Unmet::NoSlots);
    }
    if !facts.claimed {
        if facts.earlier_array.is_some() {
            return Some(Unmet::EarlierArray);
        }
        if let Some(at_once) = facts.at_once.filter(|at_once| facts.beside.len() >= *at_once as usize) {
            return Some(Unmet::OtherRuns { at_once });
        }
    }
    if let Some(gate) = closed_gate(facts, now) {
        return Some(gate);
    }
    if let Some(far) = &facts.far {
        let script = script_gate(facts).filter(|_| far.place.is_none());
        return far.wait(&facts.requirement).map(Unmet::Far).or(script);
    }
    let has_share = facts.resources.shares.iter().any(|(run, _)| facts.fire == FireId::Run(*run));
    if !has_share && let Some(wait) = resource_wait(&facts.requirement.needs, &facts.resources) {
        return Some(wait);
    }
    if facts.queue.claimed >= facts.queue.slots {
        return Some(Unmet::Slot(slot_wait(&facts.queue, now)));
    }
    script_gate(facts).filter(|_| !facts.claimed)
}

/// A script is asked last of all.
fn script_gate(facts: &UnmetFacts) -> Option<Unmet> {
    let script = facts.requirement.gates.iter().find(|gate| matches!(gate, Gate::Command(_)));
    script.map(|gate| at_gate(facts, gate, GateReading::NotYet))
}

fn closed_gate(facts: &UnmetFacts, now: Timestamp) -> Option<Unmet> {
    if gate_timeout(facts).is_some_and(|timeout| timeout.starts && timeout.of(facts.queued_at) <= now) {
        return None;
    }
    let closed = facts.requirement.gates.iter().filter(|_| !facts.claimed).find_map(|gate| {
        let reading = facts.readings.get(gate).filter(|reading| !reading.is_open())?;
        Some((gate, reading))
    });
    closed.map(|(gate, reading)| at_gate(facts, gate, reading.clone()))
}

/// Returns the end of a wait at gates. A run that is tried again waits on.
fn gate_timeout(facts: &UnmetFacts) -> Option<GateTimeout> {
    facts.requirement.gate_timeout.filter(|_| facts.attempt == 1)
}

fn at_gate(facts: &UnmetFacts, gate: &Gate, reading: GateReading) -> Unmet {
    let until = gate_timeout(facts).map(|timeout| timeout.of(facts.queued_at));
    Unmet::Gate { gate: gate.clone(), reading, until }
}

fn resource_wait(needs: &Needs, resources: &UnmetResources) -> Option<Unmet> {
    let mut supply = resources.supply.clone();
    let too_large = needs.iter().find(|(name, needed)| supply.capacity(name) < *needed);
    if let Some((name, needed)) = too_large {
        let total = supply.capacity(name);
        return Some(Unmet::TooLarge { resource: name.clone(), needed, total });
    }
    let wait = |resource: ResourceName, kept_for: Option<FireId>| {
        let has_some = |(_, share): &&(RunId, Share)| share.portion(&resource).is_some();
        Unmet::Resource(ResourceWait {
            needed: needs.of(&resource),
            free: resources.supply.free(&resource),
            total: resources.supply.capacity(&resource),
            held_by: resources.shares.iter().filter(has_some).map(|(run, _)| *run).collect(),
            kept_for,
            resource,
        })
    };
    if let Some(lacking) = supply.lacks(needs).into_iter().next() {
        return Some(wait(lacking, None));
    }
    for (fire, earlier) in &resources.earlier {
        if !supply.could_hold(earlier) || supply.lacks(earlier).is_empty() {
            continue;
        }
        supply.keep(earlier);
        if let Some(lacking) = supply.lacks(needs).into_iter().next() {
            return Some(wait(lacking, Some(*fire)));
        }
    }
    None
}

fn slot_wait(queue: &UnmetQueue, now: Timestamp) -> SlotWait {
    let taken = queue.running.max(queue.slots).min(queue.claimed);
    let ahead = u64::try_from(queue.claimed - taken).unwrap_or(u64::MAX).saturating_add(queue.waiting);
    let holders = &queue.holders[..taken.min(queue.holders.len())];
    SlotWait {
        taken,
        held_by: holders.iter().map(|holder| holder.run).collect(),
        ahead,
        expected_at: expected_start(queue, taken, ahead, now),
    }
}

/// Returns when a slot is free for the run after the `ahead` ones before it. It expects the runs that have
/// slots to last as long as those of their jobs, and the others as long as those of the queue.
fn expected_start(queue: &UnmetQueue, taken: usize, ahead: u64, now: Timestamp) -> Option<Timestamp> {
    let holders = queue.holders.get(..taken)?;
    let end = |holder: &Holder| {
        let end = holder.started_at.filter(|_| !holder.paused)? + holder.usual?;
        // A run that takes longer than usual may end at any time.
        (now < end).then_some(Reverse(end))
    };
    let mut ends: BinaryHeap<Reverse<Timestamp>> = holders.iter().map(end).collect::<Option<_>>()?;
    // Slots that the queue has lost are not free after the end of their run.
    for _ in queue.slots..taken {
        ends.pop();
    }
    if ahead > AHEAD_MAX {
        return None;
    }
    for _ in 0..ahead {
        let Reverse(free) = ends.pop()?;
        ends.push(Reverse(free + queue.mean_run?));
    }
    ends.pop().map(|Reverse(free)| free)
}

/// The facts about a job without an unfinished fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleFacts {
    pub service: Service,
    pub done: bool,
    pub paused: bool,
    /// The next fire by a time.
    pub next_at: Option<Timestamp>,
    /// An event trigger listens.
    pub listens: bool,
    /// Events before then do not count.
    pub start_at: Option<Timestamp>,
    pub rests_until: Option<Timestamp>,
    /// It has a trigger that fires after the next boot.
    pub awaits_boot: bool,
}

/// The reason why a job without an unfinished fire does not fire now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    Done,
    Paused,
    /// It was to fire at that time, and no daemon runs.
    NoDaemon(Timestamp),
    /// It fires in a moment.
    Due(Timestamp),
    Rest(Timestamp),
    Start(Timestamp),
    Fire(Timestamp),
    Events,
    Boot,
    /// Nothing is to come. Such a job is about to be done.
    Nothing,
}

/// Returns the first reason why a job does not fire.
pub fn first_idle(facts: &IdleFacts, now: Timestamp) -> Idle {
    if facts.done {
        return Idle::Done;
    }
    if facts.paused {
        return Idle::Paused;
    }
    let later = |at: Option<Timestamp>| at.filter(|at| now < *at);
    match (facts.next_at, facts.listens) {
        (Some(at), _) if at <= now && facts.service == Service::NoDaemon => Idle::NoDaemon(at),
        (Some(at), _) if at <= now => Idle::Due(at),
        (_, true) if later(facts.rests_until).is_some() => Idle::Rest(facts.rests_until.unwrap_or(now)),
        (Some(at), _) => Idle::Fire(at),
        (None, true) => later(facts.start_at).map_or(Idle::Events, Idle::Start),
        (None, false) if facts.awaits_boot => Idle::Boot,
        (None, false) => Idle::Nothing,
    }
}

#[cfg(test)]
mod tests;
