//! Owns: statistics as lines, tables and bars.
//! Never: the arithmetic (see `engine::stats`).

use std::collections::BTreeMap;

use super::bars::{bar, sparkline};
use super::rounds::Step;
use super::tables::{WORDS_MIN, maybe};
use super::times::Times;
use crate::cli::output::{Column, Table, TableCell};
use crate::domain::{JobId, Outcome, Span, Timestamp};
use crate::engine::stats::{Backlog, Flow, MeanAndP95, Stats, is_fire_alone, seconds};
use crate::schedule::{Zone, parse_instant};
use crate::shown::{self, Facts, counted};

/// How many jobs the table has.
const JOBS_SHOWN: usize = 10;

/// The days, hours or minutes that a sparkline has at most, however wide the terminal is.
const DAYS_MAX: usize = 120;

/// Fewer periods than this have no sparkline.
const PERIODS_MIN: usize = 3;

/// The limits between two bars of the histogram, in milliseconds: about three a decade.
const LIMITS_MS: [u64; 20] = [
    1,
    3,
    10,
    30,
    100,
    300,
    1_000,
    3_000,
    10_000,
    30_000,
    60_000,
    180_000,
    600_000,
    1_800_000,
    3_600_000,
    10_800_000,
    36_000_000,
    86_400_000,
    259_200_000,
    864_000_000,
];

/// What `stats` found.
pub struct StatsView {
    pub stats: Stats,
    /// Sorted by name.
    pub queues: Vec<QueueNumbers>,
    pub backlog: Backlog,
    /// With the starts that `Stats::runs_of_days` counts by.
    pub periods: Periods,
    pub names: BTreeMap<JobId, Option<String>>,
    /// How many jobs have had runs in the window that are forgotten.
    pub cut_jobs: usize,
    /// It is about some jobs, not about all that share their queues.
    pub is_of_jobs: bool,
}

/// The periods of a sparkline.
#[derive(Default)]
pub struct Periods {
    unit: Unit,
    /// Ascending.
    pub starts: Vec<Timestamp>,
}

/// The length of each of several periods.
#[derive(Clone, Copy, Default)]
enum Unit {
    #[default]
    Day,
    Hour,
    Minute,
}

/// A queue in numbers.
pub struct QueueNumbers {
    pub name: String,
    pub slots: usize,
    pub is_paused: bool,
    pub flow: Flow,
    pub backlog: Backlog,
}

impl StatsView {
    pub fn slots(&self) -> usize {
        self.queues.iter().map(|queue| queue.slots).sum()
    }

    pub fn utilisation(&self) -> Option<f64> {
        self.stats.all.utilisation(&self.stats.window, self.slots())
    }
}

/// Returns the lines about all runs together. Facts of which nothing is known are left out.
pub fn facts(view: &StatsView, times: &Times<'_>, width: Option<usize>) -> Facts {
    let stats = &view.stats;
    let window = stats.window.length();
    let mut facts = Facts::default();
    facts.push("Window", format!("{}, since {}", shown::span(window), times.show(stats.window.since)));
    facts.push_lines("Forgotten", cut_text(view.cut_jobs));
    facts.push_lines("Runs", (!stats.is_empty()).then(|| runs_text(stats)));
    facts.push_lines("Success", stats.all.success_rate().map(percent));
    facts.push_lines(view.periods.head(), width.and_then(|width| periods_text(view, times, width)));
    let arrivals = stats.arrival_rate.filter(|rate| *rate > 0.0);
    facts.push_lines("Arrivals", arrivals.map(|rate| format!("{} (λ)", rate_text(rate))));
    let service = stats.service_rate.map(|rate| format!("{} and slot (μ)", rate_text(rate)));
    facts.push_lines("Service", service);
    facts.push_lines("Slots", slots_text(view));
    facts.push_lines("Wait", stats.wait.map(mean_and_p95));
    facts.push_lines("Run time", stats.run_time.map(mean_and_p95));
    facts.push_lines("Response", response_text(stats));
    facts.push_lines("In system", present_text(stats));
    facts.push_lines("Backlog", backlog_text(view, times));
    facts
}

