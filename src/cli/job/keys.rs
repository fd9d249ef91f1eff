//! Owns: the keys of a job in `add --from` and `apply`, and their values.
//! Never: the syntax around them (see `lines`, `cli::apply`), or the meaning of a job's texts (see `text`).

use std::ffi::OsString;

use clap::{Arg, ArgAction, Args, FromArgMatches};
use serde_json::Value;

use super::options::JobOptions;
use super::values::named_variable;
use crate::cli::usage::cause;
use crate::domain::{MailFormat, NewJob, Overlap, Retry};

/// The keys without an option: the command, and those that `export` writes for jobs of other callers.
const KEYS: [&str; 10] = [
    "command",
    "script",
    "replace",
    "anchor",
    "cwd_optional",
    "stdin_text",
    "items",
    "environment",
    KEEP_ENV,
    "mail_format",
];

/// The names of variables whose values `export` has left out. `apply` keeps the stored ones.
pub const KEEP_ENV: &str = "keep_env";

/// A longer value is not repeated in a message.
pub(super) const SHOWN_BYTES_MAX: usize = 40;

/// The keys that there are.
pub struct Keys {
    options: clap::Command,
}

/// The keys of one job, as far as they are read.
#[derive(Default)]
pub struct GivenKeys {
    job: JobOptions,
    /// The others, as words of a command line.
    words: Vec<OsString>,
}

impl Keys {
    pub fn new() -> Self {
        Self { options: JobOptions::augment_args(clap::Command::new("job").no_binary_name(true)) }
    }

    pub fn has(&self, key: &str) -> bool {
        KEYS.contains(&key) || self.options.get_arguments().any(|option| is_key_of(option, key))
    }

    pub fn all(&self) -> Vec<String> {
        let of_options = self.options.get_arguments().filter_map(key_of);
        KEYS.iter().map(ToString::to_string).chain(of_options).collect()
    }

    /// Takes a key of a job.
    ///
    /// # Errors
    /// If the value is not of the right kind.
    pub fn give(&self, given: &mut GivenKeys, key: &str, value: &Value) -> Result<(), String> {
        if KEYS.contains(&key) {
            return take(&mut given.job, key, value);
        }
        if take_text(&mut given.job, key, value) {
            return Ok(());
        }
        let option = self.options.get_arguments().find(|option| is_key_of(option, key));
        given.words.extend(words_of(option.expect("there is such a key"), key, value)?);
        Ok(())
    }

    /// Reads the keys that were given.
    ///
    /// # Errors
    /// If a value is not one that its option takes.
    pub fn read(&mut self, given: GivenKeys) -> Result<JobOptions, String> {
        let GivenKeys { mut job, words } = given;
        // Reading a command line takes long, beside the rest.
        if !words.is_empty() {
            let given = self.options.try_get_matches_from_mut(words);
            given.and_then(|given| job.update_from_arg_matches(&given)).map_err(|error| cause(&error))?;
        }
        Ok(job)
    }
}

/// Refuses keys of a job that exclude each other, and a job without a command.
pub fn check_together(has: &dyn Fn(&str) -> bool) -> Result<(), String> {
    match (has("command"), has("script")) {
        (true, true) => return Err("it has both `command` and `script`".to_owned()),
        (false, false) => return Err("it has neither `command` nor `script`".to_owned()),
        (true, false) | (false, true) => {}
    }
    if has("environment") && has("clean_env") {
        return Err("it has both `environment` and `clean_env`".to_owned());
    }
    Ok(())
}

fn is_key_of(option: &Arg, key: &str) -> bool {
    let Some(long) = option.get_long() else { return false };
    let same = |(long, key): (u8, u8)| key == if long == b'-' { b'_' } else { long };
    long.len() == key.len() && long.bytes().zip(key.bytes()).all(same)
}

/// Stores the value of an option that is a text, as a command line would; one of many kinds. Returns `false`
/// if the value is of another kind, or is to be checked: then it goes the long way.
fn take_text(job: &mut JobOptions, key: &str, value: &Value) -> bool {
    let text = match key {
        "timeout" => &mut job.timeout,
        "kill_after" => &mut job.kill_after,
        "start_by" => &mut job.start_by,
        "grace" => &mut job.grace,
        "jitter" => &mut job.jitter,
        "tz" => &mut job.tz,
        "queue" => &mut job.queue,
        "name" => &mut job.name,
        "mail" => &mut job.mail,
        "umask" => &mut job.umask,
        "user" => &mut job.user,
        "log_limit" => &mut job.log_limit,
        "retry_delay" => &mut job.retry_delay,
        "expect" => &mut job.expect,
        "finish_by" => &mut job.finish_by,
        "if_timeout" => &mut job.if_timeout,
        "executor" => &mut job.executor,
        "start" => &mut job.start,
        "until" => &mut job.until,
        _ => return take_other(job, key, value),
    };
    let Some(value) = value.as_str().filter(|text| !text.is_empty()) else { return false };
    *text = Some(value.to_owned());
    true
}

fn take_other(job: &mut JobOptions, key: &str, value: &Value) -> bool {
    let texts = match key {
        "at" => &mut job.at,
        "cron" => &mut job.cron,
        "calendar" => &mut job.calendar,
        "every" => &mut job.every,
        "on" => &mut job.on,
        "tag" => &mut job.tag,
        "after" => &mut job.after,
        "needs" => &mut job.needs,
        _ => return take_number(job, key, value),
    };
    let Ok(given) = texts_of(key, value) else { return false };
    if given.iter().any(String::is_empty) {
        return false;
    }
    *texts = given;
    true
}

