//! Owns: the commands that feed the daemon with lines: starting, signalling and reaping them.
//! Never: their lines, or starting them again (see `watch`).
//!
//! A feeder is a child of the daemon, in a session and a process group of its own, and must not outlive it:
//! nobody would read what it writes, and the next daemon starts another. So it is bound to the daemon in a
//! way that holds even if the daemon is killed, see `sys::Bond`.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::fchown;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::sys::stat::Mode;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{self, Pid};

use super::limits::DescriptorLimit;
use super::process::Launch;
use super::protocol::{Attempt, StartExtras, StartOrder};
use super::spawn_error::{SpawnError, Step};
use super::stopping::{StopSignal, Stopping};
use super::sys::{self, Bond, Preparation};
use crate::domain::{End, EnvVar, Execution, Span};
use crate::error::errno_of;

/// The tether of a feeder has at least this number, out of the way of the numbers that scripts choose.
const TETHER_LEAST: i32 = 100;

/// A command that is to feed the daemon.
#[derive(Clone, Copy, Debug)]
pub struct FeederOrder<'a> {
    /// A script for `/bin/sh -c`.
    pub script: &'a str,
    /// How the runs of its job are started. The command and the standard input are those of the runs alone: a
    /// feeder reads nothing.
    pub execution: &'a Execution,
    /// More variables, each `NAME=VALUE`. They replace those of the same name.
    pub variables: &'a [EnvVar],
    /// How long after SIGTERM it gets SIGKILL.
    pub kill_after: Span,
}

/// One output of a feeder. Reading it never blocks.
#[derive(Debug)]
pub struct Outlet(Option<File>);

impl Outlet {
    /// Returns the descriptor to wait for, until the end was read.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }
}

impl Read for Outlet {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(file) = &mut self.0 else { return Ok(0) };
        let count = file.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            self.0 = None;
        }
        Ok(count)
    }
}

/// The shell of a feeder.
#[derive(Debug)]
enum Leader {
    /// The descriptor is readable once it has ended.
    Running(OwnedFd),
    /// It was not reaped, so that its number, which is that of the group too, is of no other process.
    Ended,
    /// It was reaped. Nothing may be sent to its number.
    Reaped(End),
}

/// A command that feeds the daemon.
///
/// When it is dropped, all of its process group get SIGKILL.
#[derive(Debug)]
pub struct Feeder {
    child: Child,
    leader: Leader,
    stopping: Stopping,
    pub stdout: Outlet,
    pub stderr: Outlet,
    /// Closing it kills those of the group that have the other end.
    _tether: OwnedFd,
}

impl Feeder {
    /// Starts a command at `now`, a monotonic time. `limit`: that of descriptors, if this process has raised
    /// its own.
    ///
    /// It is killed when the calling thread ends, and with it this process.
    ///
    /// # Errors
    /// Why there is no process, a fragment such as `` user `x`: there is no such user ``.
    pub fn start(
        order: &FeederOrder<'_>,
        limit: Option<DescriptorLimit>,
        now: Duration,
    ) -> Result<Self, String> {
        let execution = order.execution.clone();
        let start = StartOrder {
            // It stands for no attempt. Nothing is named after this one.
            attempt: Attempt::of_mail(0),
            queue: String::new(),
            slots: 1,
            argv: [b"/bin/sh", &b"-c"[..], order.script.as_bytes()].map(<[u8]>::to_vec).to_vec(),
            env: execution.env.into_iter().chain(order.variables.iter().cloned()).collect(),
            cwd: execution.cwd,
            umask: execution.umask,
            timeout: None,
            kill_after: order.kill_after,
        };
        let extras = StartExtras {
            user: execution.user,
            cwd_optional: execution.cwd_optional,
            nice: execution.nice,
            env_file: execution.env_file,
            ..StartExtras::default()
        };
        let stopping = Stopping::new(now, None, order.kill_after.as_duration());
        begin(&start, &extras, limit, stopping).map_err(|error| error.explain(&start, &extras).1)
    }

