//! Owns: the tables of jobs, runs and queues.
//! Never: where their values come from.

use super::coming::next_run;
use super::json::{backlog_ms, slots};
use super::options::executor;
use super::times::Times;
use crate::cli::output::style::outcome_style;
use crate::cli::output::{Column, Table, TableCell};
use crate::domain::{
    Aging, JobId, JobName, JobState, Outcome, QueueName, QueueOrder, QueueRule, Span, Timestamp, TriggerSpec,
};
use crate::schedule::Zone;
use crate::shown::{self, counted};
use crate::store::{ArrayProgress, AttemptView, JobView, ListenerView, QueueView, RunView, TriggerView};

/// The width of names and triggers on a narrow terminal.
pub const WORDS_MIN: usize = 10;

/// The width of commands on a narrow terminal.
pub const COMMAND_MIN: usize = 16;

/// The width of an instant on a narrow terminal, which keeps the minute: `Mar 02 03:15…` of another zone.
const TIME_MIN: usize = 13;

/// The width of an outcome on a narrow terminal: `success`, `timed_…`.
const OUTCOME_MIN: usize = 7;

/// Returns a trigger as text: `cron 15 3 * * *`.
pub fn trigger_text(trigger: &TriggerSpec, zone: &Zone) -> String {
    let text = match trigger {
        TriggerSpec::At { at, .. } => format!("at {}", zone.show(*at)),
        // A boot has no zone.
        TriggerSpec::Cron { expr, .. } if trigger.is_boot() => format!("cron {expr}"),
        TriggerSpec::Cron { expr, zone, .. } => {
            let zone = zone.as_ref().map_or(String::new(), |name| format!(" ({name})"));
            format!("cron {expr}{zone}")
        }
        TriggerSpec::Calendar { expr, .. } => {
            let zone = trigger.zone_beside_text().map_or(String::new(), |name| format!(" ({name})"));
            format!("calendar {expr}{zone}")
        }
        TriggerSpec::Every { period, .. } => format!("every {period}"),
        TriggerSpec::AfterEnd { period, .. } => format!("every {period} after end"),
        TriggerSpec::Event(event) => format!("on {}", shown::escaped(&event.to_string())),
    };
    text + &later(trigger.delay())
}

/// Returns how many events count towards the next fire, as `, 3/20`; nothing where each fires.
pub fn counted_text(listener: Option<&ListenerView>) -> String {
    let counting = listener.filter(|listener| listener.count > 1);
    counting.map_or(String::new(), |listener| format!(", {}/{}", listener.counted, listener.count))
}

/// Returns a trigger in a table, without its zone and its time that stand beside it, at the next fire.
fn trigger_cell(view: &TriggerView, next_at: Option<Timestamp>, times: &Times<'_>) -> String {
    let trigger = &view.spec;
    let text = match trigger {
        TriggerSpec::At { at, delay } if Some(*at + *delay) == next_at => "at".to_owned(),
        TriggerSpec::At { at, .. } => format!("at {}", times.show(*at)),
        TriggerSpec::Cron { expr, .. } => format!("cron {expr}"),
        TriggerSpec::Calendar { expr, .. } => format!("calendar {expr}"),
        TriggerSpec::Every { period, .. } => format!("every {period}"),
        TriggerSpec::AfterEnd { period, .. } => format!("every {period} after end"),
        TriggerSpec::Event(event) => format!("on {}", shown::escaped(&event.to_string())),
    };
    text + &later(trigger.delay()) + &counted_text(view.listener.as_ref())
}

fn later(delay: Span) -> String {
    if delay == Span::ZERO { String::new() } else { format!(", {delay} later") }
}

