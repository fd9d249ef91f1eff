//! Owns: the end of a run in words, and as the exit status of a command that waited for it.
//! Never: waiting.

use serde::Serialize;

use super::json::{ArrayJson, RunJson, document};
use crate::cli::context::Context;
use crate::domain::{JobId, Outcome, Timestamp};
use crate::error::Result;
use crate::shown::{self, counted};
use crate::store::{ArrayProgress, AttemptView, RunView};

/// The exit status of a cancelled run: as if a shell had ended by INT.
const CANCELLED: u8 = 130;

/// How many runs a wait names that did not succeed.
const NAMED_MAX: usize = 5;

/// Returns more than the exit status about a run that did not succeed: `run 5.1: timed_out`.
pub fn ending(run: &RunView) -> Option<String> {
    let outcome = run.outcome?;
    let detail = match outcome {
        Outcome::Success => return None,
        Outcome::Failed => {
            let signal = run.signal.filter(|_| run.exit_code.is_none())?;
            format!(", {}{}", shown::signal_name(signal), why(run.cause.as_deref()))
        }
        Outcome::TimedOut
        | Outcome::Cancelled
        | Outcome::Missed
        | Outcome::Skipped
        | Outcome::SpawnFailed
        | Outcome::Lost => why(run.cause.as_deref()),
    };
    Some(shown::escaped(&format!("run {}: {outcome}{detail}", run.run)).into_owned())
}

/// Returns how it ended, to follow the outcome: `, exit 2`, `, SIGKILL`, or the cause.
fn detail(
    outcome: Option<Outcome>,
    (exit_code, signal): (Option<i32>, Option<i32>),
    cause: Option<&str>,
) -> String {
    match (outcome, exit_code, signal) {
        (Some(Outcome::Failed), Some(code), _) => format!(", exit {code}"),
        (Some(Outcome::Failed), None, Some(signal)) => {
            format!(", {}{}", shown::signal_name(signal), why(cause))
        }
        _ => why(cause),
    }
}

fn why(cause: Option<&str>) -> String {
    cause.map_or_else(String::new, |cause| format!(", {cause}"))
}

/// Returns a line about an attempt after which the run is tried again.
pub fn attempt_ending(run: &RunView, ended: &AttemptView, now: Timestamp) -> String {
    let outcome = ended.outcome.map_or_else(String::new, |outcome| format!(" {outcome}"));
    let detail = detail(ended.outcome, (ended.exit_code, ended.signal), ended.cause.as_deref());
    let next = run.retry_at.filter(|_| run.attempt == ended.number + 1);
    let next =
        next.map_or_else(String::new, |at| format!("; trying again in {}", shown::span(at.since(now))));
    shown::escaped(&format!("attempt {} of run {}{outcome}{detail}{next}", ended.number, run.run))
        .into_owned()
}

/// Returns the exit status of a command that waited for this run: the run's own if it has one.
pub fn exit_status(run: &RunView) -> u8 {
    let status = match (run.outcome, run.exit_code, run.signal) {
        (Some(Outcome::Success), ..) => 0,
        (Some(Outcome::TimedOut), ..) => 124,
        (Some(Outcome::Cancelled), ..) => i32::from(CANCELLED),
        (Some(Outcome::Failed | Outcome::SpawnFailed), Some(code), _) => code,
        (Some(Outcome::Failed), None, Some(signal)) => 128 + signal,
        (
            Some(Outcome::Failed | Outcome::SpawnFailed | Outcome::Lost | Outcome::Missed | Outcome::Skipped)
            | None,
            ..,
        ) => 125,
    };
    u8::try_from(status).unwrap_or(125)
}

/// Something that a command waited for, and that has ended.
#[derive(Clone, Debug)]
pub enum Ended {
    Run(Box<RunView>),
    /// A job that was cancelled before it had a run.
    Cancelled(JobId),
    Array(JobId, ArrayProgress),
}

impl Ended {
    fn exit_status(&self) -> u8 {
        match self {
            Self::Run(run) => exit_status(run),
            Self::Cancelled(_) => CANCELLED,
            Self::Array(_, array) => u8::from(array.outcome != Some(Outcome::Success)),
        }
    }

    /// Returns what else a person should know about its end.
    fn text(&self) -> Option<String> {
        match self {
            Self::Run(run) => ending(run),
            Self::Cancelled(job) => Some(format!("job {job} was cancelled before its time")),
            Self::Array(job, array) => (array.unsuccessful() > 0).then(|| {
                let indices = counted(array.total as usize, "run");
                let unsuccessful = array.unsuccessful();
                let see = if array.failed > 0 {
                    format!("; see `taskq runs {job} --failed`")
                } else {
                    String::new()
                };
                format!("{unsuccessful} of {indices} did not succeed{see}")
            }),
        }
    }

    /// Returns the line about it among others: `12.1 build-4 failed, exit 2`.
    fn failure(&self) -> String {
        let run = match self {
            Self::Run(run) => run,
            Self::Cancelled(job) => return format!("job {job} cancelled before its time"),
            Self::Array(job, array) => {
                return format!("array {job}, {} of {} runs", array.unsuccessful(), array.total);
            }
        };
        let name = run.name.as_ref().map_or_else(String::new, |name| format!(" {name}"));
        let outcome = run.outcome.map_or_else(|| run.state.to_string(), |outcome| outcome.to_string());
        let detail = detail(run.outcome, (run.exit_code, run.signal), run.cause.as_deref());
        shown::escaped(&format!("{}{name} {outcome}{detail}", run.run)).into_owned()
    }
}

/// Returns the exit status of a wait for all of these, and prints what failed if the status is not enough.
pub fn conclude(context: &Context<'_>, ended: &[Ended]) -> u8 {
    if let [one] = ended {
        one.text().iter().for_each(|text| context.output.talk(text));
        return one.exit_status();
    }
    let failed: Vec<&Ended> = ended.iter().filter(|ended| ended.exit_status() != 0).collect();
    if failed.is_empty() {
        return 0;
    }
    context.output.talk(&format!("{} of {} did not succeed:", failed.len(), counted(ended.len(), "run")));
    failed.iter().take(NAMED_MAX).for_each(|ended| context.output.talk(&format!("  {}", ended.failure())));
    if failed.len() > NAMED_MAX {
        context.output.talk(&format!("  and {} more; see `taskq runs --failed`", failed.len() - NAMED_MAX));
    }
    1
}

/// Prints the document about what a command waited for.
pub fn answer_json(context: &Context<'_>, ended: &[Ended]) -> Result<()> {
    let mut document_of = EndedJson { runs: Vec::new(), arrays: Vec::new() };
    for ended in ended {
        match ended {
            Ended::Run(run) => document_of.runs.push(RunJson::from(&**run)),
            Ended::Array(job, array) => document_of.arrays.push(ArrayJson::of(*job, array)),
            Ended::Cancelled(_) => {}
        }
    }
    context.output.json(&document(document_of))
}

#[derive(Serialize)]
struct EndedJson {
    runs: Vec<RunJson>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    arrays: Vec<ArrayJson>,
}
