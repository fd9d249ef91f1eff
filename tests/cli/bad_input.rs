//! Owns: what is said about command lines that make no sense, word for word, and that nothing is stored then.
//! Never: JSON lines (see `batch`).

use crate::harness::Home;
use crate::shared::has;

/// Snapshots what a home without jobs says, and checks that it has none after that.
fn refused(name: &str, lines: &[&[&str]]) {
    let home = Home::new();
    let said = home.transcript(lines);
    insta::assert_snapshot!(name, said);
    home.taskq(&["list", "--all"]).gives(0, "", "");
}

#[test]
fn a_time_that_is_not_understood_whole_is_refused() {
    refused(
        "times",
        &[
            &["add", "--at", "", "true"],
            &["add", "--at", "sometime", "true"],
            &["add", "--at", "tomorrow 9am please", "true"],
            &["add", "--at", "25:00", "true"],
            &["add", "--at", "10am Jul 32", "true"],
            &["add", "--at", "2031-02-30", "true"],
            &["add", "--at", "2031-13-01 10:00", "true"],
            &["add", "--at", "now + 5", "true"],
            &["add", "--at", "now + 5 fortnights", "true"],
            &["add", "--at", "@soon", "true"],
            &["add", "--at", "-5m", "true"],
            &["add", "--at", "90 minutes", "true"],
            &["add", "--at", "1h", "true"],
            &["add", "--every", "1h", "--start", "soon", "true"],
            &["runs", "--since", "then"],
            &["runs", "--since", "2 moons"],
            &["next", "--every", "1h", "--from", "then"],
        ],
    );
}

#[test]
fn a_time_in_the_past_is_refused() {
    refused(
        "past",
        &[
            &["add", "--at", "2020-01-01", "true"],
            &["add", "--at", "2020-01-01T00:00:00Z", "true"],
            &["add", "--at", "@0", "true"],
            &["add", "--name", "old", "--every", "1h", "--start", "2020-01-01", "true"],
            &["next", "--at", "2020-01-01", "--from", "2021-01-01"],
            &["next", "--at", "10am Jul 31", "--from", "2026-07-31 10:05"],
        ],
    );
}

#[test]
fn an_expression_that_is_wrong_or_never_fires_is_refused() {
    refused(
        "expressions",
        &[
            &["add", "--cron", "", "true"],
            &["add", "--cron", "* * *", "true"],
            &["add", "--cron", "75 3 * * *", "true"],
            &["add", "--cron", "* 24 * * *", "true"],
            &["add", "--cron", "* * 0 * *", "true"],
            &["add", "--cron", "* * * 13 *", "true"],
            &["add", "--cron", "* * * * 8", "true"],
            &["add", "--cron", "30-10 * * * *", "true"],
            &["add", "--cron", "*/0 * * * *", "true"],
            &["add", "--cron", "5,ten * * * *", "true"],
            &["add", "--cron", "* * * * funday", "true"],
            &["add", "--cron", "@fortnightly", "true"],
            &["add", "--cron", "@Daily", "true"],
            &["add", "--cron", "daily", "true"],
            &["add", "--cron", "0 /1 * * *", "true"],
            &["add", "--cron", "-1 * * * *", "true"],
            &["next", "--cron", "-1 * * * *"],
            &["add", "--cron", "--tz", "UTC", "true"],
            &["add", "--cron", "* * * * * 5", "true"],
            &["add", "--cron", "0 0 31 2 *", "true"],
            &["add", "--name", "never", "--cron", "0 0 0 1 1 * 2020", "true"],
            &["next", "--cron", "0 0 30 2 *"],
        ],
    );
}

