//! Owns: runs of a keeper to which its control group is delegated.
//! Never: systemd, which delegates one by `Delegate=`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;

use nix::sys::signal::Signal;

use crate::check::{finish, run};
use crate::harness::{Daemon, MARKS, Store, chmod, open, rest};
use crate::keeper_deaths::{UNATTENDED, kill_keeper};
use crate::processes::{eventually, outlive};
use crate::shared::has;
use crate::users::nobody;

/// A control group for the daemons of a test. It is delegated as systemd does that.
struct Delegated {
    /// The root of the hierarchy, which is mounted nowhere in our namespace.
    hierarchy: File,
    name: String,
}

/// Runs what follows in a mount namespace in which the hierarchy is mounted at `cgroup`.
const MOUNTED: &str = "mount -t cgroup2 none cgroup && ";

/// Makes a group with this name and marks it; holds the namespace until standard input ends.
const MAKE: &str = "mkdir cgroup/$0 && {
    test -e cgroup/$0/cgroup.kill &&
    python3 -c 'import os, sys; os.setxattr(sys.argv[1], \"user.delegate\", b\"1\")' cgroup/$0 ||
    { rmdir cgroup/$0; false; }
} && echo made && read x";

impl Delegated {
    /// Makes the group; `None`: this machine, or this user, cannot.
    fn new(store: &Store) -> Option<Self> {
        fs::create_dir(store.path("cgroup")).expect("the name is new");
        let base = store.base.path().file_name().expect("it has a name").display();
        let name = format!("taskq-test-{}", base.to_string().trim_matches('.'));
        let mut command = store.program("unshare");
        command.args(["--mount", "sh", "-c", &format!("{MOUNTED}{MAKE}"), &name]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it answers text");
        let path = format!("/proc/{}/root{}", child.id(), store.path("cgroup").display());
        let hierarchy = (line == "made\n").then(|| File::open(path).expect("we are root"));
        drop(child.stdin.take());
        child.wait().expect("it is ours");
        has("cgroup2", hierarchy.is_some()).then_some(())?;
        Some(Self { hierarchy: hierarchy?, name })
    }

    fn path(&self, below: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{}/{below}", self.hierarchy.as_raw_fd(), self.name))
    }

    /// Makes a group below it, which is not marked.
    fn below(&self, name: &str) -> Self {
        let hierarchy = self.hierarchy.try_clone().expect("it is open");
        let below = Self { hierarchy, name: format!("{}/{name}", self.name) };
        fs::create_dir(below.path("")).expect("the name is new");
        below
    }

    /// Starts a daemon in the group.
    fn daemon(&self, store: &Store) -> Daemon {
        let script = "echo $$ >cgroup/$0/cgroup.procs && exec \"$@\"";
        let mut command = store.program("unshare");
        command.args(["--mount", "sh", "-c", &format!("{MOUNTED}{script}"), &self.name]);
        command.arg(env!("CARGO_BIN_EXE_taskq")).arg("--dir").arg(&store.dir);
        let mut daemon = Daemon::new(command.args(["daemon", "--slots", "2"]));
        daemon.line("serving");
        daemon
    }

    /// The groups of runs.
    fn groups(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("")).expect("it is there").flatten();
        let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        groups.map(|entry| entry.file_name().into_string().expect("a plain name")).collect()
    }

    /// The group of the only run that has one.
    fn only(&self) -> String {
        let groups = self.groups();
        assert_eq!(groups.len(), 1, "{groups:?}");
        groups.into_iter().next().expect("there is one")
    }

    fn until_no_group_is_left(&self) {
        eventually("the groups of the runs are removed", || self.groups().is_empty());
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        let _ = fs::write(self.path("cgroup.kill"), "1");
        let is_removed = || {
            self.groups().iter().for_each(|group| drop(fs::remove_dir(self.path(group))));
            fs::remove_dir(self.path("")).is_ok()
        };
        if !thread::panicking() {
            eventually("the group is removed", is_removed);
        } else if !is_removed() {
            // Whoever looks for the failure can do it.
            crate::shared::note(&format!("the control group {} is left", self.name));
        }
    }
}

