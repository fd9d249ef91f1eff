//! Owns: events as a table, as lines that come one after the other, and as JSON.
//! Never: which events are shown.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::tables::{WORDS_MIN, maybe};
use super::times::Times;
use crate::cli::output::style::outcome_style;
use crate::cli::output::{Column, Table, TableCell};
use crate::domain::{
    Aging, EndNote, Event, EventId, Happening, JobId, JobName, Occurrence, Outcome, ResourceName, Span,
    Timestamp,
};
use crate::shown::{self, counted};
use crate::store::{Reader, StoreResult};
use crate::system::users;

/// The kind of an event that a later taskq has recorded.
const UNKNOWN_KIND: &str = "unknown";

/// A run that is made later than this after its time was late.
const LATE: Span = Span::from_seconds(1);

/// The names of the jobs and users of some events.
#[derive(Debug, Default)]
pub struct EventNames {
    /// Of the jobs of runs; `None` also if there is no such job any more.
    jobs: BTreeMap<JobId, Option<JobName>>,
    users: BTreeMap<u32, String>,
}

impl EventNames {
    pub fn of(reader: &Reader<'_>, events: &[Event]) -> StoreResult<Self> {
        let mut names = Self::default();
        for event in events {
            if let Some(job) = event.what.as_ref().and_then(Happening::run).map(|run| run.job)
                && !names.jobs.contains_key(&job)
            {
                names.jobs.insert(job, reader.job_name(job)?);
            }
            if let Some(uid) = event.by {
                let name = || users::name_of(uid).unwrap_or_else(|| uid.to_string());
                names.users.entry(uid).or_insert_with(name);
            }
        }
        Ok(names)
    }

    /// Returns the name of an event's job: at that time if it is about the job, now if it is about a run.
    fn job<'a>(&'a self, what: &'a Happening) -> Option<&'a str> {
        match what.job_note() {
            Some(note) => note.name.as_ref(),
            None => self.jobs.get(&what.job()?)?.as_ref(),
        }
        .map(JobName::as_str)
    }

    fn user(&self, event: &Event) -> Option<&str> {
        self.users.get(&event.by?).map(String::as_str)
    }
}

/// The table of `events`.
pub fn event_table(events: &[Event], names: &EventNames, times: &Times<'_>) -> Table {
    let mut table = Table::new([
        Column::right("ID"),
        Column::left("TIME"),
        Column::left("KIND"),
        Column::left("JOB").unless_unknown(),
        Column::left("NAME").unless_unknown().shrinking_to(WORDS_MIN),
        Column::left("USER").unless_unknown().shrinking_to(WORDS_MIN),
        Column::left("DETAIL").unless_unknown(),
    ]);
    events.iter().for_each(|event| table.push(row(event, names, times)));
    table.whole(times.are_whole)
}

/// The table of `events --follow`, whose columns stand under those of the lines before.
pub fn event_lines(events: &[Event], names: &EventNames, times: &Times<'_>) -> Table {
    let time = if times.are_whole { 25 } else { 12 };
    let mut table = Table::new([
        Column::right("ID").at_least(6),
        Column::left("TIME").at_least(time),
        Column::left("KIND").at_least(9),
        Column::left("JOB").at_least(8),
        Column::left("NAME").at_least(12).shrinking_to(WORDS_MIN),
        Column::left("USER").at_least(8).shrinking_to(WORDS_MIN),
        Column::left("DETAIL"),
    ]);
    events.iter().for_each(|event| table.push(row(event, names, times)));
    table.whole(times.are_whole)
}

fn row(event: &Event, names: &EventNames, times: &Times<'_>) -> [TableCell; 7] {
    let what = event.what.as_ref();
    let about = what.and_then(|what| match (what.run(), what.job()) {
        (Some(run), _) => Some(run.to_string()),
        (None, job) => job.map(|job| job.to_string()),
    });
    [
        TableCell::new(event.id.to_string()),
        TableCell::new(times.show(event.at)),
        kind_cell(what),
        maybe(about.as_deref()),
        maybe(what.and_then(|what| names.job(what))),
        maybe(names.user(event)),
        maybe(what.map(|what| detail(what, event.at, times)).filter(|detail| !detail.is_empty()).as_deref()),
    ]
}

