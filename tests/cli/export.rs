//! Owns: the way out: jobs as JSON lines, as a crontab, as systemd units, and what is said of the rest.
//! Never: how systemd reads a calendar line (see the tests of `schedule`).

use crate::harness::{Answer, Home};
use crate::shared::has;

/// Adds one job of every kind that JSON can say.
fn add_many(home: &Home) {
    home.taskq(&["queue", "set", "gpu", "--slots", "1"]).gives(0, "", "");
    home.add(&["--name", "plain", "--hold", "make", "-j8", "a b", "", "ü\n\t\u{1}"]);
    home.add(&[
        "--cron",
        "15 3 * * mon-fri",
        "--cron",
        "@reboot",
        "--tz",
        "Europe/Paris",
        "--timeout",
        "2h",
        "-c",
        "x\n",
    ]);
    home.add(&[
        "--cron",
        "0 */5 * * * *",
        "--tz",
        "system",
        "--tag",
        "b",
        "--tag",
        "a",
        "--cwd",
        "/",
        "true",
    ]);
    home.add(&[
        "--every",
        "90s",
        "--every",
        "7m",
        "--queue",
        "gpu",
        "--priority",
        "-5",
        "--clean-env",
        "true",
    ]);
    home.add(&[
        "--every",
        "1h",
        "--start",
        "2031-01-01 00:00:00.25",
        "--missed",
        "all,6h",
        "--grace",
        "1500ms",
        "true",
    ]);
    home.add(&[
        "--at",
        "2031-01-01 12:00",
        "--at",
        "@1956528000.000007",
        "--overlap",
        "wait",
        "--kill-after",
        "1us",
        "true",
    ]);
    home.add(&["--umask", "077", "--stdin", "in put", "--mail", "a@b.example,c@d,always", "true"]);
    let with_text = concat!(
        r#"{"script":"cat","stdin_text":"one\ntwo","cron":"@hourly","mail":"me","#,
        r#""mail_format":"cronie","umask":"002"}"#
    );
    home.taskq(&["add", "--quiet", "--from", "-"]).stdin(with_text).gives(0, "8\n", "");
    home.add(&["--clean-env", "--env", "A=", "--env", "B=x=y\n'\"\\ z", "--missed", "skip", "true"]);
}

/// Imports what was exported, on behalf of a caller whose own environment, directory and zone are others.
fn import(home: &Home, lines: &str) -> Answer {
    let call = home.taskq(&["--dir", "../other", "add", "--quiet", "--from", "-"]);
    call.stdin(lines).env("TZ", "Asia/Tokyo").env("HOME", "/").env("EXTRA", "1").answer()
}

#[test]
fn json_becomes_the_same_jobs_again() {
    let home = Home::new();
    add_many(&home);
    let table = "@daily cat%a%b\nMAILTO=x@y.example\n*/5 * * * * echo 50\\%\nHOME=/no/home\n@hourly pwd\n";
    assert_eq!(home.taskq(&["import", "crontab", "-"]).stdin(table).answer().status, 0);
    let exported = home.taskq(&["export", "json", "--with-environment"]).answer();
    assert_eq!((exported.status, exported.stderr.as_str()), (0, ""));
    home.taskq(&["--dir", "../other", "queue", "set", "gpu", "--slots", "1"]).gives(0, "", "");
    let imported = import(&home, &exported.stdout);
    assert_eq!((imported.status, imported.stderr.as_str()), (0, ""), "{}", exported.stdout);
    let again = home.taskq(&["--dir", "../other", "export", "json", "--with-environment"]).answer();
    assert_eq!(again.stdout, exported.stdout);
    assert_eq!(exported.stdout.lines().count(), 12);
    let queues = |dir: &str| home.taskq(&["--dir", dir, "queue"]).answer().stdout;
    assert_eq!(queues("../data/taskq"), queues("../other"));
    // Next fires, too, and with them the phases of intervals.
    let fires = |dir: &str| home.json(&["--dir", dir, "next", "-n", "40"]);
    assert_eq!(fires("../data/taskq"), fires("../other"));
}

#[test]
fn a_line_has_the_keys_of_add() {
    let home = Home::new();
    add_many(&home);
    let lines = home.transcript(&[&[
        "export",
        "json",
        "--with-environment",
        "plain",
        "2",
        "5",
        "6",
        "7",
        "8",
        "plain",
    ]]);
    insta::assert_snapshot!(lines);
}

