//! Owns: the keeper's loop: wait → reap → expire → listen to the daemon → answer.
//! Never: the database, or what a result means.
//!
//! It sleeps until a child ends, the daemon speaks or a deadline is reached, and for nothing else.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{self, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{getsockopt, sockopt};
use nix::sys::time::TimeSpec;
use nix::unistd;

use crate::clock::Clock;
use crate::domain::{End, Span, StopCause, Timestamp, Usage};

use super::channel::{Channel, Peer};
use super::protocol::{
    Attempt, Ended, FromKeeper, KeeperInstance, PROTOCOL_VERSION, StartExtras, StartOrder, ToKeeper,
};
use super::raw::{self, Reaped};
use super::roster::{Roster, Running};
use super::stopping::{Blow, Stopping};
use super::{farewell, group, host, output_path, process};

/// How many orders are obeyed before anything else is looked at: a thousand starts take a second, and slots that others
/// wait for, and timeouts, do not.
const ORDERS_PER_TURN: usize = 16;

/// A keeper that nobody has spoken to by then was launched by a daemon that died at once. It ends; a daemon that comes
/// later launches another.
const FIRST_HELLO_MAX: Duration = Duration::from_secs(60);

/// The pause after a connection could not be taken up for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What a keeper is told when it is launched.
#[derive(Clone, Debug)]
pub struct KeeperConfig {
    /// Where the output files are; it exists.
    pub log_dir: PathBuf,
    /// Who this keeper is.
    pub instance: KeeperInstance,
}

/// Serves until nothing runs, nothing is unacknowledged and no daemon is connected.
///
/// Takes the whole process for it: signals, session, umask, working directory, and every child, also those that others
/// started. To be called on the main thread of a process that does nothing else.
///
/// # Errors
///
/// If the process cannot be set up, or poll(2) fails: nothing that a daemon does is an error here.
pub fn serve(listener: UnixListener, config: KeeperConfig, clock: &dyn Clock) -> io::Result<()> {
    // Before the working directory changes.
    let log_dir = path::absolute(config.log_dir)?;
    listener.set_nonblocking(true)?;
    let ended = host::settle()?;
    let idle_until = Some(clock.monotonic() + FIRST_HELLO_MAX);
    let server = Server {
        listener,
        log_dir,
        instance: config.instance,
        clock,
        roster: Roster::default(),
        deadlines: BTreeSet::new(),
        remains: HashMap::new(),
        session: None,
        idle_until,
        accept_at: None,
        unreaped: false,
    };
    // Dropping it at the end closes the socket, which is how a daemon in the backlog learns that it came too late.
    server.run(&ended)
}

/// The one connection to a daemon.
struct Session {
    channel: Channel,
    peer: Peer,
    /// Its `Hello` was answered.
    greeted: bool,
    /// Complete orders may be left in the buffer.
    behind: bool,
}

struct Server<'a> {
    listener: UnixListener,
    log_dir: PathBuf,
    instance: KeeperInstance,
    clock: &'a dyn Clock,
    roster: Roster,
    /// When which group is due for a signal.
    deadlines: BTreeSet<(Duration, u32)>,
    /// Groups that were told to stop and whose leader has ended, and when the rest of them is killed.
    remains: HashMap<u32, Duration>,
    session: Option<Session>,
    /// Until the first hello: how long to wait for it.
    idle_until: Option<Duration>,
    /// The end of an `ACCEPT_PAUSE`.
    accept_at: Option<Duration>,
    /// A child may have ended since the last look.
    unreaped: bool,
}

/// What woke the loop up.
struct Ready {
    children: bool,
    newcomer: bool,
}