/// A store with a daemon in a group of its own.
fn delegated() -> Option<(Store, Delegated, Daemon)> {
    let store = Store::new();
    let delegated = Delegated::new(&store)?;
    let daemon = delegated.daemon(&store);
    Some((store, delegated, daemon))
}

/// Leaves a process that only its control group leads to: its session, its parents, its environment and its
/// output are others. It holds the FIFO `alive` open, ignores TERM, and ends with the FIFO `end`.
const LEAVER: &str =
    "env -i setsid sh -c 'exec >/dev/null 2>&1; (trap \"\" TERM; exec 9>alive; read x <end) & '; ";

/// Adds a job that leaves such a process and waits. Returns what the process holds, and what the run waits
/// for.
fn leaving(store: &Store, options: &[&str]) -> (File, File) {
    store.fifos(&["alive", "end", "gate"]);
    store.add(options, &format!("{MARKS}{LEAVER}read x <gate"));
    let files = (store.held("alive"), store.gate("gate"));
    store.until_running(1);
    files
}

#[test]
fn what_has_left_every_trace_of_its_run_is_killed_with_it() {
    let ways: [(&[&str], Option<&[&str]>, _); 4] = [
        (&["--kill-after", "10m"], Some(&["cancel", "--now", "1"]), "cancelled"),
        (&["--kill-after", "100ms"], Some(&["cancel", "1"]), "cancelled"),
        (&["--kill-after", "100ms", "--timeout", "3s"], None, "timed_out"),
        (&[], Some(&["signal", "1", "KILL"]), "failed"),
    ];
    for (options, stop, outcome) in ways {
        let Some((store, delegated, daemon)) = delegated() else { return };
        let (alive, _gate) = leaving(&store, options);
        assert!(delegated.only().ends_with("-1.1.1"), "{:?}", delegated.groups());
        if let Some(stop) = stop {
            store.ok(stop);
        }
        assert_ne!(store.wait("1"), 0);
        assert_eq!(rest(alive), "", "nothing of it is left");
        assert_eq!(run(&store, "1.1").end().0, outcome);
        delegated.until_no_group_is_left();
        finish(&store, daemon);
    }
}

#[test]
fn what_has_left_every_trace_of_its_run_gets_term_and_is_waited_for() {
    let Some((store, delegated, daemon)) = delegated() else { return };
    store.fifos(&["gate", "told", "end"]);
    let left = "exec >/dev/null 2>&1; (trap \"echo term >told; read x <end; exit\" TERM; read x <gate) &";
    store.add(&["--kill-after", "10m"], &format!("{MARKS}env -i setsid sh -c '{left}'; exec sleep 1000"));
    let _gate = store.gate("gate");
    store.ok(&["cancel", "1"]);
    assert_eq!(store.read_fifo("told"), "term\n");
    let end = store.gate("end");
    store.round();
    assert_eq!(run(&store, "1.1").state, "running", "a member is left");
    open(end);
    assert_eq!(store.wait("1"), 130);
    delegated.until_no_group_is_left();
    finish(&store, daemon);
}

#[test]
fn processes_that_fork_all_the_time_are_killed_together() {
    let Some((store, delegated, daemon)) = delegated() else { return };
    // Twenty at any time, each of which starts its successor and ends. They end by themselves, if not before.
    let hop = "exec 9>alive; [ $1 = 0 ] || setsid sh hop $(($1 - 1)) &";
    fs::write(store.path("hop"), hop).expect("it is our directory");
    store.fifos(&["alive", "gate"]);
    let storm = "for i in $(seq 20); do env -i setsid sh hop 20000 >/dev/null 2>&1; done; read x <gate";
    store.add(&[], &format!("{MARKS}{storm}"));
    let (alive, _gate) = (store.held("alive"), store.gate("gate"));
    store.ok(&["cancel", "--now", "--wait", "1"]);
    assert_eq!(rest(alive), "");
    delegated.until_no_group_is_left();
    finish(&store, daemon);
}

