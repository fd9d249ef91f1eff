//! Owns: kills at many instants, which a seeded generator picks: after the n-th write to a file.
//! Never: waiting for time, except when no write is left to count.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use inotify::{Inotify, WatchMask};
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{Signal, kill};

use crate::check::{all_is_well, count, finish, is_whole};
use crate::harness::{Daemon, MARKS, Store};
use crate::shared::{await_ready, setting};

/// The seed, unless `TASKQ_CRASH_SEED` has another.
const SEED: u64 = 20_260_301;

/// A store that is not written for this long has nothing left to do.
const SILENCE: Duration = Duration::from_millis(200);

/// A splitmix64 generator.
pub struct Random(u64);

pub fn seed() -> u64 {
    setting("TASKQ_CRASH_SEED").unwrap_or(SEED)
}

impl Random {
    pub fn new(salt: u64) -> Self {
        Self(seed() ^ salt)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Counts the writes to a file.
pub struct Writes(Inotify);

impl Writes {
    pub fn to(path: &Path) -> Self {
        let inotify = Inotify::init().expect("inotify");
        inotify.watches().add(path, WatchMask::MODIFY | WatchMask::CREATE).expect("it is there");
        Self(inotify)
    }

    /// Blocks until `events` more writes, until `other` is readable, or until a silence: inotify reports
    /// equal writes in a row as one, so fewer events may come.
    pub fn await_events(&mut self, mut events: u64, other: Option<BorrowedFd<'_>>) {
        let mut buffer = [0; 4096];
        while events > 0 {
            let mut fds = vec![PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            fds.extend(other.map(|other| PollFd::new(other, PollFlags::POLLIN)));
            let ready = await_ready(&mut fds, SILENCE);
            if ready == 0 || fds.get(1).is_some_and(|other| other.any() != Some(false)) {
                return;
            }
            let read = self.0.read_events(&mut buffer).map_or(0, Iterator::count);
            events = events.saturating_sub(read as u64);
        }
    }

    /// Forgets the writes until now.
    pub fn forget(&mut self) {
        while self.0.read_events(&mut [0; 4096]).is_ok_and(|events| events.count() > 0) {}
    }
}

/// Kills the daemon so many times, each after some writes to the log, and the keeper with it if `victims`
/// says so. Returns the last daemon.
pub fn kill_daemons(
    store: &Store,
    mut daemon: Daemon,
    random: &mut Random,
    deaths: usize,
    victims: &mut impl FnMut(&Store) -> bool,
) -> Daemon {
    let mut writes = Writes::to(&store.dir.join("taskq.db-wal"));
    for _ in 0..deaths {
        writes.await_events(1 + random.below(12), None);
        let keeper = victims(store).then(|| store.keeper()).flatten();
        daemon.kill();
        if let Some(keeper) = keeper {
            // It may have found that it is idle.
            let _ = kill(keeper, Signal::SIGKILL);
        }
        daemon = if random.below(3) == 0 { store.starting_daemon() } else { store.daemon() };
    }
    daemon
}

fn stream_of_runs(runs: usize, deaths: usize, victims: &mut impl FnMut(&Store) -> bool) -> i64 {
    let store = Store::new();
    let mut random = Random::new(runs as u64);
    let daemon = store.daemon();
    store.add_all(vec![MARKS.to_owned(); runs]);
    let daemon = kill_daemons(&store, daemon, &mut random, deaths, victims);
    daemon.kill();
    let daemon = store.daemon();
    store.wait_all();
    all_is_well(&store);
    assert_eq!(count(&store, "run"), i64::try_from(runs).expect("few"));
    let lost = count(&store, "run WHERE outcome = 'lost'");
    store.close(daemon);
    lost
}

#[test]
fn each_of_300_runs_runs_exactly_once_while_the_daemon_is_killed_30_times() {
    assert_eq!(stream_of_runs(300, 30, &mut |_| false), 0, "the keeper lived");
}

#[test]
fn no_run_runs_twice_while_daemon_and_keeper_are_killed_at_random() {
    let mut random = Random::new(7);
    stream_of_runs(120, 20, &mut |_| random.below(3) == 0);
}

#[test]
fn runs_added_one_by_one_while_the_daemon_is_killed_run_exactly_once() {
    let store = Store::new();
    let mut random = Random::new(1);
    let mut daemon = store.daemon();
    let mut writes = Writes::to(&store.dir.join("taskq.db-wal"));
    for _ in 0..12 {
        let mut adding: Vec<_> = (0..3)
            .map(|_| {
                store.command(&["add", "-c", MARKS]).stdout(Stdio::null()).spawn().expect("it can be started")
            })
            .collect();
        writes.await_events(1 + random.below(6), None);
        daemon.kill();
        daemon = store.starting_daemon();
        for child in &mut adding {
            assert!(child.wait().expect("it is ours").success());
        }
    }
    daemon.line("serving");
    store.wait_all();
    assert_eq!(store.markers().len(), 36);
    finish(&store, daemon);
}

#[test]
fn a_batch_whose_add_is_killed_is_there_whole_or_not_at_all() {
    const JOBS: usize = 400;
    let store = Store::new();
    let mut random = Random::new(2);
    store.add(&["--hold"], MARKS);
    let line = |job: usize| {
        serde_json::json!({ "script": MARKS, "hold": true, "tag": format!("t{job}") }).to_string()
    };
    let lines = (0..JOBS).map(|job| line(job) + "\n").collect::<String>();
    let mut writes = Writes::to(&store.dir.join("taskq.db-wal"));
    let mut stored = 1;
    for round in 0..20 {
        let mut command = store.command(&["add", "--from", "-"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it can be started");
        let mut stdin = child.stdin.take().expect("it is piped");
        // Killed while it reads, each fourth time; what comes after is its end of the batch.
        let length = if round % 4 == 0 { lines.len() / 2 } else { lines.len() };
        std::io::Write::write_all(&mut stdin, &lines.as_bytes()[..length]).expect("it reads");
        if round % 4 != 0 {
            drop(stdin);
            writes.await_events(1 + random.below(8), child.stdout.as_ref().map(AsFd::as_fd));
        }
        child.kill().expect("it is ours");
        let output = child.wait_with_output().expect("it is ours");
        let now = count(&store, "job");
        let added = now - stored;
        assert!(added == 0 || added == 400, "{added} of {JOBS} jobs, after {length} bytes");
        assert!(length == lines.len() || added == 0, "half the lines are no batch");
        assert!(output.stdout.is_empty() || added == 400, "ids of jobs that are not there");
        stored = now;
        writes.forget();
    }
    is_whole(&store.database());
}

#[test]
fn a_job_whose_add_is_killed_is_there_if_its_id_was_printed() {
    let store = Store::new();
    let mut random = Random::new(3);
    store.add(&["--hold"], MARKS);
    let mut writes = Writes::to(&store.dir.join("taskq.db-wal"));
    let mut stored = 1;
    for _ in 0..20 {
        let mut command = store.command(&["add", "--hold", "-c", MARKS]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it can be started");
        writes.await_events(1 + random.below(3), child.stdout.as_ref().map(AsFd::as_fd));
        child.kill().expect("it is ours");
        let output = child.wait_with_output().expect("it is ours");
        let now = count(&store, "job");
        assert!(
            now == stored + 1 || now == stored && output.stdout.is_empty(),
            "{now}, {stored} before: {output:?}"
        );
        stored = now;
        writes.forget();
    }
    is_whole(&store.database());
}

#[test]
fn an_add_that_is_killed_while_it_makes_the_store_leaves_none_or_a_whole_one() {
    for events in 1..=12 {
        let store = Store::new();
        std::fs::create_dir(&store.dir).expect("the name is new");
        let mut made = Writes::to(&store.dir);
        let mut command = store.command(&["add", "--hold", "-c", MARKS]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it can be started");
        made.await_events(events, child.stdout.as_ref().map(AsFd::as_fd));
        let _ = child.kill();
        child.wait().expect("it is ours");
        let id: i64 = store.add(&["--hold"], MARKS).parse().expect("an id");
        assert!(id == 1 || id == 2, "{id}");
        is_whole(&store.database());
    }
}
