//! Owns: `taskq show`.
//! Never: anything that changes a job.

use clap::Args;

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::output::text;
use crate::cli::target::find_job;
use crate::cli::view::daylight;
use crate::cli::view::json::{ChangeJson, DaylightJson, JobJson, RunJson, document};
use crate::cli::view::options::{execution_lines, policy_lines};
use crate::cli::view::tables::{run_table, trigger_text};
use crate::cli::zone::system_zone;
use crate::domain::{CommandLine, JobState, Span, Timestamp, TriggerSpec};
use crate::error::Result;
use crate::schedule::{Change, Daylight, Zone};
use crate::store::{JobView, RunFilter, RunView, TriggerView, UnsentMail, schedule_of};

/// What the verb does, for errors.
pub const WHAT: &str = "show job";

/// How many of the last runs are shown.
const RUNS_MAX: usize = 10;

/// How far ahead changes of the clock are looked for: each comes once a year.
const YEAR: Span = Span::from_seconds(366 * 86_400);

/// How many of them are shown of a trigger: a gap and a fold, where there are such.
const CHANGES_MAX: usize = 2;

#[derive(Serialize)]
struct Shown<'a> {
    job: JobJson<'a>,
    last_runs: Vec<RunJson>,
    unsent_mail: Option<UnsentMailJson>,
    crontab: Option<CrontabJson>,
}

/// The line that the job was imported from; `source` is `null` for the table of `taskq crontab`.
#[derive(Serialize)]
struct CrontabJson {
    source: Option<String>,
    line: usize,
}

/// The latest mail about the job that was not sent.
#[derive(Serialize)]
struct UnsentMailJson {
    run: String,
    cause: String,
}

/// Show all of one job
///
/// Its command, options, triggers with their next fires, what daylight saving
/// does to them within a year, and its last runs.
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
    let (zone, _) = context.zone(WHAT)?;
    let facts = context.look(WHAT, |reader| {
        let id = find_job(reader, "show", &args.job)?;
        let filter = RunFilter { job: Some(id), limit: Some(RUNS_MAX), ..RunFilter::default() };
        Ok(Facts {
            job: reader.job(id)?,
            runs: reader.runs(&filter)?,
            unsent: reader.unsent_mail(id)?,
            crontab_line: reader.crontab_line(id)?,
        })
    })?;
    let Facts { job, runs, .. } = &facts;
    let marks = marks(job, context.now());
    if args.json {
        let last_runs = runs.iter().map(RunJson::from).collect();
        let job = JobJson::from(job).with_daylight(daylight_json(&marks));
        let unsent_mail = facts
            .unsent
            .as_ref()
            .map(|mail| UnsentMailJson { run: mail.run.to_string(), cause: mail.cause.clone() });
        let crontab = facts.crontab_line.as_ref().map(|(source, line)| CrontabJson {
            source: Some(source.clone()).filter(|source| !source.is_empty()),
            line: *line,
        });
        context.output.json(&document(Shown { job, last_runs, unsent_mail, crontab }))?;
        return Ok(0);
    }
    context.output.answer(&text_of(context, &facts, &marks, &zone))?;
    if !runs.is_empty() {
        context.output.answer("\n")?;
        context.output.table(&run_table(runs, &zone, context.now()))?;
    }
    Ok(0)
}

/// What is shown of a job.
struct Facts {
    job: JobView,
    runs: Vec<RunView>,
    unsent: Option<UnsentMail>,
    /// The table and the line that it was imported from.
    crontab_line: Option<(String, usize)>,
}

/// What daylight saving does to a trigger that will fire.
struct Marks {
    zone: Zone,
    next: Option<Daylight>,
    changes: Vec<Change>,
}

/// Returns what daylight saving does to each trigger within a year, or nothing where none will fire.
fn marks(job: &JobView, now: Timestamp) -> Vec<Option<Marks>> {
    let system_zone = system_zone().0;
    let after = job.definition.start.map_or(now, |start| start.max(now));
    let of = |trigger: &TriggerView| {
        let next = trigger.next_at.filter(|_| job.paused_at.is_none())?;
        let (schedule, zone) = schedule_of(&trigger.spec, &system_zone).ok()?;
        let mut changes = schedule.changes(after, after + YEAR, &zone);
        changes.truncate(CHANGES_MAX);
        Some(Marks { next: schedule.daylight(next, &zone), changes, zone })
    };
    job.triggers.iter().map(of).collect()
}

