//! Owns: `log`: whose output, how much of it, byte for byte.
//! Never: the status of a followed run (see `running`).

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use crate::harness::{Home, TASKQ};

#[test]
fn of_a_job_the_latest_run_is_shown_and_of_a_run_its_own() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--name", "a", "-c", "echo $TASKQ_RUN"]);
    home.taskq(&["run", "a", "--wait"]).gives(0, "1.2\n", "");
    home.taskq(&["log", "a"]).gives(0, "1.2\n", "");
    home.taskq(&["log", "1.1"]).gives(0, "1.1\n", "");
    home.taskq(&["log", "a.1"]).gives(0, "1.1\n", "");
    home.taskq(&["log", "a", "--all"]).gives(0, "==> 1.1 a <==\n1.1\n\n==> 1.2 a <==\n1.2\n", "");
}

#[test]
fn several_outputs_have_heads() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--name", "a", "-c", "echo one; echo two"]);
    home.add_and_wait(&["-c", "printf 'no end'"]);
    home.add_and_wait(&["--name", "quiet", "true"]);
    home.taskq(&["log", "quiet", "2", "1.1", "-n", "1"]).gives(
        0,
        "==> 3.1 quiet <==\n\n==> 2.1 <==\nno end\n==> 1.1 a <==\ntwo\n",
        "",
    );
    home.taskq(&["log", "a", "4"]).gives(
        1,
        "",
        "error: cannot show log of job `4`: there is no such job\n\
         hint: list all jobs with `taskq list --all`\n",
    );
    home.taskq(&["log", "-f", "a", "2"]).gives(
        2,
        "",
        "error: cannot follow log: `--follow` follows one run\n",
    );
}

#[test]
fn the_tail_is_counted_in_lines() {
    let home = Home::with_daemon();
    home.add_and_wait(&["-c", "echo 1; echo 2; echo 3; printf 4"]);
    home.taskq(&["log", "1", "--tail", "2"]).gives(0, "3\n4", "");
    home.taskq(&["log", "1", "-n", "2"]).gives(0, "3\n4", "");
    home.taskq(&["log", "1", "--tail", "0"]).gives(0, "", "");
    home.taskq(&["log", "1", "--tail", "99"]).gives(0, "1\n2\n3\n4", "");
    home.taskq(&["log", "1", "--tail", "1", "-f"]).gives(0, "4", "");
}

#[test]
fn a_long_output_has_a_tail_too() {
    let home = Home::with_daemon();
    home.add_and_wait(&["-c", "seq 1 50000"]);
    home.taskq(&["log", "1", "--tail", "3"]).gives(0, "49998\n49999\n50000\n", "");
    assert_eq!(home.taskq(&["log", "1"]).answer().stdout.lines().count(), 50_000);
    assert_eq!(home.taskq(&["log", "1", "--tail", "20000"]).answer().stdout.lines().count(), 20_000);
}

#[test]
fn the_tail_of_a_line_of_40_megabytes_takes_little_memory() {
    let home = Home::with_daemon();
    home.add_and_wait(&["-c", "head -c 40000000 /dev/zero | tr '\\0' '#'"]);
    let mut command = home.shell("sh");
    command.args(["-c", "ulimit -v 50000; exec \"$0\" log 1 --tail 1", TASKQ]);
    let output = command.output().expect("there is a shell");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 40_000_000), "{:?}", output.stderr);
}

#[test]
fn bytes_are_passed_on_as_they_are() {
    let home = Home::with_daemon();
    home.add_and_wait(&["-c", "printf 'a\\377\\033[31mb\\r\\n'"]);
    home.taskq(&["--color", "never", "log", "1"]).gives(0, "a\\xff\u{1b}[31mb\r\n", "");
}

#[test]
fn a_job_that_has_not_run_has_no_log() {
    let home = Home::new();
    home.add(&["--name", "later", "--at", "2031-01-01", "true"]);
    home.taskq(&["log", "later"]).gives(
        1,
        "",
        "error: cannot show log of job `later`: it has not run yet\n\
         hint: see when it will with `taskq next later`\n",
    );
    home.taskq(&["log", "later", "--all"]).gives(0, "", "");
}

#[test]
fn a_followed_log_comes_as_it_is_written() {
    let home = Home::with_daemon();
    let gate = home.fifo("gate");
    home.add(&["-c", "echo before; read line < gate; echo after $line; exit 3"]);
    let mut child = home.command(&["log", "-f", "1"]).stdout(Stdio::piped()).spawn().expect("taskq starts");
    let mut shown = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    shown.read_line(&mut line).expect("text");
    assert_eq!(line, "before\n");
    let mut writer = std::fs::OpenOptions::new().write(true).open(&gate).expect("the job reads");
    writer.write_all(b"all\n").expect("the job reads");
    let mut rest = String::new();
    shown.read_to_string(&mut rest).expect("text");
    assert_eq!((rest.as_str(), child.wait().expect("it ends").code()), ("after all\n", Some(3)));
}
