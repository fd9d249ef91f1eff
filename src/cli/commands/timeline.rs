//! Owns: `taskq timeline`.
//! Never: the layout of the picture (see `view::timeline`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::context::{Context, Failure, parse_failure};
use crate::cli::target::find_job;
use crate::cli::view::coming::fires_until;
use crate::cli::view::json::document;
use crate::cli::view::timeline::{
    Bar, JobFacts, Picture, TextError, TimelineJson, Window, bar_of_indices, each_bar, first_instant, lines,
    svg, text,
};
use crate::cli::view::times::Times;
use crate::cli::zone::system_zone;
use crate::domain::{JobId, Span, Timestamp};
use crate::error::{Error, Result};
use crate::schedule::{Zone, parse_instant, parse_since};
use crate::store::{Reader, TimelineFilter, TimelineRun};

pub const WHAT: &str = "draw timeline";

/// The time before now that is shown if none is given.
const USUAL_PAST: Span = Span::from_seconds(86_400);

/// The shortest past time that is shown if none is given.
const PAST_MIN: Span = Span::from_seconds(60);

/// The coming time is so many times shorter than the past.
const PAST_TO_COMING: u64 = 4;

/// Show runs as blocks along a time axis
///
/// Each job that has something to show has a line: its runs as blocks, signs
/// for those that did not succeed, and its coming fires on the right of the
/// line for now. The line below has the number of runs at once. A job with
/// several runs at once has bars by their number, and MOST says how many.
///
/// Without --since, the picture begins 24 hours ago, or with the first run
/// since then. Without --until, it goes on for a quarter of the past time.
///
/// A run that began long before the picture is found if it is still running, or
/// is among the 50,000 runs before the picture.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq timeline
  taskq timeline backup sync --since 7d
  taskq timeline --since '09:00 today' --until '18:00 today'
  taskq timeline --since 3d --svg runs.svg"
)]
pub struct TimelineArgs {
    /// Only these jobs, by id or name
    #[arg(value_name = "JOB")]
    pub jobs: Vec<String>,

    /// Begin at TIME, or SPAN ago; default: 24 hours ago
    #[arg(long, value_name = "TIME|SPAN", allow_hyphen_values = true)]
    pub since: Option<String>,

    /// End at TIME; default: some time after now
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,

    /// Write the picture to FILE as SVG; `-` prints it
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with = "json")]
    pub svg: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(context: &Context<'_>, args: &TimelineArgs) -> Result<u8> {
    let (zone, _) = context.zone(WHAT)?;
    let now = context.now();
    let asked = Asked::read(args, now, &zone)?;
    let (window, jobs) = context.read(WHAT, |reader| facts(reader, &args.jobs, &asked, args.json))?;
    let times = Times { zone: &zone, now, are_whole: false };
    if args.json {
        let picture = Picture::new(window, lines(jobs.clone(), &window));
        context.output.json(&document(TimelineJson::new(&picture, &jobs)))?;
        return Ok(0);
    }
    let picture = Picture::new(window, lines(jobs, &window));
    if let Some(path) = &args.svg {
        return print_svg(context, path, &svg(&picture, &times)).map(|()| 0);
    }
    if picture.lines.is_empty() {
        context.output.explain_empty("no runs and no coming fires in this time; see `--since` and `--until`");
        return Ok(0);
    }
    let drawn = text(&picture, &times, context.output.streams().width);
    context.output.answer(&drawn.map_err(|error| too_narrow(context, error))?)?;
    Ok(0)
}

fn too_narrow(context: &Context<'_>, TextError::Narrow(least): TextError) -> Error {
    let width = context.output.streams().width.unwrap_or(0);
    Error::conflict(WHAT, format!("the terminal has {width} columns, of which {least} are needed"))
        .hint("make it wider, or write the picture to a file with `--svg FILE`")
}

/// The window as it was asked for.
struct Asked {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    now: Timestamp,
}

impl Asked {
    fn read(args: &TimelineArgs, now: Timestamp, zone: &Zone) -> Result<Self> {
        let failure = |error| parse_failure(WHAT, error);
        let since = args.since.as_ref().map(|text| parse_since(text, now, zone)).transpose();
        let until = args.until.as_ref().map(|text| parse_instant(text, now, zone)).transpose();
        let asked = Self { since: since.map_err(failure)?, until: until.map_err(failure)?, now };
        let window = asked.widest();
        if window.since >= window.until {
            let (since, until) = (zone.show(window.since), zone.show(window.until));
            let cause = format!("it would end at {until}, which is not after its beginning, {since}");
            return Err(Error::usage(WHAT, cause).hint("give a `--since` that is before `--until`"));
        }
        Ok(asked)
    }

    /// Returns the longest window that may be shown.
    fn widest(&self) -> Window {
        let usual = self.until.map_or(self.now, |until| until.min(self.now)) - USUAL_PAST;
        let since = self.since.unwrap_or(usual);
        Window { since, until: self.until.unwrap_or_else(|| self.end(since)), now: self.now }
    }

    /// Returns the end of a window without an `--until`.
    fn end(&self, since: Timestamp) -> Timestamp {
        if since >= self.now {
            return since + USUAL_PAST;
        }
        let coming = self.now.since(since).as_micros() / PAST_TO_COMING;
        self.now + Span::from_micros(coming)
    }

