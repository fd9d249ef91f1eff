//! Owns: what a keeper runs, the tries of it, and their names.
//! Never: how it is started.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{JobId, RunId};

/// A thing that a keeper runs.
///
/// In messages it is two numbers, as in the first version: a run's job (from 1) and number, 0 and a mail, -1
/// and a requirement, or -2 and a number. Other negative numbers are free for later kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "(i64, i64)", try_from = "(i64, i64)")]
pub enum Task {
    /// A run of a job.
    Run(RunId),
    /// The sending of this mail.
    Mail(i64),
    /// A script of this requirement, which says whether a gate is open.
    Gate(i64),
    /// A command that speaks to a host of an executor.
    Executor(i64),
}

impl From<Task> for (i64, i64) {
    fn from(task: Task) -> Self {
        match task {
            Task::Run(run) => (run.job.0, run.number),
            Task::Mail(mail) => (0, mail),
            Task::Gate(requirement) => (-1, requirement),
            Task::Executor(number) => (-2, number),
        }
    }
}

impl From<RunId> for Task {
    fn from(run: RunId) -> Self {
        Self::Run(run)
    }
}

impl TryFrom<(i64, i64)> for Task {
    type Error = &'static str;

    fn try_from((kind, number): (i64, i64)) -> Result<Self, Self::Error> {
        match kind {
            1.. => Ok(Self::Run(RunId { job: JobId(kind), number })),
            0 => Ok(Self::Mail(number)),
            -1 => Ok(Self::Gate(number)),
            -2 => Ok(Self::Executor(number)),
            _ => Err("a task of an unknown kind"),
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(run) => run.fmt(f),
            Self::Mail(mail) => write!(f, "{MAIL}{mail}"),
            Self::Gate(requirement) => write!(f, "{GATE}{requirement}"),
            Self::Executor(number) => write!(f, "{EXECUTOR}{number}"),
        }
    }
}

const MAIL: &str = "mail-";
const GATE: &str = "gate-";
const EXECUTOR: &str = "executor-";

impl Task {
    /// Reads what `Display` writes: the name of the task's output file.
    pub fn from_name(name: &str) -> Option<Self> {
        if let Some(mail) = name.strip_prefix(MAIL) {
            return Some(Self::Mail(mail.parse().ok()?));
        }
        if let Some(requirement) = name.strip_prefix(GATE) {
            return Some(Self::Gate(requirement.parse().ok()?));
        }
        if let Some(number) = name.strip_prefix(EXECUTOR) {
            return Some(Self::Executor(number.parse().ok()?));
        }
        let (job, number) = name.split_once('.')?;
        Some(Self::Run(RunId { job: JobId(job.parse().ok()?), number: number.parse().ok()? }))
    }
}

/// One try of a task. Starts, stops and results name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attempt {
    /// The task.
    pub task: Task,
    /// The number of the try, from 1.
    pub number: u32,
}

impl Attempt {
    pub fn of_run(run: RunId, number: u32) -> Self {
        Self { task: Task::Run(run), number }
    }

    /// Returns the sending of a mail.
    pub fn of_mail(mail: i64) -> Self {
        Self { task: Task::Mail(mail), number: 1 }
    }

    /// Returns the run, if it is an attempt of one.
    pub fn run(self) -> Option<RunId> {
        match self.task {
            Task::Run(run) => Some(run),
            Task::Mail(_) | Task::Gate(_) | Task::Executor(_) => None,
        }
    }
}
