//! Owns: the end of a run in words, and as the exit status of a command that waited for it.
//! Never: waiting.

use crate::cli::context::Context;
use crate::domain::Outcome;
use crate::shown;
use crate::store::RunView;

/// Returns more than the exit status about a run that did not succeed: `run 5.1: timed_out`.
pub fn ending(run: &RunView) -> Option<String> {
    let outcome = run.outcome?;
    let detail = match outcome {
        Outcome::Success => return None,
        Outcome::Failed => {
            format!(", {}", shown::signal_name(run.signal.filter(|_| run.exit_code.is_none())?))
        }
        Outcome::TimedOut
        | Outcome::Cancelled
        | Outcome::Missed
        | Outcome::Skipped
        | Outcome::SpawnFailed
        | Outcome::Lost => run.cause.as_ref().map_or(String::new(), |cause| format!(", {cause}")),
    };
    Some(shown::escaped(&format!("run {}: {outcome}{detail}", run.run)).into_owned())
}

/// Returns the exit status of a command that waited for this run: the run's own if it has one.
pub fn exit_status(run: &RunView) -> u8 {
    let status = match (run.outcome, run.exit_code, run.signal) {
        (Some(Outcome::Success), ..) => 0,
        (Some(Outcome::TimedOut), ..) => 124,
        (Some(Outcome::Cancelled), ..) => 130,
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

/// Returns the exit status of a wait for these runs, and prints more about it if the status is not enough.
pub fn conclude(context: &Context<'_>, runs: &[RunView]) -> u8 {
    if let [run] = runs {
        if let Some(text) = ending(run) {
            context.output.talk(&text);
        }
        return exit_status(run);
    }
    let failed = runs.iter().filter(|run| exit_status(run) != 0).count();
    if failed > 0 {
        context.output.talk(&format!("{failed} of {} runs did not succeed; see `taskq runs`", runs.len()));
    }
    u8::from(failed > 0)
}
