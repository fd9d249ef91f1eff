//! Owns: what a live view shows, read from the store at one instant.
//! Never: what of it has room on the screen.

use std::collections::HashMap;
use std::path::Path;

use crate::cli::view::coming::next_run;
use crate::cli::view::when::when_text;
use crate::daemon::{DaemonInfo, default_slots_of, running_daemon};
use crate::domain::{CommandLine, JobId, Span, Timestamp};
use crate::store::{LiveFilter, LiveJob, LiveWaiting, QueueView, Reader, RunView, StoreResult};

/// More rows of a kind than anyone scrolls through; a filter finds the others.
pub const ROWS_MAX: usize = 500;

/// Everything in a live view, as it was at one instant.
#[derive(Debug, Default)]
pub struct Facts {
    pub daemon: Option<DaemonInfo>,
    pub default_slots: usize,
    pub jobs: usize,
    pub queues: Vec<QueueView>,
    pub running: Vec<Running>,
    pub waiting: Vec<LiveWaiting>,
    pub coming: Vec<Coming>,
    pub ended: Vec<Ended>,
}

/// A running run.
#[derive(Debug)]
pub struct Running {
    pub job: LiveJob,
    pub run: RunView,
    /// How long such a run takes, if that is known.
    pub expected: Option<Span>,
}

/// A job, and when it fires next.
#[derive(Debug)]
pub struct Coming {
    pub job: LiveJob,
    pub fires: Fires,
}

/// When a job fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fires {
    At(Timestamp),
    Paused,
    /// At an event, or after the end of a run: in words.
    When(String),
}

/// A run that has ended.
#[derive(Debug)]
pub struct Ended {
    pub job: LiveJob,
    pub run: RunView,
}

/// What a filter names: jobs by a part of their name or their command, whatever the case, or by their id.
#[derive(Debug)]
pub struct Filter {
    id: Option<JobId>,
    /// In small letters.
    text: Vec<u8>,
}

impl Filter {
    pub fn new(text: &str) -> Self {
        Self { id: text.parse().ok().map(JobId), text: text.as_bytes().to_ascii_lowercase() }
    }

    /// Tells whether it names this job. An empty filter names all.
    pub fn names(&self, job: &LiveJob) -> bool {
        let has = |bytes: &[u8]| {
            let is_same = |part: &[u8]| part.eq_ignore_ascii_case(&self.text);
            bytes.windows(self.text.len()).any(is_same)
        };
        self.text.is_empty()
            || self.id == Some(job.id)
            || job.name.as_deref().is_some_and(|name| has(name.as_bytes()))
            || match &job.command {
                CommandLine::Argv(argv) => has(&argv.join(&b' ')),
                CommandLine::Script(script) => has(script),
                CommandLine::Sealed => false,
            }
    }
}

impl Facts {
    /// Reads what the store has of the jobs that `filter` names.
    pub fn read(reader: &Reader<'_>, dir: &Path, filter: &str) -> StoreResult<Self> {
        let filter = Filter::new(filter);
        let wants = |job: &LiveJob| filter.names(job);
        let filter = LiveFilter { wants: &wants, rows_max: ROWS_MAX };
        let daemon = running_daemon(dir);
        Ok(Self {
            default_slots: default_slots_of(daemon.as_ref()),
            daemon,
            jobs: reader.count_living_jobs()?,
            queues: reader.queues()?,
            running: running(reader, filter)?,
            waiting: reader.live_waiting(filter)?,
            coming: coming(reader, filter)?,
            ended: reader.live_ended(filter)?.into_iter().map(|(job, run)| Ended { job, run }).collect(),
        })
    }

    pub fn has_daemon(&self) -> bool {
        self.daemon.is_some()
    }
}

fn running(reader: &Reader<'_>, filter: LiveFilter<'_>) -> StoreResult<Vec<Running>> {
    let mut expected: HashMap<JobId, Option<Span>> = HashMap::new();
    let mut rows = Vec::new();
    for (job, run) in reader.live_running(filter)? {
        let expected = match expected.get(&job.id) {
            Some(known) => *known,
            None => *expected.entry(job.id).or_insert(reader.expected_of(job.id)?),
        };
        rows.push(Running { job, run, expected });
    }
    Ok(rows)
}

/// Returns the coming fires in their order, then the jobs that have none.
fn coming(reader: &Reader<'_>, filter: LiveFilter<'_>) -> StoreResult<Vec<Coming>> {
    let mut fires = Vec::new();
    for fire in reader.live_coming(filter)? {
        // Of a job that passes fires over, another one is the next that runs.
        let at = match fire.job.has_nth {
            true => next_run(&reader.job(fire.job.id)?).map_or(fire.at, |(at, _)| at),
            false => fire.at,
        };
        fires.push((at, fire.job));
    }
    fires.sort_by_key(|(at, _)| *at);
    let mut rows: Vec<Coming> =
        fires.into_iter().map(|(at, job)| Coming { job, fires: Fires::At(at) }).collect();
    let rows_max = ROWS_MAX.saturating_sub(rows.len());
    for job in reader.live_timeless(LiveFilter { rows_max, ..filter })? {
        let fires = if job.is_paused { Fires::Paused } else { Fires::When(words(reader, job.id)?) };
        rows.push(Coming { job, fires });
    }
    Ok(rows)
}

/// Returns when a job without a coming instant fires.
fn words(reader: &Reader<'_>, job: JobId) -> StoreResult<String> {
    let triggers = reader.listening_triggers(&[job])?;
    let when = triggers.iter().find_map(|(_, trigger)| trigger.spec.event().map(when_text));
    Ok(when.unwrap_or_else(|| "after a run".to_owned()))
}
