//! Owns: `next`, of jobs and of triggers that no job has.
//! Never: the meaning of expressions (see the tests of `schedule`).

use crate::filter::squeezed;
use crate::harness::Home;

#[track_caller]
fn preview(args: &[&str], wanted: &str) {
    Home::new().taskq(&[&["next"], args].concat()).gives(0, wanted, "");
}

#[test]
fn a_time_in_the_gap_fires_at_its_end_and_is_marked() {
    preview(
        &["--cron", "30 2 * * *", "--from", "2026-03-28", "-n", "3"],
        "Sat 2026-03-28 02:30:00 +0100\n\
         Sun 2026-03-29 03:00:00 +0200  moved: the clock leaves out 02:30\n\
         Mon 2026-03-30 02:30:00 +0200\n",
    );
    preview(
        &["--cron", "0-59/10 2 * * *", "--from", "2026-03-28 02:45", "-n", "3"],
        "Sat 2026-03-28 02:50:00 +0100\n\
         Sun 2026-03-29 03:00:00 +0200  merged: 6 fires in one, the clock leaves out 02:00 to 02:50\n\
         Mon 2026-03-30 02:00:00 +0200\n",
    );
    preview(
        &["--cron", "0 2,3 * * *", "--from", "2026-03-29", "-n", "1"],
        "Sun 2026-03-29 03:00:00 +0200  merged: 2 fires in one, the clock leaves out 02:00\n",
    );
}

#[test]
fn what_a_gap_skips_has_a_line_that_is_no_fire() {
    preview(
        &["--cron", "*/10 2 * * *", "--from", "2026-03-28 02:40", "-n", "2"],
        "Sat 2026-03-28 02:50:00 +0100\n\
         Sun 2026-03-29 02:00:00 -      skipped: 6 fires, the clock leaves out 02:00 to 02:50\n\
         Mon 2026-03-30 02:00:00 +0200\n",
    );
    preview(
        &["--cron", "30 * * * *", "--from", "2026-03-29 01:00", "-n", "2"],
        "Sun 2026-03-29 01:30:00 +0100\n\
         Sun 2026-03-29 02:30:00 -      skipped: the clock leaves out 02:30\n\
         Sun 2026-03-29 03:30:00 +0200\n",
    );
    // Behind the last fire asked for nothing is told.
    preview(
        &["--cron", "30 * * * *", "--from", "2026-03-29 01:00", "-n", "1"],
        "Sun 2026-03-29 01:30:00 +0100\n",
    );
    preview(&["--cron", "30 * * * *", "--from", "2026-03-29 01:00", "-n", "0"], "");
}

#[test]
fn a_reading_of_another_day_is_told_with_its_date() {
    preview(
        &["--cron", "0 12 * * *", "--tz", "Pacific/Apia", "--from", "2011-12-30T00:00Z", "-n", "2"],
        "Sat 2011-12-31 00:00:00 +1400  moved: the clock leaves out 2011-12-30 12:00\n\
         Sat 2011-12-31 12:00:00 +1400\n",
    );
}

#[test]
fn a_time_that_comes_twice_fires_once_and_a_star_follows_real_time() {
    preview(
        &["--cron", "30 2 * * *", "--from", "2026-10-24 12:00", "-n", "2"],
        "Sun 2026-10-25 02:30:00 +0200  once: the clock shows 02:30 twice\nMon 2026-10-26 02:30:00 +0100\n",
    );
    preview(
        &["--cron", "*/30 * * * *", "--from", "2026-10-25 02:10", "-n", "4"],
        "Sun 2026-10-25 02:30:00 +0200  first of two\nSun 2026-10-25 02:00:00 +0100  second of two\n\
         Sun 2026-10-25 02:30:00 +0100  second of two\nSun 2026-10-25 03:00:00 +0100\n",
    );
}

#[test]
fn what_is_always_skipped_is_told_once() {
    Home::new().taskq(&["next", "--cron", "*/10 2 25-31 3 */7", "--from", "2026-01-01"]).gives(
        0,
        "Sun 2026-03-29 02:00:00 -      skipped: 6 fires, the clock leaves out 02:00 to 02:50\n",
        "`*/7` begins with a star: day of the month and weekday must both match\nit never fires\n",
    );
}

