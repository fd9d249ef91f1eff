//! Owns: finding the processes of an attempt that a keeper started which is gone.
//! Never: watching or signalling them (see `server`).
//!
//! The processes are nobody's children any more. Three things tell them: the process id in the run log, if
//! its process looks like the attempt's; the attempt's pipe, which nobody else can hold; and `TASKQ_RUN` in
//! an environment of the session of the keeper that is gone.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::lock::KeeperInfo;
use super::procfs::{self, Process};
use super::protocol::{Attempt, SeekOrder};
use super::sys;
use crate::domain::{Span, Timestamp, value_of};

/// How far the start in the run log and that of a process may lie apart: the one is read a moment before the
/// fork, and a clock may have been slewed since.
const START_TOLERANCE: Duration = Duration::from_secs(2);

/// The processes of an attempt.
#[derive(Debug)]
pub(super) struct Found {
    /// Their process group: the process id of the attempt.
    pub group: u32,
    /// Their session.
    pub session: i32,
    /// When the attempt was started.
    pub started_at: Timestamp,
    /// Each is readable once its process has ended; when all are, the attempt is over.
    pub processes: Vec<OwnedFd>,
}

/// A process, and what tells whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trace {
    process: Process,
    /// The attempt that its environment names.
    named: Option<(Vec<u8>, Vec<u8>)>,
    fifos: Vec<(u64, u64)>,
}

/// All processes, looked at once for many attempts.
#[derive(Debug, Default)]
pub(super) struct Survey {
    traces: Vec<Trace>,
    before: Option<KeeperInfo>,
    boot: Option<Timestamp>,
}

impl Survey {
    /// Looks at all processes; `before`: what the last keeper said about itself.
    pub(super) fn take(before: Option<KeeperInfo>, now: Timestamp) -> Self {
        let living = procfs::processes().filter(|process| !process.is_zombie);
        let traces = living.map(|process| {
            let environment = procfs::environment(process.pid);
            let value = |name| value_of(&environment, name).map(<[u8]>::to_vec);
            Trace {
                process,
                named: value("TASKQ_RUN").zip(value("TASKQ_ATTEMPT")),
                fifos: procfs::fifos(process.pid),
            }
        });
        let since_boot = procfs::since_boot().ok();
        Self { traces: traces.collect(), before, boot: since_boot.map(|since| now - micros(since)) }
    }

    /// Finds the processes of an attempt whose pipe has or had this name.
    pub(super) fn find(&self, order: &SeekOrder, pipe: &Path) -> Option<Found> {
        let pipe = pipe.metadata().ok().map(|found| (found.dev(), found.ino()));
        let members = self.members(order, pipe);
        let oldest = members.iter().min_by_key(|process| process.start_ticks)?;
        let (group, session) = (oldest.group, oldest.session);
        let started_at =
            order.started.map(|(_, at)| at).or_else(|| self.start_of(oldest)).unwrap_or_default();
        let watched = members.iter().filter_map(open).collect::<Vec<OwnedFd>>();
        (!watched.is_empty()).then_some(Found { group, session, started_at, processes: watched })
    }

