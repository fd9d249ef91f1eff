//! Owns: `taskq next`.
//! Never: anything that changes a job.

use clap::{ArgGroup, Args};

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

use serde::Serialize;

use crate::cli::args::number;
use crate::cli::context::{Context, Failure, parse_failure};
use crate::cli::job::text::parse_period;
use crate::cli::output::{Column, Table, TableCell};
use crate::cli::target::find_job;
use crate::cli::view::daylight::{self, skipped, skips};
use crate::cli::view::json::document;
use crate::cli::view::tables::{COMMAND_MIN, WORDS_MIN, maybe};
use crate::cli::view::times::{Times, own_zone};
use crate::cli::view::when::when_text;
use crate::cli::zone::system_zone;
use crate::crontab::note_on_days;
use crate::domain::{EventTrigger, JobId, JobKey, JobName, Span, Timestamp, Window};
use crate::engine::{Compiled, NthFacts, first_fire};
use crate::error::{Error, Result};
use crate::schedule::{
    Calendar, Daylight, Reading, Readings, Schedule, Zone, parse_calendar, parse_cron, parse_instant,
    parse_time,
};
use crate::shown;
use crate::store::{JobView, Reader, TriggerView, schedule_of};

pub const WHAT: &str = "show fires";

/// How many fires are shown of a trigger or a job.
const FIRES_DEFAULT: u32 = 10;

/// The width of an instant on a narrow terminal: `2027-03-28 02:00`.
const EXACT_TIME_MIN: usize = 16;

/// `{"fires": […], "events": […], "skipped": […]}`
#[derive(Serialize)]
struct FiresJson<'a> {
    fires: Vec<FireJson<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<AwaitedJson<'a>>,
    skipped: Vec<SkipJson>,
}

/// An event that a job listens to.
#[derive(Serialize)]
struct AwaitedJson<'a> {
    job_id: JobId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// The value of `--on`.
    on: String,
    when: String,
}

impl<'a> From<&Awaited<'a>> for AwaitedJson<'a> {
    fn from(Awaited { job, event }: &Awaited<'a>) -> Self {
        let name = job.definition.name.as_ref().map(JobName::as_str);
        Self { job_id: job.id, name, on: event.to_string(), when: when_text(event) }
    }
}

#[derive(Serialize)]
struct FireJson<'a> {
    at: Timestamp,
    job_id: Option<JobId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    daylight: Option<&'static str>,
    /// If its run starts at once, and takes as long as is expected of its job.
    expected_end_at: Option<Timestamp>,
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
    /// Of the trigger.
    zone: &'a Zone,
    /// By whose clock it is shown.
    shown: &'a Zone,
}

impl Fire<'_> {
    fn left_out(&self) -> Option<Readings> {
        skipped(self.daylight)
    }
}

/// Show the coming fires
///
/// Shows the next fire of each job, the soonest first, and then the events that
/// jobs listen to. With -n, or for the named
/// jobs, shows the coming fires in the order of their times. The times of a job
/// with a zone of its own are those of that zone, with its name. --cron,
/// --calendar, --at and --every need no job: they show the fires of a trigger
/// before you add it.
/// Fires that daylight saving moves, merges, skips or repeats are marked.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    group = ArgGroup::new("preview").args(["cron", "calendar", "at", "every"]).conflicts_with("jobs"),
    override_usage = "\
taskq next [JOB]... [-n N] [--json]
       taskq next --cron EXPR|--calendar EXPR|--at TIME|--every SPAN
                  [--tz ZONE] [--from TIME] [-n N] [--json]",
    after_help = "\
Examples:
  taskq next
  taskq next backup -n 5
  taskq next --cron '0 9 1-7 * mon' --tz Europe/Berlin
  taskq next --calendar 'Mon..Fri 09:30' -n 5"
)]
pub struct NextArgs {
    /// Only fires of these jobs, by id or name
    #[arg(value_name = "JOB")]
    pub jobs: Vec<String>,

