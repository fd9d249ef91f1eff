//! Owns: deaths of the keeper, alone and together with the daemon.
//! Never: deaths that the keeper survives.

use nix::sys::signal::Signal;

use crate::check::{all_is_well, run};
use crate::harness::{MARKS, Store, open};
use crate::processes::{freeze, send, spin};

#[test]
fn kill_9_of_the_keeper_loses_its_runs_and_waiting_runs_go_on_under_a_new_one() {
    let store = Store::new();
    store.fifo("gate");
    let mut daemon = store.daemon();
    store.ok(&["queue", "set", "default", "--slots", "1"]);
    store.add(&[], &format!("{MARKS}read x <gate"));
    store.add(&[], MARKS);
    let gate = store.gate("gate");
    let keeper = store.keeper().expect("it runs something");
    send(keeper, Signal::SIGKILL);
    daemon.line("the keeper is gone");
    store.wait_all();
    assert_eq!(run(&store, "1.1").end(), ("lost", None, None));
    assert_eq!(run(&store, "2.1").end(), ("success", Some(0), None));
    assert_eq!(store.wait("1"), 125);
    assert_ne!(store.keeper(), Some(keeper));
    // Nobody's child any more, but nobody has stopped it.
    open(gate);
    assert_eq!(store.markers(), ["1.1", "2.1"]);
    all_is_well(&store);
    store.close(daemon);
}

#[test]
fn kill_9_of_both_loses_what_ran_and_keeps_what_waited() {
    let store = Store::new();
    store.fifo("gate");
    let daemon = store.daemon();
    store.ok(&["queue", "set", "default", "--slots", "1"]);
    store.add(&[], &format!("{MARKS}read x <gate"));
    store.add(&[], MARKS);
    let gate = store.gate("gate");
    store.daemon_and_keeper_die(daemon);
    let daemon = store.daemon();
    store.wait_all();
    assert_eq!(run(&store, "1.1").end(), ("lost", None, None));
    assert_eq!(run(&store, "2.1").end(), ("success", Some(0), None));
    open(gate);
    all_is_well(&store);
    store.close(daemon);
}

#[test]
fn results_that_no_daemon_had_taken_in_are_lost_with_the_keeper_and_no_outcome_is_invented() {
    let store = Store::new();
    store.fifo("gate");
    let daemon = store.daemon();
    store.add(&[], &format!("{MARKS}read x <gate; exit 3"));
    let gate = store.gate("gate");
    store.until("SELECT count(*) FROM run WHERE state = 'running'", 1);
    freeze(daemon.pid());
    let job = run(&store, "1.1").pid();
    open(gate);
    spin("the job is reaped", || !std::path::Path::new(&format!("/proc/{job}")).exists());
    store.daemon_and_keeper_die(daemon);
    let daemon = store.daemon();
    store.wait_all();
    assert_eq!(run(&store, "1.1").end(), ("lost", None, None));
    all_is_well(&store);
    store.close(daemon);
}

#[test]
fn orders_that_a_killed_keeper_had_not_read_are_never_given_twice() {
    let store = Store::new();
    let mut daemon = store.daemon();
    store.add(&[], MARKS);
    assert_eq!(store.wait("1"), 0);
    let keeper = store.keeper().expect("it has run something");
    freeze(keeper);
    store.add_all(vec![MARKS.to_owned(); 4]);
    store.until("SELECT count(*) FROM run WHERE state = 'queued' AND keeper IS NOT NULL", 2);
    send(keeper, Signal::SIGKILL);
    daemon.line("the keeper is gone");
    store.wait_all();
    let lost = crate::check::count(&store, "run WHERE outcome = 'lost'");
    let ran = crate::check::count(&store, "run WHERE outcome = 'success'");
    assert!(lost >= 1 && lost + ran == 5, "{lost} lost, {ran} ran");
    all_is_well(&store);
    store.close(daemon);
}

#[test]
fn a_keeper_that_dies_again_and_again_is_replaced_each_time() {
    let store = Store::new();
    let mut daemon = store.daemon();
    for job in 1..=5 {
        // A gate for each: the last job may still have its own open.
        let name = format!("gate{job}");
        store.fifo(&name);
        let job_id = store.add(&[], &format!("{MARKS}read x <{name}"));
        let gate = store.gate(&name);
        let keeper = store.keeper().expect("it runs something");
        send(keeper, Signal::SIGKILL);
        daemon.line("the keeper is gone");
        assert_eq!(store.wait(&job_id), 125, "{job}");
        open(gate);
    }
    store.add(&[], MARKS);
    assert_eq!(store.wait("6"), 0);
    all_is_well(&store);
    store.close(daemon);
}
