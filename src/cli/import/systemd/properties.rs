//! Owns: the answers of busctl(1): the properties of a unit, by name.
//! Never: asking (see `bus`), the meaning of a property.

use serde_json::{Map, Value};

/// A value that means forever, or that nothing is set.
const INFINITY: u64 = u64::MAX;

/// The properties of a unit. One that systemd does not have, because it is older, has no value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Properties(Map<String, Value>);

/// A command of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecCommand {
    pub path: String,
    pub argv: Vec<String>,
    /// `ignore-failure`, `no-env-expand`, `privileged`, `no-setuid`, `ambient`.
    pub flags: Vec<String>,
}

impl Properties {
    /// Reads the answer to `GetAll`, and adds it to these.
    pub fn read(&mut self, answer: &[u8]) -> Option<()> {
        let Value::Object(properties) = first(answer)? else { return None };
        self.0.extend(properties);
        Some(())
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)?.get("data")
    }

    /// Returns a text; empty if there is none.
    pub fn text(&self, name: &str) -> &str {
        self.value(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn is_on(&self, name: &str) -> bool {
        self.value(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// Returns a number; `None` if it is infinite.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.value(name)?.as_u64().filter(|number| *number != INFINITY)
    }

    pub fn signed(&self, name: &str) -> Option<i64> {
        self.value(name)?.as_i64()
    }

    pub fn texts(&self, name: &str) -> Vec<String> {
        self.rows(name).filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Returns the bytes of an array of bytes.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        self.rows(name).filter_map(Value::as_u64).filter_map(|byte| u8::try_from(byte).ok()).collect()
    }

    fn rows(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.value(name).and_then(Value::as_array).into_iter().flatten()
    }

    /// Returns the pairs of `TimersCalendar`, in the order of the unit file.
    pub fn calendars(&self) -> Vec<String> {
        let mut calendars: Vec<String> =
            self.rows("TimersCalendar").filter_map(|row| Some(row.get(1)?.as_str()?.to_owned())).collect();
        calendars.reverse();
        calendars
    }

    /// Returns the pairs of `TimersMonotonic`: the setting, and microseconds.
    pub fn monotonics(&self) -> Vec<(String, u64)> {
        let pair = |row: &Value| Some((row.get(0)?.as_str()?.to_owned(), row.get(1)?.as_u64()?));
        let mut pairs: Vec<(String, u64)> = self.rows("TimersMonotonic").filter_map(pair).collect();
        pairs.reverse();
        pairs
    }

    /// Returns the files of `EnvironmentFile=`, each with whether it may be missing.
    pub fn environment_files(&self) -> Vec<(String, bool)> {
        let pair = |row: &Value| Some((row.get(0)?.as_str()?.to_owned(), row.get(1)?.as_bool()?));
        self.rows("EnvironmentFiles").filter_map(pair).collect()
    }

    /// Returns the commands of `ExecStart=`.
    pub fn commands(&self) -> Vec<ExecCommand> {
        let texts = |value: Option<&Value>| -> Option<Vec<String>> {
            value?.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let command = |row: &Value| {
            Some(ExecCommand {
                path: row.get(0)?.as_str()?.to_owned(),
                argv: texts(row.get(1))?,
                flags: texts(row.get(2))?,
            })
        };
        self.rows("ExecStartEx").filter_map(command).collect()
    }
}

/// Returns the first value of an answer.
pub fn first(answer: &[u8]) -> Option<Value> {
    let Value::Object(mut answer) = serde_json::from_slice(answer).ok()? else { return None };
    match answer.remove("data")? {
        Value::Array(values) => values.into_iter().next(),
        _ => None,
    }
}

/// Returns the texts of an answer that is a property.
pub fn list(answer: &[u8]) -> Option<Vec<String>> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    Some(answer.get("data")?.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}
