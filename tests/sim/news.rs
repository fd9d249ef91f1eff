//! Owns: the events of a commit for event triggers, found in what it has recorded, and which triggers hear
//! them.
//! Never: what a trigger does then (see `listeners`).
//!
//! Starts are told as they are recorded. Ends are told after all that caused them is recorded, in the order
//! of their times.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use taskq::domain::{
    Event, EventSource, Happening, JobKey, JobPattern, JobStage, MachineState, Outcome, Timestamp,
};

use crate::arrays::Arrays;
use crate::audit::Changes;
use crate::bundles::Bundles;
use crate::listeners::{DeepPart, Listener, Part};
use crate::rows::{ArrayRow, Row};

/// An event, as it is told.
#[derive(Clone, Debug)]
pub struct News {
    /// The event of the record that it follows from.
    pub id: u64,
    pub what: What,
    pub part: DeepPart,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Emitted(String),
    Started(i64),
    Ended(i64, Outcome),
    /// Of a source, to this trigger; whether it is the opposite of an event.
    Source(i64, bool),
    State(MachineState),
}

impl What {
    /// Returns whether it is told before its effects on runs, as it is by a client.
    pub fn is_of_client(&self) -> bool {
        matches!(self, Self::Emitted(_))
    }
}

/// What a job is called.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub name: Option<String>,
    pub tags: Vec<String>,
}

/// A commit.
#[derive(Clone, Copy)]
pub struct Commit<'a> {
    pub now: Timestamp,
    pub record: &'a [Event],
    pub changes: &'a Changes,
    pub arrays: &'a [(Option<ArrayRow>, ArrayRow)],
    /// All runs, as they are now.
    pub rows: &'a BTreeMap<i64, Row>,
    pub all_arrays: &'a Arrays,
}

impl Commit<'_> {
    /// Returns a run that this commit has changed: as it was, unless it is new, and as it is.
    fn changed(&self, job: i64, number: i64) -> Option<(Option<&Row>, &Row)> {
        let found = self.changes.iter().find(|(_, row)| (row.job, row.number) == (job, number));
        found.map(|(old, new)| (old.as_ref(), new))
    }

    /// Returns any run in the same way.
    pub fn run(&self, job: i64, number: i64) -> (Option<&Row>, &Row) {
        let unchanged = || {
            let row = self.rows.values().find(|row| (row.job, row.number) == (job, number));
            row.map(|row| (Some(row), row))
        };
        self.changed(job, number).or_else(unchanged).expect("there is such a run")
    }

    /// Returns the runs of a job that were unfinished before, and are now.
    pub fn open_throughout(&self, job: i64) -> impl Iterator<Item = &Row> {
        let was_open = move |row: &&Row| {
            let changed = self.changes.iter().find(|(_, new)| new.id == row.id);
            changed.is_none_or(|(old, _)| old.as_ref().is_some_and(Row::is_open))
        };
        let is_meant = move |row: &&Row| row.job == job && row.is_open() && row.callback.is_none();
        self.rows.values().filter(is_meant).filter(was_open)
    }

    /// Returns the arrays that have ended, in the order of the ends of their last runs.
    fn ended_arrays(&self) -> Vec<&ArrayRow> {
        let last_of = |array: &ArrayRow| {
            let runs = self.changes.iter().filter(|(_, row)| row.array == Some(array.id));
            let numbers: BTreeSet<i64> = runs.map(|(_, row)| row.number).collect();
            let is_of_array = |event: &&Event| {
                let run = event.what.as_ref().and_then(Happening::run);
                run.is_some_and(|run| run.job.0 == array.job && numbers.contains(&run.number))
            };
            self.record.iter().filter(is_of_array).map(|event| event.id.0).max()
        };
        let has_ended = |(old, new): &&(Option<ArrayRow>, ArrayRow)| {
            new.outcome.is_some() && old.as_ref().is_none_or(|old| old.outcome.is_none())
        };
        let mut ended: Vec<&ArrayRow> =
            self.arrays.iter().filter(has_ended).map(|(_, array)| array).collect();
        ended.sort_by_key(|array| (array.finished_at.min(Some(self.now)), last_of(array)));
        ended
    }

    /// Returns the arrays of a job as they were, unless they are new, and as they are.
    pub fn arrays_of(&self, job: i64) -> impl Iterator<Item = (Option<&ArrayRow>, &ArrayRow)> {
        let of_job = self.all_arrays.all().filter(move |array| array.job == job);
        of_job.map(|array| match self.arrays.iter().find(|(_, new)| new.id == array.id) {
            Some((old, new)) => (old.as_ref(), new),
            None => (Some(array), array),
        })
    }
}

/// Reads the record of commits.
#[derive(Debug, Default)]
pub struct Reporter {
    /// The arrays of which a run has begun.
    begun_arrays: BTreeSet<i64>,
}

