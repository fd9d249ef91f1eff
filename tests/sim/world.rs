//! Owns: the simulated machine: its clocks, store, keeper, unreceived messages, and accidents.
//!
//! Time moves from one event to the next. Daemon, keeper and clients can die between any two effects.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use taskq::clock::Clock;
use taskq::daemon::Timer;
use taskq::domain::{JobId, MachineState, Span, Timestamp};
use taskq::engine::{Retention, after_end};
use taskq::keeper::protocol::{FromKeeper, KeeperInstance, ToKeeper};
use taskq::schedule::Zone;
use taskq::store::{Act, Store, StoreError, StoreResult, Writer};
use tempfile::TempDir;

use crate::audit::Audit;
use crate::daemon::Daemon;
use crate::events::PERSON;
use crate::folder::Folder;
use crate::keeper::{Keeper, Ledger, Script};
use crate::rng::Rng;
use crate::shadows::Shadows;

pub const SECOND: u64 = 1_000_000;
pub const HOUR: u64 = 3_600 * SECOND;
pub const DAY: u64 = 24 * HOUR;

/// The daemon's own: after a larger step back of the clock it plans again.
pub const STEP_BACK: i64 = 3 * HOUR as i64;

/// A world with more rounds at one instant would never settle.
const SETTLE_MAX: usize = 5_000;

/// How often each accident happens, in a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A process dies at a place where one can.
    pub death: u64,
    /// Another program holds the write lock.
    pub busy: u64,
    /// The disk is full.
    pub full: u64,
    /// Orders and results arrive late, and starts are tried again.
    pub delay: u64,
}

/// The clocks at one instant.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    wall: Timestamp,
    mono: u64,
}

impl Clock for Clocks {
    fn now(&self) -> Timestamp {
        self.wall
    }

    fn coarse_now(&self) -> Timestamp {
        self.wall - Span::from_micros(self.mono % self.coarse_resolution().as_micros())
    }

    fn coarse_resolution(&self) -> Span {
        Span::from_millis(4)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.mono)
    }
}

/// The events so far, for people.
pub type Trace = Rc<RefCell<Vec<String>>>;

pub struct World {
    pub rng: Rng,
    pub mono: u64,
    pub offset: i64,
    pub store: Store,
    pub audit: Audit,
    pub ledger: Ledger,
    pub scripts: VecDeque<Script>,
    /// Those of sendmail; by default it takes a moment and succeeds.
    pub mail_scripts: VecDeque<Script>,
    pub has_sendmail: bool,
    pub faults: Faults,
    pub daemon: Option<Daemon>,
    pub keeper: Option<Keeper>,
    pub zone: Zone,
    /// The zone that coming fires were planned with.
    pub planned_zone: String,
    pub boot: u64,
    pub default_slots: usize,
    pub retention: Retention,
    /// Clients wait for the daemon's turns.
    pub is_watched: bool,
    /// How often, in a thousand, a job is handed to the daemon, if there is one.
    pub by_socket: u64,
    /// Requests that the daemon has answered, with the job or a refusal.
    pub answered: BTreeMap<i64, Option<JobId>>,
    /// How many clients have written.
    pub clients: i32,
    /// How many events clients and sources have sent. Each has its number as data.
    pub sent: u64,
    /// How many jobs have got a name.
    pub named: u64,
    pub folder: Folder,
    pub shadows: Shadows,
    pub is_on_mains: bool,
    /// The states of the power supply that a turn has seen last, in the boot of this number.
    pub kept_states: Option<(u64, BTreeMap<MachineState, bool>)>,
    /// After so many orders of the next turn, the daemon dies.
    pub die_after_orders: Option<usize>,
    pub trace: Trace,
    pub rival: Store,
    /// Keepers that exited with nothing left to report, and were not forgotten since.
    pub ended_keepers: Vec<KeeperInstance>,
    pub sessions: u64,
    /// Since when nothing has gone wrong.
    pub calm_since: u64,
    /// Orders under way: when they arrive, from which daemon.
    pub orders: VecDeque<(u64, u64, ToKeeper)>,
    _dir: TempDir,
}

