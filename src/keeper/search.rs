//! Owns: finding the processes of an attempt whose keeper is gone.
//! Never: watching or signalling them (see `server`).
//!
//! The keeper is not their parent. Three facts identify them: the process id in the run log, if that process
//! was started at the recorded time; the attempt's pipe, which no other process can hold; and the marks in
//! their environment, which name the attempt and the microsecond of its fire.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::procfs::{self, Process};
use super::protocol::SeekOrder;
use super::sys;
use crate::domain::{Span, Timestamp};

/// How far the start in the run log and that of a process may lie apart: the first is read a moment before
/// the process is made, and a clock may have been slewed since.
const START_TOLERANCE: Duration = Duration::from_secs(2);

/// The processes of an attempt.
#[derive(Debug)]
pub(super) struct Found {
    /// Their process group: the process id of the attempt.
    pub group: u32,
    /// When the attempt was started.
    pub started_at: Timestamp,
    /// Each is readable once its process has ended; when all are, the attempt is over.
    pub processes: Vec<OwnedFd>,
}

/// A process, and what identifies its attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trace {
    process: Process,
    environment: Vec<Vec<u8>>,
    fifos: Vec<(u64, u64)>,
}

/// All processes, looked at once for many attempts.
#[derive(Debug, Default)]
pub(super) struct Survey {
    traces: Vec<Trace>,
    boot: Option<Timestamp>,
}

impl Survey {
    /// Looks at all processes.
    pub(super) fn take(now: Timestamp) -> Self {
        let living = procfs::processes().filter(|process| !process.is_zombie);
        let traces = living.map(|process| Trace {
            process,
            environment: procfs::environment(process.pid),
            fifos: procfs::fifos(process.pid),
        });
        let since_boot = procfs::since_boot().ok();
        Self { traces: traces.collect(), boot: since_boot.map(|since| now - micros(since)) }
    }

    /// Finds the processes of an attempt whose pipe has or had this name.
    pub(super) fn find(&self, order: &SeekOrder, pipe: &Path) -> Option<Found> {
        let pipe = pipe.metadata().ok().map(|found| (found.dev(), found.ino()));
        let members = self.members(order, pipe);
        let oldest = members.iter().min_by_key(|process| process.start_ticks)?;
        let recorded = order.started.map(|(_, at)| at);
        let started_at = recorded.or_else(|| self.start_of(oldest)).unwrap_or_default();
        let processes = members.iter().filter_map(open).collect::<Vec<OwnedFd>>();
        (!processes.is_empty()).then_some(Found { group: oldest.group, started_at, processes })
    }

    /// Returns the attempt's leader, or, if that has ended, the rest of its group.
    fn members(&self, order: &SeekOrder, pipe: Option<(u64, u64)>) -> Vec<Process> {
        let is_of_attempt = |trace: &&Trace| {
            let process = &trace.process;
            let is_marked =
                || !order.marks.is_empty() && order.marks.iter().all(|mark| trace.environment.contains(mark));
            let is_identified = pipe.is_some_and(|pipe| trace.fifos.contains(&pipe)) || is_marked();
            match order.started {
                Some((pid, at)) if process.group == pid => {
                    is_identified || process.pid == pid && self.is_start(process, at)
                }
                Some(_) => false,
                None => is_identified,
            }
        };
        let found: Vec<Process> =
            self.traces.iter().filter(is_of_attempt).map(|trace| trace.process).collect();
        // Without a process id in the run log several groups may be the attempt's: the oldest is the one
        // that the keeper started.
        let Some(oldest) = found.iter().min_by_key(|process| process.start_ticks) else { return found };
        let group = oldest.group;
        match found.iter().find(|process| process.pid == group) {
            Some(leader) => vec![*leader],
            None => found.into_iter().filter(|process| process.group == group).collect(),
        }
    }

    fn is_start(&self, process: &Process, at: Timestamp) -> bool {
        self.start_of(process).is_some_and(|start| {
            let (earlier, later) = (start.min(at), start.max(at));
            later.since(earlier) <= micros(START_TOLERANCE)
        })
    }

    fn start_of(&self, process: &Process) -> Option<Timestamp> {
        Some(self.boot? + micros(procfs::start_of(process)))
    }
}

