//! Owns: why a job or a run does not start, as a line and as JSON.
//! Never: finding the reason (see `engine`).

use serde::Serialize;

use super::json::TriggerJson;
use super::tables::{counted_text, trigger_text};
use super::times::Times;
use super::when::when_text;
use super::why_far::{far_hint, far_text, unreachable_text};
use super::why_requirement::{fire_name, gate_text, listed, resource_text, start_text};
use crate::domain::{
    AfterCondition, FireId, GateReading, JobId, JobName, Outcome, RunId, RunState, Timestamp, TriggerSpec,
};
use crate::engine::{Awaited, AwaitedFire, FarWait, Idle, ResourceWait, SlotWait, Unmet, UnmetFacts};
use crate::shown::{self, counted};
use crate::store::{JobView, RunView, TriggerView};

/// The answer of `why`. JSON has every key but the line and the hint.
#[derive(Default, Serialize)]
pub struct Reason {
    pub job: Option<JobId>,
    pub name: Option<JobName>,
    run: Option<String>,
    reason: &'static str,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    start_by: Option<Timestamp>,
    expected_at: Option<Timestamp>,
    /// The runs that have what it waits for.
    held_by: Vec<String>,
    /// The jobs whose runs it waits for.
    waits_for: Vec<String>,
    /// How many runs start before it.
    ahead: Option<u64>,
    /// How far a count is, as `3/20`, or what a gate measures, as `2.31`.
    value: Option<String>,
    gate: Option<String>,
    resource: Option<String>,
    queue: Option<String>,
    slots: Option<usize>,
    attempt: Option<u32>,
    pid: Option<u32>,
    outcome: Option<Outcome>,
    cause: Option<String>,
    /// The triggers of a job that waits for its next fire.
    triggers: Vec<TriggerJson>,
    /// How many indices of an array wait beside the run that it is about, and why.
    waiting_indices: Option<u64>,
    waiting: Option<Box<Self>>,
    #[serde(skip)]
    pub line: String,
    #[serde(skip)]
    pub hint: Option<String>,
}

impl Reason {
    /// Adds that `count` other indices of its array wait, and why the first of them does.
    #[must_use]
    pub fn with_waiting(self, count: u64, waiting: Self) -> Self {
        let wait =
            if count == 1 { "1 other index waits".to_owned() } else { format!("{count} other indices wait") };
        let line = format!("{}\n{wait}: {}", self.line, waiting.line);
        let hint = self.hint.or_else(|| waiting.hint.clone());
        Self { line, hint, waiting_indices: Some(count), waiting: Some(Box::new(waiting)), ..self }
    }
}

/// Returns the reason of a run that has a process, or has ended. `paused_at`: since when it is stopped.
pub fn of_begun(run: &RunView, paused_at: Option<Timestamp>, times: &Times<'_>) -> Reason {
    let id = run.run;
    let reason = Reason {
        run: Some(id.to_string()),
        since: run.started_at,
        queue: Some(run.queue.clone()),
        attempt: Some(run.attempt),
        pid: run.pid,
        outcome: run.outcome,
        cause: run.cause.clone(),
        ..Reason::default()
    };
    if run.state == RunState::Finished {
        let ended = run.finished_at.map_or(String::new(), |at| format!(" at {}", times.show(at)));
        let line = format!("run {id} ended{ended}: {}", end_text(run));
        return Reason { reason: "finished", since: run.finished_at, line, ..reason };
    }
    let pid = run.pid.map_or(String::new(), |pid| format!(" with pid {pid}"));
    let begun = run.started_at.map_or(String::new(), |at| format!(" since {}", times.show(at)));
    let place = run.far.as_ref().map_or(String::new(), |far| format!(" on `{}`", far.place));
    let running = format!("run {id} has been running{place}{begun}{pid}");
    if let Some(at) = paused_at {
        let line = format!("{running}, and its processes have been paused since {}", times.show(at));
        let hint = Some(format!("continue them with `taskq resume {}`", id.job));
        return Reason { reason: "run_paused", since: paused_at, line, hint, ..reason };
    }
    let line = match (run.stop_at, run.unattended) {
        (Some(at), _) => format!("{running}; its stop was requested at {}", times.show(at)),
        (None, true) => format!("{running}; its keeper is gone, so its exit status will be unknown"),
        (None, false) => running,
    };
    let line = match run.far.as_ref().and_then(|far| far.unreachable.as_ref()) {
        Some(unreachable) => format!("{line}; {}", unreachable_text(unreachable, times)),
        None => line,
    };
    Reason { reason: if run.stop_at.is_some() { "stopping" } else { "running" }, line, ..reason }
}

