//! Owns: `events`: that every change leaves its event, and that a consumer misses none.
//! Never: the order of the events of a run (see the simulation).

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use clap::CommandFactory;
use nix::sys::signal::Signal;
use rusqlite::Connection;
use serde_json::Value;
use taskq::cli::Cli;

use crate::filter::squeezed;
use crate::harness::{Home, open_gate, own_user};

/// The verbs that change nothing in a store.
const LOOKING: [&str; 19] = [
    "list", "show", "runs", "log", "next", "events", "wait", "why", "stats", "timeline", "status", "top",
    "metrics", "doctor", "export", "signal", "help", "version", "man",
];

/// Verbs of processes that are not a person's: the daemon's events have a test of their own.
const OTHERS: [&str; 6] = ["backup", "daemon", "service", "keeper", "completions", "complete"];

/// Command lines of every verb that writes, and the kinds of the events that each leaves.
const WRITING: &[(&[&str], &[&str])] = &[
    (&["add", "--quiet", "--name", "a", "--cron", "@daily", "true"], &["added"]),
    (&["add", "--quiet", "--name", "b", "true"], &["added", "queued"]),
    (&["add", "--quiet", "--name", "a", "--replace", "--hold", "true"], &["cancelled", "added", "queued"]),
    (&["set", "a", "--env", "TOKEN=secret", "--priority", "3"], &["changed"]),
    (&["set", "a", "--priority", "3"], &["changed"]),
    (&["rename", "a", "c"], &["renamed"]),
    (&["resume", "c"], &["resumed"]),
    (&["pause", "c"], &["paused"]),
    (&["pause", "--all"], &["paused"]),
    (&["pause", "--all"], &[]),
    (&["resume", "--all"], &["resumed", "resumed"]),
    (&["run", "c"], &["queued"]),
    (&["cancel", "c.1"], &["finished"]),
    (&["cancel", "c"], &["cancelled", "finished"]),
    (&["retry", "c"], &["queued"]),
    (&["queue", "set", "q", "--slots", "2"], &["queue_set"]),
    (&["resource", "set", "gpu=2", "lic=1"], &["resource_set", "resource_set"]),
    (&["resource", "set", "gpu=2"], &[]),
    (&["resource", "remove", "gpu"], &["resource_removed"]),
    (&["executor", "add", "x", "--type", "ssh", "--host", "h"], &["executor_set"]),
    (&["executor", "set", "x", "--host", "h=2"], &["executor_set"]),
    (&["executor", "set", "x", "--host", "h=2"], &[]),
    (&["executor", "remove", "x"], &["executor_removed"]),
    (&["pause", "--queue", "q"], &["queue_paused"]),
    (&["resume", "--queue", "q"], &["queue_resumed"]),
    (&["crontab", "../table"], &["queue_set", "imported", "added"]),
    (&["crontab", "../edited"], &["imported", "changed"]),
    (&["crontab", "-r"], &["cancelled", "table_removed"]),
    (&["import", "crontab", "../table"], &["imported", "added"]),
    (&["import", "crontab", "--remove", "../table"], &["cancelled", "table_removed"]),
    (&["cancel", "--all"], &["cancelled", "finished", "cancelled", "finished"]),
    (&["prune", "--keep", "0"], &["pruned"]),
    (&["prune", "--keep", "0", "--output-limit", "0"], &[]),
    (&["add", "--quiet", "--at", "2031-01-01", "true"], &["added"]),
    (&["remove", "6"], &["removed"]),
    (&["add", "--quiet", "--name", "l", "--on", "emit:x", "--hold", "true"], &["added"]),
    (&["emit", "x"], &["emitted"]),
    (&["apply", "../jobs.toml"], &["applied", "changed", "added"]),
    (&["apply", "../jobs.toml"], &[]),
    (&["key", "init"], &["key_changed"]),
    (&["key", "rotate"], &["key_changed"]),
    (&["key", "remove"], &["key_changed"]),
];

