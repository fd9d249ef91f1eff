//! Owns: jobs that run after others, as a user sees them.
//! Never: which run waits for which (see `tests/sim`).

use crate::harness::{Home, open_gate};

/// A home with a job `a` that runs until its gate opens, and then ends with `status`.
fn gated(status: u8) -> (Home, std::path::PathBuf) {
    let home = Home::with_daemon();
    let gate = home.fifo("gate");
    home.add(&["--name", "a", "-c", &format!("read x <gate; exit {status}")]);
    (home, gate)
}

fn states(home: &Home) -> Vec<String> {
    let jobs = home.json(&["list", "-a"])["jobs"].as_array().expect("a list").clone();
    jobs.iter().map(|job| job["state"].as_str().expect("a word").to_owned()).collect()
}

#[test]
fn a_job_waits_for_the_run_of_another_and_knows_which() {
    let (home, gate) = gated(0);
    home.add(&["--name", "b", "--after", "a", "-c", "echo $TASKQ_AFTER_RUNS"]);
    home.add(&["--name", "c", "--after", "b", "--after", "a:done", "-c", "echo $TASKQ_AFTER_RUNS"]);
    assert_eq!(states(&home)[1..], ["blocked", "blocked"]);
    let run = home.json(&["runs", "b"])["runs"][0].clone();
    assert_eq!((run["state"].as_str(), run["blocked"].as_bool()), (Some("queued"), Some(true)));
    open_gate(&gate);
    home.taskq(&["wait", "c"]).gives(0, "", "");
    home.taskq(&["log", "b"]).gives(0, "1.1\n", "");
    home.taskq(&["log", "c"]).gives(0, "2.1 1.1\n", "");
    assert_eq!(home.json(&["runs", "c"])["runs"][0]["after_runs"], serde_json::json!(["2.1", "1.1"]));
}

#[test]
fn a_run_that_can_never_start_is_skipped_with_the_reason_and_so_on_down_the_chain() {
    let (home, gate) = gated(3);
    home.add(&["--name", "b", "--after", "a", "--", "true"]);
    home.add(&["--name", "c", "--after", "b", "--", "true"]);
    home.add(&["--name", "d", "--after", "a:failed", "--", "true"]);
    home.add(&["--name", "e", "--after", "b", "--after", "a:failed", "--any", "--", "true"]);
    open_gate(&gate);
    home.taskq(&["wait", "e"]).gives(0, "", "");
    let job = |name: &str| {
        let job = home.json(&["show", name]);
        let cause = job["last_runs"][0]["cause"].as_str().unwrap_or_default().to_owned();
        (job["job"]["last_outcome"].as_str().unwrap_or_default().to_owned(), cause)
    };
    let skipped = |cause: &str| ("skipped".to_owned(), cause.to_owned());
    assert_eq!(job("b"), skipped("run 1.1 of `a` ended as `failed`, and it waited for success"));
    assert_eq!(job("c"), skipped("run 2.1 of `b` ended as `skipped`, and it waited for success"));
    assert_eq!(job("d").0, "success");
    let why = "run 3.1: skipped, run 2.1 of `b` ended as `skipped`, and it waited for success\n";
    home.taskq(&["wait", "c"]).gives(125, "", why);
}

#[test]
fn a_batch_may_name_its_own_jobs_in_any_order() {
    let home = Home::with_daemon();
    let line = |name: &str, after: &str| {
        let after = if after.is_empty() { String::new() } else { format!(",\"after\":\"{after}\"") };
        format!("{{\"script\":\"true\",\"name\":\"{name}\"{after}}}\n")
    };
    let lines = [line("c", "b"), line("b", "a"), line("a", "")].concat();
    home.taskq(&["add", "--from", "-"]).stdin(lines).gives(0, "1\n2\n3\n", "");
    home.taskq(&["wait", "c"]).gives(0, "", "");
    let cycle = [line("x", "z"), line("y", "x"), line("z", "y")].concat();
    home.taskq(&["add", "--from", "-"]).stdin(cycle).gives(
        2,
        "",
        "error: cannot add the job in line 1 of standard input: it would wait for itself: x → z → y → x\n",
    );
    assert_eq!(states(&home).len(), 3);
}

