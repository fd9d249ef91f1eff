//! Owns: what hosts of executors report, and what a turn has for them.
//! Never: what is said to them (see `executing`).

use std::collections::{BTreeMap, BTreeSet};

use super::Turn;
use crate::domain::{Executor, ExecutorName, FarPlace, RunId, Timestamp};
use crate::keeper::protocol::{Attempt, Ended};
use crate::store::{Applied, Start, StoreResult};

/// What is new of a host of an executor, or of a run there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FarReport {
    /// A run has a process there. `pid`: 0 if nobody knows it.
    Started { run: RunId, attempt: u32, pid: u32, at: Timestamp },
    /// What is said there of a run that waits.
    Note { run: RunId, attempt: u32, note: String },
    /// An attempt is over, or goes back to its queue.
    Ended {
        ended: Ended,
        /// The host has data of it.
        is_there: bool,
    },
    /// The host has removed what it had of an attempt.
    Forgotten { run: RunId, attempt: u32 },
    /// The host does not answer, and why; `None`: it answers again.
    Reach { place: FarPlace, cause: Option<String> },
}

/// A run that a host is to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FarOrder {
    pub place: FarPlace,
    pub start: Start,
}

/// What a turn has for hosts of executors.
#[derive(Debug, Default)]
pub struct FarTurn {
    /// The executors, as they are set.
    pub executors: BTreeMap<ExecutorName, Executor>,
    pub orders: Vec<FarOrder>,
    /// Attempts whose end is recorded.
    pub recorded: Vec<Attempt>,
    /// Hosts that do not answer, and on which a waiting run could start.
    pub sought: BTreeSet<FarPlace>,
}

impl Turn<'_> {
    pub(super) fn ingest_far(&mut self, report: &FarReport) -> StoreResult<()> {
        match report {
            FarReport::Started { run, attempt, pid, at } => {
                self.writer.record_start(*run, *attempt, *pid, *at)
            }
            FarReport::Note { run, attempt, note } => self.writer.note_far(*run, *attempt, Some(note)),
            FarReport::Ended { ended, is_there } => {
                if let Some(run) = ended.attempt.run() {
                    if *is_there {
                        self.writer.keep_leftover(run, ended.attempt.number)?;
                    }
                    self.record_run(run, ended, None)?;
                }
                self.output.far.recorded.push(ended.attempt);
                Ok(())
            }
            FarReport::Forgotten { run, attempt } => self.writer.forget_leftover(*run, *attempt),
            FarReport::Reach { place, cause } => {
                if self.writer.set_reachable(place, cause.as_deref(), self.input.now)? {
                    self.notice(match cause {
                        Some(cause) => format!("host `{place}` does not answer: {cause}"),
                        None => format!("host `{place}` answers again"),
                    });
                }
                Ok(())
            }
        }
    }

    /// Gives the runs that were claimed for hosts to those who ask them.
    pub(super) fn give_far_orders(&mut self, applied: &Applied) -> StoreResult<()> {
        for (run, place) in &applied.far {
            let start = self.writer.start(*run)?;
            self.output.far.orders.push(FarOrder { place: place.clone(), start });
        }
        Ok(())
    }
}
