//! Owns: `import crontab`: what it reports, stores, refuses and finds again.
//! Never: what single lines mean (see tests/corpus.rs and the tests of `src/crontab`).

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::filter::squeezed;
use crate::harness::{Home, own_user};

const TABLE: &str = "\
# nightly things
SHELL=/bin/bash
PATH=/opt/bin:/usr/bin:/bin
MAILTO=\"\"

15 3 * * mon-fri  backup --all
*/5 * * * *       poll
@reboot           start
";

fn import(home: &Home, table: &str) -> String {
    home.taskq(&["import", "crontab", "-", "--from", "debian"]).stdin(table).transcript()
}

fn ids(home: &Home) -> Vec<(u64, String)> {
    let jobs = home.json(&["list"]);
    let job = |job: &Value| {
        let text = job["script"].as_str().or(job["command"][2].as_str()).unwrap_or_default();
        (job["id"].as_u64().expect("a number"), text.to_owned())
    };
    jobs["jobs"].as_array().expect("a list").iter().map(job).collect()
}

#[test]
fn every_line_is_reported_and_every_entry_is_a_job() {
    let home = Home::new();
    insta::assert_snapshot!(squeezed(&import(&home, TABLE)));
    insta::assert_snapshot!(squeezed(&home.transcript(&[&["list"]])));
    let queues = home.json(&["queue"]);
    assert_eq!(
        (&queues["queues"][0]["name"], &queues["queues"][0]["slots"]),
        (&"cron".into(), &1_000.into())
    );
}

#[test]
fn an_imported_job_has_crons_environment_and_not_the_importers() {
    let mut home = Home::new();
    home.start_daemon(&[]);
    let table = format!(
        "A=1\nPATH=/usr/bin:/bin\nA = \"two words\" \nHOME={}\n\
         0 0 1 1 * env | sort > env; pwd >> env; umask >> env; cat >> env%to%read\n",
        home.work().display()
    );
    home.taskq(&["import", "crontab", "-"]).env("IMPORTER", "leaks").stdin(table).answer();
    home.taskq(&["run", "1", "--wait"]).env("IMPORTER", "leaks").answer();
    let env = home.file("env");
    // The shell's own, ours, and those that pam_env(8) gives every session on this machine.
    let session = taskq::system::login::login_environment();
    let others = ["_=", "PWD=", "TASKQ_"];
    let is_crons = |line: &&str| {
        !others.iter().any(|other| line.starts_with(other))
            && !session.iter().any(|var| var == line.as_bytes())
    };
    let work = home.work().display().to_string();
    let expected = [
        "A=two words".to_owned(),
        format!("HOME={work}"),
        format!("LOGNAME={}", own_user()),
        "PATH=/usr/bin:/bin".to_owned(),
        "SHELL=/bin/sh".to_owned(),
        work,
        "0022".to_owned(),
        "to".to_owned(),
        "read".to_owned(),
    ];
    assert_eq!(env.lines().filter(is_crons).collect::<Vec<_>>(), expected);
}

#[test]
fn an_imported_job_begins_in_its_home_if_that_is_there_at_the_start_and_else_in_the_root() {
    let mut home = Home::new();
    home.start_daemon(&[]);
    let later = home.work().join("later");
    import(&home, &format!("HOME={}\n0 0 1 1 * pwd\n", later.display()));
    let begins = || {
        home.taskq(&["log", home.taskq(&["run", "1", "--wait"]).answer().stdout.trim_end()]).answer().stdout
    };
    assert_eq!(begins(), "/\n");
    std::fs::create_dir(&later).expect("the name is new");
    assert_eq!(begins(), format!("{}\n", later.display()));
}

#[test]
fn importing_again_changes_nothing_and_keeps_ids() {
    let home = Home::new();
    import(&home, TABLE);
    let before = (ids(&home), home.json(&["list", "-a"]));
    insta::assert_snapshot!(squeezed(&import(&home, TABLE)));
    assert_eq!((ids(&home), home.json(&["list", "-a"])), before);
}

