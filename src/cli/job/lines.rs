//! Owns: the JSON lines of `add --from`.
//! Never: what a job's texts mean (see `text`).

use std::ffi::OsString;
use std::fmt;

use clap::{Arg, ArgAction, Args, FromArgMatches};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::options::JobOptions;
use crate::cli::usage::cause;
use crate::domain::MailFormat;
use crate::error::{Error, Result};

/// The keys without an option: the command, and those that `export` writes for jobs of other callers.
const KEYS: [&str; 9] = [
    "command",
    "script",
    "replace",
    "anchor",
    "cwd_optional",
    "stdin_text",
    "items",
    "environment",
    "mail_format",
];

/// A longer value is not repeated in a message.
const SHOWN_BYTES_MAX: usize = 40;

/// An object with all its keys, so that a repeated key is seen.
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

/// Reads the jobs of `input`, which errors call `source`, and skips empty lines. Each job comes with the
/// words for its errors: ``add the job in line 3 of `x` ``.
///
/// # Errors
/// `Usage`, with the line and the column of the error.
pub fn read(input: &[u8], source: &str) -> Result<Vec<(String, JobOptions)>> {
    let mut options = JobOptions::augment_args(clap::Command::new("line").no_binary_name(true));
    let mut jobs = Vec::new();
    for (index, line) in input.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let what = format!("add the job in line {} of {source}", index + 1);
        let object = serde_json::from_slice::<Object>(line)
            .map_err(|error| Error::usage(&what, json_cause(&error)).hint(line_hint(line, &error)))?;
        let job = job(object, &mut options, &what)?;
        jobs.push((what, job));
    }
    Ok(jobs)
}

