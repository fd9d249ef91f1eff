//! Owns: the columns of a job's definition: their names, filling them and reading them.
//! Never: the name, tags, triggers, requirement, state and history of a job.

use rusqlite::types::{ToSqlOutput, Value};
use rusqlite::{Row, ToSql};

use super::codec::{
    array, command, command_columns, mail, missed, requirement, retry, split, stdin, stdin_columns,
};
use crate::domain::{After, Callbacks, Execution, NewJob, Policy};

/// A column and its value for a job. `read` takes the columns in this order.
type DefinitionColumn = (&'static str, fn(&NewJob) -> rusqlite::Result<Value>);

const COLUMNS: &[DefinitionColumn] = &[
    ("command", |job| value(&command_columns(&job.execution.command).0)),
    ("is_script", |job| value(&command_columns(&job.execution.command).1)),
    ("cwd", |job| value(&job.execution.cwd)),
    ("cwd_optional", |job| value(&job.execution.cwd_optional)),
    ("env_file", |job| value(&job.execution.env_file)),
    ("umask", |job| value(&job.execution.umask)),
    ("nice", |job| value(&job.execution.nice)),
    ("stdin_path", |job| value(&stdin_columns(&job.execution.stdin).0)),
    ("stdin_text", |job| value(&stdin_columns(&job.execution.stdin).1)),
    ("user", |job| value(&job.execution.user)),
    ("queue", |job| value(&job.queue.as_str())),
    ("priority", |job| value(&job.priority)),
    ("expect_us", |job| value(&job.expect)),
    ("finish_by_us", |job| value(&job.finish_by)),
    ("enforce", |job| value(&job.enforce)),
    ("array_first", |job| value(&job.array.map(|array| array.indices.first()))),
    ("array_last", |job| value(&job.array.map(|array| array.indices.last()))),
    ("array_step", |job| value(&job.array.map(|array| array.indices.step()))),
    ("array_at_once", |job| value(&job.array.and_then(|array| array.at_once))),
    ("has_items", |job| value(&job.has_items)),
    ("after_any", |job| value(&job.after.any)),
    ("all_of", |job| value(&job.all_of)),
    ("overlap", |job| value(&job.policy.overlap)),
    ("missed", |job| value(&job.policy.missed.mode)),
    ("missed_within_us", |job| value(&job.policy.missed.within)),
    ("grace_us", |job| value(&job.policy.missed.grace)),
    ("timeout_us", |job| value(&job.policy.timeout)),
    ("kill_after_us", |job| value(&job.policy.kill_after)),
    ("start_by_us", |job| value(&job.policy.start_by)),
    ("retries", |job| value(&job.retry.retries)),
    ("retry_delay_us", |job| value(&job.retry.delay)),
    ("retry_delay_max_us", |job| value(&job.retry.delay_max)),
    ("retry_on", |job| value(&job.retry.on)),
    ("times", |job| value(&job.times)),
    ("start_at", |job| value(&job.start)),
    ("until_at", |job| value(&job.until)),
    ("nth", |job| value(&job.nth)),
    ("jitter_us", |job| value(&job.jitter)),
    ("on_success", |job| value(&job.callbacks.success)),
    ("on_failure", |job| value(&job.callbacks.failure)),
    ("on_finish", |job| value(&job.callbacks.finish)),
    ("log_limit", |job| value(&job.log_limit)),
    ("split_output", |job| value(&job.split_output)),
    ("mail_to", |job| value(&job.mail.as_ref().map(|mail| &mail.to))),
    ("mail_when", |job| value(&job.mail.as_ref().map(|mail| mail.when))),
    ("mail_format", |job| value(&job.mail.as_ref().map(|mail| mail.format))),
];

/// Reads what `selected` selects, which starts at `first`. Name, tags, dependencies, items, `hold` and the
/// environment are not among them.
pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<NewJob> {
    let mut next = first;
    let mut take = |columns: usize| {
        next += columns;
        next - columns
    };
    Ok(NewJob {
        execution: Execution {
            command: command(row, take(2))?,
            cwd: row.get(take(1))?,
            cwd_optional: row.get(take(1))?,
            env_file: row.get(take(1))?,
            umask: row.get(take(1))?,
            nice: row.get(take(1))?,
            stdin: stdin(row, take(2))?,
            user: row.get(take(1))?,
            env: Vec::new(),
        },
        queue: row.get(take(1))?,
        priority: row.get(take(1))?,
        expect: row.get(take(1))?,
        finish_by: row.get(take(1))?,
        enforce: row.get(take(1))?,
        array: array(row, take(4))?,
        has_items: row.get(take(1))?,
        items: Vec::new(),
        after: After { any: row.get(take(1))?, ..After::default() },
        all_of: row.get(take(1))?,
        policy: Policy {
            overlap: row.get(take(1))?,
            missed: missed(row, take(3))?,
            timeout: row.get(take(1))?,
            kill_after: row.get(take(1))?,
            start_by: row.get(take(1))?,
        },
        retry: retry(row, take(4))?,
        times: row.get(take(1))?,
        start: row.get(take(1))?,
        until: row.get(take(1))?,
        nth: row.get(take(1))?,
        jitter: row.get(take(1))?,
        callbacks: Callbacks {
            success: row.get(take(1))?,
            failure: row.get(take(1))?,
            finish: row.get(take(1))?,
        },
        log_limit: row.get(take(1))?,
        split_output: row.get(take(1))?,
        mail: mail(row, take(3))?,
        requirement: requirement(row, take(1))?,
        name: None,
        tags: Vec::new(),
        hold: false,
    })
}

/// Reads the same, and the environment in the column after it.
pub(super) fn read_whole(row: &Row<'_>, first: usize) -> rusqlite::Result<NewJob> {
    let mut job = read(row, first)?;
    job.execution.env = split(row.get_ref(first + COLUMNS.len() + 1)?.as_blob()?);
    Ok(job)
}

/// Returns the columns for a SELECT: `job.command, job.is_script, …`.
pub(super) fn selected() -> String {
    format!("{}, (SELECT data FROM requirement WHERE id = job.requirement_id)", listed("job."))
}

/// Returns the columns for an INSERT or UPDATE, and their parameters, which `bound` fills in this order.
pub(super) fn assigned() -> (String, String) {
    (listed(""), vec!["?"; COLUMNS.len()].join(", "))
}

fn listed(prefix: &str) -> String {
    COLUMNS.iter().map(|(name, _)| format!("{prefix}{name}")).collect::<Vec<_>>().join(", ")
}

/// Returns the values of the parameters of `assigned`.
pub(super) fn bound(job: &NewJob) -> rusqlite::Result<Vec<Value>> {
    COLUMNS.iter().map(|(_, of)| of(job)).collect()
}

fn value(value: &dyn ToSql) -> rusqlite::Result<Value> {
    Ok(match value.to_sql()? {
        ToSqlOutput::Borrowed(borrowed) => borrowed.try_into()?,
        ToSqlOutput::Owned(owned) => owned,
        _ => unreachable!("no column is an array or a zeroed blob"),
    })
}
