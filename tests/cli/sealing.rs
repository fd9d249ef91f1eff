//! Owns: sealed stores: what is in their files, what works without the key, and the verbs of the key.
//! Never: the cryptography (see `seal`), or output files alone (see `keeper`).

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::harness::{Home, Lines, open_gate, pid_of};
use crate::shared::await_ready;

/// What no file of a sealed store may hold.
const MARKER: &str = "m4rker";

fn key(home: &Home) -> PathBuf {
    home.path().join(".config/taskq/key")
}

/// Returns the files below a directory that hold the marker.
fn leaks(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("it is ours").flatten() {
        // A file that went away meanwhile holds nothing.
        let Ok(metadata) = entry.path().symlink_metadata() else { continue };
        if metadata.is_dir() {
            found.extend(leaks(&entry.path()));
        } else if metadata.is_file() {
            let bytes = fs::read(entry.path()).unwrap_or_default();
            if bytes.windows(MARKER.len()).any(|part| part == MARKER.as_bytes()) {
                found.push(entry.path());
            }
        }
    }
    found
}

fn assert_sealed(home: &Home) {
    let leaks = leaks(&home.store());
    assert!(leaks.is_empty(), "{leaks:?}");
}

/// Adds jobs of which each secret part has the marker. Returns their names.
fn add_all(home: &Home) -> Vec<&'static str> {
    let marked = |text: &str| text.replace("M", MARKER);
    let add = |name: &str, options: &[&str], script: &str| {
        let (options, script): (Vec<String>, _) =
            (options.iter().map(|text| marked(text)).collect(), marked(script));
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        home.add(&[&["--name", name][..], &options, &["-c", &script]].concat());
    };
    add(
        "short",
        &["--env", "TOKEN=M"],
        "echo M-out $TOKEN; echo M-err >&2; echo '{\"M\":1}' >$TASKQ_RESULT_FILE",
    );
    add("split", &["--split-output"], "echo M-out; echo M-err >&2");
    add("long", &[], "yes M-line | head -c 300000");
    add("retried", &["--retries", "1", "--retry-delay", "1ms"], "echo M-try; exit 3");
    add("called", &["--on-success", "echo M-callback", "--on-finish", "echo M-end"], "true");
    add("listens", &["--on", "emit:push"], "cat $TASKQ_EVENT_FILE");
    add("gated", &["--if", "cmd:test M"], "true");
    add("waits", &["--if", "cmd:test M = x", "--if-timeout", "1s"], "true");
    add("streams", &["--on", "stream:echo M-told; exec sleep 1000"], "cat $TASKQ_EVENT_FILE");
    home.add(&["--name", "missing", &marked("./M-program")]);
    fs::write(home.work().join("items"), marked("M-1\nM-2\n")).expect("ours");
    home.add(&["--name", "items", "--each", "items", "-c", "echo $TASKQ_ITEM"]);
    let table = marked("TOKEN=M\n0 0 1 1 * echo M % M-input\n");
    home.taskq(&["import", "crontab", "-"]).stdin(table).answer();
    vec!["short", "split", "streams", "long", "retried", "called", "listens", "missing", "items"]
}

fn outputs(home: &Home, jobs: &[&str]) -> String {
    let log = |job: &&str| home.taskq(&["log", "--all", job]).answer().stdout;
    jobs.iter().map(log).collect()
}

fn finish(home: &Home) {
    home.taskq(&["daemon", "--until-idle"]).answer();
}

