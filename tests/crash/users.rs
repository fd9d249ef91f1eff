//! Owns: other users, and the file modes that keep them out.
//! Never: the powers of root.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{User, geteuid};

use crate::check::{count, finish};
use crate::clients::untold_add;
use crate::harness::{Daemon, MARKS, Store, chmod, gated, open};
use crate::processes::{eventually, output};
use crate::shared::{has, setting};

/// Returns the uid of another user; `None` if this process cannot switch to it.
pub fn nobody() -> Option<u32> {
    if !has("root", geteuid().is_root()) {
        return None;
    }
    let nobody = User::from_name("nobody").ok().flatten().map(|user| user.uid.as_raw());
    let can_run = nobody.is_some_and(|uid| {
        let program = env!("CARGO_BIN_EXE_taskq");
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &uid.to_string(), "--clear-groups", program, "--version"]);
        output(&mut command).status.success()
    });
    nobody.filter(|_| has("nobody", can_run))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
}

#[test]
fn files_and_sockets_are_their_owners_alone_whatever_the_umask() {
    for umask in ["000", "022", "077", "777"] {
        let store = Store::new();
        store.fifos(&["gate"]);
        let under = |arguments: &str| {
            let mut command = store.program("sh");
            let script = format!("umask {umask}; exec \"$0\" --dir \"$1\" {arguments}");
            command.args(["-c", &script, env!("CARGO_BIN_EXE_taskq")]).arg(&store.dir);
            command
        };
        let mut daemon = Daemon::new(&mut under("daemon"));
        daemon.line("serving");
        let added = output(&mut under("add -c 'echo $TASKQ_RUN >>marker; echo; read x <gate'"));
        assert!(added.status.success(), "{umask}: {added:?}");
        let gate = store.gate("gate");
        assert_eq!(mode(&store.dir), 0o700, "{umask}");
        let mut names = Vec::new();
        for entry in fs::read_dir(&store.dir).expect("it is there").flatten() {
            let wanted = if entry.path().is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(&entry.path()), wanted, "{umask}: {:?}", entry.path());
            names.push(entry.file_name().into_string().expect("a plain name"));
        }
        let own =
            ["adds.sock", "daemon.lock", "daemon.sock", "keeper.lock", "keeper.sock", "log", "turns.sock"];
        for name in own.iter().chain(&["taskq.db", "taskq.db-commits", "taskq.db-wal"]) {
            assert!(names.iter().any(|found| found == name), "{name} is not among {names:?}");
        }
        let output = store.dir.join("log/1.1");
        eventually("its output is in its file", || output.exists());
        assert_eq!(mode(&output), 0o600, "{umask}");
        let job_mask = 0o777 & !u32::from_str_radix(umask, 8).expect("it is octal") & 0o666;
        assert_eq!(mode(&store.path("marker")), job_mask, "a job has its own mask");
        open(gate);
        store.wait_all();
        store.close(daemon);
    }
}

#[test]
fn a_store_that_belongs_to_somebody_else_is_refused() {
    let Some(nobody) = nobody() else { return };
    for (owner, other) in [(None, Some(nobody)), (Some(nobody), None)] {
        let mut store = owner.map_or_else(Store::new, Store::of_user);
        store.add(&["--hold"], MARKS);
        chmod(store.base.path(), 0o755);
        chmod(&store.dir, 0o777);
        chmod(store.dir.join("taskq.db"), 0o666);
        let before = fs::read(store.dir.join("taskq.db")).expect("we are root");
        store.become_user(other);
        let verbs: [&[&str]; 5] =
            [&["add", "-c", "true"], &["list"], &["status"], &["cancel", "--all"], &["daemon"]];
        store.refuses(&verbs, "belongs to user ");
        assert_eq!(fs::read(store.dir.join("taskq.db")).expect("we are root"), before);
        assert_eq!(mode(&store.dir), 0o777, "even its mode is its owner's");
    }
}

#[test]
fn an_ordinary_user_can_use_a_store_of_its_own() {
    let Some(nobody) = nobody() else { return };
    let store = Store::of_user(nobody);
    let roots = store.path("roots");
    fs::write(&roots, "root's\n").expect("we are root");
    chmod(&roots, 0o600);
    let daemon = store.daemon();
    store.add(&[], &format!("{MARKS}id -u; cat roots; echo mine >roots"));
    assert_ne!(store.wait("1"), 0);
    assert!(store.ok(&["log", "1"]).starts_with(&format!("{nobody}\n")));
    daemon.kill();
    let daemon = store.daemon();
    assert_eq!(store.run_script(MARKS), 0);
    assert_eq!(fs::read_to_string(&roots).expect("we are root"), "root's\n");
    for entry in fs::read_dir(&store.dir).expect("it is there").flatten() {
        assert_eq!(entry.metadata().expect("it is there").uid(), nobody, "{:?}", entry.path());
    }
    finish(&store, daemon);
}

