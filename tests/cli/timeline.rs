//! Owns: `timeline`, and the sparklines of `runs` and `stats`: which runs are found, JSON, files, errors.
//! Never: the layout (see the unit tests of `cli::view::timeline`).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{Home, TASKQ, open_gate};
use crate::shared::has;

/// Runs a script on a terminal, and returns what that shows.
fn on_terminal(home: &Home, columns: u32, line: &str) -> Option<String> {
    if !has("script", Command::new("script").arg("--version").output().is_ok()) {
        return None;
    }
    let line = format!("stty rows 24 cols {columns}; {TASKQ} --color never {line}; echo \"exit $?\"");
    let output = home.shell("script").args(["-qec", &line, "/dev/null"]).output().expect("script starts");
    Some(String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n"))
}

fn line_of<'a>(picture: &'a str, job: &str) -> &'a str {
    let line = picture.lines().find(|line| line.split_whitespace().nth(1) == Some(job));
    line.unwrap_or_else(|| panic!("{job} has a line: {picture}"))
}

/// Changes rows of the store: time has passed.
fn change(home: &Home, sql: &str) {
    let database = Connection::open(home.store().join("taskq.db")).expect("there is a store");
    database.execute_batch(sql).expect("the rows can be so");
}

/// Moves all times of the run log into the past.
fn age(home: &Home, seconds: i64, condition: &str) {
    let back = seconds * 1_000_000;
    change(
        home,
        &format!(
            "UPDATE run SET scheduled_at = scheduled_at - {back}, queued_at = queued_at - {back},
                claimed_at = claimed_at - {back}, started_at = started_at - {back},
                finished_at = finished_at - {back} WHERE {condition}"
        ),
    );
}

fn ids(timeline: &Value) -> Vec<String> {
    let runs = |job: &Value| job["runs"].as_array().cloned().expect("a list");
    let jobs = timeline["jobs"].as_array().expect("a list");
    jobs.iter().flat_map(runs).filter_map(|run| run["id"].as_str().map(str::to_owned)).collect()
}

#[test]
fn each_job_has_a_line_with_signs_for_what_did_not_succeed() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--name", "good", "true"]);
    home.add_and_wait(&["--name", "bad", "false"]);
    home.add_and_wait(&["--name", "typo", "no-such-program"]);
    home.add_and_wait(&["--name", "slow", "--timeout", "10ms", "sleep", "60"]);
    home.add(&["--name", "coming", "--at", "now + 7 seconds", "true"]);
    home.add(&["--name", "far", "--cron", "@yearly", "true"]);
    home.add(&["--name", "held", "--hold", "true"]);
    let picture = home.taskq(&["timeline"]).answer().stdout;
    for (job, sign) in
        [("good", '▌'), ("bad", '✗'), ("typo", '!'), ("slow", 't'), ("coming", '▹'), ("held", '┄')]
    {
        let line = line_of(&picture, job).replace(['▐', '█'], "▌");
        assert!(line.contains(sign) && line.contains('│'), "{sign}: {picture}");
    }
    assert!(!picture.contains("far"), "nothing of it is in the window: {picture}");
    assert!(
        picture.lines().nth(1).is_some_and(|head| head.starts_with("ID  JOB     ") && head.contains('┼'))
    );
    let legend =
        "\n█ 1 success   ✗ 1 failed   t 1 timed_out   ! 1 spawn_failed   ┄ 1 waiting   ▹ coming\n│ now, ";
    assert!(picture.contains(legend), "{picture}");
    assert!(picture.contains("\nbusiest minute: ") && picture.contains("; a column is about "), "{picture}");
    let one = home.taskq(&["timeline", "bad", "1"]).answer().stdout;
    assert!(one.contains("bad") && one.contains("good") && !one.contains("typo"), "{one}");
}

