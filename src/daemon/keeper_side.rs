//! Owns: having a keeper: finding the one that lives, launching another, noticing that it is gone.
//! Never: what it runs.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::process::Stdio;

use log::{error, warn};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::order::Undeliverable;
use super::{random_id, sockets};
use crate::domain::{Span, Timestamp};
use crate::error::describe;
use crate::keeper::lock::running_keeper;
use crate::keeper::protocol::{Attempt, FromKeeper, KeeperId, KeeperInstance, PROTOCOL_VERSION, ToKeeper};
use crate::keeper::{KeeperLink, SOCKET, launch};

/// How long after two keepers in a row ended without a word the next is launched.
const RELAUNCH: Span = Span::from_seconds(1);

/// How long a keeper that holds its lock and does not listen gets to make its socket anew, or to end.
const REBIND: Span = Span::from_millis(50);

/// The daemon's keeper.
#[derive(Debug)]
pub(super) struct KeeperSide {
    /// The store's directory, for the keeper's command line.
    dir: PathBuf,
    /// The way into it.
    base: PathBuf,
    exe: PathBuf,
    /// The soft limit of descriptors that this process was started with, if it has raised it: the keeper is
    /// to have that.
    descriptors: Option<u64>,
    link: Option<KeeperLink>,
    /// The keeper that said hello on this link.
    keeper: Option<KeeperId>,
    /// Keepers that are children of this process and were not reaped.
    children: Vec<u32>,
    failed_hellos: u32,
    retry_at: Option<Timestamp>,
    /// Starts that were told and have not been heard of: what the keeper has to go on with by itself.
    standing_by: usize,
    /// That many or fewer are too few to wait with the next turn.
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

    /// Tells whether the keeper understands orders with extras.
    pub(super) fn takes_extras(&self) -> bool {
        self.keeper.is_none_or(KeeperId::takes_extras)
    }

    pub(super) fn retry_at(&self) -> Option<Timestamp> {
        self.retry_at
    }

    /// Tells whether the keeper has enough to go on with for results to wait a moment for company: slots are
    /// not empty meanwhile, and a commit is shared by more of them.
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

    pub(super) fn flush(&mut self) {
        if let Some(link) = &mut self.link {
            link.flush();
        }
    }

    /// Connects to the keeper that lives, or to a new one, and says hello.
    pub(super) fn attach(&mut self, now: Timestamp) {
        let is_first = self.retry_at.take().is_none();
        let said_hello = self.connect().and_then(|stream| {
            let mut link = KeeperLink::new(stream)?;
            link.send(&[ToKeeper::Hello { version: PROTOCOL_VERSION }])?;
            Ok(link)
        });
        match said_hello {
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

    fn connect(&mut self) -> io::Result<std::os::unix::net::UnixStream> {
        match sockets::connect(&self.base, SOCKET) {
            // Only these say that none listens. Launching another would take the place of one that cannot be
            // reached just now, for want of descriptors, memory or permission, and lose what it runs.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {}
            reached_or_not => return reached_or_not,
        }
        // Whatever became of its socket: what it runs is not to be taken for lost.
        if let Some(pid) = running_keeper(&self.base) {
            // It makes its socket anew, or is just ending.
            let _ = kill(Pid::from_raw(pid), Signal::SIGHUP);
            return Err(io::Error::new(
                ErrorKind::WouldBlock,
                format!("pid {pid} has its lock and does not listen"),
            ));
        }
        let listener = sockets::listen(&self.base, SOCKET)?;
        let instance: KeeperInstance = random_id()?;
        let mut args = vec![
            OsString::from("--dir"),
            self.dir.clone().into_os_string(),
            OsString::from("keeper"),
            OsString::from("--instance"),
            OsString::from(instance.to_string()),
        ];
        if let Some(soft) = self.descriptors {
            args.extend([OsString::from("--descriptors"), OsString::from(soft.to_string())]);
        }
        self.children.push(launch(&self.exe, &args, listener, Stdio::null())?);
        sockets::connect(&self.base, SOCKET)
    }

    /// Returns what the keeper has said. A keeper that is gone is replaced.
    pub(super) fn hear(&mut self, now: Timestamp) -> Vec<FromKeeper> {
        let Some(link) = &mut self.link else { return Vec::new() };
        match link.receive() {
            Ok(heard) => {
                heard.iter().for_each(|report| self.note(report));
                heard
            }
            Err(error) => {
                self.lose(now, &error);
                Vec::new()
            }
        }
    }

    fn note(&mut self, report: &FromKeeper) {
        match report {
            FromKeeper::Hello { version, instance, known, .. } => {
                self.keeper = Some(KeeperId { instance: *instance, version: *version });
                self.failed_hellos = 0;
                self.standing_by = known.iter().filter(|known| known.started.is_none()).count();
                self.refill_at = self.standing_by / 2;
            }
            FromKeeper::Started { .. } => self.standing_by = self.standing_by.saturating_sub(1),
            FromKeeper::Ended(ended) if ended.started_at.is_none() => {
                self.standing_by = self.standing_by.saturating_sub(1);
            }
            FromKeeper::Ended(_) | FromKeeper::Unattended { .. } | FromKeeper::Delayed { .. } => {}
        }
    }

    fn lose(&mut self, now: Timestamp, error: &io::Error) {
        self.link = None;
        (self.standing_by, self.refill_at) = (0, 0);
        if self.keeper.take().is_some() {
            warn!("the keeper is gone: {}", describe(error));
        } else {
            self.failed_hellos += 1;
        }
        // A child that ends later than its connection is reaped when the next keeper goes.
        self.children.retain(|pid| {
            let pid = Pid::from_raw(i32::try_from(*pid).expect("process ids fit"));
            waitpid(pid, Some(WaitPidFlag::WNOHANG))
                .is_ok_and(|status| status == nix::sys::wait::WaitStatus::StillAlive)
        });
        // One failed_hellos end is a keeper that was just leaving when we connected; more are trouble.
        if self.failed_hellos > 1 {
            error!("a keeper ended without a word; the next is started in a second");
            self.retry_at = Some(now + RELAUNCH);
        } else {
            self.attach(now);
        }
    }

    /// Gives orders to the keeper; without one they are void: what they were about is settled when the next
    /// says hello. Returns the attempts that it could not be told of.
    pub(super) fn tell(&mut self, orders: Vec<ToKeeper>) -> Vec<(Attempt, Undeliverable)> {
        let takes_extras = self.takes_extras();
        let (orders, beyond_it): (Vec<ToKeeper>, Vec<ToKeeper>) =
            orders.into_iter().partition(|order| takes_extras || !matches!(order, ToKeeper::StartWith(..)));
        self.standing_by += orders.iter().filter(|order| order.as_start().is_some()).count();
        self.refill_at = self.standing_by / 2;
        let Some(link) = &mut self.link else { return Vec::new() };
        let starts = beyond_it.iter().filter_map(ToKeeper::as_start);
        let mut undeliverable: Vec<_> =
            starts.map(|start| (start.attempt, Undeliverable::KeeperTooOld)).collect();
        if orders.is_empty() || link.send(&orders).is_ok() {
            return undeliverable;
        }
        // None of them was taken: one by one, so that the others do not suffer for it.
        for order in &orders {
            match (link.send(std::slice::from_ref(order)), order.as_start()) {
                (Err(_), Some(start)) => undeliverable.push((start.attempt, Undeliverable::TooLong)),
                (Err(error), None) => error!("cannot give an order to the keeper: {}", describe(&error)),
                (Ok(()), _) => {}
            }
        }
        undeliverable
    }
}
