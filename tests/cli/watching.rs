//! Owns: the sources of events that a daemon listens to, as a user sees them: files, streams, the machine.
//! Never: counting (see `listening`), what inotify does in each case (see the tests of `watch`).
//!
//! A job hands its events to the test through a FIFO, so that each test blocks on what it waits for.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Home, Lines, open_gate};

/// Hands the events of a run to the test.
const TELL: &str = "cat $TASKQ_EVENT_FILE >told";

impl Lines {
    fn event(&mut self) -> Value {
        serde_json::from_str(&self.next()).expect("a line is JSON")
    }

    /// Returns the paths of so many events, each with its change.
    fn paths(&mut self, home: &Home, count: usize) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let work = home.work().to_str().expect("plain").to_owned() + "/";
        let of = |event: Value| {
            assert_eq!((&event["name"], &event["kind"]), (&event["data"]["path"], &json!("path")), "{event}");
            (text(&event["name"]).replace(&work, ""), text(&event["data"]["change"]))
        };
        (0..count).map(|_| of(self.event())).collect()
    }
}

fn pairs(change: &str, names: &[&str]) -> Vec<(String, String)> {
    names.iter().map(|name| ((*name).to_owned(), change.to_owned())).collect()
}

/// Writes a file elsewhere, and moves it to its place.
fn replace(path: &Path, text: &str) {
    let beside = path.with_file_name(".new");
    fs::write(&beside, text).expect("it is ours");
    fs::rename(&beside, path).expect("it is ours");
}

/// Waits until the daemon has looked at the paths of all jobs so far. A change during its first look may be
/// told twice.
fn wait_for_first_look(home: &Home, told: &mut Lines) {
    home.add(&["--on", "path,exists:.", "--times", "1", "-c", "echo looked >told"]);
    assert_eq!(told.next(), "looked");
}

/// Returns how many runs a job has.
fn runs(home: &Home, job: &str) -> usize {
    home.json(&["runs", job])["runs"].as_array().map_or(0, Vec::len)
}

#[test]
fn each_file_that_is_created_is_an_event_and_hidden_ones_are_none() {
    let home = Home::with_daemon();
    let mut told = Lines::of(&home, "told");
    let dir = home.work().join("in");
    fs::create_dir(&dir).expect("the name is new");
    fs::write(dir.join("old.csv"), "").expect("it is ours");
    home.add(&["--name", "a", "--on", "path,created:in/*.csv", "-c", TELL]);
    fs::write(dir.join("a.csv"), "1\n").expect("it is ours");
    assert_eq!(told.paths(&home, 1), pairs("created", &["in/a.csv"]));
    for name in [".hidden.csv", "x.txt", "b.csv"] {
        fs::write(dir.join(name), "1\n").expect("it is ours");
    }
    replace(&dir.join("c.csv"), "1234\n");
    // It was there: it is replaced, and not created.
    replace(&dir.join("a.csv"), "2\n");
    // The daemon listens by now, so that a file that is soon gone is seen too.
    fs::remove_file(dir.join("b.csv")).expect("it is ours");
    let last = dir.join("d.csv");
    replace(&last, "12\n");
    assert_eq!(told.paths(&home, 3), pairs("created", &["in/b.csv", "in/c.csv", "in/d.csv"]));
    fs::remove_file(&last).expect("it is ours");
    replace(&last, "again\n");
    assert_eq!(told.paths(&home, 1), pairs("created", &["in/d.csv"]));
    home.taskq(&["wait", "a"]).gives(0, "", "");
}

#[test]
fn a_file_that_is_replaced_is_an_event_each_time() {
    let home = Home::with_daemon();
    let mut told = Lines::of(&home, "told");
    let file = home.work().join("site.conf");
    fs::write(&file, "").expect("it is ours");
    home.add(&["--name", "a", "--on", "path:site.conf", "-c", TELL]);
    wait_for_first_look(&home, &mut told);
    for text in ["1", "12"] {
        replace(&file, text);
        let event = told.event();
        let expected = json!({ "path": file.to_str(), "change": "changed", "size": text.len() });
        assert_eq!(event["data"], expected);
        home.taskq(&["wait", "a"]).gives(0, "", "");
    }
    fs::remove_file(&file).expect("it is ours");
    replace(&file, "123");
    assert_eq!(told.event()["data"]["size"], json!(3));
    home.taskq(&["wait", "a"]).gives(0, "", "");
    assert_eq!(runs(&home, "a"), 3);
}

