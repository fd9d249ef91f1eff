//! Owns: the command and the input of a sixth field, measured with Debian's cron and read from the source of
//! cronie, and the words that may stand before it.
//! Never: running it.

use super::super::{CommandText, CrontabCall, Layout, Note, split_command};
use super::{findings, is_accepted, last_entry};
use crate::schedule::Dialect;

const BOTH: [Dialect; 2] = [Dialect::Debian, Dialect::Cronie];

fn split(text: &str, dialect: Dialect) -> (String, Option<String>) {
    let CommandText { command, stdin } = split_command(text.as_bytes(), dialect);
    let text = |bytes| String::from_utf8(bytes).expect("it was text before");
    (text(command), stdin.map(text))
}

#[test]
fn a_percent_sign_ends_the_command_and_begins_its_input() {
    let cases: &[(&str, &str, Option<&str>)] = &[
        ("cat", "cat", None),
        ("cat%", "cat", None),
        ("cat%%", "cat", Some("\n")),
        ("cat%x", "cat", Some("x\n")),
        ("cat%x%", "cat", Some("x\n")),
        ("cat% lead", "cat", Some(" lead\n")),
        ("cat%a%b\\%c%%d\\\\e", "cat", Some("a\nb%c\n\nd\\\\e\n")),
        ("%onlystdin", "", Some("onlystdin\n")),
        ("date +\\%F", "date +%F", None),
        ("date +\\%F%\\%", "date +%F", Some("%\n")),
        // No newline is added after a backslash.
        ("cat%\\", "cat", Some("\\")),
        ("cat%\\\\", "cat", Some("\\\\")),
        ("cat%a%\\", "cat", Some("a\n\\")),
        ("cat%a\\", "cat", Some("a\\\n")),
        ("cat%\\a", "cat", Some("\\a\n")),
        ("cat%\\\\%x", "cat", Some("\\%x\n")),
    ];
    for (text, command, stdin) in cases {
        for dialect in BOTH {
            let expected = ((*command).to_owned(), stdin.map(str::to_owned));
            assert_eq!(split(text, dialect), expected, "{text} {dialect:?}");
        }
    }
}

#[test]
fn two_backslashes_are_one_to_debian_and_two_to_cronie() {
    let cases: &[(&str, &str, &str)] = &[
        ("a\\\\b", "a\\b", "a\\\\b"),
        ("\\c", "\\c", "\\c"),
        ("\\\"", "\\\"", "\\\""),
        ("\\%", "%", "%"),
        ("\\\\\\%", "\\%", "\\\\%"),
        ("q\\\\\\\\z", "q\\\\z", "q\\\\\\\\z"),
        ("end\\", "end\\", "end\\"),
    ];
    for (text, debian, cronie) in cases {
        assert_eq!(split(text, Dialect::Debian), ((*debian).to_owned(), None), "{text}");
        assert_eq!(split(text, Dialect::Cronie), ((*cronie).to_owned(), None), "{text}");
    }
    // The percent sign after them ends the command for both.
    assert_eq!(split("a\\\\%b", Dialect::Debian), ("a\\".to_owned(), Some("b\n".to_owned())));
    assert_eq!(split("a\\\\%b", Dialect::Cronie), ("a\\\\".to_owned(), Some("b\n".to_owned())));
}

/// Returns the command for the shell, and whether cronie mails failures only.
fn entry(line: &str, origin: Dialect, layout: Layout) -> Option<(String, bool)> {
    let entry = last_entry(line, origin, layout)?;
    Some((String::from_utf8(entry.command.command).expect("it is text"), entry.mails_failures_only))
}

#[test]
fn blanks_before_a_command_are_removed_and_those_after_it_stay() {
    for origin in BOTH {
        assert_eq!(entry("* * * * *  \t c \t \n", origin, Layout::User), Some(("c \t ".to_owned(), false)));
        assert_eq!(entry("@daily\t c\r\n", origin, Layout::User), Some(("c\r".to_owned(), false)));
        assert_eq!(entry("* * * * * \u{b}c\n", origin, Layout::User), Some(("\u{b}c".to_owned(), false)));
    }
}

