//! Owns: tests of completions that need no store.
//! Never: the names in a store (see `tests/cli/completing.rs`), shells (see `tests/cli/shells.rs`).

use std::collections::BTreeSet;

use clap::{Arg, Command, CommandFactory};

use super::answer::answer;
use super::candidate::Answer;
use super::kind::{EXCEPTIONS, FREE, kind};
use crate::cli::Cli;
use crate::domain::Timestamp;

/// Returns what the last word of a line can be, where there is no store. A blank separates words.
fn answered(line: &str) -> Answer {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    answer(&Cli::command(), &words, Timestamp::from_micros(0), |_| None)
}

/// Returns the candidates as whole words.
fn offered(line: &str) -> Vec<String> {
    match answered(line) {
        Answer::Words { head, candidates } => {
            candidates.into_iter().map(|candidate| format!("{head}{}", candidate.value)).collect()
        }
        other => panic!("{line}: {other:?}"),
    }
}

/// Calls `seen` for every argument of every verb, with the verb.
fn each_argument(verb: &Command, path: &str, seen: &mut dyn FnMut(&str, &Arg)) {
    verb.get_arguments().for_each(|argument| seen(path, argument));
    for below in verb.get_subcommands() {
        each_argument(below, format!("{path} {}", below.get_name()).trim_start(), seen);
    }
}

fn each_value(seen: &mut dyn FnMut(&str, &Arg)) {
    let mut full = Cli::command();
    full.build();
    each_argument(&full, "", &mut |verb, argument| {
        if argument.get_action().takes_values() {
            seen(verb, argument);
        }
    });
}

#[test]
fn every_value_has_a_completer_or_is_said_to_be_free_text() {
    // The shells ask with these, and nobody types them.
    const HIDDEN: [&str; 3] = ["complete", "keeper", "man"];
    each_value(&mut |verb, argument| {
        let name = argument.get_value_names().and_then(|names| names.first());
        assert!(
            HIDDEN.contains(&verb) || argument.is_trailing_var_arg_set() || kind(verb, argument).is_some(),
            "`{verb}`, `{}`: say in src/cli/complete/kind.rs what {name:?} is, or that it is free text",
            argument.get_id()
        );
    });
}

#[test]
fn what_is_said_of_values_is_about_values_that_are_there() {
    let (mut names, mut ids) = (BTreeSet::new(), BTreeSet::new());
    each_value(&mut |verb, argument| {
        names.extend(argument.get_value_names().into_iter().flatten().map(ToString::to_string));
        ids.extend([(verb.to_owned(), argument.get_id().to_string())]);
    });
    for name in FREE {
        assert!(names.contains(*name), "{name}");
    }
    for (verb, id, _) in EXCEPTIONS {
        assert!(ids.iter().any(|(of, name)| name == id && (verb.is_empty() || of == verb)), "{verb} {id}");
    }
}

#[test]
fn the_values_of_every_option_are_asked_for_without_harm() {
    let mut lines = Vec::new();
    each_value(&mut |verb, argument| {
        let options = argument.get_long().map(|long| format!("--{long}"));
        let options = options.into_iter().chain(argument.get_short().map(|short| format!("-{short}")));
        lines.extend(options.map(|option| format!("taskq {verb} {option} ").replace("  ", " ")));
        lines.push(format!("taskq {verb} "));
    });
    let full = Cli::command();
    let asked = |line: &str| {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        answer(&full, &words, Timestamp::from_micros(0), |_| None)
    };
    let texts = ["", "x", "a:b,c=d.e", "-", "--", "--x=", "=", ":", ",", "."];
    for (line, text) in lines.iter().zip(texts.iter().cycle()) {
        asked(&format!("{line}{text}"));
        // The option is given, and which others it excludes is looked at.
        asked(&format!("{line}1 --"));
    }
    for line in ["", " ", "taskq", "taskq --", "taskq -- add ", "taskq no-such-verb ", "taskq queue no-such "]
    {
        asked(line);
    }
}

#[test]
fn verbs_are_offered_with_their_aliases_and_without_the_hidden_ones() {
    let verbs = offered("taskq ");
    for verb in ["add", "list", "ls", "queue"] {
        assert!(verbs.contains(&verb.to_owned()), "{verb}");
    }
    for hidden in ["keeper", "complete", "completions", "man", "help"] {
        assert!(!verbs.contains(&hidden.to_owned()), "{hidden}");
    }
    assert_eq!(offered("taskq queue s"), ["set"]);
    assert_eq!(offered("taskq --dir /x queue s"), ["set"]);
    assert_eq!(offered("taskq --color never imp"), ["import"]);
    assert_eq!(offered("taskq help queue s"), ["set"]);
}

