//! Owns: gates, as a user sees them: `--if`, `--if-timeout`, and what `why` says of runs that wait at one.
//! Never: what is measured (see the unit tests of `watch`), which run passes in which turn (see those of
//! `engine`).

use std::fs::{self, File, OpenOptions};
use std::io::Write;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::filter::squeezed;
use crate::harness::{Home, open_gate};

/// Closed on each machine of today.
const CLOSED: &str = "memfree>1000T";

fn with_slots(slots: &str) -> Home {
    let mut home = Home::new();
    home.start_daemon(&["--slots", slots]);
    home
}

/// Makes an empty file in the directory of the jobs.
fn touch(home: &Home, name: &str) {
    File::create(home.work().join(name)).expect("there is room");
}

/// Lets the daemon start all that can start: a run without gates is passed by nothing.
fn settle(home: &Home) {
    home.add_and_wait(&["true"]);
}

fn state(home: &Home, job: &str) -> Value {
    home.json(&["show", job])["job"]["state"].clone()
}

fn latest(home: &Home, job: &str) -> Value {
    home.json(&["runs", job, "-n", "1"])["runs"][0].clone()
}

/// Adds a job that runs until a FIFO of its name is opened, and waits until it has begun.
fn busy(home: &Home, name: &str, options: &[&str]) {
    home.fifo(name);
    home.add(&[&["--name", name], options, &["-c", &format!("read x <{name}; true")]].concat());
    await_state(home, name, "running");
}

fn await_state(home: &Home, job: &str, wanted: &str) {
    while state(home, job) != wanted {
        home.taskq(&["wait", job, "--timeout", "10ms"]).answer();
    }
}

/// Returns what `why` prints, with what varies filtered.
fn why(home: &Home, target: &str) -> String {
    let answer = home.taskq(&["why", target]).answer();
    assert_eq!((answer.status, answer.stdout.lines().count()), (0, 1), "{answer:?}");
    squeezed(&format!("{}{}", answer.stdout, answer.stderr))
}

/// Returns the text between two others.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    text.split_once(begin).and_then(|(_, rest)| rest.split_once(end)).map_or("", |(between, _)| between)
}

#[test]
fn a_run_starts_when_its_gate_opens() {
    let mut home = Home::with_daemon();
    home.add(&["--name", "a", "--if", "path:ready", "--if", "path:.", "true"]);
    settle(&home);
    assert_eq!(state(&home, "a"), "queued");
    touch(&home, "ready");
    home.taskq(&["wait", "a"]).gives(0, "", "");
    // Also under the next daemon.
    home.add(&["--name", "b", "--if", "path:other", "true"]);
    settle(&home);
    home.stop_daemon(Signal::SIGKILL);
    touch(&home, "other");
    home.start_daemon(&[]);
    home.taskq(&["wait", "b"]).gives(0, "", "");
}

#[test]
fn the_file_of_a_gate_is_relative_to_the_directory_of_the_job() {
    let home = Home::new();
    let work = home.work().display().to_string();
    fs::create_dir_all(home.work().join("conf/sub")).expect("they are new");
    let gate = |job: &str| home.json(&["show", job])["job"]["if"][0].clone();
    home.add(&["--name", "a", "--hold", "--cwd", "conf", "--if", "path:ready", "true"]);
    assert_eq!(gate("a"), format!("path:{work}/conf/ready"));
    home.taskq(&["set", "a", "--if", "path:other"]).answer();
    assert_eq!(gate("a"), format!("path:{work}/conf/other"));
    home.taskq(&["set", "a", "--cwd", "conf/sub"]).answer();
    assert_eq!(gate("a"), format!("path:{work}/conf/other"), "what is not given stays");
    home.taskq(&["set", "a", "--cwd", ".", "--if", "path:ready"]).answer();
    assert_eq!(gate("a"), format!("path:{work}/ready"));
    let text = "[jobs.b]\nscript = 'x'\ncwd = 'sub'\nif = 'path:ready'\nhold = true\n";
    fs::write(home.work().join("conf/jobs.toml"), text).expect("it is writable");
    home.taskq(&["apply", "conf/jobs.toml"]).answer();
    assert_eq!(gate("b"), format!("path:{work}/conf/sub/ready"));
    assert_eq!(home.taskq(&["apply", "conf/jobs.toml"]).answer().stdout, "= 1 unchanged\n");
}

