//! Owns: `taskq events`.
//! Never: which events there are (see `domain`), or the file of a cursor (see `cli::cursor`).

use std::path::PathBuf;

use clap::{Args, ValueHint};
use serde::Serialize;

use crate::cli::args::number;
use crate::cli::context::{Context, Failure, parse_failure};
use crate::cli::cursor::Cursor;
use crate::cli::target::{find_job, parse};
use crate::cli::view::events::{EventJson, EventNames, event_lines, event_table};
use crate::cli::view::json::document;
use crate::cli::view::times::Times;
use crate::cli::waiting::Waiting;
use crate::domain::{Event, EventId, JobId, JobKey, JobPart, JobRef};
use crate::error::{Error, Result as TaskResult};
use crate::schedule::parse_since;
use crate::shown::counted;
use crate::store::{EventFilter, Reader};

pub const WHAT: &str = "list events";

/// What `--follow` does, for errors.
const FOLLOW: &str = "follow events";

/// How many of the latest events are listed if nothing says from where on.
const LATEST: usize = 20;

/// How many events are read and printed at once.
const EVENTS_AT_ONCE: usize = 1_000;

/// List events: what happened, and who did it
///
/// Every change has an event: a run was queued, started, finished; a person
/// added, changed, paused, cancelled or removed a job, which USER shows. Events
/// have ids that count up without gaps, in the order in which they were recorded.
/// They are kept for 90 days, and at most the latest 200,000.
///
/// Prints the latest 20, the oldest first. With --since or --cursor it prints
/// all of them from there on.
///
/// With --cursor, each event is printed at least once: the id in FILE moves on
/// after the event is printed, so a command that is killed goes on where it was.
/// An event counts as printed when it is in the pipe, even if nobody has read it
/// yet.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq events backup --since 1d
  taskq events -f --json --cursor /var/lib/me/cursor | ./consumer"
)]
pub struct EventsArgs {
    /// Only events of these jobs, by id or name
    #[arg(value_name = "JOB")]
    pub jobs: Vec<String>,

    /// Go on, and print events as they are recorded
    #[arg(short, long)]
    pub follow: bool,

    /// Only events since TIME, or of the last SPAN
    #[arg(long, value_name = "TIME|SPAN", allow_hyphen_values = true)]
    pub since: Option<String>,

    /// Begin with the latest N events; default: 20
    #[arg(
        short = 'n',
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = number(0..=u32::MAX)
    )]
    pub limit: Option<u32>,

    /// Begin after the event whose id is in FILE
    ///
    /// Afterwards, FILE has the id of the last event that was printed.
    /// If there is no FILE, begins with the oldest event.
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        verbatim_doc_comment,
        conflicts_with = "limit"
    )]
    pub cursor: Option<PathBuf>,

    /// Show whole times, and cut nothing
    #[arg(long)]
    pub full: bool,

    /// Print JSON; with --follow, a line for each event
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Events {
    events: Vec<EventJson>,
}

pub fn run(context: &Context<'_>, args: &EventsArgs) -> TaskResult<u8> {
    let mut cursor = args.cursor.as_deref().map(Cursor::open).transpose()?;
    if let Some(cursor) = &cursor {
        check_place(context, cursor)?;
    }
    let filter = filter(context, args, cursor.as_ref())?;
    if args.follow {
        return follow(context, args, filter, cursor.as_mut());
    }
    let read = context.read(WHAT, |reader| {
        let events = match latest(args) {
            Some(limit) => reader.latest_events(&filter, limit)?,
            None => reader.events(&filter, usize::MAX)?,
        };
        Ok(ReadEvents { names: EventNames::of(reader, &events)?, events, last: EventId::default() })
    })?;
    if args.json {
        let events = read.events.iter().map(|event| EventJson::new(event, &read.names)).collect();
        context.output.json(&document(Events { events }))?;
    } else {
        if read.events.is_empty() {
            context.output.explain_empty("no events");
        }
        let (zone, _) = context.zone(WHAT)?;
        let times = Times { zone: &zone, now: context.now(), are_whole: args.full };
        context.output.table(&event_table(&read.events, &read.names, &times))?;
    }
    move_on(context, cursor.as_mut(), &read.events)?;
    Ok(0)
}

/// Events with the names of their jobs and users.
struct ReadEvents {
    events: Vec<Event>,
    names: EventNames,
    /// The last event in the store, whether it matches or not.
    last: EventId,
}

