//! Owns: `taskq signal`.
//! Never: which processes a signal reaches (see the tests of the keeper).

use nix::sys::signal::Signal;

use crate::harness::{Home, open_gate};

/// A run that says that it is there, and again on each HUP.
const TALKS: &str = "trap 'echo hup > got' HUP; read x < gate; while :; do sleep 0.01; done";

/// Blocks until a run has written a line into the FIFO.
fn line(fifo: &std::path::Path) -> String {
    std::fs::read_to_string(fifo).expect("the FIFO is there")
}

/// Lets a run go on that is at the gate, and returns when the run log has its start: a start is recorded
/// together with the ends that are reported later.
fn running(home: &Home, gate: &std::path::Path) {
    open_gate(gate);
    home.taskq(&["queue", "set", "beside", "--slots", "1"]).gives(0, "", "");
    home.add_and_wait(&["--queue", "beside", "true"]);
}

#[test]
fn a_signal_reaches_a_run_by_name_or_number_and_each_running_run_of_a_job() {
    let home = Home::with_daemon();
    let (gate, got) = (home.fifo("gate"), home.fifo("got"));
    home.add(&["--name", "server", "--overlap", "allow", "--cron", "@yearly", "-c", TALKS]);
    home.taskq(&["run", "server"]).gives(0, "1.1\n", "");
    running(&home, &gate);
    for signal in ["HUP", "sighup", "1"] {
        home.taskq(&["signal", "server.1", signal]).gives(0, "", "");
        assert_eq!(line(&got), "hup\n");
    }
    home.taskq(&["run", "server"]).gives(0, "1.2\n", "");
    running(&home, &gate);
    home.taskq(&["signal", "server", "KILL", "--json"]).gives(
        0,
        "{\"version\":1,\"signal\":\"SIGKILL\",\"runs\":[\"1.1\",\"1.2\"]}\n",
        "",
    );
    home.taskq(&["wait", "1.1"]).gives(137, "", "run 1.1: failed, SIGKILL\n");
    home.taskq(&["wait", "1.2"]).gives(137, "", "run 1.2: failed, SIGKILL\n");
}

#[test]
fn a_signal_reaches_a_run_while_no_daemon_is_there() {
    let mut home = Home::with_daemon();
    let (gate, got) = (home.fifo("gate"), home.fifo("got"));
    home.add(&["-c", TALKS]);
    running(&home, &gate);
    home.stop_daemon(Signal::SIGTERM);
    home.taskq(&["signal", "1", "HUP"]).gives(0, "", "");
    assert_eq!(line(&got), "hup\n");
    home.taskq(&["signal", "1", "KILL"]).gives(0, "", "");
    home.start_daemon(&[]);
    home.taskq(&["wait", "1"]).gives(137, "", "run 1.1: failed, SIGKILL\n");
}

#[test]
fn only_a_running_run_gets_a_signal_that_there_is() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--name", "over", "true"]);
    home.add(&["--hold", "true"]);
    insta::assert_snapshot!(home.transcript(&[
        &["signal", "over", "HUP"],
        &["signal", "over.1", "HUP"],
        &["signal", "over.2", "HUP"],
        &["signal", "2", "HUP"],
        &["signal", "2.1", "HUP"],
        &["signal", "no", "HUP"],
        &["signal", "over", "HUPP"],
        &["signal", "over", "32"],
        &["signal", "HUP", "over"],
        &["signal", "over"],
    ]));
}