fn cut_text(jobs: usize) -> Option<String> {
    let jobs = (jobs > 0).then(|| counted(jobs, "job"))?;
    Some(format!("older runs of {jobs} in this window (see `taskq prune`): rates are too low"))
}

/// Returns `12: 9 success, 2 failed, 1 unfinished; 3 missed fires`.
fn runs_text(stats: &Stats) -> String {
    let counts = || Outcome::ALL.iter().filter_map(|outcome| Some((*outcome, *stats.outcomes.get(outcome)?)));
    let runs = counts().filter(|(outcome, _)| !is_fire_alone(*outcome));
    let runs = runs.map(|(outcome, count)| format!("{count} {outcome}"));
    let unfinished = (stats.unfinished > 0).then(|| format!("{} unfinished", stats.unfinished));
    let runs: Vec<String> = runs.chain(unfinished).collect();
    let all = match stats.ended() + stats.unfinished {
        0 => "none".to_owned(),
        all => format!("{all}: {}", runs.join(", ")),
    };
    let fires = counts().filter(|(outcome, _)| is_fire_alone(*outcome));
    let fires = fires
        .map(|(outcome, count)| format!("; {count} {outcome} fire{}", if count == 1 { "" } else { "s" }));
    all + &fires.collect::<String>()
}

fn slots_text(view: &StatsView) -> Option<String> {
    let slots = (!view.queues.is_empty()).then(|| view.slots())?;
    let used =
        view.utilisation().map_or(String::new(), |part| format!(", utilisation {} (ρ)", percent(part)));
    let queues = match view.queues.as_slice() {
        [queue] => format!(" of queue `{}`", queue.name),
        queues => format!(" of {} queues", queues.len()),
    };
    Some(format!("{slots}{queues}{used}"))
}

fn mean_and_p95(times: MeanAndP95) -> String {
    format!("mean {}, p95 {}", shown::span(times.mean), shown::span(times.p95))
}

fn response_text(stats: &Stats) -> Option<String> {
    let mean = shown::span(stats.all.response.mean()?);
    let weighted = stats.weighted_response.map(shown::span).filter(|weighted| *weighted != mean);
    let weighted = weighted.map_or(String::new(), |span| format!(", weighted by priority {span}"));
    Some(format!("mean {mean} (W){weighted}"))
}

fn present_text(stats: &Stats) -> Option<String> {
    let present = stats.mean_present.filter(|present| *present > 0.0)?;
    let little = stats.little().map_or(String::new(), |little| format!("; λW is {}", three_digits(little)));
    Some(format!("mean {} runs (L){little}", three_digits(present)))
}

fn backlog_text(view: &StatsView, times: &Times<'_>) -> Option<String> {
    let Backlog { waiting, running, unknown, late, work, drained_in } = view.backlog;
    if waiting + running == 0 {
        return None;
    }
    let counts = [(waiting, "waiting"), (running, "running")].into_iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, word)| format!("{count} {word}")).collect();
    let known = (unknown + late < waiting + running).then(|| format!(", {} of work", shown::span(work)));
    let unknown = (unknown > 0).then(|| format!(", {unknown} of unknown length"));
    let late = (late > 0).then(|| format!(", {late} running longer than expected"));
    let drained = drained_in.filter(|_| unknown.is_none()).map(|span| {
        let only = if view.is_of_jobs { "nothing else runs" } else { "no more come" };
        format!(", drained in {} ({}) if {only}", shown::span(span), times.show(times.now + span))
    });
    let is_paused = |queue: &&QueueNumbers| queue.is_paused && queue.backlog.waiting > 0;
    let paused: Vec<String> = view.queues.iter().filter(is_paused).map(|q| format!("`{}`", q.name)).collect();
    let paused = (!paused.is_empty()).then(|| format!(", paused: {}", paused.join(" ")));
    let parts = [known, unknown, late, drained, paused].into_iter().flatten();
    Some(counts.join(", ") + &parts.collect::<String>())
}

/// Returns a rate in the smallest unit of time in which it is one or more: `7.20 per hour`.
fn rate_text(per_second: f64) -> String {
    let units = [(1.0, "second"), (60.0, "minute"), (3_600.0, "hour")];
    let unit = units.into_iter().find(|(seconds, _)| per_second * seconds >= 1.0);
    let (seconds, unit) = unit.unwrap_or((86_400.0, "day"));
    format!("{} per {unit}", three_digits(per_second * seconds))
}

