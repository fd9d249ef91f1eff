//! Owns: `backup`: copies that are whole whatever happens meanwhile, refused places, and `--check`.
//! Never: how a ring is copied (see `keeper::output_copies`).

use std::fs::{self, OpenOptions, Permissions};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::harness::{Home, Lines, open_gate, pid_of};
use crate::shared::{await_ready, has, now, setting};

/// A user that is not this one.
const NOBODY: u32 = 65_534;

/// Makes a copy, and returns what was said.
#[track_caller]
fn backup(home: &Home, dir: &str) -> String {
    let answer = home.taskq(&["backup", dir]).answer();
    assert_eq!((answer.status, answer.stdout.as_str()), (0, ""), "{answer:?}");
    answer.stderr
}

/// Returns the exit status of `--check`, and its faults.
fn faults(home: &Home, dir: &str) -> (i32, Vec<String>) {
    let answer = home.taskq(&["backup", "--check", dir]).answer();
    assert_eq!(answer.stderr, "");
    let faults = answer.stdout.lines().filter_map(|line| line.strip_prefix("fault  "));
    (answer.status, faults.map(str::to_owned).collect())
}

#[track_caller]
fn is_whole(home: &Home, dir: &str) {
    assert_eq!(faults(home, dir), (0, Vec::new()));
}

/// Returns the names in a directory, in their order.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("it is there");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("readable").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

/// A store with a daemon, and runs whose outputs are in the database and in files.
fn with_outputs() -> Home {
    let home = Home::with_daemon();
    home.add_and_wait(&["--name", "short", "-c", "echo short"]);
    home.add_and_wait(&["--name", "long", "-c", "seq 1 20000"]);
    let fails = "seq 1 30000; seq 1 40000 >&2; test $TASKQ_ATTEMPT = 2";
    let retries = ["--retries", "1", "--retry-delay", "1us", "--split-output", "--log-limit", "100K"];
    home.add_and_wait(&[&["--name", "twice"], &retries[..], &["-c", fails]].concat());
    home
}

#[test]
fn a_copy_is_a_store_with_all_that_was_there() {
    let home = with_outputs();
    assert_eq!(backup(&home, "copy"), "");
    let at = home.work().join("copy");
    assert_eq!(names(&home.work()), ["copy"], "nothing else is left");
    assert_eq!(names(&at), ["log", "taskq.db"]);
    is_whole(&home, "copy");
    assert_eq!(names(&at), ["log", "taskq.db"], "the check has changed nothing");
    let answers: [&[&str]; 7] = [
        &["list", "--all", "--json"],
        &["runs", "--json"],
        &["log", "short"],
        &["log", "long"],
        &["log", "twice", "--attempt", "1"],
        &["log", "twice", "--stderr"],
        &["show", "twice", "--json"],
    ];
    for args in answers {
        let [of_store, of_copy] = [home.store(), at.clone()].map(|dir| {
            let answer = home.taskq(&[&["--dir", dir.to_str().expect("plain")], args].concat()).answer();
            (answer.status, answer.stdout)
        });
        assert_eq!(of_copy, of_store, "{args:?}");
        assert_eq!(of_store.0, 0);
    }
    for (path, mode) in
        [("copy", 0o700), ("copy/log", 0o700), ("copy/taskq.db", 0o600), ("copy/log/2.1", 0o600)]
    {
        let found = fs::metadata(home.work().join(path)).expect(path).permissions().mode();
        assert_eq!(found & 0o777, mode, "{path}");
    }
}

#[test]
fn a_copy_replaces_an_empty_directory_also_by_a_symlink_and_needs_no_daemon() {
    let home = Home::new();
    home.add(&["--at", "2031-01-01", "true"]);
    fs::create_dir(home.work().join("empty")).expect("new");
    std::os::unix::fs::symlink("empty", home.work().join("link")).expect("new");
    backup(&home, "link");
    assert!(fs::symlink_metadata(home.work().join("link")).expect("it is there").is_symlink());
    is_whole(&home, "empty");
    // And of a copy.
    home.taskq(&["--dir", "link", "backup", "second"]).gives(0, "", "");
    is_whole(&home, "second");
    assert_eq!(home.json(&["--dir", "second", "list"])["jobs"][0]["id"], 1);
}

