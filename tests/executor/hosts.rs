//! Owns: far sides over ssh(1): two hosts that are this machine, and accidents of the connection.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Output};

use taskq::domain::Span;
use taskq::executor::transport::{self, SshOptions};
use taskq::executor::{Act, Answer, FarState, FarStop, Known, Part};

use crate::harness::{Far, TOKEN, answer, children, eventually, fifo, free_port, hear, kill, release, start};
use crate::shared::has;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/executor/sshd.sh");

/// An sshd(8) of the test, with keys of its own; it is gone with this value.
struct Server {
    dir: tempfile::TempDir,
    config: PathBuf,
    port: u16,
}

impl Server {
    fn up() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a directory");
        let port = free_port();
        let output = script(&["up", &dir.path().display().to_string(), &port.to_string()]);
        let is_there = output.status.code() != Some(77);
        assert!(output.status.success() || !is_there, "{output:?}");
        if !has("sshd", is_there) {
            return None;
        }
        let config = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end());
        Some(Self { dir, config, port })
    }

    fn options(&self) -> SshOptions {
        SshOptions { config: Some(self.config.display().to_string()), options: Vec::new() }
    }

    /// Returns a far side on a host. The clients share the connection in its home.
    fn far(&self, host: &str) -> Far {
        let argv = transport::ssh(host, &self.options());
        let words: Vec<String> =
            argv.into_iter().map(|word| String::from_utf8(word).expect("it is text")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut far = Far::new(&words);
        // The home over there is that of passwd(5).
        far.rundir = far.path(".local/state/taskq/far").display().to_string().into_bytes();
        far
    }

    fn pid(&self) -> u32 {
        let text = fs::read_to_string(self.dir.path().join("sshd.pid")).expect("it runs");
        text.trim().parse().expect("a number")
    }

    /// Returns how many connections it has let in.
    fn connections(&self) -> usize {
        let log = fs::read_to_string(self.dir.path().join("sshd.log")).expect("it has a log");
        log.matches("Accepted publickey").count()
    }

    fn down(&self) {
        script(&["down", &self.dir.path().display().to_string()]);
        eventually("the server is gone", || !self.dir.path().join("sshd.pid").exists());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        script(&["down", &self.dir.path().display().to_string()]);
    }
}

fn script(words: &[&str]) -> Output {
    Command::new(SCRIPT).args(words).output().expect("the script is there")
}

/// Ends the shared connection of a far side.
fn close(far: &Far, server: &Server, host: &str) {
    assert!(tell_master(far, server, host, "exit").status.success());
}

/// Sends a command of `ssh -O` to the master of the one connection.
fn tell_master(far: &Far, server: &Server, host: &str, command: &str) -> Output {
    let socket = sockets(far).pop().expect("a socket");
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", &server.config.display().to_string(), "-O", command, "-S", &socket, host]);
    ssh.current_dir(&far.home).output().expect("ssh")
}

fn sockets(far: &Far) -> Vec<String> {
    let entries = fs::read_dir(far.home.path()).expect("a directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("ssh.")).collect()
}

/// Returns the process id of the master of the one connection.
fn master(far: &Far, server: &Server, host: &str) -> u32 {
    let output = tell_master(far, server, host, "check");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let pid = text.split(['=', ')']).nth(1).expect("a pid");
    pid.parse().expect("a number")
}

#[test]
fn runs_on_two_hosts_end_stop_and_start_once() {
    let Some(server) = Server::up() else { return };
    for host in ["far1", "far2"] {
        let far = server.far(host);
        let marker = far.path("marker").display().to_string();
        let run = start(far.name(), &format!("echo ran >>{marker}; printf 'a\\0b'; exit 7"));
        let name = far.begin(run.clone());
        assert_eq!(far.ask(vec![Act::Start(Box::new(run))]), [Part::Begun { name }]);
        let end = far.end(name);
        assert_eq!((end.code, end.stdout.as_slice()), (7, b"a\0b".as_slice()));
        assert_eq!(fs::read_to_string(&marker).expect("it ran"), "ran\n");

        let pipe = far.path("pipe");
        fifo(&pipe);
        let script =
            format!("trap 'exit 42' TERM; echo ready >{}; while :; do sleep 1; done", pipe.display());
        let name = far.begin(start(far.name(), &script));
        assert_eq!(hear(&pipe), "ready");
        far.ask(vec![Act::Stop { name, now: false }]);
        let end = far.end(name);
        assert_eq!((end.code, end.stopped), (42, Some(FarStop::Stop)));
        assert_eq!(sockets(&far).len(), 1, "one connection");
        close(&far, &server, host);
        eventually("the connection is closed", || sockets(&far).is_empty());
    }
}

#[test]
fn a_killed_master_or_client_harms_no_run() {
    let Some(server) = Server::up() else { return };
    let far = server.far("far1");
    let pipe = far.path("pipe");
    fifo(&pipe);
    let name = far.begin(start(far.name(), &format!("read go <{}; exit 5", pipe.display())));
    // Its socket stays, and nobody answers there.
    kill("-KILL", master(&far, &server, "far1"));
    eventually("it is running", || matches!(far.state(name), FarState::Running { .. }));
    // A hung master is given up.
    kill("-STOP", master(&far, &server, "far1"));
    let stopped = master_of_socket(&far);
    assert!(matches!(far.state(name), FarState::Running { .. }));
    stopped.into_iter().for_each(|pid| kill("-KILL", pid));
    // A client, and the server's processes of the connection.
    let look = taskq::executor::LookAt { name, known: Known::Running, stdout_from: 0, stderr_from: 0 };
    let look = Act::Look { runs: vec![look], wait: Span::from_seconds(100), bytes_max: 0 };
    let mut client = far.send(vec![look.clone()]);
    client.kill().expect("it lives");
    client.wait().expect("it was killed");
    let mut cut = far.send(vec![look]);
    let mut stdout = BufReader::new(cut.stdout.take().expect("a pipe"));
    let mut said = String::new();
    stdout.read_line(&mut said).expect("it greets");
    kill("-KILL", master(&far, &server, "far1"));
    stdout.read_to_string(&mut said).expect("it ends");
    assert_eq!(cut.wait().expect("it ends").code(), Some(255));
    let answer = Answer::read(said.as_bytes(), TOKEN);
    assert!(answer.greeted.is_some() && !answer.is_whole, "{said}");
    // The server with all its sessions.
    let mut pids = children(server.pid());
    pids.push(server.pid());
    pids.into_iter().for_each(|pid| kill("-KILL", pid));
    let output = far.send(vec![]).wait_with_output().expect("it ends");
    assert!(!output.status.success() && Answer::read(&output.stdout, TOKEN).greeted.is_none());
    release(&pipe);
    let up = script(&["up", &server.dir.path().display().to_string(), &server.port.to_string()]);
    assert!(up.status.success(), "{up:?}");
    assert_eq!(far.end(name).code, 5);
    close(&far, &server, "far1");
}

/// Returns the processes that are ssh masters in the home of a far side.
fn master_of_socket(far: &Far) -> Vec<u32> {
    let home = far.home.path().canonicalize().expect("a directory");
    let entries = fs::read_dir("/proc").expect("there is /proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    let is_master = |pid: &u32| {
        let is_there = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == home);
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        is_there && name == "ssh\n"
    };
    pids.filter(is_master).collect()
}