fn three_digits(number: f64) -> String {
    match number {
        100.0.. => format!("{number:.0}"),
        10.0.. => format!("{number:.1}"),
        0.01.. => format!("{number:.2}"),
        _ => format!("{number:.2e}"),
    }
}

/// Returns a part as percent, rounded down, so that only all of it is `100 %`.
pub fn percent(part: f64) -> String {
    // Binary fractions are a little less than the decimal ones that they stand for.
    match (part * 1_000.0 + 1e-9).floor() as u64 {
        0 => "0 %".to_owned(),
        1_000 => "100 %".to_owned(),
        tenths => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

/// The table of the jobs with the largest shares.
pub fn job_shares(view: &StatsView) -> Table {
    let mut table = Table::new([
        Column::right("ID"),
        Column::left("NAME").unless_unknown().shrinking_to(WORDS_MIN),
        Column::right("RUNS"),
        Column::right("SUCCESS").unless_unknown(),
        Column::right("MEAN").unless_unknown(),
        Column::right("TOTAL"),
        Column::right("SHARE").unless_unknown(),
    ]);
    for job in view.stats.jobs.iter().take(JOBS_SHOWN) {
        table.push([
            TableCell::new(job.job.to_string()),
            maybe(view.names.get(&job.job).and_then(Option::as_deref)),
            TableCell::new(job.flow.runs.to_string()),
            maybe(job.flow.success_rate().map(percent).as_deref()),
            maybe(job.flow.run_time.mean().map(shown::span).as_deref()),
            TableCell::new(shown::span(job.flow.run_time.sum())),
            maybe(job.share.map(percent).as_deref()),
        ]);
    }
    table
}

/// The table of the queues.
pub fn queue_numbers(view: &StatsView) -> Table {
    let mut table = Table::new([
        Column::left("QUEUE").shrinking_to(WORDS_MIN),
        Column::right("SLOTS"),
        Column::right("UTIL").unless_unknown(),
        Column::right("RUNS"),
        Column::right("WAIT").unless_unknown(),
        Column::right("RUN TIME").unless_unknown(),
        Column::right("BACKLOG").unless_unknown(),
        Column::right("DRAINED").unless_unknown(),
    ]);
    for queue in &view.queues {
        let waits = queue.backlog.waiting + queue.backlog.running > 0;
        let is_known = waits && queue.backlog.unknown < queue.backlog.waiting + queue.backlog.running;
        table.push([
            TableCell::new(&queue.name),
            TableCell::new(queue.slots.to_string()),
            maybe(queue.flow.utilisation(&view.stats.window, queue.slots).map(percent).as_deref()),
            TableCell::new(queue.flow.runs.to_string()),
            maybe(queue.flow.wait.mean().map(shown::span).as_deref()),
            maybe(queue.flow.run_time.mean().map(shown::span).as_deref()),
            maybe(is_known.then(|| shown::span(queue.backlog.work)).as_deref()),
            maybe(queue.backlog.drained_in.filter(|_| waits).map(shown::span).as_deref()),
        ]);
    }
    table
}

/// The table of the hosts of executors.
pub fn host_runs(view: &StatsView) -> Table {
    let mut table = Table::new([
        Column::left("HOST").shrinking_to(WORDS_MIN),
        Column::right("RUNS"),
        Column::right("SUCCESS").unless_unknown(),
        Column::right("RUN TIME").unless_unknown(),
    ]);
    for (place, of) in &view.stats.hosts {
        table.push([
            TableCell::new(place.to_string()),
            TableCell::new(of.runs.to_string()),
            maybe(of.success_rate().map(percent).as_deref()),
            maybe(of.mean().map(shown::span).as_deref()),
        ]);
    }
    table
}

/// Returns the midnights of a zone from the day of `since` on, ascending, but only the latest ones.
fn day_starts(since: Timestamp, now: Timestamp, zone: &Zone) -> Vec<Timestamp> {
    const SOME_DAYS: Span = Span::from_seconds(DAYS_MAX as u64 * 86_400);
    // This far after the start of a day it is the next one, also if that begins an hour earlier or later.
    const NEXT: Span = Span::from_seconds(36 * 3_600);
    let mut days: Vec<Timestamp> = Vec::new();
    let mut at = since.max(now - SOME_DAYS);
    while days.len() <= DAYS_MAX {
        let Ok(midnight) = parse_instant(&zone.reading(at).date(), now, zone) else { break };
        if midnight > now {
            break;
        }
        days.push(midnight);
        at = midnight + NEXT;
    }
    days
}

impl Periods {
    /// Returns the days from that of `since` on, or, if there are few, the hours or the minutes; the latest
    /// ones only.
    pub fn since(since: Timestamp, now: Timestamp, zone: &Zone) -> Self {
        let days = day_starts(since, now, zone);
        if days.len() >= PERIODS_MIN {
            return Self { unit: Unit::Day, starts: days };
        }
        let of = |unit: Unit, step: Step| {
            let from = since - step.span() + Span::from_micros(1);
            let starts: Vec<Timestamp> = step.within(from, now, zone).collect();
            let starts = starts[starts.len().saturating_sub(DAYS_MAX)..].to_vec();
            Self { unit, starts }
        };
        let hours = of(Unit::Hour, Step::HOUR);
        if hours.starts.len() >= PERIODS_MIN { hours } else { of(Unit::Minute, Step::MINUTE) }
    }

    fn head(&self) -> &'static str {
        match self.unit {
            Unit::Day => "Days",
            Unit::Hour => "Hours",
            Unit::Minute => "Minutes",
        }
    }
}

/// Returns a sparkline of the runs of each day, hour or minute; nothing for few of them.
fn periods_text(view: &StatsView, times: &Times<'_>, width: usize) -> Option<String> {
    const WORDS: usize = 50;
    let Periods { unit, starts } = &view.periods;
    let shown = width.saturating_sub(WORDS).clamp(7, DAYS_MAX).min(starts.len());
    let from = starts.len() - shown;
    let (starts, runs) = (&starts[from..], &view.stats.runs_of_days[from..]);
    let most = *runs.iter().max().filter(|most| **most > 0)?;
    let first = *starts.first()?;
    let (since, each) = match unit {
        Unit::Day => (times.zone.reading(first).date(), "a day"),
        Unit::Hour => (times.show(first), "an hour"),
        Unit::Minute => (times.show(first), "a minute"),
    };
    let line = || format!("{}  since {since}, up to {most} {each}", sparkline(runs));
    (starts.len() >= PERIODS_MIN).then(line)
}

/// Returns a table of how many runs took how long, with bars for a terminal of this width. It has no rows
/// unless there are at least two runs.
pub fn histogram(run_times: &[Span], width: usize) -> Table {
    let mut counts = [0_u64; LIMITS_MS.len() + 1];
    for span in run_times {
        counts[LIMITS_MS.partition_point(|limit| *limit <= span.as_millis())] += 1;
    }
    let mut table = Table::new([Column::right("RUN TIME"), Column::right("RUNS"), Column::left("")]);
    let first = counts.iter().position(|count| *count > 0);
    let last = counts.iter().rposition(|count| *count > 0);
    let (Some(first), Some(last)) = (first, last) else { return table };
    if run_times.len() < 2 {
        return table;
    }
    let most = counts.iter().copied().max().unwrap_or(1);
    let label = |at: usize| match (at.checked_sub(1).and_then(|at| LIMITS_MS.get(at)), LIMITS_MS.get(at)) {
        (None, Some(to)) => format!("under {}", limit_text(*to)),
        (Some(from), Some(to)) => format!("{} to {}", limit_text(*from), limit_text(*to)),
        (Some(from), None) => format!("over {}", limit_text(*from)),
        (None, None) => String::new(),
    };
    let labels: Vec<String> = (first..=last).map(label).collect();
    let digits = most.to_string().len().max(4);
    let label_width = labels.iter().map(String::len).max().unwrap_or(0).max(8);
    let room = width.saturating_sub(label_width + digits + 4).clamp(8, 60) as u64;
    for (count, label) in counts[first..=last].iter().zip(labels) {
        table.push([
            TableCell::new(label),
            TableCell::new(count.to_string()),
            TableCell::new(bar(*count, most, room)),
        ]);
    }
    table
}

fn limit_text(millis: u64) -> String {
    Span::from_millis(millis).to_string()
}

/// Returns the short form: `120 runs, 98.3 % success, mean 2.1s`.
pub fn short_text(stats: &Stats) -> String {
    let runs = counted(usize::try_from(stats.ended()).unwrap_or(usize::MAX), "run");
    let success = stats.all.success_rate().map(|rate| format!("{} success", percent(rate)));
    let mean = stats.all.run_time.mean().map(|mean| format!("mean {}", shown::span(mean)));
    [Some(runs), success, mean].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Returns a span in seconds, for JSON.
pub fn in_seconds(span: Option<Span>) -> Option<f64> {
    span.map(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::view::samples::{at, berlin};

    #[test]
    fn a_rate_is_by_the_unit_in_which_it_is_one_or_more() {
        for (per_second, text) in [
            (250.0, "250 per second"),
            (1.0, "1.00 per second"),
            (0.5, "30.0 per minute"),
            (1.0 / 600.0, "6.00 per hour"),
            (1.0 / 172_800.0, "0.50 per day"),
        ] {
            assert_eq!(rate_text(per_second), text);
        }
    }

    #[test]
    fn only_all_is_a_hundred_percent() {
        for (part, text) in [
            (1.0, "100 %"),
            (0.9999, "99.9 %"),
            (0.985, "98.5 %"),
            (0.0, "0 %"),
            (0.29, "29.0 %"),
            (1.5, "150.0 %"),
        ] {
            assert_eq!(percent(part), text);
        }
    }

    #[test]
    fn days_begin_at_midnight_also_when_the_clock_changes() {
        let days = day_starts(at("2026-10-24 11:00:00"), at("2026-10-27 03:00:00"), &berlin());
        let midnights = ["2026-10-24", "2026-10-25", "2026-10-26", "2026-10-27"];
        assert_eq!(days, midnights.map(|day| at(&format!("{day} 00:00:00"))));
        let long = day_starts(at("2001-01-01 11:00:00"), at("2026-10-27 03:00:00"), &berlin());
        assert_eq!((long.len(), long.last()), (DAYS_MAX + 1, days.last()));
    }

    #[test]
    fn few_days_are_hours_and_few_hours_minutes() {
        let zone = berlin();
        let periods = |since: &str, now: &str| {
            let Periods { unit, starts } = Periods::since(at(since), at(now), &zone);
            (unit as usize, starts.len(), zone.reading(starts[0]).time())
        };
        let time = |text: &str| text.to_owned();
        assert_eq!(
            periods("2026-11-18 10:00", "2026-11-20 11:00"),
            (Unit::Day as usize, 3, time("00:00:00"))
        );
        assert_eq!(
            periods("2026-11-20 01:30", "2026-11-20 11:00"),
            (Unit::Hour as usize, 10, time("01:00:00"))
        );
        assert_eq!(
            periods("2026-10-25 00:00", "2026-10-26 00:00"),
            (Unit::Hour as usize, 25, time("00:00:00"))
        );
        assert_eq!(
            periods("2026-11-20 10:50:07", "2026-11-20 11:00:30"),
            (Unit::Minute as usize, 11, time("10:50:00"))
        );
    }

    #[test]
    fn a_histogram_fits_and_its_longest_bar_is_the_most() {
        let spans: Vec<Span> = [1, 2, 4, 5, 6, 7, 50, 900_000_000].map(Span::from_millis).to_vec();
        let table = histogram(&spans, 40);
        let text = anstream::adapter::strip_str(&table.render(Some(40))).to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
        let rows: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(rows.len(), 20, "from the first to the last that is not empty: {text}");
        assert!(rows[0].starts_with("    1ms to 3ms     2  ██"), "{text}");
        assert!(rows[1].starts_with("   3ms to 10ms     4  ████"), "{text}");
        assert!(histogram(&spans[..1], 40).is_empty());
    }
}
