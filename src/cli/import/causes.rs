//! Owns: the place of a note about many lines: once, at the line that causes it.
//! Never: its words (see `crontab::Note`).

use std::collections::{HashMap, HashSet};

use super::planned::{Caused, ImportContext, TableLine, zone_of};
use crate::crontab::{Note, Timing, Variable, Verdict, ZoneVariable};
use crate::domain::{Span, Timestamp};
use crate::schedule::{Dialect, Zone};

/// How far ahead to compare the fires of two zones: ten years, so that a 29 February is among them.
const HORIZON: Span = Span::from_seconds(3_652 * 86_400);

/// How many schedules below a zone to compare. Most differ at once, and a table may have 100,000.
const SCHEDULES_MAX: usize = 50;

/// The lines that cause notes, while a table is read from above.
#[derive(Default)]
pub struct Causes {
    /// The last line that set each variable.
    set_at: HashMap<Vec<u8>, usize>,
    /// Notes at a job, because no line sets their variable.
    told: HashSet<String>,
}

impl Causes {
    /// Takes in the last line.
    pub fn pass(&mut self, lines: &[TableLine<'_>]) {
        if let Some(variable) = lines.last().and_then(variable_of) {
            self.set_at.insert(variable.name.clone(), lines.len() - 1);
        }
    }

    /// Adds a note of the last line to the line that causes it, once.
    pub fn place(&mut self, lines: &mut [TableLine<'_>], caused: &Caused) {
        let notes = match self.set_at.get(caused.by) {
            Some(index) => &mut lines[*index].finding.notes,
            None if self.told.insert(caused.note.to_string()) => {
                &mut lines.last_mut().expect("the job's line is there").finding.notes
            }
            None => return,
        };
        if !notes.contains(&caused.note) {
            notes.push(caused.note.clone());
        }
    }
}

/// Adds the notes that need the whole table, each at the line that causes it.
pub fn settle(lines: &mut [TableLine<'_>], here: &ImportContext) {
    count_users(lines);
    for index in 0..lines.len() {
        if let Some(note) = zone_note(index, lines, here) {
            lines[index].finding.notes.push(note);
        }
    }
}

fn variable_of<'a>(line: &'a TableLine<'_>) -> Option<&'a Variable> {
    match &line.finding.verdict {
        Verdict::Variable(variable) => Some(variable),
        Verdict::Nothing | Verdict::Entry(_) | Verdict::Refused { .. } => None,
    }
}

/// Keeps only the first note about a command that begins with a user, with the number of the others.
fn count_users(lines: &mut [TableLine<'_>]) {
    let is_one = |note: &Note| matches!(note, Note::LooksLikeUser { .. });
    let mut found = lines.iter_mut().filter(|line| line.finding.notes.iter().any(is_one));
    let Some(first) = found.next() else { return };
    let mut count = 0;
    for line in found {
        line.finding.notes.retain(|note| !is_one(note));
        count += 1;
    }
    for note in &mut first.finding.notes {
        if let Note::LooksLikeUser { others, .. } = note {
            *others = count;
        }
    }
}

/// Returns the effect of a line that sets `CRON_TZ` or `TZ` on the times below it; `None` if no fire differs.
fn zone_note(index: usize, lines: &[TableLine<'_>], here: &ImportContext) -> Option<Note> {
    let variable = variable_of(&lines[index])?;
    let kind = match variable.name.as_slice() {
        b"CRON_TZ" => ZoneVariable::CronTz(here.origin),
        b"TZ" => ZoneVariable::Tz,
        _ => return None,
    };
    let name = String::from_utf8_lossy(&variable.value).into_owned();
    let other = match kind {
        ZoneVariable::CronTz(Dialect::Cronie) => here.zone.clone(),
        ZoneVariable::CronTz(Dialect::Debian) | ZoneVariable::Tz => Zone::find(&name)?,
    };
    let is_below = |line: &&TableLine<'_>| variable_of(line).is_none_or(|other| other.name != variable.name);
    let jobs =
        lines[index + 1..].iter().take_while(is_below).filter_map(|line| Some((line, timing_of(line)?)));
    let mut same: Vec<&Timing> = Vec::new();
    for (line, timing) in jobs {
        if same.iter().any(|known| known.schedule == timing.schedule && known.zone == timing.zone) {
            continue;
        }
        if let Some(first) = first_unlike(timing, &other, here) {
            return Some(Note::OtherZone {
                variable: kind,
                zone: name,
                line: line.finding.line.number,
                first,
            });
        }
        same.push(timing);
        if same.len() == SCHEDULES_MAX {
            break;
        }
    }
    None
}

fn timing_of<'a>(line: &'a TableLine<'_>) -> Option<&'a Timing> {
    match &line.finding.verdict {
        Verdict::Entry(entry) => entry.timing.as_ref(),
        Verdict::Nothing | Verdict::Variable(_) | Verdict::Refused { .. } => None,
    }
}

fn first_unlike(timing: &Timing, other: &Zone, here: &ImportContext) -> Option<Timestamp> {
    let own = zone_of(timing.zone.as_deref(), here);
    timing.schedule.first_unlike(here.now, here.now + HORIZON, &own, other)
}
