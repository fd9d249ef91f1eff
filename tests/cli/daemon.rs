//! Owns: `daemon` and `status` as a person meets them.
//! Never: crashes (they have a suite of their own).

use nix::sys::signal::Signal;

use crate::filter::squeezed;
use crate::harness::{Home, open_gate};

#[test]
fn the_status_says_whether_a_daemon_runs() {
    let mut home = Home::new();
    home.taskq(&["queue", "set", "default", "--slots", "2"]).gives(0, "", "");
    let down = home.transcript(&[&["status"], &["status", "--json"]]);
    home.start_daemon(&[]);
    let pid = home.daemon_pid().to_string();
    home.add(&["--at", "2031-01-01", "true"]);
    let up = home.transcript(&[&["status"], &["status", "--json"]]).replace(&pid, "[pid]");
    insta::assert_snapshot!(squeezed(&format!("{down}{up}")));
}

#[test]
fn a_second_daemon_is_refused_with_the_firsts_pid() {
    let home = Home::with_daemon();
    let said = format!(
        "error: cannot start daemon: pid {} already serves the store `[home]/data/taskq`\n\
         hint: see it with `taskq status`\n",
        home.daemon_pid()
    );
    home.taskq(&["daemon"]).gives(1, "", &said);
}

#[test]
fn term_and_int_end_the_daemon_and_leave_runs_alive() {
    let mut home = Home::with_daemon();
    let (first, second) = (home.fifo("first"), home.fifo("second"));
    let id = home.add(&["-c", "read line < first; read line < second; echo survived"]);
    open_gate(&first);
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (code, log) = home.stop_daemon(signal);
        assert_eq!(code, Some(0), "{log}");
        assert!(
            log.contains(&format!("taskq daemon: received {signal}; leaving running jobs alive\n")),
            "{log}"
        );
        home.start_daemon(&[]);
    }
    open_gate(&second);
    home.taskq(&["wait", &id]).gives(0, "", "");
    home.taskq(&["log", &id]).gives(0, "survived\n", "");
}

#[test]
fn hup_does_not_end_it() {
    let mut home = Home::with_daemon();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(home.daemon_pid().cast_signed()), Signal::SIGHUP)
        .expect("it is ours");
    home.add_and_wait(&["true"]);
    assert_eq!(home.stop_daemon(Signal::SIGTERM).0, Some(0));
}

#[test]
fn the_slots_of_a_daemon_are_those_of_queues_without_a_number() {
    let mut home = Home::new();
    home.start_daemon(&["--slots", "7"]);
    let slots = |home: &Home| home.json(&["queue"])["queues"][0]["slots"].as_u64();
    assert_eq!(slots(&home), Some(7));
    home.taskq(&["queue", "set", "default", "--slots", "4"]).gives(0, "", "");
    home.stop_daemon(Signal::SIGTERM);
    home.start_daemon(&["--slots", "2"]);
    assert_eq!(slots(&home), Some(4), "a number of its own stays");
}

#[test]
fn a_daemon_with_more_slots_starts_more_at_once() {
    let mut home = Home::new();
    home.start_daemon(&["--slots", "3"]);
    let gates = ["a", "b", "c"].map(|name| home.fifo(name));
    for name in ["a", "b", "c"] {
        home.add(&["cat", name]);
    }
    gates.iter().for_each(|gate| open_gate(gate));
    home.taskq(&["wait", "--all"]).gives(0, "", "");
}

#[test]
fn two_stores_do_not_disturb_each_other() {
    let home = Home::with_daemon();
    home.add(&["--name", "a", "true"]);
    home.taskq(&["--dir", "other", "add", "--quiet", "--name", "a", "true"]).gives(0, "1\n", "");
    home.taskq(&["--dir", "other", "status"]).answer();
    assert_eq!(home.taskq(&["--dir", "other", "status"]).answer().status, 3);
    home.taskq(&["--dir", "other", "wait", "a"]).gives(
        3,
        "",
        "error: cannot wait: the daemon is not running\n\
         hint: start it with `taskq daemon`, in another terminal or as a service\n",
    );
    home.taskq(&["wait", "a"]).gives(0, "", "");
}

#[test]
fn a_directory_too_long_for_a_socket_works() {
    let home = Home::new();
    let deep = home.work().join("d".repeat(100)).join("e".repeat(100));
    let dir = deep.to_str().expect("a plain name");
    let mut command = home.command(&["--dir", dir, "daemon"]);
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().expect("taskq starts");
    let mut log = std::io::BufReader::new(child.stderr.take().expect("it is piped"));
    let mut line = String::new();
    while !line.contains("serving") {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut log, &mut line).expect("text"), 0, "it ended");
    }
    home.taskq(&["--dir", dir, "add", "--quiet", "true"]).gives(0, "1\n", "");
    home.taskq(&["--dir", dir, "run", "1", "--wait"]).gives(0, "1.2\n", "");
    child.kill().expect("it is our child");
    child.wait().expect("it is our child");
}

#[test]
fn the_ends_of_runs_are_logged_if_that_is_wanted() {
    let mut home = Home::new();
    home.add(&["--name", "before", "--at", "2031-01-01", "true"]);
    home.taskq(&["cancel", "before"]).gives(0, "", "");
    home.start_daemon(&["--log-runs"]);
    home.add_and_wait(&["--name", "ok", "--", "echo", "two words", "a\nb"]);
    home.add_and_wait(&["--retries", "1", "--retry-delay", "1ms", "-c", "exit 3"]);
    home.add_and_wait(&["--timeout", "1ms", "sleep", "600"]);
    home.add(&["--name", "held", "--hold", "-c", "first\nsecond"]);
    home.taskq(&["cancel", "held"]).gives(0, "", "");
    home.add_and_wait(&["true"]);
    let (_, log) = home.stop_daemon(Signal::SIGTERM);
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(": run ")).collect();
    insta::assert_snapshot!(squeezed(&lines.join("\n").replace(": ", " : ").replace(';', " ;")));
    home.start_daemon(&[]);
    home.add_and_wait(&["false"]);
    assert!(!home.stop_daemon(Signal::SIGTERM).1.contains(": run "), "nobody wants it");
}
