//! Owns: the way out: jobs as JSON lines, as a crontab, as systemd units, and what is said of the rest.
//! Never: how systemd reads a calendar line (see the tests of `schedule`).

use crate::harness::{Answer, Home};

/// Adds one job of every kind that JSON can say.
fn add_many(home: &Home) {
    home.taskq(&["queue", "set", "gpu", "--slots", "1"]).gives(0, "", "");
    home.add(&["--name", "plain", "--hold", "make", "-j8", "a b", "", "ü\n\t\u{1}"]);
    home.add(&["--cron", "15 3 * * mon-fri", "--cron", "@reboot", "--tz", "Europe/Paris", "--timeout", "2h", "-c", "x\n"]);
    home.add(&["--cron", "0 */5 * * * *", "--tz", "system", "--tag", "b", "--tag", "a", "--cwd", "/", "true"]);
    home.add(&["--every", "90s", "--every", "7m", "--queue", "gpu", "--priority", "-5", "--clean-env", "true"]);
    home.add(&["--every", "1h", "--start", "2031-01-01 00:00:00.25", "--missed", "all,6h", "--grace", "1500ms", "true"]);
    home.add(&["--at", "2031-01-01 12:00", "--at", "@1956528000.000007", "--overlap", "wait", "--kill-after", "1us", "true"]);
    home.add(&["--clean-env", "--env", "A=", "--env", "B=x=y\n'\"\\ z", "--missed", "skip", "true"]);
}

/// Imports what was exported, on behalf of a caller whose own environment, directory and zone are others.
fn import(home: &Home, lines: &str) -> Answer {
    // The reading side of this key is another's.
    let lines = lines.replace("\"umask\":\"022\",", "");
    let call = home.taskq(&["--dir", "../other", "add", "--from", "-"]);
    call.stdin(lines).env("TZ", "Asia/Tokyo").env("HOME", "/").env("EXTRA", "1").answer()
}

#[test]
fn json_becomes_the_same_jobs_again() {
    let home = Home::new();
    add_many(&home);
    let exported = home.taskq(&["export", "json"]).answer();
    assert_eq!((exported.status, exported.stderr.as_str()), (0, ""));
    home.taskq(&["--dir", "../other", "queue", "set", "gpu", "--slots", "1"]).gives(0, "", "");
    let imported = import(&home, &exported.stdout);
    assert_eq!((imported.status, imported.stderr.as_str()), (0, ""), "{}", exported.stdout);
    let again = home.taskq(&["--dir", "../other", "export", "json"]).answer();
    assert_eq!(again.stdout, exported.stdout);
    assert_eq!(exported.stdout.lines().count(), 7);
    // Next fires, too, and with them the phases of intervals.
    let fires = |dir: &str| home.json(&["--dir", dir, "next", "-n", "40"]);
    assert_eq!(fires("../data/taskq"), fires("../other"));
}

#[test]
fn a_line_has_the_keys_of_add() {
    let home = Home::new();
    add_many(&home);
    let lines = home.transcript(&[&["export", "json", "plain", "2", "5", "6", "plain"]]);
    insta::assert_snapshot!(lines);
}

#[test]
fn what_is_done_or_has_no_fire_to_come_is_left_out() {
    let home = Home::with_daemon();
    let gate = home.fifo("gate");
    home.add_and_wait(&["true"]);
    home.add(&["--name", "running", "-c", "read x < gate"]);
    home.taskq(&["log", "-f", "1"]).answer();
    home.add(&["--hold", "--name", "waiting", "true"]);
    let exported = home.taskq(&["export", "json"]).answer();
    assert!(exported.stdout.contains("\"name\":\"waiting\""), "{exported:?}");
    assert_eq!(exported.stdout.lines().count(), 1, "{exported:?}");
    // Who names it wants it.
    assert_eq!(home.taskq(&["export", "json", "1", "running"]).answer().stdout.lines().count(), 2);
    crate::harness::open_gate(&gate);
    home.taskq(&["wait", "running"]).answer();
    home.add_and_wait(&["--at", "now", "true"]);
    insta::assert_snapshot!(home.transcript(&[&["export", "json", "4"], &["export", "json", "nobody"]]));
}

#[test]
fn what_json_cannot_say_is_named_and_the_rest_is_printed() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let home = Home::new();
    let odd = OsStr::from_bytes(b"a\xff");
    home.taskq(&[OsStr::new("add"), "--clean-env".as_ref(), "printf".as_ref(), odd]).gives(0, "1\n", "");
    home.taskq(&["add", "--name", "odd", "true"]).env("ODD", odd).gives(0, "2\n", "");
    home.taskq(&["add", "--cron", "@daily", "true"]).env("TZ", "CET-1CEST,M3.5.0,M10.5.0/3").gives(0, "3\n", "");
    home.add(&["--clean-env", "true"]);
    let answer = home.taskq(&["export", "json"]).answer();
    assert_eq!(answer.stdout.lines().count(), 1);
    assert_eq!(answer.status, 1);
    insta::assert_snapshot!(answer.stderr);
}
