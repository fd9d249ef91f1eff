//! Owns: the reason for which a line is refused, its place, and the hint.
//! Never: the decision to refuse it (see `table`).

use super::finding::Verdict;
use super::limits::SHOWN_MAX;
use super::line::{BadForm, Line};
use crate::schedule::{BadField, parse_cron, parse_field};

/// A cron's reason to refuse a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault<'a> {
    /// Its form. Reading stopped at a byte, after some fields.
    Form {
        form: BadForm,
        at: usize,
        fields: Vec<&'a [u8]>,
    },
    /// One of its fields. A field that is missing after it is a star here.
    Field {
        bad: BadField,
        fields: [&'a [u8]; 5],
    },
    Nickname(&'a [u8]),
}

impl Fault<'_> {
    /// Returns the cron's own words.
    pub(super) fn message(&self) -> &'static str {
        match self {
            Self::Form { form, .. } => form.message(),
            Self::Field { bad, .. } => bad.message(),
            Self::Nickname(_) => "bad time specifier",
        }
    }

    /// Returns the refusal of a line that has this fault.
    pub(super) fn verdict<'a>(&self, line: &Line<'_>) -> Verdict<'a> {
        match self {
            Self::Form { form, at, fields } => {
                let hint = hint_for(line.text, fields, *form == BadForm::Command);
                refused(line, *at, form_cause(line.text, *form, *at, fields.len()), hint)
            }
            Self::Field { bad, fields } => {
                let field = fields[bad.index];
                let shown = String::from_utf8_lossy(field);
                // Our grammar is stricter, so its message says more.
                let ours = parse_field(bad.index, &shown).err();
                let cause = match &ours {
                    Some(error) if shown.len() < 2 * SHOWN_MAX => error.to_string(),
                    Some(_) | None => format!("{}: `{}`", bad.message(), shortened(field)),
                };
                let hint = hint_for(line.text, fields, false).or(ours.and_then(|error| error.hint));
                refused(line, offset_of(line.text, field), cause, hint)
            }
            Self::Nickname(nickname) => {
                let cause = format!("`{}` is not a nickname of crontab(5)", shortened(nickname));
                // `@every 5m` has an argument.
                let is_every = nickname.eq_ignore_ascii_case(b"@every");
                let text = String::from_utf8_lossy(if is_every { line.text } else { nickname });
                let words: Vec<_> = text.split_whitespace().take(2).collect();
                let ours = || parse_cron(&words.join(" ")).err().and_then(|error| error.hint);
                let hint = hint_for(line.text, &[], false).or_else(ours);
                refused(line, offset_of(line.text, nickname), cause, hint)
            }
        }
    }
}

/// Refuses a line at a byte.
pub(super) fn refused<'a>(line: &Line<'_>, at: usize, cause: String, hint: Option<String>) -> Verdict<'a> {
    let column = String::from_utf8_lossy(&line.text[..at]).chars().count() + 1;
    Verdict::Refused { column, cause, hint }
}

/// Returns the offset of a part of a line.
pub(super) fn offset_of(line: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).saturating_sub(line.as_ptr() as usize).min(line.len())
}

pub(super) fn shortened(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

fn form_cause(line: &[u8], form: BadForm, at: usize, fields: usize) -> String {
    match (form, fields) {
        (BadForm::Option, 5) => "cronie reads a dash before the command as an option".to_owned(),
        (_, 5) if line[at..].starts_with(b"*") => {
            "a sixth field stands where the command should be".to_owned()
        }
        (_, 0 | 5) => "there is no command".to_owned(),
        (_, count) => format!("it is not a comment or `NAME=VALUE`, and has {count} of five fields"),
    }
}

/// Guesses the intention of a line that is refused.
fn hint_for(line: &[u8], fields: &[&[u8]], has_bad_command: bool) -> Option<String> {
    let text = line.trim_ascii();
    let sixth = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).nth(5);
    let hint = if line.starts_with(b"\xef\xbb\xbf") {
        "the file begins with a byte order mark: remove its first three bytes"
    } else if text.starts_with(b"export ") || text.starts_with(b"set ") {
        "a crontab is not a shell script: write `NAME=VALUE`"
    } else if fields.first().is_some_and(|first| first.contains(&b'='))
        || fields.get(1).is_some_and(|second| second.starts_with(b"="))
    {
        "if this is an assignment: close its quote, and write nothing after it"
    } else if has_bad_command && sixth.is_some_and(|word| word.starts_with(b"*")) {
        "five fields come before the command; for seconds use `taskq add --cron`"
    } else if line.ends_with(b"\r") {
        "the file has carriage returns: remove them with `tr -d '\\r'`"
    } else {
        return None;
    };
    Some(hint.to_owned())
}
