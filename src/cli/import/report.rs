//! Owns: the report on each line of a table or another source: as JSON, as a table, and as sentences.
//! Never: the findings (see `crontab`).

use std::collections::HashMap;

use serde::Serialize;

use super::diff::{Diff, LineChange};
use super::items::{ItemChange, ItemDiff, ItemState, ItemVerdict, SourceItem};
use super::place::Place;
use super::planned::{ImportContext, TableLine, zone_of};
use crate::cli::output::{Column, Table, TableCell};
use crate::crontab::{Note, Verdict};
use crate::domain::{JobId, Span, Timestamp};
use crate::error::Error;
use crate::schedule::{Schedule, Zone};
use crate::shown;

/// How many fires to show of a line with a surprising meaning.
const FIRES_SHOWN: usize = 3;

/// The width of an instant on a narrow terminal, which keeps the minute: `2026-03-02 03:15…`.
const TIME_MIN: usize = 17;

/// The result of reading and storing a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineResult {
    /// It sets a variable for the lines below.
    Environment,
    /// It has a new job.
    Imported,
    /// It would have a job, but nothing is stored.
    Accepted,
    /// Its job has changed.
    Changed,
    /// Its job has not changed.
    Unchanged,
    /// It never fires, so it has no job.
    NoJob,
    /// Blank, or a comment, with a note about it.
    Blank,
    Refused,
    /// It is no longer in the table, and its job has ended.
    Removed,
    /// Its job fires no more: it has run, or it was cancelled.
    Done,
}

impl LineResult {
    fn word(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Imported => "imported",
            Self::Accepted => "accepted",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::NoJob => "no job",
            Self::Blank => "blank",
            Self::Refused => "refused",
            Self::Removed => "removed",
            Self::Done => "done",
        }
    }
}

/// A note about a line, with fires that show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    text: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fires: Vec<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineReport {
    #[serde(flatten)]
    place: Place,
    result: LineResult,
    job_id: Option<JobId>,
    next_fire_at: Option<Timestamp>,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    notes: Vec<Remark>,
}

impl LineReport {
    /// Returns its place in a sentence: `line 5, column 3`.
    fn place(&self) -> String {
        let column = self.column.map_or_else(String::new, |column| format!(", column {column}"));
        format!("{}{column}", self.place)
    }

