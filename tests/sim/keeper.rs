//! Owns: a keeper that obeys the protocol as the real one does, whose processes are a script and a span of
//! time.
//!
//! The ledger is what really happened. It outlives keepers, so that what the run log tells can be held
//! against it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use taskq::domain::{End, Span, StopCause, Timestamp, Usage};
use taskq::keeper::protocol::{
    Attempt, Ended, FromKeeper, KeeperInstance, Known, PROTOCOL_VERSION, SeekOrder, StartOrder, ToKeeper,
};

use crate::rng::Rng;

/// What a process does.
#[derive(Clone, Debug)]
pub struct Script {
    /// How long it runs if nobody stops it, in microseconds.
    pub lasts: u64,
    /// How it then ends.
    pub end: End,
    /// How long after a TERM it ends; `None`: it ignores it.
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
            16 | 17 => End::Signaled(*rng.pick(&[1, 6, 9, 11, 15])),
            _ => End::SpawnFailed { status: *rng.pick(&[125, 126, 127]), cause: "scripted".to_owned() },
        };
        let obeys_after = rng.chance(800).then(|| rng.span(100, 20_000_000));
        Self { lasts, end, obeys_after }
    }
}

/// What happened, whoever remembers it.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Every try to start an attempt, by the keeper that tried. More than one is a broken promise.
    pub starts: BTreeMap<Attempt, KeeperInstance>,
    /// Every end that a keeper saw; an attempt that is withdrawn and told again has several.
    pub ends: BTreeMap<Attempt, Vec<Ended>>,
    /// Keepers that died.
    pub dead: BTreeSet<KeeperInstance>,
    /// Keepers that went down with the machine, and all that they had started.
    pub down: BTreeSet<KeeperInstance>,
    /// Processes of keepers that died, until another keeper has found them or their end.
    pub orphans: BTreeMap<Attempt, Process>,
    /// Serial jobs, of which two processes never run at once under one keeper.
    pub serial: BTreeSet<i64>,
    /// The widest that a queue may be, as far as a keeper can know.
    pub widest: BTreeMap<String, usize>,
}

/// What a keeper may touch of the world.
pub struct Stage<'a> {
    /// Monotonic microseconds.
    pub mono: u64,
    pub wall: Timestamp,
    pub rng: &'a mut Rng,
    pub scripts: &'a mut VecDeque<Script>,
    pub mail_scripts: &'a mut VecDeque<Script>,
    pub ledger: &'a mut Ledger,
    pub trace: &'a mut dyn FnMut(String),
}

/// A process, whoever watches it.
#[derive(Debug)]
pub struct Process {
    order: StartOrder,
    pid: u32,
    started_at: Timestamp,
    ends_at: u64,
    end: End,
    obeys_after: Option<u64>,
    timeout_at: Option<u64>,
    kill_at: Option<u64>,
    stopped: Option<StopCause>,
    is_unattended: bool,
}

#[derive(Debug, Default)]
struct Queue {
    slots: usize,
    waiting: VecDeque<StartOrder>,
}

/// A keeper.
#[derive(Debug)]
pub struct Keeper {
    pub instance: KeeperInstance,
    /// The session whose hello it answered last; what it says goes to that daemon.
    pub session: Option<u64>,
    pub said: Vec<(u64, FromKeeper)>,
    running: BTreeMap<Attempt, Process>,
    queues: BTreeMap<String, Queue>,
    ended: BTreeMap<Attempt, Ended>,
    pids: u32,
}

impl Keeper {
    pub fn new(instance: KeeperInstance) -> Self {
        Self {
            instance,
            session: None,
            said: Vec::new(),
            running: BTreeMap::new(),
            queues: BTreeMap::new(),
            ended: BTreeMap::new(),
            pids: 1000,
        }
    }

    pub fn is_idle(&self) -> bool {
        self.running.is_empty()
            && self.ended.is_empty()
            && self.queues.values().all(|queue| queue.waiting.is_empty())
    }

