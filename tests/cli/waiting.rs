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
    let home = Home::with_daemon();
    home.taskq(&["queue", "set", "q", "--slots", "2"]).gives(0, "", "");
    home.taskq(&["pause", "--queue", "q"]).gives(0, "", "");
    for code in codes {
        home.add(&["--queue", "q", "--tag", "t", "-c", &format!("exit {code}")]);
    }
    let mut command = home.command(&[&["wait"], selection].concat());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("taskq starts");
    let mut said = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("text");
    assert_eq!(line, "queue `q` is paused; resume it with `taskq resume --queue q`\n");
    home.taskq(&["resume", "--queue", "q"]).gives(0, "", "");
    child.wait().expect("it is our child").code()
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
