//! Owns: which dependencies a job may have: on jobs that exist, and without a cycle.
//! Never: whether a dependency holds (see `engine`).

use std::collections::HashSet;

use crate::domain::{Dependency, JobId, JobKey, NewJob};
use crate::error::{Error, Result};
use crate::store::{Reader, StoreResult};

/// Returns why a new job may not have its dependencies. A batch is checked whole, after it is stored, because
/// its jobs may name each other.
pub(super) fn refused_new(reader: &Reader<'_>, job: &NewJob, what: &str) -> StoreResult<Option<Error>> {
    let dependencies = &job.after.dependencies;
    let own_key = job.name.clone().map(JobKey::Name);
    let is_itself = |dependency: &Dependency| own_key.as_ref() == Some(&dependency.on);
    // Nothing depends on the id of a new job. Its name may be that of a job that it replaces.
    if let (Some(key), Some(name)) = (&own_key, &job.name)
        && (dependencies.iter().any(is_itself) || reader.is_depended_on(name)?)
    {
        let old = reader.find_job(key)?;
        let is_end = |on: &JobKey, id: Option<JobId>| on == key || id.is_some() && id == old;
        if let Some(path) = path_to(reader, keys(dependencies), awaited(reader), is_end)? {
            return Ok(Some(cycle(what, name.as_str(), &path)));
        }
    }
    refused_unknown(reader, dependencies, what)
}

/// Returns why a stored job may not have these dependencies.
pub fn refused_change(
    reader: &Reader<'_>,
    job: JobId,
    shown: &str,
    dependencies: &[Dependency],
    what: &str,
) -> StoreResult<Option<Error>> {
    if let Some(refused) = refused_unknown(reader, dependencies, what)? {
        return Ok(Some(refused));
    }
    let path = path_to(reader, keys(dependencies), awaited(reader), |_, id| id == Some(job))?;
    Ok(path.map(|path| cycle(what, shown, &path)))
}

/// Checks the dependencies of jobs that were added together, each with the words for its errors.
pub fn check_batch(reader: &Reader<'_>, jobs: &[(JobId, &str)]) -> StoreResult<Result<()>> {
    // The jobs from which no cycle is reached.
    let mut cleared: HashSet<JobId> = HashSet::new();
    for (job, what) in jobs {
        let dependencies = reader.dependencies(*job)?;
        if let Some(refused) = refused_unknown(reader, &dependencies, what)? {
            return Ok(Err(refused));
        }
        if let Some(path) = cycle_from(reader, *job, &mut cleared)? {
            return Ok(Err(cycle(what, &path[0], &path[1..])));
        }
    }
    Ok(Ok(()))
}

fn refused_unknown(
    reader: &Reader<'_>,
    dependencies: &[Dependency],
    what: &str,
) -> StoreResult<Option<Error>> {
    for dependency in dependencies {
        let on = reader.find_job(&dependency.on)?;
        if dependency.gives_stdin
            && let Some(on) = on
            && reader.job(on)?.definition.array.is_some()
        {
            let cause = format!("`--stdin-from {}`: an array has an output for each index", dependency.on);
            return Ok(Some(Error::usage(what, cause)));
        }
        if on.is_none() {
            let cause = format!("`--after {dependency}`: there is no job `{}`", dependency.on);
            return Ok(Some(Error::not_found(what, cause).hint("list all jobs with `taskq list --all`")));
        }
    }
    Ok(None)
}

fn keys(dependencies: &[Dependency]) -> Vec<JobKey> {
    dependencies.iter().map(|dependency| dependency.on.clone()).collect()
}

/// Returns the jobs that a job waits for.
fn awaited<'a>(reader: &'a Reader<'_>) -> impl Fn(JobId) -> StoreResult<Vec<JobKey>> + 'a {
    |job| Ok(keys(&reader.dependencies(job)?))
}

fn cycle(what: &str, first: &str, path: &[String]) -> Error {
    let path = [&[first.to_owned()], path].concat().join(" → ");
    Error::usage(what, format!("it would wait for itself: {path}"))
}

/// Returns the shortest path over the jobs that a job names to another one, if there is one, as the texts of
/// its steps. `named`: the jobs that a job names.
pub(super) fn path_to(
    reader: &Reader<'_>,
    from: Vec<JobKey>,
    named: impl Fn(JobId) -> StoreResult<Vec<JobKey>>,
    is_end: impl Fn(&JobKey, Option<JobId>) -> bool,
) -> StoreResult<Option<Vec<String>>> {
    let mut seen: HashSet<JobKey> = HashSet::new();
    // Each step with the place of the one before it.
    let mut steps: Vec<(JobKey, Option<usize>)> = from.into_iter().map(|on| (on, None)).collect();
    let mut place = 0;
    while let Some((on, _)) = steps.get(place).cloned() {
        let id = reader.find_job(&on)?;
        if is_end(&on, id) {
            let mut path: Vec<String> = std::iter::successors(Some(place), |place| steps[*place].1)
                .map(|place| steps[place].0.to_string())
                .collect();
            path.reverse();
            return Ok(Some(path));
        }
        if seen.insert(on) {
            let next = id.map_or(Ok(Vec::new()), &named)?;
            steps.extend(next.into_iter().map(|on| (on, Some(place))));
        }
        place += 1;
    }
    Ok(None)
}

/// Returns a cycle that is reached from a job, as the texts of its steps, the first one repeated at its end.
fn cycle_from(
    reader: &Reader<'_>,
    job: JobId,
    cleared: &mut HashSet<JobId>,
) -> StoreResult<Option<Vec<String>>> {
    /// A job on the path, and its dependencies that are left to follow.
    struct Step {
        job: JobId,
        shown: String,
        left: Vec<Dependency>,
    }
    let step = |job: JobId, shown: String| -> StoreResult<Step> {
        Ok(Step { job, shown, left: reader.dependencies(job)? })
    };
    let name = reader.name_of(job)?;
    let mut path = vec![step(job, name.map_or_else(|| job.to_string(), |name| name.to_string()))?];
    let mut on_path = HashSet::from([job]);
    while let Some(last) = path.last_mut() {
        let Some(next) = last.left.pop() else {
            on_path.remove(&last.job);
            cleared.insert(last.job);
            path.pop();
            continue;
        };
        let Some(id) = reader.find_job(&next.on)?.filter(|id| !cleared.contains(id)) else { continue };
        if !on_path.insert(id) {
            let from = path.iter().position(|step| step.job == id).expect("it is on the path");
            let mut steps: Vec<String> = path[from..].iter().map(|step| step.shown.clone()).collect();
            steps.push(steps[0].clone());
            return Ok(Some(steps));
        }
        path.push(step(id, next.on.to_string())?);
    }
    Ok(None)
}
