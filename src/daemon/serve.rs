//! Owns: the daemon's loop: wait, receive, take a turn, send orders to the keeper and reports to clients.
//! Never: deciding (see `turn`), or keeping facts that it could read again.

mod far;
mod sealing;
mod sources;

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use log::{error, info, warn};
use nix::poll::PollFlags;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use self::sealing::{event_files_directory, results_directory};
use super::agenda::Timer;
use super::catch_up::{Beginning, begin, uncommitted_stops};
use super::doors::Doors;
use super::event_files::{self, EventFile};
use super::executing::Executing;
use super::gating::Gating;
use super::idle::{self, Idle};
use super::keeper_side::{Gone, KeeperSide};
use super::key_wait::await_key;
use super::lock::{self, DaemonInfo, DaemonLock};
use super::logger;
use super::mail::{BODY_BYTES_MAX, Mailer};
use super::order::RunFiles;
use super::outputs::{Excerpts, ended_output, last_output};
use super::pacer::Pacer;
use super::poke::{self, ClientMessage};
use super::pruning::Pruning;
use super::results::{attempts_with_results, read_result, remove_results, write_parent_result};
use super::run_lines::RunLines;
use super::settings::Settings;
use super::signals::{drain, signal_pipe};
use super::sources::{Source, Sources};
use super::timer::WallTimer;
use super::turn::{TurnInput, TurnOutput, turn};
use super::until_idle::{self, UntilIdle};
use super::watching::Watching;
use crate::clock::Clock;
use crate::domain::{End, Happening, OutputKind, Timestamp};
use crate::engine::Retention;
use crate::error::{Error, Result, describe};
use crate::keeper::protocol::{Attempt, Ended, FromKeeper, KeeperInstance, Task, ToKeeper};
use crate::keeper::{
    LOG_DIRECTORY, attempts_with_outputs, attempts_with_pipes, environment, exit_markers,
    raise_descriptor_limit, remove_exit_markers, remove_output, remove_outputs_of,
};
use crate::schedule::Zone;
use crate::seal::OutputKeys;
use crate::store::{Act, Store, StoreError, StoreResult};
use crate::system::{env, login, users};
use crate::watch::{GateMeter, ZoneWatch};

/// Serves a store until SIGTERM or SIGINT, or until nothing is under way. Running jobs continue. Returns
/// whether it has served until nothing was under way, and a run has failed meanwhile.
///
/// # Errors
/// `Conflict` if another daemon serves the store; `Io` if the store is damaged or the system fails.
pub fn serve(settings: Settings, clock: &dyn Clock) -> Result<bool> {
    const WHAT: &str = "start daemon";
    let info = DaemonInfo {
        pid: std::process::id(),
        since_us: clock.now().as_micros(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        default_slots: settings.default_slots,
    };
    // Before the lock: a client that finds the lock without sockets sends this signal, which kills a process
    // that does not handle it.
    let mut hangup = signal_pipe(SIGHUP).map_err(|error| Error::io(WHAT, &error))?;
    let (mut store, lock) = lock::take_store(&settings.dir, &info, WHAT)?;
    logger::install(settings.with_levels);
    let Some(keys) = await_key(&mut store, &mut hangup, settings.until_idle)? else { return Ok(false) };
    let mut daemon =
        Daemon::new(settings, (store, keys), lock, hangup, clock).map_err(|error| Error::io(WHAT, &error))?;
    daemon.prepare().map_err(|error| error.during(WHAT))?;
    daemon.turn()?;
    // It fails without a service manager.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    info!("serving `{}` as pid {}", daemon.settings.dir.display(), info.pid);
    let ended = daemon.run().and_then(|()| daemon.last_turn());
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    daemon.doors.remove();
    daemon.remove_event_files();
    let has_failed = until_idle::conclude(&mut daemon.store, daemon.until_idle.as_ref());
    if ended.is_ok() {
        daemon.record(&Happening::DaemonStopped { pid: info.pid });
        idle::finish(daemon.store);
    }
    ended.map(|()| has_failed)
}

struct Daemon<'a> {
    settings: Settings,
    clock: &'a dyn Clock,
    store: Store,
    /// The path of the store's directory by the descriptor of `store`.
    base: PathBuf,
    /// The keys of outputs; `None`: the store is not sealed.
    output_keys: Option<OutputKeys>,
    /// The directory of the files with the events of runs.
    event_files: PathBuf,
    /// The directory of the files with results.
    results: PathBuf,
    lock: DaemonLock,
    zone: Zone,
    zone_watch: Option<ZoneWatch>,
    keeper: KeeperSide,
    doors: Doors,
    timer: WallTimer,
    /// The signals, each with a pipe that becomes readable when the signal was received.
    signals: [(i32, UnixStream); 3],
    pacer: Pacer,
    idle: Idle,
    pruning: Pruning,
    watching: Watching,
    gating: Gating,
    gate_meter: GateMeter,
    executing: Option<Executing>,
    watchdog: Option<Duration>,
    until_idle: Option<UntilIdle>,
    /// It has received a signal to stop, and starts no more runs.
    is_ending: bool,
    /// `None`: the ends of runs are not logged.
    run_lines: Option<RunLines>,
    /// It has logged that there is no sendmail(8).
    misses_sendmail: bool,
}

