//! Owns: `taskq next`.
//! Never: anything that changes a job.

use clap::{ArgGroup, Args};

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::Serialize;

use crate::cli::args::number;
use crate::cli::context::{Context, parse_failure};
use crate::cli::job::text::parse_period;
use crate::cli::output::{Column, Table, TableCell};
use crate::cli::target::find_job;
use crate::cli::view::daylight::{line, skipped, skips, time, word};
use crate::cli::view::json::document;
use crate::cli::view::tables::{TIME_MIN, WORDS_MIN};
use crate::cli::zone::system_zone;
use crate::domain::{JobId, JobName, Timestamp};
use crate::engine::Compiled;
use crate::engine::first_fire;
use crate::error::{Error, Result};
use crate::schedule::{
    Change, Daylight, Reading, Readings, Schedule, Zone, parse_cron, parse_instant, parse_time,
};
use crate::shown;
use crate::store::{JobView, schedule_of};

pub const WHAT: &str = "show fires";

/// `{"fires": […], "skipped": […]}`
#[derive(Serialize)]
struct FiresJson<'a> {
    fires: Vec<FireJson<'a>>,
    skipped: Vec<SkipJson>,
}

#[derive(Serialize)]
struct FireJson<'a> {
    at: Timestamp,
    job_id: Option<JobId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    daylight: Option<&'static str>,
}

/// The clock skips from `from` to `to` at the instant `at`. The two are readings of a wall clock.
#[derive(Serialize)]
struct SkipJson {
    at: Timestamp,
    from: Reading,
    to: Reading,
    count: u64,
    job_id: Option<JobId>,
}

/// A coming fire, or a stretch of fires that daylight saving skips.
struct Fire<'a> {
    at: Timestamp,
    job: Option<&'a JobView>,
    daylight: Option<Daylight>,
    zone: Option<&'a Zone>,
}

impl Fire<'_> {
    fn left_out(&self) -> Option<Readings> {
        skipped(self.daylight)
    }
}

/// Show the coming fires
///
/// Shows the fires of all jobs, or of the named ones, in the order of their
/// times. --cron, --at and --every need no job: they show the fires of a trigger
/// before you add it. Fires that daylight saving moves, merges, skips or repeats
/// are marked.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    group = ArgGroup::new("preview").args(["cron", "at", "every"]).conflicts_with("jobs"),
    override_usage = "\
taskq next [JOB]... [-n N] [--json]
       taskq next --cron EXPR|--at TIME|--every SPAN [--tz ZONE]
                  [--from TIME] [-n N] [--json]",
    after_help = "\
Examples:
  taskq next -n 5
  taskq next --cron '0 9 1-7 * mon' --tz Europe/Berlin"
)]
pub struct NextArgs {
    /// Only fires of these jobs, by id or name
    #[arg(value_name = "JOB")]
    pub jobs: Vec<String>,

    /// Preview a cron expression
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true, help_heading = "Preview")]
    pub cron: Option<String>,

    /// Preview a time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, help_heading = "Preview")]
    pub at: Option<String>,

    /// Preview an interval
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true, help_heading = "Preview")]
    pub every: Option<String>,

    /// Read the trigger in ZONE (the system's zone)
    #[arg(long, value_name = "ZONE", requires = "preview", help_heading = "Preview")]
    pub tz: Option<String>,

    /// Begin after TIME (now)
    #[arg(
        long,
        value_name = "TIME",
        allow_hyphen_values = true,
        requires = "preview",
        help_heading = "Preview"
    )]
    pub from: Option<String>,

    /// At most N fires (10)
    #[arg(
        short = 'n',
        value_name = "N",
        default_value = "10",
        hide_default_value = true,
        allow_negative_numbers = true,
        value_parser = number(0..=u32::MAX)
    )]
    pub limit: u32,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(context: &Context<'_>, args: &NextArgs) -> Result<u8> {
    let (zone, _) = context.zone(WHAT)?;
    let now = context.now();
    if args.cron.is_some() || args.at.is_some() || args.every.is_some() {
        return preview(context, args, &zone, now);
    }
    let limit = args.limit as usize;
    let (triggers, jobs) = context.read(WHAT, |reader| {
        let jobs = args
            .jobs
            .iter()
            .map(|job| find_job(reader, "show fires of", job))
            .collect::<Result<Vec<_>, _>>()?;
        let triggers = reader.next_triggers(&jobs, limit)?;
        let mut views: Vec<JobView> = Vec::new();
        for (job, _) in &triggers {
            if !views.iter().any(|view| view.id == *job) {
                views.push(reader.job(*job)?);
            }
        }
        Ok((triggers, views))
    })?;
    let system_zone = system_zone().0;
    let compiled: Vec<Compiled> =
        triggers.iter().map(|(_, trigger)| schedule_of(&trigger.spec, &system_zone)).collect();
    let lines: Vec<ComingTrigger<'_>> = triggers
        .iter()
        .zip(&compiled)
        .filter_map(|((id, trigger), compiled)| {
            let job = jobs.iter().find(|job| job.id == *id);
            Some(ComingTrigger { job, compiled: compiled.as_ref().ok(), next: trigger.next_at? })
        })
        .collect();
    let fires = merge(&lines, now, limit);
    if args.json {
        context.output.json(&document(fires_json(&fires)))?;
        return Ok(0);
    }
    context.output.table(&table(&fires, &zone, now))?;
    Ok(0)
}

