//! Owns: which commands of `stream` triggers are to run, and what their lines and ends mean.
//! Never: processes (see `keeper::Feeder`), or what an event makes a job do.
//!
//! The daemon carries what one says to the other: it starts and stops what `Streams` says, and hands it the
//! outputs and the ends. Times are monotonic, unless their type says otherwise.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::time::Duration;

use super::backoff::Backoff;
use super::error_lines::ErrorLines;
use super::line_event::{Filter, LineEvent, name_of};
use super::line_reader::{Line, LineReader};
use crate::domain::{Execution, JobId, JobName, Occurrence, Span, StreamSource, Timestamp, TriggerId};

/// An output is read until so many lines or bytes have come, and goes on in the next turn of the daemon: the
/// rest waits in the pipe, and the command with it.
const LINES_AT_ONCE: usize = 1_000;
const BYTES_AT_ONCE: usize = 256 << 10;

/// The bytes of one read. It may exceed both limits by as much.
const READ_BYTES: usize = 4 << 10;

/// The longest command in a line of the log, in characters.
const LABEL_CHARS_MAX: usize = 60;

/// A command that is to be kept running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedStream {
    pub trigger: TriggerId,
    pub job: JobId,
    pub job_name: Option<JobName>,
    pub source: StreamSource,
    /// How the job's runs are started, and so the command.
    pub execution: Execution,
    /// Lines that do not match the pattern are events too, as the opposite.
    pub with_opposites: bool,
}

impl WantedStream {
    /// Returns whether a process of this one can go on as that of another.
    fn has_process_of(&self, other: &Self) -> bool {
        let process = |stream: &Self| {
            let Execution { command: _, cwd, cwd_optional, env, env_file, umask, nice, stdin: _, user } =
                stream.execution.clone();
            let starts = (cwd, cwd_optional, env, env_file, umask, nice, user);
            (stream.job, stream.source.command.clone(), starts)
        };
        process(self) == process(other)
    }

    fn label(&self) -> String {
        let name = name_of(&self.source.command);
        let dots = if name.chars().nth(LABEL_CHARS_MAX).is_some() { "…" } else { "" };
        let short: String = name.chars().take(LABEL_CHARS_MAX).collect();
        let job = self.job_name.as_ref().map_or_else(String::new, |job| format!(" {job}"));
        format!("stream `{short}{dots}` of job {}{job}", self.job)
    }
}

/// What follows from another list of commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Commands to stop. `ended` is expected for each.
    pub stops: Vec<TriggerId>,
    /// Lines for the log. They hold any text, and have to be escaped.
    pub notices: Vec<String>,
}

/// What follows from the end of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamEnd {
    /// The last line, if it had no end.
    pub events: Vec<LineEvent>,
    /// As those of `Changes`.
    pub notices: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Waiting {
        start_at: Duration,
    },
    Running {
        since: Duration,
    },
    /// Its lines are of no use any more. After its end, another may start.
    Stopping {
        next: Option<Box<WantedStream>>,
    },
    /// It has a pattern that cannot be used.
    Refused,
}

#[derive(Clone, Debug)]
struct Stream {
    wanted: WantedStream,
    /// `None`: it is refused.
    filter: Option<Filter>,
    output: LineReader,
    errors: ErrorLines,
    backoff: Backoff,
    state: State,
}

impl Stream {
    fn new(wanted: WantedStream, now: Duration, notices: &mut Vec<String>) -> Self {
        let refused = |error| notices.push(format!("cannot listen to {}: {error}", wanted.label()));
        let filter = Filter::new(&wanted.source, wanted.with_opposites).map_err(refused).ok();
        let state = if filter.is_some() { State::Waiting { start_at: now } } else { State::Refused };
        Self {
            filter,
            output: LineReader::new(Occurrence::DATA_BYTES_MAX),
            errors: ErrorLines::default(),
            backoff: Backoff::new(wanted.source.restart.as_duration()),
            state,
            wanted,
        }
    }

    /// Takes over what is wanted now. Returns whether it is of use.
    fn follow(&mut self, wanted: Option<WantedStream>, now: Duration, changes: &mut Changes) -> bool {
        match &mut self.state {
            State::Stopping { next } => *next = wanted.map(Box::new),
            State::Running { .. } => {
                if wanted.as_ref().is_none_or(|wanted| !self.adopt(wanted)) {
                    changes.stops.push(self.wanted.trigger);
                    self.state = State::Stopping { next: wanted.map(Box::new) };
                }
            }
            State::Waiting { .. } | State::Refused => match wanted {
                None => return false,
                Some(wanted) if wanted == self.wanted => {}
                Some(wanted) => *self = Self::new(wanted, now, &mut changes.notices),
            },
        }
        true
    }

    /// Takes over what is wanted now without another process. Returns whether it can.
    fn adopt(&mut self, wanted: &WantedStream) -> bool {
        if *wanted == self.wanted {
            return true;
        }
        if !wanted.has_process_of(&self.wanted) {
            return false;
        }
        let Ok(filter) = Filter::new(&wanted.source, wanted.with_opposites) else { return false };
        self.filter = Some(filter);
        if wanted.source.restart != self.wanted.source.restart {
            self.backoff = Backoff::new(wanted.source.restart.as_duration());
        }
        self.wanted = wanted.clone();
        true
    }

    fn events(&self, lines: &[Line], at: Timestamp) -> Vec<LineEvent> {
        let mut events = Vec::new();
        if let (State::Running { .. }, Some(filter)) = (&self.state, &self.filter) {
            lines.iter().for_each(|line| filter.add(line, at, &mut events));
        }
        events
    }

