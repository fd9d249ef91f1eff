//! Owns: the outputs of a feeder, its surroundings, its stop and its end.
//! Never: the death of its daemon (see `feeder`).

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::{Pid, Uid, mkfifo};
use tempfile::TempDir;

use taskq::domain::{CommandLine, End, Execution, Span};
use taskq::keeper::{Feeder, FeederOrder, Outlet};

/// The least number of the one descriptor that a feeder inherits.
const TETHER_LEAST: i32 = 100;

/// What takes this long has hung.
const PATIENCE_MS: u16 = 20_000;

const KILL_AFTER: Span = Span::from_seconds(5);

/// An execution in this directory.
fn execution(cwd: &Path) -> Execution {
    let cwd = cwd.as_os_str().as_encoded_bytes().to_vec();
    let env = vec![b"PATH=/usr/local/bin:/usr/bin:/bin".to_vec()];
    Execution { cwd, env, ..Execution::of(CommandLine::Argv(vec![b"false".to_vec()])) }
}

fn try_start(script: &str, execution: &Execution) -> Result<Feeder, String> {
    let variables = [b"TASKQ_JOB=7".to_vec()];
    let order = FeederOrder { script, execution, variables: &variables, kill_after: KILL_AFTER };
    Feeder::start(&order, None, Duration::ZERO)
}

fn start(script: &str) -> (TempDir, Feeder) {
    let dir = tempfile::tempdir().expect("a directory");
    mkfifo(&dir.path().join("gate"), Mode::S_IRWXU).expect("the name is new");
    let feeder = try_start(script, &execution(dir.path())).expect("there is a shell");
    (dir, feeder)
}

fn read(outlet: &mut Outlet, text: &mut Vec<u8>) {
    match outlet.read_to_end(text) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
    }
}

/// What a feeder has written.
#[derive(Default)]
struct Heard([Vec<u8>; 2]);

impl Heard {
    fn text(&self) -> [&str; 2] {
        [0, 1].map(|n| str::from_utf8(&self.0[n]).expect("the scripts write text"))
    }

    /// Waits for the feeder once.
    fn listen(&mut self, feeder: &mut Feeder) {
        let mut fds: Vec<PollFd<'_>> = feeder.fds().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        assert_ne!(poll(&mut fds, PATIENCE_MS), Ok(0), "it hangs");
        read(&mut feeder.stdout, &mut self.0[0]);
        read(&mut feeder.stderr, &mut self.0[1]);
    }

    /// Listens until a line has come.
    fn line(&mut self, feeder: &mut Feeder) {
        while !self.0[0].contains(&b'\n') {
            self.listen(feeder);
        }
    }

    /// Listens until all is over, while the time stands.
    fn end(&mut self, feeder: &mut Feeder, now: Duration) -> End {
        loop {
            self.listen(feeder);
            if let Some(end) = feeder.advance(now) {
                return end;
            }
        }
    }
}

/// Runs a script to its end, and returns its outputs.
fn run(script: &str, execution: &Execution) -> [String; 2] {
    let mut feeder = try_start(script, execution).expect("it starts");
    let mut heard = Heard::default();
    assert_eq!(heard.end(&mut feeder, Duration::ZERO), End::Exited(0), "{:?}", heard.text());
    heard.text().map(str::to_owned)
}

#[test]
fn the_outputs_and_the_end_arrive() {
    for (script, out, err, end) in [
        ("echo out; echo err >&2; exit 3", "out\n", "err\n", End::Exited(3)),
        ("printf unfinished; kill -KILL $$", "unfinished", "", End::Signaled(9)),
        ("exec >&- 2>&-", "", "", End::Exited(0)),
        ("nosuch 2> /dev/null", "", "", End::Exited(127)),
    ] {
        let (_dir, mut feeder) = start(script);
        let mut heard = Heard::default();
        assert_eq!(heard.end(&mut feeder, Duration::ZERO), end, "{script}");
        assert_eq!(heard.text(), [out, err], "{script}");
        assert_eq!((feeder.fds().count(), feeder.advance(Duration::ZERO)), (0, Some(end)));
    }
}

#[test]
fn it_starts_as_a_run_of_the_job_does_except_that_it_reads_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("env");
    fs::write(&file, "B=file\nTASKQ_JOB=8").expect("ours");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
    let mut execution = execution(dir.path());
    execution.env.extend([&b"A=job"[..], b"B=job", b"TASKQ_JOB=6"].map(<[u8]>::to_vec));
    execution.env_file = Some(file.as_os_str().as_encoded_bytes().to_vec());
    (execution.umask, execution.nice) = (0o027, Some(7));
    let script = "pwd; umask; nice; echo $A $B $TASKQ_JOB; cat; readlink /proc/self/fd/0; \
        ps -o pid=,pgid=,sid= $$ | xargs; echo $$ $$ $$";
    let [out, _] = run(script, &execution);
    let lines: Vec<&str> = out.lines().collect();
    let cwd = dir.path().to_str().expect("it is text");
    assert_eq!(lines[..5], [cwd, "0027", "7", "job file 7", "/dev/null"]);
    assert_eq!(lines[5], lines[6], "it leads a group and a session");
}

