//! The environment of a job, the report of its end, and its stop.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;

use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, geteuid, getpgid, getsid};
use taskq::domain::{End, Span, StopCause};
use taskq::keeper::protocol::{Attempt, StartExtras, StartOrder, ToKeeper};
use taskq::keeper::{attempts_with_pipes, output_path};

use crate::harness::{Keeper, attempt, connected, open_gate, order, read_to_end};
use crate::shared::has;

#[test]
fn an_end_is_reported_as_it_was_with_times_and_usage() {
    let (keeper, mut daemon) = connected();
    let exited = daemon.run(keeper.sh(1, "exit 7"));
    assert_eq!((exited.end, exited.stopped, exited.is_output_open), (End::Exited(7), None, false));
    assert!(exited.pid > 0 && exited.started_at.expect("it ran") <= exited.finished_at);
    assert!(exited.usage.max_rss_kib > 0);
    let killed = daemon.run(keeper.sh(2, "kill -9 $$"));
    assert_eq!((killed.end, killed.stopped), (End::Signaled(9), None));
    let busy = daemon.run(keeper.sh(3, "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"));
    assert!(busy.usage.user > Span::ZERO);
}

#[test]
fn what_cannot_be_started_ends_with_the_status_of_a_shell_and_a_reason() {
    let (keeper, mut daemon) = connected();
    fs::write(keeper.path("plain"), "text").expect("writable");
    fs::write(keeper.path("lost"), "#!/no/such/interpreter\n").expect("writable");
    fs::set_permissions(keeper.path("lost"), fs::Permissions::from_mode(0o755)).expect("ours");
    fs::create_dir(keeper.path("log").join("9.1.1.pipe")).expect("new");
    let dir = keeper.dir.path();
    let plain = |argv: &[&str]| order(1, dir, argv);
    let in_cwd = |cwd: &str| StartOrder { cwd: cwd.as_bytes().to_vec(), ..plain(&["true"]) };
    let with_path =
        |path: &str| StartOrder { env: vec![format!("PATH={path}").into_bytes()], ..plain(&["plain"]) };
    let cases: Vec<(StartOrder, i32, String)> = vec![
        (plain(&["nosuch"]), 127, "`nosuch`: command not found".to_owned()),
        (plain(&[]), 127, "``: command not found".to_owned()),
        (plain(&["./nosuch"]), 127, "`./nosuch`: no such file or directory".to_owned()),
        (plain(&["./lost"]), 127, "`./lost`: its interpreter was not found".to_owned()),
        (plain(&["/etc/passwd"]), 126, "`/etc/passwd`: permission denied".to_owned()),
        (plain(&["/etc"]), 126, "`/etc`: is a directory".to_owned()),
        (with_path("/usr/bin:."), 126, "`plain`: permission denied".to_owned()),
        (with_path("/usr/bin"), 127, "`plain`: command not found".to_owned()),
        (in_cwd("/no/such"), 125, "working directory `/no/such`: no such file or directory".to_owned()),
        (in_cwd("/etc/passwd"), 125, "working directory `/etc/passwd`: not a directory".to_owned()),
        (plain(&["a\0b"]), 125, "`a\0b`: a NUL byte in the command, environment or directory".to_owned()),
        (
            StartOrder { attempt: attempt(9), ..plain(&["true"]) },
            125,
            "output pipe `log/9.1.1.pipe`: is a directory".to_owned(),
        ),
    ];
    for (order, status, cause) in cases {
        let ended = daemon.run(order);
        assert_eq!(ended.end, End::SpawnFailed { status, cause });
        assert_eq!((ended.pid, ended.started_at, ended.output_bytes), (0, None, 0));
    }
    assert!(!keeper.output_path(1).exists(), "no output, no file");
}

#[test]
fn a_program_is_found_as_execvp_finds_it() {
    let (keeper, mut daemon) = connected();
    fs::create_dir(keeper.path("bin")).expect("new");
    // Without `#!` it is a shell script. A directory and a plain file of the name are passed over.
    for (name, mode) in [("bin/tool", 0o755), ("tool", 0o644)] {
        fs::write(keeper.path(name), "echo $0 $1").expect("writable");
        fs::set_permissions(keeper.path(name), fs::Permissions::from_mode(mode)).expect("ours");
    }
    let searched = StartOrder {
        env: vec![b"PATH=/usr/bin::bin".to_vec()],
        ..order(1, keeper.dir.path(), &["tool", "x"])
    };
    assert_eq!(daemon.run(searched).end, End::Exited(0));
    assert_eq!(keeper.output(1), "bin/tool x\n");
    let without_path = StartOrder { env: vec![], ..order(2, keeper.dir.path(), &["sh", "-c", "echo $0"]) };
    assert_eq!(daemon.run(without_path).end, End::Exited(0));
    assert_eq!(keeper.output(2), "sh\n");
}

