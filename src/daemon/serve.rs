//! Owns: the daemon's loop: wait, take in, take a turn, tell the keeper and whoever waits.
//! Never: deciding (see `turn`), or keeping what it could read again.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use log::{error, info, warn};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

use super::catch_up::{notice_boot, notice_step_back, notice_zone};
use super::doors::Doors;
use super::idle::{self, Idle};
use super::keeper_side::KeeperSide;
use super::lock::{self, DaemonInfo, DaemonLock};
use super::logger;
use super::mailing::{BODY_BYTES_MAX, PostOffice};
use super::outputs::{Excerpt, stored_output, tasks_with_files};
use super::poke::Writers;
use super::settings::Settings;
use super::timer::{self, Deadline};
use super::turn::{Turn, turn};
use crate::clock::Clock;
use crate::domain::{QueueName, Span, Timestamp};
use crate::error::{Error, Result, describe};
use crate::keeper::protocol::{Attempt, FromKeeper, Task, ToKeeper};
use crate::keeper::{
    LOG_DIRECTORY, attempts_with_pipes, exit_markers, output_path, raise_descriptor_limit,
    remove_exit_markers,
};
use crate::schedule::Zone;
use crate::store::{Store, StoreError, StoreResult};
use crate::system::{env, login, users};
use crate::watch::ZoneWatch;

/// How long after *will write* the daemon looks for a commit that nobody told it of.
const UNTOLD_COMMIT: Span = Span::from_seconds(1);

/// How long the news that a run has a process may wait for company: a run that is shorter costs no commit of
/// its own.
const STARTED_LINGER: Span = Span::from_millis(20);

/// How long results may wait for company while the keeper has runs standing by to fill the slots: nothing
/// idles meanwhile, and nobody notices.
const ENDED_LINGER: Span = Span::from_millis(5);

/// How long after a failed turn the next is tried: the disk may have room again.
const RETRY: Span = Span::from_seconds(1);

/// A wall clock set back by more than this was wrong before, as cron(8) has it; by less, it is being
/// corrected.
const STEP_BACK: Span = Span::from_seconds(3 * 3_600);

