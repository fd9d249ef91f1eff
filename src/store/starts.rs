//! Owns: the facts for starting a run.
//! Never: claiming it (see `apply`), or the order itself (see `daemon::order`).

use std::sync::LazyLock;

use rusqlite::params;

use super::bundles::EventsOfRun;
use super::callbacks::{ParentNote, as_callback};
use super::definition::Cells;
use super::{Reader, StoreResult, codec, definition};
use crate::domain::{
    ArrayId, CallbackWhen, JobId, JobKey, JobPart, JobRef, Needs, NewJob, OutputKind, RunId, Share,
    Timestamp, TriggerKind,
};

/// The facts for a start order to a keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    pub run: RunId,
    pub attempt: u32,
    pub kind: TriggerKind,
    pub scheduled_at: Timestamp,
    /// The runs that it waited for, as in `12.1 13.4`; `None` if its job depends on none.
    pub after_runs: Option<String>,
    /// The output that it reads, of a job with `--stdin-from`.
    pub input: Option<RunInput>,
    /// Its index, if it is one of an array.
    pub index: Option<u32>,
    /// The item of the index.
    pub item: Option<Vec<u8>>,
    /// The events that it is for; `None` if no event made it.
    pub events: Option<EventsOfRun>,
    /// Its place in a chain of runs, each caused by an event of the one before; 0: no event caused it. That
    /// of a callback is that of its parent.
    pub depth: u32,
    /// The run that it follows, if it is a callback.
    pub parent: Option<ParentNote>,
    /// The queue of the run. The job may have another one by now.
    pub queue: String,
    /// What it has booked.
    pub share: Option<Share>,
    /// What it needs, if it has booked nothing.
    pub needs: Needs,
    /// The width of that queue; `None`: one slot per CPU.
    pub slots: Option<u32>,
    pub job: NewJob,
}

/// What a run of a job with `--stdin-from` reads: the output of another run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunInput {
    /// It is in the run log. Empty also if there is no such run.
    Text(Vec<u8>),
    /// It is in files, or was pruned: that of an attempt.
    OutputOf(RunId, u32),
    /// The job is an array, and has no output of its own.
    OfArray(JobId),
}

impl Reader<'_> {
    /// Returns the facts for the start order of a run.
    pub fn start(&self, run: RunId) -> StoreResult<Start> {
        static SQL: LazyLock<String> = LazyLock::new(|| {
            format!(
                "SELECT run.attempt, run.trigger, run.scheduled_at, run.queue,
                    (SELECT slots FROM queue WHERE name = run.queue), run.after_runs, run.array_index,
                    (SELECT opened('item.data', job_id, array_index, data) FROM item
                        WHERE job_id = job.id AND array_index = run.array_index),
                    run.callback, run.parent_number, run.parent_array,
                    EXISTS (SELECT 1 FROM dependency WHERE job_id = job.id AND gives_stdin), job.name,
                    run.share, {}, {}, opened('environment.vars', environment.id, 0, vars)
                 FROM run JOIN job ON job.id = run.job_id
                    JOIN environment ON environment.id = job.environment_id
                 WHERE run.job_id = ?1 AND run.number = ?2",
                definition::requirement_column(Cells::Opened, "run.requirement_id"),
                definition::selected(Cells::Opened)
            )
        });
        let (mut start, callback, is_given) = self.one(&SQL, params![run.job, run.number], |row| {
            let callback: Option<CallbackWhen> = row.get(8)?;
            let parent = (row.get::<_, Option<i64>>(9)?, row.get::<_, Option<ArrayId>>(10)?);
            let share = codec::share(row, 13)?;
            let needs = match share {
                Some(_) => Needs::default(),
                None => codec::requirement(row, 14)?.needs,
            };
            let start = Start {
                run,
                attempt: row.get(0)?,
                kind: row.get(1)?,
                scheduled_at: row.get(2)?,
                queue: row.get(3)?,
                slots: row.get(4)?,
                after_runs: row.get(5)?,
                input: None,
                index: row.get(6)?,
                item: row.get(7)?,
                events: None,
                depth: 0,
                parent: None,
                job: NewJob { name: row.get(12)?, ..definition::read_whole(row, 15)? },
                share,
                needs,
            };
            Ok((start, callback.map(|when| (when, parent)), row.get::<_, bool>(11)?))
        })?;
        start.events = self.events_of_run(run)?;
        start.depth = start.events.as_ref().map_or(0, |events| events.depth);
        if let Some((when, (number, array))) = callback {
            start.depth = match (number, array) {
                (Some(number), _) => self.depth_of_run(RunId { job: run.job, number })?,
                (None, Some(array)) => self.depth_of_array(array)?,
                (None, None) => 0,
            };
            start.parent = Some(self.parent_note(run.job, number, array)?);
            start.job = as_callback(start.job, when);
        } else if is_given {
            start.input = Some(self.given_output(run.job, start.after_runs.as_deref())?);
        }
        Ok(start)
    }

    /// Returns the output that a run of a job with `--stdin-from` reads: that of the run that it has waited
    /// for; without `after_runs`, because it was started by hand, that of the last run that had a process.
    fn given_output(&self, job: JobId, after_runs: Option<&str>) -> StoreResult<RunInput> {
        let nothing = Ok(RunInput::Text(Vec::new()));
        let from = self.dependencies(job)?.into_iter().find(|dependency| dependency.gives_stdin);
        let Some(on) = from.map_or(Ok(None), |from| self.find_job(&from.on))? else { return nothing };
        let number = match after_runs {
            None => None,
            Some(runs) => {
                let mut named = runs.split(' ').filter_map(|run| run.parse::<JobRef>().ok());
                match named.find(|named| named.job == JobKey::Id(on)).map(|named| named.part) {
                    None => return nothing,
                    Some(JobPart::Run(number)) => Some(number),
                    Some(JobPart::Whole | JobPart::Indices(..)) => return Ok(RunInput::OfArray(on)),
                }
            }
        };
        let found = self.first(
            "SELECT number, attempt FROM run
             WHERE job_id = ?1 AND number = ifnull(?2, (SELECT max(number) FROM run
                    WHERE job_id = ?1 AND state = 'finished' AND callback IS NULL
                        AND started_at IS NOT NULL))
                AND output_bytes > 0",
            params![on, number],
            |row| Ok((RunId { job: on, number: row.get(0)? }, row.get(1)?)),
        )?;
        let Some((run, attempt)) = found else { return nothing };
        let stored = self.output(run, attempt, OutputKind::Stdout)?;
        Ok(stored.map_or(RunInput::OutputOf(run, attempt), RunInput::Text))
    }
}
