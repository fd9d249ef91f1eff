//! Owns: the model of resources and gates: what is booked, and who may start through a gate.
//! Never: the order of starts (see `starts`).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use taskq::domain::{
    Decimal, Gate, GateMeasure, GateReading, GateTimeout, Needs, NewJob, Outcome, Requirement, ResourceName,
    Share, Span, Timestamp,
};

use crate::arrays::Order;
use crate::audit::Changes;
use crate::keeper::Ledger;
use crate::rng::Rng;
use crate::rows::Row;
use crate::starts::Startable;
use crate::world::{SECOND, World};

/// The load is high for the first part of each period.
const PERIOD: u64 = 120 * SECOND;
const HIGH: u64 = 40 * SECOND;

/// For so long a measure may be used, with the time between a report and its turn.
const MEASURE_AGE_MAX: u64 = 3 * SECOND;

/// What jobs require.
#[derive(Debug, Default)]
pub struct Requirements {
    jobs: BTreeMap<i64, Requirement>,
    /// When a run has started through a gate, and by which daemon.
    passed: Option<(u64, u64)>,
    /// Since when what waits at a gate has had a slot, by its place.
    seen: RefCell<BTreeMap<Order, u64>>,
}

/// Returns the load at an instant, in hundredths.
fn load(mono: u64) -> u64 {
    if mono % PERIOD < HIGH { 150 } else { 30 }
}

/// Measures gates.
pub fn measure(gates: &BTreeSet<Gate>, mono: u64) -> BTreeMap<Gate, GateReading> {
    let reading = |gate: &Gate| {
        let Gate::Load(bound) = gate else { return None };
        let load = Decimal::from_hundredths(load(mono));
        Some((gate.clone(), GateReading::compared(load < *bound, GateMeasure::Load(load))))
    };
    gates.iter().filter_map(reading).collect()
}

/// Returns what a random job requires. `has_gates`: the pace is slow enough for a look each second.
pub fn random(rng: &mut Rng, has_gates: bool) -> Requirement {
    let mut requirement = Requirement::default();
    if rng.chance(250) {
        requirement.needs =
            rng.pick(&["gpu=1", "gpu=1", "gpu=2", "lic=1", "gpu=1,lic=1"]).parse().expect("needs");
    }
    if has_gates && rng.chance(150) {
        let texts =
            *rng.pick(&[&["load<1"][..], &["load<1"], &["load<0.1"], &["cmd:true"], &["load<1", "cmd:true"]]);
        let gate = |text: &&str| Gate::read(text.as_bytes(), Path::new("/")).expect("a gate");
        requirement.gates = texts.iter().map(gate).collect();
        let is_never_open = texts.contains(&"load<0.1");
        if is_never_open || rng.chance(400) {
            let after = Span::from_micros(rng.span(SECOND, 60 * SECOND));
            requirement.gate_timeout = Some(GateTimeout { after, starts: rng.chance(500) });
        }
    }
    requirement
}

fn share_of(row: &Row) -> Option<Share> {
    row.share.as_ref().map(|text| serde_json::from_str(text).expect("a share"))
}

fn booked<'a>(rows: impl Iterator<Item = &'a Row>) -> BTreeMap<ResourceName, u64> {
    let mut booked = BTreeMap::new();
    for share in rows.filter(|row| row.is_open() && row.keeper.is_some()).filter_map(share_of) {
        for (name, portion) in share.iter() {
            *booked.entry(name.clone()).or_default() += portion.amount();
        }
    }
    booked
}

impl Requirements {
    pub fn added(&mut self, id: i64, job: &NewJob) {
        self.jobs.insert(id, job.requirement.clone());
    }

    /// Returns how much of a resource the runs of a job need.
    pub fn needs_of(&self, job: i64, resource: &str) -> u64 {
        self.jobs[&job].needs.of(&resource.parse().expect("a name"))
    }

    /// Returns whether a run that waits must start before another one that is after it in its queue.
    pub fn may_not_be_passed(&self, waiting: &Startable<'_>, other: &Row) -> bool {
        let is_gated = !self.jobs[&waiting.job].gates.is_empty();
        waiting.requirement == 0 || waiting.requirement == other.requirement && !is_gated
    }