impl<'a> Daemon<'a> {
    fn new(
        settings: Settings,
        (store, output_keys): (Store, Option<OutputKeys>),
        lock: DaemonLock,
        hangup: UnixStream,
        clock: &'a dyn Clock,
    ) -> io::Result<Self> {
        let limit = raise_descriptor_limit(None);
        let descriptors = limit.map(|limit| limit.soft);
        let (zone, _) = (settings.read_zone)();
        let base = store.directory().map_or_else(|| settings.dir.clone(), |directory| directory.below(""));
        let mut pacer = Pacer::new(clock);
        let event_files = event_files_directory(&settings, &base, output_keys.is_some())?;
        Ok(Self {
            zone,
            zone_watch: ZoneWatch::new()
                .inspect_err(|error| warn!("cannot watch the system's zone: {}", describe(error)))
                .ok(),
            keeper: KeeperSide::new(&settings, output_keys.clone(), base.clone(), descriptors),
            doors: Doors::open(&base)?,
            timer: WallTimer::new()?,
            signals: [(SIGTERM, signal_pipe(SIGTERM)?), (SIGINT, signal_pipe(SIGINT)?), (SIGHUP, hangup)],
            pruning: Pruning::new(Retention::default(), &mut pacer.agenda, clock),
            pacer,
            gating: Gating::default(),
            gate_meter: GateMeter::default(),
            executing: None,
            watching: Watching::new(settings.boot_id.clone(), limit),
            idle: Idle::default(),
            watchdog: sd_notify::watchdog_enabled().map(|interval| interval / 2),
            until_idle: settings.until_idle.then(|| UntilIdle::since(clock.now())),
            is_ending: false,
            run_lines: None,
            misses_sendmail: false,
            results: results_directory(&base.join(LOG_DIRECTORY), &event_files, output_keys.is_some())?,
            event_files,
            output_keys,
            settings,
            clock,
            store,
            base,
            lock,
        })
    }

    /// Prepares the store and the keeper before the first turn.
    fn prepare(&mut self) -> StoreResult<()> {
        let (pid, version) = (std::process::id(), env!("CARGO_PKG_VERSION").into());
        self.record(&Happening::DaemonStarted { pid, version });
        if self.settings.logs_runs {
            self.run_lines = Some(RunLines::new(&mut self.store)?);
        }
        let beginning = Beginning {
            boot_id: &self.settings.boot_id,
            zone: &self.zone,
            ended_keepers: &exit_markers(&self.base.join(LOG_DIRECTORY)),
            now: self.clock.now(),
        };
        begin(&mut self.store, &beginning)?;
        if let Err(error) = self.store.lengthen_log() {
            // The only effect is that commits are slower.
            warn!("cannot lengthen the log: {error}");
        }
        self.remove_stored_outputs()?;
        self.adopt_far_runs()?;
        self.attach_keeper();
        self.feed_watchdog();
        Ok(())
    }

