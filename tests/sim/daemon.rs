//! Owns: a daemon with the real pacer and turn, and the rest of `src/daemon/serve.rs` around them. It dies
//! wherever a daemon can.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::Duration;

use taskq::daemon::{
    AddRequest, Beginning, ClientRequest, Excerpts, Gating, Gone, Mailer, Pacer, PruneStep, Pruning,
    RunFiles, Timer, TurnInput, TurnOutput, begin, turn, uncommitted_stops,
};
use taskq::domain::{End, JobId, MachineSize, Person, Timestamp};
use taskq::engine::stats::Totals;
use taskq::keeper::protocol::{
    Attempt, Ended, FromKeeper, KeeperId, KeeperInstance, PROTOCOL_VERSION, ToKeeper,
};
use taskq::schedule::{Schedule, Zone};
use taskq::store::{Act, EndedOutput, Store, StoreError, StoreResult, StoredBytes, StoredOutput};

use crate::clients::Adding;
use crate::events::PERSON;
use crate::hearing::Hearing;
use crate::keeper::Keeper;
use crate::requirements::measure;
use crate::retries::output_of;
use crate::rows::Row;
use crate::watching::Sources;
use crate::world::{STEP_BACK, World};

/// Another program that holds the write lock, and changes nothing.
const RIVAL: Act = Act { at: Timestamp::MIN, by: None };

/// The daemon's memory.
#[derive(Debug)]
pub struct Daemon {
    pub zone: Zone,
    /// The connection to the keeper.
    pub session: Option<u64>,
    /// The keeper that said hello on it.
    pub instance: Option<KeeperInstance>,
    pub pacer: Pacer,
    pub pruning: Pruning,
    /// Jobs that clients have sent.
    pub adding: Vec<Adding>,
    pub sources: Sources,
    pub gating: Gating,
}

/// The reason why the store cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    /// Another program holds the write lock.
    Locked,
    /// The disk has no room for another page.
    Full,
}

impl World {
    /// Starts a daemon up to its loop, see `Daemon::prepare`.
    pub fn start_daemon(&mut self) {
        assert!(self.daemon.is_none());
        self.note("daemon starts");
        let (now, zone, boot) = (self.now(), self.zone.clone(), self.boot);
        let clock = self.clock();
        let mut pacer = Pacer::new(&clock);
        self.daemon = Some(Daemon {
            zone: zone.clone(),
            session: None,
            instance: None,
            pruning: Pruning::new(self.retention, &mut pacer.agenda, &clock),
            pacer,
            adding: Vec::new(),
            sources: Sources::default(),
            gating: Gating::default(),
        });
        (self.ledger.daemon, self.calm_since) = (self.ledger.daemon + 1, self.mono);
        let newest = self.audit.rows.values().next_back().map(|row| row.queued_at);
        self.tell_of_start();
        let beginning =
            Beginning { boot_id: &boot.to_string(), zone: &zone, ended_keepers: &self.ended_keepers, now };
        begin(&mut self.store, &beginning).expect("nobody else writes");
        if newest.is_some_and(|at| at > now.as_micros() + STEP_BACK) {
            self.replan(now, &zone);
        }
        let is_new_boot = |seen: Option<u64>| seen.is_some_and(|seen| seen != boot);
        for trigger in self.audit.triggers.values_mut().filter(|trigger| is_new_boot(trigger.boot)) {
            trigger.boot(boot, now);
        }
        let changes = self.audit.scan(&self.ledger);
        self.audit.rearm(&changes, now);
        self.audit.with_commit(&changes, Hearing::check);
        self.audit.check_standing();
        if self.dies() {
            return self.kill_daemon();
        }
        self.attach();
        self.settle();
    }

    pub fn kill_daemon(&mut self) {
        if self.daemon.take().is_some() {
            self.shadows.daemon_dies();
            self.note("daemon dies");
        }
    }

    fn replan(&mut self, now: Timestamp, zone: &Zone) {
        self.audit.hearing.step_back(now);
        for trigger in self.audit.triggers.values_mut() {
            if matches!(trigger.schedule, Schedule::At(_)) || trigger.next.is_none_or(|next| next <= now) {
                continue;
            }
            let planned = trigger.next;
            trigger.disturbed = true;
            if trigger.schedule == Schedule::Reboot {
                let start = trigger.window.start.map_or(now, |start| start.max(now));
                trigger.next = trigger.next.min(Some(start));
                continue;
            }
            trigger.replan(now, zone);
            if trigger.next.is_none() || trigger.next > planned {
                trigger.next = planned;
            }
        }
    }

