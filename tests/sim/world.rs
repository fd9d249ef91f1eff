//! Owns: the simulated machine: two clocks, a store, a keeper, and a daemon that does around its turns what
//! `src/daemon/serve.rs` does.
//!
//! Time moves from one event to the next. Whatever can die can die between any two effects.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

use taskq::daemon::{Done, Turn, turn};
use taskq::domain::Timestamp;
use taskq::keeper::protocol::{Ended, FromKeeper, KeeperInstance, PROTOCOL_VERSION, ToKeeper};
use taskq::schedule::{Schedule, Zone};
use taskq::store::{Store, StoreError, StoreResult};
use tempfile::TempDir;

use crate::audit::Audit;
use crate::keeper::{Keeper, Ledger, Script, Stage};
use crate::rng::Rng;

pub const SECOND: u64 = 1_000_000;
pub const HOUR: u64 = 3_600 * SECOND;
pub const DAY: u64 = 24 * HOUR;

/// The daemon's own: a clock set back by more is planned anew.
const STEP_BACK: i64 = 3 * HOUR as i64;

/// More settling than this at one instant has no end.
const SETTLE_MAX: usize = 5_000;

/// How often what goes wrong, in a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A process dies, at each place where one can.
    pub death: u64,
    /// Somebody else holds the write lock.
    pub busy: u64,
    /// Orders are under way for a while.
    pub delay: u64,
}

/// What the daemon keeps in memory.
#[derive(Debug)]
pub struct Daemon {
    pub zone: Zone,
    pub session: Option<u64>,
    pub instance: Option<KeeperInstance>,
    pub reports: Vec<FromKeeper>,
    pub next_fire: Option<Timestamp>,
    pub retry_at: Option<u64>,
    pub check_at: Option<u64>,
    pub linger_until: Option<u64>,
    /// A turn is due, whatever the clock says.
    pub poked: bool,
    offset: i64,
}

/// What happened so far, for people.
pub type Trace = Rc<RefCell<Vec<String>>>;

pub struct World {
    pub rng: Rng,
    pub mono: u64,
    pub offset: i64,
    pub store: Store,
    pub audit: Audit,
    pub ledger: Ledger,
    pub scripts: VecDeque<Script>,
    pub faults: Faults,
    pub daemon: Option<Daemon>,
    pub keeper: Option<Keeper>,
    pub zone: Zone,
    pub boot: u64,
    pub cpus: usize,
    /// After so many orders of the next turn, the daemon dies.
    pub die_after_orders: Option<usize>,
    pub trace: Trace,
    rival: Store,
    /// Keepers that ended in order, and were not forgotten since.
    ended_keepers: Vec<KeeperInstance>,
    sessions: u64,
    /// Orders under way: when they arrive, from which daemon.
    orders: VecDeque<(u64, u64, ToKeeper)>,
    _dir: TempDir,
}

