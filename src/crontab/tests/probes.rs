//! Owns: the answers of `crontab -n` of Debian's cron 3.0pl1-162 to single lines and small files.
//! Never: fields (see `schedule::dialect`), the meaning of accepted lines.

use super::super::Layout;
use super::{findings, is_accepted, is_refused};
use crate::schedule::Dialect;

/// A file, and the first error: the number of newlines before it, and its text. Empty if the file is accepted.
type Probe = (&'static [u8], &'static str);

const CARRIAGE_RETURNS_AND_BLANKS: &[Probe] = &[
    (b"\r\n", "0: bad minute"),
    (b"\x0b\n", "0: bad minute"),
    (b"\x0c\n", "0: bad minute"),
    (b"\x0b* * * * * c\n", "0: bad minute"),
    (b"\x0c* * * * * c\n", "0: bad minute"),
    (b" \x0c \n* * * * * c\n", "0: bad minute"),
    (b"*\x0b* * * * c\n", "1: bad day-of-week"),
    (b"*\x0c* * * * c\n", "1: bad day-of-week"),
    (b"* * * * *\x0bc\n", ""),
    (b"\x0bA=b\n", "0: bad minute"),
    (b"A\x0b=b\n", ""),
    (b"A=\x0bb\n", ""),
    (b"A=b\x0b\n", ""),
    (b"* * * * * c\r\n* * * * * c\r\n", ""),
    (b"* * * * * c\n\r\n* * * * * c\n", "1: bad minute"),
    (b"@daily c\r\n", ""),
    (b"@daily\r\n", "1: bad time specifier"),
    (b"* * * * *\r\n", ""),
    (b"A=b\r\n", ""),
    (b"A=\"b\"\r\n", ""),
    (b"A='b'\r\n", ""),
    (b"A=\r\n", "0: bad minute"),
    (b"# c\r\n", ""),
    (b"\r# c\n", "0: bad minute"),
    (b"\r \n", "0: bad minute"),
    (b" \r\n", "0: bad minute"),
    (b"* * * * * c\r", "missing newline"),
    (b"* * * * * c\n\r", "missing newline"),
    (b"* * * * * c\r\n\r", "missing newline"),
    (b"* * * * * c\r* * * * * c\r", "missing newline"),
    (b"* * * * * c\r* * * * * c\r\n", ""),
];

const ASSIGNMENTS: &[Probe] = &[
    (b"=x\n", ""),
    (b" =x\n", ""),
    (b"A=\n", "0: bad minute"),
    (b"A= \n", "0: bad minute"),
    (b"A=\"\"\n", ""),
    (b"A=''\n", ""),
    (b"A =b\n", ""),
    (b"A= b \n", ""),
    (b"A = b\n", ""),
    (b"A\t=b\n", ""),
    (b"A\t=\tb\n", ""),
    (b"  A=b\n", ""),
    (b"\tA=b\n", ""),
    (b"A=\"b\" c\n", "0: bad minute"),
    (b"A=\"b\" \n", ""),
    (b"A=\"b\"\t\n", ""),
    (b"A=\"b\"c\n", "0: bad minute"),
    (b"A=\"b\n", "0: bad minute"),
    (b"A=\"b'\n", "0: bad minute"),
    (b"A='b\n", "0: bad minute"),
    (b"\"A B\"=c\n", ""),
    (b"'A B'=c\n", ""),
    (b"'A'=b\n", ""),
    (b"\"A\"=b\n", ""),
    (b"\"\"=b\n", ""),
    (b"''=b\n", ""),
    (b"A='b\"c'\n", ""),
    (b"A=b\"c\"\n", ""),
    (b"A=\"b'c\"\n", ""),
    (b"A=\"b\"'c'\n", "0: bad minute"),
    (b"A=\"\"x\n", "0: bad minute"),
    (b"A=\"a\\\"b\"\n", "0: bad minute"),
    (b"A=b\\\n", ""),
    (b"export A=b\n", "0: bad minute"),
    (b"A B=c\n", "0: bad minute"),
    (b"A \"B\"=c\n", "0: bad minute"),
    (b"*=5\n", ""),
    (b"* =5\n", ""),
    (b"5=5\n", ""),
    (b"5 =5\n", ""),
    (b"@daily=1\n", ""),
    (b"@daily =1\n", ""),
    (b"#=1\n", ""),
    (b"A==b\n", ""),
    (b"A=b=c\n", ""),
    (b"A+=b\n", ""),
    (b"A.B=c\n", ""),
    (b"A-B=c\n", ""),
    (b"\xc3\x84=1\n", ""),
    (b"A=\xc3\xbc\n", ""),
    (b"=\n", "0: bad minute"),
    (b"==\n", ""),
    (b"= =\n", ""),
    (b"\"A=b\n", "0: bad minute"),
    (b"\"A\"\n", "0: bad minute"),
    (b"A\n", "1: bad minute"),
    (b"A b\n", "0: bad minute"),
    (b"\"\n", "0: bad minute"),
    (b"\"\"\n", "0: bad minute"),
    (b"\"A\" \"B\"=c\n", "0: bad minute"),
    (b"A= \"b\"\n", ""),
    (b"A= \"b\" \n", ""),
    (b"A ='b'\n", ""),
    (b"A=$HOME\n", ""),
    (b"%=1\n", ""),
    (b"A=b%c\n", ""),
    (b"$A=b\n", ""),
    (b"\\A=b\n", ""),
    (b"A\\=b\n", ""),
    (b"A=b # c\n", ""),
    (b"A=\"b\" # c\n", "0: bad minute"),
    (b"0 0 * * *=5\n", ""),
    (b"1=2 * * * * c\n", ""),
    (b"*=5 * * * * c\n", ""),
    (b"* * * * * A=b\n", ""),
    (b"* * * * *=b\n", ""),
];

