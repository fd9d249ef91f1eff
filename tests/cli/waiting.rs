//! Owns: what `wait` waits for, and what not.
//! Never: the statuses of runs (see `running`).

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::harness::{Home, open_gate};

#[test]
fn a_wait_that_takes_too_long_gives_124_and_leaves_the_run_alone() {
    let home = Home::with_daemon();
    let gate = home.fifo("gate");
    home.add(&["-c", "read line < gate; exit 3"]);
    home.taskq(&["wait", "1", "--timeout", "10ms"]).gives(124, "", "timed out; the jobs keep running\n");
    open_gate(&gate);
    home.taskq(&["wait", "1", "--timeout", "1h"]).gives(3, "", "");
}

#[test]
fn what_has_ended_is_not_waited_for_even_without_a_daemon() {
    let mut home = Home::with_daemon();
    home.add_and_wait(&["-c", "exit 3"]);
    home.stop_daemon(nix::sys::signal::Signal::SIGTERM);
    home.taskq(&["wait", "1"]).gives(3, "", "");
    home.taskq(&["wait", "--all"]).gives(0, "", "");
}

#[test]
fn a_one_shot_job_is_waited_for_until_its_time_has_come_and_it_has_ended() {
    let home = Home::with_daemon();
    home.add(&["--name", "soon", "--at", "now + 1 second", "-c", "exit 5"]);
    home.taskq(&["wait", "soon"]).gives(5, "", "");
    assert_eq!(home.json(&["runs", "soon"])["runs"][0]["trigger"], "at");
}

#[test]
fn a_schedule_is_not_waited_for() {
    let home = Home::with_daemon();
    home.add(&["--name", "daily", "--cron", "@daily", "true"]);
    home.add(&["--at", "2031-01-01", "true"]);
    home.taskq(&["wait", "daily"]).gives(0, "", "");
    // Not named: a job whose time has not come has nothing to wait for.
    home.taskq(&["wait", "--all"]).gives(0, "", "");
}

/// Adds a job for each exit code to a paused queue, waits for them in this way, lets them go once the wait
/// has begun, and returns how it ended.
fn waited(selection: &[&str], codes: &[u8]) -> Option<i32> {
    waited_and_printed(selection, codes).0
}

