//! Owns: `daemon --until-idle`: when it exits, with which status, and what it says it leaves.
//! Never: the daemon otherwise.

use crate::harness::Home;

/// Serves until nothing is under way, and returns the exit status and what is left.
fn serve(home: &Home) -> (i32, Vec<String>) {
    let answer = home.taskq(&["daemon", "--until-idle"]).answer();
    let left = answer.stderr.lines().filter_map(|line| line.strip_prefix("taskq daemon: leaving "));
    (answer.status, left.map(str::to_owned).collect())
}

fn outcomes(home: &Home) -> Vec<String> {
    let runs = home.json(&["runs", "-n", "100"])["runs"].as_array().expect("a list").clone();
    let mut outcomes: Vec<String> = runs
        .iter()
        .map(|run| format!("{} {}", run["name"].as_str().unwrap_or("-"), run["outcome"]))
        .collect();
    outcomes.sort();
    outcomes
}

#[test]
fn a_daemon_until_idle_exits_when_all_that_is_queued_has_ended() {
    let home = Home::new();
    assert_eq!(serve(&home), (0, Vec::new()));
    for line in ["true", "echo x"] {
        home.add(&["--name", line.split(' ').next().expect("a word"), "-c", line]);
    }
    home.add(&["--array", "1-5", "--name", "many", "--after", "true", "-c", "true"]);
    assert_eq!(serve(&home), (0, Vec::new()));
    assert_eq!(outcomes(&home).len(), 7);
    assert_eq!(home.taskq(&["status"]).answer().status, 3);
}

#[test]
fn a_run_that_fails_meanwhile_makes_it_exit_with_1_after_its_retries_and_callbacks() {
    let home = Home::new();
    let failing = ["--name", "a", "--retries", "1", "--retry-delay", "1ms", "--on-failure", "echo >called"];
    home.add(&[&failing[..], &["-c", "exit 3"]].concat());
    assert_eq!(serve(&home), (1, Vec::new()));
    assert_eq!(outcomes(&home), ["a \"failed\"", "a \"success\""]);
    assert_eq!(home.file("called"), "\n");
    // Failures of another time do not count.
    home.add(&["true"]);
    assert_eq!(serve(&home).0, 0);
}

#[test]
fn it_names_what_may_never_come_and_waits_for_none_of_it() {
    let home = Home::new();
    home.taskq(&["queue", "set", "stopped", "--slots", "1"]).gives(0, "", "");
    home.taskq(&["pause", "--queue", "stopped"]).answer();
    home.add(&["--name", "held", "--hold", "true"]);
    home.add(&["--queue", "stopped", "true"]);
    home.add(&["--name", "nightly", "--cron", "0 0 1 1 *", "true"]);
    home.add(&["--name", "after", "--after", "nightly", "true"]);
    home.add(&["--name", "listens", "--on", "emit:x", "true"]);
    home.add(&["--name", "ready", "true"]);
    let left = [
        "2 jobs with paused runs: held, 2",
        "1 job with runs that wait for jobs without a run: after",
        "1 job with coming fires: nightly",
        "1 job listening to events: listens",
    ];
    assert_eq!(serve(&home), (0, left.map(str::to_owned).to_vec()));
    assert!(outcomes(&home).contains(&"ready \"success\"".to_owned()));
}
