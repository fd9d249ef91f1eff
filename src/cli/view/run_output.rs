//! Owns: printing the output of a run from its file or the store, and following it while it grows.
//! Never: changing a byte of it.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use super::ending::{Ended, attempt_ending, conclude};
use super::stamper::Stamper;
use super::tail::tail_start;
use crate::cli::context::Context;
use crate::cli::waiting::{Left, Waiting};
use crate::domain::{Indices, JobId, OutputKind, RunId, RunState, Timestamp};
use crate::error::{Error, Result as TaskResult};
use crate::keeper::protocol::Attempt;
use crate::keeper::{LogDirectory, OutputId, OutputTimes, OutputView, growing_path, output_path, read_times};
use crate::schedule::Zone;
use crate::store::{AttemptView, Reader, RunView, StoreResult};

/// What `--follow` does, for errors.
pub const FOLLOW: &str = "follow log";

/// Why there is no standard error to show.
pub const NOT_SPLIT: &str = "it ran without `--split-output`";

const CHUNK_BYTES: usize = 64 * 1024;

/// The outputs of a run that are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outputs {
    /// The standard output, and the standard error if that is not apart.
    #[default]
    Stdout,
    /// The standard error, of a run of which it is apart.
    Stderr,
    /// The standard output, and on the standard error of this command the one of the run, if that is apart.
    Both,
}

impl Outputs {
    /// Returns the output that is the answer.
    pub fn answer(self) -> OutputKind {
        match self {
            Self::Stdout | Self::Both => OutputKind::Stdout,
            Self::Stderr => OutputKind::Stderr,
        }
    }
}

/// How an output is printed.
#[derive(Clone, Debug, Default)]
pub struct Style {
    pub outputs: Outputs,
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
    pub fn read(
        reader: &Reader<'_>,
        run: RunId,
        number: u32,
        kind: OutputKind,
        with_times: bool,
    ) -> StoreResult<Self> {
        let data = reader.output(run, number, kind)?;
        if !with_times {
            return Ok(Self { data, ..Self::default() });
        }
        let attempt = reader.run(run)?.map_or(Ok(None), |view| reader.attempt(&view, number))?;
        let started_at = attempt.and_then(|attempt| attempt.started_at);
        Ok(Self { data, times: reader.output_times(run, number, kind)?, started_at })
    }
}

/// Prints the present output of an attempt, and tells whether it is empty.
pub fn print(context: &Context<'_>, attempt: Attempt, kept: Kept, style: &Style) -> TaskResult<bool> {
    let mut source = RunOutput::new(context, attempt.output(style.outputs.answer()), style.tail, style);
    source.kept = kept;
    Ok(!source.print(context)?)
}

/// Returns the error for a standard error that is not apart.
pub fn not_split(verb: &str, run: RunId) -> Error {
    Error::not_found(format!("{verb} standard error of run `{run}`"), NOT_SPLIT)
        .hint(format!("see standard output and standard error together with `taskq log {run}`"))
}

/// Tells a person about the standard error of an attempt whose standard output is empty.
pub fn point_to_stderr(context: &Context<'_>, view: &RunView, attempt: &AttemptView) {
    if !attempt.is_split {
        return;
    }
    let output = Attempt::of_run(view.run, attempt.number).stderr();
    let in_file = || {
        let found = OutputView::open(&context.log_directory(), output).ok().flatten();
        found.map_or(0, |found| found.length().cast_signed())
    };
    if attempt.stderr_bytes.unwrap_or_else(in_file) > 0 {
        let number = match attempt.number {
            number if number == view.last_begun() => String::new(),
            number => format!(" --attempt {number}"),
        };
        let run = view.run;
        context.output.explain_empty(&format!(
            "note: run {run} wrote to standard error alone; see `taskq log {run} --stderr{number}`"
        ));
    }
}

/// Returns a message about a run without its output.
pub fn pruned_text(run: RunId) -> String {
    format!("run {run}: its output was pruned")
}

/// Prints a run's output until it ends, from its latest attempt on, and returns its status.
pub fn follow(context: &Context<'_>, mut waiting: Waiting<'_>, run: RunId, style: &Style) -> TaskResult<u8> {
    let mut followed = Followed::default();
    let mut tail = style.tail;
    loop {
        // Read the state before the output: the output of an attempt that is seen as over is then complete.
        let seen = waiting.read(|reader| look(reader, run, followed.number, style))?;
        let Some(Seen { view, number, attempt, kept }) = seen else {
            return Err(Error::not_found(FOLLOW, format!("run `{run}` was removed")));
        };
        if style.outputs == Outputs::Stderr && attempt.as_ref().is_some_and(|attempt| !attempt.is_split) {
            return Err(not_split("follow", run));
        }
        let finished = view.state == RunState::Finished;
        let ended = attempt.as_ref().filter(|attempt| attempt.finished_at.is_some());
        followed.number = Some(number);
        for (kind, kept) in kept {
            let output = Attempt::of_run(run, number).output(kind);
            followed.source(output, || RunOutput::new(context, output, tail, style)).kept = kept;
        }
        if !finished && ended.is_none() {
            // A commit in between may have moved them into the run log; they are complete at the next look.
            followed.sources.iter_mut().for_each(|source| source.kept.data = None);

            // Follow before reading, so that no write in between is missed. A run that the store calls
            // queued may have begun: the daemon may die before it commits the start.
            while waiting.follow(&followed.growing_paths()) {}
        }
        if view.output_pruned {
            context.output.talk(&pruned_text(run));
        }
        for source in &mut followed.sources {
            followed.is_empty &= !source.print(context)?;
        }
        if let Some(ended) = ended.filter(|_| number < view.attempt) {
            context.output.talk(&attempt_ending(&view, ended, context.now()));
            followed = Followed { number: Some(number + 1), ..Followed::default() };
            tail = None;
            continue;
        }
        if finished {
            if let Some(attempt) = attempt.filter(|_| followed.is_empty) {
                point_to_stderr(context, &view, &attempt);
            }
            return Ok(conclude(context, &[Ended::Run(Box::new(view))]));
        }
        if context.output.is_closed() {
            return Ok(0);
        }
        waiting.need_daemon()?;
        waiting.wait()?;
    }
}

