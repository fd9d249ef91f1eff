//! Owns: events: the record of what happened in a store, and who did it.
//! Never: how events are stored (see `store::events`) or shown (see `cli::view`).
//!
//! An event keeps words and names as they were. A reader needs no other row, so the record of a job survives
//! the job.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{InvalidId, JobId, JobName, RunId, Span, Timestamp};

/// The number of an event. Numbers count up from 1 in the order of commits, without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventId(pub u64);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for EventId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_number);
        number.map(Self).ok_or_else(|| InvalidId::new(format!("`{text}` is not the id of an event")))
    }
}

/// A recorded event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub id: EventId,
    /// When it was recorded.
    pub at: Timestamp,
    /// The user whose command did it; `None`: the daemon.
    pub by: Option<u32>,
    /// `None` if a later taskq recorded it, and this one does not know its kind.
    pub what: Option<Happening>,
}

/// A word that may come from a later taskq.
pub type Word = Cow<'static, str>;

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndNote {
    pub attempt: u32,
    /// The word of an `Outcome`.
    pub outcome: Word,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub cause: Option<String>,
    pub finished_at: Timestamp,
    /// How long its process ran; `None` if there was none.
    pub took: Option<Span>,
}

/// The job of an event, with its name at that time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobNote {
    pub job: JobId,
    pub name: Option<JobName>,
}

/// The content of an event.
///
/// The place of a kind in this list is its number in stores: new kinds are appended, and the fields of a kind
/// never change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Happening {
    /// A run was made and waits for its start. `trigger`: the word of a `TriggerKind`.
    Queued {
        run: RunId,
        trigger: Word,
        scheduled_at: Timestamp,
    },
    /// A run was made that never starts: `missed` or `skipped`.
    Passed {
        run: RunId,
        outcome: Word,
        trigger: Word,
        scheduled_at: Timestamp,
        fires: u64,
        cause: Option<Word>,
    },
    Started {
        run: RunId,
        attempt: u32,
        pid: u32,
        started_at: Timestamp,
    },
    /// Its keeper is gone, and another one watches its processes.
    Unattended {
        run: RunId,
        attempt: u32,
        pid: u32,
    },
    /// An attempt has ended, and the next one is due at `retry_at`.
    Retrying {
        run: RunId,
        end: EndNote,
        retry_at: Timestamp,
    },
    Finished {
        run: RunId,
        end: EndNote,
    },
    /// A running run gets its stop signal. `now`: it is KILL.
    Stopping {
        run: RunId,
        now: bool,
    },
    Added {
        job: JobNote,
    },
    /// The names of the changed options. Their values may be secret.
    Changed {
        job: JobNote,
        options: Vec<Word>,
    },
    Paused {
        job: JobNote,
        cause: Option<String>,
    },
    Resumed {
        job: JobNote,
    },
    /// A job will not fire again.
    Cancelled {
        job: JobNote,
        cause: Option<Word>,
    },
    Removed {
        job: JobNote,
        runs: u64,
    },
    Renamed {
        job: JobNote,
        was: Option<JobName>,
    },
    QueueSet {
        queue: String,
        slots: Option<u32>,
    },
    QueuePaused {
        queue: String,
    },
    QueueResumed {
        queue: String,
    },
    /// A crontab was stored. `source`: the path of its file; empty: the table of `taskq crontab`.
    Imported {
        source: String,
    },
    TableRemoved {
        source: String,
    },
    Pruned {
        runs: u64,
        jobs: u64,
    },
    DaemonStarted {
        pid: u32,
        version: Word,
    },
    DaemonStopped {
        pid: u32,
    },
    /// A fire of an array: its indices wait for their starts.
    ArrayQueued {
        job: JobNote,
        trigger: Word,
        scheduled_at: Timestamp,
        indices: u32,
    },
    /// All indices of an array have ended.
    ArrayFinished {
        job: JobNote,
        outcome: Word,
        indices: u32,
    },
    /// The outputs of so many runs, to keep to a limit.
    OutputsPruned {
        runs: u64,
        bytes: u64,
    },
    /// The processes of a running run are stopped.
    RunPaused {
        run: RunId,
    },
    RunResumed {
        run: RunId,
    },
    /// `taskq emit`: so many events.
    Emitted {
        name: String,
        count: u64,
    },
    /// An event trigger of a job has heard an event, or that none came (then `count` is 0). `counted` of
    /// `needed` events count towards its next fire; `fire`: the run that the events are for.
    Heard {
        job: JobNote,
        trigger: Word,
        event: String,
        count: u64,
        counted: u64,
        needed: u64,
        has_fired: bool,
        fire: Option<String>,
    },
    /// An event trigger of a job was not told of an event, because it is the end of too long a chain of runs.
    TooDeep {
        job: JobNote,
        trigger: Word,
        event: String,
    },
    /// A job whose runs cause the next one, over and over, makes none until then.
    Rests {
        job: JobNote,
        until: Timestamp,
    },
    /// A queue starts in this order from now on. `order`: the word of a `QueueOrder`; `aging`: what a point
    /// of priority is worth, `None`: all waiting.
    QueueOrdered {
        queue: String,
        order: Word,
        aging: Option<Span>,
    },
    QueueRemoved {
        queue: String,
    },
    /// There is so much of a resource from now on.
    ResourceSet {
        resource: String,
        capacity: u64,
    },
    ResourceRemoved {
        resource: String,
    },
    /// `taskq apply` has made jobs as a file has them. `source`: the path of the file; `-`: standard input.
    Applied {
        source: String,
    },
    /// An executor was made or changed. `kind`: the word of an `ExecutorKind`.
    ExecutorSet {
        executor: String,
        kind: Word,
    },
    ExecutorRemoved {
        executor: String,
    },
    /// A host of an executor does not answer any more. `place`: as of a `FarPlace`.
    HostUnreachable {
        place: String,
        cause: Word,
    },
    HostReachable {
        place: String,
    },
    /// The store was sealed, unsealed, or got another key: `sealed`, `unsealed`, `rotated`.
    KeyChanged {
        change: Word,
    },
}

