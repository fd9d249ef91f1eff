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
    home.taskq(&["--dir", "../flag", "list"]).env("TASKQ_DIR", &variable).gives(0, "", "");
    assert!(made("flag") && !made("variable"));
    home.taskq(&["list"]).env("TASKQ_DIR", &variable).gives(0, "", "");
    assert!(made("variable") && !made("data/taskq"));
    home.taskq(&["list"]).env("TASKQ_DIR", "").gives(0, "", "");
    assert!(made("data/taskq"));
    home.taskq(&["list"]).without_env("XDG_DATA_HOME").gives(0, "", "");
    assert!(made(".local/share/taskq"));
}

#[test]
fn the_flag_may_stand_behind_the_command() {
    let home = Home::new();
    home.taskq(&["list", "--dir", "here"]).gives(0, "", "");
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
    home.taskq(&["list"]).gives(0, "", "");
    fs::set_permissions(home.store(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    home.taskq(&["list"]).gives(0, "", "");
    assert_eq!(fs::metadata(home.store()).expect("it is there").permissions().mode() & 0o777, 0o700);
}
