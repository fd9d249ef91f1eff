use std::collections::BTreeMap;
use std::path::Path;

use super::tests::queue;
use super::*;
use crate::domain::{
    ArrayId, Decimal, Gate, GateMeasure, GateReading, GateTimeout, ResourceName, Share, Span,
};
use crate::engine::GateFacts;

fn now() -> Timestamp {
    Timestamp::from_seconds(1_000)
}

/// What the runs in a test require, by the key of the requirement.
fn requirements(texts: &[(i64, &str)]) -> BTreeMap<RequirementId, Requirement> {
    let needs = |text: &str| text.parse().expect(text);
    texts
        .iter()
        .map(|(id, text)| (RequirementId(*id), Requirement { needs: needs(text), ..Requirement::default() }))
        .collect()
}

fn supply(capacities: &str, shares: &[&str]) -> Supply {
    let capacities: Needs = capacities.parse().expect("amounts");
    let capacities = capacities.iter().map(|(name, amount)| (name.clone(), amount)).collect();
    let shares: Vec<Share> = shares.iter().map(|text| serde_json::from_str(text).expect("a share")).collect();
    Supply::new(capacities, &shares)
}

fn run(job: i64) -> RunId {
    RunId { job: JobId(job), number: 1 }
}

/// Job N has waited since second N.
fn candidate(job: i64, requirement: i64) -> Candidate {
    Candidate {
        job: JobId(job),
        waiting: Waiting::Run(run(job)),
        rank: job,
        requirement: RequirementId(requirement),
        queued_at: Timestamp::from_seconds(job),
        at_once: Some(1),
        beside: 0,
        begun: false,
        has_deadline: false,
    }
}

fn standing(job: i64, requirement: i64) -> Prefetched {
    Prefetched {
        run: run(job),
        rank: job,
        held: false,
        requirement: RequirementId(requirement),
        has_share: false,
        queued_at: Timestamp::from_seconds(job),
    }
}

/// Each claim as its job and what it books: `3 gpu=0`, or `4` for one that books nothing.
fn claimed(plan: &Plan) -> Vec<String> {
    let text = |claim: &Claim| {
        let job = match claim.what {
            Waiting::Run(run) => run.job.0,
            Waiting::Array { array, rest } => array.0 * 100 + i64::from(rest),
        };
        claim.share.as_ref().map_or(job.to_string(), |share| format!("{job} {share}"))
    };
    plan.claimed.iter().map(text).collect()
}

fn dispatch(queues: Vec<QueueState>, texts: &[(i64, &str)], supply: Supply) -> Dispatch {
    Dispatch {
        queues,
        requirements: requirements(texts),
        gates: GateFacts::default(),
        supply,
        ..Dispatch::default()
    }
}

fn start(queues: Vec<QueueState>, texts: &[(i64, &str)], supply: Supply) -> Plan {
    admit(now(), &dispatch(queues, texts, supply))
}

#[test]
fn runs_book_what_they_need_and_get_the_lowest_indices() {
    let waiting = vec![candidate(1, 1), candidate(2, 2), candidate(3, 0)];
    let plan =
        start(vec![queue(9, 0, waiting)], &[(1, "gpu=1"), (2, "gpu=2,mem=1K")], supply("gpu=4,mem=2K", &[]));
    assert_eq!(claimed(&plan), ["1 gpu=0", "2 gpu=1,2 mem=1K", "3"]);
}

