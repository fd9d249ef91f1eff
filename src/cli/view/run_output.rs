//! Owns: printing the output of a run from its file or the store, and following it while it grows.
//! Never: changing a byte of it.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use super::ending::{Ended, attempt_ending, conclude};
use super::stamper::Stamper;
use super::tail::tail_start;
use crate::cli::context::Context;
use crate::cli::waiting::{Left, Waiting};
use crate::domain::{Indices, JobId, RunId, RunState, Timestamp};
use crate::error::{Error, Result as TaskResult};
use crate::keeper::protocol::Attempt;
use crate::keeper::{LOG_DIRECTORY, OutputTimes, OutputView, growing_path, output_path, read_times};
use crate::schedule::Zone;
use crate::store::{AttemptView, Reader, RunView, StoreResult};

/// What `--follow` does, for errors.
pub const FOLLOW: &str = "follow log";

const CHUNK_BYTES: usize = 64 * 1024;

/// How an output is printed.
#[derive(Clone, Debug, Default)]
pub struct Style {
    /// Begin with so many of the last lines; `None`: with the first.
    pub tail: Option<u32>,
    /// Begin each line with its time in this zone.
    pub zone: Option<Zone>,
}

/// What the run log has of the output of an attempt.
#[derive(Debug, Default)]
pub struct Kept {
    /// The output, if it is not in files.
    data: Option<Vec<u8>>,
    times: Option<Vec<u8>>,
    started_at: Option<Timestamp>,
}

impl Kept {
    pub fn read(reader: &Reader<'_>, run: RunId, number: u32, with_times: bool) -> StoreResult<Self> {
        let data = reader.output(run, number)?;
        if !with_times {
            return Ok(Self { data, ..Self::default() });
        }
        let attempts = reader.run(run)?.map_or(Ok(Vec::new()), |view| reader.attempts(&view))?;
        let attempt = attempts.iter().find(|attempt| attempt.number == number);
        let started_at = attempt.and_then(|attempt| attempt.started_at);
        Ok(Self { data, times: reader.output_times(run, number)?, started_at })
    }
}

/// Prints the present output of an attempt, and tells whether it is empty.
pub fn print(context: &Context<'_>, attempt: Attempt, kept: Kept, style: &Style) -> TaskResult<bool> {
    let mut source = RunOutput::new(context, attempt, style.tail, style.zone.clone());
    source.kept = kept;
    Ok(!source.print(context)?)
}

/// Returns a message about a run without its output.
pub fn pruned_text(run: RunId) -> String {
    format!("run {run}: its output was pruned")
}

/// Prints a run's output until it ends, from its latest attempt on, and returns its status.
pub fn follow(context: &Context<'_>, mut waiting: Waiting<'_>, run: RunId, style: &Style) -> TaskResult<u8> {
    let mut followed: Option<RunOutput> = None;
    loop {
        let number = followed.as_ref().map(|source| source.attempt.number);
        // Read the state before the output: the output of an attempt that is seen as over is then complete.
        let with_times = style.zone.is_some();
        let seen = waiting.read(|reader| look(reader, run, number, with_times))?;
        let Some(Seen { view, number, ended, kept }) = seen else {
            return Err(Error::not_found(FOLLOW, format!("run `{run}` was removed")));
        };
        let finished = view.state == RunState::Finished;
        let source = followed.get_or_insert_with(|| {
            RunOutput::new(context, Attempt::of_run(run, number), style.tail, style.zone.clone())
        });
        source.kept = kept;
        if !finished && ended.is_none() {
            // A commit in between may have moved it into the run log; it is complete at the next look.
            source.kept.data = None;

            // Follow before reading, so that no write in between is missed. A run that the store calls
            // queued may have begun: the daemon may die before it commits the start.
            while waiting.follow(&source.growing_path()) {}
        }
        if view.output_pruned {
            context.output.talk(&pruned_text(run));
        }
        source.print(context)?;
        if let Some(ended) = ended.filter(|_| number < view.attempt) {
            context.output.talk(&attempt_ending(&view, &ended, context.now()));
            let next = Attempt::of_run(run, number + 1);
            followed = Some(RunOutput::new(context, next, None, style.zone.clone()));
            continue;
        }
        if finished {
            return Ok(conclude(context, &[Ended::Run(Box::new(view))]));
        }
        if context.output.is_closed() {
            return Ok(0);
        }
        waiting.need_daemon()?;
        waiting.wait()?;
    }
}

/// Prints the outputs of these indices of an array, one after the other as each ends, and returns 0 if all
/// succeeded, else 1.
pub fn follow_indices(
    context: &Context<'_>,
    job: JobId,
    (first, last): (u32, u32),
    style: &Style,
) -> TaskResult<u8> {
    let mut waiting = Waiting::new(context, FOLLOW, None)?;
    let array = waiting.read(|reader| Ok(reader.job(job)?.definition.array))?;
    let mut status = 0;
    let indices = array.and_then(|array| array.indices.within(first, last));
    for index in indices.iter().flat_map(Indices::iter) {
        let run = waiting.until(|reader| {
            Ok(match reader.runs_of_indices(job, index, index)?.pop() {
                Some((_, run)) => Left::Nothing(Some(run)),
                None if reader.has_rest_within(job, index, index)? => Left::Runs(1),
                None => Left::Nothing(None),
            })
        })?;
        if let Some(run) = run.flatten() {
            let followed = follow(context, Waiting::new(context, FOLLOW, None)?, run, style)?;
            status |= u8::from(followed != 0);
        }
        if context.output.is_closed() {
            break;
        }
    }
    Ok(status)
}

