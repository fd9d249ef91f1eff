//! Owns: finding the processes of an attempt, wherever they have gone.
//! Never: watching or signalling them (see `server` and `reach`).
//!
//! The children of a member are members, and so are all in the attempt's control group, if it has one. Any
//! other process whose parents have ended is known by the attempt's session or process group, by the
//! attempt's pipe, which no other process can hold, or by the marks in its environment, which name the
//! attempt and the microsecond of its fire. Processes of this keeper's own attempts never leave its tree,
//! because it is their subreaper. So nothing outside is looked at for them.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::iter::successors;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use super::procfs::{self, Process};
use super::protocol::SeekOrder;
use super::roster::Running;
use super::sys;
use crate::domain::{Span, Timestamp};

/// How far the start in the run log and that of a process may lie apart: the first is read a moment before
/// the process is made, and a clock may have been slewed since.
const START_TOLERANCE: Duration = Duration::from_secs(2);

/// The variables of a start that together name one attempt of one store.
const MARKS: [&[u8]; 3] = [b"TASKQ_RUN=", b"TASKQ_ATTEMPT=", b"TASKQ_SCHEDULED_AT="];

/// Returns the marks in the environment of a start; none if it lacks one.
pub(super) fn marks(env: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let marks: Vec<Vec<u8>> =
        env.iter().filter(|variable| MARKS.iter().any(|name| variable.starts_with(name))).cloned().collect();
    if marks.len() == MARKS.len() { marks } else { Vec::new() }
}

/// An attempt of another keeper that has processes.
#[derive(Debug)]
pub(super) struct Found {
    /// The process id of the attempt.
    pub pid: u32,
    /// When the attempt was started.
    pub started_at: Timestamp,
    /// Its first process is among those below.
    pub has_leader: bool,
    /// The first process, or, if that has ended, all others. Each is readable once its process has ended.
    pub processes: Vec<OwnedFd>,
}

/// The device and inode numbers of the pipes of an attempt that have a name.
type PipeNumbers = [Option<(u64, u64)>; 2];

/// The attempt that is looked for.
struct Sought<'a> {
    /// Its process, also its group and session.
    pid: u32,
    /// When that was started, if it is to be compared.
    started_at: Option<Timestamp>,
    marks: &'a [Vec<u8>],
    pipes: PipeNumbers,
    /// The processes in its control group.
    cgroup: &'a BTreeSet<u32>,
}

impl Sought<'_> {
    fn identifies(&self, trace: &Trace) -> bool {
        self.cgroup.contains(&trace.process.pid) || trace.is_identified(self.marks, self.pipes)
    }
}

/// A process, and what identifies its attempt, read when it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trace {
    process: Process,
    environment: OnceCell<Vec<Vec<u8>>>,
    fifos: OnceCell<Vec<(u64, u64)>>,
}

impl Trace {
    fn of(process: Process) -> Self {
        Self { process, environment: OnceCell::new(), fifos: OnceCell::new() }
    }

    fn is_identified(&self, marks: &[Vec<u8>], pipes: PipeNumbers) -> bool {
        let fifos = || self.fifos.get_or_init(|| procfs::fifos(self.process.pid));
        let environment = || self.environment.get_or_init(|| procfs::environment(self.process.pid));
        !marks.is_empty() && marks.iter().all(|mark| environment().contains(mark))
            || pipes.iter().flatten().any(|pipe| fifos().contains(pipe))
    }
}

/// One look at all processes, for many attempts.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// The keeper that looks.
    keeper: u32,
    /// Also those that have ended and were not reaped: a child that was looked at before is still theirs.
    traces: Vec<Trace>,
    /// Their children, by parent.
    children: HashMap<u32, Vec<u32>>,
    /// The processes below the keeper.
    own: BTreeSet<u32>,
    boot: Option<Timestamp>,
}