/// Returns how a run ended: `failed, exit 2, took 3s`.
fn end_text(run: &RunView) -> String {
    let outcome = run.outcome.map_or(String::new(), |outcome| outcome.to_string());
    let status = match (run.exit_code, run.signal) {
        (Some(code), _) if code != 0 => format!(", exit {code}"),
        (None, Some(signal)) => format!(", {}", shown::signal_name(signal)),
        (Some(_) | None, _) => String::new(),
    };
    let cause = run.cause.as_ref().map_or(String::new(), |cause| format!(", {}", shown::escaped(cause)));
    let took = run.duration().map_or(String::new(), |took| format!(", took {}", shown::span(took)));
    format!("{outcome}{status}{cause}{took}")
}

/// Returns the reason of a fire that has no process. `old`: the runs of an earlier keeper.
pub fn of_waiting(facts: &UnmetFacts, unmet: Option<&Unmet>, old: &[RunId], times: &Times<'_>) -> Reason {
    let (subject, run) = match facts.fire {
        FireId::Run(run) => (format!("run {run}"), Some(run.to_string())),
        FireId::Array { job, .. } => (format!("array {job}"), None),
    };
    let since = match unmet {
        Some(Unmet::JobPaused) => facts.job_paused_at,
        Some(Unmet::QueuePaused { since }) => Some(*since),
        Some(_) | None => None,
    };
    let mut reason = Reason {
        run,
        reason: unmet.map_or("starting", reason_word),
        since: Some(since.unwrap_or(waits_since(facts))),
        start_by: facts.start_by,
        queue: Some(facts.queue.name.clone()),
        slots: Some(facts.queue.slots),
        attempt: Some(facts.attempt),
        hint: unmet.and_then(|unmet| hint(facts, unmet)),
        ..Reason::default()
    };
    let what = match unmet {
        None => {
            let is_at_gates = !facts.claimed && !facts.requirement.gates.is_empty();
            format!("{}; {}", start_text(is_at_gates), waiting_text(facts, times))
        }
        Some(unmet) => {
            add_values(&mut reason, facts, unmet, old);
            unmet_text(facts, unmet, old, times)
        }
    };
    let missed = facts
        .start_by
        .map_or(String::new(), |at| format!("; it is missed if it has not started by {}", times.show(at)));
    Reason { line: format!("{subject} {what}{missed}"), ..reason }
}

fn waits_since(facts: &UnmetFacts) -> Timestamp {
    facts.attempt_ended_at.unwrap_or(facts.queued_at)
}

fn waiting_text(facts: &UnmetFacts, times: &Times<'_>) -> String {
    match facts.attempt_ended_at {
        Some(at) => format!("its last attempt ended at {}", times.show(at)),
        None => format!("queued at {}", times.show(facts.queued_at)),
    }
}

/// Returns the one thing to do about a condition.
fn hint(facts: &UnmetFacts, unmet: &Unmet) -> Option<String> {
    let queue = &facts.queue.name;
    match unmet {
        Unmet::NoDaemon => Some(START.to_owned()),
        Unmet::JobPaused => Some(format!("resume it with `taskq resume {}`", facts.fire.job())),
        Unmet::Dependencies { open, .. } => {
            open.first().map(|one| format!("see `taskq why {}`", one.dependency.on))
        }
        Unmet::QueuePaused { .. } => Some(format!("resume it with `taskq resume --queue {queue}`")),
        Unmet::NoSlots => Some(format!("give it slots with `taskq queue set {queue} --slots N`")),
        Unmet::TooLarge { resource, needed, .. } => {
            let amount = resource.amount_text(*needed);
            Some(format!("`taskq resource set {resource}={amount}`, or let the job need less"))
        }
        Unmet::Resource(ResourceWait { kept_for: Some(fire), .. }) => {
            Some(format!("see `taskq why {}`", fire_name(*fire)))
        }
        Unmet::Far(wait) => far_hint(wait),
        Unmet::RetryDelay { .. }
        | Unmet::NoKeeper
        | Unmet::OldKeeper
        | Unmet::EarlierArray
        | Unmet::OtherRuns { .. }
        | Unmet::Gate { .. }
        | Unmet::Resource(_)
        | Unmet::Slot(_) => None,
    }
}