#[test]
fn groups_that_a_run_makes_below_its_own_belong_to_it_and_are_removed_with_it() {
    let Some((store, delegated, daemon)) = delegated() else { return };
    store.fifos(&["told", "gate"]);
    let below = "g=cgroup$(sed -n s/^0:://p /proc/self/cgroup); mkdir -p $g/a/b; ";
    let left = "trap \"echo term >told; exit\" TERM; echo $$ >$g/a/b/cgroup.procs; read x <gate";
    let leave = format!("(env -i g=$g setsid sh -c '{left}' >/dev/null 2>&1 &); exec sleep 1000");
    store.add(&["--kill-after", "10m"], &format!("{MARKS}{below}{leave}"));
    let _gate = store.gate("gate");
    store.ok(&["cancel", "1"]);
    assert_eq!(store.read_fifo("told"), "term\n");
    assert_eq!(store.wait("1"), 130);
    delegated.until_no_group_is_left();
    finish(&store, daemon);
}

#[test]
fn a_background_process_of_a_run_that_ended_by_itself_lives_on_and_its_group_is_removed_after_it() {
    let Some((store, delegated, daemon)) = delegated() else { return };
    let (alive, gate) = leaving(&store, &[]);
    open(gate);
    assert_eq!(store.wait("1"), 0);
    assert_eq!(store.run_script(MARKS), 0);
    assert!(delegated.only().ends_with("-1.1.1"));
    // Only if it lives does somebody read.
    open(store.gate("end"));
    assert_eq!(rest(alive), "");
    delegated.until_no_group_is_left();
    finish(&store, daemon);
}

#[test]
fn the_next_keeper_kills_what_has_left_every_trace_of_an_unattended_run() {
    let Some((store, delegated, mut daemon)) = delegated() else { return };
    let (alive, _gate) = leaving(&store, &[]);
    kill_keeper(&store, &mut daemon, 1);
    store.ok(&["cancel", "--now", "--wait", "1"]);
    assert_eq!(rest(alive), "");
    assert_eq!(run(&store, "1.1").end(), ("cancelled", None, None));
    delegated.until_no_group_is_left();
    finish(&store, daemon);
}

#[test]
fn an_unattended_run_of_which_only_its_group_is_left_is_found_and_goes_with_its_last_process() {
    for is_cancelled in [true, false] {
        let Some((store, delegated, daemon)) = delegated() else { return };
        let (alive, gate) = leaving(&store, &[]);
        store.until_running(1);
        let job = run(&store, "1.1").pid();
        store.daemon_and_keeper_die(daemon);
        open(gate);
        outlive("the job ends", job);
        let daemon = delegated.daemon(&store);
        store.until(UNATTENDED, 1);
        if is_cancelled {
            store.ok(&["cancel", "--now", "1"]);
        } else {
            open(store.gate("end"));
        }
        assert_eq!(store.wait("1"), if is_cancelled { 130 } else { 125 });
        assert_eq!(rest(alive), "");
        delegated.until_no_group_is_left();
        finish(&store, daemon);
    }
}

#[test]
fn a_group_that_became_empty_while_no_keeper_was_there_is_removed_by_the_next() {
    let Some((store, delegated, daemon)) = delegated() else { return };
    let (alive, gate) = leaving(&store, &[]);
    open(gate);
    assert_eq!(store.wait("1"), 0);
    store.daemon_and_keeper_die(daemon);
    open(store.gate("end"));
    assert_eq!(rest(alive), "");
    fs::create_dir(delegated.path("another")).expect("the name is new");
    assert_eq!(delegated.groups().len(), 2, "nobody was there to remove it");
    let daemon = delegated.daemon(&store);
    eventually("the group is removed", || delegated.groups() == ["another"]);
    finish(&store, daemon);
}