    pub fn unacknowledged(&self) -> usize {
        self.ended.len()
    }

    /// Returns the processes, each with its queue and whether it was told to stop.
    pub fn processes(&self) -> impl Iterator<Item = (Attempt, &str, bool)> {
        self.running
            .iter()
            .map(|(attempt, process)| (*attempt, process.order.queue.as_str(), process.stopped.is_some()))
    }

    pub fn running_in(&self, queue: &str) -> usize {
        self.running.values().filter(|process| process.order.queue == queue).count()
    }

    pub fn standing_by(&self, queue: &str) -> Vec<Attempt> {
        self.queues
            .get(queue)
            .map(|queue| queue.waiting.iter().map(|order| order.attempt).collect())
            .unwrap_or_default()
    }

    /// Returns what runs or stands by.
    pub fn known(&self) -> Vec<Known> {
        let running = self.running.iter().map(|(attempt, process)| Known {
            attempt: *attempt,
            started: Some((process.pid, process.started_at)),
        });
        let waiting = self.queues.values().flat_map(|queue| &queue.waiting);
        let mut known: Vec<Known> =
            running.chain(waiting.map(|order| Known { attempt: order.attempt, started: None })).collect();
        known.sort_by_key(|known| known.attempt);
        known
    }

    /// Returns when something happens by itself.
    pub fn next_event(&self) -> Option<u64> {
        self.running
            .values()
            .filter_map(|p| [Some(p.ends_at), p.timeout_at, p.kill_at].into_iter().flatten().min())
            .min()
    }

    pub fn obey(&mut self, session: u64, message: ToKeeper, stage: &mut Stage<'_>) {
        match message {
            ToKeeper::Hello { .. } => {
                self.session = Some(session);
                let mut ended: Vec<Ended> = self.ended.values().cloned().collect();
                ended.sort_by_key(|ended| ended.finished_at);
                let (version, instance, known) = (PROTOCOL_VERSION, self.instance, self.known());
                self.say(FromKeeper::Hello { version, instance, known, ended });
            }
            ToKeeper::Start(order, _) => {
                if !self.knows(order.attempt) {
                    let name = order.queue.clone();
                    let queue = self.queues.entry(name.clone()).or_default();
                    queue.slots = order.slots as usize;
                    queue.waiting.push_back(order);
                    self.fill(&name, stage);
                }
            }
            ToKeeper::Seek(order) => self.seek(&order, stage),
            ToKeeper::Stop { attempt, now } => match self.running.get_mut(&attempt) {
                Some(process) => strike(process, StopCause::Cancelled, now, stage),
                None => self.withdraw(attempt, Some(StopCause::Cancelled), stage),
            },
            ToKeeper::Recall { attempt } => self.withdraw(attempt, None, stage),
            ToKeeper::Acknowledge { attempts } => {
                for attempt in attempts {
                    self.ended.remove(&attempt);
                }
            }
            ToKeeper::Resize { queue: name, slots } => {
                if let Some(queue) = self.queues.get_mut(&name) {
                    queue.slots = slots as usize;
                    self.fill(&name, stage);
                }
            }
        }
    }

    fn knows(&self, attempt: Attempt) -> bool {
        self.ended.contains_key(&attempt) || self.known().iter().any(|known| known.attempt == attempt)
    }