/// Adds the values of a condition to the JSON.
fn add_values(reason: &mut Reason, facts: &UnmetFacts, unmet: &Unmet, old: &[RunId]) {
    let names = |runs: &[RunId]| runs.iter().map(ToString::to_string).collect();
    match unmet {
        Unmet::RetryDelay { until } => reason.until = Some(*until),
        Unmet::Dependencies { open, .. } => {
            reason.held_by = open.iter().filter_map(awaited_run).collect();
            reason.waits_for = open.iter().map(|awaited| awaited.dependency.on.to_string()).collect();
        }
        Unmet::OldKeeper => reason.held_by = names(old),
        Unmet::OtherRuns { at_once } => {
            reason.held_by = names(&facts.beside);
            reason.value = Some(format!("{}/{at_once}", facts.beside.len()));
        }
        Unmet::Gate { gate, reading, until } => {
            (reason.gate, reason.until) = (Some(gate.to_string()), *until);
            reason.value = match reading {
                GateReading::Read { measure, .. } => measure.as_ref().map(ToString::to_string),
                GateReading::NotYet | GateReading::Unreadable(_) => None,
            };
        }
        Unmet::TooLarge { resource, needed, total } => {
            reason.resource = Some(resource.to_string());
            reason.value = Some(format!("{needed}/{total}"));
        }
        Unmet::Resource(wait) => {
            reason.resource = Some(wait.resource.to_string());
            reason.value = Some(format!("{}/{}", wait.needed, wait.free));
            reason.held_by = names(&wait.held_by);
            reason.waits_for = wait.kept_for.map(fire_name).into_iter().collect();
        }
        Unmet::Slot(slot) => {
            reason.held_by = names(&slot.held_by);
            reason.value = Some(format!("{}/{}", slot.taken, facts.queue.slots));
            (reason.ahead, reason.expected_at) = (Some(slot.ahead), slot.expected_at);
        }
        Unmet::Far(FarWait::Given { place, .. }) => reason.waits_for = vec![place.to_string()],
        Unmet::Far(_)
        | Unmet::NoDaemon
        | Unmet::JobPaused
        | Unmet::NoKeeper
        | Unmet::QueuePaused { .. }
        | Unmet::NoSlots
        | Unmet::EarlierArray => {}
    }
}

/// Returns a condition as the predicate of a fire.
fn unmet_text(facts: &UnmetFacts, unmet: &Unmet, old: &[RunId], times: &Times<'_>) -> String {
    let (queue, waiting) = (&facts.queue.name, waiting_text(facts, times));
    match unmet {
        Unmet::NoDaemon => format!("waits for a daemon: none is running; {waiting}"),
        Unmet::JobPaused => {
            let since = facts.job_paused_at.map_or(String::new(), |at| format!(" since {}", times.show(at)));
            format!("waits because job {} has been paused{since}", facts.fire.job())
        }
        Unmet::RetryDelay { until } => {
            let (at, left, ended) = (times.show(*until), times.left(*until), times.show(waits_since(facts)));
            let (before, attempt) = (facts.attempt - 1, facts.attempt);
            format!("waits for attempt {attempt} at {at}, in {left}: attempt {before} ended at {ended}")
        }
        Unmet::Dependencies { open, any } => {
            format!("waits for {}; {waiting}", dependencies_text(open, *any))
        }
        Unmet::NoKeeper => format!("waits for the daemon to start its keeper; {waiting}"),
        Unmet::OldKeeper => {
            let left = if old.is_empty() { String::new() } else { format!(", {},", listed(old, old.len())) };
            format!("waits until all runs{left} of the keeper of an earlier taskq have ended; {waiting}")
        }
        Unmet::QueuePaused { since } => {
            format!("waits because queue `{queue}` has been paused since {}", times.show(*since))
        }
        Unmet::NoSlots => format!("waits because queue `{queue}` has 0 slots; {waiting}"),
        Unmet::EarlierArray => format!("waits for the end of the job's array before it; {waiting}"),
        Unmet::OtherRuns { at_once } => {
            let bound = match at_once {
                1 => "the job runs once at a time".to_owned(),
                at_once => format!("the job has at most {at_once} runs at once"),
            };
            let runs = listed(&facts.beside, facts.beside.len());
            format!("waits for the end of {runs}, because {bound}; {waiting}")
        }
        Unmet::Gate { gate, reading, until } => {
            format!("{}; {waiting}", gate_text(gate, reading, *until, &facts.requirement, times))
        }
        Unmet::TooLarge { resource, needed, total } => {
            let (needed, total) = (resource.amount_text(*needed), resource.amount_text(*total));
            format!("cannot start: it needs {resource}={needed}, and there is {resource}={total}; {waiting}")
        }
        Unmet::Resource(wait) => format!("{}; {waiting}", resource_text(wait)),
        Unmet::Slot(slot) => format!("{}; {waiting}", slot_text(slot, facts, times)),
        Unmet::Far(wait) => format!("{}; {waiting}", far_text(wait, times)),
    }
}