/// Serves a store until SIGTERM or SIGINT; running runs live on.
///
/// # Errors
/// `Conflict` if another daemon serves the store; `Io` if the store is damaged or the system refuses what it
/// takes.
pub fn serve(settings: Settings, clock: &dyn Clock) -> Result<()> {
    const WHAT: &str = "start daemon";
    let info = DaemonInfo {
        pid: std::process::id(),
        since_us: clock.now().as_micros(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    // Before the lock: whoever finds the lock and no socket sends this signal, which would else be the end.
    let reread = signal_pipe(&[SIGHUP]).map_err(|error| Error::io(WHAT, &error))?;
    let (store, lock) = take_store(&settings.dir, &info, WHAT)?;
    logger::install(settings.with_levels);
    let mut daemon =
        Daemon::new(settings, store, lock, reread, clock).map_err(|error| Error::io(WHAT, &error))?;
    daemon.prepare().map_err(|error| error.during(WHAT))?;
    daemon.turn()?;
    // Not under systemd there is nobody to tell, which is no error.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    info!("serving `{}` as pid {}", daemon.settings.dir.display(), info.pid);
    let ended = daemon.run().and_then(|()| daemon.last_turn());
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    daemon.doors.remove();
    if ended.is_ok() {
        idle::finish(daemon.store);
    }
    ended
}

/// Opens the store and takes its lock. Only then it may be brought up to date: another's daemon does not know
/// what is new.
fn take_store(dir: &Path, info: &DaemonInfo, what: &str) -> Result<(Store, DaemonLock)> {
    let opened = match Store::open(dir) {
        Err(StoreError::Older) => None,
        opened => Some(opened.map_err(|error| error.during(what))?),
    };
    let opened_dir = opened.as_ref().and_then(Store::directory).map(|directory| directory.below(""));
    let lock = lock::acquire(opened_dir.as_deref().unwrap_or(dir), dir, info)?;
    let store = opened.map_or_else(|| Store::upgrade(dir), Ok).map_err(|error| error.during(what))?;
    Ok((store, lock))
}

struct Daemon<'a> {
    settings: Settings,
    clock: &'a dyn Clock,
    store: Store,
    /// The way to what is in the store's directory, by the descriptor of `store`.
    base: PathBuf,
    lock: DaemonLock,
    zone: Zone,
    zone_watch: Option<ZoneWatch>,
    keeper: KeeperSide,
    doors: Doors,
    deadline: Deadline,
    stop: UnixStream,
    reread: UnixStream,
    /// What the keeper said and no committed turn has taken in.
    reports: Vec<FromKeeper>,
    next_fire: Option<Timestamp>,
    /// Something waits for a slot that is taken.
    waiting: bool,
    writers: Writers,
    check_at: Option<Timestamp>,
    linger_until: Option<Timestamp>,
    retry_at: Option<Timestamp>,
    idle: Idle,
    /// Told to stop: nothing more is started.
    is_ending: bool,
    watchdog: Option<Span>,
    watchdog_at: Option<Timestamp>,
    clock_offset: i64,
    /// The clock was set back far, and no commit has planned for it.
    set_back: bool,
    /// The system's zone may be another, and no commit has planned for it.
    zone_may_differ: bool,
    /// It was said that there is no sendmail(8).
    misses_sendmail: bool,
}

impl<'a> Daemon<'a> {
    fn new(
        settings: Settings,
        store: Store,
        lock: DaemonLock,
        reread: UnixStream,
        clock: &'a dyn Clock,
    ) -> io::Result<Self> {
        let descriptors = raise_descriptor_limit().map(|limit| limit.soft);
        let (zone, _) = (settings.read_zone)();
        let base = store.directory().map_or_else(|| settings.dir.clone(), |directory| directory.below(""));
        let watchdog =
            sd_notify::watchdog_enabled().map(|interval| Span::from_micros(interval.as_micros() as u64 / 2));
        Ok(Self {
            zone,
            zone_watch: ZoneWatch::new()
                .inspect_err(|error| warn!("cannot watch the system's zone: {}", describe(error)))
                .ok(),
            keeper: KeeperSide::new(settings.dir.clone(), base.clone(), settings.exe.clone(), descriptors),
            doors: Doors::open(&base)?,
            deadline: Deadline::new()?,
            stop: signal_pipe(&[SIGTERM, SIGINT])?,
            reread,
            reports: Vec::new(),
            next_fire: None,
            waiting: false,
            writers: Writers::of_the_last_daemon(),
            check_at: None,
            linger_until: None,
            retry_at: None,
            idle: Idle::default(),
            is_ending: false,
            watchdog,
            watchdog_at: None,
            clock_offset: offset(clock),
            set_back: false,
            zone_may_differ: false,
            misses_sendmail: false,
            settings,
            clock,
            store,
            base,
            lock,
        })
    }

    /// Does what is due once at the start, before the first turn.
    fn prepare(&mut self) -> StoreResult<()> {
        let now = self.clock.now();
        let (boot_id, slots) = (self.settings.boot_id.clone(), self.settings.slots);
        let zone = self.zone.clone();
        let ended_keepers = exit_markers(&self.base.join(LOG_DIRECTORY));
        self.store.write(|writer| {
            if slots.is_some() {
                writer.set_queue(&QueueName::default(), slots)?;
            }
            if writer.latest_queued_at()?.is_some_and(|latest| latest > now + STEP_BACK) {
                notice_step_back(writer, &zone, now)?;
            }
            notice_boot(writer, &boot_id, &ended_keepers, now)
        })?;
        self.reread_zone()?;
        if let Err(error) = self.store.lengthen_log() {
            // Commits are slower for it, and nothing else.
            warn!("cannot lengthen the log: {error}");
        }
        self.remove_stored_outputs()?;
        self.keeper.attach(now);
        self.check_at = Some(now + UNTOLD_COMMIT);
        self.watchdog_at = self.watchdog.map(|interval| now + interval);
        Ok(())
    }

    /// Removes output files whose content is in the run log: an earlier daemon died between commit and
    /// removal.
    fn remove_stored_outputs(&mut self) -> StoreResult<()> {
        let log = self.base.join(LOG_DIRECTORY);
        for task in tasks_with_files(&log) {
            let is_of_no_use = self.store.read(|reader| match task {
                Task::Run(run) => Ok(reader.output(run)?.is_some()),
                Task::Mail(mail) => reader.is_mail_open(mail).map(|open| !open),
            })?;
            if is_of_no_use {
                let _ = fs::remove_file(output_path(&log, task));
            }
        }
        Ok(())
    }

    fn reread_zone(&mut self) -> StoreResult<()> {
        let (zone, fingerprint) = (self.settings.read_zone)();
        let now = self.clock.now();
        let changed = self.store.write(|writer| notice_zone(writer, &fingerprint, &zone, now))?;
        if changed {
            info!("the system's zone is `{}`", zone.name());
        }
        self.zone = zone;
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        const WHAT: &str = "serve the store";
        loop {
            self.deadline.set(self.wake_at()).map_err(|error| Error::io(WHAT, &error))?;
            let ready = self.wait().map_err(|error| Error::io(WHAT, &error))?;
            if ready.stop {
                info!("told to stop; running runs live on");
                return Ok(());
            }
            let mut due = false;
            if ready.timer {
                self.deadline.take();
            }
            if ready.pokes {
                due |= self.take_pokes();
            }
            if ready.subscriptions {
                self.doors.meet_subscribers(self.clock.now());
            }
            if ready.adds {
                due |= self.doors.meet_adders(self.clock.now());
            }
            if ready.keeper {
                self.keeper.flush(self.clock.now());
                due |= self.hear_keeper();
            }
            if (ready.reread && drain(&mut self.reread)) || (ready.zone && self.zone_changed()) {
                due = true;
                self.zone_may_differ = true;
            }
            due |= self.clock_was_set();
            due |= self.is_due(self.clock.now());
            if due {
                self.turn()?;
            }
        }
    }

    fn wake_at(&self) -> Option<Timestamp> {
        let due = self.retry_at.or(self.next_fire).map(|at| timer::wake_for(at, self.clock));
        let others = [
            self.check_at,
            self.linger_until,
            self.keeper.retry_at(),
            self.doors.retry_at(),
            self.watchdog_at,
            self.idle.at(),
        ];
        others.into_iter().chain([due]).flatten().min()
    }

    /// Tells whether an instant has come for which a turn is to be taken, and serves those that need none.
    fn is_due(&mut self, now: Timestamp) -> bool {
        let has_come = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        if has_come(self.watchdog_at) {
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
            self.watchdog_at = self.watchdog.map(|interval| now + interval);
        }
        if has_come(self.keeper.retry_at()) {
            self.keeper.attach(now);
        }
        if has_come(self.doors.retry_at()) {
            self.doors.retry();
            self.doors.mend(now);
        }
        self.idle.tend(&mut self.store, now);
        if has_come(self.check_at) {
            self.check_at = None;
            self.writers.clear();
            return true;
        }
        let fires = self.retry_at.or(self.next_fire).is_some_and(|at| timer::has_come(at, self.clock));
        fires || has_come(self.linger_until)
    }

    fn take_pokes(&mut self) -> bool {
        let (wrote, stops) = self.doors.pokes.drain(&mut self.writers);
        let stops: Vec<ToKeeper> = stops.into_iter().map(ToKeeper::from).collect();
        self.keeper.send(&stops, self.clock.now());
        self.check_at = match (self.writers.is_empty(), self.check_at) {
            (true, _) => None,
            (false, Some(at)) => Some(at),
            (false, None) => Some(self.clock.now() + UNTOLD_COMMIT),
        };
        wrote
    }

    /// Takes in what the keeper says, and returns whether it cannot wait.
    fn hear_keeper(&mut self) -> bool {
        let heard = self.keeper.receive(self.clock.now());
        // Nothing is lost by waiting while nothing could take a free slot, and nobody watches.
        let supplied = self.keeper.is_supplied() || !(self.waiting || self.doors.subscribers.has_any());
        let delay = |report: &FromKeeper| match report {
            FromKeeper::Started { .. } | FromKeeper::Delayed { .. } => STARTED_LINGER,
            FromKeeper::Ended(_) if supplied => ENDED_LINGER,
            FromKeeper::Ended(_) | FromKeeper::Unattended { .. } | FromKeeper::Hello { .. } => Span::ZERO,
        };
        // What was heard before and is still waiting counts too: it was heard when the keeper had more to go
        // on with.
        self.reports.extend(heard);
        let Some(delay) = self.reports.iter().map(delay).min() else { return false };
        if delay == Span::ZERO {
            return true;
        }
        let until = self.clock.now() + delay;
        self.linger_until = Some(self.linger_until.map_or(until, |earlier| earlier.min(until)));
        false
    }

    fn zone_changed(&mut self) -> bool {
        self.zone_watch.as_mut().is_some_and(ZoneWatch::take)
    }

    /// Notices that the wall clock was set, against the monotonic one.
    fn clock_was_set(&mut self) -> bool {
        let (before, after) = (self.clock_offset, offset(self.clock));
        self.clock_offset = after;
        if before <= after {
            return false;
        }
        let back = Span::from_micros(before.abs_diff(after));
        // What is to be done a second from now is not to wait until the clock is there again.
        for at in [&mut self.check_at, &mut self.linger_until, &mut self.retry_at, &mut self.watchdog_at] {
            *at = at.map(|at| at - back);
        }
        self.keeper.clock_was_set_back(back);
        self.doors.clock_was_set_back(back);
        self.idle.clock_was_set_back(back);
        if back > STEP_BACK {
            warn!("the clock was set back by {back}");
            self.set_back = true;
        }
        back > STEP_BACK
    }

    /// Plans anew what a clock that was set back, or another zone, has made wrong.
    fn catch_up(&mut self) -> StoreResult<()> {
        if self.set_back {
            let (now, zone) = (self.clock.now(), self.zone.clone());
            self.store.write(|writer| notice_step_back(writer, &zone, now))?;
            self.set_back = false;
        }
        if self.zone_may_differ {
            self.reread_zone()?;
            self.zone_may_differ = false;
        }
        Ok(())
    }

    /// Takes in what the keeper has said by now, so that the store tells the truth while no daemon runs;
    /// starts nothing.
    fn last_turn(&mut self) -> Result<()> {
        self.is_ending = true;
        self.hear_keeper();
        if self.reports.is_empty() { Ok(()) } else { self.turn() }
    }

    /// Does what goes before a turn.
    fn prepare_turn(&mut self) -> StoreResult<()> {
        if self.store.look_after()? {
            warn!("the directory `log` was gone: made it again; what was in it is lost");
        }
        self.catch_up()
    }

    fn turn(&mut self) -> Result<()> {
        let log = self.base.join(LOG_DIRECTORY);
        let now = self.clock.now();
        if let Err(error) = self.prepare_turn() {
            return self.turn_failed(now, error);
        }
        self.check_place(now)?;
        let meets_keeper = self.reports.iter().any(|report| matches!(report, FromKeeper::Hello { .. }));
        let ended_keepers = if meets_keeper { exit_markers(&log) } else { Vec::new() };
        let pipes = if meets_keeper { attempts_with_pipes(&log) } else { Vec::new() };
        let post_office = PostOffice {
            host: &self.settings.host,
            charset: &self.settings.charset,
            sendmail: &env::sendmail,
            person: &users::person,
            login: &login::login_environment,
            excerpt: &|run| Excerpt::of_file(&log, run, BODY_BYTES_MAX),
        };
        let outcome = turn(
            &mut self.store,
            &Turn {
                now,
                system_zone: &self.zone,
                cpus: self.settings.cpus,
                keeper: self.keeper.keeper().filter(|_| !self.is_ending),
                living_keepers: &self.keeper.living(),
                ended_keepers: &ended_keepers,
                pipes: &pipes,
                reports: &self.reports,
                requests: &self.doors.adds.requests(),
                has_hung_up: &|request| self.doors.adds.has_hung_up(request),
                output: &|ended| stored_output(&log, ended),
                post_office: Some(&post_office),
            },
        );
        let done = match outcome {
            Ok(done) => done,
            Err(error) => return self.turn_failed(now, error),
        };
        self.doors.adds.answer(done.answers);
        self.idle.saw_commits(self.store.commits(), now);
        if self.retry_at.take().is_some() {
            info!("the store can be written again");
        }
        self.linger_until = None;
        self.next_fire = done.deadline;
        self.waiting = done.waiting;
        self.reports = self.keeper.send(&done.orders, now);
        if !self.reports.is_empty() {
            self.linger_until = Some(now);
        }
        remove_exit_markers(&log, &ended_keepers);
        for task in done.stored_outputs {
            // Left behind it is found at the next start.
            let _ = fs::remove_file(output_path(&log, task));
        }
        for notice in done.notices {
            warn!("{notice}");
        }
        // Once is enough: there may be one a minute.
        if done.unsendable_mails > 0 && !std::mem::replace(&mut self.misses_sendmail, true) {
            warn!("there is no sendmail: mails are not sent; `TASKQ_SENDMAIL` names one that lies elsewhere");
        }
        self.doors.subscribers.tell();
        Ok(())
    }

    /// Ends where another daemon may serve the store by now; else sees to it that clients find this one.
    fn check_place(&mut self, now: Timestamp) -> Result<()> {
        if !self.lock.is_in_place(&self.base) {
            let cause = format!(
                "its lock in `{}` is gone, and another daemon may take it",
                self.settings.dir.display()
            );
            return Err(Error::conflict("serve the store", cause)
                .hint("start a daemon again if the store is still there: running jobs continue"));
        }
        self.doors.mend(now);
        Ok(())
    }

    fn turn_failed(&mut self, now: Timestamp, error: StoreError) -> Result<()> {
        let refusal = error.refusal("add job");
        self.doors.adds.answer(std::iter::repeat_with(|| Err(refusal.clone())));
        if !error.is_passing() {
            return Err(error.during("serve the store"));
        }
        if self.retry_at.is_none() {
            error!("{error}; trying again each second");
        }
        self.retry_at = Some(now + RETRY);
        self.linger_until = None;
        self.pass_on_stops();
        Ok(())
    }

    /// Tells the keeper what is to be stopped although that cannot be committed: the run may be what fills
    /// the disk.
    fn pass_on_stops(&mut self) {
        let stop = |(run, number, now)| ToKeeper::Stop { attempt: Attempt::of_run(run, number), now };
        let stops = self
            .store
            .read(|reader| Ok::<Vec<_>, StoreError>(reader.untold_stops()?.into_iter().map(stop).collect()));
        self.keeper.send(&stops.unwrap_or_default(), self.clock.now());
    }

    fn wait(&mut self) -> io::Result<Ready> {
        let keeper_flags = if self.keeper.wants_write() {
            PollFlags::POLLIN | PollFlags::POLLOUT
        } else {
            PollFlags::POLLIN
        };
        // Each descriptor with the part of `Ready` that it stands for.
        let mut parts: Vec<fn(&mut Ready) -> &mut bool> = Vec::new();
        let mut fds = Vec::new();
        let mut watch = |fd, flags, part| {
            fds.push(PollFd::new(fd, flags));
            parts.push(part);
        };
        watch(self.stop.as_fd(), PollFlags::POLLIN, |ready| &mut ready.stop);
        watch(self.reread.as_fd(), PollFlags::POLLIN, |ready| &mut ready.reread);
        watch(self.deadline.as_fd(), PollFlags::POLLIN, |ready| &mut ready.timer);
        watch(self.doors.pokes.as_fd(), PollFlags::POLLIN, |ready| &mut ready.pokes);
        if let Some(fd) = self.keeper.fd() {
            watch(fd, keeper_flags, |ready| &mut ready.keeper);
        }
        if let Some(zone_watch) = &self.zone_watch {
            watch(zone_watch.as_fd(), PollFlags::POLLIN, |ready| &mut ready.zone);
        }
        self.doors
            .subscriber_fds()
            .for_each(|fd| watch(fd, PollFlags::POLLIN, |ready| &mut ready.subscriptions));
        self.doors.adder_fds().for_each(|fd| watch(fd, PollFlags::POLLIN, |ready| &mut ready.adds));
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Ready::default()),
            Err(errno) => return Err(errno.into()),
        }
        let mut ready = Ready::default();
        for (fd, part) in fds.iter().zip(parts) {
            *part(&mut ready) |= fd.any().unwrap_or(true);
        }
        Ok(ready)
    }
}

/// What the wait found.
#[derive(Debug, Default)]
struct Ready {
    stop: bool,
    reread: bool,
    timer: bool,
    pokes: bool,
    subscriptions: bool,
    adds: bool,
    keeper: bool,
    zone: bool,
}

fn signal_pipe(signals: &[i32]) -> io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    for signal in signals {
        pipe::register(*signal, write.try_clone()?)?;
    }
    Ok(read)
}

/// Takes in what a signal pipe holds; returns `true` always, for use in a condition.
fn drain(pipe: &mut UnixStream) -> bool {
    let mut bytes = [0; 64];
    while io::Read::read(pipe, &mut bytes).is_ok_and(|n| n == bytes.len()) {}
    true
}

/// The wall clock's distance from the monotonic one, in microseconds: it changes when the wall clock is set.
fn offset(clock: &dyn Clock) -> i64 {
    clock.now().as_micros() - i64::try_from(clock.monotonic().as_micros()).unwrap_or(i64::MAX)
}
