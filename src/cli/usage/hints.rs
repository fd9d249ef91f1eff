//! Owns: the hint for a word that is not understood: a synonym, a typing error, or the help.
//! Never: the synonyms.
//!
//! A hint that repeats the typed arguments is a command line that can be read: it can be typed next.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Arg, Command, CommandFactory};
use strsim::damerau_levenshtein;

use super::synonyms::{ARGUMENTS, Advice, OPTIONS, VALUES, VERBS};
use crate::cli::{Cli, parse};
use crate::keeper::find_program;
use crate::schedule::parse_span;
use crate::shown;
use crate::system::env;

/// What similarity never offers: a typing error must not end jobs.
const DESTRUCTIVE: &[(&str, &str)] =
    &[("", "cancel"), ("", "remove"), ("", "prune"), ("cancel", "--all"), ("cancel", "--now")];

/// From this length on a beginning is like the whole word, and a word is like another.
const SIMILAR_LENGTH_MIN: usize = 3;

/// A command line, and how far its verbs are understood.
pub struct Typed {
    /// The words after the program.
    words: Vec<String>,
    /// The verb with all that is defined for it.
    command: Command,
    /// The words that lead to the verb: `queue`, `set`.
    verb: Vec<String>,
    /// The other words before `rest`: global options with their values.
    global: Vec<String>,
    /// The index of the first word that is neither.
    rest: usize,
}

impl Typed {
    pub fn new(args: &[OsString]) -> Self {
        let words: Vec<String> =
            args.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        let mut command = Cli::command();
        command.build();
        let mut typed = Self { command, words, verb: Vec::new(), global: Vec::new(), rest: 0 };
        while let Some(word) = typed.words.get(typed.rest) {
            let length = match word.as_str() {
                "--dir" | "--color" => 2,
                word if word.starts_with('-') && typed.command.has_subcommands() => 1,
                word => {
                    let Some(next) = typed.command.find_subcommand(word) else { break };
                    typed.verb.push(next.get_name().to_owned());
                    typed.command = next.clone();
                    typed.rest += 1;
                    continue;
                }
            };
            let end = (typed.rest + length).min(typed.words.len());
            typed.global.extend_from_slice(&typed.words[typed.rest..end]);
            typed.rest = end;
        }
        typed
    }

    /// Returns the words that lead to the verb: `queue set`.
    pub fn verb(&self) -> String {
        self.verb.join(" ")
    }

