//! Owns: what `add` takes, answers and hands to the child.
//! Never: what it refuses (see `bad_input`).

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use nix::unistd::{User, geteuid};

use crate::filter::squeezed;
use crate::harness::Home;
use crate::shared::has;

#[test]
fn the_answer_is_the_id_alone_and_ids_count_up() {
    let home = Home::new();
    home.taskq(&["add", "--quiet", "true"]).gives(0, "1\n", "");
    home.taskq(&["add", "--quiet", "-c", "exit 3"]).gives(0, "2\n", "");
    home.taskq(&["add", "--quiet", "--name", "x", "--at", "tomorrow 9am", "true"]).gives(0, "3\n", "");
}

#[test]
fn options_behind_the_command_belong_to_it() {
    let home = Home::new();
    home.add(&["--name", "a", "ls", "--name", "b", "--json", "-c"]);
    home.add(&["--", "ls", "--", "--at"]);
    home.add(&["--", "-x"]);
    let commands: Vec<String> =
        (1..=3).map(|id| home.json(&["show", &id.to_string()])["job"]["command"].to_string()).collect();
    assert_eq!(commands, [r#"["ls","--name","b","--json","-c"]"#, r#"["ls","--","--at"]"#, r#"["-x"]"#]);
    assert_eq!(home.json(&["show", "1"])["job"]["name"], "a");
}

#[test]
fn a_script_may_come_on_standard_input() {
    let home = Home::with_daemon();
    home.taskq(&["add"])
        .stdin("read line < /etc/hostname\necho 'it'\"'\"'s' \"$0\" $#\n")
        .gives(0, "1\n", "");
    home.taskq(&["wait", "1"]).gives(0, "", "");
    home.taskq(&["log", "1"]).gives(0, "it's /bin/sh 0\n", "");
}

#[test]
fn arguments_that_are_no_text_reach_the_child() {
    let home = Home::with_daemon();
    let odd = OsStr::from_bytes(b"a\xffb\n");
    home.taskq(&[OsStr::new("add"), "printf".as_ref(), "[%s]".as_ref(), odd, "".as_ref(), "ü".as_ref()])
        .gives(0, "1\n", "");
    home.taskq(&["wait", "1"]).gives(0, "", "");
    home.taskq(&["log", "1"]).gives(0, "[a\\xffb\n][][ü]", "");
}

#[test]
fn the_longest_script_runs_and_a_longer_one_is_refused() {
    let home = Home::with_daemon();
    let script = |length: usize| format!("echo ok #{}", "x".repeat(length - "echo ok #".len()));
    home.taskq(&["add"]).stdin(script(128 * 1024 - 1)).gives(0, "1\n", "");
    home.taskq(&["wait", "1"]).gives(0, "", "");
    home.taskq(&["log", "1"]).gives(0, "ok\n", "");
    assert_eq!(home.taskq(&["add"]).stdin(script(128 * 1024)).answer().status, 2);
}

#[test]
fn environment_directory_and_mask_are_those_of_the_caller() {
    let home = Home::with_daemon();
    std::fs::create_dir(home.work().join("deep")).expect("the name is new");
    let script = "umask 027; \"$0\" add -c 'echo \"$WORD\"; pwd; umask; wc -c < /dev/stdin'";
    let output = assert_cmd::Command::new("/bin/sh")
        .args(["-c", script, crate::harness::TASKQ])
        .env_clear()
        .envs([("PATH", "/usr/bin:/bin"), ("WORD", "two  words")])
        .env("HOME", home.path())
        .env("XDG_DATA_HOME", home.path().join("data"))
        .current_dir(home.work().join("deep"))
        .output()
        .expect("sh runs");
    assert_eq!((output.status.code(), output.stdout), (Some(0), b"1\n".to_vec()));
    home.taskq(&["wait", "1"]).gives(0, "", "");
    home.taskq(&["log", "1"]).gives(0, "two  words\n[home]/work/deep\n0027\n0\n", "");
}

#[test]
fn variables_are_added_or_kept_and_the_last_one_wins() {
    let home = Home::with_daemon();
    let args = ["add", "--env", "A=1", "--env", "A=2=3", "--env", "KEPT", "--clean-env", "env"];
    home.taskq(&args).env("KEPT", "yes").env("LOST", "x").gives(0, "1\n", "");
    home.taskq(&["wait", "1"]).gives(0, "", "");
    let log = home.taskq(&["log", "1"]).answer().stdout;
    let mut names: Vec<&str> = log.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    names.retain(|name| *name != "LOGNAME");
    let known = [
        "A",
        "HOME",
        "KEPT",
        "PATH",
        "SHELL",
        "TASKQ_ATTEMPT",
        "TASKQ_JOB",
        "TASKQ_RESULT_FILE",
        "TASKQ_RUN",
        "TASKQ_SCHEDULED_AT",
        "TASKQ_TRIGGER",
    ];
    assert_eq!(names, known);
    for line in ["A=2=3", "KEPT=yes", "PATH=/usr/bin:/bin", "SHELL=/bin/sh"] {
        assert!(log.lines().any(|found| found == line), "{line}: {log}");
    }
}

#[test]
fn a_run_knows_what_it_is() {
    let home = Home::with_daemon();
    let script =
        "echo $TASKQ_JOB $TASKQ_RUN $TASKQ_NAME $TASKQ_ATTEMPT $TASKQ_TRIGGER; echo $TASKQ_SCHEDULED_AT";
    // What a job of a job inherits must not stand for its own.
    home.taskq(&["add", "--quiet", "--name", "me", "-c", script])
        .env("TASKQ_JOB", "99")
        .env("TASKQ_NAME", "x")
        .gives(0, "1\n", "");
    home.taskq(&["run", "me", "--wait"]).gives(0, "1.2\n", "");
    let log = home.taskq(&["log", "1.2"]).answer().stdout;
    let scheduled_at = home.json(&["runs", "-n", "1"])["runs"][0]["scheduled_at"].as_str().map(str::to_owned);
    assert_eq!(log, format!("1 1.2 me 1 manual\n{}\n", scheduled_at.expect("an instant")));
}

#[test]
fn a_job_starts_in_the_directory_of_cwd() {
    let home = Home::with_daemon();
    std::fs::create_dir(home.work().join("deep")).expect("the name is new");
    let id = home.add_and_wait(&["--cwd", "deep", "pwd"]);
    home.taskq(&["log", &id]).gives(0, "[home]/work/deep\n", "");
}

#[test]
fn the_json_of_a_job_has_every_option() {
    let home = Home::new();
    home.taskq(&["queue", "set", "gpu", "--slots", "1"]).gives(0, "", "");
    let said = home.transcript(&[
        &["add", "--quiet", "--json", "true"],
        &[
            "add",
            // Whether there is a sendmail(8) depends on the machine.
            "--quiet",
            "--json",
            "--name",
            "full",
            "--at",
            "2031-01-01",
            "--cron",
            "15 3 * * *",
            "--every",
            "90s",
            "--start",
            "2030-01-01",
            "--tz",
            "UTC",
            "--tag",
            "a",
            "--tag",
            "b",
            "--queue",
            "gpu",
            "--priority",
            "-7",
            "--cwd",
            "/",
            "--umask",
            "77",
            "--stdin",
            "etc/passwd",
            "--mail",
            "root,bob@example.org,always",
            "--timeout",
            "2h",
            "--kill-after",
            "5s",
            "--overlap",
            "wait",
            "--missed",
            "skip,1d",
            "--grace",
            "1s",
            "--hold",
            "-c",
            "make all",
        ],
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn a_held_job_waits_for_resume() {
    let home = Home::with_daemon();
    let id = home.add(&["--hold", "--name", "held", "true"]);
    home.taskq(&["list"]).gives(0, "ID  NAME  STATE   COMMAND\n 1  held  paused  true\n", "");
    home.taskq(&["resume", "held"]).gives(0, "", "");
    home.taskq(&["wait", &id]).gives(0, "", "");
}

#[test]
fn a_job_has_the_mask_that_it_was_added_with_or_that_of_umask() {
    let home = Home::with_daemon();
    let id = home.add_and_wait(&["--umask", "137", "-c", "umask; : >made; stat -c %a made"]);
    home.taskq(&["log", &id]).gives(0, "0137\n640\n", "");
}

#[test]
fn a_job_reads_its_file_as_it_is_at_each_start_and_says_which_is_not_there() {
    let home = Home::with_daemon();
    std::fs::create_dir(home.work().join("deep")).expect("the name is new");
    let id = home.add_and_wait(&["--cwd", "deep", "--stdin", "file", "cat"]);
    home.taskq(&["log", &id]).gives(
        0,
        "",
        "run 1.1: spawn_failed, standard input `[home]/work/deep/file`: no such file or directory\n",
    );
    home.taskq(&["wait", &id]).gives(
        125,
        "",
        "run 1.1: spawn_failed, standard input `[home]/work/deep/file`: no such file or directory\n",
    );
    for text in ["one\n", "two\n"] {
        std::fs::write(home.work().join("deep/file"), text).expect("writable");
        let run = home.taskq(&["run", &id, "--wait"]).answer().stdout;
        home.taskq(&["log", run.trim_end()]).gives(0, text, "");
    }
}

#[test]
fn what_a_job_reads_and_whom_it_mails_is_shown() {
    let home = Home::new();
    home.add(&["--stdin", "file", "--mail", "root,failed", "--hold", "true"]);
    home.add(&["--mail", "root,bob@example.org", "--hold", "true"]);
    let line = r#"{"command":["true"],"stdin_text":"text","mail":"root,always","hold":true}"#;
    home.taskq(&["add", "--quiet", "--from", "-"]).stdin(line).gives(0, "3\n", "");
    let shown = home.transcript(&[&["show", "1"], &["show", "2"], &["show", "3"]]);
    insta::assert_snapshot!(squeezed(&shown));
}

#[test]
fn root_can_add_a_job_that_runs_as_another_user() {
    if !has("root", geteuid().is_root()) {
        return;
    }
    let home = Home::with_daemon();
    let nobody = User::from_name("nobody").ok().flatten().expect("everyone has one");
    let dir = nobody.dir.display();
    let script = "id -un; echo $HOME $SHELL $LOGNAME $USER $KEPT; pwd";
    let args = ["add", "--user", "nobody", "--env", "SHELL=/bin/sh", "--cwd", "/", "-c", script];
    home.taskq(&args).env("KEPT", "yes").env("USER", "root").gives(0, "1\n", "");
    home.taskq(&["wait", "1"]).gives(0, "", "");
    home.taskq(&["log", "1"]).gives(0, &format!("nobody\n{dir} /bin/sh nobody nobody yes\n/\n"), "");
    let clean =
        ["--user", "nobody", "--clean-env", "--cwd", "/", "-c", "env | grep -v TASKQ_ | grep -v PWD= | sort"];
    let id = home.add_and_wait(&clean);
    home.taskq(&["log", &id]).gives(
        0,
        &format!("HOME={dir}\nLOGNAME=nobody\nPATH=/usr/bin:/bin\nSHELL=/bin/sh\n"),
        "",
    );
    assert_eq!(home.json(&["show", "1"])["job"]["user"], "nobody");
    assert!(home.taskq(&["show", "1"]).answer().stdout.contains("\nUser:      nobody\n"));
}

#[test]
fn what_may_be_a_slip_is_noted_and_the_job_is_added() {
    let home = Home::with_daemon();
    let notes = |args: &[&str]| {
        let answer = home.taskq(&[&["add", "--hold"], args].concat()).answer();
        assert!(answer.status == 0 && answer.stdout.trim_end().parse::<u64>().is_ok(), "{answer:?}");
        answer.stderr
    };
    fs::write(home.work().join("plain"), "").expect("a file");
    let place = home.work().display().to_string();
    for (args, note) in [
        (&["echo hi"][..], "`echo hi` is one word; a shell runs it with `-c 'echo hi'`".to_owned()),
        (&["5m", "echo"], "`5m` is taken as the program; `--at 'in 5m'` runs the rest later".to_owned()),
        (&["./gone"], format!("the program `./gone` is not there, seen from `{place}`")),
        (&["nosuch"], "the program `nosuch` is not in the job's PATH".to_owned()),
        (&["./plain"], "the program `./plain` cannot be started: permission denied".to_owned()),
        (
            &["--cron", "0 9 1-7 * mon", "true"],
            "`--cron '0 9 1-7 * mon'`: day of the month and weekday are both restricted: \
             a day that matches one of them is enough"
                .to_owned(),
        ),
        (
            &["--at", "2031-03-30 02:30", "true"],
            "`--at 2031-03-30 02:30`: the clock of Europe/Berlin leaves out 2031-03-30 02:30:00; \
             the job runs at 2031-03-30 03:00:00 +0200"
                .to_owned(),
        ),
    ] {
        assert_eq!(notes(args), format!("note: {note}\n"), "{args:?}");
    }
    for silent in [&["true"][..], &["-c", "nosuch"], &["--quiet", "nosuch"], &["--at", "2031-03-30", "true"]]
    {
        assert_eq!(notes(silent), "", "{silent:?}");
    }
    let lines = "{\"command\":[\"nosuch\"]}\n".repeat(12);
    let of_batch = home.taskq(&["add", "--from", "-"]).stdin(lines).answer().stderr;
    assert_eq!(of_batch.lines().count(), 11);
    let first = "note: the job in line 1 of standard input: the program `nosuch` is not in the job's PATH\n";
    assert!(of_batch.starts_with(first), "{of_batch}");
    assert!(of_batch.ends_with("note: 2 more jobs have notes like these\n"), "{of_batch}");
}

#[test]
fn a_mail_that_no_program_can_send_is_noted() {
    let home = Home::with_daemon();
    let note = "note: no sendmail(8) is there for the mail to `me@example.org`; \
                the daemon can be given one by `TASKQ_SENDMAIL`\n";
    let add = ["add", "--hold", "--mail", "me@example.org", "true"];
    home.taskq(&add).env("TASKQ_SENDMAIL", "/gone").gives(0, "1\n", note);
    home.taskq(&add).env("TASKQ_SENDMAIL", "/bin/true").gives(0, "2\n", "");
}

#[test]
fn a_job_without_a_daemon_is_noted_in_scripts_too() {
    let home = Home::new();
    let note = "note: no daemon is running: start one with `taskq service install`, or `taskq daemon &`\n";
    home.taskq(&["add", "true"]).gives(0, "1\n", note);
    home.taskq(&["add", "--quiet", "true"]).gives(0, "2\n", "");
}
