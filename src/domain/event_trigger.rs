//! Owns: event triggers, `--on`: what they listen to, what they count, and their text.
//! Never: reading the text (see `cli::job::on`), counting (see `engine`), listening (see `watch`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ids::check_name_of;
use super::run::words;
use super::{InvalidId, JobKey, Outcome, Size, Span, Tag, Timestamp, TriggerKind};

/// `--on KIND[,OPTION]…:ARG`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTrigger {
    pub source: EventSource,
    pub counter: Counter,
}

/// What a trigger listens to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventSource {
    Path(PathSource),
    Job(JobSource),
    Emit(EventName),
    Stream(StreamSource),
    State(MachineState),
}

/// A file, a directory, or the files of a directory whose names match a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PathSource {
    /// Absolute. Its last part is a pattern if it has one of `*`, `?` and `[`, see glob(7).
    pub path: String,
    pub change: PathChange,
    /// An event comes when nothing has changed for this long, and at the latest after ten times as long.
    pub settle: Option<Span>,
    /// The path is looked at this often. Without it, inotify(7) tells.
    pub poll: Option<Span>,
}

/// What has to happen to a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathChange {
    /// It was created, was written and closed, or was replaced.
    #[default]
    Changed,
    Created,
    Deleted,
    /// It exists. A level: it is looked at again after each run.
    Exists,
    /// It is a file with content, or a directory with an entry. A level.
    Nonempty,
    /// It has grown by so many bytes since the last event.
    Bytes(Size),
    /// It has grown by so many lines since the last event.
    Lines(u64),
}

impl PathChange {
    /// Returns whether it is a condition, which holds or does not, and not a change.
    pub fn is_level(self) -> bool {
        match self {
            Self::Exists | Self::Nonempty => true,
            Self::Changed | Self::Created | Self::Deleted | Self::Bytes(_) | Self::Lines(_) => false,
        }
    }
}

/// The runs of other jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSource {
    pub jobs: JobPattern,
    pub stage: JobStage,
}

/// Jobs, found anew at each event. A job never means itself, unless by its own name or id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobPattern {
    One(JobKey),
    /// Those with a name that matches, see glob(7).
    Names(String),
    Tagged(Tag),
}

/// How far a run of the job has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStage {
    /// It succeeded or failed.
    #[default]
    Done,
    Success,
    /// As with `AfterCondition::Failed`.
    Failed,
    /// Its first attempt has started.
    Started,
    /// One of its attempts has run for this long, the first that does; `None`: for twice the 95th percentile
    /// of the runs before it that ended with success.
    Overdue(Option<Span>),
    /// It runs, and has written nothing for this long. Each silence is one event.
    Silent(Span),
}

impl JobStage {
    /// Returns whether an end is one of these, and whether it is the opposite. An end that is missed or
    /// skipped is neither.
    pub fn of_end(self, outcome: Outcome) -> (bool, bool) {
        let (is_success, is_failure) = match outcome {
            Outcome::Success => (true, false),
            Outcome::Failed
            | Outcome::TimedOut
            | Outcome::SpawnFailed
            | Outcome::Lost
            | Outcome::Cancelled => (false, true),
            Outcome::Missed | Outcome::Skipped => (false, false),
        };
        match self {
            Self::Done => (is_success || is_failure, false),
            Self::Success => (is_success, is_failure),
            Self::Failed => (is_failure, is_success),
            Self::Started | Self::Overdue(_) | Self::Silent(_) => (false, false),
        }
    }
}

/// A command that is kept running. Each line of its standard output is an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StreamSource {
    /// A script for sh.
    pub command: String,
    /// Only lines that match this regular expression are events.
    pub pattern: Option<String>,
    /// How long after its end it is started again, the first time.
    pub restart: Span,
}

impl StreamSource {
    /// The default of `restart`.
    pub const RESTART: Span = Span::from_seconds(1);
}

/// A state of the machine, of which its begin is an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineState {
    /// The machine has booted, at the first start of the daemon.
    Boot,
    /// The daemon has started.
    Start,
    /// There is a route to other machines.
    Online,
    /// It runs on mains power.
    Ac,
    /// It runs on a battery.
    Battery,
}

words!(MachineState { Boot = "boot", Start = "start", Online = "online", Ac = "ac", Battery = "battery" });

/// The options that each kind of event has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Counter {
    /// Each so many events are a fire, at least 1.
    pub count: u64,
    /// Only events of the last so long count.
    pub within: Option<Span>,
    /// An opposite result starts the count again.
    pub consecutive: bool,
    /// It fires so long after the first event that counts, with what has come.
    pub or_after: Option<Span>,
    /// It fires when no event has come for so long, and does not fire by events.
    pub absent: Option<Span>,
}

impl Counter {
    /// The greatest `count`.
    pub const COUNT_MAX: u64 = 1_000_000_000;
}

impl Default for Counter {
    fn default() -> Self {
        Self { count: 1, within: None, consecutive: false, or_after: None, absent: None }
    }
}

/// The name of an event of `taskq emit`: 1 to 64 of letters, digits, `_`, `-` and `.`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct EventName(String);

