//! Owns: `list`, `show`, `runs`: tables, documents, filters.
//! Never: how a table is cut to a terminal (see the unit tests of `cli::output`).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::filter::squeezed;
use crate::harness::{Home, open_gate};

/// Jobs of every kind, of which those with a time to come do not run soon.
fn furnished() -> Home {
    let mut home = Home::new();
    home.taskq(&["queue", "set", "gpu", "--slots", "1"]).gives(0, "", "");
    home.taskq(&["queue", "set", "shut", "--slots", "1"]).gives(0, "", "");
    home.taskq(&["pause", "--queue", "shut"]).gives(0, "", "");
    home.add(&["--name", "good", "--tag", "x", "true"]);
    home.add(&["--name", "bad", "--tag", "x", "--tag", "y", "-c", "echo no; exit 7"]);
    home.add(&["--name", "nightly", "--cron", "15 3 * * mon-fri", "rsync", "-a", "src/", "it's here"]);
    home.add(&["--at", "2031-01-01", "--queue", "gpu", "true"]);
    home.add(&["--name", "boot", "--cron", "@reboot", "true"]);
    home.add(&["--name", "held", "--hold", "true"]);
    home.add(&["--name", "stuck", "--queue", "shut", "true"]);
    home.add(&["--name", "typo", "no-such-program"]);
    home.start_daemon(&["--slots", "2"]);
    for name in ["good", "bad", "typo"] {
        home.taskq(&["wait", name]).answer();
    }
    home
}

#[test]
fn jobs_are_listed_and_narrowed() {
    let home = furnished();
    let said = home.transcript(&[
        &["list"],
        &["ls", "-a"],
        &["list", "good", "4"],
        &["list", "--state", "done"],
        &["list", "--state", "blocked"],
        &["list", "--state", "paused"],
        &["list", "--state", "running"],
        &["list", "--queue", "gpu"],
        &["list", "--tag", "y", "-a"],
        &["list", "--tag", "none"],
        &["list", "--name", "*t*"],
        &["list", "--name", "[gb]*d", "-a"],
        &["list", "--failed"],
        &["list", "--failed", "--tag", "x", "-n", "1"],
        &["list", "--failed", "stuck"],
        &["list", "--running"],
        &["list", "--state", "blocked,paused"],
        &["list", "--state", "done,paused", "-n", "2"],
        &["list", "--state", "done,over"],
        &["list", "--running", "--state", "done"],
        &["list", "-a", "-n", "2"],
        &["list", "-n", "0"],
    ]);
    insta::assert_snapshot!(squeezed(&said));
}

#[test]
fn the_columns_of_a_list_are_aligned() {
    let home = Home::new();
    home.add(&["--name", "a", "true"]);
    home.add(&["--priority", "5", "-c", "echo one\necho two"]);
    home.taskq(&["list"]).gives(
        0,
        "ID  NAME  STATE   COMMAND\n 1  a     queued  true\n 2  -     queued  echo one …\n",
        "",
    );
}

#[test]
fn an_empty_answer_is_empty_and_a_success() {
    let home = Home::new();
    for verb in ["list", "runs", "next"] {
        home.taskq(&[verb]).gives(0, "", "");
    }
    home.taskq(&["list", "--json"]).gives(0, "{\"version\":1,\"jobs\":[]}\n", "");
    home.taskq(&["runs", "--json"]).gives(0, "{\"version\":1,\"runs\":[]}\n", "");
    home.taskq(&["next", "--json"]).gives(0, "{\"version\":1,\"fires\":[],\"skipped\":[]}\n", "");
}

#[test]
fn a_job_is_shown_with_all_of_it() {
    let home = furnished();
    home.add(&[
        "--name",
        "full",
        "--cron",
        "15 3 * * *",
        "--every",
        "90s",
        "--start",
        "2031-01-01",
        "--tz",
        "UTC",
        "--tag",
        "a",
        "--tag",
        "b",
        "--priority",
        "-7",
        "--timeout",
        "2h",
        "--kill-after",
        "5s",
        "--overlap",
        "wait",
        "--missed",
        "skip,1d",
        "--grace",
        "1s",
        "-c",
        "make all\n\nmake install\n",
    ]);
    let said = home.transcript(&[&["show", "bad"], &["show", "typo"], &["show", "held"], &["show", "full"]]);
    insta::assert_snapshot!(squeezed(&said));
}

