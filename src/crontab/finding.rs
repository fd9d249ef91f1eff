//! Owns: the result of reading a table: a finding for each line.
//! Never: the reading (see `table`).

use std::rc::Rc;

use super::assignment::Variable;
use super::command::CommandText;
use super::line::{Layout, Line};
use super::note::Note;
use crate::domain::Span;
use crate::schedule::{Dialect, Schedule};

/// How to read a table.
pub struct Options<'a> {
    /// The cron for which it was written.
    pub origin: Dialect,
    /// With or without a user in each line.
    pub layout: Layout,
    /// Seeds the draws of cronie. Each machine has another number.
    pub host: u64,
    /// Returns whether such a user exists.
    pub knows_user: &'a dyn Fn(&[u8]) -> bool,
}

/// The variables of a line, in the order in which they were first set.
pub type Variables = Rc<Vec<Variable>>;

/// When an entry fires.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// The expression for `taskq add --cron`.
    pub expr: String,
    /// The same instants, without the delay.
    pub schedule: Schedule,
    /// The zone of `CRON_TZ`, or `None` for the system's zone.
    pub zone: Option<String>,
    /// How much later the entry fires.
    pub delay: Span,
}

/// An entry that becomes a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<'a> {
    /// `None` if the entry never fires. It makes no job then.
    pub timing: Option<Timing>,
    /// Neither minute nor hour begins with `*`. For such an entry cron makes up the fires that daylight
    /// saving or a suspend of up to three hours has left out.
    pub is_fixed: bool,
    /// In a system table only.
    pub user: Option<&'a [u8]>,
    pub command: CommandText,
    /// cronie's `-n`.
    pub mails_failures_only: bool,
    pub variables: Variables,
}

/// The meaning of a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict<'a> {
    /// It is blank or a comment.
    Nothing,
    /// It sets a variable for the lines below.
    Variable(Variable),
    Entry(Entry<'a>),
    Refused {
        /// Where the error is, in characters from 1.
        column: usize,
        cause: String,
        /// One thing to do about it.
        hint: Option<String>,
    },
}

/// A line with its meaning and its notes.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding<'a> {
    pub line: Line<'a>,
    pub verdict: Verdict<'a>,
    pub notes: Vec<Note>,
}
