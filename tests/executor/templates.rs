//! Owns: far sides of the user's templates, with fake engines.

use std::fs;

use taskq::domain::Span;
use taskq::executor::{Act, Engine, FarStart, FarState, FarStop, Known, Part};

use crate::harness::{Far, eventually, fifo, hear, shells, start};

/// An engine that keeps its jobs as directories of `$HOME/engine`: `submit`, `status`, `cancel`, `logs`, and
/// `go ID` that runs one. It submits a name once.
const FAKE: &str = r#"
cd "$HOME/engine" || exit 1
[ ! -f broken ] || { echo "no server" >&2; exit 1; }
case $1 in
submit)
    [ "$2" != refused ] || { echo "over the quota" >&2; exit 100; }
    mkdir "$TASKQ_FAR_NAME" 2>/dev/null && printf '%s' "$2" >"$TASKQ_FAR_NAME/run"
    [ ! -f silent ] || exit 1
    echo "job/$TASKQ_FAR_NAME" ;;
go)
    cd "${2#job/}" && : >running
    setsid sh ./run >log 2>&1 & echo $! >pid
    wait "$!"
    echo $? >code ;;
status)
    cd "${2#job/}" || exit 1
    if [ -f gone ]; then echo lost
    elif [ -f odd ]; then cat odd
    elif [ -f code ]; then echo "exit $(cat code)"
    elif [ -f running ]; then echo running
    else echo "pending in the queue"
    fi ;;
cancel)
    cd "${2#job/}" 2>/dev/null || exit 0
    if [ -f pid ]; then kill -TERM "$(cat pid)"; else echo 143 >code; fi ;;
logs) cat "${2#job/}/log" ;;
esac
"#;

fn engine(submit: &str) -> Engine {
    let call = |verb: &str| format!("sh \"$HOME/fake\" {verb} \"$TASKQ_FAR_ID\"");
    Engine::Command {
        submit: format!("sh \"$HOME/fake\" submit \"{submit}\""),
        status: call("status"),
        cancel: call("cancel"),
        logs: Some(call("logs")),
    }
}

/// Returns a far side whose engine shares the run directory.
fn shared(shell: &[&str]) -> Far {
    let mut far = Far::new(shell);
    fs::create_dir(far.path("engine")).expect("a directory");
    fs::write(far.path("fake"), FAKE).expect("a file");
    far.engine = engine("exec sh '$TASKQ_FAR_SCRIPT'");
    far
}

/// Returns a far side whose engine gets the command.
fn apart(shell: &[&str]) -> Far {
    let mut far = shared(shell);
    far.engine = engine("exec $TASKQ_FAR_COMMAND");
    far
}

/// Lets the engine run a job.
fn go(far: &Far, name: taskq::executor::FarName) -> std::process::Child {
    let mut command = std::process::Command::new("sh");
    command.arg(far.path("fake")).args(["go", &format!("job/{name}")]).env("HOME", far.home.path());
    command.spawn().expect("a shell")
}

