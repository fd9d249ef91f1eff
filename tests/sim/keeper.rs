//! Owns: a keeper with the real run table and stop signals. Its processes are scripts.
//!
//! The ledger records what really happened. It outlives keepers, so that the run log can be compared with it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use taskq::domain::{End, Portion, ResourceName, RunId, Share, Span, StopCause, Timestamp, Usage};
use taskq::keeper::protocol::{
    Attempt, Ended, FromKeeper, KeeperInstance, PROTOCOL_VERSION, SeekOrder, StartExtras, StartOrder, Task,
    ToKeeper,
};
use taskq::keeper::roster::{Roster, Running};
use taskq::keeper::stopping::{StopSignal, Stopping};

use crate::rng::Rng;
use crate::world::World;

/// The pause after the system had no means to start a process.
const DELAY: u64 = 1_000_000;

/// The behaviour of a process.
#[derive(Clone, Debug)]
pub struct Script {
    /// How long it runs if nobody stops it, in microseconds.
    pub lasts: u64,
    /// How it then ends.
    pub end: End,
    /// How long after a TERM it ends; `None` if it ignores TERM.
    pub obeys_after: Option<u64>,
}

impl Script {
    pub fn lasting(seconds: u64) -> Self {
        Self { lasts: seconds * 1_000_000, end: End::Exited(0), obeys_after: Some(1_000) }
    }

    pub fn random(rng: &mut Rng) -> Self {
        let lasts = match rng.below(10) {
            0..=4 => rng.span(500, 90_000),
            5..=7 => rng.span(100_000, 60_000_000),
            8 => rng.span(60_000_000, 7_200_000_000),
            _ => rng.span(60_000_000, 200_000_000_000),
        };
        let end = match rng.below(20) {
            0..=12 => End::Exited(0),
            13..=15 => End::Exited(1 + rng.below(255) as i32),
            16 => End::OutOfMemory,
            17 => End::Signaled(*rng.pick(&[1, 6, 9, 11, 15])),
            _ => End::SpawnFailed { status: *rng.pick(&[125, 126, 127]), cause: "scripted".to_owned() },
        };
        let obeys_after = rng.chance(800).then(|| rng.span(100, 20_000_000));
        Self { lasts, end, obeys_after }
    }
}

/// The record of what really happened.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Each start of an attempt, and the keeper that tried. More than one is a broken promise.
    pub starts: BTreeMap<Attempt, KeeperInstance>,
    /// The attempts whose pipes have a name. It is the only proof of a start that a keeper leaves behind.
    pub pipes: BTreeSet<Attempt>,
    /// Each end that a keeper saw. An attempt that is withdrawn and ordered again has several.
    pub ends: BTreeMap<Attempt, Vec<Ended>>,
    /// Keepers that died.
    pub dead: BTreeSet<KeeperInstance>,
    /// Keepers that went down with the machine, and with all that they had started.
    pub down: BTreeSet<KeeperInstance>,
    /// Processes of keepers that died, until another keeper has found them or their end.
    pub orphans: BTreeMap<Attempt, Process>,
    /// Serial jobs: two processes of one never run at once under one keeper.
    pub serial: BTreeSet<i64>,
    /// The runs that are callbacks.
    pub callbacks: BTreeSet<(i64, i64)>,
    /// The daemon that lives now, counted from 1; the clock, in microseconds.
    pub daemon: u64,
    pub mono: u64,
    pub now: i64,
    /// For how long this daemon has lived with its keeper and the store in order.
    pub quiet_for: u64,
    /// When the script of a gate has last said yes, by the requirement.
    pub yes: BTreeMap<i64, u64>,
    /// How much there is of each resource.
    pub capacity: BTreeMap<ResourceName, u64>,
    /// The largest that it was.
    pub capacities: BTreeMap<ResourceName, u64>,
    /// The widest that a queue may be, as far as a keeper can know.
    pub widest: BTreeMap<String, usize>,
    /// The process id given last.
    pids: u32,
}

/// A process, with or without a keeper.
#[derive(Debug)]
pub struct Process {
    attempt: Attempt,
    pid: u32,
    started_at: Timestamp,
    ends_at: u64,
    end: End,
    obeys_after: Option<u64>,
    is_unattended: bool,
    /// What it was told that it has of the resources.
    share: Option<Share>,
    has_taken_share: bool,
}

