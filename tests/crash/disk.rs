//! Owns: a full disk under a store.
//! Never: a broken disk.

use std::path::PathBuf;
use std::process::Command;

use crate::check::{count, finish, run};
use crate::harness::{Daemon, MARKS, Store, open, rest, stderr};
use crate::processes::{eventually, output};
use crate::shared::has;

/// More commits than fit into the log on such a small disk.
const COMMITS_MAX: usize = 500;

/// A small file system, which is unmounted when it is dropped.
pub struct Disk(PathBuf);

impl Disk {
    /// Mounts one with these options; `None` if this user, or this system, cannot.
    pub fn mount(at: PathBuf, options: &str) -> Option<Self> {
        std::fs::create_dir(&at).expect("the name is new");
        let mounted = output(Command::new("mount").args(["-t", "tmpfs", "-o", options, "taskq"]).arg(&at));
        has("mount", mounted.status.success()).then_some(Self(at))
    }

    /// Fills the disk, with the room that the store has set aside.
    fn fill(&self, store: &Store) {
        let _ = output(
            Command::new("dd")
                .args(["if=/dev/zero", "bs=512"])
                .arg(format!("of={}", self.filler().display())),
        );
        // Jobs for as long as there is room for one, then for what is smaller.
        let job = |_: usize| store.run(&["add", "--hold", "--tag", "filler", "-c", MARKS]);
        let queue = |n: usize| store.run(&["queue", "set", "filler", "--slots", &(n + 1).to_string()]);
        assert!((0..COMMITS_MAX).any(|n| !job(n).status.success()), "a full disk takes {COMMITS_MAX} jobs");
        assert!(
            (0..COMMITS_MAX).any(|n| !queue(n).status.success()),
            "a full disk takes {COMMITS_MAX} widths"
        );
    }

    /// Returns the free room, in bytes.
    fn room(&self) -> u64 {
        let found = nix::sys::statvfs::statvfs(&self.0).expect("it is mounted");
        found.blocks_free() * found.fragment_size()
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Makes room. The next turn cancels the jobs that took it.
    fn free(&self, store: &Store) {
        std::fs::remove_file(self.filler()).expect("it was filled");
        store.ok(&["cancel", "--tag", "filler"]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = output(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}

#[test]
fn a_full_disk_refuses_adds_and_results_are_recorded_once_there_is_room() {
    let store = Store::at("disk/store");
    let Some(disk) = Disk::mount(store.path("disk"), "size=3m") else { return };
    let mut daemon = store.daemon();
    let gates = ["a", "b"].map(|gate| store.add_gated(&[], &format!("read x <{gate}; exit 7")));
    store.add(&[], MARKS);
    store.until_running(2);
    disk.fill(&store);
    let words = store.refused(&["add", "-c", MARKS]);
    assert!(words.starts_with("error: cannot add job: the disk is full\nhint: "), "{words}");
    gates.into_iter().for_each(open);
    daemon.line("the disk is full");
    assert_eq!(count(&store, "job WHERE paused_at IS NULL"), 3);
    assert_eq!(run(&store, "1.1").end(), ("unfinished", None, None));
    disk.free(&store);
    daemon.line("the store can be written again");
    store.wait_all();
    assert_eq!([store.wait("1"), store.wait("2"), store.wait("3")], [7, 7, 0]);
    finish(&store, daemon);
}

#[test]
fn a_daemon_that_is_killed_on_a_full_disk_leaves_everything_to_the_next() {
    let store = Store::at("disk/store");
    let Some(disk) = Disk::mount(store.path("disk"), "size=3m") else { return };
    let (mut daemon, gate) = store.gated("read x <gate; exit 7");
    store.until_running(1);
    disk.fill(&store);
    open(gate);
    daemon.line("the disk is full");
    daemon.kill();
    // It may start and wait for room, or say that it cannot; either way nothing changes.
    let refused = Daemon::new(&mut store.command(&["daemon"]));
    let refused = refused.starts_or_ends();
    disk.free(&store);
    let daemon = refused.unwrap_or_else(|| store.daemon());
    assert_eq!(store.wait("1"), 7);
    finish(&store, daemon);
}

#[test]
fn a_run_that_fills_the_disk_leaves_the_store_its_reserve_and_can_be_cancelled() {
    let store = Store::at("disk/store");
    let Some(disk) = Disk::mount(store.path("disk"), "size=12m") else { return };
    let daemon = store.daemon();
    store.add(&[], "exec yes");
    // An eighth of it, and what is written before the next look.
    eventually("its output is dropped", || disk.room() < (12 << 20) / 8 + (1 << 18));
    for _ in 0..20 {
        store.add(&["--hold"], MARKS);
    }
    assert!(disk.room() > 1 << 20, "the reserve is there");
    store.ok(&["cancel", "1"]);
    assert_eq!(store.wait("1"), 130);
    let log = store.run(&["log", "1", "--tail", "1"]).stdout;
    let mark = String::from_utf8(log).expect("it is text");
    assert!(
        mark.starts_with("[taskq: ") && mark.ends_with(" bytes of output dropped here: the disk was full]\n"),
        "{mark}"
    );
    store.close(daemon);
}

#[test]
fn a_cancel_that_cannot_be_stored_reaches_what_runs_all_the_same() {
    let store = Store::at("disk/store");
    let Some(disk) = Disk::mount(store.path("disk"), "size=3m") else { return };
    store.fifos(&["alive"]);
    let daemon = store.daemon();
    store.add(&[], &format!("{MARKS}exec 9>alive; echo up >&9; exec sleep 1000"));
    let mut alive = store.held("alive");
    std::io::Read::read_exact(&mut alive, &mut [0; 3]).expect("it is up");
    store.until_running(1);
    disk.fill(&store);
    let cancelled = store.run(&["cancel", "1"]);
    let words = stderr(&cancelled);
    assert_eq!(words, "the disk is full; stopping 1.1, to be recorded later\n");
    assert_eq!(cancelled.status.code(), Some(0));
    assert_eq!(rest(alive), "", "the run has ended, and the disk is as full as before");
    disk.free(&store);
    assert_eq!(store.wait("1"), 130);
    store.close(daemon);
}

#[test]
fn a_small_disk_is_filled_by_jobs_and_not_by_the_log() {
    for has_daemon in [false, true] {
        let store = Store::at("disk/store");
        let Some(_disk) = Disk::mount(store.path("disk"), "size=2m") else { return };
        let daemon = has_daemon.then(|| store.daemon());
        // It took 52 as long as the log was copied back after a thousand frames only, and not begun anew
        // without a daemon.
        for job in 0..COMMITS_MAX {
            assert!(
                store.run(&["add", "--hold", "-c", MARKS]).status.success(),
                "job {job}, with daemon: {has_daemon}"
            );
        }
        if let Some(daemon) = daemon {
            store.close(daemon);
        }
    }
}
