//! Owns: a crontab file: its bytes, and the meaning of each line.
//! Never: I/O, users, the fires of an entry (see `schedule`).
//!
//! The rules are those of crontab(5) as Debian's cron 3.0pl1-162 and cronie 1.7.2 follow them, which is not
//! always as their manuals describe it. A rule that names neither holds for both.

mod address;
mod annotate;
mod assignment;
mod calls;
mod command;
mod environment;
mod finding;
mod limits;
mod line;
mod note;
mod reading;
mod refusal;
mod settings;
mod table;
#[cfg(test)]
mod tests;
pub mod write;

pub use address::{is_safe, safe_signs};
pub use annotate::note_on_days;
pub use assignment::Variable;
pub use calls::CrontabCall;
pub use command::{CommandText, split_command};
pub use environment::{MailRule, environment, mail_rule};
pub use finding::{Entry, Finding, Options, Timing, Variables, Verdict};
pub use line::{BadForm, Ending, EntryText, Layout, Line, Syntax, When, lines};
pub use note::{Fires, Note, ZoneVariable};
pub use table::read;
