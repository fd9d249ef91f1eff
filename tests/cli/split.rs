//! Owns: `--split-output`: standard output and standard error as two outputs.
//! Never: how the keeper takes them (see `tests/keeper`).

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{Home, TASKQ};

const BOTH: &str = "echo out; echo error >&2";

fn bytes_of(run: &Value) -> (Option<u64>, Option<u64>) {
    (run["output_bytes"].as_u64(), run["stderr_bytes"].as_u64())
}

/// Returns the names of the files in the log directory. A pipe stays until the keeper knows of the commit.
fn files(home: &Home) -> Vec<String> {
    let entries = std::fs::read_dir(home.store().join("log")).expect("it is there").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| !name.ends_with(".pipe")).collect();
    names.sort();
    names
}

#[test]
fn each_output_is_shown_by_itself_with_its_size() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--split-output", "-c", &format!("{BOTH}; echo more >&2")]);
    home.taskq(&["log", "1"]).gives(0, "out\n", "");
    home.taskq(&["log", "1", "--stderr"]).gives(0, "error\nmore\n", "");
    home.taskq(&["log", "1", "--stderr", "-n", "1"]).gives(0, "more\n", "");
    home.taskq(&["log", "-f", "1", "--stderr"]).gives(0, "error\nmore\n", "");
    assert_eq!(bytes_of(&home.json(&["runs"])["runs"][0]), (Some(4), Some(11)));
    assert_eq!(files(&home), Vec::<String>::new(), "both are in the run log");
    home.add_and_wait(&["-c", BOTH]);
    home.taskq(&["log", "2"]).gives(0, "out\nerror\n", "");
    assert_eq!(bytes_of(&home.json(&["runs"])["runs"][0]), (Some(10), None));
}

#[test]
fn two_long_outputs_stay_files_each_with_a_limit_and_times_of_its_own() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--split-output", "--log-limit", "64K", "-c", "seq 30000; seq 99999 >&2; seq 9"]);
    let run = home.json(&["runs"])["runs"][0].clone();
    for (arguments, bytes) in [(&["log", "1"][..], 0), (&["log", "1", "--stderr"], 1)] {
        let shown = home.taskq(arguments).answer().stdout;
        assert_eq!(shown.matches("more than the log limit of 64K]").count(), 1);
        let size = [bytes_of(&run).0, bytes_of(&run).1][bytes];
        assert_eq!(size, Some(shown.len() as u64));
        let stamped = home.taskq(&[arguments, &["--timestamps"]].concat()).answer().stdout;
        let plain: String = stamped.lines().map(|line| format!("{}\n", &line[26..])).collect();
        assert!(plain == shown);
    }
    let tail = |arguments: &[&str]| home.taskq(&[arguments, &["-n", "1"]].concat()).answer().stdout;
    assert_eq!((tail(&["log", "1"]), tail(&["log", "1", "--stderr"])), ("9\n".into(), "99999\n".into()));
    assert!(files(&home).contains(&"1.1.stderr".to_owned()));
    home.taskq(&["remove", "1"]).gives(0, "", "");
    assert_eq!(files(&home), Vec::<String>::new());
}

#[test]
fn a_standard_error_that_is_not_apart_is_refused() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--name", "a", "--cron", "@yearly", "-c", BOTH]);
    let unsplit = "error: cannot show log of job `a`: it has not run yet\n\
                   hint: see when it will with `taskq next a`\n";
    home.taskq(&["log", "a", "--stderr"]).gives(1, "", unsplit);
    home.taskq(&["run", "a", "--wait"]).gives(0, "1.1\n", "");
    let refused = |verb: &str| {
        format!(
            "error: cannot {verb} standard error of run `1.1`: it ran without `--split-output`\n\
             hint: see standard output and standard error together with `taskq log 1.1`\n"
        )
    };
    home.taskq(&["log", "a", "--stderr"]).gives(1, "", &refused("show"));
    home.taskq(&["log", "a", "--stderr", "--all"]).gives(1, "", &refused("show"));
    home.taskq(&["log", "a", "--stderr", "-f"]).gives(1, "", &refused("follow"));
    home.taskq(&["set", "a", "--split-output"]).gives(0, "split-output none → yes\n", "");
    home.taskq(&["run", "a", "--wait"]).gives(0, "1.2\n", "");
    home.taskq(&["log", "a", "--stderr"]).gives(0, "error\n", "");
    // What has run stays as it was.
    home.taskq(&["log", "1.1", "--stderr"]).gives(1, "", &refused("show"));
    let said = "run 1.1: it ran without `--split-output`\n";
    home.taskq(&["log", "a", "--stderr", "--all"]).gives(0, "==> 1.2 a <==\nerror\n", said);
    home.taskq(&["log", "1.1", "a", "--stderr"]).gives(1, "==> 1.2 a <==\nerror\n", said);
    home.taskq(&["set", "a", "--unset", "split-output"]).gives(0, "split-output yes → none\n", "");
    home.taskq(&["run", "a", "--wait"]).gives(0, "1.3\n", "");
    home.taskq(&["log", "a"]).gives(0, "out\nerror\n", "");
    home.taskq(&["log", "1.2"]).gives(0, "out\n", "");
    let said = "2 runs ran without `--split-output`\n";
    home.taskq(&["log", "a", "--stderr", "--all"]).gives(0, "==> 1.2 a <==\nerror\n", said);
}

