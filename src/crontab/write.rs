//! Owns: writing a crontab(5): quotes, percent signs, and variables that hold for all lines below.
//! Never: the choice of jobs that can be written (see `cli::export`).
//!
//! Debian's cron and cronie read the text alike, except for backslashes before another backslash or a percent
//! sign: Debian's cron makes one of two, cronie keeps both.

use std::collections::BTreeMap;

use super::assignment::{self, Variable};
use super::command::{CommandText, split_command};
use super::limits::DEBIAN_BYTES_MAX;
use super::line::{Ending, Layout, Line, Syntax};
use crate::schedule::Dialect;

/// The variable with the addresses of mail. Without it the owner of the table gets the mail.
pub const MAILTO: &[u8] = b"MAILTO";

/// The variables that cron(8) sets in each job's environment by itself.
pub const OWN: [&[u8]; 4] = [b"HOME", b"LOGNAME", b"PATH", b"SHELL"];

/// Variables by name.
pub type Vars = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableJob {
    /// The comment above it.
    pub title: Option<String>,
    /// Five fields or a nickname, one line each.
    pub schedules: Vec<String>,
    /// Its environment, with all variables of `OWN`. `assignment` can write each. Without `MAILTO` the mail
    /// goes to the owner.
    pub vars: Vars,
    /// For `SHELL -c`.
    pub command: Vec<u8>,
    /// Its standard input.
    pub input: Option<Vec<u8>>,
    /// Write it as a comment.
    pub is_off: bool,
}

/// Writes a table. `base` has the variables that cron sets for every job. Its `MAILTO` is the owner, whom
/// cron mails without such a variable. Jobs with few variables come first, because an assignment holds for
/// all lines below and cannot be undone.
///
/// Also returns the jobs that could not be written: the place of each, and the reason.
pub fn write(jobs: &[TableJob], base: &Vars, dialect: Dialect) -> (Vec<u8>, Vec<(usize, String)>) {
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    let first_alike = |vars: &Vars| jobs.iter().position(|job| job.vars == *vars);
    order.sort_by_key(|index| (jobs[*index].vars.len(), first_alike(&jobs[*index].vars), *index));
    let mut set = base.clone();
    set.remove(MAILTO);
    let mut text = Vec::new();
    let mut refused = Vec::new();
    let mut is_titled = false;
    for index in order {
        let job = &jobs[index];
        match lines(job, &set, base, dialect) {
            Ok(lines) => {
                let assignments = assignments(job, base, &mut set);
                // A comment ends at a blank line.
                if !text.is_empty() && (is_titled || job.title.is_some() || !assignments.is_empty()) {
                    text.push(b'\n');
                }
                is_titled = job.title.is_some();
                text.extend(assignments);
                text.extend(lines);
            }
            Err(why) => refused.push((index, why)),
        }
    }
    refused.sort();
    (text, refused)
}

/// Writes the assignments that differ from those above, and sets them.
fn assignments(job: &TableJob, base: &Vars, set: &mut Vars) -> Vec<u8> {
    let mut text = Vec::new();
    // A line above has named someone else.
    let owner =
        base.get_key_value(MAILTO).filter(|_| set.contains_key(MAILTO) && !job.vars.contains_key(MAILTO));
    for (name, value) in job.vars.iter().chain(owner) {
        if set.get(name) != Some(value)
            && let Ok(assignment) = assignment(name, value)
        {
            text.extend(assignment);
            text.push(b'\n');
            set.insert(name.clone(), value.clone());
        }
    }
    text
}

fn lines(job: &TableJob, set: &Vars, base: &Vars, dialect: Dialect) -> Result<Vec<u8>, String> {
    let is_surplus = |(name, value): &(&Vec<u8>, &Vec<u8>)| {
        !job.vars.contains_key(*name) && base.get(*name) != Some(*value) && *name != MAILTO
    };
    let surplus: Vec<&[u8]> = set.iter().filter(is_surplus).map(|(name, _)| name.as_slice()).collect();
    let unset = match surplus.is_empty() {
        true => Vec::new(),
        false => [b"unset ", surplus.join(&b' ').as_slice(), b"; "].concat(),
    };
    let command = escaped(&[unset, job.command.clone()].concat(), job.input.as_deref(), dialect)?;
    if command.len() > DEBIAN_BYTES_MAX {
        return Err(format!("a command of {} bytes ({DEBIAN_BYTES_MAX} are allowed)", command.len()));
    }
    let mut text = Vec::new();
    if let Some(title) = &job.title {
        text.extend(format!("# {title}\n").into_bytes());
    }
    for schedule in &job.schedules {
        if !is_entry(schedule, &command, dialect) {
            return Err("a command that cron would not read as one".to_owned());
        }
        let off = if job.is_off { "#" } else { "" };
        text.extend(format!("{off}{schedule} ").into_bytes());
        text.extend(&command);
        text.push(b'\n');
    }
    Ok(text)
}