fn kind_cell(what: Option<&Happening>) -> TableCell {
    let Some(what) = what else { return TableCell::new(UNKNOWN_KIND) };
    let outcome = match what {
        Happening::Finished { end, .. } => Outcome::from_word(&end.outcome),
        what => Outcome::from_word(what.kind()),
    };
    match outcome {
        Some(outcome) => TableCell::styled(what.kind(), outcome_style(outcome)),
        None => TableCell::new(what.kind()),
    }
}

/// Returns the process of an attempt. That of one on another machine may not be known.
fn process_text(pid: u32, attempt: u32) -> String {
    let pid = (pid > 0).then(|| format!("pid {pid}"));
    let attempt = (attempt > 1).then(|| format!("attempt {attempt}"));
    pid.into_iter().chain(attempt).collect::<Vec<_>>().join(", ")
}

/// Returns the rest of an event in words.
fn detail(what: &Happening, at: Timestamp, times: &Times<'_>) -> String {
    let due = |scheduled_at: Timestamp| match at.since(scheduled_at) > LATE {
        true => format!(", due {}", times.show(scheduled_at)),
        false => String::new(),
    };
    match what {
        Happening::Queued { trigger, scheduled_at, .. } => format!("{trigger}{}", due(*scheduled_at)),
        Happening::Passed { trigger, scheduled_at, fires, cause, .. } => {
            let fires = if *fires > 1 { format!(", {fires} fires") } else { String::new() };
            format!("{trigger}{}{fires}{}", due(*scheduled_at), after(cause.as_deref()))
        }
        Happening::Started { attempt, pid, .. } | Happening::Unattended { attempt, pid, .. } => {
            process_text(*pid, *attempt)
        }
        Happening::Retrying { end, retry_at, .. } => {
            format!("attempt {} {}; next {}", end.attempt, shown::end(end), times.show(*retry_at))
        }
        Happening::Finished { end, .. } => shown::end(end),
        Happening::Stopping { now, .. } => (if *now { "KILL" } else { "TERM" }).to_owned(),
        Happening::Added { .. }
        | Happening::Resumed { .. }
        | Happening::RunPaused { .. }
        | Happening::RunResumed { .. } => String::new(),
        Happening::Changed { options, .. } => options.join(", "),
        Happening::Paused { cause, .. } => cause.clone().unwrap_or_default(),
        Happening::Cancelled { cause, .. } => cause.as_deref().unwrap_or_default().to_owned(),
        Happening::Removed { runs, .. } => of(*runs, "run"),
        Happening::Renamed { was, .. } => {
            was.as_ref().map_or_else(|| "had no name".to_owned(), |was| format!("was {was}"))
        }
        Happening::QueueSet { queue, slots } => {
            let slots = slots.map_or_else(String::new, |slots| format!(", {}", of(slots.into(), "slot")));
            format!("queue {queue}{slots}")
        }
        Happening::QueueOrdered { queue, order, aging } => {
            format!("queue {queue}, {order}, aging {}", Aging::from(*aging))
        }
        Happening::QueuePaused { queue }
        | Happening::QueueResumed { queue }
        | Happening::QueueRemoved { queue } => format!("queue {queue}"),
        Happening::ResourceSet { resource, capacity } => {
            format!("resource {resource}={}", amount(resource, *capacity))
        }
        Happening::ResourceRemoved { resource } => format!("resource {resource}"),
        Happening::ExecutorSet { executor, kind } => format!("executor {executor}, {kind}"),
        Happening::ExecutorRemoved { executor } => format!("executor {executor}"),
        Happening::HostUnreachable { place, cause } => format!("{place}: {cause}"),
        Happening::HostReachable { place: text } | Happening::Applied { source: text } => text.clone(),
        Happening::KeyChanged { change } => change.to_string(),
        Happening::Imported { source } | Happening::TableRemoved { source } => {
            if source.is_empty() {
                "the table of `taskq crontab`".to_owned()
            } else {
                source.clone()
            }
        }
        Happening::Pruned { runs, jobs } => format!("{}, {}", of(*runs, "run"), of(*jobs, "job")),
        Happening::DaemonStarted { pid, version } => format!("pid {pid}, version {version}"),
        Happening::DaemonStopped { pid } => format!("pid {pid}"),
        Happening::ArrayQueued { trigger, scheduled_at, indices, .. } => {
            format!("{trigger}{}, {}", due(*scheduled_at), of((*indices).into(), "run"))
        }
        Happening::ArrayFinished { outcome, indices, .. } => {
            format!("{outcome}, {}", of((*indices).into(), "run"))
        }
        Happening::OutputsPruned { runs, bytes } => format!("{}, {}", of(*runs, "run"), shown::size(*bytes)),
        Happening::Emitted { .. }
        | Happening::Heard { .. }
        | Happening::TooDeep { .. }
        | Happening::Rests { .. } => listening_detail(what, times),
    }
}