/// A trigger with its next fire. It has no schedule if the stored text cannot be read.
struct ComingTrigger<'a> {
    job: Option<&'a JobView>,
    compiled: Option<&'a (Schedule, Zone)>,
    next: Timestamp,
}

impl<'a> ComingTrigger<'a> {
    fn fire(&self, at: Timestamp) -> Fire<'a> {
        let daylight = self.compiled.and_then(|(schedule, zone)| schedule.daylight(at, zone));
        Fire { at, job: self.job, daylight, zone: self.compiled.map(|(_, zone)| zone) }
    }

    /// Returns the fires that daylight saving skips in `(after, until]`.
    fn skips(&self, after: Timestamp, until: Timestamp) -> Vec<Fire<'a>> {
        let Some((schedule, zone)) = self.compiled else {
            return Vec::new();
        };
        let skip = |skip: Change| Fire {
            at: skip.at,
            job: self.job,
            daylight: Some(skip.daylight),
            zone: Some(zone),
        };
        skips(schedule, zone, after, Some(until)).into_iter().map(skip).collect()
    }
}

/// Returns the first `limit` fires of all triggers in order, and the skipped fires before the last of them.
/// The `limit` triggers that fire first are enough for that.
fn merge<'a>(triggers: &[ComingTrigger<'a>], now: Timestamp, limit: usize) -> Vec<Fire<'a>> {
    let mut heap: BinaryHeap<Reverse<(Timestamp, usize)>> =
        triggers.iter().enumerate().map(|(index, trigger)| Reverse((trigger.next, index))).collect();
    let mut fires = Vec::new();
    while fires.len() < limit
        && let Some(Reverse((at, index))) = heap.pop()
    {
        fires.push(triggers[index].fire(at));
        if let Some((schedule, zone)) = triggers[index].compiled
            && let Some(next) = schedule.next_after(at, zone)
        {
            heap.push(Reverse((next, index)));
        }
    }
    if let Some(last) = fires.last().map(|fire| fire.at) {
        let start = |trigger: &ComingTrigger<'_>| {
            trigger.job.and_then(|job| job.definition.start).map_or(now, |start| start.max(now))
        };
        fires.extend(triggers.iter().flat_map(|trigger| trigger.skips(start(trigger), last)));
        // Skipped fires come before fires of the same instant; the order of the fires stays.
        fires.sort_by_key(|fire| (fire.at, fire.left_out().is_none()));
    }
    fires
}

