//! Owns: `set`: what changes, what stays, and what is refused.
//! Never: what the values mean (see `add`).

use crate::harness::Home;

#[test]
fn what_is_given_changes_and_the_rest_stays() {
    let home = Home::new();
    home.add(&[
        "--name",
        "a",
        "--cron",
        "@daily",
        "--cron",
        "@weekly",
        "--tag",
        "t",
        "--timeout",
        "1h",
        "true",
    ]);
    let weekly = home.json(&["show", "a"])["job"]["triggers"][1].clone();
    let told = "triggers cron @daily (Europe/Berlin); cron @weekly (Europe/Berlin) → \
                cron @weekly (Europe/Berlin); every 2h\npriority 0 → 5\ntimeout 1h → 2h\nenv none → A\n";
    let options =
        ["--cron", "@weekly", "--every", "2h", "--priority", "5", "--timeout", "2h", "--env", "A=secret"];
    home.taskq(&[&["set", "a"], &options[..]].concat()).gives(0, told, "");
    let job = home.json(&["show", "a"])["job"].clone();
    assert_eq!(job["triggers"][0], weekly);
    assert_eq!((&job["tag"][0], &job["timeout_ms"]), (&"t".into(), &7_200_000.into()));
    let options = ["--unset", "timeout", "--tag", "x", "--tag", "y", "--json", "--", "ls", "-l"];
    let changed = home.taskq(&[&["set", "1"], &options[..]].concat()).answer().stdout;
    let changed: serde_json::Value = serde_json::from_str(&changed).expect("it is a document");
    let change = |key: &str, old, new| serde_json::json!({"key": key, "old": old, "new": new});
    let wanted = [
        change("command", Some("true"), Some("ls -l")),
        change("tag", Some("t"), Some("x, y")),
        change("timeout", Some("2h"), None),
    ];
    assert_eq!(changed["changes"], serde_json::json!(wanted));
    home.taskq(&["set", "a", "--tag", "x", "--tag", "y"]).gives(0, "", "");
}

#[test]
fn a_waiting_run_follows_its_job() {
    let home = Home::new();
    home.taskq(&["queue", "set", "q", "--slots", "1"]).gives(0, "", "");
    home.add(&["true"]);
    home.taskq(&["set", "1", "--queue", "q"]).gives(0, "queue default → q\n", "");
    assert_eq!(home.json(&["runs"])["runs"][0]["queue"], "q");
}

#[test]
fn what_set_does_not_change_is_refused() {
    let home = Home::new();
    home.add(&["--name", "a", "--cron", "@daily", "true"]);
    home.add(&["--name", "over", "true"]);
    home.taskq(&["cancel", "over"]).gives(0, "", "");
    home.taskq(&["crontab", "-"]).stdin("15 3 * * * true\n").gives(0, "", "");
    insta::assert_snapshot!(home.transcript(&[
        &["set", "a"],
        &["set", "a", "--name", "b"],
        &["set", "a", "--hold"],
        &["set", "a", "--cron", "75 * * * *"],
        &["set", "a", "--tz", "UTC"],
        &["set", "a", "--queue", "none"],
        &["set", "a", "--unset", "cron"],
        &["set", "over", "--priority", "1"],
        &["set", "3", "--priority", "1"],
        &["set", "none", "--priority", "1"],
    ]));
}

#[test]
fn the_retries_and_the_times_of_a_job_are_changed_and_returned_to_their_defaults() {
    let home = Home::with_daemon();
    home.add(&["--name", "a", "--every", "1h", "true"]);
    let changed = "retries none → 3\nretry-delay none → 1m..10m\ntimes none → 7\n";
    home.taskq(&["set", "a", "--retries", "3", "--retry-delay", "1m", "--times", "7"]).gives(0, changed, "");
    home.taskq(&["set", "a", "--retry-on", "75"]).gives(0, "retry-on none → 75\n", "");
    let changed = "retries 3 → none\nretry-delay 1m..10m → none\nretry-on 75 → none\ntimes 7 → none\n";
    home.taskq(&["set", "a", "--unset", "retries", "--unset", "times"]).gives(0, changed, "");
}