#[test]
fn files_that_come_during_a_run_cause_exactly_one_more() {
    let home = Home::with_daemon();
    let (mut told, go, end) = (Lines::of(&home, "told"), home.fifo("go"), home.fifo("end"));
    for dir in ["new", "in", "done"] {
        fs::create_dir(home.work().join(dir)).expect("the name is new");
    }
    let script = "echo $TASKQ_RUN >told; : <go; mv in/* done || exit; echo moved >told; : <end";
    home.add(&["--name", "a", "--on", "path,nonempty:in", "-c", script]);
    let put = |name: &str| {
        let new = home.work().join("new").join(name);
        fs::write(&new, "").expect("it is ours");
        fs::rename(new, home.work().join("in").join(name)).expect("it is ours");
    };
    for (names, run) in [(&["1"][..], "1.1"), (&["2", "3", "4", "5"], "1.2")] {
        names.iter().for_each(|name| put(name));
        if run != "1.1" {
            open_gate(&end);
        }
        assert_eq!(told.next(), run);
        open_gate(&go);
        assert_eq!(told.next(), "moved");
    }
    open_gate(&end);
    home.taskq(&["wait", "a"]).gives(0, "", "");
    assert_eq!(fs::read_dir(home.work().join("done")).expect("it is ours").count(), 5);
    assert_eq!(runs(&home, "a"), 2);
}

#[test]
fn an_inbox_that_is_not_empty_is_read_by_one_run_after_another() {
    let home = Home::with_daemon();
    let mut told = Lines::of(&home, "told");
    fs::create_dir(home.work().join("in")).expect("the name is new");
    for name in ["1", "2", "3", ".hidden"] {
        fs::write(home.work().join("in").join(name), "").expect("it is ours");
    }
    let script = "cd in; for file in *; do rm $file; echo $file >../told; exit; done";
    home.add(&["--name", "a", "--on", "path,nonempty:in", "-c", script]);
    assert_eq!([told.next(), told.next(), told.next()], ["1", "2", "3"]);
    fs::write(home.work().join("in/4"), "").expect("it is ours");
    assert_eq!(told.next(), "4");
}

#[test]
fn what_happens_while_the_daemon_is_down_counts_once() {
    let mut home = Home::with_daemon();
    let mut told = Lines::of(&home, "told");
    let dir = home.work().join("in");
    fs::create_dir(&dir).expect("the name is new");
    home.add(&["--name", "a", "--on", "path,created:in/*", "-c", TELL]);
    fs::write(dir.join("a"), "").expect("it is ours");
    assert_eq!(told.paths(&home, 1), pairs("created", &["in/a"]));
    home.taskq(&["wait", "a"]).gives(0, "", "");
    for (signal, names) in
        [(Signal::SIGTERM, ["in/b", "in/c", "in/d"]), (Signal::SIGKILL, ["in/e", "in/f", "in/g"])]
    {
        home.stop_daemon(signal);
        names.iter().for_each(|name| fs::write(home.work().join(name), "").expect("it is ours"));
        home.start_daemon(&[]);
        assert_eq!(told.paths(&home, 3), pairs("created", &names));
        home.taskq(&["wait", "a"]).gives(0, "", "");
    }
    assert_eq!(runs(&home, "a"), 3);
    // A daemon that finds nothing new says nothing.
    home.stop_daemon(Signal::SIGTERM);
    home.start_daemon(&[]);
    fs::write(dir.join("h"), "").expect("it is ours");
    assert_eq!(told.paths(&home, 1), pairs("created", &["in/h"]));
}

#[test]
fn a_directory_need_not_be_there_yet() {
    let home = Home::with_daemon();
    let mut told = Lines::of(&home, "told");
    let dir = home.work().join("later/deep");
    home.add(&["--name", "a", "--on", "path,created:later/deep/*.csv", "-c", TELL]);
    for name in ["later/deep/a.csv", "later/deep/b.csv"] {
        fs::create_dir_all(&dir).expect("it is ours");
        fs::write(home.work().join(name), "").expect("it is ours");
        assert_eq!(told.paths(&home, 1), pairs("created", &[name]));
        fs::remove_dir_all(home.work().join("later")).expect("it is ours");
    }
}

