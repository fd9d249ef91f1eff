//! Owns: sending mails, also when daemon or keeper die. A script stands in for sendmail(8).
//! Never: the text of a mail (see `src/daemon/mail`).

use std::fs::{self, File};

use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};

use crate::check::{count, finish};
use crate::harness::{Daemon, MARKS, Store, chmod, open, stderr};
use crate::keeper_deaths::UNATTENDED;
use crate::processes::{eventually, output, send};
use crate::shared::has;

/// The begin of the scripts for sendmail(8): it keeps the mail.
const KEEPS: &str = "cat >mail.$$; grep -m1 ^Subject: mail.$$ >>sent; ";

const WAITING: &str = "SELECT count(*) = 0 FROM mail WHERE failed IS NULL";

/// Makes a script the sendmail(8) of a store.
fn sendmail(store: &Store, script: &str) {
    let text = format!("#!/bin/sh\npwd >{0}/cwd; cd {0}; {script}\n", store.base.path().display());
    fs::write(store.path("sendmail"), text).expect("it is our directory");
    chmod(store.path("sendmail"), 0o755);
}

fn daemon(store: &Store) -> Daemon {
    let mut command = store.command(&["daemon", "--slots", "2"]);
    command.env("TASKQ_SENDMAIL", store.path("sendmail"));
    let mut daemon = Daemon::new(&mut command);
    daemon.line("serving");
    daemon
}

/// A new store with this sendmail, and its daemon.
fn mailing(script: &str) -> (Store, Daemon) {
    let store = Store::new();
    sendmail(&store, script);
    let daemon = daemon(&store);
    (store, daemon)
}

/// A new store with this sendmail and a daemon that runs a job. `script`, or the sendmail, reads `gate`.
fn gated(sendmails: &str, when: &str, script: &str) -> (Store, Daemon, File) {
    let (store, daemon) = mailing(sendmails);
    store.fifos(&["gate"]);
    store.add(&["--mail", when], &format!("{MARKS}{script}"));
    let gate = store.gate("gate");
    (store, daemon, gate)
}

/// Waits for the end of job 1 and until nothing is left to send; returns the job's status.
fn sent_after_the_end(store: &Store) -> i32 {
    let status = store.wait("1");
    store.until(WAITING, 1);
    status
}

/// Adds job 1, and does the same.
fn mailed(store: &Store, options: &[&str], script: &str) -> i32 {
    store.add(options, &format!("{MARKS}{script}"));
    sent_after_the_end(store)
}

/// Gives job 1, which is held, the mails of this program, resumes it, and does the same.
fn resumed_as(format: &str, store: &Store) -> i32 {
    store.database().execute("UPDATE job SET mail_format = ?1", [format]).expect("it is there");
    store.ok(&["resume", "1"]);
    sent_after_the_end(store)
}

fn sent(store: &Store) -> Vec<String> {
    fs::read_to_string(store.path("sent")).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn text(store: &Store, name: &str) -> String {
    fs::read_to_string(store.path(name)).expect("sendmail has written it")
}

/// The one mail that was sent.
fn the_mail(store: &Store) -> Vec<u8> {
    let entries = fs::read_dir(store.base.path()).expect("it is there").flatten();
    let mut mails = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("mail."));
    let mail = mails.next().expect("there is one").path();
    assert!(mails.next().is_none(), "there is another");
    fs::read(mail).expect("it is readable")
}

fn the_text(store: &Store) -> String {
    String::from_utf8(the_mail(store)).expect("it is text")
}