/// Returns whether a cron reads the line as an entry with this command, and not as an assignment, a sixth
/// field or an option.
fn is_entry(schedule: &str, command: &[u8], dialect: Dialect) -> bool {
    let line = [schedule.as_bytes(), b" ", command].concat();
    let line = Line { number: 1, text: &line, ending: Ending::Newline };
    let Syntax::Entry(text) = line.syntax(dialect, Layout::User) else { return false };
    text.command.trim_ascii_start() == command.trim_ascii_start() && !text.mails_failures_only
}

/// Writes `NAME=value`, in quotes if necessary.
///
/// # Errors
/// If crontab(5) cannot express it: it has no escapes, and blanks at the end are lost.
pub fn assignment(name: &[u8], value: &[u8]) -> Result<Vec<u8>, &'static str> {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    if !name.first().is_some_and(is_letter)
        || !name.iter().all(|byte| is_letter(byte) || byte.is_ascii_digit())
    {
        return Err("its name");
    }
    if value.contains(&b'\n') {
        return Err("the newline in it");
    }
    if value.iter().any(is_end) {
        return Err("a byte of 0 or 255");
    }
    if value.last().is_some_and(u8::is_ascii_whitespace) {
        return Err("the blank at its end");
    }
    let quote: &[u8] = match value.first() {
        Some(first) if !first.is_ascii_whitespace() && !matches!(first, b'\'' | b'"') => b"",
        _ if !value.contains(&b'"') => b"\"",
        _ if !value.contains(&b'\'') => b"'",
        Some(_) | None => return Err("its quotes"),
    };
    let text = [name, b"=", quote, value, quote].concat();
    if text.len() > DEBIAN_BYTES_MAX {
        return Err("its length");
    }
    // Debian's cron removes a second pair of quotes.
    let wanted = Some(Variable { name: name.to_vec(), value: value.to_vec() });
    if Dialect::ALL.iter().any(|dialect| assignment::read(&text, *dialect) != wanted) {
        return Err("its quotes");
    }
    Ok(text)
}

/// Returns whether cron(8) reads a byte as the end of a text or of the file: it stores getc(3) in a char.
fn is_end(byte: &u8) -> bool {
    matches!(byte, 0 | 0xff)
}

/// Writes a command and its input as the rest of a line.
fn escaped(command: &[u8], input: Option<&[u8]>, dialect: Dialect) -> Result<Vec<u8>, String> {
    if command.contains(&b'\n') {
        return Err("a newline in a command".to_owned());
    }
    if command.iter().any(is_end) {
        return Err("a byte of 0 or 255".to_owned());
    }
    let mut text = Vec::with_capacity(command.len());
    let mut backslashes = 0;
    for (index, byte) in command.iter().enumerate() {
        let is_last = index + 1 == command.len() && input.is_some();
        let next = command.get(index + 1).copied().or(is_last.then_some(b'%'));
        match (byte, dialect) {
            (b'%', _) => text.extend(b"\\%"),
            (b'\\', Dialect::Debian) if matches!(next, Some(b'\\' | b'%')) => text.extend(b"\\\\"),
            // cronie reads pairs of backslashes and keeps both. A third would escape the percent sign.
            (b'\\', Dialect::Cronie) if next == Some(b'%') && backslashes % 2 == 0 => {
                return Err("a backslash before a percent sign (of cronie)".to_owned());
            }
            _ => text.push(*byte),
        }
        backslashes = if *byte == b'\\' { backslashes + 1 } else { 0 };
    }
    if let Some(input) = input {
        text.push(b'%');
        text.extend(escaped_input(input)?);
    }
    let stdin = input.filter(|input| !input.is_empty()).map(<[u8]>::to_vec);
    if split_command(&text, dialect) != (CommandText { command: command.to_vec(), stdin }) {
        // cron adds no newline to such a line.
        return Err("a last line of input that is all backslashes".to_owned());
    }
    Ok(text)
}

/// Writes an input, without its last newline if cron adds it.
fn escaped_input(input: &[u8]) -> Result<Vec<u8>, String> {
    let body = match input.strip_suffix(b"\n") {
        Some(body) if !body.is_empty() && !body.ends_with(b"\n") => body,
        Some(_) => input,
        None if input.is_empty() => input,
        None => return Err("an input that does not end with a newline".to_owned()),
    };
    if body.windows(2).any(|pair| pair == b"\\\n") {
        return Err("a backslash at the end of a line of input".to_owned());
    }
    if body.iter().any(is_end) {
        return Err("a byte of 0 or 255".to_owned());
    }
    let mut text = Vec::with_capacity(body.len());
    for byte in body {
        match byte {
            b'\n' => text.push(b'%'),
            b'%' => text.extend(b"\\%"),
            _ => text.push(*byte),
        }
    }
    Ok(text)
}

