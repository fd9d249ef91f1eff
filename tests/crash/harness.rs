//! Owns: a store for one test, and its daemons, keepers, commands and jobs.
//! Never: what is expected of them (see `check`).

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, Once};
use std::thread;

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::sys::wait::WaitStatus;
use nix::unistd::{Pid, mkfifo};
use rusqlite::{Connection, OpenFlags};
use taskq::daemon::Subscription;
use taskq::domain::Span;
use tempfile::TempDir;

use crate::processes::{self, PATIENCE, outlive, patiently, with_argument, with_variable};
use crate::shared::now;

/// The variable by which the processes of a test are found. Its value is the test's directory. Jobs inherit
/// it from the command that added them.
const MARK: &str = "TASKQ_CRASH_TEST";

/// The begin of the scripts whose starts are counted: it appends a line to `marker`.
pub const MARKS: &str = "echo $TASKQ_RUN >>marker; ";

/// A store, in a directory in which commands and jobs run.
pub struct Store {
    pub base: TempDir,
    pub dir: PathBuf,
    exe: PathBuf,
    user: Option<u32>,
    /// More variables for its processes.
    pub variables: Vec<(&'static str, OsString)>,
}

impl Store {
    pub fn new() -> Self {
        Self::at("store")
    }

    /// Makes a store at this path below its base.
    pub fn at(path: &str) -> Self {
        static SUBREAPER: Once = Once::new();
        // A keeper whose daemon was killed becomes a child of this process, whose exit can be waited for.
        SUBREAPER.call_once(|| prctl::set_child_subreaper(true).expect("Linux has subreapers"));
        let base = tempfile::tempdir().expect("a temporary directory");
        let dir = base.path().join(path);
        Self { base, dir, exe: PathBuf::from(env!("CARGO_BIN_EXE_taskq")), user: None, variables: Vec::new() }
    }

    /// Makes a store whose processes belong to this user. Only root can.
    pub fn of_user(user: u32) -> Self {
        let mut store = Self::new();
        std::os::unix::fs::chown(store.base.path(), Some(user), Some(user)).expect("we are root");
        store.user = Some(user);
        store
    }

    /// Makes later processes belong to this user; `None` is our own.
    pub fn become_user(&mut self, user: Option<u32>) {
        self.user = user;
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    fn mark(&self) -> String {
        format!("{MARK}={}", self.base.path().display())
    }

    /// Returns a command of another program, with a cleared environment.
    pub fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("TZ", "UTC")
            .env("HOME", self.base.path());
        command.env(MARK, self.base.path()).current_dir(self.base.path()).stdin(Stdio::null());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(user) = self.user {
            std::os::unix::process::CommandExt::uid(&mut command, user);
            std::os::unix::process::CommandExt::gid(&mut command, user);
        }
        command
    }

    /// `taskq --dir DIR ARGUMENTS`.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(&self.exe);
        command.arg("--dir").arg(&self.dir).args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        processes::output(&mut self.command(arguments))
    }

