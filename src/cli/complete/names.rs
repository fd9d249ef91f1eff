//! Owns: the names in the store as candidates, with their descriptions.
//! Never: a store that is not there, which has no names.

use std::path::Path;

use super::candidate::{Answer, Candidate};
use super::kind::Which;
use crate::domain::{Executor, ExecutorName, JobRef, Outcome, RunState, Timestamp};
use crate::shown::{self, counted};
use crate::store::{COUNT_MAX, KnownJob, NamedQueue, NamedRun, Reader, ResourceView, Store, StoreResult};
use crate::system::machine;

/// Of a resource with at most so many parts, each number is offered.
const PARTS_MAX: u64 = 16;

/// Of more jobs that are done, the latest are offered: the others are found by their first letters.
const DONE_MAX: usize = 100;

/// The names of a store.
pub struct Names<'a> {
    dir: &'a Path,
    now: Timestamp,
}

impl<'a> Names<'a> {
    pub fn new(dir: &'a Path, now: Timestamp) -> Self {
        Self { dir, now }
    }

    /// Reads from the store. Whatever fails, there is then nothing to offer.
    fn read<T: Default>(&self, read: impl FnOnce(&Reader<'_>) -> StoreResult<T>) -> T {
        match Store::look(self.dir) {
            Ok(Some(mut store)) => store.read(read).unwrap_or_default(),
            Ok(None) | Err(_) => T::default(),
        }
    }

    /// Returns jobs by their names, or by their ids if these are typed or there is no name.
    pub fn jobs(&self, text: &str, which: Which) -> Vec<Candidate> {
        let mut jobs = self.read(|reader| match which {
            Which::Running => reader.running_jobs(),
            Which::All | Which::Living | Which::Paused | Which::Done => reader.jobs_like(text),
        });
        match which {
            Which::All | Which::Running => {}
            Which::Living => jobs.retain(|job| !job.is_done),
            Which::Paused => {
                jobs.retain(|job| !job.is_done);
                jobs.sort_by_key(|job| !job.is_paused);
            }
            Which::Done => jobs.sort_by_key(|job| !job.is_done),
        }
        let mut done = 0..DONE_MAX;
        jobs.retain(|job| !job.is_done || done.next().is_some());
        jobs.iter().filter_map(|job| job_candidate(job, text)).collect()
    }

    /// Returns jobs whose run is to be named.
    pub fn jobs_with_point(&self, text: &str) -> Vec<Candidate> {
        let with_point = |Candidate { value, about }| Candidate { value: format!("{value}."), about };
        self.jobs(text, Which::All).into_iter().map(with_point).collect()
    }

    /// Returns the numbers of the runs of a job, the latest first.
    pub fn runs(&self, job: &str, number: &str, which: Which) -> Vec<Candidate> {
        let Ok(JobRef { job, .. }) = job.parse() else { return Vec::new() };
        let unfinished = matches!(which, Which::Living | Which::Paused | Which::Running);
        let mut runs = self.read(|reader| match reader.find_job(&job)? {
            Some(job) => reader.runs_like(job, number, unfinished),
            None => Ok(Vec::new()),
        });
        match which {
            Which::Running => runs.retain(|run| run.state == RunState::Running),
            Which::Done => runs.retain(|run| run.state == RunState::Finished),
            Which::All | Which::Living | Which::Paused => {}
        }
        let about = |run: &NamedRun| Candidate::new(run.number.to_string(), self.about_run(run));
        runs.iter().map(about).collect()
    }

    /// Returns what became of a run, and when: `failed, exit 1, 2h 5m ago`.
    fn about_run(&self, run: &NamedRun) -> String {
        let state = run.outcome.map_or(run.state.as_str(), Outcome::as_str);
        let status = run.exit_code.filter(|code| *code != 0).map(|code| format!(", exit {code}"));
        let ago = shown::span(self.now.since(run.at));
        match run.state {
            RunState::Running => format!("{state} for {ago}"),
            RunState::Queued | RunState::Retrying | RunState::Finished => {
                format!("{state}{}, {ago} ago", status.unwrap_or_default())
            }
        }
    }

    pub fn queues(&self, text: &str) -> Vec<Candidate> {
        let queues = self.read(|reader| reader.queues_like(text));
        queues.iter().map(|queue| Candidate::new(queue.name.as_str(), about_queue(queue))).collect()
    }

    pub fn tags(&self, text: &str) -> Vec<Candidate> {
        let about = |count| match count {
            1 => "1 job".to_owned(),
            _ => format!("{} jobs", bounded(count)),
        };
        let tags = self.read(|reader| reader.tags_like(text));
        tags.into_iter().map(|(tag, count)| Candidate::new(tag.as_str(), about(count))).collect()
    }

    pub fn events(&self, text: &str) -> Vec<Candidate> {
        self.read(|reader| {
            let names = reader.event_names_like(text)?;
            let about = |(event, job)| {
                let name = reader.job_name(job)?.map_or_else(|| job.to_string(), |name| name.to_string());
                Ok(Candidate::new(event, format!("job {name} listens")))
            };
            names.into_iter().map(about).collect()
        })
    }

    /// Returns the resources, with `end` after each name.
    pub fn resources(&self, text: &str, end: &str) -> Vec<Candidate> {
        let with_start = |resource: &ResourceView| resource.name.as_str().starts_with(text);
        let about = |resource: &ResourceView| {
            Candidate::new(format!("{}{end}", resource.name.as_str()), about_resource(resource))
        };
        self.all_resources().iter().filter(|resource| with_start(resource)).map(about).collect()
    }

    pub fn executors(&self, text: &str) -> Vec<Candidate> {
        let executors = self.read(|reader| Ok(reader.executors()?.into_iter().collect::<Vec<_>>()));
        let matching = executors.iter().filter(|(name, _)| name.as_str().starts_with(text));
        let about = |(name, executor): &(ExecutorName, Executor)| {
            let hosts = counted(executor.hosts.len(), "host");
            Candidate::new(name.as_str(), format!("{}, {hosts}", executor.kind))
        };
        matching.map(about).collect()
    }

    fn all_resources(&self) -> Vec<ResourceView> {
        self.read(|reader| reader.resources(machine::size()))
    }

    /// Completes the last part of `NAME=N,…`.
    pub fn amounts(&self, text: &str) -> Answer {
        let start = text.rfind(',').map_or(0, |comma| comma + 1);
        let (head, last) = text.split_at(start);
        let Some((name, number)) = last.split_once('=') else {
            let mut resources = self.resources(last, "=");
            resources.retain(|resource| !head.split(',').any(|part| part.starts_with(&resource.value)));
            return Answer::words(head, resources);
        };
        let resources = self.all_resources();
        let countable = |resource: &&ResourceView| {
            resource.name.as_str() == name && !resource.name.is_in_bytes() && resource.capacity <= PARTS_MAX
        };
        let Some(resource) = resources.iter().find(countable) else { return Answer::nothing() };
        let numbers = (1..=resource.capacity).map(|number| number.to_string());
        let matching = numbers.filter(|text| text.starts_with(number));
        let candidates = matching.map(|number| Candidate::new(number, "")).collect();
        Answer::words(format!("{head}{name}="), candidates)
    }
}

/// Returns a job by its name, or by its id if that is typed or there is no name.
fn job_candidate(job: &KnownJob, text: &str) -> Option<Candidate> {
    let command = shown::command(&job.command);
    let state = match job {
        KnownJob { is_done: true, .. } => ", done",
        KnownJob { is_paused: true, .. } => ", paused",
        KnownJob { .. } => "",
    };
    let id = job.id.to_string();
    let by_id = |name: &str| format!("{name}{state}: {command}");
    match &job.name {
        Some(name) if name.to_string().starts_with(text) => {
            Some(Candidate::new(name.to_string(), format!("job {id}{state}: {command}")))
        }
        Some(name) if id.starts_with(text) => Some(Candidate::new(id, by_id(&name.to_string()))),
        None if id.starts_with(text) => Some(Candidate::new(id, by_id("job"))),
        Some(_) | None => None,
    }
}

fn about_queue(queue: &NamedQueue) -> String {
    let slots = match queue.slots {
        None => "a slot for each CPU".to_owned(),
        Some(1) => "1 slot".to_owned(),
        Some(slots) => format!("{slots} slots"),
    };
    let (running, waiting) = (bounded(queue.running), bounded(queue.waiting));
    let paused = if queue.is_paused { ", paused" } else { "" };
    format!("{slots}, {running} running, {waiting} waiting{paused}")
}

fn about_resource(resource: &ResourceView) -> String {
    let shown = |amount: u64| match resource.name.is_in_bytes() {
        true => shown::size(amount),
        false => amount.to_string(),
    };
    let free = resource.capacity.saturating_sub(resource.booked);
    format!("{} of {} free", shown(free), shown(resource.capacity))
}

/// Returns a count that stops at `COUNT_MAX`.
fn bounded(count: u64) -> String {
    if count < COUNT_MAX { count.to_string() } else { format!("{COUNT_MAX} or more") }
}