impl Survey {
    /// Looks at all processes.
    pub(super) fn take(now: Timestamp) -> Self {
        let boot = procfs::since_boot().ok().map(|since| now - micros(since));
        let processes: Vec<Process> = procfs::processes().collect();
        let pids: BTreeSet<u32> = processes.iter().map(|process| process.pid).collect();
        // A parent that ended before it was looked at has left its children to another one since.
        let again = |process: Process| match process.parent == 0 || pids.contains(&process.parent) {
            true => Some(process),
            false => procfs::process(process.pid),
        };
        let processes = processes.into_iter().filter_map(again);
        Self::of(std::process::id(), processes.map(Trace::of).collect(), boot)
    }

    fn of(keeper: u32, traces: Vec<Trace>, boot: Option<Timestamp>) -> Self {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for Trace { process, .. } in &traces {
            children.entry(process.parent).or_default().push(process.pid);
        }
        let mut survey = Self { keeper, traces, children, own: BTreeSet::new(), boot };
        survey.own = survey.tree(BTreeSet::from([keeper]));
        survey
    }

    /// Returns these processes and all below them.
    fn tree(&self, roots: BTreeSet<u32>) -> BTreeSet<u32> {
        let (mut tree, mut next): (BTreeSet<u32>, Vec<u32>) = (roots.clone(), roots.into_iter().collect());
        while let Some(pid) = next.pop() {
            let children = self.children.get(&pid).into_iter().flatten().copied();
            next.extend(children.filter(|child| tree.insert(*child)));
        }
        tree
    }

    /// Returns all processes of a run. `is_leader`: whether a process is the first of another run of this
    /// keeper.
    pub(super) fn members(
        &self,
        run: &Running,
        pipes: &[PathBuf; 2],
        cgroup: &BTreeSet<u32>,
        is_leader: impl Fn(u32) -> bool,
    ) -> Vec<Process> {
        let sought = Sought {
            pid: run.pid,
            started_at: run.is_unattended.then_some(run.started_at),
            marks: &run.marks,
            pipes: numbers(pipes),
            cgroup,
        };
        match run.is_unattended {
            true => self.members_elsewhere(&sought),
            false => self.own_members(&sought, is_leader),
        }
    }

    /// Returns the processes of an attempt that this keeper has started.
    fn own_members(&self, sought: &Sought<'_>, is_leader: impl Fn(u32) -> bool) -> Vec<Process> {
        // Another run may have the number by now, if only processes in other sessions are left of this one.
        let owns_number = !is_leader(sought.pid);
        let is_root = |trace: &&Trace| {
            let Process { pid, parent, group, session, .. } = trace.process;
            let is_below = self.own.contains(&pid) && pid != self.keeper;
            sought.cgroup.contains(&pid)
                || is_below && (group == sought.pid || session == sought.pid) && owns_number
                || is_below && parent == self.keeper && !is_leader(pid) && sought.identifies(trace)
        };
        self.with_children(self.traces.iter().filter(is_root))
    }

    /// Returns the processes of an attempt that another keeper has started.
    fn members_elsewhere(&self, sought: &Sought<'_>) -> Vec<Process> {
        let others = || self.traces.iter().filter(|trace| !self.own.contains(&trace.process.pid));
        let is_identified = |trace: &&Trace| {
            sought.identifies(trace)
                || trace.process.pid == sought.pid
                    && sought.started_at.is_some_and(|at| self.is_start(&trace.process, at))
        };
        let identified: Vec<&Trace> = others().filter(is_identified).collect();
        // The number of a group or session is its own as long as one member is known to be the attempt's.
        let is_numbered = |process: &Process| process.group == sought.pid || process.session == sought.pid;
        let owns_number = identified.iter().any(|trace| is_numbered(&trace.process));
        let numbered = others().filter(|trace| owns_number && is_numbered(&trace.process));
        self.with_children(identified.into_iter().chain(numbered))
    }

