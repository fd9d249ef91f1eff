//! Owns: which waiting runs start, and what they book.
//! Never: the order of a queue (the store returns candidates in order), processes.
//!
//! A run that does not fit keeps all that it needs until it starts: runs behind it get what is left. Of runs
//! with the same needs only the first does. So a large run starts when the runs have ended that were under
//! way when its turn came, and runs that need something else pass it.

mod far;
mod passage;

use std::collections::{BTreeSet, HashMap};
use std::iter::Peekable;
use std::vec;

use self::passage::Passage;
use super::gates::AtGate;
use super::plan::{Claim, Plan};
use super::snapshot::{Candidate, Dispatch, Prefetched, QueueState};
use super::supply::Supply;
use super::waiting::Waiting;
use crate::domain::{JobId, Needs, Requirement, RequirementId, ResourceName, RunId, Timestamp};

/// How many runs of a queue one turn claims at most. The keeper starts these while the next turn claims more.
const CLAIMS_MAX: usize = 100;

/// Claims the runs that fit, and unclaims prefetched runs that must not start now.
pub(super) fn admit(now: Timestamp, dispatch: &Dispatch) -> Plan {
    let mut plan = Plan::default();
    let mut lines = Vec::new();
    for queue in &dispatch.queues {
        if queue.paused || queue.slots == 0 {
            plan.unclaimed.extend(queue.prefetched.iter().map(|prefetched| prefetched.run));
        } else {
            lines.push(Line::new(queue, dispatch));
        }
    }
    let mut counter = Counter {
        now,
        dispatch,
        supply: dispatch.supply.clone(),
        awaited: BTreeSet::new(),
        shut: BTreeSet::new(),
        plan: &mut plan,
    };
    // Queues share the resources: of the first runs of all queues, the one is next that has waited longest.
    while let Some((_, at)) = lines.iter_mut().enumerate().filter_map(Line::next_of).min() {
        lines[at].serve_next(&mut counter);
    }
    far::admit_far(now, dispatch, &mut plan);
    // Without a claim the next snapshot is the same.
    plan.more &= !plan.claimed.is_empty();
    plan.more |= !plan.left_at_gates.is_empty();
    for line in lines {
        line.unclaim(&mut plan);
        if !line.queue.prefetched.is_empty() {
            plan.widths.push((line.queue.name.clone(), line.queue.slots));
        }
    }
    plan
}

/// What the queues have in common while they are served.
struct Counter<'a> {
    now: Timestamp,
    dispatch: &'a Dispatch,
    supply: Supply,
    /// Resources of which a run waits for more. What is given back is for that run.
    awaited: BTreeSet<ResourceName>,
    /// Requirements of which no run can start any more.
    shut: BTreeSet<RequirementId>,
    plan: &'a mut Plan,
}

/// A queue while it is served.
struct Line<'a> {
    queue: &'a QueueState,
    items: Peekable<vec::IntoIter<Item<'a>>>,
    /// How many runs have a slot, or get one.
    holding: usize,
    /// How many stand by in the keeper for the share of another run.
    standing: usize,
    /// How many are claimed now.
    claimed: usize,
    /// The same of each job.
    claimed_of_job: HashMap<JobId, u32>,
    /// The requirements of the runs in the keeper.
    company: BTreeSet<RequirementId>,
    /// The rank of the first run that waits for no resource.
    first: Option<i64>,
    /// Runs that stood by, and can start now.
    given: BTreeSet<RunId>,
    /// Runs that stood by, and are not to start now.
    recalled: BTreeSet<RunId>,
    is_over: bool,
}

