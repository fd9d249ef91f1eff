//! Owns: what a look reports, and when.

use std::fs;
use std::io::Write;

use taskq::domain::{OutputKind, Span};
use taskq::executor::{Act, Answer, FarState, Known, LookAt, Part};

use crate::harness::{Far, TOKEN, answer, eventually, fifo, hear, kill, release, shells, start, state_of};
use crate::shared::{note, now};

fn at(name: taskq::executor::FarName, stdout_from: u64) -> LookAt {
    LookAt { name, known: Known::Running, stdout_from, stderr_from: 0 }
}

fn output(parts: &[Part]) -> Vec<(u64, u64, Vec<u8>)> {
    let output = parts.iter().filter_map(|part| match part {
        Part::Output { kind: OutputKind::Stdout, from, size, data, .. } => Some((*from, *size, data.clone())),
        _ => None,
    });
    output.collect()
}

#[test]
fn a_look_waits_for_news_and_says_it_at_once() {
    for shell in shells() {
        let far = Far::new(&shell);
        let pipes = [far.path("one"), far.path("two")];
        pipes.iter().for_each(|pipe| fifo(pipe));
        let name = far.start("read go <$HOME/one; echo one; read go <$HOME/two; exit 3");
        let wait = Span::from_seconds(60);
        let look = |from| far.send(vec![Act::Look { runs: vec![at(name, from)], wait, bytes_max: 1_000 }]);
        let long = look(0);
        release(&pipes[0]);
        assert_eq!(output(&answer(long)), [(0, 4, b"one\n".to_vec())]);
        let long = look(4);
        release(&pipes[1]);
        let parts = answer(long);
        // All of the output is known by its size.
        assert_eq!(output(&parts), [(4, 4, Vec::new())]);
        assert!(matches!(state_of(&parts, name), FarState::Ended { code: 3, .. }));
    }
}

#[test]
fn a_look_ends_without_news_and_by_the_bell_of_another_start() {
    let far = Far::new(&["sh", "-s"]);
    let pipe = far.path("pipe");
    fifo(&pipe);
    let name = far.start("read go <$HOME/pipe");
    let begin = now();
    let look = |wait| Act::Look { runs: vec![at(name, 0)], wait, bytes_max: 1_000 };
    let parts = far.ask(vec![look(Span::from_millis(700))]);
    assert!(matches!(state_of(&parts, name), FarState::Running { .. }));
    assert!(begin.elapsed().as_millis() >= 700);
    let long = far.send(vec![look(Span::from_seconds(1_000))]);
    let other = far.start("exit 0");
    assert!(matches!(state_of(&answer(long), name), FarState::Running { .. }));
    // Nobody is left to answer: the shell ends by itself.
    let mut gone = far.send(vec![look(Span::from_seconds(1_000))]);
    drop(gone.stdout.take());
    gone.wait().expect("it ends");
    release(&pipe);
    far.end(name);
    far.end(other);
}

#[test]
fn output_comes_as_it_is_by_its_offset_and_in_shares() {
    for shell in shells() {
        let far = Far::new(&shell);
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        fs::write(far.path("bytes"), &bytes).expect("a file");
        let names: Vec<_> = (0..3).map(|_| far.start("cat $HOME/bytes")).collect();
        names.iter().for_each(|name| assert_eq!(far.end(*name).code, 0));
        let runs = vec![at(names[0], 7), at(names[1], 99_990), at(names[2], 50_000)];
        let parts = far.ask(vec![Act::Look { runs, wait: Span::ZERO, bytes_max: 60_000 }]);
        assert_eq!(
            output(&parts),
            [
                (7, 100_000, bytes[7..20_007].to_vec()),
                (99_990, 100_000, bytes[99_990..].to_vec()),
                (50_000, 100_000, bytes[50_000..89_990].to_vec()),
            ]
        );
        // A truncated answer has only what is whole.
        let output =
            far.send(vec![Act::Look { runs: vec![at(names[0], 0)], wait: Span::ZERO, bytes_max: 90 }]);
        let bytes = output.wait_with_output().expect("it ends").stdout;
        let whole = Answer::read(&bytes, TOKEN);
        assert_eq!((whole.parts.len(), whole.is_whole), (2, true));
        for cut in 0..bytes.len() {
            let part = Answer::read(&bytes[..cut], TOKEN);
            assert!(!part.is_whole && part.parts == whole.parts[..part.parts.len()]);
        }
    }
}