#[test]
fn a_timeline_is_a_document_too() {
    let home = Home::with_daemon();
    home.fifo("gate");
    home.add(&["--name", "gated", "--overlap", "allow", "cat", "gate"]);
    home.add(&["--name", "retried", "--retries", "1", "--retry-delay", "1ms", "false"]);
    home.add(&["--name", "soon", "--every", "5s", "true"]);
    home.taskq(&["wait", "retried"]).answer();
    let timeline = home.json(&["timeline", "gated", "retried", "soon"]);
    let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        keys(&timeline),
        ["busiest_minute", "jobs", "most_at_once", "now_at", "since_at", "until_at", "version"]
    );
    assert_eq!(&ids(&timeline)[..2], ["1.1", "2.1"]);
    let retried = &timeline["jobs"][1]["runs"][0];
    assert_eq!((&retried["attempt"], &retried["outcome"]), (&json!(2), &json!("failed")));
    assert_eq!(retried["earlier_attempts"][0]["outcome"], "failed");
    let coming = timeline["jobs"][2]["coming"].as_array().expect("a list");
    assert!((2..=4).contains(&coming.len()), "of 15 seconds: {timeline}");
    assert!(timeline["busiest_minute"]["starts"].as_u64() >= Some(1), "{timeline}");
    assert!(timeline["most_at_once"].as_u64() >= Some(1));
    let picture = home.taskq(&["timeline", "gated"]).answer().stdout;
    assert!(line_of(&picture, "gated").contains("▒│") && picture.contains("1 running"), "{picture}");
    open_gate(&home.work().join("gate"));
}

#[test]
fn runs_at_once_are_seen_in_the_line_of_their_job() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--array", "1-3", "true"]);
    // All of them ran during the last minute.
    change(&home, "UPDATE run SET started_at = (SELECT min(started_at) FROM run) - 60000000");
    home.taskq(&["pause", "--queue", "default"]).answer();
    home.add(&["--array", "1-4", "false"]);
    let timeline = home.json(&["timeline"]);
    let most = |of: &Value| of["most_at_once"].as_u64();
    assert_eq!(
        (most(&timeline), most(&timeline["jobs"][0]), most(&timeline["jobs"][1])),
        (Some(3), Some(3), Some(0))
    );
    assert_eq!(
        (&timeline["jobs"][0]["waiting_indices"], &timeline["jobs"][1]["waiting_indices"]),
        (&json!(0), &json!(4))
    );
    let picture = home.taskq(&["timeline"]).answer().stdout;
    let head = picture.lines().nth(1).expect("the heads");
    assert!(head.contains("  MOST  "), "{picture}");
    assert!(
        line_of(&picture, "true").contains("  3  ") && line_of(&picture, "false").contains("┄│"),
        "{picture}"
    );
    assert_eq!(picture.matches("████│").count(), 2, "the line of the job, and that of all: {picture}");
    assert!(picture.contains("\n    at once     3  ") && picture.contains("┄ 4 waiting"), "{picture}");
}

#[test]
fn a_run_is_found_by_the_time_of_its_process_and_a_fire_by_its_own() {
    let home = Home::with_daemon();
    for _ in 0..3 {
        home.add_and_wait(&["true"]);
    }
    // The first ran for two hours and ended an hour ago, the second ended before that, the third is missed.
    age(&home, 3 * 3_600, "job_id < 3");
    change(&home, "UPDATE run SET finished_at = finished_at + 7200000000 WHERE job_id = 1");
    change(
        &home,
        "UPDATE run SET outcome = 'missed', exit_code = NULL, started_at = NULL, fires = 7,
            scheduled_at = scheduled_at - 5400000000 WHERE job_id = 3",
    );
    let since = |span: &str, until: &str| ids(&home.json(&["timeline", "--since", span, "--until", until]));
    assert_eq!(since("90m", "1m ago"), ["1.1"], "the fire was before");
    assert_eq!(since("2h", "1m ago"), ["1.1", "3.1"], "it was found later");
    assert_eq!(since("2h", "80 minutes ago"), ["1.1", "3.1"]);
    assert_eq!(since("30m", "in 1 minute"), Vec::<String>::new());
    assert_eq!(since("4h", "in 1 minute"), ["1.1", "2.1", "3.1"]);
    let of_one = home.json(&["timeline", "3", "1", "--since", "2h", "--until", "80 minutes ago"]);
    assert_eq!(ids(&of_one), ["1.1", "3.1"]);
    let picture = home.taskq(&["timeline", "--since", "4h"]).answer().stdout;
    assert!(picture.contains("█ 2 success   ○ 7 missed"), "{picture}");
}