fn events(home: &Home, args: &[&str]) -> Vec<Value> {
    let answer = home.json(&[&["events"], args].concat());
    answer["events"].as_array().expect("a list").clone()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["kind"].as_str().expect("a word")).collect()
}

#[test]
fn every_verb_that_writes_leaves_its_event_with_its_user() {
    let home = Home::new();
    fs::write(home.path().join("table"), "15 3 * * * true\n").expect("the directory is ours");
    fs::write(home.path().join("edited"), "15 4 * * * true\n").expect("the directory is ours");
    let file = "[jobs.l]\nscript = 'true'\non = 'emit:x'\n[jobs.m]\nscript = 'true'\ncron = '@daily'\n";
    fs::write(home.path().join("jobs.toml"), file).expect("the directory is ours");
    for (line, wanted) in WRITING {
        let answer = home.taskq(line).answer();
        assert_eq!(answer.status, 0, "{line:?}: {answer:?}");
        let new = events(&home, &["--cursor", "cursor"]);
        assert_eq!(kinds(&new), *wanted, "{line:?}");
        for event in &new {
            assert_eq!(event["user"], own_user(), "{line:?}: {event}");
        }
    }
    let driven: BTreeSet<&str> = WRITING.iter().map(|(line, _)| line[0]).collect();
    let others: BTreeSet<&str> = LOOKING.into_iter().chain(OTHERS).collect();
    for verb in Cli::command().get_subcommands() {
        let name = verb.get_name();
        assert!(driven.contains(name) != others.contains(name), "`{name}` writes or not: put it in one list");
    }
    let all = events(&home, &["--since", "1h"]);
    let changed = all.iter().find(|event| event["kind"] == "changed").expect("`set` was driven");
    assert_eq!(changed["options"], serde_json::json!(["priority", "env"]));
    assert!(all.iter().all(|event| !event.to_string().contains("secret")), "{all:?}");
    let ids: Vec<u64> = all.iter().map(|event| event["id"].as_u64().expect("a number")).collect();
    assert_eq!(ids, (1..=all.len() as u64).collect::<Vec<u64>>());
}

#[test]
fn the_events_of_a_run_and_of_the_daemon_are_listed_with_their_details() {
    let mut home = Home::with_daemon();
    home.add_and_wait(&["--name", "ok", "true"]);
    home.add_and_wait(&["--name", "bad", "--retries", "1", "--retry-delay", "1ms", "-c", "exit 3"]);
    home.add_and_wait(&["--name", "none", "/no/such/program"]);
    home.add_and_wait(&["--name", "long", "--timeout", "1ms", "sleep", "600"]);
    home.stop_daemon(Signal::SIGTERM);
    let shown = squeezed(&home.taskq(&["events", "-n", "99"]).transcript().replace([',', ';'], " "));
    let without_pid = |line: &str| {
        let words = line.split(' ').scan("", |before, word| {
            let is_pid = *before == "pid";
            *before = word;
            Some(if is_pid {
                word.replace(|c: char| c.is_ascii_digit(), "") + "[pid]"
            } else {
                word.to_owned()
            })
        });
        words.collect::<Vec<_>>().join(" ").replace(&own_user(), "[user]")
    };
    insta::assert_snapshot!(shown.lines().map(without_pid).collect::<Vec<_>>().join("\n"));
    let of_bad = events(&home, &["bad", "-n", "1"]);
    assert_eq!((&of_bad[0]["exit_code"], &of_bad[0]["attempt"]), (&3.into(), &2.into()), "{of_bad:?}");
    let run = &home.json(&["runs", "bad"])["runs"][0];
    assert_eq!((&of_bad[0]["finished_at"], &of_bad[0]["run"]), (&run["finished_at"], &run["id"]));
}

#[test]
fn the_stop_of_a_running_run_is_an_event_with_the_user_who_wants_it() {
    let home = Home::with_daemon();
    let gate = home.fifo("gate");
    home.add(&["-c", "read line < gate; exec sleep 600"]);
    open_gate(&gate);
    home.taskq(&["cancel", "1.1"]).gives(0, "", "");
    home.taskq(&["cancel", "--wait", "1.1"]).answer();
    let of_run = events(&home, &["1"]);
    let stops: Vec<&Value> = of_run.iter().filter(|event| event["kind"] == "stopping").collect();
    assert_eq!((stops.len(), &stops[0]["user"], &stops[0]["now"]), (1, &own_user().into(), &false.into()));
    assert_eq!(of_run.last().map(|event| &event["outcome"]), Some(&"cancelled".into()));
}

