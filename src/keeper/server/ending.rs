//! Owns: signals to all processes of a run, and the wait for those that outlive its first process.
//! Never: when a signal is due (see `stopping`), or how processes are found (see `search`).
//!
//! A run that is being stopped ends with the last of its processes, and so does an unattended one. Any other
//! ends with its first process, and its background processes continue: for those, no process is looked at.

use std::cell::OnceCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::Server;
use crate::domain::Timestamp;
use crate::keeper::procfs::{self, Process};
use crate::keeper::protocol::Attempt;
use crate::keeper::roster::Running;
use crate::keeper::search::{Survey, open};
use crate::keeper::stopping::{StopSignal, Stopping};
use crate::keeper::sys::{Reaped, move_up};
use crate::keeper::{pipe, reach};

/// A run whose first process has ended and others have not.
pub(super) struct Lingering {
    /// How its first process has ended.
    pub(super) reaped: Reaped,
    /// The others. Each is readable once it has ended.
    pub(super) processes: Vec<OwnedFd>,
}

/// A run that has ended, with the end of its first process.
pub(super) type Departed = (Running, Reaped, Timestamp);

impl Server<'_> {
    /// Takes the next step in the stopping of a run, and sends its signal. KILL is sent by `kill_doomed`.
    pub(super) fn advance_stopping(
        &mut self,
        attempt: Attempt,
        step: impl FnOnce(&mut Stopping) -> Option<StopSignal>,
    ) {
        let run = self.roster.run_mut(attempt).expect("a deadline goes away with its run");
        let before = run.stopping.deadline();
        let signal = step(&mut run.stopping);
        let after = run.stopping.deadline();
        if before != after {
            before.map(|at| self.deadlines.remove(&(at, attempt)));
            after.map(|at| self.deadlines.insert((at, attempt)));
        }
        match signal {
            Some(StopSignal::Terminate) => self.signal_whole(attempt, &[Signal::SIGTERM, Signal::SIGCONT]),
            Some(StopSignal::Kill) => self.doomed.push(attempt),
            None => {}
        }
    }

    /// Sends a signal that somebody has asked for. The end is the one that the run makes of it.
    pub(super) fn signal(&mut self, attempt: Attempt, signal: i32) {
        // To no process that has ended by now.
        self.reap();
        let Ok(signal) = Signal::try_from(signal) else { return };
        match signal {
            // None of them can prevent it, so that none can hide either.
            Signal::SIGSTOP => reach::stop_all(|| self.look(&[attempt])),
            Signal::SIGKILL => {
                self.cgroups.kill(attempt);
                reach::kill_all(|| self.look(&[attempt]));
            }
            _ => {}
        }
        self.signal_whole(attempt, &[signal]);
    }

    /// Signals all processes of a run.
    fn signal_whole(&mut self, attempt: Attempt, signals: &[Signal]) {
        // The look comes first: a process that obeys leaves its children to the keeper.
        let survey = self.survey.take().unwrap_or_else(|| Survey::take(self.clock.now()));
        let members = self.members(&survey, attempt);
        let group = self.own_group(attempt);
        group.inspect(|leader| reach::signal_group(*leader, signals));
        reach::signal_each(members.iter().filter(|process| Some(process.group) != group), signals);
        // The stops that have arrived together share a look.
        self.survey = Some(survey);
    }

    /// Sends KILL to all processes of the runs for which it is due, together.
    pub(super) fn kill_doomed(&mut self) {
        let doomed = std::mem::take(&mut self.doomed);
        if doomed.is_empty() {
            return;
        }
        // All at once where a run has a control group. The look is for those that have left it, and for those
        // that take their time to end.
        doomed.iter().for_each(|attempt| self.cgroups.kill(*attempt));
        let mut killed = reach::kill_all(|| self.look(&doomed));
        for attempt in doomed {
            // For a machine whose proc(5) hides the processes.
            self.own_group(attempt).inspect(|leader| reach::signal_group(*leader, &[Signal::SIGKILL]));
            if let Some(lingering) = self.lingering.get_mut(&attempt) {
                let processes = killed.remove(&attempt).unwrap_or_default().into_iter();
                lingering.processes = processes.map(|fd| move_up(fd, self.limit)).collect();
            }
        }
        // Those of which nothing can be reached wait for nothing.
        self.reap();
    }

    /// Returns the process group of a run that this keeper can signal by its number, because its leader was
    /// not reaped.
    fn own_group(&self, attempt: Attempt) -> Option<u32> {
        let run = self.roster.run(attempt).filter(|run| !run.is_unattended)?;
        self.roster.led_by(run.pid).filter(|led| led.attempt == attempt).map(|run| run.pid)
    }

    /// Looks for all processes of these runs.
    fn look(&self, attempts: &[Attempt]) -> Vec<(Attempt, Process)> {
        let survey = Survey::take(self.clock.now());
        let members = |attempt: &Attempt| {
            let attempt = *attempt;
            self.members(&survey, attempt).into_iter().map(move |process| (attempt, process))
        };
        attempts.iter().flat_map(members).collect()
    }

    fn members(&self, survey: &Survey, attempt: Attempt) -> Vec<Process> {
        let Some(run) = self.roster.run(attempt) else { return Vec::new() };
        let is_anothers = |pid| self.roster.led_by(pid).is_some_and(|other| other.attempt != attempt);
        let cgroup = self.cgroups.members(attempt);
        survey.members(run, &pipe::paths(&self.log_dir.path, attempt), &cgroup, is_anothers)
    }

    /// Returns the runs of these first processes, all reaped, that have ended with them. The others linger.
    pub(super) fn part(&mut self, reaped: Vec<(Reaped, Timestamp)>) -> Vec<Departed> {
        let (mut survey, mut departed) = (None, Vec::new());
        let has_orphans = OnceCell::new();
        for (reaped, finished_at) in reaped {
            let attempt = self.roster.led_by(reaped.pid).expect("it was asked for").attempt;
            let run = self.roster.run(attempt).expect("it has not ended");
            let is_stopped = run.stopping.cause().is_some();
            let has_rest =
                run.is_unattended || is_stopped && *has_orphans.get_or_init(|| self.may_have_orphans());
            let processes = if has_rest { self.rest(&mut survey, attempt) } else { Vec::new() };
            if processes.is_empty() {
                departed.extend(self.roster.leave(reaped.pid).map(|run| (run, reaped, finished_at)));
            } else {
                self.roster.linger(reaped.pid);
                self.lingering.insert(attempt, Lingering { reaped, processes });
            }
        }
        for attempt in self.lingering_ends() {
            let processes = self.rest(&mut survey, attempt);
            if let Some(lingering) = self.lingering.get_mut(&attempt).filter(|_| !processes.is_empty()) {
                lingering.processes = processes;
            } else if let Some(Lingering { reaped, .. }) = self.lingering.remove(&attempt) {
                let run = self.roster.leave_last(attempt);
                departed.extend(run.map(|run| (run, reaped, self.clock.now())));
            }
        }
        departed
    }

    /// Returns whether processes may be left of runs whose first process was reaped: then one of them is a
    /// child of the keeper now. Much cheaper than a survey, for when many runs are stopped.
    fn may_have_orphans(&self) -> bool {
        let is_orphan = |child: &u32| self.roster.led_by(*child).is_none_or(|run| run.is_unattended);
        procfs::own_children().is_none_or(|children| children.iter().any(is_orphan))
    }

    /// Returns the processes that a run waits for after the end of its first one.
    fn rest(&self, survey: &mut Option<Survey>, attempt: Attempt) -> Vec<OwnedFd> {
        let run = self.roster.run(attempt).expect("it has not ended");
        let survey = survey.get_or_insert_with(|| Survey::take(self.clock.now()));
        let members = self.members(survey, attempt);
        let rest = match run.stopping.is_killed() {
            // They have KILL already, or were forked since. Those out of reach are not waited for.
            true => reach::kill_all(|| members.iter().map(|process| ((), *process)).collect())
                .remove(&())
                .unwrap_or_default(),
            false => members.iter().filter_map(open).collect(),
        };
        rest.into_iter().map(|fd| move_up(fd, self.limit)).collect()
    }

    /// Returns the runs of which all processes have ended that they waited for.
    fn lingering_ends(&mut self) -> Vec<Attempt> {
        let over = |(attempt, lingering): (&Attempt, &mut Lingering)| {
            lingering.processes.retain(is_alive);
            lingering.processes.is_empty().then_some(*attempt)
        };
        self.lingering.iter_mut().filter_map(over).collect()
    }

    /// Returns what to wait for.
    pub(super) fn lingering_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.lingering.values().flat_map(|lingering| &lingering.processes).map(AsFd::as_fd)
    }
}

/// Returns whether a process has not ended.
pub(super) fn is_alive(process: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO) == Ok(0)
}