    /// Returns the descriptors to wait for until they are readable. Read both outputs and call `advance`
    /// then.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let process = match &self.leader {
            Leader::Running(process) => Some(process.as_fd()),
            Leader::Ended | Leader::Reaped(_) => None,
        };
        [self.stdout.fd(), self.stderr.fd(), process].into_iter().flatten()
    }

    /// Returns when `advance` has something to do, as a monotonic time.
    pub fn wake_at(&self) -> Option<Duration> {
        self.stopping.deadline()
    }

    /// Sends SIGTERM to all of its group, and lets `advance` send SIGKILL later. Later calls do nothing.
    pub fn stop(&mut self, now: Duration) {
        let due = self.stopping.cancel(now, false);
        self.send(due);
    }

    /// Follows what has happened until `now`. Returns the end of the command's shell once all is over; the
    /// feeder is of no more use then.
    ///
    /// The end of the shell stops what is left of its group. All is over when, after that, no process holds
    /// the outputs, or the group was killed.
    pub fn advance(&mut self, now: Duration) -> Option<End> {
        if let Leader::Running(process) = &self.leader {
            let id = Id::PIDFd(process.as_fd());
            match waitid(id, WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT) {
                Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => {}
                Ok(_) => {
                    self.leader = Leader::Ended;
                    self.stop(now);
                }
                // Whoever started the daemon has it ignore SIGCHLD, so that the system reaps its children.
                Err(_) => self.leader = Leader::Reaped(End::Lost),
            }
        }
        let due = self.stopping.expire(now);
        self.send(due);
        let is_closed = self.stdout.fd().is_none() && self.stderr.fd().is_none();
        match &self.leader {
            Leader::Running(_) => None,
            Leader::Ended => (is_closed || self.stopping.is_killed()).then(|| self.reap()),
            Leader::Reaped(end) => Some(end.clone()),
        }
    }

    fn send(&self, due: Option<StopSignal>) {
        // EPERM: all are of another user, by a program with set-user-ID.
        match due {
            Some(StopSignal::Terminate) => {
                self.send_to_group(Signal::SIGTERM);
                self.send_to_group(Signal::SIGCONT);
            }
            Some(StopSignal::Kill) => self.send_to_group(Signal::SIGKILL),
            None => {}
        }
    }

    fn send_to_group(&self, signal: Signal) {
        if !matches!(self.leader, Leader::Reaped(_)) {
            let group = i32::try_from(self.child.id()).expect("process ids fit");
            let _ = killpg(Pid::from_raw(group), signal);
        }
    }

    /// Kills what has closed the outputs and still lives, and reaps the shell.
    fn reap(&mut self) -> End {
        self.send_to_group(Signal::SIGKILL);
        let end = match self.child.try_wait() {
            Ok(Some(status)) => {
                let signal = status.signal().unwrap_or_default();
                status.code().map_or(End::Signaled(signal), End::Exited)
            }
            Ok(None) | Err(_) => End::Lost,
        };
        self.leader = Leader::Reaped(end.clone());
        end
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        if !matches!(self.leader, Leader::Reaped(_)) {
            // It leaves a zombie if it is not dead at once; that goes with the daemon.
            self.reap();
        }
    }
}

/// Starts the order's shell with both outputs into pipes.
fn begin(
    order: &StartOrder,
    extras: &StartExtras,
    limit: Option<DescriptorLimit>,
    stopping: Stopping,
) -> Result<Feeder, SpawnError> {
    let launch = Launch::resolve(order, extras, None, limit)?;
    let ((stdout, stdout_inlet), (stderr, stderr_inlet)) = (output(&launch)?, output(&launch)?);
    let (theirs, tether) = pipe()?;
    let bond = Bond {
        umask: Mode::from_bits_truncate(order.umask),
        nice: extras.nice,
        parent: unistd::getpid(),
        tether: sys::move_beyond(theirs, TETHER_LEAST),
    };
    let preparation = Preparation { bond: Some(bond), ..launch.preparation() };
    let files = [&launch.open_input()?, &stdout_inlet, &stderr_inlet];
    let mut child = launch.spawn_prepared(&launch.argv[0], &launch.argv, files, preparation)?;
    let process = sys::open_process(child.id()).map_err(|error| {
        // Nobody would see its end. It dies at once, so that this does not block for long.
        let _ = child.kill().and_then(|()| child.wait());
        SpawnError::at(Step::Program)(errno_of(&error))
    })?;
    let [stdout, stderr] = [stdout, stderr].map(|output| Outlet(Some(output)));
    Ok(Feeder { child, leader: Leader::Running(process), stopping, stdout, stderr, _tether: tether })
}

/// Makes a pipe for an output, and returns our end, which never blocks, and that of the feeder.
fn output(launch: &Launch<'_>) -> Result<(File, File), SpawnError> {
    let (outlet, inlet) = pipe()?;
    fcntl(&outlet, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(SpawnError::at(Step::Program))?;
    if let Some(account) = &launch.credentials {
        // So that it can open `/dev/stderr`. If it is not allowed, becoming that user is not either.
        let _ = fchown(&inlet, Some(account.uid.as_raw()), Some(account.gid.as_raw()));
    }
    Ok((File::from(outlet), File::from(inlet)))
}

fn pipe() -> Result<(OwnedFd, OwnedFd), SpawnError> {
    unistd::pipe2(OFlag::O_CLOEXEC).map_err(SpawnError::at(Step::Program))
}