/// Returns a word in quotes of sh(1). No backslash in it touches another one or a percent sign, so that every
/// cron reads it alike.
pub fn quoted(word: &[u8]) -> Vec<u8> {
    let is_bare =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"%+,-./:=@_^".contains(byte) || !byte.is_ascii();
    if !word.is_empty() && word.iter().all(is_bare) {
        return word.to_vec();
    }
    let mut text = vec![b'\''];
    let mut before = 0;
    for byte in word {
        match byte {
            b'\'' => text.extend(b"'\\''"),
            b'\\' | b'%' if before == b'\\' => text.extend([b'\'', b'\'', *byte]),
            _ => text.push(*byte),
        }
        before = *byte;
    }
    text.push(b'\'');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits the rest of a line like the child of Debian's cron (do_command.c).
    fn read(text: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
        let mut command = Vec::new();
        let mut bytes = text.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                b'%' => return (command, Some(read_input(bytes))),
                b'\\' if matches!(bytes.peek(), Some(b'%' | b'\\')) => command.extend(bytes.next()),
                b'\\' => command.extend([Some(byte), bytes.next()].into_iter().flatten()),
                _ => command.push(byte),
            }
        }
        (command, None)
    }

    fn read_input(bytes: impl Iterator<Item = u8>) -> Vec<u8> {
        let mut input = Vec::new();
        let mut is_escaped = false;
        for byte in bytes {
            match (is_escaped, byte) {
                (true, b'%') => input.push(b'%'),
                (true, _) => input.extend([b'\\'].into_iter().chain((byte != b'\\').then_some(byte))),
                (false, b'%') => input.push(b'\n'),
                (false, b'\\') => {}
                (false, _) => input.push(byte),
            }
            is_escaped = byte == b'\\';
        }
        if is_escaped {
            input.push(b'\\');
        }
        if input.last().is_some_and(|last| *last != b'\n') {
            input.push(b'\n');
        }
        input
    }

    fn vars(pairs: &[(&str, &str)]) -> Vars {
        pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
    }

    fn job(command: &str, pairs: &[(&str, &str)]) -> TableJob {
        TableJob {
            title: None,
            schedules: vec!["@daily".to_owned()],
            vars: vars(pairs),
            command: command.as_bytes().to_vec(),
            input: None,
            is_off: false,
        }
    }

    fn written(jobs: &[TableJob]) -> (String, Vec<(usize, String)>) {
        let (text, refused) = write(jobs, &vars(&[("PATH", "/bin"), ("MAILTO", "me")]), Dialect::Debian);
        (String::from_utf8(text).expect("the jobs are text"), refused)
    }

    #[test]
    fn percent_signs_backslashes_and_input_come_back() {
        let commands = ["date +%F", r"a\b", r"a\\b", r"\%", r"\\%", r"a\\\c%\", r"\", "%", r"\\\\"];
        let inputs =
            [None, Some("x\n"), Some("a\nb%c\n"), Some("\n"), Some("a\n\n"), Some("\\%\\a\n"), Some("")];
        for command in commands {
            for input in inputs {
                let text = escaped(command.as_bytes(), input.map(str::as_bytes), Dialect::Debian)
                    .expect("it can be written");
                let found = read(&text);
                let wanted = (command.as_bytes().to_vec(), input.map(|input| input.as_bytes().to_vec()));
                assert_eq!(found, wanted, "{}", String::from_utf8_lossy(&text));
            }
        }
        for input in ["x", "a\\\nb\n", "a\0\n", "\\\n", "a\n\\\n", "\\\\\n"] {
            assert!(escaped(b"cat", Some(input.as_bytes()), Dialect::Debian).is_err(), "{input:?}");
        }
        assert!(escaped(b"a\nb", None, Dialect::Debian).is_err());
    }

    #[test]
    fn a_command_that_a_cron_reads_as_something_else_is_refused() {
        let refusals = |command: &str, dialect| write(&[job(command, &[])], &Vars::new(), dialect).1.len();
        for (command, debian, cronie) in [
            ("x", 0, 0),
            (" x", 0, 0),
            ("'*'", 0, 0),
            ("*/x", 1, 1),
            ("=x", 1, 1),
            ("-n x", 0, 1),
            ("-", 0, 1),
            ("", 0, 1),
        ] {
            assert_eq!(refusals(command, Dialect::Debian), debian, "{command}");
            assert_eq!(refusals(command, Dialect::Cronie), cronie, "{command}");
        }
    }

    #[test]
    fn cronie_keeps_two_backslashes() {
        let text = |command: &str| {
            escaped(command.as_bytes(), None, Dialect::Cronie)
                .map(|text| String::from_utf8(text).expect("text"))
        };
        assert_eq!(text(r"a\\b\c \\%"), Ok(r"a\\b\c \\\%".to_owned()));
        assert!(text(r"\%").is_err());
        assert!(escaped(br"\", Some(b"x\n"), Dialect::Cronie).is_err());
    }

    #[test]
    fn a_quoted_word_means_the_same_to_every_cron() {
        for word in ["", "a b", "it's", r"a\\b", r"a\%b", r"'\\'%\", "$(x)", "a=b"] {
            let text = quoted(word.as_bytes());
            let as_cronie = escaped(&text, None, Dialect::Cronie).expect("it has no newline");
            let escaped = escaped(&text, None, Dialect::Debian).expect("it has no newline");
            assert_eq!(escaped, as_cronie, "{word}");
            assert!(!escaped.windows(2).any(|pair| pair == br"\\"), "{word}");
            assert_eq!(read(&escaped), (text, None), "{word}");
        }
        assert_eq!(quoted(b"a=b"), b"a=b");
        assert_eq!(quoted(br"a\\b"), br"'a\''\b'");
    }

    #[test]
    fn a_value_is_quoted_if_it_must_be_and_refused_if_that_does_not_help() {
        let text = |value: &str| {
            assignment(b"A", value.as_bytes()).map(|text| String::from_utf8(text).expect("text"))
        };
        assert_eq!(text("a b \"c\" # d"), Ok("A=a b \"c\" # d".to_owned()));
        assert_eq!(text(""), Ok("A=\"\"".to_owned()));
        assert_eq!(text(" a"), Ok("A=\" a\"".to_owned()));
        assert_eq!(text("\"a"), Ok("A='\"a'".to_owned()));
        // Debian's cron would remove both pairs of quotes.
        for bad in ["a ", "a\nb", "'\"", "\"a\"", "'a'", &"x".repeat(DEBIAN_BYTES_MAX)] {
            assert!(text(bad).is_err(), "{bad}");
        }
        for bad in ["", "1", "BASH_FUNC_x%%", "A B", "#"] {
            assert!(assignment(bad.as_bytes(), b"1").is_err(), "{bad}");
        }
    }

    #[test]
    fn variables_are_set_once_and_the_fewest_first() {
        let many = job("many", &[("PATH", "/usr/bin"), ("A", "1"), ("MAILTO", "me")]);
        let few = job("few", &[("PATH", "/bin"), ("MAILTO", "")]);
        let (text, refused) = written(&[many.clone(), few, many]);
        assert_eq!(
            text,
            "MAILTO=\"\"\n@daily few\n\nA=1\nMAILTO=me\nPATH=/usr/bin\n@daily many\n@daily many\n"
        );
        assert_eq!(refused, []);
    }

    #[test]
    fn a_mailto_of_the_owner_is_written_if_a_job_has_the_variable() {
        let jobs = [job("a", &[("PATH", "/bin")]), job("b", &[("PATH", "/bin"), ("MAILTO", "me")])];
        assert_eq!(written(&jobs).0, "@daily a\n\nMAILTO=me\n@daily b\n");
        let long = [("PATH", "/bin"), ("A", "1"), ("B", "2")];
        let jobs = [job("a", &[("PATH", "/bin"), ("MAILTO", "x")]), job("b", &long)];
        assert_eq!(written(&jobs).0, "MAILTO=x\n@daily a\n\nA=1\nB=2\nMAILTO=me\n@daily b\n");
    }

    #[test]
    fn a_variable_of_a_line_above_is_unset() {
        let jobs = [job("a", &[("PATH", "/bin"), ("A", "1")]), job("b", &[("PATH", "/bin"), ("B", "%")])];
        let (text, _) = written(&jobs);
        assert_eq!(text, "A=1\n@daily a\n\nB=%\n@daily unset A; b\n");
    }

    #[test]
    fn a_job_that_is_off_is_a_comment_and_one_that_is_too_long_is_refused() {
        let base = [("PATH", "/bin")];
        let off = TableJob { title: Some("name".to_owned()), is_off: true, ..job("x", &base) };
        let long = job(&"x".repeat(DEBIAN_BYTES_MAX + 1), &base);
        let (text, refused) = written(&[long, off]);
        assert_eq!(text, "# name\n#@daily x\n");
        assert_eq!(refused, [(0, "a command of 999 bytes (998 are allowed)".to_owned())]);
    }
}
