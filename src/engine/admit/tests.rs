//! Owns: tests of what starts by slots alone.
//! Never: resources and gates (see `requirement_tests`).

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
    Claim { what, share: None, place: None }
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
