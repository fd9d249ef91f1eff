//! Owns: `taskq show`.
//! Never: anything that changes a job.

use clap::Args;

use serde::Serialize;

use crate::cli::context::{Context, Failure};
use crate::cli::target::find_job;
use crate::cli::view::coming::next_run;
use crate::cli::view::daylight;
use crate::cli::view::json::{ChangeJson, DaylightJson, JobJson, RunJson, document};
use crate::cli::view::options::{execution_lines, policy_lines};
use crate::cli::view::tables::{attempt_table, counted_text, job_state_text, run_table, trigger_text};
use crate::cli::view::times::{Times, own_zone};
use crate::cli::view::tree::{self, Direction};
use crate::cli::zone::system_zone;
use crate::domain::{CommandLine, JobName, JobState, RunId, RunState, Span, Timestamp, TriggerSpec};
use crate::engine::NthFacts;
use crate::error::Result;
use crate::keeper::{PresentUse, present_use};
use crate::schedule::{Change, Daylight, Zone};
use crate::shown::{self, Facts};
use crate::store::{
    ArrayProgress, AttemptView, JobView, Reader, RunFilter, RunView, StoreResult, TriggerView, UnsentMail,
    schedule_of,
};

pub const WHAT: &str = "show job";

/// How many of the last runs are shown.
const RUNS_MAX: usize = 10;

/// How far ahead to look for changes of the clock: each comes once a year.
const YEAR: Span = Span::from_seconds(366 * 86_400);

/// How many changes to show of a trigger: one gap and one fold.
const CHANGES_MAX: usize = 2;

/// The document about several jobs. That about one job is its `ShowJson`.
#[derive(Serialize)]
struct SeveralJson<'a> {
    jobs: Vec<ShowJson<'a>>,
}

#[derive(Serialize)]
struct ShowJson<'a> {
    job: JobJson<'a>,
    last_runs: Vec<RunJson>,
    unsent_mail: Option<UnsentMailJson>,
    crontab: Option<CrontabJson>,
    imported: Option<ImportJson>,
    applied: Option<AppliedJson>,
}

/// The file that the job was applied from, and its name there.
#[derive(Serialize)]
struct AppliedJson {
    file: String,
    name: JobName,
}

/// The entry that the job was imported from, if it is not a line of a crontab.
#[derive(Serialize)]
struct ImportJson {
    source: String,
    item: String,
}

/// The line that the job was imported from; `source` is `null` for the table of `taskq crontab`.
#[derive(Serialize)]
struct CrontabJson {
    source: Option<String>,
    line: usize,
}

/// The latest mail about the job that could not be sent.
#[derive(Serialize)]
struct UnsentMailJson {
    run: String,
    cause: String,
}

/// Show all of a job
///
/// Its command, options and triggers with their next fires, the effects of
/// daylight saving within a year, its last runs, and the attempts of the latest.
/// Of a running run also what its processes use now.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq show backup
  taskq show 12 13 --json"
)]
pub struct ShowArgs {
    /// The jobs, by id or name
    #[arg(value_name = "JOB", required = true)]
    pub jobs: Vec<String>,

    /// Print JSON; of several jobs, a list
    #[arg(long)]
    pub json: bool,
}

pub fn run(context: &Context<'_>, args: &ShowArgs) -> Result<u8> {
    let (zone, _) = context.zone(WHAT)?;
    let found = context.read(WHAT, |reader| {
        args.jobs.iter().map(|job| find(reader, job, context.now())).collect::<Result<Vec<_>, _>>()
    })?;
    if args.json {
        match found.as_slice() {
            [only] => context.output.json(&document(ShowJson::from(only)))?,
            several => {
                let jobs = several.iter().map(ShowJson::from).collect();
                context.output.json(&document(SeveralJson { jobs }))?;
            }
        }
        return Ok(0);
    }
    for (index, found) in found.iter().enumerate() {
        if index > 0 {
            context.output.answer("\n")?;
        }
        context.output.answer(&text_of(context, found, &zone))?;
        if !found.runs.is_empty() {
            context.output.answer("\n")?;
            let times = Times { zone: &zone, now: context.now(), are_whole: false };
            context.output.table(&run_table(&found.runs, &times).without("NAME"))?;
            if let Some((latest, attempts)) = found.attempts_of_latest() {
                context.output.answer(&format!("\nAttempts of {latest}:\n"))?;
                context.output.table(&attempt_table(attempts, &times))?;
            }
        }
    }
    Ok(0)
}

