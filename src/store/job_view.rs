//! Owns: reading jobs and triggers.
//! Never: changing them (see `jobs`).

use std::collections::BTreeMap;

use rusqlite::{Row, ToSql, params};

use super::arrays::ArrayProgress;
use super::definition::Cells;
use super::runs::outcome_condition;
use super::snapshot::{schedule_of, trigger_spec};
use super::{Reader, StoreResult, codec, definition};
use crate::domain::{
    EnvVar, JobId, JobState, NewJob, Outcome, QueueName, RunId, Tag, Timestamp, TriggerId, TriggerSpec,
};
use crate::engine::{Compiled, NthFacts};
use crate::schedule::Zone;

/// A job without its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobView {
    pub id: JobId,
    /// Its environment is empty here, see `Reader::environment`. The overlap policy is the one that holds.
    pub definition: NewJob,
    pub created_at: Timestamp,
    pub paused_at: Option<Timestamp>,
    pub done_at: Option<Timestamp>,
    pub state: JobState,
    /// It has running runs, and the processes of all of them are stopped.
    pub runs_paused: bool,
    /// The number of its runs.
    pub runs: i64,
    /// With `times`: how many runs of its triggers have begun.
    pub begun: u32,
    /// With `nth`: how many fires were passed over since the last one that ran.
    pub passed: u32,
    /// Its runs cause the next one, over and over: it makes none until then.
    pub rests_until: Option<Timestamp>,
    /// How far its latest array is, with the indices that a retry left.
    pub array: Option<ArrayProgress>,
    /// Its latest finished run.
    pub last: Option<(RunId, Outcome, Timestamp)>,
    pub triggers: Vec<TriggerView>,
}

impl JobView {
    /// Returns how many of its runs have begun, and how many may, as `3/20`; `None` if any number may.
    pub fn times(&self) -> Option<String> {
        self.definition.times.map(|times| format!("{}/{times}", self.begun))
    }

    /// Returns the count of `--nth`.
    pub fn nth(&self) -> Option<NthFacts> {
        self.definition.nth.map(|nth| NthFacts { nth, passed: self.passed })
    }

    /// Shows the policy that holds if none is given, unless its triggers have different ones.
    fn show_overlap(&mut self) {
        let is_event = |trigger: &TriggerView| trigger.spec.event().is_some();
        let policy = &mut self.definition.policy;
        if self.triggers.iter().all(|trigger| !is_event(trigger)) {
            policy.overlap = Some(policy.overlap_of_instants());
        } else if self.triggers.iter().all(is_event) {
            policy.overlap = Some(policy.overlap_of_events());
        }
    }

    /// Returns whether it has a trigger that fires again and again.
    pub fn is_recurring(&self) -> bool {
        self.triggers.iter().any(|trigger| !matches!(trigger.spec, TriggerSpec::At { .. }))
    }
}

/// A stored trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerView {
    pub id: TriggerId,
    pub spec: TriggerSpec,
    pub next_at: Option<Timestamp>,
    /// It fires next after the end of a run.
    pub awaits_end: bool,
    /// The state of an event trigger that still fires.
    pub listener: Option<ListenerView>,
}

/// How far an event trigger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerView {
    /// How many events count towards its next fire.
    pub counted: u64,
    /// How many make a fire.
    pub count: u64,
    /// It fires then, unless an event comes first.
    pub timeout_at: Option<Timestamp>,
    /// With `all_of`: it has fired, and waits for the others.
    pub has_fired: bool,
}

/// Conditions for jobs, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Empty: all jobs.
    pub jobs: Vec<JobId>,
    /// Returns also jobs that are done.
    pub done_too: bool,
    /// One of these. Empty: any.
    pub states: Vec<JobState>,
    pub queue: Option<QueueName>,
    pub tag: Option<Tag>,
    /// A pattern for the name: `*`, `?` and `[…]` as in glob(7).
    pub name: Option<String>,
    /// The latest finished run has one of these outcomes. Empty: any, or no run.
    pub outcomes: Vec<Outcome>,
    /// Only the newest jobs.
    pub limit: Option<usize>,
}

/// The columns of a job before `STATE_OF_RUNS`, `RUNS_PAUSED` and those of its definition.
const COLUMNS: &str = "job.id, job.name, job.created_at, job.paused_at, job.done_at, job.runs, job.begun,
    job.passed, job.rests_until";

