//! Owns: `retry`: what runs again, and what is refused.
//! Never: attempts of one run.

use crate::harness::Home;

#[test]
fn a_finished_job_runs_again_as_a_new_run() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--name", "a", "-c", "echo $TASKQ_RUN $TASKQ_TRIGGER"]);
    home.taskq(&["retry", "a"]).gives(0, "1.2\n", "");
    home.taskq(&["wait", "a"]).gives(0, "", "");
    home.taskq(&["log", "a"]).gives(0, "1.2 retry\n", "");
    let run = &home.json(&["retry", "1.1", "a"])["runs"];
    assert_eq!((&run[0]["id"], &run[0]["trigger"], &run[1]), (&"1.3".into(), &"retry".into(), &().into()));
}

#[test]
fn all_that_failed_runs_again_and_nothing_else() {
    let home = Home::with_daemon();
    home.add_and_wait(&["false"]);
    home.add_and_wait(&["true"]);
    home.add_and_wait(&["-c", "test -e ok"]);
    home.add(&["--cron", "@yearly", "false"]);
    home.taskq(&["run", "4", "--wait"]).answer();
    home.add(&["--hold", "true"]);
    home.taskq(&["cancel", "5"]).gives(0, "", "");
    home.taskq(&["retry", "--failed", "2", "1.1"]).gives(0, "1.2\n", "");
    home.taskq(&["wait", "1"]).gives(1, "", "");
    std::fs::write(home.work().join("ok"), "").expect("the directory is there");
    home.taskq(&["retry", "--failed"]).gives(0, "1.3\n3.2\n", "");
    home.taskq(&["wait", "1"]).gives(1, "", "");
    home.taskq(&["wait", "3"]).gives(0, "", "");
    home.taskq(&["remove", "1"]).gives(0, "", "");
    home.taskq(&["retry", "--failed"]).gives(0, "", "there is nothing to retry\n");
}

#[test]
fn what_recurs_is_unfinished_or_has_not_run_is_not_retried() {
    let home = Home::new();
    home.add(&["--name", "daily", "--cron", "@daily", "true"]);
    home.add(&["--name", "waits", "true"]);
    home.add(&["--name", "later", "--at", "2031-01-01", "true"]);
    insta::assert_snapshot!(home.transcript(&[
        &["retry", "daily"],
        &["retry", "waits"],
        &["retry", "waits.1"],
        &["retry", "waits.2"],
        &["retry", "later"],
        &["retry"],
        &["retry", "--failed", "--json"],
    ]));
}
