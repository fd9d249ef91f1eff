//! Owns: the notes on a line, and their words.
//! Never: finding them (see `annotate`).

use std::borrow::Cow;
use std::fmt;

use super::address::safe_signs;
use super::calls::CrontabCall;
use super::limits::{DEBIAN_BYTES_MAX, DELAY_MINUTES_MAX};
use crate::domain::Timestamp;
use crate::schedule::{Dialect, Oddity, Schedule};

/// The instants of the other cron.
#[derive(Clone, Debug, PartialEq)]
pub struct Fires {
    pub schedule: Schedule,
    /// `None` for the system's zone.
    pub zone: Option<String>,
}

/// A variable that names a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZoneVariable {
    /// `CRON_TZ`, in a table of this cron.
    CronTz(Dialect),
    /// `TZ`, which no cron uses itself.
    Tz,
}

/// Something about a line that a person may not expect. `by` is the cron that differs, `what` are its words.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    Odd(Oddity),
    RefusedBy {
        by: Dialect,
        what: String,
    },
    NoNewline,
    EmptyValue {
        is_mailto: bool,
        what: String,
    },
    OtherTimes {
        by: Dialect,
        fires: Option<Fires>,
    },
    OtherCommand {
        by: Dialect,
        command: Vec<u8>,
    },
    OtherValue {
        by: Dialect,
        value: Vec<u8>,
    },
    Rewritten(String),
    NeverFires,
    EitherDay,
    EveryDay {
        field: String,
    },
    BothDays {
        field: String,
    },
    NoCommand,
    CarriageReturn,
    OpenQuote(char),
    LooksLikeField(String),
    LooksLikeUser {
        user: String,
        others: usize,
    },
    Continuation,
    PercentSign,
    CallsCrontab(CrontabCall),
    NotExpanded(String),
    HashInValue,
    OddName,
    SetByCron,
    CutByDebian,
    /// `line` and `first` are the first line below with other times, and the first of those times.
    OtherZone {
        variable: ZoneVariable,
        zone: String,
        line: usize,
        first: Timestamp,
    },
    NoZone(String),
    DelayIgnored(String),
    Delayed {
        most: String,
        drawn: u32,
    },
    NoDelay(String),
    UnsafeAddress {
        origin: Dialect,
        address: String,
    },
    HomeMissing(String),
    ShellNotFound(String),
}

impl Note {
    /// Returns the words of a cron that refuses the line, although taskq does not.
    pub fn refusal_by(&self, dialect: Dialect) -> Option<&str> {
        match self {
            Self::RefusedBy { by, what } if *by == dialect => Some(what),
            Self::EmptyValue { what, .. } if dialect == Dialect::Debian => Some(what),
            Self::NoNewline => Some("missing newline"),
            _ => None,
        }
    }

    /// Returns whether it is about the times of an entry, so that its next fires are of interest.
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

fn name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Debian => "Debian's cron",
        Dialect::Cronie => "cronie",
    }
}

/// Returns the effect of a call of crontab(1) after cron's table was removed, because taskq has it.
fn after_removal(call: CrontabCall) -> &'static str {
    match call {
        CrontabCall::Lists => {
            "after `crontab -r`, `crontab -l` prints nothing, and a file made from it is empty; \
             `taskq crontab -l` prints the imported table"
        }
        CrontabCall::Installs => {
            "after `crontab -r` it gives cron a table again, and a job in both runs twice; \
             `taskq crontab` installs a table in taskq"
        }
        CrontabCall::Removes => {
            "it removes cron's table, not that of taskq; `taskq crontab -r` removes that one with its jobs"
        }
    }
}

fn empty_value(is_mailto: bool) -> &'static str {
    match is_mailto {
        true => "MAILTO is empty: the jobs below mail nobody; Debian's cron accepts that only as `\"\"`",
        false => "the value is empty; Debian's cron accepts that only as `\"\"`",
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
            format!("only cronie uses CRON_TZ `{zone}`: the times below are in the system's zone")
        }
        ZoneVariable::CronTz(Dialect::Cronie) => {
            format!("CRON_TZ `{zone}` is the zone of the times below; Debian's cron uses the system's zone")
        }
        ZoneVariable::Tz => {
            format!("TZ `{zone}` is for the commands only: no cron uses it for the times below")
        }
    }
}

