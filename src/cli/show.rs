//! Owns: `taskq show`.
//! Never: anything that changes a job.

use clap::Args;

use super::context::Context;
use super::output::text;
use super::report::{JobJson, RunJson, document, run_table, trigger_text};
use super::target::find_job;
use crate::domain::{CommandLine, JobState};
use crate::error::Result;
use crate::schedule::Zone;
use crate::store::{JobView, RunFilter, RunView};
use serde::Serialize;

/// How many of the last runs are shown.
const RUNS_MAX: usize = 10;

#[derive(Serialize)]
struct Shown {
    job: JobJson,
    last_runs: Vec<RunJson>,
}

/// Show all of one job
///
/// Its command, options, triggers with their next fires, and its last runs.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq show backup
  taskq show 12 --json"
)]
pub struct ShowArgs {
    /// The job, by id or name
    #[arg(value_name = "JOB")]
    pub job: String,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Answers with all of one job.
pub fn run(context: &Context<'_>, args: &ShowArgs) -> Result<u8> {
    const WHAT: &str = "show job";
    let (zone, _) = context.zone(WHAT)?;
    let (job, runs) = context.look(WHAT, |reader| {
        let id = find_job(reader, "show", &args.job)?;
        let filter = RunFilter { job: Some(id), limit: Some(RUNS_MAX), ..RunFilter::default() };
        Ok((reader.job(id)?, reader.runs(&filter)?))
    })?;
    if args.json {
        let last_runs = runs.iter().map(RunJson::from).collect();
        context.output.json(&document(Shown { job: JobJson::from(&job), last_runs }))?;
        return Ok(0);
    }
    context.output.answer(&text_of(context, &job, &runs, &zone))?;
    if !runs.is_empty() {
        context.output.answer("\n")?;
        context.output.table(&run_table(&runs, &zone, context.now()))?;
    }
    Ok(0)
}

fn text_of(context: &Context<'_>, job: &JobView, runs: &[RunView], zone: &Zone) -> String {
    let now = context.now();
    let name = job.name.as_ref().map_or(String::new(), |name| format!(" {name}"));
    let mut lines = vec![("Job", format!("{}{name}", job.id)), ("State", state_line(job, zone))];
    match &job.command {
        CommandLine::Argv(_) => lines.push(("Command", text::command(&job.command))),
        CommandLine::Script(script) => {
            for (index, line) in script.trim_ascii_end().split(|byte| *byte == b'\n').enumerate() {
                lines.push((if index == 0 { "Script" } else { "" }, text::escaped_bytes(line)));
            }
        }
    }
    lines.push(("Directory", format!("{}, umask {:03o}", text::escaped_bytes(&job.cwd), job.umask)));
    lines.push(("Queue", format!("{}, priority {}", job.queue, job.priority)));
    if !job.tags.is_empty() {
        lines.push(("Tags", job.tags.join(", ")));
    }
    for (index, trigger) in job.triggers.iter().enumerate() {
        let next = match trigger.next_at {
            Some(at) if job.paused_at.is_none() => {
                format!(", next {} (in {})", zone.show(at), text::span(at.since(now)))
            }
            Some(_) | None => String::new(),
        };
        let head = if index == 0 { "Triggers" } else { "" };
        lines.push((head, format!("{}{next}", trigger_text(&trigger.spec, zone))));
    }
    if let Some(start) = job.start {
        lines.push(("Start", zone.show(start)));
    }
    lines.push(("Overlap", job.policy.overlap.to_string()));
    let within = job.policy.missed.within.map_or(String::new(), |span| format!(", at most {span} late"));
    lines.push(("Missed", format!("{}{within}, grace {}", job.policy.missed.mode, job.policy.missed.grace)));
    let timeout = job.policy.timeout.map_or("none".to_owned(), |span| span.to_string());
    lines.push(("Timeout", format!("{timeout}, kill after {}", job.policy.kill_after)));
    lines.push(("Added", zone.show(job.created_at)));
    if let Some(cause) = runs.first().and_then(|run| run.cause.as_ref()) {
        lines.push(("Cause", text::escaped(cause).into_owned()));
    }
    lines
        .into_iter()
        .map(|(head, text)| format!("{:<11}{text}", if head.is_empty() { String::new() } else { format!("{head}:") }))
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

fn state_line(job: &JobView, zone: &Zone) -> String {
    match (job.paused_at, job.done_at) {
        (Some(at), _) if job.state == JobState::Paused => format!("paused since {}", zone.show(at)),
        (Some(at), _) => format!("{}, paused since {}", job.state, zone.show(at)),
        (None, Some(at)) => format!("{} since {}", job.state, zone.show(at)),
        (None, None) => job.state.to_string(),
    }
}
