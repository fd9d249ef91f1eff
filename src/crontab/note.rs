//! Owns: what there is to know about a line before it is live, and the words for it.
//! Never: finding it (see `table`).

use std::fmt;

use super::address::safe_signs;
use super::calls::CrontabCall;
use crate::domain::Timestamp;
use crate::schedule::{Dialect, Oddity, Schedule};

/// The instants of another cron.
#[derive(Clone, Debug, PartialEq)]
pub struct Fires {
    /// Which.
    pub schedule: Schedule,
    /// In which zone; `None`: the system's.
    pub zone: Option<String>,
}

/// A variable that names a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZoneVariable {
    /// `CRON_TZ`, in a table that is read as this cron reads it.
    CronTz(Dialect),
    /// `TZ`, which is no cron's.
    Tz,
}

/// Something about a line that a person may not expect.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// A part of a field means something else than it seems to.
    Odd(Oddity),
    /// One of the crons would not take it, in its words.
    RefusedBy {
        /// Which.
        by: Dialect,
        /// `bad minute`
        what: String,
    },
    /// The last line has no newline, which both crons refuse.
    NoNewline,
    /// `NAME=` with nothing behind it, which Debian's cron refuses.
    EmptyValue {
        /// It is `MAILTO`.
        is_mailto: bool,
        /// What Debian's cron says.
        what: String,
    },
    /// One of the crons fires at other times.
    OtherTimes {
        /// Which.
        by: Dialect,
        /// When; `None`: never.
        fires: Option<Fires>,
    },
    /// One of the crons gives the shell, or the process to read, something else.
    OtherCommand {
        /// Which.
        by: Dialect,
        /// What the shell gets there.
        command: Vec<u8>,
    },
    /// One of the crons gives a variable another value, or takes the line for no assignment.
    OtherValue {
        /// Which.
        by: Dialect,
        /// The value there.
        value: Vec<u8>,
    },
    /// It is kept in other words, which mean the same everywhere.
    Rewritten(String),
    /// No date matches.
    NeverFires,
    /// Both day fields are restricted: either suffices.
    EitherDay,
    /// A day field that holds every day is no star: with the other one restricted, every day matches.
    EveryDay {
        /// The field.
        field: String,
    },
    /// Both day fields look restricted, and one begins with a star: both must match.
    BothDays {
        /// That field.
        field: String,
    },
    /// There is nothing to run.
    NoCommand,
    /// The command has a carriage return, of a file that was written elsewhere.
    CarriageReturn,
    /// A quote that a shell will miss.
    OpenQuote(char),
    /// The command begins with what looks like a field.
    LooksLikeField(String),
    /// The command begins with what looks like a user.
    LooksLikeUser {
        /// The word.
        user: String,
        /// How many lines below do so, too.
        others: usize,
    },
    /// A backslash at the end does not continue the line.
    Continuation,
    /// What follows a percent sign is no command.
    PercentSign,
    /// The command calls crontab(1), whose table is to be removed when it is imported.
    CallsCrontab(CrontabCall),
    /// A value has something that a shell would have expanded.
    NotExpanded(String),
    /// A value has what a shell would have taken for a comment.
    HashInValue,
    /// The name is none that a shell could use.
    OddName,
    /// cron sets this variable itself.
    SetByCron,
    /// Debian's cron reads no more of the line.
    CutByDebian,
    /// A zone that counts for one of the crons, or for none.
    OtherZone {
        /// The variable.
        variable: ZoneVariable,
        /// Its value.
        zone: String,
        /// The first line below at whose times it makes a difference.
        line: usize,
        /// When that difference first shows.
        first: Timestamp,
    },
    /// `CRON_TZ` is no zone that could be found, and Debian's cron ignores it.
    NoZone(String),
    /// Debian's cron delays nothing.
    DelayIgnored(String),
    /// cronie delays what follows.
    Delayed {
        /// RANDOM_DELAY.
        most: String,
        /// The number of minutes that was drawn for this machine.
        drawn: u32,
    },
    /// The value is no number of minutes from 0 to 1440.
    NoDelay(String),
    /// An address that sendmail(8) is not given: nothing is mailed.
    UnsafeAddress {
        /// The cron that would mail.
        origin: Dialect,
        /// `MAILTO`
        address: String,
    },
    /// `HOME` is no directory that there is.
    HomeMissing(String),
    /// `SHELL` is no path.
    ShellNotFound(String),
}

