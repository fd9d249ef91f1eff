//! Owns: what `remove` and `prune` take away, and what they refuse.
//! Never: the daily pass of the daemon (see the simulation).

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::harness::{Home, open_gate};

#[test]
fn a_removed_job_is_gone_with_its_history_and_its_id_is_never_used_again() {
    let home = Home::with_daemon();
    let long = "head -c 70000 /dev/zero";
    home.add_and_wait(&["--name", "a", "--tag", "t", "-c", "echo kept in the store"]);
    home.add_and_wait(&["--name", "b", "--env", "SECRET=1", "-c", long]);
    home.add(&["--cron", "@daily", "true"]);
    assert!(home.store().join("log/2.1").exists());
    let removed = home.json(&["remove", "b", "2", "3"]);
    let of_b = serde_json::json!({"id": 2, "name": "b", "runs": 1});
    assert_eq!(removed["jobs"], serde_json::json!([of_b, {"id": 3, "name": null, "runs": 0}]));
    assert!(!home.store().join("log/2.1").exists());
    home.taskq(&["runs"]).answer();
    assert_eq!(home.json(&["list", "--all"])["jobs"].as_array().map(Vec::len), Some(1));
    home.taskq(&["log", "a"]).gives(0, "kept in the store\n", "");
    assert_eq!(home.add_and_wait(&["--name", "b", "true"]), "4");
    home.taskq(&["wait", "b"]).gives(0, "", "");
}

#[test]
fn what_runs_or_is_a_line_of_a_stored_crontab_is_not_removed() {
    let home = Home::with_daemon();
    let gate = home.fifo("gate");
    home.add(&["--name", "runs", "-c", "read line < gate; exec sleep 600"]);
    open_gate(&gate);
    home.add_and_wait(&["--name", "over", "true"]);
    home.taskq(&["crontab", "-"]).stdin("15 3 * * * true\n").gives(0, "", "");
    insta::assert_snapshot!(home.transcript(&[
        &["remove", "over", "runs"],
        &["remove", "runs.1"],
        &["remove", "3"],
        &["remove", "none"],
        &["remove"],
    ]));
    home.taskq(&["cancel", "--wait", "runs"]).gives(0, "", "");
    home.taskq(&["remove", "over", "runs"]).gives(0, "", "");
}

#[test]
fn a_wait_for_a_job_ends_when_the_job_is_removed() {
    let home = Home::with_daemon();
    home.add(&["--hold", "--at", "2031-01-01", "true"]);
    let mut wait = home.command(&["wait", "1"]).stderr(Stdio::piped()).spawn().expect("taskq starts");
    let mut line = String::new();
    let mut said = BufReader::new(wait.stderr.take().expect("it is piped"));
    said.read_line(&mut line).expect("messages are text");
    assert_eq!(line, "job 1 is paused; resume it with `taskq resume 1`\n");
    home.taskq(&["remove", "1"]).gives(0, "", "");
    assert_eq!(wait.wait().expect("it is our child").code(), Some(0));
}

#[test]
fn an_output_file_without_a_run_goes_at_the_next_start() {
    let mut home = Home::with_daemon();
    home.add_and_wait(&["-c", "head -c 70000 /dev/zero"]);
    home.stop_daemon(nix::sys::signal::Signal::SIGTERM);
    let log = home.store().join("log");
    fs::write(log.join("7.1"), "left by a client that was killed").expect("the directory is there");
    home.start_daemon(&[]);
    assert!(log.join("1.1").exists() && !log.join("7.1").exists());
}

#[test]
fn prune_forgets_all_but_the_latest_runs_and_the_last_failure_of_a_living_job() {
    let home = Home::with_daemon();
    home.add(&["--name", "a", "--cron", "@yearly", "-c", "test -e ok || exit 1; head -c 70000 /dev/zero"]);
    home.taskq(&["run", "a", "--wait"]).answer();
    home.taskq(&["run", "a", "--wait"]).answer();
    fs::write(home.work().join("ok"), "").expect("the directory is there");
    for _ in 0..3 {
        home.taskq(&["run", "a", "--wait"]).answer();
    }
    home.add_and_wait(&["true"]);
    home.add(&["--at", "2031-01-01", "true"]);
    home.taskq(&["prune"]).gives(0, "", "");
    let table = "ID  NAME  FORGOTTEN  JOB\n 1  a        3 runs  kept\n 2  -         1 run  removed\n";
    home.taskq(&["prune", "--keep", "0", "--dry-run"]).gives(0, table, "");
    assert_eq!(home.json(&["runs"])["runs"].as_array().map(Vec::len), Some(6), "a dry run forgets nothing");
    let pruned = home.json(&["prune", "--keep", "0"]);
    let of_a = serde_json::json!({"id": 1, "name": "a", "runs": 3, "removed": false});
    let of_2 = serde_json::json!({"id": 2, "name": null, "runs": 1, "removed": true});
    assert_eq!((&pruned["dry_run"], &pruned["jobs"]), (&false.into(), &serde_json::json!([of_a, of_2])));
    let runs = home.json(&["runs"])["runs"].clone();
    assert_eq!((&runs[0]["id"], &runs[1]["id"]), (&"1.5".into(), &"1.2".into()));
    let log = home.store().join("log");
    assert_eq!([3, 4, 5].map(|n| log.join(format!("1.{n}")).exists()), [false, false, true]);
    home.taskq(&["prune", "--older", "1us", "--keep", "0"]).gives(0, "", "");
    home.taskq(&["run", "a", "--wait"]).gives(0, "1.6\n", "");
}

