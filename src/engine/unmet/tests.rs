//! Owns: tests of what a fire waits for.
//! Never: the words for it (see `cli`).

use std::path::Path;

use super::*;
use crate::domain::JobId;
use crate::engine::AwaitedFire;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn now() -> Timestamp {
    at(1_000)
}

fn run(job: i64, number: i64) -> RunId {
    RunId { job: JobId(job), number }
}

fn holder(job: i64, started: i64) -> Holder {
    let usual = Some(Span::from_seconds(60));
    Holder { run: run(job, 1), started_at: Some(at(started)), paused: false, usual }
}

fn awaiting(fire: AwaitedFire) -> Option<AwaitingFire> {
    let dependency = "a".parse().expect("valid");
    let awaited = vec![Awaited { dependency, fire }];
    Some(AwaitingFire { fire: FireId::Run(run(3, 1)), any: false, awaited })
}

/// A fire for which no condition is met.
fn stuck() -> UnmetFacts {
    UnmetFacts {
        fire: FireId::Run(run(3, 1)),
        service: Service::NoDaemon,
        queued_at: at(900),
        start_by: None,
        attempt: 2,
        attempt_ended_at: Some(at(990)),
        not_before: Some(at(1_010)),
        held: true,
        job_paused_at: Some(at(950)),
        awaiting: awaiting(AwaitedFire::NotMade { will_be: true }),
        claimed: false,
        earlier_array: Some(ArrayId(1)),
        at_once: Some(1),
        beside: vec![run(3, 7)],
        requirement: Requirement::default(),
        readings: BTreeMap::new(),
        resources: UnmetResources::default(),
        far: None,
        queue: UnmetQueue {
            name: "default".to_owned(),
            slots: 0,
            paused_at: Some(at(960)),
            running: 2,
            claimed: 3,
            holders: vec![holder(1, 980), holder(2, 970)],
            waiting: 4,
            mean_run: None,
        },
    }
}

/// A fire that waits for what it requires alone.
fn requiring(requirement: Requirement) -> UnmetFacts {
    let queue = UnmetQueue { slots: 9, name: "default".to_owned(), ..UnmetQueue::default() };
    let free = UnmetFacts { service: Service::Ready, attempt: 1, not_before: None, held: false, ..stuck() };
    UnmetFacts { awaiting: None, earlier_array: None, at_once: None, queue, requirement, ..free }
}

#[test]
fn a_gate_is_named_that_is_closed_and_a_script_only_when_all_else_is_met() {
    let gate = |text: &str| Gate::read(text.as_bytes(), Path::new("/")).expect(text);
    let gates = vec![gate("cmd:true"), gate("ac"), gate("online")];
    let mut facts = requiring(Requirement { gates, ..Requirement::default() });
    let named = |facts: &UnmetFacts| match first_unmet(facts, now()) {
        Some(Unmet::Gate { gate, .. }) => Some(gate.to_string()),
        other => other.map(|other| format!("{other:?}")),
    };
    facts.readings = [(gate("ac"), GateReading::of(true)), (gate("online"), GateReading::of(false))].into();
    assert_eq!(named(&facts).as_deref(), Some("online"));
    facts.requirement.gate_timeout = Some(GateTimeout { after: Span::from_seconds(100), starts: true });
    assert_eq!(named(&facts).as_deref(), Some("cmd:true"));
    facts.requirement.gate_timeout = None;
    facts.readings.insert(gate("online"), GateReading::of(true));
    assert_eq!(named(&facts).as_deref(), Some("cmd:true"));
    facts.queue.claimed = 9;
    assert!(matches!(first_unmet(&facts, now()), Some(Unmet::Slot(_))));
}

