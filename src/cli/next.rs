//! Owns: `taskq next`.
//! Never: anything that changes a job.

use clap::{ArgGroup, Args};

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::Serialize;

use super::context::{Context, parse_failure};
use super::job_text::parse_period;
use super::number;
use super::output::text;
use super::output::{Column, Table, TableCell};
use super::report::{TIME_MIN, WORDS_MIN, document};
use super::target::find_job;
use super::zone::system_zone;
use crate::domain::{JobId, Timestamp};
use crate::engine::first_fire;
use crate::error::{Error, Result};
use crate::schedule::{Schedule, Zone, parse_cron, parse_instant, parse_time};
use crate::store::{Compiled, JobView, TriggerView, schedule_of};

#[derive(Serialize)]
struct Fires {
    fires: Vec<Fire>,
}

#[derive(Serialize)]
struct Fire {
    at: Timestamp,
    job_id: Option<JobId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// Show the coming fires
///
/// Of all jobs, or of those named, in the order of their times. With --cron,
/// --at or --every no job is needed: see what a trigger means before you add it.
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
    #[arg(long, value_name = "EXPR", help_heading = "Preview")]
    pub cron: Option<String>,

    /// Preview a time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, help_heading = "Preview")]
    pub at: Option<String>,

    /// Preview an interval
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true, help_heading = "Preview")]
    pub every: Option<String>,

    /// Read the trigger in ZONE (the system's)
    #[arg(long, value_name = "ZONE", requires = "preview", help_heading = "Preview")]
    pub tz: Option<String>,

    /// Begin after TIME (now)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, requires = "preview", help_heading = "Preview")]
    pub from: Option<String>,

    /// At most N fires (10)
    #[arg(short = 'n', value_name = "N", default_value = "10", hide_default_value = true, allow_negative_numbers = true, value_parser = number(0..=u32::MAX))]
    pub limit: u32,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Answers with the coming fires.
pub fn run(context: &Context<'_>, args: &NextArgs) -> Result<u8> {
    const WHAT: &str = "show fires";
    let (zone, _) = context.zone(WHAT)?;
    let now = context.now();
    if args.cron.is_some() || args.at.is_some() || args.every.is_some() {
        return preview(context, args, &zone, now);
    }
    let limit = args.limit as usize;
    let (triggers, jobs) = context.look(WHAT, |reader| {
        let jobs = args.jobs.iter().map(|job| find_job(reader, "show fires of", job)).collect::<Result<Vec<_>, _>>()?;
        let triggers = reader.next_triggers(&jobs, limit)?;
        let mut views: Vec<JobView> = Vec::new();
        for (job, _) in &triggers {
            if !views.iter().any(|view| view.id == *job) {
                views.push(reader.job(*job)?);
            }
        }
        Ok((triggers, views))
    })?;
    let fires = merge(&triggers, &jobs, limit, &system_zone().0);
    if args.json {
        context.output.json(&document(Fires { fires }))?;
        return Ok(0);
    }
    let mut table = Table::new([
        Column::left("NEXT").shrinking_to(TIME_MIN),
        Column::right("LEFT"),
        Column::right("ID"),
        Column::left("NAME").shrinking_to(WORDS_MIN),
        Column::left("COMMAND"),
    ]);
    for fire in &fires {
        let job = jobs.iter().find(|job| Some(job.id) == fire.job_id);
        table.push([
            TableCell::new(zone.show(fire.at)),
            TableCell::new(text::span(fire.at.since(now))),
            fire.job_id.map_or_else(TableCell::unknown, |id| TableCell::new(id.to_string())),
            fire.name.as_ref().map_or_else(TableCell::unknown, TableCell::new),
            job.map_or_else(TableCell::unknown, |job| TableCell::new(text::command(&job.command))),
        ]);
    }
    context.output.table(&table)?;
    Ok(0)
}

/// Returns the first `limit` fires of all triggers, in order. No trigger beyond the `limit` earliest can be among them.
fn merge(triggers: &[(JobId, TriggerView)], jobs: &[JobView], limit: usize, system_zone: &Zone) -> Vec<Fire> {
    let compiled: Vec<Compiled> = triggers.iter().map(|(_, trigger)| schedule_of(&trigger.spec, system_zone)).collect();
    let mut heap: BinaryHeap<Reverse<(Timestamp, usize)>> =
        triggers.iter().enumerate().filter_map(|(index, (_, t))| Some(Reverse((t.next_at?, index)))).collect();
    let mut fires = Vec::new();
    while fires.len() < limit
        && let Some(Reverse((at, index))) = heap.pop()
    {
        let job_id = triggers[index].0;
        let name = jobs.iter().find(|job| job.id == job_id).and_then(|job| job.name.clone());
        fires.push(Fire { at, job_id: Some(job_id), name });
        if let Ok((schedule, zone)) = &compiled[index]
            && let Some(next) = schedule.next_after(at, zone)
        {
            heap.push(Reverse((next, index)));
        }
    }
    fires
}

/// Shows the fires of a trigger that no job has.
fn preview(context: &Context<'_>, args: &NextArgs, here: &Zone, now: Timestamp) -> Result<u8> {
    const WHAT: &str = "preview schedule";
    let failure = |error| parse_failure(WHAT, error);
    let zone = args.tz.as_ref().map_or_else(|| Ok(here.clone()), |name| Zone::named(name)).map_err(failure)?;
    let from = args.from.as_ref().map_or(Ok(now), |text| parse_instant(text, now, &zone)).map_err(failure)?;
    let schedule = match (&args.cron, &args.at, &args.every) {
        (Some(text), ..) => parse_cron(text).map_err(failure)?,
        (None, Some(text), _) => Schedule::At(parse_time(text, from, &zone).map_err(failure)?),
        (None, None, Some(text)) => Schedule::Every { period: parse_period(text).map_err(failure)?, anchor: from },
        (None, None, None) => return Err(Error::usage(WHAT, "there is no trigger to preview")),
    };
    let mut at = first_fire(&schedule, &zone, None, from).or(match schedule {
        Schedule::At(at) => Some(at),
        Schedule::Vixie(_)
        | Schedule::Seconds(_)
        | Schedule::Every { .. }
        | Schedule::Reboot
        | Schedule::Delayed { .. } => None,
    });
    let mut fires = Vec::new();
    while fires.len() < args.limit as usize
        && let Some(fire) = at
    {
        fires.push(Fire { at: fire, job_id: None, name: None });
        at = schedule.next_after(fire, &zone);
    }
    if args.json {
        context.output.json(&document(Fires { fires }))?;
        return Ok(0);
    }
    if fires.is_empty() && args.limit > 0 {
        context.output.talk(match schedule {
            Schedule::Reboot => "`@reboot` fires once after each boot of the machine",
            Schedule::At(_)
            | Schedule::Vixie(_)
            | Schedule::Seconds(_)
            | Schedule::Every { .. }
            | Schedule::Delayed { .. } => "it never fires",
        });
    }
    let lines: String =
        fires.iter().map(|fire| format!("{} {}\n", zone.reading(fire.at).weekday(), zone.show(fire.at))).collect();
    context.output.answer(&lines)?;
    Ok(0)
}