/// What a queue serves in the order of its ranks.
#[derive(Clone, Copy)]
enum Item<'a> {
    /// It stands by in the keeper for the share of another run.
    Standing(&'a Prefetched),
    Waiting(&'a Candidate),
}

impl Item<'_> {
    fn rank(self) -> i64 {
        match self {
            Self::Standing(prefetched) => prefetched.rank,
            Self::Waiting(candidate) => candidate.rank,
        }
    }

    fn queued_at(self) -> Timestamp {
        match self {
            Self::Standing(prefetched) => prefetched.queued_at,
            Self::Waiting(candidate) => candidate.queued_at,
        }
    }
}

impl<'a> Line<'a> {
    fn new(queue: &'a QueueState, dispatch: &Dispatch) -> Self {
        let stands = |prefetched: &&Prefetched| {
            !prefetched.has_share && dispatch.needs(prefetched.requirement).is_some()
        };
        let mut items: Vec<Item<'_>> = queue.prefetched.iter().filter(stands).map(Item::Standing).collect();
        let standing = items.len();
        let here = |candidate: &&Candidate| dispatch.far(candidate.requirement).is_none();
        items.extend(queue.candidates.iter().filter(here).map(Item::Waiting));
        if standing > 0 {
            items.sort_by_key(|item| item.rank());
        }
        Self {
            queue,
            items: items.into_iter().peekable(),
            holding: queue.claimed.saturating_sub(standing),
            standing,
            claimed: 0,
            claimed_of_job: HashMap::new(),
            company: queue.claimed_requirements.iter().copied().collect(),
            first: None,
            given: BTreeSet::new(),
            recalled: BTreeSet::new(),
            is_over: false,
        }
    }

    /// Returns since when the next item of the queue waits.
    fn next_of((at, line): (usize, &mut Self)) -> Option<(Timestamp, usize)> {
        if line.is_over {
            return None;
        }
        line.items.peek().map(|item| (item.queued_at(), at))
    }

    fn serve_next(&mut self, counter: &mut Counter<'_>) {
        match self.items.next() {
            None => {}
            Some(Item::Standing(prefetched)) => self.look_at_standing(prefetched, counter),
            Some(Item::Waiting(candidate)) if counter.shut.contains(&candidate.requirement) => {}
            Some(Item::Waiting(candidate)) => {
                if let Some(gated) = counter.dispatch.gated(candidate.requirement) {
                    return self.serve_gated(candidate, gated, counter);
                }
                match counter.dispatch.needs(candidate.requirement) {
                    None => self.claim_plain(candidate, counter.plan),
                    Some(needs) => self.claim_with_needs(candidate, needs, counter),
                }
            }
        }
    }

    fn slots_left(&self) -> usize {
        self.queue.slots.saturating_sub(self.holding)
    }

    /// Returns how many more runs the keeper may have than start at once.
    fn prefetch_left(&self) -> usize {
        let ahead = self.standing + self.holding.saturating_sub(self.queue.slots);
        self.queue.prefetch_max.saturating_sub(ahead)
    }

    /// A run stands by in the keeper for the share of another. If so much is free by now, it gets that. It is
    /// taken back if the share for which it stands by is for a run before it.
    fn look_at_standing(&mut self, prefetched: &Prefetched, counter: &mut Counter<'_>) {
        let Some(needs) = counter.dispatch.needs(prefetched.requirement) else { return };
        let is_to_stay = !prefetched.held && !self.queue.is_reordered;
        if is_to_stay && self.slots_left() > 0 && counter.supply.room_for(needs) > 0 {
            counter.plan.given.push((prefetched.run, counter.supply.take(needs)));
            self.holding += 1;
            self.standing -= 1;
            self.given.insert(prefetched.run);
            self.first.get_or_insert(prefetched.rank);
        } else if needs.iter().any(|(name, _)| counter.awaited.contains(name)) {
            self.recalled.insert(prefetched.run);
        }
    }

    /// Returns how many runs of a candidate there are, and how many of them may be under way at once now.
    fn wanted(&self, candidate: &Candidate) -> (u32, u32) {
        let of_job = self.claimed_of_job.get(&candidate.job).copied().unwrap_or(0);
        candidate.wanted(of_job)
    }