#[test]
fn a_run_that_has_not_begun_has_no_standard_error_yet() {
    let home = Home::with_daemon();
    home.add(&["--hold", "--split-output", "-c", BOTH]);
    home.taskq(&["log", "1", "--stderr"]).gives(0, "", "");
    home.taskq(&["cancel", "1"]).gives(0, "", "");
    home.taskq(&["log", "1.1", "--stderr"]).gives(0, "", "run 1.1: cancelled\n");
    home.add_and_wait(&["--split-output", "--", "no-such-program"]);
    let said = "run 2.1: spawn_failed, `no-such-program`: command not found\n";
    home.taskq(&["log", "2", "--stderr"]).gives(0, "", said);
}

#[test]
fn a_follower_of_one_output_sees_it_grow_and_a_follower_of_a_run_sees_both_apart() {
    let home = Home::with_daemon();
    let gate = home.fifo("gate");
    let script = "while read line; do echo $line; read line; echo error $line >&2; done <gate; exit 3";
    home.add(&["--split-output", "--cron", "@yearly", "-c", script]);
    let mut run = home.command(&["run", "--follow", "1"]);
    let mut run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("taskq starts");
    let mut stdout = BufReader::new(run.stdout.take().expect("it is piped"));
    let mut stderr = BufReader::new(run.stderr.take().expect("it is piped"));
    let line = |from: &mut dyn BufRead| {
        let mut line = String::new();
        from.read_line(&mut line).expect("it follows");
        line
    };
    assert_eq!(line(&mut stderr), "1.1\n");
    let mut log = home.command(&["log", "-f", "1", "--stderr"]);
    let mut log = log.stdout(Stdio::piped()).spawn().expect("taskq starts");
    let mut logged = BufReader::new(log.stdout.take().expect("it is piped"));
    let mut writer = std::fs::OpenOptions::new().write(true).open(&gate).expect("the job reads");
    for number in 0..20 {
        writeln!(writer, "{number}").expect("the job reads");
        assert_eq!(line(&mut stdout), format!("{number}\n"));
        writeln!(writer, "{number}").expect("the job reads");
        let error = format!("error {number}\n");
        assert_eq!((line(&mut stderr), line(&mut logged)), (error.clone(), error));
    }
    drop(writer);
    let mut rest = String::new();
    for stream in [&mut stdout as &mut dyn Read, &mut stderr, &mut logged] {
        stream.read_to_string(&mut rest).expect("text");
    }
    let status = |mut child: std::process::Child| child.wait().expect("it ends").code();
    assert_eq!((rest.as_str(), status(run), status(log)), ("", Some(3), Some(3)));
}

