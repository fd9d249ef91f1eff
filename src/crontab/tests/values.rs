//! Owns: names and values of variables, measured in jobs of Debian's cron and read from cronie's `load_env`.
//! Never: which lines are assignments (see `probes`).

use super::super::{Layout, Note, Verdict};
use super::{findings, is_accepted, is_refused};
use crate::schedule::Dialect;

/// Returns the variable of the last line, as in an environment.
fn set_by(file: &str, origin: Dialect) -> Option<String> {
    let found = findings(file.as_bytes(), origin, Layout::User);
    match &found.last()?.verdict {
        Verdict::Variable(variable) => {
            let joined = [variable.name.as_slice(), b"=", &variable.value].concat();
            Some(String::from_utf8_lossy(&joined).into_owned())
        }
        Verdict::Nothing | Verdict::Entry(_) | Verdict::Refused { .. } => None,
    }
}

/// A line, and the variable that both crons set.
const BOTH: &[(&str, &str)] = &[
    ("A3 =b", "A3=b"),
    ("A5\t=\tb", "A5=b"),
    ("A26=   b  c   ", "A26=b  c"),
    ("A31=a\tb", "A31=a\tb"),
    ("A10='b\"c'", "A10=b\"c"),
    ("A11=b\"c\"", "A11=b\"c\""),
    ("A12=\"b'c\"", "A12=b'c"),
    ("A35='a\\\"b'", "A35=a\\\"b"),
    ("A13=b\\", "A13=b\\"),
    ("A42=b\\ ", "A42=b\\"),
    ("A14==b", "A14==b"),
    ("A15=b=c", "A15=b=c"),
    ("A22=b # c", "A22=b # c"),
    ("A19=b%c", "A19=b%c"),
    ("A20=a\\%b", "A20=a\\%b"),
    ("A18=$HOME", "A18=$HOME"),
    ("A23=~", "A23=~"),
    ("A30=`id`", "A30=`id`"),
    ("A39=b\r", "A39=b"),
    ("A40=\"b\"\r", "A40=b"),
    ("A43=b\u{c}", "A43=b"),
    ("A27=\u{b}b\u{b}", "A27=b"),
    ("A\u{b}=v", "A=v"),
    ("\"A 8\"=c", "A 8=c"),
    ("'A9'=b", "A9=b"),
    ("*=5", "*=5"),
    ("5=5", "5=5"),
    ("@daily=1", "@daily=1"),
    ("A+16=x", "A+16=x"),
    ("%=1", "%=1"),
    ("A\\21=x", "A\\21=x"),
    ("1=2 * * * * c", "1=2 * * * * c"),
    ("PATH=\"$HOME/bin:$PATH\"", "PATH=$HOME/bin:$PATH"),
    ("=x", "=x"),
    (" =y", "=y"),
    ("\"\"=z", "=z"),
    ("==", "=="),
    ("= =", "=="),
    ("A=\"\"", "A="),
    ("A=''", "A="),
    ("\tA=b", "A=b"),
    ("A=b=\"c\"", "A=b=\"c\""),
];

#[test]
fn both_crons_set_the_same_variable() {
    for (line, set) in BOTH {
        for origin in [Dialect::Debian, Dialect::Cronie] {
            assert_eq!(set_by(line, origin).as_deref(), Some(*set), "{line:?} of {origin:?}");
        }
    }
}

/// A line, the variable that Debian's cron sets, and that of cronie.
const APART: &[(&str, Option<&str>, Option<&str>)] = &[
    // Debian's cron trims a value in quotes, cronie does not.
    ("A=\"  b  \"", Some("A=  b"), Some("A=  b  ")),
    ("A='  b  '", Some("A=  b"), Some("A=  b  ")),
    ("A=\"a\tb\t\"", Some("A=a\tb"), Some("A=a\tb\t")),
    ("A=\"b\r\"", Some("A=b"), Some("A=b\r")),
    ("A=\"b\u{b}\"", Some("A=b"), Some("A=b\u{b}")),
    ("A=\"b \"\r", Some("A=b"), Some("A=b ")),
    ("A=\" \"", Some("A="), Some("A= ")),
    // Debian's cron also removes a second pair of quotes, by its older reader.
    ("A=\"'b'\"", Some("A=b"), Some("A='b'")),
    ("A='\"b\"'", Some("A=b"), Some("A=\"b\"")),
    ("A=\"' b ' \"", Some("A= b "), Some("A=' b ' ")),
    ("A=\"'b' c\"", Some("A='b' c"), Some("A='b' c")),
    ("A=\"'\"", Some("A='"), Some("A='")),
    ("A=\"''\"", Some("A="), Some("A=''")),
    // Only cronie accepts a name without a value. Its meaning is plain, so taskq accepts it with a note.
    ("A=", Some("A="), Some("A=")),
    ("A= ", Some("A="), Some("A=")),
    ("A=\r", Some("A="), Some("A=")),
    ("=", Some("="), Some("=")),
    // Neither cron.
    ("A=\"b\" c", None, None),
    ("A=\"b", None, None),
    ("A=\"b'", None, None),
    ("A=\"a\\\"b\"", None, None),
    ("A=\"b\" # c", None, None),
    ("\"A=b", None, None),
    ("export A=b", None, None),
    ("A", None, None),
];

