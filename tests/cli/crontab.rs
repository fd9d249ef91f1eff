//! Owns: `crontab`, as scripts and people use crontab(1).
//! Never: what lines mean (see tests/corpus.rs).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::filter::squeezed;
use crate::harness::{Home, own_user};

const TABLE: &[u8] = b"# caf\xe9\n\n\tA = 1\r\n15 3 * * * backup\n#15 4 * * * off\n@daily  tidy%x";

fn install(home: &Home, table: &[u8]) {
    let answer = home.taskq(&["crontab", "-"]).stdin(table).answer();
    assert_eq!((answer.status, answer.stdout.as_str()), (0, ""), "{answer:?}");
}

fn listed(home: &Home) -> Vec<u8> {
    home.command(&["crontab", "-l"]).output().expect("taskq starts").stdout
}

/// Writes a script that plays the editor of the file behind it.
fn editor(home: &Home, script: &str) -> PathBuf {
    let path = home.work().join("editor");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("it is writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    path
}

fn edit(home: &Home, script: &str, answers: &str) -> String {
    let editor = editor(home, script);
    let text = home.taskq(&["crontab", "-e"]).env("EDITOR", editor).stdin(answers).transcript();
    // The directory of an edit carries the number of the process.
    let mut shown = String::new();
    for (index, part) in text.split("/edit-").enumerate() {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
        shown.push_str(&if index == 0 { part.to_owned() } else { format!("/edit-[pid]{rest}") });
    }
    shown
}

#[test]
fn the_table_comes_back_byte_for_byte() {
    let home = Home::new();
    install(&home, TABLE);
    assert_eq!(listed(&home), TABLE);
    fs::write(home.work().join("table"), TABLE).expect("it is writable");
    home.taskq(&["crontab", "table"]).answer();
    assert_eq!(listed(&home), TABLE);
    install(&home, b"");
    assert_eq!(listed(&home), b"");
}

#[test]
fn without_a_table_there_is_nothing_to_list_or_remove() {
    let home = Home::new();
    let said = format!("no crontab for {}\n", own_user());
    home.taskq(&["crontab", "-l"]).gives(1, "", &said);
    home.taskq(&["crontab", "-r"]).gives(1, "", &said);
    assert!(!home.store().exists());
}

#[test]
fn a_pipe_through_the_table_keeps_ids_and_says_nothing_of_old_lines() {
    let home = Home::new();
    install(&home, b"0 0 1 * 1 both\n");
    let mut longer = listed(&home);
    longer.extend_from_slice(b"15 3 * * * backup\n");
    home.taskq(&["crontab"]).stdin(longer).gives(0, "", "");
    let jobs = home.json(&["list"]);
    assert_eq!(jobs["jobs"][0]["script"], "both");
    assert_eq!(jobs["jobs"][1]["id"], 2);
}

#[test]
fn a_table_with_errors_is_not_installed_and_the_old_one_stays() {
    let home = Home::new();
    install(&home, b"15 3 * * * backup\n");
    home.taskq(&["crontab", "-"]).stdin("15 3 * * * backup\n75 3 * * * x\n* * * * * * y\n").gives(
        1,
        "",
        "\"-\":2: minute `75` is outside 0-59\n\
         \"-\":3: a sixth field stands where the command should be (five fields come before the command; \
         for seconds use `taskq add --cron`)\n\
         errors in crontab file, can't install.\n",
    );
    assert_eq!(listed(&home), b"15 3 * * * backup\n");
    assert_eq!(home.json(&["list"])["jobs"].as_array().map(Vec::len), Some(1));
}

#[test]
fn removing_ends_the_jobs_and_keeps_the_text() {
    let home = Home::new();
    install(&home, TABLE);
    home.taskq(&["crontab", "-r"]).gives(0, "", "");
    assert!(listed(&home).is_empty());
    assert_eq!(home.json(&["list"])["jobs"].as_array().map(Vec::len), Some(0));
    assert_eq!(fs::read(home.store().join("crontab.removed")).expect("it was kept"), TABLE);
}

#[test]
fn an_edit_is_installed_if_it_is_good_and_changes_something() {
    let home = Home::new();
    let mut said = edit(&home, "echo '15 3 * * * backup' >> $1", "");
    said += &edit(&home, "true", "");
    said += &edit(&home, "touch -d @0 $1", "");
    said += &edit(&home, "sed -i 's/^15/20/' $1", "");
    said += &edit(&home, "sed -i 's/^20/25/' $1; exit 3", "");
    said += &home.transcript(&[&["crontab", "-l"]]);
    insta::assert_snapshot!(said.replace(&own_user(), "[user]"));
    assert_eq!(home.json(&["list"])["jobs"][0]["id"], 1);
}

#[test]
fn an_edit_with_errors_may_be_edited_again_or_is_left_where_it_is() {
    let home = Home::new();
    install(&home, b"15 3 * * * backup\n");
    let mut said = edit(&home, "sed -i 's/^15/99/' $1", "what\nno\n");
    // The editor is opened on the same file: the first time it makes an error, the second time it mends it.
    said +=
        &edit(&home, "if grep -q ^99 $1; then sed -i 's/^99/30/' $1; else sed -i 's/^15/99/' $1; fi", "y\n");
    said += &edit(&home, "sed -i 's/^30/99/' $1", "");
    said += &home.transcript(&[&["crontab", "-l"]]);
    insta::assert_snapshot!(said);
}

#[test]
fn a_table_that_was_installed_during_an_edit_is_not_lost() {
    let home = Home::new();
    install(&home, b"15 3 * * * backup\n");
    let script =
        format!("echo '1 1 * * * other' | {} crontab -; sed -i 's/^15/20/' $1", crate::harness::TASKQ);
    let said = edit(&home, &script, "");
    assert!(said.contains("another crontab was installed meanwhile, can't install.\n"), "{said}");
    assert_eq!(listed(&home), b"1 1 * * * other\n");
}

#[test]
fn a_table_that_replaces_another_before_the_answer_is_kept_when_it_is_removed() {
    let home = Home::new();
    install(&home, b"15 3 * * * backup\n");
    let question = format!("crontab: really delete {}'s crontab? (y/n) ", own_user());
    home.taskq(&["crontab", "-r", "-i"]).stdin("n\n").gives(0, &question, "");
    assert_eq!(listed(&home), b"15 3 * * * backup\n");
    install(&home, b"1 1 * * * other\n");
    home.taskq(&["crontab", "-r", "-i"]).stdin("y\n").gives(0, &question, "");
    assert_eq!(fs::read(home.store().join("crontab.removed")).expect("it was kept"), b"1 1 * * * other\n");
}

#[test]
fn a_table_can_be_checked_without_being_installed() {
    let home = Home::new();
    fs::write(home.work().join("good"), "15 3 * * * x\n").expect("it is writable");
    fs::write(home.work().join("bad"), "75 3 * * * x\n").expect("it is writable");
    home.taskq(&["crontab", "-n", "good"]).gives(
        0,
        "",
        "The syntax of the crontab file was successfully checked.\n",
    );
    let said = "\"bad\":1: minute `75` is outside 0-59\nerrors in crontab file, can't install.\n";
    home.taskq(&["crontab", "-n", "bad"]).gives(1, "", said);
    assert!(!home.store().exists());
}

#[test]
fn a_user_may_be_named_if_it_is_oneself() {
    let home = Home::new();
    home.taskq(&["crontab", "-u", &own_user(), "-"]).stdin("1 1 * * * x\n").gives(0, "", "");
    assert_eq!(home.taskq(&["crontab", "-u", "somebody-else", "-l"]).answer().status, 1);
}

#[test]
fn an_imported_table_is_that_of_crontab() {
    let home = Home::new();
    home.taskq(&["import", "crontab", "-"]).stdin(TABLE).answer();
    assert_eq!(listed(&home), TABLE);
    insta::assert_snapshot!(squeezed(&home.transcript(&[&["list"]])));
}

#[test]
fn a_table_that_is_imported_already_is_told_of_at_every_door() {
    let doors: [fn(&Home) -> String; 3] = [
        |home| home.taskq(&["crontab", "table"]).answer().stderr,
        |home| home.taskq(&["crontab", "-"]).stdin("15 3 * * * backup\n").answer().stderr,
        |home| edit(home, "cp table $1", ""),
    ];
    for door in doors {
        let home = Home::new();
        fs::write(home.work().join("table"), "15 3 * * * backup\n").expect("it is writable");
        home.taskq(&["import", "crontab", "table"]).answer();
        let said = door(&home);
        let told = "table`, so its job runs twice; `taskq import crontab --remove ";
        assert!(said.contains("1 line of `taskq crontab -l` is also in `") && said.contains(told), "{said}");
    }
}

#[test]
fn one_operation_at_a_time() {
    let home = Home::new();
    insta::assert_snapshot!(home.transcript(&[
        &["crontab", "-l", "-r"],
        &["crontab", "-l", "x"],
        &["crontab", "nosuch"]
    ]));
}
