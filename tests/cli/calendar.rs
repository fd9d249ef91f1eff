//! Owns: `--calendar`, from the command line to the run and back out.
//! Never: the meaning of expressions (see the tests of `schedule`, and tests/differential.rs).

use crate::harness::Home;

#[track_caller]
fn preview(args: &[&str], wanted: &str) {
    Home::new().taskq(&[&["next", "--calendar"], args].concat()).gives(0, wanted, "");
}

#[test]
fn a_calendar_time_in_the_gap_is_skipped_and_one_in_the_fold_fires_once() {
    preview(
        &["02:30", "--from", "2026-03-28", "-n", "2"],
        "Sat 2026-03-28 02:30:00 +0100\n\
         Sun 2026-03-29 02:30:00 -      skipped: the clock leaves out 02:30\n\
         Mon 2026-03-30 02:30:00 +0200\n",
    );
    preview(
        &["*:00/30", "--from", "2026-10-25 01:45", "-n", "4"],
        "Sun 2026-10-25 02:00:00 +0200  once: the clock shows 02:00 twice\n\
         Sun 2026-10-25 02:30:00 +0200  once: the clock shows 02:30 twice\n\
         Sun 2026-10-25 03:00:00 +0100\n\
         Sun 2026-10-25 03:30:00 +0100\n",
    );
}

#[test]
fn a_zone_in_a_calendar_goes_before_the_option() {
    let tokyo = "Mon 2026-03-02 09:30:00 +0900\n";
    let from = ["--from", "2026-03-01T00:00Z", "-n", "1"];
    preview(&[&["Mon..Fri 09:30 Asia/Tokyo"], &from[..]].concat(), tokyo);
    preview(&[&["Mon..Fri 09:30 Asia/Tokyo", "--tz", "UTC"], &from[..]].concat(), tokyo);
    preview(&[&["Mon..Fri 09:30", "--tz", "Asia/Tokyo"], &from[..]].concat(), tokyo);
    let home = Home::new();
    for (expr, tz, zone) in [
        ("daily UTC", "Asia/Tokyo", "UTC".into()),
        ("daily", "Asia/Tokyo", "Asia/Tokyo".into()),
        ("daily", "system", serde_json::Value::Null),
        ("daily Asia/Tokyo", "system", "Asia/Tokyo".into()),
    ] {
        let job = home.add(&["--calendar", expr, "--tz", tz, "true"]);
        let trigger = home.json(&["show", &job])["job"]["triggers"][0].clone();
        assert_eq!((&trigger["kind"], &trigger["calendar"]), (&"calendar".into(), &expr.into()));
        assert_eq!(trigger["tz"], zone, "{expr} {tz}");
    }
}

#[test]
fn a_calendar_has_its_years_and_its_fractions() {
    let home = Home::new();
    let call =
        |args: &[&str]| home.taskq(&[&["next", "-n", "1", "--tz", "UTC", "--calendar"], args].concat());
    let years = "a calendar expression fires from 1970 to 2199 only\n";
    call(&["yearly", "--from", "1900-01-01"]).gives(0, "Thu 1970-01-01 00:00:00 +0000\n", years);
    call(&["yearly", "--from", "2200-01-01"]).gives(0, "", &format!("{years}it never fires\n"));
    call(&["2020-01-01", "--from", "2026-01-01"]).gives(0, "", "it never fires\n");
    let fires = home.json(&["next", "--calendar", "*:*:0/1.5 UTC", "--from", "2026-01-01T00:00Z", "-n", "2"]);
    assert_eq!(fires["fires"][0]["at"], "2026-01-01T00:00:01.500Z");
    assert_eq!(fires["fires"][1]["at"], "2026-01-01T00:00:03Z");
}

#[test]
fn a_calendar_fires_and_its_run_knows_the_kind() {
    let home = Home::with_daemon();
    let gate = home.fifo("gate");
    let script = "echo $TASKQ_TRIGGER >gate";
    home.add(&["--name", "a", "--calendar", "*:*:0/0.05", "--times", "1", "-c", script]);
    assert_eq!(std::fs::read_to_string(gate).expect("the run writes into it"), "calendar\n");
    // On a busy machine a second fire comes before the first run has begun, and is skipped.
    home.taskq(&["wait", "a.1"]).gives(0, "", "");
    let runs = home.json(&["runs", "a"])["runs"].as_array().expect("a list").clone();
    assert!(runs.iter().all(|run| run["trigger"] == "calendar"), "{runs:?}");
    assert_eq!(home.json(&["show", "a"])["job"]["state"], "done");
}

