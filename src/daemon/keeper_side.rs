//! Owns: having a keeper: finding the one that lives, launching another, noticing that it is gone.
//! Never: what it runs.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;

use log::{error, warn};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::order::too_long;
use super::{random_id, sockets};
use crate::domain::{Span, Timestamp};
use crate::error::describe;
use crate::keeper::lock::running_keeper;
use crate::keeper::protocol::{Attempt, FromKeeper, KeeperId, KeeperInstance, PROTOCOL_VERSION, ToKeeper};
use crate::keeper::{KeeperLink, SOCKET, launch};

/// The pause before the next keeper is launched, after two in a row have ended without a hello, or after an
/// outdated one was let go.
const RELAUNCH: Span = Span::from_seconds(1);

/// The pause after a keeper that holds its lock did not listen: it makes its socket anew, or exits.
const REBIND: Span = Span::from_millis(50);

/// The daemon's keeper.
#[derive(Debug)]
pub(super) struct KeeperSide {
    /// The store's directory, for the keeper's command line.
    dir: PathBuf,
    /// The path to it by its descriptor.
    base: PathBuf,
    exe: PathBuf,
    /// The soft limit of descriptors that this process was started with, if it has raised it: the keeper
    /// gets that.
    descriptors: Option<u64>,
    link: Option<KeeperLink>,
    /// The keeper that said hello on this link.
    keeper: Option<KeeperId>,
    /// What an outdated keeper has and was not acknowledged.
    left: HashSet<Attempt>,
    /// Keepers that are children of this process and were not reaped.
    children: Vec<u32>,
    /// Keepers in a row that ended without a hello.
    failed_hellos: u32,
    retry_at: Option<Timestamp>,
    /// Starts that were sent and have no answer yet: what the keeper can go on with by itself.
    standing_by: usize,
    /// If no more than this many are left, the next turn cannot wait.
    refill_at: usize,
}

impl KeeperSide {
    pub(super) fn new(dir: PathBuf, base: PathBuf, exe: PathBuf, descriptors: Option<u64>) -> Self {
        Self {
            dir,
            base,
            exe,
            descriptors,
            link: None,
            keeper: None,
            left: HashSet::new(),
            children: Vec::new(),
            failed_hellos: 0,
            retry_at: None,
            standing_by: 0,
            refill_at: 0,
        }
    }

    /// Returns the keeper that takes orders.
    pub(super) fn keeper(&self) -> Option<KeeperId> {
        self.keeper
    }

    /// Returns all the keepers that live.
    pub(super) fn living(&self) -> Vec<KeeperInstance> {
        self.keeper.iter().map(|keeper| keeper.instance).collect()
    }

    pub(super) fn retry_at(&self) -> Option<Timestamp> {
        self.retry_at
    }

    /// Tells whether the keeper has enough to go on with, so that results can wait for a moment: no slot is
    /// empty meanwhile, and more results share a commit.
    pub(super) fn is_supplied(&self) -> bool {
        self.standing_by > self.refill_at
    }

    /// The wall clock is earlier than it was by so much.
    pub(super) fn clock_was_set_back(&mut self, by: Span) {
        self.retry_at = self.retry_at.map(|at| at - by);
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.link.as_ref().map(AsFd::as_fd)
    }

    pub(super) fn wants_write(&self) -> bool {
        self.link.as_ref().is_some_and(KeeperLink::wants_write)
    }

    pub(super) fn flush(&mut self, now: Timestamp) {
        if let Some(link) = &mut self.link {
            link.flush();
        }
        self.let_outdated_go(now);
    }

