//! Owns: `taskq queue`.
//! Never: what starts next (see `engine`).

use clap::{Args, Subcommand};

use serde::Serialize;

use crate::cli::args::{number, words};
use crate::cli::context::Context;
use crate::cli::in_use::refuse_used;
use crate::cli::job::values::option_failure;
use crate::cli::target::find_queue;
use crate::cli::view::json::{QueueJson, document, slots};
use crate::cli::view::tables::{queue_order, queue_table};
use crate::daemon::default_slots;
use crate::domain::{Aging, QueueName, QueueOrder};
use crate::error::{Error, Result};
use crate::schedule::parse_span;
use crate::shown::counted;
use crate::store::{QueueSettings, QueueView, StoreResult, Users};

pub const WHAT: &str = "list queues";

/// What `queue set` does, for errors.
pub const SET: &str = "set queue";

/// What `queue remove` does, for errors.
pub const REMOVE: &str = "remove queue";

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
       taskq queue set QUEUE [--slots N] [--order ORDER] [--aging SPAN|never]
       taskq queue remove QUEUE",
    after_help = "\
Examples:
  taskq queue
  taskq queue set gpu --slots 2
  taskq queue set reports --slots 1 --order deadline"
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
    /// Remove a queue that no job needs
    Remove(QueueRemoveArgs),
}

/// List the queues
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  taskq queue list
  taskq queue list --json")]
pub struct QueueListArgs {}

/// Make a queue, or change one
///
/// A run's place in its queue is an instant, and the earliest starts first.
///
/// fifo: when it was queued, less the time that its priority is worth.
/// shortest: when it was queued, plus ten times as long as it is expected to
/// take; ten points of priority make that half as long. deadline: its time
/// plus --finish-by, or a day. What waits already is ordered anew.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    override_usage = "taskq queue set QUEUE [--slots N] [--order ORDER] [--aging SPAN] [--json]",
    after_help = "\
Examples:
  taskq queue set gpu --slots 2
  taskq queue set builds --order shortest
  taskq queue set default --aging never"
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
    pub slots: Option<u32>,

    /// Start first: fifo (default), shortest or deadline
    #[arg(
        long,
        value_name = "ORDER",
        value_parser = words(QueueOrder::ALL, QueueOrder::as_str, QueueOrder::from_word),
        hide_possible_values = true
    )]
    pub order: Option<QueueOrder>,

    /// What a point of priority is worth; default: 1m
    #[arg(long, value_name = "SPAN|never", allow_hyphen_values = true)]
    pub aging: Option<String>,
}

/// Remove a queue that no job needs
///
/// Jobs that are done belong to the queue `default` from then on.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq queue remove gpu
  taskq queue remove reports --json"
)]
pub struct QueueRemoveArgs {
    /// The queue
    #[arg(value_name = "QUEUE")]
    pub queue: String,
}

pub fn run(context: &Context<'_>, args: &QueueArgs) -> Result<u8> {
    match &args.command {
        None | Some(QueueCommand::List(_)) => list(context, args.json),
        Some(QueueCommand::Set(set)) => set_up(context, set, args.json),
        Some(QueueCommand::Remove(remove)) => remove_queue(context, remove, args.json),
    }
}

fn set_up(context: &Context<'_>, args: &QueueSetArgs, json: bool) -> Result<u8> {
    let what = format!("{SET} `{}`", args.queue);
    let queue: QueueName = args.queue.parse().map_err(|error| Error::usage(&what, error))?;
    let aging = args.aging.as_ref().map(|text| parse_aging(text, &what)).transpose()?;
    let settings = QueueSettings { slots: args.slots, order: args.order, aging };
    if settings == QueueSettings::default() {
        return Err(Error::usage(&what, "nothing to set is given")
            .hint("give its `--slots`, its `--order` or its `--aging`"));
    }
    let (before, after) = context.write(&what, |writer| {
        let find = || -> StoreResult<Option<QueueView>> {
            Ok(writer.queues()?.into_iter().find(|view| view.name == queue.as_str()))
        };
        let before = find()?;
        writer.set_queue(&queue, settings)?;
        Ok((before, find()?))
    })?;
    if json {
        return list(context, true);
    }
    let default_slots = default_slots(&context.dir);
    let width = |view: &QueueView| counted(slots(view, default_slots), "slot");
    let after = after.ok_or_else(|| Error::not_found(&what, "it is gone"))?;
    context.output.confirm(&match before {
        None => format!("made queue `{queue}` with {}", width(&after)),
        Some(before) => {
            let mut changes = Vec::new();
            if args.slots.is_some() {
                changes.push(format!("has {} now, {} before", width(&after), slots(&before, default_slots)));
            }
            if args.order.is_some() || aging.is_some() {
                let (now, then) = (queue_order(&after.rule), queue_order(&before.rule));
                changes.push(format!("starts by {now} now, by {then} before"));
            }
            format!("queue `{queue}` {}", changes.join(", and "))
        }
    });
    Ok(0)
}

fn parse_aging(text: &str, what: &str) -> Result<Aging> {
    if text == "never" {
        return Ok(Aging::Never);
    }
    let span = parse_span(text).map_err(|error| option_failure(what, "--aging", error))?;
    if span > Aging::MAX {
        let cause = format!("`--aging {text}` is longer than {}", Aging::MAX);
        return Err(Error::usage(what, cause).hint("write `--aging never`"));
    }
    Ok(Aging::After(span))
}

fn remove_queue(context: &Context<'_>, args: &QueueRemoveArgs, json: bool) -> Result<u8> {
    let what = format!("{REMOVE} `{}`", args.queue);
    context.change(&what, |writer| {
        let queue = find_queue(writer, &what, &args.queue)?;
        if queue == QueueName::default() {
            return Err(Error::conflict(&what, "jobs without `--queue` are in it").into());
        }
        let Users { jobs, first, run } = writer.queue_users(&queue)?;
        let words = ["is in it, and not done", "are in it, and not done"];
        let way = |first| format!("move each with `taskq set {first} --queue default`");
        refuse_used(&what, (jobs, first), words, way)?;
        if let Some(run) = run {
            return Err(Error::conflict(&what, format!("run {run} is in it, and not finished")).into());
        }
        Ok(writer.remove_queue(&queue)?)
    })?;
    if json {
        return list(context, true);
    }
    context.output.confirm(&format!("removed queue `{}`", args.queue));
    Ok(0)
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