#[test]
fn options_are_offered_until_they_are_given_or_excluded() {
    let has = |line: &str, option: &str| offered(line).contains(&option.to_owned());
    assert_eq!(offered("taskq add --af"), ["--after-end", "--after"]);
    assert_eq!(offered("taskq add --name a --nam").len(), 0);
    assert_eq!(offered("taskq add --tag a --ta"), ["--tag"], "it can be repeated");
    assert!(has("taskq add -", "-c") && has("taskq add -", "--cron") && !has("taskq add --", "-R"));
    assert!(has("taskq add --", "--each") && !has("taskq add --array 1-3 --", "--each"));
    assert!(!has("taskq set a --", "--name"), "it is hidden there");
    assert!(has("taskq --", "--version") && has("taskq list --", "--dir"));
    assert_eq!(offered("taskq --dir /x list --di").len(), 0);
    assert_eq!(offered("taskq status --js"), ["--json"]);
    assert!(has("taskq status ", "--json"), "nothing else can stand there");
    assert_eq!(offered("taskq add --no-such=x").len(), 0);
}

#[test]
fn words_of_a_closed_set_are_offered_also_in_lists() {
    for (line, words) in [
        ("taskq list --state ru", &["running"][..]),
        ("taskq list --state queued,ru", &["queued,running"]),
        ("taskq list --state=queued,pa", &["--state=queued,paused"]),
        ("taskq list --state queued,que", &[]),
        ("taskq runs --outcome failed,timed", &["failed,timed_out"]),
        ("taskq add --overlap re", &["replace"]),
        ("taskq add --missed ", &["once", "all", "skip"]),
        ("taskq add --retry-on 1,si", &["1,signal"]),
        ("taskq add --after 12:", &["12:success", "12:failed", "12:done"]),
        ("taskq add --after=12:f", &["--after=12:failed"]),
        ("taskq add --cron @da", &["@daily"]),
        ("taskq add --calendar wee", &["weekly"]),
        ("taskq add --if path", &["path:"]),
        ("taskq add --mail root,al", &["root,always"]),
        ("taskq set a --unset ret", &["retries", "retry-delay", "retry-on"]),
        ("taskq set a --unset retries --unset retri", &[]),
        ("taskq queue set q --order f", &["fifo"]),
        ("taskq queue set q --aging ", &["never"]),
        ("taskq signal 1 HU", &["HUP"]),
        ("taskq signal 1 SIGUSR", &["SIGUSR1", "SIGUSR2"]),
        ("taskq --color al", &["always"]),
        ("taskq --color=al", &["--color=always"]),
        ("taskq export cr", &["crontab"]),
        ("taskq add --tz syst", &["system"]),
    ] {
        assert_eq!(offered(line), words, "{line}");
    }
}

#[test]
fn an_event_is_completed_part_by_part() {
    for (line, words) in [
        ("taskq add --on ", &["path:", "job:", "emit:", "stream:", "state:"][..]),
        ("taskq add --on=st", &["--on=stream:", "--on=state:"]),
        (
            "taskq add --on job,",
            &[
                "job,done",
                "job,success",
                "job,failed",
                "job,started",
                "job,overdue",
                "job,overdue=",
                "job,silent=",
                "job,count=",
                "job,within=",
                "job,consecutive",
                "job,or-after=",
                "job,absent=",
            ],
        ),
        ("taskq add --on emit,count=3,w", &["emit,count=3,within="]),
        ("taskq add --on emit,count=3,c", &["emit,count=3,consecutive"]),
        ("taskq add --on state:o", &["state:online"]),
        ("taskq add --on state,count=2:b", &["state,count=2:boot", "state,count=2:battery"]),
        ("taskq add --on job:", &["job:tag="]),
        ("taskq add --on nonsense:", &[]),
        ("taskq add --on stream:", &[]),
    ] {
        assert_eq!(offered(line), words, "{line}");
    }
}

#[test]
fn files_users_and_commands_are_left_to_the_shell() {
    let files = |head: &str| Answer::Files(head.to_owned());
    for (line, answer) in [
        ("taskq add --stdin ", files("")),
        ("taskq add --stdin=x", files("--stdin=")),
        ("taskq add --on path:/et", files("path:")),
        ("taskq add --on path,created:", files("path,created:")),
        ("taskq add --if path:x", files("path:")),
        ("taskq import crontab ", files("")),
        ("taskq --dir x", Answer::Directories(String::new())),
        ("taskq list --dir=x", Answer::Directories("--dir=".to_owned())),
        ("taskq add --user ", Answer::Users(String::new())),
        ("taskq add --mail=r", Answer::Users("--mail=".to_owned())),
        ("taskq add ", Answer::Command(2)),
        ("taskq add --name a -- ls --co", Answer::Command(5)),
        ("taskq add ls --co", Answer::Command(2)),
        ("taskq add ls --name ", Answer::Command(2)),
        ("taskq set a --tag b -- l", Answer::Command(6)),
    ] {
        assert_eq!(answered(line), answer, "{line}");
    }
}

#[test]
fn the_text_for_a_script_has_a_line_for_each_candidate() {
    assert_eq!(answered("taskq add --after 1:d").text(), "words\t1:\ndone\tit succeeded or failed\n");
    assert_eq!(answered("taskq add --stdin=x").text(), "files\t--stdin=\n");
    assert_eq!(answered("taskq add ls ").text(), "command\t2\n");
    assert_eq!(answered("taskq rename a ").text(), "");
}
