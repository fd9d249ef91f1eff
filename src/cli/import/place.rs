//! Owns: the place of an entry in the source that is imported, as a cell and in a sentence.
//! Never: the entry (see `report`).

use std::fmt;

use serde::Serialize;

/// The place of an entry. In JSON it is a key of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A line of a table, from 1.
    Line(usize),
    /// The number of a job of at(1).
    AtJob(u32),
    /// The name of a unit of systemd.
    Unit(String),
    /// The name of an entry that is gone.
    #[serde(rename = "item")]
    Named(String),
}

impl Place {
    /// The head of a column of lines.
    pub const LINE: &str = "LINE";
    /// The head of a column of at's jobs.
    pub const AT_JOB: &str = "AT JOB";
    /// The head of a column of units.
    pub const UNIT: &str = "UNIT";

    /// Returns the number of a line.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Line(number) => Some(*number),
            Self::AtJob(_) | Self::Unit(_) | Self::Named(_) => None,
        }
    }

    pub fn cell(&self) -> String {
        match self {
            Self::Line(number) => number.to_string(),
            Self::AtJob(number) => number.to_string(),
            Self::Unit(name) => name.clone(),
            Self::Named(_) => "-".to_owned(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::AtJob(number) => write!(f, "at job {number}"),
            Self::Unit(name) | Self::Named(name) => write!(f, "`{name}`"),
        }
    }
}
