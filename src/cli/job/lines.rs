//! Owns: the JSON lines of `add --from`.
//! Never: what a job's texts mean (see `text`).

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::keys::{GivenKeys, KEEP_ENV, Keys, SHOWN_BYTES_MAX, check_together};
use super::options::JobOptions;
use crate::error::{Error, Result};

/// An object with all its keys, so that a repeated key is seen.
pub struct Object(pub Vec<(String, Value)>);

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
    let mut keys = Keys::new();
    let mut jobs = Vec::new();
    for (index, line) in input.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let what = format!("add the job in line {} of {source}", index + 1);
        let object = serde_json::from_slice::<Object>(line)
            .map_err(|error| Error::usage(&what, json_cause(&error)).hint(line_hint(line, &error)))?;
        let job = job(object, &mut keys, &what)?;
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

/// Reads an object.
fn job(object: Object, keys: &mut Keys, what: &str) -> Result<JobOptions> {
    let mut given = GivenKeys::default();
    let mut seen: Vec<String> = Vec::new();
    for (key, value) in object.0 {
        if !keys.has(&key) {
            let all: Vec<String> = keys.all().iter().map(|key| format!("`{key}`")).collect();
            return Err(Error::usage(what, format!("there is no key `{key}`"))
                .hint(format!("the keys are {}", all.join(", "))));
        }
        if seen.contains(&key) {
            return Err(Error::usage(what, format!("the key `{key}` comes twice")));
        }
        // `null` means no such key, because `--json` prints it.
        if !value.is_null() {
            keys.give(&mut given, &key, &value).map_err(|cause| {
                let error = Error::usage(what, cause);
                match value.as_str() {
                    Some(text) if key == "command" => error.hint(command_hint(text)),
                    _ if key == KEEP_ENV => error.hint(KEEP_ENV_HINT),
                    Some(_) | None => error,
                }
            })?;
            seen.push(key);
        }
    }
    let has = |key: &str| seen.iter().any(|seen| seen == key);
    check_together(&has).and_then(|()| keys.read(given)).map_err(|cause| Error::usage(what, cause))
}

/// A new job has nothing to keep.
const KEEP_ENV_HINT: &str = "`taskq export json --with-environment` prints them";

/// Returns the hint for a `command` that is a text: a shell reads a script, and a command is a list.
fn command_hint(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (list, script) = (Value::from(words).to_string(), Value::from(text).to_string());
    if script.len() > SHOWN_BYTES_MAX {
        return "give a list of words, or `script` in place of `command`".to_owned();
    }
    format!("write `\"command\": {list}`, or `\"script\": {script}` for the shell")
}
