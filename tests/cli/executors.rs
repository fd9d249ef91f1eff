//! Owns: executors, as a user sees them: `executor`, `--executor`, where runs are, and why they wait.
//! Never: ssh and Slurm (see `tests/executor`, `tests/crash`): an engine of shell commands stands for them.

use std::fs;

use serde_json::{Value, json};

use crate::filter::squeezed;
use crate::harness::{Home, TASKQ, open_gate};
use crate::recipe::{plain, write_script};

/// The source of taskq-executors(7).
const PAGE: &str = include_str!("../../src/cli/generate/executors.roff");

/// The commands of an engine that starts processes of this machine.
const ENGINE: [&str; 6] = [
    "--opt",
    "submit=setsid sh \"$TASKQ_FAR_SCRIPT\" >/dev/null 2>&1 & echo $!",
    "--opt",
    "status=kill -0 \"$TASKQ_FAR_ID\" 2>/dev/null && echo running || echo lost",
    "--opt",
    "cancel=kill \"$TASKQ_FAR_ID\"",
];

/// Makes an executor with such an engine.
fn make(home: &Home, name: &str, more: &[&str]) {
    let rundir = home.path().join("far").display().to_string();
    let words =
        [&["executor", "add", name, "--type", "command", "--rundir", &rundir], more, &ENGINE].concat();
    home.taskq(&words).gives(0, "", "");
}

fn with_engine() -> Home {
    let mut home = Home::new();
    make(&home, "fake", &[]);
    home.start_daemon(&[]);
    home
}

fn run_of(home: &Home, job: &str) -> Value {
    home.json(&["runs", job, "-n", "1"])["runs"][0].clone()
}

#[test]
fn executors_are_made_changed_listed_and_removed() {
    let home = Home::new();
    insta::assert_snapshot!(home.transcript(&[
        &["executor", "add", "big", "--type", "ssh", "--host", "me@a=8", "--host", "b"],
        &["executor", "add", "hpc", "--type", "slurm"],
        &["executor"],
        &["executor", "set", "big", "--drain", "b", "--host", "c=2", "--place", "sticky"],
        &["executor", "set", "big", "--opt", "resources=gpu=2", "--opt", "config=/etc/ssh_config"],
        &["executor", "set", "big", "--remove-host", "me@a", "--unset-opt", "config"],
        &["executor", "list", "--json"],
        &["executor", "remove", "hpc", "--json"],
    ]));
}

#[test]
fn what_an_executor_cannot_be_is_refused() {
    let home = Home::new();
    make(&home, "fake", &[]);
    insta::assert_snapshot!(home.transcript(&[
        &["executor", "add", "fake", "--type", "ssh", "--host", "a"],
        &["executor", "add", "a b", "--type", "ssh", "--host", "a"],
        &["executor", "add", "x", "--type", "ftp"],
        &["executor", "add", "x", "--type", "ssh"],
        &["executor", "add", "x", "--type", "ssh", "--host", "a=0"],
        &["executor", "add", "x", "--type", "ssh", "--host", "-v"],
        &["executor", "add", "x", "--type", "ssh", "--host", "a", "--opt", "partition=main"],
        &["executor", "add", "x", "--type", "slurm", "--opt", "array=1-9"],
        &["executor", "add", "x", "--type", "command", "--opt", "submit=true"],
        &["executor", "set", "nope", "--slots", "2"],
        &["executor", "set", "fake"],
        &["executor", "set", "fake", "--drain", "a"],
        &["executor", "remove", "nope"],
        &["executor", "check", "nope"],
    ]));
}

#[test]
fn a_job_for_an_executor_that_is_not_there_is_refused_and_the_known_ones_are_named() {
    let home = Home::new();
    let rundir = ["--opt", "resources=gpu=2"];
    let ssh =
        [&["executor", "add", "big", "--type", "ssh", "--host", "a", "--host", "b"][..], &rundir].concat();
    home.taskq(&ssh).gives(0, "", "");
    make(&home, "fake", &[]);
    let refused = |cause: &str, hint: &str| format!("error: cannot add job: {cause}\nhint: {hint}\n");
    let add = |options: &[&str]| home.taskq(&[&["add", "-q"], options, &["true"]].concat());
    let known = refused("there is no executor `bg`", "there is `big`, `fake`");
    add(&["--executor", "bg"]).gives(2, "", &known);
    let hosts = refused("executor `big` has no host `c`", "it has `a`, `b`");
    add(&["--executor", "big:c"]).gives(2, "", &hosts);
    let much = "it needs gpu=3, and there is gpu=2";
    let list = "`taskq executor list --json` lists how much there is";
    add(&["--executor", "big", "-R", "gpu=3"]).gives(2, "", &refused(much, list));
    let user = refused("`--enforce` and `--executor` exclude each other", "the limits of a host are its own");
    add(&["--executor", "big", "-R", "cpu=1", "--enforce"]).gives(2, "", &user);
    home.taskq(&["list"]).gives(0, "", "");
    home.add(&["--name", "j", "true"]);
    let refused = "error: cannot set job `j`: there is no executor `bg`\nhint: there is `big`, `fake`\n";
    home.taskq(&["set", "j", "--executor", "bg"]).gives(2, "", refused);
}