    /// Checks what was claimed in a turn.
    pub fn check_claims<'a>(
        &mut self,
        changes: &Changes,
        rows: impl Iterator<Item = &'a Row>,
        ledger: &Ledger,
        now: Timestamp,
    ) {
        let sums = booked(rows);
        for (old, new) in changes {
            let was_claimed = old.as_ref().is_some_and(|old| old.keeper.is_some());
            if new.is_open() && new.keeper.is_some() && !was_claimed && new.requirement != 0 {
                let requirement = &self.jobs[&new.job];
                if let Some(share) = share_of(new) {
                    for (name, portion) in share.iter() {
                        assert_eq!(portion.amount(), requirement.needs.of(name), "{share} of {new:?}");
                        let capacity = ledger.capacity.get(name).copied().unwrap_or(0);
                        assert!(sums[name] <= capacity, "{sums:?} are booked with {new:?}");
                    }
                }
                if !requirement.gates.is_empty() {
                    self.passed = Some(check_passage(requirement, new, ledger, now, self.passed));
                }
            }
        }
    }

    /// Checks that no run has booked what one before it in its queue lacks, and keeps.
    pub fn check_kept<'a>(
        &self,
        changes: &Changes,
        rows: impl Iterator<Item = &'a Row>,
        startable: &[Startable<'_>],
        ledger: &Ledger,
    ) {
        let sums = booked(rows);
        let capacity = |name: &ResourceName| ledger.capacity.get(name).copied().unwrap_or(0);
        for (old, new) in changes {
            let was_claimed = old.as_ref().is_some_and(|old| old.keeper.is_some());
            let Some(share) = share_of(new).filter(|_| new.is_open() && !was_claimed) else { continue };
            let mut firsts: BTreeMap<i64, &Startable<'_>> = BTreeMap::new();
            let before = startable.iter().filter(|waiting| {
                let is_plain = self.jobs[&waiting.job].gates.is_empty();
                waiting.queue == new.queue && waiting.rank < new.rank && waiting.requirement != 0 && is_plain
            });
            for waiting in before {
                let first = firsts.entry(waiting.requirement).or_insert(waiting);
                *first = (*first).min(waiting);
            }
            for waiting in firsts.values() {
                let needs = &self.jobs[&waiting.job].needs;
                if needs.iter().any(|(name, amount)| capacity(name) < amount) {
                    continue;
                }
                let takes_it = share.iter().find(|(name, portion)| {
                    let others = sums[*name] - portion.amount();
                    needs.of(name) > 0 && capacity(name).saturating_sub(others) < needs.of(name)
                });
                assert!(takes_it.is_none(), "{new:?} has {takes_it:?}, which {waiting:?} lacks");
            }
        }
    }

    /// Returns whether a run was missed because its gate was closed, and rightly so.
    pub fn has_rightly_left_gate(&self, row: &Row, now: Timestamp) -> bool {
        let timeout = self.jobs[&row.job].gate_timeout;
        row.outcome == Some(Outcome::Missed)
            && row.has_left_gate()
            && timeout.is_some_and(|timeout| {
                !timeout.starts && timeout.of(Timestamp::from_micros(row.queued_at)) <= now
            })
    }

    /// Checks that nothing waits that could start. `slots`: how many each queue has left.
    pub fn quiet<'a>(
        &self,
        startable: &[Startable<'_>],
        rows: impl Iterator<Item = &'a Row>,
        slots: &BTreeMap<String, usize>,
        (ledger, mono): (&Ledger, u64),
    ) {
        let sums = booked(rows);
        let needing: Vec<(&Startable<'_>, &Needs)> = startable
            .iter()
            .filter(|waiting| self.jobs[&waiting.job].gates.is_empty())
            .map(|waiting| (waiting, &self.jobs[&waiting.job].needs))
            .filter(|(_, needs)| !needs.is_empty())
            .collect();
        let is_free = |waiting: &Startable<'_>| slots.get(waiting.queue).is_some_and(|left| *left > 0);
        // Of the first of each queue, one that waits alone for what it needs has nobody to leave it to.
        for (waiting, needs) in &needing {
            let has_rival = startable.iter().any(|other| {
                let theirs = &self.jobs[&other.job].needs;
                *other != **waiting && needs.iter().any(|(name, _)| theirs.of(name) > 0)
            });
            if has_rival || !is_free(waiting) {
                continue;
            }
            let lacks = needs.iter().any(|(name, amount)| {
                let capacity = ledger.capacity.get(name).copied().unwrap_or(0);
                sums.get(name).copied().unwrap_or(0) + amount > capacity
            });
            assert!(lacks, "{waiting:?} waits for {needs}, and {sums:?} are booked");
        }
        // As long as the gate has been open, a run has started each second.
        let open_for = (mono % PERIOD).saturating_sub(HIGH);
        let gated: Vec<&Startable<'_>> = startable
            .iter()
            .filter(|waiting| {
                let of = &self.jobs[&waiting.job];
                !of.gates.is_empty() && of.needs.is_empty() && of.scripts().next().is_none()
            })
            .collect();
        let at_load = |waiting: &&&Startable<'_>| {
            self.jobs[&waiting.job]
                .gates
                .iter()
                .all(|gate| *gate == Gate::Load(Decimal::from_hundredths(100)))
        };
        let all_gated = startable.iter().filter(|waiting| !self.jobs[&waiting.job].gates.is_empty()).count();
        let mut seen = self.seen.borrow_mut();
        seen.retain(|order, _| gated.iter().any(|waiting| waiting.order == *order && is_free(waiting)));
        for waiting in gated.iter().filter(|waiting| is_free(waiting)) {
            seen.entry(waiting.order).or_insert(mono);
        }
        if let Some(waiting) = gated.iter().find(at_load).filter(|waiting| is_free(waiting)) {
            let queued_for = mono - seen[&waiting.order];
            let patience = (all_gated as u64 + 4) * 3 * SECOND;
            assert!(
                open_for.min(queued_for).min(ledger.quiet_for) < patience,
                "{waiting:?} waits at a gate that has been open for {open_for}"
            );
        }
    }
}

