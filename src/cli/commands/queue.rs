//! Owns: `taskq queue`.
//! Never: what starts next (see `engine`).

use clap::{Args, Subcommand};

use serde::Serialize;

use crate::cli::args::number;
use crate::cli::context::Context;
use crate::cli::view::json::{QueueJson, document, slots};
use crate::cli::view::tables::queue_table;
use crate::daemon::default_slots;
use crate::domain::QueueName;
use crate::error::{Error, Result};
use crate::shown::counted;

pub const WHAT: &str = "list queues";

/// What `queue set` does, for errors.
pub const SET: &str = "set queue";

#[derive(Serialize)]
struct Queues {
    queues: Vec<QueueJson>,
}

/// List the queues, or set one up
///
/// A queue runs as many jobs at once as it has slots. The queue `default` has
/// one slot per CPU. BACKLOG estimates how long a queue needs for its waiting
/// runs, by the mean duration of its latest runs.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    disable_help_subcommand = true,
    subcommand_value_name = "COMMAND",
    override_usage = "\
taskq queue [list] [--json]
       taskq queue set QUEUE --slots N [--json]",
    after_help = "\
Examples:
  taskq queue
  taskq queue set gpu --slots 2"
)]
pub struct QueueArgs {
    /// The default is `list`.
    #[command(subcommand)]
    pub command: Option<QueueCommand>,

    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum QueueCommand {
    /// List the queues
    List(QueueListArgs),
    /// Make a queue, or change one
    Set(QueueSetArgs),
}

/// List the queues
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  taskq queue list
  taskq queue list --json")]
pub struct QueueListArgs {}

/// Make a queue, or change one
#[derive(Args, Debug)]
#[command(
    override_usage = "taskq queue set QUEUE --slots N [--json]",
    after_help = "\
Examples:
  taskq queue set gpu --slots 2
  taskq queue set default --slots 16"
)]
pub struct QueueSetArgs {
    /// The queue: 1 to 64 letters, digits, `_` and `-`
    #[arg(value_name = "QUEUE")]
    pub queue: String,

    /// Run at most N of its jobs at once
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = number(1..=QueueName::SLOTS_MAX)
    )]
    pub slots: u32,
}

pub fn run(context: &Context<'_>, args: &QueueArgs) -> Result<u8> {
    match &args.command {
        None | Some(QueueCommand::List(_)) => list(context, args.json),
        Some(QueueCommand::Set(set)) => {
            let what = format!("{SET} `{}`", set.queue);
            let queue: QueueName = set.queue.parse().map_err(|error| Error::usage(&what, error))?;
            let before = context.write(&what, |writer| {
                let before = writer.queues()?.into_iter().find(|view| view.name == queue.as_str());
                writer.set_queue(&queue, Some(set.slots))?;
                Ok(before)
            })?;
            if args.json {
                return list(context, true);
            }
            context.output.confirm(&match before {
                Some(view) => {
                    let before = slots(&view, default_slots(&context.dir));
                    format!(
                        "queue `{queue}` has {} now, {before} before",
                        counted(set.slots as usize, "slot")
                    )
                }
                None => format!("made queue `{queue}` with {}", counted(set.slots as usize, "slot")),
            });
            Ok(0)
        }
    }
}

fn list(context: &Context<'_>, json: bool) -> Result<u8> {
    let queues = context.read(WHAT, |reader| Ok(reader.queues()?))?;
    let default_slots = default_slots(&context.dir);
    if json {
        let queues = queues.iter().map(|queue| QueueJson::new(queue, default_slots)).collect();
        context.output.json(&document(Queues { queues }))?;
    } else {
        context.output.table(&queue_table(&queues, default_slots))?;
    }
    Ok(0)
}