#[derive(Debug)]
pub struct Keeper {
    pub instance: KeeperInstance,
    /// The session whose hello it answered last: its reports go to that daemon.
    pub session: Option<u64>,
    pub said: Vec<(u64, FromKeeper)>,
    roster: Roster,
    processes: BTreeMap<u32, Process>,
    /// Queues for whose next start there were no means: when it is tried again.
    delays: BTreeMap<String, u64>,
    /// Results whose output is on the way into its file: until when.
    settling: Vec<(u64, Ended)>,
}

impl Keeper {
    pub fn new(instance: KeeperInstance) -> Self {
        Self {
            instance,
            session: None,
            said: Vec::new(),
            roster: Roster::default(),
            processes: BTreeMap::new(),
            delays: BTreeMap::new(),
            settling: Vec::new(),
        }
    }

    /// Returns the environment of a process, as far as it is about resources.
    pub fn environment(&self, pid: u32) -> Vec<Vec<u8>> {
        let share = self.processes.get(&pid).and_then(|process| process.share.as_ref());
        share.map(Share::variables).unwrap_or_default()
    }

    /// Returns when the last process ends that runs now.
    pub fn last_end(&self) -> Option<u64> {
        self.processes.values().map(|process| process.ends_at).max()
    }

    pub fn is_idle(&self) -> bool {
        self.roster.is_empty()
    }

    /// Returns whether it waits for nothing but the ends of processes.
    pub fn is_settled(&self) -> bool {
        self.said.is_empty() && self.delays.is_empty() && self.settling.is_empty()
    }

    pub fn unacknowledged(&self) -> usize {
        self.roster.results().len()
    }

    /// Returns the attempts that have a process, each with whether it was signalled.
    pub fn processes(&self) -> impl Iterator<Item = (Attempt, bool)> {
        self.roster.running().map(|run| (run.attempt, run.stopping.cause().is_some()))
    }

    pub fn running_in(&self, queue: &str) -> usize {
        self.roster.running().filter(|run| run.queue == queue).count()
    }

    pub fn standing_by(&self, queue: &str) -> Vec<Attempt> {
        self.roster.standing_by(queue).collect()
    }

    /// Returns what runs or stands by.
    pub fn known(&self) -> Vec<Attempt> {
        self.roster.known().into_iter().map(|known| known.attempt).collect()
    }

    /// Returns when something happens by itself.
    pub fn next_event(&self) -> Option<u64> {
        let signals = self.roster.running().filter_map(|run| run.stopping.deadline());
        let ends = self.processes.values().map(|process| process.ends_at);
        let settling = self.settling.iter().map(|(at, _)| *at);
        signals
            .map(|at| at.as_micros() as u64)
            .chain(ends)
            .chain(settling)
            .chain(self.delays.values().copied())
            .min()
    }

    pub fn obey(&mut self, session: u64, message: ToKeeper, world: &mut World) {
        match message {
            ToKeeper::Hello { .. } => {
                self.session = Some(session);
                let taken = self.roster.taken_shares();
                let taken: Vec<FromKeeper> = taken
                    .map(|(attempt, share)| FromKeeper::Holds { attempt, share: share.clone() })
                    .collect();
                taken.into_iter().for_each(|holds| self.say(holds));
                let (version, instance) = (PROTOCOL_VERSION, self.instance);
                let (known, ended) = (self.roster.known(), self.roster.results());
                self.say(FromKeeper::Hello { version, instance, known, ended });
            }
            ToKeeper::Start(order, extras) => self.admit(order, extras, world),
            ToKeeper::Give { attempt, share } => {
                if let Some(queue) = self.roster.give(attempt, share) {
                    self.fill(&queue, world);
                }
            }
            ToKeeper::Seek(order) => self.seek(&order, world),
            // Its outputs are not in files.
            ToKeeper::Signal { .. } | ToKeeper::Seal(_) => {}
            ToKeeper::Stop { attempt, now } => match self.roster.pid_of(attempt) {
                Some(pid) => self.strike(pid, world, |stopping, at| stopping.cancel(at, now)),
                None => self.withdraw(attempt, Some(StopCause::Cancelled), world),
            },
            ToKeeper::Recall { attempt } => self.withdraw(attempt, None, world),
            ToKeeper::Acknowledge { attempts } => {
                for attempt in attempts {
                    if self.roster.acknowledge(attempt) {
                        world.ledger.pipes.remove(&attempt);
                    }
                }
            }
            ToKeeper::Resize { queue, slots } => {
                self.roster.resize(&queue, slots);
                self.fill(&queue, world);
            }
        }
    }

