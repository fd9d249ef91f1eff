//! Owns: runs on other machines while somebody is killed: the daemon, the keeper, the clients that speak to a
//! host, the supervisor over there, the servers there. Whoever it is, the run happens once, and its end is
//! what it was.
//! Never: what is said to a far side (see `tests/executor`).

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::far_site::Site;
use crate::harness::{Daemon, MARKS, Store, open};
use crate::processes::{eventually, freeze, send};

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Daemon,
    Keeper,
    /// The commands that speak to the host, with their connection.
    Clients,
    Supervisor,
    /// What answers over there: sshd(8), or slurmctld(8).
    Server,
    /// slurmd(8) on each node.
    Nodes,
}

/// A store whose jobs run on a site.
struct World {
    store: Store,
    site: Site,
    daemon: Option<Daemon>,
}

impl World {
    fn new(site: Site) -> Self {
        let mut store = Store::new();
        store.variables.extend(site.variables());
        let daemon = store.daemon();
        let rundir = store.path("far").display().to_string();
        let mut words = vec!["executor", "add", "site", "--rundir", &rundir];
        let options = site.options();
        words.extend(options.iter().map(String::as_str));
        store.ok(&words);
        Self { store, site, daemon: Some(daemon) }
    }

    fn add(&self, script: &str) {
        self.store.add(&["--executor", "site"], &format!("{MARKS}{script}"));
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("it serves")
    }

    /// The commands of the keeper that speak to the host, and what they have started.
    fn clients(&self) -> Vec<Pid> {
        crate::far_site::in_directory(&self.store.dir.join("executor"))
    }

    fn supervisor(&self) -> Vec<Pid> {
        supervisors(&self.store.path("far"))
    }

    fn kill(&mut self, victim: Victim) {
        match victim {
            Victim::Daemon => {
                self.daemon.take().expect("it serves").kill();
                self.daemon = Some(self.store.daemon());
            }
            Victim::Keeper => send(self.store.keeper().expect("it lives"), Signal::SIGKILL),
            Victim::Clients => kill_all(&self.clients()),
            Victim::Supervisor => kill_all(&self.supervisor()),
            Victim::Server => self.site.restart_server(),
            Victim::Nodes => self.site.restart_nodes(),
        }
    }

    /// The run has happened once, and ended with 7.
    ///
    /// A slurmctld(8) that is killed while jobs begin can forget one, and have its node kill what it forgot.
    /// That run is lost, whether it had begun to work or not, and happens no second time.
    fn ended_once(self, what: &str) {
        let (status, markers) = (self.store.wait("1"), self.store.markers());
        if status == 125 && self.site.can_forget() {
            assert!(markers.is_empty() || markers == ["1.1"], "{what}: {markers:?}");
            assert_eq!(self.outcome(), "lost", "{what}");
            return self.close();
        }
        assert_eq!(status, 7, "{what}: {}", self.store.ok(&["show", "1"]));
        assert_eq!(markers, ["1.1"], "{what}");
        let rundir = self.store.path("far");
        eventually("the host forgets it", || !has_exit(&rundir));
        self.close();
    }

    fn outcome(&self) -> String {
        let found = self.store.database().query_row("SELECT outcome FROM run", [], |row| row.get(0));
        found.expect("it is there")
    }

    fn close(mut self) {
        self.daemon.take().expect("it serves").stop(Signal::SIGTERM);
        kill_all(&self.clients());
    }
}

fn kill_all(pids: &[Pid]) {
    for pid in pids {
        // It may have ended meanwhile.
        let _ = kill(*pid, Signal::SIGKILL);
    }
}

/// The supervisors of the runs below a directory, by what each has written there.
fn supervisors(rundir: &Path) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir(rundir) else { return Vec::new() };
    let live = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path().join("live")).ok());
    live.filter_map(|text| text.split(' ').next()?.parse().ok().map(Pid::from_raw)).collect()
}

/// Whether a run has written its end over there.
fn has_exit(rundir: &Path) -> bool {
    let entries = fs::read_dir(rundir).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.path().join("exit").exists())
}