#[test]
fn a_line_keeps_its_job_while_others_come_go_and_change() {
    let home = Home::new();
    import(&home, "1 1 * * * one\n2 2 * * * two\n3 3 * * * three\n");
    // The first is edited, the second gone, the third moved; a new one is there, and every environment is
    // another.
    insta::assert_snapshot!(squeezed(&import(
        &home,
        "B=2\n3 3 * * * three\n4 4 * * * four\n1 5 * * * one\n"
    )));
    assert_eq!(ids(&home), [(1, "one".to_owned()), (3, "three".to_owned()), (4, "four".to_owned())]);
    let gone = home.json(&["show", "2"]);
    assert_eq!(gone["job"]["state"], "done");
    assert_eq!(home.json(&["show", "1"])["job"]["triggers"][0]["cron"], "1 5 * * *");
}

#[test]
fn equal_lines_are_jobs_of_their_own() {
    let home = Home::new();
    import(&home, "1 1 * * * twin\n1 1 * * * twin\n");
    assert_eq!(ids(&home).len(), 2);
    import(&home, "1 1 * * * twin\n1 1 * * * twin\n1 1 * * * twin\n");
    assert_eq!(ids(&home).iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2, 3]);
    import(&home, "1 1 * * * twin\n");
    assert_eq!(ids(&home), [(1, "twin".to_owned())]);
}

#[test]
fn a_refused_line_keeps_the_whole_table_out() {
    let home = Home::new();
    let table = "1 1 * * * good\n75 3 * * * bad\nexport A=b\n";
    insta::assert_snapshot!(squeezed(&import(&home, table)));
    assert!(ids(&home).is_empty());
    let going =
        home.taskq(&["import", "crontab", "-", "--keep-going", "--from", "debian"]).stdin(table).transcript();
    insta::assert_snapshot!(squeezed(&going));
    assert_eq!(ids(&home), [(1, "good".to_owned())]);
}

#[test]
fn a_dry_run_stores_nothing_not_even_a_store() {
    let home = Home::new();
    let answer = home.taskq(&["import", "crontab", "-", "--dry-run"]).stdin(TABLE).answer();
    assert_eq!((answer.status, answer.stderr.as_str()), (0, "nothing was stored\n"), "{answer:?}");
    assert!(!home.store().exists());
    import(&home, TABLE);
    let other =
        home.taskq(&["import", "crontab", "-", "--dry-run", "--from", "debian"]).stdin("1 1 * * * other\n");
    insta::assert_snapshot!(squeezed(&other.transcript()));
    assert_eq!(ids(&home).len(), 3);
}

#[test]
fn tables_of_different_files_do_not_disturb_each_other() {
    let home = Home::new();
    fs::write(home.work().join("a"), "1 1 * * * of-a\n").expect("it is writable");
    fs::write(home.work().join("b"), "1 1 * * * of-b\n").expect("it is writable");
    for file in ["a", "b", "a"] {
        assert_eq!(home.taskq(&["import", "crontab", file]).answer().status, 0);
    }
    assert_eq!(ids(&home), [(1, "of-a".to_owned()), (2, "of-b".to_owned())]);
    fs::write(home.work().join("a"), "").expect("it is writable");
    assert_eq!(home.taskq(&["import", "crontab", "a"]).answer().status, 0);
    assert_eq!(ids(&home), [(2, "of-b".to_owned())]);
}

#[test]
fn a_cancelled_job_comes_back_as_a_new_one_if_its_line_is_still_there() {
    let home = Home::new();
    import(&home, "1 1 * * * one\n");
    home.taskq(&["cancel", "1"]).gives(0, "", "");
    import(&home, "1 1 * * * one\n");
    assert_eq!(ids(&home), [(2, "one".to_owned())]);
}

