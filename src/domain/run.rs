//! Owns: the states, outcomes and ends of a run.
//! Never: who decides on them (see `engine`).

use serde::{Deserialize, Serialize};

use super::Span;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Made, not started.
    Queued,
    /// Its process was started and has not been seen to end.
    Running,
    /// Over, with an outcome.
    Finished,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits for its next fire.
    Scheduled,
    /// A run of it waits for a slot.
    Queued,
    /// A run of it waits for something other than a slot.
    Blocked,
    /// A run of it has a process.
    Running,
    /// It does not fire until it is resumed.
    Paused,
    /// It will not fire again.
    Done,
}

/// How a fire ended. Every fire has exactly one, in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It exited with 0.
    Success,
    /// It exited with another status, or a signal of somebody else's ended it.
    Failed,
    /// `--timeout` ended it.
    TimedOut,
    /// A person, or a newer run under `--overlap replace`, ended it or dropped it.
    Cancelled,
    /// Found too late to be run.
    Missed,
    /// Not run because of a rule of the job's.
    Skipped,
    /// The system would not start it.
    SpawnFailed,
    /// The keeper was gone, and its status with it.
    Lost,
}

impl Outcome {
    /// Tells whether it is one that somebody should look at.
    pub fn is_failure(self) -> bool {
        match self {
            Self::Failed | Self::TimedOut | Self::SpawnFailed | Self::Lost => true,
            Self::Success | Self::Cancelled | Self::Missed | Self::Skipped => false,
        }
    }
}

/// What made a run: the value of `TASKQ_TRIGGER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerKind {
    /// `--at`
    At,
    /// `--cron`
    Cron,
    /// `--every`
    Every,
    /// No trigger: `taskq add` without one, or `taskq run`.
    Manual,
}

/// Why a run was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StopCause {
    /// Its `--timeout` was over.
    TimedOut,
    /// It was cancelled.
    Cancelled,
}

/// How an attempt's process ended, as the keeper saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It exited with this status, 0-255.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
    /// There was no process: the status a shell would give (126 not executable, 127 not found, 125 anything
    /// else), and why.
    SpawnFailed {
        /// 125, 126 or 127.
        status: i32,
        /// A fragment for a person.
        cause: String,
    },
    /// It was withdrawn before its process was started.
    NotStarted,
    /// Its process ended, and the keeper that could have read the exit status was gone by then.
    Lost,
}

/// What an attempt used, from getrusage(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Time in user mode.
    pub user: Span,
    /// Time in the kernel.
    pub system: Span,
    /// The largest resident set, in KiB.
    pub max_rss_kib: u64,
}

macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        impl $type {
            /// Every value, in the order of its definition.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the word for it in columns, options and JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// Returns what the word stands for, if it is one of these.
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

words!(RunState { Queued = "queued", Running = "running", Finished = "finished" });
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
words!(TriggerKind { At = "at", Cron = "cron", Every = "every", Manual = "manual" });
pub(crate) use words;
