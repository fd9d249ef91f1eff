//! Owns: the JSON lines of `add --from`.
//! Never: what a job's texts mean (see `text`).

use std::ffi::OsString;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::options::MissedArg;
use super::text::JobText;
use crate::domain::{MailFormat, NewJob, Overlap};
use crate::error::{Error, Result};

/// The keys: what is run, what it reads, and the long options of `add` with `_` for `-`. `anchor`,
/// `cwd_optional`, `environment` and `mail_format` are those of `export`, whose jobs are not the caller's.
const KEYS: &[&str] = &[
    "command",
    "script",
    "at",
    "cron",
    "every",
    "anchor",
    "start",
    "tz",
    "name",
    "tag",
    "queue",
    "priority",
    "cwd",
    "cwd_optional",
    "umask",
    "stdin",
    "stdin_text",
    "user",
    "env",
    "clean_env",
    "environment",
    "timeout",
    "kill_after",
    "overlap",
    "missed",
    "grace",
    "mail",
    "mail_format",
    "hold",
];

/// An object with its keys as they stand: a key that comes twice must not pass for one.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Object(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// Reads every line of `input`, which is called `source`; empty lines are passed over.
///
/// # Errors
/// `Usage`, with the line, and the column where JSON stopped making sense.
pub fn read(input: &[u8], source: &str) -> Result<Vec<JobText>> {
    let mut jobs = Vec::new();
    for (index, line) in input.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let what = format!("add the job in line {} of {source}", index + 1);
        let object = serde_json::from_slice::<Object>(line).map_err(|error| {
            Error::usage(&what, json_cause(&error))
                .hint("a line is an object: `{\"command\": [\"make\", \"-j8\"]}`")
        })?;
        jobs.push(job(object, what)?);
    }
    Ok(jobs)
}

fn json_cause(error: &serde_json::Error) -> String {
    let column = error.column();
    if error.is_eof() {
        return format!("the object is cut off at column {column}");
    }
    if error.is_data() {
        return "it is JSON, but not an object".to_owned();
    }
    let text = error.to_string();
    let cause = text.split(" at line ").next().unwrap_or_default();
    format!("it is not JSON: {cause}, at column {column}")
}

fn job(object: Object, what: String) -> Result<JobText> {
    let mut job = JobText::default();
    let mut seen: Vec<&str> = Vec::new();
    for (key, value) in object.0 {
        let Some(key) = KEYS.iter().find(|known| **known == key) else {
            let keys: Vec<String> = KEYS.iter().map(|key| format!("`{key}`")).collect();
            let error = Error::usage(what, format!("there is no key `{key}`"));
            return Err(error.hint(format!("the keys are {}", keys.join(", "))));
        };
        if seen.contains(key) {
            return Err(Error::usage(what, format!("the key `{key}` comes twice")));
        }
        // As if the key were not there: what `--json` prints has such keys.
        if !value.is_null() {
            seen.push(key);
            take(&mut job, key, &value).map_err(|cause| Error::usage(&what, cause))?;
        }
    }
    match (seen.contains(&"command"), seen.contains(&"script")) {
        (true, true) => return Err(Error::usage(what, "it has both `command` and `script`")),
        (false, false) => return Err(Error::usage(what, "it has neither `command` nor `script`")),
        (true, false) | (false, true) => {}
    }
    if job.environment.is_some() && job.clean_env {
        return Err(Error::usage(what, "it has both `environment` and `clean_env`"));
    }
    job.what = Some(what);
    Ok(job)
}

/// Puts a value where it belongs, if it is of the kind that belongs there.
fn take(job: &mut JobText, key: &str, value: &Value) -> Result<(), String> {
    let text = || value.as_str().map(str::to_owned).ok_or_else(|| wrong(key, value, "a string"));
    let texts = || match value {
        Value::String(text) => Ok(vec![text.clone()]),
        _ => strings(value).ok_or_else(|| wrong(key, value, "a string or a list of strings")),
    };
    let flag = || value.as_bool().ok_or_else(|| wrong(key, value, "`true` or `false`"));
    match key {
        "command" => {
            let words = strings(value).ok_or_else(|| wrong(key, value, "a list of strings"))?;
            job.command = words.into_iter().map(OsString::from).collect();
        }
        "script" => job.script = Some(text()?.into_bytes()),
        "at" => job.at = texts()?,
        "cron" => job.cron = texts()?,
        "every" => job.every = texts()?,
        "anchor" => job.anchor = texts()?,
        "start" => job.start = Some(text()?),
        "tz" => job.tz = Some(text()?),
        "name" => job.name = Some(text()?),
        "tag" => job.tag = texts()?,
        "queue" => job.queue = Some(text()?),
        "priority" => job.priority = Some(priority(value).ok_or_else(|| wrong(key, value, &priorities()))?),
        "cwd" => job.cwd = Some(text()?.into()),
        "cwd_optional" => job.cwd_optional = flag()?,
        "umask" => job.umask = Some(text()?),
        "stdin" => job.stdin = Some(text()?.into()),
        "stdin_text" => job.stdin_text = Some(text()?),
        "user" => job.user = Some(text()?),
        "env" => job.env = texts()?.into_iter().map(OsString::from).collect(),
        "clean_env" => job.clean_env = flag()?,
        "environment" => job.environment = Some(texts()?.into_iter().map(OsString::from).collect()),
        "timeout" => job.timeout = Some(text()?),
        "kill_after" => job.kill_after = Some(text()?),
        "overlap" => {
            let read = Overlap::from_word(&text()?);
            job.overlap =
                Some(read.ok_or_else(|| wrong(key, value, "`skip`, `wait`, `allow` or `replace`"))?);
        }
        "missed" => {
            let missed: MissedArg =
                text()?.parse().map_err(|cause| format!("`{key}`: {} {cause}", shown(value)))?;
            (job.missed, job.missed_within) = (Some(missed.mode), missed.within);
        }
        "grace" => job.grace = Some(text()?),
        "mail" => job.mail = Some(text()?),
        "mail_format" => {
            let read = MailFormat::from_word(&text()?);
            job.mail_format = Some(read.ok_or_else(|| wrong(key, value, "`taskq`, `debian` or `cronie`"))?);
        }
        "hold" => job.hold = flag()?,
        _ => unreachable!("a key in KEYS has a place"),
    }
    Ok(())
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|word| word.as_str().map(str::to_owned)).collect()
}

fn priority(value: &Value) -> Option<i32> {
    let number = i32::try_from(value.as_i64()?).ok()?;
    (NewJob::PRIORITY_MIN..=NewJob::PRIORITY_MAX).contains(&number).then_some(number)
}

fn priorities() -> String {
    format!("a whole number from {} to {}", NewJob::PRIORITY_MIN, NewJob::PRIORITY_MAX)
}

fn wrong(key: &str, value: &Value, wanted: &str) -> String {
    format!("`{key}` takes {wanted}, not {}", shown(value))
}

/// A value as a complaint quotes it: itself if it is short, else its kind.
fn shown(value: &Value) -> String {
    const SHOWN_BYTES_MAX: usize = 40;
    let text = value.to_string();
    match value {
        _ if text.len() <= SHOWN_BYTES_MAX => format!("`{text}`"),
        Value::String(_) => "a long string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) => "a long number".to_owned(),
    }
}