#[test]
fn the_niceness_is_changed_and_returned_to_that_of_the_daemon() {
    let home = Home::new();
    home.add(&["--at", "2031-01-01", "--nice", "-5", "true"]);
    assert_eq!(home.json(&["show", "1"])["job"]["nice"], -5);
    home.taskq(&["set", "1", "--nice", "19"]).gives(0, "nice -5 → 19\n", "");
    home.taskq(&["set", "1", "--unset", "nice"]).gives(0, "nice 19 → none\n", "");
}

#[test]
fn the_log_limit_is_changed_and_returned_to_its_default() {
    let home = Home::new();
    home.add(&["--at", "2031-01-01", "--log-limit", "1048576", "true"]);
    assert_eq!(home.json(&["show", "1"])["job"]["log_limit_bytes"], 1 << 20);
    home.taskq(&["set", "1", "--log-limit", "2g"]).gives(0, "log-limit 1M → 2G\n", "");
    home.taskq(&["set", "1", "--unset", "log-limit"]).gives(0, "log-limit 2G → 10M\n", "");
}

#[test]
fn a_job_that_has_begun_as_often_as_it_now_may_is_done() {
    let home = Home::with_daemon();
    home.add(&["--name", "a", "--at", "now", "--at", "2031-01-01", "--times", "2", "true"]);
    home.taskq(&["run", "a", "--wait"]).gives(0, "1.2\n", "");
    home.taskq(&["set", "a", "--times", "1"]).gives(0, "times 2 → 1\n", "");
    assert_eq!(home.json(&["show", "a"])["job"]["state"], "done");
}

#[test]
fn a_job_can_be_put_in_front_of_its_queue() {
    let home = Home::new();
    for name in ["a", "b", "c"] {
        let priority = if name == "b" { "5" } else { "0" };
        home.add(&["--name", name, "--priority", priority, "--", "true"]);
    }
    home.taskq(&["set", "c", "--first"]).gives(0, "place none → first in queue default\n", "");
    home.taskq(&["set", "a", "--first", "--timeout", "1h"]).answer();
    let mut home = home;
    home.taskq(&["queue", "set", "default", "--slots", "1"]).answer();
    home.start_daemon(&[]);
    for name in ["a", "b", "c"] {
        home.taskq(&["wait", name]).gives(0, "", "");
    }
    let runs = home.json(&["runs"])["runs"].as_array().expect("a list").clone();
    let mut started: Vec<_> =
        runs.iter().map(|run| (run["started_at"].as_str(), run["name"].as_str())).collect();
    started.sort_unstable();
    let order: Vec<_> = started.into_iter().filter_map(|(_, name)| name).collect();
    assert_eq!(order, ["a", "c", "b"]);
    home.taskq(&["set", "a", "--first"]).gives(
        1,
        "",
        "error: cannot set job `a`: it is done\n\
         hint: add a new job with `taskq add`, or run this one again with `taskq retry`\n",
    );
}

#[test]
fn a_delay_of_times_leaves_events_alone() {
    let home = Home::new();
    home.add(&["--name", "a", "--cron", "@daily", "--on", "emit:x", "--jitter", "1h", "true"]);
    let answer = home.taskq(&["set", "a", "--jitter", "2h"]).answer();
    assert_eq!((answer.status, answer.stderr.as_str()), (0, ""), "{answer:?}");
    let triggers = home.json(&["show", "a"])["job"]["triggers"].clone();
    assert!(triggers[0]["delay_ms"].as_u64().is_some_and(|delay| delay > 0), "{triggers}");
    assert_eq!(triggers[1].get("delay_ms"), None);
}