pub fn job_table(jobs: &[JobView], times: &Times<'_>) -> Table {
    let mut table = Table::new([
        Column::right("ID"),
        Column::left("NAME").unless_unknown().shrinking_to(WORDS_MIN),
        Column::left("STATE"),
        Column::left("NEXT").unless_unknown().shrinking_to(TIME_MIN),
        // It says the same as NEXT.
        Column::right("LEFT").unless_unknown().dropped(1),
        Column::left("LAST").unless_unknown().shrinking_to(OUTCOME_MIN),
        Column::left("QUEUE").unless_all(QueueName::DEFAULT).shrinking_to(WORDS_MIN).dropped(3),
        Column::left("EXECUTOR").unless_unknown().shrinking_to(WORDS_MIN),
        Column::left("TRIGGER").unless_unknown().shrinking_to(WORDS_MIN).dropped(2),
        Column::left("COMMAND").shrinking_to(COMMAND_MIN),
    ]);
    for job in jobs {
        let next = next_run(job);
        let next_at = next.map(|(at, _)| at);
        let triggers: Vec<String> =
            job.triggers.iter().map(|trigger| trigger_cell(trigger, next_at, times)).collect();
        let rest =
            job.rests_until.map_or(String::new(), |until| format!(", rests until {}", times.show(until)));
        let times_cell = job.times().map_or(String::new(), |times| format!(", {times}"));
        let nth = job.nth().map_or(String::new(), |facts| format!(", nth {}/{}", facts.passed, facts.nth));
        let triggers: Vec<String> = triggers.into_iter().chain(array_text(job)).collect();
        table.push([
            TableCell::new(job.id.to_string()),
            maybe(job.definition.name.as_ref().map(JobName::as_str)),
            TableCell::new(job_state_text(job)),
            maybe(next_text(job, next, times).as_deref()),
            maybe(next_at.map(|at| times.left(at)).as_deref()),
            outcome_cell(job.last.map(|(_, outcome, _)| outcome)),
            TableCell::new(job.definition.queue.as_str()),
            maybe(executor(&job.definition).as_deref()),
            maybe(
                (!triggers.is_empty())
                    .then(|| format!("{}{nth}{times_cell}{rest}", triggers.join("; ")))
                    .as_deref(),
            ),
            TableCell::new(shown::command(&job.definition.execution.command)),
        ]);
    }
    table.whole(times.are_whole)
}

/// Returns how far an array is: `array 1-1000, 312/1000, 2 failed`.
pub fn array_text(job: &JobView) -> Option<String> {
    let array = job.definition.array?;
    let progress = job.array.map_or(String::new(), |progress| {
        let ArrayProgress { total, finished, failed, cancelled, missed, .. } = progress;
        let counted = |count, word| if count > 0 { format!(", {count} {word}") } else { String::new() };
        let unsuccessful = [(failed, "failed"), (cancelled, "cancelled"), (missed, "missed")];
        let unsuccessful: String = unsuccessful.iter().map(|(count, word)| counted(*count, word)).collect();
        format!(", {finished}/{total}{unsuccessful}")
    });
    Some(format!("array {array}{progress}"))
}

/// Returns when a job fires next: a time, or the next boot.
fn next_text(job: &JobView, next: Option<(Timestamp, &TriggerSpec)>, times: &Times<'_>) -> Option<String> {
    match next {
        Some((at, trigger)) => Some(times.show_fire(trigger, at)),
        None if job.state != JobState::Scheduled => None,
        None => job.triggers.iter().any(|trigger| trigger.spec.is_boot()).then(|| "next boot".to_owned()),
    }
}

pub fn run_table(runs: &[RunView], times: &Times<'_>) -> Table {
    let mut table = Table::new([
        Column::left("RUN"),
        Column::left("NAME").unless_unknown().shrinking_to(WORDS_MIN),
        Column::right("INDEX").unless_unknown(),
        Column::left("ITEM").unless_unknown().shrinking_to(WORDS_MIN).dropped(1),
        Column::left("TRIGGER").dropped(4),
        Column::left("HOST").unless_unknown().shrinking_to(WORDS_MIN),
        Column::left("SCHEDULED"),
        // Most runs start when they are due.
        Column::left("STARTED").unless_unknown().dropped(2),
        Column::right("TOOK").unless_unknown(),
        Column::left("OUTCOME"),
        Column::right("EXIT").unless_unknown(),
        Column::left("CAUSE").unless_unknown().shrinking_to(COMMAND_MIN).dropped(3),
    ]);
    for run in runs {
        let started = run.started_at.map(|at| times.show(at));
        let took = took(run.started_at, run.finished_at, times);
        table.push([
            TableCell::new(run.run.to_string()),
            maybe(run.name.as_deref()),
            maybe(run.index.map(|index| index.to_string()).as_deref()),
            maybe(run.item.as_deref().map(String::from_utf8_lossy).as_deref()),
            TableCell::new(run.trigger.as_str()),
            maybe(run.far.as_ref().map(|far| far.place.to_string()).as_deref()),
            TableCell::new(times.show(run.scheduled_at)),
            maybe(started.as_deref()),
            maybe(took.map(shown::span).as_deref()),
            outcome_or_state(run, times),
            exit_cell(run.exit_code, run.signal),
            maybe(run.cause.as_deref()),
        ]);
    }
    table.whole(times.are_whole)
}