/// A job with all that is shown of it.
struct Found {
    job: JobView,
    runs: Vec<RunView>,
    /// The attempts of each of these runs.
    attempts: Vec<Vec<AttemptView>>,
    unsent: Option<UnsentMail>,
    /// The jobs that it runs after, and those that run after it, as trees.
    before: Vec<String>,
    after: Vec<String>,
    /// The table and the line that it was imported from.
    crontab_line: Option<(String, usize)>,
    /// The source and the entry that it was imported from, if not a table.
    import: Option<(String, String)>,
    /// The file that it was applied from, and its name there.
    applied: Option<(Vec<u8>, JobName)>,
    /// Of each trigger; `None` for one without a next fire.
    marks: Vec<Option<Marks>>,
}

impl Found {
    /// Returns the latest run and its attempts, if one of them was tried again.
    fn attempts_of_latest(&self) -> Option<(RunId, &[AttemptView])> {
        let (latest, attempts) = (self.runs.first()?, self.attempts.first()?);
        (latest.attempt > 1).then_some((latest.run, attempts))
    }
}

fn find(reader: &Reader<'_>, job: &str, now: Timestamp) -> Result<Found, Failure> {
    let id = find_job(reader, "show", job)?;
    let filter = RunFilter { job: Some(id), limit: Some(RUNS_MAX), ..RunFilter::default() };
    let job = reader.job(id)?;
    let runs = reader.runs(&filter)?;
    Ok(Found {
        marks: marks(&job, now),
        job,
        attempts: runs.iter().map(|run| reader.attempts(run)).collect::<StoreResult<_>>()?,
        runs,
        before: tree::lines(reader, id, Direction::Before)?,
        after: tree::lines(reader, id, Direction::After)?,
        unsent: reader.unsent_mail(id)?,
        crontab_line: reader.crontab_line(id)?,
        import: reader.import_of(id)?,
        applied: reader.applied_from(id)?,
    })
}

impl<'a> From<&'a Found> for ShowJson<'a> {
    fn from(found: &'a Found) -> Self {
        let unsent_mail = found.unsent.as_ref();
        let crontab = found.crontab_line.as_ref();
        Self {
            job: JobJson::from(&found.job).with_daylight(daylight_json(&found.marks)),
            last_runs: (found.runs.iter().zip(&found.attempts))
                .map(|(run, attempts)| {
                    RunJson::from(run).with_attempts(attempts).with_present_use(used_by(run))
                })
                .collect(),
            unsent_mail: unsent_mail
                .map(|mail| UnsentMailJson { run: mail.run.to_string(), cause: mail.cause.clone() }),
            crontab: crontab.map(|(source, line)| CrontabJson {
                source: Some(source.clone()).filter(|source| !source.is_empty()),
                line: *line,
            }),
            imported: found.import.clone().map(|(source, item)| ImportJson { source, item }),
            applied: found.applied.as_ref().map(|(file, name)| AppliedJson {
                file: String::from_utf8_lossy(file).into_owned(),
                name: name.clone(),
            }),
        }
    }
}

/// Returns what a run uses at present, if it is running.
fn used_by(run: &RunView) -> Option<PresentUse> {
    // On a host, the number is that of another process.
    run.pid.filter(|_| run.state == RunState::Running && run.far.is_none()).and_then(present_use)
}

/// Returns what a running run uses: `3.1: 12s of CPU, 45M in 3 processes`.
fn use_line(run: &RunView) -> Option<String> {
    let PresentUse { cpu, rss_bytes, processes } = used_by(run)?;
    let (cpu, size) = (shown::span(cpu), shown::size(rss_bytes));
    let processes = if processes == 1 { "1 process".to_owned() } else { format!("{processes} processes") };
    Some(format!("{}: {cpu} of CPU, {size} of memory in {processes}", run.run))
}

/// Returns what an unfinished run has booked: `3.1: gpu=0,1 mem=4G`.
fn share_line(run: &RunView) -> Option<String> {
    let share = run.share.as_ref().filter(|_| run.state != RunState::Finished)?;
    Some(format!("{}: {share}", run.run))
}

/// The effects of daylight saving on a trigger that will fire.
struct Marks {
    zone: Zone,
    next: Option<Daylight>,
    changes: Vec<Change>,
}

