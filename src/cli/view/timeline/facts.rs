//! Owns: the parts of runs that a picture shows, and the lines that they stand in.
//! Never: cells and pixels.

use std::collections::{BTreeMap, HashMap};

use super::bar::{Bar, Window};
use super::kind::Kind;
use super::load::{Load, load, most_at_once};
use crate::domain::{CommandLine, JobId, Outcome, Span, Timestamp};
use crate::shown;
use crate::store::{JobLabel, TimelineRun, WaitingIndices};

/// With more lines than this, jobs without a name that have the same command share one.
const LINES_MAX: usize = 200;

/// A shorter wait is seen in no window that is longer than half a minute, and most runs have one.
const WAIT_MIN: Span = Span::from_millis(30);

/// A wait that is a smaller part of the window than one by this is not seen.
const FINEST: u64 = 1_000;

/// A process that ended in the microsecond in which it started has this length.
const SHORTEST: Span = Span::from_micros(1);

/// A job that has something in the window.
#[derive(Clone, Debug)]
pub struct JobFacts {
    pub id: JobId,
    pub label: JobLabel,
    /// For a document; a picture has none.
    pub runs: Vec<TimelineRun>,
    pub bars: Vec<Bar>,
    /// Ascending, after now.
    pub coming: Vec<Timestamp>,
}

impl JobFacts {
    pub fn most_at_once(&self, window: &Window) -> u32 {
        most_at_once(&self.bars, window)
    }
}

/// A line of the picture.
#[derive(Clone, Debug)]
pub struct Line {
    /// `None`: it is of several jobs.
    pub id: Option<JobId>,
    pub label: String,
    pub bars: Vec<Bar>,
    pub coming: Vec<Timestamp>,
    pub most_at_once: u32,
}

/// All that a picture shows.
#[derive(Clone, Debug)]
pub struct Picture {
    pub window: Window,
    pub lines: Vec<Line>,
    pub load: Load,
    /// How many runs and fires there are of each kind; of the coming ones, how many are shown.
    pub counts: BTreeMap<Kind, u64>,
}

impl Picture {
    pub fn new(window: Window, lines: Vec<Line>) -> Self {
        let load = load(lines.iter().flat_map(|line| &line.bars), &window);
        let mut counts = BTreeMap::new();
        for bar in lines.iter().flat_map(|line| &line.bars) {
            *counts.entry(bar.kind).or_default() += bar.count;
        }
        let coming: usize = lines.iter().map(|line| line.coming.len()).sum();
        if coming > 0 {
            counts.insert(Kind::Coming, coming as u64);
        }
        Self { window, lines, load, counts }
    }
}

/// Returns the parts of a run, whether in a window or not.
fn bars_of(run: &TimelineRun, now: Timestamp, add: &mut impl FnMut(Bar)) {
    let mut waits_from = run.queued_at;
    let mut attempt =
        |number, outcome: Option<Outcome>, started_at: Option<Timestamp>, ended: Option<Timestamp>| {
            let running = if run.unattended { Kind::Unattended } else { Kind::Running };
            let kind = outcome.map_or(running, Kind::of);
            let mut add = |from, to, kind, count| {
                add(Bar { from, to, kind, count, run: Some(run.run), attempt: number });
            };
            match (started_at, outcome) {
                (Some(from), _) => {
                    if waits_from < from {
                        add(waits_from, from, Kind::Waiting, 0);
                    }
                    let to = ended.unwrap_or(now);
                    add(from, to.max(from + SHORTEST), kind, 1);
                }
                (None, Some(outcome)) => {
                    let is_fire_alone = matches!(outcome, Outcome::Missed | Outcome::Skipped);
                    let at = ended.filter(|_| !is_fire_alone).unwrap_or(run.scheduled_at);
                    add(at, at, kind, run.fires);
                }
                // A clock that was set back may show less than the time of the queueing.
                (None, None) => add(waits_from, now.max(waits_from + SHORTEST), Kind::Waiting, 1),
            }
            waits_from = ended.unwrap_or(now);
        };
    for earlier in &run.earlier {
        attempt(earlier.number, Some(earlier.outcome), earlier.started_at, Some(earlier.finished_at));
    }
    attempt(run.attempt, run.outcome, run.started_at, run.finished_at);
}

/// Passes the parts of a run that are in the window to `add`, without waits that are over and too short to be
/// seen, also if the window is made shorter to fit.
pub fn each_bar(run: &TimelineRun, window: &Window, mut add: impl FnMut(Bar)) {
    let finest = window.until.since(window.since).as_micros() / FINEST;
    let seen = finest.min(WAIT_MIN.as_micros());
    bars_of(run, window.now, &mut |bar| {
        let is_seen = bar.count > 0 || bar.to.since(bar.from).as_micros() >= seen;
        if is_seen && bar.is_in(window) {
            add(bar);
        }
    });
}

/// Returns the wait of the indices of an array, if it is in the window.
pub fn bar_of_indices(indices: &WaitingIndices, window: &Window) -> Option<Bar> {
    let (from, to) = (indices.queued_at, window.now.max(indices.queued_at + SHORTEST));
    let bar = Bar { from, to, kind: Kind::Waiting, count: indices.count, run: None, attempt: 1 };
    bar.is_in(window).then_some(bar)
}

/// Returns the first instant of these bars in the window; waiting alone does not count.
pub fn first_instant<'a>(bars: impl Iterator<Item = &'a Bar>, window: &Window) -> Option<Timestamp> {
    bars.filter(|bar| bar.kind != Kind::Waiting).map(|bar| bar.from.max(window.since)).min()
}

/// Returns the lines of these jobs, which are sorted by their ids.
pub fn lines(jobs: Vec<JobFacts>, window: &Window) -> Vec<Line> {
    let mut lines =
        if jobs.len() > LINES_MAX { shared_lines(jobs) } else { jobs.into_iter().map(line).collect() };
    for line in &mut lines {
        line.most_at_once = most_at_once(&line.bars, window);
    }
    lines
}

fn line(job: JobFacts) -> Line {
    let label = job.label.name.unwrap_or_else(|| shown::command(&job.label.command));
    Line { id: Some(job.id), label, bars: job.bars, coming: job.coming, most_at_once: 0 }
}

/// Returns a line for each job with a name, and one for all jobs without a name that have the same command.
fn shared_lines(jobs: Vec<JobFacts>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    // By command, the index of the line and the number of its jobs.
    let mut shared: HashMap<String, (usize, usize)> = HashMap::new();
    // Neighbours often have the same command. It is made a text once.
    let mut latest: Option<(CommandLine, String)> = None;
    for mut job in jobs {
        if job.label.name.is_some() {
            lines.push(line(job));
            continue;
        }
        let text = match &latest {
            Some((command, text)) if *command == job.label.command => text,
            _ => {
                let text = shown::command(&job.label.command);
                &latest.insert((job.label.command.clone(), text)).1
            }
        };
        if let Some((index, jobs)) = shared.get_mut(text) {
            *jobs += 1;
            lines[*index].bars.append(&mut job.bars);
            lines[*index].coming.append(&mut job.coming);
        } else {
            shared.insert(text.clone(), (lines.len(), 1));
            lines.push(line(job));
        }
    }
    for (command, (index, jobs)) in shared.into_iter().filter(|(_, (_, jobs))| *jobs > 1) {
        (lines[index].id, lines[index].label) = (None, format!("{jobs} × {command}"));
        lines[index].coming.sort_unstable();
    }
    lines
}