impl World {
    /// Makes a world without daemon, keeper and jobs.
    pub fn new(seed: u64, start: &str, trace: Trace) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = Store::open(dir.path()).expect("a new store");
        store.set_volatile().expect("a pragma");
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
            faults: Faults::default(),
            daemon: None,
            keeper: None,
            zone: Zone::utc(),
            boot: 1,
            cpus: 2,
            die_after_orders: None,
            trace,
            rival,
            ended_keepers: Vec::new(),
            sessions: 0,
            orders: VecDeque::new(),
            store,
            _dir: dir,
        }
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(i64::try_from(self.mono).expect("small") + self.offset)
    }

    pub fn note(&self, text: impl Into<String>) {
        self.trace.borrow_mut().push(format!("{} {}", self.now(), text.into()));
    }

    pub fn dies(&mut self) -> bool {
        let death = self.faults.death;
        self.rng.chance(death)
    }

    /// Does what a daemon does before its loop, see `Daemon::prepare`.
    pub fn start_daemon(&mut self) {
        assert!(self.daemon.is_none());
        self.note("daemon starts");
        let (now, zone, boot) = (self.now(), self.zone.clone(), self.boot);
        self.daemon = Some(Daemon {
            zone: zone.clone(),
            session: None,
            instance: None,
            reports: Vec::new(),
            next_fire: None,
            retry_at: None,
            check_at: None,
            linger_until: None,
            poked: true,
            offset: self.offset,
        });
        let newest = self.audit.rows.get(&self.audit.last()).map(|row| row.queued_at);
        let is_set_back = newest.is_some_and(|at| at > now.as_micros() + STEP_BACK);
        self.store
            .write(|writer| {
                if writer.latest_queued_at()?.is_some_and(|latest| latest.as_micros() > now.as_micros() + STEP_BACK) {
                    writer.replan_after_step_back(&zone, now)?;
                }
                writer.fire_reboots(&boot.to_string(), now)
            })
            .expect("nobody else writes");
        if is_set_back {
            self.replan(now, &zone);
        }
        for trigger in self.audit.triggers.values_mut().filter(|trigger| trigger.boot.is_some_and(|seen| seen != boot))
        {
            (trigger.boot, trigger.next) = (Some(boot), Some(now));
        }
        self.audit.check_standing();
        if self.dies() {
            return self.kill_daemon();
        }
        self.follow_zone();
        if self.dies() {
            return self.kill_daemon();
        }
        self.attach();
        self.settle();
    }

    pub fn kill_daemon(&mut self) {
        if self.daemon.take().is_some() {
            self.note("daemon dies");
        }
    }

    pub fn kill_keeper(&mut self) {
        let Some(mut keeper) = self.keeper.take() else { return };
        self.note(format!("keeper {} dies", keeper.instance));
        // What it had said may have arrived, or not.
        let arrives = self.rng.chance(500);
        let said = std::mem::take(&mut keeper.said);
        if let Some(daemon) = &mut self.daemon {
            daemon
                .reports
                .extend(said.into_iter().filter(|(to, _)| arrives && Some(*to) == daemon.session).map(|s| s.1));
        }
        keeper.die(&mut self.ledger);
        self.orders.clear();
        self.settle();
    }

    /// Sets the wall clock, and lets the daemon notice as `Daemon::clock_was_set` does.
    pub fn step_clock(&mut self, by: i64) {
        self.note(format!("clock steps by {}s", by / SECOND as i64));
        self.offset += by;
        if by < 0 {
            self.audit.before_step_back = self.audit.last();
        }
        let now = self.now();
        if let Some(daemon) = &mut self.daemon {
            let before = std::mem::replace(&mut daemon.offset, self.offset);
            if before - self.offset > STEP_BACK {
                daemon.poked = true;
                let zone = daemon.zone.clone();
                self.store.write(|writer| writer.replan_after_step_back(&zone, now)).expect("nobody else writes");
                self.replan(now, &zone);
                self.audit.check_standing();
            }
        }
        self.settle();
    }

    pub fn set_zone(&mut self, name: &str) {
        self.note(format!("system zone is {name}"));
        self.zone = Zone::named(name).expect("a zone");
        if self.daemon.is_some() {
            self.follow_zone();
            self.daemon.as_mut().expect("it lives").poked = true;
        }
        self.settle();
    }

    /// Both are gone, and the next daemon is in another boot.
    pub fn reboot(&mut self) {
        self.note("reboot");
        self.kill_daemon();
        self.kill_keeper();
        self.boot += 1;
    }

    fn replan(&mut self, now: Timestamp, zone: &Zone) {
        for trigger in self.audit.triggers.values_mut() {
            if matches!(trigger.schedule, Schedule::At(_)) || trigger.next.is_none_or(|next| next <= now) {
                continue;
            }
            let planned = trigger.next;
            trigger.disturbed = true;
            if trigger.schedule == Schedule::Reboot {
                trigger.next = Some(now);
                continue;
            }
            trigger.replan(now, zone);
            if trigger.next.is_none() || trigger.next > planned {
                trigger.next = planned;
            }
        }
    }

    fn follow_zone(&mut self) {
        let (now, zone) = (self.now(), self.zone.clone());
        let changed =
            self.store.write(|writer| writer.follow_system_zone(zone.name(), &zone, now)).expect("nobody else writes");
        if changed {
            for trigger in self.audit.triggers.values_mut().filter(|trigger| trigger.follows_system) {
                if trigger.next.is_some_and(|next| next > now) {
                    trigger.replan(now, &zone);
                }
            }
        }
        self.daemon.as_mut().expect("it lives").zone = zone;
        self.audit.check_standing();
    }

    fn attach(&mut self) {
        if self.keeper.is_none() {
            let instance = (self.rng.next() >> 2).cast_signed().max(1);
            self.note(format!("keeper {instance} starts"));
            self.keeper = Some(Keeper::new(instance));
            self.orders.clear();
        }
        self.sessions += 1;
        let daemon = self.daemon.as_mut().expect("it lives");
        (daemon.session, daemon.instance) = (Some(self.sessions), None);
        self.send(ToKeeper::Hello { version: PROTOCOL_VERSION });
    }

    fn send(&mut self, order: ToKeeper) {
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
        let daemon = self.daemon.as_ref();
        let offset = self.offset;
        let fire = daemon
            .filter(|daemon| daemon.retry_at.is_none())
            .and_then(|daemon| daemon.next_fire)
            .map(|at| u64::try_from(at.as_micros() - offset).unwrap_or(0));
        let daemon = daemon.map(|daemon| [daemon.retry_at, daemon.check_at, daemon.linger_until]).unwrap_or_default();
        let keeper = self.keeper.as_ref().and_then(Keeper::next_event);
        let order = self.orders.front().map(|(at, _, _)| *at);
        daemon.into_iter().chain([fire, keeper, order]).flatten().min()
    }

    /// Lets happen all that happens at this instant.
    pub fn settle(&mut self) {
        for _ in 0..SETTLE_MAX {
            if !(self.keeper_acts() | self.daemon_hears() | self.daemon_acts()) {
                return self.look_around();
            }
        }
        panic!("there is no end to what happens at {}", self.now());
    }

    fn keeper_acts(&mut self) -> bool {
        let Some(keeper) = &mut self.keeper else { return false };
        let wall = Timestamp::from_micros(self.mono as i64 + self.offset);
        let trace = Rc::clone(&self.trace);
        let mut stage = Stage {
            mono: self.mono,
            wall,
            rng: &mut self.rng,
            scripts: &mut self.scripts,
            ledger: &mut self.ledger,
            trace: &mut |text| trace.borrow_mut().push(format!("{wall} {text}")),
        };
        let mut acted = false;
        if keeper.next_event().is_some_and(|at| at <= stage.mono) {
            keeper.expire(&mut stage);
            acted = true;
        }
        while let Some((_, session, order)) = self.orders.pop_front_if(|(at, _, _)| *at <= stage.mono) {
            keeper.obey(session, order, &mut stage);
            acted = true;
        }
        if self.daemon.is_none() && self.orders.is_empty() && keeper.is_idle() {
            self.ended_keepers.push(keeper.instance);
            self.note("keeper has nothing left and ends");
            self.keeper = None;
        }
        acted
    }

    fn daemon_hears(&mut self) -> bool {
        let Some(daemon) = &mut self.daemon else { return false };
        let Some(keeper) = &mut self.keeper else {
            self.attach();
            return true;
        };
        let mut heard = false;
        for (_, report) in keeper.said.drain(..).filter(|(session, _)| Some(*session) == daemon.session) {
            heard = true;
            if let FromKeeper::Hello { instance, .. } = &report {
                daemon.instance = Some(*instance);
            }
            let is_urgent = !matches!(report, FromKeeper::Started { .. });
            daemon.poked |= is_urgent;
            if !is_urgent && daemon.linger_until.is_none() {
                daemon.linger_until = Some(self.mono + 20_000);
            }
            daemon.reports.push(report);
        }
        heard
    }

    fn daemon_acts(&mut self) -> bool {
        let (now, mono) = (self.now(), self.mono);
        let Some(daemon) = &mut self.daemon else { return false };
        let has_come = |at: Option<u64>| at.is_some_and(|at| at <= mono);
        let fires = match daemon.retry_at {
            Some(at) => at <= mono,
            None => daemon.next_fire.is_some_and(|at| at <= now),
        };
        let is_due = daemon.poked || fires || has_come(daemon.check_at) || has_come(daemon.linger_until);
        if !is_due {
            return false;
        }
        if has_come(daemon.check_at) {
            daemon.check_at = None;
        }
        daemon.poked = false;
        self.turn();
        true
    }

    fn turn(&mut self) {
        if self.dies() {
            return self.kill_daemon();
        }
        let now = self.now();
        let (is_busy, is_last) = (self.rng.chance(self.faults.busy), self.dies());
        let daemon = self.daemon.as_mut().expect("it lives");
        let output = |ended: &Ended| {
            if is_last {
                // In the midst of a transaction.
                resume_unwind(Box::new("the daemon died"));
            }
            ended.started_at.map(|_| ended.attempt.run.to_string().into_bytes())
        };
        let input = Turn {
            now,
            system_zone: &daemon.zone,
            cpus: self.cpus,
            keeper: daemon.instance,
            ended_keepers: &self.ended_keepers,
            requests: &[],
            has_hung_up: &|_| false,
            reports: &daemon.reports,
            output: &output,
        };
        let (store, rival) = (&mut self.store, &mut self.rival);
        let outcome = catch_unwind(AssertUnwindSafe(|| match is_busy {
            false => turn(store, &input),
            true => rival.write(|_| Ok::<_, StoreError>(turn(store, &input))).expect("the first to ask"),
        }));
        match outcome {
            Ok(Ok(done)) => self.committed(now, done),
            Ok(Err(error)) => self.refused(is_busy, &error),
            Err(panic) if is_last && panic.is::<&str>() && self.audit.scan(&self.ledger).is_empty() => {
                self.kill_daemon();
            }
            Err(panic) => resume_unwind(panic),
        }
    }

    fn refused(&mut self, is_busy: bool, error: &StoreError) {
        assert!(is_busy && error.is_passing(), "the turn failed: {error:?}");
        assert_eq!(self.audit.scan(&self.ledger), [], "a turn that failed changed something");
        self.audit.check_standing();
        self.note("turn finds the database locked");
        let daemon = self.daemon.as_mut().expect("it lives");
        daemon.retry_at = Some(self.mono + SECOND);
        daemon.linger_until = None;
    }

    fn committed(&mut self, now: Timestamp, done: Done) {
        let daemon = self.daemon.as_mut().expect("it lives");
        (daemon.retry_at, daemon.linger_until, daemon.next_fire) = (None, None, done.deadline);
        let met = daemon.reports.iter().any(|report| matches!(report, FromKeeper::Hello { .. }));
        daemon.reports.clear();
        let (zone, instance) = (daemon.zone.clone(), daemon.instance);
        let (orders, notices) = (&done.orders, &done.notices);
        let told: Vec<String> = orders.iter().map(shown).collect();
        self.note(format!("turn: {} {notices:?}, next {:?}", told.join(", "), done.deadline.map(|at| at.to_string())));
        let changes = self.audit.after_turn(now, &zone, instance, &done, &self.ledger);
        for (old, new) in changes {
            let before = old.map(|old| old.outcome.map_or(old.state, |outcome| outcome.to_string()));
            let after = new.outcome.map_or(new.state.clone(), |outcome| outcome.to_string());
            self.note(format!(
                "    {}: {before:?} → {after} x{} keeper {:?}",
                new.attempt().run,
                new.fires,
                new.keeper
            ));
        }
        let dies = self.dies();
        let last = self
            .die_after_orders
            .take()
            .or_else(|| dies.then(|| self.rng.below(done.orders.len() as u64 + 1) as usize));
        for order in done.orders.into_iter().take(last.unwrap_or(usize::MAX)) {
            self.send(order);
        }
        if last.is_some() {
            self.kill_daemon();
        } else {
            if met {
                self.ended_keepers.clear();
            }
            self.told_widths();
        }
    }

    /// From here on no queue may be filled beyond its present width, if the keeper has heard everything.
    fn told_widths(&mut self) {
        if self.orders.iter().all(|(at, _, _)| *at <= self.mono) {
            self.keeper_acts();
            self.ledger.widest = self.widths();
        }
    }

    pub fn widths(&self) -> std::collections::BTreeMap<String, usize> {
        let queues = self.audit.db.queues();
        queues.into_iter().map(|queue| (queue.name, queue.slots.unwrap_or(self.cpus))).collect()
    }

    /// Where all was said and heard, there is nothing left that could be done.
    fn look_around(&self) {
        let (Some(daemon), Some(keeper)) = (&self.daemon, &self.keeper) else { return };
        let is_quiet = daemon.instance == Some(keeper.instance)
            && self.orders.is_empty()
            && keeper.said.is_empty()
            && daemon.reports.iter().all(|report| matches!(report, FromKeeper::Started { .. }))
            && daemon.retry_at.is_none()
            && daemon.check_at.is_none();
        if is_quiet {
            self.audit.quiet(keeper, self.cpus);
        }
    }

    /// Lets a client write in one transaction.
    pub fn write<T>(&mut self, write: impl FnOnce(&taskq::store::Writer<'_>) -> StoreResult<T>) -> T {
        self.store.write(write).expect("nobody else writes")
    }
}

fn shown(order: &ToKeeper) -> String {
    match order {
        ToKeeper::Hello { .. } => "hello".to_owned(),
        ToKeeper::Start(order) => format!("start {} of {} in {}", order.attempt.run, order.slots, order.queue),
        ToKeeper::Stop { attempt, now } => format!("stop {} {now}", attempt.run),
        ToKeeper::Resize { queue, slots } => format!("resize {queue} to {slots}"),
        ToKeeper::Recall { attempt } => format!("recall {}", attempt.run),
        ToKeeper::Acknowledge { attempts } => {
            format!("ack {}", attempts.iter().map(|attempt| attempt.run.to_string()).collect::<Vec<_>>().join("+"))
        }
    }
}