/// Nobody has asked the host to start the run, or nobody has heard whether it has.
fn before_start(site: Site, victim: Victim) {
    let mut world = World::new(site);
    world.site.freeze_server();
    world.add("exit 7");
    // A host that has answered all the same before it was stopped is asked no more.
    eventually("a client asks", || !world.clients().is_empty() || has_exit(&world.store.path("far")));
    world.kill(victim);
    world.site.thaw_server();
    world.ended_once(&format!("before the start: {victim:?}"));
}

fn while_running(site: Site, victim: Victim) {
    let mut world = World::new(site);
    world.store.fifos(&["gate"]);
    world.add("read -r x <gate; exit 7");
    let gate = world.store.gate("gate");
    world.store.until_running(1);
    world.kill(victim);
    open(gate);
    world.ended_once(&format!("while it runs: {victim:?}"));
}

/// The run has ended over there, and nobody here has heard of it.
fn before_the_end_is_recorded(site: Site, victim: Victim) {
    let mut world = World::new(site);
    world.store.fifos(&["gate"]);
    world.add("read -r x <gate; exit 7");
    let gate = world.store.gate("gate");
    world.store.until_running(1);
    freeze(world.daemon().pid());
    open(gate);
    let rundir = world.store.path("far");
    eventually("it has ended there", || has_exit(&rundir));
    let is_daemon = victim == Victim::Daemon;
    world.kill(victim);
    if !is_daemon {
        send(world.daemon().pid(), Signal::SIGCONT);
    }
    world.ended_once(&format!("before its end is recorded: {victim:?}"));
}

/// A run whose supervisor was killed is looked after until its command has ended. How, nobody knows then.
fn without_supervisor(site: Site) {
    let mut world = World::new(site);
    world.store.fifos(&["gate"]);
    world.add("read -r x <gate; exit 7");
    let gate = world.store.gate("gate");
    world.store.until_running(1);
    eventually("it has a supervisor", || !world.supervisor().is_empty());
    world.kill(Victim::Supervisor);
    open(gate);
    assert_eq!(world.store.wait("1"), 125);
    assert_eq!((world.outcome().as_str(), world.store.markers()), ("lost", vec!["1.1".to_owned()]));
    world.close();
}

fn each_phase(site: fn() -> Option<Site>, victim: Victim) {
    for phase in [before_start, while_running, before_the_end_is_recorded] {
        let Some(site) = site() else { return };
        phase(site, victim);
    }
}

#[test]
fn a_run_on_an_ssh_host_happens_once_when_the_daemon_is_killed() {
    each_phase(Site::ssh, Victim::Daemon);
}

#[test]
fn a_run_on_an_ssh_host_happens_once_when_the_keeper_is_killed() {
    each_phase(Site::ssh, Victim::Keeper);
}

#[test]
fn a_run_on_an_ssh_host_happens_once_when_ssh_is_killed() {
    each_phase(Site::ssh, Victim::Clients);
}

#[test]
fn a_run_on_an_ssh_host_happens_once_when_sshd_is_killed() {
    each_phase(Site::ssh, Victim::Server);
}

#[test]
fn a_run_on_an_ssh_host_without_its_supervisor_is_lost_when_it_has_ended() {
    if let Some(site) = Site::ssh() {
        without_supervisor(site);
    }
}

#[test]
fn a_run_on_slurm_happens_once_when_the_daemon_is_killed() {
    each_phase(Site::slurm, Victim::Daemon);
}

#[test]
fn a_run_on_slurm_happens_once_when_the_keeper_is_killed() {
    each_phase(Site::slurm, Victim::Keeper);
}

#[test]
fn a_run_on_slurm_happens_once_when_its_commands_are_killed() {
    each_phase(Site::slurm, Victim::Clients);
}

#[test]
fn a_run_on_slurm_happens_once_when_slurmctld_is_killed() {
    each_phase(Site::slurm, Victim::Server);
}

#[test]
fn a_run_on_slurm_happens_once_when_slurmd_is_killed() {
    each_phase(Site::slurm, Victim::Nodes);
}