#[test]
fn a_keeper_that_cannot_be_reached_is_waited_for_and_not_replaced() {
    let Some(nobody) = nobody() else { return };
    let store = Store::of_user(nobody);
    store.fifos(&["gate"]);
    chmod(store.path("gate"), 0o666);
    let daemon = store.daemon();
    store.add(&[], &format!("{MARKS}read x <gate; exit 7"));
    let gate = store.gate("gate");
    daemon.kill();
    let socket = store.dir.join("keeper.sock");
    chmod(&socket, 0o000);
    let mut daemon = store.starting_daemon();
    daemon.line("cannot reach or start a keeper: ");
    chmod(&socket, 0o600);
    daemon.line("runs adopted: 1");
    open(gate);
    assert_eq!(store.wait("1"), 7);
    finish(&store, daemon);
}

#[test]
fn a_read_only_store_is_refused_and_stays_as_it_is() {
    let Some(nobody) = nobody() else { return };
    let store = Store::of_user(nobody);
    store.add(&["--hold"], MARKS);
    let database = store.dir.join("taskq.db");
    chmod(&database, 0o400);
    chmod(&store.dir, 0o500);
    let before = fs::read(&database).expect("we are root");
    for verb in [&["add", "-c", "true"][..], &["cancel", "1"], &["daemon"]] {
        let words = store.refused(verb);
        assert!(!words.contains("os error"), "{verb:?}: {words}");
    }
    assert_eq!(fs::read(&database).expect("we are root"), before);
    chmod(&store.dir, 0o700);
    chmod(&database, 0o600);
    assert_eq!(count(&store, "job"), 1);
    assert!(store.ok(&["list"]).lines().count() == 2);
}

/// Not a test: another user at a socket of a store whose directory is open to everyone.
#[test]
#[ignore = "the body of a process of another test"]
fn intruder() {
    let Some(socket) = setting::<PathBuf>("INTRUDE") else { return };
    if socket.ends_with("daemon.sock") {
        let own = UnixDatagram::unbound().expect("a socket");
        own.send_to(b"!", socket).expect("the mode lets us");
    } else {
        let mut stream = UnixStream::connect(socket).expect("the mode lets us");
        let said = stream.read(&mut [0; 64]).unwrap_or(0);
        assert_eq!(said, 0, "it hangs up without a word");
    }
}

/// Lets another user try a socket.
fn intrude(store: &Store, uid: u32, name: &str) {
    let mut command = store.program("setpriv");
    command
        .args(["--reuid", &uid.to_string(), "--clear-groups"])
        .arg(std::env::current_exe().expect("we run"));
    command
        .args(["--exact", "users::intruder", "--ignored", "--nocapture"])
        .env("INTRUDE", store.dir.join(name));
    let tried = output(&mut command);
    assert!(tried.status.success(), "{name}: {}{}", lossy(&tried.stdout), lossy(&tried.stderr));
    assert!(lossy(&tried.stdout).contains("1 passed"), "{name}: {}", lossy(&tried.stdout));
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn somebody_else_is_not_heard_even_where_the_directory_was_opened_up() {
    let Some(nobody) = nobody() else { return };
    let (store, daemon, gate) = gated("read x <gate");
    store.until_running(1);
    for path in [store.base.path(), &store.dir] {
        chmod(path, 0o777);
    }
    for name in ["adds.sock", "daemon.sock", "keeper.sock", "turns.sock"] {
        chmod(store.dir.join(name), 0o777);
    }
    intrude(&store, nobody, "turns.sock");
    intrude(&store, nobody, "adds.sock");
    untold_add(&store);
    intrude(&store, nobody, "daemon.sock");
    store.round();
    assert_eq!(
        count(&store, "run WHERE state = 'queued' AND keeper IS NULL"),
        1,
        "nobody's word wakes nobody"
    );
    daemon.kill();
    // Now the keeper takes connections.
    intrude(&store, nobody, "keeper.sock");
    open(gate);
    let daemon = store.daemon();
    store.wait_all();
    finish(&store, daemon);
}
