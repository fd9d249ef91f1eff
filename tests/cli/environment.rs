//! Owns: where the store is, and who may look into it.
//! Never: what is in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::Home;

#[test]
fn the_flag_goes_before_the_variable_and_that_before_xdg_and_that_before_home() {
    let home = Home::new();
    let made = |dir: &str| home.path().join(dir).join("taskq.db").exists();
    let variable = home.path().join("variable");
    let add = ["--dir", "../flag", "add", "--quiet", "--hold", "true"];
    home.taskq(&add).env("TASKQ_DIR", &variable).gives(0, "1\n", "");
    assert!(made("flag") && !made("variable"));
    home.taskq(&add[2..]).env("TASKQ_DIR", &variable).gives(0, "1\n", "");
    assert!(made("variable") && !made("data/taskq"));
    home.taskq(&add[2..]).env("TASKQ_DIR", "").gives(0, "1\n", "");
    assert!(made("data/taskq"));
    home.taskq(&add[2..]).without_env("XDG_DATA_HOME").gives(0, "1\n", "");
    assert!(made(".local/share/taskq"));
}

#[test]
fn the_variables_of_an_environment_file_replace_the_others_of_a_run() {
    let home = Home::with_daemon();
    let file = home.work().join("vars");
    fs::write(&file, "A=file\nTASKQ_RUN=x\n").expect("ours");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("ours");
    let script = "echo $A $B $TASKQ_RUN";
    home.add_and_wait(&["--env-file", "vars", "--env", "A=option", "--env", "B=option", "-c", script]);
    home.taskq(&["log", "1"]).gives(0, "file option 1.1\n", "");
    assert_eq!(home.json(&["show", "1"])["job"]["env_file"], file.to_str().expect("it is text"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o660)).expect("ours");
    home.taskq(&["retry", "1"]).gives(0, "1.2\n", "");
    assert_eq!(home.taskq(&["wait", "1"]).answer().status, 125);
    let said = format!("run 1.2: spawn_failed, environment file `{}`: its group", file.display());
    let answer = home.taskq(&["log", "1"]).answer();
    assert!(answer.stderr.contains(&said), "{}", answer.stderr);
    home.add(&["--at", "2031-01-01", "--env-file", "vars", "true"]);
    let changed = "env-file [home]/work/vars → [home]/work/more\n";
    home.taskq(&["set", "2", "--env-file", "more"]).gives(0, changed, "");
    let changed = "env-file [home]/work/more → none\n";
    home.taskq(&["set", "2", "--unset", "env-file"]).gives(0, changed, "");
}

#[test]
fn the_flag_may_stand_behind_the_command() {
    let home = Home::new();
    home.taskq(&["add", "--quiet", "--hold", "--dir", "here", "true"]).gives(0, "1\n", "");
    assert!(home.work().join("here/taskq.db").exists());
}

#[test]
fn nobody_else_gets_in() {
    let home = Home::with_daemon();
    home.add_and_wait(&["-c", "seq 1 50000"]);
    let mode = |path: &std::path::Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&home.store()), 0o700);
    for entry in fs::read_dir(home.store())
        .expect("it is there")
        .chain(fs::read_dir(home.store().join("log")).expect("it is there"))
    {
        let path = entry.expect("readable").path();
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
}

