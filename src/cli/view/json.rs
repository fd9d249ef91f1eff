//! Owns: the documents of `--json`.
//! Never: where their values come from.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::coming::coming_run;
use super::options::OptionsJson;
use super::resources::{PortionJson, share_json};
use crate::domain::{
    CommandLine, ExecutorName, JobId, JobName, JobState, Outcome, ResourceName, RunState, Span, Timestamp,
    TriggerKind, TriggerSpec,
};
use crate::keeper::PresentUse;
use crate::schedule::{Change, Daylight, Reading};
use crate::shown::lossy;
use crate::store::{ArrayProgress, AttemptView, JobView, ListenerView, QueueView, RunView, TriggerView};

pub const JSON_VERSION: u32 = 1;

#[derive(Serialize)]
pub struct Document<T: Serialize> {
    version: u32,
    #[serde(flatten)]
    content: T,
}

pub fn document<T: Serialize>(content: T) -> Document<T> {
    Document { version: JSON_VERSION, content }
}

#[derive(Serialize)]
pub struct OneJob<'a> {
    pub job: JobJson<'a>,
}

#[derive(Serialize)]
pub struct Jobs<'a> {
    pub jobs: Vec<JobJson<'a>>,
}

#[derive(Serialize)]
pub struct Runs {
    pub runs: Vec<RunJson>,
}

#[derive(Serialize)]
pub struct JobJson<'a> {
    id: JobId,
    name: Option<&'a JobName>,
    state: JobState,
    runs_paused: bool,
    command: Option<Vec<String>>,
    script: Option<String>,
    triggers: Vec<TriggerJson>,
    start_at: Option<Timestamp>,
    until_at: Option<Timestamp>,
    #[serde(flatten)]
    options: OptionsJson<'a>,
    created_at: Timestamp,
    paused_at: Option<Timestamp>,
    done_at: Option<Timestamp>,
    next_fire_at: Option<Timestamp>,
    /// How many fires `nth` has passed over since one ran; `null` without it.
    nth_passed: Option<u32>,
    rests_until: Option<Timestamp>,
    /// How many runs `times` counts; `null` without it.
    times_begun: Option<u32>,
    /// How far the latest array is, with the indices that a retry left; `null` of other jobs.
    indices: Option<IndicesJson>,
    runs: i64,
    last_run: Option<String>,
    last_outcome: Option<Outcome>,
    last_finished_at: Option<Timestamp>,
}

/// How far an array is.
#[derive(Serialize)]
pub struct IndicesJson {
    total: u32,
    finished: u32,
    failed: u32,
    /// Those that were cancelled or skipped.
    cancelled: u32,
    missed: u32,
    outcome: Option<Outcome>,
}

impl From<&ArrayProgress> for IndicesJson {
    fn from(array: &ArrayProgress) -> Self {
        let ArrayProgress { total, finished, failed, cancelled, missed, outcome, .. } = *array;
        Self { total, finished, failed, cancelled, missed, outcome }
    }
}

/// An array with its job.
#[derive(Serialize)]
pub struct ArrayJson {
    job_id: JobId,
    #[serde(flatten)]
    indices: IndicesJson,
}

impl ArrayJson {
    pub fn of(job: JobId, array: &ArrayProgress) -> Self {
        Self { job_id: job, indices: array.into() }
    }
}

#[derive(Serialize)]
pub struct TriggerJson {
    kind: TriggerKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    calendar: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_end: Option<bool>,
    /// The value of `--on`.
    #[serde(skip_serializing_if = "Option::is_none")]
    on: Option<String>,
    #[serde(flatten)]
    listener: Option<ListenerJson>,
    tz: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    next_fire_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    daylight: Option<DaylightJson>,
}

/// How far an event trigger has counted.
#[derive(Serialize)]
struct ListenerJson {
    counted: u64,
    count: u64,
    timeout_at: Option<Timestamp>,
}

impl From<&ListenerView> for ListenerJson {
    fn from(listener: &ListenerView) -> Self {
        Self { counted: listener.counted, count: listener.count, timeout_at: listener.timeout_at }
    }
}

/// The effects of daylight saving on the fires of a trigger.
#[derive(Serialize)]
pub struct DaylightJson {
    /// The effect on its next fire.
    pub next_fire: Option<&'static str>,
    /// The effects within a year.
    pub changes: Vec<ChangeJson>,
}

/// A change of the clock. The clock of the trigger's zone shows the readings from `from` to `to` twice, or
/// not at all.
#[derive(Serialize)]
pub struct ChangeJson {
    at: Timestamp,
    daylight: &'static str,
    from: Reading,
    to: Reading,
    count: u64,
}

impl From<&Change> for ChangeJson {
    fn from(change: &Change) -> Self {
        let Change { at, daylight: Daylight { effect, readings } } = *change;
        Self { at, daylight: effect.as_str(), from: readings.first, to: readings.last, count: readings.count }
    }
}

