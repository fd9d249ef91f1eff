//! Owns: which waiting runs start, and what they book.
//! Never: the order of a queue (the store returns candidates in order), processes.
//!
//! A run that does not fit keeps all that it needs until it starts: runs behind it get what is left. Of runs
//! with the same needs only the first does. So a large run starts when the runs have ended that were under
//! way when its turn came, and runs that need something else pass it.

use std::collections::{BTreeSet, HashMap};
use std::iter::Peekable;
use std::vec;

use super::gates::{AtGate, GateState};
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
        items.extend(queue.candidates.iter().map(Item::Waiting));
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
        let allowed = candidate
            .at_once
            .map_or(u32::MAX, |at_once| at_once.saturating_sub(candidate.beside).saturating_sub(of_job));
        (candidate.waiting.count(), allowed)
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
        plan.claimed.push(Claim { what, share: None });
        if count < wanted && count < allowed {
            self.end((count as usize) < room, plan);
        }
    }

    /// Claims one run of a candidate that has to pass gates, if it is its turn and they are open. It is never
    /// prefetched, and a closed gate delays nobody else.
    fn serve_gated(&mut self, candidate: &Candidate, gated: &Requirement, counter: &mut Counter<'_>) {
        let id = candidate.requirement;
        let state = counter.dispatch.gates.state(id, gated);
        // A run that is tried again waits on.
        let timeout = gated.gate_timeout.filter(|_| !candidate.begun);
        let until = timeout.map(|timeout| (timeout.of(candidate.queued_at), timeout.starts));
        let is_over = until.is_some_and(|(until, _)| until <= counter.now) && state == GateState::Closed;
        if is_over && until.is_some_and(|(_, starts)| !starts) {
            counter.plan.left_at_gates.push(candidate.waiting.fire(candidate.job));
            return;
        }
        let wait =
            AtGate { requirement: id, job: candidate.job, asks: false, until: until.map(|(until, _)| until) };
        if !is_over && matches!(state, GateState::Closed | GateState::Unknown) {
            // Where no slot is free, nobody needs to know.
            if self.slots_left() > 0 {
                counter.plan.at_gates.push(wait);
            }
            counter.shut.insert(id);
            return;
        }
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
        let asks = state == GateState::Asks && !is_over;
        if asks || counter.dispatch.gates.is_shut || counter.plan.passed_gate.is_some() {
            counter.plan.at_gates.push(AtGate { asks, ..wait });
            return;
        }
        let share = (!needs.is_empty()).then(|| counter.supply.take(needs));
        counter.plan.claimed.push(Claim { what: one_of(candidate.waiting), share });
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
            counter.plan.claimed.push(Claim { what: one_of(candidate.waiting), share });
        }
        self.holding += count as usize;
        self.has_claimed(candidate, count);
        let mut left = limit - count;
        if left > 0 {
            let standing = left.min(self.standing_room(candidate, needs, counter));
            for _ in 0..standing {
                counter.plan.claimed.push(Claim { what: one_of(candidate.waiting), share: None });
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
mod tests {
    use super::admit as admit_all;
    use super::*;
    use crate::domain::{ArrayId, RunId};
    use crate::engine::snapshot::Candidate;

    fn run(job: i64, number: i64) -> RunId {
        RunId { job: JobId(job), number }
    }

    fn candidate(job: i64, number: i64, priority: i32) -> Candidate {
        let waiting = Waiting::Run(run(job, number));
        Candidate {
            job: JobId(job),
            waiting,
            rank: i64::from(-priority),
            requirement: RequirementId::NONE,
            queued_at: Timestamp::default(),
            at_once: Some(1),
            beside: 0,
            begun: false,
            has_deadline: false,
        }
    }

    fn claim(what: Waiting) -> Claim {
        Claim { what, share: None }
    }

    fn prefetched(job: i64, rank: i64) -> Prefetched {
        Prefetched {
            run: run(job, 1),
            rank,
            held: false,
            requirement: RequirementId::NONE,
            has_share: false,
            queued_at: Timestamp::default(),
        }
    }

    fn admit<const N: usize>(queues: &[QueueState; N]) -> Plan {
        admit_all(Timestamp::default(), &Dispatch { queues: queues.to_vec(), ..Dispatch::default() })
    }

    fn claims<const N: usize>(runs: [RunId; N]) -> [Claim; N] {
        runs.map(|run| claim(Waiting::Run(run)))
    }

    pub(super) fn queue(slots: usize, claimed: usize, candidates: Vec<Candidate>) -> QueueState {
        QueueState {
            name: "default".to_owned(),
            slots,
            paused: false,
            is_reordered: false,
            claimed,
            claimed_requirements: Vec::new(),
            prefetched: Vec::new(),
            prefetch_max: 0,
            candidates,
        }
    }

    #[test]
    fn runs_start_in_order_while_slots_are_free() {
        let plan = admit(&[queue(3, 1, vec![candidate(1, 1, 0), candidate(2, 1, 0), candidate(3, 1, 0)])]);
        assert_eq!(plan.claimed, claims([run(1, 1), run(2, 1)]));
    }

    #[test]
    fn a_turn_claims_a_limited_number_and_leaves_the_rest_to_the_next() {
        let plan = admit(&[queue(500, 0, (1..=300).map(|job| candidate(job, 1, 0)).collect())]);
        assert_eq!((plan.claimed.len(), plan.has_room, plan.waiting), (CLAIMS_MAX, true, true));
        let plan = admit(&[queue(2, 0, (1..=3).map(|job| candidate(job, 1, 0)).collect())]);
        assert_eq!((plan.claimed.len(), plan.has_room, plan.waiting), (2, false, true));
    }

    #[test]
    fn two_runs_of_a_serial_job_do_not_start_together() {
        let plan = admit(&[queue(4, 0, vec![candidate(1, 1, 0), candidate(1, 2, 0), candidate(2, 1, 0)])]);
        assert_eq!(plan.claimed, claims([run(1, 1), run(2, 1)]));
    }

    fn array(rest: u32, at_once: Option<u32>) -> Candidate {
        let waiting = Waiting::Array { array: ArrayId(7), rest };
        Candidate { waiting, at_once, ..candidate(5, 1, 0) }
    }

    #[test]
    fn an_array_fills_the_slots_that_are_free_and_leaves_the_rest_as_it_is() {
        let claimed = |slots, candidates| {
            let plan = admit(&[queue(slots, 0, candidates)]);
            (plan.claimed, plan.waiting, plan.has_room, plan.more)
        };
        let indices = |count| claim(Waiting::Array { array: ArrayId(7), rest: count });
        assert_eq!(claimed(3, vec![array(9, None)]), (vec![indices(3)], true, false, false));
        assert_eq!(claimed(500, vec![array(900, None)]), (vec![indices(100)], true, true, false));
        let after = claims([run(2, 1)]).to_vec();
        let some = [vec![indices(2)], after.clone()].concat();
        assert_eq!(claimed(4, vec![array(2, None), candidate(2, 1, 0)]), (some.clone(), false, false, false));
        // No more than two at once, although more slots are free.
        assert_eq!(claimed(4, vec![array(9, Some(2)), candidate(2, 1, 0)]), (some, false, false, true));
        let full = Candidate { beside: 2, ..array(9, Some(2)) };
        assert_eq!(claimed(4, vec![full, candidate(2, 1, 0)]), (after, false, false, true));
    }

    #[test]
    fn a_run_that_must_start_in_time_is_not_prefetched_and_nothing_behind_it_is() {
        let urgent = |candidate: Candidate| Candidate { has_deadline: true, ..candidate };
        let claimed = |claimed, candidates| {
            let plan = admit(&[QueueState { prefetch_max: 8, ..queue(3, claimed, candidates) }]);
            (plan.claimed, plan.waiting, plan.has_room)
        };
        let run = |job| claim(Waiting::Run(run(job, 1)));
        let waiting = || vec![candidate(1, 1, 0), urgent(candidate(2, 1, 0)), candidate(3, 1, 0)];
        assert_eq!(claimed(1, waiting()), (vec![run(1), run(2), run(3)], false, false));
        assert_eq!(claimed(2, waiting()), (vec![run(1)], true, false));
        assert_eq!(claimed(9, waiting()), (vec![run(1)], true, false));
        let indices = claim(Waiting::Array { array: ArrayId(7), rest: 2 });
        let behind = candidate(2, 1, 0);
        assert_eq!(claimed(1, vec![urgent(array(9, None)), behind]), (vec![indices.clone()], true, false));
        assert_eq!(claimed(1, vec![urgent(array(2, None)), behind]), (vec![indices, run(2)], false, false));
    }

    #[test]
    fn a_run_that_is_tried_again_counts_once_beside_the_others() {
        let at_once = Some(2);
        let again = |number, beside| Candidate { at_once, beside, begun: true, ..candidate(1, number, 0) };
        let first = Candidate { at_once, beside: 2, ..candidate(1, 3, 0) };
        let plan = admit(&[queue(4, 0, vec![again(1, 0), again(2, 1), first])]);
        assert_eq!(plan.claimed, claims([run(1, 1), run(1, 2)]));
    }

    #[test]
    fn a_callback_does_not_take_the_place_of_the_next_run_of_its_job() {
        let callback = Candidate { at_once: None, ..candidate(1, 2, 0) };
        let plan = admit(&[queue(4, 0, vec![callback, candidate(1, 3, 0)])]);
        assert_eq!((plan.claimed.as_slice(), plan.more), (&claims([run(1, 2), run(1, 3)])[..], false));
    }

    #[test]
    fn a_paused_queue_starts_nothing_and_unclaims_prefetched_runs() {
        let mut paused = queue(2, 3, vec![candidate(9, 1, 0)]);
        paused.paused = true;
        paused.prefetched = vec![prefetched(3, 0)];
        let plan = admit(&[paused]);
        assert_eq!((plan.claimed, plan.unclaimed), (vec![], vec![run(3, 1)]));
    }

    #[test]
    fn a_prefetched_run_is_unclaimed_for_a_higher_priority() {
        let mut full = queue(1, 2, vec![candidate(9, 1, 5)]);
        full.prefetched = vec![prefetched(3, 0)];
        assert_eq!(admit(&[full.clone()]).unclaimed, [run(3, 1)]);
        full.prefetched[0].rank = -5;
        assert_eq!(admit(&[full]).unclaimed, []);
    }

    #[test]
    fn no_run_stays_prefetched_before_a_higher_priority() {
        let mut brief = queue(1, 3, vec![candidate(9, 1, 5)]);
        brief.prefetch_max = 4;
        brief.prefetched =
            [(3, 0), (4, 5), (5, -1)].map(|(job, priority)| prefetched(job, i64::from(-priority))).to_vec();
        let plan = admit(&[brief]);
        assert_eq!(plan.claimed, claims([run(9, 1)]));
        assert_eq!(plan.unclaimed, [run(3, 1), run(5, 1)]);
    }

    #[test]
    fn the_keeper_receives_the_width_of_a_queue_with_prefetched_runs() {
        let mut wider = queue(3, 2, vec![]);
        assert_eq!(admit(&[wider.clone()]).widths, []);
        wider.prefetched = vec![prefetched(3, 0)];
        assert_eq!(admit(&[wider]).widths, [("default".to_owned(), 3)]);
    }

    #[test]
    fn prefetched_runs_are_unclaimed_when_their_queue_has_another_order() {
        let mut reordered = queue(1, 2, vec![]);
        reordered.prefetched = vec![prefetched(3, 0)];
        assert_eq!(admit(&[reordered.clone()]).unclaimed, []);
        reordered.is_reordered = true;
        assert_eq!(admit(&[reordered]).unclaimed, [run(3, 1)]);
    }

    #[test]
    fn a_prefetched_run_of_a_paused_job_is_unclaimed() {
        let mut full = queue(1, 2, vec![]);
        full.prefetched = vec![Prefetched { held: true, ..prefetched(3, 0) }];
        assert_eq!(admit(&[full]).unclaimed, [run(3, 1)]);
    }

    #[test]
    fn a_queue_without_slots_starts_nothing_and_prefetches_nothing() {
        let mut closed = queue(0, 1, vec![candidate(9, 1, 0)]);
        closed.prefetch_max = 4;
        closed.prefetched = vec![prefetched(3, 0)];
        let plan = admit(&[closed]);
        assert_eq!((plan.claimed, plan.unclaimed), (vec![], vec![run(3, 1)]));
    }
}