#[test]
fn what_is_no_place_is_refused_and_untouched() {
    let home = Home::new();
    home.add(&["--at", "2031-01-01", "true"]);
    let path = |name: &str| home.work().join(name);
    fs::create_dir(path("full")).expect("new");
    fs::write(path("full/letter"), "dear").expect("ours");
    fs::write(path("file"), "").expect("ours");
    home.taskq(&["--dir", "other", "add", "-q", "--at", "2031-01-01", "true"]).gives(0, "1\n", "");
    std::os::unix::fs::symlink("nothing", path("dangling")).expect("new");
    let store = home.store();
    let (own, inside) = (store.to_str().expect("plain"), store.join("copy"));
    let before = names(&store);
    let new = "hint: name a directory that does not exist yet\n";
    for (dir, status, cause, hint) in [
        ("full", 1, "`full` is not empty", new),
        ("file", 1, "`file` is not a directory", new),
        ("other", 1, "`other` has a store already", new),
        ("dangling", 1, "`dangling` is not a directory", new),
        (own, 2, "`[home]/data/taskq` is the store itself", new),
        (inside.to_str().expect("plain"), 2, "`[home]/data/taskq/copy` is in the store", new),
        (
            "no/copy",
            1,
            "there is no directory `[home]/work/no`",
            "hint: make it first, or mount what belongs there\n",
        ),
    ] {
        home.taskq(&["backup", dir]).gives(status, "", &format!("error: cannot copy store: {cause}\n{hint}"));
    }
    assert_eq!(names(&store), before);
    assert_eq!(names(&home.work()), ["dangling", "file", "full", "other"]);
    assert_eq!(fs::read_to_string(path("full/letter")).expect("it is there"), "dear");
    home.taskq(&["--dir", "nowhere", "backup", "copy"]).gives(
        1,
        "",
        "error: cannot copy store: there is no store in `[home]/work/nowhere`\n\
         hint: check the name of `--dir`\n",
    );
    assert!(!path("copy").exists() && !path("nowhere").exists());
    home.taskq(&["backup", "--check", "full"]).gives(
        1,
        "",
        "error: cannot check copy: there is no store in `full`\n\
         hint: name the directory that `taskq backup` has made\n",
    );
}

#[test]
fn what_belongs_to_another_user_is_refused() {
    if !has("root", nix::unistd::geteuid().is_root()) {
        return;
    }
    let home = Home::new();
    home.add(&["--at", "2031-01-01", "true"]);
    let theirs = home.work().join("theirs");
    fs::create_dir(&theirs).expect("new");
    chown(&theirs, Some(NOBODY), None).expect("root may");
    home.taskq(&["backup", "theirs"]).gives(
        1,
        "",
        "error: cannot copy store: `theirs` belongs to user 65534, not to user 0\n\
         hint: name a directory that does not exist yet\n",
    );
    backup(&home, "copy");
    chown(home.work().join("copy"), Some(NOBODY), None).expect("root may");
    let answer = home.taskq(&["--dir", "copy", "backup", "second"]).answer();
    assert_eq!(answer.status, 1);
    assert!(answer.stderr.contains("belongs to user 65534, not to user 0"), "{answer:?}");
    let (status, faults) = faults(&home, "copy");
    assert_eq!(status, 1);
    assert!(faults[0].contains("belongs to user 65534, not to user 0"), "{faults:?}");
    assert_eq!(names(&home.work()), ["copy", "theirs"]);
}

#[test]
fn a_damaged_copy_is_found() {
    let home = with_outputs();
    backup(&home, "whole");
    let damaged = |what: &str, damage: &dyn Fn(PathBuf)| {
        fs::rename(home.work().join("whole"), home.work().join("copy")).expect("ours");
        damage(home.work().join("copy"));
        let found = faults(&home, "copy");
        assert_eq!(found.0, 1, "{what}");
        fs::remove_dir_all(home.work().join("copy")).expect("ours");
        backup(&home, "whole");
        found.1
    };
    let again = ": make another copy, and keep this one until you have it";
    let missing = damaged("a file is missing", &|copy| {
        fs::remove_file(copy.join("log/2.1")).expect("ours");
        fs::remove_file(copy.join("log/3.1.2.stderr")).expect("ours");
    });
    assert_eq!(
        missing,
        [
            format!("outputs    the output of run 2.1 is missing{again}"),
            format!("outputs    the standard error of attempt 2 of run 3.1 is missing{again}"),
        ]
    );
    let short = damaged("a file is short", &|copy| {
        let file = OpenOptions::new().write(true).open(copy.join("log/2.1")).expect("ours");
        file.set_len(100).expect("ours");
    });
    assert_eq!(short, [format!("outputs    the output of run 2.1 has 100 of 108894 bytes{again}")]);
    let open = damaged("others can read", &|copy| {
        fs::set_permissions(copy.join("log/2.1"), Permissions::from_mode(0o644)).expect("ours");
        fs::set_permissions(&copy, Permissions::from_mode(0o755)).expect("ours");
    });
    assert_eq!(
        open,
        ["copy", "copy/log/2.1"].map(|path| {
            let path = home.work().join(path).display().to_string();
            format!("files      `{path}` is open to others: `chmod go= {path}`")
        })
    );
    let flipped = damaged("a page is damaged", &|copy| {
        let file = OpenOptions::new().write(true).open(copy.join("taskq.db")).expect("ours");
        let pages = file.metadata().expect("ours").len() / 4_096;
        for page in 2..pages {
            file.write_all_at(&[0xff; 64], page * 4_096).expect("ours");
        }
    });
    assert!(flipped[0].starts_with("store      the database is damaged"), "{flipped:?}");
    let cut = damaged("the database is cut", &|copy| {
        let file = OpenOptions::new().write(true).open(copy.join("taskq.db")).expect("ours");
        file.set_len(10_000).expect("ours");
    });
    assert!(cut[0].starts_with("store      "), "{cut:?}");
    let gone = damaged("there is another text", &|copy| {
        fs::write(copy.join("taskq.db"), "a letter").expect("ours");
    });
    assert!(gone[0].contains("is not a database"), "{gone:?}");
}