    /// Returns the window that is shown, if the first run in the widest one is at `first`.
    fn fitted(&self, first: Option<Timestamp>) -> Window {
        let widest = self.widest();
        if self.since.is_some() {
            return widest;
        }
        let end = self.until.map_or(self.now, |until| until.min(self.now));
        let full_second = |at: Timestamp| Timestamp::from_seconds(at.as_seconds());
        // Where nothing has run, only the coming fires are left.
        let since = match first {
            Some(first) => full_second(first.min(end - PAST_MIN)).max(widest.since),
            None if self.now < widest.until => self.now,
            None => widest.since,
        };
        Window { since, until: self.until.unwrap_or_else(|| self.end(since)), ..widest }
    }
}

/// Reads what the picture shows, and fits the window to it. The jobs are sorted by their ids, and have their
/// runs only if `has_runs`.
fn facts(
    reader: &Reader<'_>,
    names: &[String],
    asked: &Asked,
    has_runs: bool,
) -> Result<(Window, Vec<JobFacts>), Failure> {
    let named: Result<BTreeSet<JobId>, Failure> =
        names.iter().map(|job| find_job(reader, "draw timeline of", job)).collect();
    let named: Vec<JobId> = named?.into_iter().collect();
    let widest = asked.widest();
    let mut jobs = parts(reader, &named, &widest, has_runs)?;
    let window = asked.fitted(first_instant(jobs.values().flat_map(|parts| &parts.bars), &widest));
    jobs.retain(|_, parts| {
        parts.bars.retain(|bar| bar.is_in(&window));
        !parts.bars.is_empty()
    });
    for (job, fires) in coming(reader, &named, &window)? {
        jobs.entry(job).or_default().coming = fires;
    }
    let ids: Vec<JobId> = jobs.keys().copied().collect();
    let labels = reader.job_labels(&ids)?;
    let whole = |(id, label)| {
        let JobParts { mut runs, bars, coming } = jobs.remove(&id).unwrap_or_default();
        runs.sort_by_cached_key(|run| run.run);
        JobFacts { id, label, runs, bars, coming }
    };
    Ok((window, labels.into_iter().map(whole).collect()))
}

/// What a job has in a window.
#[derive(Default)]
struct JobParts {
    runs: Vec<TimelineRun>,
    bars: Vec<Bar>,
    coming: Vec<Timestamp>,
}

/// Reads the jobs that have runs, or indices without a run, in the window.
fn parts(
    reader: &Reader<'_>,
    named: &[JobId],
    window: &Window,
    has_runs: bool,
) -> Result<BTreeMap<JobId, JobParts>, Failure> {
    let Window { since, until, now } = *window;
    let mut jobs: BTreeMap<JobId, JobParts> = BTreeMap::new();
    reader.timeline(&TimelineFilter { since, until, now, jobs: named }, |run| {
        let mut is_seen = false;
        each_bar(&run, window, |bar| {
            is_seen = true;
            // Most jobs of a long list have one run.
            let new = || JobParts { bars: Vec::with_capacity(1), ..JobParts::default() };
            jobs.entry(run.run.job).or_insert_with(new).bars.push(bar);
        });
        if has_runs && is_seen {
            jobs.entry(run.run.job).or_default().runs.push(run);
        }
    })?;
    // The latest run comes first.
    jobs.values_mut().for_each(|parts| parts.bars.reverse());
    for indices in reader.waiting_indices()? {
        let is_named = named.is_empty() || named.contains(&indices.job);
        if let Some(bar) = bar_of_indices(&indices, window).filter(|_| is_named) {
            jobs.entry(indices.job).or_default().bars.push(bar);
        }
    }
    Ok(jobs)
}

/// Returns the jobs with coming fires in the window.
fn coming(
    reader: &Reader<'_>,
    named: &[JobId],
    window: &Window,
) -> Result<Vec<(JobId, Vec<Timestamp>)>, Failure> {
    let Window { since, until, now } = *window;
    if until <= now {
        return Ok(Vec::new());
    }
    let triggers = reader.next_triggers(named, None)?;
    let fires_soon = triggers.into_iter().filter(|(_, trigger)| trigger.next_at.is_some_and(|at| at < until));
    let jobs: BTreeSet<JobId> = fires_soon.map(|(job, _)| job).collect();
    let system_zone = system_zone().0;
    let mut coming = Vec::new();
    for job in jobs {
        let mut fires = fires_until(&reader.job(job)?, now, until, &system_zone);
        fires.retain(|at| *at >= since);
        if !fires.is_empty() {
            coming.push((job, fires));
        }
    }
    Ok(coming)
}

/// Prints the picture, or writes it to a file: whole, or not at all.
fn print_svg(context: &Context<'_>, path: &Path, picture: &str) -> Result<()> {
    if path == Path::new("-") {
        return context.output.answer(picture);
    }
    let what = || format!("write `{}`", path.display());
    write_whole(path, picture.as_bytes()).map_err(|error| Error::io(what(), &error))?;
    context.output.confirm(&format!("wrote `{}`", path.display()));
    Ok(())
}

/// Writes a file beside its name and renames it, so that a full disk leaves what was there. What is not a
/// file, such as a terminal or a pipe, is written to.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return OpenOptions::new().write(true).open(path)?.write_all(bytes);
    }
    // A link stays a link.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut aside = target.clone().into_os_string();
    aside.push(format!(".{}.new", std::process::id()));
    let written = fs::write(&aside, bytes).and_then(|()| fs::rename(&aside, &target));
    if written.is_err() {
        // That it was never made is the error already.
        let _gone = fs::remove_file(&aside);
    }
    written
}
