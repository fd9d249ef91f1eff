//! Owns: `taskq status`.
//! Never: changing the store.

use clap::Args;

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::view::json::{QueueJson, document};
use crate::cli::view::tables::queue_table;
use crate::cli::view::times::Times;
use crate::daemon::{default_slots, is_listening, running_daemon};
use crate::domain::Timestamp;
use crate::error::Result;

pub const WHAT: &str = "show status";

#[derive(Serialize)]
struct Status {
    daemon: Option<DaemonJson>,
    queues: Vec<QueueJson>,
    next_fire_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct DaemonJson {
    pid: u32,
    since_at: Timestamp,
    version: String,
    listens: bool,
}

const NO_DAEMON: u8 = 3;

/// Show the daemon, the queues and the next fire
///
/// BACKLOG estimates how long a queue needs for its waiting runs: their number,
/// times the mean duration of its latest runs, divided by its slots. It is shown
/// once a run of the queue has ended.
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
    let (queues, next) = context.read(WHAT, |reader| Ok((reader.queues()?, reader.next_deadline()?)))?;
    let daemon = running_daemon(&context.dir);
    let listens = is_listening(&context.dir);
    let status = if daemon.is_some() { 0 } else { NO_DAEMON };
    let default_slots = default_slots(&context.dir);
    if args.json {
        let daemon = daemon.map(|info| DaemonJson {
            pid: info.pid,
            since_at: info.since(),
            version: info.version.clone(),
            listens,
        });
        let queues = queues.iter().map(|queue| QueueJson::new(queue, default_slots)).collect();
        context.output.json(&document(Status { daemon, queues, next_fire_at: next }))?;
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
    context.output.answer("\n")?;
    context.output.table(&queue_table(&queues, default_slots))?;
    Ok(status)
}
