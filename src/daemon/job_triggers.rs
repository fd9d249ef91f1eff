//! Owns: which jobs the triggers of a job may listen to: those that exist, and no cycle that never ends.
//! Never: what a trigger does when it hears of a run (see `engine`).
//!
//! A pattern or a tag may mean no job yet, and closes no cycle: chains of runs have a greatest length.

use super::dependencies::path_to;
use crate::domain::{EventSource, EventTrigger, JobId, JobKey, JobName, JobPattern, TriggerSpec};
use crate::error::{Error, Result};
use crate::store::{Reader, StoreResult};

/// The job whose triggers are checked.
#[derive(Clone, Copy, Debug)]
pub struct Listening<'a> {
    /// The operation, for errors.
    pub what: &'a str,
    /// `None`: it is not stored yet.
    pub job: Option<JobId>,
    pub name: Option<&'a JobName>,
    /// It fires only so many times, so that no cycle goes on for ever.
    pub has_times: bool,
}

/// Returns why a job may not have these triggers.
pub fn refused_triggers(
    reader: &Reader<'_>,
    listening: &Listening<'_>,
    triggers: &[&TriggerSpec],
) -> StoreResult<Option<Error>> {
    let events = || triggers.iter().filter_map(|trigger| trigger.event());
    let own = listening.name.cloned().map(JobKey::Name);
    for (event, key) in events().filter_map(|event| Some((event, named_job(event)?))) {
        let is_itself = own.as_ref() == Some(key);
        if !is_itself && reader.find_job(key)?.is_none() {
            let cause = format!("`--on {event}`: there is no job `{key}`");
            return Ok(Some(
                Error::usage(listening.what, cause).hint("list all jobs with `taskq list --all`"),
            ));
        }
    }
    let keys: Vec<JobKey> = events().filter_map(named_job).cloned().collect();
    if listening.has_times || keys.is_empty() {
        return Ok(None);
    }
    // The name of a new job may be that of one that it replaces.
    let id = match (listening.job, &own) {
        (Some(job), _) => Some(job),
        (None, Some(key)) => reader.find_job(key)?,
        (None, None) => None,
    };
    let is_end =
        |key: &JobKey, found: Option<JobId>| own.as_ref() == Some(key) || id.is_some() && found == id;
    let Some(mut path) = path_to(reader, keys, |job| causes(reader, job), is_end)? else { return Ok(None) };
    path.insert(0, path.last().cloned().unwrap_or_default());
    // From cause to effect.
    path.reverse();
    let cause = format!("its runs would cause themselves for ever: {}", path.join(" → "));
    Ok(Some(Error::usage(listening.what, cause).hint("bound it with `--times N`")))
}

/// Checks the triggers of jobs that were added together, each with the words for its errors.
pub fn check_triggers(reader: &Reader<'_>, jobs: &[(JobId, &str)]) -> StoreResult<Result<()>> {
    for (job, what) in jobs {
        let view = reader.job(*job)?;
        let listening = Listening {
            what,
            job: Some(*job),
            name: view.definition.name.as_ref(),
            has_times: view.definition.times.is_some(),
        };
        let triggers: Vec<&TriggerSpec> = view.triggers.iter().map(|trigger| &trigger.spec).collect();
        if let Some(refused) = refused_triggers(reader, &listening, &triggers)? {
            return Ok(Err(refused));
        }
    }
    Ok(Ok(()))
}

/// Returns the jobs whose runs cause runs of a job, for ever.
fn causes(reader: &Reader<'_>, job: JobId) -> StoreResult<Vec<JobKey>> {
    let view = reader.job(job)?;
    if view.definition.times.is_some() {
        return Ok(Vec::new());
    }
    let listening = view.triggers.iter().filter(|trigger| trigger.listener.is_some());
    let events = listening.filter_map(|trigger| trigger.spec.event());
    Ok(events.filter_map(|event| named_job(event).cloned()).collect())
}

fn named_job(event: &EventTrigger) -> Option<&JobKey> {
    match &event.source {
        EventSource::Job(source) => match &source.jobs {
            JobPattern::One(key) => Some(key),
            JobPattern::Names(_) | JobPattern::Tagged(_) => None,
        },
        EventSource::Path(_) | EventSource::Emit(_) | EventSource::Stream(_) | EventSource::State(_) => None,
    }
}
