//! Owns: `add --from`: many jobs in one transaction.
//! Never: what a single job may be (see `add` and `bad_input`).

use std::fs;

use crate::harness::Home;

/// Says what is said about these lines, and checks that nothing was stored.
fn refused(lines: &[&str]) -> String {
    let home = Home::new();
    let mut said = String::new();
    for line in lines {
        let text = home.taskq(&["add", "--from", "-"]).stdin(*line).transcript();
        said.push_str(&text.replacen("$ taskq add --from -\n", &format!("{line}\n"), 1));
    }
    home.taskq(&["list", "--all"]).gives(0, "", "");
    said
}

#[test]
fn a_line_that_is_no_object_is_refused_with_its_column() {
    insta::assert_snapshot!(refused(&[
        "{\"command\":[\"true\"]}\n{\"command\":[\"tr",
        "{\"command\":[\"true\"]}\n\n{\"command\":[\"true\"]} x",
        "[]",
        "[[\"true\"]]",
        "null",
        "\"true\"",
        "true",
        "make -j8",
        "{\"command\":[\"true\"],}",
    ]));
}

#[test]
fn a_key_or_a_value_of_the_wrong_kind_is_refused() {
    insta::assert_snapshot!(refused(&[
        r#"{"command":["true"],"frob":1}"#,
        r#"{"command":["true"],"kill-after":"1s"}"#,
        r#"{"command":["true"],"command":["true"]}"#,
        r#"{"command":"true"}"#,
        r#"{"command":[1]}"#,
        r#"{"command":["true"],"script":"true"}"#,
        r#"{"name":"x"}"#,
        r#"{"command":[]}"#,
        r#"{"command":[""]}"#,
        r#"{"script":""}"#,
        r#"{"script":["true"]}"#,
        r#"{"command":["a\u0000b"]}"#,
        r#"{"script":"a\u0000b"}"#,
        r#"{"command":["true"],"priority":"high"}"#,
        r#"{"command":["true"],"priority":200}"#,
        r#"{"command":["true"],"priority":1.5}"#,
        r#"{"command":["true"],"priority":99999999999999999999999999999999999999999999999999}"#,
        r#"{"command":["true"],"name":5}"#,
        r#"{"command":["true"],"tag":[5]}"#,
        r#"{"command":["true"],"tag":{"a":1}}"#,
        r#"{"command":["true"],"hold":"yes"}"#,
        r#"{"command":["true"],"overlap":"stop"}"#,
        r#"{"command":["true"],"missed":"never"}"#,
        r#"{"command":["true"],"timeout":5}"#,
        r#"{"command":["true"],"timeout":"5"}"#,
        r#"{"command":["true"],"env":"=x"}"#,
        r#"{"command":["true"],"at":"sometime"}"#,
        r#"{"command":["true"],"cwd":"/nowhere"}"#,
        r#"{"command":["true"],"queue":"gpu"}"#,
        r#"{"command":["true"],"umask":22}"#,
        r#"{"command":["true"],"umask":"9"}"#,
        r#"{"command":["true"],"stdin":["a"]}"#,
        r#"{"command":["true"],"stdin":"a","stdin_text":"b"}"#,
        r#"{"command":["true"],"stdin":"a\u0000b"}"#,
        r#"{"command":["true"],"mail":"a b"}"#,
        r#"{"command":["true"],"mail":["a"]}"#,
    ]));
}

#[test]
fn one_bad_line_keeps_all_of_them_out() {
    insta::assert_snapshot!(refused(&[
        "{\"command\":[\"true\"]}\n{\"command\":[\"true\"],\"name\":\"12\"}\n{\"command\":[\"true\"]}",
        "{\"command\":[\"true\"],\"name\":\"a\"}\n{\"command\":[\"true\"],\"name\":\"a\"}",
    ]));
}

