//! Owns: mails held against what the crons wrote on real machines, and ours.
//! Never: sending.

use super::*;
use crate::domain::{JobId, Mail, MailWhen, RunId, RunState, Stdin, Timestamp, TriggerKind};

fn mail(format: MailFormat, command: CommandLine, env: &[&str]) -> MailToSend {
    let at = |seconds: i64| Timestamp::from_seconds(1_772_417_700 + seconds);
    let run = RunView {
        run: RunId { job: JobId(12), number: 3 },
        name: Some("backup".to_owned()),
        attempt: 1,
        trigger: TriggerKind::Cron,
        scheduled_at: at(0),
        fires: 1,
        queue: "default".to_owned(),
        state: RunState::Finished,
        held: false,
        blocked: false,
        after_runs: None,
        array: None,
        parent: None,
        result: None,
        share: None,
        index: None,
        item: None,
        queued_at: at(0),
        stop_at: None,
        pid: Some(4711),
        started_at: Some(at(1)),
        finished_at: Some(at(91)),
        outcome: Some(Outcome::Failed),
        exit_code: Some(3),
        signal: None,
        cause: None,
        user: None,
        system: None,
        far: None,
        max_rss_kib: None,
        output_bytes: Some(6),
        is_split: false,
        stderr_bytes: None,
        unattended: false,
        output_pruned: false,
        paused: false,
        retry_at: None,
    };
    let execution = Execution {
        command,
        cwd: b"/".to_vec(),
        cwd_optional: false,
        env: env.iter().map(|variable| variable.as_bytes().to_vec()).collect(),
        umask: 0o022,
        nice: None,
        env_file: None,
        stdin: Stdin::Null,
        user: None,
    };
    let mail = Mail { to: "alice".to_owned(), when: MailWhen::Output, format };
    MailToSend { id: 5, mail, run, execution }
}

fn sh(command: &str) -> CommandLine {
    CommandLine::Argv(vec![b"/bin/sh".to_vec(), b"-c".to_vec(), command.as_bytes().to_vec()])
}

/// Arguments, as a line, and the message.
fn written(mail: &MailToSend, output: &str) -> (String, String) {
    written_of(mail, &of(output, ""))
}

fn of(stdout: &str, stderr: &str) -> Excerpts {
    let [stdout, stderr] = [stdout, stderr].map(|text| Excerpt::from(text.as_bytes().to_vec()));
    Excerpts { stdout, stderr }
}

fn written_of(mail: &MailToSend, output: &Excerpts) -> (String, String) {
    let zone = Zone::named("Europe/Berlin").expect("in every tzdata");
    let sender = Sender {
        user: "alice",
        host: "vm.example.org",
        charset: "UTF-8",
        zone: &zone,
        login: &[b"LANG=C".to_vec(), b"B=2".to_vec()],
    };
    let letter = compose(mail, output, &sender);
    let arguments: Vec<String> = letter.arguments.iter().map(|word| lossy(word)).collect();
    (arguments.join(" "), lossy(&letter.text))
}

const TABLE: [&str; 4] = ["SHELL=/bin/sh", "HOME=/home/alice", "PATH=/usr/bin:/bin", "LOGNAME=alice"];

#[test]
fn what_every_session_gets_is_not_told_of() {
    let table = ["B=2", "SHELL=/bin/sh", "LOGNAME=alice", "LANG=C", "B=2"];
    for format in [MailFormat::Debian, MailFormat::Cronie] {
        let (_, message) = written(&mail(format, sh("x"), &table), "x");
        let told: Vec<&str> = message.lines().filter_map(|line| line.strip_prefix("X-Cron-Env: ")).collect();
        assert_eq!(told, ["<B=2>", "<SHELL=/bin/sh>", "<LOGNAME=alice>"]);
    }
}

#[test]
fn debians_form_is_the_one_that_was_measured() {
    let expected = "From: root (Cron Daemon)\n\
        To: alice\n\
        Subject: Cron <alice@vm> echo unset\n\
        MIME-Version: 1.0\n\
        Content-Type: text/plain; charset=UTF-8\n\
        Content-Transfer-Encoding: 8bit\n\
        X-Cron-Env: <SHELL=/bin/sh>\n\
        X-Cron-Env: <HOME=/home/alice>\n\
        X-Cron-Env: <PATH=/usr/bin:/bin>\n\
        X-Cron-Env: <LOGNAME=alice>\n\
        \n\
        unset\n";
    for command in [sh("echo unset"), CommandLine::Script(b"echo unset".to_vec())] {
        let (arguments, message) = written(&mail(MailFormat::Debian, command, &TABLE), "unset\n");
        assert_eq!(arguments, "-FCronDaemon -i -B8BITMIME -oem alice");
        assert_eq!(message, expected);
    }
}

