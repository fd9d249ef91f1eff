//! Owns: tests with jobs that `add` on a command line cannot make.
//! Never: what the black-box tests check.

use super::*;
use crate::cli::view::samples::job;
use crate::domain::{
    CommandLine, Execution, Mail, MailFormat, MailWhen, NewJob, Overlap, Policy, QueueName, Span, Stdin,
    Timestamp,
};
use crate::schedule::{Dialect, compile};
use crate::system::users;

const NOW: i64 = 1_767_225_600;

/// A job as the import of a crontab makes it, for the user who runs the test.
fn exported(expr: &str, delay: Span) -> ExportedJob {
    let account = users::person(None);
    let spec = TriggerSpec::Cron { expr: expr.to_owned(), zone: None, delay };
    let schedule = compile(&spec).expect("it is one");
    let execution =
        Execution { cwd: account.home.clone(), ..Execution::of(CommandLine::Script(b"cat".to_vec())) };
    let definition = NewJob {
        mail: Some(mail(&account.name, MailWhen::Output)),
        queue: QueueName::CRON.parse().expect("a name"),
        policy: Policy { overlap: Some(Overlap::Allow), ..Policy::default() },
        ..NewJob::of(execution)
    };
    let job = job(7, definition);
    ExportedJob {
        job,
        env: Vec::new(),
        items: Vec::new(),
        triggers: vec![Trigger { spec, schedule, zone: Zone::utc() }],
    }
}

fn mail(to: &str, when: MailWhen) -> Mail {
    Mail { to: to.to_owned(), when, format: MailFormat::Debian }
}

fn told(warnings: &ExportWarnings) -> Vec<String> {
    warnings.sentences(1)
}

fn as_crontab(jobs: &[ExportedJob]) -> (String, Vec<String>) {
    let mut warnings = ExportWarnings::default();
    let here = crontab::TargetCron {
        zone: Zone::utc(),
        owner: users::person(None),
        dialect: Dialect::Debian,
        login: Vec::new(),
    };
    let text = crontab::table(jobs, Timestamp::from_seconds(NOW), &here, &mut warnings);
    (String::from_utf8(text).expect("it is text"), told(&warnings))
}

fn as_units(job: ExportedJob) -> (String, Vec<String>) {
    let mut warnings = ExportWarnings::default();
    let text = systemd::units(&[job], Timestamp::from_seconds(NOW), &mut warnings);
    (String::from_utf8(text).expect("it is text"), told(&warnings))
}

