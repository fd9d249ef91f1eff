//! Owns: far sides on a real Slurm, and accidents of its daemons.

use std::fs;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::time::Duration;

use taskq::domain::Span;
use taskq::executor::{Act, Engine, FarStart, FarState, FarStop, Known, LookAt, Part};

use crate::harness::{Far, children, eventually, fifo, free_port, hear, kill, release, start, state_of};
use crate::shared::{await_ready, has, note};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/executor/slurm.sh");

/// One cluster at a time: two nodes are enough for two cores.
static ONE: Mutex<()> = Mutex::new(());

/// A Slurm of two nodes; it is gone with this value.
struct Cluster {
    dir: tempfile::TempDir,
    _one: std::sync::MutexGuard<'static, ()>,
}

impl Cluster {
    fn up() -> Option<Self> {
        let one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let dir = tempfile::tempdir().expect("a directory");
        let port = free_port().min(65_000);
        let cluster = Self { dir, _one: one };
        let output = cluster.script("up", Some(&port.to_string()));
        let is_there = output.status.code() != Some(77);
        assert!(output.status.success() || !is_there, "{output:?}");
        has("slurm", is_there).then_some(cluster)
    }

    fn script(&self, verb: &str, rest: Option<&str>) -> Output {
        let mut command = Command::new(SCRIPT);
        command.arg(verb).arg(self.dir.path()).args(rest);
        command.output().expect("the script is there")
    }

    fn conf(&self) -> String {
        self.dir.path().join("slurm.conf").display().to_string()
    }

    fn far(&self, options: &[(&str, &str)]) -> Far {
        let mut far = Far::new(&["sh", "-s"]);
        let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        far.engine = Engine::Slurm { options: options.collect() };
        far.env.push(("SLURM_CONF".to_owned(), self.conf()));
        far
    }

    fn tool(&self, words: &[&str]) -> String {
        let mut command = Command::new(words[0]);
        let output = command.args(&words[1..]).env("SLURM_CONF", self.conf()).output().expect("Slurm");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.script("down", None);
        // A step waits for a controller that is gone.
        for entry in fs::read_dir("/proc").expect("there is /proc").flatten() {
            let open = fs::read_dir(entry.path().join("fd")).into_iter().flatten().flatten();
            let links = open.filter_map(|fd| fs::read_link(fd.path()).ok());
            let is_ours = || links.into_iter().any(|link| link.starts_with(&self.dir));
            let comm = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            if comm == "slurmstepd\n" && is_ours() {
                Command::new("kill").arg("-KILL").arg(entry.file_name()).output().ok();
            }
        }
    }
}

/// Returns a start with a limit, so that Slurm has one too.
fn limited(far: &Far, script: &str) -> FarStart {
    let mut run = start(far.name(), script);
    run.timeout = Some(Span::from_seconds(600));
    run.env = vec![format!("H={}", far.home.path().display()).into_bytes()];
    run
}

#[test]
fn runs_on_slurm_end_stop_and_start_once() {
    let Some(cluster) = Cluster::up() else { return };
    let far = cluster.far(&[("partition", "main")]);
    let run = limited(&far, "echo ran >>$H/marker; echo out; exit 7");
    let name = far.begin(run.clone());
    assert_eq!(far.ask(vec![Act::Start(Box::new(run.clone()))]), [Part::Begun { name }]);
    let end = far.end(name);
    assert_eq!((end.code, end.text().as_str(), end.by_engine), (7, "out\n", false));
    far.ask(vec![Act::Forget { name }]);
    assert_eq!(far.ask(vec![Act::Start(Box::new(run))]), [Part::Begun { name }]);
    assert_eq!(fs::read_to_string(far.path("marker")).expect("it ran"), "ran\n");

    let pipe = far.path("pipe");
    fifo(&pipe);
    let script =
        "trap 'echo stopped >>$H/stops; exit 42' TERM; echo ready >$H/pipe; while :; do sleep 1; done";
    let name = far.begin(limited(&far, script));
    assert_eq!(hear(&pipe), "ready");
    assert!(matches!(far.state(name), FarState::Running { .. }));
    assert_eq!(far.ask(vec![Act::Stop { name, now: false }]), [Part::Stopped { name }]);
    let end = far.end(name);
    assert_eq!((end.code, end.stopped, end.by_engine), (42, Some(FarStop::Stop), false));
    assert_eq!(fs::read_to_string(far.path("stops")).expect("it was told"), "stopped\n");
    // A person's scancel(1).
    let name = far.begin(limited(&far, script));
    assert_eq!(hear(&pipe), "ready");
    let job = fs::read_to_string(far.of_run(name, "job")).expect("it was submitted");
    cluster.tool(&["scancel", job.trim()]);
    let end = far.end(name);
    assert_eq!((end.code, end.stopped), (42, Some(FarStop::Stop)));
    assert_eq!(fs::read_to_string(far.path("stops")).expect("it was told"), "stopped\nstopped\n");
    // At once, also if another job was noted.
    let name = far.begin(limited(&far, script));
    assert_eq!(hear(&pipe), "ready");
    fs::write(far.of_run(name, "job"), "999999\n").expect("a file");
    far.ask(vec![Act::Stop { name, now: true }]);
    let end = far.end(name);
    assert_eq!((end.code, end.stopped), (137, Some(FarStop::Kill)));
}