fn unsure(far: &Far, name: taskq::executor::FarName) -> String {
    let parts = far.look(name, Known::Nothing, Span::ZERO);
    match parts.as_slice() {
        [Part::Unsure { cause, .. }] => cause.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_run_is_submitted_once_and_runs_under_the_supervisor() {
    for shell in shells() {
        let far = shared(&shell);
        let run = start(far.name(), "echo ran >>$HOME/marker; echo out; exit 7");
        let name = far.begin(run.clone());
        assert_eq!(far.state(name), FarState::Waiting { reason: "in the queue".to_owned() });
        assert_eq!(far.ask(vec![Act::Start(Box::new(run.clone()))]), [Part::Begun { name }]);
        go(&far, name).wait().expect("it ends");
        let end = far.end(name);
        assert_eq!((end.code, end.text().as_str(), end.by_engine), (7, "out\n", false));
        // The engine starts it again.
        go(&far, name).wait().expect("it ends");
        assert_eq!(fs::read_to_string(far.path("marker")).expect("it ran"), "ran\n");
        assert_eq!(far.ask(vec![Act::Forget { name }]), [Part::Forgotten { name }]);
        assert_eq!(far.ask(vec![Act::Start(Box::new(run))]), [Part::Begun { name }]);
    }
}

#[test]
fn a_stop_goes_through_the_engine_to_the_command() {
    let far = shared(&["sh", "-s"]);
    let pipe = far.path("pipe");
    fifo(&pipe);
    let script = "trap 'exit 42' TERM; echo ready >$HOME/pipe; while :; do sleep 1; done";
    let name = far.begin(start(far.name(), script));
    let mut job = go(&far, name);
    assert_eq!(hear(&pipe), "ready");
    assert_eq!(far.ask(vec![Act::Stop { name, now: false }]), [Part::Stopped { name }]);
    job.wait().expect("it ends");
    let end = far.end(name);
    assert_eq!((end.code, end.stopped), (42, Some(FarStop::Stop)));
    // Before its start.
    let name = far.begin(start(far.name(), "echo ran >>$HOME/marker"));
    let never = Part::State { name, state: FarState::Never };
    assert_eq!(far.ask(vec![Act::Stop { name, now: false }]), [never, Part::Stopped { name }]);
    go(&far, name).wait().expect("it ends");
    assert!(!far.path("marker").exists());
}

#[test]
fn an_engine_without_the_run_directory_is_believed() {
    for shell in shells() {
        let far = apart(&shell);
        let mut run = start(far.name(), "");
        run.argv = ["sh", "-c", "echo 'it is'; exit 7"].map(|word| word.as_bytes().to_vec()).to_vec();
        let name = far.begin(run.clone());
        go(&far, name).wait().expect("it ends");
        let end = far.end(name);
        assert_eq!((end.code, end.text().as_str(), end.by_engine), (7, "it is\n", true));
        assert_eq!(far.ask(vec![Act::Start(Box::new(run))]), [Part::Begun { name }]);
        // A stop while it waits is the engine's to report too.
        let name = far.begin(start(far.name(), "exit 0"));
        assert_eq!(far.ask(vec![Act::Stop { name, now: false }]), [Part::Stopped { name }]);
        let end = far.end(name);
        assert_eq!((end.code, end.stopped, end.by_engine), (143, Some(FarStop::Stop), true));
    }
}

#[test]
fn odd_answers_are_asked_again_and_never_an_end() {
    let far = apart(&["sh", "-s"]);
    let name = far.begin(start(far.name(), "exit 0"));
    let file = |file: &str| far.path("engine").join(name.to_string()).join(file);
    for odd in ["", "exit", "exit x", "exit 256", "exit 0x7", "signal 200", "done", "running fast"] {
        fs::write(file("odd"), odd).expect("a file");
        let cause = unsure(&far, name);
        assert!(cause.starts_with(format!("status: {odd}").trim_end()), "{odd}: {cause}");
    }
    fs::remove_file(file("odd")).expect("a file");
    fs::write(far.path("engine/broken"), "").expect("a file");
    assert_eq!(unsure(&far, name), "status: no server (1)");
    let parts = far.ask(vec![Act::Stop { name, now: false }]);
    assert_eq!(parts, [Part::Unsure { name, cause: "cancel: no server (1)".to_owned() }]);
    let run = start(far.name(), "exit 0");
    let later = run.name;
    let parts = far.ask(vec![Act::Start(Box::new(run.clone()))]);
    assert_eq!(parts, [Part::Unsure { name: later, cause: "submit: no server (1)".to_owned() }]);
    fs::remove_file(far.path("engine/broken")).expect("a file");
    assert_eq!(far.ask(vec![Act::Start(Box::new(run))]), [Part::Started { name: later }]);
    fs::write(file("gone"), "").expect("a file");
    assert_eq!(far.state(name), FarState::Gone { started: true });
    fs::write(far.path("engine").join(later.to_string()).join("odd"), "signal 9\n").expect("a file");
    assert!(matches!(far.state(later), FarState::Ended { code: 137, by_engine: true, .. }));
}

#[test]
fn a_submission_that_was_taken_and_not_confirmed_is_not_made_twice() {
    for far in [shared(&["sh", "-s"]), apart(&["sh", "-s"])] {
        fs::write(far.path("engine/silent"), "").expect("a file");
        let run = start(far.name(), "echo ran >>$HOME/marker");
        let mut run = FarStart { env: vec![], ..run };
        run.argv[2] = format!("echo ran >>{}", far.path("marker").display()).into_bytes();
        let name = run.name;
        let parts = far.ask(vec![Act::Start(Box::new(run.clone()))]);
        assert!(matches!(parts.as_slice(), [Part::Unsure { .. }]), "{parts:?}");
        fs::remove_file(far.path("engine/silent")).expect("a file");
        assert_eq!(far.ask(vec![Act::Start(Box::new(run.clone()))]), [Part::Started { name }]);
        go(&far, name).wait().expect("it ends");
        assert_eq!(far.end(name).code, 0);
        assert_eq!(far.ask(vec![Act::Start(Box::new(run))]), [Part::Begun { name }]);
        assert_eq!(fs::read_to_string(far.path("marker")).expect("it ran"), "ran\n");
    }
    let mut far = apart(&["sh", "-s"]);
    far.engine = engine("refused");
    let run = start(far.name(), "true");
    let name = run.name;
    let refused = [Part::NotStarted { name, cause: "submit: over the quota".to_owned() }];
    assert_eq!(far.ask(vec![Act::Start(Box::new(run.clone()))]), refused);
    eventually("it stays so", || far.look(name, Known::Nothing, Span::ZERO) == refused);
    assert_eq!(far.ask(vec![Act::Start(Box::new(run))]), [Part::Begun { name }]);
}