#[test]
fn a_name_that_a_stored_job_has_keeps_all_of_them_out() {
    let home = Home::new();
    home.add(&["--name", "a", "true"]);
    let lines = "{\"command\":[\"true\"]}\n{\"command\":[\"true\"],\"name\":\"a\"}";
    home.taskq(&["add", "--from", "-"]).stdin(lines).gives(
        1,
        "",
        "error: cannot add the job in line 2 of standard input: the name `a` is taken by job 1\n\
         hint: put the new job in its place with `--replace`, or choose another name\n",
    );
    assert_eq!(home.json(&["list"])["jobs"].as_array().map(Vec::len), Some(1));
}

#[test]
fn every_line_becomes_a_job_and_prints_its_id() {
    let home = Home::new();
    home.taskq(&["queue", "set", "gpu", "--slots", "1"]).gives(0, "", "");
    let lines = concat!(
        r#"{"command":["true"]}"#,
        "\n\n  \n",
        r#"{"script":"make\n","name":"a","at":["2031-01-01","2032-01-01"],"cron":"@daily","tz":"UTC","#,
        r#""tag":"x","env":["A=1"],"#,
        r#""clean_env":true,"queue":"gpu","priority":-5,"timeout":"1m","kill_after":"1s","overlap":"wait","#,
        r#""missed":"all,6h","grace":"5s","hold":true,"cwd":"/","command":null}"#,
        "\n",
    );
    home.taskq(&["add", "--quiet", "--from", "-"]).stdin(lines).gives(0, "1\n2\n", "");
    let job = home.json(&["show", "a"])["job"].clone();
    let value = |key: &str| job[key].to_string();
    let found: Vec<String> =
        ["script", "tag", "queue", "priority", "cwd", "hold", "overlap", "missed"].map(value).into();
    assert_eq!(
        found,
        [r#""make\n""#, r#"["x"]"#, r#""gpu""#, "-5", r#""/""#, "true", r#""wait""#, r#""all""#]
    );
    let spans: Vec<String> =
        ["timeout_ms", "kill_after_ms", "grace_ms", "missed_within_ms"].map(value).into();
    assert_eq!(spans, ["60000", "1000", "5000", "21600000"]);
    assert_eq!(job["triggers"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_batch_may_come_from_a_file_and_be_empty() {
    let home = Home::new();
    fs::write(home.work().join("jobs"), "{\"command\":[\"true\"]}").expect("writable");
    home.taskq(&["add", "--quiet", "--from", "jobs"]).gives(0, "1\n", "");
    home.taskq(&["add", "--quiet", "--from", "-"]).gives(0, "", "");
    home.taskq(&["add", "--quiet", "--from", "-", "--json"]).gives(0, "{\"version\":1,\"jobs\":[]}\n", "");
    fs::write(home.work().join("jobs"), "{").expect("writable");
    home.taskq(&["add", "--from", "jobs"]).gives(
        2,
        "",
        "error: cannot add the job in line 1 of `jobs`: the object is cut off at column 1\n\
         hint: a line is a JSON object: `{\"command\": [\"make\", \"-j8\"]}`\n",
    );
}

#[test]
fn a_line_can_have_a_text_to_read_a_mask_and_a_mail() {
    let home = Home::with_daemon();
    let lines = concat!(
        r#"{"script":"umask; cat","umask":"027","stdin_text":"one\ntwo\n","mail":"root,b@c.org,failed"}"#,
        "\n",
        r#"{"command":["cat"],"cwd":"/etc","stdin":"passwd"}"#,
        "\n",
    );
    home.taskq(&["add", "--quiet", "--from", "-"]).stdin(lines).gives(0, "1\n2\n", "");
    home.taskq(&["wait", "1"]).gives(0, "", "");
    home.taskq(&["log", "1"]).gives(0, "0027\none\ntwo\n", "");
    let job = home.json(&["show", "1"])["job"].clone();
    let value = |key: &str| job[key].to_string();
    let found = ["umask", "stdin", "stdin_text", "user", "mail_to", "mail_when", "mail_format"].map(value);
    assert_eq!(
        found,
        [r#""027""#, "null", r#""one\ntwo\n""#, "null", r#""root,b@c.org""#, r#""failed""#, r#""taskq""#]
    );
    assert_eq!(home.json(&["show", "2"])["job"]["stdin"], "/etc/passwd");
}
