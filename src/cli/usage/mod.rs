//! Owns: errors in command lines, in the form of all other errors.
//! Never: the grammar (see the verbs).

mod hints;
mod synonyms;

use std::ffi::OsString;

use clap::ValueEnum;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use self::hints::Typed;
use crate::cli::commands;
use crate::cli::output::{Color, Output};
use crate::error::Error;

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
    let typed = Typed::new(args);
    let verb = typed.verb();
    let what = commands::what(&verb).unwrap_or("read the command line");
    let (cause, hint) = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            return no_such_verb_in(&typed);
        }
        ErrorKind::UnknownArgument => {
            let word = text(error, ContextKind::InvalidArg);
            if word.starts_with('-') && word != "-" {
                (format!("there is no option `{word}`"), typed.option_hint(&word))
            } else {
                (format!("unexpected argument `{word}`"), typed.argument_hint(&word))
            }
        }
        ErrorKind::ArgumentConflict => (conflict(error, args), None),
        ErrorKind::InvalidValue => {
            let value = text(error, ContextKind::InvalidValue);
            let accepted = list(error, ContextKind::ValidValue);
            (invalid_value(error), typed.value_hint(&argument(error), &value, &accepted))
        }
        _ => (cause(error), None),
    };
    Error::usage(what, cause).hint(hint.unwrap_or_else(|| typed.see_help()))
}

/// Returns the error for a verb that there is not, the last of `verb`. `rest` are its arguments.
pub fn no_such_verb(verb: &[String], rest: &[&str]) -> Error {
    let args = ["taskq"].into_iter().chain(verb.iter().map(String::as_str)).chain(rest.iter().copied());
    no_such_verb_in(&Typed::new(&args.map(OsString::from).collect::<Vec<_>>()))
}

fn no_such_verb_in(typed: &Typed) -> Error {
    Error::usage(format!("run `{}`", typed.verb_with_next()), "there is no such command")
        .hint(typed.verb_hint().unwrap_or_else(|| typed.see_help()))
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

#[cfg(test)]
mod tests;