#[test]
fn without_more_the_latest_twenty_are_listed_and_a_removed_job_is_found_by_its_id() {
    let home = Home::new();
    for _ in 0..12 {
        home.add(&["true"]);
    }
    let latest = events(&home, &[]);
    assert_eq!((latest.len(), &latest[0]["id"], &latest[19]["id"]), (20, &5.into(), &24.into()));
    assert_eq!(kinds(&events(&home, &["-n", "1"])), ["queued"]);
    assert_eq!(events(&home, &["-n", "0"]).len(), 0);
    assert_eq!(events(&home, &["--since", "1h"]).len(), 24);
    home.taskq(&["remove", "2"]).gives(0, "", "");
    assert_eq!(kinds(&events(&home, &["2"])), ["added", "queued", "removed"]);
    insta::assert_snapshot!(home.transcript(&[
        &["events", "99"],
        &["events", "2.1"],
        &["events", "--since", "never"],
        &["events", "-n", "1", "--cursor", "cursor"],
    ]));
    let empty = Home::new();
    empty.taskq(&["events"]).gives(0, "", "");
    empty.taskq(&["events", "--json"]).gives(0, "{\"version\":1,\"events\":[]}\n", "");
}

#[test]
fn a_cursor_goes_on_where_it_was_and_says_what_is_gone() {
    let home = Home::new();
    home.add(&["true"]);
    assert_eq!(events(&home, &["--cursor", "cursor"]).len(), 2, "without a file, from the oldest on");
    assert_eq!(home.file("cursor"), "2\n");
    home.taskq(&["events", "--cursor", "cursor"]).gives(0, "", "");
    home.add(&["true"]);
    home.add(&["true"]);
    assert_eq!(kinds(&events(&home, &["--cursor", "cursor", "3"])), ["added", "queued"]);
    assert_eq!(home.file("cursor"), "6\n");
    home.add(&["true"]);
    home.add(&["true"]);
    let database = Connection::open(home.store().join("taskq.db")).expect("it is there");
    database.execute("DELETE FROM event WHERE first_id < 9", []).expect("a row for each add");
    let gone = "2 events after `cursor` are gone: they were too old to keep\n";
    let answer = home.taskq(&["events", "--cursor", "cursor"]).answer();
    assert_eq!((answer.status, answer.stderr.as_str(), answer.stdout.lines().count()), (0, gone, 3));
    assert_eq!(home.file("cursor"), "10\n");
    fs::write(home.work().join("other"), "11\n").expect("ours");
    fs::write(home.work().join("odd"), "seven\n").expect("ours");
    insta::assert_snapshot!(home.transcript(&[
        &["events", "--cursor", "other"],
        &["events", "--cursor", "odd"],
        &["events", "--cursor", "/"],
        &["events", "-f", "--cursor", "other"],
    ]));
}

#[test]
fn an_event_that_a_later_taskq_has_recorded_is_passed_over() {
    let home = Home::new();
    home.add(&["true"]);
    let database = Connection::open(home.store().join("taskq.db")).expect("it is there");
    // Two events: one of a kind that there is not, and one of a pause of the queue `q`, which is kind 15.
    let data: &[u8] = &[2, 0, 2, 120, 1, 1, 7, 3, 15, 1, b'q'];
    let insert = "INSERT INTO event (first_id, at, count, data) VALUES (3, 1700000000000000, 2, ?1)";
    database.execute(insert, [data]).expect("a row");
    let all = events(&home, &[]);
    assert_eq!(kinds(&all[2..]), ["unknown", "queue_paused"]);
    assert_eq!((&all[2]["uid"], &all[3]["uid"], &all[3]["queue"]), (&Value::Null, &7.into(), &"q".into()));
    home.add(&["true"]);
    assert_eq!(events(&home, &["-n", "1"])[0]["id"], 6);
}