pub const START: &str = "start one with `taskq service install`, or `taskq daemon &`";

/// The message of a verb that has stored what only a daemon starts.
pub const NO_DAEMON: &str =
    "no daemon is running: start one with `taskq service install`, or `taskq daemon &`";

fn reason_word(unmet: &Unmet) -> &'static str {
    match unmet {
        Unmet::NoDaemon => "no_daemon",
        Unmet::JobPaused => "job_paused",
        Unmet::RetryDelay { .. } => "retry_delay",
        Unmet::Dependencies { .. } => "dependency",
        Unmet::NoKeeper => "no_keeper",
        Unmet::OldKeeper => "old_keeper",
        Unmet::QueuePaused { .. } => "queue_paused",
        Unmet::NoSlots => "no_slots",
        Unmet::EarlierArray => "earlier_array",
        Unmet::OtherRuns { .. } => "other_runs",
        Unmet::Gate { .. } => "gate",
        Unmet::TooLarge { .. } => "too_large",
        Unmet::Resource(_) => "resource",
        Unmet::Slot(_) => "slot",
        Unmet::Far(_) => "executor",
    }
}

fn slot_text(slot: &SlotWait, facts: &UnmetFacts, times: &Times<'_>) -> String {
    let queue = &facts.queue;
    let holders = listed(&slot.held_by, slot.taken);
    let are = if slot.taken == 1 { "is" } else { "are" };
    let ahead = usize::try_from(slot.ahead).unwrap_or(usize::MAX);
    let before = match ahead {
        0 => "it is next".to_owned(),
        1 => "1 run is before it".to_owned(),
        _ => format!("{} are before it", counted(ahead, "run")),
    };
    let expected =
        slot.expected_at.map_or(String::new(), |at| format!(", and it starts in about {}", times.left(at)));
    format!(
        "waits for a slot of queue `{}`: {} of {} {are} taken by {holders}; {before}{expected}",
        queue.name, slot.taken, queue.slots
    )
}

/// Returns the run that a dependency means, if there is one.
fn awaited_run(awaited: &Awaited) -> Option<String> {
    match awaited.fire {
        AwaitedFire::Made { fire: FireId::Run(run), .. } => Some(run.to_string()),
        AwaitedFire::Made { fire: FireId::Array { .. }, .. }
        | AwaitedFire::NoJob
        | AwaitedFire::NotMade { .. } => None,
    }
}

fn dependencies_text(open: &[Awaited], any: bool) -> String {
    let Some((first, rest)) = open.split_first() else { return "other jobs".to_owned() };
    let on = &first.dependency.on;
    let end = match first.dependency.condition {
        AfterCondition::Success => "the success",
        AfterCondition::Failed => "the failure",
        AfterCondition::Done => "the end",
    };
    let text = match first.fire {
        AwaitedFire::Made { fire: FireId::Run(run), .. } => {
            format!("{end} of run {run} of `{on}`, which has not ended")
        }
        AwaitedFire::Made { fire: FireId::Array { .. }, .. } => {
            format!("{end} of array `{on}`, which has not ended")
        }
        AwaitedFire::NoJob | AwaitedFire::NotMade { .. } => {
            format!("{end} of a run of `{on}`, which has none yet")
        }
    };
    let or_and = if any { "or" } else { "and" };
    match rest.len() {
        0 => text,
        more => format!("{text}, {or_and} for {}", counted(more, "other job")),
    }
}