#[test]
fn a_run_that_does_not_fit_keeps_what_it_needs_and_those_that_need_something_else_pass() {
    let texts = [(1, "gpu=2,mem=1K"), (2, "gpu=1"), (3, "mem=1K"), (4, "lic=1")];
    let waiting = vec![candidate(1, 1), candidate(2, 2), candidate(3, 3), candidate(4, 4), candidate(5, 0)];
    // One of two is free, and of mem as much as the first run needs.
    let free = supply("gpu=2,mem=1K,lic=1", &[r#"{"gpu":{"indices":[0]}}"#]);
    let plan = start(vec![queue(9, 1, waiting)], &texts, free);
    assert_eq!((claimed(&plan), plan.waiting), (vec!["4 lic=0".to_owned(), "5".to_owned()], true));
}

#[test]
fn of_runs_with_the_same_needs_only_the_first_keeps_them() {
    let texts = [(1, "gpu=1,mem=1K"), (2, "mem=1K")];
    let waiting = vec![candidate(1, 1), candidate(2, 1), candidate(3, 1), candidate(4, 2)];
    let free = supply("gpu=1,mem=3K", &[r#"{"gpu":{"indices":[0]},"mem":{"amount":1024}}"#]);
    let plan = start(vec![queue(9, 1, waiting)], &texts, free);
    assert_eq!(claimed(&plan), ["4 mem=1K"]);
}

#[test]
fn a_run_that_needs_more_than_there_is_keeps_nothing() {
    let waiting = vec![candidate(1, 1), candidate(2, 2), candidate(3, 3)];
    let texts = [(1, "gpu=3"), (2, "fpga=1"), (3, "gpu=2")];
    assert_eq!(claimed(&start(vec![queue(9, 0, waiting)], &texts, supply("gpu=2", &[]))), ["3 gpu=0,1"]);
}

#[test]
fn without_a_slot_a_run_keeps_what_it_needs_and_nobody_behind_it_is_prefetched() {
    let full = |job| QueueState {
        prefetch_max: 4,
        claimed_requirements: vec![RequirementId(0)],
        ..queue(1, 1, vec![candidate(job, 1), candidate(job + 1, 0)])
    };
    let other = || QueueState { name: "other".to_owned(), ..queue(1, 0, vec![candidate(3, 1)]) };
    let plan = start(vec![full(1), other()], &[(1, "gpu=1")], supply("gpu=1", &[]));
    assert_eq!((claimed(&plan), plan.waiting), (vec![], true));
    let plan = start(vec![full(4), other()], &[(1, "gpu=1")], supply("gpu=1", &[]));
    assert_eq!(claimed(&plan), ["3 gpu=0", "5"]);
}

#[test]
fn between_queues_the_first_run_goes_first_that_has_waited_longest() {
    let young = queue(9, 0, vec![candidate(5, 1), candidate(6, 1)]);
    let old = QueueState { name: "old".to_owned(), ..queue(9, 0, vec![candidate(2, 2)]) };
    let texts = [(1, "gpu=1"), (2, "gpu=2")];
    let busy = supply("gpu=2", &[r#"{"gpu":{"indices":[1]}}"#]);
    assert_eq!(claimed(&start(vec![young.clone(), old.clone()], &texts, busy)), Vec::<String>::new());
    assert_eq!(claimed(&start(vec![young, old], &texts, supply("gpu=3", &[]))), ["2 gpu=0,1", "5 gpu=2"]);
}

#[test]
fn each_index_of_an_array_books_for_itself() {
    let waiting = Waiting::Array { array: ArrayId(7), rest: 9 };
    let array = Candidate { waiting, at_once: Some(3), ..candidate(1, 1) };
    let plan = start(vec![queue(9, 0, vec![array])], &[(1, "gpu=1")], supply("gpu=2", &[]));
    assert_eq!((claimed(&plan), plan.more), (vec!["701 gpu=0".to_owned(), "701 gpu=1".to_owned()], true));
    // With nothing free, the next snapshot would be the same.
    let busy = supply("gpu=1", &[r#"{"gpu":{"indices":[0]}}"#]);
    assert!(!start(vec![queue(9, 1, vec![array])], &[(1, "gpu=1")], busy).more);
}

/// A queue of two slots, of which two runs have the two GPUs.
fn busy(candidates: Vec<Candidate>, prefetched: Vec<Prefetched>) -> QueueState {
    let claimed = 2 + prefetched.len();
    let claimed_requirements = vec![RequirementId(1)];
    QueueState { prefetched, prefetch_max: 2, claimed_requirements, ..queue(2, claimed, candidates) }
}

const TAKEN: [&str; 2] = [r#"{"gpu":{"indices":[0]}}"#, r#"{"gpu":{"indices":[1]}}"#];

#[test]
fn a_run_stands_by_only_where_all_runs_have_what_it_needs_and_nobody_waits_before_it() {
    let texts = [(1, "gpu=1"), (2, "gpu=2"), (3, "gpu=1,lic=1")];
    let alike = vec![candidate(1, 1), candidate(2, 1), candidate(3, 1)];
    let plan = start(vec![busy(alike.clone(), vec![])], &texts, supply("gpu=2", &TAKEN));
    assert_eq!(claimed(&plan), ["1", "2"]);
    let mixed =
        QueueState { claimed_requirements: vec![RequirementId(0), RequirementId(1)], ..busy(alike, vec![]) };
    assert_eq!(claimed(&start(vec![mixed], &texts, supply("gpu=2", &TAKEN))), Vec::<String>::new());
    let behind = vec![candidate(1, 2), candidate(2, 1)];
    assert_eq!(
        claimed(&start(vec![busy(behind, vec![])], &texts, supply("gpu=2", &TAKEN))),
        Vec::<String>::new()
    );
    let deadline = vec![Candidate { has_deadline: true, ..candidate(1, 1) }];
    assert_eq!(
        claimed(&start(vec![busy(deadline, vec![])], &texts, supply("gpu=2", &TAKEN))),
        Vec::<String>::new()
    );
}

#[test]
fn what_stands_by_is_recalled_for_a_run_before_it_and_gets_what_is_free() {
    let texts = [(1, "gpu=1"), (2, "gpu=2")];
    let recalled = |candidates, supply| {
        let plan = start(vec![busy(candidates, vec![standing(5, 1)])], &texts, supply);
        (claimed(&plan), plan.unclaimed)
    };
    let nothing = Vec::<String>::new;
    assert_eq!(recalled(vec![], supply("gpu=2", &TAKEN)), (nothing(), vec![]));
    assert_eq!(recalled(vec![candidate(7, 2)], supply("gpu=2", &TAKEN)), (nothing(), vec![]));
    assert_eq!(recalled(vec![candidate(3, 2)], supply("gpu=2", &TAKEN)), (nothing(), vec![run(5)]));
    // One run has ended before the keeper had the other.
    let one_left = QueueState { claimed: 2, ..busy(vec![], vec![standing(5, 1)]) };
    let plan = start(vec![one_left], &texts, supply("gpu=2", &TAKEN[..1]));
    let given: Vec<String> = plan.given.iter().map(|(run, share)| format!("{} {share}", run.job)).collect();
    assert_eq!((claimed(&plan), plan.unclaimed, given), (nothing(), vec![], vec!["5 gpu=1".to_owned()]));
}

#[test]
fn what_needs_a_slot_alone_is_not_prefetched_behind_what_stands_by() {
    let plan = start(
        vec![busy(vec![candidate(7, 0)], vec![standing(5, 1)])],
        &[(1, "gpu=1")],
        supply("gpu=2", &TAKEN),
    );
    assert_eq!((claimed(&plan), plan.unclaimed), (Vec::new(), vec![]));
}

/// Runs with requirement 1 pass `load<1`, and then `cmd:true` with requirement 2.
fn gated(load: u64, candidates: Vec<Candidate>, timeout: Option<GateTimeout>) -> Dispatch {
    let gate = |text: &str| Gate::read(text.as_bytes(), Path::new("/")).expect(text);
    let of = |texts: &[&str]| Requirement {
        gates: texts.iter().map(|text| gate(text)).collect(),
        gate_timeout: timeout,
        ..Requirement::default()
    };
    let measure = GateMeasure::Load(Decimal::from_hundredths(load));
    let reading = GateReading::compared(load < 100, measure);
    let gates = GateFacts { readings: [(gate("load<1"), reading)].into(), ..GateFacts::default() };
    let requirements =
        [(RequirementId(1), of(&["load<1"])), (RequirementId(2), of(&["load<1", "cmd:true"]))].into();
    Dispatch { queues: vec![queue(9, 0, candidates)], requirements, gates, ..Dispatch::default() }
}

#[test]
fn one_run_a_second_passes_the_gates_and_a_closed_gate_delays_nobody_else() {
    let waiting = || vec![candidate(1, 1), candidate(2, 1), candidate(3, 0)];
    let open = admit(now(), &gated(50, waiting(), None));
    assert_eq!(
        (claimed(&open), open.passed_gate),
        (vec!["1".to_owned(), "3".to_owned()], Some(RequirementId(1)))
    );
    let closed = admit(now(), &gated(100, waiting(), None));
    assert_eq!((claimed(&closed), closed.at_gates.len(), closed.waiting), (vec!["3".to_owned()], 1, false));
    let mut shut = gated(50, waiting(), None);
    shut.gates.is_shut = true;
    let shut = admit(now(), &shut);
    assert_eq!((claimed(&shut), shut.at_gates.len()), (vec!["3".to_owned()], 1));
    let mut unknown = gated(50, waiting(), None);
    unknown.gates.readings.clear();
    assert_eq!(claimed(&admit(now(), &unknown)), ["3"]);
}

#[test]
fn a_gate_is_looked_at_only_where_a_slot_is_free_and_a_script_is_asked_last() {
    let mut full = gated(100, vec![candidate(1, 1)], None);
    full.queues[0].slots = 1;
    full.queues[0].claimed = 1;
    assert_eq!(admit(now(), &full).at_gates, []);
    let asks = |dispatch: &Dispatch| {
        let plan = admit(now(), dispatch);
        (claimed(&plan), plan.at_gates.iter().map(|wait| wait.asks).collect::<Vec<_>>())
    };
    let mut script = gated(50, vec![candidate(1, 2)], None);
    assert_eq!(asks(&script), (vec![], vec![true]));
    script.gates.asked.insert(RequirementId(2));
    assert_eq!(asks(&script), (vec![], vec![false]));
    script.gates.asked.clear();
    script.gates.refused.insert(RequirementId(2));
    assert_eq!(asks(&script), (vec![], vec![false]));
    script.gates.refused.clear();
    script.gates.passed.insert(RequirementId(2));
    assert_eq!(asks(&script).0, ["1"]);
    assert_eq!(asks(&gated(100, vec![candidate(1, 2)], None)), (vec![], vec![false]));
}

#[test]
fn at_the_end_of_its_wait_a_run_is_missed_or_starts_all_the_same() {
    let timeout = |starts| Some(GateTimeout { after: Span::from_seconds(10), starts });
    let young = Timestamp::from_seconds(995);
    let waiting = || vec![candidate(1, 1), Candidate { rank: 2, queued_at: young, ..candidate(2, 1) }];
    let missed = admit(now(), &gated(100, waiting(), timeout(false)));
    let fire = Waiting::Run(run(1)).fire(JobId(1));
    assert_eq!((missed.left_at_gates, missed.more, missed.claimed), (vec![fire], true, vec![]));
    assert_eq!(missed.at_gates[0].until, Some(Timestamp::from_seconds(1_005)));
    let started = admit(now(), &gated(100, waiting(), timeout(true)));
    assert_eq!((claimed(&started), started.left_at_gates), (vec!["1".to_owned()], vec![]));
    // An open gate is passed at any time, and one between two attempts waits on.
    assert_eq!(claimed(&admit(now(), &gated(50, waiting(), timeout(false)))), ["1"]);
    let again = vec![Candidate { begun: true, ..candidate(1, 1) }];
    assert_eq!(admit(now(), &gated(100, again, timeout(false))).left_at_gates, []);
}

#[test]
fn a_gated_run_books_only_when_it_passes() {
    let mut dispatch = gated(100, vec![candidate(1, 1), candidate(2, 3)], None);
    let gpu: ResourceName = "gpu".parse().expect("a name");
    dispatch.supply = Supply::new([(gpu, 1)].into(), []);
    let needs: Needs = "gpu=1".parse().expect("needs");
    dispatch.requirements.get_mut(&RequirementId(1)).expect("it is there").needs = needs.clone();
    dispatch.requirements.insert(RequirementId(3), Requirement { needs, ..Requirement::default() });
    assert_eq!(claimed(&admit(now(), &dispatch)), ["2 gpu=0"]);
    for reading in dispatch.gates.readings.values_mut() {
        *reading = GateReading::of(true);
    }
    assert_eq!(claimed(&admit(now(), &dispatch)), ["1 gpu=0"]);
}