    fn admit(&mut self, order: StartOrder, extras: StartExtras, world: &mut World) {
        if let Some(queue) = self.roster.enqueue(order, extras) {
            self.fill(&queue, world);
        }
    }

    /// Finds what a keeper that died has left of an attempt, as the real one does by pipes and processes.
    fn seek(&mut self, order: &SeekOrder, world: &mut World) {
        let attempt = order.attempt;
        if let Some(pid) = self.roster.pid_of(attempt) {
            let at = self.processes[&pid].started_at;
            return self.say(FromKeeper::Unattended { attempt, keeper: self.instance, pid, at });
        }
        if self.roster.knows(attempt) {
            return;
        }
        let found = world.ledger.orphans.remove(&attempt);
        let Some(mut process) = found.filter(|process| process.ends_at > world.mono) else {
            let has_begun = world.ledger.pipes.contains(&attempt);
            let end = if has_begun || order.started.is_some() { End::Lost } else { End::NotStarted };
            let (pid, started_at) = order.started.unzip();
            let unseen = Ended::without_process(attempt, end, world.now());
            self.roster.settle_unseen(attempt, order.started);
            return self.settle(Ended { pid: pid.unwrap_or(0), started_at, ..unseen }, world);
        };
        let ran = world.now().since(process.started_at).as_duration();
        let timeout = order.timeout.map(|timeout| timeout.as_duration().saturating_sub(ran));
        self.roster.widen(&order.queue, order.slots);
        process.is_unattended = true;
        let (pid, at) = (process.pid, process.started_at);
        self.take_up(
            process,
            &order.queue,
            Stopping::new(world.monotonic(), timeout, order.kill_after.as_duration()),
        );
        self.say(FromKeeper::Unattended { attempt, keeper: self.instance, pid, at });
    }

    fn take_up(&mut self, process: Process, queue: &str, stopping: Stopping) {
        self.roster.started(Running {
            attempt: process.attempt,
            queue: queue.to_owned(),
            pid: process.pid,
            started_at: process.started_at,
            stopping,
            marks: Vec::new(),
            is_unattended: process.is_unattended,
            share: process.share.clone().filter(|_| !process.is_unattended),
            has_taken_share: process.has_taken_share && !process.is_unattended,
        });
        self.processes.insert(process.pid, process);
    }

    /// Acts on due events. Ends come first, so that a process that ended by itself does not count as stopped.
    pub fn expire(&mut self, world: &mut World) {
        let mono = world.mono;
        for (queue, _) in self.delays.extract_if(.., |_, at| *at <= mono).collect::<Vec<_>>() {
            self.fill(&queue, world);
        }
        while self.reap(world) {}
        let now = world.monotonic();
        let is_due = |run: &&Running| run.stopping.deadline().is_some_and(|at| at <= now);
        let due: BTreeSet<u32> = self.roster.running().filter(is_due).map(|run| run.pid).collect();
        for pid in due {
            self.strike(pid, world, Stopping::expire);
        }
        let settled: Vec<Ended> =
            self.settling.extract_if(.., |(at, _)| *at <= mono).map(|(_, ended)| ended).collect();
        settled.into_iter().for_each(|ended| self.conclude(ended, world));
    }