#[test]
fn a_dash_before_a_command_is_an_option_of_cronie() {
    let whole = |text: &str| Some((text.to_owned(), false));
    for line in ["* * * * * -n c\n", "@daily -n c\n", "* * * * * -n\tc\n", "* * * * * -n   c\n"] {
        assert_eq!(entry(line, Dialect::Cronie, Layout::User), Some(("c".to_owned(), true)), "{line}");
    }
    assert_eq!(entry("* * * * * -n c\n", Dialect::Debian, Layout::User), whole("-n c"));
    assert_eq!(entry("* * * * * root -n c\n", Dialect::Cronie, Layout::System), Some(("c".to_owned(), true)));
    let refused = ["-nc", "-x c", "- c", "-", "-n", "-n ", "-n -n c", "-n -x c"];
    for command in refused {
        let line = format!("* * * * * {command}\n");
        assert!(!is_accepted(line.as_bytes(), Dialect::Cronie, Layout::User), "{line}");
        assert_eq!(entry(&line, Dialect::Debian, Layout::User), whole(command), "{line}");
    }
}

#[test]
fn a_dash_before_the_minute_is_for_cronies_log() {
    for line in ["-* * * * * root c\n", "-@daily root c\n", " -5 4 * * * root c\n"] {
        assert_eq!(entry(line, Dialect::Cronie, Layout::System), Some(("c".to_owned(), false)), "{line}");
        assert!(!is_accepted(line.as_bytes(), Dialect::Debian, Layout::System), "{line}");
    }
    for line in ["- * * * * * root c\n", "--* * * * * root c\n", "-\n"] {
        assert!(!is_accepted(line.as_bytes(), Dialect::Cronie, Layout::System), "{line}");
    }
}

#[test]
fn debian_accepts_an_entry_without_a_command_and_cronie_does_not() {
    for line in ["* * * * *\n", "* * * * * \n", "@daily\n", "@daily \t\n"] {
        assert!(is_accepted(line.as_bytes(), Dialect::Debian, Layout::User), "{line:?}");
        assert!(!is_accepted(line.as_bytes(), Dialect::Cronie, Layout::User), "{line:?}");
    }
}

/// Measured in /etc/cron.d.
#[test]
fn a_system_table_has_users_that_exist() {
    let line = |line: &str| is_accepted(format!("{line}\n").as_bytes(), Dialect::Debian, Layout::System);
    for accepted in
        ["* * * * * root c", "*\t*\t*\t*\t*\troot\tc", "* * * * * root ", "@daily root c", "* * * * * root *"]
    {
        assert!(line(accepted), "{accepted}");
    }
    for refused in [
        "* * * * * echo x",
        "* * * * * 0 c",
        "* * * * * root:root c",
        "* * * * * root",
        "@daily root",
        "* * * * *",
        "* * * * * *",
        "* * * * * ROOT c",
    ] {
        assert!(!line(refused), "{refused}");
    }
    assert!(!is_accepted(b"* * * * * root c", Dialect::Debian, Layout::System), "the newline is missing");
}

#[test]
fn a_job_that_calls_crontab_has_a_note_about_the_time_after_crontab_r() {
    let notes = |line: &str, layout| findings(line.as_bytes(), Dialect::Debian, layout)[0].notes.clone();
    let lists = notes("@hourly crontab -l > backup\n", Layout::User);
    assert_eq!(lists, [Note::CallsCrontab(CrontabCall::Lists)]);
    let text = lists[0].to_string();
    assert!(text.contains("crontab(1)") && text.contains("after `crontab -r`"), "{text}");
    let installs = notes("@daily crontab /x/crontab.bak\n", Layout::User);
    assert_eq!(installs, [Note::CallsCrontab(CrontabCall::Installs)]);
    assert!(installs[0].to_string().contains("runs twice"), "{installs:?}");
    let of_system = notes("@daily root crontab -u nobody -r\n", Layout::System);
    assert_eq!(of_system, [Note::CallsCrontab(CrontabCall::Removes)]);
    assert_eq!(notes("@hourly taskq crontab -l > backup\n", Layout::User), []);
}
