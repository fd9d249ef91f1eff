//! Owns: a full disk under a store.
//! Never: a broken one.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::check::{all_is_well, count, run};
use crate::harness::{Daemon, MARKS, Store, open};
use crate::processes::output;

/// A small file system; gone when it is dropped.
struct Disk(PathBuf);

impl Disk {
    /// `None`: this user, or this system, mounts nothing.
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir(&at).expect("the name is new");
        let mounted = output(Command::new("mount").args(["-t", "tmpfs", "-o", "size=3m", "taskq"]).arg(&at));
        if mounted.status.success() {
            return Some(Self(at));
        }
        eprintln!("skipped: it takes root to mount: {}", String::from_utf8_lossy(&mounted.stderr).trim());
        None
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let _ = output(Command::new("dd").args(["if=/dev/zero", "bs=512"]).arg(format!("of={}", self.filler())));
    }

    fn filler(&self) -> String {
        self.0.join("filler").display().to_string()
    }

    fn free(&self) {
        std::fs::remove_file(Path::new(&self.filler())).expect("it was filled");
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
    let Some(disk) = Disk::mount(store.path("disk")) else { return };
    let gates = ["a", "b"];
    for gate in gates {
        store.fifo(gate);
    }
    let mut daemon = store.daemon();
    store.add_all(gates.map(|gate| format!("{MARKS}read x <{gate}; exit 7")));
    store.add(&[], MARKS);
    let gates = gates.map(|gate| store.gate(gate));
    store.until("SELECT count(*) FROM run WHERE state = 'running'", 2);
    disk.fill();
    let refused = store.run(&["add", "-c", MARKS]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!((refused.status.code(), refused.stdout.as_slice()), (Some(1), b"".as_slice()), "{words}");
    assert!(words.starts_with("error: cannot add job: the disk is full\nhint: "), "{words}");
    gates.into_iter().for_each(open);
    daemon.line("the disk is full");
    assert_eq!(count(&store, "job"), 3);
    assert_eq!(run(&store, "1.1").end(), ("unfinished", None, None));
    disk.free();
    daemon.line("the store can be written again");
    store.wait_all();
    assert_eq!([store.wait("1"), store.wait("2"), store.wait("3")], [7, 7, 0]);
    all_is_well(&store);
    store.close(daemon);
}

#[test]
fn a_daemon_that_is_killed_on_a_full_disk_leaves_everything_to_the_next() {
    let store = Store::at("disk/store");
    let Some(disk) = Disk::mount(store.path("disk")) else { return };
    store.fifo("gate");
    let mut daemon = store.daemon();
    store.add(&[], &format!("{MARKS}read x <gate; exit 7"));
    let gate = store.gate("gate");
    store.until("SELECT count(*) FROM run WHERE state = 'running'", 1);
    disk.fill();
    open(gate);
    daemon.line("the disk is full");
    daemon.kill();
    // It may start and wait for room, or say that it cannot; either way nothing changes.
    let refused = Daemon::new(&mut store.command(&["daemon"]));
    let refused = refused.starts_or_ends();
    disk.free();
    let daemon = refused.unwrap_or_else(|| store.daemon());
    assert_eq!(store.wait("1"), 7);
    all_is_well(&store);
    store.close(daemon);
}
