//! Owns: what a reading of a table yields: a finding for each line.
//! Never: how a line is read (see `table`).

use std::rc::Rc;

use super::command::CommandText;
use super::line::{Layout, Line};
use super::note::Note;
use crate::domain::Span;
use crate::schedule::{Dialect, Schedule};

/// How a table is to be read.
pub struct Options<'a> {
    /// The cron that it was written for.
    pub origin: Dialect,
    /// With a user in each line, or without.
    pub layout: Layout,
    /// Decides what cronie would draw at random; another number for another machine.
    pub host: u64,
    /// Tells whether there is such a user.
    pub knows_user: &'a dyn Fn(&[u8]) -> bool,
}

/// A variable of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// The variables that hold for a line, in the order they were first set.
pub type Variables = Rc<Vec<Variable>>;

/// When an entry fires.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// The same instants in the words of `taskq add --cron`.
    pub expr: String,
    /// They as they are, without the delay.
    pub schedule: Schedule,
    /// `CRON_TZ`; `None`: the system's zone.
    pub zone: Option<String>,
    /// How much later than these instants.
    pub delay: Span,
}

/// An entry that becomes a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<'a> {
    /// When; `None`: never, and no job is made.
    pub timing: Option<Timing>,
    /// Neither minute nor hour begins with `*`: cron makes up for what daylight saving or a suspend of up to
    /// three hours has swallowed.
    pub is_fixed: bool,
    /// The user, in a system table.
    pub user: Option<&'a [u8]>,
    /// What the shell gets, and what it reads.
    pub command: CommandText,
    /// cronie's `-n`.
    pub mails_failures_only: bool,
    /// The table's variables above it.
    pub variables: Variables,
}

/// What becomes of a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict<'a> {
    /// Nothing: it is blank or a comment.
    Nothing,
    /// A variable for the lines below.
    Variable(Variable),
    /// An entry.
    Entry(Entry<'a>),
    /// It is refused.
    Refused {
        /// The column, in characters from 1, where it goes wrong.
        column: usize,
        /// A fragment for a person.
        cause: String,
        /// One thing to do about it.
        hint: Option<String>,
    },
}

/// A line and what there is to say about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding<'a> {
    /// The line.
    pub line: Line<'a>,
    /// What becomes of it.
    pub verdict: Verdict<'a>,
    /// What to know about it.
    pub notes: Vec<Note>,
}
