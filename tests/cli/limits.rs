//! Owns: the limits of a job: `--until`, `--after-end`, `--nth`, `--jitter`, `--start-by`.
//! Never: which fires are due (see the simulation).

use serde_json::json;

use crate::harness::{Home, open_gate};

#[test]
fn no_fire_is_shown_at_or_after_the_end() {
    let home = Home::new();
    let until = ["--start", "2031-01-01", "--until", "2031-01-01 02:00", "--tz", "UTC"];
    home.add(&[&["--name", "a", "--cron", "*/30 * * * *"], &until[..], &["true"]].concat());
    let fires = home.json(&["next", "a"])["fires"].as_array().expect("a list").clone();
    let last = fires.last().expect("there are some")["at"].clone();
    assert_eq!((fires.len(), last), (4, "2031-01-01T01:30:00Z".into()));
    let shown = home.taskq(&["show", "a"]).answer().stdout;
    assert!(shown.contains("\nUntil:     2031-01-01 03:00:00 +0100\n"), "{shown}");
    assert_eq!(home.json(&["show", "a"])["job"]["until_at"], "2031-01-01T02:00:00Z");
    let line = home.taskq(&["export", "json", "--with-environment", "a"]).answer().stdout;
    let other = Home::new();
    other.taskq(&["add", "--quiet", "--from", "-"]).stdin(line).gives(0, "1\n", "");
    assert_eq!(other.json(&["next", "a"])["fires"][3]["at"], "2031-01-01T01:30:00Z");
}

#[test]
fn an_end_before_the_first_fire_is_refused() {
    let home = Home::new();
    home.add(&["--name", "a", "--cron", "0 0 1 1 *", "--tz", "UTC", "--start", "2031-01-01", "true"]);
    home.add(&["--name", "now", "true"]);
    insta::assert_snapshot!(home.transcript(&[
        &["add", "--until", "2031-01-01", "true"],
        &["add", "--every", "1h", "--until", "2020-01-01", "true"],
        &["add", "--every", "1h", "--until", "then", "true"],
        &["add", "--every", "1h", "--start", "2031-01-01", "--until", "2031-01-01", "true"],
        &["add", "--at", "2031-01-01", "--until", "2031-01-01", "true"],
        &["add", "--cron", "0 0 1 1 *", "--start", "2031-06-01", "--until", "2031-07-01", "true"],
        &["add", "--cron", "@reboot", "--until", "now", "true"],
        &["set", "a", "--until", "2030-12-31"],
        &["set", "now", "--until", "2031-01-01"],
        &["set", "a", "--every", "1h", "--until", "2031-01-01", "--start", "2031-02-01"],
    ]));
    assert_eq!(home.json(&["show", "a"])["job"]["until_at"], serde_json::Value::Null);
    assert_eq!(home.json(&["list"])["jobs"].as_array().expect("a list").len(), 2);
}

#[test]
fn the_end_of_a_stored_job_can_be_moved_and_removed() {
    let home = Home::new();
    home.add(&["--name", "a", "--every", "1h", "--start", "2031-01-01T00:00:00Z", "true"]);
    let fires = || home.json(&["next", "a", "-n", "50"])["fires"].as_array().expect("a list").len();
    let trigger = || home.json(&["show", "a"])["job"]["triggers"][0].clone();
    let before = trigger();
    let two = "2031-01-01 03:00:00 +0100";
    home.taskq(&["set", "a", "--until", "2031-01-01T02:00:00Z"]).gives(
        0,
        &format!("until none → {two}\n"),
        "",
    );
    assert_eq!((fires(), trigger()), (2, before));
    home.taskq(&["set", "a", "--cron", "30 * * * *"]).answer();
    assert_eq!(home.json(&["show", "a"])["job"]["until_at"], "2031-01-01T02:00:00Z");
    home.taskq(&["set", "a", "--unset", "until"]).gives(0, &format!("until {two} → none\n"), "");
    assert_eq!(fires(), 50);
}