#[test]
fn mail_is_a_variable_of_the_table_and_cron_mails_output_alone() {
    let owner = || exported("@daily", Span::ZERO);
    let with = |mail: Option<Mail>| {
        let mut exported = owner();
        exported.job.definition.mail = mail;
        exported
    };
    assert_eq!(as_crontab(&[owner()]), ("@daily cat\n".to_owned(), Vec::new()));
    let jobs = [with(None), with(Some(mail("a@b,c", MailWhen::Failed))), owner()];
    let (text, told) = as_crontab(&jobs);
    let name = users::person(None).name;
    assert_eq!(text, "@daily cat\n\nMAILTO=\"\"\n@daily cat\n\nMAILTO=a@b,c\n@daily cat\n");
    let mut named = owner();
    named.env = vec![format!("MAILTO={name}").into_bytes()];
    assert_eq!(as_crontab(&[named]), (format!("MAILTO={name}\n@daily cat\n"), Vec::new()));
    assert_eq!(told, ["job 7: crontab(5) cannot say `--mail a@b,c,failed`"]);
    let (_, told) = as_units(owner());
    let expected = [
        "job 7: systemd cannot say `--overlap allow`".to_owned(),
        format!("job 7: systemd cannot say `--mail {name},output`"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn input_and_mask_go_along() {
    let mut text = exported("@daily", Span::ZERO);
    text.job.definition.execution.stdin = Stdin::Text(b"one\n50%\n".to_vec());
    let mut path = exported("@daily", Span::ZERO);
    path.job.definition.execution.stdin = Stdin::Path(b"/a b".to_vec());
    let mut argv = exported("@daily", Span::ZERO);
    (argv.job.definition.execution.stdin, argv.job.definition.execution.umask) =
        (Stdin::Path(b"/in".to_vec()), 0o077);
    argv.job.definition.execution.command = CommandLine::Argv(vec![b"cat".to_vec(), b"-n".to_vec()]);
    let (table, told) = as_crontab(&[text, path, argv]);
    assert_eq!(table, "@daily cat%one%50\\%\n@daily exec < '/a b'; cat\n@daily umask 077 && cat -n < /in\n");
    assert_eq!(told, [""; 0]);
    let unit = |stdin: Stdin| {
        let mut exported = exported("@daily", Span::ZERO);
        exported.job.definition.execution.stdin = stdin;
        let (text, _) = as_units(exported);
        text.lines().filter(|line| line.starts_with("StandardInput")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        unit(Stdin::Text(b"one\n50%\n".to_vec())),
        ["StandardInput=data", "StandardInputText=one\\n50%%"]
    );
    assert_eq!(unit(Stdin::Text(b"one".to_vec())), ["StandardInput=data", "StandardInputData=b25l"]);
    assert_eq!(unit(Stdin::Path(b"/a b".to_vec())), ["StandardInput=file:/a b"]);
}

#[test]
fn a_directory_that_need_not_be_there_need_not_be_there_for_systemd() {
    for (cwd_optional, line) in
        [(false, "\nWorkingDirectory=/srv/a\n"), (true, "\nWorkingDirectory=-/srv/a\n")]
    {
        let mut job = exported("@hourly", Span::ZERO);
        (job.job.definition.execution.cwd, job.job.definition.execution.cwd_optional) =
            (b"/srv/a".to_vec(), cwd_optional);
        let (units, _) = as_units(job);
        assert!(units.contains(line), "{units}");
    }
}

#[test]
fn a_job_of_another_user_is_no_line_of_this_ones_table() {
    let mut other = exported("@daily", Span::ZERO);
    other.job.definition.execution.user = Some("somebody-else".to_owned());
    let refusal = "job 7 is left out: crontab(5) cannot say `--user somebody-else` in a user's own table";
    assert_eq!(as_crontab(std::slice::from_ref(&other)), (String::new(), vec![refusal.to_owned()]));
    assert!(as_units(other).0.contains("\nUser=somebody-else\n"));
}

#[test]
fn a_delay_is_lost_in_a_table_and_no_calendar() {
    let delayed = || exported("@daily", Span::from_seconds(300));
    let (table, told) = as_crontab(&[delayed()]);
    assert_eq!(
        (table.as_str(), told),
        ("@daily cat\n", vec!["job 7: crontab(5) cannot say a delay of 5m".to_owned()])
    );
    let (units, told) = as_units(delayed());
    assert_eq!(
        (units.as_str(), told),
        ("", vec!["job 7 is left out: systemd cannot say a delay of 5m".to_owned()])
    );
}

#[test]
fn json_has_the_keys_of_input_user_and_mail() {
    let mut warnings = ExportWarnings::default();
    let mut text = exported("@daily", Span::from_seconds(300));
    (text.job.definition.execution.stdin, text.job.definition.execution.user) =
        (Stdin::Text(b"a\n".to_vec()), Some("www".to_owned()));
    text.job.definition.mail = Some(mail("a@b,c", MailWhen::Always));
    let mut path = exported("@daily", Span::ZERO);
    (path.job.definition.execution.stdin, path.job.definition.mail) = (Stdin::Path(b"/in".to_vec()), None);
    let lines = json::lines(&[text, path], (Timestamp::from_seconds(NOW), Variables::Whole), &mut warnings);
    let lines = String::from_utf8(lines).expect("JSON is text");
    for part in [
        r#""stdin_text":"a\n","user":"www""#,
        r#""mail":"a@b,c,always","mail_format":"debian""#,
        r#""stdin":"/in""#,
        r#""tz":"system""#,
    ] {
        assert!(lines.contains(part), "{part}: {lines}");
    }
    assert_eq!(told(&warnings), ["job 7: JSON cannot say a delay of 5m"]);
}
