//! Owns: a line as each cron reads it, and the reading that counts here.
//! Never: users, bounds, and variables of the lines above (see `table`).

use super::assignment::Variable;
use super::command::{CommandText, split_command};
use super::finding::Options;
use super::line::{EntryText, Layout, Line, Syntax, When, is_blank};
use super::refusal::Fault;
use crate::domain::stable_hash;
use crate::schedule::{Dialect, FieldsReading, Schedule, parse_cron};

/// The three readings of a line.
pub(super) struct LineReadings<'a> {
    /// By the cron for which the table was written.
    pub(super) own: LineMeaning<'a>,
    /// By the other cron.
    pub(super) other: LineMeaning<'a>,
    /// By taskq, if it is more lenient than the own cron.
    lenient: Option<LineMeaning<'a>>,
}

/// The meaning of a line to one reader.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum LineMeaning<'a> {
    Nothing,
    Variable(Variable),
    Entry(Box<EntryMeaning<'a>>),
    Refused(Fault<'a>),
}

/// An entry whose parts are read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EntryMeaning<'a> {
    pub(super) text: EntryText<'a>,
    pub(super) times: Times,
    pub(super) command: CommandText,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Times {
    Nickname(Schedule),
    Fields(FieldsReading),
}

/// Returns the cron that is not this one.
pub(super) fn other(dialect: Dialect) -> Dialect {
    match dialect {
        Dialect::Debian => Dialect::Cronie,
        Dialect::Cronie => Dialect::Debian,
    }
}

impl<'a> LineReadings<'a> {
    /// Reads a line three times.
    ///
    /// taskq is more lenient than Debian's cron with two kinds of line whose meaning is plain: white space
    /// with carriage returns, and `NAME=` without a value.
    pub(super) fn of(line: &Line<'a>, options: &Options<'_>) -> Self {
        // The draws of a line depend on the machine and its text, so that they stay the same.
        let seed = stable_hash(options.host, line.text);
        let [own, other] = [options.origin, other(options.origin)]
            .map(|dialect| LineMeaning::of(line, dialect, options.layout, seed));
        let lenient = match (&own, &other) {
            (LineMeaning::Refused(_), _) if line.text.iter().all(u8::is_ascii_whitespace) => {
                Some(LineMeaning::Nothing)
            }
            (LineMeaning::Refused(_), LineMeaning::Variable(_)) if options.origin == Dialect::Debian => {
                Some(other.clone())
            }
            _ => None,
        };
        Self { own, other, lenient }
    }

    /// Returns the reading that counts.
    pub(super) fn ours(&self) -> &LineMeaning<'a> {
        self.lenient.as_ref().unwrap_or(&self.own)
    }

    /// Returns the reading that counts.
    pub(super) fn into_ours(self) -> LineMeaning<'a> {
        self.lenient.unwrap_or(self.own)
    }
}

impl<'a> LineMeaning<'a> {
    /// Returns why a cron does not read this as the other one does.
    pub(super) fn refusal(&self) -> &'static str {
        match self {
            Self::Refused(fault) => fault.message(),
            Self::Nothing | Self::Variable(_) | Self::Entry(_) => "it reads the line as something else",
        }
    }

    /// Reads everything in a line but the user and the zone.
    fn of(line: &Line<'a>, dialect: Dialect, layout: Layout, seed: u64) -> Self {
        match line.syntax(dialect, layout) {
            Syntax::Nothing => Self::Nothing,
            Syntax::Assignment(variable) => Self::Variable(variable),
            Syntax::Entry(text) => match times(&text.when, dialect, seed) {
                Ok(times) => {
                    let command = split_command(text.command, dialect);
                    Self::Entry(Box::new(EntryMeaning { text, times, command }))
                }
                Err(fault) => Self::Refused(fault),
            },
            Syntax::Bad { form, at, fields } => {
                // A bad field comes before one that is missing.
                let mut padded = [b"*".as_slice(); 5];
                padded[..fields.len()].copy_from_slice(&fields);
                Self::Refused(match dialect.read(&padded, seed) {
                    Err(bad) if bad.index < fields.len() => Fault::Field { bad, fields: padded },
                    Ok(_) | Err(_) => Fault::Form { form, at, fields },
                })
            }
        }
    }
}

fn times<'a>(when: &When<'a>, dialect: Dialect, seed: u64) -> Result<Times, Fault<'a>> {
    match when {
        When::Fields(fields) => {
            dialect.read(fields, seed).map(Times::Fields).map_err(|bad| Fault::Field { bad, fields: *fields })
        }
        When::Nickname(nickname) => {
            // A carriage return belongs to it, and is not white space to remove.
            let text = std::str::from_utf8(nickname).ok().filter(|text| !text.contains(char::is_whitespace));
            let schedule = text.and_then(|text| parse_cron(text).ok());
            schedule.map(Times::Nickname).ok_or(Fault::Nickname(nickname))
        }
    }
}

impl EntryMeaning<'_> {
    /// Returns the instants, or `None` if there are none.
    pub(super) fn schedule(&self) -> Option<Schedule> {
        match &self.times {
            Times::Nickname(schedule) => Some(schedule.clone()),
            Times::Fields(reading) => reading.schedule(),
        }
    }

    /// Returns the instants as an expression of our grammar, or `None` if there are none.
    pub(super) fn expression(&self) -> Option<String> {
        match &self.times {
            Times::Nickname(_) => Some(self.text.when.text()),
            Times::Fields(reading) => reading.expression(),
        }
    }

    /// Returns whether neither minute nor hour begins with a star.
    pub(super) fn is_fixed(&self) -> bool {
        match &self.times {
            Times::Nickname(_) => self.text.when != When::Nickname(b"@hourly"),
            Times::Fields(reading) => !reading.has_star_in_minute_or_hour(),
        }
    }

    /// Returns whether there is nothing to run.
    pub(super) fn is_empty(&self) -> bool {
        self.command.command.iter().all(|byte| is_blank(*byte))
    }
}
