//! Owns: a pass over the history that forgets the runs and events that are not kept, in small steps.
//! Never: deciding what is kept (see `engine`), or jobs that a person removes.

use std::path::Path;
use std::time::Duration;

use super::agenda::{Agenda, Timer};
use crate::clock::Clock;
use crate::domain::{JobId, JobName, RunId, Timestamp};
use crate::engine::{Retention, Verdict};
use crate::keeper::protocol::Attempt;
use crate::keeper::{LOG_DIRECTORY, remove_outputs_of};
use crate::store::{Act, MetaKey, Reader, Store, StoreError, StoreResult, Writer};

/// How many rows the daemon looks at between two turns, which takes a few milliseconds.
const ROWS_OF_A_STEP: usize = 250;

/// The pause between two steps of the daemon: most of the time is left for turns.
const PAUSE: Duration = Duration::from_millis(50);

/// How long after its start the daemon looks whether a pass is due: after the work of the start.
const AFTER_START: Duration = Duration::from_secs(60);

/// The time between the ends of two passes.
const PERIOD: Duration = Duration::from_secs(86_400);

/// How long after a failed step the daemon tries it again.
const RETRY: Duration = Duration::from_secs(60);

/// How far a pass has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrunePlace {
    /// The job that is looked at next, or a later one.
    job: JobId,
    /// Its runs up to this number were looked at.
    number: i64,
    /// One of them is kept.
    keeps: bool,
    /// One of them is forgotten.
    has_lost: bool,
}

impl PrunePlace {
    pub const BEGINNING: Self = Self::at(JobId(0));

    /// All jobs were looked at, and not all events.
    const END: Self = Self::at(JobId(i64::MAX));

    const fn at(job: JobId) -> Self {
        Self { job, number: 0, keeps: false, has_lost: false }
    }
}

/// What is forgotten of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForgottenJob {
    pub job: JobId,
    pub name: Option<JobName>,
    /// Its forgotten runs, each with the number of its latest attempt.
    pub runs: Vec<(i64, u32)>,
    /// The job itself goes too.
    pub is_whole: bool,
}

impl ForgottenJob {
    pub fn run_ids(&self) -> impl Iterator<Item = RunId> {
        self.runs.iter().map(|(number, _)| RunId { job: self.job, number: *number })
    }
}

/// The result of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneStep {
    pub jobs: Vec<ForgottenJob>,
    /// The place of the next step; `None` at the end of the pass.
    pub next: Option<PrunePlace>,
}

impl PruneStep {
    /// Returns the forgotten runs, each with the number of its latest attempt.
    pub fn runs(&self) -> impl Iterator<Item = (RunId, u32)> {
        self.jobs.iter().flat_map(|job| {
            let run = |(number, attempts): &(i64, u32)| (RunId { job: job.job, number: *number }, *attempts);
            job.runs.iter().map(run)
        })
    }

    /// Removes the output files of the forgotten runs. One that stays is removed at a start of the daemon.
    pub fn remove_outputs(&self, dir: &Path) {
        let log = dir.join(LOG_DIRECTORY);
        for (run, attempts) in self.runs() {
            for number in 1..=attempts {
                remove_outputs_of(&log, Attempt::of_run(run, number));
            }
        }
    }
}

/// Looks at about `rows_max` rows from a place on, and returns what is not kept.
pub fn find_forgotten(
    reader: &Reader<'_>,
    retention: &Retention,
    mut place: PrunePlace,
    rows_max: usize,
    now: Timestamp,
) -> StoreResult<PruneStep> {
    let mut step = PruneStep::default();
    let mut looked_at = 0;
    while looked_at < rows_max {
        let Some((job, name, past)) = reader.past_job(place.job, retention.runs_max)? else {
            return Ok(step);
        };
        if job != place.job {
            place = PrunePlace::at(job);
        }
        looked_at += 1;
        let (mut runs, mut is_at_end) = (Vec::new(), true);
        reader.past_runs(job, place.number, |run| {
            if looked_at >= rows_max {
                is_at_end = false;
                return false;
            }
            looked_at += 1;
            place.number = run.number;
            let verdict = retention.judge(&run, &past, now);
            match verdict {
                Verdict::Forgotten => runs.push((run.number, run.attempts)),
                Verdict::Kept | Verdict::KeptWithLater => place.keeps = true,
            }
            verdict != Verdict::KeptWithLater
        })?;
        place.has_lost |= !runs.is_empty();
        let is_whole = is_at_end && !place.keeps && retention.forgets_job(&past, place.has_lost, now);
        if is_whole || !runs.is_empty() {
            step.jobs.push(ForgottenJob { job, name, runs, is_whole });
        }
        if is_at_end {
            place = PrunePlace::at(JobId(job.0 + 1));
        }
    }
    step.next = Some(place);
    Ok(step)
}

