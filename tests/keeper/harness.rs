//! Owns: a keeper in its own process, and the daemon's end of the connection, which a test holds.
//! Never: sleeping. Everything blocks on a socket, a FIFO or an exit, and panics after `PATIENCE_MS`.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, mkfifo};
use taskq::clock::SystemClock;
use taskq::domain::{JobId, RunId, Span};
use taskq::keeper::protocol::{
    Attempt, Ended, FromKeeper, Known, PROTOCOL_VERSION, StartExtras, StartOrder, ToKeeper,
};
use taskq::keeper::{Channel, KeeperConfig, SOCKET, adopt_stdin_listener, launch, output_path, serve};
use tempfile::TempDir;

/// The time limit: an action that takes this long has hung.
const PATIENCE_MS: u16 = 20_000;

/// The instance of every keeper here.
pub const INSTANCE: i64 = 4711;

/// The beginning of the argument with the store of a keeper, and of one whose store is sealed.
const STORE: &str = "store=";
const SEALED: &str = "sealed=";

/// Not a test: the process that `Keeper::start` starts, with the store as an additional argument.
#[test]
#[ignore = "the body of the keeper processes of the other tests"]
#[expect(clippy::exit, reason = "the report of a test is nothing for a keeper's streams")]
fn keeper_process() {
    let argument = |prefix| std::env::args().find_map(|word| word.strip_prefix(prefix).map(PathBuf::from));
    let is_sealed = argument(SEALED).is_some();
    let Some(dir) = argument(STORE).or(argument(SEALED)) else { return };
    let listener = adopt_stdin_listener().expect("started by `launch`");
    let config = KeeperConfig { dir, instance: INSTANCE, descriptors: None, is_sealed };
    serve(listener, config, &SystemClock::new()).expect("the keeper serves");
    std::process::exit(0);
}

/// Not a test: a daemon that starts a run and is then killed.
#[test]
#[ignore = "the body of a daemon process of another test"]
fn daemon_process() {
    let Some(socket) =
        std::env::args().find_map(|argument| argument.strip_prefix("socket=").map(PathBuf::from))
    else {
        return;
    };
    let mut daemon = Daemon::connect(&socket);
    daemon.hello();
    let dir = socket.parent().expect("it is in a directory");
    daemon.start(sh(1, dir, "echo before; read word < gate; echo after"));
    daemon.next();
    // Until it is killed.
    let _ = std::io::stdin().read(&mut [0]);
}

pub fn test_arguments(name: &str, more: &str) -> Vec<OsString> {
    [name, "--exact", "--ignored", "--nocapture", "--test-threads=1", more].map(OsString::from).to_vec()
}

/// A keeper process. When it is dropped, it must exit by itself with 0, because it has nothing left to do.
pub struct Keeper {
    pub dir: TempDir,
    pub pid: Pid,
}

impl Keeper {
    pub fn start() -> Self {
        Self::start_by(|exe, arguments, listener| launch(exe, arguments, listener, Stdio::inherit()))
    }

    /// Starts one whose store is sealed.
    pub fn start_sealed() -> Self {
        let dir = Self::new_dir();
        let pid = Self::launch_sealed(dir.path());
        Self { dir, pid }
    }

    /// Kills a keeper whose store is sealed, and starts another.
    pub fn replace_sealed(&mut self) {
        kill(self.pid, Signal::SIGKILL).expect("it lives");
        waitpid(self.pid, None).expect("it is our child");
        fs::remove_file(self.socket()).expect("it is there");
        self.pid = Self::launch_sealed(self.dir.path());
    }

    fn launch_sealed(dir: &Path) -> Pid {
        let launch =
            |exe: &Path, arguments: &[OsString], listener| launch(exe, arguments, listener, Stdio::inherit());
        Self::launch_by(launch, dir, SEALED)
    }

    /// Starts it from a shell that runs `prelude` first.
    pub fn start_after(prelude: &str) -> Self {
        Self::start_by(|exe, arguments, listener| {
            let mut all: Vec<OsString> =
                vec!["-c".into(), format!("{prelude}; exec \"$0\" \"$@\"").into(), exe.into()];
            all.extend_from_slice(arguments);
            launch(Path::new("/bin/sh"), &all, listener, Stdio::inherit())
        })
    }

