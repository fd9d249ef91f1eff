//! Owns: names: who has one, who gets the next, and what a name finds.
//! Never: what a name looks like (see `domain`).

use std::path::PathBuf;

use crate::harness::{Home, open_gate};

/// The id of the job that a name finds.
fn found(home: &Home, name: &str) -> i64 {
    home.json(&["show", name])["job"]["id"].as_i64().expect("a job has an id")
}

#[test]
fn a_job_that_is_done_gives_its_name_to_the_next() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--name", "build", "false"]);
    let at_once = home.json(&["run", "build"]);
    home.taskq(&["wait", "build"]).answer();
    assert_eq!(at_once["runs"][0]["id"], "1.2", "a done job still has its name");

    assert_eq!(home.add(&["--name", "build", "--hold", "true"]), "2");
    assert_eq!(found(&home, "build"), 2, "the name finds the living job first");
    home.taskq(&["cancel", "build"]).answer();
    assert_eq!(found(&home, "build"), 2, "of two that are done, the name finds the latest");
    assert_eq!(home.json(&["show", "1"])["job"]["name"], "build", "history keeps the name");
}

#[test]
fn a_name_finds_a_living_job_before_a_later_one_that_is_done() {
    let home = Home::new();
    home.add(&["--name", "report", "--cron", "@daily", "true"]);
    home.taskq(&["cancel", "report"]).answer();
    home.add(&["--name", "report", "--cron", "@daily", "true"]);
    home.taskq(&["cancel", "report"]).answer();
    home.taskq(&["run", "1"]).gives(0, "1.1\n", "");
    assert_eq!(found(&home, "report"), 1);
}

/// Adds a job `serve` whose run ignores TERM, and returns the gate that ends it once it runs.
fn serving(home: &Home) -> PathBuf {
    let (ready, gate) = (home.fifo("ready"), home.fifo("gate"));
    home.add(&["--name", "serve", "-c", "trap '' TERM; cat ready; cat gate"]);
    open_gate(&ready);
    gate
}

#[test]
fn a_cancelled_job_gives_its_name_up_while_its_run_is_being_stopped() {
    let home = Home::with_daemon();
    let gate = serving(&home);
    home.taskq(&["cancel", "serve"]).answer();
    assert_eq!(home.add(&["--name", "serve", "--hold", "true"]), "2");
    assert_eq!(found(&home, "serve"), 2);
    open_gate(&gate);
    assert_eq!(home.taskq(&["wait", "1"]).answer().status, 130);
}

#[test]
fn a_replacement_takes_the_place_of_the_living_job_whose_run_continues() {
    let home = Home::with_daemon();
    let gate = serving(&home);
    home.taskq(&["run", "serve"]).gives(0, "1.2\n", "");
    assert_eq!(home.taskq(&["add", "--name", "serve", "true"]).answer().status, 1);
    assert_eq!(home.add(&["--replace", "--name", "serve", "--hold", "true"]), "2");
    let states = |run: &str| {
        let runs = home.json(&["runs", "1"]);
        let run = runs["runs"].as_array().expect("a list").iter().find(|found| found["id"] == run).cloned();
        let run = run.expect("the run is listed");
        (run["state"].as_str().map(str::to_owned), run["cause"].as_str().map(str::to_owned))
    };
    assert_eq!(states("1.1").0.as_deref(), Some("running"));
    assert_eq!(states("1.2").1.as_deref(), Some("its job was replaced"));
    open_gate(&gate);
    home.taskq(&["wait", "1.1"]).gives(0, "", "");
    assert_eq!(home.json(&["show", "1"])["job"]["state"], "done", "it has no more fires");
    assert_eq!(found(&home, "serve"), 2);
}

#[test]
fn a_replacement_without_a_living_job_is_an_ordinary_add() {
    let home = Home::new();
    assert_eq!(home.add(&["--replace", "--name", "backup", "--cron", "@daily", "true"]), "1");
    assert_eq!(home.add(&["--replace", "--name", "backup", "--cron", "@hourly", "true"]), "2");
    assert_eq!(home.json(&["show", "1"])["job"]["state"], "done");
    assert_eq!(home.json(&["list"])["jobs"].as_array().map(Vec::len), Some(1));
    home.taskq(&["add", "--replace", "true"]).gives(
        2,
        "",
        "error: cannot add job: `--replace` needs `--name`\n",
    );
}

#[test]
fn exported_jobs_can_be_edited_and_put_back_in_one_transaction() {
    let home = Home::new();
    home.add(&["--name", "backup", "--cron", "15 3 * * *", "--timeout", "2h", "--", "./backup.sh"]);
    home.add(&["--name", "report", "--cron", "@daily", "true"]);
    let lines = home.taskq(&["export", "json", "--with-environment"]).answer().stdout;
    assert_eq!(home.taskq(&["add", "--from", "-"]).stdin(lines.clone()).answer().status, 1);
    let edited = lines.replace("15 3 * * *", "30 3 * * *");
    home.taskq(&["add", "--quiet", "--replace", "--from", "-"]).stdin(edited.clone()).gives(0, "3\n4\n", "");
    let job = &home.json(&["show", "backup"])["job"];
    assert_eq!((&job["id"], &job["triggers"][0]["cron"]), (&3.into(), &"30 3 * * *".into()));
    assert_eq!(
        home.taskq(&["export", "json", "--with-environment"]).answer().stdout,
        edited,
        "it round trips"
    );

    let keyed = "{\"command\": [\"true\"], \"name\": \"backup\", \"replace\": true}\n".repeat(2);
    home.taskq(&["add", "--from", "-"]).stdin(keyed).gives(
        1,
        "",
        "error: cannot add the job in line 2 of standard input: \
         the name `backup` is taken by an earlier line\n",
    );
    assert_eq!(found(&home, "backup"), 3, "nothing was replaced");
}

#[test]
fn a_job_can_be_renamed_to_a_free_name() {
    let home = Home::new();
    home.add(&["--hold", "true"]);
    home.add(&["--name", "other", "--hold", "true"]);
    home.taskq(&["rename", "1", "backup"]).gives(0, "", "");
    home.taskq(&["rename", "backup", "backup"]).gives(0, "", "");
    insta::assert_snapshot!(home.transcript(&[
        &["rename", "backup", "other"],
        &["rename", "backup", "12"],
        &["rename", "nothing", "x"],
        &["rename", "backup", "nightly", "--json"],
        &["list"],
        &["cancel", "other"],
        &["rename", "nightly", "other", "--json"],
        &["show", "backup"],
    ]));
}