/// Returns the rest of an event about events in words.
fn listening_detail(what: &Happening, times: &Times<'_>) -> String {
    match what {
        Happening::Emitted { name, count } => {
            let count = if *count > 1 { format!(", {}", of(*count, "event")) } else { String::new() };
            format!("{}{count}", shown::escaped(name))
        }
        Happening::Heard { trigger, event, count, counted, needed, fire, .. } => {
            let count = if *count > 1 { format!(", {}", of(*count, "event")) } else { String::new() };
            let counted = if *needed > 1 { format!(", {counted}/{needed}") } else { String::new() };
            let fire = fire.as_ref().map_or(String::new(), |fire| format!(", for {fire}"));
            format!("{trigger} {}{count}{counted}{fire}", shown::escaped(event))
        }
        Happening::TooDeep { trigger, event, .. } => {
            format!(
                "{trigger} {}, the end of a chain of {} runs",
                shown::escaped(event),
                Occurrence::DEPTH_MAX
            )
        }
        Happening::Rests { until, .. } => format!("its runs cause each other; until {}", times.show(*until)),
        _ => String::new(),
    }
}

fn after(cause: Option<&str>) -> String {
    cause.map_or_else(String::new, |cause| format!(", {cause}"))
}

/// Returns an amount of a resource as text: of memory a size.
fn amount(resource: &str, amount: u64) -> String {
    let name = resource.parse::<ResourceName>();
    name.map_or_else(|_| amount.to_string(), |name| name.amount_text(amount))
}

fn of(count: u64, thing: &str) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), thing)
}

#[derive(Serialize)]
pub struct EventJson {
    id: EventId,
    at: Timestamp,
    kind: String,
    job_id: Option<JobId>,
    run: Option<String>,
    name: Option<String>,
    uid: Option<u32>,
    user: Option<String>,
    /// What only events of this kind have.
    #[serde(flatten)]
    details: Map<String, Value>,
}

impl EventJson {
    pub fn new(event: &Event, names: &EventNames) -> Self {
        let what = event.what.as_ref();
        Self {
            id: event.id,
            at: event.at,
            kind: what.map_or(UNKNOWN_KIND, Happening::kind).to_owned(),
            job_id: what.and_then(Happening::job),
            run: what.and_then(Happening::run).map(|run| run.to_string()),
            name: what.and_then(|what| names.job(what)).map(str::to_owned),
            uid: event.by,
            user: names.user(event).map(str::to_owned),
            details: match what.map(details) {
                Some(Value::Object(details)) => details,
                Some(_) | None => Map::new(),
            },
        }
    }
}

