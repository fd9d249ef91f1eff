//! Owns: what a job wants done about late, overlapping and endless runs.
//! Never: doing it (see `engine`).

use serde::{Deserialize, Serialize};

use super::Span;
use super::run::words;

/// What becomes of a fire while a run of the same job is unfinished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// The fire is recorded as `skipped`.
    Skip,
    /// One run waits for the unfinished one; further fires are recorded as `skipped`.
    Wait,
    /// Both run.
    Allow,
    /// The unfinished run is cancelled, and the new one starts when it is gone.
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

/// Returns the place of a run in its queue, which starts the lowest first.
pub fn rank(priority: i32) -> i64 {
    -i64::from(priority)
}

/// What becomes of fires that are found later than the grace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MissedMode {
    /// One run, for the latest of them.
    Once,
    /// A run for each, for the latest `Missed::RUNS_MAX` of them.
    All,
    /// None.
    Skip,
}

/// The misfire policy, `--missed` and `--grace`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Missed {
    /// Which of the late fires still run.
    pub mode: MissedMode,
    /// Only fires at most this late; `None`: however late.
    pub within: Option<Span>,
    /// A fire found at most this late is on time.
    pub grace: Span,
}

impl Missed {
    /// How many late fires `MissedMode::All` makes up for at once: a week of hourly fires, less than a flood.
    pub const RUNS_MAX: usize = 100;
}

impl Default for Missed {
    fn default() -> Self {
        Self { mode: MissedMode::Once, within: None, grace: Span::from_seconds(60) }
    }
}

/// The policies that decide about a job's fires and runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// A fire while a run is unfinished.
    pub overlap: Overlap,
    /// A fire found too late.
    pub missed: Missed,
    /// TERM to the whole process group after this long; `None`: never.
    pub timeout: Option<Span>,
    /// KILL this long after the TERM of a timeout or a cancel.
    pub kill_after: Span,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            overlap: Overlap::Skip,
            missed: Missed::default(),
            timeout: None,
            kill_after: Span::from_seconds(10),
        }
    }
}

words!(Overlap { Skip = "skip", Wait = "wait", Allow = "allow", Replace = "replace" });
words!(MissedMode { Once = "once", All = "all", Skip = "skip" });
