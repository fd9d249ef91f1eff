//! Owns: event and counter triggers, as a user sees them.
//! Never: every order of events and deaths (see `tests/sim`), files (see `watching`).

use serde_json::{Value, json};

use crate::harness::{Home, open_gate};

/// Returns the events of a run, from its output, which is `$TASKQ_EVENT_FILE`.
fn events(home: &Home, run: &str) -> Vec<Value> {
    let output = home.taskq(&["log", run]).answer().stdout;
    output.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// Returns what each event of a run is called, and how often it came.
fn names(home: &Home, run: &str) -> Vec<(String, u64)> {
    let of = |event: &Value| {
        (event["name"].as_str().expect("a text").to_owned(), event["count"].as_u64().expect("a number"))
    };
    events(home, run).iter().map(of).collect()
}

#[test]
fn an_event_makes_a_run_that_reads_its_data_from_a_file() {
    let home = Home::with_daemon();
    let facts = "echo $TASKQ_TRIGGER $TASKQ_EVENT $TASKQ_EVENT_COUNT $TASKQ_DEPTH; cat $TASKQ_EVENT_FILE";
    home.add(&["--name", "a", "--on", "emit:deploy", "-c", facts]);
    home.taskq(&["emit", "deploy", "version=1.4", "note=a \"b\" 'c'"]).gives(0, "", "");
    home.taskq(&["wait", "a"]).gives(0, "", "");
    let output = home.taskq(&["log", "a"]).answer().stdout;
    let (first, rest) = output.split_once('\n').expect("two lines");
    assert_eq!(first, "emit deploy 1 1");
    let event: Value = serde_json::from_str(rest).expect("JSON");
    assert_eq!(event["data"], json!({ "version": "1.4", "note": "a \"b\" 'c'" }));
    assert_eq!(
        (&event["kind"], &event["name"], &event["count"]),
        (&json!("emit"), &json!("deploy"), &json!(1))
    );
    home.taskq(&["emit", "deploy", "--data", "-"]).stdin("[1,\n{\"a\": null}]").gives(0, "", "");
    home.taskq(&["wait", "a"]).gives(0, "", "");
    assert!(home.taskq(&["log", "a"]).answer().stdout.contains("\"data\":[1,{\"a\":null}]"));
    home.taskq(&["emit", "deploy", "--data", "-"]).stdin("no JSON\n").gives(0, "", "");
    home.taskq(&["wait", "a"]).gives(0, "", "");
    assert!(home.taskq(&["log", "a"]).answer().stdout.contains("\"data\":\"no JSON\\n\""));
}

#[test]
fn the_file_of_events_lies_outside_the_store_and_is_gone_after_the_run() {
    let home = Home::with_daemon();
    home.add(&[
        "--name",
        "a",
        "--on",
        "emit:x",
        "-c",
        "stat -c '%a %u' $TASKQ_EVENT_FILE; echo $TASKQ_EVENT_FILE",
    ]);
    home.taskq(&["emit", "x"]).gives(0, "", "");
    home.taskq(&["wait", "a"]).gives(0, "", "");
    let output = home.taskq(&["log", "a"]).answer().stdout;
    let (stat, path) = output.trim_end().split_once('\n').expect("two lines");
    assert_eq!(stat, format!("400 {}", nix::unistd::geteuid()));
    let path = std::path::Path::new(path);
    assert!(path.is_absolute() && !path.starts_with(home.store()) && !path.exists(), "{}", path.display());
}

#[test]
fn each_nth_event_fires_and_the_count_is_shown() {
    let home = Home::with_daemon();
    home.add(&["--name", "a", "--on", "emit,count=20:row", "-c", "cat $TASKQ_EVENT_FILE"]);
    home.taskq(&["emit", "row", "--by", "19"]).gives(0, "", "");
    let listed = home.taskq(&["list"]).answer().stdout;
    assert!(listed.contains("on emit,count=20:row, 19/20"), "{listed}");
    home.taskq(&["emit", "row", "--by", "25"]).gives(0, "", "");
    home.taskq(&["wait", "a"]).gives(0, "", "");
    assert_eq!(names(&home, "a"), [("row".to_owned(), 19), ("row".to_owned(), 21)]);
    let trigger = home.json(&["show", "a"])["job"]["triggers"][0].clone();
    assert_eq!((&trigger["counted"], &trigger["count"]), (&json!(4), &json!(20)));
    home.taskq(&["set", "a", "--reset-counter"]).gives(0, "counter none → counts from 0\n", "");
    assert_eq!(home.json(&["show", "a"])["job"]["triggers"][0]["counted"], json!(0));
    assert_eq!(home.json(&["runs", "a"])["runs"].as_array().map(Vec::len), Some(1));
}

#[test]
fn events_during_a_run_make_exactly_one_more_that_has_them_all() {
    let home = Home::with_daemon();
    let (go, begun) = (home.fifo("go"), home.fifo("begun"));
    let script = "cat $TASKQ_EVENT_FILE; echo >begun; : <go";
    home.add(&["--name", "a", "--on", "emit:x", "-c", script]);
    home.taskq(&["emit", "x", "n=1"]).gives(0, "", "");
    assert_eq!(std::fs::read_to_string(&begun).expect("the run writes to it"), "\n");
    for n in 2..=5 {
        home.taskq(&["emit", "x", &format!("n={n}")]).gives(0, "", "");
    }
    open_gate(&go);
    assert_eq!(std::fs::read_to_string(&begun).expect("the next run writes to it"), "\n");
    open_gate(&go);
    home.taskq(&["wait", "a"]).gives(0, "", "");
    let data: Vec<Value> = events(&home, "a.2").iter().map(|event| event["data"]["n"].clone()).collect();
    assert_eq!(data, ["2", "3", "4", "5"]);
    assert_eq!(home.json(&["runs", "a"])["runs"].as_array().map(Vec::len), Some(2));
}

#[test]
fn one_alarm_hears_of_the_failure_of_every_other_job() {
    let home = Home::with_daemon();
    home.add(&["--name", "page", "--on", "job,failed:*", "-c", "echo $TASKQ_EVENT; exit 1"]);
    home.add(&["--name", "good", "--", "true"]);
    home.add(&["--name", "bad", "--on-failure", "exit 3", "-c", "exit 7"]);
    home.taskq(&["wait", "bad"]).gives(7, "", "");
    home.taskq(&["wait", "page"]).gives(1, "", "");
    home.taskq(&["log", "page"]).gives(0, "bad.1\n", "");
    assert_eq!(home.json(&["runs", "page"])["runs"].as_array().map(Vec::len), Some(1), "not by itself");
}

#[test]
fn all_of_several_events_have_to_come() {
    let home = Home::with_daemon();
    home.add(&["--name", "a", "--on", "emit:a", "--", "true"]);
    let both = ["--all-of", "--on", "job,success:a", "--on", "emit:b"];
    home.add(&[&["--name", "m"], &both[..], &["-c", "cat $TASKQ_EVENT_FILE"]].concat());
    for _ in 0..2 {
        home.taskq(&["emit", "b"]).gives(0, "", "");
    }
    let shown = home.taskq(&["show", "m"]).answer().stdout;
    assert!(shown.contains("on emit:b, has fired and waits for the others"), "{shown}");
    home.taskq(&["emit", "a"]).gives(0, "", "");
    home.taskq(&["wait", "a", "m"]).answer();
    let expected = [("b".to_owned(), 1), ("b".to_owned(), 1), ("a.1".to_owned(), 1)];
    assert_eq!(names(&home, "m.1"), expected);
    home.taskq(&["emit", "a"]).gives(0, "", "");
    home.taskq(&["wait", "a", "m"]).answer();
    assert_eq!(home.json(&["runs", "m"])["runs"].as_array().map(Vec::len), Some(1));
}

#[test]
fn the_events_of_a_failed_run_stay_with_it_and_a_retry_has_them_again() {
    let home = Home::with_daemon();
    home.add(&["--name", "a", "--on", "emit:x", "-c", "cat $TASKQ_EVENT_FILE; test -e fixed"]);
    home.taskq(&["emit", "x", "n=1"]).gives(0, "", "");
    home.taskq(&["wait", "a"]).gives(1, "", "");
    std::fs::write(home.work().join("fixed"), "").expect("it is ours");
    home.taskq(&["emit", "x", "n=2"]).gives(0, "", "");
    home.taskq(&["wait", "a"]).gives(0, "", "");
    home.taskq(&["retry", "a.1"]).gives(0, "1.3\n", "");
    home.taskq(&["wait", "a"]).gives(0, "", "");
    assert_eq!(events(&home, "a.3"), events(&home, "a.1"));
    assert_eq!(events(&home, "a.3")[0]["data"]["n"], json!("1"));
}

#[test]
fn a_paused_job_counts_no_events() {
    let home = Home::new();
    home.add(&["--name", "a", "--on", "emit,count=3:x", "--", "true"]);
    home.taskq(&["emit", "x"]).gives(0, "", "");
    home.taskq(&["pause", "a"]).answer();
    home.taskq(&["emit", "x", "--by", "50"]).gives(0, "", "");
    home.taskq(&["resume", "a"]).answer();
    home.taskq(&["emit", "x"]).gives(0, "", "");
    assert_eq!(home.json(&["show", "a"])["job"]["triggers"][0]["counted"], json!(2));
    assert_eq!(home.json(&["runs", "a"])["runs"], json!([]));
}

#[test]
fn an_event_that_nobody_listens_to_is_an_error_unless_it_is_quiet() {
    let home = Home::new();
    let hint = "hint: add one with `taskq add --on emit:x COMMAND`, or give `--quiet`\n";
    let error = format!("error: cannot emit event `x`: no job listens to `x`\n{hint}");
    home.taskq(&["emit", "x"]).gives(1, "", &error);
    home.taskq(&["emit", "x", "--quiet"]).gives(0, "", "");
    home.add(&["--name", "a", "--on", "emit:x", "--", "true"]);
    home.taskq(&["cancel", "a"]).answer();
    home.taskq(&["emit", "x"]).gives(1, "", &error);
}

#[test]
fn a_chain_of_runs_that_cause_each_other_ends() {
    let home = Home::with_daemon();
    home.add(&[
        "--name",
        "a",
        "--on",
        "emit:x",
        "-c",
        &format!("echo $TASKQ_DEPTH; {} emit x", crate::harness::TASKQ),
    ]);
    home.taskq(&["emit", "x"]).gives(0, "", "");
    home.taskq(&["wait", "a"]).gives(1, "", "");
    let last = home.json(&["runs", "a", "-n", "1"])["runs"][0].clone();
    assert_eq!((&last["number"], &last["outcome"]), (&json!(16), &json!("failed")));
    let output = home.taskq(&["log", "a"]).answer().stdout;
    assert!(
        output.starts_with("16\nerror: cannot emit event `x`: it comes from the last of 16 runs"),
        "{output}"
    );
}

#[test]
fn what_a_job_listens_to_is_said_in_words() {
    let home = Home::new();
    home.add(&["--name", "a", "--on", "emit,count=3:x", "--on", "job,failed:tag=t", "--", "true"]);
    let next = home.taskq(&["next"]).answer().stdout;
    assert!(next.contains("when event `x` has been sent 3 times"), "{next}");
    assert!(next.contains("when a run of a job with tag `t` fails"), "{next}");
    let events = home.json(&["next", "a"])["events"].clone();
    assert_eq!(events[0]["on"], json!("emit,count=3:x"));
}

#[test]
fn triggers_on_events_are_changed_and_exported_like_others() {
    let home = Home::new();
    home.add(&["--name", "a", "--on", "emit,count=2:x", "--on", "emit:y", "--all-of", "--", "true"]);
    home.taskq(&["emit", "x"]).gives(0, "", "");
    let line = home.taskq(&["export", "json", "--with-environment", "a"]).answer().stdout;
    assert!(
        line.contains(r#""on":["emit,count=2:x","emit:y"]"#) && line.contains(r#""all_of":true"#),
        "{line}"
    );
    let other = Home::new();
    other.taskq(&["add", "--quiet", "--from", "-"]).stdin(line).gives(0, "1\n", "");
    assert_eq!(other.json(&["show", "a"])["job"]["triggers"][1]["on"], json!("emit:y"));
    home.taskq(&["set", "a", "--on", "emit:z", "--unset", "all-of"]).answer();
    let job = home.json(&["show", "a"])["job"].clone();
    assert_eq!((&job["all_of"], &job["triggers"][0]["on"]), (&json!(false), &json!("emit:z")));
    home.taskq(&["emit", "x"]).answer();
    assert_eq!(home.json(&["runs", "a"])["runs"], json!([]));
    let exported = home.taskq(&["export", "crontab", "a"]).answer();
    assert!(exported.stderr.contains("`--on emit:z`") && exported.status == 1, "{exported:?}");
}