    /// Connects to the keeper, or to a new one, as `KeeperSide::attach` does.
    fn attach(&mut self) {
        let (clock, is_refused) = (self.clock(), self.dies());
        let daemon = self.daemon.as_mut().expect("it lives");
        if is_refused {
            return daemon.pacer.agenda.set_after(Timer::KeeperRetry, Duration::from_secs(1), &clock);
        }
        if self.keeper.is_none() {
            let instance = (self.rng.next() >> 2).cast_signed().max(1);
            self.note(format!("keeper {instance} starts"));
            self.keeper = Some(Keeper::new(instance));
            self.orders.clear();
        }
        self.sessions += 1;
        self.daemon.as_mut().expect("it lives").session = Some(self.sessions);
        self.send(ToKeeper::Hello { version: PROTOCOL_VERSION });
    }

    pub fn daemon_hears(&mut self) -> bool {
        let clock = self.clock();
        let Some(daemon) = &mut self.daemon else { return false };
        let Some(session) = daemon.session else { return false };
        let Some(keeper) = &mut self.keeper else {
            daemon.session = None;
            let gone = match daemon.instance.take() {
                Some(_) => Gone::Unexpected,
                None => Gone::WithoutHello,
            };
            if daemon.pacer.keeper_is_gone(gone, &clock) {
                self.attach();
            }
            return true;
        };
        let heard = keeper.said.drain(..).filter(|(to, _)| *to == session).map(|(_, report)| report);
        let reports: Vec<FromKeeper> = heard.collect();
        if reports.is_empty() {
            return false;
        }
        self.hears(reports);
        true
    }

    /// The daemon receives reports of a keeper.
    pub fn hears(&mut self, reports: Vec<FromKeeper>) {
        let (clock, is_watched) = (self.clock(), self.is_watched);
        let now = self.monotonic();
        let Some(daemon) = &mut self.daemon else { return };
        if let Some(FromKeeper::Hello { instance, .. }) = reports.first() {
            daemon.instance = Some(*instance);
        }
        if daemon.gating.hear(&reports, now) {
            daemon.pacer.demand_turn();
        }
        daemon.pacer.keeper_reported(reports, is_watched, &clock);
    }

    pub fn daemon_acts(&mut self) -> bool {
        let has_news = self.serve_paths();
        let clock = self.clock();
        let Some(daemon) = &mut self.daemon else { return false };
        daemon.pacer.follow_clock(&clock);
        let timers = daemon.pacer.take_due(&clock);
        if timers.contains(&Timer::KeeperRetry) {
            self.attach();
        }
        if timers.contains(&Timer::Prune) {
            self.prune();
        }
        let has_looked = self.look_at_gates();
        let is_due = self.daemon.as_ref().is_some_and(|daemon| daemon.pacer.is_turn_due());
        if is_due {
            self.turn();
        }
        is_due || has_news || has_looked || !timers.is_empty()
    }

    fn look_at_gates(&mut self) -> bool {
        let (now, mono) = ((self.monotonic(), self.now()), self.mono);
        let Some(daemon) = &mut self.daemon else { return false };
        if daemon.gating.next_look().is_none_or(|at| at > now.0) {
            return false;
        }
        if daemon.gating.look(now, |gates, _| measure(gates, mono)) {
            daemon.pacer.demand_turn();
        }
        true
    }

    fn trouble(&mut self) -> Trouble {
        match self.rng.below(1_000) {
            roll if roll < self.faults.busy => Trouble::Locked,
            roll if roll < self.faults.busy + self.faults.full => Trouble::Full,
            _ => Trouble::None,
        }
    }

    fn totals(&mut self) -> Totals {
        let mut totals = Totals::default();
        let read = self.store.read(|reader| {
            totals = reader.totals()?;
            Ok::<_, StoreError>(())
        });
        read.expect("the totals can be read");
        totals
    }

    /// The daemon takes a step of forgetting.
    fn prune(&mut self) {
        if self.dies() {
            return self.kill_daemon();
        }
        let (clock, now, trouble) = (self.clock(), self.now(), self.trouble());
        let totals = self.totals();
        let Some(daemon) = &mut self.daemon else { return };
        let (pruning, agenda) = (&mut daemon.pruning, &mut daemon.pacer.agenda);
        let step = with_trouble(trouble, &mut self.store, &mut self.rival, |store| {
            pruning.step(store, agenda, &clock)
        });
        match step {
            Ok(step) => {
                let runs: Vec<String> = step.runs().map(|(run, _)| run.to_string()).collect();
                self.note(format!("forgets {}", runs.join(", ")));
                self.audit.forgot(&step, &self.retention, now);
            }
            Err(error) => {
                assert!(trouble != Trouble::None && error.is_passing(), "the step failed: {error:?}");
                self.audit.forgot(&PruneStep::default(), &self.retention, now);
            }
        }
        assert_eq!(self.totals(), totals, "a forgotten run counts on");
    }