const BLANKS_AND_COMMENTS: &[Probe] = &[
    (b"  * * * * * c\n", ""),
    (b"\t* * * * * c\n", ""),
    (b" # c\n", ""),
    (b"\t# c\n", ""),
    (b"  \n", ""),
    (b"\t\n", ""),
    (b"*\t*\t*\t*\t*\tc\n", ""),
    (b"*  *\t *  * *  c\n", ""),
    (b"* * * * * # c\n", ""),
    (b"* * * * * #\n", ""),
    (b"* * * * * \n", ""),
    (b"* * * * *\n", ""),
    (b"* * * * *\t\n", ""),
    (b"* * * * *  \t \n", ""),
    (b"* * * * * *\n", "0: bad command"),
    (b"* * * * * * c\n", "0: bad command"),
    (b"* * * * * *c\n", "0: bad command"),
    (b"* * * * * **\n", "0: bad command"),
    (b"* * * * *\t*\n", "0: bad command"),
    (b"* * * * * \t*x\n", "0: bad command"),
    (b"* * * * * \"*\"\n", ""),
    (b"*#\n", "1: bad hour"),
    (b"1#c * * * * c\n", ""),
    (b"* * * *#c\n", "1: bad day-of-week"),
    (b"#\n", ""),
    (b"##\n", ""),
    (b"0 0 0 * * c\n", "0: bad day-of-month"),
    (b"* * * * * %\n", ""),
    (b"* * * * * %x\n", ""),
    (b"* * * * * \\\n", ""),
    (b"* * * * * c \\\n", ""),
    (b"-* * * * * c\n", "0: bad minute"),
    (b"-5 * * * * c\n", "0: bad minute"),
    (b"+5 * * * * c\n", "0: bad minute"),
];

const NICKNAMES: &[Probe] = &[
    (b"@daily\n", ""),
    (b"@daily \n", ""),
    (b"@daily\t\n", ""),
    (b"@daily c\n", ""),
    (b"@daily\tc\n", ""),
    (b" @daily c\n", ""),
    (b"\t@daily c\n", ""),
    (b"@ daily\n", "0: bad time specifier"),
    (b"@ daily c\n", "0: bad time specifier"),
    (b"@DAILY c\n", "0: bad time specifier"),
    (b"@Daily c\n", "0: bad time specifier"),
    (b"@dailyfoo\n", "1: bad time specifier"),
    (b"@dailyfoo c\n", "0: bad time specifier"),
    (b"@daily:c\n", "1: bad time specifier"),
    (b"@daily#c\n", "1: bad time specifier"),
    (b"@daily,c\n", "1: bad time specifier"),
    (b"@\n", "1: bad time specifier"),
    (b"@ \n", "0: bad time specifier"),
    (b"@ c\n", "0: bad time specifier"),
    (b"@reboot\n", ""),
    (b"@reboot c\n", ""),
    (b"@yearly c\n", ""),
    (b"@annually c\n", ""),
    (b"@monthly c\n", ""),
    (b"@weekly c\n", ""),
    (b"@midnight c\n", ""),
    (b"@hourly c\n", ""),
    (b"@every 5m c\n", "0: bad time specifier"),
    (b"@every_minute c\n", "0: bad time specifier"),
    (b"@5 c\n", "0: bad time specifier"),
    (b"@daily *\n", "0: bad command"),
    (b"@daily *c\n", "0: bad command"),
    (b"@daily * * * * * c\n", "0: bad command"),
    (b"@daily %\n", ""),
    (b"@daily=c\n", ""),
    (
        b"@xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx c\n",
        "0: bad time specifier",
    ),
    (
        b"@xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx c\n",
        "0: bad time specifier",
    ),
    (
        b"@xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx c\n",
        "0: bad time specifier",
    ),
];