/// The attempt that is followed.
struct Followed {
    /// `None`: the latest one.
    number: Option<u32>,
    sources: Vec<RunOutput>,
    /// It has had no output yet.
    is_empty: bool,
}

impl Default for Followed {
    fn default() -> Self {
        Self { number: None, sources: Vec::new(), is_empty: true }
    }
}

impl Followed {
    /// Returns the source for an output. The first one that is asked for is the first that is printed.
    fn source(&mut self, output: OutputId, make: impl FnOnce() -> RunOutput) -> &mut RunOutput {
        let place = self.sources.iter().position(|source| source.output == output);
        let place = place.unwrap_or_else(|| {
            self.sources.push(make());
            self.sources.len() - 1
        });
        &mut self.sources[place]
    }

    /// Returns the files that the next bytes go into.
    fn growing_paths(&self) -> Vec<PathBuf> {
        self.sources.iter().map(|source| growing_path(&source.log_dir, source.output)).collect()
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
    /// The attempt, if it has begun.
    attempt: Option<AttemptView>,
    kept: Vec<(OutputKind, Kept)>,
}

/// Reads an attempt of a run; `None`: the latest one.
fn look(reader: &Reader<'_>, run: RunId, number: Option<u32>, style: &Style) -> StoreResult<Option<Seen>> {
    let Some(view) = reader.run(run)? else { return Ok(None) };
    let number = number.unwrap_or_else(|| view.last_begun());
    let attempt = reader.attempt(&view, number)?;
    let mut kinds = vec![style.outputs.answer()];
    // It is known from the claim on.
    let is_split = attempt.as_ref().map_or(view.is_split, |attempt| attempt.is_split);
    if style.outputs == Outputs::Both && is_split {
        kinds.push(OutputKind::Stderr);
    }
    let read = |kind| Ok((kind, Kept::read(reader, run, number, kind, style.zone.is_some())?));
    let kept = kinds.into_iter().map(read).collect::<StoreResult<_>>()?;
    Ok(Some(Seen { view, number, attempt, kept }))
}

/// An output of an attempt: in files while it runs or if it is long, else in the store.
struct RunOutput {
    output: OutputId,
    log_dir: LogDirectory,
    kept: Kept,
    /// What is printed next.
    from: From,
    stamper: Option<Stamper>,
    /// It goes to stderr, beside another one that is the answer.
    is_aside: bool,
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
    /// `lines`: how many of the last lines are printed first.
    fn new(context: &Context<'_>, output: OutputId, lines: Option<u32>, style: &Style) -> Self {
        let log_dir = context.log_directory();
        let stamper = style.zone.clone().map(Stamper::new);
        let is_aside = output.kind != style.outputs.answer();
        Self { output, log_dir, kept: Kept::default(), from: From::Lines(lines), stamper, is_aside }
    }

    /// Prints bytes of the output, of which the first is at `place`.
    fn put(&mut self, context: &Context<'_>, place: u64, bytes: &[u8]) -> TaskResult<()> {
        let stamped = self.stamper.as_mut().map(|stamper| stamper.stamp(place, bytes));
        let bytes = stamped.as_deref().unwrap_or(bytes);
        if self.is_aside {
            context.output.pass_on(bytes);
            return Ok(());
        }
        context.output.answer_bytes(bytes)
    }

    /// Prints what was not printed, and returns whether there was something.
    fn print(&mut self, context: &Context<'_>) -> TaskResult<bool> {
        if let Some(stamper) = &mut self.stamper {
            let stored = self.kept.times.clone().or_else(|| read_times(&self.log_dir.path, self.output));
            stamper.times = OutputTimes::of(&stored.unwrap_or_default());
            // Of a run that is followed, the start may not be committed yet. It was just now.
            stamper.started_at = self.kept.started_at.or(Some(context.now()));
        }
        if let Some(bytes) = self.kept.data.take() {
            let start = match self.from {
                From::Lines(Some(lines)) => {
                    tail_start(&mut io::Cursor::new(&bytes), lines).expect("it is in memory")
                }
                From::Lines(None) => 0,
                From::Place(place) => place,
            };
            self.from = From::Place(bytes.len() as u64);
            let start = usize::try_from(start).unwrap_or(usize::MAX).min(bytes.len());
            self.put(context, start as u64, &bytes[start..])?;
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
            if length == 0 {
                return Ok(!is_empty);
            }
            self.put(context, place, &chunk[..length])?;
        }
    }

    fn open(&self) -> io::Result<Option<OutputView>> {
        match self.from {
            From::Lines(_) => OutputView::open(&self.log_dir, self.output),
            From::Place(place) => OutputView::open_from(&self.log_dir, self.output, place),
        }
    }

    fn failure(&self, error: &io::Error) -> Error {
        let path = output_path(&self.log_dir.path, self.output);
        Error::io(format!("read `{}`", path.display()), error)
    }
}
