//! Owns: printing the output of a run from its file or the store, and following it while it grows.
//! Never: changing a byte of it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use super::ending::{Ended, conclude};
use super::tail::tail_start;
use crate::cli::context::Context;
use crate::cli::waiting::Waiting;
use crate::domain::{RunId, RunState};
use crate::error::{Error, Result as TaskResult};
use crate::keeper::{LOG_DIRECTORY, output_path};

/// What `--follow` does, for errors.
pub const FOLLOW: &str = "follow log";

const CHUNK_BYTES: usize = 64 * 1024;

/// Prints the present output of a run, and tells whether it is empty.
pub fn print(
    context: &Context<'_>,
    run: RunId,
    stored: Option<Vec<u8>>,
    tail: Option<u32>,
) -> TaskResult<bool> {
    let mut source = RunOutput::new(context, run);
    source.settle(stored)?;
    source.skip_to_tail(tail)?;
    source.print(context)?;
    Ok(source.position == 0)
}

/// Prints a run's output until it ends, and returns its status.
pub fn follow(
    context: &Context<'_>,
    mut waiting: Waiting<'_>,
    run: RunId,
    tail: Option<u32>,
) -> TaskResult<u8> {
    let mut source = RunOutput::new(context, run);
    let mut started = false;
    loop {
        // Read the state before the output: the output of a run that is seen as finished is then complete.
        let (view, stored) = waiting.read(|reader| Ok((reader.run(run)?, reader.output(run)?)))?;
        let Some(view) = view else {
            return Err(Error::not_found(FOLLOW, format!("run `{run}` was removed")));
        };
        let finished = view.state == RunState::Finished;
        if finished {
            source.settle(stored)?;
        } else {
            // Follow before reading, so that no write in between is missed. A run that the store calls
            // queued may have begun: the daemon may die before it commits the start.
            waiting.follow(&source.path);
            source.open()?;
        }
        if !std::mem::replace(&mut started, true) {
            source.skip_to_tail(tail)?;
        }
        source.print(context)?;
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

/// The output of a run: in a file while it runs or if it is long, else in the store.
struct RunOutput {
    path: PathBuf,
    file: Option<File>,
    stored: Option<Vec<u8>>,
    /// The number of printed bytes.
    position: u64,
}

impl RunOutput {
    fn new(context: &Context<'_>, run: RunId) -> Self {
        Self {
            path: output_path(&context.dir.join(LOG_DIRECTORY), run),
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

    /// Takes the output of a finished run from the store, else from its file.
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