fn unsafe_address(origin: Dialect, address: &str) -> String {
    let signs = safe_signs(origin);
    format!(
        "MAILTO `{address}` is not given to sendmail(8), so nothing is mailed: an address begins with a \
         letter or digit and has only those and `{signs}`"
    )
}

const NO_NEWLINE: &str = "the last line has no newline: both crons refuse it, taskq accepts it";
const EITHER_DAY: &str =
    "day of the month and weekday are both restricted: a day that matches one of them is enough";
const EVERY_DAY: &str = "has every day but is not a star: one day field is enough, so every day matches";
const BOTH_DAYS: &str = "begins with a star: day of the month and weekday must both match";
const CARRIAGE_RETURN: &str = "the command has a carriage return, which the shell will see";
const CONTINUATION: &str = "a backslash does not continue a line: the command ends here";
const PERCENT_SIGN: &str =
    "the command ends at `%`, and the rest is its standard input; `\\%` is a percent sign";

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
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
            Self::Rewritten(expr) => {
                write!(f, "it is stored as `{expr}`, which means the same in every cron")
            }
            Self::NeverFires => f.write_str("no date matches, so it never fires and makes no job"),
            Self::EitherDay => f.write_str(EITHER_DAY),
            Self::EveryDay { field } => write!(f, "`{field}` {EVERY_DAY}"),
            Self::BothDays { field } => write!(f, "`{field}` {BOTH_DAYS}"),
            Self::NoCommand => f.write_str("there is no command, so it makes no job"),
            Self::CarriageReturn => f.write_str(CARRIAGE_RETURN),
            Self::OpenQuote(quote) => write!(f, "the command has a {quote} that is not closed"),
            Self::LooksLikeField(word) => {
                write!(f, "the command begins with `{word}`: five fields come before it, not six")
            }
            Self::LooksLikeUser { user, others } => f.write_str(&user_column(user, *others)),
            Self::Continuation => f.write_str(CONTINUATION),
            Self::PercentSign => f.write_str(PERCENT_SIGN),
            Self::CallsCrontab(call) => write!(f, "the command calls crontab(1): {}", after_removal(*call)),
            Self::NotExpanded(part) => write!(f, "cron expands nothing in a value: `{part}` stays as it is"),
            Self::HashInValue => f.write_str("the text after `#` is part of the value"),
            Self::OddName => f.write_str("a shell cannot use a variable of this name"),
            Self::SetByCron => f.write_str("cron replaces this value by its own"),
            Self::CutByDebian => {
                write!(f, "Debian's cron reads only the first {DEBIAN_BYTES_MAX} bytes of an assignment")
            }
            Self::OtherZone { variable, zone, line, first: _ } => {
                write!(f, "{}; the first difference is in line {line}", other_zone(*variable, zone))
            }
            Self::NoZone(zone) => {
                write!(f, "CRON_TZ `{zone}` is not a zone of this machine's tzdata; Debian's cron ignores it")
            }
            Self::DelayIgnored(most) => {
                write!(f, "only cronie uses RANDOM_DELAY `{most}`: nothing is delayed")
            }
            Self::Delayed { most, drawn } => write!(
                f,
                "RANDOM_DELAY `{most}`: cronie draws a delay at each start; taskq delays the lines below by \
                 {drawn} min"
            ),
            Self::NoDelay(most) => write!(
                f,
                "RANDOM_DELAY `{most}` is not a number of minutes from 0 to {DELAY_MINUTES_MAX}: \
                 nothing is delayed"
            ),
            Self::UnsafeAddress { origin, address } => f.write_str(&unsafe_address(*origin, address)),
            Self::HomeMissing(home) => {
                write!(f, "HOME `{home}` is not a directory: taskq starts the jobs in `/`, cron elsewhere")
            }
            Self::ShellNotFound(shell) => {
                write!(
                    f,
                    "SHELL `{shell}` is not a path: cron does not search for it, so no command can start"
                )
            }
        }
    }
}
