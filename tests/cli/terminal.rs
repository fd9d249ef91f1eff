//! Owns: what a terminal gets beyond a pipe: a word on the side, and lines that fit.
//! Never: colours (see `streams`).
//!
//! script(1) provides the terminal.

use std::process::Command;

use crate::filter::filtered;
use crate::harness::{Home, TASKQ};
use crate::shared::has;

/// Runs a command line on a terminal of so many columns, and returns what it shows, without colour and with
/// what varies filtered.
fn on_terminal(home: &Home, columns: u32, line: &str) -> Option<String> {
    seen_on_terminal(home, columns, line).map(|shown| filtered(&shown))
}

/// Does the same, and filters nothing.
fn seen_on_terminal(home: &Home, columns: u32, line: &str) -> Option<String> {
    if !has("script", Command::new("script").arg("--version").output().is_ok()) {
        return None;
    }
    let line = format!("stty rows 24 cols {columns}; exec {TASKQ} --color never {line}");
    let output = home.shell("script").args(["-qec", &line, "/dev/null"]).output().expect("script starts");
    Some(String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n"))
}

/// Checks what a terminal shows.
macro_rules! shows {
    ($home:expr, $columns:expr, $line:expr, $wanted:expr) => {
        if let Some(shown) = on_terminal($home, $columns, $line) {
            assert_eq!(shown, $wanted, "{}", $line);
        }
    };
}

#[test]
fn add_says_when_the_job_will_run_and_how_to_start_a_daemon() {
    let mut home = Home::new();
    let none = "\nnote: no daemon is running: start one with `taskq service install`, or `taskq daemon &`\n";
    shows!(&home, 200, "add true", format!("1\njob 1 runs as soon as a slot is free{none}"));
    shows!(&home, 200, "add --hold true", format!("2\njob 2 held: resume it with `taskq resume 2`{none}"));
    shows!(&home, 200, "add --cron @reboot true", format!("3\njob 3 runs at the next boot{none}"));
    shows!(&home, 200, "run 3", none.replace("\nnote: ", "3.1\n"));
    home.start_daemon(&[]);
    shows!(&home, 200, "add --at @4000000000 --json true | tail -c 3", "}}\n");
    if let Some(shown) = on_terminal(&home, 200, "add --at @4000000000 true") {
        assert!(shown.starts_with("5\njob 5 runs at [time], in "), "{shown}");
    }
}

#[test]
fn an_empty_log_points_to_the_standard_error_that_is_apart() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--split-output", "-c", "echo error >&2"]);
    let note = "note: run 1.1 wrote to standard error alone; see `taskq log 1.1 --stderr`\n";
    shows!(&home, 200, "log 1", note);
    shows!(&home, 200, "log -f 1", note);
    shows!(&home, 200, "log 1 --stderr", "error\n");
    home.taskq(&["log", "1"]).gives(0, "", "");
    home.add_and_wait(&["--split-output", "-c", ":"]);
    shows!(&home, 200, "log 2", "");
}

#[test]
fn a_terminal_without_a_script_is_asked_for_a_command() {
    let home = Home::new();
    let said = "error: cannot add job: there is no command\n\
                hint: give one: `taskq add -- COMMAND [ARG]...`, `-c SCRIPT`, \
                or a script on standard input\n";
    shows!(&home, 200, "add", said);
}

#[test]
fn an_empty_answer_says_why() {
    let mut home = Home::new();
    shows!(&home, 80, "list", "no jobs; add one with `taskq add`\n");
    shows!(&home, 80, "runs", "no runs\n");
    shows!(&home, 80, "next", "no coming fires\n");
    shows!(&home, 80, "list | cat", "");
    shows!(&home, 80, "list 2>&1 | cat", "");
    home.start_daemon(&[]);
    home.add_and_wait(&["true"]);
    shows!(&home, 80, "list", "no jobs that are not done; see `taskq list -a`\n");
    shows!(&home, 80, "list --failed", "no job matches\n");
    shows!(&home, 80, "runs --failed", "no run matches\n");
}