    /// Frees the slots of processes that have ended, and returns whether there are any.
    fn reap(&mut self, world: &mut World) -> bool {
        let mono = world.mono;
        let gone: Vec<Process> = self
            .processes
            .extract_if(.., |_, process| process.ends_at <= mono)
            .map(|(_, gone)| gone)
            .collect();
        let runs: Vec<Running> =
            gone.iter().map(|gone| self.roster.leave(gone.pid).expect("it has a process")).collect();
        for run in &runs {
            self.fill(&run.queue, world);
        }
        let is_any = !gone.is_empty();
        for (process, run) in gone.into_iter().zip(runs) {
            let ended = Ended {
                pid: process.pid,
                started_at: Some(process.started_at),
                end: if process.is_unattended { End::Lost } else { process.end },
                stopped: run.stopping.cause(),
                usage: Usage { user: Span::from_millis(1), system: Span::ZERO, max_rss_kib: 640 },
                output_bytes: 3,
                ..Ended::without_process(process.attempt, End::NotStarted, world.now())
            };
            self.settle(ended, world);
        }
        is_any
    }

    /// Forgets everything. Its processes continue.
    pub fn die(self, ledger: &mut Ledger) {
        ledger.dead.insert(self.instance);
        let processes = self.processes.into_values().filter(|process| process.attempt.run().is_some());
        ledger.orphans.extend(processes.map(|process| (process.attempt, process)));
    }

    fn say(&mut self, message: FromKeeper) {
        if let Some(session) = self.session {
            self.said.push((session, message));
        }
    }

    fn withdraw(&mut self, attempt: Attempt, stopped: Option<StopCause>, world: &mut World) {
        if self.roster.withdraw(attempt) {
            self.conclude(
                Ended { stopped, ..Ended::without_process(attempt, End::NotStarted, world.now()) },
                world,
            );
        }
    }

    /// Keeps a result until its output is in its file.
    fn settle(&mut self, ended: Ended, world: &mut World) {
        if world.rng.chance(world.faults.delay) {
            self.settling.push((world.mono + world.rng.span(10, 100_000), ended));
        } else {
            self.conclude(ended, world);
        }
    }

    fn conclude(&mut self, ended: Ended, world: &mut World) {
        world.note(format!("keeper: {} ended {:?} {:?}", ended.attempt.task, ended.end, ended.stopped));
        if let Task::Gate(requirement) = ended.attempt.task
            && ended.end == End::Exited(0)
            && ended.stopped.is_none()
        {
            world.ledger.yes.insert(requirement, world.mono);
        }
        world.ledger.ends.entry(ended.attempt).or_default().push(ended.clone());
        self.say(FromKeeper::Ended(ended.clone()));
        self.roster.ended(ended);
    }

    fn fill(&mut self, queue: &str, world: &mut World) {
        while !self.delays.contains_key(queue)
            && let Some((order, extras)) = self.roster.next(queue)
        {
            if world.rng.chance(world.faults.delay / 10) {
                let (attempt, cause) = (order.attempt, "scripted".to_owned());
                self.delays.insert(queue.to_owned(), world.mono + DELAY);
                self.roster.put_back(order, extras);
                self.say(FromKeeper::Delayed { attempt, cause });
            } else {
                self.start(&order, &extras, world);
            }
        }
        self.roster.tidy(queue);
    }

    fn start(&mut self, order: &StartOrder, extras: &StartExtras, world: &mut World) {
        let attempt = order.attempt;
        let before = world.ledger.starts.insert(attempt, self.instance);
        world.ledger.pipes.insert(attempt);
        let script = if let Task::Gate(_) = attempt.task {
            let end = End::Exited(i32::from(world.rng.chance(500)));
            Script { lasts: world.rng.span(1_000, 12 * 1_000_000), end, obeys_after: Some(1_000) }
        } else if attempt.run().is_none() {
            assert!(before != Some(self.instance), "{attempt:?} was sent twice by one keeper");
            world.mail_scripts.pop_front().unwrap_or_else(|| Script::lasting(1))
        } else {
            assert!(before.is_none(), "{attempt:?} was started twice, first by keeper {before:?}");
            world.scripts.pop_front().unwrap_or_else(|| Script::random(&mut world.rng))
        };
        world.note(format!("keeper: {} starts, {script:?}", attempt.task));
        if let End::SpawnFailed { .. } = script.end {
            self.conclude(Ended::without_process(attempt, script.end, world.now()), world);
            return;
        }
        self.check_company(order, world);
        if let Some(share) = extras.share() {
            self.check_share(attempt, share, world);
        }
        world.ledger.pids += 1;
        let process = Process {
            attempt,
            pid: world.ledger.pids,
            started_at: world.now(),
            ends_at: world.mono + script.lasts,
            end: script.end,
            obeys_after: script.obeys_after,
            is_unattended: false,
            has_taken_share: extras.needs().is_some(),
            share: extras.share().cloned(),
        };
        if let Some(share) = process.share.clone().filter(|_| process.has_taken_share) {
            self.say(FromKeeper::Holds { attempt, share });
        }
        let (pid, at) = (process.pid, process.started_at);
        let timeout = order.timeout.map(Span::as_duration);
        self.take_up(
            process,
            &order.queue,
            Stopping::new(world.monotonic(), timeout, order.kill_after.as_duration()),
        );
        self.say(FromKeeper::Started { attempt, pid, at });
    }

