//! Owns: how runs end, and that `wait`, `run --wait` and `log --follow` end the same way.
//! Never: what is printed of them in tables (see `looking`).

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Home, open_gate};

/// Adds a job, and checks the status and the words of all three ways to wait for a run of it.
fn ends(home: &Home, args: &[&str], status: i32, words: &str) {
    let id = home.add(args);
    let said = |run: u32| if words.is_empty() { String::new() } else { format!("run {id}.{run}: {words}\n") };
    home.taskq(&["wait", &id]).gives(status, "", &said(1));
    home.taskq(&["run", &id, "--wait"]).gives(status, &format!("{id}.2\n"), &said(2));
    home.taskq(&["log", "--follow", &format!("{id}.2")]).gives(status, "", &said(2));
    home.taskq(&["run", &id, "--follow"]).gives(status, "", &format!("{id}.3\n{}", said(3)));
}

#[test]
fn a_run_passes_its_exit_code_through() {
    let home = Home::with_daemon();
    ends(&home, &["true"], 0, "");
    ends(&home, &["-c", "exit 7"], 7, "");
    ends(&home, &["-c", "exit 255"], 255, "");
}

#[test]
fn a_run_that_a_signal_ended_gives_128_and_the_signal() {
    let home = Home::with_daemon();
    ends(&home, &["-c", "kill -TERM $$"], 128 + 15, "failed, SIGTERM");
    ends(&home, &["-c", "kill -KILL $$"], 128 + 9, "failed, SIGKILL");
}

#[test]
fn a_run_that_took_too_long_gives_124() {
    ends(&Home::with_daemon(), &["--timeout", "10ms", "sleep", "600"], 124, "timed_out");
}

#[test]
fn a_command_that_there_is_not_is_the_runs_outcome_127() {
    let home = Home::with_daemon();
    ends(&home, &["no-such-program"], 127, "spawn_failed, `no-such-program`: command not found");
    ends(&home, &["./nothing"], 127, "spawn_failed, `./nothing`: no such file or directory");
    assert_eq!(home.json(&["runs", "1"])["runs"][0]["outcome"], "spawn_failed");
}

#[test]
fn a_file_that_is_not_executable_is_the_runs_outcome_126() {
    let home = Home::with_daemon();
    let file = home.work().join("data");
    fs::write(&file, "x").expect("writable");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("it is ours");
    ends(&home, &["./data"], 126, "spawn_failed, `./data`: permission denied");
}

#[test]
fn a_directory_that_is_gone_is_the_runs_outcome_125() {
    let home = Home::with_daemon();
    let dir = home.work().join("gone");
    fs::create_dir(&dir).expect("the name is new");
    let id = home.add(&["--cwd", "gone", "--hold", "true"]);
    fs::remove_dir(&dir).expect("it is empty");
    home.taskq(&["resume", &id]).gives(0, "", "");
    let said = "run 1.1: spawn_failed, working directory `[home]/work/gone`: no such file or directory\n";
    home.taskq(&["wait", &id]).gives(125, "", said);
    home.taskq(&["log", &id]).gives(0, "", said);
}

#[test]
fn a_cancelled_run_gives_130() {
    let home = Home::with_daemon();
    let gate = home.fifo("gate");
    home.add(&["-c", "read line < gate; exec sleep 600"]);
    open_gate(&gate);
    home.taskq(&["cancel", "1"]).gives(0, "", "");
    home.taskq(&["wait", "1"]).gives(130, "", "run 1.1: cancelled\n");
    home.taskq(&["log", "-f", "1"]).gives(130, "", "run 1.1: cancelled\n");
}

#[test]
fn of_several_runs_one_failure_gives_1() {
    let home = Home::with_daemon();
    home.add(&["--tag", "t", "true"]);
    home.add(&["--tag", "t", "-c", "exit 7"]);
    home.taskq(&["wait", "1", "2"]).gives(1, "", "1 of 2 runs did not succeed:\n  2.1 failed, exit 7\n");
    home.taskq(&["run", "1", "1", "--wait"]).gives(0, "1.2\n1.3\n", "");
    home.taskq(&["run", "1", "2", "--wait"]).gives(
        1,
        "1.4\n2.2\n",
        "1 of 2 runs did not succeed:\n  2.2 failed, exit 7\n",
    );
}

#[test]
fn run_shows_the_output_as_it_comes() {
    let home = Home::with_daemon();
    let id = home.add_and_wait(&["-c", "echo one; echo two >&2; printf three; exit 4"]);
    home.taskq(&["run", "--follow", &id]).gives(4, "one\ntwo\nthree", "1.2\n");
}

#[test]
fn run_fires_a_job_besides_its_schedule() {
    let home = Home::with_daemon();
    home.add(&["--name", "later", "--at", "2031-01-01", "true"]);
    home.taskq(&["run", "later", "--wait"]).gives(0, "1.1\n", "");
    let job = home.json(&["show", "later"])["job"].clone();
    assert_eq!(
        (job["state"].as_str(), job["next_fire_at"].as_str()),
        (Some("scheduled"), Some("2030-12-31T23:00:00Z"))
    );
}

#[test]
fn what_must_wait_for_the_daemon_says_so_and_queues_nothing() {
    let home = Home::new();
    home.add(&["--name", "a", "true"]);
    insta::assert_snapshot!(home.transcript(&[
        &["run", "a", "--wait"],
        &["run", "a", "--follow"],
        &["wait", "a"],
        &["wait", "a.1"],
        &["wait", "--all"],
        &["wait", "--all", "--timeout", "1s"],
        &["log", "-f", "a"],
    ]));
    assert_eq!(home.json(&["runs"])["runs"].as_array().map(Vec::len), Some(1));
    home.taskq(&["run", "a"]).gives(0, "1.2\n", "");
}

#[test]
fn the_json_of_a_run_has_all_that_is_known() {
    let home = Home::with_daemon();
    home.add(&["--name", "a", "-c", "echo hello; exit 3"]);
    insta::assert_snapshot!(home.transcript(&[
        &["wait", "a", "--json"],
        &["run", "a", "--wait", "--json"],
        &["runs", "--json", "-n", "1"],
    ]));
}