#[test]
fn a_sealed_store_has_no_plain_byte_of_a_job_at_any_time_of_a_run() {
    let mut home = Home::new();
    home.taskq(&["key", "init"]).answer();
    home.start_daemon(&[]);
    let jobs = add_all(&home);
    home.taskq(&["emit", "push", "--data", "-"]).stdin(format!("{MARKER}-data")).answer();
    let mut lines = Lines::of(&home, "lines");
    let gate = home.fifo("gate");
    let script =
        format!("echo {MARKER}-begin; echo begun >lines; read x <gate; echo {MARKER}-end; echo over >lines");
    home.add(&["--name", "held", "-c", &script]);
    assert_eq!(lines.next(), "begun");
    assert_sealed(&home);
    home.stop_daemon(Signal::SIGKILL);
    assert_sealed(&home);
    home.start_daemon(&[]);
    open_gate(&gate);
    assert_eq!(lines.next(), "over");
    home.taskq(&["wait", "held", "items", "retried"]).answer();
    assert_sealed(&home);
    assert_eq!(home.taskq(&["log", "held"]).answer().stdout, format!("{MARKER}-begin\n{MARKER}-end\n"));
    home.stop_daemon(Signal::SIGTERM);
    finish(&home);
    assert_sealed(&home);
    let all = outputs(&home, &jobs);
    for wanted in ["-out", "-err", "-line", "-try", "-callback", "-end", "-data", "-1\n"] {
        assert!(all.contains(&format!("{MARKER}{wanted}")), "{wanted}");
    }
}

#[test]
fn sealing_leaves_nothing_plain_of_what_was_there_and_unsealing_gives_all_back() {
    let home = Home::new();
    let jobs = add_all(&home);
    home.taskq(&["emit", "push", "--data", "-"]).stdin(format!("{MARKER}-data")).answer();
    finish(&home);
    assert!(!leaks(&home.store()).is_empty());
    let documents = |home: &Home| {
        let shown = jobs.iter().map(|job| home.taskq(&["show", job, "--json"]).answer().stdout);
        (outputs(home, &jobs), shown.collect::<Vec<_>>(), home.taskq(&["crontab", "-l"]).answer().stdout)
    };
    let before = documents(&home);
    let made = home.taskq(&["key", "init"]).answer();
    assert_eq!((made.status, made.stdout.as_str()), (0, ""));
    assert!(made.stderr.contains("keep a copy of it"), "{}", made.stderr);
    assert_eq!(fs::metadata(key(&home)).expect("it was made").permissions().mode() & 0o777, 0o600);
    assert_sealed(&home);
    assert_eq!(documents(&home), before);
    let twice = home.taskq(&["key", "init"]).answer();
    assert_eq!(
        (twice.status, twice.stderr.lines().next()),
        (1, Some("error: cannot seal store: it is sealed already"))
    );
    home.taskq(&["key", "remove"]).gives(0, "", "");
    fs::remove_file(key(&home)).expect("it stays");
    assert_eq!(documents(&home), before);
}

#[test]
fn without_the_key_jobs_are_listed_and_stopped_and_what_is_sealed_is_named() {
    let home = Home::new();
    home.add(&["--name", "nightly", "--cron", "0 0 1 1 *", "echo", MARKER]);
    home.add(&["--name", "once", "echo", MARKER]);
    finish(&home);
    home.add(&["--name", "waits", "echo", MARKER]);
    home.add(&["--name", "listed", "--hold", "echo", MARKER]);
    home.taskq(&["key", "init"]).answer();
    fs::rename(key(&home), home.work().join("away")).expect("it was made");
    for verb in [
        &["list", "-a"][..],
        &["show", "nightly"],
        &["runs"],
        &["next"],
        &["why", "waits"],
        &["timeline"],
        &["stats"],
        &["events"],
        &["pause", "nightly"],
        &["resume", "nightly"],
        &["cancel", "waits"],
        &["cancel", "nightly"],
    ] {
        let answer = home.taskq(verb).answer();
        assert_eq!(answer.status, 0, "{verb:?}: {}", answer.stderr);
        assert!(!answer.stdout.contains(MARKER), "{verb:?}");
    }
    assert!(home.taskq(&["list", "-a"]).answer().stdout.contains("(sealed)"));
    let missing = format!("the store is sealed, and there is no key in `{}`", key(&home).display());
    for verb in [
        &["add", "--", "true"][..],
        &["set", "listed", "--priority", "1"],
        &["export", "json"],
        &["log", "once"],
        &["daemon", "--until-idle"],
        &["key", "rotate"],
        &["key", "remove"],
    ] {
        let answer = home.taskq(verb).answer();
        assert_eq!((answer.status, answer.stdout.as_str()), (1, ""), "{verb:?}");
        assert!(answer.stderr.contains(&missing), "{verb:?}: {}", answer.stderr);
    }
    let status = home.taskq(&["key", "status"]).answer();
    assert!(status.status == 1 && status.stdout.contains(&missing), "{}", status.stdout);
    let doctor = home.taskq(&["doctor"]).answer();
    assert!(doctor.stdout.contains(&format!("fault  key        {missing}")), "{}", doctor.stdout);
}