#[test]
fn a_reference_to_nothing_is_found() {
    let home = with_outputs();
    backup(&home, "copy");
    let database = rusqlite::Connection::open(home.work().join("copy/taskq.db")).expect("it is one");
    database
        .execute_batch("PRAGMA foreign_keys = OFF; UPDATE run SET job_id = 99 WHERE job_id = 1")
        .expect("ours");
    database.close().expect("nothing is open");
    let (status, faults) = faults(&home, "copy");
    assert_eq!(status, 1);
    assert!(faults[0].starts_with("store      1 row of the table `run` refer"), "{faults:?}");
    let json: Value = home.json(&["backup", "--check", "copy"]);
    assert_eq!(json["findings"][0]["level"], "fault");
}

#[test]
fn copies_during_a_storm_of_short_runs_are_whole() {
    let mut home = Home::new();
    home.start_daemon(&["--slots", "4"]);
    // Half of them leave an output in a file, and all come and go while they are copied.
    let lines: String = (0..1_500)
        .map(|job| format!("{{\"script\":\"seq 1 {}\"}}\n", if job % 2 == 0 { 10 } else { 14_000 }))
        .collect();
    home.taskq(&["add", "--quiet", "--from", "-"]).stdin(lines).answer();
    let mut copies = 0;
    let mut is_over = false;
    while !is_over {
        is_over = home.taskq(&["wait", "--all", "--timeout", "1us"]).answer().status != 124;
        let dir = format!("copy-{copies}");
        backup(&home, &dir);
        is_whole(&home, &dir);
        fs::remove_dir_all(home.work().join(&dir)).expect("ours");
        copies += 1;
    }
    assert!(copies > 2, "only {copies} copies");
    assert_eq!(names(&home.work()), [""; 0]);
}

#[test]
fn copies_while_outputs_are_pruned_are_whole() {
    let home = Home::with_daemon();
    let lines: String = (0..60).map(|_| "{\"script\":\"seq 1 14000\"}\n").collect();
    home.taskq(&["add", "--quiet", "--from", "-"]).stdin(lines).answer();
    home.taskq(&["wait", "--all"]).answer();
    for copy in 0..12 {
        let mut pruning = home.command(&["prune", "--output-limit", &format!("{}K", (12 - copy) * 300)]);
        let mut pruning = pruning.stdout(Stdio::null()).spawn().expect("taskq starts");
        let dir = format!("copy-{copy}");
        assert_eq!(backup(&home, &dir), "");
        is_whole(&home, &dir);
        pruning.wait().expect("ours");
    }
}