    /// Returns these processes and all below them, without the keeper and the processes that it is below.
    fn with_children<'a>(&self, roots: impl Iterator<Item = &'a Trace>) -> Vec<Process> {
        let tree = self.tree(roots.map(|trace| trace.process.pid).collect());
        let processes = self.traces.iter().map(|trace| trace.process);
        let is_member = |process: &Process| !process.is_zombie && tree.contains(&process.pid);
        let mut members: Vec<Process> = processes.filter(is_member).collect();
        let parent_of = |pid: u32| {
            self.traces.iter().find(|trace| trace.process.pid == pid).map(|trace| trace.process.parent)
        };
        let above: Vec<u32> = successors(Some(self.keeper), |pid| parent_of(*pid)).collect();
        members.retain(|member| !above.contains(&member.pid));
        members
    }

    /// Finds the processes of an attempt whose pipes have or had these names.
    pub(super) fn find(
        &self,
        order: &SeekOrder,
        pipes: &[PathBuf; 2],
        cgroup: &BTreeSet<u32>,
    ) -> Option<Found> {
        let (pid, watched) = self.watched(order, numbers(pipes), cgroup)?;
        let oldest = watched.iter().min_by_key(|process| process.start_ticks)?;
        let recorded = order.started.map(|(_, at)| at);
        let started_at = recorded.or_else(|| self.start_of(oldest)).unwrap_or_default();
        let processes: Vec<OwnedFd> = watched.iter().filter_map(open).collect();
        let has_leader = watched.iter().any(|process| process.pid == pid);
        (!processes.is_empty()).then_some(Found { pid, started_at, has_leader, processes })
    }

    /// Returns the process id of an attempt, and its leader, or, if that has ended, all the rest.
    fn watched(
        &self,
        order: &SeekOrder,
        pipes: PipeNumbers,
        cgroup: &BTreeSet<u32>,
    ) -> Option<(u32, Vec<Process>)> {
        let sought = Sought { pid: 0, started_at: None, marks: &order.marks, pipes, cgroup };
        // Without a process id in the run log several groups may be the attempt's: the oldest is the one
        // that the keeper started.
        let oldest_group = || {
            let others = self.traces.iter().filter(|trace| !self.own.contains(&trace.process.pid));
            let identified = others.filter(|trace| sought.identifies(trace));
            identified.map(|trace| trace.process).min_by_key(|process| process.start_ticks)
        };
        let (pid, started_at) = match order.started {
            Some((pid, at)) => (pid, Some(at)),
            None => (oldest_group()?.group, None),
        };
        let members = self.members_elsewhere(&Sought { pid, started_at, ..sought });
        Some(match members.iter().find(|process| process.pid == pid) {
            Some(leader) => (pid, vec![*leader]),
            None => (pid, members),
        })
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

/// Returns the device and inode numbers of these pipes.
fn numbers(pipes: &[PathBuf; 2]) -> PipeNumbers {
    pipes.each_ref().map(|pipe| pipe.metadata().ok().map(|found| (found.dev(), found.ino())))
}

fn micros(duration: Duration) -> Span {
    Span::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

/// Opens a process, unless it has ended since and its number is another's now.
pub(super) fn open(process: &Process) -> Option<OwnedFd> {
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
    const STDERR_PIPE: (u64, u64) = (1, 100);
    const KEEPER: u32 = 2;

    fn env() -> Vec<Vec<u8>> {
        let own = ["TASKQ_JOB=12", "TASKQ_RUN=12.3", "TASKQ_ATTEMPT=1"];
        let at = "TASKQ_SCHEDULED_AT=2026-03-02T02:15:00.000001Z";
        own.into_iter().chain([at]).map(|variable| variable.as_bytes().to_vec()).collect()
    }

    /// A process of this number, parent and group, in a session of its group's number.
    fn trace(pid: u32, parent: u32, group: u32) -> Trace {
        let start_ticks = u64::from(pid) * 1_000;
        let trace = Trace::of(Process {
            pid,
            parent,
            group,
            session: group,
            is_zombie: false,
            start_ticks,
            cpu_ticks: 0,
            rss_pages: 0,
        });
        trace.environment.set(vec![b"PATH=/bin".to_vec()]).expect("new");
        trace.fifos.set(Vec::new()).expect("new");
        trace
    }

    fn marked(trace: Trace) -> Trace {
        let environment = OnceCell::from([vec![b"PATH=/bin".to_vec()], env()].concat());
        Trace { environment, ..trace }
    }

    fn holding(trace: Trace) -> Trace {
        Trace { fifos: OnceCell::from(vec![(1, 7), PIPE]), ..trace }
    }

    /// A survey that finds a keeper and these processes.
    fn survey(traces: Vec<Trace>) -> Survey {
        let keeper = holding(trace(KEEPER, 1, KEEPER));
        Survey::of(KEEPER, [vec![trace(1, 0, 1), keeper], traces].concat(), None)
    }

    fn pids(processes: &[Process]) -> Vec<u32> {
        processes.iter().map(|process| process.pid).collect()
    }

    /// The processes that a survey watches of an attempt of another keeper; `pid`: as in the run log.
    fn watched(pid: Option<u32>, traces: Vec<Trace>) -> Vec<u32> {
        let order = SeekOrder {
            attempt: Attempt::of_run(RunId { job: JobId(12), number: 3 }, 1),
            marks: env(),
            started: pid.map(|pid| (pid, Timestamp::from_seconds(100))),
            queue: "default".to_owned(),
            slots: 1,
            timeout: None,
            kill_after: Span::ZERO,
        };
        survey(traces)
            .watched(&order, [Some(PIPE), Some(STDERR_PIPE)], &BTreeSet::new())
            .map(|(_, found)| pids(&found))
            .unwrap_or_default()
    }

    /// The processes of a run of the keeper that has this process.
    fn own(pid: u32, others: &[u32], traces: Vec<Trace>) -> Vec<u32> {
        let marks = marks(&env());
        let cgroup = BTreeSet::new();
        let sought =
            Sought { pid, started_at: None, marks: &marks, pipes: [Some(PIPE), None], cgroup: &cgroup };
        pids(&survey(traces).own_members(&sought, |pid| others.contains(&pid)))
    }

    #[test]
    fn a_process_of_the_run_log_is_found_if_anything_says_that_it_is_still_the_same() {
        assert_eq!(watched(Some(5), vec![marked(trace(5, 1, 5))]), [5]);
        assert_eq!(watched(Some(5), vec![holding(trace(5, 1, 5))]), [5]);
        // The number is another's by now.
        assert_eq!(watched(Some(5), vec![trace(5, 1, 5)]), [] as [u32; 0]);
    }

    #[test]
    fn a_process_is_the_same_if_it_was_started_at_the_time_of_the_run_log() {
        let at = |seconds| {
            let survey = Survey { boot: Some(Timestamp::from_seconds(0)), ..Survey::default() };
            let hertz = procfs::start_of(&trace(1, 0, 1).process).as_secs_f64();
            let start_ticks = (seconds * 1_000.0 / hertz) as u64;
            let process = Process { start_ticks, ..trace(5, 1, 5).process };
            survey.is_start(&process, Timestamp::from_seconds(100))
        };
        assert_eq!([98.5, 100.0, 101.5, 97.0, 103.0].map(at), [true, true, true, false, false]);
    }

    #[test]
    fn the_leader_is_watched_while_it_lives_and_then_all_that_are_left_wherever_they_have_gone() {
        let (leader, member) = (marked(trace(5, 1, 5)), holding(trace(8, 1, 5)));
        assert_eq!(watched(Some(5), vec![member.clone(), leader]), [5]);
        let unmarked = trace(9, 1, 5);
        let left = holding(trace(10, 1, 10));
        let child_of_left = trace(11, 10, 11);
        assert_eq!(watched(Some(5), vec![unmarked, member, left, child_of_left]), [9, 8, 10, 11]);
        assert_eq!(watched(Some(5), vec![holding(trace(8, 1, 8))]), [8]);
        // Without one that is known, the number of the group may be another's.
        assert_eq!(watched(Some(5), vec![trace(9, 1, 5)]), [] as [u32; 0]);
    }

    #[test]
    fn an_attempt_that_is_not_in_the_run_log_yet_is_found_by_its_pipe_or_its_marks() {
        assert_eq!(watched(None, vec![holding(trace(5, 1, 5))]), [5]);
        assert_eq!(watched(None, vec![marked(trace(5, 1, 5))]), [5]);
        let with_stderr = Trace { fifos: OnceCell::from(vec![STDERR_PIPE]), ..trace(5, 1, 5) };
        assert_eq!(watched(None, vec![with_stderr]), [5]);
        // Another store has a run of the same name, made at another time.
        let other = trace(5, 1, 5);
        let environment = OnceCell::from(env()[..3].to_vec());
        assert_eq!(watched(None, vec![Trace { environment, ..other }]), [] as [u32; 0]);
        // A process that the attempt has put into a session of its own is not the one that the keeper
        // started.
        assert_eq!(watched(None, vec![holding(trace(6, 5, 6)), holding(trace(5, 1, 5))]), [5]);
    }

    #[test]
    fn a_keeper_does_not_take_itself_or_what_it_is_below_for_an_attempt() {
        assert_eq!(watched(None, Vec::new()), [] as [u32; 0]);
        let above = [marked(trace(4, 1, 4)), holding(trace(KEEPER, 4, KEEPER)), marked(trace(6, 1, 6))];
        let survey = Survey::of(KEEPER, above.to_vec(), None);
        let cgroup = BTreeSet::new();
        let sought = Sought { pid: 9, started_at: None, marks: &env(), pipes: [None; 2], cgroup: &cgroup };
        assert_eq!(pids(&survey.members_elsewhere(&sought)), [6]);
    }

    #[test]
    fn the_whole_of_a_run_is_its_tree_its_session_and_orphans_with_its_pipe_or_marks() {
        let tree = vec![trace(5, KEEPER, 5), trace(6, 5, 6), trace(7, 6, 7)];
        assert_eq!(own(5, &[], tree.clone()), [5, 6, 7]);
        let mut half_ended = tree;
        half_ended[0].process.is_zombie = true;
        half_ended[1].process.is_zombie = true;
        assert_eq!(own(5, &[], half_ended), [7]);
        let mut same_session = trace(8, KEEPER, 8);
        same_session.process.session = 5;
        let orphans = vec![
            same_session,
            holding(trace(9, KEEPER, 9)),
            marked(trace(10, KEEPER, 10)),
            trace(11, 10, 11),
        ];
        assert_eq!(own(5, &[], orphans), [8, 9, 10, 11]);
        // Neither another run, nor a stranger that shows the same marks, as a job of at(1) does.
        let others = vec![holding(trace(12, KEEPER, 12)), marked(trace(13, 1, 13)), trace(14, KEEPER, 14)];
        assert_eq!(own(5, &[12], others), [] as [u32; 0]);
        // Its number is that of another run by now.
        assert_eq!(own(5, &[5], vec![trace(5, KEEPER, 5), holding(trace(9, KEEPER, 9))]), [9]);
    }

    #[test]
    fn a_process_in_the_control_group_is_a_member_whatever_else_it_is() {
        let traces = vec![trace(5, KEEPER, 5), trace(9, KEEPER, 9), trace(10, 1, 10), trace(11, 10, 11)];
        let cgroup = BTreeSet::from([9, 10, 99]);
        let sought = Sought { pid: 5, started_at: None, marks: &[], pipes: [None; 2], cgroup: &cgroup };
        let survey = survey(traces);
        assert_eq!(pids(&survey.own_members(&sought, |_| false)), [5, 9, 10, 11]);
        // Of an attempt of another keeper nothing is below this one.
        assert_eq!(pids(&survey.members_elsewhere(&sought)), [10, 11]);
    }

    #[test]
    fn all_three_marks_are_needed() {
        assert_eq!(marks(&env()), env()[1..]);
        assert_eq!(marks(&env()[..3]), [] as [Vec<u8>; 0]);
    }
}
