//! Owns: which waiting runs start.
//! Never: the order of a queue (the store hands candidates in order), processes.

use std::collections::HashSet;

use super::plan::Plan;
use super::snapshot::QueueState;

/// Claims what fits, and takes back what should not have been claimed.
pub(super) fn admit(queues: &[QueueState]) -> Plan {
    let mut plan = Plan::default();
    for queue in queues {
        if queue.paused || queue.slots == 0 {
            plan.recalled.extend(queue.standing_by.iter().map(|standing| standing.run));
            continue;
        }
        let claimed = claim(queue, &mut plan);
        recall(queue, queue.candidates.len() - claimed, &mut plan);
    }
    plan
}

/// Claims the queue's first candidates that fit, and returns how many.
fn claim(queue: &QueueState, plan: &mut Plan) -> usize {
    let free = (queue.slots + queue.lookahead).saturating_sub(queue.claimed);
    let before = plan.claimed.len();
    // Candidates whose job has a claimed run are not in the snapshot; those that this step claims are in `busy`.
    let mut busy = HashSet::new();
    for candidate in &queue.candidates {
        if plan.claimed.len() - before == free {
            break;
        }
        if candidate.is_serial && !busy.insert(candidate.run.job) {
            // Others may wait behind it that the snapshot had no room for.
            plan.more = true;
            continue;
        }
        plan.claimed.push(candidate.run);
    }
    plan.claimed.len() - before
}

/// Takes back what stands by for a paused job, and what stands by before a run of higher priority: latest claim first, as
/// many as there are to take its place.
fn recall(queue: &QueueState, waiting: usize, plan: &mut Plan) {
    plan.recalled.extend(queue.standing_by.iter().filter(|standing| standing.held).map(|standing| standing.run));
    let Some(first) = queue.candidates.first() else { return };
    let outranked = queue.standing_by.iter().filter(|standing| !standing.held && standing.priority < first.priority);
    plan.recalled.extend(outranked.take(waiting).map(|standing| standing.run));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{JobId, RunId};
    use crate::engine::snapshot::{Candidate, StandBy};

    fn run(job: i64, number: i64) -> RunId {
        RunId { job: JobId(job), number }
    }

    fn candidate(job: i64, number: i64, priority: i32) -> Candidate {
        Candidate { run: run(job, number), priority, is_serial: true }
    }

    fn queue(slots: usize, claimed: usize, candidates: Vec<Candidate>) -> QueueState {
        QueueState {
            name: "default".to_owned(),
            slots,
            paused: false,
            claimed,
            standing_by: Vec::new(),
            lookahead: 0,
            candidates,
        }
    }

    #[test]
    fn runs_start_in_order_while_slots_are_free() {
        let plan = admit(&[queue(3, 1, vec![candidate(1, 1, 0), candidate(2, 1, 0), candidate(3, 1, 0)])]);
        assert_eq!(plan.claimed, [run(1, 1), run(2, 1)]);
    }

    #[test]
    fn two_runs_of_a_serial_job_do_not_start_together() {
        let plan = admit(&[queue(4, 0, vec![candidate(1, 1, 0), candidate(1, 2, 0), candidate(2, 1, 0)])]);
        assert_eq!(plan.claimed, [run(1, 1), run(2, 1)]);
    }

    #[test]
    fn a_paused_queue_starts_nothing_and_takes_back_what_stands_by() {
        let mut paused = queue(2, 3, vec![candidate(9, 1, 0)]);
        paused.paused = true;
        paused.standing_by = vec![StandBy { run: run(3, 1), priority: 0, held: false }];
        let plan = admit(&[paused]);
        assert_eq!((plan.claimed, plan.recalled), (vec![], vec![run(3, 1)]));
    }

    #[test]
    fn a_run_that_stands_by_gives_way_to_a_higher_priority() {
        let mut full = queue(1, 2, vec![candidate(9, 1, 5)]);
        full.standing_by = vec![StandBy { run: run(3, 1), priority: 0, held: false }];
        assert_eq!(admit(&[full.clone()]).recalled, [run(3, 1)]);
        full.standing_by[0].priority = 5;
        assert_eq!(admit(&[full]).recalled, []);
    }

    #[test]
    fn what_stands_by_for_a_paused_job_is_taken_back() {
        let mut full = queue(1, 2, vec![]);
        full.standing_by = vec![StandBy { run: run(3, 1), priority: 0, held: true }];
        assert_eq!(admit(&[full]).recalled, [run(3, 1)]);
    }

    #[test]
    fn a_queue_without_slots_starts_nothing_however_far_it_looks_ahead() {
        let mut closed = queue(0, 1, vec![candidate(9, 1, 0)]);
        closed.lookahead = 4;
        closed.standing_by = vec![StandBy { run: run(3, 1), priority: 0, held: false }];
        let plan = admit(&[closed]);
        assert_eq!((plan.claimed, plan.recalled), (vec![], vec![run(3, 1)]));
    }
}