    /// Preview a cron expression
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true, help_heading = "Preview")]
    pub cron: Option<String>,

    /// Preview a calendar expression of systemd.time(7)
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true, help_heading = "Preview")]
    pub calendar: Option<String>,

    /// Preview a time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, help_heading = "Preview")]
    pub at: Option<String>,

    /// Preview an interval
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true, help_heading = "Preview")]
    pub every: Option<String>,

    /// Read the trigger in ZONE; default: the system's zone
    #[arg(long, value_name = "ZONE", requires = "preview", help_heading = "Preview")]
    pub tz: Option<String>,

    /// Begin after TIME; default: now
    #[arg(
        long,
        value_name = "TIME",
        allow_hyphen_values = true,
        requires = "preview",
        help_heading = "Preview"
    )]
    pub from: Option<String>,

    /// The next N fires; default: 10, without JOB one of each job
    #[arg(short = 'n', value_name = "N", allow_negative_numbers = true, value_parser = number(0..=u32::MAX))]
    pub limit: Option<u32>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(context: &Context<'_>, args: &NextArgs) -> Result<u8> {
    let (zone, _) = context.zone(WHAT)?;
    let now = context.now();
    if args.cron.is_some() || args.calendar.is_some() || args.at.is_some() || args.every.is_some() {
        return preview(context, args, &zone, now);
    }
    // Without a number and a job: of each job its next fire only.
    let limit = match (args.limit, args.jobs.is_empty()) {
        (None, true) => None,
        (limit, _) => Some(limit.unwrap_or(FIRES_DEFAULT) as usize),
    };
    let NextTriggers { triggers, listening, jobs } =
        context.read(WHAT, |reader| next_triggers(reader, &args.jobs, limit))?;
    let system_zone = system_zone().0;
    let compiled: Vec<(Compiled, Option<Zone>)> = triggers
        .iter()
        .map(|(_, trigger)| (schedule_of(&trigger.spec, &system_zone), own_zone(&trigger.spec)))
        .collect();
    let coming: Vec<ComingTrigger<'_>> = triggers
        .iter()
        .zip(&compiled)
        .filter_map(|((id, trigger), (compiled, own_zone))| {
            Some(ComingTrigger {
                job: jobs.get(id),
                compiled: compiled.as_ref().ok(),
                next: trigger.next_at?,
                shown: own_zone.as_ref().unwrap_or(&zone),
            })
        })
        .collect();
    let fires = match limit {
        Some(limit) => first_fires(&coming, now, limit),
        None => first_of_each(&coming),
    };
    let awaited: Vec<Awaited<'_>> = listening
        .iter()
        .filter_map(|(id, trigger)| Some(Awaited { job: jobs.get(id)?, event: trigger.spec.event()? }))
        .collect();
    if args.json {
        let events = awaited.iter().map(AwaitedJson::from).collect();
        let jobs: BTreeSet<JobId> = fires.iter().filter_map(|fire| Some(fire.job?.id)).collect();
        let expected = context.read(WHAT, |reader| expected(reader, &jobs))?;
        context.output.json(&document(FiresJson { events, ..fires_json(&fires, &expected) }))?;
        return Ok(0);
    }
    if fires.is_empty() && awaited.is_empty() {
        context.output.explain_empty("no coming fires");
    }
    context.output.table(&table(&fires, &awaited, &Times { zone: &zone, now, are_whole: false }))?;
    Ok(0)
}

/// Triggers, the one that fires first before the others, and their jobs.
struct NextTriggers {
    triggers: Vec<(JobId, TriggerView)>,
    /// Those that fire at events. None with a number of fires of all jobs.
    listening: Vec<(JobId, TriggerView)>,
    jobs: HashMap<JobId, JobView>,
}

/// Returns the triggers that fire next, the earliest first, and their jobs: the first of each job, or as many
/// as are enough for the first `limit` fires; all those of a job with `--nth`, whose fires count together.
fn next_triggers(
    reader: &Reader<'_>,
    names: &[String],
    limit: Option<usize>,
) -> Result<NextTriggers, Failure> {
    let named: Result<Vec<_>, _> = names.iter().map(|job| find_job(reader, "show fires of", job)).collect();
    let mut jobs = HashMap::new();
    let mut triggers = Vec::new();
    let named = named?;
    for (job, trigger) in reader.next_triggers(&named, limit)? {
        let (is_first, view) = match jobs.entry(job) {
            Entry::Occupied(known) => (false, known.into_mut()),
            Entry::Vacant(new) => (true, new.insert(reader.job(job)?)),
        };
        if is_first || limit.is_some() || view.nth().is_some() {
            triggers.push((job, trigger));
        }
    }
    let is_of_all = named.is_empty() && limit.is_some();
    let listening = if is_of_all { Vec::new() } else { reader.listening_triggers(&named)? };
    for (job, _) in &listening {
        if !jobs.contains_key(job) {
            jobs.insert(*job, reader.job(*job)?);
        }
    }
    Ok(NextTriggers { triggers, listening, jobs })
}

