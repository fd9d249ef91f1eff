//! Owns: the processes that an earlier keeper has left behind: taking them over and watching them.
//! Never: how they are found (see `search`).

use std::io::ErrorKind;
use std::os::fd::OwnedFd;

use super::Server;
use super::ending::{Lingering, is_alive};
use crate::domain::{End, Usage};
use crate::keeper::pipe;
use crate::keeper::protocol::{Ended, FromKeeper, SeekOrder};
use crate::keeper::roster::Running;
use crate::keeper::search::{Found, Survey};
use crate::keeper::stopping::Stopping;
use crate::keeper::sys::{self, Reaped};

impl Server<'_> {
    /// Drains the pipes that the earlier keeper has left, so that no writer waits.
    pub(super) fn take_over_pipes(&mut self) {
        for output in pipe::outputs_with_pipes(&self.log_dir.path) {
            if let Ok(outlet) = pipe::open_outlet(&pipe::path(&self.log_dir.path, output)) {
                self.drain.watch_leftover(output, sys::move_up(outlet.into(), self.limit).into());
            }
        }
    }

    /// Finds the processes of an attempt that another keeper was sent.
    pub(super) fn seek(&mut self, order: SeekOrder) {
        let attempt = order.attempt;
        if self.roster.knows(attempt) {
            // The daemon that asked first may have died before it had the answer.
            if let Some(run) = self.roster.run(attempt) {
                let (pid, at) = (run.pid, run.started_at);
                self.report(&FromKeeper::Unattended { attempt, keeper: self.instance, pid, at });
            }
            return;
        }
        let pipes = pipe::paths(&self.log_dir.path, attempt);
        let has_no_pipe =
            || pipes[0].symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound);
        let now = self.clock.now();
        if order.started.is_none() && has_no_pipe() {
            self.conclude(Ended::without_process(attempt, End::NotStarted, now));
            return;
        }
        self.cgroups.adopt(attempt);
        let members = self.cgroups.members(attempt);
        let survey = self.survey.get_or_insert_with(|| Survey::take(now));
        let is_taken = |found: &Found| found.has_leader && self.roster.led_by(found.pid).is_some();
        match survey.find(&order, &pipes, &members).filter(|found| !is_taken(found)) {
            Some(found) => self.attend(order, found),
            None => {
                self.cgroups.release(attempt);
                self.roster.settle_unseen(attempt, order.started);
                let (pid, started_at) = order.started.unzip();
                let unseen = Ended::without_process(attempt, End::Lost, now);
                self.settle(Ended { pid: pid.unwrap_or(0), started_at, ..unseen });
            }
        }
    }

    fn attend(&mut self, order: SeekOrder, found: Found) {
        let ran = self.clock.now().since(found.started_at).as_duration();
        let timeout = order.timeout.map(|timeout| timeout.as_duration().saturating_sub(ran));
        let stopping = Stopping::new(self.clock.monotonic(), timeout, order.kill_after.as_duration());
        let (attempt, pid, started_at) = (order.attempt, found.pid, found.started_at);
        self.roster.widen(&order.queue, order.slots);
        let (queue, marks) = (order.queue, order.marks);
        let run = Running {
            attempt,
            queue,
            pid,
            started_at,
            stopping,
            marks,
            is_unattended: true,
            share: None,
            has_taken_share: false,
        };
        self.watch_deadline(&run);
        let mut processes: Vec<OwnedFd> =
            found.processes.into_iter().map(|fd| sys::move_up(fd, self.limit)).collect();
        match processes.pop() {
            Some(leader) if found.has_leader => {
                self.roster.started(run);
                self.unattended.insert(pid, leader);
            }
            other => {
                self.roster.lingers(run);
                processes.extend(other);
                let reaped = Reaped { pid, end: End::Lost, usage: Usage::default() };
                self.lingering.insert(attempt, Lingering { reaped, processes });
            }
        }
        self.report(&FromKeeper::Unattended { attempt, keeper: self.instance, pid, at: started_at });
    }

    /// Returns the first processes that have ended.
    pub(super) fn unattended_ends(&mut self) -> Vec<u32> {
        self.unattended.extract_if(|_, process| !is_alive(process)).map(|(pid, _)| pid).collect()
    }
}