#[test]
fn what_is_done_or_has_no_fire_to_come_is_left_out() {
    let home = Home::with_daemon();
    let gate = home.fifo("gate");
    home.add_and_wait(&["true"]);
    home.add(&["--name", "running", "-c", "read x < gate"]);
    // It runs, and the daemon has heard so before it hears of the end of another.
    let held = std::fs::OpenOptions::new().write(true).open(&gate).expect("the FIFO is there");
    home.taskq(&["run", "1", "--wait"]).answer();
    home.add(&["--hold", "--name", "waiting", "true"]);
    let exported = home.taskq(&["export", "json", "--with-environment"]).answer();
    assert!(exported.stdout.contains("\"name\":\"waiting\""), "{exported:?}");
    assert_eq!(exported.stdout.lines().count(), 1, "{exported:?}");
    // Who names it wants it.
    assert_eq!(
        home.taskq(&["export", "json", "--with-environment", "1", "running"]).answer().stdout.lines().count(),
        2
    );
    drop(held);
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
    home.taskq(&[OsStr::new("add"), "--quiet".as_ref(), "--clean-env".as_ref(), "printf".as_ref(), odd])
        .gives(0, "1\n", "");
    home.taskq(&["add", "--quiet", "--name", "odd", "true"]).env("ODD", odd).gives(0, "2\n", "");
    home.taskq(&["add", "--quiet", "--cron", "@daily", "true"])
        .env("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        .gives(0, "3\n", "");
    home.add(&["--clean-env", "true"]);
    let answer = home.taskq(&["export", "json", "--with-environment"]).answer();
    assert_eq!(answer.stdout.lines().count(), 1);
    assert_eq!(answer.status, 1);
    insta::assert_snapshot!(answer.stderr);
}

/// Adds jobs to a home whose caller has few variables, as cron's own jobs have.
fn add_bare(home: &Home, args: &[&str]) {
    let line = [&["add", "--quiet", "--clean-env", "--tz", "system", "--overlap", "allow"], args].concat();
    assert_eq!(home.taskq(&line).answer().stderr, "", "{args:?}");
}

/// Says what crontab(1) says about a table, nothing for a good one; `None`, with a printed reason, where it
/// cannot be asked.
fn refused_by_cron(home: &Home, table: impl AsRef<[u8]>) -> Option<String> {
    let file = home.work().join("table");
    std::fs::write(&file, &table).expect("writable");
    let help = home.shell("crontab").arg("-h").output();
    if !has("cron", help.is_ok_and(|help| String::from_utf8_lossy(&help.stderr).contains("-n"))) {
        return None;
    }
    let output = home.shell("crontab").arg("-n").arg(file).output().expect("it ran before");
    let said = [output.stdout, output.stderr].concat();
    Some(if output.status.success() { String::new() } else { String::from_utf8_lossy(&said).into_owned() })
}

/// Whether tables are written for another cron here than the one that tests expect.
fn is_cronie() -> bool {
    let exists = |path: &str| std::path::Path::new(path).exists();
    !has("cron", !exists("/usr/sbin/crond") || exists("/usr/sbin/cron"))
}

/// Returns the exported jobs of a store, their variables in order.
fn jobs(home: &Home, store: &str) -> Vec<String> {
    let lines = home.taskq(&["--dir", store, "export", "json", "--with-environment"]).answer().stdout;
    let mut jobs: Vec<String> = lines
        .lines()
        .map(|line| {
            let mut job: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
            let variables = job["environment"].as_array_mut().expect("it is a list");
            variables.sort_by_key(ToString::to_string);
            job.to_string()
        })
        .collect();
    jobs.sort();
    jobs
}

#[test]
fn a_table_that_was_imported_comes_back_as_the_same_jobs() {
    if is_cronie() {
        return;
    }
    let home = Home::new();
    // Hundreds of stores are made, and none is to outlive the machine.
    let memory =
        tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary directory");
    let store = |name: String| memory.path().join(name).to_str().expect("plain").to_owned();
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/user");
    let entries = std::fs::read_dir(corpus).expect("the corpus is there");
    let mut files: Vec<std::path::PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    let mut same = 0;
    // Of a third of the tables, for they take their time.
    for (number, path) in files.iter().enumerate().step_by(3) {
        let file = path.to_str().expect("plain");
        let (one, other) = (store(format!("one{number}")), store(format!("other{number}")));
        home.taskq(&["--dir", &one, "import", "crontab", "--from", "debian", "--keep-going", file]).answer();
        let mut export = home.command(&["--dir", &one, "export", "crontab"]);
        let exported = export.output().expect("taskq starts");
        std::fs::write(home.work().join("table"), &exported.stdout).expect("writable");
        let said = refused_by_cron(&home, &exported.stdout);
        assert_eq!(said.unwrap_or_default(), "", "{file}");
        home.taskq(&["--dir", &other, "import", "crontab", "--from", "debian", "table"]).answer();
        // Where HOME is no directory an imported job starts elsewhere, and the new line says so.
        let is_moved = file.ends_with("home-elsewhere.crontab");
        if exported.status.code() == Some(0) && !is_moved {
            assert_eq!(jobs(&home, &other), jobs(&home, &one), "{file}");
            same += 1;
        }
    }
    assert!(same > 30, "{same} came back");
}

/// Splits a stream of units at the comments that name their files.
fn units(home: &Home, stream: &str) -> Vec<std::path::PathBuf> {
    let dir = home.work().join("units");
    std::fs::create_dir_all(&dir).expect("writable");
    let mut files: Vec<(std::path::PathBuf, String)> = Vec::new();
    for line in stream.lines() {
        match line.strip_prefix("# ") {
            Some(name) => files.push((dir.join(name), String::new())),
            None => {
                *files.last_mut().map(|(_, text)| text).expect("a name comes first") += &format!("{line}\n");
            }
        }
    }
    for (file, text) in &files {
        std::fs::write(file, text).expect("writable");
    }
    files.into_iter().map(|(file, _)| file).collect()
}

/// Checks that a stream has so many units, and that systemd takes each without a word.
#[track_caller]
pub fn verified(home: &Home, stream: &str, count: usize) {
    let files = units(home, stream);
    assert_eq!(files.len(), count, "{stream}");
    let output = home.shell("systemd-analyze").args(["verify", "--man=no"]).args(&files).output();
    if !has("systemd", output.is_ok()) {
        return;
    }
    let output = output.expect("systemd-analyze ran");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), said.as_ref()), (Some(0), ""), "{stream}");
}