    fn feed_watchdog(&mut self) {
        if let Some(interval) = self.watchdog {
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
            self.pacer.agenda.set_after(Timer::Watchdog, interval, self.clock);
        }
    }

    /// Removes output files whose content is in the run log, or was pruned, or whose run is not in the store
    /// any more: an earlier daemon or a client died between commit and removal.
    fn remove_stored_outputs(&mut self) -> StoreResult<()> {
        let log = self.base.join(LOG_DIRECTORY);
        let found = attempts_with_outputs(&log);
        self.store.read(|reader| {
            for attempt in found {
                let is_of_no_use = match attempt.task {
                    Task::Run(run) => {
                        reader.output(run, attempt.number, OutputKind::Stdout)?.is_some()
                            || reader.run(run)?.is_none_or(|run| run.output_pruned)
                    }
                    Task::Mail(mail) => !reader.is_mail_open(mail)?,
                    Task::Gate(_) | Task::Executor(_) => true,
                };
                if is_of_no_use {
                    remove_outputs_of(&log, attempt);
                }
            }
            for attempt in attempts_with_results(&self.results) {
                let Some(run) = attempt.run() else { continue };
                if reader.open_attempt(run, attempt.number)?.is_none() {
                    remove_results(&self.results, attempt);
                }
            }
            event_files::remove_all_but(&self.event_files, |attempt| {
                let open = attempt.run().map(|run| reader.open_attempt(run, attempt.number));
                !matches!(open, Some(Ok(None)))
            });
            Ok(())
        })
    }

    fn run(&mut self) -> Result<()> {
        const WHAT: &str = "serve the store";
        while !self.is_done()? {
            let ready = self.wait().map_err(|error| Error::io(WHAT, &error))?;
            self.watching.serve(&ready, self.clock.monotonic(), self.clock.now());
            self.heed_news();
            for source in ready {
                match source {
                    Source::Signal(SIGHUP) => {
                        drain(&mut self.signals[2].1);
                        self.pacer.zone_may_differ();
                    }
                    Source::Signal(signal) => {
                        let name = if signal == SIGINT { "SIGINT" } else { "SIGTERM" };
                        info!("received {name}; leaving running jobs alive");
                        return Ok(());
                    }
                    Source::WallTimer => self.timer.acknowledge(),
                    Source::Pokes => self.take_pokes(),
                    Source::Subscribers => {
                        self.doors.meet_subscribers(&mut self.pacer.agenda, self.clock);
                    }
                    Source::Adders => {
                        if self.doors.meet_adders(&mut self.pacer.agenda, self.clock) {
                            self.pacer.demand_turn();
                        }
                    }
                    Source::Keeper => {
                        self.keeper.flush();
                        self.replace_outdated_keeper();
                        self.receive_reports();
                    }
                    Source::States | Source::Paths | Source::Streams => {}
                    Source::Zone => {
                        if self.zone_watch.as_mut().is_some_and(ZoneWatch::take) {
                            self.pacer.zone_may_differ();
                        }
                    }
                }
            }
            if let Some(back) = self.pacer.follow_clock(self.clock) {
                warn!("the clock was set back by {back}");
            }
            self.serve_timers();
            self.look_at_gates();
            self.ask_hosts();
            if self.pacer.is_turn_due() {
                self.turn()?;
            }
        }
        Ok(())
    }

    /// Returns whether it serves until nothing is under way, and nothing is.
    fn is_done(&mut self) -> Result<bool> {
        let Some(until_idle) = &mut self.until_idle else { return Ok(false) };
        let has_news = self.pacer.is_turn_due() || !self.pacer.reports().is_empty();
        if has_news || self.pacer.is_failing() || !self.watching.news().is_empty() {
            return Ok(false);
        }
        until_idle.is_done(&mut self.store, self.clock.now())
    }