/// Returns what `show` says of triggers and daylight saving, without the time that is left.
fn shown_triggers(home: &Home, job: &str) -> Vec<String> {
    let said = home.taskq(&["show", job]).answer().stdout;
    let lines = said.lines().skip_while(|line| !line.starts_with("Triggers:"));
    let lines = lines.take_while(|line| !line.starts_with("Start:"));
    let untimed = |line: &str| match line
        .split_once(" (in ")
        .and_then(|(next, left)| Some((next, left.split_once(')')?.1)))
    {
        Some((next, mark)) => format!("{next}{mark}"),
        None => line.to_owned(),
    };
    lines.map(untimed).collect()
}

#[test]
fn daylight_saving_within_a_year_is_shown() {
    let home = Home::new();
    let add = |args: &[&str]| {
        home.add(&[&["--start", "2031-03-30", "--tz", "Europe/Berlin"], args, &["true"]].concat())
    };
    add(&["--cron", "30 2 * * *"]);
    add(&["--cron", "*/10 2 * * *", "--cron", "15 3 * * *"]);
    add(&["--cron", "0-59/10 2 * * *"]);
    add(&["--cron", "*/10 * * * *"]);
    add(&["--hold", "--cron", "30 2 * * *"]);
    let away =
        home.add(&["--start", "2031-03-01", "--tz", "America/New_York", "--cron", "30 2 * * *", "true"]);
    assert_eq!(
        shown_triggers(&home, "1"),
        [
            "Triggers:  cron 30 2 * * * (Europe/Berlin), next 2031-03-30 03:00:00 +0200, moved: \
             the clock leaves out 02:30",
            "Daylight:  Sun 2031-10-26 02:30:00 +0200  once: the clock shows 02:30 twice",
        ]
    );
    assert_eq!(
        shown_triggers(&home, "2"),
        [
            "Triggers:  cron */10 2 * * * (Europe/Berlin), next 2031-03-31 02:00:00 +0200",
            "           cron 15 3 * * * (Europe/Berlin), next 2031-03-30 03:15:00 +0200",
            "Daylight:  Sun 2031-03-30 02:00:00 -      skipped: 6 fires, the clock leaves out \
             02:00 to 02:50 (cron */10 2 * * *)",
            "           Sun 2031-10-26 02:00:00 +0200  twice: 12 fires instead of 6, the clock shows \
             02:00 to 02:50 twice (cron */10 2 * * *)",
        ]
    );
    assert_eq!(
        shown_triggers(&home, "3"),
        [
            "Triggers:  cron 0-59/10 2 * * * (Europe/Berlin), next 2031-03-30 03:00:00 +0200, \
             merged: 6 fires in one, the clock leaves out 02:00 to 02:50",
            "Daylight:  Sun 2031-10-26 02:00:00 +0200  once: 6 fires, the clock shows 02:00 to 02:50 twice",
        ]
    );
    assert_eq!(shown_triggers(&home, "4").len(), 1, "in every hour, whatever the clock shows");
    assert_eq!(shown_triggers(&home, "5"), ["Triggers:  cron 30 2 * * * (Europe/Berlin)"]);
    assert_eq!(
        shown_triggers(&home, &away)[1],
        "Daylight:  Sun 2031-03-09 03:00:00 -0400  moved: the clock leaves out 02:30 (America/New_York)"
    );
    let trigger = home.json(&["show", "1"])["job"]["triggers"][0]["daylight"].clone();
    assert_eq!(trigger["next_fire"], "moved");
    assert_eq!(
        trigger["changes"][1].to_string(),
        "{\"at\":\"2031-10-26T00:30:00Z\",\"count\":1,\"daylight\":\"once\",\
         \"from\":\"2031-10-26T02:30:00\",\"to\":\"2031-10-26T02:30:00\"}"
    );
}

