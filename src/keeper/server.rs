//! Owns: the keeper's loop: wait → reap → expire → read the daemon's orders → answer.
//! Never: the database, or the meaning of a result.
//!
//! It wakes up only when a child ends, the daemon sends bytes or a deadline is reached.

mod attempts;
mod ending;
mod unattended;

use std::collections::{BTreeSet, HashMap};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{self, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use nix::unistd;

use crate::clock::Clock;
use crate::seal::OutputKeys;
use crate::system::directory::OpenDirectory;
use crate::system::sockets;

use super::cgroup::Cgroups;
use super::channel::Channel;
use super::delegation::step_aside;
use super::drain::Drain;
use super::limits::{DescriptorLimit, raise_descriptor_limit};
use super::lock;
use super::log_directory::{LogDirectory, Sealing};
use super::pipe::Pipes;
use super::protocol::{Attempt, Ended, FromKeeper, KeeperInstance, PROTOCOL_VERSION, ToKeeper};
use super::roster::Roster;
use super::scope::Scope;
use super::search::Survey;
use super::{LOG_DIRECTORY, SOCKET, exit_marker, setup};
use ending::Lingering;

/// How many orders are obeyed in one turn. A thousand starts take a second, which is too long for timeouts
/// and for runs that wait for a slot.
const ORDERS_PER_TURN: usize = 16;

/// A keeper without a hello by then was launched by a daemon that died at once. It exits; a later daemon
/// launches another.
const FIRST_HELLO_MAX: Duration = Duration::from_secs(60);

/// The pause after a connection could not be accepted for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// How often a keeper that only keeps results for the next daemon checks that its store is still there.
const STORE_CHECK: Duration = Duration::from_secs(60);

/// The settings of a keeper.
#[derive(Clone, Debug)]
pub struct KeeperConfig {
    /// The store's directory.
    pub dir: PathBuf,
    pub instance: KeeperInstance,
    /// The soft limit of descriptors that runs get, if it is not the keeper's own.
    pub descriptors: Option<u64>,
    /// The store is sealed: it starts nothing and copies nothing until the daemon has sent it the keys.
    pub is_sealed: bool,
}

/// Serves until nothing runs, nothing is unacknowledged and no daemon is connected.
///
/// Uses the whole process: signals, session, umask, working directory, and every child, also those that it
/// did not start. To be called on the main thread of a process that does nothing else.
///
/// # Errors
///
/// If the process cannot be set up, or poll(2) fails: nothing that a daemon does is an error here.
pub fn serve(listener: UnixListener, config: KeeperConfig, clock: &dyn Clock) -> io::Result<()> {
    // Before the working directory changes.
    let dir = OpenDirectory::open(&path::absolute(config.dir)?)?;
    if dir.owner != unistd::geteuid().as_raw() {
        return Err(ErrorKind::PermissionDenied.into());
    }
    listener.set_nonblocking(true)?;
    let signals = setup::become_keeper()?;
    step_aside();
    let _lock = lock::acquire(&dir.below(""))?;
    let sealing = if config.is_sealed { Sealing::Locked } else { Sealing::Off };
    let log_dir = LogDirectory::new(dir.below(LOG_DIRECTORY), sealing);
    let mut server = Server {
        listener,
        drain: Drain::start(&log_dir)?,
        pipes: Pipes::new(log_dir.path.clone()),
        cgroups: Cgroups::find(&dir),
        log_dir,
        dir,
        limit: raise_descriptor_limit(config.descriptors),
        instance: config.instance,
        clock,
        roster: Roster::default(),
        deadlines: BTreeSet::new(),
        doomed: Vec::new(),
        lingering: HashMap::new(),
        delays: HashMap::new(),
        refused: HashMap::new(),
        settling: HashMap::new(),
        unattended: HashMap::new(),
        survey: None,
        connection: None,
        idle_until: Some(clock.monotonic() + FIRST_HELLO_MAX),
        accept_at: None,
        store_check_at: None,
        unreaped: false,
        scope: Scope::own(),
        is_closing: false,
    };
    if !config.is_sealed {
        server.take_over_pipes();
    }
    // Dropped at the end, it closes the socket: that is how a daemon in the backlog finds that it came too
    // late.
    server.run(&signals)
}

/// The one connection to a daemon.
struct Connection {
    channel: Channel,
    /// Its `Hello` was answered.
    greeted: bool,
    /// Complete orders may be left in the buffer.
    behind: bool,
}

struct Server<'a> {
    listener: UnixListener,
    /// Dropped before `dir`: its thread does what was asked last, by names in that directory.
    drain: Drain,
    /// The store's directory, which was there at the start: everything goes into it.
    dir: OpenDirectory,
    log_dir: LogDirectory,
    pipes: Pipes,
    cgroups: Cgroups,
    /// The limit of descriptors that runs get, if the keeper has raised its own.
    limit: Option<DescriptorLimit>,
    instance: KeeperInstance,
    clock: &'a dyn Clock,
    roster: Roster,
    /// When which run is due for a signal.
    deadlines: BTreeSet<(Duration, Attempt)>,
    /// Runs that are due for KILL.
    doomed: Vec<Attempt>,
    /// Runs whose first process has ended and others have not.
    lingering: HashMap<Attempt, Lingering>,
    /// Queues whose next start the system has refused, with the time at which it is tried again.
    delays: HashMap<String, Duration>,
    /// Attempts that could not be started, with the time of the first try.
    refused: HashMap<Attempt, Duration>,
    /// Results whose output is not in its file yet.
    settling: HashMap<Attempt, Ended>,
    /// The first processes of runs that another keeper started, by process id.
    unattended: HashMap<u32, OwnedFd>,
    /// All processes, while a turn's orders are about some of them.
    survey: Option<Survey>,
    connection: Option<Connection>,
    /// Until the first hello: how long to wait for it.
    idle_until: Option<Duration>,
    /// The end of an `ACCEPT_PAUSE`.
    accept_at: Option<Duration>,
    /// When to look whether the store is still there.
    store_check_at: Option<Duration>,
    /// A child may have ended since the last look.
    unreaped: bool,
    /// The scope that was made for the keeper, if one was.
    scope: Option<Scope>,
    /// The scope is being stopped: all runs have got TERM, and nothing more starts.
    is_closing: bool,
}

