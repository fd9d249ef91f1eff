//! Owns: the processes that a keeper which is gone has left behind: taken over, watched, told of.
//! Never: how they are found (see `search`).

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Server;
use crate::domain::End;
use crate::keeper::limits::out_of_the_way;
use crate::keeper::pipe;
use crate::keeper::protocol::{Ended, FromKeeper, SeekOrder};
use crate::keeper::roster::Running;
use crate::keeper::search::{Found, Survey};
use crate::keeper::stopping::Stopping;

impl Server<'_> {
    /// Drains what the keeper before has left, so that nobody who still writes is held up.
    pub(super) fn take_over_pipes(&mut self) {
        for attempt in pipe::attempts_with_pipes(&self.log_dir) {
            if let Ok(outlet) = pipe::open_outlet(&pipe::path(&self.log_dir, attempt)) {
                self.drain.watch_leftover(attempt, out_of_the_way(outlet.into(), self.descriptors).into());
            }
        }
    }

    /// Finds the processes of an attempt that another keeper was told to start.
    pub(super) fn seek(&mut self, order: SeekOrder) {
        let attempt = order.attempt;
        if self.roster.knows(attempt) {
            // The daemon that asked first may have died before it had the answer.
            let run = self.roster.pid_of(attempt).and_then(|pid| self.roster.running_mut(pid));
            let keeper = self.instance;
            let told =
                run.map(|run| FromKeeper::Unattended { attempt, keeper, pid: run.pid, at: run.started_at });
            if let Some(told) = told {
                self.say(&told);
            }
            return;
        }
        let pipe = pipe::path(&self.log_dir, attempt);
        let has_no_pipe = || pipe.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound);
        if order.has_pipe && order.started.is_none() && has_no_pipe() {
            self.conclude(self.without_process(attempt, End::NotStarted, None));
            return;
        }
        let (before, now) = (self.lock.before, self.clock.now());
        let survey = self.survey.get_or_insert_with(|| Survey::take(before, now));
        match survey.find(&order, &pipe).filter(|found| self.roster.running_mut(found.group).is_none()) {
            Some(found) => self.attend(order, found),
            None => {
                self.roster.settle_unseen(attempt, order.started);
                let (pid, started_at) = order.started.unzip();
                let unseen = self.without_process(attempt, End::Lost, None);
                self.settle(Ended { pid: pid.unwrap_or(0), started_at, ..unseen });
            }
        }
    }

    fn attend(&mut self, order: SeekOrder, found: Found) {
        let ran = self.clock.now().since(found.started_at).as_duration();
        let timeout = order.timeout.map(|timeout| timeout.as_duration().saturating_sub(ran));
        let stopping = Stopping::new(self.clock.monotonic(), timeout, order.kill_after.as_duration());
        let (attempt, pid, at) = (order.attempt, found.group, found.started_at);
        self.roster.widen(&order.queue, order.slots);
        let processes = found.processes.into_iter();
        let processes = processes.map(|fd| out_of_the_way(fd, self.descriptors)).collect();
        self.unattended.insert(pid, processes);
        self.take_up(Running {
            attempt,
            queue: order.queue,
            pid,
            started_at: at,
            stopping,
            session: found.session,
        });
        self.say(&FromKeeper::Unattended { attempt, keeper: self.instance, pid, at });
    }

    /// Returns what to wait for.
    pub(super) fn unattended_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.unattended.values().flatten().map(AsFd::as_fd)
    }

    /// Returns the runs whose last process has ended.
    pub(super) fn unattended_ends(&mut self) -> Vec<u32> {
        let mut gone = Vec::new();
        self.unattended.retain(|pid, processes| {
            processes.retain(is_alive);
            if processes.is_empty() {
                gone.push(*pid);
            }
            !processes.is_empty()
        });
        gone
    }
}

fn is_alive(process: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO) == Ok(0)
}
