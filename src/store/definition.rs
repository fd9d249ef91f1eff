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

/// The columns that are sealed. The first of all columns is one.
const SEALED: [&str; 5] = ["command", "stdin_text", "on_success", "on_failure", "on_finish"];

/// What a SELECT does with sealed columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cells {
    /// Opens them, or fails.
    Opened,
    /// Opens them, or has NULL if the key is missing.
    Shown,
}

impl Cells {
    fn function(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Shown => "shown",
        }
    }
}

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

/// Returns the columns for a SELECT: `opened('job.command', job.id, 0, job.command), job.is_script, …`.
pub(super) fn selected(cells: Cells) -> String {
    let column = |name: &&str| match (SEALED.contains(name), cells.function()) {
        (true, function) => format!("{function}('job.{name}', job.id, 0, job.{name})"),
        (false, _) => format!("job.{name}"),
    };
    let columns: Vec<String> = COLUMNS.iter().map(|(name, _)| column(name)).collect();
    let requirement = requirement_column(cells, "job.requirement_id");
    format!("{}, {requirement}", columns.join(", "))
}

/// The query for the requirement of an id.
pub(super) const REQUIREMENT: &str =
    "SELECT iif(job_id = 0, data, opened_text('requirement.data', id, 0, data)) FROM requirement
     WHERE id = ?1";

/// The query for all requirements, with their ids.
pub(super) const REQUIREMENTS: &str =
    "SELECT id, iif(job_id = 0, data, opened_text('requirement.data', id, 0, data)) FROM requirement";

/// Returns the expression for the requirement of this id.
pub(super) fn requirement_column(cells: Cells, id: &str) -> String {
    let function = cells.function();
    format!(
        "(SELECT iif(job_id = 0, data, {function}_text('requirement.data', id, 0, data)) FROM requirement
          WHERE id = {id})"
    )
}

/// Returns the columns for an INSERT or UPDATE, and their parameters, which `bound` fills in this order. The
/// first parameter of the statement is the id of the job, and the second its environment.
pub(super) fn assigned() -> (String, String) {
    const COMMAND: usize = 3;
    assert_eq!(COLUMNS[0].0, "command");
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let value = |(name, number): (&&str, usize)| match SEALED.contains(name) {
        true => format!("sealed('job.{name}', ?1, 0, ?{number})"),
        false => format!("?{number}"),
    };
    let values: Vec<String> = names.iter().zip(COMMAND..).map(value).collect();
    (format!("{}, command_hash", names.join(", ")), format!("{}, lookup(?{COMMAND})", values.join(", ")))
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
