//! Owns: what a run requires besides a slot.
//! Never: whether it is met (see `engine`).

use serde::{Deserialize, Serialize};

use super::{ExecutorName, Gate, Needs, Span, Timestamp};

/// What the runs of a job require besides a slot. Its callbacks require nothing.
///
/// It is stored as JSON, and sent to the daemon in a form without names: so each field is always written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Requirement {
    /// The resources that are booked while a run is under way.
    pub needs: Needs,
    /// The gates that are all open when a run starts, each once, in the order in which they were given.
    pub gates: Vec<Gate>,
    /// How long a run waits at a closed gate; `None`: for ever.
    pub gate_timeout: Option<GateTimeout>,
    /// Where it runs; `None`: on this machine.
    pub executor: Option<ExecutorName>,
    /// The only host of the executor on which it may run; `None`: any of them.
    pub host: Option<String>,
}

/// The end of a run's wait at its gates, `--if-timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateTimeout {
    /// Counted from when the run was queued.
    pub after: Span,
    /// It starts then, although a gate is closed; else it is missed.
    pub starts: bool,
}

impl GateTimeout {
    /// Returns when the wait of a run ends that was queued then.
    pub fn of(self, queued_at: Timestamp) -> Timestamp {
        queued_at + self.after
    }
}

impl Requirement {
    /// Returns whether a run starts with a slot alone.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the scripts among its gates.
    pub fn scripts(&self) -> impl Iterator<Item = &[u8]> {
        self.gates.iter().filter_map(|gate| match gate {
            Gate::Command(script) => Some(script.as_slice()),
            _ => None,
        })
    }
}

/// The key of a requirement in a store. Jobs with the same one share it, unless it has a script: that is
/// run with the environment of its job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequirementId(pub i64);

impl RequirementId {
    /// No requirement.
    pub const NONE: Self = Self(0);
}