#[test]
fn a_store_that_others_could_enter_is_closed() {
    let home = Home::new();
    home.add(&["--hold", "true"]);
    fs::set_permissions(home.store(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    home.taskq(&["queue"]).answer();
    assert_eq!(fs::metadata(home.store()).expect("it is there").permissions().mode() & 0o777, 0o700);
}

/// Every verb that can do without a store, and how it ends where the default one was not made yet.
const LOOKING: &[(&[&str], i32)] = &[
    (&["list"], 0),
    (&["list", "--all", "--json"], 0),
    (&["show", "1"], 1),
    (&["runs"], 0),
    (&["log", "1"], 1),
    (&["log", "--follow", "1"], 1),
    (&["next"], 0),
    (&["run", "1"], 1),
    (&["cancel", "1"], 1),
    (&["cancel", "--all"], 0),
    (&["pause", "1"], 1),
    (&["pause", "--all"], 0),
    (&["resume", "1"], 1),
    (&["resume", "--all"], 0),
    (&["wait", "1"], 1),
    (&["wait", "--all"], 0),
    (&["wait", "--queue", "default"], 0),
    (&["stats"], 0),
    (&["status"], 3),
    (&["queue"], 0),
    (&["queue", "list", "--json"], 0),
    (&["crontab", "-l"], 1),
    (&["crontab", "-r"], 1),
    (&["export", "crontab"], 0),
    (&["export", "systemd"], 0),
    (&["export", "json"], 0),
];

/// The files and directories that are there beside what a test made.
fn what_was_made(home: &Home) -> Vec<std::path::PathBuf> {
    let entries = [home.path(), &home.work()].map(|dir| fs::read_dir(dir).expect("it is there").flatten());
    let mut paths: Vec<_> = entries.into_iter().flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| *path != home.work() && *path != home.work().join("table"));
    paths
}

#[test]
fn without_a_store_whoever_looks_is_answered_as_by_an_empty_one_and_makes_none() {
    let home = Home::new();
    for (verb, status) in LOOKING {
        let answer = home.taskq(verb).answer();
        assert_eq!(answer.status, *status, "{verb:?}: {answer:?}");
        assert_eq!(what_was_made(&home), [""; 0].map(std::path::PathBuf::from), "{verb:?}");
    }
    assert_eq!(home.json(&["queue"])["queues"][0]["name"], "default");
    home.taskq(&["show", "1"]).gives(
        1,
        "",
        "error: cannot show job `1`: there is no such job\nhint: list all jobs with `taskq list --all`\n",
    );
}

#[test]
fn a_named_directory_without_a_store_is_an_error_for_whoever_looks_and_stays_as_it_is() {
    let home = Home::new();
    let words = "there is no store in `[home]/work/typo`\n\
                 hint: check the name; `taskq add` and `taskq daemon` make a new store\n";
    for (verb, _) in LOOKING {
        let by_flag = home.taskq(&[&["--dir", "typo"], *verb].concat()).answer();
        let by_variable = home.taskq(verb).env("TASKQ_DIR", "typo").answer();
        for answer in [by_flag, by_variable] {
            let stderr = answer.stderr.replace(home.path().to_str().expect("a plain name"), "[home]");
            assert_eq!((answer.status, answer.stdout.as_str()), (1, ""), "{verb:?}: {stderr}");
            assert!(stderr.starts_with("error: cannot ") && stderr.ends_with(words), "{verb:?}: {stderr}");
        }
        assert_eq!(what_was_made(&home), [""; 0].map(std::path::PathBuf::from), "{verb:?}");
    }
    // A directory that holds something else is as little a store.
    home.taskq(&["--dir", ".", "list"]).answer();
    assert_eq!(what_was_made(&home), [""; 0].map(std::path::PathBuf::from));
}

#[test]
fn a_dry_run_of_an_import_into_a_store_to_be_made_makes_none() {
    let home = Home::new();
    fs::write(home.work().join("table"), "@daily true\n").expect("it is ours");
    for dir in [&[][..], &["--dir", "new"]] {
        let answer = home.taskq(&[dir, &["import", "crontab", "table", "--dry-run"]].concat()).answer();
        assert_eq!((answer.status, answer.stdout.contains("@daily true")), (0, true), "{answer:?}");
        assert_eq!(what_was_made(&home), [""; 0].map(std::path::PathBuf::from), "{dir:?}");
    }
}

#[test]
fn what_needs_no_store_says_nothing_of_one() {
    let home = Home::new();
    fs::write(home.work().join("table"), "@daily true\n").expect("it is ours");
    for verb in [&["next", "--cron", "@daily"][..], &["crontab", "-n", "table"]] {
        assert_eq!(home.taskq(&[&["--dir", "typo"], verb].concat()).answer().status, 0, "{verb:?}");
        assert_eq!(what_was_made(&home), [""; 0].map(std::path::PathBuf::from), "{verb:?}");
    }
}

#[test]
fn what_sets_something_makes_a_store() {
    for verb in [
        &["queue", "set", "q", "--slots", "1"][..],
        &["pause", "--queue", "default"],
        &["crontab", "table"],
        &["import", "crontab", "table"],
    ] {
        let home = Home::new();
        fs::write(home.work().join("table"), "@daily true\n").expect("it is ours");
        assert_eq!(home.taskq(verb).answer().status, 0, "{verb:?}");
        assert!(home.store().join("taskq.db").exists(), "{verb:?}");
        assert_eq!(home.taskq(&[&["--dir", "named"], verb].concat()).answer().status, 0, "{verb:?}");
        assert!(home.work().join("named/taskq.db").exists(), "{verb:?}");
    }
}
