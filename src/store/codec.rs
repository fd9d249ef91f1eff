//! Owns: the forms of our types in columns.
//! Never: tables.

use std::hash::{DefaultHasher, Hasher};

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Type, ValueRef};
use serde::de::DeserializeOwned;

use crate::domain::{
    AfterCondition, Array, ArrayId, BundleId, CallbackWhen, CommandLine, Counter, EventSource, EventTrigger,
    FarPlace, Indices, JobId, JobName, JobState, Mail, MailFormat, MailWhen, Missed, MissedMode, Outcome,
    Overlap, QueueName, QueueOrder, Requirement, RequirementId, ResourceName, Retry, RetryCauses, RunState,
    Share, Size, Span, Stdin, StreamSource, Tag, Timestamp, TriggerKind,
};
use crate::schedule::Dialect;

impl ToSql for Timestamp {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_micros().into())
    }
}

impl FromSql for Timestamp {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self::from_micros)
    }
}

impl ToSql for Span {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::try_from(self.as_micros()).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for Span {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let micros = value.as_i64()?;
        u64::try_from(micros).map(Self::from_micros).map_err(|_| FromSqlError::OutOfRange(micros))
    }
}

impl ToSql for Size {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::try_from(self.as_bytes()).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for Size {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_i64()?;
        u64::try_from(bytes).map(Self::from_bytes).map_err(|_| FromSqlError::OutOfRange(bytes))
    }
}

impl ToSql for JobId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

impl FromSql for JobId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self)
    }
}

impl ToSql for ArrayId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

impl FromSql for ArrayId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self)
    }
}

impl ToSql for RequirementId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

impl FromSql for RequirementId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self)
    }
}

impl ToSql for BundleId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

impl FromSql for BundleId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self)
    }
}

macro_rules! name_columns {
    ($($type:ty),*) => {$(
        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_str()?.parse().map_err(|_| FromSqlError::InvalidType)
            }
        }
    )*};
}

macro_rules! word_columns {
    ($($type:ty),*) => {$(
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                Self::from_word(value.as_str()?).ok_or(FromSqlError::InvalidType)
            }
        }
    )*};
}

name_columns!(JobName, QueueName, ResourceName, RetryCauses, Tag);
word_columns!(
    AfterCondition,
    CallbackWhen,
    Dialect,
    JobState,
    MailFormat,
    MailWhen,
    MissedMode,
    Outcome,
    Overlap,
    QueueOrder,
    RunState,
    TriggerKind
);

/// Reads an event trigger from the column `event`. NULL: it is a stream, and the key is missing.
pub(super) fn event_trigger(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<EventTrigger> {
    let Some(text) = row.get_ref(column)?.as_str_or_null()? else {
        let (command, pattern) = (CommandLine::SEALED.to_owned(), None);
        let stream = StreamSource { command, pattern, restart: StreamSource::RESTART };
        return Ok(EventTrigger { source: EventSource::Stream(stream), counter: Counter::default() });
    };
    serde_json::from_str(text).map_err(|error| FromSqlError::Other(error.into()).into())
}

/// Returns the value of the column `event`.
pub(super) fn event_column(trigger: &EventTrigger) -> String {
    serde_json::to_string(trigger).expect("it has no maps, and no text that is not UTF-8")
}

/// Reads the misfire policy from three columns that start at `first`.
pub(super) fn missed(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Missed> {
    Ok(Missed { mode: row.get(first)?, within: row.get(first + 1)?, grace: row.get(first + 2)? })
}

impl ToSql for RetryCauses {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_string().into())
    }
}