#[test]
fn a_closed_gate_delays_nobody_else_and_books_nothing() {
    let home = with_slots("1");
    home.taskq(&["resource", "set", "gpu=1"]).gives(0, "", "");
    home.add(&["--name", "a", "--priority", "100", "-R", "gpu=1", "--if", CLOSED, "true"]);
    home.add(&["--name", "many", "--array", "1-100", "--priority", "100", "--if", CLOSED, "true"]);
    home.add(&["--name", "b", "-R", "gpu=1", "-c", "echo $TASKQ_GPU"]);
    home.taskq(&["wait", "b"]).gives(0, "", "");
    home.taskq(&["log", "b"]).gives(0, "0\n", "");
    assert_eq!(["a", "many"].map(|job| state(&home, job)), ["queued", "queued"]);
    assert_eq!(latest(&home, "a")["resources"], json!(null));
}

#[test]
fn one_run_a_second_passes_a_gate() {
    let home = with_slots("10");
    home.add(&["--name", "a", "--if", "path:.", "-c", "date +%s%3N >>times"]);
    home.add(&["--name", "b", "--array", "1-2", "--if", "path:/", "-c", "date +%s%3N >>times"]);
    home.taskq(&["wait", "a", "b"]).gives(0, "", "");
    let text = home.file("times");
    let times: Vec<u64> = text.lines().map(|line| line.parse().expect("a number")).collect();
    // A start can be late by itself, and the next one then seems to come sooner.
    assert!(times.len() == 3 && times[2] - times[0] > 1_000, "{times:?}");
}

#[test]
fn a_script_runs_last_with_what_the_job_has_and_opens_with_status_0() {
    let home = with_slots("1");
    home.taskq(&["resource", "set", "gpu=1"]).gives(0, "", "");
    let asked = "cmd:echo $COLOUR >>asked; test -e ready";
    let second = "cmd:echo second >>asked";
    let gates = ["--if", asked, "--if", second, "--if", "path:open"];
    home.add(&[&["--name", "a", "-R", "gpu=1", "--env", "COLOUR=red"], &gates[..], &["true"]].concat());
    let is_asked = || home.work().join("asked").exists();
    settle(&home);
    assert!(!is_asked(), "another gate is closed");
    busy(&home, "b", &["-R", "gpu=1"]);
    touch(&home, "open");
    home.taskq(&["queue", "set", "other", "--slots", "1"]).answer();
    home.add_and_wait(&["--queue", "other", "true"]);
    assert!(!is_asked(), "no slot is free");
    home.taskq(&["queue", "set", "default", "--slots", "2"]).answer();
    settle(&home);
    assert!(!is_asked(), "the resource is taken");
    open_gate(&home.work().join("b"));
    home.taskq(&["wait", "b"]).gives(0, "", "");
    // The answer no is `asked` once, and then again.
    while !is_asked() {
        home.taskq(&["wait", "a", "--timeout", "10ms"]).answer();
    }
    touch(&home, "ready");
    home.taskq(&["wait", "a"]).gives(0, "", "");
    let file = home.file("asked");
    let answers: Vec<&str> = file.lines().collect();
    let (last, first) = answers.split_last().expect("they are asked");
    assert!(*last == "second" && first.iter().all(|answer| *answer == "red"), "{answers:?}");
}