#[test]
fn a_cancelled_job_that_has_a_run_left_does_not_take_its_line_with_it() {
    let home = Home::new();
    import(&home, "1 1 * * * one\n");
    home.taskq(&["cancel", "1"]).gives(0, "", "");
    home.taskq(&["run", "1"]).answer();
    import(&home, "1 1 * * * one\n");
    let next = home.json(&["next"]);
    assert_eq!(next["fires"][0]["job_id"], 2, "{next}");
}

#[test]
fn a_paused_job_stays_paused_when_its_line_changes() {
    let home = Home::new();
    import(&home, "1 1 * * * one\n");
    home.taskq(&["pause", "1"]).gives(0, "", "");
    import(&home, "1 1 * * * one\n");
    import(&home, "2 2 * * * one\n");
    assert_eq!(home.json(&["show", "1"])["job"]["state"], "paused");
    home.taskq(&["next"]).gives(0, "", "");
}

#[test]
fn the_document_of_an_import_has_every_line() {
    let home = Home::new();
    let table = "A=1\n0 0 */2 * 1 odd\n31 2 * *\n";
    let answer =
        home.taskq(&["import", "crontab", "-", "--json", "--from", "debian"]).stdin(table).transcript();
    insta::assert_snapshot!(answer);
}

#[test]
fn the_policies_of_cron_are_those_of_its_main_loop() {
    let home = Home::new();
    import(&home, "5 4 * * * fixed\n*/5 * * * * star\n@hourly hourly\n@daily daily\n");
    let policy = |id: &str| {
        let job = home.json(&["show", id])["job"].clone();
        (job["overlap"].clone(), job["missed"].clone(), job["missed_within_ms"].clone())
    };
    let three_hours = Value::from(3 * 3_600_000);
    for id in ["1", "4"] {
        assert_eq!(policy(id), ("allow".into(), "once".into(), three_hours.clone()), "{id}");
    }
    for id in ["2", "3"] {
        assert_eq!(policy(id), ("allow".into(), "skip".into(), Value::Null), "{id}");
    }
}

#[test]
fn commands_keep_bytes_that_are_no_text() {
    let mut home = Home::new();
    home.start_daemon(&[]);
    let mut table = format!("HOME={}\n0 0 1 1 * printf '", home.work().display()).into_bytes();
    table.extend_from_slice(b"\xff\xfe' > bytes\n");
    home.taskq(&["import", "crontab", "-"]).stdin(table).answer();
    home.taskq(&["run", "1", "--wait"]).answer();
    assert_eq!(fs::read(home.work().join("bytes")).expect("the job wrote it"), b"\xff\xfe");
    assert_eq!(home.stop_daemon(Signal::SIGTERM).0, Some(0));
}

#[test]
fn a_directory_of_system_tables_is_read_by_its_crons_naming_rules() {
    let home = Home::new();
    let dir = home.work().join("cron.d");
    fs::create_dir(&dir).expect("it is new");
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid())
        .expect("passwd is there")
        .expect("we are somebody")
        .name;
    for name in ["good", "with.dot", "backup~", ".placeholder"] {
        fs::write(dir.join(name), format!("1 1 * * * {user} {name}\n")).expect("it is writable");
    }
    let run = |from: &str| home.taskq(&["import", "crontab", "cron.d", "--system", "--from", from]).answer();
    let debian = run("debian");
    assert_eq!(debian.status, 0, "{debian:?}");
    // A placeholder is in each such directory of Debian's, and nobody's table.
    assert_eq!(debian.stderr.matches("is not read").count(), 2, "{debian:?}");
    assert!(!debian.stderr.contains(".placeholder"), "{debian:?}");
    assert_eq!(ids(&home), [(1, "good".to_owned())]);
    run("cronie");
    assert_eq!(ids(&home).into_iter().map(|(_, text)| text).collect::<Vec<_>>(), ["good", "with.dot"]);
    fs::remove_file(dir.join("good")).expect("it is there");
    run("cronie");
    assert_eq!(ids(&home).into_iter().map(|(_, text)| text).collect::<Vec<_>>(), ["with.dot"]);
}