    fn start_by(launch: impl FnOnce(&Path, &[OsString], UnixListener) -> std::io::Result<u32>) -> Self {
        let dir = Self::new_dir();
        let pid = Self::launch_by(launch, dir.path(), STORE);
        Self { dir, pid }
    }

    fn new_dir() -> TempDir {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("log")).expect("the directory is empty");
        dir
    }

    fn launch_by(
        launch: impl FnOnce(&Path, &[OsString], UnixListener) -> std::io::Result<u32>,
        dir: &Path,
        prefix: &str,
    ) -> Pid {
        let listener = UnixListener::bind(dir.join(SOCKET)).expect("the name is free");
        let exe = std::env::current_exe().expect("we run");
        let store = format!("{prefix}{}", dir.display());
        let pid =
            launch(&exe, &test_arguments("harness::keeper_process", &store), listener).expect("it starts");
        Pid::from_raw(i32::try_from(pid).expect("a process id"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn socket(&self) -> PathBuf {
        self.path(SOCKET)
    }

    pub fn raw(&self) -> UnixStream {
        UnixStream::connect(self.socket()).expect("the keeper listens")
    }

    /// Connects and says hello.
    pub fn daemon(&self) -> Daemon {
        let mut daemon = Daemon::connect(&self.socket());
        daemon.hello();
        daemon
    }

    pub fn output_path(&self, job: i64) -> PathBuf {
        output_path(&self.path("log"), attempt(job).stdout())
    }

    pub fn output(&self, job: i64) -> String {
        fs::read_to_string(self.output_path(job)).expect("the run had output")
    }

    /// Reads the standard error of a run with two outputs.
    pub fn stderr(&self, job: i64) -> String {
        let path = output_path(&self.path("log"), attempt(job).stderr());
        fs::read_to_string(path).expect("the run wrote to standard error")
    }

    /// Makes a FIFO that jobs, which start in this directory, reach by its name.
    pub fn fifo(&self, name: &str) -> PathBuf {
        mkfifo(&self.path(name), Mode::S_IRWXU).expect("the name is new");
        self.path(name)
    }

    pub fn sh(&self, job: i64, script: &str) -> StartOrder {
        sh(job, self.dir.path(), script)
    }
}

/// Starts a keeper and connects to it.
pub fn connected() -> (Keeper, Daemon) {
    let keeper = Keeper::start();
    let daemon = keeper.daemon();
    (keeper, daemon)
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
        let status = waitpid(self.pid, None).expect("it is our child");
        assert!(std::thread::panicking() || status == WaitStatus::Exited(self.pid, 0), "{status:?}");
    }
}

/// Blocks until a job reads the FIFO, and lets it continue.
///
/// Each gate is for one run: a second run could pass the gate before it is closed.
pub fn open_gate(path: &Path) {
    drop(OpenOptions::new().write(true).open(path).expect("the FIFO is there"));
}

/// Blocks until no process can write to the FIFO.
pub fn read_to_end(path: &Path) -> String {
    let mut text = String::new();
    File::open(path).expect("the FIFO is there").read_to_string(&mut text).expect("jobs write text");
    text
}

pub fn attempt(job: i64) -> Attempt {
    Attempt::of_run(RunId { job: JobId(job), number: 1 }, 1)
}

pub fn order(job: i64, cwd: &Path, argv: &[&str]) -> StartOrder {
    StartOrder {
        attempt: attempt(job),
        queue: "default".to_owned(),
        slots: 1_000,
        argv: argv.iter().map(|word| word.as_bytes().to_vec()).collect(),
        env: vec![b"PATH=/usr/local/bin:/usr/bin:/bin".to_vec()],
        cwd: cwd.as_os_str().as_encoded_bytes().to_vec(),
        umask: 0o022,
        timeout: None,
        kill_after: Span::from_seconds(600),
    }
}

pub fn sh(job: i64, cwd: &Path, script: &str) -> StartOrder {
    order(job, cwd, &["sh", "-c", script])
}

/// The daemon's end of the connection.
pub struct Daemon {
    pub link: Channel,
    inbox: VecDeque<FromKeeper>,
}

impl Daemon {
    pub fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("the keeper listens");
        Self { link: Channel::new(stream).expect("it is a socket"), inbox: VecDeque::new() }
    }

    /// Says hello, and returns the known attempts. Results without an acknowledgement are the next messages.
    pub fn hello(&mut self) -> Vec<Known> {
        self.send(ToKeeper::Hello { version: PROTOCOL_VERSION });
        let FromKeeper::Hello { version: PROTOCOL_VERSION, instance: INSTANCE, known, ended } = self.next()
        else {
            panic!("the first answer is a hello of the same keeper")
        };
        self.inbox.extend(ended.into_iter().map(FromKeeper::Ended));
        known
    }

    pub fn send(&mut self, message: ToKeeper) {
        self.link.send(&[message]).expect("it is short enough");
    }

    pub fn start(&mut self, order: StartOrder) {
        self.send(ToKeeper::Start(order, StartExtras::default()));
    }

    pub fn stop(&mut self, job: i64, now: bool) {
        self.send(ToKeeper::Stop { attempt: attempt(job), now });
    }

    /// Blocks until the link has something to do.
    pub fn wait(&mut self) {
        let mut events = PollFlags::POLLIN;
        events.set(PollFlags::POLLOUT, self.link.wants_write());
        let mut fds = [PollFd::new(self.link.as_fd(), events)];
        assert_ne!(poll(&mut fds, PollTimeout::from(PATIENCE_MS)), Ok(0), "the keeper sends nothing");
        self.link.flush();
    }

    /// Blocks until the keeper has read some messages. Reads nothing itself.
    pub fn wait_writable(&mut self) {
        let mut fds = [PollFd::new(self.link.as_fd(), PollFlags::POLLOUT)];
        assert_ne!(poll(&mut fds, PollTimeout::from(PATIENCE_MS)), Ok(0), "the keeper does not read");
        self.link.flush();
    }

    /// Blocks for the next message.
    pub fn next(&mut self) -> FromKeeper {
        loop {
            if let Some(message) = self.inbox.pop_front() {
                return message;
            }
            self.wait();
            self.inbox.extend(self.link.receive().expect("the keeper lives"));
        }
    }

    /// Blocks until the keeper hangs up.
    pub fn expect_close(&mut self) {
        loop {
            self.wait();
            if self.link.receive::<FromKeeper>().is_err() {
                return;
            }
        }
    }

    /// Blocks for the start of the run and returns its process.
    pub fn started(&mut self, job: i64) -> u32 {
        match self.next() {
            FromKeeper::Started { attempt: started, pid, .. } if started == attempt(job) => pid,
            other => panic!("expected the start of {job}: {other:?}"),
        }
    }

    /// Blocks for the next end, past starts.
    pub fn ended(&mut self) -> Ended {
        loop {
            if let FromKeeper::Ended(ended) = self.next() {
                return ended;
            }
        }
    }

    pub fn acknowledge(&mut self, ended: &Ended) {
        self.send(ToKeeper::Acknowledge { attempts: vec![ended.attempt] });
    }

    /// Starts a run and acknowledges its end.
    pub fn run(&mut self, order: StartOrder) -> Ended {
        let attempt = order.attempt;
        self.start(order);
        let ended = self.ended();
        assert_eq!(ended.attempt, attempt);
        self.acknowledge(&ended);
        ended
    }

    /// Takes the next end, acknowledges it.
    pub fn finish(&mut self) -> Ended {
        let ended = self.ended();
        self.acknowledge(&ended);
        ended
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Unsent messages would be lost with the link, and a keeper waits for ever for a lost
        // acknowledgement.
        while self.link.wants_write() && !std::thread::panicking() {
            self.wait_writable();
        }
    }
}

/// A daemon in a process of its own, see `daemon_process`.
pub fn daemon_process_command(keeper: &Keeper) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("we run"));
    let socket = format!("socket={}", keeper.socket().display());
    command
        .args(test_arguments("harness::daemon_process", &socket))
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    command
}