fn take_number(job: &mut JobOptions, key: &str, value: &Value) -> bool {
    let small = || value.as_u64().and_then(|number| u32::try_from(number).ok());
    match (key, value) {
        ("env", _) => {
            let named = |text: String| named_variable(text.into());
            let vars = texts_of(key, value).and_then(|texts| texts.into_iter().map(named).collect());
            let Ok::<Vec<_>, _>(vars) = vars else { return false };
            // Those of defaults came before.
            job.env.extend(vars);
        }
        ("overlap", Value::String(word)) => match Overlap::from_word(word) {
            Some(overlap) => job.overlap = Some(overlap),
            None => return false,
        },
        ("times", _) => match small().filter(|times| *times > 0) {
            Some(times) => job.times = Some(times),
            None => return false,
        },
        ("cwd", Value::String(dir)) if !dir.is_empty() => job.cwd = Some(dir.into()),
        ("retries", _) => match small().filter(|retries| *retries <= Retry::RETRIES_MAX) {
            Some(retries) => job.retries = Some(retries),
            None => return false,
        },
        ("priority", _) => {
            let range = i64::from(NewJob::PRIORITY_MIN)..=i64::from(NewJob::PRIORITY_MAX);
            match value.as_i64().filter(|priority| range.contains(priority)) {
                Some(priority) => job.priority = i32::try_from(priority).ok(),
                None => return false,
            }
        }
        _ => return false,
    }
    true
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
        ArgAction::Append => Ok(texts_of(key, value)?.iter().map(|text| word(text)).collect()),
        _ if option.is_allow_negative_numbers_set() && value.is_number() => {
            Ok(vec![word(&value.to_string())])
        }
        _ if option.is_allow_negative_numbers_set() => Err(wrong(key, value, "a whole number")),
        _ => Ok(vec![word(&text_of(key, value)?)]),
    }
}

/// Stores the value of one of `KEYS`, if the value is of the right kind.
fn take(job: &mut JobOptions, key: &str, value: &Value) -> Result<(), String> {
    match key {
        "command" => {
            let words = strings(value).ok_or_else(|| wrong(key, value, "a list of strings"))?;
            job.command = words.into_iter().map(OsString::from).collect();
        }
        "script" => job.script = Some(text_of(key, value)?.into()),
        "replace" => job.replace = flag(key, value)?,
        "anchor" => job.line.anchor = texts_of(key, value)?,
        "cwd_optional" => job.line.cwd_optional = flag(key, value)?,
        "stdin_text" => job.line.stdin_text = Some(text_of(key, value)?),
        "items" => job.line.items = Some(texts_of(key, value)?.into_iter().map(OsString::from).collect()),
        "environment" => {
            job.line.environment = Some(texts_of(key, value)?.into_iter().map(OsString::from).collect());
        }
        KEEP_ENV => {
            let names = names_to_keep(value)?;
            if !names.is_empty() {
                return Err(format!("it lacks the values of {}", listed(&names)));
            }
        }
        "mail_format" => {
            let read = MailFormat::from_word(&text_of(key, value)?);
            job.line.mail_format =
                Some(read.ok_or_else(|| wrong(key, value, "`taskq`, `debian` or `cronie`"))?);
        }
        _ => unreachable!("a key in KEYS has a place"),
    }
    Ok(())
}

fn text_of(key: &str, value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| wrong(key, value, "a string"))
}

fn texts_of(key: &str, value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        _ => strings(value).ok_or_else(|| wrong(key, value, "a string or a list of strings")),
    }
}

/// Reads the names of variables to keep.
///
/// # Errors
/// If the value is not of the right kind.
pub fn names_to_keep(value: &Value) -> Result<Vec<String>, String> {
    texts_of(KEEP_ENV, value)
}

/// Returns names for a sentence; of many only the first.
pub fn listed(names: &[String]) -> String {
    /// So many are named.
    const NAMED_MAX: usize = 3;
    let named: Vec<String> = names.iter().take(NAMED_MAX).map(|name| format!("`{name}`")).collect();
    match named.as_slice() {
        _ if names.len() > NAMED_MAX => {
            format!("{} and {} more", named.join(", "), names.len() - NAMED_MAX)
        }
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        all => all.concat(),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_short_way_reads_the_same_as_a_command_line() {
        let mut keys = Keys::new();
        let options: Vec<Arg> = keys.options.get_arguments().cloned().collect();
        let values = [
            json!("5m"),
            json!("a"),
            json!("wait"),
            json!(""),
            json!(["a", "b"]),
            json!(["a", ""]),
            json!(["A=1", "B"]),
            json!(["=1"]),
            json!([1]),
            json!(3),
            json!(-3),
            json!(0),
            json!(5_000_000_000_u64),
            json!(1.5),
            json!(true),
        ];
        for option in options {
            let Some(key) = key_of(&option) else { continue };
            for value in &values {
                let mut short = GivenKeys::default();
                let given = keys.give(&mut short, &key, value);
                let short = given.and_then(|()| keys.read(short));
                let words = words_of(&option, &key, value);
                let long = words.and_then(|words| keys.read(GivenKeys { words, ..GivenKeys::default() }));
                assert_eq!(short, long, "{key} = {value}");
            }
        }
    }
}
