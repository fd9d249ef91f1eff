//! Owns: that the tables of synonyms fit the grammar, and what similarity offers.
//! Never: whole answers (see `tests/cli/slips.rs`).

use clap::{Command, CommandFactory};

use super::synonyms::{ARGUMENTS, Advice, OPTIONS, VALUES, VERBS};
use super::*;
use crate::cli::{Cli, parse};

/// Arguments for placeholders that are of the right kind.
const SAMPLES: &[(&str, &str)] = &[
    ("COMMAND", "true"),
    ("EXPR", "@daily"),
    ("FILE", "file"),
    ("JOB", "job"),
    ("N", "4"),
    ("QUEUE", "queue"),
    ("SHELL", "bash"),
];

fn built() -> Command {
    let mut command = Cli::command();
    command.build();
    command
}

/// Returns the verb of these words and all verbs below it.
fn verbs<'a>(tree: &'a Command, words: &str) -> Vec<&'a Command> {
    let found = words.split(' ').filter(|word| !word.is_empty()).fold(tree, |command, word| {
        command.find_subcommand(word).unwrap_or_else(|| panic!("there is no verb `{words}`"))
    });
    let mut verbs = vec![found];
    let mut next = 0;
    while let Some(command) = verbs.get(next) {
        verbs.extend(command.get_subcommands());
        next += 1;
    }
    verbs
}

fn has_option(verb: &Command, option: &str) -> bool {
    verb.get_arguments().any(|argument| {
        let long = argument.get_long_and_visible_aliases().unwrap_or_default();
        let short = argument.get_short_and_visible_aliases().unwrap_or_default();
        long.iter().any(|long| option == format!("--{long}"))
            || short.iter().any(|short| option == format!("-{short}"))
    })
}

/// Checks that a command line without `taskq` can be read once it has arguments for its placeholders.
fn is_read(line: &str) {
    let words = line.split('\'').enumerate().flat_map(|(index, part)| match index % 2 {
        0 => part.split_whitespace().collect(),
        _ => vec![part],
    });
    let words =
        words.map(|word| SAMPLES.iter().find(|(name, _)| *name == word).map_or(word, |(_, value)| value));
    match parse(["taskq"].into_iter().chain(words).map(OsString::from)) {
        Err(error) if error.use_stderr() && line != "add" => panic!("`taskq {line}`: {error}"),
        Ok(_) | Err(_) => {}
    }
}

/// Checks the commands and options in the backticks of a hint.
fn check_hint(hint: &str, verb: &Command) {
    for code in hint.split('`').skip(1).step_by(2) {
        for line in code.split(" && ") {
            match line.strip_prefix("taskq ") {
                Some(line) => is_read(line),
                None => {
                    let option = line.split(' ').next().unwrap_or_default();
                    assert!(!option.starts_with('-') || has_option(verb, option), "{hint}: {option}");
                }
            }
        }
    }
}

#[test]
fn a_verb_that_has_a_synonym_is_there_and_the_synonym_is_not() {
    let tree = built();
    for (above, words, advice) in VERBS {
        let above = verbs(&tree, above)[0];
        for word in words.split(' ') {
            assert!(above.find_subcommand(word).is_none(), "`{word}` is a verb: take it out of the table");
        }
        match advice {
            Advice::Same(line) => is_read(line),
            Advice::Say(hint) => check_hint(hint, verbs(&tree, "add")[0]),
        }
    }
    for (verb, _, advice) in ARGUMENTS {
        assert!(!verbs(&tree, verb).is_empty());
        match advice {
            Advice::Same(line) => is_read(line),
            Advice::Say(hint) => check_hint(hint, &tree),
        }
    }
}

#[test]
fn an_option_that_has_a_synonym_is_there_and_the_synonym_is_not() {
    let tree = built();
    for (of, words, advice) in OPTIONS {
        for word in words.split(' ') {
            let mut lacking = verbs(&tree, of).into_iter().filter(|verb| !has_option(verb, word));
            let is_of_use = match advice {
                Advice::Same(target) => {
                    let option = target.split(' ').next().unwrap_or_default();
                    lacking.any(|verb| has_option(verb, option))
                }
                Advice::Say(hint) => {
                    check_hint(hint, verbs(&tree, of)[0]);
                    lacking.next().is_some()
                }
            };
            assert!(is_of_use, "`{word}` of `{of}` has no use: take it out of the table");
        }
    }
}