#[test]
fn a_file_that_grows_is_an_event_for_each_so_many_bytes_or_lines() {
    let home = Home::with_daemon();
    for (name, on, line, per) in
        [("bytes", "path,bytes=10", "1234\n", 2), ("lines", "path,lines=3", "x\n", 3)]
    {
        let mut told = Lines::of(&home, &format!("told-{name}"));
        let mut log = File::create(home.work().join(name)).expect("the name is new");
        let mut write = |lines: usize| log.write_all(line.repeat(lines).as_bytes()).expect("it is ours");
        let script = format!("cat $TASKQ_EVENT_FILE >told-{name}");
        home.add(&["--name", name, "--on", &format!("{on}:{name}"), "-c", &script]);
        write(per - 1);
        write(1);
        let event = told.event();
        assert_eq!((&event["count"], &event["data"]["path"]), (&json!(1), &event["name"]), "{event}");
        if name == "lines" {
            assert_eq!(event["data"]["lines"], json!(3));
        }
        // Five events at once, and the rest waits for the sixth.
        write(5 * per + 1);
        let mut count = 0;
        while count < 5 {
            count += told.event()["count"].as_u64().expect("a number");
        }
        assert_eq!(count, 5);
        write(per - 1);
        assert_eq!(told.event()["count"], json!(1));
    }
}

#[test]
fn a_change_is_told_when_it_has_settled() {
    let home = Home::with_daemon();
    let mut told = Lines::of(&home, "told");
    home.add(&["--name", "a", "--on", "path,settle=300ms:upload", "-c", TELL]);
    let mut file = File::create(home.work().join("upload")).expect("the name is new");
    file.write_all(b"first half, ").expect("it is ours");
    file.write_all(b"second half").expect("it is ours");
    let modified = file.metadata().and_then(|metadata| metadata.modified()).expect("it is ours");
    drop(file);
    let event = told.event();
    assert_eq!(event["data"]["size"], json!(23));
    let at: jiff::Timestamp = event["at"].as_str().expect("a text").parse().expect("RFC 3339");
    let modified = jiff::Timestamp::try_from(modified).expect("it is now");
    // The text has milliseconds or less.
    assert!(at.duration_since(modified).as_millis() >= 299, "{modified} {event}");
}

#[test]
fn a_paused_job_hears_nothing_of_changes_and_looks_again_at_conditions() {
    let home = Home::with_daemon();
    let mut told = Lines::of(&home, "told");
    home.add(&["--name", "edge", "--on", "path,created:*.csv", "-c", TELL]);
    home.add(&["--name", "level", "--on", "path,exists:*.csv", "-c", &format!("rm -f b.csv c.csv; {TELL}")]);
    home.taskq(&["pause", "edge", "level"]).answer();
    fs::write(home.work().join("a.csv"), "").expect("it is ours");
    fs::write(home.work().join("b.csv"), "").expect("it is ours");
    fs::remove_file(home.work().join("a.csv")).expect("it is ours");
    home.taskq(&["resume", "level"]).answer();
    assert_eq!(told.paths(&home, 1), pairs("exists", &["b.csv"]));
    home.taskq(&["wait", "level"]).gives(0, "", "");
    fs::write(home.work().join("c.csv"), "").expect("it is ours");
    assert_eq!(told.paths(&home, 1), pairs("exists", &["c.csv"]));
    home.taskq(&["cancel", "level"]).answer();
    home.taskq(&["resume", "edge"]).answer();
    assert_eq!(runs(&home, "edge"), 0);
}

/// A command of a stream that lives as long as `alive` has a writer, and prints the lines of `feed`.
const FEED: &str = "exec 3>alive; echo up >&3; echo trouble >&2; cat feed";

/// Waits for the start of the command, and returns a reader that ends with it.
fn started(home: &Home) -> BufReader<File> {
    let mut alive = BufReader::new(File::open(home.work().join("alive")).expect("the FIFO is there"));
    let mut line = String::new();
    alive.read_line(&mut line).expect("text");
    assert_eq!(line, "up\n");
    alive
}

/// Waits for the end of the command.
fn ended(mut alive: BufReader<File>) {
    let mut rest = String::new();
    alive.read_to_string(&mut rest).expect("text");
    assert_eq!(rest, "");
}

fn feed(home: &Home) -> File {
    OpenOptions::new().write(true).open(home.work().join("feed")).expect("the FIFO is there")
}

