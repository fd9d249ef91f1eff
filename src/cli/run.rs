//! Owns: `taskq run`.
//! Never: starting a process (see `keeper`).

use clap::Args;

use super::context::Context;
use super::log::follow;
use super::report::{RunJson, Runs, document};
use super::target::find_job;
use super::wait::conclude;
use super::waiting::{Waiting, all_finished};
use crate::daemon::running_daemon;
use crate::domain::RunId;
use crate::error::{Error, ErrorKind, Result};

/// Run jobs now, besides their schedule
///
/// Prints the name of each run, as in backup.3. It waits for a slot of its
/// queue like any other.
///
/// With --wait or --follow on one job, the exit status is the run's own: its
/// exit code, 128+N after signal N, 124 timed out, 125 taskq could not run it,
/// 126 not executable, 127 not found, 130 cancelled.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq run backup
  taskq run --follow backup || echo failed"
)]
pub struct RunArgs {
    /// The jobs, by id or name
    #[arg(value_name = "JOB", required = true)]
    pub jobs: Vec<String>,

    /// Wait until they have ended
    #[arg(long)]
    pub wait: bool,

    /// Show the output as it comes, until it has ended
    #[arg(long)]
    pub follow: bool,

    /// Print JSON
    #[arg(long, conflicts_with = "follow")]
    pub json: bool,
}

/// Queues a run of each job, and answers with their names or, if they are waited for, with their status.
pub fn run(context: &Context<'_>, args: &RunArgs) -> Result<u8> {
    const WHAT: &str = "run job";
    if args.follow && args.jobs.len() > 1 {
        return Err(Error::usage(WHAT, "`--follow` takes one job").hint("wait for many with `--wait`"));
    }
    // Before anything is queued: a run that nobody starts must not be left behind by a command that failed.
    if (args.wait || args.follow) && running_daemon(&context.dir).is_none() {
        return Err(Error::new(ErrorKind::Unavailable, WHAT, "the daemon is not running")
            .hint("start it with `taskq daemon`, in another terminal or as a service"));
    }
    let now = context.now();
    let runs = context.write(WHAT, |writer| {
        let mut runs: Vec<RunId> = Vec::new();
        for job in &args.jobs {
            runs.push(writer.add_manual_run(find_job(writer, "run", job)?, false, now)?);
        }
        Ok(runs)
    })?;
    if args.follow {
        context.output.talk(&names(&runs));
        return follow(context, runs[0], None);
    }
    if !args.json {
        context.output.answer(&names(&runs))?;
    }
    let views = if args.wait {
        let mut waiting = Waiting::new(context, WHAT, None)?;
        waiting.show_progress(runs.len());
        waiting.until(|reader| all_finished(reader, &runs))?.unwrap_or_default()
    } else {
        if context.output.streams().stderr_is_terminal && running_daemon(&context.dir).is_none() {
            context.output.talk("no daemon is running: start one with `taskq daemon`");
        }
        if !args.json {
            return Ok(0);
        }
        context.read(WHAT, |reader| {
            let views: Result<Vec<_>, _> = runs.iter().map(|run| reader.run(*run)).collect();
            Ok(views?.into_iter().flatten().collect())
        })?
    };
    if args.json {
        context.output.json(&document(Runs { runs: views.iter().map(RunJson::from).collect() }))?;
    }
    Ok(if args.wait { conclude(context, &views) } else { 0 })
}

fn names(runs: &[RunId]) -> String {
    runs.iter().map(|run| format!("{run}\n")).collect()
}
