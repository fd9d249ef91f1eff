//! Owns: completing the text of an event trigger, `KIND[,OPTION]…:ARG`.
//! Never: its grammar (see `cli::job::on`).

use super::candidate::{Answer, Candidate};
use super::kind::Which;
use super::names::Names;
use super::words::matching;
use crate::cli::job::on::{COUNTERS, KINDS};
use crate::domain::MachineState;

const ABOUT: [(&str, &str); 5] = [
    ("path", "something happened to a file"),
    ("job", "a run of another job ended, started or is late"),
    ("emit", "`taskq emit NAME` was called"),
    ("stream", "a command has printed a line"),
    ("state", "the machine booted, is online, on mains power …"),
];

/// Completes an event trigger.
pub fn triggers(text: &str, names: &Names<'_>) -> Answer {
    let Some(end) = text.find([',', ':']) else { return Answer::words("", kinds(text)) };
    let kind = &text[..end];
    let Some((_, own)) = KINDS.iter().find(|(name, _)| *name == kind) else { return Answer::nothing() };
    match text.find(':') {
        Some(colon) => argument(kind, &text[..=colon], &text[colon + 1..], names),
        None => {
            let start = text.rfind(',').map_or(0, |comma| comma + 1);
            let (head, option) = text.split_at(start);
            Answer::words(head, options(own, head, option))
        }
    }
}

fn kinds(text: &str) -> Vec<Candidate> {
    let about = |kind: &str| ABOUT.iter().find(|(name, _)| *name == kind).map_or("", |(_, about)| about);
    let with_start = KINDS.iter().filter(|(name, _)| name.starts_with(text));
    with_start.map(|(name, _)| Candidate::new(format!("{name}:"), about(name))).collect()
}

fn options(own: &[&str], head: &str, text: &str) -> Vec<Candidate> {
    let is_given = |option: &str| head.split(',').any(|given| given.starts_with(option));
    let all = own.iter().chain(&COUNTERS).filter(|option| option.starts_with(text) && !is_given(option));
    all.map(|option| Candidate::new(*option, "")).collect()
}

fn argument(kind: &str, head: &str, text: &str, names: &Names<'_>) -> Answer {
    match kind {
        "path" => Answer::Files(head.to_owned()),
        "emit" => Answer::words(head, names.events(text)),
        "state" => {
            let states = MachineState::ALL.iter().map(|state| state.as_str());
            let with_start = states.filter(|state| state.starts_with(text));
            Answer::words(head, with_start.map(|state| Candidate::new(state, "")).collect())
        }
        "job" => match text.strip_prefix("tag=") {
            Some(tag) => Answer::words(format!("{head}tag="), names.tags(tag)),
            None => {
                let mut jobs = names.jobs(text, Which::Living);
                jobs.extend(matching(&[("tag=", "the jobs with a tag")], text));
                Answer::words(head, jobs)
            }
        },
        _ => Answer::nothing(),
    }
}