    /// Waits until a source is ready or a timer is due.
    fn wait(&mut self) -> io::Result<Vec<Source>> {
        let wake = self.pacer.next_wake(self.clock);
        self.timer.set(wake.wall)?;
        let mut sources = Sources::default();
        self.signals.iter().for_each(|(signal, pipe)| sources.add(Source::Signal(*signal), pipe.as_fd()));
        sources.add(Source::WallTimer, self.timer.as_fd());
        self.doors.register(&self.pacer.agenda, &mut sources);
        if let Some(fd) = self.keeper.fd() {
            let mut flags = PollFlags::POLLIN;
            flags.set(PollFlags::POLLOUT, self.keeper.wants_write());
            sources.add_for(flags, Source::Keeper, fd);
        }
        self.watching.register(&mut sources);
        self.zone_watch.iter().for_each(|watch| sources.add(Source::Zone, watch.as_fd()));
        let hosts = self.executing.as_ref().filter(|_| self.can_ask_hosts()).and_then(Executing::next_wake);
        let others = [wake.monotonic, self.watching.next_wake(), self.gating.next_look(), hosts];
        let monotonic = others.into_iter().flatten().min();
        sources.wait(monotonic.map(|at| at.saturating_sub(self.clock.monotonic())))
    }

    /// Acts on the due timers that do not lead to a turn.
    fn serve_timers(&mut self) {
        for timer in self.pacer.take_due(self.clock) {
            let (agenda, clock) = (&mut self.pacer.agenda, self.clock);
            match timer {
                Timer::KeeperRetry => self.attach_keeper(),
                Timer::DoorsRetry => self.doors.mend(agenda, clock),
                Timer::Idle => self.idle.copied(self.store.copy_log_back(), agenda, clock),
                Timer::Watchdog => self.feed_watchdog(),
                Timer::Prune => self.prune(),
                Timer::NextFire | Timer::Batch | Timer::UntoldCommit | Timer::Retry => {}
            }
        }
    }

    /// Measures the gates at which runs wait, if it is time.
    fn look_at_gates(&mut self) {
        let now = (self.clock.monotonic(), self.clock.now());
        if self.gating.next_look().is_some_and(|at| at <= now.0)
            && self.gating.look(now, |gates, now| self.gate_meter.measure(gates, now))
        {
            self.pacer.demand_turn();
        }
    }

    /// Forgets a little of the old history.
    fn prune(&mut self) {
        match self.pruning.step(&mut self.store, &mut self.pacer.agenda, self.clock) {
            Ok(step) => {
                step.remove_outputs(&self.base);
                self.idle.saw_commits(self.store.commits(), &mut self.pacer.agenda, self.clock);
            }
            Err(error) => warn!("cannot forget old runs: {error}; trying again in a minute"),
        }
    }

    fn take_pokes(&mut self) {
        for message in poke::receive(&self.doors.pokes) {
            match message {
                ClientMessage::WillWrite(pid) => self.pacer.client_will_write(pid, self.clock),
                ClientMessage::Wrote(pid) => self.pacer.client_wrote(pid),
                ClientMessage::AtOnce(order) => self.pass_on(vec![order.into()]),
            }
        }
    }

    fn attach_keeper(&mut self) {
        if let Some(pause) = self.keeper.attach() {
            self.pacer.agenda.set_after(Timer::KeeperRetry, pause, self.clock);
        }
    }

    fn replace_outdated_keeper(&mut self) {
        if let Some(pause) = self.keeper.let_outdated_go() {
            self.pacer.agenda.set_after(Timer::KeeperRetry, pause, self.clock);
        }
    }

    fn receive_reports(&mut self) {
        match self.keeper.receive() {
            Ok(reports) => {
                self.hear_hosts(&reports);
                if self.gating.hear(&reports, self.clock.monotonic()) {
                    self.pacer.demand_turn();
                }
                self.pacer.keeper_reported(reports, self.doors.subscribers.has_any(), self.clock);
            }
            Err(gone) if self.pacer.keeper_is_gone(gone, self.clock) => self.attach_keeper(),
            Err(Gone::Stopped | Gone::Unexpected) => {}
            Err(Gone::WithoutHello) => error!("two keepers exited without a hello; trying again in a second"),
        }
    }

