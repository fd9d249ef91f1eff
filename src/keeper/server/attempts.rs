//! Owns: the attempts of a keeper from their order to their result: started, delayed, signalled, reaped.
//! Never: the conversation with the daemon.

use std::time::Duration;

use super::Server;
use crate::domain::{End, NewJob, Span, StopCause, Timestamp, Usage};
use crate::keeper::drain::{NewPipe, Settled};
use crate::keeper::log_directory::Sealing;
use crate::keeper::protocol::{Attempt, Ended, FromKeeper, StartExtras, StartOrder};
use crate::keeper::roster::Running;
use crate::keeper::stopping::Stopping;
use crate::keeper::sys::{self, Reaped};
use crate::keeper::{process, search};

/// The pause after the system had no process, memory, descriptor or room left to start an attempt with.
const DELAY: Duration = Duration::from_secs(1);

/// How long an attempt that the system has no means to start is tried again.
const DELAYS_MAX: Duration = Duration::from_secs(60);

impl Server<'_> {
    pub(super) fn take_order(&mut self, order: StartOrder, extras: StartExtras) {
        // A daemon sends the keys before anything that needs them.
        if extras.has_unknown || self.log_dir.sealing == Sealing::Locked {
            if !self.roster.knows(order.attempt) {
                self.conclude(self.not_started(order.attempt, None));
            }
        } else if let Some(queue) = self.roster.enqueue(order, extras) {
            self.fill(&queue);
        }
    }

    /// Starts what a queue has slots for.
    pub(super) fn fill(&mut self, queue: &str) {
        while !self.is_closing
            && !self.delays.contains_key(queue)
            && let Some((order, extras)) = self.roster.next(queue)
        {
            self.start(order, extras);
        }
        self.roster.tidy(queue);
    }

    fn start(&mut self, order: StartOrder, extras: StartExtras) {
        // Read before the start, so that nothing that the run does has an earlier time.
        let (started_at, now) = (self.clock.now(), self.clock.monotonic());
        let attempt = order.attempt;
        let started =
            process::start(&order, &extras, (&mut self.pipes, &self.log_dir), &mut self.cgroups, self.limit);
        let (pid, outlets) = match started {
            Ok(started) => started,
            Err(error) => {
                let (status, cause) = error.explain(&order, &extras);
                let first_at = *self.refused.entry(attempt).or_insert(now);
                if error.is_passing() && now < first_at + DELAYS_MAX {
                    if first_at == now {
                        self.report(&FromKeeper::Delayed { attempt, cause });
                    }
                    self.delays.insert(order.queue.clone(), now + DELAY);
                    self.roster.put_back(order, extras);
                    return;
                }
                let end = End::SpawnFailed { status, cause };
                self.conclude(Ended::without_process(attempt, end, self.clock.now()));
                return;
            }
        };
        self.refused.remove(&attempt);
        let limit = extras.log_limit.unwrap_or(NewJob::LOG_LIMIT);
        self.drain.watch(attempt, NewPipe { outlets, limit, started_at }, now);
        let timeout = order.timeout.map(Span::as_duration);
        let stopping = Stopping::new(now, timeout, order.kill_after.as_duration());
        let marks = search::marks(&order.env);
        let has_taken_share = extras.needs().is_some();
        let run = Running {
            attempt,
            queue: order.queue,
            pid,
            started_at,
            stopping,
            marks,
            is_unattended: false,
            share: extras.share().cloned(),
            has_taken_share,
        };
        if has_taken_share && let Some(share) = run.share.clone() {
            self.report(&FromKeeper::Holds { attempt, share });
        }
        self.watch_deadline(&run);
        self.roster.started(run);
        self.report(&FromKeeper::Started { attempt, pid, at: started_at });
    }

    /// A run has a process, and perhaps a timeout.
    pub(super) fn watch_deadline(&mut self, run: &Running) {
        if let Some(at) = run.stopping.deadline() {
            self.deadlines.insert((at, run.attempt));
        }
    }

    pub(super) fn stop(&mut self, attempt: Attempt, at_once: bool) {
        // A run that has ended by itself must not count as stopped.
        self.reap();
        let now = self.clock.monotonic();
        match self.roster.run(attempt) {
            Some(_) => self.advance_stopping(attempt, |stopping| stopping.cancel(now, at_once)),
            None => self.recall(attempt, Some(StopCause::Cancelled)),
        }
    }

    pub(super) fn recall(&mut self, attempt: Attempt, stopped: Option<StopCause>) {
        if self.roster.withdraw(attempt) {
            self.conclude(self.not_started(attempt, stopped));
        }
    }

    fn not_started(&self, attempt: Attempt, stopped: Option<StopCause>) -> Ended {
        Ended { stopped, ..Ended::without_process(attempt, End::NotStarted, self.clock.now()) }
    }

    /// Forgets results that are committed, and removes the names of their pipes.
    pub(super) fn acknowledge(&mut self, attempts: &[Attempt]) {
        for attempt in attempts {
            // Removed here, not by the thread, if possible: a directory lets one in at a time, and the next
            // start would wait for it.
            if self.roster.acknowledge(*attempt) && !self.drain.release(*attempt) {
                self.pipes.remove(attempt.stdout());
            }
        }
        self.cgroups.sweep();
    }

    /// Does what is due: sends signals, ends pauses.
    pub(super) fn expire(&mut self) {
        let now = self.clock.monotonic();
        self.accept_at = self.accept_at.filter(|at| *at > now);
        let over: Vec<String> = self.delays.extract_if(|_, at| *at <= now).map(|(queue, _)| queue).collect();
        over.iter().for_each(|queue| self.fill(queue));
        self.drain.watch_due(now);
        if self.deadlines.first().is_none_or(|(at, _)| *at > now) {
            return;
        }
        // A run that has ended by itself must not count as stopped.
        self.reap();
        while let Some((at, attempt)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(at, attempt));
            self.advance_stopping(attempt, |stopping| stopping.expire(now));
        }
        self.kill_doomed();
    }

    /// Reaps every child that has ended, looks for the ends of other processes that runs wait for, and gives
    /// the slots of ended runs away.
    pub(super) fn reap(&mut self) {
        let mut leaders = Vec::new();
        let mut has_orphan = false;
        while let Some(reaped) = sys::reap_one() {
            if self.roster.led_by(reaped.pid).is_some_and(|run| !run.is_unattended) {
                leaders.push((reaped, self.clock.now()));
            } else {
                has_orphan = true;
            }
        }
        let lost = |pid| Reaped { pid, end: End::Lost, usage: Usage::default() };
        leaders.extend(self.unattended_ends().into_iter().map(|pid| (lost(pid), self.clock.now())));
        // Only now that everything was reaped: a zombie is a process too.
        let departed = self.part(leaders);
        // A free slot is time lost: the next run starts before anything is done about the last.
        for (run, ..) in &departed {
            self.fill(&run.queue);
        }
        for (run, reaped, finished_at) in departed {
            self.left(&run, reaped, finished_at);
        }
        if has_orphan {
            // It may have been the last one in the control group of a run that has ended before.
            self.cgroups.sweep();
        }
    }

    /// A run has ended. Its result waits until its output is in the file.
    fn left(&mut self, run: &Running, reaped: Reaped, finished_at: Timestamp) {
        if let Some(at) = run.stopping.deadline() {
            self.deadlines.remove(&(at, run.attempt));
        }
        // Others may have sent KILL too: only the group says who it was.
        let is_kill = reaped.end == End::Signaled(libc::SIGKILL);
        let end = match is_kill && self.cgroups.was_out_of_memory(run.attempt) {
            true => End::OutOfMemory,
            false => reaped.end,
        };
        self.cgroups.release(run.attempt);
        self.settle(Ended {
            pid: run.pid,
            started_at: Some(run.started_at),
            stopped: run.stopping.cause(),
            usage: reaped.usage,
            ..Ended::without_process(run.attempt, end, finished_at)
        });
    }

    /// Keeps a result until the output is in its file.
    pub(super) fn settle(&mut self, ended: Ended) {
        let settled = self.drain.settle(ended.attempt);
        self.settling.insert(ended.attempt, ended);
        if let Some(settled) = settled {
            if settled.has_stderr_name {
                self.pipes.remove(settled.attempt.stderr());
            }
            self.conclude_settled(settled);
        }
    }

    /// Reports a result whose output is in its file.
    pub(super) fn conclude_settled(&mut self, settled: Settled) {
        if let Some(ended) = self.settling.remove(&settled.attempt) {
            let (output_bytes, is_output_open) = (settled.output_bytes, settled.is_open);
            self.conclude(Ended { output_bytes, is_output_open, ..ended });
        }
    }

    pub(super) fn conclude(&mut self, ended: Ended) {
        self.refused.remove(&ended.attempt);
        self.report(&FromKeeper::Ended(ended.clone()));
        self.roster.ended(ended);
    }
}
