//! Owns: a far side in a directory of its own, and questions to it.
//! Never: what is tested.

use std::cell::Cell;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use taskq::domain::{JobId, OutputKind, RunId, Span};
use taskq::executor::{
    Act, Answer, Engine, FarName, FarStart, FarState, Known, LookAt, Part, Request, StoreToken,
};

use crate::shared::{await_ready, has, now};

pub const TOKEN: StoreToken = StoreToken(0x0123_4567_89ab_cdef);

/// How long a test waits for what should be there soon.
const PATIENCE: Duration = Duration::from_secs(60);

/// A far side on this machine.
pub struct Far {
    pub home: tempfile::TempDir,
    pub command: Vec<String>,
    pub rundir: Vec<u8>,
    pub engine: Engine,
    /// Variables of the far shell.
    pub env: Vec<(String, String)>,
    numbers: Cell<i64>,
    serial: Cell<u64>,
}

/// Returns the shells of this machine that a far side may have.
pub fn shells() -> Vec<Vec<&'static str>> {
    let mut shells = vec![vec!["sh", "-s"]];
    if has("bash", Path::new("/bin/bash").exists()) {
        shells.push(vec!["bash", "--posix", "-s"]);
    }
    if has("busybox", ["/bin/busybox", "/usr/bin/busybox"].iter().any(|path| Path::new(path).exists())) {
        shells.push(vec!["busybox", "sh", "-s"]);
    }
    shells
}

/// Returns what a command needs that does nothing special.
pub fn start(name: FarName, script: &str) -> FarStart {
    FarStart {
        name,
        job: "job".to_owned(),
        argv: ["sh", "-c", script].map(|word| word.as_bytes().to_vec()).to_vec(),
        env: Vec::new(),
        cwd: None,
        cwd_optional: false,
        umask: 0o22,
        nice: None,
        stdin: Vec::new(),
        files: Vec::new(),
        timeout: None,
        kill_after: Span::from_seconds(20),
        needs: Vec::new(),
        split_output: false,
    }
}

impl Far {
    pub fn new(command: &[&str]) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let env = vec![("HOME".to_owned(), home.path().display().to_string())];
        Self {
            home,
            command: command.iter().map(|&word| word.to_owned()).collect(),
            rundir: Vec::new(),
            engine: Engine::Direct,
            env,
            numbers: Cell::new(0),
            serial: Cell::new(0),
        }
    }

    /// Returns the name of another run.
    pub fn name(&self) -> FarName {
        self.numbers.set(self.numbers.get() + 1);
        FarName { store: TOKEN, run: RunId { job: JobId(1), number: self.numbers.get() }, attempt: 1 }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.home.path().join(file)
    }

    /// Returns a file of a run.
    pub fn of_run(&self, name: FarName, file: &str) -> PathBuf {
        self.home.path().join(".local/state/taskq/far").join(name.to_string()).join(file)
    }

    pub fn bytes(&self, acts: Vec<Act>) -> Vec<u8> {
        let serial = self.serial.get() + 1;
        self.serial.set(serial);
        let (rundir, engine) = (self.rundir.clone(), self.engine.clone());
        Request { token: TOKEN, serial, rundir, engine, acts }.to_bytes()
    }

    /// Starts a far shell, whose input has to be written.
    pub fn shell(&self) -> Child {
        let (program, rest) = self.command.split_first().expect("a program");
        let envs = self.env.iter().map(|(name, value)| (name, value));
        let mut command = Command::new(program);
        command.args(rest).envs(envs).current_dir(&self.home);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the shell is there")
    }

    /// Sends acts without waiting for their answer.
    pub fn send(&self, acts: Vec<Act>) -> Child {
        let mut shell = self.shell();
        let bytes = self.bytes(acts);
        shell.stdin.take().expect("a pipe").write_all(&bytes).expect("the shell reads");
        shell
    }

    /// Asks, and expects a whole answer without errors.
    #[track_caller]
    pub fn ask(&self, acts: Vec<Act>) -> Vec<Part> {
        answer(self.send(acts))
    }

    pub fn start(&self, script: &str) -> FarName {
        self.begin(start(self.name(), script))
    }

    #[track_caller]
    pub fn begin(&self, start: FarStart) -> FarName {
        let name = start.name;
        assert_eq!(self.ask(vec![Act::Start(Box::new(start))]), [Part::Started { name }]);
        name
    }

    #[track_caller]
    pub fn look(&self, name: FarName, known: Known, wait: Span) -> Vec<Part> {
        let run = LookAt { name, known, stdout_from: 0, stderr_from: 0 };
        self.ask(vec![Act::Look { runs: vec![run], wait, bytes_max: 1 << 24 }])
    }

    #[track_caller]
    pub fn state(&self, name: FarName) -> FarState {
        state_of(&self.look(name, Known::Nothing, Span::ZERO), name)
    }

    /// Waits for the end of a run; returns its state, its output, and its error output.
    #[track_caller]
    pub fn end(&self, name: FarName) -> End {
        let deadline = now() + PATIENCE;
        let mut known = Known::Running;
        loop {
            let run = LookAt { name, known, stdout_from: u64::MAX / 4, stderr_from: u64::MAX / 4 };
            let look = Act::Look { runs: vec![run], wait: Span::from_seconds(5), bytes_max: 0 };
            match state_of(&self.ask(vec![look]), name) {
                FarState::Ended { code, stopped, by_engine, started, at } => {
                    assert!(started <= at, "{started:?} {at:?}");
                    let parts = self.look(name, Known::Nothing, Span::ZERO);
                    let output = |wanted: OutputKind| {
                        parts.iter().find_map(|part| match part {
                            Part::Output { kind, data, .. } if *kind == wanted => Some(data.clone()),
                            _ => None,
                        })
                    };
                    let output = |kind| output(kind).unwrap_or_default();
                    let (stdout, stderr) = (output(OutputKind::Stdout), output(OutputKind::Stderr));
                    return End { code, stopped, by_engine, stdout, stderr, parts };
                }
                FarState::Running { .. } => known = Known::Running,
                FarState::Waiting { .. } => known = Known::Waiting,
                other => panic!("{other:?}"),
            }
            assert!(now() < deadline, "{name} has not ended");
        }
    }

    /// Runs a command to its end.
    #[track_caller]
    pub fn run(&self, start: FarStart) -> End {
        self.end(self.begin(start))
    }
}

