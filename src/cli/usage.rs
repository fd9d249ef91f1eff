//! Owns: errors in command lines, in the form of all other errors.
//! Never: the grammar (see the verbs).

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, ValueEnum};

use crate::cli::output::{Color, Output};
use crate::cli::{Cli, commands};
use crate::error::Error;

/// The option of systemd-run(1) for timers, which its users try.
const ON_CALENDAR: &str = "--on-calendar";

const CALENDAR_EXAMPLE: (&str, &str) = ("Mon..Fri *-*-* 10:30", "30 10 * * mon-fri");

/// The words of systemd.time(7) as cron expressions. Its week begins with Monday, that of `@weekly` with
/// Sunday.
const CALENDAR_WORDS: &[(&str, &str)] = &[
    ("minutely", "* * * * *"),
    ("hourly", "@hourly"),
    ("daily", "@daily"),
    ("weekly", "0 0 * * mon"),
    ("monthly", "@monthly"),
    ("quarterly", "0 0 1 1,4,7,10 *"),
    ("semiannually", "0 0 1 1,7 *"),
    ("yearly", "@yearly"),
    ("annually", "@yearly"),
];

/// Prints clap's help, version or error, the error in our words. Returns the exit code.
pub fn complain(args: &[OsString], error: &clap::Error) -> u8 {
    let output = Output::new(color_of(args));
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return output.clap(error);
    }
    let error = translate(args, error);
    output.error(&error);
    error.exit_code()
}

/// Finds the `--color` of a command line that could not be read: it holds for the error too.
pub fn color_of(args: &[OsString]) -> Color {
    let mut words = args.iter().filter_map(|word| word.to_str()).take_while(|word| *word != "--");
    let mut color = Color::Auto;
    while let Some(word) = words.next() {
        let value = match word.strip_prefix("--color") {
            Some("") => words.next(),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        color = value.and_then(|value| Color::from_str(value, false).ok()).unwrap_or(color);
    }
    color
}

fn translate(args: &[OsString], error: &clap::Error) -> Error {
    let verb = verb_of(args);
    let what = commands::what(&verb).unwrap_or("read the command line");
    let see = format!("see `{}`", ["taskq", &verb, "--help"].join(" ").replace("  ", " "));
    let (cause, hint) = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let word = text(error, ContextKind::InvalidSubcommand);
            let near = list(error, ContextKind::SuggestedSubcommand)
                .first()
                .map(|near| format!("did you mean `{near}`?"));
            return Error::usage(format!("run `{word}`"), "there is no such command")
                .hint(near.unwrap_or(see));
        }
        ErrorKind::UnknownArgument => {
            let word = text(error, ContextKind::InvalidArg);
            let near =
                list(error, ContextKind::SuggestedArg).first().map(|near| format!("did you mean `{near}`?"));
            let near = if word == ON_CALENDAR { Some(on_calendar_hint(args)) } else { near };
            let cause = if word.starts_with('-') && word != "-" {
                format!("there is no option `{word}`")
            } else {
                format!("unexpected argument `{word}`")
            };
            (cause, near)
        }
        ErrorKind::ArgumentConflict => (conflict(error, args), None),
        _ => (cause(error), None),
    };
    Error::usage(what, cause).hint(hint.unwrap_or(see))
}

/// Returns what is wrong with a value, or with the options together.
pub fn cause(error: &clap::Error) -> String {
    match error.kind() {
        ErrorKind::InvalidValue => invalid_value(error),
        ErrorKind::ValueValidation => {
            let cause =
                std::error::Error::source(error).map_or("is not understood".to_owned(), ToString::to_string);
            let (option, value) = (argument(error), text(error, ContextKind::InvalidValue));
            format!("`{option} {value}` {cause}")
        }
        ErrorKind::ArgumentConflict => conflict(error, &[]),
        ErrorKind::MissingRequiredArgument => missing(error),
        ErrorKind::TooManyValues => format!("`{}` takes no value", argument(error)),
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8 text".to_owned(),
        _ => first_line(error),
    }
}