/// As `waited`, and returns what the wait printed too.
fn waited_and_printed(selection: &[&str], codes: &[u8]) -> (Option<i32>, String) {
    let home = Home::with_daemon();
    home.taskq(&["queue", "set", "q", "--slots", "2"]).gives(0, "", "");
    home.taskq(&["pause", "--queue", "q"]).gives(0, "", "");
    for code in codes {
        home.add(&["--queue", "q", "--tag", "t", "-c", &format!("exit {code}")]);
    }
    let mut command = home.command(&[&["wait"], selection].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("taskq starts");
    let mut said = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("text");
    assert_eq!(line, "queue `q` is paused; resume it with `taskq resume --queue q`\n");
    home.taskq(&["resume", "--queue", "q"]).gives(0, "", "");
    let answer = child.wait_with_output().expect("it is our child");
    (answer.status.code(), String::from_utf8(answer.stdout).expect("ids are text"))
}

#[test]
fn of_all_that_is_selected_one_failure_gives_1() {
    for selection in [&["--all"][..], &["--queue", "q"], &["--tag", "t"], &["--queue", "q", "--tag", "t"]] {
        assert_eq!(waited(selection, &[0, 6, 0]), Some(1), "{selection:?}");
    }
}

#[test]
fn if_all_that_is_selected_succeeded_it_gives_0() {
    assert_eq!(waited(&["--all"], &[0, 0, 0]), Some(0));
    assert_eq!(waited(&["--tag", "t"], &[0, 0]), Some(0));
}

#[test]
fn the_one_run_that_is_selected_gives_its_own_status() {
    assert_eq!(waited(&["--queue", "q"], &[6]), Some(6));
}

#[test]
fn the_first_of_a_selection_that_ends_is_enough_for_any() {
    for selection in [&["--any", "--all"][..], &["--any", "--queue", "q"], &["--any", "--tag", "t"]] {
        assert_eq!(waited_and_printed(selection, &[6]), (Some(6), "1.1\n".to_owned()), "{selection:?}");
    }
}

#[test]
fn a_wait_without_end_says_what_would_end_it() {
    let home = Home::with_daemon();
    home.taskq(&["queue", "set", "q", "--slots", "1"]).gives(0, "", "");
    home.taskq(&["pause", "--queue", "q"]).gives(0, "", "");
    home.add(&["--hold", "--name", "a", "true"]);
    home.add(&["--hold", "--at", "2031-01-01", "true"]);
    home.add(&["--queue", "q", "true"]);
    insta::assert_snapshot!(home.transcript(&[
        &["wait", "a", "--timeout", "1ms"],
        &["wait", "2", "--timeout", "1ms"],
        &["wait", "1", "2", "--timeout", "1ms"],
        &["wait", "3.1", "--timeout", "1ms"],
        &["wait", "--all", "--timeout", "1ms"],
        &["wait", "--queue", "q", "--timeout", "1ms"],
    ]));
}

#[test]
fn a_wait_goes_on_with_the_next_daemon() {
    let mut home = Home::with_daemon();
    let gate = home.fifo("gate");
    home.add(&["-c", "read line < gate; exit 9"]);
    home.taskq(&["wait", "1", "--timeout", "10ms"]).answer();
    home.stop_daemon(nix::sys::signal::Signal::SIGKILL);
    open_gate(&gate);
    home.start_daemon(&[]);
    home.taskq(&["wait", "1"]).gives(9, "", "");
}

#[test]
fn jobs_with_a_tag_are_judged_also_if_they_ended_before_the_wait() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--tag", "w", "--name", "lint", "-c", "exit 2"]);
    home.add_and_wait(&["--tag", "w", "true"]);
    home.add(&["--tag", "w", "--cron", "@daily", "true"]);
    home.taskq(&["wait", "--tag", "w"]).gives(
        1,
        "",
        "1 of 2 runs did not succeed:\n  1.1 lint failed, exit 2\n",
    );
    home.taskq(&["run", "--wait", "lint"]).answer();
    home.taskq(&["cancel", "3"]).gives(0, "", "");
    insta::assert_snapshot!(home.transcript(&[
        &["wait", "--tag", "w"],
        &["wait", "--tag", "w", "--queue", "default"],
        &["wait", "--tag", "nobody"],
        &["wait", "1.1", "1.2", "2", "3"],
    ]));
}

#[test]
fn a_wait_names_five_runs_that_failed_and_counts_the_rest() {
    let home = Home::with_daemon();
    for _ in 0..7 {
        home.add_and_wait(&["--tag", "t", "false"]);
    }
    let said = home.taskq(&["wait", "--tag", "t"]).answer().stderr;
    assert_eq!(said.lines().next(), Some("7 of 7 runs did not succeed:"));
    assert_eq!(said.lines().count(), 7);
    assert_eq!(said.lines().last(), Some("  and 2 more; see `taskq runs --failed`"));
}

#[test]
fn a_job_that_was_cancelled_before_its_time_gives_130() {
    let home = Home::new();
    home.add(&["--at", "2031-01-01", "true"]);
    home.taskq(&["cancel", "1"]).gives(0, "", "");
    home.taskq(&["wait", "1"]).gives(130, "", "job 1 was cancelled before its time\n");
}

#[test]
fn a_wait_for_any_of_several_ends_with_the_first_and_prints_it() {
    let home = Home::with_daemon();
    home.fifo("gate");
    home.add(&["-c", "read line < gate"]);
    home.taskq(&["queue", "set", "other", "--slots", "1"]).gives(0, "", "");
    home.add(&["--queue", "other", "-c", "exit 4"]);
    home.taskq(&["wait", "--any", "1", "2"]).gives(4, "2.1\n", "");
    home.taskq(&["wait", "--any", "1.1", "2.1"]).gives(4, "2.1\n", "");
    home.add(&["--at", "2031-01-01", "true"]);
    home.taskq(&["cancel", "3"]).gives(0, "", "");
    home.taskq(&["wait", "--any", "1", "3"]).gives(130, "3\n", "job 3 was cancelled before its time\n");
    home.taskq(&["wait", "--any", "--queue", "other"]).gives(0, "", "");
}