#[test]
fn each_attempt_and_each_index_has_two_outputs() {
    let home = Home::with_daemon();
    let script = "echo out $TASKQ_ATTEMPT; echo error $TASKQ_ATTEMPT >&2; exit 1";
    home.add(&["--split-output", "--retries", "1", "--retry-delay", "1ms", "-c", script]);
    home.taskq(&["wait", "1"]).gives(1, "", "");
    home.taskq(&["log", "1"]).gives(0, "out 2\n", "");
    home.taskq(&["log", "1", "--stderr"]).gives(0, "error 2\n", "");
    home.taskq(&["log", "1", "--stderr", "--attempt", "1"]).gives(0, "error 1\n", "");
    let run = home.json(&["show", "1"])["last_runs"][0].clone();
    let attempts = run["attempts"].as_array().expect("a list");
    assert_eq!(attempts.iter().map(bytes_of).collect::<Vec<_>>(), [(Some(6), Some(8)); 2]);
    home.add_and_wait(&[
        "--array",
        "1-3",
        "--split-output",
        "-c",
        "echo $TASKQ_INDEX; echo e$TASKQ_INDEX >&2",
    ]);
    home.taskq(&["log", "2"]).gives(0, "1\n2\n3\n", "");
    home.taskq(&["log", "2", "--stderr"]).gives(0, "e1\ne2\ne3\n", "");
    home.taskq(&["log", "2/2", "--stderr"]).gives(0, "e2\n", "");
    home.taskq(&["log", "-f", "2", "--stderr"]).gives(0, "e1\ne2\ne3\n", "");
}

#[test]
fn the_standard_output_alone_is_read_by_another_run() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--split-output", "-c", BOTH]);
    home.add_and_wait(&["--after", "1", "--stdin-from", "1", "--", "cat"]);
    home.taskq(&["log", "2"]).gives(0, "out\n", "");
    home.add_and_wait(&["--split-output", "-c", "seq 30000; seq 9 >&2"]);
    home.add_and_wait(&["--after", "3", "--stdin-from", "3", "-c", "wc -l"]);
    home.taskq(&["log", "4"]).gives(0, "30000\n", "");
}

#[test]
fn a_limit_for_the_store_counts_both_outputs_and_deletes_both() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--split-output", "-c", "head -c 70000 /dev/zero; head -c 30000 /dev/zero >&2"]);
    home.add_and_wait(&["--split-output", "-c", BOTH]);
    let script = format!("{BOTH}; test $TASKQ_ATTEMPT = 2");
    home.add_and_wait(&["--split-output", "--retries", "1", "--retry-delay", "1ms", "-c", &script]);
    home.add_and_wait(&["-c", "echo kept"]);
    let outputs = home.json(&["prune", "--output-limit", "5"])["outputs"].clone();
    assert_eq!(outputs, serde_json::json!({"runs": 3, "bytes": 100_030, "left_bytes": 5}));
    assert_eq!(files(&home), Vec::<String>::new());
    for run in ["1.1", "2.1", "3.1"] {
        let said = format!("run {run}: its output was pruned\n");
        home.taskq(&["log", run, "--stderr"]).gives(1, "", &said);
    }
    home.taskq(&["log", "4"]).gives(0, "kept\n", "");
}

#[test]
fn the_option_goes_through_files_and_is_named_where_it_cannot_be_said() {
    let home = Home::with_daemon();
    home.add(&["--name", "a", "--cron", "@yearly", "--tz", "system", "--split-output", "-c", BOTH]);
    let line = home.taskq(&["export", "json", "--with-environment"]).answer().stdout;
    assert!(line.contains("\"split_output\":true"), "{line}");
    home.taskq(&["add", "--from", "-"])
        .stdin(line.replace("\"name\":\"a\"", "\"name\":\"b\""))
        .gives(0, "2\n", "");
    assert_eq!(home.json(&["show", "b"])["job"]["split_output"], true);
    for format in ["crontab", "systemd"] {
        let said = home.taskq(&["export", format, "a"]).answer();
        assert!(said.stderr.contains("cannot say `--split-output`") && said.status == 1, "{said:?}");
    }
    let wrong = "{\"script\":\"x\",\"split_output\":\"yes\"}";
    home.taskq(&["add", "--from", "-"]).stdin(wrong).gives(
        2,
        "",
        "error: cannot add the job in line 1 of standard input: `split_output` takes `true` or `false`, \
         not `\"yes\"`\n",
    );
    let shown = home.taskq(&["show", "a"]).answer().stdout;
    assert!(shown.contains("(of more, the first and the last half), standard error apart\n"), "{shown}");
}

#[test]
fn a_follower_whose_pipe_is_closed_ends() {
    let home = Home::with_daemon();
    home.add(&["--split-output", "--cron", "@yearly", "-c", "yes error >&2"]);
    let line = "\"$0\" run 1 >/dev/null; \"$0\" log -f 1 --stderr | head -n 1; \"$0\" cancel 1";
    let output = home.shell("sh").args(["-c", line, TASKQ]).output().expect("a shell");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "error\n");
}