    /// Runs a command that must succeed, and returns its answer.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("answers are text").trim_end().to_owned()
    }

    /// Runs a command that must fail without an answer, and returns its words.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let words = stderr(&output);
        // 1 could be the status of the run that is waited for.
        let status = if arguments[0] == "wait" { 3 } else { 1 };
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {words}");
        assert!(output.stdout.is_empty() && words.starts_with("error: cannot "), "{arguments:?}: {output:?}");
        words
    }

    /// Runs commands that must fail for a reason that holds these words.
    pub fn refuses(&self, commands: &[&[&str]], reason: &str) {
        for arguments in commands {
            let words = self.refused(arguments);
            assert!(words.contains(reason), "{arguments:?}: {words}");
        }
    }

    /// Adds a job that is a script, and returns its id.
    pub fn add(&self, options: &[&str], script: &str) -> String {
        self.ok(&[&["add"], options, &["-c", script]].concat())
    }

    /// Adds jobs that are scripts in one transaction, and returns their ids.
    pub fn add_all(&self, scripts: impl IntoIterator<Item = String>) -> Vec<String> {
        let line = |script: String| format!("{}\n", serde_json::json!({ "script": script }));
        self.add_lines(&scripts.into_iter().map(line).collect::<String>())
    }

    /// Adds a job that is a script, waits for it, and returns the status that `wait` ends with.
    pub fn run_script(&self, script: &str) -> i32 {
        self.wait(&self.add(&[], script))
    }

    pub fn add_lines(&self, lines: &str) -> Vec<String> {
        fs::write(self.path("jobs"), lines).expect("it is our directory");
        self.ok(&["add", "--from", "jobs"]).lines().map(str::to_owned).collect()
    }

    /// Waits for a job or a run, and returns the status that `wait` ends with.
    pub fn wait(&self, target: &str) -> i32 {
        let output = self.run(&["wait", target, "--timeout", "80s"]);
        output.status.code().expect("wait exits")
    }

    pub fn wait_all(&self) {
        let output = self.run(&["wait", "--all", "--timeout", "80s"]);
        // Of one run it is that run's own status.
        assert!(!String::from_utf8_lossy(&output.stderr).contains("timed out"), "{output:?}");
    }

    /// Opens the database.
    pub fn database(&self) -> Connection {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(self.dir.join("taskq.db"), flags).expect("the store is there");
        connection.busy_timeout(PATIENCE).expect("it is open");
        connection
    }

    /// Waits for the daemon's turns until a query returns at least `least`.
    pub fn until(&self, query: &str, least: i64) {
        let mut subscription = Subscription::new(&self.dir);
        let database = self.database();
        let start = now();
        loop {
            let found: i64 = database.query_row(query, [], |row| row.get(0)).expect("a good query");
            if found >= least {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "waited too long: {query} is {found}");
            subscription.wait(Some(Span::from_seconds(90))).expect("the directory is there");
        }
    }

    pub fn until_running(&self, runs: i64) {
        self.until("SELECT count(*) FROM run WHERE state = 'running'", runs);
    }

    /// Waits until the daemon has claimed this many runs that have no process yet.
    pub fn until_prefetched(&self, runs: i64) {
        self.until("SELECT count(*) FROM run WHERE state = 'queued' AND keeper IS NOT NULL", runs);
    }

    /// Makes FIFOs that jobs reach by their names.
    pub fn fifos(&self, names: &[&str]) {
        for name in names {
            mkfifo(&self.path(name), Mode::S_IRWXU).expect("the name is new");
        }
    }

    /// Blocks until a job reads the FIFO, and returns the end that holds it there.
    pub fn gate(&self, name: &str) -> File {
        let path = self.path(name);
        patiently(name, move || OpenOptions::new().write(true).open(path).expect("the FIFO is there"))
    }

    /// Blocks until a job has opened the FIFO for writing.
    pub fn held(&self, name: &str) -> File {
        let path = self.path(name);
        patiently(name, move || File::open(path).expect("the FIFO is there"))
    }

    /// Blocks until all processes that write to the FIFO have ended, and returns what they wrote.
    pub fn read_fifo(&self, name: &str) -> String {
        rest(self.held(name))
    }

    /// The lines in `marker`.
    pub fn markers(&self) -> Vec<String> {
        fs::read_to_string(self.path("marker")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Starts a daemon and waits until it serves.
    pub fn daemon(&self) -> Daemon {
        let mut daemon = self.starting_daemon();
        daemon.line("serving");
        daemon
    }

    /// Adds a job whose script reads FIFOs (`<NAME`), and makes them. Returns the end that holds it at the
    /// first of them.
    pub fn add_gated(&self, options: &[&str], script: &str) -> File {
        let names = script.split('<').skip(1).map(|after| after.split([';', ' ']).next().expect("a name"));
        let mut names: Vec<&str> = names.collect();
        names.dedup();
        self.fifos(&names);
        self.add(options, &format!("{MARKS}{script}"));
        self.gate(names[0])
    }

    /// Starts a daemon and adds such a job.
    pub fn gated(&self, script: &str) -> (Daemon, File) {
        let daemon = self.daemon();
        let gate = self.add_gated(&[], script);
        (daemon, gate)
    }

    pub fn starting_daemon(&self) -> Daemon {
        Daemon::new(&mut self.command(&["daemon", "--slots", "2"]))
    }

    /// The keeper of this store, if one lives.
    pub fn keeper(&self) -> Option<Pid> {
        let found = with_argument(&self.dir);
        let mut keepers: Vec<Pid> = found
            .iter()
            .filter(|(_, words)| words.iter().any(|word| word == "keeper"))
            .map(|(pid, _)| *pid)
            .collect();
        // A child of the keeper before its execve(2) looks like the keeper.
        let all = keepers.clone();
        keepers.retain(|pid| processes::parent(*pid).is_some_and(|parent| !all.contains(&parent)));
        assert!(keepers.len() < 2, "more than one keeper: {found:?}");
        keepers.first().copied()
    }

    /// Runs a job, and freezes the keeper afterwards.
    pub fn frozen_keeper(&self) -> Pid {
        assert_eq!(self.run_script(MARKS), 0);
        let keeper = self.keeper().expect("it has run something");
        processes::freeze(keeper);
        keeper
    }

    /// Blocks until the daemon has gone through its loop, so that it has sent all its messages.
    pub fn round(&self) {
        for _ in 0..2 {
            let mut subscription = Subscription::new(&self.dir);
            assert!(subscription.has_daemon());
            subscription.wait(Some(Span::from_seconds(90))).expect("the daemon greets whom it knows");
        }
    }

    /// Blocks until this many clients wait for the daemon's turns.
    pub fn subscribed(&self, clients: usize) {
        let lock = fs::read_to_string(self.dir.join("daemon.lock")).expect("it serves");
        let info: serde_json::Value = serde_json::from_str(&lock).expect("it is JSON");
        processes::eventually("clients wait", || {
            let own = processes::sockets(info["pid"].as_i64().expect("a process id"));
            let all = fs::read_to_string("/proc/net/unix").expect("there is /proc");
            let is_own = |line: &&str| {
                let inode = line.split_ascii_whitespace().nth(6);
                line.ends_with("/turns.sock") && inode.is_some_and(|inode| own.iter().any(|own| own == inode))
            };
            // The listening one, and one for each connection.
            all.lines().filter(is_own).count() > clients
        });
    }

    /// kill -9 of both.
    pub fn daemon_and_keeper_die(&self, daemon: Daemon) {
        let keeper = self.keeper().expect("it was asked for");
        daemon.kill();
        processes::send(keeper, Signal::SIGKILL);
        outlive("the keeper dies", keeper);
    }

    /// The processes of this store: ours by their arguments, jobs by their environment.
    pub fn processes(&self) -> Vec<Pid> {
        let mut found: Vec<Pid> = with_argument(&self.dir).into_iter().map(|(pid, _)| pid).collect();
        found.extend(with_variable(&self.mark()));
        found.sort();
        found.dedup();
        found
    }

    /// Ends the daemon with TERM and waits until the keeper exits by itself. No process of the store may be
    /// left then.
    pub fn close(&self, daemon: Daemon) {
        let keeper = self.keeper();
        assert_eq!(daemon.stop(Signal::SIGTERM), Some(0));
        if let Some(keeper) = keeper {
            let status = outlive("the keeper ends when it is idle", keeper);
            assert_eq!(status, WaitStatus::Exited(keeper, 0));
        }
        self.nothing_is_left();
    }

    /// Blocks until no process of the store is left. The last one may still be exiting.
    pub fn nothing_is_left(&self) {
        processes::eventually("all processes of the store end", || self.processes().is_empty());
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // A process may have started another just before it was killed.
        for _ in 0..5 {
            let found = self.processes();
            for pid in &found {
                let _ = kill(*pid, Signal::SIGKILL);
            }
            if found.is_empty() {
                return;
            }
        }
    }
}

/// A daemon. Its log is kept for the message of a failing test.
pub struct Daemon {
    child: Child,
    lines: Receiver<String>,
    seen: Arc<Mutex<String>>,
}

impl Daemon {
    pub fn new(command: &mut Command) -> Self {
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it can be started");
        let (line, lines) = mpsc::channel();
        let seen = Arc::new(Mutex::new(String::new()));
        let (stderr, copy) = (child.stderr.take().expect("it is piped"), Arc::clone(&seen));
        thread::spawn(move || {
            for text in BufReader::new(stderr).lines().map_while(Result::ok) {
                copy.lock().expect("nobody panics with it").push_str(&format!("{text}\n"));
                let _ = line.send(text);
            }
        });
        Self { child, lines, seen }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// Blocks for a line that holds `text`.
    pub fn line(&mut self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(error) => panic!("no line with `{text}` ({error}) in:\n{}", self.log()),
            }
        }
    }

    pub fn log(&self) -> String {
        self.seen.lock().expect("nobody panics with it").clone()
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }

    /// Sends a signal and returns the exit status.
    pub fn stop(self, signal: Signal) -> Option<i32> {
        processes::send(self.pid(), signal);
        self.ends()
    }

    /// Waits until it serves, and returns it; `None` if it exits.
    pub fn starts_or_ends(self) -> Option<Self> {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            if line.contains("serving") {
                return Some(self);
            }
        }
        self.ends();
        None
    }

    /// Waits for its exit status.
    pub fn ends(mut self) -> Option<i32> {
        patiently("the daemon ends", move || self.child.wait().expect("it is ours").code())
    }
}