/// Returns the effects of daylight saving within a year for each trigger.
fn marks(job: &JobView, now: Timestamp) -> Vec<Option<Marks>> {
    let system_zone = system_zone().0;
    let window = job.definition.window();
    let after = window.start.map_or(now, |start| start.max(now));
    let of = |trigger: &TriggerView| {
        let next = trigger.next_at.filter(|_| job.paused_at.is_none())?;
        let (schedule, zone) = schedule_of(&trigger.spec, &system_zone).ok()?;
        let mut changes = schedule.changes(after, window.capped(after + YEAR), &zone);
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

/// Returns a line for each trigger with its next fire, and a line for each coming change of the clock. Their
/// times are those of the trigger's own zone.
fn trigger_lines(found: &Found, reader: &Zone, now: Timestamp) -> (Vec<String>, Vec<String>) {
    let (mut triggers, mut changes) = (Vec::new(), Vec::new());
    let job = &found.job;
    for (trigger, marks) in job.triggers.iter().zip(&found.marks) {
        let own = own_zone(&trigger.spec);
        let zone = own.as_ref().unwrap_or(reader);
        let next_at = trigger.next_at.filter(|_| job.paused_at.is_none());
        let mut line = trigger_text(&trigger.spec, zone);
        if let Some(at) = next_at {
            line.push_str(&format!(", next {} (in {})", zone.show(at), shown::span(at.since(now))));
        }
        line.push_str(&counted_text(trigger.listener.as_ref()));
        if let Some(at) = trigger.listener.as_ref().and_then(|listener| listener.timeout_at) {
            line.push_str(&format!(", fires at {} if no event comes", zone.show(at)));
        }
        if trigger.listener.as_ref().is_some_and(|listener| listener.has_fired) {
            line.push_str(", has fired and waits for the others");
        }
        if trigger.awaits_end {
            line.push_str(", waits for the end of a run");
        }
        if let Some(marks) = marks {
            let marked = next_at.zip(marks.next);
            if let Some((at, daylight)) = marked {
                line.push_str(&format!(", {}", daylight::mark(daylight, at, &marks.zone, zone)));
            }
            let whose = whose(&trigger.spec, job.triggers.len(), zone, reader);
            let unmarked = marks.changes.iter().filter(|change| marked != Some((change.at, change.daylight)));
            changes.extend(unmarked.map(|change| {
                let line = daylight::line(Some(change.daylight), change.at, &marks.zone, zone);
                format!("{line}{whose}")
            }));
        }
        triggers.push(line);
    }
    (triggers, changes)
}

/// Returns whose change of the clock it is, where that is not clear: ` (cron 30 2 * * *, Asia/Tokyo)`.
fn whose(trigger: &TriggerSpec, triggers: usize, zone: &Zone, reader: &Zone) -> String {
    let mut parts = Vec::new();
    match trigger {
        TriggerSpec::Cron { expr, .. } if triggers > 1 => parts.push(format!("cron {expr}")),
        TriggerSpec::Calendar { expr, .. } if triggers > 1 => parts.push(format!("calendar {expr}")),
        TriggerSpec::Cron { .. }
        | TriggerSpec::Calendar { .. }
        | TriggerSpec::At { .. }
        | TriggerSpec::Every { .. }
        | TriggerSpec::AfterEnd { .. }
        | TriggerSpec::Event(_) => {}
    }
    if zone.name() != reader.name() {
        parts.push(zone.name().to_owned());
    }
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

fn text_of(context: &Context<'_>, found: &Found, zone: &Zone) -> String {
    let job = &found.job;
    let mut facts = Facts::default();
    let name = job.definition.name.as_ref().map_or(String::new(), |name| format!(" {name}"));
    facts.push("Job", format!("{}{name}", job.id));
    facts.push("State", state_line(job, zone));
    match &job.definition.execution.command {
        CommandLine::Argv(_) | CommandLine::Sealed => {
            facts.push("Command", shown::command(&job.definition.execution.command));
        }
        CommandLine::Script(script) => {
            let lines = script.trim_ascii_end().split(|byte| *byte == b'\n');
            facts.push_lines("Script", lines.map(shown::escaped_bytes));
        }
    }
    if job.definition.execution.command == CommandLine::Sealed {
        facts.push("Sealed", "command, environment, input and callbacks: see `taskq key status`");
    }
    for (head, line) in execution_lines(&job.definition) {
        facts.push(head, line);
    }
    let (triggers, changes) = trigger_lines(found, zone, context.now());
    facts.push_lines("Triggers", triggers);
    facts.push_lines("Indices", job.array.map(indices_line));
    facts.push_lines("Times", job.times().map(|times| format!("{times} runs have begun")));
    facts.push_lines("Nth", nth_line(job, zone));
    facts.push_lines("Daylight", changes);
    facts.push_lines("Jitter", jitter_line(job));
    let rest = |until| format!("until {}: its runs cause the next one, over and over", zone.show(until));
    facts.push_lines("Rests", job.rests_until.map(rest));
    facts.push_lines("Start", job.definition.start.map(|start| zone.show(start)));
    facts.push_lines("Until", job.definition.until.map(|until| zone.show(until)));
    for (head, line) in policy_lines(&job.definition) {
        facts.push(head, line);
    }
    facts.push_lines("Waits for", found.before.iter().cloned());
    facts.push_lines("Needed by", found.after.iter().cloned());
    facts.push_lines("Not sent", found.unsent.as_ref().map(unsent_line));
    if let Some((source, line)) = &found.crontab_line {
        let source = if source.is_empty() { "`taskq crontab -l`".into() } else { shown::escaped(source) };
        facts.push("Crontab", format!("line {line} of {source}"));
    }
    if let Some((source, item)) = &found.import {
        facts.push("Imported", format!("`{}` of {}", shown::escaped(item), shown::escaped(source)));
    }
    facts.push_lines("Applied", applied_line(found));
    facts.push_lines("Has", found.runs.iter().filter_map(share_line));
    facts.push_lines("Uses now", found.runs.iter().filter_map(use_line));
    facts.push("Added", zone.show(job.created_at));
    let result = found.runs.first().and_then(|run| run.result.as_ref());
    facts.push_lines("Result", result.map(|result| shown::escaped(result)));
    let cause = found.runs.first().and_then(|run| run.cause.as_ref());
    facts.push_lines("Cause", cause.map(|cause| shown::escaped(cause)));
    facts.into_text(context.output.streams().width)
}

fn indices_line(array: ArrayProgress) -> String {
    let ArrayProgress { total, finished, failed, cancelled, missed, .. } = array;
    let missed = if missed > 0 { format!(", {missed} missed") } else { String::new() };
    format!("{finished} of {total} have ended: {failed} failed, {cancelled} cancelled{missed}")
}

/// Returns how far the count of fires is, and when the next one of them runs.
fn nth_line(job: &JobView, zone: &Zone) -> Option<String> {
    let NthFacts { nth, passed } = job.nth()?;
    let next = next_run(job).map_or(String::new(), |(at, _)| format!("; next {}", zone.show(at)));
    Some(format!("one in {nth} fires runs, {passed} were passed over since{next}"))
}

/// Returns the longest delay of the fires, and the one that this job has.
fn jitter_line(job: &JobView) -> Option<String> {
    let here = job.triggers.iter().map(|trigger| trigger.spec.delay()).max()?;
    Some(format!("up to {} later, here {}", job.definition.jitter?, shown::span(here)))
}

/// Returns the file that a job was applied from, with its name there if it has another one now.
fn applied_line(found: &Found) -> Option<String> {
    let (file, name) = found.applied.as_ref()?;
    let is_renamed = found.job.definition.name.as_ref() != Some(name);
    let as_name = if is_renamed { format!(", as `{name}`") } else { String::new() };
    Some(format!("{}{as_name}", shown::escaped_bytes(file)))
}

fn unsent_line(mail: &UnsentMail) -> String {
    format!("the mail about run {}: {}", mail.run, shown::escaped(&mail.cause))
}

fn state_line(job: &JobView, zone: &Zone) -> String {
    match (job.paused_at, job.done_at) {
        (Some(at), _) if job.state == JobState::Paused => format!("paused since {}", zone.show(at)),
        (Some(at), _) if job.runs_paused => format!("{} since {}", job_state_text(job), zone.show(at)),
        (Some(at), _) => format!("{}, paused since {}", job.state, zone.show(at)),
        (None, Some(at)) => format!("{} since {}", job.state, zone.show(at)),
        (None, None) => job_state_text(job),
    }
}