impl Server<'_> {
    fn run(mut self, ended: &UnixStream) -> io::Result<()> {
        loop {
            let ready = self.wait(ended)?;
            if ready.children {
                host::drain(ended);
                self.unreaped = true;
            }
            if self.unreaped && !self.is_starting_many() {
                self.unreaped = false;
                self.reap();
            }
            self.expire();
            self.converse();
            if ready.newcomer && self.session.as_ref().is_none_or(|session| !session.greeted) {
                self.accept();
            }
            self.answer();
            // The last look at the backlog makes it rare, not impossible, that a daemon finds a keeper that is ending.
            if self.is_idle() && !self.accept() {
                // Where it cannot be said, a run that was never started counts as lost: wrong, and safe.
                let _ = farewell::say(&self.log_dir, self.instance);
                return Ok(());
            }
        }
    }

    /// Tells whether orders have come that start at once: then what is due comes first, and ends wait. An end that has to
    /// make room for a start does not wait.
    fn is_starting_many(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.behind) && !self.roster.has_waiting()
    }

    /// Sleeps until there is something to do.
    fn wait(&self, ended: &UnixStream) -> io::Result<Ready> {
        let mut fds = vec![PollFd::new(ended.as_fd(), PollFlags::POLLIN)];
        // One daemon at a time: the next one is heard only when everything of the last one is known. One that has not
        // said hello has ordered nothing, and does not keep others out.
        let open = self.accept_at.is_none() && self.session.as_ref().is_none_or(|session| !session.greeted);
        if open {
            fds.push(PollFd::new(self.listener.as_fd(), PollFlags::POLLIN));
        }
        if let Some(session) = self.session.as_ref().filter(|session| session.peer == Peer::Open) {
            let mut events = PollFlags::POLLIN;
            events.set(PollFlags::POLLOUT, session.channel.wants_write());
            fds.push(PollFd::new(session.channel.as_fd(), events));
        }
        // Interrupted means a signal, most likely SIGCHLD: a slot may be free, and asking poll again would only cost time.
        match ppoll(&mut fds, self.patience().map(TimeSpec::from_duration), None) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Ready { children: true, newcomer: false }),
            Err(errno) => return Err(errno.into()),
        }
        let ready = |fd: Option<&PollFd>| fd.is_some_and(|fd| fd.any() == Some(true));
        Ok(Ready { children: ready(fds.first()), newcomer: open && ready(fds.get(1)) })
    }

    /// Returns how long there is nothing to do by itself; `None`: for ever.
    fn patience(&self) -> Option<Duration> {
        if self.session.as_ref().is_some_and(|session| session.behind || session.peer == Peer::Gone) {
            return Some(Duration::ZERO);
        }
        let stop = self.deadlines.first().map(|(at, _)| *at);
        let hello = self.idle_until.filter(|_| self.session.is_none());
        let next = [stop, hello, self.accept_at].into_iter().flatten().min()?;
        Some(next.saturating_sub(self.clock.monotonic()))
    }

    fn is_idle(&self) -> bool {
        let waits = self.idle_until.is_some_and(|until| self.clock.monotonic() < until);
        self.session.is_none() && self.roster.is_empty() && self.remains.is_empty() && !waits
    }

    /// Reaps every child that has ended, gives their slots away, and tells of their ends.
    fn reap(&mut self) {
        let mut ends: Vec<(Running, Reaped, Timestamp)> = Vec::new();
        let mut orphans = false;
        while let Some(reaped) = raw::reap_one() {
            match self.roster.leave(reaped.pid) {
                Some(run) => ends.push((run, reaped, self.clock.now())),
                None => orphans = true,
            }
        }
        if orphans {
            self.forget_dead_remains();
        }
        // Asked only now that everything was reaped: a zombie counts as a member. A killed group is dead, if perhaps
        // not quite yet.
        let group_alive: Vec<bool> =
            ends.iter().map(|(run, ..)| !run.stopping.is_killed() && group::is_alive(run.pid)).collect();
        // A free slot is time lost, so the next run starts before anything is done about the last.
        for (run, ..) in &ends {
            self.fill(&run.queue);
        }
        for ((run, reaped, finished_at), group_alive) in ends.into_iter().zip(group_alive) {
            self.left(&run, reaped, finished_at, group_alive);
        }
    }

    /// A run's leader was reaped.
    fn left(&mut self, run: &Running, reaped: Reaped, finished_at: Timestamp, group_alive: bool) {
        if let Some(at) = run.stopping.deadline() {
            self.deadlines.remove(&(at, run.pid));
        }
        if let Some(kill_at) = run.stopping.kill_at().filter(|_| group_alive) {
            self.remains.insert(run.pid, kill_at);
            self.deadlines.insert((kill_at, run.pid));
        }
        let output = output_path(&self.log_dir, run.attempt.run);
        self.conclude(Ended {
            attempt: run.attempt,
            pid: run.pid,
            started_at: Some(run.started_at),
            finished_at,
            end: reaped.end,
            stopped: run.stopping.cause(),
            usage: reaped.usage,
            output_bytes: process::settle_output(&output, group_alive),
            group_alive,
        });
    }

    fn forget_dead_remains(&mut self) {
        let deadlines = &mut self.deadlines;
        self.remains.retain(|leader, kill_at| {
            let alive = group::is_alive(*leader);
            if !alive {
                deadlines.remove(&(*kill_at, *leader));
            }
            alive
        });
    }

    /// Starts what a queue has slots for.
    fn fill(&mut self, queue: &str) {
        while let Some((order, extras)) = self.roster.next(queue) {
            self.start(order, &extras);
        }
        self.roster.tidy(queue);
    }

    fn start(&mut self, order: StartOrder, extras: &StartExtras) {
        let output = output_path(&self.log_dir, order.attempt.run);
        // Read before the start, so that nothing of the run comes before it.
        let (started_at, now) = (self.clock.now(), self.clock.monotonic());
        let pid = match process::start(&order, extras, &output) {
            Ok(pid) => pid,
            Err(refusal) => {
                let end = End::SpawnFailed { status: refusal.status, cause: refusal.cause };
                let output_bytes = process::settle_output(&output, false);
                self.conclude(Ended { output_bytes, ..self.without_process(order.attempt, end, None) });
                return;
            }
        };
        // A number that comes again has nobody left of the group that it once stood for.
        if let Some(kill_at) = self.remains.remove(&pid) {
            self.deadlines.remove(&(kill_at, pid));
        }
        let timeout = order.timeout.map(Span::as_duration);
        let stopping = Stopping::new(now, timeout, order.kill_after.as_duration());
        if let Some(at) = stopping.deadline() {
            self.deadlines.insert((at, pid));
        }
        let attempt = order.attempt;
        self.roster.started(Running { attempt, queue: order.queue, pid, started_at, stopping });
        self.say(&FromKeeper::Started { attempt, pid, at: started_at });
    }

    fn without_process(&self, attempt: Attempt, end: End, stopped: Option<StopCause>) -> Ended {
        Ended {
            attempt,
            pid: 0,
            started_at: None,
            finished_at: self.clock.now(),
            end,
            stopped,
            usage: Usage::default(),
            output_bytes: 0,
            group_alive: false,
        }
    }

    fn conclude(&mut self, ended: Ended) {
        self.say(&FromKeeper::Ended(ended.clone()));
        self.roster.ended(ended);
    }

    /// Does what is due: sends signals, ends pauses.
    fn expire(&mut self) {
        let now = self.clock.monotonic();
        self.accept_at = self.accept_at.filter(|at| *at > now);
        if self.deadlines.first().is_none_or(|(at, _)| *at > now) {
            return;
        }
        // What has ended by itself is not to be called stopped.
        self.reap();
        while let Some((at, leader)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(at, leader));
            if self.remains.remove(&leader).is_some() {
                group::kill_remains(leader);
            } else {
                self.strike(leader, |stopping| stopping.expire(now));
            }
        }
    }

    /// Moves the stopping of a run on and sends what comes of it.
    fn strike(&mut self, leader: u32, step: impl FnOnce(&mut Stopping) -> Option<Blow>) {
        let run = self.roster.running_mut(leader).expect("a deadline goes away with its run");
        let before = run.stopping.deadline();
        if let Some(blow) = step(&mut run.stopping) {
            group::strike(leader, blow);
        }
        let after = run.stopping.deadline();
        if before != after {
            before.map(|at| self.deadlines.remove(&(at, leader)));
            after.map(|at| self.deadlines.insert((at, leader)));
        }
    }

    /// Takes up the next connection, if there is one that may be.
    fn accept(&mut self) -> bool {
        match self.listener.accept() {
            Ok((stream, _)) => {
                let channel = if is_trusted(&stream) { Channel::new(stream).ok() } else { None };
                self.session =
                    channel.map(|channel| Session { channel, peer: Peer::Open, greeted: false, behind: false });
                true
            }
            Err(error) => {
                let ordinary = matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted
                );
                if !ordinary {
                    self.accept_at = Some(self.clock.monotonic() + ACCEPT_PAUSE);
                }
                false
            }
        }
    }

    /// Reads and obeys what the daemon says, up to a bound.
    fn converse(&mut self) {
        let Some(session) = &mut self.session else { return };
        if !session.behind && session.peer == Peer::Open {
            session.peer = session.channel.fill();
        }
        for _ in 0..ORDERS_PER_TURN {
            let Some(session) = &mut self.session else { return };
            match session.channel.take::<ToKeeper>() {
                Ok(Some(message)) => self.obey(message),
                Ok(None) => {
                    session.behind = false;
                    // Only now that its last order was obeyed is a daemon gone: the next one's hello must name it. Half
                    // a message is none: its sender cannot have counted on it.
                    if session.peer == Peer::Gone {
                        self.session = None;
                    }
                    return;
                }
                Err(_) => self.session = None,
            }
        }
        if let Some(session) = &mut self.session {
            session.behind = true;
        }
    }

    fn obey(&mut self, message: ToKeeper) {
        let greeted = self.session.as_ref().is_some_and(|session| session.greeted);
        match message {
            ToKeeper::Hello { version: _ } if !greeted => self.greet(),
            // Out of turn: whoever this is, it is not a daemon.
            ToKeeper::Hello { version: _ } => self.session = None,
            _ if !greeted => self.session = None,
            ToKeeper::Start(order) => self.admit(order, StartExtras::default()),
            ToKeeper::StartWith(order, extras) => self.admit(order, extras),
            ToKeeper::Stop { attempt, now } => self.stop(attempt, now),
            ToKeeper::Recall { attempt } => self.recall(attempt, None),
            ToKeeper::Acknowledge { attempts } => self.roster.acknowledge(&attempts),
            ToKeeper::Resize { queue, slots } => {
                self.roster.resize(&queue, slots);
                self.fill(&queue);
            }
        }
    }

    fn admit(&mut self, order: StartOrder, extras: StartExtras) {
        if let Some(queue) = self.roster.admit(order, extras) {
            self.fill(&queue);
        }
    }

    fn greet(&mut self) {
        self.idle_until = None;
        if let Some(session) = &mut self.session {
            session.greeted = true;
        }
        let (version, instance) = (PROTOCOL_VERSION, self.instance);
        let (known, ended) = (self.roster.known(), self.roster.results());
        self.say(&FromKeeper::Hello { version, instance, known, ended });
    }

    fn stop(&mut self, attempt: Attempt, at_once: bool) {
        // What has ended by itself is not to be called stopped.
        self.reap();
        let now = self.clock.monotonic();
        match self.roster.pid_of(attempt) {
            Some(leader) => self.strike(leader, |stopping| stopping.cancel(now, at_once)),
            None => self.recall(attempt, Some(StopCause::Cancelled)),
        }
    }

    fn recall(&mut self, attempt: Attempt, stopped: Option<StopCause>) {
        if self.roster.withdraw(attempt) {
            self.conclude(self.without_process(attempt, End::NotStarted, stopped));
        }
    }

    /// Adds a message to this turn's answer. Without a daemon it is not lost: the next hello brings everything.
    fn say(&mut self, message: &FromKeeper) {
        let Some(session) = self.session.as_mut().filter(|session| session.greeted) else { return };
        if session.channel.queue(message).is_err() {
            self.session = None;
        }
    }

    fn answer(&mut self) {
        if let Some(session) = &mut self.session {
            // A daemon that reads no more may have left orders behind; they are read to the end before it is given up.
            let _ = session.channel.flush();
        }
    }
}

/// Whether whoever connected is the keeper's own user, or root.
fn is_trusted(stream: &UnixStream) -> bool {
    getsockopt(stream, sockopt::PeerCredentials)
        .is_ok_and(|peer| peer.uid() == unistd::geteuid().as_raw() || peer.uid() == 0)
}
