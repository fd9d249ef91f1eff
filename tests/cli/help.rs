//! Owns: the help texts, and that they promise nothing that does not work.
//! Never: how they are laid out (see the unit tests of `cli`).

use crate::harness::Home;

/// Every command that help lists, as words.
const COMMANDS: &[&str] = &[
    "",
    "add",
    "list",
    "show",
    "why",
    "runs",
    "log",
    "next",
    "events",
    "run",
    "retry",
    "cancel",
    "signal",
    "set",
    "apply",
    "emit",
    "rename",
    "remove",
    "prune",
    "pause",
    "resume",
    "wait",
    "stats",
    "timeline",
    "status",
    "top",
    "metrics",
    "queue",
    "queue list",
    "queue set",
    "executor",
    "executor list",
    "executor add",
    "executor set",
    "executor remove",
    "executor check",
    "resource",
    "resource list",
    "resource set",
    "resource remove",
    "crontab",
    "import",
    "import crontab",
    "import at",
    "import anacrontab",
    "import systemd",
    "export",
    "daemon",
    "service",
    "service install",
    "service uninstall",
    "service print",
    "key",
    "key init",
    "key status",
    "key rotate",
    "key remove",
    "backup",
    "doctor",
];

fn words<'a>(command: &'a str, more: &'a str) -> Vec<&'a str> {
    command.split(' ').filter(|word| !word.is_empty()).chain([more]).collect()
}

#[test]
fn every_command_has_a_short_and_a_long_help() {
    let home = Home::new();
    for command in COMMANDS {
        let name = if command.is_empty() { "taskq".to_owned() } else { command.replace(' ', "-") };
        for (option, length) in [("-h", "short"), ("--help", "long")] {
            let answer = home.taskq(&words(command, option)).answer();
            assert_eq!((answer.status, answer.stderr.as_str()), (0, ""), "{command} {option}");
            insta::assert_snapshot!(format!("{name}-{length}"), answer.stdout);
        }
    }
}

#[test]
fn help_lists_every_command_that_has_a_help_here_and_no_other() {
    let help = Home::new().taskq(&["-h"]).answer().stdout;
    let listed: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let known: Vec<&str> =
        COMMANDS.iter().copied().filter(|name| !name.is_empty() && !name.contains(' ')).collect();
    assert_eq!(listed, known);
}

/// The commands that a bare `taskq` proposes.
fn proposed(home: &Home) -> Vec<String> {
    let answer = home.taskq::<&str>(&[]).answer();
    assert!(answer.status == 0 && answer.stderr.is_empty(), "{answer:?}");
    let steps = answer.stdout.lines().filter(|line| line.starts_with("  taskq "));
    steps.map(|line| line.trim().split("  ").next().expect("a command").to_owned()).collect()
}

#[test]
fn a_bare_taskq_shows_what_there_is_and_the_next_three_steps() {
    let mut home = Home::new();
    let empty = home.taskq::<&str>(&[]).answer().stdout;
    let head = format!("taskq {}, store {}\n", env!("CARGO_PKG_VERSION"), home.store().display());
    assert!(empty.starts_with(&format!("{head}daemon: not running\njobs:   none\n\n")), "{empty}");
    let add = "taskq add -- COMMAND";
    assert_eq!(proposed(&home), ["taskq service install", add, "taskq help"]);
    assert!(!home.store().exists(), "it has only looked");
    home.start_daemon(&["--slots", "1"]);
    assert_eq!(proposed(&home), [add, "taskq help add", "taskq help"]);
    home.add(&["--cron", "0 0 1 1 *", "true"]);
    assert_eq!(proposed(&home), ["taskq list", "taskq next", "taskq help"]);
    home.add_and_wait(&["false"]);
    assert_eq!(proposed(&home), ["taskq runs --failed", "taskq list", "taskq help"]);
    let busy = home.taskq::<&str>(&[]).answer().stdout;
    let daemon = format!("\ndaemon: pid {}\n", home.daemon_pid());
    assert!(
        busy.contains(&daemon) && busy.contains("\njobs:   1, 0 running, 0 waiting; next fire "),
        "{busy}"
    );
}

#[test]
fn the_version_is_an_answer() {
    Home::new().taskq(&["--version"]).gives(0, concat!("taskq ", env!("CARGO_PKG_VERSION"), "\n"), "");
}

#[test]
fn help_and_version_are_commands_too() {
    let home = Home::new();
    for command in COMMANDS.iter().chain(&["ls"]) {
        let help = home.taskq(&words(command, "--help")).answer().stdout;
        let line = ["help", command].join(" ");
        home.taskq(&line.split_whitespace().collect::<Vec<_>>()).gives(0, &help, "");
    }
    let version = home.taskq(&["--version"]).answer().stdout;
    home.taskq(&["version"]).gives(0, &version, "");
}

#[test]
fn help_makes_no_store() {
    let home = Home::new();
    home.taskq(&["add", "--help"]).answer();
    assert!(!home.store().exists());
}

#[test]
fn the_examples_of_every_help_are_understood() {
    let home = Home::new();
    for command in COMMANDS {
        let help = home.taskq(&words(command, "-h")).answer().stdout;
        let examples = help.split("Examples:\n").nth(1).expect("every help has examples");
        for example in examples.lines().filter_map(|line| line.strip_prefix("  taskq ")) {
            let example = example.split("   ").next().unwrap_or_default();
            // A shell reads the line; in the place of the program stands one that fails on usage errors
            // alone.
            let script = format!(
                "taskq() {{ \"$TASKQ\" \"$@\"; test $? -ne 2 || echo \"bad: $*\"; }}\ntaskq {example}"
            );
            let is_endless = example.contains("daemon");
            if !is_endless {
                let output = assert_cmd::Command::new("/bin/sh")
                    .env_clear()
                    .env("PATH", "/usr/local/bin:/usr/bin:/bin")
                    .env("HOME", home.path())
                    .env("TASKQ", crate::harness::TASKQ)
                    // Some write files.
                    .current_dir(home.work())
                    .args(["-c", &script])
                    .write_stdin("")
                    .output()
                    .expect("sh runs");
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                assert!(!said.contains("bad:"), "{command}: {example}: {said}");
            }
        }
    }
}
