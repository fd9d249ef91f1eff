//! Owns: which stream what goes to, colour, and readers that go away.
//! Never: the words.

use std::fs::OpenOptions;
use std::process::Stdio;

use crate::harness::Home;

fn visible(text: &str) -> String {
    text.replace('\u{1b}', "^[")
}

const PLAIN: &str = "ID  NAME  STATE   COMMAND\n 1  a     queued  true\n";

#[test]
fn a_pipe_gets_no_colour_unless_it_is_wanted() {
    let home = Home::new();
    home.add(&["--name", "a", "true"]);
    home.taskq(&["list"]).gives(0, PLAIN, "");
    home.taskq(&["--color", "never", "list"]).env("CLICOLOR_FORCE", "1").gives(0, PLAIN, "");
    home.taskq(&["list"]).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").gives(0, PLAIN, "");
    for call in [
        home.taskq(&["--color", "always", "list"]),
        home.taskq(&["--color=always", "list"]).env("NO_COLOR", "1"),
        home.taskq(&["list"]).env("CLICOLOR_FORCE", "1"),
    ] {
        let shown = visible(&call.answer().stdout);
        assert!(shown.starts_with("^[[1mID^[[0m  ^[[1mNAME^[[0m"), "{shown}");
        let plain = shown.replace("^[[1m", "").replace("^[[0m", "");
        assert_eq!(plain, PLAIN);
    }
}

#[test]
fn errors_and_help_obey_colour_too() {
    let home = Home::new();
    let said = visible(&home.taskq(&["--color", "always", "show", "1"]).answer().stderr);
    assert!(said.starts_with("^[[1m^[[31merror:^[[0m cannot show"), "{said}");
    let said = visible(&home.taskq(&["--color=always", "sow"]).answer().stderr);
    assert!(said.starts_with("^[[1m^[[31merror:^[[0m cannot run"), "{said}");
    assert!(home.taskq(&["--color", "always", "--help"]).answer().stdout.contains('\u{1b}'));
    assert!(!home.taskq(&["--help"]).answer().stdout.contains('\u{1b}'));
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let home = Home::new();
    for _ in 0..3 {
        home.add(&["true"]);
    }
    for args in
        [&["list"][..], &["list", "--json"], &["--help"], &["next", "--cron", "* * * * *", "-n", "100000"]]
    {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = home.command(args).stdout(writer).stderr(Stdio::piped()).output().expect("taskq starts");
        assert_eq!(
            (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
            (Some(0), ""),
            "{args:?}"
        );
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    let home = Home::new();
    home.add(&["true"]);
    let full = OpenOptions::new().write(true).open("/dev/full").expect("this is Linux");
    let output = home.command(&["list"]).stdout(full).output().expect("taskq starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        (output.status.code(), said.as_str()),
        (Some(1), "error: cannot write standard output: no space left on device\n")
    );
}