#[test]
fn no_descriptor_of_ours_is_open_in_it_but_the_tether() {
    let leaky = File::open("/dev/zero").expect("it is there");
    fcntl(&leaky, FcntlArg::F_SETFD(FdFlag::empty())).expect("it is open");
    let [out, _] = run("ls -l /proc/self/fd", &execution(Path::new("/")));
    let links = out.lines().filter_map(|line| line.rsplit_once(" -> "));
    // ls(1) has opened the directory.
    let links = links.filter(|(_, file)| !file.starts_with("/proc/"));
    let mut fds: Vec<(i32, &str)> = links
        .map(|(line, file)| {
            let fd = line.rsplit(' ').next().and_then(|fd| fd.parse().ok());
            (fd.expect("a number"), file.split(':').next().unwrap_or_default())
        })
        .collect();
    fds.sort_unstable();
    let [(0, "/dev/null"), (1, "pipe"), (2, "pipe"), (tether, "pipe")] = fds[..] else { panic!("{fds:?}") };
    assert!(tether >= TETHER_LEAST && leaky.as_raw_fd() > 2);
}

#[test]
fn a_stop_reaches_all_of_the_group() {
    let (_dir, mut feeder) = start("sleep 1000 & sh -c 'sleep 1000 | cat' & echo up; wait");
    let mut heard = Heard::default();
    heard.line(&mut feeder);
    assert_eq!((feeder.advance(Duration::ZERO), feeder.wake_at()), (None, None));
    feeder.stop(Duration::ZERO);
    // It is over only when none has the outputs open, and no time passes.
    assert_eq!(heard.end(&mut feeder, Duration::ZERO), End::Signaled(15));
}

#[test]
fn who_ignores_the_stop_is_killed_when_its_time_is_over() {
    let (_dir, mut feeder) = start("trap '' TERM; sleep 1000 & echo up; sleep 1000");
    let mut heard = Heard::default();
    heard.line(&mut feeder);
    feeder.stop(Duration::from_secs(1));
    let kill_at = Duration::from_secs(6);
    assert_eq!((feeder.wake_at(), feeder.advance(Duration::from_secs(5))), (Some(kill_at), None));
    let end = feeder.advance(kill_at).unwrap_or_else(|| heard.end(&mut feeder, kill_at));
    assert_eq!(end, End::Signaled(9));
}

#[test]
fn processes_that_the_shell_leaves_behind_are_stopped_at_its_end() {
    let (_dir, mut feeder) = start("sleep 1000 & echo up; exit 4");
    assert_eq!(Heard::default().end(&mut feeder, Duration::ZERO), End::Exited(4));
    // Those that have closed the outputs are killed without a wait.
    let (dir, mut feeder) = start("(exec 9> gate; sleep 1000) > /dev/null 2>&1 & read up < gate; exit 4");
    let gate = fs::OpenOptions::new().read(true).write(true).open(dir.path().join("gate"));
    let mut gate = gate.expect("the FIFO is there");
    io::Write::write_all(&mut gate, b"up\n").expect("it has room");
    assert_eq!(Heard::default().end(&mut feeder, Duration::ZERO), End::Exited(4));
}

#[test]
fn a_process_that_has_left_the_group_delays_the_end_until_the_kill() {
    let (_dir, mut feeder) =
        start("setsid sh -c 'echo $$; : > gate; exec sleep 1000' & read up < gate; exit 5");
    let mut heard = Heard::default();
    while feeder.wake_at().is_none() {
        heard.listen(&mut feeder);
        assert_eq!(feeder.advance(Duration::ZERO), None);
    }
    assert_eq!(feeder.advance(KILL_AFTER.as_duration()), Some(End::Exited(5)));
    let left = heard.text()[0].trim().parse().expect("its number");
    nix::sys::signal::kill(Pid::from_raw(left), Signal::SIGKILL).expect("it is alive");
}

#[test]
fn dropping_it_kills_the_group() {
    let (dir, feeder) = start("trap '' TERM; exec 9> gate; sleep 1000 & echo up >&9; wait");
    let mut gate = File::open(dir.path().join("gate")).expect("the FIFO is there");
    let mut up = [0; 3];
    gate.read_exact(&mut up).expect("it writes");
    drop(feeder);
    assert_eq!(gate.read_to_end(&mut Vec::new()).expect("it is a FIFO"), 0);
}

#[test]
fn another_user_is_become_and_can_open_its_outputs_again() {
    if !Uid::effective().is_root() {
        return;
    }
    let execution = Execution { user: Some("nobody".to_owned()), ..execution(Path::new("/")) };
    let [out, err] = run("id -un; echo out > /dev/stdout; echo err > /dev/stderr", &execution);
    assert_eq!([out.as_str(), &err], ["nobody\nout\n", "err\n"]);
    let execution = Execution { nice: Some(-3), ..execution };
    assert_eq!(run("nice; exit 0", &execution)[0], "-3\n");
}

#[test]
fn a_start_that_fails_says_why() {
    let gone = execution(Path::new("/gone"));
    let cause = try_start("true", &gone).expect_err("the directory is not there");
    assert_eq!(cause, "working directory `/gone`: no such file or directory");
    let optional = Execution { cwd_optional: true, ..gone };
    assert_eq!(run("pwd", &optional)[0], "/\n");
    let stranger = Execution { user: Some("nobody-of-this-name".to_owned()), ..optional };
    let cause = try_start("true", &stranger).expect_err("there is no such user");
    assert_eq!(cause, "user `nobody-of-this-name`: there is no such user");
}
