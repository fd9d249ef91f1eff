//! Owns: ids and names: which texts are valid, and how ids are written.
//! Never: whether a job or run with this id exists.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not an id or a name, as the cause after `cannot …: `.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidId(String);

impl InvalidId {
    pub(super) fn new(cause: String) -> Self {
        Self(cause)
    }
}

/// The number of a job. Ids count up from 1 and are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub i64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The `number`-th run of `job`, written `JOB.N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub struct RunId {
    pub job: JobId,
    /// Counts up from 1 within the job.
    pub number: i64,
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.job, self.number)
    }
}

/// The key of a trigger, unique in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TriggerId(pub i64);

/// The key of a bundle of events, unique in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleId(pub i64);

/// The longest name of a job, queue or tag, in bytes.
const NAME_BYTES_MAX: usize = 64;

fn check_name(text: &str) -> Result<(), InvalidId> {
    check_name_of("a name", text, &['_', '-'])
}

/// Checks that a name has a fit length, and that its characters are letters, digits and `signs`.
pub(super) fn check_name_of(what: &str, text: &str, signs: &[char]) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId(format!("{what} has 1 to {NAME_BYTES_MAX} characters, and this one is empty")));
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(InvalidId(format!(
            "{what} has 1 to {NAME_BYTES_MAX} characters, `{text}` has {}",
            text.chars().count()
        )));
    }
    if let Some(odd) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || signs.contains(c))) {
        let (last, others) = signs.split_last().expect("there are some signs");
        let others: String = others.iter().map(|sign| format!(", `{sign}`")).collect();
        return Err(InvalidId(format!(
            "`{odd}` in `{text}` is not one of the letters, digits{others} and `{last}` \
             that {what} is made of"
        )));
    }
    Ok(())
}

/// The name of a job: 1 to 64 of letters, digits, `_` and `-`. It is not all digits, as an id is, and does
/// not start with `-`, as an option does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct JobName(String);

impl FromStr for JobName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        check_name(text)?;
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidId(format!("`{text}` is all digits and would be read as an id")));
        }
        if text.starts_with('-') {
            return Err(InvalidId(format!("`{text}` starts with `-` and would be read as an option")));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The name of a queue: 1 to 64 of letters, digits, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct QueueName(String);

impl QueueName {
    /// The queue of a job that names no other.
    pub const DEFAULT: &'static str = "default";

    /// The queue of imported jobs. It starts every run at once, as cron does.
    pub const CRON: &'static str = "cron";

    /// The width of the widest queue. A machine has not many more processes.
    pub const SLOTS_MAX: u32 = 100_000;
}

impl Default for QueueName {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

/// A tag: 1 to 64 of letters, digits, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Tag(String);

/// The name of an executor: 1 to 64 of letters, digits, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ExecutorName(String);

macro_rules! name_text {
    ($($name:ident),*) => {$(
        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

name_text!(JobName, QueueName, Tag, ExecutorName);

macro_rules! plain_name {
    ($($name:ident),*) => {$(
        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                check_name(text)?;
                Ok(Self(text.to_owned()))
            }
        }
    )*};
}

plain_name!(QueueName, Tag, ExecutorName);

/// A job or a part of it, as the user names it: `12`, `backup`, `12.3`, `backup.3`, `12/5`, `backup/5-9`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRef {
    pub job: JobKey,
    pub part: JobPart,
}

/// The part of a job that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobPart {
    Whole,
    /// The run with this number.
    Run(i64),
    /// The indices of its array from the first to the last of these.
    Indices(u32, u32),
}

/// A job by id or by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum JobKey {
    /// `12`
    Id(JobId),
    /// `backup`
    Name(JobName),
}

impl FromStr for JobRef {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (job, part) = match (text.split_once('.'), text.split_once('/')) {
            (_, Some((job, range))) => (job, indices(range).ok_or_else(|| bad_indices(text))?),
            (Some((job, number)), None) => {
                (job, JobPart::Run(positive(number).ok_or_else(|| bad_run(text))?))
            }
            (None, None) => (text, JobPart::Whole),
        };
        let all_digits = !job.is_empty() && job.bytes().all(|b| b.is_ascii_digit());
        let job = match positive(job) {
            Some(id) => JobKey::Id(JobId(id)),
            None if all_digits => {
                return Err(InvalidId(format!("`{job}` is not an id: ids count up from 1")));
            }
            None => JobKey::Name(job.parse()?),
        };
        Ok(Self { job, part })
    }
}

fn bad_run(text: &str) -> InvalidId {
    InvalidId(format!("`{text}` is not a run: runs are written `JOB.N`, counted from 1"))
}

fn bad_indices(text: &str) -> InvalidId {
    InvalidId(format!("`{text}` is not an index: indices are written `JOB/I` or `JOB/A-B`"))
}

fn indices(range: &str) -> Option<JobPart> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let number = |text: &str| {
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|_| is_plain)
    };
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some(JobPart::Indices(first, last))
}

fn positive(text: &str) -> Option<i64> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|n| *n > 0)
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl JobRef {
    /// Returns the job, if all of it is meant.
    ///
    /// # Errors
    /// The job of which a part is meant.
    pub fn whole(self) -> Result<JobKey, JobKey> {
        match self.part {
            JobPart::Whole => Ok(self.job),
            JobPart::Run(_) | JobPart::Indices(..) => Err(self.job),
        }
    }
}

impl fmt::Display for JobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.job.fmt(f)?;
        match self.part {
            JobPart::Whole => Ok(()),
            JobPart::Run(number) => write!(f, ".{number}"),
            JobPart::Indices(first, last) if first == last => write!(f, "/{first}"),
            JobPart::Indices(first, last) => write!(f, "/{first}-{last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_plain_and_not_a_number() {
        assert!("backup_2-x".parse::<JobName>().is_ok());
        for bad in ["", "12", "a b", "a.b", "é", "-x", &"x".repeat(65)] {
            assert!(bad.parse::<JobName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_job_or_run_reads_back_as_it_was_written() {
        for text in ["12", "backup", "12.3", "backup.3", "12/0", "backup/3-77"] {
            assert_eq!(text.parse::<JobRef>().expect("valid").to_string(), text);
        }
        for bad in [
            "",
            ".",
            "0",
            "12.",
            "12.0",
            "a.b",
            "1.2.3",
            "-1",
            "99999999999999999999",
            "+1",
            "1/",
            "1/5-3",
            "1/-3",
            "1.2/3",
            "1/2.3",
            "/3",
        ] {
            assert!(bad.parse::<JobRef>().is_err(), "{bad}");
        }
    }
}