fn details(what: &Happening) -> Value {
    match what {
        Happening::Queued { trigger, scheduled_at, .. } => {
            json!({ "trigger": trigger, "scheduled_at": scheduled_at })
        }
        Happening::Passed { trigger, scheduled_at, fires, cause, .. } => {
            json!({ "trigger": trigger, "scheduled_at": scheduled_at, "fires": fires, "cause": cause })
        }
        Happening::Started { attempt, pid, started_at, .. } => {
            json!({ "attempt": attempt, "pid": pid, "started_at": started_at })
        }
        Happening::Unattended { attempt, pid, .. } => json!({ "attempt": attempt, "pid": pid }),
        Happening::Retrying { end, retry_at, .. } => end_details(end, Some(*retry_at)),
        Happening::Finished { end, .. } => end_details(end, None),
        Happening::Stopping { now, .. } => json!({ "now": now }),
        Happening::Added { .. }
        | Happening::Resumed { .. }
        | Happening::RunPaused { .. }
        | Happening::RunResumed { .. } => json!({}),
        Happening::Changed { options, .. } => json!({ "options": options }),
        Happening::Paused { cause, .. } => json!({ "cause": cause }),
        Happening::Cancelled { cause, .. } => json!({ "cause": cause }),
        Happening::Removed { runs, .. } => json!({ "runs": runs }),
        Happening::Renamed { was, .. } => json!({ "was": was }),
        Happening::QueueSet { queue, slots } => json!({ "queue": queue, "slots": slots }),
        Happening::QueueOrdered { queue, order, aging } => {
            let aging_ms = aging.map(|span| span.as_micros() / 1_000);
            json!({ "queue": queue, "order": order, "aging_ms": aging_ms })
        }
        Happening::QueuePaused { queue }
        | Happening::QueueResumed { queue }
        | Happening::QueueRemoved { queue } => json!({ "queue": queue }),
        Happening::ResourceSet { resource, capacity } => {
            json!({ "resource": resource, "capacity": capacity })
        }
        Happening::ResourceRemoved { resource } => json!({ "resource": resource }),
        Happening::ExecutorSet { executor, kind } => json!({ "executor": executor, "type": kind }),
        Happening::ExecutorRemoved { executor } => json!({ "executor": executor }),
        Happening::HostUnreachable { place, cause } => json!({ "host": place, "cause": cause }),
        Happening::HostReachable { place } => json!({ "host": place }),
        Happening::KeyChanged { change } => json!({ "change": change }),
        Happening::Applied { source } => json!({ "source": source }),
        Happening::Imported { source } | Happening::TableRemoved { source } => {
            json!({ "source": Some(source).filter(|source| !source.is_empty()) })
        }
        Happening::Pruned { runs, jobs } => json!({ "runs": runs, "jobs": jobs }),
        Happening::DaemonStarted { pid, version } => json!({ "pid": pid, "daemon_version": version }),
        Happening::DaemonStopped { pid } => json!({ "pid": pid }),
        Happening::ArrayQueued { trigger, scheduled_at, indices, .. } => {
            json!({ "trigger": trigger, "scheduled_at": scheduled_at, "indices": indices })
        }
        Happening::ArrayFinished { outcome, indices, .. } => {
            json!({ "outcome": outcome, "indices": indices })
        }
        Happening::OutputsPruned { runs, bytes } => json!({ "runs": runs, "bytes": bytes }),
        Happening::Emitted { name, count } => json!({ "event": name, "count": count }),
        Happening::Heard { trigger, event, count, counted, needed, fire, .. } => json!({
            "trigger": trigger,
            "event": event,
            "count": count,
            "counted": counted,
            "needed": needed,
            "for_run": fire,
        }),
        Happening::TooDeep { trigger, event, .. } => json!({ "trigger": trigger, "event": event }),
        Happening::Rests { until, .. } => json!({ "until": until }),
    }
}

fn end_details(end: &EndNote, retry_at: Option<Timestamp>) -> Value {
    let mut details = json!({
        "attempt": end.attempt,
        "outcome": end.outcome,
        "exit_code": end.exit_code,
        "signal": end.signal,
        "cause": end.cause,
        "finished_at": end.finished_at,
        "duration_ms": end.took.map(Span::as_millis),
    });
    if let Some(retry_at) = retry_at {
        details["retry_at"] = json!(retry_at);
    }
    details
}