/// The events that have ended a wait.
struct Ready {
    children: bool,
    newcomer: bool,
}

impl Server<'_> {
    fn run(mut self, signals: &setup::Signals) -> io::Result<()> {
        loop {
            let ready = self.wait(signals)?;
            if ready.children {
                signals.drain();
                self.unreaped = true;
            }
            if signals.take_hangup() {
                self.listen_anew();
            }
            if signals.take_termination() {
                self.is_closing |= self.scope.as_ref().is_some_and(Scope::is_stopping);
            }
            if self.unreaped && !self.is_starting_many() {
                self.unreaped = false;
                self.reap();
            }
            self.expire();
            self.read_orders();
            if !self.is_behind() {
                self.kill_doomed();
                self.survey = None;
            }
            for settled in self.drain.answers() {
                self.conclude_settled(settled);
            }
            if ready.newcomer && !self.is_greeted() {
                self.accept();
            }
            self.answer();
            self.drain.flush(self.roster.has_running());
            if self.is_of_no_use() {
                return Ok(());
            }
            // The last look at the backlog makes it rare, not impossible, that a daemon connects to a
            // keeper that is exiting.
            if self.is_closed() || self.is_idle() && !self.accept() {
                // Without the marker a run that was never started counts as lost: wrong, but safe. With it a
                // run whose result nobody has would start again.
                if !self.roster.has_results() {
                    let _ = exit_marker::leave(&self.log_dir.path, self.instance);
                }
                return Ok(());
            }
        }
    }

    /// Makes the socket again, for a daemon that found the lock and could not connect. If that fails, the
    /// daemon asks again.
    fn listen_anew(&mut self) {
        self.store_check_at = Some(Duration::ZERO);
        if !self.dir.is_gone()
            && let Ok(listener) = sockets::listen(&self.dir.below(""), SOCKET)
        {
            self.listener = listener;
        }
    }

    /// Returns whether nothing runs and the results will never be fetched, because the store is gone.
    fn is_of_no_use(&mut self) -> bool {
        if self.connection.is_some() || self.roster.has_running() || self.roster.has_waiting() {
            self.store_check_at = None;
            return false;
        }
        let now = self.clock.monotonic();
        if self.store_check_at.is_none_or(|at| at > now) {
            self.store_check_at.get_or_insert(now + STORE_CHECK);
            return false;
        }
        self.store_check_at = Some(now + STORE_CHECK);
        self.dir.is_gone()
    }

    /// Returns whether many orders that start at once have arrived: then timeouts come first, and reaping
    /// waits. It does not wait if a start needs the slot.
    fn is_starting_many(&self) -> bool {
        self.is_behind() && !self.roster.has_waiting()
    }

    /// Returns whether orders have arrived that were not read.
    fn is_behind(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.behind)
    }

    /// Sleeps until there is something to do.
    fn wait(&mut self, signals: &setup::Signals) -> io::Result<Ready> {
        let poll_timeout = self.poll_timeout();
        let mut fds = vec![
            PollFd::new(signals.woken.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.drain.as_fd(), PollFlags::POLLIN),
        ];
        // One daemon at a time: the next one is read only when everything from the last one was read. One
        // that has not said hello has ordered nothing, and does not keep others out.
        let open = self.accept_at.is_none() && !self.is_greeted();
        let listener = open.then_some(fds.len());
        if open {
            fds.push(PollFd::new(self.listener.as_fd(), PollFlags::POLLIN));
        }
        if let Some(Connection { channel, .. }) = &self.connection
            && !channel.is_ended()
        {
            let mut events = PollFlags::POLLIN;
            events.set(PollFlags::POLLOUT, channel.wants_write());
            fds.push(PollFd::new(channel.as_fd(), events));
        }
        let processes = fds.len();
        let awaited = self.unattended.values().map(AsFd::as_fd).chain(self.lingering_fds());
        fds.extend(awaited.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        // Interrupted means a signal, most likely SIGCHLD: a slot may be free, and another poll would only
        // cost time.
        match ppoll(&mut fds, poll_timeout.map(TimeSpec::from_duration), None) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Ready { children: true, newcomer: false }),
            Err(errno) => return Err(errno.into()),
        }
        let ready = |at: usize| fds[at].any() == Some(true);
        let children = ready(0) || (processes..fds.len()).any(ready);
        Ok(Ready { children, newcomer: listener.is_some_and(ready) })
    }

    /// Returns how long there is nothing to do unless something arrives; `None` if there is no limit.
    fn poll_timeout(&mut self) -> Option<Duration> {
        if let Some(connection) = &self.connection
            && (connection.behind || connection.channel.is_ended())
        {
            return Some(Duration::ZERO);
        }
        let stop = self.deadlines.first().map(|(at, _)| *at);
        let hello = self.idle_until.filter(|_| self.connection.is_none());
        let delay = self.delays.values().min().copied();
        let drain = self.drain.due_at();
        let next =
            [stop, hello, delay, drain, self.accept_at, self.store_check_at].into_iter().flatten().min()?;
        Some(next.saturating_sub(self.clock.monotonic()))
    }

    /// Returns whether a daemon is connected that has said hello.
    fn is_greeted(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.greeted)
    }

    fn is_idle(&self) -> bool {
        let waits = self.idle_until.is_some_and(|until| self.clock.monotonic() < until);
        let keeps = !self.roster.is_empty() || self.drain.has_open_pipes();
        self.connection.is_none() && !keeps && !waits
    }

    /// Returns whether the scope is being stopped, all runs have ended, and their results were acknowledged
    /// or there is nobody to do it.
    fn is_closed(&self) -> bool {
        let has_results = self.connection.is_some() && self.roster.has_results();
        self.is_closing && !self.roster.has_running() && self.settling.is_empty() && !has_results
    }

    /// Accepts the next connection, if one waits.
    fn accept(&mut self) -> bool {
        match sockets::accept(&self.listener) {
            Ok(Some(stream)) => {
                let channel = Channel::new(stream).ok();
                self.connection =
                    channel.map(|channel| Connection { channel, greeted: false, behind: false });
                true
            }
            Ok(None) => false,
            Err(_) => {
                self.accept_at = Some(self.clock.monotonic() + ACCEPT_PAUSE);
                false
            }
        }
    }

    /// Reads and obeys the daemon's orders, up to a bound.
    fn read_orders(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        if !connection.behind {
            connection.channel.fill();
        }
        for _ in 0..ORDERS_PER_TURN {
            let Some(connection) = &mut self.connection else { return };
            match connection.channel.take::<ToKeeper>() {
                Ok(Some(message)) => self.obey(message),
                Ok(None) => {
                    connection.behind = false;
                    // A daemon is gone only now that its last order was obeyed: the next one's hello must
                    // name it. Half a message does not count: its sender cannot have relied on it.
                    if connection.channel.is_ended() {
                        self.connection = None;
                    }
                    return;
                }
                Err(_) => self.connection = None,
            }
        }
        if let Some(connection) = &mut self.connection {
            connection.behind = true;
        }
    }

    fn obey(&mut self, message: ToKeeper) {
        let greeted = self.is_greeted();
        match message {
            ToKeeper::Hello { version: _ } if !greeted => self.greet(),
            // Out of turn: this is not a daemon.
            ToKeeper::Hello { version: _ } => self.connection = None,
            _ if !greeted => self.connection = None,
            ToKeeper::Start(order, extras) => self.take_order(order, extras),
            ToKeeper::Stop { attempt, now } => self.stop(attempt, now),
            ToKeeper::Recall { attempt } => self.recall(attempt, None),
            ToKeeper::Acknowledge { attempts } => self.acknowledge(&attempts),
            ToKeeper::Seek(order) => self.seek(order),
            ToKeeper::Signal { attempt, signal } => self.signal(attempt, signal),
            ToKeeper::Give { attempt, share } => {
                if let Some(queue) = self.roster.give(attempt, share) {
                    self.fill(&queue);
                }
            }
            ToKeeper::Resize { queue, slots } => {
                self.roster.resize(&queue, slots);
                self.fill(&queue);
            }
            ToKeeper::Seal(keys) => self.seal(keys),
        }
    }

    /// Seals what is written from now on. Outputs that were begun without a key stay plain.
    fn seal(&mut self, keys: OutputKeys) {
        if let Some(connection) = &mut self.connection {
            connection.channel.wipe_taken();
        }
        let before = std::mem::replace(&mut self.log_dir.sealing, Sealing::On(keys.clone()));
        self.drain.seal(keys);
        if before == Sealing::Locked {
            self.take_over_pipes();
        }
    }

    fn greet(&mut self) {
        self.idle_until = None;
        if let Some(connection) = &mut self.connection {
            connection.greeted = true;
        }
        let (version, instance) = (PROTOCOL_VERSION, self.instance);
        let taken = self.roster.taken_shares();
        let taken: Vec<FromKeeper> =
            taken.map(|(attempt, share)| FromKeeper::Holds { attempt, share: share.clone() }).collect();
        taken.iter().for_each(|holds| self.report(holds));
        let (known, ended) = (self.roster.known(), self.roster.results());
        self.report(&FromKeeper::Hello { version, instance, known, ended });
    }

    /// Adds a message to this turn's answer. Without a daemon it is not lost: the next hello has
    /// everything.
    fn report(&mut self, message: &FromKeeper) {
        let Some(connection) = self.connection.as_mut().filter(|connection| connection.greeted) else {
            return;
        };
        if connection.channel.queue(std::slice::from_ref(message)).is_err() {
            self.connection = None;
        }
    }

    fn answer(&mut self) {
        if let Some(connection) = &mut self.connection {
            // A daemon that reads no more may have left orders: they are read to the end before the
            // connection is dropped.
            connection.channel.flush();
        }
    }
}