impl World {
    /// Makes a world without daemon, keeper and jobs.
    pub fn new(seed: u64, start: &str, trace: Trace) -> Self {
        // In memory if possible: making a store waits for the disk several times.
        let memory = Some(Path::new("/dev/shm")).filter(|memory| memory.is_dir());
        let dir = memory.map_or_else(tempfile::tempdir, tempfile::tempdir_in);
        let dir = dir.expect("a directory");
        let mut store = Store::open(dir.path()).expect("a new store");
        store.set_pragma("synchronous", 0).expect("a pragma");
        store.set_busy_timeout(Duration::ZERO).expect("a setting");
        let rival = Store::open(dir.path()).expect("the same store");
        let at = taskq::schedule::parse_time(start, Timestamp::MIN, &Zone::utc()).expect("an instant");
        Self {
            rng: Rng::new(seed),
            mono: HOUR,
            offset: at.as_micros() - HOUR as i64,
            audit: Audit::new(dir.path()),
            ledger: Ledger::default(),
            scripts: VecDeque::new(),
            mail_scripts: VecDeque::new(),
            has_sendmail: true,
            faults: Faults::default(),
            daemon: None,
            keeper: None,
            zone: Zone::utc(),
            planned_zone: String::new(),
            boot: 1,
            default_slots: 2,
            retention: Retention {
                age_max: Span::from_micros(u64::MAX),
                runs_max: u64::MAX,
                ..Retention::default()
            },
            is_watched: false,
            by_socket: 0,
            answered: BTreeMap::new(),
            clients: 0,
            sent: 0,
            named: 0,
            folder: Folder::new(memory),
            shadows: Shadows::default(),
            is_on_mains: true,
            kept_states: None,
            die_after_orders: None,
            trace,
            rival,
            ended_keepers: Vec::new(),
            sessions: 0,
            calm_since: 0,
            orders: VecDeque::new(),
            store,
            _dir: dir,
        }
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(i64::try_from(self.mono).expect("small") + self.offset)
    }

    pub fn monotonic(&self) -> Duration {
        Duration::from_micros(self.mono)
    }

    pub fn clock(&self) -> Clocks {
        Clocks { wall: self.now(), mono: self.mono }
    }

    pub fn note(&self, text: impl Into<String>) {
        self.trace.borrow_mut().push(format!("{} {}", self.now(), text.into()));
    }

    pub fn dies(&mut self) -> bool {
        let death = self.faults.death;
        self.rng.chance(death)
    }

    pub fn kill_keeper(&mut self) {
        let Some(mut keeper) = self.keeper.take() else { return };
        self.note(format!("keeper {} dies", keeper.instance));
        // Its last reports may have arrived, or not.
        let reports = std::mem::take(&mut keeper.said).into_iter();
        let session = self.daemon.as_ref().and_then(|daemon| daemon.session);
        let reports = reports.filter(|(to, _)| Some(*to) == session).map(|(_, report)| report).collect();
        if self.rng.chance(500) {
            self.hears(reports);
        }
        keeper.die(&mut self.ledger);
        self.orders.clear();
        self.settle();
    }

    /// Sets the wall clock, which wakes the daemon.
    pub fn step_clock(&mut self, by: i64) {
        self.note(format!("clock steps by {}s", by / SECOND as i64));
        self.offset += by;
        if by < 0 {
            self.audit.before_step_back = self.audit.last();
        }
        self.settle();
    }

    /// Sets the system's zone, which wakes the daemon.
    pub fn set_zone(&mut self, name: &str) {
        self.note(format!("system zone is {name}"));
        self.zone = Zone::named(name).expect("a zone");
        if let Some(daemon) = &mut self.daemon {
            daemon.pacer.zone_may_differ();
        }
        self.settle();
    }

    /// Kills both. The next daemon starts in another boot.
    pub fn reboot(&mut self) {
        self.note("reboot");
        self.kill_daemon();
        self.ledger.down.extend(self.keeper.as_ref().map(|keeper| keeper.instance));
        self.kill_keeper();
        self.ledger.down.extend(&self.ledger.dead);
        self.ledger.orphans.clear();
        self.boot += 1;
    }

    pub fn send(&mut self, order: ToKeeper) {
        let last = self.orders.back().map_or(self.mono, |(at, _, _)| *at);
        let late = if self.rng.chance(self.faults.delay) { self.rng.span(10, SECOND) } else { 0 };
        self.orders.push_back((last.max(self.mono + late), self.sessions, order));
    }