#[test]
fn a_thousand_runs_under_way_are_one_look() {
    let far = Far::new(&["sh", "-s"]);
    let real = far.start("exec sleep 1000");
    let live = live(&far, real);
    // Looks of others: the same process, so that the test needs no thousand of them.
    let names: Vec<_> = (0..1_000).map(|_| far.name()).collect();
    for name in &names {
        fs::create_dir_all(far.of_run(*name, "started")).expect("a directory");
        fs::write(far.of_run(*name, "live"), &live).expect("a file");
        fs::write(far.of_run(*name, "out"), "").expect("a file");
    }
    let runs: Vec<_> = names.iter().map(|name| at(*name, 0)).collect();
    let look = |wait| far.ask(vec![Act::Look { runs: runs.clone(), wait, bytes_max: 1_000 }]);
    let begin = now();
    let parts = look(Span::ZERO);
    note(&format!("a look at 1,000 runs: {:?}", begin.elapsed()));
    let running =
        parts.iter().filter(|part| matches!(part, Part::State { state: FarState::Running { .. }, .. }));
    assert_eq!(running.count(), 1_000);
    kill("-TERM", pid_of(&far, real));
    far.end(real);
}

/// Waits for the supervisor to say what runs.
fn live(far: &Far, name: taskq::executor::FarName) -> String {
    eventually("it runs", || far.of_run(name, "live").exists());
    fs::read_to_string(far.of_run(name, "live")).expect("it is there")
}

fn supervisor_of(far: &Far, name: taskq::executor::FarName) -> u32 {
    live(far, name).split(' ').next().and_then(|word| word.parse().ok()).expect("a pid")
}