#[test]
fn a_span_is_a_sum_of_numbers_with_units() {
    refused(
        "spans",
        &[
            &["add", "--every", "", "true"],
            &["add", "--every", "soon", "true"],
            &["add", "--every", "5", "true"],
            &["add", "--every", "-5m", "true"],
            &["add", "--every", "0s", "true"],
            &["add", "--every", "500ms", "true"],
            &["add", "--every", "1.5h", "true"],
            &["add", "--every", "1h 1h", "true"],
            &["add", "--every", "1 month", "true"],
            &["add", "--every", "99999999999999999999d", "true"],
            &["add", "--timeout", "5", "true"],
            &["add", "--kill-after", "-1s", "true"],
            &["add", "--grace", "x", "true"],
            &["add", "--missed", "once,x", "true"],
            &["add", "--log-limit", "1.5M", "true"],
            &["add", "--log-limit", "10MB", "true"],
            &["add", "--log-limit", "0", "true"],
            &["add", "--log-limit", "99999999999G", "true"],
            &["wait", "--all", "--timeout", "0s"],
        ],
    );
}

#[test]
fn a_zone_is_one_of_this_machines() {
    refused(
        "zones",
        &[
            &["add", "--at", "noon", "--tz", "Mars/Olympus", "true"],
            &["add", "--at", "noon", "--tz", "Europe/Berln", "true"],
            &["add", "--tz", "UTC", "true"],
            &["next", "--cron", "@daily", "--tz", ""],
        ],
    );
    let said = Home::new().taskq(&["list"]).env("TZ", "Mars/Olympus").transcript();
    insta::assert_snapshot!("zone-of-the-caller", said);
}

#[test]
fn a_name_is_short_plain_and_not_a_number() {
    refused(
        "names",
        &[
            &["add", "--name", "", "true"],
            &["add", "--name", &"x".repeat(65), "true"],
            &["add", "--name", "12", "true"],
            &["add", "--name", "a b", "true"],
            &["add", "--name", "a.b", "true"],
            &["add", "--name", "é", "true"],
            &["add", "--name=-x", "true"],
            &["add", "--tag", "a,b", "true"],
            &["add", "--queue", "a/b", "true"],
            &["queue", "set", "a b", "--slots", "1"],
            &["list", "--tag", "a b"],
            &["wait", "--tag", "a b"],
            &["cancel", "--tag", "a b"],
        ],
    );
}

#[test]
fn a_number_has_its_range() {
    refused(
        "numbers",
        &[
            &["add", "--nice", "20", "true"],
            &["add", "--nice", "-21", "true"],
            &["add", "--priority", "101", "true"],
            &["add", "--priority", "-101", "true"],
            &["add", "--priority", "99999999999999999999", "true"],
            &["add", "--priority", "high", "true"],
            &["list", "-n", "-1"],
            &["runs", "-n", "x"],
            &["next", "-n", "99999999999"],
            &["log", "1", "--tail", "-1"],
            &["queue", "set", "q", "--slots", "0"],
            &["queue", "set", "q", "--order", "best"],
            &["queue", "set", "q", "--aging", "-1m"],
            &["queue", "set", "q", "--aging", "always"],
            &["queue", "set", "q", "--aging", "40000d"],
            &["add", "--finish-by", "0", "true"],
            &["add", "--expect", "-1s", "true"],
            &["queue", "set", "q", "--slots", "-1"],
            &["queue", "set", "q", "--slots", "1000000"],
            &["daemon", "--slots", "0"],
        ],
    );
}

#[test]
fn a_word_of_a_closed_set_is_one_of_it() {
    refused(
        "words",
        &[
            &["add", "--overlap", "stop", "true"],
            &["add", "--retries", "-1", "true"],
            &["add", "--retries", "3", "--retry-delay", "5m..1m", "true"],
            &["add", "--retries", "3", "--retry-delay", "5m..", "true"],
            &["add", "--retries", "3", "--retry-on", "1,failure", "true"],
            &["add", "--retries", "3", "--retry-on", "78-75", "true"],
            &["add", "--every", "1h", "--times", "0", "true"],
            &["add", "--times", "3", "true"],
            &["add", "--retry-on", "1", "true"],
            &["add", "--retry-delay", "1m", "true"],
            &["add", "--missed", "never", "true"],
            &["add", "--missed", "once,", "true"],
            &["list", "--state", "idle"],
            &["runs", "--outcome", "good"],
            &["--color", "mauve", "list"],
        ],
    );
}

