//! Owns: the answer of a verb that has queued runs.
//! Never: queueing them.

use super::context::Context;
use super::view::json::{RunJson, Runs, document};
use crate::daemon::running_daemon;
use crate::domain::RunId;
use crate::error::Result;
use crate::store::{RunView, StoreResult};

/// Prints the runs, and tells a person if no daemon will start them.
pub fn answer(context: &Context<'_>, what: &str, runs: &[RunId], json: bool) -> Result<()> {
    if json {
        let views = context.read(what, |reader| {
            let views: StoreResult<Vec<_>> = runs.iter().map(|run| reader.run(*run)).collect();
            Ok(views?.into_iter().flatten().collect::<Vec<_>>())
        })?;
        answer_json(context, &views)?;
    } else {
        context.output.answer(&names(runs))?;
    }
    if running_daemon(&context.dir).is_none() {
        context.output.confirm("no daemon is running: start one with `taskq daemon`");
    }
    Ok(())
}

pub fn answer_json(context: &Context<'_>, runs: &[RunView]) -> Result<()> {
    context.output.json(&document(Runs { runs: runs.iter().map(RunJson::from).collect() }))
}

/// Returns the names of runs, one a line.
pub fn names(runs: &[RunId]) -> String {
    runs.iter().map(|run| format!("{run}\n")).collect()
}