/// Returns the hint for systemd's `--on-calendar`: its word as a cron expression, else an example.
fn on_calendar_hint(args: &[OsString]) -> String {
    let mut words = args.iter().map(|word| word.to_string_lossy());
    let given = words.find_map(|word| match word.strip_prefix(ON_CALENDAR) {
        Some("") => Some(None),
        Some(rest) => rest.strip_prefix('=').map(|value| Some(value.to_owned())),
        None => None,
    });
    let value =
        given.flatten().or_else(|| words.next().map(Into::into)).unwrap_or_default().to_ascii_lowercase();
    let (theirs, ours) = CALENDAR_WORDS.iter().find(|(word, _)| *word == value).unwrap_or(&CALENDAR_EXAMPLE);
    format!("systemd's `{theirs}` is `--cron '{ours}'`")
}

/// Returns the words that lead to the verb, options between them left out: `queue set`.
fn verb_of(args: &[OsString]) -> String {
    let mut tree = Cli::command();
    tree.build();
    let (mut command, mut verb) = (&tree, Vec::new());
    let mut words = args.iter().skip(1).map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        if matches!(word.as_ref(), "--dir" | "--color") {
            words.next();
        } else if !word.starts_with('-') {
            let Some(next) = command.find_subcommand(word.as_ref()) else { break };
            verb.push(next.get_name());
            command = next;
        }
    }
    verb.join(" ")
}

fn invalid_value(error: &clap::Error) -> String {
    let (option, value) = (argument(error), text(error, ContextKind::InvalidValue));
    let accepted = either(&list(error, ContextKind::ValidValue));
    match (value.is_empty(), accepted.is_empty()) {
        (true, true) => format!("`{option}` needs a value"),
        (true, false) => format!("`{option}` needs a value: {accepted}"),
        (false, true) => format!("`{option} {value}` is not understood"),
        (false, false) => format!("`{option} {value}` is not {accepted}"),
    }
}

fn conflict(error: &clap::Error, args: &[OsString]) -> String {
    let argument = argument(error);
    let others: Vec<String> = list(error, ContextKind::PriorArg).iter().map(|other| bare(other)).collect();
    if others.contains(&argument) {
        return format!("`{argument}` can be given once only");
    }
    // Clap names all members of a group, in the order of their definition, not the given ones.
    let is_given = |other: &&String| {
        let mut words = args.iter().map(|word| word.to_string_lossy());
        words.any(|word| {
            word.strip_prefix(other.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        })
    };
    match others.iter().find(is_given).or(others.last()) {
        Some(other) => format!("`{argument}` and `{other}` exclude each other"),
        None => format!("`{argument}` excludes the rest"),
    }
}

fn missing(error: &clap::Error) -> String {
    let missing = list(error, ContextKind::InvalidArg);
    let choices: Vec<String> = match missing.first() {
        // A group: `<JOB|--queue <QUEUE>|--all>`.
        Some(group) if group.starts_with('<') => group
            .trim_matches(['<', '>', '.'])
            .split('|')
            .map(|choice| choice.replace(['<', '>'], ""))
            .collect(),
        Some(option) => vec![option.replace(['<', '>'], "")],
        None => return "an argument is missing".to_owned(),
    };
    let is = if choices.len() == 1 { "is missing" } else { "is needed" };
    format!("{} {is}", either(&choices))
}

/// Returns ``one of `a`, `b` and `c` ``, or the only word.
fn either(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => String::new(),
        [word] => word.clone(),
        [words @ .., last] => format!("one of {} and {last}", words.join(", ")),
    }
}

fn argument(error: &clap::Error) -> String {
    bare(&text(error, ContextKind::InvalidArg))
}

/// Returns `--name` for `--name <NAME>`, and `COMMAND` for `[COMMAND]...`.
fn bare(argument: &str) -> String {
    let first = argument.split(['=', ' ']).next().unwrap_or_default();
    first.trim_matches(['<', '>', '[', ']', '.']).to_owned()
}

fn text(error: &clap::Error, kind: ContextKind) -> String {
    list(error, kind).into_iter().next().unwrap_or_default()
}

fn list(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        Some(_) | None => Vec::new(),
    }
}

/// Returns the first line of clap's own text, for errors that have no words here.
fn first_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).trim_end_matches('.').to_owned()
}