#[test]
fn options_and_arguments_are_those_of_the_command() {
    refused(
        "options",
        &[
            &["add", "--nope", "true"],
            &["add", "--nam", "x", "true"],
            &["add", "--on-calendar", "Mon *-*-* 10:00", "true"],
            &["add", "--on-calendar=weekly", "true"],
            &["add", "--on-calendar"],
            &["next", "--on-calendar", "daily"],
            &["add", "--name"],
            &["add", "--name", "a", "--name", "b", "true"],
            &["add", "-c", "true", "true"],
            &["add", "--from", "-", "true"],
            &["add", "--start", "noon", "true"],
            &["add", "--at", "noon", "--start", "tomorrow 1pm", "true"],
            &["list", "--json=yes"],
            &["log", "a", "--all", "--follow"],
            &["show"],
            &["show", "1", "2"],
            &["run"],
            &["run", "a", "b", "--follow"],
            &["run", "a", "--follow", "--json"],
            &["next", "--tz", "UTC"],
            &["next", "1", "--at", "noon"],
            &["next", "--at", "noon", "--every", "5m"],
            &["queue", "set", "q"],
            &["wait"],
            &["wait", "--all", "1"],
            &["wait", "--all", "--queue", "q"],
            &["cancel"],
            &["pause"],
            &["resume", "1", "--all"],
            &["status", "now"],
            &["--nope"],
        ],
    );
}

#[test]
fn a_command_that_there_is_not_is_refused() {
    refused(
        "commands",
        &[&["sow", "1"], &["frobnicate"], &["queue", "frobnicate"], &["help", "queue", "frobnicate"]],
    );
}

#[test]
fn what_an_option_names_must_be_there() {
    refused(
        "things",
        &[
            &["add", "--cwd", "/nowhere", "true"],
            &["add", "--cwd", "/etc/passwd", "true"],
            &["add", "--cwd", "", "true"],
            &["add", "--queue", "gpu", "true"],
            &["add", "--env", "=x", "true"],
            &["add", "--env", "", "true"],
            &["add", "--env", "NOT_SET", "true"],
            &["add", "--from", "/nowhere"],
            &["add", "--from", "/"],
            &["list", "--queue", "gpu"],
            &["wait", "--queue", "gpu"],
            &["cancel", "--queue", "gpu"],
            &["pause", "--queue", "gpu"],
        ],
    );
}

