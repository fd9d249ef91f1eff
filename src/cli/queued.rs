//! Owns: the answer of a verb that has queued runs.
//! Never: queueing them.

use serde::Serialize;

use super::context::Context;
use super::view::json::{RunJson, document};
use crate::cli::view::why::NO_DAEMON;
use crate::daemon::running_daemon;
use crate::domain::{FireId, JobId};
use crate::error::Result;
use crate::store::{RunView, StoreResult};

/// Prints the runs, and tells a person if no daemon will start them.
pub fn answer(context: &Context<'_>, what: &str, fires: &[FireId], json: bool) -> Result<()> {
    if json {
        let views = context.read(what, |reader| {
            let run = |fire: &FireId| match fire {
                FireId::Run(run) => reader.run(*run),
                FireId::Array { .. } => Ok(None),
            };
            let views: StoreResult<Vec<_>> = fires.iter().map(run).collect();
            Ok(views?.into_iter().flatten().collect::<Vec<_>>())
        })?;
        let array = |fire: &FireId| match fire {
            FireId::Run(_) => None,
            FireId::Array { job, .. } => Some(*job),
        };
        answer_json(context, &views, fires.iter().filter_map(array).collect())?;
    } else {
        context.output.answer(&names(fires))?;
    }
    if running_daemon(&context.dir).is_none() {
        context.output.confirm(NO_DAEMON);
    }
    Ok(())
}

/// Prints the document about runs, and about arrays by their jobs.
pub fn answer_json(context: &Context<'_>, runs: &[RunView], arrays: Vec<JobId>) -> Result<()> {
    let runs = runs.iter().map(RunJson::from).collect();
    context.output.json(&document(QueuedJson { runs, arrays }))
}

#[derive(Serialize)]
struct QueuedJson {
    runs: Vec<RunJson>,
    /// The jobs of arrays, whose runs are made as they start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    arrays: Vec<JobId>,
}

/// Returns the names of runs, one a line; of an array, its job.
pub fn names(fires: &[FireId]) -> String {
    fires.iter().map(|fire| format!("{fire}\n")).collect()
}