/// Returns the reason of a job without an unfinished run. `next`: its next fire.
pub fn of_idle(
    job: &JobView,
    idle: Idle,
    next: Option<(Timestamp, &TriggerSpec)>,
    times: &Times<'_>,
) -> Reason {
    let (since, until, hint) = match idle {
        Idle::Done => (job.done_at, None, None),
        Idle::Paused => (job.paused_at, None, Some(format!("resume it with `taskq resume {}`", job.id))),
        Idle::NoDaemon(at) => (None, Some(at), Some(START.to_owned())),
        Idle::Due(at) | Idle::Rest(at) | Idle::Start(at) | Idle::Fire(at) => (None, Some(at), None),
        Idle::Events => (None, listening(job).filter_map(|(_, timeout_at)| timeout_at).min(), None),
        Idle::Boot | Idle::Nothing => (None, None, None),
    };
    let name = job.definition.name.as_ref();
    let subject = name.map_or_else(|| format!("job {}", job.id), |name| format!("job `{name}`"));
    Reason {
        reason: idle_word(idle),
        // It has waited for its next fire since its last run.
        since: since.or(Some(job.last.map_or(job.created_at, |(.., at)| at.max(job.created_at)))),
        until,
        value: if idle == Idle::Events { first_value(job) } else { None },
        queue: Some(job.definition.queue.to_string()),
        outcome: job.last.map(|(_, outcome, _)| outcome),
        triggers: job.triggers.iter().map(TriggerJson::from).collect(),
        line: format!("{subject} {}", idle_text(job, idle, next, times)),
        hint,
        ..Reason::default()
    }
}

/// Returns a reason as the predicate of a job.
fn idle_text(
    job: &JobView,
    idle: Idle,
    next: Option<(Timestamp, &TriggerSpec)>,
    times: &Times<'_>,
) -> String {
    let since = |at: Option<Timestamp>| at.map_or(String::new(), |at| format!(" since {}", times.show(at)));
    let last = || match job.last {
        Some((run, outcome, _)) => format!("its last run {run} ended as `{outcome}`"),
        None => "it has never had a run".to_owned(),
    };
    let events = events_text(job, times);
    match idle {
        Idle::Done => format!("has been done{}; {}", since(job.done_at), last()),
        Idle::Paused => format!("has been paused{}", since(job.paused_at)),
        Idle::NoDaemon(at) => {
            format!("was due at {}, and waits for a daemon: none is running", times.show(at))
        }
        Idle::Due(at) => format!("was due at {}, and has a run in a moment", times.show(at)),
        Idle::Rest(at) => {
            let (until, left) = (times.show(at), times.left(at));
            format!("rests until {until}, in {left}: its runs cause the next one, over and over")
        }
        Idle::Start(at) => {
            format!("counts no events before its start at {}, in {}", times.show(at), times.left(at))
        }
        Idle::Fire(at) => {
            let shown = next.map_or_else(|| times.show(at), |(at, spec)| times.show_fire(spec, at));
            let trigger = next.map_or(String::new(), |(_, spec)| fire_text(spec, times));
            let or = events.map_or(String::new(), |events| format!(", or runs {events}"));
            format!("waits for its next fire at {shown}, in {}{trigger}{or}", times.left(at))
        }
        Idle::Events => format!("runs {}", events.unwrap_or_default()),
        Idle::Boot => "runs after the next boot".to_owned(),
        Idle::Nothing => format!("has no fire to come; {}", last()),
    }
}

/// Returns the trigger of a next fire, which is shown before it: ` (cron 15 3 * * *)`.
fn fire_text(trigger: &TriggerSpec, times: &Times<'_>) -> String {
    match trigger {
        TriggerSpec::At { .. } => String::new(),
        TriggerSpec::Cron { expr, .. } => format!(" (cron {expr})"),
        TriggerSpec::Calendar { expr, .. } => format!(" (calendar {expr})"),
        TriggerSpec::Every { .. } | TriggerSpec::AfterEnd { .. } | TriggerSpec::Event(_) => {
            format!(" ({})", trigger_text(trigger, times.zone))
        }
    }
}

fn idle_word(idle: Idle) -> &'static str {
    match idle {
        Idle::Done => "done",
        Idle::Paused => "job_paused",
        Idle::NoDaemon(_) => "no_daemon",
        Idle::Due(_) => "due",
        Idle::Rest(_) => "rest",
        Idle::Start(_) => "start",
        Idle::Fire(_) => "fire",
        Idle::Events => "events",
        Idle::Boot => "boot",
        Idle::Nothing => "nothing",
    }
}

/// Returns the triggers whose events are missing, each with the time at which it fires without any.
fn listening(job: &JobView) -> impl Iterator<Item = (&TriggerView, Option<Timestamp>)> {
    job.triggers.iter().filter_map(|trigger| {
        let listener = trigger.listener.as_ref().filter(|listener| !listener.has_fired)?;
        Some((trigger, listener.timeout_at))
    })
}