#[test]
fn a_job_that_counts_from_the_end_of_its_run_fires_no_more_while_it_runs() {
    let home = Home::with_daemon();
    let gate = home.fifo("gate");
    home.add(&["--name", "a", "--every", "1h", "--after-end", "-c", "read line < gate; true"]);
    let trigger = || home.json(&["show", "a"])["job"]["triggers"][0].clone();
    assert_eq!((&trigger()["every_ms"], &trigger()["after_end"]), (&3_600_000.into(), &true.into()));
    assert_eq!(home.json(&["next", "a"])["fires"].as_array().expect("a list").len(), 1);
    let first = trigger()["next_fire_at"].clone();
    home.taskq(&["run", "a"]).gives(0, "1.1\n", "");
    open_gate(&gate);
    home.taskq(&["wait", "1.1"]).gives(0, "", "");
    let (next, run) = (trigger()["next_fire_at"].clone(), home.json(&["runs", "a"])["runs"][0].clone());
    let micros = |at: &serde_json::Value| at.as_str().expect("an instant")[14..].to_owned();
    assert_eq!(micros(&next), micros(&run["finished_at"]), "an hour after the end");
    assert_ne!(next, first);
    let units = home.taskq(&["export", "systemd", "a"]).answer().stdout;
    assert!(units.contains("\nOnActiveSec=1h\nOnUnitInactiveSec=1h\n"), "{units}");
    let line = home.taskq(&["export", "json", "--with-environment", "a"]).answer().stdout;
    let other = Home::new();
    other.taskq(&["add", "--quiet", "--from", "-"]).stdin(line).gives(0, "1\n", "");
    assert_eq!(other.json(&["show", "a"])["job"]["triggers"][0]["after_end"], true);
}

#[test]
fn only_an_interval_counts_from_the_end_of_a_run() {
    let home = Home::new();
    home.add(&["--name", "a", "--every", "1h", "true"]);
    let line = r#"{"script":"true","every":"1h","anchor":"2031-01-01","after_end":true}"#;
    let said = home.transcript(&[
        &["add", "--after-end", "true"],
        &["add", "--cron", "@daily", "--after-end", "true"],
        &["set", "a", "--after-end"],
        &["set", "a", "--every", "1h", "--after-end"],
        &["export", "crontab", "a"],
    ]);
    insta::assert_snapshot!(said + &home.taskq(&["add", "--from", "-"]).stdin(line).transcript());
}

/// Returns the times of the coming fires of `a`, in seconds since `from`.
fn seconds_since(home: &Home, from: &str) -> Vec<i64> {
    let at = |text: &str| text.parse::<chrono::DateTime<chrono::Utc>>().expect("an instant").timestamp();
    let fires = home.json(&["next", "a", "-n", "2"])["fires"].as_array().expect("a list").clone();
    fires.iter().map(|fire| at(fire["at"].as_str().expect("an instant")) - at(from)).collect()
}