    /// Claims what fits of a candidate that needs a slot alone.
    fn claim_plain(&mut self, candidate: &Candidate, plan: &mut Plan) {
        self.first.get_or_insert(candidate.rank);
        // What stands by for a share would be passed by what stands by for a slot alone.
        let is_prefetched = !candidate.has_deadline && self.standing == 0;
        let ahead = if is_prefetched { self.prefetch_left() } else { 0 };
        let room = self.slots_left() + ahead;
        if room == 0 || self.claimed == CLAIMS_MAX {
            // Those behind it are not prefetched either: they would take the slot that it waits for.
            self.end(room > 0, plan);
            return;
        }
        let (wanted, allowed) = self.wanted(candidate);
        let count = wanted.min(allowed).min(number(room)).min(number(CLAIMS_MAX - self.claimed));
        // The next snapshot may have other candidates in place of this one.
        plan.more |= allowed < wanted;
        if count == 0 {
            return;
        }
        let what = match candidate.waiting {
            Waiting::Array { array, .. } => Waiting::Array { array, rest: count },
            run @ Waiting::Run(_) => run,
        };
        self.holding += count as usize;
        self.has_claimed(candidate, count);
        plan.claimed.push(Claim { what, share: None, place: None });
        if count < wanted && count < allowed {
            self.end((count as usize) < room, plan);
        }
    }

    /// Claims one run of a candidate that has to pass gates, if it is its turn and they are open. It is never
    /// prefetched, and a closed gate delays nobody else.
    fn serve_gated(&mut self, candidate: &Candidate, gated: &Requirement, counter: &mut Counter<'_>) {
        let id = candidate.requirement;
        let (wait, asks) = match counter.dispatch.gates.passage(counter.now, candidate, gated) {
            Passage::Left => {
                counter.plan.left_at_gates.push(candidate.waiting.fire(candidate.job));
                return;
            }
            Passage::Waits(wait) => {
                // Where no slot is free, nobody needs to know.
                if self.slots_left() > 0 {
                    counter.plan.at_gates.push(wait);
                }
                counter.shut.insert(id);
                return;
            }
            Passage::Passes { wait, asks } => (wait, asks),
        };
        let (wanted, allowed) = self.wanted(candidate);
        if wanted.min(allowed) == 0 {
            return;
        }
        let needs = &gated.needs;
        if !counter.supply.could_hold(needs) {
            counter.shut.insert(id);
            return;
        }
        if self.slots_left() == 0 || self.claimed == CLAIMS_MAX {
            self.first.get_or_insert(candidate.rank);
            return self.end(self.slots_left() > 0, counter.plan);
        }
        counter.shut.insert(id);
        if counter.supply.room_for(needs) == 0 {
            counter.awaited.extend(counter.supply.lacks(needs));
            counter.supply.keep(needs);
            counter.plan.waiting = true;
            return;
        }
        if asks || counter.dispatch.gates.is_shut || counter.plan.passed_gate.is_some() {
            counter.plan.at_gates.push(AtGate { asks, ..wait });
            return;
        }
        let share = (!needs.is_empty()).then(|| counter.supply.take(needs));
        counter.plan.claimed.push(Claim { what: one_of(candidate.waiting), share, place: None });
        counter.plan.passed_gate = Some(id);
        // There may be more of them.
        counter.plan.at_gates.push(AtGate { until: None, ..wait });
        self.first.get_or_insert(candidate.rank);
        self.holding += 1;
        self.has_claimed(candidate, 1);
    }