/// Returns how long a process ran, or has been running.
fn took(started: Option<Timestamp>, finished: Option<Timestamp>, times: &Times<'_>) -> Option<Span> {
    Some(finished.unwrap_or(times.now).since(started?))
}

pub fn maybe(text: Option<&str>) -> TableCell {
    text.map_or_else(TableCell::unknown, TableCell::new)
}

fn outcome_cell(outcome: Option<Outcome>) -> TableCell {
    outcome.map_or_else(TableCell::unknown, |outcome| {
        TableCell::styled(outcome.as_str(), outcome_style(outcome))
    })
}

fn outcome_or_state(run: &RunView, times: &Times<'_>) -> TableCell {
    match run.outcome {
        Some(outcome) if run.fires > 1 => {
            TableCell::styled(format!("{} ×{}", outcome.as_str(), run.fires), outcome_style(outcome))
        }
        Some(outcome) => outcome_cell(Some(outcome)),
        None => TableCell::new(state_text(run, times)),
    }
}

/// Returns the state of a job: `running (paused)` if the processes of its running runs are stopped.
pub fn job_state_text(job: &JobView) -> String {
    format!("{}{}", job.state, if job.runs_paused { " (paused)" } else { "" })
}

/// Returns the state of a run: `running (unattended)` if its exit status cannot be learned, `running
/// (paused)` if its processes are stopped, `running (unreachable since 14:02:07)` if its host does not
/// answer, `queued (blocked)` if it waits for other jobs, and when a run is tried again: `retrying 14:02:07`.
pub fn state_text(run: &RunView, times: &Times<'_>) -> String {
    let note = match (run.paused, run.unattended, run.blocked) {
        (true, true, _) => " (paused, unattended)",
        (true, false, _) => " (paused)",
        (false, true, _) => " (unattended)",
        (false, false, true) => " (blocked)",
        (false, false, false) => "",
    };
    let unreachable = run.far.as_ref().and_then(|far| far.unreachable.as_ref());
    let since = unreachable.map_or(String::new(), |unreachable| {
        format!(" (unreachable since {})", times.show(unreachable.since))
    });
    let retry_at = run.retry_at.map_or(String::new(), |at| format!(" {}", times.show(at)));
    format!("{}{note}{since}{retry_at}", run.state)
}

/// The table of the attempts of one run.
pub fn attempt_table(attempts: &[AttemptView], times: &Times<'_>) -> Table {
    let mut table = Table::new([
        Column::right("ATTEMPT"),
        Column::left("STARTED").unless_unknown(),
        Column::right("TOOK").unless_unknown(),
        Column::left("OUTCOME").unless_unknown(),
        Column::right("EXIT").unless_unknown(),
    ]);
    for attempt in attempts {
        let took = took(attempt.started_at, attempt.finished_at, times);
        table.push([
            TableCell::new(attempt.number.to_string()),
            maybe(attempt.started_at.map(|at| times.show(at)).as_deref()),
            maybe(took.map(shown::span).as_deref()),
            outcome_cell(attempt.outcome),
            exit_cell(attempt.exit_code, attempt.signal),
        ]);
    }
    table.whole(times.are_whole)
}

fn exit_cell(exit_code: Option<i32>, signal: Option<i32>) -> TableCell {
    match (exit_code, signal) {
        (Some(code), _) => TableCell::new(code.to_string()),
        (None, Some(signal)) => TableCell::new(shown::signal_name(signal)),
        (None, None) => TableCell::unknown(),
    }
}

/// The table of `queue` and `status`.
pub fn queue_table(queues: &[QueueView], default_slots: usize) -> Table {
    let mut table = Table::new([
        Column::left("QUEUE").shrinking_to(WORDS_MIN),
        Column::right("SLOTS"),
        Column::right("RUNNING"),
        Column::right("WAITING"),
        Column::right("BACKLOG").unless_unknown(),
        Column::left("ORDER"),
        Column::left("STATE"),
    ]);
    for queue in queues {
        // Nothing is to be estimated where nothing waits.
        let backlog = backlog_ms(queue, default_slots).filter(|_| queue.waiting > 0).map(Span::from_millis);
        table.push([
            TableCell::new(&queue.name),
            TableCell::new(slots(queue, default_slots).to_string()),
            TableCell::new(queue.running.to_string()),
            TableCell::new(queue.waiting.to_string()),
            maybe(backlog.map(|span| format!("~{}", shown::span(span))).as_deref()),
            TableCell::new(queue_order(&queue.rule)),
            TableCell::new(if queue.paused_at.is_some() { "paused" } else { "open" }),
        ]);
    }
    table
}