    /// Lets time pass, from event to event.
    pub fn advance(&mut self, span: u64) {
        let target = self.mono + span;
        self.settle();
        while let Some(at) = self.next_event().filter(|at| *at <= target) {
            self.mono = self.mono.max(at);
            self.settle();
        }
        self.mono = target;
        self.settle();
    }

    fn next_event(&self) -> Option<u64> {
        let clock = self.clock();
        let wake = self.daemon.as_ref().map(|daemon| daemon.pacer.next_wake(&clock)).unwrap_or_default();
        let wall = wake.wall.map(|at| u64::try_from(at.as_micros() - self.offset).unwrap_or(0));
        let paths = self.daemon.as_ref().and_then(|daemon| daemon.sources.paths.next_wake());
        let gates = self.daemon.as_ref().and_then(|daemon| daemon.gating.next_look());
        // A watch may want to wake between two of its microseconds.
        let micros = |at: Duration| at.as_nanos().div_ceil(1_000) as u64;
        let monotonic = [wake.monotonic, paths, gates].into_iter().flatten().min().map(micros);
        let keeper = self.keeper.as_ref().and_then(Keeper::next_event);
        let order = self.orders.front().map(|(at, _, _)| *at);
        [wall, monotonic, keeper, order].into_iter().flatten().min()
    }

    /// Lets everything happen that happens at this instant.
    pub fn settle(&mut self) {
        for round in 0..SETTLE_MAX {
            if !(self.keeper_acts() | self.daemon_hears() | self.daemon_acts()) {
                if round > 0 {
                    self.look_around();
                }
                return;
            }
        }
        panic!("there is no end to what happens at {}", self.now());
    }

    pub fn keeper_acts(&mut self) -> bool {
        let Some(mut keeper) = self.keeper.take() else { return false };
        let mut acted = keeper.next_event().is_some_and(|at| at <= self.mono);
        if acted {
            keeper.expire(self);
        }
        while let Some((_, session, order)) = self.orders.pop_front_if(|(at, _, _)| *at <= self.mono) {
            keeper.obey(session, order, self);
            acted = true;
        }
        if self.daemon.is_none() && self.orders.is_empty() && keeper.is_idle() {
            self.ended_keepers.push(keeper.instance);
            self.note("keeper has nothing left and exits");
        } else {
            self.keeper = Some(keeper);
        }
        acted
    }

    pub fn widths(&self) -> std::collections::BTreeMap<String, usize> {
        let queues = self.audit.db.queues();
        queues.into_iter().map(|queue| (queue.name, queue.slots.unwrap_or(self.default_slots))).collect()
    }

    /// Tells the ledger what time it is.
    pub fn look_at_clock(&mut self) {
        (self.ledger.mono, self.ledger.now) = (self.mono, self.now().as_micros());
        self.ledger.quiet_for = self.mono - self.calm_since;
    }

    /// Checks, when every message has arrived, that nothing is left that could be done.
    fn look_around(&mut self) {
        self.look_at_clock();
        let (Some(daemon), Some(keeper)) = (&self.daemon, &self.keeper) else { return };
        let (pacer, reports) = (&daemon.pacer, daemon.pacer.reports());
        let is_unhurried =
            |report: &FromKeeper| matches!(report, FromKeeper::Started { .. } | FromKeeper::Delayed { .. });
        let is_quiet = daemon.instance == Some(keeper.instance)
            && self.orders.is_empty()
            && keeper.is_settled()
            && reports.iter().all(is_unhurried)
            && !pacer.is_failing()
            && !pacer.agenda.is_set(Timer::UntoldCommit);
        if is_quiet {
            self.audit.quiet(keeper, self.default_slots, reports.is_empty(), (&self.ledger, self.mono));
            let holding = self.shadows.holding(&self.folder);
            self.audit.hearing.quiet(holding, &self.audit.busy_jobs(), self.now());
        }
    }

    /// Writes in one transaction, with what follows from the ends of runs.
    pub fn write<T>(&mut self, mut write: impl FnMut(&Writer<'_>, Timestamp) -> StoreResult<T>) -> T {
        let now = self.now();
        let written = self.store.write(Act::of_person(PERSON, now), |writer| {
            let answer = write(writer, now)?;
            writer.follow_up(after_end, now)?;
            Ok::<_, StoreError>(answer)
        });
        written.expect("nobody else writes")
    }
}
