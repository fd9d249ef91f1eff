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
    home.add_and_wait(&["--log-limit", "1G", "-c", "head -c 40000000 /dev/zero | tr '\\0' '#'"]);
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

/// Returns the mark for bytes that a log of `limit` has lost.
fn mark(bytes: usize, limit: &str) -> String {
    format!("\n[taskq: {bytes} bytes of output dropped here: more than the log limit of {limit}]\n")
}

/// Lines of eight bytes.
fn lines(range: std::ops::Range<usize>) -> String {
    range.map(|line| format!("{line:07}\n")).collect()
}

/// Returns the names of the files in the log directory. A pipe stays until the keeper knows of the commit.
fn files_of_outputs(home: &Home) -> Vec<String> {
    let entries = std::fs::read_dir(home.store().join("log")).expect("it is there").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.ends_with(".pipe")).collect()
}

#[test]
fn of_more_output_than_the_log_limit_both_ends_are_shown() {
    let home = Home::with_daemon();
    let script = "seq -f %07.0f 0 99999";
    let whole = lines(0..100_000);
    home.add_and_wait(&["--log-limit", "64K", "-c", script]);
    let kept = format!("{}{}{}", lines(0..4096), mark(800_000 - 65_536, "64K"), lines(95_904..100_000));
    home.taskq(&["log", "1"]).gives(0, &kept, "");
    assert_eq!(home.json(&["runs"])["runs"][0]["output_bytes"], kept.len());
    home.taskq(&["log", "1", "-n", "2"]).gives(0, "0099998\n0099999\n", "");
    home.taskq(&["log", "1", "-f", "-n", "1"]).gives(0, "0099999\n", "");
    // Its tail is in a file of its own, and nothing is dropped.
    home.add_and_wait(&["--log-limit", "800000", "-c", script]);
    home.taskq(&["log", "2"]).gives(0, &whole, "");
    home.add_and_wait(&["-c", script]);
    home.taskq(&["log", "3"]).gives(0, &whole, "");
    home.taskq(&["remove", "1", "2", "3"]).gives(0, "", "");
    assert_eq!(files_of_outputs(&home), Vec::<String>::new());
}

#[test]
fn a_short_output_under_a_log_limit_moves_into_the_run_log() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--log-limit", "4K", "-c", "echo short"]);
    home.taskq(&["log", "1"]).gives(0, "short\n", "");
    assert_eq!(files_of_outputs(&home), Vec::<String>::new());
}

#[test]
fn a_follower_sees_all_that_is_written_beyond_the_log_limit_if_it_keeps_up() {
    let home = Home::with_daemon();
    let gate = home.fifo("gate");
    // Each line that comes through the gate is answered with 8,000 bytes.
    let script = "while read line; do seq -f %07.0f $((line * 1000)) $((line * 1000 + 999)); done <gate";
    home.add(&["--log-limit", "16K", "-c", script]);
    let mut child = home.command(&["log", "-f", "1"]).stdout(Stdio::piped()).spawn().expect("taskq starts");
    let mut shown = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut writer = std::fs::OpenOptions::new().write(true).open(&gate).expect("the job reads");
    for part in 0..100 {
        writeln!(writer, "{part}").expect("the job reads");
        let mut bytes = vec![0; 8_000];
        shown.read_exact(&mut bytes).expect("it follows");
        assert!(bytes == lines(part * 1000..part * 1000 + 1000).into_bytes(), "part {part}");
    }
    drop(writer);
    let mut rest = String::new();
    shown.read_to_string(&mut rest).expect("text");
    assert_eq!((rest.as_str(), child.wait().expect("it ends").code()), ("", Some(0)));
    let kept = format!("{}{}{}", lines(0..1024), mark(800_000 - 16_384, "16K"), lines(98_976..100_000));
    home.taskq(&["log", "1"]).gives(0, &kept, "");
}

/// Returns the lines of a log with timestamps, each as its time and its text.
fn stamped(text: &str) -> Vec<(String, String)> {
    let split = |line: &str| (line[..25].to_owned(), line[26..].to_owned());
    text.lines().map(split).collect()
}

#[test]
fn each_line_has_the_time_at_which_it_was_written_also_in_the_run_log() {
    let home = Home::with_daemon();
    // The second line comes well within the next second.
    let script = "s=$(date +%s); date '+%F %T %z'; \
        while [ $(date +%s%1N) -lt $((s * 10 + 12)) ]; do :; done; date '+%F %T %z'";
    home.add(&["-c", script]);
    let followed = home.taskq(&["log", "-f", "--timestamps", "1"]).answer();
    assert_eq!((followed.status, followed.stderr.as_str()), (0, ""));
    let lines = stamped(&followed.stdout);
    assert_eq!(lines.len(), 2, "{followed:?}");
    assert!(lines[0].0 <= lines[1].0, "{lines:?}");
    assert!(lines[1].0 >= lines[1].1 && lines[1].1 > lines[0].1, "{lines:?}");
    let shown = home.taskq(&["log", "1", "--timestamps"]).answer().stdout;
    let last = shown.lines().last().map(|line| format!("{line}\n")).expect("there are two");
    assert!(followed.stdout.ends_with(&last), "{followed:?} {shown}");
    home.taskq(&["log", "1", "--timestamps", "-n", "1"]).gives(0, &last, "");
    assert_eq!(files_of_outputs(&home), Vec::<String>::new());
}

#[test]
fn a_long_log_and_a_cut_one_have_times_too() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--log-limit", "200000", "-c", "seq -f %07.0f 0 49999"]);
    let shown = home.taskq(&["log", "1", "--timestamps"]).answer().stdout;
    let lines = stamped(&shown);
    let started = &lines[0].0;
    assert_eq!(lines.iter().filter(|(_, text)| text.ends_with("log limit of 200000]")).count(), 1);
    assert_eq!((lines[0].1.as_str(), lines[lines.len() - 1].1.as_str()), ("0000000", "0049999"));
    assert!(lines.iter().all(|(at, _)| at >= started), "{started}");
    let plain = home.taskq(&["log", "1"]).answer().stdout;
    assert!(lines.iter().map(|(_, text)| format!("{text}\n")).collect::<String>() == plain);
}
