//! Owns: the connection to a keeper: finding a living one, launching another, and noticing its end.
//! Never: the runs of the keeper.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use log::{error, info, warn};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::order::too_long;
use super::settings::Settings;
use super::{random_id, sockets};
use crate::domain::Timestamp;
use crate::error::describe;
use crate::keeper::lock::running_keeper;
use crate::keeper::protocol::{Attempt, FromKeeper, KeeperId, KeeperInstance, PROTOCOL_VERSION, ToKeeper};
use crate::keeper::{Channel, LOG_DIRECTORY, SOCKET, ServiceUnit, exit_markers, launch};
use crate::seal::OutputKeys;

/// The pause after a keeper could not be launched, or an outdated one was disconnected.
const RELAUNCH: Duration = Duration::from_secs(1);

/// The pause after a keeper that holds its lock did not listen: it makes its socket again, or exits.
const REBIND: Duration = Duration::from_millis(50);

/// How a keeper ended to which there was a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// By itself: systemd stops its scope, most likely because the machine shuts down. The next keeper has
    /// time.
    Stopped,
    Unexpected,
    /// It was exiting already, or could not be started.
    WithoutHello,
}

#[derive(Debug)]
pub(super) struct KeeperSide {
    /// The store's directory, for the keeper's command line.
    dir: PathBuf,
    /// The path to it by its descriptor.
    base: PathBuf,
    exe: PathBuf,
    /// The service of this process. Its keeper gets a scope. `None`: there is none, or that has failed.
    unit: Option<ServiceUnit>,
    /// The keeper that was launched last is to get a scope, and has not said hello.
    is_scope_due: bool,
    /// The soft limit of descriptors that this process was started with, if it has raised the limit. The
    /// keeper gets this one.
    descriptors: Option<u64>,
    /// The keys of outputs, if the store is sealed.
    output_keys: Option<OutputKeys>,
    link: Option<Channel>,
    /// The keeper that said hello on this link.
    keeper: Option<KeeperId>,
    /// The attempts of an outdated keeper without an acknowledgement.
    left: HashSet<Attempt>,
    /// Keepers that are children of this process and were not reaped.
    children: Vec<u32>,
    /// The last attempt found a keeper that does not listen.
    is_unreachable: bool,
}

impl KeeperSide {
    pub(super) fn new(
        settings: &Settings,
        output_keys: Option<OutputKeys>,
        base: PathBuf,
        descriptors: Option<u64>,
    ) -> Self {
        Self {
            dir: settings.dir.clone(),
            base,
            exe: settings.exe.clone(),
            unit: settings.unit.clone(),
            is_scope_due: false,
            descriptors,
            output_keys,
            link: None,
            keeper: None,
            left: HashSet::new(),
            children: Vec::new(),
            is_unreachable: false,
        }
    }

    /// Returns the keeper that takes orders.
    pub(super) fn keeper(&self) -> Option<KeeperId> {
        self.keeper
    }

    pub(super) fn living(&self) -> Vec<KeeperInstance> {
        self.keeper.iter().map(|keeper| keeper.instance).collect()
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.link.as_ref().map(AsFd::as_fd)
    }

    pub(super) fn wants_write(&self) -> bool {
        self.link.as_ref().is_some_and(Channel::wants_write)
    }

    pub(super) fn flush(&mut self) {
        if let Some(link) = &mut self.link {
            link.flush();
        }
    }

    /// Connects to the living keeper, or to a new one, and says hello. If that fails, returns the pause
    /// before the next try.
    pub(super) fn attach(&mut self) -> Option<Duration> {
        let is_first = !std::mem::take(&mut self.is_unreachable);
        let greeted = self.connect().and_then(|stream| {
            let mut link = Channel::new(stream)?;
            link.send(&[ToKeeper::Hello { version: PROTOCOL_VERSION }])?;
            Ok(link)
        });
        match greeted {
            Ok(link) => {
                self.link = Some(link);
                None
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if is_first {
                    warn!("cannot reach the keeper: {}; trying again until it listens", describe(&error));
                }
                self.is_unreachable = true;
                Some(REBIND)
            }
            Err(error) => {
                error!("cannot reach or start a keeper: {}; trying again each second", describe(&error));
                Some(RELAUNCH)
            }
        }
    }

    fn connect(&mut self) -> io::Result<UnixStream> {
        match sockets::connect(&self.base, SOCKET) {
            // Only these mean that no keeper listens. After another error, for want of descriptors, memory or
            // permission, a new keeper would replace a living one and lose its runs.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {}
            reached_or_not => return reached_or_not,
        }
        // A keeper whose socket is gone still holds its lock, and its runs are not lost.
        if let Some(pid) = running_keeper(&self.base) {
            // It makes its socket again, or is exiting.
            let _ = kill(Pid::from_raw(pid), Signal::SIGHUP);
            return Err(io::Error::new(
                ErrorKind::WouldBlock,
                format!("pid {pid} has its lock and does not listen"),
            ));
        }
        let listener = sockets::listen(&self.base, SOCKET)?;
        let instance: KeeperInstance = random_id()?;
        let mut args: Vec<OsString> = vec!["--dir".into(), self.dir.clone().into()];
        args.extend(["keeper".into(), "--instance".into(), instance.to_string().into()]);
        if let Some(soft) = self.descriptors {
            args.extend(["--descriptors".into(), soft.to_string().into()]);
        }
        if self.output_keys.is_some() {
            args.push("--sealed".into());
        }
        self.is_scope_due = self.unit.is_some();
        let (program, args) = match &self.unit {
            Some(unit) => unit.in_scope(instance, &self.dir, &self.exe, args),
            None => (self.exe.clone(), args),
        };
        self.children.push(launch(&program, &args, listener, Stdio::null())?);
        sockets::connect(&self.base, SOCKET)
    }