#[test]
fn a_job_gets_its_own_environment_directory_mask_group_and_session() {
    let (keeper, mut daemon) = connected();
    let env = [&b"B=2 = \xff"[..], b"A=1", b"PATH=/usr/bin:/bin"].map(<[u8]>::to_vec).to_vec();
    daemon.run(StartOrder { env, ..order(1, keeper.dir.path(), &["env"]) });
    let bytes = fs::read(keeper.output_path(1)).expect("the run had output");
    assert_eq!(bytes, b"A=1\nB=2 = \xff\nPATH=/usr/bin:/bin\n");
    let script =
        "pwd; umask; echo x > made; cut -d' ' -f5,6 /proc/self/stat; readlink /proc/self/fd/0; echo err >&2";
    let ended = daemon.run(StartOrder { umask: 0o137, ..keeper.sh(2, script) });
    let pid = ended.pid;
    let expected = format!("{}\n0137\n{pid} {pid}\n/dev/null\nerr\n", keeper.dir.path().display());
    assert_eq!(keeper.output(2), expected);
    let mode = |path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(keeper.path("made")), mode(keeper.output_path(2))), (0o640, 0o600));
}

/// The processes of a session.
fn members(session: Pid) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").expect("there is /proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw));
    pids.filter(|pid| getsid(Some(*pid)) == Ok(session)).collect()
}

#[test]
fn a_signal_to_the_keepers_session_reaches_no_run_and_a_stop_reaches_all_of_it() {
    let (keeper, mut daemon) = connected();
    let held = keeper.fifo("held");
    let nobody = geteuid().is_root().then(|| "nobody".to_owned());
    let extras = StartExtras { user: nobody, ..StartExtras::default() };
    fs::set_permissions(keeper.dir.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    fs::set_permissions(&held, fs::Permissions::from_mode(0o666)).expect("ours");
    let script = "exec 3> held; echo >&3; sleep 1000 & sleep 1000";
    daemon.start(keeper.sh(1, script));
    daemon.send(ToKeeper::Start(keeper.sh(2, script), extras));
    let pids = [daemon.started(1), daemon.started(2)];
    let mut held = fs::File::open(held).expect("the FIFO is there");
    held.read_exact(&mut [0; 2]).expect("both have written");
    assert_eq!(members(keeper.pid), [keeper.pid]);
    for pid in pids {
        let pid = Pid::from_raw(i32::try_from(pid).expect("a process id"));
        assert_eq!((getsid(Some(pid)), getpgid(Some(pid))), (Ok(pid), Ok(pid)));
    }
    for job in [1, 2] {
        daemon.stop(job, false);
        assert_eq!(daemon.finish().stopped, Some(StopCause::Cancelled));
    }
    assert_eq!(held.read(&mut [0]).expect("it is a FIFO"), 0, "both groups have ended");
}

#[test]
fn a_job_inherits_no_signal_setting_and_no_descriptor_of_whoever_started_the_daemon() {
    let keeper = Keeper::start_after("trap '' HUP INT TERM PIPE USR1 QUIT TSTP CHLD; exec 9< Cargo.toml");
    let mut daemon = keeper.daemon();
    daemon.run(order(1, keeper.dir.path(), &["cat", "/proc/self/status"]));
    let status = keeper.output(1);
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux says so");
        u64::from_str_radix(line.trim(), 16).expect("a mask is in hexadecimal")
    };
    // 32 and 33 are the C library's own, and its posix_spawn(3) has them ignored.
    let own = 1 << 31 | 1 << 32;
    assert_eq!((mask("SigBlk:"), mask("SigIgn:") & !own, mask("SigCgt:")), (0, 0, 0));
    // 3 is the directory that ls reads.
    daemon.run(order(2, keeper.dir.path(), &["ls", "/proc/self/fd"]));
    assert_eq!(keeper.output(2), "0\n1\n2\n3\n");
    daemon.run(keeper.sh(3, "ls -l /proc/$PPID/fd"));
    assert!(!keeper.output(3).contains("Cargo.toml"), "{}", keeper.output(3));
    assert!(keeper.output(3).contains("0 -> /dev/null"), "{}", keeper.output(3));
}