    /// Finds what a keeper that died has left of an attempt, as the real one does by pipes and processes.
    fn seek(&mut self, order: &SeekOrder, stage: &mut Stage<'_>) {
        let (attempt, keeper) = (order.attempt, self.instance);
        if let Some(process) = self.running.get(&attempt) {
            let (pid, at) = (process.pid, process.started_at);
            return self.say(FromKeeper::Unattended { attempt, keeper, pid, at });
        }
        if self.knows(attempt) {
            return;
        }
        let found = stage.ledger.orphans.remove(&attempt);
        let Some(mut process) = found.filter(|process| process.ends_at > stage.mono) else {
            let has_begun = stage.ledger.starts.contains_key(&attempt);
            let end = if has_begun || order.started.is_some() { End::Lost } else { End::NotStarted };
            let (pid, started_at) = order.started.unzip();
            let unseen = without_process(attempt, stage.wall);
            self.conclude(Ended { end, pid: pid.unwrap_or(0), started_at, ..unseen }, stage);
            return;
        };
        let ran = stage.wall.since(process.started_at).as_micros();
        process.timeout_at =
            order.timeout.map(|timeout| stage.mono + timeout.as_micros().saturating_sub(ran));
        (process.kill_at, process.stopped, process.is_unattended) = (None, None, true);
        self.queues.entry(order.queue.clone()).or_default().slots = order.slots as usize;
        let (pid, at) = (process.pid, process.started_at);
        self.running.insert(attempt, process);
        self.say(FromKeeper::Unattended { attempt, keeper, pid, at });
    }

    /// Does what is due: ends first, so that what ended by itself is not called stopped.
    pub fn expire(&mut self, stage: &mut Stage<'_>) {
        loop {
            let due: Vec<Attempt> = self
                .running
                .iter()
                .filter(|(_, p)| p.ends_at <= stage.mono)
                .map(|(attempt, _)| *attempt)
                .collect();
            if due.is_empty() {
                break;
            }
            let gone: Vec<Process> = due.iter().filter_map(|attempt| self.running.remove(attempt)).collect();
            for process in &gone {
                self.fill(&process.order.queue, stage);
            }
            for process in gone {
                let ended = Ended {
                    pid: process.pid,
                    started_at: Some(process.started_at),
                    end: if process.is_unattended { End::Lost } else { process.end },
                    stopped: process.stopped,
                    usage: Usage { user: Span::from_millis(1), system: Span::ZERO, max_rss_kib: 640 },
                    output_bytes: 3,
                    ..without_process(process.order.attempt, stage.wall)
                };
                self.conclude(ended, stage);
            }
        }
        for process in self.running.values_mut() {
            if process.timeout_at.is_some_and(|at| at <= stage.mono) {
                strike(process, StopCause::TimedOut, false, stage);
            }
            if process.kill_at.is_some_and(|at| at <= stage.mono) {
                kill(process, stage);
            }
        }
    }

    /// Everything it knew is gone; its processes live on.
    pub fn die(self, ledger: &mut Ledger) {
        ledger.dead.insert(self.instance);
        ledger.orphans.extend(self.running.into_iter().filter(|(attempt, _)| attempt.run().is_some()));
    }

    fn say(&mut self, message: FromKeeper) {
        if let Some(session) = self.session {
            self.said.push((session, message));
        }
    }

    fn withdraw(&mut self, attempt: Attempt, stopped: Option<StopCause>, stage: &mut Stage<'_>) {
        let Some(queue) =
            self.queues.values_mut().find(|q| q.waiting.iter().any(|order| order.attempt == attempt))
        else {
            return;
        };
        queue.waiting.retain(|order| order.attempt != attempt);
        self.conclude(Ended { stopped, ..without_process(attempt, stage.wall) }, stage);
    }

    fn conclude(&mut self, ended: Ended, stage: &mut Stage<'_>) {
        (stage.trace)(format!("keeper: {} ended {:?} {:?}", ended.attempt.task, ended.end, ended.stopped));
        stage.ledger.ends.entry(ended.attempt).or_default().push(ended.clone());
        self.ended.insert(ended.attempt, ended.clone());
        self.say(FromKeeper::Ended(ended));
    }

    fn fill(&mut self, name: &str, stage: &mut Stage<'_>) {
        while let Some(queue) = self.queues.get_mut(name)
            && self.running.values().filter(|process| process.order.queue == name).count() < queue.slots
            && let Some(order) = queue.waiting.pop_front()
        {
            self.start(order, stage);
        }
        if self.running_in(name) == 0 && self.queues.get(name).is_some_and(|queue| queue.waiting.is_empty()) {
            self.queues.remove(name);
        }
    }