/// Returns how a queue orders what waits: `fifo`, and what a point of priority is worth; `shortest`;
/// `deadline`.
pub fn queue_order(rule: &QueueRule) -> String {
    match (rule.order, rule.aging) {
        (QueueOrder::Fifo, Aging::After(span)) => format!("fifo, {span}"),
        (QueueOrder::Fifo, Aging::Never) => "fifo, strict".to_owned(),
        (order, _) => order.to_string(),
    }
}

/// Returns the table of jobs of which runs are forgotten: id, name, how many runs, and whether the job goes
/// too.
pub fn pruned_table<'a>(jobs: impl Iterator<Item = (JobId, Option<&'a JobName>, usize, bool)>) -> Table {
    let mut table = Table::new([
        Column::right("ID"),
        Column::left("NAME").unless_unknown().shrinking_to(WORDS_MIN),
        Column::right("FORGOTTEN"),
        Column::left("JOB"),
    ]);
    for (id, name, runs, is_removed) in jobs {
        table.push([
            TableCell::new(id.to_string()),
            maybe(name.map(JobName::as_str)),
            TableCell::new(counted(runs, "run")),
            TableCell::new(if is_removed { "removed" } else { "kept" }),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::cli::view::samples::{at, berlin, jobs, jobs_of_queues, runs};

    /// Returns a table as terminals of three widths and a pipe show it.
    fn shown(table: &Table) -> String {
        let mut text = String::new();
        for width in [80, 120, 200] {
            let plain = anstream::adapter::strip_str(&table.render(Some(width))).to_string();
            assert!(plain.lines().all(|line| line.width() <= width), "{plain}");
            write!(text, "{width} columns\n{plain}\n").expect("a String takes all");
        }
        text + "a pipe\n" + &anstream::adapter::strip_str(&table.render(None)).to_string()
    }

    fn times(zone: &Zone, are_whole: bool) -> Times<'_> {
        Times { zone, now: at("2026-11-20 11:23:45"), are_whole }
    }

    #[test]
    fn a_list_fits_and_is_readable() {
        insta::assert_snapshot!(shown(&job_table(&jobs(), &times(&berlin(), false))));
    }

    #[test]
    fn a_list_with_queues_fits_and_is_readable() {
        insta::assert_snapshot!(shown(&job_table(&jobs_of_queues(), &times(&berlin(), false))));
    }

    #[test]
    fn a_whole_list_has_whole_times() {
        let table = job_table(&jobs(), &times(&berlin(), true));
        assert_eq!(table.render(Some(80)), table.render(None));
        insta::assert_snapshot!(anstream::adapter::strip_str(&table.render(None)).to_string());
    }

    #[test]
    fn runs_fit_and_are_readable() {
        insta::assert_snapshot!(shown(&run_table(&runs(), &times(&berlin(), false))));
    }

    #[test]
    fn queues_fit_and_their_backlog_is_an_estimate() {
        let queue = |name: &str, waiting, mean_run| QueueView {
            name: name.to_owned(),
            slots: Some(2),
            paused_at: None,
            running: 2,
            waiting,
            mean_run,
            expecting: (0, Span::ZERO),
            rule: QueueRule::default(),
        };
        let long = "a-queue-with-a-name-as-long-as-a-name-may-be-which-is-64-signs-x";
        let known = Some(Span::from_seconds(4));
        let table = queue_table(&[queue("default", 0, None), queue(long, 8, known)], 2);
        insta::assert_snapshot!(shown(&table));
        let heads = |queues: &[QueueView]| {
            let text = queue_table(queues, 2).render(None);
            text.lines().next().is_some_and(|heads| heads.contains("BACKLOG"))
        };
        assert!(!heads(&[queue("default", 8, None)]), "nothing has run yet");
        assert!(!heads(&[queue("default", 0, known)]), "nothing waits");
        assert!(heads(&[queue("default", 8, known), queue("new", 8, None)]));
        let backlog = |waiting, mean_run, expecting| {
            backlog_ms(&QueueView { expecting, ..queue("default", waiting, mean_run) }, 2)
        };
        let expecting = (3, Span::from_seconds(30));
        assert_eq!(backlog(3, None, expecting), Some(15_000));
        assert_eq!((backlog(4, None, expecting), backlog(4, known, expecting)), (None, Some(17_000)));
    }
}
