//! Owns: which waiting runs start on executors.
//! Never: which host a run gets (see `placing`), runs of this machine (see `admit`).
//!
//! Such a run takes no slot of its queue, which orders and pauses it. An executor is served in the order of
//! its runs: one that has no room there yet is passed by none for the same executor.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::passage::Passage;
use super::{CLAIMS_MAX, number, one_of};
use crate::domain::{ExecutorName, FarPlace, JobId, Requirement, RequirementId, Share, Timestamp};
use crate::engine::gates::AtGate;
use crate::engine::placing::{FarExecutor, Placed};
use crate::engine::plan::{Claim, Plan};
use crate::engine::snapshot::{Candidate, Dispatch, QueueState};

/// The executors while they are served.
pub(super) struct FarLine<'a> {
    now: Timestamp,
    dispatch: &'a Dispatch,
    executors: BTreeMap<ExecutorName, FarExecutor>,
    claimed: usize,
    claimed_of_job: HashMap<JobId, u32>,
    /// Executors of which a run waits for room, each with the host if it waits for one.
    full: BTreeSet<(ExecutorName, Option<String>)>,
    /// Requirements of which no run can start any more.
    shut: BTreeSet<RequirementId>,
}

/// Claims the runs that have room on executors.
pub(super) fn admit_far(now: Timestamp, dispatch: &Dispatch, plan: &mut Plan) {
    if dispatch.executors.is_empty() {
        return;
    }
    let is_served = |queue: &&QueueState| !queue.paused && queue.slots > 0;
    let lines = dispatch.queues.iter().filter(is_served);
    let mut lines: Vec<_> = lines
        .map(|queue| {
            let far = queue.candidates.iter();
            far.filter(|candidate| dispatch.far(candidate.requirement).is_some()).peekable()
        })
        .collect();
    let mut far = FarLine {
        now,
        dispatch,
        executors: dispatch.executors.clone(),
        claimed: 0,
        claimed_of_job: HashMap::new(),
        full: BTreeSet::new(),
        shut: BTreeSet::new(),
    };
    // Queues share the executors: of their first runs, the one is next that has waited longest.
    while let Some((_, at)) =
        lines.iter_mut().enumerate().filter_map(|(at, line)| Some((line.peek()?.queued_at, at))).min()
    {
        let candidate = lines[at].next().expect("it was there");
        far.serve(candidate, plan);
    }
}

impl FarLine<'_> {
    fn serve(&mut self, candidate: &Candidate, plan: &mut Plan) {
        let id = candidate.requirement;
        let Some(requirement) = self.dispatch.far(id).filter(|_| !self.shut.contains(&id)) else { return };
        let Some(name) = requirement.executor.clone() else { return };
        let mut waits_for = [(name.clone(), None), (name.clone(), requirement.host.clone())].into_iter();
        if waits_for.any(|what| self.full.contains(&what)) {
            plan.waiting = true;
            return;
        }
        let mut limit = self.limit(candidate, plan);
        if limit == 0 {
            return;
        }
        if !requirement.gates.is_empty() {
            if !self.passes(candidate, requirement, plan) {
                self.shut.insert(id);
                return;
            }
            limit = 1;
        }
        for _ in 0..limit {
            let executor = self.executors.get_mut(&name);
            // The job of such a run was changed while its executor was removed.
            let placed = executor.map_or(Placed::Never, |executor| {
                executor.place(&name, requirement, self.dispatch.key_of(candidate.job))
            });
            match placed {
                Placed::On(place, share) => self.claim(candidate, place, share, requirement, plan),
                Placed::Waits { sought } => {
                    plan.sought.extend(sought);
                    plan.waiting = true;
                    self.full.insert((name, requirement.host.clone()));
                    return;
                }
                Placed::Never => {
                    self.shut.insert(id);
                    return;
                }
            }
        }
        if self.claimed >= CLAIMS_MAX {
            plan.has_room = true;
        }
    }

    /// Returns how many runs of a candidate may be claimed now, if there is room for them.
    fn limit(&self, candidate: &Candidate, plan: &mut Plan) -> u32 {
        let of_job = self.claimed_of_job.get(&candidate.job).copied().unwrap_or(0);
        let (wanted, allowed) = candidate.wanted(of_job);
        plan.more |= allowed < wanted;
        wanted.min(allowed).min(number(CLAIMS_MAX.saturating_sub(self.claimed)))
    }

    fn passes(&mut self, candidate: &Candidate, requirement: &Requirement, plan: &mut Plan) -> bool {
        let gates = &self.dispatch.gates;
        match gates.passage(self.now, candidate, requirement) {
            Passage::Left => plan.left_at_gates.push(candidate.waiting.fire(candidate.job)),
            Passage::Waits(wait) => plan.at_gates.push(wait),
            Passage::Passes { wait, asks } if asks || gates.is_shut || plan.passed_gate.is_some() => {
                plan.at_gates.push(AtGate { asks, ..wait });
            }
            Passage::Passes { .. } => return true,
        }
        false
    }

    fn claim(
        &mut self,
        candidate: &Candidate,
        place: FarPlace,
        share: Option<Share>,
        requirement: &Requirement,
        plan: &mut Plan,
    ) {
        plan.claimed.push(Claim { what: one_of(candidate.waiting), share, place: Some(place) });
        self.claimed += 1;
        if !requirement.gates.is_empty() {
            let requirement = candidate.requirement;
            plan.passed_gate = Some(requirement);
            self.shut.insert(requirement);
            // There may be more of them.
            plan.at_gates.push(AtGate { requirement, job: candidate.job, asks: false, until: None });
        }
        if !candidate.begun && candidate.at_once.is_some() {
            *self.claimed_of_job.entry(candidate.job).or_default() += 1;
        }
    }
}