#[test]
fn a_value_that_has_a_synonym_is_there_and_the_synonym_is_not() {
    let tree = built();
    for (of, name, words, advice) in VALUES {
        let verb = verbs(&tree, of)[0];
        let is_named = |argument: &&clap::Arg| match name.strip_prefix("--") {
            Some(long) => argument.get_long() == Some(long),
            None => argument.get_value_names().is_some_and(|names| names[0] == *name),
        };
        let argument = verb.get_arguments().find(is_named).unwrap_or_else(|| panic!("`{name}` of `{of}`"));
        let values = argument.get_possible_values();
        let is_value = |word: &str| values.iter().any(|value| value.matches(word, false));
        assert!(words.split(' ').all(|word| !is_value(word)), "{words}");
        match advice {
            Advice::Same(word) => assert!(is_value(word), "{word}"),
            Advice::Say(hint) => check_hint(hint, verb),
        }
    }
}

fn hint(words: &str) -> String {
    let args: Vec<OsString> = ["taskq"].into_iter().chain(words.split(' ')).map(OsString::from).collect();
    let error = parse(args.clone()).expect_err(words);
    translate(&args, &error).hint.unwrap_or_default()
}

#[test]
fn a_typing_error_is_answered_with_what_is_a_slip_away() {
    for (typed, expected) in [
        ("lsit", "did you mean `taskq list`?"),
        ("sow 1", "did you mean `taskq show 1`?"),
        ("logs 3", "did you mean `taskq log 3`?"),
        ("crontb -l", "did you mean `taskq crontab -l`?"),
        ("deamon", "did you mean `taskq daemon`?"),
        ("exp json", "did you mean `taskq export json`?"),
        ("queue sett gpu --slots 2", "did you mean `taskq queue set gpu --slots 2`?"),
        ("add --nam x true", "did you mean `--name`?"),
        ("add --prio 5 true", "did you mean `--priority`?"),
        ("add --overlap skpi true", "did you mean `--overlap skip`?"),
        ("runs --outcome missed,canceled", "did you mean `--outcome cancelled`?"),
        ("export sytemd", "did you mean `systemd`?"),
    ] {
        assert_eq!(hint(typed), expected, "{typed}");
    }
}

#[test]
fn what_is_not_close_is_not_offered_and_nothing_that_destroys() {
    for (typed, verb) in [
        ("frobnicate", ""),
        ("x", ""),
        ("cancle 3", ""),
        ("cance", ""),
        ("mna", ""),
        ("keepr", ""),
        ("cancel --al", "cancel "),
        ("cancel --nwo 3", "cancel "),
        ("add --frobnicate true", "add "),
        ("add --overlap frobnicate true", "add "),
    ] {
        assert_eq!(hint(typed), format!("see `taskq {verb}--help`"), "{typed}");
    }
}

#[test]
fn a_hint_repeats_what_was_typed_if_that_can_be_read() {
    for (typed, expected) in [
        ("rm 3 4", "did you mean `taskq cancel 3 4`?"),
        ("--dir /x rm 3", "did you mean `taskq --dir /x cancel 3`?"),
        ("kill -9 3", "did you mean `taskq cancel 3`?"),
        ("rm", "did you mean `taskq cancel JOB`?"),
        ("tail -f backup", "did you mean `taskq log --tail 10 -f backup`?"),
        ("submit ./train.sh --epochs 3", "did you mean `taskq add ./train.sh --epochs 3`?"),
        ("queue pause gpu", "did you mean `taskq pause --queue gpu`?"),
        ("parallel four", "did you mean `taskq queue set default --slots N`?"),
        ("status 3 --json", "did you mean `taskq show 3 --json`?"),
        ("daemon status", "did you mean `taskq status`?"),
        ("resource rm gpu", "did you mean `taskq resource remove gpu`?"),
        ("queue set gpu 2", "did you mean `taskq queue set gpu --slots 2`?"),
        ("batch make -j8", "did you mean `taskq add --if 'load<1.5' make -j8`?"),
        ("batch", "did you mean `taskq add --if 'load<1.5'`?"),
        ("add --load=0.8 true", "did you mean `--if 'load<0.8'`?"),
        ("add --max-load low true", "did you mean `--if 'load<N'`?"),
        ("set 3 --only-if ac", "did you mean `--if`?"),
        ("add --when ac true", "`--at TIME` says at which time, `--if GATE` under which condition"),
        ("add --unless ac true", "did you mean `--if 'cmd:! COMMAND'`?"),
        ("add --in=20m true", "did you mean `--at 'in 20m'`?"),
        ("add --delay later true", "did you mean `--at 'in SPAN'`?"),
        ("add --on-calendar daily true", "did you mean `--calendar`?"),
        ("runs --state failed", "did you mean `--outcome`?"),
        ("list --status done", "did you mean `--state`?"),
    ] {
        assert_eq!(hint(typed), expected, "{typed}");
    }
}