    /// Returns the messages that have arrived.
    ///
    /// # Errors
    /// The keeper is gone.
    pub(super) fn receive(&mut self) -> Result<Vec<FromKeeper>, Gone> {
        let Some(link) = &mut self.link else { return Ok(Vec::new()) };
        let reports = link.receive().map_err(|error| self.lose(&error))?;
        let mut has_greeted = false;
        for report in &reports {
            if let FromKeeper::Hello { version, instance, known, ended } = report {
                let keeper = KeeperId { instance: *instance, version: *version };
                self.keeper = Some(keeper);
                has_greeted = true;
                self.is_scope_due = false;
                let known = known.iter().map(|known| known.attempt);
                self.left = known.chain(ended.iter().map(|ended| ended.attempt)).collect();
                if !keeper.takes_starts(self.output_keys.is_some()) && !self.left.is_empty() {
                    warn!(
                        "the keeper is an earlier taskq's: nothing starts until all that it runs has ended"
                    );
                }
            }
        }
        if has_greeted {
            self.send_keys();
        }
        Ok(reports)
    }

    /// Seals the outputs with these keys from now on.
    pub(super) fn seal(&mut self, keys: OutputKeys) {
        self.output_keys = Some(keys);
        self.send_keys();
    }

    /// Sends the keys to a keeper that knows them: before any order, because it starts nothing without them.
    fn send_keys(&mut self) {
        let can_seal = self.keeper.is_some_and(KeeperId::knows_seals);
        if let (Some(link), Some(keys)) = (&mut self.link, self.output_keys.clone().filter(|_| can_seal))
            && let Err(error) = link.send_secret(&ToKeeper::Seal(keys))
        {
            error!("cannot give the keys to the keeper: {error}");
        }
    }

    fn lose(&mut self, error: &io::Error) -> Gone {
        self.link = None;
        let gone = match self.keeper.take() {
            Some(keeper) if exit_markers(&self.base.join(LOG_DIRECTORY)).contains(&keeper.instance) => {
                info!("the keeper was stopped together with its runs");
                Gone::Stopped
            }
            Some(_) => {
                warn!("the keeper is gone: {}", describe(error));
                Gone::Unexpected
            }
            None => Gone::WithoutHello,
        };
        if std::mem::take(&mut self.is_scope_due) {
            warn!("the keeper did not get a scope of its own: it starts in the group of the service");
            self.unit = None;
        }
        // A child that exits later than its connection is reaped when the next keeper is replaced.
        self.children.retain(|pid| {
            let pid = Pid::from_raw(i32::try_from(*pid).expect("process ids fit"));
            waitpid(pid, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status == WaitStatus::StillAlive)
        });
        gone
    }

    /// Sends orders to the keeper. Without a keeper it drops them, because the next hello leads to new ones.
    /// Returns the ends of attempts that cannot be started because their order is too long.
    pub(super) fn send(&mut self, orders: &[ToKeeper], now: Timestamp) -> Vec<FromKeeper> {
        for order in orders {
            if let ToKeeper::Acknowledge { attempts } = order {
                for attempt in attempts {
                    self.left.remove(attempt);
                }
            }
        }
        let takes_signals = self.keeper.is_some_and(KeeperId::takes_signals);
        let is_signal = |order: &ToKeeper| matches!(order, ToKeeper::Signal { .. });
        if !takes_signals && orders.iter().any(is_signal) {
            // A client has asked while the keeper was replaced.
            warn!("cannot send a signal: the keeper is an earlier taskq's, or is not there yet");
            let others: Vec<ToKeeper> = orders.iter().filter(|order| !is_signal(order)).cloned().collect();
            return self.send(&others, now);
        }
        let Some(link) = &mut self.link else { return Vec::new() };
        let mut ends = Vec::new();
        // If one is too long, none is sent: then send them one by one.
        if link.send(orders).is_err() {
            for order in orders {
                match (link.send(std::slice::from_ref(order)), order) {
                    (Err(_), ToKeeper::Start(start, _)) => {
                        ends.push(FromKeeper::Ended(too_long(start.attempt, now)));
                    }
                    (Err(error), _) => error!("cannot give an order to the keeper: {error}"),
                    (Ok(()), _) => {}
                }
            }
        }
        ends
    }

    /// Disconnects from an outdated keeper that has nothing left, which then exits. Returns the pause before
    /// the launch of a new one.
    pub(super) fn let_outdated_go(&mut self) -> Option<Duration> {
        let is_outdated = self.keeper.is_some_and(KeeperId::is_outdated);
        if !is_outdated || !self.left.is_empty() || self.wants_write() {
            return None;
        }
        (self.link, self.keeper) = (None, None);
        Some(RELAUNCH)
    }
}