/// Returns how far the first count is, as `3/20`.
fn first_value(job: &JobView) -> Option<String> {
    let (trigger, _) = listening(job).next()?;
    let listener = trigger.listener.as_ref()?;
    Some(format!("{}/{}", listener.counted, listener.count))
}

/// Returns when a job runs by events: ``when event `x` has been sent 20 times, 3/20``.
fn events_text(job: &JobView, times: &Times<'_>) -> Option<String> {
    let all_of = job.definition.all_of;
    let one = |(trigger, timeout_at): (&TriggerView, Option<Timestamp>)| {
        let event = trigger.spec.event()?;
        let timeout = match (timeout_at, event.counter.absent) {
            (None, _) => String::new(),
            (Some(at), Some(_)) => format!(", at {} at the earliest", times.show(at)),
            (Some(at), None) => format!(", at {} at the latest", times.show(at)),
        };
        Some(format!("{}{}{timeout}", when_text(event), counted_text(trigger.listener.as_ref())))
    };
    let texts: Vec<String> = listening(job).filter_map(one).collect();
    let or_and = if all_of { ", and " } else { ", or " };
    (!texts.is_empty()).then(|| texts.join(or_and))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::{Gate, Requirement, Span};
    use crate::engine::UnmetResources;
    use crate::engine::{Service, UnmetQueue};
    use crate::schedule::Zone;

    fn run(job: i64, number: i64) -> RunId {
        RunId { job: JobId(job), number }
    }

    fn facts() -> UnmetFacts {
        UnmetFacts {
            fire: FireId::Run(run(9, 1)),
            service: Service::Ready,
            queued_at: Timestamp::from_seconds(60),
            start_by: None,
            attempt: 1,
            attempt_ended_at: None,
            not_before: None,
            held: false,
            job_paused_at: None,
            awaiting: None,
            claimed: false,
            earlier_array: None,
            at_once: Some(2),
            beside: vec![run(9, 2), run(9, 3)],
            requirement: Requirement::default(),
            readings: BTreeMap::new(),
            resources: UnmetResources::default(),
            far: None,
            queue: UnmetQueue { name: "q".to_owned(), slots: 5, ..UnmetQueue::default() },
        }
    }

    #[test]
    fn each_condition_that_no_user_can_make_at_will_reads_as_a_sentence() {
        let times = Times { zone: &Zone::utc(), now: Timestamp::from_seconds(120), are_whole: false };
        let slot = |taken, ahead, expected: Option<u64>| {
            let held_by = (1..=5).map(|job| run(job, 1)).take(taken).collect();
            let expected_at = expected.map(|seconds| times.now + Span::from_seconds(seconds));
            Unmet::Slot(SlotWait { taken, held_by, ahead, expected_at })
        };
        for (unmet, line) in [
            (None, "waits for nothing, and starts in a moment; queued at 00:01:00"),
            (Some(Unmet::NoKeeper), "waits for the daemon to start its keeper; queued at 00:01:00"),
            (
                Some(Unmet::OldKeeper),
                "waits until all runs, 1.1 and 2.1, of the keeper of an earlier taskq have ended; \
                 queued at 00:01:00",
            ),
            (Some(Unmet::NoSlots), "waits because queue `q` has 0 slots; queued at 00:01:00"),
            (Some(Unmet::EarlierArray), "waits for the end of the job's array before it; queued at 00:01:00"),
            (
                Some(Unmet::OtherRuns { at_once: 2 }),
                "waits for the end of 9.2 and 9.3, because the job has at most 2 runs at once; \
                 queued at 00:01:00",
            ),
            (
                Some(slot(5, 7, Some(30))),
                "waits for a slot of queue `q`: 5 of 5 are taken by 1.1, 2.1, 3.1 and 2 more; 7 runs are \
                 before it, and it starts in about 30s; queued at 00:01:00",
            ),
            (
                Some(slot(3, 0, None)),
                "waits for a slot of queue `q`: 3 of 5 are taken by 1.1, 2.1 and 3.1; it is next; \
                 queued at 00:01:00",
            ),
        ] {
            let reason = of_waiting(&facts(), unmet.as_ref(), &[run(1, 1), run(2, 1)], &times);
            assert_eq!(reason.line, format!("run 9.1 {line}"));
        }
        let mut gated = facts();
        gated.requirement.gates.push(Gate::Ac);
        assert_eq!(
            of_waiting(&gated, None, &[], &times).line,
            "run 9.1 waits for its turn at its gates, which one run a second passes; queued at 00:01:00"
        );
    }
}
