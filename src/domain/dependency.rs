//! Owns: the dependencies of a job on the runs of other jobs.
//! Never: deciding whether they hold (see `engine`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::run::words;
use super::{InvalidId, JobKey, JobRef, Outcome};

/// How the run of the other job has to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterCondition {
    #[default]
    Success,
    /// It failed, timed out, could not be started, was lost or was cancelled.
    Failed,
    /// One of the two.
    Done,
}

words!(AfterCondition { Success = "success", Failed = "failed", Done = "done" });

impl AfterCondition {
    /// Returns whether a run that ended so fulfils it. A run that was missed or skipped fulfils none.
    pub fn holds(self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Success => matches!(self, Self::Success | Self::Done),
            Outcome::Failed
            | Outcome::TimedOut
            | Outcome::SpawnFailed
            | Outcome::Lost
            | Outcome::Cancelled => matches!(self, Self::Failed | Self::Done),
            Outcome::Missed | Outcome::Skipped => false,
        }
    }
}

/// One `--after`. A name stays a name, and is looked up at each decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    pub on: JobKey,
    pub condition: AfterCondition,
    /// The output of its run is the standard input, `--stdin-from`.
    pub gives_stdin: bool,
}

/// `--after` and `--any`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    pub dependencies: Vec<Dependency>,
    /// One of them is enough.
    pub any: bool,
}

impl After {
    /// Returns the job of `--stdin-from`.
    pub fn stdin_from(&self) -> Option<&JobKey> {
        self.dependencies.iter().find(|dependency| dependency.gives_stdin).map(|dependency| &dependency.on)
    }

    /// Makes a job that of `--stdin-from`, or none. Returns whether that job is among the dependencies.
    pub fn take_stdin_from(&mut self, job: Option<&JobKey>) -> bool {
        for dependency in &mut self.dependencies {
            dependency.gives_stdin = job == Some(&dependency.on);
        }
        job.is_none() || self.stdin_from().is_some()
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.condition {
            AfterCondition::Success => self.on.fmt(f),
            AfterCondition::Failed | AfterCondition::Done => write!(f, "{}:{}", self.on, self.condition),
        }
    }
}

impl FromStr for Dependency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (job, condition) = match text.split_once(':') {
            None => (text, AfterCondition::Success),
            Some((job, word)) => (
                job,
                AfterCondition::from_word(word).ok_or_else(|| {
                    format!("`{word}` in `{text}` is not one of `success`, `failed` and `done`")
                })?,
            ),
        };
        let named: JobRef = job.parse().map_err(|error: InvalidId| error.to_string())?;
        match named.whole() {
            Ok(on) => Ok(Self { on, condition, gives_stdin: false }),
            Err(job) => Err(format!("`{text}` names a part of a job: name the job, `{job}`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_is_shown_in_the_form_that_is_read() {
        for (text, shown) in [
            ("12", "12"),
            ("backup:success", "backup"),
            ("backup:failed", "backup:failed"),
            ("7:done", "7:done"),
        ] {
            let dependency: Dependency = text.parse().expect(text);
            assert_eq!(dependency.to_string(), shown);
            assert_eq!(shown.parse(), Ok(dependency));
        }
        for bad in ["", "a:", "a:ok", "a.1", "a:success:done", ":done", "a b"] {
            assert!(bad.parse::<Dependency>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_missed_or_skipped_run_fulfils_no_condition() {
        let held = |outcome| {
            let holding = AfterCondition::ALL.iter().filter(|condition| condition.holds(outcome));
            holding.map(|condition| condition.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(held(Outcome::Success), ["success", "done"]);
        for outcome in [Outcome::Failed, Outcome::TimedOut, Outcome::SpawnFailed, Outcome::Lost] {
            assert_eq!(held(outcome), ["failed", "done"]);
        }
        assert_eq!(held(Outcome::Cancelled), ["failed", "done"]);
        assert_eq!(held(Outcome::Missed), [""; 0]);
        assert_eq!(held(Outcome::Skipped), [""; 0]);
    }
}
