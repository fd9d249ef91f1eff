//! Owns: why a line is refused, where in it, and what to do about it.
//! Never: deciding that it is (see `table`).

use super::finding::Verdict;
use super::line::Line;
use crate::schedule::{BadField, parse_cron};

/// What both crons say of a nickname that is none.
pub(super) const BAD_NICKNAME: &str = "bad time specifier";

pub(super) fn refused<'a>(line: &Line<'_>, at: usize, cause: String, hint: Option<String>) -> Verdict<'a> {
    Verdict::Refused { column: column_of(line.text, at), cause, hint }
}

pub(super) fn bad_nickname<'a>(line: &Line<'_>, nickname: &[u8]) -> Verdict<'a> {
    let shown = shortened(&String::from_utf8_lossy(nickname));
    let told = hint_for(line.text, &[], BAD_NICKNAME)
        .or_else(|| parse_cron(&whole_nickname(line.text)).err().and_then(|error| error.hint));
    refused(line, offset_of(line.text, nickname), format!("`{shown}` is no nickname of crontab(5)"), told)
}

/// Returns a nickname that is not cron's with its argument: `@every 5m`.
fn whole_nickname(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// Returns where a part of a line begins in it.
pub(super) fn offset_of(line: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).saturating_sub(line.as_ptr() as usize).min(line.len())
}

/// Returns the column, in characters from 1, of a byte.
fn column_of(line: &[u8], at: usize) -> usize {
    String::from_utf8_lossy(&line[..at]).chars().count() + 1
}

pub(super) fn shortened(text: &str) -> String {
    const SHOWN_MAX: usize = 40;
    if text.chars().count() <= SHOWN_MAX {
        text.to_owned()
    } else {
        text.chars().take(SHOWN_MAX).chain(['…']).collect()
    }
}

/// Tells whether six fields are there and nothing that looks like a command.
fn is_sixth_field(line: &[u8]) -> bool {
    let sixth = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).nth(5);
    sixth.is_some_and(|word| word.starts_with(b"*"))
}

/// Guesses what was meant by a line that is refused.
fn hint_for(line: &[u8], fields: &[&[u8]], what: &str) -> Option<String> {
    let text = line.trim_ascii();
    let hint = if line.starts_with(b"\xef\xbb\xbf") {
        "the file begins with a byte order mark: remove its first three bytes"
    } else if text.starts_with(b"export ") || text.starts_with(b"set ") {
        "a crontab is no shell script: write `NAME=VALUE`"
    } else if fields.first().is_some_and(|first| first.contains(&b'='))
        || fields.get(1).is_some_and(|second| second.starts_with(b"="))
    {
        "if this is an assignment: nothing may stand behind its closing quote, and a quote must be closed"
    } else if what == "bad command" && is_sixth_field(line) {
        "five fields come before the command; for seconds use `taskq add --cron`"
    } else if line.ends_with(b"\r") {
        "the file has carriage returns: remove them with `tr -d '\\r'`"
    } else {
        return None;
    };
    Some(hint.to_owned())
}

/// Refuses a line whose parts are not there.
pub(super) fn bad_form<'a>(line: &Line<'_>, what: &str, at: usize, fields: &[&[u8]]) -> Verdict<'a> {
    let cause = match fields.len() {
        5 if what == "bad option" => "cronie takes a dash before the command for an option".to_owned(),
        5 if line.text[at..].starts_with(b"*") => {
            "a sixth field stands where the command should be".to_owned()
        }
        5 => "there is no command".to_owned(),
        _ if fields.is_empty() => "there is no command".to_owned(),
        count => format!("it is no comment, no `NAME=VALUE` and has {count} of five fields"),
    };
    refused(line, at, cause, hint_for(line.text, fields, what))
}

/// A field that its cron refuses.
pub(super) fn bad_field<'a>(line: &Line<'a>, fields: &[&[u8]; 5], bad: BadField) -> Verdict<'a> {
    let at = offset_of(line.text, fields[bad.index]);
    // Our own reading is stricter, so it knows what is wrong, and says it better.
    let text: Vec<_> = fields
        .iter()
        .enumerate()
        .map(|(index, field)| {
            let field = String::from_utf8_lossy(field);
            if index == bad.index { field.into_owned() } else { "*".to_owned() }
        })
        .collect();
    let told = parse_cron(&text.join(" ")).err();
    let shown = String::from_utf8_lossy(fields[bad.index]).into_owned();
    let cause = match &told {
        Some(error) if shown.len() < 80 => {
            let why = error.cause.split(" in `").next().unwrap_or_default().to_owned();
            let rest = error
                .cause
                .split_once("` ")
                .and_then(|(_, rest)| rest.split_once("` "))
                .map_or("", |(_, why)| why);
            format!("{why} {rest}").trim_end().to_owned()
        }
        Some(_) | None => format!("{}: `{}`", bad.message(), shortened(&shown)),
    };
    let hint = hint_for(line.text, fields, bad.message()).or_else(|| told.and_then(|error| error.hint));
    refused(line, at, cause, hint)
}
