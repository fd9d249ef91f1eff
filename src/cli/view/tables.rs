//! Owns: the tables of jobs, runs and queues.
//! Never: where their values come from.

use super::json::{backlog_ms, slots};
use crate::cli::output::style::outcome_style;
use crate::cli::output::{Column, Table, TableCell};
use crate::domain::{JobName, Outcome, Span, Timestamp, TriggerSpec};
use crate::schedule::Zone;
use crate::shown;
use crate::store::{JobView, QueueView, RunView};

/// The width of names, triggers and commands on a narrow terminal.
pub const WORDS_MIN: usize = 7;

/// The width of an instant on a narrow terminal, which keeps the minute: `2026-03-02 03:15…`.
pub const TIME_MIN: usize = 17;

/// Returns a trigger as text: `cron 15 3 * * *`.
pub fn trigger_text(trigger: &TriggerSpec, zone: &Zone) -> String {
    match trigger {
        TriggerSpec::At { at } => format!("at {}", zone.show(*at)),
        // A boot has no zone.
        TriggerSpec::Cron { expr, .. } if expr == "@reboot" => format!("cron {expr}"),
        TriggerSpec::Cron { expr, zone, delay } => {
            let zone = zone.as_ref().map_or(String::new(), |name| format!(" ({name})"));
            let delay = if *delay == Span::ZERO { String::new() } else { format!(", {delay} later") };
            format!("cron {expr}{zone}{delay}")
        }
        TriggerSpec::Every { period, .. } => format!("every {period}"),
    }
}

pub fn job_table(jobs: &[JobView], zone: &Zone, now: Timestamp) -> Table {
    let mut table = Table::new([
        Column::right("ID"),
        Column::left("NAME").shrinking_to(WORDS_MIN),
        Column::left("STATE"),
        Column::left("NEXT").shrinking_to(TIME_MIN),
        Column::right("LEFT"),
        Column::left("LAST"),
        Column::left("QUEUE").shrinking_to(WORDS_MIN),
        Column::left("TRIGGER").shrinking_to(WORDS_MIN),
        Column::left("COMMAND"),
    ]);
    for job in jobs {
        let triggers: Vec<String> =
            job.triggers.iter().map(|trigger| trigger_text(&trigger.spec, zone)).collect();
        let next = job.next_at.filter(|_| job.paused_at.is_none());
        table.push([
            TableCell::new(job.id.to_string()),
            maybe(job.definition.name.as_ref().map(JobName::as_str)),
            TableCell::new(job.state.as_str()),
            next.map_or_else(TableCell::unknown, |at| TableCell::new(zone.show(at))),
            next.map_or_else(TableCell::unknown, |at| TableCell::new(shown::span(at.since(now)))),
            outcome_cell(job.last.map(|(_, outcome, _)| outcome)),
            TableCell::new(job.definition.queue.as_str()),
            maybe((!triggers.is_empty()).then(|| triggers.join("; ")).as_deref()),
            TableCell::new(shown::command(&job.definition.execution.command)),
        ]);
    }
    table
}

pub fn run_table(runs: &[RunView], zone: &Zone, now: Timestamp) -> Table {
    let mut table = Table::new([
        Column::left("RUN"),
        Column::left("NAME").shrinking_to(WORDS_MIN),
        Column::left("TRIGGER"),
        Column::left("SCHEDULED").shrinking_to(TIME_MIN),
        Column::left("STARTED").shrinking_to(TIME_MIN),
        Column::right("TOOK"),
        Column::left("OUTCOME"),
        Column::right("EXIT"),
    ]);
    for run in runs {
        let took = run
            .duration()
            .or_else(|| run.started_at.filter(|_| run.finished_at.is_none()).map(|at| now.since(at)));
        table.push([
            TableCell::new(run.run.to_string()),
            maybe(run.name.as_deref()),
            TableCell::new(run.trigger.as_str()),
            TableCell::new(zone.show(run.scheduled_at)),
            run.started_at.map_or_else(TableCell::unknown, |at| TableCell::new(zone.show(at))),
            took.map_or_else(TableCell::unknown, |span| TableCell::new(shown::span(span))),
            outcome_or_state(run),
            exit_cell(run),
        ]);
    }
    table
}

fn maybe(text: Option<&str>) -> TableCell {
    text.map_or_else(TableCell::unknown, TableCell::new)
}

fn outcome_cell(outcome: Option<Outcome>) -> TableCell {
    outcome.map_or_else(TableCell::unknown, |outcome| {
        TableCell::styled(outcome.as_str(), outcome_style(outcome))
    })
}

fn outcome_or_state(run: &RunView) -> TableCell {
    match run.outcome {
        Some(outcome) if run.fires > 1 => {
            TableCell::styled(format!("{} ×{}", outcome.as_str(), run.fires), outcome_style(outcome))
        }
        Some(outcome) => outcome_cell(Some(outcome)),
        None => TableCell::new(state_text(run)),
    }
}

/// Returns the state of a run: `running (unattended)` if its exit status cannot be learned.
fn state_text(run: &RunView) -> String {
    let unattended = if run.unattended { " (unattended)" } else { "" };
    format!("{}{unattended}", run.state)
}

fn exit_cell(run: &RunView) -> TableCell {
    match (run.exit_code, run.signal) {
        (Some(code), _) => TableCell::new(code.to_string()),
        (None, Some(signal)) => TableCell::new(shown::signal_name(signal)),
        (None, None) => TableCell::unknown(),
    }
}

/// The table of `queue` and `status`.
pub fn queue_table(queues: &[QueueView], cpus: usize) -> Table {
    let mut table = Table::new([
        Column::left("QUEUE"),
        Column::right("SLOTS"),
        Column::right("RUNNING"),
        Column::right("WAITING"),
        Column::right("BACKLOG"),
        Column::left("STATE"),
    ]);
    for queue in queues {
        let backlog = backlog_ms(queue, cpus).map(Span::from_millis);
        table.push([
            TableCell::new(&queue.name),
            TableCell::new(slots(queue, cpus).to_string()),
            TableCell::new(queue.running.to_string()),
            TableCell::new(queue.waiting.to_string()),
            backlog.map_or_else(TableCell::unknown, |span| TableCell::new(shown::span(span))),
            TableCell::new(if queue.paused_at.is_some() { "paused" } else { "open" }),
        ]);
    }
    table
}
