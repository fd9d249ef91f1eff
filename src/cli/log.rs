//! Owns: `taskq log`.
//! Never: changing a byte of the output.

use clap::Args;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use super::context::{Context, Failure};
use super::number;
use super::output::text::io_cause;
use super::report::ending;
use super::tail::tail_start;
use super::target::{self, Target};
use super::wait::conclude;
use super::waiting::{Waiting, unlearned};
use crate::domain::{JobId, Outcome, RunId, RunState};
use crate::error::{Error, Result as TaskResult};
use crate::keeper::{LOG_DIRECTORY, output_path};
use crate::store::{Reader, RunFilter};

/// What `--follow` does, for errors.
const FOLLOW: &str = "follow log";

/// How much of an output is read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Print the output of a run
///
/// What the run wrote to its standard output and standard error, in the order
/// of writing, byte for byte. A JOB means its latest run.
///
/// With --follow, the exit status is the run's own: its exit code, 128+N after
/// signal N, 124 timed out, 125 taskq could not run it, 126 not executable,
/// 127 not found, 130 cancelled. It is 3 where it cannot be learned how the run
/// ends; the run continues.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq log backup --tail 20
  taskq log -f 12.3"
)]
pub struct LogArgs {
    /// The job (its latest run), or the run, as in backup.3
    #[arg(value_name = "JOB|RUN")]
    pub target: String,

    /// Go on until the run has ended
    #[arg(short, long)]
    pub follow: bool,

    /// Begin with the last N lines
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number(0..=u32::MAX))]
    pub tail: Option<u32>,

    /// The output of every run of the job, the oldest first
    #[arg(long, conflicts_with = "follow")]
    pub all: bool,
}

/// Answers with the output.
pub fn run(context: &Context<'_>, args: &LogArgs) -> TaskResult<u8> {
    let shown = show(context, args);
    if args.follow { shown.map_err(unlearned) } else { shown }
}

fn show(context: &Context<'_>, args: &LogArgs) -> TaskResult<u8> {
    const WHAT: &str = "show log";
    let runs = context.look(WHAT, |reader| match target::find(reader, "show log of", &args.target)? {
        Target::Run(run) => Ok(vec![run]),
        Target::Job(job) if args.all => all_runs(reader, job),
        Target::Job(job) => latest_run(reader, job, &args.target).map(|run| vec![run]),
    })?;
    if let ([run], true) = (runs.as_slice(), args.follow) {
        return follow(context, Waiting::new(context, FOLLOW, None)?, *run, args.tail);
    }
    for run in runs {
        let mut source = Source::new(context, run);
        let stored = context.read(WHAT, |reader| reader.output(run))?;
        source.settle(stored)?;
        source.skip_to_tail(args.tail)?;
        source.print(context)?;
        if source.position == 0 && !args.all {
            let view = context.read(WHAT, |reader| reader.run(run))?;
            // Not a word of output: why, if there is a reason.
            if let Some(text) = view.as_ref().and_then(ending) {
                context.output.talk(&text);
            }
        }
    }
    Ok(0)
}

/// A run that there can be output of: not one that was over before it began, if there is any other.
fn latest_run(reader: &Reader<'_>, job: JobId, text: &str) -> Result<RunId, Failure> {
    let never_began = |outcome| matches!(outcome, Some(Outcome::Missed | Outcome::Skipped));
    let mut filter = RunFilter { job: Some(job), limit: Some(100), ..RunFilter::default() };
    let runs = reader.runs(&filter)?;
    if let Some(run) = runs.iter().find(|run| !never_began(run.outcome)) {
        return Ok(run.run);
    }
    filter.limit = None;
    let runs = reader.runs(&filter)?;
    runs.iter().find(|run| !never_began(run.outcome)).map(|run| run.run).ok_or_else(|| {
        Error::not_found(format!("show log of job `{text}`"), "it has not run yet")
            .hint(format!("see when it will with `taskq next {text}`"))
            .into()
    })
}

fn all_runs(reader: &Reader<'_>, job: JobId) -> Result<Vec<RunId>, Failure> {
    let filter = RunFilter { job: Some(job), ..RunFilter::default() };
    let mut runs: Vec<RunId> = reader.runs(&filter)?.iter().map(|run| run.run).collect();
    runs.reverse();
    Ok(runs)
}

/// Prints a run's output until it ends, and returns its status.
pub fn follow(
    context: &Context<'_>,
    mut waiting: Waiting<'_>,
    run: RunId,
    tail: Option<u32>,
) -> TaskResult<u8> {
    let mut source = Source::new(context, run);
    let mut started = false;
    loop {
        // The state first: what was written before a run is seen as finished is read after that.
        let (view, stored) = waiting.read(|reader| Ok((reader.run(run)?, reader.output(run)?)))?;
        let Some(view) = view else {
            return Err(Error::not_found(FOLLOW, format!("run `{run}` was removed")));
        };
        let finished = view.state == RunState::Finished;
        if finished {
            source.settle(stored)?;
        } else {
            // Followed first, read after that: nothing that is written in between is overlooked. A run that
            // is still called queued may have begun, and the daemon may die before it says so.
            waiting.follow(&source.path);
            source.open()?;
        }
        if !std::mem::replace(&mut started, true) {
            source.skip_to_tail(tail)?;
        }
        source.print(context)?;
        if finished {
            return Ok(conclude(context, &[view]));
        }
        if context.output.is_closed() {
            return Ok(0);
        }
        waiting.need_daemon()?;
        waiting.wait()?;
    }
}

/// Where a run's output is: a file while it runs and if it is long, else the run log.
struct Source {
    path: PathBuf,
    file: Option<File>,
    stored: Option<Vec<u8>>,
    /// How far it was printed.
    position: u64,
}

impl Source {
    fn new(context: &Context<'_>, run: RunId) -> Self {
        Self {
            path: output_path(&context.dir.join(LOG_DIRECTORY), run),
            file: None,
            stored: None,
            position: 0,
        }
    }

    /// Opens the file, if it is there and not open.
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

    /// Takes the output of a finished run from where it is.
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
        Error::io(format!("read `{}`", self.path.display()), io_cause(error))
    }
}
