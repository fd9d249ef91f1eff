//! Owns: the live view on a terminal: what its keys do to jobs, and the terminal that it leaves behind.
//! Never: the picture (see `cli::top`).
//!
//! The terminal gets only what changes, so a text that is waited for is one word.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags};

use crate::harness::{Home, TASKQ};
use crate::keyboard::Terminal;
use crate::shared::await_ready;

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What a terminal gets when a program takes the whole screen, and when it gives it back.
const ENTERS: &str = "\u{1b}[?1049h";
const LEAVES: &str = "\u{1b}[?1049l";

/// Starts the view. After it the terminal shows its exit status and whether the modes are as before.
fn view(home: &Home) -> Option<Terminal> {
    let line = format!(
        "modes=$(stty -g); sh -c 'echo \"pid $$;\"; exec {TASKQ} top'; echo \"status $?;\"; \
         [ \"$(stty -g)\" = \"$modes\" ] && echo restored"
    );
    Terminal::start(home, (24, 80), PATH, &line)
}

fn closes(terminal: &mut Terminal, status: &str) {
    terminal.waits_for(LEAVES);
    terminal.waits_for(&format!("status {status};"));
    terminal.waits_for("restored");
}

#[test]
fn a_live_view_shows_a_run_from_its_start_to_its_end_and_restores_the_terminal() {
    let home = Home::with_daemon();
    home.add(&["--name", "nightly", "--at", "2099-01-01", "true"]);
    let Some(mut terminal) = view(&home) else { return };
    terminal.waits_for(ENTERS);
    terminal.waits_for("nightly");
    home.fifo("gate");
    home.taskq(&["queue", "set", "one", "--slots", "1"]).answer();
    home.add(&["--queue", "one", "--name", "brief", "cat", "gate"]);
    terminal.waits_for("brief");
    home.add(&["--queue", "one", "--name", "next", "true"]);
    terminal.waits_for("next");
    fs::write(home.work().join("gate"), "").expect("the run reads it");
    terminal.waits_for("success");
    terminal.types("q");
    closes(&mut terminal, "0");
}

#[test]
fn keys_pause_run_follow_and_cancel_the_selected_job() {
    let home = Home::with_daemon();
    home.fifo("gate");
    home.add(&["--name", "slow", "--at", "2099-01-01", "-c", "echo opened; cat gate"]);
    home.add(&["--name", "listens", "--on", "emit:ping", "true"]);
    let Some(mut terminal) = view(&home) else { return };
    terminal.waits_for("slow");
    terminal.waits_for("listens");
    terminal.waits_for("`ping`");
    terminal.types("p");
    terminal.waits_for("paused");
    assert_eq!(home.json(&["show", "1"])["job"]["state"], "paused");
    terminal.types("gp");
    terminal.waits_for("resume 1");
    assert_eq!(home.json(&["show", "1"])["job"]["state"], "scheduled");
    terminal.types("r");
    terminal.waits_for("ELAPSED");
    terminal.types("gl");
    terminal.waits_for("opened");
    fs::write(home.work().join("gate"), "grown\n").expect("the run reads it");
    terminal.waits_for("grown");
    terminal.types("q");
    terminal.waits_for("success");
    terminal.types("gcy");
    home.taskq(&["wait", "1"]).answer();
    terminal.waits_for("taskq cancel 1: done");
    assert_eq!(home.json(&["show", "1"])["job"]["state"], "done");
    terminal.types("\u{3}");
    closes(&mut terminal, "0");
}

#[test]
fn a_live_view_restores_the_terminal_when_a_signal_ends_it() {
    let home = Home::new();
    for (signal, status) in [("TERM", "143"), ("HUP", "129"), ("INT", "130")] {
        let Some(mut terminal) = view(&home) else { return };
        terminal.waits_for("pid ");
        let pid = terminal.waits_for(";");
        terminal.waits_for("NEXT");
        let kill = home.shell("kill").args([&format!("-{signal}"), pid.trim_end_matches(';')]).status();
        assert!(kill.expect("kill starts").success());
        closes(&mut terminal, status);
    }
}

#[test]
fn a_filter_finds_a_job_among_ten_thousand() {
    let home = Home::new();
    let lines: String = (0..10_000)
        .map(|n| format!("{{\"command\":[\"true\"],\"name\":\"job-{n}\",\"at\":\"2099-01-01\"}}\n"))
        .collect();
    fs::write(home.work().join("jobs"), lines).expect("it is ours");
    home.taskq(&["add", "--quiet", "--from", "jobs"]).answer();
    let Some(mut terminal) = view(&home) else { return };
    terminal.waits_for("10000 jobs");
    terminal.waits_for("500 and more");
    terminal.types("/job-9876");
    terminal.waits_for("/job-9876");
    terminal.types("\r\r");
    terminal.waits_for("taskq show 9877");
    terminal.types("qq");
    closes(&mut terminal, "0");
}

#[test]
fn a_terminal_that_is_too_small_is_refused() {
    let home = Home::new();
    let line = format!("{TASKQ} top; stty rows 24 cols 80; {TASKQ} top");
    let Some(mut terminal) = Terminal::start(&home, (9, 39), PATH, &line) else { return };
    terminal.waits_for("is too small: it has 39 columns and 9 rows, and 40 and 10 are needed");
    terminal.waits_for("ENDED");
    terminal.types("q");
    terminal.waits_for(LEAVES);
}

#[test]
fn a_live_view_ends_with_its_terminal() {
    let home = Home::new();
    home.fifo("held");
    // Whoever has the pipe open is a process of this terminal.
    let line = format!("exec 9<>held; exec {TASKQ} top");
    let Some(mut terminal) = Terminal::start(&home, (24, 80), PATH, &line) else { return };
    terminal.waits_for("ENDED");
    // The library of the keys reads from the terminal from its first key on.
    terminal.types("/x");
    terminal.waits_for("/x");
    let mut held = File::open(home.work().join("held")).expect("the terminal has it open");
    terminal.hangs_up();
    let mut polled = [PollFd::new(held.as_fd(), PollFlags::POLLIN)];
    let ready = await_ready(&mut polled, Duration::from_secs(60));
    assert_eq!(ready, 1, "the view goes on without its terminal");
    assert_eq!(held.read(&mut [0]).expect("it is a pipe"), 0);
}