const ENDS: &[Probe] = &[
    (b"", ""),
    (b" \t ", ""),
    (b"\n\n\n", ""),
    (b"# c", ""),
    (b"* * * * * c\n# c", ""),
    (b"* * * * * c", "missing newline"),
    (b"* * * * *", "missing newline"),
    (b"* *", "missing newline"),
    (b"A=b", "missing newline"),
    (b"* * * * * c\n \t", ""),
    (b"@daily", "missing newline"),
    (b"@daily c", "missing newline"),
    (b" # c", ""),
    (b"garbage", "missing newline"),
    (b"75 * * * * c\n* * * * * c", "0: bad minute"),
    (b"75 * * * * c", "missing newline"),
    (b"\"A\"", "missing newline"),
    (b"A=", "missing newline"),
    (b"A", "missing newline"),
    (b"*", "missing newline"),
];

const BYTES: &[Probe] = &[
    (b"\xff# c\n", "0: bad minute"),
    (b"# c\xff\n", ""),
    (b"* * * * * caf\xe9\n", ""),
    (b"* * * * * caf\xc3\xa9\n", ""),
    (b"* * * * * \xff\n", "0: bad day-of-week"),
    (b"* * * * * \xffc\n", "0: bad day-of-week"),
    (b"* * * * * c\xff\n", ""),
    (b"@daily \xff\n", ""),
    (b"@daily \xffc\n", ""),
    (b"\xff * * * * c\n", "0: bad minute"),
    (b"5\xff * * * * c\n", "0: bad minute"),
    (b"* \xff * * * c\n", "0: bad minute"),
    (b"\xff=b\n", ""),
    (b"A=\xff\n", ""),
    (b"A\xff=b\n", ""),
    (b"*\xa0* * * * c\n", "1: bad day-of-week"),
    (b"*\xc2\xa0* * * * c\n", "1: bad day-of-week"),
    (b"\xc2\xa0* * * * * c\n", "0: bad minute"),
    (b"# caf\xe9\n", ""),
    (b"A=caf\xe9\n", ""),
    (b"\xc4=b\n", ""),
    (b"\xef\xbb\xbf* * * * * c\n", "0: bad minute"),
    (b"\xef\xbb\xbf# c\n", "0: bad minute"),
    (b"\xef\xbb\xbfA=b\n", ""),
    (b"\xef\xbb\xbf@daily c\n", "0: bad minute"),
    (b"\xef\xbb\xbf", "missing newline"),
    (b"\xef\xbb\xbf\n", "0: bad minute"),
    (b"1\xe2\x80\x935 * * * * c\n", ""),
    (b"A=\xe2\x80\x9cb\xe2\x80\x9d\n", ""),
    (b"* * * * * c\n\x1a", "missing newline"),
    (b"* * * * * c\n\x1a\n", "1: bad minute"),
    (b"*\r* * * * c\n", "1: bad day-of-week"),
    (b"# c\x00d\n", ""),
];

/// Returns the first line that Debian's cron refuses, with its words if a note has them.
fn first_refusal(file: &[u8]) -> Option<(usize, Option<String>)> {
    findings(file, Dialect::Debian, Layout::User).iter().find_map(|finding| {
        let what = finding.notes.iter().find_map(|note| note.refusal_by(Dialect::Debian)).map(str::to_owned);
        (is_refused(finding) || what.is_some()).then_some((finding.line.number, what))
    })
}

fn check(file: &[u8], error: &str) {
    let shown = file[..file.len().min(99)].escape_ascii();
    match (first_refusal(file), error.split_once(": ")) {
        (None, None) => assert_eq!(error, "", "{shown}"),
        (Some((line, what)), Some((newlines, text))) => {
            // An error inside a line comes before its newline is read.
            let newlines: usize = newlines.parse().expect("it is a number");
            assert!(line == newlines || line == newlines + 1, "{shown}: line {line}, {error}");
            assert!(what.as_ref().is_none_or(|what| what == text), "{shown}: {what:?}, {error}");
        }
        (Some((line, _)), None) => {
            assert_eq!(error, "missing newline", "{shown}");
            assert_eq!(line, file.split(|byte| *byte == b'\n').count(), "{shown}");
        }
        (None, Some(_)) => panic!("{shown}: {error}"),
    }
}

