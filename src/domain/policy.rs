//! Owns: the policies of a job for late, overlapping and endless runs.
//! Never: applying them (see `engine`).

use serde::{Deserialize, Serialize};

use super::Span;
use super::run::words;

/// The policy for a fire while another run of its job is unfinished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// The fire is recorded as `skipped`.
    Skip,
    /// One run waits for the unfinished one; further fires are recorded as `skipped`.
    Wait,
    /// Both run.
    Allow,
    /// The unfinished run is cancelled, and the new one starts after its end.
    Replace,
}

impl Overlap {
    /// Returns how many runs of a job may be claimed at once; `None`: any number.
    pub fn at_once(self) -> Option<u32> {
        match self {
            Self::Skip | Self::Wait | Self::Replace => Some(1),
            Self::Allow => None,
        }
    }
}

/// The late fires that still run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MissedMode {
    /// The latest one.
    Once,
    /// Each of the latest `Missed::RUNS_MAX`.
    All,
    Skip,
}

/// The misfire policy, `--missed` and `--grace`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Missed {
    pub mode: MissedMode,
    /// Fires later than this do not run; `None`: no limit.
    pub within: Option<Span>,
    /// A fire that is at most this late is on time.
    pub grace: Span,
}

impl Missed {
    /// How many late fires `MissedMode::All` runs at most: some days of hourly fires, but not a flood.
    pub const RUNS_MAX: usize = 100;
}

impl Default for Missed {
    fn default() -> Self {
        Self { mode: MissedMode::Once, within: None, grace: Span::from_seconds(60) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// `None`: the default of the kind of trigger.
    pub overlap: Option<Overlap>,
    pub missed: Missed,
    /// TERM is sent to the process group after this long; `None`: never.
    pub timeout: Option<Span>,
    /// KILL is sent this long after the TERM of a timeout or a cancel.
    pub kill_after: Span,
    /// A run that is still queued this long after it was queued is `missed`; `None`: it waits on.
    pub start_by: Option<Span>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            overlap: None,
            missed: Missed::default(),
            timeout: None,
            kill_after: Span::from_seconds(10),
            start_by: None,
        }
    }
}

impl Policy {
    /// Returns the policy for a fire of a timestamp trigger.
    pub fn overlap_of_instants(&self) -> Overlap {
        self.overlap.unwrap_or(Overlap::Skip)
    }

    /// Returns the policy for a fire of an event trigger.
    pub fn overlap_of_events(&self) -> Overlap {
        self.overlap.unwrap_or(Overlap::Wait)
    }

    /// Returns how many runs of the job may be claimed at once; `None`: any number.
    pub fn at_once(&self) -> Option<u32> {
        self.overlap_of_instants().at_once()
    }
}

words!(Overlap { Skip = "skip", Wait = "wait", Allow = "allow", Replace = "replace" });
words!(MissedMode { Once = "once", All = "all", Skip = "skip" });