#[test]
fn the_documents_of_jobs_and_runs_have_their_keys() {
    let home = furnished();
    insta::assert_snapshot!(home.transcript(&[
        &["show", "bad", "--json"],
        &["list", "--name", "nightly", "--json"],
        &["runs", "typo", "--json"],
        &["runs", "held", "--json"],
    ]));
}

#[test]
fn runs_are_listed_newest_first_and_narrowed() {
    let home = furnished();
    home.taskq(&["run", "bad", "--wait"]).answer();
    let said = home.transcript(&[
        &["runs", "bad"],
        &["runs", "bad", "-n", "1"],
        &["runs", "-n", "0"],
        &["runs", "--outcome", "failed"],
        &["runs", "--outcome", "spawn_failed"],
        &["runs", "--outcome", "lost"],
        &["runs", "--outcome", "failed,spawn_failed"],
        &["runs", "--outcome", "success,spawn_failed"],
        &["runs", "--failed"],
        &["runs", "--failed", "-n", "1"],
        &["runs", "--failed", "--outcome", "lost"],
        &["runs", "good", "bad"],
        &["runs", "bad", "good", "2", "-n", "2"],
        &["runs", "good", "nobody"],
        &["runs", "--failed", "--since", "1h"],
        &["runs", "bad", "--since", "today 00:00"],
        &["runs", "--since", "2031-01-01"],
    ]);
    insta::assert_snapshot!(squeezed(&said));
}

#[test]
fn only_the_latest_run_says_whether_a_job_has_failed() {
    let home = Home::with_daemon();
    let failed = || -> Vec<String> {
        let jobs = home.json(&["list", "--failed"])["jobs"].clone();
        let jobs = jobs.as_array().expect("a list").iter();
        jobs.map(|job| job["name"].as_str().unwrap_or_default().to_owned()).collect()
    };
    home.add_and_wait(&["--name", "mended", "-c", "test -e mended"]);
    home.add_and_wait(&["--name", "broken", "-c", "test ! -e mended"]);
    assert_eq!(failed(), ["mended"]);
    std::fs::write(home.work().join("mended"), "").expect("the directory is ours");
    home.taskq(&["run", "mended", "broken", "--wait"]).answer();
    assert_eq!(failed(), ["broken"]);
}

#[test]
fn several_jobs_are_shown_one_after_the_other() {
    let home = Home::new();
    home.add(&["--name", "a", "true"]);
    home.add(&["--name", "b", "--hold", "true"]);
    let one = |job: &str| home.taskq(&["show", job]).answer().stdout;
    assert_eq!(home.taskq(&["show", "a", "2"]).answer().stdout, format!("{}\n{}", one("a"), one("2")));
    let (a, several) = (home.json(&["show", "a"]), home.json(&["show", "a", "b"]));
    assert_eq!(several["jobs"][0]["job"], a["job"]);
    assert_eq!(several["jobs"][1]["job"]["id"], 2);
    assert_eq!(
        (&several["version"], several["jobs"].as_array().map(Vec::len)),
        (&serde_json::json!(1), Some(2))
    );
    assert_eq!(home.taskq(&["show", "a", "nobody"]).answer().status, 1);
}

#[test]
fn runs_are_paged_by_their_number() {
    let mut home = Home::new();
    home.add(&["--name", "a", "true"]);
    for _ in 0..24 {
        home.taskq(&["run", "a"]).answer();
    }
    let count = |args: &[&str]| home.json(args)["runs"].as_array().map(Vec::len);
    assert_eq!(
        (count(&["runs"]), count(&["runs", "-n", "100"]), count(&["runs", "-n", "3"])),
        (Some(20), Some(25), Some(3))
    );
    let newest = home.json(&["runs", "-n", "1"])["runs"][0]["id"].clone();
    assert_eq!(newest, "1.25");
    home.start_daemon(&["--slots", "4"]);
    home.taskq(&["wait", "--all"]).gives(0, "", "");
}

