//! Owns: what the first run of a requirement may do at its gates.
//! Never: whether a gate is open (see `gates`).

use crate::domain::{Requirement, Timestamp};
use crate::engine::gates::{AtGate, GateFacts, GateState};
use crate::engine::snapshot::Candidate;

/// What a run may do at its gates.
pub(super) enum Passage {
    /// It has waited for too long, and is missed.
    Left,
    Waits(AtGate),
    /// It starts, or its scripts are to be asked before that.
    Passes {
        wait: AtGate,
        asks: bool,
    },
}

impl GateFacts {
    /// Decides whether the first run of a requirement with gates may start.
    pub(super) fn passage(&self, now: Timestamp, candidate: &Candidate, gated: &Requirement) -> Passage {
        let id = candidate.requirement;
        let state = self.state(id, gated);
        // A run that is tried again waits on.
        let timeout = gated.gate_timeout.filter(|_| !candidate.begun);
        let until = timeout.map(|timeout| (timeout.of(candidate.queued_at), timeout.starts));
        let is_over = until.is_some_and(|(until, _)| until <= now) && state == GateState::Closed;
        if is_over && until.is_some_and(|(_, starts)| !starts) {
            return Passage::Left;
        }
        let until = until.map(|(until, _)| until);
        let wait = AtGate { requirement: id, job: candidate.job, asks: false, until };
        if !is_over && matches!(state, GateState::Closed | GateState::Unknown) {
            return Passage::Waits(wait);
        }
        Passage::Passes { wait, asks: state == GateState::Asks && !is_over }
    }
}