#[test]
fn a_resource_is_named_with_who_has_it_or_for_whom_it_is_kept() {
    let needs = |text: &str| -> Needs { text.parse().expect(text) };
    let shares = vec![(run(7, 1), serde_json::from_str(r#"{"gpu":{"indices":[0]}}"#).expect("a share"))];
    let mut facts = requiring(Requirement { needs: needs("gpu=2"), ..Requirement::default() });
    let capacities = |gpus| [("gpu".parse().expect("a name"), gpus)].into();
    let supply = |gpus| Supply::new(capacities(gpus), shares.iter().map(|(_, share)| share));
    facts.resources = UnmetResources { supply: supply(2), shares: shares.clone(), earlier: vec![] };
    let Some(Unmet::Resource(wait)) = first_unmet(&facts, now()) else { panic!("a resource") };
    assert_eq!((wait.needed, wait.free, wait.total, wait.held_by), (2, 1, 2, vec![run(7, 1)]));
    facts.resources.supply = supply(1);
    assert!(matches!(first_unmet(&facts, now()), Some(Unmet::TooLarge { needed: 2, total: 1, .. })));
    facts.resources.supply = supply(3);
    assert_eq!(first_unmet(&facts, now()), None);
    facts.resources.earlier =
        vec![(FireId::Run(run(2, 1)), needs("gpu=9")), (FireId::Run(run(2, 2)), needs("gpu=3"))];
    let Some(Unmet::Resource(wait)) = first_unmet(&facts, now()) else { panic!("it is kept") };
    assert_eq!(wait.kept_for, Some(FireId::Run(run(2, 2))));
    facts.fire = FireId::Run(run(7, 1));
    assert_eq!(first_unmet(&facts, now()), None);
}

fn open_dependency() -> Unmet {
    let open = awaiting(AwaitedFire::NotMade { will_be: true }).expect("it is one").awaited;
    Unmet::Dependencies { open, any: false }
}

#[test]
fn the_first_unmet_condition_is_named_in_the_order_of_a_turn() {
    type Fulfil = fn(&mut UnmetFacts);
    let steps: [(Unmet, Fulfil); 10] = [
        (Unmet::NoDaemon, |facts| facts.service = Service::OldKeeper),
        (Unmet::JobPaused, |facts| facts.held = false),
        (Unmet::RetryDelay { until: at(1_010) }, |facts| facts.not_before = Some(now())),
        (open_dependency(), |facts| facts.awaiting = None),
        (Unmet::OldKeeper, |facts| facts.service = Service::NoKeeper),
        (Unmet::NoKeeper, |facts| facts.service = Service::Ready),
        (Unmet::QueuePaused { since: at(960) }, |facts| facts.queue.paused_at = None),
        (Unmet::NoSlots, |facts| facts.queue.slots = 2),
        (Unmet::EarlierArray, |facts| facts.earlier_array = None),
        (Unmet::OtherRuns { at_once: 1 }, |facts| facts.at_once = Some(2)),
    ];
    let mut facts = stuck();
    for (unmet, fulfil) in steps {
        assert_eq!(first_unmet(&facts, now()), Some(unmet));
        fulfil(&mut facts);
    }
    let held_by = vec![run(1, 1), run(2, 1)];
    let slot = SlotWait { taken: 2, held_by, ahead: 5, expected_at: None };
    assert_eq!(first_unmet(&facts, now()), Some(Unmet::Slot(slot)));
    facts.queue.claimed = 1;
    assert_eq!(first_unmet(&facts, now()), None);
}

#[test]
fn a_claimed_run_waits_for_nothing_but_a_slot() {
    let mut facts = UnmetFacts {
        service: Service::Ready,
        held: false,
        not_before: None,
        awaiting: None,
        claimed: true,
        ..stuck()
    };
    facts.queue = UnmetQueue { slots: 2, paused_at: None, claimed: 2, waiting: 0, ..facts.queue };
    let unmet = first_unmet(&facts, now());
    assert!(matches!(unmet, Some(Unmet::Slot(SlotWait { taken: 2, ahead: 0, .. }))), "{unmet:?}");
    facts.queue.slots = 3;
    assert_eq!(first_unmet(&facts, now()), None);
}

#[test]
fn only_a_dependency_that_is_open_is_waited_for() {
    let mut facts = UnmetFacts { service: Service::Ready, held: false, not_before: None, ..stuck() };
    assert_eq!(first_unmet(&facts, now()), Some(open_dependency()));
    facts.awaiting = awaiting(AwaitedFire::NoJob);
    assert_eq!(first_unmet(&facts, now()), None);
}

#[test]
fn a_start_is_expected_where_all_that_comes_before_is_known() {
    let queue = |holders: &[Holder], slots| UnmetQueue {
        slots,
        running: holders.len(),
        claimed: holders.len(),
        holders: holders.to_vec(),
        mean_run: Some(Span::from_seconds(10)),
        ..stuck().queue
    };
    let expected = |queue: &UnmetQueue, ahead| expected_start(queue, queue.claimed, ahead, now());
    // They end at 1040 and 1030.
    let two = [holder(1, 980), holder(2, 970)];
    for (ahead, seconds) in [(0, 1_030), (1, 1_040), (2, 1_040), (3, 1_050), (4, 1_050)] {
        assert_eq!(expected(&queue(&two, 2), ahead), Some(at(seconds)), "{ahead}");
    }
    // The queue has lost a slot.
    assert_eq!(expected(&queue(&two, 1), 0), Some(at(1_040)));
    let unknown = |unknown| expected(&queue(&[holder(1, 980), unknown], 2), 0);
    assert_eq!(unknown(holder(2, 940)), None, "it takes longer than usual");
    assert_eq!(unknown(Holder { paused: true, ..holder(2, 970) }), None);
    assert_eq!(unknown(Holder { usual: None, ..holder(2, 970) }), None);
    assert_eq!(unknown(Holder { started_at: None, ..holder(2, 970) }), None);
    assert_eq!(expected(&UnmetQueue { claimed: 3, ..queue(&two, 3) }, 0), None, "a holder is not known");
    assert_eq!(expected(&UnmetQueue { mean_run: None, ..queue(&two, 2) }, 1), None);
    assert_eq!(expected(&queue(&two, 2), AHEAD_MAX + 1), None);
}

#[test]
fn a_job_without_a_run_has_one_reason_for_not_firing() {
    let (past, soon, later) = (at(990), at(1_001), at(2_000));
    let nothing = IdleFacts {
        service: Service::Ready,
        done: false,
        paused: false,
        next_at: None,
        listens: false,
        start_at: None,
        rests_until: None,
        awaits_boot: false,
    };
    let fire = IdleFacts { next_at: Some(later), ..nothing };
    let due = IdleFacts { next_at: Some(past), ..nothing };
    let events = IdleFacts { listens: true, ..nothing };
    for (facts, reason) in [
        (IdleFacts { done: true, paused: true, ..fire }, Idle::Done),
        (IdleFacts { paused: true, ..due }, Idle::Paused),
        (IdleFacts { service: Service::NoDaemon, ..due }, Idle::NoDaemon(past)),
        (IdleFacts { service: Service::NoDaemon, ..fire }, Idle::Fire(later)),
        (due, Idle::Due(past)),
        (fire, Idle::Fire(later)),
        (IdleFacts { listens: true, ..fire }, Idle::Fire(later)),
        (events, Idle::Events),
        (IdleFacts { rests_until: Some(soon), next_at: Some(later), ..events }, Idle::Rest(soon)),
        (IdleFacts { rests_until: Some(past), ..events }, Idle::Events),
        (IdleFacts { start_at: Some(later), ..events }, Idle::Start(later)),
        (IdleFacts { start_at: Some(past), ..events }, Idle::Events),
        (IdleFacts { awaits_boot: true, ..nothing }, Idle::Boot),
        (nothing, Idle::Nothing),
    ] {
        assert_eq!(first_idle(&facts, now()), reason, "{facts:?}");
    }
}
