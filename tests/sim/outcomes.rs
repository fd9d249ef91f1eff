//! Owns: which ends of an attempt each outcome of a run may stand for.
//! Never: whether a run may end now (see `audit`).

use taskq::domain::{End, Outcome, StopCause, Timestamp};

use crate::keeper::Ledger;
use crate::rows::Row;

/// Holds the outcome of a run against the ends that keepers have seen.
pub fn judge_outcome(row: &Row, outcome: Outcome, ledger: &Ledger) {
    let started = ledger.starts.get(&row.attempt());
    let ends = ledger.ends.get(&row.attempt()).map(Vec::as_slice).unwrap_or_default();
    match outcome {
        Outcome::Missed | Outcome::Skipped => assert!(started.is_none() && row.keeper.is_none(), "{row:?}"),
        Outcome::Lost => {
            let keeper = row.keeper.expect("only what was claimed is lost");
            let starter = started.copied();
            assert!(starter.is_some() || ledger.down.contains(&keeper), "lost, and it never began: {row:?}");
            assert!(ledger.dead.contains(&starter.unwrap_or(keeper)), "lost while its keeper lives: {row:?}");
            assert!(!ledger.orphans.contains_key(&row.attempt()), "lost while its process lives: {row:?}");
        }
        Outcome::Cancelled if row.started_at.is_none() => {
            assert!(started.is_none(), "it was started: {row:?}");
        }
        Outcome::SpawnFailed => {
            let Some(End::SpawnFailed { status, .. }) = ends.last().map(|ended| &ended.end) else {
                panic!("an invented failure: {row:?}")
            };
            assert_eq!(row.exit_code, Some(*status));
        }
        Outcome::Success | Outcome::Failed | Outcome::TimedOut | Outcome::Cancelled => {
            let ended = ends.last().unwrap_or_else(|| panic!("an invented end: {row:?}"));
            let (natural, exit_code, signal) = match ended.end {
                End::Exited(0) => (Outcome::Success, Some(0), None),
                End::Exited(status) => (Outcome::Failed, Some(status), None),
                End::Signaled(signal) => (Outcome::Failed, None, Some(signal)),
                End::OutOfMemory => (Outcome::Failed, None, Some(9)),
                End::Lost | End::LostThere(_) => (Outcome::Lost, None, None),
                End::SpawnFailed { .. } | End::NotStarted => panic!("it had no process: {row:?}"),
            };
            let expected = match ended.stopped {
                None => natural,
                Some(StopCause::TimedOut) => Outcome::TimedOut,
                Some(StopCause::Cancelled) => Outcome::Cancelled,
            };
            assert_eq!((outcome, row.exit_code, row.signal), (expected, exit_code, signal), "{row:?}");
            let at = |at: Timestamp| Some(at.as_micros());
            let keeper = if row.is_unattended { row.keeper } else { started.copied() };
            let truth = (keeper, Some(ended.pid), ended.started_at.and_then(at), at(ended.finished_at));
            assert_eq!((row.keeper, row.pid, row.started_at, row.finished_at), truth, "{row:?}");
        }
    }
}
