//! Owns: a temporary home, the binary in it, a daemon for it, and the one check of stdout, stderr and status
//! together.
//! Never: sleeping: what takes time is waited for by its exit or its output.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::Value;
use tempfile::TempDir;

use crate::filter::filtered;

/// Whatever takes this long has hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test.
pub const TASKQ: &str = env!("CARGO_BIN_EXE_taskq");

/// A home with nothing in it but a directory to work in and, after `start_daemon`, a daemon.
pub struct Home {
    dir: TempDir,
    daemon: Option<(Child, BufReader<ChildStderr>)>,
    /// Variables beyond those of every home, or in their place.
    variables: Vec<(&'static str, OsString)>,
}

impl Home {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("work")).expect("the directory is empty");
        Self { dir, daemon: None, variables: Vec::new() }
    }

    pub fn with_daemon() -> Self {
        let mut home = Self::new();
        home.start_daemon(&[]);
        home
    }

    /// Starts a daemon and returns when it serves.
    pub fn start_daemon(&mut self, args: &[&str]) {
        let mut command = self.command(&[&["daemon"], args].concat());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("taskq starts");
        let mut log = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut line = String::new();
        while !line.contains("serving") {
            line.clear();
            assert_ne!(
                log.read_line(&mut line).expect("the log is text"),
                0,
                "the daemon ended before it served"
            );
        }
        self.daemon = Some((child, log));
    }

    /// Signals the daemon, and returns its exit code and the rest of its log.
    pub fn stop_daemon(&mut self, signal: Signal) -> (Option<i32>, String) {
        let (mut child, mut log) = self.daemon.take().expect("there is a daemon");
        kill(pid_of(&child), signal).expect("it is our child");
        let mut rest = String::new();
        log.read_to_string(&mut rest).expect("the log is text");
        (child.wait().expect("it is our child").code(), rest)
    }

    pub fn daemon_pid(&self) -> u32 {
        self.daemon.as_ref().map(|(child, _)| child.id()).expect("there is a daemon")
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The directory that commands start in.
    pub fn work(&self) -> PathBuf {
        self.path().join("work")
    }

    /// The store, as XDG has it.
    pub fn store(&self) -> PathBuf {
        self.path().join("data/taskq")
    }

    fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut variables: Vec<(&str, OsString)> = vec![
            ("HOME", self.path().into()),
            ("XDG_DATA_HOME", self.path().join("data").into()),
            ("PATH", "/usr/local/bin:/usr/bin:/bin".into()),
            ("TZ", "Europe/Berlin".into()),
        ];
        variables.extend(self.variables.iter().cloned());
        variables
    }

    /// Sets a variable for what starts from now on, the daemon too.
    pub fn set_env(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.variables.push((name, value.into()));
    }

    /// Prepares a command line that runs beside the test.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.shell(TASKQ);
        command.args(args);
        command
    }

    /// Prepares another program, in the same surroundings.
    pub fn shell(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.environment()).current_dir(self.work()).stdin(Stdio::null());
        command
    }

    /// Prepares a command line; nothing happens before its answer is asked for.
    pub fn taskq<S: AsRef<OsStr>>(&self, args: &[S]) -> Call {
        let mut command = assert_cmd::Command::new(TASKQ);
        command.env_clear().envs(self.environment()).current_dir(self.work()).args(args).timeout(PATIENCE);
        let shown = args.iter().map(|arg| quoted(arg.as_ref())).collect::<Vec<_>>().join(" ");
        Call { command, shown: format!("taskq {shown}"), home: self.path().to_owned() }
    }

    /// Adds a job, and returns its id.
    pub fn add(&self, args: &[&str]) -> String {
        let answer = self.taskq(&[&["add", "--quiet"], args].concat()).answer();
        assert_eq!((answer.status, answer.stderr.as_str()), (0, ""), "add {args:?}");
        answer.stdout.trim_end().to_owned()
    }

    /// Adds a job, and returns its id once its run has ended.
    pub fn add_and_wait(&self, args: &[&str]) -> String {
        let id = self.add(args);
        self.taskq(&["wait", &id]).answer();
        id
    }

    /// Returns the document that a command prints with `--json`.
    pub fn json(&self, args: &[&str]) -> Value {
        let answer = self.taskq(&[args, &["--json"]].concat()).answer();
        serde_json::from_str(&answer.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {answer:?}"))
    }

    /// Runs command lines in order, and returns what a terminal would show, with what varies filtered.
    pub fn transcript(&self, lines: &[&[&str]]) -> String {
        lines.iter().map(|line| self.taskq(line).transcript()).collect()
    }

    /// Makes a FIFO in the working directory.
    pub fn fifo(&self, name: &str) -> PathBuf {
        let path = self.work().join(name);
        mkfifo(&path, Mode::S_IRWXU).expect("the name is new");
        path
    }

    /// Reads a file of the working directory.
    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.work().join(name)).expect("a job has written it")
    }

    /// The processes that work in this home, or for it.
    fn processes(&self) -> Vec<Pid> {
        let home = self.path().as_os_str().as_bytes();
        let is_ours = |process: &Path| {
            let cwd = fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(self.path()));
            let line = fs::read(process.join("cmdline")).unwrap_or_default();
            cwd || line.windows(home.len()).any(|part| part == home)
        };
        let entries = fs::read_dir("/proc").expect("this is Linux");
        let pids = entries.filter_map(|entry| {
            let path = entry.ok()?.path();
            let pid: i32 = path.file_name()?.to_str()?.parse().ok()?;
            is_ours(&path).then(|| Pid::from_raw(pid))
        });
        pids.filter(|pid| *pid != Pid::this()).collect()
    }
}