#[test]
fn the_window_is_fitted_to_what_there_is() {
    let home = Home::with_daemon();
    home.add_and_wait(&["true"]);
    age(&home, 7_200, "1");
    let times = |args: &[&str]| {
        let timeline = home.json(&[&["timeline"], args].concat());
        let time = |key: &str| timeline[key].as_str().expect("an instant").to_owned();
        (time("since_at"), time("until_at"), time("now_at"))
    };
    let (since, until, now) = times(&[]);
    let seconds = |text: &str| {
        let clock = text.split_once('T').expect("RFC 3339").1;
        let part = |range: std::ops::Range<usize>| clock[range].parse::<i64>().expect("digits");
        part(0..2) * 3_600 + part(3..5) * 60 + part(6..8)
    };
    let past = (seconds(&now) - seconds(&since)).rem_euclid(86_400);
    let coming = (seconds(&until) - seconds(&now)).rem_euclid(86_400);
    assert!((7_200..7_300).contains(&past), "{since} {now}");
    assert!((coming - past / 4).abs() <= 2, "{now} {until}");
    let (since, until, _) = times(&["--since", "2026-03-01", "--until", "2026-03-02 12:00"]);
    assert_eq!((since.as_str(), until.as_str()), ("2026-02-28T23:00:00Z", "2026-03-02T11:00:00Z"));
    let fresh = Home::new();
    fresh.add(&["--cron", "* * * * *", "true"]);
    let timeline = fresh.json(&["timeline"]);
    assert_eq!(timeline["since_at"], timeline["now_at"], "nothing has run");
    assert!(
        timeline["jobs"][0]["coming"].as_array().is_some_and(|coming| coming.len() > 900),
        "a day of them"
    );
}

#[test]
fn bad_windows_jobs_and_files_are_refused() {
    let home = Home::with_daemon();
    home.add_and_wait(&["true"]);
    let hint = "hint: give a `--since` that is before `--until`\n";
    home.taskq(&["timeline", "--since", "2026-03-02", "--until", "2026-03-01"]).gives(
        2,
        "",
        &format!(
            "error: cannot draw timeline: it would end at 2026-03-01 00:00:00 +0100, which is not after its \
             beginning, 2026-03-02 00:00:00 +0100\n{hint}"
        ),
    );
    home.taskq(&["timeline", "--until", "2h"]).gives(
        2,
        "",
        "error: cannot draw timeline: `2h` is a span, not a time\nhint: write `2h ago` or `in 2h`\n",
    );
    home.taskq(&["timeline", "nobody"]).gives(
        1,
        "",
        "error: cannot draw timeline of job `nobody`: there is no such job\n\
         hint: list all jobs with `taskq list --all`\n",
    );
    home.taskq(&["timeline", "--svg", "no/such.svg"]).gives(
        1,
        "",
        "error: cannot write `no/such.svg`: no such file or directory\n",
    );
    assert_eq!(home.taskq(&["timeline", "--since", "yesteryear"]).answer().status, 2);
    assert_eq!(home.taskq(&["timeline", "--svg", "x", "--json"]).answer().status, 2);
    assert_eq!(home.taskq(&["timeline", "1.1"]).answer().status, 2);
    home.taskq(&["timeline", "--since", "2020-01-01", "--until", "2020-01-02"]).gives(0, "", "");
    Home::new().taskq(&["timeline"]).gives(0, "", "");
}

#[test]
fn a_file_is_written_whole_or_not_at_all() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--name", "a-b", "true"]);
    home.taskq(&["timeline", "--svg", "runs.svg"]).gives(0, "", "");
    let file = home.file("runs.svg");
    assert!(file.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" ") && file.ends_with("</svg>\n"));
    assert!(file.contains("<title>a-b 1.1 success\n"), "{file}");
    let printed = home.taskq(&["timeline", "--svg", "-"]).answer().stdout;
    assert!(printed.starts_with("<svg ") && printed.ends_with("</svg>\n"));
    fs::create_dir(home.work().join("taken")).expect("the name is new");
    assert_eq!(home.taskq(&["timeline", "--svg", "taken"]).answer().status, 1);
    home.taskq(&["timeline", "--svg", "/dev/null"]).gives(0, "", "");
    let names: BTreeSet<_> =
        fs::read_dir(home.work()).expect("ours").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, BTreeSet::from(["runs.svg".into(), "taken".into()]), "nothing is left beside");
    let Some(shown) = on_terminal(&home, 80, "timeline --svg runs.svg") else { return };
    assert_eq!(shown, "wrote `runs.svg`\nexit 0\n");
}

