//! Owns: whether the gates of a requirement let a run start.
//! Never: measuring (see `watch`), running scripts (see `keeper`).

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Gate, GateReading, JobId, Requirement, RequirementId, Timestamp};

/// What is known of gates at an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GateFacts {
    pub readings: BTreeMap<Gate, GateReading>,
    /// The requirements whose scripts have all answered yes just now.
    pub passed: BTreeSet<RequirementId>,
    /// The requirements one of whose scripts has answered no, and is asked again later.
    pub refused: BTreeSet<RequirementId>,
    /// The requirements one of whose scripts runs now.
    pub asked: BTreeSet<RequirementId>,
    /// A run has started through a gate within the last second. So that a measure that follows late lets no
    /// herd through, no other one does.
    pub is_shut: bool,
}

/// Where a run stands before its gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateState {
    Open,
    Closed,
    /// It was not measured yet.
    Unknown,
    /// All but its scripts are open, and these are to be asked.
    Asks,
}

impl GateFacts {
    /// Returns whether runs with a requirement may start.
    pub fn state(&self, id: RequirementId, requirement: &Requirement) -> GateState {
        let mut is_known = true;
        for gate in requirement.gates.iter().filter(|gate| !matches!(gate, Gate::Command(_))) {
            match self.readings.get(gate) {
                None | Some(GateReading::NotYet) => is_known = false,
                Some(reading) if !reading.is_open() => return GateState::Closed,
                Some(_) => {}
            }
        }
        if self.refused.contains(&id) {
            GateState::Closed
        } else if !is_known || self.asked.contains(&id) {
            GateState::Unknown
        } else if requirement.scripts().next().is_some() && !self.passed.contains(&id) {
            GateState::Asks
        } else {
            GateState::Open
        }
    }
}

/// A run that waits at a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtGate {
    pub requirement: RequirementId,
    pub job: JobId,
    /// Its scripts are to be asked.
    pub asks: bool,
    /// When its wait ends, if it does.
    pub until: Option<Timestamp>,
}