    fn turn(&mut self) {
        if self.dies() {
            return self.kill_daemon();
        }
        let now = self.now();
        let trouble = self.trouble();
        if let Err(error) = self.catch_up(trouble, now) {
            return self.turn_failed(trouble, &error);
        }
        if self.dies() {
            return self.kill_daemon();
        }
        let is_last = self.dies() && trouble != Trouble::Full;
        match catch_unwind(AssertUnwindSafe(|| self.commit(trouble, is_last, now))) {
            Ok(Ok(done)) => self.committed(now, done),
            Ok(Err(error)) => self.turn_failed(trouble, &error),
            Err(panic) if is_last && panic.is::<&str>() && self.audit.scan(&self.ledger).is_empty() => {
                self.kill_daemon();
            }
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Lets daemon and model plan again after a change of clock or zone.
    fn catch_up(&mut self, trouble: Trouble, now: Timestamp) -> StoreResult<()> {
        let daemon = self.daemon.as_mut().expect("it lives");
        let (before, old_zone, zone) = (daemon.pacer.catch_up, daemon.zone.clone(), self.zone.clone());
        let read_zone = || (zone.clone(), zone.name().to_owned());
        let (store, rival) = (&mut self.store, &mut self.rival);
        let written = with_trouble(trouble, store, rival, |store| {
            daemon.pacer.catch_up.write(store, &mut daemon.zone, read_zone, now)
        });
        let after = daemon.pacer.catch_up;
        if before.is_set_back && !after.is_set_back {
            self.replan(now, &old_zone);
            // Retries may come earlier now.
            let changes = self.audit.scan(&self.ledger);
            self.audit.with_commit(&changes, Hearing::check);
        }
        if before.zone_may_differ && !after.zone_may_differ && self.planned_zone != zone.name() {
            self.planned_zone = zone.name().to_owned();
            for trigger in self.audit.triggers.values_mut().filter(|trigger| trigger.follows_system) {
                if trigger.next.is_some_and(|next| next > now) {
                    trigger.replan(now, &zone);
                }
            }
        }
        if before != after {
            self.audit.check_standing();
        }
        written
    }

    fn commit(&mut self, trouble: Trouble, is_last: bool, now: Timestamp) -> StoreResult<TurnOutput> {
        let daemon = self.daemon.as_ref().expect("it lives");
        let output = |ended: &Ended, _: bool| {
            if is_last {
                // In the middle of a transaction.
                resume_unwind(Box::new("the daemon died"));
            }
            let stored = ended.started_at.map(|_| {
                let data = output_of(ended.attempt);
                StoredOutput { stdout: StoredBytes { data, times: None }, stderr: None }
            });
            EndedOutput { stderr_bytes: None, stored }
        };
        let has_sendmail = self.has_sendmail;
        let mailer = Mailer {
            host: "host",
            charset: "UTF-8",
            sendmail: &|| has_sendmail.then(|| "/usr/sbin/sendmail".into()),
            person: &|_| Person { name: "user".to_owned(), home: b"/".to_vec(), shell: b"/bin/sh".to_vec() },
            login: &Vec::new,
            excerpts: &|_| Excerpts::default(),
        };
        let requests: Vec<ClientRequest<'_>> = daemon
            .adding
            .iter()
            .map(|adding| ClientRequest { request: &adding.request, uid: PERSON })
            .collect();
        let has_hung_up = |request: &AddRequest| {
            daemon.adding.iter().any(|adding| adding.has_hung_up && adding.request.id == request.id)
        };
        let is_hello = |report: &FromKeeper| matches!(report, FromKeeper::Hello { .. });
        let pipes: Vec<Attempt> = match daemon.pacer.reports().iter().any(is_hello) {
            true => self.ledger.pipes.iter().copied().collect(),
            false => Vec::new(),
        };
        let boot = self.boot.to_string();
        let seen = &daemon.sources.seen;
        let states = (!seen.is_empty()).then_some((boot.as_str(), seen));
        let input = TurnInput {
            now,
            system_zone: &daemon.zone,
            default_slots: self.default_slots,
            machine: MachineSize { cpus: 4, memory: 8 << 30 },
            keeper: daemon.instance.map(|instance| KeeperId { instance, version: PROTOCOL_VERSION }),
            living_keepers: &[],
            ended_keepers: &self.ended_keepers,
            pipes: &pipes,
            requests: &requests,
            news: &daemon.sources.news,
            states,
            has_hung_up: &has_hung_up,
            reports: daemon.pacer.reports(),
            far: &[],
            output: &output,
            result: &|_| Ok(None),
            last_output: &|_| None,
            gates: &daemon.gating.facts(self.monotonic()),
            environ: &|pid| self.keeper.as_ref().map(|keeper| keeper.environment(pid)).unwrap_or_default(),
            is_sealed: false,
            files: RunFiles { results: Path::new("/"), events: Path::new("/") },
            mailer: Some(&mailer),
        };
        with_trouble(trouble, &mut self.store, &mut self.rival, |store| turn(store, &input))
    }

    fn turn_failed(&mut self, trouble: Trouble, error: &StoreError) {
        self.calm_since = self.mono;
        assert!(trouble != Trouble::None && error.is_passing(), "the turn failed: {error:?}");
        assert_eq!(self.audit.scan(&self.ledger), [], "a turn that failed changed something");
        self.audit.check_standing();
        self.note(format!("turn fails: {error}"));
        let clock = self.clock();
        let daemon = self.daemon.as_mut().expect("it lives");
        daemon.pacer.failed(&clock);
        let refused = daemon.adding.drain(..).filter(|adding| !adding.has_hung_up);
        self.answered.extend(refused.map(|adding| (adding.request.id, None)));
        // Without a keeper there is nobody to pass them to.
        if self.keeper.is_some() {
            for stop in uncommitted_stops(&mut self.store) {
                self.send(stop);
            }
        }
    }

    fn committed(&mut self, now: Timestamp, mut done: TurnOutput) {
        let daemon = self.daemon.as_mut().expect("it lives");
        let given_back = daemon.pacer.reports().iter().filter_map(|report| match report {
            FromKeeper::Ended(ended) if ended.end == End::NotStarted => ended.attempt.run(),
            _ => None,
        });
        self.audit.hearing.given_back.extend(given_back.map(|run| (run.job.0, run.number)));
        let met = daemon.pacer.reports().iter().any(|report| matches!(report, FromKeeper::Hello { .. }));
        daemon.pacer.committed(&done);
        let (zone, instance) = (daemon.zone.clone(), daemon.instance);
        let adding = std::mem::take(&mut daemon.adding);
        for (adding, answer) in adding.into_iter().zip(&done.answers) {
            let (request, has_hung_up) = (adding.request.id, adding.has_hung_up);
            assert_eq!(answer.is_err(), has_hung_up, "{answer:?}");
            let job: Option<JobId> = answer.as_ref().ok().copied();
            job.into_iter().for_each(|job| self.added(job, &adding));
            if !has_hung_up {
                self.answered.insert(request, job);
            }
        }
        self.told_by_sources();
        let (orders, notices) = (&done.orders, &done.notices);
        let told: Vec<String> = orders.iter().map(shown).collect();
        self.note(format!(
            "turn: {} {notices:?}, at gates {:?}, next {:?}",
            told.join(", "),
            done.at_gates.iter().map(|(wait, _)| wait).collect::<Vec<_>>(),
            done.deadline.map(|at| at.to_string())
        ));
        self.look_at_clock();
        let changes = self.audit.after_turn(now, &zone, instance, &done, &self.ledger);
        let mono = self.monotonic();
        let daemon = self.daemon.as_mut().expect("it lives");
        let (waits, questions) = (std::mem::take(&mut done.at_gates), std::mem::take(&mut done.questions));
        done.orders.extend(daemon.gating.committed(waits, done.passed_gate, questions, mono));
        self.follow_sources(&done);
        for (old, new) in changes {
            let state = |row: &Row| row.outcome.map_or(row.state.clone(), |outcome| outcome.to_string());
            let (before, task) = (old.as_ref().map(state), new.attempt().task);
            self.note(format!(
                "    {task}: {before:?} → {} x{} keeper {:?}",
                state(&new),
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

    /// If the keeper has received all orders, no queue may exceed its present width from now on.
    fn told_widths(&mut self) {
        if self.orders.iter().all(|(at, _, _)| *at <= self.mono) {
            self.keeper_acts();
            self.ledger.widest = self.widths();
        }
    }
}

/// Lets the daemon write to a store in trouble.
fn with_trouble<T>(
    trouble: Trouble,
    store: &mut Store,
    rival: &mut Store,
    mut write: impl FnMut(&mut Store) -> StoreResult<T>,
) -> StoreResult<T> {
    match trouble {
        Trouble::None => write(store),
        Trouble::Locked => {
            rival.write(RIVAL, |_| Ok::<_, StoreError>(write(store))).expect("the first to ask")
        }
        Trouble::Full => {
            store.set_pragma("max_page_count", 1).expect("a pragma");
            let written = write(store);
            store.set_pragma("max_page_count", i64::from(u32::MAX - 1)).expect("a pragma");
            written
        }
    }
}

fn shown(order: &ToKeeper) -> String {
    match order {
        ToKeeper::Start(order, _) => {
            format!("start {} of {} in {}", order.attempt.task, order.slots, order.queue)
        }
        ToKeeper::Seek(order) => format!("seek {}", order.attempt.task),
        other => format!("{other:?}"),
    }
}