#[test]
fn bad_sources_are_told_and_nothing_is_stored() {
    let home = Home::new();
    fs::write(home.work().join("binary"), [b'\0', 1, 2, 0xff, b'\n', 0]).expect("it is writable");
    fs::write(home.work().join("system"), "1 1 * * * nosuchuser x\n1 1 * * *\n1 1 * * * root\n")
        .expect("it is writable");
    insta::assert_snapshot!(home.transcript(&[
        &["import"],
        &["import", "crontab", "nosuch"],
        &["import", "crontab", "."],
        &["import", "crontab", "binary", "--from", "debian"],
        &["import", "crontab", "system", "--system", "--from", "debian"],
        &["import", "crontab", "system", "--from", "fcron"],
    ]));
    assert!(!home.store().exists());
}

/// Puts a program called crontab into the PATH of this home.
fn with_crontab(home: &Home, script: &str) -> String {
    let bin = home.work().join("bin");
    fs::create_dir_all(&bin).expect("it is writable");
    fs::write(bin.join("crontab"), format!("#!/bin/sh\n{script}\n")).expect("it is writable");
    fs::set_permissions(bin.join("crontab"), fs::Permissions::from_mode(0o755)).expect("it is ours");
    format!("{}:/usr/bin:/bin", bin.display())
}

#[test]
fn without_a_file_it_is_what_crontab_lists() {
    let home = Home::new();
    let import =
        |path: &str| home.taskq(&["import", "crontab", "--from", "debian"]).env("PATH", path).transcript();
    let good = with_crontab(&home, "test \"$*\" = -l && echo '1 1 * * * one'");
    let mut said = squeezed(&import(&good));
    let none = with_crontab(&home, "echo 'no crontab for somebody' >&2; exit 1");
    said += &import(&none);
    said += &import("/nonexistent");
    insta::assert_snapshot!(said);
    assert_eq!(ids(&home), [(1, "one".to_owned())]);
    home.taskq(&["crontab", "-l"]).gives(0, "1 1 * * * one\n", "");
}

#[test]
fn a_table_is_read_as_the_cron_it_was_imported_from() {
    let home = Home::new();
    let table = "CRON_TZ=Asia/Tokyo\n0 9 * * * one\n";
    home.taskq(&["import", "crontab", "-", "--from", "cronie"]).stdin(table).answer();
    home.taskq(&["import", "crontab", "-"]).stdin(table).answer();
    assert_eq!(home.json(&["show", "1"])["job"]["triggers"][0]["tz"], "Asia/Tokyo");
}

#[test]
fn a_file_is_one_table_however_it_is_called() {
    let home = Home::new();
    fs::write(home.work().join("table"), "1 1 * * * one\n").expect("it is writable");
    std::os::unix::fs::symlink("table", home.work().join("link")).expect("the name is new");
    for file in ["table", "./table", "../work/table", "link"] {
        assert_eq!(home.taskq(&["import", "crontab", file]).answer().status, 0);
    }
    assert_eq!(ids(&home), [(1, "one".to_owned())]);
}

#[test]
fn a_dry_run_tells_of_the_files_that_are_gone() {
    let home = Home::new();
    fs::create_dir(home.work().join("cron.d")).expect("it is new");
    let file = home.work().join("cron.d/one");
    fs::write(&file, format!("1 1 * * * {} one\n", own_user())).expect("it is writable");
    let run =
        |more: &[&str]| home.taskq(&[&["import", "crontab", "cron.d", "--system"], more].concat()).answer();
    assert_eq!(run(&[]).status, 0);
    fs::remove_file(&file).expect("it is there");
    for more in [&["--dry-run"][..], &[]] {
        assert!(run(more).stdout.contains("removed"), "{more:?}");
    }
    assert!(ids(&home).is_empty());
    let refused = home.taskq(&["import", "crontab", "-", "--system"]).stdin("1 1 * * * root x\n").answer();
    assert_eq!(refused.status, 2);
}

