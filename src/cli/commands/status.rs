//! Owns: `taskq status`.
//! Never: changing the store.

use clap::Args;

use serde::Serialize;

use crate::cli::context::{Context, Failure};
use crate::cli::view::json::{QueueJson, document};
use crate::cli::view::stats::{in_seconds, short_text};
use crate::cli::view::tables::queue_table;
use crate::cli::view::times::Times;
use crate::daemon::{default_slots_of, is_listening, running_daemon};
use crate::domain::{Span, Timestamp};
use crate::engine::stats::{Stats, Tally, Window};
use crate::error::Result;
use crate::shown;
use crate::store::{Reader, Sampled};

pub const WHAT: &str = "show status";

#[derive(Serialize)]
struct Status {
    daemon: Option<DaemonJson>,
    queues: Vec<QueueJson>,
    next_fire_at: Option<Timestamp>,
    lately: Option<LatelyJson>,
}

/// The runs of the last hour.
#[derive(Serialize)]
struct LatelyJson {
    since_at: Timestamp,
    runs: u64,
    success_rate: Option<f64>,
    run_time_mean_s: Option<f64>,
}

#[derive(Serialize)]
struct DaemonJson {
    pid: u32,
    since_at: Timestamp,
    version: String,
    listens: bool,
}

const NO_DAEMON: u8 = 3;

/// The runs of which it says how many succeeded.
const LATELY: Span = Span::from_seconds(3_600);

/// More runs are not read, so that the command stays fast however many there are.
const LATEST_RUNS_MAX: u32 = 10_000;

/// Show the daemon, the queues and the next fire
///
/// BACKLOG estimates how long a queue needs for its waiting runs: their number,
/// times the mean duration of its latest runs, divided by its slots. It is shown
/// once a run of the queue has ended.
///
/// Of the runs that were queued in the last hour, the latest 10,000 at most, it
/// shows how many have ended, how many of these succeeded, and how long a run
/// took. `taskq stats` has more.
///
/// The exit status is 3 if the daemon is not running. A daemon whose sockets
/// were removed makes them again when the next command looks for it.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq status
  taskq status --json | jq .queues"
)]
pub struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(context: &Context<'_>, args: &StatusArgs) -> Result<u8> {
    let (zone, _) = context.zone(WHAT)?;
    let now = context.now();
    let (queues, next, lately) =
        context.read(WHAT, |reader| Ok((reader.queues()?, reader.next_deadline()?, lately(reader, now)?)))?;
    let daemon = running_daemon(&context.dir);
    let listens = is_listening(&context.dir);
    let status = if daemon.is_some() { 0 } else { NO_DAEMON };
    let default_slots = default_slots_of(daemon.as_ref());
    if args.json {
        let daemon = daemon.map(|info| DaemonJson {
            pid: info.pid,
            since_at: info.since(),
            version: info.version.clone(),
            listens,
        });
        let queues = queues.iter().map(|queue| QueueJson::new(queue, default_slots)).collect();
        let lately = lately.map(|stats| LatelyJson {
            since_at: stats.window.since,
            runs: stats.ended(),
            success_rate: stats.all.success_rate(),
            run_time_mean_s: in_seconds(stats.all.run_time.mean()),
        });
        context.output.json(&document(Status { daemon, queues, next_fire_at: next, lately }))?;
        return Ok(status);
    }
    let times = Times { zone: &zone, now, are_whole: false };
    context.output.answer(&match &daemon {
        Some(info) => {
            let since = times.show(info.since());
            format!("daemon: pid {}, since {since}, version {}", info.pid, info.version)
        }
        None => "daemon: not running; start it with `taskq daemon`".to_owned(),
    })?;
    if let Some(info) = daemon.filter(|_| !listens) {
        let pid = info.pid;
        context.output.answer(&format!(
            "        it does not listen: `kill -HUP {pid}` makes it open its sockets again"
        ))?;
    }
    context.output.answer(&next.map_or("next fire: none".to_owned(), |at| {
        format!("next fire: {}, in {}", times.show(at), times.left(at))
    }))?;
    if let Some(stats) = lately {
        let window = stats.window.length();
        let since = if window == LATELY { "hour".to_owned() } else { shown::span(window) };
        context.output.answer(&format!("last {since}: {}", short_text(&stats)))?;
    }
    context.output.answer("\n")?;
    context.output.table(&queue_table(&queues, default_slots))?;
    Ok(status)
}

/// Returns the statistics of the last hour, or less if there were many runs; `None` if none has ended.
fn lately(reader: &Reader<'_>, now: Timestamp) -> Result<Option<Stats>, Failure> {
    let since = now - LATELY;
    let mut tally = Tally::new(Window { since, now, queue: None }, Vec::new());
    let (mut rows, mut first) = (0, now);
    reader.samples(Sampled::Newest(LATEST_RUNS_MAX), reader.place_of(since)?, |run| {
        tally.add(run);
        rows += 1;
        first = first.min(run.queued_at);
    })?;
    let mut stats = tally.finish(0, |_| 0);
    if rows == LATEST_RUNS_MAX {
        stats.window.since = since.max(first);
    }
    Ok(Some(stats).filter(|stats| stats.ended() > 0))
}
