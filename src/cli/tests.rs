//! Owns: tests of the command line's grammar and of its help.
//! Never: what the verbs do.

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::commands::add::AddArgs;
use super::job::values::MissedArg;
use super::usage::color_of;
use super::*;
use crate::domain::{MissedMode, Overlap};

fn read(words: &[&str]) -> Result<Command, ErrorKind> {
    let args = ["taskq"].iter().chain(words).map(OsString::from);
    parse(args).map(|cli| cli.command.expect("a verb")).map_err(|error| error.kind())
}

fn add(words: &[&str]) -> AddArgs {
    let words: Vec<&str> = ["add"].iter().chain(words).copied().collect();
    match read(&words) {
        Ok(Command::Add(args)) => *args,
        other => panic!("{words:?} is read as {other:?}"),
    }
}

fn built() -> clap::Command {
    let mut command = Cli::command();
    command.build();
    command
}

/// Calls `seen` for every command of the tree.
fn each_command(command: &clap::Command, seen: &mut dyn FnMut(&clap::Command)) {
    seen(command);
    for verb in command.get_subcommands() {
        each_command(verb, seen);
    }
}

#[test]
fn every_verb_has_words_for_its_errors() {
    each_command(&built(), &mut |command| {
        let name = command.get_bin_name().expect("it is built");
        if let Some(verb) = name.strip_prefix("taskq ") {
            assert!(commands::what(verb).is_some(), "{verb}");
        }
    });
}

#[test]
fn the_definitions_are_sound() {
    Cli::command().debug_assert();
    built().debug_assert();
}

#[test]
fn what_follows_the_command_belongs_to_it() {
    for words in [&["--", "ls", "-l", "--at", "--json"][..], &["ls", "-l", "--at", "--json"]] {
        let args = add(words);
        assert_eq!(args.options.command, ["ls", "-l", "--at", "--json"]);
        assert!(args.options.at.is_empty() && !args.json);
    }
    assert_eq!(add(&["sh", "--", "-c", "x"]).options.command, ["sh", "--", "-c", "x"]);
    assert_eq!(add(&["--name", "a", "--", "-x", "--"]).options.command, ["-x", "--"]);
}

#[test]
fn options_before_the_command_are_ours() {
    let args = add(&["--at", "noon", "--at", "9am", "--cron", "* * * * *", "--json", "true"]);
    assert_eq!((args.options.at.len(), args.options.cron.len(), args.json), (2, 1, true));
    assert_eq!(args.options.command, ["true"]);
    assert_eq!(read(&["add", "--frobnicate", "true"]).map(drop), Err(ErrorKind::UnknownArgument));
}

#[test]
fn a_script_takes_the_place_of_the_command() {
    let args = add(&["-c", "x; y"]);
    assert_eq!(args.options.script, Some("x; y".into()));
    assert!(args.options.command.is_empty());
    assert_eq!(read(&["add", "-c", "x", "y"]).map(drop), Err(ErrorKind::ArgumentConflict));
    assert!(add(&[]).options.script.is_none());
}