#[test]
fn a_run_on_an_executor_is_like_any_other_and_says_where_it_was() {
    let home = with_engine();
    fs::write(home.path().join("input"), "from here\n").expect("the directory is ours");
    let script = "cat; echo $MINE $SECRET; echo '{\"n\": 3}' >$TASKQ_RESULT_FILE; exit 7";
    let stdin = home.path().join("input").display().to_string();
    let options = ["--name", "j", "--executor", "fake", "--env", "MINE=yes", "--stdin", &stdin];
    home.add(&[&options[..], &["--on-failure", "echo callback >../callback"], &["-c", script]].concat());
    home.taskq(&["wait", "j"]).answer();
    home.taskq(&["log", "j.1"]).gives(0, "from here\nyes\n", "");
    let run = home.json(&["runs", "j"])["runs"].as_array().expect("a list").last().expect("one").clone();
    let found = ["outcome", "exit_code", "executor", "host", "result"].map(|key| run[key].clone());
    assert_eq!(found, [json!("failed"), json!(7), json!("fake"), json!(null), json!({"n": 3})]);
    home.taskq(&["wait", "--queue", "default"]).answer();
    assert_eq!(fs::read_to_string(home.path().join("callback")).expect("it ran here"), "callback\n");
    let shown = home.taskq(&["show", "j"]).answer().stdout;
    assert!(shown.contains("\nExecutor:  fake\n"), "{shown}");
    let listed = squeezed(&home.taskq(&["list", "--all"]).answer().stdout);
    assert!(listed.contains(" EXECUTOR ") && listed.contains(" fake "), "{listed}");
    let stats = home.json(&["stats", "j"])["hosts"].clone();
    assert_eq!((&stats[0]["executor"], &stats[0]["runs"]), (&json!("fake"), &json!(1)));
}

#[test]
fn arrays_retries_and_dependencies_go_there_too() {
    let home = with_engine();
    home.add(&["--name", "a", "--executor", "fake", "--array", "1-5", "-c", "echo $TASKQ_INDEX >>../seen"]);
    let script = "test $TASKQ_ATTEMPT = 2";
    let options = ["--executor", "fake", "--retries", "1", "--retry-delay", "1s", "--after", "a"];
    home.add(&[&["--name", "b"], &options[..], &["-c", script]].concat());
    assert_eq!(home.taskq(&["wait", "b"]).answer().status, 0);
    let mut seen: Vec<String> =
        fs::read_to_string(home.path().join("seen")).expect("they ran").lines().map(str::to_owned).collect();
    seen.sort();
    assert_eq!(seen, ["1", "2", "3", "4", "5"]);
    assert_eq!(run_of(&home, "b")["attempt"], 2);
}

#[test]
fn a_run_there_takes_a_slot_of_its_host_and_none_of_its_queue() {
    let home = {
        let mut home = Home::new();
        make(&home, "fake", &["--slots", "1"]);
        home.start_daemon(&["--slots", "1"]);
        home
    };
    let gate = home.fifo("gate");
    home.add(&["--name", "there", "--executor", "fake", "-c", "read x <gate"]);
    while run_of(&home, "there")["state"] != "running" {
        home.taskq(&["wait", "there", "--timeout", "10ms"]).answer();
    }
    home.add_and_wait(&["--name", "here", "true"]);
    home.add(&["--name", "next", "--executor", "fake", "true"]);
    let why = home.json(&["why", "next"]);
    assert_eq!(why["reason"], "executor", "{why}");
    let said = home.taskq(&["why", "next"]).answer().stdout;
    assert!(said.contains("waits for executor `fake`: it has 1 of 1 runs; queued at "), "{said}");
    let said = home.taskq(&["why", "there"]).answer().stdout;
    assert!(said.starts_with("run 1.1 has been running on `fake` since "), "{said}");
    let used = "error: cannot remove executor `fake`: job 1 and 1 other run there, and are not done\n\
                hint: change each with `taskq set 1 --unset executor`, or cancel it\n";
    home.taskq(&["executor", "remove", "fake"]).gives(1, "", used);
    home.taskq(&["signal", "there", "USR1"]).answer();
    open_gate(&gate);
    assert_eq!(home.taskq(&["wait", "next"]).answer().status, 0);
    home.taskq(&["executor", "remove", "fake"]).gives(0, "", "");
}

