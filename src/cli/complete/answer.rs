//! Owns: which candidates the word at the cursor has.
//! Never: failing: what cannot be found is not offered.

use std::path::Path;

use clap::{Arg, ArgAction, Command};

use super::candidate::{Answer, Candidate};
use super::events::triggers;
use super::kind::{Kind, Which, kind};
use super::line::{Line, Place, read};
use super::names::Names;
use super::words::{self, listed, matching};
use crate::domain::Timestamp;

/// Returns what the last of the words can be. `find_dir` finds the directory of the store that a `--dir`
/// names, or the default one.
pub fn answer<'a>(
    full: &Command,
    typed: &[String],
    now: Timestamp,
    find_dir: impl FnOnce(Option<&str>) -> Option<std::path::PathBuf> + 'a,
) -> Answer {
    let line = read(full, typed);
    let word = typed.last().map_or("", String::as_str);
    match &line.place {
        Place::Verb => Answer::words("", verbs(&line.command, word)),
        Place::Option => Answer::words("", options(&line, word)),
        Place::Command(first) => Answer::Command(*first),
        Place::End => Answer::nothing(),
        Place::Value { argument, head, text } => {
            let dir = find_dir(line.dir.as_deref());
            let names = Names::new(dir.as_deref().unwrap_or(Path::new("")), now);
            value(full, &line, argument, text, &names).after(head)
        }
    }
}

/// Returns what the value of an argument can be.
fn value(full: &Command, line: &Line, argument: &Arg, text: &str, names: &Names<'_>) -> Answer {
    let Some(kind) = kind(&line.verb, argument) else { return Answer::nothing() };
    let mut answer = match kind {
        Kind::Jobs(which) => Answer::words("", names.jobs(text, which)),
        Kind::JobsAndRuns(which) => jobs_and_runs(text, which, names),
        Kind::JobsAndEnds => match text.split_once(':') {
            Some((job, end)) => Answer::words(format!("{job}:"), matching(words::ENDS, end)),
            None => Answer::words("", names.jobs(text, Which::Living)),
        },
        Kind::Runs => match text.contains('.') {
            true => jobs_and_runs(text, Which::All, names),
            false => Answer::words("", names.jobs_with_point(text)),
        },
        Kind::Queues => Answer::words("", names.queues(text)),
        Kind::Tags => Answer::words("", names.tags(text)),
        Kind::Resources => Answer::words("", names.resources(text, "")),
        Kind::Executors => Answer::words("", names.executors(text)),
        Kind::Amounts => names.amounts(text),
        Kind::Zones => Answer::words("", words::zones(text)),
        Kind::Triggers => triggers(text, names),
        Kind::Events => Answer::words("", names.events(text)),
        Kind::Gates => match text.strip_prefix("path:") {
            Some(_) => Answer::Files("path:".to_owned()),
            None => Answer::words("", matching(words::GATES, text)),
        },
        Kind::Signals => Answer::words("", words::signals(text)),
        Kind::Variables => Answer::words("", words::variables(text)),
        Kind::Verbs => Answer::words("", verbs(&verb_below(full, line), text)),
        Kind::Possible => possible(argument, text),
        Kind::Words(all) => Answer::words("", matching(all, text)),
        Kind::List(all) => listed(text, |text| matching(all, text)),
        Kind::Mail => match text.rsplit_once(',') {
            Some((addresses, when)) => Answer::words(format!("{addresses},"), matching(words::MAILS, when)),
            None => Answer::Users(String::new()),
        },
        Kind::Files => Answer::Files(String::new()),
        Kind::Directories => Answer::Directories(String::new()),
        Kind::Users => Answer::Users(String::new()),
        Kind::Free => Answer::nothing(),
    };
    // What was given already is not offered again.
    if let Answer::Words { head, candidates } = &mut answer {
        let is_given = |value: &str| {
            line.given.iter().any(|(id, given)| {
                argument.get_id() == id.as_str() && given.strip_prefix(&**head) == Some(value)
            })
        };
        candidates.retain(|candidate| !is_given(&candidate.value));
    }
    answer
}

fn jobs_and_runs(text: &str, which: Which, names: &Names<'_>) -> Answer {
    match text.split_once('.') {
        Some((job, number)) => Answer::words(format!("{job}."), names.runs(job, number, which)),
        None => Answer::words("", names.jobs(text, which)),
    }
}

/// Returns the words of a definition that can be the value, or the last of a list of them.
fn possible(argument: &Arg, text: &str) -> Answer {
    let all = argument.get_possible_values();
    let of = |text: &str| {
        let shown = all.iter().filter(|value| !value.is_hide_set() && value.get_name().starts_with(text));
        let about = |help: Option<&clap::builder::StyledStr>| help.map(ToString::to_string);
        shown
            .map(|value| Candidate::new(value.get_name(), about(value.get_help()).unwrap_or_default()))
            .collect()
    };
    match argument.get_value_delimiter() {
        Some(_) => listed(text, of),
        None => Answer::words("", of(text)),
    }
}

/// Returns the verbs below a definition, and their aliases.
fn verbs(command: &Command, text: &str) -> Vec<Candidate> {
    let shown = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    shown
        .flat_map(|verb| {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            std::iter::once(verb.get_name())
                .chain(verb.get_visible_aliases())
                .map(move |name| Candidate::new(name, about.clone()))
        })
        .filter(|candidate| candidate.value.starts_with(text))
        .collect()
}

/// Returns the definition of the verb that `help` was asked for so far.
fn verb_below(full: &Command, line: &Line) -> Command {
    let mut verb = full.clone();
    for (_, word) in &line.given {
        let Some(found) = verb.find_subcommand(word) else { continue };
        let mut below = found.clone().disable_help_subcommand(true);
        below.build();
        verb = below;
    }
    verb
}

/// Returns the options of a verb that can still be given.
fn options(line: &Line, text: &str) -> Vec<Candidate> {
    let command = &line.command;
    let given: Vec<&Arg> = command.get_arguments().filter(|argument| is_given(line, argument)).collect();
    let is_open = |argument: &&Arg| {
        let is_repeatable = matches!(argument.get_action(), ArgAction::Append | ArgAction::Count);
        let excludes = |one: &Arg, other: &Arg| {
            !one.is_global_set()
                && command.get_arg_conflicts_with(one).iter().any(|id| id.get_id() == other.get_id())
        };
        !argument.is_hide_set()
            && (is_repeatable || !is_given(line, argument))
            && !given.iter().any(|other| excludes(other, argument) || excludes(argument, other))
    };
    let mut candidates = Vec::new();
    for argument in command.get_arguments().filter(|argument| !argument.is_positional()).filter(is_open) {
        let about = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let long = argument.get_long().map(|long| format!("--{long}"));
        // A short name only where it is the only one, or is asked for.
        let short = argument.get_short().map(|short| format!("-{short}"));
        let short = short.filter(|short| long.is_none() || text == "-" || text == short);
        let named = long.into_iter().chain(short).filter(|name| name.starts_with(text));
        candidates.extend(named.map(|name| Candidate::new(name, about.clone())));
    }
    candidates
}

fn is_given(line: &Line, argument: &Arg) -> bool {
    line.given.iter().any(|(id, _)| argument.get_id() == id.as_str())
}