#[test]
fn arguments_need_not_be_text() {
    use std::os::unix::ffi::OsStringExt;
    let odd = OsString::from_vec(vec![b'a', 0xff]);
    let args = ["taskq", "add", "--env"].map(OsString::from).into_iter().chain([odd.clone(), odd.clone()]);
    match parse(args).expect("valid").command.expect("a verb") {
        Command::Add(args) => {
            assert_eq!((args.options.env, args.options.command), (vec![odd.clone()], vec![odd]));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_priority_may_be_negative_within_its_range() {
    assert_eq!(add(&["--priority", "-5", "true"]).options.priority, Some(-5));
    assert_eq!(add(&["--priority=-100", "true"]).options.priority, Some(-100));
    for bad in ["-101", "101", "x", ""] {
        assert_eq!(
            read(&["add", "--priority", bad, "true"]).map(drop),
            Err(ErrorKind::ValueValidation),
            "{bad}"
        );
    }
}

#[test]
fn policies_are_closed_words() {
    assert_eq!(add(&["--overlap", "replace", "true"]).options.overlap, Some(Overlap::Replace));
    assert_eq!(read(&["add", "--overlap", "stop", "true"]).map(drop), Err(ErrorKind::InvalidValue));
    let missed = |text: &str| text.parse::<MissedArg>();
    assert_eq!(missed("all"), Ok(MissedArg { mode: MissedMode::All, within: None }));
    assert_eq!(
        missed("once,1h 5m"),
        Ok(MissedArg { mode: MissedMode::Once, within: Some("1h 5m".to_owned()) })
    );
    for bad in ["", "never", "once,", ",1h"] {
        assert!(missed(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_variable_has_a_name() {
    assert_eq!(add(&["--env", "A=", "--env", "B", "true"]).options.env, ["A=", "B"]);
    for bad in ["", "=x"] {
        assert_eq!(read(&["add", "--env", bad, "true"]).map(drop), Err(ErrorKind::ValueValidation), "{bad}");
    }
}

#[test]
fn from_goes_with_no_option_of_a_job() {
    assert!(add(&["--from", "-", "--json"]).json);
    let built = built();
    let add = built.find_subcommand("add").expect("it is a verb");
    let free = ["from", "replace", "quiet", "json", "dir", "color", "help"];
    for arg in add.get_arguments().filter(|arg| !free.contains(&arg.get_id().as_str())) {
        let conflicts = add
            .get_arg_conflicts_with(add.get_arguments().find(|a| a.get_id() == "from").expect("it is one"));
        assert!(conflicts.iter().any(|other| other.get_id() == arg.get_id()), "--from and {arg}");
    }
}

#[test]
fn the_store_and_the_colour_may_be_named_before_and_after_the_verb() {
    for words in [["taskq", "--dir", "/x", "list"], ["taskq", "list", "--dir", "/x"]] {
        assert_eq!(parse(words.map(OsString::from)).expect("valid").dir, Some("/x".into()));
    }
    let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
    assert_eq!(color_of(&words("taskq --color=never lst")), Color::Never);
    assert_eq!(color_of(&words("taskq lst --color always")), Color::Always);
    assert_eq!(color_of(&words("taskq add -- ls --color always")), Color::Auto);
    assert_eq!(color_of(&words("taskq --color mauve")), Color::Auto);
}

#[test]
fn a_selection_is_needed_and_is_of_one_sort() {
    for verb in ["cancel", "wait"] {
        assert!(read(&[verb, "1", "backup.3"]).is_ok());
        assert!(read(&[verb, "--queue", "q", "--tag", "t"]).is_ok());
        assert_eq!(read(&[verb]).map(drop), Err(ErrorKind::MissingRequiredArgument));
        assert_eq!(read(&[verb, "1", "--all"]).map(drop), Err(ErrorKind::ArgumentConflict));
        assert_eq!(read(&[verb, "--all", "--tag", "t"]).map(drop), Err(ErrorKind::ArgumentConflict));
    }
    for verb in ["pause", "resume"] {
        assert!(read(&[verb, "1", "2"]).is_ok());
        assert_eq!(read(&[verb]).map(drop), Err(ErrorKind::MissingRequiredArgument));
        assert_eq!(read(&[verb, "1", "--queue", "q"]).map(drop), Err(ErrorKind::ArgumentConflict));
    }
}

#[test]
fn next_is_of_jobs_or_of_one_trigger() {
    assert!(read(&["next", "1", "-n", "3"]).is_ok());
    assert!(read(&["next", "--at", "noon", "--tz", "UTC", "--from", "2026-01-01"]).is_ok());
    assert_eq!(read(&["next", "1", "--at", "noon"]).map(drop), Err(ErrorKind::ArgumentConflict));
    assert_eq!(read(&["next", "--at", "noon", "--every", "5m"]).map(drop), Err(ErrorKind::ArgumentConflict));
    assert_eq!(read(&["next", "--tz", "UTC"]).map(drop), Err(ErrorKind::MissingRequiredArgument));
}

#[test]
fn a_queue_is_listed_without_a_word_and_json_goes_anywhere() {
    for words in [
        &["queue", "--json"][..],
        &["queue", "list", "--json"],
        &["queue", "set", "q", "--slots", "2", "--json"],
    ] {
        match read(words) {
            Ok(Command::Queue(args)) => assert!(args.json, "{words:?}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(read(&["queue", "set", "q", "--slots", "0"]).map(drop), Err(ErrorKind::ValueValidation));
}

#[test]
fn ls_is_list() {
    assert!(matches!(read(&["ls", "-a"]), Ok(Command::List(args)) if args.all));
}

#[test]
fn help_fits_into_80_columns() {
    each_command(&built(), &mut |command| {
        let mut command = command.clone();
        for help in [command.render_help().to_string(), command.render_long_help().to_string()] {
            for line in help.lines() {
                assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
            }
        }
    });
}

#[test]
fn every_verb_and_option_has_a_first_line_without_a_period() {
    each_command(&built(), &mut |command| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(
            !about.is_empty() && !about.ends_with('.') && !about.contains('\n'),
            "{}: {about}",
            command.get_name()
        );
        for arg in command.get_arguments() {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                !help.is_empty() && !help.ends_with('.') && !help.contains('\n'),
                "{} {arg}",
                command.get_name()
            );
        }
    });
}

#[test]
fn every_verb_shows_two_examples_that_can_be_read() {
    each_command(&built(), &mut |command| {
        if command.is_hide_set() {
            return;
        }
        let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples = text.lines().filter(|line| line.starts_with("  ")).count();
        assert!(examples >= 2, "{}", command.get_name());
    });
}

#[test]
fn the_list_of_verbs_says_what_the_verbs_say() {
    fn compare(lazy: &clap::Command, built: &clap::Command) {
        for verb in lazy.get_subcommands() {
            let built = built.find_subcommand(verb.get_name()).expect("the same tree");
            let (listed, own) =
                (verb.get_about().map(ToString::to_string), built.get_about().map(ToString::to_string));
            assert_eq!(listed, own, "{}", verb.get_name());
        }
    }
    compare(&Cli::command(), &built());
    let queue = <queue::QueueCommand as Subcommand>::augment_subcommands(clap::Command::new("queue"));
    compare(&queue, built().find_subcommand("queue").expect("it is a verb"));
}