/// An event that a job listens to.
struct Awaited<'a> {
    job: &'a JobView,
    event: &'a EventTrigger,
}

/// A trigger with its next fire. It has no schedule if the stored text cannot be read.
#[derive(Clone, Copy)]
struct ComingTrigger<'a> {
    job: Option<&'a JobView>,
    compiled: Option<&'a (Schedule, Zone)>,
    next: Timestamp,
    /// By whose clock its fires are shown.
    shown: &'a Zone,
}

impl<'a> ComingTrigger<'a> {
    fn window(&self) -> Window {
        self.job.map(|job| job.definition.window()).unwrap_or_default()
    }

    fn fire(&self, at: Timestamp) -> Fire<'a> {
        let daylight = self.compiled.and_then(|(schedule, zone)| schedule.daylight(at, zone));
        self.fire_with(at, daylight)
    }

    fn fire_with(&self, at: Timestamp, daylight: Option<Daylight>) -> Fire<'a> {
        let zone = self.compiled.map_or(self.shown, |(_, zone)| zone);
        Fire { at, job: self.job, daylight, zone, shown: self.shown }
    }

    /// Returns the fires that daylight saving skips in `(after, until]`.
    fn skips(&self, after: Timestamp, until: Timestamp) -> Vec<Fire<'a>> {
        let Some((schedule, zone)) = self.compiled else {
            return Vec::new();
        };
        let skips = skips(schedule, zone, after, Some(until));
        skips.into_iter().map(|skip| self.fire_with(skip.at, Some(skip.daylight))).collect()
    }
}

/// Returns the first fire of each job, in order. `triggers`: the first of each, or all of a job with `--nth`.
fn first_of_each<'a>(triggers: &[ComingTrigger<'a>]) -> Vec<Fire<'a>> {
    let (mut fires, mut counted) = (Vec::new(), BTreeMap::<JobId, Vec<ComingTrigger<'a>>>::new());
    for trigger in triggers {
        match trigger.job.filter(|job| job.nth().is_some()) {
            Some(job) => counted.entry(job.id).or_default().push(*trigger),
            None => fires.push(trigger.fire(trigger.next)),
        }
    }
    fires.extend(counted.values().flat_map(|of_job| merged(of_job, 1)));
    fires.sort_by_key(|fire| fire.at);
    fires
}

/// Returns the first `limit` fires of all triggers in order, and the skipped fires before the last of them.
/// The `limit` triggers that fire first are enough for that, if no job has `--nth`.
fn first_fires<'a>(triggers: &[ComingTrigger<'a>], now: Timestamp, limit: usize) -> Vec<Fire<'a>> {
    let mut fires = merged(triggers, limit);
    if let Some(last) = fires.last().map(|fire| fire.at) {
        fires.extend(triggers.iter().flat_map(|trigger| {
            let window = trigger.window();
            trigger.skips(window.start.map_or(now, |start| start.max(now)), window.capped(last))
        }));
        // Skipped fires come before fires of the same instant; the order of the fires stays.
        fires.sort_by_key(|fire| (fire.at, fire.left_out().is_none()));
    }
    fires
}

/// Returns the first `limit` fires of all triggers in order, without those that `--nth` passes over.
fn merged<'a>(triggers: &[ComingTrigger<'a>], limit: usize) -> Vec<Fire<'a>> {
    let mut heap: BinaryHeap<Reverse<(Timestamp, usize)>> =
        triggers.iter().enumerate().map(|(index, trigger)| Reverse((trigger.next, index))).collect();
    let (mut fires, mut counts) = (Vec::new(), HashMap::<JobId, NthFacts>::new());
    while fires.len() < limit
        && let Some(Reverse((at, index))) = heap.pop()
    {
        let counted = triggers[index].job.and_then(|job| Some((job.id, job.nth()?)));
        let runs = counted.is_none_or(|(job, facts)| counts.entry(job).or_insert(facts).counts_fire());
        if runs {
            fires.push(triggers[index].fire(at));
        }
        if let Some((schedule, zone)) = triggers[index].compiled
            && let Some(next) =
                schedule.next_after(at, zone).filter(|at| !triggers[index].window().has_ended(*at))
        {
            heap.push(Reverse((next, index)));
        }
    }
    fires
}