/// Returns with how many of the latest events the answer begins; `None`: with the first that matches.
fn latest(args: &EventsArgs) -> Option<usize> {
    let is_from_there = args.since.is_some() || args.cursor.is_some();
    args.limit.map(|limit| limit as usize).or((!is_from_there).then_some(LATEST))
}

/// Prints new events until a signal or a closed pipe ends the command.
fn follow(
    context: &Context<'_>,
    args: &EventsArgs,
    mut filter: EventFilter,
    mut cursor: Option<&mut Cursor>,
) -> TaskResult<u8> {
    let mut waiting = Waiting::new(context, FOLLOW, None)?;
    waiting.need_daemon()?;
    let (zone, _) = context.zone(WHAT)?;
    let mut latest = latest(args);
    let mut has_heads = false;
    loop {
        let read = waiting.read(|reader| {
            let last = reader.event_range()?.map(|range| range.last).unwrap_or_default();
            let events = match latest {
                Some(limit) => reader.latest_events(&filter, limit)?,
                None => reader.events(&filter, EVENTS_AT_ONCE)?,
            };
            Ok(ReadEvents { names: EventNames::of(reader, &events)?, events, last })
        })?;
        if args.json {
            for event in &read.events {
                context.output.json(&document(EventJson::new(event, &read.names)))?;
            }
        } else if !read.events.is_empty() {
            let times = Times { zone: &zone, now: context.now(), are_whole: args.full };
            let lines = event_lines(&read.events, &read.names, &times);
            context.output.table(&if has_heads { lines.headless() } else { lines })?;
            has_heads = true;
        }
        if context.output.is_closed() {
            return Ok(0);
        }
        move_on(context, cursor.as_deref_mut(), &read.events)?;
        let is_all = latest.take().is_some() || read.events.len() < EVENTS_AT_ONCE;
        // If all were read, those after the last match are about other jobs.
        let printed = read.events.last().map(|event| event.id);
        filter.after = if is_all { read.last } else { printed.unwrap_or(read.last) }.max(filter.after);
        if is_all {
            waiting.wait()?;
        }
    }
}

fn filter(context: &Context<'_>, args: &EventsArgs, cursor: Option<&Cursor>) -> TaskResult<EventFilter> {
    let (zone, _) = context.zone(WHAT)?;
    let since = args.since.as_ref().map(|text| parse_since(text, context.now(), &zone)).transpose();
    let since = since.map_err(|error| parse_failure(WHAT, error))?;
    let after = cursor.and_then(Cursor::last).unwrap_or_default();
    let jobs =
        context.read(WHAT, |reader| args.jobs.iter().map(|text| wanted_job(reader, text)).collect())?;
    Ok(EventFilter { after, since, jobs })
}

/// Returns the job that a person means. One that was removed is found by its id if it has left events.
fn wanted_job(reader: &Reader<'_>, text: &str) -> Result<JobId, Failure> {
    const LISTED: &str = "list events of";
    if let JobRef { job: JobKey::Id(id), part: JobPart::Whole } = parse(LISTED, text)? {
        let filter = EventFilter { jobs: vec![id], ..EventFilter::default() };
        if !reader.latest_events(&filter, 1)?.is_empty() {
            return Ok(id);
        }
    }
    find_job(reader, LISTED, text)
}

/// Refuses a cursor that the store is not as far as, and says how many events after it are gone.
fn check_place(context: &Context<'_>, cursor: &Cursor) -> TaskResult<()> {
    let Some(place) = cursor.last() else { return Ok(()) };
    let range = context.read(WHAT, |reader| Ok(reader.event_range()?))?;
    let last = range.map(|range| range.last).unwrap_or_default();
    if place > last {
        let cause = format!("{} is at event {place}, and the last one is {last}", cursor.shown());
        return Err(Error::conflict(WHAT, format!("{cause}: it belongs to another store"))
            .hint(format!("to begin with the oldest event, remove {}", cursor.shown())));
    }
    let gone = range.map_or(0, |range| range.first.0.saturating_sub(place.0 + 1));
    if gone > 0 {
        let events = counted(usize::try_from(gone).unwrap_or(usize::MAX), "event");
        context
            .output
            .talk(&format!("{events} after {} are gone: they were too old to keep", cursor.shown()));
    }
    Ok(())
}

/// Moves the cursor to the last of the printed events, unless nobody has read them.
fn move_on(context: &Context<'_>, cursor: Option<&mut Cursor>, printed: &[Event]) -> TaskResult<()> {
    match (cursor, printed.last()) {
        (Some(cursor), Some(last)) if !context.output.is_closed() => cursor.move_to(last.id),
        (Some(_) | None, _) => Ok(()),
    }
}
