//! Owns: value parsers and groups of arguments that several verbs share.
//! Never: what a verb does with them.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use clap::Args;
use clap::builder::{PossibleValuesParser, StringValueParser, TypedValueParser};

use super::context::Failure;
use super::target::find_queue;
use crate::domain::{QueueName, Tag};
use crate::error::Error;
use crate::store::Reader;

/// The jobs and runs that `wait` and `cancel` are about.
#[derive(Args, Debug)]
#[group(id = "which", required = true, multiple = true)]
pub struct Selection {
    /// The jobs, runs or indices, as in 12, backup.3, 12/7
    #[arg(value_name = "JOB|RUN", conflicts_with_all = ["queue", "tag", "all"])]
    pub targets: Vec<String>,

    /// All jobs of QUEUE; with --tag, those that match both
    #[arg(long, value_name = "QUEUE", conflicts_with = "all")]
    pub queue: Option<String>,

    /// All jobs with TAG
    #[arg(long, value_name = "TAG", conflicts_with = "all")]
    pub tag: Option<String>,

    /// All jobs
    #[arg(long)]
    pub all: bool,
}

impl Selection {
    /// Returns the queue, which must exist, and the tag.
    pub fn queue_and_tag(
        &self,
        reader: &Reader<'_>,
        what: &str,
    ) -> Result<(Option<QueueName>, Option<Tag>), Failure> {
        let queue = self.queue.as_ref().map(|queue| find_queue(reader, what, queue)).transpose()?;
        let tag = self.tag.as_ref().map(|tag| tag.parse::<Tag>()).transpose();
        Ok((queue, tag.map_err(|error| Error::usage(what, error))?))
    }
}

/// The jobs, or the queue, that `pause` and `resume` are about.
#[derive(Args, Debug)]
#[group(id = "which", required = true, multiple = false)]
pub struct JobsOrQueue {
    /// The jobs, by id or name
    #[arg(value_name = "JOB")]
    pub jobs: Vec<String>,

    /// The queue
    #[arg(long, value_name = "QUEUE")]
    pub queue: Option<String>,

    /// All jobs
    #[arg(long)]
    pub all: bool,
}

/// Makes a parser for whole numbers of a range. Its error continues `` `--slots 0` …``.
pub fn number<T>(range: RangeInclusive<T>) -> impl TypedValueParser<Value = T>
where
    T: Copy + Display + FromStr + PartialOrd + Send + Sync + 'static,
{
    StringValueParser::new().try_map(move |text| match text.parse::<T>() {
        Ok(number) if range.contains(&number) => Ok(number),
        Ok(_) | Err(_) => Err(format!("is not a whole number from {} to {}", range.start(), range.end())),
    })
}

/// Makes a parser for a closed set of words, which clap shows in errors and completions.
pub fn words<T>(
    all: &'static [T],
    word: fn(T) -> &'static str,
    read: fn(&str) -> Option<T>,
) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.iter().map(move |value| word(*value)))
        .map(move |text| read(&text).expect("the words that are let through are those that are read"))
}
