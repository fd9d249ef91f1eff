//! Owns: a job's definition: what to run, where, and when.
//! Never: its history.

use serde::{Deserialize, Serialize};

use super::{JobName, Policy, QueueName, Tag, Timestamp};

/// What a job runs. Bytes, since neither argv nor scripts need be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandLine {
    /// A program and its arguments, no shell between; never empty.
    Argv(Vec<Vec<u8>>),
    /// A script for `/bin/sh -c`.
    Script(Vec<u8>),
}

/// One variable of an environment, `NAME=VALUE` as in environ(7).
pub type EnvVar = Vec<u8>;

/// How a job's processes are started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// The command.
    pub command: CommandLine,
    /// The working directory, absolute.
    pub cwd: Vec<u8>,
    /// The whole environment, without the `TASKQ_*` variables that each start adds.
    pub env: Vec<EnvVar>,
    /// The file mode creation mask, as umask(2).
    pub umask: u32,
}

/// A job to be stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewJob {
    /// Its name, if it has one.
    pub name: Option<JobName>,
    /// How to find it again.
    pub tags: Vec<Tag>,
    /// What to run.
    pub execution: Execution,
    /// No fire before this instant.
    pub start: Option<Timestamp>,
    /// The queue that its runs wait in.
    pub queue: QueueName,
    /// -100 to 100, higher first.
    pub priority: i32,
    /// What about late, overlapping and endless runs.
    pub policy: Policy,
    /// Added paused.
    pub hold: bool,
}

impl NewJob {
    /// The lowest priority.
    pub const PRIORITY_MIN: i32 = -100;
    /// The highest priority.
    pub const PRIORITY_MAX: i32 = 100;
}
