//! Owns: event triggers on their way out: path units of systemd, and what each format says of the rest.
//! Never: triggers on instants (see `export`), each path (see the tests beside the code).

use crate::export::verified;
use crate::harness::Home;

/// Adds a job with few variables.
fn bare(home: &Home, args: &[&str]) {
    home.add(&[&["--clean-env", "--cwd", "/", "--env", "LOGNAME=me"], args].concat());
}

#[test]
fn a_path_trigger_is_a_path_unit_where_systemd_does_the_same() {
    let home = Home::new();
    std::fs::create_dir(home.work().join("inbox")).expect("the name is new");
    let work = home.work();
    let on = |text: &str| format!("{text}:{}", work.display());
    let (inbox, config, flag) =
        (on("path,nonempty") + "/inbox", on("path") + "/site 50%.conf", on("path,exists") + "/*.flag");
    let one = on("path,exists") + "/inbox/../one";
    bare(&home, &["--name", "inbox", "--on", &inbox, "--overlap", "wait", "true"]);
    bare(&home, &["--name", "config", "--on", &config, "--on", &on("path"), "--overlap", "skip", "true"]);
    bare(&home, &["--name", "both", "--cron", "@daily", "--tz", "UTC", "--on", &flag, "--on", &one, "true"]);
    bare(&home, &["--name", "boot", "--on", "state:boot", "true"]);
    bare(&home, &["--name", "held", "--hold", "--on", &on("path"), "-c", "cat $TASKQ_EVENT_FILE"]);
    insta::assert_snapshot!(home.transcript(&[&["export", "systemd"]]));
    let stream = home.taskq(&["export", "systemd"]).answer().stdout;
    verified(&home, &stream, 10);
}

#[test]
fn conditions_are_the_same_for_systemd_and_nothing_is_lost() {
    let home = Home::new();
    bare(&home, &["--on", "path,exists:/srv/x", "--on", "path,nonempty:/srv/none", "true"]);
    let answer = home.taskq(&["export", "systemd"]).answer();
    assert_eq!(answer.status, 0, "{answer:?}");
    assert!(answer.stdout.contains("PathExists=/srv/x\nDirectoryNotEmpty=/srv/none\n"), "{answer:?}");
}

#[test]
fn events_that_systemd_does_not_have_are_named_and_the_rest_is_printed() {
    let home = Home::new();
    bare(&home, &["--name", "a", "true"]);
    for on in [
        "emit,count=3:x",
        "job,failed:a",
        "stream,match=a\\,b:tail -f x",
        "state:online",
        "path,created:/srv/x",
        "path,bytes=10M:/srv/x",
        "path,settle=2s:/srv/x",
        "path,exists,poll=1m:/srv/x",
        "path,count=2:/srv/x",
        "path:/srv/*.csv",
        "path,nonempty:/etc/passwd",
        "path:/srv/a\nb",
        "state,absent=1h:boot",
    ] {
        bare(&home, &["--on", on, "true"]);
    }
    bare(&home, &["--on", "path:/srv/x", "--on", "path:/srv/y", "--all-of", "true"]);
    bare(&home, &["--name", "rest", "--on", "path,deleted:/srv/x", "--on", "path,exists:/srv/x", "true"]);
    bare(&home, &["--name", "replace", "--on", "path,exists:/srv/x", "--overlap", "replace", "true"]);
    insta::assert_snapshot!(home.transcript(&[&["export", "systemd"]]));
}

#[test]
fn paths_of_every_kind_are_named_by_crontab_and_come_back_from_json() {
    let home = Home::new();
    let paths = ["path:/srv/a\nb", "path:/srv/50%", "path,nonempty:/srv/a,b:c d", "path:/srv/\u{1b}mü'\"\\"];
    for on in paths {
        bare(&home, &["--cron", "@daily", "--tz", "system", "--on", on, "true"]);
    }
    let table = home.taskq(&["export", "crontab"]).answer();
    let lines: Vec<&str> = table.stdout.lines().filter(|line| line.starts_with('@')).collect();
    assert_eq!(
        (table.status, lines.as_slice()),
        (1, ["@daily cd / && exec true"; 4].as_slice()),
        "{table:?}"
    );
    let named: Vec<&str> = table.stderr.lines().filter(|line| line.contains("--on")).collect();
    let expected = [
        r"job 1: crontab(5) cannot say `--on path:/srv/a\nb`",
        "job 2: crontab(5) cannot say `--on path:/srv/50%`",
        "job 3: crontab(5) cannot say `--on path,nonempty:/srv/a,b:c d`",
        r#"job 4: crontab(5) cannot say `--on path:/srv/\x1bmü'"\`"#,
    ];
    assert_eq!(named, expected);
    let exported = home.taskq(&["export", "json", "--with-environment"]).answer();
    assert_eq!((exported.status, exported.stderr.as_str()), (0, ""));
    let other = Home::new();
    other.taskq(&["add", "--quiet", "--from", "-"]).stdin(exported.stdout.as_str()).gives(
        0,
        "1\n2\n3\n4\n",
        "",
    );
    let again = other.taskq(&["export", "json", "--with-environment"]).answer();
    assert_eq!(again.stdout, exported.stdout);
    for (job, on) in exported.stdout.lines().zip(paths) {
        let job: serde_json::Value = serde_json::from_str(job).expect("JSON");
        assert_eq!(job["on"], serde_json::json!([on]));
    }
}