#[test]
fn a_job_or_run_that_there_is_not_is_named_with_what_is_like_it() {
    let home = Home::new();
    home.add(&["--name", "backup", "true"]);
    home.add(&["--name", "backup-db", "true"]);
    insta::assert_snapshot!(
        "targets",
        home.transcript(&[
            &["show", "bakcup"],
            &["show", "back"],
            &["show", "zebra"],
            &["show", "99"],
            &["show", "0"],
            &["show", "99999999999999999999"],
            &["show", "backup.1"],
            &["show", "a b"],
            &["log", "backup.7"],
            &["log", "backup.0"],
            &["log", "backup.x"],
            &["run", "backup", "bakup"],
            &["run", "backup.1"],
            &["runs", "nope"],
            &["list", "nope"],
            &["next", "nope"],
            &["cancel", "backup", "nope"],
            &["pause", "backup", "nope"],
            &["resume", "nope"],
            &["wait", "backup", "nope"],
        ])
    );
    // Of a command that names several, all or none is done.
    assert_eq!(home.json(&["list"])["jobs"][0]["state"], "queued");
    assert_eq!(home.json(&["runs"])["runs"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_script_is_a_text_that_says_something() {
    let home = Home::new();
    let big = "x".repeat(128 * 1024);
    let said = [
        home.taskq(&["add", "-c", ""]).transcript(),
        home.taskq(&["add", "-c", " \n\t"]).transcript(),
        home.taskq(&["add", ""]).transcript(),
        home.taskq(&["add"]).transcript(),
        home.taskq(&["add"]).stdin("a\0b").transcript(),
        home.taskq(&["add"]).stdin(big).transcript(),
    ];
    insta::assert_snapshot!("scripts", said.concat());
    home.taskq(&["list", "--all"]).gives(0, "", "");
}

#[test]
fn a_name_that_is_taken_is_not_given_twice() {
    let home = Home::new();
    home.add(&["--name", "backup", "true"]);
    home.taskq(&["add", "--name", "backup", "false"]).gives(
        1,
        "",
        "error: cannot add job `backup`: the name `backup` is taken by job 1\n\
         hint: put the new job in its place with `--replace`, or choose another name\n",
    );
}

#[test]
fn a_store_that_cannot_be_one_is_refused_and_left_alone() {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    let home = Home::new();
    let dir = |name: &str| home.work().join(name);
    for name in ["empty", "garbage", "shared"] {
        fs::create_dir(dir(name)).expect("the name is new");
    }
    fs::write(dir("empty/taskq.db"), "").expect("writable");
    fs::write(dir("garbage/taskq.db"), "this is no database, and it is long enough").expect("writable");
    fs::write(dir("shared/letter"), "dear").expect("writable");
    fs::write(dir("file"), "").expect("writable");
    fs::set_permissions(dir("shared"), fs::Permissions::from_mode(0o755)).expect("it is ours");
    insta::assert_snapshot!(
        "stores",
        home.transcript(&[
            &["--dir", "file", "list"],
            &["--dir", "/proc/nowhere", "add", "true"],
            &["--dir", "empty", "list"],
            &["--dir", "garbage", "add", "true"],
            &["--dir", "garbage", "daemon"],
            &["--dir", "shared", "list"],
            &["--dir", "shared", "add", "true"],
            &["--dir", "", "list"],
        ])
    );
    assert_eq!(fs::metadata(dir("shared")).expect("it is there").permissions().mode() & 0o777, 0o755);
    assert_eq!(fs::read(dir("empty/taskq.db")).expect("it is there"), b"");
}

#[test]
fn where_the_directory_is_gone_a_job_cannot_start_there() {
    let home = Home::new();
    let script = "mkdir gone && cd gone && rmdir ../gone && \"$0\" add true";
    let output = assert_cmd::Command::new("/bin/sh")
        .args(["-c", script, crate::harness::TASKQ])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", home.path())
        .current_dir(home.work())
        .output()
        .expect("sh runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        said,
        "error: cannot add job: the current directory: no such file or directory\n\
         hint: change to a directory that exists\n"
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_mask_a_file_to_read_and_an_address_are_held_to_what_they_may_be() {
    refused(
        "run_options",
        &[
            &["add", "--umask", "", "true"],
            &["add", "--umask", "8", "true"],
            &["add", "--umask", "1000", "true"],
            &["add", "--umask", "-1", "true"],
            &["add", "--umask", "u=rwx", "true"],
            &["add", "--stdin", "", "true"],
            &["add", "--stdin", "-", "true"],
            &["add", "--mail", "", "true"],
            &["add", "--mail", "failed", "true"],
            &["add", "--mail", "failure", "true"],
            &["add", "--mail", "nosuch-user", "true"],
            &["add", "--mail", "root,fialed", "true"],
            &["add", "--mail", "root,Failed", "true"],
            &["add", "--mail", "a,,b", "true"],
            &["add", "--mail", "a,b c,always", "true"],
            &["add", "--name", "x", "--mail=-froot", "true"],
            &["add", "--mail", "a\nBcc: b", "true"],
            &["add", "--mail", "a;reboot", "true"],
            &["add", "--from", "-", "--mail", "root"],
        ],
    );
}

#[test]
fn only_root_can_run_a_job_as_another_user_and_the_user_must_be_there() {
    if !has("root", nix::unistd::geteuid().is_root()) {
        let home = Home::new();
        home.taskq(&["add", "--user", "root", "true"]).gives(
            2,
            "",
            "error: cannot add job: `--user root`: only root can run a job as another user\n\
             hint: leave `--user` out, and the job runs as you; or let that user add it\n",
        );
        return;
    }
    refused("users", &[&["add", "--user", "no-such-user", "true"], &["add", "--user", "", "true"]]);
}