impl Drop for Home {
    /// Ends the daemon, its keeper and what it runs.
    fn drop(&mut self) {
        if let Some((mut child, _)) = self.daemon.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        for pid in self.processes() {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

/// A command line with what belongs to it.
pub struct Call {
    command: assert_cmd::Command,
    shown: String,
    home: PathBuf,
}

/// What a command line led to.
#[derive(Debug)]
pub struct Answer {
    pub stdout: String,
    pub stderr: String,
    pub status: i32,
}

impl Call {
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.command.write_stdin(bytes);
        self
    }

    /// Runs it; bytes of its output that are no text come as `\xff`.
    pub fn answer(mut self) -> Answer {
        let output = self.command.output().expect("taskq starts");
        let text = |bytes: &[u8]| {
            let chunks = bytes.utf8_chunks();
            chunks.map(|c| c.valid().to_owned() + &c.invalid().escape_ascii().to_string()).collect::<String>()
        };
        let status = output.status.code();
        let status =
            status.unwrap_or_else(|| panic!("{} has hung, or a signal ended it: {output:?}", self.shown));
        Answer { stdout: text(&output.stdout), stderr: text(&output.stderr), status }
    }

    /// Checks everything at once; the home is `[home]` in both streams.
    #[track_caller]
    pub fn gives(self, status: i32, stdout: &str, stderr: &str) {
        let (shown, home) = (self.shown.clone(), self.home.clone());
        let answer = self.answer();
        let found = (answer.status, homeless(&answer.stdout, &home), homeless(&answer.stderr, &home));
        assert_eq!(found, (status, stdout.to_owned(), stderr.to_owned()), "{shown}");
    }

    /// Runs it, and returns what a terminal would show, with what varies filtered.
    pub fn transcript(self) -> String {
        let (shown, home) = (self.shown.clone(), self.home.clone());
        let answer = self.answer();
        let mut text = format!("$ {shown}\n{}{}", answer.stdout, answer.stderr);
        if answer.status != 0 {
            text.push_str(&format!("[exit {}]\n", answer.status));
        }
        filtered(&homeless(&text, &home))
    }
}

fn homeless(text: &str, home: &Path) -> String {
    text.replace(home.to_str().expect("temporary directories have plain names"), "[home]")
}

/// A command line as it stands in a transcript.
fn quoted(word: &OsStr) -> String {
    let text = word.as_bytes().escape_ascii().to_string().replace("\\'", "'").replace("\\\"", "\"");
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "-_./=,:@+%|".contains(c);
    if !text.is_empty() && text.chars().all(is_bare) { text } else { format!("'{text}'") }
}

/// The name of the user whose process this is.
pub fn own_user() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).expect("passwd is readable");
    user.expect("tests run as somebody").name
}

pub fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("process ids fit"))
}

/// Lines that jobs write to a FIFO. The test holds it open for writing too: no line is lost between two jobs.
pub struct Lines(BufReader<File>);

impl Lines {
    pub fn of(home: &Home, name: &str) -> Self {
        let path = home.fifo(name);
        let file = OpenOptions::new().read(true).write(true).open(path).expect("the FIFO is there");
        Self(BufReader::new(file))
    }

    /// Blocks until there is another line.
    pub fn next(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("jobs write text");
        line.trim_end().to_owned()
    }
}

/// Blocks until a job reads the FIFO, and lets it read on.
///
/// One reading a gate: while it is still being closed behind the first, a second one would slip through.
pub fn open_gate(path: &Path) {
    drop(OpenOptions::new().write(true).open(path).expect("the FIFO is there"));
}
