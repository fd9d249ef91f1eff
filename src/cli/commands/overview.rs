//! Owns: `taskq` without a command: what there is, and the next three steps.
//! Never: the details (see `status`).

use std::fmt::Write;

use crate::cli::context::Context;
use crate::cli::view::times::Times;
use crate::daemon::{DaemonInfo, running_daemon};
use crate::domain::{Span, Timestamp};
use crate::error::Result;
use crate::store::{Reader, StoreResult};

const WHAT: &str = "show overview";

/// Failures of this time are worth a look.
const LATELY: Span = Span::from_micros(24 * 60 * 60 * 1_000_000);

struct Facts {
    jobs: usize,
    running: u64,
    waiting: u64,
    next: Option<Timestamp>,
    has_failed: bool,
}

impl Facts {
    fn read(reader: &Reader<'_>, now: Timestamp) -> StoreResult<Self> {
        let queues = reader.queues()?;
        Ok(Self {
            jobs: reader.count_living_jobs()?,
            running: queues.iter().map(|queue| queue.running).sum(),
            waiting: queues.iter().map(|queue| queue.waiting).sum(),
            next: reader.next_deadline()?,
            has_failed: reader.has_failed_since(now - LATELY)?,
        })
    }

    /// Returns the commands to go on with, each with what it does; the more urgent ones first.
    fn steps(&self, has_daemon: bool) -> Vec<(&'static str, &'static str)> {
        let candidates = [
            (!has_daemon, ("taskq service install", "run the daemon, from now on; or: taskq daemon &")),
            (self.has_failed, ("taskq runs --failed", "the runs that have failed")),
            (self.jobs == 0, ("taskq add -- COMMAND", "run a command when there is a slot")),
            (self.jobs > 0, ("taskq list", "the jobs, and what each does now")),
            (self.next.is_some(), ("taskq next", "when each job fires next")),
            (true, ("taskq help add", "run it at a time, every night, on an event")),
        ];
        let first = candidates.into_iter().filter_map(|(is_due, step)| is_due.then_some(step)).take(2);
        first.chain([("taskq help", "all commands")]).collect()
    }
}

/// Shows what there is, and makes no store.
pub fn run(context: &Context<'_>) -> Result<u8> {
    let (zone, _) = context.zone(WHAT)?;
    let now = context.now();
    let facts = context.read(WHAT, |reader| Ok(Facts::read(reader, now)?))?;
    let daemon = running_daemon(&context.dir);
    let times = Times { zone: &zone, now, are_whole: false };
    let mut text = format!("taskq {}, store {}\n", env!("CARGO_PKG_VERSION"), context.dir.display());
    let daemon_line = daemon
        .as_ref()
        .map_or_else(|| "not running".to_owned(), |DaemonInfo { pid, .. }| format!("pid {pid}"));
    let Facts { jobs, running, waiting, .. } = facts;
    let living = match jobs {
        0 => "none".to_owned(),
        jobs => format!("{jobs}, {running} running, {waiting} waiting"),
    };
    let next = facts
        .next
        .map_or_else(String::new, |at| format!("; next fire {}, in {}", times.show(at), times.left(at)));
    let steps = facts.steps(daemon.is_some());
    let width = steps.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "daemon: {daemon_line}");
    let _ = writeln!(text, "jobs:   {living}{next}\n");
    for (command, effect) in steps {
        let _ = writeln!(text, "  {command:width$}  {effect}");
    }
    context.output.answer(&text)?;
    Ok(0)
}
