//! Owns: a machine of `machine.sh`, and commands in it.
//! Never: what is tested.

use std::process::Command;

use crate::shared::has;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/machine.sh");

/// What `machine.sh` exits with where it cannot boot one.
const UNAVAILABLE: i32 = 77;

/// A booted machine; it is gone with this value.
pub struct Machine {
    name: String,
}

#[derive(Debug)]
pub struct Answer {
    pub status: i32,
    /// Without the last newline.
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    #[track_caller]
    pub fn succeeds(self) -> Self {
        assert_eq!(self.status, 0, "{self:?}");
        self
    }
}

impl Machine {
    /// Boots a machine with this taskq in `/usr/local/bin`; `None` where that cannot be.
    pub fn boot(name: &str) -> Option<Self> {
        let machine = Self { name: format!("{name}-{}", std::process::id()) };
        let up = machine.script(&["up"], &[]);
        let is_there = up.status != UNAVAILABLE;
        assert!(up.status == 0 || !is_there, "{up:?}");
        if !has("machine", is_there) {
            return None;
        }
        machine.copy(env!("CARGO_BIN_EXE_taskq"), "/usr/local/bin/taskq");
        Some(machine)
    }

    /// Copies a file of this machine into it.
    pub fn copy(&self, file: &str, path: &str) {
        self.script(&["copy"], &[file, path]).succeeds();
    }

    fn script(&self, verb: &[&str], rest: &[&str]) -> Answer {
        let (verb, options) = verb.split_first().expect("a verb");
        let output = Command::new(SCRIPT).arg(verb).arg(&self.name).args(options).args(rest).output();
        let output = output.expect("the script is there");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Answer {
            status: output.status.code().expect("it exits"),
            stdout: text(&output.stdout).trim_end_matches('\n').to_owned(),
            stderr: text(&output.stderr),
        }
    }

    /// Runs a shell command as root.
    pub fn root(&self, script: &str) -> Answer {
        self.script(&["run"], &["sh", "-c", script])
    }

    /// Runs a shell command in the home of alice, in her session; she lingers.
    pub fn user(&self, script: &str) -> Answer {
        self.script(&["user", "alice"], &["sh", "-c", &format!("cd; {script}")])
    }

    /// The same for an alice who has been there, whether or not she lingers.
    pub fn user_as_is(&self, script: &str) -> Answer {
        self.script(&["user-as-is", "alice"], &["sh", "-c", &format!("cd; {script}")])
    }

    pub fn reboot(&self) {
        self.script(&["reboot"], &[]).succeeds();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.script(&["down"], &[]);
    }
}