#[test]
fn a_cron_mails_what_kept_a_command_from_starting() {
    for format in [MailFormat::Debian, MailFormat::Cronie] {
        let mut mail = mail(format, sh("x"), &TABLE);
        mail.run.outcome = Some(Outcome::SpawnFailed);
        mail.run.cause = Some("`/nonexistent`: no such file or directory".to_owned());
        let (_, message) = written(&mail, "");
        assert!(message.ends_with("\n\n`/nonexistent`: no such file or directory\n"), "{message}");
    }
}

#[test]
fn debians_addressees_are_one_argument_and_its_body_is_the_output_alone() {
    let mut several = mail(MailFormat::Debian, sh("x"), &[]);
    several.mail.to = "a,b@example.org".to_owned();
    let (arguments, message) = written(&several, ".\r\n\0no newline");
    assert_eq!(arguments, "-FCronDaemon -i -B8BITMIME -oem a,b@example.org");
    assert!(
        message.contains("\nTo: a,b@example.org\n") && message.ends_with("\n\n.\r\n\0no newline"),
        "{message}"
    );
}

#[test]
fn a_table_says_from_whom_and_of_which_type_its_mails_are() {
    let head = |format, env: &[&str]| {
        let (arguments, message) = written(&mail(format, sh("x"), env), "");
        let lines = message.lines().filter(|line| line.starts_with("From") || line.starts_with("Content-"));
        (arguments, lines.map(str::to_owned).collect::<Vec<_>>().join("|"))
    };
    let of_debian = |env: &[&str]| head(MailFormat::Debian, env).1;
    let rest = "Content-Type: text/plain; charset=UTF-8|Content-Transfer-Encoding: 8bit";
    assert_eq!(of_debian(&["MAILFROM=from@example.org"]), format!("From: from@example.org|{rest}"));
    assert_eq!(of_debian(&["MAILFROM=a=b/c"]), format!("From: a=b/c|{rest}"));
    for unsafe_or_empty in ["MAILFROM=A B <c@d>", "MAILFROM=", "MAILFROM=-f"] {
        assert_eq!(of_debian(&[unsafe_or_empty]), format!("From: root (Cron Daemon)|{rest}"));
    }
    let types = ["CONTENT_TYPE=text/html", "CONTENT_TRANSFER_ENCODING=7bit"];
    let own = "Content-Type: text/html|Content-Transfer-Encoding: 7bit";
    assert_eq!(of_debian(&types), format!("From: root (Cron Daemon)|{own}"));
    let empty = ["CONTENT_TYPE=", "CONTENT_TRANSFER_ENCODING="];
    assert_eq!(of_debian(&empty), "From: root (Cron Daemon)|Content-Type: |Content-Transfer-Encoding: ");
    let (arguments, lines) = head(MailFormat::Cronie, &["MAILFROM=from@example.org"]);
    assert_eq!(arguments, "-FCronDaemon -i -odi -oem -oi -t -f from@example.org");
    assert_eq!(lines, "From: \"(Cron Daemon)\" <from@example.org>|Content-Type: text/plain; charset=UTF-8");
    assert_eq!(head(MailFormat::Cronie, &["MAILFROM=a=b/c"]).0, "-FCronDaemon -i -odi -oem -oi -t -f alice");
    assert_eq!(head(MailFormat::Cronie, &types).1, format!("From: \"(Cron Daemon)\" <alice>|{own}"));
}

#[test]
fn cronies_form_is_that_of_its_source() {
    let (arguments, message) =
        written(&mail(MailFormat::Cronie, sh("echo x"), &["SHELL=/bin/sh", "A=b  c"]), "x\n");
    assert_eq!(arguments, "-FCronDaemon -i -odi -oem -oi -t -f alice");
    assert_eq!(
        message,
        "From: \"(Cron Daemon)\" <alice>\n\
         To: alice\n\
         Subject: Cron <alice@vm> echo x\n\
         MIME-Version: 1.0\n\
         Content-Type: text/plain; charset=UTF-8\n\
         Auto-Submitted: auto-generated\n\
         Precedence: bulk\n\
         X-Cron-Env: <SHELL=/bin/sh>\n\
         X-Cron-Env: <A=b  c>\n\
         \n\
         x\n"
    );
}