#[test]
fn a_calendar_is_shown_and_changed_like_other_triggers() {
    let home = Home::new();
    home.add(&["--name", "a", "--calendar", "2031-*-1 12:00 Asia/Tokyo", "--calendar", "2032-1-1", "true"]);
    home.add(&["--name", "b", "--calendar", "2031-02-03 04:05", "--tz", "UTC", "true"]);
    let shows = |args: &[&str], part: &str| {
        let stdout = home.taskq(args).answer().stdout;
        assert!(stdout.contains(part), "{args:?}: {stdout}");
    };
    shows(&["list"], "  calendar 2031-*-1 12:00 Asia/Tokyo; calendar 2032-1-1  true\n");
    shows(&["show", "a"], "Triggers:  calendar 2031-*-1 12:00 Asia/Tokyo, next 2031-01-01 12:00:00 +0900");
    shows(&["show", "a"], "           calendar 2032-1-1 (Europe/Berlin), next 2032-01-01 00:00:00 +0100");
    shows(&["why", "b"], "2031-02-03 UTC");
    shows(&["why", "b"], " (calendar 2031-02-03 04:05)\n");
    shows(&["next"], "2031-02-03 04:05 UTC");
    shows(&["next", "a", "-n", "2"], "2031-02-01 12:00 Asia/Tokyo");
    insta::assert_snapshot!(home.transcript(&[
        &["set", "a", "--calendar", "Mon 2031-*-* 10:00", "--cron", "0 0 0 1 1 * 2032"],
        &["set", "a", "--tz", "UTC"],
        &["set", "a", "--calendar", "2031-01-01", "--nth", "2", "--start", "2030-01-01"],
        &["set", "b", "--at", "2031-01-01"],
    ]));
}

#[test]
fn a_batch_takes_a_calendar_or_a_list_of_them() {
    let home = Home::new();
    let lines = concat!(
        r#"{"script":"true","calendar":"daily UTC"}"#,
        "\n",
        r#"{"script":"true","calendar":["Mon 10:00","*-*~01"],"tz":"Asia/Tokyo","nth":2,"jitter":"1h"}"#,
    );
    home.taskq(&["add", "--quiet", "--from", "-"]).stdin(lines).gives(0, "1\n2\n", "");
    let triggers = home.json(&["show", "2"])["job"]["triggers"].clone();
    assert_eq!(triggers[1]["calendar"], "*-*~01");
    assert!(triggers[1]["delay_ms"].is_u64(), "{triggers}");
    // What is exported reads back.
    let exported = home.taskq(&["export", "json", "--with-environment"]).answer();
    assert_eq!((exported.status, exported.stderr.as_str()), (0, ""));
    let other = Home::new();
    other.taskq(&["add", "--quiet", "--from", "-"]).stdin(exported.stdout.clone()).gives(0, "1\n2\n", "");
    assert_eq!(other.taskq(&["export", "json", "--with-environment"]).answer().stdout, exported.stdout);
}

#[test]
fn a_calendar_is_exported_to_systemd_as_it_was_given() {
    let home = Home::new();
    home.add(&["--name", "a", "--clean-env", "--calendar", "Mon..Fri  9:5", "--tz", "system", "true"]);
    home.add(&["--name", "b", "--clean-env", "--calendar", "*:0/7", "--tz", "Asia/Tokyo", "true"]);
    home.add(&["--name", "c", "--clean-env", "--calendar", "weekly utc", "--jitter", "1h", "true"]);
    let units = home.taskq(&["export", "systemd"]).answer();
    assert_eq!((units.status, units.stderr.as_str()), (0, ""));
    let lines: Vec<&str> = units.stdout.lines().filter(|line| line.starts_with("OnCalendar=")).collect();
    assert_eq!(lines, ["OnCalendar=Mon..Fri  9:5", "OnCalendar=*:0/7 Asia/Tokyo", "OnCalendar=weekly utc"]);
    home.add(&["--name", "d", "--cron", "@daily", "--calendar", "daily", "--tz", "system", "true"]);
    insta::assert_snapshot!(home.transcript(&[&["export", "crontab", "a", "d"]]));
}

#[test]
fn a_calendar_that_is_none_is_refused_and_nothing_is_stored() {
    let home = Home::new();
    insta::assert_snapshot!(home.transcript(&[
        &["add", "--calendar", "Mon..Fri 25:00", "true"],
        &["add", "--calendar", "daily Europe/Pariss", "true"],
        &["add", "--calendar", "0 3 * * *", "true"],
        &["add", "--calendar", "*-02-30", "true"],
        &["add", "--calendar", "2020-01-01", "true"],
        &["add", "--calendar", "2031-01-01", "--until", "2030-01-01", "true"],
        &["add", "--calendar", "Mon..", "Fri", "true"],
        &["add", "--calendar", "Sun *-03~07/1 02:30 Europe/Berlin", "true"],
        &["add", "--cron", "Mon *-*-* 10:00", "true"],
        &["next", "--calendar", "daily", "--cron", "@daily"],
        &["next", "--calendar", "daily UTC", "--tz", "Nowhere"],
        &["list", "-a"],
    ]));
}