#[test]
fn a_run_waits_for_a_script_that_does_not_end_and_asks_again_after_a_no() {
    let home = with_slots("1");
    let script = home.fifo("script");
    home.add(&["--name", "a", "--if", "cmd:echo >>asked; read answer <script", "true"]);
    // This blocks until the script runs.
    let asking = OpenOptions::new().write(true).open(&script).expect("the FIFO is there");
    // It has no slot.
    settle(&home);
    assert_eq!(
        why(&home, "a"),
        "run 1.1 waits at the gate `cmd:echo >>asked; read answer <script`: its script has not \
         exited with 0 yet; queued at [time]\n"
    );
    // It reads nothing, which it calls an error.
    drop(asking);
    while home.file("asked").lines().count() < 2 {
        home.taskq(&["wait", "a", "--timeout", "10ms"]).answer();
    }
    let mut asking = OpenOptions::new().write(true).open(&script).expect("the FIFO is there");
    assert_eq!(state(&home, "a"), "queued");
    asking.write_all(b"yes\n").expect("it is read");
    home.taskq(&["wait", "a"]).gives(0, "", "");
}

#[test]
fn a_run_at_a_closed_gate_is_missed_after_its_time_out() {
    let home = Home::with_daemon();
    home.add(&["--name", "a", "--if", CLOSED, "--if-timeout", "10ms", "true"]);
    let ended = "run 1.1: missed, a gate was closed at the end of its `--if-timeout`\n";
    home.taskq(&["wait", "a"]).gives(125, "", ended);
    home.add(&["--name", "many", "--array", "1-3", "--if", CLOSED, "--if-timeout", "10ms", "true"]);
    assert_eq!(home.taskq(&["wait", "many"]).answer().status, 1);
    let indices = home.json(&["show", "many"])["job"]["indices"].clone();
    assert_eq!((&indices["missed"], &indices["total"]), (&json!(3), &json!(3)));
    // What is open then starts.
    home.add(&["--name", "b", "--if", "path:.", "--if-timeout", "1us", "true"]);
    home.taskq(&["wait", "b"]).gives(0, "", "");
}

#[test]
fn with_run_gates_do_not_count_after_the_time_out() {
    let home = Home::with_daemon();
    let gates = ["--if", CLOSED, "--if", "cmd:touch asked"];
    home.add(&[&["--name", "a"], &gates[..], &["--if-timeout", "10ms,run", "true"]].concat());
    home.taskq(&["wait", "a"]).gives(0, "", "");
    assert!(!home.work().join("asked").exists());
    home.add(&["--array", "1-2", "--if", CLOSED, "--if-timeout", "10ms,run", "true"]);
    home.taskq(&["wait", "2"]).gives(0, "", "");
}

#[test]
fn a_run_that_is_tried_again_waits_on_and_its_callback_passes_no_gate() {
    let home = Home::with_daemon();
    touch(&home, "ready");
    home.add(&[
        &["--name", "a", "--if", "path:ready", "--if-timeout", "10ms", "--retries", "1"],
        &["--retry-delay", "1ms", "--on-finish", "rm ready", "-c", "rm ready; test $TASKQ_ATTEMPT = 2"][..],
    ]
    .concat());
    while latest(&home, "a")["attempt"] != 2 {
        home.taskq(&["wait", "a", "--timeout", "10ms"]).answer();
    }
    home.taskq(&["wait", "a", "--timeout", "100ms"]).answer();
    let gate = "run 1.1 waits at the gate `path:[home]/work/ready`: there is no such file; its last \
                attempt ended at [time]\n";
    let home_text = home.path().to_str().expect("temporary directories have plain names");
    assert_eq!(why(&home, "a").replace(home_text, "[home]"), gate);
    assert_eq!(home.json(&["why", "a"])["until"], json!(null));
    touch(&home, "ready");
    home.taskq(&["wait", "a"]).gives(0, "", "");
    let outcomes = home.json(&["runs", "a"])["runs"].clone();
    // The callback finds no file.
    assert_eq!((&outcomes[0]["trigger"], &outcomes[0]["outcome"]), (&json!("callback"), &json!("failed")));
}

