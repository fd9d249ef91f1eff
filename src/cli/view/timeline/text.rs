//! Owns: the picture as lines of text.
//! Never: what is in the cells (see `rows`), whether colours are shown (see `output`).

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use super::axis::Axis;
use super::facts::{Line, Picture};
use super::kind::Kind;
use super::rows::{Cell, at_once, cells};
use crate::cli::output::style::paint;
use crate::cli::output::table::cut;
use crate::cli::view::bars::height;
use crate::cli::view::times::Times;
use crate::shown::{self, counted, escaped};

/// The width of the picture in a pipe. Long names make it wider.
const PIPE_WIDTH: usize = 100;

/// The columns of the axis have at least this number.
const AXIS_MIN: usize = 20;

/// On a terminal, labels have this width, more if there is room, and less if there is little.
const LABEL_MIN: usize = AT_ONCE.len();

/// A label takes one of so many columns of a terminal.
const LABEL_PART: usize = 4;

/// In a pipe, a longer command is cut. Names are whole.
const COMMAND_MAX: usize = 32;

/// Between two columns of the table.
const GUTTER: usize = 2;

const AT_ONCE: &str = "at once";

/// Why there is no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextError {
    /// The terminal has fewer columns than these.
    Narrow(usize),
}

/// The widths of the columns of a picture.
#[derive(Clone, Copy, Debug)]
struct Widths {
    id: usize,
    label: usize,
    /// `None`: no job has two runs at once.
    most: Option<usize>,
    axis: usize,
}

impl Widths {
    /// `width`: of the terminal; `None` in a pipe.
    fn new(picture: &Picture, width: Option<usize>) -> Result<Self, TextError> {
        let ids = picture.lines.iter().filter_map(|line| line.id).map(|id| id.to_string().len());
        let id = ids.max().unwrap_or(0).max("ID".len());
        let labels = picture.lines.iter().map(|line| escaped(&line.label).width());
        let longest = labels.max().unwrap_or(0).max(AT_ONCE.len());
        let most = (picture.load.most_at_once > 1)
            .then(|| picture.load.most_at_once.to_string().len().max("MOST".len()));
        let beside = id + GUTTER + most.map_or(0, |most| most + GUTTER) + GUTTER;
        let Some(width) = width else {
            let label = longest;
            let axis = PIPE_WIDTH.saturating_sub(beside + label).max(2 * AXIS_MIN);
            return Ok(Self { id, label, most, axis });
        };
        let least = beside + LABEL_MIN + AXIS_MIN;
        if width < least {
            return Err(TextError::Narrow(least));
        }
        let label = longest.min((width / LABEL_PART).max(LABEL_MIN)).min(width - beside - AXIS_MIN);
        Ok(Self { id, label, most, axis: width - beside - label })
    }

    /// Returns the columns before the axis.
    fn head(&self, id: &str, label: &str, most: &str) -> String {
        let label = cut(&escaped(label), self.label);
        let fill = " ".repeat(self.label.saturating_sub(label.width()));
        let most = self.most.map_or(String::new(), |width| format!("  {most:>width$}"));
        format!("{id:>0$}  {label}{fill}{most}  ", self.id)
    }
}

/// Returns the picture for a terminal of this width, or for a pipe.
///
/// # Errors
/// If the terminal is too narrow.
pub fn text(picture: &Picture, times: &Times<'_>, width: Option<usize>) -> Result<String, TextError> {
    let widths = Widths::new(picture, width)?;
    let axis = Axis::new(picture.window, widths.axis);
    let mut text = axis_text(&axis, &widths, times);
    let mut has_waits = false;
    for line in &picture.lines {
        let id = line.id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let is_cut = width.is_none() && line.id.is_none();
        let label = if is_cut { cut(&line.label, COMMAND_MAX) } else { line.label.clone() };
        let most = if line.most_at_once > 1 { line.most_at_once.to_string() } else { String::new() };
        let row = row(line, picture, &axis);
        has_waits |= row.iter().any(|glyph| glyph.sign == Kind::Waiting.sign());
        push_line(&mut text, &widths.head(&id, &label, &most), &row);
    }
    let most = picture.load.most_at_once;
    // Where no runs overlap, each line says as much.
    if most > 1 {
        let load = at_once(picture, &axis).into_iter().map(|level| Glyph {
            sign: height(u64::from(level), u64::from(most)).unwrap_or(' '),
            style: Style::new(),
        });
        push_line(&mut text, &widths.head("", AT_ONCE, &most.to_string()), &with_now(load.collect(), &axis));
    }
    text.push_str(&legend(picture, times, width, has_waits));
    text.push_str(&sentences(picture, &axis, times, width));
    Ok(text)
}

/// A sign with its colour.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Glyph {
    sign: char,
    style: Style,
}

fn row(line: &Line, picture: &Picture, axis: &Axis) -> Vec<Glyph> {
    let cells = cells(line, axis, &picture.window);
    with_now(cells.iter().map(|cell| glyph(cell, line.most_at_once)).collect(), axis)
}

/// Puts the line for now into a row.
fn with_now(mut row: Vec<Glyph>, axis: &Axis) -> Vec<Glyph> {
    if let Some(column) = axis.now_column() {
        row[column] = Glyph { sign: '│', style: Style::new() };
    }
    row
}