#[test]
fn a_job_like_those_of_cron_is_a_line_and_nothing_is_lost() {
    if is_cronie() {
        return;
    }
    let home = Home::new();
    // The home of cron's jobs is that of passwd(5), and this one is not.
    let home_dir = home.path().to_str().expect("plain").to_owned();
    add_bare(
        &home,
        &[
            "--cwd",
            &home_dir,
            "--name",
            "backup",
            "--cron",
            "15 3 * * mon-fri",
            "-c",
            "backup --all > log 2>&1",
        ],
    );
    add_bare(
        &home,
        &["--cwd", &home_dir, "--cron", "@daily", "--cron", "0 12 1,15 * 5", "-c", "date +%F; echo 50\\%\n"],
    );
    add_bare(
        &home,
        &[
            "--cwd",
            &home_dir,
            "--cron",
            "@reboot",
            "--env",
            "LEVEL=3",
            "--env",
            "PATH=/opt/bin:/bin",
            "--",
            "/bin/true",
        ],
    );
    let shell =
        ["--env", "SHELL=/bin/bash", "--env", "GREETING= it's ", "--", "/bin/bash", "-c", "echo {a,b} %"];
    add_bare(&home, &[&["--cwd", &home_dir, "--cron", "@hourly"], &shell[..]].concat());
    let said = home.transcript(&[&["export", "crontab"]]);
    let table = home.taskq(&["export", "crontab"]).answer().stdout;
    if let Some(said) = refused_by_cron(&home, &table) {
        assert_eq!(said, "", "{table}");
    }
    insta::assert_snapshot!(said);
}

