//! Owns: commands during starts and deaths of daemons, deaths of commands, and commands at the same time.
//! Never: the ends of jobs.

use taskq::daemon::Poke;

use crate::check::{all_is_well, count, finish, run};
use crate::harness::{Beside, Daemon, MARKS, Store, gated, open, served, tell};
use crate::processes::{eventually, freeze, send};

#[test]
fn a_second_daemon_is_refused_and_names_the_firsts_pid() {
    let (store, daemon) = served();
    let words = store.refused(&["daemon"]);
    assert!(words.starts_with("error: cannot start daemon: "), "{words}");
    assert!(words.contains(&format!("pid {} ", daemon.pid())), "{words}");
    assert_eq!(store.run_script(MARKS), 0);
    store.close(daemon);
}

#[test]
fn of_daemons_started_at_once_exactly_one_wins() {
    for _ in 0..5 {
        let store = Store::new();
        let mut daemons: Vec<_> = (0..4).map(|_| store.starting_daemon()).collect();
        store.add(&[], MARKS);
        let ids: Vec<_> = daemons.iter().map(Daemon::pid).collect();
        let lives = |pid: &nix::unistd::Pid| {
            std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z"))
        };
        eventually("three of four end", || ids.iter().filter(|pid| lives(pid)).count() == 1);
        let at = ids.iter().position(lives).expect("one lives");
        let mut winner = daemons.swap_remove(at);
        winner.line("serving");
        let refusal = format!("error: cannot start daemon: pid {} already serves the store", winner.pid());
        for mut daemon in daemons {
            daemon.line(&refusal);
            assert_eq!(daemon.ends(), Some(1));
        }
        assert_eq!(store.wait("1"), 0);
        all_is_well(&store);
        store.close(winner);
    }
}

#[test]
fn a_commit_whose_client_died_before_it_said_so_is_found_within_the_check() {
    let (store, daemon) = served();
    // What `add` does up to its commit, and no further.
    let poke = Poke::will_write(&store.dir).expect("there are descriptors");
    std::mem::forget(poke);
    untold_add(&store);
    store.until("SELECT count(*) FROM run WHERE state = 'finished'", 1);
    assert_eq!(store.markers(), ["1.1"]);
    store.close(daemon);
}

/// Adds a job like a client that is killed between its commit and its poke.
pub fn untold_add(store: &Store) {
    let database = store.database();
    database
        .execute_batch(&format!(
            "BEGIN IMMEDIATE;
         INSERT INTO environment (hash, vars) VALUES (0, CAST('PATH=/bin:/usr/bin' || x'00' AS BLOB));
         INSERT INTO job (created_at, command, command_hash, is_script, cwd, environment_id, umask, queue,
             priority, overlap, missed, grace_us, kill_after_us, retry_delay_us, retry_delay_max_us,
             log_limit, runs)
         VALUES (0, CAST('{MARKS}' AS BLOB), 0, 1, CAST('{}' AS BLOB), last_insert_rowid(), 18, 'default', 0,
             'skip', 'once', 0, 0, 0, 0, 4096, 1);
         INSERT INTO run (job_id, number, trigger, scheduled_at, queue, rank, state, queued_at)
         VALUES (last_insert_rowid(), 1, 'manual', 0, 'default', 0, 'queued', 0);
         COMMIT;",
            store.base.path().display()
        ))
        .expect("the schema");
}

#[test]
fn a_job_added_while_the_daemon_starts_is_not_overlooked() {
    let store = Store::new();
    store.add(&["--hold"], MARKS);
    // The client finds no daemon, and waits for the lock that its commit needs; meanwhile a daemon comes up.
    let lock = store.database();
    lock.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes");
    let adding = Beside::new(&mut store.command(&["add", "-c", MARKS]));
    eventually("the client waits for the lock", || {
        // clock_nanosleep(2), in SQLite's busy handler.
        std::fs::read_to_string(format!("/proc/{}/syscall", adding.pid()))
            .is_ok_and(|text| text.starts_with("230 "))
    });
    freeze(adding.pid());
    lock.execute_batch("ROLLBACK").expect("it was begun");
    let daemon = store.daemon();
    // Nor is there anything left for the daemon to do that would make it look again.
    assert_eq!(store.run_script(MARKS), 0);
    store.round();
    send(adding.pid(), nix::sys::signal::Signal::SIGCONT);
    assert_eq!(adding.end(), ("3\n".to_owned(), Some(0)));
    assert_eq!(store.wait("3"), 0);
    store.close(daemon);
}

