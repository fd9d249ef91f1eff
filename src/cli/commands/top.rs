//! Owns: the arguments of `taskq top`.
//! Never: the view (see `cli::top`).

use clap::Args;

use crate::cli::context::Context;
use crate::cli::top::show;
use crate::error::Result;

pub use crate::cli::top::WHAT;

/// Show queues, runs and coming fires live, full screen
///
/// It shows how many slots of each queue are taken, the running runs with a bar
/// of how far they are, what waits, the next fires, and what has just ended. It
/// changes when the daemon does something.
///
/// Keys: the arrows select a row, and Tab goes to the next section. / shows only
/// jobs with these letters in their name or command; Esc shows all again. Enter
/// shows the job, l its output as it grows, w why it does not start, r runs it
/// now, p pauses or resumes it, and c cancels the run, or the job with its coming
/// fires, after a question. q or Esc goes back, and q leaves.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq top
  ssh -t server taskq top"
)]
pub struct TopArgs {}

pub fn run(context: &Context<'_>, _: &TopArgs) -> Result<u8> {
    show(context)
}