    /// Connects to the keeper that lives, or to a new one, and says hello.
    pub(super) fn attach(&mut self, now: Timestamp) {
        let is_first = self.retry_at.take().is_none();
        let greeted = self.connect().and_then(|stream| {
            let mut link = KeeperLink::new(stream)?;
            link.send(&[ToKeeper::Hello { version: PROTOCOL_VERSION }])?;
            Ok(link)
        });
        match greeted {
            Ok(link) => self.link = Some(link),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if is_first {
                    warn!("cannot reach the keeper: {}; trying again until it listens", describe(&error));
                }
                self.retry_at = Some(now + REBIND);
            }
            Err(error) => {
                error!("cannot reach or start a keeper: {}; trying again each second", describe(&error));
                self.retry_at = Some(now + RELAUNCH);
            }
        }
    }

    fn connect(&mut self) -> io::Result<UnixStream> {
        match sockets::connect(&self.base, SOCKET) {
            // Only these mean that none listens. Another error is a want of descriptors, memory or
            // permission: a new keeper would replace one that lives, and lose what it runs.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {}
            reached_or_not => return reached_or_not,
        }
        // A keeper whose socket is gone still has its lock, and its runs are not lost.
        if let Some(pid) = running_keeper(&self.base) {
            // It makes its socket anew, or is exiting.
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
        self.children.push(launch(&self.exe, &args, listener, Stdio::null())?);
        sockets::connect(&self.base, SOCKET)
    }

    /// Returns the messages that have arrived. A keeper that is gone is replaced.
    pub(super) fn receive(&mut self, now: Timestamp) -> Vec<FromKeeper> {
        let Some(link) = &mut self.link else { return Vec::new() };
        match link.receive() {
            Ok(reports) => {
                reports.iter().for_each(|report| self.note(report));
                reports
            }
            Err(error) => {
                self.replace(now, &error);
                Vec::new()
            }
        }
    }

    fn note(&mut self, report: &FromKeeper) {
        match report {
            FromKeeper::Hello { version, instance, known, ended } => {
                let keeper = KeeperId { instance: *instance, version: *version };
                self.keeper = Some(keeper);
                self.failed_hellos = 0;
                self.standing_by = known.iter().filter(|known| known.started.is_none()).count();
                self.refill_at = self.standing_by / 2;
                let known = known.iter().map(|known| known.attempt);
                self.left = known.chain(ended.iter().map(|ended| ended.attempt)).collect();
                if !keeper.takes_starts() && !self.left.is_empty() {
                    warn!(
                        "the keeper is an earlier taskq's: nothing starts until all that it runs has ended"
                    );
                }
            }
            FromKeeper::Started { .. } => self.standing_by = self.standing_by.saturating_sub(1),
            FromKeeper::Ended(ended) if ended.started_at.is_none() => {
                self.standing_by = self.standing_by.saturating_sub(1);
            }
            FromKeeper::Ended(_) | FromKeeper::Unattended { .. } | FromKeeper::Delayed { .. } => {}
        }
    }

    fn replace(&mut self, now: Timestamp, error: &io::Error) {
        self.link = None;
        (self.standing_by, self.refill_at) = (0, 0);
        if self.keeper.take().is_some() {
            warn!("the keeper is gone: {}", describe(error));
        } else {
            self.failed_hellos += 1;
        }
        // A child that exits later than its connection is reaped when the next keeper is replaced.
        self.children.retain(|pid| {
            let pid = Pid::from_raw(i32::try_from(*pid).expect("process ids fit"));
            waitpid(pid, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status == WaitStatus::StillAlive)
        });
        // One connection without a hello is a keeper that was exiting; two in a row mean that it cannot
        // start.
        if self.failed_hellos > 1 {
            error!("a keeper ended without a hello; the next is started in a second");
            self.retry_at = Some(now + RELAUNCH);
        } else {
            self.attach(now);
        }
    }

    /// Sends orders to the keeper; without one they are dropped: the next hello settles what they were
    /// about. Returns the ends of attempts that cannot be started because their order is too long.
    pub(super) fn send(&mut self, orders: &[ToKeeper], now: Timestamp) -> Vec<FromKeeper> {
        for order in orders {
            match order {
                ToKeeper::Start(..) => self.standing_by += 1,
                ToKeeper::Acknowledge { attempts } => {
                    for attempt in attempts {
                        self.left.remove(attempt);
                    }
                }
                _ => {}
            }
        }
        self.refill_at = self.standing_by / 2;
        let Some(link) = &mut self.link else { return Vec::new() };
        let mut ends = Vec::new();
        // If one is too long none is taken: then one by one.
        if link.send(orders).is_err() {
            for order in orders {
                match (link.send(std::slice::from_ref(order)), order) {
                    (Err(_), ToKeeper::Start(start, _)) => {
                        ends.push(FromKeeper::Ended(too_long(start.attempt, now)));
                    }
                    (Err(error), _) => error!("cannot give an order to the keeper: {}", describe(&error)),
                    (Ok(()), _) => {}
                }
            }
        }
        self.let_outdated_go(now);
        ends
    }

    /// Hangs up on an outdated keeper that has nothing left. It exits, and a new one takes its place.
    fn let_outdated_go(&mut self, now: Timestamp) {
        let is_outdated = self.keeper.is_some_and(KeeperId::is_outdated);
        if is_outdated && self.left.is_empty() && !self.wants_write() {
            (self.link, self.keeper, self.retry_at) = (None, None, Some(now + RELAUNCH));
        }
    }
}