#[test]
fn a_delay_is_fixed_and_is_shown() {
    let home = Home::new();
    let options = ["--jitter", "1h", "--tz", "UTC", "--start", "2031-01-01"];
    home.add(&[&["--name", "a", "--cron", "0 12 * * *"], &options[..], &["true"]].concat());
    let job = || home.json(&["show", "a"])["job"].clone();
    let delay = job()["triggers"][0]["delay_ms"].as_i64().expect("it has one") / 1_000;
    assert!((1..3_600).contains(&delay));
    assert_eq!(seconds_since(&home, "2031-01-01T12:00:00Z"), [delay, delay + 86_400]);
    let shown = home.taskq(&["show", "a"]).answer().stdout;
    assert!(shown.contains("\nJitter:    up to 1h later, here "), "{shown}");
    // Another trigger of the job has the same delay, and so has the job elsewhere on this machine.
    home.taskq(&["set", "a", "--at", "2031-01-01 12:00", "--tz", "UTC"]).answer();
    assert_eq!(seconds_since(&home, "2031-01-01T12:00:00Z"), [delay]);
    let line = home.taskq(&["export", "json", "--with-environment", "a"]).answer().stdout;
    assert!(line.contains(r#""at":["2031-01-01T12:00:00Z"]"#) && line.contains(r#""jitter":"1h""#), "{line}");
    let other = Home::new();
    other.taskq(&["add", "--quiet", "--from", "-"]).stdin(line).gives(0, "1\n", "");
    assert_eq!(seconds_since(&other, "2031-01-01T12:00:00Z"), [delay]);
    let units = home.taskq(&["export", "systemd", "a"]).answer().stdout;
    assert!(
        units
            .contains("\nOnCalendar=2031-01-01 12:00:00 UTC\nRandomizedDelaySec=1h\nFixedRandomDelay=true\n"),
        "{units}"
    );
}

#[test]
fn a_new_jitter_moves_the_coming_fires_of_the_triggers_that_a_job_has() {
    let home = Home::new();
    home.add(&["--name", "a", "--every", "1d", "--start", "2031-01-01T00:00:00Z", "true"]);
    let changed = home.taskq(&["set", "a", "--jitter", "1h"]).answer().stdout;
    assert!(changed.contains("jitter none → 1h\n") && changed.contains(" later\n"), "{changed}");
    let [first, second] = seconds_since(&home, "2031-01-01T00:00:00Z")[..] else { panic!("two") };
    assert!((1..3_600).contains(&first) && second == first + 86_400);
    home.taskq(&["set", "a", "--unset", "jitter"]).answer();
    assert_eq!(seconds_since(&home, "2031-01-01T00:00:00Z"), [0, 86_400]);
}

#[test]
fn a_jitter_that_means_nothing_is_refused() {
    let home = Home::new();
    home.add(&["--name", "now", "true"]);
    home.add(&["--name", "a", "--at", "2031-01-01 12:00", "--until", "2031-01-01 12:00:01", "true"]);
    insta::assert_snapshot!(home.transcript(&[
        &["add", "--jitter", "1h", "true"],
        &["add", "--every", "1h", "--jitter", "0s", "true"],
        &["add", "--every", "1h", "--jitter", "often", "true"],
        &["add", "--cron", "@reboot", "--jitter", "1h", "true"],
        &["set", "now", "--jitter", "1h"],
        &["set", "a", "--jitter", "300d"],
    ]));
}

#[test]
fn a_run_that_is_still_queued_after_its_span_is_missed_and_its_end_says_so() {
    let mut home = Home::new();
    home.add(&["--name", "late", "--start-by", "1ms", "--on-failure", "false", "true"]);
    home.add(&["--name", "many", "--array", "1-3", "--start-by", "1ms", "true"]);
    home.add(&["--name", "set", "--start-by", "1h", "true"]);
    home.add(&["--name", "early", "--start-by", "1ms", "true"]);
    home.taskq(&["set", "set", "--start-by", "1ms"]).gives(0, "start-by 1h → 1ms\n", "");
    home.taskq(&["set", "early", "--unset", "start-by"]).gives(0, "start-by 1ms → none\n", "");
    home.start_daemon(&[]);
    home.taskq(&["wait", "early"]).answer();
    let ended = "run 1.1: missed, still queued at the end of its `--start-by`\n";
    home.taskq(&["wait", "late"]).gives(125, "", ended);
    home.taskq(&["wait", "many"]).gives(1, "", "3 of 3 runs did not succeed\n");
    home.taskq(&["wait", "set"]).gives(125, "", &ended.replace("1.1", "3.1"));
    let listed = home.taskq(&["list", "-a"]).answer().stdout;
    assert!(listed.contains(" array 1-3, 3/3, 3 missed "), "{listed}");
    assert_eq!(home.json(&["runs", "late"])["runs"].as_array().expect("a list").len(), 1, "no callback");
    let shown = home.taskq(&["show", "late"]).answer().stdout;
    assert!(shown.contains("\nStart by:  1ms after it is queued (else the run is missed)\n"), "{shown}");
}

#[test]
fn a_start_by_that_is_no_span_is_refused() {
    let home = Home::new();
    insta::assert_snapshot!(home.transcript(&[
        &["add", "--start-by", "0s", "true"],
        &["add", "--start-by", "-1m", "true"],
        &["add", "--start-by", "soon", "true"],
    ]));
}

/// Returns the coming fires of these jobs, as `01-01 02:00 a`.
fn coming(home: &Home, args: &[&str]) -> Vec<String> {
    let fires = home.json(&[&["next"], args].concat())["fires"].as_array().expect("a list").clone();
    let text = |fire: &serde_json::Value| {
        let at = fire["at"].as_str().expect("an instant");
        format!("{} {} {}", &at[5..10], &at[11..16], fire["name"].as_str().expect("it has one"))
    };
    fires.iter().map(text).collect()
}

#[test]
fn what_is_listed_passes_over_the_fires_that_do_not_run() {
    let home = Home::new();
    let from = ["--tz", "UTC", "--start", "2031-01-01", "true"];
    let add = |args: &[&str]| home.add(&[args, &from[..]].concat());
    add(&["--name", "a", "--cron", "0 * * * *", "--nth", "3"]);
    add(&["--name", "b", "--cron", "0 1,2,3 * * *", "--cron", "0 2 * * *", "--nth", "2"]);
    add(&["--name", "c", "--cron", "30 2 * * *"]);
    assert_eq!(coming(&home, &[]), ["01-01 02:00 a", "01-01 02:00 b", "01-01 02:30 c"]);
    let first = ["01-01 02:00 a", "01-01 02:00 b", "01-01 02:30 c", "01-01 03:00 b", "01-01 05:00 a"];
    assert_eq!(coming(&home, &["-n", "5"]), first);
    assert_eq!(coming(&home, &["b", "-n", "3"]), ["01-01 02:00 b", "01-01 03:00 b", "01-02 02:00 b"]);
    let job = home.json(&["show", "a"])["job"].clone();
    assert_eq!(
        [&job["next_fire_at"], &job["triggers"][0]["next_fire_at"], &job["nth"], &job["nth_passed"]],
        [&json!("2031-01-01T02:00:00Z"), &json!("2031-01-01T00:00:00Z"), &json!(3), &json!(0)]
    );
    let listed = home.taskq(&["list", "a"]).answer().stdout;
    assert!(listed.contains(" cron 0 * * * *, nth 0/3 "), "{listed}");
    let shown = home.taskq(&["show", "a"]).answer().stdout;
    let line = "\nNth:       one in 3 fires runs, 0 were passed over since; next 2031-01-01 03:00:00 +0100\n";
    assert!(shown.contains(line), "{shown}");
    let line = home.taskq(&["export", "json", "--with-environment", "a"]).answer().stdout;
    let other = Home::new();
    other.taskq(&["add", "--quiet", "--from", "-"]).stdin(line).gives(0, "1\n", "");
    assert_eq!(coming(&other, &[]), ["01-01 02:00 a"]);
}

#[test]
fn a_count_that_means_nothing_is_refused() {
    let home = Home::new();
    home.add(&["--name", "now", "true"]);
    home.add(&["--name", "a", "--every", "1h", "--nth", "2", "true"]);
    insta::assert_snapshot!(home.transcript(&[
        &["add", "--every", "1h", "--nth", "0", "true"],
        &["add", "--every", "1h", "--nth", "1001", "true"],
        &["add", "--nth", "2", "true"],
        &["add", "--at", "2031-01-01", "--nth", "2", "true"],
        &["add", "--every", "1h", "--after-end", "--nth", "2", "true"],
        &["set", "now", "--nth", "2"],
        &["set", "a", "--at", "2031-01-01"],
        &["set", "a", "--every", "1h", "--after-end"],
    ]));
}