    /// Returns the verb together with the word that is not understood after it.
    pub fn verb_with_next(&self) -> String {
        self.verb.iter().chain(self.rest().first()).map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    fn rest(&self) -> &[String] {
        &self.words[self.rest..]
    }

    /// Returns the hint to read the help of the verb.
    pub fn see_help(&self) -> String {
        let words: Vec<&str> =
            ["taskq"].into_iter().chain(self.verb.iter().map(String::as_str)).chain(["--help"]).collect();
        format!("see `{}`", words.join(" "))
    }

    /// Returns the hint for a verb that there is not, which comes first in the rest.
    pub fn verb_hint(&self) -> Option<String> {
        let (word, rest) = self.rest().split_first()?;
        let similar = || {
            let verbs = self.command.get_subcommands().filter(|verb| !verb.is_hide_set());
            let names = verbs.map(|verb| verb.get_name().to_owned());
            let name = most_similar(word, names, |name| self.is_destructive(name))?;
            let target = [self.verb.as_slice(), &[name]].concat().join(" ");
            Some(did_you_mean(&self.same(&target, rest).unwrap_or_else(|| format!("taskq {target}"))))
        };
        self.advice(word, rest).or_else(similar).or_else(|| self.slots_hint()).or_else(|| self.program_hint())
    }

    /// Returns the hint for a program that is to be run as with tsp(1): `taskq make -j8`.
    fn program_hint(&self) -> Option<String> {
        let program = self.rest().first().filter(|_| self.verb.is_empty())?;
        let here = std::env::current_dir().ok()?;
        find_program(program.as_bytes(), &env::environment(), &here).ok()?;
        Some(did_you_mean(&self.same("add", self.rest())?))
    }

    /// Returns the hint for an argument that the verb does not take.
    pub fn argument_hint(&self, word: &str) -> Option<String> {
        self.slots_hint().or_else(|| {
            let table = ARGUMENTS.iter().filter(|(_, words, _)| words.is_empty() || has_word(words, word));
            self.advise(
                table.filter(|(verb, ..)| *verb == self.verb()).map(|(.., advice)| *advice),
                self.rest(),
            )
        })
    }

    /// Returns the hint for an option that the verb does not have.
    pub fn option_hint(&self, option: &str) -> Option<String> {
        let verb = self.verb();
        let lines =
            OPTIONS.iter().filter(|(of, words, _)| (of.is_empty() || *of == verb) && has_word(words, option));
        for (.., advice) in lines {
            match advice {
                Advice::Same(target) if self.has_option(target.split(' ').next().unwrap_or_default()) => {
                    return Some(did_you_mean(&self.with_value(target, option)));
                }
                Advice::Same(_) => {}
                Advice::Say(hint) => return Some(self.with_value(hint, option)),
            }
        }
        let options = self.command.get_arguments().filter(|argument| !argument.is_hide_set());
        let names = options.filter_map(Arg::get_long).map(|long| format!("--{long}"));
        let name = most_similar(option, names, |name| self.is_destructive(name))?;
        Some(did_you_mean(&name))
    }

    /// Returns the hint for a value of a closed set, of an option or of an argument in capitals.
    pub fn value_hint(&self, option: &str, value: &str, accepted: &[String]) -> Option<String> {
        let verb = self.verb();
        let is_meant =
            |of: &str, name: &str, words: &str| of == verb && name == option && has_word(words, value);
        let advice = VALUES.iter().find(|(of, name, words, _)| is_meant(of, name, words));
        let meant = match advice.map(|(.., advice)| *advice) {
            Some(Advice::Say(hint)) => return Some(hint.to_owned()),
            Some(Advice::Same(word)) => word.to_owned(),
            None => most_similar(value, accepted.iter().cloned(), |_| false)?,
        };
        Some(did_you_mean(&if option.starts_with('-') { format!("{option} {meant}") } else { meant }))
    }

    fn has_option(&self, option: &str) -> bool {
        self.command.get_arguments().any(|argument| {
            argument.get_long().is_some_and(|long| option.strip_prefix("--") == Some(long))
                || argument.get_short().is_some_and(|short| option == format!("-{short}"))
        })
    }

    fn is_destructive(&self, word: &str) -> bool {
        DESTRUCTIVE.contains(&(self.verb().as_str(), word))
    }

    fn advice(&self, word: &str, rest: &[String]) -> Option<String> {
        let verb = self.verb();
        let lines = VERBS.iter().filter(|(of, words, _)| *of == verb && has_word(words, word));
        self.advise(lines.map(|(.., advice)| *advice), rest)
    }

    /// Returns the first advice that is a command line which can be read with the typed arguments, else the
    /// first sentence, else the first command line without them.
    fn advise(&self, advice: impl Iterator<Item = Advice>, rest: &[String]) -> Option<String> {
        let (mut sentence, mut bare) = (None, None);
        for advice in advice {
            match advice {
                Advice::Same(target) => match self.same(target, rest) {
                    Some(line) => return Some(did_you_mean(&line)),
                    None => bare = bare.or_else(|| Some(did_you_mean(&format!("taskq {target}")))),
                },
                Advice::Say(hint) => {
                    let job = positionals(rest).next().map_or_else(|| "JOB".to_owned(), quoted);
                    sentence = sentence.or_else(|| Some(hint.replace("JOB", &job)));
                }
            }
        }
        sentence.or(bare)
    }

    /// Returns a command line with the typed arguments for its placeholders, if it can be read: with all of
    /// them, else with the first that is not an option.
    fn same(&self, target: &str, rest: &[String]) -> Option<String> {
        let first: Vec<String> = positionals(rest).take(1).cloned().collect();
        let fixed = target.split(' ').take_while(|word| !is_placeholder(word));
        let fixed: Vec<String> = self.global.iter().cloned().chain(fixed.map(str::to_owned)).collect();
        [rest, &first].into_iter().find_map(|rest| readable(&[fixed.as_slice(), rest].concat()))
    }

    /// Returns `taskq queue set gpu --slots 2` for `queue gpu 2`, `queue gpu --slots 2` and `queue 2`.
    fn slots_hint(&self) -> Option<String> {
        if self.verb.first().is_none_or(|verb| verb != "queue") || self.rest().is_empty() {
            return None;
        }
        let is_number = |word: &&String| word.parse::<u32>().is_ok();
        let slots = self.rest().iter().find(is_number)?;
        let queue = positionals(self.rest()).find(|word| !is_number(word)).map_or("default", String::as_str);
        let words = ["queue", "set", queue, "--slots", slots].map(str::to_owned);
        readable(&[self.global.as_slice(), &words].concat()).map(|line| did_you_mean(&line))
    }

    /// Returns the text with the value of an option for its placeholder, if the value is of that kind.
    fn with_value(&self, text: &str, option: &str) -> String {
        let Some(value) = self.value_of(option) else { return text.to_owned() };
        let shown = quoted(&value);
        match text {
            text if text.contains("SPAN") && parse_span(&value).is_ok() => text.replace("SPAN", &value),
            text if text.contains("--slots N") && value.parse::<u32>().is_ok() => {
                text.replace("--slots N", &format!("--slots {shown}"))
            }
            text if text.contains("load<N") && value.parse::<f64>().is_ok() => {
                text.replace("load<N", &format!("load<{value}"))
            }
            text => text.to_owned(),
        }
    }

    fn value_of(&self, option: &str) -> Option<String> {
        let at = self.words.iter().position(|word| word.split('=').next() == Some(option))?;
        match self.words[at].split_once('=') {
            Some((_, value)) => Some(value.to_owned()),
            None => self.words.get(at + 1).cloned(),
        }
    }
}

/// Returns the command line of these words, if it can be read or asks for help.
fn readable(words: &[String]) -> Option<String> {
    let args = ["taskq"].into_iter().chain(words.iter().map(String::as_str));
    let is_read = match parse(args.clone().map(OsString::from)) {
        Ok(_) => true,
        Err(error) => matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion),
    };
    is_read.then(|| args.map(quoted).collect::<Vec<_>>().join(" "))
}

/// Returns the name that is like a word: it begins with it, or is a slip away, or two for a long word.
fn most_similar(
    word: &str,
    names: impl Iterator<Item = String>,
    is_forbidden: impl Fn(&str) -> bool,
) -> Option<String> {
    let letters = word.trim_start_matches('-').chars().count();
    if letters < SIMILAR_LENGTH_MIN {
        return None;
    }
    let slips_max = (letters / 4).max(1);
    let slips = |name: &String| damerau_levenshtein(word, name);
    let near = names.filter(|name| slips(name) <= slips_max || name.starts_with(word));
    // A destructive name takes part: a word that is most like it has no hint at all.
    near.min_by_key(slips).filter(|name| !is_forbidden(name))
}

fn did_you_mean(line: &str) -> String {
    format!("did you mean `{line}`?")
}

fn has_word(words: &str, word: &str) -> bool {
    words.split(' ').any(|other| other == word)
}

fn is_placeholder(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_uppercase())
}

fn positionals(words: &[String]) -> impl Iterator<Item = &String> {
    words.iter().filter(|word| !word.starts_with('-'))
}

fn quoted(word: impl AsRef<str>) -> String {
    shown::quoted(word.as_ref().as_bytes())
}