impl FromStr for EventName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        check_name_of("the name of an event", text, &['_', '-', '.'])?;
        if text.starts_with('-') {
            return Err(InvalidId::new(format!("`{text}` starts with `-` and would be read as an option")));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for EventName {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl EventName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl EventTrigger {
    pub fn kind(&self) -> TriggerKind {
        match self.source {
            EventSource::Path(_) => TriggerKind::Path,
            EventSource::Job(_) => TriggerKind::Job,
            EventSource::Emit(_) => TriggerKind::Emit,
            EventSource::Stream(_) => TriggerKind::Stream,
            EventSource::State(_) => TriggerKind::State,
        }
    }

    /// Returns the word by which an event finds it; `None`: it has to be compared with each event of its
    /// kind.
    pub fn key(&self) -> Option<String> {
        match &self.source {
            EventSource::Job(JobSource { jobs: JobPattern::One(job), .. }) => Some(job.to_string()),
            EventSource::Emit(name) => Some(name.to_string()),
            EventSource::State(state) => Some(state.to_string()),
            EventSource::Job(_) | EventSource::Path(_) | EventSource::Stream(_) => None,
        }
    }

    /// Returns whether it looks at runs that are under way.
    pub fn watches_runs(&self) -> bool {
        matches!(
            self.source,
            EventSource::Job(JobSource { stage: JobStage::Overdue(_) | JobStage::Silent(_), .. })
        )
    }

    /// Returns the part of its text before the ARG: the kind and the options.
    fn head(&self) -> Vec<String> {
        let mut head = vec![self.kind().to_string()];
        match &self.source {
            EventSource::Path(source) => source.push_options(&mut head),
            EventSource::Job(source) => head.extend(source.stage.option()),
            EventSource::Stream(source) => source.push_options(&mut head),
            EventSource::Emit(_) | EventSource::State(_) => {}
        }
        self.counter.push_options(&mut head);
        head
    }

    /// Returns the ARG of its text.
    fn arg(&self) -> String {
        match &self.source {
            EventSource::Path(source) => source.path.clone(),
            EventSource::Job(source) => source.jobs.to_string(),
            EventSource::Emit(name) => name.to_string(),
            EventSource::Stream(source) => source.command.clone(),
            EventSource::State(state) => state.to_string(),
        }
    }
}

/// Writes the text that is read back.
impl fmt::Display for EventTrigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.head().join(","), self.arg())
    }
}

impl PathSource {
    fn push_options(&self, head: &mut Vec<String>) {
        match self.change {
            PathChange::Changed => {}
            PathChange::Created => head.push("created".to_owned()),
            PathChange::Deleted => head.push("deleted".to_owned()),
            PathChange::Exists => head.push("exists".to_owned()),
            PathChange::Nonempty => head.push("nonempty".to_owned()),
            PathChange::Bytes(size) => head.push(format!("bytes={size}")),
            PathChange::Lines(lines) => head.push(format!("lines={lines}")),
        }
        head.extend(self.settle.map(|span| format!("settle={span}")));
        head.extend(self.poll.map(|span| format!("poll={span}")));
    }
}

impl JobStage {
    fn option(self) -> Option<String> {
        match self {
            Self::Done => None,
            Self::Success => Some("success".to_owned()),
            Self::Failed => Some("failed".to_owned()),
            Self::Started => Some("started".to_owned()),
            Self::Overdue(None) => Some("overdue".to_owned()),
            Self::Overdue(Some(span)) => Some(format!("overdue={span}")),
            Self::Silent(span) => Some(format!("silent={span}")),
        }
    }
}

impl fmt::Display for JobPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(job) => job.fmt(f),
            Self::Names(pattern) => f.write_str(pattern),
            Self::Tagged(tag) => write!(f, "tag={tag}"),
        }
    }
}

impl StreamSource {
    fn push_options(&self, head: &mut Vec<String>) {
        let escaped = |text: &String| text.replace(',', r"\,").replace(':', r"\:");
        head.extend(self.pattern.as_ref().map(|pattern| format!("match={}", escaped(pattern))));
        head.extend((self.restart != Self::RESTART).then(|| format!("restart={}", self.restart)));
    }
}

impl Counter {
    fn push_options(&self, head: &mut Vec<String>) {
        head.extend((self.count != 1).then(|| format!("count={}", self.count)));
        head.extend(self.within.map(|span| format!("within={span}")));
        head.extend(self.consecutive.then(|| "consecutive".to_owned()));
        head.extend(self.or_after.map(|span| format!("or-after={span}")));
        head.extend(self.absent.map(|span| format!("absent={span}")));
    }
}

/// An event, as a source saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurrence {
    pub at: Timestamp,
    /// What happened to what: the event, the run, the path, the state.
    pub name: String,
    /// JSON, or `None`.
    pub data: Option<String>,
    /// It stands for so many events, at least 1.
    pub count: u64,
    /// The runs of the chain that led to it: 0 if no run did.
    pub depth: u32,
}

impl Occurrence {
    /// The longest chain of runs, each caused by an event of the one before.
    pub const DEPTH_MAX: u32 = 16;

    /// The most data of an event, in bytes.
    pub const DATA_BYTES_MAX: usize = 64 << 10;

    /// How many of the first events, and of the last, stay with a run. Of those between, only the count does.
    pub const KEPT: u64 = 1_000;
}