/// A run that is followed, and one of its attempts.
struct Seen {
    view: RunView,
    number: u32,
    /// The attempt, if it has ended.
    ended: Option<AttemptView>,
    kept: Kept,
}

/// Reads an attempt of a run; `None`: the latest one.
fn look(reader: &Reader<'_>, run: RunId, number: Option<u32>, with_times: bool) -> StoreResult<Option<Seen>> {
    let Some(view) = reader.run(run)? else { return Ok(None) };
    let number = number.unwrap_or_else(|| view.last_begun());
    let attempts = reader.attempts(&view)?.into_iter();
    let ended = attempts.filter(|attempt| attempt.finished_at.is_some()).find(|ended| ended.number == number);
    Ok(Some(Seen { kept: Kept::read(reader, run, number, with_times)?, view, number, ended }))
}

/// The output of an attempt: in files while it runs or if it is long, else in the store.
struct RunOutput {
    attempt: Attempt,
    log_dir: PathBuf,
    kept: Kept,
    /// What is printed next.
    from: From,
    stamper: Option<Stamper>,
}

/// The first bytes that are printed next.
#[derive(Clone, Copy)]
enum From {
    /// The last lines, or all.
    Lines(Option<u32>),
    /// Those from this place in the output on.
    Place(u64),
}

impl RunOutput {
    fn new(context: &Context<'_>, attempt: Attempt, lines: Option<u32>, zone: Option<Zone>) -> Self {
        let log_dir = context.dir.join(LOG_DIRECTORY);
        let stamper = zone.map(Stamper::new);
        Self { attempt, log_dir, kept: Kept::default(), from: From::Lines(lines), stamper }
    }

    /// Returns the file that the next byte goes into.
    fn growing_path(&self) -> PathBuf {
        growing_path(&self.log_dir, self.attempt.stdout())
    }

    /// Prints what was not printed, and returns whether there was something.
    fn print(&mut self, context: &Context<'_>) -> TaskResult<bool> {
        if let Some(stamper) = &mut self.stamper {
            let stored = self.kept.times.clone().or_else(|| read_times(&self.log_dir, self.attempt.stdout()));
            stamper.times = OutputTimes::of(&stored.unwrap_or_default());
            // Of a run that is followed, the start may not be committed yet. It was just now.
            stamper.started_at = self.kept.started_at.or(Some(context.now()));
        }
        if let Some(bytes) = &self.kept.data {
            let start = match self.from {
                From::Lines(Some(lines)) => {
                    tail_start(&mut io::Cursor::new(bytes), lines).expect("it is in memory")
                }
                From::Lines(None) => 0,
                From::Place(place) => place,
            };
            self.from = From::Place(bytes.len() as u64);
            let start = usize::try_from(start).unwrap_or(usize::MAX).min(bytes.len());
            match &mut self.stamper {
                Some(stamper) => {
                    context.output.answer_bytes(&stamper.stamp(start as u64, &bytes[start..]))?;
                }
                None => context.output.answer_bytes(&bytes[start..])?,
            }
            return Ok(!bytes.is_empty());
        }
        let printed = self.open().and_then(|view| match view {
            Some(mut view) => {
                let is_empty = view.length() == 0;
                if let From::Lines(Some(lines)) = self.from {
                    let start = tail_start(&mut view, lines)?;
                    view.seek(SeekFrom::Start(start))?;
                }
                view.guard();
                self.from = From::Place(view.end());
                Ok((Some(view), is_empty))
            }
            None => Ok((None, true)),
        });
        let (view, is_empty) = printed.map_err(|error| self.failure(&error))?;
        let Some(mut view) = view else { return Ok(false) };
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let place = view.place();
            let length = view.read(&mut chunk).map_err(|error| self.failure(&error))?;
            match &mut self.stamper {
                _ if length == 0 => return Ok(!is_empty),
                Some(stamper) => context.output.answer_bytes(&stamper.stamp(place, &chunk[..length]))?,
                None => context.output.answer_bytes(&chunk[..length])?,
            }
        }
    }

    fn open(&self) -> io::Result<Option<OutputView>> {
        match self.from {
            From::Lines(_) => OutputView::open(&self.log_dir, self.attempt.stdout()),
            From::Place(place) => OutputView::open_from(&self.log_dir, self.attempt.stdout(), place),
        }
    }

    fn failure(&self, error: &io::Error) -> Error {
        let path = output_path(&self.log_dir, self.attempt.stdout());
        Error::io(format!("read `{}`", path.display()), error)
    }
}