#[test]
fn a_preview_from_outside_the_years_of_six_fields_says_which_they_are() {
    let years = "an expression of six or seven fields fires from 1970 to 2100 only\n";
    let home = Home::new();
    let call = |args: &[&str]| home.taskq(&[&["next", "-n", "1", "--tz", "UTC", "--cron"], args].concat());
    call(&["0 0 0 1 1 *", "--from", "1900-01-01"]).gives(0, "Thu 1970-01-01 00:00:00 +0000\n", years);
    call(&["0 0 0 1 1 *", "--from", "1970-01-01"]).gives(0, "Fri 1971-01-01 00:00:00 +0000\n", "");
    call(&["0 0 1 1 *", "--from", "1900-01-01"]).gives(0, "Tue 1901-01-01 00:00:00 +0000\n", "");
    call(&["0 0 0 1 1 *", "--from", "2101-01-01"]).gives(0, "", &format!("{years}it never fires\n"));
}

#[test]
fn a_document_has_the_words_of_the_marks() {
    preview(
        &["--cron", "30 2 * * *", "--from", "2026-03-28T12:00:00Z", "-n", "2", "--json"],
        "{\"version\":1,\"fires\":[{\"at\":\"2026-03-29T01:00:00Z\",\"job_id\":null,\"daylight\":\"moved\"\
         ,\"expected_end_at\":null},\
         {\"at\":\"2026-03-30T00:30:00Z\",\"job_id\":null,\"daylight\":null\
         ,\"expected_end_at\":null}],\"skipped\":[]}\n",
    );
    preview(
        &["--cron", "*/10 2 * * *", "--from", "2026-03-28T12:00:00Z", "-n", "1", "--json"],
        "{\"version\":1,\"fires\":[{\"at\":\"2026-03-30T00:00:00Z\",\"job_id\":null,\"daylight\":null\
         ,\"expected_end_at\":null}],\
         \"skipped\":[{\"at\":\"2026-03-29T01:00:00Z\",\"from\":\"2026-03-29T02:00:00\",\
         \"to\":\"2026-03-29T02:50:00\",\"count\":6,\"job_id\":null}]}\n",
    );
    let words = |args: &[&str]| {
        let document = Home::new().json(&[&["next", "--cron"], args].concat());
        let fires = document["fires"].as_array().expect("a list").clone();
        fires.iter().map(|fire| fire["daylight"].as_str().unwrap_or("-").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(words(&["0,5 2 * * *", "--from", "2026-03-29", "-n", "1"]), ["merged"]);
    assert_eq!(words(&["0 2 * * *", "--from", "2026-10-25", "-n", "2"]), ["once", "-"]);
    assert_eq!(
        words(&["0 * * * *", "--from", "2026-10-25 01:30", "-n", "3"]),
        ["first_of_two", "second_of_two", "-"]
    );
}

#[test]
fn the_fires_of_jobs_are_marked_too() {
    let home = Home::new();
    let cron = |name, expr| {
        home.add(&["--name", name, "--start", "2090-03-26", "--tz", "Europe/Berlin", "--cron", expr, "true"])
    };
    cron("fixed", "0-59/10 2 * * *");
    cron("star", "*/10 2 * * *");
    assert_eq!(
        squeezed(&home.taskq(&["next", "-n", "2"]).answer().stdout),
        "NEXT LEFT DAYLIGHT ID NAME COMMAND\n\
         2090-03-26 02:00 - skipped ×6 2 star true\n\
         2090-03-26 03:00 [span] merged ×6 1 fixed true\n\
         2090-03-27 02:00 [span] - 1 fixed true\n"
    );
    assert_eq!(
        squeezed(&home.taskq(&["next"]).answer().stdout),
        "NEXT LEFT DAYLIGHT ID NAME COMMAND\n\
         2090-03-26 03:00 [span] merged ×6 1 fixed true\n\
         2090-03-27 02:00 [span] - 2 star true\n"
    );
}

#[test]
fn without_a_number_each_job_has_one_row_and_the_soonest_is_first() {
    let home = Home::new();
    home.add(&["--name", "late", "--at", "2095-01-01", "true"]);
    home.add(&["--name", "often", "--start", "2090-01-01", "--every", "10m", "--every", "1h", "true"]);
    home.add(&["--name", "soon", "--at", "2089-01-01", "true"]);
    home.add(&["--name", "held", "--hold", "--at", "2088-01-01", "true"]);
    let names = |args: &[&str]| {
        let fires = home.json(args)["fires"].clone();
        let fires = fires.as_array().expect("a list").iter();
        fires.map(|fire| fire["name"].as_str().unwrap_or("-").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&["next"]), ["soon", "often", "late"]);
    assert_eq!(names(&["next", "-n", "4"]), ["soon", "often", "often", "often"]);
    assert_eq!(names(&["next", "often"]).len(), 10);
    assert_eq!(names(&["next", "late", "soon", "-n", "1"]), ["soon"]);
    let first = home.json(&["next"])["fires"][1]["at"].clone();
    assert_eq!(first, home.json(&["show", "often"])["job"]["next_fire_at"]);
}

#[test]
fn a_job_with_a_zone_of_its_own_shows_its_times_in_it() {
    let home = Home::new();
    let job = |zone| home.add(&["--start", "2090-01-01", "--tz", zone, "--cron", "15 3 * * *", "true"]);
    job("Asia/Tokyo");
    job("Europe/Berlin");
    let rows = |args: &[&str]| {
        let said = squeezed(&home.taskq(args).answer().stdout);
        said.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        rows(&["next", "-n", "2"]),
        ["2090-01-01 03:15 Asia/Tokyo [span] 1 true", "2090-01-01 03:15 [span] 2 true"]
    );
    assert_eq!(
        rows(&["list"]),
        [
            "1 scheduled 2090-01-01 Asia/Tokyo [span] cron 15 3 * * * true",
            "2 scheduled 2090-01-01 [span] cron 15 3 * * * true"
        ]
    );
    assert_eq!(
        rows(&["list", "--full"]),
        [
            "1 scheduled [time] Asia/Tokyo [span] cron 15 3 * * * true",
            "2 scheduled [time] [span] cron 15 3 * * * true"
        ]
    );
    let shown = home.taskq(&["show", "1"]).answer().stdout;
    let line = "Triggers:  cron 15 3 * * * (Asia/Tokyo), next 2090-01-01 03:15:00 +0900 (in ";
    assert!(shown.contains(line), "{shown}");
}

#[test]
fn day_fields_that_may_surprise_are_noted() {
    let home = Home::new();
    let noted = |expr: &str| home.taskq(&["next", "-n", "0", "--cron", expr]).answer().stderr;
    assert_eq!(
        noted("0 9 1-7 * mon"),
        "day of the month and weekday are both restricted: a day that matches one of them is enough\n"
    );
    assert_eq!(
        noted("0 9 */2 * mon"),
        "`*/2` begins with a star: day of the month and weekday must both match\n"
    );
    for plain in ["0 9 * * mon", "0 9 1 * *", "@monthly", "0 0 9 1-7 * Mon"] {
        assert_eq!(noted(plain), "", "{plain}");
    }
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
    let json = "{\"version\":1,\"fires\":[\
                {\"at\":\"2026-01-02T08:00:00Z\",\"job_id\":null,\"daylight\":null\
         ,\"expected_end_at\":null}],\"skipped\":[]}\n";
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
    home.taskq(&["next", "--cron", "@reboot"]).gives(
        0,
        "",
        "`@reboot` fires once after each boot of the machine\n",
    );
    home.taskq(&["next", "--cron", "0 0 0 1 1 * 2020"]).gives(0, "", "it never fires\n");
}

#[test]
fn the_fires_of_jobs_come_in_order() {
    let home = Home::new();
    home.add(&["--name", "yearly", "--cron", "0 0 1 1 *", "--start", "2090-01-01", "--tz", "UTC", "true"]);
    home.add(&["--at", "2091-06-01T00:00:00Z", "--at", "2090-06-01T00:00:00Z", "echo", "two words"]);
    home.add(&["--name", "off", "--hold", "--at", "2090-01-02", "true"]);
    let at =
        |fire: &serde_json::Value| format!("{} {}", fire["job_id"], fire["at"].as_str().unwrap_or_default());
    let fires = home.json(&["next", "-n", "4"])["fires"].clone();
    let fires: Vec<String> = fires.as_array().expect("a list").iter().map(at).collect();
    let wanted = [
        "1 2090-01-01T00:00:00Z",
        "2 2090-06-01T00:00:00Z",
        "1 2091-01-01T00:00:00Z",
        "2 2091-06-01T00:00:00Z",
    ];
    assert_eq!(fires, wanted);
    let said = home.taskq(&["next", "2"]).answer();
    let lines: Vec<Vec<&str>> = said.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NEXT", "LEFT", "ID", "COMMAND"]);
    assert_eq!(lines[1][..2], ["2090-06-01", "02:00"]);
    assert_eq!(lines[1][lines[1].len() - 4..], ["2", "echo", "'two", "words'"]);
    assert_eq!(lines.len(), 3);
    home.taskq(&["next", "off"]).gives(0, "", "");
}
