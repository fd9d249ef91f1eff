//! Owns: waiting for the daemon's turns, and the messages and exit codes when that is not possible.
//! Never: what a verb waits for.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::output::progress::Progress;
use crate::cli::view::ending::Ended;
use crate::daemon::{Subscription, Unconnected, WaitEnd};
use crate::domain::{FireId, RunState, Span};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Reader, Store, StoreResult};

/// A client that waits for the daemon.
pub struct Waiting<'a> {
    context: &'a Context<'a>,
    what: String,
    store: Store,
    subscription: Subscription,
    until: Option<Span>,
    missing_told: bool,
    met_daemon: bool,
    doubts_told: bool,
    progress: Option<Progress>,
    notes: Vec<String>,
}

impl<'a> Waiting<'a> {
    /// Subscribes to the daemon. Errors say that `what` was being done; waits end after `timeout`.
    pub fn new(context: &'a Context<'a>, what: &str, timeout: Option<Span>) -> Result<Self> {
        let store = context.open_to_look(what)?;
        let subscription = Subscription::new(&context.dir);
        let until = timeout.map(|timeout| {
            Span::from_micros(context.monotonic().as_micros().saturating_add(timeout.as_micros()))
        });
        Ok(Self {
            context,
            what: what.to_owned(),
            store,
            subscription,
            until,
            missing_told: false,
            met_daemon: false,
            doubts_told: false,
            progress: None,
            notes: Vec::new(),
        })
    }

    /// Shows on a terminal how many of the `total` runs are left. `expected`: how long the only one still
    /// takes; `None`: nobody knows, or there are others.
    pub fn show_progress(&mut self, total: usize, expected: Option<Span>) {
        if self.context.output.streams().stderr_is_terminal {
            self.progress = Some(Progress::new(total, expected));
        }
    }

    pub fn is_progress_shown(&self) -> bool {
        self.progress.is_some()
    }

    /// Prints these notes if the command has to wait.
    pub fn tell_while_waiting(&mut self, notes: Vec<String>) {
        self.notes = notes;
    }

    /// Fails if there is no daemon and this client never saw one. If the system refuses the means to find
    /// out, says so and goes on: the end of a run is in the store, whoever writes it.
    pub fn need_daemon(&mut self) -> Result<()> {
        if self.met_daemon {
            return Ok(());
        }
        let unavailable = |cause: String| Error::new(ErrorKind::Unavailable, &self.what, cause);
        match self.subscription.unconnected() {
            None => self.met_daemon = true,
            Some(Unconnected::NotRunning) => {
                return Err(unavailable("the daemon is not running".to_owned())
                    .hint("start it with `taskq daemon`, in another terminal or as a service"));
            }
            Some(Unconnected::NotListening(pid)) => {
                let cause =
                    format!("the daemon (pid {pid}) holds the lock but does not listen; its runs continue");
                // Not `Unavailable`: a daemon is running.
                return Err(Error::conflict(&self.what, cause)
                    .hint(format!("end it with `kill {pid}` and start another with `taskq daemon`")));
            }
            Some(Unconnected::Refused(cause)) => {
                if !std::mem::replace(&mut self.doubts_told, true) {
                    self.talk(&format!("cannot reach the daemon: {cause}; polling the store"));
                }
            }
        }
        Ok(())
    }

    /// Makes waits also end when one of these files grows; they need not exist yet. Returns whether they are
    /// other files than before.
    pub fn follow(&mut self, paths: &[PathBuf]) -> bool {
        self.subscription.follow(paths)
    }

    pub fn read<T>(&mut self, read: impl FnOnce(&Reader<'_>) -> StoreResult<T>) -> Result<T> {
        self.store.read(read).map_err(|error| error.during(&self.what))
    }

    /// Waits for a turn of the daemon or a growing file; `false` after the timeout.
    pub fn wait(&mut self) -> Result<bool> {
        let left = self.until.map(|until| {
            Span::from_micros(until.as_micros().saturating_sub(self.context.monotonic().as_micros()))
        });
        match self.subscription.wait(left).map_err(|error| Error::io(&self.what, &error))? {
            WaitEnd::Turn | WaitEnd::File | WaitEnd::Other => {
                // So that the end of the next daemon is reported too.
                self.missing_told &= !self.subscription.has_daemon();
                Ok(true)
            }
            WaitEnd::TimedOut => Ok(false),
            WaitEnd::DaemonGone => {
                if !self.missing_told {
                    self.talk("the daemon is gone; waiting for the next one");
                    self.missing_told = true;
                }
                Ok(true)
            }
        }
    }

    fn talk(&self, text: &str) {
        match &self.progress {
            Some(progress) => progress.suspend(|| self.context.output.talk(text)),
            None => self.context.output.talk(text),
        }
    }

    /// Waits until `check` has an answer; `None` after the timeout.
    pub fn until<T>(
        &mut self,
        mut check: impl FnMut(&Reader<'_>) -> StoreResult<Left<T>>,
    ) -> Result<Option<T>> {
        let mut first = true;
        loop {
            match self.read(&mut check)? {
                Left::Nothing(answer) => {
                    self.progress = None;
                    return Ok(Some(answer));
                }
                Left::Runs(left) => {
                    if first {
                        self.need_daemon()?;
                        for note in std::mem::take(&mut self.notes) {
                            self.talk(&note);
                        }
                    }
                    if let Some(progress) = &self.progress {
                        progress.show(left);
                    }
                }
            }
            first = false;
            if !self.wait()? {
                self.progress = None;
                return Ok(None);
            }
        }
    }
}

/// Gives a system failure the exit status 3: with 1 it would look like the status of a failed run.
pub fn unlike_a_run(error: Error) -> Error {
    if error.kind != ErrorKind::Io {
        return error;
    }
    Error { kind: ErrorKind::Unavailable, ..error }
}

/// As `unlike_a_run`, and adds that the outcome of the run is unknown.
pub fn unlearned(error: Error) -> Error {
    if error.kind != ErrorKind::Io {
        return error;
    }
    let cause = format!("{}; the outcome is unknown, and running jobs continue", error.cause);
    unlike_a_run(Error { cause, ..error })
}

/// What a command still waits for.
pub enum Left<T> {
    Runs(usize),
    /// Nothing; this is the answer.
    Nothing(T),
}

/// Returns the ends of these fires if all of them are finished.
pub fn all_finished(reader: &Reader<'_>, fires: &[FireId]) -> StoreResult<Left<Vec<Ended>>> {
    let mut finished = Vec::new();
    let mut left = 0;
    for fire in fires {
        // One that is not there was removed with its job.
        match *fire {
            FireId::Run(run) => match reader.run(run)? {
                Some(view) if view.state == RunState::Finished => finished.push(Ended::Run(Box::new(view))),
                Some(_) => left += 1,
                None => {}
            },
            FireId::Array { job, array } => match reader.array(array)? {
                Some(array) if array.outcome.is_some() => finished.push(Ended::Array(job, array)),
                Some(array) => left += (array.total - array.finished) as usize,
                None => {}
            },
        }
    }
    Ok(if left == 0 { Left::Nothing(finished) } else { Left::Runs(left) })
}