/// The name of a cron in a sentence.
pub(super) fn name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Debian => "Debian's cron",
        Dialect::Cronie => "cronie",
    }
}

/// Says what becomes of a call of crontab(1) when cron's table is removed because taskq has it.
fn after_removal(call: CrontabCall) -> &'static str {
    match call {
        CrontabCall::Lists => {
            "after `crontab -r`, `crontab -l` prints nothing, and a file that it writes becomes empty; `taskq crontab -l` \
             prints the table that was imported"
        }
        CrontabCall::Installs => {
            "after `crontab -r` it gives cron a table again, and a job in both runs twice; `taskq crontab` installs a table here"
        }
        CrontabCall::Removes => {
            "it removes cron's table, not the one here; `taskq crontab -r` ends the jobs of that one"
        }
    }
}

fn empty_value(is_mailto: bool) -> &'static str {
    match is_mailto {
        true => {
            "MAILTO is empty: the jobs below mail nobody; Debian's cron takes that only with quotes, `\"\"`"
        }
        false => "the value is empty; Debian's cron takes that only with quotes, `\"\"`",
    }
}

fn user_column(user: &str, others: usize) -> String {
    let others = match others {
        0 => String::new(),
        1 => " (one more line does so)".to_owned(),
        others => format!(" ({others} more lines do so)"),
    };
    format!("the command begins with a user, `{user}`{others}: only system tables have users (`--system`)")
}

fn other_zone(variable: ZoneVariable, zone: &str) -> String {
    match variable {
        ZoneVariable::CronTz(Dialect::Debian) => {
            format!("CRON_TZ `{zone}` counts for cronie alone: the times below stay in the system's zone")
        }
        ZoneVariable::CronTz(Dialect::Cronie) => {
            format!(
                "CRON_TZ `{zone}` is the zone of the times below; Debian's cron leaves them in the system's"
            )
        }
        ZoneVariable::Tz => {
            format!("TZ `{zone}` is for the commands alone: no cron takes it for the times below")
        }
    }
}

fn unsafe_address(origin: Dialect, address: &str) -> String {
    let signs = safe_signs(origin);
    format!(
        "MAILTO `{address}` is not given to sendmail(8), so nothing is mailed: an address begins with a letter or digit \
         and has only those and `{signs}`"
    )
}

impl Note {
    /// Returns what a cron says that refuses the line, though it is not refused here.
    pub fn refusal_by(&self, dialect: Dialect) -> Option<&str> {
        match self {
            Self::RefusedBy { by, what } if *by == dialect => Some(what),
            Self::EmptyValue { what, .. } if dialect == Dialect::Debian => Some(what),
            Self::NoNewline => Some("missing newline"),
            _ => None,
        }
    }

    /// Tells whether it is about the times of an entry: then its next fires are worth seeing.
    pub fn is_about_times(&self) -> bool {
        matches!(
            self,
            Self::Odd(_)
                | Self::OtherTimes { .. }
                | Self::Rewritten(_)
                | Self::EitherDay
                | Self::EveryDay { .. }
                | Self::BothDays { .. }
        )
    }
}

const NO_NEWLINE: &str = "the last line has no newline: both crons refuse that, and here the line counts";
const EITHER_DAY: &str =
    "day of the month and weekday are both restricted: a day that is either of them suffices";
const CARRIAGE_RETURN: &str = "the command has a carriage return, which the shell will see";
const PERCENT_SIGN: &str =
    "the command ends at `%`, and the rest is its standard input; `\\%` is a percent sign";

