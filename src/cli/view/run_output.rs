//! Owns: printing the output of a run from its file or the store, and following it while it grows.
//! Never: changing a byte of it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use super::ending::{Ended, attempt_ending, conclude};
use super::tail::tail_start;
use crate::cli::context::Context;
use crate::cli::waiting::{Left, Waiting};
use crate::domain::{Indices, JobId, RunId, RunState};
use crate::error::{Error, Result as TaskResult};
use crate::keeper::protocol::Attempt;
use crate::keeper::{LOG_DIRECTORY, output_path};
use crate::store::{AttemptView, Reader, RunView, StoreResult};

/// What `--follow` does, for errors.
pub const FOLLOW: &str = "follow log";

const CHUNK_BYTES: usize = 64 * 1024;

/// Prints the present output of an attempt, and tells whether it is empty.
pub fn print(
    context: &Context<'_>,
    attempt: Attempt,
    stored: Option<Vec<u8>>,
    tail: Option<u32>,
) -> TaskResult<bool> {
    let mut source = RunOutput::new(context, attempt);
    source.settle(stored)?;
    source.skip_to_tail(tail)?;
    source.print(context)?;
    Ok(source.position == 0)
}

/// Returns a message about a run without its output.
pub fn pruned_text(run: RunId) -> String {
    format!("run {run}: its output was pruned")
}

/// Prints a run's output until it ends, from its latest attempt on, and returns its status.
pub fn follow(
    context: &Context<'_>,
    mut waiting: Waiting<'_>,
    run: RunId,
    tail: Option<u32>,
) -> TaskResult<u8> {
    let mut followed: Option<RunOutput> = None;
    loop {
        let number = followed.as_ref().map(|source| source.attempt.number);
        // Read the state before the output: the output of an attempt that is seen as over is then complete.
        let Some(Seen { view, number, ended, stored }) = waiting.read(|reader| look(reader, run, number))?
        else {
            return Err(Error::not_found(FOLLOW, format!("run `{run}` was removed")));
        };
        let finished = view.state == RunState::Finished;
        let is_first = followed.is_none();
        let source = followed.get_or_insert_with(|| RunOutput::new(context, Attempt::of_run(run, number)));
        if finished || ended.is_some() {
            source.settle(stored)?;
        } else {
            // Follow before reading, so that no write in between is missed. A run that the store calls
            // queued may have begun: the daemon may die before it commits the start.
            waiting.follow(&source.path);
            source.open()?;
        }
        if is_first {
            source.skip_to_tail(tail)?;
        }
        if view.output_pruned {
            context.output.talk(&pruned_text(run));
        }
        source.print(context)?;
        if let Some(ended) = ended.filter(|_| number < view.attempt) {
            context.output.talk(&attempt_ending(&view, &ended, context.now()));
            followed = Some(RunOutput::new(context, Attempt::of_run(run, number + 1)));
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
    tail: Option<u32>,
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
            let followed = follow(context, Waiting::new(context, FOLLOW, None)?, run, tail)?;
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
    stored: Option<Vec<u8>>,
}

/// Reads an attempt of a run; `None`: the latest one.
fn look(reader: &Reader<'_>, run: RunId, number: Option<u32>) -> StoreResult<Option<Seen>> {
    let Some(view) = reader.run(run)? else { return Ok(None) };
    let number = number.unwrap_or_else(|| view.last_begun());
    let attempts = reader.attempts(&view)?.into_iter();
    let ended = attempts.filter(|attempt| attempt.finished_at.is_some()).find(|ended| ended.number == number);
    Ok(Some(Seen { stored: reader.output(run, number)?, view, number, ended }))
}

/// The output of an attempt: in a file while it runs or if it is long, else in the store.
struct RunOutput {
    attempt: Attempt,
    path: PathBuf,
    file: Option<File>,
    stored: Option<Vec<u8>>,
    /// The number of printed bytes.
    position: u64,
}

impl RunOutput {
    fn new(context: &Context<'_>, attempt: Attempt) -> Self {
        Self {
            attempt,
            path: output_path(&context.dir.join(LOG_DIRECTORY), attempt),
            file: None,
            stored: None,
            position: 0,
        }
    }

    /// Opens the file, if it exists and is not open.
    fn open(&mut self) -> TaskResult<()> {
        if self.file.is_some() {
            return Ok(());
        }
        match File::open(&self.path) {
            Ok(file) => self.file = Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(self.failure(&error)),
        }
        Ok(())
    }

    /// Takes the output of a finished attempt from the store, else from its file.
    fn settle(&mut self, stored: Option<Vec<u8>>) -> TaskResult<()> {
        self.stored = stored;
        if self.stored.is_none() {
            self.open()?;
        }
        Ok(())
    }

    fn skip_to_tail(&mut self, lines: Option<u32>) -> TaskResult<()> {
        let Some(lines) = lines else { return Ok(()) };
        let start = match (&self.stored, &mut self.file) {
            (Some(bytes), _) => tail_start(&mut io::Cursor::new(bytes), lines),
            (None, Some(file)) => tail_start(file, lines),
            (None, None) => Ok(0),
        };
        self.position = start.map_err(|error| self.failure(&error))?;
        Ok(())
    }

    fn print(&mut self, context: &Context<'_>) -> TaskResult<()> {
        if let Some(bytes) = &self.stored {
            let from = usize::try_from(self.position).unwrap_or(usize::MAX).min(bytes.len());
            self.position = bytes.len() as u64;
            return context.output.answer_bytes(&bytes[from..]);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = file.seek(SeekFrom::Start(self.position)).and_then(|_| file.read(&mut chunk));
            match read {
                Ok(0) => return Ok(()),
                Ok(length) => {
                    self.position += length as u64;
                    context.output.answer_bytes(&chunk[..length])?;
                }
                Err(error) => return Err(self.failure(&error)),
            }
        }
    }

    fn failure(&self, error: &io::Error) -> Error {
        Error::io(format!("read `{}`", self.path.display()), error)
    }
}