/// Checks a start through gates, and returns it.
fn check_passage(
    requirement: &Requirement,
    new: &Row,
    ledger: &Ledger,
    now: Timestamp,
    passed: Option<(u64, u64)>,
) -> (u64, u64) {
    let mono = ledger.mono;
    let timeout = requirement.gate_timeout.filter(|timeout| timeout.starts);
    let is_over = timeout.is_some_and(|timeout| timeout.of(Timestamp::from_micros(new.queued_at)) <= now);
    let is_open = |gate: &Gate| match gate {
        Gate::Load(bound) => [mono, mono.saturating_sub(MEASURE_AGE_MAX)]
            .into_iter()
            .any(|at| Decimal::from_hundredths(load(at)) < *bound),
        _ => {
            let yes = ledger.yes.get(&new.requirement);
            yes.is_some_and(|yes| mono <= yes + MEASURE_AGE_MAX)
        }
    };
    assert!(is_over || requirement.gates.iter().all(is_open), "it has passed a closed gate: {new:?}");
    if let Some((at, daemon)) = passed {
        assert!(
            daemon != ledger.daemon || at + SECOND <= mono,
            "two runs pass a gate in one second: {new:?}"
        );
    }
    (mono, ledger.daemon)
}

impl World {
    /// `taskq resource set NAME=N`
    pub fn set_resource(&mut self, name: &str, capacity: u64) {
        let name: ResourceName = name.parse().expect("a name");
        self.command(&format!("there is {name}={capacity}"), |writer, _| {
            writer.set_resource(&name, capacity).map(|_| ())
        });
        let most = self.ledger.capacities.entry(name.clone()).or_default();
        *most = (*most).max(capacity);
        self.ledger.capacity.insert(name, capacity);
        self.wrote([]);
    }
}