/// Returns the hint for a line that is not an object: a line of a shell as the object that runs it.
fn line_hint(line: &[u8], error: &serde_json::Error) -> String {
    let is_json = error.is_data() || line.trim_ascii_start().starts_with(b"{");
    let script =
        std::str::from_utf8(line).ok().map(str::trim).filter(|text| !is_json && !text.starts_with('#'));
    match script.map(|text| Value::from(text).to_string()).filter(|script| script.len() <= SHOWN_BYTES_MAX) {
        Some(script) => {
            format!("a line is a JSON object; a line for the shell is `{{\"script\": {script}}}`")
        }
        None => "a line is a JSON object: `{\"command\": [\"make\", \"-j8\"]}`".to_owned(),
    }
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

/// Reads an object. Keys of options become words of a command line, which `options` reads.
fn job(object: Object, options: &mut clap::Command, what: &str) -> Result<JobOptions> {
    let mut job = JobOptions::default();
    let mut seen: Vec<String> = Vec::new();
    let mut words = Vec::new();
    for (key, value) in object.0 {
        let option = options.get_arguments().find(|option| key_of(option).as_ref() == Some(&key));
        if option.is_none() && !KEYS.contains(&key.as_str()) {
            let keys = KEYS.iter().map(ToString::to_string).chain(options.get_arguments().filter_map(key_of));
            let keys: Vec<String> = keys.map(|key| format!("`{key}`")).collect();
            return Err(Error::usage(what, format!("there is no key `{key}`"))
                .hint(format!("the keys are {}", keys.join(", "))));
        }
        if seen.contains(&key) {
            return Err(Error::usage(what, format!("the key `{key}` comes twice")));
        }
        // `null` means no such key, because `--json` prints it.
        if !value.is_null() {
            let taken = match option {
                Some(option) => words_of(option, &key, &value).map(|given| words.extend(given)),
                None => take(&mut job, &key, &value),
            };
            taken.map_err(|cause| {
                let error = Error::usage(what, cause);
                match value.as_str() {
                    Some(text) if key == "command" => error.hint(command_hint(text)),
                    Some(_) | None => error,
                }
            })?;
            seen.push(key);
        }
    }
    let has = |key: &str| seen.iter().any(|seen| seen == key);
    match (has("command"), has("script")) {
        (true, true) => return Err(Error::usage(what, "it has both `command` and `script`")),
        (false, false) => return Err(Error::usage(what, "it has neither `command` nor `script`")),
        (true, false) | (false, true) => {}
    }
    if has("environment") && has("clean_env") {
        return Err(Error::usage(what, "it has both `environment` and `clean_env`"));
    }
    let given = options.try_get_matches_from_mut(words);
    given
        .and_then(|given| job.update_from_arg_matches(&given))
        .map_err(|error| Error::usage(what, cause(&error)))?;
    Ok(job)
}

/// Returns the hint for a `command` that is a text: a shell reads a script, and a command is a list.
fn command_hint(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (list, script) = (Value::from(words).to_string(), Value::from(text).to_string());
    if script.len() > SHOWN_BYTES_MAX {
        return "give a list of words, or `script` in place of `command`".to_owned();
    }
    format!("write `\"command\": {list}`, or `\"script\": {script}` for the shell")
}

/// Returns the key of an option: its long name with `_` for `-`.
fn key_of(option: &Arg) -> Option<String> {
    option.get_long().map(|long| long.replace('-', "_"))
}

/// Returns the words that give an option this value, if the value is of the right kind.
fn words_of(option: &Arg, key: &str, value: &Value) -> Result<Vec<OsString>, String> {
    let long = option.get_long().expect("its key is its long name");
    let word = |text: &str| OsString::from(format!("--{long}={text}"));
    match option.get_action() {
        ArgAction::SetTrue => {
            Ok(flag(key, value)?.then(|| OsString::from(format!("--{long}"))).into_iter().collect())
        }
        ArgAction::Append => Ok(texts(key, value)?.iter().map(|text| word(text)).collect()),
        _ if option.is_allow_negative_numbers_set() && value.is_number() => {
            Ok(vec![word(&value.to_string())])
        }
        _ if option.is_allow_negative_numbers_set() => Err(wrong(key, value, "a whole number")),
        _ => Ok(vec![word(&text(key, value)?)]),
    }
}

/// Stores the value of one of `KEYS`, if the value is of the right kind.
fn take(job: &mut JobOptions, key: &str, value: &Value) -> Result<(), String> {
    match key {
        "command" => {
            let words = strings(value).ok_or_else(|| wrong(key, value, "a list of strings"))?;
            job.command = words.into_iter().map(OsString::from).collect();
        }
        "script" => job.script = Some(text(key, value)?.into()),
        "replace" => job.replace = flag(key, value)?,
        "anchor" => job.line.anchor = texts(key, value)?,
        "cwd_optional" => job.line.cwd_optional = flag(key, value)?,
        "stdin_text" => job.line.stdin_text = Some(text(key, value)?),
        "items" => job.line.items = Some(texts(key, value)?.into_iter().map(OsString::from).collect()),
        "environment" => {
            job.line.environment = Some(texts(key, value)?.into_iter().map(OsString::from).collect());
        }
        "mail_format" => {
            let read = MailFormat::from_word(&text(key, value)?);
            job.line.mail_format =
                Some(read.ok_or_else(|| wrong(key, value, "`taskq`, `debian` or `cronie`"))?);
        }
        _ => unreachable!("a key in KEYS has a place"),
    }
    Ok(())
}

fn text(key: &str, value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| wrong(key, value, "a string"))
}

fn texts(key: &str, value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        _ => strings(value).ok_or_else(|| wrong(key, value, "a string or a list of strings")),
    }
}

fn flag(key: &str, value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| wrong(key, value, "`true` or `false`"))
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|word| word.as_str().map(str::to_owned)).collect()
}

fn wrong(key: &str, value: &Value, wanted: &str) -> String {
    format!("`{key}` takes {wanted}, not {}", shown(value))
}

/// Returns a value for a message: itself if it is short, else its kind.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match value {
        _ if text.len() <= SHOWN_BYTES_MAX => format!("`{text}`"),
        Value::String(_) => "a long string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) => "a long number".to_owned(),
    }
}
