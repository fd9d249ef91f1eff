//! Owns: `taskq queue`.
//! Never: what starts next (see `engine`).

use clap::{Args, Subcommand};

/// List the queues, or set one up
///
/// A queue runs as many jobs at once as it has slots. The queue `default` has
/// one slot per CPU.
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
    /// `None`: `list`.
    #[command(subcommand)]
    pub command: Option<QueueCommand>,

    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do with queues.
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
#[command(after_help = "\
Examples:
  taskq queue set gpu --slots 2
  taskq queue set default --slots 16")]
pub struct QueueSetArgs {
    /// The queue: 1 to 64 letters, digits, `_` and `-`
    #[arg(value_name = "QUEUE")]
    pub queue: String,

    /// Run at most N of its jobs at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub slots: u32,
}