    /// Panics if a living process has a part of a resource that another gets.
    fn check_share(&self, attempt: Attempt, share: &Share, world: &World) {
        let living = self.processes.values().chain(world.ledger.orphans.values());
        let others: Vec<&Share> = living
            .filter(|process| process.ends_at > world.mono)
            .filter_map(|process| process.share.as_ref())
            .collect();
        for (name, portion) in share.iter() {
            let has = |other: &&Share| other.portion(name).map_or(0, Portion::amount);
            let all = others.iter().map(has).sum::<u64>() + portion.amount();
            let most = world.ledger.capacities.get(name).copied().unwrap_or(0);
            assert!(all <= most, "{attempt:?} makes it {all} of {most} {name}");
            let Portion::Indices(own) = portion else { continue };
            let has_one = |other: &&Share| match other.portion(name) {
                Some(Portion::Indices(indices)) => indices.iter().any(|index| own.contains(index)),
                Some(Portion::Amount(_)) | None => false,
            };
            assert!(!others.iter().any(has_one), "{attempt:?} gets {share}, of which another has a part");
        }
    }

    /// Panics if an attempt must not run beside those that do.
    fn check_company(&self, order: &StartOrder, world: &mut World) {
        let task = order.attempt.task;
        let beside = self.running_in(&order.queue);
        let widest = world.ledger.widest.get(&order.queue).copied().unwrap_or(usize::MAX);
        assert!(beside < widest, "{task} started beside {beside} in a queue of {widest} slots");
        if let Task::Gate(_) = task {
            return assert!(beside < 16, "too many scripts of gates at once");
        }
        let Some(run) = order.attempt.run() else {
            return assert!(beside < 4, "too many mails at once");
        };
        if order.env.contains(&b"TASKQ_TRIGGER=callback".to_vec()) {
            world.ledger.callbacks.insert((run.job.0, run.number));
            return;
        }
        let callbacks = &world.ledger.callbacks;
        let is_callback = |run: RunId| callbacks.contains(&(run.job.0, run.number));
        let is_sibling = |process: &&Process| {
            process.ends_at > world.mono
                && process.attempt.run().is_some_and(|other| other.job == run.job && !is_callback(other))
        };
        let sibling = self.processes.values().chain(world.ledger.orphans.values()).find(is_sibling);
        assert!(
            sibling.is_none() || !world.ledger.serial.contains(&run.job.0),
            "{run} started beside {sibling:?} of its serial job"
        );
    }

    /// Sends the next stop signal to a run, and lets its process obey.
    fn strike(
        &mut self,
        pid: u32,
        world: &mut World,
        step: impl FnOnce(&mut Stopping, Duration) -> Option<StopSignal>,
    ) {
        let process = self.processes.get_mut(&pid).expect("as the roster");
        let run = self.roster.run_mut(process.attempt).expect("it has a process");
        let signal = step(&mut run.stopping, world.monotonic());
        match signal {
            None => return,
            Some(StopSignal::Terminate) => {
                let obeys_after = process.obeys_after;
                if let Some(after) = obeys_after.filter(|after| world.mono + after < process.ends_at) {
                    process.ends_at = world.mono + after;
                    process.end = if after % 3 == 0 { End::Exited(0) } else { End::Signaled(15) };
                }
            }
            Some(StopSignal::Kill) => {
                process.ends_at = process.ends_at.min(world.mono + 50);
                process.end = End::Signaled(9);
            }
        }
        world.note(format!("keeper: {} gets {signal:?}, {:?}", process.attempt.task, run.stopping.cause()));
    }
}