/// Asks a host where nothing can be delivered, and returns the words of ssh(1).
fn refused(far: &Far) -> String {
    let output = far.send(vec![]).wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(transport::NOT_DELIVERED), "{output:?}");
    assert_eq!(Answer::read(&output.stdout, TOKEN), Answer::default());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn it_is_certain_that_nothing_was_delivered_where_no_connection_is_made() {
    let Some(server) = Server::up() else { return };
    let far = server.far("far1");
    assert_eq!(answer(far.send(vec![])), []);
    close(&far, &server, "far1");
    let file = |name: &str| server.dir.path().join(name);
    // Another host key than it had.
    let known = fs::read_to_string(file("known_hosts")).expect("it was accepted");
    let other = fs::read_to_string(file("id.pub")).expect("a key");
    let key = |text: &str, n| text.split_whitespace().nth(n).expect("a word").to_owned();
    fs::write(file("known_hosts"), known.replace(&key(&known, 2), &key(&other, 1))).expect("a file");
    let words = refused(&server.far("far1"));
    assert!(words.contains("Host key verification failed"), "{words}");
    fs::write(file("known_hosts"), &known).expect("a file");
    // No key that it accepts.
    let keys = fs::read_to_string(file("authorized_keys")).expect("a file");
    fs::write(file("authorized_keys"), "").expect("a file");
    let words = refused(&server.far("far1"));
    assert!(words.contains("Permission denied"), "{words}");
    fs::write(file("authorized_keys"), keys).expect("a file");
    assert_eq!(server.far("far1").ask(vec![]), []);
    server.down();
    let words = refused(&server.far("far2"));
    assert!(words.contains("Connection refused"), "{words}");
}

#[test]
fn all_batches_share_one_connection() {
    let Some(server) = Server::up() else { return };
    let far = server.far("far1");
    let before = server.connections();
    let names: Vec<_> = (0..50).map(|_| far.name()).collect();
    for names in names.chunks(10) {
        let starts = names.iter().map(|name| {
            let mut run = start(*name, "");
            run.argv = vec![b"true".to_vec()];
            Act::Start(Box::new(run))
        });
        let parts = far.ask(starts.collect());
        assert!(parts.iter().all(|part| matches!(part, Part::Started { .. })), "{parts:?}");
    }
    let run = |name| taskq::executor::LookAt { name, known: Known::Running, stdout_from: 0, stderr_from: 0 };
    let mut left = names.clone();
    while !left.is_empty() {
        let runs = left.iter().copied().map(run).collect();
        let look = Act::Look { runs, wait: Span::from_seconds(10), bytes_max: 1_000 };
        let parts = far.ask(vec![look]);
        left.retain(|wanted| {
            !parts.iter().any(|part| match part {
                Part::State { name, state } => name == wanted && matches!(state, FarState::Ended { .. }),
                _ => false,
            })
        });
    }
    assert_eq!(server.connections() - before, 1);
    close(&far, &server, "far1");
}