/// The group that a run has printed.
fn printed(store: &Store, run: &str) -> String {
    let log = store.ok(&["log", run]);
    log.lines().find_map(|line| line.strip_prefix("0::")).expect("it has printed it").to_owned()
}

#[test]
fn each_run_begins_in_a_group_of_its_own_whatever_its_start() {
    let Some((store, delegated, daemon)) = delegated() else { return };
    let (own, show) = (format!("/{}/", delegated.name), format!("{MARKS}cat /proc/self/cgroup; "));
    assert_eq!(store.run_script(&show), 0);
    store.add(&["--nice", "7"], &format!("{show}nice"));
    assert_eq!(store.wait("2"), 0);
    for run in ["1", "2"] {
        let group = printed(&store, run);
        assert!(group.starts_with(&own) && group.ends_with(&format!("-{run}.1.1")), "{group}");
    }
    assert!(store.ok(&["log", "2"]).ends_with("\n7"));
    fs::write(store.path("script"), "cat /proc/self/cgroup; exit 5").expect("it is our directory");
    chmod(store.path("script"), 0o755);
    store.ok(&["add", "--", "./script"]);
    assert_eq!(store.wait("3"), 5, "it names no interpreter");
    assert!(printed(&store, "3").starts_with(&own));
    fs::write(store.path("script"), "#!/no/such").expect("it is our directory");
    store.ok(&["add", "--", "./script"]);
    assert_eq!(store.wait("4"), 127);
    delegated.until_no_group_is_left();
    store.close(daemon);
}

#[test]
fn a_run_of_another_user_has_its_group_too_and_cannot_leave_it() {
    let Some(uid) = nobody() else { return };
    let Some((store, delegated, daemon)) = delegated() else { return };
    chmod(store.base.path(), 0o777);
    store.fifos(&["alive", "end", "gate"]);
    for fifo in ["alive", "end", "gate"] {
        chmod(store.path(fifo), 0o666);
    }
    let facts = "cat /proc/self/cgroup; id -u; id -g; id -G; ls cgroup$(sed -n s/^0:://p /proc/self/cgroup); \
        echo $$ >cgroup/cgroup.procs || echo refused; ";
    store.add(&["--user", "nobody"], &format!("{facts}{LEAVER}read x <gate"));
    let (alive, _gate) = (store.held("alive"), store.gate("gate"));
    let log = store.ok(&["log", "1"]);
    assert!(printed(&store, "1").starts_with(&format!("/{}/", delegated.name)), "{log}");
    assert!(log.contains(&format!("\n{uid}\n")) && log.contains("\ncgroup.procs\n"), "{log}");
    assert!(log.ends_with("\nrefused"), "{log}");
    store.ok(&["cancel", "--now", "--wait", "1"]);
    assert_eq!(rest(alive), "");
    store.ok(&["add", "--user", "nobody", "--", "/no/such"]);
    assert_eq!(store.wait("2"), 127);
    delegated.until_no_group_is_left();
    store.close(daemon);
}

#[test]
fn a_run_starts_without_a_group_where_none_can_be_made() {
    let Some((store, delegated, daemon)) = delegated() else { return };
    fs::write(delegated.path("cgroup.max.descendants"), "0").expect("we are root");
    let show = format!("{MARKS}cat /proc/self/cgroup");
    assert_eq!(store.run_script(&show), 0);
    assert_eq!(printed(&store, "1"), format!("/{}", delegated.name));
    fs::write(delegated.path("cgroup.max.descendants"), "max").expect("we are root");
    assert_eq!(store.run_script(&show), 0);
    assert_ne!(printed(&store, "2"), format!("/{}", delegated.name));
    finish(&store, daemon);
}