/// The state of a job by its unfinished runs; NULL if it has none, or they are paused with it.
const STATE_OF_RUNS: &str = "coalesce((SELECT CASE
        WHEN max(state = 'running') THEN 'running'
        WHEN max(held = 0 AND state = 'queued' AND awaits = 0)
            THEN iif((SELECT paused_at IS NULL FROM queue WHERE name = job.queue), 'queued', 'blocked')
        WHEN max(held = 0) THEN 'blocked'
     END FROM run WHERE job_id = job.id AND state <> 'finished'),
    (SELECT CASE
        WHEN max(held = 0 AND awaits = 0)
            THEN iif((SELECT paused_at IS NULL FROM queue WHERE name = job.queue), 'queued', 'blocked')
        WHEN max(held = 0) THEN 'blocked'
     END FROM array WHERE job_id = job.id AND finished_at IS NULL))";

const RUNS_PAUSED: &str = "(SELECT coalesce(min(paused_at IS NOT NULL), 0) FROM run
        WHERE job_id = job.id AND state <> 'finished' AND state = 'running')";

/// The jobs that are not done: they have an unfinished run or a coming fire. Partial indexes hold only these.
pub(super) const LIVE: &str = "job.id IN (
    SELECT job_id FROM run WHERE state <> 'finished'
    UNION ALL SELECT job_id FROM array WHERE finished_at IS NULL
    UNION ALL SELECT job_id FROM trigger WHERE next_at IS NOT NULL
    UNION ALL SELECT job_id FROM trigger WHERE boot_id IS NOT NULL
    UNION ALL SELECT job_id FROM trigger WHERE awaits_end IS NOT NULL AND awaits_end = 1
    UNION ALL SELECT job_id FROM trigger WHERE listens IS NOT NULL AND listens = 1)";

fn state(of_runs: Option<JobState>, is_done: bool, is_paused: bool) -> JobState {
    match of_runs {
        Some(state) => state,
        None if is_done => JobState::Done,
        None if is_paused => JobState::Paused,
        None => JobState::Scheduled,
    }
}

/// Returns the columns that `view` reads, and the table.
fn selected() -> String {
    format!(
        "SELECT {COLUMNS}, {STATE_OF_RUNS}, {RUNS_PAUSED}, {} FROM job",
        definition::selected(Cells::Shown)
    )
}

fn view(row: &Row<'_>) -> rusqlite::Result<JobView> {
    let (paused_at, done_at): (Option<Timestamp>, Option<Timestamp>) = (row.get(3)?, row.get(4)?);
    let state = state(row.get(9)?, done_at.is_some(), paused_at.is_some());
    let definition = NewJob { name: row.get(1)?, hold: paused_at.is_some(), ..definition::read(row, 11)? };
    Ok(JobView {
        id: row.get(0)?,
        definition,
        created_at: row.get(2)?,
        paused_at,
        done_at,
        state,
        runs_paused: row.get(10)?,
        runs: row.get(5)?,
        begun: row.get(6)?,
        passed: row.get(7)?,
        rests_until: row.get(8)?,
        array: None,
        last: None,
        triggers: Vec::new(),
    })
}

