//! Owns: a file that is applied again: what stays, what is changed back, what ends; and the way from `export
//! toml` to `apply`.
//! Never: what a file may have (see `apply`).

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::apply::write;
use crate::harness::{Home, own_user};

/// Applies a text, and returns the plan.
#[track_caller]
fn applied(home: &Home, text: &str) -> String {
    applied_with(home, text, &[])
}

#[track_caller]
fn applied_with(home: &Home, text: &str, args: &[&str]) -> String {
    write(home, "jobs.toml", text);
    let answer = home.taskq(&[&["apply", "jobs.toml"], args].concat()).answer();
    assert_eq!(answer.status, 0, "{answer:?}");
    answer.stdout
}

fn job(home: &Home, name: &str) -> Value {
    home.json(&["show", name])["job"].clone()
}

#[test]
fn a_changed_job_keeps_its_id_its_history_its_counters_and_its_other_fires() {
    let home = Home::with_daemon();
    let text = "[jobs.a]\nscript = 'true'\nevery = '1h'\non = 'emit,count=3:x'\ntimes = 5\n";
    applied(&home, text);
    home.taskq(&["run", "a", "--wait"]).answer();
    home.taskq(&["emit", "x"]).answer();
    let before = job(&home, "a");
    let edited = text.replace("times = 5", "times = 6\ntimeout = '5m'\ncron = '@daily'");
    let plan = applied(&home, &edited);
    assert_eq!(plan, "~ a: cron none → \"@daily\"\n~ a: timeout none → \"5m\"\n~ a: times 5 → 6\n");
    let after = job(&home, "a");
    for key in ["id", "created_at", "runs", "last_run", "last_outcome", "times_begun"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    let trigger = |job: &Value, kind: &str| {
        let triggers = job["triggers"].as_array().expect("a list").iter();
        triggers.clone().find(|trigger| trigger["kind"] == kind).cloned().expect("there is one")
    };
    assert_eq!(trigger(&after, "every"), trigger(&before, "every"));
    assert_eq!(trigger(&after, "emit")["counted"], 1);
}

#[test]
fn the_same_meaning_in_other_words_is_unchanged() {
    let home = Home::new();
    let one = "[jobs.a]\nscript = 'x'\ncron = '@daily'\ntimeout = '5m'\nlog_limit = '10240K'\n\
               tag = ['b', 'a']\nat = 2031-01-01T00:00:00Z\n\
               [jobs.b]\nscript = 'x'\nevery = '90m'\nenv = ['A=1', 'B=2']\n";
    applied(&home, one);
    let other = "[defaults]\nscript = \"x\"\n[jobs]\n\
                 b = { every = '1h30m', env = ['B=2', 'A=1'], overlap = 'skip' }\n\
                 [jobs.a]\ncron = ['0  0 * * *']\ntimeout = '300s'\ntag = ['a', 'b', 'a']\n\
                 at = '@1924992000'\nclean_env = true\nqueue = 'default'\nretries = 0\n";
    assert_eq!(applied(&home, other), "= 2 unchanged\n");
}

#[test]
fn a_job_that_a_person_changed_is_changed_back() {
    let home = Home::new();
    let text = "[jobs.a]\nscript = 'x'\ncron = '@daily'\n";
    applied(&home, text);
    home.taskq(&["set", "a", "--timeout", "5m", "--env", "S=secret", "--every", "1h"]).answer();
    assert_eq!(
        applied(&home, text),
        "~ a: cron none → \"@daily\"\n~ a: every \"1h\" → none\n\
         ~ a: timeout \"5m\" → none\n~ a: env S → none\n"
    );
    home.taskq(&["rename", "a", "other"]).answer();
    assert_eq!(applied(&home, text), "~ a: name \"other\" → \"a\"\n");
    assert_eq!(job(&home, "a")["id"], 1);
    assert_eq!(applied(&home, text), "= 1 unchanged\n");
}

#[test]
fn a_pause_is_left_alone_unless_the_file_says_hold() {
    let home = Home::new();
    let text = "[jobs.a]\nscript = 'x'\ncron = '@daily'\n";
    applied(&home, text);
    home.taskq(&["pause", "a"]).answer();
    assert_eq!(applied(&home, text), "= 1 unchanged\n");
    assert_eq!(applied(&home, &format!("{text}hold = false\n")), "~ a: hold true → false\n");
    assert_eq!(applied(&home, &format!("[defaults]\nhold = true\n{text}")), "~ a: hold false → true\n");
    assert_eq!(job(&home, "a")["state"], "paused");
}

#[test]
fn a_job_that_has_run_is_not_run_again() {
    let home = Home::with_daemon();
    home.add(&["--name", "early", "true"]);
    let at = job(&home, "early")["created_at"].clone();
    let soon = format!("[jobs.at]\nscript = 'true'\nat = {}\n", at.as_str().expect("a time"));
    // It is over by now.
    let answer = home.taskq(&["apply", "-"]).stdin(soon.as_str()).answer();
    assert!(answer.stderr.contains("line 3, column 6: `at` is in the past"), "{answer:?}");
    let text = "[jobs.now]\nscript = 'true'\n[jobs.times]\nscript = 'true'\nevery = '1s'\ntimes = 1\n";
    assert_eq!(applied(&home, text), "+ now\n+ times\n");
    home.taskq(&["wait", "now"]).answer();
    let mut events = home.command(&["events", "-f"]);
    let mut events = events.stdout(std::process::Stdio::piped()).spawn().expect("taskq starts");
    let lines = std::io::BufReader::new(events.stdout.take().expect("it is piped"));
    let is_end = |line: &std::io::Result<String>| {
        line.as_ref().is_ok_and(|line| line.contains("finished") && line.contains("times"))
    };
    assert!(std::io::BufRead::lines(lines).any(|line| is_end(&line)));
    let _ = events.kill();
    let _ = events.wait();
    let runs = home.json(&["runs"])["runs"].clone();
    assert_eq!(applied(&home, text), "= 2 unchanged\n");
    // Another definition is for a later `retry`.
    let edited = text.replace("'true'", "'false'");
    assert_eq!(
        applied(&home, &edited),
        "~ now: script \"true\" → \"false\"\n~ times: script \"true\" → \"false\"\n"
    );
    assert_eq!(home.json(&["runs"])["runs"], runs);
    assert_eq!(applied(&home, &edited), "= 2 unchanged\n");
}

#[test]
fn a_cancelled_job_is_made_again() {
    let home = Home::new();
    let text = "[jobs.a]\nscript = 'x'\ncron = '@daily'\n";
    applied(&home, text);
    home.taskq(&["cancel", "a"]).answer();
    assert_eq!(applied(&home, text), "+ a\n");
    assert_eq!(applied(&home, text), "= 1 unchanged\n");
    assert_eq!(job(&home, "a")["id"], 2);
}

#[test]
fn a_time_that_has_passed_is_kept_beside_one_that_has_not() {
    let home = Home::new();
    let text = "[jobs.a]\nscript = 'x'\nat = [2020-01-01, 2031-01-01]\n\
                [jobs.b]\nscript = 'x'\nevery = '7m'\nstart = 2020-01-01T00:00:00Z\n";
    assert_eq!(applied(&home, text), "+ a\n+ b\n");
    assert_eq!(applied(&home, text), "= 2 unchanged\n");
    let job = job(&home, "a");
    assert_eq!(job["triggers"][0]["next_fire_at"], Value::Null);
    assert_eq!(job["next_fire_at"], job["triggers"][1]["at"]);
    assert_eq!(home.json(&["runs"])["runs"], serde_json::json!([]));
}

#[test]
fn a_job_of_another_origin_is_taken_over_and_pruned_by_its_last_file_only() {
    let home = Home::new();
    let (a, b) = ("[jobs.a]\nscript = 'x'\ncron = '@daily'\n", "[jobs.b]\nscript = 'x'\ncron = '@daily'\n");
    home.add(&["--name", "a", "--cron", "@daily", "--clean-env", "-c", "y"]);
    home.add(&["--name", "own", "--cron", "@daily", "true"]);
    let plan = applied(&home, &format!("{a}{b}"));
    assert!(plan.starts_with("+ b\n~ a: script \"y\" → \"x\"\n"), "{plan}");
    write(&home, "second.toml", b);
    home.taskq(&["apply", "second.toml"]).gives(0, "= 1 unchanged\n", NO_DAEMON);
    // The second file has the job now.
    assert_eq!(applied_with(&home, a, &["--prune"]), "= 1 unchanged\n");
    write(&home, "second.toml", "");
    let stays = "note: no longer in the file, but stays: `b`; `--prune` ends it\n";
    home.taskq(&["apply", "second.toml"]).gives(0, "- b\n", &format!("{stays}{NO_DAEMON}"));
    assert_eq!(job(&home, "b")["state"], "scheduled");
    home.taskq(&["apply", "--prune", "second.toml"]).gives(0, "- b\n", NO_DAEMON);
    assert_eq!(job(&home, "b")["state"], "done");
    home.taskq(&["apply", "--prune", "second.toml"]).gives(0, "", NO_DAEMON);
    assert_eq!(
        (job(&home, "a")["state"].as_str(), job(&home, "own")["id"].as_u64()),
        (Some("scheduled"), Some(2))
    );
}

const NO_DAEMON: &str =
    "note: no daemon is running: start one with `taskq service install`, or `taskq daemon &`\n";

#[test]
fn prune_drops_waiting_runs_and_lets_running_ones_end() {
    let home = Home::with_daemon();
    let gate = home.fifo("gate");
    applied(&home, "[jobs.a]\nscript = 'read x <gate'\nevery = '1h'\noverlap = 'wait'\n");
    home.taskq(&["run", "a"]).answer();
    let held = std::fs::OpenOptions::new().write(true).open(&gate).expect("the FIFO is there");
    home.taskq(&["pause", "--queue", "default"]).answer();
    home.taskq(&["run", "a"]).answer();
    assert_eq!(applied_with(&home, "", &["--prune"]), "- a\n");
    let run = |number: usize| home.json(&["runs", "a"])["runs"][number].clone();
    assert_eq!(run(0)["outcome"], "cancelled");
    assert_eq!(run(0)["cause"], "its job is no longer in its file");
    assert_eq!(run(1)["state"], "running");
    // It comes back as a new job while the old one still runs.
    applied(&home, "[jobs.a]\nscript = 'true'\ncron = '@daily'\n");
    drop(held);
    assert_eq!(job(&home, "a")["id"], 2);
}

#[test]
fn a_done_job_of_a_file_is_not_forgotten() {
    let home = Home::with_daemon();
    let text = "[jobs.a]\nscript = 'true'\n";
    applied(&home, text);
    home.taskq(&["wait", "a"]).answer();
    home.taskq(&["prune", "--older", "1us", "--keep", "0"]).answer();
    assert_eq!(applied(&home, text), "= 1 unchanged\n");
    applied_with(&home, "", &["--prune"]);
    home.taskq(&["prune", "--older", "1us", "--keep", "0"]).answer();
    assert_eq!(home.json(&["list", "-a"])["jobs"], serde_json::json!([]));
}

#[test]
fn a_job_with_a_trigger_does_not_become_one_without() {
    let home = Home::new();
    applied(&home, "[jobs.a]\nscript = 'x'\ncron = '@daily'\n");
    write(&home, "jobs.toml", "[jobs.a]\nscript = 'x'\n");
    home.taskq(&["apply", "jobs.toml"]).gives(
        2,
        "",
        "error: cannot apply `jobs.toml`: line 1, column 7: job 1 has a trigger, and a job without one runs \
         once: cancel it first, or give this one another name\n",
    );
}

#[test]
fn what_toml_cannot_say_is_named_and_the_rest_is_printed() {
    let home = Home::new();
    home.add(&["--name", "a", "--cron", "15 3 * * *", "--tz", "UTC", "--clean-env", "-c", "one\ntwo\n"]);
    home.add(&["--cron", "@daily", "true"]);
    home.add(&["--name", "after", "--after", "1", "--on", "emit:x", "true"]);
    home.add(&["--name", "odd", "--kill-after", "1us", "--clean-env", "true"]);
    home.add(&["--name", "held", "--hold", "--clean-env", "--env", "B=1", "--priority", "3", "make", "a b"]);
    let told = home.transcript(&[&["export", "toml"], &["export", "toml", "held"]]);
    insta::assert_snapshot!(told.replace(&format!("LOGNAME={}", own_user()), "LOGNAME=[user]"));
}

/// The keys of a job that differ in another store.
fn without_ids(mut jobs: Value) -> Value {
    for job in jobs.as_array_mut().expect("a list") {
        let job = job.as_object_mut().expect("an object");
        for key in ["id", "created_at", "paused_at"] {
            job.remove(key);
        }
        // It counts from when the job was added.
        if job["triggers"]
            .as_array()
            .is_some_and(|triggers| triggers.iter().any(|of| of["after_end"] == true))
        {
            job.remove("next_fire_at");
            job["triggers"][0].as_object_mut().expect("an object").remove("next_fire_at");
        }
    }
    jobs
}

/// A key of `add --from` with a value, or none.
fn key(name: &'static str, values: &'static [&'static str]) -> BoxedStrategy<Option<(String, Value)>> {
    let value = |text: &'static str| serde_json::from_str::<Value>(text).expect("JSON");
    let pair = prop::sample::select(values).prop_map(move |text| Some((name.to_owned(), value(text))));
    prop_oneof![2 => Just(None), 1 => pair].boxed()
}

/// The triggers of a job, with what goes only with them.
fn triggers() -> BoxedStrategy<Vec<(String, Value)>> {
    const SETS: &[&str] = &[
        "{}",
        r#"{"cron":"15 3 * * mon-fri"}"#,
        r#"{"cron":["@daily","0 */5 * * * *"],"tz":"Europe/Paris","times":3}"#,
        r#"{"cron":"@hourly","tz":"system","nth":2,"until":"2031-05-01","jitter":"10m"}"#,
        r#"{"cron":"@reboot"}"#,
        r#"{"calendar":"Mon..Fri 09:30 Asia/Tokyo"}"#,
        r#"{"every":["90s","7m"],"start":"2031-01-01 00:00:00.25"}"#,
        r#"{"every":"1h","after_end":true}"#,
        r#"{"every":"1h"}"#,
        r#"{"at":["2031-01-01 12:00","@1956528000.000007"],"jitter":"1h"}"#,
        r#"{"on":["emit,count=3:a","job,failed:base"],"all_of":true}"#,
        r#"{"on":"path,nonempty,settle=5s:/tmp","cron":"@weekly"}"#,
    ];
    let set = |text: &str| match serde_json::from_str(text).expect("JSON") {
        Value::Object(pairs) => pairs.into_iter().collect(),
        other => panic!("{other}"),
    };
    prop::sample::select(SETS).prop_map(set).boxed()
}

fn job_line() -> impl Strategy<Value = serde_json::Map<String, Value>> {
    let keys = vec![
        key("timeout", &[r#""5m""#, r#""1h30m""#]),
        key("kill_after", &[r#""1s""#]),
        key("queue", &[r#""gpu""#]),
        key("priority", &["-5", "100"]),
        key("tag", &[r#""x""#, r#"["b","a"]"#]),
        key("after", &[r#""base""#, r#"["base:done"]"#]),
        key("retries", &["3"]),
        key("overlap", &[r#""wait""#, r#""allow""#, r#""skip""#]),
        key("missed", &[r#""all,6h""#, r#""skip""#]),
        key("grace", &[r#""1500ms""#]),
        key("env", &[r#"["A=x=y\n'\"\\ z","B="]"#]),
        key("clean_env", &["true"]),
        key("cwd", &[r#""/""#]),
        key("umask", &[r#""077""#, r#""022""#]),
        key("nice", &["5"]),
        key("stdin_text", &[r#""one\ntwo""#]),
        key("array", &[r#""1-5%2""#]),
        key("needs", &[r#""cpu=1,mem=4M""#]),
        key("if", &[r#"["load<1.5","cmd:test \"$x\" = '''y'''"]"#]),
        key("log_limit", &[r#""1M""#]),
        key("split_output", &["true"]),
        key("mail", &[r#""a@b.example,always""#]),
        key("on_failure", &[r#""page\nme""#]),
        key("expect", &[r#""2m""#]),
        key("hold", &["true"]),
    ];
    let command = prop_oneof![
        Just(("script", Value::from("x\n\ttwo\u{7f}\\\"'''"))),
        Just(("script", Value::from("if a; then\n  b '$c'\nfi\n"))),
        Just(("command", serde_json::json!(["make", "-j8", "a b", "", "ü\n\u{1}"]))),
    ];
    (command, triggers(), keys).prop_map(|((name, command), triggers, keys)| {
        let mut line = serde_json::Map::new();
        line.insert(name.to_owned(), command);
        line.extend(triggers);
        line.extend(keys.into_iter().flatten());
        // They do not go together.
        if line.contains_key("array") {
            line.remove("overlap");
        }
        line
    })
}

#[test]
fn toml_becomes_the_same_jobs_again_and_changes_nothing_where_it_comes_from() {
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let jobs = prop::collection::vec(job_line(), 1..6);
    let checked = runner.run(&jobs, |jobs| {
        let home = Home::new();
        for dir in ["one", "other"] {
            home.taskq(&["--dir", dir, "queue", "set", "gpu", "--slots", "1"]).gives(0, "", "");
        }
        let mut lines = r#"{"name":"base","cron":"@daily","script":"x"}"#.to_owned() + "\n";
        for (mut line, number) in jobs.into_iter().zip(1..) {
            line.insert("name".to_owned(), format!("job-{number}").into());
            lines.push_str(&format!("{}\n", Value::Object(line)));
        }
        let added =
            home.taskq(&["--dir", "one", "add", "--quiet", "--from", "-"]).stdin(lines.as_str()).answer();
        prop_assert_eq!(added.status, 0, "{:?}: {}", added, lines);
        let count = added.stdout.lines().count();
        let exported = home.taskq(&["--dir", "one", "export", "toml", "--with-environment"]).answer();
        prop_assert_eq!((exported.status, exported.stderr.as_str()), (0, ""), "{}", lines);
        write(&home, "jobs.toml", &exported.stdout);
        let apply =
            |dir: &str| home.taskq(&["--dir", dir, "apply", "jobs.toml"]).env("TZ", "Asia/Tokyo").answer();
        let (same, other) = (apply("one"), apply("other"));
        prop_assert_eq!(
            same.stdout,
            format!("= {count} unchanged\n"),
            "{}\n{}",
            exported.stdout,
            same.stderr
        );
        prop_assert_eq!(other.status, 0, "{}\n{:?}", exported.stdout, other);
        let jobs = |dir: &str| without_ids(home.json(&["--dir", dir, "list"])["jobs"].clone());
        prop_assert_eq!(jobs("one"), jobs("other"), "{}", exported.stdout);
        let again = home.taskq(&["--dir", "other", "export", "toml", "--with-environment"]).answer();
        prop_assert_eq!(again.stdout, exported.stdout);
        Ok(())
    });
    checked.unwrap_or_else(|error| panic!("{error}"));
}