#[test]
fn a_key_that_is_wrong_or_open_to_others_or_no_key_is_named() {
    let mut home = Home::new();
    home.add(&["--name", "job", "echo", MARKER]);
    home.taskq(&["key", "init"]).answer();
    let own = fs::read(key(&home)).expect("it was made");
    let complains = |home: &Home, cause: &str| {
        let answer = home.taskq(&["add", "true"]).answer();
        assert!(answer.status == 1 && answer.stderr.contains(cause), "{cause}: {}", answer.stderr);
        assert!(answer.stderr.contains("\nhint: "), "{}", answer.stderr);
    };
    fs::set_permissions(key(&home), Permissions::from_mode(0o640)).expect("ours");
    complains(&home, "can be read by others: its mode is 640");
    fs::set_permissions(key(&home), Permissions::from_mode(0o600)).expect("ours");
    fs::write(key(&home), "nonsense\n").expect("ours");
    complains(&home, "line 1 is not `taskq-key-1` and 64 hexadecimal digits");
    fs::write(key(&home), "# empty\n").expect("ours");
    complains(&home, "has no key");
    fs::write(key(&home), format!("taskq-key-1 {}\n", "ab".repeat(32))).expect("ours");
    complains(&home, "the store is sealed with the key ");
    fs::write(key(&home), own).expect("ours");
    home.add(&["true"]);
    // The file of another name goes before it.
    let named = home.work().join("named");
    fs::rename(key(&home), &named).expect("ours");
    home.set_env("TASKQ_KEY_FILE", named);
    home.add(&["true"]);
}

#[test]
fn a_daemon_without_its_key_waits_for_it_and_accounts_for_what_was_due() {
    let home = Home::new();
    home.taskq(&["key", "init"]).answer();
    home.add(&["--name", "waits", "echo", MARKER]);
    fs::rename(key(&home), home.work().join("away")).expect("it was made");
    let mut daemon = home.command(&["daemon"]).stderr(Stdio::piped()).spawn().expect("taskq starts");
    let mut log = BufReader::new(daemon.stderr.take().expect("it is piped"));
    let mut line = String::new();
    log.read_line(&mut line).expect("text");
    assert!(line.contains("nothing starts until the key is there: the store is sealed"), "{line}");
    assert_eq!(home.json(&["runs"])["runs"][0]["state"], "queued");
    fs::rename(home.work().join("away"), key(&home)).expect("ours");
    while !line.contains("serving") {
        line.clear();
        assert_ne!(log.read_line(&mut line).expect("text"), 0, "the daemon has ended");
    }
    assert_eq!(home.taskq(&["wait", "waits"]).answer().status, 0);
    kill(pid_of(&daemon), Signal::SIGTERM).expect("it is our child");
    assert_eq!(daemon.wait().expect("it is our child").code(), Some(0));
    // Without the key again, and told to stop.
    fs::rename(key(&home), home.work().join("away")).expect("ours");
    let mut daemon = home.command(&["daemon"]).stderr(Stdio::piped()).spawn().expect("taskq starts");
    BufReader::new(daemon.stderr.take().expect("it is piped")).read_line(&mut line).expect("text");
    kill(pid_of(&daemon), Signal::SIGTERM).expect("it is our child");
    assert_eq!(daemon.wait().expect("it is our child").code(), Some(0));
}