#[test]
fn starts_of_one_job_are_one_array() {
    let Some(cluster) = Cluster::up() else { return };
    let far = cluster.far(&[]);
    let names: Vec<_> = (0..20).map(|_| far.name()).collect();
    let starts = names.iter().zip(0..).map(|(name, n)| {
        let mut run = limited(&far, &format!("echo {n} >>$H/marker; exit {n}"));
        run.name = *name;
        Act::Start(Box::new(run))
    });
    let starts: Vec<_> = starts.collect();
    let parts = far.ask(starts.clone());
    assert_eq!(parts, names.iter().map(|name| Part::Started { name: *name }).collect::<Vec<_>>());
    let jobs: Vec<String> =
        names.iter().map(|name| fs::read_to_string(far.of_run(*name, "job")).expect("an id")).collect();
    let (array, _) = jobs[0].split_once('_').expect("an array");
    for (job, n) in jobs.iter().zip(0..) {
        assert_eq!(job.trim(), format!("{array}_{n}"));
    }
    // A crash before the ids were noted: they are looked up, and nothing is submitted again.
    names.iter().for_each(|name| fs::remove_file(far.of_run(*name, "job")).expect("a file"));
    let parts = far.ask(starts);
    assert_eq!(parts, names.iter().map(|name| Part::Begun { name: *name }).collect::<Vec<_>>());
    for (name, n) in names.iter().zip(0..) {
        assert_eq!(far.end(*name).code, n);
    }
    let ids = cluster.tool(&["squeue", "-h", "-t", "all", "-o", "%F"]);
    assert!(ids.lines().all(|id| id == array), "{ids}");
    let marker = fs::read_to_string(far.path("marker")).expect("they ran");
    assert_eq!(marker.lines().count(), 20);
}

#[test]
fn a_request_that_slurm_refuses_never_starts_and_says_why() {
    let Some(cluster) = Cluster::up() else { return };
    let cases: [(&[(&str, &str)], &str); 3] = [
        (&[("partition", "nope")], "nvalid partition name"),
        (&[("gres", "gpu:1")], "nvalid generic resource"),
        (&[("mem", "900G")], "node configuration is not available"),
    ];
    for (options, words) in cases {
        let far = cluster.far(options);
        let run = limited(&far, "echo ran >>$H/marker");
        let name = run.name;
        let parts = far.ask(vec![Act::Start(Box::new(run))]);
        match parts.as_slice() {
            [Part::NotStarted { name: of, cause }] => {
                assert!(*of == name && cause.contains(words), "{cause}");
            }
            other => panic!("{other:?}"),
        }
    }
    // Without a limit it warns, and runs.
    let far = cluster.far(&[]);
    let run = start(far.name(), "exit 3");
    let name = run.name;
    let parts = far.ask(vec![Act::Start(Box::new(run))]);
    assert!(matches!(parts.as_slice(), [Part::Warning { .. }, Part::Started { .. }]), "{parts:?}");
    assert_eq!(far.end(name).code, 3);
}