fn daylight_json(marks: &[Option<Marks>]) -> impl Iterator<Item = Option<DaylightJson>> {
    marks.iter().map(|marks| {
        let Marks { next, changes, .. } = marks.as_ref()?;
        let next_fire = next.map(|next| next.effect.as_str());
        Some(DaylightJson { next_fire, changes: changes.iter().map(ChangeJson::from).collect() })
    })
}

/// Returns the lines of the triggers, with their next fires, and of the changes of the clock to come.
fn trigger_lines(
    job: &JobView,
    marks: &[Option<Marks>],
    zone: &Zone,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let (mut triggers, mut changes) = (Vec::new(), Vec::new());
    for (trigger, marks) in job.triggers.iter().zip(marks) {
        let trigger_text = trigger_text(&trigger.spec, zone);
        let next = trigger.next_at.filter(|_| job.paused_at.is_none());
        let told = marks.as_ref().and_then(|marks| Some((next?, marks.next?)));
        let next = next.map_or_else(String::new, |at| {
            format!(", next {} (in {})", zone.show(at), text::span(at.since(now)))
        });
        let mut line = format!("{trigger_text}{next}");
        if let Some(Marks { zone: own, changes: to_come, .. }) = marks {
            if let Some((at, daylight)) = told {
                line.push_str(&format!(", {}", daylight::mark(daylight, at, own, zone)));
            }
            for Change { at, daylight } in
                to_come.iter().filter(|change| told != Some((change.at, change.daylight)))
            {
                let whose = match &trigger.spec {
                    TriggerSpec::Cron { expr, .. } if job.triggers.len() > 1 => format!(" (cron {expr})"),
                    // With one trigger it is clear whose it is.
                    TriggerSpec::Cron { .. } | TriggerSpec::At { .. } | TriggerSpec::Every { .. } => {
                        String::new()
                    }
                };
                changes.push(format!("{}{whose}", daylight::line(Some(*daylight), *at, own, zone)));
            }
        }
        triggers.push(line);
    }
    let headed = |head, lines: Vec<String>| {
        lines.into_iter().enumerate().map(move |(index, line)| (if index == 0 { head } else { "" }, line))
    };
    headed("Triggers", triggers).chain(headed("Daylight", changes)).collect()
}

fn text_of(context: &Context<'_>, facts: &Facts, marks: &[Option<Marks>], zone: &Zone) -> String {
    let Facts { job, runs, .. } = facts;
    let now = context.now();
    let name = job.definition.name.as_ref().map_or(String::new(), |name| format!(" {name}"));
    let mut lines = vec![("Job", format!("{}{name}", job.id)), ("State", state_line(job, zone))];
    match &job.definition.execution.command {
        CommandLine::Argv(_) => lines.push(("Command", text::command(&job.definition.execution.command))),
        CommandLine::Script(script) => {
            for (index, line) in script.trim_ascii_end().split(|byte| *byte == b'\n').enumerate() {
                lines.push((if index == 0 { "Script" } else { "" }, text::escaped_bytes(line)));
            }
        }
    }
    lines.extend(execution_lines(&job.definition));
    lines.extend(trigger_lines(job, marks, zone, now));
    if let Some(start) = job.definition.start {
        lines.push(("Start", zone.show(start)));
    }
    lines.extend(policy_lines(&job.definition));
    lines.extend(facts.unsent.as_ref().map(|mail| {
        ("Not sent", format!("the mail about run {}: {}", mail.run, text::escaped(&mail.cause)))
    }));
    if let Some((source, line)) = &facts.crontab_line {
        let source = if source.is_empty() {
            "`taskq crontab -l`".to_owned()
        } else {
            text::escaped(source).into_owned()
        };
        lines.push(("Crontab", format!("line {line} of {source}")));
    }
    lines.push(("Added", zone.show(job.created_at)));
    if let Some(cause) = runs.first().and_then(|run| run.cause.as_ref()) {
        lines.push(("Cause", text::escaped(cause).into_owned()));
    }
    lines
        .into_iter()
        .map(|(head, text)| {
            format!("{:<11}{text}", if head.is_empty() { String::new() } else { format!("{head}:") })
        })
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