fn all_sent(store: &Store, daemon: Daemon) {
    store.until(WAITING, 1);
    finish(store, daemon);
    let log = fs::read_dir(store.dir.join("log")).expect("it is there").flatten();
    let left: Vec<_> =
        log.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().starts_with("0.")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_mail_has_both_outputs_of_a_run_wherever_they_are() {
    let short = "\n\n[taskq: standard error]\nonly\n";
    let long = "\n20000\n[taskq: standard error]\nerror\n";
    for (options, script, end) in [
        (&[][..], "echo only >&2", short),
        (&["--array", "1-2"], "echo only >&2", short),
        (&[], "seq 20000; echo error >&2", long),
    ] {
        let (store, daemon) = mailing(KEEPS);
        let options = [options, &["--mail", "a@c.org", "--split-output"]].concat();
        assert_eq!(mailed(&store, &options, script), 0);
        let text = the_text(&store);
        assert!(text.ends_with(end), "{}", &text[text.len() - 100..]);
        all_sent(&store, daemon);
    }
}

#[test]
fn sendmail_gets_the_mail_and_a_bare_environment() {
    let (store, daemon) = mailing(&format!("printf '%s\\n' \"$@\" >words; env >env; {KEEPS}"));
    let options = ["--name", "me", "--mail", "a@c.org,b@c.org", "--env", "TOKEN=secret"];
    assert_eq!(mailed(&store, &options, "echo one; exit 3"), 3);
    assert_eq!(text(&store, "words"), "-i\n-B8BITMIME\n-oem\na@c.org\nb@c.org\n");
    assert_eq!(text(&store, "cwd"), "/\n");
    let env = text(&store, "env");
    let mut names: Vec<&str> = env.lines().filter_map(|line| line.split('=').next()).collect();
    names.retain(|name| !matches!(*name, "PWD" | "OLDPWD" | "SHLVL" | "_"));
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LOGNAME", "PATH", "USER"]);
    let mail = the_text(&store);
    assert!(
        mail.contains("> me: failed, exit 3\n") && mail.ends_with("\n\none\n") && !mail.contains("secret"),
        "{mail}"
    );
    assert_eq!(count(&store, "mail"), 0);
    all_sent(&store, daemon);
}

#[test]
fn a_mail_in_the_form_of_debians_cron_is_its_mail_to_the_byte() {
    let (store, daemon) = mailing(&format!("printf '%s\\n' \"$@\" >words; {KEEPS}"));
    store.add(
        &["--hold", "--clean-env", "--mail", "a@c,b@c"],
        &format!("{MARKS}printf 'a\\0b\\n.\\nno newline'"),
    );
    assert_eq!(resumed_as("debian", &store), 0);
    assert_eq!(text(&store, "words"), "-FCronDaemon\n-i\n-B8BITMIME\n-oem\na@c,b@c\n");
    let mail = the_mail(&store);
    let head = "From: root (Cron Daemon)\nTo: a@c,b@c\nSubject: Cron <";
    assert!(mail.starts_with(head.as_bytes()), "{}", String::from_utf8_lossy(&mail));
    let tail = "MIME-Version: 1.0\nContent-Type: text/plain; charset=US-ASCII\n\
                Content-Transfer-Encoding: 8bit\nX-Cron-Env: <";
    assert!(
        mail.windows(tail.len()).any(|part| part == tail.as_bytes()),
        "{}",
        String::from_utf8_lossy(&mail)
    );
    assert!(mail.ends_with(b">\n\na\0b\n.\nno newline"), "{}", String::from_utf8_lossy(&mail));
    all_sent(&store, daemon);
}

#[test]
fn cronies_mail_about_a_failure_is_only_sent_if_there_was_output_and_ours_always() {
    for (format, output, mails) in [("cronie", "", 0), ("cronie", "echo out; ", 1), ("taskq", "", 1)] {
        let (store, daemon) = mailing(KEEPS);
        store.add(&["--hold", "--mail", "root,failed"], &format!("{MARKS}{output}exit 3"));
        assert_eq!(resumed_as(format, &store), 3);
        all_sent(&store, daemon);
        assert_eq!(sent(&store).len(), mails, "{format} {output}");
    }
}

#[test]
fn a_cron_mails_what_kept_a_command_from_starting() {
    let (store, daemon) = mailing(KEEPS);
    store.ok(&["add", "--hold", "--mail", "root,output", "--", "/nonexistent", "-c", "x"]);
    assert_eq!(resumed_as("debian", &store), 127);
    let mail = the_text(&store);
    assert!(mail.ends_with(">\n\n`/nonexistent`: no such file or directory\n"), "{mail}");
    store.close(daemon);
}

#[test]
fn a_run_that_ended_while_no_daemon_was_there_is_mailed_once_by_the_next() {
    let (store, first, gate) = gated(KEEPS, "root", "echo out; read x <gate");
    first.kill();
    open(gate);
    let second = daemon(&store);
    assert_eq!(store.wait("1"), 0);
    all_sent(&store, second);
    assert_eq!(sent(&store).len(), 1);
}

#[test]
fn a_mail_under_way_is_adopted_by_the_next_daemon_and_sent_once() {
    let (store, first, gate) = gated(&format!("{KEEPS} read x <gate"), "root,always", "");
    first.kill();
    let second = daemon(&store);
    assert_eq!(count(&store, "mail WHERE keeper IS NOT NULL"), 1);
    open(gate);
    all_sent(&store, second);
    assert_eq!(sent(&store).len(), 1);
    assert_eq!(count(&store, "mail"), 0);
}

#[test]
fn a_mail_whose_keeper_was_killed_is_sent_by_the_next() {
    // Only the first one waits.
    let (store, mut daemon, gate) =
        gated(&format!("mkdir first && {{ read x <gate; exit; }}; {KEEPS}"), "root,always", "");
    send(store.keeper().expect("it sends a mail"), Signal::SIGKILL);
    daemon.line("the keeper is gone");
    store.until(WAITING, 1);
    assert_eq!(sent(&store).len(), 1);
    open(gate);
    all_sent(&store, daemon);
    assert_eq!(count(&store, "mail"), 0);
}

#[test]
fn a_run_that_is_lost_is_mailed_about() {
    let (store, mut daemon, gate) = gated(KEEPS, "root,failed", "echo so far; read x <gate");
    send(store.keeper().expect("it runs something"), Signal::SIGKILL);
    daemon.line("the keeper is gone");
    store.until(UNATTENDED, 1);
    open(gate);
    assert_eq!(sent_after_the_end(&store), 125);
    let mail = the_text(&store);
    assert!(mail.contains(" 1: lost\n") && mail.ends_with("\n\nso far\n"), "{mail}");
    all_sent(&store, daemon);
}

#[test]
fn a_mail_that_sendmail_refuses_is_told_of_and_not_tried_again() {
    let (store, mut first) = mailing("echo; echo no such address >&2; exit 67");
    store.add(&["--mail", "root,always"], MARKS);
    assert_eq!(store.wait("1"), 0);
    let cause = "sendmail ended with status 67: no such address";
    first.line(&format!("the mail about run 1.1 was not sent: {cause}"));
    let shown = store.ok(&["show", "1"]);
    assert!(shown.contains(&format!("\nNot sent:  the mail about run 1.1: {cause}\n")), "{shown}");
    sendmail(&store, KEEPS);
    first.kill();
    let second = daemon(&store);
    store.add(&["--mail", "root,always"], MARKS);
    assert_eq!(store.wait("2"), 0);
    all_sent(&store, second);
    assert_eq!((sent(&store).len(), count(&store, "mail")), (1, 1));
}

#[test]
fn without_a_sendmail_one_line_says_so_and_nothing_waits() {
    let store = Store::new();
    let mut daemon = daemon(&store);
    for job in ["1", "2"] {
        store.add(&["--mail", "root"], &format!("{MARKS}echo out"));
        assert_eq!(store.wait(job), 0);
    }
    daemon.line("there is no sendmail");
    store.until(WAITING, 1);
    assert_eq!(count(&store, "mail WHERE failed = 'there is no sendmail'"), 2);
    assert_eq!(daemon.log().matches("sendmail: mails").count(), 1);
    all_sent(&store, daemon);
}

#[test]
fn a_mail_holds_an_output_from_the_run_log_or_a_file_and_of_a_long_one_its_ends() {
    for bytes in [10, 70_000, 1 << 20, 3 << 20] {
        let (store, daemon) = mailing(KEEPS);
        assert_eq!(
            mailed(
                &store,
                &["--mail", "root"],
                &format!("echo begin; yes | head -c {}; printf end", bytes - 9)
            ),
            0
        );
        let mail = the_mail(&store);
        let at = mail.windows(8).position(|part| part == b"\n\nbegin\n").expect("there is the output") + 2;
        assert!(mail.ends_with(b"end"), "{bytes}");
        let length = mail.len() - at;
        if bytes <= 1 << 20 {
            assert_eq!(length, bytes);
        } else {
            let note = format!(
                "\n[taskq: {} bytes are left out here; `taskq log 1.1` has them]\n",
                bytes - (1 << 20)
            );
            assert_eq!(length, (1 << 20) + note.len());
            assert!(mail.windows(note.len()).any(|part| part == note.as_bytes()), "{bytes}");
        }
        all_sent(&store, daemon);
    }
}

#[test]
fn an_output_to_which_a_process_still_writes_is_mailed_as_it_is() {
    let (store, daemon, gate) = gated(KEEPS, "root", "echo now; { read x; echo late; } <gate &");
    assert_eq!(sent_after_the_end(&store), 0);
    assert!(the_mail(&store).ends_with(b"\n\nnow\n"));
    open(gate);
    eventually("the rest is written", || store.ok(&["log", "1"]) == "now\nlate");
    all_sent(&store, daemon);
}

#[test]
fn the_mail_about_another_users_run_is_sent_as_that_user() {
    if !has("root", geteuid().is_root()) {
        return;
    }
    let store = Store::new();
    chmod(store.base.path(), 0o777);
    sendmail(&store, &format!("id -un >name; id -G >groups; echo $HOME >home; {KEEPS}"));
    let daemon = daemon(&store);
    assert_eq!(mailed(&store, &["--mail", "root", "--user", "nobody"], "id -un"), 0);
    let found = ["name", "groups", "home"].map(|name| text(&store, name));
    let groups = output(store.program("id").args(["-G", "nobody"])).stdout;
    let nobody = User::from_name("nobody").ok().flatten().expect("everyone has one");
    let home = format!("{}\n", nobody.dir.display());
    assert_eq!(found, ["nobody\n".to_owned(), String::from_utf8(groups).expect("numbers"), home]);
    let mail = the_text(&store);
    assert!(mail.starts_with("From: nobody (taskq)\n") && mail.ends_with("\n\nnobody\n"), "{mail}");
    all_sent(&store, daemon);
}

#[test]
fn a_user_whose_sendmails_do_not_end_holds_up_no_mail_of_anybody_else() {
    if !has("root", geteuid().is_root()) {
        return;
    }
    let store = Store::new();
    chmod(store.base.path(), 0o777);
    store.fifos(&["gate"]);
    chmod(store.path("gate"), 0o666);
    fs::write(store.path("sent"), "").expect("it is our directory");
    chmod(store.path("sent"), 0o666);
    sendmail(&store, &format!("[ $(id -u) = 0 ] || read x <gate; {KEEPS}"));
    let daemon = daemon(&store);
    for job in 1..=6 {
        store.add(&["--mail", "root,always", "--user", "nobody"], MARKS);
        assert_eq!(store.wait(&job.to_string()), 0);
    }
    let gate = store.gate("gate");
    store.add(&["--mail", "root,always"], MARKS);
    assert_eq!(store.wait("7"), 0);
    store.until("SELECT count(*) = 0 FROM mail WHERE user = ''", 1);
    assert_eq!(count(&store, "mail WHERE user = 'nobody'"), 6);
    fs::remove_file(store.path("gate")).expect("it is there");
    drop(gate);
    all_sent(&store, daemon);
    assert_eq!(sent(&store).len(), 7);
}

#[test]
fn a_user_that_is_gone_is_the_cause_of_a_run_that_cannot_be_started() {
    if !has("root", geteuid().is_root()) {
        return;
    }
    let (store, daemon) = mailing(KEEPS);
    store.add(&["--hold", "--user", "nobody"], "true");
    store.database().execute("UPDATE job SET user = 'nobody-any-more'", []).expect("it is there");
    store.ok(&["resume", "1"]);
    let ended = store.run(&["wait", "1"]);
    let words = stderr(&ended);
    assert_eq!(ended.status.code(), Some(125), "{words}");
    assert_eq!(words, "run 1.1: spawn_failed, user `nobody-any-more`: there is no such user\n");
    store.close(daemon);
}
