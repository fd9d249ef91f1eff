//! Owns: the candidates that are the same in every store: words, signals, zones, variables.
//! Never: the words that a definition lists itself.

use nix::sys::signal::Signal;

use super::candidate::{Answer, Candidate};
use crate::system::{env, zones as zone_files};

/// Words, each with its description.
type Words = [(&'static str, &'static str)];

/// The conditions of `--after`.
pub const ENDS: &Words = &[
    ("success", "the run succeeded, the default"),
    ("failed", "it failed, timed out, was lost or cancelled"),
    ("done", "it succeeded or failed"),
];

/// The conditions of `--mail`.
pub const MAILS: &Words = &[
    ("failed", "the run did not succeed"),
    ("output", "it wrote something, the default"),
    ("always", "after each run"),
];

pub const GATES: &Words = &[
    ("load<", "the load average over one minute"),
    ("runnable<", "runnable processes per CPU, in per cent"),
    ("psi.cpu<", "the pressure on the CPUs, in per cent"),
    ("psi.mem<", "the pressure on the memory, in per cent"),
    ("psi.io<", "the pressure on the disks, in per cent"),
    ("memfree>", "the available memory, a SIZE"),
    ("ac", "the machine runs on mains power"),
    ("online", "there is a route to other machines"),
    ("path:", "the file exists"),
    ("cmd:", "the script exits with 0"),
];

/// Returns those of the words that begin with a text.
pub fn matching(words: &Words, text: &str) -> Vec<Candidate> {
    let with_start = words.iter().filter(|(word, _)| word.starts_with(text));
    with_start.map(|(word, about)| Candidate::new(*word, *about)).collect()
}

/// Completes the last word of a list with commas, to a word that the list does not have yet.
pub fn listed(text: &str, of: impl FnOnce(&str) -> Vec<Candidate>) -> Answer {
    let start = text.rfind(',').map_or(0, |comma| comma + 1);
    let (head, last) = text.split_at(start);
    let mut candidates = of(last);
    candidates.retain(|candidate| !head.split(',').any(|word| word == candidate.value));
    Answer::words(head, candidates)
}

/// Returns the names of signals, with `SIG` if the text has it.
pub fn signals(text: &str) -> Vec<Candidate> {
    let named = |signal: Signal| {
        let full = signal.as_str();
        let short = full.strip_prefix("SIG").unwrap_or(full);
        Candidate::new(if text.starts_with("SIG") { full } else { short }, (signal as i32).to_string())
    };
    Signal::iterator().map(named).filter(|candidate| candidate.value.starts_with(text)).collect()
}

/// Returns the time zones of this machine, and `system`.
pub fn zones(text: &str) -> Vec<Candidate> {
    let system = [("system", "the zone of this machine, also when it changes")];
    let mut candidates = matching(&system, text);
    candidates.extend(zone_files::like(text).into_iter().map(|zone| Candidate::new(zone, "")));
    candidates
}

/// Returns the variables of the caller's environment.
pub fn variables(text: &str) -> Vec<Candidate> {
    let name = |variable: Vec<u8>| {
        let text = String::from_utf8(variable).ok()?;
        Some(text.split_once('=')?.0.to_owned())
    };
    let mut names: Vec<String> =
        env::environment().into_iter().filter_map(name).filter(|name| name.starts_with(text)).collect();
    names.sort();
    names.into_iter().map(|name| Candidate::new(name, "")).collect()
}