fn expected(reader: &Reader<'_>, jobs: &BTreeSet<JobId>) -> Result<HashMap<JobId, Span>, Failure> {
    let mut expected = HashMap::new();
    for job in jobs {
        // A job may have gone meanwhile.
        if reader.find_job(&JobKey::Id(*job))?.is_some() {
            expected.extend(reader.expected_of(*job)?.map(|span| (*job, span)));
        }
    }
    Ok(expected)
}

/// `expected`: how long the runs of each job take, as far as that is known.
fn fires_json<'a>(fires: &'a [Fire<'_>], expected: &HashMap<JobId, Span>) -> FiresJson<'a> {
    let id = |fire: &Fire<'_>| fire.job.map(|job| job.id);
    let coming = fires.iter().filter(|fire| fire.left_out().is_none()).map(|fire| FireJson {
        at: fire.at,
        job_id: id(fire),
        name: fire.job.and_then(|job| job.definition.name.as_ref().map(JobName::as_str)),
        daylight: fire.daylight.map(|daylight| daylight.effect.as_str()),
        expected_end_at: id(fire).and_then(|job| Some(fire.at + *expected.get(&job)?)),
    });
    let skipped = fires.iter().filter_map(|fire| {
        let Readings { first, last, count } = fire.left_out()?;
        Some(SkipJson { at: fire.at, from: first, to: last, count, job_id: id(fire) })
    });
    FiresJson { fires: coming.collect(), events: Vec::new(), skipped: skipped.collect() }
}

fn table(fires: &[Fire<'_>], awaited: &[Awaited<'_>], times: &Times<'_>) -> Table {
    let mut table = Table::new([
        Column::left("NEXT").shrinking_to(EXACT_TIME_MIN),
        // It says the same as NEXT.
        Column::right("LEFT").dropped(1),
        Column::left("DAYLIGHT").unless_unknown(),
        Column::right("ID"),
        Column::left("NAME").unless_unknown().shrinking_to(WORDS_MIN),
        Column::left("COMMAND").shrinking_to(COMMAND_MIN),
    ]);
    for fire in fires {
        let left = fire.left_out().is_none().then(|| times.left(fire.at));
        let name = fire.job.and_then(|job| job.definition.name.as_ref());
        let reading = daylight::reading(fire.daylight, fire.at, fire.zone, fire.shown);
        table.push([
            TableCell::new(times.named(fire.shown, times.exact(fire.shown, reading))),
            maybe(left.as_deref()),
            maybe(fire.daylight.map(daylight::word).as_deref()),
            maybe(fire.job.map(|job| job.id.to_string()).as_deref()),
            maybe(name.map(JobName::as_str)),
            maybe(fire.job.map(|job| shown::command(&job.definition.execution.command)).as_deref()),
        ]);
    }
    for Awaited { job, event } in awaited {
        table.push([
            TableCell::new(when_text(event)),
            maybe(None),
            maybe(None),
            TableCell::new(job.id.to_string()),
            maybe(job.definition.name.as_ref().map(JobName::as_str)),
            TableCell::new(shown::command(&job.definition.execution.command)),
        ]);
    }
    table
}

/// Prints the fires of a trigger on the command line.
fn preview(context: &Context<'_>, args: &NextArgs, here: &Zone, now: Timestamp) -> Result<u8> {
    const WHAT: &str = "preview schedule";
    let failure = |error| parse_failure(WHAT, error);
    let calendar = args.calendar.as_deref().map(parse_calendar).transpose().map_err(failure)?;
    let tz = args.tz.as_deref().map_or_else(|| Ok(here.clone()), Zone::named).map_err(failure)?;
    let own = calendar.as_ref().and_then(Calendar::zone);
    let zone = own.map_or(Ok(tz), Zone::named).map_err(failure)?;
    let from = args.from.as_ref().map_or(Ok(now), |text| parse_instant(text, now, &zone)).map_err(failure)?;
    let schedule = if let Some(text) = &args.cron {
        parse_cron(text).map_err(failure)?
    } else if let Some(calendar) = calendar {
        Schedule::Calendar(Box::new(calendar))
    } else if let Some(text) = &args.at {
        Schedule::At(parse_time(text, from, &zone).map_err(failure)?)
    } else if let Some(text) = &args.every {
        Schedule::Every { period: parse_period(text).map_err(failure)?, anchor: from }
    } else {
        return Err(Error::usage(WHAT, "there is no trigger to preview"));
    };
    if !schedule.covers(from, &zone) {
        context.output.talk(if args.calendar.is_some() {
            "a calendar expression fires from 1970 to 2199 only"
        } else {
            "an expression of six or seven fields fires from 1970 to 2100 only"
        });
    }
    let at = first_fire(&schedule, &zone, Window::default(), from).or(match schedule {
        Schedule::At(at) => Some(at),
        Schedule::Cron(_)
        | Schedule::Calendar(_)
        | Schedule::Every { .. }
        | Schedule::Reboot
        | Schedule::AfterEnd { .. }
        | Schedule::Events
        | Schedule::Delayed { .. } => None,
    });
    if let Some(note) = args.cron.as_deref().and_then(note_on_days) {
        context.output.talk(&note.to_string());
    }
    let limit = args.limit.unwrap_or(FIRES_DEFAULT);
    let fires = previewed_fires(&schedule, &zone, from, at, limit);
    if args.json {
        context.output.json(&document(fires_json(&fires, &HashMap::new())))?;
        return Ok(0);
    }
    if fires.iter().all(|fire| fire.left_out().is_some()) && limit > 0 {
        context.output.talk(match schedule {
            Schedule::Reboot => "`@reboot` fires once after each boot of the machine",
            Schedule::At(_)
            | Schedule::Cron(_)
            | Schedule::Calendar(_)
            | Schedule::Every { .. }
            | Schedule::AfterEnd { .. }
            | Schedule::Events
            | Schedule::Delayed { .. } => "it never fires",
        });
    }
    let lines: String = fires
        .iter()
        .map(|fire| format!("{}\n", daylight::line(fire.daylight, fire.at, &zone, &zone)))
        .collect();
    context.output.answer(&lines)?;
    Ok(0)
}

/// Returns the first `limit` fires of a schedule, and the skipped fires before each.
fn previewed_fires<'a>(
    schedule: &Schedule,
    zone: &'a Zone,
    from: Timestamp,
    first: Option<Timestamp>,
    limit: u32,
) -> Vec<Fire<'a>> {
    let fire = |at, daylight| Fire { at, job: None, daylight, zone, shown: zone };
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

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::cli::view::samples::{at, berlin, jobs};

    #[test]
    fn fires_fit_and_are_readable() {
        let (zone, jobs) = (berlin(), jobs());
        let tokyo = Zone::named("Asia/Tokyo").expect("in every tzdata");
        let mut schedule = parse_cron("*/30 2 * * *").expect("an expression");
        let skip = skips(&schedule, &zone, at("2027-03-01"), Some(at("2027-04-01")))[0];
        schedule = parse_cron("30 2 * * *").expect("an expression");
        let fire =
            |job, time, shown| Fire { at: at(time), job: Some(job), daylight: None, zone: shown, shown };
        let moved = Fire {
            daylight: schedule.daylight(at("2027-03-28 03:00"), &zone),
            ..fire(&jobs[3], "2027-03-28 03:00", &zone)
        };
        let skipped = Fire { daylight: Some(skip.daylight), ..fire(&jobs[0], "2027-03-28 03:00", &zone) };
        let fires = [
            fire(&jobs[1], "2026-11-20 14:02:07", &zone),
            fire(&jobs[1], "2026-11-21 03:15:10", &zone),
            fire(&jobs[2], "2026-12-01 01:00", &tokyo),
            skipped,
            moved,
        ];
        let table =
            table(&fires, &[], &Times { zone: &zone, now: at("2026-11-20 11:23:45"), are_whole: false });
        let mut text = String::new();
        for width in [80, 120, 200] {
            let plain = anstream::adapter::strip_str(&table.render(Some(width))).to_string();
            assert!(plain.lines().all(|line| line.width() <= width), "{plain}");
            write!(text, "{width} columns\n{plain}\n").expect("a String takes all");
        }
        insta::assert_snapshot!(text);
    }
}