    fn labelled(&self, texts: Vec<String>) -> Vec<String> {
        let label = self.wanted.label();
        texts.into_iter().map(|text| format!("{label}: {text}")).collect()
    }

    /// Waits for its next start after it has run for so long. Returns for how long.
    fn wait(&mut self, ran: Duration, now: Duration) -> Span {
        let wait = self.backoff.wait_after(ran);
        self.state = State::Waiting { start_at: now.saturating_add(wait) };
        Span::from_micros(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX))
    }
}

/// The commands of all `stream` triggers.
#[derive(Clone, Debug, Default)]
pub struct Streams(BTreeMap<TriggerId, Stream>);

impl Streams {
    /// Takes the whole list of commands that are to run from now on.
    ///
    /// A command goes on if only its pattern, its pause or the name of its job has changed. Otherwise it is
    /// stopped, and the other one starts after its end.
    pub fn listen(&mut self, wanted: Vec<WantedStream>, now: Duration) -> Changes {
        let mut changes = Changes::default();
        let mut wanted: BTreeMap<_, _> = wanted.into_iter().map(|wanted| (wanted.trigger, wanted)).collect();
        self.0.retain(|trigger, stream| stream.follow(wanted.remove(trigger), now, &mut changes));
        for (trigger, wanted) in wanted {
            self.0.insert(trigger, Stream::new(wanted, now, &mut changes.notices));
        }
        changes
    }

    /// Returns the commands that start now. `ended` or `not_started` is expected for each.
    pub fn take_starts(&mut self, now: Duration) -> Vec<WantedStream> {
        let is_due =
            |stream: &&mut Stream| matches!(stream.state, State::Waiting { start_at } if start_at <= now);
        let due = self.0.values_mut().filter(is_due);
        due.map(|stream| {
            stream.state = State::Running { since: now };
            stream.wanted.clone()
        })
        .collect()
    }

    /// Returns when `take_starts` has something to return.
    pub fn next_wake(&self) -> Option<Duration> {
        let start = |stream: &Stream| match stream.state {
            State::Waiting { start_at } => Some(start_at),
            State::Running { .. } | State::Stopping { .. } | State::Refused => None,
        };
        self.0.values().filter_map(start).min()
    }

    /// Reads a part of a command's standard output, which must not block, and returns the events in it.
    ///
    /// Lines of a command that is being stopped are read, so that it does not wait for that, and dropped.
    pub fn read(&mut self, trigger: TriggerId, from: &mut impl Read, at: Timestamp) -> Vec<LineEvent> {
        let Some(stream) = self.0.get_mut(&trigger) else { return Vec::new() };
        let lines = read_lines(from, &mut stream.output);
        stream.events(&lines, at)
    }

    /// Reads a part of a command's standard error, which must not block, and returns lines for the log, as
    /// those of `Changes`.
    pub fn read_errors(&mut self, trigger: TriggerId, from: &mut impl Read, now: Duration) -> Vec<String> {
        let Some(stream) = self.0.get_mut(&trigger) else { return Vec::new() };
        let lines = read_lines(from, stream.errors.reader());
        let texts = stream.errors.admit(lines, now);
        stream.labelled(texts)
    }

    /// A command has ended, and its outputs were read. `how` it ended is a text such as `exited with status
    /// 3`.
    pub fn ended(&mut self, trigger: TriggerId, how: &str, at: Timestamp, now: Duration) -> StreamEnd {
        let Some(stream) = self.0.get_mut(&trigger) else { return StreamEnd::default() };
        let last = stream.output.finish();
        let events = stream.events(last.as_slice(), at);
        let last_error = stream.errors.reader().finish();
        let mut texts = stream.errors.admit(last_error.into_iter().collect(), now);
        texts.extend(stream.errors.left_out());
        let mut notices = stream.labelled(texts);
        if let State::Running { since } = stream.state {
            let wait = stream.wait(now.saturating_sub(since), now);
            notices.push(format!("{} {how}; starting it again in {wait}", stream.wanted.label()));
        } else {
            self.stopped(trigger, now, &mut notices);
        }
        StreamEnd { events, notices }
    }

    /// A command could not be started, for this cause. Returns lines for the log, as those of `Changes`.
    pub fn not_started(&mut self, trigger: TriggerId, cause: &str, now: Duration) -> Vec<String> {
        let Some(stream) = self.0.get_mut(&trigger) else { return Vec::new() };
        let mut notices = Vec::new();
        if let State::Running { .. } = stream.state {
            let wait = stream.wait(Duration::ZERO, now);
            notices.push(format!("cannot start {}: {cause}; trying again in {wait}", stream.wanted.label()));
        } else {
            self.stopped(trigger, now, &mut notices);
        }
        notices
    }

    /// Puts the next command in the place of one that was stopped.
    fn stopped(&mut self, trigger: TriggerId, now: Duration, notices: &mut Vec<String>) {
        let Some(stream) = self.0.remove(&trigger) else { return };
        let next = match stream.state {
            State::Stopping { next } => next.map(|next| Stream::new(*next, now, notices)),
            State::Running { .. } | State::Waiting { .. } | State::Refused => Some(stream),
        };
        self.0.extend(next.map(|next| (trigger, next)));
    }
}

/// Reads until nothing is left for now, the end, or the limit of a turn.
fn read_lines(from: &mut impl Read, reader: &mut LineReader) -> Vec<Line> {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    let mut buffer = [0; READ_BYTES];
    while lines.len() < LINES_AT_ONCE && bytes < BYTES_AT_ONCE {
        match from.read(&mut buffer) {
            Ok(0) => {
                lines.extend(reader.finish());
                break;
            }
            Ok(count) => {
                reader.take(&buffer[..count], &mut lines);
                bytes += count;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    lines
}

#[cfg(test)]
mod tests;