impl From<&TriggerView> for TriggerJson {
    fn from(trigger: &TriggerView) -> Self {
        let mut json = Self {
            kind: trigger.spec.kind(),
            at: None,
            cron: None,
            calendar: None,
            every_ms: None,
            after_end: None,
            on: None,
            listener: trigger.listener.as_ref().map(ListenerJson::from),
            tz: None,
            delay_ms: Some(trigger.spec.delay().as_millis()).filter(|delay| *delay > 0),
            next_fire_at: trigger.next_at,
            daylight: None,
        };
        match &trigger.spec {
            TriggerSpec::At { at, .. } => json.at = Some(*at),
            TriggerSpec::Cron { expr, zone, .. } => {
                (json.cron, json.tz) = (Some(expr.clone()), zone.clone());
            }
            TriggerSpec::Calendar { expr, zone, .. } => {
                (json.calendar, json.tz) = (Some(expr.clone()), zone.clone());
            }
            TriggerSpec::Every { period, .. } => json.every_ms = Some(period.as_millis()),
            TriggerSpec::AfterEnd { period, .. } => {
                (json.every_ms, json.after_end) = (Some(period.as_millis()), Some(true));
            }
            TriggerSpec::Event(event) => json.on = Some(event.to_string()),
        }
        json
    }
}

impl<'a> From<&'a JobView> for JobJson<'a> {
    fn from(job: &'a JobView) -> Self {
        let (command, script) = match &job.definition.execution.command {
            CommandLine::Argv(argv) => (Some(argv.iter().map(|word| lossy(word)).collect()), None),
            CommandLine::Script(script) => (None, Some(lossy(script))),
            CommandLine::Sealed => (None, None),
        };
        Self {
            id: job.id,
            name: job.definition.name.as_ref(),
            state: job.state,
            runs_paused: job.runs_paused,
            command,
            script,
            triggers: job.triggers.iter().map(TriggerJson::from).collect(),
            start_at: job.definition.start,
            until_at: job.definition.until,
            options: OptionsJson(&job.definition),
            created_at: job.created_at,
            paused_at: job.paused_at,
            done_at: job.done_at,
            next_fire_at: coming_run(job).map(|(at, _)| at),
            nth_passed: job.definition.nth.map(|_| job.passed),
            rests_until: job.rests_until,
            times_begun: job.definition.times.map(|_| job.begun),
            indices: job.array.as_ref().map(IndicesJson::from),
            runs: job.runs,
            last_run: job.last.map(|(run, ..)| run.to_string()),
            last_outcome: job.last.map(|(_, outcome, _)| outcome),
            last_finished_at: job.last.map(|(.., at)| at),
        }
    }
}

impl JobJson<'_> {
    /// Adds the effects of daylight saving on each trigger.
    pub fn with_daylight(mut self, daylight: impl IntoIterator<Item = Option<DaylightJson>>) -> Self {
        for (trigger, daylight) in self.triggers.iter_mut().zip(daylight) {
            trigger.daylight = daylight;
        }
        self
    }
}

#[derive(Serialize)]
pub struct RunJson {
    id: String,
    job_id: JobId,
    number: i64,
    name: Option<String>,
    attempt: u32,
    queue: String,
    state: RunState,
    outcome: Option<Outcome>,
    cause: Option<String>,
    exit_code: Option<i32>,
    signal: Option<i32>,
    trigger: TriggerKind,
    fires: u64,
    scheduled_at: Timestamp,
    queued_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    pid: Option<u32>,
    index: Option<u32>,
    item: Option<String>,
    /// Where it is, or has run, if not on this machine.
    executor: Option<ExecutorName>,
    host: Option<String>,
    unreachable_since: Option<Timestamp>,
    /// The run that a callback follows.
    parent: Option<String>,
    unattended: bool,
    blocked: bool,
    /// The runs that it waited for.
    after_runs: Option<Vec<String>>,
    paused: bool,
    duration_ms: Option<u64>,
    user_ms: Option<u64>,
    system_ms: Option<u64>,
    max_rss_kib: Option<i64>,
    output_bytes: Option<i64>,
    stderr_bytes: Option<i64>,
    output_pruned: bool,
    retry_at: Option<Timestamp>,
    /// What it wrote to `TASKQ_RESULT_FILE`.
    result: Option<Value>,
    /// What it has booked, or had when it ended.
    resources: Option<BTreeMap<ResourceName, PortionJson>>,
    /// In the document of `show` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<AttemptJson>>,
    /// In the document of `show` only; `Some(None)`: it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    present_use: Option<Option<PresentUseJson>>,
}

/// What the processes of a run use at present.
#[derive(Serialize)]
pub struct PresentUseJson {
    cpu_ms: u64,
    rss_kib: u64,
    processes: usize,
}

impl From<PresentUse> for PresentUseJson {
    fn from(used: PresentUse) -> Self {
        let PresentUse { cpu, rss_bytes, processes } = used;
        Self { cpu_ms: cpu.as_micros() / 1_000, rss_kib: rss_bytes / 1_024, processes }
    }
}