#[test]
fn a_pending_run_says_why_and_can_be_stopped_before_it_starts() {
    let Some(cluster) = Cluster::up() else { return };
    let far = cluster.far(&[]);
    let mut run = limited(&far, "exec sleep 1000");
    run.needs = vec![("cpu".to_owned(), 2)];
    let blockers = [run.clone(), FarStart { name: far.name(), ..run.clone() }].map(|run| far.begin(run));
    for name in blockers {
        eventually("it runs", || matches!(far.state(name), FarState::Running { .. }));
    }
    let name = far.begin(FarStart { name: far.name(), ..run.clone() });
    let reason = |state| match state {
        FarState::Waiting { reason } => reason,
        other => panic!("{other:?}"),
    };
    eventually("a reason", || reason(far.state(name)).ends_with(" is PENDING (Resources)"));
    let parts = far.ask(vec![Act::Stop { name, now: false }]);
    assert_eq!(parts, [Part::State { name, state: FarState::Never }, Part::Stopped { name }]);
    // Somebody else's scancel(1) of what waits.
    let other = far.begin(FarStart { name: far.name(), ..run });
    let job = fs::read_to_string(far.of_run(other, "job")).expect("it was submitted");
    cluster.tool(&["scancel", job.trim()]);
    eventually("its end", || {
        let parts = far.look(other, Known::Nothing, Span::ZERO);
        let cause = format!("Slurm job {} was CANCELLED before it started", job.trim());
        parts == [Part::NotStarted { name: other, cause }]
    });
    for name in blockers {
        far.ask(vec![Act::Stop { name, now: false }]);
        assert_eq!(far.end(name).code, 143);
    }
}

#[test]
fn a_controller_that_is_away_leaves_runs_and_the_asker_unsure() {
    let Some(cluster) = Cluster::up() else { return };
    let far = cluster.far(&[]);
    let pipe = far.path("pipe");
    fifo(&pipe);
    let name = far.begin(limited(&far, "read go <$H/pipe; echo ran >>$H/marker; exit 6"));
    eventually("it runs", || matches!(far.state(name), FarState::Running { .. }));
    cluster.script("ctl-down", None);
    let parts = far.look(name, Known::Running, Span::ZERO);
    assert!(matches!(parts.as_slice(), [Part::Unsure { .. }]), "{parts:?}");
    let run = limited(&far, "exit 8");
    let later = run.name;
    let parts = far.ask(vec![Act::Start(Box::new(run.clone()))]);
    assert!(matches!(parts.as_slice(), [Part::Unsure { .. }]), "{parts:?}");
    release(&pipe);
    // The end is in the run directory, whatever Slurm says.
    let look = LookAt { name, known: Known::Running, stdout_from: 0, stderr_from: 0 };
    let look = Act::Look { runs: vec![look], wait: Span::from_seconds(60), bytes_max: 100 };
    assert!(matches!(state_of(&far.ask(vec![look]), name), FarState::Ended { code: 6, .. }));
    cluster.script("ctl-up", None);
    eventually("it answers", || cluster.tool(&["sinfo", "-h", "-o", "%D"]) == "2");
    let parts = far.ask(vec![Act::Start(Box::new(run))]);
    assert!(matches!(parts.as_slice(), [Part::Started { .. } | Part::Begun { .. }]), "{parts:?}");
    assert_eq!(far.end(later).code, 8);
    assert_eq!(fs::read_to_string(far.path("marker")).expect("it ran"), "ran\n");
}

#[test]
fn the_word_of_slurm_is_second_and_a_node_daemon_may_die() {
    let Some(cluster) = Cluster::up() else { return };
    let far = cluster.far(&[]);
    let pipe = far.path("pipe");
    fifo(&pipe);
    let job = far.begin(limited(&far, "read go <$H/pipe; exit 5"));
    eventually("it runs", || matches!(far.state(job), FarState::Running { .. }));
    for node in ["1", "2"] {
        cluster.script("node-down", Some(node));
        cluster.script("node-up", Some(node));
    }
    release(&pipe);
    assert_eq!((far.end(job).code, far.end(job).by_engine), (5, false));
    // A second start by Slurm itself. A stop finds the job that runs it.
    let run = far.begin(limited(&far, "echo ran >>$H/marker; exec sleep 1000"));
    eventually("it ran", || far.path("marker").exists());
    let again = "cd \"$1\" && set -- \"$2\" \"$2\"/try.* && exec sh ./supervise.* \"$1\" \"${2##*/}\"";
    let dir = far.of_run(run, "..").canonicalize().expect("a directory");
    let output = Command::new("sh").args(["-c", again, "-"]).arg(dir).arg(run.to_string()).output();
    let output = output.expect("a shell");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(75), b"begun\n".as_slice()));
    assert_eq!(fs::read_to_string(far.path("marker")).expect("it ran"), "ran\n");
    // The supervisor is killed: Slurm ends the rest, and its word counts after a while.
    let live = fs::read_to_string(far.of_run(run, "live")).expect("it runs");
    let supervisor = live.split(' ').next().and_then(|word| word.parse().ok()).expect("a pid");
    kill("-KILL", supervisor);
    let mut causes = Vec::new();
    eventually("its end", || match far.look(run, Known::Running, Span::from_seconds(1)).as_slice() {
        [Part::Unsure { cause, .. }] => {
            causes.push(cause.clone());
            false
        }
        [Part::State { state: FarState::Running { .. }, .. }] => false,
        [Part::State { state, .. }] => {
            let ended =
                FarState::Ended { code: 137, started: None, at: None, stopped: None, by_engine: true };
            assert_eq!(*state, ended);
            true
        }
        other => panic!("{other:?}"),
    });
    assert!(
        causes.iter().any(|cause| cause.ends_with("its end is not in the run directory yet")),
        "{causes:?}"
    );
}