#[test]
fn gates_are_shown_changed_and_taken_back() {
    let home = Home::with_daemon();
    let gates = ["--if", "load<01.50", "--if", CLOSED, "--if", "load<1.5", "--if", "cmd:test 1 =\n2"];
    home.add(&[&["--name", "a", "--if-timeout", "90m"], &gates[..], &["true"]].concat());
    let job = home.json(&["show", "a"])["job"].clone();
    assert_eq!(job["if"], json!(["load<1.5", CLOSED, "cmd:test 1 =\n2"]));
    assert_eq!((&job["if_timeout_ms"], &job["if_timeout_runs"]), (&json!(5_400_000), &json!(false)));
    let line = |home: &Home| {
        let shown = home.taskq(&["show", "a"]).answer().stdout;
        shown.lines().find(|line| line.starts_with("If:")).unwrap_or_default().to_owned()
    };
    let all = "load<1.5, memfree>1000T, cmd:test 1 =\\n2";
    assert_eq!(line(&home), format!("If:        {all}, else missed after 1h30m"));
    home.taskq(&["set", "a", "--if-timeout", "2h,run"]).gives(0, "if-timeout 1h30m → 2h,run\n", "");
    assert_eq!(home.json(&["show", "a"])["job"]["if_timeout_runs"], true);
    home.taskq(&["set", "a", "--if", CLOSED]).gives(0, &format!("if {all} → {CLOSED}\n"), "");
    assert_eq!(line(&home), format!("If:        {CLOSED}, else started after 2h"));
    home.taskq(&["set", "a", "--unset", "if-timeout"]).gives(0, "if-timeout 2h,run → none\n", "");
    assert_eq!(line(&home), format!("If:        {CLOSED}"));
    // The run that waits starts.
    home.taskq(&["set", "a", "--unset", "if"]).gives(0, &format!("if {CLOSED} → none\n"), "");
    home.taskq(&["wait", "a"]).gives(0, "", "");
    let job = home.json(&["show", "a"])["job"].clone();
    assert_eq!((&job["if"], &job["if_timeout_ms"]), (&json!([]), &json!(null)));
    home.add(&["--name", "b", "--hold", "true"]);
    home.taskq(&["set", "b", "--if", CLOSED, "--if-timeout", "1d"]).answer();
    let both = format!("if {CLOSED} → none\nif-timeout 1d → none\n");
    home.taskq(&["set", "b", "--unset", "if"]).gives(0, &both, "");
}

#[test]
fn a_line_of_from_has_its_gates_and_export_writes_them() {
    let home = Home::new();
    let lines = "{\"command\":[\"true\"],\"if\":[\"ac\",\"path:/a b\"],\"if_timeout\":\"1h,run\"}\n\
                 {\"command\":[\"true\"],\"if\":\"cmd:test -e 'it is'\",\"if_timeout\":\"2d\"}\n";
    home.taskq(&["add", "--quiet", "--from", "-"]).stdin(lines).gives(0, "1\n2\n", "");
    let exported = home.taskq(&["export", "json", "--with-environment"]).answer().stdout;
    assert!(exported.contains(",\"if\":[\"ac\",\"path:/a b\"],\"if_timeout\":\"1h,run\","), "{exported}");
    assert!(exported.contains(",\"if\":[\"cmd:test -e 'it is'\"],\"if_timeout\":\"2d\","), "{exported}");
    let other = Home::new();
    other.taskq(&["add", "--quiet", "--from", "-"]).stdin(exported.clone()).gives(0, "1\n2\n", "");
    assert_eq!(other.taskq(&["export", "json", "--with-environment"]).answer().stdout, exported);
}