#[test]
fn a_line_of_a_stream_is_an_event_with_the_groups_of_its_pattern() {
    let mut home = Home::with_daemon();
    let mut told = Lines::of(&home, "told");
    home.fifo("alive");
    home.fifo("feed");
    let on = format!(r"stream,match=level=(?P<level>e\w+) .*(?P<disk>sd[a-z]{{1\,2}})?,restart=1ms:{FEED}");
    home.add(&["--name", "a", "--on", &on, "-c", TELL]);
    for line in ["level=error disk", "level=emergency"] {
        let alive = started(&home);
        let mut feed = feed(&home);
        feed.write_all(format!("level=info x\n{line} sdab\n").as_bytes()).expect("the command reads");
        let data = told.event()["data"].clone();
        assert_eq!(data["line"], json!(format!("{line} sdab")));
        assert_eq!(
            data["groups"]["level"],
            json!(line.strip_prefix("level=").expect("so").split(' ').next())
        );
        // It ends, and is started again.
        drop(feed);
        ended(alive);
    }
    let alive = started(&home);
    home.taskq(&["wait", "a"]).gives(0, "", "");
    let (_, log) = home.stop_daemon(Signal::SIGTERM);
    ended(alive);
    assert!(log.contains("of job 1 a: trouble\n"), "{log}");
    assert!(log.contains("of job 1 a exited with status 0; starting it again in "), "{log}");
}

#[test]
fn the_command_of_a_stream_runs_only_while_somebody_listens() {
    let mut home = Home::with_daemon();
    let mut told = Lines::of(&home, "told");
    home.fifo("alive");
    home.fifo("feed");
    home.add(&["--name", "a", "--on", &format!("stream:{FEED}"), "-c", TELL]);
    let alive = started(&home);
    home.taskq(&["pause", "a"]).answer();
    ended(alive);
    home.taskq(&["resume", "a"]).answer();
    let alive = started(&home);
    // Not even KILL lets it outlive the daemon.
    home.stop_daemon(Signal::SIGKILL);
    ended(alive);
    home.start_daemon(&[]);
    let alive = started(&home);
    feed(&home).write_all(b"one\n").expect("the command reads");
    assert_eq!(told.event()["data"], json!({ "line": "one" }));
    ended(alive);
    let alive = started(&home);
    home.taskq(&["wait", "a"]).gives(0, "", "");
    home.taskq(&["cancel", "a"]).answer();
    ended(alive);
    assert_eq!(runs(&home, "a"), 1);
}

#[test]
fn each_start_of_a_daemon_is_an_event_and_only_the_first_of_a_boot_is_a_boot() {
    let mut home = Home::with_daemon();
    let mut told = Lines::of(&home, "told");
    home.add(&["--name", "boot", "--on", "state:boot", "-c", TELL]);
    home.add(&["--name", "start", "--on", "state:start", "-c", TELL]);
    for _ in 0..2 {
        home.stop_daemon(Signal::SIGTERM);
        home.start_daemon(&[]);
        assert_eq!(told.event()["name"], json!("start"));
        home.taskq(&["wait", "start"]).gives(0, "", "");
    }
    assert_eq!((runs(&home, "boot"), runs(&home, "start")), (0, 2));
}

#[test]
fn what_cannot_be_listened_to_is_refused_and_nothing_is_stored() {
    let home = Home::new();
    let store = home.store().join("log/*");
    let below = format!("path,created:{}", store.display());
    fs::write(home.work().join("file"), "").expect("it is ours");
    let lines = [
        below.as_str(),
        "stream,match=a(b|c:tail -f x",
        r"stream,match=\d{2\,1}:tail -f x",
        "path:/proc/loadavg",
        "path,overdue:x",
        "emit,settle=2s:x",
        "state,match=x:boot",
        "stream,bytes=1:x",
        "path:file/x",
        "path:in*/x",
        "path:in/[x",
        "path,lines=0:x",
        "path:",
        "stream:",
    ];
    let lines: Vec<Vec<&str>> = lines.iter().map(|on| vec!["add", "--on", on, "true"]).collect();
    let mut lines: Vec<&[&str]> = lines.iter().map(Vec::as_slice).collect();
    lines.push(&["list", "-a"]);
    insta::assert_snapshot!(home.transcript(&lines));
}
