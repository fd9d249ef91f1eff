//! Owns: the notes on a line, from its readings.
//! Never: the words of a note (see `note`), notes that only a whole table shows (see `cli`).

use std::borrow::Cow;

use super::assignment::Variable;
use super::calls::crontab_calls;
use super::command::open_quote;
use super::finding::Options;
use super::limits::{DEBIAN_BYTES_MAX, DEBIAN_LINES_MAX};
use super::line::{Ending, Line, When, is_blank};
use super::note::{Fires, Note};
use super::reading::{EntryMeaning, LineMeaning, LineReadings, Times, other};
use super::refusal::shortened;
use super::settings;
use crate::schedule::{Dialect, FieldsReading};

/// The byte that Debian's cron reads as the end of the file, if it follows the five fields.
const DEBIAN_END: u8 = 0xff;

/// A cron's words for a command that it cannot hold.
const TOO_LONG: &str = "command too long";

/// Returns the notes on a line that is not refused. `zone` is the zone of `CRON_TZ` above it.
pub(super) fn notes(
    line: &Line<'_>,
    readings: &LineReadings<'_>,
    options: &Options<'_>,
    zone: Option<&str>,
) -> Vec<Note> {
    let mut notes = Vec::new();
    match readings.ours() {
        LineMeaning::Refused(_) => {}
        LineMeaning::Nothing => {
            let is_refused = matches!(readings.own, LineMeaning::Refused(_));
            notes.extend(is_refused.then(|| refused_by(options.origin, readings.own.refusal())));
        }
        LineMeaning::Variable(variable) => {
            value_notes(&mut notes, line, variable, readings, options.origin);
            notes.extend(purpose_note(variable, options));
        }
        LineMeaning::Entry(entry) => {
            times_notes(&mut notes, entry);
            other_cron_notes(&mut notes, entry, &readings.other, other(options.origin), zone);
            command_notes(&mut notes, line, entry, options);
        }
    }
    let is_live = matches!(readings.ours(), LineMeaning::Variable(_) | LineMeaning::Entry(_));
    if is_live && line.ending == Ending::File {
        notes.push(Note::NoNewline);
    }
    notes
}

/// Returns the note on the first line that Debian's crontab(1) does not take.
pub(super) fn too_many_lines(line: &Line<'_>) -> Option<Note> {
    let words = "crontab is too long; maximum number of lines is 10000";
    (line.number == DEBIAN_LINES_MAX + 1).then(|| refused_by(Dialect::Debian, words))
}

fn refused_by(by: Dialect, what: &str) -> Note {
    Note::RefusedBy { by, what: what.to_owned() }
}

/// The two crons may read another value, or refuse the line.
fn value_notes(
    notes: &mut Vec<Note>,
    line: &Line<'_>,
    variable: &Variable,
    readings: &LineReadings<'_>,
    origin: Dialect,
) {
    let Variable { name, value } = variable;
    let no_assignment = |by, meaning: &LineMeaning<'_>| match by == Dialect::Debian && value.is_empty() {
        true => Note::EmptyValue { is_mailto: name == b"MAILTO", what: meaning.refusal().to_owned() },
        false => refused_by(by, meaning.refusal()),
    };
    if matches!(readings.own, LineMeaning::Refused(_)) {
        notes.push(no_assignment(origin, &readings.own));
    }
    let by = other(origin);
    match &readings.other {
        LineMeaning::Variable(Variable { value: theirs, .. }) if theirs != value => {
            let is_cut = theirs.len().abs_diff(value.len()) > 1 && line.text.len() > DEBIAN_BYTES_MAX;
            let value = theirs.clone();
            notes.push(if is_cut { Note::CutByDebian } else { Note::OtherValue { by, value } });
        }
        LineMeaning::Variable(_) | LineMeaning::Nothing => {}
        LineMeaning::Entry(_) | LineMeaning::Refused(_) => notes.push(no_assignment(by, &readings.other)),
    }
    let is_plain = name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        && name.first().is_some_and(|byte| !byte.is_ascii_digit());
    if !is_plain {
        notes.push(Note::OddName);
    }
    let text = line.text.trim_ascii_end();
    let is_quoted = text.ends_with(b"\"") || text.ends_with(b"'");
    if !is_quoted && value.windows(2).any(|pair| is_blank(pair[0]) && pair[1] == b'#') {
        notes.push(Note::HashInValue);
    }
}

/// cron may use the variable itself, and it expands nothing.
fn purpose_note(variable: &Variable, options: &Options<'_>) -> Option<Note> {
    let is_debian = options.origin == Dialect::Debian;
    let value = variable.value.as_slice();
    match variable.name.as_slice() {
        b"CRON_TZ" => {
            let is_bad = is_debian && matches!(settings::zone(value), Some(Err(_)));
            is_bad.then(|| Note::NoZone(shortened(value)))
        }
        b"RANDOM_DELAY" => match settings::random_delay(value, options.host) {
            Some(delay) if delay.most == 0 => None,
            Some(_) | None if is_debian => Some(Note::DelayIgnored(shortened(value))),
            Some(delay) => Some(Note::Delayed { most: shortened(value), drawn: delay.drawn }),
            None => Some(Note::NoDelay(shortened(value))),
        },
        b"LOGNAME" => Some(Note::SetByCron),
        b"USER" if !is_debian => Some(Note::SetByCron),
        b"MAILTO" | b"MAILFROM" if !is_debian => None,
        _ => not_expanded(value).map(Note::NotExpanded),
    }
}