#[test]
fn a_terminal_gets_a_picture_that_fits_or_a_sentence() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--name", "nightly-backup-of-the-file-server-in-the-basement", "true"]);
    home.add_and_wait(&["rsync", "--version"]);
    for columns in [60, 80, 120] {
        let Some(shown) = on_terminal(&home, columns, "timeline") else { return };
        assert!(shown.lines().all(|line| line.chars().count() <= columns as usize), "{shown}");
        assert!(shown.contains("nightly-") && shown.ends_with("exit 0\n"), "{shown}");
    }
    let narrow = "error: cannot draw timeline: the terminal has 30 columns, of which 33 are needed\n\
                  hint: make it wider, or write the picture to a file with `--svg FILE`\nexit 1\n";
    assert_eq!(on_terminal(&home, 30, "timeline").as_deref(), Some(narrow));
    let shown = on_terminal(&home, 80, "timeline 2>&1 --since 2020-01-01 --until 2020-01-02");
    let empty = "no runs and no coming fires in this time; see `--since` and `--until`\nexit 0\n";
    assert_eq!(shown.as_deref(), Some(empty));
    // Nothing moves, so a dumb terminal gets the same picture.
    let line = format!("stty rows 24 cols 80; TERM=dumb {TASKQ} timeline --since 1h");
    let dumb = home.shell("script").args(["-qec", &line, "/dev/null"]).output().expect("script starts");
    let dumb = String::from_utf8_lossy(&dumb.stdout).into_owned();
    assert!(dumb.contains('│') && !dumb.contains('\u{1b}'), "{dumb}");
}

#[test]
fn lists_and_statistics_have_sparklines_on_a_terminal_alone() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--name", "often", "-c", "test $TASKQ_RUN != 1.2"]);
    for _ in 0..3 {
        home.taskq(&["run", "often", "--wait"]).answer();
    }
    home.add_and_wait(&["--name", "once", "true"]);
    let piped = home.taskq(&["runs"]).answer().stdout;
    assert!(!piped.contains("oldest first") && !piped.contains('█'), "{piped}");
    let Some(shown) = on_terminal(&home, 80, "runs often") else { return };
    let bars = shown.lines().find(|line| line.starts_with("often  ")).unwrap_or_else(|| panic!("{shown}"));
    let bars = bars.split_whitespace().nth(1).expect("bars");
    assert_eq!((bars.chars().count(), bars.chars().nth(1)), (4, Some('✗')), "the oldest first: {shown}");
    let all = on_terminal(&home, 80, "runs").expect("there is a terminal");
    assert!(all.contains("\n\noften  ") && !all.contains("\nonce "), "{all}");
    age(&home, 300, "job_id = 1 AND number = 1");
    let stats = on_terminal(&home, 100, "stats").expect("there is a terminal");
    let minutes =
        stats.lines().find(|line| line.starts_with("Minutes:   ")).unwrap_or_else(|| panic!("{stats}"));
    assert!(minutes.contains("▂····") && minutes.ends_with("up to 4 a minute"), "{minutes}");
    assert!(!home.taskq(&["stats"]).answer().stdout.contains("Minutes"));
}

#[test]
fn the_manual_has_every_key_of_a_timeline() {
    let manual = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("man/taskq.1"));
    let manual = manual.expect("it is committed");
    let table = manual.split_once(".SS \"A timeline\"\n").expect("the manual has the table").1;
    let table = table.split_once(".fi\n").expect("it ends").0;
    let words: BTreeSet<&str> = table.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let home = Home::with_daemon();
    home.add_and_wait(&["--retries", "1", "--retry-delay", "1ms", "false"]);
    let timeline = home.json(&["timeline"]);
    let job = &timeline["jobs"][0];
    let parts = [
        &timeline,
        job,
        &job["runs"][0],
        &job["runs"][0]["earlier_attempts"][0],
        &timeline["busiest_minute"],
    ];
    for key in parts.iter().flat_map(|part| part.as_object().expect("an object").keys()) {
        assert!(key == "version" || words.contains(key.as_str()), "{key}");
    }
}