fn fires_json<'a>(fires: &'a [Fire<'_>]) -> FiresJson<'a> {
    let id = |fire: &Fire<'_>| fire.job.map(|job| job.id);
    let coming = fires.iter().filter(|fire| fire.left_out().is_none()).map(|fire| FireJson {
        at: fire.at,
        job_id: id(fire),
        name: fire.job.and_then(|job| job.definition.name.as_ref().map(JobName::as_str)),
        daylight: fire.daylight.map(|daylight| daylight.effect.as_str()),
    });
    let skipped = fires.iter().filter_map(|fire| {
        let Readings { first, last, count } = fire.left_out()?;
        Some(SkipJson { at: fire.at, from: first, to: last, count, job_id: id(fire) })
    });
    FiresJson { fires: coming.collect(), skipped: skipped.collect() }
}

/// Returns the table of fires, with a column DAYLIGHT if a fire has a mark.
fn table(fires: &[Fire<'_>], zone: &Zone, now: Timestamp) -> Table {
    const DAYLIGHT: usize = 2;
    let has_marks = fires.iter().any(|fire| fire.daylight.is_some());
    let mut columns = vec![
        Column::left("NEXT").shrinking_to(TIME_MIN),
        Column::right("LEFT"),
        Column::right("ID"),
        Column::left("NAME").shrinking_to(WORDS_MIN),
        Column::left("COMMAND"),
    ];
    if has_marks {
        columns.insert(DAYLIGHT, Column::left("DAYLIGHT"));
    }
    let mut table = Table::new(columns);
    for fire in fires {
        let left = fire.left_out().is_none().then(|| shown::span(fire.at.since(now)));
        let known = |text: Option<String>| text.map_or_else(TableCell::unknown, TableCell::new);
        let name = fire.job.and_then(|job| job.definition.name.as_ref());
        let mut cells = vec![
            TableCell::new(time(fire.daylight, fire.at, fire.zone.unwrap_or(zone), zone)),
            known(left),
            known(fire.job.map(|job| job.id.to_string())),
            known(name.map(ToString::to_string)),
            known(fire.job.map(|job| shown::command(&job.definition.execution.command))),
        ];
        if has_marks {
            cells.insert(DAYLIGHT, known(fire.daylight.map(word)));
        }
        table.push(cells);
    }
    table
}

/// Prints the fires of a trigger on the command line.
fn preview(context: &Context<'_>, args: &NextArgs, here: &Zone, now: Timestamp) -> Result<u8> {
    const WHAT: &str = "preview schedule";
    let failure = |error| parse_failure(WHAT, error);
    let zone =
        args.tz.as_ref().map_or_else(|| Ok(here.clone()), |name| Zone::named(name)).map_err(failure)?;
    let from = args.from.as_ref().map_or(Ok(now), |text| parse_instant(text, now, &zone)).map_err(failure)?;
    let schedule = match (&args.cron, &args.at, &args.every) {
        (Some(text), ..) => parse_cron(text).map_err(failure)?,
        (None, Some(text), _) => Schedule::At(parse_time(text, from, &zone).map_err(failure)?),
        (None, None, Some(text)) => {
            Schedule::Every { period: parse_period(text).map_err(failure)?, anchor: from }
        }
        (None, None, None) => return Err(Error::usage(WHAT, "there is no trigger to preview")),
    };
    if !schedule.covers(from, &zone) {
        context.output.talk("an expression of six or seven fields fires from 1970 to 2100 only");
    }
    let at = first_fire(&schedule, &zone, None, from).or(match schedule {
        Schedule::At(at) => Some(at),
        Schedule::Cron(_) | Schedule::Every { .. } | Schedule::Reboot | Schedule::Delayed { .. } => None,
    });
    let fires = coming(&schedule, &zone, from, at, args.limit);
    if args.json {
        context.output.json(&document(fires_json(&fires)))?;
        return Ok(0);
    }
    if fires.iter().all(|fire| fire.left_out().is_some()) && args.limit > 0 {
        context.output.talk(match schedule {
            Schedule::Reboot => "`@reboot` fires once after each boot of the machine",
            Schedule::At(_) | Schedule::Cron(_) | Schedule::Every { .. } | Schedule::Delayed { .. } => {
                "it never fires"
            }
        });
    }
    let lines: String =
        fires.iter().map(|fire| format!("{}\n", line(fire.daylight, fire.at, &zone, &zone))).collect();
    context.output.answer(&lines)?;
    Ok(0)
}

/// Returns the first `limit` fires of a schedule, and the skipped fires before each.
fn coming<'a>(
    schedule: &Schedule,
    zone: &'a Zone,
    from: Timestamp,
    first: Option<Timestamp>,
    limit: u32,
) -> Vec<Fire<'a>> {
    let fire = |at, daylight| Fire { at, job: None, daylight, zone: Some(zone) };
    let (mut after, mut at) = (from, first);
    let mut fires = Vec::new();
    for _ in 0..limit {
        fires.extend(
            skips(schedule, zone, after, at).into_iter().map(|skip| fire(skip.at, Some(skip.daylight))),
        );
        let Some(next) = at else {
            break;
        };
        fires.push(fire(next, schedule.daylight(next, zone)));
        after = next;
        at = schedule.next_after(next, zone);
    }
    fires
}