/// Returns the first column of a table in the section JSON of taskq(1).
fn keys_in_manual(table: &str) -> BTreeSet<String> {
    let manual = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("man/taskq.1"));
    let manual = manual.expect("it is committed");
    let section = manual.split_once(".SH JSON\n").expect("the manual has the section").1;
    let table = section.split_once(&format!(".SS \"{table}\"\n.nf\n")).expect("the section has the table").1;
    let rows = table.lines().take_while(|line| *line != ".fi").filter(|line| !line.starts_with(' '));
    rows.flat_map(|row| row.split("  ").next().unwrap_or_default().split(", ").map(str::to_owned)).collect()
}

fn keys(object: &Value) -> BTreeSet<String> {
    object.as_object().expect("an object").keys().cloned().collect()
}

#[test]
fn a_job_that_fires_a_number_of_times_shows_how_often_it_has() {
    let home = Home::with_daemon();
    home.add(&["--name", "a", "--at", "now", "--at", "2031-01-01", "--times", "2", "true"]);
    home.taskq(&["wait", "a", "--timeout", "1ms"]).answer();
    home.taskq(&["run", "a", "--wait"]).answer();
    let job = home.json(&["show", "a"])["job"].clone();
    assert_eq!((job["times"].as_i64(), job["times_begun"].as_i64()), (Some(2), Some(1)));
    assert!(home.taskq(&["show", "a"]).answer().stdout.contains("\nTimes:     1/2 runs have begun\n"));
    assert!(home.taskq(&["list"]).answer().stdout.contains(", 1/2"));
    home.add(&["--name", "b", "--at", "now", "--at", "2031-01-01", "--times", "1", "true"]);
    home.taskq(&["wait", "b"]).gives(0, "", "");
    assert_eq!(home.json(&["show", "b"])["job"]["state"], "done");
}

#[test]
fn the_manual_has_every_key_of_jobs_triggers_and_runs() {
    let home = furnished();
    home.taskq(&["import", "crontab", "--from", "cronie", "-"])
        .stdin("RANDOM_DELAY=30\n1 1 * * * true\n")
        .answer();
    home.add(&["--every", "1h", "true"]);
    home.add(&["--every", "1h", "--after-end", "true"]);
    home.add(&["--on", "emit:x", "true"]);
    home.add(&["--calendar", "daily", "true"]);
    let jobs = home.json(&["list", "-a"]);
    let jobs = jobs["jobs"].as_array().expect("a list");
    assert_eq!(keys(&jobs[0]), keys_in_manual("A job"));
    let mut triggers: BTreeSet<String> = jobs
        .iter()
        .flat_map(|job| job["triggers"].as_array().expect("a list").iter().flat_map(keys))
        .collect();
    triggers.extend(keys(&home.json(&["show", "nightly"])["job"]["triggers"][0]));
    assert_eq!(triggers, keys_in_manual("A trigger"));
    let run = &home.json(&["show", "bad"])["last_runs"][0];
    assert_eq!(keys(run), keys_in_manual("A run"));
    assert_eq!(keys(&run["attempts"][0]), keys_in_manual("An attempt"));
}

#[test]
fn a_running_run_is_shown_with_what_it_uses_now() {
    let home = Home::with_daemon();
    let gate = home.fifo("gate");
    home.add(&["--name", "a", "-c", "read x <gate; true"]);
    while home.json(&["show", "a"])["job"]["state"] != "running" {
        home.taskq(&["wait", "a", "--timeout", "10ms"]).answer();
    }
    let used = &home.json(&["show", "a"])["last_runs"][0]["present_use"];
    assert_eq!(used["processes"], 1, "{used}");
    assert!(used["rss_kib"].as_u64() > Some(0) && used["cpu_ms"].is_u64(), "{used}");
    let shown = home.taskq(&["show", "a"]).answer().stdout;
    let line = shown.lines().find(|line| line.starts_with("Uses now:")).expect("it runs");
    assert!(line.contains("1.1: ") && line.ends_with(" of memory in 1 process"), "{line}");
    open_gate(&gate);
    home.taskq(&["wait", "a"]).gives(0, "", "");
    assert!(home.json(&["show", "a"])["last_runs"][0]["present_use"].is_null());
    assert!(!home.taskq(&["show", "a"]).answer().stdout.contains("Uses now"));
}