#[test]
fn a_run_there_is_cancelled_with_its_trap() {
    let home = with_engine();
    let gate = home.fifo("gate");
    let script = "trap 'kill $!; echo bye; exit 42' TERM; sleep 100 & echo ready >gate; wait";
    home.add(&["--name", "j", "--executor", "fake", "-c", script]);
    assert_eq!(fs::read_to_string(&gate).expect("it writes"), "ready\n");
    while run_of(&home, "j")["state"] != "running" {
        home.taskq(&["wait", "j", "--timeout", "10ms"]).answer();
    }
    home.taskq(&["cancel", "j", "--wait"]).answer();
    let run = run_of(&home, "j");
    assert_eq!((&run["outcome"], &run["exit_code"]), (&json!("cancelled"), &json!(42)), "{run}");
    assert!(home.taskq(&["log", "j"]).answer().stdout.ends_with("bye\n"));
}

#[test]
fn each_host_has_a_job_of_its_own() {
    let home = Home::new();
    home.taskq(&["executor", "add", "big", "--type", "ssh", "--host", "me@a", "--host", "b"])
        .gives(0, "", "");
    home.taskq(&["add", "-q", "--executor", "big", "--each-host", "--name", "up", "uptime"])
        .gives(0, "1\n2\n", "");
    let of = |job: &str| home.json(&["show", job])["job"]["executor"].clone();
    assert_eq!((of("up-me-a"), of("up-b")), (json!("big:me@a"), json!("big:b")));
    let exported = home.taskq(&["export", "toml"]).answer().stdout;
    assert!(exported.contains("executor = \"big:me@a\""), "{exported}");
}

/// A kubectl(1) whose pods are processes of this machine.
const KUBECTL: &str = r#"
cd "$(dirname "$0")/pods" || exit 1
verb=$1
case $verb in
run)
    mkdir "$2" 2>/dev/null || { echo "pod $2 already exists" >&2; exit 1; }
    cd "$2" && echo "pod/$2"
    while [ "$1" != -- ]; do shift; done
    shift
    { setsid "$@" >log 2>&1 </dev/null; echo "$?" >code; } >/dev/null 2>&1 & ;;
get)
    if [ "$2" = pod ]; then echo "pod/$3"; exit; fi
    cd "${2#pod/}" 2>/dev/null || exit 0
    if [ ! -f code ]; then echo "Running "
    elif [ "$(cat code)" = 0 ]; then echo "Succeeded 0"
    else echo "Failed $(cat code)"
    fi ;;
delete) rm -rf "${2#pod/}" ;;
logs) cat "${2#pod/}/log" ;;
esac
"#;

/// Returns the commands below these words of the page.
fn block(after: &str) -> String {
    let (_, text) = PAGE.split_once(after).expect("the page has it");
    let (_, text) = text.split_once(".RS\n").expect("a block follows");
    let (block, _) = text.split_once(".RE\n").expect("it ends");
    block.lines().map(|line| plain(line) + "\n").collect()
}

#[test]
fn the_kubernetes_of_the_manual_runs_jobs() {
    let mut home = Home::new();
    let bin = home.path().join("bin");
    fs::create_dir_all(bin.join("pods")).expect("the directory is ours");
    write_script(&bin.join("kubectl"), KUBECTL);
    std::os::unix::fs::symlink(TASKQ, bin.join("taskq")).expect("the name is free");
    home.set_env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()));
    let made = home.shell("sh").args(["-ec", &block("With Kubernetes")]).output().expect("there is a shell");
    assert!(made.status.success(), "{made:?}");
    let rundir = home.path().join("far").display().to_string();
    home.taskq(&["executor", "set", "k8s", "--rundir", &rundir]).gives(0, "", "");
    home.start_daemon(&[]);
    home.add(&["--name", "good", "--executor", "k8s", "echo", "it's", "here"]);
    home.add(&["--name", "bad", "--executor", "k8s", "-c", "echo no; exit 3"]);
    assert_eq!(["good", "bad"].map(|job| home.taskq(&["wait", job]).answer().status), [0, 3]);
    home.taskq(&["log", "good"]).gives(0, "it's here\n", "");
    home.taskq(&["log", "bad"]).gives(0, "no\n", "");
}