/// Reads the policy for failed attempts from four columns that start at `first`: retries, retry_delay_us,
/// retry_delay_max_us, retry_on.
pub(super) fn retry(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Retry> {
    Ok(Retry {
        retries: row.get(first)?,
        delay: row.get(first + 1)?,
        delay_max: row.get(first + 2)?,
        on: row.get(first + 3)?,
    })
}

/// Reads an array from four columns that start at `first`: array_first, array_last, array_step,
/// array_at_once.
pub(super) fn array(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Option<Array>> {
    let Some(start) = row.get(first)? else { return Ok(None) };
    let indices = indices([start, row.get(first + 1)?, row.get(first + 2)?])?;
    Ok(Some(Array { indices, at_once: row.get(first + 3)? }))
}

/// Returns the indices of a row with their first, last and step.
pub(super) fn indices([first, last, step]: [u32; 3]) -> rusqlite::Result<Indices> {
    Indices::new(first, last, step).map_err(|_| FromSqlError::OutOfRange(i64::from(last)).into())
}

/// Reads standard input from two columns that start at `first`: stdin_path, stdin_text.
pub(super) fn stdin(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Stdin> {
    Ok(match (row.get(first)?, row.get(first + 1)?) {
        (Some(path), _) => Stdin::Path(path),
        (None, Some(text)) => Stdin::Text(text),
        (None, None) => Stdin::Null,
    })
}

/// Returns the columns `stdin_path` and `stdin_text`.
pub(super) fn stdin_columns(stdin: &Stdin) -> (Option<&[u8]>, Option<&[u8]>) {
    match stdin {
        Stdin::Null => (None, None),
        Stdin::Path(path) => (Some(path), None),
        Stdin::Text(text) => (None, Some(text)),
    }
}

/// Reads a job's mail from three columns that start at `first`: mail_to, mail_when, mail_format.
pub(super) fn mail(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Option<Mail>> {
    let to: Option<String> = row.get(first)?;
    to.map(|to| Ok(Mail { to, when: row.get(first + 1)?, format: row.get(first + 2)? })).transpose()
}

/// Reads what the runs of a job require from its column; NULL: nothing.
pub(super) fn requirement(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Requirement> {
    let data: Option<Requirement> = json(row, at)?;
    Ok(data.unwrap_or_default())
}

/// Reads the host of a run from two columns that start at `first`: executor, host.
pub(super) fn place(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<FarPlace> {
    let executor: String = row.get(first)?;
    let executor = executor.parse().map_err(|_| rusqlite::Error::InvalidQuery)?;
    Ok(FarPlace { executor, host: row.get(first + 1)? })
}

/// Reads the same of a run that may have none.
pub(super) fn place_if_far(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Option<FarPlace>> {
    match row.get_ref(first)? {
        ValueRef::Null => Ok(None),
        _ => place(row, first).map(Some),
    }
}

/// Reads what a run has booked from its column.
pub(super) fn share(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Option<Share>> {
    json(row, at)
}

fn json<T: DeserializeOwned>(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(at)?;
    let wrong = |error| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(error));
    text.map(|text| serde_json::from_str(&text).map_err(wrong)).transpose()
}

/// Joins byte strings without NUL, each ended by one.
pub(super) fn join<'a>(items: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    let mut joined = Vec::new();
    for item in items {
        joined.extend_from_slice(item);
        joined.push(0);
    }
    joined
}

/// Splits the result of `join`.
pub(super) fn split(joined: &[u8]) -> Vec<Vec<u8>> {
    let mut items: Vec<Vec<u8>> = joined.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    items.pop();
    items
}

/// Returns a command's columns `command` and `is_script`.
pub(super) fn command_columns(command: &CommandLine) -> (Vec<u8>, bool) {
    match command {
        CommandLine::Argv(argv) => (join(argv), false),
        CommandLine::Script(script) => (script.clone(), true),
        CommandLine::Sealed => unreachable!("who stores a command has read it with the key"),
    }
}

/// Reads a command from two columns that start at `first`: command, is_script. NULL: the key is missing.
pub(super) fn command(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<CommandLine> {
    let Some(blob) = row.get::<_, Option<Vec<u8>>>(first)? else { return Ok(CommandLine::Sealed) };
    Ok(if row.get(first + 1)? { CommandLine::Script(blob) } else { CommandLine::Argv(split(&blob)) })
}

/// Returns a number by which equal blobs are found. The blobs are compared too, so the number may change
/// between releases.
pub(super) fn content_hash(blob: &[u8]) -> i64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(blob);
    hasher.finish().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_strings_come_apart_as_they_were_joined() {
        for items in [vec![], vec![b"".to_vec()], vec![b"a".to_vec(), b"".to_vec(), vec![0xff]]] {
            assert_eq!(split(&join(&items)), items);
        }
    }
}