#[test]
fn a_keeper_makes_no_group_in_one_that_is_not_delegated_itself() {
    let store = Store::new();
    let Some(delegated) = Delegated::new(&store) else { return };
    let inner = delegated.below("inner");
    let daemon = inner.daemon(&store);
    assert_eq!(store.run_script(&format!("{MARKS}cat /proc/self/cgroup")), 0);
    assert_eq!(printed(&store, "1"), format!("/{}", inner.name));
    finish(&store, daemon);
}

#[test]
fn the_manager_of_a_user_is_asked_whether_it_has_delegated_the_group_of_a_service() {
    let asked = "[ \"$*\" = '--user show --property=Delegate --value -- taskq.service' ]";
    let answers = [("echo yes", true), ("echo no", false), ("exit 1", false), ("exec sleep 1000", false)];
    for (answer, is_delegated) in answers {
        let mut store = Store::new();
        let Some(delegated) = Delegated::new(&store) else { return };
        let manager = delegated.below("user@0.service");
        let service = manager.below("taskq.service");
        fs::write(store.path("systemctl"), format!("#!/bin/sh\n{asked} && {answer}\n")).expect("ours");
        chmod(store.path("systemctl"), 0o755);
        let path = format!("{}:/usr/bin:/bin", store.base.path().display());
        store.variables.push(("PATH", path.into()));
        let daemon = service.daemon(&store);
        assert_eq!(store.run_script(&format!("{MARKS}cat /proc/self/cgroup")), 0);
        let group = printed(&store, "1");
        assert_eq!(group.starts_with(&format!("/{}/", service.name)), is_delegated, "{answer}: {group}");
        finish(&store, daemon);
    }
}

#[test]
fn keepers_that_share_a_group_leave_each_others_runs_alone() {
    let Some((store, delegated, daemon)) = delegated() else { return };
    let (alive, _gate) = leaving(&store, &[]);
    let other = Store::new();
    fs::create_dir(other.path("cgroup")).expect("the name is new");
    let others_daemon = delegated.daemon(&other);
    let others_gate = other.add_gated(&[], "read x <gate; exit 7");
    assert_eq!(delegated.groups().len(), 2);
    store.ok(&["cancel", "--now", "--wait", "1"]);
    assert_eq!(rest(alive), "");
    assert_eq!(run(&store, "1.1").end(), ("cancelled", None, Some(Signal::SIGKILL as i32)));
    open(others_gate);
    assert_eq!(other.wait("1"), 7);
    finish(&other, others_daemon);
    finish(&store, daemon);
}

#[test]
fn a_daemon_in_the_subgroup_for_it_has_the_groups_of_runs_beside_it_and_starts_none_without_its_limits() {
    let store = Store::new();
    let Some(delegated) = Delegated::new(&store) else { return };
    let main = delegated.below("taskq-main");
    // This machine may have the controllers, but the group above the delegated one gives it none.
    store.add(&["-R", "cpu=1", "--enforce"], MARKS);
    let daemon = main.daemon(&store);
    assert_eq!(store.wait("1"), 125);
    let cause = "`--enforce`: the delegated control group does not have the controllers";
    assert!(store.ok(&["runs", "1", "--json"]).contains(cause));
    let said = store.refused(&["add", "-R", "mem=1M", "--enforce", "true"]);
    let cause = "the delegated control group does not have the controller `memory`";
    assert!(said.contains(cause), "{said}");
    assert_eq!(store.run_script(&format!("{MARKS}cat /proc/self/cgroup")), 0);
    let group = printed(&store, "2");
    let beside = format!("/{}/taskq-", delegated.name);
    assert!(group.starts_with(&beside) && group.ends_with("-2.1.1"), "{group}");
    eventually("the groups of the runs are removed", || delegated.groups() == ["taskq-main"]);
    store.close(daemon);
}
