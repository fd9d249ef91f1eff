//! Owns: from what a person calls a job or a run to the job or the run.
//! Never: what is then done with it.

use super::context::Failure;
use crate::domain::{JobId, JobKey, JobRef, RunId};
use crate::error::{Error, Result};
use crate::store::Reader;

/// How many similar names a hint offers.
const SIMILAR_NAMES_MAX: usize = 3;

/// A job, or one run of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A job.
    Job(JobId),
    /// A run.
    Run(RunId),
}

/// Reads what a person typed for a job or a run; `verb` is what is to be done with it.
pub fn parse(verb: &str, text: &str) -> Result<JobRef> {
    text.parse().map_err(|error| Error::usage(format!("{verb} `{text}`"), error))
}

/// Finds a job or a run.
pub fn find(reader: &Reader<'_>, verb: &str, text: &str) -> Result<Target, Failure> {
    let wanted = parse(verb, text)?;
    let Some(job) = reader.find_job(&wanted.job)? else {
        let error = Error::not_found(format!("{verb} job `{}`", job_text(&wanted)), "there is no such job");
        return Err(with_similar(reader, error, &wanted.job)?.into());
    };
    let Some(number) = wanted.number else { return Ok(Target::Job(job)) };
    let run = RunId { job, number };
    if reader.run(run)?.is_none() {
        let error = Error::not_found(format!("{verb} run `{text}`"), "there is no such run");
        return Err(error.hint(format!("see the job's runs with `taskq runs {}`", job_text(&wanted))).into());
    }
    Ok(Target::Run(run))
}

/// Finds a job where a run makes no sense.
pub fn find_job(reader: &Reader<'_>, verb: &str, text: &str) -> Result<JobId, Failure> {
    match find(reader, verb, text)? {
        Target::Job(job) => Ok(job),
        Target::Run(_) => {
            Err(Error::usage(format!("{verb} job `{text}`"), "that is a run, and a job is needed").into())
        }
    }
}

fn job_text(wanted: &JobRef) -> String {
    JobRef { job: wanted.job.clone(), number: None }.to_string()
}

fn with_similar(reader: &Reader<'_>, error: Error, key: &JobKey) -> Result<Error, Failure> {
    let similar = match key {
        JobKey::Id(_) => Vec::new(),
        JobKey::Name(name) => reader.similar_names(name, SIMILAR_NAMES_MAX)?,
    };
    Ok(if similar.is_empty() {
        error.hint("list all jobs with `taskq list --all`")
    } else {
        let names: Vec<String> = similar.iter().map(|name| format!("`{name}`")).collect();
        error.hint(format!("there is {}", names.join(", ")))
    })
}