#[test]
fn a_job_that_would_wait_for_itself_is_refused_with_the_path() {
    let home = Home::new();
    home.add(&["--name", "a", "--hold", "--", "true"]);
    home.add(&["--name", "b", "--after", "a", "--", "true"]);
    home.add(&["--after", "b", "--", "true"]);
    let refused = |args: &[&str], cause: &str| {
        home.taskq(args).gives(2, "", &format!("error: cannot {cause}\n"));
    };
    refused(&["add", "--name", "x", "--after", "x", "true"], "add job `x`: it would wait for itself: x → x");
    refused(&["set", "a", "--after", "3"], "set job `a`: it would wait for itself: a → 3 → b → a");
    refused(
        &["add", "--replace", "--name", "a", "--after", "3", "true"],
        "add job `a`: it would wait for itself: a → 3 → b → a",
    );
    refused(&["add", "--any", "true"], "add job: `--any` needs `--after`");
    refused(
        &["add", "--after", "a:ok", "true"],
        "add job: `--after a:ok`: `ok` in `a:ok` is not one of `success`, `failed` and `done`",
    );
    refused(
        &["add", "--after", "a.1", "true"],
        "add job: `--after a.1`: `a.1` names a part of a job: name the job, `a`",
    );
    assert_eq!(home.json(&["list", "-a"])["jobs"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_job_that_another_one_runs_after_keeps_its_place() {
    let home = Home::new();
    home.add(&["--name", "a", "--hold", "--", "true"]);
    home.add(&["--name", "b", "--after", "a", "--", "true"]);
    home.taskq(&["remove", "a"]).gives(
        1,
        "",
        "error: cannot remove job `a`: job 2 waits for it or listens to it\n\
         hint: see what it needs with `taskq show 2`, and change it with `taskq set`\n",
    );
    home.taskq(&["rename", "a", "z"]).gives(0, "", "");
    assert_eq!(home.json(&["show", "b"])["job"]["after"], serde_json::json!(["z"]));
    home.taskq(&["set", "b", "--unset", "after"]).gives(0, "after z → none\n", "");
    assert_eq!(states(&home)[1], "queued");
    home.taskq(&["set", "b", "--after", "1:done"]).gives(0, "after none → 1:done\n", "");
    assert_eq!(states(&home)[1], "blocked");
    home.taskq(&["export", "json", "--with-environment", "b"]).gives(
        1,
        "",
        "job 2 (`b`) is left out: `--after 1:done`: job 1 has another id elsewhere; name it\n",
    );
    home.taskq(&["remove", "z", "b"]).gives(0, "", "");
}

#[test]
fn a_run_by_hand_waits_for_no_other_job() {
    let (home, gate) = gated(0);
    home.add(&["--name", "b", "--after", "a", "--", "true"]);
    home.taskq(&["run", "--wait", "b"]).gives(0, "2.2\n", "");
    assert_eq!(states(&home)[1], "blocked", "2.1 waits on");
    open_gate(&gate);
}

#[test]
fn the_jobs_before_and_after_a_job_are_shown_as_trees() {
    let home = Home::new();
    home.add(&["--name", "a", "--hold", "--", "true"]);
    home.add(&["--name", "b", "--after", "a", "--", "true"]);
    home.add(&["--name", "c", "--after", "b:done", "--after", "a", "--", "true"]);
    home.add(&["--name", "d", "--after", "c", "--", "true"]);
    let shows = |job: &str, tree: &str| {
        let text = home.taskq(&["show", job]).answer().stdout;
        assert!(text.contains(tree), "{text}");
    };
    shows(
        "d",
        "Waits for: c, blocked\n             b:done, blocked\n               a, paused\n             a, as \
         above\n",
    );
    shows(
        "a",
        "Needed by: b, blocked\n             c, blocked\n               d, blocked\n           c, as above\n",
    );
}

/// Returns the outcome of the last run of a job, and its cause.
fn end_of(home: &Home, job: &str) -> (String, String) {
    let run = home.json(&["show", job])["last_runs"][0].clone();
    let text = |key: &str| run[key].as_str().unwrap_or_default().to_owned();
    (text("outcome"), text("cause"))
}

#[test]
fn a_run_reads_the_output_of_the_run_that_it_waited_for() {
    let (home, gate) = gated(0);
    home.add(&[
        "--name",
        "made",
        "-c",
        "echo one; test $TASKQ_ATTEMPT = 2",
        "--retries",
        "1",
        "--retry-delay",
        "1ms",
    ]);
    home.add(&["--name", "long", "-c", "seq 100000"]);
    home.add(&["--name", "b", "--after", "a", "--after", "made", "--stdin-from", "made", "--", "cat"]);
    home.add(&["--name", "c", "--after", "long", "--stdin-from", "long", "-c", "md5sum"]);
    home.add(&["--name", "d", "--after", "a", "--stdin-from", "a", "--", "cat"]);
    open_gate(&gate);
    home.taskq(&["wait", "b", "c", "d"]).gives(0, "", "");
    home.taskq(&["log", "b"]).gives(0, "one\n", "");
    let sum = home.shell("/bin/sh").args(["-c", "seq 100000 | md5sum"]).output().expect("a shell");
    home.taskq(&["log", "c"]).gives(0, &String::from_utf8_lossy(&sum.stdout), "");
    home.taskq(&["log", "d"]).gives(0, "", "");
    home.taskq(&["retry", "b"]).gives(0, "4.2\n", "");
    home.taskq(&["wait", "b"]).gives(0, "", "");
    home.taskq(&["log", "b"]).gives(0, "one\n", "");
}

#[test]
fn a_run_by_hand_reads_the_output_of_the_last_run() {
    let home = Home::with_daemon();
    home.add(&["--name", "a", "--cron", "@yearly", "-c", "echo $TASKQ_RUN"]);
    home.add(&["--name", "b", "--cron", "@yearly", "--after", "a", "--stdin-from", "a", "--", "cat"]);
    home.taskq(&["run", "b", "--wait"]).gives(0, "2.1\n", "");
    home.taskq(&["log", "b"]).gives(0, "", "");
    for _ in 0..2 {
        home.taskq(&["run", "a", "--wait"]).answer();
    }
    home.taskq(&["run", "b", "--wait"]).gives(0, "2.2\n", "");
    home.taskq(&["log", "b"]).gives(0, "1.2\n", "");
    // A run that never began has no output, and is not meant.
    home.taskq(&["pause", "--queue", "default"]).answer();
    home.taskq(&["run", "a"]).gives(0, "1.3\n", "");
    home.taskq(&["cancel", "a.3"]).answer();
    home.taskq(&["resume", "--queue", "default"]).answer();
    home.taskq(&["run", "b", "--wait"]).gives(0, "2.3\n", "");
    home.taskq(&["log", "b"]).gives(0, "1.2\n", "");
}

#[test]
fn each_index_of_an_array_reads_the_output() {
    let home = Home::with_daemon();
    home.add(&["--name", "a", "-c", "echo out"]);
    home.add(&["--name", "b", "--after", "a", "--stdin-from", "a", "--array", "1-2", "--", "cat"]);
    home.taskq(&["wait", "b"]).gives(0, "", "");
    home.taskq(&["log", "b"]).gives(0, "out\nout\n", "");
}

#[test]
fn an_output_that_is_not_whole_is_no_input() {
    let home = Home::with_daemon();
    home.add(&["--name", "cut", "--log-limit", "64K", "-c", "seq 100000"]);
    home.add(&["--name", "b", "--after", "cut", "--stdin-from", "cut", "--", "cat"]);
    home.taskq(&["wait", "b"]).answer();
    let why = |cause: &str| ("spawn_failed".to_owned(), cause.to_owned());
    let cut = "standard input `output of 1.1`: more than its log limit was written, and not all is kept";
    assert_eq!(end_of(&home, "b"), why(cut));
    home.add_and_wait(&["--name", "long", "-c", "seq 100000"]);
    home.taskq(&["prune", "--output-limit", "0"]).answer();
    home.add(&["--name", "c", "--after", "long", "--stdin-from", "long", "--", "cat"]);
    home.taskq(&["wait", "c"]).answer();
    assert_eq!(end_of(&home, "c"), why("standard input `output of 3.1`: it was pruned"));
}

#[test]
fn a_standard_input_that_cannot_be_is_refused() {
    let home = Home::new();
    home.add(&["--name", "a", "--hold", "--", "true"]);
    home.add(&["--name", "many", "--hold", "--array", "1-2", "--", "true"]);
    let refused = |options: &[&str], cause: &str| {
        let args = [&["add", "--quiet", "--after", "a", "--after", "many"], options, &["--", "cat"]].concat();
        home.taskq(&args).gives(2, "", &format!("error: cannot add job: {cause}\n"));
    };
    refused(&["--stdin-from", "z"], "`--stdin-from z` needs `--after z`");
    refused(&["--stdin-from", "a.1"], "`--stdin-from a.1`: it names a part of a job: name the job, `a`");
    let both = "`--stdin-from` does not go together with `--stdin`";
    refused(&["--stdin-from", "a", "--stdin", "/dev/null"], both);
    refused(&["--stdin-from", "many"], "`--stdin-from many`: an array has an output for each index");
    home.add(&["--name", "b", "--after", "a", "--stdin-from", "a", "--", "cat"]);
    assert_eq!(home.json(&["show", "b"])["job"]["stdin_from"], "a");
    home.taskq(&["set", "b", "--stdin", "/dev/null"]).gives(
        2,
        "",
        "error: cannot set job `b`: `--stdin-from` does not go together with `--stdin`\n",
    );
    home.taskq(&["rename", "a", "z"]).answer();
    home.taskq(&["set", "b", "--unset", "stdin-from"]).gives(0, "stdin-from z → none\n", "");
}
