//! Owns: the answers of `crontab -n` of Debian's cron 3.0pl1-162 to single lines and small files.
//! Never: fields (see `schedule::dialect`), the meaning of accepted lines.

use super::super::Layout;
use super::{findings, is_accepted, is_refused};
use crate::schedule::Dialect;

/// The first error (the number of newlines before it and its text, or empty) of each of several files of one
/// line, which are separated by bars.
type Probes = (&'static str, &'static [u8]);

const CARRIAGE_RETURNS_AND_BLANKS: &[Probes] = &[
    ("0: bad minute", b"\r|\x0b|\x0c|\x0b* * * * * c|\x0c* * * * * c|\x0bA=b|A=\r|\r# c|\r | \r"),
    ("1: bad day-of-week", b"*\x0b* * * * c|*\x0c* * * * c"),
    (
        "",
        b"* * * * *\x0bc|A\x0b=b|A=\x0bb|A=b\x0b|@daily c\r|* * * * *\r|A=b\r|A=\"b\"\r|A='b'\r|\
         # c\r|* * * * * c\r* * * * * c\r",
    ),
    ("1: bad time specifier", b"@daily\r"),
];

const ASSIGNMENTS: &[Probes] = &[
    (
        "",
        b"=x| =x|A=\"\"|A=''|A =b|A= b |A = b|A\t=b|A\t=\tb|  A=b|\tA=b|A=\"b\" |A=\"b\"\t|\
         \"A B\"=c|'A B'=c|'A'=b|\"A\"=b|\"\"=b|''=b|A='b\"c'|A=b\"c\"|A=\"b'c\"|A=b\\|*=5|* =5|\
         5=5|5 =5|@daily=1|@daily =1|#=1|A==b|A=b=c|A+=b|A.B=c|A-B=c|\xc3\x84=1|A=\xc3\xbc|==|= =|\
         A= \"b\"|A= \"b\" |A ='b'|A=$HOME|%=1|A=b%c|$A=b|\\A=b|A\\=b|A=b # c|0 0 * * *=5|\
         1=2 * * * * c|*=5 * * * * c|* * * * * A=b|* * * * *=b",
    ),
    (
        "0: bad minute",
        b"A=|A= |A=\"b\" c|A=\"b\"c|A=\"b|A=\"b'|A='b|A=\"b\"'c'|A=\"\"x|A=\"a\\\"b\"|export A=b|\
         A B=c|A \"B\"=c|=|\"A=b|\"A\"|A b|\"|\"\"|\"A\" \"B\"=c|A=\"b\" # c",
    ),
    ("1: bad minute", b"A"),
];

const BLANKS_AND_COMMENTS: &[Probes] = &[
    (
        "",
        b"  * * * * * c|\t* * * * * c| # c|\t# c|  |\t|*\t*\t*\t*\t*\tc|*  *\t *  * *  c|\
         * * * * * # c|* * * * * #|* * * * * |* * * * *|* * * * *\t|* * * * *  \t |* * * * * \"*\"|\
         1#c * * * * c|#|##|* * * * * %|* * * * * %x|* * * * * \\|* * * * * c \\",
    ),
    ("0: bad command", b"* * * * * *|* * * * * * c|* * * * * *c|* * * * * **|* * * * *\t*|* * * * * \t*x"),
    ("1: bad hour", b"*#"),
    ("1: bad day-of-week", b"* * * *#c"),
    ("0: bad day-of-month", b"0 0 0 * * c"),
    ("0: bad minute", b"-* * * * * c|-5 * * * * c|+5 * * * * c"),
];

const NICKNAMES: &[Probes] = &[
    (
        "",
        b"@daily|@daily |@daily\t|@daily c|@daily\tc| @daily c|\t@daily c|@reboot|@reboot c|\
         @yearly c|@annually c|@monthly c|@weekly c|@midnight c|@hourly c|@daily %|@daily=c",
    ),
    (
        "0: bad time specifier",
        b"@ daily|@ daily c|@DAILY c|@Daily c|@dailyfoo c|@ |@ c|@every 5m c|@every_minute c|@5 c",
    ),
    ("1: bad time specifier", b"@dailyfoo|@daily:c|@daily#c|@daily,c|@"),
    ("0: bad command", b"@daily *|@daily *c|@daily * * * * * c"),
];

const BYTES: &[Probes] = &[
    (
        "0: bad minute",
        b"\xff# c|\xff * * * * c|5\xff * * * * c|* \xff * * * c|\xc2\xa0* * * * * c|\
         \xef\xbb\xbf* * * * * c|\xef\xbb\xbf# c|\xef\xbb\xbf@daily c|\xef\xbb\xbf",
    ),
    (
        "",
        b"# c\xff|* * * * * caf\xe9|* * * * * caf\xc3\xa9|* * * * * c\xff|@daily \xff|@daily \xffc|\
         \xff=b|A=\xff|A\xff=b|# caf\xe9|A=caf\xe9|\xc4=b|\xef\xbb\xbfA=b|1\xe2\x80\x935 * * * * c|\
         A=\xe2\x80\x9cb\xe2\x80\x9d|# c\x00d",
    ),
    ("0: bad day-of-week", b"* * * * * \xff|* * * * * \xffc"),
    ("1: bad day-of-week", b"*\xa0* * * * c|*\xc2\xa0* * * * c|*\r* * * * c"),
];

/// The first error of a whole file.
const FILES: &[(&str, &[u8])] = &[
    ("", b"* * * * * c\r\n* * * * * c\r\n"),
    ("", b""),
    ("", b" \t "),
    ("", b"\n\n\n"),
    ("", b"# c"),
    ("", b"* * * * * c\n# c"),
    ("", b"* * * * * c\n \t"),
    ("", b" # c"),
    ("missing newline", b"* * * * * c\r"),
    ("missing newline", b"* * * * * c\n\r"),
    ("missing newline", b"* * * * * c\r\n\r"),
    ("missing newline", b"* * * * * c\r* * * * * c\r"),
    ("missing newline", b"\xef\xbb\xbf"),
    ("missing newline", b"* * * * * c\n\x1a"),
    ("missing newline", b"* * * * * c"),
    ("missing newline", b"* * * * *"),
    ("missing newline", b"* *"),
    ("missing newline", b"A=b"),
    ("missing newline", b"@daily"),
    ("missing newline", b"@daily c"),
    ("missing newline", b"garbage"),
    ("missing newline", b"75 * * * * c"),
    ("missing newline", b"\"A\""),
    ("missing newline", b"A="),
    ("missing newline", b"A"),
    ("missing newline", b"*"),
    ("0: bad minute", b" \x0c \n* * * * * c\n"),
    ("1: bad minute", b"* * * * * c\n\r\n* * * * * c\n"),
    ("1: bad minute", b"* * * * * c\n\x1a\n"),
    ("0: bad minute", b"75 * * * * c\n* * * * * c"),
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
    let all = [CARRIAGE_RETURNS_AND_BLANKS, ASSIGNMENTS, BLANKS_AND_COMMENTS, NICKNAMES, BYTES];
    for (error, lines) in all.into_iter().flatten() {
        for line in lines.split(|byte| *byte == b'|') {
            check(&[line, b"\n"].concat(), error);
        }
    }
    for (error, file) in FILES {
        check(file, error);
    }
    for length in [99, 100, 101] {
        check(format!("@{} c\n", "x".repeat(length)).as_bytes(), "0: bad time specifier");
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