#[test]
fn a_backup_that_is_killed_leaves_no_half_copy() {
    let home = with_outputs();
    // Enough to be killed in each of its parts.
    home.add_and_wait(&["--log-limit", "40M", "-c", "seq 1 2000000"]);
    let seed: u64 = setting("TASKQ_CRASH_SEED").unwrap_or(0x2545_f491_4f6c_dd1d);
    let begun = now();
    backup(&home, "first");
    let whole = begun.elapsed();
    let (mut random, mut killed) = (seed, 0);
    for _ in 0..25 {
        // Marsaglia's xorshift64.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let after = whole.mul_f64((random % 1_000) as f64 / 900.0);
        let mut running =
            home.command(&["backup", "copy"]).stderr(Stdio::piped()).spawn().expect("taskq starts");
        // It becomes readable when the process ends.
        let stderr = running.stderr.take().expect("it is piped");
        await_ready(&mut [PollFd::new(stderr.as_fd(), PollFlags::POLLIN)], after);
        kill(pid_of(&running), Signal::SIGKILL).expect("it is our child");
        let is_killed = running.wait().expect("ours").code().is_none();
        let copy = home.work().join("copy");
        if copy.exists() {
            is_whole(&home, "copy");
            fs::remove_dir_all(&copy).expect("ours");
        } else {
            assert!(is_killed, "seed {seed}");
            killed += 1;
        }
    }
    assert!(killed > 5, "{killed} of 25 were killed in time, seed {seed}");
    // The next one removes what they have left.
    let left = names(&home.work()).len() - 1;
    let told = backup(&home, "copy");
    assert_eq!(told.lines().count(), left, "{told}");
    assert_eq!(names(&home.work()), ["copy", "first"]);
    is_whole(&home, "copy");
}

#[test]
fn a_daemon_of_the_copy_leaves_the_runs_of_the_original_alone() {
    let mut home = Home::new();
    home.start_daemon(&["--slots", "3"]);
    let mut lines = Lines::of(&home, "lines");
    let gates = ["gate-a", "gate-b"].map(|name| home.fifo(name));
    for name in ["a", "b"] {
        let script = format!("echo begun; echo up >lines; read x <gate-{name}; echo ended");
        home.add(&["--name", name, "-c", &script]);
    }
    assert_eq!([lines.next(), lines.next()], ["up", "up"]);
    // The daemon has received that they run before the end of another.
    home.add_and_wait(&["true"]);
    let of_original = || home.json(&["runs"])["runs"].clone();
    let before = of_original();
    backup(&home, "copy");
    is_whole(&home, "copy");
    assert_eq!(home.json(&["--dir", "copy", "runs"])["runs"][1]["state"], "running");
    home.taskq(&["--dir", "copy", "log", "a"]).gives(0, "begun\n", "");
    // It ends once nothing is left to do. A run that it had taken over would be something.
    let lost = home.taskq(&["--dir", "copy", "daemon", "--until-idle"]).answer();
    assert_eq!(of_original(), before);
    let runs = home.json(&["--dir", "copy", "runs"])["runs"].clone();
    let of = |run: usize, key: &str| runs[run][key].clone();
    for run in 1..3 {
        assert_eq!((of(run, "state"), of(run, "outcome")), ("finished".into(), "lost".into()), "{lost:?}");
        assert_eq!(of(run, "cause"), "the store is a copy, which was made during the run");
    }
    gates.iter().for_each(|gate| open_gate(gate));
    home.taskq(&["wait", "a", "b"]).gives(0, "", "");
    home.taskq(&["log", "a"]).gives(0, "begun\nended\n", "");
}

/// A small file system, which is unmounted when it is dropped.
struct Disk(PathBuf);

impl Disk {
    /// `None` if this user, or this system, cannot mount one.
    fn mount(at: PathBuf) -> Option<Self> {
        fs::create_dir(&at).expect("the name is new");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=600k", "taskq"]).arg(&at).output();
        has("mount", mounted.is_ok_and(|mounted| mounted.status.success())).then_some(Self(at))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_leaves_nothing_and_is_named() {
    let home = with_outputs();
    let Some(disk) = Disk::mount(home.work().join("disk")) else { return };
    let full = |dir: &str| {
        home.taskq(&["backup", dir]).gives(
            1,
            "",
            &format!(
                "error: cannot copy store: the disk of `{dir}` is full\n\
                 hint: nothing of the copy is left; free some space, or name a directory on another disk\n"
            ),
        );
        assert_eq!(names(&disk.0).len(), usize::from(disk.0.join("filler").exists()));
    };
    // There is room for the outputs and not for the database, or for neither.
    full("disk/copy");
    fs::write(disk.0.join("filler"), [b'x'; 500 << 10]).expect("there is room");
    full("disk/copy");
    home.taskq(&["backup", "disk"]).gives(
        1,
        "",
        "error: cannot copy store: `disk` is not empty\nhint: name a directory that does not exist yet\n",
    );
    fs::remove_file(disk.0.join("filler")).expect("ours");
    home.taskq(&["backup", "disk"]).gives(
        1,
        "",
        "error: cannot copy store: `disk` is a mount point, which cannot be replaced\n\
         hint: name a new directory in it\n",
    );
}