impl Drop for Far {
    /// Ends what a failed test leaves.
    fn drop(&mut self) {
        for entry in fs::read_dir(self.path(".local/state/taskq/far")).into_iter().flatten().flatten() {
            let live = fs::read_to_string(entry.path().join("live")).unwrap_or_default();
            let words: Vec<&str> = live.split(' ').collect();
            let [supervisor, self_born, pid, born, ..] = words.as_slice() else { continue };
            for (pid, born, group) in [(supervisor, self_born, ""), (pid, born, "-")] {
                let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                if stat.contains(&format!(" {born} ")) {
                    Command::new("kill").args(["-KILL", "--", &format!("{group}{pid}")]).output().ok();
                }
            }
        }
    }
}

#[derive(Debug)]
pub struct End {
    pub code: i32,
    pub stopped: Option<taskq::executor::FarStop>,
    pub by_engine: bool,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub parts: Vec<Part>,
}

impl End {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// Waits for an answer, which has to be whole.
#[track_caller]
pub fn answer(shell: Child) -> Vec<Part> {
    let output = shell.wait_with_output().expect("the shell ends");
    let text = String::from_utf8_lossy(&output.stdout);
    let answer = Answer::read(&output.stdout, TOKEN);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(answer.greeted.is_some() && answer.is_whole, "{text}\n{errors}");
    assert_eq!(errors, "", "{text}");
    answer.parts
}

#[track_caller]
pub fn state_of(parts: &[Part], wanted: FarName) -> FarState {
    let state = parts.iter().rev().find_map(|part| match part {
        Part::State { name, state } if *name == wanted => Some(state.clone()),
        _ => None,
    });
    state.unwrap_or_else(|| panic!("no state of {wanted} in {parts:?}"))
}

/// Waits for a condition that nothing announces.
#[track_caller]
pub fn eventually(what: &str, mut is_met: impl FnMut() -> bool) {
    let deadline = now() + PATIENCE;
    while !is_met() {
        assert!(now() < deadline, "not in time: {what}");
        await_ready(&mut [], Duration::from_millis(10));
    }
}

/// Makes a named pipe.
pub fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
}

/// Waits for a command that opens the pipe to write, and returns what it says.
pub fn hear(path: &Path) -> String {
    fs::read_to_string(path).expect("a pipe").trim_end().to_owned()
}

/// Waits for a command that opens the pipe to read, and lets it go on.
pub fn release(path: &Path) {
    fs::write(path, "go\n").expect("a pipe");
}

pub fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().expect("kill").success());
}

/// Returns a port of the loopback that nobody has now.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

pub fn children(parent: u32) -> Vec<u32> {
    let output = Command::new("ps").args(["-o", "pid=", "--ppid", &parent.to_string()]).output().expect("ps");
    String::from_utf8_lossy(&output.stdout).split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
