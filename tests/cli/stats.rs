//! Owns: `stats`, and the line of `status` about the last hour: which runs count, lines and documents.
//! Never: the arithmetic (see the unit tests of `engine::stats`).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Home, TASKQ, open_gate};
use crate::shared::has;

/// Two jobs that succeeded twice and once, one that failed with its retry, and one that could not be started.
fn worked() -> Home {
    let home = Home::with_daemon();
    home.taskq(&["queue", "set", "side", "--slots", "1"]).gives(0, "", "");
    home.add_and_wait(&["--name", "good", "--on-finish", "true", "true"]);
    home.taskq(&["run", "good", "--wait"]).answer();
    home.add_and_wait(&["--name", "bad", "--retries", "1", "--retry-delay", "1ms", "false"]);
    home.add_and_wait(&["--name", "other", "--queue", "side", "--priority", "50", "true"]);
    home.add_and_wait(&["--name", "typo", "no-such-program"]);
    home
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn runs_are_counted_without_callbacks_and_retries() {
    let home = worked();
    let stats = home.json(&["stats"]);
    let outcomes = &stats["outcomes"];
    assert_eq!((&outcomes["success"], &outcomes["failed"]), (&json!(3), &json!(1)));
    assert_eq!((&outcomes["spawn_failed"], &outcomes["missed"]), (&json!(1), &json!(0)));
    assert_eq!((&stats["unfinished"], &stats["success_rate"]), (&json!(0), &json!(0.6)));
    assert!(number(&stats["arrivals_per_s"]) > 0.0 && number(&stats["service_per_s"]) > 0.0);
    assert!(number(&stats["wait_s"]["p95"]) >= number(&stats["wait_s"]["mean"]) / 2.0);
    assert!(number(&stats["response_s"]) > number(&stats["run_time_s"]["mean"]));
    let (present, little) = (number(&stats["mean_in_system"]), number(&stats["little"]));
    assert!((present - little).abs() < 1e-3 * present, "all have ended: {present} {little}");
    let shares: f64 = stats["jobs"].as_array().expect("a list").iter().map(|job| number(&job["share"])).sum();
    assert!((shares - 1.0).abs() < 1e-9, "{shares}");
    let backlog = &stats["backlog"];
    assert_eq!(
        (&backlog["waiting"], &backlog["running"], &backlog["late"]),
        (&json!(0), &json!(0), &json!(0))
    );
    assert_eq!((&backlog["work_s"], &backlog["drained_at"]), (&json!(0.0), &stats["until_at"]));
}

#[test]
fn jobs_and_queues_are_asked_for_by_name() {
    let home = worked();
    let runs = |args: &[&str]| {
        let stats = home.json(args);
        let name_and_runs = |job: &Value| (job["name"].to_string(), job["runs"].as_i64());
        let jobs = stats["jobs"].as_array().expect("a list").iter().map(name_and_runs);
        jobs.collect::<BTreeSet<_>>()
    };
    let set =
        |jobs: &[(&str, i64)]| jobs.iter().map(|(name, runs)| (format!("\"{name}\""), Some(*runs))).collect();
    assert_eq!(runs(&["stats", "good"]), set(&[("good", 2)]));
    assert_eq!(runs(&["stats", "good", "bad", "1"]), set(&[("good", 2), ("bad", 1)]));
    assert_eq!(runs(&["stats", "--queue", "side"]), set(&[("other", 1)]));
    assert_eq!(home.json(&["stats", "--queue", "side"])["slots"], 1);
    let queues = home.json(&["stats", "--since", "1h"])["queues"].clone();
    assert_eq!(queues.as_array().map(Vec::len), Some(2));
    home.taskq(&["stats", "nobody"]).gives(
        1,
        "",
        "error: cannot show statistics of job `nobody`: there is no such job\n\
         hint: list all jobs with `taskq list --all`\n",
    );
    home.taskq(&["stats", "--queue", "none"]).gives(
        1,
        "",
        "error: cannot show statistics: there is no queue `none`\nhint: list them with `taskq queue`\n",
    );
    assert_eq!(home.taskq(&["stats", "good", "--queue", "side"]).answer().status, 2);
    assert_eq!(home.taskq(&["stats", "--since", "yesteryear"]).answer().status, 2);
}

#[test]
fn an_empty_window_prints_nothing() {
    let home = worked();
    home.taskq(&["stats", "--since", "2031-01-01"]).gives(0, "", "");
    let empty = home.json(&["stats", "--since", "2031-01-01"]);
    assert_eq!((&empty["success_rate"], &empty["arrivals_per_s"]), (&Value::Null, &Value::Null));
    Home::new().taskq(&["stats"]).gives(0, "", "");
}

#[test]
fn a_backlog_is_expected_work_only_if_something_is_known() {
    let home = Home::with_daemon();
    home.taskq(&["queue", "set", "default", "--slots", "1"]).answer();
    home.fifo("gate");
    home.add(&["--name", "gated", "cat", "gate"]);
    home.add(&["--name", "next", "true"]);
    home.taskq(&["wait", "gated", "--timeout", "1ms"]).answer();
    let backlog = home.json(&["stats"])["backlog"].clone();
    assert_eq!((&backlog["unknown"], &backlog["drained_at"]), (&json!(2), &Value::Null));
    open_gate(&home.work().join("gate"));
    home.taskq(&["wait", "--all"]).answer();
    home.taskq(&["pause", "--queue", "default"]).answer();
    home.taskq(&["run", "next"]).answer();
    let backlog = home.json(&["stats", "next"])["backlog"].clone();
    assert_eq!((&backlog["waiting"], &backlog["unknown"]), (&json!(1), &json!(0)));
    assert!(number(&backlog["work_s"]) > 0.0 && backlog["drained_at"].is_null(), "paused: {backlog}");
    let said = home.taskq(&["stats", "next"]).answer().stdout;
    assert!(said.contains("\nBacklog:   1 waiting, ") && said.contains(", paused: `default`\n"), "{said}");
}

#[test]
fn the_lines_leave_out_what_is_unknown_and_only_a_terminal_gets_bars() {
    let home = worked();
    let said = home.taskq(&["stats"]).answer().stdout;
    for head in
        ["Window:    ", "\nRuns:      5: 3 success, 1 failed, 1 spawn_failed\n", "\nSuccess:   60.0 %\n"]
    {
        assert!(said.contains(head), "{said}");
    }
    assert!(said.contains("\nQUEUE ") && said.contains("\nID  NAME "), "{said}");
    assert!(!said.contains("Backlog:") && !said.contains('█') && !said.contains("Forgotten"), "{said}");
    if !has("script", Command::new("script").arg("--version").output().is_ok()) {
        return;
    }
    let line = format!("stty rows 24 cols 80; exec {TASKQ} --color never stats");
    let output = home.shell("script").args(["-qec", &line, "/dev/null"]).output().expect("script starts");
    let shown = String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n");
    assert!(shown.contains("RUN TIME  RUNS\n") && shown.contains('█'), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
}

#[test]
fn the_status_has_the_last_hour_if_something_has_ended() {
    let home = worked();
    let said = home.taskq(&["status"]).answer().stdout;
    assert!(said.contains("\nlast hour: 5 runs, 60.0 % success, mean "), "{said}");
    let lately = home.json(&["status"])["lately"].clone();
    assert_eq!((&lately["runs"], &lately["success_rate"]), (&json!(5), &json!(0.6)));
    let idle = Home::with_daemon();
    assert!(!idle.taskq(&["status"]).answer().stdout.contains("last "));
    assert_eq!(idle.json(&["status"])["lately"], Value::Null);
}

#[test]
fn the_manual_has_every_key_of_statistics() {
    let manual = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("man/taskq.1"));
    let manual = manual.expect("it is committed");
    let table = manual.split_once(".SS Statistics\n").expect("the manual has the table").1;
    let table = table.split_once(".fi\n").expect("it ends").0;
    let words: BTreeSet<&str> = table.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let stats = worked().json(&["stats"]);
    let parts = [&stats, &stats["backlog"], &stats["wait_s"], &stats["queues"][0], &stats["jobs"][0]];
    for key in parts.iter().flat_map(|part| part.as_object().expect("an object").keys()) {
        assert!(key == "version" || words.contains(key.as_str()), "{key}");
    }
}
