//! Owns: the JSON lines of `add --from`.
//! Never: what a job's texts mean (see `job_text`).

use std::ffi::OsString;
use std::path::PathBuf;

use serde::Deserialize;

use super::job_text::{JobText, split_missed};
use crate::domain::Overlap;
use crate::error::{Error, Result};

/// One line. The keys are the long options of `add`, with `_` for `-`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobLine {
    command: Option<Vec<String>>,
    script: Option<String>,
    #[serde(default)]
    at: Texts,
    #[serde(default)]
    cron: Texts,
    #[serde(default)]
    every: Texts,
    start: Option<String>,
    tz: Option<String>,
    name: Option<String>,
    #[serde(default)]
    tag: Texts,
    queue: Option<String>,
    priority: Option<i32>,
    cwd: Option<PathBuf>,
    #[serde(default)]
    env: Texts,
    #[serde(default)]
    clean_env: bool,
    timeout: Option<String>,
    kill_after: Option<String>,
    overlap: Option<String>,
    missed: Option<String>,
    grace: Option<String>,
    #[serde(default)]
    hold: bool,
}

/// An option that can be repeated: a string, or a list of strings.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
enum Texts {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl From<Texts> for Vec<String> {
    fn from(texts: Texts) -> Self {
        match texts {
            Texts::None => Vec::new(),
            Texts::One(text) => vec![text],
            Texts::Many(texts) => texts,
        }
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
        let line: JobLine = serde_json::from_slice(line).map_err(|error| Error::usage(&what, json_cause(&error)))?;
        jobs.push(line.into_text(&what)?);
    }
    Ok(jobs)
}

fn json_cause(error: &serde_json::Error) -> String {
    let column = error.column();
    if error.is_eof() {
        return format!("the object is cut off at column {column}");
    }
    let text = error.to_string();
    let cause = text.split(" at line ").next().unwrap_or_default();
    if column == 0 { cause.to_owned() } else { format!("{cause}, at column {column}") }
}

impl JobLine {
    fn into_text(self, what: &str) -> Result<JobText> {
        let command = match (self.command, &self.script) {
            (Some(_), Some(_)) => return Err(Error::usage(what, "it has both `command` and `script`")),
            (None, None) => return Err(Error::usage(what, "it has neither `command` nor `script`")),
            (Some(command), None) if command.is_empty() => return Err(Error::usage(what, "`command` is empty")),
            (command, _) => command.unwrap_or_default(),
        };
        if command.iter().any(|word| word.contains('\0')) {
            return Err(Error::usage(what, "`command` has a NUL byte"));
        }
        let overlap = self.overlap.map(|word| {
            Overlap::from_word(&word)
                .ok_or_else(|| Error::usage(what, format!("overlap `{word}` is not one of skip, wait, allow, replace")))
        });
        let missed = self
            .missed
            .map(|text| split_missed(&text).map_err(|cause| Error::usage(what, format!("missed `{text}`: {cause}"))))
            .transpose()?;
        let (missed, missed_within) = missed.map_or((None, None), |(mode, within)| (Some(mode), within));
        Ok(JobText {
            command: command.into_iter().map(OsString::from).collect(),
            script: self.script.map(String::into_bytes),
            at: self.at.into(),
            cron: self.cron.into(),
            every: self.every.into(),
            start: self.start,
            tz: self.tz,
            name: self.name,
            tag: self.tag.into(),
            queue: self.queue,
            priority: self.priority,
            cwd: self.cwd,
            env: Vec::from(self.env).into_iter().map(OsString::from).collect(),
            clean_env: self.clean_env,
            timeout: self.timeout,
            kill_after: self.kill_after,
            overlap: overlap.transpose()?,
            missed,
            missed_within,
            grace: self.grace,
            hold: self.hold,
        })
    }
}