    /// Claims what fits of a candidate that needs resources, and lets more of it stand by.
    fn claim_with_needs(&mut self, candidate: &Candidate, needs: &Needs, counter: &mut Counter<'_>) {
        if !counter.supply.could_hold(needs) {
            return;
        }
        let (wanted, allowed) = self.wanted(candidate);
        counter.plan.more |= allowed < wanted;
        let limit = wanted.min(allowed).min(number(CLAIMS_MAX - self.claimed));
        let room = counter.supply.room_for(needs);
        let count = limit.min(room).min(number(self.slots_left()));
        for _ in 0..count {
            let share = Some(counter.supply.take(needs));
            counter.plan.claimed.push(Claim { what: one_of(candidate.waiting), share, place: None });
        }
        self.holding += count as usize;
        self.has_claimed(candidate, count);
        let mut left = limit - count;
        if left > 0 {
            let standing = left.min(self.standing_room(candidate, needs, counter));
            for _ in 0..standing {
                counter.plan.claimed.push(Claim {
                    what: one_of(candidate.waiting),
                    share: None,
                    place: None,
                });
            }
            self.standing += standing as usize;
            self.has_claimed(candidate, standing);
            left -= standing;
        }
        let is_for_slot = left > 0 && room > count;
        if left < limit || is_for_slot {
            self.first.get_or_insert(candidate.rank);
        }
        if self.claimed == CLAIMS_MAX {
            self.end(self.slots_left() > 0, counter.plan);
        } else if is_for_slot {
            // Else others could take by turns what it needs, and the slot that it waits for.
            counter.supply.keep(needs);
            self.end(false, counter.plan);
        } else if left > 0 {
            counter.awaited.extend(counter.supply.lacks(needs));
            counter.supply.keep(needs);
            counter.shut.insert(candidate.requirement);
            counter.plan.waiting = true;
        }
    }

    /// Returns how many runs of a candidate may stand by. They start in place of runs that end: so each run
    /// of the queue must have what they need, and nobody before them may wait for it.
    fn standing_room(&self, candidate: &Candidate, needs: &Needs, counter: &Counter<'_>) -> u32 {
        let is_alike = |id: &RequirementId| counter.dispatch.needs(*id) == Some(needs);
        let may_stand = !candidate.has_deadline
            && self.holding > 0
            && self.company.iter().all(is_alike)
            && !needs.iter().any(|(name, _)| counter.awaited.contains(name));
        if may_stand { number(self.prefetch_left()) } else { 0 }
    }

    fn has_claimed(&mut self, candidate: &Candidate, count: u32) {
        if count == 0 {
            return;
        }
        self.claimed += count as usize;
        self.company.insert(candidate.requirement);
        // A callback runs beside all runs of its job, and none is counted where any number may.
        if !candidate.begun && candidate.at_once.is_some() {
            *self.claimed_of_job.entry(candidate.job).or_default() += count;
        }
    }

    /// Nothing more starts in the queue in this turn. `has_room`: it could.
    fn end(&mut self, has_room: bool, plan: &mut Plan) {
        self.is_over = true;
        plan.waiting = true;
        plan.has_room |= has_room;
    }

    /// Unclaims prefetched runs of paused jobs, and those that would start before a candidate that is ranked
    /// before them; all of them if the queue has another order now.
    ///
    /// The keeper starts prefetched runs in the order of their arrival. So an unclaimed run is claimed again
    /// after the one that is ranked before it.
    fn unclaim(&self, plan: &mut Plan) {
        let is_unclaimed = |prefetched: &&Prefetched| {
            prefetched.held
                || self.queue.is_reordered
                || self.recalled.contains(&prefetched.run)
                || self.first.is_some_and(|first| prefetched.rank > first)
                    && !self.given.contains(&prefetched.run)
        };
        let unclaimed = self.queue.prefetched.iter().filter(is_unclaimed);
        plan.unclaimed.extend(unclaimed.map(|prefetched| prefetched.run));
    }
}

/// Returns one run of what waits.
fn one_of(waiting: Waiting) -> Waiting {
    match waiting {
        Waiting::Run(run) => Waiting::Run(run),
        Waiting::Array { array, .. } => Waiting::Array { array, rest: 1 },
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod requirement_tests;

#[cfg(test)]
mod tests;
