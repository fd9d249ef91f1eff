//! Owns: an sshd(8) and a Slurm of a test's own, and their accidents.
//! Never: what runs there.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::processes::{children, eventually, freeze, send};
use crate::shared::has;

/// A place where runs of an executor run.
pub struct Site {
    dir: tempfile::TempDir,
    kind: Kind,
    port: u16,
    /// The server was killed.
    was_killed: Cell<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ssh,
    Slurm,
}

impl Kind {
    fn script(self) -> PathBuf {
        let name = match self {
            Self::Ssh => "sshd.sh",
            Self::Slurm => "slurm.sh",
        };
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/executor").join(name)
    }
}

/// Returns the first of three ports that are free.
fn free_ports() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there are ports");
        let port = listener.local_addr().expect("it is bound").port();
        let others = [1, 2].map(|more| TcpListener::bind(("127.0.0.1", port.saturating_add(more))));
        if others.iter().all(Result::is_ok) {
            return port;
        }
    }
}

impl Site {
    /// An sshd(8) with the hosts `far1` and `far2`; `None` where there is none.
    pub fn ssh() -> Option<Self> {
        Self::up(Kind::Ssh, "sshd")
    }

    /// A Slurm with two nodes; `None` where there is none.
    pub fn slurm() -> Option<Self> {
        Self::up(Kind::Slurm, "slurm")
    }

    fn up(kind: Kind, tool: &str) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let site = Self { dir, kind, port: free_ports(), was_killed: Cell::new(false) };
        let output = site.run(&["up"], &[&site.port.to_string()]);
        let is_there = output.status.code() != Some(77);
        assert!(output.status.success() || !is_there, "{output:?}");
        has(tool, is_there).then_some(site)
    }

    fn run(&self, before: &[&str], after: &[&str]) -> Output {
        let dir = self.dir.path().display().to_string();
        let words = before.iter().copied().chain([dir.as_str()]).chain(after.iter().copied());
        Command::new(self.kind.script()).args(words).output().expect("the script is there")
    }

    /// The variables by which the clients of the site find it.
    pub fn variables(&self) -> Vec<(&'static str, OsString)> {
        match self.kind {
            Kind::Ssh => Vec::new(),
            Kind::Slurm => vec![("SLURM_CONF", self.dir.path().join("slurm.conf").into())],
        }
    }

    /// The options of an executor there.
    pub fn options(&self) -> Vec<String> {
        let config = format!("config={}", self.dir.path().join("config").display());
        let words: &[&str] = match self.kind {
            Kind::Ssh => &["--type", "ssh", "--host", "far1=9", "--opt", &config],
            Kind::Slurm => &["--type", "slurm", "--opt", "time=10"],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn pid_of(&self, file: &str) -> Option<Pid> {
        let text = fs::read_to_string(self.dir.path().join(file)).ok()?;
        text.trim().parse().ok().map(Pid::from_raw)
    }

    fn server(&self) -> Pid {
        let file = match self.kind {
            Kind::Ssh => "sshd.pid",
            Kind::Slurm => "ctld.pid",
        };
        // One that has just begun writes its id a moment later. Until then, that of the one before is there.
        let mut found = None;
        eventually("the server has written its id", || {
            found = self.pid_of(file).filter(|pid| Path::new(&format!("/proc/{pid}")).exists());
            found.is_some()
        });
        found.expect("it was found")
    }

    /// Its server keeps the runs of others in mind, and can forget one when it is killed.
    pub fn can_forget(&self) -> bool {
        self.kind == Kind::Slurm && self.was_killed.get()
    }

    /// The server answers nobody.
    pub fn freeze_server(&self) {
        freeze(self.server());
    }

    pub fn thaw_server(&self) {
        send(self.server(), Signal::SIGCONT);
    }

    /// kill -9 of the server, with those who serve its connections; then it is there again.
    pub fn restart_server(&self) {
        self.was_killed.set(true);
        let server = self.server();
        let mut family = vec![server];
        let mut at = 0;
        while let Some(pid) = family.get(at).copied() {
            family.extend(children(pid));
            at += 1;
        }
        // Whoever has left the family, as a supervisor has, is nobody of the server.
        for pid in family {
            let _ = kill(pid, Signal::SIGKILL);
        }
        let lives =
            || fs::read_to_string(format!("/proc/{server}/stat")).is_ok_and(|stat| !stat.contains(") Z"));
        eventually("the server is gone", || !lives());
        let output = match self.kind {
            Kind::Ssh => self.run(&["up"], &[&self.port.to_string()]),
            Kind::Slurm => self.run(&["ctl-up"], &[]),
        };
        assert!(output.status.success(), "{output:?}");
    }

    /// kill -9 of what runs jobs on each node; then it is there again.
    pub fn restart_nodes(&self) {
        for node in ["1", "2"] {
            self.run(&["node-down"], &[node]);
            let output = self.run(&["node-up"], &[node]);
            assert!(output.status.success(), "{output:?}");
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.run(&["down"], &[]);
    }
}

/// The processes whose working directory this is.
pub fn in_directory(dir: &Path) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").expect("there is /proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_there = |pid: &i32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == dir);
    pids.filter(is_there).map(Pid::from_raw).collect()
}
