//! Owns: what waits for a slot: a run, or the rest of an array.
//! Never: whether it starts (see `admit`).

use crate::domain::{ArrayId, FireId, JobId, RunId};

/// A thing that waits for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    Run(RunId),
    /// An array with so many indices without a run.
    Array {
        array: ArrayId,
        rest: u32,
    },
}

impl Waiting {
    /// Returns what it is, of this job.
    pub fn fire(self, job: JobId) -> FireId {
        match self {
            Self::Run(run) => FireId::Run(run),
            Self::Array { array, .. } => FireId::Array { job, array },
        }
    }

    /// Returns how many runs it is.
    pub fn count(self) -> u32 {
        match self {
            Self::Run(_) => 1,
            Self::Array { rest, .. } => rest,
        }
    }
}