    /// Returns the attempt's leader, or, where that has ended, what is left of its group.
    fn members(&self, order: &SeekOrder, pipe: Option<(u64, u64)>) -> Vec<Process> {
        let session = self.before.filter(|info| info.instance == order.keeper).map(|info| info.session);
        let name = attempt_name(order.attempt);
        let is_of_it = |trace: &&Trace| {
            let process = &trace.process;
            let is_named = trace.named.as_ref() == Some(&name);
            let holds = pipe.is_some_and(|pipe| trace.fifos.contains(&pipe));
            match order.started {
                Some((pid, at)) if process.group == pid => {
                    is_named || holds || process.pid == pid && self.is_start(process, at)
                }
                Some(_) => false,
                None => match session {
                    Some(session) => process.session == session && (is_named || holds),
                    None => holds,
                },
            }
        };
        let found: Vec<Process> = self.traces.iter().filter(is_of_it).map(|trace| trace.process).collect();
        if let Some(leader) = found.iter().find(|process| process.pid == process.group) {
            return vec![*leader];
        }
        // Without a process id in the run log several groups may hold the pipe: the oldest is what the keeper
        // started.
        let group = found.iter().min_by_key(|process| process.start_ticks).map(|process| process.group);
        found.into_iter().filter(|process| Some(process.group) == group).collect()
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

fn attempt_name(attempt: Attempt) -> (Vec<u8>, Vec<u8>) {
    (attempt.run.to_string().into_bytes(), attempt.number.to_string().into_bytes())
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

    const PIPE: (u64, u64) = (1, 99);

    fn attempt() -> Attempt {
        Attempt { run: RunId { job: JobId(12), number: 3 }, number: 1 }
    }

    fn trace(pid: u32, group: u32, session: i32) -> Trace {
        let process = Process { pid, group, session, is_zombie: false, start_ticks: u64::from(pid) * 1_000 };
        Trace { process, named: None, fifos: Vec::new() }
    }

    fn named(trace: Trace) -> Trace {
        Trace { named: Some(attempt_name(attempt())), ..trace }
    }

    fn holding(trace: Trace) -> Trace {
        Trace { fifos: vec![(1, 7), PIPE], ..trace }
    }

    /// Whom a survey finds of an attempt that keeper 7, in session 70, was told to start; `pid`: as in the
    /// run log.
    fn found(pid: Option<u32>, traces: Vec<Trace>) -> Vec<u32> {
        let order = SeekOrder {
            attempt: attempt(),
            keeper: 7,
            has_pipe: true,
            started: pid.map(|pid| (pid, Timestamp::from_seconds(100))),
            queue: "default".to_owned(),
            slots: 1,
            timeout: None,
            kill_after: Span::ZERO,
        };
        let before = Some(KeeperInfo { instance: 7, session: 70 });
        let survey = Survey { traces, before, boot: None };
        survey.members(&order, Some(PIPE)).iter().map(|process| process.pid).collect()
    }

    #[test]
    fn a_process_of_the_run_log_is_found_if_anything_says_that_it_is_still_the_same() {
        assert_eq!(found(Some(5), vec![named(trace(5, 5, 70))]), [5]);
        assert_eq!(found(Some(5), vec![holding(trace(5, 5, 70))]), [5]);
        // The number is another's by now.
        assert_eq!(found(Some(5), vec![trace(5, 5, 70)]), [] as [u32; 0]);
    }

    #[test]
    fn a_process_is_the_same_if_it_was_started_at_the_time_of_the_run_log() {
        let at = |seconds| {
            let mut survey = Survey { boot: Some(Timestamp::from_seconds(0)), ..Survey::default() };
            let hertz = procfs::start_of(&trace(1, 1, 1).process).as_secs_f64();
            let mut process = trace(5, 5, 70);
            process.process.start_ticks = (seconds * 1_000.0 / hertz) as u64;
            survey.traces.push(process.clone());
            survey.is_start(&process.process, Timestamp::from_seconds(100))
        };
        assert_eq!([98.5, 100.0, 101.5, 97.0, 103.0].map(at), [true, true, true, false, false]);
    }

    #[test]
    fn of_a_group_whose_leader_lives_the_leader_is_watched_and_else_whoever_is_left() {
        let (leader, member) = (named(trace(5, 5, 70)), holding(trace(8, 5, 70)));
        assert_eq!(found(Some(5), vec![member.clone(), leader.clone()]), [5]);
        assert_eq!(found(Some(5), vec![member.clone(), named(trace(9, 5, 70))]), [8, 9]);
        // It has left the group: no cancel would reach it either.
        assert_eq!(found(Some(5), vec![holding(trace(8, 8, 70))]), [] as [u32; 0]);
    }

    #[test]
    fn an_attempt_that_is_in_no_run_log_yet_is_found_by_its_pipe_or_by_its_name_in_the_keepers_session() {
        assert_eq!(found(None, vec![holding(trace(5, 5, 70))]), [5]);
        assert_eq!(found(None, vec![named(trace(5, 5, 70))]), [5]);
        // Another store has a run of the same name.
        assert_eq!(found(None, vec![named(trace(5, 5, 71))]), [] as [u32; 0]);
        // What the attempt has put into a session of its own is not what the keeper started.
        assert_eq!(found(None, vec![holding(trace(6, 6, 6)), holding(trace(5, 5, 70))]), [5]);
    }
}