#[test]
fn what_cron_does_not_do_by_itself_stands_in_the_command() {
    if is_cronie() {
        return;
    }
    let home = Home::new();
    add_bare(&home, &["--cron", "@daily", "--", "make", "-C", "a dir", "it's", "", r"\\", "50%"]);
    add_bare(&home, &["--cron", "@daily", "-c", "cd sub; make & wait"]);
    add_bare(&home, &["--cron", "@daily", "--env", "SHELL=/bin/zsh", "--", "echo", "hi"]);
    add_bare(&home, &["--cron", "@daily", "--env", "SHELL=/bin/zsh", "-c", "echo hi"]);
    add_bare(&home, &["--cron", "@daily", "--env", "A=1", "--", "A=1", "x"]);
    add_bare(&home, &["--cron", "@daily", "--env", "B=1", "-c", "true"]);
    let table = home.taskq(&["export", "crontab"]).answer().stdout;
    if let Some(said) = refused_by_cron(&home, &table) {
        assert_eq!(said, "", "{table}");
    }
    insta::assert_snapshot!(home.transcript(&[&["export", "crontab"]]));
}

#[test]
fn a_line_of_the_table_does_what_the_job_does() {
    let home = Home::new();
    let script = "umask 077; exec \"$TASKQ\" add --clean-env --cron @daily --tz system \
                  --env SHELL=/bin/x --cwd 'a b' -- printf '%s|' \"it's\" '' '\\\\%' '$(x)' \"`pwd`\" a=b";
    std::fs::create_dir(home.work().join("a b")).expect("the name is new");
    home.shell("/bin/sh").args(["-c", script]).env("TASKQ", crate::harness::TASKQ).status().expect("sh runs");
    let table = home.taskq(&["export", "crontab"]).answer().stdout;
    let line = table.lines().find_map(|line| line.strip_prefix("@daily ")).expect("the job is there");
    // As cron takes it apart.
    let command = line.replace("\\%", "%");
    let output = home.shell("/bin/sh").args(["-c", &command]).output().expect("sh runs");
    let work = home.work();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("it's||\\\\%|$(x)|{}|a=b|", work.display()),
        "{command}"
    );
    assert!(command.starts_with("cd '"), "{command}");
    assert!(command.contains("&& umask 077 && SHELL=/bin/x exec printf"), "{command}");
}

#[test]
fn what_a_crontab_cannot_say_is_named_and_the_rest_is_printed() {
    if is_cronie() {
        return;
    }
    let home = Home::new();
    let dir = home.path().to_str().expect("plain").to_owned();
    home.add(&["--clean-env", "true"]);
    add_bare(&home, &["--name", "x", "--every", "5m", "--at", "2031-01-01", "true"]);
    add_bare(&home, &["--cron", "0 */5 * * * *", "--cron", "@daily", "--cwd", &dir, "--", "/bin/true"]);
    home.add(&[
        "--clean-env",
        "--tz",
        "Asia/Tokyo",
        "--cron",
        "@daily",
        "--cron",
        "@reboot",
        "--cwd",
        &dir,
        "true",
    ]);
    add_bare(&home, &["--cron", "@daily", "-c", "one\ntwo"]);
    let long = "x".repeat(999);
    add_bare(&home, &["--cron", "@daily", "--cwd", &dir, "-c", &long]);
    let env = [
        "--env",
        "PWD=/",
        "--env",
        "LINES=2",
        "--env",
        "TEXT=a\nb",
        "--env",
        "QUOTES='\"",
        "--env",
        "BLANK=x ",
        "--env",
        "LOGNAME=no",
    ];
    add_bare(&home, &[&["--cron", "@daily", "--cwd", &dir], &env[..], &["-c", r"printf 'a\\n'"]].concat());
    let queued =
        ["--missed", "all,1h", "--grace", "5s", "--timeout", "2h", "--kill-after", "1s", "--priority", "5"];
    add_bare(
        &home,
        &[&["--cron", "@daily", "--cwd", &dir], &queued[..], &["--tag", "t", "--hold", "true"]].concat(),
    );
    home.add(&[
        "--clean-env",
        "--tz",
        "system",
        "--cron",
        "@daily",
        "--start",
        "2031-01-01",
        "--cwd",
        &dir,
        "true",
    ]);
    let table = home.taskq(&["export", "crontab"]).answer().stdout;
    if let Some(said) = refused_by_cron(&home, &table) {
        assert_eq!(said, "", "{table}");
    }
    insta::assert_snapshot!(home.transcript(&[&["export", "crontab"]]));
}