    fn start(&mut self, order: StartOrder, stage: &mut Stage<'_>) {
        let attempt = order.attempt;
        let before = stage.ledger.starts.insert(attempt, self.instance);
        let script = if attempt.run().is_none() {
            assert!(before != Some(self.instance), "{attempt:?} was sent twice by one keeper");
            stage.mail_scripts.pop_front().unwrap_or_else(|| Script::lasting(1))
        } else {
            assert!(before.is_none(), "{attempt:?} was started twice, first by keeper {before:?}");
            stage.scripts.pop_front().unwrap_or_else(|| Script::random(stage.rng))
        };
        (stage.trace)(format!("keeper: {} starts, {script:?}", attempt.task));
        if let End::SpawnFailed { .. } = script.end {
            self.conclude(Ended { end: script.end, ..without_process(attempt, stage.wall) }, stage);
            return;
        }
        let job = attempt.run().map(|run| run.job);
        let is_of_job = |other: &Attempt| other.run().map(|run| run.job) == job;
        let is_serial = job.is_some_and(|job| stage.ledger.serial.contains(&job.0));
        let sibling = self.running.keys().find(|other| job.is_some() && is_of_job(other));
        assert!(attempt.run().is_some() || self.running_in(&order.queue) < 4, "too many mails at once");
        assert!(
            sibling.is_none() || !is_serial,
            "{} started beside {sibling:?} of its serial job",
            attempt.task
        );
        let is_beside =
            |(other, process): (&Attempt, &Process)| is_of_job(other) && process.ends_at > stage.mono;
        assert!(
            !stage.ledger.orphans.iter().any(is_beside) || !is_serial,
            "{} started beside a process of its serial job that a dead keeper has left",
            attempt.task
        );
        let widest = stage.ledger.widest.get(&order.queue).copied().unwrap_or(usize::MAX);
        let beside = self.running_in(&order.queue);
        assert!(beside < widest, "{} started beside {beside} in a queue of {widest} slots", attempt.task);
        self.pids += 1;
        let process = Process {
            pid: self.pids,
            started_at: stage.wall,
            ends_at: stage.mono + script.lasts,
            end: script.end,
            obeys_after: script.obeys_after,
            timeout_at: order.timeout.map(|timeout| stage.mono + timeout.as_micros()),
            kill_at: None,
            stopped: None,
            is_unattended: false,
            order,
        };
        let (pid, at) = (process.pid, process.started_at);
        self.running.insert(attempt, process);
        self.say(FromKeeper::Started { attempt, pid, at });
    }
}

fn without_process(attempt: Attempt, at: Timestamp) -> Ended {
    Ended {
        attempt,
        pid: 0,
        started_at: None,
        finished_at: at,
        end: End::NotStarted,
        stopped: None,
        usage: Usage::default(),
        output_bytes: 0,
        is_output_open: false,
    }
}

/// TERM, or KILL at once; the first cause stays.
fn strike(process: &mut Process, cause: StopCause, at_once: bool, stage: &mut Stage<'_>) {
    let first = process.stopped.is_none();
    process.stopped = process.stopped.or(Some(cause));
    process.timeout_at = None;
    (stage.trace)(format!("keeper: {} is struck, {cause:?}, at once {at_once}", process.order.attempt.task));
    if at_once {
        kill(process, stage);
    } else if first {
        process.kill_at = Some(stage.mono + process.order.kill_after.as_micros());
        if let Some(after) = process.obeys_after.filter(|after| stage.mono + after < process.ends_at) {
            process.ends_at = stage.mono + after;
            process.end = if after % 3 == 0 { End::Exited(0) } else { End::Signaled(15) };
        }
    }
}

fn kill(process: &mut Process, stage: &mut Stage<'_>) {
    process.kill_at = None;
    process.timeout_at = None;
    process.ends_at = process.ends_at.min(stage.mono + 50);
    process.end = End::Signaled(9);
}