#[test]
fn our_form_says_how_the_run_ended_and_nothing_of_the_environment() {
    let mut ours = mail(MailFormat::Taskq, sh("rsync -a src/ it's"), &["TOKEN=secret"]);
    ours.mail.to = "alice,bob@example.org".to_owned();
    ours.run.cause = Some("why\nnot".to_owned());
    let (arguments, message) = written(&ours, "lines\n");
    assert_eq!(arguments, "-i -B8BITMIME -oem alice bob@example.org");
    assert_eq!(
        message,
        "From: alice (taskq)\n\
         To: alice, bob@example.org\n\
         Subject: taskq <alice@vm> backup: failed, exit 3\n\
         Auto-Submitted: auto-generated\n\
         X-Taskq-Run: 12.3\n\
         MIME-Version: 1.0\n\
         Content-Type: text/plain; charset=UTF-8\n\
         Content-Transfer-Encoding: 8bit\n\
         \n\
         Run:       12.3 backup\n\
         Command:   /bin/sh -c 'rsync -a src/ it'\\''s'\n\
         Scheduled: 2026-03-02 03:15:00 +0100\n\
         Started:   2026-03-02 03:15:01 +0100\n\
         Took:      1m30s\n\
         Outcome:   failed, exit 3\n\
         Cause:     why\\nnot\n\
         \n\
         lines\n"
    );
}

#[test]
fn a_job_without_a_name_goes_by_its_id_and_a_signal_by_its_name() {
    let mut ours = mail(MailFormat::Taskq, CommandLine::Script(b"a\n  b\n\n".to_vec()), &[]);
    (ours.run.name, ours.run.exit_code, ours.run.signal) = (None, None, Some(9));
    let (_, message) = written(&ours, "");
    assert!(message.contains("\nSubject: taskq <alice@vm> 12: failed, SIGKILL\n"), "{message}");
    assert!(message.contains("\nRun:       12.3\nScript:    a\n             b\nScheduled: "), "{message}");
    assert!(message.ends_with("Outcome:   failed, SIGKILL\n"), "{message}");
}

#[test]
fn of_a_long_script_the_first_lines_stand_in_a_mail() {
    let script = (1..=12).map(|line| format!("line {line}\n")).collect::<String>();
    let (_, message) = written(&mail(MailFormat::Taskq, CommandLine::Script(script.into_bytes()), &[]), "");
    assert!(message.contains("\n           line 10\n           … and 2 lines more\n"), "{message}");
}

#[test]
fn no_command_and_no_variable_can_add_a_header() {
    for format in [MailFormat::Debian, MailFormat::Cronie, MailFormat::Taskq] {
        let env = ["A=b\nBcc: c@d", "MAILFROM=x\nBcc: c@d", "CONTENT_TYPE=t\r\nBcc: c@d", "B=c\rBcc: c@d"];
        let odd = mail(format, sh("echo\nBcc: c@d\rBcc: c@d\n\nbody"), &env);
        let (_, message) = written(&odd, "");
        let head = message.split("\n\n").next().expect("there is one");
        assert!(!head.split(['\n', '\r']).any(|line| line.starts_with("Bcc")), "{message}");
    }
}

#[test]
fn the_carriage_return_of_a_table_with_dos_line_ends_is_kept() {
    let (_, message) = written(&mail(MailFormat::Debian, sh("echo \r"), &["A=b\r"]), "");
    assert!(message.contains("\nSubject: Cron <alice@vm> echo \r\n"), "{message:?}");
}

#[test]
fn what_is_left_out_of_an_output_is_said_where_it_is_missing() {
    let excerpt = Excerpt { head: b"begin".to_vec(), left_out: 99, tail: b"end\n".to_vec() };
    let excerpts = Excerpts { stdout: excerpt.clone(), stderr: excerpt };
    let (_, message) = written_of(&mail(MailFormat::Debian, sh("x"), &[]), &excerpts);
    let note = "\n\nbegin\n[taskq: 99 bytes are left out here; `taskq log 12.3` has them]\nend\n\
        begin\n[taskq: 99 bytes are left out here; `taskq log 12.3 --stderr` has them]\nend\n";
    assert!(message.ends_with(note), "{message}");
}

#[test]
fn a_standard_error_of_its_own_comes_after_the_standard_output() {
    let body = |format, stdout, stderr| {
        let (_, message) = written_of(&mail(format, sh("x"), &[]), &of(stdout, stderr));
        message.split_once("\n\n").expect("a head and a body").1.to_owned()
    };
    assert_eq!(body(MailFormat::Debian, "out\n", "error\n"), "out\nerror\n");
    assert_eq!(body(MailFormat::Cronie, "no end", "error\n"), "no end\nerror\n");
    assert_eq!(body(MailFormat::Cronie, "", "error\n"), "error\n");
    for (stdout, stderr, end) in [
        ("out\n", "error\n", "\n\nout\n[taskq: standard error]\nerror\n"),
        ("", "error\n", "\n\n[taskq: standard error]\nerror\n"),
        ("out\n", "", "\n\nout\n"),
    ] {
        let body = body(MailFormat::Taskq, stdout, stderr);
        assert!(body.ends_with(end) && body.starts_with("Run"), "{body}");
    }
}