fn micros(duration: Duration) -> Span {
    Span::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

/// Opens a process, unless it has ended since and its number is another's now.
fn open(process: &Process) -> Option<OwnedFd> {
    let opened = sys::open_process(process.pid).ok()?;
    let now = procfs::process(process.pid)?;
    (now.start_ticks == process.start_ticks && !now.is_zombie).then_some(opened)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{JobId, RunId};
    use crate::keeper::protocol::Attempt;

    const PIPE: (u64, u64) = (1, 99);

    fn marks() -> Vec<Vec<u8>> {
        vec![b"TASKQ_RUN=12.3".to_vec(), b"TASKQ_SCHEDULED_AT=2026-03-02T02:15:00.000001Z".to_vec()]
    }

    fn trace(pid: u32, group: u32) -> Trace {
        let process =
            Process { pid, group, session: group, is_zombie: false, start_ticks: u64::from(pid) * 1_000 };
        Trace { process, environment: vec![b"PATH=/bin".to_vec()], fifos: Vec::new() }
    }

    fn marked(trace: Trace) -> Trace {
        Trace { environment: [trace.environment, marks()].concat(), ..trace }
    }

    fn holding(trace: Trace) -> Trace {
        Trace { fifos: vec![(1, 7), PIPE], ..trace }
    }

    /// The processes that a survey finds of an attempt; `pid`: as in the run log.
    fn found(pid: Option<u32>, traces: Vec<Trace>) -> Vec<u32> {
        let order = SeekOrder {
            attempt: Attempt::of_run(RunId { job: JobId(12), number: 3 }, 1),
            marks: marks(),
            started: pid.map(|pid| (pid, Timestamp::from_seconds(100))),
            queue: "default".to_owned(),
            slots: 1,
            timeout: None,
            kill_after: Span::ZERO,
        };
        let survey = Survey { traces, boot: None };
        survey.members(&order, Some(PIPE)).iter().map(|process| process.pid).collect()
    }

    #[test]
    fn a_process_of_the_run_log_is_found_if_anything_says_that_it_is_still_the_same() {
        assert_eq!(found(Some(5), vec![marked(trace(5, 5))]), [5]);
        assert_eq!(found(Some(5), vec![holding(trace(5, 5))]), [5]);
        // The number is another's by now.
        assert_eq!(found(Some(5), vec![trace(5, 5)]), [] as [u32; 0]);
    }

    #[test]
    fn a_process_is_the_same_if_it_was_started_at_the_time_of_the_run_log() {
        let at = |seconds| {
            let mut survey = Survey { boot: Some(Timestamp::from_seconds(0)), ..Survey::default() };
            let hertz = procfs::start_of(&trace(1, 1).process).as_secs_f64();
            let mut process = trace(5, 5);
            process.process.start_ticks = (seconds * 1_000.0 / hertz) as u64;
            survey.traces.push(process.clone());
            survey.is_start(&process.process, Timestamp::from_seconds(100))
        };
        assert_eq!([98.5, 100.0, 101.5, 97.0, 103.0].map(at), [true, true, true, false, false]);
    }

    #[test]
    fn of_a_group_whose_leader_lives_the_leader_is_watched_and_else_all_that_are_left() {
        let (leader, member) = (marked(trace(5, 5)), holding(trace(8, 5)));
        assert_eq!(found(Some(5), vec![member.clone(), leader.clone()]), [5]);
        assert_eq!(found(Some(5), vec![member.clone(), marked(trace(9, 5))]), [8, 9]);
        // It has left the group: no cancel would reach it either.
        assert_eq!(found(Some(5), vec![holding(trace(8, 8))]), [] as [u32; 0]);
    }

    #[test]
    fn an_attempt_that_is_not_in_the_run_log_yet_is_found_by_its_pipe_or_its_marks() {
        assert_eq!(found(None, vec![holding(trace(5, 5))]), [5]);
        assert_eq!(found(None, vec![marked(trace(5, 5))]), [5]);
        // Another store has a run of the same name, made at another time.
        let mut other = marked(trace(5, 5));
        other.environment.pop();
        assert_eq!(found(None, vec![other]), [] as [u32; 0]);
        // A process that the attempt has put into a session of its own is not the one that the keeper
        // started.
        assert_eq!(found(None, vec![holding(trace(6, 6)), holding(trace(5, 5))]), [5]);
    }
}
