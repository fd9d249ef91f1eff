//! Owns: `apply`: the plan of a file, what it makes of it, and what it refuses.
//! Never: the meaning of a job's keys (see `add` and `batch`), or a file that is applied again (see
//! `apply_again`).

use std::fs;

use crate::harness::Home;

const FILE: &str = r#"
[defaults]
tz = "Europe/Paris"
timeout = "1h"
env = ["A=1"]

[jobs.backup]
cron = "15 3 * * *"
command = ["true"]

[jobs.report]
every = "5m"
script = "true"
after = "backup"
timeout = "10m"
env = ["B=2"]

[jobs.once]
at = 2031-01-01 12:00:00
script = "true"
"#;

/// Writes a file of jobs in the working directory.
pub fn write(home: &Home, name: &str, text: &str) {
    fs::write(home.work().join(name), text).expect("the directory is writable");
}

#[test]
fn a_file_becomes_its_jobs_and_a_second_time_nothing_changes() {
    let home = Home::new();
    write(&home, "jobs.toml", FILE);
    let edited = FILE.replace("15 3", "*/5 3").replace("10m", "600s").replace("[jobs.once]", "[jobs.other]");
    let mut told = home.transcript(&[&["apply", "jobs.toml"], &["apply", "jobs.toml"]]);
    write(&home, "jobs.toml", &edited);
    told.push_str(&home.transcript(&[
        &["apply", "--dry-run", "jobs.toml"],
        &["apply", "jobs.toml"],
        &["apply", "--prune", "--json", "jobs.toml"],
        &["apply", "--prune", "jobs.toml"],
    ]));
    insta::assert_snapshot!(told);
    let events = home.json(&["events"])["events"].clone();
    let kinds: Vec<&str> =
        events.as_array().into_iter().flatten().filter_map(|of| of["kind"].as_str()).collect();
    assert_eq!(
        kinds,
        ["applied", "added", "added", "added", "applied", "changed", "added", "applied", "cancelled"]
    );
    assert_eq!(events[0]["source"], home.work().join("jobs.toml").display().to_string());
    assert_eq!(events[8]["cause"], "its job is no longer in its file");
    let states =
        ["backup", "report", "once", "other"].map(|name| home.json(&["show", name])["job"]["state"].clone());
    assert_eq!(states, ["scheduled", "scheduled", "done", "scheduled"]);
}

