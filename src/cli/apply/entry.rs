//! Owns: making a job of its table in a file, and finding the keys that are to blame if that fails.
//! Never: the store.

use std::path::Path;

use serde_json::{Value, json};

use super::problem::Problem;
use super::syntax::{FileKey, FileTable};
use crate::cli::job::keys::{GivenKeys, Keys, check_together};
use crate::cli::job::options::JobOptions;
use crate::cli::job::text::{Caller, ReadJob};
use crate::domain::JobName;
use crate::error::{Error, Result};

/// A place that is in no file.
pub(super) const NOWHERE: usize = usize::MAX;

/// Reads the options of a job.
///
/// # Errors
/// `Usage`, with the first wrong text. Errors say that `what` was being done.
pub(super) fn options(
    keys: &mut Keys,
    given: &[&FileKey],
    name: Option<&JobName>,
    (here, what): (&Caller, &str),
) -> Result<JobOptions> {
    let usage = |cause: String| Error::usage(what, cause);
    let has = |key: &str| given.iter().any(|given| given.key == key);
    check_together(&has).map_err(usage)?;
    let mut taken = GivenKeys::default();
    for given in given {
        keys.give(&mut taken, &given.key, &given.value).map_err(usage)?;
    }
    let mut options = keys.read(taken).map_err(usage)?;
    options.name = name.map(ToString::to_string);
    // Of another user it is that user's. The caller's own is the base of every job.
    options.clean_env = options.user.is_some() && !has("environment");
    if let Some(file) = &mut options.each {
        if file == Path::new("-") {
            return Err(Error::usage(what, "`each` is `-`, and standard input is not a list of items"));
        }
        *file = here.cwd.join(&file);
    }
    Ok(options)
}

/// Reads a job.
pub(super) fn job(
    keys: &mut Keys,
    given: &[&FileKey],
    name: Option<&JobName>,
    (here, what): (&Caller, &str),
) -> Result<ReadJob> {
    options(keys, given, name, (here, what))?.read(what.to_owned(), here)
}

/// Finds each key that is to blame for a job that cannot be read. One is if the job has another error, or
/// none, once its value is replaced by a good one.
pub(super) fn problems(
    keys: &mut Keys,
    given: &[&FileKey],
    table: &FileTable,
    (here, what): (&Caller, &str),
) -> Vec<Problem> {
    let mut given: Vec<FileKey> = given.iter().copied().cloned().collect();
    let mut problems = Vec::new();
    let mut error_of =
        |given: &[FileKey]| job(keys, &given.iter().collect::<Vec<_>>(), None, (here, what)).err();
    // Each round replaces a key, or ends.
    let mut error = error_of(&given);
    while let Some(found) = error {
        let is_other = |given: &[FileKey], error_of: &mut dyn FnMut(&[FileKey]) -> Option<Error>| {
            error_of(given).is_none_or(|other| other.cause != found.cause)
        };
        // The last one, so that a job's own key goes before one of the defaults.
        let blamed = (0..given.len()).rev().find(|index| {
            let without = replaced(&given, *index);
            without != given && is_other(&without, &mut error_of)
        });
        let Some(blamed) = blamed else {
            if given.iter().any(|key| matches!(key.key.as_str(), "command" | "script")) {
                problems.push(Problem::of(table.at, found));
                break;
            }
            problems.push(Problem::of(table.at, found));
            given.push(good("script", json!("true")));
            error = error_of(&given);
            continue;
        };
        let at = part_to_blame(&given, blamed, |given| !is_other(given, &mut error_of));
        problems.push(Problem::of(at, found.clone()));
        given = replaced(&given, blamed);
        error = error_of(&given);
    }
    problems.retain(|problem| problem.at != NOWHERE);
    problems
}