fn lossy(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// A sentence without its period.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Odd(oddity) => oddity.fmt(f),
            Self::RefusedBy { by, what } => write!(f, "{} refuses it: {what}", name(*by)),
            Self::NoNewline => f.write_str(NO_NEWLINE),
            Self::EmptyValue { is_mailto, what: _ } => f.write_str(empty_value(*is_mailto)),
            Self::OtherTimes { by, fires: Some(_) } => write!(f, "{} fires it at other times", name(*by)),
            Self::OtherTimes { by, fires: None } => write!(f, "{} never fires it", name(*by)),
            Self::OtherCommand { by, command } => write!(f, "{} runs `{}`", name(*by), lossy(command)),
            Self::OtherValue { by, value } => {
                write!(f, "{} reads the value as `{}`", name(*by), lossy(value))
            }
            Self::Rewritten(expr) => write!(f, "it is kept as `{expr}`, which means the same in every cron"),
            Self::NeverFires => f.write_str("it never fires: no date matches, and no job is made of it"),
            Self::EitherDay => f.write_str(EITHER_DAY),
            Self::EveryDay { field } => {
                write!(
                    f,
                    "`{field}` holds every day and is no star: either day field suffices, so every day matches"
                )
            }
            Self::BothDays { field } => {
                write!(f, "`{field}` begins with a star: day of the month and weekday must both match")
            }
            Self::NoCommand => f.write_str("there is no command, and no job is made of it"),
            Self::CarriageReturn => f.write_str(CARRIAGE_RETURN),
            Self::OpenQuote(quote) => write!(f, "the command has a {quote} that is not closed"),
            Self::LooksLikeField(word) => {
                write!(f, "the command begins with `{word}`: five fields come before it, not six")
            }
            Self::LooksLikeUser { user, others } => f.write_str(&user_column(user, *others)),
            Self::Continuation => f.write_str("a backslash does not continue a line: the command ends here"),
            Self::PercentSign => f.write_str(PERCENT_SIGN),
            Self::CallsCrontab(call) => write!(f, "the command calls crontab(1): {}", after_removal(*call)),
            Self::NotExpanded(part) => write!(f, "cron expands nothing: `{part}` stays as it is"),
            Self::HashInValue => f.write_str("what follows `#` is part of the value"),
            Self::OddName => f.write_str("a shell has no use for a variable of this name"),
            Self::SetByCron => f.write_str("cron sets this variable itself, after this line"),
            Self::CutByDebian => f.write_str("Debian's cron reads the first 998 bytes of an assignment"),
            Self::OtherZone { variable, zone, line, first: _ } => {
                write!(f, "{}; it makes a difference first in line {line}", other_zone(*variable, zone))
            }
            Self::NoZone(zone) => {
                write!(
                    f,
                    "CRON_TZ `{zone}` is no zone of this machine's tzdata, and Debian's cron ignores it"
                )
            }
            Self::DelayIgnored(most) => {
                write!(f, "RANDOM_DELAY `{most}` counts for cronie alone: nothing is delayed")
            }
            Self::Delayed { most, drawn } => write!(
                f,
                "RANDOM_DELAY `{most}`: cronie draws a delay whenever it starts; here it is {drawn} min for all lines below"
            ),
            Self::NoDelay(most) => {
                write!(f, "RANDOM_DELAY `{most}` is no number of minutes from 0 to 1440: nothing is delayed")
            }
            Self::HomeMissing(home) => {
                write!(
                    f,
                    "HOME `{home}` is no directory: cron starts its jobs elsewhere, and here they start in `/`"
                )
            }
            Self::ShellNotFound(shell) => {
                write!(f, "SHELL `{shell}` is no path: cron does not search for it, so no command can start")
            }
            Self::UnsafeAddress { origin, address } => f.write_str(&unsafe_address(*origin, address)),
        }
    }
}