/// Returns the sign of a cell. `most`: how many runs of the line there are at once, at most.
fn glyph(cell: &Cell, most: u32) -> Glyph {
    let of = |kind: Kind, sign| Glyph { sign, style: kind.style() };
    match (cell.sign, cell.body) {
        (Some(kind), _) => of(kind, kind.sign()),
        (None, Some(kind @ (Kind::Running | Kind::Unattended))) if most < 2 => of(kind, kind.sign()),
        (None, Some(kind)) if most < 2 => match (cell.halves.left, cell.halves.right) {
            (true, false) => of(kind, '▌'),
            (false, true) => of(kind, '▐'),
            (true, true) | (false, false) => of(kind, '█'),
        },
        (None, Some(kind)) => of(kind, height(u64::from(cell.at_once), u64::from(most)).unwrap_or('▁')),
        (None, None) if cell.waits => of(Kind::Waiting, Kind::Waiting.sign()),
        (None, None) => Glyph { sign: ' ', style: Style::new() },
    }
}

/// Adds a line without blanks at its end.
fn push_line(text: &mut String, head: &str, row: &[Glyph]) {
    let length = row.iter().rposition(|glyph| glyph.sign != ' ').map_or(0, |last| last + 1);
    text.push_str(if length == 0 { head.trim_end() } else { head });
    for glyphs in row[..length].chunk_by(|one, other| one.style == other.style) {
        let signs: String = glyphs.iter().map(|glyph| glyph.sign).collect();
        text.push_str(&paint(glyphs[0].style, &signs));
    }
    text.push('\n');
}

/// Returns the labels of the axis, and the heads with the axis itself.
fn axis_text(axis: &Axis, widths: &Widths, times: &Times<'_>) -> String {
    let ticks = axis.ticks(times.zone);
    let mut labels = String::new();
    let mut line = vec!['─'; axis.width()];
    for (column, label) in &ticks {
        line[*column] = '┬';
        // The last one has no room at the right edge, perhaps.
        let start = (*column).min(axis.width().saturating_sub(label.len()));
        if start >= labels.len() {
            labels.push_str(&" ".repeat(start - labels.len()));
            labels.push_str(label);
        }
    }
    if let Some(column) = axis.now_column() {
        line[column] = '┼';
    }
    let indent = " ".repeat(widths.head("", "", "").len());
    let bold = Style::new().bold();
    let head = paint(bold, &widths.head("ID", "JOB", "MOST"));
    let labels = if labels.is_empty() { String::new() } else { format!("{indent}{labels}") };
    format!("{labels}\n{head}{}\n", line.into_iter().collect::<String>())
}

/// Returns what the signs mean, of those that occur, and how often.
fn legend(picture: &Picture, times: &Times<'_>, width: Option<usize>, has_waits: bool) -> String {
    let item = |kind: Kind| {
        // Most waits are too short to be seen.
        let count = picture.counts.get(&kind).copied().filter(|_| kind != Kind::Waiting || has_waits)?;
        let sign = paint(kind.style(), &kind.sign().to_string());
        let count = match kind {
            // Times of waiting that are over have no count, and dense fires are not all shown.
            Kind::Coming => String::new(),
            Kind::Waiting if count == 0 => String::new(),
            _ => format!("{count} "),
        };
        let text = format!("{count}{}", kind.word());
        Some((text.width() + 2, format!("{sign} {text}")))
    };
    let window = picture.window;
    let is_now = window.since < window.now && window.now < window.until;
    let now = is_now.then(|| format!("│ now, {}", times.show(window.now)));
    let items = Kind::ALL.into_iter().filter_map(item).chain(now.map(|now| (now.width(), now)));
    let (mut text, mut used) = (String::new(), 0);
    for (columns, item) in items {
        let gap = if used == 0 { 0 } else { 3 };
        if used > 0 && used + gap + columns > width.unwrap_or(PIPE_WIDTH) {
            text.push('\n');
            used = 0;
        } else {
            text.push_str(&" ".repeat(gap));
            used += gap;
        }
        text.push_str(&item);
        used += columns;
    }
    text + "\n"
}

/// Returns the sentences below the picture, on one line if they fit.
fn sentences(picture: &Picture, axis: &Axis, times: &Times<'_>, width: Option<usize>) -> String {
    let column = format!("a column is about {}", shown::span(axis.column_span()));
    let Some(busiest) = busiest_text(picture, times) else { return column + "\n" };
    let fits = width.is_none_or(|width| busiest.width() + 2 + column.width() <= width);
    format!("{busiest}{}{column}\n", if fits { "; " } else { "\n" })
}

/// Returns `busiest minute: 14:02, 37 starts, 12 at once`.
pub fn busiest_text(picture: &Picture, times: &Times<'_>) -> Option<String> {
    let minute = picture.load.busiest?;
    let at = times.show(minute.at);
    // It is a minute, which has no seconds.
    let at = at.strip_suffix(":00").filter(|at| at.matches(':').count() == 1).unwrap_or(&at);
    let starts = counted(minute.starts as usize, "start");
    Some(format!("busiest minute: {at}, {starts}, {} at once", minute.at_once))
}
