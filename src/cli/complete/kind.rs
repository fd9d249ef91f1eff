//! Owns: what the value of an argument names, by its definition.
//! Never: the names.
//!
//! A new verb whose argument is a `JOB` is completed by its definition alone. A new word for a value gets a
//! line here, or in `FREE`: a test asks for it.

use clap::{Arg, ValueHint};

use crate::schedule::CALENDAR_WORDS;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Jobs(Which),
    /// A job, or after `JOB.` one of its runs.
    JobsAndRuns(Which),
    /// `JOB[:END]`.
    JobsAndEnds,
    Runs,
    Queues,
    Tags,
    Resources,
    Executors,
    /// `NAME=N,…`.
    Amounts,
    Zones,
    /// `KIND[,OPTION]…:ARG`.
    Triggers,
    /// The names of events that jobs listen to.
    Events,
    Gates,
    Signals,
    Variables,
    Verbs,
    /// The words of the definition.
    Possible,
    /// These words.
    Words(&'static [(&'static str, &'static str)]),
    /// These words, separated by commas.
    List(&'static [(&'static str, &'static str)]),
    /// A user, then after a comma when the user gets a mail.
    Mail,
    Files,
    Directories,
    Users,
    /// Any text.
    Free,
}

/// Which jobs a verb is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Living ones, then those that are done.
    All,
    Living,
    /// Living ones, those first that are paused.
    Paused,
    /// Those with a running run.
    Running,
    /// Those first that are done.
    Done,
}

impl Which {
    /// Returns which jobs a verb is for; of a verb without a line here, all.
    fn of(verb: &str) -> Self {
        match verb {
            "cancel" | "next" | "pause" | "rename" | "run" | "set" | "wait" => Self::Living,
            "resume" => Self::Paused,
            "signal" => Self::Running,
            "retry" => Self::Done,
            _ => Self::All,
        }
    }
}

/// The words for values of which any text can be one.
pub const FREE: &[&str] = &[
    "-",
    "HOST",
    "HOST[=N]",
    "INDICES",
    "KEY",
    "KEY=VALUE",
    "MASK",
    "MIN[..MAX]",
    "N",
    "SCRIPT",
    "SIZE",
    "SPAN",
    "SPAN[,run]",
    "TIME",
    "TIME|SPAN",
    "UNIT",
];

/// Arguments that are not what their word says: the verb (empty: each), the id and what they are.
pub const EXCEPTIONS: &[(&str, &str, Kind)] = &[
    ("", "cron", Kind::Words(CRON)),
    ("", "calendar", Kind::Words(&CALENDAR_WORDS)),
    ("", "stdin_from", Kind::Jobs(Which::Living)),
    ("add", "name", Kind::Free),
    ("emit", "name", Kind::Events),
    ("", "executor", Kind::Executors),
    ("executor add", "name", Kind::Free),
    ("executor check", "name", Kind::Executors),
    ("executor remove", "name", Kind::Executors),
    ("executor set", "name", Kind::Executors),
    ("help", "verb", Kind::Verbs),
    ("rename", "name", Kind::Free),
    ("resource remove", "name", Kind::Resources),
    ("set", "name", Kind::Free),
];

const CRON: &[(&str, &str)] = &[
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@reboot", "at each boot of the machine"),
];

const MISSED: &[(&str, &str)] =
    &[("once", "one run, for the latest"), ("all", "a run for each, at most 100"), ("skip", "none")];

const CAUSES: &[(&str, &str)] = &[
    ("signal", "a signal ended it"),
    ("timeout", "--timeout ended it"),
    ("lost", "its keeper was killed, or the machine stopped"),
];

const NEVER: &[(&str, &str)] = &[("never", "priorities are strict")];

/// Returns what the value of an argument of a verb is; `None` if nobody has said it.
pub fn kind(verb: &str, argument: &Arg) -> Option<Kind> {
    let id = argument.get_id();
    let is_this = |(of, name, _): &&(&str, &str, Kind)| (of.is_empty() || *of == verb) && id == name;
    if let Some((.., kind)) = EXCEPTIONS.iter().find(is_this) {
        return Some(*kind);
    }
    if !argument.get_possible_values().is_empty() {
        return Some(Kind::Possible);
    }
    let name = argument.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
    Some(match name {
        "JOB" => Kind::Jobs(Which::of(verb)),
        "JOB|RUN" => Kind::JobsAndRuns(Which::of(verb)),
        "JOB[:END]" => Kind::JobsAndEnds,
        "RUN" => Kind::Runs,
        "GLOB" => Kind::Jobs(Which::All),
        "QUEUE" => Kind::Queues,
        "TAG" => Kind::Tags,
        "NAME=N" => Kind::Amounts,
        "ZONE" => Kind::Zones,
        "EVENT" => Kind::Triggers,
        "GATE" => Kind::Gates,
        "SIGNAL" => Kind::Signals,
        "NAME[=VALUE]" => Kind::Variables,
        "POLICY" => Kind::Words(MISSED),
        "SPAN|never" => Kind::Words(NEVER),
        "LIST" => Kind::List(CAUSES),
        "ADDR[,WHEN]" => Kind::Mail,
        "USER" => Kind::Users,
        "DIR" => Kind::Directories,
        "FILE" => Kind::Files,
        _ if FREE.contains(&name) => Kind::Free,
        _ => return by_hint(argument.get_value_hint()),
    })
}

fn by_hint(hint: ValueHint) -> Option<Kind> {
    match hint {
        ValueHint::AnyPath | ValueHint::FilePath | ValueHint::ExecutablePath => Some(Kind::Files),
        ValueHint::DirPath => Some(Kind::Directories),
        ValueHint::Username => Some(Kind::Users),
        ValueHint::Other => Some(Kind::Free),
        _ => None,
    }
}
