//! Owns: a program on a terminal: keys are typed, and what it shows is waited for.
//! Never: which program (see `shells` and `top`).
//!
//! script(1) provides the terminal.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags};

use crate::harness::Home;
use crate::shared::{await_ready, has, now};

/// A program that does not show a text for so long has hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal with a program.
pub struct Terminal {
    child: Child,
    seen: String,
}

impl Terminal {
    /// Runs a command line on a terminal of so many rows and columns; `None` if this machine has no
    /// script(1).
    pub fn start(home: &Home, (rows, columns): (u16, u16), path: &str, line: &str) -> Option<Self> {
        if !has("script", Command::new("script").arg("--version").output().is_ok()) {
            return None;
        }
        let line = format!("stty rows {rows} cols {columns}; {line}");
        let child = home
            .shell("script")
            .args(["-qec", &line, "/dev/null"])
            .envs([("PATH", path), ("TERM", "xterm"), ("LANG", "C.UTF-8")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script starts");
        Some(Self { child, seen: String::new() })
    }

    /// Returns what it has shown since the last text that was waited for, as far as that was read.
    pub fn seen(&self) -> &str {
        &self.seen
    }

    /// Takes the terminal away from the program, as when a connection is lost.
    pub fn hangs_up(mut self) {
        self.child.kill().expect("it is ours");
    }

    pub fn types(&mut self, keys: &str) {
        let mut terminal = self.child.stdin.as_ref().expect("it is piped");
        terminal.write_all(keys.as_bytes()).expect("the program reads");
    }

    /// Reads until the terminal has shown a text, and returns all of it up to then.
    pub fn waits_for(&mut self, text: &str) -> String {
        let terminal = self.child.stdout.as_mut().expect("it is piped");
        let mut bytes = [0; 4096];
        let deadline = now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let mut polled = [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)];
            let ready = await_ready(&mut polled, deadline.saturating_duration_since(now()));
            let count = if ready > 0 { terminal.read(&mut bytes).expect("it is a pipe") } else { 0 };
            assert!(count > 0, "waited for {text:?} and saw {:?}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Its terminal is gone when its input is.
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