/// A command that runs beside the test.
pub struct Beside {
    child: Child,
    stderr: Option<BufReader<std::process::ChildStderr>>,
}

impl Beside {
    pub fn new(command: &mut Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be started");
        let stderr = child.stderr.take().map(BufReader::new);
        Self { child, stderr }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// Blocks for the next line on stderr.
    pub fn talk(&mut self) -> String {
        let mut stderr = self.stderr.take().expect("one at a time");
        let (line, stderr) = patiently("a line on stderr", move || {
            let mut line = String::new();
            stderr.read_line(&mut line).expect("a pipe");
            (line, stderr)
        });
        self.stderr = Some(stderr);
        line
    }

    /// Blocks for this much on stdout.
    pub fn answer(&mut self, bytes: usize) -> Vec<u8> {
        let mut stdout = self.child.stdout.take().expect("one at a time");
        let (answer, stdout) = patiently("an answer", move || {
            let mut answer = vec![0; bytes];
            stdout.read_exact(&mut answer).expect("it answers that much");
            (answer, stdout)
        });
        self.child.stdout = Some(stdout);
        answer
    }

    /// Blocks for its end. Returns the rest of stdout, and the status.
    pub fn end(mut self) -> (String, Option<i32>) {
        patiently("a command ends", move || {
            let mut text = String::new();
            self.child
                .stdout
                .take()
                .expect("one at a time")
                .read_to_string(&mut text)
                .expect("it answers text");
            (text, self.child.wait().expect("it is ours").code())
        })
    }
}

/// A new store and its daemon.
pub fn served() -> (Store, Daemon) {
    let store = Store::new();
    let daemon = store.daemon();
    (store, daemon)
}

/// A new store whose daemon runs a job of which the script reads FIFOs (`<NAME`), and the end that holds the
/// job at the first of them.
pub fn gated(script: &str) -> (Store, Daemon, File) {
    let store = Store::new();
    let (daemon, gate) = store.gated(script);
    (store, daemon, gate)
}

/// Lets the job continue that reads this gate.
pub fn open(gate: File) {
    tell(gate, "\n");
}

/// Sends a text to the job that reads this gate.
pub fn tell(mut gate: File, text: &str) {
    gate.write_all(text.as_bytes()).expect("the job reads");
}

/// Blocks until all processes that write to a FIFO have ended, and returns what they wrote.
pub fn rest(fifo: File) -> String {
    patiently("the jobs end", move || std::io::read_to_string(fifo).expect("jobs write text"))
}

/// Returns the messages of a command.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn chmod(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours, or we are root");
}

/// Returns the bytes of a file; empty if it does not exist.
pub fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_default()
}