#[test]
fn wait_goes_on_under_the_next_daemon_and_ends_with_the_runs_status() {
    let (store, daemon, gate) = gated("read x <gate; exit 7");
    let mut waiting = Beside::new(&mut store.command(&["wait", "1"]));
    store.subscribed(1);
    daemon.kill();
    assert_eq!(waiting.talk(), "the daemon is gone; waiting for the next one\n");
    let daemon = store.daemon();
    store.subscribed(1);
    daemon.kill();
    assert_eq!(waiting.talk(), "the daemon is gone; waiting for the next one\n");
    let daemon = store.daemon();
    open(gate);
    assert_eq!(waiting.end().1, Some(7));
    store.close(daemon);
}

#[test]
fn log_follows_a_run_from_one_daemon_to_the_next() {
    let (store, daemon, a) = gated("echo one; read x <a; echo two $x; read x <b; echo three $x; exit 7");
    let mut following = Beside::new(&mut store.command(&["log", "-f", "1"]));
    assert_eq!(following.answer(4), b"one\n");
    store.subscribed(1);
    daemon.kill();
    assert_eq!(following.talk(), "the daemon is gone; waiting for the next one\n");
    // Also what is written while there is none.
    tell(a, "x\n");
    assert_eq!(following.answer(6), b"two x\n");
    let daemon = store.daemon();
    tell(store.gate("b"), "y\n");
    assert_eq!(following.end(), ("three y\n".to_owned(), Some(7)));
    assert_eq!(store.ok(&["log", "1"]), "one\ntwo x\nthree y");
    store.close(daemon);
}

#[test]
fn a_store_whose_path_is_longer_than_a_socket_address_works() {
    let store = Store::at(&format!("{}/{}", "d".repeat(120), "e".repeat(120)));
    let (daemon, gate) = store.gated("read x <gate; exit 7");
    daemon.kill();
    let daemon = store.daemon();
    let waiting = Beside::new(&mut store.command(&["wait", "1"]));
    open(gate);
    assert_eq!(waiting.end().1, Some(7));
    assert_eq!(store.run(&["daemon"]).status.code(), Some(1));
    finish(&store, daemon);
}

#[test]
fn two_stores_never_disturb_each_other() {
    let (one, daemon, gate) = gated("read x <gate; exit 3");
    let (other, other_daemon, other_gate) = gated("read x <gate; exit 4");
    other.daemon_and_keeper_die(other_daemon);
    open(gate);
    assert_eq!(one.wait("1"), 3);
    let other_daemon = other.daemon();
    open(other_gate);
    assert_eq!(other.wait("1"), 125);
    one.ok(&["cancel", "--all"]);
    other.add(&[], MARKS);
    assert_eq!(other.wait("2"), 0);
    assert_eq!((count(&one, "job"), count(&other, "job")), (1, 2));
    one.close(daemon);
    other.close(other_daemon);
}

#[test]
fn a_job_too_long_to_be_started_fails_and_holds_up_nobody() {
    let (store, daemon) = served();
    let mut command = vec!["true".to_owned()];
    command.extend(vec!["x".repeat(100_000); 90]);
    store.add_lines(&format!("{}\n", serde_json::json!({ "command": command })));
    assert_eq!(store.run_script(MARKS), 0);
    assert_eq!(store.wait("1"), 125);
    let job = run(&store, "1.1");
    assert_eq!(job.end(), ("spawn_failed", Some(125), None));
    store.close(daemon);
}

#[test]
fn a_job_handed_to_a_daemon_that_hangs_is_added_once_all_the_same() {
    let (store, daemon) = served();
    assert_eq!(store.run_script(MARKS), 0);
    store.round();
    freeze(daemon.pid());
    // More than its sockets take, and all of them in its hands before they give it up.
    let adding: Vec<_> = (0..15).map(|_| Beside::new(&mut store.command(&["add", "-c", MARKS]))).collect();
    assert!(adding.into_iter().all(|adding| adding.end().1 == Some(0)));
    send(daemon.pid(), nix::sys::signal::Signal::SIGCONT);
    store.wait_all();
    store.round();
    assert_eq!(count(&store, "job"), 16);
    finish(&store, daemon);
}

#[test]
fn a_job_handed_to_a_daemon_that_is_killed_is_added_once_all_the_same() {
    let (store, daemon) = served();
    store.add(&[], MARKS);
    freeze(daemon.pid());
    let adding: Vec<_> = (0..4).map(|_| Beside::new(&mut store.command(&["add", "-c", MARKS]))).collect();
    for client in &adding {
        eventually("the client waits for an answer", || {
            // recvfrom(2) with its time limit, or the sleep of SQLite's busy handler behind the daemon's
            // lock.
            let call = std::fs::read_to_string(format!("/proc/{}/syscall", client.pid())).unwrap_or_default();
            ["45 ", "0 ", "230 "].iter().any(|number| call.starts_with(number))
        });
    }
    daemon.kill();
    let daemon = store.daemon();
    assert!(adding.into_iter().all(|adding| adding.end().1 == Some(0)));
    store.wait_all();
    assert_eq!(count(&store, "job"), 5);
    finish(&store, daemon);
}