#[test]
fn other_formats_cannot_say_gates_and_json_none_that_is_no_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let home = Home::new();
    let options = ["--clean-env", "--tz", "system", "--cron", "@daily", "--overlap", "allow"];
    home.add(&[&options[..], &["--if", "cmd:test -e 'a b'", "-c", "true"]].concat());
    for (format, it) in [("crontab", "crontab(5)"), ("systemd", "systemd")] {
        let answer = home.taskq(&["export", format]).answer();
        let line = format!(r"job 1: {it} cannot say `--if 'cmd:test -e '\''a b'\'''`");
        assert!(answer.status == 1 && answer.stderr.contains(&line), "{format}: {answer:?}");
    }
    let words = [&b"add"[..], b"--quiet", b"--if", b"path:/\xff", b"true"];
    home.taskq(&words.map(OsStr::from_bytes)).gives(0, "2\n", "");
    let left_out = "job 2 is left out: JSON cannot say bytes that are not UTF-8, as in its `if`\n";
    home.taskq(&["export", "json", "--with-environment", "2"]).gives(1, "", left_out);
    let shown = home.taskq(&["show", "2"]).answer().stdout;
    assert!(shown.contains("\nIf:        path:/\\xff\n"), "{shown}");
}

#[test]
fn a_gate_is_explained_with_what_it_measures_and_until_when_it_counts() {
    let home = Home::with_daemon();
    let queued = "queued at [time]\n";
    home.add(&["--name", "a", "--if", CLOSED, "true"]);
    let line = home.taskq(&["why", "a"]).answer().stdout;
    let size = between(&line, "`memfree>1000T`: it is ", " now; queued at ");
    assert!(size.ends_with(['M', 'G', 'T']), "{line}");
    let found = home.json(&["why", "a"]);
    for (key, value) in [
        ("reason", json!("gate")),
        ("gate", json!(CLOSED)),
        ("until", json!(null)),
        ("resource", json!(null)),
        ("held_by", json!([])),
    ] {
        assert_eq!(found[key], value, "{key}");
    }
    assert!(found["value"].as_str().is_some_and(|size| size.ends_with(['M', 'G', 'T'])), "{found}");
    home.add(&["--name", "b", "--if", "path:/", "--if", "path:/none", "--if-timeout", "1h", "true"]);
    let none = "run 2.1 waits at the gate `path:/none`: there is no such file";
    assert_eq!(
        why(&home, "b"),
        format!("{none}; if a gate is closed at [time], the run is missed; {queued}")
    );
    home.taskq(&["set", "b", "--if-timeout", "1h,run"]).answer();
    assert_eq!(why(&home, "b"), format!("{none}; from [time] on, its gates do not count; {queued}"));
    let found = home.json(&["why", "b"]);
    assert_eq!((&found["gate"], &found["value"]), (&json!("path:/none"), &json!(null)));
    assert!(found["until"].is_string(), "{found}");
    home.add(&["--name", "c", "--if", "cmd:false", "--if", "cmd:false\nfalse", "true"]);
    assert_eq!(
        why(&home, "c"),
        format!(
            "run 3.1 waits at the gate `cmd:false`: not each script of its gates has exited with 0 yet; \
             {queued}"
        )
    );
    home.taskq(&["set", "c", "--if", "cmd:false\nfalse"]).answer();
    let script = "run 3.1 waits at the gate `cmd:false\\nfalse`: its script has not exited with 0 yet";
    assert_eq!(why(&home, "c"), format!("{script}; {queued}"));
}