/// Returns where the value of a key is wrong: of a list, the first part that gives the same error alone.
fn part_to_blame(given: &[FileKey], blamed: usize, mut is_same: impl FnMut(&[FileKey]) -> bool) -> usize {
    let key = &given[blamed];
    let Value::Array(parts) = &key.value else { return key.at };
    if parts.len() < 2 {
        return key.at;
    }
    let mut is_blamed = |part: &Value| {
        let mut alone = given.to_vec();
        alone[blamed].value = Value::Array(vec![part.clone()]);
        is_same(&alone)
    };
    let found = parts.iter().zip(&key.parts_at).find(|(part, _)| is_blamed(part));
    found.map_or(key.at, |(_, at)| *at)
}

/// Returns the keys with a good value in place of one, or without it.
fn replaced(given: &[FileKey], index: usize) -> Vec<FileKey> {
    let mut without = given.to_vec();
    match stand_in(&given[index].key) {
        // A time may be outside the window of the job.
        Some(value) if given[index].key == "at" => {
            without[index] = FileKey { at: given[index].at, ..good("cron", value) };
        }
        Some(value) => without[index].value = value,
        None => drop(without.remove(index)),
    }
    without
}

/// Returns a value that is always good, for keys that others need.
fn stand_in(key: &str) -> Option<Value> {
    Some(match key {
        "script" => json!("true"),
        "command" => json!(["true"]),
        "at" | "cron" => json!("0 0 1 1 *"),
        "calendar" => json!("yearly"),
        "every" => json!("1d"),
        "on" => json!("emit:x"),
        "after" => json!("x"),
        "retries" => json!(1),
        "if" => json!("ac"),
        "needs" => json!("cpu=1"),
        _ => return None,
    })
}

fn good(key: &str, value: Value) -> FileKey {
    FileKey { key: key.to_owned(), value, key_at: NOWHERE, at: NOWHERE, parts_at: Vec::new() }
}

/// Returns the problems of the defaults alone, as those of a job that has all that a default may need, and
/// replaces what is wrong, so that no job tells it again.
pub(super) fn default_problems(
    keys: &mut Keys,
    defaults: &mut FileTable,
    context: (&Caller, &str),
) -> Vec<Problem> {
    // A flag that is one means nothing by itself, and the rest of these need a certain job.
    let stands_alone =
        |key: &&FileKey| !key.value.is_boolean() && !["stdin_from", "anchor"].contains(&&*key.key);
    let mut table = FileTable { keys: Vec::new(), ..defaults.clone() };
    table.keys.extend(defaults.keys.iter().filter(stands_alone).cloned());
    let has = |any: &[&str]| defaults.keys.iter().any(|key| any.contains(&key.key.as_str()));
    let companions: [(&[&str], &str); 6] = [
        (&["script", "command"], "script"),
        (&["at", "cron", "calendar", "every", "on"], "cron"),
        (&["retries"], "retries"),
        (&["if"], "if"),
        (&["needs"], "needs"),
        (&["mail"], "mail"),
    ];
    for (_, companion) in companions.iter().filter(|(any, _)| !has(any)) {
        table.keys.push(good(companion, stand_in(companion).unwrap_or_else(|| json!("a@b.example"))));
    }
    let given: Vec<&FileKey> = table.keys.iter().collect();
    let found = match job(keys, &given, None, context) {
        Ok(_) => Vec::new(),
        Err(_) => problems(keys, &given, &table, context),
    };
    let is_bad = |key: &FileKey| {
        let places = [key.at].into_iter().chain(key.parts_at.iter().copied());
        places.into_iter().any(|at| found.iter().any(|problem| problem.at == at))
    };
    let mut kept = Vec::new();
    for mut key in std::mem::take(&mut defaults.keys) {
        match (is_bad(&key), stand_in(&key.key)) {
            (true, None) => continue,
            (true, Some(_)) if key.key == "at" => continue,
            (true, Some(value)) => key.value = value,
            (false, _) => {}
        }
        kept.push(key);
    }
    defaults.keys = kept;
    found
}