#[test]
fn each_attempt_of_a_run_has_a_file_of_its_own_that_is_its_owners_alone() {
    let (keeper, mut daemon) = connected();
    let again = Attempt { number: 2, ..attempt(1) };
    let first = daemon.run(StartOrder { umask: 0o777, ..keeper.sh(1, "echo one") });
    let second = StartOrder { attempt: again, umask: 0o777, ..keeper.sh(1, "echo again") };
    let second = daemon.run(second);
    assert_eq!((first.output_bytes, second.output_bytes), (4, 6));
    for (attempt, written) in [(attempt(1), "one\n"), (again, "again\n")] {
        let path = output_path(&keeper.path("log"), attempt.stdout());
        assert_eq!(fs::read_to_string(&path).expect("it had output"), written);
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn what_a_background_process_writes_after_its_run_is_drained_and_the_pipe_goes_with_it() {
    let (keeper, mut daemon) = connected();
    assert_eq!(daemon.run(keeper.sh(1, ":")).output_bytes, 0);
    assert!(!keeper.output_path(1).exists(), "no output, no file");
    let gate = keeper.fifo("gate");
    daemon.start(keeper.sh(2, "(read word < gate; echo late) & exit 3"));
    let ended = daemon.finish();
    assert_eq!((ended.end, ended.is_output_open, ended.output_bytes), (End::Exited(3), true, 0));
    drop(daemon);
    open_gate(&gate);
    // It stays for as long as somebody may write.
    waitid(Id::Pid(keeper.pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).expect("it is our child");
    assert_eq!(keeper.output(2), "late\n");
    assert_eq!(attempts_with_pipes(&keeper.path("log")), []);
}

#[test]
fn the_pipe_of_a_result_that_is_acknowledged_last_goes_before_the_keeper_exits() {
    let (keeper, mut daemon) = connected();
    daemon.run(keeper.sh(1, "echo output"));
    drop(daemon);
    waitid(Id::Pid(keeper.pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).expect("it is our child");
    assert_eq!(attempts_with_pipes(&keeper.path("log")), []);
}

#[test]
fn output_through_dev_stderr_is_appended_in_every_language() {
    let (keeper, mut daemon) = connected();
    let scripts = [
        ("sh", "-c", "echo one; echo two >/dev/stderr; echo three >/dev/stdout; echo four"),
        ("bash", "-c", "echo one; echo two >/dev/stderr; echo three &>/dev/stdout; echo four"),
        (
            "perl",
            "-e",
            "$|=1; print qq(one\n); open E, '>', '/dev/stderr'; print E qq(two\n); close E; \
            open O, '>', '/dev/stdout'; print O qq(three\n); close O; print qq(four\n)",
        ),
        (
            "python3",
            "-c",
            "print('one', flush=True); open('/dev/stderr', 'w').write('two\\n'); \
            open('/dev/stdout', 'w').write('three\\n'); print('four')",
        ),
    ];
    for (job, (program, option, script)) in (1..).zip(scripts) {
        let ended = daemon.run(order(job, keeper.dir.path(), &[program, option, script]));
        let missing = End::SpawnFailed { status: 127, cause: format!("`{program}`: command not found") };
        if ended.end == missing {
            has(program, false);
            continue;
        }
        assert_eq!(
            (keeper.output(job).as_str(), ended.end),
            ("one\ntwo\nthree\nfour\n", End::Exited(0)),
            "{program}"
        );
    }
}

#[test]
fn a_timeout_terminates_and_after_kill_after_kills_the_whole_group() {
    let (keeper, mut daemon) = connected();
    let soon = Some(Span::from_millis(30));
    let polite = daemon.run(StartOrder { timeout: soon, ..order(1, keeper.dir.path(), &["sleep", "1000"]) });
    assert_eq!((polite.end, polite.stopped), (End::Signaled(15), Some(StopCause::TimedOut)));
    let held = keeper.fifo("held");
    let script = "trap '' TERM; exec 3> held; sleep 1000 & sleep 1000; sleep 1000";
    // Long enough for the shell to have set its trap.
    let timeout = Some(Span::from_seconds(1));
    daemon.start(StartOrder { timeout, kill_after: Span::from_millis(30), ..keeper.sh(2, script) });
    read_to_end(&held);
    let stubborn = daemon.finish();
    assert_eq!((stubborn.end, stubborn.stopped), (End::Signaled(9), Some(StopCause::TimedOut)));
}

#[test]
fn a_group_whose_leader_obeyed_is_killed_all_the_same_at_the_end_of_kill_after() {
    let (keeper, mut daemon) = connected();
    let (held, gate) = (keeper.fifo("held"), keeper.fifo("gate"));
    // TERM ends the leader, and is its end however late it runs again. The background shell ignores it, and
    // so does its sleep.
    let script = "(trap '' TERM; exec 3> held; echo up > gate; exec sleep 1000) & wait";
    daemon.start(StartOrder { kill_after: Span::from_millis(50), ..keeper.sh(1, script) });
    let reader = std::thread::spawn(move || read_to_end(&held));
    assert_eq!(read_to_end(&gate), "up\n");
    daemon.stop(1, false);
    let ended = daemon.finish();
    assert_eq!((ended.end, ended.stopped), (End::Signaled(15), Some(StopCause::Cancelled)));
    assert!(!ended.is_output_open);
    reader.join().expect("the rest of the group is killed");
}

#[test]
fn a_stop_reaches_a_stopped_group_and_now_means_kill() {
    let (keeper, mut daemon) = connected();
    daemon.start(keeper.sh(1, "kill -STOP $$; sleep 1000"));
    daemon.started(1);
    daemon.stop(1, false);
    let ended = daemon.finish();
    assert_eq!((ended.end, ended.stopped), (End::Signaled(15), Some(StopCause::Cancelled)));
    let gate = keeper.fifo("gate");
    daemon.start(keeper.sh(2, "trap '' TERM; read word < gate; sleep 1000; sleep 1000"));
    open_gate(&gate);
    daemon.stop(2, false);
    daemon.stop(2, true);
    let ended = daemon.finish();
    assert_eq!((ended.end, ended.stopped), (End::Signaled(9), Some(StopCause::Cancelled)));
}

#[test]
fn a_large_environment_arrives_whole_and_one_beyond_the_system_is_refused() {
    let (keeper, mut daemon) = connected();
    let env = |count: usize| {
        let mut env = vec![b"PATH=/usr/bin:/bin".to_vec()];
        env.extend((0..count).map(|index| format!("V{index}={}", "x".repeat(100_000)).into_bytes()));
        env
    };
    let counted = StartOrder { env: env(12), ..keeper.sh(1, "env | wc -c") };
    assert_eq!(daemon.run(counted).end, End::Exited(0));
    assert!(keeper.output(1).trim().parse::<usize>().expect("a number") > 1_200_000);
    let refused = daemon.run(StartOrder { env: env(70), ..keeper.sh(2, ":") });
    let cause = "`sh`: argument list too long".to_owned();
    assert_eq!(refused.end, End::SpawnFailed { status: 125, cause });
}

#[test]
fn a_keeper_has_as_many_descriptors_as_it_may_and_its_jobs_have_what_they_would_have_without_it() {
    let keeper = Keeper::start_after("ulimit -S -n 64");
    let mut daemon = keeper.daemon();
    let gate = keeper.fifo("gate");
    // Each has a pipe of its own in the keeper.
    for job in 1..=100 {
        daemon.start(keeper.sh(job, "read word < gate"));
    }
    let nobody = StartExtras { user: Some("nobody".to_owned()), ..Default::default() };
    let is_root = geteuid().is_root();
    daemon.start(keeper.sh(101, "ulimit -S -n; ls /proc/self/fd"));
    if is_root {
        let order = StartOrder { cwd: b"/".to_vec(), ..keeper.sh(102, "ulimit -S -n; ls /proc/self/fd") };
        daemon.send(ToKeeper::Start(order, nobody));
    }
    for _ in 0..if is_root { 2 } else { 1 } {
        let ended = daemon.finish();
        assert_eq!(
            (ended.end, keeper.output(ended.attempt.run().expect("it is a run").job.0)),
            (End::Exited(0), "64\n0\n1\n2\n3\n".to_owned())
        );
    }
    // Open for reading too, so that those that come to the gate late find their line.
    let mut held = fs::OpenOptions::new().read(true).write(true).open(gate).expect("it is there");
    held.write_all(&[b'\n'; 100]).expect("a pipe holds that much");
    for _ in 1..=100 {
        daemon.finish();
    }
}
