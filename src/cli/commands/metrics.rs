//! Owns: `taskq metrics`.
//! Never: the text (see `view::metrics`), serving it.

use clap::Args;

use crate::cli::context::Context;
use crate::cli::view::json::slots;
use crate::cli::view::metrics::{Metrics, QueueMetrics};
use crate::daemon::{default_slots_of, running_daemon};
use crate::error::Result;
use crate::store::{QueueView, Store};
use crate::system::machine;

pub const WHAT: &str = "print metrics";

/// So many jobs have metrics of their own: each is a series that a server keeps.
const JOBS_MAX: usize = 1_000;

/// Print metrics for Prometheus, as OpenMetrics text
///
/// The metrics are about the daemon, jobs by state, queues and resources, runs by
/// outcome, how long runs took and how late they started, and when each named job
/// that fires again and again last succeeded. Each has a line of help in the text.
///
/// The text suits the text directory of the node exporter, which may read a file
/// at any instant: write another file and rename it, as below. Counters do not go
/// down when runs are forgotten.
///
/// Without a daemon or a store the exit status is 0, and taskq_up is 0. A job of
/// taskq cannot report that: use cron or a timer of systemd, or watch the age of
/// the file.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq metrics | grep '^taskq_up'
  taskq metrics > taskq.$$ && mv taskq.$$ taskq.prom
  taskq add --cron '* * * * *' -c 'taskq metrics > t.$$ && mv t.$$ t.prom'"
)]
pub struct MetricsArgs {}

pub fn run(context: &Context<'_>, _: &MetricsArgs) -> Result<u8> {
    let (dir, machine) = (&context.dir, machine::size());
    if context.is_dir_named && !context.has_store(WHAT)? {
        context.output.talk(&format!("warning: there is no store in `{}`", dir.display()));
    }
    let daemon = running_daemon(dir);
    let default_slots = default_slots_of(daemon.as_ref());
    let queue = |view: QueueView| QueueMetrics {
        slots: slots(&view, default_slots),
        is_paused: view.paused_at.is_some(),
        waiting: view.waiting,
        running: view.running,
        name: view.name,
    };
    let metrics = context.read_or_empty(WHAT, |reader| {
        let (recurring, unlisted) = reader.recurring_jobs(JOBS_MAX)?;
        Ok(Metrics {
            up_since: daemon.map(|daemon| daemon.since()),
            jobs: reader.job_states()?,
            queues: reader.queues()?.into_iter().map(queue).collect(),
            resources: reader.resources(machine)?,
            next_fire_at: reader.next_deadline()?,
            totals: reader.totals()?,
            recurring,
            unlisted,
            store_bytes: Store::size(dir).map_err(|error| error.during(WHAT))?,
        })
    })?;
    context.output.answer_bytes(metrics.into_text().as_bytes())?;
    Ok(0)
}
