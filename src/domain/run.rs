//! Owns: the states, outcomes and ends of a run.
//! Never: deciding on them (see `engine`).

use serde::{Deserialize, Serialize};

use super::Span;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It has not started.
    Queued,
    /// Its process has started, and its end is not recorded.
    Running,
    /// An attempt has failed, and the next one waits for its time.
    Retrying,
    /// It has an outcome.
    Finished,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits for its next fire.
    Scheduled,
    /// One of its runs waits for a slot.
    Queued,
    /// One of its runs waits for something other than a slot.
    Blocked,
    /// One of its runs has a process.
    Running,
    /// It does not fire until it is resumed.
    Paused,
    /// It will not fire again.
    Done,
}

/// How a fire ended. Every fire gets exactly one outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It exited with 0.
    Success,
    /// It exited with another status, or a signal ended it that taskq did not send.
    Failed,
    /// `--timeout` ended it.
    TimedOut,
    /// The user, or a newer run under `--overlap replace`, cancelled it.
    Cancelled,
    /// It was found too late to run.
    Missed,
    /// A policy of the job did not allow it to run.
    Skipped,
    /// The system could not start it.
    SpawnFailed,
    /// Its keeper was killed, so its status is unknown.
    Lost,
}

impl Outcome {
    /// Returns whether the user should look at it.
    pub fn is_failure(self) -> bool {
        match self {
            Self::Failed | Self::TimedOut | Self::SpawnFailed | Self::Lost => true,
            Self::Success | Self::Cancelled | Self::Missed | Self::Skipped => false,
        }
    }

    /// Returns the outcomes that the user should look at: those of `--failed`.
    pub fn failures() -> Vec<Self> {
        Self::ALL.iter().copied().filter(|outcome| outcome.is_failure()).collect()
    }
}

/// The kind of trigger that made a run: the value of `TASKQ_TRIGGER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerKind {
    At,
    Cron,
    Calendar,
    Every,
    /// `--on path`: something happened to a file.
    Path,
    /// `--on job`: a run of another job came so far.
    Job,
    /// `--on emit`: an event of `taskq emit`.
    Emit,
    /// `--on stream`: a line of a command.
    Stream,
    /// `--on state`: a state of the machine began.
    State,
    /// No trigger: `taskq add` without one, or `taskq run`.
    Manual,
    /// `taskq retry`.
    Retry,
    /// `--on-success` and the others: a run after the end of another.
    Callback,
}

/// Why a run was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StopCause {
    /// Its `--timeout` had passed.
    TimedOut,
    /// It was cancelled.
    Cancelled,
}

/// How the process of an attempt ended, as the keeper reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It exited with this status, 0-255.
    Exited(i32),
    Signaled(i32),
    /// There was no process.
    SpawnFailed {
        /// The status of a shell: 126 not executable, 127 not found; 125 for any other failure.
        status: i32,
        /// Why, for the user.
        cause: String,
    },
    /// It was unclaimed or stopped before its process started.
    NotStarted,
    /// Its process ended after the keeper that could have read its exit status.
    Lost,
    /// The kernel ended it by KILL, because there was no memory left for its control group.
    OutOfMemory,
    /// It ended on a host of an executor, where nobody knows how. Why that is so, for the user.
    LostThere(String),
}

/// The resources that an attempt used, from getrusage(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub user: Span,
    pub system: Span,
    /// The largest resident set, in KiB.
    pub max_rss_kib: u64,
}

macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        impl $type {
            /// All values, in the order of their definition.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns its word in columns, options and JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// Returns the value with this word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words!(RunState {
    Queued = "queued",
    Running = "running",
    Retrying = "retrying",
    Finished = "finished",
});
words!(JobState {
    Scheduled = "scheduled",
    Queued = "queued",
    Blocked = "blocked",
    Running = "running",
    Paused = "paused",
    Done = "done",
});
words!(Outcome {
    Success = "success",
    Failed = "failed",
    TimedOut = "timed_out",
    Cancelled = "cancelled",
    Missed = "missed",
    Skipped = "skipped",
    SpawnFailed = "spawn_failed",
    Lost = "lost",
});
words!(TriggerKind {
    At = "at",
    Cron = "cron",
    Calendar = "calendar",
    Every = "every",
    Path = "path",
    Job = "job",
    Emit = "emit",
    Stream = "stream",
    State = "state",
    Manual = "manual",
    Retry = "retry",
    Callback = "callback",
});
pub(crate) use words;