/// The fields may not mean what they seem to.
fn times_notes(notes: &mut Vec<Note>, entry: &EntryMeaning<'_>) {
    let (Times::Fields(reading), When::Fields(fields)) = (&entry.times, &entry.text.when) else { return };
    notes.extend(reading.oddities().iter().cloned().map(Note::Odd));
    let Some(expr) = reading.expression() else {
        notes.push(Note::NeverFires);
        return;
    };
    let written = fields.map(String::from_utf8_lossy);
    if expr != written.join(" ") {
        notes.push(Note::Rewritten(expr));
    }
    notes.extend(day_note(reading, &written));
}

/// The two day fields may not go together as they seem to.
fn day_note(reading: &FieldsReading, written: &[Cow<'_, str>; 5]) -> Option<Note> {
    let (day, weekday) = (&written[2], &written[4]);
    if reading.either_day() {
        return Some(match reading.whole_day_field() {
            Some(index) => Note::EveryDay { field: written[index].clone().into_owned() },
            None => Note::EitherDay,
        });
    }
    let star = if day.starts_with('*') { day } else { weekday };
    (day != "*" && weekday != "*").then(|| Note::BothDays { field: star.clone().into_owned() })
}

/// Returns the note on the day fields of an expression that is not in a table. Only five fields have one.
pub fn note_on_days(expression: &str) -> Option<Note> {
    let fields: [&str; 5] = expression.split_whitespace().collect::<Vec<_>>().try_into().ok()?;
    let reading = Dialect::Debian.read(&fields.map(str::as_bytes), 0).ok()?;
    day_note(&reading, &fields.map(Cow::Borrowed))
}

/// The other cron may refuse the entry, or differ in times or command. Another zone is noted at `CRON_TZ`.
fn other_cron_notes(
    notes: &mut Vec<Note>,
    own: &EntryMeaning<'_>,
    other: &LineMeaning<'_>,
    by: Dialect,
    zone: Option<&str>,
) {
    let LineMeaning::Entry(other) = other else {
        notes.push(refused_by(by, other.refusal()));
        return;
    };
    if by == Dialect::Debian && other.text.command.len() > DEBIAN_BYTES_MAX {
        notes.push(refused_by(by, TOO_LONG));
        return;
    }
    let schedule = other.schedule();
    if schedule != own.schedule() {
        let zone = zone.filter(|_| by == Dialect::Cronie).map(str::to_owned);
        let fires = schedule.map(|schedule| Fires { schedule, zone });
        notes.push(Note::OtherTimes { by, fires });
    }
    if other.command != own.command {
        notes.push(Note::OtherCommand { by, command: other.command.command.clone() });
    }
}

/// The command may not be the one that was meant.
fn command_notes(notes: &mut Vec<Note>, line: &Line<'_>, entry: &EntryMeaning<'_>, options: &Options<'_>) {
    let (text, command) = (&entry.text, entry.command.command.as_slice());
    let follows_fields = matches!(text.when, When::Fields(_)) && text.user.is_none();
    if follows_fields && text.command.first() == Some(&DEBIAN_END) {
        notes.push(refused_by(Dialect::Debian, "bad day-of-week"));
    }
    if options.origin == Dialect::Debian && text.command.len() > DEBIAN_BYTES_MAX {
        notes.push(refused_by(Dialect::Debian, TOO_LONG));
    }
    if entry.is_empty() {
        notes.push(Note::NoCommand);
        return;
    }
    if entry.command.stdin.is_some() || text.command.ends_with(b"%") && !text.command.ends_with(b"\\%") {
        notes.push(Note::PercentSign);
    }
    notes.extend(open_quote(command).map(Note::OpenQuote));
    if command.contains(&b'\r') {
        notes.push(Note::CarriageReturn);
    }
    if line.text.ends_with(b"\\") {
        notes.push(Note::Continuation);
    }
    notes.extend(crontab_calls(command).into_iter().map(Note::CallsCrontab));
    let first = command.split(|byte| is_blank(*byte)).next().unwrap_or_default();
    let shown = || String::from_utf8_lossy(first).into_owned();
    // An option does not follow a user, but a command does.
    let next = command[first.len()..].iter().find(|byte| !is_blank(**byte));
    let is_before_word = next.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"/.".contains(byte));
    if first.iter().all(|byte| byte.is_ascii_digit() || b"*,-/?".contains(byte)) {
        notes.push(Note::LooksLikeField(shown()));
    } else if text.user.is_none() && is_before_word && (options.knows_user)(first) {
        notes.push(Note::LooksLikeUser { user: shown(), others: 0 });
    }
}

/// Returns the part of a value that a shell would have expanded: `$NAME`, `$(…)`, `~` in front, backquotes.
fn not_expanded(value: &[u8]) -> Option<String> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if value.starts_with(b"~") || value.windows(2).any(|pair| pair == b":~") {
        return Some("~".to_owned());
    }
    if value.contains(&b'`') {
        return Some("`".to_owned());
    }
    let dollar = value
        .windows(2)
        .position(|pair| pair[0] == b'$' && (is_name(&pair[1]) || b"{(".contains(&pair[1])))?;
    let length = 2 + value[dollar + 2..].iter().take_while(|byte| is_name(byte)).count();
    Some(String::from_utf8_lossy(&value[dollar..dollar + length]).into_owned())
}