#[test]
fn a_job_is_a_service_and_a_timer() {
    let home = Home::new();
    let add = |args: &[&str]| home.add(&[&["--env", "PWD=/", "--env", "SSH_TTY=x"], args].concat());
    add(&[
        "--name",
        "backup",
        "--cron",
        "15 3 * * mon-fri",
        "--timeout",
        "2h",
        "-c",
        "date +%F > \"$HOME/log\"\nexit 3\n",
    ]);
    add(&[
        "--tz",
        "UTC",
        "--cron",
        "0 0 1,15 * 5",
        "--cron",
        "@reboot",
        "--missed",
        "skip",
        "--",
        "./x",
        "a b",
        "$y",
        ";",
    ]);
    add(&["--at", "2031-01-01 12:00:00.5", "--env", "A=50% \"x\"\ny", "--", "/bin/true", "--kill-after"]);
    add(&["--every", "1w", "--start", "2031-01-01 12:00 UTC", "A=1", "x"]);
    insta::assert_snapshot!(home.transcript(&[&["export", "systemd"]]));
}

#[test]
fn what_systemd_cannot_say_is_named_and_the_rest_is_printed() {
    let home = Home::new();
    let bare =
        |args: &[&str]| home.add(&[&["--clean-env", "--cwd", "/", "--env", "LOGNAME=me"], args].concat());
    bare(&["true"]);
    bare(&[
        "--name",
        "taskq-3",
        "--every",
        "7m",
        "--cron",
        "@daily",
        "--overlap",
        "wait",
        "--missed",
        "once,6h",
        "true",
    ]);
    bare(&["--cron", "@daily", "true"]);
    bare(&["--cron", "30 2 * * *", "--missed", "all", "--hold", "--priority", "1", "true"]);
    bare(&["--cron", "*/20 * * * *", "--start", "2031-01-01", "--env", "A-B=1", "true"]);
    insta::assert_snapshot!(home.transcript(&[&["export", "systemd"]]));
}

#[test]
fn what_all_jobs_share_is_said_once_with_a_count() {
    let home = Home::new();
    let table: String = (0..12).map(|minute| format!("{minute} 12 * * * job-{minute}\n")).collect();
    let table = format!("MAILTO=a@b.example\n{table}MAILTO=\"\"\n*/5 * * * * job-12\n");
    home.taskq(&["import", "crontab", "-", "--from", "debian"]).stdin(table).answer();
    let answer = home.taskq(&["export", "systemd"]).answer();
    // The system's zone may have daylight saving.
    let told: Vec<&str> = answer.stderr.lines().filter(|line| !line.contains("clock is changed")).collect();
    let expected = [
        "all 13 jobs: systemd cannot say `--overlap allow`",
        "12 jobs (1, 2, 3, …): systemd cannot say `--missed once,3h`",
        "12 jobs (1, 2, 3, …): systemd cannot say `--mail a@b.example,output`",
    ];
    assert_eq!((answer.status, told.as_slice()), (1, expected.as_slice()));
}

#[test]
fn systemd_takes_every_unit() {
    let home = Home::new();
    home.add(&[
        "--name",
        "backup",
        "--cron",
        "15 3 * * mon-fri",
        "--timeout",
        "1h30m",
        "-c",
        "date +%F\nexit 3\n",
    ]);
    home.add(&[
        "--every",
        "90s",
        "--cron",
        "@reboot",
        "--env",
        "A=50% \"x\"\\\ny ",
        "--",
        "true",
        ";",
        "$x",
        "%h",
        "a\\;",
    ]);
    home.add(&["--at", "2031-01-01 12:00:00.5", "--kill-after", "1us", "--", "/bin/true", "\u{1}", "ü"]);
    home.add(&["--cron", "0 30 9 * * MON-FRI 2030-2040", "--cwd", "/", "--", "/bin/echo", "@x", ""]);
    let stream = home.taskq(&["export", "systemd"]).answer().stdout;
    verified(&home, &stream, 8);
}

#[test]
fn a_format_is_needed_and_is_one_of_three() {
    let home = Home::new();
    insta::assert_snapshot!(home.transcript(&[&["export"], &["export", "yaml"], &["export", "json"]]));
}