#[test]
fn a_key_is_replaced_under_a_running_daemon_and_its_runs() {
    let mut home = Home::new();
    home.taskq(&["key", "init"]).answer();
    home.start_daemon(&[]);
    home.add_and_wait(&["--name", "before", "-c", &format!("echo {MARKER}; yes {MARKER} | head -c 200000")]);
    let mut lines = Lines::of(&home, "lines");
    let gate = home.fifo("gate");
    let script = format!("echo {MARKER}-begin; echo begun >lines; read x <gate; echo {MARKER}-end");
    home.add(&["--name", "held", "-c", &script]);
    assert_eq!(lines.next(), "begun");
    let old = fs::read(key(&home)).expect("it is there");
    let rotated = home.taskq(&["key", "rotate"]).answer();
    assert_eq!(rotated.status, 0, "{}", rotated.stderr);
    assert!(rotated.stderr.contains("runs under way still write with the old key"), "{}", rotated.stderr);
    assert_eq!(home.taskq(&["key", "status"]).answer().status, 1, "it is not over");
    home.add_and_wait(&["--name", "meanwhile", "-c", &format!("echo {MARKER}")]);
    open_gate(&gate);
    assert_eq!(home.taskq(&["wait", "held"]).answer().status, 0);
    home.taskq(&["key", "rotate"]).gives(0, "", "");
    home.add_and_wait(&["--name", "after", "-c", &format!("echo {MARKER}")]);
    home.stop_daemon(Signal::SIGTERM);
    assert_eq!(home.taskq(&["key", "status"]).answer().status, 0);
    assert_eq!(outputs(&home, &["held", "meanwhile", "after"]).matches(MARKER).count(), 4);
    assert_eq!(home.taskq(&["log", "before"]).answer().stdout.len(), 200_000 + MARKER.len() + 1);
    assert_sealed(&home);
    fs::write(key(&home), old).expect("ours");
    assert_eq!(home.taskq(&["log", "after"]).answer().status, 1, "the old key opens nothing");
}

#[test]
fn a_verb_of_the_key_that_is_killed_at_any_instant_can_be_called_again() {
    let home = Home::new();
    let jobs = add_all(&home);
    finish(&home);
    let before = outputs(&home, &jobs);
    for (verb, instants) in [("init", 12), ("rotate", 12), ("remove", 12)] {
        for millis in 0..instants {
            let mut child = home.command(&["key", verb]).stderr(Stdio::null()).spawn().expect("taskq starts");
            await_ready(&mut [], Duration::from_millis(millis * 8));
            child.kill().expect("it is our child");
            child.wait().expect("it is our child");
            let status = home.taskq(&["key", "status", "--json"]).answer().stdout;
            let status: Value = serde_json::from_str(&status).expect("a document");
            let is_sealed = status["sealed"] == true;
            assert_eq!(status["readable"], true, "{verb} after {millis}");
            if !is_sealed || status["unfinished"].is_null() {
                assert_eq!(outputs(&home, &jobs), before, "{verb} after {millis}");
            }
        }
        // Most likely one of them has ended by itself.
        let _ = home.taskq(&["key", verb]).answer();
        assert_eq!(home.taskq(&["key", "status"]).answer().status, 0);
        assert_eq!(outputs(&home, &jobs), before, "{verb}");
        assert_eq!(leaks(&home.store()).is_empty(), verb != "remove");
    }
}

#[test]
fn a_store_with_runs_or_a_daemon_is_neither_sealed_nor_unsealed() {
    let mut home = Home::new();
    home.start_daemon(&[]);
    let gate = home.fifo("gate");
    let mut lines = Lines::of(&home, "lines");
    home.add(&["--name", "held", "-c", "echo begun >lines; read x <gate"]);
    assert_eq!(lines.next(), "begun");
    let refused = |home: &Home, cause: &str| {
        let answer = home.taskq(&["key", "init"]).answer();
        assert!(answer.status == 1 && answer.stderr.contains(cause), "{}", answer.stderr);
        assert!(!key(home).exists());
    };
    refused(&home, "a daemon serves the store: pid ");
    home.stop_daemon(Signal::SIGTERM);
    refused(&home, "1 run under way, the first is 1.1");
    open_gate(&gate);
    finish(&home);
    assert_eq!(home.taskq(&["key", "init"]).answer().status, 0);
}