impl Reader<'_> {
    /// Returns one job.
    ///
    /// # Errors
    /// Fails if there is no such job.
    pub fn job(&self, id: JobId) -> StoreResult<JobView> {
        let sql = format!("{} WHERE id = ?1", selected());
        let mut job = self.one(&sql, [id], view)?;
        self.complete(&mut job)?;
        Ok(job)
    }

    /// Returns jobs, in the order of their ids.
    pub fn jobs(&self, filter: &JobFilter) -> StoreResult<Vec<JobView>> {
        let mut conditions = vec![if filter.done_too { "1" } else { LIVE }];
        let mut values: Vec<&dyn ToSql> = Vec::new();
        let (queue, tag) =
            (filter.queue.as_ref().map(QueueName::as_str), filter.tag.as_ref().map(Tag::as_str));
        if let Some(queue) = &queue {
            conditions.push("job.queue = ?");
            values.push(queue);
        }
        if let Some(tag) = &tag {
            conditions.push("job.id IN (SELECT job_id FROM tag WHERE tag = ?)");
            values.push(tag);
        }
        if let Some(name) = &filter.name {
            conditions.push("job.name GLOB ?");
            values.push(name);
        }
        let ids = json_list(&filter.jobs);
        if !filter.jobs.is_empty() {
            conditions.push("job.id IN (SELECT value FROM json_each(?))");
            values.push(&ids);
        }
        let latest = format!(
            "job.id IN (SELECT run.job_id FROM run WHERE {0} AND array_id IS NULL AND callback IS NULL
                    AND NOT EXISTS (SELECT 1 FROM run later WHERE later.job_id = run.job_id
                        AND later.number > run.number AND later.state = 'finished'
                        AND later.callback IS NULL)
                UNION SELECT run.job_id FROM array AS run WHERE {0}
                    AND NOT EXISTS (SELECT 1 FROM array later WHERE later.job_id = run.job_id
                        AND later.id > run.id AND later.finished_at IS NOT NULL))",
            outcome_condition(&filter.outcomes)
        );
        if !filter.outcomes.is_empty() {
            conditions.push(&latest);
            for _ in ["runs", "arrays"] {
                values.extend(filter.outcomes.iter().map(|outcome| outcome as &dyn ToSql));
            }
        }
        let sql = format!("{} WHERE {} ORDER BY job.id DESC", selected(), conditions.join(" AND "));
        let mut statement = self.transaction.prepare(&sql)?;
        let mut rows = statement.query(values.as_slice())?;
        let mut jobs = Vec::new();
        while filter.limit.is_none_or(|limit| jobs.len() < limit)
            && let Some(row) = rows.next()?
        {
            let mut job = view(row)?;
            if filter.states.is_empty() || filter.states.contains(&job.state) {
                self.complete(&mut job)?;
                jobs.push(job);
            }
        }
        jobs.reverse();
        Ok(jobs)
    }

    /// Returns how many jobs are in each state.
    pub fn job_states(&self) -> StoreResult<BTreeMap<JobState, u64>> {
        let sql = format!(
            "SELECT {STATE_OF_RUNS} AS of_runs, done_at IS NOT NULL AS is_done,
                paused_at IS NOT NULL AS is_paused, count(*)
             FROM job WHERE {LIVE} GROUP BY of_runs, is_done, is_paused"
        );
        let living = self.all(&sql, [], |row| {
            Ok((state(row.get(0)?, row.get(1)?, row.get(2)?), row.get::<_, i64>(3)?.cast_unsigned()))
        })?;
        let mut states: BTreeMap<JobState, u64> = JobState::ALL.iter().map(|state| (*state, 0)).collect();
        let mut rest: i64 = self.one("SELECT count(*) FROM job", [], |row| row.get(0))?;
        for (state, count) in living {
            *states.entry(state).or_default() += count;
            rest -= count.cast_signed();
        }
        *states.entry(JobState::Done).or_default() += u64::try_from(rest).unwrap_or(0);
        Ok(states)
    }

    fn complete(&self, job: &mut JobView) -> StoreResult<()> {
        job.last = self.first(
            "SELECT number, outcome, finished_at FROM run
             WHERE job_id = ?1 AND state = 'finished' AND callback IS NULL ORDER BY number DESC LIMIT 1",
            [job.id],
            |row| Ok((RunId { job: job.id, number: row.get(0)? }, row.get(1)?, row.get(2)?)),
        )?;
        job.definition.tags =
            self.all("SELECT tag FROM tag WHERE job_id = ?1 ORDER BY tag", [job.id], |row| row.get(0))?;
        if job.definition.array.is_some() {
            job.array = self.array_progress(job.id)?;
            let of_array = job.array.and_then(|array| array.outcome.zip(array.finished_at));
            if let (Some((run, ..)), Some((outcome, finished_at))) = (job.last, of_array) {
                job.last = Some((run, outcome, finished_at));
            }
        }
        job.definition.after.dependencies = self.dependencies(job.id)?;
        job.triggers = self.triggers(job.id)?;
        job.show_overlap();
        Ok(())
    }

    /// Returns the environment of a job's runs, without the `TASKQ_*` variables of each start.
    pub fn environment(&self, job: JobId) -> StoreResult<Vec<EnvVar>> {
        self.one(
            "SELECT opened('environment.vars', id, 0, vars) FROM environment
             WHERE id = (SELECT environment_id FROM job WHERE id = ?1)",
            [job],
            |row| Ok(codec::split(row.get_ref(0)?.as_blob()?)),
        )
    }

    /// Returns the triggers of a job, in the order in which they were added.
    pub fn triggers(&self, job: JobId) -> StoreResult<Vec<TriggerView>> {
        self.all(
            &format!("SELECT {TRIGGER_COLUMNS} FROM trigger WHERE job_id = ?1 ORDER BY id"),
            [job],
            trigger_view,
        )
    }

    /// Returns the triggers of all jobs that were applied from a file, each with its job, in the order in
    /// which they were added.
    pub(super) fn triggers_of_applied(&self, source: &[u8]) -> StoreResult<Vec<(JobId, TriggerSpec)>> {
        self.all(
            &format!(
                "SELECT {TRIGGER_COLUMNS}, job_id FROM trigger
                 WHERE job_id IN (SELECT job_id FROM applied WHERE source = ?1) ORDER BY id"
            ),
            [source],
            |row| Ok((row.get("job_id")?, trigger_spec(row, 1)?)),
        )
    }

    /// Returns the triggers of a job, each with its schedule or the reason why it has none.
    pub fn compiled_triggers(
        &self,
        job: JobId,
        system_zone: &Zone,
    ) -> StoreResult<Vec<(TriggerView, Compiled)>> {
        let compiled = |trigger: TriggerView| {
            let schedule = schedule_of(&trigger.spec, system_zone);
            (trigger, schedule)
        };
        Ok(self.triggers(job)?.into_iter().map(compiled).collect())
    }

    /// Returns whether a job has only one-time triggers, of which one is still to fire.
    pub fn has_one_shot_fire(&self, job: JobId) -> StoreResult<bool> {
        let triggers = self.triggers(job)?;
        let is_one_shot = |trigger: &TriggerView| matches!(trigger.spec, TriggerSpec::At { .. });
        Ok(triggers.iter().all(is_one_shot) && triggers.iter().any(|trigger| trigger.next_at.is_some()))
    }

    /// Returns the `limit` triggers that fire next, or all, earliest first, each with its job. Empty `jobs`:
    /// of all jobs. They are all also if a job has `--nth`, which passes over their next fires.
    pub fn next_triggers(
        &self,
        jobs: &[JobId],
        limit: Option<usize>,
    ) -> StoreResult<Vec<(JobId, TriggerView)>> {
        let ids = json_list(jobs);
        let limit = limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        self.all(
            &format!(
                "SELECT {TRIGGER_COLUMNS}, job_id FROM trigger
             WHERE next_at IS NOT NULL AND held = 0
                AND (?1 = 0 OR job_id IN (SELECT value FROM json_each(?2)))
             ORDER BY next_at
             LIMIT iif(EXISTS (SELECT 1 FROM job WHERE nth IS NOT NULL), -1, ?3)"
            ),
            params![!jobs.is_empty(), ids, limit],
            |row| Ok((row.get("job_id")?, trigger_view(row)?)),
        )
    }
}