#[test]
fn a_line_that_is_in_two_tables_is_told_of_with_the_way_to_end_the_other() {
    let home = Home::new();
    import(&home, "1 1 * * * one\n2 2 * * * two\n");
    fs::write(home.work().join("table"), "1 1 * * * one\n3 3 * * * three\n").expect("it is writable");
    let told = |more: &[&str]| {
        let stderr = home.taskq(&[&["import", "crontab", "table"], more].concat()).answer().stderr;
        stderr.lines().filter(|line| line.contains("twice")).map(str::to_owned).collect::<Vec<_>>()
    };
    let shared = "1 line of `table` is also in `taskq crontab -l`, so its job";
    let remedy = "twice; edit that table with `taskq crontab -e`";
    assert_eq!(told(&["--dry-run"]), [format!("{shared} would run {remedy}")]);
    assert_eq!(told(&[]), [format!("{shared} runs {remedy}")]);
    fs::write(home.work().join("table"), "3 3 * * * three\n").expect("it is writable");
    assert_eq!(told(&[]), [""; 0]);
}

#[test]
fn a_table_under_a_new_name_can_be_ended_under_the_old_one() {
    let home = Home::new();
    let (old, new) = (home.work().join("old"), home.work().join("new"));
    fs::write(&old, "1 1 * * * one\n2 2 * * * two\n").expect("it is writable");
    home.taskq(&["import", "crontab", "old"]).answer();
    fs::rename(&old, &new).expect("the name is new");
    let answer = home.taskq(&["import", "crontab", "new"]).answer();
    let old = old.display();
    let said = format!(
        "2 lines of `new` are also in `{old}`, so their jobs run twice; \
         `taskq import crontab --remove {old}` ends the jobs of the other table\n"
    );
    assert!(answer.stderr.contains(&said), "{answer:?}");
    home.taskq(&["import", "crontab", "--remove", "old"]).gives(0, "", "");
    assert!(!home.taskq(&["import", "crontab", "new"]).answer().stderr.contains("twice"));
    assert_eq!(ids(&home), [(3, "one".to_owned()), (4, "two".to_owned())]);
}

#[test]
fn stored_tables_are_listed_and_one_can_be_removed() {
    let home = Home::new();
    home.taskq(&["import", "crontab", "--list"]).gives(0, "", "");
    fs::write(home.work().join("tab"), "@daily true\n@hourly false\n").expect("a file");
    home.taskq(&["import", "crontab", "tab"]).answer();
    let nobody_else = home.taskq(&["crontab", "-l"]).answer();
    assert_eq!(nobody_else.status, 1);
    assert!(nobody_else.stderr.contains("1 other table is stored: "), "{}", nobody_else.stderr);
    home.taskq(&["crontab", "-"]).stdin("@weekly true\n").gives(0, "", "");
    insta::assert_snapshot!(squeezed(&home.transcript(&[
        &["import", "crontab", "--list"],
        &["import", "crontab", "--remove", "nosuch"],
        &["import", "crontab", "--remove", "tab", "--dry-run"],
        &["import", "crontab", "--remove", "tab"],
        &["import", "crontab", "--list", "--json"],
        &["import", "crontab", "--remove", "-"],
        &["list"],
    ])));
    let kept = fs::read_to_string(home.store().join("crontab.removed")).expect("the last table is kept");
    assert_eq!(kept, "@weekly true\n");
}

#[test]
fn the_report_names_the_table_that_was_stored() {
    let home = Home::new();
    fs::write(home.work().join("tab"), "@daily true\n").expect("a file");
    let said = |file: &str| home.taskq(&["import", "crontab", file]).stdin("@daily true\n").answer().stderr;
    let of_file = said("tab");
    assert!(of_file.contains("/work/tab`, beside that of `taskq crontab`\n"), "{of_file}");
    let own = said("-");
    assert!(own.contains("stored as the table of `taskq crontab`\n"), "{own}");
}