fn pid_of(far: &Far, name: taskq::executor::FarName) -> u32 {
    live(far, name);
    match far.state(name) {
        FarState::Running { pid, .. } | FarState::Unattended { pid } => pid,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_killed_supervisor_leaves_the_run_unattended_and_then_gone() {
    for shell in shells() {
        let far = Far::new(&shell);
        let pipe = far.path("pipe");
        fifo(&pipe);
        let name = far.start("echo ready >$HOME/pipe; read go <$HOME/pipe; exit 0");
        assert_eq!(hear(&pipe), "ready");
        kill("-KILL", supervisor_of(&far, name));
        eventually("unattended", || matches!(far.state(name), FarState::Unattended { .. }));
        release(&pipe);
        eventually("gone", || far.state(name) == FarState::Gone { started: true });
        assert_eq!(far.ask(vec![Act::Stop { name, now: true }]), [Part::Stopped { name }]);
        // Stopped all the same, by TERM and after a while by KILL.
        let mut stubborn =
            start(far.name(), "trap '' TERM; echo ready >$HOME/pipe; while :; do sleep 1; done");
        stubborn.kill_after = Span::from_millis(200);
        let name = far.begin(stubborn);
        assert_eq!(hear(&pipe), "ready");
        kill("-KILL", supervisor_of(&far, name));
        eventually("unattended", || matches!(far.state(name), FarState::Unattended { .. }));
        assert_eq!(far.ask(vec![Act::Stop { name, now: false }]), [Part::Stopped { name }]);
        eventually("gone", || far.state(name) == FarState::Gone { started: true });
        // Its timeout is kept too.
        let mut slow = start(far.name(), "echo ready >$HOME/pipe; exec sleep 1000");
        slow.timeout = Some(Span::from_millis(700));
        let name = far.begin(slow);
        assert_eq!(hear(&pipe), "ready");
        kill("-KILL", supervisor_of(&far, name));
        eventually("gone", || far.state(name) == FarState::Gone { started: true });
    }
}

#[test]
fn a_process_id_that_another_process_has_now_is_left_alone() {
    let far = Far::new(&["sh", "-s"]);
    let name = far.start("exec sleep 1000");
    let path = far.of_run(name, "live");
    let live = live(&far, name);
    let mut words: Vec<&str> = live.trim().split(' ').collect();
    let pid = pid_of(&far, name);
    for (word, other) in [(1, "17"), (3, "18")] {
        words[word] = other;
        fs::write(&path, words.join(" ") + "\n").expect("a file");
    }
    assert_eq!(far.state(name), FarState::Gone { started: true });
    far.ask(vec![Act::Stop { name, now: true }]);
    fs::remove_file(far.of_run(name, "stop")).expect("it was written");
    // After another boot too.
    fs::write(&path, live.replace(words[4], "0-0")).expect("a file");
    assert_eq!(far.state(name), FarState::Gone { started: true });
    far.ask(vec![Act::Stop { name, now: true }]);
    fs::remove_file(far.of_run(name, "stop")).expect("it was written");
    fs::write(&path, live).expect("a file");
    assert_eq!(pid_of(&far, name), pid);
    far.ask(vec![Act::Stop { name, now: true }]);
    assert_eq!(far.end(name).code, 137);
}

#[test]
fn a_run_is_suspended_and_continued() {
    for shell in shells() {
        let far = Far::new(&shell);
        let name = far.start("exec sleep 1000");
        let pid = pid_of(&far, name);
        for (signal, letter) in
            [(taskq::executor::FarSignal::Stop, 'T'), (taskq::executor::FarSignal::Continue, 'S')]
        {
            assert_eq!(far.ask(vec![Act::Signal { name, signal }]), [Part::Signaled { name }]);
            eventually("its state", || {
                let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
                stat.contains(&format!(") {letter} "))
            });
        }
        far.ask(vec![Act::Signal { name, signal: taskq::executor::FarSignal::Stop }]);
        far.ask(vec![Act::Stop { name, now: false }]);
        assert_eq!(far.end(name).code, 143);
    }
}

#[test]
fn a_run_directory_that_cannot_be_written_is_a_problem() {
    for shell in shells() {
        let mut far = Far::new(&shell);
        fs::write(far.path("file"), "").expect("a file");
        far.rundir = b"file/x".to_vec();
        let run = start(far.name(), "true");
        let parts = far.ask(vec![Act::Start(Box::new(run))]);
        let [Part::Problem { cause }] = parts.as_slice() else { panic!("{parts:?}") };
        let dir = far.path("file/x").display().to_string();
        assert!(cause.starts_with(&format!("cannot use the run directory {dir}: ")), "{cause}");
    }
}

#[test]
fn a_full_disk_starts_nothing_half() {
    let is_root = nix::unistd::geteuid().is_root();
    if !crate::shared::has("root", is_root) || !crate::shared::has("mount", can_mount()) {
        return;
    }
    for shell in shells() {
        // A mount namespace of its own, with a small file system for the run directory.
        let script = "mount -t tmpfs -o size=256k none \"$HOME/full\" && shift && exec \"$@\"";
        let head = ["unshare", "--mount", "sh", "-c", script, "-", "-"];
        let mut far = Far::new(&[head.as_slice(), &shell].concat());
        fs::create_dir(far.path("full")).expect("a directory");
        far.rundir = b"full".to_vec();
        let mut run = start(far.name(), "echo ran >>$HOME/marker");
        run.stdin = vec![b'x'; 1 << 20];
        let name = run.name;
        let parts = far.ask(vec![Act::Start(Box::new(run))]);
        match parts.as_slice() {
            [Part::NotStarted { name: of, cause }] => {
                assert_eq!(*of, name);
                assert!(cause.to_lowercase().contains("no space"), "{shell:?} {cause}");
            }
            other => panic!("{shell:?} {other:?}"),
        }
        assert!(!far.path("marker").exists());
    }
}

fn can_mount() -> bool {
    std::process::Command::new("unshare")
        .args(["--mount", "true"])
        .status()
        .is_ok_and(|status| status.success())
}

#[test]
fn the_end_is_recorded_on_a_disk_that_is_full_by_then() {
    let is_root = nix::unistd::geteuid().is_root();
    if !crate::shared::has("root", is_root) || !crate::shared::has("mount", can_mount()) {
        return;
    }
    let far = Far::new(&["sh", "-s"]);
    let script = "mount -t tmpfs -o size=256k none \"$HOME/full\" && exec sh -s";
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).env("HOME", far.home.path());
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    fs::create_dir(far.path("full")).expect("a directory");
    let run = start(far.name(), "head -c 1000000 /dev/zero; exit 9");
    let name = run.name;
    let request = |acts| {
        let engine = taskq::executor::Engine::Direct;
        taskq::executor::Request { token: TOKEN, serial: 1, rundir: b"full".to_vec(), engine, acts }
            .to_bytes()
    };
    let look = LookAt { name, known: Known::Running, stdout_from: 1 << 40, stderr_from: 0 };
    let look = Act::Look { runs: vec![look], wait: Span::from_seconds(30), bytes_max: 0 };
    let mut shell = command.spawn().expect("unshare");
    let mut input = shell.stdin.take().expect("a pipe");
    // One shell reads both requests, because the mount is its own.
    let (first, second) = (request(vec![Act::Start(Box::new(run))]), request(vec![look]));
    input.write_all(&[first, b"cd \"$HOME\"\n".to_vec(), second].concat()).expect("it reads");
    drop(input);
    let output = shell.wait_with_output().expect("it ends").stdout;
    let parts = Answer::read(&output, TOKEN).parts;
    assert!(matches!(state_of(&parts, name), FarState::Ended { code: 9, .. }), "{parts:?}");
}