/// Does the same, and deletes it from the store. Files of outputs are left to the caller, after the commit.
pub fn forget(
    writer: &Writer<'_>,
    retention: &Retention,
    place: PrunePlace,
    rows_max: usize,
    now: Timestamp,
) -> StoreResult<PruneStep> {
    let mut step = find_forgotten(writer, retention, place, rows_max, now)?;
    for forgotten in &step.jobs {
        if forgotten.is_whole {
            writer.forget_job(forgotten.job)?;
        } else {
            writer.forget_runs(forgotten.job, forgotten.run_ids().map(|run| run.number))?;
        }
    }
    if !step.jobs.is_empty() {
        let jobs = step.jobs.iter().filter(|job| job.is_whole).count();
        writer.has_forgotten(step.runs().count(), jobs);
    }
    if writer.forget_events(retention, rows_max, now)? && step.next.is_none() {
        step.next = Some(PrunePlace::END);
    }
    Ok(step)
}

/// The passes of a daemon, one a day.
#[derive(Debug)]
pub struct Pruning {
    retention: Retention,
    /// `None` between two passes.
    place: Option<PrunePlace>,
}

impl Pruning {
    /// Sets the timer for the first step.
    pub fn new(retention: Retention, agenda: &mut Agenda, clock: &dyn Clock) -> Self {
        agenda.set_after(Timer::Prune, AFTER_START, clock);
        Self { retention, place: None }
    }

    /// Takes a step, if a pass is due or under way, and sets the timer for the next.
    ///
    /// # Errors
    /// The same step is taken again later.
    pub fn step(
        &mut self,
        store: &mut Store,
        agenda: &mut Agenda,
        clock: &dyn Clock,
    ) -> StoreResult<PruneStep> {
        agenda.set_after(Timer::Prune, RETRY, clock);
        let now = clock.now();
        if self.place.is_none()
            && let Some(wait) = store.read(|reader| left_until_due(reader, now))?
        {
            agenda.set_after(Timer::Prune, wait, clock);
            return Ok(PruneStep::default());
        }
        let place = self.place.clone().unwrap_or(PrunePlace::BEGINNING);
        let step = store.write(Act::of_daemon(now), |writer| {
            let step = forget(writer, &self.retention, place.clone(), ROWS_OF_A_STEP, now)?;
            if step.next.is_none() {
                writer.exchange_meta(MetaKey::Pruned, &now.as_micros().to_string())?;
            }
            Ok::<_, StoreError>(step)
        })?;
        self.place.clone_from(&step.next);
        let pause = if self.place.is_some() { PAUSE } else { PERIOD };
        agenda.set_after(Timer::Prune, pause, clock);
        Ok(step)
    }
}

/// Returns how long it is until the next pass; `None` if it is due.
fn left_until_due(reader: &Reader<'_>, now: Timestamp) -> StoreResult<Option<Duration>> {
    let last = reader.meta(MetaKey::Pruned)?.and_then(|text| text.parse().ok()).map(Timestamp::from_micros);
    // After a step back of the clock the last pass lies in the future, and says nothing.
    let since = last.filter(|last| *last <= now).map(|last| now.since(last).as_duration());
    Ok(since.and_then(|since| PERIOD.checked_sub(since)).filter(|left| !left.is_zero()))
}