    /// Returns why the line is refused, with the hint in brackets.
    fn reason(&self) -> Option<String> {
        let hint = self.hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
        Some(format!("{}{hint}", self.cause.as_ref()?))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// The name of the table in messages.
    pub source: String,
    /// Its lines without comments and blank lines, then the removed lines.
    pub lines: Vec<LineReport>,
    /// The head of the places of its lines.
    #[serde(skip)]
    head: &'static str,
}

fn notes_cell(count: usize) -> TableCell {
    if count == 0 { TableCell::unknown() } else { TableCell::new(count.to_string()) }
}

/// Makes the report of a table. With `is_stored`, the jobs of new lines are in the store.
pub fn table_report(
    source: &str,
    lines: &[TableLine<'_>],
    diff: &Diff,
    is_stored: bool,
    here: &ImportContext,
) -> TableReport {
    let mut cache = HashMap::new();
    let mut reports: Vec<LineReport> = lines
        .iter()
        .zip(&diff.lines)
        .filter_map(|(line, change)| line_report(line, change.as_ref(), is_stored, here, &mut cache))
        .collect();
    reports.extend(diff.gone.iter().map(|gone| LineReport {
        place: Place::Line(gone.line),
        result: LineResult::Removed,
        job_id: Some(gone.job),
        next_fire_at: None,
        text: shown::escaped_bytes(&gone.text),
        column: None,
        cause: None,
        hint: None,
        notes: Vec::new(),
    }));
    TableReport { source: source.to_owned(), lines: reports, head: Place::LINE }
}

/// Makes the report of a source that is not a crontab. With `is_stored`, the jobs of new items are in the
/// store.
pub fn items_report(
    (source, head): (&str, &'static str),
    items: &[SourceItem],
    diff: &ItemDiff,
    is_stored: bool,
) -> TableReport {
    let reports = items.iter().zip(&diff.items);
    let mut reports: Vec<LineReport> =
        reports.map(|(item, change)| item_report(item, *change, is_stored)).collect();
    reports.extend(diff.gone.iter().map(|gone| LineReport {
        place: Place::Named(gone.item.clone()),
        result: LineResult::Removed,
        job_id: Some(gone.job),
        next_fire_at: None,
        text: gone.item.clone(),
        column: None,
        cause: None,
        hint: None,
        notes: Vec::new(),
    }));
    TableReport { source: source.to_owned(), lines: reports, head }
}

fn item_report(item: &SourceItem, state: Option<ItemState>, is_stored: bool) -> LineReport {
    let (mut column, mut cause, mut hint) = (None, None, None);
    let result = match (&item.verdict, state.map(|state| state.change)) {
        (ItemVerdict::Environment, _) => LineResult::Environment,
        (ItemVerdict::Refused(refusal), _) => {
            (column, cause, hint) = (refusal.column, Some(refusal.cause.clone()), refusal.hint.clone());
            LineResult::Refused
        }
        (ItemVerdict::NeverFires, _) | (ItemVerdict::Job(_), None) => LineResult::NoJob,
        (ItemVerdict::Job(_), Some(ItemChange::Added)) if is_stored => LineResult::Imported,
        (ItemVerdict::Job(_), Some(ItemChange::Added)) => LineResult::Accepted,
        (ItemVerdict::Job(_), Some(ItemChange::Changed)) => LineResult::Changed,
        (ItemVerdict::Job(_), Some(ItemChange::Unchanged)) => LineResult::Unchanged,
        (ItemVerdict::Job(_), Some(ItemChange::Done)) => LineResult::Done,
    };
    LineReport {
        place: item.place.clone(),
        result,
        job_id: state.and_then(|state| state.job),
        next_fire_at: state.and_then(|state| state.next_at),
        text: shown::escaped(&item.text).into_owned(),
        column,
        cause,
        hint,
        notes: item.notes.iter().map(|text| Remark { text: text.clone(), fires: Vec::new() }).collect(),
    }
}

/// A cache of zones by name.
type Zones = HashMap<Option<String>, Zone>;

fn line_report(
    line: &TableLine<'_>,
    change: Option<&(Option<JobId>, LineChange)>,
    is_stored: bool,
    here: &ImportContext,
    zones: &mut Zones,
) -> Option<LineReport> {
    let finding = &line.finding;
    let result = match (&finding.verdict, change) {
        (Verdict::Nothing, _) if finding.notes.is_empty() => return None,
        (Verdict::Nothing, _) => LineResult::Blank,
        (Verdict::Variable(_), _) => LineResult::Environment,
        (Verdict::Refused { .. }, _) => LineResult::Refused,
        (Verdict::Entry(_), None) => LineResult::NoJob,
        (Verdict::Entry(_), Some((_, LineChange::Added))) if is_stored => LineResult::Imported,
        (Verdict::Entry(_), Some((_, LineChange::Added))) => LineResult::Accepted,
        (Verdict::Entry(_), Some((_, LineChange::Changed))) => LineResult::Changed,
        (Verdict::Entry(_), Some((_, LineChange::Unchanged))) => LineResult::Unchanged,
    };
    let (column, cause, hint) = match &finding.verdict {
        Verdict::Refused { column, cause, hint } => (Some(*column), Some(cause.clone()), hint.clone()),
        Verdict::Nothing | Verdict::Variable(_) | Verdict::Entry(_) => (None, None, None),
    };
    Some(LineReport {
        place: Place::Line(finding.line.number),
        result,
        job_id: change.and_then(|(job, _)| *job),
        next_fire_at: line.job.as_ref().and_then(|job| job.first.next_at),
        text: shown::escaped_bytes(finding.line.text.trim_ascii()),
        column,
        cause,
        hint,
        notes: remarks(line, here, zones),
    })
}

fn remarks(line: &TableLine<'_>, here: &ImportContext, zones: &mut Zones) -> Vec<Remark> {
    let mut fires = |schedule: &Schedule, delay: Span, zone: &Option<String>| {
        let zone = zones.entry(zone.clone()).or_insert_with(|| zone_of(zone.as_deref(), here));
        next_fires(schedule, delay, zone, here.now)
    };
    let own = match &line.finding.verdict {
        Verdict::Entry(entry) => entry.timing.as_ref(),
        Verdict::Nothing | Verdict::Variable(_) | Verdict::Refused { .. } => None,
    };
    let notes = &line.finding.notes;
    let last_about_times = notes.iter().rposition(Note::is_about_times);
    let own_fires = match own {
        Some(own) if last_about_times.is_some() => fires(&own.schedule, own.delay, &own.zone),
        Some(_) | None => Vec::new(),
    };
    let mut remarks = Vec::new();
    for (index, note) in notes.iter().enumerate() {
        let of_other = match note {
            Note::OtherTimes { fires: Some(other), .. } => fires(&other.schedule, Span::ZERO, &other.zone),
            _ => Vec::new(),
        };
        if let Note::OtherZone { first, .. } = note {
            remarks.push(Remark { text: note.to_string(), fires: vec![*first] });
            continue;
        }
        remarks.push(if !of_other.is_empty() && of_other == own_fires {
            Remark { text: format!("{note}, but the next fires are the same"), fires: Vec::new() }
        } else {
            Remark { text: note.to_string(), fires: of_other }
        });
        if last_about_times == Some(index) && !own_fires.is_empty() {
            remarks.push(Remark { text: "the coming fires here".to_owned(), fires: own_fires.clone() });
        }
    }
    remarks
}

fn next_fires(schedule: &Schedule, delay: Span, zone: &Zone, now: Timestamp) -> Vec<Timestamp> {
    let mut at = now - delay;
    let next = || {
        at = schedule.next_after(at, zone)?;
        Some(at + delay)
    };
    std::iter::from_fn(next).take(FIRES_SHOWN).collect()
}

impl TableReport {
    /// Returns the number of refused lines.
    pub fn refusals(&self) -> usize {
        self.lines.iter().filter(|line| line.result == LineResult::Refused).count()
    }

    /// Returns the refused lines, each with the reason and the hint.
    pub fn refused_lines(&self) -> impl Iterator<Item = (usize, String)> {
        self.lines.iter().filter_map(|line| Some((line.place.line()?, line.reason()?)))
    }

    /// Returns the error if a line is refused.
    pub fn failure(&self, what: &str) -> Option<Error> {
        let first = self.lines.iter().find(|line| line.result == LineResult::Refused)?;
        let cause = first.cause.as_deref().unwrap_or_default();
        let others = match self.refusals() - 1 {
            0 => String::new(),
            1 if self.head == Place::LINE => "; one more line is refused".to_owned(),
            others if self.head == Place::LINE => format!("; {others} more lines are refused"),
            1 => "; one more is refused".to_owned(),
            others => format!("; {others} more are refused"),
        };
        let error = Error::usage(what, format!("{}: {cause}{others}", first.place()));
        Some(match &first.hint {
            Some(hint) => error.hint(hint),
            None => error,
        })
    }

    /// Returns the table of lines.
    pub fn table(&self, zone: &Zone) -> Table {
        let mut table = Table::new([
            if self.head == Place::LINE { Column::right(self.head) } else { Column::left(self.head) },
            Column::left("RESULT"),
            Column::right("NOTES"),
            Column::right("JOB"),
            Column::left("NEXT").shrinking_to(TIME_MIN),
            Column::left("TEXT"),
        ]);
        for line in &self.lines {
            table.push([
                TableCell::new(line.place.cell()),
                TableCell::new(line.result.word()),
                notes_cell(line.notes.len()),
                line.job_id.map_or_else(TableCell::unknown, |id| TableCell::new(id.to_string())),
                line.next_fire_at.map_or_else(TableCell::unknown, |at| TableCell::new(zone.show(at))),
                TableCell::new(&line.text),
            ]);
        }
        table
    }

    /// Returns a sentence for each note, in the order of the lines, for the lines with wanted numbers.
    pub fn sentences(&self, zone: &Zone, is_wanted: impl Fn(usize) -> bool) -> Vec<String> {
        let mut sentences = Vec::new();
        let is_there = |line: &&LineReport| {
            line.result != LineResult::Removed && line.place.line().is_none_or(&is_wanted)
        };
        for line in self.lines.iter().filter(is_there) {
            if let Some(reason) = line.reason() {
                let sentence = format!("{}: {reason}", line.place());
                sentences.push(shown::escaped(&sentence).into_owned());
            }
            for note in &line.notes {
                let fires: Vec<String> = note.fires.iter().map(|at| zone.show(*at)).collect();
                let colon = if fires.is_empty() { "" } else { ": " };
                let sentence = format!("{}: {}{colon}{}", line.place, note.text, fires.join(", "));
                sentences.push(shown::escaped(&sentence).into_owned());
            }
        }
        sentences
    }
}
