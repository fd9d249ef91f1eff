//! Owns: the differences between two definitions of a job, each with its old and its new value, as a file has
//! it.
//! Never: what a job's texts mean.

use serde::Serialize;
use serde_json::{Value, json};

use super::options::option_values;
use crate::domain::{CommandLine, NewJob, TriggerSpec};
use crate::schedule::Zone;
use crate::shown;

/// An option that differs. Its values are as in TOML; `None`: it is not given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    pub key: &'static str,
    pub old: Option<String>,
    pub new: Option<String>,
}

impl Change {
    /// Returns it for a person: `timeout "1h" → "2h"`.
    pub fn text(&self) -> String {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        format!("{} {} → {}", self.key, text(&self.old), text(&self.new))
    }
}

pub fn change(key: &'static str, old: Option<Value>, new: Option<Value>) -> Change {
    let text = |value: Option<Value>| value.map(|value| toml_of_key(key, &value));
    Change { key, old: text(old), new: text(new) }
}

/// Keys whose value is always a list.
const LISTS: [&str; 3] = ["command", "items", "environment"];

/// Returns the value of a key as TOML, in one line.
pub fn toml_of_key(key: &str, value: &Value) -> String {
    match value {
        Value::Array(parts) if parts.len() == 1 && !LISTS.contains(&key) => toml_value(&parts[0]),
        value => toml_value(value),
    }
}

fn toml_value(value: &Value) -> String {
    match value {
        Value::Array(parts) => format!("[{}]", parts.iter().map(toml_value).collect::<Vec<_>>().join(", ")),
        // The escapes of JSON are those of TOML, which has no raw DEL.
        other => other.to_string().replace('\u{7f}', "\\u007f"),
    }
}

/// Returns the options that differ, always in the same order.
pub fn changes(
    (old, old_triggers): (&NewJob, &[TriggerSpec]),
    (new, new_triggers): (&NewJob, &[TriggerSpec]),
    zone: &Zone,
) -> Vec<Change> {
    let olds = values(old, old_triggers, zone);
    let news = values(new, new_triggers, zone);
    let pairs = olds.into_iter().zip(news).filter(|((_, old), (_, new))| old != new);
    let mut changes: Vec<Change> = pairs.map(|((key, old), (_, new))| change(key, old, new)).collect();
    // Another period has another beginning.
    if changes.iter().any(|change| change.key == "every") {
        changes.retain(|change| change.key != "anchor");
    }
    changes.extend(of_environment(&old.execution.env, &new.execution.env));
    changes
}

/// Returns the names of the variables that differ: their values may be secret.
fn of_environment(old: &[Vec<u8>], new: &[Vec<u8>]) -> Option<Change> {
    let beside = |env: &[Vec<u8>], other: &[Vec<u8>]| {
        let names = env
            .iter()
            .filter(|var| !other.contains(var))
            .map(|var| shown::lossy(var.split(|byte| *byte == b'=').next().unwrap_or_default()));
        Some(names.collect::<Vec<_>>().join(", ")).filter(|names| !names.is_empty())
    };
    (old != new).then(|| Change { key: "env", old: beside(old, new), new: beside(new, old) })
}

fn values(job: &NewJob, triggers: &[TriggerSpec], zone: &Zone) -> Vec<(&'static str, Option<Value>)> {
    let words = |words: &[Vec<u8>]| words.iter().map(|word| shown::lossy(word)).collect::<Vec<_>>();
    let (command, script) = match &job.execution.command {
        CommandLine::Argv(argv) => (Some(json!(words(argv))), None),
        CommandLine::Script(script) => (None, Some(json!(shown::lossy(script)))),
        CommandLine::Sealed => (None, None),
    };
    let time = |at| Value::from(zone.show(at));
    let mut values = vec![("command", command), ("script", script)];
    values.extend(of_triggers(triggers, zone));
    values.extend([("start", job.start.map(time)), ("until", job.until.map(time))]);
    values.extend(option_values(job).into_iter().filter(|(key, _)| *key != "hold"));
    values.push(("items", job.has_items.then(|| json!(words(&job.items)))));
    values
}

fn of_triggers(triggers: &[TriggerSpec], zone: &Zone) -> Vec<(&'static str, Option<Value>)> {
    let [mut at, mut cron, mut calendar, mut every, mut anchor, mut on] = [const { Vec::new() }; 6];
    let mut has_after_end = None;
    for trigger in triggers {
        match trigger {
            TriggerSpec::At { at: instant, .. } => at.push(zone.show(*instant)),
            TriggerSpec::Cron { expr, .. } => cron.push(expr.clone()),
            TriggerSpec::Calendar { expr, .. } => calendar.push(expr.clone()),
            TriggerSpec::Every { period, anchor: begin, .. } => {
                every.push(period.to_string());
                anchor.push(zone.show(*begin));
            }
            TriggerSpec::AfterEnd { period, .. } => {
                every.push(period.to_string());
                has_after_end = Some(json!(true));
            }
            TriggerSpec::Event(event) => on.push(event.to_string()),
        }
    }
    let tz = triggers.iter().find_map(TriggerSpec::zone_beside_text);
    vec![
        ("at", list(&at)),
        ("cron", list(&cron)),
        ("calendar", list(&calendar)),
        ("every", list(&every)),
        ("anchor", list(&anchor)),
        ("after_end", has_after_end),
        ("on", list(&on)),
        ("tz", tz.map(Value::from)),
    ]
}

fn list(texts: &[String]) -> Option<Value> {
    (!texts.is_empty()).then(|| json!(texts))
}
