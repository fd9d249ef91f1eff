//! Owns: `next`, of jobs and of triggers that no job has.
//! Never: the meaning of expressions (see the tests of `schedule`).

use crate::harness::Home;

#[track_caller]
fn preview(args: &[&str], wanted: &str) {
    Home::new().taskq(&[&["next"], args].concat()).gives(0, wanted, "");
}

#[test]
fn a_time_in_the_gap_fires_at_its_end() {
    preview(
        &["--cron", "30 2 * * *", "--from", "2026-03-28", "-n", "3"],
        "Sat 2026-03-28 02:30:00 +0100\nSun 2026-03-29 03:00:00 +0200\nMon 2026-03-30 02:30:00 +0200\n",
    );
}

#[test]
fn a_time_that_comes_twice_fires_once_and_a_star_follows_real_time() {
    preview(
        &["--cron", "30 2 * * *", "--from", "2026-10-24 12:00", "-n", "2"],
        "Sun 2026-10-25 02:30:00 +0200\nMon 2026-10-26 02:30:00 +0100\n",
    );
    preview(
        &["--cron", "*/30 * * * *", "--from", "2026-10-25 02:10", "-n", "4"],
        "Sun 2026-10-25 02:30:00 +0200\nSun 2026-10-25 02:00:00 +0100\n\
         Sun 2026-10-25 02:30:00 +0100\nSun 2026-10-25 03:00:00 +0100\n",
    );
}

#[test]
fn seconds_and_years_may_be_given() {
    preview(
        &["--cron", "30 0 9 * * Mon 2027", "--tz", "UTC", "--from", "2026-01-01", "-n", "2"],
        "Mon 2027-01-04 09:00:30 +0000\nMon 2027-01-11 09:00:30 +0000\n",
    );
}

#[test]
fn a_period_counts_from_the_given_instant() {
    preview(
        &["--every", "1h30m", "--from", "2026-01-01", "-n", "2"],
        "Thu 2026-01-01 01:30:00 +0100\nThu 2026-01-01 03:00:00 +0100\n",
    );
}

#[test]
fn words_are_read_in_the_zone() {
    preview(
        &["--at", "next monday 10:00", "--tz", "America/New_York", "--from", "2026-01-01"],
        "Mon 2026-01-05 10:00:00 -0500\n",
    );
    let json = "{\"version\":1,\"fires\":[{\"at\":\"2026-01-02T08:00:00Z\",\"job_id\":null}]}\n";
    preview(&["--at", "tomorrow 9am", "--from", "2026-01-01", "--json"], json);
}

#[test]
fn ten_fires_are_shown_unless_told_otherwise() {
    let count = |args: &[&str]| Home::new().taskq(args).answer().stdout.lines().count();
    assert_eq!(count(&["next", "--cron", "* * * * *"]), 10);
    assert_eq!(count(&["next", "--cron", "* * * * *", "-n", "100"]), 100);
    preview(&["--cron", "* * * * *", "-n", "0"], "");
}

#[test]
fn what_does_not_fire_is_said_on_the_side() {
    let home = Home::new();
    home.taskq(&["next", "--cron", "@reboot"]).gives(0, "", "`@reboot` fires once after each boot of the machine\n");
    home.taskq(&["next", "--cron", "0 0 0 1 1 * 2020"]).gives(0, "", "it never fires\n");
}

#[test]
fn the_fires_of_jobs_come_in_order() {
    let home = Home::new();
    home.add(&["--name", "yearly", "--cron", "0 0 1 1 *", "--start", "2090-01-01", "--tz", "UTC", "true"]);
    home.add(&["--at", "2091-06-01T00:00:00Z", "--at", "2090-06-01T00:00:00Z", "echo", "two words"]);
    home.add(&["--name", "off", "--hold", "--at", "2090-01-02", "true"]);
    let at = |fire: &serde_json::Value| format!("{} {}", fire["job_id"], fire["at"].as_str().unwrap_or_default());
    let fires = home.json(&["next", "-n", "4"])["fires"].clone();
    let fires: Vec<String> = fires.as_array().expect("a list").iter().map(at).collect();
    let wanted =
        ["1 2090-01-01T00:00:00Z", "2 2090-06-01T00:00:00Z", "1 2091-01-01T00:00:00Z", "2 2091-06-01T00:00:00Z"];
    assert_eq!(fires, wanted);
    let said = home.taskq(&["next", "2"]).answer();
    let lines: Vec<Vec<&str>> = said.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NEXT", "LEFT", "ID", "NAME", "COMMAND"]);
    assert_eq!(lines[1][..3], ["2090-06-01", "02:00:00", "+0200"]);
    assert_eq!(lines[1][lines[1].len() - 5..], ["2", "-", "echo", "'two", "words'"]);
    assert_eq!(lines.len(), 3);
    home.taskq(&["next", "off"]).gives(0, "", "");
}