    /// Sends orders to the keeper. The attempts of start orders that are too long end at once.
    fn send(&mut self, orders: &[ToKeeper]) {
        let ends = self.keeper.send(orders, self.clock.now());
        if !ends.is_empty() {
            self.pacer.keeper_reported(ends, true, self.clock);
            self.pacer.demand_turn();
        }
        self.replace_outdated_keeper();
    }

    /// Records the keeper's last reports, so that the store is correct while no daemon runs. Starts nothing.
    fn last_turn(&mut self) -> Result<()> {
        self.is_ending = true;
        self.receive_reports();
        let has_news = !self.pacer.reports().is_empty() || !self.watching.news().is_empty();
        if has_news { self.turn() } else { Ok(()) }
    }

    /// Records an event of its own. A full disk must not keep it from its work.
    fn record(&mut self, what: &Happening) {
        let recorded = self.store.write(Act::of_daemon(self.clock.now()), |writer| {
            writer.record(what);
            Ok::<_, StoreError>(())
        });
        if let Err(error) = recorded {
            warn!("cannot record the event `{}`: {error}", what.kind());
        }
    }

    fn turn(&mut self) -> Result<()> {
        let now = self.clock.now();
        if let Err(error) = self.catch_up(now) {
            return self.turn_failed(&error);
        }
        self.check_place()?;
        let log = self.base.join(LOG_DIRECTORY);
        let is_hello = |report: &FromKeeper| matches!(report, FromKeeper::Hello { .. });
        let (ended_keepers, pipes) = match self.pacer.reports().iter().any(is_hello) {
            true => (exit_markers(&log), attempts_with_pipes(&log)),
            false => (Vec::new(), Vec::new()),
        };
        match self.commit(now, &ended_keepers, &pipes) {
            Err(error) => self.turn_failed(&error),
            Ok(done) => {
                self.committed(done);
                remove_exit_markers(&log, &ended_keepers);
                Ok(())
            }
        }
    }

    /// Checks the files, and plans again after a change of clock or zone.
    fn catch_up(&mut self, now: Timestamp) -> StoreResult<()> {
        if self.store.check_files()? {
            warn!("the directory `log` was gone: made it again; what was in it is lost");
        }
        self.pacer.catch_up.write(&mut self.store, &mut self.zone, self.settings.read_zone, now)
    }

    /// Fails if another daemon may serve the store by now. Otherwise makes missing sockets again.
    fn check_place(&mut self) -> Result<()> {
        if !self.lock.is_in_place(&self.base) {
            let cause = format!(
                "its lock in `{}` is gone, and another daemon may take it",
                self.settings.dir.display()
            );
            return Err(Error::conflict("serve the store", cause)
                .hint("start a daemon again if the store is still there: running jobs continue"));
        }
        self.doors.mend(&mut self.pacer.agenda, self.clock);
        Ok(())
    }

    fn commit(
        &mut self,
        now: Timestamp,
        ended_keepers: &[KeeperInstance],
        pipes: &[Attempt],
    ) -> StoreResult<TurnOutput> {
        let log = self.log();
        let mailer = Mailer {
            host: &self.settings.host,
            charset: &self.settings.charset,
            sendmail: &env::sendmail,
            person: &users::person,
            login: &login::login_environment,
            excerpts: &|attempt| Excerpts::of_files(&log, attempt, BODY_BYTES_MAX),
        };
        let results = self.shown_results();
        turn(
            &mut self.store,
            &TurnInput {
                now,
                system_zone: &self.zone,
                default_slots: self.settings.default_slots,
                machine: self.settings.machine,
                keeper: self.keeper.keeper().filter(|_| !self.is_ending),
                living_keepers: &self.keeper.living(),
                ended_keepers,
                pipes,
                reports: self.pacer.reports(),
                far: self.executing.as_ref().map_or(&[], Executing::reports),
                requests: &self.doors.adders.requests(),
                news: self.watching.news(),
                states: self.watching.seen_states(),
                has_hung_up: &|request| self.doors.adders.has_hung_up(request),
                output: &|ended, is_split| ended_output(&log, ended, is_split),
                result: &|ended| read_result(&self.results, ended.attempt),
                last_output: &|attempt| last_output(&log, attempt),
                gates: &self.gating.facts(self.clock.monotonic()),
                environ: &environment,
                is_sealed: log.sealing.is_on(),
                files: RunFiles { results: &results, events: &self.event_files },
                mailer: Some(&mailer),
            },
        )
    }

