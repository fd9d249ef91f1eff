//! Owns: runs that are tried again, as a user sees them.
//! Never: when an attempt comes (see `tests/sim`), or what survives a kill (see `tests/crash`).

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::json;

use crate::harness::Home;

const NUMBERED: &str = "echo attempt $TASKQ_ATTEMPT; exit $TASKQ_ATTEMPT";

/// A pause that no test waits for.
const FOREVER: [&str; 4] = ["--retries", "3", "--retry-delay", "1d"];

/// A home with a run that waits for its second attempt.
fn retrying() -> Home {
    let home = Home::with_daemon();
    home.add(&[&["--name", "a"], &FOREVER[..], &["-c", NUMBERED]].concat());
    let mut following = home
        .command(&["log", "-f", "a"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("taskq starts");
    let mut line = String::new();
    let mut said = BufReader::new(following.stderr.take().expect("it is piped"));
    said.read_line(&mut line).expect("text");
    following.kill().and_then(|()| following.wait()).expect("it is ours");
    assert!(line.starts_with("attempt 1 of run 1.1 failed, exit 1; trying again in "), "{line}");
    let run = home.json(&["runs", "a"])["runs"][0].clone();
    assert_eq!((run["state"].as_str(), run["attempt"].as_u64()), (Some("retrying"), Some(2)));
    assert!(run["retry_at"].is_string() && run["outcome"].is_null());
    home
}

#[test]
fn a_wait_lasts_until_the_last_attempt_whose_status_counts() {
    let home = Home::with_daemon();
    home.add(&["--name", "a", "--retries", "2", "--retry-delay", "1ms", "-c", NUMBERED]);
    home.taskq(&["wait", "a"]).gives(3, "", "");
    let job = home.json(&["show", "a"]);
    assert_eq!(job["job"]["last_outcome"], "failed");
    let attempts = job["last_runs"][0]["attempts"].as_array().expect("a list").clone();
    let of = |key: &str| attempts.iter().map(|attempt| attempt[key].as_i64()).collect::<Vec<_>>();
    assert_eq!((of("number"), of("exit_code")), (vec![Some(1), Some(2), Some(3)], of("number")));
    assert_eq!(of("output_bytes"), [Some(10); 3]);
}

#[test]
fn each_attempt_has_an_output_of_its_own() {
    let home = Home::with_daemon();
    let script = format!("seq 1 $((TASKQ_ATTEMPT * 10000)); {NUMBERED}");
    for (id, script) in [("1", NUMBERED), ("2", &script)] {
        home.add(&["--retries", "2", "--retry-delay", "1ms", "-c", script]);
        home.taskq(&["wait", id]).gives(3, "", "");
        home.taskq(&["log", id, "-n", "1"]).gives(0, "attempt 3\n", "");
        for attempt in ["1", "2", "3"] {
            let last = format!("attempt {attempt}\n");
            home.taskq(&["log", id, "--attempt", attempt, "-n", "1"]).gives(0, &last, "");
        }
        let said = format!("error: cannot show log of attempt 4 of run `{id}.1`: it has had 3 attempts\n");
        home.taskq(&["log", id, "--attempt", "4"]).gives(1, "", &said);
    }
}

#[test]
fn a_followed_run_is_followed_through_its_attempts() {
    let home = Home::with_daemon();
    home.add(&["--hold", "--retries", "1", "--retry-delay", "1ms", "-c", NUMBERED]);
    let answer = home.taskq(&["run", "1", "--follow"]).answer();
    assert_eq!((answer.status, answer.stdout.as_str()), (2, "attempt 1\nattempt 2\n"));
    assert!(answer.stderr.starts_with("1.2\nattempt 1 of run 1.2 failed, exit 1"), "{}", answer.stderr);
}

#[test]
fn a_retrying_run_is_shown_with_its_attempts_and_its_time() {
    let home = retrying();
    let shown = home.taskq(&["runs", "a"]).answer().stdout;
    assert!(shown.lines().nth(1).is_some_and(|line| line.contains("retrying ")), "{shown}");
    let shown = home.taskq(&["show", "a"]).answer().stdout;
    assert!(shown.contains("\nRetries:   3, after 1d, after any failure\n"), "{shown}");
    assert!(shown.contains("\nAttempts of 1.1:\nATTEMPT  STARTED"), "{shown}");
    home.taskq(&["log", "a"]).gives(0, "attempt 1\n", "");
}

#[test]
fn a_retrying_run_is_cancelled_at_once() {
    let home = retrying();
    home.taskq(&["cancel", "a.1"]).gives(0, "", "");
    home.taskq(&["wait", "a"]).gives(130, "", "run 1.1: cancelled\n");
    home.taskq(&["log", "a"]).gives(0, "attempt 1\n", "");
    home.taskq(&["cancel", "a.1"]).gives(1, "", "error: cannot cancel run `1.1`: it has already finished\n");
}

#[test]
fn a_wait_for_the_retry_of_a_paused_job_says_so() {
    let home = retrying();
    home.taskq(&["pause", "a"]).gives(0, "", "");
    home.taskq(&["wait", "a", "--timeout", "10ms"]).gives(
        124,
        "",
        "job 1 is paused; resume it with `taskq resume 1`\ntimed out; the jobs keep running\n",
    );
}

#[test]
fn the_policy_goes_out_and_comes_back_in() {
    let home = Home::new();
    let policy = ["--retries", "5", "--retry-delay", "1m..1h", "--retry-on", "75-78,1,lost"];
    home.add(&[&policy[..], &["true"]].concat());
    home.add(&["--retries", "1", "--retry-delay", "20m", "true"]);
    let exported = home.taskq(&["export", "json", "--with-environment"]).answer().stdout;
    home.taskq(&["add", "--from", "-"]).stdin(exported).answer();
    let of = |id: &str| {
        let job = home.json(&["show", id])["job"].clone();
        json!([job["retries"], job["retry_delay_ms"], job["retry_delay_max_ms"], job["retry_on"]])
    };
    assert_eq!(of("1"), json!([5, 60_000, 3_600_000, "1,75-78,lost"]));
    assert_eq!(of("2"), json!([1, 1_200_000, 1_200_000, null]));
    assert_eq!((of("3"), of("4")), (of("1"), of("2")));
}