#[test]
fn the_crons_differ_about_blanks_in_quotes_and_quotes_in_quotes() {
    for (line, debian, cronie) in APART {
        assert_eq!(set_by(line, Dialect::Debian).as_deref(), *debian, "{line:?} of Debian");
        assert_eq!(set_by(line, Dialect::Cronie).as_deref(), *cronie, "{line:?} of cronie");
    }
}

#[test]
fn the_note_on_a_name_without_a_value_says_that_debian_refuses_it() {
    for line in ["A=\n", "A= \n", "A=\r\n", "=\n"] {
        assert!(!is_accepted(line.as_bytes(), Dialect::Debian, Layout::User), "{line:?}");
        assert!(is_accepted(line.as_bytes(), Dialect::Cronie, Layout::User), "{line:?}");
    }
}

#[test]
fn an_assignment_is_cut_by_debian_at_998_bytes_and_not_by_cronie() {
    for length in [996, 997, 999, 5_000] {
        let line = format!("L={}", "x".repeat(length));
        let cut = &line[..line.len().min(998)];
        assert_eq!(set_by(&line, Dialect::Debian).as_deref(), Some(cut), "{length}");
        assert_eq!(set_by(&line, Dialect::Cronie).as_deref(), Some(line.as_str()), "{length}");
    }
}

#[test]
fn a_variable_that_is_set_twice_keeps_its_place_and_its_last_value() {
    let found = findings(b"A=1\nB=2\nA=3\n* * * * * c\nA=4\n", Dialect::Debian, Layout::User);
    let Verdict::Entry(entry) = &found[3].verdict else { panic!("{found:?}") };
    let variables: Vec<_> =
        entry.variables.iter().map(|set| (set.name.as_slice(), set.value.as_slice())).collect();
    assert_eq!(variables, [(b"A".as_slice(), b"3".as_slice()), (b"B", b"2")]);
}

#[test]
fn a_table_sets_as_many_variables_as_its_cron_allows_and_each_of_them_again() {
    for (dialect, most) in [(Dialect::Cronie, 1_000), (Dialect::Debian, 10_000)] {
        let mut table: String = (0..most).map(|number| format!("A{number}=b\n")).collect();
        table.push_str("A7=c\nB=c\n");
        let found = findings(table.as_bytes(), dialect, Layout::User);
        assert!(matches!(found[most].verdict, Verdict::Variable(_)));
        assert!(is_refused(&found[most + 1]));
    }
}

/// Debian's cron cuts it at 998 bytes.
#[test]
fn a_variable_is_not_longer_than_a_string_of_the_system() {
    for (length, is_read) in [(131_069, true), (131_070, false), (1_000_000, false)] {
        let line = format!("L={}\n", "x".repeat(length));
        assert_eq!(is_accepted(line.as_bytes(), Dialect::Cronie, Layout::User), is_read, "{length}");
        assert!(is_accepted(line.as_bytes(), Dialect::Debian, Layout::User), "{length}");
    }
}

#[test]
fn the_note_on_an_empty_value_says_what_it_means() {
    for origin in [Dialect::Debian, Dialect::Cronie] {
        let notes = |file: &str| -> Vec<String> {
            findings(file.as_bytes(), origin, Layout::User)[0].notes.iter().map(ToString::to_string).collect()
        };
        let quotes = "Debian's cron accepts that only as `\"\"`";
        assert_eq!(notes("MAILTO=\n"), [format!("MAILTO is empty: the jobs below mail nobody; {quotes}")]);
        assert_eq!(notes("A=\n"), [format!("the value is empty; {quotes}")]);
        assert_eq!(notes("MAILTO=\"\"\n"), [""; 0]);
    }
}

#[test]
fn a_missing_newline_is_one_note() {
    for origin in [Dialect::Debian, Dialect::Cronie] {
        for file in ["A=1", "0 9 * * * x"] {
            assert_eq!(findings(file.as_bytes(), origin, Layout::User)[0].notes, [Note::NoNewline], "{file}");
        }
    }
}
