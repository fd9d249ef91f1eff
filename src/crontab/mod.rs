//! Owns: a crontab file, between its bytes and what a cron makes of each line.
//! Never: I/O, users, or when an entry fires (see `schedule`).
//!
//! Rules are those of crontab(5) as Debian's cron 3.0pl1-162 and cronie 1.7.2 follow them, which is not
//! always what their manuals say; where a rule below names neither, both have it.

mod assignment;
mod calls;
mod command;
mod environment;
mod finding;
mod line;
mod note;
mod refusal;
mod table;
#[cfg(test)]
mod tests;
pub mod write;

pub use calls::CrontabCall;
pub use command::{CommandText, split_command};
pub use environment::{Account, MailRule, environment, is_safe, mail_rule};
pub use finding::{Entry, Finding, Options, Timing, Variable, Variables, Verdict};
pub use line::{Ending, EntryText, Layout, Line, Syntax, When, lines};
pub use note::{Fires, Note, ZoneVariable};
pub use table::{read, stable_hash};