#[test]
fn answers_fit_into_a_terminal_of_80_columns() {
    let home = Home::new();
    let name = "nightly-backup-of-the-file-server-in-the-basement-to-tape-libra";
    let words = ["--exclude", "/home/*/.cache", "/home/", "backup@nas.example.org:/volume1/backup/home/"];
    let job = ["--name", name, "--tz", "Asia/Tokyo", "--cron", "15 3 * * mon-fri", "rsync", "-a"];
    home.add(&[&job[..], &words].concat());
    home.taskq(&["run", name]).answer();
    for line in ["list", "runs", "next", "next -n 3", "status", "show 1"] {
        let Some(shown) = seen_on_terminal(&home, 80, line) else { return };
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{line}: {shown}");
        assert!(line == "status" || shown.contains("nightly-"), "{line}: {shown}");
    }
    if let Some(shown) = on_terminal(&home, 80, "show 1") {
        let continued = "\nCommand:   rsync -a --exclude '/home/*/.cache' /home/\n           \
                         backup@nas.example.org:/volume1/backup/home/\n";
        assert!(shown.contains(continued), "{shown}");
    }
    if let Some(shown) = on_terminal(&home, 80, "list --full") {
        assert!(shown.contains(name) && shown.contains("[time] Asia/Tokyo"), "{shown}");
    }
}

#[test]
fn an_act_says_what_it_did_and_what_continues() {
    let home = Home::with_daemon();
    home.fifo("gate");
    shows!(&home, 100, "queue set q --slots 2", "made queue `q` with 2 slots\n");
    shows!(&home, 100, "queue set q --slots 1", "queue `q` has 1 slot now, 2 before\n");
    home.add(&["--queue", "q", "--name", "a", "cat", "gate"]);
    home.taskq(&["wait", "a", "--timeout", "10ms"]).answer();
    home.add(&["--queue", "q", "true"]);
    home.add(&["--cron", "@daily", "true"]);
    shows!(&home, 100, "pause --queue q", "paused queue `q`; 1 running run continues\n");
    shows!(&home, 100, "resume --queue q", "resumed queue `q`\n");
    shows!(&home, 100, "pause a 2", "paused 2 jobs; 1 running run continues\n");
    shows!(&home, 100, "resume 2", "resumed job 2\n");
    shows!(&home, 100, "rename a b", "job 1 is `b` now; it was `a`\n");
    shows!(&home, 100, "remove 3", "removed job 3 with 0 runs\n");
    home.add(&["--cron", "@daily", "true"]);
    shows!(&home, 100, "cancel 2.1", "cancelled 1 waiting run\n");
    shows!(&home, 100, "cancel --wait 4 b", "cancelled 2 jobs; run 1.1 is being stopped\n");
    assert_eq!(home.json(&["show", "1"])["job"]["state"], "done");
}

#[test]
fn recurring_jobs_are_not_cancelled_all_at_once_without_a_question() {
    let home = Home::new();
    home.add(&["--cron", "@daily", "true"]);
    home.add(&["--at", "2031-01-01", "true"]);
    shows!(&home, 100, "cancel --all", "cancel 1 recurring job for good? (y/n) ");
    assert_eq!(home.json(&["list"])["jobs"].as_array().map(Vec::len), Some(2), "no answer means no");
    shows!(&home, 100, "cancel --all --yes", "cancelled 2 jobs\n");
    home.add(&["--cron", "@daily", "true"]);
    home.taskq(&["cancel", "--all"]).gives(0, "", "");
}

#[test]
fn a_live_view_needs_a_terminal_that_can_move_its_cursor() {
    let home = Home::new();
    let hint = "hint: see `taskq status`, `taskq next` and `taskq runs`\n";
    let refused = |cause: &str| format!("error: cannot show live view: {cause}\n{hint}");
    home.taskq(&["top"]).gives(1, "", &refused("standard output is not a terminal"));
    shows!(&home, 200, "top </dev/null", refused("standard input is not a terminal"));
    let cause = "the terminal cannot move its cursor, by its type in `TERM`";
    shows!(&home, 200, "top", refused(cause));
}