impl Reader<'_> {
    /// Returns the event triggers that listen, in the order in which they were added, each with its job.
    /// Empty `jobs`: of all jobs.
    pub fn listening_triggers(&self, jobs: &[JobId]) -> StoreResult<Vec<(JobId, TriggerView)>> {
        self.all(
            &format!(
                "SELECT {TRIGGER_COLUMNS}, job_id FROM trigger
                 WHERE listens IS NOT NULL AND listens = 1 AND held = 0
                    AND (?1 = 0 OR job_id IN (SELECT value FROM json_each(?2)))
                 ORDER BY id"
            ),
            params![!jobs.is_empty(), json_list(jobs)],
            |row| Ok((row.get("job_id")?, trigger_view(row)?)),
        )
    }
}

/// Returns ids as a parameter of json_each().
fn json_list(ids: &[JobId]) -> String {
    format!("[{}]", ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
}

const TRIGGER_COLUMNS: &str = "id, kind, expr, zone, at, period_us, delay_us,
    iif(kind = 'stream', shown_text('trigger.event', trigger.id, 0, event), event), next_at,
    ifnull(awaits_end, 0), ifnull(listens, 0), timeout_at, has_fired,
    iif(counting IS NULL, 0, (SELECT count FROM bundle WHERE id = counting))";

fn trigger_view(row: &Row<'_>) -> rusqlite::Result<TriggerView> {
    let spec = trigger_spec(row, 1)?;
    let listener = match spec.event().filter(|_| row.get(10).is_ok_and(|listens| listens)) {
        Some(event) => Some(ListenerView {
            counted: row.get::<_, i64>(13)?.cast_unsigned(),
            count: event.counter.count,
            timeout_at: row.get(11)?,
            has_fired: row.get(12)?,
        }),
        None => None,
    };
    Ok(TriggerView {
        id: TriggerId(row.get(0)?),
        next_at: row.get(8)?,
        awaits_end: row.get(9)?,
        spec,
        listener,
    })
}
