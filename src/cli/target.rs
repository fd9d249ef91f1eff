//! Owns: finding the job, run or queue that a person named.
//! Never: what a verb then does with it.

use crate::cli::context::Failure;
use crate::domain::{JobId, JobKey, JobPart, JobRef, QueueName, RunId};
use crate::error::{Error, Result};
use crate::store::Reader;

/// How many similar names a hint offers.
const SIMILAR_NAMES_MAX: usize = 3;

/// A word that is typed for all jobs, if no job has this name.
const ALL: &str = "all";

/// The verbs with an option for all jobs, as errors call them.
const SELECTING: [&str; 4] = ["cancel", "wait for", "pause", "resume"];

/// A job, one run of it, or indices of its array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Job(JobId),
    Run(RunId),
    /// From the first to the last of these. At least one is of the array.
    Indices(JobId, u32, u32),
}

/// Reads the name of a job or a run. Errors say `cannot VERB job …`.
pub fn parse(verb: &str, text: &str) -> Result<JobRef> {
    text.parse().map_err(|error| Error::usage(format!("{verb} job `{text}`"), error))
}

/// Finds a job, a run or indices.
pub fn find(reader: &Reader<'_>, verb: &str, text: &str) -> Result<Target, Failure> {
    let wanted = parse(verb, text)?;
    let job = find_key(reader, verb, &wanted)?;
    let number = match wanted.part {
        JobPart::Whole => return Ok(Target::Job(job)),
        JobPart::Run(number) => number,
        JobPart::Indices(first, last) => {
            check_indices(reader, &format!("{verb} `{text}`"), job, (first, last))?;
            return Ok(Target::Indices(job, first, last));
        }
    };
    let run = RunId { job, number };
    if reader.run(run)?.is_none() {
        let error = Error::not_found(format!("{verb} run `{text}`"), "there is no such run");
        return Err(error.hint(format!("see the job's runs with `taskq runs {}`", job_text(&wanted))).into());
    }
    Ok(Target::Run(run))
}

fn check_indices(
    reader: &Reader<'_>,
    what: &str,
    job: JobId,
    (first, last): (u32, u32),
) -> Result<(), Failure> {
    let Some(array) = reader.job(job)?.definition.array else {
        return Err(Error::not_found(what, format!("job {job} is not an array"))
            .hint(format!("see its runs with `taskq runs {job}`"))
            .into());
    };
    // Runs of an array that was changed since have other indices.
    if array.indices.within(first, last).is_none() && reader.runs_of_indices(job, first, last)?.is_empty() {
        return Err(Error::not_found(what, format!("the indices of job {job} are {}", array.indices)).into());
    }
    Ok(())
}

/// Finds a job; the name of a run is an error.
pub fn find_job(reader: &Reader<'_>, verb: &str, text: &str) -> Result<JobId, Failure> {
    let wanted = parse(verb, text)?;
    if wanted.part != JobPart::Whole {
        let is = match wanted.part {
            JobPart::Indices(..) => "that is a part of an array, not a job",
            JobPart::Run(_) | JobPart::Whole => "that is a run, not a job",
        };
        let error = Error::usage(format!("{verb} job `{text}`"), is);
        return Err(error.hint(format!("name its job, `{}`", job_text(&wanted))).into());
    }
    find_key(reader, verb, &wanted)
}

fn find_key(reader: &Reader<'_>, verb: &str, wanted: &JobRef) -> Result<JobId, Failure> {
    if let Some(job) = reader.find_job(&wanted.job)? {
        return Ok(job);
    }
    let error = Error::not_found(format!("{verb} job `{}`", job_text(wanted)), "there is no such job");
    if job_text(wanted) == ALL && SELECTING.contains(&verb) {
        return Err(error.hint("for all jobs there is `--all`").into());
    }
    Err(with_similar(reader, error, &wanted.job)?.into())
}

/// Reads the name of a queue, which must exist. Errors say that `what` was being done.
pub fn find_queue(reader: &Reader<'_>, what: &str, text: &str) -> Result<QueueName, Failure> {
    let queue: QueueName = text.parse().map_err(|error| Error::usage(what, error))?;
    if reader.has_queue(&queue)? {
        return Ok(queue);
    }
    Err(Error::not_found(what, format!("there is no queue `{queue}`"))
        .hint("list them with `taskq queue`")
        .into())
}

fn job_text(wanted: &JobRef) -> String {
    JobRef { job: wanted.job.clone(), part: JobPart::Whole }.to_string()
}

fn with_similar(reader: &Reader<'_>, error: Error, key: &JobKey) -> Result<Error, Failure> {
    let similar = match key {
        JobKey::Id(_) => Vec::new(),
        JobKey::Name(name) => similar(name.as_str(), reader.names()?),
    };
    Ok(if similar.is_empty() {
        error.hint("list all jobs with `taskq list --all`")
    } else {
        let names: Vec<String> = similar.iter().map(|name| format!("`{name}`")).collect();
        error.hint(format!("did you mean {}?", names.join(" or ")))
    })
}

/// Returns similar names, the most similar first: a typing error or two away, or longer.
fn similar(wanted: &str, names: Vec<String>) -> Vec<String> {
    let slips_max = wanted.len().div_ceil(4);
    let mut near: Vec<(usize, String)> = names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(wanted, &name), name))
        .filter(|(slips, name)| *slips <= slips_max || name.starts_with(wanted))
        .collect();
    near.sort();
    near.truncate(SIMILAR_NAMES_MAX);
    near.into_iter().map(|(_, name)| name).collect()
}
