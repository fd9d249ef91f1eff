//! Owns: the tree of the jobs that a job runs after, and of those that run after it.
//! Never: whether a dependency holds (see `engine`).

use std::collections::HashSet;

use crate::domain::{JobId, JobName};
use crate::store::{JobView, Reader, StoreResult};

/// How many jobs a tree shows. A chain may have thousands.
const JOBS_MAX: usize = 20;

/// The direction of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The jobs that it runs after.
    Before,
    /// The jobs that run after it.
    After,
}

/// Returns a line for each job of the tree, indented by its depth, without the job itself.
pub fn lines(reader: &Reader<'_>, job: JobId, direction: Direction) -> StoreResult<Vec<String>> {
    let mut lines = Vec::new();
    let mut seen = HashSet::from([job]);
    // The last one is next.
    let mut open = neighbours(reader, job, direction, 0)?;
    open.reverse();
    while let Some(Node { id, shown, depth }) = open.pop() {
        if lines.len() == JOBS_MAX {
            lines.push("…".to_owned());
            break;
        }
        let indent = "  ".repeat(depth);
        let Some(id) = id else {
            lines.push(format!("{indent}{shown}, no such job"));
            continue;
        };
        let view = reader.job(id)?;
        if !seen.insert(id) {
            lines.push(format!("{indent}{shown}, as above"));
            continue;
        }
        lines.push(format!("{indent}{shown}, {}", standing(&view)));
        let mut next = neighbours(reader, id, direction, depth + 1)?;
        next.reverse();
        open.append(&mut next);
    }
    Ok(lines)
}

struct Node {
    /// `None`: there is no such job.
    id: Option<JobId>,
    shown: String,
    depth: usize,
}

fn neighbours(reader: &Reader<'_>, job: JobId, direction: Direction, depth: usize) -> StoreResult<Vec<Node>> {
    match direction {
        Direction::Before => reader
            .dependencies(job)?
            .into_iter()
            .map(|on| Ok(Node { id: reader.find_job(&on.on)?, shown: on.to_string(), depth }))
            .collect(),
        Direction::After => {
            let name = reader.name_of(job)?;
            let node = |id: JobId| {
                let shown = reader.name_of(id)?.as_ref().map_or_else(|| id.to_string(), JobName::to_string);
                Ok(Node { id: Some(id), shown, depth })
            };
            reader.dependents(job, name.as_ref())?.into_iter().map(node).collect()
        }
    }
}

/// Returns how far a job is: the end of its last run, and its state if it is not done.
fn standing(job: &JobView) -> String {
    match (job.done_at, job.last) {
        (Some(_), Some((run, outcome, _))) => format!("{outcome} ({run})"),
        (None, Some((run, outcome, _))) => format!("{}, last {outcome} ({run})", job.state),
        (_, None) => job.state.to_string(),
    }
}