#[test]
fn a_resource_is_explained_with_the_runs_that_have_it_or_are_before() {
    let home = with_slots("10");
    home.taskq(&["resource", "set", "gpu=2", "mem=8G"]).gives(0, "", "");
    busy(&home, "a", &["-R", "gpu=1,mem=5G"]);
    home.add(&["--name", "L", "-R", "gpu=2", "true"]);
    home.add(&["--name", "b", "-R", "gpu=1", "true"]);
    home.add(&["--name", "m", "-R", "mem=4G", "true"]);
    // A gate comes first.
    home.add(&["--name", "g", "-R", "gpu=2", "--if", "path:/none", "true"]);
    let queued = "queued at [time]\n";
    for (job, line) in [
        ("L", "run 2.1 waits for gpu=2: 1 of 2 is free, 1.1 has the rest"),
        (
            "b",
            "run 3.1 waits for gpu=1: 1 of 2 is free and kept for 2.1, which is before it, 1.1 has the rest",
        ),
        ("m", "run 4.1 waits for mem=4G: 3G of 8G is free, 1.1 has the rest"),
        ("g", "run 5.1 waits at the gate `path:/none`: there is no such file"),
    ] {
        let hint = if job == "b" { "hint: see `taskq why 2.1`\n" } else { "" };
        assert_eq!(why(&home, job), format!("{line}; {queued}{hint}"));
    }
    let values = |job: &str| {
        let found = home.json(&["why", job]);
        ["reason", "resource", "value", "held_by", "waits_for"].map(|key| found[key].clone())
    };
    let resource = json!("resource");
    assert_eq!(values("L"), [resource.clone(), json!("gpu"), json!("2/1"), json!(["1.1"]), json!([])]);
    assert_eq!(values("b"), [resource, json!("gpu"), json!("1/1"), json!(["1.1"]), json!(["2.1"])]);
    home.taskq(&["resource", "set", "gpu=1"]).answer();
    assert_eq!(
        why(&home, "L"),
        format!(
            "run 2.1 cannot start: it needs gpu=2, and there is gpu=1; {queued}\
             hint: `taskq resource set gpu=2`, or let the job need less\n"
        )
    );
    assert_eq!(values("L"), [json!("too_large"), json!("gpu"), json!("2/1"), json!([]), json!([])]);
    assert_eq!(
        why(&home, "b"),
        format!("run 3.1 waits for gpu=1: 0 of 1 is free, 1.1 has the rest; {queued}")
    );
}

#[test]
fn what_is_no_gate_is_refused_with_what_is_and_nothing_is_stored() {
    let home = Home::new();
    let mut said = String::new();
    for gate in [
        "",
        "lod<1",
        "!ac",
        "load",
        "load<",
        "load<=1",
        "load>1",
        "load<0",
        "load<1,5",
        "load <1",
        "runnable<2",
        "psi<1",
        "psi.cpu<101",
        "memfree",
        "memfree<2G",
        "memfree>0",
        "memfree>x",
        "ac=1",
        "path:",
        "path=/x",
        "cmd",
        "cmd: ",
    ] {
        said += &home.taskq(&["add", "--if", gate, "--", "true"]).transcript();
    }
    for timeout in ["1x", "0s", "-1h", "1h,start", "1h, run", "1h,", ",run"] {
        said += &home.taskq(&["add", "--if", "ac", "--if-timeout", timeout, "--", "true"]).transcript();
    }
    said += &home.transcript(&[&["add", "--if-timeout", "1h", "--", "true"], &["next", "--if", "ac"]]);
    for keys in
        ["\"if\":\"lod<1\"", "\"if\":3", "\"if\":\"ac\",\"if_timeout\":\"1\"", "\"if_timeout\":\"1h\""]
    {
        let line = format!("{{\"command\":[\"true\"]}}\n{{\"command\":[\"true\"],{keys}}}\n");
        said += &home.taskq(&["add", "--from", "-"]).stdin(line).transcript();
    }
    insta::assert_snapshot!(said);
    assert_eq!(home.json(&["list", "-a"])["jobs"], json!([]));
    let job = home.add(&["--hold", "true"]);
    let needs = "error: cannot set job `1`: `--if-timeout` needs `--if`\n";
    home.taskq(&["set", &job, "--if-timeout", "1h"]).gives(2, "", needs);
    home.taskq(&["set", &job, "--if", "ac", "--if", "lod"]).answer();
    assert_eq!(home.json(&["show", &job])["job"]["if"], json!([]));
    assert!(fs::metadata(home.work().join("2G")).is_err());
}