struct Follower {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Follower {
    fn new(home: &Home, args: &[&str]) -> Self {
        let mut command = home.command(&[&["events", "--follow"], args].concat());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("taskq starts");
        let lines = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("text");
        line
    }

    fn event(&mut self) -> Value {
        serde_json::from_str(&self.line()).expect("a line of JSON")
    }

    fn kill(mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }
}

#[test]
fn followed_events_come_as_they_are_recorded_and_go_on_with_the_next_daemon() {
    let mut home = Home::with_daemon();
    let mut follower = Follower::new(&home, &["--json"]);
    assert_eq!(follower.event()["kind"], "daemon_started");
    home.add(&["--name", "a", "--at", "2031-01-01", "true"]);
    let added = follower.event();
    assert_eq!(
        (&added["version"], &added["kind"], &added["name"]),
        (&1.into(), &"added".into(), &"a".into())
    );
    home.taskq(&["pause", "a"]).gives(0, "", "");
    assert_eq!(follower.event()["kind"], "paused");
    home.stop_daemon(Signal::SIGTERM);
    home.taskq(&["resume", "a"]).gives(0, "", "");
    home.start_daemon(&[]);
    let kinds: Vec<Value> = (0..3).map(|_| follower.event()["kind"].clone()).collect();
    assert_eq!(kinds, ["daemon_stopped", "resumed", "daemon_started"]);
    follower.kill();
    home.stop_daemon(Signal::SIGTERM);
    home.taskq(&["events", "-f"]).gives(
        3,
        "",
        "error: cannot follow events: the daemon is not running\n\
         hint: start it with `taskq daemon`, in another terminal or as a service\n",
    );
}

#[test]
fn a_consumer_that_is_killed_gets_what_came_meanwhile() {
    let home = Home::with_daemon();
    let mut follower = Follower::new(&home, &["--json", "--cursor", "cursor"]);
    follower.event();
    home.add(&["--at", "2031-01-01", "true"]);
    assert_eq!(follower.event()["id"], 2);
    follower.kill();
    home.add(&["--at", "2031-01-01", "true"]);
    // The cursor is at 1 or at 2: the consumer was killed after it had printed the second event.
    let mut follower = Follower::new(&home, &["--json", "--cursor", "cursor"]);
    let mut next = follower.event();
    if next["id"] == 2 {
        next = follower.event();
    }
    assert_eq!(next["id"], 3);
    follower.kill();
}

#[test]
fn events_that_nobody_reads_do_not_move_the_cursor() {
    let home = Home::with_daemon();
    let mut follower = Follower::new(&home, &["--json", "--cursor", "cursor"]);
    follower.event();
    home.add(&["--at", "2031-01-01", "true"]);
    assert_eq!(follower.event()["id"], 2);
    let Follower { mut child, lines } = follower;
    drop(lines);
    home.add(&["--at", "2031-01-01", "true"]);
    assert_eq!(child.wait().expect("it is our child").code(), Some(0));
    assert_eq!(home.file("cursor"), "2\n");
    assert_eq!(events(&home, &["--cursor", "cursor"])[0]["id"], 3);
}

#[test]
fn followed_events_are_columns_under_their_heads() {
    let home = Home::with_daemon();
    home.add(&["--name", "a", "--at", "2031-01-01", "true"]);
    let mut follower = Follower::new(&home, &["a"]);
    let heads = follower.line();
    let first = follower.line();
    home.taskq(&["pause", "a"]).gives(0, "", "");
    let second = follower.line();
    let columns = |line: &str| {
        let word = line.find("pause").or(line.find("added")).or(line.find("KIND")).expect("a kind");
        (word, line.find(" a ").or(line.find(" NAME")).expect("a name"))
    };
    assert_eq!(
        (columns(&first), columns(&second)),
        (columns(&heads), columns(&heads)),
        "{heads}{first}{second}"
    );
    follower.kill();
}