/// An attempt that has begun.
#[derive(Serialize)]
pub struct AttemptJson {
    number: u32,
    outcome: Option<Outcome>,
    cause: Option<String>,
    exit_code: Option<i32>,
    signal: Option<i32>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    pid: Option<u32>,
    duration_ms: Option<u64>,
    user_ms: Option<u64>,
    system_ms: Option<u64>,
    max_rss_kib: Option<i64>,
    output_bytes: Option<i64>,
    stderr_bytes: Option<i64>,
}

impl From<&AttemptView> for AttemptJson {
    fn from(attempt: &AttemptView) -> Self {
        Self {
            number: attempt.number,
            outcome: attempt.outcome,
            cause: attempt.cause.clone(),
            exit_code: attempt.exit_code,
            signal: attempt.signal,
            started_at: attempt.started_at,
            finished_at: attempt.finished_at,
            pid: attempt.pid,
            duration_ms: attempt.duration().map(Span::as_millis),
            user_ms: attempt.user.map(Span::as_millis),
            system_ms: attempt.system.map(Span::as_millis),
            max_rss_kib: attempt.max_rss_kib,
            output_bytes: attempt.output_bytes,
            stderr_bytes: attempt.stderr_bytes,
        }
    }
}

impl RunJson {
    /// Adds the attempts of the run.
    pub fn with_attempts(self, attempts: &[AttemptView]) -> Self {
        Self { attempts: Some(attempts.iter().map(AttemptJson::from).collect()), ..self }
    }

    /// Adds what the run uses at present.
    pub fn with_present_use(self, used: Option<PresentUse>) -> Self {
        Self { present_use: Some(used.map(PresentUseJson::from)), ..self }
    }
}

impl From<&RunView> for RunJson {
    fn from(run: &RunView) -> Self {
        Self {
            id: run.run.to_string(),
            job_id: run.run.job,
            number: run.run.number,
            name: run.name.clone(),
            attempt: run.attempt,
            queue: run.queue.clone(),
            state: run.state,
            outcome: run.outcome,
            cause: run.cause.clone(),
            exit_code: run.exit_code,
            signal: run.signal,
            trigger: run.trigger,
            fires: run.fires,
            scheduled_at: run.scheduled_at,
            queued_at: run.queued_at,
            started_at: run.started_at,
            finished_at: run.finished_at,
            pid: run.pid,
            index: run.index,
            item: run.item.as_deref().map(|item| String::from_utf8_lossy(item).into_owned()),
            executor: run.far.as_ref().map(|far| far.place.executor.clone()),
            host: run.far.as_ref().map(|far| far.place.host.clone()).filter(|host| !host.is_empty()),
            unreachable_since: run.far.as_ref().and_then(|far| Some(far.unreachable.as_ref()?.since)),
            parent: run.parent.clone(),
            unattended: run.unattended,
            blocked: run.blocked,
            after_runs: run
                .after_runs
                .as_ref()
                .map(|runs| runs.split_whitespace().map(str::to_owned).collect()),
            paused: run.paused,
            duration_ms: run.duration().map(Span::as_millis),
            user_ms: run.user.map(Span::as_millis),
            system_ms: run.system.map(Span::as_millis),
            max_rss_kib: run.max_rss_kib,
            output_bytes: run.output_bytes,
            stderr_bytes: run.stderr_bytes,
            output_pruned: run.output_pruned,
            retry_at: run.retry_at,
            result: run.result.as_ref().and_then(|result| serde_json::from_str(result).ok()),
            resources: run.share.as_ref().map(share_json),
            attempts: None,
            present_use: None,
        }
    }
}

#[derive(Serialize)]
pub struct QueueJson {
    name: String,
    slots: usize,
    paused_at: Option<Timestamp>,
    running: u64,
    waiting: u64,
    backlog_ms: Option<u64>,
    order: &'static str,
    /// `None`: no waiting makes up for a point of priority.
    aging_ms: Option<u64>,
}

impl QueueJson {
    /// Makes the JSON of a queue. A queue without a number of slots has `default_slots` slots.
    pub fn new(queue: &QueueView, default_slots: usize) -> Self {
        Self {
            name: queue.name.clone(),
            slots: slots(queue, default_slots),
            paused_at: queue.paused_at,
            running: queue.running,
            waiting: queue.waiting,
            backlog_ms: backlog_ms(queue, default_slots),
            order: queue.rule.order.as_str(),
            aging_ms: queue.rule.aging.span().map(|span| span.as_micros() / 1_000),
        }
    }
}

pub fn slots(queue: &QueueView, default_slots: usize) -> usize {
    queue.slots.map_or(default_slots, |slots| slots as usize)
}

/// Returns the expected time for the waiting runs, by the latest runs and by `--expect`; `None` if it is not
/// known of some.
pub fn backlog_ms(queue: &QueueView, default_slots: usize) -> Option<u64> {
    let slots = u64::try_from(slots(queue, default_slots)).unwrap_or(u64::MAX);
    if queue.waiting == 0 {
        return Some(0);
    }
    let (count, work) = queue.expecting;
    let others = queue.waiting.saturating_sub(count);
    let others = match others {
        0 => 0,
        others => queue.mean_run?.as_micros().saturating_mul(others),
    };
    work.as_micros().saturating_add(others).checked_div(slots).map(|micros| micros / 1_000)
}