#[test]
fn a_table_is_refused_at_the_line_that_debians_cron_refuses() {
    let all = [CARRIAGE_RETURNS_AND_BLANKS, ASSIGNMENTS, BLANKS_AND_COMMENTS, NICKNAMES, ENDS, BYTES];
    for (file, error) in all.into_iter().flatten() {
        check(file, error);
    }
}

#[test]
fn lengths_are_those_of_debians_cron() {
    let error = |is_accepted: bool, text: &'static str| if is_accepted { "" } else { text };
    for length in [1, 100, 900, 995, 996, 997, 998, 999, 1_000, 1_001, 1_100, 5_000, 100_000] {
        let x = |count: usize| "x".repeat(count);
        let command = error(length <= 998, "1: command too long");
        check(format!("* * * * * {}\n", x(length)).as_bytes(), command);
        check(format!("* * * * * {}{}\n", " ".repeat(60), x(length)).as_bytes(), command);
        check(format!("@daily {}\n", x(length)).as_bytes(), command);
        check(format!("A={}\n", x(length)).as_bytes(), "");
        check(format!("{}A={}\n", " ".repeat(60), x(length)).as_bytes(), "");
        check(format!("A=\"{}\"\n", x(length)).as_bytes(), error(length + 4 <= 998, "0: bad minute"));
        check(format!("{}=b\n", x(length)).as_bytes(), error(length + 2 <= 998, "0: bad minute"));
        check(format!("#{}\n", x(length)).as_bytes(), "");
        check(format!("{}\n", " ".repeat(length)).as_bytes(), "");
        check(format!("*{}* * * * c\n", " ".repeat(length)).as_bytes(), "");
        check(
            format!("{} * * * * c\n", "0".repeat(length)).as_bytes(),
            error(length <= 999, "0: bad minute"),
        );
        check(format!("1{} * * * * c\n", ",1".repeat(length)).as_bytes(), "");
    }
}

#[test]
fn debians_crontab_accepts_ten_thousand_lines_of_any_kind() {
    for line in ["* * * * * c\n", "\n", "# c\n", "A=b\n"] {
        assert!(is_accepted(line.repeat(10_000).as_bytes(), Dialect::Debian, Layout::User), "{line}");
        let (number, what) = first_refusal(line.repeat(10_001).as_bytes()).expect("it is too long");
        assert_eq!(number, 10_001);
        assert_eq!(what.as_deref(), Some("crontab is too long; maximum number of lines is 10000"));
    }
}

/// Debian's cron reads a NUL as the end of a line, and the rest as another line. It can only be a mistake.
#[test]
fn a_nul_byte_is_refused_except_in_a_comment() {
    let refused: [&[u8]; 5] =
        [b"* * * * * a\0b\n", b"A=b\0c\n", b"*\0 * * * * c\n", b"\0\n", b"@daily\0 c\n"];
    for file in refused {
        for origin in [Dialect::Debian, Dialect::Cronie] {
            assert!(is_refused(&findings(file, origin, Layout::User)[0]), "{}", file.escape_ascii());
        }
    }
    assert!(is_accepted(b"# a\0b\n", Dialect::Debian, Layout::User));
}

/// A command follows the five fields here, and a user does in a system's table.
#[test]
fn byte_255_is_the_end_of_the_file_only_right_after_the_five_fields() {
    check(b"* * * * * \xffc\n", "1: bad day-of-week");
    check(b"@daily \xffc\n", "");
    check(b"* * * * * c\xff\n", "");
    assert!(is_accepted(b"* * * * * root \xffc\n", Dialect::Debian, Layout::System));
}

/// Debian's cron reads on after the end of such a line, in the rest of the line before, and accepts it here.
#[test]
fn a_quote_that_opens_at_the_end_of_a_line_is_refused() {
    for line in ["A=\"\n", "A = '\n", "\"\n", "'\n", "'A' =\"\n"] {
        let file = format!("* * * * * echo x\"  \n{line}");
        let refused = first_refusal(file.as_bytes()).map(|(line, _)| line);
        assert_eq!(refused, Some(2), "{line}");
    }
}