#[test]
fn a_node_without_the_run_directory_and_a_controller_that_forgot() {
    let Some(cluster) = Cluster::up() else { return };
    let mut far = cluster.far(&[("begin", "now+2")]);
    let run = limited(&far, "echo ran >>$H/marker");
    let name = far.begin(run.clone());
    let dir = far.of_run(name, "..").canonicalize().expect("a directory");
    // As if the node did not see what was written here.
    fs::remove_file(far.of_run(name, "batch")).expect("a file");
    let job = fs::read_to_string(far.of_run(name, "job")).expect("it was submitted");
    let mut parts = Vec::new();
    eventually("its end", || {
        parts = far.look(name, Known::Waiting, Span::from_seconds(1));
        matches!(parts.as_slice(), [Part::NotStarted { .. }])
    });
    let cause = format!(
        "Slurm job {} was FAILED before it started: its node has no directory {}",
        job.trim(),
        dir.display()
    );
    assert_eq!(parts, [Part::NotStarted { name, cause }]);
    // A job that Slurm does not know any more: gone only because it says so.
    far.engine = Engine::Slurm { options: vec![("begin".to_owned(), "now+600".to_owned())] };
    let name = far.begin(FarStart { name: far.name(), ..run });
    fs::write(far.of_run(name, "job"), "999999\n").expect("a file");
    let mut causes = 0;
    eventually("it is gone", || {
        parts = far.look(name, Known::Waiting, Span::from_seconds(1));
        causes += usize::from(matches!(parts.as_slice(), [Part::Unsure { .. }]));
        parts == [Part::State { name, state: FarState::Gone { started: false } }]
    });
    assert!(causes > 0);
    let never = Part::State { name, state: FarState::Never };
    assert_eq!(far.ask(vec![Act::Stop { name, now: true }]), [never, Part::Stopped { name }]);
    assert!(!far.path("marker").exists());
}

#[test]
fn a_submission_that_is_killed_at_any_time_runs_once() {
    let Some(cluster) = Cluster::up() else { return };
    let far = cluster.far(&[]);
    let mut resent = 0;
    let names: Vec<_> = (0..16_u8)
        .map(|n| {
            let run = limited(&far, &format!("echo ran >>$H/marker{n}"));
            let name = run.name;
            let acts = vec![Act::Start(Box::new(run))];
            let mut first = far.send(acts.clone());
            await_ready(&mut [], Duration::from_millis(u64::from(n) * 3));
            // With and without the client of Slurm.
            let clients = if n % 2 == 0 { children(first.id()) } else { Vec::new() };
            first.kill().expect("it was started");
            clients
                .into_iter()
                .for_each(|pid| drop(Command::new("kill").args(["-KILL", &pid.to_string()]).output()));
            first.wait().expect("it was killed");
            match far.ask(acts).as_slice() {
                [Part::Started { .. }] => resent += 1,
                [Part::Begun { .. }] => {}
                other => panic!("{other:?}"),
            }
            name
        })
        .collect();
    for (name, n) in names.into_iter().zip(0..) {
        assert_eq!(far.end(name).code, 0);
        assert_eq!(fs::read_to_string(far.path(&format!("marker{n}"))).expect("it ran"), "ran\n");
    }
    note(&format!("{resent} of 16 were submitted by the second request"));
}