impl Happening {
    /// Returns the word of its kind.
    pub fn kind(&self) -> &str {
        match self {
            Self::Queued { .. } => "queued",
            Self::Passed { outcome, .. } => outcome,
            Self::Started { .. } => "started",
            Self::Unattended { .. } => "unattended",
            Self::Retrying { .. } => "retrying",
            Self::Finished { .. } => "finished",
            Self::Stopping { .. } => "stopping",
            Self::Added { .. } => "added",
            Self::Changed { .. } => "changed",
            Self::Paused { .. } => "paused",
            Self::Resumed { .. } => "resumed",
            Self::Cancelled { .. } => "cancelled",
            Self::Removed { .. } => "removed",
            Self::Renamed { .. } => "renamed",
            Self::QueueSet { .. } => "queue_set",
            Self::QueueOrdered { .. } => "queue_ordered",
            Self::QueueRemoved { .. } => "queue_removed",
            Self::QueuePaused { .. } => "queue_paused",
            Self::QueueResumed { .. } => "queue_resumed",
            Self::Imported { .. } => "imported",
            Self::TableRemoved { .. } => "table_removed",
            Self::Pruned { .. } => "pruned",
            Self::DaemonStarted { .. } => "daemon_started",
            Self::DaemonStopped { .. } => "daemon_stopped",
            Self::ArrayQueued { .. } => "array_queued",
            Self::ArrayFinished { .. } => "array_finished",
            Self::OutputsPruned { .. } => "outputs_pruned",
            Self::RunPaused { .. } => "run_paused",
            Self::RunResumed { .. } => "run_resumed",
            Self::Emitted { .. } => "emitted",
            Self::Heard { has_fired: true, .. } => "fired",
            Self::Heard { has_fired: false, .. } => "counted",
            Self::TooDeep { .. } => "too_deep",
            Self::Rests { .. } => "rests",
            Self::ResourceSet { .. } => "resource_set",
            Self::ResourceRemoved { .. } => "resource_removed",
            Self::Applied { .. } => "applied",
            Self::ExecutorSet { .. } => "executor_set",
            Self::ExecutorRemoved { .. } => "executor_removed",
            Self::HostUnreachable { .. } => "host_unreachable",
            Self::HostReachable { .. } => "host_reachable",
            Self::KeyChanged { .. } => "key_changed",
        }
    }