#[test]
fn prune_counts_the_runs_that_are_there_and_not_their_numbers() {
    let home = Home::with_daemon();
    let [began, gate] = ["began", "gate"].map(|name| home.fifo(name));
    let slow = "test -e quick || { read line < began; read line < gate; true; }";
    home.add(&["--name", "a", "--cron", "@yearly", "--overlap", "allow", "-c", slow]);
    home.taskq(&["run", "a"]).answer();
    open_gate(&began);
    fs::write(home.work().join("quick"), "").expect("the directory is there");
    for _ in 0..3 {
        home.taskq(&["run", "a", "--wait"]).answer();
    }
    assert_eq!(home.json(&["prune", "--older", "1us"])["jobs"][0]["runs"], 2);
    open_gate(&gate);
    home.taskq(&["wait", "a.1"]).gives(0, "", "");
    home.taskq(&["prune", "--keep", "2"]).gives(0, "", "");
    let table = "ID  NAME  FORGOTTEN  JOB\n 1  a         1 run  kept\n";
    home.taskq(&["prune", "--keep", "1", "--dry-run"]).gives(0, table, "");
}

/// Adds jobs with an output in a file, of two attempts, and in the store, and one that runs on.
fn home_with_outputs() -> Home {
    let home = Home::with_daemon();
    home.fifo("gate");
    home.add_and_wait(&["--name", "file", "-c", "head -c 70000 /dev/zero"]);
    let twice =
        ["--retries", "1", "--retry-delay", "1ms", "-c", "echo 12345; head -c 70000 /dev/zero; exit 1"];
    home.add_and_wait(&[&["--name", "twice"], &twice[..]].concat());
    home.add_and_wait(&["--name", "short", "-c", "echo 12345"]);
    home.add_and_wait(&["--name", "silent", "true"]);
    home.add(&["--name", "long", "-c", "head -c 70000 /dev/zero; read line < gate; echo end"]);
    let mut follower =
        home.command(&["log", "-f", "long"]).stdout(Stdio::piped()).spawn().expect("taskq starts");
    let mut output = follower.stdout.take().expect("it is piped");
    output.read_exact(&mut [0; 70_000]).expect("the job writes so much");
    follower.kill().expect("it is our child");
    follower.wait().expect("it is our child");
    home
}

#[test]
fn prune_keeps_the_outputs_to_a_limit_and_log_says_so() {
    let home = home_with_outputs();
    let log = home.store().join("log");
    let files = |names: [&str; 4]| names.map(|name| log.join(name).exists());
    let all = ["1.1", "2.1", "2.1.2", "5.1"];
    home.taskq(&["prune", "--output-limit", "1M"]).gives(0, "", "");
    let said = "would prune the outputs of 2 runs, 205K; 68K left\n";
    home.taskq(&["prune", "--output-limit", "100K", "--dry-run"]).gives(0, said, "");
    assert_eq!(files(all), [true; 4], "a dry run prunes nothing");
    let outputs = home.json(&["prune", "--output-limit", "100K"])["outputs"].clone();
    assert_eq!(outputs, serde_json::json!({"runs": 2, "bytes": 210_012, "left_bytes": 70_006}));
    assert_eq!(files(all), [false, false, false, true]);
    home.taskq(&["log", "file"]).gives(1, "", "run 1.1: its output was pruned\n");
    home.taskq(&["log", "twice", "--attempt", "1"]).gives(1, "", "run 2.1: its output was pruned\n");
    home.taskq(&["log", "short"]).gives(0, "12345\n", "");
    home.taskq(&["log", "silent"]).gives(0, "", "");
    assert_eq!(home.json(&["prune", "--output-limit", "0"])["outputs"]["left_bytes"], 70_000);
    insta::assert_snapshot!(home.transcript(&[
        &["log", "short", "silent", "file"],
        &["log", "file", "--all"],
        &["log", "short", "-f"],
        &["prune", "--output-limit", "5X"],
        &["prune", "--output-limit", "-1"],
    ]));
    let of = |name: &str| home.json(&["runs", name])["runs"][0].clone();
    assert_eq!((&of("file")["output_pruned"], &of("file")["output_bytes"]), (&true.into(), &70_000.into()));
    assert_eq!(
        [&of("silent")["output_pruned"], &of("long")["output_pruned"]],
        [&serde_json::Value::Bool(false); 2]
    );
    open_gate(&home.work().join("gate"));
    home.taskq(&["wait", "long"]).gives(0, "", "");
    assert_eq!(home.taskq(&["log", "long"]).answer().stdout.len(), 70_004, "what ran keeps its output");
}

#[test]
fn outputs_of_runs_that_prune_forgets_do_not_count() {
    let home = Home::with_daemon();
    for _ in 0..2 {
        home.add_and_wait(&["-c", "head -c 70000 /dev/zero"]);
    }
    let said = home.taskq(&["prune", "--keep", "0", "--output-limit", "100K", "--dry-run"]).answer().stdout;
    assert!(!said.contains("would prune"), "{said}");
    let said = home.taskq(&["prune", "--output-limit", "100K"]).answer().stdout;
    assert_eq!(said, "pruned the outputs of 1 run, 68K; 68K left\n");
}

#[test]
fn a_pruned_output_whose_file_stayed_goes_at_the_next_start() {
    let mut home = Home::with_daemon();
    home.add_and_wait(&["-c", "head -c 70000 /dev/zero"]);
    home.taskq(&["prune", "--output-limit", "0"]).answer();
    home.stop_daemon(nix::sys::signal::Signal::SIGTERM);
    let file = home.store().join("log/1.1");
    fs::write(&file, "left by a client that was killed").expect("the directory is there");
    home.start_daemon(&[]);
    assert!(!file.exists());
}