#[test]
fn a_default_is_for_each_job_that_does_not_replace_it() {
    let home = Home::new();
    write(&home, "jobs.toml", FILE);
    home.taskq(&["apply", "jobs.toml"]).answer();
    let job = |name: &str| home.json(&["show", name])["job"].clone();
    let (backup, report, once) = (job("backup"), job("report"), job("once"));
    assert_eq!(backup["triggers"][0]["tz"], "Europe/Paris");
    assert_eq!(
        [&backup, &report, &once].map(|job| job["timeout_ms"].as_u64()),
        [Some(3_600_000), Some(600_000), Some(3_600_000)]
    );
    // A date of TOML has the zone of the job.
    assert_eq!(once["triggers"][0]["at"], "2031-01-01T11:00:00Z");
    let exported = home.taskq(&["export", "toml", "--with-environment", "report"]).answer().stdout;
    assert!(exported.contains(r#"env = ["A=1", "B=2"]"#), "{exported}");
}

#[test]
fn nothing_of_the_callers_environment_gets_in_unless_the_file_says_so() {
    let home = Home::with_daemon();
    let script = "env | sort >seen; umask >>seen; pwd >>seen";
    write(&home, "jobs.toml", &format!("[jobs.a]\nscript = '{script}'\nenv = ['GIVEN']\n"));
    let call = home.taskq(&["apply", "jobs.toml"]).env("SECRET", "s3").env("GIVEN", "yes");
    assert_eq!(call.env("TZ", "Asia/Tokyo").answer().status, 0);
    home.taskq(&["wait", "a"]).gives(0, "", "");
    let seen = home.file("seen");
    let names: Vec<&str> = seen
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .filter(|name| !name.starts_with("TASKQ_"))
        .collect();
    assert_eq!(names, ["GIVEN", "HOME", "LOGNAME", "PATH", "PWD", "SHELL"], "{seen}");
    assert!(seen.contains("GIVEN=yes\n") && seen.contains("PATH=/usr/bin:/bin\n"), "{seen}");
    assert!(!seen.contains(&format!("HOME={}", home.path().display())), "HOME is that of passwd(5): {seen}");
    assert!(seen.ends_with(&format!("0022\n{}\n", home.work().display())), "{seen}");
}

#[test]
fn a_time_has_the_zone_of_the_system_and_not_that_of_the_caller() {
    let home = Home::new();
    write(&home, "jobs.toml", "[jobs.a]\nscript = 'x'\ncron = '0 3 * * *'\n");
    home.taskq(&["apply", "jobs.toml"]).env("TZ", "Asia/Tokyo").answer();
    assert_eq!(home.json(&["show", "a"])["job"]["triggers"][0]["tz"], serde_json::Value::Null);
}

#[test]
fn the_file_of_a_job_is_shown() {
    let home = Home::new();
    write(&home, "jobs.toml", "[jobs.a]\nscript = 'x'\nhold = true\n");
    home.taskq(&["apply", "jobs.toml"]).answer();
    let file = home.work().join("jobs.toml").display().to_string();
    let shown = |job: &str| home.taskq(&["show", job]).answer().stdout;
    assert!(shown("a").contains(&format!("\nApplied:   {file}\n")), "{}", shown("a"));
    assert_eq!(home.json(&["show", "a"])["applied"]["file"], file);
    home.taskq(&["rename", "a", "b"]).answer();
    assert!(shown("b").contains(&format!("\nApplied:   {file}, as `a`\n")), "{}", shown("b"));
    assert_eq!(home.json(&["show", "b"])["applied"]["name"], "a");
    home.add(&["--name", "c", "--hold", "true"]);
    assert!(!shown("c").contains("Applied"));
    assert_eq!(home.json(&["show", "c"])["applied"], serde_json::Value::Null);
}

#[test]
fn relative_paths_are_those_of_the_file() {
    let home = Home::new();
    let dir = home.work().join("conf/sub");
    fs::create_dir_all(&dir).expect("it is new");
    fs::write(dir.join("items"), "one\ntwo\n").expect("it is writable");
    let text = r#"
        [jobs.a]
        script = "x"
        stdin = "in"
        env_file = "vars"
        on = "path,created:new"
        if = "path:ready"
        [jobs.b]
        script = "x"
        cwd = "sub"
        each = "sub/items"
        hold = true
    "#;
    fs::write(home.work().join("conf/jobs.toml"), text).expect("it is writable");
    std::os::unix::fs::symlink("conf/jobs.toml", home.work().join("link")).expect("it is new");
    assert_eq!(home.taskq(&["apply", "link"]).answer().stdout, "+ a\n+ b\n");
    let conf = home.work().join("conf").display().to_string();
    let (a, b) = (home.json(&["show", "a"])["job"].clone(), home.json(&["show", "b"])["job"].clone());
    assert_eq!(a["cwd"], conf);
    assert_eq!((&a["stdin"], &a["env_file"]), (&format!("{conf}/in").into(), &format!("{conf}/vars").into()));
    assert_eq!(a["triggers"][0]["on"], format!("path,created:{conf}/new"));
    assert_eq!(a["if"][0], format!("path:{conf}/ready"));
    assert_eq!((&b["cwd"], &b["indices"]["total"]), (&format!("{conf}/sub").into(), &2.into()));
    // Under any of its names it is the same file.
    assert_eq!(home.taskq(&["apply", "conf/jobs.toml"]).answer().stdout, "= 2 unchanged\n");
}

#[test]
fn standard_input_has_the_directory_of_the_caller_and_cannot_be_pruned() {
    let home = Home::new();
    let text = "[jobs.a]\nscript = 'x'\ncron = '@daily'\n";
    assert_eq!(home.taskq(&["apply", "-"]).stdin(text).answer().stdout, "+ a\n");
    assert_eq!(home.json(&["show", "a"])["job"]["cwd"], home.work().display().to_string());
    home.taskq(&["apply", "--prune", "-"]).stdin(text).gives(
        2,
        "",
        "error: cannot apply standard input: `--prune` needs a file, which is known again by its path\n",
    );
}

#[test]
fn a_name_may_be_that_of_any_job_of_the_file() {
    let home = Home::new();
    let text = "[jobs.a]\nscript = 'x'\nafter = 'b'\n[jobs.b]\nscript = 'x'\non = 'job:c'\n\
                [jobs.c]\nscript = 'x'\ncron = '@daily'\n";
    assert_eq!(home.taskq(&["apply", "-"]).stdin(text).answer().stdout, "+ a\n+ b\n+ c\n");
    let cycle = text.replace("cron = '@daily'", "after = 'a'\non = 'job:a'");
    let answer = home.taskq(&["apply", "-"]).stdin(cycle).answer();
    assert_eq!(answer.status, 0, "{answer:?}");
    let cycle = text.replace("on = 'job:c'", "on = 'job:c'\nafter = 'a'");
    home.taskq(&["apply", "-"]).stdin(cycle).gives(
        2,
        "",
        "error: cannot apply standard input: line 7, column 9: it would wait for itself: b → a → b\n",
    );
}

/// Applies texts, and checks that nothing is stored.
fn refused(texts: &[&str]) -> String {
    let home = Home::new();
    let mut told = String::new();
    for text in texts {
        write(&home, "jobs.toml", text);
        told.push_str(&home.transcript(&[&["apply", "jobs.toml"]]));
        home.taskq(&["list", "-a"]).gives(0, "", "");
    }
    told
}

#[test]
fn all_errors_are_told_at_once_with_line_and_column() {
    insta::assert_snapshot!(refused(&[r#"[defaults]
timout = "5m"
env = [1]

[jobs.a]
cron = "75 3 * * *"
kill-after = "10s"
command = ["x"]
queue = "gpu"

[jobs.b]
script = "ü"; priority = 3
at = "tomorrow 9am"

[jobs.c]
script = "x"
at = "tomorrow 9am"
timeout = "5"
priority = 200
cwd = "/nowhere"

[jobs.d]
cron = ["@daily", "0 0 30 2 *"]

[jobs.12]
script = "x"
name = "y"
replace = true

[jobs.a]
script = "y"

[jobs.e]
script = "x"
after = ["b", "nobody", "d"]
at = 2020-01-01
needs = "gpu=1"

[jobs.f]
script = "x"
after = "g"
on = "job:nobody"

[jobs.g]
script = "x"
after = "f"
hold = "yes"

[job.h]
script = "x"
"#,]));
}

#[test]
fn an_error_that_is_alone_has_its_hint() {
    insta::assert_snapshot!(refused(&[
        "[jobs.a]\nscript = 'x'\nfrobnicate = 1\n",
        "[jobs.a]\nscript = 'x'\ncron = '@Daily'\n",
        "[jobs.a]\nscript = 'x'\nqueue = 'gpu'\n",
        "jobs = 1\n",
        "[[jobs.a]]\nscript = 'x'\n",
        "[jobs]\na = 'x'\n",
        "[a]\nscript = 'x'\n",
        "[jobs.a]\nscript = x\n",
        "[jobs.a\nscript = 'x'\n",
        "[jobs.a]\nscript = 'x'\nscript = 'y'\n",
        "[jobs.a]\nscript = 'x'\neach = '-'\n",
        "[jobs.a]\nscript = 'x'\ntimeout = 2031-01-01\n",
        "[jobs.a]\nscript = 'x'\nenv = { A = '1' }\n",
        "[jobs.a]\nscript = 'x'\ncron = '@daily'\nuntil = 2020-01-01\n",
        "[jobs.\"a b\"]\nscript = 'x'\n",
        "[defaults]\nuntil = 2020-01-01\n[jobs.a]\nscript = 'x'\nat = 2031-01-01\n",
    ]));
}

#[test]
fn a_time_that_depends_on_the_present_one_is_answered_with_its_day() {
    let home = Home::new();
    for text in ["tomorrow 9am", "12:00", "Feb 29", "now + 5 minutes"] {
        let file = format!("[jobs.a]\nscript = 'x'\nat = '{text}'\n");
        let answer = home.taskq(&["apply", "-"]).stdin(file).answer();
        let told = format!(
            "error: cannot apply standard input: line 3, column 6: `{text}` is another time each time that \
             the file is read\nhint: write the day: `2"
        );
        assert!(answer.status == 2 && answer.stderr.starts_with(&told), "{answer:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_refused() {
    let home = Home::new();
    fs::write(home.work().join("bytes"), b"[jobs.a]\nscript = '\xff'").expect("it is writable");
    insta::assert_snapshot!(home.transcript(&[
        &["apply"],
        &["apply", "none.toml"],
        &["apply", "."],
        &["apply", "bytes"],
    ]));
    assert!(!home.store().exists(), "no store is made");
}

#[test]
fn a_dry_run_makes_no_store_and_changes_nothing() {
    let home = Home::new();
    write(&home, "jobs.toml", FILE);
    home.taskq(&["apply", "--dry-run", "jobs.toml"]).gives(0, "+ backup\n+ report\n+ once\n", "");
    assert!(!home.store().exists());
    home.taskq(&["apply", "jobs.toml"]).answer();
    let before = home.json(&["events"]);
    write(&home, "jobs.toml", "[jobs.new]\nscript = 'true'\n");
    let told = "+ new\n- backup\n- report\n- once\n";
    home.taskq(&["apply", "--dry-run", "--prune", "jobs.toml"]).gives(0, told, "");
    assert_eq!(home.json(&["events"]), before);
}
