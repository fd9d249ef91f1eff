//! Owns: the long storm, in which daemon, keeper, both, and clients are killed at random while jobs of every
//! kind come and go.
//! Never: sleeping: a kill comes after a number of writes to the log.
//!
//! It lasts 20 seconds, unless `TASKQ_STORM_SECONDS` has another number. It prints its seed.
//! `TASKQ_CRASH_SEED` replays that, as far as the machine does the same again. By hand:
//! `TASKQ_STORM_SECONDS=600 TASKQ_CRASH_SEED=$RANDOM cargo test --test crash storm_of_kills -- --nocapture`

use std::collections::HashMap;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use crate::check::{Run, is_whole, runs};
use crate::harness::{Daemon, MARKS, Store, bytes};
use crate::shared::{note, now, setting};
use crate::storm::{Random, Writes, seed};

const OUTPUT: &str = "SELECT data FROM output JOIN run ON run.id = output.run_id WHERE run.job_id = ?1";

/// The kills and acknowledged jobs so far.
#[derive(Debug, Default)]
struct Tally {
    daemons: u32,
    keepers: u32,
    both: u32,
    clients: u32,
    acknowledged: Vec<Job>,
}

/// A job whose id was printed.
#[derive(Debug)]
struct Job {
    id: String,
    status: i32,
}

/// Returns a script with its exit status. It writes the name of its run twice.
fn script(random: &mut Random) -> (String, i32) {
    let status = i32::try_from(random.below(4)).expect("small");
    let pause = ["", "sleep 0.02; ", "sleep 0.2; "][usize::try_from(random.below(3)).expect("small")];
    (format!("{MARKS}echo a $TASKQ_RUN; {pause}echo b $TASKQ_RUN >/dev/stderr; exit {status}"), status)
}

fn seconds() -> u64 {
    setting("TASKQ_STORM_SECONDS").unwrap_or(20)
}

/// Starts `add` commands and kills some of them. A job whose id was printed is acknowledged.
fn clients(store: &Store, writes: &mut Writes, random: &mut Random, tally: &mut Tally) {
    let adding: Vec<(Child, i32)> = (0..3)
        .map(|_| {
            let (script, status) = script(random);
            let mut add = store.command(&["add", "--queue", "wide", "-c", &script]);
            (add.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it can be started"), status)
        })
        .collect();
    writes.await_events(1 + random.below(4), None);
    for (mut child, status) in adding {
        if random.below(3) == 0 {
            child.kill().expect("it is ours");
            tally.clients += 1;
        }
        let Output { stdout, .. } = child.wait_with_output().expect("it is ours");
        let id = String::from_utf8(stdout).expect("an id").trim_end().to_owned();
        if !id.is_empty() {
            tally.acknowledged.push(Job { id, status });
        }
    }
}

fn strike(store: &Store, daemon: Daemon, random: &mut Random, tally: &mut Tally) -> Daemon {
    let keeper = store.keeper();
    let kill_keeper = || keeper.is_some_and(|keeper| kill(keeper, Signal::SIGKILL).is_ok());
    match random.below(4) {
        0 => {
            tally.keepers += u32::from(kill_keeper());
            daemon
        }
        1 => {
            daemon.kill();
            kill_keeper();
            tally.both += 1;
            store.starting_daemon()
        }
        _ => {
            daemon.kill();
            tally.daemons += 1;
            store.starting_daemon()
        }
    }
}

#[test]
fn a_storm_of_kills_loses_doubles_and_invents_nothing() {
    let store = Store::new();
    let mut random = Random::new(11);
    let mut tally = Tally::default();
    note(&format!("the seed of the storm is {}", seed()));
    let mut daemon = store.daemon();
    store.ok(&["queue", "set", "wide", "--slots", "16"]);
    let every = store.add(&["--every", "1s"], &format!("{MARKS}true"));
    let mut writes = Writes::to(&store.dir.join("taskq.db-wal"));
    let start = now();
    while start.elapsed() < Duration::from_secs(seconds()) {
        clients(&store, &mut writes, &mut random, &mut tally);
        daemon = strike(&store, daemon, &mut random, &mut tally);
        writes.forget();
    }
    daemon.kill();
    let daemon = store.daemon();
    store.ok(&["cancel", &every]);
    store.wait_all();
    let lost = judge(&store, &tally);
    let Tally { daemons, keepers, both, clients, acknowledged } = &tally;
    let acknowledged = acknowledged.len();
    note(&format!(
        "killed: {daemons} daemons, {keepers} keepers, {both} times both, {clients} clients; \
         {acknowledged} adds acknowledged, none lost or doubled; runs whose keeper was killed: {lost}"
    ));
    assert!(daemons + keepers + both > 5, "that was no storm");
    store.close(daemon);
}

/// Compares the run log with what really happened. Returns how many runs were lost with their keepers.
fn judge(store: &Store, tally: &Tally) -> usize {
    let database = store.database();
    is_whole(&database);
    let runs = runs(&database);
    let mut starts: HashMap<String, usize> = HashMap::new();
    for line in store.markers() {
        *starts.entry(line).or_default() += 1;
    }
    for (name, count) in &starts {
        assert!(*count == 1 && runs.contains_key(name), "{name} ran {count} times");
    }
    let begun = |name: &str| starts.contains_key(name);
    let mut lost = 0;
    for (name, run) in &runs {
        match run.end() {
            ("success" | "failed", Some(_), None) => assert!(begun(name), "invented: {name} {run:?}"),
            // Of the fires that came while nothing ran, and of `--every` at its cancel.
            ("missed" | "skipped" | "cancelled", ..) => {}
            ("lost", None, None) if tally.keepers + tally.both > 0 => lost += 1,
            _ => panic!("{name}: {run:?}"),
        }
    }
    for Job { id, status } in &tally.acknowledged {
        let name = format!("{id}.1");
        let run: &Run = runs.get(&name).unwrap_or_else(|| panic!("job {id} was acknowledged and has no run"));
        if run.outcome.as_deref() == Some("lost") {
            continue;
        }
        assert_eq!(run.exit_code, Some(*status), "{name}: {run:?}");
        // As `taskq log` finds it; a thousand of those would take a minute.
        let stored = database.query_row(OUTPUT, [id], |row| row.get::<_, Vec<u8>>(0)).ok();
        let output = stored.unwrap_or_else(|| bytes(&store.dir.join("log").join(&name)));
        assert_eq!(String::from_utf8_lossy(&output), format!("a {name}\nb {name}\n"), "{name}: {run:?}");
    }
    lost
}