impl Reporter {
    /// Returns the starts and ends of runs in the order in which they are told.
    pub fn of_runs(
        &mut self,
        commit: &Commit<'_>,
        names: &BTreeMap<i64, Names>,
        bundles: &Bundles,
    ) -> Vec<News> {
        let (mut starts, mut ends) = (Vec::new(), Vec::new());
        let mut arrays = commit.ended_arrays();
        for event in commit.record {
            let what = event.what.as_ref().expect("this taskq recorded it");
            let row = what.run().and_then(|run| commit.changed(run.job.0, run.number)).map(|(_, row)| row);
            let row = row.filter(|row| row.callback.is_none());
            match (what, row) {
                (Happening::Started { attempt, started_at, .. }, Some(row)) => {
                    let is_first = row.array.is_none_or(|array| self.begun_arrays.insert(array));
                    if *attempt == 1 && is_first {
                        let at = (*started_at).min(commit.now);
                        starts.push(news(event.id.0, Subject::of(row), (at, None), names, bundles));
                    }
                }
                (Happening::Retrying { .. }, Some(row)) => self.begun_arrays.extend(row.array),
                (Happening::Finished { end, .. }, Some(row)) if row.array.is_none() => {
                    let at = end.finished_at.min(commit.now);
                    let news = news(event.id.0, Subject::of(row), (at, row.outcome), names, bundles);
                    ends.push((at, news));
                }
                (Happening::Passed { .. }, Some(row)) if row.array.is_none() => {
                    let at = (commit.now, row.outcome);
                    ends.push((commit.now, news(event.id.0, Subject::of(row), at, names, bundles)));
                }
                (Happening::ArrayFinished { job, .. }, _) => {
                    let place = arrays.iter().position(|array| array.job == job.job.0);
                    let array = arrays.remove(place.expect("it has ended"));
                    let at = array.finished_at.expect("it has ended").min(commit.now);
                    let news = news(event.id.0, Subject::Array(array), (at, array.outcome), names, bundles);
                    ends.push((commit.now, news));
                }
                _ => {}
            }
        }
        // An array is told of after the run with which it ends.
        ends.sort_by_key(|(order, _)| *order);
        starts.extend(ends.into_iter().map(|(_, news)| news));
        starts
    }
}

/// A fire.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Run(&'a Row),
    /// A run of this array, the first one.
    First(&'a Row, i64),
    Array(&'a ArrayRow),
}

impl<'a> Subject<'a> {
    fn of(row: &'a Row) -> Self {
        row.array.map_or(Self::Run(row), |array| Self::First(row, array))
    }

    fn job(&self) -> i64 {
        match self {
            Self::Run(row) | Self::First(row, _) => row.job,
            Self::Array(array) => array.job,
        }
    }

    fn depth(&self, bundles: &Bundles) -> u32 {
        let bundle = match self {
            Self::Run(row) => row.bundle,
            Self::First(_, array) => bundles.of_array(*array),
            Self::Array(array) => array.bundle,
        };
        bundle.and_then(|bundle| bundles.get(bundle)).map_or(0, |(header, _)| header.depth + 1)
    }
}

fn news(
    id: u64,
    subject: Subject<'_>,
    (at, outcome): (Timestamp, Option<Outcome>),
    names: &BTreeMap<i64, Names>,
    bundles: &Bundles,
) -> News {
    let job = subject.job();
    let name = names.get(&job).and_then(|names| names.name.clone());
    let shown = name.clone().unwrap_or_else(|| job.to_string());
    let run = match &subject {
        Subject::Run(row) => Some(*row),
        Subject::First(..) | Subject::Array(_) => None,
    };
    let ended = run.filter(|_| outcome.is_some());
    let data = json!({
        "job_id": job,
        "job": name,
        "run": run.map(|row| format!("{job}.{}", row.number)),
        "outcome": outcome.map(|outcome| outcome.to_string()),
        "exit_code": ended.and_then(|row| row.exit_code),
        "signal": ended.and_then(|row| row.signal),
    });
    let part = Part {
        at,
        kind: "job".to_owned(),
        name: run.map_or_else(|| shown.clone(), |row| format!("{shown}.{}", row.number)),
        data: Some(data.to_string()),
        count: 1,
    };
    let what = outcome.map_or(What::Started(job), |outcome| What::Ended(job, outcome));
    News { id, what, part: (part, subject.depth(bundles)) }
}

/// Returns whether a trigger with this id hears an event; `Some(true)`: as the opposite of what it counts.
pub fn hears(id: i64, listener: &Listener, news: &News, names: &BTreeMap<i64, Names>) -> Option<bool> {
    match (&listener.event.source, &news.what) {
        (EventSource::Emit(own), What::Emitted(name)) => (own.as_str() == name).then_some(false),
        (EventSource::State(own), What::State(state)) => (own == state).then_some(false),
        (_, What::Source(trigger, is_opposite)) => (*trigger == id).then_some(*is_opposite),
        (EventSource::Job(source), What::Started(job)) => {
            let is_meant =
                source.stage == JobStage::Started && means(&source.jobs, listener.job, *job, names);
            is_meant.then_some(false)
        }
        (EventSource::Job(source), What::Ended(job, outcome)) => {
            let is_failure = match outcome {
                Outcome::Success => false,
                Outcome::Missed | Outcome::Skipped => return None,
                _ => true,
            };
            let is_opposite = match source.stage {
                JobStage::Done => false,
                JobStage::Success => is_failure,
                JobStage::Failed => !is_failure,
                JobStage::Started | JobStage::Overdue(_) | JobStage::Silent(_) => return None,
            };
            means(&source.jobs, listener.job, *job, names).then_some(is_opposite)
        }
        _ => None,
    }
}

fn means(pattern: &JobPattern, own: i64, job: i64, names: &BTreeMap<i64, Names>) -> bool {
    let Some(Names { name, tags }) = names.get(&job) else { return false };
    match pattern {
        JobPattern::One(JobKey::Id(id)) => id.0 == job,
        JobPattern::One(JobKey::Name(wanted)) => name.as_deref() == Some(wanted.as_str()),
        // The only patterns of the simulation are a letter and a star.
        JobPattern::Names(pattern) => {
            own != job && name.as_ref().is_some_and(|name| name.starts_with(pattern.trim_end_matches('*')))
        }
        JobPattern::Tagged(tag) => own != job && tags.iter().any(|own| own == tag.as_str()),
    }
}