    /// Acts on a committed turn.
    fn committed(&mut self, done: TurnOutput) {
        if self.pacer.is_failing() {
            info!("the store can be written again");
        }
        self.pacer.committed(&done);
        self.renew_keys();
        self.far_committed(done.far);
        self.follow_sources(done.source_stamp, &done.stale);
        self.idle.saw_commits(self.store.commits(), &mut self.pacer.agenda, self.clock);
        self.doors.adders.answer(done.answers);
        let log = self.base.join(LOG_DIRECTORY);
        // Before the orders, because a callback may read its file at once.
        for (run, attempt, result) in &done.parent_results {
            if let Err(error) = write_parent_result(&self.results, *run, *attempt, result) {
                warn!("cannot write the result for callback {run}: {}", describe(&error));
            }
        }
        let mut orders = self.with_event_files(done.orders, &done.event_files);
        let now = self.clock.monotonic();
        orders.extend(self.gating.committed(done.at_gates, done.passed_gate, done.questions, now));
        self.pass_on(orders);
        for attempt in &done.ended {
            remove_results(&self.results, *attempt);
            event_files::remove(&self.event_files, *attempt);
        }
        for output in done.stored_outputs {
            remove_output(&log, output);
        }
        if let Some(Err(error)) = self.run_lines.as_mut().map(|lines| lines.write(&mut self.store)) {
            warn!("cannot log the ends of runs: {error}");
        }
        for notice in done.notices {
            warn!("{notice}");
        }
        // Logged once, because such mails may come every minute.
        if done.unsendable_mails > 0 && !std::mem::replace(&mut self.misses_sendmail, true) {
            warn!("there is no sendmail: mails are not sent; `TASKQ_SENDMAIL` names one that lies elsewhere");
        }
        self.doors.subscribers.report();
    }

    /// Writes the files with the events of runs. A run whose file cannot be written does not start, because
    /// it would lose its events: its attempt ends at once.
    fn with_event_files(&mut self, mut orders: Vec<ToKeeper>, files: &[EventFile]) -> Vec<ToKeeper> {
        for file in files {
            let Err(error) = event_files::write(&self.event_files, file) else { continue };
            let cause = format!("its events cannot be written to `{}`", self.event_files.display());
            let cause = format!("{cause}: {}", describe(&error));
            orders
                .retain(|order| !matches!(order, ToKeeper::Start(start, _) if start.attempt == file.attempt));
            let end = End::SpawnFailed { status: 125, cause };
            let ended = FromKeeper::Ended(Ended::without_process(file.attempt, end, self.clock.now()));
            self.pacer.keeper_reported(vec![ended], true, self.clock);
            self.pacer.demand_turn();
        }
        orders
    }

    fn turn_failed(&mut self, error: &StoreError) -> Result<()> {
        let refusal = error.during("add job");
        self.doors.adders.answer(std::iter::repeat_with(|| Err(refusal.clone())));
        if !error.is_passing() {
            return Err(error.during("serve the store"));
        }
        if !self.pacer.is_failing() {
            error!("{error}; trying again each second");
        }
        self.pacer.failed(self.clock);
        // A run that is to be stopped may be the one that fills the disk.
        let stops = uncommitted_stops(&mut self.store);
        self.pass_on(stops);
        Ok(())
    }
}