    /// Returns its run, if it is about one.
    pub fn run(&self) -> Option<RunId> {
        match self {
            Self::Queued { run, .. }
            | Self::Passed { run, .. }
            | Self::Started { run, .. }
            | Self::Unattended { run, .. }
            | Self::Retrying { run, .. }
            | Self::Finished { run, .. }
            | Self::Stopping { run, .. }
            | Self::RunPaused { run }
            | Self::RunResumed { run } => Some(*run),
            Self::Added { .. }
            | Self::Changed { .. }
            | Self::Paused { .. }
            | Self::Resumed { .. }
            | Self::Cancelled { .. }
            | Self::Removed { .. }
            | Self::Renamed { .. }
            | Self::QueueSet { .. }
            | Self::QueueOrdered { .. }
            | Self::QueueRemoved { .. }
            | Self::QueuePaused { .. }
            | Self::QueueResumed { .. }
            | Self::Imported { .. }
            | Self::TableRemoved { .. }
            | Self::Pruned { .. }
            | Self::DaemonStarted { .. }
            | Self::DaemonStopped { .. }
            | Self::ArrayQueued { .. }
            | Self::ArrayFinished { .. }
            | Self::OutputsPruned { .. }
            | Self::Emitted { .. }
            | Self::Heard { .. }
            | Self::TooDeep { .. }
            | Self::Rests { .. }
            | Self::ResourceSet { .. }
            | Self::ResourceRemoved { .. }
            | Self::Applied { .. }
            | Self::ExecutorSet { .. }
            | Self::ExecutorRemoved { .. }
            | Self::HostUnreachable { .. }
            | Self::HostReachable { .. }
            | Self::KeyChanged { .. } => None,
        }
    }

    /// Returns its job and the job's name at that time, if it is an act on one.
    pub fn job_note(&self) -> Option<&JobNote> {
        match self {
            Self::Added { job }
            | Self::Changed { job, .. }
            | Self::Paused { job, .. }
            | Self::Resumed { job }
            | Self::Cancelled { job, .. }
            | Self::Removed { job, .. }
            | Self::Renamed { job, .. }
            | Self::ArrayQueued { job, .. }
            | Self::ArrayFinished { job, .. }
            | Self::Heard { job, .. }
            | Self::TooDeep { job, .. }
            | Self::Rests { job, .. } => Some(job),
            Self::Queued { .. }
            | Self::Passed { .. }
            | Self::Started { .. }
            | Self::Unattended { .. }
            | Self::Retrying { .. }
            | Self::Finished { .. }
            | Self::Stopping { .. }
            | Self::QueueSet { .. }
            | Self::QueueOrdered { .. }
            | Self::QueueRemoved { .. }
            | Self::QueuePaused { .. }
            | Self::QueueResumed { .. }
            | Self::Imported { .. }
            | Self::TableRemoved { .. }
            | Self::Pruned { .. }
            | Self::DaemonStarted { .. }
            | Self::DaemonStopped { .. }
            | Self::OutputsPruned { .. }
            | Self::RunPaused { .. }
            | Self::RunResumed { .. }
            | Self::Emitted { .. }
            | Self::ResourceSet { .. }
            | Self::ResourceRemoved { .. }
            | Self::Applied { .. }
            | Self::ExecutorSet { .. }
            | Self::ExecutorRemoved { .. }
            | Self::HostUnreachable { .. }
            | Self::HostReachable { .. }
            | Self::KeyChanged { .. } => None,
        }
    }

    /// Returns the job that it is about, by a run or an act.
    pub fn job(&self) -> Option<JobId> {
        self.run().map(|run| run.job).or_else(|| self.job_note().map(|note| note.job))
    }
}
